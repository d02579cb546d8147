//! The JSON object that leaves. docs/NOTIFICATIONS.md documents every name in it; none is ever taken out or changes its
//! meaning. What it says is read from the fields that leave in the 2Checkout form, so the merchant's response tags hold here,
//! too; the same message gives the same bytes at every attempt.

use super::webhook::message_id;
use crate::domain::{Money, Tags, Timestamp, id::NotificationId, money::Currency, time::iso};
use crate::server::{
    gateway,
    ipn::{Form, signature},
    store::Original,
};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// The object.
#[derive(Debug, Serialize)]
struct Message {
    /// `order.` and our word for the status.
    r#type: String,
    /// When it happened, as the gateway says; where it does not say, when its message came.
    timestamp: String,
    data: Data,
}

#[derive(Debug, Serialize)]
struct Data {
    id: String,
    gateway: String,
    /// The gateway's own number of the message; empty where it has none.
    message_id: String,
    test: bool,
    received_at: String,
    /// `null` where the gateway does not say.
    event_at: Option<String>,
    order: Order,
    customer: Customer,
    payment_method: String,
    products: Vec<Product>,
    /// The fields of the gateway's message in received order, an object of one member each: names may come again.
    fields: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Order {
    reference: String,
    external_reference: String,
    status: &'static str,
    gateway_status: String,
    amount: Option<Amount>,
}

#[derive(Debug, Serialize)]
struct Customer {
    email: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct Product {
    id: String,
    code: String,
    name: String,
    /// `null` where it is no whole number.
    quantity: Option<u64>,
    unit_price: Option<Amount>,
    total: Option<Amount>,
}

/// Smallest units; negative where money is given back.
#[derive(Debug, Serialize)]
struct Amount {
    minor: i64,
    currency: String,
    /// Digits after the point: 10 to the power of it smallest units are one of the currency.
    exponent: u32,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.minor, currency: money.currency.code().to_owned(), exponent: money.currency.exponent() }
    }
}

#[derive(Debug)]
struct Named(String, String);

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.0, &self.1)?;
        map.end()
    }
}

/// The object for a message, in UTF-8; `None` where it is no message any more.
pub(super) fn message(original: &Original, id: NotificationId, tags: &Tags) -> Option<Vec<u8>> {
    let mut form = Form::parse(&original.leaves).ok()?;
    form.fields.retain(|field| leaves(&field.name, field.base_name(), tags));
    let text = |name: &str| form.text(name).into_owned();
    let currency = Currency::parse(&text("CURRENCY"));
    let money = |text: &str| currency.and_then(|currency| Money::parse(text, currency)).map(Amount::from);
    let moment = |at: Timestamp| iso(at);
    let message = Message {
        r#type: format!("order.{}", original.status.code()),
        timestamp: moment(original.event_at.unwrap_or(original.received_at)),
        data: Data {
            id: message_id(id),
            gateway: original.gateway.name().to_owned(),
            message_id: text("MESSAGE_ID"),
            test: original.test,
            received_at: moment(original.received_at),
            event_at: original.event_at.map(moment),
            order: Order {
                reference: original.reference.clone(),
                external_reference: text("REFNOEXT"),
                status: original.status.code(),
                gateway_status: original.vendor_status.clone(),
                amount: money(&text("IPN_TOTALGENERAL")),
            },
            customer: Customer { email: text("CUSTOMEREMAIL"), name: customer(&text("FIRSTNAME"), &text("LASTNAME")) },
            payment_method: text("PAYMETHOD"),
            products: products(&form, money),
            fields: fields(original, tags),
        },
    };
    serde_json::to_vec(&message).ok()
}

/// Signatures are the gateway's, and say nothing to whom the message is for.
fn leaves(name: &[u8], base_name: &[u8], tags: &Tags) -> bool {
    signature::algorithm_of(name).is_none() && (*tags == Tags::All || tags.takes(&String::from_utf8_lossy(base_name)))
}

fn customer(first: &str, last: &str) -> String {
    [first.trim(), last.trim()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The products by their place: as many as there are names or numbers of them.
fn products(form: &Form<'_>, money: impl Fn(&str) -> Option<Amount>) -> Vec<Product> {
    let list = |name: &str| -> Vec<String> {
        let of_it = form.fields.iter().filter(|field| field.base_name() == name.as_bytes());
        of_it.map(|field| field.text().into_owned()).collect()
    };
    let (ids, names, codes) = (list("IPN_PID"), list("IPN_PNAME"), list("IPN_PCODE"));
    let (quantities, prices, totals) = (list("IPN_QTY"), list("IPN_PRICE"), list("IPN_TOTAL"));
    let at = |values: &[String], place: usize| values.get(place).cloned().unwrap_or_default();
    let count = ids.len().max(names.len());
    (0..count)
        .map(|place| Product {
            id: at(&ids, place),
            code: at(&codes, place),
            name: at(&names, place),
            quantity: at(&quantities, place).trim().parse().ok(),
            unit_price: money(&at(&prices, place)),
            total: money(&at(&totals, place)),
        })
        .collect()
}

/// The fields of the message as it came, those of JSON with the paths that lead to them. Of bytes that are neither there are
/// none.
fn fields(original: &Original, tags: &Tags) -> Vec<Named> {
    let is_json = matches!(original.body.trim_ascii_start().first(), Some(b'{' | b'['));
    if is_json && let Some(found) = gateway::json_fields(&original.body) {
        let leave = |(name, _): &(String, String)| leaves(name.as_bytes(), name.as_bytes(), tags);
        return found.into_iter().filter(leave).map(|(name, value)| Named(name, value)).collect();
    }
    let Ok(form) = Form::parse(&original.body) else { return Vec::new() };
    let kept = form.fields.iter().filter(|field| leaves(&field.name, field.base_name(), tags));
    kept.map(|field| Named(String::from_utf8_lossy(&field.name).into_owned(), field.text().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Gateway, OrderStatus};
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const BODY: &[u8] = b"REFNO=77&REFNOEXT=web-1&ORDERSTATUS=COMPLETE&PAYMETHOD=Visa&FIRSTNAME=%C3%81na&LASTNAME=Smith\
        &CUSTOMEREMAIL=ana%40shop.example&CURRENCY=USD&IPN_PID%5B%5D=7&IPN_PID%5B%5D=8&IPN_PNAME%5B%5D=One&IPN_PNAME%5B%5D=\
        &IPN_QTY%5B%5D=2&IPN_PRICE%5B%5D=49.90&IPN_TOTALGENERAL=99.80&MESSAGE_ID=m-1&TEST_ORDER=0&HASH=00";

    fn original(body: &'static [u8]) -> Original {
        Original {
            gateway: Gateway::TwoCheckout,
            reference: "77".to_owned(),
            status: OrderStatus::Paid,
            vendor_status: "COMPLETE".to_owned(),
            test: false,
            received_at: Timestamp::from_seconds(1_772_366_401),
            event_at: Some(Timestamp::from_seconds(1_772_366_400)),
            head: String::new(),
            body: Bytes::from_static(body),
            leaves: Bytes::from_static(body),
        }
    }

    fn made(original: &Original, tags: &Tags) -> Value {
        serde_json::from_slice(&message(original, NotificationId(5), tags).unwrap()).unwrap()
    }

    #[test]
    fn the_object_as_it_is_documented() {
        let usd = |minor: i64| json!({ "minor": minor, "currency": "USD", "exponent": 2 });
        let value = made(&original(BODY), &Tags::All);
        let fields = value["data"]["fields"].as_array().unwrap().clone();
        assert_eq!(
            (fields.len(), &fields[4], &fields[9]),
            (17, &json!({ "FIRSTNAME": "\u{c1}na" }), &json!({ "IPN_PID[]": "8" }))
        );
        let mut rest = value;
        rest["data"].as_object_mut().unwrap().remove("fields");
        assert_eq!(
            rest,
            json!({
                "type": "order.paid",
                "timestamp": "2026-03-01T12:00:00Z",
                "data": {
                    "id": "msg_5",
                    "gateway": "2checkout",
                    "message_id": "m-1",
                    "test": false,
                    "received_at": "2026-03-01T12:00:01Z",
                    "event_at": "2026-03-01T12:00:00Z",
                    "order": {
                        "reference": "77", "external_reference": "web-1", "status": "paid", "gateway_status": "COMPLETE",
                        "amount": usd(9_980),
                    },
                    "customer": { "email": "ana@shop.example", "name": "\u{c1}na Smith" },
                    "payment_method": "Visa",
                    "products": [
                        { "id": "7", "code": "", "name": "One", "quantity": 2, "unit_price": usd(4_990), "total": null },
                        { "id": "8", "code": "", "name": "", "quantity": null, "unit_price": null, "total": null },
                    ],
                },
            })
        );
    }

    #[test]
    fn what_the_merchant_does_not_want_to_leave_does_not() {
        let value = made(&original(BODY), &Tags::only("CURRENCY,IPN_TOTALGENERAL"));
        assert_eq!(value["data"]["customer"], json!({ "email": "", "name": "" }));
        assert!(!value.to_string().contains("ana@"), "{value}");
        assert_eq!(value["data"]["order"]["amount"]["minor"], 9_980);
    }

    #[test]
    fn the_fields_are_those_of_the_gateway() {
        let stripe = Original {
            body: Bytes::from_static(br#"{"id":"evt_1","data":{"object":{"amount":1000,"items":[{"n":"a"}]}}}"#),
            gateway: "stripe".parse().unwrap(),
            ..original(BODY)
        };
        let value = made(&stripe, &Tags::All);
        assert_eq!(value["data"]["gateway"], "stripe");
        assert_eq!(
            value["data"]["fields"],
            json!([{ "id": "evt_1" }, { "data.object.amount": "1000" }, { "data.object.items[0].n": "a" }])
        );
    }

    #[test]
    fn a_moment_that_nobody_told_is_that_of_arrival() {
        let value = made(&Original { event_at: None, ..original(BODY) }, &Tags::All);
        assert_eq!((&value["timestamp"], &value["data"]["event_at"]), (&json!("2026-03-01T12:00:01Z"), &Value::Null));
    }

    proptest! {
        #[test]
        fn any_bytes_make_the_same_json_again(body in proptest::collection::vec(any::<u8>(), 1..300)) {
            let bytes = Bytes::from(body);
            let any = Original { body: bytes.clone(), leaves: bytes, ..original(BODY) };
            if let Some(first) = message(&any, NotificationId(1), &Tags::All) {
                prop_assert!(serde_json::from_slice::<Value>(&first).is_ok());
                prop_assert_eq!(first, message(&any, NotificationId(1), &Tags::All).unwrap());
            }
        }
    }
}
