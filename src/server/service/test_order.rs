//! *Place TEST order*: a notification with TEST_ORDER=1 and the fields of a real order, sent on like any other.

use super::{
    ServiceResult, Services, fields,
    wire_order::{Buyer, Item, WireOrder},
};
use crate::domain::{
    Algorithms, AppError, Gateway, Money, Timestamp, id::OrderId, money::Currency, pages::orders::TEST_STATUSES,
};
use crate::server::{
    gateway::twocheckout,
    ipn::Form,
    store::{Actor, Merchant, NewNotification, Note},
};

/// What somebody enters for a TEST order.
#[derive(Debug, Clone, Default)]
pub struct TestOrderForm {
    /// As the gateway names it.
    pub status: String,
    pub product: String,
    pub amount: String,
    pub currency: String,
    pub email: String,
    /// Empty for a new order; else the order that this is the next step of.
    pub reference: String,
}

impl Services {
    /// Places a TEST order; gives the order.
    pub async fn place_test_order(
        &self,
        merchant: &Merchant,
        form: &TestOrderForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<OrderId> {
        let actor = actor.into();
        let mut mistakes = fields::Mistakes::default();
        if !TEST_STATUSES.iter().any(|(status, _)| *status == form.status) {
            mistakes.add("status", "Choose one of the statuses of the list.");
        }
        let product = mistakes.take("product", fields::name("a product name", &form.product));
        let email = mistakes.take("email", fields::email(&form.email));
        let currency = Currency::parse(&form.currency);
        if currency.is_none() {
            mistakes.add("currency", "Enter a currency code of three letters, such as USD.");
        }
        let amount = currency.and_then(|currency| Money::parse(&form.amount, currency)).filter(|amount| amount.minor >= 0);
        if currency.is_some() && amount.is_none() {
            mistakes.add("amount", "Enter an amount with a point, such as 49.90; no more decimals than the currency has.");
        }
        let reference = form.reference.trim();
        if reference.len() > 40 || !reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            mistakes.add("reference", "A reference has up to 40 letters, digits and hyphens; leave it empty for a new order.");
        }
        if !reference.is_empty() && self.is_real_order(merchant, reference).await? {
            mistakes
                .add("reference", "This is the reference of a real order, which a TEST order must not change; choose another.");
        }
        mistakes.end()?;
        let (Some(product), Some(email), Some(amount)) = (product, email, amount) else { return Err(AppError::NotFound.into()) };

        let now = self.clock.now();
        let reference =
            if reference.is_empty() { format!("T{}", now.millis().rem_euclid(100_000_000_000)) } else { reference.to_owned() };
        let message = message(&reference, &form.status, &product, amount, &email, now);
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
            facts,
        };
        let accepted = self.store.accept(new).await?;
        self.store.settled().await?;
        let stored = self.store.notification(merchant.id, accepted.notification_id).await?.ok_or(AppError::NotFound)?;
        let (action, detail) = ("order.test", form.status.clone());
        self.store.note(Note { merchant_id: Some(merchant.id), action, subject: reference, detail }, actor).await?;
        Ok(stored.order_id)
    }

    async fn is_real_order(&self, merchant: &Merchant, reference: &str) -> ServiceResult<bool> {
        let Some(id) = self.store.order_by_reference(merchant.id, reference).await? else { return Ok(false) };
        Ok(self.store.order(merchant.id, id).await?.is_some_and(|order| !order.test))
    }
}

fn message(reference: &str, status: &str, product: &str, amount: Money, email: &str, at: Timestamp) -> Form<'static> {
    let buyer = Buyer {
        first_name: "Test",
        last_name: "Order",
        email,
        street: "101 Main Street",
        city: "New York",
        state: "New York",
        zip: "10001",
        country: "United States of America",
        country_code: "us",
        language: "en",
        ip_address: "192.0.2.1",
    };
    let items = [Item { id: "1", name: product, code: "TEST-1", quantity: 1, price: amount }];
    WireOrder { reference, external: "", status, buyer, items: &items, test: true, placed_at: at, at }.form()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OrderStatus;

    #[test]
    fn a_test_order_has_the_fields_of_a_real_one() {
        let at = Timestamp::from_seconds(1_772_366_400);
        let amount = Money::parse("49.90", Currency::parse("EUR").unwrap()).unwrap();
        for (status, _) in TEST_STATUSES {
            let form = message("T1", status, "Täst", amount, "a@example.com", at);
            assert!(form.fields.len() > 100);
            let facts = twocheckout::facts(&form).unwrap();
            assert!(facts.test && facts.status != OrderStatus::Unmapped, "{status}");
            assert_eq!(facts.amount.unwrap().minor.abs(), 4_990);
            assert_eq!(facts.event_at, Some(at));
        }
    }
}
