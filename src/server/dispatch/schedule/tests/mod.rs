//! What the lanes do, case by case, and whatever happens.

mod limits;
mod order;
mod properties;
mod sound;
mod table;
mod turns;

use super::{lane::QUEUE_CAPACITY, table::REFILL, *};
use crate::domain::{
    Algorithms, Terms,
    id::{DeliveryId, NotificationId, OrderId},
};
use crate::server::store::{First, Merchant, Next, NotificationUrl, Secret};
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(1_000);
pub const LATER: Timestamp = Timestamp::from_seconds(1_150);

pub fn url(id: i64) -> NotificationUrl {
    NotificationUrl {
        id: UrlId(id),
        merchant_id: MerchantId(1),
        label: String::new(),
        url: String::new(),
        is_default: false,
        algorithms: Algorithms::MD5,
        concurrent: false,
        order_in_order: false,
        held: false,
        held_at: None,
        held_cause: None,
        new_key_at: None,
        headers: Vec::new(),
        terms: Terms::default(),
        version: 1,
    }
}

fn directory(urls: Vec<NotificationUrl>) -> Directory {
    Directory::new(1, Vec::new(), Vec::new(), urls)
}

fn job(url: i64, order: i64, id: i64) -> Job {
    Job {
        delivery_id: DeliveryId(id),
        notification_id: NotificationId(id),
        order_id: OrderId(order),
        merchant_id: MerchantId(1),
        url_id: UrlId(url),
        origin: Origin::Arrival,
        attempts: 0,
        window_from: None,
        due_at: NOW,
        body: None,
    }
}

/// A delivery that has been tried.
fn again(url: i64, order: i64, id: i64) -> Job {
    Job { attempts: 1, ..job(url, order, id) }
}

/// Lanes at a moment, with these URLs.
fn lanes(urls: Vec<NotificationUrl>) -> Lanes {
    let mut lanes = Lanes::default();
    lanes.tick(NOW);
    configure(&mut lanes, urls);
    lanes
}

/// Takes over settings.
fn configure(lanes: &mut Lanes, urls: Vec<NotificationUrl>) {
    lanes.configure(&directory(urls));
}

/// What was wanted was read: these, and when the first of what was not read is due.
fn loaded(lanes: &mut Lanes, url_id: UrlId, backlog: Backlog, jobs: Vec<Job>, rest: Option<Timestamp>) {
    let read_to = jobs.last().map(|job| (job.due_at, job.delivery_id));
    lanes.loaded(url_id, backlog, Read { jobs, rest, read_to, waiting: Vec::new() });
}

/// What a table would answer of which these are the unfinished deliveries.
fn firsts(table: &[Job], question: &Question) -> Vec<First> {
    let first = |order: &OrderId| {
        let fits = |job: &&Job| job.url_id == question.url_id && job.order_id == *order && job.origin != Origin::Debug;
        let job = table.iter().filter(fits).min_by_key(|job| job.delivery_id)?;
        Some(First { order_id: *order, delivery_id: job.delivery_id, job: Some(job.clone()) })
    };
    question.orders.iter().filter_map(first).collect()
}

/// What would be read of such a table.
fn read(table: &[Job], load: &Load, now: Timestamp) -> Read {
    let Load { url_id, backlog, limit, after, in_order, .. } = *load;
    let mut open: Vec<Job> = table.iter().filter(|job| job.url_id == url_id && Backlog::of(job) == backlog).cloned().collect();
    open.sort_by_key(|job| (job.due_at, job.delivery_id));
    open.retain(|job| after.is_none_or(|after| (job.due_at, job.delivery_id) > after));
    let due = open.iter().filter(|job| job.due_at <= now).count().min(limit);
    let rest = open.get(due).map(|job| job.due_at);
    open.truncate(due);
    let read_to = open.last().map(|job| (job.due_at, job.delivery_id));
    let mut waiting = Vec::new();
    if in_order {
        let question = Question { url_id, number: 0, orders: open.iter().map(|job| job.order_id).collect() };
        let firsts: HashMap<_, _> =
            firsts(table, &question).into_iter().map(|first| (first.order_id, first.delivery_id)).collect();
        open.retain(|job| {
            let first = firsts.get(&job.order_id).filter(|first| **first != job.delivery_id && job.origin != Origin::Debug);
            waiting.extend(first.map(|first| (job.order_id, *first)));
            first.is_none()
        });
    }
    Read { jobs: open, rest, read_to, waiting }
}

fn next(lanes: &mut Lanes) -> Option<i64> {
    lanes.next().map(|job| job.delivery_id.0)
}

/// Everything that may start now.
fn all(lanes: &mut Lanes) -> Vec<i64> {
    std::iter::from_fn(|| next(lanes)).collect()
}

/// An attempt that ended with an answer, or without one.
const fn signal(signal: Signal) -> Ended {
    Ended { signal, not_before: None }
}

/// What is due now is read.
fn load(lanes: &mut Lanes) -> Vec<(UrlId, Backlog)> {
    lanes.to_load().into_iter().map(|load| (load.url_id, load.backlog)).collect()
}

fn end(lanes: &mut Lanes, url: i64, order: i64, id: i64, outcome: Next) {
    lanes.finished(UrlId(url), Origin::Arrival, signal(Signal::Alive));
    lanes.recorded(UrlId(url), OrderId(order), DeliveryId(id), outcome);
}
