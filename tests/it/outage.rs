//! The database is away, or does not keep up: nothing is acknowledged that is not on disk, nothing is lost, and everything
//! goes on by itself.

use crate::support::{
    app::{self, GATEWAY_KEY, Setup, TestApp},
    gateway::{self, Reply},
    merchant::{Answer, FakeMerchant},
    message::Message,
    postgres::{self, Server},
    until,
};
use quittance::{domain::DeliveryState, server::store::Address};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

async fn post(address: SocketAddr, path: &str, reference: &str) -> Reply {
    let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    gateway::post(address, path, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_503_without_a_receipt_and_it_goes_on_by_itself() {
    let mut server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let keys = tempfile::tempdir().unwrap();
    let address = Address::parse(&postgres::address_at(server.port, "postgres")).unwrap();
    let database = Some((address, keys.path().join("quittance.key")));
    let app = TestApp::start_as(Setup { database, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    // Slow enough that some are on their way when the database goes.
    let merchant =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(200), Box::new(Answer::receipt("md5", visit)))).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let reference = format!("before-{number}");
        assert_eq!(post(app.address, &shop.path(), &reference).await.status, 200);
        acknowledged.push(reference);
    }
    server = tokio::task::spawn_blocking(move || {
        server.stop();
        server
    })
    .await
    .unwrap();
    for number in 0..5 {
        let reply = post(app.address, &shop.path(), &format!("gone-{number}")).await;
        assert_eq!((reply.status, reply.has_receipt()), (503, false), "{}", reply.text());
        assert!(!reply.header("retry-after").is_empty());
    }
    assert_eq!(gateway::get(app.address, "/healthz").await.status, 200, "the server itself goes on");
    let server = tokio::task::spawn_blocking(move || {
        server.start();
        server
    })
    .await
    .unwrap();
    let again = || async { (post(app.address, &shop.path(), "after").await.status == 200).then_some(()) };
    until("the server to accept again", again).await;
    acknowledged.push("after".to_owned());
    for reference in acknowledged {
        let order = shop.order_named(&reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    app.assert_healthy().await;
    app.stop().await;
    drop(server);
}

/// The database's server dies with all that it has in memory only, twice, while eight senders post.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_under_load_keeps_what_was_acknowledged() {
    let mut server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let keys = tempfile::tempdir().unwrap();
    let address = Address::parse(&postgres::address_at(server.port, "postgres")).unwrap();
    let database = Some((address, keys.path().join("quittance.key")));
    let app = TestApp::start_as(Setup { database, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (address, path, acknowledged, done) = (app.address, shop.path(), acknowledged.clone(), done.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    let reference = format!("{sender}-{number}");
                    let reply = post(address, &path, &reference).await;
                    if reply.status == 200 && reply.has_receipt() {
                        acknowledged.lock().unwrap().insert(reference);
                    } else {
                        assert_eq!((reply.status, reply.has_receipt()), (503, false), "{}", reply.text());
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    for _ in 0..2 {
        let before = count();
        until("messages to be acknowledged", || async { (count() >= before + 150).then_some(()) }).await;
        server = tokio::task::spawn_blocking(move || {
            server.crash();
            server
        })
        .await
        .unwrap();
    }
    let before = count();
    until("it to go on by itself", || async { (count() >= before + 50).then_some(()) }).await;
    done.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    until("all to be delivered", || async {
        let told: HashSet<String> = merchant.visits().iter().map(|visit| visit.field("REFNO")).collect();
        acknowledged.is_subset(&told).then_some(())
    })
    .await;
    app.assert_healthy().await;
    app.stop().await;
    drop(server);
}

/// A message of a quarter of a megabyte that cannot be packed.
fn large(reference: &str) -> Vec<u8> {
    let mut seed = reference.bytes().fold(1u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    let letters = (0..240 << 10).map(|_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(seed >> 58) as usize])
    });
    let mut message = Message::small(reference, "COMPLETE", "20260301120009");
    message.set("IPN_PNAME[]", &letters.collect::<String>());
    message.body(GATEWAY_KEY, &["md5"]).into()
}

/// The ledger cannot be written while the journal still can, as where a disk is too slow for what comes: it takes what fits in
/// what may wait, then nobody is told that it is safe.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_does_not_keep_up_is_503_without_a_receipt() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let ledger = rusqlite::Connection::open(app.database()).unwrap();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut acknowledged = Vec::new();
    let turned_away = loop {
        let reference = format!("waits-{}", acknowledged.len());
        let reply = shop.post_body(large(&reference)).await;
        if reply.status != 200 {
            break reply;
        }
        acknowledged.push(reference);
        assert!(acknowledged.len() < 1_000, "what may wait is bounded");
    };
    assert_eq!((turned_away.status, turned_away.has_receipt()), (503, false), "{}", turned_away.text());
    assert!(!turned_away.header("retry-after").is_empty());
    assert!(acknowledged.len() > 20, "{} were taken before", acknowledged.len());
    ledger.execute_batch("ROLLBACK").unwrap();
    let again = || async { (post(app.address, &shop.path(), "after").await.status == 200).then_some(()) };
    until("the server to accept again", again).await;
    acknowledged.push("after".to_owned());
    for reference in acknowledged {
        let order = shop.order_named(&reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    app.assert_healthy().await;
    app.stop().await;
}

/// A database that answers, and writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_keep_up_is_503_without_a_receipt() {
    let keys = tempfile::tempdir().unwrap();
    let setup = app::on_postgres(keys.path()).await;
    let Some((Address::Postgres(address), _)) = setup.database.clone() else { panic!("PostgreSQL") };
    let name = address.to_string().rsplit('/').next().unwrap().to_owned();
    let app = TestApp::start_as(setup).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut aside = postgres::connect(&name).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE notification IN EXCLUSIVE MODE").execute(&mut aside).await.unwrap();
    let reply = post(app.address, &shop.path(), "1").await;
    assert_eq!((reply.status, reply.has_receipt()), (503, false), "{}", reply.text());
    assert!(!reply.header("retry-after").is_empty());
    sqlx::raw_sql("ROLLBACK").execute(&mut aside).await.unwrap();
    for reference in ["1", "2"] {
        let again = || async { (post(app.address, &shop.path(), reference).await.status == 200).then_some(()) };
        until("the server to accept again", again).await;
        let order = shop.order_named(reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        let told = merchant.visits().iter().filter(|visit| visit.field("REFNO") == reference).count();
        assert_eq!(told, 1, "the gateway's second try is the same message");
    }
    app.assert_healthy().await;
    app.stop().await;
}
