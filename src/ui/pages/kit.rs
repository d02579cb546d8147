//! The receiver kit of a URL: a listener for the server behind it.

use super::{page, param, param_as, query, viewer_at};
use crate::{
    domain::{id::UrlId, pages::settings::Kit, role::Permission},
    rpc::urls::read_kit,
    ui::{
        components::{Address, Icon, Octets, fact},
        shell::{Frame, Section},
    },
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
            ("IPN settings".to_owned(), format!("/m/{slug}/settings/ipn")),
            ("Notification URLs".to_owned(), format!("/m/{slug}/settings/urls")),
        ];
        let may_test = viewer.may(Permission::PlaceTestOrder);
        let actions = may_test.then(|| {
            view! {
                <a class="button" href=format!("/m/{slug}/check?url={id}")><Icon name="check"/>"Check a message or receipt"</a>
                <a class="button primary" href=format!("/m/{slug}/test-order?to=url-{id}")><Icon name="flask"/>"Test this URL"</a>
            }
            .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=format!("Receiver kit for {}", kit.label) crumbs actions>
                <nav class="tabs wrap" aria-label="Languages">
                    {kit.languages.iter().map(|language| {
                        let current = language.chosen.then_some("page");
                        view! { <a href=format!("/m/{slug}/settings/urls/{id}/kit?language={}", language.code) aria-current=current>{language.label.clone()}</a> }
                    }).collect::<Vec<_>>()}
                </nav>
                {content(&kit)}
            </Frame>
        }
        .into_any())
    })
}

fn content(kit: &Kit) -> AnyView {
    let tested = if kit.is_tested {
        "Run against real messages in the tests of every version: several products, empty values, letters beyond ASCII."
    } else {
        "Not run in our tests, because the system they run on has no package for it; it is kept like the others, line for line. Try it with Test this URL before you rely on it."
    };
    view! {
        <div class="stack">
            <dl class="facts panel">
                {fact("URL", view! { <Address text=kit.url.clone() what="URL"/> })}
                {fact("Messages are signed with", kit.algorithms.labels())}
                {fact("This listener checks and answers with", kit.algorithm.label())}
                {fact("Save it as", view! { <span class="code">{kit.file.clone()}</span> })}
            </dl>
            <section class="panel stack" aria-labelledby="code">
                <h2 id="code">"The listener"</h2>
                <p>"It checks the signature, stores the message, and only then answers with the read receipt. The secret key comes from its environment: "<span class="code">"IPN_SECRET_KEY"</span>". While you change the key, "<span class="code">"IPN_SECRET_KEY_OLD"</span>" holds the one before. A message that comes again is answered again and stored once."</p>
                <p class="muted">{tested}</p>
                <Octets label="Code" text=kit.code.clone()/>
            </section>
        </div>
    }
    .into_any()
}
