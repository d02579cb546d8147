//! Where the store announces its commits. It does not know who listens.

use super::{Alarm, Brake, Change, Commit, Job};
use crate::domain::{Timestamp, id::UrlId};
use crate::server::telemetry::Metrics;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The senders of the announcements. Default: nobody listens.
#[derive(Clone, Default)]
pub struct Feed {
    /// Open deliveries, as they are committed.
    pub jobs: Option<mpsc::UnboundedSender<Vec<Job>>>,
    /// What open pages may want to read again.
    pub changes: Option<mpsc::UnboundedSender<Vec<Change>>>,
    /// URLs of which the table holds open deliveries that were not announced one by one, and a moment before which none of
    /// these is due.
    pub due: Option<mpsc::UnboundedSender<Vec<(UrlId, Timestamp)>>>,
    /// What comes back from whoever delivers.
    pub brake: Brake,
    /// Where the time of each commit is counted.
    pub metrics: Option<Arc<Metrics>>,
    /// Rings where a part of the store is lost.
    pub alarm: Alarm,
}

impl Feed {
    /// Announces a commit. A listener that has gone away is no error: the table is the truth.
    pub(super) fn announce(&self, commit: Commit) {
        if let Some(jobs) = self.jobs.as_ref().filter(|_| !commit.jobs.is_empty()) {
            let _ = jobs.send(commit.jobs);
        }
        self.announce_due(commit.due.into_iter().map(|url| (url, Timestamp::default())).collect());
        if let Some(changes) = self.changes.as_ref().filter(|_| !commit.changes.is_empty()) {
            let _ = changes.send(commit.changes);
        }
    }

    /// Counts a commit of messages or results.
    pub(super) fn committed(&self, took: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.committed(took);
        }
    }

    /// Announces that the table holds more than what was announced by job.
    pub(super) fn announce_due(&self, urls: Vec<(UrlId, Timestamp)>) {
        if let Some(due) = self.due.as_ref().filter(|_| !urls.is_empty()) {
            let _ = due.send(urls);
        }
    }
}
