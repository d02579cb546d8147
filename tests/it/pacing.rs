//! What a URL is given and when: its limits, single probes and the way back, what its server asks for, hold, shadow.

use crate::support::{
    app::{Shop, TestApp, moment},
    browser::Browser,
    merchant::{Answer, FakeMerchant},
    stores::START,
    until,
};
use quittance::domain::{
    Cause, DeliveryState, Role,
    attempt::Origin,
    id::{OrderId, UrlId},
    pages::dashboard::{Dashboard, Pause},
};
use quittance::server::{service::urls::draft_of, store::UrlDraft};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Enough for something that should not happen to happen.
const A_WHILE: Duration = Duration::from_millis(300);

async fn orders(shop: &Shop, references: std::ops::Range<usize>) -> Vec<OrderId> {
    let references: Vec<_> = references.map(|number| number.to_string()).collect();
    futures::future::join_all(references.iter().map(|reference| shop.order(reference))).await
}

async fn all_confirmed(shop: &Shop, orders: &[OrderId], url: UrlId) {
    for order in orders {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
}

async fn dashboard(shop: &Shop) -> Dashboard {
    shop.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap()
}

/// A merchant's server that confirms as many as it is let.
async fn gated(gate: &Arc<Semaphore>) -> FakeMerchant {
    let gate = gate.clone();
    FakeMerchant::start(move |visit| Answer::Gated(gate.clone(), Box::new(Answer::receipt("md5", visit)))).await
}

#[tokio::test]
async fn a_url_gets_as_many_requests_at_a_time_as_it_is_set_to() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let merchant = gated(&gate).await;
    let url = shop
        .url_as(&merchant.url(), |url| {
            url.concurrent = true;
            url.terms.max_in_flight = 3;
        })
        .await;
    let orders = orders(&shop, 0..10).await;
    until("three requests", || async { (merchant.present() == 3).then_some(()) }).await;
    tokio::time::sleep(A_WHILE).await;
    gate.add_permits(10);
    all_confirmed(&shop, &orders, url).await;
    assert_eq!((merchant.visits().len(), merchant.peak()), (10, 3));
}

#[tokio::test]
async fn a_url_gets_as_many_requests_a_second_as_it_is_set_to() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.terms.rate_per_second = Some(2)).await;
    let orders = orders(&shop, 0..4).await;
    for count in 1..=4 {
        merchant.wait_for(count).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(merchant.visits().len(), count, "two a second");
        hand.advance(Duration::from_millis(500));
    }
    all_confirmed(&shop, &orders, url).await;
}

#[tokio::test]
async fn a_rate_is_kept_by_the_machines_clock_too() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop
        .url_as(&merchant.url(), |url| {
            url.concurrent = true;
            url.terms.rate_per_second = Some(10);
        })
        .await;
    let begun = tokio::time::Instant::now();
    let orders = orders(&shop, 0..11).await;
    all_confirmed(&shop, &orders, url).await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_dead_url_gets_single_probes_and_its_deliveries_keep_their_schedule() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut first = Vec::new();
    for number in 0..5 {
        let order = shop.order(&number.to_string()).await;
        shop.wait_for_attempts(order, url, 1).await;
        first.push(order);
    }
    // It is dead by now: what comes waits for the probes.
    let rest = orders(&shop, 5..25).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 5);
    let seen = dashboard(&shop).await;
    let pause = Some(Pause::Probing { since: START, every: 5, next: moment(5) });
    assert_eq!((seen.troubles[0].pause, seen.urls[0].pause), (pause, pause));
    assert_eq!(shop.services.ipn_settings(&shop.merchant, false).await.unwrap().urls[0].pause, pause);
    let mut now = 0;
    for (probe, pause) in [5_u64, 10, 20].into_iter().enumerate() {
        hand.advance(Duration::from_secs(pause));
        now += pause;
        merchant.wait_for(6 + probe).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(merchant.visits().len(), 6 + probe, "one probe");
    }
    let pauses = until("the next probe", || async {
        match dashboard(&shop).await.troubles[0].pause {
            Some(Pause::Probing { since, every: 40, next }) => Some((since, next)),
            _ => None,
        }
    })
    .await;
    assert_eq!(pauses, (START, moment(now + 40)));
    for order in &first {
        let delivery = shop.wait_for(*order, url, |_| true).await;
        assert_eq!((delivery.attempts, delivery.due_at), (1, Some(moment(150))), "not moved, and nothing counted");
    }
    let untried = shop.wait_for(rest[19], url, |_| true).await;
    assert_eq!((untried.state, untried.attempts), (DeliveryState::Queued, 0));

    // It is back: one, two, four, eight at a time.
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    merchant.answer(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit))));
    hand.advance(Duration::from_secs(40));
    for (at_a_time, then) in [(1, 1), (1, 2), (2, 4), (4, 8)] {
        until("the step", || async { (merchant.present() == at_a_time).then_some(()) }).await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(merchant.present(), at_a_time);
        gate.add_permits(at_a_time);
        until("the next step", || async { (merchant.present() == then).then_some(()) }).await;
    }
    gate.add_permits(100);
    hand.advance(Duration::from_secs(150));
    all_confirmed(&shop, &first, url).await;
    all_confirmed(&shop, &rest, url).await;
    let seen = dashboard(&shop).await;
    assert!(seen.troubles.is_empty() && seen.urls[0].pause.is_none());
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_resend_for_debug_that_goes_well_brings_a_dead_url_back_at_once() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    for number in 0..5 {
        let order = shop.order(&number.to_string()).await;
        shop.wait_for_attempts(order, url, 1).await;
    }
    let waiting = shop.order("waiting").await;
    merchant.answer(|visit| Answer::receipt("md5", visit));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 5);
    shop.resend(waiting, Some(url), Origin::Debug, "key").await;
    shop.wait_for(waiting, url, |delivery| delivery.state == DeliveryState::Confirmed && delivery.origin == Origin::Arrival)
        .await;
}

async fn left_alone(status: u16, retry_after: &'static str, seconds: u64) {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant =
        FakeMerchant::start(move |_| Answer::Page(status, vec![("Retry-After", retry_after.to_owned())], Vec::new())).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let first = shop.order("1").await;
    let delivery = shop.wait_for_attempts(first, url, 1).await;
    assert!(delivery.due_at.unwrap() >= moment(seconds), "{:?}", delivery.due_at);
    assert!(shop.attempt(delivery.id, 1).await.detail.note.contains(&format!("nothing is sent for {seconds} seconds")));
    assert_eq!(dashboard(&shop).await.troubles[0].pause, Some(Pause::Told { until: moment(seconds) }));
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let second = shop.order("2").await;
    hand.advance(Duration::from_secs(seconds - 1));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 1, "not before");
    hand.advance(Duration::from_secs(1));
    shop.wait_for_state(second, url, DeliveryState::Confirmed).await;
    assert_eq!(dashboard(&shop).await.troubles[0].pause, None);
    hand.advance(Duration::from_secs(3_600));
    shop.wait_for_state(first, url, DeliveryState::Confirmed).await;
}

#[tokio::test]
async fn a_server_that_answers_429_is_left_alone_as_long_as_it_asks() {
    left_alone(429, "600", 600).await;
}

#[tokio::test]
async fn a_server_that_answers_503_with_a_date_is_left_alone_until_then() {
    left_alone(503, "Sun, 01 Mar 2026 12:05:00 GMT", 300).await;
}

#[tokio::test]
async fn nobody_is_left_alone_for_more_than_an_hour() {
    left_alone(503, "86400", 3_600).await;
}

#[tokio::test]
async fn retry_after_means_nothing_beside_a_receipt_or_another_status() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::Page(500, vec![("Retry-After", "600".to_owned())], Vec::new())).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    assert_eq!(shop.wait_for_attempts(order, url, 1).await.due_at, Some(moment(150)));
    assert_eq!(dashboard(&shop).await.urls[0].pause, None);
}

#[tokio::test]
async fn a_url_that_was_corrected_while_the_old_page_answered_is_not_held() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let gone = FakeMerchant::start(move |_| Answer::Gated(held.clone(), Box::new(Answer::status(410, "")))).await;
    let moved = FakeMerchant::confirming().await;
    let url = shop.url(&gone.url()).await;
    let order = shop.order("1").await;
    until("the request", || async { (gone.present() == 1).then_some(()) }).await;
    let known = app.services.store.settings().url(url).unwrap().clone();
    let draft = UrlDraft { url: moved.url(), ..draft_of(&known) };
    app.services.save_url(Some(url), draft, "somebody@example.com").await.unwrap();
    gate.add_permits(1);
    assert_eq!(shop.wait_for_attempts(order, url, 1).await.last_cause, Some(Cause::Gone));
    shop.wait_for_state(shop.order("2").await, url, DeliveryState::Confirmed).await;
    assert!(!app.services.store.settings().url(url).unwrap().held);
}

#[tokio::test]
async fn what_a_former_address_asks_for_is_nothing_to_the_present_one() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let busy = move |_: &_| {
        let later = Answer::Page(503, vec![("Retry-After", "3600".to_owned())], Vec::new());
        Answer::Gated(held.clone(), Box::new(later))
    };
    let busy = FakeMerchant::start(busy).await;
    let moved = FakeMerchant::confirming().await;
    let url = shop.url(&busy.url()).await;
    let order = shop.order("1").await;
    until("the request", || async { (busy.present() == 1).then_some(()) }).await;
    let known = app.services.store.settings().url(url).unwrap().clone();
    let draft = UrlDraft { url: moved.url(), ..draft_of(&known) };
    app.services.save_url(Some(url), draft, "somebody@example.com").await.unwrap();
    gate.add_permits(1);
    assert_eq!(shop.wait_for_attempts(order, url, 1).await.last_cause, Some(Cause::ServerError));
    shop.wait_for_state(shop.order("2").await, url, DeliveryState::Confirmed).await;
    assert_eq!(dashboard(&shop).await.urls[0].pause, None);
}

#[tokio::test]
async fn a_page_that_is_gone_holds_its_url_and_loses_nothing() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let merchant = FakeMerchant::start(move |_| Answer::Gated(held.clone(), Box::new(Answer::status(410, "")))).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut all = orders(&shop, 0..5).await;
    until("five requests", || async { (merchant.present() == 5).then_some(()) }).await;
    gate.add_permits(5);
    // Also those that were on their way when the first of them put it on hold.
    for order in &all {
        let delivery = shop.wait_for_state(*order, url, DeliveryState::Held).await;
        assert_eq!(delivery.last_cause, Some(Cause::Gone));
    }
    let seen = dashboard(&shop).await;
    let hold = seen.urls[0].hold.unwrap();
    assert_eq!((hold.since, hold.cause, seen.urls[0].held_back), (Some(START), Some(Cause::Gone), 5));
    assert!(seen.troubles.is_empty() && seen.counts.held == 5);
    let audit = app.dump().await;
    let line = audit.lines().find(|line| line.contains("\"url.hold\"")).unwrap();
    assert!(line.contains("Text(\"quittance\")") && line.contains(&merchant.url()), "{line}");
    all.push(shop.order("later").await);
    shop.wait_for_state(all[5], url, DeliveryState::Held).await;
    hand.advance(Duration::from_secs(86_400));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 5);
    merchant.answer(|visit| Answer::receipt("md5", visit));
    app.services.hold_url(&shop.merchant, url, false, "somebody@example.com").await.unwrap();
    all_confirmed(&shop, &all, url).await;
    assert!(dashboard(&shop).await.urls[0].hold.is_none());
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_resend_for_debug_that_finds_the_page_gone_holds_nothing() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    merchant.answer(|_| Answer::status(410, ""));
    shop.resend(order, Some(url), Origin::Debug, "key").await;
    shop.wait_for(order, url, |delivery| delivery.last_cause == Some(Cause::Gone)).await;
    tokio::time::sleep(A_WHILE).await;
    assert!(!app.services.store.settings().url(url).unwrap().held);
}

#[tokio::test]
async fn a_shadow_gets_copies_and_its_failures_count_nowhere() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let (good, bad) = (FakeMerchant::confirming().await, FakeMerchant::start(|_| Answer::text("OK")).await);
    let url = shop.url(&good.url()).await;
    let shadow = shop
        .url_as(&bad.url(), |url| {
            url.terms.shadow = true;
            url.terms.retries = "1m".parse().unwrap();
        })
        .await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert!(shop.wait_for_state(order, shadow, DeliveryState::Retrying).await.shadow);
    let seen = dashboard(&shop).await;
    assert!(seen.troubles.is_empty() && seen.counts.retrying == 0);
    let health = seen.urls.iter().find(|health| health.url.id == shadow).unwrap();
    assert!(health.shadow && health.failing, "it shows in the list");
    hand.advance(Duration::from_secs(60));
    shop.wait_for_state(order, shadow, DeliveryState::Expired).await;
    let seen = dashboard(&shop).await;
    assert!(seen.troubles.is_empty());
    assert_eq!((seen.counts.confirmed, seen.counts.expired), (1, 0));
    let page = app.services.story(&shop.merchant, order, Default::default(), false).await.unwrap();
    assert_eq!((page.order.deliveries.confirmed, page.order.deliveries.expired), (1, 0));
    assert_eq!(bad.visits()[0].body, good.visits()[0].body);
    app.assert_healthy().await;
}

#[tokio::test]
async fn one_dead_and_one_flooded_merchant_leave_another_alone() {
    // Both ends of every connection are in this process.
    rlimit::increase_nofile_limit(4_096).unwrap();
    let app = TestApp::start().await;
    let (busy, quiet) = (app.shop("Busy").await, app.shop("Quiet").await);
    let gate = Arc::new(Semaphore::new(0));
    let slow = gated(&gate).await;
    let mut urls = Vec::new();
    for _ in 0..20 {
        urls.push(busy.url_as(&slow.url(), |url| url.concurrent = true).await);
    }
    // More than may be on their way at all.
    orders(&busy, 0..60).await;
    until("the places of one merchant", || async { (slow.present() >= 750).then_some(()) }).await;
    let good = FakeMerchant::confirming().await;
    let url = quiet.url(&good.url()).await;
    let order = quiet.order("1").await;
    quiet.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert_eq!(slow.present(), 750);
    gate.add_permits(10_000);
}

#[tokio::test]
async fn a_url_that_confirms_again_is_not_called_down_for_what_failed_before() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::text("not yet")).await;
    let url = shop.url(&merchant.url()).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let address = format!("/m/{}", shop.merchant.slug);
    for round in 0..2 {
        merchant.answer(|_| Answer::text("not yet"));
        let failed = shop.order(&format!("failed-{round}")).await;
        shop.wait_for_attempts(failed, url, 1).await;
        let seen = dashboard(&shop).await;
        assert!(!seen.troubles[0].works_again && seen.urls[0].failing_since.is_some(), "{seen:?}");
        let page = browser.get(&address).await.text();
        assert!(page.contains("1 URL cannot be delivered to") && page.contains("Failing since"), "{page}");
        merchant.answer(|visit| Answer::receipt("md5", visit));
        let confirmed = shop.order(&format!("confirmed-{round}")).await;
        shop.wait_for_state(confirmed, url, DeliveryState::Confirmed).await;
        let seen = dashboard(&shop).await;
        assert!(seen.troubles[0].works_again && seen.urls[0].failing_since.is_none(), "{seen:?}");
        let page = browser.get(&address).await.text();
        assert!(page.contains("Every URL confirms again") && !page.contains("cannot be delivered to"), "{page}");
    }
}
