//! Reading what came in at a merchant's listeners, accepted or refused.

use super::{
    SqliteStore,
    overview::refusal_row,
    rows::json,
    verifying::{NEWEST_VERIFYING, OLDEST_VERIFYING, verifying_row},
};
use crate::domain::{
    Algorithms, OrderStatus, Timestamp,
    id::{ListenerId, MerchantId, NotificationId, OrderId, RefusalId},
    pages::{
        inbound::{InboundFilter, InboundMessage, InboundRow, Outcome},
        listeners::{ReceivedRow, RefusalRow},
        via::Via,
    },
};
use crate::server::store::{
    FoundInbound, StoreError, StoredRefusal,
    inbound::put_together,
    pack::unpack,
    scope::{Direction, LIST_LOOK, LIST_ORDERS, days, end_of_external, turned_to},
};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};

macro_rules! accepted {
    () => {
        "SELECT n.id, n.order_id, orders.reference, n.status, n.vendor_status, n.signatures, n.test, n.received_at, n.repeats,
             n.listener_id, n.message_id, n.peer
         FROM "
    };
}

/// The part of the sequence that is looked at: SQLite makes its rows one by one, in the order of the index, as long as the page is
/// not full.
macro_rules! part {
    () => {
        "(SELECT * FROM notification AS part INDEXED BY notification_newest
             WHERE part.merchant_id = ?1 AND part.id >= ?2 AND part.id < ?3 ORDER BY part.id "
    };
}

macro_rules! fits {
    () => {
        " CROSS JOIN orders ON orders.id = n.order_id
         WHERE n.merchant_id = ?1 AND n.id >= ?2 AND n.id < ?3 AND (?4 IS NULL OR n.listener_id = ?4)
             AND (?8 IS NULL OR n.listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?8))
             AND (?5 IS NULL OR n.test = ?5) AND (?6 = 0 OR n.repeats > 0) "
    };
}

/// Accepted messages, the newest first.
pub(super) const NEWEST: &str = concat!(accepted!(), part!(), "DESC LIMIT ?9) AS n", fits!(), "ORDER BY n.id DESC LIMIT ?7");
const OLDEST: &str = concat!(accepted!(), part!(), "LIMIT ?9) AS n", fits!(), "ORDER BY n.id LIMIT ?7");
const NEWEST_OF: &str = concat!(
    accepted!(),
    "notification AS n",
    fits!(),
    "AND n.id IN (SELECT value FROM json_each(?9)) ORDER BY n.id DESC LIMIT ?7"
);
const OLDEST_OF: &str =
    concat!(accepted!(), "notification AS n", fits!(), "AND n.id IN (SELECT value FROM json_each(?9)) ORDER BY n.id LIMIT ?7");
/// Messages by what people know of them.
pub(super) const BY_TEXT: &str = "SELECT id FROM notification WHERE order_id IN
                 (SELECT * FROM (SELECT id FROM orders WHERE merchant_id = ?1 AND reference >= ?2 AND reference < ?3
                     ORDER BY reference LIMIT ?4)
                  UNION SELECT * FROM (SELECT id FROM orders WHERE merchant_id = ?1 AND external <> ''
                     AND external >= ?2 AND external < ?5 ORDER BY external LIMIT ?4))
             UNION SELECT * FROM (SELECT id FROM notification WHERE merchant_id = ?1 AND message_id = ?2 AND message_id <> ''
                 LIMIT ?4)";
/// Refused messages, the newest first.
pub(super) const NEWEST_REFUSED: &str = "SELECT id, at, reason, detail, peer, size, suppressed, listener_id FROM refusal
             WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR listener_id = ?4)
             AND (?7 IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?7)) AND (?5 IS NULL OR reason = ?5)
             ORDER BY id DESC LIMIT ?6";
const OLDEST_REFUSED: &str = "SELECT id, at, reason, detail, peer, size, suppressed, listener_id FROM refusal
             WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR listener_id = ?4)
             AND (?7 IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?7)) AND (?5 IS NULL OR reason = ?5)
             ORDER BY id LIMIT ?6";

fn accepted(row: &SqliteRow) -> Result<InboundRow, StoreError> {
    let received = ReceivedRow {
        id: NotificationId(row.try_get(0)?),
        order_id: OrderId(row.try_get(1)?),
        reference: row.try_get(2)?,
        status: OrderStatus::from_code(row.try_get(3)?),
        vendor_status: row.try_get(4)?,
        signatures: Algorithms::from_bits(row.try_get(5)?),
        test: row.try_get(6)?,
        received_at: Timestamp(row.try_get(7)?),
        repeats: row.try_get(8)?,
    };
    Ok(InboundRow {
        listener: row.try_get::<Option<i64>, _>(9)?.map(ListenerId),
        message: InboundMessage::Accepted { row: received, message_id: row.try_get(10)?, peer: row.try_get(11)? },
    })
}

fn refused(row: &SqliteRow) -> Result<InboundRow, StoreError> {
    let listener = row.try_get::<Option<i64>, _>(7)?.map(ListenerId);
    Ok(InboundRow { listener, message: InboundMessage::Refused(refusal_row(row)?) })
}

/// How many messages lie in a part of the sequence, and the last of them.
async fn window(
    conn: &mut SqliteConnection,
    merchant_id: MerchantId,
    (from, until): (i64, i64),
    direction: Direction,
) -> Result<(i64, Option<i64>), StoreError> {
    let query = match direction {
        Direction::NewestFirst => {
            "SELECT count(*), min(id) FROM (SELECT id FROM notification INDEXED BY notification_newest
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4)"
        }
        Direction::OldestFirst => {
            "SELECT count(*), max(id) FROM (SELECT id FROM notification INDEXED BY notification_newest
                 WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4)"
        }
    };
    Ok(sqlx::query_as(query).bind(merchant_id.0).bind(from).bind(until).bind(LIST_LOOK).fetch_one(conn).await?)
}

impl SqliteStore {
    /// Messages of a merchant that fit a filter, the newest first, at most so many.
    pub(in crate::server::store) async fn find_inbound(
        &self,
        merchant_id: MerchantId,
        filter: &InboundFilter,
        most: u32,
    ) -> Result<FoundInbound, StoreError> {
        let zone = self.settings().zone_of(merchant_id);
        let (before, after) = (filter.before.map(|id| id.0), filter.after.map(|id| id.0));
        let direction = if before.is_some() { Direction::OldestFirst } else { Direction::NewestFirst };
        let (mut from, mut until) = turned_to(days(filter.from, filter.until, &zone), after, before);
        let limit = i64::from(most) + 1;
        let gateway = filter.via.and_then(Via::gateway).map(|gateway| gateway.to_string());
        let (text, listener) = (filter.text.trim(), filter.via.and_then(Via::listener).map(|id| id.0));
        let mut conn = self.0.readers.acquire().await?;
        let mut rows = Vec::new();
        let (mut rest, mut truncated) = (None, false);
        if filter.wants_accepted() {
            let query = match (text.is_empty(), direction) {
                (true, Direction::NewestFirst) => NEWEST,
                (true, Direction::OldestFirst) => OLDEST,
                (false, Direction::NewestFirst) => NEWEST_OF,
                (false, Direction::OldestFirst) => OLDEST_OF,
            };
            let query = sqlx::query(query).bind(merchant_id.0).bind(from).bind(until).bind(listener).bind(filter.test);
            let query = query.bind(filter.outcome == Some(Outcome::Repeated)).bind(limit).bind(&gateway);
            let query = if text.is_empty() {
                query.bind(LIST_LOOK)
            } else {
                let found: Vec<i64> = sqlx::query_scalar(BY_TEXT)
                    .bind(merchant_id.0)
                    .bind(text)
                    .bind(format!("{text}\u{10ffff}"))
                    .bind(LIST_ORDERS)
                    .bind(end_of_external(text, filter.masked))
                    .fetch_all(&mut *conn)
                    .await?;
                truncated = found.len() as i64 >= LIST_ORDERS;
                query.bind(json(&found)?)
            };
            rows = query.fetch_all(&mut *conn).await?.iter().map(accepted).collect::<Result<_, _>>()?;
            if text.is_empty() && rows.len() <= most as usize {
                // Where the page is not full it is told how far it was looked.
                let window = window(&mut conn, merchant_id, (from, until), direction).await?;
                rest = window.1.filter(|_| window.0 == LIST_LOOK);
                if let Some(last) = rest {
                    (from, until) = direction.up_to(last, (from, until));
                    // Messages that came meanwhile moved the end of the part; what lies behind it is the next page's.
                    rows.retain(|row| (from..until).contains(&row.place().0));
                }
            }
        }
        if filter.wants_refused() {
            let query = if direction == Direction::NewestFirst { NEWEST_REFUSED } else { OLDEST_REFUSED };
            let found = sqlx::query(query)
                .bind(merchant_id.0)
                .bind(from)
                .bind(until)
                .bind(listener)
                .bind(filter.reason.map(|reason| reason.code()))
                .bind(limit)
                .bind(&gateway)
                .fetch_all(&mut *conn)
                .await?;
            for row in &found {
                rows.push(refused(row)?);
            }
        }
        if filter.wants_verifying() {
            let query = if direction == Direction::NewestFirst { NEWEST_VERIFYING } else { OLDEST_VERIFYING };
            let query = sqlx::query(query).bind(merchant_id.0).bind(from).bind(until).bind(listener).bind(limit).bind(&gateway);
            for row in &query.fetch_all(&mut *conn).await? {
                let listener = Some(ListenerId(row.try_get(10)?));
                rows.push(InboundRow { listener, message: InboundMessage::Verifying(verifying_row(row)?) });
            }
        }
        let found = put_together(rows, direction, most as usize, rest, filter);
        Ok(FoundInbound { truncated, ..found })
    }

    /// Messages that were posted to addresses which no listener has, before a place; the newest first, at most so many.
    pub(in crate::server::store) async fn strays(
        &self,
        after: Option<NotificationId>,
        most: u32,
    ) -> Result<Vec<RefusalRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, at, reason, detail, peer, size, suppressed FROM refusal WHERE listener_id IS NULL AND id < ?
             ORDER BY id DESC LIMIT ?",
        )
        .bind(after.map_or(i64::MAX, |id| id.0))
        .bind(most)
        .fetch_all(&self.0.readers)
        .await?;
        rows.iter().map(refusal_row).collect()
    }

    /// Such a message.
    pub(in crate::server::store) async fn stray(&self, id: RefusalId) -> Result<Option<StoredRefusal>, StoreError> {
        let row = sqlx::query(
            "SELECT id, at, reason, detail, peer, size, suppressed, bytes FROM refusal WHERE id = ? AND listener_id IS NULL",
        )
        .bind(id.0)
        .fetch_optional(&self.0.readers)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut parts = unpack(row.try_get(7)?)?.into_iter();
        let head = parts.next().unwrap_or_default();
        Ok(Some(StoredRefusal {
            listener_id: None,
            row: refusal_row(&row)?,
            head: String::from_utf8_lossy(&head).into_owned(),
            body: parts.next().unwrap_or_default(),
        }))
    }
}
