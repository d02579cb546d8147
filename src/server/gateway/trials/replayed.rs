//! A message that somebody has seen must not come as a new one: its number is of what is signed.

use super::*;
use crate::server::gateway::crypto::Method as Mac;

fn signed(name: &str, secret: &str, header: &str, method: Mac, body: &str, more: &[(&str, &str)]) -> Verified {
    let sign = hex::encode(method.sign(secret.as_bytes(), body.as_bytes()).unwrap());
    let headers: Vec<(&str, &str)> = [(header, sign.as_str())].into_iter().chain(more.iter().copied()).collect();
    attempt(name, &Try { secret, headers: &headers, body, ..Try::default() }).unwrap()
}

#[test]
fn razorpay_tells_repeats_by_what_it_signs() {
    let body = |event: &str, status: &str, at: u32| {
        format!(
            r#"{{"account_id":"acc_1","event":"{event}","payload":{{"payment":{{"entity":{{"id":"pay_1","order_id":"order_1","amount":100,"currency":"INR","status":"{status}"}}}}}},"created_at":{at}}}"#
        )
    };
    let facts = |body: &str, id: &str| {
        signed("razorpay", "s", "X-Razorpay-Signature", Mac::HmacSha256, body, &[("x-razorpay-event-id", id)])
            .events
            .remove(0)
            .facts
    };
    let paid = body("payment.captured", "captured", 10);
    assert_eq!(facts(&paid, "a").message_id, facts(&paid, "b").message_id, "the header is nobody's word");
    assert!(!facts(&paid, "a").message_id.is_empty());
    assert_ne!(facts(&paid, "a").message_id, facts(&body("payment.captured", "captured", 11), "a").message_id);
    assert_ne!(facts(&paid, "a").message_id, facts(&body("order.paid", "captured", 10), "a").message_id);
}

#[test]
fn a_moment_that_has_not_come_holds_back_nothing() {
    let at = |created: i64| {
        let body = format!(
            r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{{"id":"pay_1","order_id":"order_1","status":"captured"}}}}}},"created_at":{created}}}"#
        );
        signed("razorpay", "s", "X-Razorpay-Signature", Mac::HmacSha256, &body, &[]).events.remove(0).facts.event_at
    };
    let now = NOW.micros() / 1_000_000;
    for (created, is_told) in
        [(now - 86_400, true), (now, true), (now + 86_400, true), (now + 3 * 86_400, false), (253_402_300_799, false)]
    {
        assert_eq!(at(created), is_told.then(|| Timestamp::from_seconds(created)), "{created}");
    }
}

/// Event and payment can disagree: razorpay-python's own sample does.
#[test]
fn of_event_and_payment_the_one_further_along_counts() {
    for (event, status, expected) in [
        ("payment.authorized", "authorized", OrderStatus::Authorized),
        ("payment.authorized", "captured", OrderStatus::Paid),
        ("payment.captured", "captured", OrderStatus::Paid),
        ("payment.captured", "refunded", OrderStatus::Refunded),
        ("payment.failed", "captured", OrderStatus::Paid),
        ("payment.failed", "failed", OrderStatus::Failed),
        ("order.paid", "captured", OrderStatus::Paid),
        ("payment.dispute.lost", "captured", OrderStatus::Reversed),
    ] {
        let body = format!(
            r#"{{"event":"{event}","payload":{{"payment":{{"entity":{{"id":"pay_1","order_id":"order_1","status":"{status}"}}}}}},"created_at":1}}"#
        );
        let facts = signed("razorpay", "s", "X-Razorpay-Signature", Mac::HmacSha256, &body, &[]).events.remove(0).facts;
        assert_eq!(facts.status, expected, "{event} {status}");
    }
}

#[test]
fn zalopay_says_paid_by_what_it_signs() {
    let of = |data: &str, kind: u8| {
        let mac = hex::encode(Mac::HmacSha256.sign(b"k", data.as_bytes()).unwrap());
        let mut text = Vec::new();
        json::write_text(data, &mut text);
        let body = format!(r#"{{"data":{},"mac":"{mac}","type":{kind}}}"#, String::from_utf8(text).unwrap());
        attempt("zalopay", &Try { secret: "k", body: &body, ..Try::default() }).unwrap().events.remove(0).facts.status
    };
    let paid = r#"{"app_id":1,"app_trans_id":"200904_1","amount":1000,"zp_trans_id":200904000000389,"server_time":1}"#;
    let agreed = r#"{"app_id":1,"app_trans_id":"200904_1","binding_id":"b","pay_token":"t","server_time":1}"#;
    assert_eq!((of(paid, 1), of(paid, 2)), (OrderStatus::Paid, OrderStatus::Paid), "type is not signed");
    assert_eq!((of(agreed, 1), of(agreed, 2)), (OrderStatus::Unmapped, OrderStatus::Unmapped));
}

#[test]
fn skrill_proves_no_other_order() {
    let preset = preset("skrill");
    let posted = simulate::sign(&preset, b"secret", &GatewayOptions::default(), &wish(&preset, OrderStatus::Paid)).unwrap();
    let facts = |body: &[u8]| {
        let posted = simulate::Posted { body: body.to_vec(), ..posted.clone() };
        take(&preset, "secret", &GatewayOptions::default(), &posted).unwrap().events.remove(0).facts
    };
    let text = String::from_utf8(posted.body.clone()).unwrap();
    let other = text.replace("mb_transaction_id=4711", "mb_transaction_id=9999");
    assert_ne!(text, other);
    let (genuine, other) = (facts(text.as_bytes()), facts(other.as_bytes()));
    assert_eq!(
        (&genuine.reference, &genuine.message_id),
        (&other.reference, &other.message_id),
        "Skrill does not sign its own number"
    );
    assert_eq!(genuine.reference, "100200300");
}

#[test]
fn each_partial_refund_at_xsolla_is_a_message_of_its_own() {
    let of = |amount: u32| {
        let body = format!(
            r#"{{"notification_type":"partial_refund","transaction":{{"id":7,"payment_date":"2026-03-01T12:00:00Z"}},"payment_details":{{"payment":{{"currency":"USD","amount":{amount}}}}}}}"#
        );
        let sign = hex::encode(Mac::Sha1.sign(b"", format!("{body}k").as_bytes()).unwrap());
        let value = format!("Signature {sign}");
        let one = Try { secret: "k", headers: &[("Authorization", &value)], body: &body, ..Try::default() };
        attempt("xsolla", &one).unwrap().events.remove(0).facts
    };
    assert_ne!(of(1).message_id, of(2).message_id);
    assert_eq!(of(1).message_id, of(1).message_id);
    assert_eq!(of(1).status, OrderStatus::PartiallyRefunded);
}

#[test]
fn a_return_that_fastspring_sends_again_by_hand_is_the_same_one() {
    let of = |event: &str, created: u64, back: &str| {
        let body = format!(
            r#"{{"events":[{{"id":"{event}","created":{created},"type":"return.created","live":true,"data":{{"return":"{back}","changed":1751896963416,"reference":"R","currency":"USD","totalReturn":5.00,"original":{{"id":"FS1"}}}}}}]}}"#
        );
        let sign = crypto::Encoding::Base64.write(&Mac::HmacSha256.sign(b"k", body.as_bytes()).unwrap());
        let one = Try { secret: "k", headers: &[("X-FS-Signature", &sign)], body: &body, ..Try::default() };
        let facts = attempt("fastspring", &one).unwrap().events.remove(0).facts;
        (facts.message_id, facts.event_at)
    };
    assert_eq!(of("e1", 1, "R1"), of("e2", 2, "R1"));
    assert_ne!(of("e1", 1, "R1"), of("e1", 1, "R2"));
}

#[test]
fn a_number_beside_the_one_that_svix_signed_makes_no_new_message() {
    let body = r#"{"type":"payment.succeeded","data":{"order_id":"A-1"}}"#;
    let (secret, time) = ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "1772366400");
    let key = crypto::KeyForm::Base64.read(secret.as_bytes()).unwrap();
    let mac = Mac::HmacSha256.sign(&key, format!("msg_1.{time}.{body}").as_bytes()).unwrap();
    let sign = format!("v1,{}", crypto::Encoding::Base64.write(&mac));
    let genuine = [("svix-id", "msg_1"), ("svix-timestamp", time), ("svix-signature", sign.as_str())];
    let id = |more: &[(&str, &str)]| {
        let headers = [&genuine, more].concat();
        let taken = attempt("standard-webhooks", &Try { secret, headers: &headers, body, ..Try::default() });
        taken.map(|mut taken| taken.events.remove(0).facts.message_id)
    };
    assert_eq!(id(&[]).unwrap(), "msg_1");
    assert_eq!(id(&[("webhook-id", "msg_2"), ("webhook-timestamp", time)]).unwrap(), "msg_1", "it is not signed");
    // Of two sets the first decides, and it is wrong; one that is none leaves the other as it is.
    assert_eq!(
        id(&[("webhook-id", "msg_2"), ("webhook-timestamp", time), ("webhook-signature", &sign)]).unwrap_err().reason,
        RefusalReason::WrongSignature
    );
    assert_eq!(id(&[("webhook-id", "msg_2"), ("webhook-signature", "none")]).unwrap(), "msg_1");
}
