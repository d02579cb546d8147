//! How often refused messages are kept: a few at once, then one a second for each listener, so that a flood neither
//! fills the disk nor takes the writer's time from messages that are right. The table keeps the last 500 of each.

use crate::domain::{Timestamp, id::ListenerId};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

const BURST: u32 = 20;
const EVERY_MICROS: i64 = 1_000_000;

#[derive(Clone, Copy)]
struct Bucket {
    tokens: u32,
    filled_at: Timestamp,
    suppressed: u32,
}

/// The buckets, one for each listener and one for addresses that belong to none.
pub struct Refusals(Mutex<HashMap<Option<ListenerId>, Bucket>>);

impl Refusals {
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    /// Whether a refusal may be kept; if so, how many before it were not.
    pub fn admit(&self, listener: Option<ListenerId>, now: Timestamp) -> Option<u32> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(listener).or_insert(Bucket { tokens: BURST, filled_at: now, suppressed: 0 });
        // The clock was set back: nothing may wait until it has caught up.
        bucket.filled_at = bucket.filled_at.min(now);
        let earned = (now.micros() - bucket.filled_at.micros()).div_euclid(EVERY_MICROS).max(0);
        if earned > 0 {
            bucket.tokens = bucket.tokens.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            bucket.filled_at = Timestamp(bucket.filled_at.micros() + earned * EVERY_MICROS);
        }
        if bucket.tokens == 0 {
            bucket.suppressed = bucket.suppressed.saturating_add(1);
            return None;
        }
        bucket.tokens -= 1;
        Some(std::mem::take(&mut bucket.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_counted_and_mostly_not_kept() {
        let refusals = Refusals::new();
        let start = Timestamp::from_seconds(1_000);
        let kept = (0..1_000).filter(|_| refusals.admit(None, start).is_some()).count();
        assert_eq!(kept, 20);
        assert_eq!(refusals.admit(Some(ListenerId(1)), start), Some(0), "each listener has its own");
        assert_eq!(refusals.admit(None, start.plus(Duration::from_millis(999))), None);
        assert_eq!(refusals.admit(None, start.plus(Duration::from_secs(1))), Some(981));
        assert_eq!(refusals.admit(None, start.plus(Duration::from_secs(1))), None);
        let later = start.plus(Duration::from_secs(3_600));
        assert_eq!((0..1_000).filter(|_| refusals.admit(None, later).is_some()).count(), 20);
    }
}
