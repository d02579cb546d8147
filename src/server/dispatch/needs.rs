//! What the dispatcher needs of others: the table of deliveries, and somebody who posts to merchants. The simulation puts
//! its own in their place, everything else of the dispatcher runs there as it does here.

use super::client::{Client, Exchange, Outbound};
use crate::domain::{
    Cause, Timestamp,
    id::{DeliveryId, NotificationId, OrderId, UrlId},
};
use crate::server::store::{AttemptRecord, Backlog, Brake, Directory, First, Job, LaneDepth, Original, Store, StoreError};
use bytes::Bytes;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Declares the trait of the table, and what of the store stands behind each of its methods: the method of the same name.
macro_rules! table {
    ($($(#[$doc:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)* $(,)?) -> $result:ty;)+) => {
        /// The store as the dispatcher uses it. What its methods mean stands at [`Store`].
        pub trait Table: Clone + Send + Sync + 'static {
            /// The settings, and word of every change to them.
            fn directory(&self) -> watch::Receiver<Arc<Directory>>;
            /// How long acknowledgements wait, which the dispatcher sets.
            fn brake(&self) -> Brake;
            /// Whether a delivery is still this node's to make. Waits while that is not known.
            fn serves(&self, job: &Job) -> impl Future<Output = bool> + Send;
            $($(#[$doc])* fn $name(&self $(, $arg: $type)*) -> impl Future<Output = Result<$result, StoreError>> + Send;)+
        }

        impl Table for Store {
            fn directory(&self) -> watch::Receiver<Arc<Directory>> {
                Self::directory(self)
            }

            fn brake(&self) -> Brake {
                Self::brake(self).clone()
            }

            fn serves(&self, job: &Job) -> impl Future<Output = bool> + Send {
                Self::serves(self, job)
            }

            $(fn $name(&self $(, $arg: $type)*) -> impl Future<Output = Result<$result, StoreError>> + Send {
                Self::$name(self $(, $arg)*)
            })+
        }
    };
}

table! {
    /// Returns when everything that was accepted or recorded before can be read.
    fn settled(&self) -> ();
    /// Stores finished attempts; returns after the commit.
    fn record(&self, attempts: Vec<AttemptRecord>) -> ();
    /// What each URL has outstanding.
    fn lanes(&self) -> Vec<LaneDepth>;
    /// Open deliveries of a URL that are due until a moment, in order, after a place in that order.
    fn lane(
        &self, url_id: UrlId, backlog: Backlog, after: Option<(Timestamp, DeliveryId)>, until: Timestamp, limit: u32
    ) -> Vec<Job>;
    /// When the first open delivery of a URL after a place in the order is due.
    fn next_due(&self, url_id: UrlId, backlog: Backlog, after: (Timestamp, DeliveryId)) -> Option<Timestamp>;
    /// The first unfinished delivery of each of these orders to a URL, held ones and those of other nodes too.
    fn firsts(&self, url_id: UrlId, orders: &[OrderId]) -> Vec<First>;
    /// The received bodies of notifications.
    fn bodies(&self, ids: &[NotificationId]) -> HashMap<NotificationId, Bytes>;
    /// A notification as it came, and what is sent on of it.
    fn original(&self, id: NotificationId) -> Option<Original>;
    /// Has some deliveries that were tried while the clock was ahead be due by the clock of now.
    fn pull_back(&self) -> u64;
    /// URLs whose deliveries do not fit their setting yet: the URL, whether it is on hold, whether it was removed.
    fn unsettled_urls(&self) -> Vec<(UrlId, bool, bool)>;
    /// Moves some open deliveries of a URL on hold to `held`.
    fn hold_open(&self, url_id: UrlId) -> u64;
    /// Moves some held deliveries of a released URL back into the queue.
    fn release_held(&self, url_id: UrlId) -> u64;
    /// Cancels some open or held deliveries of a removed URL.
    fn cancel_open(&self, url_id: UrlId) -> u64;
    /// Whether a delivery still waits for an attempt.
    fn is_open(&self, id: DeliveryId) -> bool;
    /// The address of its own that a delivery goes to.
    fn address_of(&self, id: DeliveryId) -> Option<String>;
    /// Notes when the certificate ends that the server of a URL's address showed.
    fn note_certificate(&self, id: UrlId, address: String, ends_at: Timestamp) -> ();
    /// Puts a URL on hold because of what it answered.
    fn hold_for(&self, id: UrlId, address: String, cause: Cause, actor: String) -> bool;
    /// Notes that a URL's script answers with the new key.
    fn note_new_key(&self, id: UrlId, actor: String) -> bool;
}

/// Who posts to merchants.
pub trait Courier: Send + Sync + 'static {
    /// How often it wants to look through what it keeps between requests.
    const SWEEP_EVERY: Duration;
    /// Sends one request and reads its answer.
    fn send(&self, outbound: &Outbound<'_>) -> impl Future<Output = Exchange> + Send;
    /// Lets go of what is kept between requests and was not needed for a while.
    fn sweep(&self);
}

impl Courier for Client {
    const SWEEP_EVERY: Duration = Duration::from_secs(5);

    fn send(&self, outbound: &Outbound<'_>) -> impl Future<Output = Exchange> + Send {
        Self::send(self, outbound)
    }

    fn sweep(&self) {
        Self::sweep(self);
    }
}
