//! The guard against requests that another site makes a signed-in browser send (CSRF).
//!
//! Browsers say where a request comes from: `Sec-Fetch-Site` (all since 2023), before that at least `Origin` with every
//! POST. What says neither is no browser and carries nobody's cookies.

use super::cookies::language;
use crate::{
    server::service::Services,
    words::{speaking, t},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// Lets a request that may change something pass only where it comes from our own pages.
pub async fn same_origin(State(services): State<Services>, request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || comes_from_us(request.headers(), &services.base) {
        next.run(request).await
    } else {
        tracing::info!(path = request.uri().path(), "a request from another site was refused");
        let text = speaking(language(request.headers()), || {
            t!("This request came from another site and was refused. Please use the panel's own pages.")
        });
        (StatusCode::FORBIDDEN, format!("{text}\n")).into_response()
    }
}

fn comes_from_us(headers: &HeaderMap, base: &str) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return !headers.contains_key(header::ORIGIN);
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin == base
        || origin.parse::<Uri>().ok().is_some_and(|origin| host.is_some() && origin.authority().map(|a| a.as_str()) == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        comes_from_us(&headers, "https://ipn.example.com")
    }

    #[test]
    fn only_our_own_pages_pass() {
        assert!(passes(&[("sec-fetch-site", "same-origin")]));
        assert!(passes(&[("sec-fetch-site", "none")]), "typed by the user");
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-site")]), "a neighbouring subdomain is another site");
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", "https://ipn.example.com")]));
        assert!(passes(&[("origin", "https://ipn.example.com"), ("host", "inner:3000")]), "behind a proxy");
        assert!(passes(&[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:3000")]));
        assert!(!passes(&[("origin", "https://evil.example"), ("host", "ipn.example.com")]));
        assert!(!passes(&[("origin", "null"), ("host", "ipn.example.com")]));
        assert!(passes(&[]), "no browser");
    }
}
