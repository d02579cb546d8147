//! What is told of a store that cannot be read: in an outage every delivery that is due finds that out, and each would say so.

use crate::server::store::StoreError;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// From one line of the log to the next.
const PAUSE: Duration = Duration::from_secs(10);

/// Reads that failed, a line of the log for many of them.
#[derive(Default)]
pub struct Unread(Mutex<Told>);

#[derive(Default)]
struct Told {
    last: Option<Instant>,
    /// Reads that failed since then.
    since: u64,
}

impl Unread {
    /// What could not be read, and is tried again.
    pub(super) fn tell(&self, what: &'static str, error: &StoreError) {
        if let Some(others) = self.due(Instant::now()) {
            tracing::warn!(%error, what, others, "the store could not be read; trying again");
        }
    }

    /// Whether a line is due, and how many others failed since the last one.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.last.is_some_and(|last| now.duration_since(last) < PAUSE) {
            told.since += 1;
            return None;
        }
        told.last = Some(now);
        Some(std::mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_fills_no_log() {
        let (unread, start) = (Unread::default(), Instant::now());
        let at = |millis| unread.due(start + Duration::from_millis(millis));
        assert_eq!(at(0), Some(0));
        assert!((1..10_000).step_by(300).all(|millis| at(millis).is_none()));
        assert_eq!(at(10_000), Some(34), "those that were not told of are counted");
        assert_eq!((at(10_001), at(30_000)), (None, Some(1)));
    }
}
