//! The orders of the demonstration: which message comes when, and what stands in it. Pure; chance comes from [`Dice`].

use super::catalogue::{PEOPLE, PRODUCTS, price};
use crate::domain::{Algorithm, Timestamp, money::Currency};
use crate::server::{
    ipn::signature,
    service::wire_order::{Buyer, Item, WireOrder},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Orders at the start, so that there is something to look at.
const BURST: u64 = 25;
/// How long the start takes.
const BURST_MILLIS: u64 = 6_000;
/// A new order comes every so many milliseconds.
const NEW_ORDER_MILLIS: (u64, u64) = (3_000, 7_000);
/// Messages after which the gateway falls silent: a demonstration that somebody forgets must not fill the disk.
pub const MOST_MESSAGES: u32 = 5_000;

/// Chance that can be repeated.
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*).
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to below `high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }

    /// Once in so many times.
    const fn one_in(&mut self, times: u64) -> bool {
        self.roll().is_multiple_of(times)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[(self.roll() % from.len() as u64) as usize]
    }
}

/// An order of the demonstration.
#[derive(Debug)]
pub struct Order {
    reference: String,
    external: String,
    person: usize,
    email: String,
    ip_address: String,
    /// Products by place, and how many.
    items: Vec<(usize, u32)>,
    test: bool,
    placed_at: Timestamp,
}

/// One message to post.
#[derive(Debug, Clone)]
pub struct Event {
    pub order: Arc<Order>,
    /// As the gateway names it.
    pub status: &'static str,
    /// Somebody who does not know the secret tries first.
    pub forged: bool,
    /// The message comes twice, as it does from a gateway that has not seen our answer.
    pub repeated: bool,
}

enum Planned {
    /// An order is placed; the flag says that another one follows it.
    Place {
        chained: bool,
    },
    Post(Event),
}

/// What happens when.
pub struct Playbook {
    dice: Dice,
    start: Timestamp,
    /// By the time since the start, and in order within it.
    plan: BTreeMap<(Duration, u64), Planned>,
    planned: u64,
    last_reference: u64,
    left: u32,
}

impl Playbook {
    /// The burst at the start, and orders one after the other from then on.
    pub fn new(dice: Dice, start: Timestamp) -> Self {
        let mut book = Self { dice, start, plan: BTreeMap::new(), planned: 0, last_reference: 0, left: MOST_MESSAGES };
        for _ in 0..BURST {
            let at = Duration::from_millis(book.dice.between(0, BURST_MILLIS));
            book.add(at, Planned::Place { chained: false });
        }
        book.add(Duration::from_millis(BURST_MILLIS), Planned::Place { chained: true });
        book
    }

    fn add(&mut self, at: Duration, planned: Planned) {
        self.planned += 1;
        self.plan.insert((at, self.planned), planned);
    }

    /// The next message, with its time since the start; `None` when there were enough.
    pub fn next(&mut self) -> Option<(Duration, Event)> {
        while self.left > 0 {
            let ((at, _), planned) = self.plan.pop_first()?;
            match planned {
                Planned::Post(event) => {
                    self.left -= 1;
                    return Some((at, event));
                }
                Planned::Place { chained } => {
                    self.place(at);
                    if chained {
                        let pause = self.dice.between(NEW_ORDER_MILLIS.0, NEW_ORDER_MILLIS.1);
                        self.add(at + Duration::from_millis(pause), Planned::Place { chained });
                    }
                }
            }
        }
        None
    }

    /// Plans an order's whole life.
    fn place(&mut self, at: Duration) {
        let placed_at = self.start.plus(at);
        // Tenths of a second: grows faster than orders come, so a restart never gives a number again.
        let tenths = u64::try_from(placed_at.millis() / 100).unwrap_or(0) % 10_000_000_000;
        self.last_reference = tenths.max(self.last_reference + 1);
        let dice = &mut self.dice;
        let person = dice.between(0, PEOPLE.len() as u64) as usize;
        let domain = dice.pick(&["example.com", "example.org", "example.net"]);
        let mut items = vec![(dice.between(0, PRODUCTS.len() as u64) as usize, if dice.one_in(5) { 3 } else { 1 })];
        if dice.one_in(4) {
            items.push(((items[0].0 + 1) % PRODUCTS.len(), 1));
        }
        let number = self.last_reference;
        let order = Arc::new(Order {
            reference: number.to_string(),
            external: format!("web-{number}"),
            person,
            email: format!("{}.{}@{domain}", PEOPLE[person].local_part, number % 1_000),
            // The networks of RFC 5737, which belong to nobody.
            ip_address: format!("{}.{}", dice.pick(&["192.0.2", "198.51.100", "203.0.113"]), dice.between(1, 255)),
            items,
            test: dice.one_in(12),
            placed_at,
        });
        let mut at = at;
        for (status, millis) in story(dice) {
            at += Duration::from_millis(millis);
            let (forged, repeated) = (self.dice.one_in(30), self.dice.one_in(20));
            self.add(at, Planned::Post(Event { order: order.clone(), status, forged, repeated }));
        }
    }
}

/// The life of an order: statuses, each with the milliseconds since the one before.
fn story(dice: &mut Dice) -> Vec<(&'static str, u64)> {
    match dice.between(0, 100) {
        0..6 => vec![("PENDING", 0), ("INVALID", dice.between(2_000, 5_000))],
        6..14 => vec![("PENDING", 0), ("CANCELED", dice.between(10_000, 30_000))],
        other => {
            let (first, review) = if other < 22 { ("PENDING_APPROVAL", 15_000) } else { ("PENDING", 0) };
            let mut steps = vec![
                (first, 0),
                ("PAYMENT_AUTHORIZED", review + dice.between(1_000, 4_000)),
                ("COMPLETE", dice.between(2_000, 8_000)),
            ];
            if dice.one_in(8) {
                steps.push(("REFUND", dice.between(20_000, 90_000)));
            }
            steps
        }
    }
}

impl Event {
    /// The body as the gateway posts it, signed with every algorithm.
    pub fn body(&self, at: Timestamp, secret: &[u8]) -> Vec<u8> {
        let order = &*self.order;
        let person = &PEOPLE[order.person];
        let currency = Currency::parse(person.currency);
        let items: Vec<Item<'_>> = order
            .items
            .iter()
            .filter_map(|(place, quantity)| {
                let product = &PRODUCTS[*place];
                let price = price(product.cents, currency?);
                Some(Item { id: product.id, name: product.name, code: product.code, quantity: *quantity, price })
            })
            .collect();
        let buyer = Buyer {
            first_name: person.first_name,
            last_name: person.last_name,
            email: &order.email,
            street: "1 Demo Street",
            city: person.city,
            state: person.state,
            zip: person.zip,
            country: person.country,
            country_code: person.country_code,
            language: person.language,
            ip_address: &order.ip_address,
        };
        let wire = WireOrder {
            reference: &order.reference,
            external: &order.external,
            status: self.status,
            buyer,
            items: &items,
            test: order.test,
            placed_at: order.placed_at,
            at,
        };
        let mut form = wire.form();
        let source = signature::source(&form.fields);
        for algorithm in Algorithm::ALL {
            form.push(algorithm.field().as_bytes(), signature::sign(algorithm, secret, &source).into_bytes());
        }
        form.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Algorithms, GatewayOptions, OrderStatus, RefusalReason};
    use crate::server::gateway::{Credentials, twocheckout};
    use std::collections::HashSet;

    const START: Timestamp = Timestamp::from_seconds(1_772_366_400);
    const SECRET: &[u8] = b"demo secret";

    fn credentials() -> Credentials<'static> {
        static NO_OPTIONS: GatewayOptions = GatewayOptions(std::collections::BTreeMap::new());
        Credentials { secret: SECRET, required: Algorithms::ALL, options: &NO_OPTIONS }
    }

    fn all(seed: u64) -> Vec<(Duration, Event)> {
        let mut book = Playbook::new(Dice::new(seed), START);
        std::iter::from_fn(|| book.next()).collect()
    }

    #[test]
    fn every_message_is_full_sized_and_passes_the_gateways_check() {
        let mut statuses = HashSet::new();
        let mut test_orders = 0;
        for (at, event) in all(1).iter().take(1_000) {
            let body = event.body(START.plus(*at), SECRET);
            assert!((2_000..12_000).contains(&body.len()), "{} bytes", body.len());
            let verified = twocheckout::verify(credentials(), &body).unwrap();
            assert_eq!(verified.signatures, Algorithms::ALL);
            assert!(verified.form.fields.len() > 100);
            let facts = verified.facts;
            let is_refund = event.status == "REFUND";
            assert_eq!((facts.amount.is_none(), facts.refund.is_some()), (is_refund, is_refund), "{facts:?}");
            assert!(facts.email.contains("@example.") && facts.status != OrderStatus::Unmapped, "{facts:?}");
            assert_eq!(facts.event_at.unwrap().millis() / 1_000, START.plus(*at).millis() / 1_000);
            statuses.insert(event.status);
            test_orders += u32::from(facts.test);
        }
        for status in ["PENDING", "PAYMENT_AUTHORIZED", "COMPLETE", "REFUND", "CANCELED", "INVALID", "PENDING_APPROVAL"] {
            assert!(statuses.contains(status), "{status}");
        }
        assert!((20..200).contains(&test_orders), "{test_orders}");
    }

    #[test]
    fn a_forged_message_is_refused() {
        let (_, event) = all(2).swap_remove(0);
        let refused = twocheckout::verify(credentials(), &event.body(START, b"guessed")).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::WrongSignature);
    }

    #[test]
    fn it_begins_with_a_burst_goes_on_slowly_and_ends() {
        let events = all(3);
        assert_eq!(events.len(), MOST_MESSAGES as usize);
        assert!(events.is_sorted_by_key(|(at, _)| *at));
        let placed = |until: u64| {
            let early = events.iter().filter(|(at, _)| *at <= Duration::from_secs(until));
            early.map(|(_, event)| event.order.reference.as_str()).collect::<HashSet<_>>().len()
        };
        assert_eq!(placed(6), 26);
        assert!((30..50).contains(&placed(66)), "{}", placed(66));
        assert!(events.iter().any(|(_, event)| event.forged) && events.iter().any(|(_, event)| event.repeated));
    }

    #[test]
    fn a_restart_gives_no_reference_again() {
        let references = |start: Timestamp, until: Duration| -> HashSet<String> {
            let mut book = Playbook::new(Dice::new(4), start);
            let events = std::iter::from_fn(|| book.next()).take_while(|(at, _)| *at < until);
            events.map(|(_, event)| event.order.reference.clone()).collect()
        };
        let span = Duration::from_secs(9);
        let (first, second) = (references(START, span), references(START.plus(span), span));
        assert!(first.len() > 20 && first.is_disjoint(&second));
    }
}
