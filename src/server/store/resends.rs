//! What a person who has a notification delivered again asks for, and what he can choose from.

use super::Actor;
use crate::domain::{
    Timestamp,
    id::{DeliveryId, NotificationId, OrderId, ResendId, UrlId},
};
use std::collections::BTreeMap;

/// Attempts at one notification that are looked through for addresses.
pub(super) const MOST_SENDINGS: i64 = 200;

/// A wish to deliver again.
#[derive(Debug, Clone)]
pub struct NewResend {
    pub notification_ids: Vec<NotificationId>,
    pub order_id: OrderId,
    pub url_ids: Vec<UrlId>,
    /// Addresses that these deliveries go to in the place of their URL's own.
    pub addresses: BTreeMap<UrlId, String>,
    pub debug: bool,
    /// Who asks.
    pub actor: Actor,
    /// The same wish under the same key is one resend. Nobody else has that key, and no other wish.
    pub request_key: String,
    pub at: Timestamp,
}

impl NewResend {
    /// What the audit log tells of it: its deliveries, and the addresses that are not those of the settings.
    pub(super) fn told(&self, deliveries: String) -> String {
        self.addresses.values().fold(deliveries, |told, address| format!("{told} to {address}"))
    }
}

/// What a resend made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResendOutcome {
    pub resend_id: ResendId,
    pub delivery_ids: Vec<DeliveryId>,
    /// The request key was known: these are the deliveries of the first time.
    pub repeated: bool,
}

/// An attempt that was made to deliver a notification, and where it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub url_id: UrlId,
    pub delivery_id: DeliveryId,
    pub number: u32,
    pub at: Timestamp,
    /// The URL's address of then; empty where it was not kept.
    pub address: String,
}
