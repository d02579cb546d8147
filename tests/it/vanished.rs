//! What a page showed is gone when it is looked at again, or when something is done on it: removed by retention, or by somebody
//! else. The page says so, and nothing is half shown.

use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
    gateway::Reply,
    merchant::FakeMerchant,
};
use quittance::{
    domain::{DeliveryState, Role, attempt::Origin, id::OrderId, id::UrlId},
    server::{retention, store::Horizon},
};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The page says that there is nothing, and where to go on.
fn assert_gone(address: &str, reply: &Reply) {
    assert!([404, 410].contains(&reply.status), "{address}: {reply:?}");
    let text = reply.text();
    assert!(text.contains("<h1>") && text.contains("href=\"/\"") && text.contains("action=\"/search\""), "{address}: {text}");
}

/// An order with a confirmed delivery and a resend for debug; and every page that shows something of them, by what it shows.
async fn shown(shop: &Shop, url: UrlId) -> (OrderId, [(&'static str, String); 6]) {
    let order = shop.order("9001").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let watched = shop.resend(order, Some(url), Origin::Debug, "debug").await[0];
    shop.wait_for(order, url, |delivery| delivery.id == watched && delivery.state == DeliveryState::Confirmed).await;
    let (id, notification) = (delivery.id, delivery.notification_id);
    let pages = [
        ("order", format!("/m/shop/orders/{order}")),
        ("delivery", format!("/m/shop/deliveries/{id}")),
        ("attempt", format!("/m/shop/deliveries/{id}/1")),
        ("notification", format!("/m/shop/notifications/{notification}")),
        ("resend", format!("/m/shop/notifications/{notification}/resend")),
        ("exchanges", format!("/m/shop/orders/{order}/exchanges/{watched}")),
    ];
    (order, pages)
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_said_on_every_page_that_showed_it() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let script = FakeMerchant::confirming().await;
    let url = shop.url(&script.url()).await;
    let (order, pages) = shown(&shop, url).await;
    app.user("support@example.com", Role::Support, &[&shop]).await;
    let mut browser = Browser::signed_in(app.address, "support@example.com").await;
    for (_, page) in &pages {
        assert_eq!(browser.get(page).await.status, 200, "{page}");
    }
    hand.advance(DAY);
    let mut browser = Browser::signed_in(app.address, "support@example.com").await;
    let now = app.services.clock.now();
    retention::once(&app.services.store, Horizon { bytes_before: now, ledger_before: now.minus(DAY * 2) }).await.unwrap();
    for (what, page) in &pages {
        let reply = browser.get(page).await;
        let text = reply.text();
        match *what {
            "attempt" => assert_gone(page, &reply),
            _ => assert_eq!(reply.status, 200, "{page}: {text}"),
        }
        let says = match *what {
            "order" => "not kept any more",
            "notification" => "Its bytes are not kept any more",
            "resend" => "It cannot be sent again",
            "exchanges" => "older than exchanges are kept",
            _ => continue,
        };
        assert!(text.contains(says), "{page} does not say {says}: {text}");
    }
    let (order_id, url_id) = (order.to_string(), url.to_string());
    let notification = pages[3].1.rsplit('/').next().unwrap();
    let wish = [
        ("merchant", "shop"),
        ("order", &order_id),
        ("notification", notification),
        ("urls[]", &url_id),
        ("request_key", "late"),
    ];
    let reply = browser.form("/rpc/orders/resend", &wish).await;
    let text = browser.get(reply.header("location")).await.text();
    assert!(text.contains("It cannot be sent again"), "whoever had the form open is told: {text}");

    retention::once(&app.services.store, Horizon { bytes_before: now, ledger_before: now }).await.unwrap();
    for (_, page) in &pages {
        assert_gone(page, &browser.get(page).await);
    }
    for (list, says) in [("orders", "No orders yet"), ("deliveries", "No deliver"), ("inbound", "Nothing")] {
        let reply = browser.get(&format!("/m/shop/{list}")).await;
        assert!(reply.status == 200 && reply.text().contains(says), "{list}: {}", reply.text());
        assert_eq!(browser.get(&format!("/m/shop/{list}.csv")).await.text().lines().count(), 1, "{list}");
    }
    assert!(browser.get("/search?text=9001").await.text().contains("Nothing fits"));
    let story = browser.call("GET", "/rpc/orders/story", &[("merchant", "shop"), ("order", &order.to_string())]).await;
    assert_eq!(story.text(), "\"not-found\"", "an open page learns it when it reads itself again");
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_url_that_somebody_else_has_removed_is_told_wherever_it_was_open() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let script = FakeMerchant::confirming().await;
    let url = shop.url(&script.url()).await;
    let (_, pages) = shown(&shop, url).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let mut admin = Browser::signed_in(app.address, "admin@example.com").await;
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let settings = format!("/m/shop/settings/urls/{url}");
    for page in [settings.clone(), format!("{settings}/kit")] {
        assert_eq!(owner.get(&page).await.status, 200, "{page}");
    }
    let id = url.to_string();
    let named = [("merchant", "shop"), ("id", id.as_str())];
    let reply = admin.form("/rpc/urls/remove", &named).await;
    assert!(admin.get(reply.header("location")).await.text().contains("Removed."));

    for (what, page) in &pages {
        let reply = owner.get(page).await;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{page}: {text}");
        let says = match *what {
            "resend" => "Every notification URL was removed",
            "exchanges" | "notification" => continue,
            _ => "removed from the settings",
        };
        assert!(text.contains(says), "{page} does not say {says}: {text}");
        assert!(!text.contains("action=\"/rpc/orders/resend\""), "{page} offers what cannot be: {text}");
    }
    for page in [settings.clone(), format!("{settings}/kit")] {
        assert_gone(&page, &owner.get(&page).await);
    }
    // Forms that were open meanwhile.
    let before = app.dump().await;
    let script = script.url();
    let saved = [&named[..], &[("url", script.as_str()), ("label", "Mine"), ("md5", "true"), ("version", "1")]].concat();
    let reply = owner.form("/rpc/urls/save", &saved).await;
    assert_gone("the form of the URL", &owner.get(reply.header("location")).await);
    for form in ["/rpc/urls/hold", "/rpc/urls/check", "/rpc/urls/remove"] {
        let reply = owner.form(form, &named).await;
        let page = owner.get(reply.header("location")).await;
        assert!(page.status == 200 && page.text().contains("There is nothing here"), "{form}: {}", page.text());
        assert_eq!(owner.call("POST", form, &named).await.text(), "\"not-found\"", "{form}");
    }
    let test = [("status", "COMPLETE"), ("product", "P"), ("amount", "1.00"), ("currency", "EUR"), ("email", "b@example.com")];
    let to = format!("url-{url}");
    let placed = [&[("merchant", "shop"), ("to", to.as_str())], &test[..]].concat();
    let reply = owner.form("/rpc/orders/test", &placed).await;
    let text = owner.get(reply.header("location")).await.text();
    assert!(text.contains("Please correct what is marked below") && text.contains("value=\"P\""), "{text}");
    assert_eq!(app.dump().await, before, "nothing of it came to anything");
}

#[tokio::test]
async fn a_view_and_a_user_that_are_gone_are_told() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let mut one = Browser::signed_in(app.address, "admin@example.com").await;
    let mut other = Browser::signed_in(app.address, "admin@example.com").await;
    let view = [("merchant", "shop"), ("list", "deliveries")];
    one.form("/rpc/views/save", &[&view[..], &[("name", "Late"), ("query", "?state=expired")]].concat()).await;
    let page = other.get("/m/shop/deliveries?state=expired").await.text();
    let id = page.split("name=\"view\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let remove = [&view[..], &[("view", id.as_str()), ("query", "?state=expired")]].concat();
    for (browser, says) in [(&mut one, "The view was removed."), (&mut other, "There is nothing here")] {
        let reply = browser.form("/rpc/views/remove", &remove).await;
        assert_eq!(reply.header("location"), "/m/shop/deliveries?state=expired", "the filter stays");
        let page = browser.get(reply.header("location")).await;
        assert!(page.status == 200 && page.text().contains(says), "{}", page.text());
        assert!(!page.text().contains(">Late<"));
    }

    one.form("/rpc/users/invite", &[("email", "new@example.com"), ("role", "support")]).await;
    let user = app.services.store.user_by_email("new@example.com").await.unwrap().unwrap().id.to_string();
    let person = format!("/people/{user}");
    assert_eq!(other.get(&person).await.status, 200);
    one.form("/rpc/users/withdraw", &[("user", &user)]).await;
    assert_gone(&person, &other.get(&person).await);
    for (form, more) in [("save", [("role", "support")]), ("disable", [("disabled", "true")]), ("link", [("form_key", "")])] {
        let path = format!("/rpc/users/{form}");
        let fields = [&[("user", user.as_str())], &more[..]].concat();
        assert_eq!(other.call("POST", &path, &fields).await.text(), "\"not-found\"", "{form}");
        let reply = other.form(&path, &fields).await;
        let page = other.get(reply.header("location")).await;
        assert!([200, 404].contains(&page.status) && page.text().contains("<h1"), "{form}: {page:?}");
    }
}
