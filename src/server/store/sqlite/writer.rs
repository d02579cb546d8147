//! The one writer, with group commit.
//!
//! SQLite lets one connection write at a time and pays for each commit with a wait for the disk. So all writes go to
//! this task: it takes whatever is waiting, writes it in one transaction with a few statements over whole batches
//! (`json_each`), commits once, and only then answers everybody in the batch. It never waits for a batch to fill:
//! while one commit is on its way to the disk the next batch gathers by itself.

use super::{
    accept::{self, PreparedAccept},
    record::{self, PreparedAttempt},
};
use crate::server::store::{Acceptance, Commit, Directory, StoreError, feed::Feed, ids::IdSource};
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Writes that may wait before callers are told that the database does not keep up.
pub(super) const QUEUE: usize = 4_096;
/// Most operations in one transaction.
const MAX_BATCH: usize = 512;
/// Most bytes in one transaction, so that a burst of large messages does not become one huge statement.
const MAX_BATCH_BYTES: usize = 8 << 20;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to write.
pub(super) enum Op {
    Accept(PreparedAccept, Reply<Acceptance>),
    Record(Vec<PreparedAttempt>, Reply<()>),
    Change(Box<dyn AnyChange>),
    /// Moves what is left in the write-ahead log into the database, so that the log starts over.
    Checkpoint(Reply<()>),
    /// Ends the writer after everything queued before.
    Close(oneshot::Sender<()>),
}

/// What the writer needs beside its connection.
pub(super) struct WriterContext {
    pub ids: Arc<IdSource>,
    pub feed: Feed,
    pub directory: Arc<watch::Sender<Arc<Directory>>>,
    /// The node that owns deliveries made here; `None` in a process that does not deliver.
    pub node: Option<i64>,
}

/// A change with a result of its own type: settings, people, resends. Each runs in a transaction of its own.
pub(super) trait AnyChange: Send {
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, Result<Commit, StoreError>>;
    fn reply(self: Box<Self>, result: Result<(), StoreError>);
}

pub(super) struct Change<T, F> {
    work: Option<F>,
    value: Option<T>,
    reply: Reply<T>,
}

impl<T, F> Change<T, F> {
    pub const fn new(work: F, reply: Reply<T>) -> Self {
        Self { work: Some(work), value: None, reply }
    }
}

impl<T, F> AnyChange for Change<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(T, Commit), StoreError>> + Send,
{
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, Result<Commit, StoreError>> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return Err(StoreError::Corrupt("a change was run twice".to_owned()));
            };
            let (value, commit) = work(conn).await?;
            self.value = Some(value);
            Ok(commit)
        })
    }

    fn reply(self: Box<Self>, result: Result<(), StoreError>) {
        let value = self.value;
        let result = result.and_then(|()| value.ok_or_else(|| StoreError::Corrupt("a change left no result".to_owned())));
        // Nobody may be waiting any more; the change holds all the same.
        let _ = self.reply.send(result);
    }
}

/// Runs until it is told to end or every sender is gone, then closes the connection.
pub(super) async fn run(mut conn: SqliteConnection, mut queue: mpsc::Receiver<Op>, context: WriterContext) {
    let mut ops = Vec::with_capacity(MAX_BATCH);
    let mut closing = Vec::new();
    while queue.recv_many(&mut ops, MAX_BATCH).await > 0 {
        let mut batch = Batch::default();
        for op in ops.drain(..) {
            match op {
                Op::Accept(accept, reply) => batch.accepts.push((accept, reply)),
                Op::Record(attempts, reply) => batch.records.push((attempts, reply)),
                Op::Change(change) => run_change(&mut conn, change, &context).await,
                Op::Checkpoint(reply) => {
                    let result = sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut conn).await;
                    let _ = reply.send(result.map(drop).map_err(StoreError::from));
                }
                Op::Close(reply) => {
                    queue.close();
                    closing.push(reply);
                }
            }
            if batch.bytes() >= MAX_BATCH_BYTES {
                std::mem::take(&mut batch).write(&mut conn, &context).await;
            }
        }
        batch.write(&mut conn, &context).await;
    }
    if let Err(error) = sqlx::Connection::close(conn).await {
        tracing::warn!(%error, "the database was not closed cleanly; it recovers at the next start");
    }
    for reply in closing {
        let _ = reply.send(());
    }
}

async fn run_change(conn: &mut SqliteConnection, mut change: Box<dyn AnyChange>, context: &WriterContext) {
    let result = async {
        begin(conn).await?;
        match change.run(conn).await {
            Ok(commit) => {
                end(conn).await?;
                Ok(commit)
            }
            Err(error) => {
                roll_back(conn).await;
                Err(error)
            }
        }
    }
    .await;
    match result {
        Ok(commit) => {
            context.feed.announce(commit);
            change.reply(Ok(()));
        }
        Err(error) => change.reply(Err(error)),
    }
}

#[derive(Default)]
struct Batch {
    accepts: Vec<(PreparedAccept, Reply<Acceptance>)>,
    records: Vec<(Vec<PreparedAttempt>, Reply<()>)>,
}

impl Batch {
    fn bytes(&self) -> usize {
        let accepts: usize = self.accepts.iter().map(|(accept, _)| accept.bytes.len()).sum();
        let records: usize = self.records.iter().flat_map(|(attempts, _)| attempts).map(|attempt| attempt.exchange.len()).sum();
        accepts + records
    }

    /// Writes everything in one transaction. Where that fails for a reason that may lie in one of them, each is
    /// tried alone, so that one bad row costs nobody else his receipt.
    async fn write(self, conn: &mut SqliteConnection, context: &WriterContext) {
        if self.accepts.is_empty() && self.records.is_empty() {
            return;
        }
        let accepts: Vec<&PreparedAccept> = self.accepts.iter().map(|(accept, _)| accept).collect();
        let attempts: Vec<&PreparedAttempt> = self.records.iter().flat_map(|(attempts, _)| attempts).collect();
        match write_together(conn, &accepts, &attempts, context).await {
            Ok((acceptances, commit)) => {
                context.feed.announce(commit);
                for ((_, reply), acceptance) in self.accepts.into_iter().zip(acceptances) {
                    let _ = reply.send(Ok(acceptance));
                }
                for (_, reply) in self.records {
                    let _ = reply.send(Ok(()));
                }
            }
            Err(error) if error.is_temporary() || self.accepts.len() + self.records.len() == 1 => {
                let mut error = Some(error);
                let mut next_error =
                    || error.take().unwrap_or_else(|| StoreError::Unavailable("the shared commit failed".to_owned()));
                for (_, reply) in self.accepts {
                    let _ = reply.send(Err(next_error()));
                }
                for (_, reply) in self.records {
                    let _ = reply.send(Err(next_error()));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a shared commit failed; writing its members one by one");
                for (accept, reply) in self.accepts {
                    let _ = reply.send(write_one_accept(conn, &accept, context).await);
                }
                for (attempts, reply) in self.records {
                    let attempts: Vec<&PreparedAttempt> = attempts.iter().collect();
                    let result = write_together(conn, &[], &attempts, context).await;
                    let _ = reply.send(result.map(|(_, commit)| context.feed.announce(commit)));
                }
            }
        }
    }
}

async fn write_one_accept(
    conn: &mut SqliteConnection,
    accept: &PreparedAccept,
    context: &WriterContext,
) -> Result<Acceptance, StoreError> {
    let (acceptances, commit) = write_together(conn, &[accept], &[], context).await?;
    context.feed.announce(commit);
    acceptances.into_iter().next().ok_or_else(|| StoreError::Corrupt("an acceptance was lost".to_owned()))
}

async fn write_together(
    conn: &mut SqliteConnection,
    accepts: &[&PreparedAccept],
    attempts: &[&PreparedAttempt],
    context: &WriterContext,
) -> Result<(Vec<Acceptance>, Commit), StoreError> {
    begin(conn).await?;
    let written = async {
        let mut commit = Commit::default();
        let acceptances =
            if accepts.is_empty() { Vec::new() } else { accept::write(conn, accepts, context, &mut commit).await? };
        if !attempts.is_empty() {
            record::write(conn, attempts, &mut commit).await?;
        }
        Ok((acceptances, commit))
    }
    .await;
    match written {
        Ok(result) => {
            end(conn).await?;
            Ok(result)
        }
        Err(error) => {
            roll_back(conn).await;
            Err(error)
        }
    }
}

async fn begin(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(conn).await?;
    Ok(())
}

/// Commits; a commit that fails is rolled back, so the connection is always ready for the next transaction.
async fn end(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    match sqlx::raw_sql("COMMIT").execute(&mut *conn).await {
        Ok(_) => Ok(()),
        Err(error) => {
            roll_back(conn).await;
            Err(error.into())
        }
    }
}

async fn roll_back(conn: &mut SqliteConnection) {
    // SQLite rolls back by itself on some errors (a full disk); then there is no transaction left to end.
    let _ = sqlx::raw_sql("ROLLBACK").execute(conn).await;
}
