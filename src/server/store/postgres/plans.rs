//! Whether the statements that must stay quick are planned with indexes. The statements are the ones that run.

use super::{
    PLANNED_ONCE, accept, activity, alert_mail, balance, connect::MIGRATOR, deliveries, inbound, leases, mail, notifications,
    orders, outcomes, overview, queue, retention, search, story, verifying,
};
use crate::server::store::{
    Finding, StoreError,
    indexes::declared,
    scope::{Direction, Scope},
};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// What is asked for, the statement, and how many parameters it has.
const HOT: [(&str, &str, usize); 29] = [
    ("recognising a repeat", accept::LOOK_UP, 4),
    ("what URLs have outstanding", queue::LANES, 1),
    ("open deliveries of a URL", queue::LANE, 7),
    ("the next delivery of a URL", queue::NEXT_DUE, 5),
    ("what an order waits for", queue::FIRSTS, 2),
    ("what dead nodes left", leases::LEFT_BEHIND, 2),
    ("counting against the books", balance::COUNT_INDEXED, 1),
    ("searching orders", orders::BY_TEXT, 7),
    ("how deliveries of orders stand", orders::SUMMARIES, 1),
    ("the page of an order", notifications::NOTIFICATIONS_OF, 2),
    ("the story of an order", story::EVENTS, 13),
    ("how messages stand at URLs", story::STANDINGS, 2),
    ("the attempts of a story", story::ATTEMPTS, 2),
    ("the dashboard", overview::URL_STATES, 2),
    ("what a listener received", overview::RECEIVED_BY, 2),
    ("what a listener refused", overview::REFUSED_BY, 2),
    ("searching what came in", inbound::BY_TEXT, 5),
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
    ("what a resend puts right", outcomes::PUT_RIGHT, 3),
    ("what keeps bytes", retention::FREE, 3),
];

/// Lists of one merchant, which must come from an index of merchants, in its order.
const LISTS: [(&str, &str, usize); 24] = [
    ("orders", orders::NEWEST, 5),
    ("orders of a status", orders::NEWEST_OF_STATUS, 6),
    ("TEST orders", orders::NEWEST_TEST, 4),
    ("TEST orders of a status", orders::NEWEST_TEST_OF_STATUS, 5),
    ("deliveries", deliveries::page_query(Scope::All, Direction::NewestFirst), 14),
    ("deliveries, backwards", deliveries::page_query(Scope::All, Direction::OldestFirst), 14),
    ("delayed deliveries", deliveries::page_query(Scope::Delayed, Direction::NewestFirst), 14),
    ("delayed deliveries, backwards", deliveries::page_query(Scope::Delayed, Direction::OldestFirst), 14),
    ("failed deliveries", deliveries::page_query(Scope::Failed, Direction::NewestFirst), 14),
    ("failed deliveries, backwards", deliveries::page_query(Scope::Failed, Direction::OldestFirst), 14),
    ("counting deliveries", deliveries::count_query(Scope::All, false), 14),
    ("counting deliveries by their messages", deliveries::count_query(Scope::All, true), 14),
    ("counting delayed deliveries", deliveries::count_query(Scope::Delayed, true), 14),
    ("counting failed deliveries", deliveries::count_query(Scope::Failed, true), 14),
    ("looking through deliveries", deliveries::window_query(Scope::All, Direction::NewestFirst), 4),
    ("looking through delayed deliveries", deliveries::window_query(Scope::Delayed, Direction::OldestFirst), 5),
    ("looking through failed deliveries", deliveries::window_query(Scope::Failed, Direction::NewestFirst), 4),
    ("what came in", inbound::NEWEST, 9),
    ("what came in, backwards", inbound::OLDEST, 9),
    ("looking through what came in", inbound::BACK_TO, 4),
    ("what was refused", inbound::NEWEST_REFUSED, 7),
    ("what was refused, backwards", inbound::OLDEST_REFUSED, 7),
    ("what gateways are asked about", verifying::NEWEST_VERIFYING, 6),
    ("what gateways are asked about, backwards", verifying::OLDEST_VERIFYING, 6),
];

/// Tables that grow, which none of these statements may read from one end to the other.
const GROWING: [&str; 6] = ["orders", "notification", "delivery", "attempt", "segment", "refusal"];
/// From so many rows on the planner must choose the index by itself; in a smaller table reading or sorting all of it may be
/// right, or be believed to be by a planner that has not counted it yet, and it is only asked whether an index could serve.
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
    for (setting, tables) in [("off", &GROWING.map(str::to_owned).to_vec()), ("on", &large)] {
        sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL enable_seqscan = {setting}"))).execute(&mut *conn).await?;
        for (what, statement, parameters) in HOT {
            let plan = plan(conn, statement, parameters).await?;
            let bad: Vec<_> = tables_read_whole(&plan).filter(|table| tables.contains(table)).collect();
            if !bad.is_empty() {
                wrong.insert(format!("{what} reads all of {}", bad.join(", ")));
            }
        }
    }
    for (setting, value) in PLANNED_ONCE {
        sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL {setting} = {value}"))).execute(&mut *conn).await?;
    }
    for (setting, tables) in [("off", None), ("on", Some(&large))] {
        sqlx::raw_sql(AssertSqlSafe(format!("SET LOCAL enable_sort = {setting}"))).execute(&mut *conn).await?;
        for (what, statement, parameters) in LISTS {
            let plan = plan(conn, statement, parameters).await?;
            let is_good = match tables {
                None => !plan.iter().any(|step| step.contains("Sort")),
                Some(large) => list_of(&plan).is_none_or(|table| !large.contains(&table)) || is_walked(&plan),
            };
            if !is_good {
                wrong.insert(format!("the list of {what} is not read in the order of its index"));
            }
        }
    }
    let ok = wrong.is_empty();
    let detail = if ok {
        format!("{} indexes, {} statements use one", declared.len(), HOT.len() + LISTS.len())
    } else {
        wrong.into_iter().collect::<Vec<_>>().join("; ")
    };
    Ok(Finding { check: "indexes are there and used", ok, detail })
}

/// The plan of a statement, step by step.
async fn plan(conn: &mut PgConnection, statement: &str, parameters: usize) -> Result<Vec<String>, StoreError> {
    // The server finds the types of the parameters out by itself.
    let nulls = vec!["NULL"; parameters].join(", ");
    sqlx::raw_sql(AssertSqlSafe(format!("PREPARE hot AS {statement}"))).execute(&mut *conn).await?;
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS off) EXECUTE hot ({nulls})"));
    let plan: Vec<String> = sqlx::query_scalar(explain).persistent(false).fetch_all(&mut *conn).await?;
    sqlx::raw_sql("DEALLOCATE hot").execute(&mut *conn).await?;
    Ok(plan)
}

/// Tables that a plan reads from one end to the other.
fn tables_read_whole(plan: &[String]) -> impl Iterator<Item = String> {
    plan.iter().filter_map(|step| {
        step.split_once("Seq Scan on ").and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned))
    })
}

/// The table that a plan makes a list of.
fn list_of(plan: &[String]) -> Option<String> {
    let (_, table) = plan.iter().find_map(|step| step.strip_suffix(" part")?.rsplit_once(" on "))?;
    Some(table.to_owned())
}

/// Whether a list comes in the order of an index of merchants: not sorted, and not all merchants' rows in turn.
fn is_walked(plan: &[String]) -> bool {
    !plan.iter().any(|step| step.contains("Sort") || step.contains("_pkey on") && step.ends_with(" part"))
}
