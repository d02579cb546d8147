//! Reading from the table what is due, with as many of the messages as there is room for.

use super::{
    needs::Table,
    schedule::{Load, Read},
};
use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{DeliveryId, NotificationId, OrderId, UrlId},
};
use crate::server::store::{Backlog, Job, StoreError};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages read at first, and at most at a time.
const FIRST: usize = 16;
const MOST: usize = 256;
/// Bytes of messages read at a time, as far as those before tell.
const BYTES_AT_A_TIME: usize = 512 << 10;
/// Bytes of messages read for one URL, or a little more. Those of the rest are read when it is their turn.
const BYTES: usize = 4 << 20;
/// URLs whose messages are on their way to their lanes at once.
const AT_ONCE: usize = 8;

/// Keeps what is read within bounds.
#[derive(Clone)]
pub(super) struct Reading(Arc<Semaphore>);

impl Default for Reading {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Reading {
    /// Reads what is wished; the room is held until the deliveries are in their lane.
    pub async fn read(
        &self,
        store: &impl Table,
        wanted: Load,
        now: Timestamp,
    ) -> Result<(Read, Option<OwnedSemaphorePermit>), StoreError> {
        let mut read = rows(store, wanted, now).await?;
        let room = Arc::clone(&self.0).acquire_owned().await.ok();
        // What is known already comes first, and needs nothing.
        let known = if wanted.in_order { 0 } else { read.jobs.len().saturating_sub(wanted.room) };
        add_messages(&mut read.jobs[known..], |ids| async move { store.bodies(&ids).await }).await?;
        Ok((read, room))
    }
}

/// Reads messages until they are too many. How many at a time follows from how long the first ones are.
async fn add_messages<F>(jobs: &mut [Job], bodies: impl Fn(Vec<NotificationId>) -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<HashMap<NotificationId, Bytes>, StoreError>>,
{
    let (mut rest, mut read, mut bytes, mut at_a_time) = (jobs, 0, 0, FIRST);
    while !rest.is_empty() && bytes < BYTES {
        let (some, others) = rest.split_at_mut(at_a_time.min(rest.len()));
        let found = bodies(some.iter().map(|job| job.notification_id).collect()).await?;
        for job in some {
            job.body = found.get(&job.notification_id).cloned();
            bytes += job.body.as_ref().map_or(0, Bytes::len);
            read += 1;
        }
        at_a_time = (BYTES_AT_A_TIME * read / bytes.max(1)).clamp(1, MOST);
        rest = others;
    }
    Ok(())
}

/// Deliveries of a URL that are due, and when the first of the rest is due.
///
/// The table may be a moment behind what the store has taken. What was recorded before is waited for, or it would be
/// read as if it were still to be done; what is recorded meanwhile the lanes know themselves.
async fn rows(store: &impl Table, wanted: Load, now: Timestamp) -> Result<Read, StoreError> {
    let Load { url_id, backlog, limit, after, in_order, .. } = wanted;
    store.settled().await?;
    // A first try is due whatever it says: it may have come while the clock was ahead.
    let until = if backlog == Backlog::Fresh { Timestamp(i64::MAX) } else { now };
    let mut jobs = store.lane(url_id, backlog, after, until, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    let rest =
        if jobs.len() == limit { Some(now) } else { store.next_due(url_id, backlog, (until, DeliveryId(i64::MAX))).await? };
    let read_to = jobs.last().map(|job| (job.due_at, job.delivery_id));
    let waiting = if in_order { leave_waiting(store, url_id, &mut jobs).await? } else { Vec::new() };
    Ok(Read { jobs, rest, read_to, waiting })
}

/// Leaves out what is not the first of its order; gives those orders, each with the delivery that is.
async fn leave_waiting(store: &impl Table, url_id: UrlId, jobs: &mut Vec<Job>) -> Result<Vec<(OrderId, DeliveryId)>, StoreError> {
    let orders: BTreeSet<OrderId> = jobs.iter().map(|job| job.order_id).collect();
    let firsts = store.firsts(url_id, &Vec::from_iter(orders)).await?;
    let firsts: HashMap<OrderId, DeliveryId> = firsts.into_iter().map(|first| (first.order_id, first.delivery_id)).collect();
    let mut waiting = Vec::new();
    jobs.retain(|job| match firsts.get(&job.order_id) {
        _ if job.origin == Origin::Debug => true,
        Some(first) if *first == job.delivery_id => true,
        Some(first) => {
            waiting.push((job.order_id, *first));
            false
        }
        // It has come to its end meanwhile.
        None => false,
    });
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::MerchantId;
    use std::future::ready;

    fn job(number: i64) -> Job {
        Job {
            delivery_id: DeliveryId(number),
            notification_id: NotificationId(number),
            order_id: OrderId(number),
            merchant_id: MerchantId(1),
            url_id: UrlId(1),
            origin: Origin::Arrival,
            attempts: 0,
            window_from: None,
            due_at: Timestamp(number),
            body: None,
        }
    }

    #[tokio::test]
    async fn as_many_messages_are_read_as_there_is_room_for() {
        for (length, all) in [(1, true), (2_500, true), (20_000, false), (300_000, false)] {
            let mut jobs: Vec<Job> = (0..1_000).map(job).collect();
            let message = Bytes::from(vec![b'x'; length]);
            add_messages(&mut jobs, |ids| {
                assert!((1..=MOST).contains(&ids.len()));
                ready(Ok(ids.into_iter().map(|id| (id, message.clone())).collect()))
            })
            .await
            .unwrap();
            let read = jobs.iter().take_while(|job| job.body.is_some()).count();
            assert!(jobs[read..].iter().all(|job| job.body.is_none()), "those that are due first have theirs");
            assert_eq!(read == jobs.len(), all, "{length}: {read} were read");
            assert!(all || (BYTES..BYTES + BYTES_AT_A_TIME.max(FIRST * length)).contains(&(read * length)), "{length}: {read}");
        }
    }
}
