//! The sweeps that follow a URL's hold, release or removal, some rows at a time. Every node sweeps when it hears of a change;
//! they wait for each other, and for results that are being written, and lock rows in one order like these.

use super::Core;
use crate::domain::{
    Timestamp,
    id::{MerchantId, OrderId, UrlId},
};
use crate::server::store::{Change, Commit, StoreError};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

/// Rows that one sweep's transaction moves: enough to be quick, few enough that nobody waits long for them.
const SWEEP: i64 = 2_000;

impl Core {
    /// Moves the next open deliveries of a URL on hold to `held`; gives how many it moved. Those for debug go on:
    /// somebody waits for them.
    pub(in crate::server::store) async fn hold_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query(
            "UPDATE delivery SET state = 3, due_at = NULL
             WHERE id IN (SELECT id FROM delivery
                 WHERE id IN (SELECT id FROM delivery WHERE node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)
                     AND url_id = $1 AND state IN (0, 2) AND origin <> 2 LIMIT $2)
                 AND state IN (0, 2) ORDER BY id FOR UPDATE)
             RETURNING attempts, merchant_id, order_id",
        )
        .bind(url_id.0)
        .bind(SWEEP)
        .fetch_all(&mut *tx)
        .await?;
        let (fresh, tried, changes) = moved(&rows)?;
        sqlx::query(
            "UPDATE url_books SET queued = queued - $2, retrying = retrying - $3, held = held + $2 + $3 WHERE url_id = $1 AND page = 0",
        )
        .bind(url_id.0)
        .bind(fresh)
        .bind(tried)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.announce(Commit { changes, ..Commit::default() });
        Ok(rows.len() as u64)
    }

    /// Moves the next held deliveries of a released URL back into the queue, oldest first; gives how many it moved.
    /// Their retry window begins anew, and whichever node is to serve them takes them.
    pub(in crate::server::store) async fn release_held(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let rows = sqlx::query(
            "UPDATE delivery SET state = CASE WHEN attempts = 0 THEN 0 ELSE 2 END,
                 due_at = CASE WHEN attempts = 0 THEN created_at ELSE $2 END, window_from = NULL, node_id = 0
             WHERE id IN (SELECT id FROM delivery WHERE url_id = $1 AND state = 3 ORDER BY id LIMIT $3 FOR UPDATE)
             RETURNING attempts, merchant_id, order_id",
        )
        .bind(url_id.0)
        .bind(self.clock.now().0)
        .bind(SWEEP)
        .fetch_all(&mut *tx)
        .await?;
        let (fresh, tried, changes) = moved(&rows)?;
        sqlx::query(
            "UPDATE url_books SET queued = queued + $2, retrying = retrying + $3, held = held - $2 - $3 WHERE url_id = $1 AND page = 0",
        )
        .bind(url_id.0)
        .bind(fresh)
        .bind(tried)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.announce(Commit { changes, ..Commit::default() });
        self.adopt_now().await;
        Ok(rows.len() as u64)
    }

    /// Cancels the next open and held deliveries of a removed URL; gives how many it cancelled.
    pub(in crate::server::store) async fn cancel_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let now = self.clock.now().0;
        let mut tx = self.pool.begin().await?;
        let open = sqlx::query(
            "UPDATE delivery SET state = 6, due_at = NULL, finished_at = $3
             WHERE id IN (SELECT id FROM delivery
                 WHERE id IN (SELECT id FROM delivery WHERE node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)
                     AND url_id = $1 AND state IN (0, 2) LIMIT $2)
                 AND state IN (0, 2) ORDER BY id FOR UPDATE)
             RETURNING attempts, merchant_id, order_id",
        )
        .bind(url_id.0)
        .bind(SWEEP)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        let held = sqlx::query(
            "UPDATE delivery SET state = 6, due_at = NULL, finished_at = $3
             WHERE id IN (SELECT id FROM delivery WHERE url_id = $1 AND state = 3 ORDER BY id LIMIT $2 FOR UPDATE)
             RETURNING attempts, merchant_id, order_id",
        )
        .bind(url_id.0)
        .bind(SWEEP)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        let (fresh, tried, mut changes) = moved(&open)?;
        changes.extend(moved(&held)?.2);
        cancel_in_books(&mut tx, url_id, fresh, tried, held.len() as i64).await?;
        tx.commit().await?;
        self.announce(Commit { changes, ..Commit::default() });
        Ok((open.len() + held.len()) as u64)
    }

    /// Has some deliveries of this node that were tried while the clock was ahead be due as long after now as they were after that
    /// try; gives how many. Those that are due soon enough by their schedule are left alone.
    pub(in crate::server::store) async fn pull_back(&self) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let (urls, latest): (Vec<i64>, Vec<i64>) = self.directory.borrow().latest_due(now).into_iter().unzip();
        let now = now.0;
        let urls: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT url_id, latest FROM unnest($1::bigint[], $2::bigint[]) AS url (url_id, latest)
             WHERE EXISTS (SELECT 1 FROM delivery WHERE node_id = $4 AND delivery.url_id = url.url_id AND state = 2
                 AND state IN (0, 2) AND due_at > latest AND last_attempt_at > $3 + 60000000)",
        )
        .bind(urls)
        .bind(latest)
        .bind(now)
        .bind(self.present().node)
        .fetch_all(&self.reading)
        .await?;
        let mut moved = 0;
        for (url, latest) in urls {
            let rows = sqlx::query(
                "UPDATE delivery SET due_at = greatest($2, due_at - (last_attempt_at - $2)),
                     window_from = least(window_from, $2), last_attempt_at = $2
                 WHERE id IN (SELECT id FROM delivery
                     WHERE id IN (SELECT id FROM delivery WHERE node_id = $4 AND url_id = $1 AND state = 2 AND state IN (0, 2)
                         AND due_at > $5 AND last_attempt_at > $2 + 60000000 LIMIT $3)
                     AND state = 2 AND node_id = $4 ORDER BY id FOR UPDATE)",
            )
            .bind(url)
            .bind(now)
            .bind(SWEEP)
            .bind(self.present().node)
            .bind(latest)
            .execute(&self.pool)
            .await?
            .rows_affected();
            if rows > 0 {
                self.feed.announce_due(vec![(UrlId(url), Timestamp::default())]);
            }
            moved += rows;
        }
        Ok(moved)
    }

    /// URLs whose deliveries do not fit their setting yet: on hold with open ones, released with held ones, removed
    /// with either.
    pub(in crate::server::store) async fn unsettled_urls(&self) -> Result<Vec<(UrlId, bool, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT books.url_id, notification_url.held, removed_at IS NOT NULL
             FROM (SELECT url_id, sum(queued + retrying) AS open, sum(held) AS held FROM url_books GROUP BY url_id) AS books
             JOIN notification_url ON notification_url.id = books.url_id
             WHERE (removed_at IS NOT NULL AND books.open + books.held > 0)
                 OR (removed_at IS NULL AND notification_url.held AND books.open > 0)
                 OR (removed_at IS NULL AND NOT notification_url.held AND books.held > 0)",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((UrlId(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?))).collect()
    }
}

pub(super) async fn cancel_in_books(
    conn: &mut PgConnection,
    url_id: UrlId,
    fresh: i64,
    tried: i64,
    held: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE url_books SET queued = queued - $2, retrying = retrying - $3, held = held - $4, cancelled = cancelled + $2 + $3 + $4
         WHERE url_id = $1 AND page = 0",
    )
    .bind(url_id.0)
    .bind(fresh)
    .bind(tried)
    .bind(held)
    .execute(conn)
    .await?;
    Ok(())
}

/// How many of the rows had no attempt yet, how many had, and what pages want to know.
fn moved(rows: &[PgRow]) -> Result<(i64, i64, Vec<Change>), StoreError> {
    let mut fresh = 0;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        fresh += i64::from(row.try_get::<i64, _>(0)? == 0);
        changes.push(Change::Order(MerchantId(row.try_get(1)?), OrderId(row.try_get(2)?)));
    }
    Ok((fresh, rows.len() as i64 - fresh, changes))
}
