//! The files that a browser loads besides pages: embedded, compressed beforehand, named after their content and so
//! cached for good. The set-up of the build (`make site`) makes them.

use axum::{
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::{IntoResponse, Redirect},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::Deserialize;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/target/site"]
#[allow_missing = true]
struct Files;

/// Tells the compiler that other files are to be embedded when this changes; the Makefile sets it.
const _BUILT_WITH: Option<&str> = option_env!("QUITTANCE_SITE");

/// The names of the files that pages ask for.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Manifest {
    /// Without its ending: `quittance-1a2b3c`.
    pub script: String,
    pub style: String,
    pub icons: String,
    pub favicon: String,
}

/// The manifest that was built with the files. In a development build it is read again for each page.
pub fn manifest() -> Manifest {
    static EMBEDDED: LazyLock<Manifest> = LazyLock::new(read_manifest);
    if cfg!(debug_assertions) { read_manifest() } else { EMBEDDED.clone() }
}

fn read_manifest() -> Manifest {
    let found = Files::get("manifest.json").and_then(|file| serde_json::from_slice(&file.data).ok());
    found.unwrap_or_else(|| {
        tracing::error!("the style sheet and the scripts are missing from this build; run `make build`");
        Manifest::default()
    })
}

/// `/pkg/{file}`
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response<Body> {
    if name.ends_with(".br") || name.ends_with(".gz") || name.contains('/') {
        return StatusCode::NOT_FOUND.into_response();
    }
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(accepted, encoding))
        .find_map(|(encoding, ending)| Some((Files::get(&format!("pkg/{name}{ending}"))?, Some(encoding))))
        .or_else(|| Some((Files::get(&format!("pkg/{name}"))?, None)));
    match found {
        Some((file, encoding)) => respond(&name, file, encoding),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Browsers ask for this one by themselves.
pub async fn favicon() -> Redirect {
    Redirect::temporary(&format!("/pkg/{}", manifest().favicon))
}

/// Whether an encoding is accepted; `br;q=0` says it is not.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|item| {
        let (name, quality) = item.split_once(';').unwrap_or((item, "q=1"));
        let quality = quality.trim().strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok()).unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case(encoding) && quality > 0.0
    })
}

fn respond(name: &str, file: EmbeddedFile, encoding: Option<&'static str>) -> Response<Body> {
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let body = match file.data {
        std::borrow::Cow::Borrowed(bytes) => Body::from(bytes),
        std::borrow::Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::accepts;

    #[test]
    fn an_encoding_is_used_only_where_it_is_accepted() {
        assert!(accepts("gzip, deflate, br, zstd", "br"));
        assert!(accepts("br;q=0.5", "br"));
        assert!(!accepts("gzip;q=1.0, br;q=0", "br"));
        assert!(!accepts("br;q=0.0", "br"));
        assert!(!accepts("", "br"));
        assert!(!accepts("brotli", "br"));
    }
}
