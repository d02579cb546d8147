//! From columns to domain types, with a clear error where the database holds something unexpected; texts and errors on
//! their way in and out.

use crate::domain::{DeliveryState, Money, Timestamp, attempt::Origin, money::Currency};
use crate::server::store::StoreError;
use sqlx::{Row as _, postgres::PgRow};
use std::borrow::Cow;

/// A count of a column.
pub(super) fn count(row: &PgRow, column: usize) -> Result<u64, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.unwrap_or(0).try_into().unwrap_or(0))
}

/// A small number of a column.
pub(super) fn small<T: TryFrom<i64>>(row: &PgRow, column: usize) -> Result<T, StoreError> {
    let value: i64 = row.try_get(column)?;
    value.try_into().map_err(|_| StoreError::Corrupt(format!("{value} in column {column}")))
}

/// A moment of a column, where there is one.
pub(super) fn moment(row: &PgRow, column: usize) -> Result<Option<Timestamp>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp))
}

pub(super) fn state(code: i64) -> Result<DeliveryState, StoreError> {
    DeliveryState::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("delivery state {code}")))
}

pub(super) fn origin(code: i64) -> Result<Origin, StoreError> {
    Origin::from_code(code).ok_or_else(|| StoreError::Corrupt(format!("delivery origin {code}")))
}

/// A column that holds a word of ours.
pub(super) fn word<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("{column} {text:?}")))
}

pub(super) fn money(minor: Option<i64>, currency: Option<&str>) -> Option<Money> {
    Some(Money { minor: minor?, currency: Currency::parse(currency?)? })
}

/// A text as the database takes it: it knows no zero character, and one message with it would fail a whole batch.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// A value as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// States of SQL after which the same call may succeed later: connections, resources (a full disk), locks and deadlocks,
/// cancelled statements, a server that starts, stops or only reads, and trouble with its files.
pub(in crate::server::store) fn unavailable_code(code: &str) -> bool {
    ["08", "53", "40", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "55006" | "25006" | "25P02" | "25P03")
}

/// Turns a violated uniqueness into the error that names what is taken.
pub(super) fn taken(error: sqlx::Error, what: &'static str) -> StoreError {
    if error.as_database_error().is_some_and(|inner| inner.is_unique_violation()) {
        StoreError::Taken(what)
    } else {
        error.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for code in ["08006", "53100", "53300", "40P01", "57014", "57P01", "55P03", "25006"] {
            assert!(unavailable_code(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "", "0A000"] {
            assert!(!unavailable_code(code), "{code}");
        }
    }

    #[test]
    fn a_zero_character_is_replaced() {
        assert_eq!(text("a\0b"), "a\u{fffd}b");
        assert!(matches!(text("ab"), Cow::Borrowed("ab")));
    }
}
