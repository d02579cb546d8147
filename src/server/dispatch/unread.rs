//! What is told of a store that cannot be read, and of a machine that cannot send: now and then, because every delivery that is due
//! finds that out.

use crate::server::{store::StoreError, telemetry::Seldom};

/// What was told of lately.
#[derive(Default)]
pub struct Unread(Seldom);

impl Unread {
    /// What could not be read, and is tried again.
    pub(super) fn tell(&self, what: &'static str, error: &StoreError) {
        if let Some(others) = self.0.due(what) {
            tracing::warn!(%error, what, others, "the store could not be read; trying again");
        }
    }

    /// An attempt that this machine had nothing left for.
    pub(super) fn tell_untried(&self, reason: &str) {
        if let Some(others) = self.0.due("sending") {
            tracing::error!(
                reason,
                others,
                "a delivery could not be tried; trying again later. Allow this process more files, or fewer requests at once"
            );
        }
    }
}
