//! The bytes received and exchanged: many messages packed together on their way in, single parts on their way out.

use super::Core;
use crate::server::store::{StoreError, ids::IdSource, pack::pack, wanted::Wanted};
use bytes::Bytes;

/// Unpacked bytes in one segment. Larger segments pack better; reading one message unpacks its whole segment.
const SEGMENT_BYTES: usize = 256 << 10;

/// Bytes on their way into segments, with where each message's part lies.
#[derive(Default)]
pub(super) struct Segments {
    ids: Vec<i64>,
    packed: Vec<Vec<u8>>,
    open: Vec<Bytes>,
    open_id: i64,
    open_bytes: usize,
}

impl Segments {
    /// Puts parts into a segment that are read together; gives the segment and the number of the first part.
    pub fn place(&mut self, ids: &IdSource, parts: impl IntoIterator<Item = Bytes>) -> (i64, i64) {
        if self.open_bytes >= SEGMENT_BYTES {
            self.close();
        }
        if self.open.is_empty() {
            self.open_id = ids.next();
        }
        let part = self.open.len() as i64;
        for bytes in parts {
            self.open_bytes += bytes.len();
            self.open.push(bytes);
        }
        (self.open_id, part)
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let parts: Vec<&[u8]> = self.open.iter().map(|part| &**part).collect();
            self.packed.push(pack(&parts));
            self.ids.push(self.open_id);
            self.open.clear();
            self.open_bytes = 0;
        }
    }

    /// The ids and the packed bytes of all.
    pub fn finish(mut self) -> (Vec<i64>, Vec<Vec<u8>>) {
        self.close();
        (self.ids, self.packed)
    }
}

impl Core {
    /// Reads some parts from each place (segment, first part); empty where the segment is gone.
    pub(super) async fn parts(&self, places: &[(i64, i64)], count: usize) -> Result<Vec<Vec<Vec<u8>>>, StoreError> {
        let part = |part: i64| usize::try_from(part).unwrap_or(usize::MAX / 2);
        let mut wanted = Wanted::new(places.iter().map(|(segment, first)| (*segment, part(*first))), count);
        for ids in wanted.segments() {
            let rows: Vec<(i64, Vec<u8>)> =
                sqlx::query_as("SELECT id, bytes FROM segment WHERE id = ANY($1)").bind(ids).fetch_all(&self.reading).await?;
            wanted = wanted.take_from(rows).await?;
        }
        Ok(wanted.found)
    }
}
