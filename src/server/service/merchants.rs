//! Merchants and their secret keys.

use super::{ServiceError, ServiceResult, Services, fields, merchant_ref};
use crate::domain::{AppError, id::MerchantId, pages::settings::MerchantRow};
use crate::server::store::{Actor, Merchant, NewMerchant, Secret, StoreError, random};
use std::sync::Arc;

/// Letters and digits without those that are mistaken for one another.
const KEY_LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const KEY_LENGTH: usize = 32;

/// A new secret key: 32 letters and digits, some 185 bits.
pub fn new_key() -> String {
    // 57 letters into 256 values: a byte of the last, incomplete run is dropped, so that all letters are as likely.
    let limit = 256 - 256 % KEY_LETTERS.len();
    std::iter::repeat_with(random::<64>)
        .flatten()
        .filter(|byte| usize::from(*byte) < limit)
        .take(KEY_LENGTH)
        .map(|byte| char::from(KEY_LETTERS[usize::from(byte) % KEY_LETTERS.len()]))
        .collect()
}

impl Services {
    /// Adds a merchant; gives it and its secret key, which is shown this once.
    pub async fn add_merchant(
        &self,
        name: &str,
        key: Option<&str>,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<(Arc<Merchant>, String)> {
        let mut mistakes = fields::Mistakes::default();
        let name = mistakes.take("name", fields::name("a name for the merchant", name));
        let key = mistakes.take("secret_key", key.map_or_else(|| Ok(new_key()), fields::secret));
        if name.as_ref().is_some_and(|name| self.store.settings().merchant_named(name).is_some()) {
            mistakes.add("name", "There is a merchant of this name already; choose another.");
        }
        mistakes.end()?;
        let (name, key) = (name.unwrap_or_default(), key.unwrap_or_default());
        let new = NewMerchant { name, secret_key: Secret::new(key.clone()) };
        let id = self.store.add_merchant(new, actor).await.map_err(|error| match error {
            StoreError::Taken(_) => AppError::field("name", "There is a merchant of this name already; choose another.").into(),
            error => ServiceError::from(error),
        })?;
        let merchant = self.store.settings().merchant(id).cloned().ok_or(AppError::NotFound)?;
        Ok((merchant, key))
    }

    /// Gives a merchant a new secret key: the one entered, or one made here. Gives the key, which is shown this once.
    pub async fn change_key(
        &self,
        merchant: MerchantId,
        key: Option<&str>,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<String> {
        let key = match key {
            Some(key) => fields::secret(key).map_err(|message| AppError::field("secret_key", message))?,
            None => new_key(),
        };
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.set_secret_key(merchant, Secret::new(key.clone()), actor).await;
        self.or_conflict(merchant.get(), seen, saved).await?;
        Ok(key)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (first, second) = (new_key(), new_key());
        assert_eq!(first.len(), KEY_LENGTH);
        assert_ne!(first, second);
        assert!(first.bytes().all(|byte| KEY_LETTERS.contains(&byte)));
    }
}
