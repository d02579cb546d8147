//! What comes after a failed attempt. Pure: moments in, moments out.

use crate::domain::Timestamp;
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// How long after its first attempt a delivery is tried at all.
const WINDOW: u64 = 48 * HOUR;

/// Seconds from the first attempt to each further one, as 2Checkout's documentation has it (*IPN POST failure recovery
/// process*): two more within five minutes, four more fifteen minutes apart, then hourly until two days after the first.
const EARLY: [u64; 6] = [150, 300, 20 * MINUTE, 35 * MINUTE, 50 * MINUTE, 65 * MINUTE];

/// The time of the next attempt, or `None` where the schedule is used up.
///
/// The schedule hangs on the first attempt, not on the last: attempts that were missed while the server was down are
/// not made up for in a burst, they are skipped.
pub fn next_attempt(first: Timestamp, now: Timestamp) -> Option<Timestamp> {
    offsets().map(|offset| first.plus(offset)).find(|due| *due > now)
}

/// Spans from the first attempt to each further one.
pub fn offsets() -> impl Iterator<Item = Duration> {
    let hourly = (1..).map(|hour| EARLY[EARLY.len() - 1] + hour * HOUR).take_while(|offset| *offset <= WINDOW);
    EARLY.into_iter().chain(hourly).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn the_documented_table() {
        let offsets: Vec<u64> = offsets().map(|offset| offset.as_secs()).collect();
        assert_eq!(offsets.iter().filter(|offset| **offset <= 5 * MINUTE).count(), 2, "two within five minutes");
        let spaced: Vec<u64> = offsets[2..6].iter().zip(&offsets[1..5]).map(|(later, earlier)| later - earlier).collect();
        assert_eq!(spaced, [15 * MINUTE; 4], "four more, fifteen minutes apart");
        assert!(offsets[6..].iter().zip(&offsets[5..]).all(|(later, earlier)| later - earlier == HOUR), "then hourly");
        assert!(*offsets.last().unwrap() <= WINDOW && offsets.last().unwrap() + HOUR > WINDOW, "until two days");
        assert_eq!(offsets.len() + 1, 53, "attempts in all");
    }

    #[test]
    fn attempts_missed_in_an_outage_are_skipped() {
        let after_three_hours = FIRST.plus(Duration::from_secs(3 * HOUR));
        let next = next_attempt(FIRST, after_three_hours).unwrap();
        assert_eq!(next.since(FIRST).as_secs(), 3 * HOUR + 5 * MINUTE);
        assert_eq!(next_attempt(FIRST, FIRST.plus(Duration::from_secs(3 * 24 * HOUR))), None);
    }

    proptest! {
        #[test]
        fn the_next_attempt_lies_ahead_and_within_the_window(elapsed in 0u64..200_000) {
            let now = FIRST.plus(Duration::from_secs(elapsed));
            match next_attempt(FIRST, now) {
                Some(next) => {
                    prop_assert!(next > now);
                    prop_assert!(next.since(FIRST) <= Duration::from_secs(WINDOW));
                    prop_assert!(next.since(now) <= Duration::from_secs(HOUR));
                }
                None => prop_assert!(elapsed >= 47 * HOUR),
            }
        }
    }
}
