//! The pages, rendered on the server. Each asks server functions for its data and puts components and islands together.

pub mod account;
pub mod attempt;
pub mod audit;
pub mod bulk;
pub mod bulk_cancel;
pub mod bulk_plan;
pub mod check;
mod curl;
pub mod dashboard;
mod dashboard_chart;
mod dashboard_matters;
pub mod deliveries;
pub mod delivery;
pub mod entry;
pub mod exchanges;
mod handover;
pub mod inbound;
pub mod join;
pub mod kit;
pub mod listeners;
pub mod merchants;
pub mod missing;
pub mod notification;
pub mod order;
pub mod orders;
pub mod people;
pub mod person;
pub mod refusal;
pub mod resend;
pub mod roles;
pub mod search;
pub mod settings;
pub mod settings_alerts;
pub mod settings_content;
pub mod settings_key;
pub mod settings_mail;
pub mod simulate;
mod story;
pub mod strays;
pub mod test_order;
pub mod time_zone;
mod url_form;
pub mod verifying;
mod views;

use super::shell::{Plain, SearchField};
use crate::{
    domain::{
        AppError,
        pages::{dashboard::MerchantRef, flash::Flash, people::Viewer},
    },
    rpc::{CurrentUser, orders::request_key, people::read_viewer},
    ui::components::Hidden,
    words::t,
};
use axum::http::{HeaderValue, StatusCode, header, request::Parts};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_router::hooks::{use_params_map, use_query_map};
use std::str::FromStr;

/// A page from what server functions give. Where they give an error, the page that explains it.
fn page(load: impl Future<Output = Result<AnyView, AppError>> + Send + 'static) -> impl IntoView {
    Suspend::new(async move { load.await.unwrap_or_else(|error| failed(&error)) })
}

/// The page of an error.
fn failed(error: &AppError) -> AnyView {
    let title = match error {
        AppError::SignIn => t!("Please sign in"),
        AppError::Forbidden => t!("Not allowed"),
        AppError::NotFound => t!("Nothing here"),
        AppError::Gone(_) => t!("Not kept any more"),
        AppError::Invalid(_) => t!("Not understood"),
        AppError::Changed(_) => t!("Changed meanwhile"),
        AppError::Unavailable | AppError::Connection => t!("Please try again"),
        AppError::Internal(_) => t!("Something went wrong"),
    };
    if let Some((response, status)) = use_context::<ResponseOptions>().zip(StatusCode::from_u16(error.status()).ok()) {
        response.set_status(status);
    }
    let sentence = error.sentence();
    let viewer = use_context::<Parts>().and_then(|parts| parts.extensions.get::<CurrentUser>().cloned());
    let is_known = viewer.is_some_and(|user| user.0.is_some());
    let again = use_context::<Parts>().and_then(|parts| parts.uri.path_and_query().map(ToString::to_string));
    // Two slashes would lead to another site.
    let again = again.filter(|address| !address.starts_with("//")).unwrap_or_else(|| "/".to_owned());
    let help = match error {
        AppError::NotFound => view! {
            <p>{t!("An address that was typed or sent may have lost a part; what is older than records are kept is gone. Look for the order, message or delivery instead:")}</p>
        }
        .into_any(),
        AppError::Forbidden => view! {
            <p>{t!("Administrators may do everything, merchants what concerns their own settings, support reads and resends. An administrator can change your role.")}</p>
        }
        .into_any(),
        AppError::Unavailable | AppError::Connection => view! {
            <p>{t!("Messages from gateways are not lost meanwhile: what cannot be stored is not acknowledged, and gateways send it again.")}</p>
            <p><a class="button primary" href=again>{t!("Try again")}</a></p>
        }
        .into_any(),
        AppError::Internal(_) => view! {
            <p>{t!("Trying again may help. If it does not, give this number to whoever runs the server: the log has the cause under it.")}</p>
            <p><a class="button primary" href=again>{t!("Try again")}</a></p>
        }
        .into_any(),
        AppError::Gone(_) | AppError::Changed(_) => ().into_any(),
        AppError::SignIn => view! { <p><a class="button primary" href="/sign-in">{t!("Sign in")}</a></p> }.into_any(),
        AppError::Invalid(mistakes) => {
            mistakes.iter().map(|mistake| view! { <p>{mistake.message.clone()}</p> }).collect::<Vec<_>>().into_any()
        }
    };
    if matches!(error, AppError::Unavailable | AppError::Connection)
        && let Some(response) = use_context::<ResponseOptions>()
    {
        response.insert_header(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    view! {
        <Plain title=title>
            <p>{sentence}</p>
            {help}
            {is_known.then(|| view! { <SearchField/> })}
            <p><a class="button" href="/">{t!("To the dashboard")}</a></p>
        </Plain>
    }
    .into_any()
}

/// A part of the page's address.
fn param(name: &'static str) -> String {
    use_params_map().read_untracked().get(name).unwrap_or_default()
}

/// A part of the page's address that is an identifier or a number; anything else names nothing.
fn param_as<T: FromStr>(name: &'static str) -> Result<T, AppError> {
    param(name).parse().map_err(|_| AppError::NotFound)
}

/// A field of the page's address.
fn query(name: &str) -> Option<String> {
    use_query_map().read_untracked().get(name)
}

/// What the form that was sent last has to say on this page, if it is this form.
fn flash_of(form: &str) -> Flash {
    let flash = use_context::<Flash>().unwrap_or_default();
    if flash.form == form { flash } else { Flash::default() }
}

/// What any form that was sent last has to say: for pages that are where forms lead to.
fn any_flash() -> Flash {
    use_context::<Flash>().unwrap_or_default()
}

/// Makes a second click on the same form the same act; fresh with each rendering.
fn form_key() -> impl IntoView {
    view! { <Hidden name="form_key" value=request_key()/> }
}

/// The viewer, and a merchant that he may see.
async fn viewer_at(slug: &str) -> Result<(Viewer, MerchantRef), AppError> {
    let viewer = read_viewer().await?;
    let merchant = viewer.merchants.iter().find(|merchant| merchant.slug == slug).cloned().ok_or(AppError::NotFound)?;
    Ok((viewer, merchant))
}
