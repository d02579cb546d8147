//! Cancelling whole lists of deliveries: what both engines decide alike. A job goes through what is outstanding of its list, one
//! state after the other and each in the order in which deliveries were made, a few at a time. Pure: each engine reads the rows
//! and writes what comes out.
//!
//! Where a job stands is kept in the place where a bulk resend keeps the URLs that are behind: by the code of each state that is
//! not through, the id up to which it is.

use super::{
    bulk::{COUNT_LOOK, COUNT_MOST, Looked, Position},
    ids::IdSource,
};
use crate::domain::{
    DeliveryState, Timestamp,
    id::UrlId,
    pages::{
        bulk::BulkCount,
        deliveries::{DeliveryFilter, StateFilter},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// Deliveries of the list that one step takes.
pub(super) const STEP: i64 = 1_000;
/// States of what is outstanding, in the order in which deliveries go through them: what fails for the first time meanwhile, or is
/// put on hold, is met in its next state.
const OUTSTANDING: [StateFilter; 3] = [StateFilter::Queued, StateFilter::Retrying, StateFilter::Held];
/// A first try is due when it was made, but for a clock that was corrected meanwhile.
const CLOCK: Duration = Duration::from_secs(86_400);

/// The states in which a list holds something to cancel.
fn states(filter: &DeliveryFilter) -> impl Iterator<Item = StateFilter> {
    let (wanted, tried) = (filter.state, filter.cause.is_some());
    // What was never tried has no cause.
    OUTSTANDING
        .into_iter()
        .filter(move |state| wanted.is_none_or(|wanted| wanted == *state) && !(tried && *state == StateFilter::Queued))
}

/// Where a job begins, for a list that begins with an id. What is queued may lie behind millions that are confirmed, so it is
/// told when the first of it is due; `None` where nothing is queued.
pub(super) fn beginning(filter: &DeliveryFilter, from: i64, queued_since: Option<Timestamp>) -> Position {
    let first = |state| match (state, queued_since) {
        (StateFilter::Queued, None) => None,
        (StateFilter::Queued, Some(due)) => Some(from.max(IdSource::floor(due.minus(CLOCK).millis()))),
        _ => Some(from),
    };
    let behind = states(filter).filter_map(|state| Some((code(state)?, first(state)? - 1))).collect();
    Position { after: from - 1, swept: true, behind }
}

fn code(state: StateFilter) -> Option<i64> {
    state.state().map(DeliveryState::code)
}

/// What of a list is next: the filter for one state of it, and the id after which to read on. `None` at the end.
pub(super) fn next(position: &Position, filter: &DeliveryFilter) -> Option<(DeliveryFilter, DeliveryState, i64)> {
    let (state, after) = states(filter).find_map(|state| Some((state, *position.behind.get(&code(state)?)?)))?;
    Some((DeliveryFilter { state: Some(state), ..filter.clone() }, state.state()?, after))
}

/// Notes up to where a state was looked through.
pub(super) fn advance(position: &mut Position, state: DeliveryState, looked: &Looked) {
    if looked.at_end {
        position.behind.remove(&state.code());
    } else {
        position.behind.insert(state.code(), looked.to);
    }
}

/// Counts before what a job would cancel.
#[derive(Default)]
pub(super) struct Tally {
    by_state: BTreeMap<i64, (DeliveryState, u64)>,
    by_url: HashMap<UrlId, u64>,
    looked: i64,
}

impl Tally {
    /// Counts what was read of a state; `window` is how many rows were looked through for it.
    pub fn add(&mut self, state: DeliveryState, looked: &Looked, window: i64) {
        self.looked += window.max(1);
        for source in &looked.sources {
            self.by_state.entry(state.code()).or_insert((state, 0)).1 += 1;
            *self.by_url.entry(source.url_id).or_default() += 1;
        }
    }

    fn total(&self) -> u64 {
        self.by_url.values().sum()
    }

    /// Whether enough was counted.
    pub fn is_full(&self) -> bool {
        self.total() > COUNT_MOST || self.looked >= COUNT_LOOK
    }

    /// The count; `more` where not all was counted.
    pub fn end(self, more: bool) -> BulkCount {
        let total = self.total();
        let mut by_url: Vec<_> = self.by_url.into_iter().collect();
        by_url.sort_by_key(|(url, count)| (std::cmp::Reverse(*count), *url));
        BulkCount {
            made: if more { total.min(COUNT_MOST) } else { total },
            by_state: self.by_state.into_values().collect(),
            by_url,
            more,
            ..BulkCount::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Cause;

    fn codes(position: &Position) -> Vec<i64> {
        position.behind.keys().copied().collect()
    }

    #[test]
    fn a_list_is_gone_through_state_by_state() {
        let all = DeliveryFilter::default();
        let queued_since = Some(Timestamp::from_seconds(1_795_252_447));
        let mut position = beginning(&all, 10, queued_since);
        assert_eq!(codes(&position), [0, 2, 3]);
        assert_eq!(position.behind[&2], 9);
        assert!(position.behind[&0] > 1 << 40, "what is queued is not looked for from the beginning of time");
        let (filter, state, after) = next(&position, &all).unwrap();
        assert_eq!((filter.state, state, after), (Some(StateFilter::Queued), DeliveryState::Queued, position.behind[&0]));
        advance(&mut position, state, &Looked { sources: Vec::new(), to: 1 << 50, at_end: false });
        assert_eq!(next(&position, &all).unwrap().2, 1 << 50);
        for expected in [DeliveryState::Queued, DeliveryState::Retrying, DeliveryState::Held] {
            let (_, state, _) = next(&position, &all).unwrap();
            assert_eq!(state, expected);
            advance(&mut position, state, &Looked { sources: Vec::new(), to: 0, at_end: true });
        }
        assert!(next(&position, &all).is_none() && position.is_done());
    }

    #[test]
    fn only_what_is_outstanding_is_meant() {
        let of = |state, cause| {
            let filter = DeliveryFilter { state, cause, ..DeliveryFilter::default() };
            codes(&beginning(&filter, 0, Some(Timestamp(0))))
        };
        assert_eq!(of(Some(StateFilter::Held), None), [3]);
        assert_eq!(of(None, Some(Cause::ServerError)), [2, 3], "what was never tried has no cause");
        assert!(of(Some(StateFilter::Confirmed), None).is_empty() && of(Some(StateFilter::Failed), None).is_empty());
        assert_eq!(codes(&beginning(&DeliveryFilter::default(), 0, None)), [2, 3], "nothing is queued");
    }
}
