//! The server's half.

pub mod clock;
pub mod gateway;
pub mod http;
pub mod ipn;
pub mod listener;
pub mod store;
