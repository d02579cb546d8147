//! The SQLite engine: one file, one writer with group commit, a pool of readers.
//!
//! A message goes to the `journaler`, which has it looked up by the `intake` (is it a repeat?) and makes one small
//! commit to the journal's file, shared by everybody waiting; now the gateway is answered and the delivery may start.
//! From there it goes to `writer` and `ledger` (orders, deliveries, indexes,
//! books, in larger transactions behind; `chunk` is what one of them merges). All commits are `synchronous=FULL`.
//!
//! Two drivers, one library: pages, settings, people and resends use sqlx; the way of a message (intake, journal, ledger)
//! uses rusqlite on threads of its own, because there a statement costs microseconds and a way to a driver's thread
//! and back ten times that.
//!
//! Lives here: SQL for SQLite, and what keeps the file healthy. Must not live here: rules; they come in as data.

mod accounts;
mod activity;
mod alert_mail;
mod alerts;
mod audit;
mod backup;
mod balance;
mod bulk;
mod cancel;
mod chunk;
mod deliveries;
mod draft;
mod events;
mod inbound;
mod intake;
mod jobs;
mod journal;
mod journaler;
mod ledger;
mod mail;
mod merchants;
mod notifications;
mod orders;
mod overview;
mod people;
mod plans;
mod queue;
mod refusals;
mod resend;
mod retention;
mod rows;
mod search;
mod segments;
mod settings;
mod standing;
mod story;
mod upkeep;
mod urls;
mod verify;
mod verifying;
mod views;
mod writer;

use self::{
    events::PreparedAccept,
    intake::{Intake, SharedPending},
    journal::Journal,
    journaler::{Journaler, Op, QUEUE, Reply},
    ledger::Ledger,
    writer::{Change, LedgerOp, LedgerThread, Writer},
};
use super::{
    Acceptance, Alarm, AttemptRecord, Commit, Directory, Feed, NewNotification, OpenAs, StoreError, StoreSettings,
    ids::IdSource,
    vault::{Vault, create_private},
};
use crate::domain::id::NotificationId;
use crate::server::clock::Clock;
use futures::{TryFutureExt as _, future::BoxFuture};
use sqlx::{
    ConnectOptions as _, SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// The node of a SQLite installation: there is one.
const NODE: i64 = 1;
/// Reads of pages and of the dispatcher side by side.
const READERS: u32 = 4;
/// How long a write may wait in the queue and for the disk before its caller is told to try again later.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// A handle on the SQLite engine; cheap to clone.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

pub(in crate::server::store) struct Inner {
    path: PathBuf,
    journaler: mpsc::Sender<Op>,
    ledger: mpsc::UnboundedSender<LedgerOp>,
    readers: SqlitePool,
    ids: Arc<IdSource>,
    clock: Clock,
    vault: Vault,
    directory: Arc<watch::Sender<Arc<Directory>>>,
    /// Held by whoever reads the directory.
    reloading: tokio::sync::Mutex<()>,
    feed: Feed,
    node: Option<i64>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the process serves: two servers on one file would deliver everything twice.
    lock: Mutex<Option<std::fs::File>>,
}

impl SqliteStore {
    /// Opens the file, brings it to this version's shape and starts the writer.
    pub(super) async fn open(path: &Path, settings: StoreSettings, feed: Feed) -> Result<Self, StoreError> {
        let existed = path.exists();
        if matches!(settings.open_as, OpenAs::Tool { create: false } | OpenAs::Alone) && !existed {
            return Err(StoreError::Missing(path.to_owned()));
        }
        if existed
            && settings.open_as == (OpenAs::Tool { create: false })
            && std::fs::metadata(path).is_ok_and(|file| file.len() == 0)
        {
            return Err(StoreError::EmptyFile(path.to_owned()));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::Unavailable(format!("{}: {error}", folder.display())))?;
        }
        let serves = settings.open_as == OpenAs::Server;
        let keeps_lock = serves || settings.open_as == OpenAs::Alone;
        let lock = keeps_lock.then(|| lock_for_serving(path)).transpose()?;
        // The engine gives its files beside the database the same mode.
        create_private(path)?;
        if path.is_dir() {
            return Err(StoreError::File { path: path.to_owned(), reason: "it is a folder".to_owned() });
        }
        let file = options(path).create_if_missing(true).auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut conn = file.connect().await.map_err(|error| unusable(path, error.into()))?;
        if is_foreign(&mut conn).await.map_err(|error| unusable(path, error))? {
            let reason = "it is a database of another program; name another file".to_owned();
            return Err(StoreError::File { path: path.to_owned(), reason });
        }
        if lock.is_none() && existed {
            leave_to_its_server(path, &mut conn).await.map_err(|error| unusable(path, error))?;
        }
        migrate(&mut conn).await.map_err(|error| unusable(path, error))?;
        let key_file = settings.key_file.unwrap_or_else(|| path.with_extension("key"));
        let vault = upkeep::open_vault(&mut conn, &key_file).await?;
        let installation = upkeep::installation(&mut conn).await?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(Duration::from_secs(5))
            // The inner pages of all indexes of ten million orders stay in memory.
            .connect_lazy_with(options(path).read_only(true).pragma("cache_size", "-8192"));
        let directory = Arc::new(watch::channel(Arc::new(settings::load(&readers, &vault).await?)).0);
        let ids = Arc::new(IdSource::beside_nodes(settings.clock.clone()));
        let (journaler, ops) = mpsc::channel(QUEUE);
        let (ledger, entries) = mpsc::unbounded_channel();
        let (pending, backlog, applied) = (SharedPending::default(), Journaler::backlog(), Arc::default());
        let mut writer = Writer {
            conn,
            ledger: LedgerThread::start(Ledger::open(path)?, &feed.alarm)?,
            feed: feed.clone(),
            pending: pending.clone(),
            backlog: backlog.clone(),
            applied: Arc::clone(&applied),
        };
        let mut tasks = Vec::new();
        // A command that finds no server takes its place for a moment, so that it sees what a crash left behind.
        let lock = match lock {
            None if !is_served(path) => lock_for_serving(path).ok(),
            lock => lock,
        };
        if lock.is_some() {
            let beside = path.with_extension("intake");
            let journal = Journal::open(&beside, &installation, applied).map_err(|error| unusable(&beside, error))?;
            let last_id = writer.recover(&journal).await?.max(journal.last()?);
            if serves {
                ids.set_mark(NODE);
                // A clock that was set back must not make an id again.
                ids.start_after(upkeep::greatest_id(&mut writer.conn).await?);
            }
            if serves {
                // Checkpoints run beside the writer instead; see `upkeep`.
                sqlx::raw_sql("PRAGMA wal_autocheckpoint = 0").execute(&mut writer.conn).await?;
                let (answers, to_answer) = mpsc::unbounded_channel();
                // Ends with the journal's thread, after the last answer.
                feed.alarm.spawn("the journal's answers", journaler::answer(to_answer));
                let task = Journaler {
                    journal,
                    last_id,
                    ids: ids.clone(),
                    feed: feed.clone(),
                    directory: directory.clone(),
                    intake: Intake { conn: Ledger::open_to_read(path)?, pending, ids: ids.clone() },
                    node: NODE,
                    ledger: ledger.clone(),
                    answers,
                    backlog,
                    plain: Vec::new(),
                };
                thread("journal", &feed.alarm, move || task.run(ops))?;
            } else {
                journal.close()?;
            }
        }
        tasks.push(feed.alarm.spawn("the writer", writer.run(entries)));
        let store = Self(Arc::new(Inner {
            path: path.to_owned(),
            journaler,
            ledger,
            readers,
            ids,
            clock: settings.clock,
            vault,
            directory,
            reloading: tokio::sync::Mutex::default(),
            feed,
            node: serves.then_some(NODE),
            tasks: Mutex::default(),
            lock: Mutex::new(lock.filter(|_| keeps_lock)),
        }));
        if serves {
            // Whoever asked a gateway before has ended.
            store.free_verifying().await?;
            let alarm = &store.0.feed.alarm;
            tasks.push(alarm.spawn("the checkpoints", upkeep::checkpoints(Arc::downgrade(&store.0))));
            tasks.push(alarm.spawn("the look-out for settings", upkeep::watch(Arc::downgrade(&store.0))));
        }
        store.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
        Ok(store)
    }

    /// Ends the writer after what is queued, and closes the file.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        let told = match self.0.node {
            Some(_) => self.0.journaler.send(Op::Close(reply)).await.is_ok(),
            None => self.0.ledger.send(LedgerOp::Close(reply)).is_ok(),
        };
        if told {
            let _ = closed.await;
        }
        self.0.readers.close().await;
        for task in self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        let has_lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if has_lock || !is_served(&self.0.path) {
            let path = self.0.path.clone();
            let _ = tokio::task::spawn_blocking(move || upkeep::fold(&path)).await;
        }
        self.0.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.0.directory.subscribe()
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.0.feed
    }

    pub(super) fn settings(&self) -> Arc<Directory> {
        self.0.directory.borrow().clone()
    }

    /// Stores a notification; returns after the commit that holds it.
    pub(super) fn accept(&self, new: NewNotification) -> impl Future<Output = Result<Acceptance, StoreError>> + Send + '_ {
        // At once, so that whoever waits holds no more than this.
        let prepared = Box::new(PreparedAccept::new(new, NotificationId(self.0.ids.next())));
        async move {
            self.only_served()?;
            answered(|reply| self.0.journaler.send(Op::Accept((prepared, reply))).map_err(drop)).await
        }
    }

    /// Stores finished attempts; returns after the commit that holds them. Without patience: who hears of a failure
    /// offers them again, and what is still queued would then be recorded twice.
    pub(super) async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        self.only_served()?;
        heard(|reply| self.0.journaler.send(Op::Record(attempts, reply)).map_err(drop)).await
    }

    /// Returns when everything that was accepted or recorded before can be read.
    pub(super) async fn settled(&self) -> Result<(), StoreError> {
        self.write(LedgerOp::Settle).await
    }

    /// There is nobody to tell: the server is alone.
    pub(super) async fn introduce(&self, _address: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether a server runs on the database at the moment.
    pub(super) async fn is_served(&self) -> Result<bool, StoreError> {
        Ok(is_served(&self.0.path))
    }

    /// Runs a change in a transaction of its own.
    async fn change<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(T, Commit), StoreError>> + Send + 'static,
    {
        self.write(|reply| LedgerOp::Change(Box::new(Change::new(work, reply)))).await
    }

    /// Hands an operation to the writer, behind everything that was accepted before.
    async fn write<T>(&self, op: impl FnOnce(Reply<T>) -> LedgerOp) -> Result<T, StoreError> {
        answered(|reply| {
            let op = op(reply);
            async {
                match self.0.node {
                    Some(_) => self.0.journaler.send(Op::Ledger(op)).await.map_err(drop),
                    None => self.0.ledger.send(op).map_err(drop),
                }
            }
        })
        .await
    }

    fn only_served(&self) -> Result<(), StoreError> {
        self.0.node.map(drop).ok_or(StoreError::NotServing)
    }
}

/// Whether there is something in the file that is not ours.
async fn is_foreign(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    let query = "SELECT EXISTS (SELECT 1 FROM sqlite_master) AND NOT EXISTS
        (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations')";
    Ok(sqlx::query_scalar(query).fetch_one(conn).await?)
}

/// Names the file that cannot be opened: read-only, out of reach, no database.
fn unusable(path: &Path, error: StoreError) -> StoreError {
    let reason = match error {
        StoreError::Unavailable(reason) => reason,
        StoreError::Database(error) => error.to_string(),
        StoreError::Ledger(error) => error.to_string(),
        error => return error,
    };
    StoreError::File { path: path.to_owned(), reason }
}

fn thread(name: &'static str, alarm: &Alarm, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let watched = alarm.watch(name);
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _watched = watched;
        work();
    });
    started.map(drop).map_err(|error| StoreError::Unavailable(format!("no thread for the {name}: {error}")))
}

/// Hands an operation over and waits for its answer, with patience.
async fn answered<T, S: Future<Output = Result<(), ()>>>(hand_over: impl FnOnce(Reply<T>) -> S) -> Result<T, StoreError> {
    match tokio::time::timeout(WRITE_PATIENCE, heard(hand_over)).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable("the disk does not keep up".to_owned())),
    }
}

/// Hands an operation over and waits for its answer, however long it takes.
async fn heard<T, S: Future<Output = Result<(), ()>>>(hand_over: impl FnOnce(Reply<T>) -> S) -> Result<T, StoreError> {
    let closed = || StoreError::Unavailable("the store is closed".to_owned());
    let (reply, answer) = oneshot::channel();
    hand_over(reply).await.map_err(|()| closed())?;
    answer.await.map_err(|_| closed())?
}

/// The settings of every connection.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // Every reference is written by code that has just made or read what it points to; `doctor` checks them all.
        // Checking each again on the way of every message would cost five look-ups.
        .foreign_keys(false)
        .pragma("cache_size", "-4096")
        .pragma("journal_size_limit", "67108864")
        .pragma("temp_store", "memory")
}

/// The tables under a running server are of its version. One that has just been started may be making them.
async fn leave_to_its_server(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATOR.iter().count()).unwrap_or(i64::MAX);
    for _ in 0..20 {
        let query = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations')";
        let done: i64 = match sqlx::query_scalar(query).fetch_one(&mut *conn).await? {
            true => sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&mut *conn).await?,
            false => 0,
        };
        if done >= known || !is_served(path) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(StoreError::ServedByOlder(path.display().to_string()))
}

async fn migrate(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match MIGRATOR.run(&mut *conn).await {
            Ok(()) => return Ok(()),
            Err(MigrateError::VersionMissing(found)) => return Err(StoreError::Newer { found }),
            // Another process may be doing the same at this moment.
            Err(_) if tries < 5 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => return Err(error.into()),
            Err(error) => return Err(StoreError::Corrupt(error.to_string())),
        }
    }
}

fn lock_for_serving(path: &Path) -> Result<std::fs::File, StoreError> {
    let lock_path = path.with_extension("lock");
    create_private(&lock_path)?;
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&lock_path)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", lock_path.display())))?;
    let mut tries = 0;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // A command that only looks whether a server runs holds the lock for a moment.
            Err(std::fs::TryLockError::WouldBlock) if tries < 5 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Locked(path.display().to_string())),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(StoreError::Unavailable(format!("{}: {error}", lock_path.display())));
            }
        }
    }
}

/// Whether a server runs on the database of this path.
fn is_served(path: &Path) -> bool {
    let lock = std::fs::OpenOptions::new().append(true).open(path.with_extension("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Timestamp, server::store::samples};

    #[tokio::test]
    async fn an_attempt_that_waits_for_the_disk_is_not_refused_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (clock, _hand) = Clock::manual(Timestamp::from_seconds(1_772_366_400));
        let settings = StoreSettings { open_as: OpenAs::Tool { create: true }, key_file: None, clock };
        let mut store = SqliteStore::open(&folder.path().join("q.db"), settings, Feed::default()).await.unwrap();
        // In place of the journal, one that takes its time.
        let (journaler, mut ops) = mpsc::channel(QUEUE);
        let inner = Arc::get_mut(&mut store.0).unwrap();
        (inner.journaler, inner.node) = (journaler, Some(NODE));
        tokio::time::pause();
        let recording = tokio::spawn(async move { store.record(vec![samples::attempt(1)]).await });
        let Some(Op::Record(_, reply)) = ops.recv().await else { panic!("nothing was handed over") };
        tokio::time::advance(WRITE_PATIENCE * 3).await;
        let _ = reply.send(Ok(()));
        recording.await.unwrap().unwrap();
        assert!(ops.recv().await.is_none(), "it was handed over once");
    }
}
