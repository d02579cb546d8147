//! Bulk resends: whole lists of deliveries made again, counted before, worked at by the server, and cancelled where somebody
//! changes his mind. And the other way round: what is outstanding of a list is given up.

use super::{ServiceResult, Services, merchant_ref, wish::key_of};
use crate::server::store::{Actor, BulkOrder, Merchant, NewBulk};
use crate::{
    domain::{
        AppError,
        id::BulkId,
        pages::{
            bulk::{BulkCount, BulkList, BulkPage, BulkPlan, BulkTarget},
            deliveries::{DeliveryFilter, StateFilter},
        },
    },
    words::t,
};
use std::time::Duration;

/// Whether a filter names something that can be cancelled.
fn may_be_cancelled(filter: &DeliveryFilter) -> Result<(), AppError> {
    if filter.is_everything() {
        let message = t!(
            "Choose what is to be cancelled: a state, a URL, a day. Everything that is outstanding cannot be cancelled at once."
        );
        return Err(AppError::field("state", message));
    }
    match filter.state {
        None | Some(StateFilter::Queued | StateFilter::Retrying | StateFilter::Held) => Ok(()),
        Some(_) => {
            let message =
                t!("Only deliveries that are queued, retrying or held can be cancelled: choose one of these states, or any.");
            Err(AppError::field("state", message))
        }
    }
}

impl Services {
    /// What a bulk resend of a list would make, for the page before it.
    pub async fn plan_bulk(&self, merchant: &Merchant, filter: &DeliveryFilter, target: BulkTarget) -> ServiceResult<BulkPlan> {
        let count = self.count_bulk(merchant, filter, target).await?;
        let (urls, listeners) = (self.url_choices(merchant), self.listener_choices(merchant));
        Ok(BulkPlan { merchant: merchant_ref(merchant), filter: filter.whole(), target, count, urls, listeners })
    }

    async fn count_bulk(&self, merchant: &Merchant, filter: &DeliveryFilter, target: BulkTarget) -> ServiceResult<BulkCount> {
        let is_cancel = target == BulkTarget::Cancel;
        if is_cancel {
            may_be_cancelled(filter)?;
        } else if filter.is_everything() {
            let message =
                t!("Choose what is to be sent again: a state, a URL, a day. Everything there is cannot be resent at once.");
            return Err(AppError::field("state", message).into());
        }
        if !is_cancel && matches!(filter.state, Some(StateFilter::Queued | StateFilter::Held)) {
            let message = t!("Deliveries that are queued or held are on their way already; choose those that failed.");
            return Err(AppError::field("state", message).into());
        }
        if is_cancel {
            // What was accepted a moment ago is outstanding, too.
            self.store.settled().await?;
        }
        let count = self.store.count_bulk(merchant.id, &BulkOrder { filter: filter.whole(), target }).await?;
        if count.truncated {
            let message = t!("More than 1,000 orders begin like this; type more of the reference, or choose days instead.");
            return Err(AppError::field("text", message).into());
        }
        Ok(count)
    }

    /// Asks for a bulk resend, which can be stopped for a while before anything is made; the same wish under the same request
    /// key gives the one of the first time.
    pub async fn start_bulk(
        &self,
        merchant: &Merchant,
        filter: &DeliveryFilter,
        target: BulkTarget,
        request_key: String,
        actor: impl Into<Actor> + Send,
        grace: Duration,
    ) -> ServiceResult<BulkId> {
        let count = self.count_bulk(merchant, filter, target).await?;
        let (actor, order) = (actor.into(), BulkOrder { filter: filter.whole(), target });
        let new = NewBulk {
            request_key: key_of(&request_key, &actor, merchant, &order),
            order,
            expected: (!count.more).then_some(count.made),
            actor,
            at: self.clock.now(),
            starts_at: self.clock.now().plus(grace),
        };
        Ok(self.store.add_bulk(merchant.id, new).await?)
    }

    /// Cancels a bulk resend; `false` where it had ended already.
    pub async fn cancel_bulk(&self, merchant: &Merchant, id: BulkId, actor: impl Into<Actor> + Send) -> ServiceResult<bool> {
        Ok(self.store.cancel_bulk(merchant.id, id, actor).await?)
    }

    /// A bulk resend, with how its deliveries stand.
    pub async fn bulk_page(&self, merchant: &Merchant, id: BulkId, may_resend: bool) -> ServiceResult<BulkPage> {
        let (job, standing) = self.store.bulk(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let (urls, listeners) = (self.url_choices(merchant), self.listener_choices(merchant));
        Ok(BulkPage { merchant: merchant_ref(merchant), job, standing, urls, listeners, may_resend })
    }

    /// The latest bulk resends of a merchant.
    pub async fn bulk_list(&self, merchant: &Merchant, may_resend: bool) -> ServiceResult<BulkList> {
        let rows = self.store.bulks(merchant.id).await?;
        let (urls, listeners) = (self.url_choices(merchant), self.listener_choices(merchant));
        Ok(BulkList { merchant: merchant_ref(merchant), rows, urls, listeners, may_resend })
    }
}
