//! Listeners: what came in, what was refused and why.

use super::dashboard::MerchantRef;
use crate::domain::{
    Algorithms, Gateway, OrderStatus, RefusalReason, Timestamp,
    id::{ListenerId, NotificationId, OrderId, RefusalId},
};
use serde::{Deserialize, Serialize};

/// A listener as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRow {
    pub id: ListenerId,
    pub label: String,
    pub gateway: Gateway,
    /// `/ipn/{key}`
    pub path: String,
    pub required: Algorithms,
    pub enabled: bool,
    pub last_received_at: Option<Timestamp>,
    pub last_refused_at: Option<Timestamp>,
    /// What a save names as the version that it was made from.
    pub version: i64,
}

/// A merchant's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerList {
    pub merchant: MerchantRef,
    pub rows: Vec<ListenerRow>,
    /// What the address begins with, as the gateway reaches us: `https://ipn.example.com`.
    pub base: String,
    pub may_change: bool,
}

/// One listener with what it received last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    pub base: String,
    pub received: Vec<ReceivedRow>,
    pub refused: Vec<RefusalRow>,
    pub may_change: bool,
}

/// An accepted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRow {
    pub id: NotificationId,
    pub order_id: OrderId,
    pub reference: String,
    pub status: OrderStatus,
    pub vendor_status: String,
    pub signatures: Algorithms,
    pub test: bool,
    pub received_at: Timestamp,
    pub repeats: u32,
}

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    pub id: RefusalId,
    pub at: Timestamp,
    pub reason: RefusalReason,
    pub detail: String,
    pub peer: String,
    /// Bytes of the body, as far as it was read.
    pub size: u64,
    /// How many like it were not kept before it.
    pub suppressed: u32,
}

/// A refused message, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    pub refusal: RefusalRow,
    pub head: String,
    /// The beginning of the body.
    pub body: String,
    pub fields: Vec<(String, String)>,
}
