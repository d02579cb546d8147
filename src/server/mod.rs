//! The server's half. The rooms and who may import whom: docs/ARCHITECTURE.md.

pub mod alerts;
pub mod app;
pub mod auth;
pub mod balance;
pub mod bulk;
pub mod cli;
pub mod clock;
pub mod confirm;
pub mod demo;
pub mod dispatch;
pub mod gateway;
pub mod http;
pub mod ipn;
pub mod kit;
pub mod listener;
pub mod live;
pub mod mail;
pub mod memory;
pub mod retention;
pub mod service;
pub mod settings;
pub mod store;
pub mod telemetry;
