//! Lists as files: CSV (RFC 4180), a page of the list at a time, so that a list of any length needs the memory of one page.

use super::{ServiceResult, Services};
use crate::server::store::{Actor, Merchant};
use crate::{
    domain::{
        AppError, Cause, Timestamp, Zone,
        pages::{
            deliveries::{DeliveryFilter, DeliveryRow},
            inbound::{InboundFilter, InboundMessage, InboundRow},
            orders::{OrderFilter, OrderRow},
            views::ListKind,
        },
        personal::Personal,
        time::iso,
    },
    words::t,
};
use std::sync::Arc;

/// Rows read at a time.
const STEP: u32 = 500;
/// Tells programs that guess that the text is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";
/// Cells that begin so are taken for formulas by spreadsheets.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Which list, by its filter.
#[derive(Debug, Clone)]
pub enum ListFilter {
    /// With the filter as the address of the page says it.
    Orders(OrderFilter, String),
    Deliveries(DeliveryFilter),
    Inbound(InboundFilter),
}

/// A list on its way into a file.
pub struct Export {
    services: Services,
    merchant: Arc<Merchant>,
    /// What is still to be read; nothing at the end.
    rest: Option<ListFilter>,
    /// What the file begins with, until it is written.
    head: Option<String>,
    /// Whoever takes it along may not see the data of customers.
    masked: bool,
}

impl Services {
    /// Begins a file of a list, and notes in the audit log who took it along. With `masked` the data of customers are.
    pub async fn begin_export(
        &self,
        merchant: Arc<Merchant>,
        filter: ListFilter,
        mark: bool,
        masked: bool,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<Export> {
        let (list, query, columns) = match &filter {
            ListFilter::Orders(_, query) => (ListKind::Orders, query.clone(), &ORDER_COLUMNS[..]),
            ListFilter::Deliveries(filter) => (ListKind::Deliveries, filter.whole().query(), &DELIVERY_COLUMNS[..]),
            ListFilter::Inbound(filter) => (ListKind::Inbound, filter.whole().query(), &INBOUND_COLUMNS[..]),
        };
        self.store.note_export(merchant.id, list, query, actor).await?;
        let mut head = if mark { BYTE_ORDER_MARK.to_owned() } else { String::new() };
        line(&mut head, columns.iter().copied());
        let rest = match filter {
            // Letter by letter somebody who sees masked addresses would find out the rest.
            ListFilter::Orders(filter, query) => ListFilter::Orders(OrderFilter { after: None, masked, ..filter }, query),
            ListFilter::Deliveries(filter) => ListFilter::Deliveries(DeliveryFilter { masked, ..filter.whole() }),
            ListFilter::Inbound(filter) => ListFilter::Inbound(InboundFilter { masked, ..filter.whole() }),
        };
        Ok(Export { services: self.clone(), merchant, rest: Some(rest), head: Some(head), masked })
    }
}

impl Export {
    /// The next part of the file; `None` at its end.
    pub async fn next(&mut self) -> ServiceResult<Option<String>> {
        let Some(rest) = self.rest.take() else { return Ok(None) };
        let settings = self.services.store.settings();
        let zone = &self.merchant.zone;
        let mut text = self.head.take().unwrap_or_default();
        match rest {
            ListFilter::Orders(mut filter, query) => {
                let (mut rows, more, truncated) = self.services.store.find_some_orders(self.merchant.id, &filter, STEP).await?;
                if truncated {
                    return Err(too_many());
                }
                if self.masked {
                    rows.iter_mut().for_each(Personal::mask);
                }
                for row in &rows {
                    line(&mut text, order_cells(row, zone).iter().map(String::as_str));
                }
                filter.after = rows.last().filter(|_| more).map(|last| last.id);
                self.rest = filter.after.map(|_| ListFilter::Orders(filter, query));
            }
            ListFilter::Deliveries(mut filter) => {
                let mut found = self.services.store.find_deliveries(self.merchant.id, &filter, STEP).await?;
                if found.truncated {
                    return Err(too_many());
                }
                if self.masked {
                    found.rows.iter_mut().for_each(Personal::mask);
                }
                for row in &found.rows {
                    line(&mut text, delivery_cells(row, zone).iter().map(String::as_str));
                }
                filter.after = found.next;
                self.rest = found.next.map(|_| ListFilter::Deliveries(filter));
            }
            ListFilter::Inbound(mut filter) => {
                let mut found = self.services.store.find_inbound(self.merchant.id, &filter, STEP).await?;
                if found.truncated {
                    return Err(too_many());
                }
                if self.masked {
                    found.rows.iter_mut().for_each(Personal::mask);
                }
                let listeners = settings.listeners_of(self.merchant.id);
                for row in &found.rows {
                    let listener = listeners.iter().find(|listener| Some(listener.id) == row.listener);
                    let label = listener.map_or("", |listener| listener.label.as_str());
                    line(&mut text, inbound_cells(row, label, zone).iter().map(String::as_str));
                }
                filter.after = found.next;
                self.rest = found.next.map(|_| ListFilter::Inbound(filter));
            }
        }
        Ok(Some(text))
    }
}

fn too_many() -> super::ServiceError {
    AppError::field("text", t!("More orders begin like this than are looked through; type more of the reference.")).into()
}

const ORDER_COLUMNS: [&str; 18] = [
    "order",
    "external_reference",
    "gateway",
    "status",
    "gateway_status",
    "amount",
    "currency",
    "test",
    "customer",
    "email",
    "queued",
    "retrying",
    "held",
    "confirmed",
    "expired",
    "cancelled",
    "first_seen_at",
    "changed_at",
];

fn order_cells(row: &OrderRow, zone: &Zone) -> [String; 18] {
    let counts = &row.deliveries;
    [
        row.reference.clone(),
        row.external.clone(),
        row.gateway.name().to_owned(),
        row.status.code().to_owned(),
        row.vendor_status.clone(),
        row.amount.map(|money| money.decimal()).unwrap_or_default(),
        row.amount.map(|money| money.currency.code().to_owned()).unwrap_or_default(),
        row.test.to_string(),
        row.customer.clone(),
        row.email.clone(),
        counts.queued.to_string(),
        counts.retrying.to_string(),
        counts.held.to_string(),
        counts.confirmed.to_string(),
        counts.expired.to_string(),
        counts.cancelled.to_string(),
        local(row.created_at, zone),
        local(row.updated_at, zone),
    ]
}

const DELIVERY_COLUMNS: [&str; 15] = [
    "delivery",
    "notification",
    "order",
    "status",
    "test",
    "url_label",
    "url",
    "shadow",
    "state",
    "attempts",
    "cause",
    "made_at",
    "last_attempt_at",
    "next_attempt_at",
    "ended_at",
];

fn delivery_cells(row: &DeliveryRow, zone: &Zone) -> [String; 15] {
    let delivery = &row.delivery;
    let moment = |at: Option<Timestamp>| at.map(|at| local(at, zone)).unwrap_or_default();
    [
        delivery.id.to_string(),
        delivery.notification_id.to_string(),
        row.reference.clone(),
        row.vendor_status.clone(),
        row.test.to_string(),
        delivery.url_label.clone(),
        delivery.url.clone(),
        delivery.shadow.to_string(),
        delivery.state.label().to_lowercase(),
        delivery.attempts.to_string(),
        delivery.last_cause.map_or("", Cause::code).to_owned(),
        local(delivery.created_at, zone),
        moment(delivery.last_attempt_at),
        moment(delivery.due_at),
        moment(delivery.finished_at),
    ]
}

const INBOUND_COLUMNS: [&str; 14] = [
    "message",
    "received_at",
    "listener",
    "outcome",
    "reason",
    "detail",
    "order",
    "status",
    "test",
    "signatures",
    "message_id",
    "repeats",
    "from",
    "not_kept",
];

fn inbound_cells(row: &InboundRow, listener: &str, zone: &Zone) -> [String; 14] {
    let listener = listener.to_owned();
    match &row.message {
        InboundMessage::Accepted { row, message_id, peer } => [
            row.id.to_string(),
            local(row.received_at, zone),
            listener,
            "accepted".to_owned(),
            String::new(),
            String::new(),
            row.reference.clone(),
            row.vendor_status.clone(),
            row.test.to_string(),
            row.signatures.to_string(),
            message_id.clone(),
            row.repeats.to_string(),
            peer.clone(),
            String::new(),
        ],
        InboundMessage::Verifying(row) => [
            row.id.to_string(),
            local(row.received_at, zone),
            listener,
            "verifying".to_owned(),
            String::new(),
            row.note.clone(),
            row.reference.clone(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            row.repeats.to_string(),
            row.peer.clone(),
            String::new(),
        ],
        InboundMessage::Refused(row) => [
            row.id.to_string(),
            local(row.at, zone),
            listener,
            "refused".to_owned(),
            row.reason.code().to_owned(),
            row.detail.clone(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            row.peer.clone(),
            row.suppressed.to_string(),
        ],
    }
}

/// `2026-11-21T16:04:07+07:00`
fn local(at: Timestamp, zone: &Zone) -> String {
    let text = iso(zone.local(at));
    format!("{}{}", text.trim_end_matches('Z'), zone.offset(at))
}

/// An amount below zero is no formula: it can be summed up.
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    digits.starts_with(|letter: char| letter.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.matches('.').count() <= 1
}

/// Writes a line.
fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            text.push(',');
        }
        let is_formula = cell.starts_with(FORMULA) && !is_number(cell);
        let quoted = is_formula || cell.contains([',', '"', '\r', '\n']);
        if quoted {
            text.push('"');
        }
        // A text for spreadsheets, too, whatever it begins with.
        if is_formula {
            text.push('\'');
        }
        for letter in cell.chars() {
            if letter == '"' {
                text.push('"');
            }
            text.push(letter);
        }
        if quoted {
            text.push('"');
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_survive_and_are_no_formulas() {
        let mut text = String::new();
        line(
            &mut text,
            ["plain", "a,b", "say \"so\"", "two\r\nlines", "=1+1", "@SUM(A1)", "-5+1", "-5.20", "-", "", "ü"].into_iter(),
        );
        assert_eq!(
            text,
            "plain,\"a,b\",\"say \"\"so\"\"\",\"two\r\nlines\",\"'=1+1\",\"'@SUM(A1)\",\"'-5+1\",-5.20,\"'-\",,ü\r\n"
        );
    }

    #[test]
    fn moments_carry_their_distance_from_utc() {
        let zone = Zone::parse("Asia/Ho_Chi_Minh").unwrap();
        assert_eq!(local(Timestamp::from_seconds(1_795_252_447), &zone), "2026-11-21T16:14:07+07:00");
        assert_eq!(local(Timestamp::from_seconds(1_795_252_447), &Zone::default()), "2026-11-21T09:14:07+00:00");
    }
}
