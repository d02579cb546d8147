//! Saved views above a list, and the way to keep one; the file of a list.

use crate::{
    domain::pages::{
        flash::Flash,
        views::{ListKind, SavedView},
    },
    ui::components::{Hidden, Icon, TextField},
    words::t,
};
use leptos::prelude::*;

/// The views of a list as links, and what can be done with the filter that is set.
pub fn views(slug: &str, list: ListKind, views: &[SavedView], query: &str, flash: &Flash) -> AnyView {
    let base = format!("/m/{slug}/{}", list.code());
    let chips: Vec<_> = views
        .iter()
        .map(|view| {
            let current = (view.query == query).then_some("true");
            let remove = view.query == query;
            let (slug, id, name, query) = (slug.to_owned(), view.id.to_string(), view.name.clone(), view.query.clone());
            view! {
                <li>
                    <a class="chip" href=format!("{base}{}", view.query) aria-current=current>{view.name.clone()}</a>
                    {remove.then(|| view! {
                        <form method="post" action="/rpc/views/remove">
                            <Hidden name="merchant" value=slug/>
                            <Hidden name="list" value=list.code()/>
                            <Hidden name="view" value=id/>
                            <Hidden name="query" value=query/>
                            <button class="icon-button" title=t!("Remove this view")><Icon name="cross"/><span class="visually-hidden">{t!("Remove the view {name}", name)}</span></button>
                        </form>
                    })}
                </li>
            }
        })
        .collect();
    let is_known = views.iter().any(|view| view.query == query);
    let flash = if flash.form == "view" { flash.clone() } else { Flash::default() };
    let open = !flash.errors.is_empty();
    let keep = (!query.is_empty() && !is_known).then(|| {
        let (slug, query) = (slug.to_owned(), query.to_owned());
        view! {
            <details class="keep" open=open>
                <summary>{t!("Keep this view…")}</summary>
                <form method="post" action="/rpc/views/save">
                    <Hidden name="merchant" value=slug/>
                    <Hidden name="list" value=list.code()/>
                    <Hidden name="query" value=query/>
                    <TextField flash name="name" label=t!("Name of the view") required=true/>
                    <button class="button">{t!("Keep it")}</button>
                </form>
            </details>
        }
    });
    let has_chips = !chips.is_empty();
    let is_empty = !has_chips && keep.is_none();
    // It follows what is searched for, except where a name waits to be corrected.
    let id = (!open).then_some("views");
    view! {
        <div class="views" id=id hidden=is_empty>
            {has_chips.then(|| view! { <ul aria-label=t!("Saved views")>{chips}</ul> })}
            {keep}
        </div>
    }
    .into_any()
}

/// The list as a file.
pub fn export(slug: &str, list: ListKind, query: &str) -> AnyView {
    let base = format!("/m/{slug}/{}.csv{query}", list.code());
    let mark = if query.is_empty() { "?mark=1" } else { "&mark=1" };
    let marked = format!("{base}{mark}");
    view! {
        <details class="export">
            <summary class="button"><Icon name="down"/>{t!("Export")}</summary>
            <div class="menu-box">
                <a href=base download="">"CSV"</a>
                <a href=marked download="">{t!("CSV for spreadsheets")}</a>
                <p class="hint">{t!("All pages of this list, as it is filtered. The second says inside that it is UTF-8, as spreadsheets want it. It is noted in the audit log.")}</p>
            </div>
        </details>
    }
    .into_any()
}
