//! Money given back and disputes: what a message says of them, and what it must not say of the order.

use super::*;
use crate::domain::order::{Refunds, Standing};

fn facts_of(name: &str, body: &str) -> OrderFacts {
    events_of(name, body, &[]).remove(0).facts
}

/// What a message says that is signed with the gateway's own first way.
fn events_of(name: &str, body: &str, options_of: &[(&str, &str)]) -> Vec<Event> {
    let mut preset = (*preset(name)).clone();
    let (secret, options) = (simulate::trial_secret(&preset), options(options_of));
    preset.sample.case[0].body = Some(body.to_owned());
    let case = preset.sample.case[0].clone();
    let posted = simulate::sign_case(&preset, &case, secret.as_bytes(), &options, &wish(&preset, case.status)).unwrap();
    take(&preset, &secret, &options, &posted).unwrap().events
}

/// The status of an order after some messages.
fn after(messages: &[OrderFacts]) -> OrderStatus {
    let (mut standing, mut refunds, mut amount): (Option<Standing>, _, _) = (None, Refunds::default(), None);
    for facts in messages {
        let said = Standing::of(facts, NOW);
        refunds = refunds.and(facts.refund);
        if standing.is_none_or(|known| known.is_replaced_by(said)) {
            standing = Some(standing.map_or(said, |known| known.after(said)));
            amount = facts.amount.map(|money| money.minor).or(amount);
        }
    }
    refunds.settle(standing.unwrap().status, amount)
}

#[test]
fn a_payment_refunded_at_square_stays_refunded() {
    let payment = |second: u8, refunded: &str| {
        facts_of(
            "square",
            &format!(
                r#"{{"type":"payment.updated","event_id":"e{second}","created_at":"2026-03-01T12:00:{second:02}Z","data":{{"object":{{"payment":{{"id":"P1","status":"COMPLETED","amount_money":{{"amount":100,"currency":"USD"}}{refunded}}}}}}}}}"#
            ),
        )
    };
    // Square's reference, Payment: amount_money is without the tip, total_money with it.
    let tipped = |second: u8, refunded: &str| {
        let total = r#","tip_money":{"amount":20,"currency":"USD"},"total_money":{"amount":120,"currency":"USD"}"#;
        payment(second, &format!("{total}{refunded}"))
    };
    let refund = |second: u8, word: &str, amount: u32| {
        facts_of(
            "square",
            &format!(
                r#"{{"type":"refund.updated","event_id":"r{second}","created_at":"2026-03-01T12:00:{second:02}Z","data":{{"object":{{"refund":{{"id":"R1","status":"{word}","payment_id":"P1","amount_money":{{"amount":{amount},"currency":"USD"}},"created_at":"2026-03-01T12:00:05Z"}}}}}}}}"#
            ),
        )
    };
    let back = |amount: u32| format!(r#","refunded_money":{{"amount":{amount},"currency":"USD"}}"#);
    assert_eq!(after(&[payment(1, ""), refund(6, "COMPLETED", 100)]), OrderStatus::Refunded, "all of it");
    assert_eq!(after(&[payment(1, ""), refund(6, "COMPLETED", 40)]), OrderStatus::PartiallyRefunded);
    let whole = [payment(1, ""), refund(6, "COMPLETED", 100), payment(9, &back(100))];
    assert_eq!(after(&whole), OrderStatus::Refunded, "the payment says COMPLETED, and is refunded");
    assert_eq!(payment(9, &back(40)).status, OrderStatus::PartiallyRefunded, "what leaves says so, too");
    assert_eq!(tipped(1, "").amount.unwrap().minor, 120);
    for (amount, expected) in [(100, OrderStatus::PartiallyRefunded), (120, OrderStatus::Refunded)] {
        assert_eq!(after(&[tipped(1, ""), refund(6, "COMPLETED", amount)]), expected, "the tip is part of it: {amount}");
        assert_eq!(tipped(9, &back(amount)).status, expected, "{amount}");
    }
    let (first, again) = (refund(6, "COMPLETED", 40), refund(8, "COMPLETED", 40));
    assert_eq!((first.message_id, first.event_at), (again.message_id, again.event_at), "written anew, and the same refund");
    assert_eq!(refund(6, "PENDING", 40).status, OrderStatus::Unmapped);
}

#[test]
fn a_refund_that_failed_at_adyen_is_taken_back() {
    let item = |event: &str, amount: u32, second: u8| {
        facts_of(
            "adyen",
            &format!(
                r#"{{"live":"true","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"%signature%"}},"amount":{{"currency":"EUR","value":{amount}}},"eventCode":"{event}","eventDate":"2026-03-01T12:00:{second:02}Z","merchantAccountCode":"M","merchantReference":"R","originalReference":"PSP1","pspReference":"E{second}","success":"true"}}}}]}}"#
            ),
        )
    };
    let paid = item("CAPTURE", 100, 1);
    assert_eq!(after(&[paid.clone(), item("REFUND", 100, 2)]), OrderStatus::Refunded);
    assert_eq!(after(&[paid.clone(), item("REFUND", 100, 2), item("REFUND_FAILED", 100, 3)]), OrderStatus::Paid);
    let two = [paid.clone(), item("REFUND", 40, 2), item("REFUND", 60, 3), item("REFUND_FAILED", 60, 4)];
    assert_eq!(after(&two), OrderStatus::PartiallyRefunded, "the first one stands");
    let then = [paid, item("REFUND", 100, 2), item("REFUND_FAILED", 100, 3), item("REFUND", 30, 4)];
    assert_eq!(after(&then), OrderStatus::PartiallyRefunded, "what failed is not counted any more");
    let charged = item("CHARGEBACK", 30, 5);
    assert_eq!((charged.status, charged.amount), (OrderStatus::Reversed, None), "what is disputed is not what the order costs");
}

#[test]
fn an_adjustment_that_paddle_tells_twice_is_the_same_one() {
    let told = |event: &str, kind: &str, adjustment: &str, status: &str, total: u32, second: u8| {
        facts_of(
            "paddle",
            &format!(
                r#"{{"event_id":"evt_{event}","event_type":"adjustment.{kind}","occurred_at":"2026-03-01T12:00:{second:02}Z","data":{{"id":"adj_{adjustment}","action":"refund","type":"partial","transaction_id":"txn_1","status":"{status}","currency_code":"USD","totals":{{"total":"{total}"}}}}}}"#
            ),
        )
    };
    let waits = told("1", "created", "a", "pending_approval", 40, 1);
    let approved = told("2", "updated", "a", "approved", 40, 2);
    assert_ne!(waits.message_id, approved.message_id, "the approval is news");
    assert_eq!((waits.refund, approved.refund), (None, Some(Refund::Part(40))));
    let (made, changed) = (told("3", "created", "b", "approved", 30, 3), told("4", "updated", "b", "approved", 30, 4));
    // Two events at two moments: the number alone tells that they are one (`store/identity`), so that it is summed up once.
    assert_ne!(made.event_at, changed.event_at);
    assert_eq!((made.message_id.as_str(), made.refund), ("refund adj_b approved", changed.refund));
    assert_eq!(made.message_id, changed.message_id, "approved once, whatever the event is called");
    assert_ne!(made.message_id, approved.message_id, "another adjustment");
    let transaction = |event: &str| {
        facts_of(
            "paddle",
            &format!(
                r#"{{"event_id":"evt_{event}","event_type":"transaction.updated","occurred_at":"2026-03-01T12:00:00Z","data":{{"id":"txn_1","status":"completed","currency_code":"USD","details":{{"totals":{{"grand_total":"100"}}}}}}}}"#
            ),
        )
    };
    assert_eq!(transaction("5").message_id, "evt_5", "a transaction is told by its events");
}

#[test]
fn an_inquiry_at_stripe_changes_nothing() {
    let dispute = |kind: &str, status: &str| {
        facts_of(
            "stripe",
            &format!(
                r#"{{"id":"evt_1","created":1772366400,"livemode":true,"type":"charge.dispute.{kind}","data":{{"object":{{"id":"dp_1","object":"dispute","payment_intent":"pi_1","amount":30,"currency":"usd","status":"{status}"}}}}}}"#
            ),
        )
    };
    for (kind, status, expected) in [
        ("created", "warning_needs_response", OrderStatus::Unmapped),
        ("closed", "warning_closed", OrderStatus::Unmapped),
        ("created", "needs_response", OrderStatus::Reversed),
        ("funds_withdrawn", "needs_response", OrderStatus::Reversed),
        ("closed", "lost", OrderStatus::Reversed),
        ("closed", "won", OrderStatus::Paid),
        ("funds_reinstated", "won", OrderStatus::Paid),
    ] {
        let facts = dispute(kind, status);
        assert_eq!((facts.status, facts.amount), (expected, None), "{kind} {status}");
    }
    let events = events_of(
        "stripe",
        r#"{"id":"evt_1","created":1,"type":"charge.dispute.created","data":{"object":{"id":"dp_1","object":"dispute","payment_intent":"pi_1","amount":30,"currency":"usd","status":"lost"}}}"#,
        &[],
    );
    let form = Form::parse(events[0].outgoing.as_deref().unwrap()).unwrap();
    assert_eq!(form.text("IPN_TOTALGENERAL"), "0.30", "it leaves all the same");
}

/// docs.adyen.com/development-resources/currency-codes and docs.stripe.com/currencies: not everybody counts as ISO 4217 does.
#[test]
fn amounts_are_counted_as_the_gateway_counts() {
    let adyen = |currency: &str, value: u64| {
        facts_of(
            "adyen",
            &format!(
                r#"{{"live":"true","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"%signature%"}},"amount":{{"currency":"{currency}","value":{value}}},"eventCode":"CAPTURE","merchantReference":"R","pspReference":"P","success":"true"}}}}]}}"#
            ),
        )
    };
    let stripe = |currency: &str, value: u64| {
        let body = format!(
            r#"{{"id":"evt_1","created":1,"type":"payment_intent.succeeded","data":{{"object":{{"id":"pi_1","amount":{value},"currency":"{currency}"}}}}}}"#
        );
        facts_of("stripe", &body)
    };
    let decimal = |facts: OrderFacts| facts.amount.map(|money| money.decimal());
    for (facts, expected) in [
        (adyen("CLP", 150_000), Some("1500")),
        (adyen("CLP", 150_050), None),
        (adyen("CVE", 1_500), Some("1500.00")),
        (adyen("IDR", 1_500), Some("1500.00")),
        (adyen("ISK", 150_000), Some("1500")),
        (adyen("JPY", 1_500), Some("1500")),
        (adyen("EUR", 1_500), Some("15.00")),
        (adyen("KWD", 1_500), Some("1.500")),
        (stripe("isk", 150_000), Some("1500")),
        (stripe("ugx", 150_000), Some("1500")),
        (stripe("huf", 150_000), Some("1500.00")),
        (stripe("twd", 150_000), Some("1500.00")),
        (stripe("vnd", 1_500), Some("1500")),
        (stripe("usd", 1_500), Some("15.00")),
    ] {
        assert_eq!(decimal(facts.clone()).as_deref(), expected, "{facts:?}");
    }
}

/// OnePay signs the currency: an amount in dollars is none in dong.
#[test]
fn onepay_says_which_currency_an_amount_is_in() {
    let amount = |currency: &str| {
        let body = format!("vpc_Amount=150000{currency}\nvpc_MerchTxnRef=R\nvpc_TxnResponseCode=0\nvpc_SecureHash=%signature%");
        facts_of("onepay", &body).amount.map(|money| (money.decimal(), money.currency.code().to_owned()))
    };
    let told = |decimal: &str, code: &str| Some((decimal.to_owned(), code.to_owned()));
    assert_eq!(amount("\nvpc_CurrencyCode=USD"), told("1500.00", "USD"));
    assert_eq!(amount("\nvpc_CurrencyCode=VND"), told("1500", "VND"));
    assert_eq!(amount(""), told("1500", "VND"), "where it is not said");
    assert_eq!(amount("\nvpc_CurrencyCode=704"), None, "no code of three letters is not dong for all that");
}

#[test]
fn what_was_given_back_is_not_what_the_order_costs() {
    let body =
        "txn_id=R1&parent_txn_id=P1&payment_status=Reversed&mc_gross=-5.00&mc_currency=USD&receiver_email=me%40shop.example";
    let told = options(&[("receiver", "me@shop.example")]);
    let facts = attempt("paypal", &Try { options: told, body, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.status, facts.amount), (OrderStatus::Reversed, None));
    let partial = |kind: &str| {
        facts_of(
            "paddle",
            &format!(
                r#"{{"event_id":"e","event_type":"adjustment.updated","occurred_at":"2026-03-01T12:00:00Z","data":{{"id":"adj_1","action":"refund","type":"{kind}","transaction_id":"txn_1","status":"approved","currency_code":"USD","totals":{{"total":"30"}}}}}}"#
            ),
        )
    };
    assert_eq!((partial("partial").status, partial("full").status), (OrderStatus::PartiallyRefunded, OrderStatus::Refunded));
    assert_eq!((partial("partial").amount, partial("partial").refund), (None, Some(Refund::Part(30))));
}

/// An order can be tried to pay several times: each payment stands for itself, and none of what becomes of it touches another.
#[test]
fn a_second_payment_at_razorpay_leaves_the_first_alone() {
    let told = |event: &str, payment: &str, status: &str, more: &str, second: u8| {
        facts_of(
            "razorpay",
            &format!(
                r#"{{"event":"{event}","payload":{{"payment":{{"entity":{{"id":"{payment}","order_id":"order_1","amount":100,"currency":"INR","status":"{status}","notes":[]}}}}{more}}},"created_at":17723664{second:02}}}"#
            ),
        )
    };
    let order = r#","order":{"entity":{"id":"order_1","receipt":"R-1","amount":100,"currency":"INR","status":"paid"}}"#;
    let paid = told("payment.captured", "pay_1", "captured", "", 1);
    assert_eq!((paid.reference.as_str(), paid.external.as_str()), ("pay_1", "order_1"));
    for later in [
        told("payment.failed", "pay_2", "failed", "", 2),
        told("payment.authorized", "pay_2", "authorized", "", 2),
        told(
            "refund.processed",
            "pay_2",
            "refunded",
            r#","refund":{"entity":{"id":"rfnd_1","payment_id":"pay_2","amount":100}}"#,
            3,
        ),
    ] {
        assert_eq!((later.reference.as_str(), &later.external), ("pay_2", &paid.external), "{}", later.vendor_status);
    }
    for same in [
        told("order.paid", "pay_1", "captured", order, 2),
        told("payment.dispute.lost", "pay_1", "captured", r#","dispute":{"entity":{"id":"disp_1","payment_id":"pay_1"}}"#, 3),
        facts_of(
            "razorpay",
            r#"{"event":"refund.processed","payload":{"refund":{"entity":{"id":"rfnd_1","payment_id":"pay_1","amount":100}}},"created_at":1772366403}"#,
        ),
    ] {
        assert_eq!(same.reference, paid.reference, "{}", same.vendor_status);
    }
    let link =
        r#","order":{"entity":{"id":"order_1"}},"payment_link":{"entity":{"id":"plink_1","reference_id":"TS-1","amount":200}}"#;
    let part = told("payment_link.partially_paid", "pay_1", "captured", link, 1);
    assert_eq!((part.reference.as_str(), part.external.as_str(), part.status), ("pay_1", "TS-1", OrderStatus::Paid));
    assert_eq!(part.amount.unwrap().minor, 100, "what this payment was of, not what the link asks for");
    let expired = events_of(
        "razorpay",
        r#"{"event":"payment_link.expired","payload":{"payment_link":{"entity":{"id":"plink_1"}}},"created_at":1}"#,
        &[],
    );
    assert!(expired.is_empty(), "nobody paid");
}

#[test]
fn refunds_and_chargebacks_of_mollies_next_generation_reach_their_payment() {
    let event = |number: u8, kind: &str, entity: &str| {
        format!(
            r#"{{"resource":"event","id":"event_{number}","type":"{kind}","entityId":"x","createdAt":"2026-03-01T12:00:{number:02}Z","_embedded":{{"entity":{{{entity}}}}}}}"#
        )
    };
    let of = |number: u8, kind: &str, entity: &str| facts_of("mollie", &event(number, kind, entity));
    let payment = r#""resource":"payment","id":"tr_1","mode":"live","description":"Order 7","amount":{"value":"10.00","currency":"EUR"},"metadata":{"order_id":"7"}"#;
    let refund = |number: u8, word: &str, value: &str| {
        let entity = format!(
            r#""resource":"refund","id":"re_1","mode":"live","description":"Broken","status":"{word}","amount":{{"value":"{value}","currency":"EUR"}},"paymentId":"tr_1","metadata":null"#
        );
        of(number, &format!("refund.{word}"), &entity)
    };
    let charged = |number: u8, kind: &str| {
        let entity = r#""resource":"chargeback","id":"chb_1","amount":{"value":"10.00","currency":"EUR"},"paymentId":"tr_1""#;
        of(number, kind, entity)
    };
    let (waits, paid) = (of(1, "payment.pending", payment), of(2, "payment.paid", payment));
    assert_eq!((waits.status, paid.status, paid.external.as_str()), (OrderStatus::Pending, OrderStatus::Paid, "7"));
    let (part, all) = (refund(5, "refunded", "2.50"), refund(5, "refunded", "10.00"));
    assert_eq!((part.reference.as_str(), part.external.as_str(), part.amount), ("tr_1", "", None));
    assert_eq!(after(&[paid.clone(), refund(3, "queued", "2.50"), refund(4, "processing", "2.50")]), OrderStatus::Paid);
    assert_eq!(after(&[paid.clone(), part.clone()]), OrderStatus::PartiallyRefunded);
    assert_eq!(after(&[paid.clone(), all]), OrderStatus::Refunded);
    assert_eq!(after(&[paid.clone(), refund(3, "pending", "2.50"), refund(4, "failed", "2.50")]), OrderStatus::Paid);
    let (received, won) = (charged(6, "chargeback.received"), charged(7, "chargeback.reversed"));
    assert_eq!((received.reference.as_str(), received.amount, won.amount), ("tr_1", None, None));
    assert_eq!(after(&[paid.clone(), received.clone()]), OrderStatus::Reversed);
    assert_eq!(after(&[paid, part, received, won]), OrderStatus::PartiallyRefunded, "paid again, but for what was given back");
    assert!(events_of("mollie", &event(8, "payout.completed", r#""id":"po_1""#), &[]).is_empty(), "about no payment");
}

/// yaml/Webhooks-v1.yaml of Adyen/adyen-openapi: what each event code means, and its example.
#[test]
fn what_adyen_reverses_or_does_not_capture_is_not_paid() {
    let item = |event: &str, success: bool, action: &str, second: u8| {
        let action = if action.is_empty() { String::new() } else { format!(r#","modification.action":"{action}""#) };
        facts_of(
            "adyen",
            &format!(
                r#"{{"live":"true","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"%signature%"{action}}},"amount":{{"currency":"EUR","value":100}},"eventCode":"{event}","eventDate":"2026-03-01T12:00:{second:02}Z","merchantAccountCode":"M","merchantReference":"R","originalReference":"PSP1","pspReference":"E{second}","success":"{success}"}}}}]}}"#
            ),
        )
    };
    let (authorised, paid) = (item("AUTHORISATION", true, "", 0), item("CAPTURE", true, "", 1));
    let then = |event: &str, success: bool, action: &str| after(&[paid.clone(), item(event, success, action, 2)]);
    for (event, success, action, expected) in [
        ("CANCEL_OR_REFUND", true, "refund", OrderStatus::Refunded),
        ("CANCEL_OR_REFUND", true, "cancel", OrderStatus::Cancelled),
        ("CANCEL_OR_REFUND", true, "", OrderStatus::Refunded),
        ("CANCEL_OR_REFUND", true, "something", OrderStatus::Refunded),
        ("CANCEL_OR_REFUND", false, "refund", OrderStatus::Paid),
        ("CAPTURE_FAILED", true, "", OrderStatus::Failed),
        ("CAPTURE", false, "", OrderStatus::Paid),
        ("REFUND", false, "", OrderStatus::Paid),
        ("CANCELLATION", false, "", OrderStatus::Paid),
        ("VOID_PENDING_REFUND", true, "", OrderStatus::Paid),
        ("PREARBITRATION_LOST", true, "", OrderStatus::Reversed),
        ("SCHEME_ARBITRATION_LOST", true, "", OrderStatus::Reversed),
    ] {
        assert_eq!(then(event, success, action), expected, "{event} {success} {action}");
    }
    assert_eq!(after(&[authorised.clone(), item("CAPTURE", false, "", 2)]), OrderStatus::Authorized, "it was not captured");
    assert_eq!(after(&[authorised, item("CANCEL_OR_REFUND", true, "cancel", 2)]), OrderStatus::Cancelled);
    let again = [paid.clone(), item("CAPTURE_FAILED", true, "", 2), item("CAPTURE", true, "", 3)];
    assert_eq!(after(&again), OrderStatus::Paid, "Adyen captured it once more");
    assert_eq!(
        after(&[item("SCHEME_ARBITRATION_LOST", true, "", 2), item("SCHEME_ARBITRATION_WON", true, "", 3)]),
        OrderStatus::Paid
    );
    // Nobody signs the action: whoever changes it makes no payment of what went back.
    let all = ["", "refund", "cancel", "capture"].map(|action| then("CANCEL_OR_REFUND", true, action));
    assert!(!all.contains(&OrderStatus::Paid), "{all:?}");
}
