//! The page behind an invitation, or behind a link for a forgotten password.

use super::{flash_of, page, query};
use crate::{
    domain::pages::people::LinkState,
    rpc::people::read_link,
    ui::{
        components::{FormNotes, Hidden, TextField},
        shell::Plain,
    },
    words::t,
};
use leptos::prelude::*;

/// `/join?token=…`
#[component]
pub fn JoinPage() -> impl IntoView {
    let token = query("token").unwrap_or_default();
    page(async move {
        let LinkState::Open { email, is_invitation } = read_link(token.clone()).await? else {
            return Ok(view! {
                <Plain title=t!("This link does not work any more")>
                    <p>{t!("A link works once and for seven days, and a newer one takes its place. Ask whoever sent it to you for a new one.")}</p>
                    <p><a class="button primary" href="/sign-in">{t!("Sign in")}</a></p>
                </Plain>
            }
            .into_any());
        };
        let flash = flash_of("join");
        let (title, lead) = match is_invitation {
            true => (t!("Welcome"), t!("You are invited to this panel. Choose a password to sign in with.")),
            false => (t!("A new password"), t!("Choose a new password. All your sessions end.")),
        };
        Ok(view! {
            <Plain title>
                <p>{lead}</p>
                <FormNotes flash=flash.clone()/>
                <form method="post" action="/rpc/join" class="stack">
                    <Hidden name="token" value=token/>
                    <div class="field">
                        <label for="email">{t!("E-mail address")}</label>
                        <input id="email" type="email" value=email readonly=true autocomplete="username"/>
                    </div>
                    <TextField
                        flash name="password" label=t!("Password") kind="password" required=true autocomplete="new-password" autofocus=true
                        hint=t!("At least 12 characters; a few words in a row are fine.")
                    />
                    <button class="button primary">{t!("Set password and sign in")}</button>
                </form>
            </Plain>
        }
        .into_any())
    })
}
