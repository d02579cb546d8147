//! The whole server on a port of its own, with a folder of its own.

use super::{
    gateway::{self, Reply},
    message::Message,
    stores::{START, url_draft},
    until,
};
use quittance::{
    domain::{
        Algorithms, DeliveryState, Gateway, Role, Timestamp,
        attempt::Origin,
        id::{DeliveryId, ListenerId, OrderId, UrlId},
        pages::orders::{AttemptPage, DeliveryView},
    },
    server::{
        app::App,
        clock::{Clock, ClockHand},
        dispatch::client::{Limits, Resolver},
        mail::MailServer,
        service::{Services, listeners::ListenerForm, resend::ResendWish},
        settings::Settings,
        store::{Address, Listener, Merchant, UrlDraft},
    },
};
use rustls::pki_types::CertificateDer;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    ops::Deref,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The key that signs what goes out to merchants' scripts.
pub const MERCHANT_KEY: &str = "AABBCCDDEEFF";
/// The key that the gateway signs with.
pub const GATEWAY_KEY: &str = "gateway-secret";
/// The password of every test's users.
pub const PASSWORD: &str = "correct horse battery";

/// How a server is started.
#[derive(Clone)]
pub struct Setup {
    pub clock: Clock,
    /// Networks that are open besides public ones.
    pub networks: Vec<&'static str>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<&'static str>,
    /// Names that can be looked up, unless there is a resolver.
    pub names: HashMap<String, Vec<IpAddr>>,
    pub resolver: Option<Resolver>,
    pub roots: Vec<CertificateDer<'static>>,
    pub limits: Limits,
    pub public_url: Option<&'static str>,
    /// A database that others use, too, and its key file; by default a file of SQLite of the server's own.
    pub database: Option<(Address, PathBuf)>,
    /// A folder with descriptions of further gateways.
    pub gateways: Option<PathBuf>,
    /// A mail server.
    pub mail: Option<MailServer>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            networks: vec!["127.0.0.0/8"],
            trusted_proxies: Vec::new(),
            names: HashMap::new(),
            resolver: None,
            roots: Vec::new(),
            limits: Limits::default(),
            public_url: None,
            database: None,
            gateways: None,
            mail: None,
        }
    }
}

/// A running server.
pub struct TestApp {
    app: App,
    setup: Setup,
    folder: TempDir,
}

impl Deref for TestApp {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

impl TestApp {
    /// A server on the machine's clock that delivers to loopback.
    pub async fn start() -> Self {
        Self::start_as(Setup::default()).await
    }

    /// A server on a clock that stands still, and the hand that turns it.
    pub async fn start_on_manual_clock() -> (Self, ClockHand) {
        let (clock, hand) = Clock::manual(START);
        (Self::start_as(Setup { clock, ..Setup::default() }).await, hand)
    }

    pub async fn start_as(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let app = start(&setup, folder.path().join("quittance.db")).await;
        Self { app, setup, folder }
    }

    /// Stops the server and starts it again on the same database; `meanwhile` runs in between.
    pub async fn restart(self, meanwhile: impl FnOnce()) -> Self {
        let Self { app, setup, folder } = self;
        app.stop().await;
        meanwhile();
        let app = start(&setup, folder.path().join("quittance.db")).await;
        Self { app, setup, folder }
    }

    /// Stops the server and starts it with other settings on the same database.
    pub async fn restart_as(self, setup: Setup) -> Self {
        let Self { app, folder, .. } = self;
        app.stop().await;
        let app = start(&setup, folder.path().join("quittance.db")).await;
        Self { app, setup, folder }
    }

    /// Serves the metrics on a port of their own; gives the address.
    pub async fn serve_metrics(&mut self) -> std::net::SocketAddr {
        self.app.serve_metrics(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap()
    }

    pub async fn stop(self) {
        self.app.stop().await;
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("quittance.db")
    }

    /// A merchant with one listener that takes every algorithm.
    pub async fn shop(&self, name: &str) -> Shop {
        let (merchant, _) = self.services.add_merchant(name, Some(MERCHANT_KEY), "test").await.unwrap();
        let listener = self.services.add_listener(&merchant, &listener_form(), "test").await.unwrap();
        Shop { services: self.services.clone(), address: self.address, merchant, listener }
    }

    /// A user with the password of all.
    pub async fn user(&self, email: &str, role: Role, shops: &[&Shop]) {
        let merchants = shops.iter().map(|shop| shop.merchant.id).collect();
        self.services.add_user(email, PASSWORD, role, merchants, "test").await.unwrap();
    }

    /// Everything that the database holds, table by table.
    pub async fn dump(&self) -> String {
        self.services.store.settled().await.unwrap();
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        let list = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let names: Vec<String> =
            connection.prepare(list).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut dump = String::new();
        for name in names {
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let values: Vec<rusqlite::types::Value> = (0..columns).map(|column| row.get(column).unwrap()).collect();
                dump.push_str(&format!("{name}: {values:?}\n"));
            }
        }
        dump
    }

    /// Every check of the doctor passes.
    pub async fn assert_healthy(&self) {
        self.services.store.settled().await.unwrap();
        let findings = self.services.store.verify().await.unwrap();
        let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Runs each test on a server over each engine; the test gets what to start it with.
macro_rules! on_every_server {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($crate::support::app::Setup::default()).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let folder = tempfile::tempdir().unwrap();
                super::$test($crate::support::app::on_postgres(folder.path()).await).await;
            })+
        }
    };
}
pub(crate) use on_every_server;

/// A server over a new database of PostgreSQL, whose key file lies in a folder.
pub async fn on_postgres(folder: &std::path::Path) -> Setup {
    let address = Address::parse(&super::postgres::address(&super::postgres::database().await)).unwrap();
    Setup { database: Some((address, folder.join("quittance.key"))), ..Setup::default() }
}

async fn start(setup: &Setup, database: PathBuf) -> App {
    let (database, key_file) = match setup.database.clone() {
        Some((address, key_file)) => (address, Some(key_file)),
        None => (Address::Sqlite(database), None),
    };
    let settings = Settings {
        database,
        key_file,
        networks: setup.networks.iter().map(|network| network.parse().unwrap()).collect(),
        trusted_proxies: setup.trusted_proxies.iter().map(|network| network.parse().unwrap()).collect(),
        keep: Default::default(),
        places: Default::default(),
        mail: setup.mail.clone(),
        gateways: setup.gateways.clone(),
        public_url: setup.public_url.map(|url| url.parse().unwrap()),
        clock: setup.clock.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = setup.resolver.clone().unwrap_or_else(|| Resolver::Table(Arc::new(setup.names.clone())));
    App::start_with(settings, listener, resolver, setup.roots.clone(), setup.limits).await.unwrap()
}

pub fn listener_form() -> ListenerForm {
    ListenerForm {
        gateway: Gateway::TwoCheckout,
        label: "Shop".to_owned(),
        secret: GATEWAY_KEY.to_owned(),
        options: Default::default(),
        required: Algorithms::ALL,
        enabled: true,
    }
}

/// A merchant of a running server, with one listener.
pub struct Shop {
    pub services: Services,
    pub address: std::net::SocketAddr,
    pub merchant: Arc<Merchant>,
    pub listener: Arc<Listener>,
}

impl Shop {
    /// The address that the gateway posts to.
    pub fn path(&self) -> String {
        format!("/ipn/{}", self.listener.path_key)
    }

    pub fn listener_id(&self) -> ListenerId {
        self.listener.id
    }

    /// The same shop after a restart of its server.
    pub fn again(&self, app: &TestApp) -> Self {
        Self {
            services: app.services.clone(),
            address: app.address,
            merchant: self.merchant.clone(),
            listener: self.listener.clone(),
        }
    }

    /// Adds a notification URL with the settings of a new one.
    pub async fn url(&self, url: &str) -> UrlId {
        self.url_as(url, |_| {}).await
    }

    /// Adds a notification URL.
    pub async fn url_as(&self, url: &str, change: impl FnOnce(&mut UrlDraft)) -> UrlId {
        let mut draft = url_draft(self.merchant.id, url);
        change(&mut draft);
        self.services.store.add_url(draft, "test".to_owned()).await.unwrap()
    }

    /// Posts a message signed with some algorithms.
    pub async fn post_signed(&self, message: &Message, algorithms: &[&str]) -> Reply {
        self.post_body(message.body(GATEWAY_KEY, algorithms)).await
    }

    pub async fn post_body(&self, body: impl Into<Vec<u8>>) -> Reply {
        gateway::post(self.address, &self.path(), body).await
    }

    /// Posts a small message that is accepted; gives its order.
    pub async fn order(&self, reference: &str) -> OrderId {
        self.accepted(&Message::small(reference, "COMPLETE", "20260301120009")).await
    }

    /// Posts a message that is accepted; gives its order.
    pub async fn accepted(&self, message: &Message) -> OrderId {
        let reply = self.post_signed(message, &["md5"]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reference = &message.fields.iter().find(|(name, _)| name == "REFNO").unwrap().1;
        self.order_named(reference).await
    }

    pub async fn order_named(&self, reference: &str) -> OrderId {
        self.services.store.settled().await.unwrap();
        self.services.order_named(&self.merchant, reference).await.unwrap()
    }

    /// The deliveries of an order, the latest notification first.
    pub async fn deliveries(&self, order: OrderId) -> Vec<DeliveryView> {
        self.services.store.settled().await.unwrap();
        let notifications = self.services.store.notifications_of(order).await.unwrap();
        notifications.into_iter().flat_map(|notification| notification.deliveries).collect()
    }

    /// Waits until a delivery of an order to a URL fits.
    pub async fn wait_for(&self, order: OrderId, url: UrlId, fits: impl Fn(&DeliveryView) -> bool) -> DeliveryView {
        until("a delivery", || async {
            self.deliveries(order).await.into_iter().find(|delivery| delivery.url_id == url && fits(delivery))
        })
        .await
    }

    pub async fn wait_for_state(&self, order: OrderId, url: UrlId, state: DeliveryState) -> DeliveryView {
        self.wait_for(order, url, |delivery| delivery.state == state).await
    }

    /// Waits until a delivery has been tried so often.
    pub async fn wait_for_attempts(&self, order: OrderId, url: UrlId, attempts: u32) -> DeliveryView {
        self.wait_for(order, url, |delivery| delivery.attempts >= attempts).await
    }

    /// The first attempt of an order at a URL, once it was made.
    pub async fn first_attempt(&self, order: OrderId, url: UrlId) -> AttemptPage {
        let delivery = self.wait_for_attempts(order, url, 1).await;
        self.attempt(delivery.id, 1).await
    }

    pub async fn attempt(&self, delivery: DeliveryId, number: u32) -> AttemptPage {
        self.services.attempt_page(&self.merchant, delivery, number, true).await.unwrap()
    }

    /// Resends the latest notification of an order.
    pub async fn resend(&self, order: OrderId, url: Option<UrlId>, origin: Origin, key: &str) -> Vec<DeliveryId> {
        let wish = ResendWish {
            order_id: order,
            notification_id: None,
            url_ids: url.into_iter().collect(),
            then: BTreeMap::new(),
            debug: origin == Origin::Debug,
            request_key: key.to_owned(),
        };
        self.services.resend(&self.merchant, wish, "support@example.com").await.unwrap().delivery_ids
    }
}

/// Limits that let a test see every time-out without waiting long.
pub fn short_limits() -> Limits {
    let millis = Duration::from_millis;
    Limits {
        resolve: millis(500),
        connect: millis(500),
        tls: millis(700),
        send: millis(700),
        first_byte: millis(1_200),
        total: millis(1_500),
        ..Limits::default()
    }
}

/// A moment of the tests' clock.
pub fn moment(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}
