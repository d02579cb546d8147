//! A fresh store on each engine.

use super::postgres;
use quittance::{
    domain::{
        Algorithms, Gateway, Terms, Timestamp,
        id::{ListenerId, MerchantId, UrlId},
    },
    server::{
        clock::{Clock, ClockHand},
        store::{
            Acceptance, Address, AttemptRecord, Feed, Job, ListenerDraft, NewMerchant, NewNotification, OpenAs, Secret, Store,
            StoreError, StoreSettings, UrlDraft,
        },
    },
};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Runs each test on each engine.
macro_rules! on_every_engine {
    ($($test:ident,)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::support::stores::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::support::stores::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_every_engine;

/// When the tests' clock starts: 2026-03-01 12:00:00 UTC.
pub const START: Timestamp = Timestamp::from_seconds(1_772_366_400);

/// A store with its folder, its clock, and what it announced.
pub struct TestStore {
    pub store: Store,
    pub hand: ClockHand,
    pub clock: Clock,
    pub jobs: mpsc::UnboundedReceiver<Vec<Job>>,
    pub due: mpsc::UnboundedReceiver<Vec<(UrlId, Timestamp)>>,
    pub folder: TempDir,
    pub address: Address,
}

/// A new store on SQLite.
pub async fn sqlite() -> TestStore {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Sqlite(folder.path().join("quittance.db"));
    open(folder, address).await
}

/// A new store on PostgreSQL.
pub async fn postgres() -> TestStore {
    let address = Address::parse(&postgres::address(&postgres::database().await)).unwrap();
    open(tempfile::tempdir().unwrap(), address).await
}

async fn open(folder: TempDir, address: Address) -> TestStore {
    let (clock, hand) = Clock::manual(START);
    let (jobs_sender, jobs) = mpsc::unbounded_channel();
    let (due_sender, due) = mpsc::unbounded_channel();
    let feed = Feed { jobs: Some(jobs_sender), changes: None, due: Some(due_sender), ..Feed::default() };
    let settings =
        StoreSettings { open_as: OpenAs::Server, key_file: Some(folder.path().join("quittance.key")), clock: clock.clone() };
    let store = Store::open(&address, settings, feed).await.unwrap();
    TestStore { store, hand, clock, jobs, due, folder, address }
}

impl TestStore {
    /// Closes the store and opens it again, as a restart does.
    pub async fn reopen(&mut self, open_as: OpenAs) -> Result<(), StoreError> {
        self.store.close().await;
        self.store = self.second(open_as).await?;
        Ok(())
    }

    /// Another handle on the same database, as another process has.
    pub async fn second(&self, open_as: OpenAs) -> Result<Store, StoreError> {
        let key_file = Some(self.folder.path().join("quittance.key"));
        let settings = StoreSettings { open_as, key_file, clock: self.clock.clone() };
        Store::open(&self.address, settings, Feed::default()).await
    }

    /// A digest that fits no message, as the engine writes it.
    pub fn wrong_digest(&self) -> &'static str {
        match self.address {
            Address::Sqlite(_) => "x'00112233445566778899AABBCCDDEEFF'",
            Address::Postgres(_) => "'\\x00112233445566778899aabbccddeeff'::bytea",
        }
    }

    /// Does something to the tables behind the store's back.
    pub async fn sql(&self, statement: &str) {
        self.try_sql(statement).await.unwrap();
    }

    /// The same where the database may refuse it; gives why.
    pub async fn try_sql(&self, statement: &str) -> Result<(), String> {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        let result = match &self.address {
            Address::Sqlite(path) => {
                let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                let result = sqlx::raw_sql(statement).execute(&mut conn).await.map(drop);
                conn.close().await.unwrap();
                result
            }
            Address::Postgres(address) => {
                let name = address.to_string().rsplit('/').next().unwrap().to_owned();
                let mut conn = postgres::connect(&name).await;
                let result = sqlx::raw_sql(statement).execute(&mut conn).await.map(drop);
                conn.close().await.unwrap();
                result
            }
        };
        result.map_err(|error| error.to_string())
    }

    /// Accepts a notification, and waits until it can be read.
    pub async fn accept(&self, new: NewNotification) -> Acceptance {
        let acceptance = self.store.accept(new).await.unwrap();
        self.store.settled().await.unwrap();
        acceptance
    }

    /// Records attempts, and waits until they can be read.
    pub async fn record(&self, attempts: Vec<AttemptRecord>) {
        self.store.record(attempts).await.unwrap();
        self.store.settled().await.unwrap();
    }

    pub async fn merchant(&self, name: &str) -> MerchantId {
        let new = NewMerchant { name: name.to_owned(), secret_key: Secret::new("AABBCCDDEEFF") };
        self.store.add_merchant(new, "test".to_owned()).await.unwrap()
    }

    pub async fn listener(&self, merchant_id: MerchantId) -> ListenerId {
        let draft = ListenerDraft {
            merchant_id,
            gateway: Gateway::TwoCheckout,
            label: "Shop".to_owned(),
            secret: Some(Secret::new("gateway-secret")),
            options: None,
            required: Algorithms::ALL,
            enabled: true,
        };
        self.store.add_listener(draft, format!("key{merchant_id}"), "test".to_owned()).await.unwrap()
    }

    pub async fn url(&self, merchant_id: MerchantId, url: &str) -> UrlId {
        self.store.add_url(url_draft(merchant_id, url), "test".to_owned()).await.unwrap()
    }
}

/// A URL with the settings of a new one.
pub fn url_draft(merchant_id: MerchantId, url: &str) -> UrlDraft {
    UrlDraft {
        merchant_id,
        label: "Shop".to_owned(),
        url: url.to_owned(),
        is_default: false,
        algorithms: Algorithms::MD5,
        concurrent: false,
        order_in_order: false,
        held: false,
        headers: Vec::new(),
        terms: Terms::default(),
        check: None,
    }
}

/// A notification as the listener hands it over.
pub fn received(merchant_id: MerchantId, listener_id: ListenerId, body: &str) -> NewNotification {
    let form = quittance::server::ipn::Form::parse(body.as_bytes()).unwrap();
    NewNotification {
        merchant_id,
        listener_id: Some(listener_id),
        gateway: Gateway::TwoCheckout,
        received_at: START,
        signatures: Algorithms::MD5,
        peer: "127.0.0.1".into(),
        head: "POST /ipn/x HTTP/1.1\r\n\r\n".to_owned(),
        body: body.to_owned().into(),
        outgoing: None,
        digest: None,
        facts: quittance::server::gateway::twocheckout::facts(&form).unwrap(),
        quiet: false,
    }
}
