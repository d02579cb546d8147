//! The schedule of further attempts, on a clock that is turned by hand, and that a restart loses nothing of it.

use crate::support::{
    app::{Shop, TestApp, moment},
    merchant::{Answer, FakeMerchant},
    stores::START,
    until,
};
use quittance::domain::{
    Cause, DeliveryState, RetrySchedule,
    attempt::Origin,
    id::{OrderId, UrlId},
    pages::orders::DeliveryView,
};
use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

async fn failing() -> FakeMerchant {
    FakeMerchant::start(|_| Answer::status(500, "")).await
}

/// When a delivery is tried next, in seconds from the start, once it has been tried so often.
async fn next_try(shop: &Shop, order: OrderId, url: UrlId, attempts: u32) -> Option<u64> {
    let delivery = shop.wait_for_attempts(order, url, attempts).await;
    assert_eq!(delivery.attempts, attempts);
    // The whole second after it: most moments of a schedule deviate by a few.
    let due = delivery.due_at.filter(|_| delivery.state == DeliveryState::Retrying)?;
    Some(due.since(START).as_micros().div_ceil(1_000_000) as u64)
}

#[tokio::test]
async fn the_documented_schedule_is_kept_until_two_days_have_passed() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let (mut tries, mut now) = (vec![0], 0);
    while let Some(next) = next_try(&shop, order, url, tries.len() as u32).await {
        assert!(next > now, "{next}");
        hand.advance(Duration::from_secs(next - now));
        now = next;
        tries.push(next);
    }
    // At once; two within five minutes; four every fifteen minutes; then hourly until two days after the first.
    assert!(tries[1] <= 5 * MINUTE && tries[2] <= 5 * MINUTE && tries[3] > 5 * MINUTE, "{tries:?}");
    let gaps: Vec<u64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each moment may deviate by a tenth of its delay, so a gap by two tenths.
    let is_about = |gap: u64, span: u64| (span * 8 / 10..=span * 12 / 10 + 1).contains(&gap);
    assert!(gaps[2..6].iter().all(|gap| is_about(*gap, 15 * MINUTE)), "{gaps:?}");
    assert!(gaps[6..].iter().all(|gap| is_about(*gap, HOUR)), "{gaps:?}");
    assert_eq!(tries.len(), 53);
    let last = *tries.last().unwrap();
    assert!(last <= 48 * HOUR && last + HOUR > 47 * HOUR, "{last}");
    let delivery = shop.wait_for_state(order, url, DeliveryState::Expired).await;
    assert_eq!((delivery.last_cause, delivery.due_at), (Some(Cause::ServerError), None));
    let page = app.services.delivery_page(&shop.merchant, delivery.id, None, true).await.unwrap();
    let mut made: Vec<u64> = page.attempts.iter().map(|attempt| attempt.started_at.since(START).as_secs()).collect();
    made.reverse();
    assert_eq!(made, tries, "each attempt was made when it was due");
    assert_eq!(merchant.visits().len(), tries.len());
    hand.advance(Duration::from_secs(7 * 24 * HOUR));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(merchant.visits().len(), tries.len(), "expired is for good");
    app.assert_healthy().await;
}

#[tokio::test]
async fn an_attempt_is_not_made_before_its_time() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let next = next_try(&shop, order, url, 1).await.unwrap();
    hand.advance(Duration::from_secs(next - 1));
    // Something else is delivered meanwhile, so the dispatcher was awake.
    let other = shop.order("2").await;
    shop.wait_for_attempts(other, url, 1).await;
    assert_eq!(merchant.visits().len(), 2);
    hand.advance(Duration::from_secs(1));
    shop.wait_for_attempts(order, url, 2).await;
}

#[tokio::test]
async fn a_receipt_at_last_ends_the_retries() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant =
        FakeMerchant::start(|visit| if visit.number < 4 { Answer::text("OK") } else { Answer::receipt("md5", visit) }).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    for attempts in 1..=3 {
        shop.wait_for_attempts(order, url, attempts).await;
        hand.advance(Duration::from_secs(20 * MINUTE));
    }
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert_eq!((delivery.attempts, delivery.last_cause), (4, None));
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_restart_loses_nothing_and_goes_on_with_the_schedule() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let url = shop.url(&merchant.url()).await;
    let mut orders = Vec::new();
    for reference in ["1", "2", "3"] {
        orders.push(shop.order(reference).await);
    }
    let mut due = 0;
    for order in &orders {
        due = next_try(&shop, *order, url, 1).await.unwrap();
    }
    // Before its time a restart tries nothing.
    let app = app.restart(|| hand.advance(Duration::from_secs(due - 1))).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(merchant.visits().len(), 3);
    hand.advance(Duration::from_secs(1));
    let shop = shop.again(&app);
    for order in &orders {
        assert_eq!(next_try(&shop, *order, url, 2).await, Some(5 * MINUTE));
    }
    // What became due while the server was down is tried once, and the hours that were missed are not made up for.
    let down = 3 * HOUR + 30 * MINUTE;
    let app = app.restart(|| hand.advance(Duration::from_secs(down - due))).await;
    let shop = shop.again(&app);
    for order in &orders {
        let next = next_try(&shop, *order, url, 3).await.unwrap();
        assert!((3 * HOUR + 59 * MINUTE..=4 * HOUR + 11 * MINUTE + 1).contains(&next), "{next}");
    }
    assert_eq!(merchant.visits().len(), 9);
    merchant.answer(|visit| Answer::receipt("md5", visit));
    hand.advance(Duration::from_secs(45 * MINUTE));
    for order in &orders {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
    app.assert_healthy().await;
}

#[tokio::test]
async fn what_waited_for_its_first_attempt_is_delivered_after_a_restart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::Later(Duration::from_secs(2), Box::new(Answer::status(500, "")))).await;
    let url = shop.url(&merchant.url()).await;
    let mut orders = Vec::new();
    for reference in ["1", "2", "3", "4", "5"] {
        orders.push(shop.order(reference).await);
    }
    merchant.wait_for(1).await;
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let app = app.restart(|| {}).await;
    let shop = shop.again(&app);
    for order in &orders[1..] {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
    let first = shop.wait_for_attempts(orders[0], url, 1).await;
    assert_eq!(first.state, DeliveryState::Retrying, "the attempt on its way at the end was waited for");
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_resend_of_an_expired_delivery_has_two_days_of_its_own() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_attempts(order, url, 1).await;
    hand.advance(Duration::from_secs(49 * HOUR));
    let old = shop.wait_for_state(order, url, DeliveryState::Expired).await;
    assert_eq!(old.attempts, 2);
    let [new] = shop.resend(order, Some(url), Origin::Resend, "key").await[..] else { panic!() };
    let is_tried = |delivery: &DeliveryView| delivery.id == new && delivery.attempts == 1;
    let delivery = shop.wait_for(order, url, is_tried).await;
    assert_eq!(delivery.due_at, Some(moment(49 * HOUR + 150)));
    merchant.answer(|visit| Answer::receipt("md5", visit));
    hand.advance(Duration::from_secs(150));
    shop.wait_for(order, url, |delivery| delivery.id == new && delivery.state == DeliveryState::Confirmed).await;
    assert_eq!(shop.wait_for(order, url, |delivery| delivery.id == old.id).await.state, DeliveryState::Expired);
}

#[tokio::test]
async fn what_was_held_for_long_is_tried_at_its_release_with_the_whole_schedule_ahead() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let url = shop.url_as(&merchant.url(), |url| url.held = true).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Held).await;
    hand.advance(Duration::from_secs(30 * 24 * HOUR));
    app.services.hold_url(&shop.merchant, url, false, "test").await.unwrap();
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    assert_eq!((delivery.state, delivery.due_at), (DeliveryState::Retrying, Some(moment(30 * 24 * HOUR + 150))));
}

#[tokio::test]
async fn a_stop_is_orderly_while_messages_come() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut orders = Vec::new();
    for number in 0..50 {
        orders.push(shop.order(&number.to_string()).await);
    }
    let app = app.restart(|| {}).await;
    let shop = shop.again(&app);
    for order in orders {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    until("each message once", || async { Some(merchant.visits().len()).filter(|count| *count >= 50) }).await;
    assert_eq!(merchant.visits().len(), 50, "an orderly stop doubles nothing");
    app.assert_healthy().await;
}

#[tokio::test]
async fn each_url_has_the_schedule_it_is_set_to() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = failing().await;
    let mut urls = Vec::new();
    let own: RetrySchedule = "1m,5m,1h".parse().unwrap();
    for schedule in [RetrySchedule::StandardWebhooks, RetrySchedule::PayPal, RetrySchedule::Stripe, own] {
        urls.push((shop.url_as(&merchant.url(), |url| url.terms.retries = schedule.clone()).await, schedule));
    }
    let order = shop.order("1").await;
    // Each is followed to its end: what is due next among all of them is where the clock goes.
    let mut tries: Vec<Vec<u64>> = vec![vec![0]; urls.len()];
    let mut now = 0;
    loop {
        let mut next = Vec::new();
        for ((url, _), tries) in urls.iter().zip(&tries) {
            next.push(next_try(&shop, order, *url, tries.len() as u32).await);
        }
        let Some(first) = next.iter().flatten().min().copied() else { break };
        hand.advance(Duration::from_secs(first - now));
        now = first;
        for (tries, next) in tries.iter_mut().zip(next) {
            tries.extend(next.filter(|next| *next == first));
        }
    }
    for ((url, schedule), tries) in urls.iter().zip(tries) {
        let delays = schedule.delays();
        assert_eq!(tries.len(), delays.len() + 1, "{schedule}");
        let mut offset = 0;
        for (made, delay) in tries[1..].iter().zip(&delays) {
            offset += u64::from(*delay);
            let deviation = made.abs_diff(offset);
            assert!(deviation <= u64::from(*delay) / 10 + 1, "{schedule}: {made} instead of {offset}");
        }
        shop.wait_for_state(order, *url, DeliveryState::Expired).await;
    }
}
