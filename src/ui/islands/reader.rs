//! Reads the page again from its address, one reading at a time, and changes the live part in place.

use super::{live::Subject, morph::morph};
use crate::domain::pages::live::Event;
use leptos::{prelude::*, task::spawn_local};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DomParser, EventSource, MessageEvent, Response, SupportedType};

/// The ids of what is live: the part that tells of the subject, and the saved views, which belong to the address.
const PARTS: [&str; 2] = ["live", "views"];
/// Between two readings at the least: an event is on the page within 300 ms.
const PAUSE: Duration = Duration::from_millis(180);
/// A server that answers slowly has enough to do: the page rests so many times as long as a reading took.
const REST: u32 = 3;
/// Where a reading failed, the next one waits so long.
const AFTER_FAILURE: Duration = Duration::from_secs(3);

/// What the reader does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Busy,
    /// Something changed while it was reading or resting.
    Behind,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::Idle) };
    /// How often the reader of the page has wished for something else.
    static WISH: Cell<u32> = const { Cell::new(0) };
    /// Something changed while nobody could see the page.
    static UNSEEN: Cell<bool> = const { Cell::new(false) };
}

/// What is being read at this moment is no longer wanted: something else was typed, and a reading of that follows. Rows of
/// the earlier search would come and go under the hands of who has gone on already.
pub fn outdate() {
    WISH.set(WISH.get().wrapping_add(1));
}

/// Reads the page again whenever something of its subject changes.
pub fn listen(subject: Subject) {
    let root = document().document_element();
    let heard = root.and_then(|root| root.get_attribute("data-heard")).unwrap_or_default();
    let Ok(source) = EventSource::new(&format!("/live?after={heard}")) else { return };
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let events = message.data().as_string().and_then(|text| serde_json::from_str::<Vec<Event>>(&text).ok());
        if events.is_some_and(|events| events.iter().any(|event| subject.is_touched_by(event))) {
            // Pages in the background are brought up to date when somebody looks at them.
            if document().hidden() {
                UNSEEN.set(true);
            } else {
                read();
            }
        }
    });
    let on_look = Closure::<dyn Fn()>::new(|| {
        if !document().hidden() && UNSEEN.take() {
            read();
        }
    });
    let _ = document().add_event_listener_with_callback("visibilitychange", on_look.as_ref().unchecked_ref());
    source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    let on_open = Closure::<dyn Fn()>::new(|| show_connected(true));
    source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
    // The browser connects again by itself, and says what it heard last.
    let on_error = Closure::<dyn Fn()>::new(|| show_connected(false));
    source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    // They live as long as the page does.
    on_message.forget();
    on_look.forget();
    on_open.forget();
    on_error.forget();
}

/// Reads the page again: now, or as soon as the reading under way has ended.
pub fn read() {
    if STATE.replace(State::Behind) != State::Idle {
        return;
    }
    STATE.set(State::Busy);
    spawn_local(async {
        let begun = js_sys::Date::now();
        let pause = if refresh().await.is_ok() {
            let took = Duration::from_millis((js_sys::Date::now() - begun).clamp(0.0, 900.0) as u64);
            PAUSE.max(took * REST)
        } else {
            AFTER_FAILURE
        };
        set_timeout(
            move || {
                let is_behind = STATE.replace(State::Idle) == State::Behind;
                if is_behind || pause == AFTER_FAILURE {
                    read();
                }
            },
            pause,
        );
    });
}

async fn refresh() -> Result<(), JsValue> {
    let address = || window().location().href();
    let asked = address()?;
    let wish = WISH.get();
    let response: Response = JsFuture::from(window().fetch_with_str(&asked)).await?.dyn_into()?;
    if response.redirected() {
        // The session has ended, or the page has moved: let the browser go there.
        return window().location().reload();
    }
    if matches!(response.status(), 403 | 404 | 410) && address()? == asked {
        // What the page told of has gone, or it is not the viewer's any more: the page that says so has nothing that is live.
        return window().location().reload();
    }
    let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
    // Another search has begun meanwhile; its own reading follows.
    if WISH.get() != wish || address()? != asked {
        return Ok(());
    }
    let fresh = DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)?;
    for id in PARTS {
        if let (Some(part), Some(fresh)) = (document().get_element_by_id(id), fresh.get_element_by_id(id)) {
            morph(&part, &fresh);
        }
    }
    super::helpers::tick();
    Ok(())
}

/// The page shows whether it is up to date.
fn show_connected(connected: bool) {
    if let Some(body) = document().body() {
        let _ = body.set_attribute("data-live", if connected { "on" } else { "off" });
    }
}
