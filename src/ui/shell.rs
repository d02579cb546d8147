//! The document around every page, and the frame of the panel: navigation, title, content.

use super::{
    components::{Hidden, Icon},
    islands::helpers::{Helpers, KeyWords},
    routes::App,
};
use crate::{
    domain::{
        Timestamp, Zone,
        pages::{dashboard::MerchantRef, people::Viewer},
        role::Permission,
    },
    words::{Language, language, t, tell},
};
use http::request::Parts;
use leptos::{config::LeptosOptions, prelude::*};
use leptos_meta::{MetaTags, Title};

/// What pages need to know of the build and of the request.
#[derive(Debug, Clone)]
pub struct Look {
    pub style: String,
    pub icons: String,
    pub favicon: String,
    /// A build without the WebAssembly half serves pages all the same.
    pub has_script: bool,
    /// Chosen by the viewer; otherwise the system's preference counts.
    pub theme: Option<&'static str>,
    pub now: Timestamp,
    /// In which exact times are told.
    pub zone: Zone,
    /// The last live event that this page has seen.
    pub heard: u64,
}

/// The document.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let look = expect_context::<Look>();
    view! {
        <!DOCTYPE html>
        <html lang=language().code() data-theme=look.theme data-icons=look.icons.clone() data-heard=look.heard.to_string()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="stylesheet" href=look.style/>
                <link rel="icon" type="image/svg+xml" href=look.favicon/>
                {look.has_script.then(|| view! { <HydrationScripts options islands=true/> })}
                <MetaTags/>
            </head>
            <body>
                <App/>
                <Helpers words=KeyWords::told()/>
            </body>
        </html>
    }
}

/// The rooms of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Dashboard,
    Orders,
    Settings,
    TimeZone,
    Listeners,
    Merchants,
    People,
    Audit,
    Strays,
    Search,
    Account,
}

/// A step of the way to a page: its name and address.
pub type Crumb = (String, String);

/// The text of the document's title. leptos_meta writes it into the page as it is, and what a gateway sent stands in it.
fn title_text(name: &str) -> String {
    format!("{} · Quittance", name.replace('&', "&amp;").replace('<', "&lt;"))
}

/// The frame of a page in the panel.
#[component]
pub fn Frame(
    viewer: Viewer,
    /// The merchant that the page is about.
    #[prop(optional_no_strip)]
    merchant: Option<MerchantRef>,
    section: Section,
    #[prop(into)] title: String,
    /// What the window is called, where that is not the title.
    #[prop(optional, into)]
    window: String,
    #[prop(optional)] crumbs: Vec<Crumb>,
    /// Buttons beside the title.
    #[prop(optional_no_strip)]
    actions: Option<AnyView>,
    children: Children,
) -> impl IntoView {
    let window = if window.is_empty() { title.clone() } else { window };
    let name = merchant.as_ref().map_or_else(|| window.clone(), |merchant| format!("{window} · {}", merchant.name));
    let crumbs: Vec<_> = crumbs.into_iter().map(|(name, address)| view! { <li><a href=address>{name}</a></li> }).collect();
    view! {
        <Title text=title_text(&name)/>
        <a class="skip" href="#content">{t!("Skip to the content")}</a>
        <div class="frame">
            <Navigation viewer merchant section/>
            <main id="content" tabindex="-1">
                <header class="page-head">
                    <div>
                        {(!crumbs.is_empty()).then(|| view! { <nav aria-label=t!("Way to this page")><ol class="crumbs">{crumbs}</ol></nav> })}
                        <h1>{title}</h1>
                    </div>
                    {actions.map(|actions| view! { <div class="actions">{actions}</div> })}
                </header>
                {children()}
            </main>
        </div>
    }
}

#[component]
fn Navigation(viewer: Viewer, merchant: Option<MerchantRef>, section: Section) -> impl IntoView {
    let link = move |to: Section, address: String, icon: &'static str, name: &'static str, key: Option<&'static str>| {
        let current = (to == section).then_some("page");
        view! { <li><a href=address aria-current=current data-key=key><Icon name=icon/>{name}</a></li> }
    };
    // Without a merchant at hand the links lead to the only one there is, if so.
    let only = merchant.clone().or_else(|| match viewer.merchants.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    });
    let others: Vec<_> = viewer
        .merchants
        .iter()
        .map(|other| {
            let current = merchant.as_ref().is_some_and(|merchant| merchant.slug == other.slug).then_some("true");
            view! { <li><a href=format!("/m/{}", other.slug) aria-current=current>{other.name.clone()}</a></li> }
        })
        .collect();
    let switch_name = merchant.as_ref().map_or_else(|| t!("All merchants").to_owned(), |merchant| merchant.name.clone());
    let many = viewer.merchants.len() > 1;
    let audits = viewer.may(Permission::ReadAudit);
    let changes = viewer.may(Permission::ChangeSettings);
    let base = only.as_ref().map(|merchant| format!("/m/{}", merchant.slug));
    let rooms = only.map(|merchant| {
        let base = format!("/m/{}", merchant.slug);
        view! {
            {link(Section::Dashboard, base.clone(), "dashboard", t!("Dashboard"), Some("d"))}
            {link(Section::Orders, format!("{base}/orders"), "orders", t!("Orders & Reports"), Some("o"))}
            <li class="group">
                <span class="group-name">{t!("System settings")}</span>
                <ul>{link(Section::Settings, format!("{base}/settings/ipn"), "gear", t!("IPN settings"), Some("s"))}{changes.then(|| link(Section::TimeZone, format!("{base}/settings/time-zone"), "clock", t!("Time zone"), None))}</ul>
            </li>
            {link(Section::Listeners, format!("{base}/listeners"), "inbox", t!("Listeners"), Some("l"))}
            {audits.then(|| link(Section::Audit, format!("{base}/audit"), "clock", t!("Audit log"), None))}
        }
    });
    let has_rooms = rooms.is_some();
    let manages = viewer.may(Permission::ManageMerchants);
    view! {
        <header class="bar">
            <a class="brand" href="/"><Icon name="quittance"/>"Quittance"</a>
            <SearchField/>
            <details class="menu">
                <summary><Icon name="menu"/>{t!("Menu")}</summary>
            </details>
            <nav class="rooms" aria-label=t!("Panel") data-base=base>
                {many.then(|| view! {
                    <details class="switch">
                        <summary><Icon name="shop"/><span>{switch_name}</span><Icon name="down"/></summary>
                        <ul><li><a href="/">{t!("All merchants")}</a></li>{others}</ul>
                    </details>
                })}
                <ul>
                    {(!has_rooms).then(|| link(Section::Dashboard, "/".to_owned(), "dashboard", t!("Dashboard"), None))}
                    {rooms}
                    {manages.then(|| link(Section::Merchants, "/merchants".to_owned(), "shop", t!("Merchants"), None))}
                    {manages.then(|| link(Section::Strays, "/unknown".to_owned(), "question", t!("Unknown addresses"), None))}
                    {viewer.may(Permission::ManagePeople).then(|| link(Section::People, "/people".to_owned(), "user", t!("People"), None))}
                    {(manages && !has_rooms).then(|| link(Section::Audit, "/audit".to_owned(), "clock", t!("Audit log"), None))}
                </ul>
                <ul class="self">
                    {link(Section::Account, "/account".to_owned(), "user", t!("Account"), None)}
                    <li><button type="button" class="plain keys-help" popovertarget="keys"><Icon name="question"/>{t!("Keys")}</button></li>
                    <li>
                        <form method="post" action="/rpc/sign-out">
                            <button class="plain"><Icon name="leave"/>{t!("Sign out")}</button>
                        </form>
                    </li>
                    <li class="who" title=tell(viewer.role.label())>{viewer.email.clone()}</li>
                </ul>
            </nav>
        </header>
    }
}

/// The search over everything. The text of the page's own search stands in it.
#[component]
pub fn SearchField(#[prop(optional, into)] text: String) -> impl IntoView {
    view! {
        <form class="find" method="get" action="/search" role="search" aria-label=t!("Everything")>
            <input
                type="search" name="text" value=text aria-label=t!("Find anything") placeholder=t!("Find anything")
                title=t!("Order, e-mail, message, delivery or URL") maxlength="300" autocomplete="off" spellcheck="false" data-find=""
            />
            <kbd aria-hidden="true">"/"</kbd>
        </form>
    }
}

/// A page without navigation: sign-in, first run, errors.
#[component]
pub fn Plain(#[prop(into)] title: String, children: Children) -> impl IntoView {
    view! {
        <Title text=title_text(&title)/>
        <main id="content" class="plain-page">
            <p class="brand"><Icon name="quittance"/>"Quittance"</p>
            <h1>{title}</h1>
            {children()}
            <LanguageChoice/>
        </main>
    }
}

/// The languages, each in its own words. On pages without navigation nobody has chosen one yet.
#[component]
fn LanguageChoice() -> impl IntoView {
    let here = use_context::<Parts>().and_then(|parts| parts.uri.path_and_query().map(ToString::to_string)).unwrap_or_default();
    let current = language();
    let choices: Vec<_> = Language::ALL
        .into_iter()
        .map(|language| {
            let (code, pressed) = (language.code(), if language == current { "true" } else { "false" });
            view! { <button class="link" name="locale" value=code lang=code aria-pressed=pressed>{language.name()}</button> }
        })
        .collect();
    view! {
        <form method="post" action="/rpc/language" class="languages" aria-label=t!("Language")>
            <Hidden name="next" value=here/>
            {choices}
        </form>
    }
}
