//! Moments: relative where they are near, exact on hover and for machines. The helpers island keeps them ticking.

use crate::{
    domain::Timestamp,
    ui::format::{date_time, iso, relative},
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

/// A moment by its distance from now: `3 min ago`.
#[component]
pub fn Ago(at: Timestamp) -> impl IntoView {
    view! {
        <time datetime=iso(at) title=format!("{} UTC", date_time(at)) data-ago=at.millis().to_string()>{relative(at, now())}</time>
    }
}

/// A moment exactly: `2026-11-21 09:04:07`.
#[component]
pub fn Moment(at: Timestamp) -> impl IntoView {
    view! { <time datetime=iso(at) title="UTC">{date_time(at)}</time> }
}
