//! Whether the statements that must stay quick are planned with indexes. The statements are the ones that run.

use super::{
    accept, activity, alert_mail, balance, connect::MIGRATOR, inbound, leases, mail, orders, overview, queue, search, story,
};
use crate::server::store::{Finding, StoreError, indexes::declared};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// What is asked for, the statement, and how many parameters it has.
const HOT: [(&str, &str, usize); 32] = [
    ("recognising a repeat", accept::LOOK_UP, 4),
    ("what URLs have outstanding", queue::LANES, 1),
    ("open deliveries of a URL", queue::LANE, 7),
    ("the next delivery of a URL", queue::NEXT_DUE, 5),
    ("what an order waits for", queue::FIRSTS, 2),
    ("what dead nodes left", leases::LEFT_BEHIND, 2),
    ("counting against the books", balance::COUNT_INDEXED, 1),
    ("the list of orders", orders::NEWEST, 5),
    ("orders of a status", orders::NEWEST_OF_STATUS, 6),
    ("TEST orders", orders::NEWEST_TEST, 4),
    ("searching orders", orders::BY_TEXT, 6),
    ("how deliveries of orders stand", orders::SUMMARIES, 1),
    ("the page of an order", orders::NOTIFICATIONS_OF, 2),
    ("the story of an order", story::EVENTS, 13),
    ("how messages stand at URLs", story::STANDINGS, 2),
    ("the attempts of a story", story::ATTEMPTS, 2),
    ("the dashboard", overview::URL_STATES, 2),
    ("what a listener received", overview::RECEIVED_BY, 2),
    ("what a listener refused", overview::REFUSED_BY, 2),
    ("what came in", inbound::NEWEST, 9),
    ("searching what came in", inbound::BY_TEXT, 4),
    ("what was refused", inbound::NEWEST_REFUSED, 7),
    ("whom to mail", mail::CANDIDATES, 4),
    ("mails that are due", mail::DUE, 2),
    ("mails that were given up", mail::FAILED, 3),
    ("alerts that are due by mail", alert_mail::DUE, 2),
    ("alerts that were mailed", alert_mail::LAST, 2),
    ("what was refused lately", activity::REFUSED_LATELY, 3),
    ("listeners that never got anything", activity::SILENT, 1),
    ("searching everything", search::ORDERS, 6),
    ("searching messages", search::BY_MESSAGE, 3),
    ("what has an id", search::BY_ID, 1),
];

/// Tables that grow, which none of these statements may read from one end to the other.
const GROWING: [&str; 6] = ["orders", "notification", "delivery", "attempt", "segment", "refusal"];
/// From so many rows on the planner must choose the index by itself; in a smaller table reading all of it may be right, and it
/// is only asked whether an index could serve.
const LARGE: f32 = 100_000.0;

/// Every index is there and whole, and the hot statements use one. In a transaction, whose settings it changes.
pub(super) async fn check(conn: &mut PgConnection) -> Result<Finding, StoreError> {
    let there: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         WHERE indisvalid AND indisready AND relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut *conn)
    .await?;
    let declared = declared(&MIGRATOR);
    let mut wrong: BTreeSet<String> = declared
        .iter()
        .filter(|name| !there.contains(name))
        .map(|name| format!("the index {name} is missing or not whole"))
        .collect();
    let large: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples >= $1 AND relnamespace = current_schema()::regnamespace",
    )
    .bind(LARGE)
    .fetch_all(&mut *conn)
    .await?;
    // Parameters are not looked at: the plan is the one for any.
    sqlx::raw_sql("SET LOCAL plan_cache_mode = force_generic_plan").execute(&mut *conn).await?;
    for (setting, tables) in [("off", GROWING.map(str::to_owned).to_vec()), ("on", large)] {
        sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL enable_seqscan = {setting}"))).execute(&mut *conn).await?;
        for (what, statement, parameters) in HOT {
            let read = tables_read_whole(conn, statement, parameters).await?;
            let bad: Vec<_> = read.into_iter().filter(|table| tables.contains(table)).collect();
            if !bad.is_empty() {
                wrong.insert(format!("{what} reads all of {}", bad.join(", ")));
            }
        }
    }
    let ok = wrong.is_empty();
    let detail = if ok {
        format!("{} indexes, {} statements use one", declared.len(), HOT.len())
    } else {
        wrong.into_iter().collect::<Vec<_>>().join("; ")
    };
    Ok(Finding { check: "indexes are there and used", ok, detail })
}

/// Tables that the plan of a statement reads from one end to the other.
async fn tables_read_whole(conn: &mut PgConnection, statement: &str, parameters: usize) -> Result<Vec<String>, StoreError> {
    // The server finds the types of the parameters out by itself.
    let nulls = vec!["NULL"; parameters].join(", ");
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE hot AS {statement}"))).execute(&mut *conn).await?;
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS off) EXECUTE hot ({nulls})"));
    let plan: Vec<String> = sqlx::query_scalar(explain).persistent(false).fetch_all(&mut *conn).await?;
    sqlx::raw_sql("DEALLOCATE hot").execute(&mut *conn).await?;
    let table =
        |line: &String| line.split_once("Seq Scan on ").and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned));
    Ok(plan.iter().filter_map(table).collect())
}
