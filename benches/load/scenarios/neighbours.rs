//! Whether a dead and a slow URL among a hundred make the others wait.

use super::steady::arrivals;
use crate::{
    figures::{Latencies, median},
    generator::{self, Steady},
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use std::time::Duration;

const SHOPS: usize = 100;
const RATE: u64 = 500;
const SPAN: Duration = Duration::from_secs(10);
const ROUNDS: usize = 5;

pub async fn run() {
    println!(
        "neighbours: {RATE} messages a second to {SHOPS} URLs, of which one refuses connections and one answers after 20 s, against all well"
    );
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        let (mut p99s, mut p50s) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let well = once(engine, false).await;
            let ill = once(engine, true).await;
            println!("  {engine}, round {round}: all well {well}; the other 98 beside a dead and a slow one {ill}");
            p99s.push(ill.percentile(99.0) / well.percentile(99.0));
            p50s.push(ill.percentile(50.0) / well.percentile(50.0));
        }
        println!("  {engine}: median ratio of p99 {:.2}, of p50 {:.2}", median(p99s), median(p50s));
    }
}

/// Sent to received of all shops but the first two.
async fn once(engine: Engine, ill: bool) -> Latencies {
    let receiver = Receiver::start();
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let url = |at: usize| match at {
        0 if ill => format!("http://{closed}/dead"),
        1 if ill => receiver.url("shop1", 20_000),
        _ => receiver.url(&format!("shop{at}"), 0),
    };
    let shops: Vec<_> = (0..SHOPS).map(|at| Shop { url: Some(url(at)), concurrent: true }).collect();
    let (mut site, paths) = Site::new(engine, &shops).await;
    site.start();
    generator::steadily(&site.ports(), &paths, RATE, Duration::from_secs(2)).await;
    receiver.take();
    let Steady { sent, .. } = generator::steadily(&site.ports(), &paths, RATE, SPAN).await;
    let shop_of = |number: u64| number as usize % SHOPS;
    let others: Vec<_> = sent.into_iter().filter(|(number, _)| shop_of(*number) > 1).collect();
    arrivals(&receiver, &others, |number| format!("shop{}", shop_of(number))).await
}
