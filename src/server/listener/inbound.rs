//! Reading a request within limits, and writing down its head.

use crate::domain::RefusalReason;
use axum::{
    body::{Body, HttpBody as _},
    http::request::Parts,
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::{fmt::Write as _, time::Duration};

/// A whole body must have arrived within this time; gateways send theirs in one piece.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Longest head kept, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Why a body could not be read.
pub struct ReadError {
    /// `None` where the sender went away.
    pub reason: Option<RefusalReason>,
    /// What had arrived.
    pub kept: Bytes,
    /// The size announced, or what had arrived.
    pub size: u64,
}

/// Reads a body of at most `limit` bytes.
pub async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, ReadError> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|size| size > limit as u64) {
        return Err(ReadError { reason: Some(RefusalReason::TooLarge), kept: Bytes::new(), size: announced.unwrap_or(0) });
    }
    let mut read = BytesMut::new();
    let deadline = tokio::time::Instant::now() + BODY_TIME;
    loop {
        let failed = match tokio::time::timeout_at(deadline, body.frame()).await {
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                // The usual case: the whole body in one piece. Copied, because it outlives the connection's buffer,
                // which it would hold in memory.
                if read.is_empty() && Some(data.len() as u64) == announced {
                    return Ok(Bytes::copy_from_slice(&data));
                }
                read.extend_from_slice(&data);
                if read.len() <= limit {
                    continue;
                }
                Some(RefusalReason::TooLarge)
            }
            Ok(Some(Err(_))) => None,
            Err(_) => Some(RefusalReason::TooSlow),
        };
        let size = announced.unwrap_or(read.len() as u64);
        return Err(ReadError { reason: failed, kept: read.freeze(), size });
    }
}

/// The request line and headers as text. What authorises somebody is left out.
pub fn render_head(parts: &Parts) -> String {
    let mut head = String::with_capacity(512);
    let _ = write!(head, "{} {} {:?}\r\n", parts.method, parts.uri, parts.version);
    for (name, value) in &parts.headers {
        if head.len() > MAX_HEAD {
            head.push_str("…\r\n");
            break;
        }
        let hidden = matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization");
        let value = if hidden { "(not kept)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        for part in [name.as_str(), ": ", &value, "\r\n"] {
            head.push_str(part);
        }
    }
    head
}
