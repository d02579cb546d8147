//! Reading and writing the filters of lists: the fields of a form, which are the query of the page's address.

#[cfg(feature = "ssr")]
use crate::domain::Zone;
use crate::{
    domain::{FieldError, Timestamp, time::parse_moment},
    words::t,
};
use std::{str::FromStr, time::Duration};

/// What lists count days with.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Reads fields one by one, and gathers what cannot be read.
pub struct Reader<'a> {
    field: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<FieldError>,
    /// What `from` says.
    first_day: Option<Timestamp>,
}

impl<'a> Reader<'a> {
    pub const fn new(field: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { field, mistakes: Vec::new(), first_day: None }
    }

    /// What could not be read, and was left out.
    pub fn mistakes(self) -> Vec<FieldError> {
        self.mistakes
    }

    /// A field that is not empty.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.field)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A field that must mean something.
    pub fn read<T>(&mut self, name: &str, message: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let read = read(&self.text(name)?);
        if read.is_none() {
            self.mistakes.push(FieldError { field: name.to_owned(), message: message.to_owned() });
        }
        read
    }

    /// The first day of a list, as its midnight in UTC.
    pub fn first_day(&mut self) -> Option<Timestamp> {
        self.first_day = self.day("from");
        self.first_day
    }

    /// The day after the last one of a list, which is meant to be part of it. Read after the first.
    pub fn after_last_day(&mut self) -> Option<Timestamp> {
        let last = self.day("until")?;
        if self.first_day.is_some_and(|first| first > last) {
            let message = t!("This day is before the first one, so nothing can be found.").to_owned();
            self.mistakes.push(FieldError { field: "until".to_owned(), message });
        }
        Some(last.plus(DAY))
    }

    fn day(&mut self, name: &str) -> Option<Timestamp> {
        self.read(name, t!("Enter a day as 2026-11-21."), |text| parse_moment(text).filter(|_| text.len() == "2026-11-21".len()))
    }

    /// A moment: of a zone, as a form's field has it, or with a `Z` in UTC, as addresses have it.
    #[cfg(feature = "ssr")]
    pub fn moment(&mut self, name: &str, zone: &Zone) -> Option<Timestamp> {
        let is_utc = |text: &str| text.ends_with(['Z', 'z']);
        let read = |text: &str| parse_moment(text).map(|moment| if is_utc(text) { moment } else { zone.instant(moment) });
        self.read(name, t!("Enter a moment as 2026-11-21T09:00."), read)
    }

    /// Whether TEST orders are meant, or real ones.
    pub fn test(&mut self) -> Option<bool> {
        self.read("test", t!("Choose TEST orders, real ones, or both."), |word| match word {
            "only" => Some(true),
            "none" => Some(false),
            _ => None,
        })
    }

    /// Where a page of the list begins.
    pub fn place<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.read(name, t!("This page of the list is not known; begin at the newest."), |id| id.parse().ok())
    }
}

/// The query of an address: `?state=expired&since=2026-11-21T09:00:00Z`, or nothing where there are no fields.
pub fn write_query(fields: &[(&'static str, String)]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut query = String::new();
    for (name, value) in fields {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => query.push(char::from(byte)),
                b' ' => query.push('+'),
                _ => query.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]),
            }
        }
    }
    query
}
