//! Receivers that misbehave in every way: each has its cause, none keeps another waiting, and nothing that went to them is lost.

use crate::{
    causes::changing_name_server,
    support::{
        app::{Setup, TestApp, short_limits},
        merchant::{Answer, FakeMerchant},
    },
};
use quittance::{
    domain::{Cause, DeliveryState},
    server::clock::Clock,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What a receiver does until it is well, and what that is called.
fn troubles() -> [(fn() -> Answer, Cause); 7] {
    [
        (|| Answer::Drip, Cause::Dripping),
        (|| Answer::text("x".repeat(8 << 20)), Cause::AnswerTooLarge),
        (|| Answer::Reset, Cause::Reset),
        (|| Answer::Raw(b"220 mail.example.com ESMTP\r\n".to_vec()), Cause::NotHttp),
        (|| Answer::Page(302, vec![("Location", "http://169.254.169.254/latest/".to_owned())], Vec::new()), Cause::Redirect),
        (|| Answer::Later(Duration::from_secs(60), Box::new(Answer::text(""))), Cause::NoAnswer),
        // Its first answer ends the connection, so that the next attempt looks the name up again.
        (|| Answer::Raw(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec()), Cause::ServerError),
    ]
}

#[tokio::test]
async fn receivers_in_trouble_disturb_no_other_and_get_everything_once_they_are_well() {
    let (clock, hand) = Clock::manual(crate::support::stores::START);
    let resolver = Some(changing_name_server(vec![[127, 0, 0, 1], [169, 254, 169, 254], [127, 0, 0, 1]]).await);
    let app = TestApp::start_as(Setup { clock, resolver, limits: short_limits(), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let neighbour = FakeMerchant::confirming().await;
    let good = shop.url(&neighbour.url()).await;
    let is_well = Arc::new(AtomicBool::new(false));
    let mut bad = Vec::new();
    let troubles = troubles();
    let last = troubles.len() - 1;
    for (number, (answer, cause)) in troubles.into_iter().enumerate() {
        let well = is_well.clone();
        let merchant =
            FakeMerchant::start(move |visit| if well.load(Ordering::SeqCst) { Answer::receipt("md5", visit) } else { answer() })
                .await;
        let named = format!("http://shop.example.com:{}/ipn", merchant.address.port());
        let url = shop.url(&if number == last { named } else { merchant.url() }).await;
        bad.push((url, cause, merchant));
    }
    let orders = [shop.order("1").await, shop.order("2").await];
    for order in orders {
        shop.wait_for_state(order, good, DeliveryState::Confirmed).await;
    }
    for (url, cause, _) in &bad {
        assert_eq!(shop.first_attempt(orders[0], *url).await.attempt.cause, Some(*cause));
    }
    let moved = shop.first_attempt(orders[1], bad[last].0).await;
    assert_eq!(moved.attempt.cause, Some(Cause::AddressForbidden), "at the second look-up: {:?}", moved.detail);
    for (url, ..) in &bad {
        shop.wait_for_attempts(orders[1], *url, 1).await;
    }
    let third = shop.order("3").await;
    shop.wait_for_state(third, good, DeliveryState::Confirmed).await;
    for (url, ..) in &bad {
        shop.wait_for_attempts(third, *url, 1).await;
    }
    is_well.store(true, Ordering::SeqCst);
    hand.advance(Duration::from_secs(150));
    for (url, cause, merchant) in &bad {
        for order in [orders[0], orders[1], third] {
            shop.wait_for_state(order, *url, DeliveryState::Confirmed).await;
        }
        assert!(merchant.visits().len() >= 3, "{cause:?}");
    }
    assert_eq!(neighbour.visits().len(), 3);
    app.assert_healthy().await;
}
