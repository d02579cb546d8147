//! The receiver kit of a URL: a listener for the server behind it.

use super::{any_flash, page, param, param_as, query, settings::SecretNote, viewer_at};
use crate::{
    domain::{Format, id::UrlId, pages::settings::Kit, role::Permission},
    rpc::urls::read_kit,
    ui::{
        components::{Address, Confirm, FormNotes, Hidden, Icon, Notice, Octets, Tone, fact},
        shell::{Frame, Section},
    },
    words::{rich, t},
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/urls/{url}/kit`
#[component]
pub fn KitPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as::<UrlId>("url"));
    let language = query("language").unwrap_or_default();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let id = id?;
        let kit = read_kit(slug.clone(), id, language).await?;
        let crumbs = vec![
            (t!("IPN settings").to_owned(), format!("/m/{slug}/settings/ipn")),
            (t!("Notification URLs").to_owned(), format!("/m/{slug}/settings/urls")),
        ];
        let may_test = viewer.may(Permission::PlaceTestOrder);
        let secret = any_flash().secret.map(|key| view! { <SecretNote key is_for_json=true/> });
        let reveal = (kit.format == Format::Json).then(|| reveal(&slug, id, viewer.may(Permission::ChangeSettings)));
        let check = (kit.format != Format::PassThrough).then(|| format!("/m/{slug}/check?url={id}"));
        let actions = may_test.then(|| {
            view! {
                {check.map(|check| view! { <a class="button" href=check><Icon name="check"/>{t!("Check a message or receipt")}</a> })}
                <a class="button primary" href=format!("/m/{slug}/test-order?to=url-{id}")><Icon name="flask"/>{t!("Test this URL")}</a>
            }
            .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("Receiver kit for {url}", url = kit.label) crumbs actions>
                <nav class="tabs wrap" aria-label=t!("Languages")>
                    {kit.languages.iter().map(|language| {
                        let current = language.chosen.then_some("page");
                        view! { <a href=format!("/m/{slug}/settings/urls/{id}/kit?language={}", language.code) aria-current=current>{language.label.clone()}</a> }
                    }).collect::<Vec<_>>()}
                </nav>
                <FormNotes flash=any_flash()/>
                {secret}
                {content(&kit)}
                {reveal}
            </Frame>
        }
        .into_any())
    })
}

fn content(kit: &Kit) -> AnyView {
    let tested = if kit.is_tested {
        t!("Run against real messages in the tests of every version: several products, empty values, letters beyond ASCII.")
    } else {
        t!(
            "Not run in our tests, because the system they run on has no package for it; it is kept like the others, line for line. Try it with Test this URL before you rely on it."
        )
    };
    if kit.format == Format::Json {
        return for_json(kit, tested);
    }
    let passed = (kit.format == Format::PassThrough).then(|| {
        view! {
            <Notice tone=Tone::Calm title=t!("This URL gets messages as they came")>
                <p>{t!("They carry the gateway's own signature. Check it as the gateway describes, with its secret, and answer with any 2xx once the message is stored.")}</p>
                <p>{t!("What is sent again later still has the gateway's time stamp: take it although it is old, and tell a repeat by the number that the gateway gave it.")}</p>
                <p>{rich!(
                    "Where the gateway is 2Checkout the listener below does all that: put the gateway's secret key into {key}, and the merchant's into {old_key}, because a TEST order for this URL alone is signed with that one. It checks the algorithm that is chosen for this URL: choose one that the gateway signs with.",
                    key = view! { <span class="code">"IPN_SECRET_KEY"</span> },
                    old_key = view! { <span class="code">"IPN_SECRET_KEY_OLD"</span> }
                )}</p>
            </Notice>
        }
    });
    view! {
        <div class="stack">
            {passed}
            <dl class="facts panel">
                {fact("URL", view! { <Address text=kit.url.clone() what=t!("URL")/> })}
                {(kit.format == Format::Ipn).then(|| fact(t!("Messages are signed with"), kit.algorithms.labels()))}
                {fact(t!("This listener checks and answers with"), kit.algorithm.label())}
                {fact(t!("Save it as"), view! { <span class="code">{kit.file.clone()}</span> })}
            </dl>
            <section class="panel stack" aria-labelledby="code">
                <h2 id="code">{t!("The listener")}</h2>
                <p>{rich!(
                    "It checks the signature, stores the message, and only then answers with the read receipt. The secret key comes from its environment: {key}. While you change the key, {old_key} holds the one before. A message that comes again is answered again and stored once.",
                    key = view! { <span class="code">"IPN_SECRET_KEY"</span> },
                    old_key = view! { <span class="code">"IPN_SECRET_KEY_OLD"</span> }
                )}</p>
                <p class="muted">{tested}</p>
                <Octets label=t!("Code") text=kit.code.clone()/>
            </section>
        </div>
    }
    .into_any()
}

fn for_json(kit: &Kit, tested: &'static str) -> AnyView {
    view! {
        <div class="stack">
            <dl class="facts panel">
                {fact("URL", view! { <Address text=kit.url.clone() what=t!("URL")/> })}
                {fact(t!("Messages are signed by"), t!("Standard Webhooks, version 1"))}
                {fact(t!("Confirmed by"), t!("any 2xx"))}
                {fact(t!("Save it as"), view! { <span class="code">{kit.file.clone()}</span> })}
            </dl>
            <section class="panel stack" aria-labelledby="code">
                <h2 id="code">{t!("The listener")}</h2>
                <p>{rich!(
                    "It checks the signature and the time stamp, stores the message, and only then answers 204. The signing secret comes from its environment: {secret}. While you change the key, {old_secret} holds the one before. A message that comes again has the same {id}, is answered again and stored once.",
                    secret = view! { <span class="code">"WEBHOOK_SECRET"</span> },
                    old_secret = view! { <span class="code">"WEBHOOK_SECRET_OLD"</span> },
                    id = view! { <span class="code">"webhook-id"</span> }
                )}</p>
                <p class="muted">{tested}</p>
                <p class="muted">{t!("In any other language use a library of Standard Webhooks: there is one for most.")}</p>
                <Octets label=t!("Code") text=kit.code.clone()/>
            </section>
        </div>
    }
    .into_any()
}

/// The secret, for whoever may see it.
fn reveal(slug: &str, id: UrlId, may_see: bool) -> AnyView {
    let merchant = slug.to_owned();
    let content = if may_see {
        view! {
            <div class="actions">
                <Confirm
                    id="reveal" label=t!("Show the signing secret") icon="key" title=t!("Show the signing secret of this URL?")
                    consequence=t!("Whoever has it can sign messages to this URL in your name. That you looked is noted in the audit log.")
                    action="/rpc/urls/secret" verb=t!("Show it")
                >
                    <Hidden name="merchant" value=merchant/>
                    <Hidden name="id" value=id.to_string()/>
                </Confirm>
            </div>
        }
        .into_any()
    } else {
        view! { <p class="muted">{t!("Somebody who may change settings can show it here.")}</p> }.into_any()
    };
    view! {
        <section class="panel stack" aria-labelledby="signing-secret">
            <h2 id="signing-secret">{t!("Signing secret")}</h2>
            <p>{rich!(
                "It begins with {prefix}, belongs to this URL alone, and is made of the merchant's secret key: when that is changed it changes, too.",
                prefix = view! { <span class="code">"whsec_"</span> }
            )}</p>
            {content}
        </section>
    }
    .into_any()
}
