//! The thread that keeps the promise: takes what has arrived and what the dispatcher has tried, has messages looked up,
//! commits all of it to the journal, and has everybody in the commit answered. A thread of its own, because everybody
//! waits for it: it must not wait for its turn among the tasks that read requests. One thread and not one for each step,
//! because handing a few messages on at a time costs more than the steps do.
//!
//! A message that comes alone never waits for others: while one commit is on its way to the disk the next gathers by
//! itself, and only between commits of many there is a pause. Changes of
//! settings and the like pass through it on their way to the writer, so that they see what was accepted before them.

use super::{
    draft::Draft,
    intake::{Checked, Intake, Keys, Kind, Waiting},
    journal::{Drafted, Journal},
    writer::LedgerOp,
};
use crate::domain::{attempt::Origin, id::DeliveryId};
use crate::server::store::{Acceptance, AttemptRecord, Commit, Directory, Job, StoreError, feed::Feed, ids::IdSource};
use futures::executor::block_on;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Operations that may wait before callers wait themselves.
pub(super) const QUEUE: usize = 4_096;
/// Most operations journalled together.
const MAX_BATCH: usize = 512;
/// Most bytes of them, roughly.
const MAX_BATCH_BYTES: usize = 8 << 20;
/// What the ledger may be behind (see `Entry::weight`); then everybody waits for it. A few dozen megabytes of memory.
const BACKLOG: usize = 20_000;

/// After a commit of at least this many messages the next may gather for a moment: at such a rate a commit for every few
/// would cost more than what is in it.
const GATHER_FROM: usize = 12;
const GATHER: Duration = Duration::from_millis(1);

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to do.
pub(super) enum Op {
    Accept(Waiting),
    Record(Vec<AttemptRecord>, Reply<()>),
    /// For the writer, after everything before it.
    Ledger(LedgerOp),
    /// Ends both tasks after everything queued before.
    Close(oneshot::Sender<()>),
}

/// The thread's belongings.
pub(super) struct Journaler {
    pub journal: Journal,
    pub intake: Intake,
    pub last_id: i64,
    pub ids: Arc<IdSource>,
    pub feed: Feed,
    pub directory: Arc<watch::Sender<Arc<Directory>>>,
    pub node: i64,
    pub ledger: mpsc::UnboundedSender<LedgerOp>,
    /// To the task that answers.
    pub answers: mpsc::UnboundedSender<Answers>,
    /// A permit for each unit of weight that the ledger may be behind.
    pub backlog: Arc<Semaphore>,
    /// What segments are put together in.
    pub plain: Vec<u8>,
}

/// Who waits for a commit, and what he is told when it is on disk.
#[derive(Default)]
pub(super) struct Answers {
    /// With what is on its way because of a message.
    accepted: Vec<(Acceptance, Option<Keys>, Reply<Acceptance>)>,
    recorded: Vec<Reply<()>>,
}

/// Tells everybody in a commit. A task and not the journal's thread: waking hundreds of tasks from outside of their
/// runtime costs more than all else that the thread does.
pub(super) async fn answer(mut commits: mpsc::UnboundedReceiver<Answers>) {
    while let Some(Answers { accepted, recorded }) = commits.recv().await {
        for (acceptance, _, reply) in accepted {
            // Whoever waited may have gone; the message is stored all the same.
            let _ = reply.send(Ok(acceptance));
        }
        for reply in recorded {
            let _ = reply.send(Ok(()));
        }
    }
}

/// What is journalled together.
#[derive(Default)]
struct Batch {
    messages: Vec<Waiting>,
    bytes: usize,
    records: Vec<(Vec<AttemptRecord>, Reply<()>)>,
}

impl Journaler {
    /// A measure of how far the ledger may be behind.
    pub fn backlog() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(BACKLOG))
    }

    /// Runs until it is told to end or every sender is gone.
    pub fn run(mut self, mut queue: mpsc::Receiver<Op>) {
        let mut ops = Vec::with_capacity(MAX_BATCH);
        let mut closing = Vec::new();
        while queue.blocking_recv_many(&mut ops, MAX_BATCH) > 0 {
            let mut batch = Batch::default();
            for op in ops.drain(..) {
                match op {
                    Op::Accept(waiting) => {
                        batch.bytes += waiting.0.new.body.len() + waiting.0.new.outgoing.as_ref().map_or(0, |form| form.len());
                        batch.messages.push(waiting);
                    }
                    Op::Record(attempts, reply) => {
                        batch.bytes += attempts.iter().map(|one| one.request_body.len() + one.answer_body.len()).sum::<usize>();
                        batch.records.push((attempts, reply));
                    }
                    Op::Ledger(op) => {
                        self.commit(std::mem::take(&mut batch));
                        // Where the writer has ended, the caller's reply is dropped and tells him so.
                        let _ = self.ledger.send(op);
                    }
                    Op::Close(reply) => {
                        queue.close();
                        closing.push(reply);
                    }
                }
                if batch.bytes >= MAX_BATCH_BYTES {
                    self.commit(std::mem::take(&mut batch));
                }
            }
            let many = batch.messages.len() >= GATHER_FROM;
            self.commit(batch);
            if many {
                std::thread::sleep(GATHER);
            }
        }
        let (reply, ended) = oneshot::channel();
        if self.ledger.send(LedgerOp::Close(reply)).is_ok() {
            let _ = ended.blocking_recv();
        }
        if let Err(error) = self.journal.close() {
            tracing::warn!(%error, "the journal was not closed cleanly; it is read at the next start");
        }
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// Journals a batch and answers everybody in it.
    fn commit(&mut self, batch: Batch) {
        let Batch { messages, records, .. } = batch;
        if messages.is_empty() && records.is_empty() {
            return;
        }
        let messages = if messages.is_empty() { Vec::new() } else { self.intake.check(messages) };
        let mut answers = Answers::default();
        match self.journal(messages, records, &mut answers) {
            Ok((entries, jobs)) => {
                self.feed.announce(Commit { jobs, changes: Vec::new(), ..Commit::default() });
                for (entry, _) in entries {
                    let _ = self.ledger.send(LedgerOp::Entry(entry));
                }
                // Where the task that answers has ended, the replies are dropped and tell their callers so.
                let _ = self.answers.send(answers);
            }
            Err(error) => self.fail(answers, &error),
        }
    }

    fn journal(
        &mut self,
        messages: Vec<Checked>,
        records: Vec<(Vec<AttemptRecord>, Reply<()>)>,
        answers: &mut Answers,
    ) -> Result<(Vec<Drafted>, Vec<Job>), StoreError> {
        let (draft, jobs) = self.draft(messages, records, answers)?;
        let entries = draft.finish();
        let weight: usize = entries.iter().map(|(entry, _)| entry.weight()).sum();
        let places = u32::try_from(weight.min(BACKLOG)).unwrap_or(u32::MAX);
        if let Ok(permits) = block_on(self.backlog.acquire_many(places)) {
            // The writer gives them back when the events are in the ledger.
            permits.forget();
        }
        let begun = Instant::now();
        if let Err(error) = self.journal.commit(&entries) {
            self.backlog.add_permits(places as usize);
            return Err(error);
        }
        self.feed.committed(begun.elapsed());
        self.last_id = entries.last().map_or(self.last_id, |(entry, _)| entry.id);
        Ok((entries, jobs))
    }

    /// The commit for a batch, and the deliveries that it makes.
    fn draft(
        &mut self,
        messages: Vec<Checked>,
        records: Vec<(Vec<AttemptRecord>, Reply<()>)>,
        answers: &mut Answers,
    ) -> Result<(Draft<'_>, Vec<Job>), StoreError> {
        let events = messages.len() + records.iter().map(|(attempts, _)| attempts.len()).sum::<usize>();
        let mut draft = Draft::new(self.last_id + 1, &self.ids, events, &mut self.plain);
        let mut jobs = Vec::new();
        let mut made = Ok(());
        let directory = self.directory.borrow().clone();
        for message in messages {
            let keys = message.keys();
            let Checked { prepared, kind, reply } = message;
            let (acceptance, result) = match kind {
                Kind::Repeat(id) => {
                    let new = &prepared.new;
                    (Acceptance { notification_id: id, repeated: true }, draft.repeated(id, new.merchant_id, new.received_at))
                }
                Kind::Fresh { order_id, begins_order } => {
                    let new = &prepared.new;
                    let urls = directory.takers(new.merchant_id, &new.facts).filter(|_| !new.quiet);
                    let deliveries: Vec<_> = urls.map(|url| (DeliveryId(self.ids.next()), url.id, url.held)).collect();
                    jobs.extend(deliveries.iter().filter(|(_, _, held)| !held).map(|(delivery_id, url_id, _)| Job {
                        delivery_id: *delivery_id,
                        notification_id: prepared.id,
                        order_id,
                        merchant_id: new.merchant_id,
                        url_id: *url_id,
                        origin: Origin::Arrival,
                        attempts: 0,
                        window_from: None,
                        due_at: new.received_at,
                        body: Some(new.leaves().clone()),
                    }));
                    let acceptance = Acceptance { notification_id: prepared.id, repeated: false };
                    (acceptance, draft.accepted(prepared, order_id, begins_order, deliveries, self.node))
                }
            };
            // Everybody is answered, and what is on its way is forgotten, even where one cannot be written down.
            answers.accepted.push((acceptance, keys, reply));
            made = made.and(result);
        }
        for (attempts, reply) in records {
            for record in &attempts {
                made = made.and_then(|()| draft.attempted(record));
            }
            answers.recorded.push(reply);
        }
        made.map(|()| (draft, jobs))
    }

    fn fail(&self, answers: Answers, error: &StoreError) {
        let Answers { accepted, recorded } = answers;
        let text = error.to_string();
        let mut on_their_way = Vec::new();
        for (_, keys, reply) in accepted {
            if let Some(keys) = keys {
                on_their_way.push(keys);
            }
            let _ = reply.send(Err(StoreError::Unavailable(text.clone())));
        }
        self.intake.pending.failed(on_their_way);
        for reply in recorded {
            let _ = reply.send(Err(StoreError::Unavailable(text.clone())));
        }
    }
}
