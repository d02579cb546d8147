//! The server's half.

pub mod clock;
pub mod ipn;
pub mod store;
