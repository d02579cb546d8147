//! Orders: finding them, their story, resends.

use super::{ServiceResult, Services, merchant_ref};
use crate::domain::{
    AppError, DeliveryState,
    id::{DeliveryId, NotificationId, OrderId, UrlId},
    pages::orders::{AttemptPage, DeliveryPage, NotificationPage, OrderFilter, OrderList, OrderPage, OrderRow},
};
use crate::server::{
    gateway,
    ipn::Form,
    store::{Merchant, NewResend, ResendOutcome},
};
use bytes::Bytes;
use std::time::Duration;

/// How long somebody who resends for debug is kept waiting: the limits of one attempt, and a little.
const DEBUG_PATIENCE: Duration = Duration::from_secs(45);
const DEBUG_LOOK_EVERY: Duration = Duration::from_millis(40);

/// What to deliver again.
#[derive(Debug, Clone)]
pub struct ResendWish {
    pub order_id: OrderId,
    /// The latest notification of the order if none is named.
    pub notification_id: Option<NotificationId>,
    /// All URLs of the merchant if none is named.
    pub url_id: Option<UrlId>,
    pub debug: bool,
    /// The same wish under the same key is one resend.
    pub request_key: String,
}

impl Services {
    /// Searches orders.
    pub async fn find_orders(&self, merchant: &Merchant, filter: &OrderFilter) -> ServiceResult<OrderList> {
        let (rows, more, truncated) = self.store.find_orders(merchant.id, filter).await?;
        Ok(OrderList { rows, more, truncated })
    }

    /// The order that a reference or external reference names.
    pub async fn order_named(&self, merchant: &Merchant, reference: &str) -> ServiceResult<OrderId> {
        let found = self.store.order_by_reference(merchant.id, reference.trim()).await?;
        Ok(found.ok_or_else(|| AppError::field("order", format!("There is no order {reference:?} of this merchant.")))?)
    }

    /// The whole story of an order.
    pub async fn order_page(&self, merchant: &Merchant, id: OrderId, may_resend: bool) -> ServiceResult<OrderPage> {
        let order = self.order(merchant, id).await?;
        let notifications = self.store.notifications_of(id).await?;
        let urls = self.url_choices(merchant);
        let gateway = self.gateways.label(order.gateway);
        Ok(OrderPage { merchant: merchant_ref(merchant), order, gateway, notifications, urls, may_resend })
    }

    async fn order(&self, merchant: &Merchant, id: OrderId) -> ServiceResult<OrderRow> {
        Ok(self.store.order(merchant.id, id).await?.ok_or(AppError::NotFound)?)
    }

    /// A delivery with its attempts.
    pub async fn delivery_page(&self, merchant: &Merchant, id: DeliveryId, may_resend: bool) -> ServiceResult<DeliveryPage> {
        let (delivery, order_id, vendor_status) = self.store.delivery(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let order = self.order(merchant, order_id).await?;
        let attempts = self.store.attempts_of(id).await?;
        Ok(DeliveryPage {
            merchant: merchant_ref(merchant),
            order_id,
            reference: order.reference,
            vendor_status,
            delivery,
            attempts,
            may_resend,
        })
    }

    /// One attempt, byte for byte.
    pub async fn attempt_page(
        &self,
        merchant: &Merchant,
        id: DeliveryId,
        number: u32,
        may_resend: bool,
    ) -> ServiceResult<AttemptPage> {
        let (delivery, order_id, _) = self.store.delivery(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let exchange = self.store.exchange(id, number).await?.ok_or(AppError::NotFound)?;
        let order = self.order(merchant, order_id).await?;
        Ok(AttemptPage {
            merchant: merchant_ref(merchant),
            order_id,
            reference: order.reference,
            delivery,
            attempt: exchange.attempt,
            detail: exchange.detail,
            request_head: exchange.request_head,
            fields: decoded(&exchange.request_body),
            request_body: String::from_utf8_lossy(&exchange.request_body).into_owned(),
            answer_head: exchange.answer_head,
            answer_body: String::from_utf8_lossy(&exchange.answer_body).into_owned(),
            may_resend,
        })
    }

    /// A notification as it was received.
    pub async fn notification_page(&self, merchant: &Merchant, id: NotificationId) -> ServiceResult<NotificationPage> {
        let stored = self.store.notification(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let order = self.order(merchant, stored.order_id).await?;
        Ok(NotificationPage {
            merchant: merchant_ref(merchant),
            order_id: stored.order_id,
            reference: order.reference,
            notification: stored.view,
            head: stored.head,
            fields: decoded(&stored.body),
            body: String::from_utf8_lossy(&stored.body).into_owned(),
        })
    }

    /// Delivers a notification of an order again.
    pub async fn resend(&self, merchant: &Merchant, wish: ResendWish, actor: &str) -> ServiceResult<ResendOutcome> {
        let notification_id = match wish.notification_id {
            Some(id) => id,
            None => {
                let latest = self.store.notifications_of(wish.order_id).await?.into_iter().next();
                latest.ok_or_else(|| AppError::field("order", "This order has no notification to resend."))?.id
            }
        };
        let kept = self.store.bodies(&[notification_id]).await?;
        if kept.get(&notification_id).is_some_and(Bytes::is_empty) {
            let message =
                "The bytes of this notification were removed, because it is older than they are kept; it cannot be sent again.";
            return Err(AppError::field("notification", message).into());
        }
        let settings = self.store.settings();
        let urls = settings.urls_of(merchant.id);
        let url_ids: Vec<UrlId> = match wish.url_id {
            Some(id) => vec![
                urls.iter()
                    .find(|url| url.id == id)
                    .ok_or_else(|| AppError::field("url", "This URL is not in use any more; choose another."))?
                    .id,
            ],
            None => urls.iter().map(|url| url.id).collect(),
        };
        if url_ids.is_empty() {
            return Err(
                AppError::field("url", "There is no notification URL to send to; add one under IPN settings first.").into()
            );
        }
        let new = NewResend {
            notification_ids: vec![notification_id],
            order_id: wish.order_id,
            url_ids,
            debug: wish.debug,
            actor: actor.to_owned(),
            request_key: wish.request_key,
            at: self.clock.now(),
        };
        Ok(self.store.resend(merchant.id, new).await?)
    }

    /// Waits until a delivery for debug was tried; gives the number of its attempt, or `None` where nobody tried it in
    /// time (no server runs, or the URL was removed meanwhile).
    pub async fn wait_for_attempt(&self, merchant: &Merchant, id: DeliveryId) -> ServiceResult<Option<u32>> {
        let deadline = tokio::time::Instant::now() + DEBUG_PATIENCE;
        while tokio::time::Instant::now() < deadline {
            self.store.settled().await?;
            let (delivery, ..) = self.store.delivery(merchant.id, id).await?.ok_or(AppError::NotFound)?;
            if delivery.attempts > 0 {
                return Ok(Some(delivery.attempts));
            }
            if delivery.state == DeliveryState::Cancelled {
                return Ok(None);
            }
            tokio::time::sleep(DEBUG_LOOK_EVERY).await;
        }
        Ok(None)
    }
}

/// A message's fields for people, of JSON with the paths that lead to them; nothing where it is neither that nor a form.
pub fn decoded(body: &[u8]) -> Vec<(String, String)> {
    if let Some(b'{' | b'[') = body.trim_ascii_start().first() {
        return gateway::json_fields(body).unwrap_or_default();
    }
    let Ok(form) = Form::parse(body) else { return Vec::new() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    form.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect()
}
