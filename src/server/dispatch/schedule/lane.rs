//! The lane of one URL: what waits for it in memory, what it knows of the table, and what may start now.

use super::{breaker::Breaker, order::Orders, pace::Pace};
use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{DeliveryId, MerchantId},
};
use crate::server::store::{Backlog, Job, NotificationUrl};
use std::collections::{HashSet, VecDeque};

/// Deliveries that one queue of a lane holds in memory at most.
pub const QUEUE_CAPACITY: usize = 10_000;
/// The same while only single requests go out: more would only lie about.
pub const PROBED_CAPACITY: usize = 16;
/// On their way, or back but not recorded: so many deliveries of one kind a lane knows before it reads no more of the table.
const KNOWN_CAPACITY: usize = 2_000;
/// Of four that start at least one was not asked for by a person.
const ASKED_IN_A_ROW: u32 = 3;
/// So many others start before one of a bulk resend does, while first tries wait, and while only further ones do.
const BEFORE_BULK: u32 = 7;
const AGAIN_BEFORE_BULK: u32 = 1;

/// One kind of a lane's work: first tries, or what is tried again.
#[derive(Default)]
pub struct Queue {
    /// Due now, in order.
    pub ready: VecDeque<Job>,
    /// When the first open delivery of this kind in the table that is not in memory is due.
    pub table: Option<Timestamp>,
    /// The table is being read for so many.
    pub loading: Option<usize>,
    /// What is being read is of the time before order within orders was switched on or off.
    pub is_stale: bool,
    /// In order within orders the table is read on from here: what lies before it waits for others of its order, or is known.
    pub read_to: Option<(Timestamp, DeliveryId)>,
    /// While it is read: what is due from then on is to be read again.
    rewound: Option<Timestamp>,
    /// So many that wait were passed since it was read from its beginning.
    pub passed: usize,
    /// When it is to be read from its beginning again.
    pub read_anew_at: Option<Timestamp>,
    /// Recorded while the table was read for this queue: what is read may be older than that. What is read later is not.
    pub recorded: HashSet<DeliveryId>,
    /// Open in the table, and not to be taken from it again: ready, asked about, on its way, or back but not recorded yet.
    pub known: HashSet<DeliveryId>,
    /// Where it stands among the wake-ups.
    pub wakeup: Option<Timestamp>,
}

impl Queue {
    /// The table holds something more, due from a moment on.
    pub fn promised(&mut self, due: Timestamp) {
        let place = (due, DeliveryId(i64::MIN));
        self.read_to = self.read_to.map(|read_to| read_to.min(place));
        if self.loading.is_some() {
            self.rewound = Some(self.rewound.map_or(due, |rewound| rewound.min(due)));
        }
    }

    /// Everything in the table is looked at again.
    pub fn rewind(&mut self) {
        self.promised(Timestamp(i64::MIN));
        (self.read_to, self.read_anew_at, self.passed) = (None, None, 0);
    }

    /// It is read from its beginning at a moment at the latest.
    pub fn read_anew(&mut self, at: Timestamp) {
        self.read_anew_at.get_or_insert(at);
    }

    /// It begins to be read, for so many.
    pub fn load(&mut self, batch: usize, now: Timestamp) {
        if self.read_anew_at.is_some_and(|at| at <= now) {
            self.rewind();
        }
        (self.loading, self.table, self.rewound) = (Some(batch), None, None);
    }

    /// It was read up to a place.
    pub fn loaded(&mut self, read_to: Option<(Timestamp, DeliveryId)>) {
        self.read_to = read_to.or(self.read_to);
        if let Some(due) = self.rewound.take() {
            self.promised(due);
        }
    }
}

/// Whether a lane may start something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    /// From then on, whatever happens until then.
    At(Timestamp),
    /// Not before something happens to the lane.
    Shut,
}

/// The lane of one URL.
#[derive(Default)]
pub struct Lane {
    pub merchant: Option<MerchantId>,
    /// Where requests go.
    address: String,
    concurrent: bool,
    max_in_flight: usize,
    pub in_order: bool,
    pub held: bool,
    /// The URL is gone; what is still on its way may end.
    pub removed: bool,
    /// A person asked for these again: they go first.
    asked: VecDeque<Job>,
    asked_in_a_row: u32,
    /// A person asked for these with very many others: they go behind first tries.
    bulk: VecDeque<Job>,
    since_bulk: u32,
    fresh: Queue,
    again: Queue,
    /// What is tried again is next, as far as the two take turns.
    again_is_next: bool,
    pub breaker: Breaker,
    pub pace: Pace,
    /// Announced while it was known. The table may hold it as open again when its result is recorded: it was on its way
    /// when its URL was put on hold, and has been released.
    pub announced: HashSet<DeliveryId>,
    /// Order within orders was switched on, and what was on its way before that is not recorded yet.
    pub draining: bool,
    /// The merchant's mark of the last list that was cancelled, as far as it was heeded.
    pub cancelled_before: Option<DeliveryId>,
    /// Of the settings of its URL.
    pub version: Option<i64>,
    pub in_flight: usize,
    /// What it knows of orders, where it keeps them in order.
    pub orders: Orders,
    /// Stands in its merchant's row of lanes that take turns.
    pub in_turn: bool,
    /// The moment it waits for among the timers.
    pub timer: Option<Timestamp>,
}

impl Lane {
    /// Takes over the settings of its URL.
    pub fn set(&mut self, url: &NotificationUrl) {
        self.merchant = Some(url.merchant_id);
        self.version = Some(url.version);
        if self.address != url.url {
            // What is known of one server says nothing of another.
            self.breaker = Breaker::default();
            self.address.clone_from(&url.url);
        }
        if self.held && !url.held {
            self.breaker.asked_for();
        }
        (self.concurrent, self.in_order, self.held, self.removed) = (url.concurrent, url.order_in_order, url.held, false);
        self.max_in_flight = usize::from(url.terms.max_in_flight.max(1));
        self.pace.set(url.terms.rate_per_second);
    }

    /// Whether it takes more than one request at a time.
    pub const fn is_wide(&self) -> bool {
        self.concurrent
    }

    /// Deliveries that wait in memory.
    pub fn waiting(&self) -> usize {
        self.asked.len() + self.bulk.len() + self.fresh.ready.len() + self.again.ready.len() + self.orders.waiting()
    }

    /// Requests at a time, as the URL is set to.
    pub const fn set_limit(&self) -> usize {
        if self.concurrent { self.max_in_flight } else { 1 }
    }

    pub const fn queue(&mut self, backlog: Backlog) -> &mut Queue {
        match backlog {
            Backlog::Fresh => &mut self.fresh,
            Backlog::Again => &mut self.again,
        }
    }

    pub const fn is_off(&self) -> bool {
        self.held || self.removed
    }

    /// What is on its way may be several of an order, so none may start, nor be kept in memory.
    pub const fn is_unsure(&self) -> bool {
        self.in_order && self.draining
    }

    /// How many deliveries a queue may hold.
    pub const fn capacity(&self) -> usize {
        if self.breaker.is_open() { PROBED_CAPACITY } else { QUEUE_CAPACITY }
    }

    fn has_ready(&self) -> bool {
        !(self.asked.is_empty() && self.bulk.is_empty() && self.fresh.ready.is_empty() && self.again.ready.is_empty())
    }

    /// Whether something may start.
    pub fn gate(&self, now: Timestamp) -> Gate {
        if self.is_off() || self.is_unsure() || !self.has_ready() || self.in_flight >= self.breaker.limit(self.set_limit()) {
            return Gate::Shut;
        }
        let ready_at = self.breaker.ready_at().max(self.pace.ready_at());
        if ready_at > now { Gate::At(ready_at) } else { Gate::Open }
    }

    /// When the table should be read for a queue: when something in it is due and there is room.
    pub fn wanted(&mut self, backlog: Backlog) -> Option<Timestamp> {
        let is_off = self.is_off() || self.is_unsure();
        let queue = self.queue(backlog);
        let has_room = queue.ready.is_empty() && queue.known.len() < KNOWN_CAPACITY;
        let wanted = queue.table.into_iter().chain(queue.read_anew_at).min();
        wanted.filter(|_| !is_off && has_room && queue.loading.is_none())
    }

    /// Whether a person asked for this delivery and it has not been tried. In order within an order nothing overtakes.
    const fn is_asked(&self, job: &Job) -> bool {
        matches!(job.origin, Origin::Resend) && job.attempts == 0 && !self.in_order
    }

    /// Whether a delivery is of a bulk resend and has not been tried. In order within an order nothing overtakes.
    const fn is_bulk(&self, job: &Job) -> bool {
        matches!(job.origin, Origin::Bulk) && job.attempts == 0 && !self.in_order
    }

    /// Whether there is room for a delivery that was just announced, and nothing due waits before it.
    pub fn takes(&mut self, job: &Job, now: Timestamp, room: usize) -> bool {
        let capacity = self.capacity().min(room);
        if self.is_unsure() {
            return false;
        }
        if self.is_asked(job) {
            return self.asked.len() < capacity;
        }
        if self.is_bulk(job) {
            return self.bulk.len() < capacity;
        }
        let backlog = Backlog::of(job);
        let asked_about = self.orders.waiting();
        let queue = self.queue(backlog);
        let is_behind = queue.loading.is_some() || queue.table.is_some_and(|due| due <= now);
        let is_due = backlog == Backlog::Fresh || job.due_at <= now;
        !is_behind && is_due && queue.ready.len() + asked_about < capacity
    }

    /// Keeps a delivery in memory.
    pub fn keep(&mut self, job: Job) {
        let (is_asked, is_bulk) = (self.is_asked(&job), self.is_bulk(&job));
        let queue = self.queue(Backlog::of(&job));
        queue.known.insert(job.delivery_id);
        match (is_asked, is_bulk) {
            (true, _) => self.asked.push_back(job),
            (_, true) => self.bulk.push_back(job),
            _ => queue.ready.push_back(job),
        }
    }

    /// The next delivery by the turns of the queues.
    pub fn pick(&mut self) -> Option<Job> {
        let others_wait = !(self.bulk.is_empty() && self.fresh.ready.is_empty() && self.again.ready.is_empty());
        if !self.asked.is_empty() && (self.asked_in_a_row < ASKED_IN_A_ROW || !others_wait) {
            self.asked_in_a_row += 1;
            return self.asked.pop_front();
        }
        self.asked_in_a_row = 0;
        let before_bulk = match (self.fresh.ready.is_empty(), self.again.ready.is_empty()) {
            (false, _) => BEFORE_BULK,
            (true, false) => AGAIN_BEFORE_BULK,
            (true, true) => 0,
        };
        if !self.bulk.is_empty() && self.since_bulk >= before_bulk {
            self.since_bulk = 0;
            return self.bulk.pop_front();
        }
        self.since_bulk = self.since_bulk.saturating_add(1);
        let again = if self.again_is_next { !self.again.ready.is_empty() } else { self.fresh.ready.is_empty() };
        self.again_is_next = !again;
        if again { self.again.ready.pop_front() } else { self.fresh.ready.pop_front() }
    }

    /// Leaves what waits to the table, but for the first so many of each queue; gives what it dropped.
    pub fn spill(&mut self, keep: usize) -> Vec<Job> {
        let mut dropped: Vec<Job> = Vec::new();
        let tail = |jobs: &mut VecDeque<Job>| jobs.split_off(keep.min(jobs.len()));
        dropped.extend(tail(&mut self.asked));
        dropped.extend(tail(&mut self.bulk));
        dropped.extend(tail(&mut self.fresh.ready));
        dropped.extend(tail(&mut self.again.ready));
        dropped.extend(self.orders.spill(keep == 0));
        for job in &dropped {
            let queue = self.queue(Backlog::of(job));
            queue.known.remove(&job.delivery_id);
            self.announced.remove(&job.delivery_id);
            let queue = self.queue(Backlog::of(job));
            queue.table = Some(queue.table.map_or(job.due_at, |table| table.min(job.due_at)));
            queue.promised(job.due_at);
        }
        dropped
    }

    /// First tries that came while the clock was ahead do not wait until it has caught up.
    pub fn fresh_is_due(&mut self, now: Timestamp) {
        self.fresh.table = self.fresh.table.map(|due| due.min(now));
    }

    /// The clock was set back: the table is looked at now, because what memory has noted of it, to be read again in a minute, was
    /// noted by the clock of then. What is not due in it stays there.
    pub fn set_back(&mut self, now: Timestamp) {
        self.breaker.set_back(now);
        self.pace.set_back(now);
        self.fresh_is_due(now);
        self.again.table = self.again.table.map(|due| due.min(now));
        for queue in [&mut self.fresh, &mut self.again] {
            queue.read_anew_at = queue.read_anew_at.map(|at| at.min(now));
        }
    }

    /// Whether a delivery is in memory or on its way.
    pub fn knows(&self, id: DeliveryId) -> bool {
        self.fresh.known.contains(&id) || self.again.known.contains(&id)
    }

    /// Whether nothing is in memory or on its way.
    pub fn knows_nothing(&self) -> bool {
        self.fresh.known.is_empty() && self.again.known.is_empty()
    }

    /// A delivery is neither in memory nor on its way any more. Whether it was announced meanwhile.
    pub fn forget(&mut self, id: DeliveryId) -> bool {
        for queue in [&mut self.fresh, &mut self.again] {
            queue.known.remove(&id);
            if queue.loading.is_some() {
                queue.recorded.insert(id);
            }
        }
        self.orders.recorded(id);
        self.announced.remove(&id)
    }

    /// Nothing is left of a URL that is gone.
    pub fn is_done(&self) -> bool {
        let is_idle = |queue: &Queue| queue.known.is_empty() && queue.loading.is_none() && queue.wakeup.is_none();
        self.removed && self.in_flight == 0 && !self.in_turn && is_idle(&self.fresh) && is_idle(&self.again)
    }
}

#[cfg(test)]
impl Lane {
    /// Reads of the table for it that are under way.
    pub fn loads(&self) -> usize {
        usize::from(self.fresh.loading.is_some()) + usize::from(self.again.loading.is_some())
    }

    /// It holds no more than it may, and nothing that it needs no longer.
    pub fn assert_bounded(&self, id: crate::domain::id::UrlId) {
        for queue in [&self.fresh, &self.again] {
            assert!(queue.loading.is_some() || queue.recorded.is_empty(), "{id}: records are remembered without need");
            // What came while the table was read comes on top.
            assert!(queue.ready.len() <= KNOWN_CAPACITY + QUEUE_CAPACITY, "{id}: {} ready", queue.ready.len());
            assert!(queue.known.len() <= KNOWN_CAPACITY + QUEUE_CAPACITY + self.in_flight, "{id}: {} known", queue.known.len());
        }
        assert!(self.asked.len() <= QUEUE_CAPACITY);
        self.orders.assert_bounded();
        assert!(self.announced.iter().all(|known| self.knows(*known)), "{id}: announcements are remembered without need");
        assert!(self.waiting() <= self.fresh.known.len() + self.again.known.len(), "{id}: what waits is known");
    }
}
