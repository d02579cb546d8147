//! Who somebody is: passwords, sessions, tokens, and how often one may guess.
//!
//! Must not live here: what a role may do (`domain::role`), cookies and headers (`http`).

mod password;
mod throttle;
mod token;

pub use password::{MIN_PASSWORD, Passwords};
pub use throttle::Throttle;
pub use token::{Token, TokenHash};

use crate::domain::{Timestamp, id::UserId};
use crate::server::store::{SessionRecord, Store, StoreError, UserRecord};
use std::{net::IpAddr, time::Duration};

/// A session ends after so long without a request.
pub const IDLE_FOR: Duration = Duration::from_secs(12 * 3_600);
/// Whoever is active is noted at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(300);

/// Of how a browser names itself as much is kept.
const MOST_AGENT: usize = 300;

/// Where somebody signs in.
#[derive(Debug, Clone)]
pub struct Place {
    /// The client's address as the server knows it.
    pub address: IpAddr,
    /// The browser, as it names itself.
    pub agent: String,
}

/// Begins a session; gives what the cookie holds.
pub async fn begin_session(store: &Store, user_id: UserId, now: Timestamp, place: &Place) -> Result<Token, StoreError> {
    let token = Token::new();
    let session = SessionRecord {
        token_hash: token.hash(),
        user_id,
        created_at: now,
        expires_at: now.plus(IDLE_FOR),
        address: place.address.to_canonical().to_string(),
        agent: place.agent.chars().take(MOST_AGENT).collect(),
    };
    store.add_session(session).await?;
    Ok(token)
}

/// The user behind what a cookie holds, if the session has not ended.
pub async fn session_user(store: &Store, token: &str, now: Timestamp) -> Result<Option<UserRecord>, StoreError> {
    let hash = Token::hash_of(token);
    let Some((user, seen_at)) = store.session_user(&hash, now).await? else { return Ok(None) };
    if now.since(seen_at) > NOTED_EVERY {
        store.touch_session(hash, now, now.plus(IDLE_FOR)).await?;
    }
    Ok(Some(user))
}

/// Ends the session behind what a cookie holds.
pub async fn end_session(store: &Store, token: &str) -> Result<(), StoreError> {
    store.end_session(Token::hash_of(token)).await
}
