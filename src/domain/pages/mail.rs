//! Mails to customers: settings, preview, what became of them.

use super::dashboard::MerchantRef;
use crate::domain::{
    OrderStatus, Timestamp,
    id::{MailId, OrderId},
    mail::{MailCause, MailContent, MailSettings, MailState, MailTemplate},
};
use serde::{Deserialize, Serialize};

/// A mail as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailRow {
    pub id: MailId,
    pub order_id: OrderId,
    pub reference: String,
    pub status: OrderStatus,
    /// Empty where the order names nobody.
    pub recipient: String,
    pub subject: String,
    pub state: MailState,
    pub attempts: u32,
    pub created_at: Timestamp,
    /// Of one that waits: its next try.
    pub due_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// Why its last try failed.
    pub cause: Option<MailCause>,
    /// What the mail server said.
    pub note: String,
}

/// What a person writes into the form of a template, to be shown and not saved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MailDraft {
    /// A status's code; empty for the first.
    pub status: String,
    /// `None`: what is saved.
    pub subject: Option<String>,
    pub text: Option<String>,
    /// Mails that were given up before this one.
    pub before: Option<MailId>,
}

/// Mails on which a page of those that were given up stops.
pub const FAILED_SHOWN: usize = 20;

/// The page of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPage {
    pub merchant: MerchantRef,
    pub settings: MailSettings,
    /// What a save names as the version that it was made from.
    pub version: i64,
    /// The address that the installation sends from; `None` where it sends no mail.
    pub installation: Option<String>,
    /// The template that is shown.
    pub template: MailTemplate,
    /// With values of an order that somebody might have placed.
    pub preview: MailContent,
    /// What is wrong with the template: placeholders that nobody knows.
    pub unknown: Vec<String>,
    /// The address that a test goes to.
    pub to: String,
    /// Given up, the newest first.
    pub failed: Vec<MailRow>,
    /// There are more before the last of these.
    pub more: bool,
    pub may_change: bool,
}
