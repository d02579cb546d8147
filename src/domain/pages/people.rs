//! Who is looking.

use super::dashboard::MerchantRef;
use crate::domain::{Role, role::Permission};
use serde::{Deserialize, Serialize};

/// The signed-in user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    pub email: String,
    pub role: Role,
    /// The merchants he may see, by name.
    pub merchants: Vec<MerchantRef>,
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
