//! Listener pages: where gateways post. `POST /ipn/{key}` takes a notification, `GET` tells a probe that the page is
//! there.
//!
//! The order of things is the promise: read within limits, check, **store, then acknowledge**. Nothing here waits for
//! a merchant, a mail or a page. Must not live here: what a signature is (gateway, ipn), where things go (dispatch).

mod inbound;
mod refusals;

use self::{
    inbound::{ReadError, read_body, render_head},
    refusals::Refusals,
};
use crate::domain::{RefusalReason, Timestamp, id::RefusalId};
use crate::server::{
    clock::Clock,
    gateway::{self, Acknowledgement, Credentials, Refused},
    store::{Acceptance, Listener, NewNotification, NewRefusal, Store, StoreError},
    telemetry::Metrics,
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString as _};
use jiff::fmt::strtime;
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// Largest message, in bytes. A full order has about 2.5 kB; a hundred products about 60 kB.
pub const MAX_BODY: usize = 256 << 10;
/// Of a refused body as much is kept as tells what it was; no more is read where there is nobody to take it.
const REFUSED_BODY_KEPT: usize = 16 << 10;
/// When a sender that was turned away for a moment should come again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// What listener pages need of the store. Tests put one in its place whose disk is full, benches one that keeps nothing.
pub trait Keeper: Clone + Send + Sync + 'static {
    /// The listener of an address.
    fn listener(&self, key: &str) -> Option<Arc<Listener>>;
    /// Stores a message; returns when it is safe.
    fn accept(&self, new: NewNotification) -> impl Future<Output = Result<Acceptance, StoreError>> + Send;
    /// Keeps a refused message.
    fn refuse(&self, new: NewRefusal) -> impl Future<Output = Result<RefusalId, StoreError>> + Send;
}

impl Keeper for Store {
    fn listener(&self, key: &str) -> Option<Arc<Listener>> {
        self.settings().listener(key).cloned()
    }

    fn accept(&self, new: NewNotification) -> impl Future<Output = Result<Acceptance, StoreError>> + Send {
        Self::accept(self, new)
    }

    fn refuse(&self, new: NewRefusal) -> impl Future<Output = Result<RefusalId, StoreError>> + Send {
        Self::refuse(self, new)
    }
}

#[derive(Clone)]
struct ListenerState<K> {
    keeper: K,
    clock: Clock,
    refusals: Arc<Refusals>,
    metrics: Arc<Metrics>,
}

/// The listener pages.
pub fn router<K: Keeper>(keeper: K, clock: Clock) -> Router {
    router_with(keeper, clock, Arc::default())
}

/// The listener pages, counting what comes.
pub fn router_with<K: Keeper>(keeper: K, clock: Clock, metrics: Arc<Metrics>) -> Router {
    let state = ListenerState { keeper, refusals: Arc::new(Refusals::new()), clock, metrics };
    Router::new().route("/ipn/{key}", post(receive::<K>).get(probe::<K>)).with_state(state)
}

/// A gateway asks whether the page is there before it takes the address into its settings; it wants a 200.
async fn probe<K: Keeper>(State(state): State<ListenerState<K>>, Path(key): Path<String>) -> Response {
    match state.keeper.listener(&key) {
        Some(listener) if listener.enabled => plain(StatusCode::OK, "This page takes payment notifications by POST.\n"),
        Some(_) => refuse_response(RefusalReason::ListenerOff),
        None => refuse_response(RefusalReason::UnknownListener),
    }
}

async fn receive<K: Keeper>(
    State(state): State<ListenerState<K>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(key): Path<String>,
    request: axum::extract::Request,
) -> Response {
    let (begun, received_at) = (Instant::now(), state.clock.now());
    let (parts, body) = request.into_parts();
    let head = || render_head(&parts);
    let inbound = Inbound { received_at, peer: peer.ip().to_canonical().to_compact_string() };
    let listener = state.keeper.listener(&key);
    let is_known = listener.as_ref().is_some_and(|listener| listener.enabled);
    let body = match read_body(body, if is_known { MAX_BODY } else { REFUSED_BODY_KEPT }).await {
        Ok(body) => body,
        Err(ReadError { reason: Some(reason), kept, size }) => {
            let reason = match &listener {
                Some(listener) if listener.enabled => reason,
                Some(_) => RefusalReason::ListenerOff,
                None => RefusalReason::UnknownListener,
            };
            let refused = Refused::because(reason);
            state.keep_refusal(listener.as_deref(), &inbound, head(), kept, size, refused).await;
            return refuse_response(reason);
        }
        // The sender went away; nobody is there to be answered, and there is nothing whole to keep.
        Err(ReadError { reason: None, .. }) => return plain(StatusCode::BAD_REQUEST, "The body was cut off.\n"),
    };
    let outcome = state.take(listener.as_deref(), &inbound, &head, &body).await;
    match outcome {
        Ok((acknowledgement, repeated)) => {
            state.metrics.acknowledged(repeated, begun.elapsed());
            acknowledgement.into_response()
        }
        Err(NotTaken::Refused(refused)) => {
            let reason = refused.reason;
            let size = body.len() as u64;
            state.keep_refusal(listener.as_deref(), &inbound, head(), body, size, refused).await;
            refuse_response(reason)
        }
        Err(NotTaken::NotStored(error)) => {
            state.metrics.not_stored();
            tracing::error!(%error, "a verified notification could not be stored; the gateway was asked to send it again");
            let headers = [(header::RETRY_AFTER, RETRY_AFTER)];
            (headers, plain(StatusCode::SERVICE_UNAVAILABLE, "Not stored. Please send it again later.\n")).into_response()
        }
    }
}

struct Inbound {
    received_at: Timestamp,
    peer: CompactString,
}

enum NotTaken {
    Refused(Refused),
    NotStored(StoreError),
}

impl From<Refused> for NotTaken {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl<K: Keeper> ListenerState<K> {
    /// Checks and stores one message; also gives whether it had come before.
    async fn take(
        &self,
        listener: Option<&Listener>,
        inbound: &Inbound,
        head: &(dyn Fn() -> String + Send + Sync),
        body: &Bytes,
    ) -> Result<(Acknowledgement, bool), NotTaken> {
        let listener = listener.ok_or(Refused::because(RefusalReason::UnknownListener))?;
        if !listener.enabled {
            return Err(Refused::because(RefusalReason::ListenerOff).into());
        }
        let credentials = Credentials { secret: listener.secret.reveal(), required: listener.required };
        // Everything that borrows the body ends here, so that nothing but the message itself waits for the disk.
        let (facts, signatures, acknowledgement) = {
            let verified = gateway::verify(listener.gateway, credentials, body)?;
            // Computed before the message is handed over; sent only after it is stored.
            let date = receipt_date(inbound.received_at);
            let acknowledgement = gateway::acknowledge(listener.gateway, credentials, &verified, &date);
            (verified.facts, verified.signatures, acknowledgement)
        };
        let new = NewNotification {
            merchant_id: listener.merchant_id,
            listener_id: Some(listener.id),
            gateway: listener.gateway,
            received_at: inbound.received_at,
            signatures,
            peer: inbound.peer.clone(),
            head: head(),
            body: body.clone(),
            facts,
        };
        let acceptance = self.keeper.accept(new).await.map_err(NotTaken::NotStored)?;
        Ok((acknowledgement, acceptance.repeated))
    }

    /// Counts what was refused, and keeps it as often as the limits allow. Never fails the answer: it says no in any case.
    async fn keep_refusal(
        &self,
        listener: Option<&Listener>,
        inbound: &Inbound,
        head: String,
        body: Bytes,
        size: u64,
        refused: Refused,
    ) {
        self.metrics.refused(refused.reason);
        let listener_id = listener.map(|listener| listener.id);
        let Some(suppressed) = self.refusals.admit(listener_id, inbound.received_at) else { return };
        let new = NewRefusal {
            reference: listener.map(|listener| gateway::reference(listener.gateway, &body)).unwrap_or_default(),
            merchant_id: listener.map(|listener| listener.merchant_id),
            listener_id,
            at: inbound.received_at,
            reason: refused.reason,
            detail: refused.detail,
            peer: inbound.peer.to_string(),
            head,
            body: body.slice(..body.len().min(REFUSED_BODY_KEPT)),
            size,
            suppressed,
        };
        if let Err(error) = self.keeper.refuse(new).await {
            tracing::warn!(%error, reason = refused.reason.code(), "a refused message could not be kept");
        }
    }
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
        let headers: [(HeaderName, HeaderValue); 2] = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (status, headers, self.body).into_response()
    }
}

/// What the sender of a refused message is told: the kind of refusal, not which part of a signature was wrong.
fn refuse_response(reason: RefusalReason) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::BAD_REQUEST);
    plain(status, format!("Refused: {}.\n", reason.label().to_lowercase()))
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], text.into()).into_response()
}
