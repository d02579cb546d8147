//! Giving place on the disk back. VACUUM cuts off what is free at the end of a file only, and what is old lies at its
//! beginning. So where much of a table is free, the rows at its end are written again, a few at a time, into the free place before
//! them, and its indexes are made anew beside the old ones. Nobody waits for longer than those few rows take.
//!
//! Of segments that moves the rows, with the bytes of small ones in them; the bytes of large ones lie beside the table (`anew`).
//!
//! Must not live here: what goes (`retention`), and how all segments move together (`anew`).

use super::{anew, lock};
use crate::{
    domain::Timestamp,
    server::{clock::Clock, store::StoreError},
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// A table whose rows are written again.
struct Heap {
    table: &'static str,
    /// Locks rows from a place on that nobody else has locked.
    tail: &'static str,
    /// Writes them again, and tells where they lie then, and on which page.
    touch: &'static str,
    /// Makes its indexes anew.
    indexes: &'static str,
}

const HEAPS: [Heap; 5] = [
    Heap {
        table: "attempt",
        tail: "SELECT ctid::text FROM attempt WHERE ctid >= $1::text::tid LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        touch: "UPDATE attempt SET number = number WHERE ctid = ANY($1::text[]::tid[]) RETURNING ctid::text, (ctid::text::point)[0]::bigint",
        indexes: "REINDEX TABLE CONCURRENTLY attempt",
    },
    Heap {
        table: "delivery",
        tail: "SELECT ctid::text FROM delivery WHERE ctid >= $1::text::tid LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        touch: "UPDATE delivery SET id = id WHERE ctid = ANY($1::text[]::tid[]) RETURNING ctid::text, (ctid::text::point)[0]::bigint",
        indexes: "REINDEX TABLE CONCURRENTLY delivery",
    },
    Heap {
        table: "notification",
        tail: "SELECT ctid::text FROM notification WHERE ctid >= $1::text::tid LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        touch: "UPDATE notification SET id = id WHERE ctid = ANY($1::text[]::tid[]) RETURNING ctid::text, (ctid::text::point)[0]::bigint",
        indexes: "REINDEX TABLE CONCURRENTLY notification",
    },
    Heap {
        table: "orders",
        tail: "SELECT ctid::text FROM orders WHERE ctid >= $1::text::tid LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        touch: "UPDATE orders SET id = id WHERE ctid = ANY($1::text[]::tid[]) RETURNING ctid::text, (ctid::text::point)[0]::bigint",
        indexes: "REINDEX TABLE CONCURRENTLY orders",
    },
    Heap {
        table: "segment",
        tail: "SELECT ctid::text FROM segment WHERE ctid >= $1::text::tid LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        touch: "UPDATE segment SET id = id WHERE ctid = ANY($1::text[]::tid[])
            RETURNING ctid::text, (ctid::text::point)[0]::bigint",
        // What lies beside the table has not moved.
        indexes: "REINDEX INDEX CONCURRENTLY segment_pkey",
    },
];

/// The least that is worth it, in pages of 8 kB.
const WORTH: i64 = 1_024;
/// Rows written again in one transaction, and pages whose rows are looked for together.
const ROWS: i64 = 50;
const PAGES: i64 = 64;
/// A row that is written again stays on its page as long as there is place: so it is written until there is none.
const ROUNDS: u32 = 250;
/// After each transaction, so many times as long nothing is done.
const REST: u32 = 2;
/// What is not done by then is done an hour later; and a copy of all segments that is not made by then is given up.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
/// A copy that could not take its place is not made again before this, or before so much more is free, in hundredths: more than
/// what the statistics, which look at some pages only, may be wrong by.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
const MORE: i64 = 25;
/// What a row needs beside its columns, in bytes: its header, its entry in the page, and gaps; and what a page needs.
const ROW: f64 = 44.0;
const PAGE: f64 = 8_192.0 - 24.0;
/// Parts of a long value that fit on a page.
const PARTS: f64 = 4.0;

/// How large a table is, and how large it would be without holes, in pages.
struct Room {
    pages: i64,
    needed: i64,
}

impl Room {
    /// Whether so large a part of it is free that it is worth the trouble.
    const fn is_worth(&self, of: i64) -> bool {
        let free = self.pages - self.needed;
        free >= WORTH && free * of >= self.pages
    }

    /// The free part, in hundredths.
    fn free(&self) -> i64 {
        (self.pages - self.needed) * 100 / self.pages.max(1)
    }
}

/// All segments were copied, and could not take their place. An hour later that is hardly different, and it is much work.
#[derive(Debug, Clone, Copy)]
pub(super) struct InVain {
    at: Timestamp,
    /// How much was free then, in hundredths.
    free: i64,
}

impl InVain {
    /// Whether it may go better now.
    fn is_over(&self, free: i64, now: Timestamp) -> bool {
        now >= self.at.plus(AGAIN) || free >= self.free + MORE
    }
}

/// Gives back what is worth it, on a connection that may take its time.
pub(super) async fn give_back(conn: &mut PgConnection, clock: &Clock, in_vain: &Mutex<Option<InVain>>) -> Result<(), StoreError> {
    drop_halves(conn).await?;
    // First, because their rows lie close together after it.
    write_segments_anew(conn, clock, in_vain).await?;
    let until = Instant::now() + PATIENCE;
    // Rows are looked for by their place.
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut *conn).await?;
    for heap in &HEAPS {
        let Some(room) = rows_room(conn, heap.table).await? else { continue };
        if !room.is_worth(4) {
            continue;
        }
        move_rows(conn, heap, &room, until).await?;
        // Also where nothing had to move: somebody may have been in the way of the one before. What is left of rows that moved
        // holds the end of the file, too, and few of them would be left for later.
        let vacuum = format!("VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE ON) {}", heap.table);
        sqlx::raw_sql(AssertSqlSafe(vacuum)).execute(&mut *conn).await?;
        let after = pages(conn, heap.table).await?;
        if after * 4 <= room.pages * 3 {
            sqlx::raw_sql(heap.indexes).execute(&mut *conn).await?;
            tracing::info!(table = heap.table, before = room.pages, after, "rows were moved together, and the file shrank");
        }
    }
    sqlx::raw_sql("RESET enable_seqscan").execute(&mut *conn).await?;
    Ok(())
}

/// Gives back the bytes of large segments, where that is worth it and nothing is known to stand against it.
async fn write_segments_anew(conn: &mut PgConnection, clock: &Clock, in_vain: &Mutex<Option<InVain>>) -> Result<(), StoreError> {
    if !anew::forget(conn).await? {
        return Ok(());
    }
    let Some(room) = segments_room(conn).await? else { return Ok(()) };
    let now = clock.now();
    let before = *lock(in_vain);
    // All of them are written, so at least as much must come of it.
    if !room.is_worth(2) || before.is_some_and(|before| !before.is_over(room.free(), now)) {
        return Ok(());
    }
    if anew::is_dumped(conn).await? || !keep_retention_away(conn).await? {
        return Ok(());
    }
    let done = anew::write(conn, clock, Instant::now() + PATIENCE).await;
    *lock(in_vain) = if matches!(done, Ok(true)) { None } else { Some(InVain { at: now, free: room.free() }) };
    let unlocked = sqlx::query("SELECT pg_advisory_unlock(hashtext('quittance retention'))").execute(conn).await;
    if done? {
        tracing::info!(before = room.pages, after = room.needed, "segments were written anew, close together");
    } else {
        tracing::warn!("segments could not be written anew: it takes too long, or somebody holds them; trying again in a day");
    }
    unlocked?;
    Ok(())
}

async fn keep_retention_away(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('quittance retention'))");
    Ok(query.fetch_one(conn).await?)
}

/// Removes indexes that somebody who died was making.
async fn drop_halves(conn: &mut PgConnection) -> Result<(), StoreError> {
    let halves: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         WHERE NOT indisvalid AND relname ~ '_cc(new|old)[0-9]*$' AND relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut *conn)
    .await?;
    for half in halves {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX CONCURRENTLY IF EXISTS \"{half}\""))).execute(&mut *conn).await?;
    }
    Ok(())
}

/// How large a table is without its indexes, in pages.
async fn pages(conn: &mut PgConnection, table: &str) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT pg_relation_size($1::text::regclass) / 8192").bind(table).fetch_one(conn).await?)
}

/// How much of a table is free, as far as its statistics tell.
async fn rows_room(conn: &mut PgConnection, table: &str) -> Result<Option<Room>, StoreError> {
    let found: Option<(i64, f64, f64)> = sqlx::query_as(
        "SELECT pg_relation_size(pg_class.oid) / 8192, reltuples::float8, sum(avg_width * (1 - null_frac))::float8
         FROM pg_class JOIN pg_stats ON tablename = relname AND schemaname = current_schema()
         WHERE relname = $1 AND relnamespace = current_schema()::regnamespace GROUP BY pg_class.oid, reltuples",
    )
    .bind(table)
    .fetch_optional(conn)
    .await?;
    Ok(found.and_then(|(pages, rows, width)| needed(rows, width + ROW, PAGE).map(|needed| Room { pages, needed })))
}

/// How much of the bytes of segments is free. They lie in parts beside the table, four on a page.
async fn segments_room(conn: &mut PgConnection) -> Result<Option<Room>, StoreError> {
    let (pages, parts): (i64, f64) = sqlx::query_as(
        "SELECT pg_relation_size(beside.oid) / 8192, beside.reltuples::float8
         FROM pg_class JOIN pg_class AS beside ON beside.oid = pg_class.reltoastrelid
         WHERE pg_class.oid = 'segment'::regclass",
    )
    .fetch_one(conn)
    .await?;
    Ok(needed(parts, 1.0, PARTS).map(|needed| Room { pages, needed }))
}

/// Pages for so many rows of a size, with a tenth more; `None` where nobody has counted them yet.
#[expect(clippy::cast_possible_truncation, reason = "pages of a file")]
fn needed(rows: f64, size: f64, page: f64) -> Option<i64> {
    // None lies on two pages.
    let together = (page / size).floor().max(1.0);
    (rows >= 0.0).then_some((rows / together * 1.1).ceil() as i64)
}

/// Writes rows at the end again until what is needed is left, or there is no place before them that anybody knows of.
async fn move_rows(conn: &mut PgConnection, heap: &Heap, room: &Room, until: Instant) -> Result<(), StoreError> {
    let mut from = room.pages;
    while from > room.needed && Instant::now() < until {
        from = (from - PAGES).max(room.needed);
        loop {
            let begun = Instant::now();
            let mut tx = conn.begin().await?;
            let mut places: Vec<String> =
                sqlx::query_scalar(heap.tail).bind(format!("({from},0)")).bind(ROWS).fetch_all(&mut *tx).await?;
            if places.is_empty() {
                break;
            }
            let end = pages(&mut tx, heap.table).await?;
            for _ in 0..ROUNDS {
                let written: Vec<(String, i64)> = sqlx::query_as(heap.touch).bind(&places).fetch_all(&mut *tx).await?;
                // Where the file grows nobody knows of a place before them, and at its new end they would hold all of it.
                if written.iter().any(|(_, page)| *page >= end) {
                    tx.rollback().await?;
                    return Ok(());
                }
                places = written.into_iter().filter(|(_, page)| *page >= from).map(|(place, _)| place).collect();
                if places.is_empty() {
                    break;
                }
            }
            tx.commit().await?;
            if !places.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(begun.elapsed() * REST).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_worth_it_is_moved() {
        let is_worth = |pages, needed, of| Room { pages, needed }.is_worth(of);
        assert!(is_worth(4_096, 3_072, 4));
        assert!(!is_worth(4_096, 3_073, 4), "less than a quarter");
        assert!(!is_worth(1_500, 500, 4), "too little");
        assert!(is_worth(4_096, 2_048, 2) && !is_worth(4_096, 2_049, 2));
        assert!(!is_worth(2_000, 2_200, 4), "nothing");
    }

    #[test]
    fn what_nobody_has_counted_is_not_known() {
        assert_eq!(needed(-1.0, 100.0, PAGE), None);
        assert_eq!(needed(0.0, 100.0, PAGE), Some(0));
        assert_eq!(needed(8_000.0, 100.0, PAGE), Some(109));
        assert_eq!(needed(6_001.0, 1_456.0, PAGE), Some(1_321), "five on a page");
    }

    #[test]
    fn a_copy_in_vain_is_not_made_again_every_hour() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let before = InVain { at, free: 55 };
        assert!(!before.is_over(55, at.plus(Duration::from_secs(3_600))));
        assert!(!before.is_over(79, at.plus(Duration::from_secs(23 * 3_600))), "hardly more is free");
        assert!(before.is_over(80, at.plus(Duration::from_secs(3_600))), "much more is free");
        assert!(before.is_over(55, at.plus(AGAIN)));
        assert_eq!(Room { pages: 4_096, needed: 1_024 }.free(), 75);
    }
}
