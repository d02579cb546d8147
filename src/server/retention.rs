//! Retention: what is older than it is kept goes, a few rows at a time, so that nothing only grows.
//!
//! Lives here: how long things are kept, and when that is looked after. What is removed, and how, is the store's.

use crate::domain::Timestamp;
use crate::server::{
    clock::Clock,
    settings::Keep,
    store::{Horizon, Removed, RetentionCursor, Store, StoreError},
};
use std::time::Duration;
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// First after the start, when the server has other things to do.
const FIRST_AFTER: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Between two steps, so that acceptances and results have the disk in between.
const PAUSE: Duration = Duration::from_millis(20);

fn horizon(keep: Keep, clock: &Clock) -> Horizon {
    let before = |days: u32| if days == 0 { Default::default() } else { clock.now().minus(DAY * days) };
    // Without their rows nobody would look at bytes again.
    let (bytes, ledger) = (before(keep.bytes), before(keep.ledger));
    Horizon { bytes_before: bytes.max(ledger), ledger_before: ledger }
}

/// A merchant's key before the last is kept so long after it has ended: it tells a script that still has it from one that has
/// no key of ours.
const OLD_KEYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A clock that has gone on by more than this since retention was last looked after is believed only after a while: what a wrong
/// clock has removed does not come back, and most wrong clocks are put right soon after a start.
const LEAP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
const BELIEVED_AFTER: Duration = DAY;

/// Since when the clock has been far ahead of when retention was last looked after.
#[derive(Default)]
struct Doubt(Option<Instant>);

impl Doubt {
    /// Whether the clock is believed. Tells of it where it is doubted anew.
    fn believes(&mut self, last: Option<Timestamp>, clock: Timestamp, now: Instant) -> bool {
        if last.is_none_or(|last| clock.minus(LEAP) <= last) {
            self.0 = None;
            return true;
        }
        if self.0.is_none() {
            tracing::warn!(
                "retention was last looked after more than two days ago by this machine's clock; nothing is removed for a day, \
                 because the clock may be wrong. Check it"
            );
        }
        now.duration_since(*self.0.get_or_insert(now)) >= BELIEVED_AFTER
    }
}

/// Looks after it now and then, for ever.
pub async fn run(store: Store, clock: Clock, keep: Keep) {
    tokio::time::sleep(FIRST_AFTER).await;
    let mut doubt = Doubt::default();
    loop {
        let now = clock.now();
        match store.retained_at().await {
            Ok(last) if doubt.believes(last, now, Instant::now()) => {
                if let Err(error) = store.note_retained(now).await {
                    tracing::warn!(%error, "it could not be noted when retention was looked after");
                }
            }
            Ok(_) => {
                tokio::time::sleep(EVERY).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "retention could not be looked after; trying again in an hour");
                tokio::time::sleep(EVERY).await;
                continue;
            }
        }
        match store.forget_old_keys(clock.now().minus(OLD_KEYS)).await {
            Ok(0) => {}
            Ok(keys) => tracing::info!(keys, "removed secret keys that ended a while ago"),
            Err(error) => tracing::warn!(%error, "secret keys that ended could not be removed; trying again in an hour"),
        }
        match forget_mails(&store, horizon(keep, &clock).ledger_before).await {
            Ok(0) => {}
            Ok(mails) => tracing::info!(mails, "removed mails that are older than they are kept"),
            Err(error) => tracing::warn!(%error, "old mails could not be removed; trying again in an hour"),
        }
        match once(&store, horizon(keep, &clock)).await {
            Ok(removed) if removed == Removed::default() => {}
            Ok(removed) => tracing::info!(?removed, "removed what was older than it is kept"),
            Err(error) => tracing::warn!(%error, "what is older than it is kept could not be removed; trying again in an hour"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes mails that are older than a moment and wait for nothing.
async fn forget_mails(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        match store.forget_mails(before).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes everything that is older than a horizon. Where one kind of things cannot be removed, the others are all the same; the
/// last error is given at the end.
pub async fn once(store: &Store, horizon: Horizon) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut failed = None;
    let mut cursor = Some(RetentionCursor::default());
    while let Some(at) = cursor {
        cursor = match store.retain(horizon, at).await {
            Ok((step, next)) => {
                removed += step;
                next
            }
            Err(error) => {
                failed = Some(error);
                at.phase.next().map(|phase| RetentionCursor { phase, after: 0 })
            }
        };
        tokio::time::sleep(PAUSE).await;
    }
    failed.map_or(Ok(removed), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leapt_is_believed_after_a_day() {
        let (last, start) = (Timestamp::from_seconds(1_800_000_000), Instant::now());
        let after = |days: u32| last.plus(DAY * days);
        let mut doubt = Doubt::default();
        assert!(doubt.believes(None, last, start), "a new installation");
        assert!(doubt.believes(Some(last), after(2), start) && doubt.believes(Some(after(90)), last, start));
        assert!(!doubt.believes(Some(last), after(3), start));
        assert!(!doubt.believes(Some(last), after(3), start + DAY - EVERY));
        assert!(doubt.believes(Some(last), after(4), start + DAY), "a machine that was off for three days");
        // A clock that was put right meanwhile, and leaps again.
        assert!(doubt.believes(Some(last), last, start + DAY));
        assert!(!doubt.believes(Some(last), after(400), start + DAY + EVERY));
    }

    #[test]
    fn nothing_goes_before_its_time_and_zero_is_for_ever() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let clock = Clock::manual(now).0;
        let horizon = |bytes, ledger| horizon(Keep { bytes, ledger }, &clock);
        assert_eq!(horizon(90, 400), Horizon { bytes_before: now.minus(DAY * 90), ledger_before: now.minus(DAY * 400) });
        assert_eq!(horizon(0, 0), Horizon { bytes_before: Timestamp(0), ledger_before: Timestamp(0) });
        assert_eq!(horizon(0, 10).bytes_before, now.minus(DAY * 10), "no bytes without their rows");
    }
}
