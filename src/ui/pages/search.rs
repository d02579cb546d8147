//! What a search over everything found, by kind. The only hit is opened at once.

use super::{page, query};
use crate::{
    domain::{
        pages::search::{Found, Hit, SearchResults},
        role::Permission,
    },
    rpc::{lists::search_everything, people::read_viewer},
    ui::{
        components::{Ago, Empty, Notice, OrderBadge, StateBadge, TestBadge, Tone},
        format::money,
        shell::{Frame, Section},
    },
    words::{n, rich, t, tell},
};
use leptos::prelude::*;

/// `/search?text=…`
#[component]
pub fn SearchPage() -> impl IntoView {
    let text = query("text").unwrap_or_default();
    page(async move {
        let viewer = read_viewer().await?;
        let results = search_everything(text).await?;
        if let [only] = results.hits.as_slice() {
            leptos_axum::redirect(&only.address());
        }
        let shows_merchant = viewer.merchants.len() > 1;
        let sees_all = viewer.may(Permission::SeePersonalData);
        let window = if results.text.is_empty() { t!("Search").to_owned() } else { t!("Search: {text}", text = results.text) };
        Ok(view! {
            <Frame viewer section=Section::Search title=t!("Search") window>
                <div class="stack">
                    <form method="get" action="/search" class="filter" role="search" aria-label=t!("Search again")>
                        <div class="field grow">
                            <label for="text">{t!("Look for")}</label>
                            <input id="text" name="text" type="search" value=results.text.clone() maxlength="300" autocomplete="off" spellcheck="false" data-search=""/>
                        </div>
                        <div class="actions"><button class="button">{t!("Search")}</button></div>
                    </form>
                    {found(&results, shows_merchant, sees_all)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// What a kind is called, and what is of it.
type Kind = (&'static str, fn(&Found) -> bool);

/// The kinds, in the order in which people look for them.
const KINDS: [Kind; 7] = [
    (n!("Orders"), |found| matches!(found, Found::Order(_))),
    (n!("Messages"), |found| matches!(found, Found::Notification { .. })),
    (n!("Deliveries"), |found| matches!(found, Found::Delivery { .. })),
    (n!("Refused messages and bulk actions"), |found| matches!(found, Found::Refusal { .. } | Found::BulkResend { .. })),
    (n!("Notification URLs"), |found| matches!(found, Found::Url { .. })),
    (n!("Listeners"), |found| matches!(found, Found::Listener { .. })),
    (n!("Merchants"), |found| matches!(found, Found::Merchant)),
];

fn found(results: &SearchResults, shows_merchant: bool, sees_all: bool) -> AnyView {
    const KNOWN_MASKED: &str = n!(
        "The beginning of an order's reference; a whole external reference, e-mail address or message id (MESSAGE_ID); the id of a notification or delivery; a part of a URL's or listener's name or address."
    );
    const KNOWN: &str = n!(
        "The beginning of an order's reference, external reference or e-mail address; a whole message id (MESSAGE_ID); the id of a notification or delivery; a part of a URL's or listener's name or address."
    );
    let known = if sees_all { KNOWN } else { KNOWN_MASKED };
    if results.text.is_empty() {
        return view! { <Empty title=t!("Find anything")><p>{tell(known)}</p></Empty> }.into_any();
    }
    if results.hits.is_empty() {
        return view! { <Empty title=t!("Nothing fits")><p>{t!("These are looked for: {known}", known = tell(known))}</p></Empty> }.into_any();
    }
    let groups: Vec<_> = KINDS
        .iter()
        .enumerate()
        .filter_map(|(place, (name, is_kind))| {
            let rows: Vec<_> =
                results.hits.iter().filter(|hit| is_kind(&hit.found)).map(|hit| row(hit, shows_merchant)).collect();
            let id = format!("kind-{place}");
            let labelled = id.clone();
            (!rows.is_empty()).then(|| {
                view! {
                    <section aria-labelledby=labelled>
                        <h2 id=id>{tell(name)}</h2>
                        <div class="table"><table class="rows hits"><tbody>{rows}</tbody></table></div>
                    </section>
                }
            })
        })
        .collect();
    let more = results.more_orders.then(|| {
        view! { <Notice tone=Tone::Calm title=t!("More orders fit")><p>{t!("Some of them are shown. Type more of the reference, or look in the list of orders.")}</p></Notice> }
    });
    view! { {more}{groups} }.into_any()
}

fn row(hit: &Hit, shows_merchant: bool) -> AnyView {
    let address = hit.address();
    let merchant = (shows_merchant && hit.found != Found::Merchant)
        .then(|| view! { <span class="muted">{hit.merchant.name.clone()}</span> });
    let (name, more, state) = match &hit.found {
        Found::Order(order) => {
            let who = [order.external.as_str(), order.customer.as_str(), order.email.as_str()];
            let who = who.into_iter().filter(|text| !text.is_empty()).enumerate();
            let who: Vec<_> =
                who.map(|(number, text)| view! { {(number > 0).then_some(" · ")}<bdi>{text.to_owned()}</bdi> }).collect();
            let amount = order.amount.as_ref().map(money);
            let status = view! {
                <span class="badges"><OrderBadge status=order.status vendor=order.vendor_status.clone()/><TestBadge test=order.test/></span>
                " "{amount}" "<Ago at=order.updated_at/>
            };
            (order.reference.clone(), who.into_any(), status.into_any())
        }
        Found::Notification { id, reference, vendor_status, message_id, received_at } => {
            let name = if message_id.is_empty() { id.to_string() } else { message_id.clone() };
            (
                name,
                rich!(
                    "{vendor_status} of order {reference}",
                    vendor_status = view! { <bdi>{vendor_status.clone()}</bdi> },
                    reference = view! { <bdi>{reference.clone()}</bdi> }
                )
                .into_any(),
                view! { <Ago at=*received_at/> }.into_any(),
            )
        }
        Found::Delivery { id, reference, url_label, state, created_at, .. } => {
            let state = view! { <StateBadge state=*state/>" "<Ago at=*created_at/> };
            let what = rich!(
                "Order {reference} to {url_label}",
                reference = view! { <bdi>{reference.clone()}</bdi> },
                url_label = view! { <bdi>{url_label.clone()}</bdi> }
            );
            (id.to_string(), what.into_any(), state.into_any())
        }
        Found::Refusal { id, reason, at } => {
            (id.to_string(), tell(reason.label()).to_owned().into_any(), view! { <Ago at=*at/> }.into_any())
        }
        Found::BulkResend { id, at } => (id.to_string(), t!("Bulk action").into_any(), view! { <Ago at=*at/> }.into_any()),
        Found::Url { label, url, .. } => (label.clone(), url.clone().into_any(), ().into_any()),
        Found::Listener { label, path, .. } => (label.clone(), path.clone().into_any(), ().into_any()),
        Found::Merchant => (hit.merchant.name.clone(), ().into_any(), ().into_any()),
    };
    view! {
        <tr>
            <td><div class="url-line"><a href=address><bdi>{name}</bdi></a><span class="muted">{more}</span>{merchant}</div></td>
            <td class="number">{state}</td>
        </tr>
    }
    .into_any()
}
