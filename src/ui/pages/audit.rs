//! The audit log: who did what, when, and from where.

use super::{page, param, query, viewer_at};
use crate::{
    domain::{
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
        components::{Ago, Empty, changes},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/audit`
#[component]
pub fn WholeAuditPage() -> impl IntoView {
    let filter = AuditFilter::read(query);
    page(async move {
        let viewer = read_viewer().await?;
        let log = read_whole_audit(filter.clone()).await?;
        Ok(view! {
            <Frame viewer section=Section::Audit title="Audit log of the installation">
                {content("/audit", &filter, &log, true)}
            </Frame>
        }
        .into_any())
    })
}

/// `/m/{merchant}/audit`
#[component]
pub fn AuditPage() -> impl IntoView {
    let slug = param("merchant");
    let filter = AuditFilter::read(query);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let log = read_audit(slug.clone(), filter.clone()).await?;
        let actions = viewer
            .may(Permission::ManageMerchants)
            .then(|| view! { <a class="button" href="/audit">"Of the whole installation"</a> }.into_any());
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Audit title="Audit log" actions>
                {content(&format!("/m/{slug}/audit"), &filter, &log, false)}
            </Frame>
        }
        .into_any())
    })
}

fn content(here: &str, filter: &AuditFilter, log: &AuditLog, is_whole: bool) -> AnyView {
    let acts: Vec<_> = ACTIONS
        .iter()
        .map(|(code, label)| view! { <option value=*code selected=filter.action.as_deref() == Some(*code)>{*label}</option> })
        .collect();
    let clear = (*filter != AuditFilter::default()).then(|| view! { <a class="button plain" href=here.to_owned()>"Clear"</a> });
    let form = view! {
        <form method="get" action=here.to_owned() class="filter" role="search">
            <div class="field grow">
                <label for="actor">"Person"</label>
                <input id="actor" name="actor" type="search" value=filter.actor.clone() autocomplete="off" spellcheck="false" placeholder="The whole e-mail address" data-search=""/>
            </div>
            <div class="field">
                <label for="action">"Act"</label>
                <select id="action" name="action"><option value="">"Any"</option>{acts}</select>
            </div>
            <div class="field"><label for="from">"From"</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
            <div class="field"><label for="until">"To"</label><input id="until" name="until" type="date" value=filter.last_day()/></div>
            <button class="button">"Filter"</button>
            {clear}
        </form>
    };
    let table = if log.rows.is_empty() {
        view! { <Empty title="Nothing here"><p>"Nothing was written down that fits. Clear the filter to see everything."</p></Empty> }.into_any()
    } else {
        let rows: Vec<_> = log.rows.iter().map(|line| row(here, filter, line, is_whole)).collect();
        view! {
            <div class="table">
                <table class="stacking rows audit">
                    <thead><tr>
                        <th scope="col">"When"</th><th scope="col">"Who"</th>
                        {is_whole.then(|| view! { <th scope="col">"Merchant"</th> })}
                        <th scope="col">"What"</th><th scope="col">"From where"</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any()
    };
    let older = log.rows.last().filter(|_| log.more).map(|last| {
        let next = AuditFilter { after: Some(last.id), ..filter.clone() };
        view! { <a class="button" rel="next" href=format!("{here}{}", next.query())>"Older lines"</a> }
    });
    let newest = filter.after.is_some().then(|| {
        let first = AuditFilter { after: None, ..filter.clone() };
        view! { <a class="button" href=format!("{here}{}", first.query())>"Newest lines"</a> }
    });
    view! {
        <div class="stack">
            {form}
            {table}
            <nav class="pager" aria-label="Pages">{newest}{older}</nav>
        </div>
    }
    .into_any()
}

fn row(here: &str, filter: &AuditFilter, line: &AuditRow, is_whole: bool) -> AnyView {
    let of_actor = AuditFilter { actor: Some(line.actor.clone()), after: None, ..filter.clone() };
    let detail = (!line.detail.is_empty()).then(|| view! { <span class="muted detail">{line.detail.clone()}</span> });
    let merchant = match &line.merchant {
        Some(merchant) => view! { <a href=format!("/m/{}/audit", merchant.slug)>{merchant.name.clone()}</a> }.into_any(),
        None => view! { "—" }.into_any(),
    };
    let address = if line.address.is_empty() { "—".to_owned() } else { line.address.clone() };
    let subject = (!line.subject.is_empty() && line.subject != line.actor)
        .then(|| view! { <span class="clip">{line.subject.clone()}</span> });
    view! {
        <tr>
            <td><Ago at=line.at/></td>
            <td data-label="Who"><a class="quiet-link" href=format!("{here}{}", of_actor.query()) title="Only this person">{line.actor.clone()}</a></td>
            {is_whole.then(|| view! { <td data-label="Merchant">{merchant}</td> })}
            <td data-label="What">
                <div class="url-line"><strong>{action_label(&line.action).to_owned()}</strong>{subject}{detail}{changes(&line.changes)}</div>
            </td>
            <td data-label="From where" class="code">{address}</td>
        </tr>
    }
    .into_any()
}
