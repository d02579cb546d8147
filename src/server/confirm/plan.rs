//! When a gateway that gave no word is asked again.

use crate::domain::Timestamp;
use std::time::Duration;

/// After each question the pause until the next, in seconds; from then on the last one. A gateway that is down for a moment is asked
/// soon again, one that is down for long not often.
const PAUSES: [u64; 9] = [10, 20, 30, 60, 2 * 60, 5 * 60, 10 * 60, 30 * 60, 60 * 60];
/// No question is put off for longer.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// So long a message waits for a word at most. Its sender was told that it is kept, so it is not given up lightly.
pub const PATIENCE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The moment of the next question, after so many; `None` when no more are asked.
pub fn next(received_at: Timestamp, attempts: u32, now: Timestamp) -> Option<Timestamp> {
    if now > received_at.plus(PATIENCE) {
        return None;
    }
    let at = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    Some(now.plus(Duration::from_secs(PAUSES[at])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soon_at_first_then_hourly_for_thirty_days() {
        let start = Timestamp::from_seconds(1_000_000);
        let pause = |attempts, now: Timestamp| next(start, attempts, now).map(|at| (at.0 - now.0) / 1_000_000);
        assert_eq!(pause(1, start), Some(10));
        assert!(PAUSES.iter().all(|pause| *pause <= LONGEST_PAUSE.as_secs()));
        assert_eq!(pause(2, start), Some(20));
        assert_eq!((pause(9, start), pause(u32::MAX, start), pause(0, start)), (Some(3_600), Some(3_600), Some(10)));
        assert_eq!(pause(500, start.plus(PATIENCE)), Some(3_600));
        assert_eq!(pause(500, start.plus(PATIENCE + Duration::from_secs(1))), None);
    }
}
