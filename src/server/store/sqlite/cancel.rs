//! Cancelling whole lists of deliveries on SQLite, a few at a time. What is to be done is decided in `store/cancel`.

use super::{
    SqliteStore,
    bulk::look,
    deliveries::{Wish, orders_of},
    jobs::Work,
    rows::json,
};
use crate::domain::{
    Timestamp,
    id::MerchantId,
    pages::{bulk::BulkCount, deliveries::DeliveryFilter},
};
use crate::server::store::{
    BulkStep, Change, Commit, StoreError,
    bulk::{CENSUS, COUNT_LOOK, LOOK, Position},
    cancel::{STEP, Tally, advance, beginning, next},
    scope::{BULK_ORDERS, LIST_ORDERS},
};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

/// When the first delivery of a merchant that was never tried is due.
pub(super) const QUEUED_SINCE: &str =
    "SELECT min((SELECT min(due_at) FROM delivery WHERE url_id = notification_url.id AND state = 0))
     FROM notification_url WHERE merchant_id = ?";

/// Where the cancelling of a list begins.
pub(super) async fn first(
    conn: &mut SqliteConnection,
    merchant_id: MerchantId,
    filter: &DeliveryFilter,
    from: i64,
) -> Result<Position, StoreError> {
    let since: Option<i64> = sqlx::query_scalar(QUEUED_SINCE).bind(merchant_id.0).fetch_one(conn).await?;
    Ok(beginning(filter, from, since.map(Timestamp)))
}

/// Has whoever sends look up deliveries of a merchant before their turn that are older than an id.
pub(super) async fn mark(conn: &mut SqliteConnection, merchant_id: MerchantId, before: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE merchant SET cancelled_before = max(cancelled_before + 1, ?2) WHERE id = ?1")
        .bind(merchant_id.0)
        .bind(before)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('settings_version', '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)",
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl SqliteStore {
    /// Cancels the next deliveries of a list.
    pub(super) async fn cancel_some(&self, conn: &mut SqliteConnection, mut job: Work) -> Result<(BulkStep, Commit), StoreError> {
        // Whoever sends must know that it has to look first.
        let is_known = |mark: i64| mark >= job.row.id.0;
        if !self.settings().merchant(job.merchant_id).is_some_and(|merchant| is_known(merchant.cancelled_before.0)) {
            return Ok((BulkStep::Waiting, Commit::default()));
        }
        let now = self.0.clock.now().0;
        let commit = Commit { changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() };
        let Some((filter, state, after)) = next(&job.position, &job.row.filter) else {
            sqlx::query("UPDATE bulk_job SET state = 1, finished_at = ?2 WHERE id = ?1")
                .bind(job.row.id.0)
                .bind(now)
                .execute(&mut *conn)
                .await?;
            mark(conn, job.merchant_id, self.0.ids.next()).await?;
            return Ok((BulkStep::Worked, commit));
        };
        let (orders, _) = orders_of(conn, job.merchant_id, &filter, BULK_ORDERS).await?;
        let wish = Wish { merchant_id: job.merchant_id, filter: &filter, orders: &orders };
        let (looked, _) = look(conn, wish, (after.saturating_add(1), job.ceiling), STEP, LOOK).await?;
        let ids: Vec<i64> = looked.sources.iter().map(|source| source.id).collect();
        // A resend for debug is sent at once, and somebody watches it.
        let urls: Vec<i64> = sqlx::query_scalar(
            "UPDATE delivery SET state = 6, due_at = NULL, finished_at = ?2, cancel_id = ?3
             WHERE id IN (SELECT value FROM json_each(?1)) AND state = ?4 AND origin <> 2 RETURNING url_id",
        )
        .bind(json(&ids)?)
        .bind(now)
        .bind(job.row.id.0)
        .bind(state.code())
        .fetch_all(&mut *conn)
        .await?;
        let mut books: BTreeMap<i64, i64> = BTreeMap::new();
        for url in &urls {
            *books.entry(*url).or_default() += 1;
        }
        for (url, count) in books {
            sqlx::query(
                "UPDATE url_books SET queued = queued - iif(?3 = 0, ?2, 0), retrying = retrying - iif(?3 = 2, ?2, 0),
                     held = held - iif(?3 = 3, ?2, 0), cancelled = cancelled + ?2 WHERE url_id = ?1",
            )
            .bind(url)
            .bind(count)
            .bind(state.code())
            .execute(&mut *conn)
            .await?;
        }
        advance(&mut job.position, state, &looked);
        sqlx::query("UPDATE bulk_job SET behind = ?2, made = made + ?3 WHERE id = ?1")
            .bind(job.row.id.0)
            .bind(json(&job.position.behind)?)
            .bind(urls.len() as i64)
            .execute(conn)
            .await?;
        Ok((BulkStep::Worked, commit))
    }

    /// Counts what is outstanding of a list.
    pub(super) async fn count_cancel(
        &self,
        merchant_id: MerchantId,
        filter: &DeliveryFilter,
        (from, until): (i64, i64),
    ) -> Result<BulkCount, StoreError> {
        let mut conn = self.0.readers.acquire().await?;
        let mut position = first(&mut conn, merchant_id, filter, from).await?;
        let (orders, truncated) = orders_of(&mut conn, merchant_id, filter, LIST_ORDERS).await?;
        let mut tally = Tally::default();
        while let Some((filter, state, after)) = next(&position, filter) {
            if tally.is_full() {
                return Ok(BulkCount { truncated, ..tally.end(true) });
            }
            let wish = Wish { merchant_id, filter: &filter, orders: &orders };
            let (looked, window) = look(&mut conn, wish, (after.saturating_add(1), until), CENSUS, COUNT_LOOK).await?;
            tally.add(state, &looked, window);
            advance(&mut position, state, &looked);
        }
        Ok(BulkCount { truncated, ..tally.end(false) })
    }
}
