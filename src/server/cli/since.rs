//! A moment in the past as it is typed: itself, or by how long ago it is.

use crate::domain::{Timestamp, time::parse_moment};
use std::time::Duration;

/// A moment, or a span until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Moment(Timestamp),
    Span(Duration),
}

impl Since {
    /// The moment that is meant.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Moment(moment) => moment,
            Self::Span(span) => now.minus(span),
        }
    }

    /// Reads `90s`, `90m`, `36h`, `3d`, or a moment.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.to_ascii_lowercase().as_str() {
            "s" => Some(1),
            "m" | "min" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            _ => None,
        };
        let span = unit.and_then(|unit| number.parse::<u32>().ok().map(|number| Duration::from_secs(u64::from(number) * unit)));
        span.map(Self::Span).or_else(|| parse_moment(text).map(Self::Moment)).ok_or_else(|| {
            "expected a moment in UTC such as 2026-11-20 or 2026-11-20T14:30, or a span such as 90m, 36h or 3d".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_meant_since_a_moment_or_for_a_span() {
        let read = |text: &str| Since::read(text).unwrap();
        let now = Timestamp::from_seconds(1_000_000);
        for (text, seconds) in [("90s", 90), ("90m", 5_400), ("36h", 129_600), ("3D", 259_200)] {
            assert_eq!(read(text).at(now), now.minus(Duration::from_secs(seconds)), "{text}");
        }
        let moment = parse_moment("2026-11-20T14:30").unwrap();
        assert_eq!((read("2026-11-20T14:30"), read("2026-11-20T14:30:00Z").at(now)), (Since::Moment(moment), moment));
    }
}
