//! The ledger: orders, notifications, deliveries, attempts and the books, brought up to date from journalled events.
//!
//! A chunk of events is merged in memory first (a delivery that was made and confirmed within the chunk becomes one
//! row in its final state), then written in one transaction. This is where most of the store's time goes, so it runs
//! on a thread with prepared statements, one row a call.

use super::{
    chunk::Chunk,
    events::Event,
    journal::{Entry, Unreadable},
};
use crate::server::store::{Change, StoreError};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use std::{path::Path, time::Duration};

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// How long the writer waits for readers of the write-ahead log when that is to start over.
const START_OVER_WAIT: Duration = Duration::from_millis(100);

/// The ledger's own connection.
pub(super) struct Ledger(Connection);

impl Ledger {
    /// Opens a database that exists and has this version's shape.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let conn = Connection::open(path)?;
        conn.busy_timeout(BUSY)?;
        // The ends of all tables and indexes, and what one transaction changes, must stay in memory.
        conn.execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; PRAGMA foreign_keys = 0; PRAGMA temp_store = memory;
             PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864",
        )?;
        conn.set_prepared_statement_cache_capacity(32);
        Ok(Self(conn))
    }

    /// A connection that only reads, for the intake.
    pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.execute_batch("PRAGMA cache_size = -16384")?;
        Ok(conn)
    }

    /// The last entry of the journal that is in the ledger, or 0.
    pub fn applied_up_to(&self) -> Result<i64, StoreError> {
        let query = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'journal_applied'";
        Ok(self.0.query_row(query, [], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Applies entries of the journal in one transaction, and notes that they are in; gives what changed.
    pub fn apply(&mut self, entries: &[Entry]) -> Result<Vec<Change>, StoreError> {
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chunk = Chunk::default();
        for event in entries.iter().flat_map(|entry| &entry.events) {
            chunk.add(&tx, event)?;
        }
        chunk.write(&tx)?;
        write_segments(&tx, entries)?;
        tx.commit()?;
        Ok(chunk.changed.into_iter().collect())
    }

    /// Applies an entry event by event, in one transaction. Those that cannot be applied are kept for a person to look at, as
    /// `pack` makes bytes of them; gives what changed, and how many those are.
    pub fn apply_singly(
        &mut self,
        entry: &Entry,
        pack: impl Fn(&[&Event]) -> Result<Vec<u8>, StoreError>,
    ) -> Result<(Vec<Change>, usize), StoreError> {
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = Vec::new();
        let mut refused = Vec::new();
        for event in &entry.events {
            tx.execute_batch("SAVEPOINT event")?;
            let mut chunk = Chunk::default();
            match chunk.add(&tx, event).and_then(|()| chunk.write(&tx)) {
                Ok(()) => changed.extend(chunk.changed),
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, journal.id = entry.id, "an event of the journal cannot be applied and is set aside");
                    tx.execute_batch("ROLLBACK TO event")?;
                    refused.push(event);
                }
            }
            tx.execute_batch("RELEASE event")?;
        }
        if !refused.is_empty() {
            tx.execute(
                "INSERT INTO journal_stuck (id, events) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
                params![entry.id, pack(&refused)?],
            )?;
        }
        write_segments(&tx, std::slice::from_ref(entry))?;
        tx.commit()?;
        Ok((changed, refused.len()))
    }

    /// Keeps a row of the journal that cannot be read, with its bytes, and notes that it was dealt with.
    pub fn set_aside_unread(&mut self, row: &Unreadable) -> Result<(), StoreError> {
        let tx = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute(
            "INSERT INTO journal_stuck (id, events, segments) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
            params![row.id, row.events, row.segments],
        )?;
        note_applied(&tx, row.id)?;
        tx.commit()?;
        Ok(())
    }

    /// Moves what is left in the write-ahead log into the database, so that the log starts over; gives whether it does.
    /// Under load somebody always reads in the log, and it would grow for as long as that goes on: so this waits for them,
    /// for a moment. A long reader (a backup) is not waited for.
    pub fn start_over(&self) -> Result<bool, StoreError> {
        self.0.busy_timeout(START_OVER_WAIT)?;
        let done = self.0.query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get::<_, i64>(0));
        self.0.busy_timeout(BUSY)?;
        Ok(done? == 0)
    }
}

/// Writes the bytes of entries, and that they are in the ledger.
fn write_segments(tx: &Transaction<'_>, entries: &[Entry]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached("INSERT INTO segment (id, bytes) VALUES (?, ?) ON CONFLICT (id) DO NOTHING")?;
    for (id, packed) in entries.iter().flat_map(|entry| &entry.segments) {
        insert.execute(params![id, packed])?;
    }
    note_applied(tx, entries.last().map_or(0, |entry| entry.id))
}

fn note_applied(tx: &Transaction<'_>, id: i64) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO meta (key, value) VALUES ('journal_applied', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute([id.to_string()])?;
    Ok(())
}
