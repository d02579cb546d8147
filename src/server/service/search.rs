//! The search over everything that the viewer may see.

use super::{ServiceResult, Services, merchant_ref};
use crate::server::store::Merchant;
use crate::{
    domain::{
        AppError,
        id::OrderId,
        pages::search::{Found, Hit, SearchResults},
    },
    words::t,
};
use std::{str::FromStr as _, sync::Arc};

/// Hits of each kind.
const MOST: u32 = 20;
/// Nobody types more, and what is pasted by mistake is not looked for.
const LONGEST: usize = 300;

impl Services {
    /// What a text names: orders, messages, deliveries, URLs, listeners, merchants. For whoever sees masked values the beginning of an e-mail
    /// address, or of an external reference, which may be one, finds nothing: letter by letter somebody would find out the rest.
    pub async fn search(&self, merchants: &[Arc<Merchant>], text: &str, masked: bool) -> ServiceResult<SearchResults> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(
                AppError::field("text", t!("This is too long to look for; enter a reference, an address or an id.")).into()
            );
        }
        let mut results = SearchResults { text: text.to_owned(), ..SearchResults::default() };
        if text.is_empty() {
            return Ok(results);
        }
        let ids: Vec<_> = merchants.iter().map(|merchant| merchant.id).collect();
        // All ids are written alike, and made by one source.
        let id = OrderId::from_str(text).ok().map(OrderId::get);
        let mut found = self.store.search(&ids, text, id, MOST + 1).await?;
        if masked {
            found.retain(|hit| match &hit.found {
                Found::Order(order) => {
                    order.email == text.to_lowercase()
                        || order.reference.starts_with(text)
                        || order.external == text
                        || Some(order.id.get()) == id
                }
                _ => true,
            });
        }
        let orders = found.iter().filter(|hit| matches!(hit.found, Found::Order(_))).count();
        results.more_orders = orders > MOST as usize;
        if results.more_orders
            && let Some(last) = found.iter().rposition(|hit| matches!(hit.found, Found::Order(_)))
        {
            found.remove(last);
        }
        for hit in found {
            if let Some(merchant) = merchants.iter().find(|merchant| merchant.id == hit.merchant_id) {
                results.hits.push(Hit { merchant: merchant_ref(merchant), found: hit.found });
            }
        }
        results.hits.extend(self.settings_named(merchants, &text.to_lowercase()));
        Ok(results)
    }

    /// Merchants, URLs and listeners whose name or address contains a text.
    fn settings_named(&self, merchants: &[Arc<Merchant>], text: &str) -> Vec<Hit> {
        let settings = self.store.settings();
        let contains = |name: &str| name.to_lowercase().contains(text);
        let (mut names, mut urls, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
        for merchant in merchants {
            let reference = merchant_ref(merchant);
            if contains(&merchant.name) || contains(&merchant.slug) {
                names.push(Hit { merchant: reference.clone(), found: Found::Merchant });
            }
            for url in settings.urls_of(merchant.id) {
                if contains(&url.label) || contains(&url.url) || url.id.to_string() == text {
                    let found =
                        Found::Url { id: url.id, label: url.label.clone(), url: url.url.clone(), is_default: url.is_default };
                    urls.push(Hit { merchant: reference.clone(), found });
                }
            }
            for listener in settings.listeners_of(merchant.id) {
                // What somebody pastes is the whole address.
                let path = format!("/ipn/{}", listener.path_key);
                if contains(&listener.label) || text.ends_with(&path.to_lowercase()) || listener.id.to_string() == text {
                    let found = Found::Listener { id: listener.id, label: listener.label.clone(), path };
                    listeners.push(Hit { merchant: reference.clone(), found });
                }
            }
        }
        let most = MOST as usize;
        names.into_iter().take(most).chain(urls.into_iter().take(most)).chain(listeners.into_iter().take(most)).collect()
    }
}
