//! The order's status in our own words, and when a message may change it.

use super::{Money, Timestamp, money::Currency};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What has become of an order. Gateways use their own words; each adapter maps them to these, and the page
/// shows both. A word nobody has mapped stays [`OrderStatus::Unmapped`] and is never taken for paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStatus {
    Created,
    Pending,
    Authorized,
    Paid,
    PartiallyRefunded,
    Refunded,
    /// Money taken back: an authorization released by the bank, or a chargeback.
    Reversed,
    Cancelled,
    Failed,
    Unmapped,
}

impl OrderStatus {
    /// Every status, in the order a filter offers them.
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Pending,
        Self::Authorized,
        Self::Paid,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Reversed,
        Self::Cancelled,
        Self::Failed,
        Self::Unmapped,
    ];

    /// The code in databases and addresses.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Authorized => "authorized",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially-refunded",
            Self::Refunded => "refunded",
            Self::Reversed => "reversed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Unmapped => "unmapped",
        }
    }

    /// The status for a code; unknown codes are unmapped.
    pub fn from_code(code: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.code() == code).unwrap_or(Self::Unmapped)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Created => "Created",
            Self::Pending => "Pending",
            Self::Authorized => "Authorized",
            Self::Paid => "Paid",
            Self::PartiallyRefunded => "Partially refunded",
            Self::Refunded => "Refunded",
            Self::Reversed => "Reversed",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Unmapped => "Unmapped",
        }
    }

    /// The status that is so far along: no two are.
    pub fn of_rank(rank: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.rank() == rank)
    }

    /// How far along a payment is. Only breaks the tie between messages of the same second: gateways print
    /// event times without fractions and promise no order of arrival.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Unmapped => 0,
            Self::Created => 1,
            Self::Pending => 2,
            Self::Authorized => 3,
            Self::Failed => 4,
            Self::Cancelled => 5,
            Self::Paid => 6,
            Self::PartiallyRefunded => 7,
            Self::Refunded => 8,
            Self::Reversed => 9,
        }
    }
}

/// The status of an order as far as its messages have told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub status: OrderStatus,
    /// When the gateway says the event happened; where it does not say, when its message came.
    pub event_at: Timestamp,
    /// The gateway said when.
    pub told: bool,
}

impl Standing {
    /// What a message says that came at a moment.
    pub fn of(facts: &OrderFacts, received_at: Timestamp) -> Self {
        Self { status: facts.status, event_at: facts.event_at.unwrap_or(received_at), told: facts.event_at.is_some() }
    }

    /// Whether a message changes what is known: a later event always does, an earlier one never does, and of the
    /// same second the one further along does. Messages of gateways that do not say when can have overtaken each
    /// other: they only move an order on. A word that nobody has mapped never takes the place of one that is known.
    ///
    /// PostgreSQL decides the same in its statement (`store/postgres/accept`).
    pub fn is_replaced_by(self, message: Self) -> bool {
        match (self.status, message.status) {
            (OrderStatus::Unmapped, OrderStatus::Unmapped) => message.event_at >= self.event_at,
            (OrderStatus::Unmapped, _) => true,
            (_, OrderStatus::Unmapped) => false,
            _ if message.told => (message.event_at, message.status.rank()) >= (self.event_at, self.status.rank()),
            _ => message.status.rank() >= self.status.rank(),
        }
    }

    /// What is known after a message.
    #[must_use]
    pub fn after(self, message: Self) -> Self {
        if !self.is_replaced_by(message) {
            return self;
        }
        // A message without a time of its own must not make those with one look late.
        let event_at = if message.told { message.event_at } else { message.event_at.max(self.event_at) };
        Self { event_at, ..message }
    }
}

/// Money that a message gives back, in smallest units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refund {
    /// By this message alone; below zero where it takes back what an earlier one gave: a refund that failed.
    Part(i64),
    /// So far.
    Total(i64),
}

/// What was given back of an order so far: gateways tell each refund, or the sum, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refunds {
    /// Of single refunds, summed up.
    pub parts: i64,
    /// The largest sum that was told.
    pub total: i64,
}

impl Refunds {
    /// With one more message.
    #[must_use]
    pub fn and(self, refund: Option<Refund>) -> Self {
        match refund {
            Some(Refund::Part(part)) => Self { parts: self.parts.saturating_add(part), ..self },
            Some(Refund::Total(total)) => Self { total: self.total.max(total), ..self },
            None => self,
        }
    }

    /// Smallest units given back.
    pub fn sum(self) -> i64 {
        self.parts.max(self.total)
    }

    /// What stands of it at an order of this status, where its currency is known. Of one that is paid nothing does: what was given
    /// back was taken back again.
    pub fn given_back(self, status: OrderStatus, currency: Option<Currency>) -> Option<Money> {
        let minor = if status == OrderStatus::Paid { 0 } else { self.sum() };
        currency.filter(|_| minor > 0).map(|currency| Money { minor, currency })
    }

    /// Whether a refund was of all or of a part, where the amount and the refunds tell; else what the gateway said. An order
    /// that is told as paid, because a later refund of it failed or a dispute was won, keeps the single refunds that stand. A
    /// sum that was told before says nothing then: a gateway that tells sums has taken it back.
    pub fn settle(self, told: OrderStatus, amount: Option<i64>) -> OrderStatus {
        let given_back = match told {
            OrderStatus::Refunded | OrderStatus::PartiallyRefunded => self.sum(),
            OrderStatus::Paid => self.parts,
            _ => return told,
        };
        match amount {
            Some(amount) if amount > 0 && given_back >= amount => OrderStatus::Refunded,
            Some(amount) if amount > 0 && given_back > 0 => OrderStatus::PartiallyRefunded,
            _ => told,
        }
    }
}

/// What is known of an order before a message comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrder {
    pub status: OrderStatus,
    /// The gateway's word for it.
    pub vendor_status: String,
    pub amount: Option<Money>,
    pub refunds: Refunds,
}

/// What a message says about its order, in our words. Made by a gateway's adapter. Its texts are short, and there are
/// many messages: strings that need no allocation for a couple of dozen bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFacts {
    /// The gateway's number for the order.
    pub reference: CompactString,
    /// The merchant's own number, or empty.
    pub external: CompactString,
    /// The customer's e-mail, lower case, or empty.
    pub email: CompactString,
    /// The customer's name, or empty.
    pub customer: CompactString,
    pub status: OrderStatus,
    /// The gateway's word for the status.
    pub vendor_status: CompactString,
    pub amount: Option<Money>,
    pub test: bool,
    /// When the gateway says it happened; `None` where it does not say.
    pub event_at: Option<Timestamp>,
    /// The gateway's number for the message, or empty.
    pub message_id: CompactString,
    /// Money given back, where the gateway says how much. Written beside the rest, because rows of the journal are older.
    #[serde(skip)]
    pub refund: Option<Refund>,
}

impl OrderFacts {
    /// What the message told of money: the amount, or, below zero, what it gave back. Without a currency where it is the order's.
    pub fn told(&self, refund: Option<Refund>) -> Option<(i64, Option<Currency>)> {
        let is_refund = matches!(self.status, OrderStatus::Refunded | OrderStatus::PartiallyRefunded);
        match refund {
            Some(Refund::Part(minor) | Refund::Total(minor)) if is_refund && minor != 0 => {
                Some((-minor.saturating_abs(), self.amount.map(|amount| amount.currency)))
            }
            _ => self.amount.map(|amount| (amount.minor, Some(amount.currency))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(status: OrderStatus, second: i64) -> Standing {
        Standing { status, event_at: Timestamp::from_seconds(second), told: true }
    }

    fn untimed(status: OrderStatus, second: i64) -> Standing {
        Standing { told: false, ..at(status, second) }
    }

    #[test]
    fn a_late_message_never_downgrades_an_order() {
        let paid = at(OrderStatus::Paid, 100);
        assert!(!paid.is_replaced_by(at(OrderStatus::Pending, 99)));
        assert!(!paid.is_replaced_by(at(OrderStatus::Authorized, 100)), "same second, less far along");
        assert!(paid.is_replaced_by(at(OrderStatus::Refunded, 100)));
        assert!(paid.is_replaced_by(at(OrderStatus::Pending, 101)), "a later event holds, whatever it says");
    }

    #[test]
    fn a_message_tells_what_it_costs_or_what_it_gives_back() {
        let usd = Currency::parse("USD").unwrap();
        let facts = |status, minor: Option<i64>| OrderFacts {
            reference: "1".into(),
            external: CompactString::default(),
            email: CompactString::default(),
            customer: CompactString::default(),
            status,
            vendor_status: CompactString::default(),
            amount: minor.map(|minor| Money { minor, currency: usd }),
            test: false,
            event_at: None,
            message_id: CompactString::default(),
            refund: None,
        };
        let refunded = facts(OrderStatus::PartiallyRefunded, Some(1_000));
        for refund in [Refund::Part(250), Refund::Total(250), Refund::Part(-250)] {
            assert_eq!(refunded.told(Some(refund)), Some((-250, Some(usd))), "{refund:?}");
        }
        let unpriced = facts(OrderStatus::Refunded, None);
        assert_eq!(unpriced.told(Some(Refund::Total(250))), Some((-250, None)), "in the order's currency");
        assert_eq!(refunded.told(None), Some((1_000, Some(usd))));
        assert_eq!(refunded.told(Some(Refund::Total(0))), Some((1_000, Some(usd))));
        let paid = facts(OrderStatus::Paid, Some(1_000));
        assert_eq!(paid.told(Some(Refund::Part(-250))), Some((1_000, Some(usd))), "a refund failed");
        assert_eq!(facts(OrderStatus::Paid, None).told(None), None);
    }

    #[test]
    fn what_was_given_back_is_told_where_it_stands() {
        let usd = Currency::parse("USD");
        let given_back = |parts, total, status| Refunds { parts, total }.given_back(status, usd).map(|money| money.minor);
        assert_eq!(given_back(250, 0, OrderStatus::PartiallyRefunded), Some(250));
        assert_eq!(given_back(250, 400, OrderStatus::Refunded), Some(400));
        assert_eq!(given_back(250, 0, OrderStatus::Reversed), Some(250));
        assert_eq!(given_back(0, 400, OrderStatus::Paid), None, "taken back");
        assert_eq!(given_back(0, 0, OrderStatus::Refunded), None, "nobody said how much");
        assert_eq!(Refunds { parts: 250, total: 0 }.given_back(OrderStatus::Refunded, None), None);
    }

    #[test]
    fn codes_round_trip_and_unknown_ones_are_never_paid() {
        for status in OrderStatus::ALL {
            assert_eq!(OrderStatus::from_code(status.code()), status);
        }
        assert_eq!(OrderStatus::from_code("PAID!"), OrderStatus::Unmapped);
    }

    #[test]
    fn without_times_an_order_only_moves_on() {
        let paid = at(OrderStatus::Paid, 100);
        assert!(!paid.is_replaced_by(untimed(OrderStatus::Pending, 200)), "it may have been overtaken");
        assert!(paid.is_replaced_by(untimed(OrderStatus::Reversed, 200)));
        assert_eq!(paid.after(untimed(OrderStatus::Refunded, 50)).event_at, Timestamp::from_seconds(100));
    }

    #[test]
    fn a_chargeback_that_was_won_is_paid_again() {
        let story = [at(OrderStatus::Paid, 1), at(OrderStatus::Reversed, 2), at(OrderStatus::Paid, 3)];
        let end = story.into_iter().reduce(Standing::after).unwrap();
        assert_eq!(end.status, OrderStatus::Paid);
    }

    #[test]
    fn an_unknown_word_hides_nothing() {
        let paid = at(OrderStatus::Paid, 1);
        assert_eq!(paid.after(at(OrderStatus::Unmapped, 9)), paid);
        assert_eq!(at(OrderStatus::Unmapped, 9).after(paid), paid, "whatever its time");
    }

    #[test]
    fn refunds_sum_up() {
        let parts = Refunds::default().and(Some(Refund::Part(40))).and(Some(Refund::Part(60)));
        assert_eq!(parts.settle(OrderStatus::PartiallyRefunded, Some(100)), OrderStatus::Refunded);
        let total = Refunds::default().and(Some(Refund::Total(40))).and(Some(Refund::Total(30)));
        assert_eq!((total.sum(), total.settle(OrderStatus::Refunded, Some(100))), (40, OrderStatus::PartiallyRefunded));
        assert_eq!(total.settle(OrderStatus::Refunded, None), OrderStatus::Refunded, "nothing to compare with");
        assert_eq!(total.settle(OrderStatus::Paid, Some(10)), OrderStatus::Paid);
        assert_eq!(parts.settle(OrderStatus::Reversed, Some(100)), OrderStatus::Reversed);
        assert_eq!(Refunds::default().settle(OrderStatus::Refunded, Some(100)), OrderStatus::Refunded, "as told");
    }

    #[test]
    fn a_refund_that_failed_is_taken_out_of_the_sum() {
        let failed = Refunds::default().and(Some(Refund::Part(40))).and(Some(Refund::Part(60))).and(Some(Refund::Part(-60)));
        assert_eq!(failed.settle(OrderStatus::Paid, Some(100)), OrderStatus::PartiallyRefunded, "the first one stands");
        let all = failed.and(Some(Refund::Part(-40)));
        assert_eq!((all.sum(), all.settle(OrderStatus::Paid, Some(100))), (0, OrderStatus::Paid));
        let early = Refunds::default().and(Some(Refund::Part(-60)));
        assert_eq!((early.sum(), early.and(Some(Refund::Part(60))).sum()), (0, 0), "told before the refund");
        let again = all.and(Some(Refund::Part(30)));
        assert_eq!(again.settle(OrderStatus::PartiallyRefunded, Some(100)), OrderStatus::PartiallyRefunded);
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        (0..OrderStatus::ALL.len(), 0i64..4).prop_map(|(status, second)| at(OrderStatus::ALL[status], second))
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            (story, shuffled) in proptest::collection::vec(any_standing(), 1..8)
                .prop_flat_map(|story| (Just(story.clone()), Just(story).prop_shuffle()))
        ) {
            let end = |story: Vec<Standing>| story.into_iter().reduce(Standing::after).unwrap();
            prop_assert_eq!(end(story), end(shuffled));
        }

        #[test]
        fn paid_comes_only_from_a_message_that_says_so(
            story in proptest::collection::vec((any_standing(), any::<bool>()), 1..8)
        ) {
            let story: Vec<_> = story.into_iter().map(|(one, told)| Standing { told, ..one }).collect();
            let end = story.iter().copied().reduce(Standing::after).unwrap();
            prop_assert!(story.iter().any(|one| one.status == end.status));
        }

        #[test]
        fn without_times_ranks_never_sink(story in proptest::collection::vec(any_standing(), 1..8)) {
            let mut standing = Standing { told: false, ..story[0] };
            for one in &story {
                let next = standing.after(Standing { told: false, ..*one });
                prop_assert!(next.status.rank() >= standing.status.rank() && next.event_at >= standing.event_at);
                standing = next;
            }
        }

        #[test]
        fn refunds_do_not_depend_on_their_order(
            (refunds, shuffled) in proptest::collection::vec(
                prop_oneof![(-1_000i64..1_000).prop_map(Refund::Part), (0i64..1_000).prop_map(Refund::Total)], 0..8)
                .prop_flat_map(|refunds| (Just(refunds.clone()), Just(refunds).prop_shuffle()))
        ) {
            let sum = |refunds: Vec<Refund>| refunds.into_iter().fold(Refunds::default(), |sum, one| sum.and(Some(one)));
            prop_assert_eq!(sum(refunds), sum(shuffled));
        }
    }
}
