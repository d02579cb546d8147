//! Reading counts, troubles, and what listeners and URLs have seen, for pages.

use super::{
    Core,
    rows::{count, moment, small},
};
use crate::domain::{
    Algorithms, Cause, OrderStatus, RefusalReason, Timestamp,
    attempt::UrlCheck,
    id::{ListenerId, MerchantId, NotificationId, OrderId, RefusalId, UrlId},
    pages::{
        dashboard::Counts,
        listeners::{ReceivedRow, RefusalRow},
    },
};
use crate::server::store::{StoreError, StoredRefusal, UrlState, pack::unpack};
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashMap;

/// Messages that a listener's page shows of each kind.
const SHOWN: i64 = 50;

/// How URLs stand.
pub(super) const URL_STATES: &str =
    "SELECT notification_url.id, check_status, check_note, checked_at, books.queued, books.retrying, books.held,
                 books.confirmed,
                 (SELECT min(window_from) FROM delivery WHERE delivery.url_id = notification_url.id AND state = 2),
                 coalesce(
                     (SELECT last_cause FROM delivery WHERE delivery.url_id = notification_url.id AND state = 2
                         AND window_from IS NOT NULL ORDER BY window_from DESC LIMIT 1),
                     (SELECT last_cause FROM delivery WHERE delivery.url_id = notification_url.id AND state = 2
                         AND window_from IS NULL LIMIT 1),
                     (SELECT last_cause FROM delivery
                         WHERE delivery.url_id = notification_url.id AND state = 5
                             AND NOT put_right AND finished_at >= $2
                         ORDER BY finished_at DESC LIMIT 1)),
                 books.last_confirmed_at,
                 (SELECT min(first.due_at) FROM (SELECT id FROM node UNION ALL SELECT 0) AS server
                     CROSS JOIN (VALUES (0::bigint), (2)) AS open (state)
                     CROSS JOIN LATERAL (
                         SELECT due_at FROM delivery
                         WHERE delivery.node_id = server.id AND delivery.url_id = notification_url.id
                             AND delivery.state = open.state AND delivery.state IN (0, 2)
                         ORDER BY due_at LIMIT 1) AS first),
                 (SELECT count(*) FROM delivery
                     WHERE delivery.url_id = notification_url.id AND state = 5 AND NOT put_right AND finished_at >= $2),
                 ends_at, books.last_attempt_at
             FROM notification_url
             LEFT JOIN url_certificate
                 ON url_certificate.url_id = notification_url.id AND url_certificate.url = notification_url.url
             CROSS JOIN LATERAL (
                 SELECT sum(queued)::bigint AS queued, sum(retrying)::bigint AS retrying, sum(held)::bigint AS held,
                     sum(confirmed)::bigint AS confirmed, max(last_confirmed_at) AS last_confirmed_at,
                     max(last_attempt_at) AS last_attempt_at
                 FROM url_books WHERE url_books.url_id = notification_url.id) AS books
             WHERE removed_at IS NULL AND merchant_id = ANY($1)";
/// What a listener accepted last.
pub(super) const RECEIVED_BY: &str =
    "SELECT notification.id, order_id, reference, notification.status, notification.vendor_status, signatures,
                 notification.test, received_at, repeats
             FROM notification JOIN orders ON orders.id = order_id
             WHERE notification.id IN (
                 SELECT id FROM (SELECT id FROM notification WHERE listener_id = $1 ORDER BY event_at DESC LIMIT $2) AS named
                 UNION SELECT id FROM (SELECT id, listener_id FROM notification ORDER BY id DESC LIMIT 5000) AS newest
                 WHERE listener_id = $1)
             ORDER BY notification.id DESC LIMIT $2";
/// What a listener refused last.
pub(super) const REFUSED_BY: &str =
    "SELECT id, at, reason, detail, peer, size, suppressed FROM refusal WHERE listener_id = $1 ORDER BY id DESC LIMIT $2";

pub(super) fn refusal_row(row: &PgRow) -> Result<RefusalRow, StoreError> {
    let reason: &str = row.try_get(2)?;
    Ok(RefusalRow {
        id: RefusalId(row.try_get(0)?),
        at: Timestamp(row.try_get(1)?),
        reason: RefusalReason::from_code(reason).ok_or_else(|| StoreError::Corrupt(format!("refusal reason {reason}")))?,
        detail: row.try_get(3)?,
        peer: row.try_get(4)?,
        size: count(row, 5)?,
        suppressed: small(row, 6)?,
    })
}

impl Core {
    /// Counts since a moment (rounded down to its hour) and of now, over some merchants.
    pub(in crate::server::store) async fn counts(
        &self,
        merchants: &[MerchantId],
        since: Timestamp,
    ) -> Result<Counts, StoreError> {
        let ids: Vec<i64> = merchants.iter().map(|id| id.0).collect();
        // Of the day, and of this moment.
        let row = sqlx::query(
            "SELECT * FROM
                 (SELECT sum(notifications)::bigint, sum(repeats)::bigint, sum(refused)::bigint, sum(confirmed)::bigint,
                      sum(expired)::bigint
                  FROM tally WHERE merchant_id = ANY($1) AND hour >= $2) AS today,
                 (SELECT sum(queued)::bigint, sum(retrying)::bigint, sum(url_books.held)::bigint FROM url_books
                  JOIN notification_url ON notification_url.id = url_id
                  WHERE NOT shadow AND merchant_id = ANY($1)) AS now",
        )
        .bind(&ids)
        .bind(since.hour())
        .fetch_one(&self.reading)
        .await?;
        Ok(Counts {
            accepted: count(&row, 0)?,
            repeats: count(&row, 1)?,
            refused: count(&row, 2)?,
            confirmed: count(&row, 3)?,
            expired: count(&row, 4)?,
            queued: count(&row, 5)?,
            retrying: count(&row, 6)?,
            held: count(&row, 7)?,
        })
    }

    /// How the URLs of some merchants stand; those given up since a moment are counted.
    pub(in crate::server::store) async fn url_states(
        &self,
        merchants: &[MerchantId],
        expired_since: Timestamp,
    ) -> Result<HashMap<UrlId, UrlState>, StoreError> {
        let rows = sqlx::query(URL_STATES)
            .bind(merchants.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(expired_since.0)
            .fetch_all(&self.reading)
            .await?;
        rows.iter()
            .map(|row| {
                let check: Option<&str> = row.try_get(1)?;
                let at = moment(row, 3)?;
                let note: Option<String> = row.try_get(2)?;
                let check = check.zip(at).map(|(word, at)| UrlCheck {
                    at,
                    cause: Cause::from_code(word),
                    note: note.unwrap_or_default(),
                });
                let state = UrlState {
                    check,
                    queued: count(row, 4)?,
                    retrying: count(row, 5)?,
                    held_back: count(row, 6)?,
                    confirmed: count(row, 7)?,
                    failing_since: moment(row, 8)?,
                    failing_cause: row.try_get::<Option<&str>, _>(9)?.and_then(Cause::from_code),
                    last_confirmed_at: moment(row, 10)?,
                    last_attempt_at: moment(row, 14)?,
                    next_try: moment(row, 11)?,
                    expired: count(row, 12)?,
                    certificate_ends_at: moment(row, 13)?,
                };
                Ok((UrlId(row.try_get(0)?), state))
            })
            .collect()
    }

    /// When each listener last received and last refused something.
    pub(in crate::server::store) async fn listener_activity(
        &self,
        merchant_id: MerchantId,
    ) -> Result<HashMap<ListenerId, (Option<Timestamp>, Option<Timestamp>)>, StoreError> {
        // The index of uniqueness is in order of the events' own time, so its last entry is the latest message; but for gateways that
        // tell no time, for which the newest of all are looked through.
        let rows = sqlx::query(
            "SELECT id,
                 greatest(
                     (SELECT received_at FROM notification WHERE listener_id = listener.id ORDER BY event_at DESC LIMIT 1),
                     newest.received_at),
                 (SELECT at FROM refusal WHERE listener_id = listener.id ORDER BY id DESC LIMIT 1)
             FROM listener LEFT JOIN (
                 SELECT listener_id, max(received_at) AS received_at
                 FROM (SELECT listener_id, received_at FROM notification WHERE merchant_id = $1 ORDER BY id DESC LIMIT 1000) AS last
                 GROUP BY 1) AS newest ON newest.listener_id = listener.id
             WHERE merchant_id = $1",
        )
        .bind(merchant_id.0)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let moment = |column| row.try_get::<Option<i64>, _>(column).map(|at| at.map(Timestamp));
                Ok((ListenerId(row.try_get(0)?), (moment(1)?, moment(2)?)))
            })
            .collect()
    }

    /// What a listener accepted last, the newest event first.
    pub(in crate::server::store) async fn received_by(&self, listener_id: ListenerId) -> Result<Vec<ReceivedRow>, StoreError> {
        // Through the index by the time that messages name, and through the newest of all: what names an old time, or none,
        // came all the same.
        let rows = sqlx::query(RECEIVED_BY).bind(listener_id.0).bind(SHOWN).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(ReceivedRow {
                    id: NotificationId(row.try_get(0)?),
                    order_id: OrderId(row.try_get(1)?),
                    reference: row.try_get(2)?,
                    status: OrderStatus::from_code(row.try_get(3)?),
                    vendor_status: row.try_get(4)?,
                    signatures: Algorithms::from_bits(row.try_get(5)?),
                    test: row.try_get(6)?,
                    received_at: Timestamp(row.try_get(7)?),
                    repeats: small(row, 8)?,
                })
            })
            .collect()
    }

    /// What a listener refused last, the newest first.
    pub(in crate::server::store) async fn refused_by(&self, listener_id: ListenerId) -> Result<Vec<RefusalRow>, StoreError> {
        let rows = sqlx::query(REFUSED_BY).bind(listener_id.0).bind(SHOWN).fetch_all(&self.pool).await?;
        rows.iter().map(refusal_row).collect()
    }

    /// A refused message of a merchant.
    pub(in crate::server::store) async fn refusal(
        &self,
        merchant_id: MerchantId,
        id: RefusalId,
    ) -> Result<Option<StoredRefusal>, StoreError> {
        let row = sqlx::query(
            "SELECT id, at, reason, detail, peer, size, suppressed, listener_id, bytes FROM refusal WHERE id = $1 AND merchant_id = $2",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&self.reading)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut parts = unpack(row.try_get(8)?)?.into_iter();
        let head = parts.next().unwrap_or_default();
        Ok(Some(StoredRefusal {
            listener_id: row.try_get::<Option<i64>, _>(7)?.map(ListenerId),
            row: refusal_row(&row)?,
            head: String::from_utf8_lossy(&head).into_owned(),
            body: parts.next().unwrap_or_default(),
        }))
    }
}
