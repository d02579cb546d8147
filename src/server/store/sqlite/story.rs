//! The story of an order: what happened, and how its messages stand at each URL.

use super::{
    SqliteStore,
    notifications::{attempt_row, delivery_view, notification_view},
    orders::order_row,
    rows::{json, money},
};
use crate::domain::{
    Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    pages::{
        orders::{AttemptRow, DeliveryView, NotificationView, OrderRow},
        story::{Place, StoryTurn},
    },
};
use crate::server::store::{StandingRow, StoreError, StoryEvent, StoryPart, StoryRows, StoryScope};
use sqlx::Row as _;

/// What happened to an order, from a place on. Every number is multiplied by 1 or -1 (?3), so that one statement reads
/// both ways.
pub(super) const EVENTS: &str = "SELECT at, kind, id, number, a, b, c, d FROM (
         SELECT received_at AS at, 1 AS kind, id, 0 AS number, '' AS a, '' AS b, '' AS c, '' AS d
             FROM notification WHERE order_id = ?1
         UNION ALL SELECT repeated_at, 4, id, 0, vendor_status, CAST(repeats AS TEXT), '', ''
             FROM notification WHERE order_id = ?1 AND repeats > 0 AND repeated_at IS NOT NULL
         UNION ALL SELECT delivery.created_at, 2, delivery.id, 0, '', '', '', ''
             FROM notification JOIN delivery ON notification_id = notification.id
             WHERE notification.order_id = ?1 AND origin <> 0
         UNION ALL SELECT started_at, 3, delivery_id, number, '', '', '', ''
             FROM notification JOIN delivery ON notification_id = notification.id JOIN attempt ON delivery_id = delivery.id
             WHERE notification.order_id = ?1 AND CASE WHEN ?3 > 0 THEN last_attempt_at >= ?4 ELSE delivery.created_at <= -?4 END
         UNION ALL SELECT finished_at, 5, delivery.id, 0, '', '', '', ''
             FROM notification JOIN delivery ON notification_id = notification.id
             WHERE notification.order_id = ?1 AND state IN (5, 6) AND finished_at IS NOT NULL AND (origin <> 2 OR attempts = 0)
         UNION ALL SELECT at, 0, id, 0, reason, detail, peer, ''
             FROM refusal WHERE merchant_id = ?2 AND reference = ?9 AND reference <> ''
         UNION ALL SELECT received_at, 7, id, 0, peer, CAST(attempts AS TEXT), '', ''
             FROM verifying WHERE merchant_id = ?2 AND reference = ?9 AND reference <> ''
         UNION ALL SELECT created_at, 8, id, 0, CAST(state AS TEXT), status, recipient, coalesce(cause, '') || ' ' || note
             FROM mail WHERE order_id = ?1
         UNION ALL SELECT at, 6, id, 0, actor, action, subject, detail
             FROM audit WHERE merchant_id = ?2 AND action IN ('url.change', 'url.hold', 'url.release', 'url.remove')
                 AND id >= ?10 AND at >= ?11 AND at <= ?12 + (
                     SELECT max(coalesce(finished_at, 4000000000000000000)) FROM notification JOIN delivery ON notification_id = notification.id
                     WHERE notification.order_id = ?1)
                 AND subject IN (SELECT url FROM notification_url WHERE id IN (SELECT value FROM json_each(?13)))
     ) WHERE (?3 * at, ?3 * kind, ?3 * id, ?3 * number) > (?4, ?5, ?6, ?7)
     ORDER BY ?3 * at, ?3 * kind, ?3 * id, ?3 * number LIMIT ?8";

/// How the messages of an order, or one of them, stand at each URL. Of the latest message there the delivery that was
/// confirmed, or else the last one made.
pub(super) const STANDINGS: &str = "SELECT url_id, count(*), count(confirmed), sum(confirmed IS NULL AND waiting),
         max(notification_id), coalesce(confirmed, newest), sum(s0), sum(s2), sum(s3), sum(s4), sum(s5), sum(s6), sum(tried)
     FROM (
         SELECT url_id, notification_id, max(delivery.id) AS newest, max(CASE WHEN state = 4 THEN delivery.id END) AS confirmed,
             max(state IN (0, 2, 3)) AS waiting, sum(state = 0) AS s0, sum(state = 2) AS s2, sum(state = 3) AS s3,
             sum(state = 4) AS s4, sum(state = 5) AS s5, sum(state = 6) AS s6, sum(attempts) AS tried
         FROM notification JOIN delivery ON notification_id = notification.id
         WHERE notification.order_id = ?1 AND (?2 IS NULL OR notification.id = ?2) GROUP BY url_id, notification_id
     ) GROUP BY url_id ORDER BY url_id";

/// The attempts of a page.
pub(super) const ATTEMPTS: &str = "SELECT number, started_at, address, status, cause, timings, delivery_id
     FROM json_each(?1) AS wanted CROSS JOIN attempt
     WHERE delivery_id = json_extract(wanted.value, '$[0]') AND number = json_extract(wanted.value, '$[1]')";

impl SqliteStore {
    /// One order of a merchant, without how its deliveries stand.
    pub(in crate::server::store) async fn bare_order(
        &self,
        merchant_id: MerchantId,
        id: OrderId,
    ) -> Result<Option<OrderRow>, StoreError> {
        let row = sqlx::query(
            "SELECT id, reference, external, email, customer, gateway, status, vendor_status, amount, currency, test, created_at,
                 updated_at, refunded, refunded_total
             FROM orders WHERE id = ? AND merchant_id = ?",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&self.0.readers)
        .await?;
        row.as_ref().map(order_row).transpose()
    }

    /// How the messages of an order stand at each URL; of one message where one is named.
    pub(in crate::server::store) async fn standings(
        &self,
        order_id: OrderId,
        notification_id: Option<NotificationId>,
    ) -> Result<Vec<StandingRow>, StoreError> {
        let rows =
            sqlx::query(STANDINGS).bind(order_id.0).bind(notification_id.map(|id| id.0)).fetch_all(&self.0.readers).await?;
        let standing = |row: &sqlx::sqlite::SqliteRow| -> Result<StandingRow, StoreError> {
            let mut states = [0; 6];
            for (at, count) in states.iter_mut().enumerate() {
                *count = row.try_get(6 + at)?;
            }
            Ok(StandingRow {
                url_id: UrlId(row.try_get(0)?),
                messages: row.try_get(1)?,
                confirmed: row.try_get(2)?,
                waiting: row.try_get(3)?,
                newest: NotificationId(row.try_get(4)?),
                latest: DeliveryId(row.try_get(5)?),
                states,
                attempts: row.try_get(12)?,
            })
        };
        rows.iter().map(standing).collect()
    }

    /// What happened to an order, from a place on, a page of it.
    pub(in crate::server::store) async fn story_events(
        &self,
        scope: &StoryScope,
        turn: StoryTurn,
        limit: u32,
    ) -> Result<Vec<StoryEvent>, StoreError> {
        let (sign, start) = scope.start(turn);
        let rows = sqlx::query(EVENTS)
            .bind(scope.order_id.0)
            .bind(scope.merchant_id.0)
            .bind(sign)
            .bind(start[0])
            .bind(start[1])
            .bind(start[2])
            .bind(start[3])
            .bind(limit)
            .bind(&scope.reference)
            .bind(scope.first_id())
            .bind(scope.since.0)
            .bind(scope.aftermath_micros())
            .bind(json(&scope.numbers_of_urls())?)
            .fetch_all(&self.0.readers)
            .await?;
        let event = |row: &sqlx::sqlite::SqliteRow| -> Result<StoryEvent, StoreError> {
            Ok(StoryEvent {
                place: Place {
                    at: Timestamp(row.try_get(0)?),
                    kind: row.try_get(1)?,
                    id: row.try_get(2)?,
                    number: row.try_get(3)?,
                },
                texts: [row.try_get(4)?, row.try_get(5)?, row.try_get(6)?, row.try_get(7)?],
            })
        };
        rows.iter().map(event).collect()
    }

    /// What the events of a page are about: notifications with the standing before each, deliveries, attempts.
    pub(in crate::server::store) async fn story_rows(&self, part: &StoryPart) -> Result<StoryRows, StoreError> {
        Ok(StoryRows {
            notifications: self.story_notifications(part).await?,
            deliveries: self.story_deliveries(part).await?,
            attempts: self.story_attempts(part).await?,
        })
    }

    async fn story_notifications(&self, part: &StoryPart) -> Result<Vec<(NotificationView, Option<i64>, i64)>, StoreError> {
        if part.notifications.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "WITH told AS (
                 SELECT id, event_at, CASE event_at WHEN 0 THEN received_at ELSE event_at END AS moment, CASE status WHEN 'created' THEN 1
                     WHEN 'pending' THEN 2 WHEN 'authorized' THEN 3 WHEN 'failed' THEN 4 WHEN 'cancelled' THEN 5 WHEN 'paid' THEN 6
                     WHEN 'partially-refunded' THEN 7 WHEN 'refunded' THEN 8 WHEN 'reversed' THEN 9 ELSE 0 END AS rank
                 FROM notification WHERE order_id = ?1
             ), stood AS (
                 SELECT id AS this, CASE WHEN rank = 0 THEN 0 WHEN event_at = 0 THEN rank ELSE moment * 16 + rank END AS standing,
                     CASE event_at WHEN 0 THEN max(rank) OVER earlier
                         ELSE max(CASE rank WHEN 0 THEN 0 ELSE moment * 16 + rank END) OVER earlier END AS before
                 FROM told WINDOW earlier AS (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
             )
             SELECT notification.id, received_at, status, vendor_status, message_id, signatures, test, listener_id, listener.label,
                 peer, size, repeats, before, standing, amount,
                 coalesce(currency, (SELECT orders.currency FROM orders WHERE orders.id = ?1))
             FROM stood JOIN notification ON notification.id = this LEFT JOIN listener ON listener.id = listener_id
             WHERE this IN (SELECT value FROM json_each(?2))",
        )
        .bind(part.order_id.0)
        .bind(json(&part.numbers_of_notifications())?)
        .fetch_all(&self.0.readers)
        .await?;
        let told = |row: &sqlx::sqlite::SqliteRow| -> Result<_, StoreError> {
            let view = NotificationView { amount: money(row.try_get(14)?, row.try_get(15)?), ..notification_view(row)? };
            Ok((view, row.try_get(12)?, row.try_get(13)?))
        };
        rows.iter().map(told).collect()
    }

    async fn story_deliveries(&self, part: &StoryPart) -> Result<Vec<DeliveryView>, StoreError> {
        let rows = sqlx::query(
            "SELECT delivery.id, notification_id, url_id, notification_url.label, coalesce(delivery.address, notification_url.url), origin,
                 coalesce(resend.actor, bulk_job.actor), delivery.state, attempts, due_at, last_attempt_at, last_cause,
                 delivery.created_at, delivery.finished_at, shadow, cancelling.actor, delivery.address IS NOT NULL, put_right
             FROM delivery
             JOIN notification_url ON notification_url.id = url_id
             LEFT JOIN resend ON resend.id = resend_id
             LEFT JOIN bulk_job ON bulk_job.id = resend_id
             LEFT JOIN bulk_job AS cancelling ON cancelling.id = cancel_id
             WHERE delivery.id IN (
                 SELECT value FROM json_each(?1) UNION
                 SELECT id FROM delivery WHERE notification_id IN (SELECT value FROM json_each(?2)) AND origin = 0)
                 AND delivery.order_id = ?3
             ORDER BY delivery.id",
        )
        .bind(json(&part.numbers_of_deliveries())?)
        .bind(json(&part.numbers_of_notifications())?)
        .bind(part.order_id.0)
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(delivery_view).collect()
    }

    async fn story_attempts(&self, part: &StoryPart) -> Result<Vec<(DeliveryId, AttemptRow)>, StoreError> {
        if part.attempts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<(i64, i64)> = part.attempts.iter().map(|(id, number)| (id.0, *number)).collect();
        let rows = sqlx::query(ATTEMPTS).bind(json(&wanted)?).fetch_all(&self.0.readers).await?;
        rows.iter().map(|row| Ok((DeliveryId(row.try_get(6)?), attempt_row(row)?))).collect()
    }
}
