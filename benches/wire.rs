//! The wire rules by themselves: `cargo bench --bench wire`. One full-size notification of 100 fields.

use divan::Bencher;
use quittance::{
    domain::{Algorithms, GatewayOptions, Money, OrderStatus, Tags, Timestamp, money::Currency},
    server::{
        dispatch::{
            sign::{Outgoing, sign},
            verdict::{AnswerView, Expectation, judge},
        },
        gateway::{
            Credentials, Gateways, Request,
            simulate::{self, Wish},
            twocheckout, verify as verify_request,
        },
        ipn::Form,
    },
};

const KEY: &[u8] = b"AABBCCDDEEFF";

fn main() {
    divan::main();
}

/// A hundred fields, as many bytes as a real order has, and the date that the receipt runs over.
fn body() -> Vec<u8> {
    let mut form = Form::default();
    for (name, value) in [
        ("REFNO", "123456789"),
        ("REFNOEXT", "shop-123456789"),
        ("ORDERSTATUS", "COMPLETE"),
        ("CUSTOMEREMAIL", "buyer@example.com"),
        ("IPN_PID[]", "4501105"),
        ("IPN_PNAME[]", "Gr\u{fc}\u{df}e und mehr"),
        ("IPN_DATE", "20261121090407"),
        ("IPN_TOTALGENERAL", "49.90"),
        ("CURRENCY", "EUR"),
    ] {
        form.push(name.as_bytes(), value.as_bytes());
    }
    for number in 0..91 {
        form.push(format!("FIELD_NUMBER_{number}").into_bytes(), &b"a value of usual size"[..number % 22]);
    }
    form.encode()
}

fn signed(algorithms: Algorithms) -> Outgoing {
    sign(&body(), &Tags::All, algorithms, KEY).expect("a form")
}

const CHOICES: [&str; 4] = ["md5", "sha2-256", "sha3-256", "md5,sha2-256,sha3-256"];

fn algorithms(choice: &str) -> Algorithms {
    choice.parse().expect("algorithms")
}

/// A received message from bytes to facts: parse, check each signature, read the order.
#[divan::bench(args = CHOICES)]
fn verify(bencher: Bencher<'_, '_>, choice: &str) {
    let message = signed(algorithms(choice)).body;
    let options = GatewayOptions::default();
    let credentials = Credentials { secret: KEY, required: Algorithms::ALL, options: &options };
    bencher.bench(|| twocheckout::verify(credentials, divan::black_box(&message)).is_ok());
}

/// A whole message of a gateway, as a listener takes it: parse, check, read, and the form that leaves.
#[divan::bench(args = ["stripe", "standard-webhooks", "vnpay", "momo", "payos", "zalopay", "onepay", "adyen", "paddle", "2checkout"])]
fn gateway(bencher: Bencher<'_, '_>, name: &str) {
    let gateways = Gateways::shared();
    let preset = gateways.get(name.parse().expect("a name")).expect("a gateway");
    let (secret, options) = (simulate::trial_secret(preset), simulate::trial_options(preset));
    let now = Timestamp::from_seconds(1_772_366_400);
    let currency = Currency::parse(simulate::currency(preset)).expect("a currency");
    let amount = Money { minor: 1_000_000, currency };
    let wish = Wish {
        status: OrderStatus::Paid,
        reference: "100200300",
        amount,
        email: "buyer@example.com",
        address: "https://ipn.example.com/ipn/bench",
        now,
        number: 4_711,
        test: false,
        fault: None,
    };
    let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish).expect("a message");
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options: &options };
    let request = Request {
        method: &posted.method,
        query: &posted.query,
        headers: &posted.headers,
        body: &posted.body,
        url: ["https://ipn.example.com", "/ipn/bench"],
        now,
        date: "20260301120000",
    };
    assert!(verify_request(preset, credentials, &request).is_ok(), "{name}");
    bencher.bench(|| verify_request(preset, credentials, divan::black_box(&request)).is_ok());
}

/// The read receipt for a verified message.
#[divan::bench(args = CHOICES)]
fn acknowledge(bencher: Bencher<'_, '_>, choice: &str) {
    let message = signed(algorithms(choice)).body;
    let options = GatewayOptions::default();
    let credentials = Credentials { secret: KEY, required: Algorithms::ALL, options: &options };
    let Ok(verified) = twocheckout::verify(credentials, &message) else { panic!("a right message") };
    bencher.bench(|| twocheckout::acknowledge(credentials, divan::black_box(&verified), "20261121090408"));
}

/// Signing anew for one URL.
#[divan::bench(args = CHOICES)]
fn sign_anew(bencher: Bencher<'_, '_>, choice: &str) {
    let (body, algorithms) = (body(), algorithms(choice));
    bencher.bench(|| sign(divan::black_box(&body), &Tags::All, algorithms, KEY).is_ok());
}

/// The verdict on an answer that holds the receipt within a page.
#[divan::bench(args = CHOICES)]
fn verdict(bencher: Bencher<'_, '_>, choice: &str) {
    let algorithms = algorithms(choice);
    let outgoing = signed(algorithms);
    let strongest = algorithms.strongest().expect("an algorithm");
    let page =
        format!("<html><body><p>Thank you</p>{}</body></html>", outgoing.receipt.receipt(strongest, KEY, "20261121090408"));
    let answer = AnswerView { status: 200, body: page.as_bytes(), truncated: false, location: None };
    let expectation = Expectation {
        receipt: &outgoing.receipt,
        key: KEY,
        old_key: None,
        algorithms,
        signatures: &outgoing.signatures,
        body: &outgoing.body,
        other_keys: &[],
    };
    assert!(judge(&answer, &expectation).cause.is_none());
    bencher.bench(|| judge(divan::black_box(&answer), &expectation).cause.is_none());
}
