//! Deliveries of a merchant that fit a filter: for the list, for counts, and for bulk resends.
//!
//! Each statement is bound to the index that serves its scope, and to a part of it, so that none looks at more rows than it may.

use super::{SqliteStore, rows::json};
use crate::domain::{
    id::{DeliveryId, MerchantId, UrlId},
    pages::{
        deliveries::{Counted, DeliveryFilter, StateFilter},
        via::Via,
    },
};
use crate::server::store::{
    FoundDeliveries, StoreError,
    bulk::Source,
    scope::{COUNT_LOOK, COUNT_MOST, Direction, LIST_LOOK, LIST_ORDERS, Scope, Turn, end_of_external, id_range},
};
use sqlx::{
    Row as _, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

macro_rules! source {
    () => {
        "SELECT d.id, d.notification_id, d.order_id, d.url_id, EXISTS (SELECT 1 FROM segment WHERE segment.id = n.segment_id)
         FROM "
    };
}

macro_rules! counted {
    () => {
        "SELECT count(*) FROM (SELECT 1 FROM "
    };
}

/// The part of a scope that is looked at: SQLite makes its rows one by one, in the order of the index, as long as more is wanted.
macro_rules! part {
    () => {
        "(SELECT * FROM delivery AS part INDEXED BY "
    };
}

macro_rules! within {
    () => {
        " WHERE part.merchant_id = ?1 AND part.id >= ?2 AND part.id < ?3 "
    };
}

// The notification is looked up for each delivery, never the other way round.
macro_rules! fits {
    () => {
        " CROSS JOIN notification AS n ON n.id = d.notification_id
         WHERE d.merchant_id = ?1 AND d.id >= ?2 AND d.id < ?3 AND (?4 IS NULL OR d.url_id = ?4) AND (?5 IS NULL OR d.state = ?5)
             AND (?6 = 0 OR d.state = 5 OR d.origin = 2) AND (?7 IS NULL OR d.last_cause = ?7)
             AND (?8 IS NULL OR d.finished_at >= ?8) AND (?9 IS NULL OR n.test = ?9) AND ?11 IS NOT NULL
             AND (?12 IS NULL OR n.listener_id = ?12)
             AND (?13 IS NULL OR n.listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?13)) "
    };
}

/// The same of a filter that asks nothing about messages.
macro_rules! fits_by_itself {
    () => {
        " WHERE d.merchant_id = ?1 AND d.id >= ?2 AND d.id < ?3 AND (?4 IS NULL OR d.url_id = ?4) AND (?5 IS NULL OR d.state = ?5)
             AND (?6 = 0 OR d.state = 5 OR d.origin = 2) AND (?7 IS NULL OR d.last_cause = ?7)
             AND (?8 IS NULL OR d.finished_at >= ?8) AND ?9 IS NULL AND ?11 IS NOT NULL AND ?12 IS NULL AND ?13 IS NULL "
    };
}

macro_rules! of_orders {
    () => {
        " AND d.notification_id IN
             (SELECT id FROM notification WHERE order_id IN (SELECT value FROM json_each(?11))) "
    };
}

/// Deliveries of a part that was measured before, the oldest first.
const fn sources_query(scope: Scope) -> &'static str {
    match scope {
        Scope::All => concat!(source!(), "delivery AS d INDEXED BY delivery_newest", fits!(), "ORDER BY d.id LIMIT ?10"),
        Scope::Delayed => concat!(
            source!(),
            "delivery AS d INDEXED BY delivery_delayed",
            fits!(),
            "AND d.state IN (2, 3) AND d.state = ?5 ORDER BY d.id LIMIT ?10"
        ),
        Scope::Failed => concat!(
            source!(),
            "delivery AS d INDEXED BY delivery_failed",
            fits!(),
            "AND d.state IN (5, 6) ORDER BY d.id LIMIT ?10"
        ),
        Scope::Orders => concat!(
            source!(),
            "delivery AS d INDEXED BY delivery_of_notification",
            fits!(),
            of_orders!(),
            "ORDER BY d.id LIMIT ?10"
        ),
    }
}

/// Deliveries for a page, of a part that is not measured before, because its first rows fill most pages. Orders are few.
const fn page_query(scope: Scope, direction: Direction) -> &'static str {
    match (scope, direction) {
        (Scope::All, Direction::NewestFirst) => concat!(
            source!(),
            part!(),
            "delivery_newest",
            within!(),
            "ORDER BY part.id DESC LIMIT ?14) AS d",
            fits!(),
            "ORDER BY d.id DESC LIMIT ?10"
        ),
        (Scope::All, Direction::OldestFirst) => {
            concat!(
                source!(),
                part!(),
                "delivery_newest",
                within!(),
                "ORDER BY part.id LIMIT ?14) AS d",
                fits!(),
                "ORDER BY d.id LIMIT ?10"
            )
        }
        (Scope::Delayed, Direction::NewestFirst) => concat!(
            source!(),
            part!(),
            "delivery_delayed",
            within!(),
            "AND part.state IN (2, 3) AND part.state = ?5 ORDER BY part.id DESC LIMIT ?14) AS d",
            fits!(),
            "ORDER BY d.id DESC LIMIT ?10"
        ),
        (Scope::Delayed, Direction::OldestFirst) => concat!(
            source!(),
            part!(),
            "delivery_delayed",
            within!(),
            "AND part.state IN (2, 3) AND part.state = ?5 ORDER BY part.id LIMIT ?14) AS d",
            fits!(),
            "ORDER BY d.id LIMIT ?10"
        ),
        (Scope::Failed, Direction::NewestFirst) => concat!(
            source!(),
            part!(),
            "delivery_failed",
            within!(),
            "AND part.state IN (5, 6) ORDER BY part.id DESC LIMIT ?14) AS d",
            fits!(),
            "ORDER BY d.id DESC LIMIT ?10"
        ),
        (Scope::Failed, Direction::OldestFirst) => concat!(
            source!(),
            part!(),
            "delivery_failed",
            within!(),
            "AND part.state IN (5, 6) ORDER BY part.id LIMIT ?14) AS d",
            fits!(),
            "ORDER BY d.id LIMIT ?10"
        ),
        (Scope::Orders, Direction::NewestFirst) => concat!(
            source!(),
            "delivery AS d INDEXED BY delivery_of_notification",
            fits!(),
            of_orders!(),
            "AND ?14 IS NOT NULL ORDER BY d.id DESC LIMIT ?10"
        ),
        (Scope::Orders, Direction::OldestFirst) => concat!(
            source!(),
            "delivery AS d INDEXED BY delivery_of_notification",
            fits!(),
            of_orders!(),
            "AND ?14 IS NOT NULL ORDER BY d.id LIMIT ?10"
        ),
    }
}

/// How many fit, of a part that is not measured before. `by_message`: the filter asks about messages, too.
const fn count_query(scope: Scope, by_message: bool) -> &'static str {
    match (scope, by_message) {
        (Scope::All, false) => concat!(
            counted!(),
            part!(),
            "delivery_newest",
            within!(),
            "ORDER BY part.id DESC LIMIT ?14) AS d",
            fits_by_itself!(),
            "LIMIT ?10)"
        ),
        (Scope::All, true) => {
            concat!(
                counted!(),
                part!(),
                "delivery_newest",
                within!(),
                "ORDER BY part.id DESC LIMIT ?14) AS d",
                fits!(),
                "LIMIT ?10)"
            )
        }
        (Scope::Delayed, _) => concat!(
            counted!(),
            part!(),
            "delivery_delayed",
            within!(),
            "AND part.state IN (2, 3) AND part.state = ?5 ORDER BY part.id DESC LIMIT ?14) AS d",
            fits!(),
            "LIMIT ?10)"
        ),
        (Scope::Failed, _) => concat!(
            counted!(),
            part!(),
            "delivery_failed",
            within!(),
            "AND part.state IN (5, 6) ORDER BY part.id DESC LIMIT ?14) AS d",
            fits!(),
            "LIMIT ?10)"
        ),
        (Scope::Orders, _) => concat!(
            counted!(),
            "delivery AS d INDEXED BY delivery_of_notification",
            fits!(),
            of_orders!(),
            "AND ?14 IS NOT NULL LIMIT ?10)"
        ),
    }
}

const fn window_query(scope: Scope, direction: Direction) -> &'static str {
    match (scope, direction) {
        (Scope::Delayed, Direction::NewestFirst) => {
            "SELECT count(*), min(id) FROM (SELECT id FROM delivery INDEXED BY delivery_delayed
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND state IN (2, 3) AND state = ?5 ORDER BY id DESC LIMIT ?4)"
        }
        (Scope::Delayed, Direction::OldestFirst) => {
            "SELECT count(*), max(id) FROM (SELECT id FROM delivery INDEXED BY delivery_delayed
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND state IN (2, 3) AND state = ?5 ORDER BY id LIMIT ?4)"
        }
        (Scope::Failed, Direction::NewestFirst) => {
            "SELECT count(*), min(id) FROM (SELECT id FROM delivery INDEXED BY delivery_failed
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND state IN (5, 6) AND ?5 IS ?5 ORDER BY id DESC LIMIT ?4)"
        }
        (Scope::Failed, Direction::OldestFirst) => {
            "SELECT count(*), max(id) FROM (SELECT id FROM delivery INDEXED BY delivery_failed
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND state IN (5, 6) AND ?5 IS ?5 ORDER BY id LIMIT ?4)"
        }
        (Scope::All | Scope::Orders, Direction::NewestFirst) => {
            "SELECT count(*), min(id) FROM (SELECT id FROM delivery INDEXED BY delivery_newest
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND ?5 IS ?5 ORDER BY id DESC LIMIT ?4)"
        }
        (Scope::All | Scope::Orders, Direction::OldestFirst) => {
            "SELECT count(*), max(id) FROM (SELECT id FROM delivery INDEXED BY delivery_newest
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND ?5 IS ?5 ORDER BY id LIMIT ?4)"
        }
    }
}

/// What is read for: a merchant's deliveries that fit a filter.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub merchant_id: MerchantId,
    pub filter: &'a DeliveryFilter,
    /// Orders that the filter's text fits, as JSON.
    pub orders: &'a str,
}

impl Wish<'_> {
    fn scope(&self) -> Scope {
        Scope::of(self.filter)
    }

    fn state(&self) -> Option<i64> {
        self.filter.state.and_then(StateFilter::state).map(|state| state.code())
    }

    /// How many rows lie in the next part of the scope, and the last of them. Orders are few, and looked at whole.
    pub async fn window(
        &self,
        conn: &mut SqliteConnection,
        (from, until): (i64, i64),
        direction: Direction,
        most: i64,
    ) -> Result<(i64, Option<i64>), StoreError> {
        let query = sqlx::query_as(window_query(self.scope(), direction)).bind(self.merchant_id.0);
        Ok(query.bind(from).bind(until).bind(most).bind(self.state()).fetch_one(conn).await?)
    }

    /// The oldest deliveries that fit, with ids from one to before another.
    pub async fn sources(&self, conn: &mut SqliteConnection, range: (i64, i64), limit: i64) -> Result<Vec<Source>, StoreError> {
        let rows = self.bound(sources_query(self.scope()), range, limit).fetch_all(conn).await?;
        rows.iter().map(source).collect()
    }

    /// Deliveries that fit, among so many rows.
    async fn page(
        &self,
        conn: &mut SqliteConnection,
        range: (i64, i64),
        direction: Direction,
        limit: i64,
        look: i64,
    ) -> Result<Vec<Source>, StoreError> {
        let query = self.bound(page_query(self.scope(), direction), range, limit);
        query.bind(look).fetch_all(conn).await?.iter().map(source).collect()
    }

    async fn count(&self, conn: &mut SqliteConnection, range: (i64, i64), limit: i64) -> Result<i64, StoreError> {
        let by_message = self.filter.test.is_some() || self.filter.via.is_some();
        let query = self.bound(count_query(self.scope(), by_message), range, limit);
        Ok(query.bind(COUNT_LOOK).fetch_one(conn).await?.try_get(0)?)
    }

    fn bound(&self, query: &'static str, (from, until): (i64, i64), limit: i64) -> Query<'static, Sqlite, SqliteArguments> {
        sqlx::query(query)
            .bind(self.merchant_id.0)
            .bind(from)
            .bind(until)
            .bind(self.filter.url.map(|url| url.0))
            .bind(self.state())
            .bind(self.filter.state == Some(StateFilter::Failed))
            .bind(self.filter.cause.map(|cause| cause.code()))
            .bind(self.filter.since.map(|since| since.0))
            .bind(self.filter.test)
            .bind(limit)
            .bind(self.orders.to_owned())
            .bind(self.filter.via.and_then(Via::listener).map(|id| id.0))
            .bind(self.filter.via.and_then(Via::gateway).map(|gateway| gateway.to_string()))
    }
}

fn source(row: &SqliteRow) -> Result<Source, StoreError> {
    Ok(Source {
        id: row.try_get(0)?,
        notification_id: row.try_get(1)?,
        order_id: row.try_get(2)?,
        url_id: UrlId(row.try_get(3)?),
        has_bytes: row.try_get(4)?,
    })
}

/// Orders that a filter's text fits, as JSON, and whether there are more. Nothing where there is no text.
pub(super) async fn orders_of(
    conn: &mut SqliteConnection,
    merchant_id: MerchantId,
    filter: &DeliveryFilter,
    most: i64,
) -> Result<(String, bool), StoreError> {
    let text = filter.text.trim();
    if text.is_empty() {
        return Ok(("[]".to_owned(), false));
    }
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT * FROM (SELECT id FROM orders WHERE merchant_id = ?1 AND reference >= ?2 AND reference < ?3
             ORDER BY reference LIMIT ?4)
         UNION SELECT * FROM (SELECT id FROM orders WHERE merchant_id = ?1 AND external <> '' AND external >= ?2 AND external < ?5
             ORDER BY external LIMIT ?4)",
    )
    .bind(merchant_id.0)
    .bind(text)
    .bind(format!("{text}\u{10ffff}"))
    .bind(most)
    .bind(end_of_external(text, filter.masked))
    .fetch_all(conn)
    .await?;
    Ok((json(&found)?, found.len() as i64 >= most))
}

impl SqliteStore {
    /// Deliveries of a merchant that fit a filter, the newest first, at most so many.
    pub(in crate::server::store) async fn find_deliveries(
        &self,
        merchant_id: MerchantId,
        filter: &DeliveryFilter,
        most: u32,
    ) -> Result<FoundDeliveries, StoreError> {
        let zone = self.settings().zone_of(merchant_id);
        let mut conn = self.0.readers.acquire().await?;
        let (orders, truncated) = orders_of(&mut conn, merchant_id, filter, LIST_ORDERS).await?;
        let wish = Wish { merchant_id, filter, orders: &orders };
        let direction = if filter.before.is_some() { Direction::OldestFirst } else { Direction::NewestFirst };
        let (range, wanted) = (id_range(filter, &zone), i64::from(most) + 1);
        let mut rest = None;
        let mut found = wish.page(&mut conn, range, direction, wanted, LIST_LOOK).await?;
        if wish.scope() != Scope::Orders && found.len() <= most as usize {
            // Where the page is not full it is told how far it was looked, which is read again: rows move meanwhile.
            let window = wish.window(&mut conn, range, direction, LIST_LOOK).await?;
            rest = window.1.filter(|_| window.0 == LIST_LOOK);
            if let Some(last) = rest {
                found = wish.page(&mut conn, direction.up_to(last, range), direction, wanted, 2 * LIST_LOOK).await?;
            }
        }
        drop(conn);
        let is_full = found.len() > most as usize;
        let mut ids: Vec<i64> = found.iter().take(most as usize).map(|source| source.id).collect();
        if direction == Direction::OldestFirst {
            ids.reverse();
        }
        let turn = Turn::of(&ids, is_full, rest, filter.after.map(|id| id.0), filter.before.map(|id| id.0));
        let rows = self.delivery_rows(&json(&ids)?).await?;
        Ok(FoundDeliveries {
            rows,
            next: turn.next.map(DeliveryId),
            previous: turn.previous.map(DeliveryId),
            looked_back_to: turn.looked_back_to,
            truncated,
        })
    }

    /// How many deliveries fit a filter, up to a limit.
    pub(in crate::server::store) async fn count_deliveries(
        &self,
        merchant_id: MerchantId,
        filter: &DeliveryFilter,
    ) -> Result<Counted, StoreError> {
        let filter = &filter.whole();
        let zone = self.settings().zone_of(merchant_id);
        let mut conn = self.0.readers.acquire().await?;
        let (orders, truncated) = orders_of(&mut conn, merchant_id, filter, LIST_ORDERS).await?;
        let wish = Wish { merchant_id, filter, orders: &orders };
        let (range, mut more) = (id_range(filter, &zone), truncated);
        let number = wish.count(&mut conn, range, COUNT_MOST + 1).await?;
        if wish.scope() != Scope::Orders && number <= COUNT_MOST {
            more = wish.window(&mut conn, range, Direction::NewestFirst, COUNT_LOOK).await?.0 == COUNT_LOOK;
        }
        let number = u64::try_from(number).unwrap_or(0);
        let most = COUNT_MOST.unsigned_abs();
        Ok(Counted { number: number.min(most), more: more || number > most })
    }
}
