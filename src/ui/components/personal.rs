//! Masked values: the button that reveals one, and the one that was revealed.

use super::{Hidden, Icon, Notice, Tone};
use crate::{domain::pages::flash::Flash, words::t};
use leptos::prelude::*;

/// What a masked value belongs to.
#[derive(Debug, Clone)]
pub struct Masked {
    pub merchant: String,
    /// `order`, `notification`, `attempt` or `answer` (what was sent, and what came back), `refusal` or `verifying`.
    pub of: &'static str,
    /// Its id; of an attempt and an answer that of the delivery.
    pub thing: String,
    /// Of the attempt.
    pub number: u32,
}

/// A button that has one masked value shown. Whoever presses it stands in the audit log.
#[component]
pub fn Reveal(
    masked: Masked,
    /// As the field is called.
    #[prop(into)]
    field: String,
    /// Which of several of this name, from 0.
    #[prop(optional)]
    nth: usize,
) -> impl IntoView {
    view! {
        <form method="post" action="/rpc/reveal" class="reveal">
            <Hidden name="merchant" value=masked.merchant/>
            <Hidden name="of" value=masked.of/>
            <Hidden name="thing" value=masked.thing/>
            <Hidden name="number" value=masked.number.to_string()/>
            <Hidden name="field" value=field.clone()/>
            <Hidden name="nth" value=nth.to_string()/>
            <button class="button small" title=t!("Shows it once; it is written to the audit log")><Icon name="shield"/>{t!("Reveal")}<span class="visually-hidden">{format!(" {field}")}</span></button>
        </form>
    }
}

/// The value that was revealed, at the top of the page after.
#[component]
pub fn Revealed(flash: Flash) -> impl IntoView {
    flash.revealed.map(|(field, value)| {
        let value = if value.is_empty() { t!("(empty)").to_owned() } else { value };
        view! {
            <Notice tone=Tone::Calm title=t!("Revealed: {field}", field)>
                <p class="code revealed">{value}</p>
                <p>{t!("It is shown this once, and your name stands in the audit log for it.")}</p>
            </Notice>
        }
    })
}

/// What is to be known about a page with masked values.
#[component]
pub fn MaskedNote() -> impl IntoView {
    view! {
        <p class="muted masked-note"><Icon name="shield"/>{t!("Personal and card data are masked for your role. Reveal shows one value and is written to the audit log.")}</p>
    }
}
