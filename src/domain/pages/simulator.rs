//! The simulator of a listener: what people choose, what was sent, what it was answered, and what became of it.

use super::{dashboard::MerchantRef, listeners::ListenerRow};
use crate::domain::{
    Fault, OrderStatus, RefusalReason,
    id::{NotificationId, OrderId, RefusalId},
};
use serde::{Deserialize, Serialize};

/// A message as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SimulatorForm {
    /// The code of a status that the gateway has a message for.
    pub status: String,
    pub amount: String,
    pub currency: String,
    /// The order's number, digits. Empty: a new one.
    pub reference: String,
    pub email: String,
    /// The gateway marks it as a test.
    pub as_test: bool,
    /// The address that the listener sees.
    pub from: String,
    /// The code of a fault; empty for none.
    pub fault: String,
}

/// What the page of a simulator shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatorPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    /// What the gateway can say; nothing where its description has no sample.
    pub statuses: Vec<OrderStatus>,
    pub faults: Vec<Fault>,
    /// Its messages say whether they are tests.
    pub marks_tests: bool,
    /// The currency is always this one.
    pub one_currency: bool,
    /// The listener's networks that may post; empty where all may.
    pub networks: String,
    /// Where the gateway is asked back, where it is; and whether that is a stand-in that the listener names.
    pub asked_at: Option<(String, bool)>,
    /// The form to begin with.
    pub draft: SimulatorForm,
    /// What was sent last.
    pub sent: Option<Simulated>,
    /// What was sent is not kept any more.
    pub is_gone: bool,
}

/// Something that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// The form as it was used; the order's number is there.
    pub form: SimulatorForm,
    /// One or two.
    pub exchanges: Vec<SimulatedExchange>,
}

/// A request and its answer, as they would cross the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulatedExchange {
    pub head: String,
    pub body: String,
    /// The body's fields, decoded.
    pub fields: Vec<(String, String)>,
    pub status: u16,
    pub answer_head: String,
    pub answer_body: String,
    pub became: Became,
}

/// What became of a simulated message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Became {
    /// It was accepted, as what it says about an order.
    Accepted { order: OrderId, notification: NotificationId, repeated: bool },
    /// It is kept, and the gateway is asked about it.
    Verifying { repeated: bool },
    /// It was refused; kept where the limits allow it.
    Refused { refusal: Option<RefusalId>, reason: RefusalReason, detail: String },
    /// It was right, and could not be stored.
    NotStored,
    /// It is about no payment, and was only answered.
    Nothing,
}
