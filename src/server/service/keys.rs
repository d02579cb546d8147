//! The secret key of a merchant: making one, changing it with an overlap, showing it again.

use super::{ServiceResult, Services, fields};
use crate::server::store::{Actor, Merchant, Note, Secret, random};
use crate::{
    domain::{
        AppError,
        pages::settings::{OVERLAPS, OldKeyView},
    },
    words::t,
};
use std::time::Duration;

/// Letters and digits without those that are mistaken for one another.
const KEY_LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const KEY_LENGTH: usize = 32;

/// A new secret key: 32 letters and digits, some 185 bits.
pub fn new_key() -> String {
    // 57 letters into 256 values: a byte of the last, incomplete run is dropped, so that all letters are as likely.
    let limit = 256 - 256 % KEY_LETTERS.len();
    std::iter::repeat_with(random::<64>)
        .flatten()
        .filter(|byte| usize::from(*byte) < limit)
        .take(KEY_LENGTH)
        .map(|byte| char::from(KEY_LETTERS[usize::from(byte) % KEY_LETTERS.len()]))
        .collect()
}

/// The last characters of a key, enough to tell which it is.
pub fn hint(key: &Secret) -> String {
    let key = String::from_utf8_lossy(key.reveal()).into_owned();
    let count = key.chars().count();
    key.chars().skip(count.saturating_sub(if count > 8 { 4 } else { 1 })).collect()
}

impl Services {
    /// Gives a merchant a new secret key: the one entered, or one made here. The one before is valid for `overlap` seconds
    /// more, one of [`OVERLAPS`]; empty is not at all. Gives the key, which is shown this once.
    pub async fn change_key(
        &self,
        merchant: &Merchant,
        key: Option<&str>,
        overlap: &str,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<String> {
        let mut mistakes = fields::Mistakes::default();
        let key = mistakes.take("secret_key", key.map_or_else(|| Ok(new_key()), fields::secret));
        let overlap = overlap.trim();
        let seconds = if overlap.is_empty() { Some(0) } else { overlap.parse().ok() };
        let seconds = seconds.filter(|seconds| OVERLAPS.iter().any(|(known, _)| known == seconds));
        if seconds.is_none() {
            mistakes.add("overlap", t!("Choose one of the times of the list."));
        }
        if key.as_ref().is_some_and(|key| key.as_bytes() == merchant.secret_key.reveal()) {
            mistakes.add("secret_key", t!("This is the key that is in use already; enter the new one."));
        }
        mistakes.end()?;
        let (Some(key), Some(seconds)) = (key, seconds) else { return Err(AppError::NotFound.into()) };
        let until = self.clock.now().plus(Duration::from_secs(u64::from(seconds)));
        let actor = actor.into();
        let seen = actor.seen;
        let saved = self.store.set_secret_key(merchant.id, Secret::new(key.clone()), until, actor).await;
        self.or_conflict(merchant.id.get(), seen, saved).await?;
        Ok(key)
    }

    /// Ends the validity of the key before, ahead of its time.
    pub async fn end_old_key(&self, merchant: &Merchant, actor: impl Into<Actor> + Send) -> ServiceResult<bool> {
        let actor = actor.into();
        let seen = actor.seen;
        let ended = self.store.end_old_key(merchant.id, actor).await;
        self.or_conflict(merchant.id.get(), seen, ended).await
    }

    /// The key in use, for somebody who has lost it. That he looked is in the audit log before he sees it.
    pub async fn reveal_key(&self, merchant: &Merchant, actor: impl Into<Actor> + Send) -> ServiceResult<String> {
        let (action, subject) = ("merchant.secret-key-shown", merchant.name.clone());
        let note = Note { merchant_id: Some(merchant.id), action, subject, detail: String::new() };
        self.store.note(note, actor).await?;
        Ok(String::from_utf8_lossy(merchant.secret_key.reveal()).into_owned())
    }

    /// The key before, while it is valid.
    pub(super) fn old_key(&self, merchant: &Merchant) -> Option<OldKeyView> {
        let old = merchant.valid_old_key(self.clock.now())?;
        Some(OldKeyView { hint: hint(&old.key), until: old.until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (first, second) = (new_key(), new_key());
        assert_eq!(first.len(), KEY_LENGTH);
        assert_ne!(first, second);
        assert!(first.bytes().all(|byte| KEY_LETTERS.contains(&byte)));
    }

    #[test]
    fn a_hint_gives_little_away() {
        assert_eq!(hint(&Secret::new("AABBCCDDEEFF")), "EEFF");
        assert_eq!(hint(&Secret::new("short")), "t");
    }
}
