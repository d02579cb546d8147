//! Orders: finding them, and their deliveries one by one.

use super::{ServiceResult, Services, merchant_ref};
use crate::domain::{
    AppError,
    id::{DeliveryId, OrderId},
    pages::orders::{DeliveryPage, OrderFilter, OrderList},
};
use crate::server::store::Merchant;

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

    /// A delivery with its attempts: the newest, or those from a number on down.
    pub async fn delivery_page(
        &self,
        merchant: &Merchant,
        id: DeliveryId,
        until: Option<u32>,
        may_resend: bool,
    ) -> ServiceResult<DeliveryPage> {
        let (delivery, order_id, vendor_status) = self.store.delivery(merchant.id, id).await?.ok_or(AppError::NotFound)?;
        let order = self.order_row(merchant, order_id).await?;
        let attempts = self.store.attempts_of(id, until).await?;
        let format = self.store.settings().url(delivery.url_id).map(|url| url.terms.format);
        let (url_removed, format) = (format.is_none(), format.unwrap_or_default());
        let next = attempts.last().and_then(|last| last.number.checked_sub(1)).filter(|next| *next > 0);
        Ok(DeliveryPage {
            merchant: merchant_ref(merchant),
            order_id,
            reference: order.reference,
            vendor_status,
            delivery,
            attempts,
            next,
            format,
            url_removed,
            may_resend: may_resend && !url_removed,
        })
    }
}
