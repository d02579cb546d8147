//! What a change of settings changes, for the audit log and for whoever was about to change the same.

use super::{Listener, ListenerDraft, NotificationUrl, UrlDraft};
use crate::domain::audit::{Differences, FieldChange};

/// Of a notification URL. Not known where this process has not heard of the change before this one yet.
pub(super) fn of_url(before: Option<&NotificationUrl>, version: i64, draft: &UrlDraft) -> Vec<FieldChange> {
    let Some(url) = before.filter(|url| url.version + 1 == version) else { return Vec::new() };
    let rate = |rate: Option<u16>| rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string());
    Differences::default()
        .field("Name", &url.label, &draft.label)
        .field("URL", &url.url, &draft.url)
        .flag("Default", url.is_default, draft.is_default)
        .field("Signed with", url.algorithms.labels(), draft.algorithms.labels())
        .flag("Allow concurrent requests", url.concurrent, draft.concurrent)
        .flag("Keep each order in order", url.order_in_order, draft.order_in_order)
        .flag("On hold", url.held, draft.held)
        .field("Requests at a time", url.terms.max_in_flight, draft.terms.max_in_flight)
        .field("Requests a second", rate(url.terms.rate_per_second), rate(draft.terms.rate_per_second))
        .field("Try again", url.terms.retries.to_string(), draft.terms.retries.to_string())
        .flag("Shadow", url.terms.shadow, draft.terms.shadow)
        .secret("Certificates of a private authority", url.terms.authority != draft.terms.authority)
        .end()
}

/// Of a listener.
pub(super) fn of_listener(before: Option<&Listener>, version: i64, draft: &ListenerDraft) -> Vec<FieldChange> {
    let Some(listener) = before.filter(|listener| listener.version + 1 == version) else { return Vec::new() };
    Differences::default()
        .field("Name", &listener.label, &draft.label)
        .field("Signatures that are enough", listener.required.labels(), draft.required.labels())
        .flag("Open", listener.enabled, draft.enabled)
        .secret("Secret key of the gateway", draft.secret.is_some())
        .secret("Further values of the gateway", draft.options.as_ref().is_some_and(|options| *options != listener.options))
        .end()
}
