//! An installation as an operator has it: a database, the program itself, one process a node.

use super::{message::KEY, postgres};
use futures::StreamExt as _;
use quittance::{
    domain::{Algorithms, Gateway, Terms, id::MerchantId},
    server::{
        clock::Clock,
        store::{Address, Feed, ListenerDraft, NewMerchant, OpenAs, Secret, Store, StoreSettings, UrlDraft},
    },
};
use std::{
    io::Write as _,
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Which database, and how many nodes on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres { nodes: usize },
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite => f.write_str("SQLite"),
            Self::Postgres { nodes: 1 } => f.write_str("PostgreSQL"),
            Self::Postgres { nodes } => write!(f, "PostgreSQL, {nodes} nodes"),
        }
    }
}

/// A merchant with a listener, to which notifications go.
pub struct Shop {
    /// Delivered to, if at all.
    pub url: Option<String>,
    pub concurrent: bool,
}

/// A database, its folder and its servers. Gone when dropped.
pub struct Site {
    pub engine: Engine,
    folder: tempfile::TempDir,
    pub database: String,
    /// What the program is told that is not as usual: names of its environment, and their values.
    pub settings: Vec<(&'static str, String)>,
    servers: Vec<Server>,
}

struct Server {
    child: Child,
    port: u16,
}

impl Site {
    /// An empty database with these merchants; gives the paths that gateways post to, too.
    pub async fn new(engine: Engine, shops: &[Shop]) -> (Self, Vec<String>) {
        let folder = tempfile::Builder::new().prefix("quittance-bench-").tempdir().expect("a folder");
        let database = match engine {
            Engine::Sqlite => format!("sqlite:{}", folder.path().join("bench.db").display()),
            Engine::Postgres { .. } => postgres::address(&postgres::database().await),
        };
        let site = Self { engine, folder, database, settings: Vec::new(), servers: Vec::new() };
        let store = site.store(OpenAs::Tool { create: true }).await;
        // Many at a time, or ten thousand would take most of an hour.
        let paths = futures::stream::iter(shops.iter().enumerate()).map(|(at, shop)| open_shop(&store, at, shop));
        let paths = paths.buffered(64).collect().await;
        store.close().await;
        (site, paths)
    }

    /// The database, opened in this process.
    pub async fn store(&self, open_as: OpenAs) -> Store {
        let settings = StoreSettings { open_as, key_file: Some(self.key_file()), clock: Clock::system() };
        let address = Address::parse(&self.database).expect("an address");
        Store::open(&address, settings, Feed::default()).await.expect("a store")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("bench.key")
    }

    /// Bytes on disk: of SQLite all files, with their logs; of PostgreSQL what it says of the database, which is without its log.
    pub async fn size(&self) -> f64 {
        if self.engine == Engine::Sqlite {
            let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
            return files.filter_map(|file| file.metadata().ok()).map(|file| file.len() as f64).sum();
        }
        let mut conn = postgres::connect(self.database.rsplit('/').next().unwrap_or_default()).await;
        let query = sqlx::query_scalar("SELECT pg_database_size(current_database())::float8");
        query.fetch_one(&mut conn).await.expect("its size")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("QUITTANCE_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_quittance").into(), PathBuf::from);
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).env("QUITTANCE_LOG", "error");
        command.env("QUITTANCE_DATABASE", &self.database).env("QUITTANCE_KEY_FILE", self.key_file());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts every node; gives how long it took until the first answer of the last.
    pub fn start(&mut self) -> Duration {
        let nodes = match self.engine {
            Engine::Sqlite => 1,
            Engine::Postgres { nodes } => nodes,
        };
        let begin = Instant::now();
        self.servers = (0..nodes)
            .map(|_| {
                let port =
                    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
                let listen = format!("127.0.0.1:{port}");
                let mut command = self.command(&["serve", "--listen", &listen, "--allow-network", "127.0.0.0/8"]);
                let child = command.stdout(Stdio::null()).spawn().expect("the server");
                Server { child, port }
            })
            .collect();
        for server in &self.servers {
            while !is_healthy(server.port) {
                assert!(begin.elapsed() < Duration::from_secs(60), "the server does not start");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        begin.elapsed()
    }

    /// Ends every node without a word.
    pub fn kill(&mut self) {
        self.servers.clear();
    }

    /// Asks every node to end, and waits for it.
    pub fn stop(&mut self) {
        for server in &mut self.servers {
            let _ = Command::new("kill").arg(server.child.id().to_string()).status();
            let _ = server.child.wait();
        }
        self.servers.clear();
    }

    pub fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(|server| server.port).collect()
    }

    /// Resident memory of the first node, in megabytes.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.servers[0].child.id())).unwrap_or_default();
        let kilobytes = status.split("VmRSS:").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.unwrap_or(f64::NAN) * 1_024.0 / 1e6
    }

    /// Processor time of all nodes so far, in seconds.
    pub fn processor_time(&self) -> f64 {
        let ticks = self.servers.iter().filter_map(|server| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.child.id())).ok()?;
            let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
            Some(fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>())
        });
        ticks.sum::<f64>() / 100.0
    }

    /// Has the program do something, with this on its standard input.
    pub fn tell(&self, arguments: &[&str], input: &str) {
        let mut child = self.command(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program");
        child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("what it is told");
        assert!(child.wait().expect("its end").success(), "{arguments:?}");
    }

    /// What `quittance doctor` says: whether the books balance.
    pub fn doctor(&self) -> bool {
        self.command(&["doctor", "--json"]).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// Adds a merchant with what belongs to it; gives the path that its gateway posts to.
async fn open_shop(store: &Store, at: usize, shop: &Shop) -> String {
    let merchant_id = open_listener(store, format!("Shop {at}"), format!("bench{at}")).await;
    if let Some(url) = &shop.url {
        let draft = UrlDraft {
            merchant_id,
            label: "Script".to_owned(),
            url: url.clone(),
            is_default: true,
            algorithms: Algorithms::MD5,
            concurrent: shop.concurrent,
            order_in_order: false,
            held: false,
            headers: Vec::new(),
            terms: Terms { max_in_flight: 256, ..Terms::default() },
            check: None,
        };
        store.add_url(draft, "bench".to_owned()).await.expect("a URL");
    }
    format!("/ipn/bench{at}")
}

/// Adds a merchant with a listener at a path.
pub async fn open_listener(store: &Store, name: String, path: String) -> MerchantId {
    let new = NewMerchant { name, secret_key: Secret::new(KEY) };
    let merchant_id = store.add_merchant(new, "bench".to_owned()).await.expect("a merchant");
    let draft = ListenerDraft {
        merchant_id,
        gateway: Gateway::TwoCheckout,
        label: "Bench".to_owned(),
        secret: Some(Secret::new(KEY)),
        options: None,
        required: Algorithms::ALL,
        enabled: true,
    };
    store.add_listener(draft, path, "bench".to_owned()).await.expect("a listener");
    merchant_id
}

fn is_healthy(port: u16) -> bool {
    use std::io::Read as _;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"HTTP/1.1 200"
        || answer.starts_with(b"HTTP/1.0 200")
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
