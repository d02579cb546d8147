//! Gateways that are asked back, with stand-ins of theirs that behave and misbehave: nothing counts before the word is given.

use crate::support::{
    app::{Setup, Shop, TestApp, listener_form, moment, on_every_server, short_limits},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant, Visit, closed_port},
    signer::{self, Signer},
    stores::START,
    until,
};
use quittance::{
    domain::{
        DeliveryState, Money, OrderStatus, RefusalReason, Role,
        id::VerifyingId,
        money::Currency,
        pages::{
            dashboard::Matter,
            inbound::{InboundFilter, InboundMessage, Outcome, VerifyingRow},
            story::Happening,
        },
    },
    server::{
        clock::Clock,
        gateway::simulate::{self, Wish},
        service::listeners::{ListenerForm, path},
        store::Listener,
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Semaphore;

const RECEIVER: &str = "shop@example.com";

async fn listener(shop: &Shop, name: &str, options: &[(&str, &str)]) -> Arc<Listener> {
    let form = ListenerForm {
        gateway: name.parse().unwrap(),
        secret: if name == "paypal" { String::new() } else { "key".to_owned() },
        label: String::new(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..listener_form()
    };
    shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap()
}

async fn paypal(shop: &Shop, base: &str) -> Arc<Listener> {
    listener(shop, "paypal", &[("receiver", RECEIVER), ("confirm-base", base)]).await
}

fn base(gateway: &FakeMerchant) -> String {
    format!("http://{}", gateway.address)
}

fn ipn(number: &str) -> String {
    format!(
        "txn_id={number}&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=shop%40example.com&payer_email=b%40example.com&payment_date=04%3A00%3A00+Mar+01%2C+2026+PST"
    )
}

/// What waits at the merchant's listeners.
async fn waiting(shop: &Shop) -> Vec<VerifyingRow> {
    let filter = InboundFilter { outcome: Some(Outcome::Verifying), ..InboundFilter::default() };
    let found = shop.services.find_inbound(&shop.merchant, &filter).await.unwrap();
    let row = |message| match message {
        InboundMessage::Verifying(row) => row,
        other => panic!("{other:?}"),
    };
    found.rows.into_iter().map(|found| row(found.message)).collect()
}

async fn until_none_waits(shop: &Shop) {
    until("every word", || async { waiting(shop).await.is_empty().then_some(()) }).await;
}

/// What the fake gateway answers, and what it was asked.
fn verified(visit: &Visit) -> Answer {
    assert_eq!((visit.method.as_str(), visit.path.as_str()), ("POST", "/cgi-bin/webscr"));
    assert!(visit.headers["user-agent"].starts_with("Quittance/"), "{:?}", visit.headers);
    Answer::text("VERIFIED")
}

async fn a_message_counts_when_paypal_has_verified_it(setup: Setup) {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let gate = Arc::new(Semaphore::new(0));
    let behind = gate.clone();
    let asked = FakeMerchant::start(move |visit| Answer::Gated(behind.clone(), Box::new(verified(visit)))).await;
    let listener = paypal(&shop, &base(&asked)).await;
    // Bytes of windows-1252, some of them escaped and some not, in an order and an encoding that nobody would write twice.
    let mut body = ipn("61E67681CH3238416").into_bytes();
    body.extend_from_slice(b"&first_name=Ren\xe9%e9&memo=a+b%20*%7e&charset=windows-1252&empty=");
    let reply = gateway::post(app.address, &path(&listener), body.clone()).await;
    assert_eq!((reply.status, reply.text()), (200, String::new()), "an empty 200, before anybody is asked");
    let visit = asked.wait_for(1).await.remove(0);
    assert_eq!(visit.body, [b"cmd=_notify-validate&", &body[..]].concat(), "byte for byte");
    let rows = waiting(&shop).await;
    assert_eq!((rows.len(), rows[0].reference.as_str(), rows[0].asked), (1, "61E67681CH3238416", 1));
    assert!(app.services.store.received_by(listener.id).await.unwrap().is_empty(), "nothing counts yet");
    assert!(merchant.visits().is_empty(), "and nothing is delivered");
    app.assert_healthy().await;
    gate.add_permits(1);
    until_none_waits(&shop).await;
    let order = shop.order_named("61E67681CH3238416").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let page = app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    assert_eq!((page.order.status, page.order.amount.unwrap().minor), (OrderStatus::Paid, 1_995));
    assert_eq!(page.order.customer, "Renéé");
    let received = app.services.store.received_by(listener.id).await.unwrap();
    let stored = app.services.store.notification(shop.merchant.id, received[0].id).await.unwrap().unwrap();
    assert_eq!(stored.body, body);
    let left = merchant.visits().remove(0);
    assert_eq!((left.field("GATEWAY").as_str(), left.field("ORDERSTATUS").as_str()), ("paypal", "COMPLETE"));
    assert_eq!((left.field("FIRSTNAME").as_str(), left.field("CUSTOMEREMAIL").as_str()), ("", "b@example.com"));

    // The same once more is asked about once more, and is a repeat.
    gate.add_permits(1);
    assert_eq!(gateway::post(app.address, &path(&listener), body).await.status, 200);
    until_none_waits(&shop).await;
    app.services.store.settled().await.unwrap();
    let received = app.services.store.received_by(listener.id).await.unwrap();
    assert_eq!((received.len(), received[0].repeats), (1, 1));
    app.assert_healthy().await;
    app.stop().await;
}

async fn what_paypal_does_not_know_is_refused_with_its_cause(setup: Setup) {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    shop.url(&merchant.url()).await;
    let asked = FakeMerchant::start(|_| Answer::text("INVALID")).await;
    let listener = paypal(&shop, &base(&asked)).await;
    assert_eq!(gateway::post(app.address, &path(&listener), ipn("1")).await.status, 200);
    until_none_waits(&shop).await;
    let refused = app.services.store.refused_by(listener.id).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason, RefusalReason::NotConfirmed);
    assert!(refused[0].detail.contains("INVALID"), "{}", refused[0].detail);
    let page = app.services.refusal_page(&shop.merchant, refused[0].id).await.unwrap();
    assert!(page.body.starts_with("txn_id=1"), "{}", page.body);
    app.services.store.settled().await.unwrap();
    assert!(app.services.store.received_by(listener.id).await.unwrap().is_empty());
    assert!(merchant.visits().is_empty());
    app.assert_healthy().await;
    app.stop().await;
}

async fn a_gateway_that_gives_no_word_is_asked_again(setup: Setup) {
    let (clock, hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { clock: clock.clone(), limits: short_limits(), ..setup }).await;
    let shop = app.shop("Shop").await;
    let asked = FakeMerchant::start(|visit| match visit.number {
        1 => Answer::status(500, "VERIFIED"),
        2 => Answer::Raw(b"neither word nor HTTP\r\n\r\n".to_vec()),
        3 => Answer::Later(Duration::from_secs(5), Box::new(Answer::text("VERIFIED"))),
        4 => Answer::text("<html>Please wait</html>"),
        5 => Answer::Page(302, vec![("Location", "/elsewhere".to_owned())], Vec::new()),
        _ => Answer::text("VERIFIED"),
    })
    .await;
    let listener = paypal(&shop, &base(&asked)).await;
    gateway::post(app.address, &path(&listener), ipn("1")).await;
    for (number, note) in [(1, "500"), (2, "closed"), (3, "After"), (4, "neither yes nor no"), (5, "302")] {
        let row = until("an answer that says nothing", || async {
            waiting(&shop).await.into_iter().find(|row| row.asked == number && !row.note.is_empty() && row.next_at > clock.now())
        })
        .await;
        assert!(row.note.contains(note) || number == 2, "{number}: {}", row.note);
        assert_eq!(asked.visits().len(), number as usize, "not before its time");
        hand.advance(Duration::from_secs(u64::try_from((row.next_at.0 - clock.now().0) / 1_000_000).unwrap() + 1));
    }
    until_none_waits(&shop).await;
    shop.order_named("1").await;
    assert_eq!(asked.visits().len(), 6);
    app.stop().await;
}

async fn a_question_under_way_goes_on_after_a_restart(setup: Setup) {
    let app = TestApp::start_as(setup.clone()).await;
    let shop = app.shop("Shop").await;
    let asked = FakeMerchant::start(|visit| match visit.number {
        1 => Answer::Later(Duration::from_secs(60), Box::new(Answer::text("VERIFIED"))),
        _ => Answer::text("VERIFIED"),
    })
    .await;
    let listener = paypal(&shop, &base(&asked)).await;
    gateway::post(app.address, &path(&listener), ipn("1")).await;
    asked.wait_for(1).await;
    let app = app.restart(|| {}).await;
    let shop = shop.again(&app);
    until_none_waits(&shop).await;
    shop.order_named("1").await;
    assert_eq!(asked.visits().len(), 2);
    app.assert_healthy().await;
    app.stop().await;
}

/// What rings again while its gateway is being asked may be about something newer than the answer that is on its way.
async fn a_ring_during_a_question_is_not_lost(setup: Setup) {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let (behind, state) = (gate.clone(), Arc::new(Mutex::new("open")));
    let told = state.clone();
    let asked = FakeMerchant::start(move |visit| {
        assert_eq!(visit.headers["authorization"], "Bearer key");
        assert_eq!((visit.method.as_str(), visit.path.as_str()), ("GET", "/v2/payments/tr_1"));
        let status = *told.lock().unwrap();
        let body = format!(r#"{{"id":"tr_1","mode":"live","status":"{status}","amount":{{"value":"10.00","currency":"EUR"}}}}"#);
        Answer::Gated(behind.clone(), Box::new(Answer::text(body)))
    })
    .await;
    let listener = listener(&shop, "mollie-classic", &[("confirm-base", &base(&asked))]).await;
    assert_eq!(gateway::post(app.address, &path(&listener), "id=tr_1").await.status, 200);
    asked.wait_for(1).await;
    *state.lock().unwrap() = "paid";
    assert_eq!(gateway::post(app.address, &path(&listener), "id=tr_1").await.status, 200);
    gate.add_permits(2);
    until_none_waits(&shop).await;
    let order = shop.order_named("tr_1").await;
    let page = app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    assert_eq!(page.order.status, OrderStatus::Paid);
    let messages = app.services.store.notifications_of(order).await.unwrap();
    assert_eq!(messages.len(), 2, "open, and then paid");
    let stored = app.services.store.notification(shop.merchant.id, messages[0].id).await.unwrap().unwrap();
    assert!(stored.body.starts_with(br#"{"id":"tr_1""#) && stored.head.ends_with("id=tr_1\r\n"), "{}", stored.head);
    app.assert_healthy().await;
    app.stop().await;
}

async fn every_status_of_every_gateway_that_is_asked(setup: Setup) {
    let app = TestApp::start_as(Setup { names: Signer::names(), ..setup }).await;
    let shop = app.shop("Shop").await;
    let signer = Signer::start().await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let answers: Arc<Mutex<HashMap<&str, String>>> = Arc::default();
    let known = answers.clone();
    let asked = FakeMerchant::start(move |visit| {
        if visit.path == "/v1/oauth2/token" {
            assert_eq!(visit.headers["authorization"], "Basic dHJpYWwtb3B0aW9uOnRyaWFsLXNlY3JldA==");
            return Answer::text(r#"{"access_token":"T"}"#);
        }
        Answer::text(known.lock().unwrap()["now"].clone())
    })
    .await;
    let mut number = 100_200_300u64;
    let mut tried = 0;
    for preset in app.services.gateways.all().iter().filter(|preset| preset.confirm.is_some()) {
        let mut options = simulate::trial_options(preset).0;
        options.insert("confirm-base".to_owned(), base(&asked));
        if preset.chain.is_some() {
            options.extend(signer.options());
        }
        let form = ListenerForm {
            gateway: preset.id,
            secret: simulate::trial_secret(preset),
            options,
            label: String::new(),
            ..listener_form()
        };
        let listener = shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap();
        for status in simulate::statuses(preset) {
            number += 1;
            tried += 1;
            let reference = number.to_string();
            let amount = Money { minor: 50_000, currency: Currency::parse(simulate::currency(preset)).unwrap() };
            let wish = Wish {
                status,
                reference: &reference,
                amount,
                email: "buyer@example.com",
                address: "",
                now: app.services.clock.now(),
                number,
                test: false,
                fault: None,
            };
            let answer = simulate::answer(preset, &listener.options, &wish).unwrap();
            answers.lock().unwrap().insert("now", answer);
            let posted = simulate::sign(preset, listener.secret.reveal(), &listener.options, &wish).unwrap();
            let mut request = http::Request::post(path(&listener));
            for (name, value) in signer.sign(&posted.body, signer::WEBHOOK).into_iter().filter(|_| preset.chain.is_some()) {
                request = request.header(name, value);
            }
            let reply = gateway::send(app.address, request.body(posted.body.clone().into()).unwrap()).await;
            let stored = preset.answers.stored.as_ref().unwrap();
            assert_eq!((reply.status, reply.text()), (stored.status, stored.body.clone()), "{} {status:?}", preset.id);
            until_none_waits(&shop).await;
            app.services.store.settled().await.unwrap();
            let refused = app.services.store.refused_by(listener.id).await.unwrap();
            assert!(refused.is_empty(), "{} {status:?}: {refused:?}", preset.id);
            let received = app.services.store.received_by(listener.id).await.unwrap();
            let row = received.iter().max_by_key(|row| row.id).unwrap();
            assert_eq!((row.status, row.repeats), (status, 0), "{} {}", preset.id, row.vendor_status);
            shop.wait_for_state(row.order_id, url, DeliveryState::Confirmed).await;
        }
    }
    assert!(tried >= 20, "{tried}");
    app.assert_healthy().await;
    app.stop().await;
}

on_every_server! {
    a_message_counts_when_paypal_has_verified_it,
    what_paypal_does_not_know_is_refused_with_its_cause,
    a_gateway_that_gives_no_word_is_asked_again,
    a_question_under_way_goes_on_after_a_restart,
    a_ring_during_a_question_is_not_lost,
    every_status_of_every_gateway_that_is_asked,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_silent_holds_up_nobody_else() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let behind = gate.clone();
    let silent = FakeMerchant::start(move |_| Answer::Gated(behind.clone(), Box::new(Answer::text("VERIFIED")))).await;
    let quick = FakeMerchant::start(verified).await;
    let (slow, fast) = (paypal(&shop, &base(&silent)).await, paypal(&shop, &base(&quick)).await);
    for number in 0..60 {
        assert_eq!(gateway::post(app.address, &path(&slow), ipn(&format!("s{number}"))).await.status, 200);
    }
    silent.wait_for(4).await;
    assert_eq!(gateway::post(app.address, &path(&fast), ipn("f1")).await.status, 200);
    until("the other gateway's word", || async {
        let received = app.services.store.received_by(fast.id).await.unwrap();
        (received.len() == 1).then_some(())
    })
    .await;
    shop.order("an order of another gateway").await;
    assert!(silent.peak() <= 8, "{} questions at once", silent.peak());
    gate.add_permits(100);
    until_none_waits(&shop).await;
    app.services.store.settled().await.unwrap();
    assert_eq!(quick.visits().len(), 1);
    assert_eq!(silent.visits().len(), 60, "each once");
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_are_asked_through_the_guard() {
    let asked = FakeMerchant::start(|_| Answer::text("VERIFIED")).await;
    let app = TestApp::start_as(Setup { networks: Vec::new(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let listener = paypal(&shop, &base(&asked)).await;
    gateway::post(app.address, &path(&listener), ipn("1")).await;
    let row =
        until("a refusal to ask there", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    assert!(row.note.contains("127.0.0.1"), "{}", row.note);
    assert!(asked.visits().is_empty());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_put_right_are_tried_at_once() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let asked = FakeMerchant::start(|visit| match visit.headers["authorization"].as_str() {
        "Bearer right" => Answer::text(r#"{"id":"tr_1","status":"paid","amount":{"value":"10.00","currency":"EUR"}}"#),
        _ => Answer::status(401, "{}"),
    })
    .await;
    let listener = listener(&shop, "mollie-classic", &[("confirm-base", &base(&asked))]).await;
    gateway::post(app.address, &path(&listener), "id=tr_1").await;
    let row = until("a complaint", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    assert!(row.note.contains("credentials"), "{}", row.note);
    let form = ListenerForm {
        gateway: listener.gateway,
        secret: "right".to_owned(),
        label: "Mollie".to_owned(),
        options: [("confirm-base".to_owned(), base(&asked))].into(),
        ..listener_form()
    };
    shop.services.change_listener(&shop.merchant, listener.id, &form, "test").await.unwrap();
    until_none_waits(&shop).await;
    shop.order_named("tr_1").await;
    let wrong = ListenerForm { options: [("confirm-base".to_owned(), "example.com/x".to_owned())].into(), ..form.clone() };
    let told = format!("{:?}", shop.services.change_listener(&shop.merchant, listener.id, &wrong, "test").await.unwrap_err());
    assert!(told.contains("https://"), "{told}");
    let wrong = ListenerForm { options: [("confirm-authority".to_owned(), "no certificate".to_owned())].into(), ..form };
    let told = format!("{:?}", shop.services.change_listener(&shop.merchant, listener.id, &wrong, "test").await.unwrap_err());
    assert!(told.contains("BEGIN CERTIFICATE"), "{told}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_is_given_up_and_told_of() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let (nowhere, _socket) = closed_port();
    let listener = paypal(&shop, nowhere.trim_end_matches('/')).await;
    gateway::post(app.address, &path(&listener), ipn("1")).await;
    until("a first try", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    let matters = async || app.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap().matters;
    assert!(!matters().await.iter().any(|matter| matches!(matter, Matter::Unconfirmed { .. })), "not after a moment");
    hand.advance(Duration::from_secs(301));
    let found = matters().await.into_iter().find_map(|matter| match matter {
        Matter::Unconfirmed { count, since, note, .. } => Some((count, since, note)),
        _ => None,
    });
    let (count, since, note) = found.unwrap();
    assert_eq!((count, since), (1, moment(0)));
    assert!(!note.is_empty());
    hand.advance(Duration::from_secs(31 * 86_400));
    until_none_waits(&shop).await;
    let refused = app.services.store.refused_by(listener.id).await.unwrap();
    assert!(refused[0].detail.contains("30 days"), "{}", refused[0].detail);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_what_waits() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    app.user("support@example.com", Role::Support, &[]).await;
    let gate = Arc::new(Semaphore::new(1));
    let behind = gate.clone();
    let asked = FakeMerchant::start(move |visit| match visit.number {
        2 => Answer::status(503, "later"),
        _ => Answer::Gated(behind.clone(), Box::new(Answer::text("VERIFIED"))),
    })
    .await;
    let listener = paypal(&shop, &base(&asked)).await;
    gateway::post(app.address, &path(&listener), ipn("ORD1")).await;
    until_none_waits(&shop).await;
    let order = shop.order_named("ORD1").await;
    let refund = "txn_id=REF1&parent_txn_id=ORD1&payment_status=Refunded&mc_gross=-5.00&mc_currency=USD&receiver_email=shop%40example.com&first_name=Zacharias&payer_email=zacharias%40mail.example";
    gateway::post(app.address, &path(&listener), refund).await;
    let row = until("a word that is none", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    let story = app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    let told = story.entries.iter().find_map(|entry| match &entry.what {
        Happening::Verifying { id, asked, .. } => Some((*id, *asked)),
        _ => None,
    });
    assert_eq!(told, Some((row.id, 1)));
    assert_eq!(story.order.status, OrderStatus::Paid, "nothing changed");

    let mut browser = Browser::signed_in(app.address, "support@example.com").await;
    let page = async |browser: &mut Browser, address: String| browser.get(&address).await.text();
    let inbound = page(&mut browser, "/m/shop/inbound?outcome=verifying".to_owned()).await;
    assert!(inbound.contains("Verifying") && inbound.contains("Order ORD1") && inbound.contains("503"), "{inbound}");
    let one = page(&mut browser, format!("/m/shop/verifying/{}", row.id)).await;
    for part in ["PayPal (IPN) is asked whether it is true", "503", &base(&asked), "Ask now", "payment_status"] {
        assert!(one.contains(part), "{part}: {one}");
    }
    assert!(!one.contains("Zacharias") && !one.contains("zacharias"), "masked for support");
    let told = page(&mut browser, format!("/m/shop/orders/{order}")).await;
    assert!(told.contains("being verified"), "{told}");
    let export = page(&mut browser, "/m/shop/inbound.csv?outcome=verifying".to_owned()).await;
    assert!(export.contains("verifying") && export.contains("ORD1"), "{export}");
    hand.advance(Duration::from_secs(400));
    let dashboard = page(&mut browser, "/m/shop".to_owned()).await;
    assert!(dashboard.contains("for the gateway&#x27;s word") || dashboard.contains("for the gateway's word"), "{dashboard}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_now_does_not_wait_for_the_turn() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let asked =
        FakeMerchant::start(|visit| if visit.number == 1 { Answer::status(500, "") } else { Answer::text("VERIFIED") }).await;
    let listener = paypal(&shop, &base(&asked)).await;
    gateway::post(app.address, &path(&listener), ipn("1")).await;
    let row = until("a first answer", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    assert_eq!(shop.services.ask_now(&shop.merchant, row.id, "test").await.unwrap(), listener.id);
    until_none_waits(&shop).await;
    assert!(shop.services.ask_now(&shop.merchant, VerifyingId(1), "test").await.is_err());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_may_have_a_certificate_of_its_own() {
    let issued = rcgen::generate_simple_self_signed(vec!["gateway.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let asked = FakeMerchant::start_tls(issued.cert.der().clone(), key).await;
    asked.answer(|_| Answer::text("VERIFIED"));
    let names = [("gateway.test".to_owned(), vec![asked.address.ip()])].into();
    let app = TestApp::start_as(Setup { names, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let base = format!("https://gateway.test:{}", asked.address.port());
    let distrusted = paypal(&shop, &base).await;
    gateway::post(app.address, &path(&distrusted), ipn("1")).await;
    until("a complaint", || async { waiting(&shop).await.into_iter().find(|row| !row.note.is_empty()) }).await;
    assert!(asked.visits().is_empty());
    let options = [("receiver", RECEIVER), ("confirm-base", base.as_str()), ("confirm-authority", &issued.cert.pem())];
    let trusted = listener(&shop, "paypal", &options).await;
    gateway::post(app.address, &path(&trusted), ipn("2")).await;
    shop_order(&shop, "2").await;
    app.stop().await;
}

async fn shop_order(shop: &Shop, reference: &str) {
    until("an order", || async {
        shop.services.store.settled().await.unwrap();
        shop.services.order_named(&shop.merchant, reference).await.ok()
    })
    .await;
}
