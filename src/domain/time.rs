//! Moments. One type for all rooms and both databases: microseconds since 1970 in UTC.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Built from whole seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970, as the databases keep it.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// This moment and a span after it; stays at the end of time instead of wrapping.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment less a span.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The span since an earlier moment; zero where `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The hour (UTC) this moment lies in, counted since 1970: the key of the tallies.
    pub const fn hour(self) -> i64 {
        self.0.div_euclid(3_600_000_000)
    }

    /// Midnight (UTC) at the start of this moment's day.
    pub const fn start_of_day(self) -> Self {
        const DAY: i64 = 86_400_000_000;
        Self(self.0.div_euclid(DAY) * DAY)
    }
}

/// Year, month and day of so many days since 1970, in the proleptic Gregorian calendar (Howard Hinnant's algorithms, public
/// domain).
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = u32::try_from(day_of_year - (153 * month_from_march + 2) / 5 + 1).unwrap_or(1);
    let month = u32::try_from(if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 }).unwrap_or(1);
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970 of a day of the proleptic Gregorian calendar.
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A moment as people write it, in UTC: `2026-11-21`, `2026-11-21 09:04` or `2026-11-21T09:04:07Z`; `None` where it is none.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let (day, time) = text.split_once(['T', 't', ' ']).map_or((text, None), |(day, time)| (day, Some(time.trim())));
    let number = |part: Option<&str>, digits: usize| {
        let part = part.filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()));
        part.and_then(|part| part.parse::<i64>().ok())
    };
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (number(parts.next(), 4)?, number(parts.next(), 2)?, number(parts.next(), 2)?);
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let days = days_from_civil(year, month, day);
    // A 30th of February would come back as another day.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let seconds = match time {
        None => 0,
        Some(time) => {
            let mut parts = time.splitn(3, ':');
            let (hour, minute) = (number(parts.next(), 2)?, number(parts.next(), 2)?);
            let second = match parts.next() {
                None => 0,
                second => number(second, 2)?,
            };
            if hour > 23 || minute > 59 || second > 59 {
                return None;
            }
            (hour * 60 + minute) * 60 + second
        }
    };
    Some(Timestamp::from_seconds(days * 86_400 + seconds))
}

/// `2026-11-21`
pub fn date(moment: Timestamp) -> String {
    let (year, month, day) = civil_from_days(moment.millis().div_euclid(86_400_000));
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11-21T09:04:07Z`, for machines.
pub fn iso(moment: Timestamp) -> String {
    let of_day = moment.millis().rem_euclid(86_400_000) / 1_000;
    format!("{}T{:02}:{:02}:{:02}Z", date(moment), of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_go_below_zero_or_wrap() {
        let early = Timestamp::from_seconds(10);
        let late = early.plus(Duration::from_secs(5));
        assert_eq!(late.since(early), Duration::from_secs(5));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Timestamp(i64::MAX).plus(Duration::from_secs(1)), Timestamp(i64::MAX));
    }

    #[test]
    fn days_begin_at_midnight_also_before_1970() {
        assert_eq!(Timestamp::from_seconds(86_401).start_of_day(), Timestamp::from_seconds(86_400));
        assert_eq!(Timestamp::from_seconds(-1).start_of_day(), Timestamp::from_seconds(-86_400));
        assert_eq!(Timestamp::from_seconds(7_199).hour(), 1);
    }

    #[test]
    fn moments_are_read_as_people_write_them() {
        let moment = Timestamp::from_seconds(1_795_252_447);
        for text in ["2026-11-21T09:14:07Z", "2026-11-21 09:14:07", " 2026-11-21t09:14:07 "] {
            assert_eq!(parse_moment(text), Some(moment), "{text}");
        }
        assert_eq!(parse_moment("2026-11-21"), Some(moment.start_of_day()));
        assert_eq!(parse_moment("2026-11-21T09:14"), Some(Timestamp::from_seconds(1_795_252_440)));
        for wrong in
            ["", "2026-02-29", "2026-11-21T", "2026-11-21T24:00", "2026-11-21T09:60", "09:14", "2026-11-21T9:14", "+026-11-21"]
        {
            assert_eq!(parse_moment(wrong), None, "{wrong}");
        }
    }
}
