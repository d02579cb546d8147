//! The order list: a search as you type over a form that works by itself.

use super::live::live;
use crate::{
    domain::{
        OrderStatus,
        pages::{
            live::Event,
            orders::{OrderFilter, OrderList, OrderRow},
        },
    },
    rpc::orders::find_orders,
    ui::{
        components::{Ago, Empty, Notice, OrderBadge, Summary, TestBadge, Tone},
        format::{date, money, parse_date},
        query,
    },
};
use leptos::{prelude::*, task::spawn_local};
use std::time::Duration;

/// Typing rests so long before a search begins.
const REST: Duration = Duration::from_millis(180);

/// The filter line and the orders that fit it.
#[island]
pub fn OrderSearch(merchant: String, filter: OrderFilter, initial: OrderList) -> impl IntoView {
    let current = RwSignal::new(filter.clone());
    let (slug, asked) = (merchant.clone(), merchant.clone());
    let list = live(
        initial,
        // An order of an older page does not move by itself under the reader's eyes.
        move |event: &Event| event.concerns(Some(&slug)) && current.with_untracked(|filter| filter.after.is_none()),
        move || find_orders(asked.clone(), current.get_untracked()),
    );
    let search = {
        let merchant = merchant.clone();
        move |change: &dyn Fn(&mut OrderFilter)| {
            current.update(|filter| {
                filter.after = None;
                change(filter);
            });
            let (wanted, merchant) = (current.get_untracked(), merchant.clone());
            set_timeout(
                move || {
                    // Meanwhile something else was typed: that search is on its way.
                    if current.with_untracked(|filter| *filter != wanted) {
                        return;
                    }
                    show_in_address(&merchant, &wanted);
                    spawn_local(async move {
                        let found = find_orders(merchant, wanted.clone()).await;
                        if let Ok(found) = found
                            && current.with_untracked(|filter| *filter == wanted)
                        {
                            list.set(found);
                        }
                    });
                },
                REST,
            );
        }
    };
    let base = format!("/m/{merchant}");
    let for_rows = base.clone();
    view! {
        <div class="stack">
            {filter_line(&base, &filter, search)}
            <div aria-live="polite">{move || list.with(|list| current.with(|filter| results(&for_rows, filter, list)))}</div>
        </div>
    }
}

fn filter_line<S: Fn(&dyn Fn(&mut OrderFilter)) + Clone + 'static>(
    base: &str,
    filter: &OrderFilter,
    search: S,
) -> impl IntoView + use<S> {
    let statuses: Vec<_> = OrderStatus::ALL
        .into_iter()
        .map(|status| view! { <option value=status.code() selected=filter.status == Some(status)>{status.label()}</option> })
        .collect();
    let tests: Vec<_> = [("", "TEST and real"), ("none", "Real only"), ("only", "TEST only")]
        .into_iter()
        .map(|(value, name)| view! { <option value=value selected=query::test(filter) == value>{name}</option> })
        .collect();
    let (on_text, on_status, on_from, on_until, on_test) =
        (search.clone(), search.clone(), search.clone(), search.clone(), search);
    view! {
        <form method="get" action=format!("{base}/orders") class="filter" role="search">
            <div class="field grow">
                <label for="text">"Search"</label>
                <input
                    id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false"
                    placeholder="Reference, external reference or e-mail" data-search=""
                    on:input=move |event| { let text = event_target_value(&event).trim().to_owned(); on_text(&|filter| filter.text.clone_from(&text)); }
                />
            </div>
            <div class="field">
                <label for="status">"Status"</label>
                <select id="status" name="status" on:change=move |event| {
                    let code = event_target_value(&event);
                    on_status(&|filter| filter.status = OrderStatus::ALL.into_iter().find(|status| status.code() == code));
                }>
                    <option value="">"Any"</option>
                    {statuses}
                </select>
            </div>
            <div class="field">
                <label for="from">"From"</label>
                <input id="from" name="from" type="date" value=filter.from.map(date) on:change=move |event| {
                    let day = parse_date(&event_target_value(&event));
                    on_from(&|filter| filter.from = day);
                }/>
            </div>
            <div class="field">
                <label for="until">"To"</label>
                <input id="until" name="until" type="date" value=query::last_day(filter) on:change=move |event| {
                    let day = parse_date(&event_target_value(&event)).map(|day| day.plus(Duration::from_secs(86_400)));
                    on_until(&|filter| filter.until = day);
                }/>
            </div>
            <div class="field">
                <label for="test">"Kind"</label>
                <select id="test" name="test" on:change=move |event| {
                    let test = match event_target_value(&event).as_str() { "only" => Some(true), "none" => Some(false), _ => None };
                    on_test(&|filter| filter.test = test);
                }>{tests}</select>
            </div>
            <button class="button">"Search"</button>
            <a class="button plain" href=format!("{base}/orders")>"Clear"</a>
        </form>
    }
}

fn results(base: &str, filter: &OrderFilter, list: &OrderList) -> AnyView {
    if list.rows.is_empty() {
        let is_search = OrderFilter { after: None, ..filter.clone() } != OrderFilter::default();
        return if is_search {
            view! { <Empty title="No order fits"><p>"The text is looked for at the beginning of references and e-mail addresses. Try less of it, or clear the filter."</p></Empty> }.into_any()
        } else {
            let test_order = format!("{base}/test-order");
            view! {
                <Empty title="No orders yet">
                    <p>"They appear here as notifications arrive. "<a href=test_order>"Place a TEST order"</a>" to see one at once."</p>
                </Empty>
            }.into_any()
        };
    }
    let rows: Vec<_> = list.rows.iter().map(|order| row(base, order)).collect();
    let older = list.rows.last().filter(|_| list.more).map(|last| {
        let next = OrderFilter { after: Some(last.id), ..filter.clone() };
        view! { <a class="button" rel="next" href=format!("{base}/orders{}", query::write(&next))>"Older orders"</a> }
    });
    let newest = filter.after.is_some().then(|| {
        let first = OrderFilter { after: None, ..filter.clone() };
        view! { <a class="button" href=format!("{base}/orders{}", query::write(&first))>"Newest orders"</a> }
    });
    let truncated = list.truncated.then(|| {
        view! { <Notice tone=Tone::Calm title="More orders fit than are looked through"><p>"Type more of the text to find the rest."</p></Notice> }
    });
    view! {
        {truncated}
        <div class="table">
            <table class="stacking rows">
                <thead>
                    <tr>
                        <th scope="col">"Order"</th>
                        <th scope="col">"Customer"</th>
                        <th scope="col">"Status"</th>
                        <th scope="col" class="number">"Amount"</th>
                        <th scope="col">"Deliveries"</th>
                        <th scope="col">"Last change"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <nav class="pager" aria-label="Pages">{newest}{older}</nav>
    }
    .into_any()
}

fn row(base: &str, order: &OrderRow) -> AnyView {
    view! {
        <tr>
            <td>
                <div class="url-line">
                    <span><a class="code" href=format!("{base}/orders/{}", order.id)>{order.reference.clone()}</a> <TestBadge test=order.test/></span>
                    <span class="muted clip">{order.external.clone()}</span>
                </div>
            </td>
            <td data-label="Customer"><div class="url-line"><span>{order.customer.clone()}</span><span class="muted clip">{order.email.clone()}</span></div></td>
            <td data-label="Status"><OrderBadge status=order.status vendor=order.vendor_status.clone()/></td>
            <td data-label="Amount" class="number">{order.amount.as_ref().map_or_else(|| "—".to_owned(), money)}</td>
            <td data-label="Deliveries"><Summary deliveries=order.deliveries/></td>
            <td data-label="Last change"><Ago at=order.updated_at/></td>
        </tr>
    }
    .into_any()
}

/// The address always names what is shown, so that it can be kept and sent.
fn show_in_address(merchant: &str, filter: &OrderFilter) {
    #[cfg(feature = "hydrate")]
    if let Ok(history) = window().history() {
        let address = format!("/m/{merchant}/orders{}", query::write(filter));
        let _ = history.replace_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&address));
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (merchant, filter);
}
