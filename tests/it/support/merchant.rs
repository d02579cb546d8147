//! A merchant's web server with a script that behaves, or misbehaves, as the test says.

use super::{
    app::MERCHANT_KEY,
    message::{field_of, mac, prefixed},
    until,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

/// The date that the fake script prints into its receipts.
pub const RECEIPT_DATE: &str = "20260301120010";

/// A request as the merchant's server saw it.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Counted from 1.
    pub number: usize,
    pub method: String,
    pub path: String,
    /// Request line and headers, as they came.
    pub head: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Visit {
    /// The decoded fields in the order in which they came.
    pub fn fields(&self) -> Vec<(String, String)> {
        fields(&self.body)
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> String {
        self.fields().into_iter().find(|(known, _)| known == name).unwrap_or_default().1
    }

    /// The algorithms (`md5`, `sha2`, `sha3`) whose signature is in the message, checked with a key.
    pub fn signatures(&self, key: &str) -> Vec<&'static str> {
        let source = source(&self.body);
        let signed = |algorithm: &&str| match self.field(field_of(algorithm)).as_str() {
            "" => false,
            signature => {
                assert_eq!(signature, mac(algorithm, key, &source), "the {algorithm} signature is wrong");
                true
            }
        };
        ["md5", "sha2", "sha3"].into_iter().filter(|algorithm| signed(algorithm)).collect()
    }
}

/// What the signatures run over: each value with its length before it, the signatures themselves left out.
fn source(body: &[u8]) -> String {
    let signatures = ["md5", "sha2", "sha3"].map(field_of);
    fields(body).iter().filter(|(name, _)| !signatures.contains(&name.as_str())).map(|(_, value)| prefixed(value)).collect()
}

fn fields(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The text that a receipt's hash runs over.
pub fn receipt_source(body: &[u8], date: &str) -> String {
    let fields = fields(body);
    let first = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    if !first("LICENSE_CODE").is_empty() {
        return [first("LICENSE_CODE"), first("EXPIRATION_DATE"), date].map(prefixed).concat();
    }
    [first("IPN_PID[]"), first("IPN_PNAME[]"), first("IPN_DATE"), date].map(prefixed).concat()
}

/// A hash in the form of a receipt.
pub fn receipt_form(algorithm: &str, date: &str, hash: &str) -> String {
    match algorithm {
        "md5" => format!("<EPAYMENT>{date}|{hash}</EPAYMENT>"),
        "sha2" => format!("<sig algo=\"sha256\" date=\"{date}\">{hash}</sig>"),
        _ => format!("<sig algo=\"sha3-256\" date=\"{date}\">{hash}</sig>"),
    }
}

/// A right receipt for a message.
pub fn receipt(algorithm: &str, key: &str, body: &[u8]) -> String {
    receipt_form(algorithm, RECEIPT_DATE, &mac(algorithm, key, receipt_source(body, RECEIPT_DATE)))
}

/// How a request is answered.
pub enum Answer {
    /// With this status, these headers and this body.
    Page(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// With these bytes and nothing else; then the connection is closed.
    Raw(Vec<u8>),
    /// The connection is reset.
    Reset,
    /// A head, then one byte after another, for ever.
    Drip,
    /// The same, later.
    Later(Duration, Box<Self>),
    /// The same, when there is a permit.
    Gated(Arc<Semaphore>, Box<Self>),
}

impl Answer {
    /// A page of text with status 200.
    pub fn text(text: impl Into<String>) -> Self {
        Self::status(200, text)
    }

    pub fn status(status: u16, text: impl Into<String>) -> Self {
        Self::Page(status, vec![("Content-Type", "text/html".to_owned())], text.into().into_bytes())
    }

    /// The right receipt to a POST; an empty page to a GET, as the official samples answer it.
    pub fn receipt(algorithm: &str, visit: &Visit) -> Self {
        match visit.method.as_str() {
            "POST" => Self::text(receipt(algorithm, MERCHANT_KEY, &visit.body)),
            _ => Self::text(""),
        }
    }
}

type Script = Arc<dyn Fn(&Visit) -> Answer + Send + Sync>;

struct Site {
    script: Mutex<Script>,
    visits: Mutex<Vec<Visit>>,
    present: AtomicUsize,
    peak: AtomicUsize,
    connections: AtomicUsize,
    /// Over HTTP/2: so much of a message is taken; zero for all of it.
    window: std::sync::atomic::AtomicU32,
    /// Over HTTP/2: so many requests at a time over a connection; zero for as many as usual.
    streams: std::sync::atomic::AtomicU32,
}

/// A running merchant's server.
#[derive(Clone)]
pub struct FakeMerchant {
    pub address: SocketAddr,
    site: Arc<Site>,
}

impl FakeMerchant {
    /// A server whose script answers so.
    pub async fn start(script: impl Fn(&Visit) -> Answer + Send + Sync + 'static) -> Self {
        Self::serve(None, script).await
    }

    /// A server that confirms everything with an MD5 receipt.
    pub async fn confirming() -> Self {
        Self::start(|visit| Answer::receipt("md5", visit)).await
    }

    /// A server with a certificate, which confirms everything.
    pub async fn start_tls(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        Self::start_tls_speaking(&[], certificate, key).await
    }

    /// The same, which also speaks HTTP/2.
    pub async fn start_h2(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        Self::start_tls_speaking(&[b"h2", b"http/1.1"], certificate, key).await
    }

    async fn start_tls_speaking(protocols: &[&[u8]], certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))), |visit| Answer::receipt("md5", visit)).await
    }

    async fn serve(tls: Option<TlsAcceptor>, script: impl Fn(&Visit) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Mutex::new(Arc::new(script) as Script);
        let site = Arc::new(Site {
            script,
            visits: Mutex::default(),
            present: 0.into(),
            peak: 0.into(),
            connections: 0.into(),
            window: 0.into(),
            streams: 0.into(),
        });
        let served = site.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (site, tls) = (served.clone(), tls.clone());
                site.connections.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    match tls {
                        None => site.serve(stream).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                                site.serve_h2(stream).await;
                            } else {
                                site.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, site }
    }

    /// The address of its script.
    pub fn url(&self) -> String {
        format!("http://{}/ipn.php", self.address)
    }

    /// Over HTTP/2 it takes so many bytes of a message and never more.
    pub fn takes_only(&self, bytes: u32) {
        self.site.window.store(bytes, SeqCst);
    }

    /// Over HTTP/2 it takes so many requests at a time over a new connection.
    pub fn takes_at_once(&self, requests: u32) {
        self.site.streams.store(requests, SeqCst);
    }

    /// From now on it answers so.
    pub fn answer(&self, script: impl Fn(&Visit) -> Answer + Send + Sync + 'static) {
        *self.site.script.lock().unwrap() = Arc::new(script);
    }

    /// Everything that has come so far.
    pub fn visits(&self) -> Vec<Visit> {
        self.site.visits.lock().unwrap().clone()
    }

    /// The most requests that it ever had at a time.
    pub fn peak(&self) -> usize {
        self.site.peak.load(SeqCst)
    }

    /// Requests that it has now.
    pub fn present(&self) -> usize {
        self.site.present.load(SeqCst)
    }

    /// Connections that were opened to it so far.
    pub fn connections(&self) -> usize {
        self.site.connections.load(SeqCst)
    }

    /// Waits until so many requests have come; gives them.
    pub async fn wait_for(&self, count: usize) -> Vec<Visit> {
        until("requests at the merchant's", || async { Some(self.visits()).filter(|visits| visits.len() >= count) }).await
    }
}

/// The address of a port that nobody listens on, and what keeps others from taking it.
pub fn closed_port() -> (String, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    (format!("http://{}/", socket.local_addr().unwrap()), socket)
}

/// What can be done to a connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    fn reset(&self) {}
}

impl Stream for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {}

impl Site {
    async fn serve(&self, mut stream: impl Stream) {
        let mut buffer = Vec::new();
        while let Some(visit) = self.read(&mut stream, &mut buffer).await {
            let present = self.present.fetch_add(1, SeqCst) + 1;
            self.peak.fetch_max(present, SeqCst);
            let script = self.script.lock().unwrap().clone();
            let goes_on = respond(&mut stream, script(&visit)).await;
            self.present.fetch_sub(1, SeqCst);
            if !goes_on {
                break;
            }
        }
    }

    /// Answers over HTTP/2, with whole pages.
    async fn serve_h2(self: Arc<Self>, stream: impl Stream + 'static) {
        let (window, streams) = (self.window.load(SeqCst), self.streams.load(SeqCst));
        let service = service_fn(move |request: Request<Incoming>| {
            let site = self.clone();
            async move {
                if site.window.load(SeqCst) > 0 {
                    // What is not read makes no room for more.
                    let _unread = request;
                    return std::future::pending().await;
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
                let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
                let visit = site.note(method, path, format!("{:?}", parts.version), headers.collect(), body.to_vec());
                let present = site.present.fetch_add(1, SeqCst) + 1;
                site.peak.fetch_max(present, SeqCst);
                let script = site.script.lock().unwrap().clone();
                let mut answer = script(&visit);
                let response = loop {
                    answer = match answer {
                        Answer::Gated(gate, answer) => {
                            gate.acquire().await.unwrap().forget();
                            *answer
                        }
                        Answer::Page(status, headers, body) => {
                            let response =
                                headers.into_iter().fold(Response::builder().status(status), |response, (name, value)| {
                                    response.header(name.to_lowercase(), value)
                                });
                            break response.body(Full::new(Bytes::from(body))).unwrap();
                        }
                        _ => panic!("only whole pages go over HTTP/2"),
                    }
                };
                site.present.fetch_sub(1, SeqCst);
                Ok::<_, hyper::Error>(response)
            }
        });
        let mut server = http2::Builder::new(TokioExecutor::new());
        if window > 0 {
            server.initial_stream_window_size(window);
        }
        if streams > 0 {
            server.max_concurrent_streams(streams);
        }
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    fn note(&self, method: String, path: String, head: String, headers: HashMap<String, String>, body: Vec<u8>) -> Visit {
        let mut visits = self.visits.lock().unwrap();
        let visit = Visit { number: visits.len() + 1, method, path, head, headers, body };
        visits.push(visit.clone());
        visit
    }

    /// Reads one request and writes it down.
    async fn read(&self, stream: &mut impl Stream, buffer: &mut Vec<u8>) -> Option<Visit> {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        while buffer.len() < head_end + length {
            if stream.read_buf(buffer).await.ok()? == 0 {
                return None;
            }
        }
        let body = buffer[head_end..head_end + length].to_vec();
        buffer.drain(..head_end + length);
        Some(self.note(method, path, head, headers, body))
    }
}

/// Answers one request; whether the connection can take another.
async fn respond(stream: &mut impl Stream, mut answer: Answer) -> bool {
    loop {
        answer = match answer {
            Answer::Later(span, answer) => {
                tokio::time::sleep(span).await;
                *answer
            }
            Answer::Gated(gate, answer) => {
                gate.acquire().await.unwrap().forget();
                *answer
            }
            Answer::Reset => {
                stream.reset();
                return false;
            }
            Answer::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return false;
            }
            Answer::Drip => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
                while stream.write_all(b".").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                return false;
            }
            Answer::Page(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                let whole = [head.as_bytes(), &body].concat();
                return stream.write_all(&whole).await.is_ok();
            }
        };
    }
}
