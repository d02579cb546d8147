//! Reading orders, notifications, deliveries and attempts for pages.

use super::{
    SqliteStore,
    rows::{json, money, state, word},
};
use crate::domain::{
    Algorithms, Cause, Gateway, Money, OrderStatus, Timestamp, Zone,
    attempt::Origin,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    money::Currency,
    order::{KnownOrder, Refunds},
    pages::{
        deliveries::DeliveryRow,
        orders::{AttemptRow, DeliverySummary, DeliveryView, NotificationView, OrderFilter, OrderRow},
    },
};
use crate::server::store::{
    Exchange, StoreError, StoredNotification,
    scope::{days, end_of_external, turned_to},
};
use sqlx::{Row as _, sqlite::SqliteRow};
use std::collections::HashMap;

/// Orders looked through for each of reference, external reference and e-mail when searching by text.
const CANDIDATES: usize = 1_000;
/// Notifications shown on an order's page.
const SHOWN_NOTIFICATIONS: i64 = 200;
/// Attempts shown on a delivery's page; a full schedule has 53.
const SHOWN_ATTEMPTS: i64 = 200;

macro_rules! order_columns {
    () => {
        "id, reference, external, email, customer, gateway, status, vendor_status, amount, currency, test, created_at, updated_at,
         refunded, refunded_total"
    };
}

pub(super) fn order_row(row: &SqliteRow) -> Result<OrderRow, StoreError> {
    let currency: Option<&str> = row.try_get(9)?;
    let (amount, status) = (money(row.try_get(8)?, currency), OrderStatus::from_code(row.try_get(6)?));
    let refunds = Refunds { parts: row.try_get(13)?, total: row.try_get(14)? };
    Ok(OrderRow {
        id: OrderId(row.try_get(0)?),
        reference: row.try_get(1)?,
        external: row.try_get(2)?,
        email: row.try_get(3)?,
        customer: row.try_get(4)?,
        gateway: word("orders.gateway", row.try_get(5)?)?,
        status,
        vendor_status: row.try_get(7)?,
        amount,
        refunded: refunds.given_back(status, currency.and_then(Currency::parse)),
        test: row.try_get(10)?,
        created_at: Timestamp(row.try_get(11)?),
        updated_at: Timestamp(row.try_get(12)?),
        deliveries: DeliverySummary::default(),
    })
}

macro_rules! select_delivery {
    ($condition:literal) => {
        select_delivery!("", $condition)
    };
    // With more columns after those of the view.
    ($columns:literal, $condition:literal) => {
        concat!(
            "SELECT delivery.id, notification_id, url_id, notification_url.label, coalesce(delivery.address, notification_url.url), origin,
                 coalesce(resend.actor, bulk_job.actor), delivery.state, attempts, due_at, last_attempt_at, last_cause,
                 delivery.created_at, delivery.finished_at, shadow, cancelling.actor, delivery.address IS NOT NULL",
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

/// Orders of one status.
pub(super) const NEWEST_OF_STATUS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND status = ?4 AND (?5 IS NULL OR test = ?5)
                 ORDER BY id DESC LIMIT ?6"
);
/// TEST orders of one status.
pub(super) const NEWEST_TEST_OF_STATUS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders INDEXED BY orders_test_status
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND status = ?4 AND test = 1 AND ?5 IS NOT NULL
                 ORDER BY id DESC LIMIT ?6"
);
/// TEST orders.
pub(super) const NEWEST_TEST: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND ?4 IS NULL AND test = 1 AND ?5 IS NOT NULL
                 ORDER BY id DESC LIMIT ?6"
);
/// All orders.
pub(super) const NEWEST: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND ?4 IS NULL AND (?5 IS NULL OR test = ?5)
                 ORDER BY id DESC LIMIT ?6"
);
/// Orders by the beginning of what people know.
pub(super) const BY_TEXT: &str =
    "SELECT * FROM (SELECT 0, id FROM orders WHERE merchant_id = ?1 AND reference >= ?2 AND reference < ?3
                 ORDER BY reference LIMIT ?6)
             UNION ALL SELECT * FROM (SELECT 1, id FROM orders WHERE merchant_id = ?1 AND external <> ''
                 AND external >= ?2 AND external < ?7 ORDER BY external LIMIT ?6)
             UNION ALL SELECT * FROM (SELECT 2, id FROM orders WHERE merchant_id = ?1 AND email <> ''
                 AND email >= ?4 AND email < ?5 ORDER BY email LIMIT ?6)";
/// Orders by their ids, with whose they are.
pub(super) const BY_IDS: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", merchant_id FROM orders WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id DESC LIMIT ?2"
);
/// How the deliveries of orders stand.
pub(super) const SUMMARIES: &str = "SELECT notification.order_id, state, count(*) FROM notification
             JOIN delivery ON delivery.notification_id = notification.id
             JOIN notification_url ON notification_url.id = delivery.url_id
             WHERE notification.order_id IN (SELECT value FROM json_each(?)) AND shadow = 0 GROUP BY 1, 2";
/// The notifications of an order.
pub(super) const NOTIFICATIONS_OF: &str =
    "SELECT notification.id, received_at, status, vendor_status, message_id, signatures, test, listener_id, listener.label,
                 peer, size, repeats
             FROM notification LEFT JOIN listener ON listener.id = listener_id
             WHERE order_id = ? ORDER BY notification.id DESC LIMIT ?";

/// The ids that a filter is about.
fn id_range(filter: &OrderFilter, zone: &Zone) -> (i64, i64) {
    turned_to(days(filter.from, filter.until, zone), filter.after.map(|id| id.0), None)
}

impl SqliteStore {
    /// Orders of one merchant that fit a filter, the newest first, at most so many: the rows, whether there are more, and whether the
    /// text fits too many to have looked at all.
    pub(in crate::server::store) async fn find_some_orders(
        &self,
        merchant_id: MerchantId,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<(Vec<OrderRow>, bool, bool), StoreError> {
        let text = filter.text.trim();
        let (mut rows, truncated) = if text.is_empty() {
            (self.newest_orders(merchant_id, filter, limit).await?, false)
        } else {
            self.orders_by_text(merchant_id, text, filter, limit).await?
        };
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        self.add_summaries(&mut rows).await?;
        Ok((rows, more, truncated))
    }

    async fn newest_orders(
        &self,
        merchant_id: MerchantId,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let (from, until) = id_range(filter, &self.settings().zone_of(merchant_id));
        // One statement for each index that can serve the list; the planner cannot choose behind `OR … IS NULL`.
        let query = match (filter.status, filter.test) {
            (Some(_), Some(true)) => sqlx::query(NEWEST_TEST_OF_STATUS),
            (Some(_), _) => sqlx::query(NEWEST_OF_STATUS),
            (None, Some(true)) => sqlx::query(NEWEST_TEST),
            (None, _) => sqlx::query(NEWEST),
        };
        let rows = query
            .bind(merchant_id.0)
            .bind(from)
            .bind(until)
            .bind(filter.status.map(OrderStatus::code))
            .bind(filter.test)
            .bind(limit + 1)
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(order_row).collect()
    }

    async fn orders_by_text(
        &self,
        merchant_id: MerchantId,
        text: &str,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<(Vec<OrderRow>, bool), StoreError> {
        let end = |text: &str| format!("{text}\u{10ffff}");
        let lower = text.to_lowercase();
        // Behind a whole address comes nothing that an address can hold.
        let last_email = if filter.masked { format!("{lower}\u{1}") } else { end(&lower) };
        let candidates: Vec<(i64, i64)> = sqlx::query_as(BY_TEXT)
            .bind(merchant_id.0)
            .bind(text)
            .bind(end(text))
            .bind(&lower)
            .bind(last_email)
            .bind(CANDIDATES as i64)
            .bind(end_of_external(text, filter.masked))
            .fetch_all(&self.0.readers)
            .await?;
        let truncated = (0..3).any(|kind| candidates.iter().filter(|(found, _)| *found == kind).count() >= CANDIDATES);
        let (from, until) = id_range(filter, &self.settings().zone_of(merchant_id));
        let ids: Vec<i64> = candidates.into_iter().map(|(_, id)| id).filter(|id| (from..until).contains(id)).collect();
        let rows = sqlx::query(concat!(
            "SELECT ",
            order_columns!(),
            " FROM orders
             WHERE id IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR test = ?3)
             ORDER BY id DESC LIMIT ?4"
        ))
        .bind(json(&ids)?)
        .bind(filter.status.map(OrderStatus::code))
        .bind(filter.test)
        .bind(limit + 1)
        .fetch_all(&self.0.readers)
        .await?;
        Ok((rows.iter().map(order_row).collect::<Result<_, _>>()?, truncated))
    }

    async fn add_summaries(&self, orders: &mut [OrderRow]) -> Result<(), StoreError> {
        let ids: Vec<i64> = orders.iter().map(|order| order.id.0).collect();
        let counts: Vec<(i64, i64, u32)> = sqlx::query_as(SUMMARIES).bind(json(&ids)?).fetch_all(&self.0.readers).await?;
        let mut summaries: HashMap<i64, DeliverySummary> = HashMap::new();
        for (order, code, count) in counts {
            let summary = summaries.entry(order).or_default();
            *summary.slot(state(code)?) += count;
        }
        for order in orders {
            order.deliveries = summaries.remove(&order.id.0).unwrap_or_default();
        }
        Ok(())
    }

    /// One order of a merchant, with how its deliveries stand.
    pub(in crate::server::store) async fn order(
        &self,
        merchant_id: MerchantId,
        id: OrderId,
    ) -> Result<Option<OrderRow>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", order_columns!(), " FROM orders WHERE id = ? AND merchant_id = ?"))
            .bind(id.0)
            .bind(merchant_id.0)
            .fetch_optional(&self.0.readers)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut order = [order_row(&row)?];
        self.add_summaries(&mut order).await?;
        Ok(order.into_iter().next())
    }

    /// The order with this reference; the newest where gateways use the same.
    pub(in crate::server::store) async fn order_by_reference(
        &self,
        merchant_id: MerchantId,
        reference: &str,
    ) -> Result<Option<OrderId>, StoreError> {
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM orders WHERE merchant_id = ?1 AND (reference = ?2 OR (external = ?2 AND external <> ''))
             ORDER BY reference = ?2 DESC, id DESC LIMIT 1",
        )
        .bind(merchant_id.0)
        .bind(reference)
        .fetch_optional(&self.0.readers)
        .await?;
        Ok(id.map(OrderId))
    }

    /// The amount of an order, where it is known: by everything that was accepted before.
    pub(in crate::server::store) async fn amount_of(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> Result<Option<Money>, StoreError> {
        self.settled().await?;
        let query = "SELECT amount, currency FROM orders WHERE merchant_id = ? AND reference = ? AND gateway = ?";
        let row: Option<(Option<i64>, Option<String>)> = sqlx::query_as(query)
            .bind(merchant_id.0)
            .bind(reference)
            .bind(gateway.name())
            .fetch_optional(&self.0.readers)
            .await?;
        Ok(row.and_then(|(minor, currency)| money(minor, currency.as_deref())))
    }

    /// What is known of an order: by everything that was accepted before.
    pub(in crate::server::store) async fn known_order(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> Result<Option<KnownOrder>, StoreError> {
        self.settled().await?;
        let query = "SELECT status, vendor_status, amount, currency, refunded, refunded_total FROM orders
             WHERE merchant_id = ? AND reference = ? AND gateway = ?";
        let row =
            sqlx::query(query).bind(merchant_id.0).bind(reference).bind(gateway.name()).fetch_optional(&self.0.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let currency: Option<String> = row.try_get(3)?;
        Ok(Some(KnownOrder {
            status: OrderStatus::from_code(row.try_get(0)?),
            vendor_status: row.try_get(1)?,
            amount: money(row.try_get(2)?, currency.as_deref()),
            refunds: Refunds { parts: row.try_get(4)?, total: row.try_get(5)? },
        }))
    }

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
        Ok(Some((delivery_view(&row)?, OrderId(row.try_get(17)?), row.try_get(18)?)))
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
                order_id: OrderId(row.try_get(17)?),
                reference: row.try_get(18)?,
                vendor_status: row.try_get(19)?,
                test: row.try_get(20)?,
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
