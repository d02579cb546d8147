//! Resends: new deliveries of old notifications, asked for by a person.

use super::{
    Core,
    accept::is_exclusive,
    rows::{json, small, text},
    settings::Audit,
};
use crate::domain::{
    DeliveryState, Timestamp,
    attempt::{Origin, VerdictDetail},
    id::{DeliveryId, MerchantId, NotificationId, ResendId, UrlId},
};
use crate::server::store::{Change, Commit, Job, NewResend, ResendOutcome, Sending, StoreError, resends::MOST_SENDINGS};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::collections::HashSet;

impl Core {
    /// Makes the deliveries of a resend. The same request key gives the deliveries of the first time.
    pub(in crate::server::store) async fn resend(
        &self,
        merchant_id: MerchantId,
        new: NewResend,
    ) -> Result<ResendOutcome, StoreError> {
        let mut tx = self.pool.begin().await?;
        let resend_id = ResendId(self.ids.next());
        // Retention looks at what is waited for behind this.
        sqlx::query("SELECT id FROM orders WHERE id = $1 FOR SHARE").bind(new.order_id.0).execute(&mut *tx).await?;
        // A double click that reaches two nodes waits here for the first.
        let inserted = sqlx::query(
            "INSERT INTO resend (id, order_id, at, actor, debug, request_key) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (request_key) DO NOTHING",
        )
        .bind(resend_id.0)
        .bind(new.order_id.0)
        .bind(new.at.0)
        .bind(text(&new.actor.name))
        .bind(new.debug)
        .bind(text(&new.request_key))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return first_time(&mut tx, merchant_id, &new).await;
        }
        let reference: Option<String> = sqlx::query_scalar("SELECT reference FROM orders WHERE id = $1 AND merchant_id = $2")
            .bind(new.order_id.0)
            .bind(merchant_id.0)
            .fetch_optional(&mut *tx)
            .await?;
        let reference = reference.ok_or(StoreError::NotFound("the order"))?;
        let ids: Vec<i64> = new.notification_ids.iter().map(|id| id.0).collect();
        let known: Vec<i64> = sqlx::query_scalar("SELECT id FROM notification WHERE id = ANY($1) AND order_id = $2")
            .bind(&ids)
            .bind(new.order_id.0)
            .fetch_all(&mut *tx)
            .await?;
        if known.iter().collect::<HashSet<_>>() != ids.iter().collect::<HashSet<_>>() {
            return Err(StoreError::NotFound("the notification"));
        }
        let origin = if new.debug { Origin::Debug } else { Origin::Resend };
        let place = self.present();
        let directory = self.directory.borrow().clone();
        let mut outcome = ResendOutcome { resend_id, delivery_ids: Vec::new(), repeated: false };
        let mut commit = Commit { changes: vec![Change::Order(merchant_id, new.order_id)], ..Commit::default() };
        let mut left_to_others = false;
        // Books are locked in the order of URLs, as by everybody else.
        let mut url_ids = new.url_ids.clone();
        url_ids.sort_unstable();
        for url_id in &url_ids {
            let url = directory.url(*url_id).filter(|url| url.merchant_id == merchant_id);
            let url = url.ok_or(StoreError::NotFound("the notification URL"))?;
            // For debug a person wants to see the exchange now, on hold or not.
            let held = url.held && !new.debug;
            // What another node must send is taken over by whoever has the lease.
            let mine = place.node != 0 && (new.debug || !is_exclusive(url) || self.leases().get(url_id) == Some(&place.node));
            left_to_others |= !mine && !held;
            let (state, count) = (if held { DeliveryState::Held } else { DeliveryState::Queued }, ids.len() as i64);
            let delivery_ids: Vec<i64> = ids.iter().map(|_| self.ids.next()).collect();
            sqlx::query(
                "INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, resend_id, node_id, state, due_at,
                     created_at, address)
                 SELECT d.id, d.notification_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12
                 FROM unnest($1::bigint[], $2::bigint[]) AS d (id, notification_id)",
            )
            .bind(&delivery_ids)
            .bind(&ids)
            .bind(url_id.0)
            .bind(new.order_id.0)
            .bind(merchant_id.0)
            .bind(origin.code())
            .bind(resend_id.0)
            .bind(if mine { place.node } else { 0 })
            .bind(state.code())
            .bind((!held).then_some(new.at.0))
            .bind(new.at.0)
            .bind(new.addresses.get(url_id).map(|address| text(address)))
            .execute(&mut *tx)
            .await?;
            sqlx::query(
                "INSERT INTO url_books (url_id, page, accepted, queued, held) VALUES ($1, 0, $2, $3, $4)
                 ON CONFLICT (url_id, page) DO UPDATE SET accepted = url_books.accepted + excluded.accepted,
                     queued = url_books.queued + excluded.queued, held = url_books.held + excluded.held",
            )
            .bind(url_id.0)
            .bind(count)
            .bind(if held { 0 } else { count })
            .bind(if held { count } else { 0 })
            .execute(&mut *tx)
            .await?;
            for (delivery_id, notification_id) in delivery_ids.into_iter().zip(&ids) {
                outcome.delivery_ids.push(DeliveryId(delivery_id));
                if mine && !held {
                    commit.jobs.push(Job {
                        delivery_id: DeliveryId(delivery_id),
                        notification_id: NotificationId(*notification_id),
                        order_id: new.order_id,
                        merchant_id,
                        url_id: *url_id,
                        origin,
                        attempts: 0,
                        window_from: None,
                        due_at: new.at,
                        body: None,
                    });
                }
            }
        }
        let action = if new.debug { "order.resend-debug" } else { "order.resend" };
        let detail = new.told(json(&outcome.delivery_ids)?);
        let entry = Audit { actor: &new.actor, merchant_id: Some(merchant_id), action, subject: reference, detail, change: None };
        self.audit(&mut tx, entry).await?;
        // Nodes that hear of it look for what nobody serves yet.
        sqlx::query("SELECT pg_notify('quittance', 'work') WHERE $1")
            .bind(left_to_others && place.node == 0)
            .execute(&mut *tx)
            .await?;
        let unannounced = self.will_announce();
        tx.commit().await?;
        self.announce(commit);
        unannounced.done();
        if left_to_others {
            self.adopt_now().await;
        }
        Ok(outcome)
    }

    /// The address of its own that a delivery goes to; `None` where it goes to its URL as it is set.
    pub(in crate::server::store) async fn address_of(&self, id: DeliveryId) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> =
            sqlx::query_scalar("SELECT address FROM delivery WHERE id = $1").bind(id.0).fetch_optional(&self.reading).await?;
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
             WHERE delivery.notification_id = $1 AND delivery.merchant_id = $2
             ORDER BY delivery.id DESC, number DESC LIMIT $3",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .bind(MOST_SENDINGS)
        .fetch_all(&self.reading)
        .await?;
        let sending = |row: &PgRow| -> Result<Sending, StoreError> {
            let detail: VerdictDetail = serde_json::from_str(row.try_get(4)?).unwrap_or_default();
            Ok(Sending {
                url_id: UrlId(row.try_get(0)?),
                delivery_id: DeliveryId(row.try_get(1)?),
                number: small(row, 2)?,
                at: Timestamp(row.try_get(3)?),
                address: detail.url,
            })
        };
        rows.iter().map(sending).collect()
    }
}

/// What the wish under this key made when it came first. The key of another order tells nothing.
async fn first_time(conn: &mut PgConnection, merchant_id: MerchantId, new: &NewResend) -> Result<ResendOutcome, StoreError> {
    // By way of the order, because resends are too few to keep an index on every delivery for them.
    let rows: Vec<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT resend.id, resend.order_id, orders.merchant_id, delivery.id FROM resend
         JOIN orders ON orders.id = resend.order_id
         LEFT JOIN (notification JOIN delivery ON delivery.notification_id = notification.id)
             ON notification.order_id = resend.order_id AND delivery.resend_id = resend.id
         WHERE resend.request_key = $1 ORDER BY delivery.id",
    )
    .bind(text(&new.request_key))
    .fetch_all(conn)
    .await?;
    let Some((id, order_id, owner, _)) = rows.first() else {
        return Err(StoreError::Unavailable("the same wish was taken back at this moment".to_owned()));
    };
    if (*order_id, *owner) != (new.order_id.0, merchant_id.0) {
        return Err(StoreError::NotFound("the resend"));
    }
    let delivery_ids = rows.iter().filter_map(|(.., delivery)| delivery.map(DeliveryId)).collect();
    Ok(ResendOutcome { resend_id: ResendId(*id), delivery_ids, repeated: true })
}
