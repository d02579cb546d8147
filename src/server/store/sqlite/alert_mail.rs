//! Alerts by mail: those that wait, and what became of the last.

use super::{SqliteStore, rows::json};
use crate::domain::{
    Timestamp,
    id::{MailId, MerchantId, UrlId},
    mail::{MailCause, MailState},
};
use crate::server::store::{AlertMailJob, AlertMailRow, AlertTopic, MailResult, NewAlertMail, StoreError};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use std::time::Duration;

/// The alerts to mail next.
pub(super) const DUE: &str = "SELECT id FROM alert_mail WHERE state = 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?";
/// What a merchant was mailed last.
pub(super) const LAST: &str = "SELECT recipient, subject, state, attempts, told_at, due_at, cause, note FROM alert_mail
     WHERE merchant_id = ? ORDER BY id DESC LIMIT ?";

impl SqliteStore {
    /// Adds the mails of an alert, in the transaction that claims it.
    pub(super) async fn add_alert_mails(
        &self,
        conn: &mut SqliteConnection,
        (url_id, topic): (UrlId, AlertTopic),
        at: Timestamp,
        mails: &[NewAlertMail],
    ) -> Result<(), StoreError> {
        for mail in mails {
            sqlx::query(
                "INSERT INTO alert_mail (id, merchant_id, url_id, topic, told_at, recipient, subject, text, state, due_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (url_id, topic, told_at, recipient) DO NOTHING",
            )
            .bind(self.0.ids.next())
            .bind(mail.merchant_id.0)
            .bind(url_id.0)
            .bind(topic.code())
            .bind(at.0)
            .bind(&mail.recipient)
            .bind(&mail.subject)
            .bind(&mail.text)
            .bind(at.0)
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }

    pub(in crate::server::store) async fn take_alert_mails(
        &self,
        limit: u32,
        again_after: Duration,
    ) -> Result<Vec<AlertMailJob>, StoreError> {
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
                    "UPDATE alert_mail SET due_at = ?1, attempts = attempts + 1
                     WHERE id IN (SELECT value FROM json_each(?2)) AND state = 0 AND due_at <= ?3
                     RETURNING id, merchant_id, recipient, subject, text, attempts",
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

    pub(in crate::server::store) async fn finish_alert_mail(&self, id: MailId, result: MailResult) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let (state, due, cause, note) = result.parts();
                sqlx::query(
                    "UPDATE alert_mail SET state = ?, due_at = coalesce(?, due_at), cause = ?, note = ?, finished_at = ?
                     WHERE id = ? AND state = 0",
                )
                .bind(state.code())
                .bind(due.map(|at| at.0))
                .bind(cause.map(MailCause::code))
                .bind(note)
                .bind((state != MailState::Waiting).then_some(store.0.clock.now().0))
                .bind(id.0)
                .execute(conn)
                .await?;
                Ok(((), Default::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn alert_mails(
        &self,
        merchant_id: MerchantId,
        limit: u32,
    ) -> Result<Vec<AlertMailRow>, StoreError> {
        let rows = sqlx::query(LAST).bind(merchant_id.0).bind(limit).fetch_all(&self.0.readers).await?;
        rows.iter().map(told).collect()
    }
}

fn job(row: &SqliteRow) -> Result<AlertMailJob, StoreError> {
    Ok(AlertMailJob {
        id: MailId(row.try_get(0)?),
        merchant_id: MerchantId(row.try_get(1)?),
        recipient: row.try_get(2)?,
        subject: row.try_get(3)?,
        text: row.try_get(4)?,
        attempt: row.try_get(5)?,
    })
}

fn told(row: &SqliteRow) -> Result<AlertMailRow, StoreError> {
    Ok(AlertMailRow {
        recipient: row.try_get(0)?,
        subject: row.try_get(1)?,
        state: MailState::from_code(row.try_get(2)?),
        attempts: row.try_get(3)?,
        told_at: Timestamp(row.try_get(4)?),
        due_at: Timestamp(row.try_get(5)?),
        cause: row.try_get::<Option<&str>, _>(6)?.and_then(MailCause::from_code),
        note: row.try_get(7)?,
    })
}
