//! Every page and every form that has something to say: all of it goes through the catalogue.

use super::marks::{outside, readable};
use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
    merchant::FakeMerchant,
    message::Message,
    until,
};
use quittance::{
    domain::{
        DeliveryState, Format, Role,
        pages::{
            bulk::{BulkState, BulkTarget},
            deliveries::{DeliveryFilter, StateFilter},
        },
    },
    words::{Language, allow_marked},
};
use std::{collections::BTreeMap, time::Duration};

/// A form: its function, its fields, and the page that tells of it.
type Form<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// Everything that a page can show, as far as tests can bring it about in a short time; gives the addresses of all pages.
async fn house(app: &TestApp) -> (Shop, Vec<String>, Vec<FakeMerchant>) {
    use crate::support::merchant::Answer;
    let confirming = FakeMerchant::confirming().await;
    let failing = FakeMerchant::start(|_| Answer::status(500, "Fatal error: out of memory on line 7")).await;
    let gone = FakeMerchant::start(|_| Answer::status(410, "")).await;
    let (shop, _other) = (app.shop("Shop").await, app.shop("Other").await);
    let main_url = confirming.url();
    let main = shop
        .url_as(&main_url, |draft| {
            draft.label = "Main".to_owned();
            draft.is_default = true;
        })
        .await;
    let bad = shop.url_as(&failing.url(), |draft| draft.label = "Failing".to_owned()).await;
    let lost = shop.url_as(&gone.url(), |draft| draft.label = "Gone".to_owned()).await;
    let on_hold = shop
        .url_as(&format!("{}2", confirming.url()), |draft| {
            draft.label = "Held".to_owned();
            draft.held = true;
            draft.terms.format = Format::PassThrough;
        })
        .await;
    let shadow = shop
        .url_as(&format!("{}3", failing.url()), |draft| {
            draft.label = "Shadow".to_owned();
            draft.terms.shadow = true;
            draft.terms.format = Format::Json;
            draft.concurrent = true;
        })
        .await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, main, DeliveryState::Confirmed).await;
    let retried = shop.wait_for_attempts(order, bad, 1).await;
    let held = shop.wait_for_attempts(order, lost, 1).await;
    shop.order("1").await;
    shop.accepted(&Message::small("1", "REFUND", "20260301120019")).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    crate::support::gateway::post(app.address, "/ipn/wrong", "REFNO=77").await;
    let late = shop.accepted(&Message::small("3", "REFUND", "20260301120009")).await;
    app.services.store.settled().await.unwrap();
    let filter = DeliveryFilter { state: Some(StateFilter::Retrying), ..DeliveryFilter::default() };
    let bulk =
        app.services.start_bulk(&shop.merchant, &filter, BulkTarget::All, "k".to_owned(), "admin@example.com", Duration::ZERO);
    let bulk = bulk.await.unwrap();
    until("a bulk resend to end", || async {
        let page = shop.services.bulk_page(&shop.merchant, bulk, true).await.unwrap();
        (page.job.state == BulkState::Done).then_some(())
    })
    .await;
    let watched = shop.resend(order, Some(bad), quittance::domain::attempt::Origin::Debug, "debug").await;
    shop.wait_for(order, bad, |delivery| watched.contains(&delivery.id) && delivery.attempts > 0).await;
    let refused = shop.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused;
    let colleague = app.services.store.user_by_email("support@example.com").await.unwrap().unwrap();
    let m = "/m/shop";
    let (listener, notification, resent) = (shop.listener_id(), delivery.notification_id, watched[0]);
    let mut pages: Vec<String> = [
        "",
        "/orders",
        "/orders?text=nothing",
        "/deliveries",
        "/deliveries?state=expired",
        "/deliveries?state=x&from=y",
        "/inbound",
        "/inbound?reason=stale",
        "/resends",
        "/resends/new",
        "/resends/new?state=retrying",
        "/resends/new?state=expired",
        "/resends/cancel",
        "/resends/cancel?state=retrying",
        "/resends/cancel?state=expired",
        "/resends/cancel?from=2026-03-01",
        "/settings/ipn",
        "/settings/urls",
        "/settings/urls/new",
        "/settings/content",
        "/settings/key",
        "/settings/alerts",
        "/settings/mail",
        "/settings/mail?status=paid",
        "/settings/time-zone",
        "/check",
        "/test-order",
        "/test-order?sample=several",
        "/listeners",
        "/listeners/new",
        "/listeners/new?gateway=stripe",
        "/listeners/new?gateway=vnpay",
        "/listeners/new?gateway=adyen",
        "/listeners/new?text=nothing",
        "/audit",
        "/audit?action=user.add",
        "/orders/0",
    ]
    .map(|page| format!("{m}{page}"))
    .to_vec();
    pages.extend([
        format!("{m}/orders/{order}"),
        format!("{m}/orders/{order}?order=newest"),
        format!("{m}/orders/{late}"),
        format!("{m}/orders/{order}?at=never"),
        format!("{m}/orders/{order}/exchanges/{resent}"),
        format!("{m}/notifications/{notification}"),
        format!("{m}/notifications/{notification}/resend"),
        format!("{m}/deliveries/{}", delivery.id),
        format!("{m}/deliveries/{}", retried.id),
        format!("{m}/deliveries/{}", held.id),
        format!("{m}/deliveries/{}/1", delivery.id),
        format!("{m}/deliveries/{}/1", retried.id),
        format!("{m}/deliveries/{}/1", held.id),
        format!("{m}/resends/{bulk}"),
        format!("{m}/settings/urls/{bad}"),
        format!("{m}/settings/urls/{lost}"),
        format!("{m}/settings/urls/{main}/kit"),
        format!("{m}/settings/urls/{main}/kit?language=csharp"),
        format!("{m}/settings/urls/{on_hold}/kit"),
        format!("{m}/settings/urls/{shadow}/kit"),
        format!("{m}/listeners/{listener}"),
        format!("{m}/listeners/{listener}/simulate"),
        format!("{m}/listeners/{listener}/simulate?sent=gone"),
        format!("{m}/refused/{}", refused[0].id),
        format!("{m}/check?delivery={}&number=1", retried.id),
        format!("/people/{}", colleague.id),
    ]);
    pages.extend(
        [
            "/",
            "/account",
            "/people",
            "/people?text=nobody",
            "/roles",
            "/audit",
            "/merchants",
            "/search",
            "/search?text=1",
            "/search?text=nothing",
            "/unknown",
            "/no/such/page",
        ]
        .map(str::to_owned),
    );
    (shop, pages, vec![confirming, failing, gone])
}

#[tokio::test]
async fn every_page_speaks_through_the_catalogue() {
    allow_marked();
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    let (shop, pages, _merchants) = house(&app).await;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut look = |page: &str, text: &str| {
        assert!(text.contains("⟦"), "{page} is not marked: {text}");
        for one in outside(&readable(text)) {
            found.entry(one).or_insert_with(|| page.to_owned());
        }
    };
    for name in ["admin", "support"] {
        let mut browser = Browser::signed_in(app.address, &format!("{name}@example.com")).await;
        browser.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
        for page in &pages {
            let reply = browser.get(page).await;
            assert!(reply.status < 500, "{page}: {reply:?}");
            if !(300..400).contains(&reply.status) {
                look(page, &reply.text());
            }
        }
    }
    // Forms that have something to say.
    let mut admin = Browser::signed_in(app.address, "admin@example.com").await;
    admin.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
    let merchant = [("merchant", "shop")];
    let forms: &[Form<'_>] = &[
        (
            "urls/save",
            &[
                ("url", "nonsense"),
                ("is_default", "false"),
                ("label", ""),
                ("retries", "own"),
                ("own_delays", "soon"),
                ("max_in_flight", "9000"),
                ("headers", "x"),
                ("timeout", "900"),
                ("authority", "x"),
            ],
            "/m/shop/settings/urls/new",
        ),
        (
            "settings/alerts",
            &[("url", "nonsense"), ("mails", "nobody"), ("after", "0"), ("certificate", "900"), ("outstanding", "many")],
            "/m/shop/settings/alerts",
        ),
        ("settings/key", &[("secret_key", ""), ("overlap", "5")], "/m/shop/settings/key"),
        (
            "listeners/save",
            &[("label", ""), ("gateway", "stripe"), ("secret", ""), ("options", "")],
            "/m/shop/listeners/new?gateway=stripe",
        ),
        (
            "orders/test",
            &[
                ("status", "X"),
                ("product", ""),
                ("amount", "x"),
                ("currency", "x"),
                ("quantity", "x"),
                ("more_products", "x"),
                ("reference", "§"),
            ],
            "/m/shop/test-order",
        ),
        ("merchants/time-zone", &[("time_zone", "Mars")], "/m/shop/settings/time-zone"),
        ("views/save", &[("list", "deliveries"), ("query", "?state=expired"), ("name", "")], "/m/shop/deliveries?state=expired"),
        ("users/invite", &[("email", "x"), ("role", "x")], "/people"),
        ("password", &[("current", "x"), ("password", "y")], "/account"),
        ("sessions/end-others", &[], "/account"),
    ];
    for (name, fields, page) in forms {
        let fields: Vec<_> = merchant.iter().chain(*fields).copied().collect();
        let reply = admin.form(&format!("/rpc/{name}"), &fields).await;
        assert!((300..400).contains(&reply.status), "{name}: {reply:?}");
        look(page, &admin.get(reply.header("location")).await.text());
    }
    // The simulator, with everything that can become of a message.
    let listener = shop.listener_id().to_string();
    let chosen = [
        ("merchant", "shop"),
        ("listener", &listener),
        ("status", "paid"),
        ("amount", "1.00"),
        ("currency", "USD"),
        ("email", "buyer@example.com"),
        ("from", "127.0.0.1"),
    ];
    let cases = ["repeated", "other-amount", "wrong-signature", "no-signature", "", "unknown"];
    for fault in cases {
        let fields: Vec<_> = chosen.iter().copied().chain([("fault", fault)]).collect();
        let reply = admin.form("/rpc/listeners/simulate", &fields).await;
        let page = reply.header("location").split('#').next().unwrap().to_owned();
        look(&format!("simulate {fault}"), &admin.get(&page).await.text());
    }
    let posted = [
        ("body", "IPN_PID[]=1&IPN_PNAME[]=2&IPN_DATE=3&HASH=00"),
        ("receipt", "<EPAYMENT>1|2</EPAYMENT>"),
        ("computed", "ab"),
        ("url", ""),
    ];
    look("/check", &admin.form("/m/shop/check", &posted).await.text());
    let draft = [("status", "COMPLETE"), ("product", "EXAMPLE"), ("amount", "1.00"), ("currency", "USD")];
    look("/test-order", &admin.form("/m/shop/test-order", &draft).await.text());
    let mut nobody = Browser::new(app.address);
    nobody.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
    for page in ["/sign-in", "/setup?token=x", "/join?token=x"] {
        look(page, &nobody.get(page).await.text());
    }
    nobody.sign_in("nobody@example.com", "wrong wrong").await;
    look("/sign-in", &nobody.get("/sign-in").await.text());
    drop(shop);
    let list: Vec<_> = found.iter().map(|(what, page)| format!("{page}: {what}")).collect();
    assert!(list.is_empty(), "{} texts do not go through the catalogue:\n{}", list.len(), list.join("\n"));
}
