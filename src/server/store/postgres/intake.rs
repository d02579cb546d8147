//! The way in: messages queue at one of a few lines, by their order, and each line writes what waits as one batch. It never
//! waits for a batch to fill: while one commit is on its way to the disk the next gathers by itself. The fewer lines, the larger
//! the batches, and a batch costs something by itself: where the machine has few cores more lines would only share them.

use super::{
    Core, PgStore, Place,
    accept::{Draft, MessageKey, OrderKey, Prepared, Written, count_repeats, look_up},
    line::{Failed, Line, Work},
};
use crate::domain::{Timestamp, id::NotificationId};
use crate::server::store::{Acceptance, NewNotification, StoreError};
use sqlx::PgConnection;
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Lines side by side at most: while one waits for the disk the others gather and write.
pub(super) const LINES: i64 = 3;
/// Cores for each line that is in use without need.
const CORES_PER_LINE: usize = 2;
/// From so many messages before a line on all lines are in use.
const CROWD: usize = 384;
/// Messages that may wait at a line before their senders wait themselves.
const QUEUE: usize = 2_048;
/// Most messages of a batch.
const MAX_BATCH: usize = 512;
/// Most bytes of a batch.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// How long a message may wait for its commit before its sender is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch may meet messages that another node stored in the same moment.
const RACES: u32 = 5;
/// Pause while it is not known whether a batch was written.
const DOUBT_PAUSE: Duration = Duration::from_millis(200);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to do.
enum Op {
    Message(Box<Prepared>, Reply<Acceptance>),
    /// Answers when everything before it was written or refused.
    Settle(Reply<()>),
}

/// Where messages queue.
pub(super) struct Intake {
    lines: Vec<mpsc::Sender<Op>>,
    /// So many of them are in use where they are not crowded.
    usual: usize,
}

/// How many lines are in use on a machine with so many cores, while they are not crowded.
fn usual_lines(cores: usize) -> usize {
    (cores / CORES_PER_LINE).clamp(1, LINES as usize)
}

fn unavailable(text: &str) -> StoreError {
    StoreError::Unavailable(text.to_owned())
}

impl Intake {
    /// Starts the lines; gives their tasks.
    pub fn start(make: impl Fn(i64) -> Line) -> (Self, Vec<tokio::task::JoinHandle<()>>) {
        let mut tasks = Vec::new();
        let lines = (0..LINES)
            .map(|number| {
                let (sender, queue) = mpsc::channel(QUEUE);
                let line = make(number);
                let alarm = line.core.feed.alarm.clone();
                tasks.push(alarm.spawn("the intake", run(line, queue)));
                sender
            })
            .collect();
        (Self { lines, usual: usual_lines(std::thread::available_parallelism().map_or(1, usize::from)) }, tasks)
    }

    /// The line of an order: the same as long as no more or fewer are in use, so that two lines seldom wait for each other's locks.
    fn line(&self, new: &NewNotification) -> &mpsc::Sender<Op> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((new.merchant_id, &new.facts.reference)) as usize;
        let line = &self.lines[hash % self.usual];
        if line.max_capacity() - line.capacity() < CROWD { line } else { &self.lines[hash % self.lines.len()] }
    }

    async fn settled(&self) -> Result<(), StoreError> {
        let mut answers = Vec::new();
        for line in &self.lines {
            let (reply, answer) = oneshot::channel();
            line.send(Op::Settle(reply)).await.map_err(|_| unavailable("the store is closed"))?;
            answers.push(answer);
        }
        for answer in answers {
            answer.await.map_err(|_| unavailable("the store is closed"))??;
        }
        Ok(())
    }
}

impl PgStore {
    /// Stores a notification; returns after the commit that holds it.
    pub(in crate::server::store) fn accept(
        &self,
        new: NewNotification,
    ) -> impl Future<Output = Result<Acceptance, StoreError>> + Send + '_ {
        // At once, so that whoever waits holds no more than this.
        let prepared = Box::new(Prepared::new(new, NotificationId(self.ids.next())));
        async move {
            let Some(intake) = self.intake() else { return Err(StoreError::NotServing) };
            let accepted = async {
                let (reply, answer) = oneshot::channel();
                let line = intake.line(&prepared.new);
                line.send(Op::Message(prepared, reply)).await.map_err(|_| unavailable("the store is closed"))?;
                answer.await.map_err(|_| unavailable("the store is closed"))?
            };
            tokio::time::timeout(PATIENCE, accepted).await.unwrap_or_else(|_| Err(unavailable("the database does not keep up")))
        }
    }

    /// Returns when everything that was accepted or recorded before can be read.
    pub(in crate::server::store) async fn settled(&self) -> Result<(), StoreError> {
        let Some(intake) = self.intake() else { return Ok(()) };
        match tokio::time::timeout(PATIENCE, intake.settled()).await {
            Ok(result) => result,
            Err(_) => Err(unavailable("the database does not keep up")),
        }
    }
}

/// Messages of a batch with those who wait for them.
type Waiting = HashMap<NotificationId, Reply<Acceptance>>;

/// Runs until every sender is gone.
async fn run(mut line: Line, mut queue: mpsc::Receiver<Op>) {
    let mut ops = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut ops, MAX_BATCH).await > 0 {
        let mut batch = Batch::default();
        let mut settled = Vec::new();
        for op in ops.drain(..) {
            match op {
                Op::Message(prepared, reply) => {
                    if batch.bytes >= MAX_BATCH_BYTES || batch.has_another_of(&prepared) {
                        std::mem::take(&mut batch).commit(&mut line, &mut queue).await;
                    }
                    batch.add(*prepared, reply);
                }
                Op::Settle(reply) => settled.push(reply),
            }
        }
        batch.commit(&mut line, &mut queue).await;
        for reply in settled {
            let _ = reply.send(Ok(()));
        }
    }
}

/// Messages that are written together.
#[derive(Default)]
struct Batch {
    messages: Vec<Prepared>,
    waiting: Waiting,
    /// The first of each key; further ones of the batch are its repeats.
    first: HashMap<MessageKey, NotificationId>,
    /// What the messages are about.
    orders: HashSet<OrderKey>,
    again: Vec<(NotificationId, Prepared, Reply<Acceptance>)>,
    bytes: usize,
}

impl Batch {
    /// Whether another message of the same order is in it. What that makes of the order only the table knows, so that the next
    /// one of it comes behind.
    fn has_another_of(&self, prepared: &Prepared) -> bool {
        let is_repeat = prepared.key().is_some_and(|key| self.first.contains_key(&key));
        !is_repeat && self.orders.contains(&prepared.order_key())
    }

    fn add(&mut self, prepared: Prepared, reply: Reply<Acceptance>) {
        self.bytes += prepared.new.body.len() + prepared.new.outgoing.as_ref().map_or(0, |form| form.len());
        if let Some(key) = prepared.key() {
            match self.first.entry(key) {
                Entry::Occupied(first) => return self.again.push((*first.get(), prepared, reply)),
                Entry::Vacant(place) => drop(place.insert(prepared.id)),
            }
        }
        self.orders.insert(prepared.order_key());
        self.waiting.insert(prepared.id, reply);
        self.messages.push(prepared);
    }

    /// Writes the batch and answers everybody in it.
    async fn commit(self, line: &mut Line, queue: &mut mpsc::Receiver<Op>) {
        if self.messages.is_empty() {
            return;
        }
        let Self { messages, mut waiting, again, bytes, .. } = self;
        let core = line.core.clone();
        let directory = core.directory.borrow().clone();
        let draft = if bytes > 64 << 10 {
            // Packing takes long enough to hold others up.
            let (directory, core) = (directory.clone(), core.clone());
            tokio::task::spawn_blocking(move || Draft::new(messages, &directory, &core.ids)).await
        } else {
            Ok(Draft::new(messages, &directory, &core.ids))
        };
        let Ok(draft) = draft else {
            return refuse(waiting, again, &unavailable("the message could not be packed"));
        };
        let mut offer = Offer { core: &core, draft: &draft, again: &again, only: None };
        let mut doubtful = false;
        loop {
            match line.write(&offer).await {
                Ok(outcome) => {
                    let found = outcome.answer(&core, &draft, &mut waiting);
                    for (first, _, reply) in again {
                        let acceptance = found.get(&first).map(|id| Acceptance { notification_id: *id, repeated: true });
                        let _ = reply.send(acceptance.ok_or_else(|| unavailable("the message that it repeats was not stored")));
                    }
                    return;
                }
                Err(Failed::Surely(error)) => {
                    let error = StoreError::from(error);
                    if error.is_temporary() && doubtful {
                        turn_away(queue);
                        tokio::time::sleep(DOUBT_PAUSE).await;
                        continue;
                    }
                    if error.is_temporary() || draft.messages().len() == 1 {
                        return refuse(waiting, again, &error);
                    }
                    tracing::error!(%error, "messages cannot be stored together; trying them one by one");
                    break;
                }
                Err(Failed::Perhaps(error)) => {
                    tracing::warn!(%error, "it is not known whether messages were stored; asking the database");
                    doubtful = true;
                    turn_away(queue);
                    tokio::time::sleep(DOUBT_PAUSE).await;
                }
            }
        }
        for number in 0..draft.messages().len() {
            offer.only = Some(number);
            let mut doubtful = false;
            loop {
                match line.write(&offer).await {
                    Ok(outcome) => {
                        drop(outcome.answer(&core, &draft, &mut waiting));
                        break;
                    }
                    Err(Failed::Perhaps(error)) => {
                        tracing::warn!(%error, "it is not known whether a message was stored; asking the database");
                        doubtful = true;
                    }
                    Err(Failed::Surely(error)) => {
                        let error = StoreError::from(error);
                        if !(doubtful && error.is_temporary()) {
                            if let Some(reply) = waiting.remove(&draft.messages()[number].id) {
                                let _ = reply.send(Err(error));
                            }
                            break;
                        }
                    }
                }
                turn_away(queue);
                tokio::time::sleep(DOUBT_PAUSE).await;
            }
        }
        refuse(waiting, again, &unavailable("the message was not stored"));
    }
}

/// Those who come while nobody knows what the database holds are told to come again, rather than to wait.
fn turn_away(queue: &mut mpsc::Receiver<Op>) {
    while let Ok(op) = queue.try_recv() {
        match op {
            Op::Message(_, reply) => drop(reply.send(Err(unavailable("the database cannot be reached")))),
            Op::Settle(reply) => drop(reply.send(Err(unavailable("the database cannot be reached")))),
        }
    }
}

fn refuse(waiting: Waiting, again: Vec<(NotificationId, Prepared, Reply<Acceptance>)>, error: &StoreError) {
    let text = error.to_string();
    for reply in waiting.into_values().chain(again.into_iter().map(|(.., reply)| reply)) {
        // A gateway may come again with the same, whatever it is that is wrong here.
        let _ = reply.send(Err(StoreError::Unavailable(text.clone())));
    }
}

/// A draft on its way into the tables.
struct Offer<'a> {
    core: &'a Arc<Core>,
    draft: &'a Draft,
    /// Messages that came twice in the batch itself.
    again: &'a [(NotificationId, Prepared, Reply<Acceptance>)],
    /// Only this one.
    only: Option<usize>,
}

/// Where the messages of an offer are found.
struct Outcome {
    /// By number in the draft; none for those that were not offered.
    found: Vec<Option<NotificationId>>,
    written: Written,
}

impl Work for Offer<'_> {
    type Output = Outcome;

    async fn run(&self, conn: &mut PgConnection, place: Place, page: i64) -> Result<Option<Outcome>, sqlx::Error> {
        let messages = self.draft.messages();
        let offered = |number: usize| self.only.is_none_or(|only| only == number);
        self.core.lease(conn, place, &self.draft.exclusive_urls()).await?;
        let mut races = 0;
        let (found, written) = loop {
            let mut found = look_up(conn, messages).await?;
            let fresh: Vec<bool> = found.iter().enumerate().map(|(number, id)| id.is_none() && offered(number)).collect();
            if !fresh.contains(&true) {
                break (found, Written::default());
            }
            match self.draft.write(conn, place, page, &fresh).await {
                Ok(Some(written)) => {
                    for (message, found) in messages.iter().zip(&mut found) {
                        if written.fresh.contains_key(&message.id) {
                            *found = Some(message.id);
                        }
                    }
                    break (found, written);
                }
                Ok(None) => return Ok(None),
                // Another node stored the identical message in the same moment. Nothing of the batch was written, or what it
                // gave back would count twice for its order.
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() && races < RACES => races += 1,
                Err(error) => return Err(error),
            }
        };
        let came_again = messages.iter().zip(&found).enumerate().filter_map(|(number, (message, found))| {
            let id = (*found).filter(|id| *id != message.id && offered(number))?;
            Some((id, message.new.merchant_id, message.new.received_at))
        });
        let in_batch = self.again.iter().filter_map(|(first, message, _)| {
            let number = messages.iter().position(|known| known.id == *first)?;
            Some((found[number].filter(|_| offered(number))?, message.new.merchant_id, message.new.received_at))
        });
        let repeats: Vec<_> = came_again.chain(in_batch).collect();
        if !repeats.is_empty()
            && let Err(error) = count_repeats(conn, page, &repeats).await
        {
            tracing::warn!(%error, count = repeats.len(), "repeated messages could not be counted");
        }
        Ok(Some(Outcome { found, written }))
    }
}

impl Outcome {
    /// Announces what was stored and answers those who wait; gives where each message is found.
    fn answer(self, core: &Core, draft: &Draft, waiting: &mut Waiting) -> HashMap<NotificationId, NotificationId> {
        let Self { found, written } = self;
        let places: HashMap<NotificationId, NotificationId> =
            draft.messages().iter().zip(found).filter_map(|(message, found)| Some((message.id, found?))).collect();
        // Stored by a try of which nobody heard the end: the table knows which deliveries there are.
        let resumed: Vec<NotificationId> =
            places.iter().filter(|(id, found)| id == found && !written.fresh.contains_key(id)).map(|(id, _)| *id).collect();
        core.feed.announce_due(draft.urls_of(&resumed).map(|url| (url, Timestamp::default())).collect());
        core.tell_accepted(draft, written);
        for (id, found) in &places {
            if let Some(reply) = waiting.remove(id) {
                let _ = reply.send(Ok(Acceptance { notification_id: *found, repeated: id != found }));
            }
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_uses_one_line_and_a_large_one_all() {
        let lines: Vec<usize> = [1, 2, 3, 4, 5, 6, 64].map(usual_lines).to_vec();
        assert_eq!(lines, [1, 1, 1, 2, 2, 3, 3]);
    }
}
