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
    /// The time stamp of the signature is too far off.
    Stale,
    /// It is about another merchant's account.
    WrongMerchant,
    WrongMethod,
    /// A test at a listener for real messages, or the other way round.
    WrongMode,
    /// Nothing here describes the listener's gateway.
    UnknownGateway,
    /// The gateway was asked, and does not know it.
    NotConfirmed,
    /// It came from a network that the listener does not take messages from.
    AddressNotAllowed,
    /// The user name or password that the listener asks for is missing or wrong.
    WrongPassword,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
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
        Self::Stale,
        Self::WrongMerchant,
        Self::WrongMethod,
        Self::WrongMode,
        Self::UnknownGateway,
        Self::NotConfirmed,
        Self::AddressNotAllowed,
        Self::WrongPassword,
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
            Self::Stale => "stale",
            Self::WrongMerchant => "wrong-merchant",
            Self::WrongMethod => "wrong-method",
            Self::WrongMode => "wrong-mode",
            Self::UnknownGateway => "unknown-gateway",
            Self::NotConfirmed => "not-confirmed",
            Self::AddressNotAllowed => "address-not-allowed",
            Self::WrongPassword => "wrong-password",
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
            Self::NoSignature | Self::RequiredSignatureMissing | Self::WrongSignature | Self::Stale | Self::WrongMerchant => 403,
            Self::WrongMode | Self::NotConfirmed | Self::AddressNotAllowed => 403,
            Self::WrongPassword => 401,
            Self::WrongMethod => 405,
            // Not the sender's fault; but it must come again.
            Self::UnknownGateway => 421,
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
            Self::Malformed => "Not readable",
            Self::NoSignature => "No signature",
            Self::RequiredSignatureMissing => "Required signature missing",
            Self::WrongSignature => "Wrong signature",
            Self::FieldMissing => "Names no order",
            Self::Stale => "Time stamp too far off",
            Self::WrongMerchant => "Another account",
            Self::WrongMethod => "Wrong method",
            Self::WrongMode => "Test or real",
            Self::UnknownGateway => "Gateway not described",
            Self::NotConfirmed => "Not confirmed by the gateway",
            Self::AddressNotAllowed => "Address not allowed",
            Self::WrongPassword => "Wrong user name or password",
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
            Self::Malformed => "The message has not the form in which this gateway writes.",
            Self::NoSignature => "The message carries no signature where this gateway puts it.",
            Self::RequiredSignatureMissing => {
                "The message is signed, but with none of the algorithms that this listener requires."
            }
            Self::WrongSignature => "A signature in the message does not fit its contents and the secret key of this listener.",
            Self::FieldMissing => "The message names no order: the fields that this gateway names it in are missing or empty.",
            Self::Stale => "The signature is right, but its time stamp is too old, or ahead of this server's clock.",
            Self::WrongMerchant => "The signature is right, but the message is about another account than this listener expects.",
            Self::WrongMethod => "The message came by another HTTP method than this gateway uses.",
            Self::WrongMode => "It is a test message at a listener that takes real ones, or the other way round.",
            Self::UnknownGateway => "The server was started without a description of this listener's gateway.",
            Self::NotConfirmed => "The gateway was asked whether the message is true, and said no. Nothing of it was delivered.",
            Self::AddressNotAllowed => {
                "The message came from an address outside the networks that this listener takes messages from."
            }
            Self::WrongPassword => "This listener asks for a user name and a password; they are missing or wrong.",
        }
    }

    /// What to do about it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::UnknownListener => "Copy the listener's address again into the gateway's settings.",
            Self::ListenerOff => "Switch the listener on if these messages are wanted.",
            Self::TooLarge | Self::TooManyFields => "Untick response tags that nobody needs in the gateway's IPN settings.",
            Self::TooSlow => "The gateway will send it again; if this repeats, look at the network or the proxy in front.",
            Self::Malformed => {
                "Check that the address is entered where this gateway's notifications go, and that no proxy rewrites the body."
            }
            Self::NoSignature => {
                "Switch signatures on for this address in the gateway's settings (at 2Checkout: choose a hashing algorithm)."
            }
            Self::RequiredSignatureMissing => {
                "Tick a required algorithm for this URL at the gateway, or require another one here."
            }
            Self::WrongSignature => {
                "Copy the secret key from the gateway's settings into this listener again; check that no proxy rewrites the body."
            }
            Self::FieldMissing => {
                "Have the gateway send the order's number (at 2Checkout: tick REFNO under the response tags); events that are about no order can be switched off there."
            }
            Self::Stale => {
                "Compare this server's clock with the time; a message that was repeated by somebody else is rightly refused."
            }
            Self::WrongMerchant => "Compare the account number in this listener's settings with the one at the gateway.",
            Self::WrongMode => "Give the gateway's test mode a listener of its own, or empty the mode of this one.",
            Self::WrongMethod => "Check that the listener's gateway is the one that posts to it.",
            Self::NotConfirmed => {
                "Somebody else may have sent it. If it is yours, look up the payment at the gateway, and whether this listener asks at the right place: test messages are known to the sandbox alone."
            }
            Self::AddressNotAllowed => {
                "If the gateway posts from there, add its network to this listener's settings. Behind a proxy, start the server with --trusted-proxy, so that it sees the sender's address."
            }
            Self::WrongPassword => "Enter the same user name and password at the gateway and in this listener's settings.",
            Self::UnknownGateway => "Start the server with --gateways and the folder in which the gateway's file lies.",
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
