//! Who goes next: merchants, URLs, first and further tries.

use super::*;

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
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, vec![job(1, 1, 1), debug(2), debug(3)], None);
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
    assert_eq!(all(&mut lanes).len(), Places::default().shared_by_urls);
    lanes.push(Job { merchant_id: MerchantId(2), ..job(2_000, 1, 5_000) });
    assert_eq!(all(&mut lanes), [5_000], "although none of the others has ended");
    let url = lanes.lanes.iter().find(|(id, lane)| id.0 < 2_000 && lane.in_flight == 1).map(|(id, _)| id.0).unwrap();
    end(&mut lanes, url, url, url, Next::Confirmed);
    end(&mut lanes, 2_000, 1, 5_000, Next::Confirmed);
    assert_eq!(all(&mut lanes).len(), 1, "the place that became free");
}

#[test]
fn a_few_wide_urls_leave_room_for_the_others_of_their_merchant() {
    let terms = |max_in_flight| Terms { max_in_flight, ..Terms::default() };
    let wide = |id| NotificationUrl { concurrent: true, terms: terms(256), ..url(id) };
    let mut lanes = lanes(vec![wide(1), wide(2), wide(3), wide(4), url(5)]);
    for url in 1..=3 {
        for id in 0..300 {
            lanes.push(job(url, id, url * 1_000 + id));
        }
    }
    assert_eq!(all(&mut lanes).len(), Places::default().shared);
    for id in 0..300 {
        lanes.push(job(4, id, 4_000 + id));
    }
    lanes.push(job(5, 1, 5_000));
    lanes.push(Job { merchant_id: MerchantId(2), ..job(6, 1, 6_000) });
    let started = all(&mut lanes);
    assert!(started.contains(&5_000) && started.contains(&6_000), "{started:?}");
    assert_eq!(started.iter().filter(|id| **id / 1_000 == 4).count(), FEW_OF_URL, "{started:?}");
    assert_eq!(started.len(), FEW_OF_URL + 2);
    // When they have ended, the others go on.
    for id in 0..100 {
        end(&mut lanes, 1, id, 1_000 + id, Next::Confirmed);
    }
    assert_eq!(lanes.in_flight(), Places::default().shared + FEW_OF_URL + 2 - 100);
    assert_eq!(all(&mut lanes).len(), 100 - FEW_OF_URL - 2);
}

#[test]
fn an_operator_decides_how_many_places_there_are() {
    for all in [Places::FEWEST, 400, 2_000] {
        let places = Places::of(all);
        let mut lanes = Lanes::new(places);
        lanes.tick(NOW);
        let wide = |id| NotificationUrl { concurrent: true, merchant_id: MerchantId(id), ..url(id) };
        let merchants = i64::from(all) / 16 + 2;
        configure(&mut lanes, (1..=merchants).map(wide).collect());
        for merchant in 1..=merchants {
            for id in 0..16 {
                lanes.push(Job { merchant_id: MerchantId(merchant), ..job(merchant, id, merchant * 100 + id) });
            }
        }
        assert_eq!(started(&mut lanes), places.all, "all of them, where each has few");
        end(&mut lanes, 1, 0, 100, Next::Confirmed);
        assert_eq!(started(&mut lanes), 1, "the place that became free");
    }
}

#[test]
fn first_tries_and_further_ones_take_turns_and_what_a_person_asked_for_goes_first() {
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 1..=6 {
        lanes.push(job(1, id, id));
    }
    lanes.promise(UrlId(1), Backlog::Again, NOW);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Again)], "although the first tries fill the memory");
    loaded(&mut lanes, UrlId(1), Backlog::Again, (11..=16).map(|id| again(1, id, id)).collect(), None);
    for id in 21..=25 {
        lanes.push(Job { origin: Origin::Resend, ..job(1, id, id) });
    }
    assert_eq!(all(&mut lanes), [21, 22, 23, 1, 24, 25, 11, 2, 12, 3, 13, 4, 14, 5, 15, 6, 16]);
}

#[test]
fn a_bulk_resend_goes_behind_first_tries_and_is_not_forgotten_for_them() {
    let bulk = |id| Job { origin: Origin::Bulk, ..job(1, id, id) };
    let mut lanes = lanes(vec![NotificationUrl { concurrent: true, ..url(1) }]);
    for id in 101..=110 {
        lanes.push(bulk(id));
    }
    for id in 1..=20 {
        lanes.push(job(1, id, id));
    }
    let first = all(&mut lanes);
    assert_eq!(first[..18], [1, 2, 3, 4, 5, 6, 7, 101, 8, 9, 10, 11, 12, 13, 14, 102, 15, 16]);
    assert_eq!(first[22..], (103..=110).collect::<Vec<_>>(), "one of eight, and what is left when nothing else waits");
    // A backlog in the table neither hides news nor is hidden by it.
    lanes.promise(UrlId(1), Backlog::Fresh, NOW);
    load(&mut lanes);
    loaded(&mut lanes, UrlId(1), Backlog::Fresh, (201..=203).map(bulk).chain([job(1, 30, 30)]).collect(), None);
    assert_eq!(all(&mut lanes), [30, 201, 202, 203]);
    // What is tried again takes turns with it.
    for id in 301..=303 {
        lanes.push(bulk(id));
        lanes.push(again(1, id, 100 + id));
    }
    assert_eq!(all(&mut lanes), [401, 301, 402, 302, 403, 303]);
}

#[test]
fn a_resend_does_not_wait_behind_a_backlog_in_the_table() {
    let mut lanes = lanes(vec![url(1)]);
    for id in 0..(QUEUE_CAPACITY as i64 + 10) {
        lanes.push(job(1, id, id));
    }
    lanes.push(Job { origin: Origin::Resend, ..job(1, 1, 50_000) });
    assert_eq!(next(&mut lanes), Some(50_000));
}

#[test]
fn what_is_announced_again_before_it_is_recorded_is_not_forgotten() {
    let mut lanes = lanes(vec![url(1)]);
    lanes.push(job(1, 7, 1));
    assert_eq!(next(&mut lanes), Some(1));
    // Held at its last attempt, which keeps it, and released: word of that comes before word of the record.
    lanes.push(again(1, 7, 1));
    end(&mut lanes, 1, 7, 1, Next::Expired);
    assert_eq!(load(&mut lanes), [(UrlId(1), Backlog::Fresh), (UrlId(1), Backlog::Again)]);
}

#[test]
fn what_waits_for_one_request_at_a_time_does_not_hold_up_who_posts() {
    let mut lanes = lanes(vec![url(1)]);
    for id in 0..1_000 {
        lanes.push(job(1, id, id));
    }
    assert_eq!(all(&mut lanes).len(), 1);
    assert!(!lanes.has_waiting(), "they wait for each other");
    configure(&mut lanes, vec![NotificationUrl { concurrent: true, ..url(1) }]);
    assert!(lanes.has_waiting());
    configure(&mut lanes, vec![url(1)]);
    assert!(!lanes.has_waiting());
}

#[test]
fn debug_goes_at_once_and_beside_everything() {
    let mut lanes = lanes(vec![NotificationUrl { held: true, ..url(1) }]);
    lanes.push(Job { origin: Origin::Debug, ..job(1, 1, 1) });
    assert_eq!(next(&mut lanes), Some(1));
    lanes.finished(UrlId(1), Origin::Debug, signal(Signal::Alive));
    assert_eq!(lanes.in_flight(), 0);
}

/// How many start now.
fn started(lanes: &mut Lanes) -> usize {
    all(lanes).len()
}
