//! Connections kept for the next request to the same host.

use super::target::Target;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Shorter than the usual five seconds after which servers close an idle connection, so that we seldom meet one that
/// is just being closed.
const KEPT_FOR: Duration = Duration::from_secs(4);
const KEPT_PER_HOST: usize = 64;

pub type Sender = SendRequest<Full<Bytes>>;

struct Idle {
    sender: Sender,
    address: SocketAddr,
    since: Instant,
}

type Key = (bool, String, u16);

/// The idle connections by scheme, host and port.
#[derive(Default)]
pub struct Pool(Mutex<HashMap<Key, Vec<Idle>>>);

fn key(target: &Target) -> Key {
    (target.tls, target.host.clone(), target.port)
}

impl Pool {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, Vec<Idle>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection that can be used at once, the most recently used first.
    pub async fn take(&self, target: &Target) -> Option<(Sender, SocketAddr)> {
        let key = key(target);
        loop {
            let mut idle = self.with(|hosts| hosts.get_mut(&key).and_then(Vec::pop))?;
            if idle.since.elapsed() < KEPT_FOR && idle.sender.ready().await.is_ok() {
                return Some((idle.sender, idle.address));
            }
        }
    }

    /// Keeps a connection whose last answer was read to its end.
    pub fn put(&self, target: &Target, sender: Sender, address: SocketAddr) {
        if sender.is_closed() {
            return;
        }
        self.with(|hosts| {
            let idle = hosts.entry(key(target)).or_default();
            if idle.len() < KEPT_PER_HOST {
                idle.push(Idle { sender, address, since: Instant::now() });
            }
        });
    }

    /// Closes connections that nobody took.
    pub fn sweep(&self) {
        self.with(|hosts| {
            hosts.retain(|_, idle| {
                idle.retain(|idle| idle.since.elapsed() < KEPT_FOR && !idle.sender.is_closed());
                !idle.is_empty()
            });
        });
    }
}
