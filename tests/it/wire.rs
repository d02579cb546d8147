//! Connections to merchants: HTTP/2, compressed answers, certificates of private authorities.

use crate::support::{
    app::{MERCHANT_KEY, Setup, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, receipt},
    message::Message,
};
use flate2::{Compression, write::GzEncoder};
use quittance::{
    domain::{AppError, Cause, DeliveryState},
    server::service::{terms::TermsForm, urls::UrlForm},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// An authority of somebody's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn certificate(&self, host: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    }
}

/// A server where the name shop.example leads to loopback.
async fn app() -> TestApp {
    let names = [("shop.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    TestApp::start_as(Setup { names, ..Setup::default() }).await
}

fn address(merchant: &FakeMerchant) -> String {
    format!("https://shop.example:{}/ipn.php", merchant.address.port())
}

#[tokio::test]
async fn a_private_authority_is_trusted_at_the_url_that_names_it_and_nowhere_else() {
    let authority = Authority::new("Ours");
    let (certificate, key) = authority.certificate("shop.example");
    let merchant = FakeMerchant::start_tls(certificate, key).await;
    let app = app().await;
    let shop = app.shop("Shop").await;
    let trusting = shop.url_as(&address(&merchant), |url| url.terms.authority = authority.pem.clone()).await;
    let other = shop.url(&address(&merchant)).await;
    let third = shop.url_as(&address(&merchant), |url| url.terms.authority = Authority::new("Somebody else").pem).await;
    // Twice, so that a connection is there to be taken by those who must not have it.
    for reference in ["1", "2"] {
        let order = shop.order(reference).await;
        shop.wait_for_state(order, trusting, DeliveryState::Confirmed).await;
        for url in [other, third] {
            assert_eq!(shop.first_attempt(order, url).await.attempt.cause, Some(Cause::TlsUnknownIssuer));
        }
    }
    assert_eq!(merchant.visits().len(), 2);
}

#[tokio::test]
async fn a_private_authority_is_entered_with_the_url_and_serves_its_check_too() {
    let authority = Authority::new("Ours");
    let (certificate, key) = authority.certificate("shop.example");
    let merchant = FakeMerchant::start_tls(certificate, key).await;
    let app = app().await;
    let shop = app.shop("Shop").await;
    let form = |authority: &str| UrlForm {
        url: address(&merchant),
        algorithms: quittance::domain::Algorithms::MD5,
        terms: TermsForm { authority: authority.to_owned(), ..TermsForm::default() },
        ..UrlForm::default()
    };
    let (draft, target) = shop.services.url_draft(&shop.merchant, None, &form(&format!("my root:\n{}", authority.pem))).unwrap();
    assert!(draft.terms.authority.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(shop.services.check_url(&target, &[], &draft.terms).await.cause, None);
    assert_eq!(shop.services.check_url(&target, &[], &Default::default()).await.cause, Some(Cause::TlsUnknownIssuer));
    let Err(AppError::Invalid(errors)) = shop.services.url_draft(&shop.merchant, None, &form("my root")) else { panic!() };
    assert!(errors[0].field == "authority" && errors[0].message.contains("There is no certificate"), "{errors:?}");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_offers_it_and_one_connection_carries_many() {
    let authority = Authority::new("Ours");
    let (certificate, key) = authority.certificate("shop.example");
    let merchant = FakeMerchant::start_h2(certificate, key).await;
    let app = app().await;
    let shop = app.shop("Shop").await;
    let url = shop
        .url_as(&address(&merchant), |url| {
            url.concurrent = true;
            url.terms.authority = authority.pem.clone();
        })
        .await;
    let order = shop.order("first").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let attempt = shop.first_attempt(order, url).await;
    assert!(attempt.request_head.starts_with("POST /ipn.php HTTP/2\r\nhost: shop.example"), "{}", attempt.request_head);
    assert!(attempt.answer_head.starts_with("HTTP/2.0 200"), "{}", attempt.answer_head);
    assert!(attempt.attempt.timings.tls.is_some());
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    merchant.answer(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit))));
    let references: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let orders = futures::future::join_all(references.iter().map(|reference| shop.order(reference))).await;
    crate::support::until("ten at a time", || async { (merchant.present() == 10).then_some(()) }).await;
    gate.add_permits(10);
    for order in orders {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    assert_eq!((merchant.visits().len(), merchant.connections()), (11, 1));
    let visit = &merchant.visits()[0];
    assert_eq!(visit.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(visit.headers["accept-encoding"], "gzip, deflate, br");
    assert!(!visit.signatures(MERCHANT_KEY).is_empty());
}

#[tokio::test]
async fn a_server_that_takes_few_requests_over_a_connection_of_http_2_gets_more_connections() {
    let authority = Authority::new("Ours");
    let (certificate, key) = authority.certificate("shop.example");
    let merchant = FakeMerchant::start_h2(certificate, key).await;
    merchant.takes_at_once(3);
    let names = [("shop.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    let app = TestApp::start_as(Setup { names, limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let url = shop
        .url_as(&address(&merchant), |url| {
            url.concurrent = true;
            url.terms.authority = authority.pem.clone();
        })
        .await;
    let first = shop.order("first").await;
    shop.wait_for_state(first, url, DeliveryState::Confirmed).await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    merchant.answer(move |visit| Answer::Gated(held.clone(), Box::new(Answer::receipt("md5", visit))));
    let references: Vec<_> = (0..8).map(|number| number.to_string()).collect();
    let orders = futures::future::join_all(references.iter().map(|reference| shop.order(reference))).await;
    // None waits behind three others until it looks as if the server took nothing.
    crate::support::until("eight at a time", || async { (merchant.present() == 8).then_some(()) }).await;
    gate.add_permits(8);
    for order in orders {
        let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        assert_eq!(delivery.attempts, 1);
    }
}

/// What the first connection is told to a request, as raw frames of HTTP/2; all others reach the merchant behind.
async fn turning_away(answer: Vec<u8>, certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>, behind: u16) -> u16 {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let mut first = acceptor.accept(first).await.unwrap();
        let mut preface = [0; 24];
        first.read_exact(&mut preface).await.unwrap();
        // Settings, none of them.
        first.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        first.flush().await.unwrap();
        loop {
            let mut head = [0; 9];
            first.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            first.read_exact(&mut vec![0; length]).await.unwrap();
            if head[3] == 1 {
                break;
            }
        }
        first.write_all(&answer).await.unwrap();
        first.flush().await.unwrap();
        while let Ok((mut next, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut there = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut next, &mut there).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn what_a_server_of_http_2_has_not_looked_at_is_sent_again_as_if_nothing_had_been() {
    let goes_away = vec![0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let refuses_it = vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7];
    for answer in [goes_away, refuses_it] {
        let authority = Authority::new("Ours");
        let (certificate, key) = authority.certificate("shop.example");
        let merchant = FakeMerchant::start_h2(certificate, key).await;
        let (certificate, key) = authority.certificate("shop.example");
        let port = turning_away(answer, certificate, key, merchant.address.port()).await;
        let app = app().await;
        let shop = app.shop("Shop").await;
        let address = format!("https://shop.example:{port}/ipn.php");
        let url = shop.url_as(&address, |url| url.terms.authority = authority.pem.clone()).await;
        let order = shop.order("1").await;
        let delivery = shop.wait_for_attempts(order, url, 1).await;
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Confirmed, 1), "{:?}", delivery.last_cause);
        let attempt = shop.first_attempt(order, url).await;
        assert!(!attempt.detail.note.contains("sent again"), "{:?}", attempt.detail);
        assert_eq!(merchant.visits().len(), 1);
    }
}

#[tokio::test]
async fn a_message_that_is_not_taken_over_http_2_is_told_from_one_without_an_answer() {
    let authority = Authority::new("Ours");
    let (certificate, key) = authority.certificate("shop.example");
    let merchant = FakeMerchant::start_h2(certificate, key).await;
    merchant.takes_only(100);
    let names = [("shop.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    let app = TestApp::start_as(Setup { names, limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let url = shop.url_as(&address(&merchant), |url| url.terms.authority = authority.pem.clone()).await;
    let mut message = Message::small("long", "COMPLETE", "20260301120009");
    message.set("CUSTOMER_NOTE", &"x".repeat(100_000));
    let order = shop.accepted(&message).await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::SendTimeout), "{:?}", attempt.detail);
    assert!(attempt.answer_head.is_empty());
}

fn gzipped(text: &str) -> Answer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    Answer::Page(200, vec![("Content-Encoding", "gzip".to_owned())], encoder.finish().unwrap())
}

#[tokio::test]
async fn a_compressed_receipt_confirms_and_the_answer_is_kept_as_text() {
    let app = app().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| match visit.field("REFNO").as_str() {
        "right" => gzipped(&receipt("md5", MERCHANT_KEY, &visit.body)),
        "brotli" => {
            let mut packed = Vec::new();
            let text = receipt("md5", MERCHANT_KEY, &visit.body);
            std::io::Read::read_to_end(&mut brotli::CompressorReader::new(text.as_bytes(), 4_096, 5, 20), &mut packed).unwrap();
            Answer::Page(200, vec![("Content-Encoding", "br".to_owned())], packed)
        }
        "wrong" => gzipped("OK, thank you"),
        _ => Answer::Page(200, vec![("Content-Encoding", "gzip".to_owned())], b"not gzip at all".to_vec()),
    })
    .await;
    let url = shop.url_as(&merchant.url(), |url| url.concurrent = true).await;
    for reference in ["right", "brotli"] {
        let order = shop.order(reference).await;
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
        let attempt = shop.first_attempt(order, url).await;
        assert!(attempt.answer_body.starts_with("<EPAYMENT>"), "{}", attempt.answer_body);
        assert!(attempt.detail.compression.contains("shown decompressed"), "{:?}", attempt.detail);
    }
    let order = shop.order("wrong").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!((attempt.attempt.cause, attempt.answer_body.as_str()), (Some(Cause::PlainText), "OK, thank you"));
    let order = shop.order("a lie").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.answer_body, "not gzip at all");
    assert!(attempt.detail.compression.contains("but it is not"), "{:?}", attempt.detail);
}
