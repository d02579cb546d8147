//! A start with a million deliveries outstanding, or ten.

use crate::{
    generator,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use std::time::{Duration, Instant};

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
        let first_answer = site.start();
        // What comes now to a URL that is well does not wait behind the rest.
        let begin = Instant::now();
        let steady = generator::steadily(&site.ports(), &paths[10..], 100, Duration::from_secs(10)).await;
        let arrived = super::steady::arrivals(&receiver, &steady.sent, |_| "well".to_owned()).await;
        assert!(begin.elapsed() < Duration::from_secs(120), "news waits");
        println!(
            "  {engine}: filled at {:.0}/s, resident {full:.0} MB; first answer {} ms after the start; ten seconds later resident {:.0} MB; news meanwhile at 100/s: acknowledged {}, sent to received {arrived}",
            filled.rate(),
            first_answer.as_millis(),
            site.resident(),
            steady.outcome.latencies
        );
        site.kill();
    }
}
