//! Mails to customers as both engines keep them. A row is made once for a notification, and is the job until it is sent.

use crate::domain::{
    Gateway, Money, OrderStatus, Timestamp,
    id::{MailId, MerchantId, NotificationId, OrderId},
    mail::{MailCause, MailState},
};

/// A notification that a customer may have to be mailed about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailCandidate {
    pub notification_id: NotificationId,
    pub order_id: OrderId,
    pub status: OrderStatus,
    pub test: bool,
    pub received_at: Timestamp,
    pub gateway: Gateway,
    pub reference: String,
    pub external: String,
    pub email: String,
    pub customer: String,
    pub amount: Option<Money>,
    /// It changed the order's status: a late message, and one that says the same again, does not.
    pub changes: bool,
}

impl MailCandidate {
    /// Whether a message changed the status, by its own standing and the strongest before it (see
    /// [`super::StoryRows::notifications`]).
    pub(super) const fn has_changed(own: i64, before: Option<i64>) -> bool {
        match before {
            None => true,
            Some(before) => own >= before && own.rem_euclid(16) != before.rem_euclid(16),
        }
    }
}

/// A mail to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    pub notification_id: NotificationId,
    pub status: OrderStatus,
    pub recipient: String,
    /// Empty where it is that of the installation.
    pub sender: String,
    pub sender_name: String,
    pub subject: String,
    pub text: String,
    /// Why it cannot be sent at all, where that is known.
    pub cause: Option<MailCause>,
}

/// A mail to try now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailJob {
    pub id: MailId,
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    pub recipient: String,
    pub sender: String,
    pub sender_name: String,
    pub subject: String,
    pub text: String,
    /// This one, from 1.
    pub attempt: u32,
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailResult {
    Sent,
    /// Try again then.
    Later(Timestamp, MailCause, String),
    Failed(MailCause, String),
}

impl MailResult {
    /// What the database keeps of it: the state, when it is tried again, why, and what the mail server said.
    pub(super) fn parts(self) -> (MailState, Option<Timestamp>, Option<MailCause>, String) {
        match self {
            Self::Sent => (MailState::Sent, None, None, String::new()),
            Self::Later(at, cause, note) => (MailState::Waiting, Some(at), Some(cause), note),
            Self::Failed(cause, note) => (MailState::Failed, None, Some(cause), note),
        }
    }
}

/// An alert to mail to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlertMail {
    pub merchant_id: MerchantId,
    pub recipient: String,
    pub subject: String,
    pub text: String,
}

/// Such a mail, to try now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertMailJob {
    pub id: MailId,
    pub merchant_id: MerchantId,
    pub recipient: String,
    pub subject: String,
    pub text: String,
    /// This one, from 1.
    pub attempt: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moves_an_order_on_is_a_change() {
        let standing = |seconds: i64, status: OrderStatus| seconds * 16 + i64::from(status.rank());
        let paid = standing(100, OrderStatus::Paid);
        assert!(MailCandidate::has_changed(paid, None));
        assert!(MailCandidate::has_changed(paid, Some(standing(90, OrderStatus::Pending))));
        assert!(!MailCandidate::has_changed(paid, Some(standing(90, OrderStatus::Paid))), "the same again");
        assert!(!MailCandidate::has_changed(paid, Some(standing(110, OrderStatus::Refunded))), "late");
        assert!(MailCandidate::has_changed(standing(120, OrderStatus::Refunded), Some(paid)));
    }
}
