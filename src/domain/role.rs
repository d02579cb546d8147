//! Who may do what. One table; every server function asks it.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs the installation: all merchants, all settings.
    Admin,
    /// Owns one merchant or several: their settings, orders and listeners.
    Merchant,
    /// Searches, reads and resends; changes no settings and sees no secrets.
    Support,
}

/// One thing that somebody may or may not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See the dashboard, orders, deliveries and what listeners received.
    Read,
    /// Resend a notification, also for debug.
    Resend,
    /// Place a TEST order.
    PlaceTestOrder,
    /// Change notification URLs, listeners and the secret key.
    ChangeSettings,
    /// Add merchants.
    ManageMerchants,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Merchant, Self::Support];

    /// The name on the command line and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Merchant => "merchant",
            Self::Support => "support",
        }
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Admin => "Administrator",
            Self::Merchant => "Merchant",
            Self::Support => "Support",
        }
    }

    /// The table.
    pub const fn may(self, permission: Permission) -> bool {
        match (self, permission) {
            (Self::Admin, _) => true,
            (_, Permission::Read | Permission::Resend) => true,
            (Self::Merchant, Permission::PlaceTestOrder | Permission::ChangeSettings) => true,
            (Self::Merchant | Self::Support, _) => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| format!("unknown role {text:?}: choose among admin, merchant, support"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_reads_and_resends_and_no_more() {
        let may = |permission| Role::Support.may(permission);
        assert!(may(Permission::Read) && may(Permission::Resend));
        assert!(!may(Permission::ChangeSettings) && !may(Permission::PlaceTestOrder) && !may(Permission::ManageMerchants));
        assert!(!Role::Merchant.may(Permission::ManageMerchants));
        assert!(Role::Admin.may(Permission::ManageMerchants));
    }
}
