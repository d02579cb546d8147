//! Who may what: the table that the server functions ask, written out.

use super::page;
use crate::{
    domain::role::{Permission, Role},
    rpc::people::read_viewer,
    ui::{
        components::Icon,
        shell::{Frame, Section},
    },
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
                let you = (role == own).then(|| view! { <span class="badge quiet">"you"</span> });
                view! { <th scope="col">{role.label()}" "{you}</th> }
            })
            .collect();
        let scopes: Vec<_> =
            Role::ALL.into_iter().map(|role| view! { <td data-label=role.label()>{role.scope()}</td> }).collect();
        let rows: Vec<_> = Permission::ALL.into_iter().map(row).collect();
        Ok(view! {
            <Frame viewer section title="Who may what">
                <div class="stack">
                    <p class="muted">"Every page and every form asks this table, on the server. A merchant that somebody does not belong to is to him as if it did not exist."</p>
                    <div class="table">
                        <table class="stacking roles">
                            <thead><tr><th scope="col">"What"</th>{heads}</tr></thead>
                            <tbody>
                                <tr><th scope="row">"Whose data"</th>{scopes}</tr>
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
            let (tone, icon, word) = if may { ("good", "check", "Yes") } else { ("quiet", "cross", "No") };
            let remark = role.remark(permission).map(|remark| view! { <span class="muted">{remark}</span> });
            view! {
                <td data-label=role.label()>
                    <div class="url-line"><span><span class=format!("badge {tone}")><Icon name=icon/>{word}</span></span>{remark}</div>
                </td>
            }
        })
        .collect();
    view! { <tr><th scope="row">{permission.label()}</th>{cells}</tr> }
}
