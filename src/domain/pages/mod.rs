//! What pages and server exchange: one file for each part of the control panel.
//!
//! Plain data, ready to be shown. Times are moments, amounts are money, causes are causes; how they look is decided
//! in `ui::format`.

pub mod bulk;
pub mod dashboard;
pub mod deliveries;
pub mod flash;
pub mod listeners;
pub mod live;
pub mod orders;
pub mod people;
pub mod settings;
pub mod story;
