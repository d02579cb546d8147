//! What would be told of again and again while something lasts is told of now and then: in an outage everybody who is served finds
//! out by himself, and a line of the log for each would bury all others.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// From one line on a subject to the next.
const PAUSE: Duration = Duration::from_secs(10);

/// Which subjects were told of lately.
#[derive(Default)]
pub struct Seldom(Mutex<BTreeMap<&'static str, Told>>);

struct Told {
    last: Instant,
    /// What happened since then, and was not told of.
    since: u64,
}

impl Seldom {
    /// Nothing was told yet.
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Whether a subject is to be told of now, with how often it was not since the last time.
    pub fn due(&self, subject: &'static str) -> Option<u64> {
        self.due_at(subject, Instant::now())
    }

    fn due_at(&self, subject: &'static str, now: Instant) -> Option<u64> {
        let mut subjects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match subjects.get_mut(subject) {
            Some(told) if now.duration_since(told.last) < PAUSE => {
                told.since += 1;
                None
            }
            told => {
                let since = told.map_or(0, |told| told.since);
                subjects.insert(subject, Told { last: now, since: 0 });
                Some(since)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_fills_no_log_and_hides_nothing_else() {
        let (seldom, start) = (Seldom::new(), Instant::now());
        let at = |subject, millis| seldom.due_at(subject, start + Duration::from_millis(millis));
        assert_eq!(at("bodies", 0), Some(0));
        assert!((1..10_000).step_by(300).all(|millis| at("bodies", millis).is_none()));
        assert_eq!(at("lanes", 5_000), Some(0));
        assert_eq!(at("bodies", 10_000), Some(34), "those that were not told of are counted");
        assert_eq!((at("bodies", 10_001), at("bodies", 30_000)), (None, Some(1)));
    }
}
