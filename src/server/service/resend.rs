//! Resends of one notification: where it can go, and sending it there.

use super::{ServiceResult, Services, merchant_ref, wish::key_of};
use crate::server::{
    dispatch::{attempt::at_address, client::Target},
    store::{Actor, Merchant, NewResend, ResendOutcome, Sending, StoryPart},
};
use crate::{
    domain::{
        AppError, DeliveryState,
        id::{DeliveryId, NotificationId, OrderId, UrlId},
        pages::story::{AddressOfThen, AttemptRef, ResendChoice, ResendPage},
    },
    words::t,
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};

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
    /// URLs that it goes to at their address of then: that of an attempt at this notification. All others get it where they
    /// are now.
    pub then: BTreeMap<UrlId, AttemptRef>,
    pub debug: bool,
    /// The same wish of the same person under the same key is one resend; without a key it is always a new one.
    pub request_key: String,
}

impl ResendWish {
    /// What the store knows it by. URLs come in any order, and more than once.
    fn key(&mut self, actor: &Actor, merchant: &Merchant) -> String {
        self.url_ids.sort_unstable();
        self.url_ids.dedup();
        let Self { order_id, notification_id, url_ids, then, debug, request_key } = self;
        key_of(request_key, actor, merchant, &(order_id, notification_id, url_ids, then, debug))
    }
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
        let mut before = self.addresses_of_then(merchant, id).await?;
        let choices = self
            .url_choices(merchant)
            .into_iter()
            .map(|url| {
                let at = then.iter().position(|delivery| delivery.url_id == url.id);
                let then = at.map(|at| then.swap_remove(at));
                let before = before.remove(&url.id);
                ResendChoice { id: url.id, label: url.label, url: url.url, held: url.held, then, before }
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

    /// The addresses that a notification last went to when its URLs were set to others than now.
    async fn addresses_of_then(&self, merchant: &Merchant, id: NotificationId) -> ServiceResult<BTreeMap<UrlId, AddressOfThen>> {
        let settings = self.store.settings();
        let mut found = BTreeMap::new();
        for sending in self.store.sendings(merchant.id, id).await? {
            let Some(url) =
                settings.url(sending.url_id).filter(|url| can_be_dialled(&sending.address) && url.url != sending.address)
            else {
                continue;
            };
            // The latest comes first.
            found.entry(url.id).or_insert_with(|| AddressOfThen {
                attempt: AttemptRef { delivery: sending.delivery_id, number: sending.number },
                at: sending.at,
                without_secrets: at_address(url, sending.address.clone()).headers.len() < url.headers.len(),
                address: sending.address,
            });
        }
        Ok(found)
    }

    /// For a command: where the latest notification of an order went when URLs had other addresses than now; of one URL, or of
    /// all.
    pub async fn then_of(
        &self,
        merchant: &Merchant,
        order_id: OrderId,
        url_id: Option<UrlId>,
    ) -> ServiceResult<BTreeMap<UrlId, AttemptRef>> {
        let notification = self.latest_notification(order_id).await?;
        let mut found = self.addresses_of_then(merchant, notification).await?;
        found.retain(|id, _| url_id.is_none_or(|wanted| wanted == *id));
        Ok(found.into_iter().map(|(id, then)| (id, then.attempt)).collect())
    }

    async fn latest_notification(&self, order_id: OrderId) -> ServiceResult<NotificationId> {
        let latest = self.store.notifications_of(order_id).await?.into_iter().next();
        Ok(latest.ok_or_else(|| AppError::field("order", t!("This order has no notification to resend.")))?.id)
    }

    /// The addresses of then that a wish names. Only an attempt tells of one: nobody can have a message sent to an address
    /// that he thought of.
    async fn own_addresses(
        &self,
        merchant: &Merchant,
        notification_id: NotificationId,
        wish: &ResendWish,
    ) -> ServiceResult<BTreeMap<UrlId, String>> {
        let then: Vec<_> = wish.then.iter().filter(|(id, _)| wish.url_ids.contains(id)).collect();
        if then.is_empty() {
            return Ok(BTreeMap::new());
        }
        let settings = self.store.settings();
        let sendings = self.store.sendings(merchant.id, notification_id).await?;
        let mut addresses = BTreeMap::new();
        for (url_id, attempt) in then {
            let is_it = |sending: &&Sending| {
                (sending.url_id, sending.delivery_id, sending.number) == (*url_id, attempt.delivery, attempt.number)
            };
            let found = sendings.iter().find(is_it).filter(|sending| can_be_dialled(&sending.address));
            let message = t!("The address of then is not known any more; look at the choices anew.");
            let address = &found.ok_or_else(|| AppError::field("to", message))?.address;
            if settings.url(*url_id).is_none_or(|url| url.url != *address) {
                addresses.insert(*url_id, address.clone());
            }
        }
        Ok(addresses)
    }

    /// Delivers a notification of an order again.
    pub async fn resend(
        &self,
        merchant: &Merchant,
        mut wish: ResendWish,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<ResendOutcome> {
        let actor = actor.into();
        let request_key = wish.key(&actor, merchant);
        self.order_row(merchant, wish.order_id).await?;
        let notification_id = match wish.notification_id {
            Some(id) => id,
            None => self.latest_notification(wish.order_id).await?,
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
        if wish.url_ids.is_empty() {
            wish.url_ids.extend(urls.iter().map(|url| url.id));
        }
        if wish.url_ids.is_empty() {
            return Err(
                AppError::field("url", t!("There is no notification URL to send to; add one under IPN settings first.")).into()
            );
        }
        if !wish.url_ids.iter().all(|id| urls.iter().any(|url| url.id == *id)) {
            return Err(AppError::field("url", t!("This URL is not in use any more; choose another.")).into());
        }
        let addresses = self.own_addresses(merchant, notification_id, &wish).await?;
        let new = NewResend {
            notification_ids: vec![notification_id],
            order_id: wish.order_id,
            url_ids: wish.url_ids,
            addresses,
            debug: wish.debug,
            actor,
            request_key,
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

/// Whether an address can be sent to. An attempt keeps only the beginning of one that is very long.
fn can_be_dialled(address: &str) -> bool {
    !address.ends_with('…') && Target::parse(address).is_ok()
}
