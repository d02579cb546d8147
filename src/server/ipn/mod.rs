//! The 2Checkout IPN wire rules: the form, the signatures, the read receipt.
//!
//! Pure functions over bytes, fuzzed and tested with vectors. Both sides of the protocol live here, because
//! Quittance is a listener for gateways and a sender for merchants. No HTTP, no clock, no store.
//!
//! Source of the rules: 2Checkout's documentation, "Instant Payment Notification (IPN)": *Calculate the IPN HASH
//! signature*, *IPN read receipt response*, *IPN parameters*.

pub mod form;
pub mod receipt;
pub mod signature;

pub use form::{Field, Form, FormError};
pub use receipt::{FoundReceipt, ReceiptFacts};
