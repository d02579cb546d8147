//! The gateways whose notifications a listener can take.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A kind of listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Gateway {
    /// 2Checkout, formerly Avangate, now of Verifone: form posts with length-prefixed HMACs.
    #[serde(rename = "2checkout")]
    TwoCheckout,
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::TwoCheckout];

    /// The name on the command line and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoCheckout => "2checkout",
        }
    }

    /// The name on pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TwoCheckout => "2Checkout (Avangate)",
        }
    }
}

impl fmt::Display for Gateway {
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
        Self::ALL
            .into_iter()
            .find(|gateway| gateway.name() == wanted)
            .ok_or_else(|| format!("unknown gateway {text:?}: this version takes 2checkout"))
    }
}
