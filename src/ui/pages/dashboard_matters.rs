//! What needs somebody and is no failing delivery, each in a sentence with the way to do it.

use crate::{
    domain::{
        Cause,
        pages::{
            dashboard::{Matter, MerchantRef, UrlRef},
            deliveries::{DeliveryFilter, StateFilter},
            inbound::{InboundFilter, Outcome},
        },
    },
    ui::{
        components::{Ago, Icon, now},
        format::counted,
    },
};
use leptos::prelude::*;

/// The list.
pub fn list(matters: &[Matter], shows_merchant: bool) -> AnyView {
    let rows: Vec<_> = matters.iter().map(|matter| row(matter, shows_merchant)).collect();
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

fn row(matter: &Matter, shows_merchant: bool) -> AnyView {
    let (icon, tone, merchant, sentence, address, action): (_, _, &MerchantRef, AnyView, String, &'static str) = match matter {
        Matter::Certificate { url, ends_at } => {
            let has_ended = *ends_at <= now();
            let verb = if has_ended { " ended " } else { " ends " };
            let after = if has_ended {
                ". Nothing can be delivered there: renew it on that server."
            } else {
                ". Renew it on that server before then; afterwards nothing can be delivered there."
            };
            let sentence = view! { "The certificate of "<strong>{url.label.clone()}</strong>{verb}<Ago at=*ends_at/>{after} };
            ("shield", if has_ended { "bad" } else { "warn" }, &url.merchant, sentence.into_any(), url_page(url), "Open the URL")
        }
        Matter::Held { url, hold, kept } => {
            let since = hold.since.map(|at| view! { ", since "<Ago at/> });
            let why = hold.cause.map(|cause| match cause {
                Cause::Gone => ", because its server answered 410 Gone".to_owned(),
                other => format!(", because of: {}", other.label()),
            });
            let kept = format!(". {} back until it is released.", counted(*kept, "delivery is kept", "deliveries are kept"));
            let filter = DeliveryFilter { state: Some(StateFilter::Held), url: Some(url.id), ..DeliveryFilter::default() };
            let address = format!("/m/{}/deliveries{}", url.merchant.slug, filter.query());
            let release = url_page(url);
            let sentence = view! {
                <strong>{url.label.clone()}</strong>" is on hold"{since}{why}{kept}" "<a href=release>"Release it"</a>
            };
            ("pause", "quiet", &url.merchant, sentence.into_any(), address, "Show them")
        }
        Matter::Refusing { merchant, listener, label, reason, count, before } => {
            let filter = InboundFilter { outcome: Some(Outcome::Refused), listener: Some(*listener), ..InboundFilter::default() };
            let address = format!("/m/{}/inbound{}", merchant.slug, filter.query());
            let times = format!(
                " refused {} in the last 24 hours{}. Mostly: {}. ",
                counted(*count, "message", "messages"),
                if *before > 0 { format!(", after {} the day before", crate::ui::format::count(*before)) } else { String::new() },
                reason.label(),
            );
            let sentence = view! { <strong>{label.clone()}</strong>{times}{reason.cure()} };
            ("alert", "warn", merchant, sentence.into_any(), address, "Show them")
        }
        Matter::Unconfirmed { merchant, listener, label, count, since, note } => {
            let filter =
                InboundFilter { outcome: Some(Outcome::Verifying), listener: Some(*listener), ..InboundFilter::default() };
            let address = format!("/m/{}/inbound{}", merchant.slug, filter.query());
            let waiting = counted(*count, "message waits", "messages wait");
            let sentence = view! {
                {format!("{waiting} at ")}<strong>{label.clone()}</strong>" for the gateway's word since "<Ago at=*since/>
                ". Nothing of it is delivered before. "<bdi>{note.clone()}</bdi>
            };
            ("clock", "warn", merchant, sentence.into_any(), address, "Show them")
        }
        Matter::NoDefaultUrl { merchant, has_urls } => {
            let sentence = if *has_urls {
                "There is no default URL: notifications go to the further URLs only."
            } else {
                "There is no notification URL: what comes in is kept, and goes nowhere."
            };
            ("send", "warn", merchant, sentence.into_any(), format!("/m/{}/settings/ipn", merchant.slug), "Set it")
        }
        Matter::Silent { merchant, listener, label } => {
            let sentence = view! {
                "Nothing has come in at "<strong>{label.clone()}</strong>" yet. Its address must be entered in the gateway's IPN settings."
            };
            (
                "inbox",
                "calm",
                merchant,
                sentence.into_any(),
                format!("/m/{}/listeners/{listener}", merchant.slug),
                "Show the address",
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
