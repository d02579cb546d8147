//! Load runs: `cargo bench --bench load`, or only some: `cargo bench --bench load -- acknowledge steady`.
//!
//! Everything runs on loopback, bounded in time. Servers and receivers run as processes of their own, so that they do not
//! share a runtime with the generator. Figures are compared as ratios within one run.

mod figures;
mod filling;
mod generator;
mod message;
#[path = "../../tests/it/support/postgres.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod postgres;
mod receiver;
mod scenarios;
mod server;
mod site;

use scenarios::{acknowledge, deliver, neighbours, outstanding, pages, retention, search, steady};
use site::Engine;

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What there is, and whether it belongs to a run that names nothing. `search-all` goes to ten million orders, `outstanding-all` to
/// ten million deliveries; each takes half an hour.
const SCENARIOS: [(&str, bool); 13] = [
    ("acknowledge", true),
    ("acknowledge-postgres", true),
    ("deliver", true),
    ("nodes", true),
    ("disk", true),
    ("steady", true),
    ("neighbours", true),
    ("outstanding", true),
    ("outstanding-all", false),
    ("panels", true),
    ("retention", true),
    ("search", true),
    ("search-all", false),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.first().and_then(|argument| argument.strip_prefix("role=")) {
        Some("receiver") => return receiver::run(),
        Some(role) => return server::run(role),
        None => {}
    }
    if let Some(unknown) = arguments.iter().find(|argument| SCENARIOS.iter().all(|(name, _)| name != argument)) {
        let names: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no run {unknown:?}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for (name, by_default) in SCENARIOS {
            if !(arguments.iter().any(|argument| argument == name) || arguments.is_empty() && by_default) {
                continue;
            }
            match name {
                "acknowledge" => acknowledge::run(Engine::Sqlite).await,
                "acknowledge-postgres" => acknowledge::run(Engine::Postgres { nodes: 1 }).await,
                "deliver" => deliver::run().await,
                "nodes" => deliver::nodes().await,
                "disk" => deliver::disk().await,
                "steady" => steady::run().await,
                "neighbours" => neighbours::run().await,
                "panels" => pages::panels().await,
                "retention" => retention::run().await,
                "outstanding" => outstanding::run(1_000_000).await,
                "outstanding-all" => outstanding::run(10_000_000).await,
                "search" => search::run(&[100_000, 1_000_000]).await,
                _ => search::run(&[100_000, 1_000_000, 10_000_000]).await,
            }
        }
    });
}
