//! One refused message: why, and what came.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    domain::role::Permission,
    rpc::listeners::read_refusal,
    ui::{
        components::{Fields, FormNotes, Masked, MaskedNote, Moment, Notice, Octets, Revealed, Tone, fact},
        format::bytes,
        shell::{Frame, Section},
    },
    words::{reworded, t, tell},
};
use leptos::prelude::*;

/// `/m/{merchant}/refused/{refusal}`
#[component]
pub fn RefusalPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("refusal"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_refusal(slug.clone(), id?).await?;
        let row = found.refusal.clone();
        let crumbs = vec![
            (t!("Listeners").to_owned(), format!("/m/{slug}/listeners")),
            (found.listener.label.clone(), format!("/m/{slug}/listeners/{}", found.listener.id)),
        ];
        let detail = reworded(&row.detail);
        let masked = (!viewer.may(Permission::SeePersonalData)).then(|| Masked {
            merchant: slug.clone(),
            of: "refusal",
            thing: row.id.to_string(),
            number: 0,
        });
        let is_masked = masked.is_some();
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=t!("Refused message") crumbs>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Revealed flash=any_flash()/>
                    <Notice tone=Tone::Bad title=tell(row.reason.label())>
                        <p>{tell(row.reason.sentence())}</p>
                        {(!detail.is_empty()).then(|| view! { <p>{detail}</p> })}
                        <p><strong>{t!("What to do:")}" "</strong>{tell(row.reason.cure())}</p>
                    </Notice>
                    <dl class="facts panel">
                        {fact(t!("Refused"), view! { <Moment at=row.at/> })}
                        {fact(t!("From"), reworded(&row.peer))}
                        {fact(t!("Answered with"), row.reason.status().to_string())}
                        {fact(t!("Size"), bytes(row.size))}
                        {fact(t!("Like it, not kept"), row.suppressed.to_string())}
                    </dl>
                    <section class="panel">
                        {is_masked.then(|| view! { <MaskedNote/> })}
                        <Octets label=t!("Head") text=found.head.clone()/>
                        <Octets label=t!("Body") text=found.body.clone()/>
                        <Fields fields=found.fields masked/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
