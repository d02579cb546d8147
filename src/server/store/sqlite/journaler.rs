//! The thread that keeps the promise: takes what the intake has looked up and what the dispatcher has tried, commits it
//! to the journal, and answers everybody in the commit. A thread of its own, because everybody waits for it: it must
//! not wait for its turn among the tasks that read requests.
//!
//! It never waits for a batch to fill: while one commit is on its way to the disk the next gathers by itself. Changes of
//! settings and the like pass through it on their way to the writer, so that they see what was accepted before them.

use super::{
    intake::{Checked, Kind, SharedPending},
    journal::{Draft, Drafted, Journal},
    writer::LedgerOp,
};
use crate::domain::{
    attempt::Origin,
    id::{DeliveryId, NotificationId},
};
use crate::server::store::{Acceptance, AttemptRecord, Commit, Directory, Job, StoreError, feed::Feed, ids::IdSource};
use futures::executor::block_on;
use std::{collections::HashSet, sync::Arc};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Operations that may wait before callers wait themselves.
pub(super) const QUEUE: usize = 64;
/// Most operations journalled together.
const MAX_BATCH: usize = 64;
/// Events that the ledger may be behind; then everybody waits for it. A few dozen megabytes of memory.
const BACKLOG: usize = 20_000;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// One thing to do.
pub(super) enum Op {
    Intake(Vec<Checked>),
    Record(Vec<AttemptRecord>, Reply<()>),
    /// For the writer, after everything before it.
    Ledger(LedgerOp),
    /// Ends both tasks after everything queued before.
    Close(oneshot::Sender<()>),
}

/// The thread's belongings.
pub(super) struct Journaler {
    pub journal: Journal,
    pub last_id: i64,
    pub ids: Arc<IdSource>,
    pub feed: Feed,
    pub directory: Arc<watch::Sender<Arc<Directory>>>,
    pub pending: SharedPending,
    pub node: i64,
    pub ledger: mpsc::UnboundedSender<LedgerOp>,
    /// One permit for each event that the ledger may be behind.
    pub backlog: Arc<Semaphore>,
    /// Messages whose commit failed while repeats of them were on their way already.
    pub failed: HashSet<NotificationId>,
}

/// What is journalled together.
#[derive(Default)]
struct Batch {
    messages: Vec<Checked>,
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
                    Op::Intake(messages) => batch.messages.extend(messages),
                    Op::Record(attempts, reply) => batch.records.push((attempts, reply)),
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
            }
            self.commit(batch);
            if queue.is_empty() {
                self.failed.clear();
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
        let Batch { messages, records } = batch;
        let (messages, orphans): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| !matches!(message.kind, Kind::Repeat(id) if self.failed.contains(&id)));
        for orphan in orphans {
            let error = StoreError::Unavailable("the message that this one repeats could not be stored".to_owned());
            let _ = orphan.reply.send(Err(error));
        }
        if messages.is_empty() && records.is_empty() {
            return;
        }
        match self.journal(&messages, &records) {
            Ok((entries, jobs)) => {
                self.feed.announce(Commit { jobs, changes: Vec::new() });
                for (entry, _) in entries {
                    let _ = self.ledger.send(LedgerOp::Entry(entry));
                }
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
            }
            Err(error) => self.fail(messages, records, &error),
        }
    }

    fn journal(
        &mut self,
        messages: &[Checked],
        records: &[(Vec<AttemptRecord>, Reply<()>)],
    ) -> Result<(Vec<Drafted>, Vec<Job>), StoreError> {
        let (draft, jobs) = self.draft(messages, records)?;
        let entries = draft.finish();
        let events: usize = entries.iter().map(|(entry, _)| entry.events.len()).sum();
        let places = u32::try_from(events.min(BACKLOG)).unwrap_or(u32::MAX);
        if let Ok(permits) = block_on(self.backlog.acquire_many(places)) {
            // The writer gives them back when the events are in the ledger.
            permits.forget();
        }
        if let Err(error) = self.journal.commit(&entries) {
            self.backlog.add_permits(places as usize);
            return Err(error);
        }
        self.last_id = entries.last().map_or(self.last_id, |(entry, _)| entry.id);
        Ok((entries, jobs))
    }

    /// The commit for a batch, and the deliveries that it makes.
    fn draft(
        &self,
        messages: &[Checked],
        records: &[(Vec<AttemptRecord>, Reply<()>)],
    ) -> Result<(Draft<'_>, Vec<Job>), StoreError> {
        let mut draft = Draft::new(self.last_id + 1, &self.ids);
        let mut jobs = Vec::new();
        let directory = self.directory.borrow().clone();
        for message in messages {
            match message.kind {
                Kind::Repeat(id) => draft.repeated(id, &message.prepared)?,
                Kind::Fresh(order_id) => {
                    let new = &message.prepared.new;
                    let urls = directory.urls_of(new.merchant_id).iter();
                    let deliveries: Vec<_> = urls.map(|url| (DeliveryId(self.ids.next()), url.id, url.held)).collect();
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
                    draft.accepted(&message.prepared, order_id, deliveries, self.node)?;
                }
            }
        }
        for record in records.iter().flat_map(|(attempts, _)| attempts) {
            draft.attempted(record)?;
        }
        Ok((draft, jobs))
    }

    fn fail(&mut self, messages: Vec<Checked>, records: Vec<(Vec<AttemptRecord>, Reply<()>)>, error: &StoreError) {
        self.pending.failed(&messages);
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
}
