//! The dashboard: what needs somebody now, and today's counts.

use crate::domain::{Cause, Timestamp, id::UrlId};
use serde::{Deserialize, Serialize};

/// The dashboard of one merchant, or of all that the viewer may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    pub as_of: Timestamp,
    pub counts: Counts,
    /// URLs that cannot be delivered to, the longest trouble first.
    pub troubles: Vec<Trouble>,
    /// Every URL.
    pub urls: Vec<UrlHealth>,
    /// Whether any listener exists: without one nothing can arrive.
    pub has_listener: bool,
    /// The books of the installation do not balance; only administrators are told.
    pub books_differ: bool,
}

/// Counts of today (since midnight UTC), and of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Notifications accepted today.
    pub accepted: u64,
    /// Identical messages that came again today.
    pub repeats: u64,
    /// Messages refused today.
    pub refused: u64,
    /// Deliveries confirmed today.
    pub confirmed: u64,
    /// Deliveries given up today.
    pub expired: u64,
    /// Deliveries waiting for their first attempt now.
    pub queued: u64,
    /// Deliveries waiting for another attempt now.
    pub retrying: u64,
    /// Deliveries kept back now because their URL is on hold.
    pub held: u64,
}

/// A URL with the merchant it belongs to, as a line on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRef {
    pub id: UrlId,
    pub merchant: MerchantRef,
    pub label: String,
    pub url: String,
    pub is_default: bool,
}

/// A merchant's name and its name in addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MerchantRef {
    pub name: String,
    pub slug: String,
}

/// A URL that cannot be delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub url: UrlRef,
    /// Of the latest delivery that fails, or else of the last one given up.
    pub cause: Option<Cause>,
    /// When the oldest of the deliveries that fail first did; `None` where all were given up.
    pub since: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
    pub pause: Option<Pause>,
    /// Deliveries that wait.
    pub outstanding: u64,
    /// Deliveries given up in the last two days.
    pub expired: u64,
}

/// Why a URL gets fewer requests than it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pause {
    /// It failed again and again: single requests find out when it is back.
    Probing {
        since: Timestamp,
        /// Seconds from one to the next.
        every: u64,
        next: Timestamp,
    },
    /// Its server named a moment before which it does not want to be asked.
    Told { until: Timestamp },
}

/// How a URL came to be on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hold {
    /// Not known of what was put on hold by an earlier version.
    pub since: Option<Timestamp>,
    /// Why the server itself put it on hold; a person did where it is `None`.
    pub cause: Option<Cause>,
}

/// How a URL stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlHealth {
    pub url: UrlRef,
    /// It is on hold.
    pub hold: Option<Hold>,
    /// It gets copies, and its failures count nowhere.
    pub shadow: bool,
    /// Its deliveries fail; but for a shadow's it is among the troubles.
    pub failing: bool,
    pub pause: Option<Pause>,
    pub outstanding: u64,
    pub held_back: u64,
    pub confirmed: u64,
    pub last_confirmed_at: Option<Timestamp>,
}
