//! Reading orders for pages: lists of them, single ones, and what is known of one.

use super::{
    Core,
    rows::{money, state, text as text_of, word},
};
use crate::domain::{
    Gateway, Money, OrderStatus, Timestamp, Zone,
    id::{MerchantId, OrderId},
    money::Currency,
    order::{KnownOrder, Refunds},
    pages::orders::{DeliverySummary, OrderFilter, OrderRow},
};
use crate::server::store::{
    StoreError,
    scope::{days, end_of_external, turned_to},
};
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashMap;

/// Orders looked through for each of reference, external reference and e-mail when searching by text.
const CANDIDATES: usize = 1_000;

macro_rules! order_columns {
    () => {
        "id, reference, external, email, customer, gateway, status, vendor_status, amount, currency, test, created_at, updated_at,
         refunded, refunded_total"
    };
}

pub(super) fn order_row(row: &PgRow) -> Result<OrderRow, StoreError> {
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

/// Orders of one status. Lists are compared row by row, as in [`super::deliveries`].
pub(super) const NEWEST_OF_STATUS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders AS part
                 WHERE (merchant_id, status, id) >= ($1, $5, $2) AND (merchant_id, status, id) < ($1, $5, $3)
                     AND ($6::boolean IS NULL OR test = $6)
                 ORDER BY merchant_id DESC, status DESC, id DESC LIMIT $4"
);
/// TEST orders of one status.
pub(super) const NEWEST_TEST_OF_STATUS: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders AS part
                 WHERE (merchant_id, status, id) >= ($1, $5, $2) AND (merchant_id, status, id) < ($1, $5, $3) AND test
                 ORDER BY merchant_id DESC, status DESC, id DESC LIMIT $4"
);
/// TEST orders.
pub(super) const NEWEST_TEST: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders AS part WHERE (merchant_id, id) >= ($1, $2) AND (merchant_id, id) < ($1, $3) AND test
                 ORDER BY merchant_id DESC, id DESC LIMIT $4"
);
/// All orders.
pub(super) const NEWEST: &str = concat!(
    "SELECT ",
    order_columns!(),
    " FROM orders AS part
                 WHERE (merchant_id, id) >= ($1, $2) AND (merchant_id, id) < ($1, $3) AND ($5::boolean IS NULL OR test = $5)
                 ORDER BY merchant_id DESC, id DESC LIMIT $4"
);
/// Orders by the beginning of what people know.
pub(super) const BY_TEXT: &str = "(SELECT 0::bigint, id FROM orders WHERE merchant_id = $1 AND reference >= $2 AND reference < $3
                 ORDER BY reference LIMIT $6)
             UNION ALL (SELECT 1, id FROM orders WHERE merchant_id = $1 AND external <> '' AND external >= $2 AND external < $7
                 ORDER BY external LIMIT $6)
             UNION ALL (SELECT 2, id FROM orders WHERE merchant_id = $1 AND email <> '' AND email >= $4 AND email < $5
                 ORDER BY email LIMIT $6)";
/// Orders by their ids, with whose they are.
pub(super) const BY_IDS: &str =
    concat!("SELECT ", order_columns!(), ", merchant_id FROM orders WHERE id = ANY($1) ORDER BY id DESC LIMIT $2");
/// How the deliveries of orders stand.
pub(super) const SUMMARIES: &str = "SELECT notification.order_id, state, count(*) FROM notification
             JOIN delivery ON delivery.notification_id = notification.id
             JOIN notification_url ON notification_url.id = delivery.url_id
             WHERE notification.order_id = ANY($1) AND NOT shadow GROUP BY 1, 2";

/// The ids that a filter is about.
fn id_range(filter: &OrderFilter, zone: &Zone) -> (i64, i64) {
    turned_to(days(filter.from, filter.until, zone), filter.after.map(|id| id.0), None)
}

impl Core {
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
        let (from, until) = id_range(filter, &self.directory.borrow().zone_of(merchant_id));
        // One statement for each index that can serve the list; the planner cannot choose behind `OR … IS NULL`.
        let bound = |statement| sqlx::query(statement).bind(merchant_id.0).bind(from).bind(until).bind(i64::from(limit) + 1);
        let query = match (filter.status, filter.test) {
            (Some(status), Some(true)) => bound(NEWEST_TEST_OF_STATUS).bind(status.code()),
            (Some(status), test) => bound(NEWEST_OF_STATUS).bind(status.code()).bind(test),
            (None, Some(true)) => bound(NEWEST_TEST),
            (None, test) => bound(NEWEST).bind(test),
        };
        let rows = query.fetch_all(&self.reading).await?;
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
        let sought = text_of(text);
        let lower = sought.to_lowercase();
        // Behind a whole address comes nothing that an address can hold.
        let last_email = if filter.masked { format!("{lower}\u{1}") } else { end(&lower) };
        let candidates: Vec<(i64, i64)> = sqlx::query_as(BY_TEXT)
            .bind(merchant_id.0)
            .bind(sought.as_ref())
            .bind(end(&sought))
            .bind(&lower)
            .bind(last_email)
            .bind(CANDIDATES as i64)
            .bind(end_of_external(&sought, filter.masked))
            .fetch_all(&self.reading)
            .await?;
        let truncated = (0..3).any(|kind| candidates.iter().filter(|(found, _)| *found == kind).count() >= CANDIDATES);
        let (from, until) = id_range(filter, &self.directory.borrow().zone_of(merchant_id));
        let ids: Vec<i64> = candidates.into_iter().map(|(_, id)| id).filter(|id| (from..until).contains(id)).collect();
        let rows = sqlx::query(concat!(
            "SELECT ",
            order_columns!(),
            " FROM orders
             WHERE id = ANY($1) AND ($2::text IS NULL OR status = $2) AND ($3::boolean IS NULL OR test = $3)
             ORDER BY id DESC LIMIT $4"
        ))
        .bind(&ids)
        .bind(filter.status.map(OrderStatus::code))
        .bind(filter.test)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.reading)
        .await?;
        Ok((rows.iter().map(order_row).collect::<Result<_, _>>()?, truncated))
    }

    async fn add_summaries(&self, orders: &mut [OrderRow]) -> Result<(), StoreError> {
        let ids: Vec<i64> = orders.iter().map(|order| order.id.0).collect();
        let counts: Vec<(i64, i64, i64)> = sqlx::query_as(SUMMARIES).bind(&ids).fetch_all(&self.reading).await?;
        let mut summaries: HashMap<i64, DeliverySummary> = HashMap::new();
        for (order, code, count) in counts {
            let summary = summaries.entry(order).or_default();
            *summary.slot(state(code)?) += u32::try_from(count).unwrap_or(u32::MAX);
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
        let row = sqlx::query(concat!("SELECT ", order_columns!(), " FROM orders WHERE id = $1 AND merchant_id = $2"))
            .bind(id.0)
            .bind(merchant_id.0)
            .fetch_optional(&self.reading)
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
            "SELECT id FROM orders WHERE merchant_id = $1 AND (reference = $2 OR (external = $2 AND external <> ''))
             ORDER BY reference = $2 DESC, id DESC LIMIT 1",
        )
        .bind(merchant_id.0)
        .bind(text_of(reference))
        // By either of two indexes, which plans of the other connections cannot do.
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(OrderId))
    }

    /// The amount of an order, where it is known.
    pub(in crate::server::store) async fn amount_of(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> Result<Option<Money>, StoreError> {
        let query = "SELECT amount, currency FROM orders WHERE merchant_id = $1 AND reference = $2 AND gateway = $3";
        let row: Option<(Option<i64>, Option<String>)> = sqlx::query_as(query)
            .bind(merchant_id.0)
            .bind(text_of(reference))
            .bind(gateway.name())
            .fetch_optional(&self.reading)
            .await?;
        Ok(row.and_then(|(minor, currency)| money(minor, currency.as_deref())))
    }

    /// What is known of an order.
    pub(in crate::server::store) async fn known_order(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> Result<Option<KnownOrder>, StoreError> {
        let query = "SELECT status, vendor_status, amount, currency, refunded, refunded_total FROM orders
             WHERE merchant_id = $1 AND reference = $2 AND gateway = $3";
        let row = sqlx::query(query)
            .bind(merchant_id.0)
            .bind(text_of(reference))
            .bind(gateway.name())
            .fetch_optional(&self.reading)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let currency: Option<String> = row.try_get(3)?;
        Ok(Some(KnownOrder {
            status: OrderStatus::from_code(row.try_get(0)?),
            vendor_status: row.try_get(1)?,
            amount: money(row.try_get(2)?, currency.as_deref()),
            refunds: Refunds { parts: row.try_get(4)?, total: row.try_get(5)? },
        }))
    }
}
