//! From the gateway's side: what is acknowledged, what is refused, and that nothing is said that is not so.

use crate::support::{
    app::{GATEWAY_KEY, Shop, TestApp, listener_form},
    gateway::{self, Reply},
    merchant::receipt_source,
    message::{Message, mac},
};
use axum::{body::Body, extract::ConnectInfo, http::Request};
use bytes::Bytes;
use futures::stream;
use http_body_util::BodyExt as _;
use quittance::{
    domain::{
        Algorithm, Algorithms, Gateway, Money, OrderStatus, RefusalReason,
        id::{ListenerId, MerchantId, NotificationId, RefusalId},
        money::Currency,
        pages::listeners::RefusalRow,
    },
    server::{
        clock::Clock,
        gateway::{
            Gateways,
            simulate::{self, Wish},
        },
        listener::{self, Keeper},
        store::{Acceptance, Listener, NewNotification, NewRefusal, Secret, StoreError},
    },
};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tower::ServiceExt as _;

const ALGORITHMS: [&str; 3] = ["md5", "sha2", "sha3"];

/// The answer is the right receipt in the form of an algorithm, and no more.
fn assert_receipt(reply: &Reply, algorithm: &str, body: &str) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    let (open, close, bar) = match algorithm {
        "md5" => ("<EPAYMENT>", "</EPAYMENT>", "|"),
        "sha2" => ("<sig algo=\"sha256\" date=\"", "</sig>", "\">"),
        _ => ("<sig algo=\"sha3-256\" date=\"", "</sig>", "\">"),
    };
    let inner = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)).unwrap_or_else(|| panic!("{text}"));
    let (date, hash) = inner.split_once(bar).unwrap();
    assert!(date.len() == 14 && date.bytes().all(|byte| byte.is_ascii_digit()), "{date}");
    assert_eq!(hash, mac(algorithm, GATEWAY_KEY, receipt_source(body.as_bytes(), date)));
}

async fn refusals(shop: &Shop) -> Vec<RefusalRow> {
    shop.services.store.settled().await.unwrap();
    shop.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused
}

async fn stored(shop: &Shop) -> usize {
    shop.services.store.settled().await.unwrap();
    shop.services.store.received_by(shop.listener_id()).await.unwrap().len()
}

/// The message is turned away without anything like a receipt, is not stored, and is kept as a refusal.
async fn assert_refused(shop: &Shop, reply: &Reply, reason: RefusalReason) -> RefusalRow {
    assert_eq!(reply.status, reason.status(), "{}", reply.text());
    assert!(!reply.has_receipt(), "{}", reply.text());
    assert_eq!(stored(shop).await, 0);
    let refused = refusals(shop).await;
    assert_eq!(refused.iter().map(|refusal| refusal.reason).collect::<Vec<_>>(), [reason]);
    refused.into_iter().next().unwrap()
}

fn small() -> Message {
    Message::small("1000037", "COMPLETE", "20050303123434")
}

#[tokio::test]
async fn each_signature_is_acknowledged_in_its_own_form() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for algorithm in ALGORITHMS {
        let body = Message::full(&format!("1-{algorithm}"), "COMPLETE").body(GATEWAY_KEY, &[algorithm]);
        assert_receipt(&shop.post_body(body.clone()).await, algorithm, &body);
    }
    assert_eq!(stored(&shop).await, 3);
}

#[tokio::test]
async fn of_several_signatures_the_strongest_is_acknowledged() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for (reference, algorithms, strongest) in
        [("1", &ALGORITHMS[..], "sha3"), ("2", &["sha2", "md5"], "sha2"), ("3", &["sha3", "md5"], "sha3")]
    {
        let body = Message::full(reference, "COMPLETE").body(GATEWAY_KEY, algorithms);
        assert_receipt(&shop.post_body(body.clone()).await, strongest, &body);
    }
}

#[tokio::test]
async fn the_same_message_again_is_acknowledged_again_and_stored_once() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let body = Message::full("1001", "COMPLETE").body(GATEWAY_KEY, &["sha3"]);
    for _ in 0..3 {
        assert_receipt(&shop.post_body(body.clone()).await, "sha3", &body);
    }
    let order = shop.order_named("1001").await;
    let notifications = shop.services.store.notifications_of(order).await.unwrap();
    assert_eq!((notifications.len(), notifications[0].repeats), (1, 2));
    app.assert_healthy().await;
}

#[tokio::test]
async fn the_same_message_many_times_at_once_is_stored_once() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let body = Message::full("1001", "COMPLETE").body(GATEWAY_KEY, &["md5"]);
    for reply in futures::future::join_all((0..20).map(|_| shop.post_body(body.clone()))).await {
        assert_receipt(&reply, "md5", &body);
    }
    assert_eq!(stored(&shop).await, 1);
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let reply = shop.post_body(small().body("another key", &["sha2"])).await;
    let refusal = assert_refused(&shop, &reply, RefusalReason::WrongSignature).await;
    assert!(refusal.detail.contains("SIGNATURE_SHA2_256"), "{}", refusal.detail);
    assert!(!reply.text().contains("SHA2"), "the sender is not told which part was wrong: {}", reply.text());
    let page = shop.services.refusal_page(&shop.merchant, refusal.id).await.unwrap();
    assert!(page.head.starts_with("POST /ipn/") && page.body.starts_with("REFNO=1000037&"), "{}", page.head);
}

#[tokio::test]
async fn a_right_and_a_wrong_signature_together_are_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let right = small().body(GATEWAY_KEY, &["md5"]);
    let wrong = small().body("another key", &["sha3"]);
    let body = format!("{right}&{}", wrong.split('&').next_back().unwrap());
    assert_refused(&shop, &shop.post_body(body).await, RefusalReason::WrongSignature).await;
}

#[tokio::test]
async fn a_changed_value_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let body = small().body(GATEWAY_KEY, &["md5"]).replace("IPN_TOTALGENERAL=0.01", "IPN_TOTALGENERAL=9.01");
    assert_refused(&shop, &shop.post_body(body).await, RefusalReason::WrongSignature).await;
}

#[tokio::test]
async fn a_message_without_a_signature_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    assert_refused(&shop, &shop.post_signed(&small(), &[]).await, RefusalReason::NoSignature).await;
}

#[tokio::test]
async fn a_signature_that_the_listener_does_not_require_is_not_enough() {
    let app = TestApp::start().await;
    let mut shop = app.shop("Shop").await;
    let mut form = listener_form();
    form.required = Algorithms::NONE.with(Algorithm::Sha3);
    shop.listener = app.services.add_listener(&shop.merchant, &form, "test").await.unwrap();
    let reply = shop.post_signed(&small(), &["md5", "sha2"]).await;
    let refusal = assert_refused(&shop, &reply, RefusalReason::RequiredSignatureMissing).await;
    assert!(refusal.detail.contains("requires SHA3"), "{}", refusal.detail);
    let body = small().body(GATEWAY_KEY, &["md5", "sha3"]);
    assert_receipt(&shop.post_body(body.clone()).await, "sha3", &body);
}

#[tokio::test]
async fn a_message_that_names_no_order_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut message = small();
    message.set("REFNO", "");
    assert_refused(&shop, &shop.post_signed(&message, &["md5"]).await, RefusalReason::FieldMissing).await;
}

#[tokio::test]
async fn an_empty_body_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    assert_refused(&shop, &shop.post_body("").await, RefusalReason::Malformed).await;
}

#[tokio::test]
async fn an_address_of_no_listener_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let body = small().body(GATEWAY_KEY, &["md5"]);
    for path in ["/ipn/nobody", "/ipn/nobody?x=1"] {
        let reply = gateway::post(app.address, path, body.clone()).await;
        assert_eq!((reply.status, reply.has_receipt()), (404, false));
    }
    assert_eq!(gateway::get(app.address, "/ipn/nobody").await.status, 404);
    assert_eq!(stored(&shop).await, 0);
}

#[tokio::test]
async fn a_listener_that_is_switched_off_refuses() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut form = listener_form();
    form.enabled = false;
    app.services.change_listener(&shop.merchant, shop.listener_id(), &form, "test").await.unwrap();
    assert_refused(&shop, &shop.post_signed(&small(), &["md5"]).await, RefusalReason::ListenerOff).await;
    assert_eq!(gateway::get(app.address, &shop.path()).await.status, 403);
}

#[tokio::test]
async fn a_probe_with_get_is_answered_with_200_and_stores_nothing() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let reply = gateway::get(app.address, &shop.path()).await;
    assert_eq!((reply.status, reply.has_receipt()), (200, false));
    assert!(refusals(&shop).await.is_empty());
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for method in ["PUT", "DELETE", "PATCH"] {
        let request = Request::builder().method(method).uri(shop.path()).body(Default::default()).unwrap();
        assert_eq!(gateway::send(app.address, request).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_body_of_256_kib_is_the_largest_that_is_taken() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut message = small();
    let room = listener::MAX_BODY - message.body(GATEWAY_KEY, &["md5"]).len() - "&IPN_INFO%5B%5D=".len();
    message.set("IPN_INFO[]", &"x".repeat(room));
    let body = message.body(GATEWAY_KEY, &["md5"]);
    assert_eq!(body.len(), listener::MAX_BODY);
    assert_receipt(&shop.post_body(body.clone()).await, "md5", &body);
    let shop = app.shop("Second").await;
    let reply = shop.post_body(format!("{body}x")).await;
    let refusal = assert_refused(&shop, &reply, RefusalReason::TooLarge).await;
    assert_eq!(refusal.size, listener::MAX_BODY as u64 + 1);
}

#[tokio::test]
async fn a_body_that_grows_too_large_while_it_comes_is_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", shop.path());
    let answer = gateway::raw(app.address, format!("{head}{}1\r\nx\r\n", chunk.repeat(4)).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let refused = refusals(&shop).await;
    assert_eq!(refused[0].reason, RefusalReason::TooLarge);
}

#[tokio::test]
async fn more_than_5000_fields_are_refused() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut message = small();
    message.fields.extend((0..5_000).map(|_| ("A[]".to_owned(), String::new())));
    assert_refused(&shop, &shop.post_signed(&message, &["md5"]).await, RefusalReason::TooManyFields).await;
}

#[tokio::test]
async fn a_sender_that_goes_away_in_the_middle_leaves_nothing() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nREFNO=1", shop.path());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    assert_eq!((stored(&shop).await, refusals(&shop).await.len()), (0, 0));
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for (reference, header) in [("1", ""), ("2", "Content-Type: text/plain\r\n")] {
        let body = Message::small(reference, "COMPLETE", "20050303123434").body(GATEWAY_KEY, &["md5"]);
        let head = format!("POST {} HTTP/1.1\r\nHost: a\r\n{header}Content-Length: {}\r\n", shop.path(), body.len());
        let answer = gateway::raw(app.address, format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await;
        assert!(answer.contains("<EPAYMENT>"), "{answer}");
    }
    assert_eq!(stored(&shop).await, 2);
}

#[tokio::test]
async fn values_are_taken_byte_for_byte() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut message = small();
    for (name, value) in [
        ("FIRSTNAME", "R. Álvaro 漢字 🎈"),
        ("TIMEZONE_OFFSET", "GMT+03:00"),
        ("EMPTY", ""),
        ("ADDRESS1", " a+b&c=d%20\\'\"<b> "),
        ("LINES", "a\r\nb\0c"),
    ] {
        message.set(name, value);
    }
    message.fields.extend(["1", "", "", "3"].map(|value| ("IPN_SKU[]".to_owned(), value.to_owned())));
    let body = message.body(GATEWAY_KEY, &["sha3"]);
    assert!(body.contains("IPN_PID%5B%5D=1"), "names come percent-encoded: {body}");
    assert_receipt(&shop.post_body(body.clone()).await, "sha3", &body);
    // Brackets unencoded and spaces as %20 are the same message to a signature.
    message.set("REFNO", "2");
    let body = message.body(GATEWAY_KEY, &["sha3"]).replace("%5B%5D", "[]").replace('+', "%20");
    assert_receipt(&shop.post_body(body.clone()).await, "sha3", &body);
    let order = shop.order_named("2").await;
    let page = shop.services.story(&shop.merchant, order, Default::default(), true).await.unwrap();
    assert_eq!(page.order.customer, "R. Álvaro 漢字 🎈");
    let notifications = shop.services.store.notifications_of(order).await.unwrap();
    let notification = shop.services.notification_page(&shop.merchant, notifications[0].id, true).await.unwrap();
    assert_eq!(notification.body, body, "kept as it came");
}

#[tokio::test]
async fn upper_case_signatures_are_right_too() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let body = small().body(GATEWAY_KEY, &["md5"]);
    let (rest, signature) = body.rsplit_once("&HASH=").unwrap();
    let reply = shop.post_body(format!("{rest}&HASH={}", signature.to_uppercase())).await;
    assert_receipt(&reply, "md5", &body);
}

#[tokio::test]
async fn a_flood_of_wrong_messages_is_mostly_not_kept_and_harms_no_right_one() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let wrong = small().body("another key", &["md5"]);
    for reply in futures::future::join_all((0..60).map(|_| shop.post_body(wrong.clone()))).await {
        assert_eq!(reply.status, 403);
    }
    assert_eq!(refusals(&shop).await.len(), 20);
    hand.advance(Duration::from_secs(1));
    shop.post_body(wrong).await;
    let refused = refusals(&shop).await;
    assert_eq!((refused.len(), refused[0].suppressed), (21, 40), "the next one tells how many were not kept");
    let body = small().body(GATEWAY_KEY, &["md5"]);
    assert_receipt(&shop.post_body(body.clone()).await, "md5", &body);
}

#[tokio::test]
async fn secrets_of_the_request_are_not_kept() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let request = Request::post(shop.path()).header("authorization", "Bearer hush").header("cookie", "a=hush");
    let body = Bytes::from(small().body(GATEWAY_KEY, &["md5"])).into();
    assert_eq!(gateway::send(app.address, request.body(body).unwrap()).await.status, 200);
    let order = shop.order_named("1000037").await;
    let notifications = shop.services.store.notifications_of(order).await.unwrap();
    let head = shop.services.notification_page(&shop.merchant, notifications[0].id, true).await.unwrap().head;
    assert!(head.contains("authorization: (not kept)") && !head.contains("hush"), "{head}");
}

/// A keeper without a disk: it can fail, and it remembers what it was given.
#[derive(Clone)]
struct FakeKeeper {
    gateway: Gateway,
    secret: String,
    fails: bool,
    accepted: Arc<Mutex<usize>>,
    refused: Arc<Mutex<Vec<NewRefusal>>>,
}

impl Default for FakeKeeper {
    fn default() -> Self {
        let (gateway, secret) = (Gateway::TwoCheckout, GATEWAY_KEY.to_owned());
        Self { gateway, secret, fails: false, accepted: Arc::default(), refused: Arc::default() }
    }
}

impl Keeper for FakeKeeper {
    fn listener(&self, key: &str) -> Option<Arc<Listener>> {
        (key == "key").then(|| {
            Arc::new(Listener {
                id: ListenerId(1),
                merchant_id: MerchantId(1),
                gateway: self.gateway,
                label: "Shop".to_owned(),
                path_key: key.to_owned(),
                secret: Secret::new(self.secret.as_str()),
                options: Default::default(),
                required: Algorithms::ALL,
                enabled: true,
                version: 1,
            })
        })
    }

    async fn accept(&self, _: NewNotification) -> Result<Acceptance, StoreError> {
        *self.accepted.lock().unwrap() += 1;
        if self.fails {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        Ok(Acceptance { notification_id: NotificationId(1), repeated: false })
    }

    async fn refuse(&self, new: NewRefusal) -> Result<RefusalId, StoreError> {
        self.refused.lock().unwrap().push(new);
        Ok(RefusalId(1))
    }
}

async fn ask(keeper: &FakeKeeper, body: Body) -> Reply {
    send(keeper, Request::post("/ipn/key").body(body).unwrap()).await
}

async fn send(keeper: &FakeKeeper, mut request: Request<Body>) -> Reply {
    let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = listener::router(keeper.clone(), Clock::system()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Reply { status: head.status.as_u16(), headers: head.headers, body: body.collect().await.unwrap().to_bytes().to_vec() }
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_acknowledged() {
    let keeper = FakeKeeper { fails: true, ..FakeKeeper::default() };
    let reply = ask(&keeper, small().body(GATEWAY_KEY, &ALGORITHMS).into()).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "30"));
    assert!(!reply.has_receipt(), "{}", reply.text());
    assert_eq!(*keeper.accepted.lock().unwrap(), 1);
    assert!(keeper.refused.lock().unwrap().is_empty(), "nothing was wrong with the message");
}

/// VNPAY and ZaloPay take a status of HTTP for nothing: that it must come again stands in the body.
#[tokio::test]
async fn what_cannot_be_stored_is_asked_for_again_in_the_words_of_the_gateway() {
    for (name, again) in [
        ("vnpay", r#"{"RspCode":"99","Message":"Unknown error"}"#),
        ("zalopay", r#"{"return_code":0,"return_message":"try again"}"#),
    ] {
        let gateways = Gateways::shared();
        let preset = gateways.get(name.parse().unwrap()).unwrap();
        let secret = simulate::trial_secret(preset);
        let wish = Wish {
            status: OrderStatus::Paid,
            reference: "100200300",
            amount: Money { minor: 50_000, currency: Currency::parse("VND").unwrap() },
            email: "buyer@example.com",
            address: "",
            now: Clock::system().now(),
            number: 1,
            test: false,
            fault: None,
        };
        let posted = simulate::sign(preset, secret.as_bytes(), &Default::default(), &wish).unwrap();
        let send_to = async |fails| {
            let keeper = FakeKeeper { gateway: preset.id, secret: secret.clone(), fails, ..FakeKeeper::default() };
            let address = format!("/ipn/key?{}", posted.query);
            let mut request =
                Request::builder().method(posted.method.clone()).uri(address).body(posted.body.clone().into()).unwrap();
            *request.headers_mut() = posted.headers.clone();
            let reply = send(&keeper, request).await;
            assert_eq!(*keeper.accepted.lock().unwrap(), 1, "{name}");
            assert!(keeper.refused.lock().unwrap().is_empty(), "{name}: nothing was wrong with the message");
            (reply.status, reply.text())
        };
        assert_eq!(send_to(true).await, (200, again.to_owned()), "{name}");
        let stored = preset.answers.stored.as_ref().unwrap();
        assert_eq!(send_to(false).await, (200, stored.body.clone()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_refused() {
    let keeper = FakeKeeper::default();
    let drops = stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>("A=1&"), count + 1))
    });
    let reply = ask(&keeper, Body::from_stream(drops)).await;
    assert_eq!((reply.status, reply.has_receipt()), (408, false));
    let refused = keeper.refused.lock().unwrap();
    assert_eq!((refused.len(), refused[0].reason), (1, RefusalReason::TooSlow));
    assert!(refused[0].body.starts_with(b"A=1&") && refused[0].peer == "192.0.2.7", "what had come is kept");
}

#[tokio::test]
async fn a_body_in_many_pieces_is_put_together() {
    let keeper = FakeKeeper::default();
    let body = Message::full("1", "COMPLETE").body(GATEWAY_KEY, &["sha3"]);
    let pieces: Vec<_> = body.as_bytes().chunks(7).map(|piece| Ok::<_, Infallible>(piece.to_vec())).collect();
    assert_receipt(&ask(&keeper, Body::from_stream(stream::iter(pieces))).await, "sha3", &body);
}
