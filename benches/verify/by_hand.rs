//! Stripe as a developer would write it by hand for this program: the same outcome as the preset for every message that Stripe
//! sends about a payment, so that the two can be compared.

use hmac::{Hmac, KeyInit as _, Mac as _};
use quittance::{
    domain::{
        Algorithms, Money, OrderStatus, RefusalReason, Timestamp,
        money::Currency,
        order::{OrderFacts, Refund, Refunds},
    },
    server::{
        gateway::{Credentials, Event, MODE, PREVIOUS_SECRET, Refused, Request, Verified, lower, reference, shown},
        ipn::Form,
    },
};
use serde::Deserialize;
use sha2::Sha256;
use std::borrow::Cow;
use subtle::ConstantTimeEq as _;

/// Seconds that a signature is taken for.
const TOLERANCE: u64 = 300;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    livemode: bool,
    created: i64,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Object<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    payment_intent: Option<String>,
    client_reference_id: Option<String>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    customer_details: Option<Person<'a>>,
    #[serde(borrow)]
    billing_details: Option<Person<'a>>,
    receipt_email: Option<String>,
    description: Option<String>,
    amount_total: Option<i64>,
    amount: Option<i64>,
    amount_refunded: Option<i64>,
    currency: Option<String>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    payment_status: Option<String>,
    refunded: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    order_id: Cow<'a, str>,
    #[serde(borrow)]
    reference: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
struct Person<'a> {
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

fn refused(reason: RefusalReason) -> Refused {
    Refused::because(reason)
}

/// Checks a message, and reads it.
pub fn verify(credentials: Credentials<'_>, request: &Request<'_>) -> Result<Verified, Refused> {
    if request.method != http::Method::POST {
        return Err(refused(RefusalReason::WrongMethod));
    }
    let message: Message<'_> = serde_json::from_slice(request.body).map_err(|_| refused(RefusalReason::Malformed))?;
    prove(credentials, request)?;
    let begins = ["checkout.session.", "payment_intent.", "charge."];
    let events = if begins.iter().any(|begin| message.kind.starts_with(begin)) {
        vec![read(&message, credentials, request.now)?]
    } else {
        Vec::new()
    };
    Ok(Verified { events, signatures: Algorithms::NONE, receipt: None, unconfirmed: false })
}

fn prove(credentials: Credentials<'_>, request: &Request<'_>) -> Result<(), Refused> {
    let header = request.headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let header = header.ok_or(refused(RefusalReason::NoSignature))?;
    let (mut time, mut given) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) if given.len() < 8 => given.extend(hex::decode(value)),
            _ => {}
        }
    }
    let Some(time) = time.filter(|_| !given.is_empty()) else { return Err(refused(RefusalReason::Malformed)) };
    let previous = credentials.options.get(PREVIOUS_SECRET).map(str::as_bytes);
    let mut is_right = false;
    for secret in [Some(credentials.secret), previous].into_iter().flatten() {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| refused(RefusalReason::WrongSignature))?;
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(request.body);
        let made = mac.finalize().into_bytes();
        is_right |= given.iter().fold(false, |right, given: &Vec<u8>| right | bool::from(made.as_slice().ct_eq(given)));
    }
    if !is_right {
        return Err(refused(RefusalReason::WrongSignature));
    }
    let told: i64 = time.parse().map_err(|_| refused(RefusalReason::Stale))?;
    let age = (request.now.micros() / 1_000_000).abs_diff(told);
    if age > TOLERANCE { Err(refused(RefusalReason::Stale)) } else { Ok(()) }
}

fn first<'t>(texts: impl IntoIterator<Item = Option<&'t str>>) -> &'t str {
    texts.into_iter().flatten().find(|text| !text.trim().is_empty()).unwrap_or_default()
}

fn read(message: &Message<'_>, credentials: Credentials<'_>, now: Timestamp) -> Result<Event, Refused> {
    let object = &message.data.object;
    let metadata = object.metadata.as_ref();
    let external = reference(first([
        object.client_reference_id.as_deref(),
        metadata.map(|metadata| &*metadata.order_id),
        metadata.map(|metadata| &*metadata.reference),
    ]));
    let named = reference(first([object.payment_intent.as_deref(), Some(&object.id)]));
    let named = if named.is_empty() { external.clone() } else { named };
    if named.is_empty() {
        return Err(refused(RefusalReason::FieldMissing));
    }
    let (status, vendor_status) = status_of(&message.kind, object);
    let currency = object.currency.as_deref().and_then(Currency::parse);
    let money = |minor: Option<i64>| {
        let (minor, currency) = (minor?, currency?);
        // Stripe counts these otherwise than ISO 4217.
        let digits = match currency.code() {
            "ISK" | "UGX" => 2,
            "MGA" => 0,
            _ => currency.exponent(),
        };
        let (scaled, unit) = (minor.checked_mul(10i64.pow(currency.exponent()))?, 10i64.pow(digits));
        (scaled % unit == 0).then_some(Money { minor: scaled / unit, currency })
    };
    let told = money(object.amount_total.or(object.amount));
    let refund = money(object.amount_refunded).map(|money| Refund::Total(money.minor.saturating_abs()));
    let is_apart = object.object.eq_ignore_ascii_case("dispute");
    let amount = told.filter(|money| !is_apart && money.minor >= 0);
    let status = match refund {
        Some(_) => Refunds::default().and(refund).settle(status, amount.map(|money| money.minor)),
        None => status,
    };
    let people = [&object.customer_details, &object.billing_details].map(Option::as_ref);
    let of =
        |person: Option<&'_ Person<'_>>| person.and_then(|person| person.name.as_deref().map(str::to_owned)).unwrap_or_default();
    let email = |at: usize| people[at].and_then(|person: &Person<'_>| person.email.as_deref());
    let facts = OrderFacts {
        reference: named,
        external,
        email: lower(&shown(first([email(0), object.receipt_email.as_deref(), email(1)]))).into(),
        customer: shown(&(of(people[0]) + &of(people[1]))),
        status,
        vendor_status,
        amount,
        test: !message.livemode,
        event_at: (0..253_402_300_800).contains(&message.created).then(|| Timestamp::from_seconds(message.created)),
        message_id: reference(&message.id),
        refund,
    };
    let wanted = match credentials.options.get(MODE) {
        Some("live") => Some(false),
        Some("test") => Some(true),
        _ => None,
    };
    if wanted.is_some_and(|wanted| facts.test != wanted) {
        return Err(refused(RefusalReason::WrongMode));
    }
    let product = shown(first([object.description.as_deref()]));
    let outgoing = Some(translated(&facts, &product, told, now).into());
    Ok(Event { facts, outgoing, digest: None })
}

/// Our word, and Stripe's.
fn status_of(kind: &str, object: &Object<'_>) -> (OrderStatus, compact_str::CompactString) {
    use OrderStatus::{Authorized, Cancelled, Created, Failed, Paid, PartiallyRefunded, Pending, Refunded, Reversed, Unmapped};
    let word = lower(kind.trim());
    let both = |word: &str| shown(&format!("{kind} {word}"));
    let more = lower(match &*word {
        "checkout.session.completed" => object.payment_status.as_deref().unwrap_or_default(),
        "charge.refunded" => match object.refunded {
            Some(true) => "true",
            Some(false) => "false",
            None => "",
        },
        "charge.dispute.created" | "charge.dispute.closed" => &object.status,
        _ => "",
    });
    let status = match (&*word, &*more) {
        ("checkout.session.completed", "paid" | "no_payment_required") => return (Paid, both(&more)),
        ("checkout.session.completed", "unpaid") => return (Pending, both(&more)),
        ("charge.refunded", "true") => return (Refunded, both(&more)),
        ("charge.refunded", "false") => return (PartiallyRefunded, both(&more)),
        ("charge.dispute.created", "warning_needs_response" | "warning_under_review")
        | ("charge.dispute.closed", "warning_closed") => return (Unmapped, both(&more)),
        ("charge.dispute.closed", "won") => return (Paid, both(&more)),
        ("charge.dispute.closed", "lost") => return (Reversed, both(&more)),
        ("checkout.session.async_payment_succeeded" | "payment_intent.succeeded" | "charge.dispute.funds_reinstated", _) => Paid,
        ("checkout.session.async_payment_failed" | "payment_intent.payment_failed", _) => Failed,
        ("checkout.session.expired" | "payment_intent.canceled", _) => Cancelled,
        ("payment_intent.created", _) => Created,
        ("payment_intent.processing" | "payment_intent.requires_action", _) => Pending,
        ("payment_intent.amount_capturable_updated", _) => Authorized,
        ("charge.dispute.created" | "charge.dispute.funds_withdrawn", _) => Reversed,
        _ => Unmapped,
    };
    (status, shown(kind))
}

fn translated(facts: &OrderFacts, product: &str, told: Option<Money>, now: Timestamp) -> Vec<u8> {
    let is_refund = matches!(facts.status, OrderStatus::Refunded | OrderStatus::PartiallyRefunded);
    let total = told.map(|told| match facts.refund {
        Some(Refund::Part(part) | Refund::Total(part)) if is_refund => Money { minor: -part.saturating_abs(), ..told },
        _ if is_refund => Money { minor: -told.minor.saturating_abs(), ..told },
        _ => told,
    });
    let amount = total.map(|money| money.decimal()).unwrap_or_default();
    let product = if product.is_empty() { format!("Order {}", facts.reference) } else { product.to_owned() };
    let at = jiff::Timestamp::from_microsecond(facts.event_at.unwrap_or(now).micros()).unwrap_or_default();
    let sold_at = jiff::fmt::strtime::format("%Y-%m-%d %H:%M:%S", at).unwrap_or_default();
    let dated: String = sold_at.chars().filter(char::is_ascii_digit).collect();
    let (first, last) = facts.customer.rsplit_once(' ').unwrap_or(("", &facts.customer));
    let status = match facts.status {
        OrderStatus::Created | OrderStatus::Pending => "PENDING",
        OrderStatus::Authorized => "PAYMENT_AUTHORIZED",
        OrderStatus::Paid => "COMPLETE",
        OrderStatus::PartiallyRefunded | OrderStatus::Refunded => "REFUND",
        OrderStatus::Reversed => "REVERSED",
        OrderStatus::Cancelled => "CANCELED",
        OrderStatus::Failed => "INVALID",
        OrderStatus::Unmapped => "UNMAPPED",
    };
    let mut form = Form::default();
    for (name, value) in [
        ("SALEDATE", sold_at.as_str()),
        ("REFNO", &facts.reference),
        ("REFNOEXT", &facts.external),
        ("ORDERSTATUS", status),
        ("PAYMETHOD", "Stripe"),
        ("FIRSTNAME", first),
        ("LASTNAME", last),
        ("CUSTOMEREMAIL", &facts.email),
        ("TIMEZONE_OFFSET", "GMT+00:00"),
        ("CURRENCY", total.as_ref().map_or("", |money| money.currency.code())),
        ("IPN_PID[]", "1"),
        ("IPN_PNAME[]", &product),
        ("IPN_QTY[]", "1"),
        ("IPN_PRICE[]", &amount),
        ("IPN_TOTAL[]", &amount),
        ("IPN_TOTALGENERAL", &amount),
        ("MESSAGE_ID", &facts.message_id),
        ("MESSAGE_TYPE", status),
        ("TEST_ORDER", if facts.test { "1" } else { "0" }),
        ("IPN_DATE", &dated),
        ("GATEWAY", "stripe"),
        ("GATEWAY_STATUS", &facts.vendor_status),
        ("CANONICAL_STATUS", facts.status.code()),
    ] {
        form.push(name.as_bytes(), value.as_bytes());
    }
    form.encode()
}
