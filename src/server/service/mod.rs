//! What people and scripts can do, whichever way they come: the panel's server functions, the command line, later the
//! public API. Each file is one part of the product.
//!
//! Checks what was entered, calls the store, and puts together what pages show. Must not live here: cookies, HTTP,
//! HTML; who may do it (the caller has checked).

mod alert_news;
pub mod alerts;
pub mod audit;
pub mod bulk;
pub mod check;
mod check_webhook;
pub mod compare;
pub mod content;
pub mod dashboard;
pub mod deliveries;
pub mod exchanges;
pub mod export;
pub mod fields;
pub mod gateways;
pub mod keys;
pub mod kit;
pub mod listeners;
pub mod mail;
pub mod merchants;
pub mod orders;
pub mod own_headers;
pub mod people;
pub mod resend;
pub mod search;
pub mod shown;
pub mod simulate;
pub mod story;
pub mod terms;
pub mod test_order;
pub mod urls;
pub mod users;
pub mod views;
pub mod wire_order;
pub mod wish;

use crate::domain::{AppError, pages::dashboard::MerchantRef};
use crate::server::{
    auth::{Passwords, Throttle},
    clock::Clock,
    dispatch::{Board, client::Client},
    gateway::{self, Gateways},
    listener::House,
    mail::Mailer,
    store::{Merchant, Store, StoreError},
    telemetry::Metrics,
};
use http::HeaderMap;
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::sync::Notify;

/// What services work with.
#[derive(Clone)]
pub struct Services {
    pub store: Store,
    pub clock: Clock,
    /// For URL checks; the dispatcher's.
    pub client: Arc<Client>,
    /// How the scheduler treats URLs; empty where no dispatcher runs.
    pub board: Board,
    pub passwords: Passwords,
    pub throttle: Arc<Throttle>,
    /// What the server counts; nothing where none runs.
    pub metrics: Arc<Metrics>,
    /// Which there are.
    pub gateways: Arc<Gateways>,
    /// Sends mails; `None` where the operator named no mail server.
    pub mailer: Option<Mailer>,
    /// How the outside reaches this server: `https://ipn.example.com`.
    pub base: String,
    /// Wakes whoever asks gateways back.
    pub asked: Arc<Notify>,
    /// Proxies whose word about a sender's address is believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

impl Services {
    /// What listener pages need to know of this server.
    pub fn house(&self) -> House {
        House {
            gateways: self.gateways.clone(),
            metrics: self.metrics.clone(),
            base: self.base.trim_end_matches('/').to_owned(),
            asked: self.asked.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }

    /// Where a request comes from, behind the proxies that are trusted.
    pub fn client_of(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        gateway::access::client(peer, headers, &self.trusted_proxies)
    }
}

/// Why a service did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A mistake of whoever asked, worded for him.
    #[error("{0}")]
    App(AppError),
    #[error(transparent)]
    Store(StoreError),
}

impl From<AppError> for ServiceError {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::App(AppError::NotFound),
            error => Self::Store(error),
        }
    }
}

/// What services give.
pub type ServiceResult<T> = Result<T, ServiceError>;

/// The name of a merchant for pages.
pub fn merchant_ref(merchant: &Merchant) -> MerchantRef {
    MerchantRef { name: merchant.name.clone(), slug: merchant.slug.clone() }
}
