//! Tells open pages that something changed. A page that hears of it reads itself again from its own address, so that
//! there is one way for data to a page.
//!
//! Changes are gathered for a moment first: at full speed thousands of orders move in a second, and a page wants to
//! know once.

mod sessions;

pub use sessions::{OpenPage, Sessions};

use crate::server::store::Change;
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{broadcast, mpsc},
    time::Instant,
};

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(60);
/// With more changes than this in one go, merchants are named instead of orders.
const MANY: usize = 200;
/// What a page that was away for a moment can still be told.
const REMEMBERED: usize = 256;

/// Changes that are told together.
#[derive(Debug)]
pub struct Batch {
    /// Counts up by one; pages name it when they come back after a break.
    pub sequence: u64,
    pub changes: Vec<Change>,
    /// When it was told: whoever hears of it must have the right to at this moment or later.
    pub told_at: Instant,
}

/// Where pages listen.
#[derive(Clone)]
pub struct Hub {
    sender: broadcast::Sender<Arc<Batch>>,
    told: Arc<Mutex<Told>>,
}

/// What was told so far.
struct Told {
    recent: VecDeque<Arc<Batch>>,
    /// The number of the latest batch, or the one before the first.
    latest: u64,
}

/// What a page missed.
#[derive(Debug)]
pub enum Missed {
    /// These, in order.
    Batches(Vec<Arc<Batch>>),
    /// More than is remembered: read everything again.
    TooMuch,
}

impl Hub {
    /// A hub that tells of the changes of a channel. Batches are counted from `first`; another run of the server begins
    /// with a higher number, so that a page which comes back after a restart is known to have missed something.
    pub fn start(mut changes: mpsc::UnboundedReceiver<Vec<Change>>, first: u64) -> Self {
        let told = Told { recent: VecDeque::new(), latest: first - 1 };
        let hub = Self { sender: broadcast::channel(64).0, told: Arc::new(Mutex::new(told)) };
        let teller = hub.clone();
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            while changes.recv_many(&mut waiting, usize::MAX).await > 0 {
                tokio::time::sleep(GATHER).await;
                while let Ok(more) = changes.try_recv() {
                    waiting.push(more);
                }
                teller.tell(merged(waiting.drain(..).flatten()));
            }
        });
        hub
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, changes: Vec<Change>) {
        let mut told = self.told();
        told.latest += 1;
        let batch = Arc::new(Batch { sequence: told.latest, changes, told_at: Instant::now() });
        if told.recent.len() == REMEMBERED {
            told.recent.pop_front();
        }
        told.recent.push_back(batch.clone());
        // Nobody may be listening.
        let _ = self.sender.send(batch);
    }

    /// The number of the latest batch: a page that is read now has seen everything up to it.
    pub fn latest(&self) -> u64 {
        self.told().latest
    }

    /// Listens from now on; with the number of the last batch heard, also to what came since.
    pub fn listen(&self, last_heard: Option<u64>) -> (broadcast::Receiver<Arc<Batch>>, Missed) {
        let told = self.told();
        let receiver = self.sender.subscribe();
        let oldest = told.recent.front().map_or(told.latest + 1, |batch| batch.sequence);
        let missed = match last_heard {
            None => Missed::Batches(Vec::new()),
            Some(heard) if oldest <= heard + 1 && heard <= told.latest => {
                Missed::Batches(told.recent.iter().filter(|batch| batch.sequence > heard).cloned().collect())
            }
            // Another run of the server, or too long ago.
            Some(_) => Missed::TooMuch,
        };
        (receiver, missed)
    }
}

fn merged(changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let distinct: HashSet<Change> = changes.collect();
    if distinct.len() <= MANY {
        return distinct.into_iter().collect();
    }
    let wider = distinct.into_iter().map(|change| match change {
        Change::Order(merchant, _) => Change::Orders(merchant),
        other => other,
    });
    wider.collect::<HashSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{MerchantId, OrderId};

    fn order(id: i64) -> Change {
        Change::Order(MerchantId(1), OrderId(id))
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_once_and_together() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let hub = Hub::start(receiver, 1);
        let (mut page, _) = hub.listen(None);
        sender.send(vec![order(1), order(2)]).unwrap();
        sender.send(vec![order(1)]).unwrap();
        let batch = page.recv().await.unwrap();
        assert_eq!((batch.sequence, batch.changes.len()), (1, 2));
        sender.send((0..1_000).map(order).collect()).unwrap();
        assert_eq!(page.recv().await.unwrap().changes, [Change::Orders(MerchantId(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_was_away_hears_what_it_missed() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let hub = Hub::start(receiver, 1);
        let (mut page, _) = hub.listen(None);
        for id in 1..=300 {
            sender.send(vec![order(id)]).unwrap();
            page.recv().await.unwrap();
        }
        match hub.listen(Some(298)).1 {
            Missed::Batches(batches) => assert_eq!(batches.iter().map(|batch| batch.sequence).collect::<Vec<_>>(), [299, 300]),
            Missed::TooMuch => panic!("remembered"),
        }
        assert!(matches!(hub.listen(Some(300)).1, Missed::Batches(batches) if batches.is_empty()));
        assert!(matches!(hub.listen(Some(3)).1, Missed::TooMuch), "too long ago");
        assert!(matches!(hub.listen(Some(5_000)).1, Missed::TooMuch), "of another run");
    }
}
