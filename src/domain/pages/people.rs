//! Who is looking, and who else may.

use super::dashboard::MerchantRef;
use crate::{
    domain::{Role, Timestamp, id::UserId, role::Permission},
    words::Language,
};
use serde::{Deserialize, Serialize};

/// Users on one page of their list.
pub const USERS_SHOWN: u32 = 50;

/// The signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    pub email: String,
    pub role: Role,
    /// The merchants he may see, by name.
    pub merchants: Vec<MerchantRef>,
    /// The language that he has chosen.
    pub language: Option<Language>,
}

impl Viewer {
    /// Whether his role allows something (for a merchant that he may see).
    pub const fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }
}

/// Whether the first administrator is still to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstRun {
    /// There is an administrator.
    Done,
    /// There is none, and the link is not the one that the server printed last.
    Waiting,
    /// There is none, and the link is right.
    Open,
}

/// Which users to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UserFilter {
    /// A part of the e-mail address.
    pub text: String,
    /// Continue after this e-mail address (keyset paging).
    pub after: Option<String>,
}

impl UserFilter {
    /// The query of an address, or nothing where it is empty.
    pub fn query(&self) -> String {
        let fields = [("text", self.text.as_str()), ("after", self.after.as_deref().unwrap_or_default())];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<String> = fields.map(|(name, value)| format!("{name}={}", super::encoded(value))).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// How somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    Active,
    /// Has not chosen a password yet.
    Invited,
    /// Has not chosen a password in time.
    Lapsed,
    Disabled,
}

/// A user as a line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    /// The merchants he belongs to, by name.
    pub merchants: Vec<MerchantRef>,
    pub standing: Standing,
    /// In a session that has not ended.
    pub seen_at: Option<Timestamp>,
    /// Until when the link works by which he can choose a password.
    pub link_until: Option<Timestamp>,
}

/// One page of the users, by e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    pub rows: Vec<UserRow>,
    /// There are more after the last of these.
    pub more: bool,
    /// What the viewer may give to others.
    pub choices: UserChoices,
}

/// What somebody may give to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChoices {
    pub roles: Vec<Role>,
    pub merchants: Vec<MerchantRef>,
}

/// One user, to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPage {
    pub user: UserRow,
    /// What a save names as the version that it was made from.
    pub version: i64,
    pub choices: UserChoices,
    /// It is the viewer himself.
    pub is_self: bool,
}

/// A session of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSession {
    /// The one that asks.
    pub is_this: bool,
    pub created_at: Timestamp,
    pub seen_at: Timestamp,
    pub address: String,
    /// Program and system, in a few words.
    pub browser: String,
}

/// A link to choose a password by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// It works, for this user.
    Open {
        email: String,
        /// He has none yet.
        is_invitation: bool,
    },
    /// It was used or withdrawn, is too old, or was never one.
    Over,
}
