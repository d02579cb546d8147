//! The page of an order: how it stands, whether each script got it, and its whole story.

use super::{any_flash, page, param, param_as, query, story::timeline, viewer_at};
use crate::{
    domain::{
        DeliveryState, Timestamp,
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
            Summary, TestBadge, Tone, fact, now,
        },
        format::{counted, money},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
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
        let (after, mistake) = start(after, &at, newest_first);
        let story = read_story(slug.clone(), id?, newest_first, after).await?;
        let title = format!("Order {}", story.order.reference);
        let crumbs = vec![("Orders & Reports".to_owned(), format!("/m/{slug}/orders"))];
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
                <Live subject=Subject::Order(slug, story.order.id)>{content(&story, &at, masked)}</Live>
            </Frame>
        }
        .into_any())
    })
}

/// Where the story is opened: behind a place, or at a moment that somebody entered; else at its end.
fn start(after: String, at: &str, newest_first: bool) -> (String, Option<&'static str>) {
    let at = at.trim();
    if !after.is_empty() || at.is_empty() {
        return (after, None);
    }
    match parse_moment(at) {
        Some(at) => {
            // The moment itself is meant to be part of it.
            let at = if newest_first { at.plus(std::time::Duration::from_secs(60)) } else { Timestamp(at.0 - 1) };
            (Place { at, kind: if newest_first { 0 } else { 99 }, id: 0, number: 0 }.to_string(), None)
        }
        None => (String::new(), Some("Enter the moment to go to as 2026-11-21T09:00, in UTC.")),
    }
}

fn content(story: &Story, at: &str, masked: Option<Masked>) -> AnyView {
    view! {
        {concern(story)}
        {facts(&story.order, &story.gateway, masked)}
        {scripts(story)}
        <section aria-labelledby="story" class="stack">
            <div class="story-head">
                <h2 id="story">"What happened"</h2>
                {turns(story, at)}
            </div>
            {story.attempts_removed.then(|| view! {
                <p class="muted">"Its attempts are not kept any more: they are older than exchanges are kept. How the deliveries ended stands above."</p>
            })}
            {if story.entries.is_empty() { nothing(story) } else { timeline(story) }}
            {pager(story)}
        </section>
    }
    .into_any()
}

fn nothing(story: &Story) -> AnyView {
    if story.turn.after.is_some() {
        return view! { <Empty title="Nothing happened there"><p>"The story has no entry behind this place."</p></Empty> }
            .into_any();
    }
    view! { <Empty title="Nothing of it is kept any more"><p>"The retention time of its notifications is over."</p></Empty> }
        .into_any()
}

fn concern(story: &Story) -> AnyView {
    let (slug, has_urls) = (story.merchant.slug.clone(), story.has_urls);
    match story.concern {
        None => ().into_any(),
        Some(Concern::PaidSentNowhere) => view! {
            <Notice tone=Tone::Warn title="Paid, and sent nowhere">
                <p>"No script was told of this order, because no notification URL was set up when its messages came."</p>
                {has_urls.then(|| view! { <p>"Resend a message below to the URLs of now."</p> })}
                {(!has_urls).then(|| view! { <p><a href=format!("/m/{slug}/settings/urls/new")>"Add a notification URL"</a>", then resend a message below."</p> })}
            </Notice>
        }
        .into_any(),
        Some(Concern::PaidUnconfirmed) => view! {
            <Notice tone=Tone::Bad title="Paid, and no script has confirmed it">
                <p>"The customer has paid; nothing shows that the shop knows. What stands in the way is told below, URL by URL."</p>
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
    let amount = order.amount.as_ref().map_or_else(|| "—".to_owned(), money);
    let status = view! {
        <span class="badges">
            <OrderBadge status=order.status vendor=order.vendor_status.clone()/>
            <TestBadge test=order.test/>
        </span>
    };
    view! {
        <dl class="facts panel">
            {fact("Status", status)}
            {fact("Amount", view! { <span class="amount">{amount}</span> })}
            {fact("Deliveries", view! { <Summary deliveries=order.deliveries/> })}
            {fact("Reference", copied(&order.reference, "reference"))}
            {fact("External reference", copied(&order.external, "external reference"))}
            {fact("Customer", personal(&order.customer, "customer", "customer's name"))}
            {fact("E-mail", personal(&order.email, "email", "e-mail address"))}
            {fact("Gateway", gateway.to_owned())}
            {fact("First seen", view! { <Moment at=order.created_at/> })}
            {fact("Last message", view! { <Ago at=order.updated_at/> })}
        </dl>
    }
    .into_any()
}

/// Did each script get it? One sentence for each URL.
fn scripts(story: &Story) -> AnyView {
    if story.urls.is_empty() {
        return view! { <p class="muted">"It went to no URL: when its messages came there was none whose triggers take them."</p> }.into_any();
    }
    let slug = &story.merchant.slug;
    let rows: Vec<_> = story.urls.iter().map(|url| script(slug, url)).collect();
    view! {
        <section aria-labelledby="scripts">
            <h2 id="scripts">"Did the script get it?"</h2>
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
                <DeliveryBadge state=delivery.state/>
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
    let tries = counted(u64::from(delivery.attempts), "try", "tries");
    let last = delivery.last_cause.map(|cause| format!(", the last with “{}”", cause.label())).unwrap_or_default();
    let what = match (standing.messages, standing.is_current) {
        (1, true) => "the message",
        (_, true) => "the latest message",
        _ => "the last message that was sent there",
    };
    let head = match delivery.state {
        DeliveryState::Confirmed => {
            let how = if delivery.attempts == 1 { "at the first try".to_owned() } else { format!("after {tries}") };
            let at = delivery.finished_at.unwrap_or(delivery.created_at);
            view! { {format!("Yes: it confirmed {what} {how}, ")}<Ago at/>"." }.into_any()
        }
        DeliveryState::Queued | DeliveryState::Sending | DeliveryState::Retrying => {
            let failed = if delivery.attempts == 0 {
                format!("Not yet: {what} has not been tried. The first try is ")
            } else {
                format!("Not yet: {what} failed {tries}{last}. The next try is ")
            };
            let due = match delivery.due_at {
                Some(due) if due > now() => view! { <Ago at=due/> }.into_any(),
                _ => view! { "due, in the queue" }.into_any(),
            };
            view! { {failed}{due}"." }.into_any()
        }
        DeliveryState::Held => {
            let tried = if delivery.attempts == 0 { String::new() } else { format!(" {tries} failed before{last}.") };
            view! { {format!("Not yet: {what} is kept back, because the URL is on hold.{tried}")} }.into_any()
        }
        DeliveryState::Expired => {
            view! { {format!("No: {what} was given up after {tries}{last}. Once the cause is cured, resend it.")} }.into_any()
        }
        DeliveryState::Cancelled if delivery.origin == Origin::Debug && delivery.attempts > 0 => {
            view! { {format!("No: it did not confirm {what} when it was resent for debug{last}.")} }.into_any()
        }
        DeliveryState::Cancelled => view! { {format!("No: {what} was cancelled before the script confirmed it.")} }.into_any(),
    };
    let missing = standing.messages - standing.confirmed;
    let is_latest_missing = delivery.state != DeliveryState::Confirmed;
    let others = missing.saturating_sub(u32::from(is_latest_missing));
    let mut tail = String::new();
    match (others, standing.messages - 1) {
        (0, _) => {}
        (1, 1) => tail.push_str(" The message before it is not confirmed."),
        (others, all) if others == all => tail.push_str(&format!(" None of the {all} messages before it is confirmed.")),
        (1, all) => tail.push_str(&format!(" Of the {all} messages before it one is not confirmed.")),
        (others, all) => tail.push_str(&format!(" Of the {all} messages before it {others} are not confirmed.")),
    }
    if !standing.is_current {
        tail.push_str(" It was not sent the order's latest message.");
    }
    if standing.removed {
        tail.push_str(" The URL was removed from the settings.");
    } else if standing.held && delivery.state != DeliveryState::Held {
        tail.push_str(" The URL is on hold now.");
    }
    view! { {head}{tail} }.into_any()
}

/// The two ways to read the story, and the way to a moment of it.
fn turns(story: &Story, at: &str) -> AnyView {
    let base = format!("/m/{}/orders/{}", story.merchant.slug, story.order.id);
    let newest = story.turn.newest_first;
    let is_long = story.more || story.turn.after.is_some();
    let current = |is: bool| is.then_some("true");
    view! {
        <nav class="turns" aria-label="Order of the story">
            <a class="button small" href=base.clone() aria-current=current(!newest)>"Oldest first"</a>
            <a class="button small" href=format!("{base}?order=newest") aria-current=current(newest)>"Newest first"</a>
            {is_long.then(|| view! {
                <form class="jump" method="get" action=base.clone()>
                    {newest.then(|| view! { <input type="hidden" name="order" value="newest"/> })}
                    <label for="at">"Go to (UTC)"</label>
                    <input id="at" name="at" type="datetime-local" value=at.to_owned()/>
                    <button class="button small">"Go"</button>
                </form>
            })}
        </nav>
    }
    .into_any()
}

fn pager(story: &Story) -> AnyView {
    let base = format!("/m/{}/orders/{}", story.merchant.slug, story.order.id);
    let order = if story.turn.newest_first { "order=newest&" } else { "" };
    let (first, next) = if story.turn.newest_first { ("To the newest", "Earlier") } else { ("To the beginning", "Later") };
    let last = story.entries.last().filter(|_| story.more).map(|entry| format!("{base}?{order}after={}", entry.place));
    let start = format!("{base}?{}", order.trim_end_matches('&')).trim_end_matches('?').to_owned();
    let is_inside = story.turn.after.is_some();
    (last.is_some() || is_inside)
        .then(|| {
            view! {
                <nav class="pager" aria-label="Pages of the story">
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
        Origin::Resend => "Resent",
        Origin::Debug => "Resent for debug",
        Origin::Bulk => "Resent in bulk",
    };
    Some(format!("{what}{}", delivery.actor.as_deref().map(|actor| format!(" by {actor}")).unwrap_or_default()))
}

/// The next attempt, or how it ended.
pub fn when(delivery: &DeliveryView) -> AnyView {
    match (delivery.due_at, delivery.finished_at.or(delivery.last_attempt_at)) {
        (Some(due), _) if delivery.state.is_open() && due <= now() => view! { "due, in the queue" }.into_any(),
        (Some(due), _) if delivery.state.is_open() => view! { "next "<Ago at=due/> }.into_any(),
        (_, Some(at)) => view! { <Ago at/> }.into_any(),
        _ => view! { <Ago at=delivery.created_at/> }.into_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_opens_the_story_just_before_it() {
        let (place, mistake) = start(String::new(), "2026-03-01T12:00", false);
        let place: Place = place.parse().unwrap();
        assert_eq!((place.at, mistake), (Timestamp(1_772_366_400_000_000 - 1), None));
        let (place, _) = start(String::new(), "2026-03-01T12:00", true);
        assert_eq!(place.parse::<Place>().unwrap().at, Timestamp::from_seconds(1_772_366_460), "with all of that minute");
        assert_eq!(start("1.2.3.4".to_owned(), "2026-03-01T12:00", false).0, "1.2.3.4");
        assert!(start(String::new(), "yesterday", false).1.is_some());
        assert_eq!(start(String::new(), "", false), (String::new(), None));
    }
}
