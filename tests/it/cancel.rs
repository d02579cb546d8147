//! Giving up lists of deliveries over the whole application: nothing cancelled is sent afterwards, nothing else is lost.

use crate::bulk::{gated, references};
use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
    merchant::{Answer, FakeMerchant},
    message::Message,
    until,
};
use quittance::domain::{
    DeliveryState, Role,
    id::BulkId,
    pages::{bulk::BulkState, deliveries::StateFilter},
};
use std::time::Duration;

/// Longer than it can be undone.
const GRACE: Duration = Duration::from_secs(11);

/// Asks for a list to be cancelled as a person does; gives the job and its page.
async fn cancel(browser: &mut Browser, filter: &[(&str, &str)]) -> (BulkId, String) {
    let query: Vec<String> = filter.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let plan = browser.get(&format!("/m/shop/resends/cancel?{}", query.join("&"))).await.text();
    assert!(plan.contains("The scripts will not be told of these notifications"), "{plan}");
    let key = plan.split("name=\"request_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = [&[("merchant", "shop"), ("target", "cancel"), ("request_key", key.as_str())], filter].concat();
    let page = browser.form("/rpc/bulk/start", &form).await.header("location").to_owned();
    let again = browser.form("/rpc/bulk/start", &form).await;
    assert_eq!(again.header("location"), page, "a double click");
    (page.rsplit('/').next().unwrap().parse().unwrap(), page)
}

async fn started() -> (TestApp, quittance::server::clock::ClockHand, Shop, Browser) {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    app.user("support@example.com", Role::Support, &[]).await;
    let browser = Browser::signed_in(app.address, "support@example.com").await;
    (app, hand, shop, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_cancelled_is_sent_and_nothing_else_is_lost() {
    let (app, hand, shop, mut browser) = started().await;
    let (script, other) = (FakeMerchant::confirming().await, FakeMerchant::confirming().await);
    let gate = gated(&script);
    let url = shop.url(&script.url()).await;
    let other_url = shop.url(&other.url()).await;
    let mut orders = Vec::new();
    for number in 0..30 {
        orders.push(shop.order(&format!("10{number:02}")).await);
    }
    // One is at the script, the others stand in memory.
    script.wait_for(1).await;
    other.wait_for(30).await;
    let list = browser.get(&format!("/m/shop/deliveries?state=queued&url={url}")).await.text();
    assert!(list.contains("Cancel these 30 deliveries…") && list.contains("/m/shop/resends/cancel?state=queued"), "{list}");
    let (id, page) = cancel(&mut browser, &[("state", "queued"), ("url", &url.to_string())]).await;
    let text = browser.get(&page).await.text();
    assert!(text.contains("Starts in") && text.contains("Undo"), "{text}");
    // More comes while it is worked at, and is not part of the list.
    hand.advance(GRACE);
    let mut news = Vec::new();
    for number in 0..10 {
        news.push(shop.order(&format!("20{number:02}")).await);
    }
    let job = shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    assert_eq!((job.job.made, job.job.expected), (30, Some(30)));
    gate.add_permits(1_000);
    for order in &news {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
    let job = shop.wait_for_bulk(id, |bulk| bulk.standing.confirmed.number == 1).await;
    assert_eq!(job.standing.withdrawn.number, 29);
    hand.advance(Duration::from_secs(3_600));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let came = references(&script, 0);
    assert_eq!((came.len(), came.iter().filter(|reference| reference.starts_with("10")).count()), (11, 1), "{came:?}");
    assert_eq!(other.visits().len(), 40);
    let delivery = shop.wait_for_state(orders[29], url, DeliveryState::Cancelled).await;
    shop.wait_for_state(orders[29], other_url, DeliveryState::Confirmed).await;
    assert_eq!(delivery.cancelled_by.as_deref(), Some("support@example.com"));
    let text = browser.get(&page).await.text();
    assert!(text.contains("30 deliveries are cancelled") && text.contains("The request of 1 was on its way"), "{text}");
    let story = browser.get(&format!("/m/shop/orders/{}", orders[29])).await.text();
    assert!(story.contains("Cancelled by support@example.com with a list"), "{story}");
    // It can be resent.
    let resent = browser
        .form(
            "/rpc/bulk/start",
            &[("merchant", "shop"), ("target", "same"), ("request_key", "again"), ("state", "cancelled"), ("text", "1029")],
        )
        .await;
    assert!(resent.header("location").starts_with("/m/shop/resends/"), "{resent:?}");
    hand.advance(GRACE);
    shop.wait_for_state(orders[29], url, DeliveryState::Confirmed).await;
    assert!(references(&script, 0).contains(&"1029".to_owned()));
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_leaves_everything_as_it_was_and_mistakes_are_told() {
    let (app, hand, shop, mut browser) = started().await;
    let script = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&script.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    for (filter, message) in [
        ("", "Choose what is to be cancelled"),
        ("?state=confirmed", "can be cancelled: choose one of these states"),
        ("?state=nonsense", "There is no such state"),
        ("?state=held", "Nothing to cancel"),
        ("?test=only", "none is queued, retrying or held"),
    ] {
        let text = browser.get(&format!("/m/shop/resends/cancel{filter}")).await.text();
        assert!(text.contains(message) && !text.contains("Cancel them"), "{filter}: {text}");
    }
    let form = [("merchant", "shop"), ("target", "cancel"), ("request_key", "k"), ("state", "expired")];
    let page = browser.form("/rpc/bulk/start", &form).await.header("location").to_owned();
    assert_eq!(page, "/m/shop/resends/cancel?state=expired");
    assert!(browser.get(&page).await.text().contains("can be cancelled: choose one of these states"));
    let (id, page) = cancel(&mut browser, &[("state", "retrying")]).await;
    hand.advance(Duration::from_secs(5));
    let undo = [("merchant", "shop"), ("bulk", &id.to_string())];
    assert_eq!(browser.form("/rpc/bulk/cancel", &undo).await.header("location"), page);
    let text = browser.get(&page).await.text();
    assert!(text.contains("Undone: nothing was cancelled.") && text.contains("Undone"), "{text}");
    hand.advance(GRACE);
    script.answer(|visit| Answer::receipt("md5", visit));
    until("it to be tried again", || async {
        hand.advance(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
        (shop.fitting(StateFilter::Confirmed).await == 1).then_some(())
    })
    .await;
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_cancelled_delivery_of_its_order_goes_on() {
    let (app, hand, shop, mut browser) = started().await;
    let script = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop
        .url_as(&script.url(), |draft| {
            draft.concurrent = true;
            draft.order_in_order = true;
        })
        .await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    script.answer(|visit| Answer::receipt("md5", visit));
    shop.post_signed(&Message::small("1", "REFUND", "20260301130009"), &["md5"]).await;
    until("it to stand behind the first", || async { (shop.deliveries(order).await.len() == 2).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(script.visits().len(), 1, "it waits");
    let (id, _) = cancel(&mut browser, &[("state", "retrying")]).await;
    hand.advance(GRACE);
    shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    until("the other to be confirmed", || async { (shop.fitting(StateFilter::Confirmed).await == 1).then_some(()) }).await;
    assert_eq!(script.visits().len(), 2);
    app.assert_healthy().await;
}
