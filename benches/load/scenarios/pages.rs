//! The control panel: how long its pages take with many orders stored, and what open pages cost.

use crate::{
    figures::Latencies,
    message,
    site::{Engine, Shop, Site},
};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use quittance::domain::{id::DeliveryId, pages::deliveries::DeliveryFilter};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const PAGES: u64 = 200;
const PANELS: usize = 1_000;
/// How many have signed in, each with an address of his own.
static PEOPLE: AtomicU32 = AtomicU32::new(0);
const PASSWORD: &str = "a bench of three legs";

/// A browser that is signed in, on one connection.
struct Reader {
    port: u16,
    sender: SendRequest<Full<Bytes>>,
    cookie: String,
}

impl Reader {
    /// At the first node.
    async fn sign_in(site: &Site) -> Self {
        Self::sign_in_at(site, site.ports()[0]).await
    }

    async fn sign_in_at(site: &Site, port: u16) -> Self {
        let email = format!("bench{}@example.com", PEOPLE.fetch_add(1, Ordering::Relaxed));
        site.tell(&["user", "add", &email, "--role", "admin", "--password-stdin"], &format!("{PASSWORD}\n"));
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server");
        let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
        tokio::spawn(connection);
        let mut reader = Self { port, sender, cookie: String::new() };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", email.as_str()), ("password", PASSWORD)])
            .finish();
        let request = reader.request("POST", "/rpc/sign-in").header("content-type", "application/x-www-form-urlencoded");
        let reply = reader.sender.send_request(request.body(Full::from(form)).expect("a request")).await.expect("an answer");
        let cookies: Vec<_> = reply.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
        let pairs: Vec<_> = cookies.iter().filter_map(|line| line.split(';').next()).collect();
        reader.cookie = pairs.join("; ");
        assert!(!reader.cookie.is_empty(), "signed in: {}", reply.status());
        let _ = reply.into_body().collect().await;
        reader
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("accept", "text/html")
            .header("accept-encoding", "br")
            .header("cookie", &self.cookie)
    }

    /// Reads a page to its end.
    async fn get(&mut self, path: &str) -> Duration {
        let request = self.request("GET", path).body(Full::default()).expect("a request");
        self.sender.ready().await.expect("a connection");
        let begin = Instant::now();
        let reply = self.sender.send_request(request).await.expect("an answer");
        let status = reply.status();
        let _ = reply.into_body().collect().await.expect("a page");
        // A search that finds one thing leads there.
        assert!(status.is_success() || status.is_redirection(), "{path}: {status}");
        begin.elapsed()
    }

    /// An open page's stream of events, listening.
    async fn listen(&self) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("the server");
        let head = format!(
            "GET /live HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAccept: text/event-stream\r\nCookie: {}\r\n\r\n",
            self.port, self.cookie
        );
        stream.write_all(head.as_bytes()).await.expect("a request");
        wait_for(&mut stream, "listening").await;
        stream
    }
}

async fn wait_for(stream: &mut TcpStream, word: &str) {
    let mut read = Vec::new();
    let mut part = [0; 2_048];
    while !String::from_utf8_lossy(&read).contains(word) {
        let count = stream.read(&mut part).await.expect("events");
        assert!(count > 0, "the stream ended: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&part[..count]);
    }
}

/// How long each page takes, one reader at a time, from the request to its last byte (compressed). Of each of these orders there
/// is a delivery with a confirmed attempt, and one whose bytes were removed.
pub async fn measure(site: &mut Site, references: &[String]) {
    site.start();
    let mut reader = Reader::sign_in(site).await;
    let store = site.store(quittance::server::store::OpenAs::Tool { create: false }).await;
    let merchant = store.settings().merchants().first().map(|merchant| merchant.id).expect("a merchant");
    let (mut orders, mut deliveries, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for reference in references {
        orders.extend(store.order_by_reference(merchant, reference).await.expect("an answer"));
        let filter = DeliveryFilter { text: reference.clone(), ..DeliveryFilter::default() };
        let found = store.find_deliveries(merchant, &filter, 10).await.expect("an answer");
        let first_attempts: Vec<_> = found.rows.iter().map(|row| (row.delivery.id, 1)).collect();
        let exchanges = store.exchanges(&first_attempts).await.expect("an answer");
        let is_kept = |id: DeliveryId| {
            let exchange = exchanges.iter().find(|(delivery, _)| *delivery == id).map(|(_, exchange)| exchange);
            exchange.is_some_and(|exchange| exchange.attempt.cause.is_none() && !exchange.request_body.is_empty())
        };
        let (kept, bare): (Vec<_>, Vec<_>) = found.rows.into_iter().map(|row| row.delivery).partition(|one| is_kept(one.id));
        deliveries.extend(kept.into_iter().next());
        removed.extend(bare.into_iter().next());
    }
    let found = [orders.len(), deliveries.len(), removed.len()];
    assert_eq!(found, [references.len(); 3], "orders, deliveries with their bytes, deliveries without");
    store.close().await;
    let fixed = |path: &str| -> Vec<String> { vec![format!("/m/shop-0{path}")] };
    let pages: Vec<(&str, Vec<String>)> = vec![
        ("dashboard", fixed("")),
        ("orders", fixed("/orders")),
        ("orders, by reference", references.iter().map(|reference| format!("/m/shop-0/orders?text={reference}")).collect()),
        ("orders of a status", fixed("/orders?status=refunded")),
        ("order", orders.iter().map(|order| format!("/m/shop-0/orders/{order}")).collect()),
        ("deliveries", fixed("/deliveries")),
        ("deliveries, confirmed", fixed("/deliveries?state=confirmed")),
        ("inbound", fixed("/inbound")),
        ("inbound, accepted", fixed("/inbound?outcome=accepted")),
        ("delivery", deliveries.iter().map(|delivery| format!("/m/shop-0/deliveries/{}", delivery.id)).collect()),
        ("attempt", deliveries.iter().map(|delivery| format!("/m/shop-0/deliveries/{}/1", delivery.id)).collect()),
        ("notification", deliveries.iter().map(|one| format!("/m/shop-0/notifications/{}", one.notification_id)).collect()),
        (
            "notification, bytes removed",
            removed.iter().map(|one| format!("/m/shop-0/notifications/{}", one.notification_id)).collect(),
        ),
        ("resend", deliveries.iter().map(|one| format!("/m/shop-0/notifications/{}/resend", one.notification_id)).collect()),
        ("resend a list", fixed("/resends/new?state=failed")),
        ("bulk actions", fixed("/resends")),
        ("search", references.iter().map(|reference| format!("/search?text={reference}")).collect()),
        ("search, the beginning", references.iter().map(|reference| format!("/search?text={}", &reference[..7])).collect()),
        ("listeners", fixed("/listeners")),
        ("IPN settings", fixed("/settings/ipn")),
        ("notification URLs", fixed("/settings/urls")),
        ("audit log", fixed("/audit")),
        ("people", vec!["/people".to_owned()]),
        ("merchants", vec!["/merchants".to_owned()]),
    ];
    let mut all = Latencies::default();
    for (name, paths) in pages {
        let mut latencies = Latencies::default();
        for round in 0..PAGES + 10 {
            let took = reader.get(&paths[round as usize % paths.len()]).await;
            if round >= 10 {
                latencies.add(took);
            }
        }
        println!("    page {name}: {:.2} / {:.2} ms (p50 / p99)", latencies.percentile(50.0), latencies.percentile(99.0));
        all.join(latencies);
    }
    println!("    all pages: {:.2} / {:.2} ms (p50 / p99)", all.percentile(50.0), all.percentile(99.0));
    site.stop();
}

/// What a thousand open pages cost, and how long after its acknowledgement an event is on all of them.
pub async fn panels() {
    println!("panels: {PANELS} open pages of one merchant, and messages that each of them is told of");
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }, Engine::Postgres { nodes: 2 }] {
        let (mut site, paths) = Site::new(engine, &[Shop { url: None, concurrent: true }]).await;
        site.start();
        let mut reader = Reader::sign_in(&site).await;
        // Where there are several nodes the news come in at another than the pages are open at.
        let mut poster = Reader::sign_in_at(&site, *site.ports().last().expect("a node")).await;
        for _ in 0..20 {
            reader.get("/m/shop-0").await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = site.resident();
        let mut open = Vec::with_capacity(PANELS);
        for _ in 0..PANELS {
            open.push(reader.listen().await);
        }
        let quiet = site.resident();
        let (mut first, mut last) = (Latencies::default(), Latencies::default());
        for round in 0..20 {
            let body = message::body(round);
            let request = poster.request("POST", &paths[0]).header("content-type", "application/x-www-form-urlencoded");
            poster.sender.ready().await.expect("a connection");
            let reply = poster.sender.send_request(request.body(Full::from(body)).expect("a request")).await.expect("an answer");
            assert!(reply.status().is_success());
            let _ = reply.into_body().collect().await;
            let acknowledged = Instant::now();
            let told = open.iter_mut().map(|stream| async move {
                wait_for(stream, "data:").await;
                acknowledged.elapsed()
            });
            let told = futures::future::join_all(told).await;
            first.add(told.iter().min().copied().unwrap_or_default());
            last.add(told.iter().max().copied().unwrap_or_default());
            // So that the next message is an event of its own.
            tokio::time::sleep(Duration::from_millis(500)).await;
            for stream in &mut open {
                let mut rest = [0; 4_096];
                while stream.try_read(&mut rest).is_ok_and(|count| count > 0) {}
            }
        }
        let busy = site.resident();
        println!(
            "  {engine}: resident {before:.1} MB before, {quiet:.1} MB with {PANELS} open ({:.1} MB more), {busy:.1} MB after 20 messages; \
             from the acknowledgement to the first page {first}, to the last {last}",
            quiet - before
        );
        site.stop();
    }
}
