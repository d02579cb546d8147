//! Connections over which no request has come yet. Whoever opens thousands of them and says nothing must not keep others
//! out: where all places are taken, the oldest of them goes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::Notify;

/// The silent connections, by the order in which they came.
#[derive(Clone, Default)]
pub struct Silent(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    last: u64,
    connections: BTreeMap<u64, Arc<Notify>>,
}

/// One connection's place among them, which it leaves when it speaks or ends.
#[derive(Clone)]
pub struct Place(Arc<Inner>);

struct Inner {
    number: u64,
    go: Arc<Notify>,
    has_spoken: AtomicBool,
    silent: Silent,
}

impl Silent {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection.
    pub fn add(&self) -> Place {
        let go = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.connections.insert(number, go.clone());
        Place(Arc::new(Inner { number, go, has_spoken: AtomicBool::new(false), silent: self.clone() }))
    }

    /// Tells the one that has been silent for the longest time to go.
    pub fn make_room(&self) {
        let oldest = self.waiting().connections.pop_first();
        if let Some((_, go)) = oldest {
            go.notify_one();
        }
    }
}

impl Place {
    /// A request has come: from now on it is served like any other. Only the first of a connection changes something.
    pub fn speaks(&self) {
        if !self.0.has_spoken.swap(true, Ordering::Relaxed) {
            self.0.silent.waiting().connections.remove(&self.0.number);
        }
    }

    /// Waits until it has to make room.
    pub async fn told_to_go(&self) {
        self.0.go.notified().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.silent.waiting().connections.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn the_oldest_that_has_said_nothing_makes_room() {
        let silent = Silent::default();
        let [speaker, first, second, ended] = [(); 4].map(|()| silent.add());
        speaker.speaks();
        drop(ended);
        silent.make_room();
        let told: Vec<bool> = [&speaker, &first, &second].map(|place| place.told_to_go().now_or_never().is_some()).into();
        assert_eq!(told, [false, true, false]);
        silent.make_room();
        assert!(second.told_to_go().now_or_never().is_some());
        silent.make_room();
        assert!(speaker.told_to_go().now_or_never().is_none(), "who has spoken stays");
    }
}
