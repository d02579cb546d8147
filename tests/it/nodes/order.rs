//! Order within orders, when a URL moves from node to node.

use super::*;
use quittance::{
    domain::{Timestamp, id::OrderId},
    server::clock::{Clock, ClockHand},
};

const PENDING: &str = "20260301120000";
const COMPLETE: &str = "20260301120001";

fn in_order(draft: &mut UrlDraft) {
    (draft.concurrent, draft.order_in_order) = (true, true);
}

async fn node(installation: &Installation, clock: &Clock) -> TestApp {
    let address = format!("{}?sslmode=disable", postgres::address_at(postgres::port(), &installation.name));
    let database = Some((Address::parse(&address).unwrap(), installation.key_file()));
    TestApp::start_as(Setup { clock: clock.clone(), database, ..Setup::default() }).await
}

/// Two nodes on one clock that stands still.
async fn two_nodes(installation: &Installation) -> (TestApp, TestApp, ClockHand) {
    let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_772_366_400));
    (node(installation, &clock).await, node(installation, &clock).await, hand)
}

/// The first visit fails, everything else is confirmed.
async fn slips_once() -> FakeMerchant {
    FakeMerchant::start(|visit| if visit.number == 1 { Answer::status(500, "") } else { Answer::receipt("md5", visit) }).await
}

fn statuses(merchant: &FakeMerchant, reference: &str) -> Vec<String> {
    let visits = merchant.visits().into_iter().filter(|visit| visit.field("REFNO") == reference);
    visits.map(|visit| visit.field("ORDERSTATUS")).collect()
}

/// The first message of order 1 has failed at the node that serves the URL, and is due later.
async fn with_a_failed_first(shop: &Shop, url: UrlId) -> OrderId {
    let order = shop.accepted(&Message::small("1", "PENDING", PENDING)).await;
    shop.wait_for_attempts(order, url, 1).await;
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_at_a_node_that_left_goes_before_what_came_since() {
    let installation = Installation::new().await;
    let (one, two, hand) = two_nodes(&installation).await;
    let merchant = slips_once().await;
    let shop = one.shop("Shop").await;
    let url = shop.url_as(&merchant.url(), in_order).await;
    let order = with_a_failed_first(&shop, url).await;
    let other = at(&shop, &two).await;
    one.stop().await;
    other.accepted(&Message::small("1", "COMPLETE", COMPLETE)).await;
    let healthy = other.order("2").await;
    other.wait_for_state(healthy, url, DeliveryState::Confirmed).await;
    assert_eq!(statuses(&merchant, "1"), ["PENDING"], "and other orders go on");
    hand.advance(Duration::from_secs(150));
    until("all of the order", || async {
        let deliveries = other.deliveries(order).await;
        let done = deliveries.iter().filter(|delivery| delivery.state == DeliveryState::Confirmed).count();
        (done == 2).then_some(())
    })
    .await;
    assert_eq!(statuses(&merchant, "1"), ["PENDING", "PENDING", "COMPLETE"]);
    two.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_has_finished_is_not_waited_for() {
    let installation = Installation::new().await;
    let (one, two, hand) = two_nodes(&installation).await;
    let merchant = slips_once().await;
    let shop = one.shop("Shop").await;
    let url = shop.url_as(&merchant.url(), in_order).await;
    let order = with_a_failed_first(&shop, url).await;
    let other = at(&shop, &two).await;
    // The first is declared dead, as if it had been paused. What it had is finished by whoever takes it.
    let mut conn = installation.connection().await;
    let first: i64 = sqlx::query_scalar("SELECT node_id FROM lease").fetch_one(&mut conn).await.unwrap();
    for statement in [
        "UPDATE line SET open = false WHERE node_id = $1",
        "DELETE FROM lease WHERE node_id = $1",
        "UPDATE node SET ended_at = clock_timestamp() WHERE id = $1",
    ] {
        sqlx::query(statement).bind(first).execute(&mut conn).await.unwrap();
    }
    sqlx::query("SELECT pg_notify('quittance', 'nodes')").execute(&mut conn).await.unwrap();
    until("the first to have a place again", || async {
        let alive: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE ended_at IS NULL")
            .fetch_one(&mut installation.connection().await)
            .await
            .unwrap();
        (alive == 2).then_some(())
    })
    .await;
    until("the failed one to have a node again", || async {
        let served: i64 =
            sqlx::query_scalar("SELECT count(*) FROM delivery JOIN node ON node.id = node_id WHERE ended_at IS NULL")
                .fetch_one(&mut installation.connection().await)
                .await
                .unwrap();
        (served == 1).then_some(())
    })
    .await;
    hand.advance(Duration::from_secs(150));
    other.wait_for_state(order, url, DeliveryState::Confirmed).await;
    two.stop().await;
    shop.accepted(&Message::small("1", "COMPLETE", COMPLETE)).await;
    wait_until_confirmed(&mut conn, 2, Duration::from_secs(10)).await;
    assert_eq!(statuses(&merchant, "1"), ["PENDING", "PENDING", "COMPLETE"]);
    one.assert_healthy().await;
}

/// A message that was written long after it came, or by a machine whose clock is late, stands before what was read already.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_node_accepted_long_ago_is_read_too() {
    let installation = Installation::new().await;
    let (clock, _hand) = Clock::manual(Timestamp::from_seconds(1_772_366_400));
    let (late_clock, _late_hand) = Clock::manual(Timestamp::from_seconds(1_772_366_400 - 600));
    let (one, late) = (node(&installation, &clock).await, node(&installation, &late_clock).await);
    let two = node(&installation, &clock).await;
    let merchant = FakeMerchant::confirming().await;
    let shop = one.shop("Shop").await;
    let url = shop.url_as(&merchant.url(), in_order).await;
    let (at_two, at_late) = (at(&shop, &two).await, at(&shop, &late).await);
    for reference in ["1", "2"] {
        // The first at the node that serves the URL from now on, the second so that it reads the table for it.
        let shop = if reference == "1" { &shop } else { &at_two };
        let order = shop.order(reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    let order = at_late.order("3").await;
    at_late.wait_for_state(order, url, DeliveryState::Confirmed).await;
    one.assert_healthy().await;
}
