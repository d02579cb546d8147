//! Who is asking, and in which language: puts the signed-in user into the request, and leads the others to the sign-in page.

use super::{
    cookies::{language, session_token},
    pages::out_of_order,
};
use crate::{
    rpc::{ClientAddress, CurrentUser},
    server::{auth::session_user, service::Services},
    words::{Language, speaking, t},
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use std::net::SocketAddr;

/// Pages that need no sign-in.
const OPEN_PAGES: [&str; 3] = ["/sign-in", "/setup", "/join"];

/// Finds the user of the request's session, and where he is.
pub async fn current_user(
    State(services): State<Services>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = services.client_of(peer, request.headers());
    request.extensions_mut().insert(ClientAddress(client));
    let user = match session_token(request.headers(), &services.base) {
        None => None,
        Some(token) => match session_user(&services.store, &token, services.clock.now()).await {
            Ok(user) => user,
            Err(error) => {
                tracing::error!(%error, "a session could not be looked up");
                return speaking(language(request.headers()), || {
                    if is_page(&request) {
                        return out_of_order();
                    }
                    let message = format!("{}\n", t!("The database cannot be read at the moment. Please try again."));
                    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], message).into_response()
                });
            }
        },
    };
    let path = request.uri().path();
    if user.is_none() && is_page(&request) && !OPEN_PAGES.contains(&path) {
        let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
        let next_page: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
        let page = if wanted == "/" { "/sign-in".to_owned() } else { format!("/sign-in?next={next_page}") };
        return Redirect::to(&page).into_response();
    }
    // What somebody has chosen goes before what his browser says.
    let chosen = user.as_ref().and_then(|user| user.language.as_deref()).and_then(Language::from_code);
    let spoken = chosen.unwrap_or_else(|| language(request.headers()));
    request.extensions_mut().insert(spoken);
    request.extensions_mut().insert(CurrentUser(user));
    next.run(request).await
}

/// Whether somebody will look at the answer.
fn is_page(request: &Request) -> bool {
    let path = request.uri().path();
    matches!(*request.method(), Method::GET | Method::HEAD) && !path.starts_with("/rpc/") && path != "/live"
}
