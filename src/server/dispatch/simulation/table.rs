//! The store of the simulation, in memory: what is committed is safe, and can be read a moment later; each call may be
//! slow, and fails where the store is down. Word of a commit and the answer to whoever wanted it come in any order.

use super::{
    rules,
    world::{Change, Health, Op, Row, Shared, World},
};
use crate::domain::{
    Cause, DeliveryState, Timestamp,
    attempt::Origin,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::{
    dispatch::needs::Table,
    store::{AttemptRecord, Backlog, Brake, Directory, First, Job, LaneDepth, Original, StoreError},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

/// Rows that one change moves.
const SWEEP: usize = 7;

/// The store as long as one dispatcher lives.
#[derive(Clone)]
pub struct SimTable(Arc<Inner>);

pub struct Inner {
    pub world: Shared,
    /// Everything that is committed passes here one after the other.
    gate: Mutex<()>,
    queued: Notify,
    applied: Notify,
    pub directory: watch::Sender<Arc<Directory>>,
    jobs: mpsc::UnboundedSender<Vec<Job>>,
    due: mpsc::UnboundedSender<Vec<(UrlId, Timestamp)>>,
}

/// What the dispatcher hears of commits.
pub struct Ears {
    pub jobs: mpsc::UnboundedReceiver<Vec<Job>>,
    pub due: mpsc::UnboundedReceiver<Vec<(UrlId, Timestamp)>>,
}

impl SimTable {
    /// Opens the store, and starts what brings commits into the table.
    pub fn open(world: &Shared) -> (Self, Ears) {
        let (jobs, heard_jobs) = mpsc::unbounded_channel();
        let (due, heard_due) = mpsc::unbounded_channel();
        let directory = watch::Sender::new(world.lock().directory());
        let (gate, queued, applied) = (Mutex::default(), Notify::new(), Notify::new());
        let inner = Inner { world: world.clone(), gate, queued, applied, directory, jobs, due };
        let table = Self(Arc::new(inner));
        tokio::spawn(table.clone().write());
        (table, Ears { jobs: heard_jobs, due: heard_due })
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.0.world.lock()
    }

    async fn write(self) {
        loop {
            while self.world().ledger.is_empty() {
                self.0.queued.notified().await;
            }
            self.pause().await;
            while self.world().health() == Health::Down {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            {
                let mut world = self.world();
                let now = world.now();
                for _ in 0..world.dice.within(1..=40) {
                    world.apply(now);
                }
            }
            self.0.applied.notify_waiters();
        }
    }

    /// As long as a call takes, or a part of it.
    async fn pause(&self) {
        let millis = {
            let mut world = self.world();
            let health = world.health();
            match health {
                Health::Slow(most) => world.dice.within(0..=most),
                _ if world.dice.percent(60) => 0,
                _ => world.dice.within(0..=12),
            }
        };
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    fn is_up(&self) -> Result<(), StoreError> {
        if self.world().health() == Health::Down { Err(StoreError::Unavailable("it is down".to_owned())) } else { Ok(()) }
    }

    fn push(&self, op: Op) {
        self.world().push(op);
        self.0.queued.notify_one();
    }

    async fn read<T>(&self, read: impl FnOnce(&mut World) -> T + Send) -> Result<T, StoreError> {
        self.settled().await?;
        self.pause().await;
        self.is_up()?;
        let found = read(&mut self.world());
        // What is on its way to whoever asked may be old when it comes.
        self.pause().await;
        Ok(found)
    }

    /// Changes the table, after everything that was committed before.
    async fn change(&self, change: Change) -> Result<(), StoreError> {
        let gate = self.0.gate.lock().await;
        self.pause().await;
        self.is_up()?;
        let (done, is_done) = oneshot::channel();
        self.push(Op::Change(change, done));
        drop(gate);
        is_done.await.map_err(|_| StoreError::Unavailable("it was closed".to_owned()))?;
        self.pause().await;
        Ok(())
    }

    /// Changes settings.
    pub async fn set(&self, change: impl FnOnce(&mut World, Timestamp) + Send + 'static) -> Result<(), StoreError> {
        let directory = self.0.clone();
        self.change(Box::new(move |world, now| {
            change(world, now);
            let fresh = world.directory();
            directory.directory.send_replace(fresh);
        }))
        .await
    }

    /// Announces what is now open.
    fn announce(&self, world: &World, jobs: Vec<Job>) {
        // Always in the same way for a URL: of two ways the later might be the quicker.
        let by_url = |job: &Job| world.announces_urls && job.url_id.0 % 2 == 0;
        let (by_url, jobs): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(by_url);
        let mut urls: BTreeMap<UrlId, Timestamp> = BTreeMap::new();
        for job in by_url {
            let due = urls.entry(job.url_id).or_insert(job.due_at);
            *due = (*due).min(job.due_at);
        }
        if !urls.is_empty() {
            let _ = self.0.due.send(urls.into_iter().collect());
        }
        if !jobs.is_empty() {
            let _ = self.0.jobs.send(jobs);
        }
    }

    /// Accepts a message about an order of a merchant, unless the store is down.
    pub async fn accept(self, merchant_id: MerchantId, order_id: OrderId) {
        let received_at = self.world().now();
        let gate = self.0.gate.lock().await;
        // Its deliveries are drafted by the settings of this moment, and committed a little later.
        let directory = self.0.directory.borrow().clone();
        let (rows, notification_id, body) = {
            let mut world = self.world();
            let notification_id = NotificationId(world.next_id());
            let body = Bytes::from(format!("REFNO={}&IPN_PID[]=1&IPN_PNAME[]=Tea&IPN_DATE=20260301120000", order_id.0));
            let row = |world: &mut World, url_id: UrlId, held: bool| Row {
                job: Job {
                    delivery_id: DeliveryId(world.next_id()),
                    notification_id,
                    order_id,
                    merchant_id,
                    url_id,
                    origin: Origin::Arrival,
                    attempts: 0,
                    window_from: None,
                    due_at: received_at,
                    body: None,
                },
                state: if held { DeliveryState::Held } else { DeliveryState::Queued },
                due_at: (!held).then_some(received_at),
                created_at: received_at,
            };
            let urls = directory.urls_of(merchant_id).iter();
            let rows: Vec<Row> = urls.map(|url| row(&mut world, url.id, url.held)).collect();
            (rows, notification_id, body)
        };
        self.pause().await;
        if self.is_up().is_err() {
            return;
        }
        let mut world = self.world();
        let jobs = rows.iter().filter(|row| row.is_open()).map(|row| {
            let is_at_hand = world.dice.percent(90);
            Job { body: is_at_hand.then(|| body.clone()), ..row.to_job() }
        });
        let jobs: Vec<Job> = jobs.collect();
        for row in &rows {
            rules::accepted(&mut world, row);
        }
        world.push(Op::Accepted(rows, notification_id, body));
        self.announce(&world, jobs);
        drop(world);
        self.0.queued.notify_one();
        drop(gate);
    }

    /// Delivers an old notification again.
    pub async fn resend(self, notification_id: NotificationId, url_id: UrlId, origin: Origin) {
        let table = self.clone();
        let asked = self.change(Box::new(move |world, now| {
            let Some(site) = world.sites.get(&url_id).filter(|site| !site.removed) else { return };
            let held = site.url.held && origin != Origin::Debug;
            let first = world.rows.values().find(|row| row.job.notification_id == notification_id);
            let Some(job) = first.map(|row| row.job.clone()) else { return };
            let delivery_id = DeliveryId(world.next_id());
            let job = Job { delivery_id, url_id, origin, attempts: 0, window_from: None, due_at: now, ..job };
            let state = if held { DeliveryState::Held } else { DeliveryState::Queued };
            let row = Row { job, state, due_at: (!held).then_some(now), created_at: now };
            rules::accepted(world, &row);
            if !held {
                table.announce(world, vec![row.to_job()]);
            }
            world.rows.insert(delivery_id, row);
        }));
        let _ = asked.await;
    }

    /// Moves rows of a URL that fit, some at a time; gives how many.
    async fn sweep(&self, url_id: UrlId, fits: fn(&Row) -> bool, to: fn(&mut Row, Timestamp)) -> Result<u64, StoreError> {
        let (count, counted) = oneshot::channel();
        let table = self.clone();
        self.change(Box::new(move |world, now| {
            let mut moved = 0;
            let mut is_open = false;
            for row in world.rows.values_mut().filter(|row| row.job.url_id == url_id && fits(row)).take(SWEEP) {
                to(row, now);
                moved += 1;
                is_open |= row.is_open();
            }
            world.note(format_args!("url {} sweeps {moved}", url_id.0));
            // As a URL: the result of an attempt that was on its way may lie behind this.
            if is_open {
                let _ = table.0.due.send(vec![(url_id, Timestamp::default())]);
            }
            let _ = count.send(moved);
        }))
        .await?;
        Ok(counted.await.unwrap_or(0))
    }
}

fn is_of(row: &Row, url_id: UrlId, backlog: Backlog) -> bool {
    let state = match backlog {
        Backlog::Fresh => DeliveryState::Queued,
        Backlog::Again => DeliveryState::Retrying,
    };
    row.job.url_id == url_id && row.state == state
}

/// Open deliveries after a place, by the time they are due.
fn after(world: &World, url_id: UrlId, backlog: Backlog, place: (Timestamp, DeliveryId)) -> Vec<Job> {
    let mut jobs: Vec<Job> = world.rows.values().filter(|row| is_of(row, url_id, backlog)).map(Row::to_job).collect();
    jobs.retain(|job| (job.due_at, job.delivery_id) > place);
    jobs.sort_by_key(|job| (job.due_at, job.delivery_id));
    jobs
}

impl Table for SimTable {
    fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.0.directory.subscribe()
    }

    fn brake(&self) -> Brake {
        Brake::default()
    }

    async fn serves(&self, job: &Job) -> bool {
        rules::begins(&mut self.world(), job);
        true
    }

    async fn settled(&self) -> Result<(), StoreError> {
        let gate = self.0.gate.lock().await;
        self.is_up()?;
        let target = self.world().queued;
        drop(gate);
        loop {
            let applied = self.0.applied.notified();
            if self.world().applied >= target {
                return Ok(());
            }
            applied.await;
        }
    }

    async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        let gate = self.0.gate.lock().await;
        self.pause().await;
        self.is_up()?;
        {
            let mut world = self.world();
            for record in attempts {
                rules::recorded(&mut world, &record);
                world.push(Op::Attempted(Box::new(record)));
            }
        }
        self.0.queued.notify_one();
        drop(gate);
        self.pause().await;
        Ok(())
    }

    async fn lanes(&self) -> Result<Vec<LaneDepth>, StoreError> {
        self.read(|world| {
            let first =
                |id, backlog| after(world, id, backlog, (Timestamp::default(), DeliveryId(0))).first().map(|job| job.due_at);
            let ids = world.sites.keys().copied();
            let lanes = ids.map(|url_id| LaneDepth {
                url_id,
                open: world.rows.values().filter(|row| row.job.url_id == url_id && row.is_open()).count() as u64,
                fresh_due: first(url_id, Backlog::Fresh),
                again_due: first(url_id, Backlog::Again),
            });
            lanes.filter(|lane| lane.open > 0).collect()
        })
        .await
    }

    async fn lane(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        place: Option<(Timestamp, DeliveryId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let place = place.unwrap_or((Timestamp::default(), DeliveryId(0)));
        self.read(move |world| {
            let mut jobs = after(world, url_id, backlog, place);
            jobs.retain(|job| job.due_at <= until);
            jobs.truncate(limit as usize);
            jobs
        })
        .await
    }

    async fn next_due(
        &self,
        url_id: UrlId,
        backlog: Backlog,
        place: (Timestamp, DeliveryId),
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |world| after(world, url_id, backlog, place).first().map(|job| job.due_at)).await
    }

    async fn firsts(&self, url_id: UrlId, orders: &[OrderId]) -> Result<Vec<First>, StoreError> {
        let orders = orders.to_vec();
        self.read(move |world| {
            let first = |order: &OrderId| {
                let ids = world.of_order.get(&(url_id, *order))?;
                let row = ids.iter().filter_map(|id| world.rows.get(id)).find(|row| !row.state.is_final())?;
                let job = row.is_open().then(|| row.to_job());
                Some(First { order_id: *order, delivery_id: row.job.delivery_id, job })
            };
            orders.iter().filter_map(first).collect()
        })
        .await
    }

    async fn bodies(&self, ids: &[NotificationId]) -> Result<HashMap<NotificationId, Bytes>, StoreError> {
        self.pause().await;
        if let Err(error) = self.is_up() {
            rules::unread(&mut self.world(), ids);
            return Err(error);
        }
        let world = self.world();
        Ok(ids.iter().filter_map(|id| Some((*id, world.bodies.get(id)?.clone()))).collect())
    }

    async fn original(&self, _id: NotificationId) -> Result<Option<Original>, StoreError> {
        // Shops of the simulation get the usual form, which needs the body alone.
        Ok(None)
    }

    async fn is_open(&self, id: DeliveryId) -> Result<bool, StoreError> {
        self.read(move |world| world.rows.get(&id).is_some_and(Row::is_open)).await
    }

    async fn address_of(&self, _: DeliveryId) -> Result<Option<String>, StoreError> {
        // At once: the simulation takes an attempt to begin when it starts, and this is asked after that.
        Ok(None)
    }

    async fn pull_back(&self) -> Result<u64, StoreError> {
        // Its clock is never set back.
        Ok(0)
    }

    async fn unsettled_urls(&self) -> Result<Vec<(UrlId, bool, bool)>, StoreError> {
        self.read(|world| {
            let of = |id: UrlId, fits: fn(&Row) -> bool| world.rows.values().any(|row| row.job.url_id == id && fits(row));
            let is_held = |row: &Row| row.state == DeliveryState::Held;
            let unsettled = world.sites.iter().filter(|(id, site)| match (site.url.held, site.removed) {
                (_, true) => of(**id, |row| !row.state.is_final()),
                (true, false) => of(**id, Row::is_open),
                (false, false) => of(**id, is_held),
            });
            unsettled.map(|(id, site)| (*id, site.url.held, site.removed)).collect()
        })
        .await
    }

    async fn hold_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let fits = |row: &Row| row.is_open() && !row.is_for_debug();
        self.sweep(url_id, fits, |row, _| (row.state, row.due_at) = (DeliveryState::Held, None)).await
    }

    async fn release_held(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let fits = |row: &Row| row.state == DeliveryState::Held;
        self.sweep(url_id, fits, |row, now| {
            let is_fresh = row.job.attempts == 0;
            row.state = if is_fresh { DeliveryState::Queued } else { DeliveryState::Retrying };
            (row.due_at, row.job.window_from) = (Some(if is_fresh { row.created_at } else { now }), None);
        })
        .await
    }

    async fn cancel_open(&self, url_id: UrlId) -> Result<u64, StoreError> {
        let fits = |row: &Row| !row.state.is_final();
        self.sweep(url_id, fits, |row, _| (row.state, row.due_at) = (DeliveryState::Cancelled, None)).await
    }

    async fn note_certificate(&self, _: UrlId, _: String, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn hold_for(&self, id: UrlId, address: String, cause: Cause, _: String) -> Result<bool, StoreError> {
        let (held, was_held) = oneshot::channel();
        self.set(move |world, now| {
            let site = world.sites.get_mut(&id).filter(|site| !site.is_off() && site.url.url == address);
            let _ = held.send(site.is_some());
            if let Some(site) = site {
                (site.url.held, site.url.held_cause, site.changed_at) = (true, Some(cause), now);
            }
        })
        .await?;
        Ok(was_held.await.unwrap_or(false))
    }

    /// No key is changed in a simulation.
    async fn note_new_key(&self, _: UrlId, _: String) -> Result<bool, StoreError> {
        Ok(false)
    }
}
