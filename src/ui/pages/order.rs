//! The story of one order: its notifications, each with its deliveries.

use super::{
    any_flash, page, param, param_as,
    resend::{Resend, ResendTo},
    viewer_at,
};
use crate::{
    domain::{
        Cause, DeliveryState,
        attempt::Origin,
        pages::orders::{DeliveryView, NotificationView, OrderPage as Order, OrderRow, UrlChoice},
    },
    rpc::orders::read_order,
    ui::{
        components::{
            Ago, Copy, DeliveryBadge, Empty, FormNotes, Icon, Moment, OrderBadge, ShadowBadge, Summary, TestBadge, fact, now,
        },
        format::{bytes, counted, money},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/orders/{order}`
#[component]
pub fn OrderPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("order"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let order = read_order(slug.clone(), id?).await?;
        let title = format!("Order {}", order.order.reference);
        let crumbs = vec![("Orders & Reports".to_owned(), format!("/m/{slug}/orders"))];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs>
                <FormNotes flash=any_flash()/>
                <Live subject=Subject::Order(slug, order.order.id)>{content(&order)}</Live>
            </Frame>
        }
        .into_any())
    })
}

fn content(page: &Order) -> AnyView {
    let notifications: Vec<_> = page.notifications.iter().map(|notification| card(page, notification)).collect();
    let is_empty = notifications.is_empty();
    view! {
        {facts(&page.order, &page.gateway)}
        <section aria-labelledby="notifications" class="stack">
            <h2 id="notifications">"Notifications"</h2>
            {is_empty.then(|| view! { <Empty title="No notifications are kept any more"><p>"Their retention time is over."</p></Empty> })}
            {notifications}
        </section>
    }
    .into_any()
}

fn facts(order: &OrderRow, gateway: &str) -> AnyView {
    let copied = |text: &str, what: &'static str| match text {
        "" => view! { "—" }.into_any(),
        text => view! { <span>{text.to_owned()}</span><Copy text what/> }.into_any(),
    };
    let customer = if order.customer.is_empty() { "—".to_owned() } else { order.customer.clone() };
    let amount = order.amount.as_ref().map_or_else(|| "—".to_owned(), money);
    let status = view! {
        <span class="badges">
            <OrderBadge status=order.status vendor=order.vendor_status.clone()/>
            <TestBadge test=order.test/>
        </span>
    };
    view! {
        <dl class="facts panel">
            {fact("Status", status)}
            {fact("Amount", view! { <span class="amount">{amount}</span> })}
            {fact("Deliveries", view! { <Summary deliveries=order.deliveries/> })}
            {fact("Reference", copied(&order.reference, "reference"))}
            {fact("External reference", copied(&order.external, "external reference"))}
            {fact("Customer", customer)}
            {fact("E-mail", copied(&order.email, "e-mail address"))}
            {fact("Gateway", gateway.to_owned())}
            {fact("First seen", view! { <Moment at=order.created_at/> })}
            {fact("Last change", view! { <Ago at=order.updated_at/> })}
        </dl>
    }
    .into_any()
}

fn card(page: &Order, notification: &NotificationView) -> AnyView {
    let base = format!("/m/{}", page.merchant.slug);
    let source = match &notification.listener {
        Some((id, label)) => {
            view! { <a href=format!("{base}/listeners/{id}")>{label.clone()}</a> {format!(" from {}", notification.peer)} }
                .into_any()
        }
        None => view! { "Placed here as a TEST order" }.into_any(),
    };
    let mut signed = notification.signatures.labels();
    if notification.repeats > 0 {
        signed.push_str(&format!("; the same message came {} more", counted(u64::from(notification.repeats), "time", "times")));
    }
    let resend = (page.may_resend && !page.urls.is_empty()).then(|| {
        let (merchant, urls) = (page.merchant.slug.clone(), page.urls.clone());
        view! { <Resend merchant order=page.order.id notification=notification.id urls/> }
    });
    view! {
        <article class="card" id=format!("notification-{}", notification.id)>
            <header class="card-head">
                <div>
                    <h3>
                        <OrderBadge status=notification.status vendor=notification.vendor_status.clone()/>
                        <span class="code">{notification.vendor_status.clone()}</span>
                        <TestBadge test=notification.test/>
                    </h3>
                    <p class="muted"><Moment at=notification.received_at/>" · "{source}</p>
                    <p class="muted">
                        {format!("{} · signed with {signed} · ", bytes(notification.size))}
                        <a href=format!("{base}/notifications/{}", notification.id)>"as received"</a>
                    </p>
                </div>
                {resend}
            </header>
            {deliveries(page, notification)}
        </article>
    }
    .into_any()
}

fn deliveries(page: &Order, notification: &NotificationView) -> AnyView {
    if notification.deliveries.is_empty() {
        return view! { <p class="muted pad">"It went to no URL: none was set up when it came."</p> }.into_any();
    }
    let rows: Vec<_> = notification.deliveries.iter().map(|delivery| row(page, delivery)).collect();
    view! {
        <table class="stacking">
            <thead>
                <tr>
                    <th scope="col">"Delivery to"</th>
                    <th scope="col">"State"</th>
                    <th scope="col" class="number">"Attempts"</th>
                    <th scope="col">"Next or last"</th>
                    <th scope="col"><span class="visually-hidden">"Actions"</span></th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(page: &Order, delivery: &DeliveryView) -> AnyView {
    let slug = &page.merchant.slug;
    let address = format!("/m/{slug}/deliveries/{}", delivery.id);
    let resend = (page.may_resend && page.urls.iter().any(|url: &UrlChoice| url.id == delivery.url_id)).then(|| {
        let (merchant, label) = (slug.clone(), delivery.url_label.clone());
        view! { <ResendTo merchant order=page.order.id notification=delivery.notification_id url=delivery.url_id label/> }
    });
    view! {
        <tr id=format!("delivery-{}", delivery.id)>
            <td>
                <div class="url-line">
                    <span><a href=address>{delivery.url_label.clone()}</a>{delivery.shadow.then(|| view! { " "<ShadowBadge/> })}</span>
                    <span class="clip muted">{delivery.url.clone()}</span>
                    {asked_by(delivery)}
                </div>
            </td>
            <td data-label="State">
                <DeliveryBadge state=delivery.state/>
                {delivery.last_cause.filter(|_| delivery.state != DeliveryState::Confirmed).map(|cause: Cause| view! { <span class="cause" title=cause.sentence()>{cause.label()}</span> })}
            </td>
            <td data-label="Attempts" class="number">{delivery.attempts}</td>
            <td data-label="Next or last">{when(delivery)}</td>
            <td class="buttons">{resend}</td>
        </tr>
    }
    .into_any()
}

/// Who asked for a delivery that did not come of itself.
pub fn asked_by(delivery: &DeliveryView) -> AnyView {
    let what = match delivery.origin {
        Origin::Arrival => None,
        Origin::Resend => Some("Resent"),
        Origin::Debug => Some("Resent for debug"),
        Origin::Bulk => Some("Resent in bulk"),
    };
    what.map(|what| {
        let by = delivery.actor.as_deref().map(|actor| format!(" by {actor}")).unwrap_or_default();
        view! { <span class="muted"><Icon name="retry"/>{format!("{what}{by}")}</span> }
    })
    .into_any()
}

/// The next attempt, or how it ended.
pub fn when(delivery: &DeliveryView) -> AnyView {
    match (delivery.due_at, delivery.finished_at.or(delivery.last_attempt_at)) {
        (Some(due), _) if delivery.state.is_open() && due <= now() => view! { "due, in the queue" }.into_any(),
        (Some(due), _) if delivery.state.is_open() => view! { "next "<Ago at=due/> }.into_any(),
        (_, Some(at)) => view! { <Ago at/> }.into_any(),
        _ => view! { <Ago at=delivery.created_at/> }.into_any(),
    }
}
