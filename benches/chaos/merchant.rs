//! The merchant's listener: answers every notification with a read receipt that it computes itself, and counts.

use super::MERCHANT_KEY;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

type Counts = Arc<Mutex<HashMap<String, HashMap<String, u64>>>>;

/// The process, from outside.
pub struct Merchant {
    child: Child,
    pub port: u16,
}

impl Merchant {
    pub fn start() -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let spawned = Command::new(program).arg("role=merchant").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| error.to_string())?;
        let out = child.stdout.take().ok_or("the merchant has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        Ok(Self { child, port: line.trim().parse().map_err(|_| "the merchant did not start")? })
    }

    /// How often each hook has confirmed each reference.
    pub fn received(&self) -> Result<HashMap<String, HashMap<String, u64>>, String> {
        let asked = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = asked().map_err(|error| error.to_string())?;
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(&[][..], |at| &answer[at + 4..]);
        serde_json::from_slice(body).map_err(|error| error.to_string())
    }
}

impl Drop for Merchant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process, from inside. Ends when whoever started it is gone.
pub fn run() -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let counts = Counts::default();
        let app = Router::new().route("/", get(report)).route("/{hook}", post(receive).get(async || "here")).with_state(counts);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", socket.local_addr().expect("an address").port());
        quittance::server::http::serve::serve(socket, app, 0, std::future::pending()).await;
    });
    ExitCode::SUCCESS
}

async fn report(State(counts): State<Counts>) -> String {
    serde_json::to_string(&*counts.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
}

/// The read receipt as 2Checkout's documentation has it (*Read receipt response*): HMAC-MD5 over the first product's id
/// and name, the date of the message and the date of the answer, each behind its length in bytes.
async fn receive(State(counts): State<Counts>, Path(hook): Path<String>, body: axum::body::Bytes) -> String {
    let fields: Vec<_> = url::form_urlencoded::parse(&body).collect();
    let first = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_ref());
    let date = "20260301120000";
    let mut mac = Hmac::<md5::Md5>::new_from_slice(MERCHANT_KEY.as_bytes()).expect("any key");
    for value in [first("IPN_PID[]"), first("IPN_PNAME[]"), first("IPN_DATE"), date] {
        mac.update(value.len().to_string().as_bytes());
        mac.update(value.as_bytes());
    }
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(hook).or_default().entry(first("REFNO").to_owned()).or_default() += 1;
    format!("<EPAYMENT>{date}|{}</EPAYMENT>", hex::encode(mac.finalize().into_bytes()))
}
