//! Each cause of a failed delivery, provoked for real.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Setup, Shop, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, RECEIPT_DATE, Visit, closed_port, receipt, receipt_form, receipt_source},
    message::{Message, mac, prefixed},
    stores,
};
use hickory_resolver::{
    Resolver as Hickory,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};
use quittance::{
    domain::{Algorithms, Cause, DeliveryState, attempt::UrlCheck, pages::orders::AttemptPage},
    server::{
        dispatch::{
            Workshop,
            client::{Client, Guard, Limits, Resolver, Target},
        },
        store::Job,
    },
};
use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::{sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

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

// Reaching it.

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

// Waiting.

#[tokio::test]
async fn a_message_that_is_not_taken_in_time() {
    // It accepts, never reads, and has little room.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let attempt = long_attempt_at(&url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::SendTimeout), "{:?}", attempt.detail);
}

#[tokio::test]
async fn a_server_that_holds_connections_open_delays_nobody_else() {
    let app = TestApp::start_as(Setup { limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let silent = FakeMerchant::start(|_| Answer::Later(Duration::from_secs(60), Box::new(Answer::text("")))).await;
    let good = FakeMerchant::confirming().await;
    let slow_url = shop.url_as(&silent.url(), |url| url.concurrent = true).await;
    let url = shop.url(&good.url()).await;
    let mut orders = Vec::new();
    for number in 0..70 {
        orders.push(shop.order(&number.to_string()).await);
    }
    for order in &orders {
        shop.wait_for_state(*order, url, DeliveryState::Confirmed).await;
    }
    let delivery = shop.wait_for_attempts(orders[0], slow_url, 1).await;
    assert_eq!(delivery.last_cause, Some(Cause::NoAnswer));
}

#[tokio::test]
async fn no_answer_in_time() {
    let late = |visit: &Visit| Answer::Later(Duration::from_secs(60), Box::new(Answer::receipt("md5", visit)));
    assert_eq!(cause_of(late).await, Some(Cause::NoAnswer));
}

#[tokio::test]
async fn an_answer_that_drips() {
    assert_eq!(cause_of(|_| Answer::Drip).await, Some(Cause::Dripping));
}

#[tokio::test]
async fn an_answer_that_is_too_large() {
    assert_eq!(cause_of(|_| Answer::text("x".repeat((1 << 20) + 1))).await, Some(Cause::AnswerTooLarge));
}

#[tokio::test]
async fn an_answer_of_a_gibibyte_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = written.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, head).await;
            let chunk = vec![b'x'; 64 << 10];
            while tokio::io::AsyncWriteExt::write_all(&mut stream, &chunk).await.is_ok() {
                counter.fetch_add(chunk.len(), std::sync::atomic::Ordering::SeqCst);
            }
        }
    });
    let attempt = attempt_at(Setup::default(), &url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::AnswerTooLarge));
    assert_eq!(attempt.answer_body.len(), 64 << 10);
    assert!(written.load(std::sync::atomic::Ordering::SeqCst) < 64 << 20, "the connection was closed");
}

#[tokio::test]
async fn a_compressed_bomb_is_cut() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![b'x'; 100 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(packed.len() < 200_000);
    let answer = move |_: &Visit| Answer::Page(200, vec![("Content-Encoding", "gzip".to_owned())], packed.clone());
    assert_eq!(cause_of(answer).await, Some(Cause::AnswerTooLarge));
}

#[tokio::test]
async fn what_does_not_speak_http() {
    assert_eq!(cause_of(|_| Answer::Raw(b"220 mail.example.com ESMTP\r\n".to_vec())).await, Some(Cause::NotHttp));
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

// The status and the body.

/// The product that most ways to get a receipt wrong stumble over.
const PRODUCT: &str = " Täst & \"Co\" 🎈\\";

fn puzzle(reference: &str) -> Message {
    let mut message = Message::full(reference, "COMPLETE");
    message.set("IPN_PNAME[]", PRODUCT);
    message
}

/// A well-formed MD5 receipt over some text.
fn receipt_over(source: &str) -> Answer {
    receipt_with(MERCHANT_KEY, source)
}

fn receipt_with(key: &str, source: &str) -> Answer {
    Answer::text(receipt_form("md5", RECEIPT_DATE, &mac("md5", key, source)))
}

fn measured(values: &[&str], length: impl Fn(&str) -> usize) -> String {
    values.iter().map(|value| format!("{}{value}", length(value))).collect()
}

fn over_product(visit: &Visit, product: &str) -> Answer {
    receipt_over(&["1", product, &visit.field("IPN_DATE"), RECEIPT_DATE].map(prefixed).concat())
}

type Case = (&'static str, Cause, fn(&Visit) -> Answer);

/// Answers that come whole, and what is wrong with each.
const ANSWERS: &[Case] = &[
    ("moved", Cause::Redirect, |_| Answer::status(301, "")),
    ("posted elsewhere", Cause::Redirect, |_| Answer::status(307, "")),
    ("password wanted", Cause::Denied, |_| Answer::status(401, "")),
    ("forbidden", Cause::Denied, |_| Answer::status(403, "")),
    ("no such page", Cause::NotFound, |_| Answer::status(404, "<html>Not found</html>")),
    ("GET only", Cause::MethodRefused, |_| Answer::status(405, "")),
    ("too large for it", Cause::PayloadRefused, |_| Answer::status(413, "")),
    ("too often", Cause::RateLimited, |_| Answer::status(429, "")),
    ("bad signature", Cause::ClientError, |_| Answer::status(400, "invalid hash")),
    ("crashed", Cause::ServerError, |_| Answer::status(500, "")),
    ("overloaded", Cause::ServerError, |_| Answer::status(503, "")),
    ("made up", Cause::OtherStatus, |_| Answer::status(600, "")),
    ("nothing", Cause::EmptyAnswer, |_| Answer::text("")),
    ("no content", Cause::EmptyAnswer, |_| Answer::Page(204, Vec::new(), Vec::new())),
    ("OK", Cause::PlainText, |_| Answer::text("OK")),
    ("log-in page", Cause::HtmlPage, |_| Answer::text("<!DOCTYPE html><title>Sign in</title>")),
    ("firewall", Cause::Challenge, |_| Answer::text("<html><title>Just a moment...</title>")),
    ("firewall with 403", Cause::Challenge, |_| Answer::status(403, "<script src=\"https://challenges.cloudflare.com/\">")),
    ("PHP error", Cause::ScriptError, |_| Answer::text("<b>Fatal error</b>: Uncaught Error in /srv/ipn.php on line 3")),
    ("cut off", Cause::MalformedReceipt, |_| Answer::text("<EPAYMENT>20260301120010|7bf9")),
    ("escaped", Cause::MalformedReceipt, |visit| {
        Answer::text(receipt("md5", MERCHANT_KEY, &visit.body).replace('<', "&lt;").replace('>', "&gt;"))
    }),
    ("its error", Cause::ErrorInReceipt, |_| Answer::text("<EPAYMENT>Error. Cannot verify signature.</EPAYMENT>")),
    ("the gateway's key", Cause::WrongKey, |visit| receipt_with(GATEWAY_KEY, &receipt_source(&visit.body, RECEIPT_DATE))),
    ("other hash in the tag", Cause::WrongAlgorithm, |visit| {
        let hash = mac("sha2", MERCHANT_KEY, receipt_source(&visit.body, RECEIPT_DATE));
        Answer::text(receipt_form("sha3", RECEIPT_DATE, &hash))
    }),
    ("characters", Cause::CharacterLengths, |visit| {
        receipt_over(&measured(&["1", PRODUCT, &visit.field("IPN_DATE"), RECEIPT_DATE], |value| value.chars().count()))
    }),
    ("UTF-16 units", Cause::CharacterLengths, |visit| {
        receipt_over(&measured(&["1", PRODUCT, &visit.field("IPN_DATE"), RECEIPT_DATE], |value| value.encode_utf16().count()))
    }),
    ("all products", Cause::AllProducts, |visit| {
        let all =
            |name: &str| visit.fields().into_iter().filter(|field| field.0 == name).map(|field| field.1).collect::<Vec<_>>();
        let values = [all("IPN_PID[]"), all("IPN_PNAME[]"), vec![visit.field("IPN_DATE"), RECEIPT_DATE.to_owned()]].concat();
        receipt_over(&values.iter().map(|value| prefixed(value)).collect::<String>())
    }),
    ("another date", Cause::OtherDate, |visit| receipt_over(&receipt_source(&visit.body, &visit.field("IPN_DATE")))),
    ("trimmed", Cause::EditedValues, |visit| over_product(visit, PRODUCT.trim())),
    ("without slashes", Cause::EditedValues, |visit| over_product(visit, &PRODUCT.replace('\\', ""))),
    ("HTML-escaped", Cause::EditedValues, |visit| over_product(visit, &PRODUCT.replace('&', "&amp;").replace('"', "&quot;"))),
    ("our own signature", Cause::CopiedSignature, |visit| Answer::text(receipt_form("md5", RECEIPT_DATE, &visit.field("HASH")))),
    ("something else", Cause::WrongReceipt, |_| receipt_over("something else")),
    // At the end, because it puts the URL on hold.
    ("gone", Cause::Gone, |_| Answer::status(410, "")),
];

#[tokio::test]
async fn each_wrong_answer_is_told_apart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| {
        let reference = visit.field("REFNO");
        ANSWERS.iter().find(|(name, ..)| *name == reference).unwrap().2(visit)
    })
    .await;
    let url = shop
        .url_as(&merchant.url(), |url| {
            url.concurrent = true;
            url.algorithms = Algorithms::ALL;
        })
        .await;
    for (name, expected, _) in ANSWERS {
        let order = shop.accepted(&puzzle(name)).await;
        let attempt = shop.first_attempt(order, url).await;
        assert_eq!(attempt.attempt.cause, Some(*expected), "{name}: {:?}", attempt.detail);
    }
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_weaker_receipt_than_the_url_wants() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.algorithms = "sha3-256".parse().unwrap()).await;
    let order = shop.order("1").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::WrongAlgorithm), "{:?}", attempt.detail);
}

#[tokio::test]
async fn a_wrong_receipt_is_shown_beside_the_right_one() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| receipt_over("something else")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let detail = shop.first_attempt(order, url).await.detail;
    let source = receipt_source(&merchant.visits()[0].body, RECEIPT_DATE);
    assert_eq!((&detail.source, &detail.expected), (&source, &mac("md5", MERCHANT_KEY, &source)));
    assert!(detail.found.contains(&mac("md5", MERCHANT_KEY, "something else")), "{}", detail.found);
}

// Ours.

#[tokio::test]
async fn a_message_that_is_not_kept_any_more() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Retrying).await;
    let database = app.database();
    let app = app
        .restart(|| {
            rusqlite::Connection::open(database).unwrap().execute("DELETE FROM segment", []).unwrap();
            hand.advance(Duration::from_secs(150));
        })
        .await;
    let shop = shop.again(&app);
    let delivery = shop.wait_for_attempts(order, url, 2).await;
    assert_eq!((delivery.state, delivery.last_cause), (DeliveryState::Expired, Some(Cause::MessageGone)));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_for_a_moment_is_not_given_up() {
    let mut test = stores::sqlite().await;
    let merchant = test.merchant("Shop").await;
    let url_id = test.url(merchant, "http://127.0.0.1/").await;
    let listener_id = test.listener(merchant).await;
    let body = Message::small("1", "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    test.accept(stores::received(merchant, listener_id, &body)).await;
    let job = test.jobs.recv().await.unwrap().into_iter().find(|job| job.url_id == url_id).unwrap();
    let directory = test.store.settings();
    test.store.close().await;
    let client = Client::new(Resolver::Table(Arc::default()), Guard::default(), Vec::new(), Limits::default());
    let workshop = Workshop {
        store: test.store,
        client: Arc::new(client),
        clock: test.clock,
        metrics: Arc::default(),
        certificates: Default::default(),
        guesses: Default::default(),
    };
    let attempted = workshop.attempt(&Job { body: None, ..job }, &directory).await;
    assert!(attempted.is_none(), "it is tried again later: {attempted:?}");
}

#[tokio::test]
async fn a_url_that_cannot_be_used() {
    assert_eq!(cause_at(Setup::default(), "ftp://shop.example.com/").await, Some(Cause::UrlInvalid));
}

/// Every cause is named in a test above.
#[test]
fn no_cause_goes_without_a_test() {
    let here = include_str!("causes.rs");
    for cause in Cause::ALL {
        assert!(here.contains(&format!("Cause::{cause:?}")), "no test provokes {cause:?}");
    }
}

// The check of a URL when it is saved.

async fn check(shop: &Shop, url: &str) -> UrlCheck {
    shop.services.check_url(&Target::parse(url).unwrap(), &[], &Default::default()).await
}

#[tokio::test]
async fn a_saved_url_is_asked_with_get_and_must_answer_200() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    assert_eq!(check(&shop, &merchant.url()).await.cause, None);
    let visit = &merchant.visits()[0];
    assert_eq!((visit.method.as_str(), visit.body.len()), ("GET", 0));
    merchant.answer(|_| Answer::status(405, ""));
    assert_eq!(check(&shop, &merchant.url()).await.cause, Some(Cause::MethodRefused));
    merchant.answer(|_| Answer::Page(301, vec![("Location", "/elsewhere".to_owned())], Vec::new()));
    let redirected = check(&shop, &merchant.url()).await;
    assert!(redirected.cause == Some(Cause::Redirect) && redirected.note.contains("/elsewhere"), "{redirected:?}");
    let (closed, _port) = closed_port();
    assert_eq!(check(&shop, &closed).await.cause, Some(Cause::Refused));
}

#[tokio::test]
async fn the_check_of_a_url_does_not_look_into_the_operators_network() {
    let app = TestApp::start_as(Setup { networks: Vec::new(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    assert_eq!(check(&shop, &merchant.url()).await.cause, Some(Cause::AddressForbidden));
    assert!(merchant.visits().is_empty());
}
