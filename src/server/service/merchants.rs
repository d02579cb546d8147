//! Merchants.

use super::{ServiceError, ServiceResult, Services, fields, keys::new_key, merchant_ref};
use crate::server::store::{Actor, Merchant, NewMerchant, Secret, StoreError};
use crate::{
    domain::{AppError, pages::settings::MerchantRow},
    words::t,
};
use std::sync::Arc;

impl Services {
    /// Adds a merchant; gives it and its secret key, which is shown this once.
    pub async fn add_merchant(
        &self,
        name: &str,
        key: Option<&str>,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<(Arc<Merchant>, String)> {
        let mut mistakes = fields::Mistakes::default();
        let name = mistakes.take("name", fields::name(t!("a name for the merchant"), name));
        let key = mistakes.take("secret_key", key.map_or_else(|| Ok(new_key()), fields::secret));
        if name.as_ref().is_some_and(|name| self.store.settings().merchant_named(name).is_some()) {
            mistakes.add("name", t!("There is a merchant of this name already; choose another."));
        }
        mistakes.end_in(&["name", "secret_key"])?;
        let (name, key) = (name.unwrap_or_default(), key.unwrap_or_default());
        let new = NewMerchant { name, secret_key: Secret::new(key.clone()) };
        let id = self.store.add_merchant(new, actor).await.map_err(|error| match error {
            StoreError::Taken(_) => {
                AppError::field("name", t!("There is a merchant of this name already; choose another.")).into()
            }
            error => ServiceError::from(error),
        })?;
        let merchant = self.store.settings().merchant(id).cloned().ok_or(AppError::NotFound)?;
        Ok((merchant, key))
    }

    /// All merchants.
    pub async fn merchant_rows(&self) -> ServiceResult<Vec<MerchantRow>> {
        let settings = self.store.settings();
        let ages = self.store.merchant_ages().await?;
        let rows = settings.merchants().into_iter().map(|merchant| MerchantRow {
            merchant: merchant_ref(&merchant),
            urls: u32::try_from(settings.urls_of(merchant.id).len()).unwrap_or(u32::MAX),
            listeners: u32::try_from(settings.listeners_of(merchant.id).len()).unwrap_or(u32::MAX),
            created_at: ages.get(&merchant.id).copied().unwrap_or_default(),
        });
        Ok(rows.collect())
    }
}
