//! What senders are told: the answers of gateways' own, and those where a gateway has none. Must not live here: which answer it is.

use crate::domain::{RefusalReason, Timestamp};
use crate::server::gateway::{self, Acknowledgement, Outcome, Preset};
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::fmt::strtime;
use std::borrow::Cow;

/// When a sender that was turned away for a moment should come again, in seconds.
pub(super) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// A gateway's own way to say what became of a message, where it has one.
pub(super) fn own(preset: Option<&Preset>, outcome: Outcome) -> Option<Response> {
    preset.and_then(|preset| gateway::answer(preset, outcome)).map(IntoResponse::into_response)
}

/// The moment of the answer as receipts print it: `YYYYMMDDHHMMSS`, in UTC (the protocol leaves the zone open).
pub fn receipt_date(moment: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(moment.micros())
        .ok()
        .and_then(|moment| strtime::format("%Y%m%d%H%M%S", moment).ok())
        .unwrap_or_default()
}

impl IntoResponse for Acknowledgement {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let content_type = match self.content_type {
            Cow::Borrowed(known) => HeaderValue::from_static(known),
            Cow::Owned(told) => HeaderValue::from_str(&told).unwrap_or(HeaderValue::from_static("text/plain")),
        };
        let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::NO_CONTENT {
            return (status, [no_store]).into_response();
        }
        let headers: [(HeaderName, HeaderValue); 2] = [(header::CONTENT_TYPE, content_type), no_store];
        (status, headers, self.body).into_response()
    }
}

/// What the sender of a message that could not be stored is told, where its gateway has no word of its own for that.
pub(super) fn not_stored(own: Option<Response>) -> Response {
    own.unwrap_or_else(|| {
        let headers = [(header::RETRY_AFTER, RETRY_AFTER)];
        (headers, plain(StatusCode::SERVICE_UNAVAILABLE, "Not stored. Please send it again later.\n")).into_response()
    })
}

/// What the sender of a refused message is told: of what proves it not which part was wrong; the panel tells that to the merchant.
pub(super) fn refuse_response(reason: RefusalReason) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
    match status {
        StatusCode::FORBIDDEN => plain(status, "Refused.\n"),
        StatusCode::UNAUTHORIZED => {
            let ask = HeaderValue::from_static("Basic realm=\"listener\", charset=\"UTF-8\"");
            ([(header::WWW_AUTHENTICATE, ask)], plain(status, "Refused.\n")).into_response()
        }
        status => plain(status, format!("Refused: {}.\n", reason.label().to_lowercase())),
    }
}

pub(super) fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], text.into()).into_response()
}
