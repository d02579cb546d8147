//! Two who edit what belongs to a merchant as a whole: the second is told, nothing is overwritten silently, nothing typed is lost.

use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
};
use quittance::{
    domain::{OrderStatus, Role, Tags, id::UrlId, pages::settings::Thresholds},
    server::store::Merchant,
};

type Fields = &'static [(&'static str, &'static str)];

/// A form that two people have open.
struct Form {
    page: &'static str,
    path: &'static str,
    first: Fields,
    second: Fields,
    /// What only the second has typed, as the form shows it again.
    typed: &'static str,
    /// What is stored, as far as this form sets it.
    stored: fn(&Merchant) -> String,
    is_first: &'static str,
    is_second: &'static str,
}

const FORMS: [Form; 5] = [
    Form {
        page: "/m/shop/settings/content",
        path: "/rpc/settings/content",
        first: &[("triggers[]", "COMPLETE"), ("only", "false")],
        second: &[("triggers[]", "COMPLETE"), ("triggers[]", "REFUND"), ("only", "true"), ("other_tags", "MY_FIELD")],
        typed: "MY_FIELD</textarea>",
        stored: |merchant| format!("{} {}", merchant.triggers, if merchant.tags == Tags::All { "all" } else { "some" }),
        is_first: "COMPLETE all",
        is_second: "COMPLETE,REFUND some",
    },
    Form {
        page: "/m/shop/settings/alerts",
        path: "/rpc/settings/alerts",
        first: &[("mails", "first@example.com"), ("after", "7"), ("certificate", "14")],
        second: &[("mails", "second@example.com"), ("after", "9"), ("outstanding", "500")],
        typed: "value=\"second@example.com\"",
        stored: |merchant| {
            let alerts = merchant.alerts.as_ref().unwrap();
            let Thresholds { after, certificate, outstanding } = alerts.thresholds;
            format!("{} {after} {certificate:?} {outstanding:?}", alerts.mails.join(","))
        },
        is_first: "first@example.com 420 Some(14) None",
        is_second: "second@example.com 540 None Some(500)",
    },
    Form {
        page: "/m/shop/settings/mail",
        path: "/rpc/settings/mail/sender",
        first: &[("sender_name", "First name"), ("sender", "first@example.com")],
        second: &[("sender_name", "Second name"), ("sender", "second@example.com"), ("tests", "true")],
        typed: "value=\"Second name\"",
        stored: |merchant| {
            let mail = merchant.mail.clone().unwrap_or_default();
            format!("{} {} {}", mail.sender_name, mail.sender, mail.tests)
        },
        is_first: "First name first@example.com false",
        is_second: "Second name second@example.com true",
    },
    Form {
        page: "/m/shop/settings/mail?status=paid",
        path: "/rpc/settings/mail/template",
        first: &[("status", "paid"), ("enabled", "true"), ("subject", "First {order}"), ("text", "The first text")],
        second: &[("status", "paid"), ("subject", "Second {order}"), ("text", "The second text")],
        typed: "The second text</textarea>",
        stored: |merchant| {
            let template = merchant.mail.clone().unwrap_or_default().template(OrderStatus::Paid);
            format!("{} {} {}", template.subject, template.text, template.since.is_some())
        },
        is_first: "First {order} The first text true",
        is_second: "Second {order} The second text false",
    },
    Form {
        page: "/m/shop/settings/time-zone",
        path: "/rpc/merchants/time-zone",
        first: &[("time_zone", "Europe/Bucharest")],
        second: &[("time_zone", "America/New_York")],
        typed: "value=\"America/New_York\" required",
        stored: |merchant| merchant.zone.name().to_owned(),
        is_first: "Europe/Bucharest",
        is_second: "America/New_York",
    },
];

/// The version that a form on a page was made from.
fn version(page: &str, path: &str) -> String {
    let action = format!("action=\"{path}\"");
    let form = page.split("<form").find(|part| part.contains(&action)).unwrap_or_else(|| panic!("no form to {path}: {page}"));
    let field = form.split("<input").find(|part| part.contains("name=\"version\"")).unwrap();
    field.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn with(fields: Fields, version: &str) -> Vec<(&'static str, String)> {
    let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned()));
    fields.chain([("merchant", "shop".to_owned()), ("version", version.to_owned())]).collect()
}

/// Sends a form and reads the page after it.
async fn send(browser: &mut Browser, path: &str, fields: &[(&str, String)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = browser.form(path, &fields).await;
    assert_eq!(reply.status, 302, "{path}: {reply:?}");
    let page = reply.header("location").to_owned();
    browser.get(&page).await.text()
}

async fn house() -> (TestApp, Shop, [Browser; 2]) {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let admin = Browser::signed_in(app.address, "admin@example.com").await;
    let owner = Browser::signed_in(app.address, "owner@example.com").await;
    (app, shop, [admin, owner])
}

#[tokio::test]
async fn the_second_of_two_who_edit_a_merchants_settings_is_told() {
    let (app, shop, [mut admin, mut owner]) = house().await;
    for form in FORMS {
        let Form { page, path, .. } = form;
        let stored = || (form.stored)(app.services.store.settings().merchant(shop.merchant.id).unwrap());
        let seen = version(&admin.get(page).await.text(), path);
        assert_eq!(version(&owner.get(page).await.text(), path), seen, "{path}: both see the same");
        let text = send(&mut admin, path, &with(form.first, &seen)).await;
        assert!(!text.contains("somebody else"), "{path}: {text}");
        assert_eq!(stored(), form.is_first, "{path}");

        let text = send(&mut owner, path, &with(form.second, &seen)).await;
        for part in ["somebody else has changed this meanwhile", "admin@example.com", "Save mine over it", form.typed] {
            assert!(text.contains(part), "{path}: {part}: {text}");
        }
        assert_eq!(stored(), form.is_first, "{path}: nothing was overwritten");
        let fields = with(form.second, &seen);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let script = owner.call("POST", path, &fields).await;
        assert!(script.status >= 400 && script.text().contains("\"changed\""), "{path}: a script is told, too: {script:?}");
        assert_eq!(stored(), form.is_first, "{path}");

        let newest = version(&text, path);
        assert_ne!(newest, seen, "{path}: the form is made from what is stored now");
        let text = send(&mut owner, path, &with(form.second, &newest)).await;
        assert!(!text.contains("somebody else"), "{path}: {text}");
        assert_eq!(stored(), form.is_second, "{path}: he has seen what he overwrites");
    }
}

#[tokio::test]
async fn whoever_took_what_is_stored_instead_has_overwritten_nothing() {
    let (app, shop, [mut admin, mut owner]) = house().await;
    for form in FORMS {
        let Form { page, path, .. } = form;
        let seen = version(&admin.get(page).await.text(), path);
        send(&mut admin, path, &with(form.first, &seen)).await;
        let text = send(&mut owner, path, &with(form.second, &seen)).await;
        assert!(text.contains("take what is stored now"), "{path}: {text}");
        let fresh = owner.get(page).await.text();
        assert!(!fresh.contains("somebody else") && !fresh.contains(form.typed), "{path}: {fresh}");
        let stored = (form.stored)(app.services.store.settings().merchant(shop.merchant.id).unwrap());
        assert_eq!(stored, form.is_first, "{path}");
    }
}

const URLS: &str = "/m/shop/settings/urls";
const KEY: &str = "/m/shop/settings/key";
const TOLD: &str = "Not done: somebody else has changed";

/// Presses a button of the shop's only URL, on a page that showed a version of it.
async fn press(browser: &mut Browser, act: &str, url: UrlId, held: Option<bool>, seen: &str) -> String {
    let held = held.map(|held| ("held", held.to_string()));
    let fields = [("merchant", "shop".to_owned()), ("id", url.to_string()), ("version", seen.to_owned())];
    send(browser, act, &fields.into_iter().chain(held).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_url_that_leads_elsewhere_by_now_is_not_removed_held_or_released() {
    let (app, shop, [mut admin, mut owner]) = house().await;
    let url = shop.url("http://127.0.0.1:9/old").await;
    let found = || app.services.store.settings().url(url).cloned();
    let page = owner.get(URLS).await.text();
    let seen = version(&page, "/rpc/urls/remove");
    assert_eq!(version(&page, "/rpc/urls/hold"), seen);
    let address = "http://127.0.0.1:9/production";
    let draft = crate::support::stores::url_draft(shop.merchant.id, address);
    shop.services.store.update_url(url, draft, "admin@example.com").await.unwrap();

    let mut newest = String::new();
    for (act, held) in [("/rpc/urls/remove", None), ("/rpc/urls/hold", Some(true))] {
        let text = press(&mut owner, act, url, held, &seen).await;
        for part in [TOLD, "admin@example.com", address] {
            assert!(text.contains(part), "{act}: {part}: {text}");
        }
        assert!(found().is_some_and(|url| !url.held), "{act}");
        newest = version(&text, act);
        assert_ne!(newest, seen, "{act}: the button is that of the page as it is now");
    }
    let hold = |held: bool| (Some(held), "/rpc/urls/hold");
    let (on, act) = hold(true);
    assert!(!press(&mut owner, act, url, on, &newest).await.contains(TOLD));
    assert!(found().unwrap().held);
    // Somebody with the same old page wants the same: there is nothing to tell. Whoever wants the opposite has not seen the hold.
    assert!(!press(&mut admin, act, url, on, &newest).await.contains(TOLD));
    assert!(press(&mut admin, act, url, hold(false).0, &newest).await.contains(TOLD));
    assert!(found().unwrap().held);
    let newest = version(&admin.get(URLS).await.text(), "/rpc/urls/remove");
    assert!(press(&mut admin, "/rpc/urls/remove", url, None, &newest).await.contains("Removed."));
    assert!(found().is_none());
}

#[tokio::test]
async fn the_old_key_that_ends_is_the_one_that_the_page_named() {
    let (app, shop, [mut admin, mut owner]) = house().await;
    let old = || app.services.store.settings().merchant(shop.merchant.id).unwrap().old_key.clone().unwrap();
    let change = async |admin: &mut Browser, key: &str| {
        let fields = [("merchant", "shop"), ("secret_key", key), ("overlap", "86400")];
        let fields = fields.map(|(name, value)| (name, value.to_owned()));
        assert!(send(admin, "/rpc/settings/key", &fields).await.contains("The secret key was changed."));
    };
    let end = async |browser: &mut Browser, seen: &str| {
        let fields = [("merchant", "shop".to_owned()), ("version", seen.to_owned())];
        send(browser, "/rpc/settings/key/end", &fields).await
    };
    change(&mut admin, "the first new key").await;
    let seen = version(&owner.get(KEY).await.text(), "/rpc/settings/key/end");
    change(&mut admin, "the second new key").await;
    let text = end(&mut owner, &seen).await;
    assert!(text.contains(TOLD) && text.contains("admin@example.com") && !text.contains("has ended"), "{text}");
    assert_eq!(old().key.reveal(), b"the first new key");
    assert!(old().until > app.services.clock.now(), "it is valid still");
    let newest = version(&text, "/rpc/settings/key/end");
    assert!(end(&mut owner, &newest).await.contains("The old key has ended."));
    assert!(old().until <= app.services.clock.now());
    assert!(end(&mut admin, &newest).await.contains("No old key was valid any more."));
}
