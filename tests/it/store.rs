//! The store's conformance suite: the same tests on every engine.

use crate::support::stores::{self, START, TestStore, on_every_engine, url_draft};
use quittance::{
    domain::{
        Algorithms, Cause, DeliveryState, Format, Gateway, Money, OrderStatus, RefusalReason, RetrySchedule, Role, Terms,
        Timestamp,
        attempt::{Origin, Timings, VerdictDetail},
        id::{DeliveryId, ListenerId, MerchantId, OrderId, UrlId},
        money::Currency,
        order::OrderFacts,
        pages::{audit::AuditFilter, orders::OrderFilter},
    },
    server::{
        retention,
        store::{
            Address, AttemptRecord, Backlog, Horizon, Job, NewMerchant, NewNotification, NewRefusal, NewResend, NewUser, Next,
            OpenAs, Removed, Secret, SessionRecord, StoreError, StoryPart,
        },
    },
};
use std::{collections::BTreeMap, time::Duration};

/// What is about SQLite's files.
macro_rules! on_sqlite {
    ($($test:ident,)+) => {
        mod sqlite_alone {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::stores::sqlite().await).await;
            })+
        }
    };
}

on_every_engine! {
    a_notification_is_stored_with_its_order_and_deliveries,
    an_identical_message_is_stored_once,
    identical_messages_of_one_batch_are_stored_once,
    a_late_message_does_not_downgrade_the_order,
    attempts_move_deliveries_and_books,
    a_url_fails_as_long_as_one_of_its_deliveries_does,
    outstanding_work_survives_a_restart,
    lanes_are_read_in_order_of_due_time,
    held_urls_keep_and_released_ones_go_on,
    removed_urls_cancel_what_is_open,
    a_resend_makes_new_deliveries_once,
    a_resend_may_go_to_an_address_of_its_own,
    orders_are_found_by_what_people_know,
    settings_of_another_process_arrive,
    deliveries_of_another_process_are_adopted,
    refusals_are_kept_within_bounds,
    people_and_sessions,
    names_are_taken_once,
    secrets_are_sealed_and_need_their_key,
    a_newer_database_is_refused,
    a_thousand_at_once_are_all_there,
    the_doctor_finds_what_is_wrong,
    what_is_old_goes_and_what_is_waited_for_stays,
    what_is_waited_for_does_not_keep_what_came_long_after,
    the_doctor_leaves_a_minute_around_a_change_of_urls,
    the_doctor_reads_every_message_of_every_segment,
    texts_with_zero_characters_are_stored,
    the_terms_of_a_url_are_kept,
    a_url_is_held_by_the_server_once_and_released_by_a_person,
    what_a_shadow_gets_counts_nowhere,
    an_order_waits_for_what_was_held_in_the_middle_of_it,
}

on_sqlite! {
    a_second_server_is_refused,
    the_file_can_shrink,
    the_file_shrinks_when_what_is_old_goes,
    an_event_that_cannot_be_applied_takes_no_other_with_it,
    its_files_are_its_owners_alone,
    what_cannot_be_read_does_not_stop_the_start,
    a_crash_after_long_answers_loses_nothing,
}

pub fn facts(reference: &str, status: OrderStatus, second: i64) -> OrderFacts {
    OrderFacts {
        reference: reference.into(),
        external: format!("web-{reference}").into(),
        email: format!("buyer-{reference}@example.com").into(),
        customer: "Ána Nguyễn".into(),
        status,
        vendor_status: status.code().to_uppercase().into(),
        amount: Money::parse("59.00", Currency::parse("USD").unwrap()),
        test: false,
        event_at: Some(Timestamp::from_seconds(second)),
        message_id: "254498854202".into(),
        refund: None,
    }
}

pub fn notification(merchant_id: MerchantId, listener_id: ListenerId, facts: OrderFacts) -> NewNotification {
    NewNotification {
        merchant_id,
        listener_id: Some(listener_id),
        gateway: Gateway::TwoCheckout,
        received_at: START,
        signatures: Algorithms::MD5,
        peer: "127.0.0.1".into(),
        head: "POST /ipn/x HTTP/1.1\r\n\r\n".to_owned(),
        body: format!("REFNO={}&ORDERSTATUS={}&AT={:?}", facts.reference, facts.vendor_status, facts.event_at).into(),
        outgoing: None,
        digest: None,
        facts,
        quiet: false,
    }
}

pub struct Shop {
    pub merchant: MerchantId,
    pub listener: ListenerId,
    pub url: UrlId,
}

pub async fn shop(test: &TestStore) -> Shop {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    let url = test.url(merchant, "https://shop.example.com/ipn").await;
    Shop { merchant, listener, url }
}

impl Shop {
    pub async fn accept(&self, test: &mut TestStore, reference: &str) -> Job {
        let new = notification(self.merchant, self.listener, facts(reference, OrderStatus::Paid, 100));
        let acceptance = test.accept(new).await;
        loop {
            let jobs = test.jobs.recv().await.unwrap();
            if let Some(job) =
                jobs.into_iter().find(|job| job.notification_id == acceptance.notification_id && job.url_id == self.url)
            {
                return job;
            }
        }
    }
}

pub fn attempt(job: &Job, next: Next) -> AttemptRecord {
    let cause = (next != Next::Confirmed).then_some(Cause::ServerError);
    AttemptRecord {
        delivery_id: job.delivery_id,
        merchant_id: job.merchant_id,
        order_id: job.order_id,
        url_id: job.url_id,
        started_at: START,
        finished_at: START.plus(Duration::from_millis(40)),
        window_from: START,
        address: Some("127.0.0.1:80".to_owned()),
        status: Some(if cause.is_some() { 500 } else { 200 }),
        cause,
        detail: VerdictDetail { note: "noted".to_owned(), ..VerdictDetail::default() },
        timings: Timings { connect: Some(500), total: 40_000, ..Timings::default() },
        request_head: "POST /ipn HTTP/1.1\r\n".to_owned(),
        request_body: "REFNO=1".into(),
        answer_head: "HTTP/1.1 200 OK\r\n".to_owned(),
        answer_body: vec![0, 159, 146, 150].into(),
        shadow: false,
        next,
    }
}

pub async fn assert_healthy(test: &TestStore) {
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn a_notification_is_stored_with_its_order_and_deliveries(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    assert_eq!(job.url_id, shop.url);
    assert_eq!((job.attempts, job.origin, job.due_at), (0, Origin::Arrival, START));
    let order = test.store.order(shop.merchant, job.order_id).await.unwrap().unwrap();
    assert_eq!((order.reference.as_str(), order.status), ("1001", OrderStatus::Paid));
    assert_eq!(order.amount.unwrap().minor, 5_900);
    assert_eq!(order.deliveries.queued, 1);
    let notifications = test.store.notifications_of(job.order_id).await.unwrap();
    assert_eq!(notifications.len(), 1);
    assert_eq!(notifications[0].deliveries[0].id, job.delivery_id);
    assert_eq!(notifications[0].listener.as_ref().unwrap().1, "Shop");
    let stored = test.store.notification(shop.merchant, job.notification_id).await.unwrap().unwrap();
    assert_eq!(stored.body, job.body.unwrap());
    assert_eq!(stored.head, "POST /ipn/x HTTP/1.1\r\n\r\n");
    let other = test.merchant("Other").await;
    assert!(test.store.order(other, job.order_id).await.unwrap().is_none(), "another merchant sees nothing");
    assert!(test.store.notification(other, job.notification_id).await.unwrap().is_none());
    assert_healthy(&test).await;
}

async fn an_identical_message_is_stored_once(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let again = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Paid, 100));
    for _ in 0..2 {
        let acceptance = test.accept(again.clone()).await;
        assert_eq!((acceptance.notification_id, acceptance.repeated), (job.notification_id, true));
    }
    let notifications = test.store.notifications_of(job.order_id).await.unwrap();
    assert_eq!((notifications.len(), notifications[0].repeats, notifications[0].deliveries.len()), (1, 2, 1));
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.accepted, counts.repeats, counts.queued), (1, 2, 1));
    // The same bytes at another listener are another message.
    let second = test.merchant("Second").await;
    let listener = test.listener(second).await;
    let elsewhere = notification(second, listener, facts("1001", OrderStatus::Paid, 100));
    assert!(!test.accept(elsewhere).await.repeated);
    // A message that names no time of its own is told by its bytes alone.
    let mut timeless = notification(shop.merchant, shop.listener, facts("1002", OrderStatus::Paid, 100));
    timeless.facts.event_at = None;
    assert!(!test.accept(timeless.clone()).await.repeated);
    timeless.received_at = START.plus(Duration::from_secs(900));
    assert!(test.accept(timeless).await.repeated);
    assert_healthy(&test).await;
}

async fn identical_messages_of_one_batch_are_stored_once(test: TestStore) {
    let shop = shop(&test).await;
    let new = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Paid, 100));
    let accepted = futures::future::join_all((0..50).map(|_| test.store.accept(new.clone()))).await;
    let accepted: Vec<_> = accepted.into_iter().map(Result::unwrap).collect();
    assert_eq!(accepted.iter().filter(|acceptance| !acceptance.repeated).count(), 1);
    assert!(accepted.iter().all(|acceptance| acceptance.notification_id == accepted[0].notification_id));
    test.store.settled().await.unwrap();
    assert_healthy(&test).await;
}

async fn a_late_message_does_not_downgrade_the_order(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let mut late = facts("1001", OrderStatus::Pending, 99);
    late.email = "late@example.com".into();
    test.accept(notification(shop.merchant, shop.listener, late)).await;
    let order = test.store.order(shop.merchant, job.order_id).await.unwrap().unwrap();
    assert_eq!((order.status, order.email.as_str()), (OrderStatus::Paid, "buyer-1001@example.com"));
    let mut refund = facts("1001", OrderStatus::Refunded, 200);
    refund.email = Default::default();
    refund.amount = None;
    test.accept(notification(shop.merchant, shop.listener, refund)).await;
    let order = test.store.order(shop.merchant, job.order_id).await.unwrap().unwrap();
    assert_eq!(order.status, OrderStatus::Refunded);
    assert_eq!(order.email, "buyer-1001@example.com", "what was known stays known");
    assert!(order.amount.is_some());
    assert_eq!(test.store.notifications_of(job.order_id).await.unwrap().len(), 3);
    assert_healthy(&test).await;
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

async fn a_resend_makes_new_deliveries_once(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Confirmed)]).await;
    let resend = NewResend {
        notification_ids: vec![job.notification_id],
        order_id: job.order_id,
        url_ids: vec![shop.url],
        addresses: BTreeMap::new(),
        debug: false,
        actor: "support@example.com".into(),
        request_key: "once".to_owned(),
        at: START.plus(Duration::from_secs(60)),
    };
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
        notification_ids: vec![job.notification_id],
        order_id: job.order_id,
        url_ids: vec![shop.url, second_url],
        addresses: [(shop.url, "https://old.example.com/ipn".to_owned())].into(),
        debug: false,
        actor: "support@example.com".into(),
        request_key: "then".to_owned(),
        at: START.plus(Duration::from_secs(60)),
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

async fn orders_are_found_by_what_people_know(test: TestStore) {
    let shop = shop(&test).await;
    for number in 1..=60 {
        test.hand.advance(Duration::from_secs(3_600));
        let mut facts = facts(&format!("20{number:02}"), OrderStatus::Paid, 100);
        if number % 10 == 0 {
            facts.status = OrderStatus::Refunded;
            facts.test = true;
        }
        let mut new = notification(shop.merchant, shop.listener, facts);
        new.received_at = test.clock.now();
        test.accept(new).await;
    }
    let other = test.merchant("Other").await;
    let find = |filter: OrderFilter| {
        let store = test.store.clone();
        async move {
            let (rows, more, _) = store.find_orders(shop.merchant, &filter).await.unwrap();
            (rows.into_iter().map(|row| row.reference).collect::<Vec<_>>(), more)
        }
    };
    let text = |text: &str| OrderFilter { text: text.to_owned(), ..OrderFilter::default() };
    let (page, more) = find(OrderFilter::default()).await;
    assert_eq!((page.len(), page[0].as_str(), more), (50, "2060", true));
    let last = test.store.find_orders(shop.merchant, &OrderFilter::default()).await.unwrap().0[49].id;
    let (rest, more) = find(OrderFilter { after: Some(last), ..OrderFilter::default() }).await;
    assert_eq!((rest.len(), rest[9].as_str(), more), (10, "2001", false));
    assert_eq!(find(text("2042")).await.0, ["2042"]);
    assert_eq!(find(text(" web-2042 ")).await.0, ["2042"]);
    assert_eq!(find(text("BUYER-2042@Example.com")).await.0, ["2042"]);
    assert_eq!(find(text("205")).await.0.len(), 10, "the beginning is enough");
    assert_eq!(find(text("%")).await.0.len(), 0);
    assert_eq!(find(text("buyer-99")).await.0.len(), 0);
    let (refunded, _) = find(OrderFilter { status: Some(OrderStatus::Refunded), ..OrderFilter::default() }).await;
    assert_eq!(refunded, ["2060", "2050", "2040", "2030", "2020", "2010"]);
    let (tests, _) = find(OrderFilter { test: Some(true), ..text("205") }).await;
    assert_eq!(tests, ["2050"]);
    assert_eq!(find(OrderFilter { test: Some(true), ..OrderFilter::default() }).await.0.len(), 6);
    let day = OrderFilter {
        from: Some(START.plus(Duration::from_secs(3_600 * 10))),
        until: Some(START.plus(Duration::from_secs(3_600 * 12))),
        ..OrderFilter::default()
    };
    assert_eq!(find(day).await.0, ["2011", "2010"]);
    assert!(test.store.find_orders(other, &OrderFilter::default()).await.unwrap().0.is_empty());
    let id = test.store.order_by_reference(shop.merchant, "web-2042").await.unwrap().unwrap();
    assert_eq!(test.store.order_by_reference(shop.merchant, "2042").await.unwrap(), Some(id));
    assert_eq!(test.store.order_by_reference(other, "2042").await.unwrap(), None);
    let _: OrderId = id;
}

async fn settings_of_another_process_arrive(test: TestStore) {
    let other = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let mut directory = test.store.directory();
    let new = NewMerchant { name: "From the command line".to_owned(), secret_key: Secret::new("k") };
    let merchant = other.add_merchant(new, "cli".to_owned()).await.unwrap();
    let seen = directory.wait_for(|directory| directory.merchant(merchant).is_some());
    let seen = tokio::time::timeout(Duration::from_secs(5), seen).await.expect("within a moment").unwrap();
    assert_eq!(seen.merchant_named("from-the-command-line").unwrap().secret_key.reveal(), b"k");
    assert_eq!(seen.merchant_named("from THE command line").unwrap().id, merchant);
    drop(seen);
    other.close().await;
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

async fn refusals_are_kept_within_bounds(test: TestStore) {
    let shop = shop(&test).await;
    let new = NewRefusal {
        merchant_id: Some(shop.merchant),
        listener_id: Some(shop.listener),
        at: START,
        reason: RefusalReason::WrongSignature,
        detail: "HASH".to_owned(),
        peer: "127.0.0.1".into(),
        head: "POST /ipn/x HTTP/1.1\r\n".to_owned(),
        body: "REFNO=1".into(),
        size: 7,
        suppressed: 3,
        reference: String::new(),
    };
    let first = test.store.refuse(new.clone()).await.unwrap();
    let stored = test.store.refusal(shop.merchant, first).await.unwrap().unwrap();
    assert_eq!((stored.body.as_slice(), stored.row.suppressed), (&b"REFNO=1"[..], 3));
    for _ in 0..520 {
        test.store.refuse(new.clone()).await.unwrap();
    }
    assert!(test.store.refusal(shop.merchant, first).await.unwrap().is_none(), "the oldest made room");
    assert_eq!(test.store.refused_by(shop.listener).await.unwrap().len(), 50);
    assert_eq!(test.store.counts(&[shop.merchant], START).await.unwrap().refused, 521 * 4);
    let unknown = NewRefusal { merchant_id: None, listener_id: None, reason: RefusalReason::UnknownListener, ..new };
    test.store.refuse(unknown).await.unwrap();
}

async fn people_and_sessions(test: TestStore) {
    let merchant = test.merchant("Shop").await;
    assert!(!test.store.has_admin().await.unwrap());
    let user = |email: &str, role, merchants: &[MerchantId]| NewUser {
        email: email.to_owned(),
        password_hash: "hash".to_owned(),
        role,
        merchants: merchants.to_vec(),
    };
    let admin = test.store.add_user(user("a@example.com", Role::Admin, &[]), true, "setup".to_owned()).await.unwrap();
    let second = test.store.add_user(user("b@example.com", Role::Admin, &[]), true, "setup".to_owned()).await;
    assert!(matches!(second, Err(StoreError::Taken(_))), "the first run is over");
    let member = test.store.add_user(user("m@example.com", Role::Merchant, &[merchant]), false, "cli".to_owned()).await.unwrap();
    let twice = test.store.add_user(user("m@example.com", Role::Support, &[]), false, "cli".to_owned()).await;
    assert!(matches!(twice, Err(StoreError::Taken(_))));
    let found = test.store.user_by_email("m@example.com").await.unwrap().unwrap();
    assert_eq!((found.id, found.role, found.merchants), (member, Role::Merchant, vec![merchant]));

    let hour = Duration::from_secs(3_600);
    let session = SessionRecord {
        token_hash: [7; 32],
        user_id: admin,
        created_at: START,
        expires_at: START.plus(hour),
        address: String::new(),
        agent: String::new(),
    };
    test.store.add_session(session.clone()).await.unwrap();
    assert_eq!(test.store.session_user(&[7; 32], START).await.unwrap().unwrap().0.id, admin);
    assert!(test.store.session_user(&[8; 32], START).await.unwrap().is_none());
    assert!(test.store.session_user(&[7; 32], START.plus(hour)).await.unwrap().is_none(), "it has ended");
    test.store.touch_session([7; 32], START.plus(hour / 2), START.plus(hour * 2)).await.unwrap();
    assert!(test.store.session_user(&[7; 32], START.plus(hour)).await.unwrap().is_some());
    let second = SessionRecord { token_hash: [9; 32], user_id: member, ..session };
    test.store.add_session(second).await.unwrap();
    let users = async |hashes: &[[u8; 32]], at| {
        let found = test.store.session_users(hashes, at).await.unwrap();
        found.into_iter().map(|(hash, user)| (hash, user.id)).collect::<BTreeMap<_, _>>()
    };
    let both = [([7; 32], admin), ([9; 32], member)];
    assert_eq!(users(&[[7; 32], [8; 32], [9; 32]], START).await, both.into());
    assert_eq!(users(&[[7; 32], [9; 32]], START.plus(hour)).await, [([7; 32], admin)].into(), "the other has ended");
    assert_eq!(users(&[], START).await, [].into());
    test.store.set_password(admin, "new".to_owned(), "a@example.com".to_owned()).await.unwrap();
    assert!(test.store.session_user(&[7; 32], START).await.unwrap().is_none(), "a new password ends sessions");
    test.store.set_setup_token([1; 32]).await.unwrap();
    test.store.set_setup_token([2; 32]).await.unwrap();
    assert_eq!(test.store.setup_token().await.unwrap(), Some([2; 32]));
}

async fn names_are_taken_once(test: TestStore) {
    let shop = NewMerchant { name: "Shop".to_owned(), secret_key: Secret::new("k") };
    test.store.add_merchant(shop, "test".to_owned()).await.unwrap();
    let upper = NewMerchant { name: "SHOP".to_owned(), secret_key: Secret::new("k") };
    assert!(matches!(test.store.add_merchant(upper, "test".to_owned()).await, Err(StoreError::Taken(_))));
    let similar = NewMerchant { name: "shop!".to_owned(), secret_key: Secret::new("k") };
    test.store.add_merchant(similar, "test".to_owned()).await.unwrap();
    let settings = test.store.settings();
    assert_eq!(settings.merchant_named("shop-2").unwrap().name, "shop!");
}

async fn secrets_are_sealed_and_need_their_key(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    test.store.set_secret_key(merchant, Secret::new("a-very-secret-key"), START, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.settings().merchant(merchant).unwrap().secret_key.reveal(), b"a-very-secret-key");
    test.store.close().await;
    let folder = test.folder.path().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(17).any(|window| window == b"a-very-secret-key"), "{}", path.display());
    }
    std::fs::rename(folder.join("quittance.key"), folder.join("away")).unwrap();
    assert!(matches!(test.reopen(OpenAs::Server).await, Err(StoreError::KeyMissing(_))));
    std::fs::write(folder.join("quittance.key"), "0".repeat(64)).unwrap();
    assert!(matches!(test.reopen(OpenAs::Server).await, Err(StoreError::KeyWrong(_))));
    std::fs::rename(folder.join("away"), folder.join("quittance.key")).unwrap();
    test.reopen(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.settings().merchant(merchant).unwrap().secret_key.reveal(), b"a-very-secret-key");
}

async fn a_newer_database_is_refused(mut test: TestStore) {
    test.store.close().await;
    test.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         SELECT 9999, 'from the future', CURRENT_TIMESTAMP, success, checksum, 0 FROM _sqlx_migrations LIMIT 1",
    )
    .await;
    let error = test.reopen(OpenAs::Server).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 9999 }));
    assert!(error.to_string().contains("newer version"));
}

async fn a_second_server_is_refused(test: TestStore) {
    let error = test.second(OpenAs::Server).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked(_)));
    let tool = test.second(OpenAs::Tool { create: false }).await.unwrap();
    assert!(tool.is_served().await.unwrap());
    tool.close().await;
    let missing = Address::Sqlite(test.folder.path().join("none.db"));
    let settings = quittance::server::store::StoreSettings {
        open_as: OpenAs::Tool { create: false },
        key_file: None,
        clock: test.clock.clone(),
    };
    let error = quittance::server::store::Store::open(&missing, settings, Default::default()).await.err().unwrap();
    assert!(matches!(error, StoreError::Missing(_)), "a typing error makes no empty database");
}

async fn a_thousand_at_once_are_all_there(mut test: TestStore) {
    let shop = shop(&test).await;
    let second = test.url(shop.merchant, "https://second.example.com/").await;
    let accepts = (0..1_000).map(|number| {
        let new =
            notification(shop.merchant, shop.listener, facts(&format!("{}", number % 300), OrderStatus::Paid, 100 + number));
        test.store.accept(new)
    });
    let accepted = futures::future::join_all(accepts).await;
    assert!(accepted.iter().all(|acceptance| acceptance.as_ref().is_ok_and(|acceptance| !acceptance.repeated)));
    let mut jobs = Vec::new();
    while jobs.len() < 2_000 {
        jobs.extend(test.jobs.recv().await.unwrap());
    }
    assert_eq!(jobs.iter().filter(|job| job.url_id == second).count(), 1_000);
    let records = jobs.chunks(7).map(|some| test.store.record(some.iter().map(|job| attempt(job, Next::Confirmed)).collect()));
    for recorded in futures::future::join_all(records).await {
        recorded.unwrap();
    }
    test.store.settled().await.unwrap();
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.accepted, counts.confirmed, counts.queued), (1_000, 2_000, 0));
    assert_healthy(&test).await;
    let _: Vec<DeliveryId> = jobs.iter().map(|job| job.delivery_id).collect();
}

async fn the_doctor_finds_what_is_wrong(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    assert_healthy(&test).await;
    test.sql(&format!("UPDATE delivery SET state = 4 WHERE id = {}", job.delivery_id.get())).await;
    test.sql(&format!("UPDATE notification SET digest = {}", test.wrong_digest())).await;
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect();
    assert_eq!(
        wrong,
        [
            "the books balance",
            "open deliveries are due, final ones are not",
            "what is confirmed was confirmed by a receipt",
            "stored messages are unaltered"
        ]
    );
}

async fn texts_with_zero_characters_are_stored(mut test: TestStore) {
    let shop = shop(&test).await;
    let mut odd = facts("10\u{0}01", OrderStatus::Paid, 100);
    (odd.customer, odd.vendor_status) = ("A\u{0}".into(), "\u{0}".into());
    test.accept(notification(shop.merchant, shop.listener, odd)).await;
    let job = shop.accept(&mut test, "1002").await;
    let mut failed = attempt(&job, Next::Expired);
    (failed.detail.note, failed.answer_head) = ("\u{0}".to_owned(), "\u{0}".to_owned());
    test.record(vec![failed]).await;
    let (rows, ..) = test.store.find_orders(shop.merchant, &OrderFilter::default()).await.unwrap();
    assert_eq!(rows.len(), 2);
    let text = OrderFilter { text: "10\u{0}".to_owned(), ..OrderFilter::default() };
    assert_eq!(test.store.find_orders(shop.merchant, &text).await.unwrap().0.len(), 1);
    assert!(test.store.order_by_reference(shop.merchant, "10\u{0}01").await.unwrap().is_some());
    assert!(test.store.user_by_email("a\u{0}").await.unwrap().is_none());
    assert_healthy(&test).await;
}

async fn an_event_that_cannot_be_applied_takes_no_other_with_it(test: TestStore) {
    let shop = shop(&test).await;
    test.sql("CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN NEW.reference = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    let new = |reference: &str| notification(shop.merchant, shop.listener, facts(reference, OrderStatus::Paid, 100));
    // So many at once that most of them share an entry of the journal.
    let references: Vec<String> =
        (0..60).map(|number| if number == 30 { "bad".to_owned() } else { number.to_string() }).collect();
    let accepted = futures::future::join_all(references.iter().map(|reference| test.store.accept(new(reference)))).await;
    assert!(accepted.iter().all(Result::is_ok));
    test.store.settled().await.unwrap();
    for reference in &references {
        let found = test.store.order_by_reference(shop.merchant, reference).await.unwrap();
        assert_eq!(found.is_some(), reference != "bad", "{reference}");
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_stuck").fetch_one(&mut conn).await.unwrap();
    assert_eq!(kept, 1);
}

async fn the_file_can_shrink(test: TestStore) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut conn).await.unwrap();
    assert_eq!(mode, 2, "incremental, so that retention can give pages back");
}

async fn the_file_shrinks_when_what_is_old_goes(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let mut pages = async || -> (i64, i64) {
        let count = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut conn).await.unwrap();
        (count, sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut conn).await.unwrap())
    };
    let (empty, _) = pages().await;
    for number in 0..40 {
        let job = shop.accept(&mut test, &number.to_string()).await;
        let mut done = attempt(&job, Next::Confirmed);
        // Nothing that could be packed.
        let mut state = 88_172_645_463_325_252_u64 + number;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        done.answer_body = (0..8_000).flat_map(|_| noise()).collect::<Vec<u8>>().into();
        test.record(vec![done]).await;
    }
    let (full, _) = pages().await;
    assert!(full > empty + 300, "{full} pages after {empty}");
    test.hand.advance(DAY * 100);
    let now = test.clock.now();
    let horizon = Horizon { bytes_before: now.minus(DAY * 90), ledger_before: now.minus(DAY * 400) };
    assert!(retention::once(&test.store, horizon).await.unwrap().segments > 0);
    let (left, free) = pages().await;
    assert!(left < empty + (full - empty) / 3 && free == 0, "{left} pages of {full}, {free} of them free");
    assert_healthy(&test).await;
}

async fn what_is_old_goes_and_what_is_waited_for_stays(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let retry = Next::Retry(START.plus(Duration::from_secs(150)));
    let (done, waiting) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    test.record(vec![attempt(&done, retry), attempt(&done, Next::Confirmed), attempt(&waiting, retry)]).await;
    let everything = async |test: &TestStore, bytes: u32, ledger: u32| {
        let now = test.clock.now();
        let horizon = Horizon { bytes_before: now.minus(DAY * bytes), ledger_before: now.minus(DAY * ledger) };
        retention::once(&test.store, horizon).await.unwrap()
    };
    assert_eq!(everything(&test, 90, 400).await, Removed::default(), "all of it is fresh");

    test.hand.advance(DAY * 100);
    let fresh = shop.accept(&mut test, "1003").await;
    // The bytes of both lie together where they were committed together; what somebody waits for keeps them.
    let removed = everything(&test, 90, 400).await;
    assert_eq!((removed.attempts, removed.notifications, removed.orders), (2, 0, 0));
    assert!(test.store.attempts_of(done.delivery_id, None).await.unwrap().is_empty());
    assert_eq!(test.store.attempts_of(waiting.delivery_id, None).await.unwrap().len(), 1);
    let bodies = test.store.bodies(&[waiting.notification_id, fresh.notification_id]).await.unwrap();
    assert!(bodies.len() == 2 && bodies.values().all(|body| !body.is_empty()), "{bodies:?}");
    assert_healthy(&test).await;

    test.record(vec![attempt(&waiting, Next::Confirmed)]).await;
    let removed = everything(&test, 90, 400).await;
    assert!(removed.segments > 0 && removed.notifications == 0, "{removed:?}");
    let stored = test.store.notification(shop.merchant, waiting.notification_id).await.unwrap().unwrap();
    assert!(stored.body.is_empty() && stored.view.size > 0, "the row tells that it was there");
    assert_healthy(&test).await;

    test.hand.advance(DAY * 320);
    let removed = everything(&test, 90, 400).await;
    assert_eq!((removed.notifications, removed.deliveries, removed.orders), (2, 2, 2));
    assert!(test.store.order(shop.merchant, done.order_id).await.unwrap().is_none());
    assert!(!test.store.bodies(&[fresh.notification_id]).await.unwrap()[&fresh.notification_id].is_empty());
    assert_eq!(everything(&test, 90, 400).await, Removed::default(), "once is enough");
    assert_healthy(&test).await;
    let again = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Refunded, 900));
    assert!(!test.accept(again).await.repeated);
    assert_healthy(&test).await;
}

async fn what_is_waited_for_does_not_keep_what_came_long_after(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let waiting = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&waiting, Next::Retry(START.plus(DAY * 300)))]).await;
    let mut done = Vec::new();
    for number in 0..3 {
        test.hand.advance(DAY);
        let job = shop.accept(&mut test, &format!("200{number}")).await;
        test.record(vec![attempt(&job, Next::Confirmed)]).await;
        done.push(job.notification_id);
    }
    test.hand.advance(DAY * 100);
    let now = test.clock.now();
    let horizon = Horizon { bytes_before: now.minus(DAY * 90), ledger_before: now.minus(DAY * 400) };
    let removed = retention::once(&test.store, horizon).await.unwrap();
    assert!(removed.segments >= 3, "{removed:?}");
    let bodies = test.store.bodies(&done).await.unwrap();
    assert!(bodies.values().all(|body| body.is_empty()), "{bodies:?}");
    let bodies = test.store.bodies(&[waiting.notification_id]).await.unwrap();
    assert!(!bodies[&waiting.notification_id].is_empty());
    assert_healthy(&test).await;
}

async fn connection(test: &TestStore, file: &str) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join(file));
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

async fn what_cannot_be_read_does_not_stop_the_start(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    test.store.close().await;
    let mut journal = connection(&test, "quittance.intake").await;
    let insert = "INSERT INTO journal (id, events, segments) VALUES (1000000, x'0909', x'01')";
    sqlx::query(insert).execute(&mut journal).await.unwrap();
    sqlx::Connection::close(journal).await.unwrap();
    test.reopen(OpenAs::Server).await.unwrap();
    let new = notification(shop.merchant, shop.listener, facts("1002", OrderStatus::Paid, 100));
    assert!(!test.accept(new).await.repeated);
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert_eq!((wrong.len(), wrong[0].check), (1, "what was promised is in the ledger"), "{wrong:?}");
    let kept = "SELECT events, segments FROM journal_stuck WHERE id = 1000000";
    let kept: (Vec<u8>, Vec<u8>) = sqlx::query_as(kept).fetch_one(&mut connection(&test, "quittance.db").await).await.unwrap();
    assert_eq!(kept, (vec![9, 9], vec![1]), "nothing is lost");
    test.reopen(OpenAs::Server).await.unwrap();
}

async fn a_crash_after_long_answers_loses_nothing(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let mut failed = attempt(&job, Next::Retry(START.plus(Duration::from_secs(150))));
    failed.detail.note = "x".repeat(60_000);
    // A change under way keeps the ledger from following, as a crash would.
    let mut writer = connection(&test, "quittance.db").await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    test.store.record(vec![failed; 200]).await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["quittance.db", "quittance.db-wal", "quittance.intake", "quittance.intake-wal", "quittance.key"] {
        std::fs::copy(test.folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    sqlx::query("ROLLBACK").execute(&mut writer).await.unwrap();
    test.store.close().await;
    test.address = Address::Sqlite(crashed.path().join("quittance.db"));
    test.folder = crashed;
    test.store = test.second(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.attempts_of(job.delivery_id, None).await.unwrap().len(), 200);
    assert_healthy(&test).await;
}

async fn the_doctor_reads_every_message_of_every_segment(test: TestStore) {
    let shop = shop(&test).await;
    // More than the doctor looks at together, over several segments.
    let accepts = (0..2_500).map(|number| {
        let order = format!("{}", 1_001 + number);
        let mut new = notification(shop.merchant, shop.listener, facts(&order, OrderStatus::Paid, 100 + number));
        new.body = format!("NUMBER={number}&PAD={}", "x".repeat(500)).into();
        test.store.accept(new)
    });
    assert!(futures::future::join_all(accepts).await.iter().all(Result::is_ok));
    test.store.settled().await.unwrap();
    let unaltered = async || {
        let findings = test.store.verify().await.unwrap();
        findings.into_iter().find(|finding| finding.check == "stored messages are unaltered").unwrap()
    };
    assert_eq!(unaltered().await.detail, "2500 bodies hash right");
    for end in ["min", "max"] {
        test.sql(&format!(
            "UPDATE notification SET digest = {} WHERE id = (SELECT {end}(id) FROM notification)",
            test.wrong_digest()
        ))
        .await;
    }
    assert_eq!(unaltered().await.detail, "2 of 2500 bodies are altered");
    // Bytes that are gone are another check's finding.
    test.sql("DELETE FROM segment").await;
    assert_eq!(unaltered().await.detail, "0 bodies hash right");
}

async fn its_files_are_its_owners_alone(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    #[cfg(unix)]
    for file in std::fs::read_dir(test.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
    }
}

async fn the_doctor_leaves_a_minute_around_a_change_of_urls(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    test.sql("DELETE FROM delivery").await;
    for (seconds, ok) in [(50, true), (70, false)] {
        let received = START.plus(Duration::from_secs(seconds)).micros();
        test.sql(&format!("UPDATE notification SET received_at = {received}")).await;
        let findings = test.store.verify().await.unwrap();
        let fanned_out = findings.iter().find(|finding| finding.check == "every notification was fanned out").unwrap();
        assert_eq!(fanned_out.ok, ok, "{seconds}: {}", fanned_out.detail);
    }
}

async fn the_terms_of_a_url_are_kept(test: TestStore) {
    let shop = shop(&test).await;
    let terms = |test: &TestStore| test.store.settings().url(shop.url).unwrap().terms.clone();
    assert_eq!(terms(&test), Terms::default());
    let own = Terms {
        max_in_flight: 256,
        rate_per_second: Some(1_000),
        retries: RetrySchedule::Own([60, 90].into()),
        shadow: true,
        authority: "-----BEGIN CERTIFICATE-----".to_owned(),
        timeout: Some(7),
        triggers: Some("COMPLETE,REFUND".parse().unwrap()),
        format: Format::PassThrough,
    };
    let mut draft = url_draft(shop.merchant, "https://shop.example.com/ipn");
    draft.terms = own.clone();
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    assert_eq!(terms(&test), own);
    let added = test.store.add_url(draft, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.settings().url(added).unwrap().terms, own);
}

async fn a_url_is_held_by_the_server_once_and_released_by_a_person(test: TestStore) {
    let shop = shop(&test).await;
    let address = test.store.settings().url(shop.url).unwrap().url.clone();
    let hold = async |address: &str| {
        test.store.hold_for(shop.url, address.to_owned(), Cause::Gone, "quittance".to_owned()).await.unwrap()
    };
    assert!(!hold("https://before.example.com/").await, "somebody has corrected the URL meanwhile");
    assert!(hold(&address).await && !hold(&address).await);
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held, held.held_at, held.held_cause), (true, Some(START), Some(Cause::Gone)));
    // Whoever changes something else leaves it on hold, for the same reason.
    test.hand.advance(Duration::from_secs(60));
    let mut draft = url_draft(shop.merchant, &address);
    draft.held = true;
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held, held.held_at, held.held_cause), (true, Some(START), Some(Cause::Gone)));
    draft.held = false;
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    let free = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((free.held, free.held_at, free.held_cause), (false, None, None));
    draft.held = true;
    test.store.update_url(shop.url, draft, "test".to_owned()).await.unwrap();
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held_at, held.held_cause), (Some(START.plus(Duration::from_secs(60))), None), "a person did it");
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
