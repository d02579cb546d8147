//! `quittance copy`: an installation with everything in it moves from SQLite to PostgreSQL, and goes on there.
//!
//! `moving` is what arrives, `refused` what is not copied or not served, `columns` that none is forgotten. Here is a source with
//! something of everything in it.

mod columns;
mod moving;
mod refused;

use crate::support::{
    app::GATEWAY_KEY,
    merchant::FakeMerchant,
    message::Message,
    postgres,
    stores::{self, START, TestStore, received, url_draft},
};
use quittance::{
    domain::{
        Cause, OrderStatus, RefusalReason, Role, Tags, Timestamp, Triggers, Zone,
        attempt::{Timings, VerdictDetail},
        id::{ListenerId, MerchantId, OrderId, UrlId},
        mail::{MailCause, MailSettings},
        pages::{bulk::BulkTarget, deliveries::DeliveryFilter, settings::AlertKind, views::ListKind},
    },
    server::store::{
        self, Address, AttemptRecord, BulkOrder, Copied, CopyError, CopySettings, Feed, Job, Link, NewBulk, NewMail, NewRefusal,
        NewResend, NewUser, NewVerifying, NewView, Next, OpenAs, OwnHeader, Secret, SessionRecord, Store, StoreError,
        StoreSettings, UrlDraft,
    },
};
use std::{path::PathBuf, time::Duration};

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
