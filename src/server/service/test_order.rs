//! *Place TEST order*: a notification with TEST_ORDER=1 and the fields of a real order, sent on like any other.

use super::{ServiceResult, Services, fields};
use crate::domain::{
    Algorithms, AppError, Gateway, Money, Timestamp, id::OrderId, money::Currency, pages::orders::TEST_STATUSES,
};
use crate::server::{
    gateway::twocheckout,
    ipn::Form,
    store::{Merchant, NewNotification},
};
use jiff::fmt::strtime;

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
    pub async fn place_test_order(&self, merchant: &Merchant, form: &TestOrderForm, actor: &str) -> ServiceResult<OrderId> {
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
        mistakes.end()?;
        let (Some(product), Some(email), Some(amount)) = (product, email, amount) else { return Err(AppError::NotFound.into()) };

        let now = self.clock.now();
        let order = TestOrder {
            reference: if reference.is_empty() {
                format!("T{}", now.millis().rem_euclid(100_000_000_000))
            } else {
                reference.to_owned()
            },
            status: &form.status,
            product: &product,
            amount,
            email: &email,
            at: now,
        };
        let message = order.form();
        let facts = twocheckout::facts(&message).ok_or(AppError::NotFound)?;
        let new = NewNotification {
            merchant_id: merchant.id,
            listener_id: None,
            gateway: Gateway::TwoCheckout,
            received_at: now,
            signatures: Algorithms::NONE,
            peer: String::new(),
            head: format!("TEST order placed by {actor}\r\n"),
            body: message.encode().into(),
            facts,
        };
        let accepted = self.store.accept(new).await?;
        self.store.settled().await?;
        let stored = self.store.notification(merchant.id, accepted.notification_id).await?.ok_or(AppError::NotFound)?;
        Ok(stored.order_id)
    }
}

struct TestOrder<'a> {
    reference: String,
    status: &'a str,
    product: &'a str,
    amount: Money,
    email: &'a str,
    at: Timestamp,
}

impl TestOrder<'_> {
    /// The fields in the order in which the gateway sends them.
    fn form(&self) -> Form<'static> {
        let moment = |format: &str| {
            let at = jiff::Timestamp::from_microsecond(self.at.micros()).unwrap_or_default();
            strtime::format(format, at).unwrap_or_default()
        };
        let (day, ipn_date) = (moment("%Y-%m-%d %H:%M:%S"), moment("%Y%m%d%H%M%S"));
        let complete = if self.status == "COMPLETE" || self.status == "REFUND" { day.as_str() } else { "0000-00-00 00:00:00" };
        let amount = self.amount.decimal();
        // Refunds carry the returned total as a negative amount.
        let total = if self.status == "REFUND" { format!("-{amount}") } else { amount.clone() };
        let message_id = self.at.millis().to_string();
        let code = self.amount.currency.code();
        let fields: Vec<(&str, &str)> = vec![
            ("GIFT_ORDER", "0"),
            ("SALEDATE", &day),
            ("PAYMENTDATE", &day),
            ("REFNO", &self.reference),
            ("REFNOEXT", ""),
            ("SHOPPER_REFERENCE_NUMBER", ""),
            ("ORDERNO", "1"),
            ("ORDERSTATUS", self.status),
            ("PAYMETHOD", "Visa/MasterCard"),
            ("PAYMETHOD_CODE", "CCVISAMC"),
            ("FIRSTNAME", "Test"),
            ("LASTNAME", "Order"),
            ("COMPANY", ""),
            ("REGISTRATIONNUMBER", ""),
            ("FISCALCODE", ""),
            ("TAX_OFFICE", ""),
            ("CBANKNAME", ""),
            ("CBANKACCOUNT", ""),
            ("ADDRESS1", "101 Main Street"),
            ("ADDRESS2", ""),
            ("CITY", "New York"),
            ("STATE", "New York"),
            ("ZIPCODE", "10001"),
            ("COUNTRY", "United States of America"),
            ("COUNTRY_CODE", "us"),
            ("PHONE", ""),
            ("FAX", ""),
            ("CUSTOMEREMAIL", self.email),
            ("FIRSTNAME_D", "Test"),
            ("LASTNAME_D", "Order"),
            ("COMPANY_D", ""),
            ("ADDRESS1_D", "101 Main Street"),
            ("ADDRESS2_D", ""),
            ("CITY_D", "New York"),
            ("STATE_D", "New York"),
            ("ZIPCODE_D", "10001"),
            ("COUNTRY_D", "United States of America"),
            ("COUNTRY_D_CODE", "us"),
            ("PHONE_D", ""),
            ("EMAIL_D", self.email),
            ("IPADDRESS", "192.0.2.1"),
            ("IPCOUNTRY", "United States of America"),
            ("COMPLETE_DATE", complete),
            ("TIMEZONE_OFFSET", "GMT+00:00"),
            ("CURRENCY", code),
            ("LANGUAGE", "en"),
            ("ORDERFLOW", "REGULAR"),
            ("IPN_PID[]", "1"),
            ("IPN_PNAME[]", self.product),
            ("IPN_PCODE[]", "TEST-1"),
            ("IPN_EXTERNAL_REFERENCE[]", ""),
            ("IPN_INFO[]", ""),
            ("IPN_QTY[]", "1"),
            ("IPN_PRICE[]", &amount),
            ("IPN_VAT[]", "0.00"),
            ("IPN_VAT_RATE[]", "0.0000"),
            ("IPN_VER[]", ""),
            ("IPN_DISCOUNT[]", "0.00"),
            ("IPN_PROMOTION_CATEGORY[]", ""),
            ("IPN_PROMONAME[]", ""),
            ("IPN_PROMOCODE[]", ""),
            ("IPN_ORDER_COSTS[]", "0"),
            ("IPN_SKU[]", ""),
            ("IPN_PARTNER_CODE", ""),
            ("IPN_PGROUP[]", "0"),
            ("IPN_PGROUP_NAME[]", "General"),
            ("MESSAGE_ID", &message_id),
            ("MESSAGE_TYPE", self.status),
            ("IPN_LICENSE_PROD[]", "1"),
            ("IPN_LICENSE_TYPE[]", "REGULAR"),
            ("IPN_LICENSE_REF[]", "TEST"),
            ("IPN_LICENSE_EXP[]", "9999-12-31 23:59:59"),
            ("IPN_LICENSE_START[]", &day),
            ("IPN_LICENSE_LIFETIME[]", "YES"),
            ("IPN_LICENSE_ADDITIONAL_INFO[]", ""),
            ("IPN_DELIVEREDCODES[]", ""),
            ("IPN_DOWNLOAD_LINK", ""),
            ("IPN_TOTAL[]", &total),
            ("IPN_TOTALGENERAL", &total),
            ("IPN_SHIPPING", "0.00"),
            ("IPN_SHIPPING_TAX", "0.00"),
            ("AVANGATE_CUSTOMER_REFERENCE", ""),
            ("EXTERNAL_CUSTOMER_REFERENCE", ""),
            ("IPN_PARTNER_MARGIN_PERCENT", "0.00"),
            ("IPN_PARTNER_MARGIN", "0.00"),
            ("IPN_EXTRA_MARGIN", "0.00"),
            ("IPN_EXTRA_DISCOUNT", "0.00"),
            ("IPN_COUPON_DISCOUNT", "0.00"),
            ("IPN_LINK_SOURCE", ""),
            ("IPN_COMMISSION", "0.0000"),
            ("REFUND_TYPE", ""),
            ("CHARGEBACK_RESOLUTION", "NONE"),
            ("CHARGEBACK_REASON_CODE", ""),
            ("TEST_ORDER", "1"),
            ("IPN_ORDER_ORIGIN", "Web"),
            ("FRAUD_STATUS", "APPROVED"),
            ("CARD_TYPE", "visa"),
            ("CARD_LAST_DIGITS", "1111"),
            ("CARD_EXPIRATION_DATE", ""),
            ("GATEWAY_RESPONSE", "Approved"),
            ("IPN_DATE", &ipn_date),
            ("FX_RATE", "1"),
            ("FX_MARKUP", "0"),
            ("PAYABLE_AMOUNT", &total),
            ("PAYOUT_CURRENCY", code),
            ("VENDOR_CODE", ""),
            ("PROPOSAL_ID", ""),
        ];
        let mut form = Form::default();
        for (name, value) in fields {
            form.push(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
        form
    }
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
            let order = TestOrder { reference: "T1".to_owned(), status, product: "Täst", amount, email: "a@example.com", at };
            let form = order.form();
            assert!(form.fields.len() > 100);
            let facts = twocheckout::facts(&form).unwrap();
            assert!(facts.test && facts.status != OrderStatus::Unmapped, "{status}");
            assert_eq!(facts.amount.unwrap().minor.abs(), 4_990);
            assert_eq!(facts.event_at, Some(at));
        }
    }
}
