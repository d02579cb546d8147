//! How often somebody may guess a password: after a few failures an account, and an address, must wait.

use crate::domain::Timestamp;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
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
    pub fn admit(&self, email: &str, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
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
            // Whoever fills it with addresses must not free the accounts he guesses at: the quietest go first.
            let mut last: Vec<_> =
                failures.iter().map(|(key, times)| (times.len(), times.last().copied(), key.clone())).collect();
            last.sort_unstable();
            for (_, _, key) in last.into_iter().take(failures.len().saturating_sub(REMEMBERED * 9 / 10)) {
                failures.remove(&key);
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

    /// How often an account, and an address, were tried in vain within the last minutes, the running try included; and whether
    /// this very try was the last that is let in for now.
    pub fn failures(&self, email: &str, address: IpAddr, now: Timestamp) -> (usize, bool) {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent =
            |key: &String| failures.get(key).map_or(0, |times| times.iter().filter(|at| now.since(**at) < WINDOW).count());
        let [(account, of_account), (address, of_address)] = keys(email, address);
        let (by_account, by_address) = (recent(&account), recent(&address));
        (by_account, by_account == of_account || by_address == of_address)
    }

    /// The password was right: the failures of the account are forgotten, and the try is no failure of the address.
    pub fn succeeded(&self, email: &str, address: IpAddr, admitted: Timestamp) {
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

fn keys(email: &str, address: IpAddr) -> [(String, usize); 2] {
    [(format!("account {email}"), PER_ACCOUNT), (format!("address {}", network(address)), PER_ADDRESS)]
}

/// Who has one address of version 6 has the 2⁶⁴ beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);
    const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const LAST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99));

    #[test]
    fn guessing_is_slowed_down_for_the_account_wherever_it_comes_from() {
        let throttle = Throttle::default();
        for host in 0..8 {
            assert_eq!(throttle.admit("a@example.com", IpAddr::from([10, 0, 0, host]), NOW), Ok(()));
        }
        assert_eq!(throttle.admit("a@example.com", LAST, NOW), Err(WINDOW));
        assert_eq!(throttle.admit("b@example.com", FIRST, NOW), Ok(()));
        assert_eq!(throttle.admit("a@example.com", LAST, NOW.plus(WINDOW)), Ok(()));
    }

    #[test]
    fn guessing_many_accounts_from_one_address_is_slowed_down_too() {
        let throttle = Throttle::default();
        for account in 0..40 {
            assert_eq!(throttle.admit(&format!("{account}@example.com"), FIRST, NOW), Ok(()));
        }
        assert_eq!(throttle.admit("fresh@example.com", FIRST, NOW), Err(WINDOW));
        assert_eq!(throttle.admit("fresh@example.com", SECOND, NOW), Ok(()));
    }

    #[test]
    fn failures_are_counted_and_the_last_that_is_let_in_is_told() {
        let throttle = Throttle::default();
        for count in 1..=8 {
            throttle.admit("a@example.com", FIRST, NOW).unwrap();
            assert_eq!(throttle.failures("a@example.com", FIRST, NOW), (count, count == 8));
        }
        assert_eq!(throttle.failures("a@example.com", FIRST, NOW.plus(WINDOW)), (0, false));
    }

    #[test]
    fn who_signs_in_rightly_is_never_slowed_down() {
        let throttle = Throttle::default();
        for _ in 0..7 {
            assert_eq!(throttle.admit("a@example.com", FIRST, NOW), Ok(()));
        }
        for _ in 0..100 {
            assert_eq!(throttle.admit("a@example.com", FIRST, NOW), Ok(()));
            throttle.succeeded("a@example.com", FIRST, NOW);
        }
    }

    #[test]
    fn a_network_of_version_six_is_one_guesser() {
        let throttle = Throttle::default();
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        for account in 0..40 {
            assert_eq!(throttle.admit(&format!("{account}@example.com"), host(account), NOW), Ok(()));
        }
        assert_eq!(throttle.admit("fresh@example.com", host(999), NOW), Err(WINDOW));
        assert_eq!(throttle.admit("fresh@example.com", IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), NOW), Ok(()));
    }

    #[test]
    fn many_addresses_do_not_free_an_account_that_is_guessed_at() {
        let throttle = Throttle::default();
        for host in 0..8 {
            throttle.admit("a@example.com", IpAddr::from([10, 0, 0, host]), NOW).unwrap();
        }
        for host in 0..30_000u32 {
            let _ = throttle.admit(&format!("{host}@example.com"), IpAddr::from((0x0b00_0000 + host).to_be_bytes()), NOW);
        }
        assert_eq!(throttle.admit("a@example.com", LAST, NOW), Err(WINDOW));
        assert!(throttle.0.lock().unwrap().len() <= REMEMBERED + 2);
    }
}
