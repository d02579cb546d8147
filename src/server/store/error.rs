//! What the store can fail with, in terms that callers can act upon.

use super::postgres::unavailable_code;
use sqlx::postgres::PgDatabaseError;
use std::path::PathBuf;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0} was not found")]
    NotFound(&'static str),
    /// Something of this kind and name is there already.
    #[error("{0} is already taken")]
    Taken(&'static str),
    /// Somebody changed it after it was read; it has this version now.
    #[error("it was changed meanwhile and has version {0} now")]
    Changed(i64),
    /// There must be an administrator who can sign in.
    #[error("this is the last administrator who can sign in")]
    LastAdmin,
    /// Nothing can be written at the moment; trying again later may help.
    #[error("the database cannot be used at the moment: {0}")]
    Unavailable(String),
    #[error("unknown database address {0:?}: expected sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")]
    Address(String),
    #[error(
        "the PostgreSQL address {address:?}: {reason}; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS, \
         where a password has %2F for /, %3F for ?, %23 for # and %40 for @"
    )]
    PgAddress { address: String, reason: String },
    /// No connection to a PostgreSQL server came about, or not one that can be used.
    #[error("the database {address}: {what}; {cure}")]
    Connect { address: String, what: String, cure: String },
    #[error("the PostgreSQL server of {address} is version {found}; {oldest} or newer is needed")]
    TooOld { address: String, found: u32, oldest: u32 },
    #[error("the database {0} is empty; start the server or add a merchant first")]
    NoTables(String),
    #[error("there is no database at {0}; start the server or add a merchant first")]
    Missing(PathBuf),
    #[error(
        "the database file {0} is empty; where there was data in it, put a backup in its place, otherwise start the server or add a merchant"
    )]
    EmptyFile(PathBuf),
    #[error(
        "the database was written by a newer version of quittance (its migration {found} is unknown here); install that version or newer"
    )]
    Newer { found: i64 },
    #[error(
        "the server that runs on the database {0} is of an older version than this command; start the server anew with this version \
         first, or use the command of its version"
    )]
    ServedByOlder(String),
    #[error("another server already runs on the database {0}; stop it first, or choose another --database")]
    Locked(String),
    #[error(
        "the key file {0} is missing, but the database holds secrets sealed with it; restore it from your backup, or name it with --key-file"
    )]
    KeyMissing(PathBuf),
    #[error(
        "the key file {0} does not belong to this database; name the right one with --key-file, or the right database with --database"
    )]
    KeyWrong(PathBuf),
    #[error(
        "{0} holds accepted notifications of another database; put it back beside that database, or move it away if that one is gone"
    )]
    ForeignJournal(PathBuf),
    #[error(
        "a copy into the database {0} is not finished: it is under way, or broke off; wait for it, or run the same `quittance copy` \
         again, which begins anew"
    )]
    HalfCopied(String),
    #[error("only the server accepts notifications and records attempts")]
    NotServing,
    #[error("the key file {path} cannot be used: {reason}")]
    KeyFile { path: PathBuf, reason: String },
    /// The file is there but no database, or may not be used.
    #[error("{path} cannot be opened as a database: {reason}")]
    File { path: PathBuf, reason: String },
    /// The new file, which is none afterwards.
    #[error("the backup {path} cannot be made: {reason}")]
    Backup { path: PathBuf, reason: String },
    #[error("this is for SQLite: {0}")]
    OnlySqlite(&'static str),
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    #[error("ledger: {0}")]
    Ledger(#[source] rusqlite::Error),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Primary SQLite result codes after which trying again may help: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN.
const TEMPORARY: [i64; 6] = [5, 6, 8, 10, 13, 14];

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|inner| i64::from(inner.extended_code) & 0xff);
        if code.is_some_and(|code| TEMPORARY.contains(&code)) {
            Self::Unavailable(error.to_string())
        } else {
            Self::Ledger(error)
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if let Some(inner) = error.as_database_error().filter(|inner| inner.try_downcast_ref::<PgDatabaseError>().is_some()) {
            let passes = inner.code().is_some_and(|code| unavailable_code(&code));
            return if passes { Self::Unavailable(error.to_string()) } else { Self::Database(error) };
        }
        let code = error.as_database_error().and_then(|inner| inner.code()).and_then(|code| code.parse::<i64>().ok());
        match (&error, code) {
            (_, Some(code)) if TEMPORARY.contains(&(code & 0xff)) => Self::Unavailable(error.to_string()),
            (sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed, _)
            | (sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_), _) => Self::Unavailable(error.to_string()),
            (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_), _) => Self::Corrupt(error.to_string()),
            _ => Self::Database(error),
        }
    }
}
