//! Orders: search, story, exchanges, resend, TEST orders, checks of what a developer pastes.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{
    AppError,
    id::{DeliveryId, NotificationId, OrderId},
    pages::{
        orders::{AttemptPage, DeliveryPage, NotificationPage, OrderFilter, OrderList},
        simulate::{CheckForm, CheckResult, OrderDraft, OrderPreview},
        story::{ResendPage, StoryPage, WatchPage},
    },
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, Json};

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::{
        id::UrlId,
        pages::story::{AttemptRef, MOST_WATCHED, StoryTurn, watched_ids},
        role::Permission,
    },
    crate::server::service::{
        resend::ResendWish,
        test_order::{Placed, TestOrderForm},
    },
    std::collections::BTreeMap,
};

/// Searches the orders of a merchant.
#[server(prefix = "/rpc", endpoint = "orders/find", input = Json)]
pub async fn find_orders(merchant: String, filter: OrderFilter) -> Result<OrderList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let masked = !caller.may(Permission::SeePersonalData);
    let list = caller.services.find_orders(&merchant, &OrderFilter { masked, ..filter }).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// The story of an order, a page of it. `newest_first` reads it backwards, `after` goes on behind an entry.
#[server(prefix = "/rpc", endpoint = "orders/story", input = GetUrl)]
pub async fn read_story(
    merchant: String,
    order: OrderId,
    #[server(default)] newest_first: bool,
    #[server(default)] after: String,
) -> Result<StoryPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let after = match after.as_str() {
        "" => None,
        place => {
            Some(place.parse().map_err(|()| AppError::field("after", t!("This place in the story is not known; begin anew.")))?)
        }
    };
    let turn = StoryTurn { newest_first, after };
    let page = caller.services.story(&merchant, order, turn, caller.may(Permission::Resend)).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// A delivery with its attempts, the newest first; from a number on down where one is named.
#[server(prefix = "/rpc", endpoint = "orders/delivery", input = GetUrl)]
pub async fn read_delivery(
    merchant: String,
    delivery: DeliveryId,
    #[server(default)] attempts_until: Option<u32>,
) -> Result<DeliveryPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.delivery_page(&merchant, delivery, attempts_until, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// One attempt, byte for byte.
#[server(prefix = "/rpc", endpoint = "orders/attempt", input = GetUrl)]
pub async fn read_attempt(merchant: String, delivery: DeliveryId, number: u32) -> Result<AttemptPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.attempt_page(&merchant, delivery, number, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// A notification as it was received.
#[server(prefix = "/rpc", endpoint = "orders/notification", input = GetUrl)]
pub async fn read_notification(merchant: String, notification: NotificationId) -> Result<NotificationPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.notification_page(&merchant, notification, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Where a notification can be resent to.
#[server(prefix = "/rpc", endpoint = "orders/resend-choices", input = GetUrl)]
pub async fn read_resend(merchant: String, notification: NotificationId) -> Result<ResendPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
    let page = caller.services.resend_page(&merchant, notification).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Deliveries that were made for debug, with their exchanges as far as they are; their ids with dashes between them.
#[server(prefix = "/rpc", endpoint = "orders/exchanges", input = GetUrl)]
pub async fn read_exchanges(merchant: String, order: OrderId, exchanges: String) -> Result<WatchPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let ids = watched_ids(&exchanges).ok_or(AppError::NotFound)?;
    let page = caller.services.watch_page(&merchant, order, &ids, caller.may(Permission::Resend)).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// A key that makes a second click on the same resend form the same wish; fresh with each rendering.
#[cfg(feature = "ssr")]
pub fn request_key() -> String {
    hex::encode(crate::server::store::random::<8>())
}

/// The URLs that a form sends to their address of then: `now`, or the URL and an attempt that went there, with a dot between.
#[cfg(feature = "ssr")]
fn chosen(to: &[String]) -> Result<BTreeMap<UrlId, AttemptRef>, AppError> {
    let unknown = || AppError::field("to", t!("The address of then is not known any more; look at the choices anew."));
    let of = |choice: &String| {
        let (url, attempt) = choice.split_once('.')?;
        Some((url.parse().ok()?, attempt.parse().ok()?))
    };
    let then = to.iter().filter(|choice| !matches!(choice.as_str(), "" | "now"));
    then.map(|choice| of(choice).ok_or_else(unknown)).collect()
}

/// Delivers a notification again: to each of the URLs that are named, or once, at once and for debug.
#[server(prefix = "/rpc", endpoint = "orders/resend")]
pub async fn resend(
    merchant: String,
    order: OrderId,
    notification: NotificationId,
    #[server(default)] urls: Vec<String>,
    #[server(default)] to: Vec<String>,
    #[server(default)] debug: bool,
    #[server(default)] request_key: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/notifications/{notification}/resend");
    let sent = Sent { form: "resend", page, values: vec![("urls", urls.join(" ")), ("to", to.join(" "))] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
        if urls.is_empty() {
            return Err(AppError::field("urls", t!("Choose at least one URL to resend to.")));
        }
        if debug && urls.len() > MOST_WATCHED {
            return Err(AppError::field("urls", t!("Choose at most {most} URLs to resend to for debug.", most = MOST_WATCHED)));
        }
        let gone = |_| AppError::field("urls", t!("This URL is not in use any more; choose another."));
        let url_ids = urls.iter().map(|id| id.parse().map_err(gone)).collect::<Result<_, _>>()?;
        let then = chosen(&to)?;
        let wish = ResendWish { order_id: order, notification_id: Some(notification), url_ids, then, debug, request_key };
        let outcome = caller.services.resend(&merchant, wish, caller.actor()).await.map_err(app_error)?;
        if debug {
            let ids: Vec<_> = outcome.delivery_ids.iter().map(ToString::to_string).collect();
            let page = format!("/m/{}/orders/{order}/exchanges/{}", merchant.slug, ids.join("-"));
            return Ok(Done { page, ..Done::default() });
        }
        let count = outcome.delivery_ids.len();
        let notice = if count == 1 { t!("Resent to one URL.").to_owned() } else { t!("Resent to {count} URLs.", count) };
        Ok(Done::at(format!("/m/{}/orders/{order}", merchant.slug), notice))
    };
    sent.end(result.await)
}

/// Places a TEST order.
#[server(prefix = "/rpc", endpoint = "orders/test")]
pub async fn place_test_order(
    merchant: String,
    status: String,
    product: String,
    amount: String,
    #[server(default)] quantity: String,
    #[server(default)] more_products: String,
    currency: String,
    #[server(default)] first_name: String,
    #[server(default)] last_name: String,
    #[server(default)] email: String,
    #[server(default)] reference: String,
    #[server(default)] to: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let form =
        TestOrderForm { status, product, amount, quantity, more_products, currency, first_name, last_name, email, reference, to };
    let sent = Sent {
        form: "test-order",
        page: format!("/m/{merchant}/test-order"),
        values: form.values().map(|(name, value)| (name, value.clone())).to_vec(),
    };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
        let (services, actor) = (caller.services.clone(), caller.actor().clone());
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                let placed = services.place_test_order(&merchant, &form, actor).await.map_err(app_error)?;
                let slug = &merchant.slug;
                Ok(match placed {
                    Placed::Order(order) => {
                        Done::at(format!("/m/{slug}/orders/{order}"), t!("TEST order placed; its notification is on its way."))
                    }
                    Placed::To(delivery, Some(number)) => Done::at(
                        format!("/m/{slug}/deliveries/{delivery}/{number}"),
                        t!("This is what was sent, and what came back. It went to this URL alone."),
                    ),
                    Placed::To(delivery, None) => Done::at(
                        format!("/m/{slug}/deliveries/{delivery}"),
                        t!("The attempt has not ended yet; this page shows it when it has."),
                    ),
                    Placed::Received(order, answer) => Done::at(
                        format!("/m/{slug}/orders/{order}"),
                        t!("The listener took it, and answered the gateway: {answer}", answer),
                    ),
                })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// What a TEST order would look like on the wire.
#[server(prefix = "/rpc", endpoint = "orders/test/preview", input = Json)]
pub async fn preview_test_order(merchant: String, draft: OrderDraft) -> Result<OrderPreview, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
    Ok(caller.shown(caller.services.preview_test_order(&merchant, &draft)?))
}

/// Looks at a message, a signature or an answer that a developer pasted.
#[server(prefix = "/rpc", endpoint = "orders/check", input = Json)]
pub async fn check_message(merchant: String, pasted: CheckForm) -> Result<CheckResult, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
    Ok(caller.shown(caller.services.check_message(&merchant, &pasted)?))
}
