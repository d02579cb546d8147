//! The settings that every message needs, held in memory: merchants, listeners, notification URLs, with their secrets
//! opened. Replaced as a whole when the settings' version in the database moves, whichever process moved it.

use super::vault::Secret;
use crate::domain::{
    Algorithms, Cause, Gateway, GatewayOptions, Tags, Terms, Timestamp, Triggers, Zone,
    id::{DeliveryId, ListenerId, MerchantId, UrlId},
    mail::MailSettings,
    order::OrderFacts,
    pages::settings::Thresholds,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// A tenant.
#[derive(Debug, Clone)]
pub struct Merchant {
    pub id: MerchantId,
    pub name: String,
    /// The name in addresses of pages.
    pub slug: String,
    /// Signs what goes out.
    pub secret_key: Secret,
    /// The key before, where it was kept.
    pub old_key: Option<OldKey>,
    /// Which statuses are sent to URLs that have no triggers of their own.
    pub triggers: Triggers,
    /// Which fields leave.
    pub tags: Tags,
    /// Where it is told that a URL fails.
    pub alerts: Option<Alerts>,
    /// Grows with every change.
    pub version: i64,
    /// In which its moments are told.
    pub zone: Zone,
    /// Deliveries before this one may have been cancelled with a list while they stood in memory. Grows with each such list,
    /// and again when it is done.
    pub cancelled_before: DeliveryId,
    /// Whom it has mailed, and with what; `None`: nobody, and nothing was ever entered.
    pub mail: Option<MailSettings>,
}

/// A merchant's key that has been replaced.
#[derive(Debug, Clone)]
pub struct OldKey {
    pub key: Secret,
    /// Until then it is as good as the new one. It is kept a while longer, to tell a script that still has it from one that
    /// has no key of ours.
    pub until: Timestamp,
}

/// A merchant's wish to be told of trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Gets the alerts, as signed JSON; empty where nobody does.
    pub url: String,
    /// E-mail addresses that get them.
    pub mails: Vec<String>,
    pub thresholds: Thresholds,
}

impl Alerts {
    /// From what the database keeps.
    pub(super) fn of(url: Option<String>, mails: Option<&str>, thresholds: Thresholds) -> Option<Self> {
        let mails: Vec<_> =
            mails.unwrap_or_default().split(',').map(|mail| mail.trim().to_owned()).filter(|mail| !mail.is_empty()).collect();
        Self { url: url.unwrap_or_default(), mails, thresholds }.unless_empty()
    }

    /// Nothing, where nobody is told and the thresholds are those that everybody begins with.
    pub fn unless_empty(self) -> Option<Self> {
        (self.reach_somebody() || self.thresholds != Thresholds::default()).then_some(self)
    }

    /// Whether there is an address; thresholds are kept without one, too.
    pub fn reach_somebody(&self) -> bool {
        !self.url.is_empty() || !self.mails.is_empty()
    }

    /// What is told from where on; where nobody is told, what a merchant begins with.
    pub(super) fn thresholds(alerts: Option<&Self>) -> Thresholds {
        alerts.map_or_else(Thresholds::default, |alerts| alerts.thresholds)
    }

    /// The URL as the database keeps it.
    pub(super) fn kept_url(&self) -> Option<String> {
        Some(self.url.clone()).filter(|url| !url.is_empty())
    }

    /// The e-mail addresses as the database keeps them.
    pub(super) fn kept_mails(&self) -> Option<String> {
        Some(self.mails.join(", ")).filter(|mails| !mails.is_empty())
    }
}

impl Merchant {
    /// A merchant with the settings of a new one.
    pub fn new(id: MerchantId, name: String, slug: String, secret_key: Secret) -> Self {
        Self {
            id,
            name,
            slug,
            secret_key,
            old_key: None,
            triggers: Triggers::ALL,
            tags: Tags::All,
            alerts: None,
            version: 1,
            zone: Zone::default(),
            cancelled_before: DeliveryId(0),
            mail: None,
        }
    }

    /// The key before, while it is still valid.
    pub fn valid_old_key(&self, now: Timestamp) -> Option<&OldKey> {
        self.old_key.as_ref().filter(|old| now < old.until)
    }
}

/// A header that requests to a URL carry beside our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHeader {
    pub name: String,
    pub value: Secret,
}

/// An inbound page for one gateway connection.
#[derive(Debug, Clone)]
pub struct Listener {
    pub id: ListenerId,
    pub merchant_id: MerchantId,
    pub gateway: Gateway,
    pub label: String,
    /// The last part of `/ipn/{key}`.
    pub path_key: String,
    /// Checks what comes in.
    pub secret: Secret,
    /// What else its gateway needs.
    pub options: GatewayOptions,
    /// At least one of these must have signed.
    pub required: Algorithms,
    pub enabled: bool,
    /// Grows with every change.
    pub version: i64,
}

/// An outbound target.
#[derive(Debug, Clone)]
pub struct NotificationUrl {
    pub id: UrlId,
    pub merchant_id: MerchantId,
    pub label: String,
    pub url: String,
    pub is_default: bool,
    pub algorithms: Algorithms,
    /// Many requests at a time, or one.
    pub concurrent: bool,
    /// A later message of an order waits for the earlier.
    pub order_in_order: bool,
    pub held: bool,
    /// On hold since, where it is known.
    pub held_at: Option<Timestamp>,
    /// Why no person but the server itself put it on hold.
    pub held_cause: Option<Cause>,
    /// When its script first answered with the merchant's present key, while the one before is valid, too.
    pub new_key_at: Option<Timestamp>,
    pub headers: Vec<OwnHeader>,
    pub terms: Terms,
    /// Grows with every change.
    pub version: i64,
}

/// All of them at one version.
#[derive(Debug, Default)]
pub struct Directory {
    /// Grows with every change of settings.
    pub version: i64,
    merchants: HashMap<MerchantId, Arc<Merchant>>,
    listeners: HashMap<String, Arc<Listener>>,
    urls: HashMap<UrlId, Arc<NotificationUrl>>,
    urls_of: HashMap<MerchantId, Vec<Arc<NotificationUrl>>>,
}

impl Directory {
    /// Builds the directory from what the database holds; `urls` in the order pages show them.
    pub fn new(version: i64, merchants: Vec<Merchant>, listeners: Vec<Listener>, urls: Vec<NotificationUrl>) -> Self {
        let urls: Vec<_> = urls.into_iter().map(Arc::new).collect();
        let mut urls_of: HashMap<_, Vec<_>> = HashMap::new();
        for url in &urls {
            urls_of.entry(url.merchant_id).or_default().push(url.clone());
        }
        Self {
            version,
            merchants: merchants.into_iter().map(|merchant| (merchant.id, Arc::new(merchant))).collect(),
            listeners: listeners.into_iter().map(|listener| (listener.path_key.clone(), Arc::new(listener))).collect(),
            urls: urls.into_iter().map(|url| (url.id, url)).collect(),
            urls_of,
        }
    }

    /// A merchant by id.
    pub fn merchant(&self, id: MerchantId) -> Option<&Arc<Merchant>> {
        self.merchants.get(&id)
    }

    /// The zone of a merchant.
    pub fn zone_of(&self, id: MerchantId) -> Zone {
        self.merchant(id).map(|merchant| merchant.zone.clone()).unwrap_or_default()
    }

    /// A merchant by the name in page addresses, or by its full name in either case.
    pub fn merchant_named(&self, name: &str) -> Option<&Arc<Merchant>> {
        let by_slug = self.merchants.values().find(|merchant| merchant.slug == name);
        by_slug.or_else(|| self.merchants.values().find(|merchant| merchant.name.eq_ignore_ascii_case(name)))
    }

    /// All merchants by name.
    pub fn merchants(&self) -> Vec<Arc<Merchant>> {
        let mut merchants: Vec<_> = self.merchants.values().cloned().collect();
        merchants.sort_by_key(|merchant| merchant.name.to_lowercase());
        merchants
    }

    /// The listener of an address.
    pub fn listener(&self, path_key: &str) -> Option<&Arc<Listener>> {
        self.listeners.get(path_key)
    }

    /// All listeners.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.values()
    }

    /// A merchant's listeners by label.
    pub fn listeners_of(&self, merchant: MerchantId) -> Vec<Arc<Listener>> {
        let mut listeners: Vec<_> = self.listeners.values().filter(|one| one.merchant_id == merchant).cloned().collect();
        listeners.sort_by(|a, b| (a.label.as_str(), a.id).cmp(&(b.label.as_str(), b.id)));
        listeners
    }

    /// A URL that was not removed.
    pub fn url(&self, id: UrlId) -> Option<&Arc<NotificationUrl>> {
        self.urls.get(&id)
    }

    /// All URLs that were not removed.
    pub fn urls(&self) -> impl Iterator<Item = &Arc<NotificationUrl>> {
        self.urls.values()
    }

    /// For each URL the moment beyond which nothing is due that was planned by the clock of now: its longest pause, with what a server
    /// may ask for and how far moments deviate.
    pub(super) fn latest_due(&self, now: Timestamp) -> Vec<(i64, i64)> {
        let latest = |url: &Arc<NotificationUrl>| {
            let longest = url.terms.retries.delays().into_iter().max().unwrap_or(0);
            (url.id.0, now.plus(Duration::from_secs(u64::from(longest) * 3 + 3_600)).0)
        };
        self.urls().map(latest).collect()
    }

    /// The URLs that get a notification: those of its merchant whose triggers take its status.
    pub fn takers(&self, merchant: MerchantId, facts: &OrderFacts) -> impl Iterator<Item = &Arc<NotificationUrl>> {
        let of_merchant = self.merchant(merchant).map_or(Triggers::ALL, |merchant| merchant.triggers);
        let takes = move |url: &&Arc<NotificationUrl>| {
            url.terms.triggers.unwrap_or(of_merchant).takes(&facts.vendor_status, facts.status)
        };
        self.urls_of(merchant).iter().filter(takes)
    }

    /// A merchant's URLs, the default first.
    pub fn urls_of(&self, merchant: MerchantId) -> &[Arc<NotificationUrl>] {
        self.urls_of.get(&merchant).map_or(&[], Vec::as_slice)
    }
}
