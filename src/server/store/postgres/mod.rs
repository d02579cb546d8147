//! The PostgreSQL engine: one database, any number of nodes.
//!
//! A message goes `intake` (it queues at a line, by its order) → `accept` (a batch is one statement, which is one transaction;
//! now the gateway is answered and the delivery starts). What attempts came to goes through `results`, in batches, too (`outcomes` writes
//! one).
//! `nodes` is who is there, `leases` who serves what, `keeper` the tasks that keep it so, `bus` what nodes tell each other;
//! `line` is a connection that writes batches, `segments` the packed bytes, `connect` how connections are made (`nodelay`: that
//! statements leave at once). `queue` and `sweeps` are the table of deliveries as the dispatcher reads it; `settings`, `merchants`, `urls`,
//! `people`, `resend`, `bulk`, `refusals`, `retention` (`shrink` and `anew` give place on the disk back) change things; `orders`,
//! `notifications`, `deliveries`, `jobs`, `overview` and `verify` read them; `balance` and `plans` look after the books and the
//! indexes. All commits are `synchronous_commit=on`.
//!
//! Lives here: SQL for PostgreSQL, and what keeps several processes out of each other's way. Must not live here: rules; they
//! come in as data.

mod accept;
mod accounts;
mod activity;
mod alert_mail;
mod alerts;
mod anew;
mod audit;
mod balance;
mod bulk;
mod bus;
mod cancel;
mod connect;
mod deliveries;
mod inbound;
mod intake;
mod jobs;
mod keeper;
mod leases;
mod line;
mod mail;
mod merchants;
mod nodelay;
mod nodes;
mod notifications;
mod orders;
mod outcomes;
mod overview;
mod people;
mod plans;
mod queue;
mod refusals;
mod resend;
mod results;
mod retention;
mod rows;
mod search;
mod segments;
mod settings;
mod shrink;
mod story;
mod sweeps;
mod urls;
mod verify;
mod verifying;
mod views;

pub use connect::PgAddress;
pub(in crate::server::store) use connect::{UNFINISHED, prepare};
pub(in crate::server::store) use rows::unavailable_code;

use self::{
    bus::{Bus, Outbox},
    intake::Intake,
    line::Line,
    nodes::Place,
};
use super::{Commit, Directory, Feed, OpenAs, StoreError, StoreSettings, ids::IdSource, vault::Vault};
use crate::{domain::id::UrlId, server::clock::Clock};
use sqlx::{
    ConnectOptions as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    collections::HashMap,
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

/// Changes, and reads whose plan depends on what is asked, side by side.
const POOL: u32 = 6;
/// Reads that have one good plan, side by side.
const READING: u32 = 6;
/// How those are planned: once, and by indexes, however small the tables are at that moment.
const PLANNED_ONCE: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    // An index that begins alike would serve the order of a list, but for sorting all rows of its merchant.
    ("enable_incremental_sort", "off"),
];
/// How long a call waits for one of these connections.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(5);
/// How long any call may take, but for those that must not give up.
const CALL_PATIENCE: Duration = Duration::from_secs(20);
/// How long what is queued may take at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(15);
/// Where the key lies unless the operator says otherwise. All nodes need the same.
const KEY_FILE: &str = "data/quittance.key";

/// Where the key lies unless the operator says otherwise.
pub(in crate::server::store) fn default_key_file() -> PathBuf {
    PathBuf::from(KEY_FILE)
}

/// A handle on the PostgreSQL engine; cheap to clone.
#[derive(Clone)]
pub struct PgStore(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    queues: Mutex<Option<Queues>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    lines: Mutex<Vec<JoinHandle<()>>>,
}

/// Where messages and results are handed in; gone when the store is closed.
#[derive(Clone)]
struct Queues {
    intake: Arc<Intake>,
    results: mpsc::Sender<results::Call>,
}

/// What all parts of the engine share.
pub struct Core {
    address: PgAddress,
    line_options: PgConnectOptions,
    pool: PgPool,
    ids: IdSource,
    /// For what one index serves, whatever is asked. Its statements are planned once a connection, which takes longer than
    /// running them. Nothing that two indexes could serve belongs here, such as the newest rows of a merchant where they are
    /// not compared row by row: the plan for any merchant may be the primary key.
    reading: PgPool,
    clock: Clock,
    vault: Vault,
    directory: watch::Sender<Arc<Directory>>,
    /// Held by whoever reads the directory.
    reloading: tokio::sync::Mutex<()>,
    feed: Feed,
    bus: Bus,
    place: watch::Sender<Place>,
    /// When the last heartbeat was sent that the database took; none in a command, and when the store is closed.
    beat: watch::Sender<Option<Instant>>,
    /// Since when heartbeats have come without a gap.
    steady_since: Mutex<Option<Instant>>,
    /// When the others were heard.
    heard: Mutex<nodes::Heard>,
    /// When all that lies under the node's place is to be announced.
    inherits: Mutex<Vec<Instant>>,
    /// Deliveries with ids below this may have been taken over by others while this node was thought dead.
    fence: AtomicI64,
    /// Which node serves a URL that one node at a time serves, as far as it is known.
    leases: Mutex<HashMap<UrlId, i64>>,
    kick: Notify,
    /// Held by who takes over what nobody serves.
    adopting: tokio::sync::Mutex<()>,
    /// Deliveries of URLs that another node serves are still to be given to it.
    unsettled: AtomicBool,
    /// There is no other node to tell anything.
    alone: AtomicBool,
    /// When retention last copied all segments and had to throw the copy away.
    copied_in_vain: Mutex<Option<shrink::InVain>>,
}

impl Deref for PgStore {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0.core
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a call, with patience: a network that swallows everything must not hold a page for ever.
pub(super) async fn patiently<T>(name: &str, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    if matches!(name, "record" | "verify" | "retain") {
        return call.await;
    }
    match tokio::time::timeout(CALL_PATIENCE, call).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Unavailable("the database does not answer".to_owned())),
    }
}

impl PgStore {
    /// Connects, brings the database to this version's shape, and takes a place among the nodes.
    pub(super) async fn open(address: &PgAddress, settings: StoreSettings, feed: Feed) -> Result<Self, StoreError> {
        let serves = settings.open_as == OpenAs::Server;
        let create = settings.open_as != OpenAs::Tool { create: false };
        let key_file = settings.key_file.unwrap_or_else(default_key_file);
        let vault = connect::prepare(address, &key_file, create).await?;
        let options = address.options()?;
        let port = options.get_port();
        connect::refuse_unfinished(address, &mut address.connect(&options).await?).await?;
        let connections = |most: u32| {
            PgPoolOptions::new().max_connections(if serves { most } else { 2 }).acquire_timeout(ACQUIRE_PATIENCE).after_connect(
                move |_, _| {
                    nodelay::hurry(port);
                    Box::pin(async { Ok(()) })
                },
            )
        };
        // A plan made while the tables were empty reads all of them later, until the server looks at them again.
        let pool = connections(POOL).connect_lazy_with(options.clone().options([("plan_cache_mode", "force_custom_plan")]));
        let reading = connections(READING).connect_lazy_with(options.clone().options(PLANNED_ONCE));
        let directory = watch::channel(Arc::new(settings::load(&pool, &vault).await?)).0;
        let ids = IdSource::beside_nodes(settings.clock.clone());
        let (bus, outbox) = Bus::new();
        let core = Arc::new(Core {
            address: address.clone(),
            // Planning such a statement takes longer than running it for one message.
            line_options: options.clone().options([("plan_cache_mode", "force_generic_plan")]),
            pool,
            reading,
            ids,
            clock: settings.clock,
            vault,
            directory,
            reloading: tokio::sync::Mutex::default(),
            feed,
            bus,
            place: watch::channel(Place::default()).0,
            beat: watch::channel(None).0,
            steady_since: Mutex::default(),
            heard: Mutex::default(),
            inherits: Mutex::default(),
            fence: AtomicI64::new(0),
            leases: Mutex::default(),
            kick: Notify::new(),
            adopting: tokio::sync::Mutex::default(),
            unsettled: AtomicBool::new(false),
            alone: AtomicBool::new(false),
            copied_in_vain: Mutex::default(),
        });
        let inner = Inner { core, queues: Mutex::default(), tasks: Mutex::default(), lines: Mutex::default() };
        let store = Self(Arc::new(inner));
        if serves {
            store.serve(options, outbox).await?;
        }
        Ok(store)
    }

    /// Takes a place and starts everything that a node needs.
    async fn serve(&self, options: PgConnectOptions, outbox: Outbox) -> Result<(), StoreError> {
        let core = &self.0.core;
        let mut conn = options.connect().await?;
        nodelay::hurry(options.get_port());
        core.take_place(&mut conn).await?;
        // A copy that began meanwhile looks for servers after it has left its mark.
        if let Err(error) = connect::refuse_unfinished(&core.address, &mut conn).await {
            core.leave(&mut conn).await?;
            return Err(error);
        }
        core.settle_leases().await?;
        // What is stored anew is joined by hash: a guess about the length of an array must not make the work quadratic.
        // Nothing here looks up rows of large tables by a join, which without loops would read all of them.
        let storing = core.line_options.clone().options([("enable_nestloop", "off")]);
        let (intake, mut lines) = Intake::start(|number| Line::new(core.clone(), storing.clone(), number));
        // Results are the other way round: each finds its delivery by the primary key, however small the table was when the
        // plan was made.
        let recording = core.line_options.clone().options([
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]);
        let (results, recording) = results::start(Line::new(core.clone(), recording, results::LINE));
        lines.push(recording);
        *lock(&self.0.queues) = Some(Queues { intake: Arc::new(intake), results });
        *lock(&self.0.lines) = lines;
        let hearing = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_PATIENCE).connect_lazy_with(options);
        let alarm = &core.feed.alarm;
        lock(&self.0.tasks).extend([
            alarm.spawn("the heartbeat", keeper::live(core.clone())),
            alarm.spawn("the look-out for other nodes", keeper::look(core.clone())),
            alarm.spawn("the word to other nodes", bus::tell(core.clone(), outbox)),
            alarm.spawn("the word of other nodes", bus::hear(core.clone(), hearing)),
        ]);
        Ok(())
    }

    /// Writes what is queued, leaves the nodes so that others go on at once, and closes the connections.
    pub(super) async fn close(&self) {
        lock(&self.0.queues).take();
        let lines = std::mem::take(&mut *lock(&self.0.lines));
        let deadline = tokio::time::Instant::now() + CLOSE_PATIENCE;
        for mut line in lines {
            if tokio::time::timeout_at(deadline, &mut line).await.is_err() {
                line.abort();
            }
        }
        for task in lock(&self.0.tasks).drain(..) {
            task.abort();
        }
        if self.beat.send_replace(None).is_some() {
            let leaving = async {
                let mut conn = self.address.options()?.connect().await?;
                self.leave(&mut conn).await
            };
            match tokio::time::timeout(ACQUIRE_PATIENCE, leaving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the other nodes could not be told of the end; they find out in some seconds")
                }
                Err(_) => tracing::warn!("the other nodes could not be told of the end in time; they find out in some seconds"),
            }
        }
        let pools = async { tokio::join!(self.pool.close(), self.reading.close()) };
        let _ = tokio::time::timeout(ACQUIRE_PATIENCE, pools).await;
    }

    fn intake(&self) -> Option<Arc<Intake>> {
        lock(&self.0.queues).as_ref().map(|queues| queues.intake.clone())
    }

    fn results(&self) -> Option<mpsc::Sender<results::Call>> {
        lock(&self.0.queues).as_ref().map(|queues| queues.results.clone())
    }

    pub(super) fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.directory.subscribe()
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(super) fn settings(&self) -> Arc<Directory> {
        self.directory.borrow().clone()
    }
}

impl Core {
    /// Where this process stands now.
    fn present(&self) -> Place {
        *self.place.borrow()
    }

    fn places(&self) -> watch::Receiver<Place> {
        self.place.subscribe()
    }

    fn wake_keeper(&self) {
        self.kick.notify_one();
    }

    fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    fn set_alone(&self, alone: bool) {
        self.alone.store(alone, Ordering::Relaxed);
    }

    /// Announces a commit here, and its changes to the other nodes.
    fn announce(&self, commit: Commit) {
        self.bus.changes(&commit.changes);
        self.feed.announce(commit);
    }
}
