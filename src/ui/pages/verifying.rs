//! One message that waits for its gateway's word: what came, and when the gateway is asked.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    domain::{pages::inbound::VerifyingRow, role::Permission},
    rpc::lists::read_verifying,
    ui::{
        components::{Ago, Fields, FormNotes, Hidden, Masked, MaskedNote, Moment, Notice, Octets, Revealed, Tone, fact},
        format::bytes,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{reworded, rich, t, tn},
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
            (t!("Listeners").to_owned(), format!("/m/{slug}/listeners")),
            (found.listener.label.clone(), format!("/m/{slug}/listeners/{}", found.listener.id)),
        ];
        let masked = (!viewer.may(Permission::SeePersonalData)).then(|| Masked {
            merchant: slug.clone(),
            of: "verifying",
            thing: row.id.to_string(),
            number: 0,
        });
        let is_masked = masked.is_some();
        let subject = Subject::Listener(slug.clone(), found.listener.id);
        let ask = found.may_ask.then(|| {
            view! {
                <form method="post" action="/rpc/inbound/ask" class="actions">
                    <Hidden name="merchant" value=slug.clone()/>
                    <Hidden name="verifying" value=row.id.to_string()/>
                    <button class="button">{t!("Ask now")}</button>
                </form>
            }
        });
        let repeats = (row.repeats > 0).then(|| {
            fact(
                t!("Came again"),
                tn!("{count} time, and was acknowledged again", "{count} times, and was acknowledged again", row.repeats.into()),
            )
        });
        let order = (!row.reference.is_empty())
            .then(|| fact(t!("Names the order"), view! { <span class="code"><bdi>{row.reference.clone()}</bdi></span> }));
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=t!("Message being verified") crumbs>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Revealed flash=any_flash()/>
                    <Live subject>
                        <Notice tone=Tone::Calm title=t!("Verifying")>
                            <p>{t!("The message is kept and acknowledged. {gateway} is asked whether it is true; until it has said so, nothing of it counts and nothing is delivered.", gateway)}</p>
                            {asked}
                        </Notice>
                        <dl class="facts panel">
                            {fact(t!("Received"), view! { <Moment at=row.received_at/> })}
                            {fact(t!("From"), reworded(&row.peer))}
                            {fact(t!("Asked at"), found.asked_at.clone())}
                            {order}
                            {fact(t!("Size"), bytes(row.size))}
                            {repeats}
                        </dl>
                    </Live>
                    {ask}
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

/// How often it was asked, what came of it, and when it is asked again.
fn asked(row: &VerifyingRow) -> AnyView {
    let Some(at) = row.asked_at else { return view! { <p>{t!("It is being asked for the first time.")}</p> }.into_any() };
    let times = tn!("{count} time", "{count} times", row.asked.into());
    let next = row.next_at;
    if row.note.is_empty() {
        return view! { <p>{rich!("Asked {times}, the last time {time}.", time = view! { <Ago at/> }; times)}</p> }.into_any();
    }
    view! {
        <p>{rich!("Asked {times}, the last time {time}:", time = view! { <Ago at/> }; times)}" "<bdi>{reworded(&row.note)}</bdi></p>
        <p>{rich!("It is asked again {time}.", time = view! { <Ago at=next/> })}</p>
    }
    .into_any()
}
