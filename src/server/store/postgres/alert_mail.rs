//! Alerts by mail: those that wait, and what became of the last.

use super::{
    Core,
    rows::{small, text},
};
use crate::domain::{
    Timestamp,
    id::{MailId, MerchantId, UrlId},
    mail::{MailCause, MailState},
};
use crate::server::store::{AlertMailJob, AlertMailRow, AlertTopic, MailResult, NewAlertMail, StoreError};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::time::Duration;

/// The alerts to mail next; of several nodes each takes others.
pub(super) const DUE: &str =
    "SELECT id FROM alert_mail WHERE state = 0 AND due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED";
/// What a merchant was mailed last.
pub(super) const LAST: &str = "SELECT recipient, subject, state, attempts, told_at, due_at, cause, note FROM alert_mail
     WHERE merchant_id = $1 ORDER BY id DESC LIMIT $2";

impl Core {
    /// Adds the mails of an alert, in the transaction that claims it.
    pub(super) async fn add_alert_mails(
        &self,
        conn: &mut PgConnection,
        (url_id, topic): (UrlId, AlertTopic),
        at: Timestamp,
        mails: &[NewAlertMail],
    ) -> Result<(), StoreError> {
        for mail in mails {
            sqlx::query(
                "INSERT INTO alert_mail (id, merchant_id, url_id, topic, told_at, recipient, subject, text, state, due_at)
                 VALUES ($1, $2, $3, $8, $4, $5, $6, $7, 0, $4) ON CONFLICT (url_id, topic, told_at, recipient) DO NOTHING",
            )
            .bind(self.ids.next())
            .bind(mail.merchant_id.0)
            .bind(url_id.0)
            .bind(at.0)
            .bind(text(&mail.recipient))
            .bind(text(&mail.subject))
            .bind(text(&mail.text))
            .bind(topic.code())
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
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        let due: Vec<i64> = sqlx::query_scalar(DUE).bind(now.0).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "UPDATE alert_mail SET due_at = $1, attempts = attempts + 1 WHERE id = ANY($2)
             RETURNING id, merchant_id, recipient, subject, text, attempts",
        )
        .bind(now.plus(again_after).0)
        .bind(&due)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut jobs: Vec<_> = rows.iter().map(job).collect::<Result<_, _>>()?;
        // In the order in which they are due: the database gives them back as they lie.
        jobs.sort_by_key(|job| due.iter().position(|id| *id == job.id.0));
        Ok(jobs)
    }

    pub(in crate::server::store) async fn finish_alert_mail(&self, id: MailId, result: MailResult) -> Result<(), StoreError> {
        let (state, due, cause, note) = result.parts();
        sqlx::query(
            "UPDATE alert_mail SET state = $1, due_at = coalesce($2, due_at), cause = $3, note = $4, finished_at = $5
             WHERE id = $6 AND state = 0",
        )
        .bind(state.code())
        .bind(due.map(|at| at.0))
        .bind(cause.map(MailCause::code))
        .bind(text(&note))
        .bind((state != MailState::Waiting).then_some(self.clock.now().0))
        .bind(id.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn alert_mails(
        &self,
        merchant_id: MerchantId,
        limit: u32,
    ) -> Result<Vec<AlertMailRow>, StoreError> {
        let rows = sqlx::query(LAST).bind(merchant_id.0).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(told).collect()
    }
}

fn job(row: &PgRow) -> Result<AlertMailJob, StoreError> {
    Ok(AlertMailJob {
        id: MailId(row.try_get(0)?),
        merchant_id: MerchantId(row.try_get(1)?),
        recipient: row.try_get(2)?,
        subject: row.try_get(3)?,
        text: row.try_get(4)?,
        attempt: small(row, 5)?,
    })
}

fn told(row: &PgRow) -> Result<AlertMailRow, StoreError> {
    Ok(AlertMailRow {
        recipient: row.try_get(0)?,
        subject: row.try_get(1)?,
        state: MailState::from_code(row.try_get(2)?),
        attempts: small(row, 3)?,
        told_at: Timestamp(row.try_get(4)?),
        due_at: Timestamp(row.try_get(5)?),
        cause: row.try_get::<Option<&str>, _>(6)?.and_then(MailCause::from_code),
        note: row.try_get(7)?,
    })
}
