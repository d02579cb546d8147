//! Deliveries and their attempts as the dispatcher knows them, one by one and many at once, and what a commit announces.

use crate::domain::{
    Cause, Timestamp,
    attempt::{Origin, Timings, VerdictDetail},
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    pages::{bulk::BulkTarget, deliveries::DeliveryFilter, orders::AttemptRow},
};
use crate::server::store::Actor;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The two kinds of open deliveries, read apart from the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backlog {
    /// Not tried yet.
    Fresh,
    /// Tried before.
    Again,
}

impl Backlog {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fresh, Self::Again];

    /// The kind of a delivery.
    pub const fn of(job: &Job) -> Self {
        if job.attempts == 0 { Self::Fresh } else { Self::Again }
    }
}

/// An open delivery as the scheduler knows it.
#[derive(Debug, Clone)]
pub struct Job {
    pub delivery_id: DeliveryId,
    pub notification_id: NotificationId,
    pub order_id: OrderId,
    pub merchant_id: MerchantId,
    pub url_id: UrlId,
    pub origin: Origin,
    /// Attempts made so far.
    pub attempts: u32,
    /// First attempt of the running retry window; `None` before it.
    pub window_from: Option<Timestamp>,
    pub due_at: Timestamp,
    /// The received body, where it is still at hand.
    pub body: Option<Bytes>,
}

/// What comes after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// A valid read receipt came.
    Confirmed,
    /// Try again then.
    Retry(Timestamp),
    /// The schedule is used up.
    Expired,
    /// One attempt was all that was asked for (debug).
    Closed,
}

/// One finished attempt.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    pub delivery_id: DeliveryId,
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    pub url_id: UrlId,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// First attempt of the running retry window.
    pub window_from: Timestamp,
    pub address: Option<String>,
    pub status: Option<u16>,
    /// `None` where it was confirmed.
    pub cause: Option<Cause>,
    pub detail: VerdictDetail,
    pub timings: Timings,
    pub request_head: String,
    pub request_body: Bytes,
    pub answer_head: String,
    pub answer_body: Bytes,
    /// It went to a shadow URL: it is kept, and counted nowhere.
    pub shadow: bool,
    pub next: Next,
}

impl AttemptRecord {
    /// How long the attempt took.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.timings.total)
    }

    /// Bytes of what was exchanged.
    pub fn bytes(&self) -> usize {
        self.request_head.len() + self.request_body.len() + self.answer_head.len() + self.answer_body.len()
    }
}

/// What outstanding work a URL has in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneDepth {
    pub url_id: UrlId,
    pub open: u64,
    /// When the first of those not tried yet is due.
    pub fresh_due: Option<Timestamp>,
    /// When the first of those tried before is due.
    pub again_due: Option<Timestamp>,
}

/// The first unfinished delivery of an order to a URL. Where the URL keeps orders in order, the others wait for it.
#[derive(Debug, Clone)]
pub struct First {
    pub order_id: OrderId,
    pub delivery_id: DeliveryId,
    /// As work, where it is open and this node's.
    pub job: Option<Job>,
}

/// What to deliver again, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkOrder {
    pub filter: DeliveryFilter,
    pub target: BulkTarget,
}

/// A wish to deliver a whole list again.
#[derive(Debug, Clone)]
pub struct NewBulk {
    pub order: BulkOrder,
    /// How many deliveries that is, where all were counted.
    pub expected: Option<u64>,
    /// Who asks.
    pub actor: Actor,
    /// The same wish under the same key is one bulk resend.
    pub request_key: String,
    pub at: Timestamp,
    /// Until then it can be stopped before anything is made.
    pub starts_at: Timestamp,
}

/// What a step at the bulk resends came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkStep {
    /// There is none to work at.
    Idle,
    /// The one whose turn it was waits until its URLs take more.
    Waiting,
    /// Something was done.
    Worked,
}

/// Something that open pages may want to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// An order has a new notification or a delivery of it moved.
    Order(MerchantId, OrderId),
    /// Many orders of a merchant did.
    Orders(MerchantId),
    /// A listener refused a message.
    Refusal(MerchantId, ListenerId),
    /// A merchant's settings changed.
    Settings,
}

/// What a commit brought.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Deliveries that are now open and due.
    pub jobs: Vec<Job>,
    /// URLs of which the table now holds open deliveries that are not among these.
    pub due: Vec<UrlId>,
    pub changes: Vec<Change>,
}

/// One attempt with everything that was sent and received.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub attempt: AttemptRow,
    pub detail: VerdictDetail,
    pub request_head: String,
    pub request_body: Vec<u8>,
    pub answer_head: String,
    pub answer_body: Vec<u8>,
}
