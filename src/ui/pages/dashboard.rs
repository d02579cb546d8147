//! The dashboard of a merchant, and the one over all of them: what needs somebody now, today's counts, every URL.

use super::{any_flash, dashboard_chart, dashboard_matters, deliveries::recover_address, page, param, viewer_at};
use crate::{
    domain::{
        Timestamp,
        pages::{
            dashboard::{Counts, Dashboard, NotStored, Pause, Trouble, UrlActivity, UrlHealth, UrlRef},
            deliveries::{DeliveryFilter, StateFilter},
            people::Viewer,
        },
        role::Permission,
    },
    rpc::{dashboard::read_dashboard, people::read_viewer},
    ui::{
        components::{Address, Ago, Empty, FormNotes, HoldNote, Icon, Notice, PauseNote, ShadowBadge, Tone, now, zone},
        format::{count, date, percent, span},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;
use std::time::Duration;

/// Deliveries that were given up are counted for so long.
const EXPIRED_SHOWN: Duration = Duration::from_secs(48 * 3_600);

/// What the reader may do about what he sees.
#[derive(Debug, Clone, Copy)]
struct May {
    resend: bool,
    set: bool,
}

impl May {
    const fn of(viewer: &Viewer) -> Self {
        Self { resend: viewer.may(Permission::Resend), set: viewer.may(Permission::ChangeSettings) }
    }
}

/// `/`: over all merchants, or straight to the only one.
#[component]
pub fn HomePage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        if let [only] = viewer.merchants.as_slice() {
            leptos_axum::redirect(&format!("/m/{}", only.slug));
            return Ok(().into_any());
        }
        let content = if viewer.merchants.is_empty() {
            let text = if viewer.may(Permission::ManageMerchants) {
                view! { <p>{t!("Notifications, URLs and orders belong to a merchant.")}</p><p><a class="button primary" href="/merchants">{t!("Add a merchant")}</a></p> }.into_any()
            } else {
                view! { <p>{t!("Your account belongs to no merchant yet. Ask your administrator to add it to one.")}</p> }
                    .into_any()
            };
            view! { <Empty title=t!("No merchants yet")>{text}</Empty> }.into_any()
        } else {
            let dashboard = read_dashboard(None).await?;
            let may = May::of(&viewer);
            view! { <Live subject=Subject::All>{content(&dashboard, None, may)}</Live> }.into_any()
        };
        Ok(view! {
            <Frame viewer section=Section::Dashboard title=t!("Dashboard")>
                <FormNotes flash=any_flash()/>
                {content}
            </Frame>
        }
        .into_any())
    })
}

/// `/m/{merchant}`
#[component]
pub fn DashboardPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let dashboard = read_dashboard(Some(slug.clone())).await?;
        let base = format!("/m/{slug}");
        let may = May::of(&viewer);
        let has_url = !dashboard.urls.is_empty();
        let is_new = !has_url || !dashboard.has_listener;
        let steps = (is_new && viewer.may(Permission::ChangeSettings))
            .then(|| view! { <FirstSteps base=base.clone() has_url has_listener=dashboard.has_listener/> });
        let actions = viewer.may(Permission::PlaceTestOrder).then(|| {
            view! { <a class="button" href=format!("{base}/test-order")><Icon name="flask"/>{t!("Place TEST order")}</a> }
                .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Dashboard title=t!("Dashboard") actions>
                <FormNotes flash=any_flash()/>
                {steps}
                <Live subject=Subject::Merchant(slug)>{content(&dashboard, Some(&base), may)}</Live>
            </Frame>
        }
        .into_any())
    })
}

/// `base` is the address of the one merchant that it is about.
fn content(dashboard: &Dashboard, base: Option<&str>, may: May) -> AnyView {
    let shows_merchant = base.is_none();
    view! {
        {dashboard.books_differ.then(books_notice)}
        {dashboard.not_stored.map(not_stored_notice)}
        {banner(dashboard)}
        {needs(dashboard, shows_merchant, may)}
        {counts(dashboard, base)}
        {(!dashboard.urls.is_empty()).then(|| dashboard_chart::chart(&dashboard.hours))}
        {urls(&dashboard.urls, shows_merchant)}
    }
    .into_any()
}

/// What must never be.
fn books_notice() -> AnyView {
    view! {
        <Notice tone=Tone::Bad title=t!("The books do not balance")>
            <p>
                {rich!(
                    "The counts of deliveries differ from each other, or from the deliveries themselves. Make a backup, then run {command} on the server: it tells where.",
                    command = view! { <code>"quittance doctor"</code> }
                )}
            </p>
        </Notice>
    }
    .into_any()
}

/// What reached the server and is in no list, because it could not be written down.
fn not_stored_notice(told: NotStored) -> AnyView {
    let facts = view! {
        <dl class="facts">
            <div class="fact"><dt>{t!("The first came")}</dt><dd><Ago at=told.since/></dd></div>
            <div class="fact"><dt>{t!("The last came")}</dt><dd><Ago at=told.last/></dd></div>
            <div class="fact"><dt>{t!("Tries in vain")}</dt><dd>{count(told.count)}</dd></div>
        </dl>
    };
    if told.over {
        return view! {
            <Notice tone=Tone::Warn title=t!("Messages could not be stored")>
                <p>{t!("Since then messages are stored again. Gateways got no receipt for those in vain, and were asked to send them again; what has come again is among the orders.")}</p>
                {facts}
            </Notice>
        }
        .into_any();
    }
    view! {
        <Notice tone=Tone::Bad title=t!("Messages cannot be stored")>
            <p>{t!("Gateways get no receipt for them, and are asked to send them again, which they do for a while.")}</p>
            <p class="cure"><strong>{t!("What to do:")}" "</strong>{t!("Whoever runs the server looks at its log, and whether the disk of the database is full.")}</p>
            {facts}
        </Notice>
    }
    .into_any()
}

/// What the eye meets first.
fn banner(dashboard: &Dashboard) -> AnyView {
    // One that confirms again and waits for its next tries needs nobody.
    let needs_somebody = |trouble: &&Trouble| !trouble.works_again || trouble.expired > 0;
    let failing = u64::try_from(dashboard.troubles.iter().filter(needs_somebody).count()).unwrap_or(u64::MAX);
    let down = u64::try_from(dashboard.troubles.iter().filter(|trouble| !trouble.works_again).count()).unwrap_or(u64::MAX);
    let waiting: u64 = dashboard.troubles.iter().map(|trouble| trouble.outstanding).sum();
    let expired: u64 = dashboard.troubles.iter().map(|trouble| trouble.expired).sum();
    if failing > 0 {
        let title = match (down, waiting, expired) {
            // Whatever came since was confirmed, or nothing came.
            (0, _, 1..) | (_, 0, 1..) => tn!("{count} delivery was given up", "{count} deliveries were given up", expired),
            _ => tn!("{count} URL cannot be delivered to", "{count} URLs cannot be delivered to", down),
        };
        let mut text = match waiting {
            0 => String::new(),
            _ => tn!(
                "{count} delivery waits and will be tried again by itself.",
                "{count} deliveries wait and will be tried again by themselves.",
                waiting
            ),
        };
        if waiting == 0 && expired > 0 {
            text.push_str(t!("In the last two days. Recover them once the cause is cured."));
        } else if expired > 0 {
            text.push(' ');
            text.push_str(&tn!(
                "{count} was given up in the last two days: recover them once the cause is cured.",
                "{count} were given up in the last two days: recover them once the cause is cured.",
                expired
            ));
        }
        return view! { <Notice tone=Tone::Bad title=title><p>{text}</p></Notice> }.into_any();
    }
    if !dashboard.troubles.is_empty() {
        let text = tn!(
            "{count} delivery waits and will be tried again by itself.",
            "{count} deliveries wait and will be tried again by themselves.",
            waiting
        );
        return view! { <Notice tone=Tone::Warn title=t!("Every URL confirms again")><p>{text}</p></Notice> }.into_any();
    }
    // Where nothing was ever delivered there is nothing to be glad of.
    if dashboard.urls.iter().all(|url| url.confirmed == 0) {
        return ().into_any();
    }
    let held = dashboard.counts.held;
    if held > 0 {
        let title = tn!("{count} delivery is kept back", "{count} deliveries are kept back", held);
        return view! { <Notice tone=Tone::Warn title=title><p>{t!("What is kept back goes out once its URL is released. No other URL has a delivery error.")}</p></Notice> }
            .into_any();
    }
    // Nothing is well while messages are lost sight of.
    if dashboard.not_stored.is_some_and(|told| !told.over) {
        return ().into_any();
    }
    let open = dashboard.counts.queued + dashboard.counts.retrying;
    let title = if open == 0 {
        t!("Everything is delivered").to_owned()
    } else {
        tn!("{count} delivery is on the way", "{count} deliveries are on the way", open)
    };
    view! { <Notice tone=Tone::Good title=title><p>{t!("No URL has a delivery error.")}</p></Notice> }.into_any()
}

/// What needs somebody now: URLs that cannot be delivered to, and then everything else.
fn needs(dashboard: &Dashboard, shows_merchant: bool, may: May) -> AnyView {
    let rows: Vec<_> = dashboard.troubles.iter().map(|trouble| trouble_row(trouble, shows_merchant, may)).collect();
    let troubles = (!rows.is_empty()).then(|| view! { <ul class="troubles">{rows}</ul> });
    (troubles.is_some() || !dashboard.matters.is_empty())
        .then(|| {
            view! {
                <section class="needs" aria-labelledby="needs">
                    <h2 id="needs">{t!("Needs somebody now")}</h2>
                    {troubles}
                    {dashboard_matters::list(&dashboard.matters, shows_merchant, may.set)}
                </section>
            }
        })
        .into_any()
}

fn trouble_row(trouble: &Trouble, shows_merchant: bool, may: May) -> AnyView {
    let cause = trouble.cause;
    let slug = &trouble.url.merchant.slug;
    let list = |state: StateFilter, since: Option<Timestamp>| {
        let filter = DeliveryFilter { state: Some(state), url: Some(trouble.url.id), since, ..DeliveryFilter::default() };
        format!("/m/{slug}/deliveries{}", filter.query())
    };
    // As far back as they are counted.
    let expired = list(StateFilter::Expired, Some(now().minus(EXPIRED_SHOWN)));
    let retrying = (trouble.outstanding > 0).then(|| {
        view! { <a class="button" href=list(StateFilter::Retrying, None)>{t!("Show what is retrying")}</a> }
    });
    let recover = (may.resend && trouble.expired > 0).then(|| {
        view! { <a class="button" href=recover_address(slug, Some(trouble.url.id))><Icon name="retry"/>{t!("Recover what failed…")}</a> }
    });
    let heading = match (trouble.works_again, trouble.outstanding) {
        (true, 0) => t!("Confirms again; some were given up"),
        (true, _) => t!("Confirms again; what failed is tried again"),
        (false, _) => cause.map_or(t!("Deliveries were given up"), |cause| tell(cause.label())),
    };
    let (class, icon) = if trouble.works_again { ("trouble over", "retry") } else { ("trouble", "alert") };
    let label = if trouble.works_again { t!("The oldest failed") } else { t!("Failing since") };
    let last_confirmed = trouble.last_confirmed_at.filter(|_| trouble.works_again);
    view! {
        <li class=class id=format!("trouble-{}", trouble.url.id)>
            <div class="trouble-head">
                <h3><Icon name=icon/>{heading}</h3>
                {url_line(&trouble.url, shows_merchant)}
            </div>
            {cause.map(|cause| view! {
                <p>{trouble.works_again.then(|| view! { <strong>{t!("What failed last:")}" "</strong> })}{tell(cause.sentence_for(trouble.format))}</p>
                <p class="cure"><strong>{t!("What to do:")}" "</strong>{tell(cause.cure_for(trouble.format))}</p>
            })}
            <dl class="facts">
                {trouble.since.map(|since| view! { <div class="fact"><dt>{label}</dt><dd><Ago at=since/></dd></div> })}
                {last_confirmed.map(|at| view! { <div class="fact"><dt>{t!("Last confirmed")}</dt><dd><Ago at/></dd></div> })}
                {due(trouble.next_try, trouble.pause).map(|next| view! { <div class="fact"><dt>{t!("Next try")}</dt><dd>{next}</dd></div> })}
                {trouble.pause.map(|pause| view! { <div class="fact"><dt>{t!("At the moment")}</dt><dd><PauseNote pause/></dd></div> })}
                <div class="fact"><dt>{t!("Waiting")}</dt><dd>{count(trouble.outstanding)}</dd></div>
                <div class="fact"><dt>{t!("Expired")}</dt><dd>{number(trouble.expired, expired)}</dd></div>
            </dl>
            <div class="actions">{retrying}{recover}</div>
        </li>
    }
    .into_any()
}

/// A number that leads to the list of what it counts.
fn number(number: u64, list: String) -> AnyView {
    if number == 0 { count(number).into_any() } else { view! { <a href=list>{count(number)}</a> }.into_any() }
}

/// When the next attempt is due. What is overdue waits for its turn behind others, or for the next probe.
fn due(next_try: Option<Timestamp>, pause: Option<Pause>) -> Option<AnyView> {
    let due = next_try?;
    let not_before = match pause {
        Some(Pause::Probing { next, .. }) => next,
        Some(Pause::Told { until }) => until,
        None => due,
    };
    let due = due.max(not_before);
    Some(if due <= now() { t!("due, in the queue").into_any() } else { view! { <Ago at=due/> }.into_any() })
}

/// A URL by its label, with its address below and a way to its settings.
fn url_line(url: &UrlRef, shows_merchant: bool) -> AnyView {
    let page = dashboard_matters::url_page(url);
    view! {
        <div class="url-line">
            {shows_merchant.then(|| view! { <a class="muted" href=format!("/m/{}", url.merchant.slug)>{url.merchant.name.clone()}</a> })}
            <a href=page>{url.label.clone()}</a>
            <Address text=url.url.clone() what=t!("URL")/>
        </div>
    }
    .into_any()
}

fn counts(dashboard: &Dashboard, base: Option<&str>) -> AnyView {
    let counts: Counts = dashboard.counts;
    let tile = |name: &'static str, when: &'static str, of: u64, tone: &'static str| {
        let tone = if of == 0 { "" } else { tone };
        view! { <div class=format!("tile {tone}")><dt>{name}<span class="muted">{when}</span></dt><dd>{count(of)}</dd></div> }
    };
    // Where it is about one merchant, what needs somebody leads to its deliveries.
    let linked = |name: &'static str, when: &'static str, of: u64, tone: &'static str, filter: DeliveryFilter| {
        let tone = if of == 0 { "" } else { tone };
        let shown = match base {
            Some(base) => number(of, format!("{base}/deliveries{}", filter.query())),
            None => count(of).into_any(),
        };
        view! { <div class=format!("tile {tone}")><dt>{name}<span class="muted">{when}</span></dt><dd>{shown}</dd></div> }
    };
    let in_state = |state| DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    let zone = zone();
    let today = zone.start_of_day(dashboard.as_of);
    let expired = DeliveryFilter { since: Some(today), ..in_state(StateFilter::Expired) };
    view! {
        <section aria-labelledby="today">
            <h2 id="today">{t!("Today")}" "<span class="muted">{t!("since midnight ({zone})", zone = zone.name())}</span></h2>
            <dl class="tiles">
                {tile(t!("Accepted"), t!("notifications"), counts.accepted, "")}
                {tile(t!("Confirmed"), t!("deliveries"), counts.confirmed, "good")}
                {linked(t!("Retrying"), t!("now"), counts.retrying, "warn", in_state(StateFilter::Retrying))}
                {linked(t!("Expired"), t!("deliveries"), counts.expired, "bad", expired)}
                {linked(t!("Queued"), t!("now"), counts.queued, "", in_state(StateFilter::Queued))}
                {linked(t!("Held"), t!("now"), counts.held, "", in_state(StateFilter::Held))}
                {tile(t!("Refused"), t!("messages"), counts.refused, "warn")}
                {tile(t!("Repeated"), t!("messages"), counts.repeats, "")}
            </dl>
        </section>
    }
    .into_any()
}

fn urls(urls: &[UrlHealth], shows_merchant: bool) -> AnyView {
    if urls.is_empty() {
        return ().into_any();
    }
    let rows: Vec<_> = urls.iter().map(|health| url_row(health, shows_merchant)).collect();
    view! {
        <section aria-labelledby="urls">
            <h2 id="urls">{t!("Notification URLs")}</h2>
            <div class="table">
                <table class="stacking">
                    <thead>
                        <tr>
                            <th scope="col">{t!("URL")}</th>
                            <th scope="col">{t!("State")}</th>
                            <th scope="col" class="number" title=t!("Of the attempts of the last 24 hours")>{t!("Confirmed, 24 h")}</th>
                            <th scope="col" class="number" title=t!("What half of the answers, and 99 in 100, took at most in the last 24 hours")>{t!("Answer p50 / p99")}</th>
                            <th scope="col" class="number">{t!("Outstanding")}</th>
                            <th scope="col">{t!("Last confirmed")}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn url_row(health: &UrlHealth, shows_merchant: bool) -> AnyView {
    let (tone, icon, word) = match (health.hold, health.failing, health.confirmed) {
        (Some(_), ..) => ("quiet", "pause", t!("On hold")),
        (_, true, _) if health.works_again => ("warn", "retry", t!("Confirms again")),
        (_, true, _) if health.shadow => ("quiet", "alert", t!("Failing")),
        (_, true, _) => ("bad", "alert", t!("Failing")),
        (_, _, 0) => ("calm", "clock", t!("Nothing confirmed yet")),
        _ => ("good", "check", t!("Confirming")),
    };
    let next = (health.failing && health.hold.is_none()).then(|| due(health.next_try, health.pause)).flatten();
    let outstanding = if health.hold.is_some() { health.held_back } else { health.outstanding };
    view! {
        <tr>
            <td>{url_line(&health.url, shows_merchant)}</td>
            <td data-label=t!("State")>
                <span class="badges">
                    <span class=format!("badge {tone}")><Icon name=icon/>{word}</span>
                    {health.shadow.then(|| view! { <ShadowBadge/> })}
                </span>
                {health.hold.map(|hold| view! { <HoldNote hold/> })}
                {health.failing_since.map(|at| view! { <span class="cause">{rich!("since {time}", time = view! { <Ago at/> })}</span> })}
                {next.map(|next| view! { <span class="cause">{rich!("next try {time}", time = next)}</span> })}
                {health.pause.map(|pause| view! { <PauseNote pause/> })}
                {certificate(health.certificate_ends_at)}
            </td>
            <td data-label=t!("Confirmed, 24 h") class="number">{share(health.activity)}</td>
            <td data-label=t!("Answer p50 / p99") class="number">{answers(health.activity)}</td>
            <td data-label=t!("Outstanding") class="number">{count(outstanding)}</td>
            <td data-label=t!("Last confirmed")>
                {match health.last_confirmed_at {
                    Some(at) => view! { <Ago at/> }.into_any(),
                    None => view! { <span class="muted">{t!("never")}</span> }.into_any(),
                }}
            </td>
        </tr>
    }
    .into_any()
}

/// `99.2 %` of the attempts, with their number on hover.
fn share(activity: UrlActivity) -> AnyView {
    let all = activity.confirmed + activity.failed;
    if all == 0 {
        return view! { <span class="muted">"—"</span> }.into_any();
    }
    // Rounded down, so that 100 % means all.
    let tenths = activity.confirmed * 1_000 / all;
    let shown = if tenths == 1_000 { "100 %".to_owned() } else { percent(tenths) };
    let title = tn!(
        "{confirmed} of {count} attempt were confirmed",
        "{confirmed} of {count} attempts were confirmed",
        all,
        confirmed = count(activity.confirmed)
    );
    view! { <span title=title>{shown}</span> }.into_any()
}

/// `80 ms / 1.25 s`
fn answers(activity: UrlActivity) -> AnyView {
    let shown = |millis: u64| span(millis.saturating_mul(1_000));
    match activity.p50.zip(activity.p99) {
        Some((p50, p99)) => {
            view! { <span title=t!("Estimated from counts by range")>{shown(p50)}" / "{shown(p99)}</span> }.into_any()
        }
        None => view! { <span class="muted">"—"</span> }.into_any(),
    }
}

/// How long the certificate is good for.
fn certificate(ends_at: Option<Timestamp>) -> Option<AnyView> {
    let ends_at = ends_at?;
    let days = ends_at.since(now()).as_secs() / 86_400;
    let has_ended = ends_at <= now();
    let text = if has_ended {
        rich!("Certificate ended {time}", time = view! { <Ago at=ends_at/> }).into_any()
    } else {
        tn!("Certificate: {count} day left", "Certificate: {count} days left", days).into_any()
    };
    Some(
        view! { <span class="cause" title=t!("It ends {ends_at}", ends_at = date(zone().local(ends_at)))>{text}</span> }
            .into_any(),
    )
}

/// The way from nothing to the first confirmed notification; shown by the page until it is done.
#[component]
pub fn FirstSteps(base: String, has_url: bool, has_listener: bool) -> AnyView {
    let step = |done: bool, address: String, name: &'static str, text: &'static str| {
        let (class, icon) = if done { ("done", "check") } else { ("", "next") };
        view! {
            <li class=class>
                <Icon name=icon/>
                <div><a href=address>{name}</a>{done.then(|| view! { <span class="muted">{t!("done")}</span> })}<p class="muted">{text}</p></div>
            </li>
        }
    };
    view! {
        <Empty title=t!("Three steps to the first confirmed notification")>
            <ol class="steps">
                {step(has_url, format!("{base}/settings/ipn"), t!("Enter your default IPN URL"), t!("The address of the script that takes notifications and answers with a read receipt."))}
                {step(has_listener, format!("{base}/listeners/new"), t!("Create a listener"), t!("Gives you the address to enter at the gateway, so that its notifications come here."))}
                {step(false, format!("{base}/test-order"), t!("Place a TEST order"), t!("Sends your script a notification at once, and shows what it answered."))}
            </ol>
        </Empty>
    }
    .into_any()
}
