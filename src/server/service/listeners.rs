//! Listeners: making them, and what came in.

use super::{
    ServiceResult, Services, fields,
    gateways::{check_secret, gateway_form, gateway_guide, options, unknown_form},
    merchant_ref, shown,
};
use crate::server::{
    gateway::Preset,
    store::{Actor, Listener, ListenerDraft, Merchant, Note, Secret, random},
};
use crate::{
    domain::{
        Algorithms, AppError, Gateway, Timestamp,
        id::{ListenerId, RefusalId, VerifyingId},
        pages::{
            inbound::VerifyingPage,
            listeners::{ListenerList, ListenerPage, ListenerRow, RefusalPage},
        },
    },
    words::t,
};
use std::{collections::BTreeMap, sync::Arc};

/// What somebody enters for a listener.
#[derive(Debug, Clone)]
pub struct ListenerForm {
    pub gateway: Gateway,
    pub label: String,
    /// Empty leaves the secret of a listener as it is.
    pub secret: String,
    /// What else the gateway asks for, by name.
    pub options: BTreeMap<String, String>,
    /// Of 2Checkout's algorithms; other gateways have their own.
    pub required: Algorithms,
    pub enabled: bool,
}

/// The path that a gateway posts to.
pub fn path(listener: &Listener) -> String {
    format!("/ipn/{}", listener.path_key)
}

impl Services {
    /// Adds a listener under an address that nobody can guess.
    pub async fn add_listener(
        &self,
        merchant: &Merchant,
        form: &ListenerForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<Arc<Listener>> {
        let draft = listener_draft(merchant, form, self.preset(form.gateway)?, None)?;
        let path_key = hex::encode(random::<12>());
        let id = self.store.add_listener(draft, path_key, actor).await?;
        Ok(self.find_listener(merchant, id)?)
    }

    /// Changes a listener.
    pub async fn change_listener(
        &self,
        merchant: &Merchant,
        id: ListenerId,
        form: &ListenerForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let listener = self.find_listener(merchant, id)?;
        if listener.gateway != form.gateway {
            let message = t!("A listener keeps its gateway; add a new listener for another.");
            return Err(AppError::field("gateway", message).into());
        }
        let draft = listener_draft(merchant, form, self.preset(form.gateway)?, Some(&listener))?;
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.update_listener(id, draft, actor).await;
        self.or_conflict(id.get(), seen, saved).await?;
        // What waits because the gateway did not take the credentials need not wait longer.
        if self.preset(form.gateway)?.confirm.is_some() {
            self.store.hurry_verifying(id, None).await?;
            self.asked.notify_one();
        }
        Ok(())
    }

    /// A message that waits for its gateway's word.
    pub async fn verifying_page(&self, merchant: &Merchant, id: VerifyingId, may_ask: bool) -> ServiceResult<VerifyingPage> {
        let stored = self.store.verifying(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let listener = self.find_listener(merchant, stored.listener_id)?;
        let confirm = self.gateways.get(listener.gateway).and_then(|preset| preset.confirm.as_ref());
        Ok(VerifyingPage {
            merchant: merchant_ref(merchant),
            listener: self.row(&listener, (None, None)),
            row: stored.row,
            asked_at: confirm.map(|confirm| confirm.base(&listener.options).to_owned()).unwrap_or_default(),
            head: stored.head,
            fields: shown::fields(&stored.body),
            body: shown::text(&stored.body),
            may_ask,
        })
    }

    /// Has the gateway asked about a message at once; gives the listener that it came in at.
    pub async fn ask_now(
        &self,
        merchant: &Merchant,
        id: VerifyingId,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<ListenerId> {
        let stored = self.store.verifying(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        self.store.hurry_verifying(stored.listener_id, Some(id)).await?;
        let note = Note {
            merchant_id: Some(merchant.id),
            action: "verifying.ask",
            subject: stored.row.reference,
            detail: self.find_listener(merchant, stored.listener_id).map(|listener| listener.label.clone()).unwrap_or_default(),
        };
        self.store.note(note, actor).await?;
        self.asked.notify_one();
        Ok(stored.listener_id)
    }

    pub(super) fn find_listener(&self, merchant: &Merchant, id: ListenerId) -> Result<Arc<Listener>, AppError> {
        let listeners = self.store.settings().listeners_of(merchant.id);
        listeners.into_iter().find(|listener| listener.id == id).ok_or(AppError::NotFound)
    }

    /// A merchant's listeners.
    pub async fn listener_list(&self, merchant: &Merchant, may_change: bool) -> ServiceResult<ListenerList> {
        let activity = self.store.listener_activity(merchant.id).await?;
        let listeners = self.store.settings().listeners_of(merchant.id);
        let rows = listeners
            .iter()
            .map(|listener| self.row(listener, activity.get(&listener.id).copied().unwrap_or_default()))
            .collect();
        Ok(ListenerList { merchant: merchant_ref(merchant), rows, base: self.base.clone(), may_change })
    }

    /// One listener with what it received last.
    pub async fn listener_page(&self, merchant: &Merchant, id: ListenerId, may_change: bool) -> ServiceResult<ListenerPage> {
        let listener = self.find_listener(merchant, id)?;
        let received = self.store.received_by(id).await?;
        let refused = self.store.refused_by(id).await?;
        let last = (received.iter().map(|row| row.received_at).max(), refused.first().map(|row| row.at));
        let preset = self.gateways.get(listener.gateway);
        let gateway = preset.map(|preset| gateway_form(preset, &listener.options));
        Ok(ListenerPage {
            merchant: merchant_ref(merchant),
            listener: self.row(&listener, last),
            gateway: gateway.unwrap_or_else(|| unknown_form(listener.gateway)),
            guide: gateway_guide(preset, &format!("{}{}", self.base, path(&listener))),
            base: self.base.clone(),
            received,
            refused,
            may_change,
        })
    }

    pub(super) fn row(&self, listener: &Listener, (received, refused): (Option<Timestamp>, Option<Timestamp>)) -> ListenerRow {
        ListenerRow {
            id: listener.id,
            label: listener.label.clone(),
            gateway: listener.gateway,
            gateway_label: self.gateways.label(listener.gateway),
            path: path(listener),
            required: listener.required,
            enabled: listener.enabled,
            last_received_at: received,
            last_refused_at: refused,
            version: listener.version,
        }
    }

    /// One refused message.
    pub async fn refusal_page(&self, merchant: &Merchant, id: RefusalId) -> ServiceResult<RefusalPage> {
        let stored = self.store.refusal(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let listener = self.find_listener(merchant, stored.listener_id.ok_or(AppError::NotFound)?)?;
        Ok(RefusalPage {
            merchant: merchant_ref(merchant),
            listener: self.row(&listener, (None, Some(stored.row.at))),
            refusal: stored.row,
            head: stored.head,
            fields: shown::fields(&stored.body),
            body: shown::text(&stored.body),
        })
    }
}

fn listener_draft(
    merchant: &Merchant,
    form: &ListenerForm,
    preset: &Preset,
    known: Option<&Listener>,
) -> Result<ListenerDraft, AppError> {
    let mut mistakes = fields::Mistakes::default();
    let label = match form.label.trim() {
        "" => mistakes.take("label", fields::name(t!("a name for the listener"), &preset.label)),
        label => mistakes.take("label", fields::name(t!("a name for the listener"), label)),
    };
    let secret = match form.secret.trim() {
        "" if known.is_some() => None,
        // Nothing is checked with it; it only must not be empty.
        _ if preset.secret.unused => Some(hex::encode(random::<16>())),
        secret => {
            mistakes.take("secret", fields::secret(secret).and_then(|secret| check_secret(preset, &secret).map(|()| secret)))
        }
    };
    let options =
        options(preset, &form.options, &known.map(|listener| listener.options.clone()).unwrap_or_default(), &mut mistakes);
    let has_algorithms = preset.adapter.is_some();
    if has_algorithms && form.required.is_empty() {
        mistakes.add("required", t!("Choose at least one algorithm that may sign."));
    }
    mistakes.end_in(&["label", "secret", "required"])?;
    Ok(ListenerDraft {
        merchant_id: merchant.id,
        gateway: form.gateway,
        label: label.unwrap_or_default(),
        secret: secret.map(Secret::new),
        options: Some(options),
        required: if has_algorithms { form.required } else { Algorithms::ALL },
        enabled: form.enabled,
    })
}
