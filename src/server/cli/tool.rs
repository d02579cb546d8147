//! The database as commands open it, beside the server or without one.

use super::{
    CliError,
    args::{Cli, DatabaseArgs},
    gateway_args::GatewaysArgs,
};
use crate::domain::Gateway;
use crate::server::{
    auth::{Passwords, Throttle},
    clock::Clock,
    dispatch::{
        Board,
        client::{Client, Guard, Limits, Resolver},
    },
    gateway::Gateways,
    service::Services,
    store::{Address, Feed, Merchant, OpenAs, Store, StoreSettings},
};
use clap::{CommandFactory as _, error::ErrorKind};
use ipnet::IpNet;
use std::sync::Arc;

/// How what a command did is signed in the audit log.
pub const ACTOR: &str = "command line";

impl DatabaseArgs {
    /// The address; what cannot be one was typed wrongly, and ends the program like everything that was.
    pub fn address(&self) -> Address {
        address("--database", &self.database)
    }

    /// Opens the database; makes it where it is missing and may be made.
    pub async fn open(&self, create: bool) -> Result<Services, CliError> {
        self.open_with(create, Vec::new()).await
    }

    /// Opens the database for a command that asks URLs, also in these networks.
    pub async fn open_with(&self, create: bool, networks: Vec<IpNet>) -> Result<Services, CliError> {
        self.open_as(create, networks, Gateways::shared()).await
    }

    /// Opens the database for a command that is about gateways.
    pub async fn open_for(&self, create: bool, gateways: Arc<Gateways>) -> Result<Services, CliError> {
        self.open_as(create, Vec::new(), gateways).await
    }

    /// Opens the database for a command that acts as a gateway: it may post wherever the server runs.
    pub async fn open_as_gateway(&self, gateways: &GatewaysArgs) -> Result<Services, CliError> {
        let everywhere = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|network| network.parse().ok()).collect();
        self.open_as(false, everywhere, gateways.read()?).await
    }

    async fn open_as(&self, create: bool, networks: Vec<IpNet>, gateways: Arc<Gateways>) -> Result<Services, CliError> {
        let clock = Clock::system();
        let settings = StoreSettings { open_as: OpenAs::Tool { create }, key_file: self.key_file.clone(), clock: clock.clone() };
        let store = Store::open(&self.address(), settings, Feed::default()).await?;
        Ok(Services {
            mailer: None,
            store,
            clock,
            client: Arc::new(Client::new(Resolver::system(), Guard::new(networks), Vec::new(), Limits::default())),
            board: Board::default(),
            passwords: Passwords::default(),
            throttle: Arc::new(Throttle::default()),
            metrics: Arc::default(),
            gateways,
            // Commands print paths, not addresses: they do not know how the server is reached.
            base: String::new(),
            asked: Arc::default(),
            trusted_proxies: Arc::new([]),
        })
    }
}

impl GatewaysArgs {
    /// The gateways that come along, and those of the folder.
    pub fn read(&self) -> Result<Arc<Gateways>, CliError> {
        match &self.folder {
            Some(folder) => Ok(Arc::new(Gateways::with_folder(Some(folder))?)),
            None => Ok(Gateways::shared()),
        }
    }

    /// The gateways; one that is not among them was typed wrongly, and ends the program like everything that was.
    pub fn with(&self, gateway: Gateway) -> Result<Arc<Gateways>, CliError> {
        let gateways = self.read()?;
        if gateways.get(gateway).is_none() {
            let names: Vec<_> = gateways.all().iter().map(|preset| preset.id.to_string()).collect();
            let text = format!("invalid value '{gateway}' for '--gateway <KIND>': there are {}", names.join(", "));
            Cli::command().error(ErrorKind::InvalidValue, text).exit();
        }
        Ok(gateways)
    }
}

/// The address that a flag names; what cannot be one was typed wrongly, and ends the program like everything that was.
pub fn address(flag: &str, text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|error| {
        Cli::command().error(ErrorKind::ValueValidation, format!("invalid value for '{flag} <ADDRESS>': {error}")).exit()
    })
}

/// The merchant that `--merchant` names.
pub fn merchant(services: &Services, name: &str) -> Result<Arc<Merchant>, CliError> {
    let settings = services.store.settings();
    settings.merchant_named(name.trim()).cloned().ok_or_else(|| {
        let names: Vec<_> = settings.merchants().iter().take(10).map(|merchant| merchant.name.clone()).collect();
        let cure = if names.is_empty() {
            "add one with `quittance merchant add`".to_owned()
        } else {
            format!("known are {}; `quittance merchant list` shows all", names.join(", "))
        };
        CliError::NoMerchant { name: name.to_owned(), cure }
    })
}

/// The merchant that was asked for, or all of them.
pub fn merchants(services: &Services, name: Option<&str>) -> Result<Vec<Arc<Merchant>>, CliError> {
    match name {
        Some(name) => Ok(vec![merchant(services, name)?]),
        None => Ok(services.store.settings().merchants()),
    }
}
