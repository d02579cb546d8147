//! Quittance: Instant Payment Notifications received, kept, and delivered until they are confirmed.
//!
//! The package is compiled twice. With the feature `ssr` it is the server; with `hydrate` it is the WebAssembly module
//! that wakes the islands of a page in the browser.

// A page's type is the tree of its elements.
#![recursion_limit = "256"]

/// Words, rules and data that both halves share. Pure.
pub mod domain;
/// The functions that pages and forms call on the server.
pub mod rpc;
/// Everything that only the server does.
#[cfg(feature = "ssr")]
pub mod server;
/// Pages, components and islands.
pub mod ui;
/// What people read, in their language.
pub mod words;

/// Wakes the islands of the page; the page's script calls it once.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
