//! What the audit log tells: which acts there are, and what changed.

use serde::{Deserialize, Serialize};

/// Every act that is written down: its code, and how it is called on the page. In the order in which a filter offers them.
pub const ACTIONS: [(&str, &str); 43] = [
    ("sign-in", "Signed in"),
    ("sign-in.refused", "Sign-ins refused"),
    ("sign-out.others", "Signed out elsewhere"),
    ("user.add", "Added a user"),
    ("user.invite", "Invited a user"),
    ("user.join", "Accepted an invitation"),
    ("user.link", "Made a link for a new password"),
    ("user.withdraw", "Withdrew a link"),
    ("user.change", "Changed a user's rights"),
    ("user.disable", "Disabled a user"),
    ("user.enable", "Enabled a user"),
    ("user.password", "Changed a password"),
    ("personal.reveal", "Revealed a value"),
    ("order.resend", "Resent a notification"),
    ("order.resend-debug", "Resent for debug"),
    ("order.test", "Placed a TEST order"),
    ("listener.simulate", "Simulated a gateway's message"),
    ("verifying.ask", "Had a gateway asked at once"),
    ("mail.retry", "Had a customer's mail tried again"),
    ("mail.test", "Sent a test mail"),
    ("alerts.test", "Sent a test alert"),
    ("bulk.start", "Started a bulk resend"),
    ("bulk.cancel", "Cancelled a bulk resend"),
    ("cancel.start", "Cancelled a list of deliveries"),
    ("cancel.stop", "Stopped cancelling a list of deliveries"),
    ("list.export", "Exported a list"),
    ("merchant.add", "Added a merchant"),
    ("merchant.secret-key", "Changed the secret key"),
    ("merchant.old-key-end", "Ended the old secret key"),
    ("merchant.secret-key-shown", "Looked at the secret key"),
    ("merchant.content", "Changed what is sent"),
    ("merchant.alerts", "Changed the alerts"),
    ("merchant.mail", "Changed customer mails"),
    ("merchant.time-zone", "Changed the time zone"),
    ("listener.add", "Added a listener"),
    ("listener.change", "Changed a listener"),
    ("url.add", "Added a notification URL"),
    ("url.change", "Changed a notification URL"),
    ("url.hold", "Put a URL on hold"),
    ("url.release", "Released a URL"),
    ("url.remove", "Removed a notification URL"),
    ("url.secret-shown", "Looked at a signing secret"),
    ("url.new-key", "Answered with the new secret key"),
];

/// How an act is called on the page; its code where it is not known.
pub fn action_label(code: &str) -> &str {
    ACTIONS.iter().find(|(known, _)| *known == code).map_or(code, |(_, label)| label)
}

/// Longest old or new value that is kept of a field, in characters.
const MOST_KEPT: usize = 200;

/// A field with what it was and what it is. Secrets are never in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub old: String,
    pub new: String,
}

/// Collects the fields in which two states differ.
#[derive(Debug, Default)]
pub struct Differences(Vec<FieldChange>);

impl Differences {
    /// Notes a field where it differs.
    #[must_use]
    pub fn field(mut self, name: &str, old: impl ToString, new: impl ToString) -> Self {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            let short = |text: String| match text.char_indices().nth(MOST_KEPT) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            };
            self.0.push(FieldChange { field: name.to_owned(), old: short(old), new: short(new) });
        }
        self
    }

    /// Notes a switch where it differs.
    #[must_use]
    pub fn flag(self, name: &str, old: bool, new: bool) -> Self {
        let word = |on: bool| if on { "on" } else { "off" };
        self.field(name, word(old), word(new))
    }

    /// Notes that something changed whose values nobody may read.
    #[must_use]
    pub fn secret(mut self, name: &str, changed: bool) -> Self {
        if changed {
            self.0.push(FieldChange { field: name.to_owned(), old: String::new(), new: "changed".to_owned() });
        }
        self
    }

    /// The fields that differ.
    pub fn end(self) -> Vec<FieldChange> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_noted_and_not_at_any_length() {
        let changes = Differences::default()
            .field("label", "a", "a")
            .field("URL", "x".repeat(500), "y")
            .flag("on hold", false, true)
            .secret("secret key", true)
            .secret("other secret", false)
            .end();
        let names: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(names, ["URL", "on hold", "secret key"]);
        assert_eq!(changes[0].old.chars().count(), MOST_KEPT + 1);
        assert_eq!((changes[1].old.as_str(), changes[1].new.as_str()), ("off", "on"));
        assert_eq!((changes[2].old.as_str(), changes[2].new.as_str()), ("", "changed"));
    }

    #[test]
    fn acts_have_names() {
        assert_eq!(action_label("url.hold"), "Put a URL on hold");
        assert_eq!(action_label("of-a-newer-version"), "of-a-newer-version");
    }
}
