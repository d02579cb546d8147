//! The gateways' dialects: what they send turned into our words, and our outcome into the acknowledgement that they know.
//!
//! Most gateways are data (`presets/`, read by `preset`) over a few primitives: `fields` and `json`, `template` and `pairs`, `crypto`.
//! `twocheckout` is code. `registry` knows which there are; `translate` puts what came into the one form that leaves;
//! `simulate` signs messages as a gateway would.
//!
//! Pure: bytes and secrets in, facts or a reason out. Must not live here: servers and clients, the store, the clock.

pub mod access;
mod crypto;
mod fields;
mod json;
mod pairs;
mod preset;
mod registry;
pub mod simulate;
mod template;
mod translate;
#[cfg(test)]
mod trials;
pub mod twocheckout;

pub use preset::{
    ADDRESS, Adapter, Ask, Asking, BodyForm, CERTIFICATE_HOSTS, CONFIRM_AUTHORITY, CONFIRM_BASE, Case, Confirm, MODE, Origin,
    PREVIOUS_SECRET, Preset, Signed, Step, Word,
};
pub use registry::{Gateways, PresetError};

use self::template::Source;
use crate::domain::{
    Algorithms, GatewayOptions, RefusalReason, Timestamp,
    order::{KnownOrder, OrderFacts, Refund},
};
use crate::server::ipn::signature::Digest;
use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use sha2::{Digest as _, Sha256};
use std::{borrow::Cow, time::Duration};

/// Longest text kept of a field that lists show; the message itself is kept whole.
const SHOWN_CHARS: usize = 200;

/// How far ahead of ours a gateway's clock, or the zone that it leaves out, may put the moment of an event.
const AHEAD: Duration = Duration::from_secs(36 * 3_600);

/// A request of a gateway.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a http::Method,
    /// What follows the question mark, as it came.
    pub query: &'a str,
    pub headers: &'a http::HeaderMap,
    pub body: &'a [u8],
    /// The listener's address from outside: `https://ipn.example.com` and the path.
    pub url: [&'a str; 2],
    pub now: Timestamp,
    /// The moment of the answer as receipts print it: `YYYYMMDDHHMMSS`.
    pub date: &'a str,
}

/// What a listener's settings say about checking.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    pub secret: &'a [u8],
    /// At least one of these must have signed, where the gateway signs with several.
    pub required: Algorithms,
    pub options: &'a GatewayOptions,
}

/// A request that is what it claims to be.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What it told; nothing where it only wanted an answer.
    pub events: Vec<Event>,
    /// The algorithms of 2Checkout's protocol that it was signed with, all right.
    pub signatures: Algorithms,
    /// The answer, where it is made of the message.
    pub receipt: Option<Acknowledgement>,
    /// The gateway must be asked whether it is true before anything is made of it; the events are what it claims.
    pub unconfirmed: bool,
}

/// One thing that a gateway told.
#[derive(Debug, Clone)]
pub struct Event {
    pub facts: OrderFacts,
    /// The form that leaves for the merchant's URLs, where it is another than the one that came.
    pub outgoing: Option<Bytes>,
    /// Of what its signature covers, where the check had that at hand.
    pub digest: Option<Digest>,
}

impl Event {
    /// Whether it tells a refund of which only what is known of its order tells whether it was of all or of a part.
    pub const fn tells_part(&self) -> bool {
        match self.facts.refund {
            Some(Refund::Part(_)) => true,
            Some(Refund::Total(_)) => self.facts.amount.is_none(),
            None => false,
        }
    }

    /// Says by what is known of its order whether a refund was of all or of a part, in what leaves, too.
    pub fn settle(&mut self, known: &KnownOrder) {
        let facts = &mut self.facts;
        let amount = facts.amount.or(known.amount).map(|money| money.minor);
        let settled = known.refunds.and(facts.refund).settle(facts.status, amount);
        if settled != facts.status {
            facts.status = settled;
            self.outgoing = self.outgoing.take().map(|outgoing| translate::restated(&outgoing, settled));
        }
    }

    /// Whether a state that was fetched is another than the one that is known. Whoever knows the address can have it fetched again
    /// and again.
    pub fn is_news(&self, known: &KnownOrder) -> bool {
        let facts = &self.facts;
        let total = if let Some(Refund::Total(total)) = facts.refund { total } else { 0 };
        (facts.status, facts.vendor_status.as_str()) != (known.status, known.vendor_status.as_str())
            || total > known.refunds.total
    }
}

/// A message that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: RefusalReason,
    /// More about it, for the merchant's eyes only.
    pub detail: String,
}

impl Refused {
    /// A refusal with nothing more to say.
    pub const fn because(reason: RefusalReason) -> Self {
        Self { reason, detail: String::new() }
    }
}

/// The exact answer that a gateway knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub status: u16,
    pub content_type: Cow<'static, str>,
    pub body: String,
}

impl Acknowledgement {
    /// What every gateway without words of its own takes for a yes.
    pub fn plain() -> Self {
        Self { status: 200, content_type: "text/plain; charset=utf-8".into(), body: "OK\n".to_owned() }
    }
}

/// What has become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// It was there already.
    Repeated,
    /// It was stored, but its amount is another than that of the order.
    Differs,
    Refused(RefusalReason),
    NotStored,
}

/// The reference of the order that a message names, whether or not anything else of it is right; empty where it names none.
/// Nobody has proved it.
pub fn named(preset: &Preset, message: &[u8]) -> String {
    if preset.adapter.is_some() {
        return twocheckout::named(message);
    }
    preset.named(message).map(|text| reference(&text).to_string()).unwrap_or_default()
}

/// Checks a request against a listener's settings, and reads it.
pub fn verify(preset: &Preset, credentials: Credentials<'_>, request: &Request<'_>) -> Result<Verified, Refused> {
    match (preset.adapter, &preset.confirm) {
        (Some(adapter), _) => {
            let verified = twocheckout::take(adapter, credentials, request)?;
            verified.events.iter().try_for_each(|event| preset.fits_mode(&event.facts, credentials))?;
            Ok(verified)
        }
        (None, None) => by_data(preset, credentials, request),
        (None, Some(confirm)) => {
            // What could not be asked is refused while its sender still listens.
            preset.asking(credentials, request, Some("-"))?;
            // So is what is signed by nobody who could be asked about; the signature itself is checked before the question.
            preset.signed(credentials, request)?;
            if confirm.is_fetched() {
                return Ok(Verified { events: Vec::new(), signatures: Algorithms::NONE, receipt: None, unconfirmed: true });
            }
            let claimed = by_data(preset, credentials, request)?;
            Ok(Verified { unconfirmed: !claimed.events.is_empty(), ..claimed })
        }
    }
}

/// What a message says that the gateway was asked about and said yes to; `answer` is what it said, `asked_at` when it was asked.
/// `request` is the message as it came, at the moment when it came.
pub fn confirmed(
    preset: &Preset,
    credentials: Credentials<'_>,
    request: &Request<'_>,
    answer: &[u8],
    asked_at: Timestamp,
) -> Result<Verified, Refused> {
    let is_fetched = preset.confirm.as_ref().is_some_and(Confirm::is_fetched);
    let fetched = Request { method: &http::Method::POST, query: "", body: answer, now: asked_at, ..*request };
    by_data(preset, credentials, if is_fetched { &fetched } else { request })
}

fn by_data(preset: &Preset, credentials: Credentials<'_>, request: &Request<'_>) -> Result<Verified, Refused> {
    let parsed = preset.parse(request)?;
    let mut events = Vec::new();
    let mut is_ignored = false;
    // Where the signature stands in a header it is that of the whole request: one proof is enough, but there must be one
    // before anything is taken, whatever stands before it in the request.
    let signs_each = preset.signs_each_item();
    let mut proved = None;
    let scopes = preset.scopes(&parsed.fields)?;
    let is_several = scopes.len() > 1;
    for (number, scope) in scopes.into_iter().enumerate() {
        let source = Source {
            scope,
            body: parsed.raw,
            timestamp: &[],
            id: &[],
            secret: &[],
            options: credentials.options,
            headers: request.headers,
            url: request.url,
            pairs: None,
            raw: parsed.raw,
            token: &[],
            digest: &[],
        };
        let ignored = preset.is_ignored(&source);
        if !(ignored && preset.ignore.as_ref().is_some_and(|ignore| ignore.unsigned)) {
            // Without signatures it is the gateway's word that proves.
            if !preset.signatures.is_empty() && (proved.is_none() || signs_each) {
                proved = Some(preset.prove(scope, parsed.raw, credentials, request)?);
            }
            preset.settled(scope, credentials)?;
        }
        // The number that was signed, and no other that stands beside it.
        let source = Source { id: proved.and_then(|signature| signature.id_of(request)).unwrap_or_default(), ..source };
        if ignored {
            is_ignored = true;
        } else if let Some(mut reading) = preset.read_order(&source, request.now) {
            // Where messages do not say it themselves, the listener does: it is the one of the sandbox.
            reading.facts.test |= preset.order.test.is_empty() && credentials.options.get(MODE) == Some("test");
            preset.fits_mode(&reading.facts, credentials)?;
            // Nothing has happened that far ahead, and whatever is told later would look late beside it. Some gateways do not sign
            // the moment, so that anybody who has seen a message could write one.
            reading.facts.event_at = reading.facts.event_at.filter(|at| *at <= request.now.plus(AHEAD));
            if is_several && reading.facts.message_id.is_empty() {
                reading.facts.message_id = place_id(parsed.raw, number);
            }
            let outgoing = translate::translate(preset, &reading, request.now).into();
            events.push(Event { facts: reading.facts, outgoing: Some(outgoing), digest: None });
        }
    }
    if events.is_empty() && !is_ignored {
        return Err(Refused::because(RefusalReason::FieldMissing));
    }
    Ok(Verified { events, signatures: Algorithms::NONE, receipt: None, unconfirmed: false })
}

/// What a request is answered with; `None` where the gateway has no answer of its own for the outcome.
pub fn answer(preset: &Preset, outcome: Outcome) -> Option<Acknowledgement> {
    let answers = &preset.answers;
    let stored = || Some(answers.stored.as_ref().map_or_else(Acknowledgement::plain, acknowledgement));
    let own = |answer: &Option<preset::Answer>| answer.as_ref().map(acknowledgement);
    match outcome {
        Outcome::Stored => stored(),
        Outcome::Repeated => own(&answers.repeated).or_else(stored),
        Outcome::Differs => own(&answers.differs).or_else(stored),
        Outcome::NotStored => own(&answers.failed),
        // It is signed, and about no payment: asking for it again would help nobody.
        Outcome::Refused(RefusalReason::FieldMissing) if preset.adapter.is_none() => stored(),
        Outcome::Refused(
            RefusalReason::NoSignature
            | RefusalReason::RequiredSignatureMissing
            | RefusalReason::WrongSignature
            | RefusalReason::Stale
            | RefusalReason::WrongMerchant
            | RefusalReason::WrongMode
            | RefusalReason::AddressNotAllowed,
        ) => own(&answers.refused),
        Outcome::Refused(RefusalReason::Malformed | RefusalReason::TooManyFields) => own(&answers.malformed),
        Outcome::Refused(_) => None,
    }
}

/// Whether an answer is the gateway's own word for no: some have it said with a status of success.
pub fn is_refusal(preset: &Preset, body: &[u8]) -> bool {
    let answers = &preset.answers;
    let is = |answer: &preset::Answer| answer.body.as_bytes() == body;
    let taken = [&answers.stored, &answers.repeated];
    let not_taken = [&answers.refused, &answers.malformed, &answers.failed];
    not_taken.into_iter().flatten().any(is) && !taken.into_iter().flatten().any(is)
}

fn acknowledgement(answer: &preset::Answer) -> Acknowledgement {
    Acknowledgement { status: answer.status, content_type: answer.content_type.clone().into(), body: answer.body.clone() }
}

/// JSON without white space between its values, in received order and otherwise as it was written; `None` where it is none.
pub fn compact_json(body: &[u8]) -> Option<Vec<u8>> {
    let mut compact = Vec::with_capacity(body.len());
    json::Json::parse(body).ok()?.write(&mut compact, false);
    Some(compact)
}

/// The values of a JSON message with the paths that lead to them; `None` where it is no JSON.
pub fn json_fields(body: &[u8]) -> Option<Vec<(String, String)>> {
    fn walk(at: &str, value: &json::Json<'_>, found: &mut Vec<(String, String)>) {
        match value {
            json::Json::Object(members) => {
                for (name, value) in members {
                    let path = if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
                    walk(&path, value, found);
                }
            }
            json::Json::List(items) => {
                for (number, value) in items.iter().enumerate() {
                    walk(&format!("{at}[{number}]"), value, found);
                }
            }
            value => found.push((at.to_owned(), value.text().unwrap_or_default().to_owned())),
        }
    }
    let root = json::Json::parse(body).ok()?;
    let mut found = Vec::new();
    walk("", &root, &mut found);
    Some(found)
}

/// The number of a message that has none of its own and shares its request with others: what the request is, and the place in
/// it. The bytes alone would make all messages of a request the same one, and all but the first would be lost as its repeats.
fn place_id(body: &[u8], number: usize) -> CompactString {
    format_compact!("{}-{}", hex::encode(&Sha256::digest(body)[..16]), number + 1)
}

/// A text as lists show it.
pub fn shown(text: &str) -> CompactString {
    let text = text.trim();
    // As nearly all are.
    if text.len() <= SHOWN_CHARS && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into();
    }
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN_CHARS).collect()
}

/// A text in lower case; nothing is copied where it is already.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) { text.into() } else { text.to_lowercase().into() }
}

/// What things are told apart by: where it is too long to show, its beginning and a digest of all of it.
pub fn reference(text: &str) -> CompactString {
    let text = text.trim();
    let short = shown(text);
    if text.len() == short.len() {
        return short;
    }
    let digest = hex::encode(&Sha256::digest(text.as_bytes())[..8]);
    format_compact!("{}…{digest}", short.chars().take(SHOWN_CHARS - 17).collect::<CompactString>())
}
