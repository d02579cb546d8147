//! Moving an installation: everything that a database of SQLite holds, written into an empty one of PostgreSQL.
//!
//! The source is held against servers and writers from the first row to the last. Rows stream: a thread reads them and puts
//! them into the binary form that COPY takes (`source`, `binary`), the target writes them (`target`), and a few pieces
//! are all that is ever in memory. What goes along is a table of tables (`tables`). At the end both sides are counted.
//!
//! Must not live here: how either engine works with its tables.

mod binary;
mod source;
mod tables;
mod target;

pub use self::{
    source::Sums,
    tables::{known_columns, known_facts},
};

use self::{
    source::{Told, Translation},
    tables::TABLES,
    target::{Target, to},
};
use super::{Address, Feed, OpenAs, PgAddress, StoreError, StoreSettings, postgres::default_key_file, sqlite::SqliteStore};
use crate::server::clock::Clock;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// From where to where.
pub struct CopySettings {
    pub from: Address,
    /// What opens the secrets of the source; beside it by default.
    pub from_key_file: Option<PathBuf>,
    pub to: Address,
    /// What seals them in the target; made where there is none.
    pub to_key_file: Option<PathBuf>,
    pub clock: Clock,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub table: &'static str,
    pub rows: u64,
    /// Rows that the table has.
    pub of: u64,
}

/// A copy that was made.
#[derive(Debug)]
pub struct Copied {
    pub tables: Vec<CopiedTable>,
    /// What the secrets in the target open with.
    pub key_file: PathBuf,
}

/// One table on both sides.
#[derive(Debug)]
pub struct CopiedTable {
    pub name: &'static str,
    pub source: Sums,
    pub target: Sums,
}

impl Copied {
    /// Whether both sides came to the same. Otherwise no server starts on the target.
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(CopiedTable::is_equal)
    }
}

impl CopiedTable {
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("a copy goes from SQLite to PostgreSQL; {0}")]
    Direction(&'static str),
    /// Something about the source.
    #[error(transparent)]
    From(StoreError),
    #[error("a server runs on the database {0}, and what it accepts during the copy would be lost; stop it first")]
    SourceServed(String),
    /// Something about the target.
    #[error(transparent)]
    To(StoreError),
    #[error("a server runs on the database {0}; stop it, or name an empty database")]
    TargetServed(String),
    #[error("the database {address} is not empty: there are rows in its table {table}; name an empty database")]
    NotEmpty { address: String, table: &'static str },
    #[error("the database {0} holds tables of another program; name an empty database")]
    Foreign(String),
    #[error("another copy into the database {0} is under way; wait for it")]
    UnderWay(String),
    #[error(
        "two rows of the source are one for PostgreSQL, which compares texts otherwise ({0}): for instance two merchants whose names \
         differ in the case of a letter alone; rename one of them, then copy again"
    )]
    Twice(String),
}

/// Copies everything, and counts it on both sides. `progress` is told of every few thousand rows.
pub async fn copy(settings: CopySettings, mut progress: impl FnMut(Progress)) -> Result<Copied, CopyError> {
    let (path, address) = ends(&settings.from, &settings.to)?;
    let open = StoreSettings { open_as: OpenAs::Alone, key_file: settings.from_key_file, clock: settings.clock };
    // Also brings what the journal still holds into the tables.
    let source = SqliteStore::open(path, open, Feed::default()).await.map_err(|error| match error {
        StoreError::Locked(path) => CopyError::SourceServed(path),
        error => CopyError::From(error),
    })?;
    let key_file = settings.to_key_file.unwrap_or_else(default_key_file);
    let copied = fill(&source, path, address, &key_file, &mut progress).await;
    source.close().await;
    copied
}

fn ends<'a>(from: &'a Address, to: &'a Address) -> Result<(&'a Path, &'a PgAddress), CopyError> {
    Err(CopyError::Direction(match (from, to) {
        (Address::Sqlite(path), Address::Postgres(address)) => return Ok((path, address)),
        (Address::Sqlite(_), Address::Sqlite(_)) => "for another file of SQLite use `quittance backup`",
        (Address::Postgres(_), Address::Postgres(_)) => {
            "between databases of PostgreSQL use pg_dump and pg_restore, and take the key file along"
        }
        (Address::Postgres(_), Address::Sqlite(_)) => {
            "there is no way back: name sqlite:PATH with --from and postgres://… with --to"
        }
    }))
}

async fn fill(
    source: &SqliteStore,
    path: &Path,
    address: &PgAddress,
    key_file: &Path,
    progress: &mut impl FnMut(Progress),
) -> Result<Copied, CopyError> {
    let mut target = Target::open(address, key_file, &path.display().to_string()).await?;
    let translation = Translation { from: source.vault().clone(), to: target.vault.clone(), node: target.node };
    let (tell, mut told) = mpsc::channel(source::PIECES);
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || source::read(&file, &translation, &tell));
    let mut tables = Vec::with_capacity(TABLES.len());
    let written = write(&mut target, &mut told, &mut tables, progress).await;
    drop(told);
    // It ends with its last row, or because nobody listens any more.
    let _ = reading.await;
    written?;
    target.analyze().await?;
    for (copied, table) in tables.iter_mut().zip(&TABLES) {
        copied.target = target.sums(table).await?;
    }
    let copied = Copied { tables, key_file: target.vault.path().to_owned() };
    if copied.is_equal() {
        target.finish().await?;
    }
    Ok(copied)
}

/// Writes what the reading thread tells, table by table.
async fn write(
    target: &mut Target,
    told: &mut mpsc::Receiver<Result<Told, StoreError>>,
    tables: &mut Vec<CopiedTable>,
    progress: &mut impl FnMut(Progress),
) -> Result<(), CopyError> {
    for table in &TABLES {
        let Told::Table(of) = next(told).await? else { return Err(out_of_step()) };
        progress(Progress { table: table.name, rows: 0, of });
        let mut sink = target.conn.copy_in_raw(&table.writing()).await.map_err(to)?;
        let mut rows = 0;
        let source = loop {
            match next(told).await {
                Ok(Told::Rows(bytes, count)) => {
                    sink.send(bytes).await.map_err(to)?;
                    rows += count;
                    progress(Progress { table: table.name, rows, of });
                }
                Ok(Told::End(sums)) => break sums,
                Ok(Told::Table(_)) => return Err(out_of_step()),
                Err(error) => {
                    // The target answers that it was told so.
                    let _ = sink.abort("the source cannot be read").await;
                    return Err(error);
                }
            }
        };
        sink.finish().await.map_err(to)?;
        tables.push(CopiedTable { name: table.name, source, target: Sums::default() });
    }
    Ok(())
}

async fn next(told: &mut mpsc::Receiver<Result<Told, StoreError>>) -> Result<Told, CopyError> {
    told.recv().await.ok_or_else(out_of_step)?.map_err(CopyError::From)
}

fn out_of_step() -> CopyError {
    CopyError::From(StoreError::Corrupt("reading ended before its time".to_owned()))
}
