//! How long things are kept, how much retention has removed, and copies that were made.

use crate::domain::Timestamp;
use std::path::PathBuf;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// The bytes of messages and attempts, and the rows of attempts, go when they are older.
    pub bytes_before: Timestamp,
    /// Notifications with their deliveries, and orders of which nothing is left, go when they are older.
    pub ledger_before: Timestamp,
}

/// What was known of the clock when retention was looked after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// When that was, by the clock of then.
    pub at: Option<Timestamp>,
    /// Since when the clock is doubted, where it is.
    pub doubted_since: Option<Timestamp>,
}

/// Where retention goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionCursor {
    pub phase: RetentionPhase,
    /// The last id looked at in this phase, or 0.
    pub after: i64,
}

/// What retention looks at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetentionPhase {
    #[default]
    Bytes,
    Attempts,
    Ledger,
    /// How URLs answered in each hour: for the last days only, whatever the horizon.
    Tallies,
    /// Giving the place on the disk back.
    Shrink,
}

impl RetentionPhase {
    /// What comes next, or `None` after the last.
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Bytes => Some(Self::Attempts),
            Self::Attempts => Some(Self::Ledger),
            Self::Ledger => Some(Self::Tallies),
            Self::Tallies => Some(Self::Shrink),
            Self::Shrink => None,
        }
    }
}

/// How much retention has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Segments: the bytes of many messages and attempts together.
    pub segments: u64,
    pub attempts: u64,
    pub notifications: u64,
    pub deliveries: u64,
    pub orders: u64,
}

impl std::ops::AddAssign for Removed {
    fn add_assign(&mut self, more: Self) {
        self.segments += more.segments;
        self.attempts += more.attempts;
        self.notifications += more.notifications;
        self.deliveries += more.deliveries;
        self.orders += more.orders;
    }
}

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub bytes: u64,
    pub notifications: u64,
    /// What its secrets open with; not in the copy.
    pub key_file: PathBuf,
}
