//! Small parts: notices, copy buttons, empty pages, facts.

use super::Icon;
use crate::words::t;
use leptos::prelude::*;

/// How a notice is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Calm,
    Warn,
    Bad,
}

impl Tone {
    const fn look(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("good", "check"),
            Self::Calm => ("calm", "info"),
            Self::Warn => ("warn", "alert"),
            Self::Bad => ("bad", "alert"),
        }
    }
}

/// A message across the page. Bad news is announced at once by screen readers.
#[component]
pub fn Notice(tone: Tone, #[prop(into)] title: String, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let (class, icon) = tone.look();
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    view! {
        <div class=format!("notice {class}") role=role>
            <Icon name=icon/>
            <div>
                <p class="notice-title">{title}</p>
                {children.map(|children| children())}
            </div>
        </div>
    }
}

/// A button that copies a text. It shows only where scripts run; the text itself always stands beside it.
#[component]
pub fn Copy(#[prop(into)] text: String, #[prop(into)] what: String) -> impl IntoView {
    view! {
        <button type="button" class="icon-button copy" data-copy=text title=t!("Copy {what}", what)>
            <Icon name="copy"/>
            <span class="visually-hidden">{t!("Copy {what}", what)}</span>
        </button>
    }
}

/// An address, cut where it is too long for its place, with its copy button.
#[component]
pub fn Address(#[prop(into)] text: String, what: &'static str) -> impl IntoView {
    view! {
        <span class="address">
            <span class="clip" title=text.clone()>{text.clone()}</span>
            <Copy text what/>
        </span>
    }
}

/// An address in its whole length, with its copy button: where it must be read to its end.
#[component]
pub fn WholeAddress(#[prop(into)] text: String, what: &'static str) -> impl IntoView {
    view! {
        <span class="address">
            <span class="url">{text.clone()}</span>
            <Copy text what/>
        </span>
    }
}

/// What stands where there is nothing yet: what would be here, and what to do next.
#[component]
pub fn Empty(#[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <div class="empty">
            <p class="empty-title">{title}</p>
            {children()}
        </div>
    }
}

/// A name and a value that takes the whole width of a list of facts.
pub fn wide(name: &'static str, value: impl IntoView) -> impl IntoView {
    view! { <div class="fact wide"><dt>{name}</dt><dd>{value}</dd></div> }
}

/// A name and a value in a list of facts.
pub fn fact(name: &'static str, value: impl IntoView) -> impl IntoView {
    view! { <div class="fact"><dt>{name}</dt><dd>{value}</dd></div> }
}
