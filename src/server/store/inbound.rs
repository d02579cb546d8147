//! The list of what came in: accepted messages and refused ones are read apart, and put into one sequence here.

use super::{
    FoundInbound,
    scope::{Direction, Turn},
};
use crate::domain::{
    id::NotificationId,
    pages::inbound::{InboundFilter, InboundRow},
};

/// Puts accepted and refused messages together, each read in a direction and at most one more than `most`.
pub(super) fn put_together(
    mut rows: Vec<InboundRow>,
    direction: Direction,
    most: usize,
    rest: Option<i64>,
    filter: &InboundFilter,
) -> FoundInbound {
    rows.sort_by_key(InboundRow::place);
    if direction == Direction::NewestFirst {
        rows.reverse();
    }
    let is_full = rows.len() > most;
    rows.truncate(most);
    if direction == Direction::OldestFirst {
        rows.reverse();
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.place().0).collect();
    let turn = Turn::of(&ids, is_full, rest, filter.after.map(|id| id.0), filter.before.map(|id| id.0));
    FoundInbound {
        rows,
        next: turn.next.map(NotificationId),
        previous: turn.previous.map(NotificationId),
        looked_back_to: turn.looked_back_to,
        truncated: false,
    }
}
