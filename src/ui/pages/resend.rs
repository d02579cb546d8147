//! Resending: the way to the form, the form, and the two small buttons for one URL.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    domain::{
        DeliveryState,
        id::{NotificationId, OrderId, UrlId},
        pages::{
            flash::Flash,
            orders::DeliveryView,
            story::{AddressOfThen, ResendChoice, ResendPage as Choices},
        },
    },
    rpc::orders::{read_resend, request_key},
    ui::{
        components::{
            Confirm, DeliveryBadge, Empty, FormNotes, Hidden, Icon, Moment, Notice, OrderBadge, ShadowBadge, TestBadge, Tone,
            fact,
        },
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// The link to the form. The key `r` follows that of the newest message of a page, or of the row that has the focus.
#[component]
pub fn ResendLink(slug: String, notification: NotificationId) -> impl IntoView {
    view! {
        <a class="button small" href=format!("/m/{slug}/notifications/{notification}/resend") data-resend=notification.to_string()>
            <Icon name="retry"/>{t!("Resend…")}
        </a>
    }
}

/// `/m/{merchant}/notifications/{notification}/resend`
#[component]
pub fn ResendPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("notification"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_resend(slug.clone(), id?).await?;
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Order {reference}", reference = found.order.reference), format!("/m/{slug}/orders/{}", found.order.id)),
        ];
        let mut flash = any_flash();
        if found.bytes_removed || found.choices.is_empty() {
            // There is nothing left that could be marked.
            flash.errors.iter_mut().for_each(|error| error.field.clear());
        }
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Resend a notification") crumbs>
                <div class="stack narrow">
                    <FormNotes flash=flash.clone()/>
                    {facts(&found)}
                    {form(&found, &flash)}
                    {gone(&found)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn facts(found: &Choices) -> impl IntoView + use<> {
    let notification = &found.notification;
    let status = view! {
        <span class="badges">
            <OrderBadge status=notification.status vendor=notification.vendor_status.clone()/>
            <TestBadge test=notification.test/>
        </span>
    };
    let is_old = notification.status != found.order.status;
    let (now, then) = (tell(found.order.status.label()).to_lowercase(), tell(notification.status.label()).to_lowercase());
    let words = t!("It is {now} now. A script that does not look at the dates may take the order back to {then}.", now, then);
    view! {
        <dl class="facts panel">
            {fact(t!("Notification"), status)}
            {fact(t!("Gateway's word"), view! { <span class="code">{notification.vendor_status.clone()}</span> })}
            {fact(t!("Received"), view! { <Moment at=notification.received_at/> })}
        </dl>
        {is_old.then(|| view! {
            <Notice tone=Tone::Warn title=t!("The order has another status by now")>
                <p>{words}</p>
            </Notice>
        })}
    }
}

fn form(found: &Choices, flash: &Flash) -> AnyView {
    if found.bytes_removed {
        return view! {
            <Empty title=t!("It cannot be sent again")><p>{t!("The bytes of this notification were removed, because it is older than they are kept.")}</p></Empty>
        }
        .into_any();
    }
    if found.choices.is_empty() {
        let settings = format!("/m/{}/settings/urls", found.merchant.slug);
        return view! {
            <Empty title=t!("There is no URL to send to")>
                <p>{t!("Every notification URL was removed from the settings.")}</p>
                <p><a class="button primary" href=settings>{t!("To the notification URLs")}</a></p>
            </Empty>
        }
        .into_any();
    }
    let chosen = flash.value("urls").map(|ids| ids.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let mut choices: Vec<_> = found.choices.iter().collect();
    choices.sort_by_key(|choice| choice.then.is_none());
    let went = choices.iter().filter(|choice| choice.then.is_some()).count();
    let is_ticked = |choice: &ResendChoice| match &chosen {
        Some(ids) => ids.contains(&choice.id.to_string()),
        // The URLs of then; where none of them is left, the only one there is.
        None => choice.then.is_some() || (went == 0 && found.choices.len() == 1),
    };
    let to: Vec<_> = flash.value("to").map(|to| to.split(' ').map(str::to_owned).collect()).unwrap_or_default();
    // Whatever was wrong is wrong with what was chosen.
    let mistake = flash.errors.iter().find(|error| !error.field.is_empty()).map(|error| error.message.clone());
    let group = |title: &'static str, part: &[&ResendChoice], first: usize| {
        let row = |(at, choice): (usize, &&ResendChoice)| {
            let place = first + at;
            row(choice, is_ticked(choice), place, &to, mistake.is_some() && place == 0)
        };
        let rows: Vec<_> = part.iter().enumerate().map(row).collect();
        // Said once, where the choices begin.
        let told = mistake
            .clone()
            .filter(|_| first == 0)
            .map(|told| view! { <p class="error" id="urls-error"><Icon name="alert"/>{told}</p> });
        let described = mistake.is_some().then_some("urls-error");
        (!rows.is_empty()).then(
            || view! { <fieldset class="choices" aria-describedby=described><legend>{title}</legend>{told}{rows}</fieldset> },
        )
    };
    view! {
        <form method="post" action="/rpc/orders/resend" class="stack panel">
            <Hidden name="merchant" value=found.merchant.slug.clone()/>
            <Hidden name="order" value=found.order.id.to_string()/>
            <Hidden name="notification" value=found.notification.id.to_string()/>
            <Hidden name="request_key" value=request_key()/>
            {group(t!("The URLs of then"), &choices[..went], 0)}
            {group(if went == 0 { t!("The URLs of now") } else { t!("Other URLs of now") }, &choices[went..], went)}
            <Notice tone=Tone::Warn title=t!("The script may act twice")>
                <p>{t!("It gets the notification again, with the same fields and a new signature. A script that does not check whether it knows the message may ship or book a second time.")}</p>
            </Notice>
            <div class="actions">
                <button class="button primary"><Icon name="retry"/>{t!("Resend")}</button>
                <button class="button" name="debug" value="true"><Icon name="debug"/>{t!("Resend for debug")}</button>
                <a class="button plain" href=format!("/m/{}/orders/{}", found.merchant.slug, found.order.id)>{t!("Leave it")}</a>
            </div>
            <p class="hint">
                {t!("Resend puts it into the queue of each URL and tries it by the URL's schedule. For debug it is sent once, at once, beside any request under way and also to a URL on hold, and you see request and answer side by side.")}
            </p>
        </form>
    }
    .into_any()
}

fn row(choice: &ResendChoice, checked: bool, place: usize, to: &[String], is_wrong: bool) -> impl IntoView + use<> {
    let then = choice.then.as_ref().map(|delivery| {
        let tries = tn!("after {count} attempt", "after {count} attempts", u64::from(delivery.attempts));
        view! { <span class="then"><DeliveryBadge of=delivery/>" "{tries}{delivery.shadow.then(|| view! { " "<ShadowBadge/> })}</span> }
    });
    view! {
        <div class="resend-choice">
            <label class="check">
                <input type="checkbox" name="urls[]" value=choice.id.to_string() checked=checked autofocus=is_wrong aria-invalid=is_wrong.then_some("true")/>
                <span>
                    <bdi>{choice.label.clone()}</bdi>
                    {choice.before.is_none().then(|| view! { <span class="hint url">{choice.url.clone()}</span> })}
                    {choice.held.then(|| view! { <span class="hint">{t!("On hold: it is kept until the URL is released; for debug it is sent all the same.")}</span> })}
                    {then}
                </span>
            </label>
            {choice.before.as_ref().map(|before| whither(choice, before, place, to))}
        </div>
    }
}

/// For a URL whose address was changed since: to the one of now, or to the one of then.
fn whither(choice: &ResendChoice, before: &AddressOfThen, place: usize, to: &[String]) -> impl IntoView + use<> {
    let name = format!("to[{place}]");
    let then = format!("{}.{}", choice.id, before.attempt);
    let is_then = to.contains(&then);
    view! {
        <fieldset class="whither">
            <legend class="visually-hidden">{t!("Which address of {label}", label = choice.label)}</legend>
            <p class="hint">{t!("Its address was changed since it went there.")}</p>
            <label class="check">
                <input type="radio" name=name.clone() value="now" checked=!is_then/>
                <span>{t!("To its address of now")}<span class="hint url">{choice.url.clone()}</span></span>
            </label>
            <label class="check">
                <input type="radio" name=name value=then checked=is_then/>
                <span>
                    {t!("To its address of then")}
                    <span class="hint url">{before.address.clone()}</span>
                    <span class="hint">{rich!("last sent there {time}", time = view! { <Moment at=before.at/> })}</span>
                    {before.without_secrets.then(|| view! { <span class="hint">{t!("It is another server: headers of this URL that carry secrets are not sent there.")}</span> })}
                </span>
            </label>
        </fieldset>
    }
}

fn gone(found: &Choices) -> impl IntoView + use<> {
    let rows: Vec<_> = found
        .gone
        .iter()
        .map(|delivery: &DeliveryView| {
            let how =
                if delivery.state == DeliveryState::Confirmed { t!("confirmed it") } else { t!("did not confirm it") };
            view! { <li><bdi>{delivery.url_label.clone()}</bdi>" "<span class="url muted">{delivery.url.clone()}</span>{format!(", {how}")}</li> }
        })
        .collect();
    (!rows.is_empty()).then(|| {
        view! {
            <section class="panel" aria-labelledby="gone">
                <h2 id="gone">{t!("It also went to")}</h2>
                <ul class="plain-list">{rows}</ul>
                <p class="muted">{t!("These URLs were removed from the settings; to send there again, add them anew.")}</p>
            </section>
        }
    })
}

/// Resends to the one URL of a delivery: two small buttons, of which the one for debug asks first. The key `r` leads to the form,
/// where there are more choices.
#[component]
pub fn ResendTo(merchant: String, order: OrderId, notification: NotificationId, url: UrlId, label: String) -> impl IntoView {
    let more = format!("/m/{merchant}/notifications/{notification}/resend");
    let fields = move || {
        view! {
            <Hidden name="merchant" value=merchant.clone()/>
            <Hidden name="order" value=order.to_string()/>
            <Hidden name="notification" value=notification.to_string()/>
            <Hidden name="urls[]" value=url.to_string()/>
            <Hidden name="request_key" value=request_key()/>
        }
    };
    let again = fields.clone();
    view! {
        <div class="row-actions">
            <form method="post" action="/rpc/orders/resend" data-resend=notification.to_string() data-more=more>
                {fields()}
                <button class="button small" title=t!("Resend to {label}", label = label.clone())><Icon name="retry"/>{t!("Resend")}</button>
            </form>
            <Confirm
                id=format!("debug-{notification}-{url}") label=t!("Debug") icon="debug" title=t!("Send to {label} at once?", label)
                consequence=t!("Request and answer are shown side by side as they happen. It is the same notification again: a script that does not check whether it knows the message may ship or book a second time.")
                action="/rpc/orders/resend" verb=t!("Send it")
            >
                {again()}
                <Hidden name="debug" value="true"/>
            </Confirm>
        </div>
    }
}
