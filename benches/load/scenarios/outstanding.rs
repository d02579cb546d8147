//! A start with a million deliveries outstanding, or ten; on PostgreSQL until they have changed hands, too.

use super::steady::arrivals;
use crate::{
    figures::Latencies,
    generator,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use sqlx::Connection as _;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// News a second.
const RATE: u64 = 100;
/// How long what the dead node had is waited for.
const CHANGE_OF_HANDS: Duration = Duration::from_secs(600);

pub async fn run(messages: u64) {
    println!("outstanding: {messages} deliveries that wait for ten URLs which refuse connections; then a kill and a start");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        let receiver = Receiver::start();
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let mut shops: Vec<_> =
            (0..10).map(|at| Shop { url: Some(format!("http://{closed}/dead{at}")), concurrent: at % 2 == 0 }).collect();
        shops.push(Shop { url: Some(receiver.url("well", 0)), concurrent: true });
        let (mut site, paths) = Site::new(engine, &shops).await;
        site.start();
        let filled = generator::count(&site.ports(), &paths[..10], 256, messages).await;
        let full = site.resident();
        site.kill();
        let started = Instant::now();
        let first_answer = site.start();
        // What comes now to a URL that is well does not wait behind the rest.
        let begin = Instant::now();
        let steady = generator::steadily(&site.ports(), &paths[10..], RATE, Duration::from_secs(10)).await;
        let arrived = arrivals(&receiver, &steady.sent, |_| "well".to_owned()).await;
        assert!(begin.elapsed() < Duration::from_secs(120), "news waits");
        println!(
            "  {engine}: filled at {:.0}/s, resident {full:.0} MB; first answer {} ms after the start; ten seconds later resident {:.0} MB; news meanwhile at {RATE}/s: acknowledged {}, sent to received {arrived}",
            filled.rate(),
            first_answer.as_millis(),
            site.resident(),
            steady.outcome.latencies
        );
        if engine != Engine::Sqlite {
            change_hands(&site, &receiver, &paths[10..], started).await;
        }
        site.kill();
    }
}

/// The process has a place of its own, and some seconds later declares its former self dead: what that had changes hands,
/// thousands in one transaction, while news go on coming.
async fn change_hands(site: &Site, receiver: &Receiver, paths: &[String], started: Instant) {
    let is_over = Cell::new(false);
    let watch = async {
        let took = until_all_changed_hands(site, started).await;
        is_over.set(true);
        (took, site.resident())
    };
    let news = async {
        let (mut acknowledged, mut sent) = (Latencies::default(), Vec::new());
        while !is_over.get() {
            let steady = generator::steadily(&site.ports(), paths, RATE, Duration::from_secs(5)).await;
            acknowledged.join(steady.outcome.latencies);
            sent.extend(steady.sent);
        }
        (acknowledged, sent)
    };
    let ((took, resident), (acknowledged, sent)) = tokio::join!(watch, news);
    let arrived = arrivals(receiver, &sent, |_| "well".to_owned()).await;
    let when = match took {
        Some(took) => format!("all had changed hands {:.0} s after the start", took.as_secs_f64()),
        None => format!("not all had changed hands {:.0} s after the start", started.elapsed().as_secs_f64()),
    };
    println!(
        "    {when}, resident {resident:.0} MB then; news meanwhile: acknowledged {acknowledged}, sent to received {arrived}"
    );
}

/// How long after the start the living node had all that is open, if it had in time.
async fn until_all_changed_hands(site: &Site, started: Instant) -> Option<Duration> {
    let mut connection = sqlx::PgConnection::connect(&site.database).await.expect("the database");
    // Whatever the planner believes of a table that has just been filled: reading all of it would disturb what is measured.
    let by_index = sqlx::raw_sql("SET enable_seqscan = off; SET enable_bitmapscan = off");
    by_index.execute(&mut connection).await.expect("settings");
    while started.elapsed() < CHANGE_OF_HANDS {
        // Nobody's, or of a node that is not the newest run's, whether it was declared dead by now or not.
        let others: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM node WHERE run <> (SELECT max(run) FROM node) UNION ALL SELECT 0::bigint")
                .fetch_all(&mut connection)
                .await
                .expect("nodes");
        let is_left: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM delivery WHERE node_id = ANY($1) AND state IN (0, 2))")
                .bind(&others)
                .fetch_one(&mut connection)
                .await
                .expect("an answer");
        if !is_left {
            return Some(started.elapsed());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    None
}
