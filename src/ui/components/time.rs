//! Moments: relative where they are near, exact on hover and for machines. The helpers island keeps them ticking.

use crate::{
    domain::{Timestamp, Zone},
    ui::format::{date_time, is_near, iso, relative},
    words::tell,
};
use leptos::prelude::*;

/// The present moment: the server's while it renders, the browser's afterwards.
#[cfg(feature = "ssr")]
pub fn now() -> Timestamp {
    use_context::<crate::ui::shell::Look>().map(|look| look.now).unwrap_or_default()
}

/// The present moment: the server's while it renders, the browser's afterwards.
#[cfg(not(feature = "ssr"))]
#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit")]
pub fn now() -> Timestamp {
    #[cfg(feature = "hydrate")]
    return Timestamp(js_sys::Date::now() as i64 * 1_000);
    #[cfg(not(feature = "hydrate"))]
    return Timestamp::default();
}

/// The zone that exact times are told in.
#[cfg(feature = "ssr")]
pub fn zone() -> Zone {
    use_context::<crate::ui::shell::Look>().map(|look| look.zone).unwrap_or_default()
}

/// The zone that exact times are told in.
#[cfg(not(feature = "ssr"))]
pub fn zone() -> Zone {
    Zone::default()
}

/// A moment by its distance from now: `3 min ago`.
#[component]
pub fn Ago(at: Timestamp) -> impl IntoView {
    let zone = zone();
    // What is far away is told by its day, which does not change.
    let ticks = is_near(at, now()).then(|| at.millis().to_string());
    let text = relative(at, now(), |at| zone.local(at), |distance| tell(distance).to_owned());
    let title = format!("{} {}", date_time(zone.local(at)), zone.name());
    view! { <time datetime=iso(at) title=title data-ago=ticks>{text}</time> }
}

/// A moment exactly: `2026-11-21 09:04:07 UTC`.
#[component]
pub fn Moment(at: Timestamp) -> impl IntoView {
    let zone = zone();
    view! {
        <time datetime=iso(at) title=zone.name().to_owned()>{date_time(zone.local(at))}" "<span class="zone">{zone.short(at)}</span></time>
    }
}
