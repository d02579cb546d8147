//! A chunk of journalled events: what they make of notifications, deliveries, attempts and books is merged in memory first, then
//! written row by row.

use super::{
    events::{Accepted, Attempted, Event, GivenBack, Repeated, Translated, said_at},
    standing::Order,
};
use crate::domain::{
    DeliveryState, Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    money::Currency,
    order::{Refund, Standing},
};
use crate::server::store::{
    Change, Next, StoreError,
    activity::bucket,
    settle::{has_ended, settle},
};
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::collections::{BTreeMap, HashSet, btree_map};

/// Marks what was given up and its URL has confirmed now. By its notification: a URL may have given up a million.
pub(super) const PUT_RIGHT: &str =
    "UPDATE delivery SET put_right = 1 WHERE notification_id = ? AND +url_id = ? AND +state = 5 AND put_right = 0";
/// Marks what is given up although its URL has confirmed it: somebody resent it meanwhile. What was confirmed before it was made, by
/// somebody who resends what was confirmed, says nothing of it.
pub(super) const WAS_PUT_RIGHT: &str = "UPDATE delivery SET put_right = 1 WHERE id = ? AND EXISTS (
         SELECT 1 FROM delivery AS again WHERE again.notification_id = delivery.notification_id
             AND +again.url_id = delivery.url_id AND +again.state = 4 AND again.finished_at >= delivery.created_at)";

/// A delivery in the chunk.
struct Delivery {
    /// Not in the table yet, with: notification, order, merchant, node, created at.
    fresh: Option<(NotificationId, OrderId, MerchantId, i64, Timestamp)>,
    /// The notification that somebody resent with it.
    resent: Option<NotificationId>,
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

/// How the chunk changes the books of one URL.
#[derive(Default)]
struct Book {
    accepted: i64,
    /// By state's code.
    moved: [i64; 7],
    confirmed_at: Option<Timestamp>,
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

/// A chunk of events, merged.
#[derive(Default)]
pub(super) struct Chunk<'a> {
    orders: BTreeMap<OrderId, Order<'a>>,
    notifications: Vec<&'a Accepted>,
    /// Those that are sent on in another form.
    translated: HashSet<NotificationId>,
    /// What messages gave back.
    given_back: BTreeMap<NotificationId, Refund>,
    repeats: BTreeMap<NotificationId, (i64, Timestamp)>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    attempts: Vec<(u32, &'a Attempted)>,
    books: BTreeMap<UrlId, Book>,
    hours: BTreeMap<(MerchantId, i64), Hour>,
    /// Attempts confirmed and failed by URL, hour and the range of the answer's time.
    answers: BTreeMap<(UrlId, i64, i64), (i64, i64)>,
    pub changed: HashSet<Change>,
}

impl<'a> Chunk<'a> {
    /// What is known of an order, in the chunk or in the table.
    fn order(&mut self, tx: &Transaction<'_>, id: OrderId, is_new: bool) -> Result<&mut Order<'a>, StoreError> {
        Ok(match self.orders.entry(id) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(place) if is_new => place.insert(Order::new()),
            btree_map::Entry::Vacant(place) => place.insert(Order::read(tx, id)?),
        })
    }

    /// What is known of a delivery, in the chunk or in the table.
    fn delivery(&mut self, tx: &Transaction<'_>, id: DeliveryId) -> Result<Option<&mut Delivery>, StoreError> {
        Ok(match self.deliveries.entry(id) {
            btree_map::Entry::Occupied(known) => Some(known.into_mut()),
            btree_map::Entry::Vacant(place) => {
                let found: Option<(i64, i64, u32, Option<i64>)> = tx
                    .prepare_cached(
                        "SELECT url_id, state, attempts, iif(origin <> 0, notification_id, NULL)
                         FROM delivery WHERE id = ?",
                    )?
                    .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                    .optional()?;
                let Some((url_id, code, attempts, resent)) = found else { return Ok(None) };
                let before = super::rows::state(code)?;
                Some(place.insert(Delivery {
                    fresh: None,
                    resent: resent.map(NotificationId),
                    url_id: UrlId(url_id),
                    before,
                    state: before,
                    attempts,
                    window_from: None,
                    due_at: None,
                    last_attempt_at: None,
                    last_cause: None,
                    finished_at: None,
                }))
            }
        })
    }

    pub fn add(&mut self, tx: &Transaction<'_>, event: &'a Event) -> Result<(), StoreError> {
        match event {
            Event::Accepted(accepted) => self.accepted(tx, accepted, None)?,
            Event::Translated(Translated { accepted, refund }) => {
                self.translated.insert(accepted.id);
                self.accepted(tx, accepted, *refund)?;
            }
            Event::GivenBack(GivenBack { accepted, refund }) => self.accepted(tx, accepted, Some(*refund))?,
            Event::Repeated(repeated) => self.repeated(repeated),
            Event::Attempted(attempted) => self.attempted(tx, attempted)?,
        }
        Ok(())
    }

    fn accepted(&mut self, tx: &Transaction<'_>, event: &'a Accepted, refund: Option<Refund>) -> Result<(), StoreError> {
        let message = Standing::of(&event.facts, event.received_at);
        let order = self.order(tx, event.order_id, event.begins_order)?;
        order.told(event, message, refund);
        self.given_back.extend(refund.map(|refund| (event.id, refund)));
        for (delivery_id, url_id, held) in &event.deliveries {
            let state = if *held { DeliveryState::Held } else { DeliveryState::Queued };
            let fresh = Some((event.id, event.order_id, event.merchant_id, event.node, event.received_at));
            self.deliveries.insert(
                *delivery_id,
                Delivery {
                    fresh,
                    resent: None,
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
        Ok(())
    }

    fn repeated(&mut self, event: &Repeated) {
        let (count, at) = self.repeats.entry(event.id).or_insert((0, event.at));
        *count += 1;
        *at = (*at).max(event.at);
        self.hours.entry((event.merchant_id, event.at.hour())).or_default().repeats += 1;
    }

    fn attempted(&mut self, tx: &Transaction<'_>, event: &'a Attempted) -> Result<(), StoreError> {
        let Some(delivery) = self.delivery(tx, event.delivery_id)? else {
            tracing::error!(delivery.id = %event.delivery_id, "an attempt came back for a delivery that is not there");
            return Ok(());
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
        let ended = has_ended(before, delivery.state);
        if ended {
            delivery.finished_at = Some(event.finished_at);
        }
        let number = delivery.attempts;
        let state = delivery.state;
        self.attempts.push((number, event));
        let book = self.books.entry(event.url_id).or_default();
        book.attempted_at = book.attempted_at.max(Some(event.finished_at));
        if cause.is_none() {
            book.confirmed_at = Some(event.finished_at);
        }
        let range = bucket(event.status.is_some(), event.started_at, event.finished_at);
        let answers = self.answers.entry((event.url_id, event.finished_at.hour(), range)).or_default();
        answers.0 += i64::from(cause.is_none());
        answers.1 += i64::from(cause.is_some());
        if !event.shadow {
            let hour = self.hours.entry((event.merchant_id, event.finished_at.hour())).or_default();
            hour.failed += i64::from(cause.is_some());
            hour.confirmed += i64::from(ended && state == DeliveryState::Confirmed);
            hour.expired += i64::from(ended && state == DeliveryState::Expired);
        }
        self.changed.insert(Change::Order(event.merchant_id, event.order_id));
        Ok(())
    }

    pub fn write(&mut self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        super::standing::write(tx, &self.orders)?;
        self.write_notifications(tx)?;
        self.write_deliveries(tx)?;
        self.write_attempts(tx)?;
        self.write_books(tx)?;
        self.write_hours(tx)?;
        self.write_answers(tx)
    }

    fn write_notifications(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO notification (id, merchant_id, listener_id, order_id, received_at, event_at, digest, status,
                 vendor_status, message_id, signatures, test, peer, size, segment_id, part, translated, amount, currency)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for event in &self.notifications {
            let (amount, currency) = event.facts.told(self.given_back.get(&event.id).copied()).unzip();
            insert.execute(params![
                event.id.0,
                event.merchant_id.0,
                event.listener_id.map(|id| id.0),
                event.order_id.0,
                event.received_at.0,
                said_at(&event.facts),
                &event.digest[..],
                event.facts.status.code(),
                event.facts.vendor_status.as_str(),
                event.facts.message_id.as_str(),
                event.signatures.bits(),
                event.facts.test,
                event.peer.as_str(),
                event.size as i64,
                event.place.segment,
                event.place.part,
                self.translated.contains(&event.id),
                amount,
                currency.flatten().as_ref().map(Currency::code),
            ])?;
        }
        let mut repeat = tx.prepare_cached("UPDATE notification SET repeats = repeats + ?, repeated_at = ? WHERE id = ?")?;
        for (id, (count, at)) in &self.repeats {
            repeat.execute(params![count, at.0, id.0])?;
        }
        Ok(())
    }

    /// Writes deliveries, and books their states on the way.
    fn write_deliveries(&mut self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO delivery (origin, id, notification_id, url_id, order_id, merchant_id, node_id, created_at, state,
                 attempts, window_from, due_at, last_attempt_at, last_cause, finished_at)
             VALUES (0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let mut update = tx.prepare_cached(
            "UPDATE delivery SET state = ?2, attempts = ?3, window_from = ?4, due_at = ?5, last_attempt_at = ?6,
                 last_cause = ?7, finished_at = coalesce(?8, finished_at)
             WHERE id = ?1",
        )?;
        let (mut put_right, mut was_put_right) = (tx.prepare_cached(PUT_RIGHT)?, tx.prepare_cached(WAS_PUT_RIGHT)?);
        for (id, delivery) in &self.deliveries {
            let moment = |at: Option<Timestamp>| at.map(|at| at.0);
            let book = self.books.entry(delivery.url_id).or_default();
            book.moved[delivery.state.code() as usize] += 1;
            if let Some((notification, order, merchant, node, created_at)) = delivery.fresh {
                book.accepted += 1;
                insert.execute(params![
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
                ])?;
            } else {
                book.moved[delivery.before.code() as usize] -= 1;
                update.execute(params![
                    id.0,
                    delivery.state.code(),
                    delivery.attempts,
                    moment(delivery.window_from),
                    moment(delivery.due_at),
                    moment(delivery.last_attempt_at),
                    delivery.last_cause,
                    moment(delivery.finished_at),
                ])?;
                match delivery.state {
                    DeliveryState::Confirmed if let Some(resent) = delivery.resent => {
                        put_right.execute([resent.0, delivery.url_id.0])?;
                    }
                    DeliveryState::Expired if delivery.before != delivery.state => {
                        was_put_right.execute([id.0])?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn write_attempts(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut insert = tx.prepare_cached(
            "INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, segment_id, part)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        for (number, event) in &self.attempts {
            insert.execute(params![
                event.delivery_id.0,
                number,
                event.started_at.0,
                event.address,
                event.status,
                event.cause.map(|cause| cause.code()),
                event.detail,
                event.timings,
                event.place.segment,
                event.place.part,
            ])?;
        }
        Ok(())
    }

    fn write_books(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO url_books (url_id, accepted, queued, retrying, held, confirmed, expired, cancelled,
                 last_confirmed_at, last_attempt_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (url_id) DO UPDATE SET accepted = accepted + excluded.accepted, queued = queued + excluded.queued,
                 retrying = retrying + excluded.retrying, held = held + excluded.held,
                 confirmed = confirmed + excluded.confirmed, expired = expired + excluded.expired,
                 cancelled = cancelled + excluded.cancelled,
                 last_confirmed_at = coalesce(excluded.last_confirmed_at, last_confirmed_at),
                 last_attempt_at = coalesce(excluded.last_attempt_at, last_attempt_at)",
        )?;
        for (url, book) in &self.books {
            let moved = |state: DeliveryState| book.moved[state.code() as usize];
            upsert.execute(params![
                url.0,
                book.accepted,
                moved(DeliveryState::Queued),
                moved(DeliveryState::Retrying),
                moved(DeliveryState::Held),
                moved(DeliveryState::Confirmed),
                moved(DeliveryState::Expired),
                moved(DeliveryState::Cancelled),
                book.confirmed_at.map(|at| at.0),
                book.attempted_at.map(|at| at.0),
            ])?;
        }
        Ok(())
    }

    fn write_answers(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO url_tally (url_id, hour, bucket, confirmed, failed) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (url_id, hour, bucket) DO UPDATE SET confirmed = confirmed + excluded.confirmed,
                 failed = failed + excluded.failed",
        )?;
        for ((url, hour, bucket), (confirmed, failed)) in &self.answers {
            upsert.execute(params![url.0, hour, bucket, confirmed, failed])?;
        }
        Ok(())
    }

    fn write_hours(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO tally (merchant_id, hour, notifications, repeats, confirmed, failed, expired)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (merchant_id, hour) DO UPDATE SET notifications = notifications + excluded.notifications,
                 repeats = repeats + excluded.repeats, confirmed = confirmed + excluded.confirmed,
                 failed = failed + excluded.failed, expired = expired + excluded.expired",
        )?;
        for ((merchant, hour), counts) in &self.hours {
            upsert.execute(params![
                merchant.0,
                hour,
                counts.notifications,
                counts.repeats,
                counts.confirmed,
                counts.failed,
                counts.expired
            ])?;
        }
        Ok(())
    }
}
