//! The metrics, and the check of the books that runs with the server.

use crate::support::{
    app::{GATEWAY_KEY, Setup, Shop, TestApp},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::Message,
    postgres,
    program::Program,
    until,
};
use quittance::{domain::Role, server::store::Address};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// A server with its metrics, on one of the engines.
struct Measured {
    app: TestApp,
    metrics: SocketAddr,
    /// Of PostgreSQL.
    database: Option<String>,
    _folder: TempDir,
}

impl Measured {
    async fn sqlite() -> Self {
        Self::start(None).await
    }

    async fn postgres() -> Self {
        Self::start(Some(postgres::database().await)).await
    }

    async fn start(database: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = database.as_ref().map(|name| Address::parse(&postgres::address(name)).unwrap());
        let database_of = address.map(|address| (address, folder.path().join("quittance.key")));
        let mut app = TestApp::start_as(Setup { database: database_of, ..Setup::default() }).await;
        let metrics = app.serve_metrics().await;
        Self { app, metrics, database, _folder: folder }
    }

    async fn text(&self) -> String {
        let reply = gateway::get(self.metrics, "/metrics").await;
        assert!(reply.status == 200 && reply.header("content-type").starts_with("text/plain; version=0.0.4"), "{reply:?}");
        reply.text()
    }

    /// One number.
    async fn number(&self, name: &str) -> f64 {
        number(&self.text().await, name)
    }

    async fn wait_for(&self, name: &str, fits: impl Fn(f64) -> bool) -> f64 {
        until(name, || async { Some(self.number(name).await).filter(|number| fits(*number)) }).await
    }

    /// Waits until every URL was counted since now.
    async fn wait_for_checks(&self, urls: f64) {
        let name = "quittance_books_checks_total{check=\"rows\"}";
        let before = self.number(name).await;
        // One may be under way.
        self.wait_for(name, |now| now > before + urls).await;
    }

    /// Does something to the tables behind the server's back.
    async fn sql(&self, statement: &str) {
        self.app.services.store.settled().await.unwrap();
        match &self.database {
            None => {
                let conn = rusqlite::Connection::open(self.app.database()).unwrap();
                conn.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
                conn.pragma_update(None, "foreign_keys", false).unwrap();
                conn.execute_batch(statement).unwrap();
            }
            Some(name) => {
                let mut conn = postgres::connect(name).await;
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut conn).await.unwrap();
            }
        }
    }
}

fn number(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
    line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

async fn post(shop: &Shop, reference: &str) -> u16 {
    shop.post_signed(&Message::small(reference, "COMPLETE", "20260301120009"), &["md5"]).await.status
}

macro_rules! on_every_engine {
    ($($test:ident,)+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Measured::sqlite().await).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::Measured::postgres().await).await;
            })+
        }
    };
}

on_every_engine! {
    what_happens_is_counted,
    a_row_that_was_changed_is_found_and_told,
    sums_that_differ_are_found,
    the_books_balance_under_load,
}

async fn what_happens_is_counted(server: Measured) {
    let gate = Arc::new(Semaphore::new(0));
    let gated = gate.clone();
    let merchant = FakeMerchant::start(move |visit| match visit.field("REFNO").as_str() {
        "slow" => Answer::Gated(gated.clone(), Box::new(Answer::receipt("md5", visit))),
        "broken" => Answer::status(500, "broken"),
        _ => Answer::receipt("md5", visit),
    })
    .await;
    let shop = server.app.shop("Shop").await;
    shop.url_as(&merchant.url(), |draft| draft.concurrent = true).await;
    let copied = FakeMerchant::start(|_| Answer::text("OK")).await;
    shop.url_as(&copied.url(), |draft| {
        draft.concurrent = true;
        draft.terms.shadow = true;
    })
    .await;
    for reference in ["1", "1", "broken", "slow"] {
        assert_eq!(post(&shop, reference).await, 200);
    }
    assert_eq!(shop.post_body("REFNO=1&HASH=0").await.status, 403);
    assert_eq!(gateway::post(server.app.address, "/ipn/nobody", "REFNO=1").await.status, 404);
    copied.wait_for(3).await;
    for (name, expected) in [
        ("quittance_messages_total{outcome=\"accepted\"}", 3.0),
        ("quittance_messages_total{outcome=\"repeated\"}", 1.0),
        ("quittance_messages_total{outcome=\"refused\"}", 2.0),
        ("quittance_messages_total{outcome=\"not-stored\"}", 0.0),
        ("quittance_refusals_total{reason=\"wrong-signature\"}", 1.0),
        ("quittance_refusals_total{reason=\"unknown-listener\"}", 1.0),
        ("quittance_acknowledge_seconds_count", 4.0),
        ("quittance_attempts_total{cause=\"confirmed\"}", 1.0),
        ("quittance_attempts_total{cause=\"server-error\"}", 1.0),
        ("quittance_in_flight", 1.0),
        ("quittance_deliveries{state=\"confirmed\"}", 1.0),
        ("quittance_deliveries{state=\"retrying\"}", 1.0),
        ("quittance_outstanding", 2.0),
    ] {
        server.wait_for(name, |found| (found - expected).abs() < 0.1).await;
    }
    gate.add_permits(1);
    server.wait_for("quittance_in_flight", |found| found < 0.1).await;
    let text = server.text().await;
    assert!(
        number(&text, "quittance_attempts_total{cause=\"no-receipt\"}") < 0.1,
        "what becomes of copies counts nowhere: {text}"
    );
    let commits = number(&text, "quittance_commit_seconds_count");
    assert!(commits >= 2.0 && number(&text, "quittance_commit_seconds_sum") > 0.0, "{text}");
    assert!(number(&text, "quittance_commit_seconds_bucket{le=\"+Inf\"}") >= commits);
    assert!(number(&text, "process_resident_memory_bytes") > 1e6);
    let engine = if server.database.is_some() { "postgres" } else { "sqlite" };
    let build = format!("quittance_build_info{{version=\"{}\",engine=\"{engine}\"}}", env!("CARGO_PKG_VERSION"));
    assert!((number(&text, &build) - 1.0).abs() < 0.1);
    let public = gateway::get(server.app.address, "/metrics").await;
    assert!(!public.text().contains("quittance_messages_total"), "not where gateways come");
}

async fn a_row_that_was_changed_is_found_and_told(server: Measured) {
    let merchant = FakeMerchant::confirming().await;
    let shop = server.app.shop("Shop").await;
    shop.url_as(&merchant.url(), |draft| draft.held = true).await;
    let other = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, other, quittance::domain::DeliveryState::Confirmed).await;
    server.app.user("admin@example.com", Role::Admin, &[]).await;
    server.app.user("support@example.com", Role::Support, &[]).await;
    let mut admin = Browser::signed_in(server.app.address, "admin@example.com").await;
    let mut support = Browser::signed_in(server.app.address, "support@example.com").await;
    let page = format!("/m/{}", shop.merchant.slug);
    let (rows, told) = ("quittance_books_difference{check=\"rows\"}", "The books do not balance");
    server.wait_for_checks(2.0).await;
    assert!(server.number(rows).await < 0.1);
    assert!(!admin.get(&page).await.text().contains(told));
    server.sql("UPDATE delivery SET state = 6 WHERE state = 3").await;
    // One is missing, and one is too many.
    server.wait_for(rows, |found| (found - 2.0).abs() < 0.1).await;
    assert!(admin.get(&page).await.text().contains(told));
    assert!(!support.get(&page).await.text().contains(told), "who cannot do anything about it is not told");
    server.sql("UPDATE delivery SET state = 3 WHERE state = 6").await;
    server.wait_for(rows, |found| found < 0.1).await;
    assert!(!admin.get(&page).await.text().contains(told));
    // One that no index counts.
    server.sql("DELETE FROM delivery WHERE state = 4").await;
    server.wait_for(rows, |found| (found - 1.0).abs() < 0.1).await;
}

async fn sums_that_differ_are_found(server: Measured) {
    let shop = server.app.shop("Shop").await;
    shop.url_as("http://127.0.0.1:9/", |draft| draft.held = true).await;
    shop.url_as("http://127.0.0.1:9/", |draft| draft.held = true).await;
    let sums = "quittance_books_difference{check=\"sums\"}";
    server.wait_for("quittance_books_checked_timestamp_seconds{check=\"sums\"}", |at| at > 1e9).await;
    assert!(server.number(sums).await < 0.1);
    // Too many here and too few there is not balanced.
    server.sql("UPDATE url_books SET accepted = accepted + 1 WHERE url_id = (SELECT min(url_id) FROM url_books)").await;
    server.sql("UPDATE url_books SET accepted = accepted - 1 WHERE url_id = (SELECT max(url_id) FROM url_books)").await;
    server.wait_for(sums, |found| (found - 2.0).abs() < 0.1).await;
}

async fn the_books_balance_under_load(server: Measured) {
    let merchant = FakeMerchant::start(|visit| match visit.number % 5 {
        0 => Answer::status(500, "sometimes"),
        _ => Answer::receipt("md5", visit),
    })
    .await;
    let shop = Arc::new(server.app.shop("Shop").await);
    for _ in 0..3 {
        shop.url_as(&merchant.url(), |draft| draft.concurrent = true).await;
    }
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let (shop, ended) = (shop.clone(), ended.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(post(&shop, &format!("{sender}-{sent}")).await, 200);
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    let checks = "quittance_books_checks_total{check=\"rows\"}";
    let until_check = server.number(checks).await + 4.0;
    loop {
        let text = server.text().await;
        for check in ["sums", "rows"] {
            let difference = number(&text, &format!("quittance_books_difference{{check=\"{check}\"}}"));
            assert!(difference < 0.1, "{text}");
        }
        if number(&text, checks) > until_check {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    let accepted = server.number("quittance_messages_total{outcome=\"accepted\"}").await;
    assert!((accepted - f64::from(sent)).abs() < 0.1, "{accepted} of {sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_them_where_it_is_told_and_logs_an_imbalance_once() {
    let program = Program::new();
    let path = program.shop("http://127.0.0.1:9/");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listening = TcpListener::bind(taken).unwrap();
    let error = program.run(&["serve", "--listen", "127.0.0.1:0", "--metrics", &taken.to_string()]).failed(1);
    assert!(error.contains("already in use") && error.contains("--metrics"), "{error}");
    drop(listening);
    let server = program.serve();
    assert!(!server.banner.contains("Metrics"), "off unless it is asked for");
    server.terminate();
    let server = program.serve_with(&["--metrics", "127.0.0.1:0"]);
    let metrics: SocketAddr =
        server.banner.split("Metrics    http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    let body = Message::small("1", "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    assert_eq!(gateway::post(server.address, &path, body).await.status, 200);
    program.connection().execute("UPDATE url_books SET accepted = accepted + 3", []).unwrap();
    let checks = async || number(&gateway::get(metrics, "/metrics").await.text(), "quittance_books_checks_total{check=\"sums\"}");
    let before = checks().await;
    until("some checks", || async { (checks().await > before + 2.5).then_some(()) }).await;
    let (code, log) = server.terminate();
    assert_eq!(code, 0);
    assert_eq!(log.matches("the books do not balance").count(), 1, "{log}");
}
