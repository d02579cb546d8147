//! One notification as it was received.

use super::{page, param, param_as, viewer_at};
use crate::{
    rpc::orders::read_notification,
    ui::{
        components::{Fields, Moment, Octets, OrderBadge, TestBadge, fact},
        format::bytes,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/notifications/{notification}`
#[component]
pub fn NotificationPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("notification"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_notification(slug.clone(), id?).await?;
        let notification = found.notification.clone();
        let crumbs = vec![
            ("Orders & Reports".to_owned(), format!("/m/{slug}/orders")),
            (format!("Order {}", found.reference), format!("/m/{slug}/orders/{}", found.order_id)),
        ];
        let source = match &notification.listener {
            Some((id, label)) => view! { <a href=format!("/m/{slug}/listeners/{id}")>{label.clone()}</a> }.into_any(),
            None => view! { "TEST order placed here" }.into_any(),
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Notification as received" crumbs>
                <div class="stack">
                    <dl class="facts panel">
                        {fact("Status", view! { <span class="badges"><OrderBadge status=notification.status vendor=notification.vendor_status.clone()/><TestBadge test=notification.test/></span> })}
                        {fact("Gateway's word", view! { <span class="code">{notification.vendor_status.clone()}</span> })}
                        {fact("Received (UTC)", view! { <Moment at=notification.received_at/> })}
                        {fact("By", source)}
                        {fact("From", notification.peer.clone())}
                        {(!notification.signatures.is_empty()).then(|| fact("Signed with", notification.signatures.labels()))}
                        {fact("Size", bytes(notification.size))}
                        {fact("Message id", view! { <span class="code">{notification.message_id.clone()}</span> })}
                    </dl>
                    <section class="panel">
                        <Octets label="Head" text=found.head.clone()/>
                        <Octets label="Body" text=found.body.clone()/>
                        <Fields fields=found.fields/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
