//! The store's conformance suite: the same tests on every engine.
//!
//! `messages` is what comes in, `deliveries` what becomes of it, `settings` what people set, `upkeep` what keeps a database sound,
//! `files` what is about SQLite's files alone. Here is a shop, and what comes and goes in it.

mod deliveries;
mod files;
mod messages;
mod settings;
mod upkeep;

use crate::support::stores::{START, TestStore};
use quittance::{
    domain::{
        Algorithms, Cause, Gateway, Money, OrderStatus, Timestamp,
        attempt::{Timings, VerdictDetail},
        id::{ListenerId, MerchantId, UrlId},
        money::Currency,
        order::OrderFacts,
    },
    server::store::{AttemptRecord, Job, NewNotification, Next},
};
use std::time::Duration;

pub fn facts(reference: &str, status: OrderStatus, second: i64) -> OrderFacts {
    OrderFacts {
        reference: reference.into(),
        external: format!("web-{reference}").into(),
        email: format!("buyer-{reference}@example.com").into(),
        customer: "Ána Nguyễn".into(),
        status,
        vendor_status: status.code().to_uppercase().into(),
        amount: Money::parse("59.00", Currency::parse("USD").unwrap()),
        test: false,
        event_at: Some(Timestamp::from_seconds(second)),
        message_id: "254498854202".into(),
        refund: None,
    }
}

pub fn notification(merchant_id: MerchantId, listener_id: ListenerId, facts: OrderFacts) -> NewNotification {
    NewNotification {
        merchant_id,
        listener_id: Some(listener_id),
        gateway: Gateway::TwoCheckout,
        received_at: START,
        signatures: Algorithms::MD5,
        peer: "127.0.0.1".into(),
        head: "POST /ipn/x HTTP/1.1\r\n\r\n".to_owned(),
        body: format!("REFNO={}&ORDERSTATUS={}&AT={:?}", facts.reference, facts.vendor_status, facts.event_at).into(),
        outgoing: None,
        digest: None,
        facts,
        quiet: false,
    }
}

pub struct Shop {
    pub merchant: MerchantId,
    pub listener: ListenerId,
    pub url: UrlId,
}

pub async fn shop(test: &TestStore) -> Shop {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    let url = test.url(merchant, "https://shop.example.com/ipn").await;
    Shop { merchant, listener, url }
}

impl Shop {
    pub async fn accept(&self, test: &mut TestStore, reference: &str) -> Job {
        let new = notification(self.merchant, self.listener, facts(reference, OrderStatus::Paid, 100));
        let acceptance = test.accept(new).await;
        loop {
            let jobs = test.jobs.recv().await.unwrap();
            if let Some(job) =
                jobs.into_iter().find(|job| job.notification_id == acceptance.notification_id && job.url_id == self.url)
            {
                return job;
            }
        }
    }
}

pub fn attempt(job: &Job, next: Next) -> AttemptRecord {
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
        detail: VerdictDetail { note: "noted".to_owned(), ..VerdictDetail::default() },
        timings: Timings { connect: Some(500), total: 40_000, ..Timings::default() },
        request_head: "POST /ipn HTTP/1.1\r\n".to_owned(),
        request_body: "REFNO=1".into(),
        answer_head: "HTTP/1.1 200 OK\r\n".to_owned(),
        answer_body: vec![0, 159, 146, 150].into(),
        shadow: false,
        next,
    }
}

pub async fn assert_healthy(test: &TestStore) {
    let findings = test.store.verify().await.unwrap();
    let wrong: Vec<_> = findings.iter().filter(|finding| !finding.ok).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
