//! The filter line of the order list: a form that works by itself, and searches as you type where scripts run.

use crate::{
    domain::{OrderStatus, pages::orders::OrderFilter},
    ui::{
        format::{date, parse_date},
        query,
    },
    words::{t, tell},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What the filter line says; the page hands it over, because the browser's half has no catalogue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SearchWords {
    statuses: Vec<(String, String)>,
    tests: Vec<(String, String)>,
    name: String,
    search: String,
    placeholder: String,
    status: String,
    any: String,
    from: String,
    to: String,
    kind: String,
    clear: String,
}

impl SearchWords {
    /// In the language of the request.
    pub fn told() -> Self {
        let status = |status: OrderStatus| (status.code().to_owned(), tell(status.label()).to_owned());
        let tests = [("", t!("TEST and real")), ("none", t!("Real only")), ("only", t!("TEST only"))];
        Self {
            statuses: OrderStatus::ALL.map(status).to_vec(),
            tests: tests.map(|(value, name)| (value.to_owned(), name.to_owned())).to_vec(),
            name: t!("This list").to_owned(),
            search: t!("Search").to_owned(),
            placeholder: t!("Reference, external reference or e-mail").to_owned(),
            status: t!("Status").to_owned(),
            any: t!("Any").to_owned(),
            from: t!("From").to_owned(),
            to: t!("To").to_owned(),
            kind: t!("Kind").to_owned(),
            clear: t!("Clear").to_owned(),
        }
    }
}

/// The filter line. What it finds stands in the live part below, and the address always names it.
#[island]
pub fn OrderSearch(merchant: String, filter: OrderFilter, words: SearchWords) -> impl IntoView {
    let base = format!("/m/{merchant}/orders");
    let current = StoredValue::new(filter.clone());
    let search = {
        let base = base.clone();
        move |change: &dyn Fn(&mut OrderFilter)| {
            current.update_value(|filter| {
                filter.after = None;
                change(filter);
            });
            begin(&base, current);
        }
    };
    let statuses: Vec<_> = words
        .statuses
        .into_iter()
        .map(|(code, name)| {
            let selected = filter.status.is_some_and(|status| status.code() == code);
            view! { <option value=code selected=selected>{name}</option> }
        })
        .collect();
    let tests: Vec<_> = words
        .tests
        .into_iter()
        .map(|(value, name)| {
            let selected = query::test(&filter) == value;
            view! { <option value=value selected=selected>{name}</option> }
        })
        .collect();
    let search_label = words.search.clone();
    let (on_text, on_status, on_from, on_until, on_test) =
        (search.clone(), search.clone(), search.clone(), search.clone(), search);
    let clear = base.clone();
    view! {
        <form method="get" action=base class="filter" role="search" aria-label=words.name>
            <div class="field grow">
                <label for="text">{search_label}</label>
                <input
                    id="text"
                    name="text"
                    type="search"
                    value=filter.text.clone()
                    autocomplete="off"
                    spellcheck="false"
                    placeholder=words.placeholder
                    data-search=""
                    on:input=move |event| {
                        let text = event_target_value(&event).trim().to_owned();
                        on_text(&|filter| filter.text.clone_from(&text));
                    }
                />
            </div>
            <div class="field">
                <label for="status">{words.status}</label>
                <select
                    id="status"
                    name="status"
                    on:change=move |event| {
                        let code = event_target_value(&event);
                        let status = OrderStatus::ALL.into_iter().find(|status| status.code() == code);
                        on_status(&|filter| filter.status = status);
                    }
                >
                    <option value="">{words.any}</option>
                    {statuses}
                </select>
            </div>
            <div class="field">
                <label for="from">{words.from}</label>
                <input
                    id="from"
                    name="from"
                    type="date"
                    value=filter.from.map(date)
                    on:change=move |event| {
                        let day = parse_date(&event_target_value(&event));
                        on_from(&|filter| filter.from = day);
                    }
                />
            </div>
            <div class="field">
                <label for="until">{words.to}</label>
                <input
                    id="until"
                    name="until"
                    type="date"
                    value=query::last_day(&filter)
                    on:change=move |event| {
                        let day = parse_date(&event_target_value(&event)).map(|day| day.plus(DAY));
                        on_until(&|filter| filter.until = day);
                    }
                />
            </div>
            <div class="field">
                <label for="test">{words.kind}</label>
                <select
                    id="test"
                    name="test"
                    on:change=move |event| {
                        let test = match event_target_value(&event).as_str() {
                            "only" => Some(true),
                            "none" => Some(false),
                            _ => None,
                        };
                        on_test(&|filter| filter.test = test);
                    }
                >
                    {tests}
                </select>
            </div>
            <div class="actions">
                <button class="button">{words.search}</button>
                <a class="button plain" href=clear>{words.clear}</a>
            </div>
        </form>
    }
}

/// Searches once typing has rested for a moment.
#[cfg(feature = "hydrate")]
fn begin(base: &str, current: StoredValue<OrderFilter>) {
    const REST: Duration = Duration::from_millis(180);
    super::reader::outdate();
    let wanted = current.get_value();
    let address = format!("{base}{}", query::write(&wanted));
    set_timeout(
        move || {
            // Meanwhile something else was typed: that search is on its way.
            if current.with_value(|filter| *filter != wanted) {
                return;
            }
            let shown = window()
                .history()
                .and_then(|history| history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address)));
            if shown.is_ok() {
                super::reader::read();
            }
        },
        REST,
    );
}

#[cfg(not(feature = "hydrate"))]
fn begin(_base: &str, _current: StoredValue<OrderFilter>) {}
