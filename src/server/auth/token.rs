//! Random tokens for cookies and links. Only their hashes are stored.

use crate::server::store::random;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// 256 random bits as hexadecimal digits.
pub struct Token(String);

impl Token {
    /// A fresh one.
    #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Self {
        Self(hex::encode(random::<32>()))
    }

    /// The text that is given away.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The hash that is kept.
    pub fn hash(&self) -> TokenHash {
        Self::hash_of(&self.0)
    }

    /// The hash of a text that claims to be a token. Comparing hashes tells nothing about the token itself.
    pub fn hash_of(text: &str) -> TokenHash {
        Sha256::digest(text.as_bytes()).into()
    }
}
