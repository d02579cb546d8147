//! Where stands what is read of a message: the order with its numbers, amounts and moments, the words of its status, and what is
//! about no payment.

use super::{Origin, one_or_more};
use crate::domain::OrderStatus;
use crate::server::gateway::{fields::Path, template::Template};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeMap;

/// Where things about the order stand; of several places the first that holds something counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Order {
    /// The gateway's number, by which messages of one order are told.
    pub reference: Vec<Path>,
    /// The merchant's number.
    pub external: Vec<Path>,
    pub email: Vec<Path>,
    pub customer: Option<Template>,
    pub product: Vec<Path>,
    pub product_id: Vec<Path>,
    pub payment_method: Vec<Path>,
    pub amount: Option<Amount>,
    /// Messages whose amount is not that of the order, such as of a dispute: it leaves, and the order keeps its own.
    pub apart: Vec<Condition>,
    /// Money given back by this message alone.
    pub refund: Vec<Path>,
    /// Messages that take such a refund back: it failed after it had been told.
    pub undone: Vec<Condition>,
    /// Money given back so far.
    pub refunded: Vec<Path>,
    pub at: Option<At>,
    /// Such as `livemode=false`; one of them suffices.
    pub test: Vec<Condition>,
    /// What makes a message unique; what comes again with the same is a repeat. Of several the first whose leading field is
    /// there counts; where none is, the bytes tell.
    #[serde(deserialize_with = "one_or_more")]
    pub message: Vec<Template>,
}

/// Where an amount stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Amount {
    pub value: Vec<Path>,
    /// A code of three letters.
    #[serde(default)]
    pub currency: Vec<Path>,
    /// The currency of a message that does not say.
    #[serde(default)]
    pub always: Option<String>,
    /// The listener's option that names another.
    #[serde(default)]
    pub option: Option<String>,
    pub scale: Scale,
    /// For `minor`: digits after the point of currencies that the gateway counts otherwise than ISO 4217.
    #[serde(default)]
    pub digits: BTreeMap<String, u32>,
}

/// What an amount counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Smallest units of the currency: cents, dong.
    Minor,
    /// As people write it: `10.50`.
    Decimal,
    /// Hundredths in every currency, also in those without.
    Hundredths,
}

/// When something happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct At {
    #[serde(default)]
    pub from: Vec<Path>,
    pub form: Clock,
    /// The offset of a civil time, such as `+07:00`; else UTC.
    #[serde(default)]
    pub offset: Option<String>,
}

/// How a moment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `2026-03-01T12:00:09Z` and its kin.
    Iso,
    /// A form of `strptime`.
    Civil(String),
    /// When the gateway was asked: what it answers is how things stand then.
    Asked,
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "unix" => Self::Unix,
            "unix-millis" => Self::UnixMillis,
            "iso" => Self::Iso,
            "asked" => Self::Asked,
            form if form.contains('%') => Self::Civil(text),
            _ => {
                return Err(D::Error::custom(format!(
                    "{text:?} is no form of a time: unix, unix-millis, iso, asked, or such as %Y%m%d%H%M%S"
                )));
            }
        })
    }
}

/// `path=value` or `@header.name=value`, compared without regard to case.
#[derive(Debug, Clone)]
pub struct Condition {
    pub origin: Origin,
    pub value: String,
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (path, value) =
            text.split_once('=').ok_or_else(|| D::Error::custom(format!("{text:?} is no condition: write path=value")))?;
        Ok(Self { origin: path.parse().map_err(D::Error::custom)?, value: value.to_owned() })
    }
}

/// Words and what they mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatusTable {
    pub word: Template,
    /// Words of any case; `*` is every other word.
    #[serde(deserialize_with = "words")]
    pub map: BTreeMap<String, OrderStatus>,
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, OrderStatus>, D::Error> {
    let map = BTreeMap::<String, OrderStatus>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(word, status)| (word.trim().to_lowercase(), status)).collect())
}

fn lowered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(|word| word.to_lowercase()).collect())
}

/// Messages that are acknowledged and about no payment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ignore {
    pub word: Template,
    /// These, in lower case.
    #[serde(default, deserialize_with = "lowered")]
    pub words: Vec<String>,
    /// All but those that begin so, in lower case.
    #[serde(default, deserialize_with = "lowered")]
    pub unless: Vec<String>,
    /// They are not signed.
    #[serde(default)]
    pub unsigned: bool,
}
