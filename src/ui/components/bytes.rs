//! What crossed the wire, shown as it was.

use super::{Copy, Masked, Reveal};
use crate::{domain::personal::is_masked, words::t};
use leptos::prelude::*;
use std::collections::HashMap;

/// Longest text shown; the rest is told by its size.
const SHOWN: usize = 64 << 10;

/// A head or a body, byte for byte.
#[component]
pub fn Octets(label: &'static str, #[prop(into)] text: String) -> impl IntoView {
    if text.is_empty() {
        return view! { <div class="octets"><h4>{label}</h4><p class="muted">{t!("Empty")}</p></div> }.into_any();
    }
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN).unwrap_or(text.len());
    let rest = text.len() - end;
    view! {
        <div class="octets">
            <h4>{label}<Copy text=text.clone() what=label.to_lowercase()/></h4>
            // Browsers drop a line break that directly follows the opening tag.
            <pre tabindex="0">"\n"{text[..end].to_owned()}</pre>
            {(rest > 0).then(|| view! { <p class="muted">{t!("… and {rest} bytes more", rest)}</p> })}
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
    let count = fields.len();
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
                view! { <tr><th scope="row"><bdi>{name}</bdi></th><td><bdi>{value}</bdi>{reveal}</td></tr> }
            })
            .collect();
        view! {
            <details class="fields" open={open || has_masked}>
                <summary>{t!("{count} fields, decoded", count)}</summary>
                <table><tbody>{rows}</tbody></table>
            </details>
        }
    })
}
