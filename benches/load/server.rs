//! The servers under load, each as a process of its own.

use super::{message::KEY, site::open_listener};
use axum::Router;
use quittance::{
    domain::{
        Algorithms, Gateway,
        id::{ListenerId, MerchantId, NotificationId, RefusalId},
    },
    server::{
        clock::Clock,
        http::serve::serve,
        listener::{self, Keeper},
        store::{
            Acceptance, Address, Feed, Listener, NewNotification, NewRefusal, OpenAs, Secret, Store, StoreError, StoreSettings,
        },
    },
};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    sync::Arc,
};

/// A running server; ends when dropped.
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    /// Starts this binary in a role and waits until it listens.
    pub async fn start(role: &str) -> Self {
        let program = std::env::current_exe().expect("this program's path");
        let mut child = Command::new(program)
            .arg(format!("role={role}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        Self { child, port: line.trim().parse().expect("a port") }
    }
}

impl Process {
    /// Processor time so far by thread's name, in seconds; empty where the system does not tell.
    pub fn processor_time(&self) -> BTreeMap<String, f64> {
        let mut times = BTreeMap::new();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        for stat in tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok()) {
            let Some((name, rest)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')) else { continue };
            // Fields 14 and 15: user and system time in hundredths of a second.
            let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
            *times.entry(name.to_owned()).or_default() += ticks / 100.0;
        }
        times
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends, and removes its folder, when nobody holds its input any more.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs a role until whoever started it is gone.
pub fn run(role: &str) {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).max(2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime");
    quittance::server::memory::stay_small();
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let app = match role.strip_prefix("store") {
            None => bare(),
            Some("") => with_store(Address::Sqlite(folder.path().join("bench.db")), &folder).await,
            Some(address) => {
                let address = Address::parse(address.trim_start_matches('=')).expect("an address");
                with_store(address, &folder).await
            }
        };
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", socket.local_addr().expect("an address").port());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            drop(end);
        });
        tokio::select! {
            () = serve(socket, app, 0, std::future::pending()) => {}
            _ = ended => {}
        }
    });
}

/// The product's own listener with the store left out: the same HTTP stack, limits, checks and receipts.
fn bare() -> Router {
    listener::router(Nowhere(Arc::new(bench_listener())), Clock::system())
}

#[derive(Clone)]
struct Nowhere(Arc<Listener>);

impl Keeper for Nowhere {
    fn listener(&self, _: &str) -> Option<Arc<Listener>> {
        Some(self.0.clone())
    }

    async fn accept(&self, new: NewNotification) -> Result<Acceptance, StoreError> {
        std::hint::black_box(new);
        Ok(Acceptance { notification_id: NotificationId(0), repeated: false })
    }

    async fn refuse(&self, _: NewRefusal) -> Result<RefusalId, StoreError> {
        Ok(RefusalId(0))
    }
}

fn bench_listener() -> Listener {
    Listener {
        id: ListenerId(1),
        merchant_id: MerchantId(1),
        gateway: Gateway::TwoCheckout,
        label: "Bench".to_owned(),
        path_key: "bench".to_owned(),
        secret: Secret::new(KEY),
        options: Default::default(),
        required: Algorithms::ALL,
        enabled: true,
        version: 1,
    }
}

async fn with_store(address: Address, folder: &tempfile::TempDir) -> Router {
    let key_file = Some(folder.path().join("bench.key"));
    let settings = StoreSettings { open_as: OpenAs::Server, key_file, clock: Clock::system() };
    let store = Store::open(&address, settings, Feed::default()).await.expect("a store");
    open_listener(&store, "Bench".to_owned(), "bench".to_owned()).await;
    listener::router(store, Clock::system())
}
