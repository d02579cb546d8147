//! Verification of whole messages: `make bench BENCH=verify`. From bytes to facts and the form that leaves, for each gateway that
//! signs with an HMAC (bound: 20 µs), and a preset beside the same gateway written by hand (bound: 1.3 times).

mod by_hand;

use divan::Bencher;
use quittance::{
    domain::{Algorithms, GatewayOptions, Money, Timestamp, money::Currency},
    server::gateway::{
        Case, Credentials, Gateways, Preset, Request, Verified,
        simulate::{self, Posted, Wish},
        verify,
    },
};
use std::sync::{Arc, LazyLock};

const NOW: Timestamp = Timestamp::from_seconds(1_772_366_400);

fn main() {
    both_say_the_same();
    divan::main();
}

/// A message of a gateway, ready to be verified.
struct Message {
    preset: Arc<Preset>,
    secret: String,
    options: GatewayOptions,
    posted: Posted,
}

impl Message {
    fn of(preset: &Arc<Preset>) -> Self {
        Self::made(preset, None)
    }

    /// Of one of a preset's samples, or of its first status.
    fn made(preset: &Arc<Preset>, case: Option<&Case>) -> Self {
        let (secret, options) = (simulate::trial_secret(preset), simulate::trial_options(preset));
        let currency = Currency::parse(simulate::currency(preset)).expect("a currency");
        let wish = Wish {
            status: case.map_or_else(|| simulate::statuses(preset)[0], |case| case.status),
            reference: "100200300",
            amount: Money { minor: 50_000, currency },
            email: "buyer@example.com",
            address: "https://a.example/ipn/1",
            now: NOW,
            number: 4_711,
            test: false,
            fault: None,
        };
        let posted = match case {
            Some(case) => simulate::sign_case(preset, case, secret.as_bytes(), &options, &wish),
            None => simulate::sign(preset, secret.as_bytes(), &options, &wish),
        };
        let posted = posted.expect("a sample");
        Self { preset: preset.clone(), secret, options, posted }
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.posted.method,
            query: &self.posted.query,
            headers: &self.posted.headers,
            body: &self.posted.body,
            url: ["https://a.example", "/ipn/1"],
            now: NOW,
            date: "20260301120000",
        }
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { secret: self.secret.as_bytes(), required: Algorithms::ALL, options: &self.options }
    }

    fn verify(&self) -> Verified {
        verify(&self.preset, self.credentials(), &self.request()).expect("a right signature")
    }

    fn verify_by_hand(&self) -> Verified {
        by_hand::verify(self.credentials(), &self.request()).expect("a right signature")
    }
}

/// Gateways whose messages are signed with an HMAC, 2Checkout's kin among them.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let signs = |preset: &&Arc<Preset>| preset.adapter.is_some() || preset.methods().contains("HMAC");
    let gateways = Box::leak(Box::new(Gateways::shared()));
    gateways.all().iter().filter(signs).map(|preset| preset.id.name()).collect()
});

#[divan::bench(args = NAMES.iter())]
fn message(bencher: Bencher<'_, '_>, name: &str) {
    let gateways = Gateways::shared();
    let message = Message::of(gateways.get(name.parse().expect("a name")).expect("a gateway"));
    bencher.bench_local(|| divan::black_box(&message).verify());
}

fn stripe() -> Message {
    let gateways = Gateways::shared();
    Message::of(gateways.get("stripe".parse().expect("a name")).expect("a gateway"))
}

/// Two that do not do the same cannot be compared: checked on every sample that the preset has.
fn both_say_the_same() {
    let gateways = Gateways::shared();
    let preset = gateways.get("stripe".parse().expect("a name")).expect("a gateway");
    for case in &preset.sample.case {
        let message = Message::made(preset, Some(case));
        let (ours, theirs) = (message.verify(), message.verify_by_hand());
        let told = |verified: &Verified| -> Vec<_> {
            verified.events.iter().map(|event| (event.facts.clone(), event.outgoing.clone())).collect()
        };
        assert_eq!(told(&ours), told(&theirs), "{:?}", String::from_utf8_lossy(&message.posted.body));
        let mut forged = Message { posted: Posted { body: b"{}".to_vec(), ..message.posted }, ..message };
        assert!(by_hand::verify(forged.credentials(), &forged.request()).is_err(), "another body");
        forged.posted.headers.clear();
        assert!(by_hand::verify(forged.credentials(), &forged.request()).is_err(), "no signature");
    }
}

#[divan::bench]
fn stripe_as_a_preset(bencher: Bencher<'_, '_>) {
    let message = stripe();
    bencher.bench_local(|| divan::black_box(&message).verify());
}

#[divan::bench]
fn stripe_by_hand(bencher: Bencher<'_, '_>) {
    let message = stripe();
    bencher.bench_local(|| divan::black_box(&message).verify_by_hand());
}
