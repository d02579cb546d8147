//! The parts that pages are put together from. All of them work in pages (server only) and in islands (both halves).
//!
//! Must not live here: anything that knows a particular page.

mod bytes;
mod form;
mod icon;
mod parts;
mod states;
mod time;

pub use bytes::{Fields, Octets};
pub use form::{AlgorithmChoice, Check, Confirm, FormNotes, Hidden, TextField};
pub use icon::Icon;
pub use parts::{Address, Copy, Empty, Notice, Tone, fact};
pub use states::{DeliveryBadge, OrderBadge, Summary, TestBadge};
pub use time::{Ago, Moment, now};
