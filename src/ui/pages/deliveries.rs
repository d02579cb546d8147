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
        components::{Ago, DeliveryBadge, Empty, FormNotes, Icon, Moment, Notice, ShadowBadge, TestBadge, Tone, now},
        format::{count, date, iso},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
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
        <nav class="tabs" aria-label="Orders & Reports">
            {tab("orders", "Orders")}
            {tab("deliveries", "Deliveries")}
            {tab("inbound", "Inbound")}
            {tab("resends", "Bulk resends")}
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
        Counted { number, .. } if number >= 10_000 => format!("more than {}", count(number)),
        Counted { number, .. } => format!("at least {}", count(number)),
    }
}

/// `/m/{merchant}/deliveries`
#[component]
pub fn DeliveriesPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = DeliveryFilter::read(query);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = find_deliveries(slug.clone(), filter.clone()).await?;
        let actions = list.may_resend.then(|| {
            view! { <a class="button" href=recover_address(&slug, None)><Icon name="retry"/>"Recover what failed…"</a> }
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
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Orders & Reports" window="Deliveries" actions>
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
        choices.push((gone.to_string(), "A URL that was removed".to_owned()));
    }
    options("Any", choices, &chosen.map(|url| url.to_string()).unwrap_or_default())
}

/// Causes to choose from.
pub fn cause_options(chosen: Option<Cause>) -> AnyView {
    let choices = Cause::ALL.iter().map(|cause| (cause.code().to_owned(), cause.label().to_owned())).collect();
    options("Any", choices, chosen.map_or("", |cause| cause.code()))
}

/// The value of a field for a moment, to the minute.
pub fn minute(moment: crate::domain::Timestamp) -> String {
    iso(moment).chars().take("2026-11-21T09:04".len()).collect()
}

fn filter_line(slug: &str, filter: &DeliveryFilter, urls: &[UrlChoice], listeners: &[ListenerChoice]) -> AnyView {
    let base = format!("/m/{slug}/deliveries");
    let states = StateFilter::ALL.into_iter().map(|state| (state.code().to_owned(), state.label().to_owned())).collect();
    let test = filter.test.map_or("", |test| if test { "only" } else { "none" });
    let tests = [("none", "Real only"), ("only", "TEST only")].map(|(value, name)| (value.to_owned(), name.to_owned())).to_vec();
    let since = filter.since.map(|since| {
        view! {
            <div class="field">
                <label for="since">"Ended since (UTC)"</label>
                <input id="since" name="since" type="datetime-local" value=minute(since)/>
            </div>
        }
    });
    let clear = base.clone();
    view! {
        <form method="get" action=base class="filter" role="search" aria-label="This list">
            <div class="field grow">
                <label for="text">"Order"</label>
                <input id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false" placeholder="Reference or external reference" data-search=""/>
            </div>
            <div class="field"><label for="state">"State"</label><select id="state" name="state">{options("Any", states, filter.state.map_or("", StateFilter::code))}</select></div>
            <div class="field"><label for="url">"URL"</label><select id="url" name="url">{url_options(urls, filter.url)}</select></div>
            {listener_field("via", listeners, filter.listener)}
            <div class="field"><label for="cause">"Cause"</label><select id="cause" name="cause">{cause_options(filter.cause)}</select></div>
            <div class="field"><label for="from">"From"</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
            <div class="field"><label for="until">"To"</label><input id="until" name="until" type="date" value=filter.until.map(|until| date(until.minus(DAY)))/></div>
            <div class="field"><label for="test">"Kind"</label><select id="test" name="test">{options("TEST and real", tests, test)}</select></div>
            {since}
            <div class="actions">
                <button class="button">"Search"</button>
                <a class="button plain" href=clear>"Clear"</a>
            </div>
        </form>
    }
    .into_any()
}

fn results(slug: &str, filter: &DeliveryFilter, list: &DeliveryList) -> AnyView {
    let base = format!("/m/{slug}/deliveries");
    let is_search = filter.whole() != DeliveryFilter::default();
    let older = list.next.map(|next| {
        let address = format!("{base}{}", DeliveryFilter { after: Some(next), ..filter.whole() }.query());
        let name = if list.looked_back_to.is_some() { "Look further back" } else { "Older deliveries" };
        view! { <a class="button" rel="next" href=address>{name}</a> }
    });
    let newer = list.previous.map(|previous| {
        let address = format!("{base}{}", DeliveryFilter { before: Some(previous), ..filter.whole() }.query());
        view! { <a class="button" rel="prev" href=address>"Newer deliveries"</a> }
    });
    let newest = (filter.after.is_some() || filter.before.is_some()).then(|| {
        view! { <a class="button plain" href=format!("{base}{}", filter.whole().query())>"Newest"</a> }
    });
    let truncated = list.truncated.then(|| {
        view! { <Notice tone=Tone::Calm title="More orders fit than are looked through"><p>"Type more of the reference to find the rest."</p></Notice> }
    });
    let looked = list.looked_back_to.map(|at| {
        view! { <p class="muted">"Looked through everything back to "<Moment at/>"; what fits is rare there."</p> }
    });
    let pager = view! { <nav class="pager" aria-label="Pages">{newest}{newer}{older}</nav> };
    if list.rows.is_empty() {
        let empty = match (list.looked_back_to, is_search) {
            (Some(_), _) => view! { <Empty title="Nothing fits so far">{looked}</Empty> }.into_any(),
            (None, true) => {
                view! { <Empty title="No delivery fits"><p>"Leave a part of the filter out, or clear it."</p></Empty> }.into_any()
            }
            (None, false) => view! {
                <Empty title="No deliveries yet">
                    <p>"One for each notification and each notification URL appears here as notifications arrive."</p>
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
                        <th scope="col">"Delivery to"</th>
                        <th scope="col">"Order"</th>
                        <th scope="col">"State"</th>
                        <th scope="col" class="number">"Attempts"</th>
                        <th scope="col">"Next or last"</th>
                        <th scope="col">"Made"</th>
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
    let noun = if fitting.number == 1 && !fitting.more { "delivery fits" } else { "deliveries fit" };
    let told = format!("{} {noun}", up_to(fitting));
    let told = told.strip_prefix('m').map_or(told.clone(), |rest| format!("M{rest}"));
    let told = told.strip_prefix('a').map_or(told.clone(), |rest| format!("A{rest}"));
    // What is on its way is sent by itself.
    let can_resend = list.may_resend && !matches!(filter.state, Some(StateFilter::Queued | StateFilter::Held));
    let resend = can_resend.then(|| {
        let address = format!("/m/{slug}/resends/new{}", filter.whole().query());
        let which = match fitting {
            Counted { number: 1, more: false } => "this delivery".to_owned(),
            Counted { number, more: false } => format!("these {} deliveries", count(number)),
            Counted { .. } => "these deliveries".to_owned(),
        };
        view! { <a class="button" href=address data-resend=""><Icon name="retry"/>{format!("Resend {which}…")}</a> }
    });
    view! { <div class="list-head"><p>{told}</p><div class="actions">{resend}{export}</div></div> }.into_any()
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
            <td data-label="Order">
                <div class="url-line">
                    <span><a class="code quiet-link" href=order>{row.reference.clone()}</a>" "<TestBadge test=row.test/></span>
                    <span class="muted clip">{row.vendor_status.clone()}</span>
                </div>
            </td>
            <td data-label="State">
                <DeliveryBadge state=delivery.state/>
                {cause.map(|cause: Cause| view! { <span class="cause" title=cause.sentence()>{cause.label()}</span> })}
            </td>
            <td data-label="Attempts" class="number labelled">{delivery.attempts}</td>
            <td data-label="Next or last" class="labelled">{when(delivery)}</td>
            <td data-label="Made" class="labelled"><Ago at=delivery.created_at/></td>
        </tr>
    }
    .into_any()
}
