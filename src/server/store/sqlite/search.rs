//! The search over everything that some merchants have.

use super::{
    SqliteStore,
    orders::{BY_IDS, order_row},
    rows::{json, state},
};
use crate::domain::{
    RefusalReason, Timestamp,
    id::{BulkId, DeliveryId, MerchantId, NotificationId, RefusalId, UrlId},
    pages::search::Found,
};
use crate::server::store::{FoundByText, StoreError};
use sqlx::{Row as _, sqlite::SqliteRow};

/// What has an id, of every kind.
pub(super) const BY_ID: &str = "SELECT 0, n.merchant_id, n.id, o.reference, n.vendor_status, n.message_id, n.received_at, 0, 0
             FROM notification AS n JOIN orders AS o ON o.id = n.order_id WHERE n.id = ?1
             UNION ALL SELECT 1, d.merchant_id, d.id, o.reference, u.label, '', d.created_at, d.state, d.url_id
             FROM delivery AS d JOIN orders AS o ON o.id = d.order_id JOIN notification_url AS u ON u.id = d.url_id WHERE d.id = ?1
             UNION ALL SELECT 2, merchant_id, id, '', reason, '', at, 0, 0 FROM refusal WHERE id = ?1 AND merchant_id IS NOT NULL
             UNION ALL SELECT 3, merchant_id, id, '', '', '', at, 0, 0 FROM bulk_job WHERE id = ?1
             UNION ALL SELECT 4, merchant_id, id, '', '', '', created_at, 0, 0 FROM orders WHERE id = ?1";
/// Messages by the gateway's number of them.
pub(super) const BY_MESSAGE: &str =
    "SELECT 0, n.merchant_id, n.id, o.reference, n.vendor_status, n.message_id, n.received_at, 0, 0
             FROM notification AS n JOIN orders AS o ON o.id = n.order_id
             WHERE n.merchant_id IN (SELECT value FROM json_each(?1)) AND n.message_id = ?2 AND n.message_id <> '' LIMIT ?3";
/// Orders by the beginning of what people know, over several merchants.
pub(super) const ORDERS: &str =
    "SELECT id FROM (SELECT id FROM orders WHERE merchant_id IN (SELECT value FROM json_each(?1)) AND reference >= ?2
                 AND reference < ?3 LIMIT ?6)
             UNION SELECT id FROM (SELECT id FROM orders WHERE merchant_id IN (SELECT value FROM json_each(?1)) AND external <> ''
                 AND external >= ?2 AND external < ?3 LIMIT ?6)
             UNION SELECT id FROM (SELECT id FROM orders WHERE merchant_id IN (SELECT value FROM json_each(?1)) AND email <> ''
                 AND email >= ?4 AND email < ?5 LIMIT ?6)";

/// What a row of the search by id is; an order is only named.
fn hit(row: &SqliteRow) -> Result<(MerchantId, i64, Option<Found>), StoreError> {
    let id: i64 = row.try_get(2)?;
    let at = Timestamp(row.try_get(6)?);
    let found = match row.try_get::<i64, _>(0)? {
        0 => Some(Found::Notification {
            id: NotificationId(id),
            reference: row.try_get(3)?,
            vendor_status: row.try_get(4)?,
            message_id: row.try_get(5)?,
            received_at: at,
        }),
        1 => Some(Found::Delivery {
            id: DeliveryId(id),
            reference: row.try_get(3)?,
            url: UrlId(row.try_get(8)?),
            url_label: row.try_get(4)?,
            state: state(row.try_get(7)?)?,
            created_at: at,
        }),
        2 => {
            let reason: &str = row.try_get(4)?;
            let reason =
                RefusalReason::from_code(reason).ok_or_else(|| StoreError::Corrupt(format!("refusal reason {reason}")))?;
            Some(Found::Refusal { id: RefusalId(id), reason, at })
        }
        3 => Some(Found::BulkResend { id: BulkId(id), at }),
        _ => None,
    };
    Ok((MerchantId(row.try_get(1)?), id, found))
}

impl SqliteStore {
    /// Orders, messages and what has an id that a text names, of some merchants; at most so many of a kind.
    pub(in crate::server::store) async fn search(
        &self,
        merchants: &[MerchantId],
        text: &str,
        id: Option<i64>,
        most: u32,
    ) -> Result<Vec<FoundByText>, StoreError> {
        let list = json(&merchants.iter().map(|id| id.0).collect::<Vec<_>>())?;
        let end = |text: &str| format!("{text}\u{10ffff}");
        let lower = text.to_lowercase();
        let mut orders: Vec<i64> = sqlx::query_scalar(ORDERS)
            .bind(&list)
            .bind(text)
            .bind(end(text))
            .bind(&lower)
            .bind(end(&lower))
            .bind(most)
            .fetch_all(&self.0.readers)
            .await?;
        let mut rows = sqlx::query(BY_MESSAGE).bind(&list).bind(text).bind(most).fetch_all(&self.0.readers).await?;
        if let Some(id) = id {
            rows.extend(sqlx::query(BY_ID).bind(id).fetch_all(&self.0.readers).await?);
        }
        let mut hits = Vec::new();
        for row in &rows {
            let (merchant_id, id, found) = hit(row)?;
            match found.filter(|_| merchants.contains(&merchant_id)) {
                Some(found) => hits.push(FoundByText { merchant_id, found }),
                None if merchants.contains(&merchant_id) => orders.push(id),
                None => {}
            }
        }
        // Of those that were found the newest first.
        let rows = sqlx::query(BY_IDS).bind(json(&orders)?).bind(most).fetch_all(&self.0.readers).await?;
        for row in &rows {
            let merchant_id = MerchantId(row.try_get(15)?);
            hits.push(FoundByText { merchant_id, found: Found::Order(Box::new(order_row(row)?)) });
        }
        Ok(hits)
    }
}
