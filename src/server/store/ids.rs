//! New ids: milliseconds, a node's mark and a counter, so that ids grow with time, never repeat on a node, and do not meet
//! those of another: servers have marks of their own, and commands beside them marks that no server has.

use crate::server::clock::Clock;
use std::sync::atomic::{AtomicI64, Ordering};

/// 2024-01-01, so that 41 bits of milliseconds last until 2093.
const EPOCH_MILLIS: i64 = 1_704_067_200_000;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;

/// Marks below this belong to the nodes of an installation with several; those above to processes that take one by chance.
pub const NODE_MARKS: i64 = 1_000;

/// Makes ids for one process.
pub struct IdSource {
    clock: Clock,
    node: AtomicI64,
    /// Milliseconds and sequence of the last id, without the node's mark.
    last: AtomicI64,
}

impl IdSource {
    /// A source with a random node's mark.
    pub fn new(clock: Clock) -> Self {
        let node = i64::from(getrandom::u32().unwrap_or(std::process::id())) & ((1 << NODE_BITS) - 1);
        Self { clock, node: AtomicI64::new(node), last: AtomicI64::new(0) }
    }

    /// A source for a process beside several nodes: its mark is none of theirs.
    pub fn beside_nodes(clock: Clock) -> Self {
        let source = Self::new(clock);
        let marks = (1 << NODE_BITS) - NODE_MARKS;
        source.node.store(NODE_MARKS + source.node.load(Ordering::Relaxed) % marks, Ordering::Relaxed);
        source
    }

    /// From now on ids are greater than this one, whatever the clock says.
    pub fn start_after(&self, id: i64) {
        // In the next millisecond, because within one the mark counts more than the sequence.
        let millis = (id >> (NODE_BITS + SEQUENCE_BITS)) + 1;
        self.last.fetch_max(millis << SEQUENCE_BITS, Ordering::Relaxed);
    }

    /// From now on ids carry the mark of this node.
    pub fn set_mark(&self, mark: i64) {
        self.node.store(mark.rem_euclid(NODE_MARKS), Ordering::Relaxed);
    }

    /// The smallest id that can have been made at a moment, in milliseconds since 1970.
    pub const fn floor(millis: i64) -> i64 {
        let since = millis - EPOCH_MILLIS;
        // From 2093 on there is no room for more; no id is that late.
        if since <= 0 {
            0
        } else if since > i64::MAX >> (NODE_BITS + SEQUENCE_BITS) {
            i64::MAX
        } else {
            since << (NODE_BITS + SEQUENCE_BITS)
        }
    }

    /// When an id was made, in milliseconds since 1970.
    pub const fn made_at(id: i64) -> i64 {
        (id >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MILLIS
    }

    /// The greatest id that can have been made this long after another.
    pub fn later(id: i64, span: std::time::Duration) -> i64 {
        id.saturating_add(id - Self::earlier(id, span))
    }

    /// The smallest id that can have been made this long before another.
    pub fn earlier(id: i64, span: std::time::Duration) -> i64 {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX >> (NODE_BITS + SEQUENCE_BITS));
        (id - (millis << (NODE_BITS + SEQUENCE_BITS))).max(0)
    }

    /// The next id. When a millisecond's 4,096 ids are used up, or the clock goes back, it borrows from the next
    /// millisecond rather than waiting.
    pub fn next(&self) -> i64 {
        let now = (self.clock.now().millis() - EPOCH_MILLIS).max(0) << SEQUENCE_BITS;
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    let sequence = next & ((1 << SEQUENCE_BITS) - 1);
                    return (next >> SEQUENCE_BITS) << (NODE_BITS + SEQUENCE_BITS)
                        | self.node.load(Ordering::Relaxed) << SEQUENCE_BITS
                        | sequence;
                }
                Err(current) => last = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_server_and_a_command_beside_it_never_make_the_same_id_and_a_clock_set_back_repeats_none() {
        let (clock, _hand) = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let (server, command) = (IdSource::beside_nodes(clock.clone()), IdSource::beside_nodes(clock));
        server.set_mark(1);
        let made: std::collections::HashSet<i64> = (0..5_000).flat_map(|_| [server.next(), command.next()]).collect();
        assert_eq!(made.len(), 10_000);
        let (earlier, _hand) = Clock::manual(Timestamp::from_seconds(1_700_000_000));
        let again = IdSource::beside_nodes(earlier);
        again.set_mark(1);
        let greatest = *made.iter().max().unwrap();
        again.start_after(greatest);
        assert!(again.next() > greatest);
    }

    #[test]
    fn ids_grow_even_when_the_clock_stands_still() {
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let ids = IdSource::new(clock);
        let first: Vec<i64> = (0..10_000).map(|_| ids.next()).collect();
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]));
        hand.advance(std::time::Duration::from_secs(1));
        assert!(ids.next() > first[9_999]);
    }
}
