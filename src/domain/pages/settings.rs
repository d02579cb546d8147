//! IPN settings: the default IPN URL, notification URLs, merchants.

use super::dashboard::{Hold, MerchantRef, Pause};
use crate::domain::{
    Algorithm, Algorithms, Cause, Format, Tags, Terms, Timestamp, Triggers,
    attempt::UrlCheck,
    id::UrlId,
    mail::{MailCause, MailState},
};
use serde::{Deserialize, Serialize};

/// How long an old key can stay valid beside the new one: seconds, and how that is called.
pub const OVERLAPS: [(u32, &str); 6] = [
    (24 * 3_600, "1 day"),
    (3_600, "1 hour"),
    (4 * 3_600, "4 hours"),
    (7 * 24 * 3_600, "7 days"),
    (30 * 24 * 3_600, "30 days"),
    (0, "not at all: it is no secret any more"),
];
/// What a hidden value of a header is shown as. Sent back so, it leaves the value as it is.
pub const HIDDEN: &str = "••••••••";

/// The settings of a merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpnSettings {
    pub merchant: MerchantRef,
    /// The last characters of the secret key, enough to tell which it is.
    pub key_hint: String,
    /// The key before, while it is valid.
    pub old_key: Option<OldKeyView>,
    /// Which statuses go to URLs that have no triggers of their own.
    pub triggers: Triggers,
    /// Which fields leave.
    pub tags: Tags,
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
    /// Headers that its requests carry beside ours; the value is `None` where it is a secret.
    pub headers: Vec<(String, Option<String>)>,
    /// When its script first answered with the new key, while a key is changed.
    pub new_key_at: Option<Timestamp>,
    pub check: Option<UrlCheck>,
    pub outstanding: u64,
    pub confirmed: u64,
    /// Deliveries fail, or were given up in the last two days.
    pub failing: bool,
    /// What a save names as the version that it was made from.
    pub version: i64,
}

impl IpnSettings {
    /// All URLs, the default first.
    pub fn all_urls(&self) -> impl Iterator<Item = &UrlView> {
        self.default_url.iter().chain(&self.urls)
    }
}

/// A key that is being replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldKeyView {
    /// Its last characters.
    pub hint: String,
    pub until: Timestamp,
}

/// From which point on a merchant is told of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Seconds that it must have failed.
    pub after: u32,
    /// Days before the certificate of its server ends; `None`: that is not told.
    pub certificate: Option<u32>,
    /// Deliveries that are outstanding there; `None`: that is not told.
    pub outstanding: Option<u32>,
}

/// Those of a merchant who has entered no others.
impl Default for Thresholds {
    fn default() -> Self {
        Self { after: 15 * 60, certificate: Some(14), outstanding: None }
    }
}

/// What alerts are about. Each is told apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlertTopic {
    /// Whether deliveries arrive.
    Deliveries,
    /// How long the certificate of its server is valid.
    Certificate,
    /// How many deliveries wait.
    Outstanding,
}

impl AlertTopic {
    /// The word in the database.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Certificate => "certificate",
            Self::Outstanding => "outstanding",
        }
    }
}

/// What a merchant is told of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlertKind {
    /// It has failed for longer than the merchant wants.
    Failing,
    /// Deliveries to it were given up.
    Expired,
    /// It takes deliveries again.
    Recovered,
    /// The certificate of its server ends soon.
    CertificateEnds,
    CertificateEnded,
    /// More deliveries to it are outstanding than the merchant wants.
    Outstanding,
    /// They have become fewer again.
    Eased,
    /// Nothing is wrong: somebody tries the address.
    Test,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Failing,
        Self::Expired,
        Self::Recovered,
        Self::CertificateEnds,
        Self::CertificateEnded,
        Self::Outstanding,
        Self::Eased,
        Self::Test,
    ];

    /// What it is about.
    pub const fn topic(self) -> AlertTopic {
        match self {
            Self::Failing | Self::Expired | Self::Recovered | Self::Test => AlertTopic::Deliveries,
            Self::CertificateEnds | Self::CertificateEnded => AlertTopic::Certificate,
            Self::Outstanding | Self::Eased => AlertTopic::Outstanding,
        }
    }

    /// The word in the database and in alerts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Expired => "expired",
            Self::Recovered => "recovered",
            Self::CertificateEnds => "certificate-ends",
            Self::CertificateEnded => "certificate-ended",
            Self::Outstanding => "outstanding",
            Self::Eased => "eased",
            Self::Test => "test",
        }
    }

    /// The kind for a word; an unknown word is a test, which nothing follows from.
    pub fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.code() == code).unwrap_or(Self::Test)
    }

    /// For pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Expired => "Deliveries expired",
            Self::Recovered => "Recovered",
            Self::CertificateEnds => "Certificate ends soon",
            Self::CertificateEnded => "Certificate ended",
            Self::Outstanding => "Many outstanding",
            Self::Eased => "Fewer outstanding",
            Self::Test => "Test",
        }
    }
}

/// An alert that was mailed, or is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMailRow {
    pub recipient: String,
    pub subject: String,
    pub state: MailState,
    pub attempts: u32,
    pub told_at: Timestamp,
    /// Of one that waits: its next try.
    pub due_at: Timestamp,
    /// Why its last try failed.
    pub cause: Option<MailCause>,
    /// What the mail server said.
    pub note: String,
}

/// What was told last of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRow {
    pub kind: AlertKind,
    pub told_at: Timestamp,
    /// Of the answer; `None` where none came, or none has come yet.
    pub status: Option<u16>,
    /// Why it did not arrive; `None` where it did.
    pub cause: Option<Cause>,
    pub note: String,
}

/// In which zone a merchant's moments are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeZoneSettings {
    pub zone: String,
    /// All that there are.
    pub names: Vec<String>,
    /// What a save names as the version that it was made from.
    pub version: i64,
}

/// Where a merchant is told of trouble, and what was told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSettings {
    pub merchant: MerchantRef,
    /// Gets signed JSON; empty where nobody does.
    pub url: String,
    /// E-mail addresses, with commas between them.
    pub mails: String,
    /// The installation sends mail.
    pub sends_mail: bool,
    /// What was mailed last, the newest first.
    pub mailed: Vec<AlertMailRow>,
    pub thresholds: Thresholds,
    /// What a save names as the version that it was made from.
    pub version: i64,
    /// What was told last of each URL, topic by topic.
    pub told: Vec<(UrlView, AlertRow)>,
    pub may_change: bool,
}

/// A listener for the server behind a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kit {
    pub label: String,
    pub url: String,
    pub is_default: bool,
    /// Those of the URL.
    pub algorithms: Algorithms,
    /// The one that the listener checks and answers with.
    pub algorithm: Algorithm,
    /// In which form messages leave for the URL.
    pub format: Format,
    pub languages: Vec<KitLanguage>,
    /// What to save it as.
    pub file: String,
    pub code: String,
    /// Our tests run it.
    pub is_tested: bool,
}

/// A language to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitLanguage {
    pub code: String,
    pub label: String,
    pub chosen: bool,
}

/// A merchant as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerchantRow {
    pub merchant: MerchantRef,
    pub urls: u32,
    pub listeners: u32,
    pub created_at: Timestamp,
}
