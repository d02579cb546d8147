// Takes payment notifications, and answers each with a read receipt once it is stored.
// For axum 0.8. Needs the crates axum, tokio, hmac 0.13, md-5 0.11, sha2 0.11, sha3 0.12, hex and jiff. Serve `router(settings)`
// behind HTTPS, with `Settings::from_env()`, which reads:
//   IPN_SECRET_KEY      the secret key of your IPN settings
//   IPN_SECRET_KEY_OLD  the key before, only while you change it
//   IPN_STORE           a folder that this program may write to

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
};

const ALGORITHM: &str = "md5"; // "md5", "sha256" or "sha3-256", as chosen for this URL
const SIGNATURES: [(&str, &str); 3] = [("md5", "HASH"), ("sha256", "SIGNATURE_SHA2_256"), ("sha3-256", "SIGNATURE_SHA3_256")];
const MAX_BODY: usize = 1 << 20;

pub struct Settings {
    pub algorithm: &'static str,
    pub keys: Vec<String>,
    pub store: PathBuf,
}

impl Settings {
    pub fn from_env() -> Result<Self, std::env::VarError> {
        let old = std::env::var("IPN_SECRET_KEY_OLD").ok().filter(|key| !key.is_empty());
        let keys = [std::env::var("IPN_SECRET_KEY")?].into_iter().chain(old).collect();
        Ok(Self { algorithm: ALGORITHM, keys, store: std::env::var("IPN_STORE")?.into() })
    }
}

pub fn router(settings: Settings) -> Router {
    // It is asked with GET when the URL is saved.
    let page = get(|| async { "" }).post(receive);
    Router::new().route("/", page).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(Arc::new(settings))
}

async fn receive(State(settings): State<Arc<Settings>>, body: Bytes) -> Response {
    let taken = tokio::task::spawn_blocking(move || take(&settings, &body)).await;
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    match taken {
        Ok(Ok(Some(receipt))) => (text, receipt).into_response(),
        Ok(Ok(None)) => (StatusCode::BAD_REQUEST, text, "The signature is wrong.\n").into_response(),
        Ok(Err(error)) => {
            eprintln!("payment notification: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, text, "Not stored. Please send it again.\n").into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The receipt for a message that is stored; none where its signature is wrong.
fn take(settings: &Settings, body: &[u8]) -> io::Result<Option<String>> {
    let algorithm = settings.algorithm;
    let fields = fields(body);
    let is_signature = |name: &[u8]| SIGNATURES.iter().any(|(_, field)| field.as_bytes() == name);
    let source = prefixed(fields.iter().filter(|(name, _)| !is_signature(name)).map(|(_, value)| value.as_slice()));
    let field = SIGNATURES.iter().find(|(name, _)| *name == algorithm).map_or("", |(_, field)| *field);
    let given = hex::decode(first(&fields, field)).unwrap_or_default();
    let Some(key) = settings.keys.iter().find(|key| is_right(algorithm, key, &source, &given)) else { return Ok(None) };
    store(&settings.store, &hex::encode(Sha256::digest(&source)), body)?;
    let date = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let values = ["IPN_PID", "IPN_PNAME", "IPN_DATE"].map(|name| first(&fields, name));
    let hash = sign(algorithm, key, &prefixed(values.into_iter().chain([date.as_bytes()])));
    Ok(Some(match algorithm {
        "md5" => format!("<EPAYMENT>{date}|{hash}</EPAYMENT>"),
        _ => format!(r#"<sig algo="{algorithm}" date="{date}">{hash}</sig>"#),
    }))
}

fn mac<M: Mac + KeyInit>(key: &str, text: &[u8]) -> M {
    // A keyed hash takes a key of any length.
    <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!()).chain_update(text)
}

fn sign(algorithm: &str, key: &str, text: &[u8]) -> String {
    match algorithm {
        "md5" => hex::encode(mac::<Hmac<md5::Md5>>(key, text).finalize().into_bytes()),
        "sha256" => hex::encode(mac::<Hmac<Sha256>>(key, text).finalize().into_bytes()),
        _ => hex::encode(mac::<SimpleHmac<sha3::Sha3_256>>(key, text).finalize().into_bytes()),
    }
}

/// Compares in constant time.
fn is_right(algorithm: &str, key: &str, text: &[u8], given: &[u8]) -> bool {
    match algorithm {
        "md5" => mac::<Hmac<md5::Md5>>(key, text).verify_slice(given).is_ok(),
        "sha256" => mac::<Hmac<Sha256>>(key, text).verify_slice(given).is_ok(),
        _ => mac::<SimpleHmac<sha3::Sha3_256>>(key, text).verify_slice(given).is_ok(),
    }
}

/// Names and values as bytes, in the order in which they came.
fn fields(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (decoded(&pair[..at]), decoded(&pair[at + 1..])),
            None => (decoded(pair), Vec::new()),
        })
        .collect()
}

/// A percent sign that begins no escape stands for itself.
fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
        at += 1;
    }
    bytes
}

/// Each value after its length in bytes.
fn prefixed<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    values.flat_map(|value| [value.len().to_string().into_bytes(), value.to_vec()].concat()).collect()
}

fn first<'a>(fields: &'a [(Vec<u8>, Vec<u8>)], wanted: &str) -> &'a [u8] {
    let named = fields.iter().find(|(name, _)| name.split(|byte| *byte == b'[').next() == Some(wanted.as_bytes()));
    named.map_or(&[], |(_, value)| value)
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
