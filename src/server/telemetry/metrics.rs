//! The numbers of one server. They are counted with relaxed atomics, because the way of a message passes here.

use super::{
    Unstored,
    histogram::Histogram,
    names,
    render::{self, Text},
};
use crate::domain::{Cause, DeliveryState, RefusalReason, Timestamp};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// What became of a message.
const OUTCOMES: [&str; 4] = ["accepted", "repeated", "refused", "not-stored"];
/// What is checked of the books.
const CHECKS: [&str; 2] = ["sums", "rows"];

/// A check of the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Accepted deliveries against the sum over the states.
    Sums,
    /// The books against the deliveries themselves.
    Rows,
}

/// The metrics of one server.
pub struct Metrics {
    outcomes: [AtomicU64; OUTCOMES.len()],
    refusals: [AtomicU64; RefusalReason::ALL.len()],
    acknowledge: Histogram,
    commit: Histogram,
    /// By cause; the last one is that of success.
    attempts: [AtomicU64; Cause::ALL.len() + 1],
    in_flight: AtomicI64,
    /// By the code of the state.
    deliveries: [AtomicU64; DeliveryState::ALL.len()],
    differences: [AtomicU64; CHECKS.len()],
    /// Microseconds since 1970; 0 before the first.
    checked_at: [AtomicI64; CHECKS.len()],
    checks: [AtomicU64; CHECKS.len()],
    started_at: AtomicI64,
    /// Whose messages could not be stored lately; told on pages.
    pub unstored: Unstored,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            outcomes: Default::default(),
            refusals: Default::default(),
            acknowledge: Histogram::default(),
            commit: Histogram::default(),
            attempts: [const { AtomicU64::new(0) }; Cause::ALL.len() + 1],
            in_flight: AtomicI64::new(0),
            deliveries: Default::default(),
            differences: Default::default(),
            checked_at: Default::default(),
            checks: Default::default(),
            started_at: AtomicI64::new(0),
            unstored: Unstored::default(),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Metrics {
    /// A message was acknowledged, so long after its head came.
    pub fn acknowledged(&self, repeated: bool, after: Duration) {
        add(&self.outcomes[usize::from(repeated)]);
        self.acknowledge.observe(after);
    }

    /// A message was refused.
    pub fn refused(&self, reason: RefusalReason) {
        add(&self.outcomes[2]);
        if let Some(place) = RefusalReason::ALL.iter().position(|known| *known == reason) {
            add(&self.refusals[place]);
        }
    }

    /// A message that was right could not be stored.
    pub fn not_stored(&self) {
        add(&self.outcomes[3]);
    }

    /// A commit took so long.
    pub fn committed(&self, took: Duration) {
        self.commit.observe(took);
    }

    /// An attempt begins; it is on its way until what this gives is dropped.
    pub fn in_flight(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }

    /// An attempt has ended; without a cause it was confirmed.
    pub fn attempted(&self, cause: Option<Cause>) {
        let known = cause.and_then(|cause| Cause::ALL.iter().position(|known| *known == cause));
        add(&self.attempts[known.unwrap_or(Cause::ALL.len())]);
    }

    /// How many deliveries there are in a state.
    pub fn set_deliveries(&self, state: DeliveryState, count: u64) {
        if let Some(place) = DeliveryState::ALL.iter().position(|known| *known == state) {
            self.deliveries[place].store(count, Relaxed);
        }
    }

    /// The books were checked; they differ by so many deliveries.
    pub fn checked(&self, check: Check, difference: u64, at: Timestamp) {
        self.differences[check as usize].store(difference, Relaxed);
        self.checked_at[check as usize].store(at.micros(), Relaxed);
        add(&self.checks[check as usize]);
    }

    /// Whether the books differed at their last check.
    pub fn books_differ(&self) -> bool {
        self.differences.iter().any(|difference| difference.load(Relaxed) > 0)
    }

    /// The server has started.
    pub fn started(&self, at: Timestamp) {
        self.started_at.store(at.micros(), Relaxed);
    }

    /// Everything as text, and what kind of text that is.
    pub fn render(&self, engine: &str) -> (&'static str, String) {
        let mut text = Text::default();
        text.begin(names::BUILD_INFO);
        let version = env!("CARGO_PKG_VERSION");
        text.line(names::BUILD_INFO.name, &[("version", version), ("engine", engine)], 1);
        text.many(names::MESSAGES, "outcome", OUTCOMES.into_iter().zip(self.outcomes.iter().map(load)));
        let reasons = RefusalReason::ALL.iter().map(|reason| reason.code());
        text.many(names::REFUSALS, "reason", reasons.zip(self.refusals.iter().map(load)));
        self.acknowledge.render(&mut text, names::ACKNOWLEDGE);
        self.commit.render(&mut text, names::COMMIT);
        let causes = Cause::ALL.iter().map(|cause| cause.code()).chain(["confirmed"]);
        text.many(names::ATTEMPTS, "cause", causes.zip(self.attempts.iter().map(load)));
        text.one(names::IN_FLIGHT, self.in_flight.load(Relaxed));
        self.render_books(&mut text);
        if let Some(bytes) = resident_memory() {
            text.one(names::RESIDENT_MEMORY, bytes);
        }
        text.one(names::START_TIME, seconds(self.started_at.load(Relaxed)));
        (render::CONTENT_TYPE, text.finish())
    }

    fn render_books(&self, text: &mut Text) {
        let states = DeliveryState::ALL.into_iter().zip(self.deliveries.iter().map(load));
        // That an attempt is on its way is not in the books.
        let kept = states.filter(|(state, _)| *state != DeliveryState::Sending);
        let open = |state| matches!(state, DeliveryState::Queued | DeliveryState::Retrying);
        let outstanding: u64 = kept.clone().filter(|(state, _)| open(*state)).map(|(_, count)| count).sum();
        text.many(names::DELIVERIES, "state", kept.map(|(state, count)| (state_word(state), count)));
        text.one(names::OUTSTANDING, outstanding);
        text.many(names::BOOKS_DIFFERENCE, "check", CHECKS.into_iter().zip(self.differences.iter().map(load)));
        let moments = self.checked_at.iter().map(|at| seconds(at.load(Relaxed)));
        text.many(names::BOOKS_CHECKED, "check", CHECKS.into_iter().zip(moments));
        text.many(names::BOOKS_CHECKS, "check", CHECKS.into_iter().zip(self.checks.iter().map(load)));
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

fn seconds(micros: i64) -> String {
    format!("{}.{:03}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) / 1_000)
}

const fn state_word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Queued => "queued",
        DeliveryState::Sending => "sending",
        DeliveryState::Retrying => "retrying",
        DeliveryState::Held => "held",
        DeliveryState::Confirmed => "confirmed",
        DeliveryState::Expired => "expired",
        DeliveryState::Cancelled => "cancelled",
    }
}

/// An attempt on its way.
pub struct InFlight(Arc<Metrics>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Memory of this process that is in the machine's, in bytes, where the system tells.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_counted_where_it_belongs() {
        let metrics = Arc::new(Metrics::default());
        metrics.acknowledged(false, Duration::from_millis(3));
        metrics.acknowledged(true, Duration::from_millis(3));
        metrics.refused(RefusalReason::WrongSignature);
        metrics.attempted(None);
        metrics.attempted(Some(Cause::ServerError));
        metrics.set_deliveries(DeliveryState::Queued, 3);
        metrics.set_deliveries(DeliveryState::Retrying, 4);
        metrics.set_deliveries(DeliveryState::Held, 5);
        metrics.checked(Check::Rows, 2, Timestamp(1_500_000));
        let sent = metrics.in_flight();
        let (_, text) = metrics.render("sqlite");
        for line in [
            "quittance_messages_total{outcome=\"accepted\"} 1",
            "quittance_messages_total{outcome=\"repeated\"} 1",
            "quittance_messages_total{outcome=\"refused\"} 1",
            "quittance_messages_total{outcome=\"not-stored\"} 0",
            "quittance_refusals_total{reason=\"wrong-signature\"} 1",
            "quittance_acknowledge_seconds_count 2",
            "quittance_attempts_total{cause=\"confirmed\"} 1",
            "quittance_attempts_total{cause=\"server-error\"} 1",
            "quittance_in_flight 1",
            "quittance_deliveries{state=\"held\"} 5",
            "quittance_outstanding 7",
            "quittance_books_difference{check=\"sums\"} 0",
            "quittance_books_difference{check=\"rows\"} 2",
            "quittance_books_checked_timestamp_seconds{check=\"rows\"} 1.500",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(metrics.books_differ() && !text.contains("sending"));
        drop(sent);
        assert!(metrics.render("sqlite").1.contains("quittance_in_flight 0"));
    }

    #[test]
    fn every_metric_says_once_what_it_is() {
        let (_, text) = Metrics::default().render("sqlite");
        let mut names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(names.iter().any(|known| known.split(' ').next() == Some(family)), "{line}");
        }
    }
}
