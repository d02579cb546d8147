//! How many requests a second one URL gets. Pure: told what the time is.

use crate::domain::Timestamp;

/// A token bucket, kept as the moment at which it would be full again (the generic cell rate algorithm). It gives
/// requests out evenly; what may come together is a tenth of a second's worth, so that a timer which fires a few
/// milliseconds late does not lose them.
#[derive(Debug, Default)]
pub struct Pace {
    /// Microseconds from one request to the next; 0 without a limit.
    interval: i64,
    /// How far `full_at` may lie ahead for another request to start.
    slack: i64,
    full_at: Timestamp,
}

impl Pace {
    /// Takes over the setting: requests a second, or no limit.
    pub fn set(&mut self, rate: Option<u16>) {
        self.interval = rate.map_or(0, |rate| i64::from(1_000_000_u32.div_ceil(u32::from(rate.max(1)))));
        self.slack = rate.map_or(0, |rate| i64::from(rate / 10).saturating_sub(1).max(0) * self.interval);
    }

    /// The moment from which the next request may start; it lies in the past where it may start now.
    pub const fn ready_at(&self) -> Timestamp {
        Timestamp(self.full_at.0.saturating_sub(self.slack))
    }

    /// A request starts.
    pub fn take(&mut self, now: Timestamp) {
        self.full_at = Timestamp(self.full_at.max(now).0.saturating_add(self.interval));
    }

    /// The clock was set back: nothing is waited for that lies ahead of what it says now.
    pub fn set_back(&mut self, now: Timestamp) {
        self.full_at = self.full_at.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    /// The moments at which requests start that are always waiting, looked at so often (in microseconds).
    fn starts(rate: u16, look_every: i64, span: i64) -> Vec<i64> {
        let mut pace = Pace::default();
        pace.set(Some(rate));
        let mut starts = Vec::new();
        for at in (0..span).step_by(usize::try_from(look_every).unwrap()) {
            let now = Timestamp(NOW.0 + at);
            while pace.ready_at() <= now {
                pace.take(now);
                starts.push(at);
            }
        }
        starts
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.take(NOW);
        }
        assert!(pace.ready_at() <= NOW);
    }

    #[test]
    fn a_late_look_loses_no_requests() {
        assert_eq!(starts(1_000, 10_000, 1_000_000).len(), 1_000 + 90);
    }

    #[test]
    fn a_clock_set_back_stops_nothing() {
        let mut pace = Pace::default();
        pace.set(Some(1));
        pace.take(NOW);
        let earlier = Timestamp::from_seconds(10);
        pace.set_back(earlier);
        assert!(pace.ready_at() <= earlier);
    }

    proptest! {
        #[test]
        fn no_second_has_more_than_its_share(rate in 1_u16..=1_000, look_every in 500_i64..50_000) {
            let starts = starts(rate, look_every, 3_000_000);
            let most = usize::from(rate) + usize::from(rate / 10).max(1);
            for (place, start) in starts.iter().enumerate() {
                let within = starts[place..].iter().take_while(|later| **later < start + 1_000_000).count();
                prop_assert!(within <= most, "{within} in a second at {rate}/s");
            }
            prop_assert!(!starts.is_empty());
        }
    }
}
