//! Counting against the books while the server runs: cheap enough to be done again and again.

use super::SqliteStore;
use crate::domain::{DeliveryState, id::UrlId};
use crate::server::store::{Recount, StoreError, UrlBooks};
use sqlx::Row as _;

/// The books of a URL, and its deliveries in states that an index counts.
pub(super) const COUNT_INDEXED: &str = "SELECT queued, retrying, held, expired, 0, 0,
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 0),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 2),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 3),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 5),
                 0, 0
             FROM url_books WHERE url_id = ?1";

impl SqliteStore {
    /// The books of every URL.
    pub(in crate::server::store) async fn books(&self) -> Result<Vec<UrlBooks>, StoreError> {
        let rows = sqlx::query("SELECT url_id, accepted, queued, retrying, held, confirmed, expired, cancelled FROM url_books")
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(|row| UrlBooks::read(UrlId(row.try_get(0)?), |column| Ok(row.try_get(column + 1)?))).collect()
    }

    /// The books of a URL and its deliveries, at one moment: those in states that an index counts, or all of them.
    pub(in crate::server::store) async fn recount(&self, url_id: UrlId, whole: bool) -> Result<Option<Recount>, StoreError> {
        // One statement sees one moment.
        let query = if whole {
            "SELECT queued, retrying, held, expired, confirmed, cancelled,
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 0),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 2),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 3),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 5),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 4),
                 (SELECT count(*) FROM delivery WHERE url_id = ?1 AND state = 6)
             FROM url_books WHERE url_id = ?1"
        } else {
            COUNT_INDEXED
        };
        let row = sqlx::query(query).bind(url_id.0).fetch_optional(&self.0.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let mut counts = [(DeliveryState::Queued, 0, 0); 6];
        for (at, (count, state)) in counts.iter_mut().zip(UrlBooks::COUNTED).enumerate() {
            *count = (state, row.try_get(at)?, row.try_get(at + UrlBooks::COUNTED.len())?);
        }
        Ok(Some(counts))
    }
}
