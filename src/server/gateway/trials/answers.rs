//! The exact answers that gateways know, for each outcome. What is written here is what their documents say, once more: a change
//! of a description must be a change of this, too.

use super::*;

/// Status and body for stored, repeated, another amount, refused, unreadable, not stored; `None` is the answer of the house.
type Row = (&'static str, [Option<(u16, &'static str)>; 6]);

const OK: Option<(u16, &str)> = Some((200, "OK\n"));
const EMPTY: Option<(u16, &str)> = Some((200, ""));
const NO_CONTENT: Option<(u16, &str)> = Some((204, ""));
const HOUSE: Option<(u16, &str)> = None;
const REFUSED_400: Option<(u16, &str)> = Some((400, "Refused.\n"));
const REFUSED_401: Option<(u16, &str)> = Some((401, "Refused.\n"));
const REFUSED_403: Option<(u16, &str)> = Some((403, "Refused.\n"));

const TABLE: &[Row] = &[
    ("2checkout", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("adyen", [accepted(), accepted(), accepted(), REFUSED_401, HOUSE, HOUSE]),
    ("authorize-net", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("coinbase-commerce", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("coinpayments", [ipn_ok(), ipn_ok(), ipn_ok(), HOUSE, HOUSE, HOUSE]),
    ("digistore24", [said("OK"), said("OK"), said("OK"), REFUSED_403, HOUSE, HOUSE]),
    ("fastspring", [OK, OK, OK, REFUSED_403, HOUSE, HOUSE]),
    ("lemon-squeezy", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("mollie", [OK, OK, OK, REFUSED_403, HOUSE, HOUSE]),
    ("mollie-classic", [EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, HOUSE]),
    ("momo", [NO_CONTENT, NO_CONTENT, NO_CONTENT, REFUSED_400, REFUSED_400, HOUSE]),
    (
        "onepay",
        [
            said("responsecode=1&desc=confirm-success"),
            said("responsecode=1&desc=confirm-success"),
            said("responsecode=0&desc=confirm-fail"),
            said("responsecode=0&desc=confirm-fail"),
            said("responsecode=0&desc=confirm-fail"),
            HOUSE,
        ],
    ),
    ("paddle", [OK, OK, OK, REFUSED_400, HOUSE, HOUSE]),
    (
        "payos",
        [
            said(r#"{"success":true}"#),
            said(r#"{"success":true}"#),
            said(r#"{"success":true}"#),
            Some((400, r#"{"success":false}"#)),
            HOUSE,
            HOUSE,
        ],
    ),
    ("paypal", [EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, HOUSE]),
    ("paypal-webhooks", [EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, HOUSE]),
    ("paytabs", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("payu", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("przelewy24", [said("OK"), said("OK"), said("OK"), HOUSE, HOUSE, HOUSE]),
    ("razorpay", [OK, OK, OK, REFUSED_400, HOUSE, HOUSE]),
    ("skrill", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    ("square", [OK, OK, OK, REFUSED_403, HOUSE, HOUSE]),
    ("standard-webhooks", [OK, OK, OK, REFUSED_400, HOUSE, HOUSE]),
    ("stripe", [OK, OK, OK, REFUSED_400, HOUSE, HOUSE]),
    (
        "vnpay",
        [
            said(r#"{"RspCode":"00","Message":"Confirm Success"}"#),
            said(r#"{"RspCode":"02","Message":"Order already confirmed"}"#),
            said(r#"{"RspCode":"04","Message":"Invalid amount"}"#),
            said(r#"{"RspCode":"97","Message":"Invalid signature"}"#),
            said(r#"{"RspCode":"99","Message":"Input data required"}"#),
            said(r#"{"RspCode":"99","Message":"Unknown error"}"#),
        ],
    ),
    ("webmoney", [said("YES"), said("YES"), said("YES"), REFUSED_403, HOUSE, HOUSE]),
    (
        "xsolla",
        [
            NO_CONTENT,
            NO_CONTENT,
            NO_CONTENT,
            Some((400, r#"{"error":{"code":"INVALID_SIGNATURE","message":"Invalid signature"}}"#)),
            Some((400, r#"{"error":{"code":"INVALID_PARAMETER","message":"Invalid parameter"}}"#)),
            HOUSE,
        ],
    ),
    ("yoomoney", [OK, OK, OK, HOUSE, HOUSE, HOUSE]),
    (
        "zalopay",
        [
            said(r#"{"return_code":1,"return_message":"success"}"#),
            said(r#"{"return_code":1,"return_message":"success"}"#),
            said(r#"{"return_code":1,"return_message":"success"}"#),
            said(r#"{"return_code":-1,"return_message":"mac not equal"}"#),
            said(r#"{"return_code":-1,"return_message":"invalid request"}"#),
            said(r#"{"return_code":0,"return_message":"try again"}"#),
        ],
    ),
];

const fn said(body: &'static str) -> Option<(u16, &'static str)> {
    Some((200, body))
}

const fn accepted() -> Option<(u16, &'static str)> {
    said("[accepted]")
}

const fn ipn_ok() -> Option<(u16, &'static str)> {
    said("IPN OK")
}

#[test]
fn every_outcome_is_answered_as_the_gateway_knows_it() {
    let outcomes = [
        Outcome::Stored,
        Outcome::Repeated,
        Outcome::Differs,
        Outcome::Refused(RefusalReason::WrongSignature),
        Outcome::Refused(RefusalReason::Malformed),
        Outcome::NotStored,
    ];
    for (name, row) in TABLE {
        for (outcome, expected) in outcomes.into_iter().zip(row) {
            let given = answer(&preset(name), outcome).map(|answer| (answer.status, answer.body));
            let expected = expected.map(|(status, body)| (status, body.to_owned()));
            assert_eq!(given, expected, "{name} {outcome:?}");
        }
    }
    // Those that answer as their kin do.
    let kin = ["2checkout-lcn", "payu-liveupdate"];
    for preset in Gateways::shared().all() {
        let name = preset.id.name();
        assert!(TABLE.iter().any(|(known, _)| *known == name) || kin.contains(&name), "{name} is not in the table");
    }
}

#[test]
fn no_answer_tells_which_part_was_wrong() {
    let reasons = [
        RefusalReason::NoSignature,
        RefusalReason::WrongSignature,
        RefusalReason::Stale,
        RefusalReason::WrongMerchant,
        RefusalReason::WrongMode,
        RefusalReason::AddressNotAllowed,
    ];
    for preset in Gateways::shared().all() {
        let answers: Vec<_> = reasons.iter().map(|reason| answer(preset, Outcome::Refused(*reason))).collect();
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{}", preset.id);
    }
}

/// Nor whether a signature was wrong or none at all.
#[test]
fn a_signature_of_another_form_is_answered_like_one_that_is_wrong() {
    let mut tried = 0;
    for preset in Gateways::shared().all() {
        let (secret, options) = (simulate::trial_secret(preset), simulate::trial_options(preset));
        let wish = wish(preset, simulate::statuses(preset)[0]);
        let posted = simulate::sign(preset, secret.as_bytes(), &options, &wish).unwrap();
        let is_signature = |name: &&HeaderName| {
            let is_it = |origin: &preset::Origin| matches!(origin, preset::Origin::Header(known) if known == name.as_str());
            preset.signatures.iter().any(|signature| is_it(&signature.from))
        };
        for name in posted.headers.keys().filter(is_signature) {
            for value in ["none", "sha256", "sha512=", "t=1", "v2,AAAA", "Signature", "algorithm=MD5;content=DOCUMENT"] {
                let mut spoilt = posted.clone();
                spoilt.headers.insert(name.clone(), HeaderValue::from_static(value));
                let refused = take(preset, &secret, &options, &spoilt).unwrap_err();
                let answers =
                    [refused.reason, RefusalReason::WrongSignature].map(|reason| answer(preset, Outcome::Refused(reason)));
                assert_eq!(answers[0], answers[1], "{} {value}", preset.id);
                assert_eq!(refused.reason, RefusalReason::WrongSignature, "{} {value}: {}", preset.id, refused.detail);
                tried += 1;
            }
        }
    }
    assert!(tried > 70, "{tried}");
}

/// PayPal switches IPN off for an account whose messages are answered with errors; nor may the answer tell the receiver.
#[test]
fn paypal_hears_the_same_whoever_the_receiver_is() {
    let options = options(&[("receiver", "me@shop.example")]);
    let told = |receiver: &str| {
        let body = format!("txn_id=1&payment_status=Completed&receiver_email={receiver}");
        match attempt("paypal", &Try { options: options.clone(), body: &body, ..Try::default() }) {
            Ok(_) => answer(&preset("paypal"), Outcome::Stored),
            Err(refused) => answer(&preset("paypal"), Outcome::Refused(refused.reason)),
        }
    };
    assert_eq!(told("me%40shop.example"), told("other%40shop.example"));
    assert_eq!(told("me%40shop.example").map(|answer| (answer.status, answer.body)), Some((200, String::new())));
}

#[test]
fn what_is_about_no_payment_is_acknowledged() {
    assert_eq!(answer(&preset("stripe"), Outcome::Refused(RefusalReason::FieldMissing)).unwrap().status, 200);
}
