//! What an order's page tells of money: the amount, what was given back of it, and what each message told. On each engine.

use crate::{
    story::{assert_all, page, words},
    support::{
        app::{Setup, Shop, TestApp, on_every_server},
        browser::Browser,
        message::Message,
    },
};
use quittance::domain::{Role, id::OrderId};

on_every_server! {
    refunds_are_told_with_their_sums,
    each_message_tells_its_own_amount,
}

/// A message about an order, at a second of the same minute.
fn message(reference: &str, status: &str, second: u32, total: &str) -> Message {
    let mut message = Message::small(reference, status, &format!("202603011200{second:02}"));
    message.set("IPN_TOTALGENERAL", total);
    message
}

async fn start(setup: Setup) -> (TestApp, Shop, Browser) {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    // Whoever sees customers masked sees amounts.
    app.user("support@example.com", Role::Support, &[&shop]).await;
    let browser = Browser::signed_in(app.address, "support@example.com").await;
    (app, shop, browser)
}

async fn story(browser: &mut Browser, order: OrderId) -> String {
    page(browser, &format!("/m/shop/orders/{order}")).await
}

async fn refunds_are_told_with_their_sums(setup: Setup) {
    let (app, shop, mut browser) = start(setup).await;
    let order = shop.accepted(&message("1", "COMPLETE", 1, "1059.00")).await;
    let text = story(&mut browser, order).await;
    assert_all(&text, &["Amount 1,059.00 USD Deliveries"]);
    shop.accepted(&message("1", "REFUND", 2, "-19.50")).await;
    let text = story(&mut browser, order).await;
    assert_all(&text, &["Partially refunded", "Amount 1,059.00 USD Refunded 19.50 USD Deliveries", "COMPLETE 1,059.00 USD"]);
    assert_all(&text, &["REFUND −19.50 USD"]);
    shop.accepted(&message("1", "REFUND", 3, "-1039.50")).await;
    let text = story(&mut browser, order).await;
    assert_all(&text, &["Amount 1,059.00 USD Refunded 1,059.00 USD Deliveries", "REFUND −19.50 USD", "REFUND −1,039.50 USD"]);
    let text = page(&mut browser, &format!("/m/shop/orders/{order}?order=newest")).await;
    assert!(text.find("−1,039.50 USD") < text.find("−19.50 USD"), "{text}");

    // That it was refunded, and how much nobody says.
    let silent = shop.accepted(&message("2", "REFUND", 1, "")).await;
    let reply = browser.get(&format!("/m/shop/orders/{silent}")).await;
    assert!(words(&reply).contains("Amount — Deliveries") && !reply.text().contains(" USD"), "{}", reply.text());
    app.assert_healthy().await;
    app.stop().await;
}

async fn each_message_tells_its_own_amount(setup: Setup) {
    let (app, shop, mut browser) = start(setup).await;
    let order = shop.accepted(&message("1", "COMPLETE", 5, "59.00")).await;
    // It came late, so it sets nothing; and it told another amount, in another currency.
    let mut late = message("1", "PENDING", 1, "5000");
    late.set("CURRENCY", "JPY");
    shop.accepted(&late).await;
    shop.accepted(&message("1", "REVERSED", 6, "")).await;
    let text = story(&mut browser, order).await;
    assert_all(&text, &["Amount 59.00 USD Deliveries", "COMPLETE 59.00 USD", "PENDING 5,000 JPY", "REVERSED Status"]);
    app.stop().await;
}
