//! Deliveries of a merchant that fit a filter: for the list, for counts, and for bulk resends.
//!
//! Each statement names the condition of the index that serves its scope, and a part of it, so that none looks at more rows than
//! it may. A part is compared row by row: its order is that of one index alone, and a plan for any merchant never walks the
//! primary key past the rows of all the others.

use super::{Core, rows::text as text_of};
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
    PgConnection, PgPool, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
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

macro_rules! back_to {
    () => {
        "SELECT count(*), min(d.id) FROM "
    };
}

macro_rules! on_to {
    () => {
        "SELECT count(*), max(d.id) FROM "
    };
}

/// The part of all deliveries that is looked at, row by row as long as more is wanted.
macro_rules! part {
    () => {
        "(SELECT * FROM delivery AS part WHERE (part.merchant_id, part.id) >= ($1, $2) AND (part.merchant_id, part.id) < ($1, $3) "
    };
}

macro_rules! failed {
    () => {
        "AND part.state IN (5, 6) "
    };
}

/// The part of the deliveries in a state that wait.
macro_rules! delayed {
    () => {
        "(SELECT * FROM delivery AS part WHERE part.state IN (2, 3) AND (part.merchant_id, part.state, part.id) >= ($1, $5, $2)
             AND (part.merchant_id, part.state, part.id) < ($1, $5, $3) "
    };
}

macro_rules! newest {
    () => {
        "ORDER BY part.merchant_id DESC, part.id DESC LIMIT $4) AS d"
    };
}

macro_rules! oldest {
    () => {
        "ORDER BY part.merchant_id, part.id LIMIT $4) AS d"
    };
}

macro_rules! newest_delayed {
    () => {
        "ORDER BY part.merchant_id DESC, part.state DESC, part.id DESC LIMIT $4) AS d"
    };
}

macro_rules! oldest_delayed {
    () => {
        "ORDER BY part.merchant_id, part.state, part.id LIMIT $4) AS d"
    };
}

macro_rules! fits {
    () => {
        " JOIN notification AS n ON n.id = d.notification_id
         WHERE ($14::bigint IS NULL OR d.url_id = $14)
             AND ($5::bigint IS NULL OR d.state = $5) AND (NOT $6::boolean OR d.state = 5 OR d.origin = 2)
             AND ($7::text IS NULL OR d.last_cause = $7) AND ($8::bigint IS NULL OR d.finished_at >= $8)
             AND ($9::boolean IS NULL OR n.test = $9) AND $11::bigint[] IS NOT NULL
             AND ($12::bigint IS NULL OR n.listener_id = $12)
             AND ($13::text IS NULL OR n.listener_id IN (SELECT id FROM listener WHERE merchant_id = $1 AND gateway = $13)) "
    };
}

/// The same of a filter that asks nothing about messages.
macro_rules! fits_by_itself {
    () => {
        " WHERE ($14::bigint IS NULL OR d.url_id = $14)
             AND ($5::bigint IS NULL OR d.state = $5) AND (NOT $6::boolean OR d.state = 5 OR d.origin = 2)
             AND ($7::text IS NULL OR d.last_cause = $7) AND ($8::bigint IS NULL OR d.finished_at >= $8)
             AND $9::boolean IS NULL AND $11::bigint[] IS NOT NULL AND $12::bigint IS NULL AND $13::text IS NULL "
    };
}

/// Where the statement has no part.
macro_rules! within {
    () => {
        "AND d.merchant_id = $1 AND d.id >= $2 AND d.id < $3 AND $4::bigint IS NOT NULL "
    };
}

macro_rules! of_orders {
    () => {
        "AND d.notification_id IN (SELECT id FROM notification WHERE order_id = ANY($11)) "
    };
}

macro_rules! first {
    () => {
        "ORDER BY d.merchant_id DESC, d.id DESC LIMIT $10"
    };
}

macro_rules! last {
    () => {
        "ORDER BY d.merchant_id, d.id LIMIT $10"
    };
}

macro_rules! first_delayed {
    () => {
        "ORDER BY d.merchant_id DESC, d.state DESC, d.id DESC LIMIT $10"
    };
}

macro_rules! last_delayed {
    () => {
        "ORDER BY d.merchant_id, d.state, d.id LIMIT $10"
    };
}

/// Deliveries of a part that was measured before, the oldest first.
const fn sources_query(scope: Scope) -> &'static str {
    match scope {
        Scope::All => concat!(source!(), "delivery AS d", fits!(), within!(), "ORDER BY d.id LIMIT $10"),
        Scope::Delayed => {
            concat!(
                source!(),
                "delivery AS d",
                fits!(),
                within!(),
                "AND d.state IN (2, 3) AND d.state = $5 ORDER BY d.id LIMIT $10"
            )
        }
        Scope::Failed => {
            concat!(source!(), "delivery AS d", fits!(), within!(), "AND d.state IN (5, 6) ORDER BY d.id LIMIT $10")
        }
        Scope::Orders => concat!(source!(), "delivery AS d", fits!(), within!(), of_orders!(), "ORDER BY d.id LIMIT $10"),
    }
}

/// Deliveries for a page, of a part that is not measured before, because its first rows fill most pages. Orders are few.
pub(super) const fn page_query(scope: Scope, direction: Direction) -> &'static str {
    match (scope, direction) {
        (Scope::All, Direction::NewestFirst) => concat!(source!(), part!(), newest!(), fits!(), first!()),
        (Scope::All, Direction::OldestFirst) => concat!(source!(), part!(), oldest!(), fits!(), last!()),
        (Scope::Delayed, Direction::NewestFirst) => concat!(source!(), delayed!(), newest_delayed!(), fits!(), first_delayed!()),
        (Scope::Delayed, Direction::OldestFirst) => concat!(source!(), delayed!(), oldest_delayed!(), fits!(), last_delayed!()),
        (Scope::Failed, Direction::NewestFirst) => concat!(source!(), part!(), failed!(), newest!(), fits!(), first!()),
        (Scope::Failed, Direction::OldestFirst) => concat!(source!(), part!(), failed!(), oldest!(), fits!(), last!()),
        (Scope::Orders, Direction::NewestFirst) => {
            concat!(source!(), "delivery AS d", fits!(), within!(), of_orders!(), "ORDER BY d.id DESC LIMIT $10")
        }
        (Scope::Orders, Direction::OldestFirst) => {
            concat!(source!(), "delivery AS d", fits!(), within!(), of_orders!(), "ORDER BY d.id LIMIT $10")
        }
    }
}

/// How many fit, of a part that is not measured before. `by_message`: the filter asks about messages, too.
pub(super) const fn count_query(scope: Scope, by_message: bool) -> &'static str {
    match (scope, by_message) {
        (Scope::All, false) => concat!(counted!(), part!(), newest!(), fits_by_itself!(), "LIMIT $10) AS found"),
        (Scope::All, true) => concat!(counted!(), part!(), newest!(), fits!(), "LIMIT $10) AS found"),
        (Scope::Delayed, _) => concat!(counted!(), delayed!(), newest_delayed!(), fits!(), "LIMIT $10) AS found"),
        (Scope::Failed, _) => concat!(counted!(), part!(), failed!(), newest!(), fits!(), "LIMIT $10) AS found"),
        (Scope::Orders, _) => {
            concat!(counted!(), "delivery AS d", fits!(), within!(), of_orders!(), "LIMIT $10) AS found")
        }
    }
}

pub(super) const fn window_query(scope: Scope, direction: Direction) -> &'static str {
    match (scope, direction) {
        (Scope::All | Scope::Orders, Direction::NewestFirst) => concat!(back_to!(), part!(), newest!()),
        (Scope::All | Scope::Orders, Direction::OldestFirst) => concat!(on_to!(), part!(), oldest!()),
        (Scope::Delayed, Direction::NewestFirst) => concat!(back_to!(), delayed!(), newest_delayed!()),
        (Scope::Delayed, Direction::OldestFirst) => concat!(on_to!(), delayed!(), oldest_delayed!()),
        (Scope::Failed, Direction::NewestFirst) => concat!(back_to!(), part!(), failed!(), newest!()),
        (Scope::Failed, Direction::OldestFirst) => concat!(on_to!(), part!(), failed!(), oldest!()),
    }
}

/// What is read for: a merchant's deliveries that fit a filter.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub merchant_id: MerchantId,
    pub filter: &'a DeliveryFilter,
    /// Orders that the filter's text fits.
    pub orders: &'a [i64],
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
        conn: &mut PgConnection,
        (from, until): (i64, i64),
        direction: Direction,
        most: i64,
    ) -> Result<(i64, Option<i64>), StoreError> {
        let query = sqlx::query_as(window_query(self.scope(), direction)).bind(self.merchant_id.0);
        let query = query.bind(from).bind(until).bind(most);
        let query = if self.scope() == Scope::Delayed { query.bind(self.state()) } else { query };
        Ok(query.fetch_one(conn).await?)
    }

    /// The oldest deliveries that fit, with ids from one to before another.
    pub async fn sources(&self, conn: &mut PgConnection, range: (i64, i64), limit: i64) -> Result<Vec<Source>, StoreError> {
        let rows = self.bound(sources_query(self.scope()), range, 0, limit).fetch_all(conn).await?;
        rows.iter().map(source).collect()
    }

    /// Deliveries that fit, among so many rows.
    async fn page(
        &self,
        conn: &mut PgConnection,
        range: (i64, i64),
        direction: Direction,
        limit: i64,
        look: i64,
    ) -> Result<Vec<Source>, StoreError> {
        let query = self.bound(page_query(self.scope(), direction), range, look, limit);
        query.fetch_all(conn).await?.iter().map(source).collect()
    }

    async fn count(&self, conn: &mut PgConnection, range: (i64, i64), limit: i64) -> Result<i64, StoreError> {
        let by_message = self.filter.test.is_some() || self.filter.via.is_some();
        let query = self.bound(count_query(self.scope(), by_message), range, COUNT_LOOK, limit);
        Ok(query.fetch_one(conn).await?.try_get(0)?)
    }

    fn bound(
        &self,
        query: &'static str,
        (from, until): (i64, i64),
        look: i64,
        limit: i64,
    ) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(query)
            .bind(self.merchant_id.0)
            .bind(from)
            .bind(until)
            .bind(look)
            .bind(self.state())
            .bind(self.filter.state == Some(StateFilter::Failed))
            .bind(self.filter.cause.map(|cause| cause.code()))
            .bind(self.filter.since.map(|since| since.0))
            .bind(self.filter.test)
            .bind(limit)
            .bind(self.orders.to_vec())
            .bind(self.filter.via.and_then(Via::listener).map(|id| id.0))
            .bind(self.filter.via.and_then(Via::gateway).map(|gateway| gateway.to_string()))
            .bind(self.filter.url.map(|url| url.0))
    }
}

fn source(row: &PgRow) -> Result<Source, StoreError> {
    Ok(Source {
        id: row.try_get(0)?,
        notification_id: row.try_get(1)?,
        order_id: row.try_get(2)?,
        url_id: UrlId(row.try_get(3)?),
        has_bytes: row.try_get(4)?,
    })
}

/// Orders that a filter's text fits, and whether there are more. Nothing where there is no text.
pub(super) async fn orders_of(
    conn: &mut PgConnection,
    merchant_id: MerchantId,
    filter: &DeliveryFilter,
    most: i64,
) -> Result<(Vec<i64>, bool), StoreError> {
    let text = text_of(filter.text.trim());
    if text.is_empty() {
        return Ok((Vec::new(), false));
    }
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT * FROM (SELECT id FROM orders WHERE merchant_id = $1 AND reference >= $2 AND reference < $3
             ORDER BY reference LIMIT $4) AS a
         UNION SELECT * FROM (SELECT id FROM orders WHERE merchant_id = $1 AND external <> '' AND external >= $2 AND external < $5
             ORDER BY external LIMIT $4) AS b",
    )
    .bind(merchant_id.0)
    .bind(text.as_ref())
    .bind(format!("{text}\u{10ffff}"))
    .bind(most)
    .bind(end_of_external(&text, filter.masked))
    .fetch_all(conn)
    .await?;
    let is_cut = found.len() as i64 >= most;
    Ok((found, is_cut))
}

impl Core {
    /// For the statements of a list: plans for any merchant serve one that walks an index; what is searched for by text is planned
    /// for the orders that were found.
    pub(super) fn lists(&self, text: &str) -> &PgPool {
        if text.trim().is_empty() { &self.reading } else { &self.pool }
    }

    /// Deliveries of a merchant that fit a filter, the newest first, at most so many.
    pub(in crate::server::store) async fn find_deliveries(
        &self,
        merchant_id: MerchantId,
        filter: &DeliveryFilter,
        most: u32,
    ) -> Result<FoundDeliveries, StoreError> {
        let zone = self.directory.borrow().zone_of(merchant_id);
        let mut conn = self.lists(&filter.text).acquire().await?;
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
        let rows = self.delivery_rows(&ids).await?;
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
        let zone = self.directory.borrow().zone_of(merchant_id);
        let mut conn = self.lists(&filter.text).acquire().await?;
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
