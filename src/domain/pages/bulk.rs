//! Bulk resends: what would be sent, what is being sent, what was sent.

use super::{
    dashboard::MerchantRef,
    deliveries::{Counted, DeliveryFilter},
    inbound::ListenerChoice,
    orders::UrlChoice,
};
use crate::domain::{
    DeliveryState, Timestamp,
    id::{BulkId, DeliveryId, UrlId},
};
use serde::{Deserialize, Serialize};

/// What is done with the deliveries of a list: where they are sent again, or that they are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BulkTarget {
    /// Each to the URL that it went to.
    #[default]
    Same,
    /// Each to all URLs that the merchant has now.
    All,
    /// To none: those that are outstanding are cancelled.
    Cancel,
}

impl BulkTarget {
    pub const ALL: [Self; 3] = [Self::Same, Self::All, Self::Cancel];
    /// Those that send.
    pub const RESENDS: [Self; 2] = [Self::Same, Self::All];

    /// The word in forms and in the databases.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::All => "all",
            Self::Cancel => "cancel",
        }
    }

    /// The target of a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.code() == code)
    }
}

/// Where a bulk resend stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BulkState {
    Running,
    Done,
    Cancelled,
}

impl BulkState {
    const ALL: [Self; 3] = [Self::Running, Self::Done, Self::Cancelled];

    /// The number in the databases.
    pub const fn code(self) -> i64 {
        match self {
            Self::Running => 0,
            Self::Done => 1,
            Self::Cancelled => 2,
        }
    }

    /// The state for a number from the database.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Done => "Done",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// What is left out, and why. Counted in deliveries that would have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// The URL has confirmed the notification already.
    pub confirmed: u64,
    /// A delivery of the notification to the URL is on its way, or held.
    pub waiting: u64,
    /// The URL is not in use any more.
    pub removed: u64,
    /// The bytes of the message were removed, because it is older than they are kept.
    pub without_bytes: u64,
}

impl LeftOut {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.confirmed + self.waiting + self.removed + self.without_bytes
    }
}

/// What a bulk resend would make, or a cancelling cancel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BulkCount {
    pub made: u64,
    /// By state, where they are to be cancelled.
    pub by_state: Vec<(DeliveryState, u64)>,
    /// By URL, those with something first.
    pub by_url: Vec<(UrlId, u64)>,
    pub left_out: LeftOut,
    /// There is more than was counted.
    pub more: bool,
    /// More orders begin with the text of the filter than are looked through: some were not counted at all.
    pub truncated: bool,
}

impl BulkCount {
    /// The number to make, as far as it was counted.
    pub const fn counted(&self) -> Counted {
        Counted { number: self.made, more: self.more }
    }
}

/// The page before a bulk resend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkPlan {
    pub merchant: MerchantRef,
    pub filter: DeliveryFilter,
    pub target: BulkTarget,
    pub count: BulkCount,
    /// The merchant's URLs, to say where it goes.
    pub urls: Vec<UrlChoice>,
    pub listeners: Vec<ListenerChoice>,
}

/// A bulk resend as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRow {
    pub id: BulkId,
    pub at: Timestamp,
    /// Who asked for it.
    pub actor: String,
    pub filter: DeliveryFilter,
    pub target: BulkTarget,
    /// How many deliveries it was to make, where they could be counted before.
    pub expected: Option<u64>,
    pub state: BulkState,
    /// Deliveries made, or cancelled, so far.
    pub made: u64,
    pub left_out: LeftOut,
    /// URLs that take no more at the moment; what is for them is made later.
    pub behind: Vec<UrlId>,
    /// Up to here everything was looked through.
    pub looked_to: DeliveryId,
    pub finished_at: Option<Timestamp>,
    /// Until then it can be stopped before anything is made.
    pub starts_at: Timestamp,
}

/// How the deliveries of a bulk resend stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BulkStanding {
    /// Waiting for their first attempt.
    pub queued: Counted,
    pub retrying: Counted,
    pub held: Counted,
    pub confirmed: Counted,
    pub expired: Counted,
    /// Cancelled before they were sent.
    pub withdrawn: Counted,
    /// Cancelled after an attempt.
    pub cancelled: Counted,
}

impl BulkRow {
    /// Whether it cancels what is outstanding, and sends nothing.
    pub const fn is_cancel(&self) -> bool {
        matches!(self.target, BulkTarget::Cancel)
    }
}

impl BulkStanding {
    /// Deliveries that were sent at least once.
    pub const fn sent(&self) -> Counted {
        let parts = [self.retrying, self.confirmed, self.expired, self.cancelled];
        let mut sum = Counted { number: 0, more: false };
        let mut at = 0;
        while at < parts.len() {
            sum.number += parts[at].number;
            sum.more |= parts[at].more;
            at += 1;
        }
        sum
    }
}

/// The page of a bulk resend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkPage {
    pub merchant: MerchantRef,
    pub job: BulkRow,
    pub standing: BulkStanding,
    pub urls: Vec<UrlChoice>,
    pub listeners: Vec<ListenerChoice>,
    pub may_resend: bool,
}

/// The bulk resends of a merchant, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkList {
    pub merchant: MerchantRef,
    pub rows: Vec<BulkRow>,
    pub urls: Vec<UrlChoice>,
    pub listeners: Vec<ListenerChoice>,
    pub may_resend: bool,
}
