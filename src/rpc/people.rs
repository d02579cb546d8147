//! The first run, signing in and out, one's own password, look and language.

use crate::domain::{
    AppError,
    pages::people::{FirstRun, LinkState, OwnSession, Viewer},
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        caller::{place, services},
        form::{Done, Sent, set_cookie},
    },
    crate::server::auth::Token,
    crate::server::http::cookies::{end_session_cookie, language_cookie, session_cookie, session_token, theme_cookie},
    crate::words::Language,
    http::request::Parts,
};

/// The signed-in user.
#[server(prefix = "/rpc", endpoint = "viewer", input = GetUrl)]
pub async fn read_viewer() -> Result<Viewer, AppError> {
    let caller = Caller::current()?;
    Ok(caller.services.viewer(&caller.user))
}

/// Whether the first administrator is still to be created, and by this link.
#[server(prefix = "/rpc", endpoint = "first-run", input = GetUrl)]
pub async fn read_first_run(token: String) -> Result<FirstRun, AppError> {
    services()?.first_run(&token).await.map_err(app_error)
}

/// Creates the first administrator.
#[server(prefix = "/rpc", endpoint = "set-up")]
pub async fn set_up(token: String, email: String, password: String) -> Result<(), AppError> {
    let page = format!("/setup?token={}", token.chars().filter(char::is_ascii_hexdigit).collect::<String>());
    let sent = Sent { form: "set-up", page, values: vec![("email", email.clone())] };
    let result = async {
        let services = services()?;
        let session = services.set_up(&token, &email, &password, &place()).await.map_err(app_error)?;
        set_cookie(&session_cookie(session.reveal(), &services.base));
        Ok(Done::at("/merchants", t!("Welcome. Begin with a merchant: its notifications, URLs and orders belong together.")))
    };
    sent.end(result.await)
}

/// Signs in. `next` is the page that was asked for.
#[server(prefix = "/rpc", endpoint = "sign-in")]
pub async fn sign_in(email: String, password: String, #[server(default)] next: String) -> Result<(), AppError> {
    let next = local_path(&next);
    let query = if next == "/" { String::new() } else { format!("?next={}", percent(&next)) };
    let sent = Sent { form: "sign-in", page: format!("/sign-in{query}"), values: vec![("email", email.clone())] };
    let result = async {
        let services = services()?;
        let session = services.sign_in(&email, &password, &place()).await.map_err(app_error)?;
        set_cookie(&session_cookie(session.reveal(), &services.base));
        Ok(Done { page: next, ..Done::default() })
    };
    sent.end(result.await)
}

/// Whether a link to choose a password works, and for whom.
#[server(prefix = "/rpc", endpoint = "link", input = GetUrl)]
pub async fn read_link(token: String) -> Result<LinkState, AppError> {
    services()?.link_state(&token).await.map_err(app_error)
}

/// Sets the password of whoever has a link, and signs him in.
#[server(prefix = "/rpc", endpoint = "join")]
pub async fn join(token: String, password: String) -> Result<(), AppError> {
    let page = format!("/join?token={}", token.chars().filter(char::is_ascii_hexdigit).collect::<String>());
    let sent = Sent { form: "join", page, values: Vec::new() };
    let result = async {
        let services = services()?;
        let session = services.use_link(&token, &password, &place()).await.map_err(app_error)?;
        set_cookie(&session_cookie(session.reveal(), &services.base));
        Ok(Done::at("/", t!("Your password is set, and you are signed in.")))
    };
    sent.end(result.await)
}

/// One's own sessions.
#[server(prefix = "/rpc", endpoint = "sessions", input = GetUrl)]
pub async fn read_sessions() -> Result<Vec<OwnSession>, AppError> {
    let caller = Caller::current()?;
    caller.services.own_sessions(&caller.user, &own_token(&caller)).await.map_err(app_error)
}

/// Ends one's other sessions.
#[server(prefix = "/rpc", endpoint = "sessions/end-others")]
pub async fn end_other_sessions() -> Result<(), AppError> {
    let sent = Sent { form: "sessions", page: "/account".to_owned(), values: Vec::new() };
    let result = async {
        let caller = Caller::current()?;
        let own = Token::hash_of(&own_token(&caller));
        let ended = caller.services.store.end_other_sessions(caller.user.id, own, caller.actor()).await;
        let notice = match ended.map_err(|error| app_error(error.into()))? {
            0 => t!("There was no other session.").to_owned(),
            1 => t!("Your other session has ended.").to_owned(),
            ended => t!("Your {ended} other sessions have ended.", ended),
        };
        Ok(Done::at("/account", notice))
    };
    sent.end(result.await)
}

/// What the cookie of the request holds.
#[cfg(feature = "ssr")]
fn own_token(caller: &Caller) -> String {
    let parts = use_context::<Parts>();
    parts.and_then(|parts| session_token(&parts.headers, &caller.services.base)).unwrap_or_default()
}

/// Signs out.
#[server(prefix = "/rpc", endpoint = "sign-out")]
pub async fn sign_out() -> Result<(), AppError> {
    let sent = Sent { form: "sign-out", page: "/sign-in".to_owned(), values: Vec::new() };
    let result = async {
        let caller = Caller::current()?;
        let ended = crate::server::auth::end_session(&caller.services.store, &own_token(&caller)).await;
        ended.map_err(|error| app_error(error.into()))?;
        set_cookie(&end_session_cookie(&caller.services.base));
        Ok(Done::at("/sign-in", t!("You are signed out.")))
    };
    sent.end(result.await)
}

/// Changes one's own password.
#[server(prefix = "/rpc", endpoint = "password")]
pub async fn change_password(current: String, password: String) -> Result<(), AppError> {
    let sent = Sent { form: "password", page: "/account".to_owned(), values: Vec::new() };
    let result = async {
        let caller = Caller::current()?;
        let session = caller.services.change_password(&caller.user, &current, &password, &place()).await;
        let session = session.map_err(app_error)?;
        set_cookie(&session_cookie(session.reveal(), &caller.services.base));
        Ok(Done::at("/account", t!("Your password is changed. Other sessions of yours have ended.")))
    };
    sent.end(result.await)
}

/// Chooses light, dark, or what the system prefers.
#[server(prefix = "/rpc", endpoint = "theme")]
pub async fn choose_theme(theme: String, #[server(default)] next: String) -> Result<(), AppError> {
    let sent = Sent { form: "theme", page: "/account".to_owned(), values: Vec::new() };
    let result = Caller::current().map(|_| {
        set_cookie(&theme_cookie(&theme));
        Done { page: local_path(&next), ..Done::default() }
    });
    sent.end(result)
}

/// Chooses a language by its tag, for oneself or, before signing in, for this browser. With any other word the browser decides.
#[server(prefix = "/rpc", endpoint = "language")]
pub async fn choose_language(locale: String, #[server(default)] next: String) -> Result<(), AppError> {
    let page = local_path(&next);
    let sent = Sent { form: "language", page: page.clone(), values: Vec::new() };
    let result = async {
        let chosen = Language::from_code(&locale);
        if let Ok(caller) = Caller::current() {
            let set = caller.services.store.set_language(caller.user.id, chosen.map(Language::code)).await;
            set.map_err(|error| app_error(error.into()))?;
        }
        set_cookie(&language_cookie(chosen));
        Ok(Done { page, ..Done::default() })
    };
    sent.end(result.await)
}

/// A path of this site; anything else is the start page, so that nobody is sent elsewhere by a link.
#[cfg(feature = "ssr")]
fn local_path(next: &str) -> String {
    let is_local =
        next.starts_with('/') && !next.starts_with("//") && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { next.to_owned() } else { "/".to_owned() }
}

#[cfg(feature = "ssr")]
fn percent(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::local_path;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(local_path("/m/shop/orders?text=a"), "/m/shop/orders?text=a");
        for elsewhere in ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:1", "", "/a\r\nb"] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere}");
        }
    }
}
