//! What the tests stand on.

pub mod message;
pub mod stores;
