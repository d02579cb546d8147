//! What the dashboard knows beside the books: hours, answer times, certificates, what listeners refuse or never got.

use super::{SqliteStore, rows::json};
use crate::domain::{
    RefusalReason, Timestamp,
    id::{ListenerId, MerchantId, UrlId},
    pages::dashboard::{HourCount, UrlActivity},
};
use crate::server::store::{Commit, RefusedLately, StoreError, activity::Times, ids::IdSource};
use sqlx::Row as _;
use std::collections::HashMap;

/// What happened in each hour.
pub(super) const HOURS: &str = "SELECT hour, sum(notifications), sum(confirmed), sum(failed) FROM tally
             WHERE merchant_id IN (SELECT value FROM json_each(?1)) AND hour >= ?2 GROUP BY hour";
/// How URLs answered.
pub(super) const ANSWERS: &str = "SELECT url_id, bucket, sum(confirmed), sum(failed) FROM url_tally
             WHERE url_id IN (SELECT id FROM notification_url
                 WHERE removed_at IS NULL AND merchant_id IN (SELECT value FROM json_each(?1))) AND hour >= ?2
             GROUP BY url_id, bucket";
/// What listeners refused, by reason.
pub(super) const REFUSED_LATELY: &str = "SELECT merchant_id, listener_id, reason,
                 sum(CASE WHEN at >= ?2 THEN 1 + suppressed ELSE 0 END), sum(CASE WHEN at < ?2 THEN 1 + suppressed ELSE 0 END)
             FROM refusal
             WHERE listener_id IN (SELECT id FROM listener WHERE merchant_id IN (SELECT value FROM json_each(?1))) AND id >= ?3
             GROUP BY merchant_id, listener_id, reason";
/// Listeners that never got a message.
pub(super) const SILENT: &str = "SELECT id FROM listener WHERE enabled = 1 AND merchant_id IN (SELECT value FROM json_each(?1))
                 AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.listener_id = listener.id)
                 AND NOT EXISTS (SELECT 1 FROM refusal WHERE refusal.listener_id = listener.id)";

fn list(merchants: &[MerchantId]) -> Result<String, StoreError> {
    json(&merchants.iter().map(|id| id.0).collect::<Vec<_>>())
}

impl SqliteStore {
    /// What happened in each hour since a moment, over some merchants; hours in which nothing did are left out.
    pub(in crate::server::store) async fn hours(
        &self,
        merchants: &[MerchantId],
        since: Timestamp,
    ) -> Result<Vec<HourCount>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> =
            sqlx::query_as(HOURS).bind(list(merchants)?).bind(since.hour()).fetch_all(&self.0.readers).await?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let hour = |(hour, accepted, confirmed, failed): (i64, i64, i64, i64)| HourCount {
            from: Timestamp::from_seconds(hour * 3_600),
            accepted: count(accepted),
            confirmed: count(confirmed),
            failed: count(failed),
        };
        Ok(rows.into_iter().map(hour).collect())
    }

    /// How the URLs of some merchants answered since a moment (rounded down to its hour).
    pub(in crate::server::store) async fn url_activity(
        &self,
        merchants: &[MerchantId],
        since: Timestamp,
    ) -> Result<HashMap<UrlId, UrlActivity>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> =
            sqlx::query_as(ANSWERS).bind(list(merchants)?).bind(since.hour()).fetch_all(&self.0.readers).await?;
        let mut times: HashMap<UrlId, Times> = HashMap::new();
        for (url_id, bucket, confirmed, failed) in rows {
            times.entry(UrlId(url_id)).or_default().add(bucket, confirmed.unsigned_abs(), failed.unsigned_abs());
        }
        Ok(times.into_iter().map(|(url_id, times)| (url_id, times.activity())).collect())
    }

    /// What listeners refused since a moment, and in a time as long before it.
    pub(in crate::server::store) async fn refused_lately(
        &self,
        merchants: &[MerchantId],
        since: Timestamp,
        before: Timestamp,
    ) -> Result<Vec<RefusedLately>, StoreError> {
        let rows = sqlx::query(REFUSED_LATELY)
            .bind(list(merchants)?)
            .bind(since.0)
            .bind(IdSource::floor(before.millis()))
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter()
            .map(|row| {
                let reason: &str = row.try_get(2)?;
                Ok(RefusedLately {
                    merchant_id: MerchantId(row.try_get(0)?),
                    listener_id: ListenerId(row.try_get(1)?),
                    reason: RefusalReason::from_code(reason)
                        .ok_or_else(|| StoreError::Corrupt(format!("refusal reason {reason}")))?,
                    count: row.try_get::<i64, _>(3)?.unsigned_abs(),
                    before: row.try_get::<i64, _>(4)?.unsigned_abs(),
                })
            })
            .collect()
    }

    /// Listeners that are switched on, and never got a message.
    pub(in crate::server::store) async fn silent_listeners(
        &self,
        merchants: &[MerchantId],
    ) -> Result<Vec<ListenerId>, StoreError> {
        let ids: Vec<i64> = sqlx::query_scalar(SILENT).bind(list(merchants)?).fetch_all(&self.0.readers).await?;
        Ok(ids.into_iter().map(ListenerId).collect())
    }

    /// Notes when the certificate ends that the server of a URL's address showed.
    pub(in crate::server::store) async fn note_certificate(
        &self,
        id: UrlId,
        address: String,
        ends_at: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO url_certificate (url_id, url, ends_at, seen_at) VALUES (?, ?, ?, ?)
                     ON CONFLICT (url_id) DO UPDATE SET url = excluded.url, ends_at = excluded.ends_at, seen_at = excluded.seen_at",
                )
                .bind(id.0)
                .bind(address)
                .bind(ends_at.0)
                .bind(now.0)
                .execute(conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }
}
