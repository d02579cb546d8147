//! The proof that nothing acknowledged is lost: `make chaos`.
//!
//! A sender, a merchant's listener and the server run as processes of their own on loopback. While the sender posts as
//! fast as it can, the server is killed at random moments (SIGKILL), again and again. In the end every message that was
//! acknowledged must have been confirmed by each notification URL, the books must say so and hold nothing open, and `quittance
//! doctor` must find them in order.
//! First one server on SQLite; then with a disk that runs full; then with a clock that jumps; then three nodes on a
//! PostgreSQL of their own, which they reach through a proxy that breaks all connections now and then, and which is killed itself,
//! besides; then with the database's disk full again and again; then with all but that, and clocks that jump, the nodes' and the
//! database's.
//! Exits with 1 if one message is lost, or one delivery stays open. Everything is bounded and ends by itself.
//!
//! `--kills N` (20; times that something goes wrong, in each run), `--messages N` (1000000 in each run at most), `--engine
//! sqlite|postgres` (both), `--trouble kills|disk|clock` (all), `--seed N` (printed, so that a run can be repeated as far as
//! a machine allows).

mod merchant;
#[path = "../../tests/it/support/postgres.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod postgres;
#[path = "../../tests/it/support/proxy.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod proxy;
mod sender;
mod server;
mod trouble;

use self::{
    merchant::Merchant,
    sender::Sender,
    server::{Server, Site, Standing},
    trouble::{Clocks, Disk, Trouble, Whose, disturb, run_full, strike},
};
use std::{
    collections::{HashMap, HashSet},
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
    let mut plan = Plan { kills: number("--kills", 20), messages: number("--messages", 1_000_000), random: Random(seed | 1) };
    println!("chaos: {} times trouble in each run, at most {} messages, seed {seed}", plan.kills, plan.messages);
    let word = |flag: &str| arguments.iter().position(|argument| argument == flag).and_then(|at| arguments.get(at + 1));
    let (engine_wanted, trouble_wanted) = (word("--engine"), word("--trouble"));
    let mut done = ExitCode::SUCCESS;
    for (engine, trouble) in [
        (Engine::Sqlite, Trouble::Kills),
        (Engine::Sqlite, Trouble::FullDisk),
        (Engine::Sqlite, Trouble::Clock),
        (Engine::Postgres, Trouble::Kills),
        (Engine::Postgres, Trouble::FullDisk),
        (Engine::Postgres, Trouble::Clock),
    ] {
        let is_wanted = engine_wanted.is_none_or(|wanted| wanted == engine.name())
            && trouble_wanted.is_none_or(|wanted| trouble.name().contains(wanted.as_str()));
        if !is_wanted {
            continue;
        }
        if let Some(missing) = trouble.missing() {
            println!("{}, {}: left out: {missing}", engine.name(), trouble.name());
            continue;
        }
        if let Err(reason) = run(engine, trouble, &mut plan) {
            println!("{}, {} FAILED: {reason}", engine.name(), trouble.name());
            done = ExitCode::FAILURE;
        }
    }
    done
}

/// What is put to the test.
#[derive(Clone, Copy, PartialEq, Eq)]
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
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Makes trouble for the servers of an engine again and again, and counts.
fn run(engine: Engine, trouble: Trouble, plan: &mut Plan) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| e.to_string())?;
    let disk = (trouble == Trouble::FullDisk).then(Disk::mount).transpose()?;
    let clocks = (trouble == Trouble::Clock).then(|| Clocks::new(engine == Engine::Postgres)).transpose()?;
    let mut database = (engine == Engine::Postgres).then(|| match (&disk, &clocks) {
        (Some(disk), _) => postgres::Server::within(disk.path()),
        (None, Some(clocks)) => {
            let words = clocks.environment(Whose::Database).map(|(name, value)| format!("{name}={value}"));
            postgres::Server::with(&words.join(" "))
        }
        (None, None) => postgres::Server::new(),
    });
    let way = database.as_ref().map(|database| runtime.block_on(proxy::Proxy::to(database.port)));
    let address = way.as_ref().map(|way| format!("{}?sslmode=disable", postgres::address_at(way.port, "postgres")));
    let site = Site::new(address, if engine == Engine::Postgres { 3 } else { 1 }, clocks.as_ref(), disk.as_ref())?;
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
        match (&disk, &mut database, &way) {
            (Some(disk), database, _) => run_full(disk, database.as_mut(), &site, &mut servers, &mut plan.random, kills)?,
            (None, database, way) => {
                if let (Some(database), Some(way)) = (database, way) {
                    disturb(database, way, &mut plan.random, kills);
                }
                strike(clocks.as_ref(), &site, &mut servers, &mut plan.random, kills)?;
            }
        }
        kills += 1;
    }
    if let Some(clocks) = &clocks {
        clocks.settle()?;
    }
    if let Some(node) = servers.iter_mut().position(Server::has_ended) {
        return Err(format!("node {node} has ended by itself:\n{}", site.log()));
    }
    let acknowledged = sender.finish()?;
    let sent_in = begin.elapsed();
    let drained = Instant::now();
    wait_until_drained(&merchant, &acknowledged)?;
    let drained = drained.elapsed();
    // A visit is not a result: a delivery whose receipt was not recorded is open still.
    let expected = (HOOKS.len() * acknowledged.iter().collect::<HashSet<_>>().len()) as i64;
    let standing = runtime.block_on(site.settled(expected)).map_err(|error| error.to_string())?;
    let received = visits(&merchant)?;
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
        "{}, {}, {} node(s): {} acknowledged in {:.1} s, {kills} times trouble; to {} URLs: {lost} lost, {doubled} doubled; drained {:.1} s after the last; {} of {expected} deliveries confirmed in the books; doctor {}",
        engine.name(),
        trouble.name(),
        site.ports.len(),
        acknowledged.len(),
        sent_in.as_secs_f64(),
        HOOKS.len(),
        drained.as_secs_f64(),
        standing.confirmed,
        if doctor.is_ok() { "finds all well" } else { "finds something wrong" },
    );
    doctor?;
    if kills < plan.kills {
        return Err(format!("only {kills} times trouble before all messages were sent; give more --messages"));
    }
    if lost > 0 {
        return Err(format!("{lost} acknowledged messages were lost"));
    }
    if standing.confirmed != expected || standing.open > 0 {
        let Standing { open, confirmed, others } = standing;
        return Err(format!("of {expected} deliveries {confirmed} are confirmed, {open} open, {others} held or given up"));
    }
    Ok(())
}

/// How often each hook was visited with each reference.
fn visits(merchant: &Merchant) -> Result<HashMap<String, HashMap<String, u64>>, String> {
    let mut received = merchant.received()?;
    for hook in HOOKS {
        received.entry(hook.to_owned()).or_default();
    }
    Ok(received)
}

/// Returns once each hook was visited with everything, or nothing more comes.
fn wait_until_drained(merchant: &Merchant, acknowledged: &[String]) -> Result<(), String> {
    let deadline = Instant::now() + DRAIN;
    loop {
        let received = visits(merchant)?;
        let is_complete = |hook: &str| acknowledged.iter().all(|reference| received[hook].contains_key(reference));
        if HOOKS.into_iter().all(is_complete) || Instant::now() > deadline {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}
