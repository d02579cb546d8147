//! The promise: what is accepted, on disk before anybody is answered.
//!
//! A commit that answers gateways must be small, because everybody waits for it, and must not queue behind the
//! ledger's larger ones. So it goes to a file of its own beside the database (`quittance.intake`, SQLite too): one row
//! with the events and the bytes of everybody who was waiting. From there the ledger follows, and what it has taken is
//! deleted here; after an orderly end the file is empty. A crash in between loses nothing: the next start applies it.

use super::events::Event;
use crate::server::store::{StoreError, pack::unpack_up_to, vault::create_private};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Unpacked bytes of events (JSON) that are read. Far above what entries hold, because earlier ones were not bounded.
const MAX_ENTRY_BYTES: usize = 1 << 30;
/// How the events of an entry lie in its row: this byte, then one after the other as postcard writes them. What begins
/// otherwise is packed JSON of an earlier version.
pub(super) const EVENTS_FORM: u8 = 3;
/// Packed bytes of entries read together.
const READ_BYTES: usize = 16 << 20;

/// An entry with its events as they lie in its row.
pub(super) type Drafted = (Entry, Vec<u8>);

/// One commit of the journal on its way to the ledger.
#[derive(Clone)]
pub(super) struct Entry {
    pub id: i64,
    pub events: Vec<Event>,
    /// Packed bytes with the ids that events refer to.
    pub segments: Vec<(i64, Vec<u8>)>,
}

/// Packed bytes that weigh as much as one event.
const BYTES_PER_EVENT: usize = 2 << 10;
/// One entry weighs at most this much, however long the answers in it are: it must fit in what may wait.
const MAX_WEIGHT: usize = 10_000;

impl Entry {
    /// How much of what may wait for the ledger it takes: its events, and its bytes.
    pub fn weight(&self) -> usize {
        let bytes: usize = self.segments.iter().map(|(_, packed)| packed.len()).sum();
        (self.events.len() + bytes / BYTES_PER_EVENT).min(MAX_WEIGHT)
    }

    /// The segments as they lie in the journal's row: id, length, bytes, and so on.
    fn segment_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.segments.iter().map(|(_, packed)| packed.len() + 12).sum());
        for (id, packed) in &self.segments {
            bytes.extend(id.to_le_bytes());
            bytes.extend(u32::try_from(packed.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(packed);
        }
        bytes
    }

    fn read(id: i64, events: &[u8], mut segments: &[u8]) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("journal entry {id}: {what}"));
        let events = match events.split_first() {
            Some((&EVENTS_FORM, mut rest)) => {
                let mut read = Vec::new();
                while !rest.is_empty() {
                    let (event, after) = postcard::take_from_bytes(rest).map_err(|error| corrupt(&error.to_string()))?;
                    read.push(event);
                    rest = after;
                }
                read
            }
            _ => {
                let text = unpack_up_to(events, MAX_ENTRY_BYTES)?.into_iter().next().unwrap_or_default();
                serde_json::from_slice(&text).map_err(|error| corrupt(&error.to_string()))?
            }
        };
        let mut read = Vec::new();
        while let Some((segment, rest)) = segments.split_first_chunk::<8>() {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("segments"))?;
            let (packed, rest) =
                rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| corrupt("segments"))?;
            read.push((i64::from_le_bytes(*segment), packed.to_vec()));
            segments = rest;
        }
        Ok(Self { id, events, segments: read })
    }
}

/// What a row of the journal holds.
pub(super) enum Found {
    Entry(Entry),
    Unreadable(Unreadable),
}

/// A row of the journal that makes no sense, as it lies there.
pub(super) struct Unreadable {
    pub id: i64,
    pub events: Vec<u8>,
    pub segments: Vec<u8>,
    pub error: StoreError,
}

/// The journal's file.
pub(super) struct Journal {
    conn: Connection,
    /// Entries up to this id are in the ledger and may be forgotten with the next commit.
    forget_up_to: Arc<AtomicI64>,
}

impl Journal {
    /// Opens the file beside a database, makes it where there is none, and checks that it belongs to that database.
    pub fn open(path: &Path, installation: &str, forget_up_to: Arc<AtomicI64>) -> Result<Self, StoreError> {
        create_private(path)?;
        let conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        // Alone on the file, which spares asking for its locks at every commit; and large pages, because rows are long.
        conn.execute_batch(
            "PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2048; PRAGMA journal_size_limit = 16777216;
             CREATE TABLE IF NOT EXISTS owner (installation TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, events BLOB NOT NULL, segments BLOB NOT NULL) STRICT",
        )?;
        let owner: Option<String> = conn.query_row("SELECT installation FROM owner", [], |row| row.get(0)).optional()?;
        match owner {
            Some(owner) if owner == installation => {}
            Some(_) => {
                let waiting: i64 = conn.query_row("SELECT count(*) FROM journal", [], |row| row.get(0))?;
                if waiting > 0 {
                    return Err(StoreError::ForeignJournal(path.to_owned()));
                }
                conn.execute("UPDATE owner SET installation = ?", [installation])?;
            }
            None => {
                conn.execute("INSERT INTO owner (installation) VALUES (?)", [installation])?;
            }
        }
        Ok(Self { conn, forget_up_to })
    }

    /// The id of the last entry, or 0.
    pub fn last(&self) -> Result<i64, StoreError> {
        Ok(self.conn.query_row("SELECT coalesce(max(id), 0) FROM journal", [], |row| row.get(0))?)
    }

    /// Entries after an id, the oldest first; some at a time.
    pub fn after(&self, id: i64) -> Result<Vec<Found>, StoreError> {
        let mut select =
            self.conn.prepare_cached("SELECT id, events, segments FROM journal WHERE id > ? ORDER BY id LIMIT 50")?;
        let mut rows = select.query([id])?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while bytes < READ_BYTES
            && let Some(row) = rows.next()?
        {
            let blob = |column| row.get_ref(column).map(|value| value.as_blob().unwrap_or_default());
            let (id, events, segments) = (row.get(0)?, blob(1)?, blob(2)?);
            bytes += events.len() + segments.len();
            found.push(match Entry::read(id, events, segments) {
                Ok(entry) => Found::Entry(entry),
                Err(error) => Found::Unreadable(Unreadable { id, events: events.to_vec(), segments: segments.to_vec(), error }),
            });
        }
        Ok(found)
    }

    /// Commits entries together, and forgets what the ledger has taken; one wait for the disk.
    pub fn commit(&mut self, entries: &[Drafted]) -> Result<(), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached("DELETE FROM journal WHERE id <= ?")?.execute([self.forget_up_to.load(Ordering::Acquire)])?;
        for (entry, events) in entries {
            let mut insert = tx.prepare_cached("INSERT INTO journal (id, events, segments) VALUES (?, ?, ?)")?;
            insert.execute(params![entry.id, events, entry.segment_bytes()])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets what the ledger has taken, and closes the file.
    pub fn close(self) -> Result<(), StoreError> {
        let applied = self.forget_up_to.load(Ordering::Acquire);
        self.conn.execute("DELETE FROM journal WHERE id <= ?", [applied])?;
        self.conn.close().map_err(|(_, error)| error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Cause, Timestamp,
        attempt::VerdictDetail,
        id::{MerchantId, NotificationId},
    };
    use crate::server::{
        clock::Clock,
        store::{
            AttemptRecord, Next,
            ids::IdSource,
            pack::pack,
            samples,
            sqlite::{draft::Draft, events::Repeated, rows::json},
        },
    };

    fn record(note: String) -> AttemptRecord {
        AttemptRecord {
            cause: Some(Cause::PlainText),
            detail: VerdictDetail { note, ..VerdictDetail::default() },
            request_head: "POST / HTTP/1.1\r\n".to_owned(),
            request_body: "REFNO=1".into(),
            next: Next::Expired,
            ..samples::attempt(1)
        }
    }

    fn read(journal: &Journal) -> Vec<Entry> {
        let (mut entries, mut last) = (Vec::new(), 0);
        loop {
            let found = journal.after(last).unwrap();
            if found.is_empty() {
                return entries;
            }
            for one in found {
                let Found::Entry(entry) = one else { panic!("an entry cannot be read") };
                last = entry.id;
                entries.push(entry);
            }
        }
    }

    #[test]
    fn a_commit_of_any_size_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("q.intake"), "a", Arc::default()).unwrap();
        let ids = IdSource::new(Clock::manual(Timestamp::from_seconds(1_772_366_400)).0);
        let mut plain = Vec::new();
        let mut draft = Draft::new(7, &ids, 0, &mut plain);
        for _ in 0..200 {
            draft.attempted(&record("x".repeat(50_000))).unwrap();
        }
        let drafted = draft.finish();
        assert!(drafted.len() > 5, "{} entries of ten megabytes", drafted.len());
        journal.commit(&drafted).unwrap();
        let entries = read(&journal);
        assert_eq!(entries.iter().map(|entry| entry.events.len()).sum::<usize>(), 200);
        assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), (7..7 + drafted.len() as i64).collect::<Vec<_>>());
        for entry in &entries {
            for event in &entry.events {
                let Event::Attempted(attempted) = event else { panic!() };
                assert!(entry.segments.iter().any(|(id, _)| *id == attempted.place.segment), "its bytes are in the same entry");
            }
        }
    }

    #[test]
    fn large_entries_of_earlier_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("q.intake"), "a", Arc::default()).unwrap();
        let event = Event::Repeated(Repeated { id: NotificationId(1), merchant_id: MerchantId(1), at: Timestamp(1) });
        let events = pack(&[json(&vec![event; 200_000]).unwrap().as_bytes()]);
        let insert = "INSERT INTO journal (id, events, segments) VALUES (1, ?, x'')";
        journal.conn.execute(insert, [events]).unwrap();
        assert_eq!(read(&journal)[0].events.len(), 200_000);
    }
}
