//! News must leave as fast as it comes in.
//!
//! Where senders post faster than the machine can take in and deliver, whoever accepts would win: an acknowledgement costs
//! less than a delivery, and what is behind falls back further, because it must be read from the table again. So
//! acknowledgements wait a little behind their commit, as long as two things hold: deliveries wait, and the runtime itself
//! is late. Slow merchants alone do not make it late, so they never slow a gateway down.

use crate::server::store::Brake;
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(10);
/// A timer may be late by so much on a machine that has time.
const TOLERABLE: f64 = 2.0;
/// Longest wait of an acknowledgement, in milliseconds: no gateway notices.
const LONGEST: f64 = 200.0;

/// How long acknowledgements should wait, from how late the runtime is. Milliseconds.
#[derive(Default)]
struct Control {
    lateness: f64,
    wait: f64,
}

impl Control {
    /// Grows by a step and an eighth while it must, and fades by a quarter of that, so that it settles where the runtime is
    /// just busy.
    fn step(&mut self, late: f64, deliveries_wait: bool) -> Duration {
        self.lateness = self.lateness.mul_add(0.75, late * 0.25);
        if deliveries_wait && self.lateness > TOLERABLE {
            self.wait = (self.wait * 1.125 + 0.5).min(LONGEST);
        } else {
            self.wait = (self.wait * 0.97 - 0.2).max(0.0);
        }
        Duration::from_millis(self.wait as u64)
    }

    fn is_at_rest(&self) -> bool {
        self.wait <= 0.0
    }
}

/// Measures and brakes, for as long as the dispatcher tells whether deliveries wait that could be made now.
pub async fn keep_up(brake: Brake, mut waiting: watch::Receiver<bool>) {
    let mut control = Control::default();
    loop {
        if control.is_at_rest() && waiting.wait_for(|waits| *waits).await.is_err() {
            return;
        }
        let begin = Instant::now();
        tokio::time::sleep(EVERY).await;
        let late = begin.elapsed().saturating_sub(EVERY).as_secs_f64() * 1e3;
        let waits = *waiting.borrow();
        brake.set(control.step(late, waits));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(control: &mut Control, steps: usize, late: f64, deliveries_wait: bool) -> u128 {
        (0..steps).map(|_| control.step(late, deliveries_wait).as_millis()).last().unwrap()
    }

    #[test]
    fn only_a_late_runtime_with_deliveries_waiting_brakes_and_never_for_long() {
        let mut control = Control::default();
        assert_eq!(after(&mut control, 500, 50.0, false), 0, "nothing waits: gateways may have it all");
        let mut control = Control::default();
        assert_eq!(after(&mut control, 500, 1.0, true), 0, "merchants are slow, not the machine");
        assert!(after(&mut control, 20, 20.0, true) > 5);
        assert_eq!(after(&mut control, 500, 20.0, true), LONGEST as u128);
        assert!(after(&mut control, 20, 0.0, true) < LONGEST as u128);
        assert_eq!(after(&mut control, 400, 0.0, true), 0, "and it lets go");
    }
}
