//! What becomes of deliveries: attempts and books, lanes, URLs on hold and removed, resends.

use super::{assert_healthy, attempt, facts, notification, shop};
use crate::support::stores::{START, TestStore, on_every_engine, url_draft};
use quittance::{
    domain::{
        Cause, DeliveryState, OrderStatus, Timestamp,
        attempt::Origin,
        id::{OrderId, UrlId},
        pages::audit::AuditFilter,
    },
    server::store::{AttemptRecord, Backlog, Job, NewResend, Next, OpenAs, StoreError, StoryPart},
};
use std::{collections::BTreeMap, time::Duration};

on_every_engine! {
    attempts_move_deliveries_and_books,
    a_url_fails_as_long_as_one_of_its_deliveries_does,
    outstanding_work_survives_a_restart,
    lanes_are_read_in_order_of_due_time,
    held_urls_keep_and_released_ones_go_on,
    removed_urls_cancel_what_is_open,
    a_resend_makes_new_deliveries_once,
    a_resend_may_go_to_an_address_of_its_own,
    what_was_given_up_is_put_right_by_a_confirmed_resend,
    what_was_tried_while_the_clock_was_ahead_is_pulled_back,
    deliveries_of_another_process_are_adopted,
    what_a_shadow_gets_counts_nowhere,
    an_order_waits_for_what_was_held_in_the_middle_of_it,
}

async fn attempts_move_deliveries_and_books(mut test: TestStore) {
    let shop = shop(&test).await;
    let (first, second) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    let retry_at = START.plus(Duration::from_secs(150));
    test.record(vec![attempt(&first, Next::Retry(retry_at)), attempt(&second, Next::Confirmed)]).await;
    let (delivery, order_id, _) = test.store.delivery(shop.merchant, first.delivery_id).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.attempts, delivery.due_at), (DeliveryState::Retrying, 1, Some(retry_at)));
    assert_eq!((delivery.last_cause, order_id), (Some(Cause::ServerError), first.order_id));
    let state = test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap();
    assert_eq!((state.confirmed, state.queued, state.retrying, state.next_try), (1, 0, 1, Some(retry_at)));
    assert_eq!((state.failing_since, state.failing_cause), (Some(START), Some(Cause::ServerError)));

    test.record(vec![attempt(&first, Next::Retry(retry_at.plus(Duration::from_secs(150))))]).await;
    let state = test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap();
    assert_eq!((state.failing_since, state.failing_cause), (Some(START), Some(Cause::ServerError)));
    test.record(vec![attempt(&first, Next::Expired)]).await;
    let state = test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap();
    assert_eq!((state.retrying, state.expired, state.failing_since), (0, 1, None));
    assert_eq!((state.failing_cause, state.is_failing()), (Some(Cause::ServerError), true));
    // A late result cannot bring back what is final.
    test.record(vec![attempt(&first, Next::Confirmed)]).await;
    let (delivery, ..) = test.store.delivery(shop.merchant, first.delivery_id).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Expired, 4));
    let attempts = test.store.attempts_of(first.delivery_id, None).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [4, 3, 2, 1]);
    let exchange = test.store.exchanges(&[(first.delivery_id, 2)]).await.unwrap().remove(0).1;
    assert_eq!((exchange.request_body, exchange.answer_body), (b"REFNO=1".to_vec(), vec![0, 159, 146, 150]));
    assert_eq!((exchange.detail.note.as_str(), exchange.attempt.timings.total), ("noted", 40_000));
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.confirmed, counts.expired, counts.queued, counts.retrying), (1, 1, 0, 0));
    assert!(test.store.lanes().await.unwrap().is_empty());
    assert_healthy(&test).await;
}

async fn a_url_fails_as_long_as_one_of_its_deliveries_does(mut test: TestStore) {
    let shop = shop(&test).await;
    let mut jobs = Vec::new();
    for reference in ["1001", "1002", "1003", "1004"] {
        jobs.push(shop.accept(&mut test, reference).await);
    }
    let later = START.plus(Duration::from_secs(150));
    let mut second = attempt(&jobs[1], Next::Retry(later));
    (second.window_from, second.cause) = (START.plus(Duration::from_secs(60)), Some(Cause::PlainText));
    test.record(vec![attempt(&jobs[0], Next::Retry(later)), second.clone()]).await;
    test.record(vec![attempt(&jobs[2], Next::Confirmed)]).await;
    let state = async || test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap();
    let failing = state().await;
    assert_eq!((failing.queued, failing.retrying, failing.outstanding(), failing.is_failing()), (1, 2, 3, true));
    assert_eq!((failing.failing_since, failing.failing_cause), (Some(START), Some(Cause::PlainText)));
    test.record(vec![attempt(&jobs[0], Next::Confirmed)]).await;
    assert_eq!(state().await.failing_since, Some(second.window_from), "the other one still fails");
    test.record(vec![attempt(&jobs[1], Next::Confirmed)]).await;
    let cured = state().await;
    assert_eq!((cured.retrying, cured.is_failing(), cured.failing_since, cured.failing_cause), (0, false, None, None));
    assert_healthy(&test).await;
}

/// Open deliveries of a URL that are due until a moment: first tries, then further ones.
async fn open(test: &TestStore, url: UrlId, until: Timestamp) -> Vec<Job> {
    let mut jobs = Vec::new();
    for backlog in Backlog::ALL {
        jobs.extend(test.store.lane(url, backlog, None, until, 10).await.unwrap());
    }
    jobs
}

async fn outstanding_work_survives_a_restart(mut test: TestStore) {
    let shop = shop(&test).await;
    let (first, second) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    test.record(vec![attempt(&second, Next::Retry(START.plus(Duration::from_secs(150))))]).await;
    test.reopen(OpenAs::Server).await.unwrap();
    let lanes = test.store.lanes().await.unwrap();
    let retried = START.plus(Duration::from_secs(150));
    assert_eq!((lanes.len(), lanes[0].open), (1, 2));
    assert_eq!((lanes[0].fresh_due, lanes[0].again_due), (Some(START), Some(retried)));
    let jobs = open(&test, shop.url, Timestamp(i64::MAX)).await;
    assert_eq!(jobs.iter().map(|job| job.delivery_id).collect::<Vec<_>>(), [first.delivery_id, second.delivery_id]);
    assert_eq!((jobs[1].attempts, jobs[1].window_from), (1, Some(START)));
    let bodies = test.store.bodies(&[first.notification_id, second.notification_id]).await.unwrap();
    assert_eq!(bodies[&first.notification_id], first.body.unwrap());
}

async fn lanes_are_read_in_order_of_due_time(mut test: TestStore) {
    let shop = shop(&test).await;
    let mut ids = Vec::new();
    for number in 0..5u64 {
        let job = shop.accept(&mut test, &format!("{number}")).await;
        let due = START.plus(Duration::from_secs(100 - 10 * number));
        test.record(vec![attempt(&job, Next::Retry(due))]).await;
        ids.push((due, job.delivery_id));
    }
    ids.reverse();
    let until = START.plus(Duration::from_secs(90));
    let jobs = test.store.lane(shop.url, Backlog::Again, None, until, 2).await.unwrap();
    assert_eq!(jobs.iter().map(|job| (job.due_at, job.delivery_id)).collect::<Vec<_>>(), ids[..2]);
    let rest = test.store.lane(shop.url, Backlog::Again, Some(ids[1]), until, 10).await.unwrap();
    assert_eq!(rest.iter().map(|job| (job.due_at, job.delivery_id)).collect::<Vec<_>>(), ids[2..4], "the last is due later");
    assert_eq!(test.store.next_due(shop.url, Backlog::Again, ids[3]).await.unwrap(), Some(ids[4].0));
    assert_eq!(test.store.next_due(shop.url, Backlog::Again, ids[4]).await.unwrap(), None);
    // First tries are read apart, however late the others are due.
    let fresh = shop.accept(&mut test, "fresh").await;
    let jobs = test.store.lane(shop.url, Backlog::Fresh, None, until, 10).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.delivery_id).collect::<Vec<_>>(), [fresh.delivery_id]);
}

async fn held_urls_keep_and_released_ones_go_on(mut test: TestStore) {
    let shop = shop(&test).await;
    let (first, second) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    test.record(vec![attempt(&second, Next::Retry(START.plus(Duration::from_secs(150))))]).await;
    let draft = url_draft(shop.merchant, "https://shop.example.com/ipn");
    let held = quittance::server::store::UrlDraft { held: true, ..draft.clone() };
    test.store.update_url(shop.url, held, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.unsettled_urls().await.unwrap(), [(shop.url, true, false)]);
    assert_eq!(test.store.hold_open(shop.url).await.unwrap(), 2);
    assert!(test.store.unsettled_urls().await.unwrap().is_empty());
    // What arrives while on hold is kept, and an answer that was on its way still counts.
    let third = notification(shop.merchant, shop.listener, facts("1003", OrderStatus::Paid, 100));
    test.accept(third).await;
    test.record(vec![attempt(&first, Next::Confirmed)]).await;
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.held, counts.queued, counts.retrying, counts.confirmed), (2, 0, 0, 1));
    assert_healthy(&test).await;

    test.hand.advance(Duration::from_secs(3 * 86_400));
    test.store.update_url(shop.url, draft, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.release_held(shop.url).await.unwrap(), 2);
    // Somebody else of the process may be about to adopt them.
    let jobs = crate::support::until("both are this node's", async || {
        Some(open(&test, shop.url, test.clock.now()).await).filter(|jobs| jobs.len() == 2)
    });
    assert!(jobs.await.iter().all(|job| job.window_from.is_none()), "their time begins anew");
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.held, counts.queued, counts.retrying), (0, 1, 1));
    assert_healthy(&test).await;
}

async fn removed_urls_cancel_what_is_open(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    assert_eq!(test.store.outstanding_of(shop.url).await.unwrap(), 1);
    test.store.remove_url(shop.merchant, shop.url, "test".to_owned()).await.unwrap();
    assert!(test.store.settings().url(shop.url).is_none());
    assert_eq!(test.store.unsettled_urls().await.unwrap(), [(shop.url, false, true)]);
    assert_eq!(test.store.cancel_open(shop.url).await.unwrap(), 1);
    let (delivery, ..) = test.store.delivery(shop.merchant, job.delivery_id).await.unwrap().unwrap();
    assert_eq!(delivery.state, DeliveryState::Cancelled);
    let gone = test.store.remove_url(shop.merchant, shop.url, "test".to_owned()).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
    assert_healthy(&test).await;
}

/// A resend of a delivery's notification to its URL.
fn resend_of(job: &Job, key: &str) -> NewResend {
    NewResend {
        notification_ids: vec![job.notification_id],
        order_id: job.order_id,
        url_ids: vec![job.url_id],
        addresses: BTreeMap::new(),
        debug: false,
        actor: "support@example.com".into(),
        request_key: key.to_owned(),
        at: START.plus(Duration::from_secs(60)),
    }
}

async fn a_resend_makes_new_deliveries_once(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Confirmed)]).await;
    let resend = resend_of(&job, "once");
    let outcome = test.store.resend(shop.merchant, resend.clone()).await.unwrap();
    assert_eq!((outcome.delivery_ids.len(), outcome.repeated), (1, false));
    let announced = test.jobs.recv().await.unwrap();
    assert_eq!((announced[0].delivery_id, announced[0].origin), (outcome.delivery_ids[0], Origin::Resend));
    let again = test.store.resend(shop.merchant, resend.clone()).await.unwrap();
    assert_eq!((again.delivery_ids, again.repeated), (outcome.delivery_ids, true));
    let other = test.merchant("Other").await;
    let stolen = NewResend { request_key: "other".to_owned(), ..resend.clone() };
    assert!(matches!(test.store.resend(other, stolen).await, Err(StoreError::NotFound(_))));
    // Nor does the key of somebody else tell what he had made, or pass another order's resend off as made.
    assert!(matches!(test.store.resend(other, resend.clone()).await, Err(StoreError::NotFound(_))));
    let second = shop.accept(&mut test, "1002").await;
    let elsewhere = NewResend { order_id: second.order_id, notification_ids: vec![second.notification_id], ..resend };
    assert!(matches!(test.store.resend(shop.merchant, elsewhere).await, Err(StoreError::NotFound(_))));
    let deliveries = &test.store.notifications_of(job.order_id).await.unwrap()[0].deliveries;
    assert_eq!(deliveries.len(), 2);
    assert_eq!(deliveries[0].actor.as_deref(), Some("support@example.com"));
    assert_healthy(&test).await;
}

async fn what_was_given_up_is_put_right_by_a_confirmed_resend(mut test: TestStore) {
    let shop = shop(&test).await;
    let (first, second) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    test.record(vec![attempt(&first, Next::Expired), attempt(&second, Next::Expired)]).await;
    let expired =
        async |test: &TestStore| test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap().expired;
    // Neither one that is on its way nor one that failed again puts anything right. To which of the URL's addresses a person had it
    // sent makes no difference: nothing is left to be recovered.
    let of_then: BTreeMap<_, _> = [(shop.url, "https://old.example.com/ipn".to_owned())].into();
    for (key, addresses, next, before, left) in
        [("fails", BTreeMap::new(), Next::Expired, 2, 3), ("well", of_then, Next::Confirmed, 3, 1)]
    {
        test.store.resend(shop.merchant, NewResend { addresses, ..resend_of(&first, key) }).await.unwrap();
        assert_eq!(expired(&test).await, before, "{key}");
        let jobs = test.jobs.recv().await.unwrap();
        test.record(vec![attempt(&jobs[0], next)]).await;
        assert_eq!(expired(&test).await, left, "{key}");
    }
    test.store.resend(shop.merchant, NewResend { debug: true, ..resend_of(&second, "debug") }).await.unwrap();
    let jobs = test.jobs.recv().await.unwrap();
    test.record(vec![attempt(&jobs[0], Next::Confirmed)]).await;
    let state = test.store.url_states(&[shop.merchant], START).await.unwrap().remove(&shop.url).unwrap();
    assert_eq!((state.expired, state.failing_cause, state.is_failing()), (0, None, false));
    // The deliveries themselves stay what they are.
    let (delivery, ..) = test.store.delivery(shop.merchant, first.delivery_id).await.unwrap().unwrap();
    assert_eq!((delivery.state, delivery.put_right), (DeliveryState::Expired, true));
    // Nothing is left to be done either where the resend was confirmed before the delivery itself was given up.
    let third = shop.accept(&mut test, "1003").await;
    test.record(vec![attempt(&third, Next::Retry(START.plus(Duration::from_secs(150))))]).await;
    test.store.resend(shop.merchant, resend_of(&third, "early")).await.unwrap();
    let jobs = test.jobs.recv().await.unwrap();
    test.record(vec![attempt(&jobs[0], Next::Confirmed)]).await;
    test.record(vec![attempt(&third, Next::Expired)]).await;
    assert_eq!(expired(&test).await, 0);
    let fourth = shop.accept(&mut test, "1004").await;
    test.record(vec![attempt(&fourth, Next::Expired)]).await;
    assert_eq!(expired(&test).await, 1);
    let is_put_right = async |test: &TestStore, id| test.store.delivery(shop.merchant, id).await.unwrap().unwrap().0.put_right;
    assert!(!is_put_right(&test, fourth.delivery_id).await);
    // What was confirmed before somebody resent it says nothing of the resend.
    let fifth = shop.accept(&mut test, "1005").await;
    test.record(vec![attempt(&fifth, Next::Confirmed)]).await;
    test.hand.advance(Duration::from_secs(3_600));
    let later = NewResend { at: test.clock.now(), ..resend_of(&fifth, "lost") };
    test.store.resend(shop.merchant, later).await.unwrap();
    let jobs = test.jobs.recv().await.unwrap();
    test.record(vec![attempt(&jobs[0], Next::Expired)]).await;
    assert_eq!((expired(&test).await, is_put_right(&test, jobs[0].delivery_id).await), (2, false));
    assert_healthy(&test).await;
}

async fn what_was_tried_while_the_clock_was_ahead_is_pulled_back(mut test: TestStore) {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let shop = shop(&test).await;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let mut jobs = Vec::new();
    for (order, ahead) in [("1001", YEAR), ("1002", minutes(2)), ("1003", Duration::ZERO)] {
        let job = shop.accept(&mut test, order).await;
        let at = START.plus(ahead);
        let mut record = attempt(&job, Next::Retry(at.plus(minutes(10))));
        (record.started_at, record.finished_at, record.window_from) = (at, at, at);
        test.record(vec![record]).await;
        jobs.push(job);
    }
    while test.due.try_recv().is_ok() {}
    assert_eq!(test.store.pull_back().await.unwrap(), 1);
    assert_eq!(test.due.recv().await.unwrap()[0].0, shop.url, "its lane is told to look");
    assert_eq!(test.store.pull_back().await.unwrap(), 0);
    let far = START.plus(YEAR);
    let lane = test.store.lane(shop.url, Backlog::Again, None, far, 10).await.unwrap();
    let due: Vec<_> = lane.iter().map(|job| (job.delivery_id, job.due_at, job.window_from)).collect();
    assert_eq!(
        due,
        [
            (jobs[0].delivery_id, START.plus(minutes(10)), Some(START)),
            (jobs[2].delivery_id, START.plus(minutes(10)), Some(START)),
            // Due soon enough by its schedule.
            (jobs[1].delivery_id, START.plus(minutes(12)), Some(START.plus(minutes(2)))),
        ]
    );
    assert_healthy(&test).await;
}

async fn a_resend_may_go_to_an_address_of_its_own(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let sent_to = |job: &Job, address: &str, next| {
        let mut record = attempt(job, next);
        record.detail.url = address.to_owned();
        record
    };
    let first = sent_to(&job, "https://old.example.com/ipn", Next::Retry(START.plus(Duration::from_secs(60))));
    let mut second = sent_to(&job, "https://shop.example.com/ipn", Next::Expired);
    // What a script answers is anything, and must not hide where it went.
    second.detail.found = "a\u{0}b".to_owned();
    test.record(vec![first, second]).await;
    let sendings = test.store.sendings(shop.merchant, job.notification_id).await.unwrap();
    let told: Vec<_> = sendings.iter().map(|one| (one.url_id, one.delivery_id, one.number, one.address.as_str())).collect();
    assert_eq!(
        told,
        [
            (shop.url, job.delivery_id, 2, "https://shop.example.com/ipn"),
            (shop.url, job.delivery_id, 1, "https://old.example.com/ipn"),
        ]
    );
    let other = test.merchant("Other").await;
    assert_eq!(test.store.sendings(other, job.notification_id).await.unwrap(), []);

    let second_url = test.url(shop.merchant, "https://second.example.com/ipn").await;
    let resend = NewResend {
        url_ids: vec![shop.url, second_url],
        addresses: [(shop.url, "https://old.example.com/ipn".to_owned())].into(),
        ..resend_of(&job, "then")
    };
    let [then, now] = test.store.resend(shop.merchant, resend).await.unwrap().delivery_ids[..] else { panic!() };
    for (id, address) in [(then, Some("https://old.example.com/ipn")), (now, None), (job.delivery_id, None)] {
        assert_eq!(test.store.address_of(id).await.unwrap().as_deref(), address);
    }
    let view = async |id| test.store.delivery(shop.merchant, id).await.unwrap().unwrap().0;
    let shown = async |id| (view(id).await.url, view(id).await.elsewhere);
    assert_eq!(shown(then).await, ("https://old.example.com/ipn".to_owned(), true));
    assert_eq!(shown(now).await, ("https://second.example.com/ipn".to_owned(), false));
    let part = StoryPart { order_id: job.order_id, notifications: Vec::new(), deliveries: vec![then], attempts: Vec::new() };
    let [told] = &test.store.story_rows(&part).await.unwrap().deliveries[..] else { panic!() };
    assert_eq!((told.url.as_str(), told.elsewhere), ("https://old.example.com/ipn", true));
    let log = test.store.audit_log(Some(shop.merchant), &AuditFilter::default()).await.unwrap().0;
    let line = log.iter().find(|line| line.action == "order.resend").unwrap();
    assert!(line.detail.ends_with(" to https://old.example.com/ipn"), "{}", line.detail);
    assert_healthy(&test).await;
}

async fn deliveries_of_another_process_are_adopted(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let other = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let resend = NewResend {
        notification_ids: vec![job.notification_id],
        order_id: job.order_id,
        url_ids: vec![shop.url],
        addresses: BTreeMap::new(),
        debug: false,
        actor: "cli".into(),
        request_key: "cli-1".to_owned(),
        at: START,
    };
    let outcome = other.resend(shop.merchant, resend).await.unwrap();
    // Announced by itself, or as something that its URL's lane holds.
    let adopted = async {
        tokio::select! {
            jobs = test.jobs.recv() => assert_eq!(jobs.unwrap()[0].delivery_id, outcome.delivery_ids[0]),
            urls = test.due.recv() => assert_eq!(urls.unwrap()[0].0, shop.url),
        }
    };
    tokio::time::timeout(Duration::from_secs(5), adopted).await.expect("within a moment");
    let lane = test.store.lane(shop.url, Backlog::Fresh, None, Timestamp(i64::MAX), 10).await.unwrap();
    assert!(lane.iter().any(|job| job.delivery_id == outcome.delivery_ids[0]));
    other.close().await;
}

async fn what_a_shadow_gets_counts_nowhere(mut test: TestStore) {
    let shop = shop(&test).await;
    let mut draft = url_draft(shop.merchant, "https://shadow.example.com/");
    draft.terms.shadow = true;
    let shadow = test.store.add_url(draft, "test".to_owned()).await.unwrap();
    test.accept(notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Paid, 0))).await;
    let jobs = test.jobs.recv().await.unwrap();
    for job in &jobs {
        let next = if job.url_id == shadow { Next::Expired } else { Next::Confirmed };
        test.record(vec![AttemptRecord { shadow: job.url_id == shadow, ..attempt(job, next) }]).await;
    }
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.accepted, counts.confirmed, counts.expired), (1, 1, 0));
    let order = test.store.order(shop.merchant, jobs[0].order_id).await.unwrap().unwrap();
    assert_eq!((order.deliveries.confirmed, order.deliveries.total()), (1, 1));
    let deliveries = &test.store.notifications_of(jobs[0].order_id).await.unwrap()[0].deliveries;
    let marked: Vec<_> = deliveries.iter().map(|delivery| (delivery.url_id == shadow, delivery.shadow)).collect();
    assert!(marked.len() == 2 && marked.iter().all(|(is_shadow, says_so)| is_shadow == says_so));
    assert_healthy(&test).await;
}

async fn an_order_waits_for_what_was_held_in_the_middle_of_it(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Retry(START.plus(Duration::from_secs(150))))]).await;
    // A later message of the order, and another order.
    let later = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Refunded, 200));
    test.accept(later).await;
    let other = shop.accept(&mut test, "1002").await;
    let orders = [job.order_id, other.order_id, OrderId(1)];
    let firsts = async |test: &TestStore| {
        let mut firsts = test.store.firsts(shop.url, &orders).await.unwrap();
        firsts.sort_by_key(|first| first.delivery_id);
        firsts.into_iter().map(|first| (first.order_id, first.delivery_id, first.job.map(|job| job.attempts))).collect::<Vec<_>>()
    };
    let of_other = (other.order_id, other.delivery_id, Some(0));
    assert_eq!(firsts(&test).await, [(job.order_id, job.delivery_id, Some(1)), of_other]);
    let mut draft = url_draft(shop.merchant, "https://shop.example.com/ipn");
    draft.held = true;
    test.store.update_url(shop.url, draft, "test".to_owned()).await.unwrap();
    while test.store.hold_open(shop.url).await.unwrap() > 0 {}
    let held = [(job.order_id, job.delivery_id, None), (other.order_id, other.delivery_id, None)];
    assert_eq!(firsts(&test).await, held, "it is waited for, and is no work");
    assert!(test.store.firsts(UrlId(1), &orders).await.unwrap().is_empty());
    test.store.update_url(shop.url, url_draft(shop.merchant, "https://shop.example.com/ipn"), "test".to_owned()).await.unwrap();
    while test.store.release_held(shop.url).await.unwrap() > 0 {}
    test.record(vec![attempt(&job, Next::Confirmed), attempt(&other, Next::Expired)]).await;
    let left = firsts(&test).await;
    assert!(matches!(left[..], [(order, id, Some(0))] if order == job.order_id && id > job.delivery_id), "{left:?}");
}
