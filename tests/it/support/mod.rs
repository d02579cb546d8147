//! What the tests stand on.

pub mod app;
pub mod browser;
pub mod endpoints;
pub mod gateway;
pub mod merchant;
pub mod message;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod routes;
pub mod signer;
pub mod smtp;
pub mod stores;
pub mod waiting;

use std::{future::Future, time::Duration};

/// How long something may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
