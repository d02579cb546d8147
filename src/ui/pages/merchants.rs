//! Merchants, for administrators.

use super::{flash_of, form_key, page};
use crate::{
    domain::pages::settings::MerchantRow,
    rpc::{merchants::read_merchants, people::read_viewer},
    ui::{
        components::{Ago, Empty, FormNotes, TextField},
        shell::{Frame, Section},
    },
    words::t,
};
use leptos::prelude::*;

/// `/merchants`
#[component]
pub fn MerchantsPage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        let merchants = read_merchants().await?;
        let flash = flash_of("merchant");
        let welcome = flash_of("set-up");
        Ok(view! {
            <Frame viewer section=Section::Merchants title=t!("Merchants")>
                <div class="stack">
                    <FormNotes flash=welcome/>
                    <FormNotes flash=flash.clone()/>
                    {list(&merchants)}
                    <section class="panel narrow" aria-labelledby="add">
                        <h2 id="add">{t!("Add a merchant")}</h2>
                        <form method="post" action="/rpc/merchants/add" class="stack">
                            {form_key()}
                            <TextField flash=flash.clone() name="name" label=t!("Name") required=true autofocus=merchants.is_empty()/>
                            <TextField
                                flash name="secret_key" label=t!("Secret key") kind="password" autocomplete="new-password"
                                hint=t!("Signs what is sent to the merchant's scripts. Enter the key that they use already, or leave it empty to have one made.")
                            />
                            <div class="actions"><button class="button primary">{t!("Add merchant")}</button></div>
                        </form>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn list(merchants: &[MerchantRow]) -> AnyView {
    if merchants.is_empty() {
        return view! { <Empty title=t!("No merchants yet")><p>{t!("Add the first one below: its notifications, URLs and orders belong together.")}</p></Empty> }.into_any();
    }
    let rows: Vec<_> = merchants
        .iter()
        .map(|row| {
            view! {
                <tr>
                    <td><a href=format!("/m/{}", row.merchant.slug)>{row.merchant.name.clone()}</a></td>
                    <td data-label=t!("Notification URLs") class="number">{row.urls}</td>
                    <td data-label=t!("Listeners") class="number">{row.listeners}</td>
                    <td data-label=t!("Added")><Ago at=row.created_at/></td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="table">
            <table class="stacking rows">
                <thead><tr>
                    <th scope="col">{t!("Merchant")}</th><th scope="col" class="number">{t!("Notification URLs")}</th>
                    <th scope="col" class="number">{t!("Listeners")}</th><th scope="col">{t!("Added")}</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}
