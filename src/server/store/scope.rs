//! Which part of the deliveries a filter is about, so that each engine can read it from the index that holds little else, and
//! how much of it is looked at in one go.

use super::ids::IdSource;
use crate::domain::{
    Timestamp, Zone,
    pages::deliveries::{DeliveryFilter, StateFilter},
};

/// Rows that a page of the list is looked for in. What fits is found with the first few of them in nearly every list; where
/// it is rarer, the reader decides whether to look further.
pub(super) const LIST_LOOK: i64 = 10_000;
/// A count ends with so many.
pub(super) const COUNT_MOST: i64 = 1_000;
/// Rows that a count looks at.
pub(super) const COUNT_LOOK: i64 = 5_000;
/// Orders that a text may fit before a list looks at some of them only.
pub(super) const LIST_ORDERS: i64 = 1_000;
/// The same for a bulk resend, which is refused beyond the other and may have more orders by the time it is done.
pub(super) const BULK_ORDERS: i64 = 10_000;

/// A part of a merchant's deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// Those that are tried again or held, by state.
    Delayed,
    /// Those that were given up or cancelled.
    Failed,
    /// Those of some orders.
    Orders,
}

impl Scope {
    pub fn of(filter: &DeliveryFilter) -> Self {
        if !filter.text.trim().is_empty() {
            return Self::Orders;
        }
        match filter.state {
            Some(StateFilter::Failed | StateFilter::Expired | StateFilter::Cancelled) => Self::Failed,
            Some(StateFilter::Retrying | StateFilter::Held) => Self::Delayed,
            Some(StateFilter::Queued | StateFilter::Confirmed) | None => Self::All,
        }
    }
}

/// The ids that a filter is about: from the first to before the second.
pub(super) fn id_range(filter: &DeliveryFilter, zone: &Zone) -> (i64, i64) {
    let (from, until) = days(filter.from, filter.until, zone);
    turned_to((from, until), filter.after.map(|id| id.0), filter.before.map(|id| id.0))
}

/// The ids of some days. Ids grow with time, so a span of days is a span of ids, and every list by time can use the primary
/// key. Days are those of a zone.
pub(super) fn days(from: Option<Timestamp>, until: Option<Timestamp>, zone: &Zone) -> (i64, i64) {
    let floor = |day: Timestamp| IdSource::floor(zone.instant(day).millis());
    (from.map_or(0, floor), until.map_or(i64::MAX, floor))
}

/// The part of a span that a page is looked for in.
pub(super) fn turned_to((from, until): (i64, i64), after: Option<i64>, before: Option<i64>) -> (i64, i64) {
    let from = before.map_or(from, |before| from.max(before.saturating_add(1)));
    (from, after.map_or(until, |after| until.min(after)))
}

/// Where external references end that a text fits: those that begin with it; for whoever sees masked
/// values it alone, because one may be an e-mail address.
pub(super) fn end_of_external(text: &str, masked: bool) -> String {
    format!("{text}{}", if masked { '\u{1}' } else { '\u{10ffff}' })
}

/// In which order rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    NewestFirst,
    OldestFirst,
}

impl Direction {
    /// The beginning of a part, with its last row.
    pub fn up_to(self, last: i64, (from, until): (i64, i64)) -> (i64, i64) {
        match self {
            Self::NewestFirst => (last, until),
            Self::OldestFirst => (from, last.saturating_add(1)),
        }
    }
}

/// Where the pages before and after a page begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn {
    /// Of older rows.
    pub next: Option<i64>,
    /// Of newer rows.
    pub previous: Option<i64>,
    /// Where not everything was looked at, and the page is not full: back to this moment all were.
    pub looked_back_to: Option<Timestamp>,
}

impl Turn {
    /// From a page with these ids, the newest first. `is_full`: there are more of them in the direction that was looked in;
    /// `rest`: where not everything was looked at, the last that was.
    pub fn of(ids: &[i64], is_full: bool, rest: Option<i64>, after: Option<i64>, before: Option<i64>) -> Self {
        let (newest, oldest) = (ids.first().copied(), ids.last().copied());
        if let Some(before) = before {
            let previous = if is_full { newest } else { rest };
            // The row that the reader came from is older than these.
            return Self { next: oldest.or(Some(before.saturating_add(1))), previous, looked_back_to: None };
        }
        let previous = after.map(|after| newest.unwrap_or_else(|| after.saturating_sub(1)));
        match (is_full, rest) {
            (true, _) => Self { next: oldest, previous, looked_back_to: None },
            (false, rest) => Self { next: rest, previous, looked_back_to: rest.map(made_at) },
        }
    }
}

/// When an id was made.
pub(super) const fn made_at(id: i64) -> Timestamp {
    Timestamp(IdSource::made_at(id) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_ends_with_its_last_row() {
        assert_eq!(Direction::NewestFirst.up_to(40, (10, 90)), (40, 90), "from the last row on");
        assert_eq!(Direction::OldestFirst.up_to(40, (10, 90)), (10, 41), "to the last row, which belongs to it");
        assert_eq!(Direction::OldestFirst.up_to(i64::MAX, (10, 90)).1, i64::MAX);
    }

    #[test]
    fn pages_lead_to_one_another() {
        let page = [9, 8, 7];
        assert_eq!(Turn::of(&page, false, None, None, None), Turn::default(), "the only page");
        assert_eq!(Turn::of(&page, true, None, None, None), Turn { next: Some(7), ..Turn::default() });
        let middle = Turn { next: Some(7), previous: Some(9), looked_back_to: None };
        assert_eq!(Turn::of(&page, true, None, Some(10), None), middle);
        assert_eq!(Turn::of(&page, true, None, None, Some(6)), middle);
        assert_eq!(Turn::of(&page, false, None, None, Some(6)), Turn { previous: None, ..middle }, "the newest page");
        assert_eq!(Turn::of(&[], false, None, None, Some(6)), Turn { next: Some(7), ..Turn::default() });
        assert_eq!(turned_to((0, i64::MAX), Some(7), None), (0, 7), "row 6 is shown again where nothing is newer");
        assert_eq!(Turn::of(&[], false, None, Some(7), None), Turn { previous: Some(6), ..Turn::default() });
        assert_eq!(turned_to((0, 100), None, Some(6)), (7, 100));
    }

    #[test]
    fn what_was_not_looked_at_is_told() {
        let rest = IdSource::floor(1_795_252_447_000);
        let turn = Turn::of(&[], false, Some(rest), None, None);
        assert_eq!(turn, Turn { next: Some(rest), previous: None, looked_back_to: Some(Timestamp::from_seconds(1_795_252_447)) });
        assert_eq!(Turn::of(&[], false, Some(rest), None, Some(5)).previous, Some(rest));
    }
}
