//! Counting against the books while the nodes run: cheap enough to be done again and again.

use super::Core;
use crate::domain::{DeliveryState, id::UrlId};
use crate::server::store::{Recount, StoreError, UrlBooks};
use sqlx::Row as _;

/// The books of a URL, and its deliveries in states that an index counts.
pub(super) const COUNT_INDEXED: &str =
    "SELECT sum(queued)::bigint, sum(retrying)::bigint, sum(held)::bigint, sum(expired)::bigint, 0::bigint, 0::bigint,
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 0 AND state IN (0, 2)
                     AND node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 2 AND state IN (0, 2)
                     AND node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 3),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 5),
                 0::bigint, 0::bigint
             FROM url_books WHERE url_id = $1 HAVING count(*) > 0";

impl Core {
    /// The books of every URL, over all pages.
    pub(in crate::server::store) async fn books(&self) -> Result<Vec<UrlBooks>, StoreError> {
        let rows = sqlx::query(
            "SELECT url_id, sum(accepted)::bigint, sum(queued)::bigint, sum(retrying)::bigint, sum(held)::bigint,
                 sum(confirmed)::bigint, sum(expired)::bigint, sum(cancelled)::bigint
             FROM url_books GROUP BY url_id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| UrlBooks::read(UrlId(row.try_get(0)?), |column| Ok(row.try_get(column + 1)?))).collect()
    }

    /// The books of a URL and its deliveries, at one moment: those in states that an index counts, or all of them.
    pub(in crate::server::store) async fn recount(&self, url_id: UrlId, whole: bool) -> Result<Option<Recount>, StoreError> {
        // One statement sees one moment. Open ones are counted as nodes read them: one that belongs to no node is missing.
        let query = if whole {
            "SELECT sum(queued)::bigint, sum(retrying)::bigint, sum(held)::bigint, sum(expired)::bigint,
                 sum(confirmed)::bigint, sum(cancelled)::bigint,
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 0 AND state IN (0, 2)
                     AND node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 2 AND state IN (0, 2)
                     AND node_id = ANY (ARRAY(SELECT id FROM node) || 0::bigint)),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 3),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 5),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 4),
                 (SELECT count(*) FROM delivery WHERE delivery.url_id = $1 AND state = 6)
             FROM url_books WHERE url_id = $1 HAVING count(*) > 0"
        } else {
            COUNT_INDEXED
        };
        let row = sqlx::query(query).bind(url_id.0).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let mut counts = [(DeliveryState::Queued, 0, 0); 6];
        for (at, (count, state)) in counts.iter_mut().zip(UrlBooks::COUNTED).enumerate() {
            *count = (state, row.try_get(at)?, row.try_get(at + UrlBooks::COUNTED.len())?);
        }
        Ok(Some(counts))
    }
}
