//! Proof that the bytes of attempts can be read, for both engines.

use super::{Finding, pack::unpack};

/// Parts that an attempt has: request head, request body, answer head, answer body.
const PARTS: usize = 4;

/// What was looked at so far. Attempts come sorted by segment, so that each is unpacked about once.
#[derive(Default)]
pub(super) struct Exchanges {
    open: Option<i64>,
    /// Parts of the open segment; none where it is damaged.
    parts: usize,
    checked: u64,
    wrong: u64,
}

impl Exchanges {
    pub fn is_open(&self, segment: i64) -> bool {
        self.open == Some(segment)
    }

    /// Unpacks a segment.
    pub fn open(&mut self, segment: i64, bytes: &[u8]) {
        self.parts = unpack(bytes).map_or(0, |parts| parts.len());
        self.open = Some(segment);
    }

    /// Looks for an attempt that begins with this part of the open segment.
    pub fn check(&mut self, part: usize) {
        self.checked += 1;
        self.wrong += u64::from(part.saturating_add(PARTS) > self.parts);
    }

    pub fn finding(self) -> Finding {
        let (checked, wrong) = (self.checked, self.wrong);
        let detail = if wrong == 0 {
            format!("{checked} exchanges can be read")
        } else {
            format!("{wrong} of {checked} exchanges cannot be read")
        };
        Finding { check: "what was sent and answered can be read", ok: wrong == 0, detail }
    }
}
