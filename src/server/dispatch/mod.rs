//! The dispatcher: each accepted notification to each URL, again and again, until a read receipt comes back.
//!
//! `run` is the loop; `schedule` (which delivery goes next, and how fast), `plan` (when to try again), `format` (what goes out, and in
//! which form; `sign` makes the usual one), `verdict` and `status` (what an answer means) are pure; `client` talks to merchants; `attempt` puts one attempt together, `keys` chooses the key
//! while one is changed; `reading` and `unrecorded` bound what is
//! in memory on its way from the table and back, `unread` what is told of an outage; `needs` is what all of it wants of the store and
//! the client.
//! The table of deliveries is the truth, memory the fast path: a restart reads the table and goes on.
//!
//! Must not live here: how deliveries are stored, who may ask for a resend.

pub mod attempt;
pub mod board;
pub mod client;
pub mod format;
mod keep_up;
pub mod keys;
pub mod needs;
pub mod plan;
mod reading;
pub mod run;
pub mod schedule;
pub mod sign;
#[cfg(test)]
mod simulation;
pub mod status;
mod unread;
mod unrecorded;
pub mod verdict;

pub use attempt::Workshop;
pub use board::Board;
pub use run::Dispatcher;
pub use schedule::Places;
