//! What wakes up in the browser. Without JavaScript nothing of it is missed that a link or a form can do.
//!
//! Live parts are not rendered a second time in the browser: when something changed, the page is read again from its
//! own address, and what differs is changed in place. So all views are compiled for the server only, and the
//! WebAssembly half stays small (docs/PERFORMANCE.md has the figures of both ways).
//!
//! Must not live here: pages, and anything that only the server can do.

pub mod helpers;
pub mod live;
#[cfg(feature = "hydrate")]
mod morph;
pub mod preview;
#[cfg(feature = "hydrate")]
mod reader;
pub mod search;
