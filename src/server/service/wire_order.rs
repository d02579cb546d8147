//! An order in the fields that a 2Checkout account posts about it: for TEST orders and for the demonstration.
//!
//! Which fields there are, their order and their forms are those of messages captured from real accounts.

use crate::domain::{Money, Timestamp};
use crate::server::ipn::Form;
use jiff::fmt::strtime;

/// Who buys.
#[derive(Debug, Clone)]
pub struct Buyer<'a> {
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub email: &'a str,
    pub street: &'a str,
    pub city: &'a str,
    pub state: &'a str,
    pub zip: &'a str,
    pub country: &'a str,
    /// Two letters, lower case.
    pub country_code: &'a str,
    /// Two letters, lower case.
    pub language: &'a str,
    pub ip_address: &'a str,
}

/// One line of an order.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub code: &'a str,
    pub quantity: u32,
    /// Of one piece.
    pub price: Money,
}

impl Item<'_> {
    fn total(&self) -> Money {
        Money { minor: self.price.minor.saturating_mul(i64::from(self.quantity)), ..self.price }
    }
}

/// An order at one moment of its life.
#[derive(Debug, Clone)]
pub struct WireOrder<'a> {
    pub reference: &'a str,
    pub external: &'a str,
    /// As the gateway names it.
    pub status: &'a str,
    pub buyer: Buyer<'a>,
    /// At least one; all of one currency.
    pub items: &'a [Item<'a>],
    pub test: bool,
    pub placed_at: Timestamp,
    /// Of the message.
    pub at: Timestamp,
}

/// A moment in UTC, in a form of `strftime`; empty for a moment that no calendar has.
pub fn moment(at: Timestamp, format: &str) -> String {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok();
    at.and_then(|at| strtime::format(format, at).ok()).unwrap_or_default()
}

/// Builds a form field by field.
struct Fields(Form<'static>);

impl Fields {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push(name.as_bytes().to_vec(), value.as_ref().as_bytes().to_vec());
    }

    fn all(&mut self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            self.add(name, value);
        }
    }

    /// An array with one item for each line: all its items stand together, as gateways send them.
    fn each<T: AsRef<str>>(&mut self, name: &str, items: &[Item<'_>], value: impl Fn(&Item<'_>) -> T) {
        for item in items {
            self.add(name, value(item));
        }
    }
}

impl WireOrder<'_> {
    /// The whole order's amount; negative where the message gives it back.
    fn total(&self) -> String {
        let sum = self.items.iter().fold(0i64, |sum, item| sum.saturating_add(item.total().minor));
        let total = self.items.first().map(|item| Money { minor: sum, ..item.price }.decimal()).unwrap_or_default();
        if self.status == "REFUND" { format!("-{total}") } else { total }
    }

    /// The fields in the order in which the gateway sends them, unsigned.
    pub fn form(&self) -> Form<'static> {
        let mut fields = Fields(Form::default());
        self.head(&mut fields);
        self.people(&mut fields);
        self.lines(&mut fields);
        self.tail(&mut fields);
        fields.0
    }

    fn is_fulfilled(&self) -> bool {
        matches!(self.status, "COMPLETE" | "REFUND")
    }

    fn head(&self, fields: &mut Fields) {
        const DAY: &str = "%Y-%m-%d %H:%M:%S";
        let pending = matches!(self.status, "PENDING" | "PENDING_APPROVAL");
        let paid_at = if pending { "0000-00-00 00:00:00".to_owned() } else { moment(self.at, DAY) };
        fields.all(&[
            ("GIFT_ORDER", "0"),
            ("SALEDATE", &moment(self.placed_at, DAY)),
            ("PAYMENTDATE", &paid_at),
            ("REFNO", self.reference),
            ("REFNOEXT", self.external),
            ("SHOPPER_REFERENCE_NUMBER", ""),
            // The account's running number; 0 until the order is approved.
            ("ORDERNO", if pending { "0" } else { "1" }),
            ("ORDERSTATUS", self.status),
            ("PAYMETHOD", "Visa/MasterCard"),
            ("PAYMETHOD_CODE", "CCVISAMC"),
        ]);
    }

    fn people(&self, fields: &mut Fields) {
        let buyer = &self.buyer;
        fields.all(&[("FIRSTNAME", buyer.first_name), ("LASTNAME", buyer.last_name)]);
        for name in ["COMPANY", "REGISTRATIONNUMBER", "FISCALCODE", "TAX_OFFICE", "CBANKNAME", "CBANKACCOUNT"] {
            fields.add(name, "");
        }
        fields.all(&[
            ("ADDRESS1", buyer.street),
            ("ADDRESS2", ""),
            ("CITY", buyer.city),
            ("STATE", buyer.state),
            ("ZIPCODE", buyer.zip),
            ("COUNTRY", buyer.country),
            ("COUNTRY_CODE", buyer.country_code),
            ("PHONE", ""),
            ("FAX", ""),
            ("CUSTOMEREMAIL", buyer.email),
            ("FIRSTNAME_D", buyer.first_name),
            ("LASTNAME_D", buyer.last_name),
            ("COMPANY_D", ""),
            ("ADDRESS1_D", buyer.street),
            ("ADDRESS2_D", ""),
            ("CITY_D", buyer.city),
            ("STATE_D", buyer.state),
            ("ZIPCODE_D", buyer.zip),
            ("COUNTRY_D", buyer.country),
            ("COUNTRY_D_CODE", buyer.country_code),
            ("PHONE_D", ""),
            ("EMAIL_D", buyer.email),
            ("IPADDRESS", buyer.ip_address),
            ("IPCOUNTRY", buyer.country),
        ]);
    }

    fn lines(&self, fields: &mut Fields) {
        let complete = if self.is_fulfilled() { moment(self.at, "%Y-%m-%d %H:%M:%S") } else { "0000-00-00 00:00:00".to_owned() };
        fields.all(&[
            ("COMPLETE_DATE", &complete),
            ("TIMEZONE_OFFSET", "GMT+00:00"),
            ("CURRENCY", self.currency()),
            ("LANGUAGE", self.buyer.language),
            ("ORDERFLOW", "REGULAR"),
        ]);
        let items = self.items;
        fields.each("IPN_PID[]", items, |item| item.id.to_owned());
        fields.each("IPN_PNAME[]", items, |item| item.name.to_owned());
        fields.each("IPN_PCODE[]", items, |item| item.code.to_owned());
        fields.each("IPN_EXTERNAL_REFERENCE[]", items, |_| "");
        fields.each("IPN_INFO[]", items, |_| "");
        fields.each("IPN_QTY[]", items, |item| item.quantity.to_string());
        fields.each("IPN_PRICE[]", items, |item| item.price.decimal());
        fields.each("IPN_VAT[]", items, |_| "0.00");
        fields.each("IPN_VAT_RATE[]", items, |_| "0.0000");
        fields.each("IPN_VER[]", items, |_| "");
        fields.each("IPN_DISCOUNT[]", items, |_| "0.00");
        fields.each("IPN_PROMOTION_CATEGORY[]", items, |_| "");
        fields.each("IPN_PROMONAME[]", items, |_| "");
        fields.each("IPN_PROMOCODE[]", items, |_| "");
        fields.each("IPN_ORDER_COSTS[]", items, |_| "0");
        fields.each("IPN_SKU[]", items, |_| "");
        fields.add("IPN_PARTNER_CODE", "");
        fields.each("IPN_PGROUP[]", items, |_| "0");
        fields.each("IPN_PGROUP_NAME[]", items, |_| "General");
        fields.all(&[("MESSAGE_ID", &self.at.millis().to_string()), ("MESSAGE_TYPE", self.status)]);
        // A licence begins when the order is fulfilled.
        let when_fulfilled = |text: &str| if self.is_fulfilled() { text.to_owned() } else { String::new() };
        fields.each("IPN_LICENSE_PROD[]", items, |item| item.id.to_owned());
        fields.each("IPN_LICENSE_TYPE[]", items, |_| "REGULAR");
        fields.each("IPN_LICENSE_REF[]", items, |_| format!("L{}", self.reference));
        fields.each("IPN_LICENSE_EXP[]", items, |_| when_fulfilled("9999-12-31 23:59:59"));
        fields.each("IPN_LICENSE_START[]", items, |_| when_fulfilled(&complete));
        fields.each("IPN_LICENSE_LIFETIME[]", items, |_| "YES");
        fields.each("IPN_LICENSE_ADDITIONAL_INFO[]", items, |_| "");
        fields.each("IPN_DELIVEREDCODES[]", items, |_| "");
        fields.add("IPN_DOWNLOAD_LINK", "");
        let sign = if self.status == "REFUND" { "-" } else { "" };
        fields.each("IPN_TOTAL[]", items, |item| format!("{sign}{}", item.total().decimal()));
    }

    fn tail(&self, fields: &mut Fields) {
        let total = self.total();
        fields.all(&[("IPN_TOTALGENERAL", &total), ("IPN_SHIPPING", "0.00"), ("IPN_SHIPPING_TAX", "0.00")]);
        fields.all(&[("AVANGATE_CUSTOMER_REFERENCE", ""), ("EXTERNAL_CUSTOMER_REFERENCE", "")]);
        for name in
            ["IPN_PARTNER_MARGIN_PERCENT", "IPN_PARTNER_MARGIN", "IPN_EXTRA_MARGIN", "IPN_EXTRA_DISCOUNT", "IPN_COUPON_DISCOUNT"]
        {
            fields.add(name, "0.00");
        }
        let (fraud, answer) = match self.status {
            "PENDING_APPROVAL" => ("UNDER REVIEW", ""),
            "PENDING" => ("PENDING", ""),
            "INVALID" | "REVERSED" => ("APPROVED", "General issuer decline"),
            _ => ("APPROVED", "Approved"),
        };
        fields.all(&[
            ("IPN_LINK_SOURCE", ""),
            ("IPN_COMMISSION", "0.0000"),
            ("REFUND_TYPE", ""),
            ("CHARGEBACK_RESOLUTION", "NONE"),
            ("CHARGEBACK_REASON_CODE", ""),
            ("TEST_ORDER", if self.test { "1" } else { "0" }),
            ("IPN_ORDER_ORIGIN", "Web"),
            ("FRAUD_STATUS", fraud),
            ("CARD_TYPE", "visa"),
            ("CARD_LAST_DIGITS", "1111"),
            ("CARD_EXPIRATION_DATE", ""),
            ("GATEWAY_RESPONSE", answer),
            ("IPN_DATE", &moment(self.at, "%Y%m%d%H%M%S")),
            ("FX_RATE", "1"),
            ("FX_MARKUP", "0"),
            ("PAYABLE_AMOUNT", &total),
            ("PAYOUT_CURRENCY", self.currency()),
            ("VENDOR_CODE", ""),
            ("PROPOSAL_ID", ""),
        ]);
    }

    fn currency(&self) -> &str {
        self.items.first().map_or("", |item| item.price.currency.code())
    }
}
