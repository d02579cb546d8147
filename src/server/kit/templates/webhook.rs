// Takes payment notifications as JSON, signed as Standard Webhooks says, and answers 204 once a message is stored.
// For axum 0.8. Needs the crates axum, tokio, base64 0.22, hmac 0.13, sha2 0.11, hex and serde_json. Serve `router(settings)` behind
// HTTPS, with `Settings::from_env()`, which reads:
//   WEBHOOK_SECRET      the signing secret of this URL: whsec_…
//   WEBHOOK_SECRET_OLD  the secret before, only while you change it
//   WEBHOOK_STORE       a folder that this program may write to

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

const MAX_BODY: usize = 1 << 20;
const MAX_AGE: u64 = 300; // seconds that the clock of the sender may differ

pub struct Settings {
    keys: Vec<Vec<u8>>,
    store: PathBuf,
}

impl Settings {
    pub fn from_env() -> Result<Self, &'static str> {
        let set = |name| std::env::var(name).unwrap_or_default();
        Self::new(&[set("WEBHOOK_SECRET"), set("WEBHOOK_SECRET_OLD")], set("WEBHOOK_STORE").into())
    }

    pub fn new(secrets: &[String], store: PathBuf) -> Result<Self, &'static str> {
        let keys: Vec<_> = secrets.iter().filter_map(|secret| key(secret)).collect();
        if keys.is_empty() || store.as_os_str().is_empty() {
            return Err("set WEBHOOK_SECRET (whsec_…) and WEBHOOK_STORE");
        }
        Ok(Self { keys, store })
    }
}

/// The key in a signing secret; none where it is no signing secret, or an empty one: with that anybody can sign.
fn key(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret.strip_prefix("whsec_")?).ok().filter(|key| !key.is_empty())
}

pub fn router(settings: Settings) -> Router {
    // It is asked with GET when the URL is saved.
    let page = get(|| async { "" }).post(receive);
    Router::new().route("/", page).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(Arc::new(settings))
}

async fn receive(State(settings): State<Arc<Settings>>, headers: HeaderMap, body: Bytes) -> Response {
    let taken = tokio::task::spawn_blocking(move || take(&settings, &headers, &body)).await;
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match taken {
        Ok(Ok(true)) => StatusCode::NO_CONTENT.into_response(),
        Ok(Ok(false)) => (StatusCode::BAD_REQUEST, text, "The signature is wrong.\n").into_response(),
        Ok(Err(error)) => {
            eprintln!("payment notification: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, text, "Not stored. Please send it again.\n").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether the signature is right; the message is stored then.
fn take(settings: &Settings, headers: &HeaderMap, body: &[u8]) -> io::Result<bool> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = header("webhook-id");
    if !is_right(&settings.keys, id, header("webhook-timestamp"), body, header("webhook-signature")) {
        return Ok(false);
    }
    let message: Value = serde_json::from_slice(body)?;
    let order = &message["data"]["order"]; // reference, status, amount: {"minor": 52900, "currency": "USD", "exponent": 2}
    store(&settings.store, &hex::encode(Sha256::digest(id)), body)?;
    println!("order {} is {}", order["reference"].as_str().unwrap_or_default(), order["status"].as_str().unwrap_or_default());
    Ok(true)
}

/// Whether one of the signatures is ours, compared in constant time. There are two while the sender changes its key.
fn is_right(keys: &[Vec<u8>], id: &str, seconds: &str, body: &[u8], signatures: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if !seconds.parse().is_ok_and(|sent: u64| now.abs_diff(sent) <= MAX_AGE) {
        return false;
    }
    let given: Vec<_> = signatures.split(' ').filter_map(|text| STANDARD.decode(text.strip_prefix("v1,")?).ok()).collect();
    keys.iter().any(|key| {
        // A keyed hash takes a key of any length.
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| unreachable!());
        let mac = mac.chain_update(format!("{id}.{seconds}.")).chain_update(body);
        given.iter().any(|given| mac.clone().verify_slice(given).is_ok())
    })
}

/// Keeps a message under its id; one that is there already came again, and nothing is to be done for it. Instead of a file
/// this may be a row of your database with the id as its unique key. Do slow work later, from what is stored.
fn store(folder: &Path, id: &str, body: &[u8]) -> io::Result<()> {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let draft = folder.join(format!("draft-{}-{}", std::process::id(), DRAFTS.fetch_add(1, Ordering::Relaxed)));
    let mut file = File::create_new(&draft)?;
    let kept = file.write_all(body).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, folder.join(id)));
    fs::remove_file(&draft)?;
    match kept {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        kept => kept,
    }
}
