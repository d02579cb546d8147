//! Messages that were right and could not be stored, because the disk was full or the database gone: their gateways were asked to send
//! them again. Kept in memory only, for nothing can be written in that moment; of several nodes each knows its own.

use crate::domain::{Timestamp, id::MerchantId, pages::dashboard::NotStored};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// An outage is told of for so long after its last message; gateways have come back by then.
const TOLD: Duration = Duration::from_secs(3_600);
/// From one waking of open pages to the next.
const WAKING: Duration = Duration::from_secs(1);

/// The outages of this process, by merchant.
#[derive(Debug, Default)]
pub struct Unstored {
    /// How many are not over: the way of each message that is stored passes here.
    lasting: AtomicUsize,
    merchants: Mutex<BTreeMap<MerchantId, Outage>>,
}

#[derive(Debug)]
struct Outage {
    told: NotStored,
    woken_at: Timestamp,
}

impl Unstored {
    fn merchants(&self) -> MutexGuard<'_, BTreeMap<MerchantId, Outage>> {
        self.merchants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message could not be stored; whether open pages should be told now.
    pub fn failed(&self, merchant: MerchantId, now: Timestamp) -> bool {
        let mut merchants = self.merchants();
        let fresh = NotStored { count: 0, since: now, last: now, over: true };
        let mut is_new = false;
        let outage = merchants.entry(merchant).or_insert_with(|| {
            is_new = true;
            Outage { told: fresh, woken_at: now }
        });
        let over = outage.told.over;
        if now.since(outage.told.last) >= TOLD {
            outage.told = fresh;
        }
        if over {
            self.lasting.fetch_add(1, Relaxed);
        }
        let told = &mut outage.told;
        // The clock may have been set back.
        *told = NotStored { count: told.count + 1, since: told.since.min(now), last: now, over: false };
        let wakes = is_new || now < outage.woken_at || now.since(outage.woken_at) >= WAKING;
        if wakes {
            outage.woken_at = now;
        }
        wakes
    }

    /// A message was stored: an outage of its merchant is over.
    pub fn stored(&self, merchant: MerchantId) {
        if self.lasting.load(Relaxed) == 0 {
            return;
        }
        if let Some(outage) = self.merchants().get_mut(&merchant).filter(|outage| !outage.told.over) {
            outage.told.over = true;
            self.lasting.fetch_sub(1, Relaxed);
        }
    }

    /// What could not be stored of some merchants lately, taken together.
    pub fn of(&self, merchants: &[MerchantId], now: Timestamp) -> Option<NotStored> {
        let known = self.merchants();
        let lately = merchants.iter().filter_map(|merchant| known.get(merchant)).map(|outage| outage.told);
        let is_late = |told: &NotStored| now.since(told.last) < TOLD && told.last <= now.plus(TOLD);
        lately.filter(is_late).reduce(|one, other| NotStored {
            count: one.count + other.count,
            since: one.since.min(other.since),
            last: one.last.max(other.last),
            over: one.over && other.over,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: MerchantId = MerchantId(1);
    const OTHER: MerchantId = MerchantId(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    #[test]
    fn an_outage_is_told_until_an_hour_after_its_last_message() {
        let unstored = Unstored::default();
        assert_eq!(unstored.of(&[SHOP], at(0)), None);
        unstored.failed(SHOP, at(0));
        unstored.failed(SHOP, at(60));
        let told = NotStored { count: 2, since: at(0), last: at(60), over: false };
        assert_eq!(unstored.of(&[SHOP], at(70)), Some(told));
        assert_eq!(unstored.of(&[OTHER], at(70)), None, "it is nobody else's");
        unstored.stored(OTHER);
        assert_eq!(unstored.of(&[SHOP], at(70)), Some(told), "what another's message says of this one is nothing");
        unstored.stored(SHOP);
        assert_eq!(unstored.of(&[SHOP], at(3_659)), Some(NotStored { over: true, ..told }));
        assert_eq!(unstored.of(&[SHOP], at(3_660)), None);
        unstored.failed(SHOP, at(4_000));
        assert_eq!(unstored.of(&[SHOP], at(4_000)), Some(NotStored { count: 1, since: at(4_000), last: at(4_000), over: false }));
    }

    #[test]
    fn outages_of_several_merchants_are_taken_together() {
        let unstored = Unstored::default();
        unstored.failed(SHOP, at(0));
        unstored.failed(OTHER, at(5));
        unstored.stored(SHOP);
        let told = NotStored { count: 2, since: at(0), last: at(5), over: false };
        assert_eq!(unstored.of(&[SHOP, OTHER], at(6)), Some(told));
        unstored.stored(OTHER);
        assert_eq!(unstored.of(&[SHOP, OTHER], at(6)), Some(NotStored { over: true, ..told }));
    }

    #[test]
    fn pages_are_woken_by_the_first_and_then_once_a_second() {
        let unstored = Unstored::default();
        assert!(unstored.failed(SHOP, at(0)));
        assert!(!unstored.failed(SHOP, at(0)));
        assert!(unstored.failed(SHOP, at(1)));
        unstored.stored(SHOP);
        assert!(!unstored.failed(SHOP, at(1)), "it began anew, and pages were woken just now");
        assert!(unstored.failed(SHOP, at(-500)), "the clock was set back");
        assert!(!unstored.failed(SHOP, at(-500)));
        assert_eq!(unstored.of(&[SHOP], at(-9_000)), None, "noted while the clock was ahead");
    }
}
