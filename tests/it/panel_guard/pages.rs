//! Headers and pages: what every answer carries, and what a page does not do.

use super::house;
use crate::support::{
    app::TestApp,
    browser::Browser,
    gateway::{self, Reply},
    message::Message,
};
use quittance::domain::DeliveryState;

#[tokio::test]
async fn pages_lead_to_the_sign_in_page_and_back() {
    let app = TestApp::start().await;
    let mut browser = Browser::new(app.address);
    for (path, location) in [
        ("/", "/sign-in"),
        ("/account", "/sign-in?next=%2Faccount"),
        ("/m/shop/orders?text=a&status=paid", "/sign-in?next=%2Fm%2Fshop%2Forders%3Ftext%3Da%26status%3Dpaid"),
        ("/no/such/page", "/sign-in?next=%2Fno%2Fsuch%2Fpage"),
    ] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (303, location));
        assert!(reply.body.is_empty());
    }
    assert_eq!(browser.get("/sign-in").await.status, 200);
}

#[tokio::test]
async fn every_answer_of_the_panel_carries_the_security_headers() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let mut replies = Vec::new();
    for path in ["/", "/sign-in", "/m/shop/orders", "/no/such/page", "/rpc/viewer", "/rpc/nothing"] {
        replies.push((path, browser.get(path).await));
    }
    replies.push(("refused", {
        let mut evil = browser.clone();
        evil.headers.push(("sec-fetch-site", "cross-site".to_owned()));
        evil.form("/rpc/sign-out", &[]).await
    }));
    replies.push(("redirected", Browser::new(house.app.address).get("/account").await));
    for (path, reply) in replies {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), value, "{path}");
        }
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{path}: {policy}");
    }
}

fn nonce(reply: &Reply) -> String {
    let policy = reply.header("content-security-policy");
    policy.split("'nonce-").nth(1).unwrap_or_else(|| panic!("{policy}")).split('\'').next().unwrap().to_owned()
}

#[tokio::test]
async fn scripts_of_a_page_run_only_under_its_own_nonce() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let mut seen = Vec::new();
    for path in ["/sign-in", "/", "/m/shop/orders", "/m/shop/settings/ipn", "/"] {
        let reply = browser.get(path).await;
        let nonce = nonce(&reply);
        assert!(nonce.len() >= 16 && !seen.contains(&nonce), "{nonce}");
        let text = reply.text();
        for script in text.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")) || tag.contains("src=\"/"), "{path}: {tag}");
        }
        assert!(!text.contains(" onclick=") && !text.contains(" style=\""), "{path}: nothing that the policy forbids");
        seen.push(nonce);
    }
}

#[tokio::test]
async fn what_customers_typed_is_shown_and_not_run() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></textarea></pre>";
    let mut message = Message::full("evil", "COMPLETE");
    message.set("FIRSTNAME", evil).set("REFNOEXT", evil).set("IPN_PNAME[]", evil);
    let order = house.shop.accepted(&message).await;
    let delivery = house.shop.deliveries(order).await.remove(0);
    house.shop.wait_for_state(order, delivery.url_id, DeliveryState::Confirmed).await;
    house.shop.post_body(message.body("another key", &["md5"])).await;
    let refused = house.shop.services.listener_page(&house.shop.merchant, house.shop.listener_id(), true).await.unwrap().refused;
    for path in [
        "/m/shop/orders".to_owned(),
        format!("/m/shop/orders/{order}"),
        format!("/m/shop/notifications/{}", delivery.notification_id),
        format!("/m/shop/deliveries/{}", delivery.id),
        format!("/m/shop/deliveries/{}/1", delivery.id),
        format!("/m/shop/refused/{}", refused[0].id),
        "/m/shop/orders?text=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!(reply.status, 200, "{path}");
        let text = reply.text();
        assert!(!text.contains("<script>alert(1)") && !text.contains("<img src=x"), "{path}");
    }
}

#[tokio::test]
async fn a_page_that_is_not_there_says_404() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    for path in ["/no/such/page", "/m/nobody", "/m/shop/orders/zzz", "/m/shop/nothing"] {
        assert_eq!(browser.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn forms_are_taken_up_to_64_kib() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let long = "x".repeat(65 << 10);
    let reply = browser.form("/rpc/merchants/add", &[("name", &long)]).await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn a_flash_is_sealed_and_shown_once() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let reply = browser.form("/rpc/merchants/add", &[("name", "Third"), ("secret_key", "key-shown-once")]).await;
    let page = reply.header("location").to_owned();
    let sealed = browser.cookies["quittance-flash"].clone();
    assert!(!sealed.contains("key-shown-once"));
    let mut spoilt = browser.clone();
    let tampered: String = sealed.chars().rev().collect();
    spoilt.cookies.insert("quittance-flash".to_owned(), tampered);
    assert!(!spoilt.get(&page).await.text().contains("key-shown-once"));
    assert!(browser.get(&page).await.text().contains("key-shown-once"));
    assert!(!browser.cookies.contains_key("quittance-flash"));
    assert!(!browser.get(&page).await.text().contains("key-shown-once"));
}

#[tokio::test]
async fn the_health_page_is_open_and_listener_pages_need_no_session() {
    let house = house().await;
    assert_eq!(gateway::get(house.app.address, "/healthz").await.status, 200);
    let reply = house.shop.post_signed(&Message::small("9", "COMPLETE", "20260301120009"), &["md5"]).await;
    assert_eq!(reply.status, 200);
    assert!(reply.headers.get("set-cookie").is_none() && reply.headers.get("content-encoding").is_none());
}
