//! Nodes whose database goes away.

use super::*;
use quittance::{
    domain::id::{NotificationId, OrderId},
    server::{
        clock::Clock,
        store::{NewResend, OpenAs, Store, StoreSettings},
    },
};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_for_a_while_loses_nothing() {
    let installation = Installation::new().await;
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let proxy = Proxy::to(port).await;
    let node = installation.node_through(proxy.port).await;
    let merchant = FakeMerchant::confirming().await;
    let shop = node.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    shop.url(&merchant.url()).await;
    let mut acknowledged = 0;
    let mut refused = 0;
    let mut number = 0;
    for round in 0..4 {
        // Cut in the middle of everything.
        let until = Instant::now() + Duration::from_millis(400);
        while Instant::now() < until {
            let posts = (0..16).map(|index| {
                let shop = &shop;
                let reference = format!("{}", number + index);
                async move {
                    let message = Message::small(&reference, "COMPLETE", "20260301120009");
                    shop.post_signed(&message, &["md5"]).await
                }
            });
            let cut = async {
                tokio::time::sleep(Duration::from_millis(3 + round * 2)).await;
                if round > 0 && Instant::now() + Duration::from_millis(60) > until {
                    proxy.cut();
                }
            };
            let (replies, ()) = tokio::join!(futures::future::join_all(posts), cut);
            number += 16;
            for reply in replies {
                match reply.status {
                    200 => acknowledged += 1,
                    503 => {
                        assert!(!reply.header("retry-after").is_empty());
                        refused += 1;
                    }
                    status => panic!("{status}"),
                }
            }
        }
        proxy.cut();
        assert_eq!(post(&shop, &format!("while-cut-{round}")).await, 503);
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.mend();
        let shop = &shop;
        let mended = Instant::now();
        while post(shop, &format!("mended-{round}")).await != 200 {
            assert!(mended.elapsed() < Duration::from_secs(10), "it goes on by itself");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        acknowledged += 1;
    }
    assert!(acknowledged > 20 && refused > 0, "{acknowledged} acknowledged, {refused} refused");
    let mut conn = installation.connection().await;
    let stored = stored_for_good(&mut conn).await;
    assert!(stored >= acknowledged, "{stored} stored of {acknowledged} acknowledged");
    wait_until_confirmed(&mut conn, 2 * stored, Duration::from_secs(30)).await;
    assert_eq!(merchant.visits().len() as i64, 2 * stored, "what was recorded is not made again");
    let attempts: i64 = sqlx::query_scalar("SELECT count(*) FROM attempt").fetch_one(&mut conn).await.unwrap();
    assert_eq!(attempts, 2 * stored, "and nothing is booked twice");
    node.assert_healthy().await;
}

/// How many notifications are stored, once what was under way when its connection was cut has been committed or given up.
async fn stored_for_good(conn: &mut PgConnection) -> i64 {
    let mut before = -1;
    loop {
        let stored = sqlx::query_scalar("SELECT count(*) FROM notification").fetch_one(&mut *conn).await.unwrap();
        if stored == before {
            return stored;
        }
        before = stored;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_neither_lost_nor_booked_twice() {
    let installation = Installation::new().await;
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let proxy = Proxy::to(port).await;
    let node = installation.node_through(proxy.port).await;
    let merchant = FakeMerchant::confirming().await;
    let shop = node.shop("Shop").await;
    shop.url(&merchant.url()).await;
    assert_eq!(post(&shop, "warm").await, 200);
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(5)).await;
    // Of a message: its order's number travels with the statement that stores it.
    proxy.lose_the_answer_to(b"lost-1");
    assert_eq!(post(&shop, "lost-1").await, 200, "the database was asked and said that it is there");
    assert!(!proxy.is_waiting());
    wait_until_confirmed(&mut conn, 2, Duration::from_secs(5)).await;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM notification").fetch_one(&mut conn).await.unwrap();
    assert_eq!(stored, 2);
    // Of results.
    proxy.lose_the_answer_to(b"COMMIT");
    assert_eq!(post(&shop, "lost-2").await, 200);
    until("the answer to be lost", || async { (!proxy.is_waiting()).then_some(()) }).await;
    wait_until_confirmed(&mut conn, 3, Duration::from_secs(5)).await;
    assert_eq!(post(&shop, "after").await, 200);
    wait_until_confirmed(&mut conn, 4, Duration::from_secs(5)).await;
    let attempts: i64 = sqlx::query_scalar("SELECT count(*) FROM attempt").fetch_one(&mut conn).await.unwrap();
    assert_eq!((attempts, merchant.visits().len()), (4, 4));
    let repeats: i64 = sqlx::query_scalar("SELECT sum(repeats)::bigint FROM notification").fetch_one(&mut conn).await.unwrap();
    assert_eq!(repeats, 0, "its own message is no repeat");
    node.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_taken_over_by_a_commit_whose_answer_is_lost_are_made() {
    let installation = Installation::new().await;
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let proxy = Proxy::to(port).await;
    let node = installation.node_through(proxy.port).await;
    let merchant = FakeMerchant::confirming().await;
    let shop = node.shop("Shop").await;
    let url = shop.url_as(&merchant.url(), concurrent).await;
    assert_eq!(post(&shop, "once").await, 200);
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(5)).await;
    let tool = StoreSettings {
        open_as: OpenAs::Tool { create: false },
        key_file: Some(installation.key_file()),
        clock: Clock::system(),
    };
    let address = Address::parse(&postgres::address(&installation.name)).unwrap();
    let tool = Store::open(&address, tool, Default::default()).await.unwrap();
    let (notification, order): (i64, i64) =
        sqlx::query_as("SELECT id, order_id FROM notification").fetch_one(&mut conn).await.unwrap();
    let mut lost = 0;
    for round in 2..=6 {
        // Beside the node's own housekeeping nobody else commits a transaction over this way while nothing is delivered.
        proxy.lose_the_answer_to(b"COMMIT");
        let resend = NewResend {
            notification_ids: vec![NotificationId(notification)],
            order_id: OrderId(order),
            url_ids: vec![url],
            addresses: BTreeMap::new(),
            debug: false,
            actor: "test".into(),
            request_key: round.to_string(),
            at: Clock::system().now(),
        };
        tool.resend(shop.merchant.id, resend).await.unwrap();
        until("the node to take it over", || async {
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE node_id = 0 AND state = 0")
                .fetch_one(&mut installation.connection().await)
                .await
                .unwrap();
            (left == 0).then_some(())
        })
        .await;
        lost += u32::from(!proxy.is_waiting());
        wait_until_confirmed(&mut conn, round, Duration::from_secs(30)).await;
    }
    assert!(lost > 0, "an answer was lost before the results were written");
    node.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_does_not_wait_behind_a_backlog_that_is_taken_over() {
    let installation = Installation::new().await;
    let (one, two) = (installation.node().await, installation.node().await);
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let merchant = FakeMerchant::confirming().await;
    let shop = one.shop("Shop").await;
    let down = shop.url_as(&format!("http://{down}/"), concurrent).await;
    let well = shop.url_as(&merchant.url(), concurrent).await;
    assert!(down < well, "so that an index has it first");
    assert_eq!(post(&shop, "once").await, 200);
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(5)).await;
    until("the other delivery to fail", || async {
        let mut conn = installation.connection().await;
        (count(&mut conn, DeliveryState::Retrying).await == 1).then_some(())
    })
    .await;
    one.stop().await;
    two.stop().await;
    // The place of one is taken with the delivery that it has; what the other left is taken over: retries of a script that is
    // down, for tomorrow, and a first try for one that is well.
    sqlx::query("UPDATE delivery SET node_id = (SELECT min(id) FROM node) WHERE state = 2").execute(&mut conn).await.unwrap();
    let copies = "INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, node_id, state, attempts,
            window_from, due_at, created_at)
        SELECT number, notification_id, $1, order_id, merchant_id, origin, (SELECT max(id) FROM node), $2, $3, created_at,
            created_at + $4, created_at
        FROM delivery, generate_series($5, $6) AS number WHERE url_id = $1";
    for (url, state, due, ids) in [(down, 2_i64, 86_400_000_000_i64, (1_i64, 30_000_i64)), (well, 0, 0, (30_001, 30_001))] {
        sqlx::query(copies)
            .bind(url.0)
            .bind(state)
            .bind(state / 2)
            .bind(due)
            .bind(ids.0)
            .bind(ids.1)
            .execute(&mut conn)
            .await
            .unwrap();
        let booked = "INSERT INTO url_books (url_id, page, accepted, queued, retrying) VALUES ($1, 0, $2 + $3, $2, $3)
            ON CONFLICT (url_id, page) DO UPDATE SET accepted = url_books.accepted + excluded.accepted,
                queued = url_books.queued + excluded.queued, retrying = url_books.retrying + excluded.retrying";
        let count = ids.1 - ids.0 + 1;
        let (queued, retrying) = if state == 0 { (count, 0) } else { (0, count) };
        sqlx::query(booked).bind(url.0).bind(queued).bind(retrying).execute(&mut conn).await.unwrap();
    }
    for statement in [
        "CREATE TABLE moved (number bigserial, url_id bigint)",
        "CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            'BEGIN INSERT INTO moved (url_id) VALUES (new.url_id); RETURN NULL; END'",
        "CREATE TRIGGER moves AFTER UPDATE OF node_id ON delivery FOR EACH ROW WHEN (old.node_id <> new.node_id)
            EXECUTE FUNCTION note_move()",
    ] {
        sqlx::query(statement).execute(&mut conn).await.unwrap();
    }
    let node = installation.node().await;
    wait_until_confirmed(&mut conn, 2, Duration::from_secs(15)).await;
    let before: i64 =
        sqlx::query_scalar("SELECT number FROM moved WHERE url_id = $1").bind(well.0).fetch_one(&mut conn).await.unwrap();
    assert!(before < 5_005, "{before} others changed hands before it");
    until("everything to be taken over", || async {
        let moved: i64 =
            sqlx::query_scalar("SELECT count(*) FROM moved").fetch_one(&mut installation.connection().await).await.unwrap();
        (moved == 30_001).then_some(())
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_database_stops_before_another_takes_over() {
    let installation = Installation::new().await;
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let proxy = Proxy::to(port).await;
    let cut_off = installation.node_through(proxy.port).await;
    let merchant =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(150), Box::new(Answer::receipt("md5", visit)))).await;
    let shop = cut_off.shop("Shop").await;
    shop.url(&merchant.url()).await;
    for number in 0..80 {
        assert_eq!(post(&shop, &number.to_string()).await, 200);
    }
    let survivor = installation.node().await;
    proxy.cut();
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 80, Duration::from_secs(30)).await;
    assert_eq!(merchant.peak(), 1, "never two at a time, though each node would have gone on");
    let doubled = merchant.visits().len() - 80;
    assert!(doubled <= 40, "{doubled} doubled: what was sent until the node stopped");
    proxy.mend();
    // The results that it could not write are written now; the deliveries stay confirmed.
    until("the node to have a place again", || async {
        let alive: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE ended_at IS NULL")
            .fetch_one(&mut installation.connection().await)
            .await
            .unwrap();
        (alive == 2 && post(&shop, "later").await == 200).then_some(())
    })
    .await;
    wait_until_confirmed(&mut conn, 81, Duration::from_secs(10)).await;
    assert_eq!(merchant.peak(), 1);
    until("all results to be written", || async {
        let attempts: i64 =
            sqlx::query_scalar("SELECT count(*) FROM attempt").fetch_one(&mut installation.connection().await).await.unwrap();
        (attempts == i64::try_from(merchant.visits().len()).unwrap()).then_some(())
    })
    .await;
    survivor.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_first_keeps_its_place() {
    let installation = Installation::new().await;
    let node = installation.node().await;
    let mut conn = installation.connection().await;
    let before: i64 = sqlx::query_scalar("SELECT run FROM node").fetch_one(&mut conn).await.unwrap();
    // As after a database that nobody could reach for long.
    sqlx::query("UPDATE node SET seen_at = seen_at - interval '1 hour'").execute(&mut conn).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after: (i64, bool) = sqlx::query_as("SELECT run, ended_at IS NULL FROM node").fetch_one(&mut conn).await.unwrap();
    assert_eq!(after, (before, true));
    node.stop().await;
    let ended: bool = sqlx::query_scalar("SELECT ended_at IS NOT NULL FROM node").fetch_one(&mut conn).await.unwrap();
    assert!(ended);
    // The next start takes the place that was left.
    let node = installation.node().await;
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM node").fetch_one(&mut conn).await.unwrap();
    assert_eq!(nodes, 1);
    node.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_were_without_the_database_for_a_minute_do_not_bury_each_other() {
    let installation = Installation::new().await;
    let port = tokio::task::spawn_blocking(postgres::port).await.unwrap();
    let proxy = Proxy::to(port).await;
    let (one, two) = (installation.node_through(proxy.port).await, installation.node_through(proxy.port).await);
    let merchant = FakeMerchant::confirming().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    merchant.answer(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit))));
    let shop = one.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let other = at(&shop, &two).await;
    for number in 0..10 {
        assert_eq!(post(if number % 2 == 0 { &shop } else { &other }, &number.to_string()).await, 200);
    }
    until("all to be on their way", || async { (merchant.visits().len() == 10).then_some(()) }).await;
    let mut conn = installation.connection().await;
    let runs = "SELECT run FROM node WHERE ended_at IS NULL ORDER BY run";
    let before: Vec<i64> = sqlx::query_scalar(runs).fetch_all(&mut conn).await.unwrap();
    proxy.cut();
    gate.add_permits(1_000);
    for (shop, reference) in [(&shop, "gone-1"), (&other, "gone-2")] {
        assert_eq!(post(shop, reference).await, 503);
    }
    // Longer than a silent node is given, and than clocks may be apart.
    tokio::time::sleep(Duration::from_secs(65)).await;
    proxy.mend();
    // The gateways come again, as they were told.
    for (shop, reference) in [(&shop, "gone-1"), (&other, "gone-2"), (&other, "later")] {
        until("it to go on by itself", || async { (post(shop, reference).await == 200).then_some(()) }).await;
    }
    wait_until_confirmed(&mut conn, 13, Duration::from_secs(20)).await;
    // As long as the one that buries looks at others' silence.
    tokio::time::sleep(Duration::from_secs(9)).await;
    let after: Vec<i64> = sqlx::query_scalar(runs).fetch_all(&mut conn).await.unwrap();
    assert_eq!(after, before, "both have kept their places");
    assert_eq!(merchant.visits().len(), 13, "nothing is sent twice");
    one.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_with_a_place_is_announced_although_the_database_fails_at_that_moment() {
    let installation = Installation::new().await;
    let node = installation.node().await;
    let merchant = FakeMerchant::confirming().await;
    let shop = node.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    assert_eq!(post(&shop, "1").await, 200);
    let mut conn = installation.connection().await;
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(5)).await;
    // A first try that nobody has announced.
    sqlx::raw_sql(
        "UPDATE delivery SET state = 0, due_at = created_at, attempts = 0, window_from = NULL, finished_at = NULL;
         DELETE FROM attempt;
         UPDATE url_books SET queued = queued + 1, confirmed = confirmed - 1 WHERE confirmed > 0",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    // The node finds itself dead while nobody can read what URLs have outstanding.
    let mut aside = installation.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE url_books IN ACCESS EXCLUSIVE MODE").execute(&mut aside).await.unwrap();
    sqlx::raw_sql("UPDATE line SET open = false; UPDATE node SET ended_at = clock_timestamp()").execute(&mut conn).await.unwrap();
    until("a new place", || async {
        let alive: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE ended_at IS NULL")
            .fetch_one(&mut installation.connection().await)
            .await
            .unwrap();
        (alive == 1).then_some(())
    })
    .await;
    // Longer than a statement waits for a lock.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(merchant.visits().len(), 1);
    sqlx::raw_sql("ROLLBACK").execute(&mut aside).await.unwrap();
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(10)).await;
    assert_eq!(merchant.visits().len(), 2);
}

/// Attempts are refused that fit a condition.
async fn refuse_attempts(conn: &mut PgConnection, condition: &str) {
    let statement = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF {condition} THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON attempt FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(conn).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_the_database_refuses_keeps_no_other_from_being_written() {
    let installation = Installation::new().await;
    let node = installation.node().await;
    let merchant = FakeMerchant::start(|visit| match visit.field("REFNO").as_str() {
        "bad" => Answer::status(418, "no"),
        _ => Answer::receipt("md5", visit),
    })
    .await;
    let shop = node.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let mut conn = installation.connection().await;
    refuse_attempts(&mut conn, "NEW.status = 418").await;
    for reference in ["1", "bad", "2"] {
        assert_eq!(post(&shop, reference).await, 200);
    }
    wait_until_confirmed(&mut conn, 2, Duration::from_secs(10)).await;
    until("the refused one to be set aside", || async {
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_stuck")
            .fetch_one(&mut installation.connection().await)
            .await
            .unwrap();
        (kept == 1).then_some(())
    })
    .await;
    assert_eq!(post(&shop, "3").await, 200);
    wait_until_confirmed(&mut conn, 3, Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_the_database_refuses_do_not_make_a_delivery_be_sent_again() {
    let installation = Installation::new().await;
    let node = installation.node().await;
    let merchant = FakeMerchant::confirming().await;
    let shop = node.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let mut conn = installation.connection().await;
    refuse_attempts(&mut conn, "NEW.address IS NOT NULL").await;
    assert_eq!(post(&shop, "1").await, 200);
    wait_until_confirmed(&mut conn, 1, Duration::from_secs(10)).await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM journal_stuck").fetch_one(&mut conn).await.unwrap();
    assert_eq!((kept, merchant.visits().len()), (0, 1));
    node.assert_healthy().await;
}
