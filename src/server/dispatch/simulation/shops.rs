//! The merchants' servers of the simulation: they confirm, or fail in every way there is.

use super::{
    rules,
    world::{KEY, Shared},
};
use crate::domain::{
    Algorithm, Cause,
    id::{DeliveryId, UrlId},
};
use crate::server::{
    dispatch::{
        client::{Answer, Exchange, Failure, Outbound},
        needs::Courier,
    },
    ipn::{Form, ReceiptFacts},
};
use http::Version;
use std::time::Duration;

/// How a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Confirms within so many milliseconds.
    Well(u64),
    /// Confirms after up to 24 seconds.
    Slow,
    Refuses,
    /// Lets nobody connect.
    Unreachable,
    /// Takes the request and says nothing.
    Silent,
    Resets,
    Breaks,
    /// 429, and when to come again in seconds.
    Busy(u64),
    /// 503, and when to come again in seconds.
    Overloaded(u64),
    Gone,
    SaysOk,
    WrongReceipt,
    Drips,
    /// Any of the others, each time anew.
    Any,
}

impl Mood {
    /// Those that an attempt is answered by.
    pub const ALL: [Self; 17] = [
        Self::Well(0),
        Self::Well(30),
        Self::Well(2_000),
        Self::Slow,
        Self::Refuses,
        Self::Unreachable,
        Self::Silent,
        Self::Resets,
        Self::Breaks,
        Self::Busy(3),
        Self::Busy(400),
        Self::Busy(9_000),
        Self::Overloaded(20),
        Self::Gone,
        Self::SaysOk,
        Self::WrongReceipt,
        Self::Drips,
    ];
}

/// Posts to the simulated servers.
pub struct Shops(pub Shared);

impl Courier for Shops {
    /// Hardly ever: it must not be what wakes the loop.
    const SWEEP_EVERY: Duration = Duration::from_secs(1_000_000);

    async fn send(&self, outbound: &Outbound<'_>) -> Exchange {
        let header = |name: &str| {
            let found = outbound.headers.iter().find(|(known, _)| known.as_str() == name);
            found.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let id: DeliveryId = header("quittance-delivery").parse().expect("the word of a delivery");
        let number: u32 = header("quittance-attempt").parse().expect("a number");
        let url: i64 = outbound.target.path.trim_start_matches('/').split('?').next().unwrap_or_default().parse().expect("a URL");
        let (mood, dice) = {
            let mut world = self.0.lock();
            rules::sends(&mut world, id, number);
            let mood = world.sites[&UrlId(url)].mood;
            let mood = if mood == Mood::Any { *world.dice.pick(&Mood::ALL[..]) } else { mood };
            (mood, world.dice.throw())
        };
        let up_to = |most: u64| Duration::from_millis(if most == 0 { 0 } else { dice % most });
        let takes = match mood {
            Mood::Well(most) => up_to(most),
            Mood::Slow => up_to(24_000),
            Mood::Unreachable => Duration::from_secs(10),
            Mood::Silent => Duration::from_secs(25),
            Mood::Drips => Duration::from_secs(30),
            _ => up_to(200),
        };
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let exchange = answer(mood, outbound);
        let mut world = self.0.lock();
        if matches!(mood, Mood::Well(_) | Mood::Slow) {
            world.facts.entry(id).or_default().confirmed = true;
        }
        rules::ends(&mut world, id);
        exchange
    }

    fn sweep(&self) {}
}

fn answer(mood: Mood, outbound: &Outbound<'_>) -> Exchange {
    let failed =
        |cause, answer| (answer, Some(Failure { cause, note: String::new(), is_ours: false, unseen: false, broke: false }));
    let status = |status, body: String| Answer { status, body: body.into(), ..Answer::default() };
    let told = |code, seconds: u64| Answer { retry_after: Some(seconds.to_string()), ..status(code, String::new()) };
    let (answer, failure) = match mood {
        Mood::Well(_) | Mood::Slow | Mood::Any => (status(200, receipt(&outbound.body, KEY)), None),
        Mood::WrongReceipt => (status(200, receipt(&outbound.body, b"another key")), None),
        Mood::SaysOk => (status(200, "OK".to_owned()), None),
        Mood::Breaks => (status(500, "Fatal error".to_owned()), None),
        Mood::Gone => (status(410, String::new()), None),
        Mood::Busy(seconds) => (told(429, seconds), None),
        Mood::Overloaded(seconds) => (told(503, seconds), None),
        Mood::Refuses => failed(Cause::Refused, Answer::default()),
        Mood::Unreachable => failed(Cause::ConnectTimeout, Answer::default()),
        Mood::Silent => failed(Cause::NoAnswer, Answer::default()),
        Mood::Resets => failed(Cause::Reset, Answer::default()),
        Mood::Drips => failed(Cause::Dripping, status(200, "....".to_owned())),
    };
    Exchange {
        address: None,
        version: Version::HTTP_11,
        timings: Default::default(),
        certificate_ends_at: None,
        again: false,
        answer,
        failure,
    }
}

fn receipt(body: &[u8], key: &[u8]) -> String {
    let form = Form::parse(body).expect("a form");
    ReceiptFacts::of(&form).receipt(Algorithm::Md5, key, "20260301120010")
}
