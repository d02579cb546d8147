//! IPN settings and notification URLs.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{
    AppError,
    content::Ticked,
    id::UrlId,
    pages::settings::{IpnSettings, Kit},
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::{Algorithm, Algorithms, role::Permission},
    crate::server::service::{own_headers, terms::TermsForm, urls::UrlForm},
};

/// The settings of a merchant.
#[server(prefix = "/rpc", endpoint = "settings", input = GetUrl)]
pub async fn read_settings(merchant: String) -> Result<IpnSettings, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_change = caller.may(Permission::ChangeSettings);
    caller.services.ipn_settings(&merchant, may_change).await.map_err(app_error)
}

/// Saves a notification URL. It is asked with GET first; where it does not answer 200, or the merchant has its address already,
/// the form comes back with the reason, and can be saved all the same.
#[server(prefix = "/rpc", endpoint = "urls/save")]
pub async fn save_url(
    merchant: String,
    /// Empty for a new URL.
    #[server(default)]
    id: String,
    #[server(default)] label: String,
    url: String,
    #[server(default)] format: String,
    #[server(default)] is_default: bool,
    #[server(default)] md5: bool,
    #[server(default)] sha2: bool,
    #[server(default)] sha3: bool,
    #[server(default)] concurrent: bool,
    #[server(default)] order_in_order: bool,
    #[server(default)] held: bool,
    #[server(default)] max_in_flight: String,
    #[server(default)] rate_per_second: String,
    #[server(default)] retries: String,
    #[server(default)] own_delays: String,
    #[server(default)] shadow: bool,
    #[server(default)] own_triggers: bool,
    #[server(default)] triggers: Ticked,
    #[server(default)] timeout: String,
    /// A line each, `Name: value`.
    #[server(default)]
    headers: String,
    /// Certificates as PEM.
    #[server(default)]
    authority: String,
    /// Save even where the check fails.
    #[server(default)]
    anyway: bool,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let flag = |value: bool| if value { "true".to_owned() } else { String::new() };
    let (page, next) = pages(&merchant, &id, is_default);
    let sent = Sent {
        form: "url",
        page,
        values: vec![
            ("label", label.clone()),
            ("url", url.clone()),
            ("format", format.clone()),
            ("md5", flag(md5)),
            ("sha2", flag(sha2)),
            ("sha3", flag(sha3)),
            ("concurrent", flag(concurrent)),
            ("order_in_order", flag(order_in_order)),
            ("held", flag(held)),
            ("max_in_flight", max_in_flight.clone()),
            ("rate_per_second", rate_per_second.clone()),
            ("retries", retries.clone()),
            ("own_delays", own_delays.clone()),
            ("shadow", flag(shadow)),
            ("own_triggers", flag(own_triggers)),
            ("triggers", triggers.joined()),
            ("timeout", timeout.clone()),
            ("headers", own_headers::carried(&headers)),
            carried(&authority),
        ],
    };
    let triggers = own_triggers.then(|| triggers.joined());
    let terms = TermsForm { max_in_flight, rate_per_second, retries, own_delays, shadow, authority, timeout, triggers, format };
    let chosen = [(md5, Algorithm::Md5), (sha2, Algorithm::Sha2), (sha3, Algorithm::Sha3)];
    let algorithms: Algorithms = chosen.into_iter().filter_map(|(chosen, algorithm)| chosen.then_some(algorithm)).collect();
    let form = UrlForm { label, url, is_default, algorithms, concurrent, order_in_order, held, headers, terms };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let id = if id.is_empty() { None } else { Some(id.parse::<UrlId>().map_err(|_| AppError::NotFound)?) };
        let (mut draft, target) = caller.services.url_draft(&merchant, id, &form)?;
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        once(
            &caller,
            &form_key,
            &sent,
            &[if anyway { "anyway" } else { "" }, &form.headers, &form.terms.authority],
            Box::pin(async move {
                let check = services.check_url(&target, &draft.headers, &draft.terms).await;
                let twin = services.url_twin(&merchant, id, &target);
                if (check.cause.is_some() || twin.is_some()) && !anyway {
                    let check = check.cause.is_some().then_some(check);
                    return Ok(Done { check, twin, ..Done::default() });
                }
                let notice = match check.cause {
                    None => t!("Saved. The URL answered 200, as it should."),
                    Some(_) => t!("Saved, although the URL did not answer 200."),
                };
                draft.check = Some(check);
                services.save_url(id, draft, actor).await.map_err(app_error)?;
                Ok(Done::at(next, notice))
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// What was pasted goes back to the form; private keys never do, and the form says so.
#[cfg(feature = "ssr")]
fn carried(authority: &str) -> (&'static str, String) {
    if authority.contains("PRIVATE KEY") { ("authority_lost", "true".to_owned()) } else { ("authority", authority.to_owned()) }
}

#[cfg(feature = "ssr")]
fn pages(merchant: &str, id: &str, is_default: bool) -> (String, String) {
    let base = format!("/m/{merchant}/settings");
    match (is_default, id) {
        (true, _) => (format!("{base}/ipn"), format!("{base}/ipn")),
        (false, "") => (format!("{base}/urls/new"), format!("{base}/urls")),
        (false, id) => (format!("{base}/urls/{id}"), format!("{base}/urls")),
    }
}

/// Puts a URL on hold, or takes it off.
#[server(prefix = "/rpc", endpoint = "urls/hold")]
pub async fn hold_url(
    merchant: String,
    id: UrlId,
    #[server(default)] held: bool,
    /// The version that the button was shown with.
    #[server(default)]
    version: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/urls");
    let sent = Sent { form: "hold", page: page.clone(), values: vec![("id", id.to_string())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        caller.services.hold_url(&merchant, id, held, caller.having_seen(&version)).await.map_err(app_error)?;
        let notice = if held {
            t!("On hold. What arrives is kept until you release it.")
        } else {
            t!("Released. What was kept is being delivered now.")
        };
        Ok(Done::at(page, notice))
    };
    sent.end(result.await)
}

/// Takes a URL out of use.
#[server(prefix = "/rpc", endpoint = "urls/remove")]
pub async fn remove_url(
    merchant: String,
    id: UrlId,
    /// The version that the button was shown with.
    #[server(default)]
    version: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/urls");
    let sent = Sent { form: "remove", page: page.clone(), values: vec![("id", id.to_string())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        caller.services.remove_url(&merchant, id, caller.having_seen(&version)).await.map_err(app_error)?;
        Ok(Done::at(page, t!("Removed. Its open deliveries are cancelled; what was delivered stays in the orders.")))
    };
    sent.end(result.await)
}

/// Asks a URL with GET again, as it is saved.
#[server(prefix = "/rpc", endpoint = "urls/check")]
pub async fn check_url(merchant: String, id: UrlId) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/urls");
    let sent = Sent { form: "check", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let check = caller.services.check_again(&merchant, id, caller.actor()).await.map_err(app_error)?;
        Ok(match check.cause {
            Some(_) => Done { check: Some(check), ..Done::default() },
            None => Done::at(page, t!("The URL answered 200, as it should.")),
        })
    };
    sent.end(result.await)
}

/// Shows the secret that messages to a URL are signed with where they leave as JSON; that somebody looked is in the audit log.
#[server(prefix = "/rpc", endpoint = "urls/secret")]
pub async fn reveal_signing_secret(merchant: String, id: UrlId) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/urls/{id}/kit");
    let sent = Sent { form: "url-secret", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let secret = caller.services.reveal_signing_secret(&merchant, id, caller.actor()).await.map_err(app_error)?;
        Ok(Done { page, secret: Some(secret), ..Done::default() })
    };
    sent.end(result.await)
}

/// A listener for the server behind a URL.
#[server(prefix = "/rpc", endpoint = "urls/kit", input = GetUrl)]
pub async fn read_kit(merchant: String, id: UrlId, language: String) -> Result<Kit, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    caller.services.url_kit(&merchant, id, &language)
}
