//! What a listener received and refused.

use super::live::live;
use crate::{
    domain::pages::{
        listeners::{ListenerPage, ReceivedRow, RefusalRow},
        live::Event,
    },
    rpc::listeners::read_listener,
    ui::{
        components::{Ago, Empty, Icon, OrderBadge, TestBadge},
        format::{bytes, counted},
    },
};
use leptos::prelude::*;

/// The traffic of a listener, up to date.
#[island]
pub fn LiveListener(initial: ListenerPage) -> impl IntoView {
    let (slug, id) = (initial.merchant.slug.clone(), initial.listener.id);
    let asked = slug.clone();
    let concerned = move |event: &Event| match event {
        Event::Refusal { listener, .. } => *listener == id,
        event => event.concerns(Some(&slug)),
    };
    let data = live(initial, concerned, move || read_listener(asked.clone(), id));
    view! { <div class="stack">{move || data.with(content)}</div> }
}

fn content(page: &ListenerPage) -> AnyView {
    let base = format!("/m/{}", page.merchant.slug);
    let received: Vec<_> = page.received.iter().map(|row| received_row(&base, row)).collect();
    let refused: Vec<_> = page.refused.iter().map(|row| refused_row(&base, row)).collect();
    view! {
        <section aria-labelledby="received">
            <h2 id="received">"Received last"</h2>
            {if received.is_empty() {
                view! { <Empty title="Nothing received yet"><p>"Enter the address above at the gateway and place an order there; it shows here within a second."</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">"Order"</th><th scope="col">"Status"</th><th scope="col">"Signed with"</th>
                            <th scope="col" class="number">"Repeats"</th><th scope="col">"Received"</th>
                        </tr></thead>
                        <tbody>{received}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
        <section aria-labelledby="refused">
            <h2 id="refused">"Refused last"</h2>
            {if refused.is_empty() {
                view! { <Empty title="Nothing refused"><p>"Messages that cannot be trusted are kept here with the reason."</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">"Reason"</th><th scope="col">"From"</th>
                            <th scope="col" class="number">"Size"</th><th scope="col">"Refused"</th>
                        </tr></thead>
                        <tbody>{refused}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
    }
    .into_any()
}

fn received_row(base: &str, row: &ReceivedRow) -> AnyView {
    view! {
        <tr>
            <td><a href=format!("{base}/orders/{}", row.order_id)>{row.reference.clone()}</a> <TestBadge test=row.test/></td>
            <td data-label="Status"><OrderBadge status=row.status vendor=row.vendor_status.clone()/></td>
            <td data-label="Signed with">{row.signatures.labels()}</td>
            <td data-label="Repeats" class="number">{row.repeats}</td>
            <td data-label="Received"><a class="quiet-link" href=format!("{base}/notifications/{}", row.id)><Ago at=row.received_at/></a></td>
        </tr>
    }
    .into_any()
}

fn refused_row(base: &str, row: &RefusalRow) -> AnyView {
    let more = (row.suppressed > 0).then(|| {
        let like = counted(u64::from(row.suppressed), "more like it was", "more like it were");
        view! { <span class="muted">{format!("{like} not kept")}</span> }
    });
    view! {
        <tr>
            <td>
                <div class="url-line">
                    <a href=format!("{base}/refused/{}", row.id)><Icon name="alert"/>{row.reason.label()}</a>
                    {(!row.detail.is_empty()).then(|| view! { <span class="muted">{row.detail.clone()}</span> })}
                    {more}
                </div>
            </td>
            <td data-label="From" class="code">{row.peer.clone()}</td>
            <td data-label="Size" class="number">{bytes(row.size)}</td>
            <td data-label="Refused"><Ago at=row.at/></td>
        </tr>
    }
    .into_any()
}
