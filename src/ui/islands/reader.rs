//! Reads the page again from its address, one reading at a time, and changes the live part in place.

use super::{live::Subject, morph::morph};
use crate::domain::pages::live::Event;
use js_sys::Function;
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
    /// What tells of changes while the page can be seen.
    static SOURCE: RefCell<Option<EventSource>> = const { RefCell::new(None) };
}

/// What is being read at this moment is no longer wanted: something else was typed, and a reading of that follows. Rows of
/// the earlier search would come and go under the hands of who has gone on already.
pub fn outdate() {
    WISH.set(WISH.get().wrapping_add(1));
}

/// What a stream of events calls. They live as long as the page does.
struct Ears {
    on_message: Function,
    on_open: Function,
    on_error: Function,
}

/// Reads the page again whenever something of its subject changes, for as long as somebody can see it: browsers have few
/// connections for each server, and pages in the background would use them up.
pub fn listen(subject: Subject) {
    let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
        let events = message.data().as_string().and_then(|text| serde_json::from_str::<Vec<Event>>(&text).ok());
        if events.is_some_and(|events| events.iter().any(|event| subject.is_touched_by(event))) {
            read();
        }
    });
    let on_open = Closure::<dyn Fn()>::new(|| show_connected(true));
    // The browser connects again by itself, and says what it heard last.
    let on_error = Closure::<dyn Fn()>::new(|| show_connected(false));
    let ears = Ears {
        on_message: on_message.into_js_value().unchecked_into(),
        on_open: on_open.into_js_value().unchecked_into(),
        on_error: on_error.into_js_value().unchecked_into(),
    };
    if !document().hidden() {
        connect(&ears);
    }
    let on_look = Closure::<dyn Fn()>::new(move || {
        if document().hidden() {
            if let Some(source) = SOURCE.take() {
                source.close();
            }
        } else if SOURCE.with_borrow(Option::is_none) {
            connect(&ears);
            read();
        }
    });
    let on_look: Function = on_look.into_js_value().unchecked_into();
    let _ = document().add_event_listener_with_callback("visibilitychange", &on_look);
}

fn connect(ears: &Ears) {
    let root = document().document_element();
    let heard = root.and_then(|root| root.get_attribute("data-heard")).unwrap_or_default();
    let Ok(source) = EventSource::new(&format!("/live?after={heard}")) else { return };
    source.set_onmessage(Some(&ears.on_message));
    source.set_onopen(Some(&ears.on_open));
    source.set_onerror(Some(&ears.on_error));
    SOURCE.set(Some(source));
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
