//! The program itself, started as people start it.

use super::app::{GATEWAY_KEY, MERCHANT_KEY};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--allow-network", "127.0.0.0/8"];

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    /// The command did what it was told; gives what it printed.
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// What a command with `--json` printed.
    pub fn json(self) -> Value {
        let out = self.done();
        assert_eq!(out.lines().count(), 1, "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// The command failed with this exit code; gives what it said about it.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "errors go to standard error: {self:?}");
        self.err
    }
}

/// The program with a database of its own.
pub struct Program {
    folder: TempDir,
    address: String,
    /// By default one of its own.
    key_file: Option<PathBuf>,
}

impl Program {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("sqlite:{}", folder.path().join("quittance.db").display());
        Self { folder, address, key_file: None }
    }

    /// The program on a database of PostgreSQL.
    pub fn on(address: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), address, key_file: None }
    }

    /// Where its key lies.
    pub fn key_file(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.folder.path().join("quittance.key"))
    }

    /// Takes another key file.
    pub fn use_key_file(&mut self, path: PathBuf) {
        self.key_file = Some(path);
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("quittance.db")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn connection(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.database()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quittance"));
        command.args(arguments).env("QUITTANCE_DATABASE", &self.address);
        command.env("QUITTANCE_KEY_FILE", self.key_file());
        command.env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// Runs a command with something on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts the server on a free port, and waits until it says where.
    pub fn serve(&self) -> Server {
        self.started(self.command(&SERVE))
    }

    /// The same with more arguments.
    pub fn serve_with(&self, more: &[&str]) -> Server {
        self.started(self.command(&[&SERVE[..], more].concat()))
    }

    /// The same, in a shell that has set something for it before.
    pub fn serve_after(&self, setting: &str) -> Server {
        let plain = self.command(&SERVE);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{setting}; exec \"$0\" \"$@\"")]).arg(plain.get_program()).args(plain.get_args());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.started(command)
    }

    fn started(&self, mut command: Command) -> Server {
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("stops it") {
            let count = out.read_line(&mut banner).unwrap();
            if count == 0 {
                let mut error = String::new();
                child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                panic!("the server did not start: {error}");
            }
        }
        let address = banner.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Server { child, address, banner }
    }

    /// Adds a merchant with a listener and a URL; gives the path that the gateway posts to.
    pub fn shop(&self, url: &str) -> String {
        self.run(&["merchant", "add", "Shop", "--secret-key", MERCHANT_KEY, "--json"]).json();
        let listener = ["listener", "add", "--merchant", "Shop", "--gateway", "2checkout", "--secret", GATEWAY_KEY, "--json"];
        let path = self.run(&listener).json()["path"].as_str().unwrap().to_owned();
        self.run(&["url", "add", url, "--merchant", "Shop", "--concurrent", "--json"]).json();
        path
    }
}

/// A running server. It is killed when the test ends.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub banner: String,
}

impl Server {
    /// Ends it without a word, as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its number among the processes.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end; gives its exit code and what it had to say.
    pub fn terminate(mut self) -> (i32, String) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
        let mut error = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap().code().unwrap_or(-1), error)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
