//! What makes a second click the same wish: the key that a form came with, together with who wishes what.

use crate::server::{
    auth::Token,
    store::{Actor, Merchant, random},
};
use std::fmt::Debug;

/// Longer keys are none of ours.
const MOST_KEY: usize = 64;

/// Whether a form sent a key. Scripts send none, and are not held back.
pub const fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= MOST_KEY
}

/// What the store knows a wish by. A form's key alone is nobody's: whoever else sends it, or sends it with something else
/// entered, wishes something else. Without a key each wish is one of its own.
pub fn key_of(key: &str, actor: &Actor, merchant: &Merchant, wish: &impl Debug) -> String {
    if !is_key(key) {
        return hex::encode(random::<16>());
    }
    hex::encode(Token::hash_of(&format!("{key:?} {:?} {} {wish:?}", actor.name, merchant.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_ours_is_short_and_there() {
        assert!(is_key("0123456789abcdef"));
        assert!(!is_key("") && !is_key(&"k".repeat(MOST_KEY + 1)));
    }
}
