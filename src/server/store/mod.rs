//! The store: what is accepted, what became of it, and the settings, in one database.
//!
//! [`Store`] is an enum over the engines, chosen once by the address's scheme; each engine speaks its own best SQL
//! behind the same methods, and one conformance suite (tests/it/store) runs on all of them. The store knows nobody
//! above it: it announces each commit on the [`Feed`] it was given.
//!
//! `calls` hands call by call on to the engine; `address` is where a database is; `records`, `found`, `acts`, `resends` and
//! `story` are what goes in and comes out.
//!
//! Must not live here: protocol rules, HTTP, schedules. They come in as data.

mod activity;
mod acts;
mod address;
mod alarm;
mod brake;
mod bulk;
mod calls;
mod cancel;
mod copy;
mod differences;
mod directory;
mod error;
mod exchanges;
mod feed;
mod found;
mod identity;
mod ids;
mod inbound;
mod indexes;
mod mail;
mod pack;
mod places;
mod postgres;
mod records;
mod resends;
#[cfg(test)]
mod samples;
mod scope;
mod settle;
mod slug;
mod sqlite;
mod story;
mod vault;
mod verifying;
mod wanted;

pub use crate::domain::pages::settings::{AlertKind, AlertMailRow, AlertRow, AlertTopic, Thresholds};
pub use acts::{Actor, FormClaim, Link, NewUser, Note, SessionRecord, SessionView, UserRecord};
pub use address::Address;
pub use alarm::Alarm;
pub use brake::Brake;
pub use copy::{Copied, CopiedTable, CopyError, CopySettings, Progress, Sums, copy, known_columns, known_facts};
pub use directory::{Alerts, Directory, Listener, Merchant, NotificationUrl, OldKey, OwnHeader};
pub use error::StoreError;
pub use feed::Feed;
pub use found::*;
pub use mail::{AlertMailJob, MailCandidate, MailJob, MailResult, NewAlertMail, NewMail};
pub use postgres::PgAddress;
pub use records::*;
pub use resends::{NewResend, ResendOutcome, Sending};
pub use story::{StandingRow, StoryEvent, StoryPart, StoryRows, StoryScope};
pub use vault::{Secret, random};

use crate::domain::{
    id::MerchantId,
    pages::orders::{OrderFilter, OrderRow, PAGE_SIZE},
};
use crate::server::clock::Clock;
use futures::future::Either;
use postgres::PgStore;
use sqlite::SqliteStore;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// What opens the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenAs {
    /// A server: it accepts and delivers. On SQLite it is the only one, on PostgreSQL one of the nodes.
    Server,
    /// A command beside the server or without one.
    Tool {
        /// Make the database where there is none.
        create: bool,
    },
    /// A command that needs a file of SQLite for itself: it takes the server's place until it closes the store, but accepts
    /// nothing. On PostgreSQL it is like any other.
    Alone,
}

/// How to open a store.
pub struct StoreSettings {
    pub open_as: OpenAs,
    /// Where the key lies that seals secrets; by default beside the file of SQLite, and `data/quittance.key` for PostgreSQL.
    pub key_file: Option<PathBuf>,
    pub clock: Clock,
}

/// A handle on the database; cheap to clone.
#[derive(Clone)]
pub enum Store {
    Sqlite(SqliteStore),
    Postgres(PgStore),
}

impl Store {
    /// Opens the database at an address, makes it where that is allowed, and brings it to this version's shape.
    pub async fn open(address: &Address, settings: StoreSettings, feed: Feed) -> Result<Self, StoreError> {
        match address {
            Address::Sqlite(path) => SqliteStore::open(path, settings, feed).await.map(Self::Sqlite),
            Address::Postgres(address) => PgStore::open(address, settings, feed).await.map(Self::Postgres),
        }
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(engine) => engine.close().await,
            Self::Postgres(engine) => engine.close().await,
        }
    }

    /// Stores a notification, its order's standing and one delivery for each URL; returns after the commit, and as much later
    /// as the brake asks.
    pub fn accept(&self, new: NewNotification) -> impl Future<Output = Result<Acceptance, StoreError>> + Send + '_ {
        let accepted = match self {
            Self::Sqlite(engine) => Either::Left(engine.accept(new)),
            Self::Postgres(engine) => Either::Right(engine.accept(new)),
        };
        async move {
            let acceptance = accepted.await;
            self.brake().heed().await;
            acceptance
        }
    }

    /// A page of [`Self::find_some_orders`].
    pub async fn find_orders(
        &self,
        merchant_id: MerchantId,
        filter: &OrderFilter,
    ) -> Result<(Vec<OrderRow>, bool, bool), StoreError> {
        self.find_some_orders(merchant_id, filter, PAGE_SIZE).await
    }

    fn feed(&self) -> &Feed {
        match self {
            Self::Sqlite(engine) => engine.feed(),
            Self::Postgres(engine) => engine.feed(),
        }
    }

    /// How long acknowledgements wait behind their commit; for whoever delivers.
    pub fn brake(&self) -> &Brake {
        &self.feed().brake
    }

    /// Has this process's open pages of a merchant read themselves again, for something that no commit brings.
    pub fn tell_pages(&self, merchant_id: MerchantId) {
        self.feed().announce(Commit { changes: vec![Change::Orders(merchant_id)], ..Commit::default() });
    }

    /// Whether a delivery that was announced to this process is still its own to make, at this moment. Another node may have
    /// taken it over meanwhile. Waits while that is not known.
    pub async fn serves(&self, job: &Job) -> bool {
        match self {
            Self::Sqlite(_) => true,
            Self::Postgres(engine) => engine.serves(job).await,
        }
    }

    /// Copies everything that was acknowledged before into a new file, while the server may go on.
    pub async fn backup(&self, file: &Path) -> Result<Backup, StoreError> {
        match self {
            Self::Sqlite(engine) => engine.backup(file).await,
            Self::Postgres(_) => Err(StoreError::OnlySqlite("copies of PostgreSQL are made with pg_dump")),
        }
    }

    /// The settings in memory, and word of every change to them.
    pub fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        match self {
            Self::Sqlite(engine) => engine.directory(),
            Self::Postgres(engine) => engine.directory(),
        }
    }

    /// Seals bytes under the installation's key, for what leaves the server and comes back (a cookie).
    pub fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::Sqlite(engine) => engine.vault().seal(place, plain),
            Self::Postgres(engine) => engine.vault().seal(place, plain),
        }
    }

    /// Opens what was sealed for the same place.
    pub fn unseal(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        match self {
            Self::Sqlite(engine) => engine.vault().unseal(place, sealed),
            Self::Postgres(engine) => engine.vault().unseal(place, sealed),
        }
    }

    /// The settings in memory as they are now.
    pub fn settings(&self) -> Arc<Directory> {
        match self {
            Self::Sqlite(engine) => engine.settings(),
            Self::Postgres(engine) => engine.settings(),
        }
    }
}
