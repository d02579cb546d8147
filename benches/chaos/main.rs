//! The proof that nothing acknowledged is lost: `make chaos`.
//!
//! A sender, a merchant's listener and the server run as processes of their own on loopback. While the sender posts as
//! fast as it can, the server is killed at random moments (SIGKILL), again and again. In the end every message that was
//! acknowledged must have been confirmed by each notification URL, and `quittance doctor` must find the books in order.
//! First one server on SQLite, then three nodes on a PostgreSQL of their own, whose connections to it are cut besides.
//! Exits with 1 if one message is lost. Everything is bounded and ends by itself.
//!
//! `--kills N` (20), `--messages N` (60000), `--engine sqlite|postgres` (both), `--seed N` (printed, so that a run can be
//! repeated as far as a machine allows).

mod merchant;
#[path = "../../tests/it/support/postgres.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod postgres;
mod sender;
mod server;

use self::{
    merchant::Merchant,
    sender::Sender,
    server::{Server, Site},
};
use std::{
    collections::HashMap,
    process::ExitCode,
    time::{Duration, Instant},
};

/// The key that the gateway signs with, and the one that signs what goes to the merchant.
const GATEWAY_KEY: &str = "gateway-secret";
const MERCHANT_KEY: &str = "AABBCCDDEEFF";
/// The hooks of the merchant: one that allows concurrent requests, and one that does not.
const HOOKS: [&str; 2] = ["many", "one"];
/// How long everything may take to be delivered after the last acknowledgement.
const DRAIN: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.first().map(String::as_str) {
        Some("role=merchant") => return merchant::run(),
        Some("role=sender") => return sender::run(&arguments[1..]),
        _ => {}
    }
    let number = |flag: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == flag);
        at.and_then(|at| arguments.get(at + 1)).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let seed = number("--seed", u64::from(std::process::id()));
    let mut plan = Plan { kills: number("--kills", 20), messages: number("--messages", 60_000), random: Random(seed | 1) };
    println!("chaos: {} kills, {} messages, seed {seed}", plan.kills, plan.messages);
    let chosen = arguments.iter().position(|argument| argument == "--engine").and_then(|at| arguments.get(at + 1));
    let mut done = ExitCode::SUCCESS;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if chosen.is_some_and(|chosen| chosen != engine.name()) {
            continue;
        }
        if let Err(reason) = run(engine, &mut plan) {
            println!("{} FAILED: {reason}", engine.name());
            done = ExitCode::FAILURE;
        }
    }
    done
}

/// What is put to the test.
#[derive(Clone, Copy)]
enum Engine {
    /// One server on a file.
    Sqlite,
    /// Three nodes on a PostgreSQL of their own.
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

struct Plan {
    kills: u64,
    messages: u64,
    random: Random,
}

/// A small generator of pseudo-random numbers (xorshift), so that a seed says what was done.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Kills the servers of an engine again and again, and counts.
fn run(engine: Engine, plan: &mut Plan) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|e| e.to_string())?;
    let database = match engine {
        Engine::Sqlite => None,
        Engine::Postgres => Some(runtime.block_on(postgres::database())),
    };
    let site = Site::new(database.as_deref().map(postgres::address), if database.is_some() { 3 } else { 1 })?;
    let merchant = Merchant::start()?;
    let path = site.set_up(&merchant)?;
    let mut servers = Vec::new();
    for node in 0..site.ports.len() {
        servers.push(Server::start(&site, node)?);
    }
    let sender = Sender::start(&site.ports, &path, plan.messages)?;
    let begin = Instant::now();
    let mut kills = 0;
    while kills < plan.kills && !sender.has_ended() {
        std::thread::sleep(Duration::from_millis(150 + plan.random.below(850)));
        if let Some(database) = database.as_deref().filter(|_| kills % 4 == 3) {
            // Between two kills all connections to the database break.
            runtime.block_on(cut(database))?;
            std::thread::sleep(Duration::from_millis(plan.random.below(500)));
        }
        let node = plan.random.below(site.ports.len() as u64) as usize;
        servers[node].kill();
        kills += 1;
        servers[node] = Server::start(&site, node)?;
    }
    let acknowledged = sender.finish()?;
    let sent_in = begin.elapsed();
    let drained = Instant::now();
    let received = wait_until_drained(&merchant, &acknowledged)?;
    let drained = drained.elapsed();
    let doctor = site.doctor();
    for server in servers {
        server.terminate();
    }
    let doctor = doctor.and_then(|()| site.doctor());

    let mut lost = 0;
    let mut doubled = 0;
    for hook in HOOKS {
        let visits = &received[hook];
        lost += acknowledged.iter().filter(|reference| !visits.contains_key(*reference)).count();
        doubled += visits.values().map(|count| count - 1).sum::<u64>();
    }
    println!(
        "{}, {} node(s): {} acknowledged in {:.1} s, {kills} kills; to {} URLs: {lost} lost, {doubled} doubled; drained {:.1} s after the last; doctor {}",
        engine.name(),
        site.ports.len(),
        acknowledged.len(),
        sent_in.as_secs_f64(),
        HOOKS.len(),
        drained.as_secs_f64(),
        if doctor.is_ok() { "finds all well" } else { "finds something wrong" },
    );
    doctor?;
    if kills < plan.kills {
        return Err(format!("only {kills} kills before all messages were sent; give more --messages"));
    }
    if lost > 0 { Err(format!("{lost} acknowledged messages were lost")) } else { Ok(()) }
}

/// Breaks every connection to a database.
async fn cut(database: &str) -> Result<(), String> {
    let mut conn = postgres::connect(database).await;
    let broken =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(broken).execute(&mut conn).await.map(drop).map_err(|error| error.to_string())
}

/// What each hook has confirmed, once it has everything or nothing more comes.
fn wait_until_drained(merchant: &Merchant, acknowledged: &[String]) -> Result<HashMap<String, HashMap<String, u64>>, String> {
    let deadline = Instant::now() + DRAIN;
    loop {
        let received = merchant.received()?;
        let complete = HOOKS.iter().all(|hook| {
            let visits = received.get(*hook);
            visits.is_some_and(|visits| acknowledged.iter().all(|reference| visits.contains_key(reference)))
        });
        if complete || Instant::now() > deadline {
            return HOOKS.iter().map(|hook| Ok(((*hook).to_owned(), received.get(*hook).cloned().unwrap_or_default()))).collect();
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
