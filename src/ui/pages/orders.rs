//! *Orders & Reports*: the list.

use super::{
    any_flash,
    deliveries::ReportTabs,
    page, param, query as field, viewer_at,
    views::{export, views},
};
use crate::{
    domain::{
        pages::{
            orders::{OrderFilter, OrderList, OrderRow},
            views::ListKind,
        },
        role::Permission,
    },
    rpc::{lists::list_views, orders::find_orders},
    ui::{
        components::{Ago, Empty, FormNotes, Icon, Notice, OrderBadge, Summary, TestBadge, Tone},
        format::money,
        islands::{
            live::{Live, Subject},
            search::{OrderSearch, SearchWords},
        },
        query,
        shell::{Frame, Section},
    },
    words::{rich, t},
};
use leptos::prelude::*;

/// `/m/{merchant}/orders`
#[component]
pub fn OrdersPage() -> impl IntoView {
    let slug = param("merchant");
    let filter = query::read(field);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = find_orders(slug.clone(), filter.clone()).await?;
        let actions = viewer.may(Permission::PlaceTestOrder).then(|| {
            view! { <a class="button" href=format!("/m/{slug}/test-order")><Icon name="flask"/>{t!("Place TEST order")}</a> }
                .into_any()
        });
        let may_place = viewer.may(Permission::PlaceTestOrder);
        let mistakes: Vec<_> = OrderFilter::mistakes(&field)
            .into_iter()
            .map(|mistake| view! { <Notice tone=Tone::Warn title=mistake.message/> })
            .collect();
        let kept = list_views(slug.clone(), ListKind::Orders).await?;
        let flash = any_flash();
        let whole = query::write(&OrderFilter { after: None, ..filter.clone() });
        // An older page of the list does not move by itself under the reader's eyes.
        let subject = if filter.after.is_none() { Subject::Merchant(slug.clone()) } else { Subject::Nothing };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Orders & Reports") window=t!("Orders") actions>
                <ReportTabs slug=slug.clone() current="orders"/>
                <div class="stack">
                    <FormNotes flash=flash.clone()/>
                    {mistakes}
                    {views(&slug, ListKind::Orders, &kept, &whole, &flash)}
                    <OrderSearch merchant=slug.clone() filter=filter.clone() words=SearchWords::told()/>
                    <Live subject>{results(&format!("/m/{slug}"), &filter, &list, may_place)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn results(base: &str, filter: &OrderFilter, list: &OrderList, may_place: bool) -> AnyView {
    if list.rows.is_empty() {
        let is_search = OrderFilter { after: None, ..filter.clone() } != OrderFilter::default();
        return if is_search {
            view! { <Empty title=t!("No order fits")><p>{t!("The text is looked for at the beginning of references and e-mail addresses; where those are masked for you, only the whole address is found. Try less of it, or clear the filter.")}</p></Empty> }.into_any()
        } else {
            let test_order = format!("{base}/test-order");
            let told = if may_place {
                rich!(
                    "They appear here as notifications arrive. {link} to see one at once.",
                    link = view! { <a href=test_order>{t!("Place a TEST order")}</a> }
                )
                .into_any()
            } else {
                t!("They appear here as notifications arrive.").into_any()
            };
            view! { <Empty title=t!("No orders yet")><p>{told}</p></Empty> }.into_any()
        };
    }
    let rows: Vec<_> = list.rows.iter().map(|order| row(base, order)).collect();
    let whole = query::write(&OrderFilter { after: None, ..filter.clone() });
    let slug = base.trim_start_matches("/m/");
    let older = list.rows.last().filter(|_| list.more).map(|last| {
        let next = OrderFilter { after: Some(last.id), ..filter.clone() };
        view! { <a class="button" rel="next" href=format!("{base}/orders{}", query::write(&next))>{t!("Older orders")}</a> }
    });
    let newest = filter.after.is_some().then(|| {
        let first = OrderFilter { after: None, ..filter.clone() };
        view! { <a class="button" href=format!("{base}/orders{}", query::write(&first))>{t!("Newest orders")}</a> }
    });
    let truncated = list.truncated.then(|| {
        view! { <Notice tone=Tone::Calm title=t!("More orders fit than are looked through")><p>{t!("Type more of the text to find the rest.")}</p></Notice> }
    });
    view! {
        {truncated}
        <div class="list-head"><p></p>{export(slug, ListKind::Orders, &whole)}</div>
        <div class="table">
            <table class="stacking rows orders compact">
                <thead>
                    <tr>
                        <th scope="col">{t!("Order")}</th>
                        <th scope="col">{t!("Customer")}</th>
                        <th scope="col">{t!("Status")}</th>
                        <th scope="col" class="number">{t!("Amount")}</th>
                        <th scope="col">{t!("Deliveries")}</th>
                        <th scope="col">{t!("Last change")}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <nav class="pager" aria-label=t!("Pages")>{newest}{older}</nav>
    }
    .into_any()
}

fn row(base: &str, order: &OrderRow) -> AnyView {
    view! {
        <tr id=format!("order-{}", order.id)>
            <td>
                <div class="url-line">
                    <span><a class="code" href=format!("{base}/orders/{}", order.id)>{order.reference.clone()}</a>" "<TestBadge test=order.test/></span>
                    <span class="muted clip">{order.external.clone()}</span>
                </div>
            </td>
            <td data-label=t!("Customer")><div class="url-line"><span>{order.customer.clone()}</span><span class="muted clip">{order.email.clone()}</span></div></td>
            <td data-label=t!("Status")><OrderBadge status=order.status vendor=order.vendor_status.clone()/></td>
            <td data-label=t!("Amount") class="number">{order.amount.as_ref().map_or_else(|| "—".to_owned(), money)}</td>
            <td data-label=t!("Deliveries")><Summary deliveries=order.deliveries/></td>
            <td data-label=t!("Last change")><Ago at=order.updated_at/></td>
        </tr>
    }
    .into_any()
}
