//! From columns to domain types, with a clear error where the database holds something unexpected.

use crate::domain::{DeliveryState, Money, money::Currency};
use crate::server::store::StoreError;
use serde::Serialize;

pub(super) fn state(code: i64) -> Result<DeliveryState, StoreError> {
    DeliveryState::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("delivery state {code}")))
}

/// A column that holds a word of ours.
pub(super) fn word<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("{column} {text:?}")))
}

pub(super) fn money(minor: Option<i64>, currency: Option<&str>) -> Option<Money> {
    Some(Money { minor: minor?, currency: Currency::parse(currency?)? })
}

/// Rows as the text that `json_each` takes.
pub(super) fn json<T: Serialize>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Corrupt(error.to_string()))
}
