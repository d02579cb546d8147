//! Choices of several: boxes that share a name.

use super::{
    Icon,
    form::{first_wrong, note},
};
use crate::domain::{Triggers, content::TRIGGERS, pages::flash::Flash};
use leptos::prelude::*;

/// One of several boxes of a name.
#[component]
pub fn Tick(
    /// With brackets: `tags[]`.
    name: &'static str,
    #[prop(into)] value: String,
    checked: bool,
    #[prop(into)] label: String,
    #[prop(optional, into)] hint: String,
    #[prop(optional)] autofocus: bool,
    /// It cannot be changed.
    #[prop(optional)]
    fixed: bool,
) -> impl IntoView {
    view! {
        <label class="check tick">
            <input type="checkbox" name=name value=value checked=checked autofocus=autofocus disabled=fixed/>
            <span><span class="code">{label}</span>{(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}</span>
        </label>
    }
}

/// The statuses, a box for each.
#[component]
pub fn TriggerChoice(flash: Flash, legend: &'static str, chosen: Triggers, #[prop(into)] hint: String) -> impl IntoView {
    let error = flash.error("triggers").map(str::to_owned);
    let (is_wrong, focus) = (error.is_some(), first_wrong(&flash) == Some("triggers"));
    let boxes: Vec<_> = TRIGGERS
        .into_iter()
        .enumerate()
        .map(|(at, (name, meaning))| {
            view! { <Tick name="triggers[]" value=name checked=chosen.has(name) label=name hint=meaning autofocus=focus && at == 0/> }
        })
        .collect();
    let described = if is_wrong { "triggers-error" } else { "triggers-hint" };
    view! {
        <fieldset class="field" class:wrong=is_wrong aria-describedby=described>
            <legend>{legend}</legend>
            <div class="ticks">{boxes}</div>
            {note("triggers", error, hint)}
        </fieldset>
    }
}

/// A group of boxes of which all, some or none are ticked.
#[component]
pub fn TickGroup(
    #[prop(into)] title: String,
    /// How many of them are ticked, and how many there are.
    count: (usize, usize),
    #[prop(optional)] open: bool,
    children: Children,
) -> impl IntoView {
    let (ticked, all) = count;
    view! {
        <details class="tick-group" open=open>
            <summary>{title}<span class="muted">{format!("{ticked} of {all}")}</span></summary>
            <div class="ticks">{children()}</div>
        </details>
    }
}

/// Right or wrong, by icon and word.
#[component]
pub fn RightBadge(right: bool) -> impl IntoView {
    let (tone, icon, word) = if right { ("good", "check", "Right") } else { ("bad", "alert", "Wrong") };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{word}</span> }
}
