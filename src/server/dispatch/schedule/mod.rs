//! Which delivery goes next. Pure: no clock, no network, no store; the dispatcher tells it what happened and when, and
//! asks.
//!
//! Each URL has a lane. A lane holds in memory what is due now, up to a limit; the rest of its work, and everything
//! due later, stays in the table, of which the lane only knows when the first of it is due. Merchants take turns, and
//! the lanes of a merchant among themselves, so neither a URL with a million deliveries waiting nor a merchant with a
//! thousand URLs delays a merchant with a single delivery. Within a lane first tries and further ones take turns.

mod breaker;
mod lane;
mod order;
mod pace;
mod places;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::url as test_url;

pub use breaker::Signal;
pub use order::Question;
pub use places::Places;
pub use table::{Load, Read};

use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{MerchantId, UrlId},
    pages::dashboard::Pause,
};
use crate::server::store::{Backlog, Directory, Job};
use lane::{Gate, Lane, PROBED_CAPACITY};
use std::collections::{BTreeSet, HashMap, VecDeque};
use table::MAX_LOADS;

/// So many of a merchant are few.
const FEW_IN_FLIGHT: usize = 16;
/// So many of a URL are next to nothing.
const FEW_OF_URL: usize = 4;
/// Deliveries that all lanes together hold in memory. Each lane may hold a few beyond that, or a full memory of one
/// would be the standstill of another.
const CAPACITY: usize = 50_000;
/// So many deliveries in memory say nothing about how busy the process is.
const FEW_WAITING: usize = 200;
/// Bodies that are kept beside deliveries so that they need not be read again, in bytes.
const BODY_CAPACITY: usize = 32 << 20;

/// What became of an attempt, as far as its lane is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub signal: Signal,
    /// The server does not want to be asked before.
    pub not_before: Option<Timestamp>,
}

/// One merchant's share of the work.
#[derive(Default)]
struct Share {
    /// Its lanes that may start something, in turn.
    lanes: VecDeque<UrlId>,
    in_flight: usize,
    in_turn: bool,
}

/// All lanes.
#[derive(Default)]
pub struct Lanes {
    places: Places,
    now: Timestamp,
    lanes: HashMap<UrlId, Lane>,
    shares: HashMap<MerchantId, Share>,
    turn: VecDeque<MerchantId>,
    /// Lanes that want the table, by the time the first of it is due.
    wakeups: BTreeSet<(Timestamp, UrlId, Backlog)>,
    /// Lanes that may start something from a moment on.
    timers: BTreeSet<(Timestamp, UrlId)>,
    /// Lanes that want to ask which of an order is first, in turn.
    askers: VecDeque<UrlId>,
    questions: usize,
    /// Somebody waits for these; they go before all others.
    express: VecDeque<Job>,
    loads: usize,
    in_memory: usize,
    /// Those of URLs with concurrent requests among them.
    in_wide_lanes: usize,
    body_bytes: usize,
    in_flight: usize,
}

impl Lanes {
    /// None, with so many places for attempts.
    pub fn new(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    /// Attempts that may be on their way at a time.
    pub const fn places(&self) -> Places {
        self.places
    }

    /// What the time is now. Whatever waited for it may start. Whether the clock was set back.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        let is_set_back = now < self.now;
        if is_set_back {
            // The clock was set back. Nothing may wait until it has caught up.
            self.now = now;
            for id in self.ids() {
                self.lane(id).set_back(now);
                self.refresh(id);
            }
        }
        self.now = now;
        while let Some((at, url_id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, url_id));
            self.lane(url_id).timer = None;
            self.refresh(url_id);
        }
        is_set_back
    }

    /// Takes over the settings of the URLs.
    pub fn configure(&mut self, directory: &Directory) {
        let mut urls: Vec<_> = directory.urls().collect();
        urls.sort_unstable_by_key(|url| url.id);
        for url in urls {
            let lane = self.lanes.entry(url.id).or_default();
            let mark = directory.merchant(url.merchant_id).map(|merchant| merchant.cancelled_before);
            // What others of its order wait for may have been cancelled.
            let has_lost = std::mem::replace(&mut lane.cancelled_before, mark) != mark && lane.in_order;
            // Whatever was announced while it was on hold was left to the table, and so was what waited for another of its order.
            let goes_free = lane.in_order && !url.order_in_order;
            if (lane.held && !url.held) || has_lost || goes_free {
                for backlog in Backlog::ALL {
                    lane.queue(backlog).table = Some(Timestamp::default());
                    lane.queue(backlog).rewind();
                }
            }
            // It may have been put on hold and released meanwhile: then its deliveries were moved in the table, maybe to another node.
            if lane.version.is_some_and(|known| url.version > known + 1) {
                for backlog in Backlog::ALL {
                    let queue = lane.queue(backlog);
                    queue.is_stale = queue.loading.is_some();
                }
                self.spill(url.id, 0);
                let lane = self.lane(url.id);
                for backlog in Backlog::ALL {
                    lane.queue(backlog).table = Some(Timestamp::default());
                    lane.queue(backlog).rewind();
                }
            }
            let lane = self.lanes.entry(url.id).or_default();
            if lane.in_order != url.order_in_order {
                for backlog in Backlog::ALL {
                    let queue = lane.queue(backlog);
                    queue.is_stale = queue.loading.is_some();
                }
                self.spill(url.id, 0);
                let lane = self.lane(url.id);
                lane.orders.forget();
                lane.draining = url.order_in_order && !lane.knows_nothing();
            }
            let lane = self.lanes.entry(url.id).or_default();
            let before = if lane.is_wide() { lane.waiting() } else { 0 };
            lane.set(url);
            let after = if lane.is_wide() { lane.waiting() } else { 0 };
            self.in_wide_lanes = self.in_wide_lanes + after - before;
        }
        for id in self.ids() {
            let lane = self.lane(id);
            lane.removed = directory.url(id).is_none();
            if lane.held || lane.removed {
                // The sweep moves them in the table; released ones are announced again.
                self.spill(id, 0);
                for backlog in Backlog::ALL {
                    let queue = self.lane(id).queue(backlog);
                    (queue.table, queue.read_anew_at) = (None, None);
                }
            }
            self.refresh(id);
        }
        self.lanes.retain(|_, lane| !lane.is_done());
    }

    /// An open delivery was committed. It goes to memory where there is room and nothing due waits before it.
    pub fn push(&mut self, job: Job) {
        if job.origin == Origin::Debug {
            return self.hurry(job);
        }
        let (now, room) = (self.now, self.room());
        let lane = self.lane(job.url_id);
        if lane.held || lane.removed {
            return;
        }
        lane.merchant.get_or_insert(job.merchant_id);
        // It may have been read from the table a moment before it was announced, or be open anew.
        if lane.knows(job.delivery_id) {
            lane.announced.insert(job.delivery_id);
            return;
        }
        if !lane.takes(&job, now, room) {
            return self.promise(job.url_id, Backlog::of(&job), job.due_at);
        }
        if lane.in_order {
            return self.ask_about(job);
        }
        let url_id = job.url_id;
        self.keep(job);
        self.refresh(url_id);
    }

    /// Somebody waits for it: it goes beside the lane, and is not to be taken from the table again.
    fn hurry(&mut self, job: Job) {
        if self.lane(job.url_id).queue(Backlog::of(&job)).known.insert(job.delivery_id) {
            self.express.push_back(job);
        }
    }

    /// The next delivery to attempt, if any may start.
    #[expect(clippy::should_implement_trait, reason = "lanes do not end: after none there may be some")]
    pub fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.express.pop_front() {
            self.in_flight += 1;
            return Some(job);
        }
        if self.in_flight >= self.places.all {
            return None;
        }
        for _ in 0..self.turn.len() {
            let merchant = self.turn.pop_front()?;
            let share = self.shares.entry(merchant).or_default();
            let most = match share.in_flight {
                ..FEW_IN_FLIGHT => usize::MAX,
                _ if self.in_flight < self.places.shared => usize::MAX,
                _ if self.in_flight < self.places.shared_by_urls => FEW_OF_URL,
                _ => {
                    self.turn.push_back(merchant);
                    continue;
                }
            };
            share.in_turn = false;
            let job = self.start_of(merchant, most);
            let share = self.shares.entry(merchant).or_default();
            share.in_flight += usize::from(job.is_some());
            if !share.lanes.is_empty() && !share.in_turn {
                share.in_turn = true;
                self.turn.push_back(merchant);
            }
            if job.is_some() {
                self.in_flight += 1;
                return job;
            }
        }
        None
    }

    /// The next delivery of a merchant, of URLs that have fewer than so many on their way.
    fn start_of(&mut self, merchant: MerchantId, most: usize) -> Option<Job> {
        let now = self.now;
        let lanes = self.shares.get(&merchant).map_or(0, |share| share.lanes.len());
        for _ in 0..lanes {
            let Some(share) = self.shares.get_mut(&merchant) else { break };
            let Some(url_id) = share.lanes.pop_front() else { break };
            if self.lanes.get(&url_id).is_some_and(|lane| lane.in_flight >= most) {
                share.lanes.push_back(url_id);
                continue;
            }
            let lane = self.lane(url_id);
            lane.in_turn = false;
            let (job, aside) = lane.start(now);
            self.set_aside(url_id, aside);
            self.refresh(url_id);
            if let Some(job) = job {
                self.lose(&job);
                return Some(job);
            }
        }
        None
    }

    /// An attempt has ended; its place is free, its result not recorded yet.
    pub fn finished(&mut self, url_id: UrlId, origin: Origin, ended: Ended) {
        self.in_flight -= 1;
        let now = self.now;
        let lane = self.lane(url_id);
        let was_open = lane.breaker.is_open();
        let set = lane.set_limit();
        if origin == Origin::Debug {
            // A person looks at a single exchange. That it went well is news, that it failed is not.
            if ended.signal == Signal::Alive {
                lane.breaker.ended(ended.signal, now, set);
                lane.breaker.asked_for();
            }
        } else {
            lane.in_flight -= 1;
            lane.breaker.ended(ended.signal, now, set);
            if let Some(until) = ended.not_before {
                lane.breaker.told(until);
            }
            let merchant = lane.merchant;
            if let Some(share) = merchant.and_then(|merchant| self.shares.get_mut(&merchant)) {
                share.in_flight -= 1;
            }
        }
        if !was_open && self.lane(url_id).breaker.is_open() {
            self.spill(url_id, PROBED_CAPACITY);
        }
        self.refresh(url_id);
    }

    /// When something may be started or read that may not be now.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let load = self.wakeups.first().filter(|_| self.loads < MAX_LOADS).map(|(due, ..)| *due);
        let timer = self.timers.first().map(|(at, _)| *at);
        load.into_iter().chain(timer).min()
    }

    /// Attempts on their way.
    pub const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether more deliveries are due than a few that single URLs hold back. Those of URLs with one request at a time do not count:
    /// they wait for each other, however much time the machine has.
    pub fn has_waiting(&self) -> bool {
        self.in_wide_lanes > FEW_WAITING || self.wakeups.first().is_some_and(|(due, ..)| *due <= self.now)
    }

    /// Why a URL gets less than it could, where it does.
    pub fn pause(&self, url_id: UrlId) -> Option<Pause> {
        self.lanes.get(&url_id).filter(|lane| !lane.held && !lane.removed).and_then(|lane| lane.breaker.pause(self.now))
    }

    /// How many deliveries a queue of a lane may hold at the moment: a share of what is free, or the first would take all.
    const fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.in_memory) / 4
    }

    /// All lanes, always in the same order, so that the same things happening come to the same turns.
    fn ids(&self) -> Vec<UrlId> {
        let mut ids: Vec<UrlId> = self.lanes.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn lane(&mut self, url_id: UrlId) -> &mut Lane {
        self.lanes.entry(url_id).or_default()
    }

    fn keep(&mut self, job: Job) {
        let job = self.hold(job);
        self.lane(job.url_id).keep(job);
    }

    /// A delivery comes into memory.
    fn hold(&mut self, mut job: Job) -> Job {
        self.in_memory += 1;
        self.in_wide_lanes += usize::from(self.lane(job.url_id).is_wide());
        let size = job.body.as_ref().map_or(0, bytes::Bytes::len);
        if self.body_bytes + size > BODY_CAPACITY {
            job.body = None;
        } else {
            self.body_bytes += size;
        }
        job
    }

    /// A delivery has left the memory.
    fn lose(&mut self, job: &Job) {
        self.in_memory -= 1;
        self.in_wide_lanes -= usize::from(self.lane(job.url_id).is_wide());
        self.body_bytes -= job.body.as_ref().map_or(0, bytes::Bytes::len);
    }

    fn spill(&mut self, url_id: UrlId, keep: usize) {
        for job in self.lane(url_id).spill(keep) {
            self.lose(&job);
        }
        let now = self.now;
        self.lane(url_id).fresh_is_due(now);
    }

    /// Brings the rows of turns, the timers and the wake-ups in line with a lane.
    fn refresh(&mut self, url_id: UrlId) {
        let now = self.now;
        let Some(lane) = self.lanes.get_mut(&url_id) else { return };
        let gate = lane.gate(now);
        if gate == Gate::Open && !lane.in_turn {
            lane.in_turn = true;
            let merchant = lane.merchant.unwrap_or(MerchantId(0));
            let share = self.shares.entry(merchant).or_default();
            share.lanes.push_back(url_id);
            if !share.in_turn {
                share.in_turn = true;
                self.turn.push_back(merchant);
            }
        }
        let timer = if let Gate::At(at) = gate { Some(at) } else { None };
        if lane.timer != timer {
            if let Some(old) = lane.timer {
                self.timers.remove(&(old, url_id));
            }
            self.timers.extend(timer.map(|at| (at, url_id)));
            lane.timer = timer;
        }
        for backlog in Backlog::ALL {
            let wanted = lane.wanted(backlog);
            let queue = lane.queue(backlog);
            if queue.wakeup != wanted {
                if let Some(old) = queue.wakeup {
                    self.wakeups.remove(&(old, url_id, backlog));
                }
                self.wakeups.extend(wanted.map(|due| (due, url_id, backlog)));
                queue.wakeup = wanted;
            }
        }
        if lane.may_ask() && lane.orders.wants_to_ask() && !lane.orders.queued {
            lane.orders.queued = true;
            self.askers.push_back(url_id);
        }
    }
}
