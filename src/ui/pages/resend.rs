//! The resend forms.

use crate::{
    domain::{
        id::{NotificationId, OrderId, UrlId},
        pages::orders::UrlChoice,
    },
    rpc::orders::request_key,
    ui::components::{Hidden, Icon},
};
use leptos::prelude::*;

/// *Resend* of a notification, to one URL or all, or for debug.
#[component]
pub fn Resend(merchant: String, order: OrderId, notification: NotificationId, urls: Vec<UrlChoice>) -> impl IntoView {
    let id = format!("resend-{notification}");
    let many = urls.len() > 1;
    let options: Vec<_> = urls
        .into_iter()
        .map(|url| {
            let hold = if url.held { " (on hold: it is kept until released)" } else { "" };
            view! { <option value=url.id.to_string()>{format!("{}: {}{hold}", url.label, url.url)}</option> }
        })
        .collect();
    let (opens, closes, field) = (id.clone(), id.clone(), format!("{id}-url"));
    view! {
        <button type="button" class="button" popovertarget=opens data-resend=""><Icon name="retry"/>"Resend"</button>
        <div id=id class="dialog" popover="auto" role="dialog" aria-label="Resend this notification">
            <form method="post" action="/rpc/orders/resend">
                <h3>"Resend this notification"</h3>
                <Hidden name="merchant" value=merchant/>
                <Hidden name="order" value=order.to_string()/>
                <Hidden name="notification" value=notification.to_string()/>
                <Hidden name="request_key" value=request_key()/>
                <div class="field">
                    <label for=field.clone()>"To"</label>
                    <select id=field name="url">
                        {many.then(|| view! { <option value="">"All URLs"</option> })}
                        {options}
                    </select>
                </div>
                <p class="hint">
                    "The script gets the notification again, with the same fields and a new signature, and may act on it a second time. "
                    "For debug it is sent once, to one URL, at once and beside any request under way, and you see request and answer side by side."
                </p>
                <div class="actions">
                    <button class="button primary"><Icon name="retry"/>"Resend"</button>
                    <button class="button" name="debug" value="true"><Icon name="debug"/>"Resend for debug"</button>
                    <button type="button" class="button" popovertarget=closes popovertargetaction="hide">"Leave it"</button>
                </div>
            </form>
        </div>
    }
}

/// Resends to the one URL of a delivery: two small buttons.
#[component]
pub fn ResendTo(merchant: String, order: OrderId, notification: NotificationId, url: UrlId, label: String) -> impl IntoView {
    view! {
        <form class="row-actions" method="post" action="/rpc/orders/resend">
            <Hidden name="merchant" value=merchant/>
            <Hidden name="order" value=order.to_string()/>
            <Hidden name="notification" value=notification.to_string()/>
            <Hidden name="url" value=url.to_string()/>
            <Hidden name="request_key" value=request_key()/>
            <button class="button small" title=format!("Resend to {label}")><Icon name="retry"/>"Resend"</button>
            <button class="button small" name="debug" value="true" title=format!("Send to {label} at once and show request and answer")>
                <Icon name="debug"/>"Debug"
            </button>
        </form>
    }
}
