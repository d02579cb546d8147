//! Acknowledged messages a second with the store, against the same HTTP stack and checks without it.

use crate::{
    figures::median,
    generator::{self, Outcome},
    postgres, server,
};
use std::time::Duration;

const SPAN: Duration = Duration::from_secs(4);

/// At the rate that counts there are seven rounds, because rounds on a shared machine differ by a third.
pub async fn run() {
    println!(
        "acknowledge: full-size IPN, the listener alone (no URL), SQLite synchronous=FULL, PostgreSQL synchronous_commit=on"
    );
    for (connections, rounds) in [(1, 3), (64, 3), (256, 7), (1000, 3)] {
        println!("  {connections} connections");
        let (mut sqlite, mut postgres) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let (bare, bare_cost) = measure("bare", connections).await;
            let (on_sqlite, sqlite_cost) = measure("store", connections).await;
            let address = format!("store={}", postgres::address(&postgres::database().await));
            let (on_postgres, postgres_cost) = measure(&address, connections).await;
            sqlite.push(on_sqlite.rate() / bare.rate());
            postgres.push(on_postgres.rate() / bare.rate());
            println!("    round {round}: bare {bare}; SQLite {on_sqlite}; PostgreSQL {on_postgres}");
            println!(
                "      processor time a message: bare {bare_cost}; SQLite {sqlite_cost}; PostgreSQL (without its server) {postgres_cost}"
            );
        }
        println!("    median ratio: SQLite {:.2}, PostgreSQL {:.2}", median(sqlite), median(postgres));
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
