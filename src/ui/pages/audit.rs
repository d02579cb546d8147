//! The audit log: who did what, when, and from where.

use super::{page, param, query, viewer_at};
use crate::{
    domain::{
        FieldError,
        audit::{ACTIONS, action_label},
        pages::audit::{AuditFilter, AuditLog, AuditRow},
        role::Permission,
        time::date,
    },
    rpc::{
        audit::{read_audit, read_whole_audit},
        people::read_viewer,
    },
    ui::{
        components::{Ago, Empty, Notice, Tone, changes},
        shell::{Frame, Section},
    },
    words::{reworded, t, tell},
};
use leptos::prelude::*;

/// `/audit`
#[component]
pub fn WholeAuditPage() -> impl IntoView {
    let (filter, mistakes) = AuditFilter::read(query);
    page(async move {
        let viewer = read_viewer().await?;
        let log = read_whole_audit(filter.clone()).await?;
        Ok(view! {
            <Frame viewer section=Section::Audit title=t!("Audit log of the installation")>
                {content("/audit", &filter, mistakes, &log, true)}
            </Frame>
        }
        .into_any())
    })
}

/// `/m/{merchant}/audit`
#[component]
pub fn AuditPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = AuditFilter::read(query);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let log = read_audit(slug.clone(), filter.clone()).await?;
        let actions = viewer
            .may(Permission::ManageMerchants)
            .then(|| view! { <a class="button" href="/audit">{t!("Of the whole installation")}</a> }.into_any());
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Audit title=t!("Audit log") actions>
                {content(&format!("/m/{slug}/audit"), &filter, mistakes, &log, false)}
            </Frame>
        }
        .into_any())
    })
}

fn content(here: &str, filter: &AuditFilter, mistakes: Vec<FieldError>, log: &AuditLog, is_whole: bool) -> AnyView {
    let mistakes: Vec<_> =
        mistakes.into_iter().map(|mistake| view! { <Notice tone=Tone::Warn title=mistake.message/> }).collect();
    let acts: Vec<_> = ACTIONS
        .iter()
        .map(
            |(code, label)| view! { <option value=*code selected=filter.action.as_deref() == Some(*code)>{tell(label)}</option> },
        )
        .collect();
    let clear =
        (*filter != AuditFilter::default()).then(|| view! { <a class="button plain" href=here.to_owned()>{t!("Clear")}</a> });
    let form = view! {
        <form method="get" action=here.to_owned() class="filter" role="search">
            <div class="field grow">
                <label for="actor">{t!("Person")}</label>
                <input id="actor" name="actor" type="search" value=filter.actor.clone() autocomplete="off" spellcheck="false" placeholder=t!("The whole e-mail address") data-search=""/>
            </div>
            <div class="field">
                <label for="action">{t!("Act")}</label>
                <select id="action" name="action"><option value="">{t!("Any")}</option>{acts}</select>
            </div>
            <div class="field"><label for="from">{t!("From")}</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
            <div class="field"><label for="until">{t!("To")}</label><input id="until" name="until" type="date" value=filter.last_day()/></div>
            <button class="button">{t!("Filter")}</button>
            {clear}
        </form>
    };
    let table = if log.rows.is_empty() {
        view! { <Empty title=t!("Nothing here")><p>{t!("Nothing was written down that fits. Clear the filter to see everything.")}</p></Empty> }.into_any()
    } else {
        let rows: Vec<_> = log.rows.iter().map(|line| row(here, filter, line, is_whole)).collect();
        view! {
            <div class="table">
                <table class="stacking rows audit">
                    <thead><tr>
                        <th scope="col">{t!("When")}</th><th scope="col">{t!("Who")}</th>
                        {is_whole.then(|| view! { <th scope="col">{t!("Merchant")}</th> })}
                        <th scope="col">{t!("What")}</th><th scope="col">{t!("From where")}</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    let older = log.rows.last().filter(|_| log.more).map(|last| {
        let next = AuditFilter { after: Some(last.id), ..filter.clone() };
        view! { <a class="button" rel="next" href=format!("{here}{}", next.query())>{t!("Older lines")}</a> }
    });
    let newest = filter.after.is_some().then(|| {
        let first = AuditFilter { after: None, ..filter.clone() };
        view! { <a class="button" href=format!("{here}{}", first.query())>{t!("Newest lines")}</a> }
    });
    view! {
        <div class="stack">
            {form}
            {mistakes}
            {table}
            <nav class="pager" aria-label=t!("Pages")>{newest}{older}</nav>
        </div>
    }
    .into_any()
}

fn row(here: &str, filter: &AuditFilter, line: &AuditRow, is_whole: bool) -> AnyView {
    let of_actor = AuditFilter { actor: Some(line.actor.clone()), after: None, ..filter.clone() };
    let detail = (!line.detail.is_empty()).then(|| view! { <span class="muted detail">{reworded(&line.detail)}</span> });
    let merchant = match &line.merchant {
        Some(merchant) => view! { <a href=format!("/m/{}/audit", merchant.slug)>{merchant.name.clone()}</a> }.into_any(),
        None => view! { "—" }.into_any(),
    };
    let address = if line.address.is_empty() { "—".to_owned() } else { line.address.clone() };
    let subject = (!line.subject.is_empty() && line.subject != line.actor)
        .then(|| view! { <span class="clip">{if line.action == "personal.reveal" { reworded(&line.subject) } else { line.subject.clone() }}</span> });
    view! {
        <tr>
            <td><Ago at=line.at/></td>
            <td data-label=t!("Who")><a class="quiet-link" href=format!("{here}{}", of_actor.query()) title=t!("Only this person")>{line.actor.clone()}</a></td>
            {is_whole.then(|| view! { <td data-label=t!("Merchant")>{merchant}</td> })}
            <td data-label=t!("What")>
                <div class="url-line"><strong>{tell(action_label(&line.action)).to_owned()}</strong>{subject}{detail}{changes(&line.changes)}</div>
            </td>
            <td data-label=t!("From where") class="code">{address}</td>
        </tr>
    }
    .into_any()
}
