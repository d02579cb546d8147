//! Acknowledged messages a second with the store, against the same HTTP stack and checks without it.

use crate::{
    figures::median,
    generator::{self, Outcome},
    postgres, server,
    site::Engine,
};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(4);

/// At the number of connections that counts there are seven rounds, because rounds on a shared machine differ by a third. The engines are
/// measured one after the other: a database server that tidies up behind a run disturbs the next one.
pub async fn run(engine: Engine) {
    println!("acknowledge, {engine}: full-size IPN, the listener alone (no URL), every commit on disk");
    for (connections, rounds) in [(256, 7), (1, 3), (64, 3), (1000, 3)] {
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let (bare, bare_cost) = measure("bare", connections).await;
            let role = match engine {
                Engine::Sqlite => "store".to_owned(),
                Engine::Postgres { .. } => format!("store={}", postgres::address(&postgres::database().await)),
            };
            let (stored, stored_cost) = measure(&role, connections).await;
            ratios.push(stored.rate() / bare.rate());
            println!(
                "  {connections} connections, round {round}: bare {bare}; stored {stored}; ratio {:.2}",
                stored.rate() / bare.rate()
            );
            println!("    processor time a message: bare {bare_cost}; stored {stored_cost}");
        }
        println!("  {connections} connections: median ratio {:.2}", median(ratios));
    }
}

/// One run, and the server's processor time for a message by thread.
async fn measure(role: &str, connections: usize) -> (Outcome, String) {
    let process = server::Process::start(role).await;
    let before = process.processor_time();
    let outcome = generator::at_full_speed(&[process.port], &["/ipn/bench".to_owned()], connections, SPAN).await;
    let after = process.processor_time();
    let mut costs = Vec::new();
    let mut total = 0.0;
    for (thread, time) in after {
        let cost = (time - before.get(&thread).unwrap_or(&0.0)) * 1e6 / outcome.acknowledged() as f64;
        total += cost;
        if cost >= 0.5 {
            costs.push(format!("{thread} {cost:.1}"));
        }
    }
    (outcome, format!("{total:.0} µs ({})", costs.join(", ")))
}
