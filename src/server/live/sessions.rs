//! Whether the sessions behind open pages still stand. All pages hear of the same changes in the same moment, so the sessions
//! of all of them are read together: once for a batch of changes, however many pages are open.

use crate::server::store::{StoreError, UserRecord};
use futures::future::BoxFuture;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// The SHA-256 of what a session's cookie holds.
pub type Hash = [u8; 32];
/// The users of those sessions, of the ones asked for, that have not ended.
pub type Users = HashMap<Hash, UserRecord>;
type Read = dyn Fn(Vec<Hash>) -> BoxFuture<'static, Result<Users, StoreError>> + Send + Sync;

/// The sessions behind the open pages of this process.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    read: Box<Read>,
    /// How many pages are open under each.
    open: Mutex<HashMap<Hash, usize>>,
    round: tokio::sync::Mutex<Option<Round>>,
}

/// What was read last.
struct Round {
    begun: Instant,
    /// Of all sessions that were asked for; nobody where it has ended.
    users: HashMap<Hash, Option<Arc<UserRecord>>>,
}

impl Sessions {
    /// Sessions that are read so.
    pub fn new(read: impl Fn(Vec<Hash>) -> BoxFuture<'static, Result<Users, StoreError>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { read: Box::new(read), open: Mutex::default(), round: tokio::sync::Mutex::default() }))
    }

    /// A page is open under a session from now on, until the result goes.
    pub fn open(&self, session: Hash) -> OpenPage {
        *self.0.open().entry(session).or_default() += 1;
        OpenPage { sessions: self.0.clone(), session }
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, HashMap<Hash, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open page.
pub struct OpenPage {
    sessions: Arc<Inner>,
    session: Hash,
}

impl OpenPage {
    /// The user of its session as it stood at a moment or later; nobody where the session has ended.
    pub async fn user(&self, since: Instant) -> Result<Option<Arc<UserRecord>>, StoreError> {
        let mut last = self.sessions.round.lock().await;
        if let Some(user) = last.as_ref().filter(|round| round.begun >= since).and_then(|round| round.users.get(&self.session)) {
            return Ok(user.clone());
        }
        let (begun, asked) = (Instant::now(), self.sessions.open().keys().copied().collect::<Vec<_>>());
        let mut found = (self.sessions.read)(asked.clone()).await?;
        let users = asked.into_iter().map(|hash| (hash, found.remove(&hash).map(Arc::new))).collect();
        let round = last.insert(Round { begun, users });
        Ok(round.users.get(&self.session).cloned().flatten())
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        let mut open = self.sessions.open();
        if let Some(pages) = open.get_mut(&self.session) {
            *pages -= 1;
            if *pages == 0 {
                open.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Role, Timestamp, id::UserId};
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        time::Duration,
    };

    fn user(number: i64) -> UserRecord {
        UserRecord {
            id: UserId(number),
            email: format!("{number}@example.com"),
            password_hash: String::new(),
            role: Role::Support,
            merchants: Vec::new(),
            disabled: false,
            version: 1,
            link_until: None,
            created_at: Timestamp::default(),
            language: None,
        }
    }

    /// Sessions that all stand but those that have ended, and how often they were read.
    fn sessions(ended: Arc<Mutex<Vec<Hash>>>) -> (Sessions, Arc<AtomicUsize>) {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = reads.clone();
        let sessions = Sessions::new(move |asked| {
            counted.fetch_add(1, SeqCst);
            let ended = ended.lock().unwrap().clone();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(asked.into_iter().filter(|hash| !ended.contains(hash)).map(|hash| (hash, user(i64::from(hash[0])))).collect())
            })
        });
        (sessions, reads)
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_costs_one_read_however_many_pages_are_open() {
        let ended = Arc::new(Mutex::new(Vec::new()));
        let (sessions, reads) = sessions(ended.clone());
        let pages: Vec<_> = (0..1_000).map(|number| sessions.open([u8::try_from(number % 200).unwrap(); 32])).collect();
        let all = async |since| futures::future::try_join_all(pages.iter().map(|page| page.user(since))).await.unwrap();
        let told = Instant::now();
        for (user, number) in all(told).await.iter().zip((0..200).cycle()) {
            assert_eq!(user.as_ref().unwrap().id, UserId(number));
        }
        assert_eq!(reads.load(SeqCst), 1);
        all(told).await;
        assert_eq!(reads.load(SeqCst), 1, "nothing is newer");

        ended.lock().unwrap().push([7; 32]);
        tokio::time::advance(Duration::from_millis(1)).await;
        let users = all(Instant::now()).await;
        assert_eq!(reads.load(SeqCst), 2);
        assert_eq!(users.iter().filter(|user| user.is_none()).count(), 5, "all pages of the session that has ended");
        // One that was opened since was not asked about.
        assert!(sessions.open([250; 32]).user(told).await.unwrap().is_some());
        assert_eq!(reads.load(SeqCst), 3);
        drop(pages);
        assert!(sessions.0.open().is_empty());
    }
}
