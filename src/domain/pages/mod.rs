//! What pages and server exchange: one file for each part of the control panel.
//!
//! Plain data, ready to be shown. Times are moments, amounts are money, causes are causes; how they look is decided
//! in `ui::format`.

pub mod audit;
pub mod bulk;
pub mod dashboard;
pub mod deliveries;
pub mod filter;
pub mod flash;
pub mod inbound;
pub mod listeners;
pub mod live;
pub mod mail;
pub mod orders;
pub mod people;
mod personal;
pub mod search;
pub mod settings;
pub mod simulate;
pub mod simulator;
pub mod story;
pub mod via;
pub mod views;

/// A value as the query of an address carries it.
fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            b' ' => text.push('+'),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
