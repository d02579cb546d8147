//! What the lanes do, case by case, and whatever happens.

mod limits;
mod properties;
mod sound;
mod table;
mod turns;

use super::{lane::QUEUE_CAPACITY, table::REFILL, *};
use crate::domain::{Algorithms, Terms, id::NotificationId};
use crate::server::store::{Next, NotificationUrl};
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
    lanes.configure(&directory(urls), 0);
    lanes
}

/// Takes over settings that need no delivery to be moved; gives the URLs whose order has to be restored.
fn configure(lanes: &mut Lanes, urls: Vec<NotificationUrl>) -> Vec<UrlId> {
    lanes.configure(&directory(urls), 0);
    lanes.settled(0, &[]);
    lanes.to_restore()
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
