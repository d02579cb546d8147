//! The balance of the books, looked at again and again while the server runs: accepted deliveries are the sum over the
//! states, and the books say what the deliveries themselves say.
//!
//! The sums are a few rows for each URL and looked at every time. Deliveries are counted URL by URL, in turns, and only
//! where an index does it: open, held and expired ones; in a small ledger the others, too. Whoever wants to know everything at once
//! runs `quittance doctor`. Must not live here: how the store counts.

use crate::domain::{DeliveryState, Timestamp, id::UrlId};
use crate::server::{
    clock::Clock,
    store::{Store, StoreError, UrlBooks},
    telemetry::{Metrics, metrics::Check},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// A look that takes long is followed by a pause so many times as long: counting takes a fiftieth of a processor at most.
const PAUSE: u32 = 50;
/// But by none that is longer than this: a database that was slow for a moment must not leave figures of the past standing.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Deliveries of a URL in one state that are still counted.
const COUNTED: u64 = 2_000_000;
/// Up to so many deliveries in all, those are counted, too, that no index counts.
const SMALL: u64 = 200_000;

/// What is known of the balance.
#[derive(Default)]
struct Balance {
    /// The URL whose deliveries were counted last.
    last: Option<UrlId>,
    /// By how many deliveries the rows of a URL differ from its books.
    rows: BTreeMap<UrlId, u64>,
    /// It was told that the books differ.
    told: bool,
}

/// Looks at the books for ever.
pub async fn run(store: Store, clock: Clock, metrics: Arc<Metrics>) {
    let mut balance = Balance::default();
    let mut failing = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let begun = Instant::now();
        match balance.look(&store, &metrics, clock.now()).await {
            Ok(()) => {
                failing = false;
                tokio::time::sleep(pause_after(begun.elapsed())).await;
            }
            // What has failed has counted nothing.
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "the books could not be checked; trying again");
            }
            Err(_) => {}
        }
    }
}

/// How long nothing is counted after a look that took so long.
fn pause_after(look: Duration) -> Duration {
    (look * PAUSE).min(LONGEST_PAUSE)
}

impl Balance {
    async fn look(&mut self, store: &Store, metrics: &Metrics, now: Timestamp) -> Result<(), StoreError> {
        let books = store.books().await?;
        let unequal = |books: &UrlBooks| books.accepted.abs_diff(books.states.iter().map(|(_, count)| count).sum());
        let sums: u64 = books.iter().map(unequal).sum();
        // What becomes of copies counts nowhere.
        let directory = store.directory().borrow().clone();
        let is_shadow = |books: &&UrlBooks| directory.url(books.url_id).is_some_and(|url| url.terms.shadow);
        for state in DeliveryState::ALL {
            let counts = books.iter().filter(|books| !is_shadow(books)).flat_map(|books| books.states);
            let counts = counts.filter(|(of, _)| *of == state);
            let count: i64 = counts.map(|(_, count)| count).sum();
            metrics.set_deliveries(state, u64::try_from(count).unwrap_or(0));
        }
        metrics.checked(Check::Sums, sums, now);
        self.rows.retain(|url, _| books.iter().any(|books| books.url_id == *url));
        if let Some(next) = self.next(&books) {
            self.last = Some(next);
            let all: i64 = books.iter().map(|books| books.accepted).sum();
            let whole = u64::try_from(all).is_ok_and(|all| all <= SMALL);
            if let Some(difference) = recount(store, next, whole).await? {
                self.rows.insert(next, difference);
            }
            metrics.checked(Check::Rows, self.rows.values().sum(), now);
        }
        self.tell(sums, books.iter().find(|books| unequal(books) > 0).map(|books| books.url_id));
        Ok(())
    }

    /// The URL whose turn it is.
    fn next(&self, books: &[UrlBooks]) -> Option<UrlId> {
        let small = |books: &&UrlBooks| {
            let counts = books.states.iter().filter(|(state, _)| is_indexed(*state));
            counts.into_iter().all(|(_, count)| count.unsigned_abs() <= COUNTED)
        };
        let urls = || books.iter().filter(small).map(|books| books.url_id);
        urls().filter(|url| Some(*url) > self.last).min().or_else(|| urls().min())
    }

    /// Says once that the books differ, and once that they no longer do.
    fn tell(&mut self, sums: u64, wrong: Option<UrlId>) {
        let rows: u64 = self.rows.values().sum();
        let differ = sums + rows > 0;
        if differ && !self.told {
            let url = wrong.or_else(|| self.rows.iter().find(|(_, count)| **count > 0).map(|(url, _)| *url));
            let url = url.map(|url| url.to_string()).unwrap_or_default();
            tracing::error!(
                difference.sums = sums,
                difference.rows = rows,
                url.id = url,
                "the books do not balance; run `quittance doctor`, and keep a backup before anything is changed"
            );
        } else if !differ && self.told {
            tracing::info!("the books balance again");
        }
        self.told = differ;
    }
}

/// Whether an index counts the deliveries in a state.
const fn is_indexed(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Queued | DeliveryState::Retrying | DeliveryState::Held | DeliveryState::Expired)
}

/// By how many deliveries the rows of a URL differ from its books; `None` where it has none any more.
async fn recount(store: &Store, url_id: UrlId, whole: bool) -> Result<Option<u64>, StoreError> {
    let found = store.recount(url_id, whole).await?;
    Ok(found.map(|counts| counts.iter().map(|(_, booked, found)| booked.abs_diff(*found)).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books(url: i64, queued: i64) -> UrlBooks {
        let states = UrlBooks::STATES.map(|state| (state, if state == DeliveryState::Queued { queued } else { 0 }));
        UrlBooks { url_id: UrlId(url), accepted: queued, states }
    }

    #[test]
    fn a_look_that_took_long_is_followed_by_a_pause_but_not_for_minutes() {
        assert_eq!(pause_after(Duration::from_millis(20)), Duration::from_secs(1));
        assert_eq!(pause_after(Duration::from_secs(5)), LONGEST_PAUSE);
    }

    #[test]
    fn urls_take_turns_and_the_largest_are_left_to_the_doctor() {
        let all = [books(1, 0), books(2, 3_000_000), books(3, 5)];
        let mut balance = Balance::default();
        let turns: Vec<_> = (0..3)
            .map(|_| {
                balance.last = balance.next(&all);
                balance.last
            })
            .collect();
        assert_eq!(turns, [Some(UrlId(1)), Some(UrlId(3)), Some(UrlId(1))]);
        assert_eq!(Balance::default().next(&[]), None);
    }
}
