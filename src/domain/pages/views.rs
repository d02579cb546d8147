//! Saved views: filters of lists that somebody wants to have at hand.

use crate::domain::id::ViewId;
use serde::{Deserialize, Serialize};

/// A list that has views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    Orders,
    Deliveries,
    Inbound,
}

impl ListKind {
    pub const ALL: [Self; 3] = [Self::Orders, Self::Deliveries, Self::Inbound];

    /// The last part of its address, and the word in the databases.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Deliveries => "deliveries",
            Self::Inbound => "inbound",
        }
    }

    /// The list of a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.code() == code)
    }
}

/// A view of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedView {
    pub id: ViewId,
    pub name: String,
    /// The query of the list's address, with its question mark.
    pub query: String,
}
