//! What leaves for a merchant's notification URLs: of which statuses (the triggers), and which fields (the response tags).
//!
//! Names and groups are those of the IPN settings of a 2Checkout account. Its documentation calls both account-wide; here a
//! URL may have triggers of its own.

use super::OrderStatus;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

/// The statuses that can be chosen, as the gateway names them, with what each means. The last one stands for all others.
pub const TRIGGERS: [(&str, &str); 13] = [
    ("PENDING", "placed, waiting for the bank"),
    ("PENDING_APPROVAL", "under review"),
    ("PURCHASE_PENDING", "purchase order approved, not paid yet"),
    ("PAYMENT_AUTHORIZED", "authorized by the bank"),
    ("PENDING_ORDER_APPROVAL", "authorized, waiting for your confirmation"),
    ("PAYMENT_RECEIVED", "money received, before fulfilment"),
    ("COMPLETE", "paid and fulfilled"),
    ("CANCELED", "cancelled"),
    ("REVERSED", "authorization released"),
    ("REFUND", "money returned"),
    ("INVALID", "wrong billing data"),
    ("SUSPECT", "suspected fraud"),
    ("OTHER", "every other status, also one that is new"),
];
const OTHER: u32 = 1 << (TRIGGERS.len() - 1);

/// A set of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Triggers(u32);

impl Default for Triggers {
    fn default() -> Self {
        Self::ALL
    }
}

impl Triggers {
    /// Every status, also those that this version does not know.
    pub const ALL: Self = Self((OTHER << 1) - 1);
    /// No status.
    pub const NONE: Self = Self(0);

    /// The set as the databases keep it: a bit for each of [`TRIGGERS`], in their order.
    pub const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// The set from its bits; unknown bits are dropped.
    pub const fn from_bits(bits: i64) -> Self {
        Self((bits & Self::ALL.bits()) as u32)
    }

    /// Whether no status is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a status of [`TRIGGERS`] is in the set.
    pub fn has(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    /// Whether a message of this status is sent. Words of other gateways count as the word that means the same.
    pub fn takes(self, vendor_status: &str, status: OrderStatus) -> bool {
        let known = bit(vendor_status).filter(|bit| *bit != OTHER);
        let alike = || match status {
            OrderStatus::Created | OrderStatus::Pending => bit("PENDING"),
            OrderStatus::Authorized => bit("PAYMENT_AUTHORIZED"),
            OrderStatus::Paid => bit("COMPLETE"),
            OrderStatus::PartiallyRefunded | OrderStatus::Refunded => bit("REFUND"),
            OrderStatus::Reversed => bit("REVERSED"),
            OrderStatus::Cancelled => bit("CANCELED"),
            OrderStatus::Failed => bit("INVALID"),
            OrderStatus::Unmapped => None,
        };
        self.0 & known.or_else(alike).unwrap_or(OTHER) != 0
    }

    /// The set for people: `all statuses`, or the words.
    pub fn words(self) -> String {
        if self == Self::ALL { "all statuses".to_owned() } else { self.to_string().replace(',', ", ") }
    }
}

fn bit(name: &str) -> Option<u32> {
    TRIGGERS.iter().position(|(known, _)| known.eq_ignore_ascii_case(name)).map(|at| 1 << at)
}

impl fmt::Display for Triggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = TRIGGERS.iter().map(|(name, _)| *name).filter(|name| self.has(name)).collect();
        f.write_str(&names.join(","))
    }
}

/// The text named a status that cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status that can be chosen; write COMPLETE, REFUND or another of the list.")]
pub struct UnknownTrigger(pub String);

impl FromStr for Triggers {
    type Err = UnknownTrigger;

    /// Reads `COMPLETE,REFUND`.
    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        names
            .map(|name| bit(name).ok_or_else(|| UnknownTrigger(name.chars().take(40).collect())))
            .try_fold(Self::NONE, |set, bit| Ok(Self(set.0 | bit?)))
    }
}

/// Fields that always leave. Without REFNO and ORDERSTATUS a message says nothing of an order, the next three are what a read
/// receipt runs over, and a script must always be able to tell a TEST order from a real one.
pub const FORCED_TAGS: [&str; 6] = ["REFNO", "ORDERSTATUS", "IPN_PID", "IPN_PNAME", "IPN_DATE", "TEST_ORDER"];

/// The other fields that an account can tick, by group, in the order of the wire. Arrays without their brackets;
/// `IPN_PRODUCT_OPTIONS` stands for all fields that begin so.
pub const TAG_GROUPS: [(&str, &str); 8] = [
    (
        "Order",
        "GIFT_ORDER SALEDATE PAYMENTDATE COMPLETE_DATE REFNOEXT ORIGINAL_REFNOEXT SHOPPER_REFERENCE_NUMBER ORDERNO \
         TIMEZONE_OFFSET CURRENCY LANGUAGE ORDERFLOW IPN_ORDER_ORIGIN MESSAGE_ID MESSAGE_TYPE VENDOR_CODE \
         PROPOSAL_ID IPN_PURCHASE_ORDER_INFO CUSTOM_FIELDS",
    ),
    (
        "Payment",
        "PAYMETHOD PAYMETHOD_CODE CARD_TYPE CARD_LAST_DIGITS CARD_EXPIRATION_DATE GATEWAY_RESPONSE FRAUD_STATUS \
         REFUND_TYPE REFUND_REASON CHARGEBACK_RESOLUTION CHARGEBACK_REASON_CODE",
    ),
    (
        "Billing",
        "FIRSTNAME LASTNAME COMPANY REGISTRATIONNUMBER FISCALCODE TAX_OFFICE CBANKNAME CBANKACCOUNT ADDRESS1 \
         ADDRESS2 CITY STATE ZIPCODE COUNTRY COUNTRY_CODE PHONE FAX CUSTOMEREMAIL IPADDRESS IPCOUNTRY \
         AVANGATE_CUSTOMER_REFERENCE EXTERNAL_CUSTOMER_REFERENCE",
    ),
    (
        "Delivery",
        "FIRSTNAME_D LASTNAME_D COMPANY_D ADDRESS1_D ADDRESS2_D CITY_D STATE_D ZIPCODE_D COUNTRY_D COUNTRY_D_CODE \
         PHONE_D EMAIL_D",
    ),
    (
        "Products",
        "IPN_PCODE IPN_EXTERNAL_REFERENCE IPN_INFO IPN_QTY IPN_PRICE IPN_VAT IPN_VAT_RATE IPN_VER IPN_DISCOUNT \
         IPN_PROMOTION_CATEGORY IPN_PROMONAME IPN_PROMOCODE IPN_ORDER_COSTS IPN_SKU IPN_PGROUP IPN_PGROUP_NAME \
         IPN_PRODUCT_OPTIONS IPN_BUNDLE_DETAILS IPN_BUNDLE_DELIVEREDCODES",
    ),
    (
        "Licences",
        "IPN_LICENSE_PROD IPN_LICENSE_TYPE IPN_LICENSE_REF IPN_LICENSE_EXP IPN_LICENSE_START IPN_LICENSE_LIFETIME \
         IPN_LICENSE_ADDITIONAL_INFO IPN_DELIVEREDCODES IPN_DOWNLOAD_LINK",
    ),
    (
        "Totals",
        "IPN_TOTAL IPN_TOTALGENERAL IPN_SHIPPING IPN_SHIPPING_TAX IPN_COMMISSION IPN_PCOMMISSION FX_RATE FX_MARKUP \
         PAYABLE_AMOUNT PAYOUT_CURRENCY",
    ),
    (
        "Partners",
        "IPN_PARTNER_CODE IPN_PARTNER_MARGIN_PERCENT IPN_PARTNER_MARGIN IPN_EXTRA_MARGIN IPN_EXTRA_DISCOUNT \
         IPN_COUPON_DISCOUNT IPN_LINK_SOURCE IPN_ORIGINAL_LINK_SOURCE IPN_REFERRER IPN_RESELLER_ID \
         IPN_RESELLER_NAME IPN_RESELLER_URL IPN_RESELLER_COMMISSION",
    ),
];
const OPTIONS: &str = "IPN_PRODUCT_OPTIONS";
/// Most fields that can be named beyond the groups.
pub const MAX_OTHER_TAGS: usize = 100;

/// Which fields leave.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Tags {
    /// Whatever was received.
    #[default]
    All,
    /// These (names without brackets) and the forced ones; what a gateway adds later stays until it is chosen.
    Only(Arc<BTreeSet<String>>),
}

impl Tags {
    /// Reads names as the database keeps them, separated by commas.
    pub fn only(names: &str) -> Self {
        Self::Only(Arc::new(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()))
    }

    /// The names as the database keeps them; `None` for all fields.
    pub fn names(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names.iter().cloned().collect::<Vec<_>>().join(",")),
        }
    }

    /// Whether a field leaves, given its name without brackets.
    pub fn takes(&self, base_name: &str) -> bool {
        let Self::Only(names) = self else { return true };
        let group = if base_name.starts_with("IPN_PRODUCT_OPTIONS_") { OPTIONS } else { base_name };
        FORCED_TAGS.contains(&base_name) || names.contains(group) || names.contains(base_name)
    }

    /// Chosen names that stand in no group.
    pub fn others(&self) -> Vec<&str> {
        let Self::Only(names) = self else { return Vec::new() };
        names.iter().map(String::as_str).filter(|name| !is_listed(name)).collect()
    }
}

/// The fields of the groups, each with its group.
pub fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    TAG_GROUPS.into_iter().flat_map(|(group, names)| names.split_ascii_whitespace().map(move |name| (group, name)))
}

/// Whether a field stands in one of the groups.
pub fn is_listed(name: &str) -> bool {
    listed().any(|(_, known)| known == name)
}

/// Boxes of a form that share a name, as they come: several, one, or none. Also a list with commas.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ticked(pub Vec<String>);

impl Ticked {
    /// All of them, with commas between.
    pub fn joined(&self) -> String {
        self.0.join(",")
    }
}

impl<'de> Deserialize<'de> for Ticked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Ticked;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ticked, E> {
                Ok(Ticked(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Ticked, E> {
                Ok(Ticked::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Ticked, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element::<String>()? {
                    names.push(name);
                }
                Ok(Ticked(names))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_and_read_again() {
        let set: Triggers = "COMPLETE, refund".parse().unwrap();
        assert_eq!(set.to_string(), "COMPLETE,REFUND");
        assert_eq!(Triggers::from_bits(set.bits()), set);
        assert_eq!(Triggers::from_bits(-1), Triggers::ALL);
        assert!(Triggers::ALL.has("OTHER") && Triggers::default() == Triggers::ALL && Triggers::NONE.is_empty());
        assert!("COMPLETE,PAID".parse::<Triggers>().unwrap_err().to_string().contains("\"PAID\""));
    }

    #[test]
    fn a_status_is_taken_by_its_word_or_by_what_it_means() {
        let set: Triggers = "COMPLETE,REFUND".parse().unwrap();
        assert!(set.takes("COMPLETE", OrderStatus::Paid) && set.takes("complete", OrderStatus::Paid));
        assert!(!set.takes("PAYMENT_RECEIVED", OrderStatus::Paid), "the account tells the two apart");
        assert!(set.takes("charge.succeeded", OrderStatus::Paid), "another gateway's word");
        assert!(!set.takes("OTHER", OrderStatus::Unmapped));
        let other: Triggers = "OTHER".parse().unwrap();
        assert!(other.takes("SOMETHING_NEW", OrderStatus::Unmapped) && !other.takes("COMPLETE", OrderStatus::Paid));
        for (name, _) in TRIGGERS {
            assert!(Triggers::ALL.takes(name, OrderStatus::Unmapped), "{name}");
        }
    }

    #[test]
    fn forced_fields_always_leave() {
        let tags = Tags::only("CURRENCY,MY_FIELD,IPN_PRODUCT_OPTIONS");
        for name in FORCED_TAGS.into_iter().chain(["CURRENCY", "MY_FIELD", "IPN_PRODUCT_OPTIONS_1_TEXT"]) {
            assert!(tags.takes(name), "{name}");
        }
        assert!(!tags.takes("CUSTOMEREMAIL") && Tags::All.takes("CUSTOMEREMAIL"));
        assert_eq!(tags.others(), ["MY_FIELD"]);
        assert_eq!(Tags::only(&tags.names().unwrap()), tags);
    }

    #[test]
    fn no_field_stands_twice() {
        let all: Vec<_> = listed().map(|(_, name)| name).chain(FORCED_TAGS).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
