//! *Orders & Reports › Deliveries*: the list.

use super::{
    any_flash,
    inbound::listener_field,
    order::asked_by,
    order::when,
    page, param, query, viewer_at,
    views::{export, views},
};
use crate::{
    domain::{
        Cause, DeliveryState,
        id::UrlId,
        pages::{
            deliveries::{Counted, DeliveryFilter, DeliveryList, DeliveryRow, StateFilter},
            inbound::ListenerChoice,
            orders::UrlChoice,
            views::ListKind,
        },
    },
    rpc::{bulk::find_deliveries, lists::list_views},
    ui::{
        components::{
            Ago, DeliveryBadge, Empty, FormNotes, Icon, Moment, Notice, PutRightBadge, ShadowBadge, TestBadge, Tone, now, zone,
        },
        format::{count, date, iso},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{rich, t, tell},
};
use leptos::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The tabs of *Orders & Reports*.
#[component]
pub fn ReportTabs(slug: String, #[prop(into)] current: &'static str) -> impl IntoView {
    let tab = |name: &'static str, label: &'static str| {
        view! { <a href=format!("/m/{slug}/{name}") aria-current=(name == current).then_some("page")>{label}</a> }
    };
    view! {
        <nav class="tabs" aria-label=t!("Orders & Reports")>
            {tab("orders", t!("Orders"))}
            {tab("deliveries", t!("Deliveries"))}
            {tab("inbound", t!("Inbound"))}
            {tab("resends", t!("Bulk actions"))}
        </nav>
    }
}

/// Where everything that failed lately can be brought back, of one URL or of all.
pub fn recover_address(slug: &str, url: Option<UrlId>) -> String {
    let since = Some(now().minus(DAY * 2));
    let filter = DeliveryFilter { state: Some(StateFilter::Failed), url, since, ..DeliveryFilter::default() };
    format!("/m/{slug}/resends/new{}", filter.query())
}

/// `1,234`, or `more than 10,000`, or `at least 12` where not all were looked through.
pub fn up_to(counted: Counted) -> String {
    match counted {
        Counted { number, more: false } => count(number),
        Counted { number, .. } if number >= 10_000 => t!("more than {count}", count = count(number)),
        Counted { number, .. } => t!("at least {count}", count = count(number)),
    }
}

/// `/m/{merchant}/deliveries`
#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = DeliveryFilter::read(query, &zone());
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = find_deliveries(slug.clone(), filter.clone()).await?;
        let actions = list.may_resend.then(|| {
            view! { <a class="button" href=recover_address(&slug, None)><Icon name="retry"/>{t!("Recover what failed…")}</a> }
                .into_any()
        });
        let kept = list_views(slug.clone(), ListKind::Deliveries).await?;
        let flash = any_flash();
        let whole = filter.whole().query();
        // Another page of the list does not move by itself under the reader's eyes.
        let subject =
            if filter.after.is_none() && filter.before.is_none() { Subject::Merchant(slug.clone()) } else { Subject::Nothing };
        let mistakes: Vec<_> =
            mistakes.into_iter().map(|mistake| view! { <Notice tone=Tone::Warn title=mistake.message/> }).collect();
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Orders & Reports") window=t!("Deliveries") actions>
                <ReportTabs slug=slug.clone() current="deliveries"/>
                <div class="stack">
                    <FormNotes flash=flash.clone()/>
                    {mistakes}
                    {views(&slug, ListKind::Deliveries, &kept, &whole, &flash)}
                    {filter_line(&slug, &filter, &list.urls, &list.listeners)}
                    <Live subject>{results(&slug, &filter, &list)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// The beginning of a sentence.
pub fn first_upper(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Options of a choice, the empty one first.
pub fn options(any: &'static str, choices: Vec<(String, String)>, chosen: &str) -> AnyView {
    let chosen = chosen.to_owned();
    let choices: Vec<_> = choices
        .into_iter()
        .map(|(value, name)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{name}</option> }
        })
        .collect();
    view! { <option value="">{any}</option>{choices} }.into_any()
}

/// URLs to choose from. One that was removed can still be meant.
pub fn url_options(urls: &[UrlChoice], chosen: Option<UrlId>) -> AnyView {
    let mut choices: Vec<_> = urls.iter().map(|url| (url.id.to_string(), url.label.clone())).collect();
    if let Some(gone) = chosen.filter(|id| urls.iter().all(|url| url.id != *id)) {
        choices.push((gone.to_string(), t!("A URL that was removed").to_owned()));
    }
    options(t!("Any"), choices, &chosen.map(|url| url.to_string()).unwrap_or_default())
}

/// Causes to choose from.
pub fn cause_options(chosen: Option<Cause>) -> AnyView {
    let choices = Cause::ALL.iter().map(|cause| (cause.code().to_owned(), tell(cause.label()).to_owned())).collect();
    options(t!("Any"), choices, chosen.map_or("", |cause| cause.code()))
}

/// The value of a field for a moment, to the minute, as the page's clocks show it.
pub fn minute(moment: crate::domain::Timestamp) -> String {
    iso(zone().local(moment)).chars().take("2026-11-21T09:04".len()).collect()
}

fn filter_line(slug: &str, filter: &DeliveryFilter, urls: &[UrlChoice], listeners: &[ListenerChoice]) -> AnyView {
    let base = format!("/m/{slug}/deliveries");
    let states = StateFilter::ALL.into_iter().map(|state| (state.code().to_owned(), tell(state.label()).to_owned())).collect();
    let test = filter.test.map_or("", |test| if test { "only" } else { "none" });
    let tests =
        [("none", t!("Real only")), ("only", t!("TEST only"))].map(|(value, name)| (value.to_owned(), name.to_owned())).to_vec();
    let since = filter.since.map(|since| {
        view! {
            <div class="field">
                <label for="since">{t!("Ended since ({zone})", zone = zone().name())}</label>
                <input id="since" name="since" type="datetime-local" value=minute(since)/>
            </div>
        }
    });
    let clear = base.clone();
    view! {
        <form method="get" action=base class="filter" role="search" aria-label=t!("This list")>
            <div class="field grow">
                <label for="text">{t!("Order")}</label>
                <input id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false" placeholder=t!("Reference or external reference") data-search=""/>
            </div>
            <div class="field"><label for="state">{t!("State")}</label><select id="state" name="state">{options(t!("Any"), states, filter.state.map_or("", StateFilter::code))}</select></div>
            <div class="field"><label for="url">{t!("URL")}</label><select id="url" name="url">{url_options(urls, filter.url)}</select></div>
            {listener_field("via", listeners, filter.via)}
            <div class="field"><label for="cause">{t!("Cause")}</label><select id="cause" name="cause">{cause_options(filter.cause)}</select></div>
            <div class="field"><label for="from">{t!("From")}</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
            <div class="field"><label for="until">{t!("To")}</label><input id="until" name="until" type="date" value=filter.until.map(|until| date(until.minus(DAY)))/></div>
            <div class="field"><label for="test">{t!("Kind")}</label><select id="test" name="test">{options(t!("TEST and real"), tests, test)}</select></div>
            {since}
            <div class="actions">
                <button class="button">{t!("Search")}</button>
                <a class="button plain" href=clear>{t!("Clear")}</a>
            </div>
        </form>
    }
    .into_any()
}

fn results(slug: &str, filter: &DeliveryFilter, list: &DeliveryList) -> AnyView {
    let base = format!("/m/{slug}/deliveries");
    let is_search = !filter.is_everything();
    let older = list.next.map(|next| {
        let address = format!("{base}{}", DeliveryFilter { after: Some(next), ..filter.whole() }.query());
        let name = if list.looked_back_to.is_some() { t!("Look further back") } else { t!("Older deliveries") };
        view! { <a class="button" rel="next" href=address>{name}</a> }
    });
    let newer = list.previous.map(|previous| {
        let address = format!("{base}{}", DeliveryFilter { before: Some(previous), ..filter.whole() }.query());
        view! { <a class="button" rel="prev" href=address>{t!("Newer deliveries")}</a> }
    });
    let newest = (filter.after.is_some() || filter.before.is_some()).then(|| {
        view! { <a class="button plain" href=format!("{base}{}", filter.whole().query())>{t!("Newest")}</a> }
    });
    let truncated = list.truncated.then(|| {
        view! { <Notice tone=Tone::Calm title=t!("More orders fit than are looked through")><p>{t!("Type more of the reference to find the rest.")}</p></Notice> }
    });
    let looked = list.looked_back_to.map(|at| {
        view! { <p class="muted">{rich!("Looked through everything back to {time}; what fits is rare there.", time = view! { <Moment at/> })}</p> }
    });
    let pager = view! { <nav class="pager" aria-label=t!("Pages")>{newest}{newer}{older}</nav> };
    if list.rows.is_empty() {
        let empty = match (list.looked_back_to, is_search) {
            (Some(_), _) => view! { <Empty title=t!("Nothing fits so far")>{looked}</Empty> }.into_any(),
            (None, true) => {
                view! { <Empty title=t!("No delivery fits")><p>{t!("Leave a part of the filter out, or clear it.")}</p></Empty> }
                    .into_any()
            }
            (None, false) => view! {
                <Empty title=t!("No deliveries yet")>
                    <p>{t!("One for each notification and each notification URL appears here as notifications arrive.")}</p>
                </Empty>
            }
            .into_any(),
        };
        return view! { {truncated}{empty}{pager} }.into_any();
    }
    let rows: Vec<_> = list.rows.iter().map(|delivery| row(slug, delivery)).collect();
    view! {
        {truncated}
        {summary(slug, filter, list)}
        <div class="table">
            <table class="stacking rows orders compact">
                <thead>
                    <tr>
                        <th scope="col">{t!("Delivery to")}</th>
                        <th scope="col">{t!("Order")}</th>
                        <th scope="col">{t!("State")}</th>
                        <th scope="col" class="number">{t!("Attempts")}</th>
                        <th scope="col">{t!("Next or last")}</th>
                        <th scope="col">{t!("Made")}</th>
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

/// How many fit, and the way to send them again.
fn summary(slug: &str, filter: &DeliveryFilter, list: &DeliveryList) -> AnyView {
    let export = export(slug, ListKind::Deliveries, &filter.whole().query());
    let Some(fitting) = list.fitting else { return view! { <div class="list-head"><p></p>{export}</div> }.into_any() };
    let told = if fitting.number == 1 && !fitting.more {
        t!("{count} delivery fits", count = up_to(fitting))
    } else {
        first_upper(&t!("{count} deliveries fit", count = up_to(fitting)))
    };
    // What is on its way is sent by itself.
    let can_resend = list.may_resend && !matches!(filter.state, Some(StateFilter::Queued | StateFilter::Held));
    let resend = can_resend.then(|| {
        let address = format!("/m/{slug}/resends/new{}", filter.whole().query());
        let words = match fitting {
            Counted { number: 1, more: false } => t!("Resend this delivery…").to_owned(),
            Counted { number, more: false } => t!("Resend these {count} deliveries…", count = count(number)),
            Counted { .. } => t!("Resend these deliveries…").to_owned(),
        };
        view! { <a class="button" href=address data-resend=""><Icon name="retry"/>{words}</a> }
    });
    let can_cancel =
        list.may_resend && matches!(filter.state, None | Some(StateFilter::Queued | StateFilter::Retrying | StateFilter::Held));
    let cancel = can_cancel.then(|| {
        let address = format!("/m/{slug}/resends/cancel{}", filter.whole().query());
        let words = match (filter.state, fitting) {
            (None, _) => t!("Cancel what is outstanding…").to_owned(),
            (_, Counted { number: 1, more: false }) => t!("Cancel this delivery…").to_owned(),
            (_, Counted { number, more: false }) => t!("Cancel these {count} deliveries…", count = count(number)),
            (_, Counted { .. }) => t!("Cancel these deliveries…").to_owned(),
        };
        view! { <a class="button" href=address><Icon name="cross"/>{words}</a> }
    });
    view! { <div class="list-head"><p>{told}</p><div class="actions">{resend}{cancel}{export}</div></div> }.into_any()
}

fn row(slug: &str, row: &DeliveryRow) -> AnyView {
    let delivery = &row.delivery;
    let address = format!("/m/{slug}/deliveries/{}", delivery.id);
    let order = format!("/m/{slug}/orders/{}", row.order_id);
    let cause = delivery.last_cause.filter(|_| delivery.state != DeliveryState::Confirmed);
    view! {
        <tr id=format!("delivery-{}", delivery.id)>
            <td>
                <div class="url-line">
                    <span><a href=address>{delivery.url_label.clone()}</a>{delivery.shadow.then(|| view! { " "<ShadowBadge/> })}</span>
                    <span class="clip muted">{delivery.url.clone()}</span>
                    {asked_by(delivery)}
                </div>
            </td>
            <td data-label=t!("Order")>
                <div class="url-line">
                    <span><a class="code quiet-link" href=order>{row.reference.clone()}</a>" "<TestBadge test=row.test/></span>
                    <span class="muted clip">{row.vendor_status.clone()}</span>
                </div>
            </td>
            <td data-label=t!("State")>
                <DeliveryBadge of=delivery/>
                {delivery.put_right.then(|| view! { " "<PutRightBadge/> })}
                {cause.map(|cause: Cause| view! { <span class="cause" title=tell(cause.sentence())>{tell(cause.label())}</span> })}
            </td>
            <td data-label=t!("Attempts") class="number labelled">{delivery.attempts}</td>
            <td data-label=t!("Next or last") class="labelled">{when(delivery)}</td>
            <td data-label=t!("Made") class="labelled"><Ago at=delivery.created_at/></td>
        </tr>
    }
    .into_any()
}
