//! The three signature algorithms of the 2Checkout IPN protocol.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One keyed hash. Ordered from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC-MD5 in the field `HASH`.
    Md5,
    /// HMAC-SHA-256 in the field `SIGNATURE_SHA2_256`.
    #[serde(rename = "sha2-256")]
    Sha2,
    /// HMAC-SHA3-256 in the field `SIGNATURE_SHA3_256`.
    #[serde(rename = "sha3-256")]
    Sha3,
}

impl Algorithm {
    /// All of them, weakest first: the order in which a sender appends the signature fields.
    pub const ALL: [Self; 3] = [Self::Md5, Self::Sha2, Self::Sha3];

    /// The name of the field that carries the signature in a notification.
    pub const fn field(self) -> &'static str {
        match self {
            Self::Md5 => "HASH",
            Self::Sha2 => "SIGNATURE_SHA2_256",
            Self::Sha3 => "SIGNATURE_SHA3_256",
        }
    }

    /// The name on the command line and in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha2 => "sha2-256",
            Self::Sha3 => "sha3-256",
        }
    }

    /// The name merchants know from their gateway's settings.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha2 => "SHA2",
            Self::Sha3 => "SHA3",
        }
    }

    /// Length of the signature in hexadecimal digits.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Md5 => 32,
            Self::Sha2 | Self::Sha3 => 64,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Md5 => 1,
            Self::Sha2 => 2,
            Self::Sha3 => 4,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text named no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm {0:?}: choose among md5, sha2-256, sha3-256")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        match text.trim().to_ascii_lowercase().as_str() {
            "md5" => Ok(Self::Md5),
            "sha2-256" | "sha2" | "sha256" | "sha-256" => Ok(Self::Sha2),
            "sha3-256" | "sha3" | "sha3_256" => Ok(Self::Sha3),
            _ => Err(UnknownAlgorithm(text.trim().to_owned())),
        }
    }
}

/// A set of algorithms.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Algorithms(u8);

impl Algorithms {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(7);
    /// Only HMAC-MD5: what every listener in the wild understands, hence the default of a new URL.
    pub const MD5: Self = Self(1);

    /// The set as the databases keep it: bit 0 MD5, bit 1 SHA2, bit 2 SHA3.
    pub const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// The set from its bits; unknown bits are dropped.
    pub const fn from_bits(bits: i64) -> Self {
        Self((bits & 7) as u8)
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, algorithm: Algorithm) -> Self {
        Self(self.0 | algorithm.bit())
    }

    /// Whether the algorithm is in the set.
    pub const fn contains(self, algorithm: Algorithm) -> bool {
        self.0 & algorithm.bit() != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, weakest first.
    pub fn iter(self) -> impl Iterator<Item = Algorithm> {
        Algorithm::ALL.into_iter().filter(move |algorithm| self.contains(*algorithm))
    }

    /// The strongest member.
    pub fn strongest(self) -> Option<Algorithm> {
        self.iter().last()
    }

    /// The weakest member.
    pub fn weakest(self) -> Option<Algorithm> {
        self.iter().next()
    }

    /// The members as merchants know them: `MD5, SHA3`.
    pub fn labels(self) -> String {
        self.iter().map(Algorithm::label).collect::<Vec<_>>().join(", ")
    }
}

impl FromIterator<Algorithm> for Algorithms {
    fn from_iter<I: IntoIterator<Item = Algorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Algorithm::name).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Algorithms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Algorithms({self})")
    }
}

impl FromStr for Algorithms {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        text.split(',').map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_print_and_parse() {
        let set: Algorithms = "sha3-256, md5".parse().unwrap();
        assert_eq!(set.to_string(), "md5,sha3-256");
        assert_eq!(set.strongest(), Some(Algorithm::Sha3));
        assert_eq!(set.weakest(), Some(Algorithm::Md5));
        assert_eq!(Algorithms::from_bits(set.bits()), set);
        assert_eq!(set.labels(), "MD5, SHA3");
    }

    #[test]
    fn an_unknown_name_lists_the_allowed_ones() {
        let error = "md5,sha1".parse::<Algorithms>().unwrap_err();
        assert_eq!(error.to_string(), r#"unknown algorithm "sha1": choose among md5, sha2-256, sha3-256"#);
    }
}
