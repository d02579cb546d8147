//! What attempts came to. One line writes them in the order in which they are handed over, in batches, and offers a batch
//! until it is known to be written: who hands results over never hears of a failure that might not have been one.

use super::{
    Core, PgStore,
    line::{Failed, Line},
    outcomes::{Batch, Question, SLOW_TRIES},
    segments::Segments,
};
use crate::domain::attempt::VerdictDetail;
use crate::server::store::{AttemptRecord, Change, Commit, Next, StoreError, pack::pack};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The number of the line, after those of the intake.
pub(super) const LINE: i64 = super::intake::LINES;
/// Calls that may wait before callers wait themselves.
const QUEUE: usize = 64;
/// Most calls written together.
const MAX_BATCH: usize = 64;
/// Most records, and most bytes of them, in one statement: one that takes longer than the server allows would be offered for ever.
const MAX_RECORDS: usize = 1_000;
const MAX_BYTES: usize = 4 << 20;
/// What the server says of a statement that it stopped because it took too long.
const TOO_SLOW: &str = "57014";
/// Pause while the database cannot be written.
const PAUSE: Duration = Duration::from_millis(300);

type Reply = oneshot::Sender<Result<(), StoreError>>;
pub(super) type Call = (Vec<AttemptRecord>, Reply);

/// Starts the line.
pub(super) fn start(line: Line) -> (mpsc::Sender<Call>, tokio::task::JoinHandle<()>) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let alarm = line.core.feed.alarm.clone();
    (sender, alarm.spawn("the line of results", run(line, queue)))
}

impl PgStore {
    /// Stores finished attempts; returns after the commit that holds them, however long that takes.
    pub(in crate::server::store) async fn record(&self, attempts: Vec<AttemptRecord>) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let Some(results) = self.results() else { return Err(StoreError::NotServing) };
        let (reply, answer) = oneshot::channel();
        results.send((attempts, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

/// Runs until every sender is gone.
async fn run(mut line: Line, mut queue: mpsc::Receiver<Call>) {
    let mut calls = Vec::with_capacity(MAX_BATCH);
    while queue.recv_many(&mut calls, MAX_BATCH).await > 0 {
        let mut records = Vec::new();
        let mut replies = Vec::new();
        for (some, reply) in calls.drain(..) {
            records.extend(some);
            replies.push(reply);
        }
        for records in cut(records) {
            keep(&mut line, records).await;
        }
        for reply in replies {
            let _ = reply.send(Ok(()));
        }
    }
}

/// Pieces that are written together, in their order.
fn cut(records: Vec<AttemptRecord>) -> Vec<Vec<AttemptRecord>> {
    let mut pieces: Vec<Vec<AttemptRecord>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let length = record.bytes();
        bytes += length;
        match pieces.last_mut() {
            Some(piece) if piece.len() < MAX_RECORDS && bytes <= MAX_BYTES => piece.push(record),
            _ => {
                bytes = length;
                pieces.push(vec![record]);
            }
        }
    }
    pieces
}

/// Writes results, whatever the database says of single ones: one that it refuses must not stop all others. What is refused
/// among others is written alone, what is refused alone without its texts, and then it is set aside.
async fn keep(line: &mut Line, records: Vec<AttemptRecord>) {
    if write(line, &records).await.is_ok() {
        return;
    }
    tracing::error!(count = records.len(), "results of attempts cannot be written together; trying them one by one");
    for record in records {
        let delivery_id = record.delivery_id;
        if write(line, std::slice::from_ref(&record)).await.is_ok() {
            continue;
        }
        if write(line, &[without_texts(record.clone())]).await.is_ok() {
            tracing::error!(delivery.id = %delivery_id, "the texts of an attempt are refused by the database and were left out");
            continue;
        }
        while let Err(error) = set_aside(&line.core, &record).await {
            tracing::error!(%error, delivery.id = %delivery_id, "the result of an attempt cannot be set aside; trying again");
            tokio::time::sleep(PAUSE).await;
        }
        tracing::error!(delivery.id = %delivery_id, "the result of an attempt is refused by the database and was set aside");
    }
}

/// What an attempt came to, without anything that others wrote.
fn without_texts(record: AttemptRecord) -> AttemptRecord {
    AttemptRecord {
        address: None,
        detail: VerdictDetail::default(),
        request_head: String::new(),
        request_body: Bytes::new(),
        answer_head: String::new(),
        answer_body: Bytes::new(),
        ..record
    }
}

/// Keeps what is needed to put a delivery right by hand; `quittance doctor` tells of it.
async fn set_aside(core: &Core, record: &AttemptRecord) -> Result<(), StoreError> {
    let (next, due_at) = match record.next {
        Next::Confirmed => ("confirmed", None),
        Next::Retry(due_at) => ("retry", Some(due_at.0)),
        Next::Expired => ("expired", None),
        Next::Closed => ("closed", None),
    };
    let event = serde_json::json!({
        "delivery": record.delivery_id.0, "started_at": record.started_at.0, "finished_at": record.finished_at.0,
        "status": record.status, "cause": record.cause.map(|cause| cause.code()), "next": next, "due_at": due_at,
    });
    sqlx::query("INSERT INTO journal_stuck (id, events) VALUES ($1, $2)")
        .bind(core.ids.next())
        .bind(pack(&[event.to_string().as_bytes()]))
        .execute(&core.pool)
        .await?;
    Ok(())
}

/// Writes a batch as often as it takes. An error means that the database will never take it.
async fn write(line: &mut Line, records: &[AttemptRecord]) -> Result<(), sqlx::Error> {
    let core = line.core.clone();
    let mut segments = Segments::default();
    let places = records
        .iter()
        .map(|record| {
            let head = |text: &str| Bytes::from(text.to_owned());
            let parts =
                [head(&record.request_head), record.request_body.clone(), head(&record.answer_head), record.answer_body.clone()];
            segments.place(&core.ids, parts)
        })
        .collect();
    let Ok(segments) = tokio::task::spawn_blocking(move || segments.finish()).await else {
        return Err(sqlx::Error::Protocol("the results could not be packed".to_owned()));
    };
    let mut batch = Batch { number: core.ids.next(), records, places, segments, doubtful: Vec::new() };
    let mut slow = 0;
    loop {
        if slow >= SLOW_TRIES && !batch.doubtful.is_empty() {
            match line.write(&Question(&batch)).await {
                Ok(true) => break,
                Ok(false) => batch.doubtful.clear(),
                Err(Failed::Surely(error) | Failed::Perhaps(error)) => {
                    tracing::warn!(%error, "the database does not say whether results were stored; asking again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            }
            if batch.is_better_apart(slow) {
                return Err(sqlx::Error::Protocol("they take too long together".to_owned()));
            }
        }
        let before = *core.places().borrow();
        match line.write(&batch).await {
            Ok(()) => break,
            Err(Failed::Surely(error)) => {
                slow += u32::from(is_slow(&error));
                if batch.is_better_apart(slow) {
                    return Err(error);
                }
                let error = StoreError::from(error);
                if !error.is_temporary() {
                    tracing::error!(%error, "results of attempts were refused by the database");
                    return Err(sqlx::Error::Protocol(error.to_string()));
                }
            }
            Err(Failed::Perhaps(error)) => {
                tracing::warn!(%error, "it is not known whether results were stored; asking the database");
                slow += u32::from(is_long(&error));
                let after = *core.places().borrow();
                batch.doubtful.extend([line.page(before), line.page(after)]);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    let changes = batch.records.iter().map(|record| Change::Order(record.merchant_id, record.order_id)).collect();
    core.announce(Commit { changes, ..Commit::default() });
    Ok(())
}

/// Whether the server stopped it because it took too long.
fn is_slow(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(TOO_SLOW))
}

/// Whether our patience ended before that of the server: its statements took too long together.
fn is_long(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::samples;

    #[test]
    fn results_are_written_in_pieces_of_bounded_size_and_in_their_order() {
        for (all, answer, pieces) in [(2_500, 0, 3), (2_500, 1_000, 3), (2_500, 64 << 10, 40), (3, MAX_BYTES + 1, 3)] {
            let answer_body = Bytes::from(vec![b'x'; answer]);
            let record = |number| AttemptRecord { answer_body: answer_body.clone(), ..samples::attempt(number) };
            let records = (0..all).map(record).collect();
            let cut = cut(records);
            assert_eq!(cut.len(), pieces, "{answer}");
            assert!(cut.iter().all(|piece| piece.len() <= MAX_RECORDS));
            let order: Vec<i64> = cut.iter().flatten().map(|record| record.delivery_id.0).collect();
            assert_eq!(order, (0..all).collect::<Vec<_>>());
        }
    }
}
