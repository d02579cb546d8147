//! People in the panel over real HTTP: invitations, rights, the audit log, two who edit the same, double clicks.

use crate::support::{
    app::{PASSWORD, Shop, TestApp},
    browser::Browser,
    gateway::Reply,
    merchant::FakeMerchant,
};
use quittance::domain::{DeliveryState, Role, id::OrderId};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const NEW_PASSWORD: &str = "another long password";

async fn house() -> (TestApp, Shop, Shop) {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    (app, shop, other)
}

async fn browser(app: &TestApp, name: &str) -> Browser {
    Browser::signed_in(app.address, &format!("{name}@example.com")).await
}

async fn id_of(app: &TestApp, email: &str) -> String {
    app.services.store.user_by_email(email).await.unwrap().unwrap().id.to_string()
}

/// Sends a form and reads the page after it.
async fn send(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> String {
    let reply = browser.form(path, fields).await;
    assert_eq!(reply.status, 302, "{path}: {reply:?}");
    let page = reply.header("location").to_owned();
    browser.get(&page).await.text()
}

/// The value of a hidden field of a page.
fn hidden(page: &str, form: &str, name: &str) -> String {
    let form = page.split("<form").find(|part| part.contains(form)).unwrap_or_else(|| panic!("no {form}: {page}"));
    let field = form.split("<input").find(|part| part.contains(&format!("name=\"{name}\""))).unwrap();
    field.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// The token of a link that a page shows.
fn token(page: &str) -> String {
    let text = page.split("/join?token=").nth(1).unwrap_or_else(|| panic!("no link: {page}"));
    text.chars().take_while(char::is_ascii_hexdigit).collect()
}

async fn invite(browser: &mut Browser, email: &str, role: &str, merchants: &[&str]) -> String {
    let mut fields = vec![("email", email), ("role", role)];
    let names: Vec<String> = (0..merchants.len()).map(|at| format!("merchants[{at}]")).collect();
    fields.extend(names.iter().map(String::as_str).zip(merchants.iter().copied()));
    send(browser, "/rpc/users/invite", &fields).await
}

async fn join(app: &TestApp, token: &str, password: &str) -> (Browser, Reply) {
    let mut fresh = Browser::new(app.address);
    let reply = fresh.form("/rpc/join", &[("token", token), ("password", password)]).await;
    (fresh, reply)
}

// Invitations.

#[tokio::test]
async fn an_invitation_is_accepted_once() {
    let (app, ..) = house().await;
    let mut admin = browser(&app, "admin").await;
    let page = invite(&mut admin, " New@Example.com", "merchant", &["shop"]).await;
    assert!(page.contains("Copy the link for new@example.com now"), "{page}");
    let token = token(&page);
    assert_eq!(token.len(), 64);
    assert!(!app.dump().await.contains(&token), "only its hash is stored");
    assert!(!admin.get("/people").await.text().contains("/join?token="), "shown once");
    assert!(admin.get("/people").await.text().contains("Invited"));
    let mut fresh = Browser::new(app.address);
    let page = fresh.get(&format!("/join?token={token}")).await;
    assert!(page.status == 200 && page.text().contains("new@example.com"), "{page:?}");
    assert_eq!(fresh.sign_in("new@example.com", "").await.header("location"), "/sign-in", "no password is none");
    let (short, _) = join(&app, &token, "short").await;
    assert!(!short.cookies.contains_key("quittance"));
    let (mut joined, reply) = join(&app, &token, NEW_PASSWORD).await;
    assert_eq!(reply.header("location"), "/", "{reply:?}");
    // Whoever has one merchant is led on to him, and learns there that it worked.
    let start = joined.get("/").await;
    assert_eq!((start.status, start.header("location")), (302, "/m/shop"), "{start:?}");
    let page = joined.get("/m/shop").await;
    assert!(page.status == 200 && page.text().contains("Your password is set"), "{page:?}");
    assert_eq!(joined.get("/m/other").await.status, 404);
    let (second, _) = join(&app, &token, "a third long password").await;
    assert!(!second.cookies.contains_key("quittance"), "it works once");
    assert!(Browser::new(app.address).get(&format!("/join?token={token}")).await.text().contains("does not work any more"));
    let mut again = Browser::new(app.address);
    again.sign_in("new@example.com", NEW_PASSWORD).await;
    assert!(again.cookies.contains_key("quittance"));
}

#[tokio::test]
async fn an_invitation_ends_by_itself_and_cannot_be_guessed() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut admin = browser(&app, "admin").await;
    let good = token(&invite(&mut admin, "new@example.com", "support", &[]).await);
    let turned: String = good.chars().rev().collect();
    for wrong in ["", "0", &"0".repeat(64), &turned, &good[..63], &good.to_uppercase(), &format!("{good} ")] {
        let (guessed, reply) = join(&app, wrong, NEW_PASSWORD).await;
        assert!(!guessed.cookies.contains_key("quittance"), "{wrong}: {reply:?}");
    }
    hand.advance(DAY * 7 - Duration::from_secs(1));
    assert!(Browser::new(app.address).get(&format!("/join?token={good}")).await.text().contains("new@example.com"));
    hand.advance(Duration::from_secs(1));
    let (late, _) = join(&app, &good, NEW_PASSWORD).await;
    assert!(!late.cookies.contains_key("quittance"));
    let mut admin = browser(&app, "admin").await;
    assert!(admin.get("/people").await.text().contains("Invitation lapsed"));
    let id = id_of(&app, "new@example.com").await;
    let fresh = token(&send(&mut admin, "/rpc/users/link", &[("user", &id)]).await);
    let (joined, _) = join(&app, &fresh, NEW_PASSWORD).await;
    assert!(joined.cookies.contains_key("quittance"));
}

#[tokio::test]
async fn an_invitation_can_be_made_anew_and_withdrawn() {
    let (app, ..) = house().await;
    let mut admin = browser(&app, "admin").await;
    let first = token(&invite(&mut admin, "new@example.com", "support", &[]).await);
    let twice = invite(&mut admin, "new@example.com", "support", &[]).await;
    assert!(twice.contains("There is a user with this e-mail address already"), "{twice}");
    let id = id_of(&app, "new@example.com").await;
    let second = token(&send(&mut admin, "/rpc/users/link", &[("user", &id)]).await);
    let (old, _) = join(&app, &first, NEW_PASSWORD).await;
    assert!(!old.cookies.contains_key("quittance"), "the newer link takes its place");
    send(&mut admin, "/rpc/users/withdraw", &[("user", &id)]).await;
    let (gone, _) = join(&app, &second, NEW_PASSWORD).await;
    assert!(!gone.cookies.contains_key("quittance"));
    assert!(!admin.get("/people").await.text().contains("new@example.com"));
    invite(&mut admin, "new@example.com", "support", &[]).await;
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link() {
    let (app, ..) = house().await;
    let mut admin = browser(&app, "admin").await;
    let mut open = browser(&app, "support").await;
    let id = id_of(&app, "support@example.com").await;
    let link = token(&send(&mut admin, "/rpc/users/link", &[("user", &id)]).await);
    browser(&app, "support").await;
    let (joined, _) = join(&app, &link, NEW_PASSWORD).await;
    assert!(joined.cookies.contains_key("quittance"));
    assert_eq!(open.get("/account").await.status, 303, "his sessions have ended");
    let mut old = Browser::new(app.address);
    old.sign_in("support@example.com", PASSWORD).await;
    assert!(!old.cookies.contains_key("quittance"));
}

// Rights.

#[tokio::test]
async fn an_owner_manages_people_of_his_own_merchants_alone() {
    let (app, shop, other) = house().await;
    app.user("colleague@example.com", Role::Support, &[&shop]).await;
    app.user("both@example.com", Role::Merchant, &[&shop, &other]).await;
    let mut owner = browser(&app, "owner").await;
    let page = owner.get("/people").await.text();
    assert!(page.contains("colleague@example.com") && page.contains("owner@example.com"), "{page}");
    let list = owner.call_json("/rpc/users", &serde_json::json!({ "people": { "text": "", "after": null } })).await.text();
    for nobody in ["admin@", "both@", "support@", "\"other\""] {
        assert!(!list.contains(nobody), "{nobody}: {list}");
    }
    for name in ["admin", "both", "support", "owner"] {
        let id = id_of(&app, &format!("{name}@example.com")).await;
        let before = app.services.store.user_by_email(&format!("{name}@example.com")).await.unwrap().unwrap();
        for (path, more) in [
            ("/rpc/users/save", [("role", "support"), ("merchants[0]", "shop")]),
            ("/rpc/users/disable", [("disabled", "true"), ("x", "")]),
            ("/rpc/users/link", [("x", ""), ("y", "")]),
            ("/rpc/users/withdraw", [("x", ""), ("y", "")]),
        ] {
            let fields = [("user", id.as_str()), more[0], more[1]];
            let reply = owner.call("POST", path, &fields).await;
            assert_eq!(reply.text(), "\"not-found\"", "{path} {name}");
        }
        let after = app.services.store.user_by_email(&format!("{name}@example.com")).await.unwrap().unwrap();
        assert_eq!((after.role, after.version, after.disabled), (before.role, before.version, false));
    }
    for (role, merchants) in [("admin", &["shop"][..]), ("merchant", &["other"]), ("support", &[]), ("merchant", &[])] {
        let page = invite(&mut owner, "new@example.com", role, merchants).await;
        assert!(!page.contains("/join?token="), "{role} {merchants:?}");
        assert!(page.contains("Please correct what is marked below"), "{role} {merchants:?}: {page}");
    }
    let page = invite(&mut owner, "new@example.com", "support", &["shop"]).await;
    assert!(page.contains("/join?token="), "{page}");
    let id = id_of(&app, "colleague@example.com").await;
    let page = send(&mut owner, "/rpc/users/disable", &[("user", &id), ("disabled", "true")]).await;
    assert!(page.contains("All sessions have ended"), "{page}");
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once_and_the_last_administrator_stays() {
    let (app, ..) = house().await;
    let mut admin = browser(&app, "admin").await;
    let mut support = browser(&app, "support").await;
    assert_eq!(support.get("/account").await.status, 200);
    let id = id_of(&app, "support@example.com").await;
    send(&mut admin, "/rpc/users/disable", &[("user", &id), ("disabled", "true")]).await;
    assert_eq!(support.get("/account").await.status, 303);
    assert_eq!(support.call("GET", "/rpc/viewer", &[]).await.text(), "\"sign-in\"");
    let answer = support.call("POST", "/rpc/sign-in", &[("email", "support@example.com"), ("password", PASSWORD)]).await.text();
    assert!(answer.contains("password is wrong"), "what is wrong is not told: {answer}");
    send(&mut admin, "/rpc/users/disable", &[("user", &id), ("disabled", "false")]).await;
    browser(&app, "support").await;
    let own = id_of(&app, "admin@example.com").await;
    let page = send(&mut admin, "/rpc/users/disable", &[("user", &own), ("disabled", "true")]).await;
    assert!(page.contains("last administrator"), "{page}");
    let page = send(&mut admin, "/rpc/users/save", &[("user", &own), ("role", "support")]).await;
    assert!(page.contains("last administrator"), "{page}");
    send(&mut admin, "/rpc/users/save", &[("user", &id), ("role", "admin")]).await;
    let reply = admin.form("/rpc/users/save", &[("user", &own), ("role", "support")]).await;
    assert_eq!(reply.header("location"), "/account");
    assert_eq!(admin.get("/people").await.status, 403, "it counts from the next request on");
}

#[tokio::test]
async fn somebody_sees_where_he_is_signed_in_and_ends_the_others() {
    let (app, ..) = house().await;
    let mut phone = Browser::new(app.address);
    phone
        .headers
        .push(("user-agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1".to_owned()));
    phone.sign_in("support@example.com", PASSWORD).await;
    let mut desk = browser(&app, "support").await;
    let page = desk.get("/account").await.text();
    assert!(page.contains("Safari on iPhone") && page.contains("127.0.0.1") && page.contains("this one"), "{page}");
    let page = send(&mut desk, "/rpc/sessions/end-others", &[]).await;
    assert!(page.contains("Your other session has ended") && !page.contains("Safari on iPhone"), "{page}");
    assert_eq!(phone.get("/account").await.status, 303);
    assert_eq!(desk.get("/account").await.status, 200);
}

// The audit log.

#[tokio::test]
async fn the_log_tells_what_was_done_and_leads_on() {
    let (app, shop, _) = house().await;
    let mut owner = browser(&app, "owner").await;
    send(&mut owner, "/rpc/settings/key", &[("merchant", "shop"), ("secret_key", "a-key-that-nobody-may-read")]).await;
    let url = shop.url("http://127.0.0.1:9/").await.to_string();
    send(&mut owner, "/rpc/urls/hold", &[("merchant", "shop"), ("id", &url), ("held", "true")]).await;
    let test = [("status", "COMPLETE"), ("product", "P"), ("amount", "1.00"), ("currency", "EUR"), ("email", "b@example.com")];
    send(&mut owner, "/rpc/orders/test", &[&[("merchant", "shop")], &test[..]].concat()).await;
    let log = owner.get("/m/shop/audit").await.text();
    for part in [
        "Changed the secret key",
        "Put a URL on hold",
        "Placed a TEST order",
        "Added a listener",
        "owner@example.com",
        "127.0.0.1",
        "Secret key: changed",
    ] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!log.contains("a-key-that-nobody-may-read") && !log.contains("gateway-secret"));
    let only = owner.get("/m/shop/audit?actor=owner%40example.com&action=url.hold").await.text();
    assert!(only.matches("<strong>").count() == 1 && only.contains("<strong>Put a URL on hold"), "{only}");
    assert!(owner.get("/m/shop/audit?from=2001-01-01&until=2001-01-02").await.text().contains("Nothing here"));
    assert_eq!(owner.get("/m/other/audit").await.status, 404);
    assert_eq!(owner.get("/audit").await.status, 403);
    for number in 0..120 {
        let held = if number % 2 == 0 { "false" } else { "true" };
        owner.form("/rpc/urls/hold", &[("merchant", "shop"), ("id", &url), ("held", held)]).await;
    }
    let first = owner.get("/m/shop/audit").await.text();
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let second = owner.get(&next).await.text();
    assert_eq!(first.matches("<strong>").count(), 100);
    assert!(second.contains("Added a merchant") && second.contains("Newest lines"), "{second}");
    let mut admin = browser(&app, "admin").await;
    let whole = admin.get("/audit?action=sign-in").await.text();
    assert!(whole.contains("owner@example.com") && whole.contains("Signed in"), "{whole}");
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_do_not_fill_the_log() {
    let (app, ..) = house().await;
    let nobody = Browser::new(app.address);
    for _ in 0..3 {
        nobody.clone().sign_in("admin@example.com", "wrong wrong wrong").await;
    }
    let mut admin = browser(&app, "admin").await;
    assert!(admin.get("/audit?action=sign-in").await.text().contains("after 3 wrong passwords"));
    for _ in 0..20 {
        nobody.clone().sign_in("owner@example.com", "wrong wrong wrong").await;
        nobody.clone().sign_in("no-such-person@example.com", "wrong wrong wrong").await;
    }
    let log = admin.get("/audit?action=sign-in.refused").await.text();
    assert!(log.contains("owner@example.com") && log.contains("8 wrong passwords"), "{log}");
    assert!(!log.contains("no-such-person"), "what was typed for an address may be a password");
    assert!(log.matches("<strong>").count() <= 3, "{log}");
}

// Two who edit the same.

#[tokio::test]
async fn the_second_of_two_who_edit_the_same_is_told() {
    let (app, shop, _) = house().await;
    let script = FakeMerchant::confirming().await;
    let id = shop.url(&script.url()).await.to_string();
    let page = format!("/m/shop/settings/urls/{id}");
    let (mut owner, mut admin) = (browser(&app, "owner").await, browser(&app, "admin").await);
    let save = |label: &'static str, version: String| {
        let url = script.url();
        vec![
            ("merchant", "shop".to_owned()),
            ("id", id.clone()),
            ("label", label.to_owned()),
            ("url", url),
            ("md5", "true".to_owned()),
            ("version", version),
        ]
    };
    let seen = hidden(&owner.get(&page).await.text(), "/rpc/urls/save", "version");
    let fields =
        |fields: &[(&'static str, String)]| fields.iter().map(|(name, value)| (*name, value.clone())).collect::<Vec<_>>();
    let post = |browser: &Browser, wish: Vec<(&'static str, String)>| {
        let mut browser = browser.clone();
        async move {
            let wish: Vec<(&str, &str)> = wish.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let text = send(&mut browser, "/rpc/urls/save", &wish).await;
            (browser, text)
        }
    };
    let (_, text) = post(&admin, fields(&save("By the administrator", seen.clone()))).await;
    assert!(text.contains("Saved. The URL answered 200"), "{text}");
    let (_, text) = post(&owner, fields(&save("By the owner", seen.clone()))).await;
    for part in [
        "somebody else has changed this meanwhile",
        "admin@example.com",
        "By the administrator",
        "By the owner",
        "Save mine over it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(app.services.store.settings().url(id.parse().unwrap()).unwrap().label, "By the administrator");
    let newest = hidden(&text, "/rpc/urls/save", "version");
    assert_ne!(newest, seen);
    post(&owner, fields(&save("By the owner", newest))).await;
    assert_eq!(app.services.store.settings().url(id.parse().unwrap()).unwrap().label, "By the owner");

    // A listener, the key, and a user.
    let listener = shop.listener_id().to_string();
    let seen = hidden(&admin.get(&format!("/m/shop/listeners/{listener}")).await.text(), "/rpc/listeners/save", "version");
    let change = [
        ("merchant", "shop"),
        ("id", &listener),
        ("gateway", "2checkout"),
        ("md5", "true"),
        ("enabled", "true"),
        ("version", &seen),
    ];
    let change = |label: &'static str| [&change[..], &[("label", label)]].concat();
    assert!(send(&mut admin, "/rpc/listeners/save", &change("First")).await.contains("Saved."));
    let text = send(&mut owner, "/rpc/listeners/save", &change("Second")).await;
    assert!(text.contains("somebody else has changed this") && text.contains("Second") && text.contains("First"), "{text}");
    let seen = hidden(&admin.get("/m/shop/settings/key").await.text(), "id=\"own-key\"", "version");
    let key = |key: &'static str| vec![("merchant", "shop"), ("secret_key", key), ("version", seen.as_str())];
    send(&mut admin, "/rpc/settings/key", &key("the first key")).await;
    let text = send(&mut owner, "/rpc/settings/key", &key("the second key")).await;
    assert!(text.contains("somebody else has changed this") && !text.contains("the second key"), "{text}");
    assert_eq!(app.services.store.settings().merchant(shop.merchant.id).unwrap().secret_key.reveal(), b"the first key");
    let id = id_of(&app, "support@example.com").await;
    let seen = hidden(&admin.get(&format!("/people/{id}")).await.text(), "/rpc/users/save", "version");
    let rights =
        |role: &'static str| vec![("user", id.as_str()), ("role", role), ("merchants[0]", "shop"), ("version", seen.as_str())];
    send(&mut admin, "/rpc/users/save", &rights("merchant")).await;
    let text = send(&mut admin, "/rpc/users/save", &rights("support")).await;
    assert!(text.contains("somebody else has changed this") && text.contains("Merchant"), "{text}");
    let script_says = admin.call("POST", "/rpc/users/save", &rights("support")).await.text();
    assert!(script_says.contains("\"changed\""), "{script_says}");
}

// Double clicks.

#[tokio::test]
async fn a_double_click_on_rights_is_no_conflict() {
    let (app, ..) = house().await;
    let mut admin = browser(&app, "admin").await;
    let id = id_of(&app, "support@example.com").await;
    let page = format!("/people/{id}");
    let text = admin.get(&page).await.text();
    let version = text.split("name=\"version\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let fields = [("user", id.as_str()), ("role", "merchant"), ("merchants[0]", "shop"), ("version", version), ("form_key", "k")];
    let (mut one, mut two) = (admin.clone(), admin.clone());
    let (first, second) = futures::future::join(one.form("/rpc/users/save", &fields), two.form("/rpc/users/save", &fields)).await;
    assert_eq!((first.header("location"), second.header("location")), (page.as_str(), page.as_str()));
    for browser in [&mut one, &mut two] {
        let text = browser.get(&page).await.text();
        assert!(text.contains("Saved. It counts from the next request on.") && !text.contains("somebody else"), "{text}");
    }
}

#[tokio::test]
async fn a_double_click_makes_one() {
    let (app, shop, _) = house().await;
    let script = FakeMerchant::confirming().await;
    let owner = browser(&app, "owner").await;
    let twice = |path: &'static str, fields: Vec<(&'static str, String)>| {
        let (mut one, mut two) = (owner.clone(), owner.clone());
        async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let (one, two) = futures::future::join(one.form(path, &fields), two.form(path, &fields)).await;
            assert_eq!((one.status, two.status), (302, 302), "{path}");
            assert_eq!(one.header("location"), two.header("location"), "{path}");
            one.header("location").to_owned()
        }
    };
    let text = |name: &'static str, value: &str| (name, value.to_owned());
    let common = |key: &str| vec![text("merchant", "shop"), text("form_key", key)];
    // Each has an address of its own: of two that are the same the second is asked about first.
    let url = |key: &str, label: &str| {
        let address = format!("{}?{}", script.url(), label.len());
        [common(key), vec![text("label", label), ("url", address), text("md5", "true")]].concat()
    };
    twice("/rpc/urls/save", url("a", "Once")).await;
    assert_eq!(app.services.store.settings().urls_of(shop.merchant.id).len(), 1);
    twice("/rpc/urls/save", url("a", "Entered after going back")).await;
    assert_eq!(app.services.store.settings().urls_of(shop.merchant.id).len(), 2, "what differs is another wish");
    let listener =
        [common("b"), vec![text("gateway", "2checkout"), text("secret", "s"), text("md5", "true"), text("enabled", "true")]];
    let page = twice("/rpc/listeners/save", listener.concat()).await;
    assert_eq!(app.services.store.settings().listeners_of(shop.merchant.id).len(), 2);
    assert!(page.starts_with("/m/shop/listeners/"), "{page}");
    let order = ["status=COMPLETE", "product=P", "amount=1.00", "currency=EUR", "email=b@example.com"];
    let order: Vec<_> =
        order.iter().map(|field| field.split_once('=').unwrap()).map(|(name, value)| (name, value.to_owned())).collect();
    let page = twice("/rpc/orders/test", [common("c"), order].concat()).await;
    let order: OrderId = page.rsplit('/').next().unwrap().parse().unwrap();
    let urls: Vec<_> = app.services.store.settings().urls_of(shop.merchant.id).iter().map(|url| url.id).collect();
    for url in urls {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    assert_eq!(script.visits().len(), 4, "for each of two URLs its check and one delivery");
    // The link of an invitation is the same for both: whichever answer arrives shows one that works.
    let (mut one, mut two) = (owner.clone(), owner.clone());
    let fields = [("email", "new@example.com"), ("role", "support"), ("merchants[0]", "shop"), ("form_key", "d")];
    let (first, second) =
        futures::future::join(send(&mut one, "/rpc/users/invite", &fields), send(&mut two, "/rpc/users/invite", &fields)).await;
    assert_eq!(token(&first), token(&second));
    assert!(!app.dump().await.contains(&token(&first)), "the kept answer is sealed");
    let (joined, _) = join(&app, &token(&first), NEW_PASSWORD).await;
    assert!(joined.cookies.contains_key("quittance"));
    // What failed can be sent again with the same key.
    let wrong = [("merchant", "shop"), ("gateway", "2checkout"), ("form_key", "e"), ("enabled", "true")];
    one.form("/rpc/listeners/save", &wrong).await;
    let right = [&wrong[..], &[("secret", "s"), ("md5", "true")]].concat();
    one.form("/rpc/listeners/save", &right).await;
    assert_eq!(app.services.store.settings().listeners_of(shop.merchant.id).len(), 3);
}
