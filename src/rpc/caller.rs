//! Who calls a server function, and what he may do.

use crate::domain::{AppError, personal::Personal, role::Permission};
use crate::server::{
    auth::Place,
    service::{ServiceError, Services},
    store::{Actor, Merchant, UserRecord, random},
};
use http::{header, request::Parts};
use leptos::prelude::use_context;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// The signed-in user, put into each request by the HTTP layer.
#[derive(Clone)]
pub struct CurrentUser(pub Option<UserRecord>);

/// Where a request comes from, behind the proxies that are trusted; put into it by the HTTP layer.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

/// A signed-in caller with what services need.
pub struct Caller {
    pub services: Services,
    pub user: UserRecord,
    actor: Actor,
}

impl Caller {
    /// Whoever calls.
    pub fn current() -> Result<Self, AppError> {
        let user = use_context::<Parts>().and_then(|parts| parts.extensions.get::<CurrentUser>().cloned());
        match user.and_then(|user| user.0) {
            Some(user) => {
                let actor = Actor::at(user.email.clone(), place().address);
                Ok(Self { services: services()?, user, actor })
            }
            None => Err(AppError::SignIn),
        }
    }

    /// Whoever calls, if his role allows something.
    pub fn who_may(permission: Permission) -> Result<Self, AppError> {
        let caller = Self::current()?;
        if caller.user.role.may(permission) { Ok(caller) } else { Err(AppError::Forbidden) }
    }

    /// Whoever calls and a merchant that he may see, if his role allows something. A merchant of others is as if it
    /// did not exist.
    pub fn at(slug: &str, permission: Permission) -> Result<(Self, Arc<Merchant>), AppError> {
        let caller = Self::current()?;
        let merchant = caller.services.merchant_for(&caller.user, slug).ok_or(AppError::NotFound)?;
        if caller.user.role.may(permission) { Ok((caller, merchant)) } else { Err(AppError::Forbidden) }
    }

    /// Whether his role allows something.
    pub const fn may(&self, permission: Permission) -> bool {
        self.user.role.may(permission)
    }

    /// Who he is in the audit log, and where.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The same, having seen a version of what he changes, as its form names it; nothing where it names none. One that makes no sense is
    /// none that anything has.
    pub fn having_seen(&self, version: &str) -> Actor {
        let version = Some(version.trim()).filter(|version| !version.is_empty());
        self.actor.clone().having_seen(version.map(|version| version.parse().unwrap_or(-1)))
    }

    /// What he may see of something: as it is, or with the data of customers masked.
    pub fn shown<T: Personal>(&self, mut page: T) -> T {
        if !self.may(Permission::SeePersonalData) {
            page.mask();
        }
        page
    }
}

/// Where the request comes from.
pub fn place() -> Place {
    let parts = use_context::<Parts>();
    let client = parts.as_ref().and_then(|parts| parts.extensions.get::<ClientAddress>().copied());
    let agent = parts.as_ref().and_then(|parts| parts.headers.get(header::USER_AGENT)).and_then(|agent| agent.to_str().ok());
    Place {
        address: client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientAddress(address)| address),
        agent: agent.unwrap_or_default().to_owned(),
    }
}

/// The services, from the request's context.
pub(super) fn services() -> Result<Services, AppError> {
    use_context::<Services>().ok_or(AppError::Unavailable)
}

/// The error as a page may show it. Our own failures are logged here, once, under a number that the page shows.
pub fn app_error(error: ServiceError) -> AppError {
    match error {
        ServiceError::App(error) => error,
        ServiceError::Store(error) => {
            let number = hex::encode(random::<4>());
            tracing::error!(%error, error.id = number, "a request failed");
            if error.is_temporary() { AppError::Unavailable } else { AppError::Internal(number) }
        }
    }
}
