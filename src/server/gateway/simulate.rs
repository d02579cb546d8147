//! Messages as a gateway would send them, signed with a listener's own secret: for `quittance simulate`, the panel's simulator
//! and tests.

use super::{
    Adapter, Case, Event, Preset,
    crypto::KeyForm,
    fields::Scope,
    json::write_text,
    preset::{ADDRESS, BodyForm, Clock, Condition, Origin, Reply, Sample, Signature, Verb, offset},
    template::Source,
};
use crate::domain::{Algorithm, Fault, GatewayOptions, Money, OrderStatus, Timestamp};
use crate::server::ipn::{Form, signature};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{fmt::strtime, tz::TimeZone};
use std::{collections::BTreeMap, time::Duration};

/// What the message should say.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    pub status: OrderStatus,
    /// The order's number.
    pub reference: &'a str,
    pub amount: Money,
    pub email: &'a str,
    /// Where it is posted to, as the gateway knows the address.
    pub address: &'a str,
    pub now: Timestamp,
    /// Makes the message one of its own; digits.
    pub number: u64,
    /// Marked as a test, where the gateway marks tests in its messages.
    pub test: bool,
    /// What is wrong with it.
    pub fault: Option<Fault>,
}

/// A request to make.
#[derive(Debug, Clone)]
pub struct Posted {
    pub method: Method,
    /// What follows the question mark.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Why there is no such message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    #[error("{gateway} has no message for the status {status:?}; it has {known}")]
    NoCase { gateway: String, status: &'static str, known: String },
    #[error("{0} cannot be simulated: only its sender has the key that signs")]
    NoKey(String),
    #[error("the sample of {gateway} is wrong: {reason}")]
    Sample { gateway: String, reason: String },
}

const SIGNATURE: &str = "%signature%";
/// A message that is too old is older than what is allowed by this.
const TOO_OLD_BY: u32 = 60;
/// What the sender's address of a simulated message ends in. No address of a real sender does.
const MARK: &str = " (simulated)";

/// The sender of a simulated message, as it is kept with it.
pub fn marked(sender: &str) -> String {
    format!("{sender}{MARK}")
}

/// Whether the sender that is kept with a message says that it was simulated.
pub fn is_marked(sender: &str) -> bool {
    sender.ends_with(MARK)
}

/// Makes what a simulated message told a test, whatever it says itself: in what is kept of it and in what leaves. `body` is what came.
pub fn as_test(event: &mut Event, body: &[u8]) {
    event.facts.test = true;
    let Ok(mut form) = Form::parse(event.outgoing.as_deref().unwrap_or(body)) else { return };
    // The second is what notices of licences call it.
    let says = |name: &[u8]| name == b"TEST_ORDER" || name == b"TEST";
    let Some(field) = form.fields.iter_mut().find(|field| says(&field.name) && *field.value != *b"1") else { return };
    field.value = b"1"[..].into();
    let marked = form.encode();
    event.outgoing = Some(marked.into());
}

/// Whether a gateway's messages say themselves whether they are tests.
pub fn marks_tests(preset: &Preset) -> bool {
    preset.adapter.is_some() || !preset.sample.mode.is_empty()
}

/// What a message of a gateway can have wrong with it.
pub fn faults(preset: &Preset, options: &GatewayOptions) -> Vec<Fault> {
    let is_signed = preset.adapter.is_some() || !preset.signatures.is_empty();
    let can_be = |fault: &Fault| match fault {
        Fault::WrongSignature | Fault::NoSignature => is_signed,
        Fault::Stale => preset.signatures.iter().any(|signature| signature.tolerance.is_some()),
        Fault::Repeated => true,
        Fault::OtherAmount => preset.adapter == Some(Adapter::TwoCheckout) || preset.order.amount.is_some(),
        Fault::WrongPassword => options.get(super::access::BASIC_USER).is_some(),
    };
    Fault::ALL.into_iter().filter(can_be).collect()
}

/// The statuses that a gateway has messages for.
pub fn statuses(preset: &Preset) -> Vec<OrderStatus> {
    match preset.adapter {
        Some(Adapter::TwoCheckout) => vec![
            OrderStatus::Pending,
            OrderStatus::Authorized,
            OrderStatus::Paid,
            OrderStatus::Refunded,
            OrderStatus::Reversed,
            OrderStatus::Cancelled,
            OrderStatus::Failed,
        ],
        Some(Adapter::TwoCheckoutLicence) => vec![OrderStatus::Unmapped],
        None => {
            let mut statuses: Vec<_> = preset.sample.case.iter().map(|case| case.status).collect();
            let mut seen = Vec::new();
            statuses.retain(|status| {
                !seen.contains(status) && {
                    seen.push(*status);
                    true
                }
            });
            statuses
        }
    }
}

/// The currency that a gateway's messages are in where nobody says another.
pub fn currency(preset: &Preset) -> &str {
    if preset.sample.currency.is_empty() { "USD" } else { &preset.sample.currency }
}

/// A secret of the form that a gateway's have, for trials.
pub fn trial_secret(preset: &Preset) -> String {
    match preset.signatures.iter().find(|signature| signature.only_with.is_none()).map(|signature| signature.key) {
        Some(KeyForm::Hex) => "44782def547aaa06c910c43932b1eb0c71fc68d9d0c057550c48ec2acf6ba056".to_owned(),
        Some(KeyForm::Base64) => "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
        Some(KeyForm::Text) | None => "trial-secret".to_owned(),
    }
}

/// Something for every option that a gateway needs, for trials.
pub fn trial_options(preset: &Preset) -> GatewayOptions {
    let needed = preset.options.iter().filter(|option| option.required);
    GatewayOptions(needed.map(|option| (option.name.clone(), "trial-option".to_owned())).collect())
}

/// Makes a message and signs it.
pub fn sign(preset: &Preset, secret: &[u8], options: &GatewayOptions, wish: &Wish<'_>) -> Result<Posted, SimulateError> {
    if let Some(adapter) = preset.adapter {
        return Ok(adapted(adapter, secret, wish));
    }
    let gateway = || preset.label.clone();
    let case = preset.sample.case.iter().find(|case| case.status == wish.status).ok_or_else(|| SimulateError::NoCase {
        gateway: gateway(),
        status: wish.status.code(),
        known: statuses(preset).iter().map(|status| status.code()).collect::<Vec<_>>().join(", "),
    })?;
    sign_case(preset, case, secret, options, wish)
}

/// Makes one of a gateway's samples and signs it: of several with the same status, which differ in the gateway's words.
pub fn sign_case(
    preset: &Preset,
    case: &Case,
    secret: &[u8],
    options: &GatewayOptions,
    wish: &Wish<'_>,
) -> Result<Posted, SimulateError> {
    let gateway = || preset.label.clone();
    let wrong = |reason: &str| SimulateError::Sample { gateway: gateway(), reason: reason.to_owned() };
    let text = case.body.as_deref().unwrap_or(&preset.sample.body);
    let values = values(preset, &case.values, options, wish);
    let is_form = written_as(preset) == BodyForm::Form;
    let unsigned = fill(text, &values, is_form);
    let fits = |signature: &&Signature| {
        let stands_there = match &signature.from {
            Origin::Header(_) => true,
            Origin::Field(path) => path.to_string().rsplit('.').next().is_some_and(|name| text.contains(name)),
        };
        stands_there && signature.only_with.as_ref().is_none_or(|prefix| secret.starts_with(prefix.as_bytes()))
    };
    let is_get = preset.method != Verb::Post;
    if preset.signatures.is_empty() {
        let bare = put_signature(&unsigned, "", is_form);
        let headers = headers(&preset.sample, &values, is_form)?;
        let mut posted = Posted { method: Method::POST, query: String::new(), headers, body: Vec::new() };
        posted.place(false, &bare);
        return Ok(posted);
    }
    let signature = preset.signatures.iter().find(fits).ok_or_else(|| wrong("no signature goes with this secret"))?;

    let mut posted = Posted {
        method: if is_get { Method::GET } else { Method::POST },
        query: String::new(),
        headers: headers(&preset.sample, &values, is_form)?,
        body: Vec::new(),
    };
    let signed_at = match (wish.fault, signature.tolerance) {
        (Some(Fault::Stale), Some(tolerance)) => wish.now.minus(Duration::from_secs(u64::from(tolerance + TOO_OLD_BY))),
        _ => wish.now,
    };
    let (time, id) = (super::preset::now_text(signed_at), format!("msg_{}", wish.number));
    for (origin, value) in [(&signature.timestamp, &time), (&signature.id, &id)] {
        if let Some(Origin::Header(name)) = origin {
            put(&mut posted.headers, name, value);
        }
    }
    let bare = put_signature(&unsigned, "", is_form);
    posted.place(is_get, &bare);
    let made = make(preset, signature, secret, options, wish, &posted, &time, &id)
        .ok_or_else(|| wrong("its message cannot be read"))?
        .ok_or_else(|| SimulateError::NoKey(gateway()))?;
    let made = match wish.fault {
        Some(Fault::NoSignature) => return Ok(posted),
        Some(Fault::WrongSignature) => spoilt(&made),
        _ => made,
    };
    match &signature.from {
        Origin::Field(_) => {
            let whole = put_signature(&unsigned, &made, is_form);
            posted.place(is_get, &whole);
        }
        Origin::Header(name) => {
            let text = match &signature.list {
                Some(list) => {
                    let time = list.time.as_ref().map(|name| format!("{name}{}{time}{}", list.assign, list.separator));
                    format!("{}{}{}{}{made}", time.unwrap_or_default(), list.name, list.assign, signature.prefix)
                }
                None => format!("{}{made}", signature.prefix),
            };
            put(&mut posted.headers, name, &text);
        }
    }
    Ok(posted)
}

/// Another signature of the same length and the same letters.
fn spoilt(made: &str) -> String {
    let other = if made.starts_with('0') { "1" } else { "0" };
    format!("{other}{}", made.get(1..).unwrap_or_default())
}

/// What the gateway would answer when it is asked about this message; `None` where it is not asked.
pub fn answer(preset: &Preset, options: &GatewayOptions, wish: &Wish<'_>) -> Option<String> {
    let case = preset.sample.case.iter().find(|case| case.status == wish.status)?;
    answer_case(preset, case, options, wish)
}

/// The same about one of its samples.
pub fn answer_case(preset: &Preset, case: &Case, options: &GatewayOptions, wish: &Wish<'_>) -> Option<String> {
    let confirm = preset.confirm.as_ref()?;
    if !confirm.is_fetched() {
        return Some(match confirm.yes.first()? {
            Reply::Text(text) => text.clone(),
            Reply::Field(Condition { origin: Origin::Field(path), value }) => {
                path.to_string().rsplit('.').fold(format!("\"{value}\""), |inner, name| format!("{{\"{name}\":{inner}}}"))
            }
            Reply::Field(_) => return None,
        });
    }
    let values = values(preset, &case.values, options, wish);
    Some(fill(case.answer.as_deref().unwrap_or(&preset.sample.answer), &values, false))
}

/// What a message is written in.
fn written_as(preset: &Preset) -> BodyForm {
    preset.confirm.as_ref().and_then(|confirm| confirm.ring).unwrap_or(preset.body)
}

impl Posted {
    fn place(&mut self, is_get: bool, text: &str) {
        if is_get {
            self.query = text.to_owned();
        } else {
            self.body = text.as_bytes().to_vec();
        }
    }
}

/// The signature; `None` outside where the message cannot be read, inside where the key is not ours.
#[expect(clippy::too_many_arguments, reason = "everything that a signature runs over")]
fn make(
    preset: &Preset,
    signature: &Signature,
    secret: &[u8],
    options: &GatewayOptions,
    wish: &Wish<'_>,
    posted: &Posted,
    time: &str,
    id: &str,
) -> Option<Option<String>> {
    let request = super::Request {
        method: &posted.method,
        query: &posted.query,
        headers: &posted.headers,
        body: &posted.body,
        url: [wish.address, ""],
        now: wish.now,
        date: "",
    };
    let parsed = preset.parse(&request).ok()?;
    let scope: Scope<'_, '_> = preset.scopes(&parsed.fields).ok()?.into_iter().next()?;
    let message = signature.message.fill(&Source {
        scope,
        body: &posted.body,
        timestamp: time.as_bytes(),
        id: id.as_bytes(),
        secret,
        options,
        headers: &posted.headers,
        url: options.get(ADDRESS).map_or([wish.address, ""], |address| [address, ""]),
        pairs: signature.pairs.as_ref(),
        raw: parsed.raw,
        token: &[],
        digest: &[],
    });
    let key = signature.key_of(secret).ok()?;
    // A public key signs nothing.
    if signature.only_with.is_some() && signature.method.contains(&super::crypto::Method::Ed25519) {
        return Some(None);
    }
    let made = signature.method.first()?.sign(&key, &message)?;
    let text = signature.encoding.write(&made);
    Some(Some(if signature.upper { text.to_ascii_uppercase() } else { text }))
}

fn headers(sample: &Sample, values: &BTreeMap<String, String>, is_form: bool) -> Result<HeaderMap, SimulateError> {
    let mut headers = HeaderMap::new();
    let kind = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
    put(&mut headers, "content-type", kind);
    for (name, value) in &sample.headers {
        put(&mut headers, &name.to_ascii_lowercase(), &replace(value, values, false));
    }
    Ok(headers)
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// What stands for the places of a sample.
fn values(
    preset: &Preset,
    case: &BTreeMap<String, String>,
    options: &GatewayOptions,
    wish: &Wish<'_>,
) -> BTreeMap<String, String> {
    let exponent = wish.amount.currency.exponent();
    let factor = 10i64.pow(exponent);
    let digits = preset.order.amount.as_ref().and_then(|amount| amount.digits.get(wish.amount.currency.code()));
    let counted = |minor: i64| minor.saturating_mul(10i64.pow(digits.copied().unwrap_or(exponent))).div_euclid(factor);
    let mut values = BTreeMap::from([
        ("reference".to_owned(), wish.reference.to_owned()),
        ("minor".to_owned(), counted(wish.amount.minor).to_string()),
        ("part".to_owned(), counted(wish.amount.minor.div_euclid(2)).to_string()),
        ("part-decimal".to_owned(), Money { minor: wish.amount.minor.div_euclid(2), ..wish.amount }.decimal()),
        ("decimal".to_owned(), wish.amount.decimal()),
        ("hundredths".to_owned(), wish.amount.minor.saturating_mul(100).div_euclid(factor).to_string()),
        ("currency".to_owned(), wish.amount.currency.code().to_owned()),
        ("email".to_owned(), wish.email.to_owned()),
        ("unix".to_owned(), super::preset::now_text(wish.now)),
        ("unix-millis".to_owned(), wish.now.millis().to_string()),
        ("iso".to_owned(), moment(wish.now, "%Y-%m-%dT%H:%M:%SZ", None)),
        ("id".to_owned(), wish.number.to_string()),
        ("address".to_owned(), wish.address.to_owned()),
    ]);
    for (name, [live, test]) in &preset.sample.mode {
        values.insert(name.clone(), if wish.test { test.clone() } else { live.clone() });
    }
    if let Some(at) = &preset.order.at
        && let Clock::Civil(form) = &at.form
    {
        let form = form.strip_suffix(" %Z").map_or_else(|| form.clone(), |form| format!("{form} UTC"));
        values.insert("at".to_owned(), moment(wish.now, &form, at.offset.as_deref()));
    }
    if let Some(host) = preset.chain.as_ref().and_then(|chain| chain.hosts(options).first().copied()) {
        values.insert("certificate-host".to_owned(), host.to_owned());
    }
    for option in &preset.options {
        let value = options.get(&option.name).unwrap_or_default();
        values.insert(format!("option.{}", option.name), value.to_owned());
    }
    let case: Vec<_> = case.iter().map(|(name, value)| (name.clone(), replace(value, &values, false))).collect();
    values.extend(case);
    values
}

fn moment(at: Timestamp, form: &str, told_offset: Option<&str>) -> String {
    let zone = told_offset.and_then(offset).map_or(TimeZone::UTC, TimeZone::fixed);
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok();
    at.and_then(|at| strtime::format(form, &at.to_zoned(zone)).ok()).unwrap_or_default()
}

fn replace(text: &str, values: &BTreeMap<String, String>, as_json: bool) -> String {
    let mut out = text.to_owned();
    for (name, value) in values {
        let place = format!("%{name}%");
        if out.contains(&place) {
            let mut written = Vec::new();
            write_text(value, &mut written);
            let escaped = String::from_utf8_lossy(&written[1..written.len() - 1]).into_owned();
            out = out.replace(&place, if as_json { &escaped } else { value });
        }
    }
    out
}

/// The message without its signature: JSON, or the lines of a form.
fn fill(text: &str, values: &BTreeMap<String, String>, is_form: bool) -> String {
    replace(text, values, !is_form)
}

/// Puts the signature into its place; of a form its field is left out where there is none yet.
fn put_signature(text: &str, signature: &str, is_form: bool) -> String {
    if !is_form {
        return text.replace(SIGNATURE, signature);
    }
    let mut form = Form::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if value == SIGNATURE && signature.is_empty() {
            continue;
        }
        form.push(name.trim().as_bytes().to_vec(), value.replace(SIGNATURE, signature).into_bytes());
    }
    String::from_utf8_lossy(&form.encode()).into_owned()
}

fn adapted(adapter: Adapter, secret: &[u8], wish: &Wish<'_>) -> Posted {
    let date = moment(wish.now, "%Y%m%d%H%M%S", None);
    // What is given back has a minus sign; of a part it is half.
    let total = match wish.status {
        OrderStatus::Refunded => Money { minor: -wish.amount.minor, ..wish.amount },
        OrderStatus::PartiallyRefunded => Money { minor: -(wish.amount.minor / 2), ..wish.amount },
        _ => wish.amount,
    };
    let total = total.decimal();
    let number = wish.number.to_string();
    let test = if wish.test { "1" } else { "0" };
    let mut form = Form::default();
    let fields: &[(&str, &str)] = match adapter {
        Adapter::TwoCheckout => &[
            ("REFNO", wish.reference),
            ("REFNOEXT", ""),
            ("ORDERSTATUS", super::translate::order_status(wish.status)),
            ("PAYMETHOD", "Visa/MasterCard"),
            ("FIRSTNAME", "Ana"),
            ("LASTNAME", "Buyer"),
            ("CUSTOMEREMAIL", wish.email),
            ("CURRENCY", wish.amount.currency.code()),
            ("IPN_PID[]", "1"),
            ("IPN_PNAME[]", "Software program"),
            ("MESSAGE_ID", &number),
            ("IPN_TOTALGENERAL", &total),
            ("TEST_ORDER", test),
            ("IPN_DATE", &date),
        ],
        Adapter::TwoCheckoutLicence => &[
            ("FIRST_NAME", "Ana"),
            ("LAST_NAME", "Buyer"),
            ("EMAIL", wish.email),
            ("LICENSE_CODE", wish.reference),
            ("EXPIRATION_DATE", "2027-03-03"),
            ("TEST", test),
            ("DATE_UPDATED", &date),
            ("STATUS", "ACTIVE"),
            ("DISPATCH_REASON", "LICENCE_CHANGE"),
        ],
    };
    for (name, value) in fields {
        form.push(name.as_bytes(), value.as_bytes().to_vec());
    }
    let source = signature::source(&form.fields);
    let mut headers = HeaderMap::new();
    put(&mut headers, "content-type", "application/x-www-form-urlencoded");
    let signed = if wish.fault == Some(Fault::NoSignature) { &[][..] } else { &Algorithm::ALL };
    for algorithm in signed {
        let made = signature::sign(*algorithm, secret, &source);
        let made = if wish.fault == Some(Fault::WrongSignature) { spoilt(&made) } else { made };
        form.push(algorithm.field().as_bytes(), made.into_bytes());
    }
    Posted { method: Method::POST, query: String::new(), headers, body: form.encode() }
}
