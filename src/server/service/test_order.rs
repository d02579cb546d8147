//! TEST orders: a notification like a gateway's, composed by a person, marked as a test, and sent like any other: to all
//! URLs, to one alone, or in through a listener.

use super::{
    ServiceResult, Services, fields, shown,
    wire_order::{Buyer, Item, WireOrder},
};
use crate::server::{
    dispatch::{
        format::{Keys, Material, letter, webhook},
        sign::{Outgoing, sign},
    },
    gateway::{self, Credentials, Event, Request, twocheckout},
    ipn::{Form, signature},
    listener::receipt_date,
    store::{Acceptance, Actor, Listener, Merchant, NewNotification, NewResend, Note, NotificationUrl, Original, random},
};
use crate::{
    domain::{
        Algorithms, AppError, Format, Gateway, Money, RefusalReason, Tags, Timestamp,
        id::{DeliveryId, ListenerId, NotificationId, OrderId, UrlId},
        money::Currency,
        pages::{orders::TEST_STATUSES, simulate::OrderPreview},
    },
    words::{n, t, tell},
};
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::{collections::BTreeMap, sync::Arc};

pub use crate::domain::pages::simulate::OrderDraft as TestOrderForm;

/// What a person composes came from no gateway.
const NOTHING_TO_PASS: &str = n!(
    "This URL gets messages as they came. No gateway sends a TEST order, so there is nothing to pass through: it leaves in the 2Checkout form, signed with the merchant's key. To try what is passed through, send it in through a listener, or use the simulator of your gateway."
);
/// Most products of a TEST order.
const MAX_PRODUCTS: usize = 20;

/// What became of a TEST order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// It is on its way like any other.
    Order(OrderId),
    /// It went to one URL alone; the number of the attempt, once it was made.
    To(DeliveryId, Option<u32>),
    /// It came in through a listener, which answered so.
    Received(OrderId, String),
}

/// Where a TEST order goes.
enum Way {
    All,
    Url(Arc<NotificationUrl>),
    Listener(Arc<Listener>),
}

/// A product of the form.
struct Product {
    name: String,
    price: Money,
    quantity: u32,
}

/// A form that was read.
struct Composed {
    reference: String,
    message: Form<'static>,
    way: Way,
}

/// The fields of the form, in its order.
const FIELDS: [&str; 11] = [
    "to",
    "status",
    "product",
    "amount",
    "currency",
    "quantity",
    "more_products",
    "first_name",
    "last_name",
    "email",
    "reference",
];

impl Services {
    /// Places a TEST order.
    pub async fn place_test_order(
        &self,
        merchant: &Merchant,
        form: &TestOrderForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<Placed> {
        let actor = actor.into();
        let now = self.clock.now();
        let Composed { reference, message, way } = self.compose(merchant, form, now)?;
        if self.is_real_order(merchant, &reference).await? {
            let message = t!("This is the reference of a real order, which a TEST order must not change; choose another.");
            return Err(AppError::field("reference", message).into());
        }
        let facts = twocheckout::facts(&message).ok_or(AppError::NotFound)?;
        let new = NewNotification {
            merchant_id: merchant.id,
            listener_id: None,
            gateway: Gateway::TwoCheckout,
            received_at: now,
            signatures: Algorithms::NONE,
            peer: Default::default(),
            head: format!("TEST order placed by {}\r\n", actor.name),
            body: message.encode().into(),
            outgoing: None,
            digest: None,
            facts,
            quiet: matches!(way, Way::Url(_)),
        };
        let (action, detail) = ("order.test", form.status.clone());
        let note = Note { merchant_id: Some(merchant.id), action, subject: reference, detail };
        let placed = match way {
            Way::All => {
                let accepted = self.store.accept(new).await?;
                Placed::Order(self.order_of(merchant, accepted).await?)
            }
            Way::Url(url) => {
                let accepted = self.store.accept(new).await?;
                let order_id = self.order_of(merchant, accepted).await?;
                let resend = NewResend {
                    notification_ids: vec![accepted.notification_id],
                    order_id,
                    url_ids: vec![url.id],
                    addresses: BTreeMap::new(),
                    debug: true,
                    actor: actor.clone(),
                    request_key: hex::encode(random::<8>()),
                    at: now,
                };
                let made = self.store.resend(merchant.id, resend).await?;
                let delivery = *made.delivery_ids.first().ok_or(AppError::NotFound)?;
                Placed::To(delivery, self.wait_for_attempt(merchant, delivery).await?)
            }
            Way::Listener(listener) => {
                let body = signed_for(&listener, &message);
                let (event, signatures, answer) = self.take_in(&listener, &body, now)?;
                let head = format!("POST /ipn/{} as a gateway would, by {}\r\n", listener.path_key, actor.name);
                let (facts, outgoing) = (event.facts, event.outgoing);
                let id = Some(listener.id);
                let new = NewNotification { listener_id: id, signatures, head, body: body.into(), outgoing, facts, ..new };
                let accepted = self.store.accept(new).await?;
                let order_id = self.order_of(merchant, accepted).await?;
                Placed::Received(order_id, answer)
            }
        };
        self.store.note(note, actor).await?;
        Ok(placed)
    }

    /// What a listener makes of a body, and what it answers.
    fn take_in(&self, listener: &Listener, body: &[u8], now: Timestamp) -> Result<(Event, Algorithms, String), AppError> {
        let refuses = |reason: &str, detail: &str| {
            AppError::field("to", t!("The listener would refuse it: {reason}. {detail}", reason, detail))
        };
        let preset = self.gateways.get(listener.gateway).ok_or_else(|| refuses(RefusalReason::UnknownGateway.label(), ""))?;
        let credentials =
            Credentials { secret: listener.secret.reveal(), required: listener.required, options: &listener.options };
        let (path, date) = (format!("/ipn/{}", listener.path_key), receipt_date(now));
        let request = Request {
            method: &Method::POST,
            query: "",
            headers: &HeaderMap::new(),
            body,
            url: [&self.base, &path],
            now,
            date: &date,
        };
        let verified =
            gateway::verify(preset, credentials, &request).map_err(|refused| refuses(refused.reason.label(), &refused.detail))?;
        let answer = verified.receipt.map(|receipt| receipt.body).unwrap_or_default();
        let event = verified.events.into_iter().next().ok_or(AppError::NotFound)?;
        Ok((event, verified.signatures, answer))
    }

    /// What a TEST order would look like on the wire, were it sent now.
    pub fn preview_test_order(&self, merchant: &Merchant, form: &TestOrderForm) -> Result<OrderPreview, AppError> {
        let now = self.clock.now();
        let Composed { message, way, .. } = self.compose(merchant, form, now)?;
        let settings = self.store.settings();
        if let Way::Url(url) = &way
            && url.terms.format == Format::Json
        {
            return self.preview_json(merchant, url, &message, now);
        }
        let note = match &way {
            Way::Url(url) if url.terms.format == Format::PassThrough => tell(NOTHING_TO_PASS).to_owned(),
            _ => String::new(),
        };
        let (to, tags, algorithms, key) = match &way {
            Way::Listener(listener) => (
                t!("the listener {listener}", listener = listener.label),
                &Tags::All,
                listener.required,
                listener.secret.reveal(),
            ),
            Way::Url(url) => (url.label.clone(), &merchant.tags, url.algorithms, merchant.secret_key.reveal()),
            Way::All => {
                let first = settings.urls_of(merchant.id).first();
                let to = first.map_or_else(|| t!("a URL with all algorithms").to_owned(), |url| url.label.clone());
                (to, &merchant.tags, first.map_or(Algorithms::ALL, |url| url.algorithms), merchant.secret_key.reveal())
            }
        };
        let encoded = message.encode();
        let Outgoing { body, receipt, .. } = sign(&encoded, tags, algorithms, key).map_err(|_| AppError::NotFound)?;
        let sent = Form::parse(&body).map_err(|_| AppError::NotFound)?;
        let is_signature = |name: &[u8]| signature::algorithm_of(name).is_some();
        let signatures = sent.fields.iter().filter(|field| is_signature(&field.name));
        let signatures = signatures.map(|field| (String::from_utf8_lossy(&field.name).into_owned(), field.text().into_owned()));
        Ok(OrderPreview {
            to,
            fields: shown::fields(&body),
            source: String::from_utf8_lossy(&signature::source(&sent.fields)).into_owned(),
            signatures: signatures.collect(),
            receipts: algorithms.iter().map(|algorithm| receipt.receipt(algorithm, key, &receipt_date(now))).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            format: Format::Ipn,
            note,
        })
    }

    /// The same for a URL that gets JSON.
    fn preview_json(
        &self,
        merchant: &Merchant,
        url: &NotificationUrl,
        message: &Form<'_>,
        now: Timestamp,
    ) -> Result<OrderPreview, AppError> {
        let facts = twocheckout::facts(message).ok_or(AppError::NotFound)?;
        let body = Bytes::from(message.encode());
        let original = Original {
            gateway: Gateway::TwoCheckout,
            reference: facts.reference.to_string(),
            status: facts.status,
            vendor_status: facts.vendor_status.to_string(),
            test: facts.test,
            received_at: now,
            event_at: facts.event_at,
            head: String::new(),
            leaves: body.clone(),
            body,
        };
        let key = merchant.secret_key.reveal();
        let keys = Keys { chosen: key, new: key, old: merchant.valid_old_key(now).map(|old| old.key.reveal()) };
        // Its number is given when it is placed.
        let id = NotificationId(0);
        let letter = letter(&Material::Whole(Box::new(original)), url, merchant, keys, id, now);
        let letter = letter.map_err(|_| AppError::NotFound)?;
        let header = |name: &str| {
            let found = letter.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
        };
        let body = String::from_utf8_lossy(&letter.body).into_owned();
        Ok(OrderPreview {
            to: url.label.clone(),
            fields: shown::fields(&letter.body),
            source: format!("{}.{}.{body}", header(webhook::HEADERS[0]), header(webhook::HEADERS[1])),
            signatures: webhook::HEADERS.map(|name| (name.to_owned(), header(name))).to_vec(),
            receipts: Vec::new(),
            body,
            format: Format::Json,
            note: t!("Its number in webhook-id is given when it is placed, so the signature will be another.").to_owned(),
        })
    }

    /// Checks what was entered, and makes the message.
    fn compose(&self, merchant: &Merchant, form: &TestOrderForm, now: Timestamp) -> Result<Composed, AppError> {
        let mut mistakes = fields::Mistakes::default();
        if !TEST_STATUSES.iter().any(|(status, _)| *status == form.status) {
            mistakes.add("status", t!("Choose one of the statuses of the list."));
        }
        let email = match form.email.trim() {
            "" => Some(String::new()),
            text => mistakes.take("email", fields::email(text)),
        };
        let person = |field: &'static str, what: &str, text: &str, mistakes: &mut fields::Mistakes| match text.trim() {
            "" => Some(String::new()),
            text => mistakes.take(field, fields::name(what, text)),
        };
        let first_name = person("first_name", t!("the first name"), &form.first_name, &mut mistakes);
        let last_name = person("last_name", t!("the last name"), &form.last_name, &mut mistakes);
        let currency = Currency::parse(&form.currency);
        if currency.is_none() {
            mistakes.add("currency", t!("Enter a currency code of three letters, such as USD."));
        }
        let products = currency.map(|currency| products(form, currency, &mut mistakes)).unwrap_or_default();
        let reference = form.reference.trim();
        if reference.len() > 40 || !reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            mistakes
                .add("reference", t!("A reference has up to 40 letters, digits and hyphens; leave it empty for a new order."));
        }
        let way = self.way(merchant, form.to.trim());
        if way.is_none() {
            mistakes.add("to", t!("This is not in use any more; choose another."));
        }
        if let Some(Way::Listener(listener)) = &way
            && !listener.enabled
        {
            mistakes.add("to", t!("This listener is switched off; switch it on, or choose another way."));
        }
        mistakes.end_in(&FIELDS)?;
        let (Some(email), Some(first_name), Some(last_name), Some(way)) = (email, first_name, last_name, way) else {
            return Err(AppError::NotFound);
        };
        let reference =
            if reference.is_empty() { format!("T{}", now.millis().rem_euclid(100_000_000_000)) } else { reference.to_owned() };
        let buyer = Buyer { first_name: &first_name, last_name: &last_name, email: &email, ..TEST_BUYER };
        let message = message(&reference, &form.status, &products, buyer, now);
        Ok(Composed { reference, message, way })
    }

    fn way(&self, merchant: &Merchant, to: &str) -> Option<Way> {
        let settings = self.store.settings();
        if let Some(id) = to.strip_prefix("url-") {
            let id: UrlId = id.parse().ok()?;
            return settings.urls_of(merchant.id).iter().find(|url| url.id == id).cloned().map(Way::Url);
        }
        if let Some(id) = to.strip_prefix("listener-") {
            let id: ListenerId = id.parse().ok()?;
            // A message of ours is signed as 2Checkout signs; messages of other gateways are made by the listener's simulator.
            let is_it = |listener: &Arc<Listener>| listener.id == id && listener.gateway == Gateway::TwoCheckout;
            return settings.listeners_of(merchant.id).into_iter().find(is_it).map(Way::Listener);
        }
        to.is_empty().then_some(Way::All)
    }

    async fn order_of(&self, merchant: &Merchant, accepted: Acceptance) -> ServiceResult<OrderId> {
        self.store.settled().await?;
        let stored = self.store.notification(merchant.id, accepted.notification_id).await?.ok_or(AppError::NotFound)?;
        Ok(stored.order_id)
    }

    pub(super) async fn is_real_order(&self, merchant: &Merchant, reference: &str) -> ServiceResult<bool> {
        let Some(id) = self.store.order_by_reference(merchant.id, reference).await? else { return Ok(false) };
        Ok(self.store.order(merchant.id, id).await?.is_some_and(|order| !order.test))
    }
}

/// The message as the gateway of a listener signs it.
fn signed_for(listener: &Listener, message: &Form<'_>) -> Vec<u8> {
    let mut signed = message.clone();
    let source = signature::source(&signed.fields);
    for algorithm in listener.required.iter() {
        let signature = signature::sign(algorithm, listener.secret.reveal(), &source);
        signed.push(algorithm.field().as_bytes(), signature.into_bytes());
    }
    signed.encode()
}

/// The first product and the further ones.
fn products(form: &TestOrderForm, currency: Currency, mistakes: &mut fields::Mistakes) -> Vec<Product> {
    const AMOUNT: &str = n!("Enter an amount with a point, such as 49.90; no more decimals than the currency has.");
    let price = |text: &str| Money::parse(text.trim(), currency).filter(|price| price.minor >= 0);
    let quantity = |text: &str| match text.trim() {
        "" => Some(1),
        text => text.parse().ok().filter(|quantity| (1..=9_999).contains(quantity)),
    };
    let mut found = Vec::new();
    let name = mistakes.take("product", product_name(&form.product));
    let (first_price, first_quantity) = (price(&form.amount), quantity(&form.quantity));
    if first_price.is_none() {
        mistakes.add("amount", AMOUNT);
    }
    if first_quantity.is_none() {
        mistakes.add("quantity", t!("Enter a number from 1 to 9999, or leave it empty."));
    }
    if let (Some(name), Some(price), Some(quantity)) = (name, first_price, first_quantity) {
        found.push(Product { name, price, quantity });
    }
    for line in form.more_products.lines().filter(|line| !line.trim().is_empty()) {
        let parts: Vec<&str> = line.split(';').collect();
        let read = match parts[..] {
            [name, amount] => product_name(name).ok().zip(price(amount)).map(|(name, price)| (name, price, Some(1))),
            [name, amount, number] => {
                product_name(name).ok().zip(price(amount)).map(|(name, price)| (name, price, quantity(number)))
            }
            _ => None,
        };
        let Some((name, price, Some(quantity))) = read else {
            let shown: String = line.trim().chars().take(60).collect();
            mistakes
                .add("more_products", t!("Write “{shown}” as Name; price; quantity, such as Second product; 10.00; 2.", shown));
            return found;
        };
        found.push(Product { name, price, quantity });
    }
    if found.len() > MAX_PRODUCTS {
        mistakes.add("more_products", t!("A TEST order has at most {most} products; take some out.", most = MAX_PRODUCTS));
    }
    found
}

/// A product's name as it is: also spaces at its ends are a thing to try.
fn product_name(text: &str) -> Result<String, String> {
    fields::name(t!("a product name"), text).map(|_| text.trim_matches(['\r', '\n']).to_owned())
}

const TEST_BUYER: Buyer<'static> = Buyer {
    first_name: "Test",
    last_name: "Order",
    email: "",
    street: "101 Main Street",
    city: "New York",
    state: "New York",
    zip: "10001",
    country: "United States of America",
    country_code: "us",
    language: "en",
    ip_address: "192.0.2.1",
};

fn message(reference: &str, status: &str, products: &[Product], buyer: Buyer<'_>, at: Timestamp) -> Form<'static> {
    let names: Vec<_> = (1..=products.len()).map(|number| (number.to_string(), format!("TEST-{number}"))).collect();
    let items: Vec<_> = products
        .iter()
        .zip(&names)
        .map(|(product, (id, code))| Item { id, name: &product.name, code, quantity: product.quantity, price: product.price })
        .collect();
    WireOrder { reference, external: "", status, buyer, items: &items, test: true, placed_at: at, at }.form()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{OrderStatus, pages::simulate::SAMPLES};

    #[test]
    fn a_test_order_has_the_fields_of_a_real_one() {
        let at = Timestamp::from_seconds(1_772_366_400);
        let price = Money::parse("49.90", Currency::parse("EUR").unwrap()).unwrap();
        let products = [Product { name: "Täst".to_owned(), price, quantity: 1 }];
        for (status, _) in TEST_STATUSES {
            let form = message("T1", status, &products, TEST_BUYER, at);
            assert!(form.fields.len() > 100);
            let facts = twocheckout::facts(&form).unwrap();
            assert!(facts.test && facts.status != OrderStatus::Unmapped, "{status}");
            // Of a refund it is what is given back, and not what the order costs.
            match facts.refund {
                Some(refund) => assert_eq!((refund, facts.amount), (crate::domain::order::Refund::Part(4_990), None)),
                None if facts.status == OrderStatus::Reversed => assert_eq!(facts.amount, None),
                None => assert_eq!(facts.amount.unwrap().minor, 4_990),
            }
            assert_eq!(facts.event_at, Some(at));
        }
    }

    #[test]
    fn every_sample_can_be_sent() {
        for (name, _) in SAMPLES {
            let form = TestOrderForm::sample(name);
            let mut mistakes = fields::Mistakes::default();
            let found = products(&form, Currency::parse(&form.currency).unwrap(), &mut mistakes);
            assert_eq!(mistakes.end(), Ok(()), "{name}");
            assert_eq!(found.len(), if name == "several" { 3 } else { 1 }, "{name}");
        }
    }

    #[test]
    fn a_line_that_is_no_product_is_named() {
        let euro = Currency::parse("EUR").unwrap();
        for line in ["Second", "Second; x", "Second; 1.00; 0", "; 1.00", "a; 1.00; 1; 1"] {
            let form = TestOrderForm { more_products: line.to_owned(), ..TestOrderForm::sample("plain") };
            let mut mistakes = fields::Mistakes::default();
            products(&form, euro, &mut mistakes);
            let Err(AppError::Invalid(errors)) = mistakes.end() else { panic!("{line}") };
            assert_eq!(errors[0].field, "more_products");
        }
    }
}
