//! Segments written anew, close together, into a second table, which then takes the place of the first: their bytes lie beside
//! the rows, where PostgreSQL lets nobody move single ones, and are most of what retention frees.
//!
//! Segments are never changed, and only retention removes them, which is kept away meanwhile. So all of it is copied beside what goes on, and
//! only what came since is copied under a lock, for which everybody waits: a moment, or it is tried again later.
//!
//! Who has taken a snapshot before and has not touched the table yet would find it empty: whoever reads more than one statement from one
//! snapshot locks it first. `pg_dump` does so a moment too late, and is waited for.

use crate::server::store::StoreError;
use sqlx::{Connection as _, PgConnection};
use std::time::{Duration, Instant};

/// Segments copied together, each of some ten kilobytes.
const AT_A_TIME: i64 = 64;
/// How often the tables may try to change their names, and the pause between.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// What changes the names: of the tables, and of what makes them unique.
const EXCHANGE: &str = "
    ALTER TABLE segment RENAME TO segment_before;
    ALTER TABLE segment_anew RENAME TO segment;
    ALTER TABLE segment_before RENAME TO segment_anew;
    ALTER INDEX segment_pkey RENAME TO segment_before_pkey;
    ALTER INDEX segment_anew_pkey RENAME TO segment_pkey;
    ALTER INDEX segment_before_pkey RENAME TO segment_anew_pkey;
    TRUNCATE segment_anew";

/// Empties what a copy that did not end has left.
pub(super) async fn forget(conn: &mut PgConnection) -> Result<(), StoreError> {
    let left: bool = sqlx::query_scalar("SELECT pg_table_size('segment_anew') > 65536").fetch_one(&mut *conn).await?;
    if left {
        sqlx::raw_sql("TRUNCATE segment_anew").execute(conn).await?;
    }
    Ok(())
}

/// Writes all segments anew. `false` where somebody needed the table all the time; then nothing has changed.
pub(super) async fn write(conn: &mut PgConnection) -> Result<bool, StoreError> {
    sqlx::raw_sql("TRUNCATE segment_anew").execute(&mut *conn).await?;
    let mut last = Some(i64::MIN);
    while let Some(after) = last {
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
    // So that few are left for the lock, and it is known how many there are.
    catch_up(conn).await?;
    sqlx::raw_sql("ANALYZE segment_anew").execute(&mut *conn).await?;
    for again in 0..TRIES {
        if again > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        match exchange(conn).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) if is_in_the_way(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    forget(conn).await?;
    Ok(false)
}

/// Copies what is not copied yet.
async fn catch_up(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO segment_anew (id, bytes) SELECT id, bytes FROM segment
         WHERE NOT EXISTS (SELECT 1 FROM segment_anew WHERE segment_anew.id = segment.id)",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets the tables change their names, if nobody has to wait long for it; `false` where a dump is being made.
async fn exchange(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let mut tx = conn.begin().await?;
    sqlx::raw_sql("SET LOCAL lock_timeout = '300ms'; SET LOCAL statement_timeout = '1s'").execute(&mut *tx).await?;
    sqlx::query("LOCK TABLE segment, segment_anew IN ACCESS EXCLUSIVE MODE").execute(&mut *tx).await?;
    catch_up(&mut tx).await?;
    let (all, copied): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM segment), (SELECT count(*) FROM segment_anew)").fetch_one(&mut *tx).await?;
    if all != copied {
        return Err(sqlx::Error::Protocol(format!("of {all} segments {copied} were copied")));
    }
    sqlx::raw_sql(EXCHANGE).execute(&mut *tx).await?;
    // As late as possible: it may have begun while the lock was held.
    let is_dumped: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'pg_dump%')",
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_dumped { tx.rollback().await.map(|()| false) } else { tx.commit().await.map(|()| true) }
}

/// Whether somebody held the table, or the rest took longer than everybody may wait.
fn is_in_the_way(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    matches!(code.as_ref(), "55P03" | "57014" | "40P01")
}
