//! Durations, counted by how long they were.

use super::{names::Family, render::Text};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Upper ends of the buckets in microseconds; what is longer counts in one more.
const ENDS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Buckets of durations.
#[derive(Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; ENDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let bucket = ENDS.iter().position(|end| micros <= *end).unwrap_or(ENDS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    /// Writes it as Prometheus reads it: each bucket with all that are shorter.
    pub fn render(&self, text: &mut Text, family: Family) {
        text.begin(family);
        let mut count = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            count += bucket.load(Relaxed);
            let end = ENDS.get(at).map_or_else(|| "+Inf".to_owned(), |end| seconds(*end));
            text.line(&format!("{}_bucket", family.name), &[("le", &end)], count);
        }
        text.line(&format!("{}_sum", family.name), &[], seconds(self.micros.load(Relaxed)));
        text.line(&format!("{}_count", family.name), &[], count);
    }
}

/// Microseconds as seconds, without needless zeros.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::telemetry::names::COMMIT;

    #[test]
    fn each_bucket_holds_what_is_shorter_and_the_last_everything() {
        let histogram = Histogram::default();
        for micros in [100, 250, 251, 3_000_000, 60_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut text = Text::default();
        histogram.render(&mut text, COMMIT);
        let text = text.finish();
        for line in [
            "quittance_commit_seconds_bucket{le=\"0.00025\"} 2",
            "quittance_commit_seconds_bucket{le=\"0.0005\"} 3",
            "quittance_commit_seconds_bucket{le=\"2.5\"} 3",
            "quittance_commit_seconds_bucket{le=\"5\"} 4",
            "quittance_commit_seconds_bucket{le=\"10\"} 4",
            "quittance_commit_seconds_bucket{le=\"+Inf\"} 5",
            "quittance_commit_seconds_sum 63.000601",
            "quittance_commit_seconds_count 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }

    #[test]
    fn seconds_are_plain_numbers() {
        assert_eq!([0, 1, 250, 1_000_000, 12_500_000].map(seconds), ["0", "0.000001", "0.00025", "1", "12.5"]);
    }
}
