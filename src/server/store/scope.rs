//! Which part of the deliveries a filter is about, so that each engine can read it from the index that holds little else, and
//! how much of it is looked at in one go.

use super::ids::IdSource;
use crate::domain::{
    Timestamp,
    pages::deliveries::{DeliveryFilter, StateFilter},
};

/// Rows that a page of the list is looked for in. What fits is found with the first few of them in nearly every list; where
/// it is rarer, the reader decides whether to look further.
pub(super) const LIST_LOOK: i64 = 10_000;
/// A count ends with so many.
pub(super) const COUNT_MOST: i64 = 10_000;
/// Rows that a count looks at.
pub(super) const COUNT_LOOK: i64 = 20_000;
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

/// The ids that a filter is about: from the first to before the second. Ids grow with time, so a span of days is a span of
/// ids.
pub(super) fn id_range(filter: &DeliveryFilter) -> (i64, i64) {
    let floor = |moment: Timestamp| IdSource::floor(moment.millis());
    let until = filter.until.map_or(i64::MAX, floor);
    (filter.from.map_or(0, floor), filter.after.map_or(until, |after| until.min(after.0)))
}

/// When an id was made.
pub(super) const fn made_at(id: i64) -> Timestamp {
    Timestamp(IdSource::made_at(id) * 1_000)
}
