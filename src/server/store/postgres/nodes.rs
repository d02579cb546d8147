//! The nodes of an installation: taking a place at the start, the heartbeat, leaving in order, and finding out who died.
//!
//! All moments of the table are the database's own, so the clocks of the machines need not agree. That clock may be set, too: a
//! node is silent where its last heartbeat has not *changed* for a while, as long as the node that looks has counted itself.

use super::{Core, intake, line::PAGES, lock, results};
use crate::server::store::{LaneDepth, StoreError, ids::NODE_MARKS};
use sqlx::{Connection as _, PgConnection};
use std::{
    collections::HashMap,
    sync::{PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

/// A node without a heartbeat for so long is dead.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(8);
/// A node that could not send its heartbeat for so long starts nothing any more: it may be about to be declared dead.
/// The difference to [`DEAD_AFTER`] is more than a heartbeat's way to the database may take.
pub(super) const DOUBT_AFTER: Duration = Duration::from_secs(4);
/// What a message made before this span from now may carry as an id, with the clocks of the machines apart.
pub(super) const CLOCKS_APART: Duration = Duration::from_secs(60);
/// A commit whose connection broke is made by then, or never: the server stops what takes longer.
const COMMITS_END: Duration = Duration::from_secs(15);
/// Closed lines are kept for so many runs, for who asks what became of his last batch.
const RUNS_KEPT: i64 = 100;

/// A node, and which run of it this process is. Zero for a command beside the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub node: i64,
    pub run: i64,
}

/// The last heartbeats of the other nodes, and since when each has been the last.
#[derive(Debug, Default)]
pub(super) struct Heard(HashMap<(i64, i64), (i64, Instant)>);

impl Heard {
    /// Notes the last heartbeats (node, run, moment); gives those after which nothing came for as long as counts as death.
    fn silent(&mut self, heartbeats: &[(i64, i64, i64)], now: Instant) -> Vec<(i64, i64, i64)> {
        let mut known = std::mem::take(&mut self.0);
        let mut silent = Vec::new();
        for &(node, run, moment) in heartbeats {
            let last = known.remove(&(node, run)).filter(|(last, _)| *last == moment).unwrap_or((moment, now));
            if now.saturating_duration_since(last.1) >= DEAD_AFTER {
                silent.push((node, run, moment));
            }
            self.0.insert((node, run), last);
        }
        silent
    }
}

/// Deliveries that are this node's as soon as a commit is made, and that nobody else tells the dispatcher of. Where its end is not
/// heard, or nobody waits for it any more, the keeper announces all that is open: at once, and when no commit can be under way
/// any more.
pub(super) struct Unannounced<'a> {
    core: &'a Core,
    is_done: bool,
}

impl Unannounced<'_> {
    /// They were announced.
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Unannounced<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.core.announce_all_at(Instant::now());
            self.core.announce_all_at(Instant::now() + COMMITS_END);
        }
    }
}

impl Core {
    /// Takes a place: that of a node which has ended or died, with all that it left, or else a new one.
    pub(super) async fn take_place(&self, conn: &mut PgConnection) -> Result<Place, StoreError> {
        let mut tx = conn.begin().await?;
        // Whoever takes deliveries from the node at this moment has its row locked. While the database was down, or could not be
        // reached, nobody was heard: a silent node is known to be dead where another was heard meanwhile, or where there is no other.
        let left: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM node WHERE ended_at IS NOT NULL OR (seen_at < clock_timestamp() - make_interval(secs => $1)
                 AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => $1)
                 AND NOT EXISTS (SELECT 1 FROM node AS other WHERE other.id <> node.id AND other.ended_at IS NULL
                     HAVING max(other.seen_at) < clock_timestamp() - make_interval(secs => $1)))
             ORDER BY EXISTS (SELECT 1 FROM delivery WHERE node_id = node.id AND state IN (0, 2)) DESC, id
             LIMIT 1 FOR UPDATE SKIP LOCKED",
        )
        .bind(DEAD_AFTER.as_secs_f64())
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(node) = left {
            sqlx::query("UPDATE line SET open = false WHERE node_id = $1 AND open").bind(node).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM lease WHERE node_id = $1").bind(node).execute(&mut *tx).await?;
        }
        // Its last digits mark the ids that are made here, and no two nodes may make the same.
        let run: i64 = loop {
            let (run, is_free): (i64, bool) = sqlx::query_as(
                "WITH next AS MATERIALIZED (SELECT nextval('node_run') AS run)
                 SELECT run, NOT EXISTS (SELECT 1 FROM node WHERE ended_at IS NULL AND node.run % $1 = next.run % $1) FROM next",
            )
            .bind(NODE_MARKS)
            .fetch_one(&mut *tx)
            .await?;
            if is_free {
                break run;
            }
        };
        let node: i64 = match left {
            Some(node) => {
                sqlx::query_scalar(
                    "UPDATE node SET run = $2, name = $3, started_at = clock_timestamp(), seen_at = clock_timestamp(), ended_at = NULL
                     WHERE id = $1 RETURNING id",
                )
                .bind(node)
                .bind(run)
                .bind(host_name())
                .fetch_one(&mut *tx)
                .await?
            }
            None => {
                sqlx::query_scalar(
                    "INSERT INTO node (run, name, started_at, seen_at) VALUES ($1, $2, clock_timestamp(), clock_timestamp())
                     RETURNING id",
                )
                .bind(run)
                .bind(host_name())
                .fetch_one(&mut *tx)
                .await?
            }
        };
        sqlx::query("INSERT INTO line (page, node_id, run) SELECT unnest($1::bigint[]), $2, $3")
            .bind((0..=results::LINE.max(intake::LINES)).map(|number| run * PAGES + number).collect::<Vec<_>>())
            .bind(node)
            .bind(run)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM line WHERE NOT open AND run < $1").bind(run - RUNS_KEPT).execute(&mut *tx).await?;
        let started = Instant::now();
        tx.commit().await?;
        let place = Place { node, run };
        self.ids.set_mark(run);
        self.leases().clear();
        self.has_beaten(started);
        self.place.send_replace(place);
        tracing::info!(node.id = node, node.run = run, taken_over = left.is_some(), "this process is a node of the installation");
        Ok(place)
    }

    /// Says that the node lives. `false` where it was declared dead meanwhile.
    pub(super) async fn heartbeat(&self, conn: &mut PgConnection) -> Result<bool, StoreError> {
        let started = Instant::now();
        let place = self.present();
        let alive = sqlx::query("UPDATE node SET seen_at = clock_timestamp() WHERE id = $1 AND run = $2 AND ended_at IS NULL")
            .bind(place.node)
            .bind(place.run)
            .execute(conn)
            .await?
            .rows_affected()
            == 1;
        if alive {
            self.has_beaten(started);
        }
        Ok(alive)
    }

    /// A heartbeat that was sent then has arrived.
    fn has_beaten(&self, sent: Instant) {
        let last = self.beat.send_replace(Some(sent));
        let mut since = self.steady_since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() || last.is_none_or(|last| sent.duration_since(last) >= DOUBT_AFTER) {
            *since = Some(sent);
        }
    }

    /// Whether this node has been heard for as long as others are given. Where it was not, the database may have been gone, and
    /// their silence says nothing of them.
    fn may_bury(&self) -> bool {
        let now = Instant::now();
        let since = *self.steady_since.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *self.beat.borrow();
        last.is_some_and(|last| now.duration_since(last) < DOUBT_AFTER)
            && since.is_some_and(|since| now.duration_since(since) >= DEAD_AFTER)
    }

    /// Stops to serve what the node had, and takes a new place.
    pub(super) async fn begin_anew(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        tracing::warn!("this node was declared dead, because nothing was heard of it for some seconds; it begins anew");
        // From here on each delivery that the dispatcher still holds in memory is looked up before it is sent.
        // Ids never go back, though the clock may have been set back since they were made.
        let known = crate::server::store::ids::IdSource::floor(self.clock.now().plus(CLOCKS_APART).millis());
        self.fence.store(known.max(self.ids.next()), Ordering::SeqCst);
        self.leases().clear();
        self.take_place(conn).await?;
        self.announce_all_at(Instant::now());
        Ok(())
    }

    /// All that lies under the node's place is announced at a moment.
    fn announce_all_at(&self, at: Instant) {
        lock(&self.inherits).push(at);
        self.wake_keeper();
    }

    /// Announces what came with a place that was taken anew, or what a commit left of which nobody heard. What fails is done
    /// again: nobody else would tell of it.
    pub(super) async fn announce_inherited(&self) -> Result<(), StoreError> {
        let now = Instant::now();
        let due: Vec<Instant> = lock(&self.inherits).extract_if(.., |at| *at <= now).collect();
        if due.is_empty() {
            return Ok(());
        }
        let announced = self.announce_lanes().await;
        if announced.is_err() {
            lock(&self.inherits).push(now);
        }
        announced
    }

    /// Before a commit that makes deliveries this node's: they are announced behind it.
    pub(super) const fn will_announce(&self) -> Unannounced<'_> {
        Unannounced { core: self, is_done: false }
    }

    async fn announce_lanes(&self) -> Result<(), StoreError> {
        self.settle_leases().await?;
        let lanes = self.lanes().await?;
        let due = |lane: &LaneDepth| Some((lane.url_id, lane.fresh_due.into_iter().chain(lane.again_due).min()?));
        self.feed.announce_due(lanes.iter().filter_map(due).collect());
        Ok(())
    }

    /// Ends this run: what it served is free for others at once.
    pub(super) async fn leave(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let place = self.present();
        let mut tx = conn.begin().await?;
        sqlx::query("UPDATE line SET open = false WHERE run = $1 AND open").bind(place.run).execute(&mut *tx).await?;
        let left = sqlx::query("UPDATE node SET ended_at = clock_timestamp() WHERE id = $1 AND run = $2 AND ended_at IS NULL")
            .bind(place.node)
            .bind(place.run)
            .execute(&mut *tx)
            .await?;
        if left.rows_affected() == 1 {
            sqlx::query("DELETE FROM lease WHERE node_id = $1").bind(place.node).execute(&mut *tx).await?;
            sqlx::query("SELECT pg_notify('quittance', 'nodes')").execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.fold(conn).await
    }

    /// Declares nodes dead of which nothing is heard any more. Waits for the commits that they have under way.
    pub(super) async fn bury(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let heartbeats: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT id, run, (extract(epoch FROM seen_at) * 1000000)::bigint FROM node WHERE id <> $1 AND ended_at IS NULL",
        )
        .bind(self.present().node)
        .fetch_all(&mut *conn)
        .await?;
        let silent = lock(&self.heard).silent(&heartbeats, Instant::now());
        // They are listened to from the start on, so that what a node left does not wait twice as long for one that has just come.
        if silent.is_empty() || !self.may_bury() {
            return Ok(());
        }
        let (mut nodes, mut runs, mut moments) = (Vec::new(), Vec::new(), Vec::new());
        for (node, run, moment) in silent {
            nodes.push(node);
            runs.push(run);
            moments.push(moment);
        }
        let mut tx = conn.begin().await?;
        let dead: Vec<i64> = sqlx::query_scalar(
            "UPDATE node SET ended_at = clock_timestamp() WHERE id IN (
                 SELECT node.id FROM node JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS silent (id, run, moment)
                     ON silent.id = node.id AND silent.run = node.run
                         AND silent.moment = (extract(epoch FROM seen_at) * 1000000)::bigint
                 WHERE ended_at IS NULL FOR UPDATE OF node SKIP LOCKED)
             RETURNING id",
        )
        .bind(&nodes)
        .bind(&runs)
        .bind(&moments)
        .fetch_all(&mut *tx)
        .await?;
        if dead.is_empty() {
            return Ok(());
        }
        sqlx::query("UPDATE line SET open = false WHERE node_id = ANY($1) AND open").bind(&dead).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM lease WHERE node_id = ANY($1)").bind(&dead).execute(&mut *tx).await?;
        sqlx::query("SELECT pg_notify('quittance', 'nodes')").execute(&mut *tx).await?;
        tx.commit().await?;
        tracing::warn!(nodes = ?dead, "nodes are dead: nothing was heard of them for some seconds; their deliveries are taken over");
        self.fold(conn).await
    }

    /// Adds the pages that nobody writes any more to page 0, and with them the hours that are past; forgets leases and nodes
    /// that nobody needs.
    pub(super) async fn fold(&self, conn: &mut PgConnection) -> Result<(), StoreError> {
        let mut tx = conn.begin().await?;
        let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(8101)").fetch_one(&mut *tx).await?;
        if !alone {
            return Ok(());
        }
        sqlx::query(
            "WITH gone AS (
                 DELETE FROM url_books WHERE page <> 0
                     AND NOT EXISTS (SELECT 1 FROM line WHERE line.page = url_books.page AND open)
                 RETURNING *
             )
             INSERT INTO url_books (url_id, page, accepted, queued, retrying, held, confirmed, expired, cancelled,
                 last_confirmed_at, last_attempt_at)
             SELECT url_id, 0, sum(accepted), sum(queued), sum(retrying), sum(held), sum(confirmed), sum(expired), sum(cancelled),
                 max(last_confirmed_at), max(last_attempt_at)
             FROM gone GROUP BY url_id ORDER BY url_id
             ON CONFLICT (url_id, page) DO UPDATE SET accepted = url_books.accepted + excluded.accepted,
                 queued = url_books.queued + excluded.queued, retrying = url_books.retrying + excluded.retrying,
                 held = url_books.held + excluded.held, confirmed = url_books.confirmed + excluded.confirmed,
                 expired = url_books.expired + excluded.expired, cancelled = url_books.cancelled + excluded.cancelled,
                 last_confirmed_at = greatest(url_books.last_confirmed_at, excluded.last_confirmed_at),
                 last_attempt_at = greatest(url_books.last_attempt_at, excluded.last_attempt_at)",
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "WITH gone AS (
                 DELETE FROM tally WHERE page <> 0
                     AND (hour < $1 OR NOT EXISTS (SELECT 1 FROM line WHERE line.page = tally.page AND open))
                 RETURNING *
             )
             INSERT INTO tally (merchant_id, hour, page, notifications, repeats, refused, confirmed, failed, expired)
             SELECT merchant_id, hour, 0, sum(notifications), sum(repeats), sum(refused), sum(confirmed), sum(failed), sum(expired)
             FROM gone GROUP BY merchant_id, hour ORDER BY merchant_id, hour
             ON CONFLICT (merchant_id, hour, page) DO UPDATE SET notifications = tally.notifications + excluded.notifications,
                 repeats = tally.repeats + excluded.repeats, refused = tally.refused + excluded.refused,
                 confirmed = tally.confirmed + excluded.confirmed, failed = tally.failed + excluded.failed,
                 expired = tally.expired + excluded.expired",
        )
        .bind(self.clock.now().hour() - 1)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM node WHERE ended_at < clock_timestamp() - interval '1 day'
                 AND NOT EXISTS (SELECT 1 FROM delivery WHERE node_id = node.id AND state IN (0, 2))",
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM lease USING node WHERE node.id = lease.node_id AND node.ended_at IS NOT NULL")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// How the node is shown to people.
    pub(in crate::server::store) async fn introduce(&self, address: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE node SET name = $2 WHERE id = $1")
            .bind(self.present().node)
            .bind(format!("{} {address}", host_name()))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether a server runs on the database at the moment.
    pub(in crate::server::store) async fn is_served(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM node WHERE ended_at IS NULL AND seen_at > clock_timestamp() - make_interval(secs => $1))",
        )
        .bind(DEAD_AFTER.as_secs_f64())
        .fetch_one(&self.pool)
        .await?)
    }
}

/// The machine's name, as far as it tells.
fn host_name() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    told.map_or_else(|_| "node".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_the_last_change_of_a_heartbeat_and_not_by_its_moment() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut heard = Heard::default();
        // The database's clock is set on by an hour, and back by two: who goes on to be heard lives.
        for (second, moment) in [(0, 0), (2, 2), (4, 3_604), (6, 3_606), (8, -3_592), (10, -3_590), (12, -3_588)] {
            assert_eq!(
                heard.silent(&[(1, 7, moment), (2, 8, 3_600)], at(second)),
                if second < 8 { vec![] } else { vec![(2, 8, 3_600)] }
            );
        }
        assert_eq!(heard.silent(&[(1, 7, -3_588)], at(19)), []);
        assert_eq!(heard.silent(&[(1, 7, -3_588)], at(20)), [(1, 7, -3_588)], "whatever its moment says");
        assert_eq!(heard.silent(&[(1, 9, -3_588)], at(21)), [], "another run of it");
        heard.silent(&[], at(22));
        assert_eq!(heard.silent(&[(1, 9, -3_588)], at(60)), [], "it was gone meanwhile");
    }
}
