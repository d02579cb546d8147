//! Order within orders: of an order's deliveries only the first unfinished one starts, and the table says which that is.

use super::*;
use crate::server::dispatch::schedule::{lane::PROBED_CAPACITY, order::READ_ANEW};

/// One URL that keeps orders in order, with its table.
struct Desk {
    lanes: Lanes,
    table: Vec<Job>,
    /// These are on hold, or another node's.
    elsewhere: Vec<i64>,
    now: Timestamp,
}

fn in_order() -> NotificationUrl {
    NotificationUrl { concurrent: true, order_in_order: true, ..url(1) }
}

impl Desk {
    fn new() -> Self {
        Self { lanes: lanes(vec![in_order()]), table: Vec::new(), elsewhere: Vec::new(), now: NOW }
    }

    /// A delivery is committed, and announced.
    fn push(&mut self, job: Job) {
        self.table.push(job.clone());
        self.lanes.push(job);
    }

    /// Everything that is to be read or asked about is, until nothing is; gives how many rows were read.
    fn read(&mut self) -> usize {
        let mut rows = 0;
        loop {
            let (questions, loads) = (self.lanes.to_ask(), self.lanes.to_load());
            if questions.is_empty() && loads.is_empty() {
                return rows;
            }
            for question in questions {
                self.answer(&question);
            }
            for load in loads {
                // What lies elsewhere is waited for, and not read.
                let mut read = read(&self.table, &load, self.now);
                rows += read.jobs.len() + read.waiting.len();
                read.jobs.retain(|job| !self.elsewhere.contains(&job.delivery_id.0));
                self.lanes.loaded(load.url_id, load.backlog, read);
            }
        }
    }

    fn answer(&mut self, question: &Question) {
        let mut firsts = firsts(&self.table, question);
        for first in &mut firsts {
            first.job = first.job.take().filter(|job| !self.elsewhere.contains(&job.delivery_id.0));
        }
        self.lanes.answered(question.url_id, question.number, firsts);
    }

    /// Everything that starts now.
    fn all(&mut self) -> Vec<i64> {
        self.read();
        all(&mut self.lanes)
    }

    /// The result of an attempt is in the table, and nobody has heard of it.
    fn write(&mut self, id: i64, outcome: Next) {
        match outcome {
            Next::Retry(due) => {
                for job in self.table.iter_mut().filter(|job| job.delivery_id.0 == id) {
                    (job.due_at, job.attempts) = (due, job.attempts + 1);
                }
            }
            _ => self.table.retain(|job| job.delivery_id.0 != id),
        }
    }

    fn end(&mut self, order: i64, id: i64, outcome: Next) {
        self.write(id, outcome);
        end(&mut self.lanes, 1, order, id, outcome);
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = now;
        self.lanes.tick(now);
    }
}

#[test]
fn nothing_starts_before_it_is_known_to_be_the_first_of_its_order() {
    let mut desk = Desk::new();
    desk.push(job(1, 7, 1));
    assert_eq!(next(&mut desk.lanes), None);
    let questions = desk.lanes.to_ask();
    assert_eq!(questions, [Question { url_id: UrlId(1), number: 1, orders: vec![OrderId(7)] }]);
    desk.push(job(1, 8, 2));
    assert_eq!(desk.lanes.to_ask(), [], "one question at a time");
    desk.answer(&questions[0]);
    assert_eq!(all(&mut desk.lanes), [1]);
    assert_eq!(desk.all(), [2]);
}

#[test]
fn the_later_waits_for_the_earlier() {
    let mut desk = Desk::new();
    desk.table.push(again(1, 9, 0));
    desk.elsewhere.push(0);
    for (order, id) in [(7, 1), (7, 2), (8, 3), (9, 4)] {
        desk.push(job(1, order, id));
    }
    desk.push(Job { origin: Origin::Resend, ..job(1, 7, 5) });
    assert_eq!(desk.all(), [1, 3], "2 and the resend wait for 1, 4 for one that stands elsewhere");
    assert_eq!(desk.lanes.in_memory, 0, "and take no memory");
    desk.end(7, 1, Next::Retry(LATER));
    assert_eq!(desk.all(), [0; 0], "still unfinished");
    desk.tick(LATER);
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Confirmed);
    assert_eq!(desk.all(), [2]);
    desk.end(7, 2, Next::Expired);
    assert_eq!(desk.all(), [5]);
}

#[test]
fn what_another_node_leaves_goes_before_what_came_since() {
    let mut desk = Desk::new();
    // Tried by a node that has just died, and not taken over yet.
    desk.table.push(Job { due_at: LATER, ..again(1, 7, 1) });
    desk.elsewhere.push(1);
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [0; 0]);
    desk.elsewhere.clear();
    desk.lanes.promise(UrlId(1), Backlog::Fresh, Timestamp::default());
    desk.lanes.promise(UrlId(1), Backlog::Again, Timestamp::default());
    assert_eq!(desk.all(), [0; 0], "its turn comes later");
    desk.tick(LATER);
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Confirmed);
    assert_eq!(desk.all(), [2]);
}

#[test]
fn what_ends_unheard_of_lets_the_others_go_on() {
    let mut desk = Desk::new();
    desk.push(job(1, 7, 1));
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Retry(LATER));
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [0; 0]);
    // Another node has confirmed it.
    desk.write(1, Next::Confirmed);
    desk.push(job(1, 8, 3));
    assert_eq!(desk.all(), [3], "what comes meets nothing stale");
    desk.end(8, 3, Next::Confirmed);
    assert!(desk.all().is_empty() && desk.lanes.wake_at().is_some_and(|at| at <= NOW.plus(READ_ANEW * 2)));
    desk.tick(NOW.plus(READ_ANEW * 2));
    assert_eq!(desk.all(), [2]);
    desk.end(7, 2, Next::Confirmed);
    desk.tick(LATER);
    assert!(desk.all().is_empty());
    assert_eq!(desk.lanes.wake_at(), None, "nothing waits any more");
}

#[test]
fn a_delivery_that_ends_while_it_is_asked_about_is_not_waited_for() {
    let mut desk = Desk::new();
    desk.push(job(1, 7, 1));
    assert_eq!(desk.all(), [1]);
    desk.push(job(1, 7, 2));
    let question = desk.lanes.to_ask().remove(0);
    let old = firsts(&desk.table, &question);
    desk.end(7, 1, Next::Confirmed);
    desk.lanes.answered(question.url_id, question.number, old);
    assert_eq!(desk.all(), [2]);
    // The same where the table is being read.
    desk.table.push(job(1, 7, 3));
    desk.lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    let load = desk.lanes.to_load().remove(0);
    let old = read(&desk.table, &load, NOW);
    assert_eq!(old.waiting, [(OrderId(7), DeliveryId(2))]);
    desk.end(7, 2, Next::Confirmed);
    desk.lanes.loaded(load.url_id, load.backlog, old);
    assert_eq!(desk.all(), [3]);
}

#[test]
fn thousands_that_wait_keep_nobody_waiting_and_take_no_memory() {
    const ORDERS: i64 = 5_000;
    let mut desk = Desk::new();
    // A restart: of each order the first message has failed, and a second one waits for it.
    desk.table.extend((0..ORDERS).map(|order| Job { due_at: LATER, ..again(1, order, order) }));
    desk.table.extend((0..ORDERS).map(|order| job(1, order, ORDERS + order)));
    desk.table.extend((0..3).map(|place| job(1, ORDERS + place, 3 * ORDERS + place)));
    desk.lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    desk.lanes.promise(UrlId(1), Backlog::Again, LATER);
    assert_eq!(desk.all(), [3 * ORDERS, 3 * ORDERS + 1, 3 * ORDERS + 2]);
    assert_eq!(desk.lanes.in_memory, 0);
    desk.push(job(1, 2 * ORDERS, 4 * ORDERS));
    assert_eq!(desk.all(), [4 * ORDERS]);
    assert_eq!(desk.read(), 0, "what waits is not read again and again");
    desk.tick(LATER);
    let started = desk.all();
    assert_eq!(started, (0..started.len() as i64).collect::<Vec<_>>(), "and the first messages have their turns");
    for id in started {
        desk.end(id, id, Next::Confirmed);
    }
    desk.read();
    let expected: Vec<i64> = all(&mut desk.lanes);
    assert!(expected.iter().any(|id| *id >= ORDERS), "then the second ones: {expected:?}");
    desk.lanes.assert_sound();
}

#[test]
fn a_dead_url_keeps_its_few_and_forgets_nothing() {
    let mut desk = Desk::new();
    for id in 0..300 {
        desk.push(job(1, id, id));
    }
    let first = desk.all();
    for id in &first {
        desk.write(*id, Next::Retry(LATER));
        desk.lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Down));
        desk.lanes.recorded(UrlId(1), OrderId(*id), DeliveryId(*id), Next::Retry(LATER));
    }
    assert!(desk.lanes.in_memory <= PROBED_CAPACITY);
    let mut confirmed = Vec::new();
    loop {
        let started = desk.all();
        if started.is_empty() {
            let Some(at) = desk.lanes.wake_at() else { break };
            desk.tick(at.max(desk.now));
        }
        for id in started {
            desk.end(id, id, Next::Confirmed);
            confirmed.push(id);
        }
    }
    confirmed.sort_unstable();
    assert_eq!(confirmed, (0..300).collect::<Vec<_>>());
}

#[test]
fn two_of_an_order_are_never_on_their_way_together() {
    let mut desk = Desk::new();
    desk.push(job(1, 7, 5));
    desk.read();
    // Accepted by a node whose clock is behind.
    desk.push(job(1, 7, 4));
    assert_eq!(desk.all(), [5]);
    desk.end(7, 5, Next::Retry(LATER));
    assert_eq!(desk.all(), [4], "the first of the order, although the other has not ended");
    desk.tick(LATER);
    assert_eq!(desk.all(), [0; 0]);
    desk.end(7, 4, Next::Confirmed);
    assert_eq!(desk.all(), [5]);
}

#[test]
fn a_bulk_resend_overtakes_nothing() {
    let mut desk = Desk::new();
    desk.push(Job { origin: Origin::Bulk, ..job(1, 7, 1) });
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [1], "the later message of its order waits for it");
    // It was cancelled while it stood in memory.
    desk.write(1, Next::Closed);
    desk.lanes.finished(UrlId(1), Origin::Bulk, signal(Signal::Unknown));
    desk.lanes.recorded(UrlId(1), OrderId(7), DeliveryId(1), Next::Closed);
    assert_eq!(desk.all(), [2]);
}

#[test]
fn order_begins_when_what_was_on_its_way_before_is_recorded() {
    let mut desk = Desk::new();
    configure(&mut desk.lanes, vec![url(1)]);
    desk.push(job(1, 7, 1));
    assert_eq!(desk.all(), [1]);
    configure(&mut desk.lanes, vec![in_order()]);
    desk.push(job(1, 7, 2));
    desk.push(job(1, 8, 3));
    assert_eq!(desk.all(), [0; 0], "the first may come to be tried again");
    desk.end(7, 1, Next::Retry(LATER));
    assert_eq!(desk.all(), [3], "2 waits for 1");
}

#[test]
fn what_was_tried_before_order_was_switched_on_comes_in_its_order() {
    let mut desk = Desk::new();
    desk.table.extend([3, 1, 2].map(|id| again(1, 7, id)));
    desk.push(job(1, 7, 9));
    desk.lanes.promise(UrlId(1), Backlog::Again, NOW);
    for id in [1, 2, 3, 9] {
        assert_eq!(desk.all(), [id]);
        desk.end(7, id, Next::Confirmed);
    }
}

#[test]
fn nothing_waits_any_more_when_order_is_switched_off() {
    let mut desk = Desk::new();
    desk.push(job(1, 7, 1));
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Retry(LATER));
    configure(&mut desk.lanes, vec![NotificationUrl { order_in_order: false, ..in_order() }]);
    assert_eq!(desk.all(), [2]);
    // On again while it is on its way, which is not remembered for ever.
    configure(&mut desk.lanes, vec![in_order()]);
    desk.end(7, 2, Next::Confirmed);
    desk.tick(LATER);
    assert_eq!(desk.all(), [1]);
}

#[test]
fn what_was_held_is_released_before_order_goes_on() {
    let mut desk = Desk::new();
    let held = |held| vec![NotificationUrl { held, ..in_order() }];
    configure(&mut desk.lanes, held(true));
    desk.table.push(job(1, 7, 1));
    desk.elsewhere.push(1);
    configure(&mut desk.lanes, held(false));
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [0; 0], "the first is still held");
    desk.elsewhere.clear();
    desk.lanes.push(job(1, 7, 1));
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Confirmed);
    assert_eq!(desk.all(), [2]);
}

#[test]
fn what_waits_for_a_delivery_that_is_cancelled_goes_on() {
    let settings = |mark| {
        let mut merchant = Merchant::new(MerchantId(1), String::new(), String::new(), Secret::new("key"));
        merchant.cancelled_before = DeliveryId(mark);
        Directory::new(1, vec![merchant], Vec::new(), vec![in_order()])
    };
    let mut desk = Desk::new();
    desk.lanes.configure(&settings(0));
    desk.push(job(1, 7, 1));
    desk.push(job(1, 7, 2));
    assert_eq!(desk.all(), [1]);
    desk.end(7, 1, Next::Retry(LATER));
    desk.lanes.configure(&settings(0));
    assert_eq!(desk.all(), [0; 0], "it is tried again, and the other waits");
    // A list was cancelled, and the first with it.
    desk.write(1, Next::Closed);
    desk.lanes.configure(&settings(9));
    assert_eq!(desk.all(), [2]);
}

#[test]
fn where_orders_are_not_kept_in_order_nothing_is_asked() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 1..=3 {
        lanes.push(job(1, 7, id));
    }
    assert_eq!(all(&mut lanes), [1, 2, 3]);
    for id in 1..=3 {
        end(&mut lanes, 1, 7, id, Next::Confirmed);
    }
    assert_eq!(lanes.to_ask(), []);
    assert_eq!(lanes.lane(UrlId(1)).orders.waiting(), 0);
}
