//! Resends: new deliveries of old notifications, asked for by a person.

use super::{SqliteStore, rows::json, settings::Audit};
use crate::domain::{
    DeliveryState, Timestamp,
    attempt::{Origin, VerdictDetail},
    id::{DeliveryId, MerchantId, NotificationId, ResendId, UrlId},
};
use crate::server::store::{Change, Commit, Job, NewResend, ResendOutcome, Sending, StoreError, resends::MOST_SENDINGS};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

impl SqliteStore {
    /// Makes the deliveries of a resend. The same request key gives the deliveries of the first time.
    pub(in crate::server::store) async fn resend(
        &self,
        merchant_id: MerchantId,
        new: NewResend,
    ) -> Result<ResendOutcome, StoreError> {
        let store = self.clone();
        self.change(move |conn| Box::pin(async move { store.write_resend(conn, merchant_id, new).await })).await
    }

    async fn write_resend(
        &self,
        conn: &mut SqliteConnection,
        merchant_id: MerchantId,
        new: NewResend,
    ) -> Result<(ResendOutcome, Commit), StoreError> {
        if let Some(outcome) = find_resend(conn, merchant_id, &new).await? {
            return Ok((outcome, Commit::default()));
        }
        let reference: Option<String> = sqlx::query_scalar("SELECT reference FROM orders WHERE id = ? AND merchant_id = ?")
            .bind(new.order_id.0)
            .bind(merchant_id.0)
            .fetch_optional(&mut *conn)
            .await?;
        let reference = reference.ok_or(StoreError::NotFound("the order"))?;
        let resend_id = ResendId(self.0.ids.next());
        sqlx::query("INSERT INTO resend (id, order_id, at, actor, debug, request_key) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(resend_id.0)
            .bind(new.order_id.0)
            .bind(new.at.0)
            .bind(&new.actor.name)
            .bind(new.debug)
            .bind(&new.request_key)
            .execute(&mut *conn)
            .await?;
        let origin = if new.debug { Origin::Debug } else { Origin::Resend };
        let directory = self.0.directory.borrow().clone();
        let mut outcome = ResendOutcome { resend_id, delivery_ids: Vec::new(), repeated: false };
        let mut commit = Commit { changes: vec![Change::Order(merchant_id, new.order_id)], ..Commit::default() };
        for url_id in &new.url_ids {
            let url = directory.url(*url_id).filter(|url| url.merchant_id == merchant_id);
            let url = url.ok_or(StoreError::NotFound("the notification URL"))?;
            // For debug a person wants to see the exchange now, on hold or not.
            let held = url.held && !new.debug;
            let state = if held { DeliveryState::Held } else { DeliveryState::Queued };
            for notification_id in &new.notification_ids {
                let delivery_id = DeliveryId(self.0.ids.next());
                let inserted = sqlx::query(
                    "INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, resend_id, node_id, state,
                         due_at, created_at, address)
                     SELECT ?, id, ?, order_id, merchant_id, ?, ?, ?, ?, ?, ?, ? FROM notification WHERE id = ? AND order_id = ?",
                )
                .bind(delivery_id.0)
                .bind(url_id.0)
                .bind(origin.code())
                .bind(resend_id.0)
                .bind(self.0.node)
                .bind(state.code())
                .bind((!held).then_some(new.at.0))
                .bind(new.at.0)
                .bind(new.addresses.get(url_id))
                .bind(notification_id.0)
                .bind(new.order_id.0)
                .execute(&mut *conn)
                .await?;
                if inserted.rows_affected() == 0 {
                    return Err(StoreError::NotFound("the notification"));
                }
                outcome.delivery_ids.push(delivery_id);
                if !held && self.0.node.is_some() {
                    commit.jobs.push(new_job(&new, merchant_id, *url_id, *notification_id, delivery_id, origin));
                }
            }
            let count = new.notification_ids.len() as i64;
            let (queued, held) = if held { (0, count) } else { (count, 0) };
            sqlx::query(
                "INSERT INTO url_books (url_id, accepted, queued, held) VALUES (?, ?, ?, ?)
                 ON CONFLICT (url_id) DO UPDATE SET accepted = accepted + excluded.accepted,
                     queued = queued + excluded.queued, held = held + excluded.held",
            )
            .bind(url_id.0)
            .bind(count)
            .bind(queued)
            .bind(held)
            .execute(&mut *conn)
            .await?;
        }
        let action = if new.debug { "order.resend-debug" } else { "order.resend" };
        let detail = new.told(json(&outcome.delivery_ids)?);
        let entry = Audit { actor: &new.actor, merchant_id: Some(merchant_id), action, subject: reference, detail, change: None };
        self.audit(conn, entry).await?;
        Ok((outcome, commit))
    }

    /// The address of its own that a delivery goes to; `None` where it goes to its URL as it is set.
    pub(in crate::server::store) async fn address_of(&self, id: DeliveryId) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT address FROM delivery WHERE id = ?").bind(id.0).fetch_optional(&self.0.readers).await?;
        Ok(found.flatten())
    }

    /// The last attempts at a notification of a merchant, the latest delivery first.
    pub(in crate::server::store) async fn sendings(
        &self,
        merchant_id: MerchantId,
        id: NotificationId,
    ) -> Result<Vec<Sending>, StoreError> {
        let rows = sqlx::query(
            "SELECT url_id, delivery_id, number, started_at, detail
             FROM delivery JOIN attempt ON attempt.delivery_id = delivery.id
             WHERE delivery.notification_id = ? AND delivery.merchant_id = ?
             ORDER BY delivery.id DESC, number DESC LIMIT ?",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .bind(MOST_SENDINGS)
        .fetch_all(&self.0.readers)
        .await?;
        let sending = |row: &SqliteRow| -> Result<Sending, StoreError> {
            let detail: VerdictDetail = serde_json::from_str(row.try_get(4)?).unwrap_or_default();
            Ok(Sending {
                url_id: UrlId(row.try_get(0)?),
                delivery_id: DeliveryId(row.try_get(1)?),
                number: row.try_get(2)?,
                at: Timestamp(row.try_get(3)?),
                address: detail.url,
            })
        };
        rows.iter().map(sending).collect()
    }
}

fn new_job(
    new: &NewResend,
    merchant_id: MerchantId,
    url_id: UrlId,
    notification_id: NotificationId,
    delivery_id: DeliveryId,
    origin: Origin,
) -> Job {
    Job {
        delivery_id,
        notification_id,
        order_id: new.order_id,
        merchant_id,
        url_id,
        origin,
        attempts: 0,
        window_from: None,
        due_at: new.at,
        body: None,
    }
}

/// What the wish under this key made when it came first. The key of another order tells nothing.
async fn find_resend(
    conn: &mut SqliteConnection,
    merchant_id: MerchantId,
    new: &NewResend,
) -> Result<Option<ResendOutcome>, StoreError> {
    let known: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT resend.id, order_id, merchant_id FROM resend JOIN orders ON orders.id = order_id WHERE request_key = ?",
    )
    .bind(&new.request_key)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((id, order_id, owner)) = known else { return Ok(None) };
    if (order_id, owner) != (new.order_id.0, merchant_id.0) {
        return Err(StoreError::NotFound("the resend"));
    }
    // By way of the order, because resends are too few to keep an index on every delivery for them.
    let rows = sqlx::query(
        "SELECT delivery.id FROM resend
         JOIN notification ON notification.order_id = resend.order_id
         JOIN delivery ON delivery.notification_id = notification.id AND delivery.resend_id = resend.id
         WHERE resend.id = ? ORDER BY delivery.id",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    let delivery_ids = rows.iter().map(|row| row.try_get(0).map(DeliveryId)).collect::<Result<_, _>>()?;
    Ok(Some(ResendOutcome { resend_id: ResendId(id), delivery_ids, repeated: true }))
}
