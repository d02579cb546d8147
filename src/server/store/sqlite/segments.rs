//! Reading bytes back from segments.

use super::{SqliteStore, journal::json};
use crate::server::store::{StoreError, pack::unpack};
use sqlx::Row as _;
use std::collections::{BTreeSet, HashMap};

impl SqliteStore {
    /// Reads some parts from each place (segment, first part); empty where the segment is gone.
    pub(super) async fn parts(&self, places: &[(i64, u32)], count: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let ids: BTreeSet<i64> = places.iter().map(|(segment, _)| *segment).collect();
        let rows = sqlx::query("SELECT id, bytes FROM segment WHERE id IN (SELECT value FROM json_each(?))")
            .bind(json(&ids)?)
            .fetch_all(&self.0.readers)
            .await?;
        let mut segments: HashMap<i64, Vec<Vec<u8>>> = HashMap::with_capacity(rows.len());
        for row in &rows {
            segments.insert(row.try_get(0)?, unpack(row.try_get(1)?)?);
        }
        Ok(places
            .iter()
            .map(|(segment, part)| {
                let parts = segments.get(segment).map(Vec::as_slice).unwrap_or_default();
                let first = (*part as usize).min(parts.len());
                let mut found = parts[first..(first + count).min(parts.len())].to_vec();
                found.resize(count, Vec::new());
                found
            })
            .collect())
    }
}
