//! The page behind an invitation, or behind a link for a forgotten password.

use super::{flash_of, page, query};
use crate::{
    domain::pages::people::LinkState,
    rpc::people::read_link,
    ui::{
        components::{FormNotes, Hidden, TextField},
        shell::Plain,
    },
};
use leptos::prelude::*;

/// `/join?token=…`
#[component]
pub fn JoinPage() -> impl IntoView {
    let token = query("token").unwrap_or_default();
    page(async move {
        let LinkState::Open { email, is_invitation } = read_link(token.clone()).await? else {
            return Ok(view! {
                <Plain title="This link does not work any more">
                    <p>"A link works once and for seven days, and a newer one takes its place. Ask whoever sent it to you for a new one."</p>
                    <p><a class="button primary" href="/sign-in">"Sign in"</a></p>
                </Plain>
            }
            .into_any());
        };
        let flash = flash_of("join");
        let (title, lead) = match is_invitation {
            true => ("Welcome", "You are invited to this panel. Choose a password to sign in with."),
            false => ("A new password", "Choose a new password. All your sessions end."),
        };
        Ok(view! {
            <Plain title>
                <p>{lead}</p>
                <FormNotes flash=flash.clone()/>
                <form method="post" action="/rpc/join" class="stack">
                    <Hidden name="token" value=token/>
                    <div class="field">
                        <label for="email">"E-mail address"</label>
                        <input id="email" type="email" value=email readonly=true autocomplete="username"/>
                    </div>
                    <TextField
                        flash name="password" label="Password" kind="password" required=true autocomplete="new-password" autofocus=true
                        hint="At least 12 characters; a few words in a row are fine."
                    />
                    <button class="button primary">"Set password and sign in"</button>
                </form>
            </Plain>
        }
        .into_any())
    })
}
