//! What a copy brings along, and how a server goes on there.

use super::{Full, MINUTE, body, target};
use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Setup, TestApp},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::Message,
    postgres,
    program::Program,
    stores::START,
    until,
};
use quittance::{domain::DeliveryState, server::store::Store};
use std::collections::BTreeSet;

/// All that pages show of a merchant, in words that do not depend on the engine.
async fn shown(store: &Store, full: &Full) -> String {
    let mut text = String::new();
    let (orders, ..) = store.find_orders(full.merchant, &Default::default()).await.unwrap();
    for order in &orders {
        let notifications = store.notifications_of(order.id).await.unwrap();
        text.push_str(&format!("{order:#?}\n{notifications:#?}\n"));
        for delivery in notifications.iter().flat_map(|notification| &notification.deliveries) {
            for attempt in store.attempts_of(delivery.id, None).await.unwrap() {
                text.push_str(&format!("{:#?}\n", store.exchanges(&[(delivery.id, attempt.number)]).await.unwrap()));
            }
        }
        for notification in &notifications {
            text.push_str(&format!("{:#?}\n", store.notification(full.merchant, notification.id).await.unwrap()));
        }
    }
    let received = store.received_by(full.listener).await.unwrap();
    let refused = store.refused_by(full.listener).await.unwrap();
    let counts = store.counts(&[full.merchant], START).await.unwrap();
    let mut states: Vec<_> = store.url_states(&[full.merchant], START).await.unwrap().into_iter().collect();
    states.sort_by_key(|(id, _)| *id);
    let mut people = Vec::new();
    for email in ["a@example.com", "m@example.com"] {
        let mut token_hash = [0; 32];
        token_hash[..email.len()].copy_from_slice(email.as_bytes());
        people.push((store.user_by_email(email).await.unwrap(), store.session_user(&token_hash, START).await.unwrap()));
    }
    let settings = store.settings();
    let (merchants, urls) = (settings.merchants(), settings.urls_of(full.merchant));
    let token = store.setup_token().await.unwrap();
    let mails = (store.failed_mails(full.merchant, None, 9).await.unwrap(), store.alert_mails(full.merchant, 9).await.unwrap());
    let waiting = store.waiting_long(&[full.merchant], START.plus(MINUTE * 60)).await.unwrap();
    text.push_str(&format!(
        "{mails:#?}\n{waiting:#?}\n{received:#?}\n{refused:#?}\n{counts:#?}\n{states:#?}\n{people:#?}\n{merchants:#?}\n{urls:#?}\n{token:?}"
    ));
    text.replace("\\0", "\u{fffd}").replace('\0', "\u{fffd}")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_and_pages_show_the_same() {
    let full = Full::new().await;
    let before = shown(&full.test.store, &full).await;
    full.test.store.close().await;
    let name = postgres::database().await;
    let copied = full.copy_to(&name).await.unwrap();
    assert!(copied.is_equal(), "{copied:#?}");
    for table in &copied.tables {
        assert!(table.target.rows > 0, "the source should hold something of everything: {}", table.name);
    }
    let moved = full.target(&name).await.unwrap();
    let after = shown(&moved, &full).await;
    let differs = before.lines().zip(after.lines()).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(before.lines().count(), after.lines().count());
    assert!(before.contains("Expired") && before.contains("Held") && before.contains("Cancelled") && before.contains("Retrying"));
    let findings = moved.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect();
    assert_eq!(wrong, ["what was promised is in the ledger"], "what was set aside came along");
    moved.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_the_copy_goes_on_where_the_other_stopped() {
    let full = Full::new().await;
    full.test.store.close().await;
    full.test.sql("DELETE FROM journal_stuck").await;
    let name = postgres::database().await;
    full.copy_to(&name).await.unwrap();
    let setup = Setup { clock: full.test.clock.clone(), database: Some((target(&name), full.key_file())), ..Setup::default() };
    let app = TestApp::start_as(setup).await;
    let store = &app.services.store;
    let state_of = async |reference: &str| {
        let order = store.order_by_reference(full.merchant, reference).await.unwrap().unwrap();
        let notification = store.notifications_of(order).await.unwrap().swap_remove(0);
        let delivery = notification.deliveries.into_iter().find(|delivery| delivery.url_id == full.url).unwrap();
        (delivery.state, notification.repeats)
    };
    let wait_for = async |reference: &str| {
        until(reference, || async { (state_of(reference).await.0 == DeliveryState::Confirmed).then_some(()) }).await;
    };
    for reference in ["queued", "zero\u{0}", "TEST-1"] {
        wait_for(reference).await;
    }
    assert_eq!(state_of("retrying").await.0, DeliveryState::Retrying, "it is not due yet");
    full.test.hand.advance(MINUTE);
    wait_for("retrying").await;
    assert_eq!(full.shadowed.wait_for(6).await.len(), 6, "the shadow gets what was open");
    // What the gateway repeats is known, by its bytes and its listener.
    let repeats = state_of("confirmed").await.1;
    let deliveries = full.good.visits().len();
    let path = format!("/ipn/key{}", full.merchant);
    let reply = gateway::post(app.address, &path, body("confirmed")).await;
    assert!(reply.status == 200 && reply.has_receipt(), "{reply:?}");
    assert_eq!(state_of("confirmed").await.1, repeats + 1);
    // And what is new gets ids of its own, and goes out signed with the merchant's key.
    assert_eq!(gateway::post(app.address, &path, body("new")).await.status, 200);
    wait_for("new").await;
    let visits = full.good.visits();
    assert_eq!(visits.len(), deliveries + 1, "a repeat is not delivered");
    assert_eq!(visits.last().unwrap().signatures(MERCHANT_KEY), ["md5"]);
    // A page of before is at its address.
    let mut conn = postgres::connect(&name).await;
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE url_id = $1 AND state = 3")
        .bind(full.held.get())
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(held, 7, "what was held is held, and so is what came since");
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_journal_held_arrives() {
    let program = Program::new();
    let merchant = FakeMerchant::start(|_| Answer::status(500, "later")).await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    // The ledger cannot be written for a while; gateways are answered all the same.
    let ledger = program.connection();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    for reference in ["1", "2", "3"] {
        let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
        assert_eq!(gateway::post(server.address, &path, body).await.status, 200);
    }
    server.kill();
    ledger.execute_batch("ROLLBACK").unwrap();
    let waiting: i64 = ledger.query_row("SELECT count(*) FROM notification", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 0);
    drop(ledger);
    let address = postgres::address(&postgres::database().await);
    let from = format!("sqlite:{}", program.database().display());
    let report = program.run(&["copy", "--from", &from, "--to", &address, "--json"]).json();
    assert_eq!(report["equal"], true);
    let tables = report["tables"].as_array().unwrap();
    let notifications = tables.iter().find(|table| table["table"] == "notification").unwrap();
    assert_eq!((&notifications["source"]["rows"], &notifications["target"]["rows"]), (&3.into(), &3.into()));
    program.run(&["doctor", "--database", &address]).done();
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let mut moved = Program::on(address.clone());
    moved.use_key_file(program.key_file());
    let server = moved.serve();
    until("what was outstanding to arrive", || async {
        let told: BTreeSet<String> = merchant.visits().iter().map(|visit| visit.field("REFNO")).collect();
        (told.len() == 3).then_some(())
    })
    .await;
    assert_eq!(Browser::new(server.address).get("/").await.status, 303);
    server.terminate();
    moved.run(&["doctor"]).done();
}

/// Ids of what comes after the move never meet those of before.
#[tokio::test(flavor = "multi_thread")]
async fn new_ids_carry_another_mark() {
    let full = Full::new().await;
    full.test.store.close().await;
    let name = postgres::database().await;
    full.copy_to(&name).await.unwrap();
    let setup = Setup { clock: full.test.clock.clone(), database: Some((target(&name), full.key_file())), ..Setup::default() };
    let app = TestApp::start_as(setup).await;
    let path = format!("/ipn/key{}", full.merchant);
    assert_eq!(gateway::post(app.address, &path, body("new")).await.status, 200);
    let order = app.services.store.order_by_reference(full.merchant, "new").await.unwrap().unwrap();
    let mark = |id: i64| (id >> 12) & 1023;
    assert!(full.orders.iter().all(|order| mark(order.get()) == 1));
    assert_ne!(mark(order.get()), 1);
    app.stop().await;
}
