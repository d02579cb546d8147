//! Mails to customers: what a merchant wants said, how that would look, a test, and what was given up.

use super::{
    ServiceResult, Services,
    fields::{self, Mistakes},
    merchant_ref,
};
use crate::server::{
    mail::{Letter, Untaken, is_address},
    store::{Actor, Merchant, Note, random},
};
use crate::{
    domain::{
        AppError, Money, OrderStatus,
        id::MailId,
        mail::{
            MAX_SUBJECT, MAX_TEXT, MailCause, MailContent, MailFacts, MailSettings, MailTemplate, PLACEHOLDERS, STATUSES, filled,
            unknown_placeholders,
        },
        money::Currency,
        pages::mail::{FAILED_SHOWN, MailDraft, MailPage},
    },
    words::{t, tell},
};

/// What somebody enters about all mails of a merchant.
#[derive(Debug, Clone, Default)]
pub struct SenderForm {
    pub sender_name: String,
    pub sender: String,
    pub tests: bool,
}

/// What somebody enters for one status.
#[derive(Debug, Clone, Default)]
pub struct TemplateForm {
    pub status: String,
    pub enabled: bool,
    pub subject: String,
    pub text: String,
}

impl Services {
    /// The settings of a merchant's mails, with a template to look at: as it is saved, or as somebody writes it.
    pub async fn mail_page(
        &self,
        merchant: &Merchant,
        draft: &MailDraft,
        to: String,
        may_change: bool,
    ) -> ServiceResult<MailPage> {
        let settings = merchant.mail.clone().unwrap_or_default();
        let status = status(&draft.status).unwrap_or(OrderStatus::Paid);
        let saved = settings.template(status);
        let template = MailTemplate {
            subject: draft.subject.clone().unwrap_or(saved.subject),
            text: draft.text.clone().unwrap_or(saved.text),
            ..saved
        };
        let most = u32::try_from(FAILED_SHOWN + 1).unwrap_or(u32::MAX);
        let mut failed = self.store.failed_mails(merchant.id, draft.before, most).await?;
        let more = failed.len() > FAILED_SHOWN;
        failed.truncate(FAILED_SHOWN);
        let mut unknown = unknown_placeholders(&template.subject);
        unknown.extend(unknown_placeholders(&template.text));
        Ok(MailPage {
            merchant: merchant_ref(merchant),
            preview: self.example(merchant, &template),
            settings,
            version: merchant.version,
            installation: self.mailer.as_ref().map(|mailer| mailer.from().to_owned()),
            template,
            unknown,
            to,
            failed,
            more,
            may_change,
        })
    }

    /// A template with values of an order that somebody might have placed.
    fn example(&self, merchant: &Merchant, template: &MailTemplate) -> MailContent {
        let facts = MailFacts {
            order: "211153389".to_owned(),
            external: "web-1042".to_owned(),
            name: "Ana Smith".to_owned(),
            email: "ana@example.com".to_owned(),
            amount: Currency::parse("USD").map(|currency| Money { minor: 4_990, currency }),
            status: template.status,
            gateway: "2Checkout".to_owned(),
            at: merchant.zone.local(self.clock.now()),
            merchant: merchant.name.clone(),
        };
        filled(template, &facts)
    }

    /// Sets who a merchant's mails are from, and whether test orders are mailed.
    pub async fn save_mail_sender(
        &self,
        merchant: &Merchant,
        form: &SenderForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let mut mistakes = Mistakes::default();
        let name = match form.sender_name.trim() {
            "" => Some(String::new()),
            text => mistakes.take("sender_name", fields::name(t!("the sender's name"), text)),
        };
        let sender = form.sender.trim();
        if !sender.is_empty() && !is_address(sender) {
            mistakes.add("sender", t!("Enter an e-mail address such as shop@example.com, or leave it empty."));
        }
        mistakes.end()?;
        let before = merchant.mail.clone().unwrap_or_default();
        let settings =
            MailSettings { sender_name: name.unwrap_or_default(), sender: sender.to_owned(), tests: form.tests, ..before };
        self.set_mail(merchant, settings, actor).await
    }

    /// Sets what is mailed when an order gets a status.
    pub async fn save_mail_template(
        &self,
        merchant: &Merchant,
        form: &TemplateForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let mut mistakes = Mistakes::default();
        let status = status(&form.status);
        if status.is_none() {
            mistakes.add("status", t!("Choose one of the statuses of the list."));
        }
        let subject = written("subject", t!("a subject"), &form.subject, MAX_SUBJECT, &mut mistakes);
        let text = written("text", t!("a text"), &form.text, MAX_TEXT, &mut mistakes);
        if form.subject.trim().contains(['\r', '\n']) {
            mistakes.add("subject", t!("Write the subject on one line."));
        }
        mistakes.end()?;
        let (Some(status), Some(subject), Some(text)) = (status, subject, text) else { return Err(AppError::NotFound.into()) };
        let before = merchant.mail.clone().unwrap_or_default();
        // What is switched on stays so since then; what was before is not mailed about.
        let since = before.template(status).since.filter(|_| form.enabled).or_else(|| form.enabled.then(|| self.clock.now()));
        self.set_mail(merchant, before.with(MailTemplate { status, since, subject, text }), actor).await
    }

    async fn set_mail(&self, merchant: &Merchant, settings: MailSettings, actor: impl Into<Actor> + Send) -> ServiceResult<()> {
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.set_mail(merchant.id, settings, actor).await;
        self.or_conflict(merchant.id.get(), seen, saved).await
    }

    /// Sends a template as it is saved to whoever asks, with values of an order that somebody might have placed.
    pub async fn send_test_mail(
        &self,
        merchant: &Merchant,
        status_code: &str,
        to: &str,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<()> {
        let status = status(status_code).ok_or(AppError::NotFound)?;
        let Some(mailer) = &self.mailer else {
            let words = t!("This installation sends no mail yet. The operator can start it with --smtp-url and --mail-from.");
            return Err(AppError::field("", words).into());
        };
        let (subject, detail) = (to.to_owned(), status.label().to_owned());
        self.store.note(Note { merchant_id: Some(merchant.id), action: "mail.test", subject, detail }, actor).await?;
        let settings = merchant.mail.clone().unwrap_or_default();
        let content = self.example(merchant, &settings.template(status));
        let id = format!("quittance-test-{}", hex::encode(random::<8>()));
        let from_name = if settings.sender_name.is_empty() { &merchant.name } else { &settings.sender_name };
        let letter = Letter {
            id: &id,
            to,
            from: &settings.sender,
            from_name,
            subject: &format!("[TEST] {}", content.subject),
            text: &content.text,
        };
        mailer.send(&letter).await.map_err(|untaken| AppError::field("", told(&untaken)).into())
    }

    /// Tries a mail again that was given up; `false` where it was not, or where it goes to nobody.
    pub async fn retry_mail(&self, merchant: &Merchant, id: MailId, actor: impl Into<Actor> + Send) -> ServiceResult<bool> {
        let is_tried = self.store.retry_mail(merchant.id, id).await?;
        if is_tried {
            let (subject, detail) = (id.to_string(), String::new());
            self.store.note(Note { merchant_id: Some(merchant.id), action: "mail.retry", subject, detail }, actor).await?;
        }
        Ok(is_tried)
    }
}

pub(super) fn told(untaken: &Untaken) -> String {
    let Untaken { cause, note } = untaken;
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    let cure = if *cause == MailCause::BadAddress {
        t!("Your own e-mail address here is not one that mail can be sent to.")
    } else {
        tell(cause.cure())
    };
    t!("It was not sent: {cause}{note}. {cure}", cause = tell(cause.label()).to_lowercase(), note, cure)
}

/// A status that a customer can be mailed about.
fn status(code: &str) -> Option<OrderStatus> {
    STATUSES.into_iter().find(|status| status.code() == code.trim())
}

/// A text with nothing in it that nobody knows.
fn written(field: &'static str, what: &str, text: &str, most: usize, mistakes: &mut Mistakes) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        mistakes.add(field, t!("Enter {what}.", what));
    } else if text.chars().count() > most {
        mistakes.add(field, t!("Shorten this to {most} characters.", most));
    } else if let Some(name) = unknown_placeholders(text).first() {
        let known: Vec<_> = PLACEHOLDERS.iter().map(|(name, _)| format!("{{{name}}}")).collect();
        let shown: String = name.chars().take(40).collect();
        mistakes
            .add(field, t!("{name} stands for nothing. Use {known}.", name = format!("{{{shown}}}"), known = known.join(", ")));
    } else if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\r' | '\n' | '\t')) {
        mistakes.add(field, t!("There is a control character in it; write it anew rather than pasting it."));
    } else {
        return Some(text.to_owned());
    }
    None
}
