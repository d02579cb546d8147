//! What the lanes know of the table of deliveries: when something in it is due, what is being read, what came of it.

use super::{CAPACITY, Lanes, lane::PROBED_CAPACITY, order::READ_ANEW};
use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{DeliveryId, OrderId, UrlId},
};
use crate::server::store::{Backlog, Job, Next};
use std::time::Duration;

/// Deliveries read from the table at a time for one lane, where there is room.
pub(super) const REFILL: usize = 1_000;
/// Lanes whose table is read at the same time.
pub(super) const MAX_LOADS: usize = 64;

/// A wish to read the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub url_id: UrlId,
    pub backlog: Backlog,
    /// How many rows: those that are known already are among them.
    pub limit: usize,
    /// How many of them may be taken; the others are known.
    pub room: usize,
    /// Only what comes after this place.
    pub after: Option<(Timestamp, DeliveryId)>,
    /// Only what is the first of its order.
    pub in_order: bool,
}

/// What was read from the table.
#[derive(Debug, Default)]
pub struct Read {
    pub jobs: Vec<Job>,
    /// When the first of what was not read is due.
    pub rest: Option<Timestamp>,
    /// The place of the last row.
    pub read_to: Option<(Timestamp, DeliveryId)>,
    /// Orders of deliveries that have to wait, each with the delivery that is waited for.
    pub waiting: Vec<(OrderId, DeliveryId)>,
}

impl Lanes {
    /// The table holds something of a URL that is due at a moment. A first try is due now whatever it says: it came while the
    /// clock was ahead.
    pub fn promise(&mut self, url_id: UrlId, backlog: Backlog, due: Timestamp) {
        let due = if backlog == Backlog::Fresh { due.min(self.now) } else { due };
        self.lane(url_id).queue(backlog).promised(due);
        self.look_at(url_id, backlog, due);
    }

    /// The table is to be read for a URL at a moment.
    fn look_at(&mut self, url_id: UrlId, backlog: Backlog, due: Timestamp) {
        let queue = self.lane(url_id).queue(backlog);
        queue.table = Some(queue.table.map_or(due, |table| table.min(due)));
        self.refresh(url_id);
    }

    /// The result of an attempt is in the store.
    pub fn recorded(&mut self, url_id: UrlId, order_id: OrderId, delivery_id: DeliveryId, next: Next) {
        let is_open_anew = self.ended(url_id, order_id, delivery_id, !matches!(next, Next::Retry(_)));
        match next {
            Next::Retry(due) => self.promise(url_id, Backlog::Again, due),
            Next::Confirmed | Next::Expired | Next::Closed => self.refresh(url_id),
        }
        if is_open_anew {
            self.look_again(url_id);
        }
    }

    /// A delivery is not on its way any more. Whether it was announced meanwhile.
    fn ended(&mut self, url_id: UrlId, order_id: OrderId, delivery_id: DeliveryId, is_final: bool) -> bool {
        let lane = self.lane(url_id);
        let is_open_anew = lane.forget(delivery_id);
        if lane.in_order {
            lane.orders.ended(order_id, delivery_id, is_final);
            lane.draining = lane.draining && !lane.knows_nothing();
        }
        is_open_anew
    }

    /// The table may hold something of a URL that is due and was not taken when it was announced.
    fn look_again(&mut self, url_id: UrlId) {
        for backlog in Backlog::ALL {
            self.promise(url_id, backlog, Timestamp::default());
        }
    }

    /// An attempt was not made, and is made at another time. Its delivery stands in the table as it did.
    pub fn put_back(&mut self, url_id: UrlId, order_id: OrderId, delivery_id: DeliveryId, due: Timestamp) {
        // Whatever it was announced for: it is read again then.
        self.ended(url_id, order_id, delivery_id, false);
        for backlog in Backlog::ALL {
            self.lane(url_id).queue(backlog).rewind();
            self.look_at(url_id, backlog, due);
        }
    }

    /// Lanes whose table should be read now.
    pub fn to_load(&mut self) -> Vec<Load> {
        let now = self.now;
        let room = MAX_LOADS.saturating_sub(self.loads);
        let due: Vec<_> = self
            .wakeups
            .iter()
            .take_while(|(due, ..)| *due <= now)
            .take(room)
            .map(|(_, url, backlog)| (*url, *backlog))
            .collect();
        let mut expected = self.in_memory;
        due.into_iter()
            .map(|(url_id, backlog)| {
                let batch = if expected < CAPACITY { REFILL } else { PROBED_CAPACITY };
                let lane = self.lane(url_id);
                let batch = batch.min(lane.capacity());
                let in_order = lane.in_order;
                let queue = lane.queue(backlog);
                queue.load(batch, now);
                // Most of what is read may have to wait, and takes no memory.
                let limit = queue.known.len() + if in_order { REFILL } else { batch };
                let after = queue.read_to.filter(|_| in_order);
                expected += batch;
                self.loads += 1;
                self.refresh(url_id);
                Load { url_id, backlog, limit, room: batch, after, in_order }
            })
            .collect()
    }

    /// What was read from the table.
    pub fn loaded(&mut self, url_id: UrlId, backlog: Backlog, read: Read) {
        self.loads -= 1;
        let now = self.now;
        let queue = self.lane(url_id).queue(backlog);
        let mut room = queue.loading.take().unwrap_or(0);
        let is_stale = std::mem::take(&mut queue.is_stale);
        let recorded = std::mem::take(&mut queue.recorded);
        let Read { jobs, mut rest, mut read_to, waiting } =
            if is_stale { Read { rest: Some(Timestamp::default()), ..Read::default() } } else { read };
        for job in jobs {
            let lane = self.lane(url_id);
            let is_news = !lane.knows(job.delivery_id) && !recorded.contains(&job.delivery_id);
            if lane.held || lane.removed || !is_news {
                continue;
            }
            lane.merchant.get_or_insert(job.merchant_id);
            if job.origin == Origin::Debug {
                self.hurry(job);
            } else if room > 0 {
                room -= 1;
                self.keep(job);
            } else {
                rest = Some(rest.map_or(job.due_at, |rest| rest.min(job.due_at)));
                let before = (job.due_at, DeliveryId(job.delivery_id.0 - 1));
                read_to = read_to.map(|read_to| read_to.min(before));
            }
        }
        let lane = self.lane(url_id);
        if lane.in_order {
            let queue = lane.queue(backlog);
            queue.loaded(read_to);
            queue.passed += waiting.len();
            if queue.passed > 0 && rest.is_none_or(|rest| rest > now) {
                // The more there is to read, the more seldom.
                queue.read_anew(now.plus(READ_ANEW + Duration::from_millis(queue.passed as u64)));
            }
            for (order, first) in waiting {
                lane.orders.waits(order, recorded.contains(&first));
            }
        }
        if let Some(due) = rest {
            self.look_at(url_id, backlog, due);
        }
        self.refresh(url_id);
    }
}
