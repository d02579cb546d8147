//! Acknowledgements wait a little where deliveries cannot keep up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// How long an acknowledgement waits behind its commit. Whoever delivers sets it, whoever accepts heeds it; usually it is zero.
#[derive(Debug, Clone, Default)]
pub struct Brake(Arc<AtomicU32>);

impl Brake {
    /// Lets every acknowledgement from now on wait so long (whole milliseconds).
    pub fn set(&self, wait: Duration) {
        self.0.store(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Waits as long as is asked for at this moment.
    pub async fn heed(&self) {
        let millis = self.0.load(Ordering::Relaxed);
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis.into())).await;
        }
    }
}
