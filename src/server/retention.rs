//! Retention: what is older than it is kept goes, a few rows at a time, so that nothing only grows.
//!
//! Lives here: how long things are kept, and when that is looked after. What is removed, and how, is the store's.

use crate::domain::Timestamp;
use crate::server::{
    clock::Clock,
    settings::Keep,
    store::{Horizon, Look, Removed, RetentionCursor, Store, StoreError},
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

/// A clock that has gone on by more than this since retention was last looked after is believed only after a while: what a wrong
/// clock has removed does not come back, and most wrong clocks are put right soon after a start.
const LEAP: Duration = Duration::from_secs(2 * 24 * 60 * 60);
const BELIEVED_AFTER: Duration = DAY;

/// What is known of the clock after a look at it, and whether it began to be doubted by that. A doubt ends when the clock has gone on
/// for a day without another leap, whichever processes looked at it meanwhile, or when it was put right.
fn looked_at(last: Look, now: Timestamp) -> (Look, bool) {
    let leapt = last.at.is_some_and(|at| now.minus(LEAP) > at);
    let since = if leapt { Some(now) } else { last.doubted_since };
    let doubted_since = since.filter(|since| *since <= now && now.minus(BELIEVED_AFTER) < *since);
    (Look { at: Some(now), doubted_since }, leapt)
}

/// Looks at the clock; whether it is believed.
async fn believes(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    let (look, leapt) = looked_at(store.retention_look().await?, now);
    store.note_retention_look(look).await?;
    if leapt {
        tracing::warn!(
            "retention was last looked after more than two days ago by this machine's clock; nothing is removed for a day, \
             because the clock may be wrong. Check it"
        );
    }
    Ok(look.doubted_since.is_none())
}

/// Looks after it now and then, for ever.
pub async fn run(store: Store, clock: Clock, keep: Keep) {
    tokio::time::sleep(FIRST_AFTER).await;
    loop {
        match believes(&store, clock.now()).await {
            Ok(true) => {}
            Ok(false) => {
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
        let start = Timestamp::from_seconds(1_800_000_000);
        let mut look = Look::default();
        let mut believed_after = |hours: u32| {
            look = looked_at(look, start.plus(EVERY * hours)).0;
            look.doubted_since.is_none()
        };
        assert!(believed_after(0), "a new installation");
        assert!(believed_after(48) && believed_after(49));
        // Off over a long week-end. That processes come and go meanwhile makes no difference.
        assert!(!believed_after(49 + 62) && !believed_after(49 + 63) && !believed_after(49 + 62 + 23));
        assert!(believed_after(49 + 62 + 24));
        // Far ahead, and put right.
        assert!(!believed_after(24 * 365) && believed_after(140) && believed_after(141));
        // And again, for longer.
        assert!(!believed_after(24 * 365) && !believed_after(24 * 365 + 12) && !believed_after(24 * 400));
        assert!(!believed_after(24 * 400 + 23) && believed_after(24 * 401));
    }
}
