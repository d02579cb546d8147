//! How much a URL gets: at a time, a second, while it is down and when it is back.

use super::*;

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
        let mut started = all(&mut lanes);
        // What memory has no more of comes from the table.
        for Load { backlog, limit, .. } in lanes.to_load() {
            assert_eq!((backlog, limit), (Backlog::Fresh, REFILL + started.len()));
            loaded(&mut lanes, UrlId(1), backlog, (73..300).map(|id| job(1, id, id)).collect(), None);
        }
        started.extend(all(&mut lanes));
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
fn a_pause_that_a_server_asked_for_ends_with_its_cause() {
    let moved: fn(&mut Lanes) = |lanes| {
        let elsewhere = NotificationUrl { url: "https://other.example.com/".to_owned(), ..url(1) };
        lanes.configure(&directory(vec![elsewhere]));
    };
    let released: fn(&mut Lanes) = |lanes| {
        lanes.configure(&directory(vec![NotificationUrl { held: true, ..url(1) }]));
        lanes.configure(&directory(vec![url(1)]));
    };
    let looked_at: fn(&mut Lanes) = |lanes| {
        lanes.push(Job { origin: Origin::Debug, ..job(1, 10, 10) });
        assert_eq!(next(lanes), Some(10));
        lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Alive));
    };
    // What was released is read from the table first.
    for (cure, starts) in [(moved, true), (released, false), (looked_at, true)] {
        let mut lanes = lanes(vec![url(1)]);
        lanes.push(job(1, 1, 1));
        assert_eq!(next(&mut lanes), Some(1));
        lanes.finished(UrlId(1), Origin::Arrival, Ended { signal: Signal::Down, not_before: Some(LATER) });
        lanes.recorded(UrlId(1), OrderId(1), DeliveryId(1), Next::Retry(LATER));
        // Settings that are saved without a change of the address, and an exchange that went wrong, change nothing.
        lanes.configure(&directory(vec![NotificationUrl { concurrent: false, ..url(1) }]));
        lanes.push(Job { origin: Origin::Debug, ..job(1, 9, 9) });
        assert_eq!(next(&mut lanes), Some(9));
        lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Down));
        assert_eq!(lanes.pause(UrlId(1)), Some(Pause::Told { until: LATER }));
        cure(&mut lanes);
        assert_eq!(lanes.pause(UrlId(1)), None);
        lanes.push(job(1, 2, 2));
        assert_eq!(next(&mut lanes), starts.then_some(2));
    }
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
