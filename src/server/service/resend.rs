//! Resends of one notification: where it can go, and sending it there.

use super::{ServiceResult, Services, merchant_ref};
use crate::server::store::{Actor, Merchant, NewResend, ResendOutcome, StoryPart};
use crate::{
    domain::{
        AppError, DeliveryState,
        id::{DeliveryId, NotificationId, OrderId, UrlId},
        pages::story::{ResendChoice, ResendPage},
    },
    words::t,
};
use bytes::Bytes;
use std::time::Duration;

/// How long a command that resends for debug waits: the limits of one attempt, and a little.
const DEBUG_PATIENCE: Duration = Duration::from_secs(45);
const DEBUG_LOOK_EVERY: Duration = Duration::from_millis(40);

/// What to deliver again.
#[derive(Debug, Clone)]
pub struct ResendWish {
    pub order_id: OrderId,
    /// The latest notification of the order if none is named.
    pub notification_id: Option<NotificationId>,
    /// All URLs of the merchant if none is named.
    pub url_ids: Vec<UrlId>,
    pub debug: bool,
    /// The same wish under the same key is one resend.
    pub request_key: String,
}

impl Services {
    /// Where a notification can be resent to, and how it went there before.
    pub async fn resend_page(&self, merchant: &Merchant, id: NotificationId) -> ServiceResult<ResendPage> {
        let stored = self.store.notification(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let order = self.order_row(merchant, stored.order_id).await?;
        let standings = self.store.standings(stored.order_id, Some(id)).await?;
        let deliveries = standings.iter().map(|standing| standing.latest).collect();
        let part = StoryPart { order_id: stored.order_id, notifications: Vec::new(), deliveries, attempts: Vec::new() };
        let mut then = self.store.story_rows(&part).await?.deliveries;
        let choices = self
            .url_choices(merchant)
            .into_iter()
            .map(|url| {
                let at = then.iter().position(|delivery| delivery.url_id == url.id);
                let then = at.map(|at| then.swap_remove(at));
                ResendChoice { id: url.id, label: url.label, url: url.url, held: url.held, then }
            })
            .collect();
        Ok(ResendPage {
            merchant: merchant_ref(merchant),
            order,
            bytes_removed: stored.body.is_empty() && stored.view.size > 0,
            notification: stored.view,
            choices,
            gone: then,
        })
    }

    /// Delivers a notification of an order again.
    pub async fn resend(
        &self,
        merchant: &Merchant,
        wish: ResendWish,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<ResendOutcome> {
        self.order_row(merchant, wish.order_id).await?;
        let notification_id = match wish.notification_id {
            Some(id) => id,
            None => {
                let latest = self.store.notifications_of(wish.order_id).await?.into_iter().next();
                latest.ok_or_else(|| AppError::field("order", t!("This order has no notification to resend.")))?.id
            }
        };
        let kept = self.store.bodies(&[notification_id]).await?;
        if kept.get(&notification_id).is_some_and(Bytes::is_empty) {
            let message = t!(
                "The bytes of this notification were removed, because it is older than they are kept; it cannot be sent again."
            );
            return Err(AppError::field("notification", message).into());
        }
        let settings = self.store.settings();
        let urls = settings.urls_of(merchant.id);
        let mut url_ids = wish.url_ids;
        if url_ids.is_empty() {
            url_ids.extend(urls.iter().map(|url| url.id));
        }
        url_ids.sort_unstable();
        url_ids.dedup();
        if url_ids.is_empty() {
            return Err(
                AppError::field("url", t!("There is no notification URL to send to; add one under IPN settings first.")).into()
            );
        }
        if !url_ids.iter().all(|id| urls.iter().any(|url| url.id == *id)) {
            return Err(AppError::field("url", t!("This URL is not in use any more; choose another.")).into());
        }
        let new = NewResend {
            notification_ids: vec![notification_id],
            order_id: wish.order_id,
            url_ids,
            debug: wish.debug,
            actor: actor.into(),
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
