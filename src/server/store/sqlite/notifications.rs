//! Reading the notifications of an order for pages, with their deliveries and attempts.

use super::{
    SqliteStore,
    rows::{json, state},
};
use crate::domain::{
    Algorithms, Cause, OrderStatus, Timestamp,
    attempt::Origin,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    pages::{
        deliveries::DeliveryRow,
        orders::{AttemptRow, DeliveryView, NotificationView},
    },
};
use crate::server::store::{Exchange, StoreError, StoredNotification};
use sqlx::{Row as _, sqlite::SqliteRow};
use std::collections::HashMap;

/// Notifications shown on an order's page.
const SHOWN_NOTIFICATIONS: i64 = 200;
/// Attempts shown on a delivery's page; a full schedule has 53.
const SHOWN_ATTEMPTS: i64 = 200;

macro_rules! select_delivery {
    ($condition:literal) => {
        select_delivery!("", $condition)
    };
    // With more columns after those of the view.
    ($columns:literal, $condition:literal) => {
        concat!(
            "SELECT delivery.id, notification_id, url_id, notification_url.label, coalesce(delivery.address, notification_url.url), origin,
                 coalesce(resend.actor, bulk_job.actor), delivery.state, attempts, due_at, last_attempt_at, last_cause,
                 delivery.created_at, delivery.finished_at, shadow, cancelling.actor, delivery.address IS NOT NULL, put_right",
            $columns,
            "
             FROM delivery
             JOIN notification_url ON notification_url.id = url_id
             LEFT JOIN resend ON resend.id = resend_id
             LEFT JOIN bulk_job ON bulk_job.id = resend_id
             LEFT JOIN bulk_job AS cancelling ON cancelling.id = cancel_id ",
            $condition
        )
    };
}

pub(super) fn delivery_view(row: &SqliteRow) -> Result<DeliveryView, StoreError> {
    let origin: i64 = row.try_get(5)?;
    Ok(DeliveryView {
        id: DeliveryId(row.try_get(0)?),
        notification_id: NotificationId(row.try_get(1)?),
        url_id: UrlId(row.try_get(2)?),
        url_label: row.try_get(3)?,
        url: row.try_get(4)?,
        origin: Origin::from_code(origin).ok_or_else(|| StoreError::Corrupt(format!("delivery origin {origin}")))?,
        actor: row.try_get(6)?,
        state: state(row.try_get(7)?)?,
        attempts: row.try_get(8)?,
        due_at: row.try_get::<Option<i64>, _>(9)?.map(Timestamp),
        last_attempt_at: row.try_get::<Option<i64>, _>(10)?.map(Timestamp),
        last_cause: row.try_get::<Option<&str>, _>(11)?.and_then(Cause::from_code),
        created_at: Timestamp(row.try_get(12)?),
        finished_at: row.try_get::<Option<i64>, _>(13)?.map(Timestamp),
        shadow: row.try_get(14)?,
        cancelled_by: row.try_get(15)?,
        elsewhere: row.try_get(16)?,
        put_right: row.try_get(17)?,
    })
}

pub(super) fn notification_view(row: &SqliteRow) -> Result<NotificationView, StoreError> {
    let listener = row.try_get::<Option<i64>, _>(7)?.map(ListenerId);
    let label: Option<String> = row.try_get(8)?;
    Ok(NotificationView {
        id: NotificationId(row.try_get(0)?),
        received_at: Timestamp(row.try_get(1)?),
        status: OrderStatus::from_code(row.try_get(2)?),
        vendor_status: row.try_get(3)?,
        message_id: row.try_get(4)?,
        signatures: Algorithms::from_bits(row.try_get(5)?),
        amount: None,
        test: row.try_get(6)?,
        listener: listener.zip(label),
        peer: row.try_get(9)?,
        size: row.try_get::<i64, _>(10)?.try_into().unwrap_or(0),
        repeats: row.try_get(11)?,
        deliveries: Vec::new(),
    })
}

/// The notifications of an order.
pub(super) const NOTIFICATIONS_OF: &str =
    "SELECT notification.id, received_at, status, vendor_status, message_id, signatures, test, listener_id, listener.label,
                 peer, size, repeats
             FROM notification LEFT JOIN listener ON listener.id = listener_id
             WHERE order_id = ? ORDER BY notification.id DESC LIMIT ?";

impl SqliteStore {
    /// The notifications of an order with their deliveries, the newest first.
    pub(in crate::server::store) async fn notifications_of(
        &self,
        order_id: OrderId,
    ) -> Result<Vec<NotificationView>, StoreError> {
        let rows = sqlx::query(NOTIFICATIONS_OF).bind(order_id.0).bind(SHOWN_NOTIFICATIONS).fetch_all(&self.0.readers).await?;
        let mut notifications: Vec<NotificationView> = rows.iter().map(notification_view).collect::<Result<_, _>>()?;
        let ids: Vec<i64> = notifications.iter().map(|notification| notification.id.0).collect();
        let rows =
            sqlx::query(select_delivery!(" WHERE notification_id IN (SELECT value FROM json_each(?)) ORDER BY delivery.id DESC"))
                .bind(json(&ids)?)
                .fetch_all(&self.0.readers)
                .await?;
        let mut by_notification: HashMap<NotificationId, Vec<DeliveryView>> = HashMap::new();
        for row in &rows {
            let delivery = delivery_view(row)?;
            by_notification.entry(delivery.notification_id).or_default().push(delivery);
        }
        for notification in &mut notifications {
            notification.deliveries = by_notification.remove(&notification.id).unwrap_or_default();
        }
        Ok(notifications)
    }

    /// A delivery of a merchant with its order, and the gateway's word for the notification's status.
    pub(in crate::server::store) async fn delivery(
        &self,
        merchant_id: MerchantId,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryView, OrderId, String)>, StoreError> {
        let row = sqlx::query(select_delivery!(
            ", message.order_id, message.vendor_status",
            " JOIN notification AS message ON message.id = notification_id WHERE delivery.id = ? AND delivery.merchant_id = ?"
        ))
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&self.0.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((delivery_view(&row)?, OrderId(row.try_get(18)?), row.try_get(19)?)))
    }

    /// Deliveries by their ids, the newest first, as lists show them.
    pub(super) async fn delivery_rows(&self, ids: &str) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(select_delivery!(
            ", delivery.order_id, orders.reference, notification.vendor_status, notification.test",
            " JOIN notification ON notification.id = delivery.notification_id JOIN orders ON orders.id = delivery.order_id
             WHERE delivery.id IN (SELECT value FROM json_each(?)) ORDER BY delivery.id DESC"
        ))
        .bind(ids)
        .fetch_all(&self.0.readers)
        .await?;
        let row = |row| {
            Ok(DeliveryRow {
                delivery: delivery_view(row)?,
                order_id: OrderId(row.try_get(18)?),
                reference: row.try_get(19)?,
                vendor_status: row.try_get(20)?,
                test: row.try_get(21)?,
            })
        };
        rows.iter().map(row).collect()
    }

    /// The attempts of a delivery, the newest first, or from a number on down.
    pub(in crate::server::store) async fn attempts_of(
        &self,
        id: DeliveryId,
        until: Option<u32>,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, started_at, address, status, cause, timings FROM attempt
             WHERE delivery_id = ? AND number <= ? ORDER BY number DESC LIMIT ?",
        )
        .bind(id.0)
        .bind(until.map_or(i64::MAX, i64::from))
        .bind(SHOWN_ATTEMPTS)
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(attempt_row).collect()
    }

    /// Attempts with everything that was sent and received.
    pub(in crate::server::store) async fn exchanges(
        &self,
        wanted: &[(DeliveryId, u32)],
    ) -> Result<Vec<(DeliveryId, Exchange)>, StoreError> {
        let numbers: Vec<(i64, u32)> = wanted.iter().map(|(id, number)| (id.0, *number)).collect();
        let rows = sqlx::query(
            "SELECT number, started_at, address, status, cause, timings, detail, segment_id, part, delivery_id
             FROM json_each(?1) AS wanted CROSS JOIN attempt
             WHERE delivery_id = json_extract(wanted.value, '$[0]') AND number = json_extract(wanted.value, '$[1]')",
        )
        .bind(json(&numbers)?)
        .fetch_all(&self.0.readers)
        .await?;
        let places = rows.iter().map(|row| Ok((row.try_get(7)?, row.try_get(8)?))).collect::<Result<Vec<_>, StoreError>>()?;
        let parts = self.parts(&places, 4).await?;
        let mut exchanges = Vec::with_capacity(rows.len());
        for (row, parts) in rows.iter().zip(parts) {
            let mut parts = parts.into_iter();
            let mut part = || parts.next().unwrap_or_default();
            let exchange = Exchange {
                attempt: attempt_row(row)?,
                detail: serde_json::from_str(row.try_get(6)?).unwrap_or_default(),
                request_head: String::from_utf8_lossy(&part()).into_owned(),
                request_body: part(),
                answer_head: String::from_utf8_lossy(&part()).into_owned(),
                answer_body: part(),
            };
            exchanges.push((DeliveryId(row.try_get(9)?), exchange));
        }
        Ok(exchanges)
    }

    /// A notification of a merchant with the bytes received.
    pub(in crate::server::store) async fn notification(
        &self,
        merchant_id: MerchantId,
        id: NotificationId,
    ) -> Result<Option<StoredNotification>, StoreError> {
        let row = sqlx::query(
            "SELECT notification.id, received_at, status, vendor_status, message_id, signatures, test, listener_id, listener.label,
                 peer, size, repeats, order_id, segment_id, part
             FROM notification LEFT JOIN listener ON listener.id = listener_id
             WHERE notification.id = ? AND notification.merchant_id = ?",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&self.0.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut parts = self.parts(&[(row.try_get(13)?, row.try_get(14)?)], 2).await?.into_iter().flatten();
        let head = parts.next().unwrap_or_default();
        Ok(Some(StoredNotification {
            view: notification_view(&row)?,
            order_id: OrderId(row.try_get(12)?),
            head: String::from_utf8_lossy(&head).into_owned(),
            body: parts.next().unwrap_or_default(),
        }))
    }
}

pub(super) fn attempt_row(row: &SqliteRow) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        number: row.try_get(0)?,
        started_at: Timestamp(row.try_get(1)?),
        address: row.try_get(2)?,
        status: row.try_get(3)?,
        cause: row.try_get::<Option<&str>, _>(4)?.and_then(Cause::from_code),
        timings: serde_json::from_str(row.try_get(5)?).unwrap_or_default(),
    })
}
