//! Alerts by mail: told once, tried again, never twice for one alert; and what is said where no mail can be sent. Against a mail
//! server on real TCP.

use crate::support::{
    app::{MERCHANT_KEY, Setup, Shop, TestApp},
    browser::Browser,
    merchant::{Answer, FakeMerchant},
    smtp::{MailSink, Mood},
    stores::{START, TestStore, on_every_engine},
    until,
};
use quittance::{
    domain::{
        DeliveryState, Role,
        id::MerchantId,
        mail::{MailCause, MailState},
        pages::settings::{AlertKind, AlertMailRow, AlertTopic, Thresholds},
    },
    server::{
        clock::{Clock, ClockHand},
        mail::MailServer,
        service::alerts::AlertForm,
        store::{Alerts, MailResult, Merchant, NewAlertMail, OpenAs},
    },
};
use std::{sync::Arc, time::Duration};

on_every_engine! {
    mails_are_made_with_their_alert_and_taken_by_one,
    topics_are_told_apart,
    whom_to_mail_is_kept,
}

const HOUR: Duration = Duration::from_secs(3_600);
const LEASE: Duration = Duration::from_secs(180);

pub fn alert_mail(merchant_id: MerchantId) -> NewAlertMail {
    NewAlertMail {
        merchant_id,
        recipient: "ops@shop.example".to_owned(),
        subject: "Shop: Default is failing\u{0}".to_owned(),
        text: "It has failed since then.".to_owned(),
    }
}

async fn mails_are_made_with_their_alert_and_taken_by_one(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let (url, now) = (test.url(merchant, "https://shop.example.com/ipn").await, test.clock.now());
    let mails = || vec![alert_mail(merchant), NewAlertMail { recipient: "b@shop.example".to_owned(), ..alert_mail(merchant) }];
    let claim = async |test: &TestStore, kind, at| test.store.claim_alert(url, kind, at, at.minus(HOUR), mails()).await.unwrap();
    assert!(claim(&test, AlertKind::Failing, now).await);
    assert!(!claim(&test, AlertKind::Failing, now.plus(LEASE)).await, "told already, and mailed already");
    let (first, second) = tokio::join!(test.store.take_alert_mails(1, LEASE), test.store.take_alert_mails(9, LEASE));
    let mut taken = [first.unwrap(), second.unwrap(), test.store.take_alert_mails(9, LEASE).await.unwrap()].concat();
    taken.sort_by_key(|job| job.id);
    let told: Vec<_> = taken.iter().map(|job| (job.recipient.as_str(), job.attempt)).collect();
    assert_eq!(told, [("ops@shop.example", 1), ("b@shop.example", 1)]);
    assert!(test.store.take_alert_mails(9, LEASE).await.unwrap().is_empty());

    // Who takes one and dies does not keep it.
    test.hand.advance(LEASE);
    let again = test.store.take_alert_mails(9, LEASE).await.unwrap();
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2]);
    let later = test.clock.now().plus(LEASE);
    test.store.finish_alert_mail(again[0].id, MailResult::Sent).await.unwrap();
    let busy = MailResult::Later(later, MailCause::Later, "450 busy\u{0}".to_owned());
    test.store.finish_alert_mail(again[1].id, busy).await.unwrap();
    test.hand.advance(LEASE);
    let last = test.store.take_alert_mails(9, LEASE).await.unwrap();
    assert_eq!(last.iter().map(|job| (job.id, job.attempt)).collect::<Vec<_>>(), [(again[1].id, 3)]);
    test.store.finish_alert_mail(last[0].id, MailResult::Failed(MailCause::Refused, "550 no".to_owned())).await.unwrap();
    test.store.finish_alert_mail(again[0].id, MailResult::Failed(MailCause::Refused, "late".to_owned())).await.unwrap();

    let rows = test.store.alert_mails(merchant, 9).await.unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| (row.recipient.as_str(), row.state, row.cause, row.note.as_str(), row.told_at)).collect();
    assert_eq!(
        told,
        [
            ("b@shop.example", MailState::Failed, Some(MailCause::Refused), "550 no", now),
            ("ops@shop.example", MailState::Sent, None, "", now)
        ],
        "the newest first"
    );
    assert_eq!(test.store.alert_mails(merchant, 1).await.unwrap(), rows[..1]);
    assert!(test.store.alert_mails(MerchantId(1), 9).await.unwrap().is_empty());

    test.hand.advance(HOUR);
    assert!(claim(&test, AlertKind::Recovered, test.clock.now()).await);
    test.reopen(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.forget_mails(START).await.unwrap(), 0);
    test.hand.advance(HOUR);
    assert_eq!(test.store.forget_mails(test.clock.now()).await.unwrap(), 2, "what still waits stays");
    assert_eq!(test.store.take_alert_mails(9, LEASE).await.unwrap().len(), 2);
}

/// What is told of a URL at the same moment on two topics are two alerts, and two mails.
async fn topics_are_told_apart(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let (url, now) = (test.url(merchant, "https://shop.example.com/ipn").await, test.clock.now());
    let kinds = [AlertKind::Failing, AlertKind::CertificateEnds, AlertKind::Outstanding];
    let claim = async |test: &TestStore, kind| {
        test.store.claim_alert(url, kind, now, now.minus(HOUR), vec![alert_mail(merchant)]).await.unwrap()
    };
    for kind in kinds {
        assert!(claim(&test, kind).await, "{kind:?}");
        assert!(!claim(&test, kind).await, "{kind:?} was told already");
    }
    assert!(!claim(&test, AlertKind::Eased).await, "something was told on that topic");
    assert_eq!(test.store.take_alert_mails(9, LEASE).await.unwrap().len(), 3);
    test.store.alert_result(url, AlertTopic::Certificate, Some(200), None, String::new()).await.unwrap();
    test.hand.advance(HOUR);
    test.reopen(OpenAs::Server).await.unwrap();
    let told = test.store.alerts_of(merchant).await.unwrap();
    let found: Vec<_> = kinds.iter().map(|kind| told.get(&(url, kind.topic())).map(|row| (row.kind, row.status))).collect();
    assert_eq!(found, kinds.map(|kind| Some((kind, (kind == AlertKind::CertificateEnds).then_some(200)))));
    assert_eq!(told.len(), 3);
}

async fn whom_to_mail_is_kept(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let known = |test: &TestStore| test.store.settings().merchant(merchant).unwrap().alerts.clone();
    let mails = vec!["a@shop.example".to_owned(), "b@shop.example".to_owned()];
    for alerts in [
        Alerts { url: String::new(), mails: mails.clone(), thresholds: Thresholds { after: 60, ..Thresholds::default() } },
        Alerts {
            url: "https://alerts.example.com/".to_owned(),
            mails,
            thresholds: Thresholds { after: 120, certificate: None, outstanding: Some(500) },
        },
        Alerts {
            url: "https://alerts.example.com/".to_owned(),
            mails: Vec::new(),
            thresholds: Thresholds { after: 120, certificate: Some(30), outstanding: None },
        },
    ] {
        test.store.set_alerts(merchant, Some(alerts.clone()), "test".to_owned()).await.unwrap();
        assert_eq!(known(&test), Some(alerts.clone()));
        // Ids grow with time, and no time passes by itself here.
        test.hand.advance(HOUR);
        test.reopen(OpenAs::Server).await.unwrap();
        assert_eq!(known(&test), Some(alerts));
    }
    test.store.set_alerts(merchant, None, "test".to_owned()).await.unwrap();
    assert_eq!(known(&test), None);
}

async fn start(mail: Option<&MailSink>) -> (TestApp, Shop, ClockHand) {
    let (clock, hand) = Clock::manual(START);
    let server =
        |sink: &MailSink| MailServer { url: sink.url().parse().unwrap(), from: "ops@quittance.example".parse().unwrap() };
    let app = TestApp::start_as(Setup { mail: mail.map(server), clock, ..Setup::default() }).await;
    let shop = app.shop("Shop & Co").await;
    (app, shop, hand)
}

fn current(shop: &Shop) -> Arc<Merchant> {
    shop.services.store.settings().merchant(shop.merchant.id).unwrap().clone()
}

/// What is told with nothing but failures.
fn form(url: &str, mails: &str) -> AlertForm {
    AlertForm { url: url.to_owned(), mails: mails.to_owned(), after: "15".to_owned(), ..AlertForm::default() }
}

async fn mailed(shop: &Shop) -> Vec<AlertMailRow> {
    shop.services.alert_settings(&current(shop), true).await.unwrap().mailed
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_is_mailed_once_and_so_is_its_end() {
    let sink = MailSink::start().await;
    let (app, shop, hand) = start(Some(&sink)).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    // The address for JSON takes nothing, so that it is told every hour again; the mail is not.
    let told = FakeMerchant::start(|_| Answer::status(503, "")).await;
    let url = shop.url(&merchant.url()).await;
    let mails = "ops@shop.example; Ops@shop.example, boss@shop.example";
    shop.services.save_alerts(&current(&shop), &form(&told.url(), mails), "test").await.unwrap();
    assert_eq!(current(&shop).alerts.as_ref().unwrap().mails, ["ops@shop.example", "boss@shop.example"]);

    let order = shop.order("1").await;
    shop.wait_for_attempts(order, url, 1).await;
    hand.advance(Duration::from_secs(900));
    shop.wait_for_attempts(order, url, 2).await;
    // Two that look at the same moment, as two nodes do.
    let (one, other) = tokio::join!(app.services.tell_of_trouble(), app.services.tell_of_trouble());
    one.unwrap();
    other.unwrap();
    let taken = sink.wait_for(2).await;
    let mail = &taken[0];
    assert_eq!(mail.header("subject"), "Shop & Co: Shop is failing");
    assert!(mail.header("from").contains("Quittance") && mail.header("from").contains("<ops@quittance.example>"));
    assert!(mail.text.contains("What to do:") && mail.text.contains("/deliveries?url="), "{}", mail.text);
    let mut whom: Vec<_> = taken.iter().flat_map(|mail| mail.to.clone()).collect();
    whom.sort();
    assert_eq!(whom, ["boss@shop.example", "ops@shop.example"]);
    hand.advance(HOUR);
    app.services.tell_of_trouble().await.unwrap();
    told.wait_for(2).await;

    merchant.answer(|visit| Answer::receipt("md5", visit));
    hand.advance(2 * HOUR);
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    app.services.tell_of_trouble().await.unwrap();
    let taken = sink.wait_for(4).await;
    assert_eq!(taken.len(), 4, "the failure once, its end once");
    assert_eq!(taken[3].header("subject"), "Shop & Co: Shop takes deliveries again");
    until("the mails to be noted", || async { mailed(&shop).await.iter().all(|row| row.state == MailState::Sent).then_some(()) })
        .await;
    assert!(!app.dump().await.contains(MERCHANT_KEY));
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_not_taken_is_tried_again() {
    let sink = MailSink::start().await;
    let (app, shop, hand) = start(Some(&sink)).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    shop.services.save_alerts(&current(&shop), &form("", "ops@shop.example"), "test").await.unwrap();
    sink.mood(Mood::Answers("MAIL", "451 4.7.1 greylisted"));
    let order = shop.order("1").await;
    shop.wait_for_attempts(order, url, 1).await;
    hand.advance(Duration::from_secs(900));
    shop.wait_for_attempts(order, url, 2).await;
    app.services.tell_of_trouble().await.unwrap();
    let row = until("the first try", || async { mailed(&shop).await.into_iter().find(|row| row.cause.is_some()) }).await;
    assert_eq!((row.state, row.cause, row.attempts), (MailState::Waiting, Some(MailCause::Later), 1));
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let page = owner.get("/m/shop-co/settings/alerts").await.text();
    assert!(page.contains("Trying again") && page.contains("greylisted") && page.contains("By mail"), "{page}");
    sink.mood(Mood::Takes);
    hand.advance(Duration::from_secs(60));
    let taken = sink.wait_for(1).await;
    assert_eq!(taken.len(), 1);
    until("the mail to be noted", || async { (mailed(&shop).await[0].state == MailState::Sent).then_some(()) }).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_what_is_wrong() {
    let sink = MailSink::start().await;
    let (app, shop, hand) = start(Some(&sink)).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let form = [("merchant", "shop-co"), ("url", ""), ("mails", "ops@shop.example <b>nobody</b>"), ("after", "15")];
    let reply = owner.form("/rpc/settings/alerts", &form).await;
    let page = owner.get(reply.header("location")).await.text();
    assert!(page.contains("is no e-mail address") && page.contains("&lt;b&gt;nobody&lt;/b&gt;"), "{page}");
    let form = [("merchant", "shop-co"), ("url", ""), ("mails", "ops@shop.example"), ("after", "15")];
    owner.form("/rpc/settings/alerts", &form).await;
    let reply = owner.form("/rpc/settings/alerts/test", &[("merchant", "shop-co")]).await;
    let page = owner.get(reply.header("location")).await.text();
    assert!(page.contains("The mail server has taken a test for ops@shop.example."), "{page}");
    assert!(sink.wait_for(1).await[0].header("subject").starts_with("[TEST]"));
    sink.mood(Mood::Answers("RCPT", "550 5.1.1 no such user"));
    let reply = owner.form("/rpc/settings/alerts/test", &[("merchant", "shop-co")]).await;
    let page = owner.get(reply.header("location")).await.text();
    assert!(page.contains("To ops@shop.example:") && page.contains("no such user"), "{page}");
    let log = owner.get("/m/shop-co/audit").await.text();
    assert!(log.contains("E-mail addresses for alerts") && log.contains("ops@shop.example"), "{log}");

    // Started without a mail server, it says so, and piles nothing up.
    let setup = Setup { mail: None, clock: app.services.clock.clone(), ..Setup::default() };
    let app = app.restart_as(setup).await;
    let shop = shop.again(&app);
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let page = owner.get("/m/shop-co/settings/alerts").await.text();
    assert!(page.contains("This installation sends no mail yet") && page.contains("Nobody is mailed, although"), "{page}");
    let reply = owner.form("/rpc/settings/alerts/test", &[("merchant", "shop-co")]).await;
    assert!(owner.get(reply.header("location")).await.text().contains("--smtp-url"));
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_attempts(order, url, 1).await;
    hand.advance(Duration::from_secs(900));
    shop.wait_for_attempts(order, url, 2).await;
    app.services.tell_of_trouble().await.unwrap();
    assert_eq!(app.services.store.alerts_of(shop.merchant.id).await.unwrap().len(), 1, "the page tells of it");
    assert!(mailed(&shop).await.is_empty());
    app.stop().await;
}
