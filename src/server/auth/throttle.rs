//! How often somebody may guess a password: after a few failures an account, and an address, must wait.

use crate::domain::Timestamp;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Failures within the window after which one has to wait.
const PER_ACCOUNT: usize = 8;
const PER_ADDRESS: usize = 40;
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Accounts and addresses remembered; beyond, the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// The failures of the last minutes.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<String, Vec<Timestamp>>>);

impl Throttle {
    /// How long somebody still has to wait, if at all.
    pub fn wait(&self, email: &str, address: &str, now: Timestamp) -> Option<Duration> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(email, address).into_iter().filter_map(|(key, allowed)| {
            let recent: Vec<_> = failures.get(&key)?.iter().filter(|at| now.since(**at) < WINDOW).collect();
            let nth = recent.len().checked_sub(allowed)?;
            Some(WINDOW.saturating_sub(now.since(*recent[nth])))
        });
        waits.max()
    }

    /// Notes a failure.
    pub fn failed(&self, email: &str, address: &str, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED {
            failures.retain(|_, times| times.last().is_some_and(|at| now.since(*at) < WINDOW));
            if failures.len() >= REMEMBERED {
                failures.clear();
            }
        }
        for (key, allowed) in keys(email, address) {
            let times = failures.entry(key).or_default();
            times.retain(|at| now.since(*at) < WINDOW);
            if times.len() >= allowed * 2 {
                times.remove(0);
            }
            times.push(now);
        }
    }

    /// Forgets the failures of an account whose password was right in the end.
    pub fn succeeded(&self, email: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("account {email}"));
    }
}

fn keys(email: &str, address: &str) -> [(String, usize); 2] {
    [(format!("account {email}"), PER_ACCOUNT), (format!("address {address}"), PER_ADDRESS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    #[test]
    fn guessing_is_slowed_down_for_the_account_wherever_it_comes_from() {
        let throttle = Throttle::default();
        for host in 0..7 {
            throttle.failed("a@example.com", &format!("10.0.0.{host}"), NOW);
            assert_eq!(throttle.wait("a@example.com", "10.0.0.99", NOW), None);
        }
        throttle.failed("a@example.com", "10.0.0.8", NOW);
        assert_eq!(throttle.wait("a@example.com", "10.0.0.99", NOW), Some(WINDOW));
        assert_eq!(throttle.wait("b@example.com", "10.0.0.1", NOW), None);
        assert_eq!(throttle.wait("a@example.com", "10.0.0.99", NOW.plus(WINDOW)), None);
        throttle.succeeded("a@example.com");
        assert_eq!(throttle.wait("a@example.com", "10.0.0.99", NOW), None);
    }

    #[test]
    fn guessing_many_accounts_from_one_address_is_slowed_down_too() {
        let throttle = Throttle::default();
        for account in 0..40 {
            throttle.failed(&format!("{account}@example.com"), "10.0.0.1", NOW);
        }
        assert!(throttle.wait("fresh@example.com", "10.0.0.1", NOW).is_some());
        assert!(throttle.wait("fresh@example.com", "10.0.0.2", NOW).is_none());
    }
}
