//! The two tasks that keep a node in its place: one that only says that it lives, and one that looks again and again for
//! what notes may have failed to tell: changed settings, deliveries that nobody serves, errands, dead nodes.

use super::{Core, nodelay};
use crate::server::store::StoreError;
use sqlx::{ConnectOptions as _, PgConnection, Row as _};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

const BEAT_EVERY: Duration = Duration::from_secs(2);
/// A heartbeat that takes longer is given up, so that the next can be in time.
const BEAT_PATIENCE: Duration = Duration::from_millis(1_500);
/// Pause before another try of a heartbeat that failed.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const BURY_EVERY: Duration = Duration::from_secs(1);
/// Leases are held against deliveries again, and pages that nobody writes are folded.
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// How long taking a new place may last, which gives up on what the node had.
const PLACE_PATIENCE: Duration = Duration::from_secs(30);
/// How long one look may last. Each does a bounded piece of work.
const LOOK_PATIENCE: Duration = Duration::from_secs(60);

/// Says that the node lives, on a connection of its own that nothing else can hold up.
pub(super) async fn live(core: Arc<Core>) {
    let mut conn: Option<PgConnection> = None;
    let mut failing = false;
    loop {
        let beaten = tokio::time::timeout(BEAT_PATIENCE, beat(&core, &mut conn)).await;
        let pause = match beaten {
            Ok(Ok(true)) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("the database is told again that this node lives");
                }
                BEAT_EVERY
            }
            Ok(Ok(false)) => {
                if let Some(open) = &mut conn {
                    match tokio::time::timeout(PLACE_PATIENCE, core.begin_anew(open)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "the node cannot take a new place; trying again"),
                        Err(_) => {
                            tracing::warn!("the node got no new place in time; trying again");
                            conn = None;
                        }
                    }
                }
                BEAT_AGAIN
            }
            Ok(Err(error)) => {
                // Told once, however long it lasts.
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "the database was not told that this node lives; trying again");
                }
                conn = None;
                BEAT_AGAIN
            }
            Err(_) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!("the database was not told in time that this node lives; trying again");
                }
                conn = None;
                BEAT_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn beat(core: &Core, conn: &mut Option<PgConnection>) -> Result<bool, StoreError> {
    let conn = match conn {
        Some(conn) => conn,
        None => {
            let new = core.line_options.connect().await?;
            nodelay::hurry(core.line_options.get_port());
            conn.insert(new)
        }
    };
    core.heartbeat(conn).await
}

/// Looks for what others did.
pub(super) async fn look(core: Arc<Core>) {
    let mut buried = Instant::now();
    let mut tidied = Instant::now();
    let mut failing = false;
    loop {
        let _ = tokio::time::timeout(LOOK_EVERY, core.kick.notified()).await;
        let mut looked = in_time(look_once(&core)).await;
        if looked.is_ok() && buried.elapsed() >= BURY_EVERY {
            buried = Instant::now();
            looked = in_time(bury(&core)).await;
        }
        if looked.is_ok() && (tidied.elapsed() >= TIDY_EVERY || core.unsettled.swap(false, Ordering::SeqCst)) {
            tidied = Instant::now();
            looked = in_time(tidy(&core)).await;
        }
        match looked {
            Ok(()) => failing = false,
            // Told once: the heartbeat's task tells how it goes on.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "could not look for what other nodes did; trying again");
            }
            Err(_) => {}
        }
    }
}

/// Gives up on a database that says nothing, however long the system would wait for it.
async fn in_time(work: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
    match tokio::time::timeout(LOOK_PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::Unavailable("the database does not answer".to_owned())),
    }
}

async fn look_once(core: &Core) -> Result<(), StoreError> {
    let place = core.present();
    let row = sqlx::query(
        "SELECT (SELECT value::bigint FROM meta WHERE key = 'settings_version'),
             EXISTS (SELECT 1 FROM delivery WHERE node_id = 0 AND state IN (0, 2))
                 OR EXISTS (SELECT 1 FROM node WHERE ended_at IS NOT NULL
                     AND EXISTS (SELECT 1 FROM delivery WHERE delivery.node_id = node.id AND state IN (0, 2))),
             EXISTS (SELECT 1 FROM errand WHERE node_id = $1),
             NOT EXISTS (SELECT 1 FROM node WHERE id <> $1 AND ended_at IS NULL)",
    )
    .bind(place.node)
    .fetch_one(&core.pool)
    .await?;
    let version = row.try_get::<Option<i64>, _>(0)?.unwrap_or(0);
    if version != core.directory.borrow().version {
        core.reload(version).await?;
    }
    core.set_alone(row.try_get(3)?);
    core.forget_others();
    core.announce_inherited().await?;
    if row.try_get(2)? {
        core.run_errands().await?;
    }
    if row.try_get(1)? {
        core.adopt().await?;
    }
    Ok(())
}

async fn bury(core: &Core) -> Result<(), StoreError> {
    let mut conn = core.pool.acquire().await?;
    core.bury(&mut conn).await
}

async fn tidy(core: &Core) -> Result<(), StoreError> {
    core.settle_leases().await?;
    let mut conn = core.pool.acquire().await?;
    core.fold(&mut conn).await
}
