//! Messages that are signed with a certificate which the gateway keeps at an address of its own: PayPal's webhooks.

use crate::support::{
    app::{Setup, Shop, TestApp, listener_form, on_every_server},
    gateway::{self, Reply},
    merchant::{Answer, FakeMerchant},
    signer::{Authority, NAME, Signer, WEBHOOK},
    stores::START,
    until,
};
use http::Request;
use http_body_util::Full;
use quittance::{
    domain::{
        OrderStatus, RefusalReason,
        pages::inbound::{InboundFilter, InboundMessage, Outcome, VerifyingRow},
    },
    server::{
        clock::Clock,
        service::listeners::{ListenerForm, path},
        store::Listener,
    },
};
use rcgen::date_time_ymd;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

type Headers = Vec<(&'static str, String)>;

/// PayPal, as far as it is asked: it gives a token, and knows every event.
async fn paypal() -> FakeMerchant {
    FakeMerchant::start(|visit| match visit.path.strip_prefix("/v1/notifications/webhooks-events/") {
        Some(id) => Answer::text(event(id)),
        None => Answer::text(r#"{"access_token":"T"}"#),
    })
    .await
}

fn event(id: &str) -> String {
    format!(
        r#"{{"id":"{id}","create_time":"2026-03-01T12:00:00Z","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{{"id":"CAP{id}","amount":{{"currency_code":"USD","value":"19.95"}}}}}}"#
    )
}

async fn listener(shop: &Shop, signer: &Signer, asked: &FakeMerchant) -> Arc<Listener> {
    let mut options: std::collections::BTreeMap<_, _> = signer.options().into();
    options.insert("client-id".to_owned(), "me".to_owned());
    options.insert("confirm-base".to_owned(), format!("http://{}", asked.address));
    let form = ListenerForm {
        gateway: "paypal-webhooks".parse().unwrap(),
        secret: "key".to_owned(),
        label: String::new(),
        options,
        ..listener_form()
    };
    shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap()
}

async fn post(app: &TestApp, listener: &Listener, body: &str, headers: &Headers) -> Reply {
    let mut request = Request::post(path(listener)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    gateway::send(app.address, request.body(Full::new(body.to_owned().into())).unwrap()).await
}

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

async fn what_paypal_has_signed_counts(setup: Setup) {
    let app = TestApp::start_as(Setup { names: Signer::names(), ..setup }).await;
    let shop = app.shop("Shop").await;
    let (signer, asked) = (Signer::start().await, paypal().await);
    let listener = listener(&shop, &signer, &asked).await;
    // While the certificate is on its way the message is acknowledged, and nobody asks about it.
    let gate = Arc::new(Semaphore::new(0));
    let (behind, chain) = (gate.clone(), signer.chain(NAME, |_| {}));
    signer.server.answer(move |_| Answer::Gated(behind.clone(), Box::new(Answer::text(chain.clone()))));
    let first = event("WH-1");
    let reply = post(&app, &listener, &first, &signer.sign(first.as_bytes(), WEBHOOK)).await;
    assert_eq!((reply.status, reply.text()), (200, String::new()));
    let visit = signer.server.wait_for(1).await.remove(0);
    assert_eq!((visit.method.as_str(), visit.path.as_str()), ("GET", "/v1/notifications/certs/CERT-1"));
    assert_eq!(waiting(&shop).await.len(), 1);
    assert!(asked.visits().is_empty() && app.services.store.received_by(listener.id).await.unwrap().is_empty());
    gate.add_permits(1);
    until_none_waits(&shop).await;
    let order = shop.order_named("CAPWH-1").await;
    let page = app.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    assert_eq!((page.order.status, page.order.amount.unwrap().minor), (OrderStatus::Paid, 1_995));

    // The certificate is known now. A body that was made to fit the same CRC says what it likes: PayPal's word counts.
    let second = event("WH-2");
    post(&app, &listener, &second, &signer.sign(second.as_bytes(), WEBHOOK)).await;
    post(&app, &listener, &first, &signer.sign(first.as_bytes(), WEBHOOK)).await;
    let forged = r#"{"id":"WH-2","event_type":"PAYMENT.CAPTURE.REFUNDED","resource":{"id":"CAPWH-9"}}"#;
    post(&app, &listener, forged, &signer.sign(forged.as_bytes(), WEBHOOK)).await;
    until_none_waits(&shop).await;
    app.services.store.settled().await.unwrap();
    let mut received = app.services.store.received_by(listener.id).await.unwrap();
    received.sort_by_key(|row| row.id);
    assert_eq!(received.iter().map(|row| (row.status, row.repeats)).collect::<Vec<_>>(), [(OrderStatus::Paid, 1); 2]);
    assert_eq!(signer.server.visits().len(), 1, "fetched once");
    app.assert_healthy().await;
    app.stop().await;
}

on_every_server! {
    what_paypal_has_signed_counts,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_for_this_webhook_is_refused_with_its_cause() {
    let (clock, _hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { clock, names: Signer::names(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let (signer, asked) = (Signer::start().await, paypal().await);
    let elsewhere = FakeMerchant::confirming().await;
    let stranger = Authority::new("Stranger");
    let body = event("WH-1");
    let good = signer.chain(NAME, |_| {});
    let signed = || signer.sign(body.as_bytes(), WEBHOOK);
    let with = |name: &'static str, value: String| -> Headers {
        signed().into_iter().map(|(known, old)| (known, if known == name { value.clone() } else { old })).collect()
    };
    let without = |name: &str| -> Headers { signed().into_iter().filter(|(known, _)| *known != name).collect() };
    let host = signer.host();
    let at = |rest: &str| with("paypal-cert-url", rest.to_owned());
    let wrong = RefusalReason::WrongSignature;
    let cases: Vec<(&str, String, Headers, RefusalReason, &str)> = vec![
        ("another body", good.clone(), signer.sign(event("WH-2").as_bytes(), WEBHOOK), wrong, "another webhook"),
        ("another webhook", good.clone(), signer.sign(body.as_bytes(), "96605875FF6516634"), wrong, "another webhook"),
        (
            "another time",
            good.clone(),
            with("paypal-transmission-time", "2026-03-01T12:00:01Z".to_owned()),
            wrong,
            "another webhook",
        ),
        ("another algorithm", good.clone(), with("paypal-auth-algo", "SHA1withRSA".to_owned()), wrong, "SHA1withRSA"),
        ("no signature", good.clone(), without("paypal-transmission-sig"), RefusalReason::NoSignature, "paypal-transmission-sig"),
        ("no certificate", good.clone(), without("paypal-cert-url"), RefusalReason::NoSignature, "paypal-cert-url"),
        ("no number", good.clone(), without("paypal-transmission-id"), RefusalReason::NoSignature, "paypal-transmission-id"),
        ("no Base64", good.clone(), with("paypal-transmission-sig", "!".to_owned()), RefusalReason::Malformed, "form"),
        (
            "another host",
            good.clone(),
            at(&format!("http://{}/v1/notifications/certs/CERT-1", elsewhere.address)),
            wrong,
            "only fetched from",
        ),
        ("without TLS", good.clone(), at(&format!("http://{host}/v1/notifications/certs/CERT-1")), wrong, "only fetched from"),
        (
            "a host within",
            good.clone(),
            at(&format!("https://{host}@{}/v1/notifications/certs/C", elsewhere.address)),
            wrong,
            "only fetched from",
        ),
        (
            "out of the folder",
            good.clone(),
            at(&format!("https://{host}/v1/notifications/certs/../../x")),
            wrong,
            "only fetched from",
        ),
        (
            "with a question",
            good.clone(),
            at(&format!("https://{host}/v1/notifications/certs/CERT-1?to=x")),
            wrong,
            "only fetched from",
        ),
        (
            "no such",
            good.clone(),
            at(&format!("https://{host}/v1/notifications/certs/CERT-2")),
            wrong,
            "no such certificate (404)",
        ),
        ("somebody else's", Signer::issued(NAME, &stranger, |_| {}) + &stranger.pem, signed(), wrong, "nobody who is trusted"),
        ("without its issuer", Signer::issued(NAME, &signer.between, |_| {}), signed(), wrong, "nobody who is trusted"),
        ("its own", Signer::issued(NAME, &Authority::new("Root"), |_| {}), signed(), wrong, "nobody who is trusted"),
        ("of another name", signer.chain("shop.example", |_| {}), signed(), wrong, "that of shop.example"),
        ("of a name that only looks so", signer.chain("notpaypal.com", |_| {}), signed(), wrong, "that of notpaypal.com"),
        ("of yesterday", signer.chain(NAME, |it| it.not_after = date_time_ymd(2026, 2, 1)), signed(), wrong, "had ended"),
        ("of tomorrow", signer.chain(NAME, |it| it.not_before = date_time_ymd(2027, 1, 1)), signed(), wrong, "not yet valid"),
        (
            "an authority",
            signer.chain(NAME, |it| it.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
            signed(),
            wrong,
            "cannot be used",
        ),
        ("no certificate", "<html>".to_owned(), signed(), wrong, "There is no certificate"),
        ("too many", good.clone() + &signer.between.pem.repeat(10), signed(), wrong, "more than 10"),
    ];
    for (number, (name, chain, mut headers, reason, detail)) in cases.into_iter().enumerate() {
        signer.keep(chain);
        // Each at an address of its own: what was found right is kept.
        for (_, value) in &mut headers {
            *value = value.replace("CERT-1", &format!("CERT-1-{number}"));
        }
        let listener = listener(&shop, &signer, &asked).await;
        let reply = post(&app, &listener, &body, &headers).await;
        assert_eq!((reply.status, reply.text()), (200, String::new()), "{name}: the answer tells nothing");
        until_none_waits(&shop).await;
        let refused = until(name, || async {
            let refused = app.services.store.refused_by(listener.id).await.unwrap();
            (!refused.is_empty()).then_some(refused)
        })
        .await;
        assert_eq!((refused.len(), refused[0].reason), (1, reason), "{name}: {}", refused[0].detail);
        assert!(refused[0].detail.contains(detail), "{name}: {}", refused[0].detail);
        assert!(app.services.store.received_by(listener.id).await.unwrap().is_empty(), "{name}");
    }
    assert!(asked.visits().is_empty(), "PayPal is not asked about what it has not signed");
    assert!(elsewhere.visits().is_empty(), "nobody else is ever asked");
    // The same at the end of all this.
    signer.keep(good);
    let listener = listener(&shop, &signer, &asked).await;
    post(&app, &listener, &body, &signed()).await;
    until_none_waits(&shop).await;
    shop.order_named("CAPWH-1").await;
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_fetched_is_fetched_later() {
    let (clock, hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { clock: clock.clone(), names: Signer::names(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let (signer, asked) = (Signer::start().await, paypal().await);
    let chain = signer.chain(NAME, |_| {});
    let target = asked.address;
    signer.server.answer(move |visit| match visit.number {
        1 => Answer::status(503, "later"),
        2 => Answer::Page(302, vec![("Location", format!("http://{target}/elsewhere"))], Vec::new()),
        3 => Answer::text("x".repeat(70_000)),
        _ => Answer::text(chain.clone()),
    });
    let listener = listener(&shop, &signer, &asked).await;
    let body = event("WH-1");
    post(&app, &listener, &body, &signer.sign(body.as_bytes(), WEBHOOK)).await;
    for (number, note) in [(1, "503"), (2, "302"), (3, "more than can be read")] {
        let row = until("a try in vain", || async {
            waiting(&shop).await.into_iter().find(|row| row.asked == number && !row.note.is_empty() && row.next_at > clock.now())
        })
        .await;
        assert!(row.note.contains(note), "{}", row.note);
        assert!(asked.visits().is_empty(), "nobody follows where a redirect leads");
        hand.advance(Duration::from_secs(u64::try_from((row.next_at.0 - clock.now().0) / 1_000_000).unwrap() + 1));
    }
    until_none_waits(&shop).await;
    shop.order_named("CAPWH-1").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_kept_until_it_ends() {
    let (clock, hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { clock, names: Signer::names(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let (signer, asked) = (Signer::start().await, paypal().await);
    signer.keep(signer.chain(NAME, |it| it.not_after = date_time_ymd(2026, 4, 1)));
    let listener = listener(&shop, &signer, &asked).await;
    let send = async |id: &str| {
        let body = event(id);
        post(&app, &listener, &body, &signer.sign(body.as_bytes(), WEBHOOK)).await;
        until_none_waits(&shop).await;
    };
    send("WH-1").await;
    send("WH-2").await;
    assert_eq!(signer.server.visits().len(), 1);
    hand.advance(Duration::from_secs(40 * 86_400));
    send("WH-3").await;
    let refused = app.services.store.refused_by(listener.id).await.unwrap();
    assert!(refused.len() == 1 && refused[0].detail.contains("had ended"), "{refused:?}");
    assert_eq!(signer.server.visits().len(), 2, "looked for a newer one");
    signer.keep(signer.chain(NAME, |it| it.not_after = date_time_ymd(2026, 9, 1)));
    send("WH-4").await;
    shop.order_named("CAPWH-4").await;
    app.stop().await;
}
