//! Notification URLs: what is entered, the check as the gateway does it, and what pages show.

use super::{ServiceResult, Services, dashboard::EXPIRED_SHOWN, fields, keys, merchant_ref, own_headers, terms::TermsForm};
use crate::server::{
    dispatch::{
        attempt::{USER_AGENT, own_headers as own_headers_of},
        client::{Outbound, Target},
    },
    store::{Actor, Merchant, NotificationUrl, OwnHeader, UrlDraft, UrlState},
};
use crate::{
    domain::{
        Algorithms, AppError, Cause, Format, Terms,
        attempt::{UrlCheck, bounded_note},
        id::UrlId,
        pages::{
            dashboard::{Hold, Pause},
            settings::{IpnSettings, UrlView},
        },
        terms::DEFAULT_IN_FLIGHT,
    },
    words::{reworded, t},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use std::sync::Arc;

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
    /// Headers beside ours, a line each.
    pub headers: String,
    pub terms: TermsForm,
}

/// The fields of the form, in its order.
const FIELDS: [&str; 13] = [
    "label",
    "url",
    "format",
    "algorithms",
    "triggers",
    "retries",
    "own_delays",
    "max_in_flight",
    "rate_per_second",
    "timeout",
    "headers",
    "shadow",
    "authority",
];

impl Services {
    /// Checks what was entered; the URL itself is not asked. `id` is that of a URL that is there already.
    pub fn url_draft(&self, merchant: &Merchant, id: Option<UrlId>, form: &UrlForm) -> Result<(UrlDraft, Target), AppError> {
        let mut mistakes = fields::Mistakes::default();
        let target = mistakes.take("url", Target::parse(&form.url));
        let label = match (form.label.trim(), &target) {
            // What is wrong then is the URL, and that has been said.
            ("", target) => target.as_ref().map(|target| self.own_name(merchant, id, target)),
            (label, _) => mistakes.take("label", fields::name(t!("a name for the URL"), label)),
        };
        let has_own_signatures = form.terms.format.parse::<Format>().is_ok_and(|format| format != Format::Ipn);
        if form.algorithms.is_empty() && !has_own_signatures {
            mistakes.add("algorithms", t!("Choose at least one algorithm; MD5 is the one that every listener knows."));
        }
        let terms = form.terms.read(&mut mistakes);
        if !form.concurrent && !form.terms.max_in_flight.trim().is_empty() && terms.max_in_flight != DEFAULT_IN_FLIGHT {
            mistakes.add("max_in_flight", t!("Tick “Allow concurrent requests” to have several at a time, or leave this empty."));
        }
        let known = self.store.settings();
        let known = id.and_then(|id| known.url(id)).filter(|url| url.merchant_id == merchant.id);
        let known = known.map_or(&[][..], |url| &url.headers);
        let headers = mistakes.take("headers", own_headers::read(&form.headers, known));
        if form.is_default && form.terms.shadow {
            mistakes.add("shadow", t!("The default URL cannot be a shadow: nobody would be told when it fails."));
        }
        mistakes.end_in(&FIELDS)?;
        let (Some(target), Some(label), Some(headers)) = (target, label, headers) else { return Err(AppError::NotFound) };
        let draft = UrlDraft {
            merchant_id: merchant.id,
            label,
            url: form.url.trim().to_owned(),
            is_default: form.is_default,
            // Kept for the day on which the 2Checkout form is chosen again.
            algorithms: if form.algorithms.is_empty() { Algorithms::MD5 } else { form.algorithms },
            concurrent: form.concurrent,
            order_in_order: form.order_in_order,
            held: form.held,
            headers,
            terms,
            check: None,
        };
        Ok((draft, target))
    }

    /// What a URL is called to which nobody gave a name: its host, and more of it where another URL of the merchant has that name.
    fn own_name(&self, merchant: &Merchant, id: Option<UrlId>, target: &Target) -> String {
        let settings = self.store.settings();
        let is_free = |name: &String| settings.urls_of(merchant.id).iter().all(|url| Some(url.id) == id || url.label != *name);
        // Never the query: it may hold a password.
        let path = target.path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let names = [target.host.clone(), target.authority.clone(), format!("{}{path}", target.authority)]
            .map(|name| fields::cut_name(&name));
        let numbered = (2..).map(|number| fields::cut_name(&format!("{number}: {}", target.authority)));
        names.into_iter().chain(numbered).find(is_free).unwrap_or_default()
    }

    /// Another URL of the merchant that leads to the same address: each notification would arrive there twice.
    pub fn url_twin(&self, merchant: &Merchant, id: Option<UrlId>, target: &Target) -> Option<String> {
        let same = |url: &NotificationUrl| Target::parse(&url.url).is_ok_and(|other| other.is_same_as(target));
        let settings = self.store.settings();
        let twin = settings.urls_of(merchant.id).iter().find(|url| Some(url.id) != id && same(url))?;
        Some(twin.label.clone())
    }

    /// A URL of a merchant that was not removed.
    pub fn find_url(&self, merchant: &Merchant, id: UrlId) -> Result<Arc<NotificationUrl>, AppError> {
        let settings = self.store.settings();
        settings.url(id).filter(|url| url.merchant_id == merchant.id).cloned().ok_or(AppError::NotFound)
    }

    /// Asks a URL with GET, as the gateway does when one is saved there: it must answer 200.
    pub async fn check_url(&self, target: &Target, headers: &[OwnHeader], terms: &Terms) -> UrlCheck {
        let own = own_headers_of(headers);
        let mut headers =
            vec![(header::USER_AGENT, HeaderValue::from_static(USER_AGENT)), (header::ACCEPT, HeaderValue::from_static("*/*"))];
        headers.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        headers.extend(own);
        let (authority, timeout) = (terms.authority.as_str(), terms.timeout);
        let outbound = Outbound { target, authority, method: Method::GET, headers, body: Bytes::new(), timeout };
        let exchange = self.client.send(&outbound).await;
        let at = self.clock.now();
        let answer = &exchange.answer;
        let (cause, note) = match (&exchange.failure, answer.status) {
            (_, 200) => (None, String::new()),
            // Who takes POST alone is there.
            (None, 405) if terms.format != Format::Ipn => (None, String::new()),
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
            None => {
                let (actor, merchant_id) = (actor.into(), draft.merchant_id);
                let seen = actor.seen;
                let added = self.store.add_url(draft, actor).await;
                // Only a default URL can be there already.
                let settings = self.store.settings();
                let known = settings.urls_of(merchant_id).iter().find(|url| url.is_default).map_or(0, |url| url.id.get());
                self.or_conflict(known, seen, added).await
            }
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
        let actor = actor.into();
        let seen = actor.seen;
        let done = self.store.hold_url(merchant.id, id, held, actor).await;
        self.or_conflict(id.get(), seen, done).await
    }

    /// Asks a URL again as it is saved, and keeps the result; not over what somebody changes about it meanwhile.
    pub async fn check_again(&self, merchant: &Merchant, id: UrlId, actor: impl Into<Actor> + Send) -> ServiceResult<UrlCheck> {
        let actor = actor.into();
        let url = self.find_url(merchant, id)?;
        let target = Target::parse(&url.url).map_err(|message| AppError::field("url", reworded(&message)))?;
        let mut draft = draft_of(&url);
        let check = self.check_url(&target, &draft.headers, &draft.terms).await;
        draft.check = Some(check.clone());
        self.save_url(Some(id), draft, actor.having_seen(Some(url.version))).await?;
        Ok(check)
    }

    /// Takes a URL out of use; what is open for it is cancelled.
    pub async fn remove_url(&self, merchant: &Merchant, id: UrlId, actor: impl Into<Actor> + Send) -> ServiceResult<()> {
        let actor = actor.into();
        let seen = actor.seen;
        let removed = self.store.remove_url(merchant.id, id, actor).await;
        self.or_conflict(id.get(), seen, removed).await
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
        Ok(IpnSettings {
            merchant: merchant_ref(merchant),
            key_hint: keys::hint(&merchant.secret_key),
            old_key: self.old_key(merchant),
            triggers: merchant.triggers,
            tags: merchant.tags.clone(),
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
        headers: url.headers.clone(),
        terms: url.terms.clone(),
        check: None,
    }
}

/// How a URL came to be on hold, where it is.
pub fn hold_of(url: &NotificationUrl) -> Option<Hold> {
    url.held.then_some(Hold { since: url.held_at, cause: url.held_cause })
}

pub(super) fn view(url: &NotificationUrl, state: UrlState, pause: Option<Pause>) -> UrlView {
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
        headers: own_headers::shown(&url.headers),
        new_key_at: url.new_key_at,
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
