//! What messages make of their order: both engines apply the one rule of the domain, whatever the story.

use crate::support::stores::{START, TestStore, on_every_engine};
use quittance::{
    domain::{
        Algorithms, Gateway, Money, OrderStatus, Timestamp,
        id::{ListenerId, MerchantId},
        money::Currency,
        order::{OrderFacts, Refund, Refunds, Standing},
    },
    server::store::NewNotification,
};
use std::time::Duration;

on_every_engine! {
    a_refund_that_failed_is_taken_out_of_the_sum,
    refunds_of_2checkout_are_summed_up,
    refunds_beyond_what_can_be_counted_are_stored,
    messages_of_one_order_in_the_same_moment_end_as_one_by_one,
    a_message_that_is_stored_late_makes_nothing_older,
    a_listener_received_last_what_came_last,
    stories_end_as_the_rule_says,
    numbered_messages_are_told_apart_by_their_number,
    what_is_sent_on_survives_a_restart,
    what_was_said_once_stays_known,
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn usd(minor: i64) -> Money {
    Money { minor, currency: Currency::parse("USD").unwrap() }
}

fn message(
    place: (MerchantId, ListenerId),
    reference: &str,
    number: u64,
    facts: impl FnOnce(&mut OrderFacts),
) -> NewNotification {
    let mut told = OrderFacts {
        reference: reference.into(),
        external: "web".into(),
        email: "buyer@example.com".into(),
        customer: "Ana".into(),
        status: OrderStatus::Paid,
        vendor_status: "word".into(),
        amount: Some(usd(100)),
        test: false,
        event_at: None,
        message_id: format!("event-{number}").as_str().into(),
        refund: None,
    };
    facts(&mut told);
    NewNotification {
        merchant_id: place.0,
        listener_id: Some(place.1),
        gateway: "stripe".parse::<Gateway>().unwrap(),
        received_at: START,
        signatures: Algorithms::NONE,
        peer: "127.0.0.1".into(),
        head: "POST /ipn/x HTTP/1.1\r\n\r\n".to_owned(),
        body: format!("{{\"try\":{number}}}").into(),
        outgoing: Some(format!("REFNO={reference}&NUMBER={number}").into()),
        digest: None,
        facts: told,
        quiet: false,
    }
}

async fn shop(test: &TestStore) -> (MerchantId, ListenerId) {
    let merchant = test.merchant("Shop").await;
    (merchant, test.listener(merchant).await)
}

async fn refunds_beyond_what_can_be_counted_are_stored(test: TestStore) {
    let place = shop(&test).await;
    for number in 0..4 {
        let part = if number < 2 { i64::MAX } else { i64::MIN };
        let refund = message(place, "1", number, |facts| {
            (facts.status, facts.refund) = (OrderStatus::Refunded, Some(Refund::Part(part)));
        });
        assert!(!test.store.accept(refund).await.unwrap().repeated);
    }
}

async fn stories_end_as_the_rule_says(test: TestStore) {
    let place = shop(&test).await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for story in 0..60u64 {
        let reference = format!("order-{story}");
        let (mut standing, mut refunds, mut amount): (Option<Standing>, _, Option<i64>) = (None, Refunds::default(), None);
        for step in 0..1 + dice.below(7) {
            let status = OrderStatus::ALL[dice.below(10) as usize];
            let event_at = (dice.below(3) > 0).then(|| Timestamp::from_seconds(1_772_366_395 + dice.below(10) as i64));
            // A gateway tells single refunds, or sums.
            let refund = match dice.below(2) {
                // Below zero: one that failed afterwards.
                0 if story % 2 == 0 => Some(Refund::Part(dice.below(90) as i64 - 30)),
                0 => Some(Refund::Total(dice.below(120) as i64)),
                _ => None,
            };
            let told = (dice.below(3) > 0).then(|| usd(100));
            let new = message(place, &reference, story * 100 + step, |facts| {
                (facts.status, facts.event_at, facts.refund, facts.amount) = (status, event_at, refund, told);
            });
            let said = Standing::of(&new.facts, new.received_at);
            refunds = refunds.and(refund);
            if standing.is_none_or(|known| known.is_replaced_by(said)) {
                standing = Some(standing.map_or(said, |known| known.after(said)));
                amount = told.map(|money| money.minor).or(amount);
            }
            let expected = refunds.settle(standing.unwrap().status, amount);
            let accepted = test.accept(new).await;
            assert!(!accepted.repeated);
            test.store.settled().await.unwrap();
            let id = test.store.order_by_reference(place.0, &reference).await.unwrap().unwrap();
            let order = test.store.order(place.0, id).await.unwrap().unwrap();
            assert_eq!(order.status, expected, "story {story}, step {step}");
            assert_eq!(order.amount.map(|money| money.minor), amount, "story {story}, step {step}");
        }
    }
    let findings = test.store.verify().await.unwrap();
    assert!(findings.iter().all(|finding| finding.ok), "{findings:#?}");
}

async fn numbered_messages_are_told_apart_by_their_number(test: TestStore) {
    let place = shop(&test).await;
    let first = test.accept(message(place, "1", 1, |_| {})).await;
    let mut same = message(place, "1", 1, |_| {});
    same.body = "{\"try\":2}".into();
    let again = test.accept(same).await;
    assert_eq!((again.repeated, again.notification_id), (true, first.notification_id), "written anew, but the same");
    let mut other = message(place, "1", 2, |_| {});
    other.body = "{\"try\":1}".into();
    assert!(!test.accept(other).await.repeated, "the same bytes, but another one of them");
    let unnumbered = |text: &'static str| {
        let mut new = message(place, "1", 3, |facts| facts.message_id = "".into());
        new.body = text.into();
        new
    };
    assert!(!test.accept(unnumbered("a")).await.repeated);
    assert!(!test.accept(unnumbered("b")).await.repeated);
    assert!(test.accept(unnumbered("a")).await.repeated, "without a number the bytes tell");
    let known = test.store.amount_of(place.0, "stripe".parse().unwrap(), "1").await.unwrap();
    assert_eq!(known, Some(usd(100)));
    assert_eq!(test.store.amount_of(place.0, Gateway::TwoCheckout, "1").await.unwrap(), None, "of another gateway");
}

/// Two refunds, of which the second failed afterwards; and what is known of the order each time.
async fn a_refund_that_failed_is_taken_out_of_the_sum(test: TestStore) {
    let place = shop(&test).await;
    let mut expected = OrderStatus::Paid;
    for (step, (status, refund, after)) in [
        (OrderStatus::Paid, None, OrderStatus::Paid),
        (OrderStatus::Refunded, Some(Refund::Part(40)), OrderStatus::PartiallyRefunded),
        (OrderStatus::Refunded, Some(Refund::Part(60)), OrderStatus::Refunded),
        (OrderStatus::Paid, Some(Refund::Part(-60)), OrderStatus::PartiallyRefunded),
        (OrderStatus::Paid, Some(Refund::Part(-40)), OrderStatus::Paid),
        (OrderStatus::Refunded, Some(Refund::Part(100)), OrderStatus::Refunded),
    ]
    .into_iter()
    .enumerate()
    {
        let known = test.store.known_order(place.0, "stripe".parse().unwrap(), "1").await.unwrap();
        assert_eq!(known.as_ref().map(|known| known.status), (step > 0).then_some(expected), "before step {step}");
        assert!(known.is_none_or(|known| known.amount == Some(usd(100)) && known.vendor_status == "word"));
        let number = step as u64;
        test.accept(message(place, "1", number, |facts| {
            (facts.status, facts.refund) = (status, refund);
            facts.amount = (step == 0).then(|| usd(100));
            facts.event_at = Some(Timestamp::from_seconds(1_772_366_400 + step as i64));
        }))
        .await;
        test.store.settled().await.unwrap();
        let id = test.store.order_by_reference(place.0, "1").await.unwrap().unwrap();
        assert_eq!(test.store.order(place.0, id).await.unwrap().unwrap().status, after, "step {step}");
        expected = after;
    }
    let known = test.store.known_order(place.0, "stripe".parse().unwrap(), "1").await.unwrap().unwrap();
    assert_eq!((known.refunds.parts, known.refunds.total), (100, 0));
    assert_eq!(test.store.known_order(place.0, Gateway::TwoCheckout, "1").await.unwrap(), None, "of another gateway");
}

/// Its messages leave as they came, and each tells its own refund.
async fn refunds_of_2checkout_are_summed_up(test: TestStore) {
    let place = shop(&test).await;
    let message = |number: u64, status, refund| NewNotification {
        gateway: Gateway::TwoCheckout,
        outgoing: None,
        ..message(place, "1", number, |facts| {
            (facts.status, facts.refund) = (status, refund);
            facts.amount = (number == 0).then(|| usd(100));
            facts.event_at = Some(Timestamp::from_seconds(1_772_366_400 + number as i64));
        })
    };
    for (number, (refund, expected)) in [
        (None, OrderStatus::Paid),
        (Some(Refund::Part(40)), OrderStatus::PartiallyRefunded),
        (Some(Refund::Part(60)), OrderStatus::Refunded),
    ]
    .into_iter()
    .enumerate()
    {
        let told = if refund.is_some() { OrderStatus::Refunded } else { OrderStatus::Paid };
        test.accept(message(number as u64, told, refund)).await;
        // What was accepted is known at once: the next message may be answered by it.
        let known = test.store.known_order(place.0, Gateway::TwoCheckout, "1").await.unwrap().unwrap();
        assert_eq!(known.refunds.parts, [0, 40, 100][number], "message {number}");
        assert_eq!(test.store.amount_of(place.0, Gateway::TwoCheckout, "1").await.unwrap(), Some(usd(100)));
        test.store.settled().await.unwrap();
        let id = test.store.order_by_reference(place.0, "1").await.unwrap().unwrap();
        assert_eq!(test.store.order(place.0, id).await.unwrap().unwrap().status, expected, "message {number}");
    }
    let known = test.store.known_order(place.0, Gateway::TwoCheckout, "1").await.unwrap().unwrap();
    assert_eq!((known.refunds.parts, known.refunds.total), (100, 0));
}

async fn messages_of_one_order_in_the_same_moment_end_as_one_by_one(test: TestStore) {
    let place = shop(&test).await;
    for story in 0..20u64 {
        let reference = format!("order-{story}");
        let told = |number: u64, second: i64, email: &str| {
            message(place, &reference, story * 10 + number, |facts| {
                facts.event_at = Some(Timestamp::from_seconds(1_772_366_400 + second));
                facts.email = email.into();
            })
        };
        test.accept(told(0, 10, "new@example.com")).await;
        // A late one, and a newer one that comes without the address.
        let both = [told(1, 5, "old@example.com"), told(2, 20, "")].map(|new| test.store.accept(new));
        futures::future::try_join_all(both).await.unwrap();
        test.store.settled().await.unwrap();
        let id = test.store.order_by_reference(place.0, &reference).await.unwrap().unwrap();
        let order = test.store.order(place.0, id).await.unwrap().unwrap();
        assert_eq!(order.email, "new@example.com", "story {story}");
    }
}

/// One that its gateway had to be asked about for half an hour.
async fn a_message_that_is_stored_late_makes_nothing_older(test: TestStore) {
    let place = shop(&test).await;
    let minute = |minutes: u64| START.plus(Duration::from_secs(60 * minutes));
    for (number, came, status) in [(0, 5, OrderStatus::Paid), (1, 0, OrderStatus::Pending), (2, 1, OrderStatus::Reversed)] {
        let new = message(place, "1", number, |facts| facts.status = status);
        test.accept(NewNotification { received_at: minute(came), ..new }).await;
        test.store.settled().await.unwrap();
        let id = test.store.order_by_reference(place.0, "1").await.unwrap().unwrap();
        let order = test.store.order(place.0, id).await.unwrap().unwrap();
        assert_eq!(order.updated_at, minute(5), "message {number}");
    }
}

/// Of a gateway that does not say when something happened.
async fn a_listener_received_last_what_came_last(test: TestStore) {
    let place = shop(&test).await;
    for number in 0..8 {
        let came = START.plus(Duration::from_secs(number));
        let new = message(place, &format!("order-{number}"), number, |facts| facts.event_at = None);
        test.accept(NewNotification { received_at: came, ..new }).await;
        test.store.settled().await.unwrap();
        let activity = test.store.listener_activity(place.0).await.unwrap();
        assert_eq!(activity[&place.1].0, Some(came), "message {number}");
    }
}

async fn what_is_sent_on_survives_a_restart(test: TestStore) {
    let place = shop(&test).await;
    let accepted = test.accept(message(place, "1", 1, |_| {})).await;
    test.store.settled().await.unwrap();
    let bodies = test.store.bodies(&[accepted.notification_id]).await.unwrap();
    assert_eq!(bodies[&accepted.notification_id], "REFNO=1&NUMBER=1");
    let stored = test.store.notification(place.0, accepted.notification_id).await.unwrap().unwrap();
    assert_eq!(stored.body, b"{\"try\":1}", "the bytes as they came");
}

/// Also of messages that are carried into the ledger together.
async fn what_was_said_once_stays_known(test: TestStore) {
    let place = shop(&test).await;
    let second = |number: u64| Some(Timestamp::from_seconds(1_772_366_400 + number as i64));
    let stories = (0..50u64).map(|story| {
        let reference = format!("order-{story}");
        let full = message(place, &reference, story * 10, |facts| facts.event_at = second(1));
        let bare = message(place, &reference, story * 10 + 1, |facts| {
            (facts.event_at, facts.amount) = (second(2), None);
            (facts.external, facts.email, facts.customer) = Default::default();
        });
        async { tokio::join!(test.store.accept(full), test.store.accept(bare)) }
    });
    for (full, bare) in futures::future::join_all(stories).await {
        assert!(full.is_ok() && bare.is_ok());
    }
    test.store.settled().await.unwrap();
    for story in 0..50 {
        let id = test.store.order_by_reference(place.0, &format!("order-{story}")).await.unwrap().unwrap();
        let order = test.store.order(place.0, id).await.unwrap().unwrap();
        assert_eq!((order.email.as_str(), order.external.as_str(), order.customer.as_str()), ("buyer@example.com", "web", "Ana"));
        assert_eq!(order.amount, Some(usd(100)));
    }
}
