//! States, told by icon and word and never by colour alone.

use super::Icon;
use crate::{
    domain::{
        DeliveryState, OrderStatus,
        pages::orders::{DeliverySummary, DeliveryView},
    },
    words::{t, tell},
};
use leptos::prelude::*;

fn badge(tone: &'static str, icon: &'static str, word: String) -> impl IntoView {
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{word}</span> }
}

/// The status of an order; the gateway's own word is its title.
#[component]
pub fn OrderBadge(status: OrderStatus, #[prop(into)] vendor: String) -> impl IntoView {
    let (tone, icon) = match status {
        OrderStatus::Paid => ("good", "check"),
        OrderStatus::Created | OrderStatus::Pending => ("calm", "clock"),
        OrderStatus::Authorized => ("calm", "shield"),
        OrderStatus::PartiallyRefunded | OrderStatus::Refunded => ("quiet", "back"),
        OrderStatus::Reversed => ("bad", "alert"),
        OrderStatus::Failed => ("bad", "cross"),
        OrderStatus::Cancelled => ("quiet", "cross"),
        OrderStatus::Unmapped => ("warn", "question"),
    };
    let word = match status {
        OrderStatus::Unmapped if !vendor.is_empty() => shortened(&vendor),
        _ => tell(status.label()).to_owned(),
    };
    view! { <span title=t!("{vendor} at the gateway", vendor)>{badge(tone, icon, word)}</span> }
}

/// A status that nobody foresaw may have any length; a badge may not.
fn shortened(word: &str) -> String {
    const MOST: usize = 16;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &word[..end]),
        None => word.to_owned(),
    }
}

/// The state of a delivery.
#[component]
pub fn DeliveryBadge<'a>(of: &'a DeliveryView) -> impl IntoView + use<> {
    let (tone, icon) = if of.failed_for_debug() { ("bad", "cross") } else { look(of.state) };
    badge(tone, icon, tell(of.state_label()).to_owned())
}

/// The state of a delivery of which nothing else is known.
#[component]
pub fn StateBadge(state: DeliveryState) -> impl IntoView {
    let (tone, icon) = look(state);
    badge(tone, icon, tell(state.label()).to_owned())
}

const fn look(state: DeliveryState) -> (&'static str, &'static str) {
    match state {
        DeliveryState::Queued => ("calm", "clock"),
        DeliveryState::Sending => ("calm", "send"),
        DeliveryState::Retrying => ("warn", "retry"),
        DeliveryState::Held => ("quiet", "pause"),
        DeliveryState::Confirmed => ("good", "check"),
        DeliveryState::Expired => ("bad", "alert"),
        DeliveryState::Cancelled => ("quiet", "cross"),
    }
}

/// A TEST order says so wherever it shows.
#[component]
pub fn TestBadge(test: bool) -> impl IntoView {
    test.then(|| view! { <span class="badge test"><Icon name="flask"/>{t!("TEST")}</span> })
}

/// A URL that gets copies says so wherever it shows.
#[component]
pub fn ShadowBadge() -> impl IntoView {
    view! { <span class="badge test" title=t!("It gets copies; its failures count nowhere.")>{t!("shadow")}</span> }
}

/// A delivery that was given up says so where its URL has confirmed the message since.
#[component]
pub fn PutRightBadge() -> impl IntoView {
    view! {
        <span class="badge good" title=t!("It was resent later, and the script confirmed it then.")><Icon name="check"/>{t!("confirmed since")}</span>
    }
}

/// How the deliveries of an order stand, the worst first.
#[component]
pub fn Summary(deliveries: DeliverySummary) -> impl IntoView {
    let counts = [
        (DeliveryState::Expired, deliveries.expired),
        (DeliveryState::Retrying, deliveries.retrying),
        (DeliveryState::Queued, deliveries.queued),
        (DeliveryState::Held, deliveries.held),
        (DeliveryState::Confirmed, deliveries.confirmed),
        (DeliveryState::Cancelled, deliveries.cancelled),
    ];
    let total = deliveries.total();
    let shown: Vec<_> = counts
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            let (tone, icon) = look(state);
            let label = tell(state.label());
            let word = if total == 1 { label.to_owned() } else { format!("{count} {}", label.to_lowercase()) };
            badge(tone, icon, word)
        })
        .collect();
    if shown.is_empty() {
        view! { <span class="muted">{t!("Sent nowhere")}</span> }.into_any()
    } else {
        view! { <span class="badges">{shown}</span> }.into_any()
    }
}
