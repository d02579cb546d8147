//! *Orders & Reports › Bulk actions*: the list, and one of them while it is worked at and afterwards.

use super::{
    any_flash, bulk_cancel,
    deliveries::{ReportTabs, first_upper, recover_address, up_to},
    page, param, param_as, viewer_at,
};
use crate::{
    domain::pages::{
        bulk::{BulkList, BulkPage as Bulk, BulkRow, BulkState, BulkTarget, LeftOut},
        deliveries::{DeliveryFilter, StateFilter},
        inbound::ListenerChoice,
        orders::UrlChoice,
        via::Via,
    },
    rpc::bulk::{list_bulk, read_bulk},
    ui::{
        components::{Ago, Confirm, Empty, FormNotes, Hidden, Icon, Moment, Notice, Tone, fact, now, zone},
        format::{count, date, date_time},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A filter in words: `expired deliveries to Shop, because of: Server error, made since 2026-11-01`.
pub fn in_words(filter: &DeliveryFilter, urls: &[UrlChoice], listeners: &[ListenerChoice]) -> String {
    let mut words = match filter.state {
        None => t!("all deliveries").to_owned(),
        Some(StateFilter::Failed) => t!("deliveries that failed for good").to_owned(),
        Some(state) => t!("{state} deliveries", state = tell(state.label()).to_lowercase()),
    };
    if let Some(id) = filter.url {
        let label = urls.iter().find(|url| url.id == id).map_or(t!("a URL that was removed"), |url| url.label.as_str());
        words = t!("{deliveries} to {url}", deliveries = words, url = label);
    }
    let mut more: Vec<String> = Vec::new();
    match filter.via {
        Some(Via::Listener(id)) => {
            let label = listeners.iter().find(|listener| listener.id == id);
            let label = label.map_or(t!("a listener that was removed"), |listener| listener.label.as_str());
            more.push(t!("that came in at {listener}", listener = label));
        }
        Some(Via::Gateway(gateway)) => {
            let label = listeners.iter().find(|listener| listener.gateway == gateway);
            let label = label.map_or_else(|| gateway.to_string(), |listener| listener.gateway_label.clone());
            more.push(t!("that came in from {gateway}", gateway = label));
        }
        None => {}
    }
    if let Some(since) = filter.since {
        let zone = zone();
        more.push(t!("ended since {time} {zone}", time = date_time(zone.local(since)), zone = zone.short(since)));
    }
    if let Some(cause) = filter.cause {
        more.push(t!("because of: {cause}", cause = tell(cause.label())));
    }
    match (filter.from, filter.until.map(|until| until.minus(DAY))) {
        (Some(from), Some(until)) => more.push(t!("made {from} to {until}", from = date(from), until = date(until))),
        (Some(from), None) => more.push(t!("made since {date}", date = date(from))),
        (None, Some(until)) => more.push(t!("made until {until}", until = date(until))),
        (None, None) => {}
    }
    match filter.test {
        Some(true) => more.push(t!("of TEST orders").to_owned()),
        Some(false) => more.push(t!("of real orders").to_owned()),
        None => {}
    }
    if !filter.text.is_empty() {
        more.push(t!("of orders that begin with {text}", text = filter.text));
    }
    for part in more {
        words.push_str(", ");
        words.push_str(&part);
    }
    words
}

/// The same as the beginning of a sentence.
pub fn in_words_first(filter: &DeliveryFilter, urls: &[UrlChoice], listeners: &[ListenerChoice]) -> String {
    first_upper(&in_words(filter, urls, listeners))
}

/// What is left out, and why, one line each.
pub fn left_out_lines(left_out: LeftOut) -> Vec<String> {
    let LeftOut { confirmed, waiting, removed, without_bytes } = left_out;
    let lines = [
        (confirmed, tn!("{count} is confirmed by its URL already", "{count} are confirmed by their URL already", confirmed)),
        (waiting, tn!("{count} is on its way or held already", "{count} are on their way or held already", waiting)),
        (removed, tn!("{count} went to a URL that was removed", "{count} went to a URL that was removed", removed)),
        (
            without_bytes,
            tn!(
                "{count} cannot be sent: the bytes of its message were removed, because it is older than they are kept",
                "{count} cannot be sent: the bytes of their messages were removed, because they are older than those are kept",
                without_bytes
            ),
        ),
    ];
    lines.into_iter().filter(|(number, _)| *number > 0).map(|(_, line)| line).collect()
}

fn state_badge(job: &BulkRow) -> AnyView {
    if job.is_cancel() && job.state == BulkState::Cancelled {
        return view! { <span class="badge quiet"><Icon name="cross"/>{t!("Stopped")}</span> }.into_any();
    }
    let (tone, icon) = match job.state {
        BulkState::Running => ("calm", "send"),
        BulkState::Done => ("good", "check"),
        BulkState::Cancelled => ("quiet", "cross"),
    };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{tell(job.state.label())}</span> }.into_any()
}

fn to_where(target: BulkTarget) -> &'static str {
    match target {
        BulkTarget::Same => t!("the URL each went to"),
        BulkTarget::All => t!("all current URLs"),
        BulkTarget::Cancel => t!("none: cancelled"),
    }
}

/// `120 of 340`, or the number alone where the whole was too large to count.
fn progress_words(job: &BulkRow) -> String {
    match job.expected {
        Some(expected) => t!("{part} of {all}", part = count(job.made), all = count(expected.max(job.made))),
        None => count(job.made),
    }
}

/// `/m/{merchant}/resends`
#[component]
pub fn BulkListPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = list_bulk(slug.clone()).await?;
        let actions = list.may_resend.then(|| {
            view! { <a class="button" href=recover_address(&slug, None)><Icon name="retry"/>{t!("Recover what failed…")}</a> }
                .into_any()
        });
        let rows: Vec<_> = list.rows.iter().map(|job| list_row(&slug, job, &list)).collect();
        let content = if rows.is_empty() {
            let deliveries = format!("/m/{slug}/deliveries");
            view! {
                <Empty title=t!("No bulk actions yet")>
                    <p>{rich!("When a script was broken for longer than its schedule lasts, everything that failed meanwhile can be sent again at once: filter {link} and resend the list.", link = view! { <a href=deliveries>{t!("the deliveries")}</a> })}</p>
                </Empty>
            }
            .into_any()
        } else {
            view! {
                <div class="table">
                    <table class="stacking rows">
                        <thead>
                            <tr>
                                <th scope="col">{t!("What")}</th>
                                <th scope="col">{t!("State")}</th>
                                <th scope="col" class="number">{t!("Made")}</th>
                                <th scope="col">{t!("Asked by")}</th>
                                <th scope="col">{t!("When")}</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Orders & Reports") actions>
                <ReportTabs slug=slug.clone() current="resends"/>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Live subject=Subject::Merchant(slug)>{content}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn list_row(slug: &str, job: &BulkRow, list: &BulkList) -> AnyView {
    view! {
        <tr id=format!("bulk-{}", job.id)>
            <td>
                <div class="url-line">
                    <a href=format!("/m/{slug}/resends/{}", job.id)>{in_words_first(&job.filter, &list.urls, &list.listeners)}</a>
                    <span class="muted">{if job.is_cancel() { t!("cancelled, not sent").to_owned() } else { t!("to {target}", target = to_where(job.target)) }}</span>
                </div>
            </td>
            <td data-label=t!("State")>{state_badge(job)}</td>
            <td data-label=t!("Made") class="number">{progress_words(job)}</td>
            <td data-label=t!("Asked by")><span class="clip">{job.actor.clone()}</span></td>
            <td data-label=t!("When")><Ago at=job.at/></td>
        </tr>
    }
    .into_any()
}

/// `/m/{merchant}/resends/{bulk}`
#[component]
pub fn BulkPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("bulk"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let bulk = read_bulk(slug.clone(), id?).await?;
        let title = if bulk.job.is_cancel() { t!("Cancelled list") } else { t!("Bulk resend") };
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Bulk actions").to_owned(), format!("/m/{slug}/resends")),
        ];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Live subject=Subject::Merchant(slug.clone())>{content(&slug, &bulk)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn content(slug: &str, bulk: &Bulk) -> AnyView {
    let job = &bulk.job;
    let standing = &bulk.standing;
    let tile = |name: &'static str, when: &'static str, number: String, tone: &'static str| {
        let tone = if number == "0" { "" } else { tone };
        view! { <div class=format!("tile {tone}")><dt>{name}<span class="muted">{when}</span></dt><dd>{number}</dd></div> }
    };
    let left_out: Vec<_> = left_out_lines(job.left_out).into_iter().map(|line| view! { <li>{line}</li> }).collect();
    let left_out = (!left_out.is_empty()).then(|| {
        view! { <section class="panel" aria-labelledby="left-out"><h2 id="left-out">{t!("Left out")}</h2><ul class="lines">{left_out}</ul></section> }
    });
    let filter = format!("/m/{slug}/deliveries{}", job.filter.query());
    let (headline, way_back, tiles) = if job.is_cancel() {
        (bulk_cancel::headline(bulk), bulk_cancel::undo(slug, bulk), bulk_cancel::tiles(bulk))
    } else {
        let tiles = vec![
            (t!("Made"), t!("of the list"), progress_words(job), ""),
            (t!("Confirmed"), t!("by their URL"), up_to(standing.confirmed), "good"),
            (t!("Queued"), t!("not sent yet"), up_to(standing.queued), ""),
            (t!("Retrying"), t!("now"), up_to(standing.retrying), "warn"),
            (t!("Held"), t!("URL on hold"), up_to(standing.held), ""),
            (t!("Expired"), t!("given up again"), up_to(standing.expired), "bad"),
        ];
        (headline(bulk), cancel(slug, bulk), tiles)
    };
    let class = if job.is_cancel() { "tiles three" } else { "tiles six" };
    let tiles: Vec<_> = tiles.into_iter().map(|(name, when, number, tone)| tile(name, when, number, tone)).collect();
    view! {
        {headline}
        <section class="panel" aria-labelledby="progress">
            <div class="list-head">
                <h2 id="progress">{t!("Progress")}</h2>
                {way_back}
            </div>
            {bar(bulk)}
            <dl class=class>{tiles}</dl>
        </section>
        {left_out}
        <dl class="facts panel">
            <div class="fact wide"><dt>{t!("What")}</dt><dd>{in_words_first(&job.filter, &bulk.urls, &bulk.listeners)}", "<a href=filter>{t!("as they are now")}</a></dd></div>
            {fact(t!("State"), state_badge(job))}
            {fact(t!("To"), to_where(job.target))}
            {fact(t!("Asked by"), view! { <span class="clip" title=job.actor.clone()>{job.actor.clone()}</span> })}
            {fact(t!("Asked at"), view! { <Moment at=job.at/> })}
            {job.finished_at.map(|at| fact(t!("Ended at"), view! { <Moment at/> }))}
        </dl>
    }
    .into_any()
}

/// The news in a sentence.
fn headline(bulk: &Bulk) -> AnyView {
    let (job, standing) = (&bulk.job, &bulk.standing);
    match job.state {
        BulkState::Cancelled => {
            let sent = tn!(
                "{count} delivery was sent before that and cannot be called back",
                "{count} deliveries were sent before that and cannot be called back",
                standing.sent().number
            );
            let text = tn!(
                "{sent}; {count} that was made is not sent any more.",
                "{sent}; {count} that were made are not sent any more.",
                standing.withdrawn.number,
                sent
            );
            view! { <Notice tone=Tone::Calm title=t!("Cancelled")><p>{text}</p></Notice> }.into_any()
        }
        BulkState::Done if job.made == 0 => {
            view! { <Notice tone=Tone::Calm title=t!("There was nothing to send")><p>{t!("Everything of the list was left out; why stands below.")}</p></Notice> }.into_any()
        }
        BulkState::Done if standing.confirmed.number == job.made => {
            let title = tn!("{count} delivery is confirmed", "{count} deliveries are confirmed", job.made);
            view! { <Notice tone=Tone::Good title=title><p>{t!("All that was sent again has arrived.")}</p></Notice> }.into_any()
        }
        BulkState::Done => {
            let text = t!("Everything was sent. What was not confirmed is tried again by the schedule of its URL.");
            view! { <Notice tone=Tone::Calm title=t!("Done")><p>{text}</p></Notice> }.into_any()
        }
        BulkState::Running if job.starts_at > now() => {
            let seconds = job.starts_at.since(now()).as_secs() + 1;
            view! {
                <Notice tone=Tone::Calm title=tn!("Starts in {count} second", "Starts in {count} seconds", seconds)>
                    <p>{t!("Until then it can be stopped, and nothing is sent.")}</p>
                </Notice>
            }
            .into_any()
        }
        BulkState::Running => {
            let behind: Vec<_> = job
                .behind
                .iter()
                .filter_map(|id| bulk.urls.iter().find(|url| url.id == *id))
                .map(|url| url.label.clone())
                .collect();
            (!behind.is_empty())
                .then(|| {
                    let title = t!("{urls} gets the rest as it takes it", urls = behind.join(", "));
                    view! {
                        <Notice tone=Tone::Calm title=title>
                            <p>{t!("Only some hundreds at a time wait for each URL, behind its new notifications. While nobody answers there, nothing more is made for it.")}</p>
                        </Notice>
                    }
                })
                .into_any()
        }
    }
}

/// What was sent, of the whole.
fn bar(bulk: &Bulk) -> AnyView {
    let job = &bulk.job;
    let (done, words) = if job.is_cancel() {
        (job.made, t!("{count} cancelled", count = count(job.made)))
    } else {
        let sent = bulk.standing.sent().number;
        (sent, t!("{count} sent", count = count(sent)))
    };
    let expected = job.expected.map(|expected| expected.max(job.made)).filter(|expected| *expected > 0);
    match (expected, job.state) {
        (Some(expected), _) => {
            view! { <progress class="bar-of" max=expected.to_string() value=done.to_string() aria-labelledby="progress">{words}</progress> }.into_any()
        }
        (None, BulkState::Running) => {
            view! { <p class="muted">{t!("There were more than could be counted before; it looks through them from the oldest on.")}</p> }.into_any()
        }
        _ => ().into_any(),
    }
}

fn cancel(slug: &str, bulk: &Bulk) -> AnyView {
    let job = &bulk.job;
    if bulk.may_resend && job.state == BulkState::Running && job.starts_at > now() {
        let (merchant, id) = (slug.to_owned(), job.id.to_string());
        return view! {
            <form method="post" action="/rpc/bulk/cancel">
                <Hidden name="merchant" value=merchant/>
                <Hidden name="bulk" value=id/>
                <button class="button"><Icon name="cross"/>{t!("Stop it")}</button>
            </form>
        }
        .into_any();
    }
    (bulk.may_resend && job.state == BulkState::Running)
        .then(|| {
            let merchant = slug.to_owned();
            let id = job.id.to_string();
            view! {
                <Confirm
                    id="cancel-bulk" label=t!("Cancel…") icon="cross" title=t!("Cancel this bulk resend?") danger=true
                    consequence=t!("What was not made yet is not made, and what was not sent yet is cancelled. What was sent already stays sent, and goes on by the schedule of its URL.")
                    action="/rpc/bulk/cancel" verb=t!("Cancel it")
                >
                    <Hidden name="merchant" value=merchant/>
                    <Hidden name="bulk" value=id/>
                </Confirm>
            }
        })
        .into_any()
}
