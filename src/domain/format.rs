//! In which form messages leave for a URL.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The form of the messages that a URL gets, and with it what confirms them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The fields of a 2Checkout notification, whatever gateway it came from; a read receipt confirms.
    #[default]
    Ipn,
    /// One JSON object, signed as Standard Webhooks says; any 2xx confirms.
    Json,
    /// The bytes and headers as they came from the gateway; any 2xx or a valid read receipt confirms.
    PassThrough,
}

impl Format {
    /// All of them, in the order of a choice.
    pub const ALL: [Self; 3] = [Self::Ipn, Self::Json, Self::PassThrough];

    /// The name in databases, forms and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipn => "ipn",
            Self::Json => "json",
            Self::PassThrough => "pass-through",
        }
    }

    /// What it is, for the choice in a form.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipn => "2Checkout form: confirmed by the read receipt",
            Self::Json => "JSON, signed by Standard Webhooks: confirmed by any 2xx",
            Self::PassThrough => "Passed through as it came: confirmed by any 2xx or a read receipt",
        }
    }

    /// A word or two for lists and facts.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Ipn => "2Checkout form",
            Self::Json => "JSON",
            Self::PassThrough => "Passed through",
        }
    }

    /// Whether this is the form that a URL has unless it says otherwise.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The format of a name in the database; one that this version does not know is the usual.
    pub fn from_name(name: &str) -> Self {
        name.parse().unwrap_or_default()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no format: which names there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no format; choose ipn, json or pass-through.")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let text = text.trim();
        let found = Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownFormat(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
        }
        assert!("xml".parse::<Format>().unwrap_err().to_string().contains("ipn, json or pass-through"));
        assert_eq!(Format::from_name("of a later version"), Format::Ipn);
    }
}
