//! What is fuzzed: for each parser a function that takes any bytes. It must not panic, must not hang, and must keep what it promises.
//!
//! The fuzzer calls these with bytes of its own making, and the tests (tests/it/corpus.rs) with everything in `fuzz/corpus`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use quittance::{
    domain::{Algorithm, Algorithms, GatewayOptions, Timestamp},
    server::{
        gateway::{
            Credentials, Gateways, Preset, Request, Step, access, confirmed, json_fields, named,
            simulate::{trial_options, trial_secret},
            verify,
        },
        ipn::{Form, ReceiptFacts, receipt::find, signature},
    },
};
use std::net::SocketAddr;

/// A name and what to call.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("form", form),
    ("query", query),
    ("json", json),
    ("headers", headers),
    ("receipt", receipt),
    ("answer", answer),
    ("access", access_headers),
    ("preset", preset),
];

const NOW: Timestamp = Timestamp::from_seconds(1_772_366_400);

/// Offers a message to one gateway; nothing that a stranger makes may be taken for proved.
fn offer(preset: &Preset, method: &Method, query: &str, headers: &HeaderMap, body: &[u8]) {
    let (secret, options) = (trial_secret(preset), trial_options(preset));
    let request =
        Request { method, query, headers, body, url: ["https://a.example", "/ipn/1"], now: NOW, date: "20260301120000" };
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options: &options };
    let _ = named(preset, body);
    if let Ok(taken) = verify(preset, credentials, &request) {
        let proved = !taken.unconfirmed && !taken.events.is_empty();
        assert!(!proved, "{} took a message that nobody signed", preset.id);
    }
}

/// Bodies of forms, at every gateway.
pub fn form(data: &[u8]) {
    if let Ok(form) = Form::parse(data) {
        // What was read and written again reads the same.
        let again = form.encode();
        let read = Form::parse(&again).expect("a form that we wrote");
        assert_eq!(form.fields, read.fields);
        let _ = signature::source(&form.fields);
        let _ = signature::check(&form.fields, b"key");
    }
    for preset in Gateways::shared().all() {
        offer(preset, &Method::POST, "", &HeaderMap::new(), data);
    }
}

/// Queries, at the gateways that send by GET.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for preset in Gateways::shared().all().iter().filter(|preset| preset.takes_get()) {
        offer(preset, &Method::GET, text, &HeaderMap::new(), data);
    }
}

/// JSON, against a reader that others wrote.
pub fn json(data: &[u8]) {
    let ours = json_fields(data);
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    if ours.is_some() {
        // They refuse numbers that no floating-point value holds, and those may be long or have an exponent; ours stay text.
        let may_be_beyond = data.len() > 300 || data.iter().any(|byte| byte.eq_ignore_ascii_case(&b'e'));
        assert!(theirs.is_ok() || may_be_beyond, "taken by ours alone");
    }
    for preset in Gateways::shared().all() {
        offer(preset, &Method::POST, "", &HeaderMap::new(), data);
    }
}

/// Signatures in headers: the first line is the header's value, the rest the body.
pub fn headers(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (value, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    const NAMES: [&str; 12] = [
        "stripe-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "paddle-signature",
        "x-razorpay-signature",
        "x-signature",
        "x-cc-webhook-signature",
        "x-square-hmacsha256-signature",
        "x-anet-signature",
        "x-mollie-signature",
        "openpayu-signature",
    ];
    let headers = HeaderMap::from_iter(NAMES.map(|name| (HeaderName::from_static(name), value.clone())));
    for preset in Gateways::shared().all() {
        offer(preset, &Method::POST, "", &headers, body);
    }
}

/// Answers of merchants' scripts: receipts anywhere in them.
pub fn receipt(data: &[u8]) {
    let _ = find(data);
    if let Ok(form) = Form::parse(data) {
        let facts = ReceiptFacts::of(&form);
        for algorithm in Algorithm::ALL {
            // A receipt that we write is found again, whatever the names and values in it are.
            let text = facts.receipt(algorithm, b"key", "20260301120000");
            assert_eq!(find(text.as_bytes()).len(), 1, "{text}");
        }
    }
}

/// Answers of gateways that are asked back.
pub fn answer(data: &[u8]) {
    let (status, body) = match data {
        [first, rest @ ..] => (200 + u16::from(*first) * 2, rest),
        [] => (200, &[][..]),
    };
    for preset in Gateways::shared().all().iter().filter(|preset| preset.confirm.is_some()) {
        let _ = preset.word(status, body);
        let _ = preset.token(status, body);
        let (secret, options) = (trial_secret(preset), trial_options(preset));
        let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options: &options };
        let headers = HeaderMap::new();
        let request = Request {
            method: &Method::POST,
            query: "",
            headers: &headers,
            body,
            url: ["https://a.example", "/"],
            now: NOW,
            date: "",
        };
        let _ = confirmed(preset, credentials, &request, body, NOW);
        if let Ok(Step::Word(asking) | Step::Token(asking)) = preset.asking(credentials, &request, Some("token")) {
            let base = preset.confirm.as_ref().map(|confirm| confirm.base.as_str()).unwrap_or_default();
            let path = asking.url.strip_prefix(base).expect("nothing but the gateway is asked");
            assert!(path.starts_with('/') && !path.split('/').any(|step| step == ".."), "{path}");
            assert!(!path.contains(['?', '#', ' ']), "{path}");
        }
    }
}

/// What proxies and senders say about themselves.
pub fn access_headers(data: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = ["x-forwarded-for", "forwarded", "authorization"];
    for (line, name) in data.split(|byte| *byte == b'\n').zip(names.into_iter().cycle()).take(12) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let peer: SocketAddr = "127.0.0.1:80".parse().expect("an address");
    let trusted = access::networks("127.0.0.0/8, 10.0.0.0/8, ::/0").expect("networks");
    let _ = access::client(peer, &headers, &trusted);
    assert_eq!(access::client(peer, &headers, &[]), peer.ip(), "nobody else is believed");
    let options =
        GatewayOptions([("basic-user".to_owned(), "u".to_owned()), ("basic-password".to_owned(), "p".to_owned())].into());
    let _ = access::check(&options, peer.ip(), &headers);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(networks) = access::networks(text)
    {
        let written = networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(access::networks(&written).expect("what we wrote"), networks);
    }
}

/// Descriptions of gateways that somebody wrote.
pub fn preset(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(preset) = Preset::read(text) {
        offer(&preset, &Method::POST, "", &HeaderMap::new(), b"a=1&b=2");
        let _ = preset.word(200, b"{}");
    }
}
