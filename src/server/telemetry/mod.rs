//! What a running server tells of itself: the log, lines on standard error, as much as `QUITTANCE_LOG` asks for (`info` by
//! default); and the metrics, numbers that are read from it.
//!
//! Every metric has its name in one table (`names`). Must not live here: when something is counted; the rooms that do it
//! call `Metrics`, which costs them a few instructions and never a lock
//! (one in an outage, for messages that cannot be stored: `unstored`).

mod histogram;
pub mod metrics;
pub mod names;
mod render;
mod seldom;
mod unstored;

pub use metrics::{InFlight, Metrics};
pub use seldom::Seldom;
pub use unstored::Unstored;

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts the log. Programs that are not the server log warnings only.
pub fn start(is_server: bool, json: bool) {
    let default = if is_server { "info,hickory_resolver=error,hickory_net=error" } else { "warn" };
    let filter = EnvFilter::try_from_env("QUITTANCE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A line that cannot be written (the disk is full, whoever read is gone) is lost. To be told of that on the same standard
    // error would be a panic of whoever had something to say, in the very moment in which others need him.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    // A second start (tests) keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.with_ansi(std::io::stderr().is_terminal()).try_init() };
}
