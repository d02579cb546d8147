//! Who may do what in the panel, asked over HTTP as browsers and scripts ask.

use crate::support::{
    app::{PASSWORD, Setup, Shop, TestApp},
    browser::{Browser, encoded},
    endpoints::{self, Endpoint, Input},
    gateway::{self, Reply},
    merchant::FakeMerchant,
    message::Message,
    until,
};
use http::Request;
use quittance::domain::{
    DeliveryState, Role,
    id::{BulkId, OrderId},
    pages::{
        bulk::{BulkState, BulkTarget},
        deliveries::{DeliveryFilter, StateFilter},
    },
    role::Permission,
};
use std::{collections::HashMap, time::Duration};

/// What needs no session: it is how one gets a session.
const OPEN: [&str; 6] = ["first-run", "set-up", "sign-in", "link", "join", "language"];
/// What every signed-in user may do for himself.
const OWN: [&str; 6] = ["viewer", "sign-out", "password", "theme", "sessions", "sessions/end-others"];

/// A house with two merchants, who both have everything that a server function can be asked for.
struct House {
    app: TestApp,
    shop: Shop,
    other: Shop,
    /// Arguments that name things of `shop`.
    values: HashMap<String, String>,
    merchant: FakeMerchant,
}

async fn house() -> House {
    let app = TestApp::start().await;
    let merchant = FakeMerchant::confirming().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let mut values = values_of(&shop, &merchant).await;
    values_of(&other, &merchant).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    app.user("other@example.com", Role::Merchant, &[&other]).await;
    app.user("colleague@example.com", Role::Support, &[&shop]).await;
    let colleague = app.services.store.user_by_email("colleague@example.com").await.unwrap().unwrap();
    values.insert("user".to_owned(), colleague.id.to_string());
    House { app, shop, other, values, merchant }
}

impl House {
    async fn browser(&self, name: &str) -> Browser {
        Browser::signed_in(self.app.address, &format!("{name}@example.com")).await
    }
}

/// An order with a delivery and an attempt, a refusal, and arguments that name them.
async fn values_of(shop: &Shop, merchant: &FakeMerchant) -> HashMap<String, String> {
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    let bulk = ended_bulk(shop).await;
    let refused = shop.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused;
    let values = [
        ("verifying", shop.wait_at(&*shop.asking().await, "1", "POST / HTTP/1.1", "txn_id=1").await),
        ("merchant", shop.merchant.slug.clone()),
        ("order", order.to_string()),
        ("notification", delivery.notification_id.to_string()),
        ("delivery", delivery.id.to_string()),
        ("number", "1".to_owned()),
        ("listener", shop.listener_id().to_string()),
        ("refusal", refused[0].id.to_string()),
        ("id", url.to_string()),
        ("listeners/save.id", shop.listener_id().to_string()),
        ("url", merchant.url()),
        ("urls[]", url.to_string()),
        ("exchanges", delivery.id.to_string()),
        ("orders/story.after", String::new()),
        ("orders/resend.to[]", "now".to_owned()),
        ("newest_first", "true".to_owned()),
        ("attempts_until", "1".to_owned()),
        ("bulk", bulk.to_string()),
        ("deliveries", "{\"state\":\"expired\"}".to_owned()),
        ("people", "{\"text\":\"\",\"after\":null}".to_owned()),
        ("acts", "{\"actor\":null,\"action\":null,\"from\":null,\"until\":null,\"after\":null}".to_owned()),
        ("role", "support".to_owned()),
        ("merchants[]", shop.merchant.slug.clone()),
        ("version", String::new()),
        ("form_key", String::new()),
        ("of", "order".to_owned()),
        ("thing", order.to_string()),
        ("field", "email".to_owned()),
        ("nth", "0".to_owned()),
        ("target", "same".to_owned()),
        ("bulk/start.request_key", format!("bulk of {}", shop.merchant.slug)),
        ("text", String::new()),
        ("state", "expired".to_owned()),
        ("cause", String::new()),
        ("bulk/start.url", String::new()),
        ("from", String::new()),
        ("until", String::new()),
        ("since", String::new()),
        ("test", String::new()),
        ("filter", "{\"text\":\"\",\"status\":null,\"from\":null,\"until\":null,\"test\":null,\"after\":null}".to_owned()),
        ("request_key", "key".to_owned()),
        ("label", "Changed".to_owned()),
        ("gateway", "2checkout".to_owned()),
        ("options", String::new()),
        ("secret", "changed".to_owned()),
        ("secret_key", "changed".to_owned()),
        ("generate", "false".to_owned()),
        ("name", "Third".to_owned()),
        ("status", "COMPLETE".to_owned()),
        ("listeners/simulate.status", "paid".to_owned()),
        ("listeners/simulate.from", "127.0.0.1".to_owned()),
        ("fault", String::new()),
        ("sent", String::new()),
        ("product", "Product".to_owned()),
        ("amount", "1.00".to_owned()),
        ("currency", "USD".to_owned()),
        ("email", "new@example.com".to_owned()),
        ("reference", String::new()),
        ("current", PASSWORD.to_owned()),
        ("password", "another long password".to_owned()),
        ("via", String::new()),
        ("inbound", "{}".to_owned()),
        ("stray", refused[0].id.to_string()),
        ("after", order.to_string()),
        ("list", "deliveries".to_owned()),
        ("view", order.to_string()),
        ("query", "?state=expired".to_owned()),
        ("time_zone", "Europe/Bucharest".to_owned()),
        ("token", "0".repeat(64)),
        ("theme", "dark".to_owned()),
        ("locale", "en".to_owned()),
        ("next", "/".to_owned()),
        ("max_in_flight", "8".to_owned()),
        ("rate_per_second", "9".to_owned()),
        ("retries", "own".to_owned()),
        ("own_delays", "1m,5m".to_owned()),
        ("authority", String::new()),
        ("own_triggers", "true".to_owned()),
        ("triggers", "COMPLETE,REFUND".to_owned()),
        ("timeout", "9".to_owned()),
        ("format", "json".to_owned()),
        ("mail", "{\"status\":\"paid\"}".to_owned()),
        ("mail_id", order.to_string()),
        ("sender_name", "Shop".to_owned()),
        ("sender", "shop@example.com".to_owned()),
        ("subject", "Order {order}".to_owned()),
        ("settings/mail/template.text", "Hello {name}".to_owned()),
        ("settings/mail/template.status", "paid".to_owned()),
        ("settings/mail/test.status", "paid".to_owned()),
        ("headers", "X-Shop: 7".to_owned()),
        ("only", "true".to_owned()),
        ("tags", "CURRENCY".to_owned()),
        ("other_tags", String::new()),
        ("overlap", "3600".to_owned()),
        ("mails", "ops@example.com".to_owned()),
        ("settings/alerts.after", "15".to_owned()),
        ("settings/alerts.certificate", "14".to_owned()),
        ("settings/alerts.outstanding", "500".to_owned()),
        ("language", "php".to_owned()),
        ("quantity", "1".to_owned()),
        ("more_products", String::new()),
        ("first_name", "Test".to_owned()),
        ("last_name", "Order".to_owned()),
        ("to", String::new()),
        ("draft", "{\"status\":\"COMPLETE\",\"product\":\"x\",\"amount\":\"1.00\",\"currency\":\"EUR\"}".to_owned()),
        ("pasted", "{\"body\":\"REFNO=1&HASH=00\"}".to_owned()),
        // The URL is made the default, which cannot be a shadow.
        ("urls/save.shadow", "false".to_owned()),
    ];
    let flags = [
        "is_default",
        "md5",
        "sha2",
        "sha3",
        "concurrent",
        "order_in_order",
        "held",
        "shadow",
        "anyway",
        "as_test",
        "enabled",
        "disabled",
        "tests",
    ];
    let flags = flags.map(|flag| (flag, "true".to_owned()));
    let off = [("debug", "false".to_owned())];
    values.into_iter().chain(flags).chain(off).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A bulk resend that had nothing to do.
async fn ended_bulk(shop: &Shop) -> BulkId {
    let filter = DeliveryFilter { state: Some(StateFilter::Expired), ..DeliveryFilter::default() };
    let key = format!("of {}", shop.merchant.slug);
    let id = shop.services.start_bulk(&shop.merchant, &filter, BulkTarget::Same, key, "test", Duration::ZERO).await.unwrap();
    until("a bulk resend to end", || async {
        let page = shop.services.bulk_page(&shop.merchant, id, true).await.unwrap();
        (page.job.state == BulkState::Done).then_some(id)
    })
    .await
}

fn with(values: &HashMap<String, String>, name: &str, value: &str) -> HashMap<String, String> {
    values.clone().into_iter().chain([(name.to_owned(), value.to_owned())]).collect()
}

/// The answer is this error and nothing else.
fn assert_error(reply: &Reply, expected: &str, endpoint: &Endpoint) {
    assert!(!(200..400).contains(&reply.status), "{}: {reply:?}", endpoint.name);
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

// Sessions.

#[tokio::test]
async fn the_sessions_cookie_is_kept_from_scripts_and_other_sites() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::new(app.address);
    let reply = browser.sign_in("Admin@Example.com ", PASSWORD).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/"));
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("quittance=") && cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
    assert!(!app.dump().await.contains(&browser.cookies["quittance"]), "only its hash is stored");
}

#[tokio::test]
async fn over_https_the_cookie_belongs_to_this_very_host() {
    let app = TestApp::start_as(Setup { public_url: Some("https://ipn.example.com"), ..Setup::default() }).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::new(app.address);
    browser.headers.push(("origin", "https://ipn.example.com".to_owned()));
    let reply = browser.sign_in("admin@example.com", PASSWORD).await;
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-quittance=") && cookie.contains("; Secure") && cookie.contains("Path=/"), "{cookie}");
    assert!(!cookie.to_lowercase().contains("domain="));
    assert_eq!(browser.get("/account").await.status, 200);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let mut stolen = browser.clone();
    assert_eq!(stolen.get("/account").await.status, 200);
    let reply = browser.form("/rpc/sign-out", &[]).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/sign-in"));
    assert!(!browser.cookies.contains_key("quittance"));
    assert_eq!(stolen.get("/account").await.header("location"), "/sign-in?next=%2Faccount");
    // A form that comes then says so, and leads back to its page.
    let form = [("current", PASSWORD), ("password", "another long password")];
    let reply = stolen.form("/rpc/password", &form).await;
    assert_eq!(reply.header("location"), "/sign-in?next=%2Faccount", "{reply:?}");
    let page = stolen.get(reply.header("location")).await.text();
    assert!(page.contains("You were signed out meanwhile") && page.contains("name=\"next\" value=\"/account\""), "{page}");
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_without_a_request() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    for _ in 0..3 {
        hand.advance(Duration::from_secs(11 * 3_600));
        assert_eq!(browser.get("/account").await.status, 200, "each request prolongs it");
    }
    hand.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(browser.get("/account").await.status, 303);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut other = Browser::signed_in(app.address, "admin@example.com").await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let wrong = [("current", "not the password"), ("password", "another long password")];
    browser.form("/rpc/password", &wrong).await;
    assert_eq!(other.get("/account").await.status, 200, "nothing was changed");
    browser.form("/rpc/password", &[("current", PASSWORD), ("password", "another long password")]).await;
    assert_eq!(browser.get("/account").await.status, 200);
    assert_eq!(other.get("/account").await.status, 303);
    let mut fresh = Browser::new(app.address);
    fresh.sign_in("admin@example.com", PASSWORD).await;
    assert!(!fresh.cookies.contains_key("quittance"));
    fresh.sign_in("admin@example.com", "another long password").await;
    assert!(fresh.cookies.contains_key("quittance"));
}

/// Signs in as a script does; gives the answer's text.
async fn guess(browser: &Browser, email: &str, password: &str) -> String {
    browser.clone().call("POST", "/rpc/sign-in", &[("email", email), ("password", password)]).await.text()
}

#[tokio::test]
async fn after_some_wrong_passwords_one_has_to_wait() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    for _ in 0..8 {
        let answer = guess(&browser, "admin@example.com", "wrong wrong wrong").await;
        assert!(answer.contains("password is wrong"), "{answer}");
    }
    let answer = guess(&browser, "admin@example.com", PASSWORD).await;
    assert!(answer.contains("Too many") && answer.contains("15 minutes"), "even the right one: {answer}");
    hand.advance(Duration::from_secs(15 * 60));
    let answer = guess(&browser, "admin@example.com", PASSWORD).await;
    assert_eq!(answer, "null");
}

#[tokio::test]
async fn guesses_made_all_at_once_are_no_more() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    let passwords: Vec<_> = (0..30).map(|number| format!("wrong password {number}")).collect();
    let guesses = passwords.iter().map(|password| guess(&browser, "admin@example.com", password));
    let answers = futures::future::join_all(guesses).await;
    let checked = answers.iter().filter(|answer| answer.contains("password is wrong")).count();
    assert_eq!(checked, 8, "{answers:?}");
}

#[tokio::test]
async fn an_unknown_user_is_answered_like_a_wrong_password() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    let wrong = guess(&browser, "admin@example.com", "wrong wrong wrong").await;
    assert_eq!(guess(&browser, "nobody@example.com", "wrong wrong wrong").await, wrong);
}

#[tokio::test]
async fn the_first_run_link_works_once() {
    let app = TestApp::start().await;
    let old = app.first_run_link().await.unwrap().unwrap();
    let link = app.first_run_link().await.unwrap().unwrap();
    let token = |link: &str| link.split_once("/setup?token=").unwrap().1.to_owned();
    assert!(link.starts_with(&format!("http://{}/setup?token=", app.address)), "{link}");
    let mut browser = Browser::new(app.address);
    assert_eq!(browser.get(&format!("/setup?token={}", token(&link))).await.status, 200);
    let form = |token: String| [("token", token), ("email", "me@example.com".to_owned()), ("password", PASSWORD.to_owned())];
    for wrong in [token(&old), String::new(), "0".repeat(64)] {
        let fields = form(wrong);
        browser.form("/rpc/set-up", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
        assert!(!browser.cookies.contains_key("quittance"));
    }
    let fields = form(token(&link));
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = browser.form("/rpc/set-up", &fields).await;
    assert_eq!(reply.header("location"), "/merchants", "{reply:?}");
    assert_eq!(browser.get("/merchants").await.status, 200, "signed in");
    let mut second = Browser::new(app.address);
    second.form("/rpc/set-up", &[("token", &token(&link)), ("email", "you@example.com"), ("password", PASSWORD)]).await;
    assert!(!second.cookies.contains_key("quittance"));
    assert!(app.first_run_link().await.unwrap().is_none());
}

#[tokio::test]
async fn two_who_open_the_first_run_link_at_once_do_not_both_become_administrators() {
    let app = TestApp::start().await;
    let link = app.first_run_link().await.unwrap().unwrap();
    let (token, address) = (link.split_once("token=").unwrap().1, app.address);
    let emails: Vec<_> = (0..4).map(|number| format!("user{number}@example.com")).collect();
    let sets = emails.iter().map(|email| async move {
        let mut browser = Browser::new(address);
        browser.form("/rpc/set-up", &[("token", token), ("email", email), ("password", PASSWORD)]).await;
        browser.cookies.contains_key("quittance")
    });
    let made = futures::future::join_all(sets).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
}

#[tokio::test]
async fn after_signing_in_nobody_is_sent_to_another_site() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    for (next, expected) in [
        ("/m/shop/orders?text=a", "/m/shop/orders?text=a"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let fields = [("email", "admin@example.com"), ("password", PASSWORD), ("next", next)];
        let reply = Browser::new(app.address).form("/rpc/sign-in", &fields).await;
        assert_eq!(reply.header("location"), expected, "{next}");
    }
}

// Headers and pages.

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
