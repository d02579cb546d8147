//! Mails to customers: a template for each status, the words that are put into it, and what becomes of a mail. Pure.

use super::{Money, OrderStatus, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest subject, in characters: lists of mails show fewer.
pub const MAX_SUBJECT: usize = 200;
/// Longest text, in characters.
pub const MAX_TEXT: usize = 5_000;
/// Of a value that a message brings as many characters are put into a mail.
const MAX_VALUE: usize = 200;

/// Whom a merchant has mailed, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MailSettings {
    /// The name that mails are from; empty: the merchant's.
    pub sender_name: String,
    /// The address that they are from; empty: that of the installation.
    pub sender: String,
    /// Orders marked as a test are mailed, too.
    pub tests: bool,
    /// Those that were ever changed.
    pub templates: Vec<MailTemplate>,
}

/// What is mailed when an order gets a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailTemplate {
    pub status: OrderStatus,
    /// Only messages that came later are mailed about; `None`: it is switched off.
    pub since: Option<Timestamp>,
    pub subject: String,
    pub text: String,
}

impl MailSettings {
    /// The template of a status, as it stands or as it is proposed.
    pub fn template(&self, status: OrderStatus) -> MailTemplate {
        self.templates.iter().find(|template| template.status == status).cloned().unwrap_or_else(|| proposed(status))
    }

    /// The same with another template.
    #[must_use]
    pub fn with(mut self, template: MailTemplate) -> Self {
        self.templates.retain(|known| known.status != template.status);
        self.templates.push(template);
        self.templates.sort_by_key(|template| template.status.rank());
        self
    }

    /// Those that are switched on.
    pub fn switched_on(&self) -> impl Iterator<Item = &MailTemplate> {
        self.templates.iter().filter(|template| template.since.is_some())
    }
}

/// Statuses that a customer can be mailed about: what nobody has mapped says nothing to anybody.
pub const STATUSES: [OrderStatus; 9] = [
    OrderStatus::Created,
    OrderStatus::Pending,
    OrderStatus::Authorized,
    OrderStatus::Paid,
    OrderStatus::PartiallyRefunded,
    OrderStatus::Refunded,
    OrderStatus::Reversed,
    OrderStatus::Cancelled,
    OrderStatus::Failed,
];

/// What a merchant finds before he writes his own.
fn proposed(status: OrderStatus) -> MailTemplate {
    let (subject, news) = match status {
        OrderStatus::Created => ("We have your order {order}", "we have received your order {order}. Thank you."),
        OrderStatus::Pending => (
            "Your order {order} is being checked",
            "the payment of your order {order} is being checked. We write again when it is done.",
        ),
        OrderStatus::Authorized => (
            "Your payment for order {order} was authorized",
            "your bank has authorized the payment of {amount} for your order {order}.",
        ),
        OrderStatus::Paid => (
            "Your payment for order {order} has arrived",
            "we have received your payment of {amount} for order {order}. Thank you.",
        ),
        OrderStatus::PartiallyRefunded => {
            ("A refund for order {order}", "a part of the payment for your order {order} was given back.")
        }
        OrderStatus::Refunded => ("Your refund for order {order}", "the payment for your order {order} was given back."),
        OrderStatus::Reversed => {
            ("The payment for order {order} was reversed", "the payment for your order {order} was reversed.")
        }
        OrderStatus::Cancelled => ("Your order {order} was cancelled", "your order {order} was cancelled."),
        OrderStatus::Failed | OrderStatus::Unmapped => (
            "The payment for order {order} did not go through",
            "the payment for your order {order} did not go through. Nothing was charged for it.",
        ),
    };
    let text = format!("Hello {{name}},\n\n{news}\n\n{{merchant}}");
    MailTemplate { status, since: None, subject: subject.to_owned(), text }
}

/// The words that stand for something, with what each becomes.
pub const PLACEHOLDERS: [(&str, &str); 9] = [
    ("order", "the gateway's number of the order"),
    ("external", "your own number of the order, or nothing"),
    ("name", "the customer's name, or “customer”"),
    ("email", "the customer's e-mail address"),
    ("amount", "the amount with its currency, such as 49.90 USD; or nothing"),
    ("status", "the new status, such as paid"),
    ("gateway", "the gateway's name"),
    ("date", "the day on which the message came, such as 2026-03-01"),
    ("merchant", "your name here"),
];

/// What is put into a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFacts {
    pub order: String,
    pub external: String,
    pub name: String,
    pub email: String,
    pub amount: Option<Money>,
    pub status: OrderStatus,
    pub gateway: String,
    /// As the merchant's clocks show it.
    pub at: Timestamp,
    pub merchant: String,
}

impl MailFacts {
    fn value(&self, placeholder: &str) -> Option<String> {
        let value = match placeholder {
            "order" => self.order.clone(),
            "external" => self.external.clone(),
            "name" if self.name.trim().is_empty() => "customer".to_owned(),
            "name" => self.name.clone(),
            "email" => self.email.clone(),
            "amount" => self.amount.map(|money| format!("{} {}", money.decimal(), money.currency.code())).unwrap_or_default(),
            "status" => self.status.label().to_lowercase(),
            "gateway" => self.gateway.clone(),
            "date" => super::time::date(self.at),
            "merchant" => self.merchant.clone(),
            _ => return None,
        };
        Some(value)
    }
}

/// A mail as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailContent {
    pub subject: String,
    pub text: String,
}

/// What is wrong with a text: placeholders that nobody knows. `{` and `}` around anything but a word stay as they are.
pub fn unknown_placeholders(text: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    pieces(text, |piece| {
        if let Piece::Placeholder(name) = piece
            && !PLACEHOLDERS.iter().any(|(known, _)| *known == name)
            && !unknown.iter().any(|known| known == name)
        {
            unknown.push(name.to_owned());
        }
    });
    unknown
}

/// Puts what is known into a template. Values are put in as they are and not read again, on one line each.
pub fn filled(template: &MailTemplate, facts: &MailFacts) -> MailContent {
    let fill = |text: &str| {
        let mut filled = String::with_capacity(text.len() * 2);
        pieces(text, |piece| match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Placeholder(name) => match facts.value(name) {
                Some(value) => filled.push_str(&on_one_line(&value)),
                None => {
                    filled.push('{');
                    filled.push_str(name);
                    filled.push('}');
                }
            },
        });
        filled
    };
    MailContent { subject: on_one_line(&fill(&template.subject)), text: fill(&template.text) }
}

enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn pieces<'a>(text: &'a str, mut take: impl FnMut(Piece<'a>)) {
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let after = &rest[open + 1..];
        let length = after.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(after.len());
        if length > 0 && after[length..].starts_with('}') {
            take(Piece::Text(&rest[..open]));
            take(Piece::Placeholder(&after[..length]));
            rest = &after[length + 1..];
        } else {
            take(Piece::Text(&rest[..=open]));
            rest = after;
        }
    }
    take(Piece::Text(rest));
}

/// A text without line ends and other control characters, and not longer than anybody reads: it may stand in a header.
pub fn on_one_line(text: &str) -> String {
    let is_unsafe = |letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let line: String = text.chars().map(|letter| if is_unsafe(letter) { ' ' } else { letter }).take(MAX_VALUE).collect();
    line.trim().to_owned()
}

/// The same text as simple HTML: paragraphs where lines are empty, everything else escaped.
pub fn html(text: &str) -> String {
    let escaped = |text: &str| {
        let mut shown = String::with_capacity(text.len() + 16);
        for letter in text.chars() {
            match letter {
                '&' => shown.push_str("&amp;"),
                '<' => shown.push_str("&lt;"),
                '>' => shown.push_str("&gt;"),
                '"' => shown.push_str("&quot;"),
                '\'' => shown.push_str("&#39;"),
                letter => shown.push(letter),
            }
        }
        shown
    };
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let paragraphs: String = paragraphs.map(|one| format!("<p>{}</p>\n", escaped(one).replace('\n', "<br>\n"))).collect();
    format!("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{paragraphs}</body></html>\n")
}

/// How a mail stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailState {
    /// It waits for a try.
    Waiting,
    /// A mail server has taken it.
    Sent,
    /// It was given up.
    Failed,
}

impl MailState {
    /// The number in the databases.
    pub const fn code(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Sent => 1,
            Self::Failed => 2,
        }
    }

    /// The state of a number; an unknown one is given up.
    pub const fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Sent,
            _ => Self::Failed,
        }
    }
}

macro_rules! causes {
    ($($name:ident $code:literal $label:literal, $cure:literal;)+) => {
        /// Why a mail was not sent: one cause per thing that somebody can fix.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum MailCause { $($name,)+ }

        impl MailCause {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code in databases.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// A few words for lists.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }

            /// What to do about it.
            pub const fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure),+ }
            }
        }
    };
}

causes! {
    NoAddress "no-address" "The order names no e-mail address", "Let your gateway send the customer's address; at 2Checkout tick CUSTOMEREMAIL among the fields.";
    BadAddress "bad-address" "The e-mail address cannot be used", "The customer has to be written to in another way: no mail server takes this address.";
    BadSender "bad-sender" "The sender's address cannot be used", "Correct the sender's address in the settings of customer mails.";
    Unreachable "unreachable" "The mail server cannot be reached", "The operator should check --smtp-url: host and port, and whether the firewall lets this machine out.";
    Tls "tls" "No encrypted connection", "The operator should check that the mail server of --smtp-url offers STARTTLS with a valid certificate; for TLS from the first byte on use smtps://.";
    SignIn "sign-in" "The mail server refuses the sign-in", "The operator should check user and password in --smtp-url.";
    Silent "silent" "The mail server does not answer", "It was tried again. The operator should look whether something else listens at that port, or whether the mail server is overloaded.";
    Later "later" "The mail server wants it later", "It was tried again. Its answer is shown; a limit on mails an hour is the usual reason.";
    Refused "refused" "The mail server refuses the mail", "Its answer says why: often the recipient does not exist, or the sender's address is not allowed there.";
}

impl MailCause {
    /// The cause of a code; `None` for a code of another version.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.code() == code)
    }

    /// Whether another try can help without anybody doing anything to this mail.
    pub const fn is_worth_another_try(self) -> bool {
        matches!(self, Self::Unreachable | Self::Tls | Self::SignIn | Self::Silent | Self::Later)
    }
}

/// Seconds from each try of a mail to the next: two days in all.
pub const TRIES: [u32; 8] = [60, 300, 900, 3_600, 3 * 3_600, 8 * 3_600, 12 * 3_600, 24 * 3_600];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;
    use proptest::prelude::*;

    fn facts() -> MailFacts {
        MailFacts {
            order: "77".to_owned(),
            external: "web-1".to_owned(),
            name: "\u{c1}na".to_owned(),
            email: "ana@shop.example".to_owned(),
            amount: Some(Money { minor: 4_990, currency: Currency::parse("USD").unwrap() }),
            status: OrderStatus::Paid,
            gateway: "Stripe".to_owned(),
            at: Timestamp::from_seconds(1_772_366_400),
            merchant: "Shop".to_owned(),
        }
    }

    fn template(subject: &str, text: &str) -> MailTemplate {
        MailTemplate { status: OrderStatus::Paid, since: None, subject: subject.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        let all: String = PLACEHOLDERS.iter().map(|(name, _)| format!("{{{name}}};")).collect();
        let mail = filled(&template(&all, &all), &facts());
        assert_eq!(mail.text, "77;web-1;\u{c1}na;ana@shop.example;49.90 USD;paid;Stripe;2026-03-01;Shop;");
        assert_eq!(mail.subject, mail.text);
        assert!(unknown_placeholders(&all).is_empty());
        assert_eq!(unknown_placeholders("{ordr} {order} {x_1} {ordr} { a } {} {a-b} {a"), ["ordr", "x_1"]);
        assert_eq!(filled(&template("a", "{ a } {} {{order}} {a"), &facts()).text, "{ a } {} {77} {a");
    }

    #[test]
    fn values_cannot_break_out() {
        let evil = MailFacts {
            name: "A\r\nBcc: x@evil.example\r\n\r\n{order}\u{202e}".to_owned(),
            order: "{merchant}".to_owned(),
            ..facts()
        };
        let mail = filled(&template("{name}\r\nX: 1", "{name} {order}"), &evil);
        assert!(!mail.subject.contains(['\r', '\n']) && mail.subject.contains("Bcc: x@evil.example"), "{}", mail.subject);
        assert_eq!(mail.text, "A  Bcc: x@evil.example    {order} {merchant}", "a value is not read again");
        let shown = html("<b>\"x\" & 'y'\r\nz\r\n\r\n\r\nlast");
        assert!(shown.contains("<p>&lt;b&gt;&quot;x&quot; &amp; &#39;y&#39;<br>\nz</p>\n<p>last</p>"), "{shown}");
    }

    #[test]
    fn every_status_has_a_proposal_that_is_right() {
        for status in STATUSES {
            let template = MailSettings::default().template(status);
            assert!(template.since.is_none() && template.subject.chars().count() <= MAX_SUBJECT);
            assert!(unknown_placeholders(&template.subject).is_empty() && unknown_placeholders(&template.text).is_empty());
        }
        let own = MailSettings::default().with(template("a", "b")).with(template("c", "d"));
        assert_eq!((own.templates.len(), own.template(OrderStatus::Paid).subject.as_str()), (1, "c"));
    }

    #[test]
    fn causes_and_states_come_back() {
        for cause in MailCause::ALL {
            assert_eq!(MailCause::from_code(cause.code()), Some(*cause));
            assert!(cause.cure().ends_with('.'));
        }
        for state in [MailState::Waiting, MailState::Sent, MailState::Failed] {
            assert_eq!(MailState::from_code(state.code()), state);
        }
        assert!(TRIES.is_sorted());
    }

    proptest! {
        #[test]
        fn any_text_is_filled_without_a_panic(text in "\\PC{0,200}") {
            let mail = filled(&template(&text, &text), &facts());
            prop_assert!(!mail.subject.contains(|letter: char| letter.is_control()));
            let _ = html(&mail.text);
            let _ = unknown_placeholders(&text);
        }
    }
}
