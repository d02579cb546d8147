//! What pages show of customers, masked for whoever may not see it.

use super::{
    audit::AuditLog,
    bulk::{BulkList, BulkPage},
    dashboard::Dashboard,
    deliveries::{DeliveryList, DeliveryRow},
    inbound::{InboundList, InboundMessage, InboundRow, StrayList, StrayPage, VerifyingPage},
    listeners::{ListenerPage, RefusalPage},
    mail::MailPage,
    orders::{AttemptPage, DeliveryPage, NotificationPage, OrderList, OrderRow},
    search::{Found, SearchResults},
    settings::AlertSettings,
    simulate::{CheckResult, Judgement, OrderPreview},
    simulator::SimulatorPage,
    story::{Comparison, Happening, ResendPage, StoryPage, WatchPage, Watched},
};
use crate::domain::{
    attempt::VerdictDetail,
    personal::{Kind, Known, Personal, form, is_form, is_json, json, kind_of, masked, received_body, text},
};

impl Personal for OrderRow {
    fn mask(&mut self) {
        self.customer = masked(Kind::Name, &self.customer);
        self.email = masked(Kind::Email, &self.email);
        // A merchant's own number may be anything, also an address.
        self.external = text(&self.external, &Known::default());
    }
}

impl Personal for OrderList {
    fn mask(&mut self) {
        self.rows.iter_mut().for_each(Personal::mask);
    }
}

impl Personal for StoryPage {
    fn mask(&mut self) {
        self.order.mask();
        for entry in &mut self.entries {
            match &mut entry.what {
                Happening::Refused { detail, .. } => *detail = text(detail, &Known::default()),
                Happening::Mailed { recipient, note, .. } => {
                    *note = text(note, &Known::default());
                    *recipient = masked(Kind::Email, recipient);
                }
                _ => {}
            }
        }
    }
}

impl Personal for MailPage {
    fn mask(&mut self) {
        for row in &mut self.failed {
            row.recipient = masked(Kind::Email, &row.recipient);
            row.note = text(&row.note, &Known::default());
            // What is filled in may be a name.
            row.subject.clear();
        }
    }
}

impl Personal for ResendPage {
    fn mask(&mut self) {
        self.order.mask();
    }
}

impl Personal for WatchPage {
    fn mask(&mut self) {
        self.order.mask();
        self.watched.iter_mut().for_each(Personal::mask);
    }
}

impl Personal for Watched {
    fn mask(&mut self) {
        let known = Known::of_body(&self.request_body);
        self.request_head = mask_head(&self.request_head, &known);
        self.request_body = received_body(&self.request_body, &known);
        if let Some(answer) = &mut self.answer {
            answer.head = text(&answer.head, &known);
            answer.body = mask_answer(&answer.body, &known);
            answer.note = text(&answer.note, &known);
        }
    }
}

/// Lines of then and now name the field that they compare.
fn mask_comparison(comparison: &mut Comparison, known: &Known) {
    let Comparison::Made(lines) = comparison else { return };
    for line in lines {
        let kind = line.what.strip_prefix("Field ").and_then(kind_of);
        // What is no form decodes to names that are none.
        line.what = text(&line.what, known);
        for value in [&mut line.then, &mut line.now] {
            if value != "not there" {
                *value = kind.map_or_else(|| text(value, known), |kind| masked(kind, value));
            }
        }
    }
}

/// A body and its decoded fields, by their names. What is no form decodes to names that are none.
fn mask_body(body: &mut String, fields: &mut Vec<(String, String)>, known: &Known) {
    let is_name =
        |name: &str| name.len() <= 200 && !name.contains(|letter: char| letter.is_whitespace() || "{}<>\"".contains(letter));
    fields.retain(|(name, _)| is_form(body) || (is_json(body) && is_name(name)));
    *body = received_body(body, known);
    mask_fields(fields, known);
}

/// Decoded fields, by their names and by what stands in them.
fn mask_fields(fields: &mut [(String, String)], known: &Known) {
    for (name, value) in fields {
        *value = match kind_of(name) {
            Some(kind) => masked(kind, value),
            None => text(value, known),
        };
        *name = text(name, known);
    }
}

/// What was read of an answer may be JSON or anything.
fn mask_answer(body: &str, known: &Known) -> String {
    if is_json(body) { json(body, known) } else { text(body, known) }
}

/// A head: the first line may have a query, and any other whatever somebody put there.
fn mask_head(head: &str, known: &Known) -> String {
    let (line, rest) = head.split_once('\n').map_or((head, ""), |(line, rest)| (line, rest));
    let line = match line.split_once('?').and_then(|(path, query)| Some((path, query.rsplit_once(' ')?))) {
        Some((path, (query, version))) => format!("{path}?{} {version}", form(query, known)),
        None => text(line, known),
    };
    let rest = text(rest, known);
    if head.contains('\n') { format!("{line}\n{rest}") } else { line }
}

fn mask_detail(detail: &mut VerdictDetail, known: &Known) {
    for part in [&mut detail.note, &mut detail.found, &mut detail.source, &mut detail.expected] {
        *part = text(part, known);
    }
}

impl Personal for NotificationPage {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        self.head = mask_head(&self.head, &known);
        mask_body(&mut self.body, &mut self.fields, &known);
    }
}

impl Personal for AttemptPage {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        self.request_head = mask_head(&self.request_head, &known);
        mask_body(&mut self.request_body, &mut self.fields, &known);
        self.request_base64 = None;
        self.answer_head = text(&self.answer_head, &known);
        self.answer_body = mask_answer(&self.answer_body, &known);
        mask_fields(&mut self.answer_fields, &known);
        mask_detail(&mut self.detail, &known);
        mask_comparison(&mut self.comparison, &known);
    }
}

impl Personal for RefusalPage {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        self.refusal.detail = text(&self.refusal.detail, &known);
        self.head = mask_head(&self.head, &known);
        mask_body(&mut self.body, &mut self.fields, &known);
    }
}

impl Personal for VerifyingPage {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        self.head = mask_head(&self.head, &known);
        mask_body(&mut self.body, &mut self.fields, &known);
    }
}

impl Personal for ListenerPage {
    fn mask(&mut self) {
        for row in &mut self.refused {
            row.detail = text(&row.detail, &Known::default());
        }
    }
}

impl Personal for InboundRow {
    fn mask(&mut self) {
        if let InboundMessage::Refused(row) = &mut self.message {
            row.detail = text(&row.detail, &Known::default());
        }
    }
}

impl Personal for InboundList {
    fn mask(&mut self) {
        self.rows.iter_mut().for_each(Personal::mask);
    }
}

impl Personal for StrayList {
    fn mask(&mut self) {
        for row in &mut self.rows {
            row.detail = text(&row.detail, &Known::default());
        }
    }
}

impl Personal for StrayPage {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        self.refusal.detail = text(&self.refusal.detail, &known);
        self.head = mask_head(&self.head, &known);
        mask_body(&mut self.body, &mut self.fields, &known);
    }
}

impl Personal for SearchResults {
    fn mask(&mut self) {
        for hit in &mut self.hits {
            if let Found::Order(order) = &mut hit.found {
                order.mask();
            }
        }
    }
}

impl Personal for OrderPreview {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        mask_body(&mut self.body, &mut self.fields, &known);
        self.source = text(&self.source, &known);
    }
}

impl Personal for CheckResult {
    fn mask(&mut self) {
        let known = Known::of(&self.fields);
        for (name, value) in &mut self.fields {
            *value = kind_of(name).map_or_else(|| text(value, &known), |kind| masked(kind, value));
        }
        self.source = text(&self.source, &known);
        let judged = self.signatures.iter_mut().chain(&mut self.computed).chain(&mut self.receipt);
        judged.for_each(|judgement| mask_judgement(judgement, &known));
    }
}

fn mask_judgement(judgement: &mut Judgement, known: &Known) {
    for part in [&mut judgement.found, &mut judgement.source, &mut judgement.expected] {
        *part = text(part, known);
    }
}

/// What holds nothing of customers says so here, so that every page passes the same gate and a new field is thought of.
macro_rules! holds_nothing {
    ($($page:ty),+) => {$(
        impl Personal for $page {
            fn mask(&mut self) {}
        }
    )+};
}

// A simulated message holds what whoever sees it has entered himself.
holds_nothing!(AlertSettings, AuditLog, BulkList, BulkPage, Dashboard, DeliveryList, DeliveryRow, DeliveryPage, SimulatorPage);
