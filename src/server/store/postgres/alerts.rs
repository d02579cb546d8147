//! What was told last of each URL, topic by topic.

use super::{Core, rows::text};
use crate::domain::{
    Cause, Timestamp,
    id::{MerchantId, UrlId},
};
use crate::server::store::{AlertKind, AlertRow, AlertTopic, NewAlertMail, StoreError};
use sqlx::Row as _;
use std::collections::HashMap;

impl Core {
    pub(in crate::server::store) async fn claim_alert(
        &self,
        url_id: UrlId,
        kind: AlertKind,
        at: Timestamp,
        last_before: Timestamp,
        mails: Vec<NewAlertMail>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let claimed = sqlx::query(
            "INSERT INTO url_alert (url_id, topic, kind, told_at, note) VALUES ($1, $5, $2, $3, '')
             ON CONFLICT (url_id, topic) DO UPDATE SET kind = $2, told_at = $3, status = NULL, cause = NULL, note = ''
                 WHERE url_alert.told_at <= $4",
        )
        .bind(url_id.0)
        .bind(kind.code())
        .bind(at.0)
        .bind(last_before.0)
        .bind(kind.topic().code())
        .execute(&mut *tx)
        .await?;
        let is_claimed = claimed.rows_affected() > 0;
        if is_claimed {
            self.add_alert_mails(&mut tx, (url_id, kind.topic()), at, &mails).await?;
        }
        tx.commit().await?;
        Ok(is_claimed)
    }

    pub(in crate::server::store) async fn alert_result(
        &self,
        url_id: UrlId,
        topic: AlertTopic,
        status: Option<u16>,
        cause: Option<Cause>,
        note: String,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE url_alert SET status = $1, cause = $2, note = $3 WHERE url_id = $4 AND topic = $5")
            .bind(status.map(i64::from))
            .bind(cause.map(Cause::code))
            .bind(text(&note))
            .bind(url_id.0)
            .bind(topic.code())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn alerts_of(
        &self,
        merchant_id: MerchantId,
    ) -> Result<HashMap<(UrlId, AlertTopic), AlertRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT url_id, kind, told_at, status, cause, note FROM url_alert
             WHERE url_id IN (SELECT id FROM notification_url WHERE merchant_id = $1)",
        )
        .bind(merchant_id.0)
        .fetch_all(&self.reading)
        .await?;
        let alert = |row: sqlx::postgres::PgRow| -> Result<_, StoreError> {
            let alert = AlertRow {
                kind: AlertKind::from_code(row.try_get(1)?),
                told_at: Timestamp(row.try_get(2)?),
                status: row.try_get::<Option<i64>, _>(3)?.and_then(|status| status.try_into().ok()),
                cause: row.try_get::<Option<&str>, _>(4)?.and_then(Cause::from_code),
                note: row.try_get(5)?,
            };
            Ok(((UrlId(row.try_get(0)?), alert.kind.topic()), alert))
        };
        rows.into_iter().map(alert).collect()
    }
}
