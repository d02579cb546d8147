//! What somebody writes, shown as he writes it. The button that does the same without scripts stays.

use leptos::prelude::*;

/// The part of a page that shows what stands in its form. Its content comes with the page; as somebody writes, the form is posted
/// to the page itself, which keeps nothing, and this part of the answer is taken over.
#[island]
pub fn Preview(
    /// The id of the form.
    form: String,
    children: Children,
) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    browser::watch(form);
    #[cfg(not(feature = "hydrate"))]
    let _ = form;
    view! { <div id="previewed" class="stack">{children()}</div> }
}

#[cfg(feature = "hydrate")]
mod browser {
    use crate::ui::islands::morph::morph;
    use leptos::{ev, prelude::*, task::spawn_local};
    use std::{cell::Cell, time::Duration};
    use wasm_bindgen::{JsCast as _, JsValue};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{DomParser, Element, FormData, HtmlFormElement, RequestInit, Response, SupportedType, UrlSearchParams};

    /// The id of the part.
    const PART: &str = "previewed";
    /// Whoever writes on within this time is not interrupted.
    const PAUSE: Duration = Duration::from_millis(250);

    thread_local! {
        /// How often something was written.
        static WRITTEN: Cell<u32> = const { Cell::new(0) };
    }

    pub fn watch(form: String) {
        let _ = window_event_listener(ev::input, move |event| {
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let own = target.and_then(|target| target.closest("form").ok().flatten()).filter(|own| own.id() == form);
            let Some(form) = own.and_then(|own| own.dyn_into::<HtmlFormElement>().ok()) else { return };
            let now = WRITTEN.get().wrapping_add(1);
            WRITTEN.set(now);
            set_timeout(
                move || {
                    if WRITTEN.get() == now {
                        // What cannot be shown now is shown by the button, with whatever is wrong.
                        spawn_local(async move { drop(show(&form, now).await) });
                    }
                },
                PAUSE,
            );
        });
    }

    async fn show(form: &HtmlFormElement, written: u32) -> Result<(), JsValue> {
        let entered = FormData::new_with_form(form)?;
        let body = UrlSearchParams::new_with_str_sequence_sequence(entered.as_ref())?;
        let asked = RequestInit::new();
        asked.set_method("POST");
        asked.set_body(body.as_ref());
        let page = window().location().pathname()?;
        let response: Response = JsFuture::from(window().fetch_with_str_and_init(&page, &asked)).await?.dyn_into()?;
        if !response.ok() || response.redirected() {
            return Ok(());
        }
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        // More was written meanwhile; that is shown next.
        if WRITTEN.get() != written {
            return Ok(());
        }
        let fresh = DomParser::new()?.parse_from_string(&text, SupportedType::TextHtml)?;
        if let (Some(part), Some(fresh)) = (document().get_element_by_id(PART), fresh.get_element_by_id(PART)) {
            morph(&part, &fresh);
        }
        Ok(())
    }
}
