//! Who may what: the table that the server functions ask, written out.

use super::page;
use crate::{
    domain::role::{Permission, Role},
    rpc::people::read_viewer,
    ui::{
        components::Icon,
        shell::{Frame, Section},
    },
    words::{t, tell},
};
use leptos::prelude::*;

/// `/roles`
#[component]
pub fn RolesPage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        let section = if viewer.may(Permission::ManagePeople) { Section::People } else { Section::Account };
        let own = viewer.role;
        let heads: Vec<_> = Role::ALL
            .into_iter()
            .map(|role| {
                let you = (role == own).then(|| view! { <span class="badge quiet">{t!("you")}</span> });
                view! { <th scope="col">{tell(role.label())}" "{you}</th> }
            })
            .collect();
        let scopes: Vec<_> =
            Role::ALL.into_iter().map(|role| view! { <td data-label=tell(role.label())>{tell(role.scope())}</td> }).collect();
        let rows: Vec<_> = Permission::ALL.into_iter().map(row).collect();
        Ok(view! {
            <Frame viewer section title=t!("Who may what")>
                <div class="stack">
                    <p class="muted">{t!("Every page and every form asks this table, on the server. A merchant that somebody does not belong to is to him as if it did not exist.")}</p>
                    <div class="table">
                        <table class="stacking roles">
                            <thead><tr><th scope="col">{t!("What")}</th>{heads}</tr></thead>
                            <tbody>
                                <tr><th scope="row">{t!("Whose data")}</th>{scopes}</tr>
                                {rows}
                            </tbody>
                        </table>
                    </div>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn row(permission: Permission) -> impl IntoView {
    let cells: Vec<_> = Role::ALL
        .into_iter()
        .map(|role| {
            let may = role.may(permission);
            let (tone, icon, word) = if may { ("good", "check", t!("Yes")) } else { ("quiet", "cross", t!("No")) };
            let remark = role.remark(permission).map(|remark| view! { <span class="muted">{tell(remark)}</span> });
            view! {
                <td data-label=tell(role.label())>
                    <div class="url-line"><span><span class=format!("badge {tone}")><Icon name=icon/>{word}</span></span>{remark}</div>
                </td>
            }
        })
        .collect();
    view! { <tr><th scope="row">{tell(permission.label())}</th>{cells}</tr> }
}
