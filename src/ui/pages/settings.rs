//! *System settings › IPN settings*: the default IPN URL with the secret key, and the notification URLs.

use super::{
    any_flash,
    deliveries::recover_address,
    flash_of, page, param, param_as,
    url_form::{CheckNote, UrlForm},
    viewer_at,
};
use crate::{
    domain::{
        AppError, Format,
        attempt::UrlCheck,
        id::UrlId,
        pages::{
            flash::Flash,
            settings::{IpnSettings, UrlView},
        },
        terms::DEFAULT_IN_FLIGHT,
    },
    rpc::urls::read_settings,
    ui::{
        components::{
            Address, Ago, Confirm, ConflictTold, Copy, Empty, FormNotes, Hidden, HoldNote, Icon, Notice, PauseNote, ShadowBadge,
            Tone,
        },
        format::count,
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// The tabs of the IPN settings.
#[component]
pub(super) fn Tabs(slug: String, #[prop(into)] current: &'static str) -> impl IntoView {
    let tab = |name: &'static str, label: &'static str| {
        view! { <a href=format!("/m/{slug}/settings/{name}") aria-current=(name == current).then_some("page")>{label}</a> }
    };
    view! {
        <nav class="tabs" aria-label=t!("IPN settings")>
            {tab("ipn", t!("Default IPN URL"))}{tab("urls", t!("Notification URLs"))}{tab("content", t!("What is sent"))}
            {tab("key", t!("Secret key"))}{tab("mail", t!("Customer mail"))}{tab("alerts", t!("Alerts"))}
        </nav>
    }
}

/// `/m/{merchant}/settings/ipn`
#[component]
pub fn DefaultUrlPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let settings = read_settings(slug.clone()).await?;
        let all = any_flash();
        let secret = all.secret.clone().map(|key| view! { <SecretNote key/> });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings")>
                <Tabs slug=slug.clone() current="ipn"/>
                <div class="stack">
                    <FormNotes flash=Flash { errors: Vec::new(), ..all.clone() }/>
                    {secret}
                    <section class="panel narrow" aria-labelledby="default">
                        <h2 id="default">{t!("Default IPN URL")}</h2>
                        <FormNotes flash=Flash { notice: None, problem: None, ..flash_of("url") }/>
                        {if settings.may_change {
                            let url = settings.default_url.clone();
                            view! { <UrlForm slug=slug.clone() url is_default=true inherited=settings.triggers flash=flash_of("url")/> }.into_any()
                        } else {
                            read_only(settings.default_url.as_ref())
                        }}
                    </section>
                    <section class="panel narrow" aria-labelledby="key">
                        <h2 id="key">{t!("Secret key")}</h2>
                        <p>{rich!(
                            "The key in use ends in {hint}. {link}.",
                            hint = view! { <span class="code">{format!("…{}", settings.key_hint)}</span> },
                            link = view! { <a href=format!("/m/{slug}/settings/key")>{t!("Change it, or see it again")}</a> }
                        )}</p>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn read_only(url: Option<&UrlView>) -> AnyView {
    match url {
        None => view! { <p class="muted">{t!("None is set up.")}</p> }.into_any(),
        Some(url) => {
            let concurrent = if url.concurrent { t!("Concurrent requests are allowed.") } else { t!("One request at a time.") };
            view! {
                <p class="code">{url.url.clone()}</p>
                <p class="muted">{t!("Signed with {algorithms}. {concurrent}", algorithms = url.algorithms.labels(), concurrent)}</p>
            }
            .into_any()
        }
    }
}

/// A secret key, shown this once.
#[component]
pub(super) fn SecretNote(
    key: String,
    /// It is the signing secret of a URL that gets JSON.
    #[prop(optional)]
    is_for_json: bool,
) -> impl IntoView {
    let (what, words) = if is_for_json {
        (
            t!("signing secret"),
            t!("Your server checks with it that a message is genuine: enter it there, or in your library of Standard Webhooks."),
        )
    } else {
        (t!("secret key"), t!("Your scripts check with it that a notification is genuine, and sign their read receipts with it."))
    };
    view! {
        <Notice tone=Tone::Warn title=t!("Copy the {what} now: it goes when you leave this page", what)>
            <p class="secret"><span class="code">{key.clone()}</span><Copy text=key what=what/></p>
            <p>{words}</p>
        </Notice>
    }
}

/// `/m/{merchant}/settings/urls`
#[component]
pub fn UrlsPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let settings = read_settings(slug.clone()).await?;
        let actions = settings.may_change.then(|| {
            view! { <a class="button primary" href=format!("/m/{slug}/settings/urls/new")><Icon name="plus"/>{t!("New URL configuration")}</a> }.into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings") actions>
                <Tabs slug=slug.clone() current="urls"/>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    {changed_meanwhile(&settings)}
                    {flash_of("check").check.map(|check| view! { <CheckNote check title=t!("The URL did not answer 200")/> })}
                    {url_list(&slug, &settings)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// What a button was pressed for may not be there any more.
fn changed_meanwhile(settings: &IpnSettings) -> impl IntoView + use<> {
    let flash = ["hold", "remove"].map(flash_of).into_iter().find(|flash| flash.conflict.is_some())?;
    let id: Option<UrlId> = flash.value("id").and_then(|id| id.parse().ok());
    let url = settings.all_urls().find(|url| Some(url.id) == id);
    let what = url.map_or_else(|| t!("this URL").to_owned(), |url| name_of(url).to_owned());
    Some(view! { <ConflictTold flash what/> })
}

/// What it is called, in a line of the list.
fn name_of(url: &UrlView) -> &str {
    if url.label.is_empty() { &url.url } else { &url.label }
}

fn url_list(slug: &str, settings: &IpnSettings) -> AnyView {
    let rows: Vec<_> =
        settings.default_url.iter().chain(&settings.urls).map(|url| url_row(slug, url, settings.may_change)).collect();
    if rows.is_empty() {
        return view! {
            <Empty title=t!("No notification URLs yet")>
                <p>{t!("Every notification goes to the default IPN URL and to each URL of this list, until its script answers with a valid read receipt.")}</p>
            </Empty>
        }
        .into_any();
    }
    url_table(rows).into_any()
}

fn url_table(rows: Vec<impl IntoView + 'static>) -> impl IntoView {
    view! {
        <div class="table">
            <table class="stacking">
                <thead>
                    <tr>
                        <th scope="col">{t!("URL")}</th>
                        <th scope="col">{t!("State")}</th>
                        <th scope="col">{t!("Signed with")}</th>
                        <th scope="col" class="number">{t!("Outstanding")}</th>
                        <th scope="col"><span class="visually-hidden">{t!("Actions")}</span></th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}

fn url_row(slug: &str, url: &UrlView, may_change: bool) -> impl IntoView + use<> {
    let page = if url.is_default { format!("/m/{slug}/settings/ipn") } else { format!("/m/{slug}/settings/urls/{}", url.id) };
    let (tone, icon, word) = match (url.hold.is_some(), url.failing) {
        (true, _) => ("quiet", "pause", t!("On hold")),
        (false, true) if url.terms.shadow => ("quiet", "alert", t!("Failing")),
        (false, true) => ("bad", "alert", t!("Failing")),
        (false, false) => ("good", "check", t!("Active")),
    };
    let mut requests = match (url.concurrent, url.terms.max_in_flight) {
        (false, _) => t!("one at a time").to_owned(),
        (true, DEFAULT_IN_FLIGHT) => t!("concurrent").to_owned(),
        (true, most) => t!("{most} at a time", most),
    };
    if url.order_in_order {
        requests.push_str(t!(", each order in order"));
    }
    if let Some(rate) = url.terms.rate_per_second {
        requests.push_str(&t!(", {rate} a second", rate));
    }
    let name = name_of(url).to_owned();
    view! {
        <tr>
            <td>
                <div class="url-line">
                    <span>
                        <a href=page.clone()>{name.clone()}</a>
                        {url.is_default.then(|| view! { " "<span class="badge quiet">{t!("default")}</span> })}
                    </span>
                    <Address text=url.url.clone() what=t!("URL")/>
                    <span class="muted">{check_word(url.check.as_ref())}</span>
                    {url_links(slug, url, may_change)}
                </div>
            </td>
            <td data-label=t!("State")>
                <span class="badges">
                    <span class=format!("badge {tone}")><Icon name=icon/>{word}</span>
                    {url.terms.shadow.then(|| view! { <ShadowBadge/> })}
                </span>
                {url.hold.map(|hold| view! { <HoldNote hold/> })}
                {url.pause.map(|pause| view! { <PauseNote pause/> })}
            </td>
            <td data-label=t!("Signed with")>
                <div class="url-line">
                    <span>{signed_with(url)}</span><span class="muted">{requests}</span>
                    {url.terms.triggers.map(|triggers| view! { <span class="muted">{t!("only {statuses}", statuses = tell(&triggers.words()))}</span> })}
                </div>
            </td>
            <td data-label=t!("Outstanding") class="number">{count(url.outstanding)}</td>
            <td class="buttons">
                {(url.failing && !may_change).then(|| view! { <div class="row-actions">{recover(slug, url)}</div> })}
                {may_change.then(|| row_actions(slug, url, page, &name))}
            </td>
        </tr>
    }
}

/// What proves a message there, in a few words.
pub(super) fn signed_with(url: &UrlView) -> String {
    match url.terms.format {
        Format::Ipn => url.algorithms.labels(),
        Format::Json => t!("JSON, Standard Webhooks").to_owned(),
        Format::PassThrough => t!("Passed through").to_owned(),
    }
}

/// What can be tried with a URL.
fn url_links(slug: &str, url: &UrlView, may_change: bool) -> impl IntoView + use<> {
    let (test, kit) = (format!("/m/{slug}/test-order?to=url-{}", url.id), format!("/m/{slug}/settings/urls/{}/kit", url.id));
    let (merchant, id) = (slug.to_owned(), url.id.to_string());
    view! {
        <span class="links">
            {may_change.then(|| view! {
                <a href=test>{t!("Test this URL")}</a>
                <form method="post" action="/rpc/urls/check">
                    <Hidden name="merchant" value=merchant/><Hidden name="id" value=id/>
                    <button class="link">{t!("Check again")}</button>
                </form>
            })}
            <a href=kit>{t!("Receiver kit")}</a>
        </span>
    }
}

fn recover(slug: &str, url: &UrlView) -> impl IntoView + use<> {
    view! { <a class="button small" href=recover_address(slug, Some(url.id))><Icon name="retry"/>{t!("Recover…")}</a> }
}

fn check_word(check: Option<&UrlCheck>) -> AnyView {
    match check {
        None => t!("Not checked").into_any(),
        Some(UrlCheck { at, cause: None, .. }) => rich!("Check: answered, {time}", time = view! { <Ago at=*at/> }).into_any(),
        Some(UrlCheck { at, cause: Some(cause), .. }) => rich!(
            "Check: {cause}, {time}",
            cause = view! { <span title=tell(cause.sentence())>{tell(cause.label())}</span> },
            time = view! { <Ago at=*at/> }
        )
        .into_any(),
    }
}

fn row_actions(slug: &str, url: &UrlView, page: String, name: &str) -> impl IntoView + use<> {
    let (hold, hold_icon, hold_word) =
        if url.hold.is_some() { ("", "play", t!("Release")) } else { ("true", "pause", t!("Hold")) };
    let waiting = match url.outstanding {
        0 => t!("Nothing waits for it.").to_owned(),
        number => {
            tn!("{count} delivery that waits for it is cancelled.", "{count} deliveries that wait for it are cancelled.", number)
        }
    };
    let recover = url.failing.then(|| recover(slug, url));
    let (slug, id, version) = (slug.to_owned(), url.id.to_string(), url.version.to_string());
    let (of, which, seen) = (slug.clone(), id.clone(), version.clone());
    view! {
        <div class="row-actions">
            {recover}
            <a class="button small" href=page><Icon name="edit"/>{t!("Edit")}</a>
            <form method="post" action="/rpc/urls/hold">
                <Hidden name="merchant" value=slug/>
                <Hidden name="id" value=id/>
                <Hidden name="version" value=version/>
                <Hidden name="held" value=if hold.is_empty() { "false" } else { "true" }/>
                <button class="button small"><Icon name=hold_icon/>{hold_word}</button>
            </form>
            <Confirm
                id=format!("remove-{}", url.id) label=t!("Remove") icon="bin" title=t!("Remove {name}?", name) danger=true
                consequence=t!("Notifications no longer go to it. {waiting} What was delivered stays in the orders.", waiting)
                action="/rpc/urls/remove" verb=t!("Remove")
            >
                <Hidden name="merchant" value=of/>
                <Hidden name="id" value=which/>
                <Hidden name="version" value=seen/>
            </Confirm>
        </div>
    }
}

/// `/m/{merchant}/settings/urls/new`
#[component]
pub fn NewUrlPage() -> impl IntoView {
    let slug = param("merchant");
    page(edit_page(slug, None))
}

/// `/m/{merchant}/settings/urls/{url}`
#[component]
pub fn UrlPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as::<UrlId>("url"));
    page(async move { edit_page(slug, Some(id?)).await })
}

async fn edit_page(slug: String, id: Option<UrlId>) -> Result<AnyView, AppError> {
    let (viewer, merchant) = viewer_at(&slug).await?;
    let settings = read_settings(slug.clone()).await?;
    let crumbs = vec![
        (t!("IPN settings").to_owned(), format!("/m/{slug}/settings/ipn")),
        (t!("Notification URLs").to_owned(), format!("/m/{slug}/settings/urls")),
    ];
    if !settings.may_change {
        // Who may not change it is led here all the same, by lists and searches.
        let url = settings.urls.into_iter().find(|url| Some(url.id) == id).ok_or(AppError::Forbidden)?;
        return Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=url.label.clone() crumbs>
                <div class="stack">{url_table(vec![url_row(&slug, &url, false)])}</div>
            </Frame>
        }
        .into_any());
    }
    let inherited = settings.triggers;
    let url = match id {
        None => None,
        Some(id) => Some(settings.urls.into_iter().find(|url| url.id == id).ok_or(AppError::NotFound)?),
    };
    let title = url.as_ref().map_or_else(|| t!("New URL configuration").to_owned(), |url| t!("Edit {url}", url = url.label));
    let flash = flash_of("url");
    Ok(view! {
        <Frame viewer merchant=Some(merchant) section=Section::Settings title crumbs>
            <div class="stack narrow">
                <FormNotes flash=flash.clone()/>
                <section class="panel"><UrlForm slug url is_default=false inherited flash/></section>
            </div>
        </Frame>
    }
    .into_any())
}
