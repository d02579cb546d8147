//! Notification URLs: what is entered, the check as the gateway does it, and what pages show.

use super::{ServiceResult, Services, dashboard::EXPIRED_SHOWN, fields, merchant_ref, terms::TermsForm};
use crate::domain::{
    Algorithms, AppError, Cause,
    attempt::{UrlCheck, bounded_note},
    id::UrlId,
    pages::{
        dashboard::{Hold, Pause},
        settings::{IpnSettings, UrlView},
    },
    terms::DEFAULT_IN_FLIGHT,
};
use crate::server::{
    dispatch::{
        attempt::USER_AGENT,
        client::{Outbound, Target},
    },
    store::{Actor, Merchant, NotificationUrl, UrlDraft, UrlState},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};

/// What somebody enters for a notification URL.
#[derive(Debug, Clone, Default)]
pub struct UrlForm {
    pub label: String,
    pub url: String,
    pub is_default: bool,
    pub algorithms: Algorithms,
    pub concurrent: bool,
    pub order_in_order: bool,
    pub held: bool,
    pub terms: TermsForm,
}

impl Services {
    /// Checks what was entered; the URL itself is not asked.
    pub fn url_draft(&self, merchant: &Merchant, form: &UrlForm) -> Result<(UrlDraft, Target), AppError> {
        let mut mistakes = fields::Mistakes::default();
        let target = mistakes.take("url", Target::parse(&form.url));
        let label = match (form.label.trim(), &target) {
            // What is wrong then is the URL, and that has been said.
            ("", target) => target.as_ref().map(|target| target.host.clone()),
            (label, _) => mistakes.take("label", fields::name("a name for the URL", label)),
        };
        if form.algorithms.is_empty() {
            mistakes.add("algorithms", "Choose at least one algorithm; MD5 is the one that every listener knows.");
        }
        let terms = form.terms.read(&mut mistakes);
        if !form.concurrent && !form.terms.max_in_flight.trim().is_empty() && terms.max_in_flight != DEFAULT_IN_FLIGHT {
            mistakes.add("max_in_flight", "Tick “Allow concurrent requests” to have several at a time, or leave this empty.");
        }
        if form.is_default && form.terms.shadow {
            mistakes.add("shadow", "The default URL cannot be a shadow: nobody would be told when it fails.");
        }
        mistakes.end()?;
        let (Some(target), Some(label)) = (target, label) else { return Err(AppError::NotFound) };
        let draft = UrlDraft {
            merchant_id: merchant.id,
            label,
            url: form.url.trim().to_owned(),
            is_default: form.is_default,
            algorithms: form.algorithms,
            concurrent: form.concurrent,
            order_in_order: form.order_in_order,
            held: form.held,
            terms,
            check: None,
        };
        Ok((draft, target))
    }

    /// Asks a URL with GET, as the gateway does when one is saved there: it must answer 200. `authority`: certificates
    /// that are trusted there beside the public ones.
    pub async fn check_url(&self, target: &Target, authority: &str) -> UrlCheck {
        let headers =
            vec![(header::USER_AGENT, HeaderValue::from_static(USER_AGENT)), (header::ACCEPT, HeaderValue::from_static("*/*"))];
        let exchange = self.client.send(&Outbound { target, authority, method: Method::GET, headers, body: Bytes::new() }).await;
        let at = self.clock.now();
        let answer = &exchange.answer;
        let (cause, note) = match (&exchange.failure, answer.status) {
            (_, 200) => (None, String::new()),
            (Some(failure), _) => (Some(failure.cause), failure.note.clone()),
            (None, status) => {
                let to = answer.location.as_ref().map_or_else(String::new, |to| format!(" It leads to {to}"));
                (Some(cause_of(status)), format!("A GET was answered with status {status}; 200 is wanted.{to}"))
            }
        };
        UrlCheck { at, cause, note: bounded_note(note) }
    }

    /// Saves a URL: a new one, or in place of one that is there.
    pub async fn save_url(&self, id: Option<UrlId>, draft: UrlDraft, actor: impl Into<Actor> + Send) -> ServiceResult<UrlId> {
        match id {
            Some(id) => {
                let actor = actor.into();
                let seen = actor.seen;
                let saved = self.store.update_url(id, draft, actor).await;
                self.or_conflict(id.get(), seen, saved).await?;
                Ok(id)
            }
            None => Ok(self.store.add_url(draft, actor).await?),
        }
    }

    /// Puts a URL on hold, or takes it off.
    pub async fn hold_url(
        &self,
        merchant: &Merchant,
        id: UrlId,
        held: bool,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        Ok(self.store.hold_url(merchant.id, id, held, actor).await?)
    }

    /// Takes a URL out of use; what is open for it is cancelled.
    pub async fn remove_url(&self, merchant: &Merchant, id: UrlId, actor: impl Into<Actor> + Send) -> ServiceResult<()> {
        Ok(self.store.remove_url(merchant.id, id, actor).await?)
    }

    /// The settings of a merchant.
    pub async fn ipn_settings(&self, merchant: &Merchant, may_change: bool) -> ServiceResult<IpnSettings> {
        let now = self.clock.now();
        let mut states = self.store.url_states(&[merchant.id], now.minus(EXPIRED_SHOWN)).await?;
        let settings = self.store.settings();
        let views = settings.urls_of(merchant.id).iter().map(|url| {
            let state = states.remove(&url.id).unwrap_or_default();
            // Where nothing waits there is nothing to hold back.
            let pause = self.board.pause(url.id, now).filter(|_| state.outstanding() > 0);
            view(url, state, pause)
        });
        let (default, urls): (Vec<_>, Vec<_>) = views.partition(|view| view.is_default);
        let key = String::from_utf8_lossy(merchant.secret_key.reveal()).into_owned();
        let key_hint =
            key.chars().skip(key.chars().count().saturating_sub(if key.chars().count() > 8 { 4 } else { 1 })).collect();
        Ok(IpnSettings {
            merchant: merchant_ref(merchant),
            key_hint,
            version: merchant.version,
            default_url: default.into_iter().next(),
            urls,
            may_change,
        })
    }
}

/// The settings of a URL as a draft to change.
pub fn draft_of(url: &NotificationUrl) -> UrlDraft {
    UrlDraft {
        merchant_id: url.merchant_id,
        label: url.label.clone(),
        url: url.url.clone(),
        is_default: url.is_default,
        algorithms: url.algorithms,
        concurrent: url.concurrent,
        order_in_order: url.order_in_order,
        held: url.held,
        terms: url.terms.clone(),
        check: None,
    }
}

/// How a URL came to be on hold, where it is.
pub fn hold_of(url: &NotificationUrl) -> Option<Hold> {
    url.held.then_some(Hold { since: url.held_at, cause: url.held_cause })
}

fn view(url: &NotificationUrl, state: UrlState, pause: Option<Pause>) -> UrlView {
    UrlView {
        id: url.id,
        label: url.label.clone(),
        url: url.url.clone(),
        is_default: url.is_default,
        algorithms: url.algorithms,
        concurrent: url.concurrent,
        order_in_order: url.order_in_order,
        hold: hold_of(url),
        pause,
        terms: url.terms.clone(),
        outstanding: state.outstanding() + state.held_back,
        confirmed: state.confirmed,
        failing: state.is_failing() && !url.held,
        check: state.check,
        version: url.version,
    }
}

const fn cause_of(status: u16) -> Cause {
    match status {
        300..=399 => Cause::Redirect,
        401 | 403 => Cause::Denied,
        404 => Cause::NotFound,
        405 => Cause::MethodRefused,
        410 => Cause::Gone,
        429 => Cause::RateLimited,
        400..=499 => Cause::ClientError,
        500..=599 => Cause::ServerError,
        _ => Cause::OtherStatus,
    }
}
