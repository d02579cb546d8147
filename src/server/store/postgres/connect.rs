//! How connections are made: the address, the settings of each connection, the errors of a start in words with their
//! cure, the schema, and the key that seals secrets.

use super::rows::unavailable_code;
use crate::server::store::{
    StoreError,
    vault::{Vault, random},
};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use std::{
    fmt, io,
    path::Path,
    str::FromStr as _,
    time::{Duration, Instant},
};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// The oldest version that the statements are written for.
const OLDEST: u32 = 15;
/// How long a connection may take to come about.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(4);
/// Held while a start makes the schema and the proof of the key: of two first starts one comes after the other.
const START_LOCK: i64 = 0x7175_6974_7461_6e63;
/// The fact that stands in a database which a copy has begun to fill, until it has ended well.
pub(in crate::server::store) const UNFINISHED: &str = "copy_unfinished";
const KEY_CHECK: &str = "key-check";
/// Options of an address that the driver knows, and `options[…]`.
const OPTIONS: [&str; 18] = [
    "options",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];
/// What the server says where a table is in use for longer than the wait for it.
const LOCKED: &str = "55P03";
/// How long a start waits for tables that it must change, and from one try to the next.
const IN_USE_PATIENCE: Duration = Duration::from_secs(15 * 60);
const IN_USE_PAUSE: Duration = Duration::from_secs(3);

/// Where a database of PostgreSQL is. Its password is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PgAddress {
    url: String,
    shown: String,
}

impl PgAddress {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`. An error says what is wrong with it, without its password.
    pub(in crate::server::store) fn parse(url: &str) -> Result<Self, String> {
        let (_, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if !authority.is_empty() && !authority.contains('@') && rest.contains('@') {
            return Err("what stands before @ is not understood".to_owned());
        }
        let url = with_known_options(url)?;
        let options = PgConnectOptions::from_str(&url).map_err(|error| match error {
            sqlx::Error::Configuration(reason) => reason.to_string(),
            other => other.to_string(),
        })?;
        let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
        let database = options.get_database().unwrap_or(options.get_username());
        let shown = format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port());
        Ok(Self { url, shown })
    }

    /// What every connection of the server gets. Nothing may hang for ever: not a statement, not a wait for a lock, not a
    /// transaction whose process was stopped in the middle.
    pub(super) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let limits = [("statement_timeout", "7s"), ("lock_timeout", "4s"), ("idle_in_transaction_session_timeout", "3s")];
        Ok(self.unlimited()?.options(limits))
    }

    /// The same without limits, for what may take long: the schema, the doctor.
    pub(in crate::server::store) fn unlimited(&self) -> Result<PgConnectOptions, StoreError> {
        let options = PgConnectOptions::from_str(&self.url).map_err(|_| StoreError::Address(self.shown.clone()))?;
        Ok(options
            .application_name("quittance")
            // A gateway was told "received": what is committed must be on disk, whatever the server's own setting says.
            // The statements are short; compiling them would take longer than running them.
            .options([("synchronous_commit", "on"), ("jit", "off"), ("client_min_messages", "warning")])
            .disable_statement_logging())
    }

    /// Why a connection failed, with what to do about it.
    fn failure(&self, error: &sqlx::Error) -> StoreError {
        let code = error.as_database_error().and_then(|inner| inner.code()).unwrap_or_default();
        let user = PgConnectOptions::from_str(&self.url).map(|options| options.get_username().to_owned()).unwrap_or_default();
        let said = error.as_database_error().map(|inner| inner.message().to_owned()).unwrap_or_default();
        let (what, cure) = match (error, code.as_ref()) {
            (_, "3D000") => ("the database does not exist".to_owned(), format!("make it with `createdb --owner {user} NAME`")),
            (_, "28P01") => {
                ("the password is wrong".to_owned(), "put the right one into the address, or into ~/.pgpass".to_owned())
            }
            (_, "28000") => (
                format!("the server does not let this user in ({said})"),
                "check the user's name and the server's pg_hba.conf".to_owned(),
            ),
            (_, "42501") => (
                format!("the user {user} has too few rights ({said})"),
                format!("make it the owner: ALTER DATABASE … OWNER TO {user}"),
            ),
            (_, "53300") => (
                "the server takes no more connections".to_owned(),
                "raise its max_connections; each node needs about twenty".to_owned(),
            ),
            (_, LOCKED) => (
                "its tables are in use, and cannot be brought to this version's shape".to_owned(),
                "wait for what reads them, such as a backup or a doctor (see pg_stat_activity), and start again".to_owned(),
            ),
            (sqlx::Error::Tls(reason), _) => (
                format!("no encrypted connection ({reason})"),
                "check sslmode and sslrootcert in the address, and that the server has TLS switched on".to_owned(),
            ),
            // A handshake that failed.
            (sqlx::Error::Io(reason), _) if reason.kind() == io::ErrorKind::InvalidData => (
                format!("no encrypted connection ({reason})"),
                "check sslmode and sslrootcert in the address, and the certificate of the server".to_owned(),
            ),
            (sqlx::Error::Io(reason), _) => (
                format!("the server cannot be reached ({reason})"),
                "check that it runs, that host and port are right, and its listen_addresses".to_owned(),
            ),
            (sqlx::Error::Configuration(reason), _) => (format!("{reason}"), "correct the address".to_owned()),
            (_, code) if unavailable_code(code) => (said, "try again in a moment".to_owned()),
            _ => (error.to_string(), "see the log of the PostgreSQL server".to_owned()),
        };
        StoreError::Connect { address: self.shown.clone(), what, cure }
    }

    /// Connects, with patience, and with an error that names the cure.
    pub(in crate::server::store) async fn connect(&self, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
        match tokio::time::timeout(CONNECT_PATIENCE, options.connect()).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => Err(self.failure(&sqlx::Error::Io(io::ErrorKind::TimedOut.into()))),
        }
    }
}

/// An address without the options that have no effect: the driver would write them into the log with their values.
fn with_known_options(text: &str) -> Result<String, String> {
    let mut url = url::Url::parse(text).map_err(|error| error.to_string())?;
    if url.query().is_none() {
        return Ok(text.to_owned());
    }
    let is_known = |name: &str| OPTIONS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'));
    let pairs: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    for (name, _) in pairs.iter().filter(|(name, _)| !is_known(name)) {
        tracing::warn!(option = name, "this option of the PostgreSQL address is not known here and has no effect");
    }
    url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(name, _)| is_known(name)));
    Ok(url.into())
}

impl fmt::Display for PgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PgAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Half of an installation must not be served, nor be changed.
pub(super) async fn refuse_unfinished(address: &PgAddress, conn: &mut PgConnection) -> Result<(), StoreError> {
    let unfinished: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta WHERE key = $1)").bind(UNFINISHED).fetch_one(conn).await?;
    if unfinished { Err(StoreError::HalfCopied(address.to_string())) } else { Ok(()) }
}

/// Brings the database to this version's shape, and opens the key that belongs to it.
pub(in crate::server::store) async fn prepare(address: &PgAddress, key_file: &Path, create: bool) -> Result<Vault, StoreError> {
    let mut conn = address.connect(&address.unlimited()?).await?;
    let version = conn.server_version_num().unwrap_or(0) / 10_000;
    if version < OLDEST {
        return Err(StoreError::TooOld { address: address.to_string(), found: version, oldest: OLDEST });
    }
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(&mut conn).await?;
    if encoding != "UTF8" {
        let what = format!("its encoding is {encoding}");
        let cure = "make the database with `createdb --encoding UTF8 --template template0`".to_owned();
        return Err(StoreError::Connect { address: address.to_string(), what, cure });
    }
    let made: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut conn).await?;
    if !made && !create {
        return Err(StoreError::NoTables(address.to_string()));
    }
    sqlx::query("SELECT pg_advisory_lock($1)").bind(START_LOCK).execute(&mut conn).await?;
    migrate(address, &mut conn).await?;
    let vault = open_vault(&mut conn, key_file).await?;
    // Closing the connection gives the lock back.
    let _ = conn.close().await;
    Ok(vault)
}

fn is_locked(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(LOCKED))
}

/// Other nodes go on meanwhile: whoever waits for a table to change it makes everybody else wait behind him, so nothing waits long,
/// and it is tried again while a backup or a doctor reads the table.
async fn migrate(address: &PgAddress, conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("SET lock_timeout = '2s'").execute(&mut *conn).await?;
    let begun = Instant::now();
    let mut told = false;
    let run = loop {
        let run = MIGRATOR.run(&mut *conn).await;
        match &run {
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
                if is_locked(error) && begun.elapsed() < IN_USE_PATIENCE =>
            {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!("the database is brought to this version's shape as soon as nobody reads the tables for long");
                }
                tokio::time::sleep(IN_USE_PAUSE).await;
            }
            _ => break run,
        }
    };
    match run {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::Newer { found }),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(address.failure(&error)),
        Err(error) => Err(StoreError::Corrupt(error.to_string())),
    }
}

/// Opens the key file that the database was made with. Makes one only where the database holds no proof of a key yet.
async fn open_vault(conn: &mut PgConnection, key_file: &Path) -> Result<Vault, StoreError> {
    let check: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'key_check'").fetch_optional(&mut *conn).await?;
    if let Some(check) = check {
        let vault = Vault::open(key_file)?;
        let sealed = hex::decode(check).map_err(|_| StoreError::Corrupt("meta.key_check".to_owned()))?;
        return match vault.unseal(KEY_CHECK, &sealed) {
            Some(_) => Ok(vault),
            None => Err(StoreError::KeyWrong(key_file.to_owned())),
        };
    }
    if let Some(folder) = key_file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| StoreError::KeyFile { path: key_file.to_owned(), reason: error.to_string() })?;
    }
    let vault = Vault::create(key_file)?;
    sqlx::query("INSERT INTO meta (key, value) VALUES ('key_check', $1), ('installation', $2)")
        .bind(hex::encode(vault.seal(KEY_CHECK, b"quittance")))
        .bind(hex::encode(random::<16>()))
        .execute(conn)
        .await?;
    Ok(vault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address = PgAddress::parse("postgresql://me:s%40crt@db.example.com:6432/ipn?sslmode=require&password=other").unwrap();
        assert_eq!(address.to_string(), "postgres://me@db.example.com:6432/ipn");
        assert_eq!(format!("{address:?}"), "postgres://me@db.example.com:6432/ipn");
        assert!(PgAddress::parse("postgres://host:port/x").is_err());
        let socket = PgAddress::parse("postgres:///ipn?host=/run/postgresql&user=me").unwrap();
        assert_eq!(socket.to_string(), "postgres://me@/run/postgresql:5432/ipn");
    }

    #[test]
    fn failures_name_the_cure_and_no_password() {
        let address = PgAddress::parse("postgres://me:hush@host/ipn").unwrap();
        let told = address.failure(&sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into())).to_string();
        assert!(told.contains("postgres://me@host:5432/ipn") && told.contains("check that it runs"), "{told}");
        assert!(!told.contains("hush"));
    }
}
