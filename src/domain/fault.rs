//! What a simulated message can have wrong with it, so that one sees what a listener makes of that.

use serde::{Deserialize, Serialize};

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A signature of the right length that is not right.
    WrongSignature,
    /// No signature at all.
    NoSignature,
    /// Its time stamp is older than the gateway allows, and is signed.
    Stale,
    /// The same bytes come twice.
    Repeated,
    /// A second message names another amount for the same order.
    OtherAmount,
    /// The listener asks for a password, and this is another.
    WrongPassword,
}

impl Fault {
    /// All of them, in the order of lists.
    pub const ALL: [Self; 6] =
        [Self::Repeated, Self::OtherAmount, Self::WrongSignature, Self::NoSignature, Self::Stale, Self::WrongPassword];

    /// Those of the message itself: nothing else is needed to make it.
    pub const OF_THE_MESSAGE: [Self; 3] = [Self::WrongSignature, Self::NoSignature, Self::Stale];

    /// The word in forms and on the command line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WrongSignature => "wrong-signature",
            Self::NoSignature => "no-signature",
            Self::Stale => "stale",
            Self::Repeated => "repeated",
            Self::OtherAmount => "other-amount",
            Self::WrongPassword => "wrong-password",
        }
    }

    /// The fault of a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.code() == code)
    }

    /// What it is, in words.
    pub const fn label(self) -> &'static str {
        match self {
            Self::WrongSignature => "Wrong signature, of the right length",
            Self::NoSignature => "No signature",
            Self::Stale => "Signed time stamp that is too old",
            Self::Repeated => "The same bytes twice, as when an answer got lost",
            Self::OtherAmount => "A second message with another amount",
            Self::WrongPassword => "Wrong password (basic authentication)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_word_of_its_own() {
        for fault in Fault::ALL {
            assert_eq!(Fault::from_code(fault.code()), Some(fault));
            assert_eq!(serde_json::to_string(&fault).unwrap(), format!("\"{}\"", fault.code()));
        }
        assert!(Fault::OF_THE_MESSAGE.iter().all(|fault| Fault::ALL.contains(fault)));
        assert_eq!(Fault::from_code(""), None);
    }
}
