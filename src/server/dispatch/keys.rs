//! With which key a message is signed while a merchant's key is changed.
//!
//! A script has one key: it checks our signature with it, where it checks at all, and makes its receipt with it. When a key
//! is changed here the scripts still have the old one, and each gets the new one at a moment that nobody tells us. A script
//! that checks refuses what is signed with the other key; one that does not check never notices. So a URL gets the old key's
//! signature until its script shows that it has the new one, and its receipts are the proof: they are made with the key that
//! it has. Where there is no receipt, because the script may have refused the signature, the next attempt is signed with the
//! other key. So neither a script that was changed early nor one that is changed late misses more than one attempt, and
//! whoever enters the new key at any moment of the overlap has nothing else to do.

use super::{
    format::Keys,
    verdict::{MadeWith, Verdict},
};
use crate::domain::{Cause, Timestamp, id::UrlId};
use crate::server::store::{Merchant, NotificationUrl};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Which key the scripts of URLs seem to have. Only in memory: after a restart an attempt finds out again.
#[derive(Default)]
pub struct Guesses(Mutex<HashMap<UrlId, (Timestamp, MadeWith)>>);

impl Guesses {
    fn all(&self) -> MutexGuard<'_, HashMap<UrlId, (Timestamp, MadeWith)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of one attempt.
pub struct Signing<'a> {
    new: &'a [u8],
    /// The key before, and until when it is valid, which also tells one change from another.
    old: Option<(&'a [u8], Timestamp)>,
    with: MadeWith,
}

impl<'a> Signing<'a> {
    /// The key that the script of a URL seems to have.
    pub fn choose(merchant: &'a Merchant, url: &NotificationUrl, guesses: &Guesses, now: Timestamp) -> Self {
        let new = merchant.secret_key.reveal();
        let old = merchant.valid_old_key(now).map(|old| (old.key.reveal(), old.until));
        let with = match old {
            None => MadeWith::New,
            Some((_, until)) => {
                let guess = guesses.all().get(&url.id).filter(|(of, _)| *of == until).map(|(_, guess)| *guess);
                guess.unwrap_or(if url.new_key_at.is_some() { MadeWith::New } else { MadeWith::Old })
            }
        };
        Self { new, old, with }
    }

    /// Signs the message.
    pub fn key(&self) -> &'a [u8] {
        match (self.with, self.old) {
            (MadeWith::Old, Some((old, _))) => old,
            _ => self.new,
        }
    }

    /// All of them.
    pub fn keys(&self) -> Keys<'a> {
        Keys { chosen: self.key(), new: self.new, old: self.old_key() }
    }

    /// The key before, while it is valid.
    pub fn old_key(&self) -> Option<&'a [u8]> {
        self.old.map(|(old, _)| old)
    }

    /// Concludes from a verdict which key the script has, and says in it which was used.
    pub fn learn(&self, guesses: &Guesses, url_id: UrlId, verdict: &mut Verdict) {
        let Some((_, until)) = self.old else { return };
        let guess = match (verdict.cause, verdict.made_with) {
            (_, Some(made_with)) => Some(made_with),
            (Some(cause), None) if may_be_a_refusal(cause) => Some(match self.with {
                MadeWith::New => MadeWith::Old,
                MadeWith::Old => MadeWith::New,
            }),
            _ => None,
        };
        let mut all = guesses.all();
        if let Some(guess) = guess {
            all.insert(url_id, (until, guess));
        }
        drop(all);
        let with = match self.with {
            MadeWith::New => "new",
            MadeWith::Old => "old",
        };
        let next = match guess {
            Some(MadeWith::New) if self.with == MadeWith::Old => "; the next message is signed with the new key",
            Some(MadeWith::Old) if self.with == MadeWith::New => "; the next message is signed with the old key",
            _ => "",
        };
        let space = if verdict.detail.note.is_empty() { "" } else { " " };
        verdict.detail.note.push_str(&format!("{space}The message was signed with the {with} key{next}."));
    }
}

/// Whether a script that checks signatures and refuses one may have answered so.
const fn may_be_a_refusal(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Denied
            | Cause::ClientError
            | Cause::EmptyAnswer
            | Cause::PlainText
            | Cause::HtmlPage
            | Cause::ScriptError
            | Cause::ErrorInReceipt
            | Cause::MalformedReceipt
            | Cause::ServerError
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{attempt::VerdictDetail, id::MerchantId};
    use crate::server::store::{OldKey, Secret};

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn merchant(until: Timestamp) -> Merchant {
        let mut merchant = Merchant::new(MerchantId(1), String::new(), String::new(), Secret::new("new"));
        merchant.old_key = Some(OldKey { key: Secret::new("old"), until });
        merchant
    }

    fn verdict(cause: Option<Cause>, made_with: Option<MadeWith>) -> Verdict {
        Verdict { cause, detail: VerdictDetail::default(), made_with }
    }

    #[test]
    fn a_url_gets_the_key_that_its_script_has() {
        let (merchant, guesses) = (merchant(Timestamp::from_seconds(2_000)), Guesses::default());
        let url = crate::server::dispatch::schedule::test_url(1);
        let key = |now| Signing::choose(&merchant, &url, &guesses, now).key().to_vec();
        assert_eq!(key(NOW), b"old", "at first no script has the new one");
        let learn = |cause, made_with| {
            let mut verdict = verdict(cause, made_with);
            Signing::choose(&merchant, &url, &guesses, NOW).learn(&guesses, url.id, &mut verdict);
            verdict.detail.note
        };
        assert!(!learn(Some(Cause::Refused), None).contains("next"));
        assert_eq!(key(NOW), b"old", "who is not there refuses nothing");
        assert!(
            learn(Some(Cause::Denied), None).contains("signed with the old key; the next message is signed with the new key")
        );
        assert_eq!(key(NOW), b"new");
        learn(Some(Cause::Denied), None);
        assert_eq!(key(NOW), b"old", "in turns until one is taken");
        learn(None, Some(MadeWith::New));
        assert_eq!(key(NOW), b"new", "its receipt tells");
        assert_eq!(key(Timestamp::from_seconds(2_000)), b"new", "the overlap is over");
    }

    #[test]
    fn what_was_learnt_of_one_change_is_nothing_for_the_next() {
        let guesses = Guesses::default();
        let url = crate::server::dispatch::schedule::test_url(1);
        let (first, second) = (merchant(Timestamp::from_seconds(2_000)), merchant(Timestamp::from_seconds(3_000)));
        Signing::choose(&first, &url, &guesses, NOW).learn(&guesses, url.id, &mut verdict(None, Some(MadeWith::New)));
        assert_eq!(Signing::choose(&first, &url, &guesses, NOW).key(), b"new");
        assert_eq!(Signing::choose(&second, &url, &guesses, NOW).key(), b"old");
    }
}
