//! Every gateway on trial: published signatures, its own samples, and what must not get through.

mod answers;
mod chain;
mod confirm;
mod forged;
mod merchants;
mod published;
mod refunds;
mod replayed;
mod several;
mod vectors;

use super::{simulate::Wish, *};
use crate::domain::{Money, OrderStatus, money::Currency, order::Refund};
use crate::server::ipn::Form;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_seconds(1_772_366_400);

fn preset(name: &str) -> Arc<Preset> {
    Gateways::shared().get(name.parse().unwrap()).unwrap_or_else(|| panic!("{name}")).clone()
}

fn options(pairs: &[(&str, &str)]) -> GatewayOptions {
    GatewayOptions(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

struct Try<'a> {
    secret: &'a str,
    options: GatewayOptions,
    headers: &'a [(&'a str, &'a str)],
    query: &'a str,
    body: &'a str,
    now: Timestamp,
}

impl Default for Try<'_> {
    fn default() -> Self {
        Self { secret: "", options: GatewayOptions::default(), headers: &[], query: "", body: "", now: NOW }
    }
}

fn attempt(name: &str, one: &Try<'_>) -> Result<Verified, Refused> {
    let mut headers = HeaderMap::new();
    for (name, value) in one.headers {
        headers.insert(HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let request = Request {
        method: if one.query.is_empty() { &Method::POST } else { &Method::GET },
        query: one.query,
        headers: &headers,
        body: one.body.as_bytes(),
        url: ["https://a.example", "/ipn/1"],
        now: one.now,
        date: "20260301120000",
    };
    let credentials = Credentials { secret: one.secret.as_bytes(), required: Algorithms::ALL, options: &one.options };
    verify(&preset(name), credentials, &request)
}

/// The signature is right: what follows may still lack an order.
fn is_proved(name: &str, one: &Try<'_>) -> bool {
    !matches!(
        attempt(name, one),
        Err(Refused {
            reason: RefusalReason::WrongSignature | RefusalReason::NoSignature | RefusalReason::Stale | RefusalReason::Malformed,
            ..
        })
    )
}

fn is_wrong(name: &str, one: &Try<'_>) -> bool {
    matches!(attempt(name, one), Err(Refused { reason: RefusalReason::WrongSignature, .. }))
}

/// Checks a signature alone, over bytes that are no message of the gateway's: what vendors publish often is not.
fn proves(name: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> bool {
    let preset = preset(name);
    let map = HeaderMap::from_iter(headers.iter().map(|(name, value)| {
        (HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
    }));
    let options = GatewayOptions::default();
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options: &options };
    let now = Timestamp::from_seconds(1_696_195_954);
    let request = Request {
        method: &Method::POST,
        query: "",
        headers: &map,
        body: body.as_bytes(),
        url: ["https://a.example", "/ipn/1"],
        now,
        date: "",
    };
    let scope = fields::Scope { fields: &fields::Fields::None, item: None };
    preset.prove(scope, body.as_bytes(), credentials, &request).is_ok()
}

#[test]
fn every_file_of_the_folder_comes_along() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/gateway/presets");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    let mut known: Vec<_> = Gateways::shared().all().iter().map(|preset| preset.id.to_string()).collect();
    known.sort();
    assert_eq!(names, known, "a file is called as its id, and stands in the registry");
}

fn wish(preset: &Preset, status: OrderStatus) -> Wish<'static> {
    let currency = Currency::parse(simulate::currency(preset)).unwrap();
    Wish {
        status,
        reference: "100200300",
        amount: Money { minor: 50_000, currency },
        email: "Buyer@example.com",
        address: "https://a.example/ipn/1",
        now: NOW,
        number: 4_711,
        test: false,
        fault: None,
    }
}

fn take(preset: &Preset, secret: &str, options: &GatewayOptions, posted: &simulate::Posted) -> Result<Verified, Refused> {
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options };
    let request = Request {
        method: &posted.method,
        query: &posted.query,
        headers: &posted.headers,
        body: &posted.body,
        url: ["https://a.example", "/ipn/1"],
        now: NOW,
        date: "20260301120000",
    };
    verify(preset, credentials, &request)
}

/// Each gateway's each sample is taken, means what it says, and leaves in the merchant's language; one altered byte is refused.
#[test]
fn every_sample_of_every_gateway() {
    for preset in Gateways::shared().all() {
        let (name, secret, options) = (preset.id, simulate::trial_secret(preset), simulate::trial_options(preset));
        let statuses = simulate::statuses(preset);
        assert!(!statuses.is_empty(), "{name} has no sample");
        let sign = |status| simulate::sign(preset, secret.as_bytes(), &options, &wish(preset, status)).unwrap();
        for case in &preset.sample.case {
            let wish = wish(preset, case.status);
            let posted = simulate::sign_case(preset, case, secret.as_bytes(), &options, &wish).unwrap();
            sample(preset, case.status, &posted, simulate::answer_case(preset, case, &options, &wish));
        }
        for status in statuses.into_iter().filter(|_| preset.adapter.is_some()) {
            sample(preset, status, &sign(status), None);
        }
    }
}

fn sample(preset: &Preset, status: OrderStatus, posted: &simulate::Posted, answer: Option<String>) {
    let (name, secret, options) = (preset.id, simulate::trial_secret(preset), simulate::trial_options(preset));
    let mut verified = take(preset, &secret, &options, posted).unwrap_or_else(|refused| panic!("{name} {status:?}: {refused:?}"));
    assert_eq!(verified.unconfirmed, preset.confirm.is_some(), "{name}");
    if let Some(answer) = answer {
        assert_eq!(preset.word(200, answer.as_bytes()), Word::Yes, "{name} {answer}");
        verified = confirm::confirmed_by(preset, &secret, &options, posted, &answer).unwrap();
    }
    assert_eq!(verified.events.len(), 1, "{name} {status:?}");
    let Event { facts, outgoing, .. } = &verified.events[0];
    assert_eq!(facts.status, status, "{name} {}", facts.vendor_status);
    assert!(facts.reference.contains("100200300") || facts.external.contains("100200300"), "{name} {facts:?}");
    assert!(!facts.test, "{name}");
    assert!(facts.amount.is_none_or(|amount| amount.minor == 50_000), "{name} {status:?}: the order's amount {facts:?}");
    if let Some(outgoing) = outgoing {
        let form = Form::parse(outgoing).unwrap();
        let left = twocheckout::facts(&form).unwrap();
        assert_eq!(left.reference, facts.reference, "{name}");
        let leaves_as = match status {
            OrderStatus::PartiallyRefunded => OrderStatus::Refunded,
            OrderStatus::Created => OrderStatus::Pending,
            status => status,
        };
        assert_eq!(left.status, leaves_as, "{name}");
        assert_eq!(form.text("CANONICAL_STATUS"), status.code(), "{name}");
        assert!(!form.text("IPN_PID").is_empty() && !form.text("IPN_PNAME").is_empty() && form.text("IPN_DATE").len() == 14);
        let total = Money::parse(&form.text("IPN_TOTALGENERAL"), Currency::parse(simulate::currency(preset)).unwrap());
        let is_dispute_of_square = name.name() == "square" && form.text("GATEWAY_STATUS").starts_with("dispute");
        match total {
            Some(money) => {
                let is_refund = leaves_as == OrderStatus::Refunded;
                assert_eq!(money.minor < 0, is_refund, "{name} {status:?}: {money}");
                assert!(matches!(money.minor.abs(), 50_000 | 25_000 | 1), "{name} {status:?}: {money}");
            }
            None => assert!(preset.order.amount.is_none() || is_dispute_of_square, "{name} {status:?}: no amount"),
        }
        assert_eq!(form.text("GATEWAY"), name.name());
    }
    if preset.signatures.is_empty() && preset.adapter.is_none() {
        return;
    }
    altered(preset, &secret, &options, posted);
    let other = take(preset, &secret.chars().rev().collect::<String>(), &options, posted);
    assert!(other.is_err(), "{name}: with another secret");
}

/// Where a gateway marks tests, its simulated tests are read as tests; and no other says it can.
#[test]
fn samples_of_tests_are_tests() {
    for preset in Gateways::shared().all() {
        let (name, secret) = (preset.id, simulate::trial_secret(preset));
        let has_sandbox = preset.confirm.as_ref().is_some_and(|confirm| confirm.test_base.is_some());
        let mut options = simulate::trial_options(preset);
        if has_sandbox {
            options.0.insert(MODE.to_owned(), "test".to_owned());
        }
        let says = preset.adapter.is_some() || !preset.order.test.is_empty();
        assert_eq!(simulate::marks_tests(preset), says, "{name}: its sample has no mode, or one without meaning");
        for status in simulate::statuses(preset).into_iter().filter(|_| says) {
            let wish = Wish { test: true, ..wish(preset, status) };
            let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish).unwrap();
            let verified = match simulate::answer(preset, &options, &wish) {
                Some(answer) => confirm::confirmed_by(preset, &secret, &options, &posted, &answer),
                None => take(preset, &secret, &options, &posted),
            };
            assert!(verified.unwrap().events[0].facts.test, "{name} {status:?}");
        }
    }
}

/// Nothing in it was made by a gateway: it is a test in what is kept and in what leaves, whatever it says.
#[test]
fn what_is_simulated_is_made_a_test() {
    for name in ["stripe", "2checkout", "2checkout-lcn", "momo"] {
        let preset = preset(name);
        let (secret, options) = (simulate::trial_secret(&preset), simulate::trial_options(&preset));
        let status = simulate::statuses(&preset)[0];
        let posted = simulate::sign(&preset, secret.as_bytes(), &options, &wish(&preset, status)).unwrap();
        let mut event = take(&preset, &secret, &options, &posted).unwrap().events.remove(0);
        assert!(!event.facts.test, "{name}");
        simulate::as_test(&mut event, &posted.body);
        assert!(event.facts.test, "{name}");
        let leaves = event.outgoing.clone().unwrap();
        let form = Form::parse(&leaves).unwrap();
        let field = if name == "2checkout-lcn" { "TEST" } else { "TEST_ORDER" };
        assert_eq!(form.text(field), "1", "{name}");
        let before = event.outgoing.clone();
        simulate::as_test(&mut event, &posted.body);
        assert_eq!(event.outgoing, before);
    }
    assert!(simulate::is_marked(&simulate::marked("192.0.2.7")) && !simulate::is_marked("192.0.2.7"));
}

fn altered(preset: &Preset, secret: &str, options: &GatewayOptions, posted: &simulate::Posted) {
    let mut spoilt = posted.clone();
    let marker = b"100200300";
    let replaced = |text: &[u8]| {
        let at = text.windows(marker.len()).position(|window| window == marker)?;
        let mut text = text.to_vec();
        text[at] = b'9';
        Some(text)
    };
    if let Some(body) = replaced(&posted.body) {
        spoilt.body = body;
    } else {
        spoilt.query = String::from_utf8(replaced(posted.query.as_bytes()).unwrap()).unwrap();
    }
    let refused = take(preset, secret, options, &spoilt).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::WrongSignature, "{}", preset.id);
}

/// While a gateway changes its secret, messages signed with either are taken.
#[test]
fn two_secrets_at_once() {
    let preset = preset("stripe");
    let posted = simulate::sign(&preset, b"old", &GatewayOptions::default(), &wish(&preset, OrderStatus::Paid)).unwrap();
    assert!(take(&preset, "new", &options(&[(PREVIOUS_SECRET, "old")]), &posted).is_ok());
    let refused = take(&preset, "new", &options(&[(PREVIOUS_SECRET, "older")]), &posted).unwrap_err();
    assert!(refused.detail.contains("previous"), "{}", refused.detail);
    assert!(take(&preset, "new", &options(&[(PREVIOUS_SECRET, "")]), &posted).is_err(), "nothing is no secret");
}

#[test]
fn refunds_and_repeats_are_told_apart() {
    let adyen = preset("adyen");
    let of = |preset: &Preset, status| {
        let options = simulate::trial_options(preset);
        let secret = simulate::trial_secret(preset);
        let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish(preset, status)).unwrap();
        take(preset, &secret, &options, &posted).unwrap().events.remove(0).facts
    };
    let refund = of(&adyen, OrderStatus::Refunded);
    assert_eq!((refund.refund, refund.amount), (Some(Refund::Part(50_000)), None), "its amount is not that of the order");
    let paid = of(&adyen, OrderStatus::Paid);
    assert_eq!((paid.refund, paid.reference), (None, refund.reference), "one order");
    let stripe = of(&preset("stripe"), OrderStatus::PartiallyRefunded);
    assert_eq!((stripe.refund, stripe.amount.unwrap().minor), (Some(Refund::Total(1)), 50_000));
}

#[test]
fn unknown_words_are_unmapped_and_never_paid() {
    let preset = preset("stripe");
    let of = |kind: &str| {
        let mut changed = (*preset).clone();
        changed.sample.case[3].values.insert("type".to_owned(), kind.to_owned());
        let posted = simulate::sign(&changed, b"s", &GatewayOptions::default(), &wish(&preset, OrderStatus::Paid)).unwrap();
        take(&preset, "s", &GatewayOptions::default(), &posted)
    };
    let facts = of("payment_intent.partially_funded").unwrap().events.remove(0).facts;
    assert_eq!((facts.status, facts.vendor_status.as_str()), (OrderStatus::Unmapped, "payment_intent.partially_funded"));
    assert_eq!(of("Payment_Intent.SUCCEEDED").unwrap().events[0].facts.status, OrderStatus::Paid, "in any case");
    assert!(of("customer.created").unwrap().events.is_empty(), "about no payment: only acknowledged");
}

#[test]
fn a_file_that_is_wrong_says_where_and_what() {
    let text = include_str!("../presets/stripe.toml");
    let told = |from: &str, to: &str| Preset::read(&text.replacen(from, to, 1)).unwrap_err();
    for (from, to, expected) in [
        ("hmac-sha256", "hmac-sha257", "hmac-sha256"),
        ("{@timestamp}.{@body}", "{@timestap}.{@body}", "@timestamp"),
        ("label = \"Stripe\"", "lable = \"Stripe\"", "lable"),
        ("\"payment_intent.canceled\" = \"cancelled\"", "\"payment_intent.canceled\" = \"canceled\"", "cancelled"),
        ("reference = [\"data.object.payment_intent\", \"data.object.id\"]", "reference = []", "order.reference"),
        ("id = \"stripe\"", "id = \"Str ipe\"", "lower-case"),
        ("{@timestamp}.{@body}", "{@option.key}", "[[option]]"),
        ("{@timestamp}.{@body}", "{@pairs}", "signature.pairs"),
        ("scale = \"minor\"", "scale = \"cents\"", "minor"),
        ("form = \"unix\"", "form = \"epoch\"", "unix-millis"),
        (
            "{@timestamp}.{@body}",
            "{@timestamp}.{id}",
            "order.reference: data.object.payment_intent is not part of what is signed",
        ),
        ("digits = { ISK = 2", "digits = { ISK = 9", "order.amount.digits"),
    ] {
        assert!(told(from, to).contains(expected), "{from}: {}", told(from, to));
    }
}

proptest! {
    #[test]
    fn nothing_makes_a_gateway_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[\\[\\]{}:,\"a-z0-9.&=%+ ]{0,120}",
        which in 0usize..64,
    ) {
        let gateways = Gateways::shared();
        let preset = &gateways.all()[which % gateways.all().len()];
        let options = simulate::trial_options(preset);
        for body in [&body[..], text.as_bytes()] {
            for method in [&Method::POST, &Method::GET] {
                let headers = HeaderMap::from_iter(preset.signatures.iter().filter_map(|signature| match &signature.from {
                    preset::Origin::Header(name) => {
                        Some((HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(text.as_bytes()).unwrap()))
                    }
                    preset::Origin::Field(_) => None,
                }));
                let request = Request { method, query: &text, headers: &headers, body, url: ["", ""], now: NOW, date: "" };
                let credentials = Credentials { secret: b"0011", required: Algorithms::ALL, options: &options };
                let taken = verify(preset, credentials, &request);
                prop_assert!(preset.ignore.is_some() || taken.is_err() || taken.is_ok_and(|taken| taken.unconfirmed));
            }
        }
    }
}

#[test]
fn ten_thousand_fields_and_numbers_beyond_every_range() {
    let options = options(&[("access-key", "k")]);
    let many: String = (0..10_000).map(|number| format!("f{number}=1&")).collect();
    let form = attempt("vnpay", &Try { secret: "s", query: &many, ..Try::default() }).unwrap_err();
    assert_eq!(form.reason, RefusalReason::TooManyFields);
    for amount in ["99999999999999999999999999", "NaN", "1e400", "-0", "\"12\"", "[1]", "{}", "null", "true"] {
        let body = format!(r#"{{"orderId":"1","amount":{amount},"resultCode":0,"signature":"{}"}}"#, "0".repeat(64));
        let refused = attempt("momo", &Try { secret: "s", options: options.clone(), body: &body, ..Try::default() }).unwrap_err();
        assert!(matches!(refused.reason, RefusalReason::WrongSignature | RefusalReason::Malformed), "{amount}");
    }
}
