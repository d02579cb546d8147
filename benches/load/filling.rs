//! Many orders at once, without the program: ten million through the listener would take twenty minutes.

use crate::site::{Engine, Site};
use sqlx::Connection as _;
use std::time::Duration;

/// Orders inserted by one statement.
const STEP: u64 = 250_000;

const FIRST_MOMENT: i64 = 1_782_000_000_000_000;
/// An order every 0.4 s: 10 million in 46 days.
const EVERY_MICROS: i64 = 400_000;

pub fn created_at(number: u64) -> i64 {
    FIRST_MOMENT + number as i64 * EVERY_MICROS
}

pub const FIRST_REFERENCE: u64 = 100_000_000;

pub fn reference(number: u64) -> String {
    (FIRST_REFERENCE + number).to_string()
}

/// As the store makes them: the moment comes first.
pub fn id(number: u64) -> i64 {
    let millis = created_at(number) / 1_000 - ID_EPOCH_MILLIS;
    millis << 22
}

/// See src/server/store/ids.rs.
const ID_EPOCH_MILLIS: i64 = 1_704_067_200_000;

/// Adds the orders `from..until` with one notification and one confirmed delivery each, by statements of the engine's own:
/// ten million through the listener would take twenty minutes. One in a hundred is a TEST order, one in fifty refunded.
pub async fn fill(site: &Site, from: u64, until: u64) {
    let columns = format!(
        "{FIRST_MOMENT} + n * {EVERY_MICROS} AS at, ((({FIRST_MOMENT} + n * {EVERY_MICROS}) / 1000 - {ID_EPOCH_MILLIS}) << 22) AS id"
    );
    let merchant = "(SELECT min(id) FROM merchant)";
    let (url, listener) = ("(SELECT min(id) FROM notification_url)", "(SELECT min(id) FROM listener)");
    let rank = if site.engine == Engine::Sqlite { "" } else { "status_rank, " };
    let orders = format!(
        "orders (id, merchant_id, gateway, reference, external, email, customer, status, {rank}vendor_status, amount, currency, test, event_at,
             created_at, updated_at)"
    );
    let notification =
        "notification (id, merchant_id, listener_id, order_id, received_at, event_at, digest, status, vendor_status, message_id,
         signatures, test, peer, size, segment_id, part)";
    // Books that do not balance would have the server count every delivery beside the pages.
    let count = until - from;
    let page = if site.engine == Engine::Sqlite { "" } else { " AND page = 0" };
    let books =
        format!("UPDATE url_books SET accepted = accepted + {count}, confirmed = confirmed + {count} WHERE url_id = {url}{page}");
    let status = "CASE WHEN n % 50 = 7 THEN 'refunded' ELSE 'paid' END";
    match site.engine {
        Engine::Sqlite => {
            let path = site.database.strip_prefix("sqlite:").expect("a file");
            let connection = rusqlite::Connection::open(path).expect("the database");
            connection
                .execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=-262144; PRAGMA temp_store=MEMORY")
                .expect("settings");
            for begin in (from..until).step_by(STEP as usize) {
                let end = until.min(begin + STEP);
                let rows = format!(
                    "WITH RECURSIVE series (n) AS (SELECT {begin} UNION ALL SELECT n + 1 FROM series WHERE n + 1 < {end}), made AS (SELECT n, {columns} FROM series)"
                );
                connection
                    .execute_batch(&format!(
                        "BEGIN;
                         {rows} INSERT INTO {orders} SELECT id, {merchant}, '2checkout', 100000000 + n, 'cart-' || n, 'buyer' || n || '@example.com',
                             'John Smith', {status}, 'COMPLETE', 5290, 'USD', n % 100 = 3, at, at, at FROM made;
                         {rows} INSERT INTO {notification} SELECT id + 1, {merchant}, {listener}, id, at, at, randomblob(16), {status}, 'COMPLETE', n, 1,
                             n % 100 = 3, '127.0.0.1', 2500, 1, 0 FROM made;
                         {rows} INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, node_id, state, attempts, created_at, finished_at, last_attempt_at)
                             SELECT id + 2, id + 1, {url}, id, {merchant}, 0, 1, 4, 1, at, at, at FROM made;
                         COMMIT"
                    ))
                    .expect("rows");
            }
            connection.execute_batch(&books).expect("books");
            connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA optimize").expect("a checkpoint");
            // What the filling left to the system is not written beside the readings.
            std::fs::File::open(path).and_then(|file| file.sync_all()).expect("the file on disk");
        }
        Engine::Postgres { .. } => {
            let mut connection = sqlx::PgConnection::connect(&site.database).await.expect("the database");
            let mut run = async |sql: String| {
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("rows");
            };
            for begin in (from..until).step_by(STEP as usize) {
                let end = until.min(begin + STEP);
                let rows = format!(
                    "FROM (SELECT n, {columns} FROM generate_series({begin}::bigint, {}::bigint) AS series (n)) AS made",
                    end - 1
                );
                run(format!(
                    "INSERT INTO {orders} SELECT id, {merchant}, '2checkout', (100000000 + n)::text, 'cart-' || n, 'buyer' || n || '@example.com',
                         'John Smith', {status}, 1, 'COMPLETE', 5290, 'USD', n % 100 = 3, at, at, at {rows}"
                ))
                .await;
                run(format!(
                    "INSERT INTO {notification} SELECT id + 1, {merchant}, {listener}, id, at, at, uuid_send(gen_random_uuid()), {status}, 'COMPLETE', n::text, 1,
                         n % 100 = 3, '127.0.0.1', 2500, 1, 0 {rows}"
                ))
                .await;
                run(format!(
                    "INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, node_id, state, attempts, created_at, finished_at, last_attempt_at)
                         SELECT id + 2, id + 1, {url}, id, {merchant}, 0, 1, 4, 1, at, at, at {rows}"
                ))
                .await;
            }
            run(books).await;
            run("VACUUM ANALYZE".to_owned()).await;
            run("CHECKPOINT".to_owned()).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// Gives everything that was filled in the bytes of its message, a hundred messages in a segment, and of its attempt.
pub async fn add_bytes(site: &Site) {
    let first = FIRST_MOMENT / 1_000 - ID_EPOCH_MILLIS;
    let every = EVERY_MICROS / 1_000;
    let segment = format!("((((id >> 22) - {first}) / {every} / 100 * 100 * {every} + {first}) << 22) + 3");
    let part = format!("((id >> 22) - {first}) / {every} % 100 * 2");
    let statements = |bytes: &str, address: &str| {
        [
            format!("INSERT INTO segment (id, bytes) SELECT DISTINCT {segment}, {bytes} FROM orders"),
            format!("UPDATE notification SET segment_id = {segment}, part = {part}"),
            format!(
                "INSERT INTO attempt (delivery_id, number, started_at, address, status, detail, timings, segment_id, part)
                 SELECT id, 1, created_at, {address}, 200, '{{}}', '{{}}', {segment}, {part} FROM delivery"
            ),
        ]
    };
    match site.engine {
        Engine::Sqlite => {
            let path = site.database.strip_prefix("sqlite:").expect("a file");
            let connection = rusqlite::Connection::open(path).expect("the database");
            connection.execute_batch("PRAGMA synchronous=OFF; PRAGMA cache_size=-262144").expect("settings");
            for statement in statements("zeroblob(0)", "'127.0.0.1:443'") {
                connection.execute_batch(&statement).expect("rows");
            }
            connection
                .execute_batch("UPDATE segment SET bytes = randomblob(25000); PRAGMA wal_checkpoint(TRUNCATE); PRAGMA optimize")
                .expect("bytes");
            std::fs::File::open(path).and_then(|file| file.sync_all()).expect("the file on disk");
        }
        Engine::Postgres { .. } => {
            let mut connection = sqlx::PgConnection::connect(&site.database).await.expect("the database");
            let random = "UPDATE segment SET bytes = (SELECT string_agg(uuid_send(gen_random_uuid()), '') FROM generate_series(1, 1562) WHERE id > 0)";
            let tidy = ["VACUUM ANALYZE".to_owned(), "CHECKPOINT".to_owned()];
            for statement in statements("''::bytea", "'127.0.0.1:443'").into_iter().chain([random.to_owned()]).chain(tidy) {
                sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.expect("rows");
            }
        }
    }
}
