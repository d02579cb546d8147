//! What both engines keep in the same way: where secrets belong, and how a URL's settings read in the audit log.

use super::{
    Actor, Alerts, OwnHeader, Secret, StoreError, Thresholds, UrlDraft,
    acts::{Audit, Changed},
    vault::Vault,
};
use crate::domain::{GatewayOptions, Tags, Timestamp, Triggers, audit::Differences, id::MerchantId, mail::MailSettings};

/// A URL that is not the default one any more, because another took its place.
pub(super) fn demotion(actor: &Actor, merchant_id: MerchantId, id: i64, version: i64, url: String) -> Audit<'_> {
    let fields = Differences::default().flag("Default", true, false).end();
    Audit {
        actor,
        merchant_id: Some(merchant_id),
        action: "url.change",
        subject: url,
        detail: String::new(),
        change: Some(Changed { id, version, fields }),
    }
}

/// The place of a merchant's key.
pub(super) fn secret_key(id: i64) -> String {
    format!("merchant.secret_key/{id}")
}

/// The place of a merchant's key before.
pub(super) fn old_key(id: i64) -> String {
    format!("merchant.old_key/{id}")
}

/// The place of a listener's secret.
pub(super) fn listener(id: i64) -> String {
    format!("listener.secret/{id}")
}

fn options(id: i64) -> String {
    format!("listener.options/{id}")
}

/// Opens what else a listener's gateway needs.
pub(super) fn options_of(vault: &Vault, id: i64, sealed: Option<&[u8]>) -> Result<GatewayOptions, StoreError> {
    let Some(sealed) = sealed else { return Ok(GatewayOptions::default()) };
    let place = options(id);
    let opened = unseal(vault, &place, sealed)?;
    serde_json::from_slice(opened.reveal()).map_err(|error| StoreError::Corrupt(format!("{place}: {error}")))
}

/// What else a listener's gateway needs, sealed.
pub(super) fn sealed_options(vault: &Vault, id: i64, own: Option<&GatewayOptions>) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(own) = own else { return Ok(None) };
    let text = serde_json::to_vec(own).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Some(vault.seal(&options(id), &text)))
}

fn headers(id: i64) -> String {
    format!("notification_url.headers/{id}")
}

/// Opens what was sealed for a place.
pub(super) fn unseal(vault: &Vault, place: &str, sealed: &[u8]) -> Result<Secret, StoreError> {
    vault.unseal(place, sealed).ok_or_else(|| StoreError::Corrupt(format!("{place} does not open with the key file")))
}

/// Whom a merchant has mailed, from what the database keeps.
pub(super) fn mail_of(id: i64, json: Option<&str>) -> Result<Option<MailSettings>, StoreError> {
    let Some(json) = json else { return Ok(None) };
    let read = serde_json::from_str(json);
    read.map(Some).map_err(|error| StoreError::Corrupt(format!("merchant.mail/{id}: {error}")))
}

/// What a line of the audit log says of a merchant's mails.
pub(super) fn mail_detail(mail: &MailSettings) -> String {
    let on: Vec<_> = mail.switched_on().map(|template| template.status.code()).collect();
    let sender = if mail.sender.is_empty() { "the installation's address" } else { &mail.sender };
    let on = if on.is_empty() { "nobody is mailed".to_owned() } else { on.join(", ") };
    format!("{on}; from {sender}{}", if mail.tests { "; test orders, too" } else { "" })
}

/// The headers of a URL, sealed: their values may be secrets.
pub(super) fn sealed_headers(vault: &Vault, id: i64, own: &[OwnHeader]) -> Result<Option<Vec<u8>>, StoreError> {
    if own.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<_> = own.iter().map(|header| (&header.name, String::from_utf8_lossy(header.value.reveal()))).collect();
    let json = serde_json::to_vec(&pairs).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Some(vault.seal(&headers(id), &json)))
}

/// The headers of a URL from what was sealed.
pub(super) fn headers_of(vault: &Vault, id: i64, sealed: Option<&[u8]>) -> Result<Vec<OwnHeader>, StoreError> {
    let Some(sealed) = sealed else { return Ok(Vec::new()) };
    let json = unseal(vault, &headers(id), sealed)?;
    let pairs: Vec<(String, String)> =
        serde_json::from_slice(json.reveal()).map_err(|_| StoreError::Corrupt(format!("{} are no headers", headers(id))))?;
    Ok(pairs.into_iter().map(|(name, value)| OwnHeader { name, value: Secret::new(value) }).collect())
}

/// What a line of the audit log says of a URL; never a secret.
pub(super) fn url_detail(draft: &UrlDraft) -> String {
    let mut detail = draft.algorithms.to_string();
    if !draft.terms.format.is_usual() {
        detail.push_str(&format!(", format {}", draft.terms.format));
    }
    for (flag, word) in [
        (draft.is_default, "default"),
        (draft.concurrent, "concurrent"),
        (draft.order_in_order, "order-in-order"),
        (draft.held, "on hold"),
        (draft.terms.shadow, "shadow"),
        (!draft.terms.authority.is_empty(), "own certificates"),
    ] {
        if flag {
            detail.push_str(", ");
            detail.push_str(word);
        }
    }
    if draft.concurrent {
        detail.push_str(&format!(", {} at a time", draft.terms.max_in_flight));
    }
    if let Some(rate) = draft.terms.rate_per_second {
        detail.push_str(&format!(", {rate} a second"));
    }
    detail.push_str(&format!(", retries {}", draft.terms.retries));
    if let Some(triggers) = draft.terms.triggers {
        detail.push_str(&format!(", triggers {triggers}"));
    }
    if let Some(seconds) = draft.terms.timeout {
        detail.push_str(&format!(", {seconds} s to answer"));
    }
    for header in &draft.headers {
        detail.push_str(&format!(", header {}", header.name));
    }
    detail
}

/// What a line of the audit log says of how long an old key stays valid.
pub(super) fn overlap(until: Timestamp, now: Timestamp) -> String {
    let minutes = until.since(now).as_secs().div_ceil(60);
    if until <= now { "the old key ends at once".to_owned() } else { format!("the old key is valid for {minutes} minutes more") }
}

/// What a line of the audit log says of what leaves.
pub(super) fn content(triggers: Triggers, tags: &Tags) -> String {
    let tags = tags.names().map_or_else(|| "all fields".to_owned(), |names| format!("fields {names}"));
    format!("{}; {tags}", triggers.words())
}

/// What a line of the audit log says of where alerts go.
pub(super) fn alerts(alerts: Option<&Alerts>) -> String {
    let told = |alerts: &Alerts| {
        let whom: Vec<_> = alerts.kept_url().into_iter().chain(alerts.kept_mails()).collect();
        let Thresholds { after, certificate, outstanding } = alerts.thresholds;
        let whom = if whom.is_empty() { "nobody".to_owned() } else { whom.join(", ") };
        let mut told = format!("{whom} after {} min", after / 60);
        if let Some(days) = certificate {
            told.push_str(&format!(", {days} days before a certificate ends"));
        }
        if let Some(count) = outstanding {
            told.push_str(&format!(", from {count} outstanding deliveries on"));
        }
        told
    };
    alerts.map_or_else(|| "none".to_owned(), told)
}
