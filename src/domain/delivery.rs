//! The states of a delivery and what may follow what.

use serde::{Deserialize, Serialize};

/// Where one notification stands on its way to one URL.
///
/// `queued → sending → confirmed`, or `→ retrying → … → expired`; `held` while the URL is on hold; `cancelled` by
/// a person. `sending` lives only in the scheduler's memory: the table keeps `queued` or `retrying` until the
/// result of the attempt is written, so a crash in between leaves a row that simply is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    Queued,
    Sending,
    Retrying,
    Held,
    Confirmed,
    Expired,
    Cancelled,
}

impl DeliveryState {
    /// All states, in the order of a delivery's life.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Sending, Self::Retrying, Self::Held, Self::Confirmed, Self::Expired, Self::Cancelled];

    /// The number in the databases. Numbers are never reused; partial indexes name 0 and 2 as open.
    pub const fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Sending => 1,
            Self::Retrying => 2,
            Self::Held => 3,
            Self::Confirmed => 4,
            Self::Expired => 5,
            Self::Cancelled => 6,
        }
    }

    /// The state for a number from the database.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Sending => "Sending",
            Self::Retrying => "Retrying",
            Self::Held => "Held",
            Self::Confirmed => "Confirmed",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Nothing follows any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Expired | Self::Cancelled)
    }

    /// Waits for its next attempt.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Sending | Self::Retrying)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_every_state_is_open_held_or_final() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::from_code(state.code()), Some(state));
            let kinds = [state.is_open(), state == DeliveryState::Held, state.is_final()];
            assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{state:?}");
        }
        assert_eq!(DeliveryState::from_code(7), None);
    }
}
