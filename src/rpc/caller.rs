//! Who calls a server function, and what he may do.

use crate::domain::{AppError, role::Permission};
use crate::server::{
    service::{ServiceError, Services},
    store::{Merchant, UserRecord, random},
};
use http::request::Parts;
use leptos::prelude::use_context;
use std::sync::Arc;

/// The signed-in user, put into each request by the HTTP layer.
#[derive(Clone)]
pub struct CurrentUser(pub Option<UserRecord>);

/// A signed-in caller with what services need.
pub struct Caller {
    pub services: Services,
    pub user: UserRecord,
}

impl Caller {
    /// Whoever calls.
    pub fn current() -> Result<Self, AppError> {
        let user = use_context::<Parts>().and_then(|parts| parts.extensions.get::<CurrentUser>().cloned());
        match user.and_then(|user| user.0) {
            Some(user) => Ok(Self { services: services()?, user }),
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

    /// His name in the audit log.
    pub fn actor(&self) -> &str {
        &self.user.email
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
