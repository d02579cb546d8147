//! `/live`: server-sent events that tell open pages what changed, for the merchants that the viewer may see.

use super::{Panel, cookies::session_token};
use crate::{
    domain::{AppError, pages::live::Event},
    rpc::CurrentUser,
    server::{
        auth::Token,
        live::{Batch, Missed},
        store::{Change, Directory, UserRecord},
    },
    words::{Language, speaking},
};
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response, Sse, sse},
};
use futures::stream;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

/// So often it is looked whether the session still stands while nothing happens, and as old may be what was seen: together less
/// than a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const SEEN_BEFORE: Duration = Duration::from_millis(400);
/// So often a comment crosses a quiet connection, so that proxies keep it and the browser notices when it breaks.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(serde::Deserialize)]
pub struct After {
    /// The last batch that the page has seen. A browser that comes back by itself says it better in `Last-Event-ID`.
    after: Option<String>,
}

/// The stream of one page. It ends when the server does, and when the session does or its rights cannot be told.
pub async fn events(
    State(panel): State<Panel>,
    Extension(CurrentUser(user)): Extension<CurrentUser>,
    Extension(language): Extension<Language>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Response {
    let (Some(user), Some(token)) = (user, session_token(&headers, &panel.services.base)) else {
        return (StatusCode::UNAUTHORIZED, format!("{}\n", speaking(language, || AppError::SignIn.sentence()))).into_response();
    };
    let session = Token::hash_of(&token);
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let last_heard = resumed.or_else(|| after?.parse().ok());
    let (receiver, missed) = panel.hub.listen(last_heard);
    let mut waiting = VecDeque::new();
    let visible = |batch: &Batch| to_event(&panel.services.store.settings(), &panel, &user, batch);
    match missed {
        Missed::Batches(batches) => waiting.extend(batches.iter().filter_map(|batch| visible(batch))),
        Missed::TooMuch => waiting.extend(event(0, &[Event::Everything])),
    }
    // Sent at once, so that the page knows that it is connected.
    waiting.push_front(sse::Event::default().comment("listening").retry(Duration::from_secs(2)));
    let page = panel.sessions.open(session);
    let state = (receiver, panel, waiting, page);
    let stream = stream::unfold(state, move |(mut receiver, mut panel, mut waiting, page)| async move {
        loop {
            if let Some(event) = waiting.pop_front() {
                return Some((Ok::<_, Infallible>(event), (receiver, panel, waiting, page)));
            }
            let heard = tokio::select! {
                _ = panel.ending.wait_for(|ended| *ended) => return None,
                heard = receiver.recv() => Some(heard),
                () = tokio::time::sleep(LOOK_EVERY) => None,
            };
            let Some(heard) = heard else {
                let since = Instant::now().checked_sub(SEEN_BEFORE).unwrap_or_else(Instant::now);
                // Where it cannot be told, the page is told nothing, and need not end for that.
                match page.user(since).await {
                    Ok(None) => return None,
                    _ => continue,
                }
            };
            // Asked anew each time: he may have signed out, or belong to other merchants now. It does not count as a
            // request of his, so a page that is only left open lets the session end.
            let since = heard.as_ref().map_or_else(|_| Instant::now(), |batch| batch.told_at);
            let user = page.user(since).await.ok()??;
            match heard {
                Ok(batch) => waiting.extend(to_event(&panel.services.store.settings(), &panel, &user, &batch)),
                Err(RecvError::Lagged(_)) => waiting.extend(event(0, &[Event::Everything])),
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let keep_alive = sse::KeepAlive::new().interval(HEARTBEAT);
    (
        [(header::CACHE_CONTROL, "no-store"), (header::HeaderName::from_static("x-accel-buffering"), "no")],
        Sse::new(stream).keep_alive(keep_alive),
    )
        .into_response()
}

fn to_event(settings: &Directory, panel: &Panel, user: &UserRecord, batch: &Batch) -> Option<sse::Event> {
    let slug = |id| {
        let slug = &settings.merchant(id)?.slug;
        panel.services.merchant_for(user, slug).map(|merchant| merchant.slug.clone())
    };
    let events: Vec<Event> = batch
        .changes
        .iter()
        .filter_map(|change| match *change {
            Change::Order(merchant, order) => Some(Event::Order { merchant: slug(merchant)?, order }),
            Change::Orders(merchant) => Some(Event::Orders { merchant: slug(merchant)? }),
            Change::Refusal(merchant, listener) => Some(Event::Refusal { merchant: slug(merchant)?, listener }),
            Change::Settings => Some(Event::Everything),
        })
        .collect();
    if events.is_empty() { None } else { event(batch.sequence, &events) }
}

fn event(sequence: u64, events: &[Event]) -> Option<sse::Event> {
    let event = sse::Event::default().json_data(events).ok()?;
    Some(if sequence == 0 { event } else { event.id(sequence.to_string()) })
}
