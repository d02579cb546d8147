//! What comes out of the store for the lists, the search and the dashboard, and what somebody keeps of them.

use crate::domain::{
    RefusalReason, Timestamp,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, UserId},
    pages::{deliveries::DeliveryRow, inbound::InboundRow, search::Found, views::ListKind},
};

/// Deliveries that fit a filter, the newest first.
#[derive(Debug, Clone, Default)]
pub struct FoundDeliveries {
    pub rows: Vec<DeliveryRow>,
    /// Where older ones go on; `None` at the end.
    pub next: Option<DeliveryId>,
    /// Where newer ones go on; `None` at the newest.
    pub previous: Option<DeliveryId>,
    /// Where more rows would have had to be looked at: all back to this moment were.
    pub looked_back_to: Option<Timestamp>,
    /// The text fits more orders than were looked at.
    pub truncated: bool,
}

/// What a listener refused lately, of one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedLately {
    pub merchant_id: MerchantId,
    pub listener_id: ListenerId,
    pub reason: RefusalReason,
    /// Since the moment asked for.
    pub count: u64,
    /// In a time as long before it.
    pub before: u64,
}

/// Messages that fit a filter, the newest first.
#[derive(Debug, Clone, Default)]
pub struct FoundInbound {
    pub rows: Vec<InboundRow>,
    /// Where older ones go on; `None` at the end.
    pub next: Option<NotificationId>,
    /// Where newer ones go on; `None` at the newest.
    pub previous: Option<NotificationId>,
    /// Where more rows would have had to be looked at: all back to this moment were.
    pub looked_back_to: Option<Timestamp>,
    /// The text fits more orders than were looked at.
    pub truncated: bool,
}

/// Something that a search found, and whose it is.
#[derive(Debug, Clone)]
pub struct FoundByText {
    pub merchant_id: MerchantId,
    pub found: Found,
}

/// A filter to keep under a name.
#[derive(Debug, Clone)]
pub struct NewView {
    pub user_id: UserId,
    pub merchant_id: MerchantId,
    pub list: ListKind,
    pub name: String,
    pub query: String,
}
