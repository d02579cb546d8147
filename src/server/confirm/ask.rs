//! One question, and what follows from its answer.

use super::{Confirmer, chain::Unproved, plan};
use crate::domain::RefusalReason;
use crate::server::{
    dispatch::client::{Outbound, Target},
    gateway::{self, Asking, Credentials, Preset, Refused, Request, Step, Word, simulate},
    store::{Listener, NewNotification, NewRefusal, Verifying},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::sync::Arc;

/// Of a refused message as much is kept as tells what it was, as at the listener.
const REFUSED_BODY_KEPT: usize = 16 << 10;
/// Whom gateways see asking; PayPal wants to see somebody.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("Quittance/", env!("CARGO_PKG_VERSION")));

/// What has become of a question.
enum Answer {
    /// It is true, and this is what the gateway sent.
    Yes(Bytes),
    /// It is not.
    No(Refused),
    /// Nobody knows; why, as a sentence.
    Unclear(String),
}

/// A message as its request was, put together again from what is kept of it.
struct Received {
    method: Method,
    headers: HeaderMap,
    path: String,
}

impl Received {
    /// Reads a head as the listener wrote it down.
    fn of(head: &str) -> Self {
        let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = line.split(' ');
        let method = words.next().and_then(|word| word.parse().ok()).unwrap_or(Method::POST);
        let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let mut headers = HeaderMap::new();
        for (name, value) in rest.split("\r\n").filter_map(|line| line.split_once(": ")) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        Self { method, headers, path }
    }
}

/// The head of what only rang, as one of what the gateway said, with what rang behind it.
fn rung(message: &Verifying) -> String {
    let is_of_body = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        ["content-type", "content-length", "content-encoding"].iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    let lines = message.head.split_inclusive("\r\n").filter(|line| !is_of_body(line));
    let head: String = lines.collect();
    format!("{head}content-type: application/json\r\n\r\n{}\r\n", String::from_utf8_lossy(&message.body))
}

impl Confirmer {
    /// Asks about a message and does what the answer says. What fails is asked again later.
    pub(super) async fn confirm(&self, message: Verifying) {
        let settings = self.store.settings();
        let listener = settings.listeners_of(message.merchant_id).iter().find(|known| known.id == message.listener_id).cloned();
        let Some(listener) = listener else {
            return self.postpone(&message, "The listener is not in the settings.".to_owned()).await;
        };
        let Some(preset) = self.gateways.get(listener.gateway).cloned() else {
            let note = "Nothing describes the gateway any more; start the server with --gateways and the folder of its file.";
            return self.postpone(&message, note.to_owned()).await;
        };
        let received = Received::of(&message.head);
        let is_get = received.method == Method::GET;
        let query = String::from_utf8_lossy(if is_get { &message.body } else { &[] }).into_owned();
        let request = Request {
            method: &received.method,
            query: &query,
            headers: &received.headers,
            body: &message.body,
            url: [&self.base, &received.path],
            now: message.received_at,
            date: "",
        };
        let credentials =
            Credentials { secret: listener.secret.reveal(), required: listener.required, options: &listener.options };
        // Only the gateway can sign so. What was simulated here is marked, as nothing from outside can be, and counts as a test.
        if !simulate::is_marked(&message.peer) {
            match self.prove(&preset, credentials, &request, message.received_at).await {
                Ok(()) => {}
                Err(Unproved::Refused(refused)) => return self.refuse(&listener, message, refused).await,
                Err(Unproved::Unclear(note)) => return self.postpone(&message, note).await,
            }
        }
        let asked_at = self.clock.now();
        let outcome = match self.ask(&preset, credentials, &request).await {
            Answer::Yes(answer) => match gateway::confirmed(&preset, credentials, &request, &answer, asked_at) {
                Ok(verified) => return self.accept(&preset, &listener, message, verified, answer).await,
                Err(refused) => Answer::No(refused),
            },
            other => other,
        };
        match outcome {
            Answer::Yes(_) => {}
            Answer::No(refused) => self.refuse(&listener, message, refused).await,
            Answer::Unclear(note) => self.postpone(&message, note).await,
        }
    }

    async fn ask(&self, preset: &Preset, credentials: Credentials<'_>, request: &Request<'_>) -> Answer {
        let mut token = None;
        loop {
            let step = match preset.asking(credentials, request, token.as_deref()) {
                Ok(step) => step,
                Err(refused) => return Answer::No(refused),
            };
            match step {
                Step::Token(asking) => match self.send(asking).await {
                    Ok((status, body)) => match preset.token(status, &body) {
                        Ok(found) => token = Some(found),
                        Err(note) => return Answer::Unclear(note),
                    },
                    Err(note) => return Answer::Unclear(note),
                },
                Step::Word(asking) => {
                    let (status, body) = match self.send(asking).await {
                        Ok(answered) => answered,
                        Err(note) => return Answer::Unclear(note),
                    };
                    return match preset.word(status, &body) {
                        Word::Yes => Answer::Yes(body),
                        Word::No(detail) => Answer::No(Refused { reason: RefusalReason::NotConfirmed, detail }),
                        Word::Unclear(note) => Answer::Unclear(note),
                    };
                }
            }
        }
    }

    /// Sends a question through the dispatcher's client, whose guard knows where nobody may be asked.
    async fn send(&self, asking: Asking) -> Result<(u16, Bytes), String> {
        let target = Target::parse(&asking.url)?;
        let mut headers = asking.headers;
        headers.push((header::USER_AGENT, AGENT));
        let outbound = Outbound {
            target: &target,
            authority: &asking.authority,
            method: asking.method,
            headers,
            body: asking.body.into(),
            timeout: None,
        };
        let exchange = self.client.send(&outbound).await;
        match exchange.failure {
            Some(failure) => Err(format!("{}: {} {}", target.host, failure.cause.sentence(), failure.note).trim_end().to_owned()),
            // Half an answer is none.
            None if exchange.answer.truncated => Err(format!("{} answered more than can be read.", target.host)),
            None => Ok((exchange.answer.status, exchange.answer.body)),
        }
    }

    /// What is true is accepted like any other message; then it waits no more. In this order, because the other would lose it: what
    /// is accepted twice is a repeat.
    async fn accept(
        &self,
        preset: &Preset,
        listener: &Arc<Listener>,
        message: Verifying,
        verified: gateway::Verified,
        answer: Bytes,
    ) {
        let is_fetched = preset.confirm.as_ref().is_some_and(gateway::Confirm::is_fetched);
        let (head, body) = if is_fetched {
            // What came only rang; what the gateway said is the message. Both are kept.
            (rung(&message), answer)
        } else {
            (message.head.clone(), message.body.clone())
        };
        for mut event in verified.events {
            if simulate::is_marked(&message.peer) {
                simulate::as_test(&mut event, &body);
            }
            if preset.tells_states() || event.tells_part() {
                let reference = &event.facts.reference;
                match self.store.known_order(message.merchant_id, listener.gateway, reference).await {
                    Ok(Some(known)) if preset.tells_states() && !event.is_news(&known) => continue,
                    Ok(Some(known)) if event.tells_part() => event.settle(&known),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "what is known of an order could not be read; asking again later");
                        return self.postpone(&message, "It is confirmed, and could not be stored yet.".to_owned()).await;
                    }
                }
            }
            let new = NewNotification {
                merchant_id: message.merchant_id,
                listener_id: Some(listener.id),
                gateway: listener.gateway,
                received_at: message.received_at,
                signatures: verified.signatures,
                peer: message.peer.as_str().into(),
                head: head.clone(),
                body: body.clone(),
                outgoing: event.outgoing,
                digest: None,
                facts: event.facts,
                quiet: false,
            };
            if let Err(error) = self.store.accept(new).await {
                tracing::warn!(%error, "a message that its gateway has confirmed could not be stored; asking again later");
                return self.postpone(&message, "It is confirmed, and could not be stored yet.".to_owned()).await;
            }
        }
        self.settle(message, None).await;
    }

    async fn refuse(&self, listener: &Listener, message: Verifying, refused: Refused) {
        let refusal = NewRefusal {
            merchant_id: Some(message.merchant_id),
            listener_id: Some(listener.id),
            at: self.clock.now(),
            reason: refused.reason,
            detail: format!("{} It had been acknowledged before.", refused.detail).trim_start().to_owned(),
            peer: message.peer.clone(),
            head: message.head.clone(),
            body: message.body.slice(..message.body.len().min(REFUSED_BODY_KEPT)),
            size: message.body.len() as u64,
            suppressed: 0,
            reference: message.reference.clone(),
        };
        self.settle(message, Some(refusal)).await;
    }

    async fn postpone(&self, message: &Verifying, note: String) {
        let now = self.clock.now();
        let Some(due_at) = plan::next(message.received_at, message.attempts, now) else {
            let days = plan::PATIENCE.as_secs() / 86_400;
            tracing::warn!(listener = %message.listener_id, "a gateway gave no word about a message; it is given up");
            let refusal = NewRefusal {
                merchant_id: Some(message.merchant_id),
                listener_id: Some(message.listener_id),
                at: now,
                reason: RefusalReason::NotConfirmed,
                detail: format!("The gateway gave no word in {days} days. {note}"),
                peer: message.peer.clone(),
                head: message.head.clone(),
                body: message.body.slice(..message.body.len().min(REFUSED_BODY_KEPT)),
                size: message.body.len() as u64,
                suppressed: 0,
                reference: message.reference.clone(),
            };
            return self.settle(message.clone(), Some(refusal)).await;
        };
        if let Err(error) = self.store.postpone_verifying(message.id, due_at, note).await {
            tracing::warn!(%error, "a message that waits for its gateway's word could not be put off; it is taken up again by itself");
        }
    }

    async fn settle(&self, message: Verifying, refusal: Option<NewRefusal>) {
        if let Err(error) = self.store.settle_verifying(message, refusal).await {
            tracing::warn!(%error, "the word of a gateway could not be noted; it is asked again");
        }
    }
}
