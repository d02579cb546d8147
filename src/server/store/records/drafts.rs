//! Merchants, listeners and URLs as somebody adds or changes them.

use crate::domain::{Algorithms, Gateway, GatewayOptions, Terms, attempt::UrlCheck, id::MerchantId};
use crate::server::store::{OwnHeader, Secret};

/// A merchant to add.
#[derive(Debug, Clone)]
pub struct NewMerchant {
    pub name: String,
    pub secret_key: Secret,
}

/// A listener to add or to change.
#[derive(Debug, Clone)]
pub struct ListenerDraft {
    pub merchant_id: MerchantId,
    pub gateway: Gateway,
    pub label: String,
    /// `None` leaves the secret as it is.
    pub secret: Option<Secret>,
    /// `None` leaves them as they are.
    pub options: Option<GatewayOptions>,
    pub required: Algorithms,
    pub enabled: bool,
}

/// A notification URL to add or to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlDraft {
    pub merchant_id: MerchantId,
    pub label: String,
    pub url: String,
    pub is_default: bool,
    pub algorithms: Algorithms,
    pub concurrent: bool,
    pub order_in_order: bool,
    pub held: bool,
    pub headers: Vec<OwnHeader>,
    pub terms: Terms,
    /// How the URL check went, if there was one.
    pub check: Option<UrlCheck>,
}
