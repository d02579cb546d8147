//! One language out: what any gateway said, in the fields of a 2Checkout notification. docs/GATEWAYS.md has the table.

use super::{Preset, preset::Reading};
use crate::domain::{Money, OrderStatus, Timestamp, order::Refund};
use crate::server::ipn::Form;
use bytes::Bytes;
use jiff::fmt::strtime;

/// The word of ours that a merchant's script knows (documentation of 2Checkout: *IPN triggers*).
pub(super) const fn order_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Created | OrderStatus::Pending => "PENDING",
        OrderStatus::Authorized => "PAYMENT_AUTHORIZED",
        OrderStatus::Paid => "COMPLETE",
        OrderStatus::PartiallyRefunded | OrderStatus::Refunded => "REFUND",
        OrderStatus::Reversed => "REVERSED",
        OrderStatus::Cancelled => "CANCELED",
        OrderStatus::Failed => "INVALID",
        // None of 2Checkout's: a script that does not know it must not act upon it.
        OrderStatus::Unmapped => "UNMAPPED",
    }
}

/// The form that leaves, without signatures.
pub(super) fn translate(preset: &Preset, reading: &Reading, now: Timestamp) -> Vec<u8> {
    let facts = &reading.facts;
    let at = facts.event_at.unwrap_or(now);
    let is_refund = matches!(facts.status, OrderStatus::Refunded | OrderStatus::PartiallyRefunded);
    // Of a refund what is given back, with a minus sign, as 2Checkout prints it.
    let total = reading.told.map(|told| match facts.refund {
        Some(Refund::Part(part) | Refund::Total(part)) if is_refund => Money { minor: -part.saturating_abs(), ..told },
        _ if is_refund => Money { minor: -told.minor.saturating_abs(), ..told },
        _ => told,
    });
    let amount = total.map(|money| money.decimal()).unwrap_or_default();
    let product = if reading.product.is_empty() { format!("Order {}", facts.reference) } else { reading.product.clone() };
    let product_id = if reading.product_id.is_empty() { "1" } else { &reading.product_id };
    let method = if reading.payment_method.is_empty() { &preset.label } else { &reading.payment_method };
    let sold_at = moment(at, "%Y-%m-%d %H:%M:%S");
    let dated: String = sold_at.chars().filter(char::is_ascii_digit).collect();
    let (first, last) = facts.customer.rsplit_once(' ').unwrap_or(("", &facts.customer));
    let mut form = Form::default();
    for (name, value) in [
        ("SALEDATE", sold_at.as_str()),
        ("REFNO", &facts.reference),
        ("REFNOEXT", &facts.external),
        ("ORDERSTATUS", order_status(facts.status)),
        ("PAYMETHOD", method),
        ("FIRSTNAME", first),
        ("LASTNAME", last),
        ("CUSTOMEREMAIL", &facts.email),
        ("TIMEZONE_OFFSET", "GMT+00:00"),
        ("CURRENCY", total.as_ref().map_or("", |money| money.currency.code())),
        ("IPN_PID[]", product_id),
        ("IPN_PNAME[]", &product),
        ("IPN_QTY[]", "1"),
        ("IPN_PRICE[]", &amount),
        ("IPN_TOTAL[]", &amount),
        ("IPN_TOTALGENERAL", &amount),
        ("MESSAGE_ID", &facts.message_id),
        ("MESSAGE_TYPE", order_status(facts.status)),
        ("TEST_ORDER", if facts.test { "1" } else { "0" }),
        ("IPN_DATE", &dated),
        // Of our own: whose words they were.
        ("GATEWAY", preset.id.name()),
        ("GATEWAY_STATUS", &facts.vendor_status),
        ("CANONICAL_STATUS", facts.status.code()),
    ] {
        form.push(name.as_bytes(), value.as_bytes());
    }
    form.encode()
}

/// A form that leaves, with another status.
pub(super) fn restated(form: &[u8], status: OrderStatus) -> Bytes {
    let Ok(mut form) = Form::parse(form) else { return Bytes::copy_from_slice(form) };
    for (name, word) in
        [("ORDERSTATUS", order_status(status)), ("MESSAGE_TYPE", order_status(status)), ("CANONICAL_STATUS", status.code())]
    {
        for field in form.fields.iter_mut().filter(|field| *field.name == *name.as_bytes()) {
            field.value = word.as_bytes().into();
        }
    }
    form.encode().into()
}

/// A moment in UTC; empty for one that no calendar has.
fn moment(at: Timestamp, format: &str) -> String {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok();
    at.and_then(|at| strtime::format(format, at).ok()).unwrap_or_default()
}
