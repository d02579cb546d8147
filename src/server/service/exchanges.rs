//! Exchanges byte for byte: an attempt, a notification as it was received, resends for debug as they happen.

use super::{
    ServiceResult, Services,
    compare::{Sent, compare},
    merchant_ref, shown,
};
use crate::server::{
    dispatch::{
        attempt::{KEPT_ANSWER, Numbers, at_address, prepared},
        format::Material,
    },
    store::{Exchange, Merchant, NotificationUrl, StoryPart},
};
use crate::{
    domain::{
        AppError, Cause, DeliveryState,
        id::{DeliveryId, NotificationId, OrderId},
        pages::{
            orders::{AttemptPage, DeliveryView, NotificationPage},
            story::{Comparison, WatchPage, Watched, WatchedAnswer},
        },
    },
    words::{n, t, tell},
};
use std::{collections::HashMap, sync::Arc};

/// Of messages that are older than bytes are kept.
const BYTES_REMOVED: &str =
    n!("The bytes of this message were removed, because it is older than they are kept; it cannot be sent again.");

impl Services {
    /// One attempt, byte for byte.
    pub async fn attempt_page(
        &self,
        merchant: &Merchant,
        id: DeliveryId,
        number: u32,
        may_resend: bool,
    ) -> ServiceResult<AttemptPage> {
        let (delivery, order_id, vendor_status) = self.store.delivery(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let found = self.store.exchanges(&[(id, number)]).await?.into_iter().next();
        let exchange = match found {
            Some((_, exchange)) if is_kept(&exchange) => exchange,
            _ if number == 0 || number > delivery.attempts => return Err(AppError::NotFound.into()),
            _ => return Err(attempt_removed(&delivery, number).into()),
        };
        let order = self.order_row(merchant, order_id).await?;
        let url = self.store.settings().url(delivery.url_id).cloned();
        let material = self.material(url.as_deref(), delivery.notification_id).await?;
        let url_removed = url.is_none();
        let then = &exchange.detail.url;
        let moved = !then.is_empty() && url.as_ref().is_some_and(|url| url.url != *then);
        Ok(AttemptPage {
            merchant: merchant_ref(merchant),
            order_id,
            reference: order.reference,
            vendor_status,
            comparison: self.comparison(merchant, &delivery, &exchange, material),
            attempt: exchange.attempt,
            detail: exchange.detail,
            request_head: exchange.request_head,
            fields: shown::fields(&exchange.request_body),
            request_body: shown::text(&exchange.request_body),
            request_size: exchange.request_body.len() as u64,
            request_base64: shown::base64(&exchange.request_body),
            answer_head: exchange.answer_head,
            answer_fields: shown::json_fields(&exchange.answer_body),
            answer_cut: exchange.answer_body.len() >= KEPT_ANSWER,
            answer_body: shown::text(&exchange.answer_body),
            url_removed,
            moved,
            may_resend: may_resend && !url_removed,
            delivery,
        })
    }

    /// What is known of a message that would be sent to a URL; nothing where there is no such URL, or where the message has
    /// been removed.
    pub(super) async fn material(&self, url: Option<&NotificationUrl>, id: NotificationId) -> ServiceResult<Option<Material>> {
        let Some(url) = url else { return Ok(None) };
        if Material::must_be_whole(url.terms.format) {
            let found = self.store.original(id).await?.filter(|original| !original.leaves.is_empty());
            return Ok(found.map(|original| Material::Whole(Box::new(original))));
        }
        let received = self.store.bodies(&[id]).await?.remove(&id);
        Ok(received.filter(|received| !received.is_empty()).map(Material::Leaves))
    }

    /// What an attempt sent beside what a resend to the same URL would send now.
    fn comparison(
        &self,
        merchant: &Merchant,
        delivery: &DeliveryView,
        exchange: &Exchange,
        material: Option<Material>,
    ) -> Comparison {
        let settings = self.store.settings();
        let Some(url) = settings.url(delivery.url_id) else {
            let why = t!("Its URL was removed from the settings; nothing is sent there any more.");
            return Comparison::Impossible(why.to_owned());
        };
        let Some(material) = material else {
            return Comparison::Impossible(BYTES_REMOVED.to_owned());
        };
        // The key may have been changed since the page's merchant was read.
        let current = settings.merchant(merchant.id).cloned();
        let key = current.as_ref().map_or(&merchant.secret_key, |merchant| &merchant.secret_key);
        let numbers = Numbers { delivery_id: delivery.id, notification_id: delivery.notification_id, attempt: 1 };
        match prepared(numbers, &material, url, current.as_deref().unwrap_or(merchant), self.clock.now()) {
            Err((cause, note)) => Comparison::Impossible(format!("{} {note}", cause.sentence()).trim().to_owned()),
            Ok(prepared) => {
                let then = Sent {
                    url: &exchange.detail.url,
                    head: &exchange.request_head,
                    body: &exchange.request_body,
                    key: exchange.detail.key.clone(),
                    format: exchange.detail.format,
                };
                let now = Sent {
                    url: &url.url,
                    head: &prepared.head,
                    body: &prepared.body,
                    key: key.fingerprint(),
                    format: prepared.format,
                };
                Comparison::Made(compare(&then, &now, key.reveal()))
            }
        }
    }

    /// A notification as it was received.
    pub async fn notification_page(
        &self,
        merchant: &Merchant,
        id: NotificationId,
        may_resend: bool,
    ) -> ServiceResult<NotificationPage> {
        let stored = self.store.notification(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let order = self.order_row(merchant, stored.order_id).await?;
        let bytes_removed = stored.body.is_empty() && stored.view.size > 0;
        Ok(NotificationPage {
            merchant: merchant_ref(merchant),
            order_id: stored.order_id,
            reference: order.reference,
            notification: stored.view,
            head: stored.head,
            fields: shown::fields(&stored.body),
            body: shown::text(&stored.body),
            bytes_removed,
            may_resend: may_resend && !bytes_removed,
        })
    }

    /// Deliveries of an order that somebody looks at while they are made: what goes out, and what came back.
    pub async fn watch_page(
        &self,
        merchant: &Merchant,
        order_id: OrderId,
        ids: &[DeliveryId],
        may_resend: bool,
    ) -> ServiceResult<WatchPage> {
        let order = self.order_row(merchant, order_id).await?;
        let part = StoryPart { order_id, notifications: Vec::new(), deliveries: ids.to_vec(), attempts: Vec::new() };
        let mut deliveries: HashMap<_, _> =
            self.store.story_rows(&part).await?.deliveries.into_iter().map(|delivery| (delivery.id, delivery)).collect();
        let wanted: Vec<_> = deliveries.values().map(|delivery| (delivery.id, delivery.attempts)).collect();
        let mut exchanges: HashMap<_, _> = self.store.exchanges(&wanted).await?.into_iter().collect();
        let settings = self.store.settings();
        let is_open = |one: &DeliveryView| one.attempts == 0;
        // Together, because a page makes few statements; those that need more than the form are few.
        let usual = |one: &DeliveryView| settings.url(one.url_id).is_some_and(|url| !Material::must_be_whole(url.terms.format));
        let open: Vec<_> = deliveries.values().filter(|one| is_open(one) && usual(one)).map(|one| one.notification_id).collect();
        let bodies = if open.is_empty() { HashMap::new() } else { self.store.bodies(&open).await? };
        let mut watched = Vec::new();
        for id in ids {
            if let Some(delivery) = deliveries.remove(id) {
                let material = match bodies.get(&delivery.notification_id) {
                    Some(received) if usual(&delivery) => Some(Material::Leaves(received.clone())),
                    _ if is_open(&delivery) && !usual(&delivery) => {
                        let url = settings.url(delivery.url_id).map(|url| &**url);
                        self.material(url, delivery.notification_id).await?
                    }
                    _ => None,
                };
                watched.push(self.watched(merchant, delivery, exchanges.remove(id), material.as_ref()));
            }
        }
        if watched.is_empty() {
            return Err(AppError::NotFound.into());
        }
        Ok(WatchPage { merchant: merchant_ref(merchant), order, watched, may_resend })
    }

    fn watched(
        &self,
        merchant: &Merchant,
        delivery: DeliveryView,
        exchange: Option<Exchange>,
        material: Option<&Material>,
    ) -> Watched {
        let url_removed = self.store.settings().url(delivery.url_id).is_none();
        if let Some(exchange) = exchange.filter(is_kept) {
            return Watched {
                url_removed,
                delivery,
                request_head: exchange.request_head,
                request_body: shown::text(&exchange.request_body),
                answer: Some(WatchedAnswer {
                    head: exchange.answer_head,
                    body: shown::text(&exchange.answer_body),
                    note: exchange.detail.note,
                    format: exchange.detail.format,
                    attempt: exchange.attempt,
                }),
                trouble: None,
            };
        }
        let settings = self.store.settings();
        let numbers = Numbers { delivery_id: delivery.id, notification_id: delivery.notification_id, attempt: 1 };
        let url = settings.url(delivery.url_id);
        let own = |url: &Arc<_>| if delivery.elsewhere { Arc::new(at_address(url, delivery.url.clone())) } else { url.clone() };
        let url = url.map(own);
        let now = self.clock.now();
        let request = material.zip(url.as_deref()).map(|(material, url)| prepared(numbers, material, url, merchant, now));
        let trouble = if delivery.attempts > 0 {
            Some(t!("This exchange was removed, because it is older than exchanges are kept.").to_owned())
        } else if delivery.state == DeliveryState::Cancelled {
            Some(t!("It was cancelled before it was tried.").to_owned())
        } else if url.is_none() {
            Some(t!("Its URL was removed from the settings meanwhile; it is not sent.").to_owned())
        } else {
            None
        };
        let (request_head, request_body) = match request {
            Some(Ok(prepared)) if delivery.attempts == 0 => (prepared.head, shown::text(&prepared.body)),
            _ => Default::default(),
        };
        Watched { delivery, request_head, request_body, answer: None, trouble, url_removed }
    }
}

/// Whether the bytes of an attempt are still there. Where nothing could be sent there never were any.
fn is_kept(exchange: &Exchange) -> bool {
    let was_not_made = matches!(exchange.attempt.cause, Some(Cause::UrlInvalid | Cause::MessageGone));
    !exchange.request_head.is_empty() || was_not_made
}

fn attempt_removed(delivery: &DeliveryView, number: u32) -> AppError {
    AppError::Gone(t!(
        "Attempt {number} to {url_label} was made, but what was sent and what came back was removed, because it is older than \
         exchanges are kept. The delivery itself is {state}.",
        number,
        url_label = delivery.url_label,
        state = tell(delivery.state_label()).to_lowercase()
    ))
}
