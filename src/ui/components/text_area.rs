//! The one place where a text area is written.

use super::form::{first_wrong, note};
use crate::{domain::pages::flash::Flash, words::t};
use leptos::prelude::*;

/// A field for several lines of text.
#[component]
pub fn TextArea(
    flash: Flash,
    name: &'static str,
    label: &'static str,
    /// What is there already.
    #[prop(into)]
    value: String,
    #[prop(optional, into)] hint: String,
    #[prop(optional)] placeholder: &'static str,
    #[prop(default = 5)] rows: u32,
    /// It cannot be left empty; who sends it empty is told so.
    #[prop(optional)]
    required: bool,
) -> impl IntoView {
    let error = flash.error(name).map(str::to_owned);
    let focus = first_wrong(&flash) == Some(name);
    let text = flash.value(name).map_or(value, str::to_owned);
    let is_wrong = error.is_some();
    let described = if is_wrong { Some(format!("{name}-error")) } else { (!hint.is_empty()).then(|| format!("{name}-hint")) };
    view! {
        <div class="field" class:wrong=is_wrong>
            <label for=name>{label}{(!required).then(|| view! { <span class="optional">{t!("optional")}</span> })}</label>
            <textarea
                id=name
                name=name
                rows=rows.to_string()
                placeholder=placeholder
                autofocus=focus
                spellcheck="false"
                autocomplete="off"
                aria-invalid=is_wrong.then_some("true")
                aria-describedby=described
            >{escaped(&text)}</textarea>
            {note(name, error, hint)}
        </div>
    }
}

/// A text area whose label and notes somebody else writes.
#[component]
pub fn LongText(
    id: String,
    name: String,
    value: String,
    focus: bool,
    is_wrong: bool,
    described: Option<String>,
    placeholder: &'static str,
) -> impl IntoView {
    view! {
        <textarea
            id=id name=name rows="5" placeholder=placeholder autofocus=focus spellcheck="false" autocomplete="off"
            aria-invalid=is_wrong.then_some("true") aria-describedby=described
        >{escaped(&value)}</textarea>
    }
}

/// A text to be read and copied: a click or a tab leads into it, and select-all selects it alone, without any script.
#[component]
pub fn ReadArea(label: &'static str, text: String, #[prop(default = 12)] rows: u32) -> impl IntoView {
    view! {
        <textarea class="read-area" aria-label=label rows=rows.to_string() readonly="" spellcheck="false" autocomplete="off">{escaped(&text)}</textarea>
    }
}

/// A text as the content of a text area. The renderer does not escape what stands in one. Browsers drop a line break at
/// its beginning, so there is one to drop.
fn escaped(text: &str) -> String {
    format!("\n{}", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_text_area_cannot_leave_it() {
        let html = view! {
            <TextArea flash=Flash::default() name="x" label="X" value="\n</textarea><script>&amp;"/>
        }
        .to_html();
        assert!(html.contains(">\n\n&lt;/textarea&gt;&lt;script&gt;&amp;amp;</textarea>"), "{html}");
        assert_eq!(html.matches("</textarea>").count(), 1);
    }
}
