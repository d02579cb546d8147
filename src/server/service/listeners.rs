//! Listeners: making them, and what came in.

use super::{ServiceResult, Services, fields, merchant_ref, shown};
use crate::domain::{
    Algorithms, AppError, Gateway, Timestamp,
    id::{ListenerId, RefusalId},
    pages::listeners::{ListenerList, ListenerPage, ListenerRow, RefusalPage},
};
use crate::server::store::{Listener, ListenerDraft, Merchant, Secret, random};
use std::sync::Arc;

/// What somebody enters for a listener.
#[derive(Debug, Clone)]
pub struct ListenerForm {
    pub gateway: Gateway,
    pub label: String,
    /// Empty leaves the secret of a listener as it is.
    pub secret: String,
    pub required: Algorithms,
    pub enabled: bool,
}

/// The path that a gateway posts to.
pub fn path(listener: &Listener) -> String {
    format!("/ipn/{}", listener.path_key)
}

impl Services {
    /// Adds a listener under an address that nobody can guess.
    pub async fn add_listener(&self, merchant: &Merchant, form: &ListenerForm, actor: &str) -> ServiceResult<Arc<Listener>> {
        let draft = listener_draft(merchant, form, true)?;
        let path_key = hex::encode(random::<12>());
        let id = self.store.add_listener(draft, path_key, actor.to_owned()).await?;
        Ok(self.find_listener(merchant, id)?)
    }

    /// Changes a listener.
    pub async fn change_listener(
        &self,
        merchant: &Merchant,
        id: ListenerId,
        form: &ListenerForm,
        actor: &str,
    ) -> ServiceResult<()> {
        let draft = listener_draft(merchant, form, false)?;
        Ok(self.store.update_listener(id, draft, actor.to_owned()).await?)
    }

    fn find_listener(&self, merchant: &Merchant, id: ListenerId) -> Result<Arc<Listener>, AppError> {
        let listeners = self.store.settings().listeners_of(merchant.id);
        listeners.into_iter().find(|listener| listener.id == id).ok_or(AppError::NotFound)
    }

    /// A merchant's listeners.
    pub async fn listener_list(&self, merchant: &Merchant, may_change: bool) -> ServiceResult<ListenerList> {
        let activity = self.store.listener_activity(merchant.id).await?;
        let listeners = self.store.settings().listeners_of(merchant.id);
        let rows =
            listeners.iter().map(|listener| row(listener, activity.get(&listener.id).copied().unwrap_or_default())).collect();
        Ok(ListenerList { merchant: merchant_ref(merchant), rows, base: self.base.clone(), may_change })
    }

    /// One listener with what it received last.
    pub async fn listener_page(&self, merchant: &Merchant, id: ListenerId, may_change: bool) -> ServiceResult<ListenerPage> {
        let listener = self.find_listener(merchant, id)?;
        let received = self.store.received_by(id).await?;
        let refused = self.store.refused_by(id).await?;
        let last = (received.iter().map(|row| row.received_at).max(), refused.first().map(|row| row.at));
        Ok(ListenerPage {
            merchant: merchant_ref(merchant),
            listener: row(&listener, last),
            base: self.base.clone(),
            received,
            refused,
            may_change,
        })
    }

    /// One refused message.
    pub async fn refusal_page(&self, merchant: &Merchant, id: RefusalId) -> ServiceResult<RefusalPage> {
        let stored = self.store.refusal(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let listener = self.find_listener(merchant, stored.listener_id.ok_or(AppError::NotFound)?)?;
        Ok(RefusalPage {
            merchant: merchant_ref(merchant),
            listener: row(&listener, (None, Some(stored.row.at))),
            refusal: stored.row,
            head: stored.head,
            fields: shown::fields(&stored.body),
            body: shown::text(&stored.body),
        })
    }
}

fn listener_draft(merchant: &Merchant, form: &ListenerForm, secret_needed: bool) -> Result<ListenerDraft, AppError> {
    let mut mistakes = fields::Mistakes::default();
    let label = match form.label.trim() {
        "" => Some(form.gateway.label().to_owned()),
        label => mistakes.take("label", fields::name("a name for the listener", label)),
    };
    let secret = match form.secret.trim() {
        "" if !secret_needed => None,
        secret => mistakes.take("secret", fields::secret(secret)),
    };
    if form.required.is_empty() {
        mistakes.add("required", "Choose at least one algorithm that may sign.");
    }
    mistakes.end()?;
    Ok(ListenerDraft {
        merchant_id: merchant.id,
        gateway: form.gateway,
        label: label.unwrap_or_default(),
        secret: secret.map(Secret::new),
        required: form.required,
        enabled: form.enabled,
    })
}

fn row(listener: &Listener, (received, refused): (Option<Timestamp>, Option<Timestamp>)) -> ListenerRow {
    ListenerRow {
        id: listener.id,
        label: listener.label.clone(),
        gateway: listener.gateway,
        path: path(listener),
        required: listener.required,
        enabled: listener.enabled,
        last_received_at: received,
        last_refused_at: refused,
    }
}
