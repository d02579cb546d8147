//! `quittance backup`: a whole copy of the database in one file, while the server may go on.
//!
//! What was acknowledged may still be on its way from the journal to the ledger. So the command leaves a mark, and the
//! server answers it behind everything that was accepted before; only then the copy is made, of one moment.

use super::{SqliteStore, is_served};
use crate::server::store::{
    Backup, Commit, StoreError,
    vault::{create_private_new, random},
};
use sqlx::ConnectOptions as _;
use std::{io::ErrorKind, path::Path, time::Duration};

/// How long a server may take to answer the mark: it looks four times a second, and what waits must reach the ledger.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl SqliteStore {
    /// Copies everything that was acknowledged before into a new file.
    pub(in crate::server::store) async fn backup(&self, file: &Path) -> Result<Backup, StoreError> {
        let unusable = |reason: String| StoreError::Backup { path: file.to_owned(), reason };
        let is_there = || unusable("it is there already; name a new file".to_owned());
        if file.exists() {
            return Err(is_there());
        }
        if is_served(&self.0.path) && self.0.node.is_none() {
            self.wait_for_mark().await?;
        } else {
            self.settled().await?;
        }
        let name = file.to_str().ok_or_else(|| unusable("its name is not UTF-8".to_owned()))?;
        // The copy takes over the mode of the empty file.
        create_private_new(file).map_err(|error| match error.kind() {
            // Another backup was quicker; its file is not to be touched.
            ErrorKind::AlreadyExists => is_there(),
            ErrorKind::NotFound => unusable("its folder is not there".to_owned()),
            _ => unusable(error.to_string()),
        })?;
        let copied = async {
            let mut conn = super::options(&self.0.path).connect().await?;
            sqlx::query("VACUUM INTO ?").bind(name).execute(&mut conn).await?;
            sqlx::Connection::close(conn).await?;
            let copy = super::options(file).read_only(true).journal_mode(sqlx::sqlite::SqliteJournalMode::Delete);
            let mut copy = copy.connect().await?;
            let notifications: i64 = sqlx::query_scalar("SELECT count(*) FROM notification").fetch_one(&mut copy).await?;
            sqlx::Connection::close(copy).await?;
            Ok::<_, StoreError>(u64::try_from(notifications).unwrap_or(0))
        };
        let notifications = match copied.await {
            Ok(count) => count,
            Err(error) => {
                // Half a copy is none.
                let _ = std::fs::remove_file(file);
                return Err(match error {
                    // Whether the database cannot be read or the copy cannot be written SQLite does not say.
                    StoreError::Unavailable(reason) => unusable(reason),
                    other => other,
                });
            }
        };
        let synced = std::fs::File::open(file).and_then(|copy| {
            copy.sync_all()?;
            copy.metadata()
        });
        let bytes = synced.map_err(|error| unusable(error.to_string()))?.len();
        Ok(Backup { bytes, notifications, key_file: self.0.vault.path().to_owned() })
    }

    /// Asks the server on this database to say when everything that it has accepted can be read.
    async fn wait_for_mark(&self) -> Result<(), StoreError> {
        let mark = hex::encode(random::<8>());
        let wanted = mark.clone();
        self.change(move |conn| {
            Box::pin(async move {
                // Another command may wait for an answer to its own: the last dozen stand behind each other.
                sqlx::query(
                    "INSERT INTO meta (key, value) VALUES ('settle_wanted', ?1)
                     ON CONFLICT (key) DO UPDATE SET value = substr(value || ' ' || ?1, -200)",
                )
                .bind(wanted)
                .execute(conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await?;
        let answered = async {
            loop {
                let settled: Option<String> =
                    sqlx::query_scalar("SELECT value FROM meta WHERE key = 'settled'").fetch_optional(&self.0.readers).await?;
                if settled.is_some_and(|settled| settled.contains(&mark)) {
                    return Ok(());
                }
                // It was stopped meanwhile: what it had accepted is in the ledger then.
                if !is_served(&self.0.path) {
                    return Err(StoreError::Unavailable("the server stopped meanwhile; try again".to_owned()));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let late = || StoreError::Unavailable("the server does not answer; is it busy? Try again".to_owned());
        tokio::time::timeout(PATIENCE, answered).await.map_err(|_| late())?
    }

    /// The server's answer to a mark, behind everything that it has accepted.
    pub(super) async fn answer_mark(&self, mark: String) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                // Whoever left the one before may not have seen its answer yet.
                sqlx::query(
                    "INSERT INTO meta (key, value) VALUES ('settled', ?1)
                     ON CONFLICT (key) DO UPDATE SET value = substr(value || ' ' || ?1, -400)",
                )
                .bind(&mark)
                .execute(&mut *conn)
                .await?;
                // Another command may have left its own meanwhile.
                sqlx::query("DELETE FROM meta WHERE key = 'settle_wanted' AND value = ?").bind(mark).execute(conn).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }
}
