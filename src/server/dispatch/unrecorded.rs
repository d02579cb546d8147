//! What attempts came to and the store does not have yet. While the database is gone it grows, and bounds what is started.

/// Results that may wait before no more attempts start.
const RESULTS: usize = 5_000;
/// Bytes of them that may. Attempts on their way bring a little more.
const BYTES: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Unrecorded {
    results: usize,
    bytes: usize,
}

impl Unrecorded {
    /// A result waits that holds so many bytes.
    pub fn add(&mut self, bytes: usize) {
        self.results += 1;
        self.bytes += bytes;
    }

    /// It is in the store.
    pub fn remove(&mut self, bytes: usize) {
        self.results -= 1;
        self.bytes -= bytes;
    }

    /// Whether another attempt may start beside so many that are on their way, of so many that may be.
    pub fn has_room(&self, in_flight: usize, places: usize) -> bool {
        self.results + in_flight < RESULTS + places && self.bytes < BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_results_or_long_ones_let_nothing_more_start() {
        const PLACES: usize = 1_000;
        for (results, bytes, in_flight, room) in [
            (0, 0, PLACES, true),
            (RESULTS, 100, PLACES - 1, true),
            (RESULTS, 100, PLACES, false),
            (BYTES / (64 << 10), 64 << 10, 0, false),
            (1, BYTES - 1, 0, true),
        ] {
            let mut unrecorded = Unrecorded::default();
            (0..results).for_each(|_| unrecorded.add(bytes));
            assert_eq!(unrecorded.has_room(in_flight, PLACES), room, "{results} of {bytes}, beside {in_flight}");
            (0..results).for_each(|_| unrecorded.remove(bytes));
            assert!(unrecorded.has_room(0, PLACES));
        }
    }
}
