//! What Quittance speaks of: ids, money, statuses, causes, and what pages and server exchange.
//!
//! Compiled for both halves, so everything here is pure: no clock, no network, no database, and nothing
//! imported from the rest of the house. A type belongs here when a page or two rooms need it.

pub mod agent;
pub mod algorithm;
pub mod attempt;
pub mod audit;
pub mod cause;
pub mod content;
pub mod delivery;
pub mod error;
pub mod fault;
pub mod format;
pub mod gateway;
pub mod id;
pub mod mail;
pub mod money;
pub mod order;
pub mod pages;
pub mod personal;
pub mod refusal;
pub mod role;
pub mod terms;
pub mod time;
pub mod zone;

pub use algorithm::{Algorithm, Algorithms};
pub use cause::Cause;
pub use content::{Tags, Triggers};
pub use delivery::DeliveryState;
pub use error::{AppError, FieldError};
pub use fault::Fault;
pub use format::Format;
pub use gateway::{Gateway, GatewayOptions};
pub use money::Money;
pub use order::OrderStatus;
pub use refusal::RefusalReason;
pub use role::Role;
pub use terms::{RetrySchedule, Terms};
pub use time::Timestamp;
pub use zone::Zone;
