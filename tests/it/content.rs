//! What leaves and what is told, over real HTTP: triggers, response tags, the change of a key, own headers, time-outs, TEST
//! messages to one URL, the box for developers, alerts.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Setup, Shop, TestApp, short_limits},
    browser::Browser,
    merchant::{Answer, FakeMerchant, Visit, receipt},
    message::{Message, mac, prefixed},
    until,
};
use quittance::{
    domain::{
        Algorithm, Algorithms, Cause, DeliveryState, Role,
        id::UrlId,
        pages::settings::{AlertKind, HIDDEN},
    },
    server::service::urls::UrlForm,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn owner(app: &TestApp, shop: &Shop) -> Browser {
    app.user("owner@example.com", Role::Merchant, &[shop]).await;
    Browser::signed_in(app.address, "owner@example.com").await
}

/// The merchant as the settings have it now.
fn current(shop: &Shop) -> Arc<quittance::server::store::Merchant> {
    shop.services.store.settings().merchant(shop.merchant.id).unwrap().clone()
}

fn message(reference: &str, status: &str) -> Message {
    Message::small(reference, status, "20260301120009")
}

/// A script that checks signatures and has one key, which can be changed.
async fn strict(key: &str) -> (FakeMerchant, Arc<Mutex<String>>) {
    let key = Arc::new(Mutex::new(key.to_owned()));
    let shared = key.clone();
    let merchant = FakeMerchant::start(move |visit: &Visit| {
        let key = shared.lock().unwrap().clone();
        let fields = visit.fields();
        let source: String = fields.iter().filter(|(name, _)| name != "HASH").map(|(_, value)| prefixed(value)).collect();
        match visit.field("HASH") == mac("md5", &key, &source) {
            true => Answer::text(receipt("md5", &key, &visit.body)),
            false => Answer::status(400, "The signature is wrong."),
        }
    })
    .await;
    (merchant, key)
}

#[tokio::test]
async fn only_what_a_trigger_names_is_sent() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let (all, own) = (shop.url(&merchant.url()).await, {
        let triggers = Some("PENDING".parse().unwrap());
        shop.url_as(&format!("{}?own", merchant.url()), |draft| draft.terms.triggers = triggers).await
    });
    let mut browser = owner(&app, &shop).await;
    let fields = [("merchant", "shop"), ("triggers[]", "COMPLETE"), ("triggers[]", "REFUND"), ("only", "false")];
    let reply = browser.form("/rpc/settings/content", &fields).await;
    assert_eq!(reply.header("location"), "/m/shop/settings/content");
    assert_eq!(current(&shop).triggers.to_string(), "COMPLETE,REFUND");

    let complete = shop.accepted(&message("1", "COMPLETE")).await;
    let pending = shop.accepted(&message("2", "PENDING")).await;
    let neither = shop.accepted(&message("3", "INVALID")).await;
    shop.wait_for_state(complete, all, DeliveryState::Confirmed).await;
    shop.wait_for_state(pending, own, DeliveryState::Confirmed).await;
    assert_eq!(shop.deliveries(complete).await.len(), 1);
    assert_eq!(shop.deliveries(pending).await.len(), 1);
    assert!(shop.deliveries(neither).await.is_empty());
    let page = browser.get(&format!("/m/shop/orders/{neither}")).await.text();
    assert!(page.contains("No delivery was made") && page.contains("whose triggers take <bdi>INVALID</bdi>"), "{page}");
    // A person may send it all the same.
    shop.resend(neither, Some(all), quittance::domain::attempt::Origin::Resend, "key").await;
    shop.wait_for_state(neither, all, DeliveryState::Confirmed).await;
    app.assert_healthy().await;

    let reply = browser.form("/rpc/settings/content", &[("merchant", "shop"), ("only", "false")]).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(page.contains("Choose at least one status"), "{page}");
    assert_eq!(current(&shop).triggers.to_string(), "COMPLETE,REFUND", "nothing was saved");
}

#[tokio::test]
async fn only_chosen_fields_leave_and_the_signature_is_over_them() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |draft| draft.algorithms = Algorithms::ALL).await;
    let mut browser = owner(&app, &shop).await;
    let fields = [
        ("merchant", "shop"),
        ("triggers[]", "COMPLETE"),
        ("only", "true"),
        ("tags[]", "CURRENCY"),
        ("tags[]", "IPN_QTY"),
        ("other_tags", "MY_FIELD"),
    ];
    browser.form("/rpc/settings/content", &fields).await;
    let mut sent = Message::full("1", "COMPLETE");
    sent.fields.insert(3, ("MY_FIELD".to_owned(), "mine".to_owned()));
    let order = shop.accepted(&sent).await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visit = &merchant.visits()[0];
    let names: Vec<_> = visit.fields().into_iter().map(|(name, _)| name).collect();
    let expected = [
        "MY_FIELD",
        "REFNO",
        "ORDERSTATUS",
        "CURRENCY",
        "IPN_PID[]",
        "IPN_PID[]",
        "IPN_PNAME[]",
        "IPN_PNAME[]",
        "IPN_QTY[]",
        "IPN_QTY[]",
        "TEST_ORDER",
        "IPN_DATE",
        "HASH",
        "SIGNATURE_SHA2_256",
        "SIGNATURE_SHA3_256",
    ];
    assert_eq!(names.iter().filter(|name| *name != "MY_FIELD").collect::<Vec<_>>(), expected[1..].iter().collect::<Vec<_>>());
    assert!(names.contains(&"MY_FIELD".to_owned()));
    assert_eq!(visit.signatures(MERCHANT_KEY), ["md5", "sha2", "sha3"], "over what arrived");
    let page = browser.get("/m/shop/settings/content").await.text();
    assert!(page.contains("Always sent") && page.contains("MY_FIELD"), "{page}");
    let reply =
        browser.form("/rpc/settings/content", &[("merchant", "shop"), ("triggers[]", "COMPLETE"), ("other_tags", "a=b")]).await;
    assert!(browser.get(reply.header("location")).await.text().contains("is no name of a field"));
}

#[tokio::test]
async fn a_key_is_changed_while_scripts_follow_one_by_one() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let (merchant, key) = strict(MERCHANT_KEY).await;
    let url = shop.url(&merchant.url()).await;
    app.services.change_key(&shop.merchant, Some("the-new-key"), "86400", "test").await.unwrap();
    assert_eq!(current(&shop).secret_key.reveal(), b"the-new-key");

    // The script does not know of it yet.
    let first = shop.order("1").await;
    let attempt = shop.first_attempt(first, url).await;
    assert_eq!(attempt.attempt.cause, None, "{}", attempt.detail.note);
    assert!(attempt.detail.note.contains("made with the old key, which is still valid"), "{}", attempt.detail.note);

    // Now it gets the new key: what is signed with the old one it refuses, and the next try takes the new one.
    *key.lock().unwrap() = "the-new-key".to_owned();
    let second = shop.order("2").await;
    let attempt = shop.first_attempt(second, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::ClientError));
    assert!(attempt.detail.note.contains("the next message is signed with the new key"), "{}", attempt.detail.note);
    hand.advance(Duration::from_secs(150));
    shop.wait_for_state(second, url, DeliveryState::Confirmed).await;
    let delivery = shop.wait_for_attempts(second, url, 2).await;
    assert!(shop.attempt(delivery.id, 2).await.detail.note.contains("made with the new key"));
    until("the URL to be known to have the new key", || async { app.services.store.settings().url(url).unwrap().new_key_at })
        .await;
    let third = shop.order("3").await;
    assert_eq!(shop.first_attempt(third, url).await.attempt.cause, None, "from now on at the first try");

    let mut browser = owner(&app, &shop).await;
    let page = browser.get("/m/shop/settings/key").await.text();
    assert!(page.contains("Two keys are valid: the old one ends in 23 h 57 min") && page.contains("New key"), "{page}");
    browser.form("/rpc/settings/key/end", &[("merchant", "shop")]).await;
    assert!(!browser.get("/m/shop/settings/key").await.text().contains("Two keys are valid"));
    // A script that is left behind is told so.
    *key.lock().unwrap() = MERCHANT_KEY.to_owned();
    merchant.answer(|visit| Answer::text(receipt("md5", MERCHANT_KEY, &visit.body)));
    let fourth = shop.order("4").await;
    let attempt = shop.first_attempt(fourth, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::WrongKey));
    assert!(attempt.detail.note.contains("your secret key before the last change"), "{}", attempt.detail.note);
    let audit = app.dump().await;
    for action in ["merchant.secret-key", "merchant.old-key-end", "url.new-key"] {
        assert!(audit.contains(&format!("Text(\"{action}\")")), "{action}");
    }
    assert!(!audit.contains("the-new-key"));
}

#[tokio::test]
async fn an_old_key_ends_by_itself() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    app.services.change_key(&shop.merchant, None, "3600", "test").await.unwrap();
    let first = shop.order("1").await;
    shop.wait_for_state(first, url, DeliveryState::Confirmed).await;
    hand.advance(HOUR);
    let second = shop.order("2").await;
    assert_eq!(shop.first_attempt(second, url).await.attempt.cause, Some(Cause::WrongKey));
    assert!(app.services.change_key(&current(&shop), Some("x"), "17", "test").await.is_err(), "only times of the list");
}

#[tokio::test]
async fn a_key_is_seen_again_only_with_a_line_in_the_audit_log() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut browser = owner(&app, &shop).await;
    assert!(!browser.get("/m/shop/settings/key").await.text().contains(MERCHANT_KEY));
    let reply = browser.form("/rpc/settings/key/reveal", &[("merchant", "shop")]).await;
    assert!(browser.get(reply.header("location")).await.text().contains(MERCHANT_KEY));
    assert!(!browser.get("/m/shop/settings/key").await.text().contains(MERCHANT_KEY), "this once");
    let lines = app.dump().await;
    assert!(lines.contains("merchant.secret-key-shown") && lines.contains("owner@example.com"));
}

/// The form of a URL with what every test leaves as it is.
fn url_fields<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("merchant", "shop"), ("label", "Script"), ("url", url), ("md5", "true")];
    fields.extend_from_slice(more);
    fields
}

#[tokio::test]
async fn own_headers_are_sent_and_their_secrets_are_kept_nowhere() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let mut browser = owner(&app, &shop).await;
    let headers = "Authorization: Bearer hush-hush\r\nX-Shop: seven\r\nUser-Agent: shop/1";
    let address = merchant.url();
    let reply = browser.form("/rpc/urls/save", &url_fields(&address, &[("headers", headers)])).await;
    assert_eq!(reply.header("location"), "/m/shop/settings/urls", "{}", reply.text());
    let url = app.services.store.settings().urls_of(shop.merchant.id)[0].id;
    assert_eq!(merchant.visits()[0].headers["authorization"], "Bearer hush-hush", "the check carries them, too");
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let visit = &merchant.wait_for(2).await[1];
    let header = |name: &str| visit.headers[name].clone();
    assert_eq!(
        (header("authorization"), header("x-shop"), header("user-agent")),
        ("Bearer hush-hush".into(), "seven".into(), "shop/1".into())
    );
    let attempt = shop.first_attempt(order, url).await;
    assert!(attempt.request_head.contains("Authorization: (not kept)") && attempt.request_head.contains("X-Shop: seven"));
    let page = browser.get(&format!("/m/shop/settings/urls/{url}")).await.text();
    assert!(page.contains(&format!("Authorization: {HIDDEN}")) && page.contains("X-Shop: seven") && !page.contains("hush-hush"));
    assert!(!app.dump().await.contains("hush-hush"));

    // Sent back hidden it stays; a mistake elsewhere gives the typed secret back to nobody.
    let id = url.to_string();
    let again = format!("Authorization: {HIDDEN}\nX-Shop: eight");
    browser.form("/rpc/urls/save", &url_fields(&address, &[("id", &id), ("headers", &again)])).await;
    let order = shop.order("2").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let last = merchant.visits().pop().unwrap();
    assert_eq!((last.headers["authorization"].as_str(), last.headers["x-shop"].as_str()), ("Bearer hush-hush", "eight"));
    let wrong = url_fields("ftp://x", &[("id", &id), ("headers", "X-Api-Key: typed-secret\nHost: x")]);
    let reply = browser.form("/rpc/urls/save", &wrong).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(
        page.contains("Host is set by the delivery itself") && page.contains("X-Api-Key:") && !page.contains("typed-secret"),
        "{page}"
    );
}

#[tokio::test]
async fn a_url_has_as_long_to_answer_as_it_is_given() {
    let app = TestApp::start_as(Setup { limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let slow =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(2_500), Box::new(Answer::receipt("md5", visit)))).await;
    let patient = shop.url_as(&slow.url(), |draft| draft.terms.timeout = Some(30)).await;
    let usual = shop.url_as(&format!("{}?usual", slow.url()), |draft| draft.concurrent = true).await;
    let order = shop.order("1").await;
    assert_eq!(shop.first_attempt(order, usual).await.attempt.cause, Some(Cause::NoAnswer));
    shop.wait_for_state(order, patient, DeliveryState::Confirmed).await;
}

#[tokio::test]
async fn urls_that_nobody_named_are_told_apart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let add = |url: &'static str| {
        let form = UrlForm { url: url.to_owned(), algorithms: Algorithms::MD5, ..UrlForm::default() };
        let (draft, _) = shop.services.url_draft(&shop.merchant, None, &form).unwrap();
        let name = draft.label.clone();
        let services = shop.services.clone();
        async move { (services.save_url(None, draft, "test").await.unwrap(), name) }
    };
    let (first, name) = add("https://shop.example.com/ipn?key=hidden").await;
    assert_eq!(name, "shop.example.com");
    assert_eq!(add("https://shop.example.com:8443/").await.1, "shop.example.com:8443");
    assert_eq!(add("https://shop.example.com/books?key=hidden").await.1, "shop.example.com/books");
    assert_eq!(add("https://shop.example.com/books/?key=other").await.1, "2: shop.example.com");
    assert_eq!(add("https://shop.example.com/books/?key=third").await.1, "3: shop.example.com");
    // Saved again it keeps its name.
    let form = UrlForm { url: "https://shop.example.com/ipn".to_owned(), algorithms: Algorithms::MD5, ..UrlForm::default() };
    let long = UrlForm {
        url: format!("https://{}.example.com/ipn", "a".repeat(100).replace("aaaaaaaaaa", "aaaaaaaaa.")),
        ..form.clone()
    };
    let label = shop.services.url_draft(&shop.merchant, None, &long).unwrap().0.label;
    assert!(label.starts_with("aaaaaaaaa.") && label.chars().count() <= 80, "{label}");
    assert_eq!(shop.services.url_draft(&shop.merchant, Some(first), &form).unwrap().0.label, "shop.example.com");
}

#[tokio::test]
async fn the_same_address_twice_is_asked_once() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let mut browser = owner(&app, &shop).await;
    let address = merchant.url();
    let known = || app.services.store.settings().urls_of(shop.merchant.id).len();
    browser.form("/rpc/urls/save", &url_fields(&address, &[])).await;
    let reply =
        browser.form("/rpc/urls/save", &url_fields(&address, &[("triggers[]", "COMPLETE"), ("own_triggers", "true")])).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(page.contains("this address is there already") && page.contains("It is the address of Script"), "{page}");
    assert_eq!(known(), 1);
    let reply = browser.form("/rpc/urls/save", &url_fields(&address, &[("anyway", "true")])).await;
    assert_eq!((reply.header("location"), known()), ("/m/shop/settings/urls", 2));
    // Saving the URL itself again is no reason to ask.
    let id = app.services.store.settings().urls_of(shop.merchant.id)[0].id;
    let one = shop.url("https://one.example.com/").await;
    app.services.remove_url(&shop.merchant, id, "test").await.unwrap();
    let id = app.services.store.settings().urls_of(shop.merchant.id).iter().find(|url| url.id != one).unwrap().id.to_string();
    let reply = browser.form("/rpc/urls/save", &url_fields(&address, &[("id", &id)])).await;
    assert_eq!(reply.header("location"), "/m/shop/settings/urls");
}

#[tokio::test]
async fn a_url_is_checked_again_and_the_result_explained() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(404, "")).await;
    let url = shop.url(&merchant.url()).await.to_string();
    let mut browser = owner(&app, &shop).await;
    browser.form("/rpc/urls/check", &[("merchant", "shop"), ("id", &url)]).await;
    let page = browser.get("/m/shop/settings/urls").await.text();
    assert!(page.contains("Check the path in the URL") && page.contains("Page not found"), "{page}");
    merchant.answer(|visit| Answer::receipt("md5", visit));
    browser.form("/rpc/urls/check", &[("merchant", "shop"), ("id", &url)]).await;
    assert!(browser.get("/m/shop/settings/urls").await.text().contains("Check: answered, "));
}

fn order_fields<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("merchant", "shop"),
        ("status", "COMPLETE"),
        ("product", "Täst “one”"),
        ("amount", "10.00"),
        ("currency", "EUR"),
        ("more_products", "Second; 5.50; 2\r\n"),
        ("first_name", "Ána"),
        ("last_name", "Nguyễn"),
        ("email", "a@example.com"),
    ];
    fields.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    fields.extend_from_slice(more);
    fields
}

#[tokio::test]
async fn a_test_message_goes_to_one_url_alone_and_the_exchange_is_shown() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let (one, other) = (FakeMerchant::start(|_| Answer::text("OK")).await, FakeMerchant::confirming().await);
    let url = shop.url_as(&one.url(), |draft| draft.held = true).await;
    shop.url(&other.url()).await;
    let mut browser = owner(&app, &shop).await;
    let to = format!("url-{url}");
    let reply = browser.form("/rpc/orders/test", &order_fields(&[("to", &to)])).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(page.contains("It went to this URL alone"), "{page}");
    assert!(page.contains(Cause::PlainText.sentence()) && page.contains("Request") && page.contains("Answer"), "{page}");
    assert!(page.contains("/kit") && page.contains("Try answers to this message"), "{page}");
    let visit = &one.visits()[0];
    assert_eq!(visit.signatures(MERCHANT_KEY), ["md5"]);
    let names: Vec<_> = visit.fields().into_iter().filter(|(name, _)| name == "IPN_PNAME[]").map(|(_, value)| value).collect();
    assert_eq!(names, ["Täst “one”", "Second"]);
    assert_eq!((visit.field("TEST_ORDER"), visit.field("IPN_TOTALGENERAL")), ("1".to_owned(), "21.00".to_owned()));
    assert!(other.visits().is_empty());
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_test_message_comes_in_through_a_listener_as_the_gateway_would_post_it() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let mut browser = owner(&app, &shop).await;
    let to = format!("listener-{}", shop.listener_id());
    let reply = browser.form("/rpc/orders/test", &order_fields(&[("to", &to), ("reference", "SIM-1")])).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(page.contains("The listener took it, and answered the gateway: &lt;sig algo=\"sha3-256\""), "{page}");
    let order = shop.order_named("SIM-1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let stored = app.services.store.notifications_of(order).await.unwrap();
    assert_eq!(stored[0].signatures, Algorithms::ALL);
    assert_eq!(stored[0].listener.as_ref().unwrap().0, shop.listener_id());
    assert_eq!(merchant.visits()[0].signatures(MERCHANT_KEY), ["md5"], "signed anew with the merchant's key");
    // A real order is not touched, whichever way.
    shop.order("77").await;
    let reply = browser.form("/rpc/orders/test", &order_fields(&[("to", &to), ("reference", "77")])).await;
    assert!(browser.get(reply.header("location")).await.text().contains("reference of a real order"));
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_message_is_shown_before_it_is_sent_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let url = shop.url_as("https://shop.example.com/", |draft| draft.algorithms = Algorithms::NONE.with(Algorithm::Sha2)).await;
    let mut browser = owner(&app, &shop).await;
    browser.get("/m/shop/test-order").await;
    let before = app.dump().await;
    let to = format!("url-{url}");
    let page = browser.form("/m/shop/test-order", &order_fields(&[("to", &to)])).await;
    let text = page.text();
    assert_eq!(page.status, 200);
    for part in
        ["What would be sent now", "IPN_PNAME%5B%5D=T%C3%A4st", "SIGNATURE_SHA2_256", "15Täst “one”", "&lt;sig algo=\"sha256\""]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let wrong = browser.form("/m/shop/test-order", &order_fields(&[("amount", "ten")])).await.text();
    assert!(wrong.contains("Enter an amount with a point") && wrong.contains("value=\"Täst “one”\""), "{wrong}");
    assert_eq!(app.dump().await, before);
    // Support may not have anything signed.
    app.user("support@example.com", Role::Support, &[]).await;
    let mut support = Browser::signed_in(app.address, "support@example.com").await;
    for page in ["/m/shop/test-order", "/m/shop/check"] {
        assert_eq!(support.form(page, &order_fields(&[("body", "A=1")])).await.status, 403, "{page}");
    }
    let mut nobody = Browser::new(app.address);
    assert_eq!(nobody.form("/m/shop/check", &[("body", "A=1")]).await.status, 401);
    assert_eq!(browser.form("/m/shop/orders", &[]).await.status, 405, "other pages take nothing");
}

#[tokio::test]
async fn what_a_developer_pastes_is_judged_and_kept_nowhere() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let url = shop.url("https://shop.example.com/").await.to_string();
    let mut browser = owner(&app, &shop).await;
    browser.get("/m/shop/check").await;
    let before = app.dump().await;
    let ours = Message::full("1", "COMPLETE").body(MERCHANT_KEY, &["md5"]);
    let right = receipt("md5", MERCHANT_KEY, ours.as_bytes());
    let mut check = async |fields: &[(&str, &str)]| browser.form("/m/shop/check", fields).await.text();
    let page = check(&[("url", &url), ("body", &ours), ("receipt", &right)]).await;
    assert!(page.contains("HASH (MD5) is right") && page.contains("The receipt is right"), "{page}");
    let theirs = Message::full("1", "COMPLETE").body(GATEWAY_KEY, &["md5"]);
    let page = check(&[("body", &theirs), ("receipt", &receipt("md5", GATEWAY_KEY, ours.as_bytes()))]).await;
    assert!(page.contains("was made with another key") && page.contains(Cause::WrongKey.label()), "{page}");
    let sha2 = mac("sha2", MERCHANT_KEY, "whatever");
    let page = check(&[("url", &url), ("body", &ours), ("computed", &sha2)]).await;
    assert!(page.contains("none of the usual reasons explains it"), "{page}");
    let page = check(&[("url", &url), ("receipt", &right)]).await;
    assert!(page.contains("Paste the body of the message that this is about"), "{page}");
    let evil = "A=<script>alert(1)</script>&HASH=</textarea><script>";
    let page = check(&[("body", evil), ("receipt", "<script>alert(1)</script>")]).await;
    assert!(!page.contains("<script>alert(1)"), "{page}");
    let json = r#"{"type":"order.paid"}"#;
    let page = check(&[("body", json), ("headers", "webhook-id: msg_1")]).await;
    assert!(page.contains("Paste the lines webhook-id"), "{page}");
    let head = "webhook-id: msg_1\nwebhook-timestamp: 1\nwebhook-signature: v1,x";
    let page = check(&[("body", json), ("headers", head), ("receipt", "ok")]).await;
    assert!(page.contains("No URL of this merchant gets JSON") && page.contains("No receipt is needed"), "{page}");
    let large = "x".repeat(300 << 10);
    let answer = browser.form("/m/shop/check", &[("body", &large)]).await;
    assert_eq!(answer.status, 413);
    let page = answer.text();
    assert!(page.contains("<h1>This is too large</h1>") && page.contains("256 KiB"), "{page}");
    assert_eq!(app.dump().await, before);
}

#[tokio::test]
async fn the_kit_is_for_the_url_and_holds_no_key() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let url = shop.url_as("https://shop.example.com/", |draft| draft.algorithms = Algorithms::MD5.with(Algorithm::Sha3)).await;
    let mut browser = owner(&app, &shop).await;
    for (language, line) in
        [("", "const ALGORITHM = 'sha3-256'"), ("java", "String ALGORITHM = \"sha3-256\""), ("csharp", "no package")]
    {
        let page = browser.get(&format!("/m/shop/settings/urls/{url}/kit?language={language}")).await;
        let text = page.text().replace("&#x27;", "'").replace("&quot;", "\"");
        assert!(page.status == 200 && text.contains(line) && !text.contains(MERCHANT_KEY), "{language}: {text}");
    }
    assert_eq!(browser.get(&format!("/m/shop/settings/urls/{}/kit", UrlId(7))).await.status, 404);
}

#[tokio::test]
async fn alerts_tell_of_trouble_once_and_of_its_end() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let (merchant, told) =
        (FakeMerchant::start(|_| Answer::status(500, "")).await, FakeMerchant::start(|_| Answer::text("ok")).await);
    let url = shop.url(&merchant.url()).await;
    let mut browser = owner(&app, &shop).await;
    let reply = browser.form("/rpc/settings/alerts", &[("merchant", "shop"), ("url", "nonsense"), ("after", "0")]).await;
    let page = browser.get(reply.header("location")).await.text();
    assert!(page.contains("Begin the URL with https://") && page.contains("from 1 to 1440"), "{page}");
    let address = told.url();
    browser.form("/rpc/settings/alerts", &[("merchant", "shop"), ("url", &address), ("after", "15")]).await;
    let reply = browser.form("/rpc/settings/alerts/test", &[("merchant", "shop")]).await;
    assert!(browser.get(reply.header("location")).await.text().contains("The test arrived: status 200."));

    let order = shop.order("1").await;
    shop.wait_for_attempts(order, url, 1).await;
    app.services.tell_of_trouble().await.unwrap();
    assert_eq!(told.visits().len(), 1, "it fails since a moment ago only");
    hand.advance(Duration::from_secs(900));
    shop.wait_for_attempts(order, url, 2).await;
    app.services.tell_of_trouble().await.unwrap();
    app.services.tell_of_trouble().await.unwrap();
    let visits = told.wait_for(2).await;
    assert_eq!(visits.len(), 2, "told once");
    let alert: serde_json::Value = serde_json::from_slice(&visits[1].body).unwrap();
    assert_eq!(alert["type"], "notification-url.failing");
    assert_eq!((&alert["data"]["cause"], &alert["data"]["outstanding"]), (&"server-error".into(), &1.into()));
    let header = |name: &str| visits[1].headers[name].clone();
    let text = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), String::from_utf8_lossy(&visits[1].body));
    let signed = hex::decode(mac("sha2", MERCHANT_KEY, &text)).unwrap();
    use base64::Engine as _;
    assert_eq!(header("webhook-signature"), format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(signed)));

    merchant.answer(|visit| Answer::receipt("md5", visit));
    hand.advance(Duration::from_secs(1_800));
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    app.services.tell_of_trouble().await.unwrap();
    assert_eq!(told.visits().len(), 2, "at most one an hour");
    hand.advance(Duration::from_secs(1_800));
    app.services.tell_of_trouble().await.unwrap();
    let visits = told.wait_for(3).await;
    assert!(String::from_utf8_lossy(&visits[2].body).contains("notification-url.recovered"));
    let row = app.services.alert_settings(&current(&shop), true).await.unwrap().told;
    assert_eq!((row.len(), row[0].1.kind, row[0].1.status), (1, AlertKind::Recovered, Some(200)));
    assert!(browser.get("/m/shop/settings/alerts").await.text().contains("Arrived (200)"));
}
