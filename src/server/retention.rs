//! Retention: what is older than it is kept goes, a few rows at a time, so that nothing only grows.
//!
//! Lives here: how long things are kept, and when that is looked after. What is removed, and how, is the store's.

use crate::server::{
    clock::Clock,
    settings::Keep,
    store::{Horizon, Removed, RetentionCursor, Store, StoreError},
};
use std::time::Duration;

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

/// Looks after it now and then, for ever.
pub async fn run(store: Store, clock: Clock, keep: Keep) {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
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
async fn forget_mails(store: &Store, before: crate::domain::Timestamp) -> Result<u64, StoreError> {
    let mut removed = 0;
    loop {
        match store.forget_mails(before).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Removes everything that is older than a horizon.
pub async fn once(store: &Store, horizon: Horizon) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    let mut cursor = Some(RetentionCursor::default());
    while let Some(at) = cursor {
        let (step, next) = store.retain(horizon, at).await?;
        removed += step;
        cursor = next;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

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
