//! The audit log as pages show it, what somebody is told whose form is older than what it would change, and values that are
//! revealed, each with a line in the log.

use super::{ServiceError, ServiceResult, Services, merchant_ref, shown};
use crate::domain::{
    AppError,
    audit::FieldChange,
    id::{DeliveryId, NotificationId, OrderId, RefusalId, VerifyingId},
    pages::audit::{AuditFilter, AuditLog, AuditRow, Conflict},
};
use crate::server::store::{Actor, Merchant, Note, StoreError};

/// Of what others changed as much is told to whoever was about to change the same; it travels in a cookie.
const MOST_TOLD: usize = 5;
const MOST_FIELDS: usize = 6;
const MOST_LETTERS: usize = 60;
/// Of a revealed value as much travels in a cookie.
const MOST_REVEALED: usize = 800;
/// Of a field's name as much is written down.
const MOST_NAME: usize = 100;

/// Which masked value to reveal.
#[derive(Debug, Clone)]
pub struct RevealWish {
    /// `order`, `notification`, `attempt` or `answer` (what was sent, and what came back), `refusal` or `verifying`.
    pub of: String,
    pub id: String,
    /// Of the attempt.
    pub number: u32,
    /// As it is called there.
    pub field: String,
    /// Which of several of this name, from 0.
    pub nth: usize,
}

impl Services {
    /// Lines of the audit log, of one merchant or of everything.
    pub async fn audit_log(&self, merchant: Option<&Merchant>, filter: &AuditFilter) -> ServiceResult<AuditLog> {
        let (mut rows, more) = self.store.audit_log(merchant.map(|merchant| merchant.id), filter).await?;
        if merchant.is_none() {
            let settings = self.store.settings();
            for row in &mut rows {
                row.merchant = row.merchant_id.and_then(|id| settings.merchant(id)).map(|merchant| merchant_ref(merchant));
            }
        }
        Ok(AuditLog { rows, more })
    }

    /// What came of a change; where somebody else was faster, what he changed.
    pub async fn or_conflict<T: Send>(&self, id: i64, seen: Option<i64>, result: Result<T, StoreError>) -> ServiceResult<T> {
        match result {
            Err(StoreError::Changed(version)) => {
                let changes = self.store.changes_of(id, seen.unwrap_or_default()).await?;
                let changes = changes.into_iter().take(MOST_TOLD).map(told).collect();
                Err(AppError::Changed(Box::new(Conflict { version, changes })).into())
            }
            result => Ok(result?),
        }
    }

    /// A value that is masked for whoever asks, written down before it is given.
    pub async fn reveal(&self, merchant: &Merchant, wish: &RevealWish, actor: impl Into<Actor> + Send) -> ServiceResult<String> {
        let (subject, fields) = self.fields_of(merchant, wish).await?;
        let found = fields.into_iter().filter(|(name, _)| *name == wish.field).nth(wish.nth);
        let (name, value) = found.ok_or(AppError::NotFound)?;
        let detail = name.chars().take(MOST_NAME).collect();
        let note = Note { merchant_id: Some(merchant.id), action: "personal.reveal", subject, detail };
        self.store.note(note, actor).await?;
        Ok(short(&value, MOST_REVEALED))
    }

    /// What the log calls a thing, and its fields.
    async fn fields_of(&self, merchant: &Merchant, wish: &RevealWish) -> ServiceResult<(String, Vec<(String, String)>)> {
        fn id<T: std::str::FromStr>(wish: &RevealWish) -> Result<T, AppError> {
            wish.id.parse().map_err(|_| AppError::NotFound)
        }
        Ok(match wish.of.as_str() {
            "order" => {
                let order = self.store.order(merchant.id, id::<OrderId>(wish)?).await?.ok_or(AppError::NotFound)?;
                let fields = [("customer", order.customer), ("email", order.email), ("external", order.external)];
                let fields = fields.map(|(name, value)| (name.to_owned(), value)).to_vec();
                (format!("order {}", order.reference), fields)
            }
            "notification" => {
                let page = self.notification_page(merchant, id::<NotificationId>(wish)?, false).await?;
                (format!("notification of order {}", page.reference), page.fields)
            }
            "attempt" => {
                let page = self.attempt_page(merchant, id::<DeliveryId>(wish)?, wish.number, false).await?;
                (format!("attempt {} of order {}", wish.number, page.reference), page.fields)
            }
            "answer" => {
                let page = self.attempt_page(merchant, id::<DeliveryId>(wish)?, wish.number, false).await?;
                (format!("answer to attempt {} of order {}", wish.number, page.reference), page.answer_fields)
            }
            "verifying" => {
                let stored = self.store.verifying(merchant.id, id::<VerifyingId>(wish)?).await?.ok_or(AppError::NotFound)?;
                (format!("message being verified {}", wish.id), shown::fields(&stored.body))
            }
            "refusal" => {
                let stored = self.store.refusal(merchant.id, id::<RefusalId>(wish)?).await?.ok_or(AppError::NotFound)?;
                (format!("refused message {}", wish.id), shown::fields(&stored.body))
            }
            _ => return Err(ServiceError::App(AppError::NotFound)),
        })
    }
}

/// A line of the log, short enough to travel.
fn told(row: AuditRow) -> AuditRow {
    let field = |change: FieldChange| FieldChange {
        field: change.field,
        old: short(&change.old, MOST_LETTERS),
        new: short(&change.new, MOST_LETTERS),
    };
    AuditRow {
        actor: short(&row.actor, MOST_LETTERS),
        address: String::new(),
        subject: String::new(),
        detail: String::new(),
        changes: row.changes.into_iter().take(MOST_FIELDS).map(field).collect(),
        ..row
    }
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
