//! The dashboard: what needs somebody now.

use super::{ServiceResult, Services, merchant_ref, urls::hold_of};
use crate::domain::{
    Timestamp,
    id::{ListenerId, MerchantId},
    pages::dashboard::{Dashboard, HourCount, Matter, Trouble, UrlHealth, UrlRef},
};
use crate::server::store::{Directory, Merchant, RefusedLately, WaitingLong};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

/// Deliveries that were given up are told of for so long.
pub(super) const EXPIRED_SHOWN: Duration = Duration::from_secs(48 * 3_600);
/// A certificate is told of when it ends so soon.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 86_400);
/// Hours of the chart, and of how URLs answered.
const HOURS: i64 = 24;
/// A gateway that is asked answers within seconds; what waits for so long needs somebody.
const WAITING_LONG: Duration = Duration::from_secs(5 * 60);
const DAY: Duration = Duration::from_secs(86_400);

impl Services {
    /// The dashboard over some merchants.
    pub async fn dashboard(&self, merchants: &[Arc<Merchant>]) -> ServiceResult<Dashboard> {
        let now = self.clock.now();
        let ids: Vec<_> = merchants.iter().map(|merchant| merchant.id).collect();
        // Over several merchants a day is one of UTC.
        let today = match merchants {
            [only] => only.zone.start_of_day(now),
            _ => now.start_of_day(),
        };
        let first_hour = now.hour() - (HOURS - 1);
        let since = Timestamp::from_seconds(first_hour * 3_600);
        // A few at a time: a page must not take all connections.
        let (counts, hours, mut activity) = tokio::try_join!(
            self.store.counts(&ids, today),
            self.store.hours(&ids, since),
            self.store.url_activity(&ids, since),
        )?;
        let (refused, silent, mut states) = tokio::try_join!(
            self.store.refused_lately(&ids, now.minus(DAY), now.minus(DAY * 2)),
            self.store.silent_listeners(&ids),
            self.store.url_states(&ids, now.minus(EXPIRED_SHOWN)),
        )?;
        let settings = self.store.settings();
        let mut troubles = Vec::new();
        let mut urls = Vec::new();
        let mut matters = Vec::new();
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
                let works_again = state.works_again() && pause.is_none();
                if failing && !url.terms.shadow {
                    troubles.push(Trouble {
                        url: reference.clone(),
                        format: url.terms.format,
                        cause: state.failing_cause,
                        since: state.failing_since,
                        works_again,
                        last_confirmed_at: state.last_confirmed_at,
                        next_try: state.next_try,
                        pause,
                        outstanding: state.outstanding(),
                        expired: state.expired,
                    });
                }
                if let Some(ends_at) = state.certificate_ends_at.filter(|ends_at| *ends_at <= now.plus(CERTIFICATE_WARNING)) {
                    matters.push(Matter::Certificate { url: reference.clone(), ends_at });
                }
                if let Some(hold) = hold_of(url).filter(|_| state.held_back > 0) {
                    matters.push(Matter::Held { url: reference.clone(), hold, kept: state.held_back });
                }
                urls.push(UrlHealth {
                    url: reference,
                    hold: hold_of(url),
                    shadow: url.terms.shadow,
                    failing,
                    works_again,
                    pause,
                    outstanding: state.outstanding(),
                    held_back: state.held_back,
                    confirmed: state.confirmed,
                    last_confirmed_at: state.last_confirmed_at,
                    failing_since: state.failing_since.filter(|_| !url.held && !works_again),
                    next_try: state.next_try,
                    activity: activity.remove(&url.id).unwrap_or_default(),
                    certificate_ends_at: state.certificate_ends_at,
                });
            }
        }
        troubles.sort_by_key(|trouble| trouble.since);
        let has_listener = merchants.iter().any(|merchant| !settings.listeners_of(merchant.id).is_empty());
        matters.extend(refusing(merchants, &settings, &refused));
        // Few have a gateway that is asked.
        let asks = |merchant: &Arc<Merchant>| {
            settings.listeners_of(merchant.id).iter().any(|listener| self.gateways.asks(listener.gateway))
        };
        if merchants.iter().any(asks) {
            let waiting = self.store.waiting_long(&ids, now.minus(WAITING_LONG)).await?;
            matters.extend(waiting.into_iter().filter_map(|waiting| unconfirmed(merchants, &settings, waiting)));
        }
        matters.extend(unfinished(merchants, &settings, &silent));
        matters.sort_by_key(urgency);
        let hours = filled(first_hour, &hours);
        let books_differ = self.metrics.books_differ();
        let not_stored = self.metrics.unstored.of(&ids, now);
        Ok(Dashboard { as_of: now, counts, troubles, matters, urls, hours, has_listener, books_differ, not_stored })
    }
}

/// Listeners that refuse more than they did the day before.
fn refusing(merchants: &[Arc<Merchant>], settings: &Directory, refused: &[RefusedLately]) -> Vec<Matter> {
    let mut by_listener: BTreeMap<(MerchantId, ListenerId), Vec<&RefusedLately>> = BTreeMap::new();
    for lately in refused {
        by_listener.entry((lately.merchant_id, lately.listener_id)).or_default().push(lately);
    }
    let matter = |((merchant, id), reasons): ((MerchantId, ListenerId), Vec<&RefusedLately>)| {
        let merchant = merchants.iter().find(|known| known.id == merchant)?;
        let listener = settings.listeners_of(merchant.id).into_iter().find(|listener| listener.id == id)?;
        let (count, before) = reasons.iter().fold((0, 0), |sum, lately| (sum.0 + lately.count, sum.1 + lately.before));
        let most = reasons.iter().max_by_key(|lately| lately.count)?;
        (count > before).then(|| Matter::Refusing {
            merchant: merchant_ref(merchant),
            listener: id,
            label: listener.label.clone(),
            reason: most.reason,
            count,
            before,
        })
    };
    by_listener.into_iter().filter_map(matter).collect()
}

/// Messages that wait for their gateway's word for long.
fn unconfirmed(merchants: &[Arc<Merchant>], settings: &Directory, waiting: WaitingLong) -> Option<Matter> {
    let of = |merchant: &Arc<Merchant>| {
        let listeners = settings.listeners_of(merchant.id);
        let listener = listeners.iter().find(|listener| listener.id == waiting.listener_id)?;
        Some((merchant_ref(merchant), listener.label.clone()))
    };
    let (merchant, label) = merchants.iter().find_map(of)?;
    let WaitingLong { listener_id: listener, count, since, note } = waiting;
    Some(Matter::Unconfirmed { merchant, listener, label, count, since, note })
}

/// What was begun and not finished. A merchant who has neither URL nor listener is led through the first steps instead.
fn unfinished(merchants: &[Arc<Merchant>], settings: &Directory, silent: &[ListenerId]) -> Vec<Matter> {
    let mut matters = Vec::new();
    for merchant in merchants {
        let (urls, listeners) = (settings.urls_of(merchant.id), settings.listeners_of(merchant.id));
        if urls.iter().all(|url| !url.is_default) && !(urls.is_empty() && listeners.is_empty()) {
            matters.push(Matter::NoDefaultUrl { merchant: merchant_ref(merchant), has_urls: !urls.is_empty() });
        }
        for listener in listeners.iter().filter(|listener| silent.contains(&listener.id)) {
            let (listener, label) = (listener.id, listener.label.clone());
            matters.push(Matter::Silent { merchant: merchant_ref(merchant), listener, label });
        }
    }
    matters
}

/// What is lost first comes first.
const fn urgency(matter: &Matter) -> (u8, i64) {
    match matter {
        Matter::Certificate { ends_at, .. } => (0, ends_at.0),
        Matter::Unconfirmed { since, .. } => (1, since.0),
        Matter::Refusing { .. } => (2, 0),
        Matter::Held { .. } => (3, 0),
        Matter::NoDefaultUrl { .. } => (4, 0),
        Matter::Silent { .. } => (5, 0),
    }
}

/// All hours of the chart; in some nothing happened.
fn filled(first: i64, hours: &[HourCount]) -> Vec<HourCount> {
    let known: HashMap<Timestamp, HourCount> = hours.iter().map(|hour| (hour.from, *hour)).collect();
    (first..first + HOURS)
        .map(|hour| {
            let from = Timestamp::from_seconds(hour * 3_600);
            known.get(&from).copied().unwrap_or(HourCount { from, ..HourCount::default() })
        })
        .collect()
}
