//! A listener's simulator in the panel: every gateway's every message goes the whole way, and nothing simulated is taken for real.

use crate::support::{
    app::{Setup, Shop, TestApp, listener_form, on_every_server},
    browser::Browser,
    gateway::Reply,
    merchant::{Answer, FakeMerchant},
    until,
};
use quittance::{
    domain::{
        DeliveryState, Fault, OrderStatus, RefusalReason, Role,
        id::UserId,
        pages::{
            inbound::{InboundFilter, Outcome},
            simulator::{Became, Simulated, SimulatorForm, SimulatorPage},
        },
    },
    server::{
        gateway::simulate,
        service::{ServiceError, listeners::ListenerForm},
        store::Listener,
    },
};
use std::{collections::BTreeMap, sync::Arc};

on_every_server! {
    a_message_goes_the_whole_way_and_counts_as_a_test,
}

const NOBODY: UserId = UserId(1);

async fn listener(shop: &Shop, name: &str, options: &[(&str, &str)]) -> Arc<Listener> {
    let preset = shop.services.gateways.get(name.parse().unwrap()).unwrap().clone();
    let mut all: BTreeMap<String, String> = simulate::trial_options(&preset).0;
    all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let form = ListenerForm {
        gateway: preset.id,
        secret: simulate::trial_secret(&preset),
        options: all,
        label: String::new(),
        ..listener_form()
    };
    shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap()
}

async fn page(shop: &Shop, listener: &Listener, sent: &str) -> SimulatorPage {
    let from = "192.0.2.7".parse().unwrap();
    shop.services.simulator_page(&shop.merchant, listener.id, NOBODY, sent, from).await.unwrap()
}

async fn send(shop: &Shop, listener: &Listener, form: SimulatorForm) -> Result<Simulated, ServiceError> {
    let key = shop.services.simulate(&shop.merchant, listener.id, form, NOBODY, "test").await?;
    Ok(page(shop, listener, &key).await.sent.unwrap())
}

async fn proposal(shop: &Shop, listener: &Listener) -> SimulatorForm {
    page(shop, listener, "").await.draft
}

fn fault(form: &SimulatorForm, fault: Fault) -> SimulatorForm {
    SimulatorForm { fault: fault.code().to_owned(), ..form.clone() }
}

async fn a_message_goes_the_whole_way_and_counts_as_a_test(setup: Setup) {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let stripe = listener(&shop, "stripe", &[]).await;
    let draft = proposal(&shop, &stripe).await;
    assert_eq!((draft.status.as_str(), draft.currency.as_str(), draft.as_test), ("paid", "USD", true));
    assert_eq!(draft.from, "192.0.2.7");

    // One that says of itself that it is real.
    let sent = send(&shop, &stripe, SimulatorForm { as_test: false, ..draft.clone() }).await.unwrap();
    let [exchange] = &sent.exchanges[..] else { panic!("{sent:?}") };
    assert!(exchange.head.starts_with("POST /ipn/") && exchange.head.contains("stripe-signature: t="), "{}", exchange.head);
    assert!(exchange.body.contains("\"livemode\":true"), "{}", exchange.body);
    assert!(exchange.answer_head.starts_with("HTTP/1.1 200 OK\r\n") && exchange.answer_body == "OK\n", "{exchange:?}");
    let Became::Accepted { order, notification, repeated: false } = exchange.became else { panic!("{:?}", exchange.became) };
    let stored = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
    assert!(stored.test && stored.status == OrderStatus::Paid, "{stored:?}");
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    assert_eq!(delivery.notification_id, notification);
    let visit = merchant.wait_for(1).await.remove(0);
    assert_eq!((visit.field("TEST_ORDER").as_str(), visit.field("ORDERSTATUS").as_str()), ("1", "COMPLETE"));
    let kept = app.services.store.notification(shop.merchant.id, notification).await.unwrap().unwrap();
    assert_eq!(kept.view.peer, "192.0.2.7 (simulated)");

    // The next message of the same order, with the number that the page keeps.
    assert!(!sent.form.reference.is_empty());
    let refund = SimulatorForm { status: "refunded".to_owned(), ..sent.form.clone() };
    let refunded = send(&shop, &stripe, refund).await.unwrap();
    assert!(matches!(refunded.exchanges[0].became, Became::Accepted { order: same, .. } if same == order), "{refunded:?}");
    app.services.store.settled().await.unwrap();
    let stored = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
    assert!(stored.test && stored.status == OrderStatus::Refunded, "{stored:?}");

    let repeated = send(&shop, &stripe, fault(&draft, Fault::Repeated)).await.unwrap();
    let told: Vec<_> =
        repeated.exchanges.iter().map(|one| matches!(one.became, Became::Accepted { repeated: true, .. })).collect();
    assert_eq!(told, [false, true]);
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_of_every_gateway() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let closed = FakeMerchant::start(|_| Answer::status(503, "not now")).await;
    let base = format!("http://{}", closed.address);
    let mut reference = 100_200_300;
    for preset in app.services.gateways.all() {
        let options: &[_] = if preset.confirm.is_some() { &[("confirm-base", base.as_str())] } else { &[] };
        let listener = listener(&shop, preset.id.name(), options).await;
        let found = page(&shop, &listener, "").await;
        assert_eq!(found.statuses, simulate::statuses(preset), "{}", preset.id);
        assert_eq!(found.asked_at, preset.confirm.as_ref().map(|_| (base.clone(), true)), "{}", preset.id);
        for status in found.statuses {
            reference += 1;
            let form = SimulatorForm {
                status: status.code().to_owned(),
                reference: reference.to_string(),
                ..proposal(&shop, &listener).await
            };
            let sent = send(&shop, &listener, form).await.unwrap_or_else(|error| panic!("{} {status:?}: {error:?}", preset.id));
            let exchange = &sent.exchanges[0];
            let stored = preset.answers.stored.as_ref();
            assert_eq!(exchange.status, stored.map_or(200, |answer| answer.status), "{} {status:?}: {exchange:?}", preset.id);
            let body = stored.map(|answer| answer.body.as_str()).filter(|body| !body.is_empty());
            assert!(body.is_none_or(|body| exchange.answer_body == body), "{} {status:?}: {exchange:?}", preset.id);
            match exchange.became {
                Became::Accepted { order, notification, .. } => {
                    let order = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
                    let kept = app.services.store.notification(shop.merchant.id, notification).await.unwrap().unwrap();
                    assert!(order.test && kept.view.status == status, "{} {status:?}: {kept:?}", preset.id);
                }
                Became::Verifying { .. } => assert!(preset.confirm.is_some(), "{}", preset.id),
                ref other => panic!("{} {status:?}: {other:?}", preset.id),
            }
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_as_the_gateway_knows_it() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut tried = 0;
    for preset in app.services.gateways.all() {
        // Its signature stands where a password would.
        let is_taken = preset.id.name() == "xsolla";
        let basic: &[_] = if is_taken { &[] } else { &[("basic-user", "gate"), ("basic-password", "open sesame")] };
        let listener = listener(&shop, preset.id.name(), basic).await;
        let draft = proposal(&shop, &listener).await;
        for one in page(&shop, &listener, "").await.faults {
            let sent = send(&shop, &listener, fault(&draft, one)).await.unwrap();
            let last = sent.exchanges.last().unwrap();
            let is_hidden = last.head.contains("authorization: (not kept)");
            assert!(!last.head.contains("open sesame") && (is_hidden || is_taken), "{}", last.head);
            let reason = match &last.became {
                Became::Refused { refusal, reason, .. } => {
                    assert!(refusal.is_some(), "{} {one:?}", preset.id);
                    Some(*reason)
                }
                _ => None,
            };
            match one {
                Fault::WrongSignature => assert_eq!(reason, Some(RefusalReason::WrongSignature), "{}", preset.id),
                Fault::NoSignature => {
                    let unsigned = [RefusalReason::NoSignature, RefusalReason::Malformed, RefusalReason::WrongSignature];
                    assert!(reason.is_some_and(|reason| unsigned.contains(&reason)), "{} {last:?}", preset.id);
                }
                Fault::Stale => assert_eq!(reason, Some(RefusalReason::Stale), "{}", preset.id),
                Fault::WrongPassword => assert_eq!(reason, Some(RefusalReason::WrongPassword), "{}", preset.id),
                Fault::Repeated | Fault::OtherAmount => assert_eq!((reason, sent.exchanges.len()), (None, 2), "{}", preset.id),
            }
            if one == Fault::OtherAmount && preset.id.name() == "vnpay" {
                assert!(last.answer_body.contains("\"04\""), "{}", last.answer_body);
            }
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_real_stays_as_it_is() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let order = shop.order("100200300").await;
    let checkout = listener(&shop, "2checkout", &[]).await;
    let stripe = listener(&shop, "stripe", &[]).await;
    for listener in [&checkout, &stripe] {
        let form = SimulatorForm { reference: "100200300".to_owned(), ..proposal(&shop, listener).await };
        let error = format!("{:?}", send(&shop, listener, form).await.unwrap_err());
        assert!(error.contains("reference") && error.contains("real order"), "{error}");
    }
    // Of other gateways the order is called otherwise than what one enters.
    let real = crate::gateways::signed(&app, &stripe, OrderStatus::Paid, "700800900", 7);
    assert_eq!(crate::gateways::post(&app, &stripe, &real).await.status, 200);
    app.services.store.settled().await.unwrap();
    let form = SimulatorForm { reference: "700800900".to_owned(), ..proposal(&shop, &stripe).await };
    for status in ["refunded", "paid"] {
        let form = SimulatorForm { status: status.to_owned(), ..form.clone() };
        assert!(send(&shop, &stripe, form).await.is_err(), "{status}");
    }
    let stored = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
    assert!(!stored.test && stored.status == OrderStatus::Paid);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_listener_is_narrowed_to_counts() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let narrow = listener(&shop, "stripe", &[("allow-from", "203.0.113.8/29, 198.51.100.0/24"), ("mode", "live")]).await;
    let draft = proposal(&shop, &narrow).await;
    assert_eq!((draft.from.as_str(), draft.as_test), ("203.0.113.8", false), "what it takes");
    let of = async |form: SimulatorForm| send(&shop, &narrow, form).await.unwrap().exchanges.remove(0).became;
    let reason = |became: Became| match became {
        Became::Refused { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(reason(of(draft.clone()).await), None);
    let elsewhere = SimulatorForm { from: "203.0.113.99".to_owned(), ..draft.clone() };
    assert_eq!(reason(of(elsewhere).await), Some(RefusalReason::AddressNotAllowed));
    assert_eq!(reason(of(SimulatorForm { as_test: true, ..draft.clone() }).await), Some(RefusalReason::WrongMode));
    // All mistakes at once, each at its field.
    let wrong = SimulatorForm {
        status: "perhaps".to_owned(),
        amount: "0".to_owned(),
        currency: "EUR".to_owned(),
        reference: "A-1".to_owned(),
        email: "x".to_owned(),
        from: "here".to_owned(),
        fault: "wrong-password".to_owned(),
        as_test: false,
    };
    let told = format!("{:?}", send(&shop, &narrow, wrong).await.unwrap_err());
    for field in ["status", "amount", "reference", "email", "from", "fault"] {
        assert!(told.contains(&format!("\"{field}\"")), "{field}: {told}");
    }
    let vnpay = listener(&shop, "vnpay", &[]).await;
    let dollars = SimulatorForm { currency: "USD".to_owned(), ..proposal(&shop, &vnpay).await };
    assert!(format!("{:?}", send(&shop, &vnpay, dollars).await.unwrap_err()).contains("VND alone"));
    app.stop().await;
}

/// A stand-in says yes; then the message counts, as a test, although PayPal itself would know nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_confirms_what_was_simulated() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let asked = FakeMerchant::start(|_| Answer::text("VERIFIED")).await;
    let base = format!("http://{}", asked.address);
    let paypal = listener(&shop, "paypal", &[("receiver", "me@example.com"), ("confirm-base", &base)]).await;
    let draft = proposal(&shop, &paypal).await;
    assert!(!draft.as_test, "of PayPal's sandbox only a listener with the mode test takes messages");
    let sent = send(&shop, &paypal, draft).await.unwrap();
    assert_eq!(sent.exchanges[0].became, Became::Verifying { repeated: false });
    let filter = InboundFilter { outcome: Some(Outcome::Accepted), ..InboundFilter::default() };
    let rows = until("the stand-in's word", || async {
        let found = app.services.find_inbound(&shop.merchant, &filter).await.unwrap();
        (!found.rows.is_empty()).then_some(found.rows)
    })
    .await;
    assert_eq!(rows.len(), 1);
    let order = shop.order_named(&format!("PP{}", sent.form.reference)).await;
    let stored = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
    assert!(stored.test && stored.status == OrderStatus::Paid, "{stored:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_without_scripts() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    app.user("support@example.com", Role::Support, &[&shop]).await;
    let vnpay = listener(&shop, "vnpay", &[("terminal", "DEMO")]).await;
    let address = format!("/m/shop/listeners/{}/simulate", vnpay.id);
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let page = owner.get(&format!("/m/shop/listeners/{}", vnpay.id)).await.text();
    assert!(page.contains(&format!("href=\"{address}\"")), "{page}");
    let page = owner.get(&address).await.text();
    let key = page.split("name=\"form_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let id = vnpay.id.to_string();
    let fields: Vec<(&str, &str)> = vec![
        ("merchant", "shop"),
        ("listener", &id),
        ("status", "paid"),
        ("amount", "50000"),
        ("currency", "VND"),
        ("reference", "4711"),
        ("email", "buyer@example.com"),
        ("fault", ""),
        ("from", "127.0.0.1"),
        ("form_key", &key),
    ];
    let location = |reply: &Reply| reply.header("location").to_owned();
    let first = owner.form("/rpc/listeners/simulate", &fields).await;
    let again = owner.form("/rpc/listeners/simulate", &fields).await;
    assert!(location(&first).contains("?sent=") && location(&first) == location(&again), "{first:?} {again:?}");
    let sent = location(&first).replace("#sent", "");
    for _ in 0..2 {
        let page = owner.get(&sent).await.text();
        assert!(page.contains("RspCode") && page.contains("vnp_TxnRef=4711") && page.contains("Accepted"), "{page}");
    }
    app.services.store.settled().await.unwrap();
    assert_eq!(app.services.store.received_by(vnpay.id).await.unwrap().len(), 1, "a double click is one message");
    let log = owner.get("/m/shop/audit").await.text();
    assert!(log.contains("Simulated a gateway") && log.contains("4711") && log.contains("owner@example.com"), "{log}");

    // What somebody sent is his to see, at that listener.
    app.user("other@example.com", Role::Admin, &[]).await;
    let mut other = Browser::signed_in(app.address, "other@example.com").await;
    let page = other.get(&sent).await.text();
    assert!(page.contains("not kept any more") && !page.contains("vnp_TxnRef"), "{page}");
    let mut support = Browser::signed_in(app.address, "support@example.com").await;
    assert_eq!(support.get(&address).await.status, 403);
    assert!(!support.get(&format!("/m/shop/listeners/{}", vnpay.id)).await.text().contains(&address));
    app.stop().await;
}

/// The mark of a simulated message cannot come from outside, in no header and no field.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_outside_can_pretend_to_be_simulated() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let stripe = listener(&shop, "stripe", &[]).await;
    let mut real = crate::gateways::signed(&app, &stripe, OrderStatus::Paid, "700800900", 7);
    for name in ["x-forwarded-for", "forwarded", "x-simulated", "user-agent"] {
        real.headers.insert(name, "192.0.2.7 (simulated)".parse().unwrap());
    }
    assert_eq!(crate::gateways::post(&app, &stripe, &real).await.status, 200);
    let order = shop.order_named("pi_700800900").await;
    let stored = app.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
    assert!(!stored.test);
    app.stop().await;
}
