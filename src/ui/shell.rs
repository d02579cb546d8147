//! The frame of every page.
use crate::domain::Timestamp;
use leptos::config::LeptosOptions;
use leptos::prelude::*;

/// What a page's frame needs to know of the server's build and of the request.
#[derive(Debug, Clone)]
pub struct Look {
    pub style: String,
    pub icons: String,
    pub favicon: String,
    pub has_script: bool,
    pub theme: Option<&'static str>,
    pub now: Timestamp,
}

pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! { <!DOCTYPE html><html><head><HydrationScripts options islands=true/></head><body>"Quittance"</body></html> }
}
