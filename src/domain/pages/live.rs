//! What open pages are told while they are open.

use crate::domain::id::{ListenerId, OrderId};
use serde::{Deserialize, Serialize};

/// Something changed; a page that shows it reads itself again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Event {
    /// An order has a new notification, or a delivery of it moved.
    Order { merchant: String, order: OrderId },
    /// Many orders of a merchant changed.
    Orders { merchant: String },
    /// A listener refused a message.
    Refusal { merchant: String, listener: ListenerId },
    /// Settings changed, or more than can be told.
    Everything,
}

impl Event {
    /// Whether a page about a merchant (or about all, `None`) is concerned.
    pub fn concerns(&self, page: Option<&str>) -> bool {
        match (self, page) {
            (Self::Everything, _) | (_, None) => true,
            (Self::Order { merchant, .. } | Self::Orders { merchant } | Self::Refusal { merchant, .. }, Some(page)) => {
                merchant == page
            }
        }
    }

    /// Whether a page about one order is concerned.
    pub fn concerns_order(&self, page: &str, id: OrderId) -> bool {
        match self {
            Self::Order { order, .. } => *order == id,
            Self::Orders { .. } | Self::Everything => self.concerns(Some(page)),
            Self::Refusal { .. } => false,
        }
    }
}
