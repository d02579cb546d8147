//! What crossed the wire, shown as it was.

use super::{Copy, Masked, Reveal};
use crate::{domain::personal::is_masked, words::t};
use leptos::prelude::*;
use std::collections::HashMap;

/// Longest text shown at once, in bytes; the rest on demand.
const SHOWN: usize = 64 << 10;
/// Letters of a value that are shown at once.
const SHOWN_OF_VALUE: usize = 400;

/// A value of somebody else's: its beginning where it is long, and all of it on demand.
#[component]
pub fn Long(#[prop(into)] text: String) -> impl IntoView {
    let Some((end, _)) = text.char_indices().nth(SHOWN_OF_VALUE) else {
        return view! { <bdi>{text}</bdi> }.into_any();
    };
    let count = crate::ui::format::count(text.chars().count() as u64);
    view! {
        <details class="long">
            <summary><bdi>{format!("{}…", &text[..end])}</bdi>" "<span class="more">{t!("Show all {count} characters", count)}</span></summary>
            <bdi>{text}</bdi>
        </details>
    }
    .into_any()
}

/// A head or a body, byte for byte.
#[component]
pub fn Octets(label: &'static str, #[prop(into)] text: String) -> impl IntoView {
    if text.is_empty() {
        return view! { <div class="octets"><p class="octets-head">{label}</p><p class="muted">{t!("Empty")}</p></div> }
            .into_any();
    }
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN).unwrap_or(text.len());
    let rest = text.len() - end;
    view! {
        <div class="octets">
            <p class="octets-head">{label}<Copy text=text.clone() what=label.to_lowercase()/></p>
            // Browsers drop a line break that directly follows the opening tag.
            <pre tabindex="0">"\n"{text[..end].to_owned()}</pre>
            {(rest > 0).then(|| {
                let rest_of_it = text[end..].to_owned();
                view! {
                    <details class="long">
                        <summary>{t!("Show all: {rest} bytes more", rest = crate::ui::format::count(rest as u64))}</summary>
                        <pre tabindex="0">"\n"{rest_of_it}</pre>
                    </details>
                }
            })}
        </div>
    }
    .into_any()
}

/// The fields of a form, decoded. With `masked` the personal ones are masked, and can be revealed.
#[component]
pub fn Fields(
    fields: Vec<(String, String)>,
    /// Shown without a click.
    #[prop(optional)]
    open: bool,
    #[prop(optional_no_strip)] masked: Option<Masked>,
) -> impl IntoView {
    let count = fields.len() as u64;
    let has_masked = masked.is_some();
    (count > 0).then(|| {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let rows: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| {
                let nth = seen.entry(name.clone()).or_default();
                let reveal = masked.clone().filter(|_| is_masked(&value) && !is_masked(&name)).map(|masked| {
                    view! { <Reveal masked field=name.clone() nth=*nth/> }
                });
                *nth += 1;
                view! { <tr><th scope="row"><Long text=name/></th><td><Long text=value/>{reveal}</td></tr> }
            })
            .collect();
        view! {
            <details class="fields" open={open || has_masked}>
                <summary>{if count == 1 { t!("One field, decoded").to_owned() } else { t!("{count} fields, decoded", count) }}</summary>
                <table><tbody>{rows}</tbody></table>
            </details>
        }
    })
}
