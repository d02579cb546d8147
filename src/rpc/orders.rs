//! Orders: search, story, resend, TEST orders.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{
    AppError,
    id::{DeliveryId, NotificationId, OrderId},
    pages::orders::{AttemptPage, DeliveryPage, NotificationPage, OrderFilter, OrderList, OrderPage},
};
use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, Json};

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::{FieldError, role::Permission},
    crate::server::service::{orders::ResendWish, test_order::TestOrderForm},
};

/// Searches the orders of a merchant.
#[server(prefix = "/rpc", endpoint = "orders/find", input = Json)]
pub async fn find_orders(merchant: String, filter: OrderFilter) -> Result<OrderList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let whole_email = !caller.may(Permission::SeePersonalData);
    let list = caller.services.find_orders(&merchant, &OrderFilter { whole_email, ..filter }).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// The story of an order.
#[server(prefix = "/rpc", endpoint = "orders/page", input = GetUrl)]
pub async fn read_order(merchant: String, order: OrderId) -> Result<OrderPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.order_page(&merchant, order, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// A delivery with its attempts.
#[server(prefix = "/rpc", endpoint = "orders/delivery", input = GetUrl)]
pub async fn read_delivery(merchant: String, delivery: DeliveryId) -> Result<DeliveryPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.delivery_page(&merchant, delivery, may_resend).await.map_err(app_error)?;
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
    let page = caller.services.notification_page(&merchant, notification).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// A key that makes a second click on the same resend form the same wish; fresh with each rendering.
#[cfg(feature = "ssr")]
pub fn request_key() -> String {
    hex::encode(crate::server::store::random::<8>())
}

/// Delivers a notification again: to one URL or to all, or at once and for debug. An empty `url` means all.
#[server(prefix = "/rpc", endpoint = "orders/resend")]
pub async fn resend(
    merchant: String,
    order: OrderId,
    notification: NotificationId,
    #[server(default)] url: String,
    #[server(default)] debug: bool,
    request_key: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/orders/{order}");
    let sent = Sent { form: "resend", page, values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
        let url_id = match url.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| AppError::field("url", "This URL is not in use any more; choose another."))?),
        };
        if debug && url_id.is_none() {
            return Err(AppError::field("url", "Choose one URL to resend to for debug."));
        }
        let wish = ResendWish { order_id: order, notification_id: Some(notification), url_id, debug, request_key };
        let outcome = caller.services.resend(&merchant, wish, caller.actor()).await.map_err(app_error)?;
        let first = *outcome.delivery_ids.first().ok_or(AppError::NotFound)?;
        if !debug {
            let count = outcome.delivery_ids.len();
            let notice = if count == 1 { "Resent to one URL.".to_owned() } else { format!("Resent to {count} URLs.") };
            return Ok(Done::at(format!("/m/{}/orders/{order}", merchant.slug), notice));
        }
        let attempt = caller.services.wait_for_attempt(&merchant, first).await.map_err(app_error)?;
        Ok(match attempt {
            Some(number) => Done { page: format!("/m/{}/deliveries/{first}/{number}", merchant.slug), ..Done::default() },
            None => Done::at(
                format!("/m/{}/deliveries/{first}", merchant.slug),
                "The attempt has not ended yet; this page shows it when it has.",
            ),
        })
    };
    // The dialog has closed, and the page has no field that could be marked: what is wrong is said at its top.
    sent.end(result.await.map_err(|error| match error {
        AppError::Invalid(errors) => {
            AppError::Invalid(errors.into_iter().map(|error| FieldError { field: String::new(), ..error }).collect())
        }
        other => other,
    }))
}

/// Places a TEST order.
#[server(prefix = "/rpc", endpoint = "orders/test")]
pub async fn place_test_order(
    merchant: String,
    status: String,
    product: String,
    amount: String,
    currency: String,
    email: String,
    #[server(default)] reference: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let sent = Sent {
        form: "test-order",
        page: format!("/m/{merchant}/test-order"),
        values: vec![
            ("status", status.clone()),
            ("product", product.clone()),
            ("amount", amount.clone()),
            ("currency", currency.clone()),
            ("email", email.clone()),
            ("reference", reference.clone()),
        ],
    };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
        let form = TestOrderForm { status, product, amount, currency, email, reference };
        let (services, actor) = (caller.services.clone(), caller.actor().clone());
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                let order = services.place_test_order(&merchant, &form, actor).await.map_err(app_error)?;
                Ok(Done::at(format!("/m/{}/orders/{order}", merchant.slug), "TEST order placed; its notification is on its way."))
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}
