//! Bulk resends: works at what people asked for, a few deliveries at a time, for ever. What a step does is the store's.
//!
//! Must not live here: which deliveries are made and which are left out (`store/bulk`), in which order they are sent
//! (`dispatch/schedule`).

use crate::server::store::{BulkStep, Store};
use std::time::Duration;

/// Between two steps, so that acceptances and results have the disk in between.
const PAUSE: Duration = Duration::from_millis(20);
/// Where nothing could be made, the next look; longer each time, because a URL that takes no more may do so for hours.
const WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_millis(800);
/// Where there is nothing to work at: a command is answered within a second.
const IDLE: Duration = Duration::from_millis(250);
/// Pause after the store refused something.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Works at bulk resends.
pub async fn run(store: Store) {
    let mut wait = WAIT;
    loop {
        let pause = match store.step_bulk().await {
            Ok(BulkStep::Worked) => {
                wait = WAIT;
                PAUSE
            }
            Ok(BulkStep::Waiting) => {
                let pause = wait;
                wait = (wait * 2).min(LONGEST_WAIT);
                pause
            }
            Ok(BulkStep::Idle) => IDLE,
            Err(error) => {
                tracing::warn!(%error, "it could not be looked what is to be resent or cancelled in bulk, or it could not be done; trying again");
                RETRY_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}
