//! How long an acknowledgement takes, and how long a message needs from the sender to the merchant, at rates that leave the
//! machine room.

use crate::{
    figures::Latencies,
    generator,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(10);

pub async fn run() {
    println!("steady: full-size IPN at a fixed rate, delivered to one URL with concurrent requests");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        for rate in [300, 1_000] {
            let receiver = Receiver::start();
            let shop = Shop { url: Some(receiver.url("shop", 0)), concurrent: true };
            let (mut site, paths) = Site::new(engine, &[shop]).await;
            site.start();
            // The first second warms up: connections, prepared statements, pages of the files.
            generator::steadily(&site.ports(), &paths, rate, Duration::from_secs(1)).await;
            receiver.take();
            let steady = generator::steadily(&site.ports(), &paths, rate, SPAN).await;
            let arrived = arrivals(&receiver, &steady.sent, |_| "shop".to_owned()).await;
            println!("  {engine}, {rate}/s: acknowledged {}; sent to received {arrived}", steady.outcome);
        }
    }
}

/// How long each message took from its sender to the merchant; waits for the last.
pub async fn arrivals(receiver: &Receiver, sent: &[(u64, u64)], hook_of: impl Fn(u64) -> String) -> Latencies {
    let mut arrived = receiver.take();
    for _ in 0..600 {
        // Others may have arrived that nobody asks for here.
        if sent.iter().all(|(number, _)| arrived.contains_key(&(hook_of(*number), *number))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        // What comes again has come before.
        for (order, at) in receiver.take() {
            arrived.entry(order).or_insert(at);
        }
    }
    let mut latencies = Latencies::default();
    for (number, at) in sent {
        let came = arrived.get(&(hook_of(*number), *number)).expect("every message arrives");
        latencies.add(Duration::from_micros(came.saturating_sub(*at)));
    }
    latencies
}
