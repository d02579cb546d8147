//! Mails to customers: whom to write to, the mails that wait, and what became of them.

use super::{
    SqliteStore,
    rows::{json, money, word},
};
use crate::domain::{
    OrderStatus, Timestamp,
    id::{MailId, MerchantId, NotificationId, OrderId},
    mail::{MailCause, MailState},
    pages::mail::MailRow,
};
use crate::server::store::{MailCandidate, MailJob, MailResult, NewMail, StoreError, ids::IdSource};
use sqlx::{Row as _, sqlite::SqliteRow};
use std::time::Duration;

/// Messages of a merchant with some statuses that nobody was mailed about yet, with how far along their orders were before
/// ([`crate::server::store::MailCandidate::has_changed`]).
pub(super) const CANDIDATES: &str = "SELECT n.id, n.order_id, n.status, n.test, n.received_at, orders.gateway, orders.reference,
             orders.external, orders.email, orders.customer, orders.amount, orders.currency,
             CASE n.status WHEN 'unmapped' THEN 0 ELSE n.event_at * 16 + CASE n.status WHEN 'created' THEN 1
                     WHEN 'pending' THEN 2 WHEN 'authorized' THEN 3 WHEN 'failed' THEN 4 WHEN 'cancelled' THEN 5 WHEN 'paid' THEN 6
                     WHEN 'partially-refunded' THEN 7 WHEN 'refunded' THEN 8 WHEN 'reversed' THEN 9 ELSE 0 END END,
             (SELECT max(CASE p.status WHEN 'unmapped' THEN 0 ELSE (CASE WHEN n.event_at = 0 THEN 0 WHEN p.event_at = 0 THEN p.received_at ELSE p.event_at END) * 16 + CASE p.status WHEN 'created' THEN 1
                     WHEN 'pending' THEN 2 WHEN 'authorized' THEN 3 WHEN 'failed' THEN 4 WHEN 'cancelled' THEN 5 WHEN 'paid' THEN 6
                     WHEN 'partially-refunded' THEN 7 WHEN 'refunded' THEN 8 WHEN 'reversed' THEN 9 ELSE 0 END END) FROM notification AS p WHERE p.order_id = n.order_id AND p.id < n.id)
         FROM notification AS n JOIN orders ON orders.id = n.order_id LEFT JOIN mail ON mail.notification_id = n.id
         WHERE n.merchant_id = ?1 AND n.id > ?2 AND n.status IN (SELECT value FROM json_each(?3)) AND mail.id IS NULL
         ORDER BY n.id LIMIT ?4";
/// The mails to try next.
pub(super) const DUE: &str = "SELECT id FROM mail WHERE state = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?";
/// What was given up, the newest first.
pub(super) const FAILED: &str =
    "SELECT mail.id, mail.order_id, orders.reference, mail.status, recipient, subject, state, attempts, mail.created_at,
             due_at, finished_at, cause, note
         FROM mail JOIN orders ON orders.id = mail.order_id
         WHERE mail.merchant_id = ? AND state = 2 AND mail.id < ? ORDER BY mail.id DESC LIMIT ?";

impl SqliteStore {
    pub(in crate::server::store) async fn mail_candidates(
        &self,
        merchant_id: MerchantId,
        since: Timestamp,
        after: Option<NotificationId>,
        statuses: &[OrderStatus],
        limit: u32,
    ) -> Result<Vec<MailCandidate>, StoreError> {
        let statuses: Vec<_> = statuses.iter().map(|status| status.code()).collect();
        let rows = sqlx::query(CANDIDATES)
            .bind(merchant_id.0)
            .bind(IdSource::floor(since.millis()).max(after.map_or(0, |id| id.0)))
            .bind(json(&statuses)?)
            .bind(limit)
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(candidate).collect()
    }

    pub(in crate::server::store) async fn add_mails(&self, mails: Vec<NewMail>) -> Result<u64, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now().0;
                let mut added = 0;
                for mail in &mails {
                    let state = if mail.cause.is_some() { MailState::Failed } else { MailState::Waiting };
                    let done = sqlx::query(
                        "INSERT INTO mail (id, merchant_id, order_id, notification_id, status, recipient, sender, sender_name,
                             subject, text, state, due_at, created_at, finished_at, cause)
                         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (notification_id) DO NOTHING",
                    )
                    .bind(store.0.ids.next())
                    .bind(mail.merchant_id.0)
                    .bind(mail.order_id.0)
                    .bind(mail.notification_id.0)
                    .bind(mail.status.code())
                    .bind(&mail.recipient)
                    .bind(&mail.sender)
                    .bind(&mail.sender_name)
                    .bind(&mail.subject)
                    .bind(&mail.text)
                    .bind(state.code())
                    .bind(now)
                    .bind(now)
                    .bind(mail.cause.is_some().then_some(now))
                    .bind(mail.cause.map(MailCause::code))
                    .execute(&mut *conn)
                    .await?;
                    added += done.rows_affected();
                }
                Ok((added, Default::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn take_mails(
        &self,
        limit: u32,
        again_after: Duration,
    ) -> Result<Vec<MailJob>, StoreError> {
        let now = self.0.clock.now();
        // Nothing is written while nothing is due.
        let due: Vec<i64> = sqlx::query_scalar(DUE).bind(now.0).bind(limit).fetch_all(&self.0.readers).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let due = json(&due)?;
        self.change(move |conn| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "UPDATE mail SET due_at = ?1, attempts = attempts + 1
                     WHERE id IN (SELECT value FROM json_each(?2)) AND state = 0 AND due_at <= ?3
                     RETURNING id, merchant_id, order_id, recipient, sender, sender_name, subject, text, attempts",
                )
                .bind(now.plus(again_after).0)
                .bind(due)
                .bind(now.0)
                .fetch_all(conn)
                .await?;
                Ok((rows.iter().map(job).collect::<Result<_, _>>()?, Default::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn finish_mail(&self, id: MailId, result: MailResult) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now().0;
                let (state, due, cause, note) = result.parts();
                sqlx::query(
                    "UPDATE mail SET state = ?, due_at = coalesce(?, due_at), cause = ?, note = ?, finished_at = ? WHERE id = ? AND state = 0",
                )
                .bind(state.code())
                .bind(due.map(|at| at.0))
                .bind(cause.map(MailCause::code))
                .bind(note)
                .bind((state != MailState::Waiting).then_some(now))
                .bind(id.0)
                .execute(conn)
                .await?;
                Ok(((), Default::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn failed_mails(
        &self,
        merchant_id: MerchantId,
        before: Option<MailId>,
        limit: u32,
    ) -> Result<Vec<MailRow>, StoreError> {
        let rows = sqlx::query(FAILED)
            .bind(merchant_id.0)
            .bind(before.map_or(i64::MAX, |id| id.0))
            .bind(limit)
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(mail_row).collect()
    }

    pub(in crate::server::store) async fn retry_mail(&self, merchant_id: MerchantId, id: MailId) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let done = sqlx::query(
                    "UPDATE mail SET state = 0, attempts = 0, due_at = ?, finished_at = NULL
                     WHERE id = ? AND merchant_id = ? AND state = 2 AND recipient <> ''",
                )
                .bind(store.0.clock.now().0)
                .bind(id.0)
                .bind(merchant_id.0)
                .execute(conn)
                .await?;
                Ok((done.rows_affected() > 0, Default::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn forget_mails(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                let before = IdSource::floor(before.millis());
                let done = sqlx::query(
                    "DELETE FROM mail WHERE id IN (SELECT id FROM mail WHERE id < ? AND state <> 0 ORDER BY id LIMIT 2000)",
                )
                .bind(before)
                .execute(&mut *conn)
                .await?;
                let alerts = sqlx::query(
                    "DELETE FROM alert_mail
                     WHERE id IN (SELECT id FROM alert_mail WHERE id < ? AND state <> 0 ORDER BY id LIMIT 2000)",
                )
                .bind(before)
                .execute(conn)
                .await?;
                Ok((done.rows_affected() + alerts.rows_affected(), Default::default()))
            })
        })
        .await
    }
}

fn candidate(row: &SqliteRow) -> Result<MailCandidate, StoreError> {
    Ok(MailCandidate {
        notification_id: NotificationId(row.try_get(0)?),
        order_id: OrderId(row.try_get(1)?),
        status: OrderStatus::from_code(row.try_get(2)?),
        test: row.try_get(3)?,
        received_at: Timestamp(row.try_get(4)?),
        gateway: word("orders.gateway", row.try_get(5)?)?,
        reference: row.try_get(6)?,
        external: row.try_get(7)?,
        email: row.try_get(8)?,
        customer: row.try_get(9)?,
        amount: money(row.try_get(10)?, row.try_get(11)?),
        changes: MailCandidate::has_changed(row.try_get(12)?, row.try_get(13)?),
    })
}

fn job(row: &SqliteRow) -> Result<MailJob, StoreError> {
    Ok(MailJob {
        id: MailId(row.try_get(0)?),
        merchant_id: MerchantId(row.try_get(1)?),
        order_id: OrderId(row.try_get(2)?),
        recipient: row.try_get(3)?,
        sender: row.try_get(4)?,
        sender_name: row.try_get(5)?,
        subject: row.try_get(6)?,
        text: row.try_get(7)?,
        attempt: row.try_get(8)?,
    })
}

fn mail_row(row: &SqliteRow) -> Result<MailRow, StoreError> {
    Ok(MailRow {
        id: MailId(row.try_get(0)?),
        order_id: OrderId(row.try_get(1)?),
        reference: row.try_get(2)?,
        status: OrderStatus::from_code(row.try_get(3)?),
        recipient: row.try_get(4)?,
        subject: row.try_get(5)?,
        state: MailState::from_code(row.try_get(6)?),
        attempts: row.try_get(7)?,
        created_at: Timestamp(row.try_get(8)?),
        due_at: Timestamp(row.try_get(9)?),
        finished_at: row.try_get::<Option<i64>, _>(10)?.map(Timestamp),
        cause: row.try_get::<Option<&str>, _>(11)?.and_then(MailCause::from_code),
        note: row.try_get(12)?,
    })
}
