//! Verification of whole messages: `make bench BENCH=verify`. From bytes to facts and the form that leaves, for each gateway that
//! signs with an HMAC (bound: 20 µs), and a preset beside the same gateway written by hand (bound: 1.3 times).

use divan::Bencher;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use quittance::{
    domain::{Algorithms, GatewayOptions, Money, OrderStatus, Timestamp, money::Currency, order::OrderFacts},
    server::{
        gateway::{
            Credentials, Event, Gateways, Preset, Request,
            simulate::{self, Posted, Wish},
            verify,
        },
        ipn::Form,
    },
};
use sha2::Sha256;
use std::sync::{Arc, LazyLock};

const NOW: Timestamp = Timestamp::from_seconds(1_772_366_400);

fn main() {
    divan::main();
}

/// A message of a gateway, ready to be verified.
struct Message {
    preset: Arc<Preset>,
    secret: String,
    options: GatewayOptions,
    posted: Posted,
}

impl Message {
    fn of(preset: &Arc<Preset>) -> Self {
        let (secret, options) = (simulate::trial_secret(preset), simulate::trial_options(preset));
        let currency = Currency::parse(simulate::currency(preset)).expect("a currency");
        let wish = Wish {
            status: simulate::statuses(preset)[0],
            reference: "100200300",
            amount: Money { minor: 50_000, currency },
            email: "buyer@example.com",
            address: "https://a.example/ipn/1",
            now: NOW,
            number: 4_711,
            test: false,
            fault: None,
        };
        let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish).expect("a sample");
        Self { preset: preset.clone(), secret, options, posted }
    }

    fn verify(&self) -> usize {
        let request = Request {
            method: &self.posted.method,
            query: &self.posted.query,
            headers: &self.posted.headers,
            body: &self.posted.body,
            url: ["https://a.example", "/ipn/1"],
            now: NOW,
            date: "20260301120000",
        };
        let credentials = Credentials { secret: self.secret.as_bytes(), required: Algorithms::ALL, options: &self.options };
        verify(&self.preset, credentials, &request).expect("a right signature").events.len()
    }
}

/// Gateways whose messages are signed with an HMAC, 2Checkout's kin among them.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let signs = |preset: &&Arc<Preset>| preset.adapter.is_some() || preset.methods().contains("HMAC");
    let gateways = Box::leak(Box::new(Gateways::shared()));
    gateways.all().iter().filter(signs).map(|preset| preset.id.name()).collect()
});

#[divan::bench(args = NAMES.iter())]
fn message(bencher: Bencher<'_, '_>, name: &str) {
    let gateways = Gateways::shared();
    let message = Message::of(gateways.get(name.parse().expect("a name")).expect("a gateway"));
    bencher.bench_local(|| divan::black_box(&message).verify());
}

/// What a listener for Stripe alone would do, with the same outcome: the signature, the facts, the form that leaves.
mod by_hand {
    use super::*;
    use serde::Deserialize;
    use std::borrow::Cow;
    use subtle::ConstantTimeEq as _;

    #[derive(Deserialize)]
    struct Body<'a> {
        id: Cow<'a, str>,
        #[serde(rename = "type")]
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
    struct Object<'a> {
        id: Cow<'a, str>,
        amount: Option<i64>,
        currency: Option<Cow<'a, str>>,
        receipt_email: Option<Cow<'a, str>>,
        metadata: Option<serde_json::Map<String, serde_json::Value>>,
    }

    /// What the message tells.
    pub fn verify(headers: &HeaderMap, body: &[u8], secret: &[u8], now: Timestamp) -> Option<Event> {
        let header = headers.get("stripe-signature")?.to_str().ok()?;
        let (mut time, mut given) = (None, Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=')? {
                ("t", value) => time = Some(value),
                ("v1", value) => given.push(hex::decode(value).ok()?),
                _ => {}
            }
        }
        let time = time?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        let made = mac.finalize().into_bytes();
        let is_right = given.iter().fold(false, |right, given| right | bool::from(made.as_slice().ct_eq(given)));
        let age = now.micros() / 1_000_000 - time.parse::<i64>().ok()?;
        if !is_right || age.abs() > 300 {
            return None;
        }
        let event: Body<'_> = serde_json::from_slice(body).ok()?;
        let object = &event.data.object;
        let status = match event.kind.to_lowercase().as_str() {
            "payment_intent.succeeded" => OrderStatus::Paid,
            "payment_intent.processing" => OrderStatus::Pending,
            "payment_intent.canceled" => OrderStatus::Cancelled,
            "payment_intent.payment_failed" => OrderStatus::Failed,
            "payment_intent.amount_capturable_updated" => OrderStatus::Authorized,
            _ => OrderStatus::Created,
        };
        let currency = Currency::parse(object.currency.as_deref().unwrap_or_default());
        let amount = object.amount.zip(currency).map(|(minor, currency)| Money { minor, currency });
        let at = jiff::Timestamp::from_second(event.created).ok()?;
        let sold_at = jiff::fmt::strtime::format("%Y-%m-%d %H:%M:%S", at).unwrap_or_default();
        let dated: String = sold_at.chars().filter(char::is_ascii_digit).collect();
        let external = object.metadata.as_ref().and_then(|metadata| metadata.get("order_id")).and_then(|value| value.as_str());
        let total = amount.map(|amount| amount.decimal()).unwrap_or_default();
        let product = format!("Order {}", object.id);
        let email = object.receipt_email.as_deref().unwrap_or_default();
        let mut form = Form::default();
        for (name, value) in [
            ("SALEDATE", sold_at.as_str()),
            ("REFNO", &object.id),
            ("REFNOEXT", external.unwrap_or_default()),
            ("ORDERSTATUS", "COMPLETE"),
            ("PAYMETHOD", "Stripe"),
            ("FIRSTNAME", ""),
            ("LASTNAME", ""),
            ("CUSTOMEREMAIL", email),
            ("TIMEZONE_OFFSET", "GMT+00:00"),
            ("CURRENCY", currency.as_ref().map_or("", |currency| currency.code())),
            ("IPN_PID[]", "1"),
            ("IPN_PNAME[]", &product),
            ("IPN_QTY[]", "1"),
            ("IPN_PRICE[]", &total),
            ("IPN_TOTAL[]", &total),
            ("IPN_TOTALGENERAL", &total),
            ("MESSAGE_ID", &event.id),
            ("MESSAGE_TYPE", "COMPLETE"),
            ("TEST_ORDER", if event.livemode { "0" } else { "1" }),
            ("IPN_DATE", &dated),
            ("GATEWAY", "stripe"),
            ("GATEWAY_STATUS", &event.kind),
            ("CANONICAL_STATUS", status.code()),
        ] {
            form.push(name.as_bytes(), value.as_bytes());
        }
        let facts = OrderFacts {
            reference: object.id.as_ref().into(),
            external: external.unwrap_or_default().into(),
            email: email.to_lowercase().into(),
            customer: "".into(),
            status,
            vendor_status: event.kind.as_ref().into(),
            amount,
            test: !event.livemode,
            event_at: Some(Timestamp::from_seconds(event.created)),
            message_id: event.id.as_ref().into(),
            refund: None,
        };
        Some(Event { facts, outgoing: Some(form.encode().into()) })
    }
}

fn stripe() -> Message {
    let gateways = Gateways::shared();
    Message::of(gateways.get("stripe".parse().expect("a name")).expect("a gateway"))
}

#[divan::bench]
fn stripe_as_a_preset(bencher: Bencher<'_, '_>) {
    let message = stripe();
    bencher.bench_local(|| divan::black_box(&message).verify());
}

#[divan::bench]
fn stripe_by_hand(bencher: Bencher<'_, '_>) {
    let message = stripe();
    bencher.bench_local(|| {
        let message = divan::black_box(&message);
        by_hand::verify(&message.posted.headers, &message.posted.body, message.secret.as_bytes(), NOW).expect("a right signature")
    });
}
