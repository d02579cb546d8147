//! Alerts: looks now and then whether a merchant wants to be told of a URL. What is told, and when, is the service's.

use crate::server::service::Services;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(20);

/// Tells of trouble, for ever.
pub async fn run(services: Services) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = services.tell_of_trouble().await {
            tracing::warn!(%error, "it could not be found out whether a merchant has to be alerted; trying again");
        }
    }
}
