//! *Orders & Reports › Bulk resends*: the list, and one of them while it is worked at and afterwards.

use super::{
    any_flash,
    deliveries::{ReportTabs, recover_address, up_to},
    page, param, param_as, viewer_at,
};
use crate::{
    domain::pages::{
        bulk::{BulkPage as Bulk, BulkRow, BulkState, BulkTarget, LeftOut},
        deliveries::{DeliveryFilter, StateFilter},
        orders::UrlChoice,
    },
    rpc::bulk::{list_bulk, read_bulk},
    ui::{
        components::{Ago, Confirm, Empty, FormNotes, Hidden, Icon, Moment, Notice, Tone, fact, now},
        format::{count, counted, date, date_time},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A filter in words: `expired deliveries to Shop, because of: Server error, made since 2026-11-01`.
pub fn in_words(filter: &DeliveryFilter, urls: &[UrlChoice]) -> String {
    let mut words = match filter.state {
        None => "all deliveries".to_owned(),
        Some(StateFilter::Failed) => "deliveries that failed for good".to_owned(),
        Some(state) => format!("{} deliveries", state.label().to_lowercase()),
    };
    if let Some(id) = filter.url {
        let label = urls.iter().find(|url| url.id == id).map_or("a URL that was removed", |url| url.label.as_str());
        words.push_str(&format!(" to {label}"));
    }
    let mut more: Vec<String> = Vec::new();
    if let Some(since) = filter.since {
        more.push(format!("ended since {} UTC", date_time(since)));
    }
    if let Some(cause) = filter.cause {
        more.push(format!("because of: {}", cause.label()));
    }
    match (filter.from, filter.until.map(|until| until.minus(DAY))) {
        (Some(from), Some(until)) => more.push(format!("made {} to {}", date(from), date(until))),
        (Some(from), None) => more.push(format!("made since {}", date(from))),
        (None, Some(until)) => more.push(format!("made until {}", date(until))),
        (None, None) => {}
    }
    match filter.test {
        Some(true) => more.push("of TEST orders".to_owned()),
        Some(false) => more.push("of real orders".to_owned()),
        None => {}
    }
    if !filter.text.is_empty() {
        more.push(format!("of orders that begin with {}", filter.text));
    }
    for part in more {
        words.push_str(", ");
        words.push_str(&part);
    }
    words
}

/// The same as the beginning of a sentence.
pub fn in_words_first(filter: &DeliveryFilter, urls: &[UrlChoice]) -> String {
    let words = in_words(filter, urls);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What is left out, and why, one line each.
pub fn left_out_lines(left_out: LeftOut) -> Vec<String> {
    let line = |number: u64, one: &str, many: &str| (number > 0).then(|| counted(number, one, many));
    let lines = [
        line(left_out.confirmed, "is confirmed by its URL already", "are confirmed by their URL already"),
        line(left_out.waiting, "is on its way or held already", "are on their way or held already"),
        line(left_out.removed, "went to a URL that was removed", "went to a URL that was removed"),
        line(
            left_out.without_bytes,
            "cannot be sent: the bytes of its message were removed, because it is older than they are kept",
            "cannot be sent: the bytes of their messages were removed, because they are older than those are kept",
        ),
    ];
    lines.into_iter().flatten().collect()
}

fn state_badge(job: &BulkRow) -> AnyView {
    let (tone, icon) = match job.state {
        BulkState::Running => ("calm", "send"),
        BulkState::Done => ("good", "check"),
        BulkState::Cancelled => ("quiet", "cross"),
    };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{job.state.label()}</span> }.into_any()
}

const fn to_where(target: BulkTarget) -> &'static str {
    match target {
        BulkTarget::Same => "the URL each went to",
        BulkTarget::All => "all current URLs",
    }
}

/// `120 of 340`, or the number alone where the whole was too large to count.
fn progress_words(job: &BulkRow) -> String {
    match job.expected {
        Some(expected) => format!("{} of {}", count(job.made), count(expected.max(job.made))),
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
            view! { <a class="button" href=recover_address(&slug, None)><Icon name="retry"/>"Recover what failed…"</a> }
                .into_any()
        });
        let rows: Vec<_> = list.rows.iter().map(|job| list_row(&slug, job, &list.urls)).collect();
        let content = if rows.is_empty() {
            let deliveries = format!("/m/{slug}/deliveries");
            view! {
                <Empty title="No bulk resends yet">
                    <p>"When a script was broken for longer than its schedule lasts, everything that failed meanwhile can be sent again at once: filter "<a href=deliveries>"the deliveries"</a>" and resend the list."</p>
                </Empty>
            }
            .into_any()
        } else {
            view! {
                <div class="table">
                    <table class="stacking rows">
                        <thead>
                            <tr>
                                <th scope="col">"What"</th>
                                <th scope="col">"State"</th>
                                <th scope="col" class="number">"Made"</th>
                                <th scope="col">"Asked by"</th>
                                <th scope="col">"When"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Orders & Reports" actions>
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

fn list_row(slug: &str, job: &BulkRow, urls: &[UrlChoice]) -> AnyView {
    view! {
        <tr id=format!("bulk-{}", job.id)>
            <td>
                <div class="url-line">
                    <a href=format!("/m/{slug}/resends/{}", job.id)>{in_words_first(&job.filter, urls)}</a>
                    <span class="muted">{format!("to {}", to_where(job.target))}</span>
                </div>
            </td>
            <td data-label="State">{state_badge(job)}</td>
            <td data-label="Made" class="number">{progress_words(job)}</td>
            <td data-label="Asked by"><span class="clip">{job.actor.clone()}</span></td>
            <td data-label="When"><Ago at=job.at/></td>
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
        let crumbs = vec![
            ("Orders & Reports".to_owned(), format!("/m/{slug}/orders")),
            ("Bulk resends".to_owned(), format!("/m/{slug}/resends")),
        ];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Bulk resend" crumbs>
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
        view! { <section class="panel" aria-labelledby="left-out"><h2 id="left-out">"Left out"</h2><ul class="lines">{left_out}</ul></section> }
    });
    let filter = format!("/m/{slug}/deliveries{}", job.filter.query());
    view! {
        {headline(bulk)}
        <section class="panel" aria-labelledby="progress">
            <div class="list-head">
                <h2 id="progress">"Progress"</h2>
                {cancel(slug, bulk)}
            </div>
            {bar(bulk)}
            <dl class="tiles six">
                {tile("Made", "of the list", progress_words(job), "")}
                {tile("Confirmed", "by their URL", up_to(standing.confirmed), "good")}
                {tile("Queued", "not sent yet", up_to(standing.queued), "")}
                {tile("Retrying", "now", up_to(standing.retrying), "warn")}
                {tile("Held", "URL on hold", up_to(standing.held), "")}
                {tile("Expired", "given up again", up_to(standing.expired), "bad")}
            </dl>
        </section>
        {left_out}
        <dl class="facts panel">
            <div class="fact wide"><dt>"What"</dt><dd>{in_words_first(&job.filter, &bulk.urls)}", "<a href=filter>"as they are now"</a></dd></div>
            {fact("State", state_badge(job))}
            {fact("To", to_where(job.target))}
            {fact("Asked by", view! { <span class="clip" title=job.actor.clone()>{job.actor.clone()}</span> })}
            {fact("Asked at", view! { <Moment at=job.at/> })}
            {job.finished_at.map(|at| fact("Ended at", view! { <Moment at/> }))}
        </dl>
    }
    .into_any()
}

/// The news in a sentence.
fn headline(bulk: &Bulk) -> AnyView {
    let (job, standing) = (&bulk.job, &bulk.standing);
    match job.state {
        BulkState::Cancelled => {
            let text = format!(
                "{} sent before that and cannot be called back; {} not sent any more.",
                counted(standing.sent().number, "delivery was", "deliveries were"),
                counted(standing.withdrawn.number, "that was made is", "that were made are"),
            );
            view! { <Notice tone=Tone::Calm title="Cancelled"><p>{text}</p></Notice> }.into_any()
        }
        BulkState::Done if job.made == 0 => {
            view! { <Notice tone=Tone::Calm title="There was nothing to send"><p>"Everything of the list was left out; why stands below."</p></Notice> }.into_any()
        }
        BulkState::Done if standing.confirmed.number == job.made => {
            let title = format!("{} confirmed", counted(job.made, "delivery is", "deliveries are"));
            view! { <Notice tone=Tone::Good title=title><p>"All that was sent again has arrived."</p></Notice> }.into_any()
        }
        BulkState::Done => {
            let text = "Everything was sent. What was not confirmed is tried again by the schedule of its URL.";
            view! { <Notice tone=Tone::Calm title="Done"><p>{text}</p></Notice> }.into_any()
        }
        BulkState::Running if job.starts_at > now() => {
            let seconds = job.starts_at.since(now()).as_secs() + 1;
            view! {
                <Notice tone=Tone::Calm title=format!("Starts in {}", counted(seconds, "second", "seconds"))>
                    <p>"Until then it can be stopped, and nothing is sent."</p>
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
                    let title = format!("{} gets the rest as it takes it", behind.join(", "));
                    view! {
                        <Notice tone=Tone::Calm title=title>
                            <p>"Only some hundreds at a time wait for each URL, behind its new notifications. While nobody answers there, nothing more is made for it."</p>
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
    let sent = bulk.standing.sent().number;
    let expected = job.expected.map(|expected| expected.max(job.made)).filter(|expected| *expected > 0);
    match (expected, job.state) {
        (Some(expected), _) => {
            view! { <progress class="bar-of" max=expected.to_string() value=sent.to_string() aria-labelledby="progress">{format!("{} sent", count(sent))}</progress> }.into_any()
        }
        (None, BulkState::Running) => {
            view! { <p class="muted">"There were more than could be counted before; it looks through them from the oldest on."</p> }.into_any()
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
                <button class="button"><Icon name="cross"/>"Stop it"</button>
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
                    id="cancel-bulk" label="Cancel…" icon="cross" title="Cancel this bulk resend?" danger=true
                    consequence="What was not made yet is not made, and what was not sent yet is cancelled. What was sent already stays sent, and goes on by the schedule of its URL."
                    action="/rpc/bulk/cancel" verb="Cancel it"
                >
                    <Hidden name="merchant" value=merchant/>
                    <Hidden name="bulk" value=id/>
                </Confirm>
            }
        })
        .into_any()
}
