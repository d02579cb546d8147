//! Gateways that are asked back: what they are asked, and what their answers mean.

use super::*;
use crate::server::gateway::simulate::Posted;
use sha2::{Digest as _, Sha384};

fn request<'a>(posted: &'a Posted, body: &'a [u8]) -> Request<'a> {
    Request {
        method: &posted.method,
        query: &posted.query,
        headers: &posted.headers,
        body,
        url: ["https://a.example", "/ipn/1"],
        now: NOW,
        date: "",
    }
}

pub fn confirmed_by(
    preset: &Preset,
    secret: &str,
    options: &GatewayOptions,
    posted: &Posted,
    answer: &str,
) -> Result<Verified, Refused> {
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options };
    confirmed(preset, credentials, &request(posted, &posted.body), answer.as_bytes(), NOW)
}

fn asked(name: &str, secret: &str, options: &GatewayOptions, body: &[u8], token: Option<&str>) -> Result<Step, Refused> {
    let preset = preset(name);
    let posted = Posted { method: Method::POST, query: String::new(), headers: HeaderMap::new(), body: Vec::new() };
    let credentials = Credentials { secret: secret.as_bytes(), required: Algorithms::ALL, options };
    preset.asking(credentials, &request(&posted, body), token)
}

fn word(step: Step) -> Asking {
    match step {
        Step::Word(asking) => asking,
        Step::Token(asking) => panic!("a token is asked for at {}", asking.url),
    }
}

fn header(asking: &Asking, name: &str) -> String {
    let found = asking.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[test]
fn paypal_gets_its_message_back_byte_for_byte() {
    // 0xE9 is an é of windows-1252, and not UTF-8; the encoding of the star and of the small digits is not ours.
    let body = b"txn_id=1&first_name=Ren\xe9%e9&memo=a+b%20*%7e&charset=windows-1252&receiver_email=me%40shop.example&empty=";
    let options = options(&[("receiver", "me@shop.example")]);
    let asking = word(asked("paypal", "", &options, body, None).unwrap());
    assert_eq!(asking.body, [b"cmd=_notify-validate&", &body[..]].concat());
    assert_eq!((asking.method.as_str(), asking.url.as_str()), ("POST", "https://ipnpb.paypal.com/cgi-bin/webscr"));
    assert_eq!(header(&asking, "content-type"), "application/x-www-form-urlencoded");
    let sandbox = super::options(&[("receiver", "x"), (MODE, "test")]);
    assert_eq!(word(asked("paypal", "", &sandbox, body, None).unwrap()).url, "https://ipnpb.sandbox.paypal.com/cgi-bin/webscr");
    let own =
        super::options(&[("receiver", "x"), (MODE, "test"), (CONFIRM_BASE, "http://127.0.0.1:9/"), (CONFIRM_AUTHORITY, "PEM")]);
    let asking = word(asked("paypal", "", &own, body, None).unwrap());
    assert_eq!((asking.url.as_str(), asking.authority.as_str()), ("http://127.0.0.1:9/cgi-bin/webscr", "PEM"));
}

#[test]
fn texts_of_paypal_are_read_in_their_character_set() {
    let facts = |body: &'static str| {
        let options = options(&[("receiver", "me@shop.example")]);
        let verified = attempt("paypal", &Try { options, body, ..Try::default() }).unwrap();
        assert!(verified.unconfirmed, "nothing counts before PayPal was asked");
        verified.events[0].facts.clone()
    };
    let message = "txn_id=61E&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=Me%40Shop.example&first_name=Ren%E9&last_name=%8Aved&payer_email=R%40x.example&payment_date=04%3A00%3A00+Mar+01%2C+2026+PST&charset=windows-1252";
    let read = facts(message);
    assert_eq!((read.customer.as_str(), read.email.as_str(), read.reference.as_str()), ("René Šved", "r@x.example", "61E"));
    assert_eq!((read.status, read.amount.unwrap().minor, read.event_at), (OrderStatus::Paid, 1_995, Some(NOW)));
    let read = facts("txn_id=61E&first_name=%8e%a9%8dz&charset=Shift_JIS&receiver_email=me%40shop.example");
    assert_eq!((read.customer.as_str(), read.status), ("自鉱", OrderStatus::Unmapped), "{read:?}");
    let read = facts("txn_id=61E&first_name=%C3%A9&charset=no-such-set&receiver_email=me%40shop.example");
    assert_eq!(read.customer, "é");
}

#[test]
fn what_paypal_would_confirm_for_somebody_else_is_refused_before() {
    let options = |mode: &str| options(&[("receiver", "me@shop.example"), (MODE, mode)]);
    let reason = |mode: &str, body: &str| {
        attempt("paypal", &Try { options: options(mode), body, ..Try::default() })
            .map(|taken| taken.events.len())
            .map_err(|refused| refused.reason)
    };
    let mine = "txn_id=1&payment_status=Completed&receiver_email=me%40shop.example";
    assert_eq!(reason("", mine), Ok(1));
    assert_eq!(
        reason("", "txn_id=1&payment_status=Completed&receiver_email=you%40shop.example"),
        Err(RefusalReason::WrongMerchant)
    );
    assert_eq!(reason("", "txn_id=1&payment_status=Completed"), Err(RefusalReason::WrongMerchant));
    // In the sandbox anybody can pay anybody with play money.
    let play = format!("{mine}&test_ipn=1");
    assert_eq!(
        (reason("", &play), reason("live", &play), reason("test", &play)),
        (Err(RefusalReason::WrongMode), Err(RefusalReason::WrongMode), Ok(1))
    );
    assert_eq!(reason("test", mine), Err(RefusalReason::WrongMode));
    assert_eq!(reason("", "payment_status=Completed&receiver_email=me%40shop.example"), Err(RefusalReason::FieldMissing));
    assert_eq!(reason("", "txn_type=subscr_signup&subscr_id=S-1&receiver_email=me%40shop.example"), Ok(0), "about no payment");
}

#[test]
fn without_its_number_the_bytes_of_a_message_tell() {
    let id = |body: &str| {
        let options = options(&[("receiver", "m@s")]);
        attempt("paypal", &Try { options, body, ..Try::default() }).unwrap().events[0].facts.message_id.to_string()
    };
    assert_eq!(id("txn_id=1&payment_status=Pending&pending_reason=echeck&receiver_email=m%40s"), "1 Pending echeck");
    assert_eq!(id("parent_txn_id=1&payment_status=Completed&receiver_email=m%40s"), "");
}

#[test]
fn words_mean_what_they_say_and_nothing_else_does() {
    let paypal = preset("paypal");
    assert_eq!(paypal.word(200, b"VERIFIED"), Word::Yes);
    assert_eq!(paypal.word(200, b" VERIFIED\r\n"), Word::Yes);
    assert!(matches!(paypal.word(200, b"INVALID"), Word::No(_)));
    for (status, body) in [
        (200, &b""[..]),
        (200, b"VERIFIED INVALID"),
        (200, b"verified"),
        (200, b"<html>VERIFIED</html>"),
        (500, b"VERIFIED"),
        (302, b""),
        (403, b"Forbidden"),
        (404, b""),
    ] {
        assert!(matches!(paypal.word(status, body), Word::Unclear(_)), "{status} {body:?}");
    }
    let mollie = preset("mollie-classic");
    assert_eq!(mollie.word(200, b"{}"), Word::Yes, "what it says is read then");
    assert!(matches!(mollie.word(404, b"{}"), Word::No(_)));
    assert!(matches!(mollie.word(200, b"<html>"), Word::Unclear(_)) && matches!(mollie.word(401, b"{}"), Word::Unclear(_)));
    let p24 = preset("przelewy24");
    assert_eq!(p24.word(200, br#"{"data":{"status":"success"},"responseCode":0}"#), Word::Yes);
    for (status, body) in [(200, &b"{}"[..]), (400, br#"{"error":"x"}"#), (401, b""), (200, br#"{"data":{"status":"wait"}}"#)] {
        assert!(matches!(p24.word(status, body), Word::Unclear(_)), "{status}: a payment must not be given up for this");
    }
}

#[test]
fn mollie_is_asked_for_one_payment_and_no_other_address() {
    let none = GatewayOptions::default();
    let asking = word(asked("mollie-classic", "live_x", &none, b"id=tr_7UhSN1zuXS", None).unwrap());
    assert_eq!((asking.method.as_str(), asking.url.as_str()), ("GET", "https://api.mollie.com/v2/payments/tr_7UhSN1zuXS"));
    assert_eq!((header(&asking, "authorization").as_str(), asking.body.len()), ("Bearer live_x", 0));
    let tricky = word(asked("mollie-classic", "k", &none, b"id=..%2F..%2Fadmin%3Fx%23", None).unwrap());
    assert_eq!(tricky.url, "https://api.mollie.com/v2/payments/..%2F..%2Fadmin%3Fx%23");
    assert_eq!(
        word(asked("mollie-classic", "k", &none, b"id=..", None).unwrap()).url,
        "https://api.mollie.com/v2/payments/%2E%2E"
    );
    for nothing in [&b"id="[..], b"other=1"] {
        assert_eq!(asked("mollie-classic", "k", &none, nothing, None).unwrap_err().reason, RefusalReason::Malformed);
    }
    let newline = asked("mollie-classic", "k\r\nX: y", &none, b"id=tr_1", None).unwrap_err();
    assert_eq!(newline.reason, RefusalReason::Malformed, "nothing gets into the head of a question");
}

#[test]
fn refunds_and_chargebacks_at_mollie_are_seen() {
    let preset = preset("mollie-classic");
    let posted = Posted { method: Method::POST, query: String::new(), headers: HeaderMap::new(), body: b"id=tr_1".to_vec() };
    let facts =
        |answer: &str| confirmed_by(&preset, "k", &GatewayOptions::default(), &posted, answer).unwrap().events.remove(0).facts;
    let payment = |more: &str| {
        format!(r#"{{"id":"tr_1","mode":"test","status":"paid","amount":{{"value":"10.00","currency":"EUR"}}{more}}}"#)
    };
    let paid = facts(&payment(""));
    assert_eq!((paid.status, paid.test, paid.message_id.as_str()), (OrderStatus::Paid, true, "tr_1 paid"));
    let part = facts(&payment(r#","amountRefunded":{"value":"2.50","currency":"EUR"}"#));
    assert_eq!((part.status, part.refund), (OrderStatus::PartiallyRefunded, Some(Refund::Total(250))));
    assert_eq!(part.event_at, Some(NOW), "how it stands when it is asked");
    let more = facts(&payment(r#","amountRefunded":{"value":"5.00","currency":"EUR"}"#));
    assert_ne!(part.message_id, more.message_id, "a further refund is news");
    let back = facts(&payment(
        r#","amountRefunded":{"value":"0.00","currency":"EUR"},"amountChargedBack":{"value":"10.00","currency":"EUR"}"#,
    ));
    assert_eq!(back.status, OrderStatus::Reversed);
    let wrong = confirmed_by(&preset, "k", &GatewayOptions::default(), &posted, r#"{"resource":"list"}"#).unwrap_err();
    assert_eq!(wrong.reason, RefusalReason::FieldMissing);
}

#[test]
fn paypals_webhooks_ask_for_a_token_first_and_believe_no_body() {
    let options = options(&[("client-id", "AbC")]);
    let body =
        br#"{"id":"WH-1/..","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"id":"forged","amount":{"value":"1.00"}}}"#;
    let Step::Token(first) = asked("paypal-webhooks", "S:x", &options, body, None).unwrap() else {
        panic!("no token is asked for")
    };
    assert_eq!(
        (first.url.as_str(), &first.body[..]),
        ("https://api-m.paypal.com/v1/oauth2/token", &b"grant_type=client_credentials"[..])
    );
    assert_eq!(header(&first, "authorization"), "Basic QWJDOlM6eA==");
    let preset = preset("paypal-webhooks");
    assert_eq!(preset.token(200, br#"{"access_token":"T1","expires_in":1}"#), Ok("T1".to_owned()));
    assert!(preset.token(401, b"{}").unwrap_err().contains("credentials") && preset.token(200, b"{}").is_err());
    let asking = word(asked("paypal-webhooks", "S:x", &options, body, Some("T1")).unwrap());
    assert_eq!(asking.url, "https://api-m.paypal.com/v1/notifications/webhooks-events/WH-1%2F..");
    assert_eq!(header(&asking, "authorization"), "Bearer T1");
    let taken =
        attempt("paypal-webhooks", &Try { secret: "S", options, body: std::str::from_utf8(body).unwrap(), ..Try::default() })
            .unwrap();
    assert!(taken.unconfirmed && taken.events.is_empty(), "the body claims nothing");
}

/// The string of Przelewy24's documentation: JSON in this order, without escaped slashes, hashed with SHA-384.
#[test]
fn przelewy24_is_signed_and_asked_with_digests_of_json() {
    let hash = |text: &str| hex::encode(Sha384::digest(text.as_bytes()));
    let sign = hash(
        r#"{"merchantId":1,"posId":2,"sessionId":"a/ż","amount":100,"originAmount":100,"currency":"PLN","orderId":77,"methodId":25,"statement":"p24","crc":"c"}"#,
    );
    let body = format!(
        r#"{{"merchantId":1,"posId":2,"sessionId":"a\/\u017c","amount":100,"originAmount":100,"currency":"PLN","orderId":77,"methodId":25,"statement":"p24","sign":"{sign}"}}"#
    );
    let options = options(&[("api-key", "key")]);
    let taken = attempt("przelewy24", &Try { secret: "c", options: options.clone(), body: &body, ..Try::default() }).unwrap();
    assert!(taken.unconfirmed);
    assert_eq!(taken.events[0].facts.external, "a/ż");
    assert!(
        is_wrong("przelewy24", &Try { secret: "d", options: options.clone(), body: &body, ..Try::default() }),
        "refused before anything is asked"
    );
    let asking = word(asked("przelewy24", "c", &options, body.as_bytes(), None).unwrap());
    assert_eq!((asking.method.as_str(), asking.url.as_str()), ("PUT", "https://secure.przelewy24.pl/api/v1/transaction/verify"));
    assert_eq!(header(&asking, "authorization"), "Basic MjprZXk=");
    let digest = hash(r#"{"sessionId":"a/ż","orderId":77,"amount":100,"currency":"PLN","crc":"c"}"#);
    let expected =
        format!(r#"{{"merchantId":1,"posId":2,"sessionId":"a/ż","amount":100,"currency":"PLN","orderId":77,"sign":"{digest}"}}"#);
    assert_eq!(String::from_utf8(asking.body).unwrap(), expected);
}

#[test]
fn a_confirm_step_that_is_wrong_says_where_and_what() {
    let text = include_str!("../presets/paypal.toml");
    let told = |from: &str, to: &str| Preset::read(&text.replacen(from, to, 1)).unwrap_err();
    for (from, to, expected) in [
        ("base = \"https://ipnpb.paypal.com\"", "base = \"ipnpb.paypal.com\"", "confirm.base"),
        ("path = \"/cgi-bin/webscr\"", "path = \"/cgi-bin/{txn_id}\"", "|url"),
        ("yes = [\"VERIFIED\"]", "", "confirm.yes"),
        ("{@body}\"", "{@option.key}\"", "[[option]]"),
        ("yes = [\"VERIFIED\"]", "jes = [\"VERIFIED\"]", "jes"),
        ("body = \"form\"", "body = \"json\"", "charset"),
    ] {
        assert!(told(from, to).contains(expected), "{from}: {}", told(from, to));
    }
}

/// Whatever becomes of a payment reaches it: all of its messages bear the number of the capture.
#[test]
fn refunds_and_disputes_at_paypal_reach_their_payment() {
    let preset = preset("paypal-webhooks");
    let (secret, options) = (simulate::trial_secret(&preset), simulate::trial_options(&preset));
    for case in &preset.sample.case {
        let wish = wish(&preset, case.status);
        let posted = simulate::sign_case(&preset, case, secret.as_bytes(), &options, &wish).unwrap();
        let answer = simulate::answer_case(&preset, case, &options, &wish).unwrap();
        let facts = confirmed_by(&preset, &secret, &options, &posted, &answer).unwrap().events.remove(0).facts;
        assert_eq!(facts.reference, "CAP100200300", "{:?} {}", case.status, facts.vendor_status);
        let is_apart = matches!(case.status, OrderStatus::Refunded | OrderStatus::Reversed) || answer.contains("dispute_amount");
        assert_eq!(facts.amount.is_none(), is_apart, "{:?}: {facts:?}", case.status);
    }
}

/// developer.paypal.com, Disputes lifecycle stages reference and Disputes API: an inquiry takes no money, a claim does.
#[test]
fn a_dispute_at_paypal_counts_from_the_claim_on() {
    let preset = preset("paypal-webhooks");
    let (secret, options) = (simulate::trial_secret(&preset), simulate::trial_options(&preset));
    let posted = simulate::sign(&preset, secret.as_bytes(), &options, &wish(&preset, OrderStatus::Paid)).unwrap();
    let told = |event: &str, stage: &str, more: &str| {
        let answer = format!(
            r#"{{"id":"WH-1","create_time":"2026-03-01T12:00:00Z","event_type":"CUSTOMER.DISPUTE.{event}","resource":{{"dispute_id":"PP-D-1","disputed_transactions":[{{"seller_transaction_id":"CAP1"}}],"dispute_life_cycle_stage":"{stage}"{more}}}}}"#
        );
        confirmed_by(&preset, &secret, &options, &posted, &answer).unwrap().events.remove(0).facts.status
    };
    let ended = |outcome: &str, more: &str| {
        let more = format!(r#","status":"RESOLVED","dispute_outcome":{{"outcome_code":"{outcome}"}}{more}"#);
        ["INQUIRY", "CHARGEBACK"].map(|stage| told("RESOLVED", stage, &more))
    };
    let open = r#","status":"WAITING_FOR_SELLER_RESPONSE""#;
    for event in ["CREATED", "UPDATED"] {
        assert_eq!(told(event, "INQUIRY", open), OrderStatus::Unmapped, "{event}");
        for stage in ["CHARGEBACK", "PRE_ARBITRATION", "ARBITRATION"] {
            assert_eq!(told(event, stage, open), OrderStatus::Reversed, "{event} {stage}");
        }
    }
    assert_eq!(told("CREATED", "", open), OrderStatus::Reversed, "where no stage is told");
    assert_eq!(told("UPDATED", "CHARGEBACK", r#","status":"RESOLVED""#), OrderStatus::Unmapped, "it is over");
    let debit = r#","money_movements":[{"affected_party":"BUYER","type":"CREDIT"},{"affected_party":"SELLER","type":"DEBIT"}]"#;
    for (outcome, more, expected) in [
        ("RESOLVED_BUYER_FAVOUR", debit, OrderStatus::Reversed),
        ("RESOLVED_SELLER_FAVOUR", "", OrderStatus::Paid),
        ("CANCELED_BY_BUYER", "", OrderStatus::Paid),
        ("RESOLVED_WITH_PAYOUT", "", OrderStatus::Paid),
        ("RESOLVED_WITH_PAYOUT", r#","money_movements":[{"affected_party":"BUYER","type":"CREDIT"}]"#, OrderStatus::Paid),
        ("RESOLVED_WITH_PAYOUT", debit, OrderStatus::Reversed),
        ("NONE", "", OrderStatus::Unmapped),
    ] {
        assert_eq!(ended(outcome, more), [OrderStatus::Unmapped, expected], "{outcome} {more}");
    }
}
