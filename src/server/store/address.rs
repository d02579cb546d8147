//! Where a database is, as people write it and as they are shown it.

use super::{PgAddress, StoreError};
use std::{fmt, path::PathBuf};

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Sqlite(PathBuf),
    Postgres(PgAddress),
}

impl Address {
    /// Reads `sqlite:PATH`, `sqlite://PATH`, `postgres://…` or `postgresql://…`. A scheme is required, so that a typing
    /// error cannot make an empty database.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let unknown = || StoreError::Address(without_password(text));
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let wrong = |reason| StoreError::PgAddress { address: without_password(text), reason };
            return PgAddress::parse(text).map(Self::Postgres).map_err(wrong);
        }
        let path = text.strip_prefix("sqlite:").ok_or_else(unknown)?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        if path.is_empty() || path == ":memory:" { Err(unknown()) } else { Ok(Self::Sqlite(PathBuf::from(path))) }
    }
}

/// As people are shown it: the path of the file, or the address without its password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(address) => address.fmt(f),
        }
    }
}

/// An address for error messages: nothing of it that may be a password. Its parts may be anything here, because nobody understood it.
fn without_password(text: &str) -> String {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let (secret, rest) = text.rsplit_once('@').unwrap_or(("", text));
    // A password in the options, or one that has an `@` or `=` of its own.
    let shown = rest.split(['?', '#', '=']).next().unwrap_or_default();
    match (scheme, secret) {
        ("", "") if shown.len() == rest.len() => shown.to_owned(),
        ("", _) => "…".to_owned(),
        (scheme, "") if scheme.starts_with("postgres") => format!("{scheme}://…"),
        (_, "") => shown.to_owned(),
        (scheme, _) => format!("{scheme}://…@{shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_its_scheme_and_errors_show_no_password() {
        for address in ["sqlite:data/a.db", "sqlite://data/a.db", "sqlite:data/a.db?mode=rwc"] {
            assert_eq!(Address::parse(address).unwrap(), Address::Sqlite("data/a.db".into()), "{address}");
        }
        let refused = |text: &str| Address::parse(text).unwrap_err().to_string();
        for wrong in ["data/a.db", "", "sqlite:", "sqlite::memory:", "mysql://host/db"] {
            assert!(refused(wrong).contains("expected sqlite:PATH or postgres://"), "{wrong}");
        }
        let message = refused("mysql://me:s@crt@host/db?password=other");
        assert!(message.contains("mysql://…@host/db") && !message.contains("crt@") && !message.contains("other"), "{message}");
        for wrong in [
            "postgres:me:hush@host/db",
            "postgres//me:hush@host/db",
            "me:hush@host/db",
            "host=host user=me password=hush",
            "postgres://me:hu?sh@host:5999/db",
            "postgres://me:1?hush@host:5999/db",
            "postgres://me:hu/sh@host:5999/db",
            "postgres://me:hu#sh@host:5999/db",
            "postgres://me:hush",
        ] {
            let message = refused(wrong);
            assert!(!["hush", "hu?", "hu/", "hu#", "me:"].iter().any(|part| message.contains(part)), "{message}");
        }
        assert!(refused("postgres://me:1?hush@host:5999/db").contains("%3F"), "a password is written with percent signs");
        for address in ["postgres://me:hush@host:6432/db?sslmode=require", "postgresql://me:hush@host:6432/db"] {
            let address = Address::parse(address).unwrap();
            assert_eq!(address.to_string(), "postgres://me@host:6432/db");
            assert!(!format!("{address:?}").contains("hush"));
        }
        for (wrong, reason) in [
            ("postgres://me:hush@host:port/db", "invalid port number"),
            ("postgres://me:hush@host:99999/db", "invalid port number"),
            ("postgres://me:hush@host/db?sslmode=yes", "\"yes\""),
            ("postgres://me:hush@host/db?port=x", "invalid digit"),
        ] {
            let message = refused(wrong);
            assert!(message.contains(reason) && message.contains("//…@host") && !message.contains("hush"), "{message}");
        }
    }
}
