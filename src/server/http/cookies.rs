//! The cookies: session, flash, theme, language.
//!
//! Over https the session cookie carries the `__Host-` prefix, which browsers keep to this very host and to encrypted
//! connections. Without https (on loopback, or behind nothing) browsers would refuse it, so there it has a plain name.

use crate::domain::{id::UserId, pages::flash::Flash};
use crate::{
    server::store::{Store, random},
    words::Language,
};
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use std::io::{Read as _, Write as _};

const SESSION_SECURE: &str = "__Host-quittance";
const SESSION_PLAIN: &str = "quittance";
const FLASH: &str = "quittance-flash";
const THEME: &str = "quittance-theme";
const LANGUAGE: &str = "quittance-language";
/// How long a browser keeps the session's cookie, in seconds: longer than any session lasts, which is decided here.
const COOKIE_DAYS: u32 = 30 * 86_400;
/// Browsers drop cookies beyond 4 KiB, and so do some proxies.
const MAX_COOKIE: usize = 3_800;
/// As much of a sealed flash fits into one.
const MAX_CARRIED: usize = MAX_COOKIE / 4 * 3;
/// What the place of a kept flash begins with; nothing encoded does.
const KEPT: &str = "flash.";
/// Unpacked bytes of a flash; a form is no larger.
const MAX_FLASH: u64 = 1 << 20;

fn is_secure(base: &str) -> bool {
    base.starts_with("https://")
}

/// The value of a cookie in a request.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// The session's token in a request. Over https only the prefixed cookie counts: a neighbouring host can set the other.
pub fn session_token(headers: &HeaderMap, base: &str) -> Option<String> {
    let name = if is_secure(base) { SESSION_SECURE } else { SESSION_PLAIN };
    cookie(headers, name).map(str::to_owned)
}

/// Sets the session's cookie.
pub fn session_cookie(token: &str, base: &str) -> String {
    let (name, secure) = if is_secure(base) { (SESSION_SECURE, "; Secure") } else { (SESSION_PLAIN, "") };
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_DAYS}{secure}")
}

/// Removes the session's cookie.
pub fn end_session_cookie(base: &str) -> String {
    let (name, secure) = if is_secure(base) { (SESSION_SECURE, "; Secure") } else { (SESSION_PLAIN, "") };
    format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}")
}

/// Carries a flash to the next page, sealed: it may hold a secret key that is shown once. What is too long for a cookie is kept
/// for the user, and the cookie says where.
pub async fn flash_cookie(store: &Store, user: Option<UserId>, flash: &Flash, base: &str) -> String {
    let secure = if is_secure(base) { "; Secure" } else { "" };
    let sealed = |flash: &Flash| store.seal(FLASH, &deflated(&serde_json::to_vec(flash).unwrap_or_default()));
    let whole = sealed(flash);
    let value = match user {
        Some(user) if whole.len() > MAX_CARRIED => keep_flash(store, user, whole).await,
        _ => None,
    };
    let value = value.unwrap_or_else(|| fitting(flash, |flash| URL_SAFE_NO_PAD.encode(sealed(flash))));
    format!("{FLASH}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=120{secure}")
}

/// Keeps a sealed flash; gives what the cookie says of it.
async fn keep_flash(store: &Store, user: UserId, sealed: Vec<u8>) -> Option<String> {
    let place = format!("{KEPT}{}", hex::encode(random::<16>()));
    let kept = async {
        store.claim_form(user, place.clone()).await?;
        store.answer_form(user, place.clone(), Some(sealed)).await
    };
    match kept.await {
        Ok(()) => Some(place),
        Err(error) => {
            tracing::warn!(%error, "what was entered into a form could not be kept, and is shortened");
            None
        }
    }
}

/// The flash in a request.
pub async fn read_flash(store: &Store, user: Option<UserId>, headers: &HeaderMap) -> Option<Flash> {
    let value = cookie(headers, FLASH)?;
    let sealed = match (value.starts_with(KEPT), user) {
        (true, Some(user)) => store.form_answer(user, value.to_owned()).await.ok().flatten()?,
        _ => URL_SAFE_NO_PAD.decode(value).ok()?,
    };
    let packed = store.unseal(FLASH, &sealed)?;
    let mut plain = Vec::new();
    DeflateDecoder::new(packed.reveal()).take(MAX_FLASH).read_to_end(&mut plain).ok()?;
    serde_json::from_slice(&plain).ok()
}

/// What was entered is mostly words that come again and again: names of fields, of tags, of statuses.
fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail.
    let _ = encoder.write_all(plain);
    encoder.finish().unwrap_or_default()
}

/// A flash in a form that a cookie can carry. Where it is too long its longest values stay behind, and it says so.
fn fitting(flash: &Flash, mut made: impl FnMut(&Flash) -> String) -> String {
    let mut value = made(flash);
    let mut rest = flash.clone();
    while value.len() > MAX_COOKIE
        && let Some((longest, _)) = rest.values.iter().enumerate().max_by_key(|(_, (_, value))| value.len())
    {
        rest.values.remove(longest);
        rest.shortened = true;
        value = made(&rest);
    }
    value
}

/// Removes the flash once it was shown.
pub fn end_flash_cookie() -> String {
    format!("{FLASH}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// Remembers light or dark; anything else goes by the system's preference.
pub fn theme_cookie(theme: &str) -> String {
    match theme {
        "light" | "dark" => format!("{THEME}={theme}; Path=/; SameSite=Lax; Max-Age=31536000"),
        _ => format!("{THEME}=; Path=/; SameSite=Lax; Max-Age=0"),
    }
}

/// Light or dark, where somebody has chosen.
pub fn theme(headers: &HeaderMap) -> Option<&'static str> {
    match cookie(headers, THEME)? {
        "light" => Some("light"),
        "dark" => Some("dark"),
        _ => None,
    }
}

/// Remembers a language; without one the browser's wishes count again.
pub fn language_cookie(language: Option<Language>) -> String {
    match language {
        Some(language) => format!("{LANGUAGE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000", language.code()),
        None => format!("{LANGUAGE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"),
    }
}

/// The language of a request whose user has chosen none: of its cookie, else what the browser likes, else English.
pub fn language(headers: &HeaderMap) -> Language {
    let liked = || Language::liked(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?);
    cookie(headers, LANGUAGE).and_then(Language::from_code).or_else(liked).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn made(flash: &Flash) -> String {
        URL_SAFE_NO_PAD.encode(deflated(&serde_json::to_vec(flash).unwrap()))
    }

    fn noise(length: usize) -> String {
        let blocks = (0..length.div_ceil(64)).map(|number| hex::encode(Sha256::digest(number.to_le_bytes())));
        blocks.collect::<String>()[..length].to_owned()
    }

    #[test]
    fn a_long_form_is_carried_whole() {
        let tags = (0..200).map(|number| (format!("tags[{number}]"), format!("IPN_LICENSE_FIELD_{number}")));
        let text = ("text".to_owned(), "Hello {name}, your payment of {amount} for order {order} has arrived. ".repeat(60));
        let flash = Flash { values: tags.chain([text]).collect(), ..Flash::default() };
        assert!(serde_json::to_vec(&flash).unwrap().len() > 10_000);
        let value = fitting(&flash, made);
        assert!(value.len() <= MAX_COOKIE, "{}", value.len());
        assert_eq!(value, made(&flash), "nothing stayed behind");
    }

    #[test]
    fn what_is_too_long_stays_behind_and_the_page_is_told() {
        let value = |name: &str, value: String| (name.to_owned(), value);
        let values = vec![value("label", "Shop".to_owned()), value("authority", noise(8_000)), value("url", noise(500))];
        let flash = Flash { values, ..Flash::default() };
        let mut carried = None;
        let sent = fitting(&flash, |flash| {
            carried = Some(flash.clone());
            made(flash)
        });
        assert!(sent.len() <= MAX_COOKIE);
        let carried = carried.unwrap();
        assert!(carried.shortened);
        assert_eq!((carried.value("label"), carried.value("authority")), (Some("Shop"), None));
        assert_eq!(carried.value("url"), flash.value("url"), "only the longest is left out");
    }
}
