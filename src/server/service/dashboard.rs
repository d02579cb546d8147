//! The dashboard: what needs somebody now.

use super::{ServiceResult, Services, merchant_ref, urls::hold_of};
use crate::domain::pages::dashboard::{Dashboard, Trouble, UrlHealth, UrlRef};
use crate::server::store::Merchant;
use std::{sync::Arc, time::Duration};

/// Deliveries that were given up are told of for so long.
pub(super) const EXPIRED_SHOWN: Duration = Duration::from_secs(48 * 3_600);

impl Services {
    /// The dashboard over some merchants.
    pub async fn dashboard(&self, merchants: &[Arc<Merchant>]) -> ServiceResult<Dashboard> {
        let now = self.clock.now();
        let ids: Vec<_> = merchants.iter().map(|merchant| merchant.id).collect();
        let counts = self.store.counts(&ids, now.start_of_day()).await?;
        let mut states = self.store.url_states(&ids, now.minus(EXPIRED_SHOWN)).await?;
        let settings = self.store.settings();
        let mut troubles = Vec::new();
        let mut urls = Vec::new();
        for merchant in merchants {
            for url in settings.urls_of(merchant.id) {
                let state = states.remove(&url.id).unwrap_or_default();
                let reference = UrlRef {
                    id: url.id,
                    merchant: merchant_ref(merchant),
                    label: url.label.clone(),
                    url: url.url.clone(),
                    is_default: url.is_default,
                };
                // On hold nothing is tried; what is kept back shows in the table, not as trouble.
                let failing = state.is_failing() && !url.held;
                // Where nothing waits there is nothing to hold back.
                let pause = self.board.pause(url.id, now).filter(|_| state.outstanding() > 0);
                if failing && !url.terms.shadow {
                    troubles.push(Trouble {
                        url: reference.clone(),
                        cause: state.failing_cause,
                        since: state.failing_since,
                        next_try: state.next_try,
                        pause,
                        outstanding: state.outstanding(),
                        expired: state.expired,
                    });
                }
                urls.push(UrlHealth {
                    url: reference,
                    hold: hold_of(url),
                    shadow: url.terms.shadow,
                    failing,
                    pause,
                    outstanding: state.outstanding(),
                    held_back: state.held_back,
                    confirmed: state.confirmed,
                    last_confirmed_at: state.last_confirmed_at,
                });
            }
        }
        troubles.sort_by_key(|trouble| trouble.since);
        let has_listener = merchants.iter().any(|merchant| !settings.listeners_of(merchant.id).is_empty());
        Ok(Dashboard { as_of: now, counts, troubles, urls, has_listener, books_differ: self.metrics.books_differ() })
    }
}
