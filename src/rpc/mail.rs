//! Mails to customers.

use crate::domain::{
    AppError,
    id::MailId,
    pages::mail::{MailDraft, MailPage},
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::role::Permission,
    crate::server::service::mail::{SenderForm, TemplateForm},
};

/// The settings of a merchant's mails. `mail` is a template as somebody writes it; it is shown, and not saved.
#[server(prefix = "/rpc", endpoint = "settings/mail/read", input = Json)]
pub async fn read_mail(merchant: String, mail: MailDraft) -> Result<MailPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_change = caller.may(Permission::ChangeSettings);
    let to = caller.user.email.clone();
    let page = caller.services.mail_page(&merchant, &mail, to, may_change).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

#[cfg(feature = "ssr")]
fn page_of(merchant: &str, status: &str) -> String {
    let is_code = status.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let status = if is_code && !status.is_empty() { format!("?status={status}") } else { String::new() };
    format!("/m/{merchant}/settings/mail{status}")
}

/// Sets who mails are from, and whether test orders are mailed.
#[server(prefix = "/rpc", endpoint = "settings/mail/sender")]
pub async fn save_mail_sender(
    merchant: String,
    #[server(default)] sender_name: String,
    #[server(default)] sender: String,
    #[server(default)] tests: bool,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let page = page_of(&merchant, "");
    let tests_word = if tests { "true" } else { "" };
    let values = vec![("sender_name", sender_name.clone()), ("sender", sender.clone()), ("tests", tests_word.to_owned())];
    let sent = Sent { form: "mail-sender", page: page.clone(), values };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        let form = SenderForm { sender_name, sender, tests };
        let work = Box::pin(async move {
            services.save_mail_sender(&merchant, &form, actor).await.map_err(app_error)?;
            Ok(Done::at(page, t!("Saved.")))
        });
        once(&caller, &form_key, &sent, &[], work).await
    };
    let result = result.await;
    sent.end(result)
}

/// Sets what is mailed when an order gets a status.
#[server(prefix = "/rpc", endpoint = "settings/mail/template")]
pub async fn save_mail_template(
    merchant: String,
    status: String,
    #[server(default)] enabled: bool,
    #[server(default)] subject: String,
    #[server(default)] text: String,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let page = page_of(&merchant, &status);
    let enabled_word = if enabled { "true" } else { "" };
    let values = vec![("subject", subject.clone()), ("text", text.clone()), ("enabled", enabled_word.to_owned())];
    let sent = Sent { form: "mail-template", page: page.clone(), values };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        let form = TemplateForm { status, enabled, subject, text };
        let notice = if enabled {
            t!("Saved. Customers are mailed about it from now on.")
        } else {
            t!("Saved. Nobody is mailed about it.")
        };
        let whole = form.text.clone();
        let work = Box::pin(async move {
            services.save_mail_template(&merchant, &form, actor).await.map_err(app_error)?;
            Ok(Done::at(page, notice))
        });
        once(&caller, &form_key, &sent, &[&whole], work).await
    };
    let result = result.await;
    sent.end(result)
}

/// Sends a template as it is saved to whoever asks.
#[server(prefix = "/rpc", endpoint = "settings/mail/test")]
pub async fn send_test_mail(merchant: String, status: String) -> Result<(), AppError> {
    let page = page_of(&merchant, &status);
    let sent = Sent { form: "mail-test", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let to = caller.user.email.clone();
        caller.services.send_test_mail(&merchant, &status, &to, caller.actor()).await.map_err(app_error)?;
        Ok(Done::at(page, t!("The mail server has taken a test for {to}.", to)))
    };
    sent.end(result.await)
}

/// Tries a mail again that was given up.
#[server(prefix = "/rpc", endpoint = "settings/mail/retry")]
pub async fn retry_mail(merchant: String, mail_id: MailId) -> Result<(), AppError> {
    let page = page_of(&merchant, "");
    let sent = Sent { form: "mail-retry", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        match caller.services.retry_mail(&merchant, mail_id, caller.actor()).await.map_err(app_error)? {
            true => Ok(Done::at(page, t!("It is tried again now."))),
            false => Err(AppError::NotFound),
        }
    };
    sent.end(result.await)
}
