//! What is sent, what came of it, and how long it may take.

use super::{Target, decode};
use crate::domain::{Cause, Timestamp, attempt::Timings};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Version, header};
use std::{fmt::Write as _, net::SocketAddr, time::Duration};

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub resolve: Duration,
    pub connect: Duration,
    pub tls: Duration,
    /// Until the server has taken the whole request.
    pub send: Duration,
    /// From the beginning of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// From the beginning to the end of everything.
    pub total: Duration,
    /// No connection takes another request after that, however busy it is, so that a name which leads elsewhere is noticed.
    pub connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resolve: seconds(5),
            connect: seconds(10),
            tls: seconds(10),
            send: seconds(10),
            first_byte: seconds(25),
            total: seconds(30),
            connection: seconds(5 * 60),
        }
    }
}

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    /// One more sentence about this very case.
    pub note: String,
    /// It says nothing of the server: this process could not even try.
    pub is_ours: bool,
    /// The server has not looked at the request: it may be sent again as if it had not been.
    pub unseen: bool,
    /// The connection is gone, and not only this request over it.
    pub broke: bool,
}

impl Failure {
    pub(super) fn of(cause: Cause, note: impl Into<String>) -> Self {
        Self { cause, note: note.into(), is_ours: false, unseen: false, broke: false }
    }

    /// Whether others should take another connection than the one over which this happened. Where nothing comes back it may be dead.
    pub(super) const fn ends_sharing(&self) -> bool {
        self.unseen || self.broke || matches!(self.cause, Cause::NoAnswer | Cause::SendTimeout)
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
    /// When to come again, as the server puts it.
    pub retry_after: Option<String>,
    /// Without its compression.
    pub body: Bytes,
    /// There was more than was read.
    pub truncated: bool,
    /// One sentence about the compression that was taken off.
    pub compression: String,
}

/// One request and what became of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Dialled, after vetting.
    pub address: Option<SocketAddr>,
    /// Spoken over the connection, or meant to be.
    pub version: Version,
    pub timings: Timings,
    /// When the certificate ends that the server showed; nothing where no connection with one was made.
    pub certificate_ends_at: Option<Timestamp>,
    /// It was sent a second time, over a new connection: the one that was kept broke before an answer came.
    pub again: bool,
    pub answer: Answer,
    pub failure: Option<Failure>,
}

/// A request to send.
pub struct Outbound<'a> {
    pub target: &'a Target,
    /// Certificates to trust beside the public ones, as PEM; usually empty.
    pub authority: &'a str,
    pub method: Method,
    /// Without `Host`, `Content-Length` and `Accept-Encoding`, which are set here.
    /// The values of sensitive ones are left out of what is shown and kept.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// Seconds that the whole may take, where that is not the usual.
    pub timeout: Option<u16>,
}

impl Outbound<'_> {
    /// The limits of this request.
    pub(super) fn limits(&self, usual: Limits) -> Limits {
        match self.timeout.map(|seconds| Duration::from_secs(u64::from(seconds))) {
            None => usual,
            Some(total) => Limits { total, first_byte: total, ..usual },
        }
    }

    /// The request line and headers as they go over the wire; of HTTP/2 as they would, were they text.
    pub fn head(&self, version: Version) -> String {
        let is_text = version < Version::HTTP_2;
        let (line, host) = if is_text { ("HTTP/1.1", "Host") } else { ("HTTP/2", "host") };
        let mut head = format!("{} {} {line}\r\n{host}: {}\r\n", self.method, self.target.path, self.target.authority);
        let accepted = (header::ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPTED));
        let length = (self.method == Method::POST).then(|| (header::CONTENT_LENGTH, HeaderValue::from(self.body.len())));
        for (name, value) in self.headers.iter().chain([&accepted]).chain(&length) {
            let name = if is_text { title_case(name.as_str()) } else { name.as_str().to_owned() };
            let value = if value.is_sensitive() { "(not kept)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head
    }

    pub(super) fn request<B>(&self, version: Version, body: B) -> Result<Request<B>, Failure> {
        let request = Request::builder().method(self.method.clone());
        let request = if version == Version::HTTP_2 {
            // Its address stands in fields of its own, which are made from these.
            let scheme = if self.target.tls { "https" } else { "http" };
            request.uri(format!("{scheme}://{}{}", self.target.authority, self.target.path)).version(version)
        } else {
            request.uri(&self.target.path).header(header::HOST, &self.target.authority)
        };
        let mut request = request.body(body).map_err(|error| Failure::of(Cause::UrlInvalid, error.to_string()))?;
        request.headers_mut().extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPTED));
        Ok(request)
    }
}

/// The name of a header as it is written in HTTP/1.1.
pub(super) fn title_case(name: &str) -> String {
    let mut upper = true;
    let case = |letter: char| {
        let shown = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '-';
        shown
    };
    name.chars().map(case).collect()
}
