//! Orders, their notifications, deliveries and attempts.

use super::{dashboard::MerchantRef, filter::Reader, story::Comparison};
use crate::{
    domain::{
        Algorithms, Cause, DeliveryState, FieldError, Format, Gateway, Money, OrderStatus, Timestamp,
        attempt::{Origin, Timings, VerdictDetail},
        id::{DeliveryId, ListenerId, NotificationId, OrderId, UrlId},
    },
    words::t,
};
use serde::{Deserialize, Serialize};

/// Orders on one page of a list.
pub const PAGE_SIZE: u32 = 50;

/// What to search for. The filter line of the list is this, and so is the address of the page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrderFilter {
    /// The beginning of a reference, an external reference or an e-mail address.
    pub text: String,
    pub status: Option<OrderStatus>,
    /// The first day on which it was first seen, as its midnight in UTC; the day itself is the merchant's.
    pub from: Option<Timestamp>,
    /// The day after the last.
    pub until: Option<Timestamp>,
    /// Only TEST orders, or only real ones.
    pub test: Option<bool>,
    /// Continue after this order (keyset paging).
    pub after: Option<OrderId>,
    /// An e-mail address, or an external reference, which may be one, is found only whole. Set by the server for whoever sees masked ones: letter by letter he would
    /// find out the rest.
    #[serde(default)]
    pub masked: bool,
}

impl OrderFilter {
    /// What of a filter's fields cannot be read, and is left out.
    pub fn mistakes(field: &dyn Fn(&str) -> Option<String>) -> Vec<FieldError> {
        let mut reader = Reader::new(field);
        let known = |code: &str| OrderStatus::ALL.into_iter().find(|status| status.code() == code);
        reader.read("status", t!("Choose a status of the list."), known);
        reader.first_day();
        reader.after_last_day();
        reader.test();
        reader.mistakes()
    }
}

/// One page of found orders, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderList {
    pub rows: Vec<OrderRow>,
    /// There are more after the last of these.
    pub more: bool,
    /// The text fits so many orders that only some were looked through; a longer text finds the rest.
    pub truncated: bool,
}

/// An order as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    pub id: OrderId,
    pub reference: String,
    pub external: String,
    pub email: String,
    pub customer: String,
    pub gateway: Gateway,
    pub status: OrderStatus,
    pub vendor_status: String,
    pub amount: Option<Money>,
    /// How much of it was given back.
    pub refunded: Option<Money>,
    pub test: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deliveries: DeliverySummary,
}

/// How the deliveries of an order stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeliverySummary {
    /// Waiting for the first attempt, or in it.
    pub queued: u32,
    /// Waiting for another attempt.
    pub retrying: u32,
    pub held: u32,
    pub confirmed: u32,
    pub expired: u32,
    pub cancelled: u32,
}

impl DeliverySummary {
    /// The count that a state belongs to.
    pub const fn slot(&mut self, state: DeliveryState) -> &mut u32 {
        match state {
            DeliveryState::Queued | DeliveryState::Sending => &mut self.queued,
            DeliveryState::Retrying => &mut self.retrying,
            DeliveryState::Held => &mut self.held,
            DeliveryState::Confirmed => &mut self.confirmed,
            DeliveryState::Expired => &mut self.expired,
            DeliveryState::Cancelled => &mut self.cancelled,
        }
    }

    /// All of them.
    pub const fn total(&self) -> u32 {
        self.queued + self.retrying + self.held + self.confirmed + self.expired + self.cancelled
    }
}

/// A URL to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlChoice {
    pub id: UrlId,
    pub label: String,
    pub url: String,
    pub held: bool,
}

/// One notification with its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationView {
    pub id: NotificationId,
    pub received_at: Timestamp,
    pub status: OrderStatus,
    pub vendor_status: String,
    pub message_id: String,
    pub signatures: Algorithms,
    /// What it told of money, below zero what it gave back; read for the story alone.
    pub amount: Option<Money>,
    pub test: bool,
    /// `None` where a person placed a TEST order.
    pub listener: Option<(ListenerId, String)>,
    pub peer: String,
    /// Bytes of the body.
    pub size: u64,
    /// How often the identical message came again.
    pub repeats: u32,
    pub deliveries: Vec<DeliveryView>,
}

/// One delivery as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub notification_id: NotificationId,
    pub url_id: UrlId,
    pub url_label: String,
    /// Where it goes: as the URL is set now, or to an address of its own.
    pub url: String,
    pub origin: Origin,
    /// Who asked for it, where somebody did.
    pub actor: Option<String>,
    pub state: DeliveryState,
    pub attempts: u32,
    pub due_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
    pub last_cause: Option<Cause>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Its URL gets copies, and its failures count nowhere.
    pub shadow: bool,
    /// Who cancelled it with a list of deliveries, where somebody did.
    pub cancelled_by: Option<String>,
    /// A person had it sent to the address that its URL had then, whatever the URL is set to now.
    pub elsewhere: bool,
    /// It was given up, and its URL has confirmed the same notification since, when it was resent.
    pub put_right: bool,
}

impl DeliveryView {
    /// It was sent once, for debug, and not confirmed: nothing more is tried, and nobody has cancelled it.
    pub fn failed_for_debug(&self) -> bool {
        self.origin == Origin::Debug && self.state == DeliveryState::Cancelled && self.attempts > 0
    }

    /// The state in a word.
    pub fn state_label(&self) -> &'static str {
        if self.failed_for_debug() { "Not confirmed" } else { self.state.label() }
    }
}

/// A delivery with its attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    pub merchant: MerchantRef,
    pub order_id: OrderId,
    pub reference: String,
    pub vendor_status: String,
    pub delivery: DeliveryView,
    /// The newest first, or from a number on down.
    pub attempts: Vec<AttemptRow>,
    /// The attempt below the last of these, where there is one.
    pub next: Option<u32>,
    /// In which form its URL gets messages.
    pub format: Format,
    /// Its URL is not in the settings any more.
    pub url_removed: bool,
    /// The viewer may resend, and there is something to resend and where to.
    pub may_resend: bool,
}

/// One attempt as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    pub number: u32,
    pub started_at: Timestamp,
    pub address: Option<String>,
    pub status: Option<u16>,
    pub cause: Option<Cause>,
    pub timings: Timings,
}

/// One attempt, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptPage {
    pub merchant: MerchantRef,
    pub order_id: OrderId,
    pub reference: String,
    /// The gateway's word for the status that was sent.
    pub vendor_status: String,
    pub delivery: DeliveryView,
    pub attempt: AttemptRow,
    pub detail: VerdictDetail,
    pub request_head: String,
    pub request_body: String,
    /// Bytes of the body that was sent.
    pub request_size: u64,
    /// The body as Base64, where it holds bytes that no text has.
    pub request_base64: Option<String>,
    /// The request's form, decoded.
    pub fields: Vec<(String, String)>,
    pub answer_head: String,
    pub answer_body: String,
    /// Those of an answer that is JSON, with the paths that lead to them.
    pub answer_fields: Vec<(String, String)>,
    /// Only the beginning of the answer is kept.
    pub answer_cut: bool,
    /// What was sent beside what a resend would send now; without the viewer's right to resend, too.
    pub comparison: Comparison,
    /// Its URL is not in the settings any more.
    pub url_removed: bool,
    /// Its URL is set to another address now.
    pub moved: bool,
    pub may_resend: bool,
}

/// A notification as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationPage {
    pub merchant: MerchantRef,
    pub order_id: OrderId,
    pub reference: String,
    pub notification: NotificationView,
    pub head: String,
    pub body: String,
    pub fields: Vec<(String, String)>,
    /// Its bytes are older than they are kept.
    pub bytes_removed: bool,
    pub may_resend: bool,
}

/// Statuses that a TEST order can have, as the gateway names them, with what each means.
pub const TEST_STATUSES: [(&str, &str); 9] = [
    ("COMPLETE", "paid and fulfilled"),
    ("PENDING", "placed, waiting for the bank"),
    ("PENDING_APPROVAL", "under review"),
    ("PAYMENT_AUTHORIZED", "authorized by the bank"),
    ("PAYMENT_RECEIVED", "money received, before fulfilment"),
    ("REFUND", "money returned"),
    ("REVERSED", "authorization released"),
    ("CANCELED", "cancelled"),
    ("INVALID", "wrong billing data"),
];
