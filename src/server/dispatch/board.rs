//! What pages may know of the scheduler: which URLs get less than they could, and why. Written by the dispatcher's loop,
//! read by services; a moment behind at most.

use crate::domain::{Timestamp, id::UrlId, pages::dashboard::Pause};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The pauses of URLs. Empty where no dispatcher runs.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<HashMap<UrlId, Pause>>>);

impl Board {
    fn pauses(&self) -> MutexGuard<'_, HashMap<UrlId, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause of a URL, if it has one now.
    pub fn pause(&self, url_id: UrlId, now: Timestamp) -> Option<Pause> {
        let is_over = |pause: &Pause| matches!(pause, Pause::Told { until } if *until <= now);
        self.pauses().get(&url_id).copied().filter(|pause| !is_over(pause))
    }

    /// Notes how a URL stands.
    pub(super) fn note(&self, url_id: UrlId, pause: Option<Pause>) {
        let mut pauses = self.pauses();
        match pause {
            Some(pause) => pauses.insert(url_id, pause),
            None => pauses.remove(&url_id),
        };
    }
}
