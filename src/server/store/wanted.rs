//! Parts wanted from segments. A segment is unpacked for the few parts that somebody asks for and dropped again, so that
//! a thousand messages that lie far apart never need a thousand segments in memory.

use super::{StoreError, pack::unpack};
use std::collections::BTreeMap;

/// Segments read and unpacked together.
const TOGETHER: usize = 16;

/// What is wanted, and what was found so far.
pub(super) struct Wanted {
    /// By segment: the first part, and which place asks for it.
    places: BTreeMap<i64, Vec<(usize, usize)>>,
    /// How many parts each place wants.
    count: usize,
    /// For each place its parts; empty where the segment is gone.
    pub found: Vec<Vec<Vec<u8>>>,
}

impl Wanted {
    /// Places (segment, first part) that want some parts each.
    pub fn new(wanted: impl Iterator<Item = (i64, usize)>, count: usize) -> Self {
        let mut places: BTreeMap<i64, Vec<(usize, usize)>> = BTreeMap::new();
        let mut total = 0;
        for (at, (segment, part)) in wanted.enumerate() {
            places.entry(segment).or_default().push((part, at));
            total = at + 1;
        }
        Self { places, count, found: vec![vec![Vec::new(); count]; total] }
    }

    /// The segments to read, some at a time.
    pub fn segments(&self) -> Vec<Vec<i64>> {
        let ids: Vec<i64> = self.places.keys().copied().collect();
        ids.chunks(TOGETHER).map(<[i64]>::to_vec).collect()
    }

    /// Takes what is wanted of packed segments, on a thread where that holds up nobody.
    pub async fn take_from(mut self, rows: Vec<(i64, Vec<u8>)>) -> Result<Self, StoreError> {
        let worked = tokio::task::spawn_blocking(move || {
            for (segment, packed) in rows {
                let mut parts = unpack(&packed)?;
                for (first, at) in self.places.get(&segment).map(Vec::as_slice).unwrap_or_default() {
                    for (offset, wanted) in self.found[*at].iter_mut().enumerate().take(self.count) {
                        if let Some(part) = parts.get_mut(first + offset) {
                            wanted.clone_from(part);
                        }
                    }
                }
            }
            Ok(self)
        });
        worked.await.map_err(|_| StoreError::Corrupt("segments could not be unpacked".to_owned()))?
    }
}
