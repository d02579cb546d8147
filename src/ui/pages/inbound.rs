//! *Orders & Reports › Inbound*: everything that came in at the merchant's listeners, accepted or refused.

use super::{
    any_flash,
    deliveries::{ReportTabs, options},
    page, param, query, viewer_at,
    views::{export, views},
};
use crate::{
    domain::{
        Gateway, RefusalReason,
        pages::{
            inbound::{InboundFilter, InboundList, InboundMessage, InboundRow, ListenerChoice, Outcome},
            via::Via,
            views::ListKind,
        },
    },
    rpc::lists::{find_inbound, list_views},
    ui::{
        components::{Ago, Empty, FormNotes, Icon, Moment, Notice, OrderBadge, TestBadge, Tone},
        format::date,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{reworded, rich, t, tell, tn},
};
use leptos::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// `/m/{merchant}/inbound`
#[component]
pub fn InboundPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = InboundFilter::read(query);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = find_inbound(slug.clone(), filter.clone()).await?;
        let kept = list_views(slug.clone(), ListKind::Inbound).await?;
        let flash = any_flash();
        // Another page of the list does not move by itself under the reader's eyes.
        let is_newest = filter.after.is_none() && filter.before.is_none();
        let subject = if is_newest { Subject::Merchant(slug.clone()) } else { Subject::Nothing };
        let mistakes: Vec<_> =
            mistakes.into_iter().map(|mistake| view! { <Notice tone=Tone::Warn title=mistake.message/> }).collect();
        let whole = filter.whole().query();
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Orders & Reports") window=t!("Inbound")>
                <ReportTabs slug=slug.clone() current="inbound"/>
                <div class="stack">
                    <FormNotes flash=flash.clone()/>
                    {mistakes}
                    {views(&slug, ListKind::Inbound, &kept, &whole, &flash)}
                    {filter_line(&slug, &filter, &list.listeners)}
                    <Live subject>{results(&slug, &filter, &list)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn listener_options(listeners: &[ListenerChoice], chosen: Option<Via>) -> AnyView {
    let mut gateways: BTreeMap<&str, Gateway> = BTreeMap::new();
    gateways.extend(listeners.iter().map(|listener| (listener.gateway_label.as_str(), listener.gateway)));
    // Of a single gateway all listeners are any.
    let is_one = gateways.len() < 2;
    let all = gateways.into_iter().filter(|(_, gateway)| !is_one || chosen == Some(Via::Gateway(*gateway)));
    let mut choices: Vec<(String, String)> =
        all.map(|(gateway, id)| (Via::Gateway(id).to_string(), t!("All of {gateway}", gateway))).collect();
    choices.extend(listeners.iter().map(|listener| (Via::Listener(listener.id).to_string(), listener.label.clone())));
    let chosen = chosen.map(|via| via.to_string()).unwrap_or_default();
    if !chosen.is_empty() && choices.iter().all(|(value, _)| *value != chosen) {
        choices.push((chosen.clone(), t!("A listener that is not there").to_owned()));
    }
    options(t!("Any"), choices, &chosen)
}

/// The choice of a gateway or a listener.
pub fn listener_field(name: &'static str, listeners: &[ListenerChoice], chosen: Option<Via>) -> AnyView {
    view! {
        <div class="field"><label for=name>{t!("Gateway or listener")}</label><select id=name name=name>{listener_options(listeners, chosen)}</select></div>
    }
    .into_any()
}

fn filter_line(slug: &str, filter: &InboundFilter, listeners: &[ListenerChoice]) -> AnyView {
    let base = format!("/m/{slug}/inbound");
    let outcomes =
        Outcome::ALL.into_iter().map(|outcome| (outcome.code().to_owned(), tell(outcome.label()).to_owned())).collect();
    let reasons = RefusalReason::ALL
        .into_iter()
        .filter(|reason| *reason != RefusalReason::UnknownListener)
        .map(|reason| (reason.code().to_owned(), tell(reason.label()).to_owned()))
        .collect();
    let test = filter.test.map_or("", |test| if test { "only" } else { "none" });
    let tests =
        [("none", t!("Real only")), ("only", t!("TEST only"))].map(|(value, name)| (value.to_owned(), name.to_owned())).to_vec();
    let clear = base.clone();
    view! {
        <form method="get" action=base class="filter" role="search" aria-label=t!("This list")>
            <div class="field grow">
                <label for="text">{t!("Order or message")}</label>
                <input id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false" placeholder=t!("Reference, external reference or MESSAGE_ID") data-search=""/>
            </div>
            <div class="field"><label for="outcome">{t!("Outcome")}</label><select id="outcome" name="outcome">{options(t!("Any"), outcomes, filter.outcome.map_or("", Outcome::code))}</select></div>
            <div class="field"><label for="reason">{t!("Refused because")}</label><select id="reason" name="reason">{options(t!("Any"), reasons, filter.reason.map_or("", RefusalReason::code))}</select></div>
            {listener_field("listener", listeners, filter.via)}
            <div class="field"><label for="from">{t!("From")}</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
            <div class="field"><label for="until">{t!("To")}</label><input id="until" name="until" type="date" value=filter.until.map(|until| date(until.minus(DAY)))/></div>
            <div class="field"><label for="test">{t!("Kind")}</label><select id="test" name="test">{options(t!("TEST and real"), tests, test)}</select></div>
            <div class="actions">
                <button class="button">{t!("Search")}</button>
                <a class="button plain" href=clear>{t!("Clear")}</a>
            </div>
        </form>
    }
    .into_any()
}

fn results(slug: &str, filter: &InboundFilter, list: &InboundList) -> AnyView {
    let base = format!("/m/{slug}/inbound");
    let turned = |filter: InboundFilter| format!("{base}{}", filter.query());
    let older = list.next.map(|next| {
        let name = if list.looked_back_to.is_some() { t!("Look further back") } else { t!("Older messages") };
        view! { <a class="button" rel="next" href=turned(InboundFilter { after: Some(next), ..filter.whole() })>{name}</a> }
    });
    let newer = list.previous.map(|previous| {
        view! { <a class="button" rel="prev" href=turned(InboundFilter { before: Some(previous), ..filter.whole() })>{t!("Newer messages")}</a> }
    });
    let newest = (filter.after.is_some() || filter.before.is_some())
        .then(|| view! { <a class="button plain" href=turned(filter.whole())>{t!("Newest")}</a> });
    let pager = view! { <nav class="pager" aria-label=t!("Pages")>{newest}{newer}{older}</nav> };
    let truncated = list.truncated.then(|| {
        view! { <Notice tone=Tone::Calm title=t!("More orders fit than are looked through")><p>{t!("Type more of the reference to find the rest.")}</p></Notice> }
    });
    let looked = list.looked_back_to.map(|at| {
        view! { <p class="muted">{rich!("Looked through everything back to {time}; what fits is rare there.", time = view! { <Moment at/> })}</p> }
    });
    if list.rows.is_empty() {
        let is_search = filter.whole() != InboundFilter::default();
        let empty = match (looked, is_search) {
            (Some(looked), _) => view! { <Empty title=t!("Nothing fits so far")>{looked}</Empty> }.into_any(),
            (None, true) => {
                view! { <Empty title=t!("No message fits")><p>{t!("Leave a part of the filter out, or clear it. Refused messages have no order and no kind: they show where neither is asked for.")}</p></Empty> }.into_any()
            }
            (None, false) => {
                let listeners = format!("/m/{slug}/listeners");
                view! {
                    <Empty title=t!("Nothing has come in yet")>
                        <p>{rich!("Messages appear here as gateways post them to {link}, also those that are refused.", link = view! { <a href=listeners>{t!("a listener")}</a> })}</p>
                    </Empty>
                }
                .into_any()
            }
        };
        return view! { {truncated}{empty}{pager} }.into_any();
    }
    let rows: Vec<_> = list.rows.iter().map(|message| row(slug, message, &list.listeners)).collect();
    view! {
        {truncated}
        <div class="list-head"><p></p>{export(slug, ListKind::Inbound, &filter.whole().query())}</div>
        <div class="table">
            <table class="stacking rows compact">
                <thead>
                    <tr>
                        <th scope="col">{t!("Message")}</th>
                        <th scope="col">{t!("Outcome")}</th>
                        <th scope="col">{t!("What it says")}</th>
                        <th scope="col">{t!("Listener")}</th>
                        <th scope="col">{t!("Came")}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {looked}
        {pager}
    }
    .into_any()
}

fn row(slug: &str, message: &InboundRow, listeners: &[ListenerChoice]) -> AnyView {
    let listener = message.listener.map(|id| {
        let label =
            listeners.iter().find(|listener| listener.id == id).map_or_else(|| id.to_string(), |found| found.label.clone());
        view! { <a class="quiet-link clip" href=format!("/m/{slug}/listeners/{id}")>{label}</a> }
    });
    let listener = match listener {
        Some(link) => link.into_any(),
        None => view! { <span class="muted">{t!("Placed here")}</span> }.into_any(),
    };
    let id = format!("message-{}", message.place());
    match &message.message {
        InboundMessage::Accepted { row, message_id, .. } => {
            let address = format!("/m/{slug}/notifications/{}", row.id);
            let order = format!("/m/{slug}/orders/{}", row.order_id);
            let (tone, icon, word) =
                if row.repeats > 0 { ("calm", "retry", t!("Repeated")) } else { ("good", "check", t!("Accepted")) };
            let times = (row.repeats > 0).then(|| {
                let text = tn!(
                    "came again {count} time, was acknowledged again",
                    "came again {count} times, was acknowledged again",
                    row.repeats.into()
                );
                view! { <span class="cause">{text}</span> }
            });
            let shown = if message_id.is_empty() { row.vendor_status.clone() } else { message_id.clone() };
            view! {
                <tr id=id>
                    <td><div class="url-line"><a class="code" href=address>{shown}</a><span class="muted nowrap">{row.signatures.labels()}</span></div></td>
                    <td data-label=t!("Outcome")><span class=format!("badge {tone}")><Icon name=icon/>{word}</span>{times}</td>
                    <td data-label=t!("What it says")>
                        <div class="url-line">
                            <span>{rich!("Order {reference}", reference = view! { <a class="code quiet-link" href=order>{row.reference.clone()}</a> })}</span>
                            <span class="badges"><OrderBadge status=row.status vendor=row.vendor_status.clone()/><TestBadge test=row.test/></span>
                        </div>
                    </td>
                    <td data-label=t!("Listener")>{listener}</td>
                    <td data-label=t!("Came")><Ago at=row.received_at/></td>
                </tr>
            }
            .into_any()
        }
        InboundMessage::Verifying(row) => {
            let address = format!("/m/{slug}/verifying/{}", row.id);
            let shown = if row.reference.is_empty() {
                t!("A message").to_owned()
            } else {
                t!("Order {reference}", reference = row.reference)
            };
            let sentence = if row.note.is_empty() {
                view! { <span>{t!("Kept and acknowledged; the gateway is asked whether it is true.")}</span> }.into_any()
            } else {
                view! { <span>{t!("Kept and acknowledged; the gateway gave no word yet.")}</span><span class="muted"><bdi>{reworded(&row.note)}</bdi></span> }.into_any()
            };
            let asked = (row.asked > 0).then(
                || view! { <span class="cause">{tn!("asked {count} time", "asked {count} times", row.asked.into())}</span> },
            );
            view! {
                <tr id=id>
                    <td><div class="url-line"><a href=address><bdi>{shown}</bdi></a><span class="muted">{t!("from {peer}", peer = reworded(&row.peer))}</span></div></td>
                    <td data-label=t!("Outcome")><span class="badge calm"><Icon name="clock"/>{t!("Verifying")}</span>{asked}</td>
                    <td data-label=t!("What it says")><div class="url-line">{sentence}</div></td>
                    <td data-label=t!("Listener")>{listener}</td>
                    <td data-label=t!("Came")><Ago at=row.received_at/></td>
                </tr>
            }
            .into_any()
        }
        InboundMessage::Refused(row) => {
            let address = format!("/m/{slug}/refused/{}", row.id);
            let like = (row.suppressed > 0).then(|| {
                view! { <span class="cause">{t!("and {count} like it, not kept", count = crate::ui::format::count(row.suppressed.into()))}</span> }
            });
            view! {
                <tr id=id>
                    <td><div class="url-line"><a href=address>{tell(row.reason.label())}</a><span class="muted">{t!("from {peer}", peer = reworded(&row.peer))}</span></div></td>
                    <td data-label=t!("Outcome")><span class="badge bad"><Icon name="cross"/>{t!("Refused")}</span>{like}</td>
                    <td data-label=t!("What it says")><div class="url-line"><span>{tell(row.reason.sentence())}</span><span class="muted">{tell(row.reason.cure())}</span></div></td>
                    <td data-label=t!("Listener")>{listener}</td>
                    <td data-label=t!("Came")><Ago at=row.at/></td>
                </tr>
            }
            .into_any()
        }
    }
}
