pub mod domain;
pub mod rpc;
#[cfg(feature = "ssr")]
pub mod server;
pub mod ui;
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_islands();
}
