//! What keeps the file and its memory image in order: the key check, checkpoints, and the watch for what other
//! processes wrote.

use super::{Inner, SqliteStore, options, writer::LedgerOp};
use crate::server::store::{
    StoreError,
    vault::{Vault, random},
};
use rusqlite::{Connection, OpenFlags};
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};
use std::{path::Path, sync::Weak, time::Duration};

/// How soon the server sees what the command line wrote: settings, users, resends.
const WATCH_EVERY: Duration = Duration::from_millis(250);
const CHECKPOINT_EVERY: Duration = Duration::from_millis(250);
/// A write-ahead log smaller than this is not worth a checkpoint.
const CHECKPOINT_FROM: u64 = 4 << 20;
/// From this size on the writer itself copies the rest and waits for the log's readers, so that it starts over.
const START_OVER_FROM: u64 = 64 << 20;
/// Bytes of a page of the database.
const PAGE: u64 = 4_096;

const KEY_CHECK: &str = "key-check";

/// What other processes may have written.
pub(super) const LOOK: &str = "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'settings_version'), 0),
             EXISTS (SELECT 1 FROM delivery WHERE node_id IS NULL AND state IN (0, 2)),
             (SELECT value FROM meta WHERE key = 'settle_wanted')";

/// Opens the key file that the database was made with, or makes one for a database without secrets.
pub(super) async fn open_vault(conn: &mut SqliteConnection, key_file: &Path) -> Result<Vault, StoreError> {
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
    let vault = Vault::create(key_file)?;
    sqlx::query("INSERT INTO meta (key, value) VALUES ('key_check', ?) ON CONFLICT (key) DO NOTHING")
        .bind(hex::encode(vault.seal(KEY_CHECK, b"quittance")))
        .execute(conn)
        .await?;
    Ok(vault)
}

/// What tells this database from others: made once.
pub(super) async fn installation(conn: &mut SqliteConnection) -> Result<String, StoreError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES ('installation', ?) ON CONFLICT (key) DO NOTHING")
        .bind(hex::encode(random::<16>()))
        .execute(&mut *conn)
        .await?;
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = 'installation'").fetch_one(conn).await?)
}

/// The greatest id of every table whose rows have one of ours.
const GREATEST_ID: &str = "SELECT coalesce(max(id), 0) FROM (
    SELECT max(id) AS id FROM segment UNION ALL SELECT max(id) FROM notification UNION ALL SELECT max(id) FROM delivery
    UNION ALL SELECT max(id) FROM orders UNION ALL SELECT max(id) FROM audit UNION ALL SELECT max(id) FROM refusal
    UNION ALL SELECT max(id) FROM verifying UNION ALL SELECT max(id) FROM resend UNION ALL SELECT max(id) FROM bulk_job
    UNION ALL SELECT max(id) FROM mail UNION ALL SELECT max(id) FROM alert_mail UNION ALL SELECT max(id) FROM merchant
    UNION ALL SELECT max(id) FROM listener UNION ALL SELECT max(id) FROM notification_url UNION ALL SELECT max(id) FROM user
    UNION ALL SELECT max(id) FROM saved_view)";

/// The greatest id that was made.
pub(super) async fn greatest_id(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(GREATEST_ID).fetch_one(conn).await?)
}

/// Copies the write-ahead log into the database beside the writer, which would otherwise stop for it every
/// thousand pages (measured: a third of its time at full load).
pub(super) async fn checkpoints(store: Weak<Inner>) {
    let mut conn: Option<SqliteConnection> = None;
    let mut copied_to = 0;
    loop {
        tokio::time::sleep(CHECKPOINT_EVERY).await;
        let Some(inner) = store.upgrade() else { return };
        let mut wal = inner.path.clone().into_os_string();
        wal.push("-wal");
        let size = std::fs::metadata(wal).map_or(0, |file| file.len());
        // The log's file keeps its length when it starts over, so a length seen before says nothing new unless
        // it is worth starting over.
        if size < CHECKPOINT_FROM || (size == copied_to && size < START_OVER_FROM) {
            continue;
        }
        if conn.is_none() {
            conn = options(&inner.path).pragma("wal_autocheckpoint", "0").connect().await.ok();
        }
        let Some(checkpointer) = conn.as_mut() else { continue };
        match sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(checkpointer).await {
            Ok(row) => {
                let frames: i64 = row.try_get(1).unwrap_or(0);
                copied_to = size;
                // The file stays long when the log has started over: what counts is how much of it is in use.
                if frames.unsigned_abs() * PAGE >= START_OVER_FROM {
                    let store = SqliteStore(inner);
                    let _ = store.write(LedgerOp::Checkpoint).await;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "checkpoint failed; trying again");
                conn = None;
            }
        }
    }
}

/// Looks for what other processes wrote: a newer version of the settings, deliveries that nobody serves yet.
pub(super) async fn watch(store: Weak<Inner>) {
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let Some(inner) = store.upgrade() else { return };
        let store = SqliteStore(inner);
        if let Err(error) = look(&store).await {
            tracing::warn!(%error, "could not look for changes of other processes; trying again");
        }
    }
}

async fn look(store: &SqliteStore) -> Result<(), StoreError> {
    let row = sqlx::query(LOOK).fetch_one(&store.0.readers).await?;
    let version: i64 = row.try_get(0)?;
    if version != store.0.directory.borrow().version {
        store.reload(version).await?;
    }
    if row.try_get(1)? {
        store.adopt().await?;
    }
    if let Some(mark) = row.try_get(2)? {
        store.answer_mark(mark).await?;
    }
    Ok(())
}

/// Brings what stands in the write-ahead logs into the database and its journal, so that after an orderly end these
/// files are all there is: whoever copies them has everything. Where that fails nothing is lost; the logs stay.
pub(super) fn fold(path: &Path) {
    for file in [path.to_owned(), path.with_extension("intake")] {
        if !file.exists() {
            continue;
        }
        let folded = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|conn| {
            conn.busy_timeout(Duration::from_secs(2))?;
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        });
        match folded {
            Ok(0) => {}
            Ok(_) => tracing::info!(file = %file.display(), "its write-ahead log is in use and stays beside it"),
            Err(error) => tracing::warn!(%error, file = %file.display(), "its write-ahead log stays beside it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{MIGRATOR, ledger::Ledger, options},
        GREATEST_ID,
    };
    use rusqlite::Connection;
    use sqlx::ConnectOptions as _;
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    #[tokio::test]
    async fn no_table_with_ids_of_ours_is_forgotten() {
        // Of this one SQLite makes the ids.
        const NOT_OURS: &str = "journal_stuck";
        let folder = tempfile::tempdir().unwrap();
        let mut conn = options(&folder.path().join("books.db")).create_if_missing(true).connect().await.unwrap();
        MIGRATOR.run(&mut conn).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master AS known WHERE type = 'table'
                 AND EXISTS (SELECT 1 FROM pragma_table_info(known.name) AS field WHERE field.name = 'id' AND field.pk = 1)",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        assert!(tables.len() > 10, "{tables:?}");
        let named: Vec<&str> = GREATEST_ID.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        let forgotten: Vec<_> = tables.iter().filter(|table| !named.contains(&table.as_str()) && *table != NOT_OURS).collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
    }

    #[test]
    fn a_write_ahead_log_starts_over_although_somebody_always_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy.db");
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE lines (text BLOB)").unwrap();
        let write = |rows: usize| {
            for _ in 0..rows {
                writer.execute("INSERT INTO lines VALUES (randomblob(4000))", []).unwrap();
            }
        };
        write(200);
        let ledger = Ledger::open(&path).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            // Readers whose moments overlap: one always looks into the log.
            for _ in 0..3 {
                scope.spawn(|| {
                    let reader = Connection::open(&path).unwrap();
                    while !is_over.load(Ordering::Relaxed) {
                        let rows: i64 = reader.query_row("SELECT sum(length(text)) FROM lines", [], |row| row.get(0)).unwrap();
                        assert!(rows > 0);
                    }
                });
            }
            // A machine may be busy for longer than a checkpoint waits.
            let started_over = (0..50).any(|_| ledger.start_over().unwrap());
            write(1);
            is_over.store(true, Ordering::Relaxed);
            assert!(started_over);
        });
        let frames: i64 = writer.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).unwrap();
        assert!(frames < 20, "{frames} pages are still in the log");
    }
}
