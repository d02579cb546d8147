//! What comes after a failed attempt. Pure: moments in, moments out.

use crate::domain::{RetrySchedule, Timestamp, id::DeliveryId};
use std::time::{Duration, SystemTime};

/// 2Checkout promises how many attempts fall into the first five minutes; these come to the second.
const PROMISED: u64 = 5 * 60;
/// By how much of a delay an attempt may come earlier or later, so that what failed together is not tried again
/// together: a tenth.
const JITTER: u64 = 10;

/// The moments at which a delivery is tried again.
///
/// They hang on the first attempt, not on the last: attempts that were missed while the server was down are not made
/// up for in a burst, they are skipped. Each delivery has its own small deviation from the schedule, always the same,
/// so that a moment can be told again after a restart.
pub fn moments(schedule: &RetrySchedule, first: Timestamp, delivery: DeliveryId) -> impl Iterator<Item = Timestamp> {
    let delays = schedule.delays();
    let is_promised = *schedule == RetrySchedule::TwoCheckout;
    let mut offset = 0_u64;
    (0..delays.len()).map(move |step| {
        let delay = u64::from(delays[step]);
        offset += delay;
        let moment = first.plus(Duration::from_secs(offset));
        if is_promised && offset <= PROMISED {
            return moment;
        }
        // Never so much that one attempt would come after the next, and at the end never later than was said.
        let next = delays.get(step + 1).map_or(0, |next| u64::from(*next));
        let most = delay.min(if next == 0 { delay } else { next }) * 1_000_000 / JITTER;
        let dice = mixed(delivery.0 as u64 ^ (step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let deviation = Duration::from_micros(dice % (most + 1));
        if dice >> 63 == 0 || next == 0 { moment.minus(deviation) } else { moment.plus(deviation) }
    })
}

/// When a delivery is tried again, or `None` where its schedule is used up.
///
/// `started` and `ended` are of the attempt that failed: a moment that passed during the attempt is due now. A server
/// that named a moment in its answer (`not_before`) is not asked earlier.
pub fn next_attempt(
    schedule: &RetrySchedule,
    first: Timestamp,
    delivery: DeliveryId,
    (started, ended): (Timestamp, Timestamp),
    not_before: Option<Timestamp>,
) -> Option<Timestamp> {
    let after = |moment: Timestamp| moments(schedule, first, delivery).find(|due| *due > moment);
    let due = after(started)?.max(ended);
    match not_before {
        // Beyond the end of the schedule there is no moment to wait for; what was told is one.
        Some(told) if told > due => Some(after(told).unwrap_or(told)),
        _ => Some(due),
    }
}

/// The longest pause that a server may ask for.
pub const LONGEST_TOLD: Duration = Duration::from_secs(3_600);

/// When a server wants to be asked again: what `Retry-After` says, in seconds or as a date, an hour from now at most.
/// `None` where it cannot be read, or lies in the past.
pub fn told(retry_after: &str, now: Timestamp) -> Option<Timestamp> {
    let text = retry_after.trim();
    let moment = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        now.plus(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        Timestamp::default().plus(date.duration_since(SystemTime::UNIX_EPOCH).ok()?)
    };
    (moment > now).then(|| moment.min(now.plus(LONGEST_TOLD)))
}

/// SplitMix64: spreads numbers that lie close together.
const fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIRST: Timestamp = Timestamp::from_seconds(1_000_000);
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;

    fn at(seconds: u64) -> Timestamp {
        FIRST.plus(Duration::from_secs(seconds))
    }

    fn schedules() -> impl Strategy<Value = RetrySchedule> {
        let own = proptest::collection::vec(5_u32..20_000, 1..40).prop_map(|delays| RetrySchedule::Own(delays.into()));
        prop_oneof![proptest::sample::select(RetrySchedule::PRESETS.to_vec()), own]
    }

    /// After an attempt that took no time.
    fn next(schedule: &RetrySchedule, delivery: i64, now: Timestamp) -> Option<Timestamp> {
        next_attempt(schedule, FIRST, DeliveryId(delivery), (now, now), None)
    }

    #[test]
    fn the_first_five_minutes_of_the_documented_table_are_exact() {
        for delivery in 0..100 {
            let moments: Vec<_> = moments(&RetrySchedule::TwoCheckout, FIRST, DeliveryId(delivery)).collect();
            assert_eq!(moments[..2], [at(150), at(300)]);
            assert!(moments.iter().all(|moment| *moment <= at(48 * HOUR)));
            assert_eq!(moments.len() + 1, 53);
        }
    }

    #[test]
    fn what_failed_together_spreads() {
        let third = |delivery| moments(&RetrySchedule::TwoCheckout, FIRST, DeliveryId(delivery)).nth(2).unwrap();
        let moments: std::collections::HashSet<_> = (0..100).map(third).collect();
        assert!(moments.len() > 90);
        let early = (0..1_000).filter(|delivery| third(*delivery) < at(20 * MINUTE)).count();
        assert!((300..700).contains(&early), "as often early as late: {early}");
    }

    #[test]
    fn attempts_missed_in_an_outage_are_skipped() {
        let due = next(&RetrySchedule::TwoCheckout, 1, at(3 * HOUR + 30 * MINUTE)).unwrap();
        assert!(due.since(at(4 * HOUR + 5 * MINUTE)).as_secs() <= 6 * MINUTE && due > at(3 * HOUR + 58 * MINUTE));
        assert_eq!(next(&RetrySchedule::TwoCheckout, 1, at(3 * 24 * HOUR)), None);
    }

    #[test]
    fn an_attempt_that_took_long_skips_nothing() {
        let schedule = RetrySchedule::Own([5, 60].into());
        let due = next_attempt(&schedule, FIRST, DeliveryId(1), (FIRST, at(30)), None);
        assert_eq!(due, Some(at(30)), "the first moment passed while we waited for the answer");
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_within_an_hour() {
        let now = Timestamp::from_seconds(1_445_412_400); // Wed, 21 Oct 2015 07:26:40 GMT
        let after = |seconds: u64| Some(now.plus(Duration::from_secs(seconds)));
        for (text, expected) in [
            ("120", after(120)),
            (" 1 ", after(1)),
            ("0", None),
            ("86400", after(3_600)),
            ("99999999999999999999", after(3_600)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", after(80)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", None),
            ("Fri, 01 Jan 2100 00:00:00 GMT", after(3_600)),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("", None),
        ] {
            assert_eq!(told(text, now), expected, "{text:?}");
        }
    }

    #[test]
    fn a_server_that_names_a_moment_is_not_asked_before() {
        let schedule = RetrySchedule::TwoCheckout;
        let told = |started, told| next_attempt(&schedule, FIRST, DeliveryId(1), (started, started), Some(told));
        assert_eq!(told(FIRST, at(100)), Some(at(150)), "the schedule is later");
        assert_eq!(told(FIRST, at(200)), Some(at(300)), "the next moment of the schedule");
        let last = moments(&schedule, FIRST, DeliveryId(1)).last().unwrap();
        let before = last.minus(Duration::from_secs(60));
        assert_eq!(told(before, last.plus(Duration::from_secs(60))), Some(last.plus(Duration::from_secs(60))));
        assert_eq!(told(last, at(49 * HOUR)), None, "the schedule is used up");
    }

    proptest! {
        #[test]
        fn moments_go_forward_and_deviate_by_a_tenth_at_most(schedule in schedules(), delivery in any::<i64>()) {
            let delays = schedule.delays();
            let moments: Vec<_> = moments(&schedule, FIRST, DeliveryId(delivery)).collect();
            prop_assert_eq!(moments.len(), delays.len());
            prop_assert!(moments.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", moments);
            let mut offset = 0;
            for (moment, delay) in moments.iter().zip(&delays) {
                offset += u64::from(*delay);
                let deviation = moment.since(at(offset)).max(at(offset).since(*moment));
                prop_assert!(deviation.as_micros() <= u128::from(*delay) * 100_000);
            }
            prop_assert!(*moments.last().unwrap() <= at(offset), "never beyond the end");
        }

        #[test]
        fn the_next_attempt_lies_ahead(schedule in schedules(), delivery in any::<i64>(), elapsed in 0_u64..300_000) {
            let now = at(elapsed);
            let window: u64 = schedule.delays().iter().map(|delay| u64::from(*delay)).sum();
            match next(&schedule, delivery, now) {
                Some(due) => prop_assert!(due > now && due <= at(window)),
                None => prop_assert!(elapsed as f64 >= window as f64 * 0.9 - 1.0),
            }
        }
    }
}
