//! Resends to the address of now and of then, over HTTP: which address they go to, and what an old address may not do to a URL.

use crate::{
    story::{admin, assert_all, page},
    support::{
        app::{Setup, Shop, TestApp},
        browser::Browser,
        gateway::Reply,
        merchant::{Answer, FakeMerchant},
        until,
    },
};
use quittance::{
    domain::{
        Cause, DeliveryState, Role,
        attempt::Origin,
        id::{DeliveryId, OrderId, UrlId},
        pages::{
            orders::DeliveryView,
            story::{AttemptRef, Comparison},
        },
    },
    server::{
        service::resend::ResendWish,
        store::{OwnHeader, Secret, UrlDraft},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// A shop whose URL was moved from one server to another after an order was delivered.
struct Moved {
    app: TestApp,
    shop: Shop,
    old: FakeMerchant,
    new: FakeMerchant,
    url: UrlId,
    order: OrderId,
    delivery: DeliveryView,
}

fn own_headers(draft: &mut UrlDraft) {
    let header = |name: &str, value: &str| OwnHeader { name: name.to_owned(), value: Secret::new(value) };
    draft.headers = vec![header("x-shop", "7"), header("authorization", "Bearer hush")];
}

/// Sets a URL to an address.
async fn set(shop: &Shop, url: UrlId, address: &str) {
    let mut draft = crate::support::stores::url_draft(shop.merchant.id, address);
    own_headers(&mut draft);
    shop.services.store.update_url(url, draft, "owner@example.com".to_owned()).await.unwrap();
}

async fn moved(setup: Setup) -> Moved {
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let (old, new) = (FakeMerchant::confirming().await, FakeMerchant::confirming().await);
    let url = shop.url_as(&old.url(), own_headers).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    set(&shop, url, &new.url()).await;
    Moved { app, shop, old, new, url, order, delivery }
}

impl Moved {
    /// The value of the form for the address of then.
    fn then(&self) -> String {
        format!("{}.{}.1", self.url, self.delivery.id)
    }

    fn form(&self) -> String {
        format!("/m/shop/notifications/{}/resend", self.delivery.notification_id)
    }

    async fn choose(&self, browser: &mut Browser, to: &str, debug: bool, key: &str) -> Reply {
        let (order, notification) = (self.order.to_string(), self.delivery.notification_id.to_string());
        let (url, debug) = (self.url.to_string(), debug.to_string());
        let fields = [
            ("merchant", "shop"),
            ("order", order.as_str()),
            ("notification", &notification),
            ("urls[]", &url),
            ("to[0]", to),
            ("debug", &debug),
            ("request_key", key),
        ];
        browser.form("/rpc/orders/resend", &fields).await
    }

    /// Resends to the address of then.
    async fn again(&self, origin: Origin, key: &str) -> DeliveryId {
        let wish = ResendWish {
            order_id: self.order,
            notification_id: None,
            url_ids: vec![self.url],
            then: [(self.url, AttemptRef { delivery: self.delivery.id, number: 1 })].into(),
            debug: origin == Origin::Debug,
            request_key: key.to_owned(),
        };
        self.shop.services.resend(&self.shop.merchant, wish, "support@example.com").await.unwrap().delivery_ids[0]
    }

    async fn wait(&self, id: DeliveryId, fits: impl Fn(&DeliveryView) -> bool) -> DeliveryView {
        self.shop.wait_for(self.order, self.url, |delivery| delivery.id == id && fits(delivery)).await
    }
}

#[tokio::test]
async fn a_resend_goes_to_the_address_of_now_or_of_then() {
    let it = moved(Setup::default()).await;
    let mut browser = admin(&it.app).await;
    let html = browser.get(&it.form()).await.text();
    let input = |value: &str| {
        let input = html.split("<input").find(|input| input.contains(&format!("value=\"{value}\""))).unwrap();
        input.split('>').next().unwrap().to_owned()
    };
    assert!(input("now").contains("checked") && input("now").contains("name=\"to[0]\""), "{}", input("now"));
    assert!(!input(&it.then()).contains("checked"), "{}", input(&it.then()));
    let text = page(&mut browser, &it.form()).await;
    assert_all(
        &text,
        &[
            "Its address was changed since it went there.",
            &format!("To its address of now {}", it.new.url()),
            &format!("To its address of then {}", it.old.url()),
            "It is another server: headers of this URL that carry secrets are not sent there.",
        ],
    );
    let attempt = format!("/m/shop/deliveries/{}/1", it.delivery.id);
    let text = page(&mut browser, &attempt).await;
    assert_all(&text, &["A resend would not send the same: 1 thing differs", "The URL has another address now. It can also be"]);

    it.choose(&mut browser, "now", false, "now").await;
    it.new.wait_for(1).await;
    assert_eq!(it.old.visits().len(), 1);
    let visit = it.new.visits().remove(0);
    assert_eq!((visit.headers["x-shop"].as_str(), visit.headers["authorization"].as_str()), ("7", "Bearer hush"));

    for _ in 0..2 {
        let reply = it.choose(&mut browser, &it.then(), false, "then").await;
        assert_eq!(reply.header("location"), format!("/m/shop/orders/{}", it.order));
    }
    it.old.wait_for(2).await;
    let elsewhere = it.shop.wait_for(it.order, it.url, |one| one.elsewhere && one.state == DeliveryState::Confirmed).await;
    assert_eq!(elsewhere.url, it.old.url());
    let visit = it.old.visits().remove(1);
    assert_eq!((visit.headers.get("authorization"), visit.headers["x-shop"].as_str()), (None, "7"), "{}", visit.head);
    let text = page(&mut browser, &format!("/m/shop/deliveries/{}", elsewhere.id)).await;
    assert_all(&text, &[&it.old.url(), "It was resent to the address that the URL had then"]);
    let text = page(&mut browser, &format!("/m/shop/orders/{}", it.order)).await;
    assert_all(&text, &["Resent to the address of then by admin@example.com"]);
    let Comparison::Made(lines) = it.shop.attempt(elsewhere.id, 1).await.comparison else { panic!() };
    let url = lines.iter().find(|line| line.what == "URL").unwrap();
    assert_eq!((&url.then, &url.now), (&it.old.url(), &it.new.url()), "what a resend would do without a choice");

    let reply = it.choose(&mut browser, &it.then(), true, "debug").await;
    let exchanges = reply.header("location").to_owned();
    it.old.wait_for(3).await;
    let text = until("the exchange", || async {
        let text = page(&mut browser.clone(), &exchanges).await;
        text.contains("holds a valid read receipt").then_some(text)
    })
    .await;
    assert_all(&text, &[&it.old.url()]);
    assert_eq!((it.old.visits().len(), it.new.visits().len()), (3, 1));
    it.app.assert_healthy().await;
}

#[tokio::test]
async fn only_an_attempt_at_this_message_names_an_address() {
    let it = moved(Setup::default()).await;
    let other = it.shop.order("2").await;
    let other = it.shop.wait_for_state(other, it.url, DeliveryState::Confirmed).await;
    let mut browser = admin(&it.app).await;
    let of = |delivery: DeliveryId, number: u32| format!("{}.{delivery}.{number}", it.url);
    let wrong =
        [of(other.id, 1), of(it.delivery.id, 2), of(DeliveryId(1), 1), "https://thief.example/".to_owned(), "1.2".to_owned()];
    for (at, to) in wrong.iter().enumerate() {
        let reply = it.choose(&mut browser, to, false, &at.to_string()).await;
        assert_eq!(reply.header("location"), it.form(), "{to}");
        assert_all(
            &page(&mut browser, &it.form()).await,
            &["The address of then is not known any more; look at the choices anew."],
        );
    }
    assert_eq!((it.old.visits().len(), it.new.visits().len()), (1, 1));
    // Where the URL is back at its address of then, there is nothing to choose.
    set(&it.shop, it.url, &it.old.url()).await;
    assert!(!page(&mut browser, &it.form()).await.contains("Its address was changed"));
    let id = it.again(Origin::Resend, "back").await;
    assert!(!it.wait(id, |one| one.state == DeliveryState::Confirmed).await.elsewhere);
}

#[tokio::test]
async fn the_command_line_finds_the_address_of_then() {
    let it = moved(Setup::default()).await;
    let then = async |url| it.shop.services.then_of(&it.shop.merchant, it.order, url).await.unwrap();
    let expected = BTreeMap::from([(it.url, AttemptRef { delivery: it.delivery.id, number: 1 })]);
    assert_eq!((then(None).await, then(Some(it.url)).await), (expected.clone(), expected));
    assert!(then(Some(UrlId(1))).await.is_empty());
    let second = it.shop.url(&format!("{}/second", it.new.url())).await;
    assert!(then(Some(second)).await.is_empty(), "it never went there");
}

#[tokio::test]
async fn an_old_address_that_fails_is_tried_again_and_does_not_harm_the_url() {
    let (clock, hand) = quittance::server::clock::Clock::manual(crate::support::stores::START);
    let it = moved(Setup { clock, ..Setup::default() }).await;
    it.old.answer(|_| Answer::status(410, "gone"));
    let gone = it.again(Origin::Resend, "gone").await;
    it.wait(gone, |one| one.last_cause == Some(Cause::Gone)).await;
    it.old.answer(|_| Answer::Page(503, vec![("Retry-After", "3600".to_owned())], Vec::new()));
    // As many as make a URL rest.
    for number in 0..6 {
        let id = it.again(Origin::Resend, &number.to_string()).await;
        it.wait(id, |one| one.attempts == 1).await;
    }
    let order = it.shop.order("2").await;
    it.shop.wait_for_state(order, it.url, DeliveryState::Confirmed).await;
    assert!(!it.shop.services.store.settings().url(it.url).unwrap().held);
    assert!(it.app.services.board.pause(it.url, it.app.services.clock.now()).is_none());

    it.old.answer(|visit| Answer::receipt("md5", visit));
    let visits = it.new.visits().len();
    hand.advance(Duration::from_secs(2 * 86_400 / 3));
    it.wait(gone, |one| one.state == DeliveryState::Confirmed && one.attempts == 2).await;
    assert_eq!(it.new.visits().len(), visits, "a further try goes where the first went");
    it.app.assert_healthy().await;
}

#[tokio::test]
async fn an_address_of_then_is_under_the_rules_of_now() {
    let app = TestApp::start_as(Setup::default()).await;
    let shop = app.shop("Shop").await;
    let new = FakeMerchant::confirming().await;
    let url = shop.url("http://10.0.0.1:9/ipn").await;
    let order = shop.order("1").await;
    let refused = shop.wait_for_attempts(order, url, 1).await;
    assert_eq!(refused.last_cause, Some(Cause::AddressForbidden));
    set(&shop, url, &new.url()).await;
    let then = shop.services.then_of(&shop.merchant, order, None).await.unwrap();
    let wish = ResendWish {
        order_id: order,
        notification_id: None,
        url_ids: vec![url],
        then,
        debug: true,
        request_key: "key".to_owned(),
    };
    let id = shop.services.resend(&shop.merchant, wish, "support@example.com").await.unwrap().delivery_ids[0];
    assert_eq!(shop.services.wait_for_attempt(&shop.merchant, id).await.unwrap(), Some(1));
    let attempt = shop.attempt(id, 1).await;
    assert_eq!((attempt.attempt.cause, attempt.attempt.address), (Some(Cause::AddressForbidden), None));
    assert_eq!(attempt.detail.url, "http://10.0.0.1:9/ipn");
}

/// Sends the form of a resend of a delivery to its URL; with the key of the form, or with none.
async fn resend(browser: &mut Browser, merchant: &str, order: OrderId, delivery: &DeliveryView, debug: bool, key: Option<&str>) {
    let (order, notification) = (order.to_string(), delivery.notification_id.to_string());
    let (url, debug) = (delivery.url_id.to_string(), debug.to_string());
    let mut fields = vec![
        ("merchant", merchant),
        ("order", order.as_str()),
        ("notification", notification.as_str()),
        ("urls[]", url.as_str()),
        ("debug", debug.as_str()),
    ];
    fields.extend(key.map(|key| ("request_key", key)));
    let reply = browser.form("/rpc/orders/resend", &fields).await;
    let base = format!("/m/{merchant}/orders/{order}");
    let place = if debug == "true" { format!("{base}/exchanges/") } else { base };
    assert!(reply.status == 302 && reply.header("location").starts_with(&place), "{key:?}: {reply:?}");
}

#[tokio::test]
async fn a_key_is_that_of_one_wish_of_one_person() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let script = FakeMerchant::confirming().await;
    let (url, elsewhere) = (shop.url(&script.url()).await, other.url(&script.url()).await);
    let (first, second, third) = (shop.order("1").await, shop.order("2").await, other.order("3").await);
    let one = shop.wait_for_state(first, url, DeliveryState::Confirmed).await;
    let two = shop.wait_for_state(second, url, DeliveryState::Confirmed).await;
    let three = other.wait_for_state(third, elsewhere, DeliveryState::Confirmed).await;
    let mut browser = admin(&app).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let mut sent = 3;
    let mut sends = async |which: &str, count: usize| {
        sent += count;
        script.wait_for(sent).await;
        assert_eq!(script.visits().len(), sent, "{which}");
    };

    for _ in 0..2 {
        resend(&mut browser, "shop", first, &one, false, Some("k")).await;
    }
    sends("a double click", 1).await;
    resend(&mut browser, "shop", second, &two, false, Some("k")).await;
    sends("another order", 1).await;
    resend(&mut browser, "other", third, &three, false, Some("k")).await;
    sends("another merchant", 1).await;
    resend(&mut browser, "shop", first, &one, true, Some("k")).await;
    sends("for debug", 1).await;
    resend(&mut owner, "shop", first, &one, false, Some("k")).await;
    sends("somebody else", 1).await;
    let long = "k".repeat(65);
    for key in [Some(""), None, Some(&long)] {
        for _ in 0..2 {
            resend(&mut browser, "shop", first, &one, false, key).await;
        }
        sends("what has no key of ours is a wish of its own", 2).await;
    }
    app.assert_healthy().await;
}

/// Nobody has cancelled it: its one attempt failed.
#[tokio::test]
async fn a_resend_for_debug_that_fails_is_not_called_cancelled() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    merchant.answer(|_| Answer::status(500, ""));
    let mut browser = admin(&app).await;
    resend(&mut browser, "shop", order, &delivery, true, None).await;
    let resent = shop.wait_for_state(order, url, DeliveryState::Cancelled).await;
    for path in [format!("orders/{order}"), "deliveries".to_owned(), format!("deliveries/{}", resent.id)] {
        let text = page(&mut browser, &format!("/m/shop/{path}")).await;
        assert_all(&text, &["Not confirmed"]);
        // The list's filter offers the word.
        assert_eq!(text.matches("Cancelled").count(), usize::from(path == "deliveries"), "{path}: {text}");
    }
}
