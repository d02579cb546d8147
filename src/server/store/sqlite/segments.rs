//! Reading bytes back from segments.

use super::{SqliteStore, rows::json};
use crate::server::store::{StoreError, wanted::Wanted};

impl SqliteStore {
    /// Reads some parts from each place (segment, first part); empty where the segment is gone.
    pub(super) async fn parts(&self, places: &[(i64, u32)], count: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let mut wanted = Wanted::new(places.iter().map(|(segment, part)| (*segment, *part as usize)), count);
        for ids in wanted.segments() {
            let rows: Vec<(i64, Vec<u8>)> =
                sqlx::query_as("SELECT id, bytes FROM segment WHERE id IN (SELECT value FROM json_each(?))")
                    .bind(json(&ids)?)
                    .fetch_all(&self.0.readers)
                    .await?;
            wanted = wanted.take_from(rows).await?;
        }
        Ok(wanted.found)
    }
}
