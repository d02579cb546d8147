//! What goes into the store and what comes out for the machinery. What pages read lives in `domain::pages`.

use super::{OwnHeader, StoreError, acts::Actor, identity::Digest, vault::Secret};
use crate::domain::{
    Algorithms, Cause, DeliveryState, Gateway, GatewayOptions, OrderStatus, RefusalReason, Terms, Timestamp,
    attempt::{Origin, Timings, UrlCheck, VerdictDetail},
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId, VerifyingId},
    order::OrderFacts,
    pages::{
        bulk::BulkTarget,
        deliveries::DeliveryFilter,
        inbound::VerifyingRow,
        listeners::RefusalRow,
        orders::{AttemptRow, NotificationView},
    },
};
use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// A verified message on its way into the store.
#[derive(Debug, Clone)]
pub struct NewNotification {
    pub merchant_id: MerchantId,
    /// `None` where a person placed a TEST order.
    pub listener_id: Option<ListenerId>,
    pub gateway: Gateway,
    pub received_at: Timestamp,
    pub signatures: Algorithms,
    /// Where it came from, as an address without a port.
    pub peer: CompactString,
    /// Request line and headers.
    pub head: String,
    /// The bytes as received.
    pub body: Bytes,
    /// The form that is sent on, where that is another.
    pub outgoing: Option<Bytes>,
    /// The digest of what its signature covers, where the check made it; else it is made of the body.
    pub digest: Option<Digest>,
    pub facts: OrderFacts,
    /// It goes to no URL by itself: whoever stores it asks for the deliveries that he wants.
    pub quiet: bool,
}

impl NewNotification {
    /// What is sent on.
    pub fn leaves(&self) -> &Bytes {
        self.outgoing.as_ref().unwrap_or(&self.body)
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    pub notification_id: NotificationId,
    /// The identical message had come before; it was counted, not stored again.
    pub repeated: bool,
}

/// A message that was refused.
#[derive(Debug, Clone)]
pub struct NewRefusal {
    pub merchant_id: Option<MerchantId>,
    pub listener_id: Option<ListenerId>,
    pub at: Timestamp,
    pub reason: RefusalReason,
    /// More about the reason, for the merchant's eyes.
    pub detail: String,
    pub peer: String,
    pub head: String,
    /// The beginning of the body.
    pub body: Bytes,
    /// The whole body's size in bytes, as far as it was read.
    pub size: u64,
    /// How many like it were not kept since the last one that was.
    pub suppressed: u32,
    /// The order that it names, which nobody has proved; or empty.
    pub reference: String,
}

/// A message that is acknowledged, and that its gateway must be asked about.
#[derive(Debug, Clone)]
pub struct NewVerifying {
    pub merchant_id: MerchantId,
    pub listener_id: ListenerId,
    pub received_at: Timestamp,
    /// The order that it names, which nobody has proved; or empty.
    pub reference: String,
    pub peer: String,
    pub head: String,
    pub body: Bytes,
}

/// Such a message, taken by whoever asks about it now.
#[derive(Debug, Clone)]
pub struct Verifying {
    pub id: VerifyingId,
    pub merchant_id: MerchantId,
    pub listener_id: ListenerId,
    pub received_at: Timestamp,
    pub reference: String,
    pub peer: String,
    pub head: String,
    pub body: Bytes,
    /// How often the identical message had come again when it was taken.
    pub repeats: u32,
    /// How often the gateway was asked, with this time.
    pub attempts: u32,
}

/// How messages of a listener wait for their gateway's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingLong {
    pub listener_id: ListenerId,
    pub count: u64,
    /// When the oldest came.
    pub since: Timestamp,
    /// Why a question brought no answer.
    pub note: String,
}

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
    pub changes: Vec<Change>,
}

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

/// A notification with the bytes received; the body is empty where retention has removed it.
#[derive(Debug, Clone)]
pub struct StoredNotification {
    pub view: NotificationView,
    pub order_id: OrderId,
    pub head: String,
    pub body: Vec<u8>,
}

/// A notification as it came, for URLs that do not get it in the 2Checkout form. What retention has removed is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub gateway: Gateway,
    /// The gateway's number of the order.
    pub reference: String,
    pub status: OrderStatus,
    /// The gateway's word for it.
    pub vendor_status: String,
    pub test: bool,
    pub received_at: Timestamp,
    /// When the gateway says it happened.
    pub event_at: Option<Timestamp>,
    /// Request line and headers.
    pub head: String,
    /// The bytes as received; of a GET its query.
    pub body: Bytes,
    /// What is sent on in the 2Checkout form.
    pub leaves: Bytes,
}

/// A message that waits for its gateway's word, with the bytes received.
#[derive(Debug, Clone)]
pub struct StoredVerifying {
    pub listener_id: ListenerId,
    pub row: VerifyingRow,
    pub head: String,
    pub body: Vec<u8>,
}

/// A refused message with the bytes received.
#[derive(Debug, Clone)]
pub struct StoredRefusal {
    pub listener_id: Option<ListenerId>,
    pub row: RefusalRow,
    pub head: String,
    pub body: Vec<u8>,
}

/// How a URL stands by its books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UrlState {
    pub check: Option<UrlCheck>,
    /// Deliveries that wait for their first attempt.
    pub queued: u64,
    /// Deliveries that failed and are tried again.
    pub retrying: u64,
    /// Deliveries kept back while the URL is on hold.
    pub held_back: u64,
    pub confirmed: u64,
    /// Deliveries given up since the moment asked for.
    pub expired: u64,
    /// When the oldest of those that are tried again first failed.
    pub failing_since: Option<Timestamp>,
    /// Of the newest delivery that is tried again, or else of the last one given up.
    pub failing_cause: Option<Cause>,
    pub last_confirmed_at: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
    /// When the certificate that its server showed last ends.
    pub certificate_ends_at: Option<Timestamp>,
}

impl UrlState {
    /// Deliveries that wait for an attempt.
    pub const fn outstanding(&self) -> u64 {
        self.queued + self.retrying
    }

    /// Whether a delivery has failed that is not put right. What is confirmed meanwhile does not put it right.
    pub const fn is_failing(&self) -> bool {
        self.retrying > 0 || self.expired > 0
    }
}

/// One check of `quittance doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a few words.
    pub check: &'static str,
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// The running books of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlBooks {
    pub url_id: UrlId,
    /// Deliveries that were ever made, without those that retention removed.
    pub accepted: i64,
    /// How many of them are in each state.
    pub states: [(DeliveryState, i64); 6],
}

/// States, with what the books of a URL say and how many deliveries were found. What was not counted is 0 on both sides.
pub type Recount = [(DeliveryState, i64, i64); 6];

impl UrlBooks {
    /// The states that are booked, in the order of the columns.
    pub const STATES: [DeliveryState; 6] = [
        DeliveryState::Queued,
        DeliveryState::Retrying,
        DeliveryState::Held,
        DeliveryState::Confirmed,
        DeliveryState::Expired,
        DeliveryState::Cancelled,
    ];
    /// The same in the order in which they are counted: those that an index counts come first.
    pub(super) const COUNTED: [DeliveryState; 6] = [
        DeliveryState::Queued,
        DeliveryState::Retrying,
        DeliveryState::Held,
        DeliveryState::Expired,
        DeliveryState::Confirmed,
        DeliveryState::Cancelled,
    ];

    /// Puts books together from a row: what was accepted, and then the states.
    pub(super) fn read(url_id: UrlId, column: impl Fn(usize) -> Result<i64, StoreError>) -> Result<Self, StoreError> {
        let mut states = Self::STATES.map(|state| (state, 0));
        for (at, (_, count)) in states.iter_mut().enumerate() {
            *count = column(at + 1)?;
        }
        Ok(Self { url_id, accepted: column(0)?, states })
    }
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The bytes of messages and attempts, and the rows of attempts, go when they are older.
    pub bytes_before: Timestamp,
    /// Notifications with their deliveries, and orders of which nothing is left, go when they are older.
    pub ledger_before: Timestamp,
}

/// Where retention goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionCursor {
    pub phase: RetentionPhase,
    /// The last id looked at in this phase, or 0.
    pub after: i64,
}

/// What retention looks at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetentionPhase {
    #[default]
    Bytes,
    Attempts,
    Ledger,
    /// Giving the place on the disk back.
    Shrink,
}

impl RetentionPhase {
    /// What comes next, or `None` after the last.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Bytes => Some(Self::Attempts),
            Self::Attempts => Some(Self::Ledger),
            Self::Ledger => Some(Self::Shrink),
            Self::Shrink => None,
        }
    }
}

/// How much retention has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Segments: the bytes of many messages and attempts together.
    pub segments: u64,
    pub attempts: u64,
    pub notifications: u64,
    pub deliveries: u64,
    pub orders: u64,
}

impl std::ops::AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.segments += more.segments;
        self.attempts += more.attempts;
        self.notifications += more.notifications;
        self.deliveries += more.deliveries;
        self.orders += more.orders;
    }
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub bytes: u64,
    pub notifications: u64,
    /// What its secrets open with; not in the copy.
    pub key_file: PathBuf,
}
