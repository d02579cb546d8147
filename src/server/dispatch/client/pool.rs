//! Connections kept for the next request to the same host: of HTTP/1.1 those that are idle, of HTTP/2 those that have
//! room for one more request.

use super::{
    target::Target,
    tls::{Trust, TrustKey},
    wire::{Pieces, Sent},
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::AbortHandle;

/// Shorter than the usual five seconds after which servers close an idle connection, so that we seldom meet one that
/// is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);
/// Servers keep connections of HTTP/2 longer, and say so when they close one.
const SHARED_KEPT_FOR: Duration = Duration::from_secs(30);
const KEPT_PER_HOST: usize = 64;
/// Requests at a time over one connection of HTTP/2, where its server takes so many: as many as the least that the standard asks
/// servers to take.
const MAX_STREAMS: usize = 100;

/// A connection that takes a request.
pub enum Sender {
    /// HTTP/1.1: one request at a time.
    One(One),
    /// HTTP/2: many.
    Many(Many),
}

/// A connection of HTTP/1.1. It is closed when it is dropped, whatever is on its way over it.
pub struct One {
    pub sender: http1::SendRequest<Full<Bytes>>,
    pub sent: Arc<Sent>,
    pub task: AbortHandle,
    /// When the connection was made.
    pub since: Instant,
}

impl Drop for One {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request's share in a connection of HTTP/2.
#[derive(Clone)]
pub struct Many {
    pub sender: http2::SendRequest<Pieces>,
    /// Counts the requests.
    pub share: Arc<()>,
    /// How many the server takes at a time, as far as it has said so. What is more would wait for the others to end, and look
    /// as if the server took nothing.
    pub taken: Arc<dyn Fn() -> usize + Send + Sync>,
    /// When the connection was made.
    pub since: Instant,
}

struct Idle {
    one: One,
    address: SocketAddr,
    since: Instant,
}

struct Shared {
    many: Many,
    address: SocketAddr,
    used: Instant,
}

impl Shared {
    /// Whether there is room for one more; the pool's own share counts, too.
    fn has_room(&self) -> bool {
        Arc::strong_count(&self.many.share) <= MAX_STREAMS.min((self.many.taken)())
    }

    /// Whether it takes another request. Those that are on their way over it end in any case.
    fn is_fresh(&self, longest_use: Duration) -> bool {
        !self.many.sender.is_closed() && self.many.since.elapsed() < longest_use
    }

    fn is_kept(&self, longest_use: Duration) -> bool {
        self.is_fresh(longest_use) && (self.used.elapsed() < SHARED_KEPT_FOR || Arc::strong_count(&self.many.share) > 1)
    }
}

#[derive(Default)]
struct Host {
    idle: Vec<Idle>,
    shared: Vec<Shared>,
}

/// What connections have in common: scheme, host, port, and which certificates were trusted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(bool, String, u16, TrustKey);

impl Key {
    pub fn of(target: &Target, authority: &str) -> Self {
        Self(target.tls, target.host.clone(), target.port, Trust::key(authority))
    }
}

/// The connections.
pub struct Pool {
    hosts: Mutex<HashMap<Key, Host>>,
    /// How long a connection is used at most.
    longest_use: Duration,
}

impl Pool {
    /// No connections yet; each is used for so long at most.
    pub fn new(longest_use: Duration) -> Self {
        Self { hosts: Mutex::default(), longest_use }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, Host>) -> T) -> T {
        work(&mut self.hosts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection that can be used at once, the most recently used first.
    pub async fn take(&self, key: &Key) -> Option<(Sender, SocketAddr)> {
        let shared = self.with(|hosts| {
            let host = hosts.get_mut(key)?;
            host.shared.retain(|shared| shared.is_fresh(self.longest_use));
            let free = host.shared.iter_mut().find(|shared| shared.has_room())?;
            free.used = Instant::now();
            Some((Sender::Many(free.many.clone()), free.address))
        });
        if shared.is_some() {
            return shared;
        }
        loop {
            let mut idle = self.with(|hosts| hosts.get_mut(key).and_then(|host| host.idle.pop()))?;
            if idle.since.elapsed() < KEPT_FOR
                && idle.one.since.elapsed() < self.longest_use
                && idle.one.sender.ready().await.is_ok()
            {
                return Some((Sender::One(idle.one), idle.address));
            }
        }
    }

    /// Lets others use a new connection of HTTP/2.
    pub fn share(&self, key: &Key, many: &Many, address: SocketAddr) {
        self.with(|hosts| {
            let shared = &mut hosts.entry(key.clone()).or_default().shared;
            shared.push(Shared { many: many.clone(), address, used: Instant::now() });
        });
    }

    /// Lets nobody else use a connection of HTTP/2. What is on its way over it goes on.
    pub fn forget(&self, key: &Key, many: &Many) {
        self.with(|hosts| {
            if let Some(host) = hosts.get_mut(key) {
                host.shared.retain(|shared| !Arc::ptr_eq(&shared.many.share, &many.share));
            }
        });
    }

    /// Keeps a connection of HTTP/1.1 whose last answer was read to its end.
    pub fn put(&self, key: &Key, one: One, address: SocketAddr) {
        if one.sender.is_closed() || one.since.elapsed() >= self.longest_use {
            return;
        }
        self.with(|hosts| {
            let idle = &mut hosts.entry(key.clone()).or_default().idle;
            if idle.len() < KEPT_PER_HOST {
                idle.push(Idle { one, address, since: Instant::now() });
            }
        });
    }

    /// Closes connections that nobody took.
    pub fn sweep(&self) {
        self.with(|hosts| {
            hosts.retain(|_, host| {
                host.idle.retain(|idle| idle.since.elapsed() < KEPT_FOR && !idle.one.sender.is_closed());
                host.shared.retain(|shared| shared.is_kept(self.longest_use));
                !host.idle.is_empty() || !host.shared.is_empty()
            });
        });
    }
}
