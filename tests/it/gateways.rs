//! Every gateway through real HTTP: its acknowledgement, its order, and what leaves for the merchant.

use crate::support::{
    app::{MERCHANT_KEY, Setup, Shop, TestApp, listener_form, on_every_server},
    gateway::{self, Reply},
    merchant::FakeMerchant,
};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use quittance::{
    domain::{DeliveryState, Money, OrderStatus, RefusalReason, Timestamp, money::Currency},
    server::{
        gateway::{
            Preset,
            simulate::{self, Posted, Wish},
        },
        service::listeners::{ListenerForm, path},
        store::Listener,
    },
};
use std::sync::Arc;

pub async fn add(shop: &Shop, preset: &Preset) -> Arc<Listener> {
    let form = ListenerForm {
        gateway: preset.id,
        secret: simulate::trial_secret(preset),
        options: simulate::trial_options(preset).0,
        label: String::new(),
        ..listener_form()
    };
    shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap()
}

fn wish<'a>(preset: &Preset, status: OrderStatus, reference: &'a str, address: &'a str, number: u64, now: Timestamp) -> Wish<'a> {
    let currency = Currency::parse(simulate::currency(preset)).unwrap();
    let amount = Money { minor: 50_000, currency };
    Wish { status, reference, amount, email: "buyer@example.com", address, now, number, test: false, fault: None }
}

pub async fn post(app: &TestApp, listener: &Listener, posted: &Posted) -> Reply {
    let question = if posted.query.is_empty() { String::new() } else { format!("?{}", posted.query) };
    let mut request = Request::builder().method(posted.method.clone()).uri(format!("{}{question}", path(listener)));
    for (name, value) in &posted.headers {
        request = request.header(name, value);
    }
    gateway::send(app.address, request.body(Full::new(Bytes::from(posted.body.clone()))).unwrap()).await
}

pub fn signed(app: &TestApp, listener: &Listener, status: OrderStatus, reference: &str, number: u64) -> Posted {
    let preset = app.services.gateways.get(listener.gateway).unwrap();
    let address = format!("{}{}", app.services.base, path(listener));
    let wish = wish(preset, status, reference, &address, number, app.services.clock.now());
    simulate::sign(preset, listener.secret.reveal(), &listener.options, &wish).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_of_every_gateway() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut number = 100_200_300u64;
    let (mut posted, mut left) = (0, Vec::new());
    // Those that are asked back have tests of their own.
    for preset in app.services.gateways.all().iter().filter(|preset| preset.confirm.is_none()) {
        let listener = add(&shop, preset).await;
        let address = format!("{}{}", app.services.base, path(&listener));
        let mut messages = Vec::new();
        for case in &preset.sample.case {
            number += 1;
            let (reference, now) = (number.to_string(), app.services.clock.now());
            let wish = wish(preset, case.status, &reference, &address, number, now);
            let message = simulate::sign_case(preset, case, listener.secret.reveal(), &listener.options, &wish).unwrap();
            messages.push((case.status, reference, message));
        }
        for status in simulate::statuses(preset).into_iter().filter(|_| preset.adapter.is_some()) {
            number += 1;
            let reference = number.to_string();
            messages.push((status, reference.clone(), signed(&app, &listener, status, &reference, number)));
        }
        for (status, reference, message) in messages {
            let reply = post(&app, &listener, &message).await;
            assert!((200..300).contains(&reply.status), "{} {status:?}: {} {}", preset.id, reply.status, reply.text());
            assert_eq!(reply.status == 204, reply.body.is_empty(), "{}", preset.id);
            posted += 1;

            let again = post(&app, &listener, &message).await;
            assert!((200..300).contains(&again.status), "{} again: {}", preset.id, again.status);
            if preset.id.name() == "vnpay" {
                assert!(reply.text().contains("\"00\"") && again.text().contains("\"02\""), "{} {}", reply.text(), again.text());
            }

            app.services.store.settled().await.unwrap();
            let received = app.services.store.received_by(listener.id).await.unwrap();
            let row = received.iter().max_by_key(|row| row.id).unwrap();
            assert_eq!((row.status, row.repeats), (status, 1), "{} {}", preset.id, row.vendor_status);
            let delivery = shop.wait_for_state(row.order_id, url, DeliveryState::Confirmed).await;
            assert_eq!(delivery.attempts, 1, "{} {status:?}", preset.id);
            let order = app.services.store.bare_order(shop.merchant.id, row.order_id).await.unwrap().unwrap();
            assert_eq!(order.status, status, "{}: the order", preset.id);
            assert!(order.amount.is_none_or(|amount| amount.minor == 50_000), "{} {status:?}: {:?}", preset.id, order.amount);
            left.push((preset.id, status, reference));
        }
    }
    let visits = merchant.wait_for(posted).await;
    for visit in &visits {
        assert_eq!(visit.signatures(MERCHANT_KEY), ["md5"], "{}", String::from_utf8_lossy(&visit.body));
        let lcn = !visit.field("LICENSE_CODE").is_empty();
        assert!(lcn || !visit.field("REFNO").is_empty() && !visit.field("ORDERSTATUS").is_empty());
    }
    for (gateway, status, reference) in left {
        let visit = visits
            .iter()
            .find(|visit| ["REFNO", "REFNOEXT", "LICENSE_CODE"].iter().any(|name| visit.field(name).ends_with(&reference)))
            .unwrap_or_else(|| panic!("{gateway} {status:?}: nothing left for {reference}"));
        let canonical = visit.field("CANONICAL_STATUS");
        assert!(canonical.is_empty() || canonical == status.code(), "{gateway} {status:?}: {canonical}");
        let total = visit.field("IPN_TOTALGENERAL");
        let is_refund = matches!(status, OrderStatus::Refunded | OrderStatus::PartiallyRefunded);
        assert!(total.is_empty() || total.starts_with('-') == is_refund, "{gateway} {status:?}: {total}");
    }
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_answered_as_the_gateway_knows_it() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for preset in app.services.gateways.all().iter().filter(|preset| preset.adapter.is_some() || !preset.signatures.is_empty()) {
        let listener = add(&shop, preset).await;
        let status = simulate::statuses(preset)[0];
        let address = format!("{}{}", app.services.base, path(&listener));
        let wish = wish(preset, status, "100200300", &address, 1, app.services.clock.now());
        let wrong: String = simulate::trial_secret(preset).chars().rev().collect();
        let message = simulate::sign(preset, wrong.as_bytes(), &listener.options, &wish).unwrap();
        let reply = post(&app, &listener, &message).await;
        let own = preset.answers.refused.as_ref();
        match own {
            Some(own) => assert_eq!((reply.status, reply.text()), (own.status, own.body.clone()), "{}", preset.id),
            None => assert_eq!(reply.status, 403, "{}", preset.id),
        }
        let stored = preset.answers.stored.as_ref().map(|answer| answer.body.clone()).filter(|body| !body.is_empty());
        assert!(!reply.has_receipt() && stored.is_none_or(|stored| stored != reply.text()), "{}: looks like a yes", preset.id);
        let refused = app.services.store.refused_by(listener.id).await.unwrap();
        assert_eq!(refused[0].reason, RefusalReason::WrongSignature, "{}: {}", preset.id, refused[0].detail);
        assert!(app.services.store.received_by(listener.id).await.unwrap().is_empty(), "{}", preset.id);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_of_one_request_are_told_apart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let adyen = app.services.gateways.get("adyen".parse().unwrap()).unwrap().clone();
    let listener = add(&shop, &adyen).await;
    let item = |status, number: u64| {
        let message = signed(&app, &listener, status, "100200300", number);
        let text = String::from_utf8(message.body).unwrap();
        text.split_once("\"notificationItems\":[").unwrap().1.trim_end_matches("]}").to_owned()
    };
    let (authorised, captured, refunded) =
        (item(OrderStatus::Authorized, 1), item(OrderStatus::Paid, 2), item(OrderStatus::Refunded, 3));
    let request = |items: &[&str]| {
        let body = format!("{{\"live\":\"true\",\"notificationItems\":[{}]}}", items.join(","));
        gateway::form(&path(&listener), body)
    };
    let reply = gateway::send(app.address, request(&[&authorised, &captured])).await;
    assert_eq!(reply.text(), "[accepted]");
    let order = shop.order_named("PSP100200300").await;
    let story = async || app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    let messages = async || app.services.store.notifications_of(order).await.unwrap().len();
    let page = story().await;
    assert_eq!((messages().await, page.order.status), (2, OrderStatus::Paid));
    assert_eq!(page.gateway, "Adyen");
    // One of them again, with one that is new.
    let reply = gateway::send(app.address, request(&[&captured, &refunded])).await;
    assert_eq!(reply.text(), "[accepted]");
    shop.order_named("PSP100200300").await;
    let page = story().await;
    assert_eq!((messages().await, page.order.status), (3, OrderStatus::Refunded), "all of it was given back");
    assert_eq!(page.order.amount.unwrap().minor, 50_000, "the order's amount stays");
    app.assert_healthy().await;
    app.stop().await;
}

/// Neither is a repeat of the other, although they came in the same bytes; the same request again is one of both.
async fn unnumbered_messages_of_one_request_are_all_stored(setup: Setup) {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"
        id = "batches"
        label = "Batches"
        group = "Banks"
        items = { in = "events" }
        [secret]
        label = "Key"
        [[signature]]
        from = "@header.X-Sign"
        method = "hmac-sha256"
        message = "{@body}"
        [order]
        reference = ["order"]
        [[status]]
        word = "{state}"
        map = { done = "paid", open = "pending" }
        [guide]
        steps = ["Enter {address}."]
    "#;
    std::fs::write(folder.path().join("batches.toml"), file).unwrap();
    let app = TestApp::start_as(Setup { gateways: Some(folder.path().to_owned()), ..setup }).await;
    let shop = app.shop("Shop").await;
    let form =
        ListenerForm { gateway: "batches".parse().unwrap(), secret: "k".to_owned(), label: String::new(), ..listener_form() };
    let listener = shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap();
    let post = async |body: &str| {
        let mac = crate::support::message::mac("sha2", "k", body);
        let request = Request::post(path(&listener)).header("x-sign", mac).body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        gateway::send(app.address, request).await.status
    };
    let open = r#"{"order":"A-1","state":"open"}"#;
    let done = r#"{"order":"A-1","state":"done"}"#;
    let body = format!(r#"{{"events":[{open},{done},{done}]}}"#);
    assert_eq!(post(&body).await, 200);
    assert_eq!(post(&body).await, 200);
    let order = shop.order_named("A-1").await;
    app.services.store.settled().await.unwrap();
    let messages = app.services.store.notifications_of(order).await.unwrap();
    assert_eq!(messages.len(), 3, "none was lost as a repeat of another");
    assert!(messages.iter().all(|message| message.repeats == 1), "and all came again");
    app.assert_healthy().await;
    app.stop().await;
}

on_every_server! {
    unnumbered_messages_of_one_request_are_all_stored,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_differs_is_told_where_the_gateway_knows_a_word_for_it() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let preset = app.services.gateways.get("vnpay".parse().unwrap()).unwrap().clone();
    let listener = add(&shop, &preset).await;
    let code = async |minor, number| {
        let amount = Money { minor, currency: Currency::parse("VND").unwrap() };
        let wish = Wish { amount, ..wish(&preset, OrderStatus::Paid, "100200300", "", number, app.services.clock.now()) };
        let message = simulate::sign(&preset, listener.secret.reveal(), &listener.options, &wish).unwrap();
        let text = post(&app, &listener, &message).await.text();
        app.services.store.settled().await.unwrap();
        text
    };
    assert!(code(50_000, 1).await.contains("\"00\""));
    assert!(code(60_000, 2).await.contains("\"04\""));
    let received = app.services.store.received_by(listener.id).await.unwrap();
    let stored = app.services.store.notification(shop.merchant.id, received[0].id).await.unwrap().unwrap();
    assert!(stored.body.starts_with(b"vnp_Amount="), "what came in the query is kept as the message");
    let probe = gateway::get(app.address, &path(&listener)).await;
    assert_eq!((probe.status, probe.text().contains("GET")), (200, true), "without a query it is only a look");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_about_no_payment_is_acknowledged_and_explained() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let preset = app.services.gateways.get("webmoney".parse().unwrap()).unwrap().clone();
    let listener = add(&shop, &preset).await;
    let reply = gateway::post(app.address, &path(&listener), "LMI_PREREQUEST=1&LMI_PAYMENT_NO=7").await;
    assert_eq!((reply.status, reply.text()), (200, "YES".to_owned()));
    let paid = gateway::post(app.address, &path(&listener), "LMI_PREREQUEST=0&LMI_SYS_TRANS_NO=7").await;
    assert_eq!(paid.status, 403, "unsigned");
    assert!(app.services.store.received_by(listener.id).await.unwrap().is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adds_a_gateway_of_his_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"
        id = "corner-bank"
        label = "Corner Bank"
        group = "Banks"
        [secret]
        label = "Key"
        [[signature]]
        from = "@header.X-Corner"
        method = "hmac-sha256"
        message = "{@option.branch}|{@body}"
        [[option]]
        name = "branch"
        label = "Branch"
        required = true
        [order]
        reference = ["id"]
        amount = { value = ["sum"], always = "CHF", scale = "decimal" }
        [[status]]
        word = "{state}"
        map = { done = "paid" }
        [answers]
        stored = { status = 202, body = "noted" }
        [guide]
        steps = ["Write {address} on a postcard."]
    "#;
    std::fs::write(folder.path().join("corner.toml"), file).unwrap();
    let app = TestApp::start_as(Setup { gateways: Some(folder.path().to_owned()), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let preset = app.services.gateways.get("corner-bank".parse().unwrap()).unwrap().clone();
    let form = ListenerForm { gateway: preset.id, secret: "k".to_owned(), label: String::new(), ..listener_form() };
    let missing = format!("{:?}", shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap_err());
    assert!(missing.contains("Branch"), "{missing}");
    let unknown = ListenerForm { options: [("brunch".to_owned(), "x".to_owned())].into(), ..form.clone() };
    let told = format!("{:?}", shop.services.add_listener(&shop.merchant, &unknown, "test").await.unwrap_err());
    assert!(told.contains("brunch") && told.contains("branch"), "{told}");
    let form = ListenerForm { options: [("branch".to_owned(), "Main".to_owned())].into(), ..form };
    let listener = shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap();
    assert_eq!(listener.label, "Corner Bank");
    let body = r#"{"id":"C-1","sum":12.50,"state":"DONE"}"#;
    let mac = crate::support::message::mac("sha2", "k", format!("Main|{body}"));
    let request = Request::post(path(&listener)).header("x-corner", mac).body(Full::new(Bytes::from(body))).unwrap();
    let reply = gateway::send(app.address, request).await;
    assert_eq!((reply.status, reply.text()), (202, "noted".to_owned()));
    let order = shop.order_named("C-1").await;
    let page = app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    assert_eq!((page.order.status, page.order.amount.unwrap().minor), (OrderStatus::Paid, 1_250));
    let shown = app.services.listener_page(&shop.merchant, listener.id, true).await.unwrap();
    assert!(shown.guide.steps[0].contains(&path(&listener)), "{:?}", shown.guide.steps);
    assert!(!app.dump().await.contains("Main"), "options are sealed");

    // Started without the folder, nothing is lost: the gateway is asked to come again, and pages say why.
    let app = {
        let setup = Setup::default();
        app.restart_as(setup).await
    };
    let again = gateway::post(app.address, &path(&listener), body).await;
    assert_eq!(again.status, 421);
    let refused = app.services.store.refused_by(listener.id).await.unwrap();
    assert_eq!(refused[0].reason, RefusalReason::UnknownGateway);
    app.services.listener_page(&shop.merchant, listener.id, true).await.unwrap();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_for_real_messages_takes_no_tests() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let preset = app.services.gateways.get("stripe".parse().unwrap()).unwrap().clone();
    let form = |mode: &str| ListenerForm {
        gateway: preset.id,
        secret: "whsec_x".to_owned(),
        options: [("mode".to_owned(), mode.to_owned())].into(),
        label: String::new(),
        ..listener_form()
    };
    let wrong = format!("{:?}", shop.services.add_listener(&shop.merchant, &form("lively"), "test").await.unwrap_err());
    assert!(wrong.contains("live or test"), "{wrong}");
    let listener = shop.services.add_listener(&shop.merchant, &form("test"), "test").await.unwrap();
    let message = signed(&app, &listener, OrderStatus::Paid, "100200300", 1);
    assert_eq!(post(&app, &listener, &message).await.status, 400, "a real one");
    let refused = app.services.store.refused_by(listener.id).await.unwrap();
    assert_eq!(refused[0].reason, RefusalReason::WrongMode);
    let page = app.services.refusal_page(&shop.merchant, refused[0].id).await.unwrap();
    assert!(page.fields.iter().any(|(path, value)| path == "data.object.id" && value == "pi_100200300"), "{:?}", page.fields);
    app.stop().await;
}
