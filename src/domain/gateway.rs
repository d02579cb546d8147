//! Which gateway a listener takes messages of.
//!
//! A name, not a list: gateways are described by data (`server/gateway/presets`), and whoever runs the server may add
//! some of his own.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Longest name, in bytes.
pub const MAX_NAME: usize = 23;

/// The name of a kind of gateway: lower-case letters, digits and hyphens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gateway {
    /// Filled up with zeros.
    name: [u8; MAX_NAME],
    length: u8,
}

#[expect(non_upper_case_globals, reason = "stands where a list of gateways would have a variant")]
impl Gateway {
    /// 2Checkout, formerly Avangate, now of Verifone. It is the language that leaves, too.
    pub const TwoCheckout: Self = Self::named("2checkout");
}

impl Gateway {
    const fn named(text: &str) -> Self {
        let (bytes, mut name, mut at) = (text.as_bytes(), [0; MAX_NAME], 0);
        while at < bytes.len() {
            name[at] = bytes[at];
            at += 1;
        }
        Self { name, length: bytes.len() as u8 }
    }

    /// The name on the command line, in files and in the database.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.name[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Gateway {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.trim().to_ascii_lowercase();
        // "avangate" is what many merchants still call it.
        let wanted = if wanted == "avangate" { "2checkout" } else { &wanted };
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if wanted.is_empty() || wanted.len() > MAX_NAME || wanted.starts_with('-') || !wanted.bytes().all(fits) {
            return Err(format!(
                "{text:?} cannot be a gateway: a name has 1 to {MAX_NAME} lower-case letters, digits and hyphens, such as 2checkout"
            ));
        }
        Ok(Self::named(wanted))
    }
}

// 2Checkout was the only one at first, and stood in rows of the journal as the zeroth of a list: one zero byte. A text
// without letters is the same byte there, so both are read alike.
impl Serialize for Gateway {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_short = !serializer.is_human_readable() && *self == Self::TwoCheckout;
        serializer.serialize_str(if is_short { "" } else { self.name() })
    }
}

impl<'de> Deserialize<'de> for Gateway {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let may_be_short = !deserializer.is_human_readable();
        let text = String::deserialize(deserializer)?;
        if may_be_short && text.is_empty() { Ok(Self::TwoCheckout) } else { text.parse().map_err(D::Error::custom) }
    }
}

/// What a listener's gateway needs to know beside its secret, by name: further keys, account numbers, addresses. Some are
/// secrets, so none are printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GatewayOptions(pub BTreeMap<String, String>);

impl GatewayOptions {
    /// The value of an option, where it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for GatewayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        assert_eq!(" Avangate".parse::<Gateway>().unwrap(), Gateway::TwoCheckout);
        assert_eq!("stripe".parse::<Gateway>().unwrap().name(), "stripe");
        for wrong in ["", "a b", "-a", "é", "a_b", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(wrong.parse::<Gateway>().unwrap_err().contains("2checkout"), "{wrong}");
        }
    }

    #[test]
    fn options_do_not_print() {
        let options = GatewayOptions(BTreeMap::from([("access-key".to_owned(), "hush".to_owned())]));
        assert!(!format!("{options:?}").contains("hush"));
    }
}
