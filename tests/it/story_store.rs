//! The story of an order, on each engine: what happened, in which order, a page at a time.

use crate::{
    store::{Shop, assert_healthy, attempt, facts, notification, shop},
    support::stores::{START, TestStore, on_every_engine, url_draft},
};
use quittance::{
    domain::{
        Cause, DeliveryState, OrderStatus, RefusalReason, Timestamp,
        id::{DeliveryId, OrderId},
        pages::story::{Happening, Place, StoryTurn},
    },
    server::store::{AttemptRecord, NewNotification, NewRefusal, NewResend, Next, StoryEvent, StoryPart, StoryScope},
};
use std::{collections::BTreeMap, time::Duration};

on_every_engine! {
    a_story_tells_everything_in_order_whichever_way_it_is_read,
    messages_stand_at_each_url,
    what_an_event_is_about_is_read_for_its_order_alone,
    ten_thousand_attempts_are_told_a_page_at_a_time,
    the_attempts_of_a_delivery_are_read_from_a_number_on_down,
}

fn second(second: u64) -> Timestamp {
    START.plus(Duration::from_secs(second))
}

impl Shop {
    fn scope(&self, order: OrderId) -> StoryScope {
        StoryScope {
            merchant_id: self.merchant,
            order_id: order,
            reference: "1001".to_owned(),
            urls: vec![self.url],
            since: START,
            aftermath: Duration::from_secs(3_600),
        }
    }
}

fn refusal(shop: &Shop, reference: &str) -> NewRefusal {
    NewRefusal {
        merchant_id: Some(shop.merchant),
        listener_id: Some(shop.listener),
        at: second(30),
        reason: RefusalReason::WrongSignature,
        detail: "HASH is wrong.".to_owned(),
        peer: "192.0.2.7".into(),
        head: String::new(),
        body: "REFNO=1001".into(),
        size: 10,
        suppressed: 0,
        reference: reference.to_owned(),
    }
}

/// All events, read so many at a time.
async fn walk(test: &TestStore, scope: &StoryScope, newest_first: bool, limit: u32) -> Vec<StoryEvent> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = test.store.story_events(scope, StoryTurn { newest_first, after }, limit).await.unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.place);
        all.extend(page);
    }
}

async fn a_story_tells_everything_in_order_whichever_way_it_is_read(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let at = |record: &mut AttemptRecord, seconds: u64| {
        (record.started_at, record.finished_at) = (second(seconds), second(seconds).plus(Duration::from_millis(40)));
    };
    let (mut first, mut last) = (attempt(&job, Next::Retry(second(150))), attempt(&job, Next::Expired));
    at(&mut first, 10);
    at(&mut last, 150);
    test.record(vec![first, last]).await;
    test.hand.advance(Duration::from_secs(20));
    let again = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Paid, 100));
    assert!(test.accept(NewNotification { received_at: second(20), ..again }).await.repeated);
    test.store.refuse(refusal(&shop, "1001")).await.unwrap();
    test.store.refuse(refusal(&shop, "")).await.unwrap();
    test.store.refuse(refusal(&shop, "1002")).await.unwrap();
    let other = test.merchant("Other").await;
    test.store.refuse(NewRefusal { merchant_id: Some(other), listener_id: None, ..refusal(&shop, "1001") }).await.unwrap();
    test.hand.advance(Duration::from_secs(180));
    let resend = NewResend {
        notification_ids: vec![job.notification_id],
        order_id: job.order_id,
        url_ids: vec![shop.url],
        addresses: BTreeMap::new(),
        debug: false,
        actor: "support@example.com".to_owned().into(),
        request_key: "once".to_owned(),
        at: second(200),
    };
    let resent = test.store.resend(shop.merchant, resend).await.unwrap().delivery_ids[0];
    let mut good = attempt(&job, Next::Confirmed);
    good.delivery_id = resent;
    at(&mut good, 210);
    test.record(vec![good]).await;
    test.hand.advance(Duration::from_secs(20));
    let mut draft = url_draft(shop.merchant, "https://shop.example.com/ipn");
    draft.held = true;
    test.store.update_url(shop.url, draft.clone(), "owner@example.com".to_owned()).await.unwrap();
    // What is done to a URL long after all has ended is another story.
    test.hand.advance(Duration::from_secs(7_200));
    draft.held = false;
    test.store.update_url(shop.url, draft, "owner@example.com".to_owned()).await.unwrap();

    let scope = shop.scope(job.order_id);
    let story = walk(&test, &scope, false, 100).await;
    let kinds: Vec<(i64, i64)> = story.iter().map(|event| (event.place.kind, event.place.at.0 - START.0)).collect();
    const SECOND: i64 = 1_000_000;
    assert_eq!(
        kinds,
        [
            (Happening::RECEIVED, 0),
            (Happening::ATTEMPTED, 10 * SECOND),
            (Happening::REPEATED, 20 * SECOND),
            (Happening::REFUSED, 30 * SECOND),
            (Happening::ATTEMPTED, 150 * SECOND),
            (Happening::ENDED, 150 * SECOND + 40_000),
            (Happening::RESENT, 200 * SECOND),
            (Happening::ATTEMPTED, 210 * SECOND),
            (Happening::URL_CHANGED, 220 * SECOND),
        ]
    );
    assert_eq!(story[2].texts[..2], ["PAID".to_owned(), "1".to_owned()]);
    assert_eq!(story[3].texts[..3], ["wrong-signature", "HASH is wrong.", "192.0.2.7"].map(str::to_owned));
    assert_eq!(story[7].place, Place { at: second(210), kind: Happening::ATTEMPTED, id: resent.0, number: 1 });
    assert_eq!(story[8].texts[0], "owner@example.com");
    assert!(story[8].texts[3].contains("on hold"), "{:?}", story[8].texts);
    let mut backwards = walk(&test, &scope, true, 100).await;
    backwards.reverse();
    assert_eq!(backwards, story);
    for limit in [1, 2, 4] {
        assert_eq!(walk(&test, &scope, false, limit).await, story, "{limit} at a time");
        let mut backwards = walk(&test, &scope, true, limit).await;
        backwards.reverse();
        assert_eq!(backwards, story, "{limit} at a time, backwards");
    }
    let far = StoryTurn { newest_first: false, after: Some(Place { at: Timestamp((1 << 62) - 1), kind: 0, id: 0, number: 0 }) };
    assert_eq!(test.store.story_events(&scope, far, 10).await.unwrap(), []);
    assert_healthy(&test).await;
}

async fn messages_stand_at_each_url(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Expired)]).await;
    let second_url = test.url(shop.merchant, "https://second.example.com/ipn").await;
    let later = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Refunded, 200));
    let later = test.accept(later).await.notification_id;
    let to = |delivery: DeliveryId, url, next| {
        let mut record = attempt(&job, next);
        (record.delivery_id, record.url_id) = (delivery, url);
        record
    };
    let notifications = test.store.notifications_of(job.order_id).await.unwrap();
    let of = |url| notifications[0].deliveries.iter().find(|delivery| delivery.url_id == url).unwrap().id;
    test.record(vec![to(of(shop.url), shop.url, Next::Confirmed)]).await;
    let again = NewResend {
        notification_ids: vec![later],
        order_id: job.order_id,
        url_ids: vec![shop.url],
        addresses: BTreeMap::new(),
        debug: true,
        actor: "support@example.com".to_owned().into(),
        request_key: "again".to_owned(),
        at: START,
    };
    let again = test.store.resend(shop.merchant, again).await.unwrap().delivery_ids[0];
    test.record(vec![to(again, shop.url, Next::Closed)]).await;

    let standings = test.store.standings(job.order_id, None).await.unwrap();
    let [first, second] = standings[..] else { panic!("{standings:?}") };
    assert_eq!((first.url_id, first.messages, first.confirmed, first.waiting), (shop.url, 2, 1, 0));
    assert_eq!((first.newest, first.latest), (later, of(shop.url)), "what confirmed it, not the later debug that failed");
    assert_eq!(first.states, [0, 0, 0, 1, 1, 1]);
    assert_eq!(first.attempts, 3);
    assert_eq!((second.url_id, second.messages, second.confirmed, second.waiting), (second_url, 1, 0, 1));
    assert_eq!(second.latest, of(second_url));
    let one = test.store.standings(job.order_id, Some(job.notification_id)).await.unwrap();
    assert_eq!(one.iter().map(|row| (row.url_id, row.latest)).collect::<Vec<_>>(), [(shop.url, job.delivery_id)]);
    assert!(test.store.standings(OrderId(1), None).await.unwrap().is_empty());
    assert!(test.store.bare_order(shop.merchant, job.order_id).await.unwrap().is_some());
    let other = test.merchant("Other").await;
    assert!(test.store.bare_order(other, job.order_id).await.unwrap().is_none());
}

async fn what_an_event_is_about_is_read_for_its_order_alone(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let foreign = shop.accept(&mut test, "1002").await;
    let mut late = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Pending, 50));
    late.received_at = second(5);
    let late = test.accept(late).await.notification_id;
    let newer = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Refunded, 300));
    let newer = test.accept(newer).await.notification_id;
    test.record(vec![attempt(&job, Next::Retry(second(150))), attempt(&foreign, Next::Confirmed)]).await;
    let part = StoryPart {
        order_id: job.order_id,
        notifications: vec![job.notification_id, late, newer, foreign.notification_id],
        deliveries: vec![foreign.delivery_id],
        attempts: vec![(job.delivery_id, 1), (job.delivery_id, 2)],
    };
    let rows = test.store.story_rows(&part).await.unwrap();
    let mut told: Vec<_> = rows.notifications.iter().map(|(view, before, own)| (view.id, *before, *own)).collect();
    told.sort_by_key(|(id, ..)| *id);
    let standing = |seconds: i64, status: OrderStatus| seconds * 1_000_000 * 16 + i64::from(status.rank());
    assert_eq!(
        told,
        [
            (job.notification_id, None, standing(100, OrderStatus::Paid)),
            (late, Some(standing(100, OrderStatus::Paid)), standing(50, OrderStatus::Pending)),
            (newer, Some(standing(100, OrderStatus::Paid)), standing(300, OrderStatus::Refunded)),
        ]
    );
    assert_eq!(rows.deliveries.len(), 3, "what was made of its own messages at once, and nothing of another order");
    assert!(rows.deliveries.iter().any(|delivery| delivery.id == job.delivery_id && delivery.state == DeliveryState::Retrying));
    assert!(rows.deliveries.iter().all(|delivery| delivery.id != foreign.delivery_id));
    let attempts: Vec<_> = rows.attempts.iter().map(|(id, attempt)| (*id, attempt.number, attempt.cause)).collect();
    assert_eq!(attempts, [(job.delivery_id, 1, Some(Cause::ServerError))]);
}

/// Makes one attempt of a delivery ten thousand.
async fn multiply(test: &TestStore) {
    test.sql(
        "INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, segment_id, part)
         WITH RECURSIVE n(x) AS (SELECT CAST(2 AS bigint) UNION ALL SELECT x + 1 FROM n WHERE x < 10000)
         SELECT delivery_id, x, started_at + x * 1000000, address, status, cause, detail, timings, segment_id, part
         FROM attempt, n WHERE number = 1;
         UPDATE delivery SET attempts = 10000, last_attempt_at = last_attempt_at + 10000000000",
    )
    .await;
}

async fn ten_thousand_attempts_are_told_a_page_at_a_time(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Retry(second(150)))]).await;
    multiply(&test).await;
    let scope = shop.scope(job.order_id);
    for newest_first in [false, true] {
        let mut numbers: Vec<i64> =
            walk(&test, &scope, newest_first, 1_001).await.iter().map(|event| event.place.number).collect();
        if newest_first {
            numbers.reverse();
        }
        assert_eq!(numbers, (0..=10_000).collect::<Vec<_>>(), "the message, then each attempt once");
    }
    let middle = StoryTurn {
        newest_first: true,
        after: Some(Place { at: second(5_000), kind: Happening::ATTEMPTED, id: job.delivery_id.0, number: 5_000 }),
    };
    let page = test.store.story_events(&scope, middle, 3).await.unwrap();
    assert_eq!(page.iter().map(|event| event.place.number).collect::<Vec<_>>(), [4_999, 4_998, 4_997]);
}

async fn the_attempts_of_a_delivery_are_read_from_a_number_on_down(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&job, Next::Retry(second(150)))]).await;
    multiply(&test).await;
    let numbers = async |until| {
        let attempts = test.store.attempts_of(job.delivery_id, until).await.unwrap();
        (attempts.len(), attempts.first().map(|attempt| attempt.number), attempts.last().map(|attempt| attempt.number))
    };
    assert_eq!(numbers(None).await, (200, Some(10_000), Some(9_801)));
    assert_eq!(numbers(Some(5_000)).await, (200, Some(5_000), Some(4_801)));
    assert_eq!(numbers(Some(3)).await, (3, Some(3), Some(1)));
    assert_eq!(numbers(Some(0)).await, (0, None, None));
    let two = test.store.exchanges(&[(job.delivery_id, 7), (job.delivery_id, 20_000), (job.delivery_id, 9_999)]).await.unwrap();
    let mut found: Vec<_> = two.iter().map(|(id, exchange)| (*id, exchange.attempt.number)).collect();
    found.sort_unstable();
    assert_eq!(found, [(job.delivery_id, 7), (job.delivery_id, 9_999)]);
    assert!(two.iter().all(|(_, exchange)| exchange.request_body == b"REFNO=1"));
}
