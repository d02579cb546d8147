//! The merchants' listeners: a process that answers each notification with a read receipt after a delay, and remembers when
//! it came, once it has answered. The path says how: `/{hook}/{delay in milliseconds}`.

use super::{figures::micros_now, message::KEY};
use hmac::{Hmac, KeyInit as _, Mac as _};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How long the last notification may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The process, from outside.
pub struct Receiver {
    child: Child,
    pub port: u16,
}

impl Receiver {
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program's path");
        let mut command = Command::new(program);
        let mut child =
            command.arg("role=receiver").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a receiver process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its port");
        Self { child, port: line.trim().parse().expect("a port") }
    }

    /// The address of a hook.
    pub fn url(&self, hook: &str, delay: u64) -> String {
        format!("http://127.0.0.1:{}/{hook}/{delay}", self.port)
    }

    fn ask(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).expect("the receiver");
        stream.write_all(format!("GET {path} HTTP/1.0\r\ncontent-length: 0\r\n\r\n").as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// How many notifications were answered, repeats included.
    pub fn count(&self) -> u64 {
        self.ask("/count").parse().expect("a number")
    }

    /// Of how many orders notifications were answered, hook by hook, since they were last taken.
    pub fn orders(&self) -> u64 {
        self.ask("/orders").parse().expect("a number")
    }

    /// Returns when notifications of so many orders were answered.
    pub async fn wait_for(&self, orders: u64) {
        let begin = Instant::now();
        while self.orders() < orders {
            assert!(begin.elapsed() < PATIENCE, "deliveries are missing");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// When each order's notification came first, by hook and number, of those that were answered; forgets them.
    pub fn take(&self) -> HashMap<(String, u64), u64> {
        let text = self.ask("/take");
        let lines = text.lines().filter_map(|line| {
            let mut parts = line.split(' ');
            Some(((parts.next()?.to_owned(), parts.next()?.parse().ok()?), parts.next()?.parse().ok()?))
        });
        lines.collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Seen {
    count: AtomicU64,
    first: Mutex<HashMap<(String, u64), u64>>,
}

impl Seen {
    fn first(&self) -> MutexGuard<'_, HashMap<(String, u64), u64>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A notification that came then was answered.
    fn answered(&self, hook: String, number: Option<u64>, came: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(number) = number {
            self.first().entry((hook, number)).or_insert(came);
        }
    }
}

/// The process, from inside. Ends when whoever started it is gone.
pub fn run() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let seen = Arc::new(Seen::default());
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", socket.local_addr().expect("an address").port());
        loop {
            let Ok((stream, _)) = socket.accept().await else { continue };
            tokio::spawn(serve(stream, seen.clone()));
        }
    });
}

async fn serve(mut stream: TcpStream, seen: Arc<Seen>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let (head, length) = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = std::str::from_utf8(&buffer[..end]).ok()?.to_ascii_lowercase();
                let length = head.split("content-length:").nth(1)?.split("\r\n").next()?.trim().parse::<usize>().ok()?;
                break (head, end + 4 + length);
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        let path = head.split(' ').nth(1)?.to_owned();
        let body_from = head.len() + 4;
        let came = micros_now();
        let (answer, order, delay) = match path.as_str() {
            "/count" => (seen.count.load(Ordering::Relaxed).to_string(), None, 0),
            "/orders" => (seen.first().len().to_string(), None, 0),
            "/take" => (take(&seen), None, 0),
            _ => {
                let (hook, delay) = path.trim_start_matches('/').split_once('/').unwrap_or((&path, "0"));
                let (answer, number) = receipt(&buffer[body_from..length]);
                (answer, Some((hook.to_owned(), number)), delay.parse().unwrap_or(0))
            }
        };
        buffer.drain(..length);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(answer.as_bytes()).await.ok()?;
        // Not before: what still waits for its answer is confirmed to nobody.
        if let Some((hook, number)) = order {
            seen.answered(hook, number, came);
        }
        if head.contains("http/1.0") {
            return None;
        }
    }
}

fn take(seen: &Seen) -> String {
    let first = std::mem::take(&mut *seen.first());
    first.into_iter().map(|((hook, number), at)| format!("{hook} {number} {at}\n")).collect()
}

/// The read receipt as 2Checkout's documentation has it (*Read receipt response*): HMAC-MD5 over the first product's id
/// and name, the date of the message and the date of the answer, each behind its length in bytes. With the order's number.
fn receipt(body: &[u8]) -> (String, Option<u64>) {
    let mut values = [const { String::new() }; 4];
    for (name, value) in url::form_urlencoded::parse(body) {
        let place = match name.as_ref() {
            "IPN_PID[]" => 0,
            "IPN_PNAME[]" => 1,
            "IPN_DATE" => 2,
            "REFNO" => 3,
            _ => continue,
        };
        if values[place].is_empty() {
            values[place] = value.into_owned();
        }
    }
    let [pid, pname, date, reference] = values;
    let mut mac = Hmac::<md5::Md5>::new_from_slice(KEY.as_bytes()).expect("any key");
    let now = "20260301120000";
    for value in [pid.as_str(), &pname, &date, now] {
        mac.update(value.len().to_string().as_bytes());
        mac.update(value.as_bytes());
    }
    (format!("<EPAYMENT>{now}|{}</EPAYMENT>", hex::encode(mac.finalize().into_bytes())), reference.parse().ok())
}
