//! Load runs: `cargo bench --bench load`.
//!
//! Everything runs on loopback, bounded in time. Servers run as processes of their own (this binary with a role), so
//! that the generator and what it measures do not share a runtime. Figures are compared as ratios within one run.

mod generator;
mod server;

use std::time::Duration;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(role) = arguments.first().and_then(|argument| argument.strip_prefix("role=")) {
        return server::run(role);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        acknowledge(256).await;
    });
}

/// Acknowledged messages a second with the store, against the same HTTP stack and checks without it.
async fn acknowledge(connections: usize) {
    println!("acknowledge, {connections} connections, full-size IPN, SQLite synchronous=FULL");
    let span = Duration::from_secs(4);
    let mut ratios = Vec::new();
    for round in 1..=7 {
        let (bare, bare_cost) = measure("bare", connections, span).await;
        let (stored, stored_cost) = measure("store", connections, span).await;
        ratios.push(stored.rate() / bare.rate());
        println!("  round {round}: bare {bare}; stored {stored}; ratio {:.2}", stored.rate() / bare.rate());
        println!("    processor time a message: bare {bare_cost}; stored {stored_cost}");
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median ratio {:.2}", ratios[ratios.len() / 2]);
}

/// One run, and the server's processor time for a message by thread.
async fn measure(role: &str, connections: usize, span: Duration) -> (generator::Outcome, String) {
    let process = server::Process::start(role).await;
    let before = process.processor_time();
    let outcome = generator::run(&process, connections, span).await;
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
