//! Who may post to a listener: networks, trusted proxies, user name and password.

use crate::support::{
    app::{GATEWAY_KEY, PASSWORD, Setup, Shop, TestApp, listener_form},
    browser::Browser,
    gateway::{self, Reply},
    message::Message,
    program::Program,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use quittance::{
    domain::{RefusalReason, role::Role},
    server::{
        service::listeners::{ListenerForm, path},
        store::Listener,
    },
};
use std::sync::Arc;

async fn listener(shop: &Shop, options: &[(&str, &str)]) -> Arc<Listener> {
    shop.services.add_listener(&shop.merchant, &form(options), "test").await.unwrap()
}

fn form(options: &[(&str, &str)]) -> ListenerForm {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ListenerForm { options, ..listener_form() }
}

async fn post(app: &TestApp, listener: &Listener, reference: &str, headers: &[(&str, &str)]) -> Reply {
    let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    let mut request = Request::post(path(listener)).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway::send(app.address, request.body(Full::new(Bytes::from(body))).unwrap()).await
}

/// Why the last message was refused, and where it came from.
async fn refused(app: &TestApp, listener: &Listener) -> (RefusalReason, String, String) {
    let row = app.services.store.refused_by(listener.id).await.unwrap().remove(0);
    (row.reason, row.peer, row.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_allowed_are_refused_and_shown() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let closed = listener(&shop, &[("allow-from", "203.0.113.0/24 2001:db8::1")]).await;
    let forged = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7")];
    for headers in [&[][..], &forged] {
        let reply = post(&app, &closed, "1", headers).await;
        assert_eq!((reply.status, reply.text()), (403, "Refused.\n".to_owned()), "not which part was wrong");
        let (reason, peer, detail) = refused(&app, &closed).await;
        assert_eq!((reason, peer.as_str()), (RefusalReason::AddressNotAllowed, "127.0.0.1"));
        assert!(detail.contains("127.0.0.1"), "{detail}");
    }
    // Neither tells a wrong signature more.
    let unsigned = gateway::post(app.address, &path(&shop.listener), "REFNO=1&ORDERSTATUS=COMPLETE").await;
    assert_eq!((unsigned.status, unsigned.text()), (403, "Refused.\n".to_owned()));
    let open = listener(&shop, &[("allow-from", "127.0.0.0/8")]).await;
    assert_eq!(post(&app, &open, "1", &forged).await.status, 200);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_secrets_are_taken_until_the_previous_one_is_removed() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let rotated = listener(&shop, &[("previous-secret", "the one before")]).await;
    let status = async |secret: &str| {
        let body = Message::small("1", "COMPLETE", "20260301120009").body(secret, &["md5"]);
        gateway::post(app.address, &path(&rotated), body.as_str()).await.status
    };
    assert_eq!((status(GATEWAY_KEY).await, status("the one before").await, status("another").await), (200, 200, 403));
    // A form shows no secret, so an empty field leaves it as it is.
    shop.services.change_listener(&shop.merchant, rotated.id, &form(&[("previous-secret", "")]), "test").await.unwrap();
    assert_eq!(status("the one before").await, 200);
    let done = form(&[("previous-secret", ""), ("remove:previous-secret", "true")]);
    shop.services.change_listener(&shop.merchant, rotated.id, &done, "test").await.unwrap();
    assert_eq!((status("the one before").await, status(GATEWAY_KEY).await), (403, 200));
    let unknown = shop.services.change_listener(&shop.merchant, rotated.id, &form(&[("remove:colour", "true")]), "test").await;
    let told = format!("{:?}", unknown.unwrap_err());
    assert!(told.contains("colour") && !told.contains("remove:"), "what there is not is not removed: {told}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_and_test_orders_of_2checkout_can_be_kept_apart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for (mode, real, test) in [("live", 200, 403), ("test", 403, 200)] {
        let listener = listener(&shop, &[("mode", mode)]).await;
        for (flag, expected) in [("0", real), ("1", test)] {
            let mut message = Message::small(&format!("{mode}{flag}"), "COMPLETE", "20260301120009");
            message.set("TEST_ORDER", flag);
            let body = message.body(GATEWAY_KEY, &["md5"]);
            assert_eq!(gateway::post(app.address, &path(&listener), body.as_str()).await.status, expected, "{mode} {flag}");
        }
        assert_eq!(refused(&app, &listener).await.0, RefusalReason::WrongMode);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trusted_proxy_says_counts() {
    let app = TestApp::start_as(Setup { trusted_proxies: vec!["127.0.0.1/32", "10.0.0.0/8"], ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let listener = listener(&shop, &[("allow-from", "203.0.113.0/24")]).await;
    let status = async |headers: &[(&str, &str)]| post(&app, &listener, "1", headers).await.status;
    assert_eq!(status(&[]).await, 403, "the proxy itself is nobody that may post");
    assert_eq!(status(&[("x-forwarded-for", "203.0.113.7, 198.51.100.9")]).await, 403, "what the sender wrote is not believed");
    assert_eq!(refused(&app, &listener).await.1, "198.51.100.9");
    assert_eq!(status(&[("x-forwarded-for", "198.51.100.9, 203.0.113.7, 10.1.2.3")]).await, 200);
    assert_eq!(status(&[("forwarded", "for=203.0.113.7;proto=https")]).await, 200);
    assert_eq!(status(&[("forwarded", "for=203.0.113.7"), ("x-forwarded-for", "198.51.100.9")]).await, 403, "they do not agree");
    app.services.store.settled().await.unwrap();
    let received = app.services.store.received_by(listener.id).await.unwrap();
    let stored = app.services.store.notification(shop.merchant.id, received[0].id).await.unwrap().unwrap();
    assert_eq!(stored.view.peer, "203.0.113.7");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_behind_a_trusted_proxy_are_told_apart() {
    let app = TestApp::start_as(Setup { trusted_proxies: vec!["127.0.0.1/32"], ..Setup::default() }).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let at = |address: &str| {
        let headers = vec![("x-forwarded-for", address.to_owned())];
        Browser { headers, ..Browser::new(app.address) }
    };
    let mut guesser = at("198.51.100.9");
    let mut last = String::new();
    for number in 0..60 {
        guesser.form("/rpc/sign-in", &[("email", &format!("{number}@example.com")), ("password", "wrong wrong wrong")]).await;
        last = guesser.get("/sign-in").await.text();
    }
    assert!(last.contains("Too many"), "{last}");
    let mut admin = at("203.0.113.7");
    admin.sign_in("admin@example.com", PASSWORD).await;
    let log = admin.get("/audit?action=sign-in").await.text();
    assert!(log.contains("203.0.113.7") && !log.contains("127.0.0.1"), "{log}");
    assert!(admin.get("/account").await.text().contains("203.0.113.7"), "where he is signed in");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_and_a_password_can_be_asked_for() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let listener = listener(&shop, &[("basic-user", "ipn"), ("basic-password", "hush hush")]).await;
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let mut told = Vec::new();
    for wrong in [None, Some(basic("ipn:wrong")), Some(basic("wrong:hush hush")), Some("Bearer x".to_owned())] {
        let headers: Vec<_> = wrong.iter().map(|value| ("authorization", value.as_str())).collect();
        let reply = post(&app, &listener, "1", &headers).await;
        told.push((reply.status, reply.text(), reply.headers["www-authenticate"].clone()));
        let (reason, _, detail) = refused(&app, &listener).await;
        assert_eq!(reason, RefusalReason::WrongPassword);
        assert!(!detail.is_empty());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "all are told the same: {told:?}");
    assert_eq!(told[0].0, 401);
    let reply = post(&app, &listener, "1", &[("authorization", &basic("ipn:hush hush"))]).await;
    assert_eq!(reply.status, 200);
    app.services.store.settled().await.unwrap();
    let dump = app.dump().await;
    assert!(
        !dump.contains("hush hush") && !dump.contains(&STANDARD.encode("ipn:hush hush")),
        "sealed, and not kept with the head"
    );

    // The password stays when it is left empty, and goes with the name.
    let change = async |options: &[(&str, &str)]| {
        shop.services
            .change_listener(&shop.merchant, listener.id, &ListenerForm { secret: String::new(), ..form(options) }, "test")
            .await
    };
    change(&[("basic-user", "ipn"), ("basic-password", "")]).await.unwrap();
    assert_eq!(post(&app, &listener, "2", &[]).await.status, 401);
    change(&[("basic-user", ""), ("basic-password", "")]).await.unwrap();
    assert_eq!(post(&app, &listener, "2", &[]).await.status, 200);
    for (wrong, expected) in [
        (&[("basic-user", "a")][..], "password that goes with"),
        (&[("basic-user", ""), ("basic-password", "x")], "user name that goes with"),
        (&[("basic-user", "a:b"), ("basic-password", "x")], "colon"),
        (&[("allow-from", "shop.example.com")], "no network"),
    ] {
        let error = format!("{:?}", change(wrong).await.unwrap_err());
        assert!(error.contains(expected), "{wrong:?}: {error}");
    }
    app.stop().await;
}

#[test]
fn the_command_line_sets_who_may_post() {
    let program = Program::new();
    program.run(&["merchant", "add", "Shop"]).done();
    let add = ["listener", "add", "--merchant", "Shop", "--gateway", "2checkout", "--secret", GATEWAY_KEY];
    let with = |more: &[&str]| program.run(&[&add[..], more].concat());
    with(&["--allow-from", "127.0.0.1", "--allow-from", "2001:db8::/32", "--basic", "ipn:hush"]).done();
    let told = with(&["--allow-from", "localhost"]).failed(1);
    assert!(told.contains("localhost") && told.contains("203.0.113.0/24"), "{told}");
    assert!(with(&["--basic", "ipn"]).failed(2).contains("USER:PASSWORD"));
    assert!(program.run(&["serve", "--trusted-proxy", "proxy.example.com"]).failed(2).contains("--trusted-proxy"));
}
