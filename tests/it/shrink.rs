//! What retention frees on PostgreSQL goes back to the disk, while others go on.

use crate::{
    statements::statements,
    store::{attempt, facts, notification, shop},
    support::{
        postgres,
        stores::{self, TestStore},
    },
};
use quittance::{
    domain::OrderStatus,
    server::store::{Address, Horizon, Next, RetentionCursor, RetentionPhase},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const TABLES: [&str; 5] = ["attempt", "delivery", "notification", "orders", "segment"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NOTHING: Horizon =
    Horizon { bytes_before: quittance::domain::Timestamp(0), ledger_before: quittance::domain::Timestamp(0) };

async fn connect(test: &TestStore) -> PgConnection {
    let Address::Postgres(address) = &test.address else { panic!() };
    postgres::connect(address.to_string().rsplit('/').next().unwrap()).await
}

/// Kilobytes of each table with its indexes.
async fn sizes(conn: &mut PgConnection) -> Vec<i64> {
    sqlx::query_scalar("SELECT pg_total_relation_size(name::regclass) / 1024 FROM unnest($1::text[]) WITH ORDINALITY AS t (name, at) ORDER BY at")
        .bind(&TABLES[..])
        .fetch_all(conn)
        .await
        .unwrap()
}

/// The last step of retention.
async fn give_back(test: &TestStore) {
    let last = RetentionCursor { phase: RetentionPhase::Shrink, after: 0 };
    assert_eq!(test.store.retain(NOTHING, last).await.unwrap().1, None);
}

/// Rows that are older than all others, of which there must be one each.
const OLD_ROWS: &str = "
    INSERT INTO orders SELECT (jsonb_populate_record(o, jsonb_build_object('id', n, 'reference', 'OLD' || n))).*
        FROM orders AS o, generate_series(1, 60000) AS n;
    INSERT INTO notification SELECT (jsonb_populate_record(o, jsonb_build_object('id', n, 'event_at', n))).*
        FROM notification AS o, generate_series(1, 60000) AS n;
    INSERT INTO delivery SELECT (jsonb_populate_record(o, jsonb_build_object('id', n))).*
        FROM delivery AS o, generate_series(1, 80000) AS n;
    INSERT INTO attempt SELECT (jsonb_populate_record(o, jsonb_build_object('delivery_id', n))).*
        FROM attempt AS o, generate_series(1, 60000) AS n;";
const OLD_SEGMENTS: &str = "
    INSERT INTO segment SELECT n, decode(repeat(md5(n::text), 3200), 'hex') FROM generate_series(1, 400) AS n;";
/// As one message each makes them, packed.
const SMALL_SEGMENTS: &str = "
    INSERT INTO segment SELECT n, substring(decode(bytes, 'hex') FOR 600)
        FROM generate_series(1, 30000) AS n,
            LATERAL (SELECT string_agg(md5(n || '/' || part), '') AS bytes FROM generate_series(1, 38) AS part) AS made;";
/// As by somebody who does not know whether they were stored.
const STORED_AGAIN: &str = "
    INSERT INTO segment SELECT n, '' FROM generate_series(10, 30000, 10) AS n ON CONFLICT (id) DO NOTHING;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_shrink_while_messages_come_and_are_delivered() {
    let mut test = stores::postgres().await;
    let shop = shop(&test).await;
    let first = shop.accept(&mut test, "first").await;
    test.record(vec![attempt(&first, Next::Confirmed)]).await;
    test.sql(OLD_ROWS).await;
    test.sql(OLD_SEGMENTS).await;
    // These lie behind all of it.
    let mut jobs = Vec::new();
    for number in 0..60 {
        jobs.push(shop.accept(&mut test, &format!("behind-{number}")).await);
    }
    let retry = Next::Retry(test.clock.now());
    test.record(jobs.iter().map(|job| attempt(job, retry)).collect()).await;
    let mut conn = connect(&test).await;
    let full = sizes(&mut conn).await;
    assert!(full.iter().all(|size| *size > 12_000), "{full:?}");
    test.sql("DELETE FROM attempt WHERE delivery_id <= 80000; DELETE FROM delivery WHERE id <= 80000; DELETE FROM segment WHERE id <= 400")
        .await;
    // Of orders some stay, all over the file.
    test.sql("DELETE FROM notification WHERE id <= 60000; DELETE FROM orders WHERE id <= 60000 AND id % 10 <> 0").await;
    // What others leave who died in the middle.
    test.sql("INSERT INTO segment_anew SELECT n, decode(repeat(md5(n::text), 3200), 'hex') FROM generate_series(1, 50) AS n")
        .await;
    test.sql("CREATE INDEX orders_newest_ccnew ON orders (id)").await;
    test.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_newest_ccnew'::regclass").await;

    let traffic = async {
        for (number, job) in jobs.iter().enumerate() {
            test.store.record(vec![attempt(job, Next::Confirmed)]).await.unwrap();
            let facts = facts(&format!("meanwhile-{number}"), OrderStatus::Paid, 100);
            test.store.accept(notification(shop.merchant, shop.listener, facts)).await.unwrap();
        }
    };
    tokio::join!(give_back(&test), traffic);

    // The last step is made every hour, and ends what was in the way of the one before: the server's own cleaning of a table is.
    let shrunk = |left: &[i64]| left.iter().zip(&full).all(|(left, full)| left * 5 < *full);
    let mut left = Vec::new();
    for _ in 0..20 {
        give_back(&test).await;
        left = sizes(&mut conn).await;
        if shrunk(&left) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(shrunk(&left), "{left:?} of {full:?}");
    let (halves, counted): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM pg_class WHERE relname ~ '_ccnew'), (SELECT count(*) FROM segment_anew)")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!((halves, counted), (0, 0));
    let wrong: Vec<_> = test.store.verify().await.unwrap().into_iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let (notifications, confirmed, orders): (i64, i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM notification), (SELECT count(*) FROM delivery WHERE state = 4), (SELECT count(*) FROM orders)")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!((notifications, confirmed, orders), (121, 61, 6_121));
    conn.close().await.unwrap();
}

/// What all of them hold that were there from the beginning.
async fn small_segments(conn: &mut PgConnection) -> (i64, String) {
    sqlx::query_as("SELECT count(*), md5(string_agg(md5(bytes), '' ORDER BY id)) FROM segment WHERE id <= 30000")
        .fetch_one(conn)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_segments_go_back_to_the_disk_too() {
    let mut test = stores::postgres().await;
    let shop = shop(&test).await;
    test.sql("ALTER TABLE segment SET (autovacuum_enabled = off)").await;
    test.sql(SMALL_SEGMENTS).await;
    shop.accept(&mut test, "behind").await;
    let mut conn = connect(&test).await;
    let (full, beside): (i64, i64) = sqlx::query_as(
        "SELECT pg_relation_size(oid), pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'segment'::regclass",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert!(full > 18_000_000 && beside == 0, "{full} {beside}");
    test.sql("DELETE FROM segment WHERE id <= 30000 AND id % 10 <> 0").await;
    let before = small_segments(&mut conn).await;
    assert_eq!(before.0, 3_000);
    let mut reading = connect(&test).await;
    let mut reader = reading.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.unwrap();
    assert_eq!(small_segments(&mut reader).await, before);

    let traffic = async {
        for number in 0..20 {
            let facts = facts(&format!("meanwhile-{number}"), OrderStatus::Paid, 100);
            test.store.accept(notification(shop.merchant, shop.listener, facts)).await.unwrap();
            test.sql(STORED_AGAIN).await;
        }
    };
    tokio::join!(give_back(&test), traffic);
    assert_eq!(small_segments(&mut reader).await, before, "a snapshot has each of them once");
    reader.commit().await.unwrap();

    give_back(&test).await;
    assert_eq!(small_segments(&mut conn).await, before);
    let left: i64 = sqlx::query_scalar("SELECT pg_relation_size('segment')").fetch_one(&mut conn).await.unwrap();
    assert!(left * 5 < full, "{left} of {full}");
    let wrong: Vec<_> = test.store.verify().await.unwrap().into_iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    reading.close().await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_the_lock_ids_are_copied_that_came_late() {
    let test = stores::postgres().await;
    let (_, statement) = statements("postgres")
        .into_iter()
        .find(|(file, text)| file == "anew.rs" && text.starts_with("INSERT INTO segment_anew"))
        .unwrap();
    test.sql("INSERT INTO segment SELECT n, '\\x01' FROM generate_series(90, 110) AS n").await;
    test.sql("INSERT INTO segment_anew SELECT id, bytes FROM segment WHERE id % 5 = 0").await;
    let mut conn = connect(&test).await;
    let copied = sqlx::query(AssertSqlSafe(statement)).bind(95i64).execute(&mut conn).await.unwrap();
    assert_eq!(copied.rows_affected(), 12);
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM segment_anew ORDER BY id").fetch_all(&mut conn).await.unwrap();
    let expected: Vec<i64> = std::iter::once(90).chain(95..=110).collect();
    assert_eq!(ids, expected);
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_is_not_lost_where_segments_are_written_anew() {
    const MINUTES: i64 = (5 * 60 * 1_000) << 22;
    let mut test = stores::postgres().await;
    let shop = shop(&test).await;
    shop.accept(&mut test, "newest").await;
    test.sql(OLD_SEGMENTS).await;
    test.sql("DELETE FROM segment WHERE id <= 350").await;
    let mut conn = connect(&test).await;
    let newest: i64 = sqlx::query_scalar("SELECT max(id) FROM segment").fetch_one(&mut conn).await.unwrap();
    let is_done = AtomicBool::new(false);
    let giving = async {
        give_back(&test).await;
        is_done.store(true, Ordering::Relaxed);
    };
    let coming = async {
        let mut count = 0;
        while !is_done.load(Ordering::Relaxed) {
            count += 1;
            // With the id of some minutes ago, and with that of somebody who was cut off for long.
            sqlx::query("INSERT INTO segment SELECT id, '' FROM unnest(ARRAY[$1::bigint, $2]) AS id ON CONFLICT (id) DO NOTHING")
                .bind(newest - MINUTES - count)
                .bind(1_000 + count)
                .execute(&mut conn)
                .await
                .unwrap();
        }
        count
    };
    let ((), count) = tokio::join!(giving, coming);
    let (minutes, long): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE id BETWEEN $1 AND $2), count(*) FILTER (WHERE id BETWEEN 1001 AND $3) FROM segment",
    )
    .bind(newest - MINUTES - count)
    .bind(newest - MINUTES - 1)
    .bind(1_000 + count)
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!((minutes, long), (count, count));
    let (kept, left): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM segment WHERE id <= 400), (SELECT count(*) FROM segment_anew)")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!((kept, left), (50, 0));
    assert!(sizes(&mut conn).await[4] < 10_000, "{:?}", sizes(&mut conn).await);

    // Who dies between the exchange and the end leaves the table that was the first.
    test.sql(
        "DELETE FROM segment WHERE id = 1001; INSERT INTO segment_anew VALUES (1001, '\\x02'), (1002, '\\x02');
         COMMENT ON TABLE segment_anew IS 'the segments as they lay before'",
    )
    .await;
    give_back(&test).await;
    let found: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM segment WHERE id = 1001 AND length(bytes) = 1),
             (SELECT count(*) FROM segment WHERE id = 1002 AND length(bytes) = 0), (SELECT count(*) FROM segment_anew)",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(found, (1, 1, 0));
    conn.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_from_one_snapshot_keeps_the_segments() {
    let test = stores::postgres().await;
    test.sql(OLD_SEGMENTS).await;
    let mut conn = connect(&test).await;
    // As the doctor begins.
    let mut reader = conn.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await.unwrap();
    sqlx::query("LOCK TABLE segment IN ACCESS SHARE MODE").execute(&mut *reader).await.unwrap();
    sqlx::query("SELECT 1").execute(&mut *reader).await.unwrap();
    test.sql("DELETE FROM segment WHERE id <= 350").await;
    give_back(&test).await;
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM segment").fetch_one(&mut *reader).await.unwrap();
    assert_eq!(seen, 400);
    reader.commit().await.unwrap();
    // All was copied in vain, which is not done every hour.
    test.hand.advance(DAY - Duration::from_secs(1));
    give_back(&test).await;
    assert!(sizes(&mut conn).await[4] > 20_000, "{:?}", sizes(&mut conn).await);

    // A dump takes its snapshot before it locks anything, here while all is copied.
    test.hand.advance(Duration::from_secs(1));
    let mut holder = connect(&test).await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE segment IN ACCESS SHARE MODE").execute(&mut *held).await.unwrap();
    let dump = async {
        loop {
            let copied: i64 = sqlx::query_scalar("SELECT count(*) FROM segment_anew").fetch_one(&mut conn).await.unwrap();
            if copied == 50 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        sqlx::query("SET application_name = 'pg_dump'").execute(&mut conn).await.unwrap();
        held.commit().await.unwrap();
    };
    tokio::join!(give_back(&test), dump);
    assert!(sizes(&mut conn).await[4] > 20_000, "{:?}", sizes(&mut conn).await);

    // Where one is seen before, nothing is copied in vain.
    test.hand.advance(DAY);
    give_back(&test).await;
    assert!(sizes(&mut conn).await[4] > 20_000, "{:?}", sizes(&mut conn).await);
    sqlx::query("RESET application_name").execute(&mut conn).await.unwrap();

    give_back(&test).await;
    assert!(sizes(&mut conn).await[4] < 5_000, "{:?}", sizes(&mut conn).await);
    let seen: i64 =
        sqlx::query_scalar("SELECT count(*) FROM segment WHERE length(bytes) = 51200").fetch_one(&mut conn).await.unwrap();
    assert_eq!(seen, 50);
    holder.close().await.unwrap();
    conn.close().await.unwrap();
}
