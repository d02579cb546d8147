//! What retention frees on PostgreSQL goes back to the disk, while others go on.

use crate::{
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
use sqlx::{Connection as _, PgConnection};

const TABLES: [&str; 5] = ["attempt", "delivery", "notification", "orders", "segment"];
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

    // The last step is made every hour, and ends what was in the way of the one before.
    give_back(&test).await;
    let left = sizes(&mut conn).await;
    assert!(left.iter().zip(&full).all(|(left, full)| left * 5 < *full), "{left:?} of {full:?}");
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

    // A dump takes its snapshot before it locks anything.
    sqlx::query("SET application_name = 'pg_dump'").execute(&mut conn).await.unwrap();
    give_back(&test).await;
    assert!(sizes(&mut conn).await[4] > 20_000, "{:?}", sizes(&mut conn).await);
    sqlx::query("RESET application_name").execute(&mut conn).await.unwrap();

    give_back(&test).await;
    assert!(sizes(&mut conn).await[4] < 5_000, "{:?}", sizes(&mut conn).await);
    let seen: i64 =
        sqlx::query_scalar("SELECT count(*) FROM segment WHERE length(bytes) = 51200").fetch_one(&mut conn).await.unwrap();
    assert_eq!(seen, 50);
    conn.close().await.unwrap();
}
