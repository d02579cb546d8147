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
