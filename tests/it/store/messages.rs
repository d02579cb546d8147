//! What is accepted, once and whole, and how it is found again; what is refused.

use super::{assert_healthy, attempt, facts, notification, shop};
use crate::support::stores::{START, TestStore, on_every_engine};
use quittance::{
    domain::{
        OrderStatus, RefusalReason,
        attempt::Origin,
        id::{DeliveryId, OrderId},
        pages::orders::OrderFilter,
    },
    server::store::{NewRefusal, Next},
};
use std::time::Duration;

on_every_engine! {
    a_notification_is_stored_with_its_order_and_deliveries,
    an_identical_message_is_stored_once,
    identical_messages_of_one_batch_are_stored_once,
    a_late_message_does_not_downgrade_the_order,
    orders_are_found_by_what_people_know,
    refusals_are_kept_within_bounds,
    a_thousand_at_once_are_all_there,
    texts_with_zero_characters_are_stored,
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
