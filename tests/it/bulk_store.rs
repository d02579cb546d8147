//! The store's conformance suite, second part: lists of deliveries, and resends of whole lists. The same on every engine.

use crate::support::stores::{START, TestStore, on_every_engine, received};
use quittance::{
    domain::{
        Cause, DeliveryState,
        attempt::{Origin, Timings, VerdictDetail},
        id::{BulkId, DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
        pages::{
            bulk::{BulkState, BulkTarget, LeftOut},
            deliveries::{Counted, DeliveryFilter, StateFilter},
        },
    },
    server::{
        retention,
        store::{AttemptRecord, BulkOrder, BulkStep, Horizon, NewBulk, Next, OpenAs, StoreError},
    },
};
use std::{collections::HashSet, time::Duration};

on_every_engine! {
    deliveries_are_found_by_every_filter,
    a_list_turns_its_pages_without_gap_or_repeat,
    a_bulk_resend_makes_what_failed_and_nothing_else,
    what_retention_removed_is_counted_and_named,
    one_wish_is_one_bulk_resend_and_of_its_merchant_alone,
    bulk_resends_of_the_same_at_once_make_each_one_time,
    a_url_that_takes_no_more_does_not_hold_up_the_others,
    cancelling_takes_back_what_was_not_sent,
    a_bulk_resend_goes_on_after_a_restart,
    all_current_urls_get_what_went_to_one,
    what_is_on_hold_is_kept_and_a_text_names_orders,
}

const HOUR: Duration = Duration::from_secs(3_600);

pub struct Shop {
    pub merchant: MerchantId,
    pub listener: ListenerId,
    pub urls: Vec<UrlId>,
}

pub async fn shop(test: &TestStore, urls: usize) -> Shop {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    let mut shop = Shop { merchant, listener, urls: Vec::new() };
    for number in 0..urls {
        shop.urls.push(test.url(merchant, &format!("https://{number}.example.com/ipn")).await);
    }
    shop
}

/// A delivery that a notification made.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    pub delivery: DeliveryId,
    pub notification: NotificationId,
    pub order: OrderId,
    pub url: UrlId,
}

impl Shop {
    /// Accepts an order; gives its deliveries, one for each URL.
    pub async fn accept(&self, test: &TestStore, reference: &str, is_test: bool) -> Vec<Made> {
        let test_order = if is_test { "1" } else { "0" };
        let body = format!(
            "REFNO={reference}&REFNOEXT=web-{reference}&ORDERSTATUS=COMPLETE&TEST_ORDER={test_order}&IPN_TOTALGENERAL=1.00&CURRENCY=USD&IPN_DATE=20260301120009"
        );
        let mut new = received(self.merchant, self.listener, &body);
        new.received_at = test.clock.now();
        let accepted = test.accept(new).await;
        let order = test.store.order_by_reference(self.merchant, reference).await.unwrap().unwrap();
        let notifications = test.store.notifications_of(order).await.unwrap();
        let mut made: Vec<_> = notifications
            .into_iter()
            .filter(|notification| notification.id == accepted.notification_id)
            .flat_map(|notification| notification.deliveries)
            .map(|delivery| Made { delivery: delivery.id, notification: accepted.notification_id, order, url: delivery.url_id })
            .collect();
        made.sort_by_key(|made| self.urls.iter().position(|url| *url == made.url));
        made
    }

    pub async fn end(&self, test: &TestStore, made: Made, next: Next) {
        test.record(vec![self.record(test, made, next)]).await;
    }

    fn record(&self, test: &TestStore, made: Made, next: Next) -> AttemptRecord {
        let cause = (next != Next::Confirmed).then_some(Cause::ServerError);
        AttemptRecord {
            delivery_id: made.delivery,
            merchant_id: self.merchant,
            order_id: made.order,
            url_id: made.url,
            started_at: test.clock.now(),
            finished_at: test.clock.now(),
            window_from: test.clock.now(),
            address: None,
            status: None,
            cause,
            detail: VerdictDetail::default(),
            timings: Timings::default(),
            request_head: "POST".to_owned(),
            request_body: "A=1".into(),
            answer_head: String::new(),
            answer_body: Default::default(),
            shadow: false,
            next,
        }
    }

    async fn found(&self, test: &TestStore, filter: &DeliveryFilter) -> Vec<DeliveryId> {
        let found = test.store.find_deliveries(self.merchant, filter, 50).await.unwrap();
        assert!(found.looked_back_to.is_none() && !found.truncated);
        found.rows.iter().map(|row| row.delivery.id).collect()
    }

    pub async fn count(&self, test: &TestStore, filter: &DeliveryFilter) -> u64 {
        let counted = test.store.count_deliveries(self.merchant, filter).await.unwrap();
        assert!(!counted.more);
        counted.number
    }

    pub async fn start(&self, test: &TestStore, filter: DeliveryFilter, target: BulkTarget, key: &str) -> BulkId {
        let order = BulkOrder { filter, target };
        let count = test.store.count_bulk(self.merchant, &order).await.unwrap();
        test.store.add_bulk(self.merchant, self.wish(test, order, Some(count.made), key)).await.unwrap()
    }

    pub fn wish(&self, test: &TestStore, order: BulkOrder, expected: Option<u64>, key: &str) -> NewBulk {
        let (actor, request_key) = ("support@example.com".to_owned(), key.to_owned());
        NewBulk { order, expected, actor: actor.into(), request_key, at: test.clock.now(), starts_at: test.clock.now() }
    }

    /// Deliveries that a bulk resend made, the first first.
    async fn made_by(&self, test: &TestStore, id: BulkId) -> Vec<Made> {
        let mut filter = DeliveryFilter::default();
        let mut made = Vec::new();
        loop {
            let found = test.store.find_deliveries(self.merchant, &filter, 50).await.unwrap();
            for row in &found.rows {
                if row.delivery.origin == Origin::Bulk {
                    let delivery = &row.delivery;
                    assert_eq!(delivery.actor.as_deref(), Some("support@example.com"));
                    let (order, notification) = (row.order_id, delivery.notification_id);
                    made.push(Made { delivery: delivery.id, notification, order, url: delivery.url_id });
                }
            }
            filter.after = found.next;
            if filter.after.is_none() {
                break;
            }
        }
        assert!(test.store.bulk(self.merchant, id).await.unwrap().is_some());
        made.reverse();
        made
    }
}

/// Steps until nothing more can be made, of any of a few.
pub async fn work(test: &TestStore) {
    let mut in_vain = 0;
    for _ in 0..100 {
        match test.store.step_bulk().await.unwrap() {
            BulkStep::Worked => in_vain = 0,
            BulkStep::Waiting if in_vain < 4 => in_vain += 1,
            BulkStep::Waiting | BulkStep::Idle => return,
        }
    }
    panic!("it never rests");
}

pub fn state(state: StateFilter) -> DeliveryFilter {
    DeliveryFilter { state: Some(state), ..DeliveryFilter::default() }
}

pub async fn assert_healthy(test: &TestStore) {
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

pub const LATER: Next = Next::Retry(START);

async fn deliveries_are_found_by_every_filter(test: TestStore) {
    let shop = shop(&test, 2).await;
    let mut all = Vec::new();
    for (number, next) in
        [Some(Next::Confirmed), Some(Next::Expired), Some(LATER), Some(Next::Closed), None].into_iter().enumerate()
    {
        let made = shop.accept(&test, &format!("10{number}"), number == 1).await;
        for made in &made {
            if let Some(next) = next {
                shop.end(&test, *made, next).await;
            }
        }
        all.push(made);
        test.hand.advance(HOUR * 24);
    }
    let ids = |numbers: &[usize], url: Option<usize>| {
        let mut ids: Vec<_> = numbers
            .iter()
            .flat_map(|number| &all[*number])
            .filter(|made| url.is_none_or(|url| made.url == shop.urls[url]))
            .map(|made| made.delivery)
            .collect();
        ids.sort_by(|a, b| b.cmp(a));
        ids
    };
    let at = |days: u32| Some(START.plus(HOUR * 24 * days));
    let none = DeliveryFilter::default;
    for (filter, expected) in [
        (none(), ids(&[0, 1, 2, 3, 4], None)),
        (state(StateFilter::Confirmed), ids(&[0], None)),
        (state(StateFilter::Expired), ids(&[1], None)),
        (state(StateFilter::Failed), ids(&[1], None)),
        (state(StateFilter::Retrying), ids(&[2], None)),
        (state(StateFilter::Cancelled), ids(&[3], None)),
        (state(StateFilter::Queued), ids(&[4], None)),
        (state(StateFilter::Held), Vec::new()),
        (DeliveryFilter { url: Some(shop.urls[1]), ..none() }, ids(&[0, 1, 2, 3, 4], Some(1))),
        (DeliveryFilter { url: Some(shop.urls[0]), ..state(StateFilter::Expired) }, ids(&[1], Some(0))),
        (DeliveryFilter { cause: Some(Cause::ServerError), ..none() }, ids(&[1, 2, 3], None)),
        (DeliveryFilter { cause: Some(Cause::Gone), ..none() }, Vec::new()),
        (DeliveryFilter { from: at(1), until: at(3), ..none() }, ids(&[1, 2], None)),
        (DeliveryFilter { since: at(1), ..none() }, ids(&[1, 3], None)),
        (DeliveryFilter { since: at(2), ..state(StateFilter::Failed) }, Vec::new()),
        (DeliveryFilter { test: Some(true), ..none() }, ids(&[1], None)),
        (DeliveryFilter { test: Some(false), ..state(StateFilter::Retrying) }, ids(&[2], None)),
        (DeliveryFilter { text: "103".to_owned(), ..none() }, ids(&[3], None)),
        (DeliveryFilter { text: " web-10".to_owned(), ..state(StateFilter::Expired) }, ids(&[1], None)),
        (DeliveryFilter { text: "nothing\0".to_owned(), ..none() }, Vec::new()),
    ] {
        assert_eq!(shop.found(&test, &filter).await, expected, "{filter:?}");
        assert_eq!(shop.count(&test, &filter).await, expected.len() as u64, "{filter:?}");
    }
    let row = test.store.find_deliveries(shop.merchant, &state(StateFilter::Expired), 50).await.unwrap().rows.remove(0);
    assert_eq!((row.reference.as_str(), row.vendor_status.as_str(), row.test), ("101", "COMPLETE", true));
    assert_eq!((row.delivery.state, row.delivery.last_cause), (DeliveryState::Expired, Some(Cause::ServerError)));
    let other = test.merchant("Other").await;
    assert!(test.store.find_deliveries(other, &none(), 50).await.unwrap().rows.is_empty());
}

async fn a_list_turns_its_pages_without_gap_or_repeat(test: TestStore) {
    let shop = shop(&test, 1).await;
    for number in 0..120 {
        let made = shop.accept(&test, &number.to_string(), false).await;
        if number % 2 == 0 {
            shop.end(&test, made[0], Next::Expired).await;
        }
    }
    for (filter, expected) in [(DeliveryFilter::default(), 120), (state(StateFilter::Expired), 60)] {
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut filter = filter;
        loop {
            let found = test.store.find_deliveries(shop.merchant, &filter, 50).await.unwrap();
            assert!(found.rows.len() <= 50);
            seen.extend(found.rows.iter().map(|row| row.delivery.id));
            pages += 1;
            assert_eq!(shop.count(&test, &filter).await, expected, "of the whole list");
            filter.after = found.next;
            if filter.after.is_none() {
                break;
            }
        }
        assert_eq!((seen.len() as u64, pages), (expected, expected.div_ceil(50)));
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "the newest first");
    }
}

async fn a_bulk_resend_makes_what_failed_and_nothing_else(test: TestStore) {
    let shop = shop(&test, 1).await;
    let mut all = Vec::new();
    for (number, next) in [Next::Expired, Next::Confirmed, LATER, Next::Expired, Next::Expired].into_iter().enumerate() {
        let made = shop.accept(&test, &number.to_string(), false).await[0];
        shop.end(&test, made, next).await;
        all.push(made);
    }
    // The fourth was resent by a person and has arrived.
    let first =
        shop.start(&test, DeliveryFilter { text: "3".to_owned(), ..state(StateFilter::Expired) }, BulkTarget::Same, "a").await;
    work(&test).await;
    let made = shop.made_by(&test, first).await;
    assert_eq!(made.iter().map(|made| made.notification).collect::<Vec<_>>(), [all[3].notification]);
    shop.end(&test, made[0], Next::Confirmed).await;
    work(&test).await;
    let order = BulkOrder { filter: state(StateFilter::Failed), target: BulkTarget::Same };
    let count = test.store.count_bulk(shop.merchant, &order).await.unwrap();
    assert_eq!((count.made, count.more, count.by_url.clone()), (2, false, vec![(shop.urls[0], 2)]));
    assert_eq!(count.left_out, LeftOut { confirmed: 1, ..LeftOut::default() });
    let id = shop.start(&test, order.filter.clone(), BulkTarget::Same, "b").await;
    work(&test).await;
    let made: Vec<_> = shop.made_by(&test, id).await.into_iter().skip(1).collect();
    assert_eq!(
        made.iter().map(|made| made.notification).collect::<Vec<_>>(),
        [all[0].notification, all[4].notification],
        "the oldest first"
    );
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.made, job.expected, job.left_out), (BulkState::Running, 2, Some(2), count.left_out));
    assert_eq!(standing.queued, Counted { number: 2, more: false });
    // They have not failed yet, so a second one has nothing to do; and its own are no part of it when they have.
    let again = shop.start(&test, order.filter.clone(), BulkTarget::Same, "c").await;
    work(&test).await;
    let (job, _) = test.store.bulk(shop.merchant, again).await.unwrap().unwrap();
    assert_eq!((job.state, job.made, job.left_out.waiting), (BulkState::Done, 0, 2));
    for made in made {
        shop.end(&test, made, Next::Expired).await;
    }
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.made), (BulkState::Done, 2));
    assert_eq!((standing.expired.number, standing.sent().number), (2, 2));
    // Four rows have failed now, of two notifications: each goes again once.
    let last = shop.start(&test, order.filter, BulkTarget::Same, "d").await;
    work(&test).await;
    let (job, _) = test.store.bulk(shop.merchant, last).await.unwrap().unwrap();
    assert_eq!((job.expected, job.made), (Some(2), 2));
    // What is confirmed goes again where it is asked for.
    let order = BulkOrder { filter: state(StateFilter::Confirmed), target: BulkTarget::Same };
    assert_eq!(test.store.count_bulk(shop.merchant, &order).await.unwrap().made, 2);
    assert_eq!(test.store.step_bulk().await.unwrap(), BulkStep::Waiting);
    let audit = test.store.bulks(shop.merchant).await.unwrap();
    assert_eq!(audit.iter().map(|job| job.id).collect::<Vec<_>>(), [last, again, id, first]);
    assert_healthy(&test).await;
}

async fn what_retention_removed_is_counted_and_named(test: TestStore) {
    let shop = shop(&test, 1).await;
    let old = shop.accept(&test, "1", false).await[0];
    shop.end(&test, old, Next::Expired).await;
    test.hand.advance(HOUR * 24 * 100);
    let fresh = shop.accept(&test, "2", false).await[0];
    shop.end(&test, fresh, Next::Expired).await;
    let now = test.clock.now();
    let horizon = Horizon { bytes_before: now.minus(HOUR * 24 * 90), ledger_before: now.minus(HOUR * 24 * 400) };
    retention::once(&test.store, horizon).await.unwrap();
    let order = BulkOrder { filter: state(StateFilter::Expired), target: BulkTarget::Same };
    let count = test.store.count_bulk(shop.merchant, &order).await.unwrap();
    assert_eq!((count.made, count.left_out), (1, LeftOut { without_bytes: 1, ..LeftOut::default() }));
    let id = shop.start(&test, order.filter, BulkTarget::Same, "a").await;
    work(&test).await;
    let (job, _) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.made, job.left_out), (1, count.left_out));
    let made = shop.made_by(&test, id).await;
    shop.end(&test, made[0], Next::Confirmed).await;
    work(&test).await;
    // What is known of it goes with the ledger.
    test.hand.advance(HOUR * 24 * 500);
    let now = test.clock.now();
    retention::once(&test.store, Horizon { bytes_before: now.minus(HOUR), ledger_before: now.minus(HOUR) }).await.unwrap();
    assert!(test.store.bulk(shop.merchant, id).await.unwrap().is_none());
    assert_healthy(&test).await;
}

async fn one_wish_is_one_bulk_resend_and_of_its_merchant_alone(mut test: TestStore) {
    let shop = shop(&test, 1).await;
    let made = shop.accept(&test, "1", false).await[0];
    shop.end(&test, made, Next::Expired).await;
    let order = BulkOrder { filter: state(StateFilter::Failed), target: BulkTarget::Same };
    let id = shop.start(&test, order.filter.clone(), BulkTarget::Same, "key").await;
    assert_eq!(shop.start(&test, order.filter.clone(), BulkTarget::Same, "key").await, id, "a double click");
    let other = test.merchant("Other").await;
    let wish = shop.wish(&test, order.clone(), None, "key");
    assert!(matches!(test.store.add_bulk(other, wish).await, Err(StoreError::NotFound(_))));
    assert!(test.store.bulk(other, id).await.unwrap().is_none());
    assert!(test.store.bulks(other).await.unwrap().is_empty());
    assert!(matches!(test.store.cancel_bulk(other, id, "test".to_owned()).await, Err(StoreError::NotFound(_))));
    // A command beside the server leaves the work to it.
    let tool = test.second(OpenAs::Tool { create: false }).await.unwrap();
    assert_eq!(tool.step_bulk().await.unwrap(), BulkStep::Idle);
    let wish = shop.wish(&test, order, None, "of the command");
    tool.add_bulk(shop.merchant, wish).await.unwrap();
    tool.close().await;
    work(&test).await;
    assert_eq!(shop.made_by(&test, id).await.len(), 1, "the second finds it on its way");
    test.reopen(OpenAs::Server).await.unwrap();
    assert_healthy(&test).await;
}

/// Accepts many at once.
async fn expired(test: &TestStore, shop: &Shop, count: usize) -> Vec<Made> {
    let accepting = (0..count).map(|number| async move {
        let body =
            format!("REFNO={number}&REFNOEXT=&ORDERSTATUS=COMPLETE&IPN_TOTALGENERAL=1.00&CURRENCY=USD&IPN_DATE=20260301120009");
        test.store.accept(received(shop.merchant, shop.listener, &body)).await.unwrap()
    });
    futures::future::join_all(accepting).await;
    test.store.settled().await.unwrap();
    let mut all = Vec::new();
    let mut filter = state(StateFilter::Queued);
    loop {
        let found = test.store.find_deliveries(shop.merchant, &filter, 50).await.unwrap();
        all.extend(found.rows.iter().map(|row| Made {
            delivery: row.delivery.id,
            notification: row.delivery.notification_id,
            order: row.order_id,
            url: row.delivery.url_id,
        }));
        filter.after = found.next;
        if filter.after.is_none() {
            break;
        }
    }
    for part in all.chunks(200) {
        test.record(part.iter().map(|made| shop.record(test, *made, Next::Expired)).collect()).await;
    }
    all
}

async fn bulk_resends_of_the_same_at_once_make_each_one_time(test: TestStore) {
    let shop = shop(&test, 1).await;
    expired(&test, &shop, 300).await;
    let ids = [
        shop.start(&test, state(StateFilter::Failed), BulkTarget::Same, "a").await,
        shop.start(&test, state(StateFilter::Failed), BulkTarget::Same, "b").await,
    ];
    // As two nodes do: each step takes a job that nobody else is at.
    for _ in 0..20 {
        let (one, other) = tokio::join!(test.store.step_bulk(), test.store.step_bulk());
        one.unwrap();
        other.unwrap();
    }
    let made = shop.made_by(&test, ids[0]).await;
    let distinct: HashSet<_> = made.iter().map(|made| (made.notification, made.url)).collect();
    assert_eq!((made.len(), distinct.len()), (300, 300));
    assert_healthy(&test).await;
}

async fn a_url_that_takes_no_more_does_not_hold_up_the_others(test: TestStore) {
    let mut shop = shop(&test, 1).await;
    let slow = shop.urls[0];
    expired(&test, &shop, 700).await;
    // The other URL came later, with a few that failed there after all of the first's.
    let other = test.url(shop.merchant, "https://other.example.com/ipn").await;
    shop.urls.push(other);
    for number in 0..5 {
        for made in shop.accept(&test, &format!("late-{number}"), false).await {
            shop.end(&test, made, Next::Expired).await;
        }
    }
    let id = shop.start(&test, state(StateFilter::Failed), BulkTarget::Same, "a").await;
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.expected, job.made, job.behind.clone()), (Some(710), 505, vec![slow]));
    assert_eq!(standing.queued.number, 505);
    // As soon as some are through, as many more are made, none twice.
    for part in shop.made_by(&test, id).await.chunks(200) {
        test.record(part.iter().map(|made| shop.record(&test, *made, Next::Confirmed)).collect()).await;
    }
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.made, job.behind.clone(), standing.queued.number, standing.confirmed.number), (710, vec![], 205, 505));
    let made = shop.made_by(&test, id).await;
    let distinct: HashSet<_> = made.iter().map(|made| (made.notification, made.url)).collect();
    assert_eq!((made.len(), distinct.len()), (710, 710));
    for part in made[505..].chunks(200) {
        test.record(part.iter().map(|made| shop.record(&test, *made, Next::Confirmed)).collect()).await;
    }
    work(&test).await;
    assert_eq!(test.store.bulk(shop.merchant, id).await.unwrap().unwrap().0.state, BulkState::Done);
    assert_healthy(&test).await;
}

async fn cancelling_takes_back_what_was_not_sent(test: TestStore) {
    let shop = shop(&test, 1).await;
    expired(&test, &shop, 300).await;
    let id = shop.start(&test, state(StateFilter::Failed), BulkTarget::Same, "a").await;
    assert_eq!(test.store.step_bulk().await.unwrap(), BulkStep::Worked);
    let made = shop.made_by(&test, id).await;
    assert_eq!(made.len(), 200, "a step");
    shop.end(&test, made[0], Next::Confirmed).await;
    shop.end(&test, made[1], LATER).await;
    assert!(test.store.is_open(made[2].delivery).await.unwrap());
    assert!(test.store.cancel_bulk(shop.merchant, id, "owner@example.com".to_owned()).await.unwrap());
    assert!(!test.store.cancel_bulk(shop.merchant, id, "owner@example.com".to_owned()).await.unwrap(), "once");
    assert!(!test.store.is_open(made[2].delivery).await.unwrap());
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.made, job.finished_at.is_some()), (BulkState::Cancelled, 200, true));
    assert_eq!((standing.withdrawn.number, standing.sent().number, standing.retrying.number), (198, 2, 1));
    // What was on its way in that moment was sent.
    shop.end(&test, made[2], LATER).await;
    let (_, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((standing.withdrawn.number, standing.cancelled.number, standing.sent().number), (197, 1, 3));
    work(&test).await;
    assert_eq!(shop.made_by(&test, id).await.len(), 200, "nothing more is made");
    assert_healthy(&test).await;
}

async fn a_bulk_resend_goes_on_after_a_restart(mut test: TestStore) {
    let shop = shop(&test, 1).await;
    expired(&test, &shop, 450).await;
    let id = shop.start(&test, state(StateFilter::Failed), BulkTarget::Same, "a").await;
    assert_eq!(test.store.step_bulk().await.unwrap(), BulkStep::Worked);
    test.reopen(OpenAs::Server).await.unwrap();
    work(&test).await;
    let made = shop.made_by(&test, id).await;
    let distinct: HashSet<_> = made.iter().map(|made| made.notification).collect();
    assert_eq!((made.len(), distinct.len()), (450, 450));
    // Whoever cancelled was interrupted before all were taken back: the server goes on with it.
    test.sql("UPDATE bulk_job SET state = 2").await;
    test.reopen(OpenAs::Server).await.unwrap();
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, standing.withdrawn.number, standing.queued.number), (BulkState::Cancelled, 450, 0));
    assert_eq!(test.store.step_bulk().await.unwrap(), BulkStep::Idle);
    assert_healthy(&test).await;
}

async fn all_current_urls_get_what_went_to_one(test: TestStore) {
    let mut shop = shop(&test, 1).await;
    let old = shop.urls[0];
    let made = shop.accept(&test, "1", false).await[0];
    shop.end(&test, made, Next::Expired).await;
    for number in 1..=2 {
        shop.urls.push(test.url(shop.merchant, &format!("https://{number}.example.com/ipn")).await);
    }
    test.store.remove_url(shop.merchant, old, "test".to_owned()).await.unwrap();
    let order = BulkOrder { filter: state(StateFilter::Expired), target: BulkTarget::Same };
    let count = test.store.count_bulk(shop.merchant, &order).await.unwrap();
    assert_eq!((count.made, count.left_out.removed), (0, 1));
    let order = BulkOrder { target: BulkTarget::All, ..order };
    let count = test.store.count_bulk(shop.merchant, &order).await.unwrap();
    assert_eq!((count.made, count.by_url), (2, vec![(shop.urls[1], 1), (shop.urls[2], 1)]));
    let id = shop.start(&test, order.filter, BulkTarget::All, "a").await;
    work(&test).await;
    let urls: HashSet<_> = shop.made_by(&test, id).await.iter().map(|made| made.url).collect();
    assert_eq!(urls, [shop.urls[1], shop.urls[2]].into());
    assert_healthy(&test).await;
}

async fn what_is_on_hold_is_kept_and_a_text_names_orders(test: TestStore) {
    let shop = shop(&test, 1).await;
    let url = shop.urls[0];
    for reference in ["A1", "A2", "B1"] {
        let made = shop.accept(&test, reference, false).await[0];
        shop.end(&test, made, Next::Expired).await;
    }
    let draft = quittance::server::store::UrlDraft {
        held: true,
        ..crate::support::stores::url_draft(shop.merchant, "https://0.example.com/ipn")
    };
    test.store.update_url(url, draft, "test".to_owned()).await.unwrap();
    let filter = DeliveryFilter { text: "A".to_owned(), ..state(StateFilter::Failed) };
    let id = shop.start(&test, filter, BulkTarget::Same, "a").await;
    work(&test).await;
    let (job, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((job.state, job.made, standing.held.number), (BulkState::Running, 2, 2), "they wait for the release");
    assert_eq!(shop.count(&test, &state(StateFilter::Held)).await, 2);
    let waiting = BulkOrder { filter: state(StateFilter::Failed), target: BulkTarget::Same };
    assert_eq!(test.store.count_bulk(shop.merchant, &waiting).await.unwrap().left_out.waiting, 2);
    assert_eq!(test.store.unsettled_urls().await.unwrap(), []);
    assert!(test.store.cancel_bulk(shop.merchant, id, "test".to_owned()).await.unwrap());
    let (_, standing) = test.store.bulk(shop.merchant, id).await.unwrap().unwrap();
    assert_eq!((standing.held.number, standing.withdrawn.number), (0, 2));
    assert_healthy(&test).await;
}
