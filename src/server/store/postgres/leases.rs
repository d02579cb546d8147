//! Who serves what. A URL with concurrent requests is served by every node, each what it accepted; any other by the one node
//! that has its lease. A lease is never taken from a living node, so whoever has one in memory has it, as long as his
//! heartbeat is fresh.

use super::{
    Core, PgStore,
    accept::is_exclusive,
    line::PAGES,
    nodes::{DOUBT_AFTER, Place},
};
use crate::domain::{
    Timestamp,
    attempt::Origin,
    id::{MerchantId, OrderId, UrlId},
};
use crate::server::{
    store::{Change, Commit, Directory, Job, StoreError},
    telemetry::Seldom,
};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{MutexGuard, PoisonError, atomic::Ordering},
    time::Instant,
};

/// Deliveries that change hands in one transaction, but for one of each URL.
const CHUNK: i64 = 5_000;
/// What was told of lately.
static UNKNOWN: Seldom = Seldom::new();

/// What dead nodes left, some of each URL, first tries before others and what is due first before what is due later: a million
/// deliveries of a script that is down do not keep those of another waiting.
pub(super) const LEFT_BEHIND: &str = "WITH RECURSIVE lane (node_id, url_id) AS (
     SELECT left_by.id, (SELECT min(url_id) FROM delivery WHERE node_id = left_by.id AND state IN (0, 2))
     FROM unnest($1::bigint[]) AS left_by (id)
     UNION ALL
     SELECT lane.node_id, (SELECT min(delivery.url_id) FROM delivery
         WHERE delivery.node_id = lane.node_id AND delivery.url_id > lane.url_id AND state IN (0, 2))
     FROM lane WHERE lane.url_id IS NOT NULL
 ), found AS MATERIALIZED (SELECT node_id, url_id FROM lane WHERE url_id IS NOT NULL)
 SELECT first.id, first.url_id FROM found CROSS JOIN LATERAL (
     SELECT id, url_id FROM delivery
     WHERE delivery.node_id = found.node_id AND delivery.url_id = found.url_id AND state IN (0, 2)
     ORDER BY state, due_at, id LIMIT (SELECT $2::bigint / count(*) + 1 FROM found) FOR UPDATE SKIP LOCKED
 ) AS first";

/// Whether a URL of the directory is served by one node at a time.
fn exclusive(directory: &Directory, url_id: UrlId) -> bool {
    directory.url(url_id).is_some_and(|url| is_exclusive(url))
}

impl Core {
    /// Owners of leases as far as they are known here.
    pub(super) fn leases(&self) -> MutexGuard<'_, HashMap<UrlId, i64>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the leases of URLs that nobody serves, and learns who serves the others.
    pub(super) async fn lease(&self, conn: &mut PgConnection, place: Place, urls: &[UrlId]) -> Result<(), sqlx::Error> {
        let unknown: Vec<i64> = {
            let leases = self.leases();
            urls.iter().filter(|url| !leases.contains_key(url)).map(|url| url.0).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "WITH made AS (
                 INSERT INTO lease (url_id, node_id)
                 SELECT url_id, $2 FROM unnest($1::bigint[]) AS u (url_id)
                 WHERE EXISTS (SELECT 1 FROM node WHERE id = $2 AND run = $3 AND ended_at IS NULL)
                 ORDER BY url_id
                 ON CONFLICT (url_id) DO NOTHING
                 RETURNING url_id, node_id
             )
             SELECT url_id, node_id FROM made UNION SELECT url_id, node_id FROM lease WHERE url_id = ANY($1)",
        )
        .bind(&unknown)
        .bind(place.node)
        .bind(place.run)
        .fetch_all(conn)
        .await?;
        // Where the place was lost meanwhile, this knowledge is of the past.
        if self.present() == place {
            self.leases().extend(found.into_iter().map(|(url, node)| (UrlId(url), node)));
        }
        Ok(())
    }

    /// Whether this node serves a URL. Asks the table where that is not known here: of two lines that want a lease in the
    /// same moment one may have stored a delivery before the other has noted that it got the lease.
    async fn has_lease(&self, url: UrlId, place: Place) -> bool {
        if self.leases().get(&url) == Some(&place.node) {
            return true;
        }
        let owner: Result<Option<i64>, _> =
            sqlx::query_scalar("SELECT node_id FROM lease WHERE url_id = $1").bind(url.0).fetch_optional(&self.pool).await;
        match owner {
            Ok(owner) => {
                let mine = owner == Some(place.node) && self.present() == place;
                if mine {
                    self.leases().insert(url, place.node);
                }
                mine
            }
            Err(error) => {
                if let Some(others) = UNKNOWN.due("URL") {
                    tracing::warn!(%error, url.id = %url, others, "it is not known who serves a URL; trying again later");
                }
                false
            }
        }
    }

    /// Forgets who else serves what: nodes come and go.
    pub(super) fn forget_others(&self) {
        let me = self.present().node;
        self.leases().retain(|_, node| *node == me);
    }

    /// Gives the deliveries of URLs that another node serves to that node, and takes the leases that nobody has. What
    /// follows a change between concurrent and not.
    pub(super) async fn settle_leases(&self) -> Result<(), StoreError> {
        let place = self.present();
        let directory = self.directory.borrow().clone();
        let not_mine: Vec<i64> = {
            let leases = self.leases();
            let exclusive = directory.urls().filter(|url| is_exclusive(url));
            exclusive.map(|url| url.id).filter(|id| leases.get(id) != Some(&place.node)).map(|id| id.0).collect()
        };
        if not_mine.is_empty() {
            return Ok(());
        }
        let mut conn = self.pool.acquire().await?;
        let with_work: Vec<i64> = sqlx::query_scalar(
            "SELECT url_id FROM unnest($1::bigint[]) AS u (url_id)
             WHERE EXISTS (SELECT 1 FROM delivery
                 WHERE delivery.node_id = $2 AND delivery.url_id = u.url_id AND state IN (0, 2) AND origin <> 2)",
        )
        .bind(&not_mine)
        .bind(place.node)
        .fetch_all(&mut *conn)
        .await?;
        let urls: Vec<UrlId> = with_work.into_iter().map(UrlId).collect();
        self.lease(&mut conn, place, &urls).await?;
        let mut now_mine = Vec::new();
        let mut owners = BTreeSet::new();
        for url in urls {
            let owner = self.leases().get(&url).copied();
            match owner {
                Some(owner) if owner == place.node => now_mine.push((url, Timestamp::default())),
                Some(owner) => {
                    // The keeper goes on where there is more: whoever saved a setting does not wait for it.
                    if self.hand_over(&mut conn, place, url, owner).await? == CHUNK as u64 {
                        self.unsettled.store(true, Ordering::SeqCst);
                        self.wake_keeper();
                    }
                    owners.insert(owner);
                }
                None => {}
            }
        }
        self.feed.announce_due(now_mine);
        self.bus.errands(&owners.into_iter().collect::<Vec<_>>());
        Ok(())
    }

    async fn hand_over(&self, conn: &mut PgConnection, place: Place, url: UrlId, owner: i64) -> Result<u64, StoreError> {
        let moved: i64 = sqlx::query_scalar(
            "WITH moved AS (
                 UPDATE delivery SET node_id = $3
                 WHERE id IN (SELECT id FROM delivery WHERE node_id = $1 AND url_id = $2 AND state IN (0, 2) AND origin <> 2
                     LIMIT $4 FOR UPDATE SKIP LOCKED)
                 RETURNING 1
             ), told AS (
                 INSERT INTO errand (url_id, page, node_id) VALUES ($2, $5, $3)
                 ON CONFLICT (url_id, page) DO UPDATE SET node_id = excluded.node_id
             )
             SELECT count(*) FROM moved",
        )
        .bind(place.node)
        .bind(url.0)
        .bind(owner)
        .bind(CHUNK)
        .bind(spare_page(place))
        .fetch_one(conn)
        .await?;
        Ok(moved.try_into().unwrap_or(0))
    }

    /// Takes over at once what somebody has just left to whoever serves it. Where that fails the keeper does it: it is stored.
    pub(super) async fn adopt_now(&self) {
        if let Err(error) = self.adopt().await {
            tracing::warn!(%error, "what was stored for other nodes was not taken over yet; trying again");
            self.wake_keeper();
        }
    }

    /// Takes open deliveries that no living node serves, some of them, and gives those of leased URLs to who has the lease. Several
    /// nodes may do this at once: they share. Where there are more the keeper goes on, after it has looked for other things.
    pub(super) async fn adopt(&self) -> Result<(), StoreError> {
        let place = self.present();
        if place.node == 0 {
            return Ok(());
        }
        // Each needs two connections of a few: one at a time, and who comes meanwhile leaves it to the keeper.
        let Ok(_alone) = self.adopting.try_lock() else {
            self.wake_keeper();
            return Ok(());
        };
        let mut conn = self.pool.acquire().await?;
        // Leases are taken for good, whatever becomes of the transaction.
        let mut aside = self.pool.acquire().await?;
        let mut tx = conn.begin().await?;
        let alive = sqlx::query("SELECT 1 FROM node WHERE id = $1 AND run = $2 AND ended_at IS NULL FOR KEY SHARE")
            .bind(place.node)
            .bind(place.run)
            .execute(&mut *tx)
            .await?;
        if alive.rows_affected() == 0 {
            return Ok(());
        }
        // Locked, so that no process takes such a node's place while its deliveries are taken.
        let mut from: Vec<i64> = sqlx::query_scalar("SELECT id FROM node WHERE ended_at IS NOT NULL ORDER BY id FOR SHARE")
            .fetch_all(&mut *tx)
            .await?;
        from.push(0);
        let found: Vec<(i64, i64)> = sqlx::query_as(LEFT_BEHIND).bind(&from).bind(CHUNK).fetch_all(&mut *tx).await?;
        if found.is_empty() {
            return Ok(());
        }
        let directory = self.directory.borrow().clone();
        let urls: BTreeSet<UrlId> = found.iter().map(|(_, url)| UrlId(*url)).collect();
        let leased: Vec<UrlId> = urls.into_iter().filter(|url| exclusive(&directory, *url)).collect();
        self.forget_others();
        self.lease(&mut aside, place, &leased).await?;
        let rows = sqlx::query(
            "WITH moved AS (
                 UPDATE delivery SET node_id = CASE WHEN f.exclusive AND origin <> 2 THEN coalesce(lease.node_id, $4) ELSE $4 END
                 FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS f (id, url_id, exclusive)
                 LEFT JOIN lease ON lease.url_id = f.url_id
                 WHERE delivery.id = f.id
                 RETURNING delivery.node_id, delivery.url_id, delivery.merchant_id, delivery.order_id, delivery.origin
             ), told AS (
                 INSERT INTO errand (url_id, page, node_id)
                 SELECT DISTINCT url_id, $5::bigint, node_id FROM moved WHERE node_id <> $4
                 ON CONFLICT (url_id, page) DO UPDATE SET node_id = excluded.node_id
             )
             SELECT DISTINCT node_id, url_id, merchant_id, order_id FROM moved",
        )
        .bind(found.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(found.iter().map(|(_, url)| *url).collect::<Vec<_>>())
        .bind(found.iter().map(|(_, url)| exclusive(&directory, UrlId(*url))).collect::<Vec<_>>())
        .bind(place.node)
        .bind(spare_page(place))
        .fetch_all(&mut *tx)
        .await?;
        let unannounced = self.will_announce();
        tx.commit().await?;
        let mut changes = Vec::with_capacity(rows.len());
        let mut mine = BTreeSet::new();
        let mut owners = BTreeSet::new();
        for row in &rows {
            let (node, url): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if node == place.node {
                mine.insert(UrlId(url));
            } else {
                owners.insert(node);
            }
            changes.push(Change::Order(MerchantId(row.try_get(2)?), OrderId(row.try_get(3)?)));
        }
        self.feed.announce_due(mine.into_iter().map(|url| (url, Timestamp::default())).collect());
        self.bus.errands(&owners.into_iter().collect::<Vec<_>>());
        unannounced.done();
        self.announce(Commit { changes, ..Commit::default() });
        // There may be more, or others are taking it.
        self.wake_keeper();
        Ok(())
    }

    /// Announces what other nodes stored for this one.
    pub(super) async fn run_errands(&self) -> Result<(), StoreError> {
        let unannounced = self.will_announce();
        let urls: Vec<(i64, i64)> = sqlx::query_as(
            "DELETE FROM errand WHERE (url_id, page) IN
                 (SELECT url_id, page FROM errand WHERE node_id = $1 FOR UPDATE SKIP LOCKED)
             RETURNING url_id, due_at",
        )
        .bind(self.present().node)
        .fetch_all(&self.pool)
        .await?;
        self.feed.announce_due(urls.into_iter().map(|(url, due)| (UrlId(url), Timestamp(due))).collect());
        unannounced.done();
        Ok(())
    }
}

/// The page under which errands outside the lines are left.
const fn spare_page(place: Place) -> i64 {
    place.run * PAGES + PAGES - 1
}

impl PgStore {
    /// Whether a delivery that was announced to this node is still this node's to make. Waits while the node does not know
    /// whether it is still one.
    pub(in crate::server::store) async fn serves(&self, job: &Job) -> bool {
        let mut beat = self.beat.subscribe();
        loop {
            let seen = *beat.borrow_and_update();
            match seen {
                Some(seen) if Instant::now().duration_since(seen) < DOUBT_AFTER => break,
                // The store was closed.
                None => return false,
                Some(_) => {}
            }
            if beat.changed().await.is_err() {
                return false;
            }
        }
        let place = self.present();
        let directory = self.directory.borrow().clone();
        if job.origin != Origin::Debug && exclusive(&directory, job.url_id) && !self.has_lease(job.url_id, place).await {
            return false;
        }
        if job.delivery_id.0 >= self.fence.load(Ordering::SeqCst) {
            return true;
        }
        // From before the node was declared dead: another may have taken it.
        let held = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE id = $1 AND node_id = $2 AND state IN (0, 2))",
        )
        .bind(job.delivery_id.0)
        .bind(place.node)
        .fetch_one(&self.pool)
        .await;
        held.unwrap_or_else(|error| {
            if let Some(others) = UNKNOWN.due("delivery") {
                tracing::warn!(%error, delivery.id = %job.delivery_id, others, "it is not known who serves a delivery; trying again later");
            }
            false
        })
    }
}
