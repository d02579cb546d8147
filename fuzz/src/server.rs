//! The rooms that read what strangers send.

#[path = "../../src/server/gateway/mod.rs"]
pub mod gateway;
#[path = "../../src/server/ipn/mod.rs"]
pub mod ipn;
