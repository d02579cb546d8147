//! On what terms a notification URL gets its deliveries: in which form, how many at a time and a second, when what failed is
//! tried again, whether its failures count.

use super::{Format, Triggers};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// What stands in a choice of schedules for a list of one's own.
pub const OWN: &str = "own";
/// Requests at a time to a URL that allows concurrent requests, unless it says otherwise.
pub const DEFAULT_IN_FLIGHT: u16 = 64;
/// Most requests at a time that a URL may be set to.
pub const MAX_IN_FLIGHT: u16 = 256;
/// Most requests a second that a URL may be set to.
pub const MAX_RATE: u16 = 1_000;

/// Longest time in seconds that a URL may be given to answer.
pub const MAX_TIMEOUT: u16 = 40;
/// The time in seconds that a URL has to answer, unless it says otherwise.
pub const DEFAULT_TIMEOUT: u16 = 30;

/// The terms of one URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Requests at a time, where concurrent requests are allowed: 1 to [`MAX_IN_FLIGHT`].
    pub max_in_flight: u16,
    /// Requests a second, 1 to [`MAX_RATE`]; as many as there are without it.
    pub rate_per_second: Option<u16>,
    pub retries: RetrySchedule,
    /// It gets copies, and its failures count nowhere.
    pub shadow: bool,
    /// Certificates that are trusted at this URL beside the public ones, as PEM; usually empty.
    pub authority: String,
    /// Seconds until an attempt is given up, 1 to [`MAX_TIMEOUT`]; [`DEFAULT_TIMEOUT`] without it.
    pub timeout: Option<u16>,
    /// Which statuses are sent to it; those of its merchant without it.
    pub triggers: Option<Triggers>,
    /// In which form messages leave for it.
    #[serde(default)]
    pub format: Format,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_IN_FLIGHT,
            rate_per_second: None,
            retries: RetrySchedule::default(),
            shadow: false,
            authority: String::new(),
            timeout: None,
            triggers: None,
            format: Format::default(),
        }
    }
}

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// Shortest delay of an own schedule, in seconds: a script that fails needs a moment.
pub const MIN_DELAY: u32 = 5;
/// Most delays of an own schedule.
pub const MAX_DELAYS: usize = 100;
/// Longest own schedule from the first attempt to the last, in seconds.
pub const MAX_WINDOW: u32 = 30 * DAY;

/// When what failed is tried again: delays from each attempt to the next, the first of them after the first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RetrySchedule {
    /// Two within five minutes, four fifteen minutes apart, hourly until two days after the first attempt.
    #[default]
    TwoCheckout,
    /// As the Standard Webhooks specification advises: nine over three days.
    StandardWebhooks,
    /// Fifteen in four days, each delay twice the one before, as PayPal repeats its notifications.
    PayPal,
    /// Growing delays over three days, as Stripe repeats events.
    Stripe,
    /// A list of its own, in seconds.
    Own(Arc<[u32]>),
}

/// Why a schedule cannot be used: what is wrong with it, and what to enter instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("Enter delays such as 1m, 5m, 1h, 6h.")]
    Empty,
    #[error("{0:?} is not a delay; write a number with s, m, h or d, such as 90s, 5m, 1h or 2d.")]
    NotADelay(String),
    #[error("{0} is too short; a delay is at least {MIN_DELAY} seconds.")]
    TooShort(String),
    #[error("These are {0} delays; enter at most {MAX_DELAYS}.")]
    TooMany(usize),
    #[error("Together these delays last longer than 30 days; shorten them, or take some out.")]
    TooLong,
}

impl RetrySchedule {
    /// The schedules that have a name.
    pub const PRESETS: [Self; 4] = [Self::TwoCheckout, Self::StandardWebhooks, Self::PayPal, Self::Stripe];

    /// The name in databases, forms and on the command line; an own list has none.
    pub const fn name(&self) -> Option<&'static str> {
        match self {
            Self::TwoCheckout => Some("2checkout"),
            Self::StandardWebhooks => Some("standard-webhooks"),
            Self::PayPal => Some("paypal"),
            Self::Stripe => Some("stripe"),
            Self::Own(_) => None,
        }
    }

    /// What it does, for the choice in a form.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TwoCheckout => "2Checkout: two within 5 minutes, four 15 minutes apart, then hourly for two days",
            Self::StandardWebhooks => "Standard Webhooks: nine, from 5 seconds to 24 hours apart, over three days",
            Self::PayPal => "PayPal: fifteen, each delay twice the one before, over four days",
            Self::Stripe => "Stripe: twelve, growing to 12 hours apart, over three days",
            Self::Own(_) => "An own list of delays",
        }
    }

    /// Seconds from each attempt to the next.
    pub fn delays(&self) -> Vec<u32> {
        match self {
            // The documentation's table (IPN POST failure recovery process). The hours end within two days.
            Self::TwoCheckout => {
                let early = [150, 150, 15 * MINUTE, 15 * MINUTE, 15 * MINUTE, 15 * MINUTE];
                let spent = early.iter().sum::<u32>();
                early.into_iter().chain((0..(2 * DAY - spent) / HOUR).map(|_| HOUR)).collect()
            }
            Self::StandardWebhooks => {
                vec![5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
            }
            Self::PayPal => (0..15).map(|step| 10 << step).collect(),
            Self::Stripe => {
                let growing = (0..8).map(|step| (5 * MINUTE) << step);
                growing.chain([12 * HOUR; 4]).collect()
            }
            Self::Own(delays) => delays.to_vec(),
        }
    }

    /// Reads an own list: `1m, 5m, 1h 6h`.
    pub fn own(text: &str) -> Result<Self, InvalidSchedule> {
        let words: Vec<&str> = text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Err(InvalidSchedule::Empty);
        }
        if words.len() > MAX_DELAYS {
            return Err(InvalidSchedule::TooMany(words.len()));
        }
        let mut delays = Vec::with_capacity(words.len());
        let mut total = 0_u32;
        for word in words {
            let delay = delay(word).ok_or_else(|| InvalidSchedule::NotADelay(word.chars().take(40).collect()))?;
            if delay < MIN_DELAY {
                return Err(InvalidSchedule::TooShort(word.to_owned()));
            }
            total = total.saturating_add(delay);
            if total > MAX_WINDOW {
                return Err(InvalidSchedule::TooLong);
            }
            delays.push(delay);
        }
        Ok(Self::Own(delays.into()))
    }
}

/// Seconds of `90s`, `5m`, `1h`, `2d`.
fn delay(word: &str) -> Option<u32> {
    let end = word.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = word.split_at(end);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "s" => 1,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    // What is too large to count is too long, and that is told.
    if number.is_empty() { None } else { Some(number.parse::<u32>().unwrap_or(u32::MAX).saturating_mul(unit)) }
}

impl FromStr for RetrySchedule {
    type Err = InvalidSchedule;

    /// A preset's name, or an own list.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let text = text.trim();
        let preset = Self::PRESETS.into_iter().find(|preset| preset.name().is_some_and(|name| name.eq_ignore_ascii_case(text)));
        preset.map_or_else(|| Self::own(text), Ok)
    }
}

impl fmt::Display for RetrySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Own(delays) = self else { return f.write_str(self.name().unwrap_or_default()) };
        for (place, delay) in delays.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match *delay {
                delay if delay % DAY == 0 => write!(f, "{comma}{}d", delay / DAY)?,
                delay if delay % HOUR == 0 => write!(f, "{comma}{}h", delay / HOUR)?,
                delay if delay % MINUTE == 0 => write!(f, "{comma}{}m", delay / MINUTE)?,
                delay => write!(f, "{comma}{delay}s")?,
            }
        }
        Ok(())
    }
}

impl From<RetrySchedule> for String {
    fn from(schedule: RetrySchedule) -> Self {
        schedule.to_string()
    }
}

impl TryFrom<String> for RetrySchedule {
    type Error = InvalidSchedule;

    fn try_from(text: String) -> Result<Self, InvalidSchedule> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table() {
        let delays = RetrySchedule::TwoCheckout.delays();
        assert_eq!(delays[..2].iter().sum::<u32>(), 5 * MINUTE, "two more within five minutes");
        assert_eq!(delays[2..6], [15 * MINUTE; 4], "four more, fifteen minutes apart");
        assert!(delays[6..].iter().all(|delay| *delay == HOUR), "then hourly");
        let window: u32 = delays.iter().sum();
        assert!(window <= 2 * DAY && window + HOUR > 2 * DAY, "until two days after the first");
        assert_eq!(delays.len() + 1, 53, "attempts in all");
    }

    #[test]
    fn presets_last_as_long_as_they_say() {
        for (preset, count, days) in
            [(RetrySchedule::StandardWebhooks, 9, 3..4), (RetrySchedule::PayPal, 15, 3..4), (RetrySchedule::Stripe, 12, 2..3)]
        {
            let delays = preset.delays();
            assert_eq!(delays.len(), count, "{preset}");
            assert!(days.contains(&(delays.iter().sum::<u32>() / DAY)), "{preset}");
            assert!(delays.iter().all(|delay| *delay >= MIN_DELAY) && delays.is_sorted(), "{preset}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for preset in RetrySchedule::PRESETS {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        let own: RetrySchedule = " 90s, 5m 1h;2d\n7200s ".parse().unwrap();
        assert_eq!(own, RetrySchedule::Own([90, 300, 3_600, 172_800, 7_200].into()));
        assert_eq!(own.to_string(), "90s,5m,1h,2d,2h");
        assert_eq!(own.to_string().parse(), Ok(own));
    }

    #[test]
    fn what_cannot_be_used_names_the_cure() {
        for (text, hint) in [
            ("", "such as 1m, 5m"),
            (" , ", "such as 1m, 5m"),
            ("5m, soon", "\"soon\" is not a delay"),
            ("5", "\"5\" is not a delay"),
            ("m", "\"m\" is not a delay"),
            ("-5m", "is not a delay"),
            ("5w", "is not a delay"),
            ("1m,4s", "4s is too short"),
            ("0d", "0d is too short"),
            ("20d,11d", "longer than 30 days"),
            ("99999999999999d", "longer than 30 days"),
        ] {
            let error = text.parse::<RetrySchedule>().unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
        assert!(RetrySchedule::own(&"1m,".repeat(100)).is_ok());
        assert_eq!(RetrySchedule::own(&"1m,".repeat(101)), Err(InvalidSchedule::TooMany(101)));
    }
}
