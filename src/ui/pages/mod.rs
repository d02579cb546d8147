//! The pages, rendered on the server. Each asks server functions for its data and puts components and islands together.

pub mod account;
pub mod attempt;
pub mod bulk;
pub mod bulk_plan;
mod curl;
pub mod dashboard;
pub mod deliveries;
pub mod delivery;
pub mod entry;
pub mod exchanges;
mod handover;
pub mod listeners;
pub mod merchants;
pub mod missing;
pub mod notification;
pub mod order;
pub mod orders;
pub mod refusal;
pub mod resend;
pub mod settings;
mod story;
pub mod test_order;
mod url_form;

use super::shell::Plain;
use crate::{
    domain::{
        AppError,
        pages::{dashboard::MerchantRef, flash::Flash, people::Viewer},
    },
    rpc::people::read_viewer,
};
use axum::http::StatusCode;
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
    let (status, title) = match error {
        AppError::SignIn => (StatusCode::UNAUTHORIZED, "Please sign in"),
        AppError::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
        AppError::NotFound => (StatusCode::NOT_FOUND, "Nothing here"),
        AppError::Gone(_) => (StatusCode::GONE, "Not kept any more"),
        AppError::Invalid(_) => (StatusCode::BAD_REQUEST, "Not understood"),
        AppError::Unavailable | AppError::Connection => (StatusCode::SERVICE_UNAVAILABLE, "Please try again"),
        AppError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong"),
    };
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(status);
    }
    let sentence = error.to_string();
    view! {
        <Plain title=title>
            <p>{sentence}</p>
            <p><a class="button primary" href="/">"To the dashboard"</a></p>
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

/// The viewer, and a merchant that he may see.
async fn viewer_at(slug: &str) -> Result<(Viewer, MerchantRef), AppError> {
    let viewer = read_viewer().await?;
    let merchant = viewer.merchants.iter().find(|merchant| merchant.slug == slug).cloned().ok_or(AppError::NotFound)?;
    Ok((viewer, merchant))
}
