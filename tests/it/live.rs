//! `/live`: open pages are told what changed, and only what their viewer may see.

use crate::support::{
    PATIENCE,
    app::{Shop, TestApp},
    browser::Browser,
    gateway,
    message::Message,
};
use quittance::domain::Role;
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The stream of one open page.
pub struct Page {
    stream: TcpStream,
    read: String,
    /// Where in `read` the search goes on.
    at: usize,
}

impl Page {
    /// Opens the stream and waits until it listens.
    pub async fn open(browser: &Browser, query: &str, header: &str) -> Self {
        let mut stream = TcpStream::connect(browser.address).await.unwrap();
        let session = &browser.cookies["quittance"];
        let head =
            format!("GET /live{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: quittance={session}\r\n{header}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut page = Self { stream, read: String::new(), at: 0 };
        page.until(": listening").await;
        page
    }

    /// Reads until a text comes; gives the line that it stands in.
    pub async fn until(&mut self, text: &str) -> String {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = self.read[self.at..].find(text) {
                    let start = self.at + found;
                    if let Some(length) = self.read[start..].find('\n') {
                        self.at = start + length;
                        return self.read[start..start + length].to_owned();
                    }
                }
                let mut piece = [0; 4096];
                let count = self.stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "the stream ended: {}", self.read);
                self.read.push_str(std::str::from_utf8(&piece[..count]).unwrap());
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{text:?} did not come: {}", self.read))
    }

    /// The events of the next message.
    async fn events(&mut self) -> Vec<Value> {
        let line = self.until("data: ").await;
        serde_json::from_str(line.trim_start_matches("data: ")).unwrap()
    }

    /// Waits for an event that fits; all orders and refusals before it must be this merchant's.
    async fn wait_for(&mut self, merchant: &str, fits: impl Fn(&Value) -> bool) {
        loop {
            for event in self.events().await {
                assert!(event["merchant"] == merchant || event["kind"] == "everything", "{event}");
                if fits(&event) {
                    return;
                }
            }
        }
    }
}

async fn shops(app: &TestApp) -> (Shop, Shop) {
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    (shop, other)
}

#[tokio::test]
async fn without_a_session_nothing_is_told() {
    let app = TestApp::start().await;
    let reply = gateway::get(app.address, "/live").await;
    assert_eq!((reply.status, reply.header("content-type")), (401, "text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_page_hears_of_an_accepted_and_of_a_refused_message() {
    let app = TestApp::start().await;
    let (shop, _) = shops(&app).await;
    let browser = Browser::signed_in(app.address, "owner@example.com").await;
    let mut page = Page::open(&browser, "", "").await;
    assert!(page.read.to_lowercase().contains("content-type: text/event-stream"), "{}", page.read);
    let order = shop.order("1").await.to_string();
    page.wait_for("shop", |event| event["kind"] == "order" && event["order"] == order.as_str()).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    let listener = shop.listener_id().to_string();
    page.wait_for("shop", |event| event["kind"] == "refusal" && event["listener"] == listener.as_str()).await;
}

#[tokio::test]
async fn a_page_hears_only_of_merchants_that_its_viewer_may_see() {
    let app = TestApp::start().await;
    let (shop, other) = shops(&app).await;
    let browser = Browser::signed_in(app.address, "owner@example.com").await;
    let mut owners = Page::open(&browser, "", "").await;
    let mut admins = Page::open(&Browser::signed_in(app.address, "admin@example.com").await, "", "").await;
    let foreign = other.order("1").await.to_string();
    admins.wait_for("other", |event| event["order"] == foreign.as_str()).await;
    let own = shop.order("2").await.to_string();
    owners.wait_for("shop", |event| event["order"] == own.as_str()).await;
    assert!(!owners.read.contains(&foreign), "{}", owners.read);
}

#[tokio::test]
async fn a_page_that_was_away_is_told_what_it_missed() {
    let app = TestApp::start().await;
    let (shop, _) = shops(&app).await;
    let browser = Browser::signed_in(app.address, "owner@example.com").await;
    let mut page = Page::open(&browser, "", "").await;
    let first = shop.order("1").await.to_string();
    page.wait_for("shop", |event| event["order"] == first.as_str()).await;
    let id = page.read.rsplit("id: ").next().unwrap().split('\n').next().unwrap().to_owned();
    let mut beside = Page::open(&browser, "", "").await;
    drop(page);
    let second = shop.order("2").await.to_string();
    beside.wait_for("shop", |event| event["order"] == second.as_str()).await;
    for (query, header) in [(String::new(), format!("Last-Event-ID: {id}\r\n")), (format!("?after={id}"), String::new())] {
        let mut back = Page::open(&browser, &query, &header).await;
        back.wait_for("shop", |event| event["order"] == second.as_str()).await;
    }
    let mut lost = Page::open(&browser, "?after=1", "").await;
    assert_eq!(lost.events().await[0]["kind"], "everything", "of another run of the server");
}

#[tokio::test]
async fn the_stream_ends_with_its_session() {
    let app = TestApp::start().await;
    let (shop, _) = shops(&app).await;
    let mut browser = Browser::signed_in(app.address, "owner@example.com").await;
    let mut page = Page::open(&browser, "", "").await;
    browser.form("/rpc/sign-out", &[]).await;
    let order = shop.order("1").await.to_string();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), page.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the stream goes on");
    assert!(!String::from_utf8(rest).unwrap().contains(&order));
}

#[tokio::test]
async fn the_stream_ends_with_its_session_though_nothing_happens() {
    let app = TestApp::start().await;
    shops(&app).await;
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let mut ending = Page::open(&owner, "", "").await;
    let mut staying = Page::open(&Browser::signed_in(app.address, "admin@example.com").await, "", "").await;
    owner.form("/rpc/sign-out", &[]).await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), ending.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the stream goes on");
    let mut piece = [0; 64];
    let more = tokio::time::timeout(Duration::from_millis(1_500), staying.stream.read(&mut piece)).await;
    assert!(more.is_err(), "another's goes on");
}

#[tokio::test]
async fn open_pages_do_not_keep_the_server_from_stopping() {
    let app = TestApp::start().await;
    shops(&app).await;
    let browser = Browser::signed_in(app.address, "admin@example.com").await;
    let mut page = Page::open(&browser, "", "").await;
    tokio::time::timeout(PATIENCE, app.stop()).await.expect("the server stops");
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), page.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the stream has ended");
}
