//! Composing a TEST message, and looking at one: what people enter, and what they are shown.

use crate::domain::{Cause, Format};
use serde::{Deserialize, Serialize};

/// A TEST order as somebody composes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderDraft {
    /// As the gateway names it.
    pub status: String,
    pub product: String,
    pub amount: String,
    /// Empty: one.
    pub quantity: String,
    /// Further products, a line each: `Name; price; quantity`.
    pub more_products: String,
    pub currency: String,
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    /// Empty for a new order; else the order that this is the next step of.
    pub reference: String,
    /// Empty: all URLs that take the status. `url-ID`: that URL alone, at once. `listener-ID`: in through that listener, as
    /// the gateway would post it.
    pub to: String,
}

impl OrderDraft {
    /// Names and values, as a form has them.
    pub fn values(&self) -> [(&'static str, &String); 11] {
        [
            ("status", &self.status),
            ("product", &self.product),
            ("amount", &self.amount),
            ("quantity", &self.quantity),
            ("more_products", &self.more_products),
            ("currency", &self.currency),
            ("first_name", &self.first_name),
            ("last_name", &self.last_name),
            ("email", &self.email),
            ("reference", &self.reference),
            ("to", &self.to),
        ]
    }

    /// From the fields of a form; what is missing is empty.
    pub fn of(value: impl Fn(&str) -> String) -> Self {
        Self {
            status: value("status"),
            product: value("product"),
            amount: value("amount"),
            quantity: value("quantity"),
            more_products: value("more_products"),
            currency: value("currency"),
            first_name: value("first_name"),
            last_name: value("last_name"),
            email: value("email"),
            reference: value("reference"),
            to: value("to"),
        }
    }

    /// A sample by its name; the usual one for any other.
    pub fn sample(name: &str) -> Self {
        let text = str::to_owned;
        let usual = Self {
            status: text("COMPLETE"),
            product: text("TEST product"),
            amount: text("49.99"),
            currency: text("EUR"),
            first_name: text("Test"),
            last_name: text("Order"),
            email: text("customer@example.com"),
            ..Self::default()
        };
        match name {
            "letters" => Self {
                product: text("Täst Ünïcode – 日本語, “quotes” €"),
                first_name: text("Ána"),
                last_name: text("Nguyễn Thị Hồng"),
                ..usual
            },
            "several" => Self {
                product: text("First product"),
                more_products: text("Second product; 10.00; 2\nThird & last; 5.50; 1"),
                ..usual
            },
            "marks" => Self {
                product: text("Backslash \\ quote \" apostrophe ' <b>tag</b> & 100% + more"),
                last_name: text("O'Order"),
                ..usual
            },
            "empty" => Self { first_name: String::new(), last_name: String::new(), email: String::new(), ..usual },
            "refund" => Self { status: text("REFUND"), ..usual },
            _ => usual,
        }
    }
}

/// Samples to begin with: a name, and what each tries.
pub const SAMPLES: [(&str, &str); 6] = [
    ("plain", "One product"),
    ("letters", "Letters beyond ASCII"),
    ("several", "Several products"),
    ("marks", "Quotes and marks"),
    ("empty", "Empty values"),
    ("refund", "Refund"),
];

/// A composed message as it would be sent now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPreview {
    /// Where it would go, for people.
    pub to: String,
    pub body: String,
    pub fields: Vec<(String, String)>,
    /// The text that is signed.
    pub source: String,
    /// Fields and values.
    pub signatures: Vec<(String, String)>,
    /// The answer that would confirm it, one for each algorithm; none where any 2xx does.
    pub receipts: Vec<String>,
    /// In which form it would leave.
    pub format: Format,
    /// One sentence about that, where it is not the form that the URL wants.
    pub note: String,
}

/// Something that a developer wants looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckForm {
    /// The URL whose algorithms count; empty for any.
    pub url: String,
    /// A received body.
    pub body: String,
    /// The head that came with it, of which messages that left as JSON need three lines.
    pub headers: String,
    /// What the script answered.
    pub receipt: String,
    /// A signature that the script computed itself.
    pub computed: String,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckResult {
    /// Fields of the body, decoded.
    pub fields: Vec<(String, String)>,
    /// The text that is signed.
    pub source: String,
    /// One for each signature in the body, or for their absence.
    pub signatures: Vec<Judgement>,
    /// Of the signature that the script computed.
    pub computed: Option<Judgement>,
    /// Of the receipt.
    pub receipt: Option<Judgement>,
    /// The answers that would be right.
    pub receipts: Vec<String>,
}

/// Whether something is right, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Judgement {
    pub right: bool,
    pub title: String,
    /// What was found, and what to do.
    pub sentences: Vec<String>,
    /// For a receipt that is wrong.
    pub cause: Option<Cause>,
    /// What it says, where it was found.
    pub found: String,
    /// The text that should have been hashed.
    pub source: String,
    /// The hash that would be right.
    pub expected: String,
}
