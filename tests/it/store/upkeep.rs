//! What keeps a database sound: the doctor, retention, and versions that do not fit.

use super::{assert_healthy, attempt, facts, notification, shop};
use crate::support::stores::{START, TestStore, on_every_engine};
use quittance::{
    domain::OrderStatus,
    server::{
        retention,
        store::{Horizon, NewVerifying, Next, OpenAs, Removed, StoreError},
    },
};
use std::time::Duration;

on_every_engine! {
    questions_put_off_while_a_clock_was_ahead_come_sooner,
    a_newer_database_is_refused,
    the_doctor_finds_what_is_wrong,
    what_is_old_goes_and_what_is_waited_for_stays,
    what_is_waited_for_does_not_keep_what_came_long_after,
    the_doctor_leaves_a_minute_around_a_change_of_urls,
    the_doctor_reads_every_message_of_every_segment,
}

async fn questions_put_off_while_a_clock_was_ahead_come_sooner(test: TestStore) {
    const HOUR: Duration = Duration::from_secs(3_600);
    let shop = shop(&test).await;
    let ahead = test.clock.now().plus(HOUR * 48);
    for reference in ["1", "2"] {
        let new = NewVerifying {
            merchant_id: shop.merchant,
            listener_id: shop.listener,
            received_at: ahead,
            reference: reference.to_owned(),
            peer: "127.0.0.1".to_owned(),
            head: "POST /ipn/x HTTP/1.1\r\n".to_owned(),
            body: reference.to_owned().into(),
        };
        test.store.add_verifying(new).await.unwrap();
    }
    let (now, latest, until) = (test.clock.now(), test.clock.now().plus(HOUR), test.clock.now().plus(HOUR / 40));
    assert_eq!(test.store.verifying_due().await.unwrap(), Some(ahead));
    test.store.pull_back_verifying(now, latest, until).await.unwrap();
    assert_eq!(test.store.verifying_due().await.unwrap(), Some(now), "nobody was asked yet");
    let taken = test.store.take_verifying(until, Vec::new(), 10, 1).await.unwrap();
    let [first] = &taken[..] else { panic!("{}", taken.len()) };
    test.store.postpone_verifying(first.id, ahead, String::new()).await.unwrap();
    let taken = test.store.take_verifying(ahead, Vec::new(), 10, 10).await.unwrap();
    assert_eq!(taken.len(), 1, "the other");
    assert_eq!(test.store.verifying_due().await.unwrap(), Some(ahead), "one is put off, and one taken, until then");
    test.store.pull_back_verifying(now, latest, until).await.unwrap();
    assert_eq!(test.store.verifying_due().await.unwrap(), Some(latest));
    assert!(test.store.take_verifying(ahead, Vec::new(), 10, 10).await.unwrap().is_empty(), "it is still taken");
    test.hand.advance(HOUR / 40 + Duration::from_secs(1));
    let again = test.store.take_verifying(ahead, Vec::new(), 10, 10).await.unwrap();
    assert_eq!(again.iter().map(|one| one.id).collect::<Vec<_>>(), [taken[0].id], "and was free again soon");
}

async fn a_newer_database_is_refused(mut test: TestStore) {
    test.store.close().await;
    test.sql(
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         SELECT 9999, 'from the future', CURRENT_TIMESTAMP, success, checksum, 0 FROM _sqlx_migrations LIMIT 1",
    )
    .await;
    let error = test.reopen(OpenAs::Server).await.unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 9999 }));
    assert!(error.to_string().contains("newer version"));
}

async fn the_doctor_finds_what_is_wrong(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    assert_healthy(&test).await;
    test.sql(&format!("UPDATE delivery SET state = 4 WHERE id = {}", job.delivery_id.get())).await;
    test.sql(&format!("UPDATE notification SET digest = {}", test.wrong_digest())).await;
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect();
    assert_eq!(
        wrong,
        [
            "the books balance",
            "open deliveries are due, final ones are not",
            "what is confirmed was confirmed by a receipt",
            "stored messages are unaltered"
        ]
    );
}

async fn what_is_old_goes_and_what_is_waited_for_stays(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let retry = Next::Retry(START.plus(Duration::from_secs(150)));
    let (done, waiting) = (shop.accept(&mut test, "1001").await, shop.accept(&mut test, "1002").await);
    test.record(vec![attempt(&done, retry), attempt(&done, Next::Confirmed), attempt(&waiting, retry)]).await;
    let everything = async |test: &TestStore, bytes: u32, ledger: u32| {
        let now = test.clock.now();
        let horizon = Horizon { bytes_before: now.minus(DAY * bytes), ledger_before: now.minus(DAY * ledger) };
        retention::once(&test.store, horizon).await.unwrap()
    };
    assert_eq!(everything(&test, 90, 400).await, Removed::default(), "all of it is fresh");

    test.hand.advance(DAY * 100);
    let fresh = shop.accept(&mut test, "1003").await;
    // The bytes of both lie together where they were committed together; what somebody waits for keeps them.
    let removed = everything(&test, 90, 400).await;
    assert_eq!((removed.attempts, removed.notifications, removed.orders), (2, 0, 0));
    assert!(test.store.attempts_of(done.delivery_id, None).await.unwrap().is_empty());
    assert_eq!(test.store.attempts_of(waiting.delivery_id, None).await.unwrap().len(), 1);
    let bodies = test.store.bodies(&[waiting.notification_id, fresh.notification_id]).await.unwrap();
    assert!(bodies.len() == 2 && bodies.values().all(|body| !body.is_empty()), "{bodies:?}");
    assert_healthy(&test).await;

    test.record(vec![attempt(&waiting, Next::Confirmed)]).await;
    let removed = everything(&test, 90, 400).await;
    assert!(removed.segments > 0 && removed.notifications == 0, "{removed:?}");
    let stored = test.store.notification(shop.merchant, waiting.notification_id).await.unwrap().unwrap();
    assert!(stored.body.is_empty() && stored.view.size > 0, "the row tells that it was there");
    assert_healthy(&test).await;

    test.hand.advance(DAY * 320);
    let removed = everything(&test, 90, 400).await;
    assert_eq!((removed.notifications, removed.deliveries, removed.orders), (2, 2, 2));
    assert!(test.store.order(shop.merchant, done.order_id).await.unwrap().is_none());
    assert!(!test.store.bodies(&[fresh.notification_id]).await.unwrap()[&fresh.notification_id].is_empty());
    assert_eq!(everything(&test, 90, 400).await, Removed::default(), "once is enough");
    assert_healthy(&test).await;
    let again = notification(shop.merchant, shop.listener, facts("1001", OrderStatus::Refunded, 900));
    assert!(!test.accept(again).await.repeated);
    assert_healthy(&test).await;
}

async fn what_is_waited_for_does_not_keep_what_came_long_after(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let waiting = shop.accept(&mut test, "1001").await;
    test.record(vec![attempt(&waiting, Next::Retry(START.plus(DAY * 300)))]).await;
    let mut done = Vec::new();
    for number in 0..3 {
        test.hand.advance(DAY);
        let job = shop.accept(&mut test, &format!("200{number}")).await;
        test.record(vec![attempt(&job, Next::Confirmed)]).await;
        done.push(job.notification_id);
    }
    test.hand.advance(DAY * 100);
    let now = test.clock.now();
    let horizon = Horizon { bytes_before: now.minus(DAY * 90), ledger_before: now.minus(DAY * 400) };
    let removed = retention::once(&test.store, horizon).await.unwrap();
    assert!(removed.segments >= 3, "{removed:?}");
    let bodies = test.store.bodies(&done).await.unwrap();
    assert!(bodies.values().all(|body| body.is_empty()), "{bodies:?}");
    let bodies = test.store.bodies(&[waiting.notification_id]).await.unwrap();
    assert!(!bodies[&waiting.notification_id].is_empty());
    assert_healthy(&test).await;
}

async fn the_doctor_leaves_a_minute_around_a_change_of_urls(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    test.sql("DELETE FROM delivery").await;
    let at = |seconds: u64| START.plus(Duration::from_secs(seconds)).micros();
    let is_well = async |received: u64, accepted: u64| {
        // An id tells when it was made: milliseconds since 2024, above 22 bits.
        let made = (at(accepted) / 1_000 - 1_704_067_200_000) << 22;
        test.sql(&format!("UPDATE notification SET received_at = {}, id = id % 4194304 + {made}", at(received))).await;
        let findings = test.store.verify().await.unwrap();
        findings.iter().find(|finding| finding.check == "every notification was fanned out").unwrap().ok
    };
    assert!(is_well(50, 50).await && !is_well(70, 70).await);
    // Whoever was asked back came in before its URL was added or removed, and was accepted after.
    assert!(is_well(50, 7_200).await);
    test.sql(&format!("UPDATE notification_url SET removed_at = {}", at(3_600))).await;
    assert!(!is_well(70, 70).await && !is_well(3_500, 3_500).await && is_well(70, 7_200).await && is_well(3_700, 3_700).await);
}

async fn the_doctor_reads_every_message_of_every_segment(test: TestStore) {
    let shop = shop(&test).await;
    // More than the doctor looks at together, over several segments.
    let accepts = (0..2_500).map(|number| {
        let order = format!("{}", 1_001 + number);
        let mut new = notification(shop.merchant, shop.listener, facts(&order, OrderStatus::Paid, 100 + number));
        new.body = format!("NUMBER={number}&PAD={}", "x".repeat(500)).into();
        test.store.accept(new)
    });
    assert!(futures::future::join_all(accepts).await.iter().all(Result::is_ok));
    test.store.settled().await.unwrap();
    let unaltered = async || {
        let findings = test.store.verify().await.unwrap();
        findings.into_iter().find(|finding| finding.check == "stored messages are unaltered").unwrap()
    };
    assert_eq!(unaltered().await.detail, "2500 bodies hash right");
    for end in ["min", "max"] {
        test.sql(&format!(
            "UPDATE notification SET digest = {} WHERE id = (SELECT {end}(id) FROM notification)",
            test.wrong_digest()
        ))
        .await;
    }
    assert_eq!(unaltered().await.detail, "2 of 2500 bodies are altered");
    // Bytes that are gone are another check's finding.
    test.sql("DELETE FROM segment").await;
    assert_eq!(unaltered().await.detail, "0 bodies hash right");
}
