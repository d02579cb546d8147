//! Asking gateways back: messages that were acknowledged wait in the store until their gateway has said whether they are true, and
//! only then are accepted like any other. A message that waits survives a crash; on PostgreSQL any node asks.
//!
//! Lives here: when to ask (`plan`), the certificates that messages are signed with (`chain`), one question with what follows from
//! its answer (`ask`), and how many at once. Must not live
//! here: what is asked and what an answer means (`gateway`), who may be reached (`dispatch/client`).

mod ask;
mod chain;
mod plan;

pub use chain::Certificates;

use crate::domain::{Timestamp, id::ListenerId};
use crate::server::{
    clock::Clock,
    dispatch::client::Client,
    gateway::Gateways,
    store::{Store, StoreError, Verifying},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::Notify, task::JoinSet};

/// Questions under way at once.
const IN_FLIGHT: usize = 32;
/// Of these at most so many of one listener, so that a gateway that does not answer holds up its own messages alone.
const OF_LISTENER: usize = 4;
/// Where nothing is due, the next look; another node, or a command, may have left something.
const IDLE: Duration = Duration::from_millis(500);
/// Pause after the store refused something.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// What the clocks of nodes may differ by.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// From one look for what was put off while a clock was ahead to the next.
const LOOK_BACK_EVERY: Duration = Duration::from_secs(600);
/// Whoever takes a message has it for so long: a certificate (10 s), a token and a question (30 s each) may take
/// as long as the client lets them.
const TAKEN_FOR: Duration = Duration::from_secs(90);

/// What asking needs.
#[derive(Clone)]
pub struct Confirmer {
    pub store: Store,
    /// The dispatcher's, with its guard.
    pub client: Arc<Client>,
    pub gateways: Arc<Gateways>,
    pub clock: Clock,
    /// How the outside reaches this server: some messages are signed over it.
    pub base: String,
    /// Told when a message came that must be asked about.
    pub asked: Arc<Notify>,
    /// Those that messages were signed with.
    pub certificates: Arc<Certificates>,
}

impl Confirmer {
    /// Asks, for ever.
    pub async fn run(self) {
        let mut under_way: JoinSet<ListenerId> = JoinSet::new();
        let mut busy: HashMap<ListenerId, usize> = HashMap::new();
        let mut looked = None;
        loop {
            while let Some(ended) = under_way.try_join_next() {
                forget(&mut busy, ended.ok());
            }
            if under_way.is_empty() {
                // A task that was lost told nobody which listener it was for.
                busy.clear();
            }
            let taken = async {
                self.pull_back(&mut looked).await?;
                self.take(&busy, IN_FLIGHT - under_way.len()).await
            };
            let pause = match taken.await {
                Ok(taken) if taken.is_empty() => IDLE,
                Ok(taken) => {
                    for message in taken {
                        *busy.entry(message.listener_id).or_default() += 1;
                        let confirmer = self.clone();
                        under_way.spawn(async move {
                            let listener = message.listener_id;
                            confirmer.confirm(message).await;
                            listener
                        });
                    }
                    // There may be more.
                    Duration::ZERO
                }
                Err(error) => {
                    tracing::warn!(%error, "what must be asked of gateways could not be read; trying again");
                    RETRY_PAUSE
                }
            };
            if pause.is_zero() && under_way.len() < IN_FLIGHT {
                continue;
            }
            tokio::select! {
                Some(ended) = under_way.join_next() => forget(&mut busy, ended.ok()),
                () = self.asked.notified(), if under_way.len() < IN_FLIGHT => {}
                () = tokio::time::sleep(IDLE.max(pause)) => {}
            }
        }
    }

    /// What was put off while some clock was ahead would wait until then: looked for at the start, where the clock was set back, and now
    /// and then. `looked` are the last look at the clock, and when it is done again.
    async fn pull_back(&self, looked: &mut Option<(Timestamp, Timestamp)>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let again = match *looked {
            Some((last, again)) if now >= last && now < again => again,
            _ => {
                // What another node has taken stays its, though its clock is a little ahead.
                let (latest, until) = (plan::LONGEST_PAUSE + CLOCKS_APART, TAKEN_FOR + CLOCKS_APART);
                self.store.pull_back_verifying(now, now.plus(latest), now.plus(until)).await?;
                now.plus(LOOK_BACK_EVERY)
            }
        };
        *looked = Some((now, again));
        Ok(())
    }

    /// Takes what is due, where there is something and room for it.
    async fn take(&self, busy: &HashMap<ListenerId, usize>, room: usize) -> Result<Vec<Verifying>, StoreError> {
        let now = self.clock.now();
        if room == 0 || self.store.verifying_due().await?.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let without = busy.iter().filter(|(_, count)| **count >= OF_LISTENER).map(|(id, _)| *id).collect();
        // One that is half busy may get a few too many for a moment; it is passed over then.
        let of_each = u32::try_from(OF_LISTENER).unwrap_or(1);
        self.store.take_verifying(now.plus(TAKEN_FOR), without, of_each, u32::try_from(room).unwrap_or(1)).await
    }
}

fn forget(busy: &mut HashMap<ListenerId, usize>, ended: Option<ListenerId>) {
    let Some(id) = ended else { return };
    if let Some(count) = busy.get_mut(&id) {
        *count -= 1;
        if *count == 0 {
            busy.remove(&id);
        }
    }
}
