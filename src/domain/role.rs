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
    /// See the data of customers and cards as they are.
    SeePersonalData,
    /// Have one masked value shown, which is written to the audit log.
    Reveal,
    /// Resend a notification, also for debug.
    Resend,
    /// Place a TEST order; simulate a message of a gateway.
    PlaceTestOrder,
    /// Change notification URLs, listeners and the secret key.
    ChangeSettings,
    /// Invite people and change what they may do.
    ManagePeople,
    /// Read the audit log of a merchant.
    ReadAudit,
    /// Add merchants, and everything else that is about the whole installation.
    ManageMerchants,
}

impl Permission {
    /// All of them, in the order of the table that people read.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::SeePersonalData,
        Self::Reveal,
        Self::Resend,
        Self::PlaceTestOrder,
        Self::ChangeSettings,
        Self::ManagePeople,
        Self::ReadAudit,
        Self::ManageMerchants,
    ];

    /// What it is, in words.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Read => "See the dashboard, orders, deliveries, listeners and settings",
            Self::SeePersonalData => "See customers' personal and card data as they are",
            Self::Reveal => "Reveal one masked value; it is written to the audit log",
            Self::Resend => "Resend notifications, one or many, also for debug; cancel deliveries that are outstanding",
            Self::PlaceTestOrder => "Place TEST orders, and simulate messages of gateways",
            Self::ChangeSettings => "Change notification URLs, listeners and the secret key",
            Self::ManagePeople => "Invite people, change their rights, make links for new passwords",
            Self::ReadAudit => "Read the audit log of a merchant",
            Self::ManageMerchants => "Add merchants, and read the audit log of the whole installation",
        }
    }
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

    /// Whose data it is about, in words.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Admin => "Every merchant",
            Self::Merchant => "The merchants that he belongs to",
            Self::Support => "The merchants that he belongs to; every merchant where he is tied to none",
        }
    }

    /// The table.
    pub const fn may(self, permission: Permission) -> bool {
        match (self, permission) {
            (Self::Admin, _) => true,
            (_, Permission::Read | Permission::Reveal | Permission::Resend) => true,
            (
                Self::Merchant,
                Permission::SeePersonalData
                | Permission::PlaceTestOrder
                | Permission::ChangeSettings
                | Permission::ManagePeople
                | Permission::ReadAudit,
            ) => true,
            (Self::Merchant | Self::Support, _) => false,
        }
    }

    /// What has to be said about an entry of the table.
    pub const fn remark(self, permission: Permission) -> Option<&'static str> {
        match (self, permission) {
            (Self::Merchant, Permission::ManagePeople) => {
                Some("merchant and support people of his own merchants only, and not himself")
            }
            (Self::Admin | Self::Merchant, Permission::Reveal) => Some("nothing is masked for him"),
            (Self::Support, Permission::Read) => Some("personal and card data are masked; e-mail addresses are found only whole"),
            _ => None,
        }
    }

    /// The roles that somebody of this role may give.
    pub fn may_give(self) -> &'static [Self] {
        match self {
            Self::Admin => &Self::ALL,
            Self::Merchant => &[Self::Merchant, Self::Support],
            Self::Support => &[],
        }
    }

    /// Whether somebody of this role needs a merchant that he belongs to.
    pub const fn needs_merchant(self) -> bool {
        matches!(self, Self::Merchant)
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

    #[test]
    fn only_support_sees_masked_values_and_only_administrators_everything() {
        for role in Role::ALL {
            assert_eq!(role.may(Permission::SeePersonalData), role != Role::Support);
            assert!(role.may(Permission::Reveal), "who sees masked values may ask for one");
            assert_eq!(Permission::ALL.iter().all(|permission| role.may(*permission)), role == Role::Admin);
            assert_eq!(role.may_give().is_empty(), !role.may(Permission::ManagePeople));
        }
        assert!(!Role::Merchant.may_give().contains(&Role::Admin));
    }
}
