//! The clock that schedules and time stamps go by. Tests turn it by hand.

use crate::domain::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Tells the time and waits for it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
    /// Of the runtime: where a test pauses it, days pass in no time.
    #[cfg(test)]
    Runtime(Timestamp, tokio::time::Instant),
}

/// Turns a manual clock.
#[derive(Clone)]
pub struct ClockHand(Arc<watch::Sender<Timestamp>>);

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its hand is turned.
    pub fn manual(start: Timestamp) -> (Self, ClockHand) {
        let sender = Arc::new(watch::channel(start).0);
        (Self(Source::Manual(sender.clone())), ClockHand(sender))
    }

    /// The clock of the runtime that this is called in, counted on from a moment.
    #[cfg(test)]
    pub fn of_runtime(start: Timestamp) -> Self {
        Self(Source::Runtime(start, tokio::time::Instant::now()))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp::default().plus(since)
            }
            Source::Manual(sender) => *sender.borrow(),
            #[cfg(test)]
            Source::Runtime(start, begun) => start.plus(begun.elapsed()),
        }
    }

    /// Waits until a moment has come; returns at once where it lies in the past.
    pub async fn sleep_until(&self, moment: Timestamp) {
        match &self.0 {
            // The machine's clock may be set while we sleep, so a long sleep looks at it now and then.
            Source::System => loop {
                let left = moment.since(self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(Duration::from_secs(60))).await;
            },
            Source::Manual(sender) => {
                let mut watcher = sender.subscribe();
                // The sender lives in `self`, so waiting cannot fail.
                let _ = watcher.wait_for(|now| *now >= moment).await;
            }
            #[cfg(test)]
            Source::Runtime(start, begun) => tokio::time::sleep_until(*begun + moment.since(*start)).await,
        }
    }
}

impl ClockHand {
    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.0.send_modify(|now| *now = now.plus(span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_who_waits_when_it_is_turned() {
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(100));
        let waiting = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Timestamp::from_seconds(160)).await }
        });
        hand.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        hand.advance(Duration::from_secs(1));
        waiting.await.unwrap();
        assert_eq!(clock.now(), Timestamp::from_seconds(160));
    }
}
