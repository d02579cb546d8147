//! The timeline of an order: one entry for each thing that happened, with the gaps between them named.

use super::{order::asked, resend::ResendLink};
use crate::{
    domain::{
        DeliveryState, OrderStatus, Timestamp,
        attempt::{Origin, Timings},
        mail::MailState,
        pages::{
            orders::{AttemptRow, DeliveryView, NotificationView},
            story::{Entry, GAP, Happening, StoryPage as Story},
        },
    },
    ui::{
        components::{Ago, DeliveryBadge, Icon, Moment, OrderBadge, ShadowBadge, TestBadge, WentNowhere, now},
        format::{bytes, counted, span},
    },
};
use leptos::prelude::*;
use std::time::Duration;

/// The entries of a page, in the order asked for.
pub fn timeline(story: &Story) -> AnyView {
    let mut items = Vec::new();
    // The page goes on where another ended: a gap between the two belongs to this one.
    let mut before = story.turn.after.filter(|place| place.kind <= Happening::URL_CHANGED).map(|place| place.at);
    if story.turn.newest_first && story.has_end() {
        items.push(outlook(story));
    }
    for entry in &story.entries {
        items.push(before.and_then(|before| gap(before, entry.place.at)).into_any());
        before = Some(entry.place.at);
        items.push(event(story, entry));
    }
    if !story.turn.newest_first && story.has_end() {
        items.push(outlook(story));
    }
    view! { <ol class="story panel">{items}</ol> }.into_any()
}

/// A long time without anything.
fn gap(one: Timestamp, other: Timestamp) -> Option<impl IntoView> {
    let span = one.max(other).since(one.min(other));
    (span >= GAP).then(|| view! { <li class="gap"><span>{format!("Nothing for {}", long(span))}</span></li> })
}

/// `6 h`, `7 h 20 min`, `3 d 4 h`
fn long(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours, rest) {
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, rest) => format!("{hours} h {rest} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// What comes next, at the newest end.
fn outlook(story: &Story) -> AnyView {
    let mut items = Vec::new();
    for url in &story.urls {
        let delivery = &url.latest;
        let label = delivery.url_label.clone();
        let what = match (delivery.state, delivery.due_at) {
            (DeliveryState::Held, _) => view! { "Kept back from "<bdi>{label}</bdi>" until the URL is released" }.into_any(),
            (state, Some(due)) if state.is_open() && due > now() => {
                view! { {format!("Attempt {} to ", delivery.attempts + 1)}<bdi>{label}</bdi>" is due "<Ago at=due/> }.into_any()
            }
            (state, _) if state.is_open() => {
                view! { {format!("Attempt {} to ", delivery.attempts + 1)}<bdi>{label}</bdi>" is due now" }.into_any()
            }
            _ => continue,
        };
        items.push(view! { <li class="event quiet next"><Icon name="clock"/><div class="event-body"><p class="event-title">"Next: "{what}</p></div></li> });
    }
    items.into_any()
}

fn event(story: &Story, entry: &Entry) -> AnyView {
    let slug = &story.merchant.slug;
    let (tone, icon, id, body) = match &entry.what {
        Happening::Refused { id, reason, detail, peer } => {
            let address = format!("/m/{slug}/refused/{id}");
            let detail = detail.clone();
            let body = view! {
                <p class="event-title">"A message that names this order was refused: "<a href=address>{reason.label()}</a></p>
                <p>{reason.sentence()}" "<bdi>{detail}</bdi></p>
                <p class="muted">{format!("From {peer}. Nobody has proved that the gateway sent it.")}</p>
            };
            ("bad", "shield", format!("refused-{id}"), body.into_any())
        }
        Happening::Verifying { id, peer, asked } => {
            let times = counted(u64::from(*asked), "time", "times");
            let asked = if *asked == 0 { String::new() } else { format!(" It was asked {times} so far.") };
            let body = view! {
                <p class="event-title">"A message that names this order is "<a href=format!("/m/{slug}/verifying/{id}")>"being verified"</a></p>
                <p>{format!("It is acknowledged, and {} is asked whether it is true. Until then it changes nothing.{asked}", story.gateway)}</p>
                <p class="muted">{format!("From {peer}. Nobody has proved yet that the gateway sent it.")}</p>
            };
            ("calm", "clock", format!("verifying-{id}"), body.into_any())
        }
        Happening::Received { notification, before, counted } => {
            let tone = if *counted { "calm" } else { "warn" };
            (tone, "inbox", format!("notification-{}", notification.id), received(story, notification, *before, *counted))
        }
        Happening::Resent(delivery) => ("calm", "send", format!("delivery-{}", delivery.id), resent(slug, delivery)),
        Happening::Attempted { delivery, attempt } => {
            let (tone, icon) = if attempt.cause.is_none() { ("good", "check") } else { ("bad", "alert") };
            (tone, icon, format!("attempt-{}-{}", delivery.id, attempt.number), attempted(slug, delivery, attempt))
        }
        Happening::Repeated { notification, vendor_status, times } => {
            let body = view! {
                <p class="event-title">{format!("The same message came {} more, the last time now", counted(u64::from(*times), "time", "times"))}</p>
                <p class="muted">
                    <a href=format!("#notification-{notification}")><span class="code">{vendor_status.clone()}</span></a>
                    ": counted, acknowledged again, and not sent on a second time."
                </p>
            };
            ("quiet", "inbox", format!("repeated-{notification}"), body.into_any())
        }
        Happening::Ended(delivery) => {
            let (tone, icon) = if delivery.state == DeliveryState::Expired { ("bad", "alert") } else { ("quiet", "cross") };
            (tone, icon, format!("ended-{}", delivery.id), ended(slug, delivery))
        }
        Happening::UrlChanged { actor, action, url, detail } => {
            ("quiet", "gear", format!("change-{}", entry.place.id), changed(actor, action, url, detail))
        }
        Happening::Mailed { status, recipient, state, cause, note } => {
            let (tone, icon, words) = match state {
                MailState::Waiting => ("calm", "clock", "A mail to the customer waits"),
                MailState::Sent => ("good", "send", "The customer was mailed"),
                MailState::Failed => ("bad", "alert", "The customer was not mailed"),
            };
            let about = format!("{words}: {}", status.label());
            let to = (!recipient.is_empty()).then(|| view! { <p class="muted">"To "<bdi>{recipient.clone()}</bdi></p> });
            let note = note.clone();
            let why = cause.map(|cause| view! { <p>{cause.label()}". "<bdi>{note}</bdi>" "{cause.cure()}</p> });
            let body = view! { <p class="event-title">{about}</p>{to}{why} };
            (tone, icon, format!("mail-{}", entry.place.id), body.into_any())
        }
    };
    view! {
        <li class=format!("event {tone}") id=id>
            <Icon name=icon/>
            <div class="event-body">{body}</div>
            <p class="event-time"><Moment at=entry.place.at/></p>
        </li>
    }
    .into_any()
}

fn received(story: &Story, notification: &NotificationView, before: Option<OrderStatus>, is_counted: bool) -> AnyView {
    let slug = story.merchant.slug.clone();
    let source = match &notification.listener {
        Some((id, label)) => {
            let peer = format!(" from {}", notification.peer);
            view! { "Verified; by "<a href=format!("/m/{slug}/listeners/{id}")><bdi>{label.clone()}</bdi></a>{peer} }.into_any()
        }
        None => view! { "Placed here as a TEST order" }.into_any(),
    };
    let signed = format!("{}, signed with {} · ", bytes(notification.size), notification.signatures.labels());
    let deliveries: Vec<_> = notification.deliveries.iter().map(|delivery| sent_on(&slug, delivery)).collect();
    let is_sent = !deliveries.is_empty();
    let may_resend = story.may_resend && story.has_urls;
    let id = notification.id;
    view! {
        <p class="event-title">
            "IPN received "
            <OrderBadge status=notification.status vendor=notification.vendor_status.clone()/>" "
            <span class="code">{notification.vendor_status.clone()}</span>
            <TestBadge test=notification.test/>
        </p>
        <p>{turned(notification.status, before, is_counted)}</p>
        {out_of_sequence(notification.status, before, is_counted).map(|what| view! { <p class="flag"><Icon name="alert"/>{what}</p> })}
        <p class="muted">{source}" · "{signed}<a href=format!("/m/{slug}/notifications/{id}")>"as received"</a></p>
        {if is_sent {
            view! { <ul class="sent-on" aria-label="Sent on to">{deliveries}</ul> }.into_any()
        } else {
            view! { <WentNowhere vendor_status=notification.vendor_status.clone()/> }.into_any()
        }}
        {may_resend.then(|| view! { <div class="row-actions"><ResendLink slug notification=id/></div> })}
    }
    .into_any()
}

/// What a message did to the order's status.
fn turned(status: OrderStatus, before: Option<OrderStatus>, counted: bool) -> String {
    match before {
        None => format!("The first message of this order; status {}.", status.label()),
        Some(before) if !counted => {
            format!("It came late: it tells of an earlier moment than a message before it. The status stayed {}.", before.label())
        }
        Some(before) if before == status => format!("The status stayed {}.", status.label()),
        Some(before) => format!("Status {} → {}.", before.label(), status.label()),
    }
}

/// A status that does not follow from the one before.
fn out_of_sequence(status: OrderStatus, before: Option<OrderStatus>, counted: bool) -> Option<String> {
    use OrderStatus::{Authorized, Cancelled, Created, Failed, Paid, PartiallyRefunded, Pending, Refunded, Reversed};
    let needs_payment = matches!(status, PartiallyRefunded | Refunded);
    match before {
        None if needs_payment || status == Reversed => {
            Some("Out of sequence: no message of the payment came before this one.".to_owned())
        }
        Some(before @ (Created | Pending | Authorized | Cancelled | Failed)) if counted && needs_payment => {
            Some(format!("Out of sequence: money went back from {}, and no message said that it was paid.", before.label()))
        }
        Some(before @ (Paid | PartiallyRefunded | Refunded | Reversed))
            if counted && matches!(status, Created | Pending | Authorized) =>
        {
            Some(format!("Out of sequence: from {} back to {}.", before.label(), status.label()))
        }
        _ => None,
    }
}

fn sent_on(slug: &str, delivery: &DeliveryView) -> impl IntoView + use<> {
    let tries = (delivery.attempts > 1).then(|| format!(" after {} attempts", delivery.attempts));
    view! {
        <li>
            "→ "<a href=format!("/m/{slug}/deliveries/{}", delivery.id)><bdi>{delivery.url_label.clone()}</bdi></a>" "
            <DeliveryBadge state=delivery.state/>
            {tries}
            {delivery.shadow.then(|| view! { <ShadowBadge/> })}
        </li>
    }
}

fn resent(slug: &str, delivery: &DeliveryView) -> AnyView {
    view! {
        <p class="event-title">
            <bdi>{asked(delivery)}</bdi>" to "<a href=format!("/m/{slug}/deliveries/{}", delivery.id)><bdi>{delivery.url_label.clone()}</bdi></a>" "
            <DeliveryBadge state=delivery.state/>
        </p>
        <p class="muted"><a href=format!("/m/{slug}/notifications/{}", delivery.notification_id)>"The notification"</a>" · "<span class="url">{delivery.url.clone()}</span></p>
    }
    .into_any()
}

fn attempted(slug: &str, delivery: &DeliveryView, attempt: &AttemptRow) -> AnyView {
    let address = format!("/m/{slug}/deliveries/{}/{}", delivery.id, attempt.number);
    let debug = if delivery.origin == Origin::Debug { " for debug" } else { "" };
    let verdict = attempt.cause.map_or("confirmed by a read receipt", |cause| cause.label());
    let status = attempt.status.map_or_else(|| "No answer".to_owned(), |status| format!("Status {status}"));
    view! {
        <p class="event-title">
            <a href=address>{format!("Attempt {}{debug}", attempt.number)}</a>" to "<bdi>{delivery.url_label.clone()}</bdi>": "
            <span class="verdict">{verdict}</span>
            {delivery.shadow.then(|| view! { <ShadowBadge/> })}
        </p>
        <p class="muted">{format!("{status} after {}{}", span(attempt.timings.total), mostly(attempt.timings))}</p>
    }
    .into_any()
}

/// The phase that took most of the time, where one did.
fn mostly(timings: Timings) -> String {
    let phases = [
        ("looking up the name", timings.resolve),
        ("connecting", timings.connect),
        ("the TLS handshake", timings.tls),
        ("waiting for the answer", timings.wait),
        ("reading the answer", timings.read),
    ];
    let longest = phases.into_iter().filter_map(|(name, micros)| Some((micros?, name))).max();
    match longest {
        Some((micros, name)) if micros >= timings.total / 20 * 19 && micros > 0 => format!(", nearly all of it {name}"),
        Some((micros, name)) if micros >= timings.total / 2 && micros > 0 => format!(", {} of it {name}", span(micros)),
        _ => String::new(),
    }
}

fn ended(slug: &str, delivery: &DeliveryView) -> AnyView {
    let what = match delivery.state {
        DeliveryState::Expired => format!("Given up after {}", counted(u64::from(delivery.attempts), "attempt", "attempts")),
        _ => "Cancelled".to_owned(),
    };
    let why = match (delivery.state, delivery.last_cause) {
        (DeliveryState::Expired, Some(cause)) => {
            format!("The schedule of the URL is used up; the last attempt: {}.", cause.label())
        }
        (DeliveryState::Expired, None) => "The schedule of the URL is used up.".to_owned(),
        _ => "It was open when its URL was removed, or when its bulk resend was cancelled.".to_owned(),
    };
    view! {
        <p class="event-title">{what}": "<a href=format!("/m/{slug}/deliveries/{}", delivery.id)>"delivery to "<bdi>{delivery.url_label.clone()}</bdi></a></p>
        <p class="muted">{why}</p>
    }
    .into_any()
}

/// How what the server does by itself is signed in the audit log.
const ITSELF: &str = "quittance";

fn changed(actor: &str, action: &str, url: &str, detail: &str) -> AnyView {
    let what = match action {
        "url.hold" if actor == ITSELF => "The server put a URL on hold",
        "url.hold" => "A URL was put on hold",
        "url.release" => "A URL was released",
        "url.remove" => "A URL was removed",
        _ => "The settings of a URL were changed",
    };
    let by = if actor == ITSELF { String::new() } else { format!(" by {actor}") };
    let detail = detail.to_owned();
    view! {
        <p class="event-title">{what}<bdi>{by}</bdi></p>
        <p class="muted"><span class="url">{url.to_owned()}</span>{(!detail.is_empty()).then(|| view! { " · "<bdi>{detail}</bdi> })}</p>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_by_their_length() {
        let hours = |hours: u64, minutes: u64| long(Duration::from_secs(hours * 3_600 + minutes * 60));
        assert_eq!([hours(6, 0), hours(7, 20), hours(24, 5), hours(76, 0)], ["6 h", "7 h 20 min", "1 d", "3 d 4 h"]);
        let at = Timestamp::from_seconds;
        assert!(gap(at(0), at(6 * 3_600 - 1)).is_none());
        assert!(gap(at(0), at(6 * 3_600)).is_some() && gap(at(6 * 3_600), at(0)).is_some(), "whichever way it is read");
    }

    #[test]
    fn what_a_message_did_to_the_status_is_told() {
        use OrderStatus::{Paid, Pending, Refunded};
        assert_eq!(turned(Paid, Some(Pending), true), "Status Pending → Paid.");
        assert_eq!(turned(Paid, Some(Paid), true), "The status stayed Paid.");
        assert!(turned(Pending, Some(Paid), false).starts_with("It came late"));
        assert!(turned(Paid, None, true).contains("first message"));
        assert!(out_of_sequence(Refunded, None, true).is_some());
        assert!(out_of_sequence(Refunded, Some(Pending), true).is_some());
        assert!(out_of_sequence(Pending, Some(Paid), true).unwrap().contains("from Paid back to Pending"));
        assert_eq!(out_of_sequence(Pending, Some(Paid), false), None, "a late message changed nothing");
        assert_eq!(out_of_sequence(Refunded, Some(Paid), true), None);
        assert_eq!(out_of_sequence(Paid, Some(Pending), true), None);
    }

    #[test]
    fn the_longest_phase_is_named_where_it_is_most_of_all() {
        let timings = Timings { connect: Some(1_000), wait: Some(30_000), total: 40_000, ..Timings::default() };
        assert_eq!(mostly(timings), ", 30 ms of it waiting for the answer");
        assert_eq!(mostly(Timings { total: 100_000, ..timings }), "");
        assert_eq!(mostly(Timings { total: 30_500, ..timings }), ", nearly all of it waiting for the answer");
        assert_eq!(mostly(Timings::default()), "");
    }
}
