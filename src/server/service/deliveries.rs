//! The list of deliveries.

use super::{ServiceResult, Services};
use crate::domain::pages::{
    deliveries::{DeliveryFilter, DeliveryList},
    orders::UrlChoice,
};
use crate::server::store::Merchant;

impl Services {
    /// Searches deliveries.
    pub async fn find_deliveries(
        &self,
        merchant: &Merchant,
        filter: &DeliveryFilter,
        may_resend: bool,
    ) -> ServiceResult<DeliveryList> {
        let found = self.store.find_deliveries(merchant.id, filter).await?;
        // Of a list that is not filtered nobody wants to know how many that are, and nobody resends everything.
        let fitting = match filter.whole() == DeliveryFilter::default() {
            true => None,
            false => Some(self.store.count_deliveries(merchant.id, filter).await?),
        };
        Ok(DeliveryList {
            rows: found.rows,
            next: found.next,
            looked_back_to: found.looked_back_to,
            truncated: found.truncated,
            fitting,
            urls: self.url_choices(merchant),
            may_resend,
        })
    }

    /// The merchant's URLs, to choose from.
    pub(super) fn url_choices(&self, merchant: &Merchant) -> Vec<UrlChoice> {
        let settings = self.store.settings();
        let urls = settings.urls_of(merchant.id).iter();
        urls.map(|url| UrlChoice { id: url.id, label: url.label.clone(), url: url.url.clone(), held: url.held }).collect()
    }
}
