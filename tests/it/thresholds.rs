//! From where on a merchant is told of a URL beside its failures: a certificate that ends, deliveries that pile up. Against an
//! address for JSON and a mail server on real TCP, on each engine.

use crate::support::{
    app::{Setup, Shop, TestApp, on_every_server},
    browser::Browser,
    merchant::{Answer, FakeMerchant},
    smtp::MailSink,
    stores::START,
    until,
};
use quittance::{
    domain::{
        DeliveryState, Role,
        id::{OrderId, UrlId},
        pages::settings::{AlertKind, Thresholds},
    },
    server::{
        clock::{Clock, ClockHand},
        mail::MailServer,
    },
};
use serde_json::Value;
use std::time::Duration;

on_every_server! {
    a_certificate_that_ends_is_told_of_in_good_time,
    deliveries_that_pile_up_are_told_of_and_so_is_their_end,
    what_is_told_at_once_is_told_apart,
    thresholds_are_kept_while_nobody_is_told,
}

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// A merchant who is told by JSON and by mail.
struct House {
    app: TestApp,
    shop: Shop,
    hand: ClockHand,
    told: FakeMerchant,
    sink: MailSink,
}

impl House {
    async fn start(setup: Setup) -> Self {
        let (clock, hand) = Clock::manual(START);
        let sink = MailSink::start().await;
        let mail = MailServer { url: sink.url().parse().unwrap(), from: "ops@quittance.example".parse().unwrap() };
        let app = TestApp::start_as(Setup { mail: Some(mail), clock, ..setup }).await;
        let shop = app.shop("Shop").await;
        app.user("owner@example.com", Role::Merchant, &[&shop]).await;
        Self { app, shop, hand, told: FakeMerchant::start(|_| Answer::text("ok")).await, sink }
    }

    async fn owner(&self) -> Browser {
        Browser::signed_in(self.app.address, "owner@example.com").await
    }

    /// Sends the form; gives the page that follows.
    async fn save(&self, certificate: &str, outstanding: &str) -> String {
        let (mut owner, url) = (self.owner().await, self.told.url());
        let form = [
            ("merchant", "shop"),
            ("url", &url),
            ("mails", "ops@shop.example"),
            ("after", "15"),
            ("certificate", certificate),
            ("outstanding", outstanding),
        ];
        let reply = owner.form("/rpc/settings/alerts", &form).await;
        owner.get(reply.header("location")).await.text()
    }

    fn thresholds(&self) -> Thresholds {
        self.app.services.store.settings().merchant(self.shop.merchant.id).unwrap().alerts.as_ref().unwrap().thresholds
    }

    /// Looks twice, as two nodes do; gives everything that was told so far.
    async fn look(&self) -> Vec<Value> {
        for _ in 0..2 {
            self.app.services.tell_of_trouble().await.unwrap();
        }
        self.told.visits().iter().map(|visit| serde_json::from_slice(&visit.body).unwrap()).collect()
    }

    async fn kinds(&self) -> Vec<String> {
        self.look().await.iter().map(|alert| alert["type"].as_str().unwrap().replace("notification-url.", "")).collect()
    }

    /// The subjects of the mails, as soon as there are so many. What is due together leaves in any order.
    async fn subjects(&self, count: usize) -> Vec<String> {
        let mails = self.sink.wait_for(count).await;
        let mut subjects: Vec<_> =
            mails.iter().map(|mail| mail.header("subject").trim_start_matches("Shop: ").to_owned()).collect();
        subjects.sort();
        subjects
    }

    async fn orders(&self, url: UrlId, references: std::ops::RangeInclusive<u32>) -> Vec<OrderId> {
        let mut orders = Vec::new();
        for reference in references {
            let order = self.shop.order(&reference.to_string()).await;
            self.shop.wait_for_attempts(order, url, 1).await;
            orders.push(order);
        }
        orders
    }
}

async fn a_certificate_that_ends_is_told_of_in_good_time(setup: Setup) {
    let house = House::start(setup).await;
    let store = &house.app.services.store;
    let url = house.shop.url("https://shop.example.com/ipn").await;
    let note = async |ends_at| store.note_certificate(url, "https://shop.example.com/ipn".to_owned(), ends_at).await.unwrap();
    let ends_at = START.plus(DAY * 20);
    note(ends_at).await;
    house.save("14", "").await;
    assert!(house.look().await.is_empty(), "that is time enough");
    house.hand.advance(DAY * 6);
    let told = house.look().await;
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert_eq!(told[0]["type"], "notification-url.certificate-ends");
    let data = &told[0]["data"];
    assert_eq!((&data["certificate_ends_at"], &data["url"]["label"]), (&"2026-03-21T12:00:00Z".into(), &"Shop".into()));
    assert!(data["cure"].as_str().unwrap().starts_with("Renew it on that server before then."), "{data}");
    assert!(data.get("cause").is_none(), "nothing fails: {data}");
    for _ in 0..10 {
        house.hand.advance(DAY);
        assert_eq!(house.look().await.len(), 1, "told already");
    }
    house.hand.advance(DAY);
    assert_eq!(house.kinds().await, ["certificate-ends"; 2], "its last days");
    house.hand.advance(DAY * 3);
    assert_eq!(house.kinds().await[2..], ["certificate-ended"]);
    let subjects = house.subjects(3).await;
    let expected = [
        "the certificate of Shop ends in 14 days",
        "the certificate of Shop ends in 3 days",
        "the certificate of Shop has ended",
    ];
    assert_eq!(subjects, expected);
    let mail = house.sink.wait_for(3).await.into_iter().find(|mail| mail.header("subject").ends_with("14 days")).unwrap();
    assert!(
        mail.text.contains("2026-03-21T12:00:00Z") && mail.text.contains("What to do: Renew it on that server"),
        "{}",
        mail.text
    );
    let page = house.owner().await.get("/m/shop/settings/alerts").await.text();
    assert!(page.contains("Certificate ended") && page.contains("Arrived (200)"), "{page}");

    // A new one is another certificate. Nobody is told of it before it ends, too, and not where that is switched off.
    house.hand.advance(DAY);
    note(ends_at.plus(DAY * 90)).await;
    assert_eq!(house.look().await.len(), 3);
    house.save("0", "").await;
    assert_eq!(house.thresholds(), Thresholds { after: 900, certificate: None, outstanding: None });
    house.hand.advance(DAY * 80);
    assert_eq!(house.look().await.len(), 3, "it was switched off");
    house.save("30", "").await;
    assert_eq!(house.kinds().await[3..], ["certificate-ends"]);
    house.app.stop().await;
}

async fn deliveries_that_pile_up_are_told_of_and_so_is_their_end(setup: Setup) {
    let house = House::start(setup).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = house.shop.url(&merchant.url()).await;
    let page = house.save("14", "3").await;
    assert!(page.contains("Saved. Send a test"), "{page}");
    let mut orders = house.orders(url, 1..=2).await;
    assert!(house.look().await.is_empty(), "not yet");
    orders.extend(house.orders(url, 3..=3).await);
    let told = house.look().await;
    assert_eq!(told.len(), 1, "once: {told:?}");
    let (kind, data) = (&told[0]["type"], &told[0]["data"]);
    assert_eq!((kind, &data["outstanding"], &data["threshold"]), (&"notification-url.outstanding".into(), &3.into(), &3.into()));
    assert!(data["sentence"].as_str().unwrap().contains("status 5xx"), "why they wait: {data}");

    merchant.answer(|visit| Answer::receipt("md5", visit));
    house.hand.advance(HOUR);
    for order in orders {
        until("a confirmation", || async {
            // A URL that comes back gets its backlog step by step.
            house.hand.advance(Duration::from_secs(30));
            let fits = |delivery: &quittance::domain::pages::orders::DeliveryView| delivery.state == DeliveryState::Confirmed;
            let notifications = house.app.services.store.notifications_of(order).await.unwrap();
            notifications[0].deliveries.iter().any(fits).then_some(())
        })
        .await;
    }
    assert_eq!(house.kinds().await[1..], ["eased"]);
    assert_eq!(house.subjects(2).await, ["3 deliveries wait for Shop", "few deliveries wait for Shop again"]);
    let alerts = house.app.services.alert_settings(&house.shop.merchant, true).await.unwrap();
    assert_eq!(alerts.told.iter().map(|(_, row)| row.kind).collect::<Vec<_>>(), [AlertKind::Eased]);
    house.app.stop().await;
}

async fn what_is_told_at_once_is_told_apart(setup: Setup) {
    let house = House::start(setup).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = house.shop.url(&merchant.url()).await;
    let shadow = house.shop.url_as(&format!("{}shadow", merchant.url()), |draft| draft.terms.shadow = true).await;
    house.app.services.store.note_certificate(url, merchant.url(), START.plus(DAY)).await.unwrap();
    house.app.services.store.note_certificate(shadow, format!("{}shadow", merchant.url()), START.plus(DAY)).await.unwrap();
    house.save("14", "1").await;
    let order = house.orders(url, 1..=1).await[0];
    house.hand.advance(Duration::from_secs(900));
    house.shop.wait_for_attempts(order, url, 2).await;
    assert_eq!(house.kinds().await, ["failing", "certificate-ends", "outstanding"], "a shadow's troubles are nobody's");
    let subjects = house.subjects(3).await;
    assert_eq!(subjects, ["1 delivery waits for Shop", "Shop is failing", "the certificate of Shop ends in 1 day"]);
    let alerts = house.app.services.alert_settings(&house.shop.merchant, true).await.unwrap();
    let told: Vec<_> = alerts.told.iter().map(|(view, row)| (view.id, row.kind, row.status)).collect();
    let expected = [AlertKind::Failing, AlertKind::CertificateEnds, AlertKind::Outstanding].map(|kind| (url, kind, Some(200)));
    assert_eq!(told, expected);
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_names_what_is_wrong_and_keeps_it() {
    let house = House::start(Setup::default()).await;
    let mut owner = house.owner().await;
    let page = owner.get("/m/shop/settings/alerts").await.text();
    let field = |page: &str, name: &str| {
        let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name}: {page}"));
        let (start, end) = (page[..at].rfind('<').unwrap(), at + page[at..].find('>').unwrap());
        page[start..end].to_owned()
    };
    assert!(field(&page, "certificate").contains("value=\"14\"") && field(&page, "outstanding").contains("value=\"\""), "{page}");
    let page = house.save("366", "-1").await;
    assert!(page.contains("Enter a number of days from 1 to 365, or leave it empty."), "{page}");
    assert!(page.contains("Enter a number of deliveries from 1 to 10000000, or leave it empty."), "{page}");
    assert!(
        field(&page, "certificate").contains("value=\"366\"") && field(&page, "outstanding").contains("value=\"-1\""),
        "{page}"
    );
    for (typed, certificate, outstanding) in
        [(("", ""), None, None), (("0", "0"), None, None), ((" 365 ", "10000000"), Some(365), Some(10_000_000))]
    {
        house.save(typed.0, typed.1).await;
        assert_eq!(house.thresholds(), Thresholds { after: 900, certificate, outstanding }, "{typed:?}");
    }
    let log = owner.get("/m/shop/audit").await.text();
    assert!(log.contains("Days before a certificate ends") && log.contains("Outstanding deliveries"), "{log}");
    house.app.user("support@example.com", Role::Support, &[&house.shop]).await;
    let mut support = Browser::signed_in(house.app.address, "support@example.com").await;
    let page = support.get("/m/shop/settings/alerts").await.text();
    assert!(page.contains("365 days before a certificate ends. From 10,000,000 outstanding deliveries on."), "{page}");
    house.app.stop().await;
}

async fn thresholds_are_kept_while_nobody_is_told(setup: Setup) {
    let house = House::start(setup).await;
    house.save("30", "5").await;
    let mut owner = house.owner().await;
    let form = [("merchant", "shop"), ("url", ""), ("mails", ""), ("after", "20"), ("certificate", "0"), ("outstanding", "3")];
    let reply = owner.form("/rpc/settings/alerts", &form).await;
    let page = owner.get(reply.header("location")).await.text();
    assert!(page.contains("Nobody is alerted"), "{page}");
    assert_eq!(house.thresholds(), Thresholds { after: 20 * 60, certificate: None, outstanding: Some(3) });
    let log = owner.get("/m/shop/audit?action=merchant.alerts").await.text();
    assert!(log.contains("nobody after 20 min") && log.contains("Minutes of failures"), "{log}");
    let script = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = house.shop.url(&script.url()).await;
    for number in 0..4 {
        let order = house.shop.order(&format!("{number}")).await;
        house.shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    }
    house.app.services.tell_of_trouble().await.unwrap();
    assert!(house.told.visits().is_empty() && house.sink.count("MAIL") == 0, "there is nobody to tell");
    let refused = owner.call("POST", "/rpc/settings/alerts/test", &[("merchant", "shop")]).await.text();
    assert!(refused.contains("Enter an address for alerts"), "{refused}");
    house.app.stop().await;
}
