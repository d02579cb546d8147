//! Passwords: argon2id with the parameters that OWASP recommends (19 MiB, two passes), a few at a time, away from the
//! tasks that serve requests.

use crate::server::memory::give_back;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Shortest password taken, in characters (NIST SP 800-63B: length is what counts).
pub const MIN_PASSWORD: usize = 12;
/// Hashes computed at a time: each takes 19 MiB.
const AT_A_TIME: usize = 2;

/// Computes and checks password hashes.
#[derive(Clone)]
pub struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Passwords {
    /// The hash of a password, with its salt and parameters. `None` only where the machine has no memory left.
    pub async fn hash(&self, password: String) -> Option<String> {
        self.compute(move || Argon2::default().hash_password(password.as_bytes()).ok().map(|hash| hash.to_string()))
            .await
            .flatten()
    }

    /// Whether a password fits a hash. Without a hash (there is no such user) it takes as long and fails.
    pub async fn verify(&self, password: String, hash: Option<String>) -> bool {
        static NOBODY: LazyLock<String> =
            LazyLock::new(|| Argon2::default().hash_password(b"nobody").map(|hash| hash.to_string()).unwrap_or_default());
        self.compute(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.clone());
            let fits =
                PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            known && fits
        })
        .await
        .unwrap_or(false)
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let _place = self.0.acquire().await.ok()?;
        let work = move || {
            let result = work();
            give_back();
            result
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_fits_and_others_do_not() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse battery".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse battery".to_owned(), Some(hash.clone())).await);
        assert!(!passwords.verify("correct horse".to_owned(), Some(hash)).await);
        assert!(!passwords.verify("nobody".to_owned(), None).await);
        assert!(!passwords.verify("x".to_owned(), Some("not a hash".to_owned())).await);
    }
}
