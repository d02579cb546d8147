//! What is about SQLite's files: who may open and read them, how they shrink, and what a crash leaves in them.

use super::{assert_healthy, attempt, facts, notification, shop};
use crate::support::stores::{self, START, TestStore};
use quittance::{
    domain::OrderStatus,
    server::{
        retention,
        store::{Address, Horizon, Next, OpenAs, StoreError},
    },
};
use std::time::Duration;

/// What is about SQLite's files.
macro_rules! on_sqlite {
    ($($test:ident,)+) => {
        mod sqlite_alone {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(super::stores::sqlite().await).await;
            })+
        }
    };
}

on_sqlite! {
    a_second_server_is_refused,
    a_newer_command_leaves_the_tables_to_their_server,
    the_file_can_shrink,
    the_file_shrinks_when_what_is_old_goes,
    an_event_that_cannot_be_applied_takes_no_other_with_it,
    its_files_are_its_owners_alone,
    what_cannot_be_read_does_not_stop_the_start,
    a_damaged_journal_is_named,
    a_crash_after_long_answers_loses_nothing,
}

async fn a_newer_command_leaves_the_tables_to_their_server(mut test: TestStore) {
    // As the version before the last change of the tables has them.
    test.sql("DROP INDEX delivery_open; DELETE FROM _sqlx_migrations WHERE version = 19").await;
    let error = test.second(OpenAs::Tool { create: true }).await.err().unwrap();
    assert!(matches!(error, StoreError::ServedByOlder(_)) && error.to_string().contains("start the server anew"), "{error}");
    test.reopen(OpenAs::Server).await.unwrap();
    test.second(OpenAs::Tool { create: false }).await.unwrap().close().await;
    assert_healthy(&test).await;
}

async fn a_second_server_is_refused(test: TestStore) {
    let error = test.second(OpenAs::Server).await.err().unwrap();
    assert!(matches!(error, StoreError::Locked(_)));
    let tool = test.second(OpenAs::Tool { create: false }).await.unwrap();
    assert!(tool.is_served().await.unwrap());
    tool.close().await;
    let missing = Address::Sqlite(test.folder.path().join("none.db"));
    let settings = quittance::server::store::StoreSettings {
        open_as: OpenAs::Tool { create: false },
        key_file: None,
        clock: test.clock.clone(),
    };
    let error = quittance::server::store::Store::open(&missing, settings, Default::default()).await.err().unwrap();
    assert!(matches!(error, StoreError::Missing(_)), "a typing error makes no empty database");
}

async fn the_file_can_shrink(test: TestStore) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let mode: i64 = sqlx::query_scalar("PRAGMA auto_vacuum").fetch_one(&mut conn).await.unwrap();
    assert_eq!(mode, 2, "incremental, so that retention can give pages back");
}

async fn the_file_shrinks_when_what_is_old_goes(mut test: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let shop = shop(&test).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let mut pages = async || -> (i64, i64) {
        let count = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut conn).await.unwrap();
        (count, sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut conn).await.unwrap())
    };
    let (empty, _) = pages().await;
    for number in 0..40 {
        let job = shop.accept(&mut test, &number.to_string()).await;
        let mut done = attempt(&job, Next::Confirmed);
        // Nothing that could be packed.
        let mut state = 88_172_645_463_325_252_u64 + number;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        done.answer_body = (0..8_000).flat_map(|_| noise()).collect::<Vec<u8>>().into();
        test.record(vec![done]).await;
    }
    let (full, _) = pages().await;
    assert!(full > empty + 300, "{full} pages after {empty}");
    test.hand.advance(DAY * 100);
    let now = test.clock.now();
    let horizon = Horizon { bytes_before: now.minus(DAY * 90), ledger_before: now.minus(DAY * 400) };
    assert!(retention::once(&test.store, horizon).await.unwrap().segments > 0);
    let (left, free) = pages().await;
    assert!(left < empty + (full - empty) / 3 && free == 0, "{left} pages of {full}, {free} of them free");
    assert_healthy(&test).await;
}

async fn an_event_that_cannot_be_applied_takes_no_other_with_it(test: TestStore) {
    let shop = shop(&test).await;
    test.sql("CREATE TRIGGER refuse BEFORE INSERT ON orders WHEN NEW.reference = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    let new = |reference: &str| notification(shop.merchant, shop.listener, facts(reference, OrderStatus::Paid, 100));
    // So many at once that most of them share an entry of the journal.
    let references: Vec<String> =
        (0..60).map(|number| if number == 30 { "bad".to_owned() } else { number.to_string() }).collect();
    let accepted = futures::future::join_all(references.iter().map(|reference| test.store.accept(new(reference)))).await;
    assert!(accepted.iter().all(Result::is_ok));
    test.store.settled().await.unwrap();
    for reference in &references {
        let found = test.store.order_by_reference(shop.merchant, reference).await.unwrap();
        assert_eq!(found.is_some(), reference != "bad", "{reference}");
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join("quittance.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_stuck").fetch_one(&mut conn).await.unwrap();
    assert_eq!(kept, 1);
}

async fn its_files_are_its_owners_alone(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    #[cfg(unix)]
    for file in std::fs::read_dir(test.folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
    }
}

async fn connection(test: &TestStore, file: &str) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(test.folder.path().join(file));
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

async fn what_cannot_be_read_does_not_stop_the_start(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    test.store.close().await;
    let mut journal = connection(&test, "quittance.intake").await;
    let insert = "INSERT INTO journal (id, events, segments) VALUES (1000000, x'0909', x'01')";
    sqlx::query(insert).execute(&mut journal).await.unwrap();
    sqlx::Connection::close(journal).await.unwrap();
    test.reopen(OpenAs::Server).await.unwrap();
    let new = notification(shop.merchant, shop.listener, facts("1002", OrderStatus::Paid, 100));
    assert!(!test.accept(new).await.repeated);
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert_eq!((wrong.len(), wrong[0].check), (1, "what was promised is in the ledger"), "{wrong:?}");
    let kept = "SELECT events, segments FROM journal_stuck WHERE id = 1000000";
    let kept: (Vec<u8>, Vec<u8>) = sqlx::query_as(kept).fetch_one(&mut connection(&test, "quittance.db").await).await.unwrap();
    assert_eq!(kept, (vec![9, 9], vec![1]), "nothing is lost");
    test.reopen(OpenAs::Server).await.unwrap();
}

async fn a_damaged_journal_is_named(mut test: TestStore) {
    let shop = shop(&test).await;
    shop.accept(&mut test, "1001").await;
    test.store.close().await;
    std::fs::write(test.folder.path().join("quittance.intake"), "not a database at all".repeat(500)).unwrap();
    let error = test.reopen(OpenAs::Server).await.unwrap_err().to_string();
    assert!(error.contains("quittance.intake") && error.contains("not a database"), "{error}");
}

async fn a_crash_after_long_answers_loses_nothing(mut test: TestStore) {
    let shop = shop(&test).await;
    let job = shop.accept(&mut test, "1001").await;
    let mut failed = attempt(&job, Next::Retry(START.plus(Duration::from_secs(150))));
    failed.detail.note = "x".repeat(60_000);
    // A change under way keeps the ledger from following, as a crash would.
    let mut writer = connection(&test, "quittance.db").await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.unwrap();
    test.store.record(vec![failed; 200]).await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for name in ["quittance.db", "quittance.db-wal", "quittance.intake", "quittance.intake-wal", "quittance.key"] {
        std::fs::copy(test.folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    sqlx::query("ROLLBACK").execute(&mut writer).await.unwrap();
    test.store.close().await;
    test.address = Address::Sqlite(crashed.path().join("quittance.db"));
    test.folder = crashed;
    test.store = test.second(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.attempts_of(job.delivery_id, None).await.unwrap().len(), 200);
    assert_healthy(&test).await;
}
