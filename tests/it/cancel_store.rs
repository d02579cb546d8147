//! The store's conformance suite: lists of deliveries that are given up. The same on every engine.

use crate::bulk_store::{LATER, Made, Shop, assert_healthy, shop, state, work};
use crate::support::{
    stores::{START, TestStore, on_every_engine, postgres},
    until,
};
use quittance::{
    domain::{
        Cause, DeliveryState,
        id::BulkId,
        pages::{
            bulk::{BulkRow, BulkStanding, BulkState, BulkTarget},
            deliveries::{DeliveryFilter, StateFilter},
            via::Via,
        },
    },
    server::{
        retention,
        store::{BulkOrder, BulkStep, Horizon, Next, OpenAs},
    },
};
use std::time::Duration;

on_every_engine! {
    a_list_is_given_up_and_the_books_balance,
    what_was_on_its_way_is_confirmed_all_the_same,
    what_is_undone_was_never_done_and_what_is_stopped_keeps_the_rest,
    what_was_cancelled_can_be_resent,
    only_what_fits_is_cancelled,
    a_job_is_known_as_long_as_what_it_cancelled,
}

fn order(filter: DeliveryFilter) -> BulkOrder {
    BulkOrder { filter, target: BulkTarget::Cancel }
}

/// Six orders to two URLs, the second on hold: at the first one is confirmed, one is tried again, one has expired.
async fn outstanding(test: &TestStore) -> (Shop, Vec<Vec<Made>>) {
    let shop = shop(test, 2).await;
    test.store.hold_url(shop.merchant, shop.urls[1], true, "owner@example.com").await.unwrap();
    let mut all = Vec::new();
    for number in 0..6 {
        all.push(shop.accept(test, &format!("10{number}"), false).await);
    }
    for (number, next) in [Next::Confirmed, LATER, Next::Expired].into_iter().enumerate() {
        shop.end(test, all[number][0], next).await;
    }
    (shop, all)
}

/// Works until a job has ended.
async fn done(test: &TestStore, shop: &Shop, id: BulkId) -> (BulkRow, BulkStanding) {
    until("a job to end", || async {
        test.store.step_bulk().await.unwrap();
        let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
        job.finished_at.is_some().then_some((job, standing))
    })
    .await
}

async fn a_list_is_given_up_and_the_books_balance(test: TestStore) {
    let (shop, all) = outstanding(&test).await;
    let count = test.store.count_bulk(shop.merchant, &order(DeliveryFilter::default())).await.unwrap();
    assert_eq!((count.made, count.more), (10, false));
    assert_eq!(count.by_state, [(DeliveryState::Queued, 3), (DeliveryState::Retrying, 1), (DeliveryState::Held, 6)]);
    assert_eq!(count.by_url, [(shop.urls[1], 6), (shop.urls[0], 4)]);
    let id = shop.start(&test, DeliveryFilter::default(), BulkTarget::Cancel, "a").await;
    let again = test.store.add_bulk(shop.merchant, shop.wish(&test, order(DeliveryFilter::default()), Some(10), "a"));
    assert_eq!(again.await.unwrap(), id, "a double click");
    // What comes now is not part of the list.
    let later = shop.accept(&test, "later", false).await;
    let (job, standing) = done(&test, &shop, id).await;
    assert_eq!((job.state, job.made, job.expected, job.is_cancel()), (BulkState::Done, 10, Some(10), true));
    assert_eq!((standing.withdrawn.number, standing.cancelled.number), (9, 1), "not sent yet, and sent before");
    for (filter, number) in [
        (StateFilter::Queued, 1),
        (StateFilter::Held, 1),
        (StateFilter::Retrying, 0),
        (StateFilter::Cancelled, 10),
        (StateFilter::Expired, 1),
        (StateFilter::Confirmed, 1),
    ] {
        assert_eq!(shop.count(&test, &state(filter)).await, number, "{filter:?}");
    }
    assert!(!test.store.is_open(all[4][0].delivery).await.unwrap());
    assert!(test.store.is_open(later[0].delivery).await.unwrap());
    let found = test.store.find_deliveries(shop.merchant, &state(StateFilter::Cancelled), 50).await.unwrap();
    let delivery = &found.rows[0].delivery;
    assert_eq!((delivery.cancelled_by.as_deref(), delivery.finished_at), (Some("support@example.com"), Some(START)));
    let directory = test.store.settings();
    let mark = directory.merchant(shop.merchant).unwrap().cancelled_before;
    assert!(mark > all[5][1].delivery && mark.0 >= id.0, "those who send look first");
    assert_healthy(&test).await;
}

async fn what_was_on_its_way_is_confirmed_all_the_same(test: TestStore) {
    let (shop, all) = outstanding(&test).await;
    let id = shop.start(&test, state(StateFilter::Queued), BulkTarget::Cancel, "a").await;
    done(&test, &shop, id).await;
    test.hand.advance(Duration::from_secs(5));
    shop.end(&test, all[3][0], Next::Confirmed).await;
    shop.end(&test, all[4][0], LATER).await;
    let (_, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((standing.confirmed.number, standing.cancelled.number, standing.withdrawn.number), (1, 1, 1));
    let found = test.store.find_deliveries(shop.merchant, &state(StateFilter::Confirmed), 50).await.unwrap();
    let confirmed = found.rows.iter().find(|row| row.delivery.id == all[3][0].delivery).unwrap();
    assert_eq!(confirmed.delivery.finished_at, Some(START.plus(Duration::from_secs(5))), "when it was confirmed");
    let counts = test.store.counts(&[shop.merchant], START).await.unwrap();
    assert_eq!((counts.confirmed, counts.retrying, counts.queued), (2, 1, 0));
    assert_healthy(&test).await;
}

async fn what_is_undone_was_never_done_and_what_is_stopped_keeps_the_rest(test: TestStore) {
    let (shop, _) = outstanding(&test).await;
    let mut wish = shop.wish(&test, order(DeliveryFilter::default()), Some(10), "a");
    wish.starts_at = wish.at.plus(Duration::from_secs(10));
    let id = test.store.add_bulk(shop.merchant, wish).await.unwrap();
    assert_ne!(test.store.step_bulk().await.unwrap(), BulkStep::Worked, "it can still be undone");
    assert!(test.store.cancel_bulk(shop.merchant, id, "support@example.com").await.unwrap());
    test.hand.advance(Duration::from_secs(20));
    work(&test).await;
    let (job, _) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.made), (BulkState::Cancelled, 0));
    assert_eq!(shop.count(&test, &state(StateFilter::Cancelled)).await, 0);

    let id = shop.start(&test, DeliveryFilter::default(), BulkTarget::Cancel, "b").await;
    until("its first step", || async { (test.store.step_bulk().await.unwrap() == BulkStep::Worked).then_some(()) }).await;
    assert!(test.store.cancel_bulk(shop.merchant, id, "support@example.com").await.unwrap());
    assert!(!test.store.cancel_bulk(shop.merchant, id, "support@example.com").await.unwrap(), "once");
    let (job, _) = done(&test, &shop, id).await;
    assert_eq!((job.state, job.made), (BulkState::Cancelled, 3), "what was never tried comes first");
    assert_eq!(shop.count(&test, &state(StateFilter::Held)).await, 6);
    assert_eq!(shop.count(&test, &state(StateFilter::Retrying)).await, 1);
    let (acts, _) = test.store.audit_log(None, &Default::default()).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|act| act.action.as_str()).filter(|action| action.starts_with("cancel.")).collect();
    assert_eq!(acts, ["cancel.stop", "cancel.start", "cancel.stop", "cancel.start"]);
    assert_healthy(&test).await;
}

async fn what_was_cancelled_can_be_resent(test: TestStore) {
    let (shop, _) = outstanding(&test).await;
    let id = shop.start(&test, DeliveryFilter::default(), BulkTarget::Cancel, "a").await;
    done(&test, &shop, id).await;
    let id = shop.start(&test, state(StateFilter::Cancelled), BulkTarget::Same, "b").await;
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.made, standing.queued.number, standing.held.number), (10, 4, 6));
    // And given up again.
    let id = shop.start(&test, state(StateFilter::Queued), BulkTarget::Cancel, "c").await;
    assert_eq!(done(&test, &shop, id).await.0.made, 4);
    assert_healthy(&test).await;
}

async fn only_what_fits_is_cancelled(test: TestStore) {
    let (shop, _) = outstanding(&test).await;
    let other = test.merchant("Other").await;
    let count = async |filter| test.store.count_bulk(shop.merchant, &order(filter)).await.unwrap().made;
    let of = DeliveryFilter::default;
    assert_eq!(count(DeliveryFilter { url: Some(shop.urls[0]), ..of() }).await, 4);
    assert_eq!(count(DeliveryFilter { cause: Some(Cause::ServerError), ..of() }).await, 1);
    assert_eq!(count(DeliveryFilter { test: Some(true), ..of() }).await, 0);
    assert_eq!(count(DeliveryFilter { via: Some(Via::Listener(shop.listener)), ..of() }).await, 10);
    assert_eq!(count(DeliveryFilter { from: Some(START.plus(Duration::from_secs(3 * 86_400))), ..of() }).await, 0);
    assert_eq!(count(state(StateFilter::Expired)).await, 0);
    assert_eq!(test.store.count_bulk(other, &order(of())).await.unwrap().made, 0);
    let text = DeliveryFilter { text: "web-104".to_owned(), ..of() };
    assert_eq!(count(text.clone()).await, 2);
    let id = shop.start(&test, text, BulkTarget::Cancel, "a").await;
    assert_eq!(done(&test, &shop, id).await.0.made, 2);
    let held = DeliveryFilter { url: Some(shop.urls[1]), ..state(StateFilter::Held) };
    let id = shop.start(&test, held, BulkTarget::Cancel, "b").await;
    assert_eq!(done(&test, &shop, id).await.0.made, 5);
    assert_eq!(shop.count(&test, &state(StateFilter::Queued)).await, 2);
    assert_healthy(&test).await;
}

async fn a_job_is_known_as_long_as_what_it_cancelled(test: TestStore) {
    let (shop, _) = outstanding(&test).await;
    let id = shop.start(&test, DeliveryFilter::default(), BulkTarget::Cancel, "a").await;
    done(&test, &shop, id).await;
    test.hand.advance(Duration::from_secs(10 * 86_400));
    let horizon = Horizon { bytes_before: START, ledger_before: START };
    retention::once(&test.store, horizon).await.unwrap();
    assert!(test.store.bulk(shop.merchant, id).await.unwrap().is_some());
    let horizon = Horizon { bytes_before: test.clock.now(), ledger_before: test.clock.now() };
    retention::once(&test.store, horizon).await.unwrap();
    assert!(test.store.bulk(shop.merchant, id).await.unwrap().is_none());
    assert_healthy(&test).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_hears_of_a_list_that_is_cancelled() {
    let test = postgres().await;
    let (shop, _) = outstanding(&test).await;
    let other = test.second(OpenAs::Server).await.unwrap();
    let mark = || other.settings().merchant(shop.merchant).unwrap().cancelled_before;
    let before = mark();
    let id = shop.start(&test, DeliveryFilter::default(), BulkTarget::Cancel, "a").await;
    until("the other node to hear of it", || async { (mark() > before && mark().0 >= id.0).then_some(()) }).await;
    // Either of them works at it.
    until("it to be done", || async {
        other.step_bulk().await.unwrap();
        let (job, _) = other.bulk(shop.merchant, id).await.unwrap().unwrap();
        job.finished_at.map(|_| ())
    })
    .await;
    assert_eq!(shop.count(&test, &state(StateFilter::Cancelled)).await, 10);
    until("it to hear that it is done", || async { (mark().0 > id.0).then_some(()) }).await;
    other.close().await;
    assert_healthy(&test).await;
}
