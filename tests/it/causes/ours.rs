//! Ours: messages that cannot be sent, URLs that cannot be used, and the check of a URL when it is saved.

use super::cause_at;
use crate::support::{
    app::{GATEWAY_KEY, Setup, Shop, TestApp},
    merchant::{Answer, FakeMerchant, closed_port},
    message::Message,
    stores,
};
use quittance::{
    domain::{Cause, DeliveryState, attempt::UrlCheck},
    server::{
        dispatch::{
            Workshop,
            client::{Client, Guard, Limits, Resolver, Target},
        },
        store::Job,
    },
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn a_message_that_is_not_kept_any_more() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    let database = app.database();
    let app = app
        .restart(|| {
            rusqlite::Connection::open(database).unwrap().execute("DELETE FROM segment", []).unwrap();
            hand.advance(Duration::from_secs(150));
        })
        .await;
    let shop = shop.again(&app);
    let delivery = shop.wait_for_attempts(order, url, 2).await;
    assert_eq!((delivery.state, delivery.last_cause), (DeliveryState::Expired, Some(Cause::MessageGone)));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_for_a_moment_is_not_given_up() {
    let mut test = stores::sqlite().await;
    let merchant = test.merchant("Shop").await;
    let url_id = test.url(merchant, "http://127.0.0.1/").await;
    let listener_id = test.listener(merchant).await;
    let body = Message::small("1", "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    test.accept(stores::received(merchant, listener_id, &body)).await;
    let job = test.jobs.recv().await.unwrap().into_iter().find(|job| job.url_id == url_id).unwrap();
    let directory = test.store.settings();
    test.store.close().await;
    let client = Client::new(Resolver::Table(Arc::default()), Guard::default(), Vec::new(), Limits::default());
    let workshop = Workshop {
        store: test.store,
        client: Arc::new(client),
        clock: test.clock,
        metrics: Arc::default(),
        places: Default::default(),
        certificates: Default::default(),
        guesses: Default::default(),
        unread: Default::default(),
    };
    let attempted = workshop.attempt(&Job { body: None, ..job }, &directory).await;
    assert!(attempted.is_none(), "it is tried again later: {attempted:?}");
}

#[tokio::test]
async fn a_url_that_cannot_be_used() {
    assert_eq!(cause_at(Setup::default(), "ftp://shop.example.com/").await, Some(Cause::UrlInvalid));
}

// The check of a URL when it is saved.

async fn check(shop: &Shop, url: &str) -> UrlCheck {
    shop.services.check_url(&Target::parse(url).unwrap(), &[], &Default::default()).await
}

#[tokio::test]
async fn a_saved_url_is_asked_with_get_and_must_answer_200() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    assert_eq!(check(&shop, &merchant.url()).await.cause, None);
    let visit = &merchant.visits()[0];
    assert_eq!((visit.method.as_str(), visit.body.len()), ("GET", 0));
    merchant.answer(|_| Answer::status(405, ""));
    assert_eq!(check(&shop, &merchant.url()).await.cause, Some(Cause::MethodRefused));
    merchant.answer(|_| Answer::Page(301, vec![("Location", "/elsewhere".to_owned())], Vec::new()));
    let redirected = check(&shop, &merchant.url()).await;
    assert!(redirected.cause == Some(Cause::Redirect) && redirected.note.contains("/elsewhere"), "{redirected:?}");
    let (closed, _port) = closed_port();
    assert_eq!(check(&shop, &closed).await.cause, Some(Cause::Refused));
}

#[tokio::test]
async fn the_check_of_a_url_does_not_look_into_the_operators_network() {
    let app = TestApp::start_as(Setup { networks: Vec::new(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    assert_eq!(check(&shop, &merchant.url()).await.cause, Some(Cause::AddressForbidden));
    assert!(merchant.visits().is_empty());
}
