//! The page of an order: how it stands, whether each script got it, and its whole story.

use super::{any_flash, page, param, param_as, query, story::timeline, viewer_at};
use crate::{
    domain::{
        DeliveryState, Timestamp, Zone,
        attempt::Origin,
        pages::{
            orders::{DeliveryView, OrderRow},
            story::{Concern, Place, StoryPage as Story, UrlStanding},
        },
        role::Permission,
        time::parse_moment,
    },
    rpc::orders::read_story,
    ui::{
        components::{
            Ago, Copy, DeliveryBadge, Empty, FormNotes, Icon, Masked, Moment, Notice, OrderBadge, Reveal, Revealed, ShadowBadge,
            Summary, TestBadge, Tone, fact, now, zone,
        },
        format::money,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/orders/{order}?order=newest&after={place}`, or `&at={moment}`
#[component]
pub fn OrderPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("order"));
    let newest_first = query("order").as_deref() == Some("newest");
    let (after, at) = (query("after").unwrap_or_default(), query("at").unwrap_or_default());
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let (after, mistake) = start(after, &at, newest_first, &zone());
        let story = read_story(slug.clone(), id?, newest_first, after).await?;
        let title = t!("Order {reference}", reference = story.order.reference);
        let crumbs = vec![(t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders"))];
        let may_set = viewer.may(Permission::ChangeSettings);
        let masked = (!viewer.may(Permission::SeePersonalData)).then(|| Masked {
            merchant: slug.clone(),
            of: "order",
            thing: story.order.id.to_string(),
            number: 0,
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs>
                <FormNotes flash=any_flash()/>
                <Revealed flash=any_flash()/>
                {mistake.map(|mistake| view! { <Notice tone=Tone::Bad title=mistake/> })}
                <Live subject=Subject::Order(slug, story.order.id)>{content(&story, &at, masked, may_set)}</Live>
            </Frame>
        }
        .into_any())
    })
}

/// Where the story is opened: behind a place, or at a moment that somebody entered; else at its end.
fn start(after: String, at: &str, newest_first: bool, zone: &Zone) -> (String, Option<&'static str>) {
    let at = at.trim();
    if !after.is_empty() || at.is_empty() {
        return (after, None);
    }
    match parse_moment(at) {
        Some(local) => {
            let at = zone.instant(local);
            // The moment itself is meant to be part of it.
            let at = if newest_first { at.plus(std::time::Duration::from_secs(60)) } else { Timestamp(at.0 - 1) };
            (Place { at, kind: if newest_first { 0 } else { 99 }, id: 0, number: 0 }.to_string(), None)
        }
        None => (String::new(), Some(t!("Enter the moment to go to as 2026-11-21T09:00."))),
    }
}

fn content(story: &Story, at: &str, masked: Option<Masked>, may_set: bool) -> AnyView {
    view! {
        {concern(story, may_set)}
        {facts(&story.order, &story.gateway, masked)}
        {scripts(story)}
        <section aria-labelledby="story" class="stack">
            <div class="story-head">
                <h2 id="story">{t!("What happened")}</h2>
                {turns(story, at)}
            </div>
            {story.attempts_removed.then(|| view! {
                <p class="muted">{t!("Its attempts are not kept any more: they are older than exchanges are kept. How the deliveries ended stands above.")}</p>
            })}
            {if story.entries.is_empty() { nothing(story) } else { timeline(story) }}
            {pager(story)}
        </section>
    }
    .into_any()
}

fn nothing(story: &Story) -> AnyView {
    if story.turn.after.is_some() {
        return view! { <Empty title=t!("Nothing happened there")><p>{t!("The story has no entry behind this place.")}</p></Empty> }
            .into_any();
    }
    view! { <Empty title=t!("Nothing of it is kept any more")><p>{t!("The retention time of its notifications is over.")}</p></Empty> }
        .into_any()
}

fn concern(story: &Story, may_set: bool) -> AnyView {
    let (slug, has_urls) = (story.merchant.slug.clone(), story.has_urls);
    match story.concern {
        None => ().into_any(),
        Some(Concern::PaidSentNowhere) => view! {
            <Notice tone=Tone::Warn title=t!("Paid, and sent nowhere")>
                <p>{t!("No script was told of this order, because no notification URL was set up when its messages came.")}</p>
                {has_urls.then(|| view! { <p>{t!("Resend a message below to the URLs of now.")}</p> })}
                {(!has_urls && may_set).then(|| view! { <p>{rich!("{link}, then resend a message below.", link = view! { <a href=format!("/m/{slug}/settings/urls/new")>{t!("Add a notification URL")}</a> })}</p> })}
            </Notice>
        }
        .into_any(),
        Some(Concern::PaidUnconfirmed) => view! {
            <Notice tone=Tone::Bad title=t!("Paid, and no script has confirmed it")>
                <p>{t!("The customer has paid; nothing shows that the shop knows. What stands in the way is told below, URL by URL.")}</p>
            </Notice>
        }
        .into_any(),
    }
}

fn facts(order: &OrderRow, gateway: &str, masked: Option<Masked>) -> AnyView {
    let copied = |text: &str, what: &'static str| match text {
        "" => view! { "—" }.into_any(),
        text => view! { <bdi>{text.to_owned()}</bdi><Copy text what/> }.into_any(),
    };
    let personal = |text: &str, field: &'static str, what: &'static str| match (&masked, text) {
        (_, "") => view! { "—" }.into_any(),
        (Some(masked), text) => view! { <bdi>{text.to_owned()}</bdi>" "<Reveal masked=masked.clone() field/> }.into_any(),
        (None, text) => copied(text, what),
    };
    // A merchant's own number is masked only where it holds an address or the like.
    let external = match order.external.contains('•') {
        true => personal(&order.external, "external", t!("external reference")),
        false => copied(&order.external, t!("external reference")),
    };
    let amount = order.amount.as_ref().map_or_else(|| "—".to_owned(), money);
    let status = view! {
        <span class="badges">
            <OrderBadge status=order.status vendor=order.vendor_status.clone()/>
            <TestBadge test=order.test/>
        </span>
    };
    view! {
        <dl class="facts panel">
            {fact(t!("Status"), status)}
            {fact(t!("Amount"), view! { <span class="amount">{amount}</span> })}
            {order.refunded.as_ref().map(|refunded| fact(t!("Refunded"), view! { <span class="amount">{money(refunded)}</span> }))}
            {fact(t!("Deliveries"), view! { <Summary deliveries=order.deliveries/> })}
            {fact(t!("Reference"), copied(&order.reference, t!("reference")))}
            {fact(t!("External reference"), external)}
            {fact(t!("Customer"), personal(&order.customer, "customer", t!("customer's name")))}
            {fact(t!("E-mail"), personal(&order.email, "email", t!("e-mail address")))}
            {fact(t!("Gateway"), tell(gateway).to_owned())}
            {fact(t!("First seen"), view! { <Moment at=order.created_at/> })}
            {fact(t!("Last message"), view! { <Ago at=order.updated_at/> })}
        </dl>
    }
    .into_any()
}

/// Did each script get it? One sentence for each URL.
fn scripts(story: &Story) -> AnyView {
    if story.urls.is_empty() {
        return view! { <p class="muted">{t!("It went to no URL: when its messages came there was none whose triggers take them.")}</p> }.into_any();
    }
    let slug = &story.merchant.slug;
    let rows: Vec<_> = story.urls.iter().map(|url| script(slug, url)).collect();
    view! {
        <section aria-labelledby="scripts">
            <h2 id="scripts">{t!("Did the script get it?")}</h2>
            <ul class="panel scripts">{rows}</ul>
        </section>
    }
    .into_any()
}

fn script(slug: &str, standing: &UrlStanding) -> AnyView {
    let delivery = &standing.latest;
    let address = format!("/m/{slug}/deliveries/{}", delivery.id);
    view! {
        <li>
            <div class="script-head">
                <DeliveryBadge of=delivery/>
                <a href=address><bdi>{delivery.url_label.clone()}</bdi></a>
                {delivery.shadow.then(|| view! { <ShadowBadge/> })}
            </div>
            <p>{sentence(standing)}</p>
            <p class="url muted">{delivery.url.clone()}</p>
        </li>
    }
    .into_any()
}

/// Whether the script of a URL got the messages, in a sentence.
fn sentence(standing: &UrlStanding) -> AnyView {
    let delivery = &standing.latest;
    let tries = tn!("{count} try", "{count} tries", u64::from(delivery.attempts));
    let last = delivery.last_cause.map(|cause| t!(", the last with “{cause}”", cause = tell(cause.label()))).unwrap_or_default();
    let what = match (standing.messages, standing.is_current) {
        (1, true) => t!("the message"),
        (_, true) => t!("the latest message"),
        _ => t!("the last message that was sent there"),
    };
    let head = match delivery.state {
        DeliveryState::Confirmed => {
            let at = delivery.finished_at.unwrap_or(delivery.created_at);
            let time = view! { <Ago at/> };
            if delivery.attempts == 1 {
                rich!("Yes: it confirmed {message} at the first try, {time}.", time; message = what).into_any()
            } else {
                rich!("Yes: it confirmed {message} after {tries}, {time}.", time; message = what, tries).into_any()
            }
        }
        DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Retrying => {
            let due = match delivery.due_at {
                Some(due) if due > now() => view! { <Ago at=due/> }.into_any(),
                _ => t!("due, in the queue").into_any(),
            };
            if delivery.attempts == 0 {
                rich!("Not yet: {message} has not been tried. The first try is {due}.", due; message = what).into_any()
            } else {
                rich!("Not yet: {message} failed {tries}{last}. The next try is {due}.", due; message = what, tries, last)
                    .into_any()
            }
        }
        DeliveryState::Held => {
            let kept = t!("Not yet: {message} is kept back, because the URL is on hold.", message = what);
            if delivery.attempts == 0 {
                kept.into_any()
            } else {
                format!("{kept} {}", t!("{tries} failed before{last}.", tries, last)).into_any()
            }
        }
        DeliveryState::Expired => {
            t!("No: {message} was given up after {tries}{last}. Once the cause is cured, resend it.", message = what, tries, last)
                .into_any()
        }
        DeliveryState::Cancelled if delivery.failed_for_debug() => {
            t!("No: it did not confirm {message} when it was resent for debug{last}.", message = what, last).into_any()
        }
        DeliveryState::Cancelled => t!("No: {message} was cancelled before the script confirmed it.", message = what).into_any(),
    };
    let missing = standing.messages - standing.confirmed;
    let is_latest_missing = delivery.state != DeliveryState::Confirmed;
    let others = missing.saturating_sub(u32::from(is_latest_missing));
    let mut tail: Vec<String> = Vec::new();
    match (others, standing.messages - 1) {
        (0, _) => {}
        (1, 1) => tail.push(t!("The message before it is not confirmed.").to_owned()),
        (others, all) if others == all => tail.push(t!("None of the {all} messages before it is confirmed.", all)),
        (1, all) => tail.push(t!("Of the {all} messages before it one is not confirmed.", all)),
        (others, all) => tail.push(t!("Of the {all} messages before it {others} are not confirmed.", all, others)),
    }
    if !standing.is_current {
        tail.push(t!("It was not sent the order's latest message.").to_owned());
    }
    if standing.removed {
        tail.push(t!("The URL was removed from the settings.").to_owned());
    } else if standing.held && delivery.state != DeliveryState::Held {
        tail.push(t!("The URL is on hold now.").to_owned());
    }
    let tail: String = tail.into_iter().map(|sentence| format!(" {sentence}")).collect();
    view! { {head}{tail} }.into_any()
}

/// The two ways to read the story, and the way to a moment of it.
fn turns(story: &Story, at: &str) -> AnyView {
    let base = format!("/m/{}/orders/{}", story.merchant.slug, story.order.id);
    let newest = story.turn.newest_first;
    let is_long = story.more || story.turn.after.is_some();
    let current = |is: bool| is.then_some("true");
    view! {
        <nav class="turns" aria-label=t!("Order of the story")>
            <a class="button small" href=base.clone() aria-current=current(!newest)>{t!("Oldest first")}</a>
            <a class="button small" href=format!("{base}?order=newest") aria-current=current(newest)>{t!("Newest first")}</a>
            {is_long.then(|| view! {
                <form class="jump" method="get" action=base.clone()>
                    {newest.then(|| view! { <input type="hidden" name="order" value="newest"/> })}
                    <label for="at">{t!("Go to ({zone})", zone = zone().name())}</label>
                    <input id="at" name="at" type="datetime-local" value=at.to_owned()/>
                    <button class="button small">{t!("Go")}</button>
                </form>
            })}
        </nav>
    }
    .into_any()
}

fn pager(story: &Story) -> AnyView {
    let base = format!("/m/{}/orders/{}", story.merchant.slug, story.order.id);
    let order = if story.turn.newest_first { "order=newest&" } else { "" };
    let (first, next) =
        if story.turn.newest_first { (t!("To the newest"), t!("Earlier")) } else { (t!("To the beginning"), t!("Later")) };
    let last = story.entries.last().filter(|_| story.more).map(|entry| format!("{base}?{order}after={}", entry.place));
    let start = format!("{base}?{}", order.trim_end_matches('&')).trim_end_matches('?').to_owned();
    let is_inside = story.turn.after.is_some();
    (last.is_some() || is_inside)
        .then(|| {
            view! {
                <nav class="pager" aria-label=t!("Pages of the story")>
                    {is_inside.then(|| view! { <a class="button" href=start>{first}</a> })}
                    {last.map(|address| view! { <a class="button" rel="next" href=address>{next}<Icon name="next"/></a> })}
                </nav>
            }
        })
        .into_any()
}

/// Who asked for a delivery that did not come of itself.
pub fn asked_by(delivery: &DeliveryView) -> AnyView {
    asked(delivery).map(|what| view! { <span class="muted"><Icon name="retry"/>{what}</span> }).into_any()
}

/// The same in words.
pub fn asked(delivery: &DeliveryView) -> Option<String> {
    let what = match delivery.origin {
        Origin::Arrival => return None,
        Origin::Resend if delivery.elsewhere => t!("Resent to the address of then"),
        Origin::Debug if delivery.elsewhere => t!("Resent for debug to the address of then"),
        Origin::Resend => t!("Resent"),
        Origin::Debug => t!("Resent for debug"),
        Origin::Bulk => t!("Resent in bulk"),
    };
    Some(match delivery.actor.as_deref() {
        Some(actor) => t!("{done} by {actor}", done = what, actor),
        None => what.to_owned(),
    })
}

/// The next attempt, or how it ended.
pub fn when(delivery: &DeliveryView) -> AnyView {
    match (delivery.due_at, delivery.finished_at.or(delivery.last_attempt_at)) {
        (Some(due), _) if delivery.state.is_open() && due <= now() => t!("due, in the queue").into_any(),
        (Some(due), _) if delivery.state.is_open() => rich!("next {time}", time = view! { <Ago at=due/> }).into_any(),
        (_, Some(at)) => view! { <Ago at/> }.into_any(),
        _ => view! { <Ago at=delivery.created_at/> }.into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_opens_the_story_just_before_it() {
        let (place, mistake) = start(String::new(), "2026-03-01T12:00", false, &Zone::default());
        let place: Place = place.parse().unwrap();
        assert_eq!((place.at, mistake), (Timestamp(1_772_366_400_000_000 - 1), None));
        let (place, _) = start(String::new(), "2026-03-01T12:00", true, &Zone::default());
        assert_eq!(place.parse::<Place>().unwrap().at, Timestamp::from_seconds(1_772_366_460), "with all of that minute");
        assert_eq!(start("1.2.3.4".to_owned(), "2026-03-01T12:00", false, &Zone::default()).0, "1.2.3.4");
        let vietnam = Zone::parse("Asia/Ho_Chi_Minh").unwrap();
        assert_eq!(
            start(String::new(), "2026-03-01T19:00", false, &vietnam),
            start(String::new(), "2026-03-01T12:00", false, &Zone::default()),
            "as the page shows it"
        );
        assert!(start(String::new(), "yesterday", false, &Zone::default()).1.is_some());
        assert_eq!(start(String::new(), "", false, &Zone::default()), (String::new(), None));
    }
}
