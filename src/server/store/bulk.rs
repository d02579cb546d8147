//! Bulk resends: what both engines decide alike. A job looks through the deliveries of its list in the order in which they
//! were made, a few at a time, and makes those again that still have to be. Pure: each engine reads the rows and writes what
//! comes out.
//!
//! A URL gets only so many at a time. While it takes no more, because it is slow or nobody answers there, the job goes on
//! with the others and notes the place from which on this URL is behind; what is behind is made when there is room again.

use super::{BulkOrder, StoreError, ids::IdSource};
use crate::domain::{
    DeliveryState,
    id::UrlId,
    pages::{
        bulk::{BulkCount, BulkStanding, BulkTarget, LeftOut},
        deliveries::{Counted, DeliveryFilter, StateFilter},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Deliveries of all bulk resends that may wait for their first attempt at one URL. Few enough that new notifications to it
/// are found behind them in the table, enough that it is not idle until the next step.
pub(super) const ROOM: u64 = 500;
/// Deliveries of the list that one step takes.
pub(super) const STEP: i64 = 200;
/// Rows that one step looks through for them.
pub(super) const LOOK: i64 = 5_000;
/// Rows that one transaction of a cancelling takes back.
pub(super) const WITHDRAW: i64 = 2_000;
/// A count before ends with so many.
pub(super) const COUNT_MOST: u64 = 10_000;
/// Deliveries that a count reads at once: all that it tells, so that a page needs few queries.
pub(super) const CENSUS: i64 = 10_001;
/// Rows that a count before looks through.
pub(super) const COUNT_LOOK: i64 = 200_000;

/// Deliveries of one state that the page of a bulk resend counts.
pub(super) const STANDING_MOST: i64 = 100_000;

/// A delivery of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    pub id: i64,
    pub notification_id: i64,
    pub order_id: i64,
    pub url_id: UrlId,
    pub has_bytes: bool,
}

/// A delivery that there is of the same notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub url_id: UrlId,
    pub state: DeliveryState,
    pub resend_id: Option<i64>,
    /// When it ended, in microseconds, where it has.
    pub ended_at: Option<i64>,
}

/// A row of it: notification, URL, state, resend, end.
pub(super) type KnownRow = (i64, i64, i64, Option<i64>, Option<i64>);

/// What a job is to do with a list, as it is planned.
pub(super) struct Rules<'a> {
    pub job_id: Option<i64>,
    pub filter: &'a DeliveryFilter,
    pub target: BulkTarget,
    /// URLs that the merchant uses now.
    pub in_use: &'a [UrlId],
}

impl<'a> Rules<'a> {
    pub fn of(order: &'a BulkOrder, in_use: &'a [UrlId]) -> Self {
        Self { job_id: None, filter: &order.filter, target: order.target, in_use }
    }
}

/// Where a job stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// Everything up to this id was looked through.
    pub after: i64,
    /// The whole list was.
    pub swept: bool,
    /// URLs that took no more, each with the id after which its part is still to be made.
    pub behind: BTreeMap<i64, i64>,
}

/// What a step looks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// The list, after an id.
    List { after: i64 },
    /// The part of one URL that was left behind.
    Behind { url_id: UrlId, after: i64 },
}

impl Pass {
    pub const fn after(self) -> i64 {
        match self {
            Self::List { after } | Self::Behind { after, .. } => after,
        }
    }
}

/// What came of a step's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Which source goes to which URL, in order.
    pub make: Vec<(Source, UrlId)>,
    pub left_out: LeftOut,
}

/// What was read for a step: sources after the pass's place, and up to where everything was looked at.
pub(super) struct Looked {
    pub sources: Vec<Source>,
    pub to: i64,
    /// There is nothing after that.
    pub at_end: bool,
}

impl Looked {
    /// From what was read: `window` is how many rows lie in the part that was to be looked at, and the last of them.
    pub fn new(sources: Vec<Source>, window: (i64, Option<i64>), most: i64, look: i64) -> Self {
        match sources.last().copied() {
            Some(last) if sources.len() as i64 >= most => Self { sources, to: last.id, at_end: false },
            _ => Self { sources, to: window.1.unwrap_or(0), at_end: window.0 < look },
        }
    }
}

/// How many more each URL takes.
pub(super) struct Room(HashMap<UrlId, u64>);

impl Room {
    /// From the deliveries of bulk resends that wait at each URL. URLs on hold keep everything.
    pub fn new(waiting: &[(UrlId, u64)], in_use: &[UrlId], held: impl Fn(UrlId) -> bool) -> Self {
        let mut room: HashMap<_, _> = in_use.iter().map(|url| (*url, if held(*url) { u64::MAX } else { ROOM })).collect();
        for (url, count) in waiting {
            room.entry(*url).and_modify(|room| *room = room.saturating_sub(*count));
        }
        Self(room)
    }

    /// What is not in use takes nothing, and is left out for another reason.
    fn has(&self, url: UrlId) -> bool {
        self.0.get(&url).is_none_or(|room| *room > 0)
    }

    fn take(&mut self, url: UrlId) {
        if let Some(room) = self.0.get_mut(&url) {
            *room = room.saturating_sub(1);
        }
    }
}

impl Position {
    /// What is next, or `None` where nothing is left, or nothing that a URL would take.
    pub fn next(&self, room: &Room) -> Option<Pass> {
        // What was left behind goes first: it has waited longest.
        let behind = self.behind.iter().find(|(url, _)| room.has(UrlId(**url)));
        match behind {
            Some((url, after)) => Some(Pass::Behind { url_id: UrlId(*url), after: *after }),
            None => (!self.swept).then_some(Pass::List { after: self.after }),
        }
    }

    /// Nothing of the list is left.
    pub fn is_done(&self) -> bool {
        self.swept && self.behind.is_empty()
    }

    /// Goes through what was looked at, and notes where to go on.
    pub fn step(
        &mut self,
        pass: Pass,
        looked: &Looked,
        rules: &Rules<'_>,
        room: &mut Room,
        known: &HashMap<i64, Vec<Known>>,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut made = HashSet::new();
        for source in &looked.sources {
            for target in rules.targets(source.url_id) {
                match pass {
                    Pass::Behind { url_id, .. } if target != url_id => continue,
                    Pass::List { .. } if self.behind.contains_key(&target.0) => continue,
                    _ => {}
                }
                let known = known.get(&source.notification_id).map_or(&[][..], Vec::as_slice);
                let again = !made.insert((source.notification_id, target));
                match rules.fate(*source, target, known) {
                    Fate::Done => {}
                    _ if again => {}
                    Fate::Confirmed => plan.left_out.confirmed += 1,
                    Fate::Waiting => plan.left_out.waiting += 1,
                    Fate::Removed => plan.left_out.removed += 1,
                    Fate::WithoutBytes => plan.left_out.without_bytes += 1,
                    Fate::Make if room.has(target) => {
                        room.take(target);
                        plan.make.push((*source, target));
                    }
                    Fate::Make => {
                        self.behind.insert(target.0, source.id - 1);
                        if matches!(pass, Pass::Behind { .. }) {
                            return plan;
                        }
                    }
                }
            }
        }
        match pass {
            Pass::List { .. } => (self.after, self.swept) = (looked.to.max(self.after), looked.at_end),
            // What came in the list after it fell behind was left to this pass up to the list's own place only.
            Pass::Behind { url_id, .. } if looked.at_end || (!self.swept && looked.to >= self.after) => {
                self.behind.remove(&url_id.0);
            }
            Pass::Behind { url_id, .. } => {
                self.behind.insert(url_id.0, looked.to);
            }
        }
        plan
    }

    /// Up to where a pass may look: what is behind, not further than the list itself was gone through.
    pub fn until(&self, pass: Pass, ceiling: i64) -> i64 {
        match pass {
            Pass::Behind { .. } if !self.swept => self.after.saturating_add(1).min(ceiling),
            _ => ceiling,
        }
    }

    pub fn behind_from(text: &str) -> Result<BTreeMap<i64, i64>, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("bulk_job.behind: {error}")))
    }
}

/// Adds the deliveries of a state, tried or not, to how a bulk resend stands.
pub(super) fn add_to_standing(standing: &mut BulkStanding, state: DeliveryState, tried: bool, counted: Counted) {
    let place = match (state, tried) {
        (DeliveryState::Queued | DeliveryState::Sending, _) => &mut standing.queued,
        (DeliveryState::Retrying, _) => &mut standing.retrying,
        (DeliveryState::Held, _) => &mut standing.held,
        (DeliveryState::Confirmed, _) => &mut standing.confirmed,
        (DeliveryState::Expired, _) => &mut standing.expired,
        (DeliveryState::Cancelled, false) => &mut standing.withdrawn,
        (DeliveryState::Cancelled, true) => &mut standing.cancelled,
    };
    *place = Counted { number: place.number + counted.number, more: place.more || counted.more };
}

enum Fate {
    Make,
    /// This job has made it.
    Done,
    Confirmed,
    Waiting,
    Removed,
    WithoutBytes,
}

impl Rules<'_> {
    fn targets(&self, of_then: UrlId) -> Vec<UrlId> {
        match self.target {
            BulkTarget::Same => vec![of_then],
            BulkTarget::All => self.in_use.to_vec(),
            BulkTarget::Cancel => Vec::new(),
        }
    }

    fn fate(&self, source: Source, target: UrlId, known: &[Known]) -> Fate {
        let mut there = known.iter().filter(|known| known.url_id == target);
        let is_ours = |known: &Known| self.job_id.is_some() && known.resend_id == self.job_id;
        if there.clone().any(is_ours) {
            return Fate::Done;
        }
        if !self.in_use.contains(&target) {
            return Fate::Removed;
        }
        // What was confirmed before the delivery was made, which somebody resent all the same, says nothing of it.
        let made_at = IdSource::made_at(source.id) * 1_000;
        let is_later = |known: &Known| known.ended_at.is_none_or(|ended_at| ended_at >= made_at);
        let is_confirmed = there.clone().any(|known| known.state == DeliveryState::Confirmed && is_later(known));
        if is_confirmed && self.filter.state != Some(StateFilter::Confirmed) {
            return Fate::Confirmed;
        }
        let is_asked_for = |known: &Known| {
            // Somebody does not want to wait for its next attempt.
            self.filter.state == Some(StateFilter::Retrying)
                && known.state == DeliveryState::Retrying
                && known.resend_id.is_none()
        };
        if there.any(|known| !known.state.is_final() && !is_asked_for(known)) {
            return Fate::Waiting;
        }
        if source.has_bytes { Fate::Make } else { Fate::WithoutBytes }
    }
}

/// Counts before what a job would make, by the same rules.
pub(super) struct Census {
    position: Position,
    seen: HashSet<(i64, UrlId)>,
    made: HashMap<UrlId, u64>,
    left_out: LeftOut,
    looked: i64,
}

impl Census {
    pub fn new() -> Self {
        let made = HashMap::new();
        Self { position: Position::default(), seen: HashSet::new(), made, left_out: LeftOut::default(), looked: 0 }
    }

    /// Where to read on; `None` at the end, or where enough was counted.
    pub fn next(&self) -> Option<i64> {
        (!self.position.swept && !self.is_full()).then_some(self.position.after)
    }

    fn is_full(&self) -> bool {
        self.total() > COUNT_MOST || self.looked >= COUNT_LOOK
    }

    fn total(&self) -> u64 {
        self.made.values().sum()
    }

    /// Counts what was read.
    pub fn add(&mut self, looked: &Looked, window: i64, rules: &Rules<'_>, known: &HashMap<i64, Vec<Known>>) {
        self.looked += window.max(1);
        let mut room = Room(HashMap::new());
        let pass = Pass::List { after: self.position.after };
        let plan = self.position.step(pass, looked, rules, &mut room, known);
        let left_out = plan.left_out;
        self.left_out.confirmed += left_out.confirmed;
        self.left_out.waiting += left_out.waiting;
        self.left_out.removed += left_out.removed;
        self.left_out.without_bytes += left_out.without_bytes;
        for (source, target) in plan.make {
            // The same notification may have failed at the same URL more than once.
            if self.seen.insert((source.notification_id, target)) {
                *self.made.entry(target).or_default() += 1;
            }
        }
    }

    pub fn end(self) -> BulkCount {
        let (made, more) = (self.total(), !self.position.swept);
        let mut by_url: Vec<_> = self.made.into_iter().collect();
        by_url.sort_by_key(|(url, count)| (std::cmp::Reverse(*count), *url));
        let made = if more { made.min(COUNT_MOST) } else { made };
        BulkCount { made, by_url, left_out: self.left_out, more, ..BulkCount::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: UrlId = UrlId(1);
    const B: UrlId = UrlId(2);
    const GONE: UrlId = UrlId(9);

    fn source(id: i64, url_id: UrlId) -> Source {
        Source { id, notification_id: id, order_id: id, url_id, has_bytes: true }
    }

    fn looked(sources: &[Source], at_end: bool) -> Looked {
        Looked { sources: sources.to_vec(), to: sources.last().map_or(0, |source| source.id), at_end }
    }

    fn rules<'a>(filter: &'a DeliveryFilter, target: BulkTarget) -> Rules<'a> {
        Rules { job_id: Some(77), filter, target, in_use: &[A, B] }
    }

    fn made(plan: &Plan) -> Vec<(i64, UrlId)> {
        plan.make.iter().map(|(source, url)| (source.id, *url)).collect()
    }

    #[test]
    fn what_is_not_to_be_sent_is_left_out_and_counted_by_its_reason() {
        let failed = DeliveryFilter { state: Some(StateFilter::Failed), ..Default::default() };
        let known = |url_id, state, resend_id| Known { url_id, state, resend_id, ended_at: None };
        let expired = known(A, DeliveryState::Expired, None);
        let cases: HashMap<i64, Vec<Known>> = [
            (1, vec![expired]),
            (2, vec![expired, known(A, DeliveryState::Confirmed, Some(5))]),
            (3, vec![expired, known(A, DeliveryState::Queued, Some(5))]),
            (4, vec![expired, known(A, DeliveryState::Queued, Some(77))]),
            (5, vec![expired, known(B, DeliveryState::Confirmed, None)]),
            (6, vec![expired]),
            (7, vec![known(GONE, DeliveryState::Cancelled, None)]),
        ]
        .into();
        let mut sources: Vec<_> = (1..=6).map(|id| source(id, A)).chain([source(7, GONE)]).collect();
        sources[5].has_bytes = false;
        let (mut position, mut room) = (Position::default(), Room::new(&[], &[A, B], |_| false));
        let pass = position.next(&room).unwrap();
        let plan = position.step(pass, &looked(&sources, true), &rules(&failed, BulkTarget::Same), &mut room, &cases);
        assert_eq!(made(&plan), [(1, A), (5, A)]);
        assert_eq!(plan.left_out, LeftOut { confirmed: 1, waiting: 1, removed: 1, without_bytes: 1 });
        assert!(position.is_done());
    }

    #[test]
    fn what_is_asked_for_by_its_state_is_sent_all_the_same() {
        let step = |state, known: &[Known]| {
            let filter = DeliveryFilter { state: Some(state), ..Default::default() };
            let (mut position, mut room) = (Position::default(), Room::new(&[], &[A, B], |_| false));
            let known = [(1, known.to_vec())].into();
            let pass = Pass::List { after: 0 };
            position.step(pass, &looked(&[source(1, A)], true), &rules(&filter, BulkTarget::Same), &mut room, &known).make.len()
        };
        let known = |state, resend_id| Known { url_id: A, state, resend_id, ended_at: None };
        let (confirmed, retrying) = (known(DeliveryState::Confirmed, None), known(DeliveryState::Retrying, None));
        assert_eq!(step(StateFilter::Confirmed, &[confirmed]), 1);
        assert_eq!(step(StateFilter::Expired, &[confirmed]), 0);
        let before = Known { ended_at: Some(IdSource::made_at(1) * 1_000 - 1), ..confirmed };
        assert_eq!(step(StateFilter::Expired, &[before]), 1, "resent although it was confirmed, and not confirmed again");
        assert_eq!(step(StateFilter::Expired, &[Known { ended_at: Some(IdSource::made_at(1) * 1_000), ..confirmed }]), 0);
        assert_eq!(step(StateFilter::Retrying, &[retrying]), 1);
        assert_eq!(step(StateFilter::Confirmed, &[confirmed, retrying]), 0, "on its way");
        assert_eq!(step(StateFilter::Retrying, &[retrying, known(DeliveryState::Retrying, Some(3))]), 0, "somebody was faster");
        assert_eq!(step(StateFilter::Held, &[known(DeliveryState::Held, None)]), 0, "it is kept, and sent when it is released");
    }

    #[test]
    fn one_notification_goes_to_a_url_once_and_to_all_urls_where_that_is_wanted() {
        let filter = DeliveryFilter::default();
        let twice = [source(1, A), Source { id: 2, ..source(1, A) }];
        for (target, expected) in [(BulkTarget::Same, vec![(1, A)]), (BulkTarget::All, vec![(1, A), (1, B)])] {
            let (mut position, mut room) = (Position::default(), Room::new(&[], &[A, B], |_| false));
            let pass = Pass::List { after: 0 };
            let plan = position.step(pass, &looked(&twice, true), &rules(&filter, target), &mut room, &HashMap::new());
            assert_eq!(made(&plan), expected);
        }
    }

    #[test]
    fn a_url_that_takes_no_more_does_not_hold_up_the_others_and_gets_its_part_later() {
        let filter = DeliveryFilter::default();
        let rules = rules(&filter, BulkTarget::Same);
        let sources: Vec<_> = (1..=10).map(|id| source(id, if id % 2 == 0 { A } else { B })).collect();
        let after = |after: i64, until: i64| -> Vec<Source> {
            sources.iter().filter(|source| source.id > after && source.id < until).copied().collect()
        };
        let mut position = Position::default();
        // A takes one, then none.
        let mut room = Room::new(&[(A, ROOM - 1)], &[A, B], |_| false);
        let pass = position.next(&room).unwrap();
        let plan = position.step(pass, &looked(&after(0, 7), false), &rules, &mut room, &HashMap::new());
        assert_eq!(made(&plan), [(1, B), (2, A), (3, B), (5, B)]);
        assert_eq!((position.after, &position.behind), (6, &[(A.0, 3)].into()));
        // The list goes on without it.
        let pass = position.next(&room).unwrap();
        let plan = position.step(pass, &looked(&after(6, 100), true), &rules, &mut room, &HashMap::new());
        assert_eq!((made(&plan), position.is_done()), (vec![(7, B), (9, B)], false));
        assert_eq!(position.next(&room), None, "nothing that a URL would take");
        // There is room again, for two.
        let mut room = Room::new(&[(A, ROOM - 2)], &[A, B], |_| false);
        let pass = position.next(&room).unwrap();
        assert_eq!((pass, position.until(pass, 100)), (Pass::Behind { url_id: A, after: 3 }, 100));
        let plan = position.step(pass, &looked(&after(3, 100), true), &rules, &mut room, &HashMap::new());
        assert_eq!((made(&plan), &position.behind), (vec![(4, A), (6, A)], &[(A.0, 7)].into()));
        let mut room = Room::new(&[], &[A, B], |_| false);
        let pass = position.next(&room).unwrap();
        let plan = position.step(pass, &looked(&after(7, 100), true), &rules, &mut room, &HashMap::new());
        assert_eq!((made(&plan), position.is_done()), (vec![(8, A), (10, A)], true));
    }

    #[test]
    fn what_is_behind_catches_up_with_a_list_that_is_not_through() {
        let filter = DeliveryFilter::default();
        let rules = rules(&filter, BulkTarget::Same);
        let mut position = Position { after: 6, swept: false, behind: [(A.0, 3)].into() };
        let mut room = Room::new(&[], &[A, B], |_| false);
        let pass = position.next(&room).unwrap();
        assert_eq!(position.until(pass, 100), 7, "not further than the list");
        let plan = position.step(pass, &looked(&[source(4, A), source(6, A)], true), &rules, &mut room, &HashMap::new());
        assert_eq!((made(&plan), position.behind.len()), (vec![(4, A), (6, A)], 0));
        assert_eq!(position.next(&room), Some(Pass::List { after: 6 }));
    }

    #[test]
    fn a_step_ends_where_its_rows_end_or_where_it_had_enough() {
        let two = vec![source(3, A), source(5, A)];
        let enough = Looked::new(two.clone(), (9, Some(9)), 2, 10);
        assert_eq!((enough.to, enough.at_end), (5, false));
        let looked = Looked::new(two.clone(), (10, Some(40)), 3, 10);
        assert_eq!((looked.to, looked.at_end), (40, false), "nothing fits between, and there is more");
        let end = Looked::new(two, (7, Some(9)), 3, 10);
        assert_eq!((end.to, end.at_end), (9, true));
        assert!(Looked::new(Vec::new(), (0, None), 3, 10).at_end);
    }
}
