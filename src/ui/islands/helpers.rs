//! Small helps on every page: keys, copy buttons, times that tick. Without JavaScript nothing of it is missed.

use crate::{
    ui::format::DISTANCES,
    words::{n, t, tell},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What the helps say; the page hands it over, because the browser's half has no catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyWords {
    keys: Vec<(String, String)>,
    title: String,
    close: String,
    copied: String,
    /// What is said instead of each of [`DISTANCES`].
    distances: Vec<String>,
}

impl KeyWords {
    /// In the language of the request.
    pub fn told() -> Self {
        Self {
            keys: KEYS.iter().map(|(key, what)| ((*key).to_owned(), tell(what).to_owned())).collect(),
            title: t!("Keys").to_owned(),
            close: t!("Close").to_owned(),
            copied: t!("Copied").to_owned(),
            distances: DISTANCES.iter().map(|distance| tell(distance).to_owned()).collect(),
        }
    }
}

/// The keys, and what each does.
const KEYS: [(&str, &str); 13] = [
    ("/", n!("Find anything")),
    ("f", n!("Filter this list")),
    ("j / k", n!("Next or previous row")),
    ("Enter", n!("Open the row")),
    ("r", n!("Resend")),
    ("n / p", n!("Older or newer page")),
    ("g d", n!("Dashboard")),
    ("g o", n!("Orders")),
    ("g e", n!("Deliveries")),
    ("g i", n!("Inbound")),
    ("g l", n!("Listeners")),
    ("g s", n!("IPN settings")),
    ("?", n!("These keys")),
];

/// Wakes the helps and holds the list of keys.
#[island]
pub fn Helpers(words: KeyWords) -> impl IntoView {
    #[cfg(feature = "hydrate")]
    browser::start(words.distances.clone());
    let KeyWords { keys, title, close, copied, .. } = words;
    let named = title.clone();
    let rows: Vec<_> =
        keys.into_iter().map(|(key, what)| view! { <div class="fact"><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div> }).collect();
    view! {
        <div id="keys" class="dialog" popover="auto" role="dialog" aria-label=named>
            <h3>{title}</h3>
            <dl class="facts keys">{rows}</dl>
            <div class="actions"><button type="button" class="button" popovertarget="keys" popovertargetaction="hide">{close}</button></div>
        </div>
        <p id="said" class="visually-hidden" role="status" data-copied=copied></p>
    }
}

#[cfg(feature = "hydrate")]
pub use browser::tick;

#[cfg(feature = "hydrate")]
mod browser {
    use crate::{
        domain::Timestamp,
        ui::{
            components::now,
            format::{DISTANCES, relative},
        },
    };
    use js_sys::Reflect;
    use leptos::{ev, prelude::*, task::spawn_local};
    use std::{
        cell::{Cell, RefCell},
        time::Duration,
    };
    use wasm_bindgen::JsCast as _;
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{Element, Event, HtmlElement, HtmlInputElement, KeyboardEvent, NodeList};

    const TICK: Duration = Duration::from_secs(5);
    /// The second key of two comes within this time.
    const GO_WITHIN: Duration = Duration::from_millis(1_500);

    thread_local! {
        /// The first key of two was pressed.
        static GOING: Cell<bool> = const { Cell::new(false) };
        /// How near moments are told.
        static WORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub fn start(distances: Vec<String>) {
        WORDS.set(distances);
        // Now what needs a script may show.
        if let Some(body) = document().body() {
            let _ = body.set_attribute("data-awake", "");
        }
        let _ = window_event_listener(ev::keydown, on_key);
        let _ = window_event_listener(ev::click, on_click);
        let _ = set_interval_with_handle(tick, TICK);
    }

    fn all(selector: &str) -> Vec<HtmlElement> {
        let found: Option<NodeList> = document().query_selector_all(selector).ok();
        found.into_iter().flat_map(|list| (0..list.length()).filter_map(move |at| list.get(at)?.dyn_into().ok())).collect()
    }

    fn first(selector: &str) -> Option<HtmlElement> {
        document().query_selector(selector).ok().flatten()?.dyn_into().ok()
    }

    /// Relative times are written anew, into the same text node, so that islands find it again.
    pub fn tick() {
        let now = now();
        for time in all("time[data-ago]") {
            let at = time.get_attribute("data-ago").and_then(|millis| millis.parse::<i64>().ok());
            if let (Some(at), Some(text)) = (at, time.first_child()) {
                let fresh = relative(Timestamp(at.saturating_mul(1_000)), now, |at| at, said);
                if text.node_value().as_deref() != Some(&fresh) {
                    text.set_node_value(Some(&fresh));
                }
            }
        }
    }

    /// What is said instead of a distance.
    fn said(distance: &'static str) -> String {
        let place = DISTANCES.iter().position(|known| *known == distance);
        let words = WORDS.with_borrow(|words| words.get(place?).cloned());
        words.unwrap_or_else(|| distance.to_owned())
    }

    fn on_click(event: ev::MouseEvent) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(button) = target.and_then(|target| target.closest("[data-copy]").ok().flatten()) else { return };
        let text = button.get_attribute("data-copy").unwrap_or_default();
        spawn_local(async move {
            if !copy(&text).await {
                // Nothing was copied, and nothing says so: the text is there to be marked by hand.
                let _ = window().prompt_with_message_and_default(&button.text_content().unwrap_or_default(), &text);
                return;
            }
            say();
            let _ = button.class_list().add_1("copied");
            set_timeout(
                move || {
                    let _ = button.class_list().remove_1("copied");
                },
                Duration::from_millis(1_200),
            );
        });
    }

    /// Whether a text was put into the clipboard. There is none on a page that came without TLS from another machine, and
    /// the reader may have forbidden it.
    async fn copy(text: &str) -> bool {
        let navigator = window().navigator();
        let is_there = Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|clipboard| clipboard.is_object());
        is_there && JsFuture::from(navigator.clipboard().write_text(text)).await.is_ok()
    }

    fn say() {
        if let Some(place) = first("#said") {
            place.set_text_content(place.get_attribute("data-copied").as_deref());
        }
    }

    fn on_key(event: KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || is_typing(&event) || first(":popover-open").is_some() {
            return;
        }
        let key = event.key();
        if GOING.replace(false) {
            if go(&key) {
                event.prevent_default();
            }
            return;
        }
        let done = match key.as_str() {
            "/" => focus_first("[data-find], [data-search]"),
            "f" => focus_first("[data-search]"),
            "g" => {
                GOING.set(true);
                set_timeout(|| GOING.set(false), GO_WITHIN);
                true
            }
            "n" => follow("[rel=next]"),
            "p" => follow("[rel=prev]"),
            "?" => press(".keys-help"),
            "j" => step(1),
            "k" => step(-1),
            "r" => resend(),
            "d" => follow("[data-key=d]"),
            "o" => follow("[data-key=o]"),
            _ => false,
        };
        if done {
            event.prevent_default();
        }
    }

    /// Leads to a section of the merchant at hand.
    fn go(key: &str) -> bool {
        let place = match key {
            "d" => "",
            "o" => "/orders",
            "e" => "/deliveries",
            "i" => "/inbound",
            "l" => "/listeners",
            "s" => "/settings/ipn",
            _ => return false,
        };
        let base = first("[data-base]").and_then(|rooms| rooms.get_attribute("data-base"));
        base.is_some_and(|base| window().location().assign(&format!("{base}{place}")).is_ok())
    }

    fn focus_first(fields: &str) -> bool {
        first(fields).is_some_and(|field| {
            focus(&field);
            true
        })
    }

    fn is_typing(event: &Event) -> bool {
        let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
        target.is_some_and(|target| {
            matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA") || target.is_content_editable()
        })
    }

    fn focus(field: &HtmlElement) {
        let _ = field.focus();
        if let Some(input) = field.dyn_ref::<HtmlInputElement>() {
            input.select();
        }
    }

    /// Opens a dialog by its button. The button has the focus then, so the tab key leads into the dialog and Escape back.
    fn press(button: &str) -> bool {
        first(button).is_some_and(|button| {
            let _ = button.focus();
            button.click();
            true
        })
    }

    fn follow(link: &str) -> bool {
        first(link).is_some_and(|link| {
            link.click();
            true
        })
    }

    /// Follows the resend link of what has the focus, or else of the newest message of the page: their ids grow with time.
    fn resend() -> bool {
        let of_focus = document().active_element().and_then(|active| active.closest("tr, .event").ok().flatten());
        let of_focus = of_focus.and_then(|row| row.query_selector("[data-resend]").ok().flatten()?.dyn_into().ok());
        // All are of one length, and those of later messages sort behind.
        let id = |link: &HtmlElement| link.get_attribute("data-resend");
        let link: Option<HtmlElement> = of_focus.or_else(|| all("[data-resend]").into_iter().max_by_key(id));
        link.is_some_and(|link| {
            match link.get_attribute("data-more") {
                Some(form) => return window().location().assign(&form).is_ok(),
                None => {
                    let _ = link.focus();
                    link.click();
                }
            }
            true
        })
    }

    /// Moves from row to row; a row's first link has the focus, so Enter opens it.
    fn step(by: i32) -> bool {
        let of_row = |row: HtmlElement| {
            let link = |which| row.query_selector(which).ok().flatten();
            link("td:first-child a, .event-body a").or_else(|| link("td a"))?.dyn_into::<HtmlElement>().ok()
        };
        let links: Vec<_> = all("tbody tr, .story .event").into_iter().filter_map(of_row).collect();
        let Some(last) = i32::try_from(links.len()).ok().and_then(|count| count.checked_sub(1)).filter(|last| *last >= 0) else {
            return false;
        };
        let current =
            document().active_element().and_then(|active| links.iter().position(|link| link.is_same_node(Some(&active))));
        let next =
            current.and_then(|at| i32::try_from(at).ok()).map_or(if by > 0 { 0 } else { last }, |at| (at + by).clamp(0, last));
        usize::try_from(next).ok().and_then(|next| links.get(next)).is_some_and(|link| {
            let _ = link.focus();
            true
        })
    }
}
