//! Order within orders: of an order's deliveries to a URL only the first unfinished one may start. The table says which
//! that is, not the memory: other nodes change it too, and there may be more of them than memory holds.
//!
//! So what comes for such a URL is asked about before it may start, many at a time; what has to wait is forgotten, and lies in
//! the table. When a delivery ends, the table is asked which of its order is next. What ends unheard of (on another
//! node, or by a cancelled resend) is found because the table is read from its beginning now and then.

use super::{
    Lanes,
    lane::{Gate, Lane},
    table::REFILL,
};
use crate::domain::{
    Timestamp,
    id::{DeliveryId, OrderId, UrlId},
};
use crate::server::store::{Backlog, First, Job};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

/// Lanes that ask at the same time.
pub(super) const MAX_QUESTIONS: usize = 16;
/// Where something waits for another of its order, the table is read from its beginning again after so long.
pub(super) const READ_ANEW: Duration = Duration::from_secs(60);

/// A wish to know which unfinished delivery of each order is the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub url_id: UrlId,
    /// Tells it from earlier ones of the URL, whose answers nobody waits for any more.
    pub number: u64,
    pub orders: Vec<OrderId>,
}

/// What is being asked.
struct Asking {
    number: u64,
    /// What came, in order.
    jobs: Vec<Job>,
    /// Recorded since: the answer may be older than that.
    recorded: HashSet<DeliveryId>,
}

/// What a lane knows of orders.
#[derive(Default)]
pub struct Orders {
    /// What came and is to be asked about.
    came: Vec<Job>,
    /// Orders of which another may be next.
    moved_on: BTreeSet<OrderId>,
    asking: Option<Asking>,
    asked: u64,
    /// The delivery of each order that is on its way or not recorded yet, and whether another would have started.
    on_way: HashMap<OrderId, (DeliveryId, bool)>,
    /// Something has waited for another of its order, so the end of a delivery is worth a question.
    others_wait: bool,
    /// Stands among the lanes that want to ask.
    pub queued: bool,
}

impl Orders {
    /// Deliveries in memory of which it is not known yet whether they may start.
    pub fn waiting(&self) -> usize {
        self.came.len() + self.asking.as_ref().map_or(0, |asking| asking.jobs.len())
    }

    pub fn came(&mut self, job: Job) {
        self.came.push(job);
    }

    /// Another delivery of an order may be next.
    pub fn moved_on(&mut self, order_id: OrderId) {
        self.moved_on.insert(order_id);
    }

    /// A delivery has to wait for another of its order. Where that was recorded while the table was read, it is asked again.
    pub fn waits(&mut self, order_id: OrderId, is_old: bool) {
        self.others_wait = true;
        if is_old {
            self.moved_on(order_id);
        }
    }

    /// Whether a delivery may start as far as others of its order that are on their way are concerned.
    pub fn start(&mut self, job: &Job) -> bool {
        let first = self.on_way.entry(job.order_id).or_insert((job.delivery_id, false));
        first.1 |= first.0 != job.delivery_id;
        first.0 == job.delivery_id
    }

    /// A delivery is not on its way any more.
    pub fn ended(&mut self, order_id: OrderId, delivery_id: DeliveryId, is_final: bool) {
        let mut is_wanted = is_final && self.others_wait;
        if self.on_way.get(&order_id).is_some_and(|(known, _)| *known == delivery_id) {
            is_wanted |= self.on_way.remove(&order_id).is_some_and(|(_, wanted)| wanted);
        }
        if is_wanted {
            self.moved_on(order_id);
        }
    }

    /// A delivery was recorded, or put back.
    pub fn recorded(&mut self, id: DeliveryId) {
        if let Some(asking) = &mut self.asking {
            asking.recorded.insert(id);
        }
    }

    pub fn wants_to_ask(&self) -> bool {
        self.asking.is_none() && !(self.came.is_empty() && self.moved_on.is_empty())
    }

    fn ask(&mut self) -> Option<(u64, Vec<OrderId>)> {
        if !self.wants_to_ask() {
            return None;
        }
        let jobs: Vec<Job> = self.came.drain(..self.came.len().min(REFILL)).collect();
        let mut orders: BTreeSet<OrderId> = jobs.iter().map(|job| job.order_id).collect();
        while orders.len() < REFILL
            && let Some(order) = self.moved_on.pop_first()
        {
            orders.insert(order);
        }
        self.asked += 1;
        self.asking = Some(Asking { number: self.asked, jobs, recorded: HashSet::new() });
        Some((self.asked, orders.into_iter().collect()))
    }

    /// What was being asked, where this is the answer that is waited for.
    fn answered(&mut self, number: u64) -> Option<Asking> {
        self.asking.take_if(|asking| asking.number == number)
    }

    /// Orders are not kept in order any more.
    pub fn forget(&mut self) {
        self.on_way.clear();
        self.others_wait = false;
    }

    /// Leaves to the table what is still to be asked about; gives what it dropped. What is being asked only where all is left.
    pub fn spill(&mut self, all: bool) -> Vec<Job> {
        let mut dropped = std::mem::take(&mut self.came);
        if all {
            self.moved_on.clear();
            dropped.extend(self.asking.take().into_iter().flat_map(|asking| asking.jobs));
        }
        dropped
    }

    #[cfg(test)]
    pub fn assert_bounded(&self) {
        assert!(self.waiting() <= super::lane::QUEUE_CAPACITY, "{} are asked about", self.waiting());
    }
}

impl Lanes {
    /// What the table should be asked now.
    pub fn to_ask(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        while self.questions < MAX_QUESTIONS
            && let Some(url_id) = self.askers.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&url_id) else { continue };
            lane.orders.queued = false;
            if lane.may_ask()
                && let Some((number, orders)) = lane.orders.ask()
            {
                self.questions += 1;
                questions.push(Question { url_id, number, orders });
            }
        }
        questions
    }

    /// The first unfinished delivery of each order that was asked about.
    pub fn answered(&mut self, url_id: UrlId, number: u64, firsts: Vec<First>) {
        self.questions -= 1;
        // The URL may be gone meanwhile, or its settings changed.
        let asking = self.lanes.get_mut(&url_id).and_then(|lane| lane.orders.answered(number));
        let Some(Asking { jobs, recorded, .. }) = asking else { return };
        let by_order: HashMap<OrderId, DeliveryId> = firsts.iter().map(|first| (first.order_id, first.delivery_id)).collect();
        for job in jobs {
            let first = by_order.get(&job.order_id);
            let is_old = first.is_some_and(|first| recorded.contains(first));
            if first == Some(&job.delivery_id) && !is_old {
                self.lane(url_id).queue(Backlog::of(&job)).ready.push_back(job);
                continue;
            }
            self.lose(&job);
            let read_anew = self.now.plus(READ_ANEW);
            let lane = self.lane(url_id);
            lane.leave(&job);
            if first.is_some() {
                lane.orders.waits(job.order_id, is_old);
                lane.queue(Backlog::of(&job)).read_anew(read_anew);
            }
        }
        for first in firsts {
            let Some(job) = first.job else { continue };
            let (now, room) = (self.now, self.room());
            let lane = self.lane(url_id);
            if lane.knows(job.delivery_id) {
                continue;
            }
            if recorded.contains(&job.delivery_id) {
                lane.orders.moved_on(job.order_id);
                continue;
            }
            // It has waited for one that has ended, and goes to the head of its queue because it has waited longest.
            let backlog = Backlog::of(&job);
            let has_room = lane.queue(backlog).ready.len() < lane.capacity().min(room);
            if has_room && (backlog == Backlog::Fresh || job.due_at <= now) {
                self.keep(job);
                self.lane(url_id).queue(backlog).ready.rotate_right(1);
            } else {
                self.promise(url_id, backlog, job.due_at);
            }
        }
        self.refresh(url_id);
    }

    /// An announced delivery of a URL that keeps orders in order: it is asked about before it may start.
    pub(super) fn ask_about(&mut self, job: Job) {
        let url_id = job.url_id;
        let job = self.hold(job);
        let lane = self.lane(url_id);
        lane.queue(Backlog::of(&job)).known.insert(job.delivery_id);
        lane.orders.came(job);
        self.refresh(url_id);
    }

    /// What would have started beside another of its order is left to the table.
    pub(super) fn set_aside(&mut self, url_id: UrlId, jobs: Vec<Job>) {
        for job in jobs {
            self.lose(&job);
            self.lane(url_id).leave(&job);
        }
    }
}

impl Lane {
    /// Whether the table may be asked for it.
    pub fn may_ask(&self) -> bool {
        self.in_order && !self.is_off() && !self.is_unsure()
    }

    /// A delivery that waits for another is not in memory any more.
    fn leave(&mut self, job: &Job) {
        self.queue(Backlog::of(job)).known.remove(&job.delivery_id);
        self.announced.remove(&job.delivery_id);
    }

    /// Takes the next delivery out that may start; gives those beside it, too, of whose orders another is on its way.
    pub fn start(&mut self, now: Timestamp) -> (Option<Job>, Vec<Job>) {
        let mut aside = Vec::new();
        if self.gate(now) != Gate::Open {
            return (None, aside);
        }
        let job = loop {
            let Some(job) = self.pick() else { return (None, aside) };
            if !self.in_order || self.orders.start(&job) {
                break job;
            }
            aside.push(job);
        };
        self.in_flight += 1;
        self.breaker.started();
        self.pace.take(now);
        (Some(job), aside)
    }
}
