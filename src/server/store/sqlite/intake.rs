//! Before the journal: which messages are repeats, and which order each belongs to.
//!
//! Looks at what is on its way to the ledger first (memory), then at the ledger. In this order nothing slips through
//! between: a message leaves memory only after it is in the ledger.

use super::{
    events::{Event, MessageKey, OrderKey, PreparedAccept},
    journaler::Reply,
};
use crate::domain::id::{NotificationId, OrderId};
use crate::server::store::{Acceptance, StoreError, ids::IdSource};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The message that is the same.
pub(super) const SAME_MESSAGE: &str = "SELECT id FROM notification WHERE listener_id = ? AND event_at = ? AND digest = ?";
/// The order that a message is about.
pub(super) const SAME_ORDER: &str = "SELECT id FROM orders WHERE merchant_id = ? AND reference = ? AND gateway = ?";

/// A message, and who waits for it.
pub(super) type Waiting = (Box<PreparedAccept>, Reply<Acceptance>);

/// Messages and orders on their way to the ledger.
#[derive(Default)]
pub(super) struct Pending {
    messages: HashMap<MessageKey, NotificationId>,
    /// With the number of messages on their way that need the entry.
    orders: HashMap<OrderKey, (OrderId, u32)>,
}

/// Shared by the intake, which adds, and the writer of the ledger, which removes.
#[derive(Clone, Default)]
pub(super) struct SharedPending(Arc<Mutex<Pending>>);

impl SharedPending {
    fn with<T>(&self, work: impl FnOnce(&mut Pending) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what has reached the ledger.
    pub fn applied<'a>(&self, events: impl IntoIterator<Item = &'a Event>) {
        self.with(|pending| {
            for accepted in events.into_iter().filter_map(Event::accepted) {
                pending.forget(accepted.key(), &accepted.order_key());
            }
        });
    }

    /// Forgets messages that could not be journalled.
    pub fn failed(&self, messages: impl IntoIterator<Item = Keys>) {
        self.with(|pending| {
            for (message, order) in messages {
                pending.forget(message, &order);
            }
        });
    }
}

impl Pending {
    fn forget(&mut self, message: Option<MessageKey>, order: &OrderKey) {
        if let Some(key) = message {
            self.messages.remove(&key);
        }
        if let Some((_, users)) = self.orders.get_mut(order) {
            *users -= 1;
            if *users == 0 {
                self.orders.remove(order);
            }
        }
    }
}

/// A message that was looked up.
pub(super) struct Checked {
    pub prepared: Box<PreparedAccept>,
    pub kind: Kind,
    pub reply: Reply<Acceptance>,
}

/// What is on its way because of a message.
pub(super) type Keys = (Option<MessageKey>, OrderKey);

impl Checked {
    /// What is on its way because of it: nothing for a repeat.
    pub fn keys(&self) -> Option<Keys> {
        matches!(self.kind, Kind::Fresh { .. }).then(|| (self.prepared.key(), self.prepared.order_key()))
    }
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// New, and about this order.
    Fresh {
        order_id: OrderId,
        /// Nothing of it is in the ledger or on its way there.
        begins_order: bool,
    },
    /// The same as this one.
    Repeat(NotificationId),
}

/// What looks messages up.
pub(super) struct Intake {
    /// Reads the ledger.
    pub conn: Connection,
    pub pending: SharedPending,
    pub ids: Arc<IdSource>,
}

impl Intake {
    /// Looks messages up together, and notes them as on their way. Where the ledger cannot be read they are told so.
    pub fn check(&self, batch: Vec<Waiting>) -> Vec<Checked> {
        match self.kinds(&batch) {
            Ok(kinds) => {
                batch.into_iter().zip(kinds).map(|((prepared, reply), kind)| Checked { prepared, kind, reply }).collect()
            }
            Err(error) => {
                let text = error.to_string();
                for (_, reply) in batch {
                    let _ = reply.send(Err(StoreError::Unavailable(text.clone())));
                }
                Vec::new()
            }
        }
    }

    fn kinds(&self, batch: &[Waiting]) -> Result<Vec<Kind>, StoreError> {
        let (mut repeats, mut orders): (Vec<Option<NotificationId>>, Vec<Option<OrderId>>) = self.pending.with(|pending| {
            let known = |(prepared, _): &Waiting| {
                let message = prepared.key().and_then(|key| pending.messages.get(&key)).copied();
                (message, pending.orders.get(&prepared.order_key()).map(|(id, _)| *id))
            };
            batch.iter().map(known).unzip()
        });
        look_up(&self.conn, batch, &mut repeats, &mut orders)?;
        let new_order = |order: Option<OrderId>| (order.unwrap_or_else(|| OrderId(self.ids.next())), 0);
        Ok(self.pending.with(|pending| {
            let settle = |(((prepared, _), repeat), order): ((&Waiting, Option<NotificationId>), Option<OrderId>)| {
                let key = prepared.key();
                // The first of a batch may have come a moment before its own repeat.
                let repeat = repeat.or_else(|| pending.messages.get(key.as_ref()?).copied());
                if let Some(notification_id) = repeat {
                    return Kind::Repeat(notification_id);
                }
                pending.messages.extend(key.map(|key| (key, prepared.id)));
                let (order_id, users) = pending.orders.entry(prepared.order_key()).or_insert_with(|| new_order(order));
                *users += 1;
                Kind::Fresh { order_id: *order_id, begins_order: order.is_none() && *users == 1 }
            };
            batch.iter().zip(repeats).zip(orders).map(settle).collect()
        }))
    }
}

/// Fills in what the ledger knows.
fn look_up(
    conn: &Connection,
    batch: &[Waiting],
    repeats: &mut [Option<NotificationId>],
    orders: &mut [Option<OrderId>],
) -> Result<(), StoreError> {
    // One view of the ledger for the batch, and one lock instead of two for every message.
    let tx = conn.unchecked_transaction()?;
    let mut message = tx.prepare_cached(SAME_MESSAGE)?;
    let mut order = tx.prepare_cached(SAME_ORDER)?;
    for (((prepared, _), repeat), known) in batch.iter().zip(repeats).zip(orders) {
        let new = &prepared.new;
        if let (None, Some((listener, said_at, digest))) = (&repeat, prepared.key()) {
            let key = params![listener.0, said_at, &digest[..]];
            *repeat = message.query_row(key, |row| row.get(0).map(NotificationId)).optional()?;
        }
        if known.is_none() {
            let key = params![new.merchant_id.0, new.facts.reference.as_str(), new.gateway.name()];
            *known = order.query_row(key, |row| row.get(0).map(OrderId)).optional()?;
        }
    }
    Ok(())
}
