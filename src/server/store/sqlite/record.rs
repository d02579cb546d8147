//! Recording attempts: the attempt with its bytes, the delivery's new state, the books of its URL, in batches.

use super::accept::json;
use crate::domain::{
    DeliveryState, Timestamp,
    id::{DeliveryId, MerchantId, UrlId},
};
use crate::server::store::{AttemptRecord, Change, Commit, Next, StoreError, pack::pack};
use sqlx::{Row as _, SqliteConnection};
use std::collections::{BTreeMap, HashMap};

/// An attempt with everything computed that can be computed outside the writer.
pub(in crate::server::store) struct PreparedAttempt {
    pub record: AttemptRecord,
    pub detail: String,
    pub timings: String,
    /// Request head, request body, answer head, answer body, packed.
    pub exchange: Vec<u8>,
}

impl PreparedAttempt {
    pub fn new(record: AttemptRecord) -> Result<Self, StoreError> {
        let parts = [record.request_head.as_bytes(), &record.request_body, record.answer_head.as_bytes(), &record.answer_body];
        Ok(Self { detail: json(&record.detail)?, timings: json(&record.timings)?, exchange: pack(&parts), record })
    }
}

/// What an attempt makes of a delivery. A proof of receipt counts even where the URL was put on hold meanwhile; what
/// a person cancelled stays cancelled.
fn settle(current: DeliveryState, next: Next) -> DeliveryState {
    match (current, next) {
        (state, _) if state.is_final() => state,
        (_, Next::Confirmed) => DeliveryState::Confirmed,
        (DeliveryState::Held, _) => DeliveryState::Held,
        (_, Next::Retry(_)) => DeliveryState::Retrying,
        (_, Next::Expired) => DeliveryState::Expired,
        (_, Next::Closed) => DeliveryState::Cancelled,
    }
}

type AttemptRow<'a> = (i64, u32, i64, Option<&'a str>, Option<u16>, Option<&'static str>, &'a str, &'a str, usize, usize);
type DeliveryRow = (i64, i64, u32, i64, Option<i64>, i64, Option<&'static str>, Option<i64>);

/// How a batch changes the books of one URL.
#[derive(Default)]
struct BookChange {
    /// By state's code.
    moved: [i64; 7],
    /// A confirmation was among them, so an earlier trouble is over.
    confirmed_at: Option<Timestamp>,
    /// First failure after the last confirmation of the batch.
    failing_since: Option<Timestamp>,
    failing_cause: Option<&'static str>,
    attempted_at: Timestamp,
}

#[derive(Default)]
struct HourChange {
    confirmed: i64,
    failed: i64,
    expired: i64,
}

/// Writes a batch within the running transaction.
pub(super) async fn write(
    conn: &mut SqliteConnection,
    attempts: &[&PreparedAttempt],
    commit: &mut Commit,
) -> Result<(), StoreError> {
    let mut current = read_current(conn, attempts).await?;
    let mut rows: Vec<AttemptRow<'_>> = Vec::with_capacity(attempts.len());
    let mut bytes = Vec::new();
    let mut deliveries: BTreeMap<DeliveryId, DeliveryRow> = BTreeMap::new();
    let mut books: BTreeMap<UrlId, BookChange> = BTreeMap::new();
    let mut tally: BTreeMap<(MerchantId, i64), HourChange> = BTreeMap::new();
    for attempt in attempts {
        let record = &attempt.record;
        let Some((state, number)) = current.get_mut(&record.delivery_id) else {
            tracing::error!(delivery.id = %record.delivery_id, "an attempt came back for a delivery that is not there");
            continue;
        };
        *number += 1;
        let cause = record.cause.map(|cause| cause.code());
        rows.push((
            record.delivery_id.0,
            *number,
            record.started_at.0,
            record.address.as_deref(),
            record.status,
            cause,
            &attempt.detail,
            &attempt.timings,
            bytes.len() + 1,
            attempt.exchange.len(),
        ));
        bytes.extend_from_slice(&attempt.exchange);

        let before = *state;
        *state = settle(before, record.next);
        let due_at = match (*state, record.next) {
            (DeliveryState::Retrying, Next::Retry(due_at)) => Some(due_at.0),
            _ => None,
        };
        let finished_at = (state.is_final() && !before.is_final()).then_some(record.finished_at.0);
        deliveries.insert(
            record.delivery_id,
            (record.delivery_id.0, state.code(), *number, record.window_from.0, due_at, record.finished_at.0, cause, finished_at),
        );

        let book = books.entry(record.url_id).or_default();
        book.moved[before.code() as usize] -= 1;
        book.moved[state.code() as usize] += 1;
        book.attempted_at = book.attempted_at.max(record.finished_at);
        let hour = tally.entry((record.merchant_id, record.finished_at.hour())).or_default();
        if cause.is_none() {
            book.confirmed_at = Some(record.finished_at);
            (book.failing_since, book.failing_cause) = (None, None);
        } else {
            book.failing_since = book.failing_since.or(Some(record.started_at));
            book.failing_cause = cause;
            hour.failed += 1;
        }
        hour.confirmed += i64::from(*state == DeliveryState::Confirmed && before != DeliveryState::Confirmed);
        hour.expired += i64::from(*state == DeliveryState::Expired && before != DeliveryState::Expired);
        commit.changes.push(Change::Order(record.merchant_id, record.order_id));
    }
    write_rows(conn, &rows, bytes, deliveries.into_values().collect(), &books, &tally).await
}

/// State and number of attempts of each delivery of the batch, as they are in this transaction.
async fn read_current(
    conn: &mut SqliteConnection,
    attempts: &[&PreparedAttempt],
) -> Result<HashMap<DeliveryId, (DeliveryState, u32)>, StoreError> {
    let ids: Vec<i64> = attempts.iter().map(|attempt| attempt.record.delivery_id.0).collect();
    let rows = sqlx::query("SELECT id, state, attempts FROM delivery WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json(&ids)?)
        .fetch_all(conn)
        .await?;
    rows.iter()
        .map(|row| {
            let state = super::rows::state(row.try_get(1)?)?;
            Ok((DeliveryId(row.try_get(0)?), (state, row.try_get(2)?)))
        })
        .collect()
}

async fn write_rows(
    conn: &mut SqliteConnection,
    rows: &[AttemptRow<'_>],
    bytes: Vec<u8>,
    deliveries: Vec<DeliveryRow>,
    books: &BTreeMap<UrlId, BookChange>,
    tally: &BTreeMap<(MerchantId, i64), HourChange>,
) -> Result<(), StoreError> {
    let moved = |change: &BookChange, state: DeliveryState| change.moved[state.code() as usize];
    let books: Vec<_> = books
        .iter()
        .map(|(url, change)| {
            (
                url.0,
                moved(change, DeliveryState::Queued),
                moved(change, DeliveryState::Retrying),
                moved(change, DeliveryState::Held),
                moved(change, DeliveryState::Confirmed),
                moved(change, DeliveryState::Expired),
                moved(change, DeliveryState::Cancelled),
                change.confirmed_at.map(|at| at.0),
                change.failing_since.map(|at| at.0),
                change.failing_cause,
                change.attempted_at.0,
            )
        })
        .collect();
    let tally: Vec<_> = tally
        .iter()
        .map(|((merchant, hour), change)| (merchant.0, hour, change.confirmed, change.failed, change.expired))
        .collect();
    sqlx::query(
        "INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, exchange)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
             substr(?, value ->> 8, value ->> 9)
         FROM json_each(?);
         UPDATE delivery SET state = new.value ->> 1, attempts = new.value ->> 2, window_from = new.value ->> 3,
             due_at = new.value ->> 4, last_attempt_at = new.value ->> 5, last_cause = new.value ->> 6,
             finished_at = coalesce(finished_at, new.value ->> 7)
         FROM json_each(?) AS new WHERE delivery.id = new.value ->> 0;
         INSERT INTO url_books (url_id, queued, retrying, held, confirmed, expired, cancelled,
             last_confirmed_at, failing_since, failing_cause, last_attempt_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
             value ->> 7, value ->> 8, value ->> 9, value ->> 10
         FROM json_each(?) WHERE true
         ON CONFLICT (url_id) DO UPDATE SET queued = queued + excluded.queued, retrying = retrying + excluded.retrying,
             held = held + excluded.held, confirmed = confirmed + excluded.confirmed,
             expired = expired + excluded.expired, cancelled = cancelled + excluded.cancelled,
             failing_since = CASE WHEN excluded.last_confirmed_at IS NULL
                 THEN coalesce(failing_since, excluded.failing_since) ELSE excluded.failing_since END,
             failing_cause = CASE WHEN excluded.last_confirmed_at IS NULL
                 THEN coalesce(excluded.failing_cause, failing_cause) ELSE excluded.failing_cause END,
             last_confirmed_at = coalesce(excluded.last_confirmed_at, last_confirmed_at),
             last_attempt_at = excluded.last_attempt_at;
         INSERT INTO tally (merchant_id, hour, confirmed, failed, expired)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true
         ON CONFLICT (merchant_id, hour) DO UPDATE SET confirmed = confirmed + excluded.confirmed,
             failed = failed + excluded.failed, expired = expired + excluded.expired",
    )
    .bind(bytes)
    .bind(json(&rows)?)
    .bind(json(&deliveries)?)
    .bind(json(&books)?)
    .bind(json(&tally)?)
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_of_receipt_counts_and_a_final_state_stays() {
        let retry = Next::Retry(Timestamp(1));
        assert_eq!(settle(DeliveryState::Queued, retry), DeliveryState::Retrying);
        assert_eq!(settle(DeliveryState::Retrying, Next::Expired), DeliveryState::Expired);
        assert_eq!(settle(DeliveryState::Held, Next::Confirmed), DeliveryState::Confirmed);
        assert_eq!(settle(DeliveryState::Held, Next::Expired), DeliveryState::Held, "held keeps");
        assert_eq!(settle(DeliveryState::Queued, Next::Closed), DeliveryState::Cancelled);
        for state in [DeliveryState::Confirmed, DeliveryState::Expired, DeliveryState::Cancelled] {
            for next in [Next::Confirmed, retry, Next::Expired, Next::Closed] {
                assert_eq!(settle(state, next), state);
            }
        }
    }
}
