//! *IPN settings › What is sent*: triggers and response tags.

use super::{any_flash, flash_of, form_key, page, param, settings::Tabs, viewer_at};
use crate::{
    domain::{
        Tags, Triggers,
        content::{FORCED_TAGS, TAG_GROUPS},
        pages::{flash::Flash, settings::IpnSettings},
    },
    rpc::urls::read_settings,
    ui::{
        components::{ConflictNote, FormNotes, Hidden, TextArea, Tick, TickGroup, TriggerChoice, Version, save_label},
        shell::{Frame, Section},
    },
    words::{t, tell},
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/content`
#[component]
pub fn ContentPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let settings = read_settings(slug.clone()).await?;
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings")>
                <Tabs slug=slug.clone() current="content"/>
                <div class="stack narrow">
                    <FormNotes flash=any_flash()/>
                    {if settings.may_change { form(slug, &settings) } else { read_only(&settings) }}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn read_only(settings: &IpnSettings) -> AnyView {
    let tags = settings.tags.names().map_or_else(
        || t!("All fields of a notification leave.").to_owned(),
        |names| t!("These fields leave: {forced}, {chosen}.", forced = FORCED_TAGS.join(", "), chosen = names.replace(',', ", ")),
    );
    view! {
        <section class="panel">
            <h2>{t!("Triggers")}</h2><p>{t!("Sent are {statuses}.", statuses = tell(&settings.triggers.words()))}</p>
            <h2>{t!("Response tags")}</h2><p>{tags}</p>
        </section>
    }
    .into_any()
}

fn form(slug: String, settings: &IpnSettings) -> AnyView {
    let flash = flash_of("content");
    let is_entered =
        flash.value("entered").is_some() && (!flash.errors.is_empty() || flash.problem.is_some() || flash.conflict.is_some());
    let entered = |name: &str| flash.value(name).unwrap_or_default().to_owned();
    let (triggers, only, tags) = if is_entered {
        (entered("triggers").parse().unwrap_or(Triggers::NONE), entered("only") == "true", Tags::only(&entered("tags")))
    } else {
        (settings.triggers, settings.tags != Tags::All, settings.tags.clone())
    };
    let others = if is_entered { entered("other_tags") } else { settings.tags.others().join("\n") };
    let (save, version, here) = (save_label(&flash, t!("Save")), settings.version, format!("/m/{slug}/settings/content"));
    view! {
        <ConflictNote flash=flash.clone() page=here/>
        <form method="post" action="/rpc/settings/content" class="stack">
            <Hidden name="merchant" value=slug/>
            <Version flash=flash.clone() version/>
            {form_key()}
            <section class="panel stack" aria-labelledby="triggers">
                <h2 id="triggers">{t!("Triggers")}</h2>
                <p>{t!("A notification whose status is not ticked is accepted and kept, and goes to no URL. A URL can have triggers of its own, under Advanced.")}</p>
                <TriggerChoice flash=flash.clone() legend=t!("Statuses that are sent") chosen=triggers hint=t!("Words of other gateways count as the word that means the same.")/>
            </section>
            <section class="panel stack" aria-labelledby="tags">
                <h2 id="tags">{t!("Response tags")}</h2>
                <p>{t!("Which fields leave. The signature is made over what leaves, so your scripts need no change.")}</p>
                {which(only)}
                {groups(&tags)}
                <TextArea
                    flash=Flash { values: Vec::new(), ..flash } name="other_tags" label=t!("More fields, by name") value=others rows=2 placeholder="MY_FIELD"
                    hint=t!("Fields that no group has, separated by spaces or lines, without brackets.")
                />
            </section>
            <div class="actions"><button class="button primary">{save}</button></div>
        </form>
    }
    .into_any()
}

fn which(only: bool) -> impl IntoView {
    view! {
        <fieldset class="field">
            <legend>{t!("Fields that leave")}</legend>
            <div class="choices">
                <label class="check choice"><input type="radio" name="only" value="false" checked=!only/><span>{t!("All that are received")}<span class="hint">{t!("Also what a gateway adds later.")}</span></span></label>
                <label class="check choice"><input type="radio" name="only" value="true" checked=only/><span>{t!("Only those ticked below")}<span class="hint">{t!("Less data at your scripts; new fields stay here until you tick them.")}</span></span></label>
            </div>
        </fieldset>
    }
}

fn groups(tags: &Tags) -> impl IntoView + use<> {
    let forced: Vec<_> =
        FORCED_TAGS.iter().map(|name| view! { <Tick name="forced" value=*name checked=true label=*name fixed=true/> }).collect();
    let groups: Vec<_> = TAG_GROUPS
        .iter()
        .map(|(title, names)| {
            let names: Vec<_> = names.split_ascii_whitespace().collect();
            let ticked = names.iter().filter(|name| tags.takes(name)).count();
            let boxes: Vec<_> = names
                .iter()
                .map(|name| view! { <Tick name="tags[]" value=*name checked=tags.takes(name) label=*name/> })
                .collect();
            view! { <TickGroup title=tell(title) count=(ticked, names.len())>{boxes}</TickGroup> }
        })
        .collect();
    view! {
        <div>
            <TickGroup title=t!("Always sent") count=(FORCED_TAGS.len(), FORCED_TAGS.len())>
                {forced}
                <p class="hint">{t!("Without these a message names no order, its receipt could not be checked, or a TEST order would look real.")}</p>
            </TickGroup>
            {groups}
        </div>
    }
}
