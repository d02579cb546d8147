//! Order search with many orders stored.

use super::pages;
use crate::{
    figures::Latencies,
    generator::Connection,
    message,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use quittance::{
    domain::{
        OrderStatus, Timestamp,
        id::{MerchantId, OrderId},
        pages::orders::OrderFilter,
    },
    server::store::{OpenAs, Store},
};
use sqlx::Connection as _;
use std::time::{Duration, Instant};

const QUERIES: u64 = 300;
/// Orders inserted by one statement.
const STEP: u64 = 250_000;

/// `sizes`: how many orders; they are added up, so in growing order.
pub async fn run(sizes: &[u64]) {
    println!(
        "search: an order list of 50 rows with its summaries, by kind of search, and pages; one merchant has all the orders"
    );
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        let receiver = Receiver::start();
        let shop = Shop { url: Some(receiver.url("shop", 0)), concurrent: true };
        let (mut site, paths) = Site::new(engine, &[shop]).await;
        let mut stored = 0;
        let mut first = None;
        for size in sizes {
            let begin = Instant::now();
            fill(&site, stored, *size).await;
            stored = *size;
            println!("  {engine}: {size} orders ({:.0} s to fill)", begin.elapsed().as_secs_f64());
            let store = site.store(OpenAs::Tool { create: false }).await;
            let merchant_id = store.settings().merchants().first().map(|merchant| merchant.id).expect("a merchant");
            let p99s = measure(&store, merchant_id, stored).await;
            store.close().await;
            let numbers: Vec<_> = (0..50).map(|number| number * (stored / 50)).collect();
            post(&mut site, &paths[0], &receiver, &numbers).await;
            let references: Vec<_> = numbers.into_iter().map(reference).collect();
            pages::measure(&mut site, &references).await;
            match &first {
                None => first = Some(p99s),
                Some(first) => {
                    let worst = first.iter().zip(&p99s).map(|((kind, few), (_, many))| (many / few, *kind));
                    let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0)).expect("some kinds");
                    let all = p99s.iter().map(|(_, many)| many).sum::<f64>() / first.iter().map(|(_, few)| few).sum::<f64>();
                    println!("    p99 against {} orders: all kinds {all:.2}, worst {:.2} ({})", sizes[0], worst.0, worst.1);
                }
            }
        }
    }
}

/// The p99 of every kind of search, in milliseconds.
async fn measure(store: &Store, merchant_id: MerchantId, orders: u64) -> Vec<(&'static str, f64)> {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut any = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % orders
    };
    let plain =
        || OrderFilter { text: String::new(), status: None, from: None, until: None, test: None, after: None, masked: false };
    let text = |text: String| OrderFilter { text, ..plain() };
    let moment = |number: u64| Timestamp(created_at(number));
    type Make<'a> = Box<dyn FnMut(u64) -> OrderFilter + 'a>;
    let kinds: Vec<(&'static str, Make<'_>)> = vec![
        ("newest", Box::new(|_| plain())),
        ("reference", Box::new(|number| text(reference(number)))),
        ("beginning of a reference", Box::new(|number| text(reference(number)[..7].to_owned()))),
        ("external reference", Box::new(|number| text(format!("cart-{number}")))),
        ("e-mail", Box::new(|number| text(format!("buyer{number}@")))),
        ("status", Box::new(|_| OrderFilter { status: Some(OrderStatus::Refunded), ..plain() })),
        ("dates", Box::new(|number| OrderFilter { from: Some(moment(number)), until: Some(moment(number + 500)), ..plain() })),
        ("TEST only", Box::new(|_| OrderFilter { test: Some(true), ..plain() })),
        ("status and TEST only", Box::new(|_| OrderFilter { status: Some(OrderStatus::Refunded), test: Some(true), ..plain() })),
        (
            "status and dates",
            Box::new(|number| OrderFilter {
                status: Some(OrderStatus::Refunded),
                from: Some(moment(number / 2)),
                until: Some(moment(number)),
                ..plain()
            }),
        ),
        ("a page far back", Box::new(|number| OrderFilter { after: Some(OrderId(id(number))), ..plain() })),
    ];
    let mut p99s = Vec::new();
    for (kind, mut make) in kinds {
        let mut latencies = Latencies::default();
        // The first answers read pages of the file that later ones find in memory.
        for round in 0..QUERIES + 20 {
            let filter = make(any());
            let begin = Instant::now();
            store.find_orders(merchant_id, &filter).await.expect("an answer");
            if round >= 20 {
                latencies.add(begin.elapsed());
            }
        }
        println!("    {kind}: {:.2} / {:.2} ms (p50 / p99)", latencies.percentile(50.0), latencies.percentile(99.0));
        p99s.push((kind, latencies.percentile(99.0)));
    }
    p99s
}

const FIRST_MOMENT: i64 = 1_782_000_000_000_000;
/// An order every 0.4 s: 10 million in 46 days.
const EVERY_MICROS: i64 = 400_000;

fn created_at(number: u64) -> i64 {
    FIRST_MOMENT + number as i64 * EVERY_MICROS
}

const FIRST_REFERENCE: u64 = 100_000_000;

fn reference(number: u64) -> String {
    (FIRST_REFERENCE + number).to_string()
}

/// As the store makes them: the moment comes first.
fn id(number: u64) -> i64 {
    let millis = created_at(number) / 1_000 - ID_EPOCH_MILLIS;
    millis << 22
}

/// See src/server/store/ids.rs.
const ID_EPOCH_MILLIS: i64 = 1_704_067_200_000;

/// Has a message of each of these orders come and be delivered: what `fill` makes has neither bytes nor attempts, and its pages
/// tell that they were removed.
async fn post(site: &mut Site, path: &str, receiver: &Receiver, numbers: &[u64]) {
    receiver.take();
    site.start();
    let port = site.ports()[0];
    // All at once: under load, too, several lie in a segment, which is unpacked as a whole.
    let posted = numbers.iter().map(|number| async move {
        let mut connection = Connection::open(port).await;
        connection.exchange(&message::request(path, FIRST_REFERENCE + number)).await;
    });
    futures::future::join_all(posted).await;
    receiver.wait_for(numbers.len() as u64).await;
    site.stop();
}

/// Adds the orders `from..until` with one notification and one confirmed delivery each, by statements of the engine's own:
/// ten million through the listener would take twenty minutes. One in a hundred is a TEST order, one in fifty refunded.
async fn fill(site: &Site, from: u64, until: u64) {
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
