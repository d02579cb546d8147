//! The database's server is stopped for a while, as an administrator does: nothing is acknowledged meanwhile, nothing is
//! lost, and everything goes on by itself.

use crate::support::{
    app::{GATEWAY_KEY, Setup, TestApp},
    gateway::{self, Reply},
    merchant::{Answer, FakeMerchant},
    message::Message,
    postgres::{self, Server},
    until,
};
use quittance::{domain::DeliveryState, server::store::Address};
use std::{net::SocketAddr, time::Duration};

async fn post(address: SocketAddr, path: &str, reference: &str) -> Reply {
    let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    gateway::post(address, path, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_database_is_503_without_a_receipt_and_it_goes_on_by_itself() {
    let mut server = tokio::task::spawn_blocking(Server::new).await.unwrap();
    let keys = tempfile::tempdir().unwrap();
    let address = Address::parse(&postgres::address_at(server.port, "postgres")).unwrap();
    let database = Some((address, keys.path().join("quittance.key")));
    let app = TestApp::start_as(Setup { database, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    // Slow enough that some are on their way when the database goes.
    let merchant =
        FakeMerchant::start(|visit| Answer::Later(Duration::from_millis(200), Box::new(Answer::receipt("md5", visit)))).await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let reference = format!("before-{number}");
        assert_eq!(post(app.address, &shop.path(), &reference).await.status, 200);
        acknowledged.push(reference);
    }
    server = tokio::task::spawn_blocking(move || {
        server.stop();
        server
    })
    .await
    .unwrap();
    for number in 0..5 {
        let reply = post(app.address, &shop.path(), &format!("gone-{number}")).await;
        assert_eq!((reply.status, reply.has_receipt()), (503, false), "{}", reply.text());
        assert!(!reply.header("retry-after").is_empty());
    }
    assert_eq!(gateway::get(app.address, "/healthz").await.status, 200, "the server itself goes on");
    let server = tokio::task::spawn_blocking(move || {
        server.start();
        server
    })
    .await
    .unwrap();
    let again = || async { (post(app.address, &shop.path(), "after").await.status == 200).then_some(()) };
    until("the server to accept again", again).await;
    acknowledged.push("after".to_owned());
    for reference in acknowledged {
        let order = shop.order_named(&reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    app.assert_healthy().await;
    app.stop().await;
    drop(server);
}
