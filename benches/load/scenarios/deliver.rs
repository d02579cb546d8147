//! Confirmed deliveries a second while messages are acknowledged at full speed, and what a message takes on disk.

use crate::{
    figures::median,
    generator,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(6);

/// Everything: the program as operators run it, a sender, and a receiver that confirms at once.
pub async fn run() {
    println!("deliver: full-size IPN at full speed, each delivered to one URL with concurrent requests");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        for (connections, rounds) in [(1, 1), (64, 1), (256, 5), (1000, 1)] {
            let mut ratios = Vec::new();
            for round in 1..=rounds {
                let figures = once(engine, connections, 1, 0, None).await;
                println!("  {engine}, {connections} connections, round {round}: {figures}");
                ratios.push(figures.ratio());
            }
            if rounds > 1 {
                println!("  {engine}, {connections} connections: median ratio {:.2}", median(ratios));
            }
        }
    }
    println!("deliver: by number of URLs (one merchant each) and delay of the receivers, 64 connections");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        // One URL that takes 500 ms takes what its limit of 256 at once says, 512 a second, and would have to be waited for.
        for (urls, delay) in [(100, 0), (10_000, 0), (1, 50), (100, 50), (100, 500)] {
            let figures = once(engine, 64, urls, delay, None).await;
            println!("  {engine}, {urls} URLs, {delay} ms: {figures}");
        }
        let figures = once(engine, 64, 100, 500, Some(8_000)).await;
        println!("  {engine}, 100 URLs, 500 ms, 8,000 requests at once: {figures}");
    }
}

/// Two nodes over one PostgreSQL against one, in turns.
pub async fn nodes() {
    println!("nodes: two over one PostgreSQL against one, 256 connections, one URL with concurrent requests");
    let mut ratios = Vec::new();
    for round in 1..=5 {
        let one = once(Engine::Postgres { nodes: 1 }, 256, 1, 0, None).await;
        println!("  round {round}, one: {one}");
        let two = once(Engine::Postgres { nodes: 2 }, 256, 1, 0, None).await;
        println!("  round {round}, two: {two}");
        ratios.push(two.delivered / one.delivered);
    }
    println!("  confirmed by two against one: median ratio {:.2}", median(ratios));
}

struct Figures {
    outcome: generator::Outcome,
    /// Confirmed while messages were still posted, a second.
    delivered: f64,
    drained: Duration,
    doubled: u64,
    processor: f64,
    resident: f64,
}

impl Figures {
    fn ratio(&self) -> f64 {
        self.delivered / self.outcome.rate()
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "acknowledged {}; confirmed {:.0}/s meanwhile, ratio {:.2}; the rest {:.1} s later; {} doubled; {:.0} µs of processor a message; resident {:.0} MB",
            self.outcome,
            self.delivered,
            self.ratio(),
            self.drained.as_secs_f64(),
            self.doubled,
            self.processor,
            self.resident
        )
    }
}

async fn once(engine: Engine, connections: usize, urls: usize, delay: u64, at_once: Option<u16>) -> Figures {
    let receiver = Receiver::start();
    let shops: Vec<_> =
        (0..urls).map(|at| Shop { url: Some(receiver.url(&format!("shop{at}"), delay)), concurrent: true }).collect();
    let (mut site, paths) = Site::new(engine, &shops).await;
    site.settings.extend(at_once.map(|number| ("QUITTANCE_REQUESTS_AT_ONCE", number.to_string())));
    site.start();
    let begin = Instant::now();
    let outcome = generator::at_full_speed(&site.ports(), &paths, connections, SPAN).await;
    let delivered = receiver.orders() as f64 / begin.elapsed().as_secs_f64();
    let resident = site.resident();
    let drained = Instant::now();
    receiver.wait_for(outcome.acknowledged()).await;
    let drained = drained.elapsed();
    let processor = site.processor_time() * 1e6 / outcome.acknowledged() as f64;
    // Confirmed for the receiver is confirmed in the books when the last results are written.
    site.stop();
    assert!(site.doctor(), "the books do not balance");
    // Order by order: one that came twice does not stand for one that is lost.
    let orders = receiver.orders();
    assert_eq!(orders, outcome.acknowledged(), "orders that came, and messages that were acknowledged");
    let doubled = receiver.count() - orders;
    Figures { outcome, delivered, drained, doubled, processor, resident }
}

/// Bytes on disk for a message with one confirmed delivery.
pub async fn disk() {
    const MESSAGES: u64 = 100_000;
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        let receiver = Receiver::start();
        let shop = Shop { url: Some(receiver.url("shop", 0)), concurrent: true };
        let (mut site, paths) = Site::new(engine, &[shop]).await;
        let empty = site.size().await;
        site.start();
        generator::count(&site.ports(), &paths, 64, MESSAGES).await;
        receiver.wait_for(MESSAGES).await;
        let while_running = site.size().await;
        site.stop();
        let each = |size: f64| (size - empty) / MESSAGES as f64 / 1e3;
        println!(
            "disk: {MESSAGES} messages of 2.5 kB with one delivery, {engine}: {:.2} kB each after an orderly end, {:.2} kB beside the running server",
            each(site.size().await),
            each(while_running)
        );
    }
}
