//! Whether the statements that must stay quick are planned with their indexes. The statements are the ones that run.

use super::{
    MIGRATOR, activity, alert_mail, balance, chunk, inbound, intake, mail, notifications, orders, overview, queue, retention,
    search, story, upkeep,
};
use crate::server::store::{Finding, StoreError, indexes::declared};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// What is asked for, the statement, and every index that its plan must name.
const HOT: [(&str, &str, &[&str]); 36] = [
    ("recognising a repeat", intake::SAME_MESSAGE, &["notification_once"]),
    ("finding the order of a message", intake::SAME_ORDER, &["orders_reference"]),
    ("what URLs have outstanding", queue::LANES, &["delivery_fresh", "delivery_again"]),
    ("first tries of a URL", queue::FRESH_LANE, &["delivery_fresh"]),
    ("further tries of a URL", queue::AGAIN_LANE, &["delivery_again"]),
    ("the next first try", queue::FRESH_DUE, &["delivery_fresh"]),
    ("the next further try", queue::AGAIN_DUE, &["delivery_again"]),
    ("what an order waits for", queue::FIRSTS, &["notification_of_order", "delivery_open"]),
    ("what commands left to do", upkeep::LOOK, &["delivery_orphan"]),
    ("counting against the books", balance::COUNT_INDEXED, &["delivery_fresh", "delivery_held", "delivery_expired"]),
    ("the list of orders", orders::NEWEST, &["orders_newest"]),
    ("orders of a status", orders::NEWEST_OF_STATUS, &["orders_status"]),
    ("TEST orders of a status", orders::NEWEST_TEST_OF_STATUS, &["orders_test_status"]),
    ("TEST orders", orders::NEWEST_TEST, &["orders_test"]),
    ("searching orders", orders::BY_TEXT, &["orders_reference", "orders_external", "orders_email"]),
    ("how deliveries of orders stand", orders::SUMMARIES, &["notification_of_order", "delivery_of_notification"]),
    ("the page of an order", notifications::NOTIFICATIONS_OF, &["notification_of_order"]),
    (
        "the story of an order",
        story::EVENTS,
        &[
            "notification_of_order",
            "delivery_of_notification",
            "refusal_of_order",
            "audit_of_urls",
            "verifying_of_order",
            "mail_of_order",
        ],
    ),
    ("how messages stand at URLs", story::STANDINGS, &["notification_of_order", "delivery_of_notification"]),
    ("the attempts of a story", story::ATTEMPTS, &["sqlite_autoindex_attempt_1"]),
    ("the dashboard", overview::URL_STATES, &["delivery_retrying", "delivery_expired"]),
    ("the page of a listener", overview::REFUSED_BY, &["refusal_of_listener"]),
    ("what came in", inbound::NEWEST, &["notification_newest"]),
    ("searching what came in", inbound::BY_TEXT, &["orders_reference", "orders_external", "notification_message"]),
    ("what was refused", inbound::NEWEST_REFUSED, &["refusal_of_merchant"]),
    ("whom to mail", mail::CANDIDATES, &["notification_newest", "notification_of_order"]),
    ("mails that are due", mail::DUE, &["mail_due"]),
    ("mails that were given up", mail::FAILED, &["mail_failed"]),
    ("alerts that are due by mail", alert_mail::DUE, &["alert_mail_due"]),
    ("alerts that were mailed", alert_mail::LAST, &["alert_mail_of_merchant"]),
    ("what was refused lately", activity::REFUSED_LATELY, &["refusal_of_listener"]),
    ("searching everything", search::ORDERS, &["orders_reference", "orders_external", "orders_email"]),
    ("searching messages", search::BY_MESSAGE, &["notification_message"]),
    ("what a resend puts right", chunk::PUT_RIGHT, &["delivery_of_notification"]),
    ("what a resend has put right", chunk::WAS_PUT_RIGHT, &["delivery_of_notification"]),
    ("what keeps bytes", retention::FREE, &["delivery_open"]),
];

/// Every index is there, and the hot statements use theirs.
pub(super) async fn check(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let query = "SELECT name FROM sqlite_master WHERE type = 'index'";
    let there: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *conn).await?;
    let declared = declared(&MIGRATOR);
    let mut wrong: Vec<String> =
        declared.iter().filter(|name| !there.contains(name)).map(|name| format!("the index {name} is missing")).collect();
    for (what, statement, indexes) in HOT {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut *conn).await?;
        let uses = |index: &str| steps.iter().any(|(.., step)| step.split_whitespace().any(|word| word == index));
        let missed: Vec<_> = indexes.iter().filter(|index| !uses(index)).copied().collect();
        if !missed.is_empty() {
            wrong.push(format!("{what} does not use {}", missed.join(", ")));
        }
    }
    let ok = wrong.is_empty();
    let detail = if ok { format!("{} indexes, {} statements use theirs", declared.len(), HOT.len()) } else { wrong.join("; ") };
    Ok(Finding { check: "indexes are there and used", ok, detail })
}
