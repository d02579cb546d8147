//! Whether a URL is asked at all at the moment: after failures in a row single requests find out when it is back, and
//! once it is back it gets more and more of its backlog instead of all at once. Pure: told what happened and when.
//!
//! The breaker decides how many requests may be on their way, never when a delivery is due: each delivery keeps its own
//! schedule, and an attempt that was not made is not counted as one.

use crate::domain::{Cause, Timestamp, pages::dashboard::Pause};
use crate::server::dispatch::plan::LONGEST_TOLD;
use std::time::Duration;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// Pause before the first single request.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Each failed single request doubles the pause up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// While the backlog is coming back, so many failures in a row open it again.
const FAILURES_ON_RETURN: u32 = 2;

/// What an attempt says about its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Something answered that is not overloaded, with a receipt or without.
    Alive,
    /// Nobody answered, or only to say that it cannot.
    Down,
    /// Nothing: the attempt was not made, or the trouble is ours.
    Unknown,
}

impl Signal {
    /// What the outcome of an attempt says. An answer without a receipt is an answer: its cure is in the script, and
    /// asking less often would not help it.
    pub const fn of(cause: Option<Cause>) -> Self {
        use Cause::*;
        match cause {
            Some(
                UnknownName | NameServerSilent | AddressForbidden | Refused | Unreachable | ConnectTimeout | TlsExpired
                | TlsWrongHost | TlsUnknownIssuer | TlsHandshake | Reset | NotHttp | SendTimeout | NoAnswer | Dripping
                | RateLimited | ServerError,
            ) => Self::Down,
            Some(MessageGone | UrlInvalid) => Self::Unknown,
            _ => Self::Alive,
        }
    }
}

/// How many requests a URL may have on its way.
#[derive(Debug)]
enum State {
    /// As many as it is set to.
    Closed { failures: u32 },
    /// One from time to time.
    Open { since: Timestamp, pause: Duration, next: Timestamp, probing: bool },
    /// Growing from one: so many at a time, so many of those confirmed, so many failures in a row.
    Returning { allowed: usize, alive: usize, failures: u32 },
}

/// The breaker of one URL.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    /// A server named a moment before which it does not want to be asked.
    told: Option<Timestamp>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 }, told: None }
    }
}

impl Breaker {
    /// How many requests may be on their way, of those that the URL is set to.
    pub fn limit(&self, set: usize) -> usize {
        match self.state {
            State::Closed { .. } => set,
            State::Open { .. } => 1,
            State::Returning { allowed, .. } => allowed.min(set),
        }
    }

    /// The moment from which a request may start; it lies in the past where one may start now.
    pub fn ready_at(&self) -> Timestamp {
        let told = self.told.unwrap_or_default();
        match self.state {
            State::Open { next, .. } => told.max(next),
            _ => told,
        }
    }

    /// Whether only single requests go out.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// A request starts.
    pub fn started(&mut self) {
        if let State::Open { probing, .. } = &mut self.state {
            *probing = true;
        }
    }

    /// A request has ended. `set`: how many the URL is set to.
    pub fn ended(&mut self, signal: Signal, now: Timestamp, set: usize) {
        let opened = State::Open { since: now, pause: FIRST_PAUSE, next: now.plus(FIRST_PAUSE), probing: false };
        match (&mut self.state, signal) {
            (State::Closed { failures }, Signal::Alive) => *failures = 0,
            (State::Closed { failures }, Signal::Down) => {
                *failures += 1;
                if *failures >= FAILURES {
                    self.state = opened;
                }
            }
            (State::Open { .. }, Signal::Alive) => self.state = State::Returning { allowed: 1, alive: 0, failures: 0 },
            (State::Open { pause, next, probing, .. }, signal) => {
                // Others that were on their way when it opened tell nothing new.
                if std::mem::take(probing) {
                    if signal == Signal::Down {
                        *pause = (*pause * 2).min(LONGEST_PAUSE);
                    }
                    *next = now.plus(*pause);
                }
            }
            (State::Returning { allowed, alive, failures }, Signal::Alive) => {
                (*alive, *failures) = (*alive + 1, 0);
                if *alive >= *allowed {
                    (*allowed, *alive) = (*allowed * 2, 0);
                }
            }
            (State::Returning { allowed, alive, failures }, Signal::Down) => {
                (*allowed, *alive, *failures) = ((*allowed / 2).max(1), 0, *failures + 1);
                if *failures >= FAILURES_ON_RETURN {
                    self.state = opened;
                }
            }
            (State::Closed { .. } | State::Returning { .. }, Signal::Unknown) => {}
        }
        if matches!(self.state, State::Returning { allowed, .. } if allowed > set || (allowed == set && set == 1)) {
            self.state = State::Closed { failures: 0 };
        }
    }

    /// The server wants to be left alone until a moment; after it the URL gets its backlog as if it had been away.
    pub fn told(&mut self, until: Timestamp) {
        self.told = self.told.max(Some(until));
        if matches!(self.state, State::Closed { .. }) {
            self.state = State::Returning { allowed: 1, alive: 0, failures: 0 };
        }
    }

    /// A person has seen that the server takes requests again, or wants it asked all the same.
    pub const fn asked_for(&mut self) {
        self.told = None;
    }

    /// The clock was set back: no pause is longer than it was meant to be.
    pub fn set_back(&mut self, now: Timestamp) {
        self.told = self.told.map(|until| until.min(now.plus(LONGEST_TOLD)));
        if let State::Open { pause, next, .. } = &mut self.state {
            *next = (*next).min(now.plus(*pause));
        }
    }

    /// What pages tell of it.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        match (self.told.filter(|until| *until > now), &self.state) {
            (Some(until), _) => Some(Pause::Told { until }),
            (None, State::Open { since, pause, next, .. }) => {
                Some(Pause::Probing { since: *since, every: pause.as_secs(), next: *next })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(!breaker.is_open());
            breaker.ended(Signal::Down, NOW, 64);
        }
        assert!(breaker.is_open());
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_in_between_does_not() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                breaker.ended(Signal::Down, NOW, 64);
            }
            breaker.ended(Signal::Alive, NOW, 64);
        }
        breaker.ended(Signal::Unknown, NOW, 64);
        assert_eq!((breaker.limit(64), breaker.ready_at() <= NOW), (64, true));
        assert!(opened().limit(64) == 1);
    }

    #[test]
    fn pauses_grow_to_a_minute_and_stragglers_do_not_lengthen_them() {
        let mut breaker = opened();
        for _ in 0..59 {
            breaker.ended(Signal::Down, at(1), 64);
        }
        let mut now = NOW;
        for pause in [5, 10, 20, 40, 60, 60] {
            assert_eq!(breaker.ready_at(), now.plus(Duration::from_secs(pause)));
            assert_eq!(breaker.pause(now), Some(Pause::Probing { since: NOW, every: pause, next: breaker.ready_at() }));
            now = breaker.ready_at();
            breaker.started();
            breaker.ended(Signal::Down, now, 64);
        }
        breaker.started();
        breaker.ended(Signal::Unknown, now, 64);
        assert_eq!(breaker.ready_at(), now.plus(LONGEST_PAUSE), "nothing was learned: again after the same pause");
    }

    #[test]
    fn a_url_that_is_back_gets_one_two_four_eight() {
        let mut breaker = opened();
        breaker.started();
        let mut limits = Vec::new();
        breaker.ended(Signal::Alive, at(5), 64);
        while limits.last() != Some(&64) {
            limits.push(breaker.limit(64));
            for _ in 0..breaker.limit(64) {
                breaker.ended(Signal::Alive, at(6), 64);
            }
        }
        assert_eq!(limits, [1, 2, 4, 8, 16, 32, 64]);
        assert!(matches!(breaker.state, State::Closed { .. }));
        let mut single = opened();
        single.ended(Signal::Alive, at(5), 1);
        assert!(matches!(single.state, State::Closed { .. }));
    }

    #[test]
    fn a_relapse_halves_and_two_in_a_row_open_again() {
        let mut breaker = opened();
        for _ in 0..8 {
            breaker.ended(Signal::Alive, at(5), 64);
        }
        assert_eq!(breaker.limit(64), 8);
        breaker.ended(Signal::Down, at(6), 64);
        assert_eq!(breaker.limit(64), 4);
        breaker.ended(Signal::Alive, at(6), 64);
        breaker.ended(Signal::Down, at(6), 64);
        assert_eq!(breaker.limit(64), 2);
        breaker.ended(Signal::Down, at(7), 64);
        assert!(breaker.is_open());
        assert_eq!(breaker.ready_at(), at(7).plus(FIRST_PAUSE));
    }

    #[test]
    fn a_server_that_names_a_moment_is_left_alone_until_then() {
        let mut breaker = Breaker::default();
        breaker.told(at(600));
        breaker.told(at(30));
        assert_eq!((breaker.ready_at(), breaker.limit(64)), (at(600), 1));
        assert_eq!(breaker.pause(at(599)), Some(Pause::Told { until: at(600) }));
        assert_eq!(breaker.pause(at(600)), None);
        // A clock that is put right by a little changes nothing; one that was far ahead makes nobody wait for it.
        breaker.set_back(NOW.minus(Duration::from_millis(2)));
        assert_eq!(breaker.ready_at(), at(600));
        breaker.told(at(100_000));
        breaker.set_back(Timestamp::from_seconds(1));
        assert_eq!(breaker.ready_at(), Timestamp::from_seconds(1).plus(LONGEST_TOLD));
    }

    #[test]
    fn every_cause_says_something_and_a_missing_receipt_is_an_answer() {
        assert_eq!(Signal::of(None), Signal::Alive);
        assert_eq!(Signal::of(Some(Cause::PlainText)), Signal::Alive);
        assert_eq!(Signal::of(Some(Cause::NotFound)), Signal::Alive);
        assert_eq!(Signal::of(Some(Cause::Refused)), Signal::Down);
        assert_eq!(Signal::of(Some(Cause::MessageGone)), Signal::Unknown);
    }

    proptest! {
        /// Whatever happens, one request may start after a minute at most, and one that lives gets everything again.
        #[test]
        fn it_never_closes_for_good(steps in proptest::collection::vec((0_u8..4, 0_u64..90), 0..200), set in 1_usize..256) {
            let mut breaker = Breaker::default();
            let mut now = NOW;
            for (step, seconds) in steps {
                now = now.plus(Duration::from_secs(seconds));
                match step {
                    0 => breaker.started(),
                    1 => breaker.ended(Signal::Alive, now, set),
                    2 => breaker.ended(Signal::Down, now, set),
                    _ => breaker.ended(Signal::Unknown, now, set),
                }
                prop_assert!((1..=set).contains(&breaker.limit(set)));
                prop_assert!(breaker.ready_at() <= now.plus(LONGEST_PAUSE));
            }
            for _ in 0..2_000 {
                breaker.ended(Signal::Alive, now, set);
            }
            prop_assert_eq!(breaker.limit(set), set);
        }
    }
}
