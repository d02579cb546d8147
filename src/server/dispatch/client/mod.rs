//! The HTTP client of the dispatcher: one request, one answer, every phase timed, every failure named.
//!
//! Built on hyper's connections rather than on a ready client, because the address that was vetted must be the one
//! that is dialled, the phases must be told apart, and nothing may happen behind our back: no redirects, no proxies, no
//! cookies, no second try that nobody sees.

mod decode;
mod exchange;
mod guard;
mod pool;
mod resolve;
mod target;
mod tls;
mod wire;

pub use exchange::{Answer, Exchange, Failure, Limits, Outbound};
pub use guard::Guard;
pub use resolve::Resolver;
pub use target::Target;
pub use tls::{InvalidAuthority, certificates, to_pem};

use crate::domain::{Cause, attempt::Timings};
use bytes::BytesMut;
use exchange::title_case;
use futures::future::Either;
use http::{Response, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pool::{Key, Many, One, Pool, Sender};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use std::{
    fmt::Write as _,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};
use tls::Trust;
use tokio::net::{TcpSocket, TcpStream};
use wire::{Counted, Pieces, Sent};

/// Of an answer as much is read; a receipt may stand anywhere in it.
const MAX_ANSWER: usize = 1 << 20;
/// Connections of HTTP/2 are asked for a sign of life so often while requests wait. Together longer than any request may take: a
/// script that computes for long ends by the time-outs that its merchant knows, not by this.
const PING_EVERY: Duration = Duration::from_secs(25);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// What the system keeps of a message that the server has not taken: little, so that it shows when a server takes nothing,
/// and a thousand slow ones cost no memory.
const SEND_BUFFER: u32 = 64 << 10;
/// What Linux says where the machine, or the process, may open no more files.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
/// A kept connection that takes no request within this is not waited for.
const KEPT_PATIENCE: Duration = Duration::from_secs(1);
/// New connections for a request that a server says it has not looked at.
const TRIES_UNSEEN: usize = 3;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Sends requests.
pub struct Client {
    resolver: Resolver,
    guard: Guard,
    trust: Trust,
    pool: Pool,
    limits: Limits,
}

impl Client {
    /// A client; `roots` are trusted beside the machine's certificates.
    pub fn new(resolver: Resolver, guard: Guard, roots: Vec<CertificateDer<'static>>, limits: Limits) -> Self {
        Self { resolver, guard, trust: Trust::new(roots), pool: Pool::new(limits.connection), limits }
    }

    /// Closes idle connections that nobody needs.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// Whom connections trust that bring these certificates along: what else is proved by certificates is held against the same.
    pub fn roots(&self, authority: &str) -> Result<RootCertStore, Failure> {
        self.trust.roots(authority)
    }

    /// Sends one request and reads its answer.
    pub async fn send(&self, outbound: &Outbound<'_>) -> Exchange {
        let begun = Instant::now();
        let limits = outbound.limits(self.limits);
        let deadline = begun + limits.total;
        let mut exchange = Exchange {
            address: None,
            version: Version::HTTP_11,
            timings: Timings::default(),
            certificate_ends_at: None,
            again: false,
            answer: Answer::default(),
            failure: None,
        };
        if let Err(failure) = self.run(outbound, deadline, &mut exchange).await {
            exchange.failure = Some(failure);
        }
        exchange.timings.total = micros(begun.elapsed());
        exchange
    }

    async fn run(&self, outbound: &Outbound<'_>, deadline: Instant, exchange: &mut Exchange) -> Result<(), Failure> {
        let key = Key::of(outbound.target, outbound.authority);
        let mut broken = None;
        let kept = tokio::time::timeout_at(deadline.min(Instant::now() + KEPT_PATIENCE).into(), self.pool.take(&key));
        let kept = kept.await.ok().flatten();
        if let Some((sender, address)) = kept {
            exchange.address = Some(address);
            match self.converse(&key, sender, address, outbound, deadline, exchange).await {
                // The server closed the kept connection just as we wrote to it; it has not seen the request, or it
                // could not answer it. A new connection tells, and the attempt's page tells of both. A reset of one request
                // among many over a connection that lives on is the server's answer to it.
                Err(failure) if exchange.answer.status == 0 && (failure.unseen || failure.broke) && Instant::now() < deadline => {
                    (exchange.timings, exchange.again) = (Timings::default(), !failure.unseen);
                    broken = Some(failure);
                }
                outcome => return outcome,
            }
        }
        let mut tries = TRIES_UNSEEN;
        loop {
            let (sender, address) = match (self.connect(outbound, deadline, exchange).await, broken.take()) {
                (Ok(connected), _) => connected,
                // It was sent once, and what became of that must not be forgotten because this process cannot go on.
                (Err(failure), Some(first)) if failure.is_ours && exchange.again => {
                    exchange.again = false;
                    return Err(first);
                }
                (Err(failure), _) => return Err(failure),
            };
            if let Sender::Many(many) = &sender {
                self.pool.share(&key, many, address);
            }
            tries -= 1;
            match self.converse(&key, sender, address, outbound, deadline, exchange).await {
                // Others share the connection already, and the server takes no more over it.
                Err(failure) if failure.unseen && exchange.answer.status == 0 && tries > 0 && Instant::now() < deadline => {
                    exchange.timings = Timings::default();
                }
                outcome => return outcome,
            }
        }
    }

    /// Resolves, vets, dials and shakes hands; each within its own limit and that of the whole.
    async fn connect(
        &self,
        outbound: &Outbound<'_>,
        deadline: Instant,
        exchange: &mut Exchange,
    ) -> Result<(Sender, SocketAddr), Failure> {
        let target = outbound.target;
        let begun = Instant::now();
        let by = |begun: Instant, limit: Duration| tokio::time::Instant::from_std(deadline.min(begun + limit));
        let addresses = match target.address {
            Some(address) => vec![address],
            None => {
                let looking_up = self.resolver.look_up(&target.host);
                let looked_up = tokio::time::timeout_at(by(begun, self.limits.resolve), looking_up).await;
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
        let (stream, address) = self.dial(&permitted, deadline, exchange).await?;
        if !target.tls {
            return Ok((Sender::One(handshake(stream).await?), address));
        }
        let begun = Instant::now();
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| Failure::of(Cause::UrlInvalid, format!("{} cannot be named in a certificate.", target.host)))?;
        let connector = self.trust.connector(outbound.authority)?;
        let shaken = tokio::time::timeout_at(by(begun, self.limits.tls), connector.connect(name, stream)).await;
        exchange.timings.tls = Some(micros(begun.elapsed()));
        if let Ok(Ok(stream)) = &shaken {
            exchange.certificate_ends_at = tls::ends_at(stream.get_ref().1.peer_certificates());
        }
        match shaken {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Ok((Sender::Many(handshake_2(stream).await?), address))
            }
            Ok(Ok(stream)) => Ok((Sender::One(handshake(stream).await?), address)),
            Ok(Err(error)) => Err(tls::failure(&error)),
            Err(_) => Err(Failure::of(Cause::TlsHandshake, "The server did not finish the handshake in time.")),
        }
    }

    /// Connects to the first of some addresses that lets us.
    async fn dial(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        exchange: &mut Exchange,
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let begun = Instant::now();
        let left = self.limits.connect.min(deadline.saturating_duration_since(begun));
        let share = left / u32::try_from(addresses.len()).unwrap_or(1);
        let mut failed = None;
        for address in addresses {
            exchange.address = Some(*address);
            let failure = match tokio::time::timeout(share, connect(*address)).await {
                Ok(Ok(stream)) => {
                    exchange.timings.connect = Some(micros(begun.elapsed()));
                    let _ = stream.set_nodelay(true);
                    return Ok((stream, *address));
                }
                Ok(Err(error)) => match error.kind() {
                    io::ErrorKind::ConnectionRefused => Failure::of(Cause::Refused, format!("At {address}.")),
                    io::ErrorKind::TimedOut => Failure::of(Cause::ConnectTimeout, format!("At {address}.")),
                    _ => Failure {
                        is_ours: has_no_file_left(&error),
                        ..Failure::of(Cause::Unreachable, format!("At {address}: {error}."))
                    },
                },
                Err(_) => Failure::of(Cause::ConnectTimeout, format!("At {address}.")),
            };
            if failure.is_ours {
                failed = Some((failure, *address));
                break;
            }
            // A machine without IPv6 reaches none of its addresses; what the others say tells more.
            let tells_more = |known: &Failure| told_by(failure.cause) > told_by(known.cause);
            if failed.as_ref().is_none_or(|(known, _)| tells_more(known)) {
                failed = Some((failure, *address));
            }
        }
        exchange.timings.connect = Some(micros(begun.elapsed()));
        let Some((failure, address)) = failed else { return Err(Failure::of(Cause::Unreachable, "")) };
        exchange.address = Some(address);
        Err(failure)
    }

    /// Sends the request over a connection, reads the answer, and keeps the connection where it can be used again.
    async fn converse(
        &self,
        key: &Key,
        mut sender: Sender,
        address: SocketAddr,
        outbound: &Outbound<'_>,
        deadline: Instant,
        exchange: &mut Exchange,
    ) -> Result<(), Failure> {
        exchange.version = if matches!(sender, Sender::One(_)) { Version::HTTP_11 } else { Version::HTTP_2 };
        let before = if let Sender::One(one) = &sender { one.sent.bytes() } else { 0 };
        let read = self.exchanged(&mut sender, outbound, deadline, exchange).await;
        match (&read, sender) {
            // A server that answers before it has taken the message may never take the rest of it.
            (Ok(true), Sender::One(one)) if one.sent.bytes() - before > outbound.body.len() as u64 => {
                self.pool.put(key, one, address);
            }
            (Err(failure), Sender::Many(many)) if failure.ends_sharing() => self.pool.forget(key, &many),
            _ => {}
        }
        read.map(|_| ())
    }

    /// Sends the request and reads the answer; whether that was read to its end.
    async fn exchanged(
        &self,
        sender: &mut Sender,
        outbound: &Outbound<'_>,
        deadline: Instant,
        exchange: &mut Exchange,
    ) -> Result<bool, Failure> {
        let begun = Instant::now();
        let answered = self.answered(sender, outbound, begun, deadline).await;
        exchange.timings.wait = Some(micros(begun.elapsed()));
        let response = answered?;
        exchange.answer = head_of(&response);
        let encoding = encoding_of(&response);
        let begun = Instant::now();
        let read = read_body(response.into_body(), deadline, &mut exchange.answer).await;
        exchange.timings.read = Some(micros(begun.elapsed()));
        let is_whole = matches!(read, Ok(true)) && !exchange.answer.truncated;
        decompress(&encoding, &mut exchange.answer);
        read.map(|_| is_whole)
    }

    /// Sends a request and waits for the head of its answer.
    async fn answered(
        &self,
        sender: &mut Sender,
        outbound: &Outbound<'_>,
        begun: Instant,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Failure> {
        let (size, limits) = (outbound.body.len(), outbound.limits(self.limits));
        let first_byte_by = deadline.min(begun + limits.first_byte);
        let late = || Failure::of(Cause::NoAnswer, format!("After {} seconds.", shown(begun.elapsed())));
        let (before, sent, waiting) = match sender {
            Sender::Many(many) => {
                let sent = Arc::new(Sent::default());
                let request = outbound.request(Version::HTTP_2, Pieces::new(outbound.body.clone(), sent.clone()))?;
                (0, sent, Either::Left(many.sender.send_request(request)))
            }
            Sender::One(one) => {
                let request = outbound.request(Version::HTTP_11, Full::new(outbound.body.clone()))?;
                (one.sent.bytes(), one.sent.clone(), Either::Right(one.sender.send_request(request)))
            }
        };
        let mut waiting = std::pin::pin!(waiting);
        let send_by = first_byte_by.min(begun + limits.send);
        let answered = match tokio::time::timeout_at(send_by.into(), &mut waiting).await {
            Ok(answered) => answered,
            Err(_) => {
                let sent = sent.bytes() - before;
                if sent < size as u64 {
                    let note = format!("After {} seconds it had taken {sent} bytes.", shown(begun.elapsed()));
                    return Err(Failure::of(Cause::SendTimeout, note));
                }
                tokio::time::timeout_at(first_byte_by.into(), waiting).await.map_err(|_| late())?
            }
        };
        answered.map_err(|error| conversation_failure(&error))
    }
}

/// How much a failure to connect tells of the server: one that refuses is there.
const fn told_by(cause: Cause) -> u8 {
    match cause {
        Cause::Refused => 2,
        Cause::ConnectTimeout => 1,
        _ => 0,
    }
}

/// Whether this process, or the machine, may open no more files.
fn has_no_file_left(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}

/// Connects with a small buffer for what is on its way out.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.connect(address).await
}

/// What bytes can go to and fro over.
trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static> Wire for S {}

async fn handshake(stream: impl Wire) -> Result<One, Failure> {
    let sent = Arc::new(Sent::default());
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(128 << 10)
        .handshake(TokioIo::new(Counted::new(stream, sent.clone())))
        .await
        .map_err(|error| conversation_failure(&error))?;
    // Ends with the connection; its errors come out at the sender.
    let task = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(One { sender, sent, task: task.abort_handle(), since: Instant::now() })
}

async fn handshake_2(stream: impl Wire) -> Result<Many, Failure> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // A connection that many requests share must not be dead without anybody noticing.
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .max_header_list_size(128 << 10)
        // Until the server has said how many it takes.
        .initial_max_send_streams(1)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| conversation_failure(&error))?;
    let connection = Arc::new(Mutex::new(Some(connection)));
    let watched = connection.clone();
    let taken = Arc::new(move || locked(&watched).as_ref().map_or(0, |connection| connection.current_max_send_streams()));
    // Ends when the last request over it has ended and the pool has dropped it.
    tokio::spawn(std::future::poll_fn(move |context| {
        let mut connection = locked(&connection);
        let Some(running) = connection.as_mut() else { return Poll::Ready(()) };
        std::pin::Pin::new(running).poll(context).map(|_| *connection = None)
    }));
    Ok(Many { sender, share: Arc::new(()), taken, since: Instant::now() })
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn head_of(response: &Response<Incoming>) -> Answer {
    let status = response.status();
    let mut head = format!("{:?} {status}\r\n", response.version());
    for (name, value) in response.headers() {
        let _ = write!(head, "{}: {}\r\n", title_case(name.as_str()), String::from_utf8_lossy(value.as_bytes()));
    }
    let text = |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Answer {
        status: status.as_u16(),
        head,
        location: text(header::LOCATION),
        retry_after: text(header::RETRY_AFTER),
        ..Answer::default()
    }
}

fn encoding_of(response: &Response<Incoming>) -> String {
    let values = response.headers().get_all(header::CONTENT_ENCODING).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(", ")
}

fn decompress(encoding: &str, answer: &mut Answer) {
    if answer.body.is_empty() {
        return;
    }
    if let Some(decoded) = decode::decoded(encoding, &answer.body, MAX_ANSWER) {
        answer.body = decoded.body.into();
        answer.truncated |= decoded.truncated;
        answer.compression = decoded.note;
    }
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
    if error.is_parse_too_large() {
        return Failure::of(Cause::NotHttp, "Its head is larger than 128 KiB, or has more than a hundred headers.");
    }
    if error.is_parse() {
        return Failure::of(Cause::NotHttp, error.to_string());
    }
    if error.is_timeout() {
        return Failure::of(Cause::NoAnswer, "Over the connection came no sign of life either.");
    }
    let of_http_2 = source_of::<h2::Error>(error);
    // RFC 9113, 6.8 and 8.7: what is above the last request that the server names, or refused, was not processed in any way.
    let refused = of_http_2
        .is_some_and(|error| error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM)));
    Failure {
        unseen: refused || error.is_canceled(),
        broke: !of_http_2.is_some_and(h2::Error::is_reset),
        ..Failure::of(Cause::Reset, std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string))
    }
}

/// The error of a kind that another one was made of.
fn source_of<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// Seconds for a sentence.
fn shown(span: Duration) -> String {
    if span.as_secs() < 10 { format!("{:.1}", span.as_secs_f64()) } else { span.as_secs().to_string() }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
