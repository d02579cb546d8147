//! `quittance copy`: an installation with everything in it moves from SQLite to PostgreSQL, and goes on there.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Setup, TestApp},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::Message,
    postgres,
    program::Program,
    stores::{self, START, TestStore, received, url_draft},
    until,
};
use quittance::{
    domain::{
        Cause, DeliveryState, OrderStatus, RefusalReason, Role, Tags, Timestamp, Triggers, Zone,
        attempt::{Timings, VerdictDetail},
        id::{ListenerId, MerchantId, OrderId, UrlId},
        mail::{MailCause, MailSettings},
        pages::{bulk::BulkTarget, deliveries::DeliveryFilter, settings::AlertKind, views::ListKind},
    },
    server::store::{
        self, Address, AttemptRecord, BulkOrder, Copied, CopyError, CopySettings, Feed, Job, Link, NewBulk, NewMail, NewRefusal,
        NewResend, NewUser, NewVerifying, NewView, Next, OpenAs, OwnHeader, Secret, SessionRecord, Store, StoreError,
        StoreSettings, UrlDraft, known_columns,
    },
};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

/// A source with something of everything in it.
struct Full {
    test: TestStore,
    merchant: MerchantId,
    listener: ListenerId,
    /// Confirms.
    url: UrlId,
    held: UrlId,
    orders: Vec<OrderId>,
    good: FakeMerchant,
    shadowed: FakeMerchant,
}

fn record(job: &Job, next: Next) -> AttemptRecord {
    let cause = (next != Next::Confirmed).then_some(Cause::ServerError);
    AttemptRecord {
        delivery_id: job.delivery_id,
        merchant_id: job.merchant_id,
        order_id: job.order_id,
        url_id: job.url_id,
        started_at: START,
        finished_at: START.plus(Duration::from_millis(40)),
        window_from: START,
        address: Some("127.0.0.1:80".to_owned()),
        status: Some(if cause.is_some() { 500 } else { 200 }),
        cause,
        detail: VerdictDetail { note: "noted\u{0}".to_owned(), ..VerdictDetail::default() },
        timings: Timings { connect: Some(500), total: 40_000, ..Timings::default() },
        request_head: "POST /ipn HTTP/1.1\r\n".to_owned(),
        request_body: "REFNO=1".into(),
        answer_head: "HTTP/1.1 200 OK\r\n".to_owned(),
        answer_body: vec![0, 159, 146, 150].into(),
        shadow: false,
        next,
    }
}

fn body(reference: &str) -> String {
    Message::full(reference, "COMPLETE").body(GATEWAY_KEY, &["md5", "sha3"])
}

impl Full {
    async fn new() -> Self {
        let test = stores::sqlite().await;
        let (good, shadowed) = (FakeMerchant::confirming().await, FakeMerchant::confirming().await);
        let merchant = test.merchant("Shop").await;
        let listener = test.listener(merchant).await;
        let url = test.url(merchant, &good.url()).await;
        let add = async |change: fn(&mut UrlDraft), url: &str| {
            let mut draft = url_draft(merchant, url);
            change(&mut draft);
            test.store.add_url(draft, "test".to_owned()).await.unwrap()
        };
        let held = add(|draft| draft.held = true, &good.url()).await;
        let removed = add(|draft| draft.is_default = true, &good.url()).await;
        add(|draft| draft.terms.shadow = true, &shadowed.url()).await;
        let own = |draft: &mut UrlDraft| {
            draft.held = true;
            draft.concurrent = true;
            draft.terms.authority = "-----BEGIN CERTIFICATE-----".to_owned();
            draft.terms.rate_per_second = Some(7);
            draft.terms.max_in_flight = 9;
            draft.terms.triggers = Some("COMPLETE".parse().unwrap());
            draft.headers = vec![OwnHeader { name: "X-Shop".to_owned(), value: Secret::new("7") }];
        };
        add(own, &good.url()).await;
        let mut full = Self { test, merchant, listener, url, held, orders: Vec::new(), good, shadowed };
        for (reference, next) in [
            ("confirmed", Some(Next::Confirmed)),
            ("retrying", Some(Next::Retry(START.plus(MINUTE)))),
            ("expired", Some(Next::Expired)),
            ("queued", None),
            ("zero\u{0}", None),
        ] {
            let job = full.accept(reference).await;
            full.orders.push(job.order_id);
            if let Some(next) = next {
                full.test.record(vec![record(&job, next)]).await;
            }
        }
        full.test.store.remove_url(merchant, removed, "test".to_owned()).await.unwrap();
        full.test.store.cancel_open(removed).await.unwrap();
        full.others().await;
        full
    }

    /// Accepts a message; gives its delivery to the first URL.
    async fn accept(&mut self, reference: &str) -> Job {
        let mut new = received(self.merchant, self.listener, &body(reference));
        new.facts.reference = reference.into();
        let acceptance = self.test.accept(new).await;
        loop {
            let jobs = self.test.jobs.recv().await.unwrap();
            let mine = |job: &Job| job.notification_id == acceptance.notification_id && job.url_id == self.url;
            if let Some(job) = jobs.into_iter().find(mine) {
                return job;
            }
        }
    }

    /// What is beside the way of a message.
    async fn others(&self) {
        let (test, store) = (&self.test, &self.test.store);
        assert!(test.accept(received(self.merchant, self.listener, &body("queued"))).await.repeated);
        let mut placed = received(self.merchant, self.listener, &body("TEST-1"));
        (placed.listener_id, placed.facts.test) = (None, true);
        test.accept(placed).await;
        let confirmed = store.order_by_reference(self.merchant, "confirmed").await.unwrap().unwrap();
        let resend = NewResend {
            notification_ids: store.notifications_of(confirmed).await.unwrap().iter().map(|one| one.id).collect(),
            order_id: confirmed,
            url_ids: vec![self.url],
            addresses: [(self.url, "https://old.example.com/ipn".to_owned())].into(),
            debug: false,
            actor: "support@example.com".into(),
            request_key: "once".to_owned(),
            at: START,
        };
        store.resend(self.merchant, resend).await.unwrap();
        let filter = DeliveryFilter { text: "nothing has this reference".to_owned(), ..DeliveryFilter::default() };
        let bulk = NewBulk {
            order: BulkOrder { filter, target: BulkTarget::Same },
            expected: Some(0),
            actor: "support@example.com".into(),
            request_key: "many".to_owned(),
            at: START,
            starts_at: START,
        };
        store.add_bulk(self.merchant, bulk).await.unwrap();
        store.note_certificate(self.url, "https://shop.example.com/ipn".to_owned(), START).await.unwrap();
        store.set_time_zone(self.merchant, Zone::parse("Asia/Ho_Chi_Minh").unwrap(), "test".to_owned()).await.unwrap();
        let refusal = NewRefusal {
            merchant_id: Some(self.merchant),
            listener_id: Some(self.listener),
            at: START,
            reason: RefusalReason::WrongSignature,
            detail: "HASH".to_owned(),
            peer: "127.0.0.1".into(),
            head: "POST /ipn/x HTTP/1.1\r\n".to_owned(),
            body: "REFNO=1".into(),
            size: 7,
            suppressed: 3,
            reference: String::new(),
        };
        store.refuse(refusal).await.unwrap();
        for (email, role, merchants) in
            [("a@example.com", Role::Admin, vec![]), ("m@example.com", Role::Merchant, vec![self.merchant])]
        {
            let user = NewUser { email: email.to_owned(), password_hash: "hash".to_owned(), role, merchants };
            let user_id = store.add_user(user, false, "test".to_owned()).await.unwrap();
            let view = NewView {
                user_id,
                merchant_id: self.merchant,
                list: ListKind::Inbound,
                name: "Refused".to_owned(),
                query: "?outcome=refused".to_owned(),
            };
            assert!(store.save_view(view).await.unwrap());
            let mut token_hash = [0; 32];
            token_hash[..email.len()].copy_from_slice(email.as_bytes());
            let expires_at = START.plus(MINUTE * 60);
            let (address, agent) = ("203.0.113.7".to_owned(), "Firefox".to_owned());
            let session = SessionRecord { token_hash, user_id, created_at: START, expires_at, address, agent };
            store.add_session(session).await.unwrap();
        }
        let until = START.plus(MINUTE * 60 * 24);
        store.set_secret_key(self.merchant, Secret::new("the next key"), until, "test").await.unwrap();
        store.set_content(self.merchant, Triggers::ALL, Tags::only("CURRENCY"), "test").await.unwrap();
        assert!(
            store
                .claim_alert(
                    self.url,
                    AlertKind::Failing,
                    START,
                    Timestamp(0),
                    vec![crate::alert_mail::alert_mail(self.merchant)]
                )
                .await
                .unwrap()
        );
        store.set_mail(self.merchant, MailSettings { tests: true, ..MailSettings::default() }, "test").await.unwrap();
        store.settled().await.unwrap();
        let told = store.mail_candidates(self.merchant, Timestamp(0), None, &OrderStatus::ALL, 1).await.unwrap().remove(0);
        let mail = NewMail {
            merchant_id: self.merchant,
            order_id: told.order_id,
            notification_id: told.notification_id,
            status: told.status,
            recipient: "ana@example.com".to_owned(),
            sender: String::new(),
            sender_name: "Shop".to_owned(),
            subject: "Subject".to_owned(),
            text: "Text".to_owned(),
            cause: Some(MailCause::BadAddress),
        };
        assert_eq!(store.add_mails(vec![mail]).await.unwrap(), 1);
        let waits = NewVerifying {
            merchant_id: self.merchant,
            listener_id: self.listener,
            received_at: START,
            reference: "9001".to_owned(),
            peer: "203.0.113.7".to_owned(),
            head: "POST /ipn HTTP/1.1\r\n".to_owned(),
            body: "txn_id=9001".into(),
        };
        assert!(!store.add_verifying(waits).await.unwrap(), "it had not come before");
        let taken = store.take_verifying(START.plus(MINUTE), Vec::new(), 1, 1).await.unwrap().remove(0);
        store.postpone_verifying(taken.id, START.plus(MINUTE), "no word yet".to_owned()).await.unwrap();
        let invited =
            NewUser { email: "i@example.com".to_owned(), password_hash: String::new(), role: Role::Support, merchants: vec![] };
        let link = Link { token_hash: [8; 32], expires_at: START.plus(MINUTE) };
        let invited = store.invite_user(invited, link, "test").await.unwrap();
        store.change_user(invited, Role::Merchant, vec![self.merchant], "test").await.unwrap();
        store.set_setup_token([9; 32]).await.unwrap();
        test.sql("INSERT INTO journal_stuck (id, events) VALUES (1, x'00')").await;
    }

    async fn copy_to(&self, name: &str) -> Result<Copied, CopyError> {
        let settings = CopySettings {
            from: self.test.address.clone(),
            from_key_file: None,
            to: target(name),
            to_key_file: Some(self.key_file()),
            clock: self.test.clock.clone(),
        };
        store::copy(settings, |_| {}).await
    }

    /// A key of the target's own.
    fn key_file(&self) -> PathBuf {
        self.test.folder.path().join("target.key")
    }

    async fn target(&self, name: &str) -> Result<Store, StoreError> {
        let settings = StoreSettings {
            open_as: OpenAs::Tool { create: false },
            key_file: Some(self.key_file()),
            clock: self.test.clock.clone(),
        };
        Store::open(&target(name), settings, Feed::default()).await
    }
}

fn target(name: &str) -> Address {
    Address::parse(&postgres::address(name)).unwrap()
}

/// All that pages show of a merchant, in words that do not depend on the engine.
async fn shown(store: &Store, full: &Full) -> String {
    let mut text = String::new();
    let (orders, ..) = store.find_orders(full.merchant, &Default::default()).await.unwrap();
    for order in &orders {
        let notifications = store.notifications_of(order.id).await.unwrap();
        text.push_str(&format!("{order:#?}\n{notifications:#?}\n"));
        for delivery in notifications.iter().flat_map(|notification| &notification.deliveries) {
            for attempt in store.attempts_of(delivery.id, None).await.unwrap() {
                text.push_str(&format!("{:#?}\n", store.exchanges(&[(delivery.id, attempt.number)]).await.unwrap()));
            }
        }
        for notification in &notifications {
            text.push_str(&format!("{:#?}\n", store.notification(full.merchant, notification.id).await.unwrap()));
        }
    }
    let received = store.received_by(full.listener).await.unwrap();
    let refused = store.refused_by(full.listener).await.unwrap();
    let counts = store.counts(&[full.merchant], START).await.unwrap();
    let mut states: Vec<_> = store.url_states(&[full.merchant], START).await.unwrap().into_iter().collect();
    states.sort_by_key(|(id, _)| *id);
    let mut people = Vec::new();
    for email in ["a@example.com", "m@example.com"] {
        let mut token_hash = [0; 32];
        token_hash[..email.len()].copy_from_slice(email.as_bytes());
        people.push((store.user_by_email(email).await.unwrap(), store.session_user(&token_hash, START).await.unwrap()));
    }
    let settings = store.settings();
    let (merchants, urls) = (settings.merchants(), settings.urls_of(full.merchant));
    let token = store.setup_token().await.unwrap();
    let mails = (store.failed_mails(full.merchant, None, 9).await.unwrap(), store.alert_mails(full.merchant, 9).await.unwrap());
    let waiting = store.waiting_long(&[full.merchant], START.plus(MINUTE * 60)).await.unwrap();
    text.push_str(&format!(
        "{mails:#?}\n{waiting:#?}\n{received:#?}\n{refused:#?}\n{counts:#?}\n{states:#?}\n{people:#?}\n{merchants:#?}\n{urls:#?}\n{token:?}"
    ));
    text.replace("\\0", "\u{fffd}").replace('\0', "\u{fffd}")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_and_pages_show_the_same() {
    let full = Full::new().await;
    let before = shown(&full.test.store, &full).await;
    full.test.store.close().await;
    let name = postgres::database().await;
    let copied = full.copy_to(&name).await.unwrap();
    assert!(copied.is_equal(), "{copied:#?}");
    for table in &copied.tables {
        assert!(table.target.rows > 0, "the source should hold something of everything: {}", table.name);
    }
    let moved = full.target(&name).await.unwrap();
    let after = shown(&moved, &full).await;
    let differs = before.lines().zip(after.lines()).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(before.lines().count(), after.lines().count());
    assert!(before.contains("Expired") && before.contains("Held") && before.contains("Cancelled") && before.contains("Retrying"));
    let findings = moved.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).map(|finding| finding.check).collect();
    assert_eq!(wrong, ["what was promised is in the ledger"], "what was set aside came along");
    moved.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_on_the_copy_goes_on_where_the_other_stopped() {
    let full = Full::new().await;
    full.test.store.close().await;
    full.test.sql("DELETE FROM journal_stuck").await;
    let name = postgres::database().await;
    full.copy_to(&name).await.unwrap();
    let setup = Setup { clock: full.test.clock.clone(), database: Some((target(&name), full.key_file())), ..Setup::default() };
    let app = TestApp::start_as(setup).await;
    let store = &app.services.store;
    let state_of = async |reference: &str| {
        let order = store.order_by_reference(full.merchant, reference).await.unwrap().unwrap();
        let notification = store.notifications_of(order).await.unwrap().swap_remove(0);
        let delivery = notification.deliveries.into_iter().find(|delivery| delivery.url_id == full.url).unwrap();
        (delivery.state, notification.repeats)
    };
    let wait_for = async |reference: &str| {
        until(reference, || async { (state_of(reference).await.0 == DeliveryState::Confirmed).then_some(()) }).await;
    };
    for reference in ["queued", "zero\u{0}", "TEST-1"] {
        wait_for(reference).await;
    }
    assert_eq!(state_of("retrying").await.0, DeliveryState::Retrying, "it is not due yet");
    full.test.hand.advance(MINUTE);
    wait_for("retrying").await;
    assert_eq!(full.shadowed.wait_for(6).await.len(), 6, "the shadow gets what was open");
    // What the gateway repeats is known, by its bytes and its listener.
    let repeats = state_of("confirmed").await.1;
    let deliveries = full.good.visits().len();
    let path = format!("/ipn/key{}", full.merchant);
    let reply = gateway::post(app.address, &path, body("confirmed")).await;
    assert!(reply.status == 200 && reply.has_receipt(), "{reply:?}");
    assert_eq!(state_of("confirmed").await.1, repeats + 1);
    // And what is new gets ids of its own, and goes out signed with the merchant's key.
    assert_eq!(gateway::post(app.address, &path, body("new")).await.status, 200);
    wait_for("new").await;
    let visits = full.good.visits();
    assert_eq!(visits.len(), deliveries + 1, "a repeat is not delivered");
    assert_eq!(visits.last().unwrap().signatures(MERCHANT_KEY), ["md5"]);
    // A page of before is at its address.
    let mut conn = postgres::connect(&name).await;
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM delivery WHERE url_id = $1 AND state = 3")
        .bind(full.held.get())
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(held, 7, "what was held is held, and so is what came since");
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_journal_held_arrives() {
    let program = Program::new();
    let merchant = FakeMerchant::start(|_| Answer::status(500, "later")).await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    // The ledger cannot be written for a while; gateways are answered all the same.
    let ledger = program.connection();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    for reference in ["1", "2", "3"] {
        let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
        assert_eq!(gateway::post(server.address, &path, body).await.status, 200);
    }
    server.kill();
    ledger.execute_batch("ROLLBACK").unwrap();
    let waiting: i64 = ledger.query_row("SELECT count(*) FROM notification", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 0);
    drop(ledger);
    let address = postgres::address(&postgres::database().await);
    let from = format!("sqlite:{}", program.database().display());
    let report = program.run(&["copy", "--from", &from, "--to", &address, "--json"]).json();
    assert_eq!(report["equal"], true);
    let tables = report["tables"].as_array().unwrap();
    let notifications = tables.iter().find(|table| table["table"] == "notification").unwrap();
    assert_eq!((&notifications["source"]["rows"], &notifications["target"]["rows"]), (&3.into(), &3.into()));
    program.run(&["doctor", "--database", &address]).done();
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let mut moved = Program::on(address.clone());
    moved.use_key_file(program.key_file());
    let server = moved.serve();
    until("what was outstanding to arrive", || async {
        let told: BTreeSet<String> = merchant.visits().iter().map(|visit| visit.field("REFNO")).collect();
        (told.len() == 3).then_some(())
    })
    .await;
    assert_eq!(Browser::new(server.address).get("/").await.status, 303);
    server.terminate();
    moved.run(&["doctor"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_or_mix_something_is_refused() {
    let program = Program::new();
    program.shop("http://127.0.0.1:9/");
    let from = format!("sqlite:{}", program.database().display());
    let to = postgres::address(&postgres::database().await);
    let copy = |from: &str, to: &str, code| program.run(&["copy", "--from", from, "--to", to]).failed(code);
    let server = program.serve();
    let error = copy(&from, &to, 1);
    assert!(error.contains("a server runs on the database") && error.contains("would be lost"), "{error}");
    server.terminate();
    let missing = copy("sqlite:/nowhere/quittance.db", &to, 1);
    assert!(missing.contains("there is no database at /nowhere/quittance.db"), "{missing}");
    assert!(copy("mysql:x", &to, 2).contains("--from"));
    assert!(copy(&from, "postgres", 2).contains("--to"));
    assert!(copy(&to, &from, 1).contains("there is no way back"));
    assert!(copy(&from, &from, 1).contains("quittance backup"));
    assert!(copy(&to, &to, 1).contains("pg_dump"));
    let wrong_key = program.folder().join("other.key");
    std::fs::write(&wrong_key, format!("{}\n", "ab".repeat(32))).unwrap();
    let wrong_key = wrong_key.to_str().unwrap();
    let error = program.run(&["copy", "--from", &from, "--to", &to, "--from-key-file", wrong_key]).failed(1);
    assert!(error.contains("does not belong to this database") && error.contains("--from-key-file"), "{error}");
    // A server that runs on the target, and one that ran there and left nothing.
    let mut target = Program::on(to.clone());
    target.use_key_file(program.key_file());
    let server = target.serve();
    let error = copy(&from, &to, 1);
    assert!(error.contains("a server runs on the database postgres://"), "{error}");
    assert_eq!(gateway::get(server.address, "/healthz").await.status, 200);
    server.terminate();
    let server = target.serve();
    server.terminate();
    let error = program.run(&["copy", "--from", &from, "--to", &to, "--to-key-file", wrong_key]).failed(1);
    assert!(error.contains("--to-key-file"), "{error}");
    let text = program.run(&["copy", "--from", &from, "--to", &to]).done();
    assert!(text.contains("both sides are equal") && text.contains("notification_url"), "{text}");
    let error = copy(&from, &to, 1);
    assert!(error.contains("is not empty") && error.contains("merchant"), "{error}");
    // Another program's database.
    let foreign = postgres::database().await;
    let mut conn = postgres::connect(&foreign).await;
    sqlx::raw_sql("CREATE TABLE theirs (id int)").execute(&mut conn).await.unwrap();
    let error = copy(&from, &postgres::address(&foreign), 1);
    assert!(error.contains("tables of another program"), "{error}");
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetch_one(&mut conn).await.unwrap();
    assert_eq!(tables, 1, "nothing was made there");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_is_not_served_and_is_begun_anew() {
    let full = Full::new().await;
    full.test.store.close().await;
    // Two keys to SQLite, one to PostgreSQL, which knows no zero characters.
    full.test
        .sql(
            "INSERT INTO resend (id, order_id, at, actor, debug, request_key)
             SELECT id + 1, order_id, at, actor, debug, 'a' || char(0) FROM resend LIMIT 1;
             INSERT INTO resend (id, order_id, at, actor, debug, request_key)
             SELECT id + 2, order_id, at, actor, debug, 'a' || char(65533) FROM resend LIMIT 1",
        )
        .await;
    let name = postgres::database().await;
    let error = full.copy_to(&name).await.unwrap_err();
    assert!(matches!(&error, CopyError::Twice(index) if index.contains("resend")), "{error}");
    let mut conn = postgres::connect(&name).await;
    let merchants: i64 = sqlx::query_scalar("SELECT count(*) FROM merchant").fetch_one(&mut conn).await.unwrap();
    assert_eq!(merchants, 1, "a part of it is there");
    assert!(matches!(full.target(&name).await, Err(StoreError::HalfCopied(_))));
    let mut program = Program::on(postgres::address(&name));
    program.use_key_file(full.key_file());
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["merchant", "add", "Other"], &["doctor"]] {
        let error = program.run(arguments).failed(1);
        assert!(error.contains("is not finished") && error.contains("quittance copy"), "{arguments:?}: {error}");
    }
    full.test.sql("DELETE FROM resend WHERE request_key = 'a' || char(0)").await;
    let copied = full.copy_to(&name).await.unwrap();
    assert!(copied.is_equal(), "{copied:#?}");
    full.target(&name).await.unwrap().close().await;
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM node").fetch_one(&mut conn).await.unwrap();
    assert_eq!(nodes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_whose_name_is_there_twice_to_the_target_is_told() {
    let full = Full::new().await;
    for name in ["Łódź", "łódź"] {
        full.test.merchant(name).await;
    }
    full.test.store.close().await;
    let error = full.copy_to(&postgres::database().await).await.unwrap_err();
    assert!(
        error.to_string().contains("differ in the case of a letter") && error.to_string().contains("merchant_name"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_found_and_nobody_serves_it() {
    let full = Full::new().await;
    full.test.store.close().await;
    let name = postgres::database().await;
    let settings =
        StoreSettings { open_as: OpenAs::Tool { create: true }, key_file: Some(full.key_file()), clock: full.test.clock.clone() };
    Store::open(&target(&name), settings, Feed::default()).await.unwrap().close().await;
    let mut conn = postgres::connect(&name).await;
    for (body, table) in [
        ("NEW.attempts := NEW.attempts + 1; RETURN NEW;", "delivery"),
        ("RETURN CASE WHEN NEW.origin = 1 THEN NULL ELSE NEW END;", "delivery"),
        ("NEW.detail := NEW.detail || '.'; RETURN NEW;", "audit"),
    ] {
        let trigger = format!(
            "DROP TRIGGER IF EXISTS alter_row ON delivery;
             CREATE OR REPLACE FUNCTION alter_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER alter_row BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION alter_row()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut conn).await.unwrap();
        let copied = full.copy_to(&name).await.unwrap();
        let differ: Vec<_> = copied.tables.iter().filter(|copied| !copied.is_equal()).map(|copied| copied.name).collect();
        assert_eq!(differ, [table], "{body}");
        assert!(matches!(full.target(&name).await, Err(StoreError::HalfCopied(_))));
    }
}

/// Every column of both engines is copied, or is known to be left out.
#[tokio::test(flavor = "multi_thread")]
async fn no_column_is_forgotten() {
    let sqlite = stores::sqlite().await;
    sqlite.store.close().await;
    let conn = rusqlite::Connection::open(sqlite.folder.path().join("quittance.db")).unwrap();
    let query = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table'";
    let mut statement = conn.prepare(query).unwrap();
    let columns: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert_known(&columns, true);
    let name = postgres::database().await;
    let target = Store::open(
        &target(&name),
        StoreSettings {
            open_as: OpenAs::Tool { create: true },
            key_file: Some(sqlite.folder.path().join("quittance.key")),
            clock: sqlite.clock.clone(),
        },
        Feed::default(),
    )
    .await
    .unwrap();
    let mut conn = postgres::connect(&name).await;
    let query = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'";
    let columns: Vec<(String, String)> = sqlx::query_as(query).fetch_all(&mut conn).await.unwrap();
    assert_known(&columns, false);
    target.close().await;
}

fn assert_known(columns: &[(String, String)], of_sqlite: bool) {
    let known = known_columns(of_sqlite);
    let is_known = |table: &str, column: &str| known.iter().any(|(name, of)| *name == table && (of.is_empty() || *of == column));
    assert!(columns.len() > 100);
    let forgotten: Vec<_> = columns.iter().filter(|(table, column)| !is_known(table, column)).collect();
    assert!(forgotten.is_empty(), "neither copied nor left out: {forgotten:?}");
    let gone: Vec<_> = known
        .iter()
        .filter(|(table, column)| !column.is_empty() && !columns.iter().any(|(name, of)| name == table && of == column))
        .collect();
    assert!(gone.is_empty(), "copied, but in no table: {gone:?}");
}

/// Ids of what comes after the move never meet those of before.
#[tokio::test(flavor = "multi_thread")]
async fn new_ids_carry_another_mark() {
    let full = Full::new().await;
    full.test.store.close().await;
    let name = postgres::database().await;
    full.copy_to(&name).await.unwrap();
    let setup = Setup { clock: full.test.clock.clone(), database: Some((target(&name), full.key_file())), ..Setup::default() };
    let app = TestApp::start_as(setup).await;
    let path = format!("/ipn/key{}", full.merchant);
    assert_eq!(gateway::post(app.address, &path, body("new")).await.status, 200);
    let order = app.services.store.order_by_reference(full.merchant, "new").await.unwrap().unwrap();
    let mark = |id: i64| (id >> 12) & 1023;
    assert!(full.orders.iter().all(|order| mark(order.get()) == 1));
    assert_ne!(mark(order.get()), 1);
    app.stop().await;
}
