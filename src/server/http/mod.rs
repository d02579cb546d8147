//! HTTP for everybody: the accept loop, the router, sessions, headers, the CSRF guard, assets.
//!
//! Must not live here: what pages show (ui), what server functions do (rpc, service), what listeners check (listener).

mod assets;
pub mod cookies;
mod export;
mod guard;
mod live;
pub mod metrics;
mod pages;
pub mod serve;
mod session;
mod silent;

use crate::{
    server::{
        listener,
        live::{Hub, Sessions},
        service::Services,
    },
    words::{speaking, t},
};
use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
    routing::{any, get},
};
use http_body_util::Limited;
use std::time::Duration;
use tokio::sync::watch;
use tower::{ServiceBuilder, util::option_layer};
use tower_http::{CompressionLevel, compression::CompressionLayer, set_header::SetResponseHeaderLayer, timeout::TimeoutLayer};

/// Largest form or server function call, in bytes.
const MAX_FORM: usize = 64 << 10;
/// A resend for debug waits for one attempt, which has 30 s of its own; nothing else takes nearly as long.
const PANEL_TIME: Duration = Duration::from_secs(60);

/// What the panel's requests work with.
#[derive(Clone)]
pub struct Panel {
    pub services: Services,
    pub hub: Hub,
    pub sessions: Sessions,
    /// Becomes true when the server ends.
    pub ending: watch::Receiver<bool>,
}

/// Everything that this server answers.
///
/// Listener pages stand outside of the panel's layers: no session, no cookies, no CSRF guard, no compression.
pub fn router(panel: Panel) -> Router {
    // Pages spawn what they render. An error means that another server of this process (tests) did it before.
    let _ = any_spawner::Executor::init_tokio();
    let services = &panel.services;
    let listeners = listener::router_with(services.store.clone(), services.clock.clone(), services.house());
    let session = middleware::from_fn_with_state(panel.services.clone(), session::current_user);
    let pages = Router::new()
        .route("/rpc/{*function}", any(pages::server_function))
        .route("/m/{merchant}/orders.csv", get(export::orders))
        .route("/m/{merchant}/deliveries.csv", get(export::deliveries))
        .route("/m/{merchant}/inbound.csv", get(export::inbound))
        .fallback(pages::page)
        .layer(
            ServiceBuilder::new()
                .layer(CompressionLayer::new().quality(CompressionLevel::Precise(4)))
                .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, PANEL_TIME))
                .layer(middleware::from_fn(limit_body))
                .layer(session.clone()),
        )
        .with_state(panel.clone());
    let live = Router::new().route("/live", get(live::events)).layer(session).with_state(panel.clone());
    // Where the outside comes by https it must not come without.
    let https = panel.services.base.starts_with("https://");
    let strict = https.then(|| header(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"));
    let panel = pages.merge(live).layer(
        ServiceBuilder::new()
            .layer(option_layer(strict))
            .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .layer(header(header::X_FRAME_OPTIONS, "DENY"))
            .layer(header(header::REFERRER_POLICY, "same-origin"))
            .layer(header(header::CACHE_CONTROL, "no-store"))
            .layer(header(header::CONTENT_SECURITY_POLICY, pages::STRICTEST_POLICY))
            .layer(header(
                header::HeaderName::from_static("permissions-policy"),
                "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            ))
            .layer(header(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
            // Innermost, so that what it refuses carries the headers too.
            .layer(middleware::from_fn_with_state(panel.services, guard::same_origin)),
    );
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/pkg/{file}", get(assets::file))
        .route("/favicon.ico", get(assets::favicon))
        .merge(listeners)
        .merge(panel)
}

fn header(name: header::HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Reads no more of a body than forms have.
async fn limit_body(request: Request, next: Next) -> Response {
    let is_function = request.uri().path().starts_with("/rpc/");
    let (limit, text) = match is_function {
        true => (MAX_FORM, (|| t!("Forms of this panel are smaller than 64 KiB.")) as fn() -> &'static str),
        false => (pages::MAX_POSTED, pages::posted_too_large as fn() -> &'static str),
    };
    if request.body().size_hint().lower() > limit as u64 {
        return speaking(cookies::language(request.headers()), || pages::too_large(request.headers(), text()));
    }
    next.run(request.map(|body| Body::new(Limited::new(body, limit)))).await
}
