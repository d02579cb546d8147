//! Renders pages and calls server functions, with what both need in their context.

use super::{Panel, assets, cookies};
use crate::{
    domain::{AppError, Zone, id::UserId, pages::flash::Posted},
    rpc::{CurrentUser, Told},
    ui::shell::{Look, shell},
    words::{Language, language, speaking, t},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use leptos::{config::LeptosOptions, nonce::use_nonce, prelude::*, server_fn::error::SERVER_FN_ERROR_HEADER};
use leptos_axum::ResponseOptions;

/// For everything that is no page: nothing may be loaded or run.
pub const STRICTEST_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `/rpc/…`
pub async fn server_function(State(panel): State<Panel>, request: Request) -> Response {
    let services = panel.services;
    let language = spoken(&request);
    let (told, user) = (Told::default(), user_of(&request));
    let context = {
        let (services, told) = (services.clone(), told.clone());
        move || {
            provide_context(services.clone());
            provide_context(language);
            provide_context(told.clone());
        }
    };
    let response = leptos_axum::handle_server_fns_with_context(context, request).await.into_response();
    let mut response = with_status_of_error(response).await;
    if let Some(flash) = told.take() {
        let cookie = cookies::flash_cookie(&services.store, user, &flash, &services.base).await;
        response.headers_mut().extend(HeaderValue::from_str(&cookie).ok().map(|cookie| (header::SET_COOKIE, cookie)));
    }
    response
}

/// Every error of a server function comes as 500; whoever calls it, or watches a proxy's log, is told whose fault it is.
async fn with_status_of_error(response: Response) -> Response {
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || !response.headers().contains_key(SERVER_FN_ERROR_HEADER) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Such an answer is made in one piece, of what a form held at most.
    let body = axum::body::to_bytes(body, MAX_POSTED * 2).await.unwrap_or_default();
    let error = serde_json::from_slice::<AppError>(&body).ok();
    if let Some(status) = error.and_then(|error| StatusCode::from_u16(error.status()).ok()) {
        parts.status = status;
    }
    Response::from_parts(parts, axum::body::Body::from(body))
}

/// Whose request it is.
fn user_of(request: &Request) -> Option<UserId> {
    request.extensions().get::<CurrentUser>().and_then(|user| user.0.as_ref()).map(|user| user.id)
}

/// The language of a request.
fn spoken(request: &Request) -> Language {
    request.extensions().get::<Language>().copied().unwrap_or_default()
}

/// Pages that show something about what is posted to them, by the last part of their addresses. They change nothing.
const POSTED_PAGES: [&str; 3] = ["/check", "/test-order", "/settings/mail"];
/// Largest form that is posted to a page, in bytes: a message of a hundred products, encoded once more.
pub const MAX_POSTED: usize = 256 << 10;

/// Every other address: the page that belongs to it, or the page that says there is none.
pub async fn page(State(panel): State<Panel>, request: Request) -> Response {
    let language = spoken(&request);
    let (request, posted) = match *request.method() {
        Method::GET | Method::HEAD => (request, None),
        Method::POST if POSTED_PAGES.iter().any(|page| request.uri().path().ends_with(page)) => {
            let (mut parts, body) = request.into_parts();
            let Ok(body) = axum::body::to_bytes(body, MAX_POSTED).await else {
                return speaking(language, || too_large(&parts.headers, posted_too_large()));
            };
            let fields = url::form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.into_owned()));
            let posted = Posted(fields.collect());
            parts.method = Method::GET;
            (Request::from_parts(parts, axum::body::Body::empty()), Some(posted))
        }
        _ => {
            let text = format!("{}\n", speaking(language, || t!("Pages are read with GET.")));
            return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], text).into_response();
        }
    };
    let flash = cookies::read_flash(&panel.services.store, user_of(&request), request.headers()).await;
    let has_flash = flash.is_some();
    let manifest = assets::manifest();
    let options = LeptosOptions::builder().output_name(manifest.script.clone()).site_pkg_dir("pkg").build();
    let look = Look {
        style: format!("/pkg/{}", manifest.style),
        icons: format!("/pkg/{}", manifest.icons),
        favicon: format!("/pkg/{}", manifest.favicon),
        has_script: !manifest.script.is_empty(),
        theme: cookies::theme(request.headers()),
        now: panel.services.clock.now(),
        zone: zone_of(&panel, request.uri().path()),
        heard: panel.hub.latest(),
    };
    let services = panel.services;
    let context = move || {
        provide_context(services.clone());
        provide_context(language);
        provide_context(look.clone());
        provide_context(flash.clone().unwrap_or_default());
        if let Some(posted) = &posted {
            provide_context(posted.clone());
        }
        let response = expect_context::<ResponseOptions>();
        if let Some(policy) = use_nonce().and_then(|nonce| HeaderValue::from_str(&policy(&nonce)).ok()) {
            response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
        }
        response.append_header(header::VARY, HeaderValue::from_static("accept-language, cookie"));
    };
    let render = leptos_axum::render_app_async_with_context(context, move || shell(options.clone()));
    let mut response = render(request).await;
    // A page that only leads on has not shown it.
    if has_flash && !response.status().is_redirection() {
        response.headers_mut().append(header::SET_COOKIE, clear_flash());
    }
    response
}

/// The zone that the times of a page are told in: that of the merchant whom its address names.
fn zone_of(panel: &Panel, path: &str) -> Zone {
    let slug = path.strip_prefix("/m/").and_then(|rest| rest.split('/').next());
    let settings = panel.services.store.settings();
    slug.and_then(|slug| settings.merchant_named(slug)).map(|merchant| merchant.zone.clone()).unwrap_or_default()
}

/// What was posted to a page is larger than [`MAX_POSTED`].
pub fn posted_too_large() -> &'static str {
    t!("What was pasted is too large; 256 KiB are taken.")
}

/// The answer to a form of which no more is read: a page where one is asked for, otherwise the sentence alone.
pub fn too_large(asked: &HeaderMap, sentence: &str) -> Response {
    let wants_page =
        asked.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().windows(9).any(|part| part == b"text/html"));
    if !wants_page {
        return (StatusCode::PAYLOAD_TOO_LARGE, format!("{sentence}\n")).into_response();
    }
    let way = t!("Nothing was changed. Go back in the browser, where what you entered still stands, and make it shorter.");
    let page = plain_page(t!("This is too large"), &[sentence, way], None);
    (StatusCode::PAYLOAD_TOO_LARGE, PLAIN_HEADERS, page).into_response()
}

/// The page for when the database cannot be read, and so no page can be rendered.
pub fn out_of_order() -> Response {
    let sentence = t!(
        "The database cannot be read at the moment. Messages from gateways are not lost meanwhile: what cannot be stored is not acknowledged, and gateways send it again."
    );
    let page = plain_page(t!("Please try again"), &[sentence], Some(t!("Try again")));
    (StatusCode::SERVICE_UNAVAILABLE, PLAIN_HEADERS, [(header::RETRY_AFTER, "5")], page).into_response()
}

const PLAIN_HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'"),
];

/// A page without anything that needs the store or a script: sentences of ours, and perhaps a link to the same address.
fn plain_page(title: &str, sentences: &[&str], again: Option<&str>) -> String {
    let style = &assets::manifest().style;
    let sentences: String = sentences.iter().map(|sentence| format!("<p>{sentence}</p>")).collect();
    let again = again.map(|label| format!("<p><a class=\"button primary\" href=\"\">{label}</a></p>")).unwrap_or_default();
    format!(
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\"><title>{title} · Quittance</title><link rel=\"stylesheet\" href=\"/pkg/{style}\"></head><body>\
         <main class=\"plain-page\"><p class=\"brand\">Quittance</p><h1>{title}</h1>{sentences}{again}</main></body></html>\n",
        language().code()
    )
}

fn clear_flash() -> HeaderValue {
    HeaderValue::from_str(&cookies::end_flash_cookie()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Nothing but our own files, and of scripts only those that this very answer names.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    )
}
