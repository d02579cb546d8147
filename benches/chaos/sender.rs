//! The gateway: posts messages from many connections, each until it is acknowledged, whatever happens to the server.

use super::GATEWAY_KEY;
use hmac::{Hmac, KeyInit as _, Mac as _};
use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const CONNECTIONS: usize = 64;
/// How long an answer is waited for before the message is sent again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Before a server that does not answer is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// The process, from outside.
pub struct Sender {
    child: Child,
    out: BufReader<ChildStdout>,
    ended: Arc<AtomicBool>,
}

impl Sender {
    pub fn start(ports: &[u16], path: &str, messages: u64) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        let arguments = ["role=sender".to_owned(), ports, path.to_owned(), messages.to_string()];
        let spawned =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| error.to_string())?;
        let out = BufReader::new(child.stdout.take().ok_or("the sender has no output")?);
        // It closes its error output when everything is acknowledged.
        let ended = Arc::new(AtomicBool::new(false));
        let (mut errors, told) = (child.stderr.take().ok_or("the sender has no output")?, ended.clone());
        std::thread::spawn(move || {
            let _ = errors.read(&mut [0]);
            told.store(true, Ordering::SeqCst);
        });
        Ok(Self { child, out, ended })
    }

    /// Whether every message is acknowledged.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Lets it send what is on its way; gives the references of what was acknowledged.
    pub fn finish(mut self) -> Result<Vec<String>, String> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.out.read_line(&mut line).map_err(|error| error.to_string())?;
        let _ = self.child.wait();
        serde_json::from_str(&line).map_err(|error| format!("the sender said {line:?}: {error}"))
    }
}

/// The process, from inside.
pub fn run(arguments: &[String]) -> ExitCode {
    let [ports, path, messages] = arguments else { return ExitCode::FAILURE };
    let ports: Result<Vec<u16>, _> = ports.split(',').map(str::parse).collect();
    let (Ok(ports), Ok(messages)) = (ports, messages.parse()) else { return ExitCode::FAILURE };
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        told.store(true, Ordering::SeqCst);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let acknowledged = runtime.block_on(async {
        let next = Arc::new(AtomicU64::new(0));
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|at| {
                let mut ports = ports.clone();
                let first = at % ports.len();
                ports.rotate_left(first);
                tokio::spawn(send(ports, path.clone(), messages, next.clone(), stop.clone()))
            })
            .collect();
        let mut acknowledged = Vec::new();
        for sender in senders {
            acknowledged.extend(sender.await.expect("a sender"));
        }
        acknowledged
    });
    eprintln!("done");
    println!("{}", serde_json::to_string(&acknowledged).expect("texts"));
    ExitCode::SUCCESS
}

async fn send(mut ports: Vec<u16>, path: String, messages: u64, next: Arc<AtomicU64>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut stream = None;
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= messages {
            break;
        }
        let reference = (500_000_000 + number).to_string();
        let request = request(&path, &reference);
        loop {
            match tokio::time::timeout(PATIENCE, exchange(&mut stream, ports[0], &request)).await {
                Ok(Ok(true)) => {
                    acknowledged.push(reference);
                    break;
                }
                // Not acknowledged, or nobody there: the same message again, as gateways do; at the next node, as what
                // shares the work among them does.
                _ => {
                    stream = None;
                    ports.rotate_left(1);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    acknowledged
}

/// Posts on a connection; whether a read receipt came back.
async fn exchange(stream: &mut Option<TcpStream>, port: u16, request: &[u8]) -> std::io::Result<bool> {
    let connection = match stream {
        Some(connection) => connection,
        None => stream.insert(TcpStream::connect(("127.0.0.1", port)).await?),
    };
    connection.write_all(request).await?;
    let mut answer = Vec::with_capacity(1_024);
    loop {
        if connection.read_buf(&mut answer).await? == 0 {
            return Ok(false);
        }
        if answer.ends_with(b"</EPAYMENT>") {
            return Ok(answer.starts_with(b"HTTP/1.1 200"));
        }
        // Anything else that is whole is a no.
        if answer.len() > 8_192 || (answer.starts_with(b"HTTP/1.1 ") && !answer.starts_with(b"HTTP/1.1 200")) {
            return Ok(false);
        }
    }
}

fn request(path: &str, reference: &str) -> Vec<u8> {
    let email = format!("buyer{reference}@example.com");
    let fields = [
        ("SALEDATE", "2026-03-01 12:00:01"),
        ("REFNO", reference),
        ("REFNOEXT", reference),
        ("ORDERSTATUS", "COMPLETE"),
        ("PAYMETHOD", "Visa/MasterCard"),
        ("FIRSTNAME", "John"),
        ("LASTNAME", "Smith"),
        ("CUSTOMEREMAIL", &email),
        ("CURRENCY", "USD"),
        ("IPN_PID[]", "1"),
        ("IPN_PNAME[]", "Software program"),
        ("IPN_QTY[]", "1"),
        ("IPN_TOTALGENERAL", "529.00"),
        ("TEST_ORDER", "0"),
        ("IPN_DATE", "20260301120002"),
    ];
    let mut mac = Hmac::<md5::Md5>::new_from_slice(GATEWAY_KEY.as_bytes()).expect("any key");
    for (_, value) in fields {
        mac.update(value.len().to_string().as_bytes());
        mac.update(value.as_bytes());
    }
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields).append_pair("HASH", &hex::encode(mac.finalize().into_bytes()));
    let body = body.finish();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
