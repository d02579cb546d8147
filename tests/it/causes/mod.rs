//! Each cause of a failed delivery, provoked for real.
//!
//! `reaching` is the way there, `waiting` what takes too long or is too much, `answers` the status and the body, `ours` what we
//! cannot send. Here is how a message gets its cause, and name servers that say what they are told.

mod answers;
mod ours;
mod reaching;
mod waiting;

use crate::support::{
    app::{Setup, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, Visit},
    message::Message,
};
use hickory_resolver::{
    Resolver as Hickory,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use quittance::{
    domain::{Cause, pages::orders::AttemptPage},
    server::dispatch::client::Resolver,
};
use tokio::net::UdpSocket;

/// What comes of one message to one URL.
async fn attempt_at(setup: Setup, url: &str) -> AttemptPage {
    let app = TestApp::start_as(Setup { limits: short_limits(), ..setup }).await;
    let shop = app.shop("Shop").await;
    let url = shop.url(url).await;
    let order = shop.order("1").await;
    shop.first_attempt(order, url).await
}

async fn cause_at(setup: Setup, url: &str) -> Option<Cause> {
    attempt_at(setup, url).await.attempt.cause
}

async fn cause_of(answer: impl Fn(&Visit) -> Answer + Send + Sync + 'static) -> Option<Cause> {
    let merchant = FakeMerchant::start(answer).await;
    cause_at(Setup::default(), &merchant.url()).await
}

/// What comes of a message of nearly the largest size.
async fn long_attempt_at(url: &str) -> AttemptPage {
    let app = TestApp::start_as(Setup { limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let url = shop.url(url).await;
    let mut message = Message::full("1", "COMPLETE");
    message.set("COMPANY", &"x".repeat(200_000));
    let order = shop.accepted(&message).await;
    shop.first_attempt(order, url).await
}

/// A name server that answers every question with a response code and no records; without a code it says nothing.
async fn name_server(code: Option<u8>) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((_, peer)) = socket.recv_from(&mut packet).await {
            let Some(code) = code else { continue };
            // The question ends after the name's closing zero and two numbers; what may follow is not repeated.
            let end = 12 + packet[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let head = [packet[0], packet[1], 0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0];
            let _ = socket.send_to(&[&head, &packet[12..end]].concat(), peer).await;
        }
    });
    let mut connection = ConnectionConfig::udp();
    connection.port = address.port();
    let servers = vec![NameServerConfig::new(address.ip(), true, vec![connection])];
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let resolver = Hickory::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    Resolver::System(Box::new(resolver))
}

/// A name server that gives each of these addresses once, and then the last of them.
pub async fn changing_name_server(addresses: Vec<[u8; 4]>) -> Resolver {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        let mut asked = 0;
        while let Ok((_, peer)) = socket.recv_from(&mut packet).await {
            let end = 12 + packet[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_v4 = packet[end - 3] == 1;
            let mut answer = vec![packet[0], packet[1], 0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0];
            answer.extend_from_slice(&packet[12..end]);
            if is_v4 {
                // The name of the question, an address, kept for no time at all.
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend(addresses[asked.min(addresses.len() - 1)]);
                asked += 1;
            }
            let _ = socket.send_to(&answer, peer).await;
        }
    });
    let mut connection = ConnectionConfig::udp();
    connection.port = address.port();
    let servers = vec![NameServerConfig::new(address.ip(), true, vec![connection])];
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let resolver = Hickory::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
    Resolver::System(Box::new(resolver))
}

/// Every cause is named in a test of these files.
#[test]
fn no_cause_goes_without_a_test() {
    let here =
        [include_str!("answers.rs"), include_str!("ours.rs"), include_str!("reaching.rs"), include_str!("waiting.rs")].concat();
    for cause in Cause::ALL {
        assert!(here.contains(&format!("Cause::{cause:?}")), "no test provokes {cause:?}");
    }
}
