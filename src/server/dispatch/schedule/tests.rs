//! What the lanes do, case by case.

use super::{
    lane::{PROBED_CAPACITY, QUEUE_CAPACITY},
    *,
};
use crate::domain::{Algorithms, Terms, id::NotificationId};
use crate::server::store::NotificationUrl;
use std::time::Duration;

pub const NOW: Timestamp = Timestamp::from_seconds(1_000);
pub const LATER: Timestamp = Timestamp::from_seconds(1_150);

pub fn url(id: i64) -> NotificationUrl {
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
        held_at: None,
        held_cause: None,
        terms: Terms::default(),
    }
}

pub fn directory(urls: Vec<NotificationUrl>) -> Directory {
    Directory::new(1, Vec::new(), Vec::new(), urls)
}

pub fn job(url: i64, order: i64, id: i64) -> Job {
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

/// A delivery that has been tried.
pub fn again(url: i64, order: i64, id: i64) -> Job {
    Job { attempts: 1, ..job(url, order, id) }
}

/// Lanes at a moment, with these URLs.
pub fn lanes(urls: Vec<NotificationUrl>) -> Lanes {
    let mut lanes = Lanes::default();
    lanes.tick(NOW);
    lanes.configure(&directory(urls));
    lanes
}

fn next(lanes: &mut Lanes) -> Option<i64> {
    lanes.next().map(|job| job.delivery_id.0)
}

/// Everything that may start now.
fn all(lanes: &mut Lanes) -> Vec<i64> {
    std::iter::from_fn(|| next(lanes)).collect()
}

/// An attempt that ended with an answer, or without one.
pub const fn signal(signal: Signal) -> Ended {
    Ended { signal, not_before: None }
}

/// What is due now is read.
fn load(lanes: &mut Lanes) -> Vec<(UrlId, Backlog)> {
    lanes.to_load().into_iter().map(|load| (load.url_id, load.backlog)).collect()
}

fn end(lanes: &mut Lanes, url: i64, order: i64, id: i64, outcome: Next) {
    lanes.finished(UrlId(url), Origin::Arrival, signal(Signal::Alive));
    lanes.recorded(UrlId(url), OrderId(order), DeliveryId(id), outcome);
}

#[test]
fn one_at_a_time_unless_concurrent_requests_are_allowed() {
    let mut lanes = lanes(vec![url(1), NotificationUrl { concurrent: true, ..url(2) }]);
    for id in 1..=3 {
        lanes.push(job(1, id, id));
        lanes.push(job(2, id, 10 + id));
    }
    assert_eq!(all(&mut lanes), [1, 11, 12, 13]);
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    assert_eq!(all(&mut lanes), [2]);
}

#[test]
fn a_url_has_as_many_at_a_time_as_it_is_set_to() {
    let terms = Terms { max_in_flight: 3, ..Terms::default() };
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, terms, ..url(1) }]);
    for id in 1..=10 {
        lanes.push(job(1, id, id));
    }
    assert_eq!(all(&mut lanes), [1, 2, 3]);
    end(&mut lanes, 1, 2, 2, Next::Confirmed);
    assert_eq!(all(&mut lanes), [4]);
}

#[test]
fn a_url_gets_as_many_a_second_as_it_is_set_to_also_one_at_a_time() {
    let terms = Terms { rate_per_second: Some(2), ..Terms::default() };
    let mut lanes = lanes(vec![NotificationUrl { terms, ..url(1) }]);
    for id in 1..=3 {
        lanes.push(job(1, id, id));
    }
    let half = |count: u64| NOW.plus(Duration::from_millis(500 * count));
    for id in 1..=3 {
        assert_eq!(all(&mut lanes), [id]);
        end(&mut lanes, 1, id, id, Next::Confirmed);
        assert_eq!(all(&mut lanes), [0; 0]);
        if id < 3 {
            assert_eq!(lanes.wake_at(), Some(half(id as u64)));
            lanes.tick(half(id as u64));
        }
    }
    // The clock is set back by a quarter of an hour; the URL does not wait until it has caught up.
    lanes.tick(NOW.minus(Duration::from_secs(900)));
    lanes.push(Job { due_at: Timestamp::default(), ..job(1, 4, 4) });
    assert_eq!(all(&mut lanes), [4]);
}

#[test]
fn a_resend_for_debug_goes_beside_its_lane_and_leaves_no_trace_in_it() {
    let mut lanes = lanes(vec![url(1)]);
    let debug = |id| Job { origin: Origin::Debug, ..job(1, 1, id) };
    lanes.push(job(1, 1, 1));
    lanes.push(debug(2));
    assert_eq!(all(&mut lanes), [2, 1]);
    // The table is read while it is under way; and after a restart it comes from there.
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh)]);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1), debug(2), debug(3)], None);
    assert_eq!(all(&mut lanes), [3], "not the second one again");
    for id in [2, 3] {
        lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Down));
        lanes.recorded(UrlId(1), OrderId(1), DeliveryId(id), Next::Closed);
    }
    lanes.push(job(1, 2, 4));
    assert_eq!(next(&mut lanes), None, "the first is still on its way");
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    assert_eq!(next(&mut lanes), Some(4));
}

#[test]
fn a_released_url_reads_the_table() {
    let mut lanes = lanes(vec![NotificationUrl { held: true, ..url(1) }]);
    lanes.push(job(1, 1, 1));
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
    lanes.configure(&directory(vec![url(1)]));
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh), (UrlId(1), Backlog::Again)]);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
}

#[test]
fn nothing_starts_in_order_before_the_order_is_known() {
    let mut lanes = lanes(Vec::new());
    assert_eq!(lanes.configure(&directory(vec![NotificationUrl { order_in_order: true, ..url(1) }])), [UrlId(1)]);
    lanes.push(job(1, 1, 2));
    assert_eq!(next(&mut lanes), None);
    lanes.restore_order(UrlId(1), vec![(OrderId(1), DeliveryId(1))]);
    assert_eq!(next(&mut lanes), None, "an earlier one of its order is not confirmed");
    lanes.push(job(1, 2, 3));
    assert_eq!(next(&mut lanes), Some(3), "another order goes on");
}

#[test]
fn merchants_take_turns_and_then_their_urls() {
    let of = |merchant, id| NotificationUrl { merchant_id: MerchantId(merchant), concurrent: true, ..url(id) };
    let mut lanes = lanes(vec![of(1, 1), of(1, 2), of(2, 3)]);
    for id in 0..10 {
        lanes.push(job(1, id, id));
        lanes.push(job(2, id, 100 + id));
        lanes.push(Job { merchant_id: MerchantId(2), ..job(3, id, 200 + id) });
    }
    let first: Vec<_> = (0..8).filter_map(|_| next(&mut lanes)).collect();
    assert_eq!(first, [0, 200, 100, 201, 1, 202, 101, 203]);
}

#[test]
fn a_merchant_with_a_thousand_urls_leaves_room_for_one_with_a_single_one() {
    let of = |merchant, id| NotificationUrl { merchant_id: MerchantId(merchant), ..url(id) };
    let mut urls: Vec<_> = (1..=1_000).map(|id| of(1, id)).collect();
    urls.push(of(2, 2_000));
    let mut lanes = lanes(urls);
    for id in 1..=1_000 {
        lanes.push(job(id, id, id));
    }
    assert_eq!(all(&mut lanes).len(), SHARED_IN_FLIGHT);
    lanes.push(Job { merchant_id: MerchantId(2), ..job(2_000, 1, 5_000) });
    assert_eq!(all(&mut lanes), [5_000], "although none of the others has ended");
    let url = lanes.lanes.iter().find(|(id, lane)| id.0 < 2_000 && lane.in_flight == 1).map(|(id, _)| id.0).unwrap();
    end(&mut lanes, url, url, url, Next::Confirmed);
    end(&mut lanes, 2_000, 1, 5_000, Next::Confirmed);
    assert_eq!(all(&mut lanes).len(), 1, "the place that became free");
}

#[test]
fn first_tries_and_further_ones_take_turns_and_what_a_person_asked_for_goes_first() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 1..=6 {
        lanes.push(job(1, id, id));
    }
    lanes.promise(UrlId(1), Backlog::Again, NOW);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Again)], "although the first tries fill the memory");
    lanes.loaded(UrlId(1), Backlog::Again, (11..=16).map(|id| again(1, id, id)).collect(), None);
    for id in 21..=25 {
        lanes.push(Job { origin: Origin::Resend, ..job(1, id, id) });
    }
    assert_eq!(all(&mut lanes), [21, 22, 23, 1, 24, 25, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16]);
}

#[test]
fn a_resend_does_not_wait_behind_a_backlog_in_the_table() {
    let mut lanes = lanes(vec![url(1)]);
    for id in 0..(QUEUE_CAPACITY as i64 + 10) {
        lanes.push(job(1, id, id));
    }
    lanes.push(Job { origin: Origin::Resend, ..job(1, 1, 5_000) });
    assert_eq!(next(&mut lanes), Some(5_000));
}

#[test]
fn a_retry_waits_in_the_table_until_it_is_due() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    assert_eq!(next(&mut lanes), Some(1));
    end(&mut lanes, 1, 1, 1, Next::Retry(LATER));
    assert_eq!(lanes.wake_at(), Some(LATER));
    assert!(load(&mut lanes).is_empty());
    lanes.tick(LATER);
    assert_eq!(lanes.to_load(), [Load { url_id: UrlId(1), backlog: Backlog::Again, limit: REFILL }]);
    assert!(load(&mut lanes).is_empty(), "it is being read");
    lanes.loaded(UrlId(1), Backlog::Again, vec![again(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
    // It is read a second time while it is on its way.
    lanes.promise(UrlId(1), Backlog::Again, LATER);
    assert_eq!(lanes.to_load(), [Load { url_id: UrlId(1), backlog: Backlog::Again, limit: REFILL + 1 }]);
    lanes.loaded(UrlId(1), Backlog::Again, vec![again(1, 1, 1), again(1, 2, 2)], None);
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    assert_eq!(all(&mut lanes), [2], "what is known is not taken twice");
}

#[test]
fn what_arrives_while_the_table_is_read_stays_in_it() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    load(&mut lanes);
    lanes.push(job(1, 2, 2));
    assert_eq!(next(&mut lanes), None);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh)]);
}

#[test]
fn a_result_that_is_not_recorded_yet_is_not_taken_from_the_table_again() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    next(&mut lanes);
    lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Alive));
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    load(&mut lanes);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), None);
    lanes.recorded(UrlId(1), OrderId(1), DeliveryId(1), Next::Confirmed);
    assert_eq!(next(&mut lanes), None);
}

#[test]
fn a_result_that_was_recorded_while_the_table_was_read_is_not_taken_from_it_again() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 1..=2 {
        lanes.push(job(1, id, id));
        assert_eq!(next(&mut lanes), Some(id));
    }
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    load(&mut lanes);
    // It was read before this came to the table, and is heard of after.
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    end(&mut lanes, 1, 2, 2, Next::Retry(LATER));
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1), job(1, 2, 2), job(1, 3, 3)], None);
    assert_eq!(all(&mut lanes), [3]);
    lanes.tick(LATER);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Again)]);
    lanes.loaded(UrlId(1), Backlog::Again, vec![again(1, 2, 2)], None);
    assert_eq!(next(&mut lanes), Some(2), "its next attempt");
}

#[test]
fn an_attempt_that_was_not_made_is_made_later() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    next(&mut lanes);
    lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Unknown));
    lanes.put_back(UrlId(1), DeliveryId(1), LATER);
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, Some(LATER)));
    lanes.tick(LATER);
    load(&mut lanes);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
}

#[test]
fn nothing_waits_for_what_was_finished_while_it_was_looked_up() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 7, 1));
    assert_eq!(next(&mut lanes), Some(1));
    assert_eq!(lanes.configure(&directory(vec![NotificationUrl { order_in_order: true, ..url(1) }])), [UrlId(1)]);
    end(&mut lanes, 1, 7, 1, Next::Confirmed);
    lanes.restore_order(UrlId(1), vec![(OrderId(7), DeliveryId(1))]);
    lanes.push(job(1, 7, 2));
    assert_eq!(next(&mut lanes), Some(2));
}

#[test]
fn within_an_order_the_later_waits_for_the_earlier() {
    let mut lanes = lanes(Vec::new());
    let in_order = NotificationUrl { concurrent: true, order_in_order: true, ..url(1) };
    assert_eq!(lanes.configure(&directory(vec![in_order])), [UrlId(1)]);
    lanes.restore_order(UrlId(1), vec![(OrderId(9), DeliveryId(90))]);
    for (order, id) in [(7, 1), (7, 2), (8, 3), (9, 4)] {
        lanes.push(job(1, order, id));
    }
    lanes.push(Job { origin: Origin::Resend, ..job(1, 7, 5) });
    assert_eq!(all(&mut lanes), [1, 3], "2 and the resend wait for 1, 4 for one that a restart left behind");
    end(&mut lanes, 1, 7, 1, Next::Retry(LATER));
    assert_eq!(next(&mut lanes), None, "still unfinished");
    lanes.tick(LATER);
    load(&mut lanes);
    lanes.loaded(UrlId(1), Backlog::Again, vec![again(1, 7, 1), again(1, 9, 90)], None);
    assert_eq!(all(&mut lanes), [1, 90]);
    end(&mut lanes, 1, 7, 1, Next::Confirmed);
    end(&mut lanes, 1, 9, 90, Next::Expired);
    assert_eq!(all(&mut lanes), [4, 2]);
    end(&mut lanes, 1, 7, 2, Next::Confirmed);
    assert_eq!(all(&mut lanes), [5]);
}

#[test]
fn a_url_on_hold_starts_nothing_and_a_released_one_goes_on() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    lanes.push(job(1, 2, 2));
    assert_eq!(next(&mut lanes), Some(1));
    lanes.configure(&directory(vec![NotificationUrl { held: true, ..url(1) }]));
    end(&mut lanes, 1, 1, 1, Next::Retry(LATER));
    lanes.push(job(1, 3, 3));
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
    assert_eq!(lanes.in_memory, 0);
    lanes.configure(&directory(vec![url(1)]));
    lanes.push(job(1, 2, 2));
    assert_eq!(next(&mut lanes), None, "the table may hold what is due before it");
    assert_eq!(load(&mut lanes).len(), 2);
    lanes.loaded(UrlId(1), Backlog::Fresh, vec![job(1, 2, 2), job(1, 3, 3)], Some(LATER));
    assert_eq!(next(&mut lanes), Some(2));
}

#[test]
fn debug_goes_at_once_and_beside_everything() {
    let mut lanes = lanes(vec![NotificationUrl { held: true, ..url(1) }]);
    lanes.push(Job { origin: Origin::Debug, ..job(1, 1, 1) });
    assert_eq!(next(&mut lanes), Some(1));
    lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Alive));
    assert_eq!(lanes.in_flight(), 0);
}

#[test]
fn a_backlog_spills_into_the_table() {
    let mut lanes = lanes(vec![url(1)]);
    for id in 0..(QUEUE_CAPACITY as i64 + 500) {
        lanes.push(job(1, id, id));
    }
    assert_eq!(lanes.in_memory, QUEUE_CAPACITY);
    assert_eq!(lanes.wake_at(), None, "not before memory has run empty");
    for id in 0..QUEUE_CAPACITY as i64 {
        assert_eq!(next(&mut lanes), Some(id));
        end(&mut lanes, 1, id, id, Next::Confirmed);
    }
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh)]);
}

#[test]
fn a_full_memory_leaves_every_lane_a_few() {
    let mut lanes = lanes((1..=200).map(url).collect());
    for id in 1..=200 {
        lanes.promise(UrlId(id), Backlog::Fresh, NOW);
    }
    let mut limits = Vec::new();
    while let loads = lanes.to_load()
        && !loads.is_empty()
    {
        assert!(loads.len() <= MAX_LOADS);
        assert!(lanes.wake_at().is_none_or(|at| loads.len() < MAX_LOADS || at > NOW), "nobody asks in vain");
        for Load { url_id, limit, .. } in loads {
            limits.push(limit);
            let jobs = (0..limit as i64).map(|place| job(url_id.0, place, url_id.0 * 1_000 + place)).collect();
            lanes.loaded(url_id, Backlog::Fresh, jobs, Some(NOW));
        }
    }
    assert_eq!(limits.len(), 200);
    assert_eq!(limits.iter().filter(|limit| **limit == REFILL).count(), CAPACITY / REFILL);
    assert_eq!(limits.iter().filter(|limit| **limit == PROBED_CAPACITY).count(), 200 - CAPACITY / REFILL);
}

#[test]
fn a_url_that_fails_again_and_again_gets_single_probes_and_then_its_backlog_step_by_step() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 0..300 {
        lanes.push(job(1, id, id));
    }
    let first = all(&mut lanes);
    assert_eq!(first.len(), 64);
    let fail = |lanes: &mut Lanes, id, due| {
        lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Down));
        lanes.recorded(UrlId(1), OrderId(id), DeliveryId(id), Next::Retry(due));
    };
    for id in first {
        fail(&mut lanes, id, LATER);
    }
    assert_eq!(next(&mut lanes), None);
    assert_eq!(lanes.in_memory, PROBED_CAPACITY, "the rest waits in the table");
    let Some(Pause::Probing { since, every: 5, next: probe }) = lanes.pause(UrlId(1)) else { panic!() };
    assert_eq!((since, lanes.wake_at()), (NOW, Some(probe)));
    lanes.tick(probe);
    assert_eq!(all(&mut lanes), [64], "one");
    fail(&mut lanes, 64, LATER);
    let Some(Pause::Probing { every: 10, next: probe, .. }) = lanes.pause(UrlId(1)) else { panic!() };
    lanes.tick(probe);
    assert_eq!(all(&mut lanes), [65]);
    end(&mut lanes, 1, 65, 65, Next::Confirmed);
    assert_eq!(lanes.pause(UrlId(1)), None);
    for expected in [vec![66], vec![67, 68], (69..=72).collect(), (73..=80).collect()] {
        // What memory has no more of comes from the table.
        for Load { backlog, limit, .. } in lanes.to_load() {
            assert_eq!((backlog, limit), (Backlog::Fresh, REFILL));
            lanes.loaded(UrlId(1), backlog, (80..300).map(|id| job(1, id, id)).collect(), None);
        }
        let started = all(&mut lanes);
        assert_eq!(started, expected);
        for id in started {
            end(&mut lanes, 1, id, id, Next::Confirmed);
        }
    }
}

#[test]
fn a_server_that_names_a_moment_gets_nothing_before() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 1..=5 {
        lanes.push(job(1, id, id));
    }
    assert_eq!(next(&mut lanes), Some(1));
    lanes.finished(UrlId(1), Origin::Arrival, Ended { signal: Signal::Down, not_before: Some(LATER) });
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, Some(LATER)));
    assert_eq!(lanes.pause(UrlId(1)), Some(Pause::Told { until: LATER }));
    lanes.tick(LATER);
    assert_eq!(all(&mut lanes), [2], "and then not all at once");
}

#[test]
fn a_person_who_sees_that_it_works_again_ends_the_probing() {
    let mut lanes = lanes(vec![url(1)]);
    for id in 0..5 {
        lanes.push(job(1, id, id));
        next(&mut lanes);
        lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Down));
        lanes.recorded(UrlId(1), OrderId(id), DeliveryId(id), Next::Retry(LATER));
    }
    lanes.push(job(1, 9, 9));
    assert_eq!(next(&mut lanes), None);
    lanes.push(Job { origin: Origin::Debug, ..job(1, 10, 10) });
    assert_eq!(next(&mut lanes), Some(10));
    lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Alive));
    assert_eq!(next(&mut lanes), Some(9));
}

#[test]
fn a_removed_url_leaves_nothing_behind() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    lanes.push(job(1, 2, 2));
    next(&mut lanes);
    lanes.configure(&directory(Vec::new()));
    assert_eq!(lanes.lanes.len(), 1, "its attempt is on its way");
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    lanes.configure(&directory(Vec::new()));
    assert!(lanes.lanes.is_empty() && lanes.in_memory == 0 && lanes.wake_at().is_none());
}
