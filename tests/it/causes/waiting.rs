//! Waiting: what takes too long, is too much, or is no answer at all.

use super::{attempt_at, cause_of, long_attempt_at};
use crate::support::{
    app::{Setup, TestApp, short_limits},
    merchant::{Answer, FakeMerchant, Visit},
    message::Message,
};
use quittance::domain::{Cause, DeliveryState};
use std::{sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpSocket};

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

/// It answers before it has taken the message, keeps the connection, and reads nothing more from it.
#[tokio::test]
async fn a_connection_on_which_nothing_is_read_any_more_is_not_used_again() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2_048).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = [0; 100];
            let _ = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut seen).await;
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            held.push(stream);
        }
    });
    let app = TestApp::start_as(Setup { limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let url = shop.url(&url).await;
    for reference in ["1", "2", "3"] {
        let mut message = Message::full(reference, "COMPLETE");
        message.set("COMPANY", &"x".repeat(200_000));
        let order = shop.accepted(&message).await;
        let attempt = shop.first_attempt(order, url).await;
        assert_eq!(attempt.attempt.status, Some(413), "{:?}", attempt.detail);
    }
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
