//! Resends for debug as they happen: what goes out beside what comes back.

use super::{page, param, param_as, resend::ResendTo, viewer_at};
use crate::{
    domain::{
        Format,
        pages::story::{WatchPage as Watch, Watched, WatchedAnswer},
    },
    rpc::orders::read_exchanges,
    ui::{
        components::{DeliveryBadge, Icon, Notice, Octets, Tone},
        format::span,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{reworded, t, tell},
};
use leptos::prelude::*;

/// Without JavaScript the page is read again after so many seconds, while an answer is to come.
const READ_AGAIN: &str = "2";

/// `/m/{merchant}/orders/{order}/exchanges/{exchanges}`
#[component]
pub fn ExchangesPage() -> impl IntoView {
    let (slug, id, exchanges) = (param("merchant"), param_as("order"), param("exchanges"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_exchanges(slug.clone(), id?, exchanges).await?;
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Order {reference}", reference = found.order.reference), format!("/m/{slug}/orders/{}", found.order.id)),
        ];
        let waits = found.is_under_way();
        Ok(view! {
            {waits.then(|| view! { <noscript><meta http-equiv="refresh" content=READ_AGAIN/></noscript> })}
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Resent for debug") crumbs>
                <Live subject=Subject::Order(slug, found.order.id)>{content(&found)}</Live>
            </Frame>
        }
        .into_any())
    })
}

fn content(found: &Watch) -> AnyView {
    let slug = &found.merchant.slug;
    found.watched.iter().map(|watched| exchange(found, slug, watched)).collect::<Vec<_>>().into_any()
}

fn exchange(found: &Watch, slug: &str, watched: &Watched) -> AnyView {
    let delivery = &watched.delivery;
    let heading = format!("exchange-{}", delivery.id);
    let id = heading.clone();
    let whole = watched.answer.as_ref().map(|answer| {
        let address = format!("/m/{slug}/deliveries/{}/{}", delivery.id, answer.attempt.number);
        view! { <a href=address>{t!("Attempt in full")}</a> }
    });
    let again = (found.may_resend && watched.answer.is_some() && !watched.url_removed).then(|| {
        let (merchant, label) = (slug.to_owned(), delivery.url_label.clone());
        view! { <ResendTo merchant order=found.order.id notification=delivery.notification_id url=delivery.url_id label/> }
    });
    view! {
        <section class="stack exchange" aria-labelledby=heading>
            <header>
                <h2 id=id><bdi>{delivery.url_label.clone()}</bdi>" "<DeliveryBadge of=delivery/></h2>
                <p class="url muted">{delivery.url.clone()}</p>
                <div class="row exchange-actions">{whole}{again}</div>
            </header>
            {verdict(watched)}
            <div class="side-by-side">
                <section class="panel" aria-label=t!("Request")>
                    <h3>{if watched.answer.is_some() { t!("Request") } else { t!("Request, as it goes out") }}</h3>
                    {if watched.request_head.is_empty() {
                        view! { <p class="muted">{t!("Nothing is sent.")}</p> }.into_any()
                    } else {
                        view! { <Octets label=t!("Head") text=watched.request_head.clone()/><Octets label=t!("Body") text=watched.request_body.clone()/> }.into_any()
                    }}
                </section>
                <section class="panel" aria-label=t!("Answer")>
                    <h3>{t!("Answer")}</h3>
                    {answer(watched)}
                </section>
            </div>
        </section>
    }
    .into_any()
}

fn verdict(watched: &Watched) -> AnyView {
    match (&watched.answer, &watched.trouble) {
        (Some(answer), _) => judged(answer),
        (None, Some(trouble)) => view! { <Notice tone=Tone::Warn title=reworded(trouble)/> }.into_any(),
        (None, None) => view! { <Notice tone=Tone::Calm title=t!("It is being sent")><p>{t!("The answer shows here as soon as it is there; the URL has half a minute for it.")}</p></Notice> }.into_any(),
    }
}

fn judged(answer: &WatchedAnswer) -> AnyView {
    let took = span(answer.attempt.timings.total);
    match answer.attempt.cause {
        None => {
            let words = match answer.format {
                Format::Ipn => t!("The answer came after {took} and holds a valid read receipt.", took),
                Format::Json | Format::PassThrough => {
                    t!("The answer came after {took}. {note}", took, note = reworded(&answer.note))
                }
            };
            view! { <Notice tone=Tone::Good title=t!("Confirmed")><p>{words}</p></Notice> }.into_any()
        }
        Some(cause) => {
            let note = reworded(&answer.note);
            let (sentence, cure) = (tell(cause.sentence_for(answer.format)), tell(cause.cure_for(answer.format)));
            view! {
                <Notice tone=Tone::Bad title=tell(cause.label())>
                    <p>{sentence}</p>
                    {(!note.is_empty()).then(|| view! { <p>{note}</p> })}
                    <p><strong>{t!("What to do:")}" "</strong>{cure}</p>
                </Notice>
            }
            .into_any()
        }
    }
}

fn answer(watched: &Watched) -> AnyView {
    match &watched.answer {
        Some(answer) if answer.head.is_empty() => view! { <p class="muted">{t!("No answer came.")}</p> }.into_any(),
        Some(answer) => {
            view! { <Octets label=t!("Head") text=answer.head.clone()/><Octets label=t!("Body") text=answer.body.clone()/> }
                .into_any()
        }
        None if watched.trouble.is_some() => view! { <p class="muted">{t!("None, and none will come.")}</p> }.into_any(),
        None => view! { <p class="muted waiting"><Icon name="clock"/>{t!("Waiting for the answer")}</p> }.into_any(),
    }
}
