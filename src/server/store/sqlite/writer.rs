//! The one writer: first the promise, then the ledger.
//!
//! SQLite lets one connection write at a time and pays for each commit with a wait for the disk. So all writes go
//! through this task. It takes whatever is waiting, journals it in one small commit and answers everybody in it; then,
//! when nothing waits or the backlog has grown, it brings the ledger up to date in larger transactions. It never waits
//! for a batch to fill: while one commit is on its way to the disk the next batch gathers by itself.

use super::{
    intake::{Checked, Kind, SharedPending},
    journal::{Draft, Event, read_events},
    ledger,
};
use crate::domain::{
    attempt::Origin,
    id::{DeliveryId, NotificationId},
};
use crate::server::store::{Acceptance, AttemptRecord, Commit, Directory, Job, StoreError, feed::Feed, ids::IdSource};
use futures::future::BoxFuture;
use sqlx::{Row as _, SqliteConnection};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};

/// Operations that may wait before callers wait themselves.
pub(super) const QUEUE: usize = 64;
/// Most operations journalled together.
const MAX_BATCH: usize = 64;
/// Events applied to the ledger in one transaction. A message may have to wait for one such transaction.
const CHUNK: usize = 1_000;
/// With so many events behind, the ledger takes turns with the journal; a few dozen megabytes of memory.
const BACKLOG: usize = 30_000;
/// Open pages may lag behind by so much while messages keep coming.
const LAG: Duration = Duration::from_millis(200);
/// Pause after the disk refused a transaction of the ledger.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to write.
pub(super) enum Op {
    Intake(Vec<Checked>),
    Record(Vec<AttemptRecord>, Reply<()>),
    Change(Box<dyn AnyChange>),
    /// Answers when everything before it is in the ledger.
    Settle(Reply<()>),
    /// Moves what is left in the write-ahead log into the database, so that the log starts over.
    Checkpoint(Reply<()>),
    /// Ends the writer after everything queued before.
    Close(oneshot::Sender<()>),
}

/// What the writer needs beside its connections.
pub(super) struct WriterContext {
    pub ids: Arc<IdSource>,
    pub feed: Feed,
    pub directory: Arc<watch::Sender<Arc<Directory>>>,
    pub pending: SharedPending,
    /// The node that owns deliveries made here; `None` in a process that does not deliver.
    pub node: Option<i64>,
}

/// A change with a result of its own type: settings, people, resends. Each runs in a transaction of its own, on a
/// ledger that is up to date.
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

/// The events of one journal row on their way to the ledger.
struct Unit {
    journal_id: i64,
    events: Vec<Event>,
    since: Instant,
}

pub(super) struct Writer {
    /// `synchronous=FULL`: what is committed here has been promised.
    journal: SqliteConnection,
    /// `synchronous=NORMAL`: what is committed here can be rebuilt from the journal until a later commit there has
    /// brought it to the disk too.
    ledger: SqliteConnection,
    context: WriterContext,
    backlog: VecDeque<Unit>,
    behind: usize,
    /// Messages whose commit failed while repeats of them were on their way already.
    failed: HashSet<NotificationId>,
    paused_until: Option<Instant>,
}

impl Writer {
    /// A writer that has brought the ledger up to date with the journal that a crash may have left.
    pub async fn open(journal: SqliteConnection, ledger: SqliteConnection, context: WriterContext) -> Result<Self, StoreError> {
        let mut writer =
            Self { journal, ledger, context, backlog: VecDeque::new(), behind: 0, failed: HashSet::new(), paused_until: None };
        writer.recover().await?;
        Ok(writer)
    }

    /// Runs until it is told to end or every sender is gone, then closes the connections.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Op>) {
        let mut ops = Vec::with_capacity(MAX_BATCH);
        let mut closing = Vec::new();
        loop {
            if self.must_apply() || (queue.is_empty() && self.may_apply()) {
                self.apply_some().await;
                continue;
            }
            let received = match self.paused_until {
                Some(until) if !self.backlog.is_empty() => {
                    tokio::select! {
                        count = queue.recv_many(&mut ops, MAX_BATCH) => count,
                        () = tokio::time::sleep_until(until.into()) => continue,
                    }
                }
                _ => queue.recv_many(&mut ops, MAX_BATCH).await,
            };
            if received == 0 {
                break;
            }
            let mut draft = Batch::default();
            for op in ops.drain(..) {
                match op {
                    Op::Intake(messages) => draft.messages.extend(messages),
                    Op::Record(attempts, reply) => draft.records.push((attempts, reply)),
                    Op::Change(change) => {
                        self.commit(std::mem::take(&mut draft)).await;
                        let settled = self.apply_all().await;
                        self.change(change, settled).await;
                    }
                    Op::Settle(reply) => {
                        self.commit(std::mem::take(&mut draft)).await;
                        let _ = reply.send(self.apply_all().await);
                    }
                    Op::Checkpoint(reply) => {
                        let result = sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut self.journal).await;
                        let _ = reply.send(result.map(drop).map_err(StoreError::from));
                    }
                    Op::Close(reply) => {
                        queue.close();
                        closing.push(reply);
                    }
                }
            }
            self.commit(draft).await;
            if queue.is_empty() {
                self.failed.clear();
            }
        }
        if let Err(error) = self.apply_all().await {
            tracing::warn!(%error, "the ledger is not up to date; the journal is applied at the next start");
        }
        for conn in [self.ledger, self.journal] {
            if let Err(error) = sqlx::Connection::close(conn).await {
                tracing::warn!(%error, "the database was not closed cleanly; it recovers at the next start");
            }
        }
        for reply in closing {
            let _ = reply.send(());
        }
    }

    fn may_apply(&self) -> bool {
        !self.backlog.is_empty() && self.paused_until.is_none_or(|until| until <= Instant::now())
    }

    fn must_apply(&self) -> bool {
        self.may_apply() && (self.behind >= BACKLOG || self.backlog.front().is_some_and(|unit| unit.since.elapsed() >= LAG))
    }

    /// Journals a batch and answers everybody in it.
    async fn commit(&mut self, batch: Batch) {
        let Batch { messages, records } = batch;
        if messages.is_empty() && records.is_empty() {
            return;
        }
        let (messages, orphans): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| !matches!(message.kind, Kind::Repeat(id) if self.failed.contains(&id)));
        for orphan in orphans {
            let error = StoreError::Unavailable("the message that this one repeats could not be stored".to_owned());
            let _ = orphan.reply.send(Err(error));
        }
        let (mut draft, jobs) = match self.draft(&messages, &records) {
            Ok(drafted) => drafted,
            Err(error) => return self.fail(messages, records, &error),
        };
        if let Err(error) = draft.commit(&mut self.journal).await {
            return self.fail(messages, records, &error);
        }
        self.context.feed.announce(Commit { jobs, changes: Vec::new() });
        for message in messages {
            let acceptance = match message.kind {
                Kind::Fresh(_) => Acceptance { notification_id: message.prepared.id, repeated: false },
                Kind::Repeat(notification_id) => Acceptance { notification_id, repeated: true },
            };
            let _ = message.reply.send(Ok(acceptance));
        }
        for (_, reply) in records {
            let _ = reply.send(Ok(()));
        }
        self.behind += draft.events.len();
        self.backlog.push_back(Unit { journal_id: draft.journal_id, events: draft.events, since: Instant::now() });
    }

    /// The commit for a batch, and the deliveries that it makes.
    fn draft(&self, messages: &[Checked], records: &[(Vec<AttemptRecord>, Reply<()>)]) -> Result<(Draft, Vec<Job>), StoreError> {
        let ids = &self.context.ids;
        let next_id = || ids.next();
        let mut draft = Draft::new(next_id());
        let mut jobs = Vec::new();
        let directory = self.context.directory.borrow().clone();
        for message in messages {
            match message.kind {
                Kind::Repeat(id) => draft.repeated(id, &message.prepared),
                Kind::Fresh(order_id) => {
                    let new = &message.prepared.new;
                    let urls = directory.urls_of(new.merchant_id).iter();
                    let deliveries: Vec<_> = urls.map(|url| (DeliveryId(ids.next()), url.id, url.held)).collect();
                    if self.context.node.is_some() {
                        jobs.extend(deliveries.iter().filter(|(_, _, held)| !held).map(|(delivery_id, url_id, _)| Job {
                            delivery_id: *delivery_id,
                            notification_id: message.prepared.id,
                            order_id,
                            merchant_id: new.merchant_id,
                            url_id: *url_id,
                            origin: Origin::Arrival,
                            attempts: 0,
                            window_from: None,
                            due_at: new.received_at,
                            body: Some(new.body.clone()),
                        }));
                    }
                    draft.accepted(&message.prepared, order_id, deliveries, self.context.node, &next_id);
                }
            }
        }
        for record in records.iter().flat_map(|(attempts, _)| attempts) {
            draft.attempted(record, &next_id)?;
        }
        Ok((draft, jobs))
    }

    fn fail(&mut self, messages: Vec<Checked>, records: Vec<(Vec<AttemptRecord>, Reply<()>)>, error: &StoreError) {
        self.context.pending.failed(&messages);
        let text = error.to_string();
        for message in messages {
            if matches!(message.kind, Kind::Fresh(_)) {
                self.failed.insert(message.prepared.id);
            }
            let _ = message.reply.send(Err(StoreError::Unavailable(text.clone())));
        }
        for (_, reply) in records {
            let _ = reply.send(Err(StoreError::Unavailable(text.clone())));
        }
    }

    async fn change(&mut self, mut change: Box<dyn AnyChange>, settled: Result<(), StoreError>) {
        let result = async {
            settled?;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut self.journal).await?;
            let commit = change.run(&mut self.journal).await?;
            sqlx::raw_sql("COMMIT").execute(&mut self.journal).await?;
            Ok(commit)
        }
        .await;
        match result {
            Ok(commit) => {
                self.context.feed.announce(commit);
                change.reply(Ok(()));
            }
            Err(error) => {
                roll_back(&mut self.journal).await;
                change.reply(Err(error));
            }
        }
    }

    /// Brings the ledger up to date.
    async fn apply_all(&mut self) -> Result<(), StoreError> {
        self.paused_until = None;
        while !self.backlog.is_empty() {
            self.apply_some().await;
            if self.paused_until.is_some() {
                return Err(StoreError::Unavailable("the ledger cannot be written".to_owned()));
            }
        }
        Ok(())
    }

    /// Applies the next chunk of the backlog. Where the disk refuses, it stays and is tried again after a pause.
    async fn apply_some(&mut self) {
        let mut units = Vec::new();
        let mut count = 0;
        while let Some(unit) = self.backlog.front() {
            if !units.is_empty() && count + unit.events.len() > CHUNK {
                break;
            }
            count += unit.events.len();
            units.extend(self.backlog.pop_front());
        }
        self.behind -= count;
        let journal_ids: Vec<i64> = units.iter().map(|unit| unit.journal_id).collect();
        let result = ledger::apply(&mut self.ledger, &journal_ids, units.iter().map(|unit| &unit.events[..])).await;
        match result {
            Ok(changes) => self.applied(&units, changes),
            Err(error) if error.is_temporary() => {
                tracing::warn!(%error, "the ledger cannot be written at the moment; what was promised waits in the journal");
                self.paused_until = Some(Instant::now() + RETRY_PAUSE);
                self.behind += count;
                for unit in units.into_iter().rev() {
                    self.backlog.push_front(unit);
                }
                return;
            }
            Err(error) if units.len() == 1 => self.set_aside(&units[0], &error).await,
            Err(error) => {
                tracing::error!(%error, "a chunk of the journal cannot be applied; trying its commits one by one");
                for unit in units {
                    let result = ledger::apply(&mut self.ledger, &[unit.journal_id], std::iter::once(&unit.events[..])).await;
                    match result {
                        Ok(changes) => self.applied(&[unit], changes),
                        Err(error) => self.set_aside(&unit, &error).await,
                    }
                }
            }
        }
        self.paused_until = None;
    }

    fn applied(&self, units: &[Unit], changes: Vec<crate::server::store::Change>) {
        self.context.pending.applied(units.iter().flat_map(|unit| &unit.events));
        self.context.feed.announce(Commit { jobs: Vec::new(), changes });
    }

    /// Keeps a commit that the ledger does not take for a person to look at (`quittance doctor` tells of it).
    async fn set_aside(&mut self, unit: &Unit, error: &StoreError) {
        tracing::error!(%error, journal.id = unit.journal_id, "a commit of the journal cannot be applied and was set aside");
        self.context.pending.applied(&unit.events);
        let marked =
            sqlx::query("UPDATE journal SET stuck = 1 WHERE id = ?").bind(unit.journal_id).execute(&mut self.ledger).await;
        if let Err(error) = marked {
            tracing::error!(%error, journal.id = unit.journal_id, "it could not be marked either");
        }
    }

    /// Applies what an earlier process left in the journal.
    async fn recover(&mut self) -> Result<(), StoreError> {
        let mut recovered = 0;
        loop {
            let rows = sqlx::query("SELECT id, events FROM journal WHERE stuck = 0 ORDER BY id LIMIT 100")
                .fetch_all(&mut self.ledger)
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let events = read_events(row.try_get(1)?)?;
                self.behind += events.len();
                recovered += events.len();
                self.backlog.push_back(Unit { journal_id: row.try_get(0)?, events, since: Instant::now() });
            }
            self.apply_all().await?;
        }
        if recovered > 0 {
            tracing::info!(events = recovered, "brought the ledger up to date with the journal of the last run");
        }
        Ok(())
    }
}

/// What is journalled together.
#[derive(Default)]
struct Batch {
    messages: Vec<Checked>,
    records: Vec<(Vec<AttemptRecord>, Reply<()>)>,
}

/// Ends a transaction that failed. SQLite ends it by itself on some errors (a full disk).
pub(super) async fn roll_back(conn: &mut SqliteConnection) {
    let _ = sqlx::raw_sql("ROLLBACK").execute(conn).await;
}
