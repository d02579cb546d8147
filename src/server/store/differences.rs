//! What a change of settings changes, for the audit log and for whoever was about to change the same.

use super::{Alerts, Listener, ListenerDraft, Merchant, NotificationUrl, OwnHeader, UrlDraft};
use crate::domain::{
    Tags, Triggers,
    audit::{Differences, FieldChange},
    mail::{MailSettings, STATUSES},
};

/// Of a notification URL. Not known where this process has not heard of the change before this one yet.
pub(super) fn of_url(before: Option<&NotificationUrl>, version: i64, draft: &UrlDraft) -> Vec<FieldChange> {
    let Some(url) = before.filter(|url| url.version + 1 == version) else { return Vec::new() };
    let rate = |rate: Option<u16>| rate.map_or_else(|| "no limit".to_owned(), |rate| rate.to_string());
    let own_triggers = |own: Option<Triggers>| own.map_or_else(|| "those of the merchant".to_owned(), Triggers::words);
    let seconds = |own: Option<u16>| own.map_or_else(|| "as usual".to_owned(), |seconds| seconds.to_string());
    let names = |own: &[OwnHeader]| own.iter().map(|header| header.name.as_str()).collect::<Vec<_>>().join(", ");
    Differences::default()
        .field("Name", &url.label, &draft.label)
        .field("URL", &url.url, &draft.url)
        .flag("Default", url.is_default, draft.is_default)
        .field("Format", url.terms.format.short(), draft.terms.format.short())
        .field("Signed with", url.algorithms.labels(), draft.algorithms.labels())
        .flag("Allow concurrent requests", url.concurrent, draft.concurrent)
        .flag("Keep each order in order", url.order_in_order, draft.order_in_order)
        .flag("On hold", url.held, draft.held)
        .field("Requests at a time", url.terms.max_in_flight, draft.terms.max_in_flight)
        .field("Requests a second", rate(url.terms.rate_per_second), rate(draft.terms.rate_per_second))
        .field("Try again", url.terms.retries.to_string(), draft.terms.retries.to_string())
        .flag("Shadow", url.terms.shadow, draft.terms.shadow)
        .field("Own triggers", own_triggers(url.terms.triggers), own_triggers(draft.terms.triggers))
        .field("Seconds to answer", seconds(url.terms.timeout), seconds(draft.terms.timeout))
        .field("Headers of its own", names(&url.headers), names(&draft.headers))
        .secret("Value of a header", values_differ(&url.headers, &draft.headers))
        .secret("Certificates of a private authority", url.terms.authority != draft.terms.authority)
        .end()
}

/// Whether a header that was there before has another value now.
fn values_differ(before: &[OwnHeader], now: &[OwnHeader]) -> bool {
    let is_changed = |old: &OwnHeader| now.iter().any(|new| new.name.eq_ignore_ascii_case(&old.name) && new.value != old.value);
    before.iter().any(is_changed)
}

/// Of what leaves for a merchant's URLs.
pub(super) fn of_content(before: Option<&Merchant>, version: i64, triggers: Triggers, tags: &Tags) -> Vec<FieldChange> {
    let Some(merchant) = before.filter(|merchant| merchant.version + 1 == version) else { return Vec::new() };
    let fields = |tags: &Tags| tags.names().map_or_else(|| "all".to_owned(), |names| names.replace(',', ", "));
    Differences::default()
        .field("Triggers", merchant.triggers.words(), triggers.words())
        .field("Response tags", fields(&merchant.tags), fields(tags))
        .end()
}

/// Of where a merchant is told of trouble.
pub(super) fn of_alerts(before: Option<&Merchant>, version: i64, alerts: Option<&Alerts>) -> Vec<FieldChange> {
    let Some(merchant) = before.filter(|merchant| merchant.version + 1 == version) else { return Vec::new() };
    let url = |alerts: Option<&Alerts>| alerts.map(|alerts| alerts.url.clone()).unwrap_or_default();
    let number = |alerts: Option<&Alerts>, of: fn(&Alerts) -> Option<u32>| {
        alerts.and_then(of).map(|number| number.to_string()).unwrap_or_default()
    };
    let after = |alerts| number(alerts, |alerts| Some(alerts.thresholds.after / 60));
    let certificate = |alerts| number(alerts, |alerts| alerts.thresholds.certificate);
    let outstanding = |alerts| number(alerts, |alerts| alerts.thresholds.outstanding);
    let mails = |alerts: Option<&Alerts>| alerts.and_then(Alerts::kept_mails).unwrap_or_default();
    let old = merchant.alerts.as_ref();
    Differences::default()
        .field("Address for alerts", url(old), url(alerts))
        .field("E-mail addresses for alerts", mails(old), mails(alerts))
        .field("Minutes of failures", after(old), after(alerts))
        .field("Days before a certificate ends", certificate(old), certificate(alerts))
        .field("Outstanding deliveries", outstanding(old), outstanding(alerts))
        .end()
}

/// Of whom a merchant has mailed, and with what.
pub(super) fn of_mail(before: Option<&Merchant>, version: i64, mail: &MailSettings) -> Vec<FieldChange> {
    let Some(merchant) = before.filter(|merchant| merchant.version + 1 == version) else { return Vec::new() };
    let old = merchant.mail.clone().unwrap_or_default();
    let mut fields = Differences::default()
        .field("Sender's name", &old.sender_name, &mail.sender_name)
        .field("Sender's address", &old.sender, &mail.sender)
        .flag("Mail about TEST orders", old.tests, mail.tests);
    for status in STATUSES {
        let (was, is) = (old.template(status), mail.template(status));
        if was != is {
            let label = status.label();
            fields = fields
                .flag(&format!("Mail about {label}"), was.since.is_some(), is.since.is_some())
                .field(&format!("Subject for {label}"), &was.subject, &is.subject)
                .field(&format!("Text for {label}"), &was.text, &is.text);
        }
    }
    fields.end()
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
