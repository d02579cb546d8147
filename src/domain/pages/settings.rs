//! IPN settings: the default IPN URL, notification URLs, merchants.

use super::dashboard::{Hold, MerchantRef, Pause};
use crate::domain::{Algorithms, Terms, Timestamp, attempt::UrlCheck, id::UrlId};
use serde::{Deserialize, Serialize};

/// The settings of a merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpnSettings {
    pub merchant: MerchantRef,
    /// The last characters of the secret key, enough to tell which it is.
    pub key_hint: String,
    /// What a change of the key names as the version that it was made from.
    pub version: i64,
    pub default_url: Option<UrlView>,
    /// The others.
    pub urls: Vec<UrlView>,
    pub may_change: bool,
}

/// One notification URL with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlView {
    pub id: UrlId,
    pub label: String,
    pub url: String,
    pub is_default: bool,
    pub algorithms: Algorithms,
    pub concurrent: bool,
    pub order_in_order: bool,
    /// It is on hold.
    pub hold: Option<Hold>,
    pub pause: Option<Pause>,
    pub terms: Terms,
    pub check: Option<UrlCheck>,
    pub outstanding: u64,
    pub confirmed: u64,
    /// Deliveries fail, or were given up in the last two days.
    pub failing: bool,
    /// What a save names as the version that it was made from.
    pub version: i64,
}

/// A merchant as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantRow {
    pub merchant: MerchantRef,
    pub urls: u32,
    pub listeners: u32,
    pub created_at: Timestamp,
}
