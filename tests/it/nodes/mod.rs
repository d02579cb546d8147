//! Several nodes over one PostgreSQL: each accepts, each delivers, and whatever happens to one, nothing is lost.

mod database;
mod killed;
mod order;

use crate::{
    live::Page,
    store::{facts, notification},
    support::{
        app::{GATEWAY_KEY, Setup, Shop, TestApp},
        browser::Browser,
        gateway,
        merchant::{Answer, FakeMerchant},
        message::Message,
        postgres,
        program::{Program, Server},
        proxy::Proxy,
        stores::url_draft,
        until,
    },
};
use quittance::{
    domain::{DeliveryState, Gateway, OrderStatus, Role, id::UrlId, order::Refund},
    server::store::{Address, StoreError, UrlDraft},
};
use sqlx::PgConnection;
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// A node that is gone must be replaced within this.
const TAKE_OVER: Duration = Duration::from_secs(15);

/// A database with the key that all of its nodes share.
struct Installation {
    name: String,
    folder: TempDir,
}

impl Installation {
    async fn new() -> Self {
        Self { name: postgres::database().await, folder: tempfile::tempdir().unwrap() }
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("quittance.key")
    }

    async fn node(&self) -> TestApp {
        self.node_through(postgres::port()).await
    }

    /// A node that reaches the database on another port.
    async fn node_through(&self, port: u16) -> TestApp {
        let address = format!("{}?sslmode=disable", postgres::address_at(port, &self.name));
        let address = Address::parse(&address).unwrap();
        TestApp::start_as(Setup { database: Some((address, self.key_file())), ..Setup::default() }).await
    }

    async fn connection(&self) -> PgConnection {
        postgres::connect(&self.name).await
    }
}

/// The shop as another node knows it, once its settings are those of the shop's node.
async fn at(shop: &Shop, node: &TestApp) -> Shop {
    let version = shop.services.store.settings().version;
    until("a node to know the settings", || async { (node.services.store.settings().version >= version).then_some(()) }).await;
    shop.again(node)
}

async fn post(shop: &Shop, reference: &str) -> u16 {
    shop.post_signed(&Message::small(reference, "COMPLETE", "20260301120009"), &["md5"]).await.status
}

/// How many deliveries are in a state.
async fn count(conn: &mut PgConnection, state: DeliveryState) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM delivery WHERE state = $1").bind(state.code()).fetch_one(conn).await.unwrap()
}

async fn wait_until_confirmed(conn: &mut PgConnection, expected: i64, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let confirmed = count(conn, DeliveryState::Confirmed).await;
        if confirmed == expected {
            return;
        }
        if Instant::now() >= deadline {
            let open = "SELECT format('delivery of node %s, lease of %s, state %s, attempts %s, due %s', delivery.node_id, lease.node_id,
                state, attempts, to_timestamp(due_at / 1e6)) FROM delivery LEFT JOIN lease USING (url_id) WHERE state IN (0, 2, 3)";
            let open: Vec<String> = sqlx::query_scalar(open).fetch_all(conn).await.unwrap();
            panic!("{confirmed} of {expected} confirmed in {within:?}: {open:#?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn references(merchant: &FakeMerchant) -> HashSet<String> {
    merchant.visits().iter().map(|visit| visit.field("REFNO")).collect()
}

fn concurrent(draft: &mut UrlDraft) {
    draft.concurrent = true;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_accepts_and_delivers() {
    let installation = Installation::new().await;
    let (one, two, three) = (installation.node().await, installation.node().await, installation.node().await);
    let merchant = FakeMerchant::confirming().await;
    let shop = one.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let shops = [at(&shop, &two).await, at(&shop, &three).await, shop];
    for round in 0..15 {
        for (number, shop) in shops.iter().enumerate() {
            assert_eq!(post(shop, &format!("{round}-{number}")).await, 200);
        }
    }
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 45, Duration::from_secs(10)).await;
    let served: Vec<i64> =
        sqlx::query_scalar("SELECT count(*) FROM delivery GROUP BY node_id").fetch_all(&mut conn).await.unwrap();
    assert_eq!(served, [15, 15, 15], "each delivers what it accepted");
    assert_eq!((merchant.visits().len(), references(&merchant).len()), (45, 45), "none twice");
    two.assert_healthy().await;
    for node in [one, two, three] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_without_concurrent_requests_never_gets_two_at_a_time() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let merchant =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(5), Box::new(Answer::receipt("md5", visit)))).await;
    let shop = one.shop("Shop").await;
    shop.url(&merchant.url()).await;
    let shops = [at(&shop, &two).await, shop];
    let posts = (0..80).map(|number| {
        let shop = &shops[number % 2];
        async move { assert_eq!(post(shop, &number.to_string()).await, 200) }
    });
    futures::future::join_all(posts).await;
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 80, Duration::from_secs(20)).await;
    assert_eq!((merchant.peak(), merchant.visits().len()), (1, 80));
    let served: Vec<i64> =
        sqlx::query_scalar("SELECT count(*) FROM delivery GROUP BY node_id").fetch_all(&mut conn).await.unwrap();
    assert_eq!(served, [80], "by one node, though two accepted");
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_for_another_nodes_url_is_not_late() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let merchant = FakeMerchant::confirming().await;
    let shop = one.shop("Shop").await;
    shop.url(&merchant.url()).await;
    assert_eq!(post(&shop, "first").await, 200);
    merchant.wait_for(1).await;
    let other = at(&shop, &two).await;
    for number in 0..5 {
        let posted = Instant::now();
        assert_eq!(post(&other, &number.to_string()).await, 200);
        merchant.wait_for(2 + number).await;
        assert!(posted.elapsed() < Duration::from_millis(900), "it was told of it: {:?}", posted.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_holds_on_every_node_within_a_second() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let shop = one.shop("Shop").await;
    let url = shop.url("http://127.0.0.1:9/").await;
    let mut directory = two.services.store.directory();
    let knows = |wanted: &'static str| {
        move |directory: &Arc<quittance::server::store::Directory>| directory.url(url).is_some_and(|url| url.label == wanted)
    };
    tokio::time::timeout(Duration::from_secs(1), directory.wait_for(knows("Shop"))).await.expect("in a second").unwrap();
    for label in ["Renamed", "Again"] {
        let draft = UrlDraft { label: label.to_owned(), ..url_draft(shop.merchant.id, "http://127.0.0.1:9/") };
        one.services.store.update_url(url, draft, "test".to_owned()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(1), directory.wait_for(knows(label))).await.expect("in a second").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identical_message_at_two_nodes_is_stored_once() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let merchant = FakeMerchant::confirming().await;
    let shop = one.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let other = at(&shop, &two).await;
    for round in 0..25 {
        let message = Message::small(&round.to_string(), "COMPLETE", "20260301120009");
        let posts = [&shop, &other, &shop, &other].map(|shop| shop.post_signed(&message, &["md5"]));
        for reply in futures::future::join_all(posts).await {
            assert!(reply.status == 200 && reply.has_receipt(), "{}", reply.text());
        }
        let order = shop.order_named(&round.to_string()).await;
        let notifications = shop.services.store.notifications_of(order).await.unwrap();
        assert_eq!((notifications.len(), notifications[0].repeats), (1, 3));
        assert_eq!(notifications[0].deliveries.len(), 1);
    }
    wait_until_confirmed(&mut installation.connection().await, 25, Duration::from_secs(10)).await;
    assert_eq!(merchant.visits().len(), 25);
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_told_to_two_nodes_in_the_same_moment_counts_once() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let shop = one.shop("Shop").await;
    let (store, other) = (&one.services.store, &two.services.store);
    for round in 0..40 {
        let reference = round.to_string();
        let mut told = facts(&reference, OrderStatus::Refunded, 100);
        told.refund = Some(Refund::Part(1_000));
        let message = || notification(shop.merchant.id, shop.listener_id(), told.clone());
        let accepted = [store, other, store, other].map(|store| store.accept(message()));
        let accepted = futures::future::join_all(accepted).await;
        assert_eq!(accepted.iter().filter(|one| !one.as_ref().unwrap().repeated).count(), 1, "{accepted:?}");
        let known = store.known_order(shop.merchant.id, Gateway::TwoCheckout, &reference).await.unwrap().unwrap();
        assert_eq!((known.refunds.parts, known.status), (1_000, OrderStatus::PartiallyRefunded), "round {round}");
    }
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_order_at_two_nodes_make_one_order() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let shop = one.shop("Shop").await;
    let other = at(&shop, &two).await;
    for round in 0..20 {
        let reference = format!("{round}");
        let messages = [("PENDING", "20260301120009"), ("COMPLETE", "20260301120011"), ("REFUND", "20260301120010")];
        let messages = messages.map(|(status, date)| Message::small(&reference, status, date));
        let posts = messages.iter().zip([&shop, &other, &shop]).map(|(message, shop)| shop.post_signed(message, &["md5"]));
        assert!(futures::future::join_all(posts).await.iter().all(|reply| reply.status == 200));
        let order = shop.order_named(&reference).await;
        let row = one.services.store.order(shop.merchant.id, order).await.unwrap().unwrap();
        assert_eq!(row.vendor_status, "COMPLETE", "the latest event holds, in whatever order they came");
        assert_eq!(one.services.store.notifications_of(order).await.unwrap().len(), 3);
    }
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_valid_at_every_node_and_its_pages_are_live() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let shop = one.shop("Shop").await;
    one.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(one.address, "admin@example.com").await;
    browser.address = two.address;
    assert_eq!(browser.get(&format!("/m/{}", shop.merchant.slug)).await.status, 200);
    let mut page = Page::open(&browser, "", "").await;
    let order = shop.order("1001").await;
    page.until(&order.to_string()).await;
    let listener = at(&shop, &two).await;
    assert_eq!(gateway::post(one.address, &listener.path(), "REFNO=1&HASH=00").await.status, 403);
    page.until("refusal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_one_node_is_posted_to_another() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    one.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(one.address, "admin@example.com").await;
    let form = browser.get("/merchants").await.text();
    let key = form.split("name=\"form_key\"").nth(1).and_then(|rest| rest.split("value=\"").nth(1)).unwrap();
    let key = key.split('"').next().unwrap().to_owned();
    let fields = [("form_key", key.as_str()), ("name", "Garden"), ("secret_key", "shown-by-another")];
    browser.address = two.address;
    let mut evil = browser.clone();
    evil.headers.push(("sec-fetch-site", "cross-site".to_owned()));
    assert_eq!(evil.form("/rpc/merchants/add", &fields).await.status, 403);
    browser.headers.push(("sec-fetch-site", "same-origin".to_owned()));
    let added = browser.form("/rpc/merchants/add", &fields).await;
    assert_eq!(added.status, 302, "{added:?}");
    // What the next page has to say was sealed by the node that did it, and is shown by the other.
    browser.address = one.address;
    until("the first node to know the merchant", || async { one.services.store.settings().merchants().first().map(drop) }).await;
    let shown = browser.get(added.header("location")).await;
    assert!(shown.text().contains("shown-by-another"), "{} {}: {}", added.header("location"), shown.status, shown.text());
    // The same form again, at the other node: it is done once.
    let again = browser.form("/rpc/merchants/add", &fields).await;
    assert_eq!(again.header("location"), added.header("location"));
    let merchants: i64 =
        sqlx::query_scalar("SELECT count(*) FROM merchant").fetch_one(&mut installation.connection().await).await.unwrap();
    assert_eq!(merchants, 1);
    // Signed out at one, signed out at all.
    assert_eq!(browser.form("/rpc/sign-out", &[]).await.status, 302);
    let mut left = browser.clone();
    left.address = two.address;
    assert_ne!(left.get("/merchants").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_leaves_its_work_to_the_others_at_once() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let merchant = FakeMerchant::start(|_| Answer::status(500, "not now")).await;
    let shop = one.shop("Shop").await;
    let (many, single) = (shop.url_as(&merchant.url(), concurrent).await, shop.url(&merchant.url()).await);
    let order = shop.order("1001").await;
    shop.wait_for_attempts(order, many, 1).await;
    shop.wait_for_attempts(order, single, 1).await;
    let left = Instant::now();
    one.stop().await;
    let other = shop.again(&two);
    let mut conn = installation.connection().await;
    until("the other node to have all", || async {
        let lanes = two.services.store.lanes().await.unwrap();
        (lanes.len() == 2).then_some(())
    })
    .await;
    assert!(left.elapsed() < Duration::from_secs(3), "{:?}", left.elapsed());
    merchant.answer(|visit| Answer::receipt("md5", visit));
    assert_eq!(post(&other, "1002").await, 200);
    wait_until_confirmed(&mut conn, 2, Duration::from_secs(5)).await;
    let leases: i64 = sqlx::query_scalar("SELECT count(*) FROM lease").fetch_one(&mut conn).await.unwrap();
    assert_eq!(leases, 1);
    two.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_may_switch_between_concurrent_and_not() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let merchant =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(10), Box::new(Answer::receipt("md5", visit)))).await;
    let shop = one.shop("Shop").await;
    let url = shop.url_as(&merchant.url(), concurrent).await;
    let other = at(&shop, &two).await;
    let mut conn = installation.connection().await;
    let mut expected = 0;
    for (round, concurrent) in [true, false, true, false].into_iter().enumerate() {
        let draft = UrlDraft { concurrent, ..url_draft(shop.merchant.id, &merchant.url()) };
        one.services.store.update_url(url, draft, "test".to_owned()).await.unwrap();
        // The other node may still act by the setting before.
        let posts = (0..30).map(|number| {
            let shop = if number % 2 == 0 { &shop } else { &other };
            async move { assert_eq!(post(shop, &format!("{round}-{number}")).await, 200) }
        });
        futures::future::join_all(posts).await;
        expected += 30;
        wait_until_confirmed(&mut conn, expected, Duration::from_secs(15)).await;
    }
    assert_eq!(references(&merchant).len(), 120);
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_needs_the_key_of_the_installation() {
    let installation = Installation::new().await;
    let one = installation.node().await;
    one.shop("Shop").await;
    let open = async |key_file: PathBuf| {
        let settings = quittance::server::store::StoreSettings {
            open_as: quittance::server::store::OpenAs::Server,
            key_file: Some(key_file),
            clock: quittance::server::clock::Clock::system(),
        };
        let address = Address::parse(&postgres::address(&installation.name)).unwrap();
        quittance::server::store::Store::open(&address, settings, Default::default()).await.map(drop)
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let missing = elsewhere.path().join("missing.key");
    assert!(matches!(open(missing.clone()).await, Err(StoreError::KeyMissing(_))));
    assert!(!missing.exists(), "none is made where the database has one");
    let wrong = elsewhere.path().join("wrong.key");
    std::fs::write(&wrong, "0".repeat(64)).unwrap();
    assert!(matches!(open(wrong).await, Err(StoreError::KeyWrong(_))));
}

/// Whoever waits for a table to change it makes everybody else wait behind him.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_that_waits_for_a_table_stops_no_other_node() {
    let installation = Installation::new().await;
    let one = installation.node().await;
    let merchant = FakeMerchant::start(|visit| Answer::receipt("md5", visit)).await;
    let shop = one.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    // As it was before the last change of the tables, while somebody works with them for long.
    let mut conn = installation.connection().await;
    sqlx::raw_sql("DROP INDEX delivery_open; DELETE FROM _sqlx_migrations WHERE version = 20").execute(&mut conn).await.unwrap();
    let mut backup = installation.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE delivery IN ROW EXCLUSIVE MODE").execute(&mut backup).await.unwrap();
    let two = installation.node();
    tokio::pin!(two);
    for number in 0..20 {
        let pause = tokio::time::sleep(Duration::from_millis(400));
        tokio::select! {
            _ = &mut two => panic!("the table cannot be changed yet"),
            status = async { pause.await; post(&shop, &format!("9{number:03}")).await } => assert_eq!(status, 200),
        }
    }
    wait_until_confirmed(&mut conn, 20, Duration::from_secs(10)).await;
    sqlx::raw_sql("COMMIT").execute(&mut backup).await.unwrap();
    let two = tokio::time::timeout(Duration::from_secs(20), two).await.expect("as soon as nobody uses the table");
    two.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_names_the_cure_and_no_password() {
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let empty = postgres::database().await;
    let cases = [
        (postgres::address_at(port, "not_there"), "does not exist", "createdb"),
        (postgres::address_at(closed, "any"), "cannot be reached", "check that it runs"),
        (format!("{}?sslmode=verify-full", postgres::address(&empty)), "encrypted", "sslmode"),
        (postgres::address(&empty), "is empty", "start the server"),
    ];
    for (address, what, cure) in cases {
        let program = Program::on(address);
        let error = tokio::task::spawn_blocking(move || program.run(&["merchant", "list"]).failed(1)).await.unwrap();
        assert!(error.contains(what) && error.contains(cure), "{error}");
        assert!(!error.contains("not-asked-for"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_encrypted_where_the_address_says_so() {
    let name = postgres::database().await;
    let program = Program::on(format!("{}?sslmode=require", postgres::address(&name)));
    let added = tokio::task::spawn_blocking(move || program.run(&["merchant", "add", "Shop", "--json"])).await.unwrap();
    assert_eq!(added.json()["slug"], "shop");
}
