//! Every gateway on trial: published signatures, its own samples, and what must not get through.

use super::{simulate::Wish, *};
use crate::domain::{Gateway, Money, OrderStatus, money::Currency, order::Refund};
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
        Err(Refused { reason: RefusalReason::WrongSignature | RefusalReason::NoSignature | RefusalReason::Stale | RefusalReason::Malformed, .. })
    )
}

fn is_wrong(name: &str, one: &Try<'_>) -> bool {
    matches!(attempt(name, one), Err(Refused { reason: RefusalReason::WrongSignature, .. }))
}

#[test]
fn every_file_of_the_folder_comes_along() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/gateway/presets");
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    let mut known: Vec<_> = Gateways::shared().all().iter().map(|preset| preset.id.to_string()).collect();
    known.sort();
    assert_eq!(names, known, "a file is called as its id, and stands in the registry");
}

// stripe-python signs as it goes; this one was computed from its algorithm.
#[test]
fn stripe() {
    let header = "t=1614265330,v1=56a3574edaeaa0e05a50bc6232292494b6abdc2d23569a23a3fc8376843a395d";
    let at = Timestamp::from_seconds(1_614_265_330);
    fn one<'a>(headers: &'a [(&'a str, &'a str)], now: Timestamp) -> Try<'a> {
        let body = r#"{"id":"evt_demo_0001","object":"event"}"#;
        Try { secret: "whsec_demo_hub_secret", headers, body, now, ..Try::default() }
    }
    assert!(is_proved("stripe", &one(&[("Stripe-Signature", header)], at)));
    let rotated = format!("t=1614265330,v1={},{}", "0".repeat(64), header.split_once(',').unwrap().1);
    assert!(is_proved("stripe", &one(&[("Stripe-Signature", &rotated)], at)), "one of several");
    for off in [-301i64, 301] {
        let refused = attempt("stripe", &one(&[("Stripe-Signature", header)], Timestamp::from_seconds(1_614_265_330 + off)));
        assert_eq!(refused.unwrap_err().reason, RefusalReason::Stale, "replayed, or from the future");
    }
    let other_time = header.replace("t=1614265330", "t=1614265331");
    assert!(is_wrong("stripe", &one(&[("Stripe-Signature", &other_time)], at)), "the time stamp is part of it");
    for broken in ["v1=", "t=1614265330", "t=,v1=00", "v1=zz,t=1", "0", ",,,=,"] {
        assert!(!is_proved("stripe", &one(&[("Stripe-Signature", broken)], at)), "{broken}");
    }
}

// The specification's own examples; Ed25519 with the key of RFC 8032 (test 2).
#[test]
fn standard_webhooks() {
    let headers = |signature| {
        [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)]
    };
    let body = r#"{"test": 2432232314}"#;
    let now = Timestamp::from_seconds(1_614_265_330);
    let right = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(is_proved("standard-webhooks", &Try { secret, headers: &right, body, now, ..Try::default() }));
    let bare = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(is_proved("standard-webhooks", &Try { secret: bare, headers: &right, body, now, ..Try::default() }));
    let several = headers("v1a,xxxx v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(is_proved("standard-webhooks", &Try { secret, headers: &several, body, now, ..Try::default() }));

    let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
    let public = hex::decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let message = format!("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{body}");
    let signature = crypto::Method::Ed25519.sign(&seed, message.as_bytes()).unwrap();
    let signature = format!("v1a,{}", crypto::Encoding::Base64.write(&signature));
    let secret = format!("whpk_{}", crypto::Encoding::Base64.write(&public));
    assert!(is_proved("standard-webhooks", &Try { secret: &secret, headers: &headers(&signature), body, now, ..Try::default() }));
    let other = &Try { secret: &secret, headers: &headers(&signature), body: r#"{"test": 1}"#, now, ..Try::default() };
    assert!(is_wrong("standard-webhooks", other));
}

// lehuygiang28/vnpay, its own tests.
#[test]
fn vnpay() {
    let query = "vnp_Amount=1000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+2024-05-21T02%3A17%3A31.249Z&vnp_PayDate=20240521091806&vnp_ResponseCode=00&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=14422574&vnp_TransactionStatus=00&vnp_TxnRef=1716257871703";
    let signature = crypto::Method::HmacSha512.sign(b"test_secret", query.as_bytes()).unwrap();
    assert!(hex::encode(&signature).starts_with("649982421beb42") && hex::encode(&signature).ends_with("72895"));
    let signed = format!("{query}&vnp_SecureHash={}", hex::encode(&signature));
    let verified = attempt("vnpay", &Try { secret: "test_secret", query: &signed, ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("1716257871703", OrderStatus::Paid));
    assert_eq!(facts.amount.unwrap().minor, 10_000, "a hundred times too many, also of dong");
    assert_eq!(facts.event_at, Some(Timestamp::from_seconds(1_716_257_886)), "on Vietnam's clock");

    let shuffled: Vec<_> = signed.split('&').rev().collect();
    let shuffled = format!("{}&vnp_SecureHashType=SHA512&vnp_Empty=", shuffled.join("&"));
    assert!(attempt("vnpay", &Try { secret: "test_secret", query: &shuffled, ..Try::default() }).is_ok(), "in any order");
    let mixed = signed.replace("vnp_TransactionStatus=00", "vnp_TransactionStatus=02");
    assert!(is_wrong("vnpay", &Try { secret: "test_secret", query: &mixed, ..Try::default() }));
    let posted = attempt("vnpay", &Try { secret: "test_secret", body: &signed, ..Try::default() }).unwrap_err();
    assert_eq!(posted.reason, RefusalReason::WrongMethod);
    let other = Try { secret: "test_secret", query: &signed, options: options(&[("terminal", "OTHER")]), ..Try::default() };
    assert_eq!(attempt("vnpay", &other).unwrap_err().reason, RefusalReason::WrongMerchant);
}

// Computed from the documented list of fields; the same construction as an example of the first version.
#[test]
fn momo() {
    let body = r#"{"partnerCode":"DEMOPARTNER","orderId":"ORDER-1","requestId":"REQ-1","amount":1000,"orderInfo":"Pay with MoMo","orderType":"momo_wallet","transId":1000000001,"resultCode":0,"message":"Successful.","payType":"qr","responseTime":1700000000000,"extraData":"","signature":"9c5f8524c48a382201f3bf4da9ceb63bdd3552215a558f7bf1f477a833532233"}"#;
    fn one(body: &str) -> Try<'_> {
        Try { secret: "demo_momo_secret", options: options(&[("access-key", "DEMOACCESSKEY")]), body, ..Try::default() }
    }
    let verified = attempt("momo", &one(body)).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.status, facts.amount.unwrap().minor), (OrderStatus::Paid, 1_000));
    assert!(is_wrong("momo", &one(&body.replace("\"amount\":1000", "\"amount\":1000.0"))), "numbers are compared as written");
    assert!(is_wrong("momo", &one(&body.replace("\"resultCode\":0", "\"resultCode\":9000"))));
    let twice = body.replace("\"amount\":1000,", "\"amount\":1000,\"amount\":1,");
    assert_eq!(attempt("momo", &one(&twice)).unwrap_err().reason, RefusalReason::Malformed);
    assert!(is_wrong("momo", &Try { secret: "demo_momo_secret", body, ..Try::default() }), "without the access key");
}

// payos.vn, the webhook page's example.
#[test]
fn payos() {
    let body = r#"{"code":"00","desc":"success","success":true,"data":{"orderCode":123,"amount":3000,"description":"VQRIO123","accountNumber":"12345678","reference":"TF230204212323","transactionDateTime":"2023-02-04 18:25:00","currency":"VND","paymentLinkId":"124c33293c43417ab7879e14c8d9eb18","code":"00","desc":"Thành công","counterAccountBankId":"","counterAccountBankName":"","counterAccountName":"","counterAccountNumber":"","virtualAccountName":"","virtualAccountNumber":""},"signature":"412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"}"#;
    let secret = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
    let verified = attempt("payos", &Try { secret, body, ..Try::default() }).unwrap();
    assert_eq!(verified.events[0].facts.status, OrderStatus::Paid);
    assert_eq!(verified.events[0].facts.reference, "123");
    let with_null = body.replace("\"counterAccountName\":\"\"", "\"counterAccountName\":null");
    assert!(attempt("payos", &Try { secret, body: &with_null, ..Try::default() }).is_ok(), "null is signed as nothing");
    assert!(is_wrong("payos", &Try { secret, body: &body.replace("3000", "30000"), ..Try::default() }));
}

// docs.zalopay.vn, the callback of the public sandbox application 2553.
#[test]
fn zalopay() {
    let sample = r#"{"data":"{\"app_id\":2553,\"app_trans_id\":\"200904_1\",\"amount\":1000,\"server_time\":1599189392817,\"zp_trans_id\":200904000000389}","mac":"MAC","type":1}"#;
    let secret = "kLtgPl8HHhfvMuDHPwKfgfsY4Ydm9eIz";
    let data = r#"{"app_id":2553,"app_trans_id":"200904_1","amount":1000,"server_time":1599189392817,"zp_trans_id":200904000000389}"#;
    let mac = hex::encode(crypto::Method::HmacSha256.sign(secret.as_bytes(), data.as_bytes()).unwrap());
    let body = sample.replace("MAC", &mac);
    let verified = attempt("zalopay", &Try { secret, body: &body, ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.reference.as_str(), facts.status, facts.amount.unwrap().minor), ("200904_1", OrderStatus::Paid, 1_000));
    assert!(is_wrong("zalopay", &Try { secret, body: &body.replace("1000", "1"), ..Try::default() }));
    let broken = body.replace(r#"{\"app_id\""#, r#"[\"app_id\""#);
    assert_eq!(attempt("zalopay", &Try { secret, body: &broken, ..Try::default() }).unwrap_err().reason, RefusalReason::Malformed);
}

// Adyen's library, its own tests: what is between colons is taken as it is.
#[test]
fn adyen() {
    let secret = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let item = |signature: &str, event: &str| {
        format!(
            r#"{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"{signature}"}},"amount":{{"value":1130,"currency":"EUR"}},"pspReference":"7914073381342284","eventCode":"{event}","eventDate":"2019-06-28T18:03:50+01:00","merchantAccountCode":"TestMerchant","merchantReference":"TestPayment-1407325143704","paymentMethod":"visa","success":"true"}}}}"#
        )
    };
    let right = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=";
    let post = |items: &[String]| format!(r#"{{"live":"false","notificationItems":[{}]}}"#, items.join(","));
    let authorised = item(right, "AUTHORISATION");
    let verified = attempt("adyen", &Try { secret, body: &post(&[authorised.clone()]), ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.status, facts.test, facts.amount.unwrap().minor), (OrderStatus::Authorized, true, 1_130));
    let automatic = Try { secret, body: &post(&[authorised.clone()]), options: options(&[("capture", "automatic")]), ..Try::default() };
    assert_eq!(attempt("adyen", &automatic).unwrap().events[0].facts.status, OrderStatus::Paid);
    let two = post(&[authorised.clone(), authorised.clone()]);
    assert_eq!(attempt("adyen", &Try { secret, body: &two, ..Try::default() }).unwrap().events.len(), 2);
    let one_forged = post(&[authorised, item(right, "CAPTURE")]);
    assert!(is_wrong("adyen", &Try { secret, body: &one_forged, ..Try::default() }), "all or nothing");
    for body in [post(&[]), r#"{"live":"true"}"#.to_owned(), r#"{"notificationItems":[1]}"#.to_owned()] {
        assert!(attempt("adyen", &Try { secret, body: &body, ..Try::default() }).is_err(), "{body}");
    }
}

// paddle-python-sdk, its own tests.
#[test]
fn paddle() {
    let secret = "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh";
    let preset = preset("paddle");
    let message = preset.signatures[0].method[0].sign(secret.as_bytes(), b"1696195954:hello-world").unwrap();
    assert_eq!(hex::encode(message), "d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02");
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
        for status in statuses {
            let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish(preset, status)).unwrap();
            let verified = take(preset, &secret, &options, &posted).unwrap_or_else(|refused| panic!("{name} {status:?}: {refused:?}"));
            assert_eq!(verified.events.len(), 1, "{name} {status:?}");
            let Event { facts, outgoing } = &verified.events[0];
            assert_eq!(facts.status, status, "{name} {}", facts.vendor_status);
            assert!(facts.reference.contains("100200300") || facts.external.contains("100200300"), "{name} {facts:?}");
            assert!(!facts.test, "{name}");
            if let Some(outgoing) = outgoing {
                let form = Form::parse(outgoing).unwrap();
                let left = twocheckout::facts(&form).unwrap();
                assert_eq!(left.reference, facts.reference, "{name}");
                let is_part = status == OrderStatus::PartiallyRefunded;
                let leaves_as = match status {
                    OrderStatus::PartiallyRefunded => OrderStatus::Refunded,
                    OrderStatus::Created => OrderStatus::Pending,
                    status => status,
                };
                assert_eq!(left.status, leaves_as, "{name}");
                assert!(!form.text("IPN_PID").is_empty() && !form.text("IPN_PNAME").is_empty() && form.text("IPN_DATE").len() == 14);
                if preset.order.amount.is_some() && !is_part {
                    assert_eq!(left.amount.unwrap().minor.abs(), 50_000, "{name} {status:?}");
                }
                assert_eq!(form.text("GATEWAY"), name.name());
            }
            altered(preset, &secret, &options, &posted);
            let other = take(preset, &format!("{}00", secret.replace('4', "5").replace('t', "u")), &options, &posted);
            assert!(other.is_err(), "{name}: with another secret");
        }
    }
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
    let secret = simulate::trial_secret(&adyen);
    let of = |preset: &Preset, status| {
        let options = simulate::trial_options(preset);
        let secret = simulate::trial_secret(preset);
        let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish(preset, status)).unwrap();
        take(preset, &secret, &options, &posted).unwrap().events.remove(0).facts
    };
    assert!(!secret.is_empty());
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
fn answers_by_outcome() {
    let body = |name: &str, outcome| answer(&preset(name), outcome).map(|answer| (answer.status, answer.body)).unwrap_or_default();
    let wrong = Outcome::Refused(RefusalReason::WrongSignature);
    for (outcome, code) in
        [(Outcome::Stored, "00"), (Outcome::Repeated, "02"), (Outcome::Differs, "04"), (wrong, "97"), (Outcome::NotStored, "99")]
    {
        let (status, body) = body("vnpay", outcome);
        assert!(status == 200 && body.contains(&format!("\"RspCode\":\"{code}\"")), "{body}");
    }
    assert_eq!(body("momo", Outcome::Stored), (204, String::new()));
    assert_eq!(body("momo", wrong).0, 400);
    assert_eq!(body("adyen", Outcome::Repeated), (200, "[accepted]".to_owned()));
    assert!(body("onepay", wrong).1.starts_with("responsecode=0"));
    assert!(body("zalopay", Outcome::NotStored).1.contains("\"return_code\":0"));
    assert!(body("stripe", Outcome::NotStored).0 == 0, "the general answer: come again");
    assert_eq!(body("stripe", Outcome::Refused(RefusalReason::FieldMissing)).0, 200, "about no order");
    assert_eq!(answer(&preset("2checkout"), wrong), None);
}

#[test]
fn a_file_that_is_wrong_says_where_and_what() {
    let text = include_str!("presets/stripe.toml");
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
                prop_assert!(verify(preset, credentials, &request).is_err() || preset.ignore.is_some());
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
    let _: Gateway = preset("momo").id;
}
