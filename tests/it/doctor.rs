//! The checks of `quittance doctor`: each finds the damage that it is for, on both engines, and only that.

use crate::support::stores::{self, START, TestStore, received};
use quittance::{
    domain::{
        Cause,
        attempt::{Timings, VerdictDetail},
    },
    server::store::{Address, AttemptRecord, Job, NewResend, NewVerifying, Next, OpenAs},
};
use std::{collections::BTreeMap, io::Write as _, time::Duration};

fn record(job: &Job, next: Next) -> AttemptRecord {
    AttemptRecord {
        delivery_id: job.delivery_id,
        merchant_id: job.merchant_id,
        order_id: job.order_id,
        url_id: job.url_id,
        started_at: START,
        finished_at: START.plus(Duration::from_millis(40)),
        window_from: START,
        address: None,
        status: Some(200),
        cause: (next != Next::Confirmed).then_some(Cause::ServerError),
        detail: VerdictDetail::default(),
        timings: Timings::default(),
        request_head: "POST /ipn HTTP/1.1\r\n".to_owned(),
        request_body: "REFNO=1".into(),
        answer_head: "HTTP/1.1 200 OK\r\n".to_owned(),
        answer_body: "answer".into(),
        shadow: false,
        next,
    }
}

/// A database with a confirmed delivery of two attempts, a queued one, and a resend; nobody serves it.
async fn filled(mut test: TestStore) -> TestStore {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    let url = test.url(merchant, "https://shop.example.com/ipn").await;
    let mut jobs = Vec::new();
    for reference in ["1", "2"] {
        let body = format!("REFNO={reference}&ORDERSTATUS=COMPLETE&IPN_DATE=20260301120000");
        test.accept(received(merchant, listener, &body)).await;
        jobs.extend(test.jobs.recv().await.unwrap());
    }
    test.record(vec![record(&jobs[0], Next::Retry(START.plus(Duration::from_secs(60))))]).await;
    test.record(vec![record(&jobs[0], Next::Confirmed)]).await;
    let resend = NewResend {
        notification_ids: vec![jobs[0].notification_id],
        order_id: jobs[0].order_id,
        url_ids: vec![url],
        addresses: BTreeMap::new(),
        debug: false,
        actor: "support@example.com".into(),
        request_key: "once".to_owned(),
        at: START,
    };
    test.store.resend(merchant, resend).await.unwrap();
    test.reopen(OpenAs::Tool { create: false }).await.unwrap();
    test
}

/// The checks that fail.
async fn wrong(test: &TestStore) -> Vec<&'static str> {
    let findings = test.store.verify().await.unwrap();
    findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect()
}

const BOOKS: &str = "the books balance";
const REFERENCES: &str = "references point to rows";
const RECEIPTS: &str = "what is confirmed was confirmed by a receipt";
const COUNTED: &str = "attempts are counted";
const INDEXES: &str = "indexes are there and used";

/// What is done to the database and how it is undone, with the checks that notice: on SQLite, on PostgreSQL.
const DAMAGE: &[(&str, &str, &[&str], &[&str])] = &[
    ("UPDATE url_books SET queued = queued + 1", "UPDATE url_books SET queued = queued - 1", &[BOOKS], &[BOOKS]),
    ("UPDATE url_books SET accepted = accepted + 1", "UPDATE url_books SET accepted = accepted - 1", &[BOOKS], &[BOOKS]),
    (
        "UPDATE delivery SET notification_id = notification_id + 1",
        "UPDATE delivery SET notification_id = notification_id - 1",
        &[REFERENCES, "every delivery has its notification"],
        &["every delivery has its notification"],
    ),
    (
        "UPDATE delivery SET url_id = url_id + 1",
        "UPDATE delivery SET url_id = url_id - 1",
        &[REFERENCES, BOOKS],
        &[BOOKS, "every delivery has its URL"],
    ),
    (
        "UPDATE notification SET order_id = order_id + 1",
        "UPDATE notification SET order_id = order_id - 1",
        &[REFERENCES],
        &["every notification has its order"],
    ),
    (
        "UPDATE attempt SET delivery_id = delivery_id + 1",
        "UPDATE attempt SET delivery_id = delivery_id - 1",
        &[REFERENCES, COUNTED, RECEIPTS],
        &["every attempt has its delivery", COUNTED, RECEIPTS],
    ),
    (
        "UPDATE resend SET order_id = order_id + 1",
        "UPDATE resend SET order_id = order_id - 1",
        &[REFERENCES],
        &["every resend has its order"],
    ),
    (
        "UPDATE resend SET id = id + 1",
        "UPDATE resend SET id = id - 1",
        &["every resent delivery has its resend"],
        &["every resent delivery has its resend"],
    ),
    (
        "UPDATE notification SET segment_id = segment_id + 1000000",
        "UPDATE notification SET segment_id = segment_id - 1000000",
        &["every notification has its bytes"],
        &["every notification has its bytes"],
    ),
    (
        "UPDATE notification SET part = part + 100",
        "UPDATE notification SET part = part - 100",
        &["stored messages are unaltered"],
        &["stored messages are unaltered"],
    ),
    (
        "UPDATE attempt SET segment_id = segment_id + 1000000",
        "UPDATE attempt SET segment_id = segment_id - 1000000",
        &["every attempt has its bytes"],
        &["every attempt has its bytes"],
    ),
    (
        "UPDATE attempt SET part = part + 100",
        "UPDATE attempt SET part = part - 100",
        &["what was sent and answered can be read"],
        &["what was sent and answered can be read"],
    ),
    (
        "UPDATE delivery SET due_at = NULL WHERE state = 0",
        "UPDATE delivery SET due_at = created_at WHERE state = 0",
        &["open deliveries are due, final ones are not"],
        &["open deliveries are due, final ones are not"],
    ),
    (
        "UPDATE delivery SET finished_at = NULL WHERE state = 4",
        "UPDATE delivery SET finished_at = last_attempt_at WHERE state = 4",
        &["open deliveries are due, final ones are not"],
        &["open deliveries are due, final ones are not"],
    ),
    ("UPDATE delivery SET attempts = attempts + 1", "UPDATE delivery SET attempts = attempts - 1", &[COUNTED], &[COUNTED]),
    (
        "UPDATE attempt SET number = 3 WHERE number = 2",
        "UPDATE attempt SET number = 2 WHERE number = 3",
        &["no number of an attempt is left out"],
        &["no number of an attempt is left out"],
    ),
    (
        "UPDATE attempt SET cause = 'no-answer' WHERE cause IS NULL",
        "UPDATE attempt SET cause = NULL WHERE cause = 'no-answer'",
        &[RECEIPTS],
        &[RECEIPTS],
    ),
    (
        "UPDATE delivery SET node_id = 99 WHERE state = 0",
        "UPDATE delivery SET node_id = 1 WHERE state = 0",
        &["open deliveries belong to nodes that live"],
        &["every open delivery has a node"],
    ),
    ("DROP INDEX notification_once", "", &[INDEXES], &[INDEXES]),
    ("DROP INDEX audit_of_merchant", "", &[INDEXES], &[INDEXES]),
];

/// How the indexes that were dropped are made again.
const INDEX: [(&str, &str); 2] = [
    ("notification_once", "CREATE UNIQUE INDEX notification_once ON notification (listener_id, event_at, digest)"),
    ("audit_of_merchant", "CREATE INDEX audit_of_merchant ON audit (merchant_id, id)"),
];

async fn each_damage_is_found_by_its_check(test: TestStore) {
    let test = filled(test).await;
    assert_eq!(wrong(&test).await, [] as [&str; 0]);
    let is_sqlite = matches!(test.address, Address::Sqlite(_));
    let unchecked =
        |statement: &str| if is_sqlite { format!("PRAGMA foreign_keys = 0; {statement}") } else { statement.to_owned() };
    for (damage, repair, on_sqlite, on_postgres) in DAMAGE {
        test.sql(&unchecked(damage)).await;
        let expected = if is_sqlite { on_sqlite } else { on_postgres };
        let mut found = wrong(&test).await;
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{damage}");
        let again = INDEX.iter().find(|(name, _)| damage.ends_with(name)).map_or(*repair, |(_, create)| *create);
        test.sql(&unchecked(again)).await;
        assert_eq!(wrong(&test).await, [] as [&str; 0], "{again}");
    }
    test.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_of_sqlite_is_found_by_its_check() {
    each_damage_is_found_by_its_check(stores::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_damage_of_postgres_is_found_by_its_check() {
    each_damage_is_found_by_its_check(stores::postgres().await).await;
}

/// With an index missing, the statements that need it are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_without_their_index_are_named() {
    for test in [stores::sqlite().await, stores::postgres().await] {
        let test = filled(test).await;
        test.sql("DROP INDEX delivery_of_notification").await;
        let findings = test.store.verify().await.unwrap();
        let finding = findings.iter().find(|finding| finding.check == INDEXES).unwrap();
        assert!(finding.detail.contains("the index delivery_of_notification is missing"), "{finding:?}");
        assert!(finding.detail.contains("how deliveries of orders stand"), "{finding:?}");
        test.store.close().await;
    }
}

/// Which plan is cheaper in a small table, and what its planner believes of one that has just grown, says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_have_just_grown_are_no_finding() {
    let test = filled(stores::postgres().await).await;
    // Nobody counts it behind our back.
    test.sql("ALTER TABLE orders SET (autovacuum_enabled = off)").await;
    for (from, to) in [(1, 8_000), (8_001, 16_000), (16_001, 120_000)] {
        test.sql(&format!(
            "INSERT INTO orders (id, merchant_id, gateway, reference, external, email, customer, status, status_rank,
                 vendor_status, test, event_at, created_at, updated_at)
             SELECT number, merchant.id, '2checkout', 'many' || number, '', '', '', 'paid', 3, '', false, 0, 0, 0
             FROM merchant, generate_series({from}, {to}) AS number"
        ))
        .await;
        assert_eq!(wrong(&test).await, [] as [&str; 0], "{to} orders");
        test.sql("ANALYZE").await;
        assert_eq!(wrong(&test).await, [] as [&str; 0], "{to} orders, counted by the planner");
    }
    test.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_and_leases_of_dead_nodes_are_found_while_others_live() {
    let test = filled(stores::postgres().await).await;
    let node = |run: u32, name: &str, seen: &str| {
        format!(
            "INSERT INTO node (run, name, started_at, seen_at) VALUES ({run}, '{name}', now(), now() {seen} interval '1 hour');"
        )
    };
    test.sql(&format!("{}{}", node(901, "dead", "-"), node(902, "alive", "+"))).await;
    // What the node of the test left is taken over by nobody.
    let left = "UPDATE node SET ended_at = now() - interval '1 hour' WHERE name NOT IN ('dead', 'alive')";
    test.sql(left).await;
    assert_eq!(wrong(&test).await, ["open deliveries belong to nodes that live"]);
    test.sql("UPDATE delivery SET node_id = (SELECT id FROM node WHERE name = 'alive')").await;
    assert_eq!(wrong(&test).await, [] as [&str; 0]);
    test.sql("UPDATE delivery SET node_id = (SELECT id FROM node WHERE name = 'dead') WHERE state = 4").await;
    assert_eq!(wrong(&test).await, [] as [&str; 0], "who made a finished one is of the past");
    test.sql("UPDATE delivery SET node_id = (SELECT id FROM node WHERE name = 'dead')").await;
    assert_eq!(wrong(&test).await, ["open deliveries belong to nodes that live"]);
    test.sql("UPDATE delivery SET node_id = 0; INSERT INTO lease (url_id, node_id) SELECT 1, id FROM node WHERE name = 'dead'")
        .await;
    assert_eq!(wrong(&test).await, ["leases belong to nodes that live"]);
    test.store.close().await;
}

/// A million deliveries change hands in more time than one may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_taken_over_is_no_finding() {
    let test = filled(stores::postgres().await).await;
    let node =
        |run: u32, name: &str| format!("INSERT INTO node (run, name, started_at, seen_at) VALUES ({run}, '{name}', now(), now()");
    test.sql(&format!("{} - interval '1 hour');{} + interval '1 hour');", node(901, "dead"), node(902, "alive"))).await;
    test.sql("UPDATE node SET ended_at = now() - interval '1 hour' WHERE name NOT IN ('dead', 'alive')").await;
    test.sql(
        "UPDATE delivery SET node_id = (SELECT id FROM node WHERE name = 'dead'), state = 0, due_at = 1, finished_at = NULL",
    )
    .await;
    let taking = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        test.sql(
            "UPDATE delivery SET node_id = (SELECT id FROM node WHERE name = 'alive') WHERE id = (SELECT min(id) FROM delivery)",
        )
        .await;
    };
    let (findings, ()) = tokio::join!(test.store.verify(), taking);
    let findings = findings.unwrap();
    let found = findings.iter().find(|finding| finding.check == "open deliveries belong to nodes that live").unwrap();
    assert!(found.ok && found.detail.ends_with("they are being taken over"), "{found:?}");
    test.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_its_index_does_not_hold_is_found() {
    let test = filled(stores::sqlite().await).await;
    let Address::Sqlite(path) = test.address.clone() else { panic!() };
    test.store.close().await;
    let conn = rusqlite::Connection::open(&path).unwrap();
    let made: String =
        conn.query_row("SELECT sql FROM sqlite_master WHERE name = 'delivery_fresh'", [], |row| row.get(0)).unwrap();
    let empty = made.replace("state = 0", "state = 99");
    assert_ne!(made, empty);
    conn.execute_batch(&format!("DROP INDEX delivery_fresh; {empty}; PRAGMA writable_schema = ON")).unwrap();
    conn.execute("UPDATE sqlite_master SET sql = ?1 WHERE name = 'delivery_fresh'", [made]).unwrap();
    drop(conn);
    let store = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let findings = store.verify().await.unwrap();
    let found = findings.iter().find(|finding| finding.check == "the file is sound").unwrap();
    assert!(!found.ok && found.detail.contains("missing from index delivery_fresh"), "{found:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_file_that_was_overwritten_is_found() {
    let test = filled(stores::sqlite().await).await;
    let Address::Sqlite(path) = test.address.clone() else { panic!() };
    test.store.close().await;
    let conn = rusqlite::Connection::open(&path).unwrap();
    let number = |query: &str| conn.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    number("PRAGMA wal_checkpoint(TRUNCATE)");
    let page = number("SELECT rootpage FROM sqlite_master WHERE name = 'delivery_of_notification'");
    let size = number("PRAGMA page_size");
    drop(conn);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    // Behind the head of the page: where its cells are.
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(u64::try_from((page - 1) * size + size - 60).unwrap())).unwrap();
    file.write_all(&[0x55; 60]).unwrap();
    drop(file);
    let store = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let findings = store.verify().await.unwrap();
    assert!(findings.iter().any(|finding| finding.check == "the file is sound" && !finding.ok), "{findings:#?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_is_told() {
    for test in [stores::sqlite().await, stores::postgres().await] {
        let test = filled(test).await;
        let bytes = if matches!(test.address, Address::Sqlite(_)) { "x'00'" } else { "'\\x00'" };
        test.sql(&format!("INSERT INTO journal_stuck (id, events) VALUES (1, {bytes})")).await;
        assert_eq!(wrong(&test).await, ["what was promised is in the ledger"]);
        test.store.close().await;
    }
}

/// A message that its gateway is asked about is in no other table: bytes that changed, and a listener that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_wait_for_their_gateways_word_are_checked() {
    const WHOLE: &str = "messages that wait for their gateway's word are whole";
    for mut test in [stores::sqlite().await, stores::postgres().await] {
        let merchant = test.merchant("Shop").await;
        let new = NewVerifying {
            merchant_id: merchant,
            listener_id: test.listener(merchant).await,
            received_at: START,
            reference: "1".to_owned(),
            peer: "127.0.0.1".to_owned(),
            head: "POST /ipn/x HTTP/1.1\r\n\r\n".to_owned(),
            body: "txn_id=1".into(),
        };
        assert!(!test.store.add_verifying(new).await.unwrap());
        test.reopen(OpenAs::Tool { create: false }).await.unwrap();
        assert_eq!(wrong(&test).await, [] as [&str; 0]);
        for (damage, repair) in [
            ("UPDATE verifying SET bytes = digest, digest = bytes", "UPDATE verifying SET bytes = digest, digest = bytes"),
            ("UPDATE verifying SET merchant_id = merchant_id + 1", "UPDATE verifying SET merchant_id = merchant_id - 1"),
        ] {
            let unchecked = |statement: &str| match test.address {
                Address::Sqlite(_) => format!("PRAGMA foreign_keys = 0; {statement}"),
                Address::Postgres(_) => statement.to_owned(),
            };
            test.sql(&unchecked(damage)).await;
            assert!(wrong(&test).await.contains(&WHOLE), "{damage}");
            test.sql(&unchecked(repair)).await;
            assert_eq!(wrong(&test).await, [] as [&str; 0], "{repair}");
        }
        test.store.close().await;
    }
}

/// A sealed text is bound to its place: in another it does not open, whatever the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_does_not_open_is_found() {
    for test in [stores::sqlite().await, stores::postgres().await] {
        let test = filled(test).await;
        test.sql("UPDATE listener SET secret = merchant.secret_key FROM merchant").await;
        assert_eq!(wrong(&test).await, ["secrets open with the key file"]);
        test.store.close().await;
    }
}
