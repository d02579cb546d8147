//! The sender: keep-alive connections that post full-size, signed messages; as fast as they are answered, or at a steady
//! rate.

use super::{figures::Latencies, message::request};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How many requests of a steady rate may be under way.
const STEADY_CONNECTIONS: u64 = 128;
/// By how much the timer itself is late at most.
const TIMER: Duration = Duration::from_millis(2);

/// What a run saw.
pub struct Outcome {
    span: Duration,
    pub latencies: Latencies,
}

impl Outcome {
    /// Acknowledged messages.
    pub const fn acknowledged(&self) -> u64 {
        self.latencies.count() as u64
    }

    /// Acknowledged messages a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged() as f64 / self.span.as_secs_f64()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s ({})", self.rate(), self.latencies)
    }
}

/// Numbers of orders; no two runs of a process use the same.
pub fn numbers() -> Arc<AtomicU64> {
    static RUNS: AtomicU64 = AtomicU64::new(1);
    Arc::new(AtomicU64::new(RUNS.fetch_add(1, Ordering::Relaxed) * 100_000_000))
}

/// Posts for a span over a number of connections, as fast as the answers come; every answer must be a receipt.
/// Connections take turns among the ports and the paths.
pub async fn at_full_speed(ports: &[u16], paths: &[String], connections: usize, span: Duration) -> Outcome {
    let numbers = numbers();
    let begin = Instant::now();
    let end = begin + span;
    let senders: Vec<_> = (0..connections)
        .map(|at| {
            let (port, numbers, paths) = (ports[at % ports.len()], numbers.clone(), paths.to_vec());
            tokio::spawn(async move {
                let mut connection = Connection::open(port).await;
                let mut latencies = Latencies::default();
                while Instant::now() < end {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    let request = request(&paths[number as usize % paths.len()], number);
                    let sent = Instant::now();
                    connection.exchange(&request).await;
                    latencies.add(sent.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    for sender in senders {
        latencies.join(sender.await.expect("a sender"));
    }
    Outcome { span: begin.elapsed(), latencies }
}

/// Posts so many messages as fast as the answers come.
pub async fn count(ports: &[u16], paths: &[String], connections: usize, messages: u64) -> Outcome {
    let numbers = numbers();
    let begin = Instant::now();
    let last = numbers.load(Ordering::Relaxed) + messages;
    let senders: Vec<_> = (0..connections)
        .map(|at| {
            let (port, numbers, paths) = (ports[at % ports.len()], numbers.clone(), paths.to_vec());
            tokio::spawn(async move {
                let mut connection = Connection::open(port).await;
                let mut latencies = Latencies::default();
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    if number >= last {
                        return latencies;
                    }
                    let request = request(&paths[number as usize % paths.len()], number);
                    let sent = Instant::now();
                    connection.exchange(&request).await;
                    latencies.add(sent.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    for sender in senders {
        latencies.join(sender.await.expect("a sender"));
    }
    Outcome { span: begin.elapsed(), latencies }
}

/// A run at a steady rate: what was acknowledged, and when each order was due to be sent (microseconds since 1970).
pub struct Steady {
    pub outcome: Outcome,
    pub sent: Vec<(u64, u64)>,
}

/// Posts so many messages a second for a span. A message that could not be sent in time counts from when it was due, so that
/// answers that hold up the next messages are not forgotten.
pub async fn steadily(ports: &[u16], paths: &[String], rate: u64, span: Duration) -> Steady {
    let numbers = numbers();
    let first = numbers.load(Ordering::Relaxed);
    let begin = Instant::now() + Duration::from_millis(50);
    let epoch = super::figures::micros_now() + 50_000;
    let total = rate * span.as_secs();
    let senders: Vec<_> = (0..STEADY_CONNECTIONS.min(rate))
        .map(|at| {
            let (port, numbers, paths) = (ports[at as usize % ports.len()], numbers.clone(), paths.to_vec());
            tokio::spawn(async move {
                let mut connection = Connection::open(port).await;
                let mut latencies = Latencies::default();
                let mut sent = Vec::new();
                loop {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    if number - first >= total {
                        return (latencies, sent);
                    }
                    let offset = Duration::from_micros((number - first) * 1_000_000 / rate);
                    let request = request(&paths[number as usize % paths.len()], number);
                    let due = begin + offset;
                    tokio::time::sleep_until(due.into()).await;
                    // The timer counts in milliseconds.
                    let late = due.elapsed().min(TIMER);
                    connection.exchange(&request).await;
                    latencies.add(due.elapsed() - late);
                    sent.push((number, epoch + (offset + late).as_micros() as u64));
                }
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    let mut sent = Vec::new();
    for sender in senders {
        let (some, times) = sender.await.expect("a sender");
        latencies.join(some);
        sent.extend(times);
    }
    Steady { outcome: Outcome { span: begin.elapsed(), latencies }, sent }
}

/// A keep-alive connection to a server.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, buffer: vec![0; 4096] }
    }

    /// Posts, and waits for the receipt.
    pub async fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("a request sent");
        let mut read = 0;
        loop {
            let count = self.stream.read(&mut self.buffer[read..]).await.expect("an answer");
            assert!(count > 0, "the server closed the connection");
            read += count;
            if self.buffer[..read].ends_with(b"</EPAYMENT>") {
                break;
            }
            assert!(read < 2_000, "no receipt: {}", String::from_utf8_lossy(&self.buffer[..read]));
        }
    }
}
