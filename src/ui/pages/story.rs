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
        format::{bytes, money, span},
    },
    words::{reworded, rich, t, tell, tn},
};
use leptos::prelude::*;
use std::time::Duration;

/// The entries of a page, in the order asked for.
pub fn timeline(story: &Story) -> AnyView {
    let mut items = Vec::new();
    // The page goes on where another ended: a gap between the two belongs to this one.
    let mut before = story.turn.after.filter(|place| place.kind <= Happening::MAILED).map(|place| place.at);
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
    (span >= GAP).then(|| view! { <li class="gap"><span>{t!("Nothing for {span}", span = long(span))}</span></li> })
}

/// `6 h`, `7 h 20 min`, `3 d 4 h`
fn long(span: Duration) -> String {
    let minutes = span.as_secs() / 60;
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours, rest) {
        (0, hours, 0) => t!("{hours} h", hours),
        (0, hours, rest) => t!("{hours} h {rest} min", hours, rest),
        (days, 0, _) => t!("{days} d", days),
        (days, hours, _) => t!("{days} d {hours} h", days, hours),
    }
}

/// What comes next, at the newest end.
fn outlook(story: &Story) -> AnyView {
    let mut items = Vec::new();
    for url in &story.urls {
        let delivery = &url.latest;
        let label = view! { <bdi>{delivery.url_label.clone()}</bdi> };
        let number = delivery.attempts + 1;
        let what = match (delivery.state, delivery.due_at) {
            (DeliveryState::Held, _) => rich!("Kept back from {url} until the URL is released", url = label).into_any(),
            (state, Some(due)) if state.is_open() && due > now() => {
                rich!("Attempt {number} to {url} is due {time}", url = label, time = view! { <Ago at=due/> }; number).into_any()
            }
            (state, _) if state.is_open() => rich!("Attempt {number} to {url} is due now", url = label; number).into_any(),
            _ => continue,
        };
        items.push(view! { <li class="event quiet next"><Icon name="clock"/><div class="event-body"><p class="event-title">{rich!("Next: {what}", what)}</p></div></li> });
    }
    items.into_any()
}

fn event(story: &Story, entry: &Entry) -> AnyView {
    let slug = &story.merchant.slug;
    let (tone, icon, id, body) = match &entry.what {
        Happening::Refused { id, reason, detail, peer } => {
            let address = format!("/m/{slug}/refused/{id}");
            let detail = reworded(detail);
            let body = view! {
                <p class="event-title">{rich!("A message that names this order was refused: {reason}", reason = view! { <a href=address>{tell(reason.label())}</a> })}</p>
                <p>{tell(reason.sentence())}" "<bdi>{detail}</bdi></p>
                <p class="muted">{t!("From {peer}. Nobody has proved that the gateway sent it.", peer = reworded(peer))}</p>
            };
            ("bad", "shield", format!("refused-{id}"), body.into_any())
        }
        Happening::Verifying { id, peer, asked } => {
            let asked = match u64::from(*asked) {
                0 => String::new(),
                times => format!(" {}", tn!("It was asked {count} time so far.", "It was asked {count} times so far.", times)),
            };
            let body = view! {
                <p class="event-title">{rich!("A message that names this order is {link}", link = view! { <a href=format!("/m/{slug}/verifying/{id}")>{t!("being verified")}</a> })}</p>
                <p>{t!("It is acknowledged, and {gateway} is asked whether it is true. Until then it changes nothing.{asked}", gateway = story.gateway, asked)}</p>
                <p class="muted">{t!("From {peer}. Nobody has proved yet that the gateway sent it.", peer = reworded(peer))}</p>
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
                <p class="event-title">{tn!("The same message came {count} time more; this was the last", "The same message came {count} times more; this was the last", u64::from(*times))}</p>
                <p class="muted">
                    {rich!(
                        "{message}: counted, acknowledged again, and not sent on a second time.",
                        message = view! { <a href=format!("#notification-{notification}")><span class="code">{vendor_status.clone()}</span></a> }
                    )}
                </p>
            };
            ("quiet", "inbox", format!("repeated-{notification}"), body.into_any())
        }
        Happening::Ended(delivery) => {
            let (tone, icon) = if delivery.state == DeliveryState::Expired && !delivery.put_right {
                ("bad", "alert")
            } else {
                ("quiet", "cross")
            };
            (tone, icon, format!("ended-{}", delivery.id), ended(slug, delivery))
        }
        Happening::UrlChanged { actor, action, url, detail } => {
            ("quiet", "gear", format!("change-{}", entry.place.id), changed(actor, action, url, detail))
        }
        Happening::Mailed { status, recipient, state, cause, note } => {
            let (tone, icon, words) = match state {
                MailState::Waiting => ("calm", "clock", t!("A mail to the customer waits")),
                MailState::Sent => ("good", "send", t!("The customer was mailed")),
                MailState::Failed => ("bad", "alert", t!("The customer was not mailed")),
            };
            let about = format!("{words}: {}", tell(status.label()));
            let to = (!recipient.is_empty()).then(
                || view! { <p class="muted">{rich!("To {recipient}", recipient = view! { <bdi>{recipient.clone()}</bdi> })}</p> },
            );
            let note = note.clone();
            let why = cause.map(|cause| view! { <p>{tell(cause.label())}". "<bdi>{note}</bdi>" "{tell(cause.cure())}</p> });
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
        Some((id, label)) => rich!(
            "Verified; by {listener} from {peer}",
            listener = view! { <a href=format!("/m/{slug}/listeners/{id}")><bdi>{label.clone()}</bdi></a> };
            peer = reworded(&notification.peer)
        )
        .into_any(),
        None => t!("Placed here as a TEST order").into_any(),
    };
    // Other gateways' signatures are proved at the listener, which says how.
    let (size, algorithms) = (bytes(notification.size), notification.signatures.labels());
    let signed = if algorithms.is_empty() { size } else { t!("{size}, signed with {algorithms}", size, algorithms) };
    let deliveries: Vec<_> = notification.deliveries.iter().map(|delivery| sent_on(&slug, delivery)).collect();
    let is_sent = !deliveries.is_empty();
    let may_resend = story.may_resend && story.has_urls;
    let id = notification.id;
    view! {
        <p class="event-title">
            {t!("IPN received")}" "
            <OrderBadge status=notification.status vendor=notification.vendor_status.clone()/>" "
            <span class="code">{notification.vendor_status.clone()}</span>
            <TestBadge test=notification.test/>
            {notification.amount.as_ref().map(|amount| view! { " "<span class="nowrap">{money(amount)}</span> })}
        </p>
        <p>{turned(notification.status, before, is_counted)}</p>
        {out_of_sequence(notification.status, before, is_counted).map(|what| view! { <p class="flag"><Icon name="alert"/>{what}</p> })}
        <p class="muted">{source}" · "{signed}" · "<a href=format!("/m/{slug}/notifications/{id}")>{t!("as received")}</a></p>
        {if is_sent {
            view! { <ul class="sent-on" aria-label=t!("Sent on to")>{deliveries}</ul> }.into_any()
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
        None => t!("The first message of this order; status {status}.", status = tell(status.label())),
        Some(before) if !counted => {
            t!(
                "It came late: it tells of an earlier moment than a message before it. The status stayed {status}.",
                status = tell(before.label())
            )
        }
        Some(before) if before == status => t!("The status stayed {status}.", status = tell(status.label())),
        Some(before) => t!("Status {before} → {status}.", before = tell(before.label()), status = tell(status.label())),
    }
}

/// A status that does not follow from the one before.
fn out_of_sequence(status: OrderStatus, before: Option<OrderStatus>, counted: bool) -> Option<String> {
    use OrderStatus::{Authorized, Cancelled, Created, Failed, Paid, PartiallyRefunded, Pending, Refunded, Reversed};
    let needs_payment = matches!(status, PartiallyRefunded | Refunded);
    match before {
        None if needs_payment || status == Reversed => {
            Some(t!("Out of sequence: no message of the payment came before this one.").to_owned())
        }
        Some(before @ (Created | Pending | Authorized | Cancelled | Failed)) if counted && needs_payment => Some(t!(
            "Out of sequence: money went back from {before}, and no message said that it was paid.",
            before = tell(before.label())
        )),
        Some(before @ (Paid | PartiallyRefunded | Refunded | Reversed))
            if counted && matches!(status, Created | Pending | Authorized) =>
        {
            Some(t!(
                "Out of sequence: from {before} back to {status}.",
                before = tell(before.label()),
                status = tell(status.label())
            ))
        }
        _ => None,
    }
}

fn sent_on(slug: &str, delivery: &DeliveryView) -> impl IntoView + use<> {
    let tries = (delivery.attempts > 1).then(|| {
        let count = u64::from(delivery.attempts);
        format!(" {}", tn!("after {count} attempt", "after {count} attempts", count))
    });
    view! {
        <li>
            "→ "<a href=format!("/m/{slug}/deliveries/{}", delivery.id)><bdi>{delivery.url_label.clone()}</bdi></a>" "
            <DeliveryBadge of=delivery/>
            {tries}
            {delivery.shadow.then(|| view! { <ShadowBadge/> })}
        </li>
    }
}

fn resent(slug: &str, delivery: &DeliveryView) -> AnyView {
    view! {
        <p class="event-title">
            {rich!(
                "{resent} to {url}",
                resent = view! { <bdi>{asked(delivery)}</bdi> },
                url = view! { <a href=format!("/m/{slug}/deliveries/{}", delivery.id)><bdi>{delivery.url_label.clone()}</bdi></a> }
            )}" "
            <DeliveryBadge of=delivery/>
        </p>
        <p class="muted"><a href=format!("/m/{slug}/notifications/{}", delivery.notification_id)>{t!("The notification")}</a>" · "<span class="url">{delivery.url.clone()}</span></p>
    }
    .into_any()
}

fn attempted(slug: &str, delivery: &DeliveryView, attempt: &AttemptRow) -> AnyView {
    let address = format!("/m/{slug}/deliveries/{}/{}", delivery.id, attempt.number);
    let number = attempt.number;
    let name =
        if delivery.origin == Origin::Debug { t!("Attempt {number} for debug", number) } else { t!("Attempt {number}", number) };
    let verdict = attempt.cause.map_or(t!("confirmed"), |cause| tell(cause.label()));
    let status = attempt.status.map_or_else(|| t!("No answer").to_owned(), |status| t!("Status {status}", status));
    view! {
        <p class="event-title">
            {rich!(
                "{attempt} to {url}:",
                attempt = view! { <a href=address>{name}</a> },
                url = view! { <bdi>{delivery.url_label.clone()}</bdi> }
            )}" "
            <span class="verdict">{verdict}</span>
            {delivery.shadow.then(|| view! { <ShadowBadge/> })}
        </p>
        <p class="muted">{t!("{status} after {span}{mostly}", status, span = span(attempt.timings.total), mostly = mostly(attempt.timings))}</p>
    }
    .into_any()
}

/// The phase that took most of the time, where one did.
fn mostly(timings: Timings) -> String {
    let phases = [
        (t!("looking up the name"), timings.resolve),
        (t!("connecting"), timings.connect),
        (t!("the TLS handshake"), timings.tls),
        (t!("waiting for the answer"), timings.wait),
        (t!("reading the answer"), timings.read),
    ];
    let longest = phases.into_iter().filter_map(|(name, micros)| Some((micros?, name))).max();
    match longest {
        Some((micros, name)) if micros >= timings.total / 20 * 19 && micros > 0 => t!(", nearly all of it {phase}", phase = name),
        Some((micros, name)) if micros >= timings.total / 2 && micros > 0 => {
            t!(", {span} of it {phase}", span = span(micros), phase = name)
        }
        _ => String::new(),
    }
}

fn ended(slug: &str, delivery: &DeliveryView) -> AnyView {
    let what = match delivery.state {
        DeliveryState::Expired => {
            tn!("Given up after {count} attempt", "Given up after {count} attempts", u64::from(delivery.attempts))
        }
        _ => match &delivery.cancelled_by {
            Some(actor) => t!("Cancelled by {actor} with a list", actor),
            None => t!("Cancelled").to_owned(),
        },
    };
    let why = match (delivery.state, delivery.last_cause) {
        (DeliveryState::Expired, _) if delivery.put_right => {
            t!("It was resent later, and the script confirmed it then. Nothing is left to do.").to_owned()
        }
        (DeliveryState::Expired, Some(cause)) => {
            t!("The schedule of the URL is used up; the last attempt: {cause}.", cause = tell(cause.label()))
        }
        (DeliveryState::Expired, None) => t!("The schedule of the URL is used up.").to_owned(),
        _ if delivery.cancelled_by.is_some() => {
            t!("Its script is not told any more. It can be resent, as every delivery.").to_owned()
        }
        _ => t!("It was open when its URL was removed, or when its bulk resend was cancelled.").to_owned(),
    };
    view! {
        <p class="event-title">{what}": "<a href=format!("/m/{slug}/deliveries/{}", delivery.id)>{rich!("delivery to {url}", url = view! { <bdi>{delivery.url_label.clone()}</bdi> })}</a></p>
        <p class="muted">{why}</p>
    }
    .into_any()
}

/// How what the server does by itself is signed in the audit log.
const ITSELF: &str = "quittance";

fn changed(actor: &str, action: &str, url: &str, detail: &str) -> AnyView {
    let what = match action {
        "url.hold" if actor == ITSELF => t!("The server put a URL on hold"),
        "url.hold" => t!("A URL was put on hold"),
        "url.release" => t!("A URL was released"),
        "url.remove" => t!("A URL was removed"),
        _ => t!("The settings of a URL were changed"),
    };
    let by = if actor == ITSELF { String::new() } else { format!(" {}", t!("by {actor}", actor)) };
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
