//! Parts of forms. A field shows what was entered before and what is wrong with it; the first wrong one has the focus.

use super::{Icon, Notice, Tone};
use crate::{
    domain::{Algorithm, Algorithms, pages::flash::Flash},
    words::t,
};
use leptos::prelude::*;

/// What the sent form has to say that belongs to no field.
#[component]
pub fn FormNotes(flash: Flash) -> impl IntoView {
    let general: Vec<_> = flash.errors.iter().filter(|error| error.field.is_empty()).map(|error| error.message.clone()).collect();
    let has_fields = flash.errors.iter().any(|error| !error.field.is_empty());
    let shortened = flash.shortened.then(|| {
        view! {
            <Notice tone=Tone::Warn title=t!("Not all that you entered stands below")>
                <p>{t!("It was too long to be brought back. Look at each field before you save: some show what is stored, or are empty.")}</p>
            </Notice>
        }
    });
    view! {
        {flash.notice.clone().map(|notice| view! { <Notice tone=Tone::Good title=notice/> })}
        {flash.problem.map(|problem| view! { <Notice tone=Tone::Bad title=problem/> })}
        {general.into_iter().map(|message| view! { <Notice tone=Tone::Bad title=message/> }).collect::<Vec<_>>()}
        {has_fields.then(|| view! { <Notice tone=Tone::Bad title=t!("Please correct what is marked below. Nothing was saved.")/> })}
        {shortened}
    }
}

/// The field that gets the focus.
pub fn first_wrong(flash: &Flash) -> Option<&str> {
    flash.errors.iter().map(|error| error.field.as_str()).find(|field| !field.is_empty())
}

/// A field for a line of text.
#[component]
pub fn TextField(
    flash: Flash,
    name: &'static str,
    #[prop(into)] label: String,
    #[prop(default = "text")] kind: &'static str,
    /// What is there already.
    #[prop(optional, into)]
    value: String,
    #[prop(optional, into)] hint: String,
    #[prop(optional)] placeholder: &'static str,
    #[prop(optional)] required: bool,
    #[prop(default = "off")] autocomplete: &'static str,
    #[prop(optional)] autofocus: bool,
) -> impl IntoView {
    let error = flash.error(name).map(str::to_owned);
    let first_wrong = first_wrong(&flash) == Some(name);
    let value = if kind == "password" { String::new() } else { flash.value(name).map_or(value, str::to_owned) };
    let described = match (&error, hint.is_empty()) {
        (Some(_), _) => Some(format!("{name}-error")),
        (None, false) => Some(format!("{name}-hint")),
        (None, true) => None,
    };
    let is_wrong = error.is_some();
    let focus = first_wrong || (autofocus && flash.errors.is_empty());
    view! {
        <div class="field" class:wrong=is_wrong>
            <label for=name>{label}{(!required).then(|| view! { <span class="optional">{t!("optional")}</span> })}</label>
            <input
                id=name
                name=name
                type=kind
                value=value
                placeholder=placeholder
                required=required
                autocomplete=autocomplete
                autofocus=focus
                spellcheck="false"
                aria-invalid=is_wrong.then_some("true")
                aria-describedby=described
            />
            {note(name, error, hint)}
        </div>
    }
}

/// A choice of one among several.
#[component]
pub fn SelectField(
    flash: Flash,
    name: &'static str,
    label: &'static str,
    /// Values with what they are called.
    options: Vec<(String, String)>,
    /// What is chosen already.
    #[prop(into)]
    value: String,
    #[prop(optional, into)] hint: String,
) -> impl IntoView {
    let error = flash.error(name).map(str::to_owned);
    let focus = first_wrong(&flash) == Some(name);
    let chosen = flash.value(name).map_or(value, str::to_owned);
    let is_wrong = error.is_some();
    let options: Vec<_> = options
        .into_iter()
        .map(|(value, label)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{label}</option> }
        })
        .collect();
    let described = if is_wrong { Some(format!("{name}-error")) } else { (!hint.is_empty()).then(|| format!("{name}-hint")) };
    view! {
        <div class="field" class:wrong=is_wrong>
            <label for=name>{label}</label>
            <select id=name name=name autofocus=focus aria-invalid=is_wrong.then_some("true") aria-describedby=described>{options}</select>
            {note(name, error, hint)}
        </div>
    }
}

/// What stands below a field: what is wrong with it, or else its hint.
pub fn note(name: &'static str, error: Option<String>, hint: String) -> AnyView {
    match error {
        Some(error) => view! { <p class="error" id=format!("{name}-error")><Icon name="alert"/>{error}</p> }.into_any(),
        None => (!hint.is_empty()).then(|| view! { <p class="hint" id=format!("{name}-hint")>{hint}</p> }).into_any(),
    }
}

/// A box to tick.
#[component]
pub fn Check(
    name: &'static str,
    #[prop(into)] label: String,
    checked: bool,
    #[prop(optional, into)] hint: String,
    #[prop(optional)] autofocus: bool,
) -> impl IntoView {
    view! {
        <label class="check">
            <input type="checkbox" name=name value="true" checked=checked autofocus=autofocus/>
            <span>{label}{(!hint.is_empty()).then(|| view! { <span class="hint">{hint}</span> })}</span>
        </label>
    }
}

/// The algorithms, one box for each.
#[component]
pub fn AlgorithmChoice(
    flash: Flash,
    error_field: &'static str,
    legend: &'static str,
    chosen: Algorithms,
    hint: &'static str,
) -> impl IntoView {
    let entered = flash.values.iter().any(|(name, _)| name == "md5");
    let is_on = |name: &str, algorithm| if entered { flash.value(name) == Some("true") } else { chosen.contains(algorithm) };
    let error = flash.error(error_field).map(str::to_owned);
    let is_wrong = error.is_some();
    let first_wrong = first_wrong(&flash) == Some(error_field);
    let boxes = [("md5", Algorithm::Md5), ("sha2", Algorithm::Sha2), ("sha3", Algorithm::Sha3)];
    let boxes: Vec<_> = boxes
        .into_iter()
        .map(|(name, algorithm)| {
            let focus = first_wrong && algorithm == Algorithm::Md5;
            view! { <Check name=name label=algorithm.label() checked=is_on(name, algorithm) autofocus=focus/> }
        })
        .collect();
    let note = format!("{error_field}-{}", if is_wrong { "error" } else { "hint" });
    let described = note.clone();
    view! {
        <fieldset class="field" class:wrong=is_wrong aria-describedby=described>
            <legend>{legend}</legend>
            <div class="row">{boxes}</div>
            {match error {
                Some(error) => view! { <p class="error" id=note><Icon name="alert"/>{error}</p> }.into_any(),
                None => view! { <p class="hint" id=note>{hint}</p> }.into_any(),
            }}
        </fieldset>
    }
}

/// A value that the form carries along.
#[component]
pub fn Hidden(name: &'static str, #[prop(into)] value: String) -> impl IntoView {
    view! { <input type="hidden" name=name value=value/> }
}

/// A button that asks once, with the consequence in words, before its form is sent. Needs no JavaScript.
#[component]
pub fn Confirm(
    /// Distinguishes it from others on the page.
    #[prop(into)]
    id: String,
    #[prop(into)] label: String,
    icon: &'static str,
    #[prop(into)] title: String,
    #[prop(into)] consequence: String,
    action: &'static str,
    /// Of the button that does it.
    #[prop(into)]
    verb: String,
    #[prop(optional)] danger: bool,
    /// Fields of the form.
    children: Children,
) -> impl IntoView {
    let (opens, closes, named) = (id.clone(), id.clone(), title.clone());
    view! {
        <button type="button" class="button small" popovertarget=opens><Icon name=icon/>{label}</button>
        <div id=id class="dialog" popover="auto" role="dialog" aria-label=named>
            <form method="post" action=action>
                <h3>{title}</h3>
                <p>{consequence}</p>
                {children()}
                <div class="actions">
                    <button class="button" class:danger=danger class:primary=!danger>{verb}</button>
                    <button type="button" class="button" popovertarget=closes popovertargetaction="hide">{t!("Leave it")}</button>
                </div>
            </form>
        </div>
    }
}
