//! A connection that writes batches, and keeps itself: it connects when it is needed, and a connection on which
//! something went wrong is thrown away.

use super::{Core, nodelay, nodes::Place};
use sqlx::{ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pages that a run of a node has: one for each of its lines, and room for more.
pub(super) const PAGES: i64 = 8;
/// How long a batch may take before its connection counts as lost. Longer than the server gives one statement.
const BATCH_PATIENCE: Duration = Duration::from_secs(9);
/// Tries after deadlocks and the like, which another try cures.
const TRIES: u32 = 5;

/// A batch's work, which may be done again from the start.
pub(super) trait Work {
    type Output;

    /// Does it on a connection. `None` where this run of the node was declared dead: then nothing was written.
    fn run(
        &self,
        conn: &mut PgConnection,
        place: Place,
        page: i64,
    ) -> impl Future<Output = Result<Option<Self::Output>, sqlx::Error>> + Send;
}

/// What came of a batch that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing of it was written.
    Surely(sqlx::Error),
    /// The connection broke: it may have been written or not.
    Perhaps(sqlx::Error),
}

/// One of the node's writing connections.
pub(super) struct Line {
    pub core: Arc<Core>,
    options: PgConnectOptions,
    /// Counted from 0 within the node.
    number: i64,
    conn: Option<PgConnection>,
}

impl Line {
    pub const fn new(core: Arc<Core>, options: PgConnectOptions, number: i64) -> Self {
        Self { core, options, number, conn: None }
    }

    /// Its page in the books.
    pub const fn page(&self, place: Place) -> i64 {
        place.run * PAGES + self.number
    }

    /// Its connection; a new one where there is none.
    pub async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let connecting = self.options.connect();
                match tokio::time::timeout(super::connect::CONNECT_PATIENCE, connecting).await {
                    Ok(conn) => {
                        let conn = conn?;
                        nodelay::hurry(self.options.get_port());
                        conn
                    }
                    Err(_) => return Err(silent()),
                }
            }
        };
        Ok(self.conn.insert(conn))
    }

    /// Does a batch's work, again where that helps, and anew at the node's next place where it has lost the one it had.
    pub async fn write<W: Work>(&mut self, work: &W) -> Result<W::Output, Failed> {
        let mut tries = 0;
        loop {
            let mut places = self.core.places();
            let place = *places.borrow_and_update();
            let page = self.page(place);
            let conn = self.connection().await.map_err(Failed::Surely)?;
            let begun = Instant::now();
            match tokio::time::timeout(BATCH_PATIENCE, work.run(conn, place, page)).await {
                Ok(Ok(Some(value))) => {
                    self.core.feed.committed(begun.elapsed());
                    return Ok(value);
                }
                Ok(Ok(None)) => {
                    self.core.wake_keeper();
                    if tokio::time::timeout(BATCH_PATIENCE, places.changed()).await.is_err() {
                        return Err(Failed::Surely(silent()));
                    }
                }
                Ok(Err(error)) => {
                    // A transaction may be open on it.
                    self.conn = None;
                    tries += 1;
                    match said(&error) {
                        Said::Again if tries < TRIES => {}
                        Said::Again | Said::No => return Err(Failed::Surely(error)),
                        Said::Nothing => return Err(Failed::Perhaps(error)),
                    }
                }
                Err(_) => {
                    self.conn = None;
                    return Err(Failed::Perhaps(silent()));
                }
            }
        }
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

/// What the server said about a batch that failed.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// No, but the same again may pass.
    Again,
    No,
    /// Nothing that tells whether the commit was made.
    Nothing,
}

fn said(error: &sqlx::Error) -> Said {
    match error {
        sqlx::Error::Database(inner) => code_says(inner.code().as_deref().unwrap_or_default()),
        // Found on our side of the connection.
        sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::TypeNotFound { .. } => Said::No,
        _ => Said::Nothing,
    }
}

fn code_says(code: &str) -> Said {
    match code {
        // Deadlock, or another transaction was first.
        code if code.starts_with("40") => Said::Again,
        // The server went away, perhaps in the middle of the commit.
        code if code.starts_with("57P") || code.starts_with("08") => Said::Nothing,
        _ => Said::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_server_proves_that_nothing_was_written() {
        assert_eq!(code_says("40P01"), Said::Again);
        assert_eq!(code_says("53100"), Said::No);
        assert_eq!(code_says("57014"), Said::No);
        assert_eq!(code_says("57P01"), Said::Nothing);
        assert_eq!(said(&silent()), Said::Nothing);
    }
}
