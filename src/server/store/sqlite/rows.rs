//! From columns to domain types, with a clear error where the database holds something unexpected.

use crate::domain::{DeliveryState, Money, money::Currency};
use crate::server::store::StoreError;

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
