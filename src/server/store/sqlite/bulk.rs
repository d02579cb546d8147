//! Bulk resends on SQLite: each step and each cancelling is a change of its own, so that acceptances have their turn between
//! two of them. What is to be done is planned in `store/bulk`.

use super::{
    SqliteStore, cancel,
    deliveries::{Wish, orders_of},
    jobs::{Work, cancelled_job, next_job},
    rows::json,
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
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, HashMap};

/// The deliveries that there are of some notifications.
async fn known_of(conn: &mut SqliteConnection, sources: &[Source]) -> Result<HashMap<i64, Vec<Known>>, StoreError> {
    let ids: Vec<i64> = sources.iter().map(|source| source.notification_id).collect();
    let rows: Vec<KnownRow> = sqlx::query_as(
        "SELECT notification_id, url_id, state, resend_id, finished_at FROM delivery WHERE notification_id IN (SELECT value FROM json_each(?))",
    )
    .bind(json(&ids)?)
    .fetch_all(conn)
    .await?;
    let mut known: HashMap<i64, Vec<Known>> = HashMap::new();
    for (notification, url, state, resend_id, ended_at) in rows {
        let state = super::rows::state(state)?;
        known.entry(notification).or_default().push(Known { url_id: UrlId(url), state, resend_id, ended_at });
    }
    Ok(known)
}

/// The next deliveries of a list, the oldest first.
pub(super) async fn look(
    conn: &mut SqliteConnection,
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

impl SqliteStore {
    /// Keeps the wish to deliver a list again.
    pub(in crate::server::store) async fn add_bulk(&self, merchant_id: MerchantId, new: NewBulk) -> Result<BulkId, StoreError> {
        let store = self.clone();
        self.change(move |conn| Box::pin(async move { store.write_bulk(conn, merchant_id, new).await })).await
    }

    async fn write_bulk(
        &self,
        conn: &mut SqliteConnection,
        merchant_id: MerchantId,
        new: NewBulk,
    ) -> Result<(BulkId, Commit), StoreError> {
        let known: Option<(i64, i64)> = sqlx::query_as("SELECT id, merchant_id FROM bulk_job WHERE request_key = ?")
            .bind(&new.request_key)
            .fetch_optional(&mut *conn)
            .await?;
        match known {
            Some((id, merchant)) if merchant == merchant_id.0 => return Ok((BulkId(id), Commit::default())),
            Some(_) => return Err(StoreError::NotFound("the bulk resend")),
            None => {}
        }
        let id = BulkId(self.0.ids.next());
        let filter = new.order.filter.whole();
        let range = id_range(&filter, &self.settings().zone_of(merchant_id));
        let text = json(&filter)?;
        let is_cancel = new.order.target == BulkTarget::Cancel;
        let position = if is_cancel {
            cancel::mark(conn, merchant_id, id.0).await?;
            cancel::first(conn, merchant_id, &filter, range.0).await?
        } else {
            Position { after: range.0 - 1, ..Position::default() }
        };
        sqlx::query(
            "INSERT INTO bulk_job (id, merchant_id, at, actor, request_key, filter, target, expected, ceiling, state, position, swept,
                 behind, made, confirmed, waiting, removed, without_bytes, turn, starts_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?12, ?13, 0, 0, 0, 0, 0, 0, ?11)",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .bind(new.at.0)
        .bind(&new.actor.name)
        .bind(&new.request_key)
        .bind(&text)
        .bind(new.order.target.code())
        .bind(new.expected.map(|count| i64::try_from(count).unwrap_or(i64::MAX)))
        // What is made from now on is not part of the list.
        .bind(id.0.min(range.1))
        .bind(position.after)
        .bind(new.starts_at.0)
        .bind(position.swept)
        .bind(json(&position.behind)?)
        .execute(&mut *conn)
        .await?;
        let detail = format!("{{\"filter\":{text},\"target\":\"{}\"}}", new.order.target.code());
        let action = if is_cancel { "cancel.start" } else { "bulk.start" };
        let subject = id.to_string();
        self.audit(conn, Audit { actor: &new.actor, merchant_id: Some(merchant_id), action, subject, detail, change: None })
            .await?;
        Ok((id, Commit { changes: vec![Change::Orders(merchant_id)], ..Commit::default() }))
    }

    /// Works a little at the bulk resend whose turn it is.
    pub(in crate::server::store) async fn step_bulk(&self) -> Result<BulkStep, StoreError> {
        let is_any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM bulk_job WHERE finished_at IS NULL)")
            .fetch_one(&self.0.readers)
            .await?;
        if !is_any || self.0.node.is_none() {
            return Ok(BulkStep::Idle);
        }
        let store = self.clone();
        self.change(move |conn| Box::pin(async move { store.write_step(conn).await })).await
    }

    async fn write_step(&self, conn: &mut SqliteConnection) -> Result<(BulkStep, Commit), StoreError> {
        let Some(mut job) = next_job(conn, self.0.clock.now()).await? else { return Ok((BulkStep::Idle, Commit::default())) };
        // A job that is alone writes nothing while it waits.
        sqlx::query(
            "UPDATE bulk_job SET turn = (SELECT max(turn) + 1 FROM bulk_job WHERE finished_at IS NULL)
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM bulk_job AS other WHERE other.finished_at IS NULL AND other.id <> ?1)",
        )
        .bind(job.row.id.0)
        .execute(&mut *conn)
        .await?;
        if job.row.state == BulkState::Cancelled {
            return self.withdraw(conn, &job).await;
        }
        if job.row.is_cancel() {
            return self.cancel_some(conn, job).await;
        }
        let directory = self.0.directory.borrow().clone();
        let in_use: Vec<UrlId> = directory.urls_of(job.merchant_id).iter().map(|url| url.id).collect();
        let waiting: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT url_id, count(*) FROM delivery
             WHERE resend_id IN (SELECT id FROM bulk_job WHERE finished_at IS NULL) AND state = 0 GROUP BY url_id",
        )
        .fetch_all(&mut *conn)
        .await?;
        let waiting: Vec<_> = waiting.into_iter().map(|(url, count)| (UrlId(url), count.unsigned_abs())).collect();
        let mut room = Room::new(&waiting, &in_use, |url| directory.url(url).is_some_and(|url| url.held));
        let Some(pass) = job.position.next(&room) else {
            return self.rest(conn, &job).await;
        };
        let mut filter = job.row.filter.clone();
        if let (Pass::Behind { url_id, .. }, BulkTarget::Same) = (pass, job.row.target) {
            filter.url = Some(url_id);
        }
        let (orders, _) = orders_of(conn, job.merchant_id, &filter, BULK_ORDERS).await?;
        let wish = Wish { merchant_id: job.merchant_id, filter: &filter, orders: &orders };
        let range = (pass.after().saturating_add(1), job.position.until(pass, job.ceiling));
        let (looked, _) = look(conn, wish, range, STEP, LOOK).await?;
        let known = known_of(conn, &looked.sources).await?;
        let rules = Rules { job_id: Some(job.row.id.0), filter: &job.row.filter, target: job.row.target, in_use: &in_use };
        let plan = job.position.step(pass, &looked, &rules, &mut room, &known);
        let commit = self.make(conn, &job, &plan).await?;
        sqlx::query(
            "UPDATE bulk_job SET position = ?2, swept = ?3, behind = ?4, made = made + ?5, confirmed = confirmed + ?6,
                 waiting = waiting + ?7, removed = removed + ?8, without_bytes = without_bytes + ?9 WHERE id = ?1",
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
        .execute(conn)
        .await?;
        Ok((BulkStep::Worked, commit))
    }

    /// Writes the planned deliveries and books them.
    async fn make(&self, conn: &mut SqliteConnection, job: &Work, plan: &Plan) -> Result<Commit, StoreError> {
        let now = self.0.clock.now();
        let directory = self.0.directory.borrow().clone();
        let mut commit = Commit { changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() };
        let mut rows = Vec::with_capacity(plan.make.len());
        let mut books: BTreeMap<UrlId, (i64, i64)> = BTreeMap::new();
        for (source, url_id) in &plan.make {
            let delivery_id = DeliveryId(self.0.ids.next());
            let held = directory.url(*url_id).is_some_and(|url| url.held);
            rows.push((delivery_id.0, source.notification_id, url_id.0, source.order_id, held));
            let book = books.entry(*url_id).or_default();
            if held {
                book.1 += 1
            } else {
                book.0 += 1
            }
            if !held {
                commit.jobs.push(Job {
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
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?2, ?3, ?4, ?5, CASE WHEN value ->> 4 THEN 3 ELSE 0 END,
                 CASE WHEN value ->> 4 THEN NULL ELSE ?6 END, ?6
             FROM json_each(?1)",
        )
        .bind(json(&rows)?)
        .bind(job.merchant_id.0)
        .bind(Origin::Bulk.code())
        .bind(job.row.id.0)
        .bind(self.0.node)
        .bind(now.0)
        .execute(&mut *conn)
        .await?;
        for (url_id, (queued, held)) in books {
            sqlx::query(
                "INSERT INTO url_books (url_id, accepted, queued, held) VALUES (?1, ?2 + ?3, ?2, ?3)
                 ON CONFLICT (url_id) DO UPDATE SET accepted = accepted + excluded.accepted,
                     queued = queued + excluded.queued, held = held + excluded.held",
            )
            .bind(url_id.0)
            .bind(queued)
            .bind(held)
            .execute(&mut *conn)
            .await?;
        }
        Ok(commit)
    }

    /// Nothing can be made: all is, or URLs take no more. What was made is waited for, so that it can still be taken back.
    async fn rest(&self, conn: &mut SqliteConnection, job: &Work) -> Result<(BulkStep, Commit), StoreError> {
        let is_sent = job.position.is_done() && {
            let waits = "SELECT EXISTS (SELECT 1 FROM delivery WHERE resend_id = ? AND state IN (0, 3) AND attempts = 0)";
            !sqlx::query_scalar::<_, bool>(waits).bind(job.row.id.0).fetch_one(&mut *conn).await?
        };
        if !is_sent {
            return Ok((BulkStep::Waiting, Commit::default()));
        }
        sqlx::query("UPDATE bulk_job SET state = 1, finished_at = ?2 WHERE id = ?1")
            .bind(job.row.id.0)
            .bind(self.0.clock.now().0)
            .execute(conn)
            .await?;
        Ok((BulkStep::Worked, Commit { changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() }))
    }

    /// Cancels the next deliveries of a cancelled bulk resend that were not sent.
    async fn withdraw(&self, conn: &mut SqliteConnection, job: &Work) -> Result<(BulkStep, Commit), StoreError> {
        let now = self.0.clock.now().0;
        let mut moved = 0;
        for (state, rows, books) in [
            (
                0,
                "UPDATE delivery SET state = 6, due_at = NULL, finished_at = ?3
                 WHERE id IN (SELECT id FROM delivery WHERE resend_id = ?1 AND state = ?4 AND attempts = 0 LIMIT ?2)
                 RETURNING url_id",
                "UPDATE url_books SET queued = queued - ?2, cancelled = cancelled + ?2 WHERE url_id = ?1",
            ),
            (
                3,
                "UPDATE delivery SET state = 6, due_at = NULL, finished_at = ?3
                 WHERE id IN (SELECT id FROM delivery WHERE resend_id = ?1 AND state = ?4 AND attempts = 0 LIMIT ?2)
                 RETURNING url_id",
                "UPDATE url_books SET held = held - ?2, cancelled = cancelled + ?2 WHERE url_id = ?1",
            ),
        ] {
            let urls: Vec<i64> =
                sqlx::query_scalar(rows).bind(job.row.id.0).bind(WITHDRAW).bind(now).bind(state).fetch_all(&mut *conn).await?;
            moved += urls.len() as i64;
            let mut by_url: BTreeMap<i64, i64> = BTreeMap::new();
            for url in urls {
                *by_url.entry(url).or_default() += 1;
            }
            for (url, count) in by_url {
                sqlx::query(books).bind(url).bind(count).execute(&mut *conn).await?;
            }
        }
        if moved < WITHDRAW {
            let end = sqlx::query("UPDATE bulk_job SET finished_at = ?2 WHERE id = ?1");
            end.bind(job.row.id.0).bind(now).execute(&mut *conn).await?;
            cancel::mark(conn, job.merchant_id, self.0.ids.next()).await?;
        }
        Ok((BulkStep::Worked, Commit { changes: vec![Change::Orders(job.merchant_id)], ..Commit::default() }))
    }

    /// Ends a bulk resend: what was not made is not, what was not sent is cancelled.
    pub(in crate::server::store) async fn cancel_bulk(
        &self,
        merchant_id: MerchantId,
        id: BulkId,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let store = self.clone();
        let cancelled = self
            .change(move |conn| {
                Box::pin(async move {
                    let found: Option<(i64, String)> =
                        sqlx::query_as("SELECT state, target FROM bulk_job WHERE id = ? AND merchant_id = ?")
                            .bind(id.0)
                            .bind(merchant_id.0)
                            .fetch_optional(&mut *conn)
                            .await?;
                    let (state, target) = found.ok_or(StoreError::NotFound("the bulk resend"))?;
                    if BulkState::from_code(state) != Some(BulkState::Running) {
                        return Ok((false, Commit::default()));
                    }
                    sqlx::query("UPDATE bulk_job SET state = 2 WHERE id = ?").bind(id.0).execute(&mut *conn).await?;
                    let is_cancel = target == BulkTarget::Cancel.code();
                    let action = if is_cancel { "cancel.stop" } else { "bulk.cancel" };
                    let subject = id.to_string();
                    let entry = Audit {
                        actor: &actor,
                        merchant_id: Some(merchant_id),
                        action,
                        subject,
                        detail: String::new(),
                        change: None,
                    };
                    store.audit(conn, entry).await?;
                    Ok((true, Commit { changes: vec![Change::Orders(merchant_id)], ..Commit::default() }))
                })
            })
            .await?;
        // A server that ends meanwhile, or that none runs, leaves the rest to the next.
        while self.withdraw_of(id).await? {}
        Ok(cancelled)
    }

    /// Cancels some of a cancelled bulk resend; gives whether there is more.
    async fn withdraw_of(&self, id: BulkId) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let Some(job) = cancelled_job(conn, id).await? else { return Ok((false, Commit::default())) };
                let (_, commit) = store.withdraw(conn, &job).await?;
                Ok((true, commit))
            })
        })
        .await
    }

    /// Counts what a bulk resend would make.
    pub(in crate::server::store) async fn count_bulk(
        &self,
        merchant_id: MerchantId,
        order: &BulkOrder,
    ) -> Result<BulkCount, StoreError> {
        let filter: &DeliveryFilter = &order.filter.whole();
        if order.target == BulkTarget::Cancel {
            return self.count_cancel(merchant_id, filter, id_range(filter, &self.settings().zone_of(merchant_id))).await;
        }
        let directory = self.0.directory.borrow().clone();
        let in_use: Vec<UrlId> = directory.urls_of(merchant_id).iter().map(|url| url.id).collect();
        let mut conn = self.0.readers.acquire().await?;
        let (orders, truncated) = orders_of(&mut conn, merchant_id, filter, LIST_ORDERS).await?;
        let wish = Wish { merchant_id, filter, orders: &orders };
        let (from, until) = id_range(filter, &self.settings().zone_of(merchant_id));
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
