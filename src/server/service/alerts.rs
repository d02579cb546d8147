//! Alerts: a signed JSON message to an address of the merchant's, and a mail to whom he names, when one of his URLs has failed
//! for too long, when deliveries to it were given up, and when it takes deliveries again; when its certificate ends; and when many
//! deliveries wait for it. At most one for a URL, a topic and hour. What is told when, and in which words, is in `alert_news`.
//!
//! The message is signed as the Standard Webhooks specification describes, with the merchant's secret key as it stands.

use super::{
    ServiceResult, Services,
    alert_news::{News, Seen, TOPICS},
    dashboard::EXPIRED_SHOWN,
    fields::Mistakes,
    merchant_ref,
    urls::view,
};
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
        pages::settings::{AlertKind, AlertRow, AlertSettings, AlertTopic, Thresholds},
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
/// Longest time in days before a certificate ends: few are issued for longer than a year.
const MAX_DAYS: u32 = 365;
/// Most outstanding deliveries that can be waited for.
const MAX_OUTSTANDING: u32 = 10_000_000;

/// The form of the alerts, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct AlertForm {
    /// Gets signed JSON.
    pub url: String,
    /// E-mail addresses, with commas between them.
    pub mails: String,
    /// Minutes that a URL must have failed.
    pub after: String,
    /// Days before a certificate ends.
    pub certificate: String,
    /// Deliveries that are outstanding.
    pub outstanding: String,
}

impl Services {
    /// Where a merchant is told of trouble, and what was told last.
    pub async fn alert_settings(&self, merchant: &Merchant, may_change: bool) -> ServiceResult<AlertSettings> {
        let mut told = self.store.alerts_of(merchant.id).await?;
        let settings = self.store.settings();
        let urls = settings.urls_of(merchant.id);
        let told = urls.iter().flat_map(|url| TOPICS.map(|(topic, _)| (url, topic))).filter_map(|(url, topic)| {
            let alert = told.remove(&(url.id, topic))?;
            Some((view(url, UrlState::default(), None), alert))
        });
        let told: Vec<_> = told.collect();
        let nobody = || Alerts { url: String::new(), mails: Vec::new(), thresholds: Thresholds::default() };
        let alerts = merchant.alerts.clone().unwrap_or_else(nobody);
        Ok(AlertSettings {
            merchant: merchant_ref(merchant),
            url: alerts.url,
            mails: alerts.mails.join(", "),
            sends_mail: self.mailer.is_some(),
            mailed: self.store.alert_mails(merchant.id, MAILS_SHOWN).await?,
            thresholds: alerts.thresholds,
            version: merchant.version,
            told,
            may_change,
        })
    }

    /// Sets where a merchant is told of trouble: an address for signed JSON, and e-mail addresses; nobody is told where both are
    /// empty. What a threshold is empty of, or 0, is not told; only failures always are.
    pub async fn save_alerts(&self, merchant: &Merchant, form: &AlertForm, actor: impl Into<Actor> + Send) -> ServiceResult<()> {
        let mut mistakes = Mistakes::default();
        let url = form.url.trim();
        if !url.is_empty() {
            mistakes.take("url", Target::parse(url));
        }
        let mails = mistakes.take("mails", mail_addresses(&form.mails)).unwrap_or_default();
        let thresholds = thresholds(form, &mut mistakes);
        mistakes.end()?;
        let alerts = Alerts { url: url.to_owned(), mails, thresholds }.unless_empty();
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
            .filter(|alerts| alerts.reach_somebody())
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
            let Some(alerts) = merchant.alerts.as_ref().filter(|alerts| alerts.reach_somebody()) else { continue };
            let now = self.clock.now();
            let states = self.store.url_states(&[merchant.id], now.minus(EXPIRED_SHOWN)).await?;
            let told = self.store.alerts_of(merchant.id).await?;
            for url in settings.urls_of(merchant.id).iter().filter(|url| !url.held && !url.terms.shadow) {
                let Some(state) = states.get(&url.id) else { continue };
                let expired = self.expired_since(&merchant, url, state, told.get(&(url.id, AlertTopic::Deliveries))).await?;
                let seen = Seen { state, expired, thresholds: alerts.thresholds, now };
                for (topic, news_of) in TOPICS {
                    let Some(news) = news_of(&seen, told.get(&(url.id, topic))) else { continue };
                    self.tell(&merchant, alerts, url, &seen, news).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells of a URL, unless another node does, or something on the same topic was told a short while ago.
    async fn tell(
        &self,
        merchant: &Merchant,
        alerts: &Alerts,
        url: &NotificationUrl,
        seen: &Seen<'_>,
        news: News,
    ) -> ServiceResult<()> {
        let mails = self.mails_about(merchant, alerts, url, seen, news);
        let is_ours = self.store.claim_alert(url.id, news.kind, seen.now, seen.now.minus(APART), mails).await?;
        if is_ours && !alerts.url.is_empty() {
            let about = self.about(merchant, url, seen, news.kind);
            let row = self.send_alert(merchant, alerts, news.kind, seen.now, &about).await;
            self.store.alert_result(url.id, news.kind.topic(), row.status, row.cause, row.note).await?;
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
        seen: &Seen<'_>,
        news: News,
    ) -> Vec<NewAlertMail> {
        if self.mailer.is_none() || news.is_again {
            return Vec::new();
        }
        let (name, label) = (on_one_line(&merchant.name), on_one_line(&url.label));
        let words = seen.words(news.kind, &label);
        let given_up = if news.kind.topic() == AlertTopic::Deliveries && seen.expired > 0 {
            format!("Given up: {}\n", seen.expired)
        } else {
            String::new()
        };
        let text = format!(
            "{}\n{}\n\n{}Outstanding: {}\n{given_up}\n{}\n",
            words.news,
            on_one_line(&url.url),
            words.why(),
            seen.state.outstanding(),
            self.panel(merchant, url)
        );
        let subject = format!("{name}: {}", words.subject);
        let mail = |recipient: &String| NewAlertMail {
            merchant_id: merchant.id,
            recipient: recipient.clone(),
            subject: subject.clone(),
            text: text.clone(),
        };
        alerts.mails.iter().map(mail).collect()
    }

    fn about(&self, merchant: &Merchant, url: &NotificationUrl, seen: &Seen<'_>, kind: AlertKind) -> Value {
        let mut about = json!({
            "merchant": { "name": merchant.name, "slug": merchant.slug },
            "url": { "id": url.id, "label": url.label, "url": url.url },
            "outstanding": seen.state.outstanding(),
            "panel": self.panel(merchant, url),
        });
        for (name, value) in seen.facts(kind) {
            about[name] = value;
        }
        about
    }

    /// The page that shows what waits for a URL.
    fn panel(&self, merchant: &Merchant, url: &NotificationUrl) -> String {
        format!("{}/m/{}/deliveries?url={}", self.base, merchant.slug, url.id)
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

/// Reads from where on something is told.
fn thresholds(form: &AlertForm, mistakes: &mut Mistakes) -> Thresholds {
    let usual = Thresholds::default();
    let within = |text: &str, most: u32| text.parse().ok().filter(|number| (1..=most).contains(number));
    let after = match form.after.trim() {
        "" => Some(usual.after / 60),
        text => within(text, MAX_AFTER),
    };
    if after.is_none() {
        mistakes.add("after", t!("Enter a number of minutes from 1 to {most}.", most = MAX_AFTER));
    }
    let mut optional = |field: &str, text: &str, most: u32, mistake: fn(u32) -> String| match text.trim() {
        "" | "0" => None,
        text => within(text, most).or_else(|| {
            mistakes.add(field, mistake(most));
            None
        }),
    };
    let days = |most| t!("Enter a number of days from 1 to {most}, or leave it empty.", most);
    let count = |most| t!("Enter a number of deliveries from 1 to {most}, or leave it empty.", most);
    Thresholds {
        after: after.map_or(usual.after, |minutes| minutes * 60),
        certificate: optional("certificate", &form.certificate, MAX_DAYS, days),
        outstanding: optional("outstanding", &form.outstanding, MAX_OUTSTANDING, count),
    }
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

pub(super) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).map(|at| at.to_string()).unwrap_or_default()
}
