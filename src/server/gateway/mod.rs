//! The gateways' dialects: one file for each, turning what it posts into our words and our outcome into the
//! acknowledgement it knows.
//!
//! Pure: bytes and secrets in, facts or a reason out. Must not live here: HTTP, the store, the clock.

pub mod twocheckout;

use crate::domain::{Algorithms, Gateway, RefusalReason, order::OrderFacts};
use crate::server::ipn::Form;

/// What a listener's settings say about checking.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    pub secret: &'a [u8],
    /// At least one of these must have signed.
    pub required: Algorithms,
}

/// A message that is what it claims to be.
#[derive(Debug, Clone)]
pub struct Verified<'a> {
    pub facts: OrderFacts,
    /// The algorithms that it was signed with, all right.
    pub signatures: Algorithms,
    /// The fields in received order.
    pub form: Form<'a>,
}

/// A message that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: RefusalReason,
    /// More about it, for the merchant's eyes only.
    pub detail: String,
}

impl Refused {
    /// A refusal with nothing more to say.
    pub const fn because(reason: RefusalReason) -> Self {
        Self { reason, detail: String::new() }
    }
}

/// The exact answer that a gateway knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

/// Checks a body against a listener's settings.
pub fn verify<'a>(gateway: Gateway, credentials: Credentials<'_>, body: &'a [u8]) -> Result<Verified<'a>, Refused> {
    match gateway {
        Gateway::TwoCheckout => twocheckout::verify(credentials, body),
    }
}

/// The reference of the order that a body names, whether or not anything else of it is right; empty where it names none.
/// Nobody has proved it.
pub fn reference(gateway: Gateway, body: &[u8]) -> String {
    match gateway {
        Gateway::TwoCheckout => twocheckout::named(body),
    }
}

/// The answer for a message that is stored, now or before. `date` is the moment of the answer as `YYYYMMDDHHMMSS`.
pub fn acknowledge(gateway: Gateway, credentials: Credentials<'_>, verified: &Verified<'_>, date: &str) -> Acknowledgement {
    match gateway {
        Gateway::TwoCheckout => twocheckout::acknowledge(credentials, verified, date),
    }
}
