//! The whole server put together: store, dispatcher, hub, services and HTTP, started in this order and stopped in the
//! other.

use crate::server::{
    alerts,
    auth::{Passwords, Throttle, Token},
    balance, bulk,
    confirm::Confirmer,
    dispatch::{
        Places,
        attempt::Workshop,
        client::{Client, Guard, Limits, Resolver},
        run::Dispatcher,
    },
    gateway::{Gateways, PresetError},
    http::{self, Panel, serve::serve},
    live::{Hub, Sessions},
    mail::{Mailer, worker::Worker},
    memory, retention,
    service::{ServiceError, Services},
    settings::Settings,
    store::{Alarm, Brake, Feed, OpenAs, Store, StoreError, StoreSettings},
    telemetry::Metrics,
};
use rustls::pki_types::CertificateDer;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// How long a mail on its way may take when the server ends.
const LAST_MAIL: Duration = Duration::from_secs(10);

/// A running server.
pub struct App {
    pub services: Services,
    pub address: SocketAddr,
    dispatcher: Dispatcher,
    alarm: Alarm,
    retention: JoinHandle<()>,
    balance: JoinHandle<()>,
    metrics_served: Option<JoinHandle<()>>,
    places: Places,
    bulk: JoinHandle<()>,
    alerts: JoinHandle<()>,
    confirm: JoinHandle<()>,
    /// Where there is a mail server.
    mail: Option<JoinHandle<()>>,
    end: watch::Sender<bool>,
    served: JoinHandle<()>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Gateway(#[from] PresetError),
    #[error("{0}")]
    Mail(String),
    #[error("the address it listens on cannot be told: {0}")]
    Address(#[from] std::io::Error),
}

impl App {
    /// Starts to serve on a listener that is bound already.
    pub async fn start(settings: Settings, listener: TcpListener) -> Result<Self, StartError> {
        Self::start_with(settings, listener, Resolver::system(), Vec::new(), Limits::default()).await
    }

    /// Starts with another way to look names up, more certificates to trust, and other limits for deliveries, for tests.
    pub async fn start_with(
        settings: Settings,
        listener: TcpListener,
        resolver: Resolver,
        roots: Vec<CertificateDer<'static>>,
        limits: Limits,
    ) -> Result<Self, StartError> {
        memory::stay_small();
        let gateways = match &settings.gateways {
            Some(folder) => Arc::new(Gateways::with_folder(Some(folder))?),
            None => Gateways::shared(),
        };
        let mailer = settings.mail.as_ref().map(Mailer::new).transpose().map_err(StartError::Mail)?;
        let address = listener.local_addr()?;
        let (jobs, announced_jobs) = mpsc::unbounded_channel();
        let (changes, announced_changes) = mpsc::unbounded_channel();
        let (due, announced_due) = mpsc::unbounded_channel();
        let open = StoreSettings { open_as: OpenAs::Server, key_file: settings.key_file.clone(), clock: settings.clock.clone() };
        let metrics = Arc::new(Metrics::default());
        metrics.started(settings.clock.now());
        let alarm = Alarm::default();
        let feed = Feed {
            jobs: Some(jobs),
            changes: Some(changes),
            due: Some(due),
            brake: Brake::default(),
            metrics: Some(metrics.clone()),
            alarm: alarm.clone(),
        };
        let store = Store::open(&settings.database, open, feed).await?;
        for listener in store.settings().listeners().filter(|listener| gateways.get(listener.gateway).is_none()) {
            tracing::warn!(listener = %listener.label, gateway = %listener.gateway, "nothing describes this listener's gateway, so it refuses everything; start with --gateways");
        }
        store.introduce(&address.to_string()).await?;
        let client = Arc::new(Client::new(resolver, Guard::new(settings.networks), roots, limits));
        let files = http::serve::files(settings.places.all);
        let all = http::serve::deliveries_within(files, settings.places.all);
        let places = if all < settings.places.all {
            tracing::warn!(
                files,
                deliveries = all,
                wished = settings.places.all,
                "this process may open few files, so that fewer deliveries are on their way at a time than it was told; allow it more \
                 (`ulimit -n` in a shell, LimitNOFILE= of a systemd unit)"
            );
            Places::of(u16::try_from(all).unwrap_or(Places::USUAL))
        } else {
            settings.places
        };
        let workshop = Workshop {
            store: store.clone(),
            client: client.clone(),
            clock: settings.clock.clone(),
            metrics: metrics.clone(),
            places,
            certificates: Default::default(),
            guesses: Default::default(),
            unread: Default::default(),
        };
        let dispatcher = Dispatcher::start(Arc::new(workshop), announced_jobs, announced_due);
        let retention = tokio::spawn(retention::run(store.clone(), settings.clock.clone(), settings.keep));
        let balance = tokio::spawn(balance::run(store.clone(), settings.clock.clone(), metrics.clone()));
        let bulk = tokio::spawn(bulk::run(store.clone()));
        let hub = Hub::start(announced_changes, u64::try_from(settings.clock.now().millis()).unwrap_or(1).max(1));
        let base = settings.public_url.map_or_else(|| format!("http://{address}"), |url| url.as_str().to_owned());
        let services = Services {
            store,
            clock: settings.clock,
            client,
            board: dispatcher.board(),
            passwords: Passwords::default(),
            throttle: Arc::new(Throttle::default()),
            metrics,
            gateways,
            mailer: mailer.clone(),
            base,
            asked: Arc::default(),
            trusted_proxies: settings.trusted_proxies.into(),
        };
        let alerts = tokio::spawn(alerts::run(services.clone()));
        let (end, ending) = watch::channel(false);
        let mail = mailer.map(|mailer| {
            let gateways = services.gateways.clone();
            let labels = move |gateway| gateways.label(gateway);
            tokio::spawn(Worker::new(services.store.clone(), services.clock.clone(), mailer, labels).run(ending.clone()))
        });
        let confirmer = Confirmer {
            store: services.store.clone(),
            client: services.client.clone(),
            gateways: services.gateways.clone(),
            clock: services.clock.clone(),
            base: services.base.trim_end_matches('/').to_owned(),
            asked: services.asked.clone(),
            certificates: Arc::default(),
        };
        let confirm = tokio::spawn(confirmer.run());
        let panel = Panel { services: services.clone(), hub, sessions: sessions(&services), ending: ending.clone() };
        let router = http::router(panel);
        let served = tokio::spawn(serve(listener, router, places.all, ended(ending)));
        memory::give_back();
        Ok(Self {
            services,
            address,
            dispatcher,
            alarm,
            retention,
            balance,
            bulk,
            alerts,
            confirm,
            mail,
            metrics_served: None,
            places,
            end,
            served,
        })
    }

    /// Also serves the metrics, on a listener of their own; gives its address.
    pub fn serve_metrics(&mut self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let engine = match self.services.store {
            Store::Sqlite(_) => "sqlite",
            Store::Postgres(_) => "postgres",
        };
        let router = http::metrics::router(self.services.metrics.clone(), engine);
        self.metrics_served = Some(tokio::spawn(serve(listener, router, self.places.all, ended(self.end.subscribe()))));
        Ok(address)
    }

    /// Where the first administrator is created, as long as there is none.
    pub async fn first_run_link(&self) -> Result<Option<String>, ServiceError> {
        let token: Option<Token> = self.services.first_run_token().await?;
        Ok(token.map(|token| format!("{}/setup?token={}", self.services.base, token.reveal())))
    }

    /// Waits until a part of the server has ended by itself, which none should: whoever watches the process can then
    /// start it again. Gives the part's name.
    pub async fn part_ended(&mut self) -> &'static str {
        tokio::select! {
            part = self.alarm.rung() => part,
            () = self.dispatcher.ended() => "the dispatcher",
            _ = &mut self.served => "the HTTP server",
            _ = &mut self.retention => "retention",
            _ = &mut self.balance => "the check of the books",
            () = lost(&mut self.metrics_served) => "the metrics",
            _ = &mut self.bulk => "the worker of bulk resends",
            _ = &mut self.alerts => "the alerts",
            _ = &mut self.confirm => "the one that asks gateways",
            () = lost(&mut self.mail) => "the mails",
        }
    }

    /// Takes no more requests, finishes what is being done, and closes the database.
    pub async fn stop(self) {
        self.end.send_replace(true);
        let _ = self.served.await;
        // A step that is cut off was made in the store or not at all.
        self.bulk.abort();
        self.alerts.abort();
        // A question that is cut off is asked again.
        self.confirm.abort();
        if let Some(mail) = self.mail {
            // One that takes longer is tried again by the next start.
            let _ = tokio::time::timeout(LAST_MAIL, mail).await;
        }
        self.dispatcher.stop().await;
        self.retention.abort();
        self.balance.abort();
        if let Some(served) = self.metrics_served {
            let _ = served.await;
        }
        self.services.store.close().await;
    }
}

/// Waits for the end of a task that may not be there.
async fn lost(task: &mut Option<JoinHandle<()>>) {
    match task {
        Some(task) => drop(task.await),
        None => std::future::pending().await,
    }
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the app itself is gone, which is an end, too.
    let _ = ending.wait_for(|ended| *ended).await;
}

/// The sessions behind open pages, as the store knows them.
fn sessions(services: &Services) -> Sessions {
    let (store, clock) = (services.store.clone(), services.clock.clone());
    Sessions::new(move |hashes| {
        let (store, clock) = (store.clone(), clock.clone());
        Box::pin(async move { store.session_users(&hashes, clock.now()).await })
    })
}
