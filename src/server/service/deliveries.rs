//! The lists of deliveries and of what came in.

use super::{ServiceResult, Services, shown};
use crate::domain::{
    AppError, Gateway,
    id::{NotificationId, RefusalId},
    pages::{
        deliveries::{DeliveryFilter, DeliveryList},
        inbound::{InboundFilter, InboundList, ListenerChoice, StrayList, StrayPage},
        orders::{PAGE_SIZE, UrlChoice},
    },
};
use crate::server::store::{Listener, Merchant};
use std::sync::Arc;

impl Services {
    /// Searches deliveries.
    pub async fn find_deliveries(
        &self,
        merchant: &Merchant,
        filter: &DeliveryFilter,
        may_resend: bool,
    ) -> ServiceResult<DeliveryList> {
        let find = Box::pin(self.store.find_deliveries(merchant.id, filter, PAGE_SIZE));
        // Of a list that is not filtered nobody wants to know how many that are, and nobody resends everything.
        let count = Box::pin(async {
            match filter.is_everything() {
                true => Ok(None),
                false => self.store.count_deliveries(merchant.id, filter).await.map(Some),
            }
        });
        let (found, fitting) = tokio::try_join!(find, count)?;
        Ok(DeliveryList {
            rows: found.rows,
            next: found.next,
            previous: found.previous,
            looked_back_to: found.looked_back_to,
            truncated: found.truncated,
            fitting,
            urls: self.url_choices(merchant),
            listeners: self.listener_choices(merchant),
            may_resend,
        })
    }

    /// Searches what came in.
    pub async fn find_inbound(&self, merchant: &Merchant, filter: &InboundFilter) -> ServiceResult<InboundList> {
        let found = self.store.find_inbound(merchant.id, filter, PAGE_SIZE).await?;
        Ok(InboundList {
            rows: found.rows,
            next: found.next,
            previous: found.previous,
            looked_back_to: found.looked_back_to,
            truncated: found.truncated,
            listeners: self.listener_choices(merchant),
        })
    }

    /// What was posted to addresses that no listener has.
    pub async fn strays(&self, after: Option<NotificationId>) -> ServiceResult<StrayList> {
        let mut rows = self.store.strays(after, PAGE_SIZE + 1).await?;
        let more = rows.len() > PAGE_SIZE as usize;
        rows.truncate(PAGE_SIZE as usize);
        let next = rows.last().filter(|_| more).map(|row| NotificationId(row.id.0));
        Ok(StrayList { rows, next })
    }

    /// Such a message, byte for byte.
    pub async fn stray(&self, id: RefusalId) -> ServiceResult<StrayPage> {
        let stored = self.store.stray(id).await?.ok_or(AppError::NotFound)?;
        Ok(StrayPage {
            refusal: stored.row,
            head: stored.head,
            fields: shown::fields(&stored.body),
            body: String::from_utf8_lossy(&stored.body).into_owned(),
        })
    }

    /// The merchant's URLs, to choose from.
    pub(super) fn url_choices(&self, merchant: &Merchant) -> Vec<UrlChoice> {
        let settings = self.store.settings();
        let urls = settings.urls_of(merchant.id).iter();
        urls.map(|url| UrlChoice { id: url.id, label: url.label.clone(), url: url.url.clone(), held: url.held }).collect()
    }

    /// The merchant's listeners, to choose from.
    pub(super) fn listener_choices(&self, merchant: &Merchant) -> Vec<ListenerChoice> {
        let settings = self.store.settings();
        let listeners = settings.listeners_of(merchant.id);
        let name =
            |gateway: Gateway| self.gateways.get(gateway).map_or_else(|| gateway.to_string(), |preset| preset.label.clone());
        let choice = |listener: &Arc<Listener>| ListenerChoice {
            id: listener.id,
            label: listener.label.clone(),
            gateway: listener.gateway,
            gateway_label: name(listener.gateway),
        };
        listeners.iter().map(choice).collect()
    }
}
