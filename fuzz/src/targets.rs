//! What is fuzzed: for each parser a function that takes any bytes. It must not panic, must not hang, and must keep what it promises.
//!
//! The fuzzer calls these with bytes of its own making, and the tests (tests/it/corpus.rs) with everything in `fuzz/corpus`.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use quittance::{
    domain::{
        Algorithm, Algorithms, GatewayOptions, Money, OrderStatus, RefusalReason, Timestamp,
        money::Currency,
        order::{KnownOrder, Refunds},
    },
    server::{
        gateway::{
            BodyForm, Case, Credentials, Event, Gateways, Origin, Preset, Request, Step, access, confirmed, json_fields, named,
            simulate::{Posted, Wish, as_test, sign_case, trial_options, trial_secret},
            verify,
        },
        ipn::{Form, ReceiptFacts, receipt::find, signature},
    },
};
use std::{collections::BTreeMap, net::SocketAddr};

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

/// Longest text that is signed: long ones are slow, and tell nothing that short ones do not.
const SIGNED_TO: usize = 8 << 10;

/// Offers a message that the gateway itself has signed, whatever it says: what follows a right signature is read, too. Gives how many
/// orders were read.
pub fn offer_signed(preset: &Preset, text: &[u8]) -> usize {
    if text.len() > SIGNED_TO {
        return 0;
    }
    let (secret, options) = (trial_secret(preset), trial_options(preset));
    let Some(posted) = signed(preset, text, secret.as_bytes(), &options) else { return 0 };
    let request = Request {
        method: &posted.method,
        query: &posted.query,
        headers: &posted.headers,
        body: &posted.body,
        url: ["https://a.example", "/ipn/1"],
        now: NOW,
        date: "20260301120000",
    };
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options: &options };
    match verify(preset, credentials, &request) {
        Ok(taken) => {
            let count = taken.events.len();
            taken.events.into_iter().for_each(|event| read(preset, event, &posted));
            count
        }
        Err(refused) => {
            // Signatures in fields may not find their field again, and of several messages only the first is signed.
            let whole = preset.adapter.is_some()
                || preset.items.is_none() && preset.signatures.iter().all(|one| matches!(one.from, Origin::Header(_)));
            let unproved = [RefusalReason::WrongSignature, RefusalReason::NoSignature, RefusalReason::Stale];
            assert!(!(whole && unproved.contains(&refused.reason)), "{}: {refused:?}", preset.id);
            0
        }
    }
}

/// A message of these texts, signed; nothing where no message can be made of them.
fn signed(preset: &Preset, text: &[u8], secret: &[u8], options: &GatewayOptions) -> Option<Posted> {
    if preset.adapter.is_some() {
        let mut form = Form::parse(text).ok()?;
        form.fields.retain(|field| signature::algorithm_of(&field.name).is_none());
        let source = signature::source(&form.fields);
        for algorithm in Algorithm::ALL {
            form.push(algorithm.field().as_bytes(), signature::sign(algorithm, secret, &source).into_bytes());
        }
        return Some(Posted { method: Method::POST, query: String::new(), headers: HeaderMap::new(), body: form.encode() });
    }
    // The inputs have zeros where the signature belongs.
    let zeros = "0".repeat(32);
    let placed = |text: &str| match text.find(&zeros) {
        Some(at) => {
            let behind = text[at..].trim_start_matches('0');
            format!("{}%signature%{behind}", &text[..at])
        }
        None => text.to_owned(),
    };
    let is_form = preset.confirm.as_ref().and_then(|confirm| confirm.ring).unwrap_or(preset.body) == BodyForm::Form;
    let body = if is_form {
        let form = Form::parse(text).ok()?;
        let line = |text: &[u8]| String::from_utf8_lossy(text).replace(['\n', '\r'], " ");
        form.fields.iter().map(|field| format!("{}={}\n", line(&field.name), placed(&line(&field.value)))).collect()
    } else {
        placed(&String::from_utf8_lossy(text))
    };
    let case = Case { status: OrderStatus::Paid, body: Some(body), answer: None, values: BTreeMap::new() };
    let wish = Wish {
        status: OrderStatus::Paid,
        reference: "100200300",
        amount: Money { minor: 50_000, currency: Currency::parse("USD")? },
        email: "buyer@example.com",
        address: "https://a.example/ipn/1",
        now: NOW,
        number: 4_711,
        test: false,
        fault: None,
    };
    sign_case(preset, &case, secret, options, &wish).ok()
}

/// What was read of a message that is right, whatever stood in it.
fn read(preset: &Preset, mut event: Event, posted: &Posted) {
    let facts = &event.facts;
    for text in [&facts.reference, &facts.external, &facts.vendor_status, &facts.message_id] {
        assert!(text.chars().count() <= 200, "{}: {text:?}", preset.id);
    }
    for text in [&facts.reference, &facts.external, &facts.email, &facts.customer, &facts.vendor_status, &facts.message_id] {
        assert!(!text.chars().any(char::is_control), "{}: {text:?}", preset.id);
    }
    assert!(!facts.reference.is_empty(), "{}: an order without a number", preset.id);
    let says = |event: &Event| {
        let Some(outgoing) = &event.outgoing else { return };
        let form = Form::parse(outgoing).expect("what leaves is a form");
        assert_eq!(form.text("CANONICAL_STATUS"), event.facts.status.code(), "{}", preset.id);
        assert_eq!(form.text("REFNO"), event.facts.reference, "{}", preset.id);
        assert_eq!(form.text("IPN_DATE").len(), 14, "{}", preset.id);
    };
    says(&event);
    for (status, amount, refunds) in [
        (OrderStatus::Paid, Some(50_000), Refunds::default()),
        (OrderStatus::Refunded, Some(i64::MAX), Refunds { parts: i64::MAX, total: i64::MIN }),
        (OrderStatus::Unmapped, None, Refunds { parts: -1, total: 1 }),
    ] {
        let amount = amount.zip(Currency::parse("USD")).map(|(minor, currency)| Money { minor, currency });
        let known = KnownOrder { status, vendor_status: String::new(), amount, refunds };
        let _ = event.is_news(&known);
        if event.tells_part() {
            event.settle(&known);
            if preset.adapter.is_none() {
                says(&event);
            }
        }
    }
    as_test(&mut event, &posted.body);
    assert!(event.facts.test, "{}", preset.id);
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
        let _ = offer_signed(preset, data);
    }
}

/// Queries, at the gateways that send by GET.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for preset in Gateways::shared().all().iter().filter(|preset| preset.takes_get()) {
        offer(preset, &Method::GET, text, &HeaderMap::new(), data);
        let _ = offer_signed(preset, data);
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
        let _ = offer_signed(preset, data);
    }
}

/// The headers that a gateway proves its messages with.
fn proving(preset: &Preset) -> Vec<String> {
    let of = |origin: &Origin| if let Origin::Header(name) = origin { Some(name.clone()) } else { None };
    let mut names: Vec<_> = Vec::new();
    for one in &preset.signatures {
        names.extend([Some(&one.from), one.timestamp.as_ref(), one.id.as_ref()].into_iter().flatten().filter_map(of));
        names.extend(one.message.headers().map(str::to_owned));
    }
    if let Some(chain) = &preset.chain {
        names.extend([&chain.signature, &chain.certificate, &chain.algorithm.origin].into_iter().filter_map(of));
        names.extend(chain.message.headers().map(str::to_owned));
    }
    names
}

/// Headers that prove messages: the first line holds their values, with tabs between them, and the rest is the body. Where there are
/// fewer values than headers they begin anew.
pub fn headers(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (value, body) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let values: Vec<_> = value.split(|byte| *byte == b'\t').map(HeaderValue::from_bytes).collect();
    let Ok(values) = values.into_iter().collect::<Result<Vec<_>, _>>() else { return };
    for preset in Gateways::shared().all() {
        let names = proving(preset).into_iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        let headers = HeaderMap::from_iter(names.zip(values.iter().cycle().cloned()));
        if !headers.is_empty() {
            offer(preset, &Method::POST, "", &headers, body);
        }
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
        if preset.signatures.iter().all(|one| matches!(one.from, Origin::Header(_))) {
            let _ = signed(&preset, b"{\"a\":1}", trial_secret(&preset).as_bytes(), &trial_options(&preset));
        }
        let _ = preset.word(200, b"{}");
    }
}
