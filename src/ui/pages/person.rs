//! One user: rights, links, whether he may sign in.

use super::{
    any_flash, flash_of, form_key, page, param_as,
    people::{NewLink, Rights, StandingBadge, belongs_to},
};
use crate::{
    domain::pages::{
        flash::Flash,
        people::{Standing, UserPage},
    },
    rpc::{people::read_viewer, users::read_user},
    ui::{
        components::{Confirm, ConflictNote, FormNotes, Hidden, Moment, Version, fact, save_label},
        shell::{Frame, Section},
    },
    words::{t, tell},
};
use leptos::prelude::*;

/// `/people/{user}`
#[component]
pub fn PersonPage() -> impl IntoView {
    let id = param_as("user");
    page(async move {
        let viewer = read_viewer().await?;
        let found = read_user(id?).await?;
        let flash = flash_of("user");
        let all = any_flash();
        let crumbs = vec![(t!("People").to_owned(), "/people".to_owned())];
        let here = format!("/people/{}", found.user.id);
        let link_until = found.user.link_until.map(|at| fact(t!("Link works until (UTC)"), view! { <Moment at/> }));
        Ok(view! {
            <Frame viewer section=Section::People title=found.user.email.clone() crumbs>
                <div class="stack narrow">
                    <FormNotes flash=all.clone()/>
                    <NewLink flash=all/>
                    <ConflictNote flash=flash.clone() page=here/>
                    <dl class="facts panel">
                        {fact(t!("Standing"), view! { <StandingBadge standing=found.user.standing/> })}
                        {fact(t!("Role"), tell(found.user.role.label()))}
                        {fact(t!("Merchants"), belongs_to(&found.user))}
                        {link_until}
                    </dl>
                    {rights(&found, &flash)}
                    {signing_in(&found)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn rights(found: &UserPage, flash: &Flash) -> impl IntoView + use<> {
    let user = &found.user;
    let save = save_label(flash, t!("Save"));
    let own = found
        .is_self
        .then(|| view! { <p class="muted">{t!("This is you: what you take away from yourself you cannot give back.")}</p> });
    view! {
        <section class="panel" aria-labelledby="rights">
            <h2 id="rights">{t!("Rights")}</h2>
            {own}
            <form method="post" action="/rpc/users/save" class="stack">
                <Hidden name="user" value=user.id.to_string()/>
                {form_key()}
                <Version flash=flash.clone() version=found.version/>
                <Rights flash=flash.clone() choices=found.choices.clone() role=user.role.name().to_owned() merchants=user.merchants.clone()/>
                <div class="actions"><button class="button primary">{save}</button><a class="button plain" href="/roles">{t!("Who may what")}</a></div>
            </form>
        </section>
    }
}

fn signing_in(found: &UserPage) -> impl IntoView + use<> {
    let user = &found.user;
    let (id, email) = (user.id.to_string(), user.email.clone());
    let is_invited = matches!(user.standing, Standing::Invited | Standing::Lapsed);
    let is_disabled = user.standing == Standing::Disabled;
    let (text, button) = match is_invited {
        true => (
            t!("The invitation was not accepted yet. A new link takes the place of the one before."),
            t!("Make a new invitation link"),
        ),
        false => (
            t!(
                "A forgotten password is replaced by a link, which works once and for seven days. The old password works until then."
            ),
            t!("Make a link for a new password"),
        ),
    };
    let link = (!is_disabled).then(|| {
        let (user, id) = (id.clone(), id.clone());
        let withdraw = (is_invited || found.user.link_until.is_some()).then(|| {
            let consequence = match is_invited {
                true => t!("{email} cannot join by it any more, and leaves the list.", email),
                false => t!("The link does not work any more; the password stays as it is.").to_owned(),
            };
            view! {
                <Confirm id="withdraw" label=t!("Withdraw") icon="bin" title=t!("Withdraw the link?") consequence action="/rpc/users/withdraw" verb=t!("Withdraw") danger=true>
                    <Hidden name="user" value=id/>
                </Confirm>
            }
        });
        view! {
            <p class="muted">{text}</p>
            <div class="row">
                <form method="post" action="/rpc/users/link">
                    <Hidden name="user" value=user/>
                    {form_key()}
                    <button class="button">{button}</button>
                </form>
                {withdraw}
            </div>
        }
    });
    let switch = match (is_disabled, is_invited) {
        (true, _) => view! {
            <form method="post" action="/rpc/users/disable">
                <Hidden name="user" value=id/>
                <Hidden name="disabled" value="false"/>
                <button class="button">{t!("Enable")}</button>
            </form>
        }
        .into_any(),
        (false, true) => ().into_any(),
        (false, false) => view! {
            <div class="row">
                <Confirm
                    id="disable" label=t!("Disable") icon="cross" title=t!("Disable this user?") danger=true
                    consequence=t!("All sessions end at once, and nobody can sign in with this address until you enable it again. What was done stays in the audit log.")
                    action="/rpc/users/disable" verb=t!("Disable")
                >
                    <Hidden name="user" value=id/>
                    <Hidden name="disabled" value="true"/>
                </Confirm>
            </div>
        }
        .into_any(),
    };
    view! {
        <section class="panel" aria-labelledby="signing-in">
            <h2 id="signing-in">{t!("Signing in")}</h2>
            {link}
            {switch}
        </section>
    }
}
