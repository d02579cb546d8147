//! `quittance serve --demo`: everything at work on one machine, without a gateway and without a shop.
//!
//! A pretend gateway posts signed orders over HTTP to the server's own listener page; three pretend shops on loopback
//! receive the deliveries, one right, one right but slow, one that does not know read receipts. `orders` (what is sold to
//! whom, and when which message comes) is pure; `setup` fills the database; `gateway` and `shops` do the talking.
//!
//! May import: app, service, dispatch (its client), ipn, gateway, store, clock, domain. Must not live here: anything that
//! the product needs without `--demo`.

mod catalogue;
mod crew;
mod gateway;
mod orders;
mod setup;
mod shops;

pub use setup::{Prepared, prepare};

use self::crew::Crew;
use crate::server::{service::ServiceError, store::StoreError};
use ipnet::{IpNet, Ipv4Net};
use std::{io, net::Ipv4Addr};

/// Where the pretend shops are: the network that `--demo` opens for deliveries.
pub const NETWORK: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8));

/// Why the demonstration does not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(
        "the database {0} is not empty and was not made by --demo, so it is left alone; choose another, for example \
         --database sqlite:data/demo.db, or start without --demo"
    )]
    NotEmpty(String),
    #[error("no port on 127.0.0.1 for a pretend shop: {0}")]
    Port(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the demonstration cannot be prepared: {0}")]
    Service(ServiceError),
}

impl From<ServiceError> for DemoError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => Self::Store(error),
            error => Self::Service(error),
        }
    }
}

/// A running demonstration.
pub struct Demo {
    gateway: Crew,
    shops: Crew,
    listener: String,
    /// Of the demonstration's administrator, where there is one.
    password: Option<String>,
}

impl Demo {
    /// What a newcomer needs to know, as lines of the server's banner.
    pub fn banner(&self, base: &str) -> String {
        let mut text = format!(
            "  Demo       a pretend gateway posts to {base}{}; three pretend shops on 127.0.0.1 receive\n",
            self.listener
        );
        match &self.password {
            Some(password) => text.push_str(&format!(
                "  Sign in    {} with the password {password}\n             (each start with --demo makes a new one)\n",
                setup::EMAIL
            )),
            None => text.push_str("  Sign in    as the administrator that this database has already\n"),
        }
        text
    }

    /// Ends the pretend gateway; the shops go on.
    pub async fn stop_gateway(self) -> Shops {
        self.gateway.stop().await;
        Shops(self.shops)
    }
}

/// The pretend shops, which must outlast the server's last deliveries.
pub struct Shops(Crew);

impl Shops {
    /// Ends them.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
