//! The filter of the order list as it stands in the address of the page. The form without JavaScript, the search as you
//! type and every link to a search speak it.

use super::format::{date, parse_date};
use crate::domain::{OrderStatus, pages::orders::OrderFilter};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Reads a filter from the fields of an address. What does not fit is left out.
pub fn read(field: impl Fn(&str) -> Option<String>) -> OrderFilter {
    let text = |name: &str| field(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    OrderFilter {
        text: text("text").unwrap_or_default(),
        status: text("status").and_then(|code| OrderStatus::ALL.into_iter().find(|status| status.code() == code)),
        from: text("from").and_then(|day| parse_date(&day)),
        // The last day is meant to be part of it.
        until: text("until").and_then(|day| parse_date(&day)).map(|day| day.plus(DAY)),
        test: match text("test").as_deref() {
            Some("only") => Some(true),
            Some("none") => Some(false),
            _ => None,
        },
        after: text("after").and_then(|id| id.parse().ok()),
        masked: false,
    }
}

/// Writes a filter: `?text=anna&status=paid`, or nothing where it is empty.
pub fn write(filter: &OrderFilter) -> String {
    let fields = [
        ("text", filter.text.clone()),
        ("status", filter.status.map(|status| status.code().to_owned()).unwrap_or_default()),
        ("from", filter.from.map(date).unwrap_or_default()),
        ("until", last_day(filter)),
        ("test", test(filter).to_owned()),
        ("after", filter.after.map(|id| id.to_string()).unwrap_or_default()),
    ];
    let mut query = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        encode(value, &mut query);
    }
    query
}

/// The last day of a filter as its field shows it.
pub fn last_day(filter: &OrderFilter) -> String {
    filter.until.map(|until| date(until.minus(DAY))).unwrap_or_default()
}

/// The choice of TEST orders as its field shows it.
pub const fn test(filter: &OrderFilter) -> &'static str {
    match filter.test {
        Some(true) => "only",
        Some(false) => "none",
        None => "",
    }
}

fn encode(value: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => into.push(char::from(byte)),
            b' ' => into.push('+'),
            _ => into.extend(['%', char::from(HEX[usize::from(byte >> 4)]), char::from(HEX[usize::from(byte & 15)])]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::OrderId;

    #[test]
    fn a_filter_survives_the_address() {
        let filter = OrderFilter {
            text: "a b@ü&=".to_owned(),
            status: Some(OrderStatus::Paid),
            from: parse_date("2026-11-01"),
            until: parse_date("2026-11-22"),
            test: Some(true),
            after: Some(OrderId(77)),
            masked: false,
        };
        let query = write(&filter);
        assert!(
            query.starts_with("?text=a+b%40%C3%BC%26%3D&status=paid&from=2026-11-01&until=2026-11-21&test=only&after="),
            "{query}"
        );
        let fields: Vec<(String, String)> = query[1..]
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.replace('+', " ")))
            .collect();
        let decoded = |name: &str| {
            let value = fields.iter().find(|(key, _)| key == name)?.1.clone();
            Some(if name == "text" { "a b@ü&=".to_owned() } else { value })
        };
        assert_eq!(read(decoded), filter);
        assert_eq!(write(&OrderFilter::default()), "");
        assert_eq!(read(|name| (name == "status").then(|| "nonsense".to_owned())), OrderFilter::default());
    }
}
