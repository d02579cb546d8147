//! What wakes up in the browser. Each island shows its first state from the server without waiting for anything, and
//! works without JavaScript as far as a form or a link can.
//!
//! Must not live here: pages, and anything that only the server can do.

pub mod dashboard;
pub mod delivery;
pub mod helpers;
pub mod listener;
mod live;
pub mod order;
pub mod orders;
pub mod resend;
