//! The ledger: orders, notifications, deliveries, attempts and the books, brought up to date from journalled events.
//!
//! A chunk of events is merged in memory first (a delivery that was made and confirmed within the chunk becomes one
//! row in its final state), then written with one statement for each table.

use super::{
    journal::{Accepted, Attempted, Entry, Event, Repeated, json, said_at},
    rows::state,
    writer::roll_back,
};
use crate::domain::{
    DeliveryState, OrderStatus, Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    money::Currency,
    order::Standing,
};
use crate::server::store::{Change, Next, StoreError};
use sqlx::{Row as _, SqliteConnection};
use std::collections::{BTreeMap, HashSet};

/// Applies entries of the journal in one transaction, and notes that they are in; gives what changed.
pub(super) async fn apply(conn: &mut SqliteConnection, entries: &[Entry]) -> Result<Vec<Change>, StoreError> {
    let applied = async {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        let events: Vec<&Event> = entries.iter().flat_map(|entry| &entry.events).collect();
        let mut chunk = Chunk::load(conn, &events).await?;
        for event in events {
            match event {
                Event::Accepted(accepted) => chunk.accepted(accepted),
                Event::Repeated(repeated) => chunk.repeated(repeated),
                Event::Attempted(attempted) => chunk.attempted(attempted),
            }
        }
        chunk.write(conn, entries).await
    }
    .await;
    if applied.is_err() {
        roll_back(conn).await;
    }
    applied
}

/// The last entry of the journal that is in the ledger, or 0.
pub(super) async fn applied_up_to(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    let text: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'journal_applied'").fetch_optional(conn).await?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Keeps the bytes of an entry whose events could not be applied, and notes that it was dealt with.
pub(super) async fn apply_segments_only(conn: &mut SqliteConnection, entry: &Entry) -> Result<(), StoreError> {
    let applied = async {
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        Chunk::default().write(&mut *conn, std::slice::from_ref(entry)).await
    }
    .await;
    if applied.is_err() {
        roll_back(conn).await;
    }
    applied.map(drop)
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

/// A delivery in the chunk.
struct Delivery {
    /// Not in the table yet, with: notification, order, merchant, node, created at.
    fresh: Option<(NotificationId, OrderId, MerchantId, i64, Timestamp)>,
    url_id: UrlId,
    before: DeliveryState,
    state: DeliveryState,
    attempts: u32,
    window_from: Option<Timestamp>,
    due_at: Option<Timestamp>,
    last_attempt_at: Option<Timestamp>,
    last_cause: Option<&'static str>,
    finished_at: Option<Timestamp>,
}

/// An order in the chunk: its standing, and the message that set it, if one of the chunk did.
struct Order<'a> {
    standing: Option<Standing>,
    set_by: Option<&'a Accepted>,
    touched_at: Timestamp,
}

/// How the chunk changes the books of one URL.
#[derive(Default)]
struct Book {
    accepted: i64,
    /// By state's code.
    moved: [i64; 7],
    /// A confirmation was among the attempts, so an earlier trouble is over.
    confirmed_at: Option<Timestamp>,
    /// First failure after the last confirmation of the chunk.
    failing_since: Option<Timestamp>,
    failing_cause: Option<&'static str>,
    attempted_at: Option<Timestamp>,
}

#[derive(Default)]
struct Hour {
    notifications: i64,
    repeats: i64,
    confirmed: i64,
    failed: i64,
    expired: i64,
}

type AttemptRow<'a> = (i64, u32, i64, Option<&'a str>, Option<u16>, Option<&'static str>, &'a str, &'a str, i64, u32);

/// A chunk of events, merged.
#[derive(Default)]
struct Chunk<'a> {
    orders: BTreeMap<OrderId, Order<'a>>,
    notifications: Vec<&'a Accepted>,
    repeats: BTreeMap<NotificationId, (i64, Timestamp)>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    attempts: Vec<AttemptRow<'a>>,
    books: BTreeMap<UrlId, Book>,
    hours: BTreeMap<(MerchantId, i64), Hour>,
    changed: HashSet<Change>,
}

impl<'a> Chunk<'a> {
    /// Reads what the table knows of the orders and deliveries that the events tell of.
    async fn load(conn: &mut SqliteConnection, events: &[&'a Event]) -> Result<Self, StoreError> {
        let mut chunk = Self::default();
        let mut orders = HashSet::new();
        let mut made = HashSet::new();
        let mut tried = HashSet::new();
        for event in events {
            match event {
                Event::Accepted(accepted) => {
                    orders.insert(accepted.order_id.0);
                    made.extend(accepted.deliveries.iter().map(|(id, ..)| id.0));
                }
                Event::Attempted(attempted) if !made.contains(&attempted.delivery_id.0) => {
                    tried.insert(attempted.delivery_id.0);
                }
                Event::Attempted(_) | Event::Repeated(_) => {}
            }
        }
        if !orders.is_empty() {
            let rows = sqlx::query("SELECT id, status, event_at FROM orders WHERE id IN (SELECT value FROM jsonb_each(?))")
                .bind(json(&orders)?)
                .fetch_all(&mut *conn)
                .await?;
            for row in &rows {
                let standing = Standing { status: OrderStatus::from_code(row.try_get(1)?), event_at: Timestamp(row.try_get(2)?) };
                let order = Order { standing: Some(standing), set_by: None, touched_at: Timestamp::default() };
                chunk.orders.insert(OrderId(row.try_get(0)?), order);
            }
        }
        if !tried.is_empty() {
            let rows =
                sqlx::query("SELECT id, url_id, state, attempts FROM delivery WHERE id IN (SELECT value FROM jsonb_each(?))")
                    .bind(json(&tried)?)
                    .fetch_all(conn)
                    .await?;
            for row in &rows {
                let before = state(row.try_get(2)?)?;
                chunk.deliveries.insert(
                    DeliveryId(row.try_get(0)?),
                    Delivery {
                        fresh: None,
                        url_id: UrlId(row.try_get(1)?),
                        before,
                        state: before,
                        attempts: row.try_get(3)?,
                        window_from: None,
                        due_at: None,
                        last_attempt_at: None,
                        last_cause: None,
                        finished_at: None,
                    },
                );
            }
        }
        Ok(chunk)
    }

    fn accepted(&mut self, event: &'a Accepted) {
        let message = Standing { status: event.facts.status, event_at: event.facts.event_at.unwrap_or(event.received_at) };
        let unknown = Order { standing: None, set_by: None, touched_at: event.received_at };
        let order = self.orders.entry(event.order_id).or_insert(unknown);
        order.touched_at = order.touched_at.max(event.received_at);
        if order.standing.is_none_or(|standing| standing.is_replaced_by(message)) {
            order.standing = Some(message);
            order.set_by = Some(event);
        }
        for (delivery_id, url_id, held) in &event.deliveries {
            let state = if *held { DeliveryState::Held } else { DeliveryState::Queued };
            let fresh = Some((event.id, event.order_id, event.merchant_id, event.node, event.received_at));
            self.deliveries.insert(
                *delivery_id,
                Delivery {
                    fresh,
                    url_id: *url_id,
                    before: state,
                    state,
                    attempts: 0,
                    window_from: None,
                    due_at: (!held).then_some(event.received_at),
                    last_attempt_at: None,
                    last_cause: None,
                    finished_at: None,
                },
            );
        }
        self.hours.entry((event.merchant_id, event.received_at.hour())).or_default().notifications += 1;
        self.changed.insert(Change::Order(event.merchant_id, event.order_id));
        self.notifications.push(event);
    }

    fn repeated(&mut self, event: &Repeated) {
        let (count, at) = self.repeats.entry(event.id).or_insert((0, event.at));
        *count += 1;
        *at = (*at).max(event.at);
        self.hours.entry((event.merchant_id, event.at.hour())).or_default().repeats += 1;
    }

    fn attempted(&mut self, event: &'a Attempted) {
        let Some(delivery) = self.deliveries.get_mut(&event.delivery_id) else {
            tracing::error!(delivery.id = %event.delivery_id, "an attempt came back for a delivery that is not there");
            return;
        };
        let cause = event.cause.map(|cause| cause.code());
        let before = delivery.state;
        delivery.state = settle(before, event.next);
        delivery.attempts += 1;
        delivery.window_from = Some(event.window_from);
        delivery.due_at = match (delivery.state, event.next) {
            (DeliveryState::Retrying, Next::Retry(due_at)) => Some(due_at),
            _ => None,
        };
        delivery.last_attempt_at = Some(event.finished_at);
        delivery.last_cause = cause;
        let ended = delivery.state.is_final() && !before.is_final();
        if ended {
            delivery.finished_at = Some(event.finished_at);
        }
        self.attempts.push((
            event.delivery_id.0,
            delivery.attempts,
            event.started_at.0,
            event.address.as_deref(),
            event.status,
            cause,
            &event.detail,
            &event.timings,
            event.place.segment,
            event.place.part,
        ));
        let book = self.books.entry(event.url_id).or_default();
        book.attempted_at = book.attempted_at.max(Some(event.finished_at));
        let hour = self.hours.entry((event.merchant_id, event.finished_at.hour())).or_default();
        if cause.is_none() {
            book.confirmed_at = Some(event.finished_at);
            (book.failing_since, book.failing_cause) = (None, None);
        } else {
            book.failing_since = book.failing_since.or(Some(event.started_at));
            book.failing_cause = cause;
            hour.failed += 1;
        }
        hour.confirmed += i64::from(ended && delivery.state == DeliveryState::Confirmed);
        hour.expired += i64::from(ended && delivery.state == DeliveryState::Expired);
        self.changed.insert(Change::Order(event.merchant_id, event.order_id));
    }

    /// One call for all tables: the way to SQLite's thread and back costs more than a statement without rows.
    async fn write(mut self, conn: &mut SqliteConnection, entries: &[Entry]) -> Result<Vec<Change>, StoreError> {
        let mut bytes = Vec::new();
        let mut spans = Vec::new();
        for (id, packed) in entries.iter().flat_map(|entry| &entry.segments) {
            spans.push((id, bytes.len() + 1, packed.len()));
            bytes.extend_from_slice(packed);
        }
        let applied = entries.last().map_or(0, |entry| entry.id);
        let (inserted, updated) = self.delivery_rows();
        // A later message may come without tags that an earlier one had: what is known of an order stays known.
        sqlx::query(
            "INSERT INTO segment (id, bytes) SELECT value ->> 0, substr(?, value ->> 1, value ->> 2) FROM jsonb_each(?);
             INSERT INTO meta (key, value) VALUES ('journal_applied', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value;
             INSERT INTO orders (id, merchant_id, gateway, reference, external, email, customer, status, vendor_status,
                 amount, currency, test, event_at, created_at, updated_at)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                 value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14
             FROM jsonb_each(?) WHERE true
             ON CONFLICT (id) DO UPDATE SET
                 external = CASE WHEN excluded.external = '' THEN external ELSE excluded.external END,
                 email = CASE WHEN excluded.email = '' THEN email ELSE excluded.email END,
                 customer = CASE WHEN excluded.customer = '' THEN customer ELSE excluded.customer END,
                 status = excluded.status, vendor_status = excluded.vendor_status,
                 amount = coalesce(excluded.amount, amount), currency = coalesce(excluded.currency, currency),
                 test = excluded.test, event_at = excluded.event_at, updated_at = excluded.updated_at;
             UPDATE orders SET updated_at = touched.value ->> 1
             FROM jsonb_each(?) AS touched WHERE orders.id = touched.value ->> 0;
             INSERT INTO notification (id, merchant_id, listener_id, order_id, received_at, event_at, digest, status,
                 vendor_status, message_id, signatures, test, peer, size, segment_id, part)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, substr(?, key * 16 + 1, 16),
                 value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
                 value ->> 14
             FROM jsonb_each(?);
             UPDATE notification SET repeats = repeats + (again.value ->> 1), repeated_at = again.value ->> 2
             FROM jsonb_each(?) AS again WHERE notification.id = again.value ->> 0;
             INSERT INTO delivery (origin, id, notification_id, url_id, order_id, merchant_id, node_id, created_at, state,
                 attempts, window_from, due_at, last_attempt_at, last_cause, finished_at)
             SELECT 0, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                 value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13
             FROM jsonb_each(?);
             UPDATE delivery SET state = new.value ->> 1, attempts = new.value ->> 2, window_from = new.value ->> 3,
                 due_at = new.value ->> 4, last_attempt_at = new.value ->> 5, last_cause = new.value ->> 6,
                 finished_at = coalesce(finished_at, new.value ->> 7)
             FROM jsonb_each(?) AS new WHERE delivery.id = new.value ->> 0;
             INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, segment_id, part)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                 value ->> 8, value ->> 9
             FROM jsonb_each(?);
             INSERT INTO url_books (url_id, accepted, queued, retrying, held, confirmed, expired, cancelled,
                 last_confirmed_at, failing_since, failing_cause, last_attempt_at)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
                 value ->> 8, value ->> 9, value ->> 10, value ->> 11
             FROM jsonb_each(?) WHERE true
             ON CONFLICT (url_id) DO UPDATE SET accepted = accepted + excluded.accepted, queued = queued + excluded.queued,
                 retrying = retrying + excluded.retrying, held = held + excluded.held,
                 confirmed = confirmed + excluded.confirmed, expired = expired + excluded.expired,
                 cancelled = cancelled + excluded.cancelled,
                 failing_since = CASE WHEN excluded.last_confirmed_at IS NULL
                     THEN coalesce(failing_since, excluded.failing_since) ELSE excluded.failing_since END,
                 failing_cause = CASE WHEN excluded.last_confirmed_at IS NULL
                     THEN coalesce(excluded.failing_cause, failing_cause) ELSE excluded.failing_cause END,
                 last_confirmed_at = coalesce(excluded.last_confirmed_at, last_confirmed_at),
                 last_attempt_at = coalesce(excluded.last_attempt_at, last_attempt_at);
             INSERT INTO tally (merchant_id, hour, notifications, repeats, confirmed, failed, expired)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
             FROM jsonb_each(?) WHERE true
             ON CONFLICT (merchant_id, hour) DO UPDATE SET notifications = notifications + excluded.notifications,
                 repeats = repeats + excluded.repeats, confirmed = confirmed + excluded.confirmed,
                 failed = failed + excluded.failed, expired = expired + excluded.expired;
             COMMIT",
        )
        .bind(bytes)
        .bind(json(&spans)?)
        .bind(applied.to_string())
        .bind(self.order_rows()?)
        .bind(self.touched_rows()?)
        .bind(self.notifications.iter().flat_map(|event| event.digest).collect::<Vec<u8>>())
        .bind(self.notification_rows()?)
        .bind(json(&self.repeats.iter().map(|(id, (count, at))| (id.0, count, at.0)).collect::<Vec<_>>())?)
        .bind(inserted?)
        .bind(updated?)
        .bind(json(&self.attempts)?)
        .bind(self.book_rows()?)
        .bind(self.hour_rows()?)
        .execute(conn)
        .await?;
        Ok(self.changed.into_iter().collect())
    }

    fn order_rows(&self) -> Result<String, StoreError> {
        type Row<'a> = (
            i64,
            i64,
            &'static str,
            &'a str,
            &'a str,
            &'a str,
            &'a str,
            &'static str,
            &'a str,
            Option<i64>,
            Option<Currency>,
            i64,
            i64,
            i64,
            i64,
        );
        let rows: Vec<Row<'_>> = self
            .orders
            .iter()
            .filter_map(|(id, order)| {
                let (event, standing) = (order.set_by?, order.standing?);
                let facts = &event.facts;
                Some((
                    id.0,
                    event.merchant_id.0,
                    event.gateway.name(),
                    facts.reference.as_str(),
                    facts.external.as_str(),
                    facts.email.as_str(),
                    facts.customer.as_str(),
                    facts.status.code(),
                    facts.vendor_status.as_str(),
                    facts.amount.map(|money| money.minor),
                    facts.amount.map(|money| money.currency),
                    i64::from(facts.test),
                    standing.event_at.0,
                    event.received_at.0,
                    order.touched_at.0,
                ))
            })
            .collect();
        json(&rows)
    }

    /// Orders with messages that did not change their standing.
    fn touched_rows(&self) -> Result<String, StoreError> {
        let touched = self.orders.iter().filter(|(_, order)| order.set_by.is_none() && order.touched_at > Timestamp::default());
        json(&touched.map(|(id, order)| (id.0, order.touched_at.0)).collect::<Vec<_>>())
    }

    fn notification_rows(&self) -> Result<String, StoreError> {
        let rows: Vec<_> = self
            .notifications
            .iter()
            .map(|event| {
                (
                    event.id.0,
                    event.merchant_id.0,
                    event.listener_id.map(|id| id.0),
                    event.order_id.0,
                    event.received_at.0,
                    said_at(&event.facts),
                    event.facts.status.code(),
                    &event.facts.vendor_status,
                    &event.facts.message_id,
                    event.signatures.bits(),
                    i64::from(event.facts.test),
                    &event.peer,
                    event.size,
                    event.place.segment,
                    event.place.part,
                )
            })
            .collect();
        json(&rows)
    }

    /// Rows to insert and rows to update; books their states on the way.
    fn delivery_rows(&mut self) -> (Result<String, StoreError>, Result<String, StoreError>) {
        let (mut inserted, mut updated) = (Vec::new(), Vec::new());
        for (id, delivery) in &self.deliveries {
            let moment = |at: Option<Timestamp>| at.map(|at| at.0);
            let book = self.books.entry(delivery.url_id).or_default();
            book.moved[delivery.state.code() as usize] += 1;
            if let Some((notification, order, merchant, node, created_at)) = delivery.fresh {
                book.accepted += 1;
                inserted.push((
                    id.0,
                    notification.0,
                    delivery.url_id.0,
                    order.0,
                    merchant.0,
                    node,
                    created_at.0,
                    delivery.state.code(),
                    delivery.attempts,
                    moment(delivery.window_from),
                    moment(delivery.due_at),
                    moment(delivery.last_attempt_at),
                    delivery.last_cause,
                    moment(delivery.finished_at),
                ));
            } else {
                book.moved[delivery.before.code() as usize] -= 1;
                updated.push((
                    id.0,
                    delivery.state.code(),
                    delivery.attempts,
                    moment(delivery.window_from),
                    moment(delivery.due_at),
                    moment(delivery.last_attempt_at),
                    delivery.last_cause,
                    moment(delivery.finished_at),
                ));
            }
        }
        (json(&inserted), json(&updated))
    }

    fn book_rows(&self) -> Result<String, StoreError> {
        let rows: Vec<_> = self
            .books
            .iter()
            .map(|(url, book)| {
                let moved = |state: DeliveryState| book.moved[state.code() as usize];
                (
                    url.0,
                    book.accepted,
                    moved(DeliveryState::Queued),
                    moved(DeliveryState::Retrying),
                    moved(DeliveryState::Held),
                    moved(DeliveryState::Confirmed),
                    moved(DeliveryState::Expired),
                    moved(DeliveryState::Cancelled),
                    book.confirmed_at.map(|at| at.0),
                    book.failing_since.map(|at| at.0),
                    book.failing_cause,
                    book.attempted_at.map(|at| at.0),
                )
            })
            .collect();
        json(&rows)
    }

    fn hour_rows(&self) -> Result<String, StoreError> {
        let rows: Vec<_> = self
            .hours
            .iter()
            .map(|((merchant, hour), counts)| {
                (merchant.0, hour, counts.notifications, counts.repeats, counts.confirmed, counts.failed, counts.expired)
            })
            .collect();
        json(&rows)
    }
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
