//! The dashboard: what needs somebody now, and today's counts.

use crate::domain::{
    Cause, Format, RefusalReason, Timestamp,
    id::{ListenerId, UrlId},
};
use serde::{Deserialize, Serialize};

/// The dashboard of one merchant, or of all that the viewer may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dashboard {
    pub as_of: Timestamp,
    pub counts: Counts,
    /// URLs that cannot be delivered to, the longest trouble first.
    pub troubles: Vec<Trouble>,
    /// What else needs somebody, the most urgent first.
    pub matters: Vec<Matter>,
    /// Every URL.
    pub urls: Vec<UrlHealth>,
    /// The last 24 hours, the oldest first; the last is the one that has begun.
    pub hours: Vec<HourCount>,
    /// Whether any listener exists: without one nothing can arrive.
    pub has_listener: bool,
    /// The books of the installation do not balance; only administrators are told.
    pub books_differ: bool,
    /// Messages that this server could not store in the last hour.
    pub not_stored: Option<NotStored>,
}

/// Messages that were right and could not be stored; their gateways were asked to send them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotStored {
    pub count: u64,
    /// The first of them came then.
    pub since: Timestamp,
    /// The last of them came then.
    pub last: Timestamp,
    /// Others were stored after them.
    pub over: bool,
}

/// What happened in an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HourCount {
    /// When it began.
    pub from: Timestamp,
    /// Notifications accepted.
    pub accepted: u64,
    /// Deliveries confirmed.
    pub confirmed: u64,
    /// Attempts that failed.
    pub failed: u64,
}

/// Something that needs somebody and is no failing delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Matter {
    /// The certificate of a URL's server has ended, or soon will.
    Certificate { url: UrlRef, ends_at: Timestamp },
    /// A URL is on hold, and keeps deliveries back.
    Held { url: UrlRef, hold: Hold, kept: u64 },
    /// A listener refuses more than it did the day before.
    Refusing {
        merchant: MerchantRef,
        listener: ListenerId,
        label: String,
        /// The most frequent reason.
        reason: RefusalReason,
        /// In the last 24 hours.
        count: u64,
        /// In the 24 hours before.
        before: u64,
    },
    /// Messages were acknowledged, and their gateway gives no word about them.
    Unconfirmed {
        merchant: MerchantRef,
        listener: ListenerId,
        label: String,
        count: u64,
        /// When the oldest came.
        since: Timestamp,
        /// Why a question brought no answer.
        note: String,
    },
    /// A merchant has no default URL.
    NoDefaultUrl { merchant: MerchantRef, has_urls: bool },
    /// Nothing has ever come in at a listener.
    Silent { merchant: MerchantRef, listener: ListenerId, label: String },
}

/// How a URL answered in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UrlActivity {
    /// Attempts that were confirmed.
    pub confirmed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// The time that half of the answers took at most, in milliseconds; an estimate, since times are counted by range.
    pub p50: Option<u64>,
    /// The same of 99 in 100 answers.
    pub p99: Option<u64>,
}

/// Counts of today (since midnight), and of now.
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

/// A URL that cannot be delivered to, or could not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub url: UrlRef,
    /// In which form it gets messages.
    pub format: Format,
    /// Of the latest delivery that fails, or else of the last one given up.
    pub cause: Option<Cause>,
    /// When the oldest of the deliveries that fail first did; `None` where all were given up.
    pub since: Option<Timestamp>,
    /// Its last attempt was confirmed: what failed before waits for its turn, or was given up.
    pub works_again: bool,
    pub last_confirmed_at: Option<Timestamp>,
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
    /// See [`Trouble::works_again`].
    pub works_again: bool,
    pub pause: Option<Pause>,
    pub outstanding: u64,
    pub held_back: u64,
    pub confirmed: u64,
    pub last_confirmed_at: Option<Timestamp>,
    /// When the oldest of the deliveries that fail first did.
    pub failing_since: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
    pub activity: UrlActivity,
    /// When the certificate that its server showed last ends.
    pub certificate_ends_at: Option<Timestamp>,
}
