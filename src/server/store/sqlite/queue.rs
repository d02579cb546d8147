//! The table of deliveries as a queue: what the scheduler reads when memory does not hold it, and the sweeps that
//! follow a URL's hold, release or removal.

use super::{
    SqliteStore,
    rows::{json, word},
};
use crate::domain::attempt::Origin;
use crate::domain::{
    DeliveryState, OrderStatus, Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::store::{Backlog, Change, Commit, First, Job, LaneDepth, Original, StoreError};
use bytes::Bytes;
use futures::future::BoxFuture;
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use std::collections::HashMap;

/// Rows that one sweep's transaction moves: enough to be quick, few enough that acceptances hardly wait.
const SWEEP: i64 = 2_000;

/// What each URL has outstanding, and the first that is due of each kind.
pub(super) const LANES: &str = "SELECT url_id, queued + retrying AS open,
                 (SELECT min(due_at) FROM delivery WHERE delivery.url_id = url_books.url_id AND state = 0),
                 (SELECT min(due_at) FROM delivery WHERE delivery.url_id = url_books.url_id AND state = 2)
             FROM url_books WHERE queued + retrying > 0";
/// First tries of a URL, in order.
pub(super) const FRESH_LANE: &str =
    "SELECT id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at
                 FROM delivery WHERE url_id = ? AND state = 0 AND (due_at, id) > (?, ?) AND due_at <= ?
                 ORDER BY due_at, id LIMIT ?";
/// Further tries of a URL, in order.
pub(super) const AGAIN_LANE: &str =
    "SELECT id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at
                 FROM delivery WHERE url_id = ? AND state = 2 AND (due_at, id) > (?, ?) AND due_at <= ?
                 ORDER BY due_at, id LIMIT ?";
/// When the next first try of a URL is due.
pub(super) const FRESH_DUE: &str =
    "SELECT due_at FROM delivery WHERE url_id = ? AND state = 0 AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT 1";
/// When the next further try of a URL is due.
pub(super) const AGAIN_DUE: &str =
    "SELECT due_at FROM delivery WHERE url_id = ? AND state = 2 AND (due_at, id) > (?, ?) ORDER BY due_at, id LIMIT 1";

/// URLs of which something was planned while the clock was ahead; for each it is told what was not.
const AHEAD: &str = "SELECT each.value ->> 0, each.value ->> 1 FROM json_each(?1) AS each
             WHERE EXISTS (SELECT 1 FROM delivery WHERE url_id = each.value ->> 0 AND state = 2
                 AND due_at > each.value ->> 1 AND last_attempt_at > ?2 + 60000000)";
/// Pulls back what was planned then.
const PULL_BACK: &str = "UPDATE delivery SET due_at = max(?2, due_at - (last_attempt_at - ?2)),
                 window_from = min(window_from, ?2), last_attempt_at = ?2
             WHERE id IN (SELECT id FROM delivery
                 WHERE url_id = ?1 AND state = 2 AND due_at > ?4 AND last_attempt_at > ?2 + 60000000 LIMIT ?3)";

/// The first unfinished delivery of each order: what its others wait for. An order has few messages.
pub(super) const FIRSTS: &str =
    "SELECT delivery.id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at, state
                 FROM json_each(?1) AS asked CROSS JOIN delivery ON delivery.id = (
                     SELECT min(each.id) FROM notification CROSS JOIN delivery AS each ON each.notification_id = notification.id
                     WHERE notification.order_id = asked.value AND each.url_id = ?2 AND each.state IN (0, 2, 3)
                         AND each.origin <> 2)";

fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let origin: i64 = row.try_get(5)?;
    Ok(Job {
        delivery_id: DeliveryId(row.try_get(0)?),
        notification_id: NotificationId(row.try_get(1)?),
        order_id: OrderId(row.try_get(2)?),
        merchant_id: MerchantId(row.try_get(3)?),
        url_id: UrlId(row.try_get(4)?),
        origin: Origin::from_code(origin).ok_or_else(|| StoreError::Corrupt(format!("delivery origin {origin}")))?,
        attempts: row.try_get(6)?,
        window_from: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
        due_at: Timestamp(row.try_get::<Option<i64>, _>(8)?.unwrap_or(0)),
        body: None,
    })
}

impl SqliteStore {
    /// What each URL has outstanding, from the books and one index look-up a URL.
    pub(in crate::server::store) async fn lanes(&self) -> Result<Vec<LaneDepth>, StoreError> {
        self.settled().await?;
        let rows = sqlx::query(LANES).fetch_all(&self.0.readers).await?;
        rows.iter()
            .map(|row| {
                let open: i64 = row.try_get(1)?;
                let due = |column| row.try_get::<Option<i64>, _>(column).map(|due| due.map(Timestamp));
                Ok(LaneDepth {
                    url_id: UrlId(row.try_get(0)?),
                    open: open.try_into().unwrap_or(0),
                    fresh_due: due(2)?,
                    again_due: due(3)?,
                })
            })
            .collect()
    }

    /// Open deliveries of a URL, of one kind, by the time they are due, after a place in that order.
    pub(in crate::server::store) async fn lane(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        after: Option<(Timestamp, DeliveryId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        // What is confirmed already must not be read as open.
        self.settled().await?;
        let (after_due, after_id) = after.map_or((i64::MIN, i64::MIN), |(due, id)| (due.0, id.0));
        // One statement for each index.
        let rows = sqlx::query(match backlog {
            Backlog::Fresh => FRESH_LANE,
            Backlog::Again => AGAIN_LANE,
        })
        .bind(url_id.0)
        .bind(after_due)
        .bind(after_id)
        .bind(until.0)
        .bind(limit)
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(job).collect()
    }

    /// When the first open delivery of a URL, of one kind, after a place in the order is due.
    pub(in crate::server::store) async fn next_due(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        after: (Timestamp, DeliveryId),
    ) -> Result<Option<Timestamp>, StoreError> {
        self.settled().await?;
        let due: Option<i64> = sqlx::query_scalar(match backlog {
            Backlog::Fresh => FRESH_DUE,
            Backlog::Again => AGAIN_DUE,
        })
        .bind(url_id.0)
        .bind(after.0.0)
        .bind(after.1.0)
        .fetch_optional(&self.0.readers)
        .await?;
        Ok(due.map(Timestamp))
    }

    /// The first unfinished delivery of each of these orders to a URL, held ones too.
    pub(in crate::server::store) async fn firsts(&self, url_id: UrlId, orders: &[OrderId]) -> Result<Vec<First>, StoreError> {
        self.settled().await?;
        let orders: Vec<i64> = orders.iter().map(|order| order.0).collect();
        let rows = sqlx::query(FIRSTS).bind(json(&orders)?).bind(url_id.0).fetch_all(&self.0.readers).await?;
        rows.iter()
            .map(|row| {
                let job = job(row)?;
                let is_open = row.try_get::<i64, _>(9)? != DeliveryState::Held.code();
                Ok(First { order_id: job.order_id, delivery_id: job.delivery_id, job: is_open.then_some(job) })
            })
            .collect()
    }

    /// What is sent on of notifications: the received bodies, or what was made of them.
    pub(in crate::server::store) async fn bodies(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Bytes>, StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let rows: Vec<(i64, i64, u32)> = sqlx::query_as(
            "SELECT id, segment_id, part + 1 + translated FROM notification WHERE id IN (SELECT value FROM json_each(?))",
        )
        .bind(json(&ids)?)
        .fetch_all(&self.0.readers)
        .await?;
        // The body is the second part, after the head; what is sent on instead of it is the third.
        let places: Vec<_> = rows.iter().map(|(_, segment, part)| (*segment, *part)).collect();
        let parts = self.parts(&places, 1).await?;
        Ok(rows.iter().zip(parts).map(|((id, ..), mut body)| (NotificationId(*id), body.swap_remove(0).into())).collect())
    }

    /// A notification as it came, and what is sent on of it.
    pub(in crate::server::store) async fn original(&self, id: NotificationId) -> Result<Option<Original>, StoreError> {
        let row = sqlx::query(
            "SELECT orders.gateway, orders.reference, notification.status, notification.vendor_status, notification.test,
                 notification.received_at, notification.event_at, segment_id, part, translated
             FROM notification JOIN orders ON orders.id = notification.order_id WHERE notification.id = ?",
        )
        .bind(id.0)
        .fetch_optional(&self.0.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        // Head, body, and what is sent on instead of it where that is another.
        let translated: i64 = row.try_get(9)?;
        let place = (row.try_get(7)?, row.try_get(8)?);
        let mut parts = self.parts(&[place], if translated == 0 { 2 } else { 3 }).await?.into_iter().flatten();
        let head = parts.next().unwrap_or_default();
        let body = Bytes::from(parts.next().unwrap_or_default());
        let event_at: i64 = row.try_get(6)?;
        Ok(Some(Original {
            gateway: word("orders.gateway", row.try_get(0)?)?,
            reference: row.try_get(1)?,
            status: OrderStatus::from_code(row.try_get(2)?),
            vendor_status: row.try_get(3)?,
            test: row.try_get(4)?,
            received_at: Timestamp(row.try_get(5)?),
            event_at: (event_at != 0).then_some(Timestamp(event_at)),
            head: String::from_utf8_lossy(&head).into_owned(),
            leaves: parts.next().map_or_else(|| body.clone(), Bytes::from),
            body,
        }))
    }

    /// Takes deliveries that no node serves yet (made by the command line) into this node's care, and announces them.
    pub(super) async fn adopt(&self) -> Result<(), StoreError> {
        let Some(node) = self.0.node else { return Ok(()) };
        loop {
            let adopted = self
                .change(move |conn| {
                    Box::pin(async move {
                        let rows = sqlx::query(
                            "UPDATE delivery SET node_id = ?
                             WHERE id IN (SELECT id FROM delivery WHERE node_id IS NULL AND state IN (0, 2) LIMIT ?)
                             RETURNING id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at",
                        )
                        .bind(node)
                        .bind(SWEEP)
                        .fetch_all(conn)
                        .await?;
                        let jobs: Vec<Job> = rows.iter().map(job).collect::<Result<_, _>>()?;
                        let changes = jobs.iter().map(|job| Change::Order(job.merchant_id, job.order_id)).collect();
                        Ok((jobs.len(), Commit { jobs, changes, ..Commit::default() }))
                    })
                })
                .await?;
            if adopted < SWEEP as usize {
                return Ok(());
            }
        }
    }

    /// Moves the next open deliveries of a URL on hold to `held`; gives how many it moved. Those for debug go on:
    /// somebody waits for them.
    pub(in crate::server::store) async fn hold_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        self.sweep(
            url_id,
            "UPDATE delivery SET state = 3, due_at = NULL
             WHERE id IN (SELECT id FROM delivery WHERE url_id = ?1 AND state = 0 AND origin <> 2
                 UNION ALL SELECT id FROM delivery WHERE url_id = ?1 AND state = 2 AND origin <> 2 LIMIT ?2)
             RETURNING attempts, id, notification_id, order_id, merchant_id",
            "UPDATE url_books SET queued = queued - ?2, retrying = retrying - ?3, held = held + ?2 + ?3 WHERE url_id = ?1",
        )
        .await
    }

    /// Moves the next held deliveries of a released URL back into the queue, oldest first; gives how many it moved.
    /// Their retry window begins anew. What was not tried is due since it came, and so before what came later.
    pub(in crate::server::store) async fn release_held(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let now = self.0.clock.now().0;
        let node = self.0.node;
        let change = self.change(move |conn| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "UPDATE delivery SET state = CASE WHEN attempts = 0 THEN 0 ELSE 2 END,
                         due_at = CASE WHEN attempts = 0 THEN created_at ELSE ?2 END, window_from = NULL, node_id = ?3
                     WHERE id IN (SELECT id FROM delivery WHERE url_id = ?1 AND state = 3 ORDER BY id LIMIT ?4)
                     RETURNING id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at",
                )
                .bind(url_id.0)
                .bind(now)
                .bind(node)
                .bind(SWEEP)
                .fetch_all(&mut *conn)
                .await?;
                let jobs: Vec<Job> = rows.iter().map(job).collect::<Result<_, _>>()?;
                let queued = jobs.iter().filter(|job| job.attempts == 0).count() as i64;
                let retrying = jobs.len() as i64 - queued;
                move_books(
                    conn,
                    "UPDATE url_books SET queued = queued + ?2, retrying = retrying + ?3, held = held - ?2 - ?3 WHERE url_id = ?1",
                    url_id,
                    queued,
                    retrying,
                )
                .await?;
                let moved = jobs.len() as u64;
                let changes = changes(jobs.iter().map(|job| (job.merchant_id, job.order_id)));
                // Not delivery by delivery: the result of an attempt that was on its way may lie in the journal behind this.
                let due = if node.is_some() && moved > 0 { vec![url_id] } else { Vec::new() };
                Ok((moved, Commit { due, changes, ..Commit::default() }))
            })
        });
        change.await
    }

    /// Cancels the next open deliveries of a removed URL; gives how many it cancelled.
    pub(in crate::server::store) async fn cancel_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let now = self.0.clock.now().0;
        let open = self
            .sweep_with(
                url_id,
                Some(now),
                "UPDATE delivery SET state = 6, due_at = NULL, finished_at = ?3
                 WHERE id IN (SELECT id FROM delivery WHERE url_id = ?1 AND state = 0
                     UNION ALL SELECT id FROM delivery WHERE url_id = ?1 AND state = 2 LIMIT ?2)
                 RETURNING attempts, id, notification_id, order_id, merchant_id",
                "UPDATE url_books SET queued = queued - ?2, retrying = retrying - ?3, cancelled = cancelled + ?2 + ?3
                 WHERE url_id = ?1",
            )
            .await?;
        let held = self
            .sweep_with(
                url_id,
                Some(now),
                "UPDATE delivery SET state = 6, due_at = NULL, finished_at = ?3
                 WHERE id IN (SELECT id FROM delivery WHERE url_id = ?1 AND state = 3 ORDER BY id LIMIT ?2)
                 RETURNING attempts, id, notification_id, order_id, merchant_id",
                "UPDATE url_books SET held = held - ?2 - ?3, cancelled = cancelled + ?2 + ?3 WHERE url_id = ?1",
            )
            .await?;
        Ok(open + held)
    }

    /// Has some deliveries that were tried while the clock was ahead be due as long after now as they were after that try; gives how
    /// many. Those that are due soon enough by their schedule are left alone.
    pub(in crate::server::store) async fn pull_back(&self) -> Result<u64, StoreError> {
        let now = self.0.clock.now();
        let latest = json(&self.0.directory.borrow().latest_due(now))?;
        let now = now.0;
        let urls: Vec<(i64, i64)> = sqlx::query_as(AHEAD).bind(latest).bind(now).fetch_all(&self.0.readers).await?;
        let mut moved = 0;
        for (url, latest) in urls {
            moved += self
                .change(move |conn| -> BoxFuture<'_, _> {
                    Box::pin(async move {
                        let rows = sqlx::query(PULL_BACK)
                            .bind(url)
                            .bind(now)
                            .bind(SWEEP)
                            .bind(latest)
                            .execute(conn)
                            .await?
                            .rows_affected();
                        let due = if rows > 0 { vec![UrlId(url)] } else { Vec::new() };
                        Ok((rows, Commit { due, ..Commit::default() }))
                    })
                })
                .await?;
        }
        Ok(moved)
    }

    /// URLs whose deliveries do not fit their setting yet: on hold with open ones, released with held ones, removed
    /// with either.
    pub(in crate::server::store) async fn unsettled_urls(&self) -> Result<Vec<(UrlId, bool, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT url_id, notification_url.held, removed_at IS NOT NULL
             FROM url_books JOIN notification_url ON notification_url.id = url_id
             WHERE (removed_at IS NOT NULL AND queued + retrying + url_books.held > 0)
                 OR (removed_at IS NULL AND notification_url.held = 1 AND queued + retrying > 0)
                 OR (removed_at IS NULL AND notification_url.held = 0 AND url_books.held > 0)",
        )
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(|row| Ok((UrlId(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?))).collect()
    }

    async fn sweep(&self, url_id: UrlId, rows: &'static str, books: &'static str) -> Result<u64, StoreError> {
        self.sweep_with(url_id, None, rows, books).await
    }

    async fn sweep_with(
        &self,
        url_id: UrlId,
        now: Option<i64>,
        rows: &'static str,
        books: &'static str,
    ) -> Result<u64, StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                let moved = sqlx::query(rows).bind(url_id.0).bind(SWEEP).bind(now).fetch_all(&mut *conn).await?;
                let mut fresh = 0;
                let mut orders = Vec::with_capacity(moved.len());
                for row in &moved {
                    fresh += i64::from(row.try_get::<i64, _>(0)? == 0);
                    orders.push((MerchantId(row.try_get(4)?), OrderId(row.try_get(3)?)));
                }
                move_books(conn, books, url_id, fresh, moved.len() as i64 - fresh).await?;
                Ok((moved.len() as u64, Commit { changes: changes(orders.into_iter()), ..Commit::default() }))
            })
        })
        .await
    }
}

async fn move_books(
    conn: &mut SqliteConnection,
    statement: &'static str,
    url_id: UrlId,
    fresh: i64,
    tried: i64,
) -> Result<(), StoreError> {
    sqlx::query(statement).bind(url_id.0).bind(fresh).bind(tried).execute(conn).await?;
    Ok(())
}

fn changes(orders: impl Iterator<Item = (MerchantId, OrderId)>) -> Vec<Change> {
    orders.map(|(merchant, order)| Change::Order(merchant, order)).collect()
}
