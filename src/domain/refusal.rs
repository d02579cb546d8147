//! Why an inbound message was not accepted. The gateway gets the status and one terse line; the panel shows the
//! sentence and the cure.

use serde::{Deserialize, Serialize};

/// The reason for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    UnknownListener,
    ListenerOff,
    TooLarge,
    TooManyFields,
    TooSlow,
    Malformed,
    NoSignature,
    RequiredSignatureMissing,
    WrongSignature,
    FieldMissing,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::UnknownListener,
        Self::ListenerOff,
        Self::TooLarge,
        Self::TooManyFields,
        Self::TooSlow,
        Self::Malformed,
        Self::NoSignature,
        Self::RequiredSignatureMissing,
        Self::WrongSignature,
        Self::FieldMissing,
    ];

    /// The code in databases and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownListener => "unknown-listener",
            Self::ListenerOff => "listener-off",
            Self::TooLarge => "too-large",
            Self::TooManyFields => "too-many-fields",
            Self::TooSlow => "too-slow",
            Self::Malformed => "malformed",
            Self::NoSignature => "no-signature",
            Self::RequiredSignatureMissing => "required-signature-missing",
            Self::WrongSignature => "wrong-signature",
            Self::FieldMissing => "field-missing",
        }
    }

    /// The reason for a code from the database.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The HTTP status the sender gets.
    pub const fn status(self) -> u16 {
        match self {
            Self::UnknownListener => 404,
            Self::ListenerOff => 403,
            Self::TooLarge | Self::TooManyFields => 413,
            Self::TooSlow => 408,
            Self::Malformed | Self::FieldMissing => 400,
            Self::NoSignature | Self::RequiredSignatureMissing | Self::WrongSignature => 403,
        }
    }

    /// A few words for lists.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownListener => "No such listener",
            Self::ListenerOff => "Listener is switched off",
            Self::TooLarge => "Message too large",
            Self::TooManyFields => "Too many fields",
            Self::TooSlow => "Message came too slowly",
            Self::Malformed => "Not a form",
            Self::NoSignature => "No signature",
            Self::RequiredSignatureMissing => "Required signature missing",
            Self::WrongSignature => "Wrong signature",
            Self::FieldMissing => "A field is missing",
        }
    }

    /// What happened, as a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::UnknownListener => "The message was posted to an address that no listener has.",
            Self::ListenerOff => "The listener is switched off.",
            Self::TooLarge => "The message is larger than 256 KiB.",
            Self::TooManyFields => "The message has more than 5,000 fields.",
            Self::TooSlow => "The message did not arrive completely in time.",
            Self::Malformed => "The body is not a form (application/x-www-form-urlencoded).",
            Self::NoSignature => "The message carries none of HASH, SIGNATURE_SHA2_256 and SIGNATURE_SHA3_256.",
            Self::RequiredSignatureMissing => {
                "The message is signed, but with none of the algorithms that this listener requires."
            }
            Self::WrongSignature => "A signature in the message does not fit its contents and the secret key of this listener.",
            Self::FieldMissing => "The message names no order: REFNO and REFNOEXT are both missing or empty.",
        }
    }

    /// What to do about it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::UnknownListener => "Copy the listener's address again into the gateway's settings.",
            Self::ListenerOff => "Switch the listener on if these messages are wanted.",
            Self::TooLarge | Self::TooManyFields => "Untick response tags that nobody needs in the gateway's IPN settings.",
            Self::TooSlow => "The gateway will send it again; if this repeats, look at the network or the proxy in front.",
            Self::Malformed => "Check that the address is entered as an IPN URL, and that no proxy rewrites the body.",
            Self::NoSignature => "Choose at least one hashing algorithm for this URL in the gateway's IPN settings.",
            Self::RequiredSignatureMissing => {
                "Tick a required algorithm for this URL at the gateway, or require another one here."
            }
            Self::WrongSignature => {
                "Copy the secret key from the gateway's settings into this listener again; check that no proxy rewrites the body."
            }
            Self::FieldMissing => "Tick REFNO under the response tags of the gateway's IPN settings.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_no_refusal_looks_like_success() {
        for reason in RefusalReason::ALL {
            assert_eq!(RefusalReason::from_code(reason.code()), Some(reason));
            assert!((400..500).contains(&reason.status()), "{reason:?}");
        }
    }
}
