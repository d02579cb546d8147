//! The pretend gateway: posts what the playbook says to the server's own listener page, as a real one does.

use super::orders::{Dice, Event, MOST_MESSAGES, Playbook};
use crate::server::{
    clock::Clock,
    dispatch::client::{Client, Guard, Limits, Outbound, Resolver, Target},
    ipn::{Form, ReceiptFacts, receipt},
    store::{Store, random},
};
use bytes::Bytes;
use http::{HeaderValue, Method, header};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::time::{Instant, sleep_until};

/// What somebody signs with who does not know the secret.
const GUESSED: &[u8] = b"not-the-secret-key";

/// Posts orders to a listener.
pub struct PretendGateway {
    /// For the listener's secret as it is now.
    pub store: Store,
    pub clock: Clock,
    pub server: SocketAddr,
    pub path_key: String,
}

impl PretendGateway {
    /// Posts until there were enough messages; gives its name.
    pub async fn run(self) -> &'static str {
        let name = "pretend gateway";
        let server = reachable(self.server);
        let guard = Guard::new(vec![IpNet::from(server.ip())]);
        let client = Client::new(Resolver::system(), guard, Vec::new(), Limits::default());
        let Ok(target) = Target::parse(&format!("http://{server}/ipn/{}", self.path_key)) else { return name };
        let mut playbook = Playbook::new(Dice::new(u64::from_le_bytes(random())), self.clock.now());
        let start = Instant::now();
        while let Some((at, event)) = playbook.next() {
            sleep_until(start + at).await;
            self.post(&client, &target, &event).await;
        }
        tracing::info!(messages = MOST_MESSAGES, "the pretend gateway has posted enough; restart the server for more");
        name
    }

    async fn post(&self, client: &Client, target: &Target, event: &Event) {
        let settings = self.store.settings();
        let Some(listener) = settings.listener(&self.path_key) else { return };
        let now = self.clock.now();
        if event.forged {
            send(client, target, event.body(now, GUESSED).into()).await;
        }
        let secret = listener.secret.reveal();
        let body = Bytes::from(event.body(now, secret));
        for _ in 0..(if event.repeated { 2 } else { 1 }) {
            let (status, answer) = send(client, target, body.clone()).await;
            // No more than a note: whoever switches the listener off, or fills the disk, sees it in the panel and the log.
            if status != 200 || !is_receipt(&body, &answer, secret) {
                tracing::debug!(status, "the pretend gateway got no read receipt");
            }
        }
    }
}

async fn send(client: &Client, target: &Target, body: Bytes) -> (u16, Bytes) {
    let headers = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        (header::USER_AGENT, HeaderValue::from_static("Pretend gateway (quittance --demo)")),
    ];
    let exchange = client.send(&Outbound { target, authority: "", method: Method::POST, headers, body, timeout: None }).await;
    (exchange.answer.status, exchange.answer.body)
}

/// Whether an answer holds the receipt that the gateway waits for.
fn is_receipt(body: &[u8], answer: &[u8], secret: &[u8]) -> bool {
    let Ok(form) = Form::parse(body) else { return false };
    let facts = ReceiptFacts::of(&form);
    receipt::find(answer).iter().any(|finding| match finding {
        receipt::Finding::Receipt(found) => facts.is_confirmed_by(found, secret),
        _ => false,
    })
}

/// Where a server that listens everywhere is reached from its own machine.
fn reachable(server: SocketAddr) -> SocketAddr {
    let ip = match server.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, server.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:3000"), "127.0.0.1:3000");
        assert_eq!(reached("[::]:3000"), "[::1]:3000");
        assert_eq!(reached("192.0.2.7:80"), "192.0.2.7:80");
    }
}
