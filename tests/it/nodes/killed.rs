//! Nodes that die, or are paused for so long that the others think so.

use super::*;

/// The program as a process, on the database of others.
struct Process {
    program: Arc<Program>,
    server: Server,
}

impl Process {
    async fn start(installation: &Installation) -> Self {
        let program = Arc::new(Program::on(postgres::address(&installation.name)));
        if installation.key_file().exists() {
            std::fs::copy(installation.key_file(), program.key_file()).unwrap();
        }
        let starting = program.clone();
        let server = tokio::task::spawn_blocking(move || starting.serve()).await.unwrap();
        if !installation.key_file().exists() {
            std::fs::copy(program.key_file(), installation.key_file()).unwrap();
        }
        Self { program, server }
    }

    async fn post(&self, path: &str, reference: &str) -> u16 {
        let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
        gateway::post(self.server.address, path, body).await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_replaced_within_fifteen_seconds() {
    let installation = Installation::new().await;
    let survivor = installation.node().await;
    let gate = Arc::new(Semaphore::new(0));
    let shut = gate.clone();
    let merchant = FakeMerchant::start(move |visit| Answer::Gated(shut.clone(), Box::new(Answer::receipt("md5", visit)))).await;
    let shop = survivor.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let doomed = Process::start(&installation).await;
    // The lease of the second URL goes to the node that will die.
    shop.url(&merchant.url()).await;
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    for number in 0..40 {
        assert_eq!(doomed.post(&shop.path(), &number.to_string()).await, 200);
    }
    let mut conn = installation.connection().await;
    assert_eq!(count(&mut conn, DeliveryState::Confirmed).await, 0);
    let killed = Instant::now();
    drop(doomed.program);
    doomed.server.kill();
    gate.add_permits(10_000);
    wait_until_confirmed(&mut conn, 80, TAKE_OVER).await;
    assert!(killed.elapsed() < TAKE_OVER);
    assert_eq!(references(&merchant).len(), 40);
    survivor.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_paused_gives_up_what_was_taken_and_begins_anew() {
    let installation = Installation::new().await;
    let survivor = installation.node().await;
    let shop = survivor.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "not now")).await;
    let (many, single) = (shop.url_as(&merchant.url(), concurrent).await, shop.url(&merchant.url()).await);
    let paused = Process::start(&installation).await;
    assert_eq!(paused.post(&shop.path(), "1001").await, 200);
    let order = shop.order_named("1001").await;
    for url in [many, single] {
        shop.wait_for_attempts(order, url, 1).await;
    }
    paused.server.signal("STOP");
    let mut conn = installation.connection().await;
    let served_by_survivor = async |url: UrlId| {
        let lanes = survivor.services.store.lanes().await.unwrap();
        lanes.iter().any(|lane| lane.url_id == url)
    };
    let stopped = Instant::now();
    while !(served_by_survivor(many).await && served_by_survivor(single).await) {
        assert!(stopped.elapsed() < TAKE_OVER, "not taken over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    paused.server.signal("CONT");
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let visits = merchant.visits().len();
    until("the paused node to have a place again", || async {
        let alive: i64 = sqlx::query_scalar("SELECT count(*) FROM node WHERE ended_at IS NULL")
            .fetch_one(&mut installation.connection().await)
            .await
            .unwrap();
        (alive == 2).then_some(())
    })
    .await;
    for number in 0..10 {
        assert_eq!(paused.post(&shop.path(), &format!("later-{number}")).await, 200);
    }
    wait_until_confirmed(&mut conn, 20, Duration::from_secs(10)).await;
    assert_eq!(merchant.visits().len() - visits, 20, "none twice");
    survivor.assert_healthy().await;
    drop(paused.program);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_any_nodes_death() {
    let installation = Installation::new().await;
    let survivor = installation.node().await;
    let merchant = FakeMerchant::start(|visit| {
        let span = Duration::from_millis(u64::try_from(visit.number % 7).unwrap());
        Answer::Later(span, Box::new(Answer::receipt("md5", visit)))
    })
    .await;
    let shop = survivor.shop("Shop").await;
    shop.url_as(&merchant.url(), concurrent).await;
    let acknowledged = Arc::new(std::sync::Mutex::new(HashSet::new()));
    for round in 0..3 {
        let doomed = Process::start(&installation).await;
        let senders: Vec<_> = (0..6)
            .map(|sender| {
                let (path, acknowledged) = (shop.path(), acknowledged.clone());
                // Two of them post to the node that stays.
                let address = if sender < 4 { doomed.server.address } else { survivor.address };
                tokio::spawn(async move {
                    for number in 0..400 {
                        let reference = format!("{round}-{sender}-{number}");
                        let message = Message::small(&reference, "COMPLETE", "20260301120009");
                        let form = gateway::form(&path, message.body(GATEWAY_KEY, &["md5"]));
                        let Ok(reply) = gateway::try_send(address, form).await else { return };
                        assert!(reply.status == 200 && reply.has_receipt(), "{reply:?}");
                        acknowledged.lock().unwrap().insert(reference);
                    }
                })
            })
            .collect();
        let before = acknowledged.lock().unwrap().len();
        until("messages to be acknowledged", || async {
            (acknowledged.lock().unwrap().len() >= before + 100 + round * 60).then_some(())
        })
        .await;
        drop(doomed.program);
        doomed.server.kill();
        for sender in senders {
            sender.await.unwrap();
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut conn = installation.connection().await;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM notification").fetch_one(&mut conn).await.unwrap();
    wait_until_confirmed(&mut conn, stored, TAKE_OVER).await;
    let told = references(&merchant);
    assert!(acknowledged.is_subset(&told), "nothing acknowledged is lost");
    // In flight when a node died, and the results that it had not written yet.
    let doubled = merchant.visits().len() - told.len();
    assert!(doubled <= 3 * 64, "{doubled} doubled");
    survivor.assert_healthy().await;
}

/// Has many deliveries given up, as if their two days had passed.
async fn give_up(conn: &mut PgConnection, now: i64) {
    let give_up =
        "WITH ended AS (UPDATE delivery SET state = 5, due_at = NULL, finished_at = $1 WHERE state = 2 RETURNING url_id)
        INSERT INTO url_books (url_id, page, retrying, expired)
        SELECT url_id, 0, -count(*), count(*) FROM ended GROUP BY url_id
        ON CONFLICT (url_id, page) DO UPDATE SET retrying = url_books.retrying + excluded.retrying,
            expired = url_books.expired + excluded.expired";
    sqlx::query(give_up).bind(now).execute(conn).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_resend_is_done_by_whoever_is_left() {
    let installation = Installation::new().await;
    let survivor = installation.node().await;
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let shop = survivor.shop("Shop").await;
    let (many, single) = (shop.url_as(&merchant.url(), concurrent).await, shop.url(&merchant.url()).await);
    let doomed = Process::start(&installation).await;
    let mut last = None;
    for number in 0..60 {
        last = Some(shop.order(&number.to_string()).await);
    }
    for url in [many, single] {
        shop.wait_for_attempts(last.unwrap(), url, 1).await;
    }
    let mut conn = installation.connection().await;
    until("all to fail", || async {
        let mut conn = installation.connection().await;
        (count(&mut conn, DeliveryState::Retrying).await == 120).then_some(())
    })
    .await;
    give_up(&mut conn, survivor.services.clock.now().micros()).await;
    // A command asks for it; both nodes work at it, and one dies in the middle.
    let gate = Arc::new(Semaphore::new(0));
    let shut = gate.clone();
    merchant.answer(move |visit| Answer::Gated(shut.clone(), Box::new(Answer::receipt("md5", visit))));
    let program = doomed.program.clone();
    let recover = ["recover", "--merchant", "Shop", "--since", "1h", "--json"];
    let started = tokio::task::spawn_blocking(move || program.run(&recover).json()).await.unwrap();
    assert_eq!((started["deliveries"].as_u64(), started["served"].as_bool()), (Some(120), Some(true)), "{started}");
    let id = started["bulk"].as_str().unwrap().parse().unwrap();
    until("all to be made", || async {
        let page = survivor.services.bulk_page(&shop.merchant, id, true).await.unwrap();
        (page.job.made == 120).then_some(())
    })
    .await;
    drop(doomed.program);
    doomed.server.kill();
    gate.add_permits(10_000);
    wait_until_confirmed(&mut conn, 120, TAKE_OVER).await;
    let page = until("its end", || async {
        let page = survivor.services.bulk_page(&shop.merchant, id, true).await.unwrap();
        page.job.finished_at.map(|_| page)
    })
    .await;
    assert_eq!((page.job.made, page.standing.confirmed.number), (120, 120));
    let made: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE origin = 3").fetch_one(&mut conn).await.unwrap();
    assert_eq!(made, 120, "no step was made twice");
    survivor.assert_healthy().await;
}
