//! Bulk resends on PostgreSQL: each step is a transaction of whichever node has the job's row locked; a node that dies leaves
//! nothing behind but the lock, which goes with it. What is to be done is planned in `store/bulk`.

use super::{
    Core,
    accept::is_exclusive,
    cancel,
    deliveries::{Wish, orders_of},
    jobs::{Work, cancelled_job, next_job},
    rows::{json, text},
    settings::Audit,
};
use crate::domain::{
    attempt::Origin,
    id::{BulkId, DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    pages::{
        bulk::{BulkCount, BulkState, BulkTarget},
        deliveries::DeliveryFilter,
    },
};
use crate::server::store::{
    Actor, BulkOrder, BulkStep, Change, Commit, Job, NewBulk, StoreError,
    bulk::{
        CENSUS, COUNT_LOOK, Census, Known, KnownRow, LOOK, Looked, Pass, Plan, Position, Room, Rules, STEP, Source, WITHDRAW,
    },
    scope::{BULK_ORDERS, Direction, LIST_ORDERS, Scope, id_range},
};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The deliveries that there are of some notifications.
async fn known_of(conn: &mut PgConnection, sources: &[Source]) -> Result<HashMap<i64, Vec<Known>>, StoreError> {
    let ids: Vec<i64> = sources.iter().map(|source| source.notification_id).collect();
    let rows: Vec<KnownRow> = sqlx::query_as(
        "SELECT notification_id, url_id, state, resend_id, finished_at FROM delivery WHERE notification_id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let mut known: HashMap<i64, Vec<Known>> = HashMap::new();
    for (notification, url, state, resend_id, ended_at) in rows {
        let state = super::rows::state(state)?;
        known.entry(notification).or_default().push(Known { url_id: UrlId(url), state, resend_id, ended_at });
    }
    Ok(known)
}

/// Locks the orders of deliveries against retention, and against the step of another job that another node makes at this moment: what
/// either makes the other must see, or both would make it. Gives the notifications that are still there.
async fn lock_orders(conn: &mut PgConnection, sources: &[Source]) -> Result<HashSet<i64>, StoreError> {
    let orders: Vec<i64> = sources.iter().map(|source| source.order_id).collect();
    // In the order in which acceptances lock them.
    sqlx::query("SELECT id FROM orders WHERE id = ANY($1) ORDER BY merchant_id, reference, gateway FOR NO KEY UPDATE")
        .bind(&orders)
        .execute(&mut *conn)
        .await?;
    let ids: Vec<i64> = sources.iter().map(|source| source.notification_id).collect();
    let left: Vec<i64> = sqlx::query_scalar("SELECT id FROM notification WHERE id = ANY($1)").bind(&ids).fetch_all(conn).await?;
    Ok(left.into_iter().collect())
}

/// The next deliveries of a list, the oldest first.
pub(super) async fn look(
    conn: &mut PgConnection,
    wish: Wish<'_>,
    range: (i64, i64),
    most: i64,
    look: i64,
) -> Result<(Looked, i64), StoreError> {
    if Scope::of(wish.filter) == Scope::Orders {
        let sources = wish.sources(conn, range, most).await?;
        let window = (sources.len() as i64, sources.last().map(|last| last.id));
        return Ok((Looked::new(sources, window, most, most), window.0));
    }
    let window = wish.window(conn, range, Direction::OldestFirst, look).await?;
    let until = window.1.map_or(range.0, |last| last + 1);
    let sources = wish.sources(conn, (range.0, until), most).await?;
    Ok((Looked::new(sources, window, most, look), window.0))
}

impl Core {
    /// Keeps the wish to deliver a list again.
    pub(in crate::server::store) async fn add_bulk(&self, merchant_id: MerchantId, new: NewBulk) -> Result<BulkId, StoreError> {
        let mut tx = self.pool.begin().await?;
        let id = BulkId(self.ids.next());
        let filter = new.order.filter.whole();
        let range = id_range(&filter, &self.directory.borrow().zone_of(merchant_id));
        let is_cancel = new.order.target == BulkTarget::Cancel;
        let position = if is_cancel {
            cancel::first(&mut tx, merchant_id, &filter, range.0).await?
        } else {
            Position { after: range.0 - 1, ..Position::default() }
        };
        let behind = json(&position.behind)?;
        let json = json(&filter)?;
        // A double click that reaches two nodes waits here for the first.
        let inserted = sqlx::query(
            "INSERT INTO bulk_job (id, merchant_id, at, actor, request_key, filter, target, expected, ceiling, state, position, swept,
                 behind, made, confirmed, waiting, removed, without_bytes, turn, starts_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $12, $13, 0, 0, 0, 0, 0, 0, $11)
             ON CONFLICT (request_key) DO NOTHING",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .bind(new.at.0)
        .bind(text(&new.actor.name))
        .bind(text(&new.request_key))
        .bind(text(&json))
        .bind(new.order.target.code())
        .bind(new.expected.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
        // What is made from now on is not part of the list.
        .bind(id.0.min(range.1))
        .bind(position.after)
        .bind(new.starts_at.0)
        .bind(position.swept)
        .bind(behind)
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            let known: Option<i64> = sqlx::query_scalar("SELECT id FROM bulk_job WHERE request_key = $1 AND merchant_id = $2")
                .bind(text(&new.request_key))
                .bind(merchant_id.0)
                .fetch_optional(&mut *tx)
                .await?;
            return known.map(BulkId).ok_or(StoreError::NotFound("the bulk resend"));
        }
        let detail = format!("{{\"filter\":{json},\"target\":\"{}\"}}", new.order.target.code());
        let action = if is_cancel { "cancel.start" } else { "bulk.start" };
        let subject = id.to_string();
        self.audit(&mut tx, Audit { actor: &new.actor, merchant_id: Some(merchant_id), action, subject, detail, change: None })
            .await?;
        if is_cancel {
            cancel::mark(&mut tx, merchant_id, id.0).await?;
        }
        tx.commit().await?;
        self.announce(Commit { changes: vec![Change::Orders(merchant_id)], ..Commit::default() });
        Ok(id)
    }

    /// Works a little at a bulk resend whose turn it is, and that no other node works at in this moment.
    pub(in crate::server::store) async fn step_bulk(&self) -> Result<BulkStep, StoreError> {
        let place = self.present();
        let is_any: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM bulk_job WHERE finished_at IS NULL)").fetch_one(&self.pool).await?;
        if !is_any || place.node == 0 {
            return Ok(BulkStep::Idle);
        }
        let mut tx = self.pool.begin().await?;
        // A node that was declared dead meanwhile must not make deliveries that nobody would serve.
        let alive = sqlx::query("SELECT 1 FROM node WHERE id = $1 AND run = $2 AND ended_at IS NULL FOR KEY SHARE")
            .bind(place.node)
            .bind(place.run)
            .execute(&mut *tx)
            .await?;
        if alive.rows_affected() == 0 {
            return Ok(BulkStep::Idle);
        }
        let Some(mut job) = next_job(&mut tx, self.clock.now()).await? else { return Ok(BulkStep::Waiting) };
        // A job that is alone writes nothing while it waits.
        sqlx::query(
            "UPDATE bulk_job SET turn = (SELECT max(turn) + 1 FROM bulk_job WHERE finished_at IS NULL)
             WHERE id = $1 AND EXISTS (SELECT 1 FROM bulk_job AS other WHERE other.finished_at IS NULL AND other.id <> $1)",
        )
        .bind(job.row.id.0)
        .execute(&mut *tx)
        .await?;
        if job.row.state == BulkState::Cancelled {
            self.withdraw(&mut tx, &job).await?;
            tx.commit().await?;
            self.announce_bulk(&job);
            return Ok(BulkStep::Worked);
        }
        if job.row.is_cancel() {
            let step = self.cancel_some(&mut tx, &mut job).await?;
            tx.commit().await?;
            if step == BulkStep::Worked {
                self.announce_bulk(&job);
            }
            return Ok(step);
        }
        let directory = self.directory.borrow().clone();
        let in_use: Vec<UrlId> = directory.urls_of(job.merchant_id).iter().map(|url| url.id).collect();
        let waiting: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT url_id, count(*) FROM delivery
             WHERE resend_id IN (SELECT id FROM bulk_job WHERE finished_at IS NULL) AND state = 0 GROUP BY url_id",
        )
        .fetch_all(&mut *tx)
        .await?;
        let waiting: Vec<_> = waiting.into_iter().map(|(url, count)| (UrlId(url), count.unsigned_abs())).collect();
        let mut room = Room::new(&waiting, &in_use, |url| directory.url(url).is_some_and(|url| url.held));
        let Some(pass) = job.position.next(&room) else {
            let step = self.rest(&mut tx, &job).await?;
            tx.commit().await?;
            if step == BulkStep::Worked {
                self.announce_bulk(&job);
            }
            return Ok(step);
        };
        let mut filter = job.row.filter.clone();
        if let (Pass::Behind { url_id, .. }, BulkTarget::Same) = (pass, job.row.target) {
            filter.url = Some(url_id);
        }
        let (orders, _) = orders_of(&mut tx, job.merchant_id, &filter, BULK_ORDERS).await?;
        let wish = Wish { merchant_id: job.merchant_id, filter: &filter, orders: &orders };
        let range = (pass.after().saturating_add(1), job.position.until(pass, job.ceiling));
        let (mut looked, _) = look(&mut tx, wish, range, STEP, LOOK).await?;
        // Retention looks at what is waited for behind this; what it has removed already is no part of the list any more.
        let left = lock_orders(&mut tx, &looked.sources).await?;
        looked.sources.retain(|source| left.contains(&source.notification_id));
        let known = known_of(&mut tx, &looked.sources).await?;
        let rules = Rules { job_id: Some(job.row.id.0), filter: &job.row.filter, target: job.row.target, in_use: &in_use };
        let plan = job.position.step(pass, &looked, &rules, &mut room, &known);
        let (jobs, left_to_others) = self.make(&mut tx, &job, &plan).await?;
        sqlx::query(
            "UPDATE bulk_job SET position = $2, swept = $3, behind = $4, made = made + $5, confirmed = confirmed + $6,
                 waiting = waiting + $7, removed = removed + $8, without_bytes = without_bytes + $9 WHERE id = $1",
        )
        .bind(job.row.id.0)
        .bind(job.position.after)
        .bind(job.position.swept)
        .bind(json(&job.position.behind)?)
        .bind(plan.make.len() as i64)
        .bind(plan.left_out.confirmed as i64)
        .bind(plan.left_out.waiting as i64)
        .bind(plan.left_out.removed as i64)
        .bind(plan.left_out.without_bytes as i64)
        .execute(&mut *tx)
        .await?;
        let unannounced = self.will_announce();
        tx.commit().await?;
        self.announce(Commit { jobs, changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() });
        unannounced.done();
        if left_to_others {
            self.adopt_now().await;
        }
        Ok(BulkStep::Worked)
    }

    fn announce_bulk(&self, job: &Work) {
        self.announce(Commit { changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() });
    }

    /// Writes the planned deliveries and books them. Gives what this node sends, and whether others have to send something.
    async fn make(&self, conn: &mut PgConnection, job: &Work, plan: &Plan) -> Result<(Vec<Job>, bool), StoreError> {
        let now = self.clock.now();
        let place = self.present();
        let directory = self.directory.borrow().clone();
        let (mut jobs, mut left_to_others) = (Vec::new(), false);
        let mut books: BTreeMap<UrlId, (i64, i64)> = BTreeMap::new();
        let (mut ids, mut notifications, mut urls, mut orders) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut nodes, mut held_ones) = (Vec::new(), Vec::new());
        for (source, url_id) in &plan.make {
            let delivery_id = DeliveryId(self.ids.next());
            let url = directory.url(*url_id);
            let held = url.is_some_and(|url| url.held);
            // What another node must send is taken over by whoever has the lease.
            let mine = url.is_some_and(|url| !is_exclusive(url)) || self.leases().get(url_id) == Some(&place.node);
            ids.push(delivery_id.0);
            notifications.push(source.notification_id);
            urls.push(url_id.0);
            orders.push(source.order_id);
            nodes.push(if mine { place.node } else { 0 });
            held_ones.push(held);
            let book = books.entry(*url_id).or_default();
            if held {
                book.1 += 1
            } else {
                book.0 += 1
            }
            left_to_others |= !mine && !held;
            if mine && !held {
                jobs.push(Job {
                    delivery_id,
                    notification_id: NotificationId(source.notification_id),
                    order_id: OrderId(source.order_id),
                    merchant_id: job.merchant_id,
                    url_id: *url_id,
                    origin: Origin::Bulk,
                    attempts: 0,
                    window_from: None,
                    due_at: now,
                    body: None,
                });
            }
        }
        sqlx::query(
            "INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, resend_id, node_id, state, due_at,
                 created_at)
             SELECT d.id, d.notification_id, d.url_id, d.order_id, $7, $8, $9, d.node_id, CASE WHEN d.held THEN 3 ELSE 0 END,
                 CASE WHEN d.held THEN NULL ELSE $10::bigint END, $10
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[])
                 AS d (id, notification_id, url_id, order_id, node_id, held)",
        )
        .bind(&ids)
        .bind(&notifications)
        .bind(&urls)
        .bind(&orders)
        .bind(&nodes)
        .bind(&held_ones)
        .bind(job.merchant_id.0)
        .bind(Origin::Bulk.code())
        .bind(job.row.id.0)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
        for (url_id, (queued, held)) in books {
            sqlx::query(
                "INSERT INTO url_books (url_id, page, accepted, queued, held) VALUES ($1, 0, $2::bigint + $3::bigint, $2, $3)
                 ON CONFLICT (url_id, page) DO UPDATE SET accepted = url_books.accepted + excluded.accepted,
                     queued = url_books.queued + excluded.queued, held = url_books.held + excluded.held",
            )
            .bind(url_id.0)
            .bind(queued)
            .bind(held)
            .execute(&mut *conn)
            .await?;
        }
        Ok((jobs, left_to_others))
    }

    /// Nothing can be made: all is, or URLs take no more. What was made is waited for, so that it can still be taken back.
    async fn rest(&self, conn: &mut PgConnection, job: &Work) -> Result<BulkStep, StoreError> {
        let is_sent = job.position.is_done() && {
            let waits = "SELECT EXISTS (SELECT 1 FROM delivery WHERE resend_id = $1 AND state IN (0, 3) AND attempts = 0)";
            !sqlx::query_scalar::<_, bool>(waits).bind(job.row.id.0).fetch_one(&mut *conn).await?
        };
        if !is_sent {
            return Ok(BulkStep::Waiting);
        }
        sqlx::query("UPDATE bulk_job SET state = 1, finished_at = $2 WHERE id = $1")
            .bind(job.row.id.0)
            .bind(self.clock.now().0)
            .execute(conn)
            .await?;
        Ok(BulkStep::Worked)
    }

    /// Cancels the next deliveries of a cancelled bulk resend that were not sent.
    async fn withdraw(&self, conn: &mut PgConnection, job: &Work) -> Result<(), StoreError> {
        let now = self.clock.now().0;
        // By URL: queued, held.
        let mut books: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for state in [0_i64, 3] {
            let urls: Vec<i64> = sqlx::query_scalar(
                "UPDATE delivery SET state = 6, due_at = NULL, finished_at = $3
                 WHERE id IN (SELECT id FROM delivery
                     WHERE id IN (SELECT id FROM delivery WHERE resend_id = $1 AND state = $4 AND attempts = 0 LIMIT $2)
                     AND state = $4 AND attempts = 0 ORDER BY id FOR UPDATE)
                 RETURNING url_id",
            )
            .bind(job.row.id.0)
            .bind(WITHDRAW)
            .bind(now)
            .bind(state)
            .fetch_all(&mut *conn)
            .await?;
            for url in urls {
                let book = books.entry(url).or_default();
                if state == 0 { book.0 += 1 } else { book.1 += 1 }
            }
        }
        for (url, (queued, held)) in books {
            sqlx::query(
                "UPDATE url_books SET queued = queued - $2, held = held - $3, cancelled = cancelled + $2 + $3
                 WHERE url_id = $1 AND page = 0",
            )
            .bind(url)
            .bind(queued)
            .bind(held)
            .execute(&mut *conn)
            .await?;
        }
        // Not by how many were cancelled: of those that were looked up some may have been tried meanwhile.
        let waits = "SELECT EXISTS (SELECT 1 FROM delivery WHERE resend_id = $1 AND state IN (0, 3) AND attempts = 0)";
        if !sqlx::query_scalar::<_, bool>(waits).bind(job.row.id.0).fetch_one(&mut *conn).await? {
            let end = sqlx::query("UPDATE bulk_job SET finished_at = $2 WHERE id = $1");
            end.bind(job.row.id.0).bind(now).execute(&mut *conn).await?;
            cancel::mark(conn, job.merchant_id, self.ids.next()).await?;
        }
        Ok(())
    }

    /// Ends a bulk resend: what was not made is not, what was not sent is cancelled.
    pub(in crate::server::store) async fn cancel_bulk(
        &self,
        merchant_id: MerchantId,
        id: BulkId,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        // Waits for a step that is being made.
        let found: Option<(i64, String)> =
            sqlx::query_as("SELECT state, target FROM bulk_job WHERE id = $1 AND merchant_id = $2 FOR UPDATE")
                .bind(id.0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *tx)
                .await?;
        let (state, target) = found.ok_or(StoreError::NotFound("the bulk resend"))?;
        let runs = BulkState::from_code(state) == Some(BulkState::Running);
        if runs {
            sqlx::query("UPDATE bulk_job SET state = 2 WHERE id = $1").bind(id.0).execute(&mut *tx).await?;
            let is_cancel = target == BulkTarget::Cancel.code();
            let action = if is_cancel { "cancel.stop" } else { "bulk.cancel" };
            let subject = id.to_string();
            let entry =
                Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail: String::new(), change: None };
            self.audit(&mut tx, entry).await?;
            tx.commit().await?;
        } else {
            // The row is looked at again on another connection.
            tx.rollback().await?;
        }
        // A node that dies meanwhile leaves the rest to the others.
        while self.withdraw_of(id).await? {}
        self.announce(Commit { changes: vec![Change::Orders(merchant_id)], ..Commit::default() });
        Ok(runs)
    }

    /// Cancels some of a cancelled bulk resend; gives whether there is more.
    async fn withdraw_of(&self, id: BulkId) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let Some(job) = cancelled_job(&mut tx, id).await? else { return Ok(false) };
        self.withdraw(&mut tx, &job).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Counts what a bulk resend would make.
    pub(in crate::server::store) async fn count_bulk(
        &self,
        merchant_id: MerchantId,
        order: &BulkOrder,
    ) -> Result<BulkCount, StoreError> {
        let filter: &DeliveryFilter = &order.filter.whole();
        if order.target == BulkTarget::Cancel {
            let range = id_range(filter, &self.directory.borrow().zone_of(merchant_id));
            return self.count_cancel(merchant_id, filter, range).await;
        }
        let directory = self.directory.borrow().clone();
        let in_use: Vec<UrlId> = directory.urls_of(merchant_id).iter().map(|url| url.id).collect();
        let mut conn = self.pool.acquire().await?;
        let (orders, truncated) = orders_of(&mut conn, merchant_id, filter, LIST_ORDERS).await?;
        let wish = Wish { merchant_id, filter, orders: &orders };
        let (from, until) = id_range(filter, &self.directory.borrow().zone_of(merchant_id));
        let mut census = Census::new();
        while let Some(after) = census.next() {
            let range = (from.max(after.saturating_add(1)), until);
            let (looked, window) = look(&mut conn, wish, range, CENSUS, COUNT_LOOK).await?;
            let known = known_of(&mut conn, &looked.sources).await?;
            census.add(&looked, window, &Rules::of(order, &in_use), &known);
        }
        Ok(BulkCount { truncated, ..census.end() })
    }
}
