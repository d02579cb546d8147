//! The dispatcher's loop: hears of new deliveries, starts attempts as the schedule says, has their results recorded,
//! and follows changes of settings.

use super::{
    attempt::{Turn, Workshop},
    board::Board,
    keep_up::keep_up,
    needs::{Courier, Table},
    reading::Reading,
    schedule::{Ended, Lanes, Load, Question, Read, Signal},
    unread::Unread,
    unrecorded::Unrecorded,
};
use crate::domain::{
    Cause, Timestamp,
    attempt::Origin,
    id::{DeliveryId, OrderId, UrlId},
};
use crate::server::store::{AttemptRecord, Backlog, Directory, First, Job, LaneDepth, Next, NotificationUrl, StoreError};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
    task::{Id, JoinError, JoinSet},
};

/// An attempt that could not be made is made after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How what the server does by itself is signed in the audit log.
const ACTOR: &str = "quittance";
/// Resends for debug to a URL on hold that a crash can leave behind.
const STRAYS: u32 = 1_000;
/// Results recorded in one call.
const RECORD_BATCH: usize = 500;
/// How long attempts on their way may take to finish when the server ends.
const LAST_ATTEMPTS: Duration = Duration::from_secs(10);
/// Announcements of new deliveries taken at a time.
const JOBS_AT_A_TIME: usize = 256;
/// How often it is asked again whether deliveries fit their URLs' settings: of nodes that move the same ones at once, one may move
/// none and leave, and the other may end before it is done.
const SETTLE_TRIES: u32 = 4;
/// Pause after the store refused something.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A running dispatcher.
pub struct Dispatcher {
    end: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
    board: Board,
}

impl Dispatcher {
    /// Starts to deliver: what is open in the table, and what is announced from now on, job by job or as URLs of which the
    /// table holds more.
    pub fn start<T: Table, C: Courier>(
        workshop: Arc<Workshop<T, C>>,
        jobs: mpsc::UnboundedReceiver<Vec<Job>>,
        due: mpsc::UnboundedReceiver<Vec<(UrlId, Timestamp)>>,
    ) -> Self {
        let (end, ending) = oneshot::channel();
        let board = Board::default();
        let ended = tokio::spawn(run(workshop, jobs, due, ending, board.clone()));
        Self { end, ended, board }
    }

    /// What pages may know of the scheduler.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Waits until it has ended, by a failure of its own.
    pub async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Starts no more attempts, waits for those on their way, and records their results.
    pub async fn stop(self) {
        let _ = self.end.send(());
        let _ = self.ended.await;
    }
}

/// What the loop's helpers tell it.
enum Event {
    Lanes(Vec<LaneDepth>),
    /// Open deliveries of a URL on hold.
    Strays(Vec<Job>),
    /// The answer to the question of a number.
    Firsts(UrlId, u64, Vec<First>),
    /// With the room that its messages take until they are in their lane.
    Loaded(Load, Read, Option<OwnedSemaphorePermit>),
    LoadFailed(Load),
    Recorded(Vec<Recorded>),
}

/// A result that is in the store.
struct Recorded {
    url_id: UrlId,
    order_id: OrderId,
    delivery_id: DeliveryId,
    next: Next,
    /// What it held of what waits.
    bytes: usize,
}

struct Loop<T, C> {
    workshop: Arc<Workshop<T, C>>,
    lanes: Lanes,
    directory: Arc<Directory>,
    attempts: JoinSet<Turn>,
    /// The job of each attempt on its way, in case it is lost.
    running: HashMap<Id, Running>,
    events: mpsc::UnboundedSender<Event>,
    reading: Reading,
    results: mpsc::UnboundedSender<AttemptRecord>,
    unrecorded: Unrecorded,
    board: Board,
    /// Counts how often deliveries may not fit their URLs' settings any more.
    unsettled: watch::Sender<u64>,
    /// Whether deliveries wait that could be made now.
    waiting: watch::Sender<bool>,
}

struct Running {
    url_id: UrlId,
    delivery_id: DeliveryId,
    order_id: OrderId,
    origin: Origin,
    /// The URL as the attempt found it.
    url: Option<Arc<NotificationUrl>>,
}

async fn run<T: Table, C: Courier>(
    workshop: Arc<Workshop<T, C>>,
    mut jobs: mpsc::UnboundedReceiver<Vec<Job>>,
    mut due: mpsc::UnboundedReceiver<Vec<(UrlId, Timestamp)>>,
    mut ending: oneshot::Receiver<()>,
    board: Board,
) {
    let (events, mut heard) = mpsc::unbounded_channel();
    let (results, to_record) = mpsc::unbounded_channel();
    let mut recorder = tokio::spawn(record(workshop.store.clone(), to_record, events.clone()));
    let mut settings = workshop.store.directory();
    let unsettled = watch::Sender::new(0);
    let mut sweeper = tokio::spawn(settle_urls(workshop.store.clone(), unsettled.subscribe()));
    let mut looper = Loop {
        lanes: Lanes::new(workshop.places),
        directory: settings.borrow_and_update().clone(),
        attempts: JoinSet::new(),
        running: HashMap::new(),
        events,
        reading: Reading::default(),
        results,
        unrecorded: Unrecorded::default(),
        board,
        unsettled,
        waiting: watch::channel(false).0,
        workshop,
    };
    let braking = tokio::spawn(keep_up(looper.workshop.store.brake(), looper.waiting.subscribe()));
    looper.tick();
    looper.configure();
    looper.read_lanes();
    let mut sweep = tokio::time::interval(C::SWEEP_EVERY);
    let mut batch = Vec::new();
    loop {
        // Taken here and not only below: what stands there before them may always have something.
        while batch.len() < JOBS_AT_A_TIME
            && let Ok(announced) = jobs.try_recv()
        {
            batch.push(announced);
        }
        // Looked at after that: a delivery to a new URL may be announced before the change of settings is waited for, and
        // a URL may have been released since; what is announced for one on hold is not taken.
        looper.tick();
        looper.follow(&mut settings);
        for job in batch.drain(..).flatten() {
            looper.lanes.push(job);
        }
        looper.start_due();
        let waits = looper.lanes.has_waiting();
        looper.waiting.send_if_modified(|known| std::mem::replace(known, waits) != waits);
        #[cfg(test)]
        looper.lanes.assert_sound();
        let wake_at = looper.lanes.wake_at();
        let clock = looper.workshop.clock.clone();
        // In this order, so that nothing is left to chance: none of the first can have something all the time.
        tokio::select! {
            biased;
            _ = &mut ending => break,
            _ = sweep.tick() => looper.workshop.client.sweep(),
            Ok(()) = settings.changed() => settings.mark_changed(),
            Some(event) = heard.recv() => looper.hear(event),
            Some(urls) = due.recv() => {
                looper.follow(&mut settings);
                for (url_id, due) in urls {
                    looper.find_strays(url_id);
                    for backlog in Backlog::ALL {
                        looper.lanes.promise(url_id, backlog, due);
                    }
                }
            }
            Some(ended) = looper.attempts.join_next_with_id() => looper.ended(ended),
            count = jobs.recv_many(&mut batch, JOBS_AT_A_TIME) => {
                if count == 0 {
                    break;
                }
            }
            // Neither ends before this: it is lost by a mistake of ours, and without it nothing is right any more.
            _ = &mut recorder => break,
            _ = &mut sweeper => break,
            () = clock.sleep_until(wake_at.unwrap_or_default()), if wake_at.is_some() => {}
        }
    }
    sweeper.abort();
    braking.abort();
    looper.workshop.store.brake().set(Duration::ZERO);
    let deadline = tokio::time::Instant::now() + LAST_ATTEMPTS;
    while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, looper.attempts.join_next_with_id()).await {
        looper.ended(ended);
    }
    if !looper.attempts.is_empty() {
        tracing::warn!(count = looper.attempts.len(), "attempts were cut off at the end; they are made again at the next start");
    }
    drop(looper.results);
    if !recorder.is_finished() {
        let _ = tokio::time::timeout(LAST_ATTEMPTS, recorder).await;
    }
}

impl<T: Table, C: Courier> Loop<T, C> {
    fn tick(&mut self) {
        if self.lanes.tick(self.workshop.clock.now()) {
            // What was tried by the clock of then is to be due by that of now.
            self.unsettled.send_modify(|number| *number += 1);
        }
    }

    /// Takes over changed settings.
    fn follow(&mut self, settings: &mut watch::Receiver<Arc<Directory>>) {
        if settings.has_changed().unwrap_or(false) {
            let before = std::mem::replace(&mut self.directory, settings.borrow_and_update().clone());
            self.unsettled.send_modify(|number| *number += 1);
            self.configure();
            for url in before.urls() {
                self.board.note(url.id, self.lanes.pause(url.id));
            }
        }
    }

    fn configure(&mut self) {
        self.lanes.configure(&self.directory);
    }

    fn ask(&self, question: Question) {
        let (store, events, workshop) = (self.workshop.store.clone(), self.events.clone(), self.workshop.clone());
        tokio::spawn(async move {
            let Question { url_id, number, orders } = question;
            let read = async || {
                store.settled().await?;
                store.firsts(url_id, &orders).await
            };
            let firsts = until_answered(&workshop.unread, "what orders wait for", read).await;
            let _ = events.send(Event::Firsts(url_id, number, firsts));
        });
    }

    /// Learns what the table holds from before this process.
    fn read_lanes(&self) {
        let (store, events, workshop) = (self.workshop.store.clone(), self.events.clone(), self.workshop.clone());
        tokio::spawn(async move {
            let lanes = until_answered(&workshop.unread, "open deliveries", || store.lanes()).await;
            let _ = events.send(Event::Lanes(lanes));
        });
    }

    /// A resend for debug also goes to a URL on hold, of which nothing else is read. Where the process that was asked for it
    /// has died, it is made now.
    fn find_strays(&self, url_id: UrlId) {
        if self.directory.url(url_id).is_none_or(|url| !url.held) {
            return;
        }
        let (store, events, now) = (self.workshop.store.clone(), self.events.clone(), self.workshop.clock.now());
        let workshop = self.workshop.clone();
        tokio::spawn(async move {
            let read = async || {
                store.settled().await?;
                store.lane(url_id, Backlog::Fresh, None, now, STRAYS).await
            };
            let mut jobs = until_answered(&workshop.unread, "resends for debug", read).await;
            jobs.retain(|job| job.origin == Origin::Debug);
            let _ = events.send(Event::Strays(jobs));
        });
    }

    /// Reads what is due, and starts what may start.
    fn start_due(&mut self) {
        for question in self.lanes.to_ask() {
            self.ask(question);
        }
        for wanted in self.lanes.to_load() {
            self.load(wanted);
        }
        let places = self.lanes.places().all;
        while self.unrecorded.has_room(self.lanes.in_flight(), places) {
            let Some(job) = self.lanes.next() else { break };
            let url = self.directory.url(job.url_id).cloned();
            let (url_id, delivery_id, order_id, origin) = (job.url_id, job.delivery_id, job.order_id, job.origin);
            let running = Running { url_id, delivery_id, order_id, origin, url };
            let (workshop, directory) = (self.workshop.clone(), self.directory.clone());
            let handle = self.attempts.spawn(async move { workshop.turn(&job, &directory).await });
            self.running.insert(handle.id(), running);
        }
    }

    fn load(&self, wanted: Load) {
        let (store, events, now) = (self.workshop.store.clone(), self.events.clone(), self.workshop.clock.now());
        let (reading, workshop) = (self.reading.clone(), self.workshop.clone());
        tokio::spawn(async move {
            let event = match reading.read(&store, wanted, now).await {
                Ok((read, room)) => Event::Loaded(wanted, read, room),
                Err(error) => {
                    workshop.unread.tell("due deliveries", &error);
                    tokio::time::sleep(RETRY_PAUSE).await;
                    Event::LoadFailed(wanted)
                }
            };
            let _ = events.send(event);
        });
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Lanes(lanes) => {
                for lane in lanes {
                    self.find_strays(lane.url_id);
                    for (backlog, due) in [(Backlog::Fresh, lane.fresh_due), (Backlog::Again, lane.again_due)] {
                        if let Some(due) = due {
                            self.lanes.promise(lane.url_id, backlog, due);
                        }
                    }
                }
            }
            Event::Strays(jobs) => jobs.into_iter().for_each(|job| self.lanes.push(job)),
            Event::Firsts(url_id, number, firsts) => self.lanes.answered(url_id, number, firsts),
            Event::Loaded(Load { url_id, backlog, .. }, read, _room) => self.lanes.loaded(url_id, backlog, read),
            Event::LoadFailed(Load { url_id, backlog, .. }) => {
                self.lanes.loaded(url_id, backlog, Read { rest: Some(Timestamp::default()), ..Read::default() });
            }
            Event::Recorded(recorded) => {
                for Recorded { url_id, order_id, delivery_id, next, bytes } in recorded {
                    self.unrecorded.remove(bytes);
                    self.lanes.recorded(url_id, order_id, delivery_id, next);
                    // It was on its way when its URL was put on hold, and must be held like the others.
                    if matches!(next, Next::Retry(_)) && self.directory.url(url_id).is_none_or(|url| url.held) {
                        self.unsettled.send_modify(|number| *number += 1);
                    }
                }
            }
        }
    }

    fn ended(&mut self, ended: Result<(Id, Turn), JoinError>) {
        let (id, turn) = match ended {
            Ok((id, turn)) => (id, turn),
            Err(error) => {
                tracing::error!(%error, "an attempt was lost; it is made again");
                (error.id(), Turn::Passed)
            }
        };
        let Some(job) = self.running.remove(&id) else { return };
        self.tick();
        // What a former address says is nothing to the one that it has now.
        let directory = self.workshop.store.directory();
        let is_former = |url: &Arc<NotificationUrl>| directory.borrow().url(url.id).is_some_and(|now| now.url != url.url);
        let ended = match &turn {
            Turn::Attempted(attempted) if !job.url.as_ref().is_some_and(is_former) => attempted.ended,
            _ => Ended { signal: Signal::Unknown, not_before: None },
        };
        self.lanes.finished(job.url_id, job.origin, ended);
        self.board.note(job.url_id, self.lanes.pause(job.url_id));
        match turn {
            Turn::Attempted(attempted) => {
                if attempted.has_new_key {
                    self.note_new_key(job.url_id);
                }
                let record = attempted.record;
                if record.cause == Some(Cause::Gone)
                    && !attempted.elsewhere
                    && job.origin != Origin::Debug
                    && let Some(url) = job.url
                {
                    self.hold(url);
                }
                self.unrecorded.add(record.bytes());
                let _ = self.results.send(record);
            }
            // Gone, on hold, or lost. Where it is still open it is read from the table again.
            Turn::Passed => {
                let again = self.workshop.clock.now().plus(AGAIN_AFTER);
                self.lanes.put_back(job.url_id, job.order_id, job.delivery_id, again);
            }
            Turn::Withdrawn => self.lanes.recorded(job.url_id, job.order_id, job.delivery_id, Next::Closed),
        }
    }

    /// Notes that a URL's script has the new key, for pages and for the next start.
    fn note_new_key(&self, url_id: UrlId) {
        let store = self.workshop.store.clone();
        tokio::spawn(async move {
            // The next receipt says so again.
            if let Err(error) = store.note_new_key(url_id, ACTOR.to_owned()).await {
                tracing::warn!(%error, url.id = %url_id, "it could not be noted that a URL answers with the new key");
            }
        });
    }

    /// Puts a URL on hold whose page is gone for good: asking it again is no use, and what comes for it is kept. It is the
    /// address that was asked which is gone; somebody may have corrected it meanwhile.
    fn hold(&self, url: Arc<NotificationUrl>) {
        let url_id = url.id;
        let store = self.workshop.store.clone();
        tokio::spawn(async move {
            match store.hold_for(url_id, url.url.clone(), Cause::Gone, ACTOR.to_owned()).await {
                Ok(true) => tracing::warn!(url.id = %url_id, "a URL was put on hold: its server says that it is gone for good"),
                Ok(false) => {}
                // The next attempt says so again.
                Err(error) => tracing::warn!(%error, url.id = %url_id, "a URL could not be put on hold"),
            }
        });
    }
}

/// Records results in batches; what the store refuses is offered again until it takes it.
async fn record(store: impl Table, mut results: mpsc::UnboundedReceiver<AttemptRecord>, events: mpsc::UnboundedSender<Event>) {
    let mut batch = Vec::with_capacity(RECORD_BATCH);
    while results.recv_many(&mut batch, RECORD_BATCH).await > 0 {
        let recorded: Vec<_> = batch
            .iter()
            .map(|record| Recorded {
                url_id: record.url_id,
                order_id: record.order_id,
                delivery_id: record.delivery_id,
                next: record.next,
                bytes: record.bytes(),
            })
            .collect();
        while let Err(error) = store.record(batch.clone()).await {
            tracing::warn!(%error, "results of attempts could not be recorded; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        batch.clear();
        let _ = events.send(Event::Recorded(recorded));
    }
}

/// Brings deliveries in line with their URL's setting, some at a time: held, released or cancelled; and with the clock, where it was
/// ahead. At the start, and whenever it is told.
async fn settle_urls(store: impl Table, mut unsettled: watch::Receiver<u64>) {
    loop {
        unsettled.mark_unchanged();
        while let Err(error) = settle_once(&store).await {
            tracing::warn!(%error, "deliveries could not be held, released, cancelled or pulled back; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        if unsettled.changed().await.is_err() {
            return;
        }
    }
}

async fn settle_once(store: &impl Table) -> Result<(), StoreError> {
    // What was accepted by the setting before may not be in the table yet.
    store.settled().await?;
    while store.pull_back().await? > 0 {}
    for again in 0..SETTLE_TRIES {
        let unsettled = store.unsettled_urls().await?;
        if unsettled.is_empty() {
            break;
        }
        if again > 0 {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        for (url_id, held, removed) in unsettled {
            loop {
                let moved = match (held, removed) {
                    (_, true) => store.cancel_open(url_id).await?,
                    (true, false) => store.hold_open(url_id).await?,
                    (false, false) => store.release_held(url_id).await?,
                };
                if moved == 0 {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Asks the store until it answers.
async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
    unread: &Unread,
    what: &'static str,
    ask: impl Fn() -> F,
) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => unread.tell(what, &error),
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
