//! The filter line of the order list: a form that works by itself, and searches as you type where scripts run.

use crate::{
    domain::{OrderStatus, pages::orders::OrderFilter},
    ui::{
        format::{date, parse_date},
        query,
    },
};
use leptos::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The filter line. What it finds stands in the live part below, and the address always names it.
#[island]
pub fn OrderSearch(merchant: String, filter: OrderFilter) -> impl IntoView {
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
    let statuses: Vec<_> = OrderStatus::ALL
        .into_iter()
        .map(|status| view! { <option value=status.code() selected=filter.status == Some(status)>{status.label()}</option> })
        .collect();
    let tests: Vec<_> = [("", "TEST and real"), ("none", "Real only"), ("only", "TEST only")]
        .into_iter()
        .map(|(value, name)| view! { <option value=value selected=query::test(&filter) == value>{name}</option> })
        .collect();
    let (on_text, on_status, on_from, on_until, on_test) =
        (search.clone(), search.clone(), search.clone(), search.clone(), search);
    let clear = base.clone();
    view! {
        <form method="get" action=base class="filter" role="search" aria-label="This list">
            <div class="field grow">
                <label for="text">"Search"</label>
                <input
                    id="text"
                    name="text"
                    type="search"
                    value=filter.text.clone()
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="Reference, external reference or e-mail"
                    data-search=""
                    on:input=move |event| {
                        let text = event_target_value(&event).trim().to_owned();
                        on_text(&|filter| filter.text.clone_from(&text));
                    }
                />
            </div>
            <div class="field">
                <label for="status">"Status"</label>
                <select
                    id="status"
                    name="status"
                    on:change=move |event| {
                        let code = event_target_value(&event);
                        let status = OrderStatus::ALL.into_iter().find(|status| status.code() == code);
                        on_status(&|filter| filter.status = status);
                    }
                >
                    <option value="">"Any"</option>
                    {statuses}
                </select>
            </div>
            <div class="field">
                <label for="from">"From"</label>
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
                <label for="until">"To"</label>
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
                <label for="test">"Kind"</label>
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
                <button class="button">"Search"</button>
                <a class="button plain" href=clear>"Clear"</a>
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
