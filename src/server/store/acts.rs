//! Who acts, and what is written down about it.

use super::{Directory, ListenerDraft, StoreError, UrlDraft, places};
use crate::domain::{
    Role, Timestamp,
    audit::FieldChange,
    id::{MerchantId, UserId},
};
use std::{ops::Deref, time::Duration};

/// Whoever does something: his name in the audit log, where he is, and what he had before him when he decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// A user's e-mail, or how the command line was called.
    pub name: String,
    /// The client's address as the server knows it; empty where nobody called over the network.
    pub address: String,
    /// The version of the thing that he changes, as he saw it: a newer one is not overwritten. `None` changes any.
    pub seen: Option<i64>,
}

impl Actor {
    /// Somebody at an address.
    pub fn at(name: impl Into<String>, address: impl ToString) -> Self {
        Self { name: name.into(), address: address.to_string(), seen: None }
    }

    /// The same, having seen a version of what he changes.
    #[must_use]
    pub fn having_seen(mut self, version: Option<i64>) -> Self {
        self.seen = version;
        self
    }

    /// Refuses to change something whose version is another than he saw.
    pub(super) fn must_have_seen(&self, version: Option<i64>) -> Result<(), StoreError> {
        match (self.seen, version) {
            (Some(seen), Some(version)) if seen != version => Err(StoreError::Changed(version)),
            _ => Ok(()),
        }
    }
}

impl Deref for Actor {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl From<&str> for Actor {
    fn from(name: &str) -> Self {
        Self::at(name, "")
    }
}

impl From<String> for Actor {
    fn from(name: String) -> Self {
        Self::at(name, "")
    }
}

impl From<&Self> for Actor {
    fn from(actor: &Self) -> Self {
        actor.clone()
    }
}

/// One line of the audit log.
pub(super) struct Audit<'a> {
    pub actor: &'a Actor,
    pub merchant_id: Option<MerchantId>,
    pub action: &'static str,
    pub subject: String,
    pub detail: String,
    /// Where something got a new version.
    pub change: Option<Changed>,
}

impl<'a> Audit<'a> {
    /// Of a listener that was added or changed.
    pub fn of_listener(draft: &ListenerDraft, actor: &'a Actor, action: &'static str) -> Self {
        let state = if draft.enabled { "on" } else { "off" };
        let secret = if draft.secret.is_some() { ", secret set" } else { "" };
        Self {
            actor,
            merchant_id: Some(draft.merchant_id),
            action,
            subject: draft.label.clone(),
            detail: format!("{}, {state}, requires {}{secret}", draft.gateway, draft.required),
            change: None,
        }
    }

    /// Of a notification URL that was added or changed.
    pub fn of_url(draft: &UrlDraft, actor: &'a Actor, action: &'static str) -> Self {
        let detail = places::url_detail(draft);
        Self { actor, merchant_id: Some(draft.merchant_id), action, subject: draft.url.clone(), detail, change: None }
    }
}

/// What got a new version, and what is new in it.
pub(super) struct Changed {
    pub id: i64,
    pub version: i64,
    pub fields: Vec<FieldChange>,
}

impl Changed {
    /// The fields as the database keeps them.
    pub fn json(&self) -> String {
        serde_json::to_string(&self.fields).unwrap_or_default()
    }
}

/// Something to write down that changes nothing else in the database.
#[derive(Debug, Clone)]
pub struct Note {
    pub merchant_id: Option<MerchantId>,
    pub action: &'static str,
    pub subject: String,
    pub detail: String,
}

/// A link to choose a password by: only the hash of its token is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub token_hash: [u8; 32],
    pub expires_at: Timestamp,
}

/// Somebody who signs in, as the store keeps him.
#[derive(Debug, Clone)]
pub struct UserRecord {
    pub id: UserId,
    pub email: String,
    /// Empty while he has not chosen a password.
    pub password_hash: String,
    pub role: Role,
    /// Merchants he belongs to; none means all for administrators and support.
    pub merchants: Vec<MerchantId>,
    pub disabled: bool,
    /// Grows with every change of his rights.
    pub version: i64,
    /// Until when the link works by which he can choose a password; `None` where there is none.
    pub link_until: Option<Timestamp>,
    pub created_at: Timestamp,
    /// The language that he has chosen, as a tag of BCP 47; `None` while his browser decides.
    pub language: Option<String>,
}

impl UserRecord {
    /// He was invited and has not chosen a password yet.
    pub const fn is_invited(&self) -> bool {
        self.password_hash.is_empty()
    }
}

/// A user to add.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub password_hash: String,
    pub role: Role,
    pub merchants: Vec<MerchantId>,
}

/// A session to begin.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    pub token_hash: [u8; 32],
    pub user_id: UserId,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where it begins.
    pub address: String,
    /// The browser, as it names itself.
    pub agent: String,
}

/// A session that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    pub token_hash: Vec<u8>,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    pub address: String,
    pub agent: String,
}

/// The hash of a session's token, as a column holds it.
pub(super) fn hash_of(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("session.token_hash".to_owned()))
}

/// What became of the key of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormClaim {
    /// It was not known: whoever claimed it does the work.
    Fresh,
    /// The first post with it is being worked at.
    UnderWay,
    /// The answer of the first.
    Answered(Vec<u8>),
}

/// How long the answer to a form is kept.
pub(super) const KEYS_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// The names of merchants, for the audit log.
pub(super) fn names_of(settings: &Directory, merchants: &[MerchantId]) -> String {
    let mut names: Vec<String> =
        merchants.iter().filter_map(|id| settings.merchant(*id)).map(|merchant| merchant.name.clone()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
