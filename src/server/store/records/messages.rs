//! Messages on their way into the store, what becomes of them, and how they are read again.

use crate::domain::{
    Algorithms, Gateway, OrderStatus, RefusalReason, Timestamp,
    id::{ListenerId, MerchantId, NotificationId, OrderId, VerifyingId},
    order::OrderFacts,
    pages::{inbound::VerifyingRow, listeners::RefusalRow, orders::NotificationView},
};
use crate::server::store::identity::Digest;
use bytes::Bytes;
use compact_str::CompactString;

/// A verified message on its way into the store.
#[derive(Debug, Clone)]
pub struct NewNotification {
    pub merchant_id: MerchantId,
    /// `None` where a person placed a TEST order.
    pub listener_id: Option<ListenerId>,
    pub gateway: Gateway,
    pub received_at: Timestamp,
    pub signatures: Algorithms,
    /// Where it came from, as an address without a port.
    pub peer: CompactString,
    /// Request line and headers.
    pub head: String,
    /// The bytes as received.
    pub body: Bytes,
    /// The form that is sent on, where that is another.
    pub outgoing: Option<Bytes>,
    /// The digest of what its signature covers, where the check made it; else it is made of the body.
    pub digest: Option<Digest>,
    pub facts: OrderFacts,
    /// It goes to no URL by itself: whoever stores it asks for the deliveries that he wants.
    pub quiet: bool,
}

impl NewNotification {
    /// What is sent on.
    pub fn leaves(&self) -> &Bytes {
        self.outgoing.as_ref().unwrap_or(&self.body)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    pub notification_id: NotificationId,
    /// The identical message had come before; it was counted, not stored again.
    pub repeated: bool,
}

/// A message that was refused.
#[derive(Debug, Clone)]
pub struct NewRefusal {
    pub merchant_id: Option<MerchantId>,
    pub listener_id: Option<ListenerId>,
    pub at: Timestamp,
    pub reason: RefusalReason,
    /// More about the reason, for the merchant's eyes.
    pub detail: String,
    pub peer: String,
    pub head: String,
    /// The beginning of the body.
    pub body: Bytes,
    /// The whole body's size in bytes, as far as it was read.
    pub size: u64,
    /// How many like it were not kept since the last one that was.
    pub suppressed: u32,
    /// The order that it names, which nobody has proved; or empty.
    pub reference: String,
}

/// A message that is acknowledged, and that its gateway must be asked about.
#[derive(Debug, Clone)]
pub struct NewVerifying {
    pub merchant_id: MerchantId,
    pub listener_id: ListenerId,
    pub received_at: Timestamp,
    /// The order that it names, which nobody has proved; or empty.
    pub reference: String,
    pub peer: String,
    pub head: String,
    pub body: Bytes,
}

/// Such a message, taken by whoever asks about it now.
#[derive(Debug, Clone)]
pub struct Verifying {
    pub id: VerifyingId,
    pub merchant_id: MerchantId,
    pub listener_id: ListenerId,
    pub received_at: Timestamp,
    pub reference: String,
    pub peer: String,
    pub head: String,
    pub body: Bytes,
    /// How often the identical message had come again when it was taken.
    pub repeats: u32,
    /// How often the gateway was asked, with this time.
    pub attempts: u32,
}

/// How messages of a listener wait for their gateway's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingLong {
    pub listener_id: ListenerId,
    pub count: u64,
    /// When the oldest came.
    pub since: Timestamp,
    /// Why a question brought no answer.
    pub note: String,
}

/// A notification with the bytes received; the body is empty where retention has removed it.
#[derive(Debug, Clone)]
pub struct StoredNotification {
    pub view: NotificationView,
    pub order_id: OrderId,
    pub head: String,
    pub body: Vec<u8>,
}

/// A notification as it came, for URLs that do not get it in the 2Checkout form. What retention has removed is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub gateway: Gateway,
    /// The gateway's number of the order.
    pub reference: String,
    pub status: OrderStatus,
    /// The gateway's word for it.
    pub vendor_status: String,
    pub test: bool,
    pub received_at: Timestamp,
    /// When the gateway says it happened.
    pub event_at: Option<Timestamp>,
    /// Request line and headers.
    pub head: String,
    /// The bytes as received; of a GET its query.
    pub body: Bytes,
    /// What is sent on in the 2Checkout form.
    pub leaves: Bytes,
}

/// A message that waits for its gateway's word, with the bytes received.
#[derive(Debug, Clone)]
pub struct StoredVerifying {
    pub listener_id: ListenerId,
    pub row: VerifyingRow,
    pub head: String,
    pub body: Vec<u8>,
}

/// A refused message with the bytes received.
#[derive(Debug, Clone)]
pub struct StoredRefusal {
    pub listener_id: Option<ListenerId>,
    pub row: RefusalRow,
    pub head: String,
    pub body: Vec<u8>,
}
