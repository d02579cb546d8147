//! Reaching it: names, addresses, connections, TLS, and the way to somewhere else.

use super::{attempt_at, cause_at, cause_of, changing_name_server, long_attempt_at, name_server};
use crate::support::{
    app::{Setup, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, closed_port},
};
use quittance::{
    domain::{Cause, pages::orders::AttemptPage},
    server::dispatch::client::Limits,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::{collections::HashMap, time::Duration};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

async fn cause_of_name(code: Option<u8>) -> Option<Cause> {
    let resolver = Some(name_server(code).await);
    cause_at(Setup { resolver, ..Setup::default() }, "http://shop.example.com/ipn").await
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    assert_eq!(cause_of_name(Some(3)).await, Some(Cause::UnknownName));
}

#[tokio::test]
async fn a_name_without_an_address() {
    assert_eq!(cause_of_name(Some(0)).await, Some(Cause::UnknownName));
}

#[tokio::test]
async fn a_name_server_that_says_nothing() {
    assert_eq!(cause_of_name(None).await, Some(Cause::NameServerSilent));
}

#[tokio::test]
async fn a_name_server_that_fails() {
    assert_eq!(cause_of_name(Some(2)).await, Some(Cause::NameServerSilent));
}

#[tokio::test]
async fn an_address_that_is_not_allowed() {
    let closed = Setup { networks: Vec::new(), ..Setup::default() };
    assert_eq!(cause_at(closed, "http://127.0.0.1/").await, Some(Cause::AddressForbidden));
}

#[tokio::test]
async fn a_port_that_nobody_listens_on() {
    let (url, _port) = closed_port();
    assert_eq!(cause_at(Setup::default(), &url).await, Some(Cause::Refused));
}

#[tokio::test]
async fn an_address_without_a_route() {
    // Connections cannot be made to the broadcast address; the kernel says so at once.
    let open = Setup { networks: vec!["255.255.255.255/32"], ..Setup::default() };
    assert_eq!(cause_at(open, "http://255.255.255.255/").await, Some(Cause::Unreachable));
}

#[tokio::test]
async fn a_server_that_does_not_accept() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel's queue is filled up, so that it drops what else comes.
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(tokio::spawn(TcpStream::connect(address)));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(cause_at(Setup::default(), &format!("http://{address}/")).await, Some(Cause::ConnectTimeout));
}

#[tokio::test]
async fn the_time_out_of_a_url_holds_while_it_is_connected_to() {
    // Only the limit of the whole can end these.
    const HOUR: Duration = Duration::from_secs(3_600);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let full = TcpSocket::new_v4().unwrap();
    full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = full.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let _held: Vec<_> = (0..8).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let limits = Limits { resolve: HOUR, connect: HOUR, tls: HOUR, ..Limits::default() };
    let app = TestApp::start_as(Setup { resolver: Some(name_server(None).await), limits, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let mut urls = Vec::new();
    for (url, cause) in [
        ("http://shop.example.com/".to_owned(), Cause::NameServerSilent),
        (format!("http://{address}/"), Cause::ConnectTimeout),
        (format!("https://{}/", silent.local_addr().unwrap()), Cause::TlsHandshake),
    ] {
        urls.push((shop.url_as(&url, |url| url.terms.timeout = Some(1)).await, cause));
    }
    let order = shop.order("1").await;
    for (url, cause) in urls {
        assert_eq!(shop.first_attempt(order, url).await.attempt.cause, Some(cause));
    }
}

fn certificate(host: &str, expired: bool) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut parameters = CertificateParams::new([host.to_owned()]).unwrap();
    if expired {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    }
    let signing_key = KeyPair::generate().unwrap();
    let certified = CertifiedKey { cert: parameters.self_signed(&signing_key).unwrap(), signing_key };
    (certified.cert.der().clone(), PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into()))
}

/// What comes of a delivery to https://shop.example.
async fn attempt_over_tls(host: &str, expired: bool, trusted: bool) -> AttemptPage {
    let (certificate, key) = certificate(host, expired);
    let merchant = FakeMerchant::start_tls(certificate.clone(), key).await;
    let names = [("shop.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    let roots = if trusted { vec![certificate] } else { Vec::new() };
    let url = format!("https://shop.example:{}/ipn", merchant.address.port());
    attempt_at(Setup { names, roots, ..Setup::default() }, &url).await
}

#[tokio::test]
async fn a_right_certificate_is_no_trouble() {
    let attempt = attempt_over_tls("shop.example", false, true).await;
    assert_eq!(attempt.attempt.cause, None, "{:?}", attempt.detail);
    assert!(attempt.attempt.timings.tls.is_some());
}

#[tokio::test]
async fn an_expired_certificate() {
    assert_eq!(attempt_over_tls("shop.example", true, true).await.attempt.cause, Some(Cause::TlsExpired));
}

#[tokio::test]
async fn a_certificate_for_another_host() {
    let attempt = attempt_over_tls("other.example", false, true).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::TlsWrongHost));
    assert!(attempt.detail.note.contains("other.example"), "{:?}", attempt.detail);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer() {
    assert_eq!(attempt_over_tls("shop.example", false, false).await.attempt.cause, Some(Cause::TlsUnknownIssuer));
}

/// As `openssl req -x509` makes it.
#[tokio::test]
async fn a_certificate_of_an_authority_as_the_servers_own() {
    let mut parameters = CertificateParams::new(["shop.example".to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap().der().clone();
    let names: HashMap<_, _> = [("shop.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    for roots in [Vec::new(), vec![certificate.clone()]] {
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let merchant = FakeMerchant::start_tls(certificate.clone(), key).await;
        let url = format!("https://shop.example:{}/ipn", merchant.address.port());
        let attempt = attempt_at(Setup { names: names.clone(), roots, ..Setup::default() }, &url).await;
        assert_eq!(attempt.attempt.cause, Some(Cause::TlsUnknownIssuer), "{:?}", attempt.detail);
        assert!(attempt.detail.note.contains("CA:TRUE"), "{:?}", attempt.detail);
    }
}

#[tokio::test]
async fn plain_http_where_tls_is_expected() {
    // It answers what it cannot understand, as web servers do, and closes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 5];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut seen).await;
            let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let attempt = attempt_at(Setup::default(), &format!("https://{address}/")).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::TlsHandshake));
    assert_eq!(attempt.detail.note, "The server does not speak TLS on this port.");
}

#[tokio::test]
async fn a_handshake_that_does_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    assert_eq!(cause_at(Setup::default(), &url).await, Some(Cause::TlsHandshake));
}

#[tokio::test]
async fn a_connection_that_is_broken_off() {
    assert_eq!(cause_of(|_| Answer::Reset).await, Some(Cause::Reset));
    assert_eq!(cause_of(|_| Answer::Raw(Vec::new())).await, Some(Cause::Reset));
    assert_eq!(cause_of(|_| Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nOK".to_vec())).await, Some(Cause::Reset));
}

#[tokio::test]
async fn a_status_is_clear_although_its_page_breaks_off() {
    for (status, cause) in [("404 Not Found", Cause::NotFound), ("410 Gone", Cause::Gone)] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 900\r\n\r\n<p>Sorry");
        let merchant = FakeMerchant::start(move |_| Answer::Raw(answer.clone().into_bytes())).await;
        let attempt = attempt_at(Setup::default(), &merchant.url()).await;
        assert_eq!(attempt.attempt.cause, Some(cause));
        assert!(attempt.detail.note.ends_with("The answer broke off or stopped after 8 bytes."), "{:?}", attempt.detail);
    }
}

#[tokio::test]
async fn of_a_names_addresses_the_one_that_tells_most_is_told() {
    // As on a machine without IPv6: the second address has no route, and that says nothing of the server.
    let (url, port) = closed_port();
    let addresses = vec!["127.0.0.1".parse().unwrap(), "255.255.255.255".parse().unwrap()];
    let names = [("shop.example".to_owned(), addresses)].into();
    let setup = Setup { names, networks: vec!["127.0.0.0/8", "255.255.255.255/32"], ..Setup::default() };
    let attempt = attempt_at(setup, &url.replace("127.0.0.1", "shop.example")).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::Refused), "{:?}", attempt.detail);
    assert!(attempt.detail.note.starts_with("At 127.0.0.1:"), "{:?}", attempt.detail);
    drop(port);
}

#[tokio::test]
async fn a_connection_that_is_reset_while_the_message_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 100];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut seen).await;
            stream.set_zero_linger().unwrap();
        }
    });
    assert_eq!(long_attempt_at(&url).await.attempt.cause, Some(Cause::Reset));
}

// The way to somewhere else.

#[tokio::test]
async fn a_redirect_into_the_operators_network_is_not_followed() {
    let merchant =
        FakeMerchant::start(|_| Answer::Page(302, vec![("Location", "http://169.254.169.254/latest/".to_owned())], Vec::new()))
            .await;
    let attempt = attempt_at(Setup::default(), &merchant.url()).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::Redirect));
    assert!(attempt.detail.note.contains("http://169.254.169.254/latest/"));
    assert_eq!(attempt.attempt.address, Some(merchant.address.to_string()));
}

#[tokio::test]
async fn a_name_that_leads_into_the_operators_network_at_the_second_look_up() {
    // Its first answer ends the connection, so that the second attempt has to look the name up again.
    let merchant = FakeMerchant::start(|_| Answer::Raw(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec())).await;
    let resolver = Some(changing_name_server(vec![[127, 0, 0, 1], [169, 254, 169, 254]]).await);
    let app = TestApp::start_as(Setup { resolver, limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let url = shop.url(&format!("http://shop.example.com:{}/ipn", merchant.address.port())).await;
    let first = shop.order("1").await;
    assert_eq!(shop.first_attempt(first, url).await.attempt.cause, Some(Cause::ServerError));
    let second = shop.order("2").await;
    let attempt = shop.first_attempt(second, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::AddressForbidden), "{:?}", attempt.detail);
    assert!(attempt.detail.note.contains("169.254.169.254"), "{:?}", attempt.detail);
    assert_eq!(merchant.visits().len(), 1);
}
