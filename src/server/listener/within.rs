//! Messages that are posted from inside this process, the whole way that a gateway's go: the simulator's.
//!
//! What such a message is can be told by nothing that comes over the network: the mark travels beside the request, not in it.

use super::{House, Keeper, inbound::render_head, router_with};
use crate::domain::{RefusalReason, id::RefusalId};
use crate::server::{
    clock::Clock,
    gateway::{Event, simulate},
    store::Acceptance,
};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, request::Parts},
    response::Response,
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use tower::ServiceExt as _;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Became {
    /// It is about no payment, and was only answered.
    #[default]
    Nothing,
    Accepted(Vec<Acceptance>),
    /// Its gateway is asked about it.
    Verifying {
        repeated: bool,
    },
    Refused {
        /// Where it was kept.
        id: Option<RefusalId>,
        reason: RefusalReason,
        detail: String,
    },
    NotStored,
}

/// Stands beside a simulated message, and learns what became of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Became>>);

impl Witness {
    /// The witness of a request; real messages have none.
    pub(super) fn of(parts: &Parts) -> Option<Self> {
        parts.extensions.get::<Self>().cloned()
    }

    pub(super) fn learn(&self, became: Became) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = became;
    }

    /// What it told is a test, whatever it says itself.
    pub(super) fn mark(event: &mut Event, body: &[u8]) {
        simulate::as_test(event, body);
    }

    fn learned(&self) -> Became {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A message that was posted, and what came back.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The request's line and headers, as the listener keeps them.
    pub head: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub became: Became,
}

/// Posts a message to a listener page as if it came from an address. What is refused is kept whatever came before it.
pub async fn post<K: Keeper>(keeper: K, clock: Clock, house: House, from: IpAddr, message: Request<Bytes>) -> Answered {
    let (parts, body) = message.into_parts();
    let head = render_head(&parts);
    let mut request = Request::from_parts(parts, Body::from(body));
    let witness = Witness::default();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(from, 0)));
    request.extensions_mut().insert(witness.clone());
    let response: Response = router_with(keeper, clock, house).oneshot(request).await.unwrap_or_else(|never| match never {});
    let (parts, body) = response.into_parts();
    // Made in this process, whole.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Answered { head, status: parts.status, headers: parts.headers, body, became: witness.learned() }
}
