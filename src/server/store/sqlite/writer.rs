//! The one writer of the database: brings the ledger up to date with the journal (on a blocking thread), and runs
//! changes of settings, people and resends. SQLite lets one connection write at a time, so all of it goes through this
//! task, one after the other.

use super::{
    intake::SharedPending,
    journal::{Entry, Found, Journal, Unreadable},
    journaler::Reply,
    ledger::Ledger,
    rows::json,
    thread,
};
use crate::server::store::{self, Alarm, Commit, StoreError, feed::Feed, pack::pack};
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};

/// Events applied in one transaction. The more, the less often a page that many of them touch is written; everybody who
/// changes a setting waits for one at most.
const CHUNK: usize = 5_000;
/// From one transaction of entries to the next, where nobody waits for what they say: each writes all pages that it touches and
/// waits for the disk, and the next one would touch the same.
const PACE: Duration = Duration::from_millis(75);
/// Operations taken from the queue at a time.
const MAX_OPS: usize = 256;
/// Pause after the disk refused a transaction.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// One thing to write.
pub(super) enum LedgerOp {
    /// What was promised.
    Entry(Entry),
    Change(Box<dyn AnyChange>),
    /// Answers when everything before it is in the ledger.
    Settle(Reply<()>),
    /// Moves what is left in the write-ahead log into the database, so that the log starts over.
    Checkpoint(Reply<()>),
    /// Ends the writer after everything queued before.
    Close(oneshot::Sender<()>),
}

/// A change with a result of its own type. Each runs in a transaction of its own, on a ledger that is up to date.
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

type LedgerWork = Box<dyn FnOnce(&mut Ledger) + Send>;

/// The ledger on a thread of its own, where waiting for the disk disturbs nobody. Ends with its handle.
pub(super) struct LedgerThread(std::sync::mpsc::Sender<LedgerWork>);

impl LedgerThread {
    pub fn start(mut ledger: Ledger, alarm: &Alarm) -> Result<Self, StoreError> {
        let (sender, works) = std::sync::mpsc::channel::<LedgerWork>();
        thread("ledger", alarm, move || {
            for work in works {
                work(&mut ledger);
            }
        })?;
        Ok(Self(sender))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lost = || StoreError::Corrupt("the ledger's thread was lost".to_owned());
        let (reply, result) = oneshot::channel();
        let work = move |ledger: &mut Ledger| {
            let _ = reply.send(work(ledger));
        };
        self.0.send(Box::new(work)).map_err(|_| lost())?;
        result.await.map_err(|_| lost())?
    }
}

/// Takes what comes until then; not where somebody waits for the ledger, or enough is there.
async fn gather(queue: &mut mpsc::UnboundedReceiver<LedgerOp>, ops: &mut Vec<LedgerOp>, until: Instant) {
    let weight = |op: &LedgerOp| match op {
        LedgerOp::Entry(entry) => Some(entry.weight()),
        _ => None,
    };
    let Some(mut gathered) = ops.iter().map(weight).sum::<Option<usize>>() else { return };
    while gathered < CHUNK && ops.len() < MAX_OPS {
        let Ok(Some(op)) = tokio::time::timeout_at(until, queue.recv()).await else { return };
        let weight = weight(&op);
        ops.push(op);
        match weight {
            Some(weight) => gathered += weight,
            None => return,
        }
    }
}

/// The task's belongings.
pub(super) struct Writer {
    pub conn: SqliteConnection,
    pub ledger: LedgerThread,
    pub feed: Feed,
    pub pending: SharedPending,
    pub backlog: Arc<Semaphore>,
    /// The last entry of the journal that is in the ledger.
    pub applied: Arc<AtomicI64>,
}

impl Writer {
    /// Runs until it is told to end or every sender is gone.
    pub async fn run(mut self, mut queue: mpsc::UnboundedReceiver<LedgerOp>) {
        let mut ops = Vec::with_capacity(MAX_OPS);
        let mut closing = Vec::new();
        let mut next = Instant::now();
        while queue.recv_many(&mut ops, MAX_OPS).await > 0 {
            gather(&mut queue, &mut ops, next).await;
            let mut entries = Vec::new();
            let mut events = 0;
            for op in ops.drain(..) {
                match op {
                    LedgerOp::Entry(entry) => {
                        if events > 0 && events + entry.events.len() > CHUNK {
                            self.take(&mut entries).await;
                            events = 0;
                        }
                        events += entry.events.len();
                        entries.push(entry);
                    }
                    LedgerOp::Change(change) => {
                        self.take(&mut entries).await;
                        self.change(change).await;
                    }
                    LedgerOp::Settle(reply) => {
                        self.take(&mut entries).await;
                        let _ = reply.send(Ok(()));
                    }
                    LedgerOp::Checkpoint(reply) => {
                        let _ = reply.send(self.on_ledger(|ledger| ledger.start_over()).await.map(drop));
                    }
                    LedgerOp::Close(reply) => {
                        queue.close();
                        closing.push(reply);
                    }
                }
            }
            if !entries.is_empty() {
                self.take(&mut entries).await;
                next = Instant::now() + PACE;
            }
        }
        if let Err(error) = sqlx::Connection::close(self.conn).await {
            tracing::warn!(%error, "the database was not closed cleanly; it recovers at the next start");
        }
        for reply in closing {
            let _ = reply.send(());
        }
    }

    async fn change(&mut self, mut change: Box<dyn AnyChange>) {
        let result = async {
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut self.conn).await?;
            let commit = change.run(&mut self.conn).await?;
            sqlx::raw_sql("COMMIT").execute(&mut self.conn).await?;
            Ok(commit)
        }
        .await;
        match result {
            Ok(commit) => {
                self.feed.announce(commit);
                change.reply(Ok(()));
            }
            Err(error) => {
                roll_back(&mut self.conn).await;
                change.reply(Err(error));
            }
        }
    }

    async fn on_ledger<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ledger.run(work).await
    }

    /// Applies entries together. While the disk refuses, they wait and so does everything behind them: in the end the
    /// intake, and with it the gateways, which are told to come again.
    async fn apply(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let entries = Arc::new(entries);
        loop {
            let shared = entries.clone();
            match self.on_ledger(move |ledger| ledger.apply(&shared)).await {
                Ok(changes) => {
                    self.done(&entries);
                    return self.feed.announce(Commit { changes, ..Commit::default() });
                }
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "the database cannot be written at the moment; what was promised waits in the journal");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) if entries.len() > 1 => {
                    tracing::error!(%error, "entries of the journal cannot be applied together; trying them one by one");
                    for entry in Arc::unwrap_or_clone(entries) {
                        Box::pin(self.apply(vec![entry])).await;
                    }
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, journal.id = entries[0].id, "an entry of the journal cannot be applied; trying its events one by one");
                    let changes = self.apply_singly(&entries).await;
                    self.done(&entries);
                    return self.feed.announce(Commit { changes, ..Commit::default() });
                }
            }
        }
    }

    /// Applies what came through the queue, and lets as much come after it.
    async fn take(&mut self, entries: &mut Vec<Entry>) {
        let entries = std::mem::take(entries);
        let weight = entries.iter().map(Entry::weight).sum();
        self.apply(entries).await;
        self.backlog.add_permits(weight);
    }

    fn done(&self, entries: &[Entry]) {
        self.pending.applied(entries.iter().flat_map(|entry| &entry.events));
        if let Some(last) = entries.last() {
            self.applied.store(last.id, Ordering::Release);
        }
    }

    /// Applies what can be of an entry, and keeps the rest for a person to look at; `quittance doctor` tells of it.
    async fn apply_singly(&mut self, entries: &Arc<Vec<Entry>>) -> Vec<store::Change> {
        loop {
            let shared = entries.clone();
            let applied =
                self.on_ledger(move |ledger| ledger.apply_singly(&shared[0], |events| Ok(pack(&[json(&events)?.as_bytes()]))));
            match applied.await {
                Ok((changes, refused)) => {
                    tracing::error!(refused, journal.id = entries[0].id, "events of the journal were set aside");
                    return changes;
                }
                Err(error) => {
                    tracing::error!(%error, journal.id = entries[0].id, "it cannot be set aside either; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    async fn set_aside_unread(&mut self, row: Unreadable) {
        let row = Arc::new(row);
        loop {
            let shared = row.clone();
            match self.on_ledger(move |ledger| ledger.set_aside_unread(&shared)).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, journal.id = row.id, "it cannot be set aside either; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Applies what an earlier process left in the journal; gives the id of the last entry.
    pub async fn recover(&mut self, journal: &Journal) -> Result<i64, StoreError> {
        let mut last = self.on_ledger(|ledger| ledger.applied_up_to()).await?;
        let mut events = 0;
        loop {
            let found = journal.after(last)?;
            if found.is_empty() {
                break;
            }
            let mut entries = Vec::new();
            for one in found {
                match one {
                    Found::Entry(entry) => {
                        last = entry.id;
                        events += entry.events.len();
                        entries.push(entry);
                    }
                    // What cannot be read today cannot be read tomorrow: the server must start all the same.
                    Found::Unreadable(row) => {
                        last = row.id;
                        self.apply(std::mem::take(&mut entries)).await;
                        tracing::error!(error = %row.error, journal.id = row.id, "an entry of the journal cannot be read and was set aside");
                        self.set_aside_unread(row).await;
                    }
                }
            }
            self.apply(entries).await;
        }
        self.applied.store(last, Ordering::Release);
        if events > 0 {
            tracing::info!(events, "brought the ledger up to date with the journal of the last run");
        }
        Ok(last)
    }
}

/// Ends a transaction that failed. SQLite ends it by itself on some errors (a full disk).
pub(super) async fn roll_back(conn: &mut SqliteConnection) {
    let _ = sqlx::raw_sql("ROLLBACK").execute(conn).await;
}
