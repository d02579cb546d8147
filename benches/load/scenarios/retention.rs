//! How much retention removes in a second, and whether it makes acknowledgements and deliveries beside it wait.

use super::steady::arrivals;
use crate::{
    figures::Latencies,
    filling::{add_bytes, fill, id},
    generator,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use sqlx::Connection as _;
use std::time::{Duration, Instant};

/// Old ones: more than what comes in an hour at a hundred a second.
const MESSAGES: u64 = 400_000;
const RATE: u64 = 300;
/// At a time, between two looks at what is left.
const SPAN: Duration = Duration::from_secs(5);
/// Retention begins a minute after the start; before, nothing disturbs.
const QUIET: u32 = 10;
/// Most of it after that.
const MOST: u32 = 120;
/// Until what is free goes back to the disk, too.
const AFTER: u32 = 6;

pub async fn run() {
    // The first numbers are those of the old orders.
    let _ = generator::numbers();
    println!("retention: {MESSAGES} old messages with a delivery each go, while {RATE} a second come in and are delivered");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        once(engine).await;
    }
}

async fn once(engine: Engine) {
    let receiver = Receiver::start();
    let shop = Shop { url: Some(receiver.url("shop", 0)), concurrent: true };
    let (mut site, paths) = Site::new(engine, &[shop]).await;
    let empty = site.size().await;
    fill(&site, 0, MESSAGES).await;
    add_bytes(&site).await;
    let full = site.size().await;
    site.settings = vec![("QUITTANCE_KEEP_BYTES", "90".to_owned()), ("QUITTANCE_KEEP_LEDGER", "100".to_owned())];
    site.start();
    generator::steadily(&site.ports(), &paths, RATE, Duration::from_secs(1)).await;
    receiver.take();
    let (mut quiet, mut beside) = (Figures::default(), Figures::default());
    for _ in 0..QUIET {
        quiet.add(&site, &paths, &receiver).await;
    }
    let mut begun: Option<Instant> = None;
    let mut left = 0;
    for _ in 0..MOST {
        let before = Instant::now();
        beside.add(&site, &paths, &receiver).await;
        let (segments, orders) = old(&site).await;
        if segments < MESSAGES / 100 {
            begun.get_or_insert(before);
        }
        left = orders;
        if left == 0 {
            break;
        }
    }
    let took = begun.map_or(f64::NAN, |begun| begun.elapsed().as_secs_f64());
    for _ in 0..AFTER {
        beside.add(&site, &paths, &receiver).await;
    }
    let size = site.size().await;
    site.stop();
    let healthy = site.doctor();
    println!(
        "  {engine}: {:.0} messages removed a second, {left} left; acknowledged and sent to received before: {quiet}; beside it: {beside}; \
         {:.0} MB before, {:.0} MB after ({:.0} MB when empty); doctor {}",
        (MESSAGES - left) as f64 / took,
        full / 1e6,
        size / 1e6,
        empty / 1e6,
        if healthy { "well" } else { "NOT well" },
    );
}

/// How long things took.
#[derive(Default)]
struct Figures {
    acknowledged: Latencies,
    received: Latencies,
}

impl Figures {
    async fn add(&mut self, site: &Site, paths: &[String], receiver: &Receiver) {
        let steady = generator::steadily(&site.ports(), paths, RATE, SPAN).await;
        self.received.join(arrivals(receiver, &steady.sent, |_| "shop".to_owned()).await);
        self.acknowledged.join(steady.outcome.latencies);
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.acknowledged, self.received)
    }
}

/// Segments and orders that are left of the old ones.
async fn old(site: &Site) -> (u64, u64) {
    let until = id(MESSAGES);
    let count = |table: &str| format!("SELECT count(*) FROM {table} WHERE id < {until}");
    let (segments, orders) = (count("segment"), count("orders"));
    let (segments, orders): (i64, i64) = match site.engine {
        Engine::Sqlite => {
            let path = site.database.strip_prefix("sqlite:").expect("a file");
            let connection = rusqlite::Connection::open(path).expect("the database");
            let ask = |sql: &str| connection.query_row(sql, [], |row| row.get(0)).expect("a count");
            (ask(&segments), ask(&orders))
        }
        Engine::Postgres { .. } => {
            let mut connection = sqlx::PgConnection::connect(&site.database).await.expect("the database");
            let mut ask = async |sql: String| {
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.expect("a count")
            };
            (ask(segments).await, ask(orders).await)
        }
    };
    (segments as u64, orders as u64)
}
