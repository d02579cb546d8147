//! Fills the database for the demonstration, or finds what an earlier one left in it.

use super::{
    Demo, DemoError,
    crew::Crew,
    gateway::PretendGateway,
    shops::{Script, Shop},
};
use crate::domain::{Algorithms, AppError, Gateway, Role, id::MerchantId};
use crate::server::{
    app::App,
    dispatch::client::Target,
    service::{
        ServiceError, Services,
        keys::new_key,
        listeners::ListenerForm,
        terms::TermsForm,
        urls::{UrlForm, draft_of},
    },
    store::{Address, Merchant},
};
use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};
use tokio::{net::TcpListener, task::JoinSet};

/// Who signs in.
pub const EMAIL: &str = "demo@example.com";
const MERCHANT: &str = "Demo shop";
const ACTOR: &str = "demo";

/// A database that is ready for the demonstration, with the ports of its shops.
pub struct Prepared {
    merchant_id: MerchantId,
    path_key: String,
    shops: Vec<(Script, TcpListener)>,
    password: Option<String>,
}

/// Prepares an empty database, or one that was prepared before. Any other is left as it is.
pub async fn prepare(services: &Services, address: &Address) -> Result<Prepared, DemoError> {
    let settings = services.store.settings();
    let merchant = match settings.merchant_named(MERCHANT) {
        Some(merchant) => merchant.clone(),
        None if settings.merchants().is_empty() => services.add_merchant(MERCHANT, None, ACTOR).await?.0,
        None => return Err(DemoError::NotEmpty(address.to_string())),
    };
    let path_key = path_key(services, &merchant).await?;
    let shops = shops(services, &merchant).await?;
    let password = administrator(services).await?;
    Ok(Prepared { merchant_id: merchant.id, path_key, shops, password })
}

impl Prepared {
    /// Starts the shops and the gateway.
    pub fn start(self, app: &App) -> Demo {
        let services = &app.services;
        let mut shops = JoinSet::new();
        for (script, listener) in self.shops {
            let shop =
                Shop { script, merchant_id: self.merchant_id, store: services.store.clone(), clock: services.clock.clone() };
            shops.spawn(shop.serve(listener));
        }
        let mut gateway = JoinSet::new();
        let pretend = PretendGateway {
            store: services.store.clone(),
            clock: services.clock.clone(),
            server: app.address,
            path_key: self.path_key.clone(),
        };
        gateway.spawn(pretend.run());
        Demo {
            gateway: Crew::watch(gateway),
            shops: Crew::watch(shops),
            listener: format!("/ipn/{}", self.path_key),
            password: self.password,
        }
    }
}

/// The merchant's oldest listener, or a new one.
async fn path_key(services: &Services, merchant: &Merchant) -> Result<String, DemoError> {
    let oldest = services.store.settings().listeners_of(merchant.id).into_iter().min_by_key(|listener| listener.id);
    if let Some(listener) = oldest {
        return Ok(listener.path_key.clone());
    }
    let form = ListenerForm {
        gateway: Gateway::TwoCheckout,
        options: Default::default(),
        label: "Pretend 2Checkout".to_owned(),
        secret: new_key(),
        required: Algorithms::ALL,
        enabled: true,
    };
    Ok(services.add_listener(merchant, &form, ACTOR).await?.path_key.clone())
}

/// Ports for the shops: those in the database again, so that what waits for them arrives; others where those are taken.
async fn shops(services: &Services, merchant: &Arc<Merchant>) -> Result<Vec<(Script, TcpListener)>, DemoError> {
    let settings = services.store.settings();
    let urls = settings.urls_of(merchant.id);
    let mut bound = Vec::new();
    if urls.is_empty() {
        for script in Script::ALL {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let form = UrlForm {
                label: script.label().to_owned(),
                url: script.url(listener.local_addr()?),
                is_default: script == Script::Shop,
                algorithms: script.algorithms(),
                // One at a time, a slow receiver falls behind; many at a time, it does not.
                concurrent: script == Script::Accounting,
                order_in_order: false,
                held: false,
                headers: String::new(),
                terms: TermsForm::default(),
            };
            let (draft, _) = services.url_draft(merchant, None, &form).map_err(ServiceError::from)?;
            services.save_url(None, draft, ACTOR).await?;
            bound.push((script, listener));
        }
        return Ok(bound);
    }
    let mut ports = HashSet::new();
    for url in urls {
        // What somebody has changed to lead elsewhere is his own.
        let Ok(target) = Target::parse(&url.url) else { continue };
        let Some(script) = Script::at(&target.path) else { continue };
        if target.tls || target.address != Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) || !ports.insert(target.port) {
            continue;
        }
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, target.port)).await {
            Ok(listener) => listener,
            Err(error) => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let moved = script.url(listener.local_addr()?);
                tracing::info!(%error, from = url.url, to = moved, "a pretend shop moves to another port");
                let mut draft = draft_of(url);
                draft.url = moved;
                services.save_url(Some(url.id), draft, ACTOR).await?;
                listener
            }
        };
        bound.push((script, listener));
    }
    Ok(bound)
}

/// Makes an administrator where there is none; gives the demonstration's own one a new password, because nobody knows the
/// old one any more.
async fn administrator(services: &Services) -> Result<Option<String>, DemoError> {
    let known = services.store.user_by_email(EMAIL).await?;
    if known.is_none() && services.store.has_admin().await? {
        return Ok(None);
    }
    let password = password();
    match known {
        Some(user) => {
            let hash = services.passwords.hash(password.clone()).await;
            let hash = hash.ok_or(ServiceError::App(AppError::Unavailable))?;
            services.store.set_password(user.id, hash, ACTOR.to_owned()).await?;
        }
        None => {
            services.add_user(EMAIL, &password, Role::Admin, Vec::new(), ACTOR).await?;
        }
    }
    Ok(Some(password))
}

/// Sixteen letters and digits in groups, to be typed from the screen; some 93 bits.
fn password() -> String {
    let key: Vec<char> = new_key().chars().take(16).collect();
    key.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_grouped_and_differ() {
        let first = password();
        assert_eq!((first.len(), first.split('-').count()), (19, 4));
        assert_ne!(first, password());
    }
}
