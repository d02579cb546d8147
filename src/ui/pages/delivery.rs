//! One delivery with its attempts.

use super::{
    any_flash,
    order::{asked_by, when},
    page, param, param_as, query,
    resend::ResendTo,
    viewer_at,
};
use crate::{
    domain::{
        DeliveryState,
        pages::orders::{AttemptRow, DeliveryPage as Delivery},
    },
    rpc::orders::read_delivery,
    ui::{
        components::{DeliveryBadge, Empty, FormNotes, Icon, Moment, Notice, ShadowBadge, Tone, WholeAddress, fact, wide},
        format::span,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/deliveries/{delivery}`
#[component]
pub fn DeliveryPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("delivery"));
    let until = query("attempt").and_then(|number| number.trim().parse().ok());
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let delivery = read_delivery(slug.clone(), id?, until).await?;
        let title = t!("Delivery to {url_label}", url_label = delivery.delivery.url_label);
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Order {reference}", reference = delivery.reference), format!("/m/{slug}/orders/{}", delivery.order_id)),
        ];
        let actions = delivery.may_resend.then(|| {
            let (merchant, to) = (slug.clone(), &delivery.delivery);
            let label = to.url_label.clone();
            view! { <ResendTo merchant order=delivery.order_id notification=to.notification_id url=to.url_id label/> }.into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs actions>
                <FormNotes flash=any_flash()/>
                <Live subject=Subject::Order(slug, delivery.order_id)>{content(&delivery)}</Live>
            </Frame>
        }
        .into_any())
    })
}

fn content(page: &Delivery) -> AnyView {
    let delivery = &page.delivery;
    let trouble = delivery.last_cause.filter(|_| !matches!(delivery.state, DeliveryState::Confirmed)).map(|cause| {
        let is_over = delivery.state == DeliveryState::Expired;
        let (tone, title) = if is_over {
            let title = tn!(
                "Expired after {count} attempt: {cause}",
                "Expired after {count} attempts: {cause}",
                u64::from(delivery.attempts),
                cause = tell(cause.label())
            );
            (Tone::Bad, title)
        } else {
            (Tone::Warn, tell(cause.label()).to_owned())
        };
        let sentence = tell(cause.sentence_for(page.format));
        if delivery.put_right {
            return view! {
                <Notice tone=Tone::Good title=t!("Given up, and confirmed since")>
                    <p>{title}". "{sentence}</p>
                    <p>{t!("It was resent later, and the script confirmed it then. Nothing is left to do.")}</p>
                </Notice>
            }
            .into_any();
        }
        let cure = tell(cause.cure_for(page.format));
        view! {
            <Notice tone title>
                <p>{sentence}</p>
                <p><strong>{t!("What to do:")}" "</strong>{cure}</p>
                {is_over.then(|| view! { <p>{t!("The schedule of its URL is used up, so it is not tried again by itself. Once the cause is cured, resend it.")}</p> })}
            </Notice>
        }
        .into_any()
    });
    view! {
        {trouble}
        <dl class="facts panel">
            {fact(t!("State"), view! { <DeliveryBadge of=delivery/> })}
            {fact(t!("When"), when(delivery))}
            {fact(t!("To"), view! { {delivery.url_label.clone()} {delivery.shadow.then(|| view! { <ShadowBadge/> })} })}
            {wide("URL", view! { <WholeAddress text=delivery.url.clone() what=t!("URL")/> })}
            {delivery.elsewhere.then(|| wide(t!("Note"), t!("It was resent to the address that the URL had then; its tries go there, whatever the URL is set to now.")))}
            {page.url_removed.then(|| wide(t!("Note"), t!("The URL was removed from the settings; nothing is sent there any more.")))}
            {fact(t!("Status sent"), view! { <span class="code">{page.vendor_status.clone()}</span> })}
            {fact(t!("Created"), view! { <Moment at=delivery.created_at/> {asked_by(delivery)} })}
        </dl>
        <section aria-labelledby="attempts">
            <h2 id="attempts">{t!("Attempts")}</h2>
            {attempts(page)}
        </section>
    }
    .into_any()
}

fn attempts(page: &Delivery) -> AnyView {
    if page.attempts.is_empty() && page.delivery.attempts > 0 {
        let words = tn!(
            "{count} attempt was made. What was sent and what came back was removed, because it is older than exchanges are kept.",
            "{count} attempts were made. What was sent and what came back was removed, because it is older than exchanges are kept.",
            u64::from(page.delivery.attempts)
        );
        return view! { <Empty title=t!("Its attempts are not kept any more")><p>{words}</p></Empty> }.into_any();
    }
    if page.attempts.is_empty() {
        return view! { <Empty title=t!("Not tried yet")><p>{t!("The first attempt shows here as soon as it has ended.")}</p></Empty> }
            .into_any();
    }
    let base = format!("/m/{}/deliveries/{}", page.merchant.slug, page.delivery.id);
    let rows: Vec<_> = page.attempts.iter().map(|attempt| row(&base, attempt)).collect();
    view! {
        <div class="table">
            <table class="stacking">
                <thead>
                    <tr>
                        <th scope="col">{t!("Attempt")}</th>
                        <th scope="col">{t!("Verdict")}</th>
                        <th scope="col">{t!("Started")}</th>
                        <th scope="col" class="number">{t!("Status")}</th>
                        <th scope="col">{t!("Address")}</th>
                        <th scope="col" class="number">{t!("Took")}</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {pager(page)}
    }
    .into_any()
}

/// The way to further attempts, and to any of them by its number.
fn pager(page: &Delivery) -> AnyView {
    let base = format!("/m/{}/deliveries/{}", page.merchant.slug, page.delivery.id);
    let is_whole = page.attempts.len() as u64 >= u64::from(page.delivery.attempts);
    (!is_whole)
        .then(|| {
            let most = page.delivery.attempts;
            view! {
                <nav class="pager" aria-label=t!("Pages of attempts")>
                    <form class="jump" method="get" action=base.clone()>
                        <label for="attempt">{t!("From attempt (1 to {most})", most)}</label>
                        <input id="attempt" name="attempt" type="number" min="1" max=most.to_string() required/>
                        <button class="button small">{t!("Go")}</button>
                    </form>
                    <a class="button" href=base.clone()>{t!("Newest")}</a>
                    {page.next.map(|next| view! { <a class="button" rel="next" href=format!("{base}?attempt={next}")>{t!("Earlier")}<Icon name="next"/></a> })}
                </nav>
            }
        })
        .into_any()
}

fn row(base: &str, attempt: &AttemptRow) -> AnyView {
    let (tone, icon, word) = match attempt.cause {
        None => ("good", "check", t!("Confirmed")),
        Some(cause) => ("bad", "alert", tell(cause.label())),
    };
    view! {
        <tr id=format!("attempt-{}", attempt.number)>
            <td><a href=format!("{base}/{}", attempt.number)>{t!("Attempt {number}", number = attempt.number)}</a></td>
            <td data-label=t!("Verdict")><span class=format!("badge {tone}")><Icon name=icon/>{word}</span></td>
            <td data-label=t!("Started")><Moment at=attempt.started_at/></td>
            <td data-label=t!("Status") class="number">{attempt.status.map_or_else(|| "—".to_owned(), |status| status.to_string())}</td>
            <td data-label=t!("Address") class="code">{attempt.address.clone().unwrap_or_else(|| "—".to_owned())}</td>
            <td data-label=t!("Took") class="number">{span(attempt.timings.total)}</td>
        </tr>
    }
    .into_any()
}
