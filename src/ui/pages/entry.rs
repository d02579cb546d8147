//! The way in: the first run, and signing in.

use super::{flash_of, page, query};
use crate::{
    domain::pages::people::FirstRun,
    rpc::people::read_first_run,
    ui::{
        components::{FormNotes, Hidden, Notice, TextField, Tone},
        shell::Plain,
    },
    words::t,
};
use leptos::prelude::*;

/// `/setup?token=…`: creates the administrator.
#[component]
pub fn SetupPage() -> impl IntoView {
    let token = query("token").unwrap_or_default();
    page(async move {
        if read_first_run(token.clone()).await? != FirstRun::Open {
            return Ok(view! {
                <Plain title=t!("This link is not valid any more")>
                    <p>{t!("It works once, until the administrator is created, and each start of the server prints a new one.")}</p>
                    <p><a class="button primary" href="/sign-in">{t!("Sign in")}</a></p>
                </Plain>
            }
            .into_any());
        }
        let flash = flash_of("set-up");
        Ok(view! {
            <Plain title=t!("Welcome")>
                <p>{t!("Create the administrator of this installation. He adds merchants and may see and change everything.")}</p>
                <FormNotes flash=flash.clone()/>
                <form method="post" action="/rpc/set-up" class="stack">
                    <Hidden name="token" value=token/>
                    <TextField flash=flash.clone() name="email" label=t!("E-mail address") kind="email" required=true autocomplete="username" autofocus=true/>
                    <TextField
                        flash name="password" label=t!("Password") kind="password" required=true autocomplete="new-password"
                        hint=t!("At least 12 characters; a few words in a row are fine.")
                    />
                    <button class="button primary">{t!("Create administrator")}</button>
                </form>
            </Plain>
        }
        .into_any())
    })
}

/// `/sign-in`
#[component]
pub fn SignInPage() -> impl IntoView {
    let next = query("next").unwrap_or_default();
    page(async move {
        let flash = flash_of("sign-in");
        let left = flash_of("sign-out");
        let waits = read_first_run(String::new()).await? == FirstRun::Waiting;
        Ok(view! {
            <Plain title=t!("Sign in")>
                {waits.then(|| view! {
                    <Notice tone=Tone::Calm title=t!("There is no administrator yet")>
                        <p>{t!("Open the one-time link that the server printed when it started, and create one.")}</p>
                    </Notice>
                })}
                <FormNotes flash=left/>
                <FormNotes flash=flash.clone()/>
                <form method="post" action="/rpc/sign-in" class="stack">
                    <Hidden name="next" value=next/>
                    <TextField flash=flash.clone() name="email" label=t!("E-mail address") kind="email" required=true autocomplete="username" autofocus=true/>
                    <TextField flash name="password" label=t!("Password") kind="password" required=true autocomplete="current-password"/>
                    <button class="button primary">{t!("Sign in")}</button>
                </form>
            </Plain>
        }
        .into_any())
    })
}
