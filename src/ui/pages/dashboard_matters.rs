//! What needs somebody and is no failing delivery, each in a sentence with the way to do it.

use crate::{
    domain::{
        Cause,
        pages::{
            dashboard::{Matter, MerchantRef, UrlRef},
            deliveries::{DeliveryFilter, StateFilter},
            inbound::{InboundFilter, Outcome},
            via::Via,
        },
    },
    ui::components::{Ago, Icon, now},
    words::{reworded, rich, t, tell, tn},
};
use leptos::prelude::*;

/// The list; `may_set` where the reader may change what he is led to.
pub fn list(matters: &[Matter], shows_merchant: bool, may_set: bool) -> AnyView {
    let rows: Vec<_> = matters.iter().map(|matter| row(matter, shows_merchant, may_set)).collect();
    (!rows.is_empty()).then(|| view! { <ul class="matters">{rows}</ul> }).into_any()
}

/// Where a URL is set.
pub fn url_page(url: &UrlRef) -> String {
    if url.is_default {
        format!("/m/{}/settings/ipn", url.merchant.slug)
    } else {
        format!("/m/{}/settings/urls/{}", url.merchant.slug, url.id)
    }
}

fn row(matter: &Matter, shows_merchant: bool, may_set: bool) -> AnyView {
    let (icon, tone, merchant, sentence, address, action): (_, _, &MerchantRef, AnyView, String, &'static str) = match matter {
        Matter::Certificate { url, ends_at } => {
            let has_ended = *ends_at <= now();
            let label = view! { <strong>{url.label.clone()}</strong> };
            let time = view! { <Ago at=*ends_at/> };
            let sentence = if has_ended {
                rich!(
                    "The certificate of {url} ended {time}. Nothing can be delivered there: renew it on that server.",
                    url = label,
                    time
                )
            } else {
                rich!(
                    "The certificate of {url} ends {time}. Renew it on that server before then; afterwards nothing can be delivered there.",
                    url = label,
                    time
                )
            };
            (
                "shield",
                if has_ended { "bad" } else { "warn" },
                &url.merchant,
                sentence.into_any(),
                url_page(url),
                t!("Open the URL"),
            )
        }
        Matter::Held { url, hold, kept } => {
            let since = hold.since.map(|at| rich!(", since {time}", time = view! { <Ago at/> }));
            let why = hold.cause.map(|cause| match cause {
                Cause::Gone => t!(", because its server answered 410 Gone").to_owned(),
                other => t!(", because of: {cause}", cause = tell(other.label())),
            });
            let kept = tn!(
                "{count} delivery is kept back until it is released.",
                "{count} deliveries are kept back until it is released.",
                *kept
            );
            let filter = DeliveryFilter { state: Some(StateFilter::Held), url: Some(url.id), ..DeliveryFilter::default() };
            let address = format!("/m/{}/deliveries{}", url.merchant.slug, filter.query());
            let release = url_page(url);
            let sentence = rich!(
                "{url} is on hold{since}{why}. {kept} {release}",
                url = view! { <strong>{url.label.clone()}</strong> },
                since,
                release = view! { <a href=release>{if may_set { t!("Release it") } else { t!("Open the URL") }}</a> };
                why = why.unwrap_or_default(),
                kept
            );
            ("pause", "quiet", &url.merchant, sentence.into_any(), address, t!("Show them"))
        }
        Matter::Refusing { merchant, listener, label, reason, count, before } => {
            let filter = InboundFilter {
                outcome: Some(Outcome::Refused),
                via: Some(Via::Listener(*listener)),
                ..InboundFilter::default()
            };
            let address = format!("/m/{}/inbound{}", merchant.slug, filter.query());
            let messages = tn!("{count} message", "{count} messages", *count);
            let before = if *before > 0 {
                t!(", after {count} the day before", count = crate::ui::format::count(*before))
            } else {
                String::new()
            };
            let sentence = rich!(
                "{listener} refused {messages} in the last 24 hours{before}. Mostly: {reason}. {cure}",
                listener = view! { <strong>{label.clone()}</strong> };
                messages,
                before,
                reason = tell(reason.label()),
                cure = tell(reason.cure())
            );
            ("alert", "warn", merchant, sentence.into_any(), address, t!("Show them"))
        }
        Matter::Unconfirmed { merchant, listener, label, count, since, note } => {
            let filter = InboundFilter {
                outcome: Some(Outcome::Verifying),
                via: Some(Via::Listener(*listener)),
                ..InboundFilter::default()
            };
            let address = format!("/m/{}/inbound{}", merchant.slug, filter.query());
            let waiting = tn!("{count} message waits", "{count} messages wait", *count);
            let sentence = rich!(
                "{waiting} at {listener} for the gateway's word since {time}. Nothing of it is delivered before. {note}",
                listener = view! { <strong>{label.clone()}</strong> },
                time = view! { <Ago at=*since/> },
                note = view! { <bdi>{reworded(note)}</bdi> };
                waiting
            );
            ("clock", "warn", merchant, sentence.into_any(), address, t!("Show them"))
        }
        Matter::NoDefaultUrl { merchant, has_urls } => {
            let sentence = if *has_urls {
                t!("There is no default URL: notifications go to the further URLs only.")
            } else {
                t!("There is no notification URL: what comes in is kept, and goes nowhere.")
            };
            ("send", "warn", merchant, sentence.into_any(), format!("/m/{}/settings/ipn", merchant.slug), t!("Set it"))
        }
        Matter::Silent { merchant, listener, label } => {
            let sentence = rich!(
                "Nothing has come in at {listener} yet. Its address must be entered in the gateway's IPN settings.",
                listener = view! { <strong>{label.clone()}</strong> }
            );
            (
                "inbox",
                "calm",
                merchant,
                sentence.into_any(),
                format!("/m/{}/listeners/{listener}", merchant.slug),
                t!("Show the address"),
            )
        }
    };
    let shown =
        shows_merchant.then(|| view! { <a class="muted" href=format!("/m/{}", merchant.slug)>{merchant.name.clone()}</a>": " });
    view! {
        <li class=format!("matter {tone}")>
            <Icon name=icon/>
            <p>{shown}{sentence}</p>
            <a class="button small" href=address>{action}</a>
        </li>
    }
    .into_any()
}
