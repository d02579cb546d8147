//! The search over everything: what was found, by kind.

use super::{dashboard::MerchantRef, orders::OrderRow};
use crate::domain::{
    DeliveryState, RefusalReason, Timestamp,
    id::{BulkId, DeliveryId, ListenerId, NotificationId, RefusalId, UrlId},
};
use serde::{Deserialize, Serialize};

/// What was found for a text, among what the viewer may see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SearchResults {
    pub text: String,
    pub hits: Vec<Hit>,
    /// More orders fit than are shown.
    pub more_orders: bool,
}

/// One thing that fits, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    pub merchant: MerchantRef,
    pub found: Found,
}

/// What fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    Order(Box<OrderRow>),
    Notification { id: NotificationId, reference: String, vendor_status: String, message_id: String, received_at: Timestamp },
    Delivery { id: DeliveryId, reference: String, url: UrlId, url_label: String, state: DeliveryState, created_at: Timestamp },
    Refusal { id: RefusalId, reason: RefusalReason, at: Timestamp },
    BulkResend { id: BulkId, at: Timestamp },
    Url { id: UrlId, label: String, url: String, is_default: bool },
    Listener { id: ListenerId, label: String, path: String },
    Merchant,
}

impl Hit {
    /// The address of its page.
    pub fn address(&self) -> String {
        let base = format!("/m/{}", self.merchant.slug);
        match &self.found {
            Found::Order(order) => format!("{base}/orders/{}", order.id),
            Found::Notification { id, .. } => format!("{base}/notifications/{id}"),
            Found::Delivery { id, .. } => format!("{base}/deliveries/{id}"),
            Found::Refusal { id, .. } => format!("{base}/refused/{id}"),
            Found::BulkResend { id, .. } => format!("{base}/resends/{id}"),
            Found::Url { is_default: true, .. } => format!("{base}/settings/ipn"),
            Found::Url { id, .. } => format!("{base}/settings/urls/{id}"),
            Found::Listener { id, .. } => format!("{base}/listeners/{id}"),
            Found::Merchant => base,
        }
    }
}
