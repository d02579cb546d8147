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
    /// Lets somebody try a password, or tells how long he still has to wait. The try counts as a failure until
    /// [`Throttle::succeeded`] takes it back: checking a password takes a while, and many at once must not all get in.
    pub fn admit(&self, email: &str, address: &str, now: Timestamp) -> Result<(), Duration> {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = keys(email, address).into_iter().filter_map(|(key, allowed)| {
            let recent: Vec<_> = failures.get(&key)?.iter().filter(|at| now.since(**at) < WINDOW).collect();
            let nth = recent.len().checked_sub(allowed)?;
            Some(WINDOW.saturating_sub(now.since(*recent[nth])))
        });
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
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
        Ok(())
    }

    /// The password was right: the failures of the account are forgotten, and the try is no failure of the address.
    pub fn succeeded(&self, email: &str, address: &str, admitted: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [(account, _), (address, _)] = keys(email, address);
        failures.remove(&account);
        if let Some(times) = failures.get_mut(&address)
            && let Some(at) = times.iter().rposition(|at| *at == admitted)
        {
            times.remove(at);
        }
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
        for host in 0..8 {
            assert_eq!(throttle.admit("a@example.com", &format!("10.0.0.{host}"), NOW), Ok(()));
        }
        assert_eq!(throttle.admit("a@example.com", "10.0.0.99", NOW), Err(WINDOW));
        assert_eq!(throttle.admit("b@example.com", "10.0.0.1", NOW), Ok(()));
        assert_eq!(throttle.admit("a@example.com", "10.0.0.99", NOW.plus(WINDOW)), Ok(()));
    }

    #[test]
    fn guessing_many_accounts_from_one_address_is_slowed_down_too() {
        let throttle = Throttle::default();
        for account in 0..40 {
            assert_eq!(throttle.admit(&format!("{account}@example.com"), "10.0.0.1", NOW), Ok(()));
        }
        assert_eq!(throttle.admit("fresh@example.com", "10.0.0.1", NOW), Err(WINDOW));
        assert_eq!(throttle.admit("fresh@example.com", "10.0.0.2", NOW), Ok(()));
    }

    #[test]
    fn who_signs_in_rightly_is_never_slowed_down() {
        let throttle = Throttle::default();
        for _ in 0..7 {
            assert_eq!(throttle.admit("a@example.com", "10.0.0.1", NOW), Ok(()));
        }
        for _ in 0..100 {
            assert_eq!(throttle.admit("a@example.com", "10.0.0.1", NOW), Ok(()));
            throttle.succeeded("a@example.com", "10.0.0.1", NOW);
        }
    }
}
