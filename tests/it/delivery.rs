//! To the merchant's side: what is sent, when it counts as confirmed, and who waits for whom.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Setup, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, closed_port, receipt},
    message::Message,
    until,
};
use quittance::{
    domain::{Algorithm, Algorithms, Cause, DeliveryState, RetrySchedule, attempt::Origin},
    server::{dispatch::client::Limits, service::urls::draft_of},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Enough for something that should not happen to happen.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_accepted_message_reaches_every_url_signed_with_the_merchants_key() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let (first, second) = (FakeMerchant::confirming().await, FakeMerchant::confirming().await);
    let urls = [
        shop.url_as(&first.url(), |url| url.is_default = true).await,
        shop.url_as(&second.url(), |url| url.algorithms = Algorithms::ALL).await,
    ];
    let message = Message::full("1001", "COMPLETE");
    let order = shop.accepted(&message).await;
    for url in urls {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    for (merchant, algorithms) in [(first, &["md5"][..]), (second, &["md5", "sha2", "sha3"])] {
        let visits = merchant.visits();
        assert_eq!(visits.len(), 1);
        let visit = &visits[0];
        assert_eq!((visit.method.as_str(), visit.path.as_str()), ("POST", "/ipn.php"));
        assert_eq!(visit.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(visit.headers["host"], merchant.address.to_string());
        assert_eq!(visit.signatures(MERCHANT_KEY), algorithms);
        let fields = visit.fields();
        let received = &fields[..fields.len() - algorithms.len()];
        assert_eq!(received, message.fields, "in the order received, the signatures last");
        assert!(String::from_utf8_lossy(&visit.body).contains("IPN_PID%5B%5D=1&"), "as the gateway encodes");
    }
    app.assert_healthy().await;
}

#[tokio::test]
async fn nothing_of_another_merchants_is_delivered() {
    let app = TestApp::start().await;
    let (ours, theirs) = (FakeMerchant::confirming().await, FakeMerchant::confirming().await);
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let url = shop.url(&ours.url()).await;
    other.url(&theirs.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert!(theirs.visits().is_empty());
}

#[tokio::test]
async fn each_form_of_receipt_confirms() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for algorithm in ["md5", "sha2", "sha3"] {
        let merchant = FakeMerchant::start(move |visit| Answer::receipt(algorithm, visit)).await;
        let url = shop.url_as(&merchant.url(), |url| url.algorithms = Algorithms::ALL).await;
        let order = shop.order(algorithm).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        shop.services.remove_url(&shop.merchant, url, "test").await.unwrap();
    }
}

#[tokio::test]
async fn a_receipt_counts_wherever_it_stands_and_whatever_the_status() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| {
        let receipt = receipt("md5", MERCHANT_KEY, &visit.body);
        match visit.field("REFNO").as_str() {
            "html" => Answer::text(format!("<html><body>Verified OK!<p>{receipt}</p></body></html>")),
            "json" => Answer::text(format!("{{\"answer\":\"{}\"}}", receipt.replace('/', "\\/"))),
            "long" => Answer::text(format!("{}{receipt}", " ".repeat(300_000))),
            "small letters" => Answer::text(receipt.to_lowercase()),
            "500" => Answer::status(500, receipt),
            "no end" => Answer::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{receipt}").into_bytes()),
            _ => Answer::Raw(format!("HTTP/1.0 200 OK\r\n\r\n{receipt}").into_bytes()),
        }
    })
    .await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    for reference in ["html", "json", "long", "small letters", "500", "no end", "old"] {
        let order = shop.order(reference).await;
        let delivery = shop.wait_for_attempts(order, url, 1).await;
        assert_eq!(delivery.state, DeliveryState::Confirmed, "{reference}: {:?}", delivery.last_cause);
    }
}

#[tokio::test]
async fn a_200_alone_is_never_a_confirmation() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    assert_eq!((delivery.state, delivery.last_cause), (DeliveryState::Retrying, Some(Cause::PlainText)));
    let first = Duration::from_secs(RetrySchedule::default().delays()[0].into());
    assert!(delivery.due_at.unwrap() >= delivery.created_at.plus(first));
    let troubles = app.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap().troubles;
    assert_eq!((troubles[0].url.id, troubles[0].cause, troubles[0].outstanding), (url, Some(Cause::PlainText), 1));
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_url_that_confirms_some_and_fails_others_is_in_trouble() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| match visit.field("REFNO").as_str() {
        "bad" => Answer::text("OK"),
        _ => Answer::receipt("md5", visit),
    })
    .await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let bad = shop.order("bad").await;
    shop.wait_for_attempts(bad, url, 1).await;
    let good = shop.order("good").await;
    shop.wait_for_state(good, url, DeliveryState::Confirmed).await;
    let dashboard = app.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap();
    let trouble = &dashboard.troubles[0];
    assert_eq!((trouble.url.id, trouble.cause, trouble.outstanding), (url, Some(Cause::PlainText), 1));
    assert!(trouble.since.is_some() && trouble.next_try.is_some());
    assert!(dashboard.urls[0].failing, "the table agrees");
    assert!(app.services.ipn_settings(&shop.merchant, false).await.unwrap().urls[0].failing);
}

#[tokio::test]
async fn request_and_answer_are_kept_byte_for_byte() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| {
        let headers = vec![("X-Powered-By", "PHP/8.3".to_owned())];
        Answer::Page(200, headers, b"not a receipt: \x00\xff".to_vec())
    })
    .await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.accepted(&Message::full("1001", "COMPLETE")).await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    let exchange = app.services.store.exchanges(&[(delivery.id, 1)]).await.unwrap().remove(0).1;
    let visit = &merchant.visits()[0];
    assert_eq!(exchange.request_body, visit.body);
    assert_eq!(exchange.request_head.trim_end().to_lowercase(), visit.head.trim_end().to_lowercase());
    assert_eq!(exchange.answer_body, b"not a receipt: \x00\xff");
    assert!(exchange.answer_head.starts_with("HTTP/1.1 200"), "{}", exchange.answer_head);
    assert!(exchange.answer_head.contains("X-Powered-By: PHP/8.3\r\n"), "{}", exchange.answer_head);
    assert_eq!(exchange.attempt.address, Some(merchant.address.to_string()));
    assert!(exchange.attempt.timings.wait.is_some() && exchange.attempt.timings.tls.is_none());
    let page = shop.attempt(delivery.id, 1).await;
    assert_eq!(page.fields.len(), visit.fields().len());
}

#[tokio::test]
async fn of_a_long_answer_the_first_64_kib_are_kept() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::text("x".repeat(200_000))).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    assert_eq!(shop.first_attempt(order, url).await.answer_body.len(), 64 << 10);
}

#[tokio::test]
async fn every_attempt_of_a_delivery_bears_its_number() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    hand.advance(Duration::from_secs(150));
    let visits = merchant.wait_for(2).await;
    let bears = |name: &str| visits.iter().map(|visit| visit.headers[name].clone()).collect::<Vec<_>>();
    assert_eq!(bears("quittance-delivery"), [delivery.id.to_string(), delivery.id.to_string()]);
    assert_eq!(bears("quittance-attempt"), ["1", "2"]);
    assert_eq!(visits[0].body, visits[1].body);
}

#[tokio::test]
async fn without_concurrent_requests_there_is_never_more_than_one() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let span = Duration::from_millis(3);
    let merchant = FakeMerchant::start(move |visit| Answer::Later(span, Box::new(Answer::receipt("md5", visit)))).await;
    let url = shop.url(&merchant.url()).await;
    let references: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    let orders = futures::future::join_all(references.iter().map(|reference| shop.order(reference))).await;
    for order in orders {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    assert_eq!((merchant.visits().len(), merchant.peak()), (30, 1));
}

#[tokio::test]
async fn with_concurrent_requests_there_are_many() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let merchant = FakeMerchant::start(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit)))).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let references: Vec<_> = (0..12).map(|number| number.to_string()).collect();
    let orders = futures::future::join_all(references.iter().map(|reference| shop.order(reference))).await;
    until("twelve requests at a time", || async { (merchant.present() == 12).then_some(()) }).await;
    gate.add_permits(12);
    for order in orders {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
}

#[tokio::test]
async fn in_order_the_later_message_of_an_order_waits_for_the_earlier() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| match (visit.field("ORDERSTATUS").as_str(), visit.number) {
        ("PENDING", 1) => Answer::status(500, ""),
        _ => Answer::receipt("md5", visit),
    })
    .await;
    let url = shop
        .url_as(&merchant.url(), |url| {
            url.concurrent = true;
            url.order_in_order = true;
        })
        .await;
    let order = shop.accepted(&Message::small("1", "PENDING", "20260301120000")).await;
    shop.wait_for_attempts(order, url, 1).await;
    shop.accepted(&Message::small("1", "COMPLETE", "20260301120001")).await;
    let other = shop.order("2").await;
    shop.wait_for_state(other, url, DeliveryState::Confirmed).await;
    assert_eq!(merchant.visits().len(), 2, "another order does not wait");
    hand.advance(Duration::from_secs(150));
    let statuses: Vec<_> = merchant.wait_for(4).await.iter().map(|visit| visit.field("ORDERSTATUS")).collect();
    assert_eq!(statuses[2..], ["PENDING", "COMPLETE"]);
}

#[tokio::test]
async fn a_url_on_hold_keeps_and_a_released_one_delivers() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.held = true).await;
    let mut orders = Vec::new();
    for reference in ["1", "2", "3"] {
        orders.push(shop.order(reference).await);
    }
    for order in &orders {
        shop.wait_for_state(*order, url, DeliveryState::Held).await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert!(merchant.visits().is_empty());
    app.services.hold_url(&shop.merchant, url, false, "test").await.unwrap();
    for order in &orders {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
    assert_eq!(merchant.visits().len(), 3);
    app.assert_healthy().await;
}

#[tokio::test]
async fn what_is_retried_is_held_too_when_its_url_is_put_on_hold() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    app.services.hold_url(&shop.merchant, url, true, "test").await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Held).await;
    hand.advance(Duration::from_secs(3_600));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 1);
    merchant.answer(|visit| Answer::receipt("md5", visit));
    app.services.hold_url(&shop.merchant, url, false, "test").await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
}

#[tokio::test]
async fn a_removed_url_gets_nothing_more() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    app.services.remove_url(&shop.merchant, url, "test").await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Cancelled).await;
    shop.order("2").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(merchant.visits().len(), 1);
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_dead_and_a_slow_url_do_not_keep_another_waiting() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let slow = FakeMerchant::start(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit)))).await;
    let (closed, _port) = closed_port();
    let dead = shop.url(&closed).await;
    let slow_url = shop.url(&slow.url()).await;
    let good = FakeMerchant::confirming().await;
    let url = shop.url(&good.url()).await;
    for reference in ["1", "2", "3", "4"] {
        let order = shop.order(reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        shop.wait_for_state(order, dead, DeliveryState::Retrying).await;
        shop.wait_for_state(order, slow_url, DeliveryState::Queued).await;
    }
    assert_eq!(slow.visits().len(), 1);
    gate.add_permits(4);
    let last = shop.order_named("4").await;
    shop.wait_for_state(last, slow_url, DeliveryState::Confirmed).await;
}

#[tokio::test]
async fn a_changed_url_is_where_the_next_attempt_goes() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let (closed, _port) = closed_port();
    let url = shop.url(&closed).await;
    let order = shop.order("1").await;
    assert_eq!(shop.wait_for_attempts(order, url, 1).await.last_cause, Some(Cause::Refused));
    let mut draft = draft_of(app.services.store.settings().url(url).unwrap());
    draft.url = merchant.url();
    draft.algorithms = Algorithms::NONE.with(Algorithm::Sha3);
    merchant.answer(|visit| Answer::receipt("sha3", visit));
    app.services.save_url(Some(url), draft, "test").await.unwrap();
    hand.advance(Duration::from_secs(150));
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert_eq!(merchant.visits()[0].signatures(MERCHANT_KEY), ["sha3"]);
}

#[tokio::test]
async fn a_changed_secret_key_signs_the_next_attempt() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| Answer::text(receipt("md5", "new key", &visit.body))).await;
    let url = shop.url(&merchant.url()).await;
    app.services.change_key(&shop.merchant, Some("new key"), "", "test").await.unwrap();
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert_eq!(merchant.visits()[0].signatures("new key"), ["md5"]);
}

#[tokio::test]
async fn a_resend_delivers_to_all_urls_again_and_once_for_each_request() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let second = shop.url(&format!("{}?second", merchant.url())).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.wait_for_state(order, second, DeliveryState::Confirmed).await;
    let resent = shop.resend(order, None, Origin::Resend, "key").await;
    assert_eq!(resent, shop.resend(order, None, Origin::Resend, "key").await, "pressed twice");
    for id in &resent {
        shop.wait_for(order, if *id == resent[0] { url } else { second }, |delivery| {
            resent.contains(&delivery.id) && delivery.state == DeliveryState::Confirmed
        })
        .await;
    }
    assert_eq!(merchant.visits().len(), 4);
    let deliveries = shop.deliveries(order).await;
    let actors: Vec<_> = deliveries.iter().filter_map(|delivery| delivery.actor.as_deref()).collect();
    assert_eq!(actors, ["support@example.com"; 2]);
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_resend_for_debug_shows_the_exchange_and_is_tried_once_even_on_hold() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "broken")).await;
    let url = shop.url_as(&merchant.url(), |url| url.held = true).await;
    let order = shop.order("1").await;
    let [delivery] = shop.resend(order, Some(url), Origin::Debug, "key").await[..] else { panic!() };
    let number = app.services.wait_for_attempt(&shop.merchant, delivery).await.unwrap();
    assert_eq!(number, Some(1));
    let page = shop.attempt(delivery, 1).await;
    assert_eq!((page.attempt.cause, page.answer_body.as_str()), (Some(Cause::ServerError), "broken"));
    assert!(page.delivery.state.is_final(), "{:?}", page.delivery.state);
    shop.wait_for(order, url, |delivery| delivery.origin == Origin::Arrival && delivery.state == DeliveryState::Held).await;
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_test_order_is_delivered_like_a_real_one_and_says_so() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let form = quittance::server::service::test_order::TestOrderForm {
        status: "COMPLETE".to_owned(),
        product: "Täst".to_owned(),
        amount: "49.90".to_owned(),
        currency: "EUR".to_owned(),
        email: "a@example.com".to_owned(),
        ..Default::default()
    };
    let placed = app.services.place_test_order(&shop.merchant, &form, "test").await.unwrap();
    let quittance::server::service::test_order::Placed::Order(order) = placed else { panic!("{placed:?}") };
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visit = &merchant.visits()[0];
    assert_eq!((visit.field("TEST_ORDER").as_str(), visit.field("IPN_TOTALGENERAL").as_str()), ("1", "49.90"));
    assert_eq!(visit.signatures(MERCHANT_KEY), ["md5"]);
}

#[tokio::test]
async fn a_loopback_url_is_not_dialled_unless_the_operator_allows_it() {
    let app = TestApp::start_as(Setup { networks: Vec::new(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    for (reference, host) in [("1", "127.0.0.1"), ("2", "2130706433"), ("3", "[::ffff:127.0.0.1]"), ("4", "0x7f.1")] {
        let url = shop.url(&format!("http://{host}:{}/", merchant.address.port())).await;
        let order = shop.order(reference).await;
        let attempt = shop.first_attempt(order, url).await;
        assert_eq!((attempt.attempt.cause, attempt.attempt.address), (Some(Cause::AddressForbidden), None), "{host}");
    }
    assert!(merchant.visits().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_to_a_forbidden_address_is_not_dialled() {
    let names = [("inner.example".to_owned(), vec!["127.0.0.1".parse().unwrap(), "10.0.0.1".parse().unwrap()])];
    let app = TestApp::start_as(Setup { networks: Vec::new(), names: names.into(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&format!("http://inner.example:{}/", merchant.address.port())).await;
    let order = shop.order("1").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::AddressForbidden));
    assert_eq!(attempt.detail.note, "inner.example leads to 127.0.0.1, 10.0.0.1.");
    assert!(merchant.visits().is_empty());
}

#[tokio::test]
async fn of_a_names_addresses_the_permitted_ones_are_tried_in_turn() {
    let names = [("shop.example".to_owned(), ["10.0.0.1", "127.0.0.2", "127.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec())];
    let app = TestApp::start_as(Setup { names: names.into(), limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&format!("http://shop.example:{}/", merchant.address.port())).await;
    let order = shop.order("1").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!((attempt.attempt.cause, attempt.attempt.address), (None, Some(merchant.address.to_string())));
    assert_eq!(merchant.visits()[0].headers["host"], format!("shop.example:{}", merchant.address.port()));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let target = FakeMerchant::confirming().await;
    let to = target.url();
    let merchant = FakeMerchant::start(move |_| Answer::Page(302, vec![("Location", to.clone())], Vec::new())).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::Redirect));
    assert!(attempt.detail.note.contains(&target.url()), "{}", attempt.detail.note);
    assert!(target.visits().is_empty());
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_no_failure() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let first = shop.order("1").await;
    shop.wait_for_state(first, url, DeliveryState::Confirmed).await;
    // The kept connection breaks in the middle of the second request; the same attempt is made over a new one.
    merchant.answer(|visit| if visit.number == 2 { Answer::Reset } else { Answer::receipt("md5", visit) });
    let second = shop.order("2").await;
    let delivery = shop.wait_for_attempts(second, url, 1).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Confirmed, 1));
    assert_eq!(merchant.visits().len(), 3);
    // Nothing is sent twice without a word.
    let said = |page: &quittance::domain::pages::orders::AttemptPage| page.detail.note.contains("sent again over a new one");
    assert!(!said(&shop.first_attempt(first, url).await) && said(&shop.first_attempt(second, url).await));
}

#[tokio::test]
async fn a_connection_is_not_used_beyond_its_greatest_age() {
    for (greatest, connections) in [(Duration::from_secs(300), 1), (Duration::ZERO, 3)] {
        let limits = Limits { connection: greatest, ..Limits::default() };
        let app = TestApp::start_as(Setup { limits, ..Setup::default() }).await;
        let shop = app.shop("Shop").await;
        let merchant = FakeMerchant::confirming().await;
        let url = shop.url(&merchant.url()).await;
        for reference in ["1", "2", "3"] {
            let order = shop.order(reference).await;
            shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        }
        assert_eq!((merchant.visits().len(), merchant.connections()), (3, connections), "{greatest:?}");
    }
}

#[tokio::test]
async fn nothing_of_the_gateways_key_leaves_the_house() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let message = Message::small("1", "COMPLETE", "20260301120009");
    let sent = message.body(GATEWAY_KEY, &["md5", "sha2", "sha3"]);
    assert_eq!(shop.post_body(sent.clone()).await.status, 200);
    let order = shop.order_named("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let body = String::from_utf8(merchant.visits()[0].body.clone()).unwrap();
    for signature in sent.rsplit('&').take(3) {
        assert!(!body.contains(signature.split_once('=').unwrap().1), "{signature}");
    }
}

#[tokio::test]
async fn a_message_whose_bytes_found_no_room_in_memory_is_read_from_the_table() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    // It answers nothing, so that whatever waits for it fills the memory that bodies may take.
    let stuck = FakeMerchant::start(|_| Answer::Drip).await;
    let healthy = FakeMerchant::confirming().await;
    shop.url(&stuck.url()).await;
    let url = shop.url_as(&healthy.url(), |url| url.concurrent = true).await;
    let mut orders = Vec::new();
    for number in 0..180 {
        let mut message = Message::full(&format!("{}", 5_000 + number), "COMPLETE");
        message.set("ADDRESS1", &"long ".repeat(45_000));
        orders.push(shop.accepted(&message).await);
    }
    for order in orders {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    app.assert_healthy().await;
}

#[tokio::test]
async fn after_an_orderly_end_a_copy_of_database_journal_and_key_has_everything() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let database = app.database();
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("quittance.db");
    let app = app
        .restart(|| {
            for ending in ["db", "intake", "key"] {
                std::fs::copy(database.with_extension(ending), copy.with_extension(ending)).unwrap();
            }
        })
        .await;
    let rows = |table: &str| {
        let connection = rusqlite::Connection::open(&copy).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(["merchant", "listener", "notification", "delivery", "attempt"].map(rows), [1; 5]);
    app.assert_healthy().await;
}
