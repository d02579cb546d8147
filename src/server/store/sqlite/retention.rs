//! Retention: what is old goes, a little at a time, and the file shrinks.
//!
//! Ids grow with time, so what is older than a moment is what has a smaller id; every step takes the next few from the
//! beginning and is one short transaction of the writer. What somebody still waits for stays: an open or held delivery
//! keeps its notification and its bytes.

use super::{SqliteStore, rows::json};
use crate::domain::Timestamp;
use crate::server::store::{
    Commit, Horizon, Look, Removed, RetentionCursor, RetentionPhase, StoreError, activity::kept_from, ids::IdSource,
};
use futures::future::BoxFuture;
use sqlx::{Row as _, SqliteConnection};
use std::time::Duration;

/// Rows that one step looks at: short enough that acceptances hardly wait.
const SEGMENTS: i64 = 32;
const DELIVERIES: i64 = 500;
const URLS: i64 = 200;
const NOTIFICATIONS: i64 = 250;
/// A notification's id is made before it waits for its commit, its segment's id in the commit: at most this much later, even
/// where the database is gone or the disk is full meanwhile.
const COMMIT_WAIT: Duration = Duration::from_secs(3600);
/// Segments of one step were made within this time.
const SPAN: Duration = Duration::from_secs(600);

/// Removes segments that nobody waits for. Only what is open is looked through of all that came in that hour.
pub(super) const FREE: &str = "DELETE FROM segment WHERE id IN (SELECT value FROM json_each(?1)) AND id NOT IN
     (SELECT notification.segment_id FROM delivery INDEXED BY delivery_open
      JOIN notification ON notification.id = delivery.notification_id
      WHERE delivery.notification_id BETWEEN ?2 AND ?3 AND delivery.state IN (0, 2, 3))";

/// The smallest id that can have been made at a moment.
fn floor(moment: Timestamp) -> i64 {
    IdSource::floor(moment.millis())
}

impl SqliteStore {
    /// When somebody last looked after retention, and since when he has doubted his clock.
    pub(in crate::server::store) async fn retention_look(&self) -> Result<Look, StoreError> {
        let (at, doubted): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT CAST(nullif(value, '') AS INTEGER) FROM meta WHERE key = 'retained_at'),
                 (SELECT CAST(nullif(value, '') AS INTEGER) FROM meta WHERE key = 'clock_doubted_since')",
        )
        .fetch_one(&self.0.readers)
        .await?;
        Ok(Look { at: at.map(Timestamp), doubted_since: doubted.map(Timestamp) })
    }

    /// Notes that somebody looks after retention.
    pub(in crate::server::store) async fn note_retention_look(&self, look: Look) -> Result<(), StoreError> {
        self.change(move |conn| -> BoxFuture<'_, _> {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO meta (key, value) VALUES ('retained_at', coalesce(?1, '')), ('clock_doubted_since', coalesce(?2, ''))
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                )
                .bind(look.at.map(|at| at.0.to_string()))
                .bind(look.doubted_since.map(|at| at.0.to_string()))
                .execute(conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Removes the next few things that are older than the horizon; gives what went and where to go on, or `None` at the
    /// end.
    pub(in crate::server::store) async fn retain(
        &self,
        horizon: Horizon,
        cursor: RetentionCursor,
    ) -> Result<(Removed, Option<RetentionCursor>), StoreError> {
        let answers_from = kept_from(self.0.clock.now());
        self.change(move |conn| -> BoxFuture<'_, _> {
            Box::pin(async move {
                let mut removed = Removed::default();
                let next = match cursor.phase {
                    RetentionPhase::Bytes => bytes(conn, horizon, cursor.after, &mut removed).await?,
                    RetentionPhase::Attempts => attempts(conn, horizon, cursor.after, &mut removed).await?,
                    RetentionPhase::Ledger => ledger(conn, horizon, cursor.after, &mut removed).await?,
                    RetentionPhase::Tallies => tallies(conn, answers_from, cursor.after).await?,
                    RetentionPhase::Shrink => shrink(conn).await?,
                };
                let next = match next {
                    Some(after) => Some(RetentionCursor { phase: cursor.phase, after }),
                    None => cursor.phase.next().map(|phase| RetentionCursor { phase, after: 0 }),
                };
                Ok(((removed, next), Commit::default()))
            })
        })
        .await
    }
}

/// Segments; gives the last one looked at, or `None` where all were.
async fn bytes(
    conn: &mut SqliteConnection,
    horizon: Horizon,
    after: i64,
    removed: &mut Removed,
) -> Result<Option<i64>, StoreError> {
    let until = floor(horizon.bytes_before);
    if after == 0 {
        // From now on nobody expects them: `doctor` asks for the bytes and attempts of later ones only.
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('bytes_kept_from', ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE CAST(value AS INTEGER) < ?1",
        )
        .bind(until)
        .execute(&mut *conn)
        .await?;
    }
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM segment WHERE id > ? AND id < ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(until)
        .bind(SEGMENTS)
        .fetch_all(&mut *conn)
        .await?;
    let Some(first) = ids.first().copied() else { return Ok(None) };
    let all = ids.len();
    // What somebody waits for may lie long before the next: never look through all that came between.
    let ids: Vec<i64> = ids.into_iter().take_while(|id| *id <= IdSource::later(first, SPAN)).collect();
    let last = ids.last().copied().unwrap_or(first);
    let deleted =
        sqlx::query(FREE).bind(json(&ids)?).bind(IdSource::earlier(first, COMMIT_WAIT)).bind(last).execute(conn).await?;
    removed.segments += deleted.rows_affected();
    Ok((all as i64 == SEGMENTS || ids.len() < all).then_some(last))
}

/// Attempts of finished deliveries.
async fn attempts(
    conn: &mut SqliteConnection,
    horizon: Horizon,
    after: i64,
    removed: &mut Removed,
) -> Result<Option<i64>, StoreError> {
    // What was removed before is not looked at again.
    let key = "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'attempts_kept_from'), 0)";
    let kept_from: i64 = sqlx::query_scalar(key).fetch_one(&mut *conn).await?;
    let after = after.max(kept_from - 1);
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM delivery WHERE id > ? AND id < ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(floor(horizon.bytes_before))
        .bind(DELIVERIES)
        .fetch_all(&mut *conn)
        .await?;
    let Some(last) = ids.last() else { return Ok(None) };
    let deleted = sqlx::query(
        "DELETE FROM attempt WHERE delivery_id IN
             (SELECT id FROM delivery WHERE id > ?1 AND id <= ?2 AND state IN (4, 5, 6) AND finished_at < ?3)",
    )
    .bind(after)
    .bind(last)
    .bind(horizon.bytes_before.0)
    .execute(&mut *conn)
    .await?;
    removed.attempts += deleted.rows_affected();
    // Deliveries that were not finished long ago are looked at again with their rows in the ledger.
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('attempts_kept_from', ?)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(last + 1)
    .execute(conn)
    .await?;
    Ok((ids.len() as i64 == DELIVERIES).then_some(*last))
}

/// Notifications with their deliveries, orders and resends that nothing is left of, and what is known of bulk resends.
async fn ledger(
    conn: &mut SqliteConnection,
    horizon: Horizon,
    after: i64,
    removed: &mut Removed,
) -> Result<Option<i64>, StoreError> {
    let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
        "SELECT id, order_id, EXISTS (SELECT 1 FROM delivery
             WHERE notification_id = notification.id AND (state IN (0, 2, 3) OR finished_at >= ?))
         FROM notification WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
    )
    .bind(horizon.ledger_before.0)
    .bind(after)
    .bind(floor(horizon.ledger_before))
    .bind(NOTIFICATIONS)
    .fetch_all(&mut *conn)
    .await?;
    let Some((last, ..)) = rows.last() else { return Ok(None) };
    let old: Vec<i64> = rows.iter().filter(|(_, _, waited_for)| !waited_for).map(|(id, ..)| *id).collect();
    let orders: Vec<i64> = rows.iter().map(|(_, order, _)| *order).collect();
    let (old, orders) = (json(&old)?, json(&orders)?);
    let booked = sqlx::query(
        "SELECT url_id, count(*), sum(state = 4), sum(state = 5), sum(state = 6) FROM delivery
         WHERE notification_id IN (SELECT value FROM json_each(?)) GROUP BY url_id",
    )
    .bind(&old)
    .fetch_all(&mut *conn)
    .await?;
    for row in &booked {
        let count = |column| row.try_get::<i64, _>(column);
        sqlx::query(
            "UPDATE url_books SET accepted = accepted - ?2, confirmed = confirmed - ?3, expired = expired - ?4,
                 cancelled = cancelled - ?5 WHERE url_id = ?1",
        )
        .bind(count(0)?)
        .bind(count(1)?)
        .bind(count(2)?)
        .bind(count(3)?)
        .bind(count(4)?)
        .execute(&mut *conn)
        .await?;
        removed.deliveries += u64::try_from(count(1)?).unwrap_or(0);
    }
    for (rows, delete) in [
        (
            &old,
            "DELETE FROM attempt WHERE delivery_id IN
                 (SELECT id FROM delivery WHERE notification_id IN (SELECT value FROM json_each(?)))",
        ),
        (&old, "DELETE FROM delivery WHERE notification_id IN (SELECT value FROM json_each(?))"),
    ] {
        sqlx::query(delete).bind(rows).execute(&mut *conn).await?;
    }
    let gone = sqlx::query("DELETE FROM notification WHERE id IN (SELECT value FROM json_each(?))");
    removed.notifications += gone.bind(&old).execute(&mut *conn).await?.rows_affected();
    sqlx::query(
        "DELETE FROM resend WHERE order_id IN (SELECT value FROM json_each(?))
             AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.order_id = resend.order_id)",
    )
    .bind(&orders)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "DELETE FROM bulk_job WHERE id < ? AND finished_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM delivery WHERE resend_id = bulk_job.id)
             AND NOT EXISTS (SELECT 1 FROM delivery WHERE cancel_id = bulk_job.id)",
    )
    .bind(floor(horizon.ledger_before))
    .execute(&mut *conn)
    .await?;
    let gone = sqlx::query(
        "DELETE FROM orders WHERE id IN (SELECT value FROM json_each(?))
             AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.order_id = orders.id)",
    );
    removed.orders += gone.bind(&orders).execute(conn).await?.rows_affected();
    Ok((rows.len() as i64 == NOTIFICATIONS).then_some(*last))
}

/// Counts of hours of some URLs, each by its place in the key; gives the last URL, or `None` where all were looked at.
async fn tallies(conn: &mut SqliteConnection, from: i64, after: i64) -> Result<Option<i64>, StoreError> {
    let urls: Vec<i64> = sqlx::query_scalar("SELECT id FROM notification_url WHERE id > ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(URLS)
        .fetch_all(&mut *conn)
        .await?;
    for url in &urls {
        sqlx::query("DELETE FROM url_tally WHERE url_id = ? AND hour < ?").bind(url).bind(from).execute(&mut *conn).await?;
    }
    Ok(urls.last().copied().filter(|_| urls.len() as i64 == URLS))
}

/// Gives pages that are not used any more back to the file system.
async fn shrink(conn: &mut SqliteConnection) -> Result<Option<i64>, StoreError> {
    let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *conn).await?;
    if free == 0 {
        return Ok(None);
    }
    sqlx::query("PRAGMA incremental_vacuum(1024)").fetch_all(&mut *conn).await?;
    let left: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *conn).await?;
    // A file that somebody rebuilt without it does not shrink.
    Ok((left > 0 && left < free).then_some(1))
}
