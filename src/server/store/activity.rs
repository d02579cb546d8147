//! How long answers take, counted in few ranges: what both engines decide alike.

use crate::domain::{Timestamp, pages::dashboard::UrlActivity};
use std::time::Duration;

/// The longest time of each range but the last, in milliseconds. Each range is as wide as all before it together.
const BOUNDS: [u64; 10] = [25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800];
/// No attempt takes longer, in milliseconds.
const LONGEST: u64 = 30_000;
/// The range of attempts that got no answer.
const NO_ANSWER: i64 = -1;
/// Hours whose counts are kept: a page shows 24.
const KEPT_HOURS: i64 = 8 * 24;

/// The range of an attempt that began and ended then, by whether an answer came.
pub(super) fn bucket(answered: bool, started_at: Timestamp, finished_at: Timestamp) -> i64 {
    if !answered {
        return NO_ANSWER;
    }
    let took = finished_at.since(started_at);
    let range = BOUNDS.iter().position(|bound| took <= Duration::from_millis(*bound)).unwrap_or(BOUNDS.len());
    i64::try_from(range).unwrap_or(NO_ANSWER)
}

/// Counts of hours before this one are not needed any more.
pub(super) const fn kept_from(now: Timestamp) -> i64 {
    now.hour() - KEPT_HOURS
}

/// Adds up the counts of a URL.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    confirmed: u64,
    failed: u64,
    ranges: [u64; BOUNDS.len() + 1],
}

impl Times {
    pub fn add(&mut self, bucket: i64, confirmed: u64, failed: u64) {
        self.confirmed += confirmed;
        self.failed += failed;
        if let Some(range) = usize::try_from(bucket).ok().and_then(|range| self.ranges.get_mut(range)) {
            *range += confirmed + failed;
        }
    }

    pub fn activity(&self) -> UrlActivity {
        UrlActivity { confirmed: self.confirmed, failed: self.failed, p50: self.within(50), p99: self.within(99) }
    }

    /// The time that so many in 100 answers took at most, as if they lay evenly within their range.
    fn within(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.ranges.iter().sum();
        let wanted = (total * percent).div_ceil(100);
        let mut before = 0;
        for (range, count) in self.ranges.iter().enumerate().filter(|(_, count)| **count > 0) {
            if before + count >= wanted {
                let low = range.checked_sub(1).map_or(0, |below| BOUNDS[below]);
                let high = BOUNDS.get(range).copied().unwrap_or(LONGEST);
                return Some(low + (high - low) * (wanted - before) / count);
            }
            before += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_their_time() {
        let took = |millis: i64| bucket(true, Timestamp(0), Timestamp(millis * 1_000));
        assert_eq!([took(0), took(25), took(26), took(12_800), took(60_000)], [0, 0, 1, 9, 10]);
        assert_eq!(bucket(false, Timestamp(0), Timestamp(1)), -1);
        assert_eq!(bucket(true, Timestamp(5), Timestamp(0)), 0, "a clock that was set back");
    }

    #[test]
    fn quantiles_lie_in_their_range() {
        let mut times = Times::default();
        assert_eq!(times.activity(), UrlActivity::default());
        times.add(-1, 0, 7);
        assert_eq!(times.activity(), UrlActivity { failed: 7, ..UrlActivity::default() }, "no answer has no time");
        times.add(1, 98, 0);
        times.add(8, 1, 1);
        let activity = times.activity();
        assert_eq!((activity.confirmed, activity.failed), (99, 8));
        let (p50, p99) = (activity.p50.unwrap(), activity.p99.unwrap());
        assert!((25..=50).contains(&p50) && (3_200..=6_400).contains(&p99), "{activity:?}");
    }

    proptest::proptest! {
        #[test]
        fn the_slowest_are_never_faster_than_the_middle(counts in proptest::collection::vec((-1..12_i64, 0..1_000_u64), 0..30)) {
            let mut times = Times::default();
            for (bucket, count) in counts {
                times.add(bucket, count, count / 3);
            }
            let activity = times.activity();
            proptest::prop_assert!(activity.p50 <= activity.p99 && activity.p99.unwrap_or(0) <= LONGEST);
        }
    }
}
