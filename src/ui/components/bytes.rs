//! What crossed the wire, shown as it was.

use super::Copy;
use leptos::prelude::*;

/// Longest text shown; the rest is told by its size.
const SHOWN: usize = 64 << 10;

/// A head or a body, byte for byte.
#[component]
pub fn Octets(label: &'static str, #[prop(into)] text: String) -> impl IntoView {
    if text.is_empty() {
        return view! { <div class="octets"><h4>{label}</h4><p class="muted">"Empty"</p></div> }.into_any();
    }
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN).unwrap_or(text.len());
    let rest = text.len() - end;
    view! {
        <div class="octets">
            <h4>{label}<Copy text=text.clone() what=label.to_lowercase()/></h4>
            // Browsers drop a line break that directly follows the opening tag.
            <pre tabindex="0">"\n"{text[..end].to_owned()}</pre>
            {(rest > 0).then(|| view! { <p class="muted">{format!("… and {rest} bytes more")}</p> })}
        </div>
    }
    .into_any()
}

/// The fields of a form, decoded.
#[component]
pub fn Fields(
    fields: Vec<(String, String)>,
    /// Shown without a click.
    #[prop(optional)]
    open: bool,
) -> impl IntoView {
    let count = fields.len();
    (count > 0).then(|| {
        let rows: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| view! { <tr><th scope="row"><bdi>{name}</bdi></th><td><bdi>{value}</bdi></td></tr> })
            .collect();
        view! {
            <details class="fields" open=open>
                <summary>{format!("{count} fields, decoded")}</summary>
                <table><tbody>{rows}</tbody></table>
            </details>
        }
    })
}
