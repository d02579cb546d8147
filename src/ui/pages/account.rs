//! One's own password and look.

use super::{any_flash, flash_of, page};
use crate::{
    domain::pages::people::OwnSession,
    rpc::people::{read_sessions, read_viewer},
    ui::{
        components::{Ago, FormNotes, Hidden, TextField, fact},
        shell::{Frame, Look, Section},
    },
    words::{Language, t, tell},
};
use leptos::prelude::*;

/// `/account`
#[component]
pub fn AccountPage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        let flash = flash_of("password");
        let sessions = read_sessions().await?;
        let theme = use_context::<Look>().and_then(|look| look.theme).unwrap_or("system");
        let choices: Vec<_> = [("system", t!("As the system")), ("light", t!("Light")), ("dark", t!("Dark"))]
            .into_iter()
            .map(|(value, name)| {
                let pressed = if value == theme { "true" } else { "false" };
                view! { <button class="button" name="theme" value=value aria-pressed=pressed>{name}</button> }
            })
            .collect();
        let merchants = match viewer.merchants.as_slice() {
            [] => t!("none").to_owned(),
            merchants => merchants.iter().map(|merchant| merchant.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        Ok(view! {
            <Frame viewer=viewer.clone() section=Section::Account title=t!("Account")>
                <div class="stack narrow">
                    <FormNotes flash=any_flash()/>
                    <dl class="facts panel">
                        {fact(t!("E-mail"), viewer.email.clone())}
                        {fact(t!("Role"), view! { {tell(viewer.role.label())}" · "<a href="/roles">{t!("who may what")}</a> })}
                        {fact(t!("Merchants"), merchants)}
                    </dl>
                    <section class="panel">
                        <h2>{t!("Look")}</h2>
                        <form method="post" action="/rpc/theme" class="row">
                            <Hidden name="next" value="/account"/>
                            {choices}
                        </form>
                    </section>
                    <section class="panel">
                        <h2>{t!("Language")}</h2>
                        <form method="post" action="/rpc/language" class="row">
                            <Hidden name="next" value="/account"/>
                            {languages(viewer.language)}
                        </form>
                    </section>
                    {own_sessions(&sessions)}
                    <section class="panel">
                        <h2>{t!("Password")}</h2>
                        <form method="post" action="/rpc/password" class="stack">
                            <TextField flash=flash.clone() name="current" label=t!("Current password") kind="password" required=true autocomplete="current-password"/>
                            <TextField
                                flash name="password" label=t!("New password") kind="password" required=true autocomplete="new-password"
                                hint=t!("At least 12 characters. Your other sessions end.")
                            />
                            <div class="actions"><button class="button primary">{t!("Change password")}</button></div>
                        </form>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// The languages to choose from, each in its own words; without a choice the browser decides.
fn languages(chosen: Option<Language>) -> Vec<AnyView> {
    let button = |code: &'static str, lang: Option<&'static str>, name: &'static str, pressed: bool| {
        let pressed = if pressed { "true" } else { "false" };
        view! { <button class="button" name="locale" value=code lang=lang aria-pressed=pressed>{name}</button> }.into_any()
    };
    let own = |language: Language| button(language.code(), Some(language.code()), language.name(), chosen == Some(language));
    [button("", None, t!("As the browser"), chosen.is_none())].into_iter().chain(Language::ALL.map(own)).collect()
}

fn own_sessions(sessions: &[OwnSession]) -> impl IntoView + use<> {
    let has_others = sessions.iter().any(|session| !session.is_this);
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| {
            let this = session.is_this.then(|| view! { " "<span class="badge quiet">{t!("this one")}</span> });
            let address = if session.address.is_empty() { "—".to_owned() } else { session.address.clone() };
            view! {
                <tr>
                    <td>{session.browser.clone()}{this}</td>
                    <td data-label=t!("From") class="code">{address}</td>
                    <td data-label=t!("Signed in")><Ago at=session.created_at/></td>
                    <td data-label=t!("Last seen")><Ago at=session.seen_at/></td>
                </tr>
            }
        })
        .collect();
    let end = has_others.then(|| {
        view! { <form method="post" action="/rpc/sessions/end-others"><button class="button">{t!("Sign out everywhere else")}</button></form> }
    });
    view! {
        <section class="panel" aria-labelledby="sessions">
            <h2 id="sessions">{t!("Where you are signed in")}</h2>
            <div class="table">
                <table class="stacking">
                    <thead><tr><th scope="col">{t!("Browser")}</th><th scope="col">{t!("From")}</th><th scope="col">{t!("Signed in")}</th><th scope="col">{t!("Last seen")}</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {end}
        </section>
    }
}
