//! What leaves, keys and alerts as the store keeps them: the same tests on every engine.

use crate::support::stores::{START, TestStore, on_every_engine, received, url_draft};
use quittance::{
    domain::{
        Cause, Tags, Triggers,
        content::TRIGGERS,
        id::{ListenerId, MerchantId, UrlId},
        pages::settings::{AlertKind, AlertTopic, Thresholds},
    },
    server::store::{Alerts, OwnHeader, Secret},
};
use std::time::Duration;

on_every_engine! {
    a_key_is_changed_with_an_overlap,
    what_leaves_is_kept,
    headers_of_a_url_are_sealed,
    triggers_decide_what_is_delivered_and_the_doctor_knows,
    a_quiet_notification_goes_nowhere,
    an_alert_is_told_by_one_and_once_an_hour,
}

const HOUR: Duration = Duration::from_secs(3_600);

fn actor() -> String {
    "test".to_owned()
}

async fn shop(test: &TestStore) -> (MerchantId, ListenerId, UrlId) {
    let merchant = test.merchant("Shop").await;
    let (listener, url) = (test.listener(merchant).await, test.url(merchant, "https://shop.example.com/ipn").await);
    test.hand.advance(HOUR);
    (merchant, listener, url)
}

async fn assert_healthy(test: &TestStore) {
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn a_key_is_changed_with_an_overlap(mut test: TestStore) {
    let (merchant, _, url) = shop(&test).await;
    let known = |test: &TestStore| quittance::server::store::Merchant::clone(test.store.settings().merchant(merchant).unwrap());
    assert!(known(&test).old_key.is_none());
    assert!(!test.store.note_new_key(url, actor()).await.unwrap(), "no key is being changed");
    let until = test.clock.now().plus(HOUR * 24);
    test.store.set_secret_key(merchant, Secret::new("second"), until, actor()).await.unwrap();
    let both = known(&test);
    assert_eq!((both.secret_key.reveal(), both.old_key.clone().unwrap().key.reveal()), (&b"second"[..], &b"AABBCCDDEEFF"[..]));
    assert!(both.valid_old_key(until.minus(Duration::from_micros(1))).is_some() && both.valid_old_key(until).is_none());
    let now = test.clock.now();
    assert!(test.store.note_new_key(url, actor()).await.unwrap() && !test.store.note_new_key(url, actor()).await.unwrap());
    assert_eq!(test.store.settings().url(url).unwrap().new_key_at, Some(now));
    // What is known of a URL outlives a restart, and ends with the next change.
    // Ids grow with time, and no time passes by itself here.
    test.hand.advance(HOUR);
    test.reopen(quittance::server::store::OpenAs::Server).await.unwrap();
    assert_eq!(test.store.settings().url(url).unwrap().new_key_at, Some(now));
    test.store.set_secret_key(merchant, Secret::new("third"), until, actor()).await.unwrap();
    assert_eq!(known(&test).old_key.unwrap().key.reveal(), b"second");
    assert_eq!(test.store.settings().url(url).unwrap().new_key_at, None);
    assert!(test.store.end_old_key(merchant, actor()).await.unwrap());
    assert!(!test.store.end_old_key(merchant, actor()).await.unwrap(), "it has ended");
    let ended = test.clock.now();
    assert_eq!(known(&test).old_key.unwrap().until, ended);
    assert_eq!(test.store.forget_old_keys(ended).await.unwrap(), 0);
    assert_eq!(test.store.forget_old_keys(ended.plus(HOUR)).await.unwrap(), 1);
    assert!(known(&test).old_key.is_none());
    assert_healthy(&test).await;
}

async fn what_leaves_is_kept(mut test: TestStore) {
    let (merchant, ..) = shop(&test).await;
    let triggers: Triggers = "COMPLETE,OTHER".parse().unwrap();
    let alerts = Alerts {
        url: "https://alerts.example.com/".to_owned(),
        mails: Vec::new(),
        thresholds: Thresholds { after: 60, ..Thresholds::default() },
    };
    test.store.set_content(merchant, triggers, Tags::only("CURRENCY,MY_FIELD"), actor()).await.unwrap();
    test.store.set_alerts(merchant, Some(alerts.clone()), actor()).await.unwrap();
    // Ids grow with time, and no time passes by itself here.
    test.hand.advance(HOUR);
    test.reopen(quittance::server::store::OpenAs::Server).await.unwrap();
    let known = quittance::server::store::Merchant::clone(test.store.settings().merchant(merchant).unwrap());
    assert_eq!((known.triggers, known.tags, known.alerts), (triggers, Tags::only("CURRENCY,MY_FIELD"), Some(alerts)));
    test.store.set_content(merchant, Triggers::ALL, Tags::All, actor()).await.unwrap();
    test.store.set_alerts(merchant, None, actor()).await.unwrap();
    let known = quittance::server::store::Merchant::clone(test.store.settings().merchant(merchant).unwrap());
    assert_eq!((known.triggers, known.tags, known.alerts), (Triggers::ALL, Tags::All, None));
}

async fn headers_of_a_url_are_sealed(mut test: TestStore) {
    let (merchant, _, url) = shop(&test).await;
    let headers = vec![
        OwnHeader { name: "Authorization".to_owned(), value: Secret::new("Bearer very-secret-token") },
        OwnHeader { name: "X-Shop".to_owned(), value: Secret::new("7") },
    ];
    let mut draft = url_draft(merchant, "https://shop.example.com/ipn");
    draft.headers = headers.clone();
    test.store.update_url(url, draft.clone(), actor()).await.unwrap();
    let added = test.store.add_url(draft, actor()).await.unwrap();
    // Ids grow with time, and no time passes by itself here.
    test.hand.advance(HOUR);
    test.reopen(quittance::server::store::OpenAs::Server).await.unwrap();
    for id in [url, added] {
        assert_eq!(test.store.settings().url(id).unwrap().headers, headers);
    }
    // What was sealed for one URL does not open at another.
    test.sql(&format!(
        "UPDATE notification_url SET headers = (SELECT headers FROM notification_url WHERE id = {}) WHERE id = {}",
        added.0, url.0
    ))
    .await;
    assert!(test.reopen(quittance::server::store::OpenAs::Server).await.is_err());
}

async fn triggers_decide_what_is_delivered_and_the_doctor_knows(test: TestStore) {
    let (merchant, listener, url) = shop(&test).await;
    let own = test.url(merchant, "https://own.example.com/ipn").await;
    let mut draft = url_draft(merchant, "https://own.example.com/ipn");
    draft.terms.triggers = Some("COMPLETE".parse().unwrap());
    test.store.update_url(own, draft, actor()).await.unwrap();
    for (at, (name, _)) in TRIGGERS.into_iter().enumerate() {
        for (without, expected) in [(false, true), (true, false)] {
            let alone: Triggers = name.parse().unwrap();
            let others = Triggers::from_bits(Triggers::ALL.bits() & !alone.bits());
            let chosen = if without { others } else { alone };
            test.store.set_content(merchant, chosen, Tags::All, actor()).await.unwrap();
            test.hand.advance(HOUR);
            // OTHER stands for words that nobody knows.
            let word = if name == "OTHER" { "BRAND_NEW" } else { name };
            let body = format!("REFNO={at}&ORDERSTATUS={word}&WITHOUT={without}");
            let mut new = received(merchant, listener, &body);
            new.received_at = test.clock.now();
            let accepted = test.accept(new).await;
            let stored = test.store.notification(merchant, accepted.notification_id).await.unwrap().unwrap();
            let made = test.store.notifications_of(stored.order_id).await.unwrap();
            let made = &made.iter().find(|one| one.id == accepted.notification_id).unwrap().deliveries;
            let to = |id| made.iter().any(|delivery| delivery.url_id == id);
            assert_eq!((to(url), to(own)), (expected, name == "COMPLETE"), "{name}, {without}");
            test.hand.advance(HOUR);
        }
    }
    assert_healthy(&test).await;
    // What should have been delivered and was not is found all the same.
    test.store.set_content(merchant, "REFUND".parse().unwrap(), Tags::All, actor()).await.unwrap();
    test.hand.advance(HOUR);
    let mut new = received(merchant, listener, "REFNO=lost&ORDERSTATUS=REFUND");
    new.received_at = test.clock.now();
    let lost = test.accept(new).await.notification_id;
    test.sql(&format!("DELETE FROM delivery WHERE notification_id = {}", lost.0)).await;
    let findings = test.store.verify().await.unwrap();
    let fanned_out = findings.iter().find(|finding| finding.check == "every notification was fanned out").unwrap();
    assert!(!fanned_out.ok && fanned_out.detail.starts_with('1'), "{}", fanned_out.detail);
}

async fn a_quiet_notification_goes_nowhere(mut test: TestStore) {
    let (merchant, listener, _) = shop(&test).await;
    let mut new = received(merchant, listener, "REFNO=1&ORDERSTATUS=COMPLETE");
    (new.listener_id, new.quiet, new.received_at) = (None, true, test.clock.now());
    let accepted = test.accept(new).await;
    let order = test.store.notification(merchant, accepted.notification_id).await.unwrap().unwrap().order_id;
    assert!(test.store.notifications_of(order).await.unwrap()[0].deliveries.is_empty());
    while let Ok(announced) = test.jobs.try_recv() {
        assert!(announced.is_empty(), "{announced:?}");
    }
    assert_healthy(&test).await;
}

async fn an_alert_is_told_by_one_and_once_an_hour(test: TestStore) {
    let (merchant, _, url) = shop(&test).await;
    let other = test.second(quittance::server::store::OpenAs::Tool { create: false }).await.unwrap();
    let now = test.clock.now();
    assert!(test.store.alerts_of(merchant).await.unwrap().is_empty());
    assert!(test.store.claim_alert(url, AlertKind::Failing, now, now.minus(HOUR), Vec::new()).await.unwrap());
    assert!(
        !other.claim_alert(url, AlertKind::Failing, now, now.minus(HOUR), Vec::new()).await.unwrap(),
        "somebody tells already"
    );
    test.store.alert_result(url, AlertTopic::Deliveries, Some(503), Some(Cause::ServerError), "note".to_owned()).await.unwrap();
    let told = test.store.alerts_of(merchant).await.unwrap()[&(url, AlertTopic::Deliveries)].clone();
    assert_eq!((told.kind, told.told_at, told.status), (AlertKind::Failing, now, Some(503)));
    assert_eq!((told.cause, told.note.as_str()), (Some(Cause::ServerError), "note"));
    let later = now.plus(HOUR);
    assert!(test.store.claim_alert(url, AlertKind::Recovered, later, later.minus(HOUR), Vec::new()).await.unwrap());
    let told = test.store.alerts_of(merchant).await.unwrap()[&(url, AlertTopic::Deliveries)].clone();
    assert_eq!((told.kind, told.status, told.cause, told.note.as_str()), (AlertKind::Recovered, None, None, ""));
    assert!(test.store.alerts_of(MerchantId(1)).await.unwrap().is_empty());
    assert!(START < now);
    other.close().await;
}
