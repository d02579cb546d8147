//! One's own password and look.

use super::{flash_of, page};
use crate::{
    rpc::people::read_viewer,
    ui::{
        components::{FormNotes, Hidden, TextField, fact},
        shell::{Frame, Look, Section},
    },
};
use leptos::prelude::*;

/// `/account`
#[component]
pub fn AccountPage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        let flash = flash_of("password");
        let theme = use_context::<Look>().and_then(|look| look.theme).unwrap_or("system");
        let choices: Vec<_> = [("system", "As the system"), ("light", "Light"), ("dark", "Dark")]
            .into_iter()
            .map(|(value, name)| {
                let pressed = if value == theme { "true" } else { "false" };
                view! { <button class="button" name="theme" value=value aria-pressed=pressed>{name}</button> }
            })
            .collect();
        let merchants = match viewer.merchants.as_slice() {
            [] => "none".to_owned(),
            merchants => merchants.iter().map(|merchant| merchant.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        Ok(view! {
            <Frame viewer=viewer.clone() section=Section::Account title="Account">
                <div class="stack narrow">
                    <FormNotes flash=flash.clone()/>
                    <dl class="facts panel">
                        {fact("E-mail", viewer.email.clone())}
                        {fact("Role", viewer.role.label())}
                        {fact("Merchants", merchants)}
                    </dl>
                    <section class="panel">
                        <h2>"Look"</h2>
                        <form method="post" action="/rpc/theme" class="row">
                            <Hidden name="next" value="/account"/>
                            {choices}
                        </form>
                    </section>
                    <section class="panel">
                        <h2>"Password"</h2>
                        <form method="post" action="/rpc/password" class="stack">
                            <TextField flash=flash.clone() name="current" label="Current password" kind="password" required=true autocomplete="current-password"/>
                            <TextField
                                flash name="password" label="New password" kind="password" required=true autocomplete="new-password"
                                hint="At least 12 characters. Your other sessions end."
                            />
                            <div class="actions"><button class="button primary">"Change password"</button></div>
                        </form>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
