//! What was posted to addresses that no listener has; administrators only.

use super::{page, param_as, query};
use crate::{
    domain::{id::NotificationId, pages::listeners::RefusalRow},
    rpc::{
        lists::{find_strays, read_stray},
        people::read_viewer,
    },
    ui::{
        components::{Ago, Empty, Fields, Moment, Notice, Octets, Tone, fact},
        format::{bytes, count},
        shell::{Frame, Section},
    },
    words::{reworded, t, tell},
};
use leptos::prelude::*;

/// `/unknown`
#[component]
pub fn StraysPage() -> impl IntoView {
    let after = query("after").and_then(|id| id.parse::<NotificationId>().ok());
    page(async move {
        let viewer = read_viewer().await?;
        let list = find_strays(after).await?;
        let rows: Vec<_> = list.rows.iter().map(row).collect();
        let content = if rows.is_empty() {
            view! {
                <Empty title=t!("Nothing came to an unknown address")>
                    <p>{t!("Where a gateway's settings hold an address with a mistake in it, what it posts shows here: with the message one can tell whose it is.")}</p>
                </Empty>
            }
            .into_any()
        } else {
            view! {
                <p>{t!("These were posted to addresses that no listener has, and answered with 404. Somebody has probably made a mistake in a gateway's settings. The last 500 are kept.")}</p>
                <div class="table">
                    <table class="stacking rows compact">
                        <thead>
                            <tr>
                                <th scope="col">{t!("Address")}</th>
                                <th scope="col">{t!("From")}</th>
                                <th scope="col" class="number">{t!("Size")}</th>
                                <th scope="col" class="number">{t!("Like it, not kept")}</th>
                                <th scope="col">{t!("Came")}</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        };
        let older = list.next.map(|next| {
            view! { <a class="button" rel="next" href=format!("/unknown?after={next}")>{t!("Older messages")}</a> }
        });
        let newest = after.is_some().then(|| view! { <a class="button plain" href="/unknown">{t!("Newest")}</a> });
        Ok(view! {
            <Frame viewer section=Section::Strays title=t!("Unknown addresses")>
                <div class="stack">
                    {content}
                    <nav class="pager" aria-label=t!("Pages")>{newest}{older}</nav>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn row(row: &RefusalRow) -> AnyView {
    let shown = if row.detail.is_empty() { tell(row.reason.label()).to_owned() } else { reworded(&row.detail) };
    view! {
        <tr id=format!("stray-{}", row.id)>
            <td><a class="clip" href=format!("/unknown/{}", row.id)>{shown}</a></td>
            <td data-label=t!("From") class="labelled">{row.peer.clone()}</td>
            <td data-label=t!("Size") class="number">{bytes(row.size)}</td>
            <td data-label=t!("Like it, not kept") class="number labelled">{count(row.suppressed.into())}</td>
            <td data-label=t!("Came")><Ago at=row.at/></td>
        </tr>
    }
    .into_any()
}

/// `/unknown/{stray}`
#[component]
pub fn StrayPage() -> impl IntoView {
    let id = param_as("stray");
    page(async move {
        let viewer = read_viewer().await?;
        let found = read_stray(id?).await?;
        let row = found.refusal.clone();
        let crumbs = vec![(t!("Unknown addresses").to_owned(), "/unknown".to_owned())];
        Ok(view! {
            <Frame viewer section=Section::Strays title=t!("Message to an unknown address") crumbs>
                <div class="stack">
                    <Notice tone=Tone::Bad title=tell(row.reason.label())>
                        <p>{tell(row.reason.sentence())}</p>
                        {(!row.detail.is_empty()).then(|| view! { <p>{reworded(&row.detail)}</p> })}
                        <p><strong>{t!("What to do:")}" "</strong>{tell(row.reason.cure())}</p>
                    </Notice>
                    <dl class="facts panel">
                        {fact(t!("Refused"), view! { <Moment at=row.at/> })}
                        {fact(t!("From"), row.peer.clone())}
                        {fact(t!("Answered with"), row.reason.status().to_string())}
                        {fact(t!("Size"), bytes(row.size))}
                        {fact(t!("Like it, not kept"), row.suppressed.to_string())}
                    </dl>
                    <section class="panel">
                        <Octets label=t!("Head") text=found.head.clone()/>
                        <Octets label=t!("Body") text=found.body.clone()/>
                        <Fields fields=found.fields/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
