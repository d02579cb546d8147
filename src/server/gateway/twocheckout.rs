//! 2Checkout, formerly Avangate, now of Verifone, and those who speak its protocol: PayU's LiveUpdate.
//!
//! Sources: 2Checkout documentation, *Instant Payment Notification (IPN)*: parameters, triggers, signature, receipt; *License
//! Change Notification (LCN)*: parameters, read receipt.

use super::{Acknowledgement, Adapter, Credentials, Event, PREVIOUS_SECRET, Refused, Request, Verified, reference, shown};
use crate::domain::{
    Algorithms, Money, OrderStatus, RefusalReason, Timestamp,
    money::Currency,
    order::{OrderFacts, Refund},
};
use crate::server::ipn::{
    Form, FormError, ReceiptFacts,
    signature::{self, Digest, SignatureCheck},
};
use compact_str::{CompactString, format_compact};
use jiff::{
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// A form whose signatures are right, and that names an order.
#[derive(Debug, Clone)]
pub struct Signed<'a> {
    pub facts: OrderFacts,
    /// It was signed with the secret before the present one.
    pub by_previous: bool,
    /// All right.
    pub signatures: Algorithms,
    /// The fields in received order.
    pub form: Form<'a>,
    /// By which it is known again.
    pub digest: Digest,
}

/// Checks a request, reads it, and makes its receipt.
pub(super) fn take(adapter: Adapter, credentials: Credentials<'_>, request: &Request<'_>) -> Result<Verified, Refused> {
    if request.method != http::Method::POST {
        return Err(Refused::because(RefusalReason::WrongMethod));
    }
    let mut room = Vec::new();
    let form = Form::parse_in(request.body, &mut room);
    let signed = match adapter {
        Adapter::TwoCheckout => verify_as(credentials, form, facts)?,
        Adapter::TwoCheckoutLicence => verify_as(credentials, form, licence)?,
    };
    let receipt = Some(acknowledge(credentials, &signed, request.date));
    Ok(Verified {
        events: vec![Event { facts: signed.facts, outgoing: None, digest: Some(signed.digest) }],
        signatures: signed.signatures,
        receipt,
        unconfirmed: false,
    })
}

/// Checks the form, its signatures, and that it names an order.
pub fn verify<'a>(credentials: Credentials<'_>, body: &'a [u8]) -> Result<Signed<'a>, Refused> {
    verify_as(credentials, Form::parse(body), facts)
}

fn verify_as<'a>(
    credentials: Credentials<'_>,
    form: Result<Form<'a>, FormError>,
    read: impl FnOnce(&Form<'a>) -> Option<OrderFacts>,
) -> Result<Signed<'a>, Refused> {
    let form = form.map_err(|error| match error {
        FormError::Empty => Refused::because(RefusalReason::Malformed),
        FormError::TooManyFields => Refused::because(RefusalReason::TooManyFields),
    })?;
    let source = signature::source(&form.fields);
    // While the account changes its secret, messages signed with either are taken, as a whole: not one signature by each.
    let previous = previous(&credentials).map(|previous| signature::check_over(&source, &form.fields, previous));
    let by_previous = matches!(previous, Some(SignatureCheck::Right(_)));
    let checked =
        previous.filter(|_| by_previous).unwrap_or_else(|| signature::check_over(&source, &form.fields, credentials.secret));
    let signatures = match checked {
        SignatureCheck::Right(signatures) => signatures,
        SignatureCheck::Missing => return Err(Refused::because(RefusalReason::NoSignature)),
        SignatureCheck::Wrong(algorithm) => {
            let tried = if previous.is_some() { "; neither the secret nor the previous one fits" } else { "" };
            let detail = format!("{} ({}) is wrong{tried}.", algorithm.field(), algorithm.label());
            return Err(Refused { reason: RefusalReason::WrongSignature, detail });
        }
    };
    if signatures.intersection(credentials.required).is_empty() {
        let detail = format!("Signed with {}; this listener requires {}.", signatures.labels(), credentials.required.labels());
        return Err(Refused { reason: RefusalReason::RequiredSignatureMissing, detail });
    }
    let facts = read(&form).ok_or(Refused::because(RefusalReason::FieldMissing))?;
    Ok(Signed { facts, by_previous, signatures, form, digest: signature::digest(&source) })
}

/// The secret before the present one, while it is being replaced.
fn previous<'c>(credentials: &Credentials<'c>) -> Option<&'c [u8]> {
    credentials.options.get(PREVIOUS_SECRET).map(str::as_bytes).filter(|secret| !secret.is_empty())
}

/// The read receipt, in the form of the strongest signature that came, with the secret that it was made with.
pub fn acknowledge(credentials: Credentials<'_>, signed: &Signed<'_>, date: &str) -> Acknowledgement {
    let secret = previous(&credentials).filter(|_| signed.by_previous).unwrap_or(credentials.secret);
    let receipt = signed.signatures.strongest().map(|algorithm| ReceiptFacts::of(&signed.form).receipt(algorithm, secret, date));
    Acknowledgement { status: 200, content_type: "text/html; charset=utf-8".into(), body: receipt.unwrap_or_default() }
}

/// What a notice about a licence says. It is no payment: its status is never mapped to one.
fn licence(form: &Form<'_>) -> Option<OrderFacts> {
    let text = |name: &str| shown(&form.text(name));
    let code = reference(&form.text("LICENSE_CODE"));
    if code.is_empty() {
        return None;
    }
    let vendor_status = match (text("DISPATCH_REASON"), text("STATUS")) {
        (reason, status) if reason.is_empty() => status,
        (reason, _) => reason,
    };
    Some(OrderFacts {
        reference: code,
        external: reference(&form.text("LAST_ORDER_REFERENCE")),
        email: text("EMAIL").to_lowercase(),
        customer: customer(&text("FIRST_NAME"), &text("LAST_NAME"), &text("COMPANY")),
        status: OrderStatus::Unmapped,
        vendor_status,
        amount: None,
        test: form.text("TEST") == "1",
        event_at: None,
        message_id: CompactString::default(),
        refund: None,
    })
}

/// The order that a body names, nothing else of which need be right; empty where it names none.
pub fn named(body: &[u8]) -> String {
    Form::parse(body).ok().and_then(|form| facts(&form)).map(|facts| facts.reference.to_string()).unwrap_or_default()
}

/// What the message says about its order; `None` where it names none.
pub fn facts(form: &Form<'_>) -> Option<OrderFacts> {
    let text = |name: &str| shown(&form.text(name));
    // Which fields come is a choice of the merchant's; some tick only REFNOEXT.
    let (reference, external) = (reference(&form.text("REFNO")), reference(&form.text("REFNOEXT")));
    let reference = if reference.is_empty() { external.clone() } else { reference };
    if reference.is_empty() {
        return None;
    }
    let vendor_status = text("ORDERSTATUS");
    // PayU's word for a test order.
    let vendor_status_is_test = vendor_status.eq_ignore_ascii_case("TEST");
    let told =
        Currency::parse(&form.text("CURRENCY")).and_then(|currency| Money::parse(&form.text("IPN_TOTALGENERAL"), currency));
    // What is given back stands with a minus sign, and is not what the order costs (documentation: *Refunds*).
    let status = status(&vendor_status);
    let back = told.filter(|money| money.minor < 0 && status == OrderStatus::Refunded);
    let refund = back.map(|money| Refund::Part(money.minor.saturating_neg()));
    let gives_back = matches!(status, OrderStatus::Refunded | OrderStatus::Reversed);
    let amount = told.filter(|money| money.minor >= 0 && !gives_back);
    Some(OrderFacts {
        reference,
        external,
        email: text("CUSTOMEREMAIL").to_lowercase(),
        customer: customer(&text("FIRSTNAME"), &text("LASTNAME"), &text("COMPANY")),
        status,
        vendor_status,
        amount,
        test: form.text("TEST_ORDER") == "1" || vendor_status_is_test,
        event_at: event_time(&form.text("IPN_DATE"), &form.text("TIMEZONE_OFFSET")),
        message_id: text("MESSAGE_ID"),
        refund,
    })
}

fn customer(first: &str, last: &str, company: &str) -> CompactString {
    match (first, last) {
        ("", "") => company.into(),
        ("", name) | (name, "") => name.into(),
        (first, last) => format_compact!("{first} {last}"),
    }
}

/// Our word for an ORDERSTATUS (documentation: *IPN triggers*, *Order flow*). `AUTHRECEIVED` is a status of the API
/// that some accounts' notifications carry too; the words after those of 2Checkout are PayU's.
fn status(vendor: &str) -> OrderStatus {
    match vendor.to_ascii_uppercase().as_str() {
        "PENDING" | "PENDING_APPROVAL" | "PURCHASE_PENDING" | "SUSPECT" | "WAITING_PAYMENT" | "IN_PROGRESS" => {
            OrderStatus::Pending
        }
        "PAYMENT_AUTHORIZED" | "PENDING_ORDER_APPROVAL" | "AUTHRECEIVED" => OrderStatus::Authorized,
        "PAYMENT_RECEIVED" | "COMPLETE" | "CASH" | "TEST" => OrderStatus::Paid,
        "REFUND" => OrderStatus::Refunded,
        "REVERSED" => OrderStatus::Reversed,
        "CANCELED" | "CANCELLED" | "TIMEOUT" => OrderStatus::Cancelled,
        "INVALID" | "CARD_NOTAUTHORIZED" | "NOT_FOUND" | "FRAUD" => OrderStatus::Failed,
        _ => OrderStatus::Unmapped,
    }
}

/// `IPN_DATE` is `YYYYMMDDHHMMSS` on the account's clock; `TIMEZONE_OFFSET` (`GMT+03:00`) says which, where it is
/// ticked. Without it the time is taken as UTC: orders of one account then still sort rightly among themselves.
fn event_time(date: &str, offset: &str) -> Option<Timestamp> {
    let moment = DateTime::strptime("%Y%m%d%H%M%S", date.trim()).ok()?;
    let offset = parse_offset(offset.trim()).unwrap_or(Offset::UTC);
    let zoned = moment.to_zoned(TimeZone::fixed(offset)).ok()?;
    Some(Timestamp(zoned.timestamp().as_microsecond()))
}

fn parse_offset(text: &str) -> Option<Offset> {
    let text = text.strip_prefix("GMT")?;
    let (sign, text) = match text.split_at_checked(1)? {
        // A decoder that turned the plus into a space is met in the wild.
        ("+" | " ", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Algorithm, GatewayOptions};
    use proptest::prelude::*;

    const KEY: &[u8] = b"AABBCCDDEEFF";

    fn credentials(required: Algorithms) -> Credentials<'static> {
        static NO_OPTIONS: GatewayOptions = GatewayOptions(std::collections::BTreeMap::new());
        Credentials { secret: KEY, required, options: &NO_OPTIONS }
    }

    fn signed(fields: &[(&str, &str)], algorithms: &[Algorithm]) -> Vec<u8> {
        signed_with(KEY, fields, algorithms)
    }

    fn signed_with(key: &[u8], fields: &[(&str, &str)], algorithms: &[Algorithm]) -> Vec<u8> {
        let mut form = Form::default();
        for (name, value) in fields {
            form.push(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        let source = signature::source(&form.fields);
        for algorithm in algorithms {
            form.push(algorithm.field().as_bytes(), signature::sign(*algorithm, key, &source).into_bytes());
        }
        form.encode()
    }

    const ORDER: [(&str, &str); 12] = [
        ("REFNO", "211153389"),
        ("REFNOEXT", "web-1"),
        ("ORDERSTATUS", "COMPLETE"),
        ("FIRSTNAME", "\u{c1}na"),
        ("LASTNAME", "Smith"),
        ("CUSTOMEREMAIL", "Ana@Example.com"),
        ("IPN_PID[]", "1"),
        ("IPN_PNAME[]", "Software program"),
        ("IPN_TOTALGENERAL", "529.00"),
        ("CURRENCY", "USD"),
        ("IPN_DATE", "20050303123434"),
        ("TIMEZONE_OFFSET", "GMT+02:00"),
    ];

    #[test]
    fn facts_are_read_in_our_words() {
        let body = signed(&ORDER, &[Algorithm::Md5]);
        let verified = verify(credentials(Algorithms::ALL), &body).unwrap();
        let facts = verified.facts;
        assert_eq!((facts.reference.as_str(), facts.external.as_str()), ("211153389", "web-1"));
        assert_eq!((facts.email.as_str(), facts.customer.as_str()), ("ana@example.com", "\u{c1}na Smith"));
        assert_eq!((facts.status, facts.vendor_status.as_str()), (OrderStatus::Paid, "COMPLETE"));
        assert_eq!(facts.amount.unwrap().minor, 52_900);
        assert!(!facts.test);
        assert_eq!(facts.event_at, Some(Timestamp::from_seconds(1_109_846_074)), "10:34:34 UTC");
    }

    #[test]
    fn the_receipt_has_the_form_of_the_strongest_signature() {
        for (algorithms, start) in [
            (&[Algorithm::Md5][..], "<EPAYMENT>20050303123434|"),
            (&[Algorithm::Sha2, Algorithm::Md5], "<sig algo=\"sha256\" date=\"20050303123434\">"),
            (&Algorithm::ALL, "<sig algo=\"sha3-256\" date=\"20050303123434\">"),
        ] {
            let body = signed(&ORDER, algorithms);
            let verified = verify(credentials(Algorithms::ALL), &body).unwrap();
            let answer = acknowledge(credentials(Algorithms::ALL), &verified, "20050303123434");
            assert!(answer.body.starts_with(start), "{}", answer.body);
        }
        let body = signed(&ORDER, &[Algorithm::Md5]);
        let verified = verify(credentials(Algorithms::ALL), &body).unwrap();
        let answer = acknowledge(credentials(Algorithms::ALL), &verified, "20050303123434");
        assert_eq!(answer.body, "<EPAYMENT>20050303123434|7bf97ed39681027d0c45aa45e3ea98f0</EPAYMENT>");
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let reason = |body: &[u8], required| verify(credentials(required), body).unwrap_err().reason;
        assert_eq!(reason(b"", Algorithms::ALL), RefusalReason::Malformed);
        assert_eq!(reason(&signed(&ORDER, &[]), Algorithms::ALL), RefusalReason::NoSignature);
        let md5 = signed(&ORDER, &[Algorithm::Md5]);
        let sha3 = Algorithms::NONE.with(Algorithm::Sha3);
        assert_eq!(reason(&md5, sha3), RefusalReason::RequiredSignatureMissing);
        let mut spoilt = md5;
        spoilt[8] ^= 1;
        assert_eq!(reason(&spoilt, Algorithms::ALL), RefusalReason::WrongSignature);
        let nameless = signed(&ORDER[2..], &[Algorithm::Md5]);
        assert_eq!(reason(&nameless, Algorithms::ALL), RefusalReason::FieldMissing);
    }

    #[test]
    fn while_the_secret_is_changed_either_signs_and_gets_its_own_receipt() {
        let options = GatewayOptions([(PREVIOUS_SECRET.to_owned(), "AABBCCDDEEFF".to_owned())].into());
        let both = Credentials { secret: b"new", required: Algorithms::ALL, options: &options };
        let body = signed(&ORDER, &[Algorithm::Md5]);
        let verified = verify(both, &body).unwrap();
        let answer = acknowledge(both, &verified, "20050303123434");
        assert_eq!(answer.body, "<EPAYMENT>20050303123434|7bf97ed39681027d0c45aa45e3ea98f0</EPAYMENT>");
        let new = Credentials { secret: KEY, ..both };
        assert!(verify(new, &body).is_ok(), "the present one as well");
        let neither = verify(both, &signed(&[("REFNO", "1"), ("HASH", &"0".repeat(32))], &[])).unwrap_err();
        assert_eq!(neither.reason, RefusalReason::WrongSignature);
        assert!(neither.detail.contains("previous"), "{}", neither.detail);
        let nothing = GatewayOptions([(PREVIOUS_SECRET.to_owned(), String::new())].into());
        let with_nothing = Credentials { options: &nothing, ..both };
        let empty = signed_with(b"", &ORDER, &[Algorithm::Md5]);
        assert!(verify(with_nothing, &empty).is_err(), "nothing is no secret");
    }

    /// PayU's words, on the same wire.
    #[test]
    fn words_of_payu_liveupdate() {
        for (word, expected, test) in [
            ("PAYMENT_AUTHORIZED", OrderStatus::Authorized, false),
            ("CASH", OrderStatus::Paid, false),
            ("TEST", OrderStatus::Paid, true),
            ("WAITING_PAYMENT", OrderStatus::Pending, false),
            ("IN_PROGRESS", OrderStatus::Pending, false),
            ("CARD_NOTAUTHORIZED", OrderStatus::Failed, false),
            ("FRAUD", OrderStatus::Failed, false),
            ("TIMEOUT", OrderStatus::Cancelled, false),
        ] {
            let body = signed(&[("REFNO", "1"), ("ORDERSTATUS", word)], &[Algorithm::Md5]);
            let facts = verify(credentials(Algorithms::ALL), &body).unwrap().facts;
            assert_eq!((facts.status, facts.test), (expected, test), "{word}");
        }
    }

    #[test]
    fn what_is_given_back_is_not_what_the_order_costs() {
        let facts = |status: &str, total: &str| {
            let fields = [("REFNO", "1"), ("ORDERSTATUS", status), ("IPN_TOTALGENERAL", total), ("CURRENCY", "USD")];
            verify(credentials(Algorithms::ALL), &signed(&fields, &[Algorithm::Sha2])).unwrap().facts
        };
        let refund = facts("REFUND", "-529.00");
        assert_eq!((refund.amount, refund.refund), (None, Some(Refund::Part(52_900))));
        let reversed = facts("REVERSED", "-529.00");
        assert_eq!((reversed.amount, reversed.refund), (None, None));
        let odd = facts("REFUND", "529.00");
        assert_eq!((odd.amount, odd.refund), (None, None), "nothing says that it is given back, nor that the order costs it");
    }

    #[test]
    fn an_account_that_ticks_only_refnoext_is_served() {
        let body = signed(&ORDER[1..], &[Algorithm::Sha2]);
        assert_eq!(verify(credentials(Algorithms::ALL), &body).unwrap().facts.reference, "web-1");
    }

    #[test]
    fn unknown_statuses_are_never_paid() {
        assert_eq!(status("complete"), OrderStatus::Paid);
        assert_eq!(status("COMPLETED_MAYBE"), OrderStatus::Unmapped);
        assert_eq!(status(""), OrderStatus::Unmapped);
    }

    #[test]
    fn times_that_cannot_be_read_are_left_out() {
        assert_eq!(event_time("20050303123434", ""), Some(Timestamp::from_seconds(1_109_853_274)));
        assert_eq!(event_time("20050303123434", "GMT-05:30"), Some(Timestamp::from_seconds(1_109_873_074)));
        for date in ["", "2005", "20051303123434", "00000000000000", "yesterday"] {
            assert_eq!(event_time(date, "GMT+02:00"), None, "{date}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_verified_or_refused_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = verify(credentials(Algorithms::ALL), &body);
        }

        #[test]
        fn any_signed_values_are_accepted(value in "\\PC{0,80}", name in "[A-Z_]{1,20}(\\[\\])?") {
            let name = format!("X{name}");
            let body = signed(&[("REFNO", "1"), (&name, &value), ("CURRENCY", &value), ("IPN_DATE", &value)], &Algorithm::ALL);
            prop_assert!(verify(credentials(Algorithms::ALL), &body).is_ok());
        }
    }
}
