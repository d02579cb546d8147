//! The order's status in our own words, and when a message may change it.

use super::{Money, Timestamp};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What has become of an order. Gateways use their own words; each adapter maps them to these, and the page
/// shows both. A word nobody has mapped stays [`OrderStatus::Unmapped`] and is never taken for paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStatus {
    Created,
    Pending,
    Authorized,
    Paid,
    PartiallyRefunded,
    Refunded,
    /// Money taken back: an authorization released by the bank, or a chargeback.
    Reversed,
    Cancelled,
    Failed,
    Unmapped,
}

impl OrderStatus {
    /// Every status, in the order a filter offers them.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Pending,
        Self::Authorized,
        Self::Paid,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Reversed,
        Self::Cancelled,
        Self::Failed,
        Self::Unmapped,
    ];

    /// The code in databases and addresses.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially-refunded",
            Self::Refunded => "refunded",
            Self::Reversed => "reversed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Unmapped => "unmapped",
        }
    }

    /// The status for a code; unknown codes are unmapped.
    pub fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.code() == code).unwrap_or(Self::Unmapped)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Pending => "Pending",
            Self::Authorized => "Authorized",
            Self::Paid => "Paid",
            Self::PartiallyRefunded => "Partially refunded",
            Self::Refunded => "Refunded",
            Self::Reversed => "Reversed",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Unmapped => "Unmapped",
        }
    }

    /// How far along a payment is. Only breaks the tie between messages of the same second: gateways print
    /// event times without fractions and promise no order of arrival.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unmapped => 0,
            Self::Created => 1,
            Self::Pending => 2,
            Self::Authorized => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
            Self::Paid => 6,
            Self::PartiallyRefunded => 7,
            Self::Refunded => 8,
            Self::Reversed => 9,
        }
    }
}

/// The status of an order as far as its messages have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub status: OrderStatus,
    /// When the gateway says the event happened.
    pub event_at: Timestamp,
}

impl Standing {
    /// Whether a message changes what is known: a later event always does, an earlier one never does, and of the
    /// same second the one further along does.
    pub fn is_replaced_by(self, message: Self) -> bool {
        (message.event_at, message.status.rank()) >= (self.event_at, self.status.rank())
    }
}

/// What a message says about its order, in our words. Made by a gateway's adapter. Its texts are short, and there are
/// many messages: strings that need no allocation for a couple of dozen bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFacts {
    /// The gateway's number for the order.
    pub reference: CompactString,
    /// The merchant's own number, or empty.
    pub external: CompactString,
    /// The customer's e-mail, lower case, or empty.
    pub email: CompactString,
    /// The customer's name, or empty.
    pub customer: CompactString,
    pub status: OrderStatus,
    /// The gateway's word for the status.
    pub vendor_status: CompactString,
    pub amount: Option<Money>,
    pub test: bool,
    /// When the gateway says it happened; `None` where it does not say.
    pub event_at: Option<Timestamp>,
    /// The gateway's number for the message, or empty.
    pub message_id: CompactString,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: OrderStatus, second: i64) -> Standing {
        Standing { status, event_at: Timestamp::from_seconds(second) }
    }

    #[test]
    fn a_late_message_never_downgrades_an_order() {
        let paid = at(OrderStatus::Paid, 100);
        assert!(!paid.is_replaced_by(at(OrderStatus::Pending, 99)));
        assert!(!paid.is_replaced_by(at(OrderStatus::Authorized, 100)), "same second, less far along");
        assert!(paid.is_replaced_by(at(OrderStatus::Refunded, 100)));
        assert!(paid.is_replaced_by(at(OrderStatus::Pending, 101)), "a later event holds, whatever it says");
    }

    #[test]
    fn codes_round_trip_and_unknown_ones_are_never_paid() {
        for status in OrderStatus::ALL {
            assert_eq!(OrderStatus::from_code(status.code()), status);
        }
        assert_eq!(OrderStatus::from_code("PAID!"), OrderStatus::Unmapped);
    }
}
