//! How a URL is treated at the moment: why it is on hold, why it gets fewer requests than it could.

use crate::{
    domain::{
        Cause, Timestamp,
        pages::dashboard::{Hold, Pause},
    },
    ui::{
        components::{Icon, now, zone},
        format::{date, date_time, iso, time_of_day},
    },
    words::{rich, t, tell},
};
use leptos::prelude::*;

/// `12:03 UTC` of a moment of today, the day of another; exactly on hover.
#[component]
pub fn TimeOfDay(at: Timestamp) -> impl IntoView {
    let zone = zone();
    let local = zone.local(at);
    let is_today = local.start_of_day() == zone.local(now()).start_of_day();
    let shown = if is_today { format!("{} {}", time_of_day(local), zone.short(at)) } else { date(local) };
    view! { <time datetime=iso(at) title=format!("{} {}", date_time(local), zone.name())>{shown}</time> }
}

/// Since when and why a URL is on hold.
#[component]
pub fn HoldNote(hold: Hold) -> impl IntoView {
    let why = hold.cause.map(|cause| match cause {
        Cause::Gone => t!(", because the server answered 410 Gone").to_owned(),
        other => t!(", because of: {cause}", cause = tell(other.label())),
    });
    (hold.since.is_some() || why.is_some()).then(|| {
        view! { <span class="cause">{hold.since.map(|at| rich!("since {time}", time = view! { <TimeOfDay at/> }))}{why}</span> }
    })
}

/// Why a URL gets fewer requests than it could, as a sentence without a stop.
#[component]
pub fn PauseNote(pause: Pause) -> impl IntoView {
    match pause {
        Pause::Probing { since, every, .. } => {
            view! { <span class="cause" title=t!("It failed again and again. Single requests find out when it is back; then it gets its backlog step by step.")>{rich!("Probing every {every} s since {time}", time = view! { <TimeOfDay at=since/> }; every)}</span> }.into_any()
        }
        Pause::Told { until } => {
            view! { <span class="cause" title=t!("Its server answered with Retry-After.")>{rich!("Left alone until {time}, as its server asked", time = view! { <TimeOfDay at=until/> })}</span> }.into_any()
        }
    }
}

/// A notification was accepted and made no delivery.
#[component]
pub fn WentNowhere(vendor_status: String) -> impl IntoView {
    let sentence = if vendor_status.is_empty() {
        t!("No delivery was made: when it came there was no notification URL whose triggers take it. It is kept, and can be resent.").into_any()
    } else {
        rich!(
            "No delivery was made: when it came there was no notification URL whose triggers take {vendor_status}. It is kept, and can be resent.",
            vendor_status = view! { <bdi>{vendor_status}</bdi> }
        )
        .into_any()
    };
    view! { <p class="flag"><Icon name="alert"/>{sentence}</p> }
}
