//! One message that waits for its gateway's word: what came, and when the gateway is asked.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    domain::{pages::inbound::VerifyingRow, role::Permission},
    rpc::lists::read_verifying,
    ui::{
        components::{Ago, Fields, FormNotes, Hidden, MaskedNote, Moment, Notice, Octets, Tone, fact},
        format::{bytes, counted},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/verifying/{verifying}`
#[component]
pub fn VerifyingPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("verifying"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_verifying(slug.clone(), id?).await?;
        let row = found.row.clone();
        let asked = asked(&row);
        let gateway = found.listener.gateway_label.clone();
        let crumbs = vec![
            ("Listeners".to_owned(), format!("/m/{slug}/listeners")),
            (found.listener.label.clone(), format!("/m/{slug}/listeners/{}", found.listener.id)),
        ];
        let is_masked = !viewer.may(Permission::SeePersonalData);
        let subject = Subject::Listener(slug.clone(), found.listener.id);
        let ask = found.may_ask.then(|| {
            view! {
                <form method="post" action="/rpc/inbound/ask" class="actions">
                    <Hidden name="merchant" value=slug.clone()/>
                    <Hidden name="verifying" value=row.id.to_string()/>
                    <button class="button">"Ask now"</button>
                </form>
            }
        });
        let repeats = (row.repeats > 0)
            .then(|| fact("Came again", format!("{}, and was acknowledged again", counted(row.repeats.into(), "time", "times"))));
        let order = (!row.reference.is_empty())
            .then(|| fact("Names the order", view! { <span class="code"><bdi>{row.reference.clone()}</bdi></span> }));
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title="Message being verified" crumbs>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Live subject>
                        <Notice tone=Tone::Calm title="Verifying">
                            <p>{format!("The message is kept and acknowledged. {gateway} is asked whether it is true; until it has said so, nothing of it counts and nothing is delivered.")}</p>
                            {asked}
                        </Notice>
                        <dl class="facts panel">
                            {fact("Received", view! { <Moment at=row.received_at/> })}
                            {fact("From", row.peer.clone())}
                            {fact("Asked at", found.asked_at.clone())}
                            {order}
                            {fact("Size", bytes(row.size))}
                            {repeats}
                        </dl>
                    </Live>
                    {ask}
                    <section class="panel">
                        {is_masked.then(|| view! { <MaskedNote/> })}
                        <Octets label="Head" text=found.head.clone()/>
                        <Octets label="Body" text=found.body.clone()/>
                        <Fields fields=found.fields masked=None/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// How often it was asked, what came of it, and when it is asked again.
fn asked(row: &VerifyingRow) -> AnyView {
    let Some(at) = row.asked_at else { return view! { <p>"It is being asked for the first time."</p> }.into_any() };
    let times = counted(row.asked.into(), "time", "times");
    let next = row.next_at;
    if row.note.is_empty() {
        return view! { <p>{format!("Asked {times}, the last time ")}<Ago at/>"."</p> }.into_any();
    }
    view! {
        <p>{format!("Asked {times}, the last time ")}<Ago at/>": "<bdi>{row.note.clone()}</bdi></p>
        <p>"It is asked again "<Ago at=next/>"."</p>
    }
    .into_any()
}
