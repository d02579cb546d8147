use leptos::prelude::*;
#[server(prefix = "/rpc", endpoint = "count")]
pub async fn count(n: i32) -> Result<i32, ServerFnError> {
    Ok(n + 1)
}
#[island]
pub fn Counter(start: i32) -> impl IntoView {
    let n = RwSignal::new(start);
    let act = Action::new(move |_: &()| async move {
        if let Ok(v) = count(n.get_untracked()).await {
            n.set(v)
        }
    });
    view! { <button on:click=move |_| { act.dispatch(()); }>{n}</button> }
}
