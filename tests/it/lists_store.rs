//! What the dashboard and the lists read: the same on every engine.

use crate::support::stores::{START, TestStore, on_every_engine, received};
use quittance::{
    domain::{
        Cause, Gateway, RefusalReason, Role, Timestamp, Zone,
        attempt::Timings,
        id::{ListenerId, MerchantId, NotificationId, OrderId, UrlId},
        pages::{
            dashboard::UrlActivity,
            deliveries::DeliveryFilter,
            inbound::{InboundFilter, InboundMessage, Outcome},
            orders::OrderFilter,
            search::Found,
            via::Via,
            views::ListKind,
        },
        time::parse_moment,
    },
    server::store::{AttemptRecord, Horizon, Job, NewRefusal, NewUser, NewView, Next, RetentionCursor},
};
use std::time::Duration;

on_every_engine! {
    hours_and_answers_are_counted_with_the_results,
    a_certificate_is_of_the_address_that_showed_it,
    what_came_in_is_one_sequence,
    lists_turn_both_ways,
    a_search_finds_every_kind_and_only_what_is_ours,
    listeners_that_refuse_or_never_got_anything_are_told,
    views_are_of_their_user_and_list,
    days_are_those_of_the_merchant,
}

struct Shop {
    merchant: MerchantId,
    listener: ListenerId,
    url: UrlId,
}

async fn shop(test: &TestStore, name: &str) -> Shop {
    let merchant = test.merchant(name).await;
    let listener = test.listener(merchant).await;
    let url = test.url(merchant, &format!("https://{}.example.com/ipn", name.to_lowercase())).await;
    Shop { merchant, listener, url }
}

fn body(reference: &str) -> String {
    format!(
        "REFNO={reference}&REFNOEXT=web-{reference}&CUSTOMEREMAIL=Buyer-{reference}@example.com&ORDERSTATUS=COMPLETE&MESSAGE_ID=m{reference}&IPN_DATE=20260301120000"
    )
}

impl Shop {
    async fn accept(&self, test: &mut TestStore, reference: &str) -> Job {
        let id = test.accept(received(self.merchant, self.listener, &body(reference))).await.notification_id;
        loop {
            let jobs = test.jobs.recv().await.unwrap();
            if let Some(job) = jobs.into_iter().find(|job| job.notification_id == id) {
                return job;
            }
        }
    }

    async fn refuse(&self, test: &TestStore, reason: RefusalReason, suppressed: u32) {
        let new = NewRefusal {
            merchant_id: Some(self.merchant),
            listener_id: Some(self.listener),
            at: test.clock.now(),
            reason,
            detail: String::new(),
            peer: "192.0.2.1".to_owned(),
            head: "POST / HTTP/1.1\r\n".to_owned(),
            body: "x".into(),
            size: 1,
            suppressed,
            reference: String::new(),
        };
        test.store.refuse(new).await.unwrap();
    }

    async fn inbound(&self, test: &TestStore, filter: InboundFilter) -> Vec<NotificationId> {
        let found = test.store.find_inbound(self.merchant, &filter, 50).await.unwrap();
        found.rows.iter().map(|row| row.place()).collect()
    }
}

/// An attempt that took so long, and got an answer or none.
fn attempt(job: &Job, at: Timestamp, took: Duration, cause: Option<Cause>, next: Next) -> AttemptRecord {
    AttemptRecord {
        delivery_id: job.delivery_id,
        merchant_id: job.merchant_id,
        order_id: job.order_id,
        url_id: job.url_id,
        started_at: at,
        finished_at: at.plus(took),
        window_from: at,
        address: None,
        status: match cause {
            None => Some(200),
            Some(Cause::ServerError) => Some(500),
            Some(_) => None,
        },
        cause,
        detail: Default::default(),
        timings: Timings::default(),
        request_head: String::new(),
        request_body: Default::default(),
        answer_head: String::new(),
        answer_body: Default::default(),
        shadow: false,
        next,
    }
}

async fn assert_healthy(test: &TestStore) {
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const HOUR: Duration = Duration::from_secs(3_600);

async fn hours_and_answers_are_counted_with_the_results(mut test: TestStore) {
    let shop = shop(&test, "Shop").await;
    let other = self::shop(&test, "Other").await;
    for (place, reference) in ["1", "2", "3"].into_iter().enumerate() {
        let job = shop.accept(&mut test, reference).await;
        let quick = Duration::from_millis(40);
        test.record(vec![attempt(&job, START.plus(HOUR * place as u32), quick, None, Next::Confirmed)]).await;
    }
    let job = shop.accept(&mut test, "4").await;
    let again = Next::Retry(START.plus(HOUR * 5));
    let slow = attempt(&job, START, Duration::from_secs(5), Some(Cause::ServerError), again);
    let silent = attempt(&job, START.plus(HOUR), Duration::from_secs(25), Some(Cause::NoAnswer), again);
    test.record(vec![slow, silent]).await;
    let job = other.accept(&mut test, "5").await;
    test.record(vec![attempt(&job, START, Duration::from_millis(1), None, Next::Confirmed)]).await;

    let activity = test.store.url_activity(&[shop.merchant], START).await.unwrap();
    assert_eq!(activity.keys().collect::<Vec<_>>(), [&shop.url]);
    let UrlActivity { confirmed, failed, p50, p99 } = activity[&shop.url];
    assert_eq!((confirmed, failed), (3, 2));
    assert!((25..=50).contains(&p50.unwrap()) && (3_200..=6_400).contains(&p99.unwrap()), "{p50:?} {p99:?}");
    let later = test.store.url_activity(&[shop.merchant], START.plus(HOUR * 2)).await.unwrap();
    assert_eq!((later[&shop.url].confirmed, later[&shop.url].failed), (1, 0));

    let mut hours = test.store.hours(&[shop.merchant, other.merchant], START).await.unwrap();
    hours.sort_by_key(|hour| hour.from);
    let counts: Vec<_> = hours.iter().map(|hour| (hour.from, hour.accepted, hour.confirmed, hour.failed)).collect();
    let at = |hours: u32| START.plus(HOUR * hours);
    assert_eq!(counts, [(at(0), 5, 2, 1), (at(1), 0, 1, 1), (at(2), 0, 1, 0)]);

    // What is older than anybody looks at goes.
    test.hand.advance(Duration::from_secs(9 * 86_400));
    let keep = Horizon { bytes_before: Timestamp(0), ledger_before: Timestamp(0) };
    let mut cursor = Some(RetentionCursor::default());
    while let Some(at) = cursor {
        cursor = test.store.retain(keep, at).await.unwrap().1;
    }
    assert!(test.store.url_activity(&[shop.merchant], START).await.unwrap().is_empty());
    assert_healthy(&test).await;
}

async fn a_certificate_is_of_the_address_that_showed_it(test: TestStore) {
    let shop = shop(&test, "Shop").await;
    let ends_at = START.plus(HOUR * 24 * 9);
    let address = "https://shop.example.com/ipn".to_owned();
    let known = async || test.store.url_states(&[shop.merchant], START).await.unwrap()[&shop.url].certificate_ends_at;
    assert_eq!(known().await, None);
    test.store.note_certificate(shop.url, address.clone(), START).await.unwrap();
    test.store.note_certificate(shop.url, address, ends_at).await.unwrap();
    assert_eq!(known().await, Some(ends_at));
    test.store.note_certificate(shop.url, "https://elsewhere.example.com/ipn".to_owned(), ends_at).await.unwrap();
    assert_eq!(known().await, None, "the URL leads to another server");
}

async fn what_came_in_is_one_sequence(mut test: TestStore) {
    let shop = shop(&test, "Shop").await;
    let other = self::shop(&test, "Other").await;
    let first = shop.accept(&mut test, "100").await;
    shop.refuse(&test, RefusalReason::WrongSignature, 3).await;
    let second = shop.accept(&mut test, "101").await;
    test.accept(received(shop.merchant, shop.listener, &body("101"))).await;
    shop.refuse(&test, RefusalReason::NoSignature, 0).await;
    other.accept(&mut test, "102").await;

    let found = test.store.find_inbound(shop.merchant, &InboundFilter::default(), 50).await.unwrap();
    assert_eq!((found.rows.len(), found.next, found.previous), (4, None, None));
    let places: Vec<_> = found.rows.iter().map(|row| row.place()).collect();
    assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
    let InboundMessage::Refused(refused) = &found.rows[2].message else { panic!("{:?}", found.rows[2]) };
    assert_eq!((refused.reason, refused.suppressed), (RefusalReason::WrongSignature, 3));
    let InboundMessage::Accepted { row, message_id, peer } = &found.rows[1].message else { panic!() };
    assert_eq!((row.reference.as_str(), row.repeats, message_id.as_str(), peer.as_str()), ("101", 1, "m101", "127.0.0.1"));
    assert_eq!(found.rows[1].listener, Some(shop.listener));

    let none = InboundFilter::default;
    let (first, second) = (first.notification_id, second.notification_id);
    for (filter, expected) in [
        (InboundFilter { outcome: Some(Outcome::Accepted), ..none() }, vec![second, first]),
        (InboundFilter { outcome: Some(Outcome::Repeated), ..none() }, vec![second]),
        (InboundFilter { outcome: Some(Outcome::Refused), ..none() }, vec![places[0], places[2]]),
        (InboundFilter { reason: Some(RefusalReason::NoSignature), ..none() }, vec![places[0]]),
        (InboundFilter { text: "100".to_owned(), ..none() }, vec![first]),
        (InboundFilter { text: "web-10".to_owned(), ..none() }, vec![second, first]),
        (InboundFilter { text: "m101".to_owned(), ..none() }, vec![second]),
        (InboundFilter { test: Some(true), ..none() }, vec![]),
        (InboundFilter { test: Some(false), ..none() }, vec![second, first]),
        (InboundFilter { via: Some(Via::Listener(shop.listener)), ..none() }, places.clone()),
        (InboundFilter { via: Some(Via::Listener(other.listener)), ..none() }, vec![]),
        (InboundFilter { via: Some(Via::Gateway(Gateway::TwoCheckout)), ..none() }, places.clone()),
        (InboundFilter { via: Some(Via::Gateway("stripe".parse().unwrap())), ..none() }, vec![]),
        (InboundFilter { until: Some(START.start_of_day()), ..none() }, vec![]),
        (InboundFilter { from: Some(START.start_of_day()), ..none() }, places.clone()),
    ] {
        assert_eq!(shop.inbound(&test, filter.clone()).await, expected, "{filter:?}");
    }
    // What comes to an address that no listener has belongs to nobody.
    let stray = NewRefusal {
        merchant_id: None,
        listener_id: None,
        at: START,
        reason: RefusalReason::UnknownListener,
        detail: "/ipn/nothing".to_owned(),
        peer: "192.0.2.9".to_owned(),
        head: "POST /ipn/nothing HTTP/1.1\r\n".to_owned(),
        body: "a=b".into(),
        size: 3,
        suppressed: 0,
        reference: String::new(),
    };
    let id = test.store.refuse(stray).await.unwrap();
    assert_eq!(shop.inbound(&test, none()).await.len(), 4);
    let strays = test.store.strays(None, 10).await.unwrap();
    assert_eq!(strays.iter().map(|row| row.id).collect::<Vec<_>>(), [id]);
    assert_eq!(test.store.stray(id).await.unwrap().unwrap().body, b"a=b");
    assert!(test.store.strays(Some(NotificationId(id.0)), 10).await.unwrap().is_empty());
    assert!(test.store.stray(strays[0].id).await.unwrap().is_some());
    assert!(test.store.refusal(shop.merchant, id).await.unwrap().is_none());
    assert_healthy(&test).await;
}

async fn lists_turn_both_ways(mut test: TestStore) {
    let shop = shop(&test, "Shop").await;
    for place in 0..7 {
        shop.accept(&mut test, &format!("20{place}")).await;
        if place % 3 == 0 {
            shop.refuse(&test, RefusalReason::Malformed, 0).await;
        }
    }
    let all = shop.inbound(&test, InboundFilter::default()).await;
    assert_eq!(all.len(), 10);
    let page = async |filter: &InboundFilter| {
        let found = test.store.find_inbound(shop.merchant, filter, 4).await.unwrap();
        (found.rows.iter().map(|row| row.place()).collect::<Vec<_>>(), found.previous, found.next)
    };
    let mut filter = InboundFilter::default();
    let (rows, previous, next) = page(&filter).await;
    assert_eq!((rows.as_slice(), previous), (&all[..4], None));
    filter.after = next;
    let (rows, _, next) = page(&filter).await;
    assert_eq!(rows, all[4..8]);
    filter.after = next;
    let (rows, previous, next) = page(&filter).await;
    assert_eq!((rows.as_slice(), next), (&all[8..], None));
    let filter = InboundFilter { before: previous, ..InboundFilter::default() };
    let (rows, previous, next) = page(&filter).await;
    assert_eq!(rows, all[4..8], "back again");
    assert_eq!(next, Some(all[7]));
    let (rows, previous, next) = page(&InboundFilter { before: previous, ..InboundFilter::default() }).await;
    assert_eq!((rows.as_slice(), previous, next), (&all[..4], None, Some(all[3])));

    let none = DeliveryFilter::default;
    let found = test.store.find_deliveries(shop.merchant, &none(), 50).await.unwrap();
    let all: Vec<_> = found.rows.iter().map(|row| row.delivery.id).collect();
    assert_eq!(all.len(), 7);
    let page = async |filter: DeliveryFilter| {
        let found = test.store.find_deliveries(shop.merchant, &filter, 3).await.unwrap();
        (found.rows.iter().map(|row| row.delivery.id).collect::<Vec<_>>(), found.previous, found.next)
    };
    let (rows, previous, next) = page(DeliveryFilter { after: Some(all[2]), ..none() }).await;
    assert_eq!((rows.as_slice(), previous, next), (&all[3..6], Some(all[3]), Some(all[5])));
    let (rows, previous, next) = page(DeliveryFilter { before: Some(all[3]), ..none() }).await;
    assert_eq!((rows.as_slice(), previous, next), (&all[..3], None, Some(all[2])));
    let (rows, previous, _) = page(DeliveryFilter { before: Some(all[6]), text: "20".to_owned(), ..none() }).await;
    assert_eq!((rows.as_slice(), previous), (&all[3..6], Some(all[3])), "of some orders");
    let of = |via| DeliveryFilter { via: Some(via), ..none() };
    for via in [Via::Listener(shop.listener), Via::Gateway(Gateway::TwoCheckout)] {
        assert_eq!(page(of(via)).await.0, all[..3]);
        assert_eq!(test.store.count_deliveries(shop.merchant, &of(via)).await.unwrap().number, 7);
    }
    for via in [Via::Listener(ListenerId(1)), Via::Gateway("stripe".parse().unwrap())] {
        assert_eq!(page(of(via)).await.0, []);
    }
}

async fn a_search_finds_every_kind_and_only_what_is_ours(mut test: TestStore) {
    let shop = shop(&test, "Shop").await;
    let other = self::shop(&test, "Other").await;
    let job = shop.accept(&mut test, "300").await;
    let theirs = other.accept(&mut test, "301").await;
    shop.refuse(&test, RefusalReason::TooSlow, 0).await;
    let refusal = test.store.refused_by(shop.listener).await.unwrap()[0].id;
    let find = async |text: &str| {
        let id = text.parse::<OrderId>().ok().map(|id| id.0);
        let found = test.store.search(&[shop.merchant], text, id, 10).await.unwrap();
        assert!(found.iter().all(|hit| hit.merchant_id == shop.merchant), "{found:?}");
        found.into_iter().map(|hit| hit.found).collect::<Vec<_>>()
    };
    for text in ["300", "30", "web-30", "buyer-300@EXAMPLE", &job.order_id.to_string()] {
        let found = find(text).await;
        assert!(matches!(&found[..], [Found::Order(order)] if order.reference == "300"), "{text}: {found:?}");
    }
    let found = find("m300").await;
    assert!(matches!(&found[..], [Found::Notification { id, .. }] if *id == job.notification_id), "{found:?}");
    assert!(find("m30").await.is_empty(), "the whole number of a message");
    let found = find(&job.notification_id.to_string()).await;
    assert!(matches!(&found[..], [Found::Notification { reference, .. }] if reference == "300"), "{found:?}");
    let found = find(&job.delivery_id.to_string()).await;
    assert!(matches!(&found[..], [Found::Delivery { url, .. }] if *url == shop.url), "{found:?}");
    let found = find(&refusal.to_string()).await;
    assert!(matches!(&found[..], [Found::Refusal { reason: RefusalReason::TooSlow, .. }]), "{found:?}");
    for text in ["301", "m301", "%", "buyer", &theirs.delivery_id.to_string(), &theirs.order_id.to_string()] {
        let found = find(text).await;
        let is_ours = |found: &Found| matches!(found, Found::Order(order) if order.reference == "300");
        assert!(found.iter().all(is_ours), "{text}: {found:?}");
    }
    let both = test.store.search(&[shop.merchant, other.merchant], "30", None, 1).await.unwrap();
    assert_eq!(both.len(), 1, "as many as are wanted");
}

async fn listeners_that_refuse_or_never_got_anything_are_told(mut test: TestStore) {
    let (shop, other) = (shop(&test, "Shop").await, shop(&test, "Other").await);
    let merchants = [shop.merchant, other.merchant];
    let silent = test.store.silent_listeners(&merchants).await.unwrap();
    assert_eq!(silent.len(), 2);
    shop.refuse(&test, RefusalReason::NoSignature, 0).await;
    test.hand.advance(HOUR * 30);
    shop.refuse(&test, RefusalReason::WrongSignature, 4).await;
    shop.refuse(&test, RefusalReason::WrongSignature, 0).await;
    assert_eq!(test.store.silent_listeners(&merchants).await.unwrap(), [other.listener]);
    other.accept(&mut test, "1").await;
    assert!(test.store.silent_listeners(&merchants).await.unwrap().is_empty());
    let now = test.clock.now();
    let mut refused = test.store.refused_lately(&merchants, now.minus(HOUR * 24), now.minus(HOUR * 48)).await.unwrap();
    refused.sort_by_key(|lately| lately.count);
    let told: Vec<_> = refused.iter().map(|lately| (lately.listener_id, lately.reason, lately.count, lately.before)).collect();
    let expected = [(shop.listener, RefusalReason::NoSignature, 0, 1), (shop.listener, RefusalReason::WrongSignature, 6, 0)];
    assert_eq!(told, expected);
}

async fn views_are_of_their_user_and_list(test: TestStore) {
    let shop = shop(&test, "Shop").await;
    let user = async |name: &str| {
        let new = NewUser { email: name.to_owned(), password_hash: "x".to_owned(), role: Role::Support, merchants: Vec::new() };
        test.store.add_user(new, false, "test".to_owned()).await.unwrap()
    };
    let (ana, bo) = (user("ana@example.com").await, user("bo@example.com").await);
    let view = |name: &str, query: &str| NewView {
        user_id: ana,
        merchant_id: shop.merchant,
        list: ListKind::Deliveries,
        name: name.to_owned(),
        query: query.to_owned(),
    };
    assert!(test.store.save_view(view("Late", "?state=retrying")).await.unwrap());
    assert!(test.store.save_view(view("Gone", "?state=expired")).await.unwrap());
    assert!(test.store.save_view(view("Late", "?state=held")).await.unwrap());
    let views = test.store.views(ana, shop.merchant, ListKind::Deliveries).await.unwrap();
    let shown: Vec<_> = views.iter().map(|view| (view.name.as_str(), view.query.as_str())).collect();
    assert_eq!(shown, [("Gone", "?state=expired"), ("Late", "?state=held")]);
    assert!(test.store.views(ana, shop.merchant, ListKind::Inbound).await.unwrap().is_empty());
    assert!(test.store.views(bo, shop.merchant, ListKind::Deliveries).await.unwrap().is_empty());
    assert!(!test.store.remove_view(bo, shop.merchant, views[0].id).await.unwrap());
    assert!(test.store.remove_view(ana, shop.merchant, views[0].id).await.unwrap());
    assert!(!test.store.remove_view(ana, shop.merchant, views[0].id).await.unwrap());
    for place in 0..49 {
        assert!(test.store.save_view(view(&place.to_string(), "?state=held")).await.unwrap());
    }
    assert!(!test.store.save_view(view("One more", "?state=held")).await.unwrap());
    assert!(test.store.save_view(view("48", "?state=expired")).await.unwrap(), "what is there can be changed");
}

async fn days_are_those_of_the_merchant(mut test: TestStore) {
    let shop = shop(&test, "Shop").await;
    shop.accept(&mut test, "1").await;
    // 12:00 UTC is the next day in Kiritimati.
    let (day, next) = (parse_moment("2026-03-01"), parse_moment("2026-03-02"));
    let of = async |from: Option<Timestamp>, until: Option<Timestamp>| {
        let deliveries = DeliveryFilter { from, until, ..DeliveryFilter::default() };
        let inbound = InboundFilter { from, until, ..InboundFilter::default() };
        let orders = OrderFilter { from, until, ..OrderFilter::default() };
        let found = test.store.find_deliveries(shop.merchant, &deliveries, 9).await.unwrap().rows.len();
        assert_eq!(test.store.count_deliveries(shop.merchant, &deliveries).await.unwrap().number, found as u64);
        assert_eq!(shop.inbound(&test, inbound).await.len(), found);
        assert_eq!(test.store.find_orders(shop.merchant, &orders).await.unwrap().0.len(), found);
        found
    };
    assert_eq!((of(day, next).await, of(next, None).await), (1, 0));
    let zone = Zone::parse("Pacific/Kiritimati").unwrap();
    test.store.set_time_zone(shop.merchant, zone.clone(), "test".to_owned()).await.unwrap();
    assert_eq!((of(day, next).await, of(next, None).await), (0, 1));
    assert_eq!(test.store.settings().zone_of(shop.merchant), zone);
}
