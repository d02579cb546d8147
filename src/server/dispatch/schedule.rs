//! Which delivery goes next. Pure: no clock, no network, no store; the dispatcher tells it what happened and asks.
//!
//! Each URL has a lane. A lane holds in memory what is due now, up to a limit; the rest of its work, and everything
//! due later, stays in the table, of which the lane only knows when the first of it is due. Lanes take turns, so a URL
//! with a million deliveries waiting does not delay one with a single one.

use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{DeliveryId, OrderId, UrlId},
};
use crate::server::store::{Directory, Job, Next};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// Attempts at a time over all URLs.
pub const MAX_IN_FLIGHT: usize = 1_000;
/// Attempts at a time to one URL that allows concurrent requests.
const MAX_CONCURRENT: usize = 64;
/// Deliveries that one lane holds in memory.
const LANE_CAPACITY: usize = 2_000;
/// Deliveries that all lanes together hold in memory.
const CAPACITY: usize = 50_000;
/// Bodies that are kept beside them so that they need not be read again, in bytes.
const BODY_CAPACITY: usize = 32 << 20;

#[derive(Default)]
struct Lane {
    concurrent: bool,
    in_order: bool,
    held: bool,
    /// The URL is gone; what is still on its way may end.
    removed: bool,
    /// Due now, in order.
    ready: VecDeque<Job>,
    /// When the first open delivery in the table that is not in memory is due.
    table: Option<Timestamp>,
    /// The table is being read.
    loading: bool,
    /// Recorded meanwhile: what is read may be older than that.
    recorded: HashSet<DeliveryId>,
    /// What later deliveries of an order wait for is being read.
    restoring: bool,
    /// Finished meanwhile.
    finished: HashSet<DeliveryId>,
    in_flight: usize,
    /// Ready, parked, on their way, or back but not recorded yet: open in the table, and not to be taken from it again.
    known: HashSet<DeliveryId>,
    /// In order within an order: the unfinished delivery that later ones of its order wait for.
    active: HashMap<OrderId, DeliveryId>,
    /// Those that wait.
    parked: HashMap<OrderId, VecDeque<Job>>,
    /// Stands in the row of lanes that take turns.
    in_turn: bool,
    /// Where it stands among the wake-ups.
    wakeup: Option<Timestamp>,
}

impl Lane {
    fn limit(&self) -> usize {
        if self.concurrent { MAX_CONCURRENT } else { 1 }
    }

    fn can_start(&self) -> bool {
        let knows_order = !(self.in_order && self.restoring);
        !self.held && !self.removed && knows_order && !self.ready.is_empty() && self.in_flight < self.limit()
    }

    /// Whether the table is worth reading once something in it is due.
    fn wants_table(&self) -> bool {
        // What waits for an earlier one of its order counts: a dead URL must not gather everything in memory.
        !self.held && !self.removed && !self.loading && self.ready.is_empty() && self.known.len() < LANE_CAPACITY
    }
}

/// All lanes.
#[derive(Default)]
pub struct Lanes {
    lanes: HashMap<UrlId, Lane>,
    turn: VecDeque<UrlId>,
    /// Lanes that want the table, by the time the first of it is due.
    wakeups: BTreeSet<(Timestamp, UrlId)>,
    /// Somebody waits for these; they go before all others.
    express: VecDeque<Job>,
    in_memory: usize,
    body_bytes: usize,
    in_flight: usize,
}

impl Lanes {
    /// Takes over the settings of the URLs. Gives the URLs whose order within an order has to be restored from the
    /// table: those whose setting was just switched on.
    pub fn configure(&mut self, directory: &Directory) -> Vec<UrlId> {
        let mut to_restore = Vec::new();
        for url in directory.urls() {
            let lane = self.lanes.entry(url.id).or_default();
            if url.order_in_order && !lane.in_order {
                lane.restoring = true;
                to_restore.push(url.id);
            }
            if lane.held && !url.held {
                // Whatever was announced while it was on hold was left to the table.
                lane.table = Some(Timestamp::default());
            }
            (lane.concurrent, lane.in_order, lane.held, lane.removed) = (url.concurrent, url.order_in_order, url.held, false);
        }
        let ids: Vec<UrlId> = self.lanes.keys().copied().collect();
        for id in ids {
            let gone = directory.url(id).is_none();
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            lane.removed = gone;
            if lane.held || gone {
                // The sweep moves them in the table; released ones are announced again.
                let dropped: Vec<Job> = lane.ready.drain(..).chain(lane.parked.drain().flat_map(|(_, parked)| parked)).collect();
                lane.table = None;
                for job in &dropped {
                    lane.known.remove(&job.delivery_id);
                }
                for job in dropped {
                    self.forget(&job);
                }
            }
            self.refresh(id);
        }
        to_restore
    }

    /// Restores what later deliveries of an order wait for: unfinished deliveries with an attempt behind them.
    pub fn restore_order(&mut self, url_id: UrlId, unfinished: Vec<(OrderId, DeliveryId)>) {
        let lane = self.lanes.entry(url_id).or_default();
        lane.restoring = false;
        let finished = std::mem::take(&mut lane.finished);
        for (order, delivery) in unfinished.into_iter().filter(|(_, delivery)| !finished.contains(delivery)) {
            let first = lane.active.entry(order).or_insert(delivery);
            *first = (*first).min(delivery);
        }
        self.refresh(url_id);
    }

    /// An open delivery was committed. It goes to memory where there is room and nothing due waits before it.
    pub fn push(&mut self, job: Job, now: Timestamp) {
        if job.origin == Origin::Debug {
            return self.hurry(job);
        }
        let lane = self.lanes.entry(job.url_id).or_default();
        if lane.held || lane.removed {
            return;
        }
        // It may have been read from the table a moment before it was announced.
        if lane.known.contains(&job.delivery_id) {
            return;
        }
        let url_id = job.url_id;
        let behind = lane.loading || lane.table.is_some_and(|due| due <= now);
        if behind || job.due_at > now || lane.ready.len() >= LANE_CAPACITY || self.in_memory >= CAPACITY {
            return self.promise(url_id, job.due_at);
        }
        self.keep(job);
        self.refresh(url_id);
    }

    /// Somebody waits for it: it goes beside the lane, and is not to be taken from the table again.
    fn hurry(&mut self, job: Job) {
        if self.lane(job.url_id).known.insert(job.delivery_id) {
            self.express.push_back(job);
        }
    }

    /// The table holds something of a URL that is due at a moment.
    pub fn promise(&mut self, url_id: UrlId, due: Timestamp) {
        let lane = self.lane(url_id);
        lane.table = Some(lane.table.map_or(due, |table| table.min(due)));
        self.refresh(url_id);
    }

    /// The next delivery to attempt, if any may start.
    #[expect(clippy::should_implement_trait, reason = "lanes do not end: after none there may be some")]
    pub fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.express.pop_front() {
            self.in_flight += 1;
            return Some(job);
        }
        if self.in_flight >= MAX_IN_FLIGHT {
            return None;
        }
        while let Some(url_id) = self.turn.pop_front() {
            self.lane(url_id).in_turn = false;
            let job = self.start(url_id);
            self.refresh(url_id);
            if let Some(job) = job {
                return Some(job);
            }
        }
        None
    }

    fn start(&mut self, url_id: UrlId) -> Option<Job> {
        loop {
            let lane = self.lane(url_id);
            if !lane.can_start() {
                return None;
            }
            let job = lane.ready.pop_front()?;
            if lane.in_order {
                let first = *lane.active.entry(job.order_id).or_insert(job.delivery_id);
                if first != job.delivery_id {
                    lane.parked.entry(job.order_id).or_default().push_back(job);
                    continue;
                }
            }
            lane.in_flight += 1;
            self.in_flight += 1;
            self.forget(&job);
            return Some(job);
        }
    }

    /// An attempt has ended; its place is free, its result not recorded yet.
    pub fn finished(&mut self, url_id: UrlId, origin: Origin) {
        self.in_flight -= 1;
        if origin != Origin::Debug {
            let lane = self.lane(url_id);
            lane.in_flight -= 1;
            self.refresh(url_id);
        }
    }

    /// The result of an attempt is in the store.
    pub fn recorded(&mut self, url_id: UrlId, order_id: OrderId, delivery_id: DeliveryId, next: Next) {
        let lane = self.lane(url_id);
        lane.known.remove(&delivery_id);
        if lane.loading {
            lane.recorded.insert(delivery_id);
        }
        if lane.restoring && !matches!(next, Next::Retry(_)) {
            lane.finished.insert(delivery_id);
        }
        match next {
            Next::Retry(due) => self.promise(url_id, due),
            Next::Confirmed | Next::Expired | Next::Closed => {
                if lane.active.get(&order_id) == Some(&delivery_id) {
                    lane.active.remove(&order_id);
                    // The next of the order goes to the head of the lane: it has waited longest.
                    let waiting = lane.parked.get_mut(&order_id).and_then(VecDeque::pop_front);
                    if let Some(job) = waiting {
                        lane.ready.push_front(job);
                    }
                    if lane.parked.get(&order_id).is_some_and(VecDeque::is_empty) {
                        lane.parked.remove(&order_id);
                    }
                }
                self.refresh(url_id);
            }
        }
    }

    /// Lanes whose table should be read now, with the number of their open deliveries that are known already and will
    /// be read again.
    pub fn to_load(&mut self, now: Timestamp) -> Vec<(UrlId, usize)> {
        let due: Vec<UrlId> = self.wakeups.iter().take_while(|(due, _)| *due <= now).map(|(_, url)| *url).collect();
        due.into_iter()
            .map(|url_id| {
                let lane = self.lane(url_id);
                lane.loading = true;
                let known = lane.known.len();
                self.set_table(url_id, None);
                (url_id, known)
            })
            .collect()
    }

    /// What was read from the table; `rest` is when the first of what was not read is due.
    pub fn loaded(&mut self, url_id: UrlId, jobs: Vec<Job>, rest: Option<Timestamp>) {
        self.lane(url_id).loading = false;
        let recorded = std::mem::take(&mut self.lane(url_id).recorded);
        for job in jobs {
            let lane = self.lane(url_id);
            let is_news = !lane.known.contains(&job.delivery_id) && !recorded.contains(&job.delivery_id);
            if !lane.held && !lane.removed && is_news {
                if job.origin == Origin::Debug { self.hurry(job) } else { self.keep(job) }
            }
        }
        match rest {
            Some(due) => self.promise(url_id, due),
            None => self.refresh(url_id),
        }
    }

    /// When the table should be read next.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.wakeups.first().map(|(due, _)| *due)
    }

    /// Attempts on their way.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn lane(&mut self, url_id: UrlId) -> &mut Lane {
        self.lanes.entry(url_id).or_default()
    }

    fn keep(&mut self, mut job: Job) {
        self.in_memory += 1;
        let size = job.body.as_ref().map_or(0, bytes::Bytes::len);
        if self.body_bytes + size > BODY_CAPACITY {
            job.body = None;
        } else {
            self.body_bytes += size;
        }
        let lane = self.lane(job.url_id);
        lane.known.insert(job.delivery_id);
        lane.ready.push_back(job);
    }

    fn forget(&mut self, job: &Job) {
        self.in_memory -= 1;
        self.body_bytes -= job.body.as_ref().map_or(0, bytes::Bytes::len);
    }

    fn set_table(&mut self, url_id: UrlId, table: Option<Timestamp>) {
        self.lane(url_id).table = table;
        self.refresh(url_id);
    }

    /// Brings the row of turns and the wake-ups in line with a lane.
    fn refresh(&mut self, url_id: UrlId) {
        let Some(lane) = self.lanes.get_mut(&url_id) else { return };
        if lane.can_start() && !lane.in_turn {
            lane.in_turn = true;
            self.turn.push_back(url_id);
        }
        let wanted = lane.table.filter(|_| lane.wants_table());
        if lane.wakeup != wanted {
            if let Some(old) = lane.wakeup {
                self.wakeups.remove(&(old, url_id));
            }
            self.wakeups.extend(wanted.map(|due| (due, url_id)));
            lane.wakeup = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Algorithms,
        id::{MerchantId, NotificationId},
    };
    use crate::server::store::NotificationUrl;
    use proptest::prelude::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    const LATER: Timestamp = Timestamp::from_seconds(1_150);

    fn url(id: i64) -> NotificationUrl {
        NotificationUrl {
            id: UrlId(id),
            merchant_id: MerchantId(1),
            label: String::new(),
            url: String::new(),
            is_default: false,
            algorithms: Algorithms::MD5,
            concurrent: false,
            order_in_order: false,
            held: false,
        }
    }

    fn directory(urls: Vec<NotificationUrl>) -> Directory {
        Directory::new(1, Vec::new(), Vec::new(), urls)
    }

    fn job(url: i64, order: i64, id: i64) -> Job {
        Job {
            delivery_id: DeliveryId(id),
            notification_id: NotificationId(id),
            order_id: OrderId(order),
            merchant_id: MerchantId(1),
            url_id: UrlId(url),
            origin: Origin::Arrival,
            attempts: 0,
            window_from: None,
            due_at: NOW,
            body: None,
        }
    }

    fn next(lanes: &mut Lanes) -> Option<i64> {
        lanes.next().map(|job| job.delivery_id.0)
    }

    fn end(lanes: &mut Lanes, url: i64, order: i64, id: i64, outcome: Next) {
        lanes.finished(UrlId(url), Origin::Arrival);
        lanes.recorded(UrlId(url), OrderId(order), DeliveryId(id), outcome);
    }

    #[test]
    fn one_at_a_time_unless_concurrent_requests_are_allowed() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1), NotificationUrl { concurrent: true, ..url(2) }]));
        for id in 1..=3 {
            lanes.push(job(1, id, id), NOW);
            lanes.push(job(2, id, 10 + id), NOW);
        }
        let started: Vec<_> = std::iter::from_fn(|| next(&mut lanes)).collect();
        assert_eq!(started, [1, 11, 12, 13]);
        end(&mut lanes, 1, 1, 1, Next::Confirmed);
        assert_eq!(next(&mut lanes), Some(2));
        assert_eq!(next(&mut lanes), None);
    }

    #[test]
    fn a_resend_for_debug_goes_beside_its_lane_and_leaves_no_trace_in_it() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        let debug = |id| Job { origin: Origin::Debug, ..job(1, 1, id) };
        lanes.push(job(1, 1, 1), NOW);
        lanes.push(debug(2), NOW);
        assert_eq!((next(&mut lanes), next(&mut lanes)), (Some(2), Some(1)));
        // The table is read while it is under way; and after a restart it comes from there.
        lanes.promise(UrlId(1), NOW);
        assert_eq!(lanes.to_load(NOW).len(), 1);
        lanes.loaded(UrlId(1), vec![job(1, 1, 1), debug(2), debug(3)], None);
        assert_eq!(next(&mut lanes), Some(3), "not the second one again");
        for id in [2, 3] {
            lanes.finished(UrlId(1), Origin::Debug);
            lanes.recorded(UrlId(1), OrderId(1), DeliveryId(id), Next::Closed);
        }
        lanes.push(job(1, 2, 4), NOW);
        assert_eq!(next(&mut lanes), None, "the first is still on its way");
        end(&mut lanes, 1, 1, 1, Next::Confirmed);
        assert_eq!(next(&mut lanes), Some(4));
    }

    #[test]
    fn a_released_url_reads_the_table() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![NotificationUrl { held: true, ..url(1) }]));
        lanes.push(job(1, 1, 1), NOW);
        assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
        lanes.configure(&directory(vec![url(1)]));
        assert_eq!(lanes.to_load(NOW), [(UrlId(1), 0)]);
        lanes.loaded(UrlId(1), vec![job(1, 1, 1)], None);
        assert_eq!(next(&mut lanes), Some(1));
    }

    #[test]
    fn nothing_starts_in_order_before_the_order_is_known() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.configure(&directory(vec![NotificationUrl { order_in_order: true, ..url(1) }])), [UrlId(1)]);
        lanes.push(job(1, 1, 2), NOW);
        assert_eq!(next(&mut lanes), None);
        lanes.restore_order(UrlId(1), vec![(OrderId(1), DeliveryId(1))]);
        assert_eq!(next(&mut lanes), None, "an earlier one of its order is not confirmed");
        lanes.push(job(1, 2, 3), NOW);
        assert_eq!(next(&mut lanes), Some(3), "another order goes on");
    }

    #[test]
    fn lanes_take_turns() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory((1..=3).map(|id| NotificationUrl { concurrent: true, ..url(id) }).collect()));
        for id in 0..30 {
            lanes.push(job(1, id, id), NOW);
        }
        lanes.push(job(2, 1, 100), NOW);
        lanes.push(job(3, 1, 200), NOW);
        let first: Vec<_> = (0..4).filter_map(|_| next(&mut lanes)).collect();
        assert_eq!(first, [0, 100, 200, 1]);
    }

    #[test]
    fn a_retry_waits_in_the_table_until_it_is_due() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        lanes.push(job(1, 1, 1), NOW);
        assert_eq!(next(&mut lanes), Some(1));
        end(&mut lanes, 1, 1, 1, Next::Retry(LATER));
        assert_eq!(lanes.wake_at(), Some(LATER));
        assert!(lanes.to_load(NOW).is_empty());
        assert_eq!(lanes.to_load(LATER), [(UrlId(1), 0)]);
        assert!(lanes.to_load(LATER).is_empty(), "it is being read");
        // What arrives meanwhile stays in the table too, and is read after it.
        lanes.push(job(1, 2, 2), LATER);
        assert_eq!(next(&mut lanes), None);
        lanes.loaded(UrlId(1), vec![job(1, 1, 1)], None);
        assert_eq!(next(&mut lanes), Some(1));
        assert_eq!(lanes.to_load(LATER), [(UrlId(1), 1)]);
        lanes.loaded(UrlId(1), vec![job(1, 1, 1), job(1, 2, 2)], None);
        end(&mut lanes, 1, 1, 1, Next::Confirmed);
        assert_eq!(next(&mut lanes), Some(2), "what is known is not taken twice");
        assert_eq!(next(&mut lanes), None);
    }

    #[test]
    fn a_result_that_is_not_recorded_yet_is_not_taken_from_the_table_again() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        lanes.push(job(1, 1, 1), NOW);
        next(&mut lanes);
        lanes.finished(UrlId(1), Origin::Arrival);
        lanes.promise(UrlId(1), NOW);
        assert_eq!(lanes.to_load(NOW), [(UrlId(1), 1)]);
        lanes.loaded(UrlId(1), vec![job(1, 1, 1)], None);
        assert_eq!(next(&mut lanes), None);
        lanes.recorded(UrlId(1), OrderId(1), DeliveryId(1), Next::Confirmed);
        assert_eq!(next(&mut lanes), None);
    }

    #[test]
    fn a_result_that_was_recorded_while_the_table_was_read_is_not_taken_from_it_again() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![NotificationUrl { concurrent: true, ..url(1) }]));
        for id in 1..=2 {
            lanes.push(job(1, id, id), NOW);
            assert_eq!(next(&mut lanes), Some(id));
        }
        lanes.promise(UrlId(1), NOW);
        assert_eq!(lanes.to_load(NOW), [(UrlId(1), 2)]);
        // It was read before this came to the table, and is heard of after.
        end(&mut lanes, 1, 1, 1, Next::Confirmed);
        end(&mut lanes, 1, 2, 2, Next::Retry(LATER));
        lanes.loaded(UrlId(1), vec![job(1, 1, 1), job(1, 2, 2), job(1, 3, 3)], None);
        assert_eq!([next(&mut lanes), next(&mut lanes)], [Some(3), None]);
        assert_eq!(lanes.to_load(LATER), [(UrlId(1), 1)]);
        lanes.loaded(UrlId(1), vec![job(1, 2, 2)], None);
        assert_eq!(next(&mut lanes), Some(2), "its next attempt");
    }

    #[test]
    fn nothing_waits_for_what_was_finished_while_it_was_looked_up() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        lanes.push(job(1, 7, 1), NOW);
        assert_eq!(next(&mut lanes), Some(1));
        assert_eq!(lanes.configure(&directory(vec![NotificationUrl { order_in_order: true, ..url(1) }])), [UrlId(1)]);
        end(&mut lanes, 1, 7, 1, Next::Confirmed);
        lanes.restore_order(UrlId(1), vec![(OrderId(7), DeliveryId(1))]);
        lanes.push(job(1, 7, 2), NOW);
        assert_eq!(next(&mut lanes), Some(2));
    }

    #[test]
    fn within_an_order_the_later_waits_for_the_earlier() {
        let mut lanes = Lanes::default();
        let in_order = NotificationUrl { concurrent: true, order_in_order: true, ..url(1) };
        assert_eq!(lanes.configure(&directory(vec![in_order])), [UrlId(1)]);
        lanes.restore_order(UrlId(1), vec![(OrderId(9), DeliveryId(90))]);
        for (order, id) in [(7, 1), (7, 2), (8, 3), (9, 4)] {
            lanes.push(job(1, order, id), NOW);
        }
        let started: Vec<_> = std::iter::from_fn(|| next(&mut lanes)).collect();
        assert_eq!(started, [1, 3], "2 waits for 1, 4 for one that a restart left behind");
        end(&mut lanes, 1, 7, 1, Next::Retry(LATER));
        assert_eq!(next(&mut lanes), None, "still unfinished");
        lanes.to_load(LATER);
        lanes.loaded(UrlId(1), vec![job(1, 7, 1), job(1, 9, 90)], None);
        assert_eq!([next(&mut lanes), next(&mut lanes)], [Some(1), Some(90)]);
        end(&mut lanes, 1, 7, 1, Next::Confirmed);
        end(&mut lanes, 1, 9, 90, Next::Expired);
        assert_eq!([next(&mut lanes), next(&mut lanes), next(&mut lanes)], [Some(4), Some(2), None]);
    }

    #[test]
    fn a_url_on_hold_starts_nothing_and_a_released_one_goes_on() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        lanes.push(job(1, 1, 1), NOW);
        lanes.push(job(1, 2, 2), NOW);
        assert_eq!(next(&mut lanes), Some(1));
        lanes.configure(&directory(vec![NotificationUrl { held: true, ..url(1) }]));
        end(&mut lanes, 1, 1, 1, Next::Retry(LATER));
        lanes.push(job(1, 3, 3), NOW);
        assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
        assert_eq!(lanes.in_memory, 0);
        lanes.configure(&directory(vec![url(1)]));
        lanes.push(job(1, 2, 2), NOW);
        assert_eq!(next(&mut lanes), None, "the table may hold what is due before it");
        assert_eq!(lanes.to_load(NOW), [(UrlId(1), 0)]);
        lanes.loaded(UrlId(1), vec![job(1, 2, 2), job(1, 3, 3)], Some(LATER));
        assert_eq!(next(&mut lanes), Some(2));
    }

    #[test]
    fn debug_goes_at_once_and_beside_everything() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![NotificationUrl { held: true, ..url(1) }]));
        lanes.push(Job { origin: Origin::Debug, ..job(1, 1, 1) }, NOW);
        assert_eq!(next(&mut lanes), Some(1));
        lanes.finished(UrlId(1), Origin::Debug);
        assert_eq!(lanes.in_flight(), 0);
    }

    #[test]
    fn a_backlog_spills_into_the_table() {
        let mut lanes = Lanes::default();
        lanes.configure(&directory(vec![url(1)]));
        for id in 0..(LANE_CAPACITY as i64 + 500) {
            lanes.push(job(1, id, id), NOW);
        }
        assert_eq!(lanes.in_memory, LANE_CAPACITY);
        assert_eq!(lanes.wake_at(), None, "not before memory has run empty");
        for id in 0..LANE_CAPACITY as i64 {
            assert_eq!(next(&mut lanes), Some(id));
            end(&mut lanes, 1, id, id, Next::Confirmed);
        }
        assert_eq!(lanes.to_load(NOW), [(UrlId(1), 0)]);
    }

    proptest! {
        /// Against a table played by a plain list: everything is delivered, nothing twice at a time, and the counts
        /// come out even.
        #[test]
        fn everything_is_delivered_exactly_once_at_a_time(
            steps in proptest::collection::vec((0u8..5, 0i64..4, 0i64..3), 1..300), in_order in any::<bool>(), concurrent in any::<bool>(),
        ) {
            let mut lanes = Lanes::default();
            let urls = (0..4).map(|id| NotificationUrl { concurrent, order_in_order: in_order, ..url(id) }).collect();
            for url_id in lanes.configure(&directory(urls)) {
                lanes.restore_order(url_id, Vec::new());
            }
            let mut table: Vec<Job> = Vec::new();
            let mut flying: Vec<Job> = Vec::new();
            let mut now = NOW;
            let mut id = 0;
            let settle = |lanes: &mut Lanes, table: &mut Vec<Job>, done: Job, outcome: Next| {
                lanes.finished(done.url_id, Origin::Arrival);
                match outcome {
                    Next::Retry(due) => table.iter_mut().filter(|job| job.delivery_id == done.delivery_id).for_each(|job| job.due_at = due),
                    _ => table.retain(|job| job.delivery_id != done.delivery_id),
                }
                lanes.recorded(done.url_id, done.order_id, done.delivery_id, outcome);
            };
            let load = |lanes: &mut Lanes, table: &[Job], now: Timestamp| {
                for (url_id, _) in lanes.to_load(now) {
                    let due = table.iter().filter(|job| job.url_id == url_id && job.due_at <= now).cloned().collect();
                    let rest = table.iter().filter(|job| job.url_id == url_id && job.due_at > now).map(|job| job.due_at).min();
                    lanes.loaded(url_id, due, rest);
                }
            };
            for (step, url, order) in steps {
                match step {
                    0 | 1 => {
                        id += 1;
                        let new = Job { due_at: now, ..job(url, order, id) };
                        table.push(new.clone());
                        lanes.push(new, now);
                    }
                    2 if !flying.is_empty() => settle(&mut lanes, &mut table, flying.remove(0), Next::Confirmed),
                    3 if !flying.is_empty() => {
                        let retry = Next::Retry(now.plus(Duration::from_secs(5)));
                        settle(&mut lanes, &mut table, flying.remove(0), retry);
                    }
                    _ => now = now.plus(Duration::from_secs(3)),
                }
                load(&mut lanes, &table, now);
                while let Some(started) = lanes.next() {
                    prop_assert!(flying.iter().all(|job| job.delivery_id != started.delivery_id), "twice at a time");
                    if !concurrent {
                        prop_assert!(flying.iter().all(|job| job.url_id != started.url_id), "one at a time");
                    }
                    if in_order {
                        let same = |job: &&Job| job.url_id == started.url_id && job.order_id == started.order_id;
                        prop_assert!(flying.iter().filter(same).count() == 0);
                        let earlier = table.iter().filter(same).any(|job| job.delivery_id < started.delivery_id);
                        prop_assert!(!earlier, "an earlier one of the order is unfinished");
                    }
                    flying.push(started);
                }
            }
            let mut rounds = 0;
            while !table.is_empty() {
                rounds += 1;
                prop_assert!(rounds < 2_000, "stuck with {table:?}");
                now = now.plus(Duration::from_secs(10));
                load(&mut lanes, &table, now);
                flying.extend(std::iter::from_fn(|| lanes.next()));
                for done in std::mem::take(&mut flying) {
                    settle(&mut lanes, &mut table, done, Next::Confirmed);
                }
            }
            prop_assert_eq!((lanes.in_memory, lanes.in_flight(), lanes.body_bytes), (0, 0, 0));
        }
    }
}
