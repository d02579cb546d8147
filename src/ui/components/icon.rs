//! Icons: outlines from the sprite `public/icons.svg`. They stand beside a word, so they are hidden from screen readers.

use leptos::prelude::*;

/// One icon of the sprite.
#[component]
pub fn Icon(name: &'static str) -> impl IntoView {
    view! {
        <svg class="icon" aria-hidden="true" focusable="false">
            <use href=format!("{}#{name}", sprite())></use>
        </svg>
    }
}

#[cfg(feature = "ssr")]
fn sprite() -> String {
    use_context::<crate::ui::shell::Look>().map(|look| look.icons).unwrap_or_default()
}

/// The page says where the sprite is.
#[cfg(not(feature = "ssr"))]
fn sprite() -> String {
    thread_local! {
        static SPRITE: String = document().document_element().and_then(|root| root.get_attribute("data-icons")).unwrap_or_default();
    }
    SPRITE.with(Clone::clone)
}
