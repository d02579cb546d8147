//! What belongs to a merchant as a whole: what leaves, his secret key, who is told of trouble.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{AppError, content::Ticked, pages::settings::AlertSettings};
#[cfg(feature = "ssr")]
use crate::words::{reworded, t, tell};
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::role::Permission,
    crate::server::service::{alerts::AlertForm, content::ContentForm},
};

/// Sets which statuses and which fields a merchant's URLs get.
#[server(prefix = "/rpc", endpoint = "settings/content")]
pub async fn save_content(
    merchant: String,
    #[server(default)] triggers: Ticked,
    /// Only chosen fields leave.
    #[server(default)]
    only: bool,
    #[server(default)] tags: Ticked,
    #[server(default)] other_tags: String,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/content");
    let form = ContentForm { triggers: triggers.joined(), only, tags: tags.joined(), other_tags };
    let sent = Sent {
        form: "content",
        page: page.clone(),
        values: vec![
            ("entered", "true".to_owned()),
            ("triggers", form.triggers.clone()),
            ("only", only.to_string()),
            ("tags", form.tags.clone()),
            ("other_tags", form.other_tags.clone()),
        ],
    };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                services.save_content(&merchant, &form, actor).await.map_err(app_error)?;
                Ok(Done::at(page, t!("Saved. It holds for everything that is sent from now on.")))
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// Gives a merchant a new secret key: the one entered, or, where that is asked for, a made one.
#[server(prefix = "/rpc", endpoint = "settings/key")]
pub async fn change_key(
    merchant: String,
    #[server(default)] secret_key: String,
    #[server(default)] generate: bool,
    /// Seconds that the key before is valid.
    #[server(default)]
    overlap: String,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/key");
    let sent = Sent { form: "key", page: page.clone(), values: vec![("overlap", overlap.clone())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        once(
            &caller,
            &form_key,
            &sent,
            &[if generate { "generate" } else { "" }, &secret_key.clone()],
            Box::pin(async move {
                let entered = (!generate).then_some(secret_key.as_str());
                let key = services.change_key(&merchant, entered, &overlap, actor).await.map_err(app_error)?;
                Ok(Done {
                    page,
                    notice: Some(t!("The secret key was changed.").to_owned()),
                    secret: Some(key),
                    ..Done::default()
                })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// Ends the validity of the key before, ahead of its time.
#[server(prefix = "/rpc", endpoint = "settings/key/end")]
pub async fn end_old_key(
    merchant: String,
    /// The version that the button was shown with.
    #[server(default)]
    version: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/key");
    let sent = Sent { form: "key-end", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let ended = caller.services.end_old_key(&merchant, caller.having_seen(&version)).await.map_err(app_error)?;
        let notice = if ended { t!("The old key has ended.") } else { t!("No old key was valid any more.") };
        Ok(Done::at(page, notice))
    };
    sent.end(result.await)
}

/// Shows the key in use to somebody who has lost it; that he looked is in the audit log.
#[server(prefix = "/rpc", endpoint = "settings/key/reveal")]
pub async fn reveal_key(merchant: String) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/key");
    let sent = Sent { form: "key-reveal", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let key = caller.services.reveal_key(&merchant, caller.actor()).await.map_err(app_error)?;
        Ok(Done { page, secret: Some(key), ..Done::default() })
    };
    sent.end(result.await)
}

/// Where a merchant is told of trouble.
#[server(prefix = "/rpc", endpoint = "settings/alerts/read", input = GetUrl)]
pub async fn read_alerts(merchant: String) -> Result<AlertSettings, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_change = caller.may(Permission::ChangeSettings);
    let alerts = caller.services.alert_settings(&merchant, may_change).await.map_err(app_error)?;
    Ok(caller.shown(alerts))
}

/// Sets where a merchant is told of trouble.
#[server(prefix = "/rpc", endpoint = "settings/alerts")]
pub async fn save_alerts(
    merchant: String,
    #[server(default)] url: String,
    /// E-mail addresses, with commas between them.
    #[server(default)]
    mails: String,
    /// Minutes.
    #[server(default)]
    after: String,
    /// Days before a certificate ends.
    #[server(default)]
    certificate: String,
    /// Deliveries.
    #[server(default)]
    outstanding: String,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/alerts");
    let sent = Sent {
        form: "alerts",
        page: page.clone(),
        values: vec![
            ("url", url.clone()),
            ("mails", mails.clone()),
            ("after", after.clone()),
            ("certificate", certificate.clone()),
            ("outstanding", outstanding.clone()),
        ],
    };
    let form = AlertForm { url, mails, after, certificate, outstanding };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                services.save_alerts(&merchant, &form, actor).await.map_err(app_error)?;
                let notice = if form.url.trim().is_empty() && form.mails.trim().is_empty() {
                    t!("Saved. Nobody is alerted.")
                } else {
                    t!("Saved. Send a test to see whether it arrives.")
                };
                Ok(Done::at(page, notice))
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// Sends an alert that says that it is a test.
#[server(prefix = "/rpc", endpoint = "settings/alerts/test")]
pub async fn test_alert(merchant: String) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/alerts");
    let sent = Sent { form: "alert-test", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let tested = caller.services.test_alert(&merchant, caller.actor()).await.map_err(app_error)?;
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        if let Some(row) = &tested.answer {
            match row.cause {
                None => good.push(t!("The test arrived: status {status}.", status = row.status.unwrap_or_default())),
                Some(cause) => bad.push(t!(
                    "The test did not arrive. {sentence} {note} What to do: {cure}",
                    sentence = tell(cause.sentence()),
                    note = reworded(&row.note),
                    cure = tell(cause.cure())
                )),
            }
        }
        if !tested.mailed.is_empty() {
            good.push(t!("The mail server has taken a test for {to}.", to = tested.mailed.join(", ")));
        }
        bad.extend(tested.not_mailed.iter().map(|(to, why)| t!("To {to}: {why}", to, why)));
        if tested.no_mailer {
            bad.push(
                t!("This installation sends no mail yet. The operator can start it with --smtp-url and --mail-from.").to_owned(),
            );
        }
        if bad.is_empty() {
            Ok(Done::at(page, good.join(" ")))
        } else {
            // What went well is told with what did not.
            Err(AppError::field("", good.into_iter().chain(bad).collect::<Vec<_>>().join(" ")))
        }
    };
    sent.end(result.await)
}
