//! What is known of one attempt, of why it was made, and of a URL that was tried.

use super::{Cause, Timestamp};
use serde::{Deserialize, Serialize};

/// Why a delivery exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// The notification arrived.
    Arrival,
    /// A person asked for it.
    Resend,
    /// A person asked for it and looks at the exchange; tried once.
    Debug,
}

impl Origin {
    /// The number in the databases.
    pub const fn code(self) -> i64 {
        match self {
            Self::Arrival => 0,
            Self::Resend => 1,
            Self::Debug => 2,
        }
    }

    /// The origin for a number from the database.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Arrival),
            1 => Some(Self::Resend),
            2 => Some(Self::Debug),
            _ => None,
        }
    }
}

/// Microseconds by phase; `None` where the phase did not take place (a kept-alive connection, a failure before).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    pub resolve: Option<u64>,
    pub connect: Option<u64>,
    pub tls: Option<u64>,
    /// From the request written to the first byte of the answer.
    pub wait: Option<u64>,
    /// Reading the answer.
    pub read: Option<u64>,
    pub total: u64,
}

/// What the verdict saw, for the page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VerdictDetail {
    /// One more sentence about this very case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The receipt or what stood in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
    /// The text that should have been hashed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The hash we expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
}

/// The result of asking a URL with GET, as gateways do when it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlCheck {
    pub at: Timestamp,
    /// `None` where it answered 200.
    pub cause: Option<Cause>,
    /// One more sentence about this very case.
    pub note: String,
}
