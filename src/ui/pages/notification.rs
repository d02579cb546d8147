//! One notification as it was received.

use super::{any_flash, page, param, param_as, resend::ResendLink, viewer_at};
use crate::{
    domain::role::Permission,
    rpc::orders::read_notification,
    ui::{
        components::{
            Fields, FormNotes, Masked, MaskedNote, Moment, Notice, Octets, OrderBadge, Revealed, TestBadge, Tone, fact,
        },
        format::bytes,
        shell::{Frame, Section},
    },
    words::{reworded, t},
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
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Order {reference}", reference = found.reference), format!("/m/{slug}/orders/{}", found.order_id)),
        ];
        let (to, id) = (slug.clone(), notification.id);
        let actions = found.may_resend.then(|| view! { <ResendLink slug=to notification=id/> }.into_any());
        let source = match &notification.listener {
            Some((id, label)) => view! { <a href=format!("/m/{slug}/listeners/{id}")>{label.clone()}</a> }.into_any(),
            None => t!("TEST order placed here").into_any(),
        };
        let masked = (!viewer.may(Permission::SeePersonalData)).then(|| Masked {
            merchant: slug.clone(),
            of: "notification",
            thing: notification.id.to_string(),
            number: 0,
        });
        let is_masked = masked.is_some();
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Notification as received") crumbs actions>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Revealed flash=any_flash()/>
                    <dl class="facts panel">
                        {fact(t!("Status"), view! { <span class="badges"><OrderBadge status=notification.status vendor=notification.vendor_status.clone()/><TestBadge test=notification.test/></span> })}
                        {fact(t!("Gateway's word"), view! { <span class="code">{notification.vendor_status.clone()}</span> })}
                        {fact(t!("Received"), view! { <Moment at=notification.received_at/> })}
                        {fact(t!("By"), source)}
                        {fact(t!("From"), reworded(&notification.peer))}
                        {(!notification.signatures.is_empty()).then(|| fact(t!("Signed with"), notification.signatures.labels()))}
                        {fact(t!("Size"), bytes(notification.size))}
                        {fact(t!("Message id"), view! { <span class="code">{notification.message_id.clone()}</span> })}
                    </dl>
                    {found.bytes_removed.then(|| view! {
                        <Notice tone=Tone::Calm title=t!("Its bytes are not kept any more")>
                            <p>{t!("They were removed, because the message is older than bytes are kept. It cannot be sent again.")}</p>
                        </Notice>
                    })}
                    <section class="panel">
                        {is_masked.then(|| view! { <MaskedNote/> })}
                        <Octets label=t!("Head") text=found.head.clone()/>
                        <Octets label=t!("Body") text=found.body.clone()/>
                        <Fields fields=found.fields masked/>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}
