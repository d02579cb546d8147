//! Live data: a signal that is read again through its server function whenever the server says that it changed.

use crate::domain::{AppError, pages::live::Event};
use leptos::prelude::*;

/// Data that stays up to date. `concerned` says of an event whether it is about this data; `read` reads it again.
#[cfg(not(feature = "hydrate"))]
pub fn live<T, F>(initial: T, _concerned: impl Fn(&Event) -> bool + 'static, _read: impl Fn() -> F + 'static) -> RwSignal<T>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + 'static,
{
    RwSignal::new(initial)
}

/// Data that stays up to date. `concerned` says of an event whether it is about this data; `read` reads it again.
#[cfg(feature = "hydrate")]
pub fn live<T, F>(initial: T, concerned: impl Fn(&Event) -> bool + 'static, read: impl Fn() -> F + 'static) -> RwSignal<T>
where
    T: Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + 'static,
{
    let data = RwSignal::new(initial);
    browser::listen(concerned, move || {
        let reading = read();
        async move {
            // A failed reading leaves what is shown; the next event, or the reconnection, tries again.
            if let Ok(fresh) = reading.await {
                data.set(fresh);
            }
        }
    });
    data
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Event;
    use leptos::{prelude::*, task::spawn_local};
    use std::{cell::Cell, rc::Rc, time::Duration};
    use wasm_bindgen::{JsCast as _, closure::Closure};
    use web_sys::{EventSource, MessageEvent};

    /// At full speed a page is read again so often and not more.
    const PAUSE: Duration = Duration::from_millis(400);

    /// What the reader does at the moment.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Reader {
        Idle,
        Busy,
        /// Something changed while it was reading or pausing.
        Behind,
    }

    /// Calls `reload` for events that concern it, one at a time.
    pub fn listen<F: Future<Output = ()> + 'static>(
        concerned: impl Fn(&Event) -> bool + 'static,
        reload: impl Fn() -> F + 'static,
    ) {
        let root = document().document_element();
        let heard = root.and_then(|root| root.get_attribute("data-heard")).unwrap_or_default();
        let Ok(source) = EventSource::new(&format!("/live?after={heard}")) else { return };
        let reader = Rc::new(Cell::new(Reader::Idle));
        let reload = Rc::new(reload);
        let on_message = Closure::<dyn Fn(MessageEvent)>::new(move |message: MessageEvent| {
            let Some(text) = message.data().as_string() else { return };
            let Ok(events) = serde_json::from_str::<Vec<Event>>(&text) else { return };
            if events.iter().any(&concerned) {
                wake(&reader, &reload);
            }
        });
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let on_open = Closure::<dyn Fn()>::new(|| show(true));
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        let on_error = Closure::<dyn Fn()>::new(|| show(false));
        source.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        // They live as long as the page does.
        on_message.forget();
        on_open.forget();
        on_error.forget();
    }

    fn wake<F: Future<Output = ()> + 'static>(reader: &Rc<Cell<Reader>>, reload: &Rc<impl Fn() -> F + 'static>) {
        if reader.replace(Reader::Behind) != Reader::Idle {
            return;
        }
        reader.set(Reader::Busy);
        let (reader, reload) = (reader.clone(), reload.clone());
        spawn_local(async move {
            reload().await;
            set_timeout(
                move || {
                    if reader.replace(Reader::Idle) == Reader::Behind {
                        wake(&reader, &reload);
                    }
                },
                PAUSE,
            );
        });
    }

    /// The page shows whether it is up to date.
    fn show(connected: bool) {
        if let Some(body) = document().body() {
            let _ = body.set_attribute("data-live", if connected { "on" } else { "off" });
        }
    }
}
