//! What people see: the control panel.
//!
//! Pages are rendered on the server only; links are links and forms are forms, so everything works without JavaScript.
//! What reacts by itself (live counts and lists, search as you type) is an island and compiled for both halves.
//!
//! Must not live here: what a number means or who may see it. Pages get their data from server functions (`rpc`), as
//! plain data (`domain::pages`).

pub mod components;
pub mod format;
pub mod islands;
#[cfg(feature = "ssr")]
pub mod pages;
pub mod query;
#[cfg(feature = "ssr")]
pub mod routes;
#[cfg(feature = "ssr")]
pub mod shell;
