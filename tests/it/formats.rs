//! In which form messages leave: JSON with its signatures, and what came, as it came.

use crate::{
    gateways,
    support::{
        app::{GATEWAY_KEY, MERCHANT_KEY, Shop, TestApp},
        merchant::{Answer, FakeMerchant, Visit, receipt},
        message::Message,
        stores::{TestStore, on_every_engine},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use quittance::{
    domain::{
        Cause, DeliveryState, Format, Tags, Timestamp, attempt::Origin, id::UrlId, pages::story::Comparison,
        personal::Personal as _,
    },
    server::{
        dispatch::client::Target,
        gateway::simulate,
        service::test_order::{Placed, TestOrderForm},
        store::Merchant,
    },
};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{sync::Arc, time::Duration};

on_every_engine! {
    the_format_of_a_url_and_the_message_as_it_came_are_kept,
}

async fn the_format_of_a_url_and_the_message_as_it_came_are_kept(test: TestStore) {
    use crate::support::stores::{received, url_draft};
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    let mut draft = url_draft(merchant, "https://shop.example.com/hook");
    draft.terms.format = Format::Json;
    let url = test.store.add_url(draft.clone(), "test".to_owned()).await.unwrap();
    let format = |test: &TestStore| test.store.settings().url(url).unwrap().terms.format;
    assert_eq!(format(&test), Format::Json);
    draft.terms.format = Format::PassThrough;
    test.store.update_url(url, draft, "test".to_owned()).await.unwrap();
    assert_eq!(format(&test), Format::PassThrough);

    let facts = received(merchant, listener, "REFNO=1001&ORDERSTATUS=COMPLETE&IPN_DATE=20260301120000");
    let plain = test.accept(facts.clone()).await;
    let translated = quittance::server::store::NewNotification {
        head: "POST /ipn/x HTTP/1.1\r\nx-own: 1\r\n".to_owned(),
        body: "{\"a\":1}".into(),
        outgoing: Some("REFNO=1002".into()),
        ..received(merchant, listener, "REFNO=1002&ORDERSTATUS=COMPLETE")
    };
    let translated = test.accept(translated).await;
    test.store.settled().await.unwrap();
    let original = test.store.original(plain.notification_id).await.unwrap().unwrap();
    assert_eq!((&original.body, &original.leaves), (&facts.body, &facts.body));
    assert_eq!((original.reference.as_str(), original.event_at), ("1001", facts.facts.event_at));
    let original = test.store.original(translated.notification_id).await.unwrap().unwrap();
    assert_eq!((&original.body[..], &original.leaves[..]), (&b"{\"a\":1}"[..], &b"REFNO=1002"[..]));
    assert_eq!(original.head, "POST /ipn/x HTTP/1.1\r\nx-own: 1\r\n");
    assert!(test.store.original(quittance::domain::id::NotificationId(1)).await.unwrap().is_none());
}

/// A server that takes everything that is posted to it.
async fn taking() -> FakeMerchant {
    FakeMerchant::start(|_| Answer::status(204, "")).await
}

async fn json_url(shop: &Shop, merchant: &FakeMerchant) -> UrlId {
    shop.url_as(&merchant.url(), |url| url.terms.format = Format::Json).await
}

async fn secret(shop: &Shop, url: UrlId) -> String {
    let merchant: Arc<Merchant> = shop.services.store.settings().merchant(shop.merchant.id).unwrap().clone();
    shop.services.reveal_signing_secret(&merchant, url, "test").await.unwrap()
}

/// The signature as a receiver computes it, by the specification alone.
fn signature(secret: &str, visit: &Visit) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert!((24..=64).contains(&key.len()));
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", visit.headers["webhook-id"], visit.headers["webhook-timestamp"]).as_bytes());
    mac.update(&visit.body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn body(visit: &Visit) -> Value {
    serde_json::from_slice(&visit.body).unwrap()
}

#[tokio::test]
async fn json_leaves_signed_and_any_2xx_confirms() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = taking().await;
    let url = json_url(&shop, &merchant).await;
    let message = Message::full("1001", "COMPLETE");
    let order = shop.accepted(&message).await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visits = merchant.visits();
    assert_eq!(visits.len(), 1);
    let visit = &visits[0];
    assert_eq!((visit.method.as_str(), visit.headers["content-type"].as_str()), ("POST", "application/json"));
    assert_eq!(visit.headers["webhook-signature"], signature(&secret(&shop, url).await, visit));
    assert_eq!(visit.headers["webhook-id"], format!("msg_{}", delivery.notification_id));
    let sent = body(visit);
    assert_eq!((&sent["type"], &sent["data"]["order"]["reference"]), (&json!("order.paid"), &json!("1001")));
    let fields: Vec<Value> = message.fields.iter().map(|(name, value)| json!({ name: value })).collect();
    assert_eq!(sent["data"]["fields"], Value::from(fields), "in the order received, without the gateway's signature");

    let page = shop.attempt(delivery.id, 1).await;
    assert_eq!((page.detail.format, page.detail.note.as_str()), (Format::Json, "Confirmed by status 204."));
    let Comparison::Made(lines) = &page.comparison else { panic!() };
    assert!(lines.iter().all(|line| !line.differs), "{lines:?}");
    assert!(lines.iter().all(|line| line.what != "Signature algorithms"));

    // The same message again has the same number and the same bytes.
    shop.resend(order, Some(url), Origin::Resend, "again").await;
    let visits = merchant.wait_for(2).await;
    assert_eq!((&visits[1].headers["webhook-id"], &visits[1].body), (&visit.headers["webhook-id"], &visit.body));
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_failed_one_keeps_its_number_and_gets_the_time_of_the_attempt() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| Answer::status(if visit.number == 1 { 503 } else { 200 }, "")).await;
    let url = json_url(&shop, &merchant).await;
    let order = shop.order("1001").await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    assert_eq!((delivery.state, delivery.last_cause), (DeliveryState::Retrying, Some(Cause::ServerError)));
    hand.advance(Duration::from_secs(3_600));
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visits = merchant.visits();
    let [first, second] = &visits[..] else { panic!("{}", visits.len()) };
    assert_eq!((&first.headers["webhook-id"], &first.body), (&second.headers["webhook-id"], &second.body));
    let seconds = |visit: &Visit| visit.headers["webhook-timestamp"].parse::<i64>().unwrap();
    assert_eq!(seconds(second) - seconds(first), 3_600);
    let secret = secret(&shop, url).await;
    for visit in [first, second] {
        assert_eq!(visit.headers["webhook-signature"], signature(&secret, visit));
    }
}

#[tokio::test]
async fn while_a_key_is_changed_json_carries_both_signatures() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = taking().await;
    let url = json_url(&shop, &merchant).await;
    let before = secret(&shop, url).await;
    shop.services.change_key(&shop.merchant, Some("the-new-secret-key"), "3600", "test").await.unwrap();
    let after = secret(&shop, url).await;
    assert_ne!(before, after);
    shop.order("1001").await;
    let visit = &merchant.wait_for(1).await[0];
    let expected = format!("{} {}", signature(&after, visit), signature(&before, visit));
    assert_eq!(visit.headers["webhook-signature"], expected);
    let current = app.services.store.settings().merchant(shop.merchant.id).unwrap().clone();
    assert!(shop.services.end_old_key(&current, "test").await.unwrap());
    shop.order("1002").await;
    let visit = &merchant.wait_for(2).await[1];
    assert_eq!(visit.headers["webhook-signature"], signature(&after, visit));
}

#[tokio::test]
async fn response_tags_hold_for_json_and_support_sees_it_masked() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = taking().await;
    let url = json_url(&shop, &merchant).await;
    let order = shop.accepted(&Message::full("1001", "COMPLETE")).await;
    let page = shop.first_attempt(order, url).await;
    let email = body(&merchant.visits()[0])["data"]["customer"]["email"].as_str().unwrap().to_owned();
    assert!(email.contains('@') && page.request_body.contains(&email));
    let name = body(&merchant.visits()[0])["data"]["customer"]["name"].as_str().unwrap().to_owned();
    let mut masked = page.clone();
    masked.mask();
    let shown = format!("{}{:?}", masked.request_body, masked.fields);
    for hidden in [email.as_str(), name.as_str(), name.split(' ').next().unwrap()] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    assert!(masked.request_body.contains("\"reference\":\"1001\""), "{shown}");

    let triggers = shop.merchant.triggers;
    shop.services.store.set_content(shop.merchant.id, triggers, Tags::only("CURRENCY"), "test".to_owned()).await.unwrap();
    shop.accepted(&Message::full("1002", "COMPLETE")).await;
    let sent = body(&merchant.wait_for(2).await[1]);
    assert_eq!(sent["data"]["customer"], json!({ "email": "", "name": "" }));
    assert!(!sent.to_string().contains(&email));
}

#[tokio::test]
async fn what_is_wrong_is_said_without_a_word_of_receipts() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for (status, cause) in [(302, Cause::Redirect), (401, Cause::Denied), (422, Cause::ClientError), (500, Cause::ServerError)] {
        let merchant = FakeMerchant::start(move |_| Answer::status(status, "no")).await;
        for format in [Format::Json, Format::PassThrough] {
            let url = shop.url_as(&merchant.url(), |url| url.terms.format = format).await;
            let order = shop.order(&format!("{status}-{format}")).await;
            let page = shop.first_attempt(order, url).await;
            assert_eq!(page.attempt.cause, Some(cause), "{status}");
            let told = format!("{} {} {}", cause.sentence_for(format), page.detail.note, cause.cure_for(format));
            assert!(!told.contains("receipt"), "{told}");
            shop.services.remove_url(&shop.merchant, url, "test").await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_passed_through_and_as_json() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let (through, json) = (taking().await, taking().await);
    let address = format!("{}?shop=7", through.url());
    let passed = shop.url_as(&address, |url| (url.terms.format, url.concurrent) = (Format::PassThrough, true)).await;
    let as_json = shop.url_as(&json.url(), |url| (url.terms.format, url.concurrent) = (Format::Json, true)).await;
    let secret = secret(&shop, as_json).await;
    // What is asked back counts later; tests/it/confirm.rs has it.
    let presets = app.services.gateways.all().iter().filter(|preset| preset.confirm.is_none());
    for (count, preset) in presets.enumerate() {
        let listener = gateways::add(&shop, preset).await;
        let status = simulate::statuses(preset)[0];
        let reference = format!("{}", 200_300_400 + count);
        let posted = gateways::signed(&app, &listener, status, &reference, count as u64 + 1);
        let reply = gateways::post(&app, &listener, &posted).await;
        assert!((200..300).contains(&reply.status), "{}: {}", preset.id, reply.text());
        app.services.store.settled().await.unwrap();
        let row = app.services.store.received_by(listener.id).await.unwrap().remove(0);
        for url in [passed, as_json] {
            shop.wait_for_state(row.order_id, url, DeliveryState::Confirmed).await;
        }
        let visit = through.wait_for(count + 1).await.pop().unwrap();
        assert_eq!(visit.method, posted.method.as_str(), "{}", preset.id);
        let query = if posted.method == http::Method::GET { format!("&{}", posted.query) } else { String::new() };
        assert_eq!(visit.path, format!("/ipn.php?shop=7{query}"), "{}", preset.id);
        let sent = if posted.method == http::Method::GET { &b""[..] } else { &posted.body[..] };
        assert_eq!(visit.body, sent, "{}: byte for byte", preset.id);
        for (name, value) in &posted.headers {
            if !["authorization", "host"].contains(&name.as_str()) {
                assert_eq!(visit.headers[name.as_str()].as_bytes(), value.as_bytes(), "{} {name}", preset.id);
            }
        }
        let visit = json.wait_for(count + 1).await.pop().unwrap();
        assert_eq!(visit.headers["webhook-signature"], signature(&secret, &visit), "{}", preset.id);
        let body = body(&visit);
        assert_eq!(body["data"]["gateway"], preset.id.name());
        assert_eq!(body["type"], format!("order.{}", status.code()), "{}", preset.id);
        assert_eq!(body["data"]["received_at"].as_str().unwrap().len(), "2026-03-01T12:00:00Z".len());
        let is_form_or_json = body["data"]["fields"].as_array().is_some_and(|fields| !fields.is_empty());
        assert!(is_form_or_json, "{}: {body}", preset.id);
    }
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test]
async fn what_is_passed_through_is_confirmed_by_a_receipt_too() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    // A script that has the gateway's key, as it had before anything stood in between, and answers 500 behind its receipt.
    let merchant = FakeMerchant::start(|visit| match visit.field("REFNO").as_str() {
        "2" => Answer::status(500, "Fatal error"),
        _ => Answer::status(500, receipt("md5", GATEWAY_KEY, &visit.body)),
    })
    .await;
    let url = shop.url_as(&merchant.url(), |url| url.terms.format = Format::PassThrough).await;
    let body = Message::full("1", "COMPLETE").body(GATEWAY_KEY, &["md5"]);
    assert_eq!(shop.post_body(body.clone()).await.status, 200);
    let order = shop.order_named("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visit = &merchant.visits()[0];
    assert_eq!(visit.body, body.into_bytes());
    assert_eq!(visit.signatures(GATEWAY_KEY), ["md5"], "the gateway's own");
    let second = shop.order("2").await;
    let delivery = shop.wait_for_attempts(second, url, 1).await;
    assert_eq!((delivery.state, delivery.last_cause), (DeliveryState::Retrying, Some(Cause::ServerError)));
}

#[tokio::test]
async fn a_test_order_has_nothing_to_pass_through_and_says_so() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.terms.format = Format::PassThrough).await;
    let form = TestOrderForm { to: format!("url-{url}"), ..TestOrderForm::sample("plain") };
    let preview = shop.services.preview_test_order(&shop.merchant, &form).unwrap();
    assert_eq!(preview.format, Format::Ipn);
    assert!(preview.note.contains("nothing to pass through"), "{}", preview.note);
    let placed = shop.services.place_test_order(&shop.merchant, &form, "test").await.unwrap();
    let Placed::To(delivery, Some(number)) = placed else { panic!("{placed:?}") };
    let page = shop.attempt(delivery, number).await;
    assert_eq!((page.attempt.cause, page.detail.format), (None, Format::Ipn));
    assert!(page.detail.note.contains("nothing to pass through"), "{}", page.detail.note);
    assert_eq!(merchant.visits()[0].signatures(MERCHANT_KEY), ["md5"]);

    // In through a listener it is passed on as it was posted there.
    let form = TestOrderForm { to: format!("listener-{}", shop.listener_id()), ..TestOrderForm::sample("plain") };
    shop.services.place_test_order(&shop.merchant, &form, "test").await.unwrap();
    let visit = merchant.wait_for(2).await.pop().unwrap();
    assert!(!visit.signatures(GATEWAY_KEY).is_empty(), "as the gateway signs");
    assert_eq!(visit.headers["content-type"], "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn json_is_shown_before_it_is_sent() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = taking().await;
    let url = json_url(&shop, &merchant).await;
    let form = TestOrderForm { to: format!("url-{url}"), ..TestOrderForm::sample("plain") };
    let preview = shop.services.preview_test_order(&shop.merchant, &form).unwrap();
    let shown: Value = serde_json::from_str(&preview.body).unwrap();
    assert_eq!((preview.format, &shown["data"]["test"]), (Format::Json, &json!(true)));
    assert!(preview.receipts.is_empty() && preview.source.ends_with(&preview.body));
    let placed = shop.services.place_test_order(&shop.merchant, &form, "test").await.unwrap();
    assert!(matches!(placed, Placed::To(_, Some(1))), "{placed:?}");
    let mut sent = body(&merchant.visits()[0]);
    // What belongs to the moment and the number.
    let mut shown = shown;
    for value in [&mut shown, &mut sent] {
        value.as_object_mut().unwrap().remove("timestamp");
        let data = value["data"].as_object_mut().unwrap();
        for name in ["id", "received_at", "event_at", "message_id", "fields", "order"] {
            data.remove(name);
        }
    }
    assert_eq!(shown, sent);
}

#[tokio::test]
async fn a_page_that_takes_post_alone_is_there() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| Answer::status(if visit.method == "GET" { 405 } else { 204 }, "")).await;
    let target = Target::parse(&merchant.url()).unwrap();
    for (format, cause) in [(Format::Ipn, Some(Cause::MethodRefused)), (Format::Json, None), (Format::PassThrough, None)] {
        let terms = quittance::domain::Terms { format, ..Default::default() };
        assert_eq!(shop.services.check_url(&target, &[], &terms).await.cause, cause, "{format}");
    }
}

/// What is older than bytes are kept has nothing to send, in any form.
#[tokio::test]
async fn what_is_not_kept_any_more_is_not_sent() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = taking().await;
    let url = json_url(&shop, &merchant).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let horizon = quittance::server::store::Horizon { bytes_before: Timestamp(i64::MAX), ledger_before: Timestamp(0) };
    quittance::server::retention::once(&app.services.store, horizon).await.unwrap();
    let page = shop.services.attempt_page(&shop.merchant, delivery.id, 1, true).await;
    assert!(page.is_err(), "its exchange is gone");
    let ids = shop.services.store.original(delivery.notification_id).await.unwrap().unwrap();
    assert!(ids.body.is_empty() && ids.leaves.is_empty());
}
