//! The HTTP client of the dispatcher: one request, one answer, every phase timed, every failure named.
//!
//! Built on hyper's connections rather than on a ready client, because the address that was vetted must be the one
//! that is dialled, the phases must be told apart, and nothing may happen behind our back: no redirects, no proxies, no
//! cookies, no second try that nobody sees.

mod guard;
mod pool;
mod resolve;
mod target;
mod tls;

pub use guard::Guard;
pub use resolve::Resolver;
pub use target::Target;

use crate::domain::{Cause, attempt::Timings};
use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use pool::{Pool, Sender};
use rustls::pki_types::{CertificateDer, ServerName};
use std::{
    fmt::Write as _,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Of an answer as much is read; a receipt may stand anywhere in it.
const MAX_ANSWER: usize = 1 << 20;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    /// From the beginning to the end of everything.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { resolve: seconds(5), connect: seconds(10), tls: seconds(10), total: seconds(30) }
    }
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// One more sentence about this very case.
    pub note: String,
}

impl Failure {
    fn of(cause: Cause, note: impl Into<String>) -> Self {
        Self { cause, note: note.into() }
    }
}

/// What came back, as far as it came.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// 0 where no head came.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub location: Option<String>,
    pub body: Bytes,
    /// There was more than was read.
    pub truncated: bool,
}

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Dialled, after vetting.
    pub address: Option<SocketAddr>,
    pub timings: Timings,
    pub answer: Answer,
    pub failure: Option<Failure>,
}

/// A request to send.
pub struct Outbound<'a> {
    pub target: &'a Target,
    pub method: Method,
    /// Without `Host` and `Content-Length`, which the target and the body give.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
}

impl Outbound<'_> {
    /// The request line and headers as they go over the wire.
    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target.path, self.target.authority);
        for (name, value) in &self.headers {
            let _ = write!(head, "{}: {}\r\n", title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()));
        }
        if self.method == Method::POST {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        head
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(&self.target.path)
            .header(http::header::HOST, &self.target.authority)
            .body(Full::new(self.body.clone()))
            .map_err(|error| Failure::of(Cause::UrlInvalid, error.to_string()))?;
        request.headers_mut().extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(request)
    }
}

fn title_case(name: &str) -> String {
    let mut upper = true;
    let case = |letter: char| {
        let shown = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '-';
        shown
    };
    name.chars().map(case).collect()
}

/// Sends requests.
pub struct Client {
    resolver: Resolver,
    guard: Guard,
    tls: TlsConnector,
    pool: Pool,
    limits: Limits,
}

impl Client {
    /// A client; `roots` are trusted beside the machine's certificates.
    pub fn new(resolver: Resolver, guard: Guard, roots: Vec<CertificateDer<'static>>, limits: Limits) -> Self {
        Self { resolver, guard, tls: tls::connector(roots), pool: Pool::default(), limits }
    }

    /// Closes idle connections that nobody needs.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// Sends one request and reads its answer.
    pub async fn send(&self, outbound: &Outbound<'_>) -> Exchange {
        let begun = Instant::now();
        let deadline = begun + self.limits.total;
        let mut exchange = Exchange { address: None, timings: Timings::default(), answer: Answer::default(), failure: None };
        if let Err(failure) = self.run(outbound, deadline, &mut exchange).await {
            exchange.failure = Some(failure);
        }
        exchange.timings.total = micros(begun.elapsed());
        exchange
    }

    async fn run(&self, outbound: &Outbound<'_>, deadline: Instant, exchange: &mut Exchange) -> Result<(), Failure> {
        let target = outbound.target;
        if let Some((sender, address)) = self.pool.take(target).await {
            exchange.address = Some(address);
            match self.converse(sender, address, outbound, deadline, exchange).await {
                // The server closed the kept connection just as we wrote to it; it has not seen the request, or it
                // could not answer it. A new connection tells.
                Err(failure) if failure.cause == Cause::Reset && exchange.answer.status == 0 => {
                    exchange.timings = Timings::default();
                }
                outcome => return outcome,
            }
        }
        let (sender, address) = self.connect(target, exchange).await?;
        self.converse(sender, address, outbound, deadline, exchange).await
    }

    /// Resolves, vets, dials and shakes hands.
    async fn connect(&self, target: &Target, exchange: &mut Exchange) -> Result<(Sender, SocketAddr), Failure> {
        let begun = Instant::now();
        let addresses = match target.address {
            Some(address) => vec![address],
            None => {
                let looked_up = tokio::time::timeout(self.limits.resolve, self.resolver.look_up(&target.host)).await;
                exchange.timings.resolve = Some(micros(begun.elapsed()));
                looked_up.unwrap_or_else(|_| Err(Failure::of(Cause::NameServerSilent, "")))?
            }
        };
        let permitted: Vec<SocketAddr> = addresses
            .iter()
            .filter(|address| self.guard.permits(**address))
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(*address, target.port))
            .collect();
        if permitted.is_empty() {
            let found: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            return Err(Failure::of(Cause::AddressForbidden, format!("{} leads to {}.", target.host, found.join(", "))));
        }
        let (stream, address) = self.dial(&permitted, exchange).await?;
        if !target.tls {
            return Ok((handshake(TokioIo::new(stream)).await?, address));
        }
        let begun = Instant::now();
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| Failure::of(Cause::UrlInvalid, format!("{} cannot be named in a certificate.", target.host)))?;
        let shaken = tokio::time::timeout(self.limits.tls, self.tls.connect(name, stream)).await;
        exchange.timings.tls = Some(micros(begun.elapsed()));
        match shaken {
            Ok(Ok(stream)) => Ok((handshake(TokioIo::new(stream)).await?, address)),
            Ok(Err(error)) => Err(tls::failure(&error)),
            Err(_) => Err(Failure::of(Cause::TlsHandshake, "The server did not finish the handshake in time.")),
        }
    }

    /// Connects to the first of some addresses that lets us.
    async fn dial(&self, addresses: &[SocketAddr], exchange: &mut Exchange) -> Result<(TcpStream, SocketAddr), Failure> {
        let begun = Instant::now();
        let share = self.limits.connect / u32::try_from(addresses.len()).unwrap_or(1);
        let mut failed = None;
        for address in addresses {
            exchange.address = Some(*address);
            let failure = match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    exchange.timings.connect = Some(micros(begun.elapsed()));
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, *address));
                }
                Ok(Err(error)) => match error.kind() {
                    io::ErrorKind::ConnectionRefused => Failure::of(Cause::Refused, format!("At {address}.")),
                    io::ErrorKind::TimedOut => Failure::of(Cause::ConnectTimeout, format!("At {address}.")),
                    _ => Failure::of(Cause::Unreachable, format!("At {address}: {error}.")),
                },
                Err(_) => Failure::of(Cause::ConnectTimeout, format!("At {address}.")),
            };
            failed = Some(failure);
        }
        exchange.timings.connect = Some(micros(begun.elapsed()));
        Err(failed.unwrap_or_else(|| Failure::of(Cause::Unreachable, "")))
    }

    /// Sends the request over a connection, reads the answer, and keeps the connection where it can be used again.
    async fn converse(
        &self,
        mut sender: Sender,
        address: SocketAddr,
        outbound: &Outbound<'_>,
        deadline: Instant,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        let request = outbound.request()?;
        let answered = tokio::time::timeout_at(deadline.into(), sender.send_request(request)).await;
        exchange.timings.wait = Some(micros(begun.elapsed()));
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(conversation_failure(&error)),
            Err(_) => return Err(Failure::of(Cause::NoAnswer, format!("After {} seconds.", self.limits.total.as_secs()))),
        };
        exchange.answer = head_of(&response);
        let begun = Instant::now();
        let read = read_body(response.into_body(), deadline, &mut exchange.answer).await;
        exchange.timings.read = Some(micros(begun.elapsed()));
        if read? && !exchange.answer.truncated {
            self.pool.put(outbound.target, sender, address);
        }
        Ok(())
    }
}

async fn handshake<S>(stream: TokioIo<S>) -> Result<Sender, Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(128 << 10)
        .handshake(stream)
        .await
        .map_err(|error| conversation_failure(&error))?;
    // Ends with the connection; its errors come out at the sender.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

fn head_of(response: &Response<Incoming>) -> Answer {
    let status = response.status();
    let mut head = format!("{:?} {status}\r\n", response.version());
    for (name, value) in response.headers() {
        let _ = write!(head, "{}: {}\r\n", title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()));
    }
    let location =
        response.headers().get(http::header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Answer { status: status.as_u16(), head, location, body: Bytes::new(), truncated: false }
}

/// Reads a body up to its limit; whether it was read to its end. What has come so far is kept in any case.
async fn read_body(mut body: Incoming, deadline: Instant, answer: &mut Answer) -> Result<bool, Failure> {
    let mut read = BytesMut::new();
    let outcome = loop {
        match tokio::time::timeout_at(deadline.into(), body.frame()).await {
            Ok(None) => break Ok(true),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                let room = MAX_ANSWER - read.len();
                read.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    answer.truncated = true;
                    break Ok(false);
                }
            }
            Ok(Some(Err(error))) => break Err(conversation_failure(&error)),
            Err(_) => break Err(Failure::of(Cause::Dripping, format!("After {} bytes.", read.len()))),
        }
    };
    answer.body = read.freeze();
    outcome
}

/// What hyper's errors mean.
fn conversation_failure(error: &hyper::Error) -> Failure {
    if error.is_parse() {
        return Failure::of(Cause::NotHttp, error.to_string());
    }
    Failure::of(Cause::Reset, std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
