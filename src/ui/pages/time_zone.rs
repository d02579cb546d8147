//! *System settings › Time zone* of a merchant.

use super::{flash_of, page, param, viewer_at};
use crate::{
    rpc::lists::read_time_zone,
    ui::{
        components::{ConflictNote, FormNotes, Hidden, Moment, Version, now, save_label},
        shell::{Frame, Section},
    },
    words::{rich, t},
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/time-zone`
#[component]
pub fn TimeZonePage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let settings = read_time_zone(slug.clone()).await?;
        let (flash, here) = (flash_of("time-zone"), format!("/m/{slug}/settings/time-zone"));
        let shown = flash.value("time_zone").map_or(settings.zone, str::to_owned);
        let save = save_label(&flash, t!("Save"));
        let error = flash.error("time_zone").map(str::to_owned);
        let is_wrong = error.is_some();
        let options: Vec<_> = settings.names.into_iter().map(|name| view! { <option value=name></option> }).collect();
        let described = if is_wrong { "time_zone-error" } else { "time_zone-hint" };
        let note = match error {
            Some(error) => view! { <p class="error" id="time_zone-error">{error}</p> }.into_any(),
            None => view! { <p class="hint" id="time_zone-hint">{t!("A place like Europe/Bucharest or America/New_York; UTC is fine, too.")}</p> }.into_any(),
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::TimeZone title=t!("Time zone")>
                <div class="stack narrow">
                    <FormNotes flash=flash.clone()/>
                    <ConflictNote flash=flash.clone() page=here/>
                    <p>{rich!(
                        "Exact times, the days of filters, the chart of the dashboard and exported lists are told by the clocks of this place. Here it is {time}.",
                        time = view! { <Moment at=now()/> }
                    )}</p>
                    <form method="post" action="/rpc/merchants/time-zone" class="stack panel">
                        <Hidden name="merchant" value=slug/>
                        <Version flash version=settings.version/>
                        <div class="field" class:wrong=is_wrong>
                            <label for="time_zone">{t!("Time zone")}</label>
                            <input
                                id="time_zone" name="time_zone" type="text" list="zones" value=shown required=true autocomplete="off"
                                spellcheck="false" autofocus=is_wrong aria-invalid=is_wrong.then_some("true") aria-describedby=described
                            />
                            <datalist id="zones">{options}</datalist>
                            {note}
                        </div>
                        <div class="actions"><button class="button primary">{save}</button></div>
                    </form>
                </div>
            </Frame>
        }
        .into_any())
    })
}
