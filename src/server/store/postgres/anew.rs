//! Segments written anew, close together, into a second table, which then takes the place of the first: the bytes of large ones
//! lie beside the rows, where PostgreSQL lets nobody move single ones, and are most of what retention frees.
//!
//! What a segment holds is never changed, and only retention removes segments, which is kept away meanwhile. So all of it is
//! copied beside what goes on, and then what came since, until little is left. That little is copied under a lock, for which
//! everybody waits: a second at most, or nothing has changed. Only ids that may still come are looked through for it (`LATE`).
//! Who was cut off for longer may have stored older ones just then. So all of both tables is compared once more after the
//! exchange, where nobody waits for it, and only then the first is emptied.
//!
//! Who has taken a snapshot before and has not touched the table yet would find it empty: whoever reads more than one statement
//! from one snapshot locks it first. `pg_dump` does so a moment too late, and is waited for.

use super::nodes::CLOCKS_APART;
use crate::server::{
    clock::Clock,
    store::{StoreError, ids::IdSource},
};
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};

/// Segments copied together, each of up to some ten kilobytes.
const AT_A_TIME: i64 = 64;
/// What came meanwhile is little where it is no more than this.
const LITTLE: u64 = 64;
/// So long after its id was made a segment may come: most come at once, but a connection may break in the middle of a commit.
const LATE: Duration = CLOCKS_APART.saturating_add(Duration::from_secs(9 * 60));
/// How often the tables may try to change their names, and the pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// How long everybody may have to wait for one try, from its first statement to its last.
const AT_MOST: Duration = Duration::from_secs(1);

/// What changes the names: of the tables, and of what makes them unique. The comment tells `clear` which table this one was.
const EXCHANGE: [&str; 7] = [
    "ALTER TABLE segment RENAME TO segment_before",
    "ALTER TABLE segment_anew RENAME TO segment",
    "ALTER TABLE segment_before RENAME TO segment_anew",
    "ALTER INDEX segment_pkey RENAME TO segment_before_pkey",
    "ALTER INDEX segment_anew_pkey RENAME TO segment_pkey",
    "ALTER INDEX segment_before_pkey RENAME TO segment_anew_pkey",
    "COMMENT ON TABLE segment_anew IS 'the segments as they lay before'",
];
/// A dump may read the second table for hours.
const EMPTY: &str = "SET LOCAL lock_timeout = '3s'; TRUNCATE segment_anew; COMMENT ON TABLE segment_anew IS NULL";

/// Empties what a copy that did not end has left. `false` where somebody is in the way.
pub(super) async fn forget(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let is_large: bool = sqlx::query_scalar("SELECT pg_table_size('segment_anew') > 65536").fetch_one(&mut *conn).await?;
    if is_large || was_first(conn).await? { Ok(clear(conn).await?) } else { Ok(true) }
}

/// Whether the second table is the one that was the first.
async fn was_first(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT obj_description('segment_anew'::regclass, 'pg_class') IS NOT NULL").fetch_one(conn).await
}

/// Whether a dump is being made.
pub(super) async fn is_dumped(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'pg_dump%')",
    )
    .fetch_one(conn)
    .await
}

/// Writes all segments anew. `false` where the time was too short, or somebody needed the table at each try: nothing has changed.
pub(super) async fn write(conn: &mut PgConnection, clock: &Clock, until: Instant) -> Result<bool, StoreError> {
    let written = copy_and_exchange(conn, clock, until).await;
    // Whatever came of it: what is too much on the disk is gone before the next hour.
    let cleared = clear(conn).await;
    let written = written?;
    cleared?;
    Ok(written)
}

/// Empties the second table; where it was the first, not before all that came late is taken from it. `false` where somebody is in
/// the way, and it is to be done another time.
async fn clear(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if was_first(conn).await? {
        // But for what retention may have removed since, where this is done an hour later.
        let late = sqlx::query(
            "INSERT INTO segment (id, bytes) SELECT id, bytes FROM segment_anew
             WHERE id >= (SELECT coalesce((SELECT value::bigint FROM meta WHERE key = 'bytes_kept_from'), 0))
                 AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = segment_anew.id)
             ON CONFLICT (id) DO NOTHING",
        )
        .execute(&mut *conn)
        .await?
        .rows_affected();
        if late > 0 {
            tracing::info!(late, "segments that were stored while all were written anew were taken over behind it");
        }
    }
    match sqlx::raw_sql(EMPTY).execute(conn).await {
        Ok(_) => Ok(true),
        Err(error) if is_in_the_way(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lets a copy take the place of the table. `false` as for [`write()`].
async fn copy_and_exchange(conn: &mut PgConnection, clock: &Clock, until: Instant) -> Result<bool, sqlx::Error> {
    if !clear(conn).await? {
        return Ok(false);
    }
    let mut from = may_come(conn, clock).await?;
    let mut last = Some(i64::MIN);
    while let Some(after) = last {
        if Instant::now() >= until {
            return Ok(false);
        }
        let begun = Instant::now();
        last = sqlx::query_scalar(
            "WITH next AS (SELECT id, bytes FROM segment WHERE id > $1 ORDER BY id LIMIT $2),
                 copied AS (INSERT INTO segment_anew (id, bytes) SELECT id, bytes FROM next)
             SELECT max(id) FROM next",
        )
        .bind(after)
        .bind(AT_A_TIME)
        .fetch_one(&mut *conn)
        .await?;
        tokio::time::sleep(begun.elapsed()).await;
    }
    // So that it is known how many there are.
    sqlx::raw_sql("ANALYZE segment_anew").execute(&mut *conn).await?;
    loop {
        let (next, copied) = follow(conn, clock, from).await?;
        from = next;
        if copied <= LITTLE {
            break;
        }
        if Instant::now() >= until {
            return Ok(false);
        }
    }
    for again in 0..TRIES {
        if again > 0 {
            tokio::time::sleep(PAUSE).await;
            from = follow(conn, clock, from).await?.0;
        }
        match exchange(conn, from).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) if is_in_the_way(&error) => {}
            // It would not take less the next time, and everybody has waited for it.
            Err(error) if takes_too_long(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Copies what has come since; gives the smallest id that may come from now on, and how many were copied.
async fn follow(conn: &mut PgConnection, clock: &Clock, from: i64) -> Result<(i64, u64), sqlx::Error> {
    // Asked before: what comes in between is looked for the next time, too.
    let next = may_come(conn, clock).await?;
    Ok((next, catch_up(conn, from).await?))
}

/// The smallest id of which a segment may come from now on.
async fn may_come(conn: &mut PgConnection, clock: &Clock) -> Result<i64, sqlx::Error> {
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM segment").fetch_one(conn).await?;
    // Neither a clock of the past that was wrong nor this one alone may hide what comes.
    Ok(IdSource::earlier(last.min(IdSource::floor(clock.now().millis())), LATE))
}

/// Copies what is not copied yet, of ids from this one on.
async fn catch_up(conn: &mut PgConnection, from: i64) -> Result<u64, sqlx::Error> {
    let copied = sqlx::query(
        "INSERT INTO segment_anew (id, bytes) SELECT id, bytes FROM segment WHERE id >= $1
             AND NOT EXISTS (SELECT 1 FROM segment_anew WHERE segment_anew.id = segment.id AND segment_anew.id >= $1)",
    )
    .bind(from)
    .execute(conn)
    .await?;
    Ok(copied.rows_affected())
}

/// Lets the tables change their names, if nobody has to wait long for it; `false` where a dump is being made.
async fn exchange(conn: &mut PgConnection, from: i64) -> Result<bool, sqlx::Error> {
    // Each statement has to see what was committed while it waited for the lock.
    let mut tx = conn.begin_with("BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    // Of both tables only the end is read, whatever the planner thinks of it.
    sqlx::raw_sql("SET LOCAL lock_timeout = '300ms'; SET LOCAL enable_seqscan = off").execute(&mut *tx).await?;
    let begun = Instant::now();
    bound(&mut tx, begun).await?;
    sqlx::query("LOCK TABLE segment, segment_anew IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    bound(&mut tx, begun).await?;
    catch_up(&mut tx, from).await?;
    bound(&mut tx, begun).await?;
    let (all, copied): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM segment WHERE id >= $1),
             (SELECT count(*) FROM segment_anew WHERE id >= $1)",
    )
    .bind(from)
    .fetch_one(&mut *tx)
    .await?;
    if all != copied {
        return Err(sqlx::Error::Protocol(format!("of the last {all} segments {copied} were copied")));
    }
    for statement in EXCHANGE {
        bound(&mut tx, begun).await?;
        sqlx::raw_sql(statement).execute(&mut *tx).await?;
    }
    bound(&mut tx, begun).await?;
    // As late as possible: it may have begun while the lock was held.
    if is_dumped(&mut tx).await? { tx.rollback().await.map(|()| false) } else { tx.commit().await.map(|()| true) }
}

/// Gives the next statement what is left of the time for all of them.
async fn bound(conn: &mut PgConnection, begun: Instant) -> Result<(), sqlx::Error> {
    // Zero would be no bound at all.
    let left = AT_MOST.saturating_sub(begun.elapsed()).as_millis().max(1);
    sqlx::query("SELECT set_config('statement_timeout', $1, true)").bind(left.to_string()).execute(conn).await?;
    Ok(())
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| codes.contains(&code.as_ref()))
}

/// Whether somebody held the table.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    has_code(error, &["55P03", "40P01"])
}

/// Whether it would take longer than everybody may wait.
fn takes_too_long(error: &sqlx::Error) -> bool {
    has_code(error, &["57014"])
}
