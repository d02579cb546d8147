//! Orders in the ledger: what the messages of a chunk make of each, by the rules of `domain/order`.

use super::events::Accepted;
use crate::domain::{
    Money, OrderStatus, Timestamp,
    id::OrderId,
    order::{Refund, Refunds, Standing},
};
use crate::server::store::StoreError;
use rusqlite::{OptionalExtension as _, Transaction, params};
use std::collections::BTreeMap;

/// An order in the chunk: its standing, and the message that set it, if one of the chunk did.
pub(super) struct Order<'a> {
    standing: Option<Standing>,
    set_by: Option<&'a Accepted>,
    /// When the first message of the chunk came, and the last.
    since: Timestamp,
    touched_at: Timestamp,
    /// What messages of the chunk said; a later one may come without what an earlier one said.
    external: &'a str,
    email: &'a str,
    customer: &'a str,
    money: Option<Money>,
    /// As far as known before the messages of the chunk.
    amount: Option<i64>,
    refunds: Refunds,
    /// A message of the chunk told of a refund.
    refund_told: bool,
    /// It begins in the chunk: there is no row to look for.
    is_new: bool,
}

impl<'a> Order<'a> {
    /// Nothing is known of it.
    pub fn unknown() -> Self {
        Self {
            standing: None,
            set_by: None,
            since: Timestamp::default(),
            touched_at: Timestamp::default(),
            external: "",
            email: "",
            customer: "",
            money: None,
            amount: None,
            refunds: Refunds::default(),
            refund_told: false,
            is_new: false,
        }
    }

    /// Its first message is in the chunk.
    pub fn new() -> Self {
        Self { is_new: true, ..Self::unknown() }
    }

    /// Its status, with what refunds and the amount make of it.
    fn status(&self) -> Option<OrderStatus> {
        let amount = self.money.map(|money| money.minor).or(self.amount);
        Some(self.refunds.settle(self.standing?.status, amount))
    }

    /// As the table knows it.
    pub fn read(tx: &Transaction<'_>, id: OrderId) -> Result<Self, StoreError> {
        let query = "SELECT status, event_at, event_told, amount, refunded, refunded_total, status_rank FROM orders WHERE id = ?";
        let known = tx
            .prepare_cached(query)?
            .query_row([id.0], |row| {
                // What was told, which refunds may have made another status of.
                let told = row.get::<_, Option<u8>>(6)?.and_then(OrderStatus::of_rank);
                let status = told.unwrap_or(OrderStatus::from_code(row.get_ref(0)?.as_str()?));
                let standing = Standing { status, event_at: Timestamp(row.get(1)?), told: row.get(2)? };
                let refunds = Refunds { parts: row.get(4)?, total: row.get(5)? };
                Ok(Self { standing: Some(standing), amount: row.get(3)?, refunds, ..Self::unknown() })
            })
            .optional()?;
        Ok(known.unwrap_or_else(Self::unknown))
    }

    /// What a message makes of it.
    pub fn told(&mut self, event: &'a Accepted, message: Standing, refund: Option<Refund>) {
        if self.touched_at == Timestamp::default() {
            self.since = event.received_at;
        }
        self.touched_at = self.touched_at.max(event.received_at);
        if refund.is_some() {
            self.refunds = self.refunds.and(refund);
            self.refund_told = true;
        }
        if self.standing.is_none_or(|standing| standing.is_replaced_by(message)) {
            self.standing = Some(self.standing.map_or(message, |standing| standing.after(message)));
            self.set_by = Some(event);
            let facts = &event.facts;
            for (known, said) in
                [(&mut self.external, &facts.external), (&mut self.email, &facts.email), (&mut self.customer, &facts.customer)]
            {
                if !said.is_empty() {
                    *known = said;
                }
            }
            self.money = facts.amount.or(self.money);
        }
    }
}

macro_rules! insert {
    () => {
        "INSERT INTO orders (id, merchant_id, gateway, reference, external, email, customer, status, vendor_status,
             amount, currency, test, event_at, event_told, refunded, refunded_total, created_at, updated_at, status_rank)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
}

const INSERT: &str = insert!();

/// Writes the orders of a chunk.
pub(super) fn write(tx: &Transaction<'_>, orders: &BTreeMap<OrderId, Order<'_>>) -> Result<(), StoreError> {
    // A later message may come without tags that an earlier one had: what is known of an order stays known.
    let mut insert = tx.prepare_cached(INSERT)?;
    let mut upsert = tx.prepare_cached(concat!(
        insert!(),
        " ON CONFLICT (id) DO UPDATE SET
             external = CASE WHEN excluded.external = '' THEN external ELSE excluded.external END,
             email = CASE WHEN excluded.email = '' THEN email ELSE excluded.email END,
             customer = CASE WHEN excluded.customer = '' THEN customer ELSE excluded.customer END,
             status = excluded.status, status_rank = excluded.status_rank, vendor_status = excluded.vendor_status,
             amount = coalesce(excluded.amount, amount), currency = coalesce(excluded.currency, currency),
             test = excluded.test, event_at = excluded.event_at, event_told = excluded.event_told,
             refunded = excluded.refunded, refunded_total = excluded.refunded_total,
             updated_at = max(updated_at, excluded.updated_at)"
    ))?;
    let mut touch = tx.prepare_cached("UPDATE orders SET updated_at = max(updated_at, ?) WHERE id = ?")?;
    let mut refund = tx.prepare_cached(
        "UPDATE orders SET updated_at = max(updated_at, ?), status = ?, status_rank = ?, refunded = ?, refunded_total = ?
         WHERE id = ?",
    )?;
    for (id, order) in orders {
        let Some((event, standing)) = order.set_by.zip(order.standing) else {
            match order.status().zip(order.standing).filter(|_| order.refund_told) {
                Some((status, told)) => {
                    let Refunds { parts, total } = order.refunds;
                    let rank = told.status.rank();
                    refund.execute(params![order.touched_at.0, status.code(), rank, parts, total, id.0])?
                }
                None => touch.execute(params![order.touched_at.0, id.0])?,
            };
            continue;
        };
        let facts = &event.facts;
        // To look for a row first costs a tenth of what writing the order does.
        let write = if order.is_new { &mut insert } else { &mut upsert };
        write.execute(params![
            id.0,
            event.merchant_id.0,
            event.gateway.name(),
            facts.reference.as_str(),
            order.external,
            order.email,
            order.customer,
            order.status().unwrap_or(facts.status).code(),
            facts.vendor_status.as_str(),
            order.money.map(|money| money.minor),
            order.money.as_ref().map(|money| money.currency.code()),
            facts.test,
            standing.event_at.0,
            standing.told,
            order.refunds.parts,
            order.refunds.total,
            order.since.0,
            order.touched_at.0,
            standing.status.rank(),
        ])?;
    }
    Ok(())
}
