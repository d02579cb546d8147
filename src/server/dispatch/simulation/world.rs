//! What there is in a simulation beside the dispatcher: merchants and their URLs, the table, and what is known of each
//! delivery. It outlives the dispatcher, as a disk and the merchants' servers do.

use super::{dice::Dice, shops::Mood};
use crate::domain::{
    Algorithms, DeliveryState, RetrySchedule, Terms, Timestamp,
    attempt::Origin,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::{
    clock::Clock,
    store::{AttemptRecord, Directory, Job, Merchant, Next, NotificationUrl, Secret},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

pub const START: Timestamp = Timestamp::from_seconds(1_770_000_000);
pub const KEY: &[u8] = b"merchant-key";

/// A URL: its settings, how its merchant's server is at the moment, and what has come to it in this life of the dispatcher.
pub struct Site {
    pub url: NotificationUrl,
    pub removed: bool,
    pub mood: Mood,
    /// When a setting that rules depend on was changed.
    pub changed_at: Timestamp,
    /// Attempts under way, not those for debug.
    pub open: Vec<(DeliveryId, Timestamp)>,
    /// When attempts began.
    pub starts: VecDeque<Timestamp>,
    /// When something began or ended.
    pub stirred_at: Timestamp,
}

impl Site {
    pub fn limit(&self) -> usize {
        if self.url.concurrent { usize::from(self.url.terms.max_in_flight) } else { 1 }
    }

    pub const fn is_off(&self) -> bool {
        self.url.held || self.removed
    }
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Without a body.
    pub job: Job,
    pub state: DeliveryState,
    pub due_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// What the simulation knows of a delivery beside its row.
#[derive(Debug, Default)]
pub struct Facts {
    /// In this life: an attempt is under way since.
    pub begun_at: Option<Timestamp>,
    /// The schedule that its last attempt went by.
    pub schedule: Option<RetrySchedule>,
    /// The numbers of attempts sent in this life.
    pub sent: Vec<u32>,
    /// The shop has confirmed it in this life.
    pub confirmed: bool,
    /// When the recorded attempts began.
    pub recorded: Vec<Timestamp>,
    /// Its message could not be read; it is looked at again then.
    pub put_back_until: Timestamp,
}

pub type Change = Box<dyn FnOnce(&mut World, Timestamp) + Send>;

/// Committed, in this order, and not in the table yet.
pub enum Op {
    Accepted(Vec<Row>, NotificationId, Bytes),
    Attempted(Box<AttemptRecord>),
    /// A change of the table itself; whoever wants it waits for it.
    Change(Change, oneshot::Sender<()>),
}

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Well,
    /// Each call takes up to so many milliseconds.
    Slow(u64),
    /// Each call fails.
    Down,
}

pub struct World {
    pub dice: Dice,
    pub clock: Option<Clock>,
    pub life: u32,
    pub life_began: Timestamp,
    pub merchants: Vec<MerchantId>,
    pub sites: BTreeMap<UrlId, Site>,
    pub version: i64,
    pub rows: BTreeMap<DeliveryId, Row>,
    pub bodies: BTreeMap<NotificationId, Bytes>,
    pub facts: BTreeMap<DeliveryId, Facts>,
    /// Deliveries of each order at each URL, in the order in which they came; none for debug.
    pub of_order: HashMap<(UrlId, OrderId), Vec<DeliveryId>>,
    pub ledger: VecDeque<Op>,
    pub queued: u64,
    pub applied: u64,
    health: Health,
    unwell_until: Timestamp,
    /// Deliveries that somebody was promised.
    pub accepted: usize,
    last_id: i64,
    /// Announces URLs instead of jobs, as an engine with several nodes does for some.
    pub announces_urls: bool,
    pub attempts: usize,
    pub wrong: Vec<String>,
    hash: u64,
    tells: bool,
}

/// Handle on the world.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The world, after everybody else has let go of it.
    pub fn into_inner(self) -> World {
        let world = Arc::into_inner(self.0).expect("nobody else holds it");
        world.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub fn new(seed: u64, tells: bool) -> Self {
        Self {
            dice: Dice::new(seed),
            clock: None,
            life: 0,
            life_began: START,
            merchants: Vec::new(),
            sites: BTreeMap::new(),
            version: 0,
            rows: BTreeMap::new(),
            bodies: BTreeMap::new(),
            facts: BTreeMap::new(),
            of_order: HashMap::new(),
            ledger: VecDeque::new(),
            queued: 0,
            applied: 0,
            health: Health::Well,
            unwell_until: START,
            accepted: 0,
            last_id: 0,
            announces_urls: false,
            attempts: 0,
            wrong: Vec::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            tells,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or(self.life_began, Clock::now)
    }

    pub fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// How the store is at the moment.
    pub fn health(&self) -> Health {
        if self.now() < self.unwell_until { self.health } else { Health::Well }
    }

    pub fn fall_ill(&mut self, health: Health, span: Duration) {
        self.note(format_args!("the store is {health:?} for {span:?}"));
        (self.health, self.unwell_until) = (health, self.now().plus(span));
    }

    /// Notes what happens: the trace.
    pub fn note(&mut self, what: fmt::Arguments<'_>) {
        let at = self.now().since(START);
        let line = format!("{:>12.6} {what}", at.as_secs_f64());
        if self.tells {
            eprintln!("{line}");
        }
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Notes that a rule was broken.
    pub fn is_wrong(&mut self, what: String) {
        self.note(format_args!("WRONG: {what}"));
        let at = self.now().since(START).as_secs_f64();
        self.wrong.push(format!("at {at:.6} s, life {}: {what}", self.life));
    }

    pub fn add_site(
        &mut self,
        merchant_id: MerchantId,
        terms: Terms,
        concurrent: bool,
        order_in_order: bool,
        mood: Mood,
    ) -> UrlId {
        let id = UrlId(self.next_id());
        let url = NotificationUrl {
            id,
            merchant_id,
            label: String::new(),
            url: format!("http://shop.example/{}", id.0),
            is_default: false,
            algorithms: Algorithms::MD5,
            concurrent,
            order_in_order,
            held: false,
            held_at: None,
            held_cause: None,
            new_key_at: None,
            headers: Vec::new(),
            terms,
            version: 1,
        };
        let at = self.now();
        let site = Site { url, removed: false, mood, changed_at: at, open: Vec::new(), starts: VecDeque::new(), stirred_at: at };
        self.sites.insert(id, site);
        id
    }

    /// The settings as the dispatcher gets them.
    pub fn directory(&mut self) -> Arc<Directory> {
        self.version += 1;
        let merchant = |id: &MerchantId| Merchant::new(*id, id.to_string(), id.to_string(), Secret::new(KEY));
        let urls = self.sites.values().filter(|site| !site.removed).map(|site| site.url.clone()).collect();
        Arc::new(Directory::new(self.version, self.merchants.iter().map(merchant).collect(), Vec::new(), urls))
    }

    pub fn push(&mut self, op: Op) {
        self.ledger.push_back(op);
        self.queued += 1;
    }

    /// Brings the next committed operation into the table.
    pub fn apply(&mut self, now: Timestamp) {
        let Some(op) = self.ledger.pop_front() else { return };
        self.applied += 1;
        match op {
            Op::Accepted(rows, notification, body) => {
                self.bodies.insert(notification, body);
                self.rows.extend(rows.into_iter().map(|row| (row.job.delivery_id, row)));
            }
            Op::Attempted(record) => {
                if let Some(row) = self.rows.get_mut(&record.delivery_id) {
                    row.attempted(&record);
                }
            }
            Op::Change(change, done) => {
                change(self, now);
                let _ = done.send(());
            }
        }
    }

    /// A delivery as it was committed, whether that is in the table already or not.
    pub fn committed(&self, id: DeliveryId) -> Option<Row> {
        let mut found = self.rows.get(&id).cloned();
        for op in &self.ledger {
            match op {
                Op::Accepted(rows, ..) => found = found.or_else(|| rows.iter().find(|row| row.job.delivery_id == id).cloned()),
                Op::Attempted(record) if record.delivery_id == id => {
                    if let Some(row) = &mut found {
                        row.attempted(record);
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The dispatcher is gone, with everything that was in memory.
    pub fn end_life(&mut self, away: Duration) {
        let now = self.now();
        let life = self.life;
        self.note(format_args!("the end of life {life}"));
        self.ledger.retain(|op| !matches!(op, Op::Change(..)));
        self.applied = self.queued - self.ledger.len() as u64;
        self.life_began = now.plus(away);
        self.clock = None;
        self.life += 1;
        for site in self.sites.values_mut() {
            site.open.clear();
            site.starts.clear();
        }
        for facts in self.facts.values_mut() {
            *facts = Facts { schedule: facts.schedule.take(), recorded: std::mem::take(&mut facts.recorded), ..Facts::default() };
        }
    }
}

impl Row {
    /// What an attempt makes of the delivery, as the store has it.
    fn attempted(&mut self, record: &AttemptRecord) {
        let next = match (self.state, record.next) {
            (state, _) if state.is_final() => state,
            (_, Next::Confirmed) => DeliveryState::Confirmed,
            (DeliveryState::Held, _) => DeliveryState::Held,
            (_, Next::Retry(_)) => DeliveryState::Retrying,
            (_, Next::Expired) => DeliveryState::Expired,
            (_, Next::Closed) => DeliveryState::Cancelled,
        };
        self.state = next;
        self.job.attempts += 1;
        self.job.window_from = Some(record.window_from);
        self.due_at = match (next, record.next) {
            (DeliveryState::Retrying, Next::Retry(due)) => Some(due),
            _ => None,
        };
    }

    /// As the dispatcher gets it.
    pub fn to_job(&self) -> Job {
        Job { due_at: self.due_at.unwrap_or_default(), ..self.job.clone() }
    }

    pub const fn is_open(&self) -> bool {
        matches!(self.state, DeliveryState::Queued | DeliveryState::Retrying)
    }

    pub fn is_for_debug(&self) -> bool {
        self.job.origin == Origin::Debug
    }
}
