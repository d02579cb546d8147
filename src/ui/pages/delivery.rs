//! One delivery with its attempts.

use super::{
    any_flash,
    order::{asked_by, when},
    page, param, param_as,
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
        components::{Address, DeliveryBadge, Empty, FormNotes, Icon, Moment, Notice, ShadowBadge, Tone, fact},
        format::{counted, span},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/deliveries/{delivery}`
#[component]
pub fn DeliveryPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("delivery"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let delivery = read_delivery(slug.clone(), id?).await?;
        let title = format!("Delivery to {}", delivery.delivery.url_label);
        let crumbs = vec![
            ("Orders & Reports".to_owned(), format!("/m/{slug}/orders")),
            (format!("Order {}", delivery.reference), format!("/m/{slug}/orders/{}", delivery.order_id)),
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
            (Tone::Bad, format!("Expired after {}: {}", counted(u64::from(delivery.attempts), "attempt", "attempts"), cause.label()))
        } else {
            (Tone::Warn, cause.label().to_owned())
        };
        view! {
            <Notice tone title>
                <p>{cause.sentence()}</p>
                <p><strong>"What to do: "</strong>{cause.cure()}</p>
                {is_over.then(|| view! { <p>"The schedule of its URL is used up, so it is not tried again by itself. Once the cause is cured, resend it."</p> })}
            </Notice>
        }
    });
    view! {
        {trouble}
        <dl class="facts panel">
            {fact("State", view! { <DeliveryBadge state=delivery.state/> })}
            {fact("When", when(delivery))}
            {fact("To", view! { {delivery.url_label.clone()} {delivery.shadow.then(|| view! { <ShadowBadge/> })} })}
            {fact("URL", view! { <Address text=delivery.url.clone() what="URL"/> })}
            {fact("Status sent", view! { <span class="code">{page.vendor_status.clone()}</span> })}
            {fact("Created", view! { <Moment at=delivery.created_at/> {asked_by(delivery)} })}
        </dl>
        <section aria-labelledby="attempts">
            <h2 id="attempts">"Attempts"</h2>
            {attempts(page)}
        </section>
    }
    .into_any()
}

fn attempts(page: &Delivery) -> AnyView {
    if page.attempts.is_empty() {
        return view! { <Empty title="Not tried yet"><p>"The first attempt shows here as soon as it has ended."</p></Empty> }
            .into_any();
    }
    let base = format!("/m/{}/deliveries/{}", page.merchant.slug, page.delivery.id);
    let rows: Vec<_> = page.attempts.iter().map(|attempt| row(&base, attempt)).collect();
    view! {
        <div class="table">
            <table class="stacking">
                <thead>
                    <tr>
                        <th scope="col">"Attempt"</th>
                        <th scope="col">"Verdict"</th>
                        <th scope="col">"Started"</th>
                        <th scope="col" class="number">"Status"</th>
                        <th scope="col">"Address"</th>
                        <th scope="col" class="number">"Took"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(base: &str, attempt: &AttemptRow) -> AnyView {
    let (tone, icon, word) = match attempt.cause {
        None => ("good", "check", "Confirmed"),
        Some(cause) => ("bad", "alert", cause.label()),
    };
    view! {
        <tr id=format!("attempt-{}", attempt.number)>
            <td><a href=format!("{base}/{}", attempt.number)>{format!("Attempt {}", attempt.number)}</a></td>
            <td data-label="Verdict"><span class=format!("badge {tone}")><Icon name=icon/>{word}</span></td>
            <td data-label="Started"><Moment at=attempt.started_at/></td>
            <td data-label="Status" class="number">{attempt.status.map_or_else(|| "—".to_owned(), |status| status.to_string())}</td>
            <td data-label="Address" class="code">{attempt.address.clone().unwrap_or_else(|| "—".to_owned())}</td>
            <td data-label="Took" class="number">{span(attempt.timings.total)}</td>
        </tr>
    }
    .into_any()
}
