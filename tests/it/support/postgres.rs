//! One real PostgreSQL server for the whole test binary, with a database for each test.
//!
//! It lives under a small shell that holds the other end of a pipe of ours: when this process is gone, however it went,
//! the shell stops the server and removes its folder.

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// What the shell does: makes a cluster, serves it, and cleans up when its standard input ends.
const KEEPER: &str = r#"
set -e
cd "$FOLDER"
"$BIN/initdb" -D data -U tester -A trust -E UTF8 --locale=C.UTF-8 --no-sync >initdb.log 2>&1
cat >>data/postgresql.conf <<END
listen_addresses = '127.0.0.1'
port = $PORT
unix_socket_directories = '$FOLDER'
max_connections = 400
shared_buffers = ${QUITTANCE_BENCH_BUFFERS:-64MB}
fsync = on
autovacuum_naptime = 10s
log_min_messages = warning
ssl = on
ssl_cert_file = '$FOLDER/server.crt'
ssl_key_file = '$FOLDER/server.key'
END
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null; cd /; rm -rf "$FOLDER"' EXIT
start() {
    ${QUITTANCE_BENCH_PREFIX:-} env $ENVIRONMENT "$BIN/postgres" -D data >>server.log 2>&1 &
    server=$!
    for try in $(seq 300); do
        if "$BIN/pg_isready" -q -h "$FOLDER" -p "$PORT"; then echo ready; break; fi
        kill -0 $server 2>/dev/null || { cat server.log >&2; exit 1; }
        sleep 0.1
    done
}
start
# Until whoever started this is gone.
while read -r word; do
    case "$word" in
        stop) kill -INT $server; wait $server || true; echo stopped;;
        crash) kill -QUIT $server; wait $server || true; start;;
        start) start;;
        revive)
            for try in $(seq 50); do
                if "$BIN/pg_isready" -q -h "$FOLDER" -p "$PORT"; then echo ready; continue 2; fi
                sleep 0.1
            done
            kill -KILL $server 2>/dev/null || true; wait $server || true; start;;
    esac
done
"#;

/// A server of its own, which can be stopped and started.
pub struct Server {
    pub port: u16,
    /// Its standard input stays open as long as this lives.
    keeper: Child,
    says: BufReader<ChildStdout>,
}

impl Server {
    /// A new server without any database of ours.
    pub fn new() -> Self {
        start(&std::env::temp_dir(), "")
    }

    #[allow(dead_code, reason = "only chaos has a small disk")]
    /// A new server that keeps everything in a folder of its own within this one.
    pub fn within(parent: &Path) -> Self {
        start(parent, "")
    }

    #[allow(dead_code, reason = "only chaos moves its clock")]
    /// A new server with more in its environment: words of the kind `NAME=value`.
    pub fn with(environment: &str) -> Self {
        start(&std::env::temp_dir(), environment)
    }

    /// Stops it as an administrator does who does not wait.
    pub fn stop(&mut self) {
        self.tell("stop", "stopped\n");
    }

    pub fn start(&mut self) {
        self.tell("start", "ready\n");
    }

    #[allow(dead_code, reason = "the load runs do not")]
    /// Lets it crash (an immediate shutdown: it recovers from its log) and start again.
    pub fn crash(&mut self) {
        self.tell("crash", "ready\n");
    }

    #[allow(dead_code, reason = "only chaos has a small disk")]
    /// Starts it again where it gave up.
    pub fn revive(&mut self) {
        self.tell("revive", "ready\n");
    }

    fn tell(&mut self, word: &str, answer: &str) {
        writeln!(self.keeper.stdin.as_mut().unwrap(), "{word}").unwrap();
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line, answer);
    }
}

/// Where PostgreSQL's programs are: the newest that is installed.
fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb").exists().then(|| (version, path.join("bin")))
        })
        .collect();
    found.sort();
    let (version, path) = found.pop().expect("PostgreSQL is not installed: run `.ci/setup test`");
    assert!(version >= 15, "PostgreSQL 15 or newer is needed for tests, {version} is installed");
    path
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

fn start(parent: &Path, environment: &str) -> Server {
    // Free at this moment; the server takes it right away.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::Builder::new().prefix("quittance-pg-").tempdir_in(parent).unwrap().keep();
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("server.crt"), certificate.cert.pem()).unwrap();
    let key = folder.join("server.key");
    std::fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = if is_root() {
        // The server refuses to run as root.
        let owned = Command::new("chown").args(["-R", "postgres"]).arg(&folder).status().unwrap();
        assert!(owned.success());
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command
        .args(["-c", KEEPER])
        .env("FOLDER", &folder)
        .env("BIN", programs())
        .env("PORT", port.to_string())
        .env("ENVIRONMENT", environment);
    // A group of its own: Ctrl+C is for us, the shell notices by itself.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut says = BufReader::new(keeper.stdout.take().unwrap());
    says.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "the PostgreSQL server did not start; see {}", folder.display());
    keeper.stdin.as_mut().unwrap().flush().unwrap();
    Server { port, keeper, says }
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::new)
}

/// The port of the server.
pub fn port() -> u16 {
    server().port
}

/// The address of a database on a port, which may be a proxy's.
pub fn address_at(port: u16, database: &str) -> String {
    format!("postgres://tester:not-asked-for@127.0.0.1:{port}/{database}")
}

/// Makes an empty database; gives its name.
pub async fn database() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let port = tokio::task::spawn_blocking(port).await.unwrap();
    let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    let mut conn = connect_to(port, "postgres").await;
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    name
}

async fn connect_to(port: u16, database: &str) -> PgConnection {
    address_at(port, database).parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}

/// A connection of the test's own.
pub async fn connect(database: &str) -> PgConnection {
    connect_to(port(), database).await
}

/// The address of a database.
pub fn address(database: &str) -> String {
    address_at(port(), database)
}
