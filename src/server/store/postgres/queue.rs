//! The table of deliveries as a queue: what the scheduler reads when memory does not hold it. A node reads only what it
//! serves.

use super::{
    Core,
    rows::{moment, origin, small, word},
};
use crate::domain::{
    DeliveryState, OrderStatus, Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::store::{Backlog, First, Job, LaneDepth, Original, StoreError};
use bytes::Bytes;
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashMap;

/// What each URL has outstanding, and the first that is due of each kind.
pub(super) const LANES: &str = "SELECT * FROM (
                 SELECT books.url_id, books.open,
                     (SELECT due_at FROM delivery
                         WHERE delivery.node_id = $1 AND delivery.url_id = books.url_id AND state = 0 AND state IN (0, 2)
                         ORDER BY due_at, id LIMIT 1) AS fresh_due,
                     (SELECT due_at FROM delivery
                         WHERE delivery.node_id = $1 AND delivery.url_id = books.url_id AND state = 2 AND state IN (0, 2)
                         ORDER BY due_at, id LIMIT 1) AS again_due
                 FROM (SELECT url_id, sum(queued + retrying)::bigint AS open FROM url_books GROUP BY url_id) AS books
                 WHERE books.open > 0) AS lane
             WHERE fresh_due IS NOT NULL OR again_due IS NOT NULL";
/// Open deliveries of a URL of one kind, in order.
pub(super) const LANE: &str = "SELECT id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at
             FROM delivery
             WHERE node_id = $1 AND url_id = $2 AND state = $7 AND state IN (0, 2) AND (due_at, id) > ($3, $4) AND due_at <= $5
             ORDER BY due_at, id LIMIT $6";
/// When the next one of a kind is due.
pub(super) const NEXT_DUE: &str = "SELECT due_at FROM delivery
             WHERE node_id = $1 AND url_id = $2 AND state = $5 AND state IN (0, 2) AND (due_at, id) > ($3, $4)
             ORDER BY due_at, id LIMIT 1";
/// The first unfinished delivery of each order, whoever serves it: what its others wait for. An order has few messages, which
/// are all looked at; by the sum no plan walks along the primary key instead.
pub(super) const FIRSTS: &str =
    "SELECT id, notification_id, order_id, merchant_id, url_id, origin, attempts, window_from, due_at,
                 state, node_id
             FROM unnest($1::bigint[]) AS asked (wanted) CROSS JOIN LATERAL (
                 SELECT delivery.* FROM notification JOIN delivery ON delivery.notification_id = notification.id
                 WHERE notification.order_id = wanted AND delivery.url_id = $2 AND delivery.state IN (0, 2, 3)
                     AND delivery.origin <> 2
                 ORDER BY delivery.id + 0 LIMIT 1) AS first";

fn job(row: &PgRow) -> Result<Job, StoreError> {
    Ok(Job {
        delivery_id: DeliveryId(row.try_get(0)?),
        notification_id: NotificationId(row.try_get(1)?),
        order_id: OrderId(row.try_get(2)?),
        merchant_id: MerchantId(row.try_get(3)?),
        url_id: UrlId(row.try_get(4)?),
        origin: origin(row.try_get(5)?)?,
        attempts: small(row, 6)?,
        window_from: moment(row, 7)?,
        due_at: moment(row, 8)?.unwrap_or_default(),
        body: None,
    })
}

const fn state_of(backlog: Backlog) -> i64 {
    match backlog {
        Backlog::Fresh => DeliveryState::Queued.code(),
        Backlog::Again => DeliveryState::Retrying.code(),
    }
}

impl Core {
    /// What each URL has outstanding, with the first that is due at this node.
    pub(in crate::server::store) async fn lanes(&self) -> Result<Vec<LaneDepth>, StoreError> {
        let rows = sqlx::query(LANES).bind(self.present().node).fetch_all(&self.reading).await?;
        rows.iter()
            .map(|row| {
                Ok(LaneDepth {
                    url_id: UrlId(row.try_get(0)?),
                    open: small(row, 1)?,
                    fresh_due: moment(row, 2)?,
                    again_due: moment(row, 3)?,
                })
            })
            .collect()
    }

    /// Open deliveries of a URL at this node, of one kind, by the time they are due, after a place in that order.
    pub(in crate::server::store) async fn lane(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        after: Option<(Timestamp, DeliveryId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let (after_due, after_id) = after.map_or((i64::MIN, i64::MIN), |(due, id)| (due.0, id.0));
        let rows = sqlx::query(LANE)
            .bind(self.present().node)
            .bind(url_id.0)
            .bind(after_due)
            .bind(after_id)
            .bind(until.0)
            .bind(i64::from(limit))
            .bind(state_of(backlog))
            .fetch_all(&self.reading)
            .await?;
        rows.iter().map(job).collect()
    }

    /// When the first open delivery of a URL at this node, of one kind, after a place in the order is due.
    pub(in crate::server::store) async fn next_due(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        after: (Timestamp, DeliveryId),
    ) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(NEXT_DUE)
            .bind(self.present().node)
            .bind(url_id.0)
            .bind(after.0.0)
            .bind(after.1.0)
            .bind(state_of(backlog))
            .fetch_optional(&self.reading)
            .await?;
        Ok(due.map(Timestamp))
    }

    /// The first unfinished delivery of each of these orders to a URL, held ones and those of other nodes too.
    pub(in crate::server::store) async fn firsts(&self, url_id: UrlId, orders: &[OrderId]) -> Result<Vec<First>, StoreError> {
        let orders: Vec<i64> = orders.iter().map(|order| order.0).collect();
        let rows = sqlx::query(FIRSTS).bind(orders).bind(url_id.0).fetch_all(&self.reading).await?;
        let me = self.present().node;
        rows.iter()
            .map(|row| {
                let job = job(row)?;
                let (state, node): (i64, i64) = (row.try_get(9)?, row.try_get(10)?);
                let is_mine = node == me && state != DeliveryState::Held.code();
                Ok(First { order_id: job.order_id, delivery_id: job.delivery_id, job: is_mine.then_some(job) })
            })
            .collect()
    }

    /// What is sent on of notifications: the received bodies, or what was made of them.
    pub(in crate::server::store) async fn bodies(
        &self,
        ids: &[NotificationId],
    ) -> Result<HashMap<NotificationId, Bytes>, StoreError> {
        let rows: Vec<(i64, i64, i64)> =
            sqlx::query_as("SELECT id, segment_id, part + 1 + translated::int FROM notification WHERE id = ANY($1)")
                .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
                .fetch_all(&self.reading)
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
                 notification.received_at, notification.event_at, segment_id, part, translated::int::bigint
             FROM notification JOIN orders ON orders.id = notification.order_id WHERE notification.id = $1",
        )
        .bind(id.0)
        .fetch_optional(&self.reading)
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
}
