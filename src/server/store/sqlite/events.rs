//! What happened, as the journal keeps it: the form that outlives a version.

use crate::domain::{
    Algorithms, Cause, Gateway, Timestamp,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    order::{OrderFacts, Refund},
};
use crate::server::store::{
    NewNotification, Next,
    identity::{self, Digest},
};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What makes a message unique: where it came in, the time it names, its bytes.
pub(super) type MessageKey = (ListenerId, i64, Digest);

/// What makes an order one: whose it is, from which gateway, its reference.
pub(super) type OrderKey = (MerchantId, Gateway, CompactString);

/// A notification with what can be computed before it queues.
pub(in crate::server::store) struct PreparedAccept {
    pub new: NewNotification,
    pub id: NotificationId,
    pub digest: Digest,
}

impl PreparedAccept {
    pub fn new(new: NewNotification, id: NotificationId) -> Self {
        let digest = identity::digest(&new);
        Self { new, id, digest }
    }

    /// `None` for a TEST order placed by a person: each is new.
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.new.listener_id?, said_at(&self.new.facts), self.digest))
    }

    pub fn order_key(&self) -> OrderKey {
        (self.new.merchant_id, self.new.gateway, self.new.facts.reference.clone())
    }
}

/// What the message itself says of its time, or 0. Never the time of arrival: it is part of what makes it unique.
pub(super) fn said_at(facts: &OrderFacts) -> i64 {
    facts.event_at.map_or(0, Timestamp::micros)
}

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub segment: i64,
    /// Number of the first part.
    pub part: u32,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Event {
    Accepted(Accepted),
    Repeated(Repeated),
    Attempted(Attempted),
    /// Accepted, and put into another form. Stands apart because rows that were written before know nothing of it.
    Translated(Translated),
    /// Accepted as it came, and tells of money given back. Stands apart for the same reason.
    GivenBack(GivenBack),
}

/// A message in the form of 2Checkout that tells of a refund.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GivenBack {
    pub accepted: Accepted,
    pub refund: Refund,
}

/// A message of a gateway with words of its own: behind its head and body lies the form that is sent on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Translated {
    pub accepted: Accepted,
    pub refund: Option<Refund>,
}

/// A notification was accepted and fanned out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Accepted {
    pub id: NotificationId,
    pub order_id: OrderId,
    /// It is the first message of its order, which is in no table yet.
    #[serde(default)]
    pub begins_order: bool,
    pub merchant_id: MerchantId,
    pub listener_id: Option<ListenerId>,
    pub gateway: Gateway,
    pub received_at: Timestamp,
    #[serde(with = "digest")]
    pub digest: Digest,
    pub signatures: Algorithms,
    pub peer: CompactString,
    pub size: usize,
    pub facts: OrderFacts,
    /// Delivery, URL, whether the URL was on hold.
    pub deliveries: Vec<(DeliveryId, UrlId, bool)>,
    pub node: i64,
    pub place: Place,
}

impl Accepted {
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.listener_id?, said_at(&self.facts), self.digest))
    }

    pub fn order_key(&self) -> OrderKey {
        (self.merchant_id, self.gateway, self.facts.reference.clone())
    }
}

/// The identical message came again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Repeated {
    pub id: NotificationId,
    pub merchant_id: MerchantId,
    pub at: Timestamp,
}

/// An attempt has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attempted {
    pub delivery_id: DeliveryId,
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    pub url_id: UrlId,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub window_from: Timestamp,
    pub address: Option<String>,
    pub status: Option<u16>,
    #[serde(with = "cause")]
    pub cause: Option<Cause>,
    pub detail: String,
    pub timings: String,
    /// It went to a shadow URL. Older entries do not say.
    #[serde(default)]
    pub shadow: bool,
    pub next: Next,
    pub place: Place,
}

impl Event {
    /// The message that was accepted, where one was.
    pub const fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Accepted(accepted)
            | Self::Translated(Translated { accepted, .. })
            | Self::GivenBack(GivenBack { accepted, .. }) => Some(accepted),
            Self::Repeated(_) | Self::Attempted(_) => None,
        }
    }
}

/// A digest: hexadecimal where people may read it, else the bytes.
mod digest {
    use crate::server::store::identity::Digest;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { hex::serialize(digest, serializer) } else { digest.serialize(serializer) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        if deserializer.is_human_readable() { hex::deserialize(deserializer) } else { Digest::deserialize(deserializer) }
    }
}

/// A cause: its code, which never changes.
mod cause {
    use crate::domain::Cause;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
        cause.map(Cause::code).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
        let code = Option::<String>::deserialize(deserializer)?;
        let known = |code: String| Cause::from_code(&code).ok_or_else(|| D::Error::custom(format!("unknown cause {code}")));
        code.map(known).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> Accepted {
        Accepted {
            id: NotificationId(1),
            order_id: OrderId(2),
            begins_order: true,
            merchant_id: MerchantId(3),
            listener_id: Some(ListenerId(4)),
            gateway: Gateway::TwoCheckout,
            received_at: Timestamp(5),
            digest: [6; 16],
            signatures: Algorithms::ALL,
            peer: "::1".into(),
            size: 7,
            facts: OrderFacts {
                reference: "r".into(),
                external: "x".into(),
                email: "e".into(),
                customer: "c".into(),
                status: crate::domain::OrderStatus::Refunded,
                vendor_status: "v".into(),
                amount: crate::domain::Money::parse("1.50", crate::domain::money::Currency::parse("USD").unwrap()),
                test: true,
                event_at: Some(Timestamp(-8)),
                message_id: "m".into(),
                refund: None,
            },
            deliveries: vec![(DeliveryId(9), UrlId(10), true)],
            node: 11,
            place: Place { segment: 12, part: 13 },
        }
    }

    /// What a server wrote before it was replaced by a newer one must be read by that. Where this fails, take another
    /// form for what is written from now on, and go on reading this one.
    #[test]
    fn what_lies_in_rows_does_not_change() {
        let attempted = Attempted {
            delivery_id: DeliveryId(1),
            merchant_id: MerchantId(2),
            order_id: OrderId(3),
            url_id: UrlId(4),
            started_at: Timestamp(5),
            finished_at: Timestamp(6),
            window_from: Timestamp(7),
            address: None,
            status: Some(200),
            cause: Some(Cause::PlainText),
            detail: "d".to_owned(),
            timings: "t".to_owned(),
            shadow: false,
            next: Next::Retry(Timestamp(8)),
            place: Place { segment: 9, part: 10 },
        };
        let repeated = Repeated { id: NotificationId(1), merchant_id: MerchantId(2), at: Timestamp(3) };
        let translated = Translated { accepted: accepted(), refund: Some(Refund::Part(1)) };
        let given_back = GivenBack { accepted: accepted(), refund: Refund::Total(1) };
        for (event, expected) in [
            (Event::Translated(translated), &format!("03{}010002", &ACCEPTED[2..])[..]),
            (Event::GivenBack(given_back), &format!("04{}0102", &ACCEPTED[2..])),
            (Event::Accepted(accepted()), ACCEPTED),
            (Event::Repeated(repeated), REPEATED),
            (Event::Attempted(attempted), ATTEMPTED),
        ] {
            let written = postcard::to_allocvec(&event).unwrap();
            assert_eq!(hex::encode(&written), expected);
            let read: Event = postcard::from_bytes(&written).unwrap();
            assert_eq!(format!("{read:?}"), format!("{event:?}"));
        }
        // Statuses are written as their places in this list: add at the end only.
        let codes = crate::domain::OrderStatus::ALL.map(crate::domain::OrderStatus::code);
        assert_eq!(codes.join(" "), STATUSES);
        for (place, status) in crate::domain::OrderStatus::ALL.into_iter().enumerate() {
            assert_eq!(postcard::to_allocvec(&status).unwrap(), [place as u8], "{status:?}");
        }
    }

    const STATUSES: &str = "created pending authorized paid partially-refunded refunded reversed cancelled failed unmapped";
    const ACCEPTED: &str = "00020401060108000a0606060606060606060606060606060607033a3a3107017201780165016305017601ac020355534401010f016d0112140116180d";
    const REPEATED: &str = "01020406";
    const ATTEMPTED: &str = "02020406080a0c0e0001c801010a6e6f2d7265636569707401640174000110120a";
}
