//! One refused message: why, and what came.

use super::{page, param, param_as, viewer_at};
use crate::{
    rpc::listeners::read_refusal,
    ui::{
        components::{Fields, Moment, Notice, Octets, Tone, fact},
        format::bytes,
        shell::{Frame, Section},
    },
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
            ("Listeners".to_owned(), format!("/m/{slug}/listeners")),
            (found.listener.label.clone(), format!("/m/{slug}/listeners/{}", found.listener.id)),
        ];
        let detail = row.detail.clone();
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title="Refused message" crumbs>
                <div class="stack">
                    <Notice tone=Tone::Bad title=row.reason.label()>
                        <p>{row.reason.sentence()}</p>
                        {(!detail.is_empty()).then(|| view! { <p>{detail}</p> })}
                        <p><strong>"What to do: "</strong>{row.reason.cure()}</p>
                    </Notice>
                    <dl class="facts panel">
                        {fact("Refused", view! { <Moment at=row.at/> })}
                        {fact("From", row.peer.clone())}
                        {fact("Answered with", row.reason.status().to_string())}
                        {fact("Size", bytes(row.size))}
                        {fact("Like it, not kept", row.suppressed.to_string())}
                    </dl>
                    <section class="panel">
                        <Octets label="Head" text=found.head.clone()/>
                        <Octets label="Body" text=found.body.clone()/>
                        <Fields fields=found.fields/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
