//! One attempt, from the job to the record of it.

use super::{
    client::{Client, Exchange, Outbound, Target},
    format::{Keys, Letter, Material, Proof, letter},
    keys::{Guesses, Signing},
    needs::{Courier, Table},
    plan,
    schedule::{Ended, Places, Signal},
    sign::Outgoing,
    status,
    unread::Unread,
    verdict::{AnswerView, Expectation, MadeWith, Verdict, judge},
};
use crate::domain::{
    Cause, Format, Timestamp,
    attempt::{Origin, VerdictDetail},
    id::{DeliveryId, NotificationId, UrlId},
};
use crate::server::{
    clock::Clock,
    store::{AttemptRecord, Directory, Job, Merchant, Next, NotificationUrl, OwnHeader, Secret, Store, StoreError},
    telemetry::Metrics,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Version, header};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Of an answer as much is kept.
pub const KEPT_ANSWER: usize = 64 << 10;
/// How requests introduce themselves.
pub const USER_AGENT: &str = concat!("Quittance/", env!("CARGO_PKG_VERSION"), " (payment notifications)");
/// See `Exchange::again`.
const SENT_AGAIN: &str = "A connection that was kept from before broke, so the request was sent again over a new one: the script may have seen it twice.";

/// What attempts need.
pub struct Workshop<T = Store, C = Client> {
    pub store: T,
    pub client: Arc<C>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
    pub places: Places,
    pub certificates: Certificates,
    /// Which key the scripts of URLs seem to have, while a merchant's key is changed.
    pub guesses: Guesses,
    pub unread: Unread,
}

/// When the certificates end that URLs' servers showed, as this process has noted it: they are written when they change.
#[derive(Default)]
pub struct Certificates(Mutex<HashMap<UrlId, (String, Timestamp)>>);

impl Certificates {
    /// Whether this is news.
    fn is_new(&self, url: &NotificationUrl, ends_at: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&url.id).is_none_or(|(address, known)| *address != url.url || *known != ends_at)
    }

    fn keep(&self, url: &NotificationUrl, ends_at: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(url.id, (url.url.clone(), ends_at));
    }
}

/// What came of an attempt: for the store, and for the scheduler.
#[derive(Debug, Clone)]
pub struct Attempted {
    pub record: AttemptRecord,
    pub ended: Ended,
    /// It went to an address of its own, so it says nothing of the URL as it is set.
    pub elsewhere: bool,
    /// The URL's script answered with the new key, which was not known of it.
    pub has_new_key: bool,
}

/// How the turn of a delivery ended.
pub enum Turn {
    Attempted(Box<Attempted>),
    /// No attempt was made; where it is still open, it has another turn.
    Passed,
    /// It was cancelled, or is not open for another reason.
    Withdrawn,
}

impl<T: Table, C: Courier> Workshop<T, C> {
    /// The turn of a delivery. One of a bulk resend, or one that is older than the last list that was cancelled, may have been
    /// cancelled while it stood in memory; for all others nothing is asked.
    pub async fn turn(&self, job: &Job, directory: &Directory) -> Turn {
        let is_old = || directory.merchant(job.merchant_id).is_some_and(|it| job.delivery_id < it.cancelled_before);
        if job.origin == Origin::Bulk || is_old() {
            match self.store.is_open(job.delivery_id).await {
                Ok(true) => {}
                Ok(false) => return Turn::Withdrawn,
                Err(error) => {
                    self.unread.tell("whether a delivery was cancelled", &error);
                    return Turn::Passed;
                }
            }
        }
        match self.attempt(job, directory).await {
            Some(attempted) => Turn::Attempted(Box::new(attempted)),
            None => Turn::Passed,
        }
    }

    /// Makes one attempt. `None` where there is nothing to do any more (the URL is gone or was put on hold, or
    /// another node makes it), and where the message cannot be read at the moment, which is no reason to give it up.
    pub async fn attempt(&self, job: &Job, directory: &Directory) -> Option<Attempted> {
        let url = directory.url(job.url_id)?.clone();
        let merchant = directory.merchant(job.merchant_id)?.clone();
        if url.held && job.origin != Origin::Debug {
            return None;
        }
        let address = self.own_address(job).await?;
        // To read that may have taken its time, and somebody may have put the URL on hold meanwhile.
        let is_off = || self.store.directory().borrow().url(job.url_id).is_none_or(|url| url.held);
        if job.origin == Origin::Resend && is_off() {
            return None;
        }
        if !self.store.serves(job).await {
            return None;
        }
        let elsewhere = address.is_some();
        let url = address.map_or(url.clone(), |address| Arc::new(at_address(&url, address)));
        let material = match &job.body {
            _ if Material::must_be_whole(url.terms.format) => self.original(job).await?,
            Some(body) => Material::Leaves(body.clone()),
            None => Material::Leaves(self.received(job).await?),
        };
        let _on_its_way = self.metrics.in_flight();
        let started_at = self.clock.now();
        let mut record = AttemptRecord {
            delivery_id: job.delivery_id,
            merchant_id: job.merchant_id,
            order_id: job.order_id,
            url_id: job.url_id,
            started_at,
            finished_at: started_at,
            // Not later than now: it was noted while the clock was ahead.
            window_from: job.window_from.map_or(started_at, |from| from.min(started_at)),
            address: None,
            status: None,
            cause: None,
            detail: Default::default(),
            timings: Default::default(),
            request_head: String::new(),
            request_body: Bytes::new(),
            answer_head: String::new(),
            answer_body: Bytes::new(),
            shadow: url.terms.shadow,
            next: Next::Confirmed,
        };
        let mut not_before = None;
        let signing = Signing::choose(&merchant, &url, &self.guesses, started_at);
        let numbers = Numbers { delivery_id: job.delivery_id, notification_id: job.notification_id, attempt: job.attempts + 1 };
        let mut format = url.terms.format;
        let mut stopped = false;
        let verdict = match outgoing(&material, &url, &merchant, signing.keys(), numbers, started_at) {
            Ok((target, letter)) => {
                format = letter.format;
                let (proof, note) = (letter.proof.clone(), letter.note);
                let outbound = outbound(numbers, &target, &url, letter);
                record.request_body = outbound.body.clone();
                let mut exchange = self.client.send(&outbound).await;
                if let Some(failure) = exchange.failure.as_ref().filter(|failure| failure.is_ours) {
                    self.unread.tell_untried(&failure.note);
                    return None;
                }
                stopped = exchange.failure.is_some() && exchange.answer.status != 0;
                record.request_head = outbound.head(exchange.version);
                let mut verdict = self.judge(&exchange, &proof, &url, &merchant, signing.old_key(), directory);
                // Only who answers with a receipt shows which key he has.
                if matches!(proof, Proof::Receipt(_)) && !elsewhere {
                    signing.learn(&self.guesses, url.id, &mut verdict);
                }
                verdict.detail.add(note);
                if exchange.again {
                    verdict.detail.add(SENT_AGAIN);
                }
                if verdict.cause.is_some() {
                    // Neither keeps what comes later from being sent.
                    let stops = job.origin != Origin::Debug && !elsewhere;
                    not_before = self.told(&exchange, &mut verdict, stops);
                }
                let ends_at = exchange.certificate_ends_at.filter(|_| !elsewhere);
                if let Some(ends_at) = ends_at.filter(|ends_at| self.certificates.is_new(&url, *ends_at)) {
                    // What cannot be written is noted with the next connection.
                    match self.store.note_certificate(url.id, url.url.clone(), ends_at).await {
                        Ok(()) => self.certificates.keep(&url, ends_at),
                        Err(error) => tracing::debug!(%error, url.id = %url.id, "a certificate could not be noted"),
                    }
                }
                verdict.detail.compression = std::mem::take(&mut exchange.answer.compression);
                keep(exchange, &mut record);
                verdict
            }
            Err((cause, note)) => Verdict::failed(cause, note),
        };
        record.finished_at = self.clock.now();
        // Where the clock was set back meanwhile, what comes next is planned by that of now.
        record.started_at = record.started_at.min(record.finished_at);
        record.window_from = record.window_from.min(record.started_at);
        record.cause = verdict.cause;
        if !record.shadow {
            self.metrics.attempted(record.cause);
        }
        let made_with = verdict.made_with;
        let key = Secret::new(signing.key()).fingerprint();
        let kept = VerdictDetail { url: url.url.clone(), key, format, ..verdict.detail };
        record.detail = kept.bounded();
        record.next = match (record.cause, job.origin) {
            (None, _) => Next::Confirmed,
            (Some(_), Origin::Debug) => Next::Closed,
            (Some(Cause::MessageGone), _) => Next::Expired,
            (Some(_), _) => {
                let made = (record.started_at, record.finished_at);
                let next = plan::next_attempt(&url.terms.retries, record.window_from, job.delivery_id, made, not_before);
                next.map_or(Next::Expired, Next::Retry)
            }
        };
        let ended = if elsewhere {
            Ended { signal: Signal::Unknown, not_before: None }
        } else {
            // A page that drips or breaks off occupies its place, whatever its status.
            let signal = if stopped && record.cause.is_some() { Signal::Down } else { Signal::of(record.cause) };
            Ended { signal, not_before }
        };
        let is_changing = signing.old_key().is_some() && url.new_key_at.is_none();
        let has_new_key = is_changing && made_with == Some(MadeWith::New) && !elsewhere;
        Some(Attempted { record, ended, elsewhere, has_new_key })
    }

    /// The moment that a server named before which it does not want to be asked, where it may name one.
    fn told(&self, exchange: &Exchange, verdict: &mut Verdict, stops: bool) -> Option<Timestamp> {
        let text = exchange.answer.retry_after.as_deref().filter(|_| matches!(exchange.answer.status, 429 | 503))?;
        let now = self.clock.now();
        let until = plan::told(text, now)?;
        let seconds = until.since(now).as_secs();
        verdict.detail.add(&if stops {
            format!("It asks to be left alone for a while: nothing is sent for {seconds} seconds.")
        } else {
            format!("It asks to be left alone for {seconds} seconds.")
        });
        Some(until)
    }

    /// The address that a person had a delivery sent to in the place of its URL's own. The outer `None`: that is not known at
    /// the moment. All others go to the URL as it is set, and nothing is asked for them.
    #[allow(clippy::option_option, reason = "not to know is another thing than to know that there is none")]
    async fn own_address(&self, job: &Job) -> Option<Option<String>> {
        if !matches!(job.origin, Origin::Resend | Origin::Debug) {
            return Some(None);
        }
        match self.store.address_of(job.delivery_id).await {
            Ok(address) => Some(address),
            Err(error) => {
                self.unread.tell("where a delivery goes", &error);
                None
            }
        }
    }

    /// The message of a delivery, from the table. It may be announced, and its bytes dropped for want of room, a moment
    /// before it stands there.
    async fn received(&self, job: &Job) -> Option<Bytes> {
        let read = async {
            let mut found = self.store.bodies(&[job.notification_id]).await?;
            if found.is_empty() {
                let settled = self.store.settled().await;
                found = self.store.bodies(&[job.notification_id]).await?;
                if found.is_empty() {
                    settled?;
                }
            }
            Ok::<_, StoreError>(found.remove(&job.notification_id))
        };
        match read.await {
            Ok(Some(body)) => return Some(body),
            Ok(None) => {
                tracing::error!(delivery.id = %job.delivery_id, "the message of a delivery is missing; run `quittance doctor`")
            }
            Err(error) => self.unread.tell("the message of a delivery", &error),
        }
        None
    }

    /// The whole message of a delivery, from the table. See [`Self::received`].
    async fn original(&self, job: &Job) -> Option<Material> {
        let read = async {
            if let Some(found) = self.store.original(job.notification_id).await? {
                return Ok(Some(found));
            }
            let settled = self.store.settled().await;
            let found = self.store.original(job.notification_id).await?;
            if found.is_none() {
                settled?;
            }
            Ok::<_, StoreError>(found)
        };
        match read.await {
            Ok(Some(original)) => return Some(Material::Whole(Box::new(original))),
            Ok(None) => {
                tracing::error!(delivery.id = %job.delivery_id, "the message of a delivery is missing; run `quittance doctor`")
            }
            Err(error) => self.unread.tell("the message of a delivery", &error),
        }
        None
    }

    fn judge(
        &self,
        exchange: &Exchange,
        proof: &Proof,
        url: &NotificationUrl,
        merchant: &Merchant,
        old_key: Option<&[u8]>,
        directory: &Directory,
    ) -> Verdict {
        let answer = &exchange.answer;
        let view = AnswerView {
            status: answer.status,
            location: answer.location.as_deref(),
            body: &answer.body,
            truncated: answer.truncated,
        };
        let judged = match proof {
            Proof::Receipt(outgoing) => {
                let other_keys = other_keys(merchant, directory);
                judge(&view, &expectation(outgoing, url, merchant, old_key, &other_keys))
            }
            Proof::Status(facts) => {
                let listeners = directory.listeners_of(merchant.id);
                let own = [Some(merchant.secret_key.reveal()), old_key].into_iter().flatten();
                let receipt = facts.as_ref().map(|facts| status::Receipt {
                    facts,
                    keys: own.chain(listeners.iter().map(|listener| listener.secret.reveal())).collect(),
                });
                status::judge(&view, receipt.as_ref())
            }
        };
        match &exchange.failure {
            // What the status says is clear, whatever was to follow.
            Some(_) if judged.cause.is_some() && answer.status >= 300 => {
                let mut judged = judged;
                judged.detail.add(&format!("The answer broke off or stopped after {} bytes.", answer.body.len()));
                judged
            }
            // Cut off or too slow at the end: what came before may confirm it all the same.
            Some(failure) if judged.cause.is_some() => Verdict::failed(failure.cause, failure.note.clone()),
            _ => judged,
        }
    }
}

/// Keys that a script may have by mistake, each with what it is.
pub fn other_keys(merchant: &Merchant, directory: &Directory) -> Vec<(String, Vec<u8>)> {
    let before = merchant
        .old_key
        .as_ref()
        .map(|old| ("your secret key before the last change, which is not valid any more".to_owned(), old.key.reveal().to_vec()));
    let listeners = directory
        .listeners_of(merchant.id)
        .into_iter()
        .map(|listener| (format!("the gateway's secret key (listener {:?})", listener.label), listener.secret.reveal().to_vec()));
    before.into_iter().chain(listeners).collect()
}

fn expectation<'a>(
    outgoing: &'a Outgoing,
    url: &NotificationUrl,
    merchant: &'a Merchant,
    old_key: Option<&'a [u8]>,
    other_keys: &'a [(String, Vec<u8>)],
) -> Expectation<'a> {
    Expectation {
        receipt: &outgoing.receipt,
        key: merchant.secret_key.reveal(),
        old_key,
        algorithms: url.algorithms,
        signatures: &outgoing.signatures,
        body: &outgoing.body,
        other_keys,
    }
}

/// The message in the form of the URL, and where it goes.
fn outgoing(
    material: &Material,
    url: &NotificationUrl,
    merchant: &Merchant,
    keys: Keys<'_>,
    numbers: Numbers,
    now: Timestamp,
) -> Result<(Target, Letter), (Cause, String)> {
    let mut target = Target::parse(&url.url).map_err(|note| (Cause::UrlInvalid, note))?;
    let letter = letter(material, url, merchant, keys, numbers.notification_id, now)?;
    if let Some(query) = letter.query.as_deref().filter(|query| !query.is_empty()) {
        target.path.push(if target.path.contains('?') { '&' } else { '?' });
        target.path.push_str(query);
    }
    Ok((target, letter))
}

/// A URL at another address than the one it is set to. Headers that carry secrets are for the server that they were entered
/// for: another one does not get them.
pub fn at_address(url: &NotificationUrl, address: String) -> NotificationUrl {
    let mut url = url.clone();
    let origin = |address: &str| Target::parse(address).ok().map(|target| (target.tls, target.host, target.port));
    if origin(&url.url) != origin(&address) {
        url.headers.retain(|header| !is_secret_header(&header.name));
    }
    url.url = address;
    url
}

/// The headers of a URL's own, ready to be sent. What is no header any more is left out; it was checked when it was entered.
pub fn own_headers(headers: &[OwnHeader]) -> Vec<(HeaderName, HeaderValue)> {
    let own = headers.iter().filter_map(|header| {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_bytes(header.value.reveal()).ok()?;
        value.set_sensitive(is_secret_header(&header.name));
        Some((name, value))
    });
    own.collect()
}

/// Whether the value of a header of this name is nobody's business: it is sent, and shown and kept nowhere.
pub fn is_secret_header(name: &str) -> bool {
    const MARKS: [&str; 9] = ["auth", "token", "key", "secret", "password", "cookie", "signature", "session", "credential"];
    let name = name.to_ascii_lowercase();
    MARKS.iter().any(|mark| name.contains(mark))
}

/// What the request of an attempt names.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    pub delivery_id: DeliveryId,
    pub notification_id: NotificationId,
    /// From 1.
    pub attempt: u32,
}

/// The request that an attempt would send now, as text; over HTTP/1.1, because what a server speaks is not known before.
/// An error tells why nothing could be sent.
pub fn prepared(
    numbers: Numbers,
    material: &Material,
    url: &NotificationUrl,
    merchant: &Merchant,
    now: Timestamp,
) -> Result<Prepared, (Cause, String)> {
    let key = merchant.secret_key.reveal();
    let keys = Keys { chosen: key, new: key, old: merchant.valid_old_key(now).map(|old| old.key.reveal()) };
    let (target, letter) = outgoing(material, url, merchant, keys, numbers, now)?;
    let format = letter.format;
    let outbound = outbound(numbers, &target, url, letter);
    Ok(Prepared { head: outbound.head(Version::HTTP_11), body: outbound.body, format })
}

/// A request as text.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub head: String,
    pub body: Bytes,
    pub format: Format,
}

fn outbound<'a>(numbers: Numbers, target: &'a Target, url: &'a NotificationUrl, letter: Letter) -> Outbound<'a> {
    let text = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    let own = own_headers(&url.headers);
    let mut headers = letter.headers;
    for (name, value) in [
        (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
        (header::ACCEPT, HeaderValue::from_static("*/*")),
        // The same for every attempt, so that a script can tell a repeat.
        (HeaderName::from_static("quittance-delivery"), text(numbers.delivery_id.to_string())),
        (HeaderName::from_static("quittance-notification"), text(numbers.notification_id.to_string())),
        (HeaderName::from_static("quittance-attempt"), text(numbers.attempt.to_string())),
    ] {
        // What is passed through names its own sender.
        if headers.iter().all(|(other, _)| *other != name) {
            headers.push((name, value));
        }
    }
    // A header of the URL's own takes the place of ours.
    headers.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
    headers.extend(own);
    let (authority, timeout) = (url.terms.authority.as_str(), url.terms.timeout);
    Outbound { target, authority, method: letter.method, headers, body: letter.body, timeout }
}

fn keep(exchange: Exchange, record: &mut AttemptRecord) {
    record.address = exchange.address.map(|address| address.to_string());
    record.timings = exchange.timings;
    record.status = Some(exchange.answer.status).filter(|status| *status > 0);
    record.answer_head = exchange.answer.head;
    let body = exchange.answer.body;
    // A copy, so that a record waiting for the disk does not hold an answer of a mebibyte.
    record.answer_body = if body.len() > KEPT_ANSWER { Bytes::copy_from_slice(&body[..KEPT_ANSWER]) } else { body };
}
