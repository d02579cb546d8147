//! Every server function, asked by nobody, by somebody else, and by each role.

use super::house;
use crate::support::{
    browser::{Browser, encoded},
    endpoints::{self, Endpoint, Input},
    gateway::Reply,
};
use http::Request;
use quittance::domain::{Role, id::OrderId, role::Permission};
use std::collections::HashMap;

/// What needs no session: it is how one gets a session.
const OPEN: [&str; 6] = ["first-run", "set-up", "sign-in", "link", "join", "language"];
/// What every signed-in user may do for himself.
const OWN: [&str; 6] = ["viewer", "sign-out", "password", "theme", "sessions", "sessions/end-others"];

fn with(values: &HashMap<String, String>, name: &str, value: &str) -> HashMap<String, String> {
    values.clone().into_iter().chain([(name.to_owned(), value.to_owned())]).collect()
}

/// The answer is this error and nothing else.
fn assert_error(reply: &Reply, expected: &str, endpoint: &Endpoint) {
    let status = [("sign-in", 401), ("forbidden", 403), ("not-found", 404)].into_iter().find(|(name, _)| *name == expected);
    assert_eq!(Some(reply.status), status.map(|(_, status)| status), "{}: {reply:?}", endpoint.name);
    assert_eq!(reply.text(), format!("\"{expected}\""), "{}", endpoint.name);
    assert!(reply.headers.get("set-cookie").is_none(), "{}: {reply:?}", endpoint.name);
}

#[tokio::test]
async fn without_a_session_nothing_is_told_and_nothing_is_changed() {
    let house = house().await;
    let before = house.app.dump().await;
    let mut nobody = Browser::new(house.app.address);
    let mut forged = nobody.clone();
    forged.cookies.insert("quittance".to_owned(), "0".repeat(64));
    for endpoint in endpoints::all().iter().filter(|endpoint| !OPEN.contains(&endpoint.name.as_str())) {
        for browser in [&mut nobody, &mut forged] {
            assert_error(&endpoint.call(browser, &house.values).await, "sign-in", endpoint);
        }
        if endpoint.input == Input::Form {
            let reply = nobody.form(&endpoint.path(), &endpoint.fields(&house.values)).await;
            assert!((300..400).contains(&reply.status), "{}: {reply:?}", endpoint.name);
            assert!(reply.header("location").starts_with("/sign-in"), "{}: {reply:?}", endpoint.name);
            // But for what the page to sign in at has to say.
            assert!(nobody.cookies.keys().all(|name| name == "quittance-flash"));
        }
    }
    assert_eq!(house.app.dump().await, before);
}

#[tokio::test]
async fn another_merchant_is_as_if_it_did_not_exist() {
    let house = house().await;
    let mut browser = house.browser("other").await;
    let before = house.app.dump().await;
    for endpoint in endpoints::all().iter().filter(|endpoint| endpoint.takes("merchant")) {
        assert_error(&endpoint.call(&mut browser, &house.values).await, "not-found", endpoint);
        let unknown = with(&house.values, "merchant", "no-such-merchant");
        assert_error(&endpoint.call(&mut browser, &unknown).await, "not-found", endpoint);
    }
    assert_eq!(house.app.dump().await, before);
}

#[tokio::test]
async fn things_of_another_merchant_are_not_reached_through_ones_own() {
    let house = house().await;
    let mut browser = house.browser("other").await;
    let values = with(&house.values, "merchant", &house.other.merchant.slug);
    let before = house.app.dump().await;
    let things = ["order", "notification", "delivery", "bulk", "listener", "refusal", "verifying", "id", "thing", "mail_id"];
    let mut walked = 0;
    for endpoint in endpoints::all() {
        if endpoint.takes("merchant") && things.iter().any(|thing| endpoint.takes(thing)) {
            assert_error(&endpoint.call(&mut browser, &values).await, "not-found", &endpoint);
            walked += 1;
        }
    }
    assert!(walked >= 9, "{walked}");
    // An order of one's own does not open a notification or a URL of another's either.
    let own_order: OrderId = house.other.order_named("1").await;
    let resend = endpoints::all().into_iter().find(|endpoint| endpoint.name == "orders/resend").unwrap();
    let deliveries = house.other.deliveries(own_order).await;
    let own = with(&values, "order", &own_order.to_string());
    let own = with(&own, "urls[]", &deliveries[0].url_id.to_string());
    assert_error(&resend.call(&mut browser, &own).await, "not-found", &resend);
    let own = with(&own, "notification", &deliveries[0].notification_id.to_string());
    let reply = resend.call(&mut browser, &with(&own, "urls[]", &house.values["id"])).await;
    assert!(reply.text().contains("choose another"), "{reply:?}");
    assert_eq!(house.app.dump().await, before);
}

#[tokio::test]
async fn lists_hold_only_what_is_ones_own() {
    let house = house().await;
    let mut browser = house.browser("other").await;
    let viewer = browser.call("GET", "/rpc/viewer", &[]).await.text();
    assert!(viewer.contains("\"other\"") && !viewer.contains("\"shop\""), "{viewer}");
    let dashboard = browser.call("GET", "/rpc/dashboard", &[]).await;
    assert_eq!(dashboard.status, 200);
    assert!(!dashboard.text().contains("\"shop\""), "{}", dashboard.text());
    for page in [
        "",
        "/orders",
        "/deliveries",
        "/inbound",
        "/settings/time-zone",
        "/orders.csv",
        "/deliveries.csv",
        "/inbound.csv",
        "/resends",
        "/resends/new",
        "/resends/cancel",
        "/settings/ipn",
        "/settings/content",
        "/settings/key",
        "/settings/alerts",
        "/settings/mail",
        "/check",
        "/test-order",
        "/listeners",
    ] {
        let reply = browser.get(&format!("/m/shop{page}")).await;
        assert_eq!(reply.status, 404, "{page}: {}", reply.text());
    }
}

#[tokio::test]
async fn support_reads_and_resends_and_changes_no_settings() {
    let house = house().await;
    let mut browser = house.browser("support").await;
    let before = house.app.dump().await;
    let may = ["orders/resend", "inbound/ask", "bulk/start", "bulk/cancel", "views/save", "views/remove", "reveal"];
    let others = ["merchants", "merchants/zones", "inbound/strays", "inbound/stray", "users", "users/page", "audit", "audit/all"];
    for endpoint in endpoints::all() {
        let name = endpoint.name.as_str();
        if OPEN.contains(&name) || OWN.contains(&name) || may.contains(&name) {
            continue;
        }
        let reply = endpoint.call(&mut browser, &house.values).await;
        // What signs something for whoever asks is for those who may send it.
        let signs = ["orders/test/preview", "orders/check", "listeners/simulator"].contains(&name);
        if endpoint.input == Input::Form || others.contains(&name) || signs {
            assert_error(&reply, "forbidden", &endpoint);
        } else {
            assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        }
    }
    assert_eq!(house.app.dump().await, before);
    let resend = endpoints::all().into_iter().find(|endpoint| endpoint.name == "orders/resend").unwrap();
    let reply = resend.call(&mut browser, &house.values).await;
    assert!(reply.status < 400, "{reply:?}");
    assert_eq!(house.merchant.wait_for(3).await.len(), 3);
}

#[tokio::test]
async fn every_function_asks_the_table_that_people_read() {
    let house = house().await;
    let mut asked = 0;
    // Support first, because whoever may more changes more.
    for (name, role) in [("support", Role::Support), ("owner", Role::Merchant), ("admin", Role::Admin)] {
        let mut browser = house.browser(name).await;
        for endpoint in endpoints::all() {
            let Some(permission) = endpoint.permission else {
                let name = endpoint.name.as_str();
                assert!(OPEN.contains(&name) || OWN.contains(&name), "{name} asks for no permission");
                continue;
            };
            let reply = endpoint.call(&mut browser, &house.values).await;
            let is_forbidden = reply.text() == "\"forbidden\"";
            assert_eq!(is_forbidden, !role.may(permission), "{} as {name}: {reply:?}", endpoint.name);
            asked += 1;
        }
    }
    assert!(asked >= 90, "{asked}");
    // And the page shows it.
    let page = house.browser("support").await.get("/roles").await.text();
    let cells = page.matches("data-label=\"Support\"").count();
    assert_eq!(cells, Permission::ALL.len() + 1);
    let yes =
        Permission::ALL.iter().flat_map(|permission| Role::ALL.map(|role| role.may(*permission))).filter(|may| *may).count();
    assert_eq!(page.matches("</svg>Yes").count(), yes, "{page}");
}

#[tokio::test]
async fn a_merchant_may_change_his_own_settings_and_adds_no_merchants() {
    let house = house().await;
    let mut browser = house.browser("owner").await;
    for name in ["merchants", "merchants/add", "inbound/strays", "inbound/stray"] {
        let endpoint = endpoints::all().into_iter().find(|endpoint| endpoint.name == name).unwrap();
        assert_error(&endpoint.call(&mut browser, &house.values).await, "forbidden", &endpoint);
    }
    let hold = endpoints::all().into_iter().find(|endpoint| endpoint.name == "urls/hold").unwrap();
    assert!(hold.call(&mut browser, &house.values).await.status < 400);
    let settings = house.app.services.store.settings();
    assert!(settings.urls_of(house.shop.merchant.id).iter().all(|url| url.held));
    assert!(settings.urls_of(house.other.merchant.id).iter().all(|url| !url.held));
}

#[tokio::test]
async fn no_secret_key_is_ever_shown_again() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    for endpoint in endpoints::all().iter().filter(|endpoint| endpoint.input != Input::Form) {
        let text = endpoint.call(&mut browser, &house.values).await.text();
        for secret in ["AABBCCDDEEFF", "gateway-secret", "argon2id"] {
            assert!(!text.contains(secret), "{}: {text}", endpoint.name);
        }
    }
    let kit = format!("/m/shop/settings/urls/{}/kit", house.values["id"]);
    for page in [
        "/",
        "/merchants",
        "/m/shop/settings/ipn",
        "/m/shop/settings/urls",
        "/m/shop/settings/key",
        "/m/shop/settings/alerts",
        "/m/shop/settings/content",
        "/m/shop/check",
        "/m/shop/test-order",
        &kit,
        "/m/shop/listeners",
        "/account",
    ] {
        let reply = browser.get(page).await;
        assert_eq!(reply.status, 200, "{page}");
        assert!(!reply.text().contains("AABBCCDDEEFF") && !reply.text().contains("gateway-secret"), "{page}");
    }
}

#[tokio::test]
async fn requests_from_other_sites_are_refused() {
    let house = house().await;
    let browser = house.browser("admin").await;
    let before = house.app.dump().await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let mut browser = browser.clone();
        browser.headers.push((name, value.to_owned()));
        for endpoint in endpoints::all().iter().filter(|endpoint| endpoint.input != Input::Query) {
            let reply = endpoint.call(&mut browser, &house.values).await;
            assert_eq!(reply.status, 403, "{} with {name}: {value}", endpoint.name);
            assert!(reply.headers.get("set-cookie").is_none());
        }
    }
    assert_eq!(house.app.dump().await, before);
    let mut browser = browser.clone();
    browser.headers.push(("origin", format!("http://{}", house.app.address)));
    assert!(browser.form("/rpc/theme", &[("theme", "dark")]).await.status < 400, "our own pages pass");
}

#[tokio::test]
async fn what_changes_something_is_not_reached_with_get() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let before = house.app.dump().await;
    for endpoint in endpoints::all().iter().filter(|endpoint| endpoint.input == Input::Form) {
        let query = encoded(&endpoint.fields(&house.values));
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let request = Request::builder().method(method).uri(format!("{}?{query}", endpoint.path()));
            let reply = browser.send(request, String::new()).await;
            assert!(reply.status >= 400, "{method} {}: {reply:?}", endpoint.name);
        }
    }
    assert_eq!(house.app.dump().await, before);
}

#[tokio::test]
async fn what_cannot_be_understood_is_the_fault_of_whoever_sent_it() {
    let house = house().await;
    let mut admin = house.browser("admin").await;
    for endpoint in endpoints::all().iter().filter(|endpoint| endpoint.input != Input::Query && endpoint.takes("merchant")) {
        let reply = match endpoint.input {
            Input::Json => admin.call_json(&endpoint.path(), &serde_json::json!([1])).await,
            _ => admin.call("POST", &endpoint.path(), &[("nonsense", "1")]).await,
        };
        assert_eq!(reply.status, 400, "{}: {reply:?}", endpoint.name);
    }
}

#[tokio::test]
async fn errors_do_not_tell_what_is_inside() {
    let house = house().await;
    let mut browser = house.browser("admin").await;
    let injected = "' OR 1=1 --";
    for (name, fields) in [
        ("orders/story", &[("merchant", "shop"), ("order", injected)][..]),
        ("orders/story", &[("merchant", "shop"), ("order", &house.values["order"]), ("after", injected)]),
        ("orders/story", &[("merchant", "shop")]),
        ("orders/story", &[]),
        ("orders/story", &[("merchant", injected), ("order", &house.values["order"])]),
        ("orders/attempt", &[("merchant", "shop"), ("delivery", &house.values["delivery"]), ("number", injected)]),
        ("inbound/stray", &[("stray", injected)]),
        ("nothing", &[]),
    ] {
        // One that has another name now would be as good as one that never was.
        assert_eq!(endpoints::all().iter().any(|endpoint| endpoint.name == name), name != "nothing", "{name}");
        let reply = browser.call("GET", &format!("/rpc/{name}"), fields).await;
        assert!((400..600).contains(&reply.status), "{name} {fields:?}: {reply:?}");
        let text = reply.text().to_lowercase();
        for word in ["sqlite", "sql", "panic", "src/", "deserializ", "missing field"] {
            assert!(!text.contains(word), "{name} {fields:?}: {text}");
        }
    }
    // What is posted, too: a body that is none, and one that is cut off.
    for (name, kind, body) in [
        ("orders/find", "application/json", "{\"merchant\":\"shop\",\"filter\":{\"text\":"),
        ("orders/find", "application/json", "{\"merchant\":\"shop\",\"filter\":{\"text\":7}}"),
        ("orders/find", "application/json", "[]"),
        ("urls/hold", "application/x-www-form-urlencoded", "merchant=shop&id=%FF%FE&held=perhaps"),
        ("urls/hold", "application/json", "{}"),
    ] {
        assert!(endpoints::all().iter().any(|endpoint| endpoint.name == name), "{name}");
        let request = Request::post(format!("/rpc/{name}")).header("accept", "application/json").header("content-type", kind);
        let reply = browser.send(request, body.to_owned()).await;
        assert!((400..600).contains(&reply.status), "{name} {body}: {reply:?}");
        let text = reply.text().to_lowercase();
        for word in ["sqlite", "sql", "panic", "src/", "deserializ", "missing field", "invalid type", "line 1"] {
            assert!(!text.contains(word), "{name} {body}: {text}");
        }
    }
}
