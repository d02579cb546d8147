//! What a batch of results makes of deliveries, attempts and the books, in one transaction that knows whether it was made before.

use super::{
    Place,
    line::Work,
    rows::{json, state, text},
};
use crate::domain::{
    DeliveryState,
    id::{DeliveryId, MerchantId},
};
use crate::server::store::{
    AttemptRecord, Next,
    activity::bucket,
    settle::{has_ended, settle},
};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, HashMap};

/// How often results that take too long together are offered so.
pub(super) const SLOW_TRIES: u32 = 3;

/// Results with where their bytes lie.
pub(super) struct Batch<'a> {
    pub number: i64,
    pub records: &'a [AttemptRecord],
    pub places: Vec<(i64, i64)>,
    pub segments: (Vec<i64>, Vec<Vec<u8>>),
    /// Pages under which it may have been written already.
    pub doubtful: Vec<i64>,
}

/// A delivery as the batch finds it: its URL, state and attempts, and the notification that somebody resent with it.
type Found = (i64, DeliveryState, i64, Option<i64>);

/// A delivery as the batch finds and leaves it.
struct Moved {
    url_id: i64,
    resent: Option<i64>,
    before: DeliveryState,
    state: DeliveryState,
    attempts: i64,
    window_from: i64,
    due_at: Option<i64>,
    last_attempt_at: i64,
    last_cause: Option<&'static str>,
    finished_at: Option<i64>,
}

/// How the batch changes the books of a URL.
#[derive(Default)]
struct Book {
    /// By state's code.
    moved: [i64; 7],
    confirmed_at: Option<i64>,
    attempted_at: Option<i64>,
}

/// Attempts confirmed and failed by URL, hour and the range of the answer's time.
type Answers = BTreeMap<(i64, i64, i64), (i64, i64)>;

/// What the batch counts in an hour: confirmed, failed, expired.
type Hour = [i64; 3];

impl Work for Batch<'_> {
    type Output = ();

    async fn run(&self, conn: &mut PgConnection, place: Place, page: i64) -> Result<Option<()>, sqlx::Error> {
        if self.is_written(conn).await? {
            return Ok(Some(()));
        }
        let mut tx = conn.begin().await?;
        let mine = sqlx::query("UPDATE line SET batch = $2 WHERE page = $1 AND open")
            .bind(page)
            .bind(self.number)
            .execute(&mut *tx)
            .await?;
        if mine.rows_affected() == 0 {
            return Ok(None);
        }
        let ids: Vec<i64> = self.records.iter().map(|record| record.delivery_id.0).collect();
        // In one order, so that two who lock the same rows wait instead of blocking each other.
        let rows: Vec<(i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT id, url_id, state, attempts, CASE WHEN origin <> 0 THEN notification_id END
             FROM delivery WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(&ids)
        .fetch_all(&mut *tx)
        .await?;
        let mut found = HashMap::with_capacity(rows.len());
        for (id, url_id, code, attempts, resent) in rows {
            let before = state(code).map_err(|error| sqlx::Error::Decode(error.into()))?;
            found.insert(id, (url_id, before, attempts, resent));
        }
        self.write(&mut tx, place, page, &found).await?;
        tx.commit().await?;
        Ok(Some(()))
    }
}

/// Whether a batch of which nobody heard the end was written.
pub(super) struct Question<'a>(pub &'a Batch<'a>);

impl Work for Question<'_> {
    type Output = bool;

    async fn run(&self, conn: &mut PgConnection, _place: Place, _page: i64) -> Result<Option<bool>, sqlx::Error> {
        self.0.is_written(conn).await.map(Some)
    }
}

impl Batch<'_> {
    /// Whether it was written under one of the pages where it may have been. The answer holds: it waits for a commit that is still
    /// being made on a connection which was given up, and one that was not asked for then never is.
    async fn is_written(&self, conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
        if self.doubtful.is_empty() {
            return Ok(false);
        }
        let last: Vec<i64> = sqlx::query_scalar("SELECT batch FROM line WHERE page = ANY($1) ORDER BY page FOR UPDATE")
            .bind(&self.doubtful)
            .fetch_all(conn)
            .await?;
        Ok(last.contains(&self.number))
    }

    /// Whether its results are to be written one by one after so many slow tries: what the server has no time for together it
    /// may have for each. Never what may have been written already: only the batch knows that, by its number.
    pub const fn is_better_apart(&self, slow: u32) -> bool {
        slow >= SLOW_TRIES && self.records.len() > 1 && self.doubtful.is_empty()
    }

    async fn write(
        &self,
        conn: &mut PgConnection,
        place: Place,
        page: i64,
        found: &HashMap<i64, Found>,
    ) -> Result<(), sqlx::Error> {
        let mut moved: BTreeMap<DeliveryId, Moved> = BTreeMap::new();
        let mut hours: BTreeMap<(MerchantId, i64), Hour> = BTreeMap::new();
        let mut books: BTreeMap<i64, Book> = BTreeMap::new();
        let mut answers = Answers::new();
        let mut attempts = Vec::with_capacity(self.records.len());
        for (record, place) in self.records.iter().zip(&self.places) {
            let Some((url_id, before, so_far, resent)) = found.get(&record.delivery_id.0).copied() else {
                tracing::error!(delivery.id = %record.delivery_id, "an attempt came back for a delivery that is not there");
                continue;
            };
            let cause = record.cause.map(|cause| cause.code());
            let delivery = moved.entry(record.delivery_id).or_insert(Moved {
                url_id,
                resent,
                before,
                state: before,
                attempts: so_far,
                window_from: 0,
                due_at: None,
                last_attempt_at: 0,
                last_cause: None,
                finished_at: None,
            });
            let was = delivery.state;
            delivery.state = settle(was, record.next);
            delivery.attempts += 1;
            delivery.window_from = record.window_from.0;
            delivery.due_at = match (delivery.state, record.next) {
                (DeliveryState::Retrying, Next::Retry(due_at)) => Some(due_at.0),
                _ => None,
            };
            delivery.last_attempt_at = record.finished_at.0;
            delivery.last_cause = cause;
            let ended = has_ended(was, delivery.state);
            if ended {
                delivery.finished_at = Some(record.finished_at.0);
            }
            attempts.push((delivery.attempts, record, place, cause));
            let range = bucket(record.status.is_some(), record.started_at, record.finished_at);
            let answer = answers.entry((url_id, record.finished_at.hour(), range)).or_default();
            answer.0 += i64::from(cause.is_none());
            answer.1 += i64::from(cause.is_some());
            if !record.shadow {
                let hour = hours.entry((record.merchant_id, record.finished_at.hour())).or_default();
                hour[0] += i64::from(ended && delivery.state == DeliveryState::Confirmed);
                hour[1] += i64::from(cause.is_some());
                hour[2] += i64::from(ended && delivery.state == DeliveryState::Expired);
            }
            let book = books.entry(url_id).or_default();
            book.attempted_at = book.attempted_at.max(Some(record.finished_at.0));
            if cause.is_none() {
                book.confirmed_at = book.confirmed_at.max(Some(record.finished_at.0));
            }
        }
        for delivery in moved.values() {
            let book = books.entry(delivery.url_id).or_default();
            book.moved[delivery.before.code() as usize] -= 1;
            book.moved[delivery.state.code() as usize] += 1;
        }
        let change = |state: DeliveryState| books.values().map(|book| book.moved[state.code() as usize]).collect::<Vec<_>>();
        sqlx::query(
            "WITH changed AS (
                 UPDATE delivery SET node_id = CASE WHEN m.due_at IS NULL THEN delivery.node_id ELSE $41 END, state = m.state, attempts = m.attempts, window_from = m.window_from, due_at = m.due_at,
                     last_attempt_at = m.last_attempt_at, last_cause = m.last_cause,
                     finished_at = coalesce(m.finished_at, delivery.finished_at)
                 FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
                     $9::bigint[])
                     AS m (id, state, attempts, window_from, due_at, last_attempt_at, last_cause, finished_at)
                 WHERE delivery.id = m.id
             ), tried AS (
                 INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, segment_id, part)
                 SELECT * FROM unnest($10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[], $15::text[],
                     $16::text[], $17::text[], $18::bigint[], $19::bigint[])
             ), stored AS (
                 INSERT INTO segment (id, bytes) SELECT * FROM unnest($20::bigint[], $21::bytea[]) ON CONFLICT (id) DO NOTHING
             ), counted AS (
                 INSERT INTO tally (merchant_id, hour, page, confirmed, failed, expired)
                 SELECT h.merchant_id, h.hour, $1, h.confirmed, h.failed, h.expired
                 FROM unnest($22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[])
                     AS h (merchant_id, hour, confirmed, failed, expired)
                 ON CONFLICT (merchant_id, hour, page) DO UPDATE SET confirmed = tally.confirmed + excluded.confirmed,
                     failed = tally.failed + excluded.failed, expired = tally.expired + excluded.expired
             ), answered AS (
                 INSERT INTO url_tally (url_id, hour, bucket, page, confirmed, failed)
                 SELECT a.url_id, a.hour, a.bucket, $1, a.confirmed, a.failed
                 FROM unnest($36::bigint[], $37::bigint[], $38::bigint[], $39::bigint[], $40::bigint[])
                     AS a (url_id, hour, bucket, confirmed, failed)
                 ON CONFLICT (url_id, hour, bucket, page) DO UPDATE SET confirmed = url_tally.confirmed + excluded.confirmed,
                     failed = url_tally.failed + excluded.failed
             )
             INSERT INTO url_books (url_id, page, queued, retrying, held, confirmed, expired, cancelled, last_confirmed_at,
                 last_attempt_at)
             SELECT b.url_id, $1, b.queued, b.retrying, b.held, b.confirmed, b.expired, b.cancelled, b.confirmed_at, b.attempted_at
             FROM unnest($27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[],
                 $33::bigint[], $34::bigint[], $35::bigint[])
                 AS b (url_id, queued, retrying, held, confirmed, expired, cancelled, confirmed_at, attempted_at)
             ON CONFLICT (url_id, page) DO UPDATE SET queued = url_books.queued + excluded.queued,
                 retrying = url_books.retrying + excluded.retrying, held = url_books.held + excluded.held,
                 confirmed = url_books.confirmed + excluded.confirmed, expired = url_books.expired + excluded.expired,
                 cancelled = url_books.cancelled + excluded.cancelled,
                 last_confirmed_at = coalesce(excluded.last_confirmed_at, url_books.last_confirmed_at),
                 last_attempt_at = coalesce(excluded.last_attempt_at, url_books.last_attempt_at)",
        )
        .bind(page)
        .bind(moved.keys().map(|id| id.0).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.state.code()).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.attempts).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.window_from).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.due_at).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.last_attempt_at).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.last_cause).collect::<Vec<_>>())
        .bind(moved.values().map(|delivery| delivery.finished_at).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, record, ..)| record.delivery_id.0).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(number, ..)| *number).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, record, ..)| record.started_at.0).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, record, ..)| record.address.as_deref()).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, record, ..)| record.status.map(i64::from)).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(.., cause)| *cause).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, record, ..)| plain(&record.detail)).collect::<Result<Vec<_>, _>>()?)
        .bind(attempts.iter().map(|(_, record, ..)| plain(&record.timings)).collect::<Result<Vec<_>, _>>()?)
        .bind(attempts.iter().map(|(_, _, (segment, _), _)| *segment).collect::<Vec<_>>())
        .bind(attempts.iter().map(|(_, _, (_, part), _)| *part).collect::<Vec<_>>())
        .bind(&self.segments.0)
        .bind(&self.segments.1)
        .bind(hours.keys().map(|(merchant, _)| merchant.0).collect::<Vec<_>>())
        .bind(hours.keys().map(|(_, hour)| *hour).collect::<Vec<_>>())
        .bind(hours.values().map(|hour| hour[0]).collect::<Vec<_>>())
        .bind(hours.values().map(|hour| hour[1]).collect::<Vec<_>>())
        .bind(hours.values().map(|hour| hour[2]).collect::<Vec<_>>())
        .bind(books.keys().copied().collect::<Vec<i64>>())
        .bind(change(DeliveryState::Queued))
        .bind(change(DeliveryState::Retrying))
        .bind(change(DeliveryState::Held))
        .bind(change(DeliveryState::Confirmed))
        .bind(change(DeliveryState::Expired))
        .bind(change(DeliveryState::Cancelled))
        .bind(books.values().map(|book| book.confirmed_at).collect::<Vec<_>>())
        .bind(books.values().map(|book| book.attempted_at).collect::<Vec<_>>())
        .bind(answers.keys().map(|(url, ..)| *url).collect::<Vec<_>>())
        .bind(answers.keys().map(|(_, hour, _)| *hour).collect::<Vec<_>>())
        .bind(answers.keys().map(|(.., range)| *range).collect::<Vec<_>>())
        .bind(answers.values().map(|(confirmed, _)| *confirmed).collect::<Vec<_>>())
        .bind(answers.values().map(|(_, failed)| *failed).collect::<Vec<_>>())
        // Another may have taken it over meanwhile, and hears nothing of this: whoever hears that it is to be tried again has it.
        .bind(place.node)
        .execute(&mut *conn)
        .await?;
        put_right(conn, &moved).await
    }
}

/// Marks what was given up and its URL has confirmed: what was given up before, by the notifications and URLs of resends that are
/// confirmed now, and what is given up now. By its notification, because a URL may have given up a million; and in the order of ids,
/// so that two who mark the same wait instead of blocking each other.
pub(super) const PUT_RIGHT: &str = "WITH late AS MATERIALIZED (
         SELECT delivery.id FROM unnest($1::bigint[], $2::bigint[]) AS confirmed (notification_id, url_id)
             JOIN delivery ON delivery.notification_id = confirmed.notification_id
         WHERE delivery.url_id + 0 = confirmed.url_id AND delivery.state + 0 = 5 AND NOT delivery.put_right
         UNION
         SELECT expired.id FROM delivery AS expired
             JOIN delivery AS again ON again.notification_id = expired.notification_id
         WHERE expired.id = ANY($3) AND again.url_id + 0 = expired.url_id AND again.state + 0 = 4
             AND again.finished_at >= expired.created_at
     ), locked AS MATERIALIZED (
         SELECT id FROM delivery WHERE id = ANY(ARRAY(SELECT id FROM late)) ORDER BY id FOR NO KEY UPDATE
     )
     UPDATE delivery SET put_right = true WHERE id = ANY(ARRAY(SELECT id FROM locked))";

async fn put_right(conn: &mut PgConnection, moved: &BTreeMap<DeliveryId, Moved>) -> Result<(), sqlx::Error> {
    let confirmed = moved.values().filter(|delivery| delivery.state == DeliveryState::Confirmed);
    let (notifications, urls): (Vec<i64>, Vec<i64>) =
        confirmed.filter_map(|delivery| Some((delivery.resent?, delivery.url_id))).unzip();
    let is_given_up = |delivery: &Moved| delivery.state == DeliveryState::Expired && delivery.before != delivery.state;
    let given_up: Vec<i64> = moved.iter().filter(|(_, delivery)| is_given_up(delivery)).map(|(id, _)| id.0).collect();
    if notifications.is_empty() && given_up.is_empty() {
        return Ok(());
    }
    sqlx::query(PUT_RIGHT).bind(&notifications).bind(&urls).bind(&given_up).execute(conn).await?;
    Ok(())
}

/// A value as JSON that the database takes.
fn plain<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    let written = json(value).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(text(&written).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::samples;

    #[test]
    fn what_may_have_been_written_is_never_written_anew_in_parts() {
        let records = [samples::attempt(1), samples::attempt(2)];
        let batch = |count: usize, doubtful: &[i64]| Batch {
            number: 1,
            records: &records[..count],
            places: Vec::new(),
            segments: (Vec::new(), Vec::new()),
            doubtful: doubtful.to_vec(),
        };
        assert!(batch(2, &[]).is_better_apart(SLOW_TRIES));
        assert!(!batch(2, &[]).is_better_apart(SLOW_TRIES - 1));
        assert!(!batch(1, &[]).is_better_apart(SLOW_TRIES));
        assert!(!batch(2, &[8]).is_better_apart(SLOW_TRIES + 5));
    }
}
