//! Alerts: a signed JSON message to an address of the merchant's, and a mail to whom he names, when one of his URLs has failed
//! for too long, when deliveries to it were given up, and when it takes deliveries again. At most one for a URL and hour.
//!
//! The message is signed as the Standard Webhooks specification describes, with the merchant's secret key as it stands.

use super::{ServiceResult, Services, dashboard::EXPIRED_SHOWN, fields::Mistakes, merchant_ref, urls::view};
use crate::server::{
    dispatch::{
        attempt::USER_AGENT,
        client::{Outbound, Target},
    },
    ipn::signature,
    mail::{Letter, is_address},
    store::{Actor, Alerts, Merchant, NewAlertMail, Note, NotificationUrl, UrlState, random},
};
use crate::{
    domain::{
        Algorithm, AppError, Cause, Timestamp,
        attempt::bounded_note,
        mail::on_one_line,
        pages::settings::{ALERT_AFTER, AlertKind, AlertRow, AlertSettings},
    },
    words::t,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two alerts about a URL.
const APART: Duration = Duration::from_secs(3_600);
/// An address that gets alerts must answer within so many seconds.
const TIMEOUT: u16 = 10;
/// Most e-mail addresses that get alerts.
const MOST_MAILS: usize = 10;
/// As many of the last mails are shown.
const MAILS_SHOWN: u32 = 10;
/// Longest time in minutes that a URL may fail before it is told: longer than a day is no alert.
const MAX_AFTER: u32 = 24 * 60;

impl Services {
    /// Where a merchant is told of trouble, and what was told last.
    pub async fn alert_settings(&self, merchant: &Merchant, may_change: bool) -> ServiceResult<AlertSettings> {
        let mut told = self.store.alerts_of(merchant.id).await?;
        let settings = self.store.settings();
        let told = settings.urls_of(merchant.id).iter().filter_map(|url| {
            let alert = told.remove(&url.id)?;
            Some((view(url, UrlState::default(), None), alert))
        });
        let alerts = merchant.alerts.clone().unwrap_or(Alerts { url: String::new(), mails: Vec::new(), after: ALERT_AFTER });
        let told: Vec<_> = told.collect();
        Ok(AlertSettings {
            merchant: merchant_ref(merchant),
            url: alerts.url,
            mails: alerts.mails.join(", "),
            sends_mail: self.mailer.is_some(),
            mailed: self.store.alert_mails(merchant.id, MAILS_SHOWN).await?,
            after: alerts.after,
            version: merchant.version,
            told,
            may_change,
        })
    }

    /// Sets where a merchant is told of trouble: an address for signed JSON, and e-mail addresses; nobody is told where both are
    /// empty. `after` is in minutes.
    pub async fn save_alerts(
        &self,
        merchant: &Merchant,
        url: &str,
        mails: &str,
        after: &str,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let mut mistakes = Mistakes::default();
        let url = url.trim();
        if !url.is_empty() {
            mistakes.take("url", Target::parse(url));
        }
        let mails = mistakes.take("mails", mail_addresses(mails)).unwrap_or_default();
        let minutes = match after.trim() {
            "" => Some(ALERT_AFTER / 60),
            text => text.parse().ok().filter(|minutes| (1..=MAX_AFTER).contains(minutes)),
        };
        if minutes.is_none() {
            mistakes.add("after", t!("Enter a number of minutes from 1 to {most}.", most = MAX_AFTER));
        }
        mistakes.end()?;
        let after = minutes.unwrap_or_default() * 60;
        let is_any = !url.is_empty() || !mails.is_empty();
        let alerts = is_any.then(|| Alerts { url: url.to_owned(), mails, after });
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.set_alerts(merchant.id, alerts, actor).await;
        self.or_conflict(merchant.id.get(), seen, saved).await
    }

    /// Sends an alert that says that it is a test; gives what became of it.
    pub async fn test_alert(&self, merchant: &Merchant, actor: impl Into<Actor> + Send) -> ServiceResult<Tested> {
        let alerts = merchant
            .alerts
            .as_ref()
            .ok_or_else(|| AppError::field("url", t!("Enter an address for alerts and save it first.")))?;
        let (subject, detail) = (alerts.url.clone(), alerts.mails.join(", "));
        self.store.note(Note { merchant_id: Some(merchant.id), action: "alerts.test", subject, detail }, actor).await?;
        let at = self.clock.now();
        let note = "This is a test. Alerts about your notification URLs look like this.";
        let mut tested = Tested::default();
        if !alerts.url.is_empty() {
            tested.answer = Some(self.send_alert(merchant, alerts, AlertKind::Test, at, &json!({ "message": note })).await);
        }
        let Some(mailer) = &self.mailer else {
            tested.no_mailer = !alerts.mails.is_empty();
            return Ok(tested);
        };
        let subject = format!("[TEST] Quittance: alerts of {}", on_one_line(&merchant.name));
        let text = format!("{note}\n\n{}/m/{}/settings/alerts\n", self.base, merchant.slug);
        for to in &alerts.mails {
            let id = format!("quittance-test-{}", hex::encode(random::<8>()));
            let letter = Letter { id: &id, to, from: "", from_name: "Quittance", subject: &subject, text: &text };
            match mailer.send(&letter).await {
                Ok(()) => tested.mailed.push(to.clone()),
                Err(untaken) => tested.not_mailed.push((to.clone(), super::mail::told(&untaken))),
            }
        }
        Ok(tested)
    }

    /// Looks at the URLs of all merchants who want to be told, and tells.
    pub async fn tell_of_trouble(&self) -> ServiceResult<()> {
        let settings = self.store.settings();
        for merchant in settings.merchants() {
            let Some(alerts) = &merchant.alerts else { continue };
            let now = self.clock.now();
            let states = self.store.url_states(&[merchant.id], now.minus(EXPIRED_SHOWN)).await?;
            let told = self.store.alerts_of(merchant.id).await?;
            for url in settings.urls_of(merchant.id).iter().filter(|url| !url.held && !url.terms.shadow) {
                let Some(state) = states.get(&url.id) else { continue };
                let last = told.get(&url.id);
                let expired = self.expired_since(&merchant, url, state, last).await?;
                let Some(kind) = kind_of(state, expired, last, now, alerts.after) else { continue };
                let mails = self.mails_about(&merchant, alerts, url, (kind, state, expired), last);
                if self.store.claim_alert(url.id, kind, now, now.minus(APART), mails).await? && !alerts.url.is_empty() {
                    let row = self.send_alert(&merchant, alerts, kind, now, &self.about(&merchant, url, state, expired)).await;
                    self.store.alert_result(url.id, row.status, row.cause, row.note).await?;
                }
            }
        }
        Ok(())
    }

    /// Deliveries given up since the last alert.
    async fn expired_since(
        &self,
        merchant: &Merchant,
        url: &NotificationUrl,
        state: &UrlState,
        last: Option<&AlertRow>,
    ) -> ServiceResult<u64> {
        match last {
            Some(last) if state.expired > 0 && last.told_at > self.clock.now().minus(EXPIRED_SHOWN) => {
                let since = self.store.url_states(&[merchant.id], last.told_at).await?;
                Ok(since.get(&url.id).map_or(0, |state| state.expired))
            }
            _ => Ok(state.expired),
        }
    }

    /// The mails that tell of a URL. What is told once more because the address for JSON did not take it was mailed already.
    fn mails_about(
        &self,
        merchant: &Merchant,
        alerts: &Alerts,
        url: &NotificationUrl,
        (kind, state, expired): (AlertKind, &UrlState, u64),
        last: Option<&AlertRow>,
    ) -> Vec<NewAlertMail> {
        let is_again = kind != AlertKind::Expired && last.is_some_and(|last| last.kind == kind && last.cause.is_some());
        if self.mailer.is_none() || is_again {
            return Vec::new();
        }
        let (name, label) = (on_one_line(&merchant.name), on_one_line(&url.label));
        let (subject, news) = match kind {
            AlertKind::Failing => (
                format!("{name}: {label} is failing"),
                format!(
                    "The notification URL {label} has failed since {}.",
                    state.failing_since.map(rfc3339).unwrap_or_default()
                ),
            ),
            AlertKind::Expired => (
                format!("{name}: deliveries to {label} expired"),
                format!("Deliveries to the notification URL {label} were given up."),
            ),
            AlertKind::Recovered => (
                format!("{name}: {label} takes deliveries again"),
                format!("The notification URL {label} takes deliveries again."),
            ),
            AlertKind::Test => return Vec::new(),
        };
        let why = state.failing_cause.filter(|_| kind != AlertKind::Recovered);
        let why = why.map(|cause| format!("{}\nWhat to do: {}\n\n", cause.sentence(), cause.cure())).unwrap_or_default();
        let given_up = if expired > 0 { format!("Given up: {expired}\n") } else { String::new() };
        let text = format!(
            "{news}\n{}\n\n{why}Outstanding: {}\n{given_up}\n{}/m/{}/deliveries?url={}\n",
            on_one_line(&url.url),
            state.outstanding(),
            self.base,
            merchant.slug,
            url.id
        );
        let mail = |recipient: &String| NewAlertMail {
            merchant_id: merchant.id,
            recipient: recipient.clone(),
            subject: subject.clone(),
            text: text.clone(),
        };
        alerts.mails.iter().map(mail).collect()
    }

    fn about(&self, merchant: &Merchant, url: &NotificationUrl, state: &UrlState, expired: u64) -> Value {
        json!({
            "merchant": { "name": merchant.name, "slug": merchant.slug },
            "url": { "id": url.id, "label": url.label, "url": url.url },
            "since": state.failing_since.map(rfc3339),
            "cause": state.failing_cause.map(Cause::code),
            "sentence": state.failing_cause.map(Cause::sentence),
            "cure": state.failing_cause.map(Cause::cure),
            "outstanding": state.outstanding(),
            "expired": expired,
            "panel": format!("{}/m/{}/deliveries?url={}", self.base, merchant.slug, url.id),
        })
    }

    async fn send_alert(&self, merchant: &Merchant, alerts: &Alerts, kind: AlertKind, at: Timestamp, about: &Value) -> AlertRow {
        let row = |status, cause, note| AlertRow { kind, told_at: at, status, cause, note: bounded_note(note) };
        let target = match Target::parse(&alerts.url) {
            Ok(target) => target,
            Err(note) => return row(None, Some(Cause::UrlInvalid), note),
        };
        let body =
            json!({ "type": format!("notification-url.{}", kind.code()), "timestamp": rfc3339(at), "data": about }).to_string();
        let (id, seconds) = (format!("alert_{}", hex::encode(random::<12>())), (at.millis() / 1_000).to_string());
        let signed = signature::sign(Algorithm::Sha2, merchant.secret_key.reveal(), format!("{id}.{seconds}.{body}").as_bytes());
        let signed = format!("v1,{}", STANDARD.encode(hex::decode(signed).unwrap_or_default()));
        let text = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
        let headers = vec![
            (header::USER_AGENT, HeaderValue::from_static(USER_AGENT)),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (HeaderName::from_static("webhook-id"), text(&id)),
            (HeaderName::from_static("webhook-timestamp"), text(&seconds)),
            (HeaderName::from_static("webhook-signature"), text(&signed)),
        ];
        let outbound =
            Outbound { target: &target, authority: "", method: Method::POST, headers, body: body.into(), timeout: Some(TIMEOUT) };
        let exchange = self.client.send(&outbound).await;
        let status = Some(exchange.answer.status).filter(|status| *status > 0);
        match (&exchange.failure, status) {
            (_, Some(status)) if (200..300).contains(&status) => row(Some(status), None, String::new()),
            (Some(failure), _) => row(status, Some(failure.cause), failure.note.clone()),
            (None, status) => {
                let answered = status.unwrap_or_default();
                let cause = if answered >= 500 { Cause::ServerError } else { Cause::OtherStatus };
                row(status, Some(cause), format!("It answered with status {answered}; one from 200 to 299 is wanted."))
            }
        }
    }
}

/// What became of a test.
#[derive(Debug, Clone, Default)]
pub struct Tested {
    /// Of the address for JSON, where there is one.
    pub answer: Option<AlertRow>,
    /// Whom the mail server took a mail for.
    pub mailed: Vec<String>,
    /// Whom not, and why, in words.
    pub not_mailed: Vec<(String, String)>,
    /// There are e-mail addresses, and the installation sends no mail.
    pub no_mailer: bool,
}

/// Reads e-mail addresses, with commas, semicolons or spaces between them; each stands there once.
fn mail_addresses(text: &str) -> Result<Vec<String>, String> {
    let words = text.split(|letter: char| matches!(letter, ',' | ';') || letter.is_whitespace());
    let mut mails: Vec<String> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !is_address(word) {
            let shown: String = word.chars().take(80).collect();
            return Err(t!(
                "{address} is no e-mail address; write such as alerts@example.com, with commas between several.",
                address = shown
            ));
        }
        if !mails.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            mails.push(word.to_owned());
        }
    }
    if mails.len() > MOST_MAILS {
        return Err(t!("Enter at most {most} addresses; a list of your own reaches more.", most = MOST_MAILS));
    }
    Ok(mails)
}

/// What is to be told now, if anything.
fn kind_of(state: &UrlState, expired: u64, last: Option<&AlertRow>, now: Timestamp, after: u32) -> Option<AlertKind> {
    let arrived = |row: &&AlertRow| row.cause.is_none();
    let threshold = Duration::from_secs(u64::from(after));
    let fails_long = state.retrying > 0 && state.failing_since.is_some_and(|since| now.since(since) >= threshold);
    let told_failing = last.filter(arrived).is_some_and(|row| row.kind == AlertKind::Failing);
    if expired > 0 && (!fails_long || told_failing) {
        return Some(AlertKind::Expired);
    }
    if fails_long {
        let told = last.filter(arrived).is_some_and(|row| matches!(row.kind, AlertKind::Failing | AlertKind::Expired));
        return (!told).then_some(AlertKind::Failing);
    }
    // It is back when something was confirmed after what was told, and nothing waits for another attempt.
    let last = last?;
    let is_back = state.retrying == 0 && state.last_confirmed_at.is_some_and(|at| at > last.told_at);
    let was_told = match last.kind {
        AlertKind::Failing | AlertKind::Expired => true,
        AlertKind::Recovered => last.cause.is_some(),
        AlertKind::Test => false,
    };
    (is_back && was_told).then_some(AlertKind::Recovered)
}

fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(100_000);
    const AFTER: u32 = 900;

    fn failing(seconds: u64) -> UrlState {
        UrlState { retrying: 1, failing_since: Some(NOW.minus(Duration::from_secs(seconds))), ..UrlState::default() }
    }

    fn told(kind: AlertKind, cause: Option<Cause>) -> AlertRow {
        AlertRow { kind, told_at: NOW.minus(APART), status: None, cause, note: String::new() }
    }

    #[test]
    fn each_trouble_is_told_once() {
        let kind = |state: &UrlState, expired, last: Option<&AlertRow>| kind_of(state, expired, last, NOW, AFTER);
        let failing_told = told(AlertKind::Failing, None);
        assert_eq!(kind(&failing(899), 0, None), None, "not yet");
        assert_eq!(kind(&failing(900), 0, None), Some(AlertKind::Failing));
        assert_eq!(kind(&failing(9_000), 0, Some(&failing_told)), None, "told already");
        let lost = told(AlertKind::Failing, Some(Cause::Refused));
        assert_eq!(kind(&failing(9_000), 0, Some(&lost)), Some(AlertKind::Failing), "it never arrived");
        assert_eq!(kind(&failing(9_000), 2, Some(&failing_told)), Some(AlertKind::Expired));
        let well = UrlState { last_confirmed_at: Some(NOW), ..UrlState::default() };
        assert_eq!(kind(&well, 0, None), None);
        assert_eq!(kind(&well, 1, None), Some(AlertKind::Expired));
        assert_eq!(kind(&well, 0, Some(&failing_told)), Some(AlertKind::Recovered));
        assert_eq!(kind(&well, 0, Some(&told(AlertKind::Recovered, None))), None);
        assert_eq!(kind(&UrlState::default(), 0, Some(&failing_told)), None, "nothing shows that it is back");
    }
}
