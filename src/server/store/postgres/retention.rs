//! Retention: what is old goes, a little at a time. One node at a time looks after it.
//!
//! Ids grow with time, so what is older than a moment is what has a smaller id; every step takes the next few from the
//! beginning and is one short transaction. What somebody still waits for stays: an open or held delivery keeps its
//! notification and its bytes.
//!
//! At the end the tables are vacuumed where much went: PostgreSQL's own cleaning begins when a fifth of a table is dead, and until
//! then the tables grow although as much goes as comes. The place of what went is used again; where much stays free, it goes back (`shrink`).

use super::{Core, shrink};
use crate::domain::Timestamp;
use crate::server::store::{
    Horizon, Look, Removed, RetentionCursor, RetentionPhase, StoreError, activity::kept_from, ids::IdSource,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use std::time::Duration;

/// Tables that retention removes rows of.
const EMPTIED: [&str; 5] = ["segment", "attempt", "delivery", "notification", "orders"];
/// So many dead rows, and a hundredth of a table, are worth cleaning up.
const DEAD: i64 = 1_000;
/// Longer than any statement may, and with pauses, so that it disturbs nobody; but nothing is held by a process that was stopped.
const QUIETLY: &str = "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_session_timeout = 0;
    SET idle_in_transaction_session_timeout = '3s'; SET vacuum_cost_delay = 2";
/// Rows that one step looks at: short enough that nobody waits long for them.
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
pub(super) const FREE: &str = "WITH waiting AS MATERIALIZED (
         SELECT DISTINCT notification_id FROM delivery WHERE notification_id BETWEEN $2 AND $3 AND state IN (0, 2, 3)
     ), waited_for AS MATERIALIZED (
         SELECT notification.segment_id FROM waiting JOIN notification ON notification.id = waiting.notification_id
     )
     DELETE FROM segment WHERE id = ANY($1)
         AND NOT EXISTS (SELECT 1 FROM waited_for WHERE waited_for.segment_id = segment.id)";

/// The smallest id that can have been made at a moment.
fn floor(moment: Timestamp) -> i64 {
    IdSource::floor(moment.millis())
}

impl Core {
    /// When somebody last looked after retention, and since when he has doubted his clock.
    pub(in crate::server::store) async fn retention_look(&self) -> Result<Look, StoreError> {
        let (at, doubted): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT (SELECT nullif(value, '')::bigint FROM meta WHERE key = 'retained_at'),
                 (SELECT nullif(value, '')::bigint FROM meta WHERE key = 'clock_doubted_since')",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Look { at: at.map(Timestamp), doubted_since: doubted.map(Timestamp) })
    }

    /// Notes that somebody looks after retention.
    pub(in crate::server::store) async fn note_retention_look(&self, look: Look) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('retained_at', coalesce($1, '')), ('clock_doubted_since', coalesce($2, ''))
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(look.at.map(|at| at.0.to_string()))
        .bind(look.doubted_since.map(|at| at.0.to_string()))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Removes the next few things that are older than the horizon; gives what went and where to go on, or `None` at the
    /// end, and also where another node is at it.
    pub(in crate::server::store) async fn retain(
        &self,
        horizon: Horizon,
        cursor: RetentionCursor,
    ) -> Result<(Removed, Option<RetentionCursor>), StoreError> {
        let mut removed = Removed::default();
        if cursor.phase == RetentionPhase::Shrink {
            self.clean_up().await?;
            return Ok((removed, None));
        }
        let mut tx = self.pool.begin().await?;
        let mine: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('quittance retention'))").fetch_one(&mut *tx).await?;
        if !mine {
            return Ok((removed, None));
        }
        let next = match cursor.phase {
            RetentionPhase::Bytes => bytes(&mut tx, horizon, cursor.after, &mut removed).await?,
            RetentionPhase::Attempts => attempts(&mut tx, horizon, cursor.after, &mut removed).await?,
            RetentionPhase::Ledger => ledger(&mut tx, horizon, cursor.after, &mut removed).await?,
            RetentionPhase::Tallies => tallies(&mut tx, kept_from(self.clock.now()), cursor.after).await?,
            RetentionPhase::Shrink => None,
        };
        tx.commit().await?;
        let next = match next {
            Some(after) => Some(RetentionCursor { phase: cursor.phase, after }),
            None => cursor.phase.next().map(|phase| RetentionCursor { phase, after: 0 }),
        };
        Ok((removed, next))
    }
}

impl Core {
    /// Lets the place of what went be used again, in tables of which much went. On a connection of its own: it takes longer
    /// than any statement may, and works with pauses, so that it disturbs nobody.
    async fn clean_up(&self) -> Result<(), StoreError> {
        let mut conn = self.address.unlimited()?.connect().await?;
        sqlx::raw_sql(QUIETLY).execute(&mut conn).await?;
        let mine: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('quittance clean-up'))").fetch_one(&mut conn).await?;
        if !mine {
            return Ok(());
        }
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT pg_class.relname::text FROM pg_class JOIN pg_stat_all_tables AS seen ON seen.relid = pg_class.oid
                 LEFT JOIN pg_stat_all_tables AS beside ON beside.relid = pg_class.reltoastrelid
             WHERE pg_class.relname = ANY($1) AND relnamespace = current_schema()::regnamespace
                 AND (seen.n_dead_tup > $2 + seen.n_live_tup * 0.01 OR beside.n_dead_tup > $2 + beside.n_live_tup * 0.01)",
        )
        .bind(&EMPTIED[..])
        .bind(DEAD)
        .fetch_all(&mut conn)
        .await?;
        for table in tables {
            sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (SKIP_LOCKED, ANALYZE) {table}"))).execute(&mut conn).await?;
        }
        shrink::give_back(&mut conn, &self.clock, &self.copied_in_vain).await?;
        conn.close().await?;
        Ok(())
    }
}

/// Segments; gives the last one looked at, or `None` where all were.
async fn bytes(conn: &mut PgConnection, horizon: Horizon, after: i64, removed: &mut Removed) -> Result<Option<i64>, StoreError> {
    let until = floor(horizon.bytes_before);
    if after == 0 {
        // From now on nobody expects them: `doctor` asks for the bytes and attempts of later ones only.
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('bytes_kept_from', $1::bigint::text)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE meta.value::bigint < $1",
        )
        .bind(until)
        .execute(&mut *conn)
        .await?;
    }
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM segment WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3")
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
    let deleted = sqlx::query(FREE).bind(&ids).bind(IdSource::earlier(first, COMMIT_WAIT)).bind(last).execute(conn).await?;
    removed.segments += deleted.rows_affected();
    Ok((all as i64 == SEGMENTS || ids.len() < all).then_some(last))
}

/// Attempts of finished deliveries.
async fn attempts(
    conn: &mut PgConnection,
    horizon: Horizon,
    after: i64,
    removed: &mut Removed,
) -> Result<Option<i64>, StoreError> {
    // What was removed before is not looked at again.
    let kept_from: i64 =
        sqlx::query_scalar("SELECT coalesce((SELECT value::bigint FROM meta WHERE key = 'attempts_kept_from'), 0)")
            .fetch_one(&mut *conn)
            .await?;
    let after = after.max(kept_from - 1);
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM delivery WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3")
        .bind(after)
        .bind(floor(horizon.bytes_before))
        .bind(DELIVERIES)
        .fetch_all(&mut *conn)
        .await?;
    let Some(last) = ids.last() else { return Ok(None) };
    let deleted = sqlx::query(
        "DELETE FROM attempt USING delivery WHERE attempt.delivery_id = delivery.id
             AND delivery.id = ANY($1) AND delivery.state IN (4, 5, 6) AND delivery.finished_at < $2",
    )
    .bind(&ids)
    .bind(horizon.bytes_before.0)
    .execute(&mut *conn)
    .await?;
    removed.attempts += deleted.rows_affected();
    // Deliveries that were not finished long ago are looked at again with their rows in the ledger.
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('attempts_kept_from', $1::bigint::text)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(last + 1)
    .execute(conn)
    .await?;
    Ok((ids.len() as i64 == DELIVERIES).then_some(*last))
}

/// Counts of hours of some URLs, each by its place in the key; gives the last URL, or `None` where all were looked at.
async fn tallies(conn: &mut PgConnection, from: i64, after: i64) -> Result<Option<i64>, StoreError> {
    let urls: Vec<i64> = sqlx::query_scalar("SELECT id FROM notification_url WHERE id > $1 ORDER BY id LIMIT $2")
        .bind(after)
        .bind(URLS)
        .fetch_all(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM url_tally WHERE url_id = ANY($1) AND hour < $2").bind(&urls).bind(from).execute(conn).await?;
    Ok(urls.last().copied().filter(|_| urls.len() as i64 == URLS))
}

/// Notifications with their deliveries, orders and resends that nothing is left of, and what is known of bulk resends.
async fn ledger(conn: &mut PgConnection, horizon: Horizon, after: i64, removed: &mut Removed) -> Result<Option<i64>, StoreError> {
    let candidates: Vec<(i64, i64)> =
        sqlx::query_as("SELECT id, order_id FROM notification WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3")
            .bind(after)
            .bind(floor(horizon.ledger_before))
            .bind(NOTIFICATIONS)
            .fetch_all(&mut *conn)
            .await?;
    let Some((last, _)) = candidates.last() else { return Ok(None) };
    let ids: Vec<i64> = candidates.iter().map(|(id, _)| *id).collect();
    let mut orders: Vec<i64> = candidates.iter().map(|(_, order)| *order).collect();
    orders.sort_unstable();
    orders.dedup();
    // A message or a resend that comes now for one of them waits, and what has come before is seen below. In the order in which
    // acceptances lock them.
    sqlx::query("SELECT id FROM orders WHERE id = ANY($1) ORDER BY merchant_id, reference, gateway FOR UPDATE")
        .bind(&orders)
        .execute(&mut *conn)
        .await?;
    let old: Vec<i64> = sqlx::query_scalar(
        "SELECT id FROM notification WHERE id = ANY($1) AND NOT EXISTS
             (SELECT 1 FROM delivery WHERE delivery.notification_id = notification.id
              AND (state IN (0, 2, 3) OR finished_at >= $2))",
    )
    .bind(&ids)
    .bind(horizon.ledger_before.0)
    .fetch_all(&mut *conn)
    .await?;
    let booked = sqlx::query(
        "SELECT url_id, count(*), count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5),
             count(*) FILTER (WHERE state = 6)
         FROM delivery WHERE notification_id = ANY($1) AND state IN (4, 5, 6) GROUP BY url_id ORDER BY url_id",
    )
    .bind(&old)
    .fetch_all(&mut *conn)
    .await?;
    for row in &booked {
        let count = |column| row.try_get::<i64, _>(column);
        sqlx::query(
            "UPDATE url_books SET accepted = accepted - $2, confirmed = confirmed - $3, expired = expired - $4,
                 cancelled = cancelled - $5 WHERE url_id = $1 AND page = 0",
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
    sqlx::query(
        "DELETE FROM attempt USING delivery WHERE attempt.delivery_id = delivery.id AND delivery.notification_id = ANY($1)",
    )
    .bind(&old)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM delivery WHERE notification_id = ANY($1)").bind(&old).execute(&mut *conn).await?;
    let gone = sqlx::query("DELETE FROM notification WHERE id = ANY($1)").bind(&old).execute(&mut *conn).await?;
    removed.notifications += gone.rows_affected();
    sqlx::query(
        "DELETE FROM resend WHERE order_id = ANY($1)
             AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.order_id = resend.order_id)",
    )
    .bind(&orders)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "DELETE FROM bulk_job WHERE id < $1 AND finished_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM delivery WHERE resend_id = bulk_job.id)
             AND NOT EXISTS (SELECT 1 FROM delivery WHERE cancel_id = bulk_job.id)",
    )
    .bind(floor(horizon.ledger_before))
    .execute(&mut *conn)
    .await?;
    let gone = sqlx::query(
        "DELETE FROM orders WHERE id = ANY($1)
             AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.order_id = orders.id)",
    );
    removed.orders += gone.bind(&orders).execute(conn).await?.rows_affected();
    Ok((ids.len() as i64 == NOTIFICATIONS).then_some(*last))
}
