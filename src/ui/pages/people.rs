//! Users: who may sign in, and invitations.

use super::{any_flash, flash_of, form_key, page, query};
use crate::{
    domain::pages::{
        dashboard::MerchantRef,
        flash::Flash,
        people::{Standing, UserChoices, UserFilter, UserList, UserRow},
    },
    rpc::{people::read_viewer, users::read_users},
    ui::{
        components::{Ago, Copy, Empty, FormNotes, Icon, Notice, SelectField, TextField, Tone, first_wrong, note},
        shell::{Frame, Section},
    },
    words::{t, tell},
};
use leptos::prelude::*;

/// `/people`
#[component]
pub fn PeoplePage() -> impl IntoView {
    let filter = UserFilter { text: query("text").unwrap_or_default(), after: query("after").filter(|after| !after.is_empty()) };
    page(async move {
        let viewer = read_viewer().await?;
        let list = read_users(filter.clone()).await?;
        let flash = flash_of("invite");
        let actions = view! { <a class="button" href="/roles"><Icon name="shield"/>{t!("Who may what")}</a> }.into_any();
        Ok(view! {
            <Frame viewer section=Section::People title=t!("People") actions=Some(actions)>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <NewLink flash=any_flash()/>
                    <form method="get" action="/people" class="filter" role="search">
                        <div class="field grow">
                            <label for="text">{t!("Search")}</label>
                            <input id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false" placeholder=t!("A part of the e-mail address") data-search=""/>
                        </div>
                        <button class="button">{t!("Search")}</button>
                    </form>
                    {table(&filter, &list)}
                    <section class="panel narrow" aria-labelledby="invite">
                        <h2 id="invite">{t!("Invite somebody")}</h2>
                        <p class="muted">{t!("You get a link to send on, by which the person chooses a password. It works once and for seven days.")}</p>
                        <form method="post" action="/rpc/users/invite" class="stack">
                            {form_key()}
                            <TextField flash=flash.clone() name="email" label=t!("E-mail address") kind="email" required=true/>
                            <Rights flash choices=list.choices role=String::new() merchants=Vec::new()/>
                            <div class="actions"><button class="button primary">{t!("Make invitation link")}</button></div>
                        </form>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// The fields for role and merchants.
#[component]
pub fn Rights(flash: Flash, choices: UserChoices, role: String, merchants: Vec<MerchantRef>) -> impl IntoView {
    let role = if role.is_empty() { "support".to_owned() } else { role };
    let roles = choices.roles.iter().map(|role| (role.name().to_owned(), tell(role.label()).to_owned())).collect();
    // What was typed, or what is stored.
    let typed: Option<Vec<String>> = flash.value("merchants").map(|typed| typed.split(' ').map(str::to_owned).collect());
    let error = flash.error("merchants").map(str::to_owned);
    let (is_wrong, focus) = (error.is_some(), first_wrong(&flash) == Some("merchants"));
    let boxes: Vec<_> = choices
        .merchants
        .iter()
        .enumerate()
        .map(|(at, merchant)| {
            let checked = match &typed {
                Some(typed) => typed.contains(&merchant.slug),
                None => merchants.contains(merchant),
            };
            view! {
                <label class="check">
                    <input type="checkbox" name=format!("merchants[{at}]") value=merchant.slug.clone() checked=checked autofocus=focus && at == 0/>
                    <span>{merchant.name.clone()}</span>
                </label>
            }
        })
        .collect();
    let hint =
        t!("A merchant person needs at least one. Support that is tied to none sees every merchant; administrators always do.");
    view! {
        <SelectField flash name="role" label=t!("Role") options=roles value=role/>
        <fieldset class="field" class:wrong=is_wrong aria-describedby=if is_wrong { "merchants-error" } else { "merchants-hint" }>
            <legend>{t!("Merchants")}</legend>
            <div class="choices">{boxes}</div>
            {note("merchants", error, hint.to_owned())}
        </fieldset>
    }
}

/// A link that was just made: it is shown this once.
#[component]
pub fn NewLink(flash: Flash) -> impl IntoView {
    flash.link.map(|(email, link)| {
        view! {
            <Notice tone=Tone::Warn title=t!("Copy the link for {email} now: it is shown this once", email)>
                <p class="secret"><span class="code">{link.clone()}</span><Copy text=link what=t!("link")/></p>
                <p>{t!("Send it to the person yourself. It works once and for seven days; whoever has it can choose the password.")}</p>
            </Notice>
        }
    })
}

fn table(filter: &UserFilter, list: &UserList) -> AnyView {
    if list.rows.is_empty() {
        let (title, text) = match filter == &UserFilter::default() {
            true => (t!("Nobody yet"), t!("Invite the first person below.")),
            false => (t!("Nobody fits"), t!("Search for a shorter part of the address.")),
        };
        return view! { <Empty title><p>{text}</p></Empty> }.into_any();
    }
    let rows: Vec<_> = list.rows.iter().map(row).collect();
    let next = list.rows.last().filter(|_| list.more).map(|last| {
        let next = UserFilter { after: Some(last.email.clone()), ..filter.clone() };
        view! { <a class="button" rel="next" href=format!("/people{}", next.query())>{t!("Further people")}</a> }
    });
    let first = filter.after.is_some().then(|| {
        let first = UserFilter { after: None, ..filter.clone() };
        view! { <a class="button" href=format!("/people{}", first.query())>{t!("From the beginning")}</a> }
    });
    view! {
        <div class="table">
            <table class="stacking rows">
                <thead><tr>
                    <th scope="col">{t!("Person")}</th><th scope="col">{t!("Role")}</th><th scope="col">{t!("Merchants")}</th>
                    <th scope="col">{t!("Standing")}</th><th scope="col">{t!("Last seen")}</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        <nav class="pager" aria-label=t!("Pages")>{first}{next}</nav>
    }
    .into_any()
}

fn row(user: &UserRow) -> AnyView {
    view! {
        <tr>
            <td><a href=format!("/people/{}", user.id)>{user.email.clone()}</a></td>
            <td data-label=t!("Role")>{tell(user.role.label())}</td>
            <td data-label=t!("Merchants")>{belongs_to(user)}</td>
            <td data-label=t!("Standing")><StandingBadge standing=user.standing/></td>
            <td data-label=t!("Last seen")>{match user.seen_at {
                Some(at) => view! { <Ago at/> }.into_any(),
                None => view! { <span class="muted">{t!("not signed in")}</span> }.into_any(),
            }}</td>
        </tr>
    }
    .into_any()
}

/// The merchants of a user in words.
pub fn belongs_to(user: &UserRow) -> String {
    match (user.role.needs_merchant(), user.merchants.as_slice()) {
        (false, []) => t!("every merchant").to_owned(),
        (true, []) => t!("none").to_owned(),
        (_, merchants) => merchants.iter().map(|merchant| merchant.name.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// How somebody stands, as icon and word.
#[component]
pub fn StandingBadge(standing: Standing) -> impl IntoView {
    let (tone, icon, word) = match standing {
        Standing::Active => ("good", "check", t!("Active")),
        Standing::Invited => ("calm", "clock", t!("Invited")),
        Standing::Lapsed => ("warn", "alert", t!("Invitation lapsed")),
        Standing::Disabled => ("quiet", "cross", t!("Disabled")),
    };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{word}</span> }
}
