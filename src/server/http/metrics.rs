//! The page that a monitoring system reads, on an address of its own: its numbers are nobody's business outside.

use crate::server::telemetry::Metrics;
use axum::{
    Router,
    http::header,
    response::{IntoResponse as _, Redirect},
    routing::get,
};
use std::sync::Arc;

/// `GET /metrics`
pub fn router(metrics: Arc<Metrics>, engine: &'static str) -> Router {
    let page = move || {
        let metrics = metrics.clone();
        async move {
            let (kind, text) = metrics.render(engine);
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
    };
    Router::new().route("/metrics", get(page)).route("/", get(|| async { Redirect::temporary("/metrics") }))
}
