//! Listener pages: where gateways post. `POST /ipn/{key}` takes a notification, `GET` tells a probe that the page is
//! there; of the gateways that send by GET it takes what has a query.
//!
//! The order of things is the promise: read within limits, check, **store, then acknowledge**. Nothing here waits for
//! a merchant, a mail or a page. Must not live here: what a signature is (gateway, ipn), where things go (dispatch).

mod answers;
mod inbound;
mod refusals;
mod within;

pub use answers::receipt_date;
pub use within::{Answered, Became, post as post_within};

use self::{
    answers::{not_stored, own, plain, refuse_response},
    inbound::{ReadError, read_body, render_head},
    refusals::Refusals,
    within::Witness,
};
use crate::domain::{
    Gateway, Money, RefusalReason, Timestamp,
    id::{MerchantId, RefusalId},
    order::KnownOrder,
};
use crate::server::{
    clock::Clock,
    gateway::{self, Acknowledgement, Credentials, Event, Gateways, Outcome, Preset, Refused, Request, Verified, simulate},
    store::{Acceptance, Listener, NewNotification, NewRefusal, NewVerifying, Store, StoreError},
    telemetry::{Metrics, Seldom},
};
use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    http::{Method, StatusCode, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString as _};
use futures::future::join_all;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use tokio::sync::Notify;

/// Largest message, in bytes. A full order has about 2.5 kB; a hundred products about 60 kB.
pub const MAX_BODY: usize = 256 << 10;
/// Of a refused body as much is kept as tells what it was; no more is read where there is nobody to take it.
const REFUSED_BODY_KEPT: usize = 16 << 10;
/// What was told of lately.
static NOT_KEPT: Seldom = Seldom::new();

/// What listener pages need of the store. Tests put one in its place whose disk is full, benches one that keeps nothing.
pub trait Keeper: Clone + Send + Sync + 'static {
    /// The listener of an address.
    fn listener(&self, key: &str) -> Option<Arc<Listener>>;
    /// Stores a message; returns when it is safe.
    fn accept(&self, new: NewNotification) -> impl Future<Output = Result<Acceptance, StoreError>> + Send;
    /// Keeps a refused message.
    fn refuse(&self, new: NewRefusal) -> impl Future<Output = Result<RefusalId, StoreError>> + Send;
    /// Keeps a message that its gateway must be asked about; whether it was there already.
    fn add_verifying(&self, _: NewVerifying) -> impl Future<Output = Result<bool, StoreError>> + Send {
        std::future::ready(Err(StoreError::NotServing))
    }
    /// What is known of an order.
    fn known_order(
        &self,
        _: MerchantId,
        _: Gateway,
        _: &str,
    ) -> impl Future<Output = Result<Option<KnownOrder>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }
    /// The amount of an order, where it is known.
    fn amount_of(&self, _: MerchantId, _: Gateway, _: &str) -> impl Future<Output = Result<Option<Money>, StoreError>> + Send {
        std::future::ready(Ok(None))
    }
    /// Open pages of a merchant have something to tell that no commit brings.
    fn tell_pages(&self, _: MerchantId) {}
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

    fn add_verifying(&self, new: NewVerifying) -> impl Future<Output = Result<bool, StoreError>> + Send {
        Self::add_verifying(self, new)
    }

    fn known_order(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> impl Future<Output = Result<Option<KnownOrder>, StoreError>> + Send {
        Self::known_order(self, merchant_id, gateway, reference)
    }

    fn amount_of(
        &self,
        merchant_id: MerchantId,
        gateway: Gateway,
        reference: &str,
    ) -> impl Future<Output = Result<Option<Money>, StoreError>> + Send {
        Self::amount_of(self, merchant_id, gateway, reference)
    }

    fn tell_pages(&self, merchant_id: MerchantId) {
        Self::tell_pages(self, merchant_id);
    }
}

/// What listener pages need to know of the server that they belong to.
#[derive(Clone)]
pub struct House {
    pub gateways: Arc<Gateways>,
    pub metrics: Arc<Metrics>,
    /// How the outside reaches it: `https://ipn.example.com`.
    pub base: String,
    /// Wakes whoever asks gateways back.
    pub asked: Arc<Notify>,
    /// Proxies whose word about the sender's address is believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

impl Default for House {
    fn default() -> Self {
        Self {
            gateways: Gateways::shared(),
            metrics: Arc::default(),
            base: String::new(),
            asked: Arc::default(),
            trusted_proxies: Arc::new([]),
        }
    }
}

struct ListenerState<K> {
    keeper: K,
    clock: Clock,
    refusals: Refusals,
    house: House,
}

/// The listener pages.
pub fn router<K: Keeper>(keeper: K, clock: Clock) -> Router {
    router_with(keeper, clock, House::default())
}

/// The listener pages of a server.
pub fn router_with<K: Keeper>(keeper: K, clock: Clock, house: House) -> Router {
    // Each request takes it along: one count for all of it, which the cores pass to each other.
    let state = Arc::new(ListenerState { keeper, refusals: Refusals::new(), clock, house });
    Router::new().route("/ipn/{key}", post(receive::<K>).get(get::<K>)).with_state(state)
}

/// A gateway asks whether the page is there before it takes the address into its settings; it wants a 200. Some send their
/// messages so.
async fn get<K: Keeper>(
    state: State<Arc<ListenerState<K>>>,
    peer: ConnectInfo<SocketAddr>,
    Path(key): Path<String>,
    request: axum::extract::Request,
) -> Response {
    let has_query = request.method() == Method::GET && request.uri().query().is_some_and(|query| !query.is_empty());
    match state.keeper.listener(&key) {
        Some(listener) if listener.enabled => {
            let takes_get = state.house.gateways.get(listener.gateway).is_some_and(|preset| preset.takes_get());
            if takes_get && has_query {
                return receive(state, peer, Path(key), request).await;
            }
            let method = if takes_get { "GET" } else { "POST" };
            plain(StatusCode::OK, format!("This page takes payment notifications by {method}.\n"))
        }
        Some(_) => refuse_response(RefusalReason::ListenerOff),
        None => refuse_response(RefusalReason::UnknownListener),
    }
}

async fn receive<K: Keeper>(
    State(state): State<Arc<ListenerState<K>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(key): Path<String>,
    request: axum::extract::Request,
) -> Response {
    let begun = Instant::now();
    // Two steps, so that hundreds of messages which wait for the disk hold little more than themselves.
    let Some((message, checked)) = state.read(peer, &key, request).await else {
        // The sender went away; nobody is there to be answered, and there is nothing whole to keep.
        return plain(StatusCode::BAD_REQUEST, "The body was cut off.\n");
    };
    state.answer(message, checked, begun).await
}

/// A message that was read.
struct Message {
    inbound: Inbound,
    listener: Option<Arc<Listener>>,
    preset: Option<Arc<Preset>>,
    head: String,
    body: Bytes,
    /// Of its body; more than was read where that is too large.
    size: u64,
    /// It did not come whole, so that no gateway's own way to answer is in question.
    cut: bool,
}

struct Inbound {
    received_at: Timestamp,
    /// Whoever sent it, behind the proxies that are trusted.
    client: IpAddr,
    /// Told to people.
    peer: CompactString,
    /// Of a simulated message.
    witness: Option<Witness>,
}

impl Inbound {
    fn learn(&self, became: impl FnOnce() -> Became) {
        if let Some(witness) = &self.witness {
            witness.learn(became());
        }
    }
}

impl<K: Keeper> ListenerState<K> {
    /// Reads a message within limits and checks it. `None` where its sender went away meanwhile.
    async fn read(
        &self,
        peer: SocketAddr,
        key: &str,
        request: axum::extract::Request,
    ) -> Option<(Message, Result<Verified, Refused>)> {
        let received_at = self.clock.now();
        let (parts, body) = request.into_parts();
        let client = gateway::access::client(peer, &parts.headers, &self.house.trusted_proxies);
        let witness = Witness::of(&parts);
        let peer = if witness.is_some() { simulate::marked(&client.to_string()).into() } else { client.to_compact_string() };
        let inbound = Inbound { received_at, client, peer, witness };
        let listener = self.keeper.listener(key);
        let preset = listener.as_ref().and_then(|listener| self.house.gateways.get(listener.gateway)).cloned();
        let is_known = listener.as_ref().is_some_and(|listener| listener.enabled);
        let body = match read_body(body, if is_known { MAX_BODY } else { REFUSED_BODY_KEPT }).await {
            // Of a message that comes by GET the query is what tells.
            Ok(_) if parts.method == Method::GET => Bytes::copy_from_slice(parts.uri.query().unwrap_or_default().as_bytes()),
            Ok(body) => body,
            Err(ReadError { reason, kept, size }) => {
                let reason = match (reason?, &listener) {
                    (reason, Some(listener)) if listener.enabled => reason,
                    (_, Some(_)) => RefusalReason::ListenerOff,
                    (_, None) => RefusalReason::UnknownListener,
                };
                let message = Message { inbound, listener, preset, head: render_head(&parts), body: kept, size, cut: true };
                return Some((message, Err(Refused::because(reason))));
            }
        };
        let checked = self.check(listener.as_deref(), preset.as_deref(), &inbound, &parts, &body);
        let (head, size) = (render_head(&parts), body.len() as u64);
        Some((Message { inbound, listener, preset, head, body, size, cut: false }, checked))
    }

    fn check(
        &self,
        listener: Option<&Listener>,
        preset: Option<&Preset>,
        inbound: &Inbound,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<Verified, Refused> {
        let listener = listener.ok_or(Refused::because(RefusalReason::UnknownListener))?;
        if !listener.enabled {
            return Err(Refused::because(RefusalReason::ListenerOff));
        }
        gateway::access::check(&listener.options, inbound.client, &parts.headers)?;
        let preset = preset.ok_or(Refused::because(RefusalReason::UnknownGateway))?;
        let date = receipt_date(inbound.received_at);
        let credentials =
            Credentials { secret: listener.secret.reveal(), required: listener.required, options: &listener.options };
        let request = Request {
            method: &parts.method,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
            url: [&self.house.base, parts.uri.path()],
            now: inbound.received_at,
            date: &date,
        };
        gateway::verify(preset, credentials, &request)
    }

    /// Keeps a message, and says what its sender is told.
    async fn answer(&self, message: Message, checked: Result<Verified, Refused>, begun: Instant) -> Response {
        let verified = match checked {
            Ok(verified) => verified,
            Err(refused) => return Box::pin(self.refused(message, refused)).await,
        };
        let Message { inbound, listener: Some(listener), preset: Some(preset), head, body, .. } = message else {
            // Nothing is verified that has no listener.
            return refuse_response(RefusalReason::UnknownListener);
        };
        let merchant_id = listener.merchant_id;
        let kept = if verified.unconfirmed {
            Box::pin(self.keep_unconfirmed(&listener, &preset, &inbound, (head, body), verified)).await
        } else {
            self.keep(&listener, &preset, &inbound, (head, body), verified).await
        };
        match kept {
            Ok((acknowledgement, repeated)) => {
                self.house.metrics.acknowledged(repeated, begun.elapsed());
                acknowledgement.into_response()
            }
            Err(error) => {
                inbound.learn(|| Became::NotStored);
                self.was_not_stored(merchant_id, &inbound);
                if let Some(others) = NOT_KEPT.due("notification") {
                    tracing::error!(%error, others, "a verified notification could not be stored; the gateway was asked to send it again");
                }
                not_stored(own(Some(&preset), Outcome::NotStored))
            }
        }
    }

    /// Counts a message that could not be stored, and has open pages tell of it.
    fn was_not_stored(&self, merchant_id: MerchantId, inbound: &Inbound) {
        let metrics = &self.house.metrics;
        metrics.not_stored();
        // Whoever simulated a message is told by its page.
        if inbound.witness.is_none() && metrics.unstored.failed(merchant_id, inbound.received_at) {
            self.keeper.tell_pages(merchant_id);
        }
    }

    /// Stores what a request told, and makes its answer; also gives whether all of it had come before.
    async fn keep(
        &self,
        listener: &Listener,
        preset: &Preset,
        inbound: &Inbound,
        (mut head, body): (String, Bytes),
        verified: Verified,
    ) -> Result<(Acknowledgement, bool), StoreError> {
        let count = verified.events.len();
        let (mut differs, mut waiting) = (false, Vec::with_capacity(count));
        for (number, mut event) in verified.events.into_iter().enumerate() {
            if inbound.witness.is_some() {
                Witness::mark(&mut event, &body);
            }
            if let (Some(_), Some(told)) = (&preset.answers.differs, event.facts.amount) {
                differs |= Box::pin(self.differs(listener, &event, told)).await;
            }
            if event.tells_part() {
                // Of a single refund only the order tells whether it was of all.
                let known = self.keeper.known_order(listener.merchant_id, listener.gateway, &event.facts.reference);
                if let Some(known) = Box::pin(known).await? {
                    event.settle(&known);
                }
            }
            let accepted = self.keeper.accept(NewNotification {
                merchant_id: listener.merchant_id,
                listener_id: Some(listener.id),
                gateway: listener.gateway,
                received_at: inbound.received_at,
                signatures: verified.signatures,
                peer: inbound.peer.clone(),
                head: if number + 1 == count { std::mem::take(&mut head) } else { head.clone() },
                body: body.clone(),
                digest: event.digest.filter(|_| event.outgoing.is_none()),
                outgoing: event.outgoing,
                facts: event.facts,
                quiet: false,
            });
            waiting.push(Box::pin(accepted));
        }
        drop((head, body));
        // All messages of a request share a commit, or few; the request is answered when the last of them is safe.
        let accepted = match waiting.pop() {
            Some(only) if waiting.is_empty() => vec![only.await?],
            last => {
                waiting.extend(last);
                join_all(waiting).await.into_iter().collect::<Result<Vec<_>, _>>()?
            }
        };
        let repeated = !accepted.is_empty() && accepted.iter().all(|one| one.repeated);
        // A message about nothing shows nothing.
        if !accepted.is_empty() {
            self.house.metrics.unstored.stored(listener.merchant_id);
        }
        inbound.learn(|| if accepted.is_empty() { Became::Nothing } else { Became::Accepted(accepted.clone()) });
        // Computed from the message before it was handed over; sent only after it is stored.
        let outcome = match (repeated, differs) {
            (true, _) => Outcome::Repeated,
            (false, true) => Outcome::Differs,
            (false, false) => Outcome::Stored,
        };
        let acknowledgement = verified.receipt.or_else(|| gateway::answer(preset, outcome));
        Ok((acknowledgement.unwrap_or_else(Acknowledgement::plain), repeated))
    }

    /// Keeps a message that its gateway must be asked about.
    async fn keep_unconfirmed(
        &self,
        listener: &Listener,
        preset: &Preset,
        inbound: &Inbound,
        (head, body): (String, Bytes),
        verified: Verified,
    ) -> Result<(Acknowledgement, bool), StoreError> {
        let claimed = verified.events.first().map(|event| event.facts.reference.to_string());
        let new = NewVerifying {
            merchant_id: listener.merchant_id,
            listener_id: listener.id,
            received_at: inbound.received_at,
            reference: claimed.unwrap_or_default(),
            peer: inbound.peer.to_string(),
            head,
            body,
        };
        let repeated = self.keeper.add_verifying(new).await?;
        self.house.metrics.unstored.stored(listener.merchant_id);
        inbound.learn(|| Became::Verifying { repeated });
        self.house.asked.notify_one();
        let outcome = if repeated { Outcome::Repeated } else { Outcome::Stored };
        Ok((gateway::answer(preset, outcome).unwrap_or_else(Acknowledgement::plain), repeated))
    }

    /// Whether a message's amount is another than that of its order.
    async fn differs(&self, listener: &Listener, event: &Event, told: Money) -> bool {
        match self.keeper.amount_of(listener.merchant_id, listener.gateway, &event.facts.reference).await {
            Ok(known) => known.is_some_and(|known| known != told),
            // It is stored all the same, or that fails for the same reason.
            Err(_) => false,
        }
    }

    /// Keeps a refused message, and says what its sender is told.
    async fn refused(&self, message: Message, refused: Refused) -> Response {
        let (reason, cut, preset) = (refused.reason, message.cut, message.preset.clone());
        let is_kept = self.keep_refusal(message, refused).await;
        if cut {
            return refuse_response(reason);
        }
        // It is signed, and its gateway is told that it was taken: then somebody must be able to find it.
        if reason == RefusalReason::FieldMissing && !is_kept {
            self.house.metrics.not_stored();
            return not_stored(own(preset.as_deref(), Outcome::NotStored));
        }
        own(preset.as_deref(), Outcome::Refused(reason)).unwrap_or_else(|| refuse_response(reason))
    }

    /// Counts what was refused, and keeps it as often as the limits allow; whether it is kept.
    async fn keep_refusal(&self, message: Message, refused: Refused) -> bool {
        let Message { inbound, listener, preset, head, body, size, .. } = message;
        self.house.metrics.refused(refused.reason);
        let listener_id = listener.as_ref().map(|listener| listener.id);
        inbound.learn(|| Became::Refused { id: None, reason: refused.reason, detail: refused.detail.clone() });
        let Some(suppressed) = self.refusals.admit(listener_id, inbound.received_at) else { return false };
        // What names no order is signed all the same, and may be a payment whose fields have other names now: all of it is kept.
        let most = if refused.reason == RefusalReason::FieldMissing { MAX_BODY } else { REFUSED_BODY_KEPT };
        let (reason, told) = (refused.reason, inbound.witness.as_ref().map(|_| refused.detail.clone()));
        let new = NewRefusal {
            reference: preset.map(|preset| gateway::named(&preset, &body)).unwrap_or_default(),
            merchant_id: listener.map(|listener| listener.merchant_id),
            listener_id,
            at: inbound.received_at,
            reason: refused.reason,
            detail: refused.detail,
            peer: inbound.peer.to_string(),
            head,
            body: body.slice(..body.len().min(most)),
            size,
            suppressed,
        };
        match self.keeper.refuse(new).await {
            Ok(id) => inbound.learn(|| Became::Refused { id: Some(id), reason, detail: told.unwrap_or_default() }),
            Err(error) => {
                if let Some(others) = NOT_KEPT.due("refusal") {
                    tracing::warn!(%error, reason = reason.code(), others, "a refused message could not be kept");
                }
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_message_that_waits_for_the_disk_holds_little() {
        // Hundreds wait at a time: with what rarely happens in them they had 10 kB each, and every one was moved through cold memory.
        assert!(size(receive::<Store>) < 3_000, "{}", size(receive::<Store>));
    }
}
