//! What is known of one attempt, of why it was made, and of a URL that was tried.

use super::{Cause, Format, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a delivery exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The notification arrived.
    Arrival,
    /// A person asked for it.
    Resend,
    /// A person asked for it and looks at the exchange; tried once.
    Debug,
    /// A person asked for many at once.
    Bulk,
}

impl Origin {
    /// The number in the databases.
    pub const fn code(self) -> i64 {
        match self {
            Self::Arrival => 0,
            Self::Resend => 1,
            Self::Debug => 2,
            Self::Bulk => 3,
        }
    }

    /// The origin for a number from the database.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Arrival),
            1 => Some(Self::Resend),
            2 => Some(Self::Debug),
            3 => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// Microseconds by phase; `None` where the phase did not take place (a kept-alive connection, a failure before).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    pub resolve: Option<u64>,
    pub connect: Option<u64>,
    pub tls: Option<u64>,
    /// From the request written to the first byte of the answer.
    pub wait: Option<u64>,
    /// Reading the answer.
    pub read: Option<u64>,
    pub total: u64,
}

/// What the verdict saw, for the page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VerdictDetail {
    /// One more sentence about this very case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The receipt or what stood in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The text that should have been hashed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The hash we expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// One sentence about the compression that was taken off the answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compression: String,
    /// The URL as it was set then; empty in attempts that were made before it was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The fingerprint of the key that signed; empty as above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// In which form the message left.
    #[serde(default, skip_serializing_if = "Format::is_usual")]
    pub format: Format,
}

/// Of a sentence about an attempt as much is kept. Parts of it come from the other side.
const MOST_NOTED: usize = 2_000;
/// Of the text that should have been hashed as much is kept: bytes.
const MOST_SOURCE: usize = 8 << 10;

impl VerdictDetail {
    /// One more sentence.
    pub fn add(&mut self, sentence: &str) {
        if !self.note.is_empty() && !sentence.is_empty() {
            self.note.push(' ');
        }
        self.note.push_str(sentence);
    }

    /// The same, with what is longer than anybody reads cut off.
    pub fn bounded(self) -> Self {
        Self {
            note: bounded_note(self.note),
            found: bounded_note(self.found),
            source: bounded(self.source, MOST_SOURCE, usize::MAX),
            expected: bounded_note(self.expected),
            compression: bounded_note(self.compression),
            url: bounded_note(self.url),
            key: self.key,
            format: self.format,
        }
    }
}

/// A sentence about an attempt, with what is longer than anybody reads cut off.
pub fn bounded_note(note: String) -> String {
    bounded(note, usize::MAX, MOST_NOTED)
}

/// A text of at most so many bytes and characters; an ellipsis stands for the rest.
fn bounded(mut text: String, bytes: usize, characters: usize) -> String {
    const ELLIPSIS: char = '…';
    let is_within = text.len() <= bytes && (text.len() <= characters || text.chars().count() <= characters);
    if is_within {
        return text;
    }
    let room = bytes.saturating_sub(ELLIPSIS.len_utf8());
    let fits =
        |(index, (start, character)): &(usize, (usize, char))| index + 1 < characters && start + character.len_utf8() <= room;
    let end = text.char_indices().enumerate().take_while(fits).last().map_or(0, |(_, (start, kept))| start + kept.len_utf8());
    text.truncate(end);
    text.push(ELLIPSIS);
    text
}

/// The result of asking a URL with GET, as gateways do when it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlCheck {
    pub at: Timestamp,
    /// `None` where it answered 200.
    pub cause: Option<Cause>,
    /// One more sentence about this very case.
    pub note: String,
}

impl UrlCheck {
    /// How it went, in one word: `ok`, or the cause's code.
    pub fn word(&self) -> &'static str {
        self.cause.map_or("ok", |cause| cause.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_says_is_kept_in_sensible_lengths() {
        let long = "á".repeat(100_000);
        let detail = VerdictDetail {
            note: long.clone(),
            found: long.clone(),
            source: long.clone(),
            expected: long.clone(),
            compression: long.clone(),
            url: long,
            key: String::new(),
            format: Format::Ipn,
        };
        let bounded = detail.bounded();
        for text in [&bounded.note, &bounded.found, &bounded.expected] {
            assert_eq!(text.chars().count(), 2_000);
            assert!(text.ends_with("á…"));
        }
        assert!((8_000..=8_192).contains(&bounded.source.len()) && bounded.source.ends_with("á…"));
        let fits = VerdictDetail { note: "á".repeat(2_000), source: "x".repeat(8_192), ..VerdictDetail::default() };
        assert_eq!(fits.clone().bounded(), fits);
    }
}
