//! What a form says whose page was older than what it would change.

use super::{Ago, Hidden, Notice, Tone};
use crate::{
    domain::{
        audit::{FieldChange, action_label},
        pages::{audit::AuditRow, flash::Flash},
    },
    words::{rich, t, tell},
};
use leptos::prelude::*;

/// The version that a form is made from, and, where somebody else was faster, what he changed. What was typed stays in the
/// form; sent again, it is saved over what is told here.
#[component]
pub fn Version(flash: Flash, version: i64) -> impl IntoView {
    let newest = flash.conflict.as_ref().map_or(version, |conflict| conflict.version);
    view! { <Hidden name="version" value=newest.to_string()/> }
}

/// Who changed what meanwhile.
#[component]
pub fn ConflictNote(
    flash: Flash,
    /// Shows what is stored, without what was typed.
    #[prop(into)]
    page: String,
) -> impl IntoView {
    flash.conflict.map(|conflict| {
        let told = told(&conflict.changes);
        view! {
            <Notice tone=Tone::Warn title=t!("Not saved: somebody else has changed this meanwhile")>
                {told}
                {(!flash.shortened).then(|| view! { <p>{rich!("Below stands what you entered. Save it over the change with the button, or {link}.", link = view! { <a href=page>{t!("take what is stored now")}</a> })}</p> })}
            </Notice>
        }
    })
}

/// Who changed what meanwhile, on a page whose buttons act at once. It shows everything as it is now, so that pressing again is
/// meant.
#[component]
pub fn ConflictTold(
    flash: Flash,
    /// What was changed.
    #[prop(into)]
    what: String,
) -> impl IntoView {
    flash.conflict.map(|conflict| {
        let told = told(&conflict.changes);
        view! {
            <Notice tone=Tone::Warn title=t!("Not done: somebody else has changed {what} meanwhile", what)>
                {told}
                <p>{t!("Below it stands as it is now. Press the button again if you still want it.")}</p>
            </Notice>
        }
    })
}

fn told(rows: &[AuditRow]) -> impl IntoView + use<> {
    let lines: Vec<_> = rows.iter().map(line).collect();
    view! {
        {lines.is_empty().then(|| view! { <p>{t!("What changed is not known any more.")}</p> })}
        <ul class="changes">{lines}</ul>
    }
}

fn line(row: &AuditRow) -> impl IntoView + use<> {
    view! {
        <li>
            <strong>{row.actor.clone()}</strong>": "{tell(action_label(&row.action)).to_lowercase()}", "<Ago at=row.at/>
            {changes(&row.changes)}
        </li>
    }
}

/// Fields with what they were and what they are.
pub fn changes(changes: &[FieldChange]) -> AnyView {
    let shown = |field: &str, text: &str| match text {
        "" => t!("nothing").to_owned(),
        // What is no name that somebody has given.
        "on" => t!("on").to_owned(),
        "off" => t!("off").to_owned(),
        "all statuses" | "all received" => tell(text).to_owned(),
        _ if matches!(field, "Role" | "Format") => tell(text).to_owned(),
        _ => text.to_owned(),
    };
    let lines: Vec<_> = changes
        .iter()
        .map(|change| {
            let (old, new) = (shown(&change.field, &change.old), shown(&change.field, &change.new));
            let field = tell(&change.field).to_owned();
            if change.old.is_empty() && change.new == "changed" {
                view! { <li>{t!("{field}: changed", field)}</li> }.into_any()
            } else {
                view! { <li>{field}": "<del>{old}</del>" → "<ins>{new}</ins></li> }.into_any()
            }
        })
        .collect();
    (!lines.is_empty()).then(|| view! { <ul class="changes">{lines}</ul> }).into_any()
}

/// What the button of the form says.
pub fn save_label(flash: &Flash, usual: &'static str) -> &'static str {
    if flash.conflict.is_some() { t!("Save mine over it") } else { usual }
}
