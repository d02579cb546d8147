//! What is counted of a URL, and what `quittance doctor` finds.

use crate::domain::{Cause, DeliveryState, Timestamp, attempt::UrlCheck, id::UrlId};
use crate::server::store::StoreError;
use serde::Serialize;

/// How a URL stands by its books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UrlState {
    pub check: Option<UrlCheck>,
    /// Deliveries that wait for their first attempt.
    pub queued: u64,
    /// Deliveries that failed and are tried again.
    pub retrying: u64,
    /// Deliveries kept back while the URL is on hold.
    pub held_back: u64,
    pub confirmed: u64,
    /// Deliveries given up since the moment asked for, but for those that the URL confirmed after somebody resent them.
    pub expired: u64,
    /// When the oldest of those that are tried again first failed.
    pub failing_since: Option<Timestamp>,
    /// Of the newest delivery that is tried again, or else of the last one given up.
    pub failing_cause: Option<Cause>,
    pub last_confirmed_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
    pub next_try: Option<Timestamp>,
    /// When the certificate that its server showed last ends.
    pub certificate_ends_at: Option<Timestamp>,
}

impl UrlState {
    /// Deliveries that wait for an attempt.
    pub const fn outstanding(&self) -> u64 {
        self.queued + self.retrying
    }

    /// Whether a delivery has failed that is not put right. What the URL confirms of other notifications does not put it right.
    pub const fn is_failing(&self) -> bool {
        self.retrying > 0 || self.expired > 0
    }

    /// Whether its last attempt was confirmed: what failed before waits for its turn, and the URL is well.
    pub fn works_again(&self) -> bool {
        // Not "later than": both are noted of the same attempt, and where the clock was set back a confirmation stays ahead.
        self.is_failing() && self.last_confirmed_at.is_some() && self.last_confirmed_at == self.last_attempt_at
    }
}

/// One check of `quittance doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a few words.
    pub check: &'static str,
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// The running books of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlBooks {
    pub url_id: UrlId,
    /// Deliveries that were ever made, without those that retention removed.
    pub accepted: i64,
    /// How many of them are in each state.
    pub states: [(DeliveryState, i64); 6],
}

/// States, with what the books of a URL say and how many deliveries were found. What was not counted is 0 on both sides.
pub type Recount = [(DeliveryState, i64, i64); 6];

impl UrlBooks {
    /// The states that are booked, in the order of the columns.
    pub const STATES: [DeliveryState; 6] = [
        DeliveryState::Queued,
        DeliveryState::Retrying,
        DeliveryState::Held,
        DeliveryState::Confirmed,
        DeliveryState::Expired,
        DeliveryState::Cancelled,
    ];
    /// The same in the order in which they are counted: those that an index counts come first.
    pub(in crate::server::store) const COUNTED: [DeliveryState; 6] = [
        DeliveryState::Queued,
        DeliveryState::Retrying,
        DeliveryState::Held,
        DeliveryState::Expired,
        DeliveryState::Confirmed,
        DeliveryState::Cancelled,
    ];

    /// Puts books together from a row: what was accepted, and then the states.
    pub(in crate::server::store) fn read(
        url_id: UrlId,
        column: impl Fn(usize) -> Result<i64, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut states = Self::STATES.map(|state| (state, 0));
        for (at, (_, count)) in states.iter_mut().enumerate() {
            *count = column(at + 1)?;
        }
        Ok(Self { url_id, accepted: column(0)?, states })
    }
}
