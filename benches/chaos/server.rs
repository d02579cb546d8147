//! The program under test, as operators run it: set up by its command line, served as a process, killed.

use super::{
    GATEWAY_KEY, HOOKS, MERCHANT_KEY,
    merchant::Merchant,
    trouble::{Clocks, Disk, Whose},
};
use quittance::{
    domain::DeliveryState,
    server::{
        clock::Clock,
        store::{Address, Feed, OpenAs, Store, StoreError, StoreSettings, UrlBooks},
    },
};
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a start may take, beside a database that has just been killed, too.
const START: Duration = Duration::from_secs(60);
/// How long the last results may take to be in the books: a visit that failed is made again after 150 s.
const SETTLE: Duration = Duration::from_secs(180);

/// How deliveries stand by the books of all URLs together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// Queued or retrying.
    pub open: i64,
    pub confirmed: i64,
    /// Held, expired or cancelled, which none should be.
    pub others: i64,
}

impl Standing {
    fn of(books: &[UrlBooks]) -> Self {
        let mut standing = Self::default();
        for (state, count) in books.iter().flat_map(|url| url.states) {
            match state {
                DeliveryState::Queued | DeliveryState::Retrying => standing.open += count,
                DeliveryState::Confirmed => standing.confirmed += count,
                _ => standing.others += count,
            }
        }
        standing
    }
}

/// A database, and a port for each node.
pub struct Site {
    folder: TempDir,
    database: String,
    environment: Vec<(&'static str, String)>,
    pub ports: Vec<u16>,
}

impl Site {
    /// At this address of PostgreSQL, or on a file of its own, which lies on the disk that runs full where there is one.
    pub fn new(postgres: Option<String>, nodes: usize, clocks: Option<&Clocks>, disk: Option<&Disk>) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("quittance-chaos-").tempdir().map_err(|error| error.to_string())?;
        let data = disk.map_or(folder.path(), Disk::path);
        let file = || format!("sqlite:{}", data.join("chaos.db").display());
        let database = postgres.unwrap_or_else(file);
        // Free at this moment; the servers take them right away.
        let sockets: Result<Vec<_>, _> = (0..nodes).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
        let ports: Result<Vec<_>, _> =
            sockets.and_then(|sockets| sockets.iter().map(|socket| socket.local_addr().map(|address| address.port())).collect());
        let environment = clocks.map(|clocks| clocks.environment(Whose::Servers)).into_iter().flatten().collect();
        Ok(Self { folder, database, environment, ports: ports.map_err(|error| error.to_string())? })
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("chaos.key")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("QUITTANCE_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_quittance").into(), PathBuf::from);
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command.env("QUITTANCE_DATABASE", &self.database).env("QUITTANCE_KEY_FILE", self.key_file());
        command.env("QUITTANCE_LOG", std::env::var("CHAOS_LOG").unwrap_or_else(|_| "error".to_owned()));
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<serde_json::Value, String> {
        let output = self.command(arguments).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!(
                "quittance {}: {}{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    /// What its servers said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Makes a merchant with a listener and a URL for each hook; gives the path that the gateway posts to.
    pub fn set_up(&self, merchant: &Merchant) -> Result<String, String> {
        self.run(&["merchant", "add", "Chaos", "--secret-key", MERCHANT_KEY, "--json"])?;
        let listener =
            self.run(&["listener", "add", "--merchant", "Chaos", "--gateway", "2checkout", "--secret", GATEWAY_KEY, "--json"])?;
        for hook in HOOKS {
            let url = format!("http://127.0.0.1:{}/{hook}", merchant.port);
            let mut arguments = vec!["url", "add", &url, "--merchant", "Chaos", "--json"];
            if hook == "many" {
                arguments.push("--concurrent");
            }
            self.run(&arguments)?;
        }
        listener["path"].as_str().map(str::to_owned).ok_or_else(|| "the listener has no path".to_owned())
    }

    /// Waits, beside the servers, until so many deliveries are confirmed and no other is open, or for as long as that may take;
    /// gives how they stand then.
    pub async fn settled(&self, confirmed: i64) -> Result<Standing, StoreError> {
        let open_as = OpenAs::Tool { create: false };
        let settings = StoreSettings { open_as, key_file: Some(self.key_file()), clock: Clock::system() };
        let store = Store::open(&Address::parse(&self.database)?, settings, Feed::default()).await?;
        let deadline = Instant::now() + SETTLE;
        let standing = loop {
            let standing = store.books().await.map(|books| Standing::of(&books));
            let is_settled = standing.as_ref().is_ok_and(|now| now.open == 0 && now.confirmed == confirmed);
            if is_settled || Instant::now() > deadline {
                break standing;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        store.close().await;
        standing
    }

    /// The books balance, and nothing is damaged.
    pub fn doctor(&self) -> Result<(), String> {
        self.run(&["doctor", "--json"]).map(drop)
    }
}

/// A running server.
pub struct Server(Child);

impl Server {
    /// Starts a node, and waits until it answers: it listens before it has opened its database.
    pub fn start(site: &Site, node: usize) -> Result<Self, String> {
        let port = site.ports[node];
        let listen = format!("127.0.0.1:{port}");
        let mut command = site.command(&["serve", "--listen", &listen, "--allow-network", "127.0.0.0/8"]);
        command.envs(site.environment.iter().map(|(name, value)| (name, value)));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(site.folder.path().join("server.log"));
        let log = log.map_err(|error| error.to_string())?;
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().map_err(|error| error.to_string())?;
        let deadline = Instant::now() + START;
        while !answers(port) {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("the server ended at its start: {status}\n{}", site.log()));
            }
            if Instant::now() > deadline {
                return Err("the server does not start".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self(child))
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it has ended by itself, which it must not.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Asks it to end, and waits for it.
    pub fn terminate(mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a server says that it is there.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
        let mut begin = [0; 12];
        stream.read_exact(&mut begin)?;
        Ok(begin == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
