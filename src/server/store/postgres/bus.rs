//! What nodes tell each other, over NOTIFY: that settings changed, that a node came or went, that deliveries were stored for
//! another, and what open pages may want to read again. Small and gathered: two dozen notes a second, whatever the load. A note
//! that is lost costs a moment: whatever matters is also looked for again and again (see `keeper`).

use super::Core;
use crate::domain::id::{ListenerId, MerchantId, OrderId};
use crate::server::store::{Change, Commit};
use sqlx::{Executor as _, PgPool, postgres::PgListener};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

const CHANNEL: &str = "quittance";
/// How long errands are gathered: a delivery waits for it.
const GATHER_ERRANDS: Duration = Duration::from_millis(5);
/// How long changes are gathered: a page of another node waits for it, and then as long as one of this node.
const GATHER_CHANGES: Duration = Duration::from_millis(40);
/// With more orders than this in one go, merchants are named instead.
const MANY: usize = 150;
/// A note may have 8,000 bytes.
const NOTE_BYTES: usize = 7_000;
/// A connection on which nothing came for so long is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(20);
/// Pause after the connection was lost.
const PAUSE: Duration = Duration::from_millis(500);

/// Where notes are handed in.
pub(super) struct Bus {
    changes: mpsc::UnboundedSender<Vec<Change>>,
    errands: mpsc::UnboundedSender<Vec<i64>>,
}

/// What was handed in, for the tasks that tell it.
pub(super) struct Outbox {
    changes: mpsc::UnboundedReceiver<Vec<Change>>,
    errands: mpsc::UnboundedReceiver<Vec<i64>>,
}

impl Bus {
    pub fn new() -> (Self, Outbox) {
        let (changes, changes_out) = mpsc::unbounded_channel();
        let (errands, errands_out) = mpsc::unbounded_channel();
        (Self { changes, errands }, Outbox { changes: changes_out, errands: errands_out })
    }

    /// Tells the other nodes' pages.
    pub fn changes(&self, changes: &[Change]) {
        if !changes.is_empty() {
            // A command tells nobody; its outbox is gone.
            let _ = self.changes.send(changes.to_vec());
        }
    }

    /// Tells nodes that there is something for them.
    pub fn errands(&self, nodes: &[i64]) {
        if !nodes.is_empty() {
            let _ = self.errands.send(nodes.to_vec());
        }
    }
}

/// Tells what is handed in, for ever.
pub(super) async fn tell(core: Arc<Core>, outbox: Outbox) {
    tokio::join!(tell_changes(&core, outbox.changes), tell_errands(&core, outbox.errands));
}

async fn tell_changes(core: &Core, mut waiting: mpsc::UnboundedReceiver<Vec<Change>>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, usize::MAX).await > 0 {
        tokio::time::sleep(GATHER_CHANGES).await;
        while let Ok(more) = waiting.try_recv() {
            batch.push(more);
        }
        let changes: HashSet<Change> = batch.drain(..).flatten().collect();
        if core.is_alone() {
            continue;
        }
        for note in notes(core.present().run, changes) {
            note_down(&core.pool, &note).await;
        }
    }
}

async fn tell_errands(core: &Core, mut waiting: mpsc::UnboundedReceiver<Vec<i64>>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, usize::MAX).await > 0 {
        tokio::time::sleep(GATHER_ERRANDS).await;
        while let Ok(more) = waiting.try_recv() {
            batch.push(more);
        }
        let nodes: BTreeSet<i64> = batch.drain(..).flatten().collect();
        if nodes.contains(&0) {
            // A lease was given up in this moment; whoever looks first takes them.
            core.wake_keeper();
        }
        let nodes: Vec<String> = nodes.into_iter().filter(|node| *node != 0).map(|node| node.to_string()).collect();
        if !nodes.is_empty() {
            note_down(&core.pool, &format!("errands {}", nodes.join(" "))).await;
        }
    }
}

async fn note_down(pool: &PgPool, note: &str) {
    // Nobody waits for the disk: what a crash takes with it is looked for anyway.
    let tell = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('quittance', $1)";
    if let Err(error) = sqlx::query(tell).bind(note).execute(pool).await {
        tracing::debug!(%error, "other nodes could not be told; they look by themselves");
    }
}

/// Changes as notes: `changes RUN o1.2 O1 r1.2 s`.
fn notes(run: i64, changes: HashSet<Change>) -> Vec<String> {
    let orders = changes.iter().filter(|change| matches!(change, Change::Order(..))).count();
    let words: BTreeSet<String> = changes
        .into_iter()
        .map(|change| match change {
            Change::Order(merchant, order) if orders <= MANY => format!(" o{}.{}", merchant.0, order.0),
            Change::Order(merchant, _) | Change::Orders(merchant) => format!(" O{}", merchant.0),
            Change::Refusal(merchant, listener) => format!(" r{}.{}", merchant.0, listener.0),
            Change::Settings => " s".to_owned(),
        })
        .collect();
    let mut notes: Vec<String> = Vec::new();
    for word in words {
        match notes.last_mut() {
            Some(note) if note.len() + word.len() <= NOTE_BYTES => note.push_str(&word),
            _ => notes.push(format!("changes {run}{word}")),
        }
    }
    notes
}

fn change(word: &str) -> Option<Change> {
    let numbers = |text: &str| {
        let (first, second) = text.split_once('.')?;
        Some((MerchantId(first.parse().ok()?), second.parse::<i64>().ok()?))
    };
    match word.split_at_checked(1)? {
        ("o", rest) => numbers(rest).map(|(merchant, order)| Change::Order(merchant, OrderId(order))),
        ("O", rest) => Some(Change::Orders(MerchantId(rest.parse().ok()?))),
        ("r", rest) => numbers(rest).map(|(merchant, listener)| Change::Refusal(merchant, ListenerId(listener))),
        ("s", "") => Some(Change::Settings),
        _ => None,
    }
}

/// Hears what others tell, for ever.
pub(super) async fn hear(core: Arc<Core>, pool: PgPool) {
    loop {
        if let Err(error) = listen(&core, &pool).await {
            tracing::debug!(%error, "the connection that hears of other nodes was lost; connecting again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(core: &Core, pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // What was told while nobody listened.
    core.wake_keeper();
    let merchants = core.directory.borrow().merchants();
    let changes = merchants.iter().map(|merchant| Change::Orders(merchant.id)).collect();
    core.feed.announce(Commit { changes, ..Commit::default() });
    loop {
        match tokio::time::timeout(QUIET, listener.try_recv()).await {
            Ok(Ok(Some(note))) => core.hear_note(note.payload()),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => match tokio::time::timeout(QUIET, listener.execute("SELECT 1")).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Ok(()),
            },
        }
    }
}

impl Core {
    fn hear_note(&self, note: &str) {
        let mut words = note.split(' ');
        match words.next() {
            Some("changes") => {
                let place = self.present();
                if words.next() != Some(place.run.to_string().as_str()) {
                    let changes = words.filter_map(change).collect();
                    self.feed.announce(Commit { changes, ..Commit::default() });
                }
            }
            Some("errands") => {
                let me = self.present().node.to_string();
                if words.any(|node| node == me) {
                    self.wake_keeper();
                }
            }
            // Settings, nodes, and what later versions may tell.
            _ => self.wake_keeper(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_travel_in_notes() {
        let all = [
            Change::Order(MerchantId(1), OrderId(2)),
            Change::Orders(MerchantId(3)),
            Change::Refusal(MerchantId(1), ListenerId(9)),
            Change::Settings,
        ];
        let notes = notes(7, all.into_iter().collect());
        assert_eq!(notes, ["changes 7 O3 o1.2 r1.9 s"]);
        let heard: HashSet<Change> = notes[0].split(' ').skip(2).filter_map(change).collect();
        assert_eq!(heard, all.into_iter().collect());
        assert!(change("").is_none() && change("x1").is_none() && change("o1").is_none() && change("é").is_none());
    }

    #[test]
    fn many_orders_are_told_by_merchant_and_long_notes_are_divided() {
        let orders = (0..1_000).map(|id| Change::Order(MerchantId(1), OrderId(id)));
        assert_eq!(notes(1, orders.collect()), ["changes 1 O1"]);
        let merchants = (0..1_000).map(|id| Change::Orders(MerchantId(i64::MAX - id)));
        let notes = notes(1, merchants.collect());
        assert!(notes.len() > 1 && notes.iter().all(|note| note.len() <= NOTE_BYTES + 30));
    }
}
