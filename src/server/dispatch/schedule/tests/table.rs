//! What is left to the table, and read from it again.

use super::*;

#[test]
fn a_released_url_reads_the_table() {
    let mut lanes = lanes(vec![NotificationUrl { held: true, ..url(1) }]);
    lanes.push(job(1, 1, 1));
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
    configure(&mut lanes, vec![url(1)]);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh), (UrlId(1), Backlog::Again)]);
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
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
    assert_eq!(
        lanes.to_load(),
        [Load { url_id: UrlId(1), backlog: Backlog::Again, limit: REFILL, room: REFILL, after: None, in_order: false }]
    );
    assert!(load(&mut lanes).is_empty(), "it is being read");
    loaded(&mut lanes, UrlId(1), Backlog::Again, vec![again(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
    // It is read a second time while it is on its way.
    lanes.promise(UrlId(1), Backlog::Again, LATER);
    assert_eq!(
        lanes.to_load(),
        [Load { url_id: UrlId(1), backlog: Backlog::Again, limit: REFILL + 1, room: REFILL, after: None, in_order: false }]
    );
    loaded(&mut lanes, UrlId(1), Backlog::Again, vec![again(1, 1, 1), again(1, 2, 2)], None);
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
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
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
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
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
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1), job(1, 2, 2), job(1, 3, 3)], None);
    assert_eq!(all(&mut lanes), [3]);
    lanes.tick(LATER);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Again)]);
    loaded(&mut lanes, UrlId(1), Backlog::Again, vec![again(1, 2, 2)], None);
    assert_eq!(next(&mut lanes), Some(2), "its next attempt");
}

#[test]
fn an_attempt_that_was_not_made_is_made_later() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    next(&mut lanes);
    lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Unknown));
    lanes.put_back(UrlId(1), OrderId(1), DeliveryId(1), LATER);
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, Some(LATER)));
    lanes.tick(LATER);
    load(&mut lanes);
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
}

#[test]
fn a_url_on_hold_starts_nothing_and_a_released_one_goes_on() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    lanes.push(job(1, 2, 2));
    assert_eq!(next(&mut lanes), Some(1));
    configure(&mut lanes, vec![NotificationUrl { held: true, ..url(1) }]);
    end(&mut lanes, 1, 1, 1, Next::Retry(LATER));
    lanes.push(job(1, 3, 3));
    assert_eq!((next(&mut lanes), lanes.wake_at()), (None, None));
    assert_eq!(lanes.in_memory, 0);
    configure(&mut lanes, vec![url(1)]);
    lanes.push(job(1, 2, 2));
    assert_eq!(next(&mut lanes), None, "the table may hold what is due before it");
    assert_eq!(load(&mut lanes).len(), 2);
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 2, 2), job(1, 3, 3)], Some(LATER));
    assert_eq!(next(&mut lanes), Some(2));
}

#[test]
fn a_hold_that_nobody_saw_leaves_nothing_in_memory() {
    let wide = |version| NotificationUrl { concurrent: true, version, ..url(1) };
    let mut lanes = lanes(vec![wide(1)]);
    lanes.push(job(1, 1, 10));
    lanes.push(job(1, 2, 11));
    assert_eq!(next(&mut lanes), Some(10));
    configure(&mut lanes, vec![wide(2)]);
    assert!(load(&mut lanes).is_empty(), "one change, which it sees");
    configure(&mut lanes, vec![wide(4)]);
    assert_eq!(next(&mut lanes), None, "another node may have it");
    assert!(load(&mut lanes).contains(&(UrlId(1), Backlog::Fresh)));
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 2, 11)], None);
    assert_eq!(all(&mut lanes), [11], "it was still this node's");
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
            loaded(&mut lanes, url_id, Backlog::Fresh, jobs, Some(NOW));
        }
    }
    assert_eq!(limits.len(), 200);
    assert_eq!(limits.iter().filter(|limit| **limit == REFILL).count(), CAPACITY / REFILL);
    assert_eq!(limits.iter().filter(|limit| **limit == PROBED_CAPACITY).count(), 200 - CAPACITY / REFILL);
}

#[test]
fn a_removed_url_leaves_nothing_behind() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    lanes.push(job(1, 2, 2));
    next(&mut lanes);
    configure(&mut lanes, Vec::new());
    assert_eq!(lanes.lanes.len(), 1, "its attempt is on its way");
    end(&mut lanes, 1, 1, 1, Next::Confirmed);
    configure(&mut lanes, Vec::new());
    assert!(lanes.lanes.is_empty() && lanes.in_memory == 0 && lanes.wake_at().is_none());
}

#[test]
fn what_is_due_again_is_read_although_it_was_recorded_while_the_other_queue_was() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 1));
    assert_eq!(next(&mut lanes), Some(1));
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh)]);
    end(&mut lanes, 1, 1, 1, Next::Retry(NOW));
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Again)], "while the first is still being read");
    loaded(&mut lanes, UrlId(1), Backlog::Again, vec![again(1, 1, 1)], None);
    assert_eq!(next(&mut lanes), Some(1));
}

#[test]
fn a_clock_that_is_set_back_lets_nothing_wait_that_was_put_back() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 1, 10));
    assert_eq!(next(&mut lanes), Some(10));
    lanes.put_back(UrlId(1), OrderId(1), DeliveryId(10), LATER);
    lanes.finished(UrlId(1), Origin::Arrival, signal(Signal::Unknown));
    assert_eq!(load(&mut lanes), []);
    lanes.tick(NOW.minus(Duration::from_secs(900)));
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh), (UrlId(1), Backlog::Again)]);
}

#[test]
fn a_clock_that_is_set_back_lets_no_first_try_wait() {
    let earlier = NOW.minus(Duration::from_secs(900));
    let mut lanes = lanes(vec![url(1), url(2)]);
    for url in [1, 2] {
        lanes.push(job(url, 1, url * 10));
        assert_eq!(next(&mut lanes), Some(url * 10));
        lanes.push(job(url, 2, url * 10 + 1));
    }
    lanes.promise(UrlId(2), Backlog::Fresh, LATER);
    assert_eq!(load(&mut lanes), [], "there is still something in memory");
    lanes.tick(earlier);
    // What is in memory goes on, what comes is taken, and so is what lies in the table.
    lanes.push(job(1, 3, 12));
    end(&mut lanes, 1, 1, 10, Next::Confirmed);
    assert_eq!(next(&mut lanes), Some(11));
    end(&mut lanes, 1, 2, 11, Next::Confirmed);
    assert_eq!(next(&mut lanes), Some(12));
    end(&mut lanes, 2, 1, 20, Next::Confirmed);
    assert_eq!(next(&mut lanes), Some(21));
    assert_eq!(load(&mut lanes), [(UrlId(2), Backlog::Fresh)]);
    // What was tried keeps the moments of its schedule.
    lanes.promise(UrlId(1), Backlog::Again, NOW);
    assert_eq!(load(&mut lanes), []);
    assert_eq!(lanes.wake_at(), Some(NOW));
}
