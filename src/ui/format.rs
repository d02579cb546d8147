//! How values look: times, amounts, sizes, spans, with the marks and words of the language. Days and times are written as ISO 8601
//! has them in every language: nobody takes them for another day.

pub use crate::{
    domain::time::{date, iso},
    words::count,
};

use crate::{
    domain::{
        Money, Timestamp,
        time::{civil_from_days, parse_moment},
    },
    words::{fill, grouped, language, n},
};

const DAY: i64 = 86_400;

/// A moment in UTC, taken apart.
struct Civil {
    year: i64,
    month: u32,
    day: u32,
    hour: i64,
    minute: i64,
    second: i64,
}

fn civil(moment: Timestamp) -> Civil {
    let seconds = moment.millis().div_euclid(1_000);
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    Civil { year, month, day, hour: of_day / 3_600, minute: of_day / 60 % 60, second: of_day % 60 }
}

/// `2026-11-21 09:04:07`
pub fn date_time(moment: Timestamp) -> String {
    let Civil { year, month, day, hour, minute, second } = civil(moment);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `09:04`
pub fn time_of_day(moment: Timestamp) -> String {
    let Civil { hour, minute, .. } = civil(moment);
    format!("{hour:02}:{minute:02}")
}

/// Midnight (UTC) at the start of a day written as `2026-11-21`; `None` where it is no day.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // A day, and not a time of it.
    parse_moment(text).filter(|_| text.len() == "2026-11-21".len())
}

/// A week.
const NEAR: u64 = 604_800;

/// Whether a moment is told by its distance.
pub const fn is_near(moment: Timestamp, now: Timestamp) -> bool {
    (moment.millis() - now.millis()).div_euclid(1_000).unsigned_abs() < NEAR
}

/// How near moments are told. The browser is handed what is said instead of them, in this order.
pub const DISTANCES: [&str; 9] = [
    n!("now"),
    n!("{count} s ago"),
    n!("{count} min ago"),
    n!("{count} h ago"),
    n!("{count} d ago"),
    n!("in {count} s"),
    n!("in {count} min"),
    n!("in {count} h"),
    n!("in {count} d"),
];

/// `3 min ago`, `in 12 s`, `2026-11-19`: near moments relative, in the words that are said instead of one of [`DISTANCES`], far
/// ones as a date, by the clocks of a place.
pub fn relative(
    moment: Timestamp,
    now: Timestamp,
    local: impl Fn(Timestamp) -> Timestamp,
    tell: impl FnOnce(&'static str) -> String,
) -> String {
    let seconds = (moment.millis() - now.millis()).div_euclid(1_000);
    let span = seconds.unsigned_abs();
    let (unit, number) = match span {
        0..=4 => return tell(DISTANCES[0]),
        5..=59 => (1, span),
        60..=3_599 => (2, span / 60),
        3_600..=86_399 => (3, span / 3_600),
        86_400..NEAR => (4, span / 86_400),
        _ => return date(local(moment)),
    };
    fill(&tell(DISTANCES[if seconds > 0 { unit + 4 } else { unit }]), &[("count", &number)])
}

/// What stands before a fraction.
fn point() -> char {
    language().number_marks().1
}

/// `1,234.56 EUR`
pub fn money(money: &Money) -> String {
    let decimal = money.decimal();
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal.as_str()), |digits| ("−", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let fraction = fraction.map(|fraction| format!("{}{fraction}", point())).unwrap_or_default();
    format!("{sign}{}{fraction} {}", grouped(whole), money.currency.code())
}

/// `512 B`, `2.5 kB`
pub fn bytes(size: u64) -> String {
    let tenths = |unit: u64| (size * 10 + unit / 2) / unit;
    match size {
        0..=999 => format!("{size} B"),
        1_000..=999_949 => format!("{}{}{} kB", tenths(1_000) / 10, point(), tenths(1_000) % 10),
        _ => format!("{}{}{} MB", tenths(1_000_000) / 10, point(), tenths(1_000_000) % 10),
    }
}

/// A span of microseconds: `0.4 ms`, `38 ms`, `1.25 s`
pub fn span(micros: u64) -> String {
    match micros {
        0..=9_999 => format!("{}{}{} ms", micros / 1_000, point(), micros % 1_000 / 100),
        10_000..=999_999 => format!("{} ms", micros / 1_000),
        _ => format!("{}{}{:02} s", micros / 1_000_000, point(), micros % 1_000_000 / 10_000),
    }
}

/// `99.2 %`, of tenths of it.
pub fn percent(tenths: u64) -> String {
    format!("{}{}{} %", tenths / 10, point(), tenths % 10)
}

/// A text of at most so many characters; what is cut shows as an ellipsis.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;

    #[test]
    fn moments_are_written_and_read() {
        let moment = Timestamp::from_seconds(1_795_252_447);
        assert_eq!(date_time(moment), "2026-11-21 09:14:07");
        assert_eq!(iso(moment), "2026-11-21T09:14:07Z");
        assert_eq!(parse_date("2026-11-21"), Some(moment.start_of_day()));
        assert_eq!(parse_date("2024-02-29").map(date).as_deref(), Some("2024-02-29"));
        for wrong in ["2026-02-29", "2026-13-01", "21.11.2026", "", "2026-11", "2026-11-2x", "-026-11-21"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
        assert_eq!(date(Timestamp::from_seconds(-1)), "1969-12-31");
    }

    #[test]
    fn near_moments_are_told_by_their_distance() {
        let now = Timestamp::from_seconds(1_795_252_447);
        let at = |seconds: i64| relative(Timestamp::from_seconds(1_795_252_447 + seconds), now, |at| at, str::to_owned);
        assert_eq!(at(0), "now");
        assert_eq!(at(-59), "59 s ago");
        assert_eq!(at(150), "in 2 min");
        assert_eq!(at(-7_200), "2 h ago");
        assert_eq!(at(-3 * DAY), "3 d ago");
        assert_eq!(at(-30 * DAY), "2026-10-22");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        let eur = Currency::parse("EUR").unwrap();
        assert_eq!(money(&Money::parse("1234.5", eur).unwrap()), "1,234.50 EUR");
        assert_eq!(money(&Money::parse("-999.99", eur).unwrap()), "−999.99 EUR");
        assert_eq!((bytes(999), bytes(2_549), bytes(1_250_000)), ("999 B".into(), "2.5 kB".into(), "1.3 MB".into()));
        assert_eq!((span(400), span(38_200), span(1_250_000)), ("0.4 ms".into(), "38 ms".into(), "1.25 s".into()));
        assert_eq!((shortened("äöü", 2), shortened("äöü", 3)), ("äö…".to_owned(), "äöü".to_owned()));
    }
}
