//! What a description tells beside how messages are read: what each outcome is answered with, what people must enter where, and a
//! message as the gateway would send it.

use crate::domain::OrderStatus;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What each outcome is answered with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Answers {
    pub stored: Option<Answer>,
    /// The message was there already.
    pub repeated: Option<Answer>,
    /// The signature is wrong or missing, or too old.
    pub refused: Option<Answer>,
    /// The message cannot be read, or lacks what it must have.
    pub malformed: Option<Answer>,
    /// Its amount is another than that of the order.
    pub differs: Option<Answer>,
    /// It could not be stored.
    pub failed: Option<Answer>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    pub status: u16,
    #[serde(default = "plain_text", rename = "type")]
    pub content_type: String,
    #[serde(default)]
    pub body: String,
}

fn plain_text() -> String {
    "text/plain; charset=utf-8".to_owned()
}

/// What people need to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Guide {
    /// What to do at the gateway, one after the other; `{address}` is the listener's.
    pub steps: Vec<String>,
    /// How often it tries again.
    #[serde(default)]
    pub retries: String,
    /// Networks that it posts from, as far as it says.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Where this is described.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What could not be confirmed.
    #[serde(default)]
    pub unconfirmed: Vec<String>,
}

/// A message as the gateway would send it, for `quittance simulate`, the panel's simulator and
/// tests. `%name%` is replaced.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Sample {
    /// JSON, or for a form one `name=value` a line.
    pub body: String,
    /// What the gateway answers when it is asked back, where messages are read from that.
    pub answer: String,
    pub headers: BTreeMap<String, String>,
    /// The currency of a message where nobody says another.
    pub currency: String,
    /// What is replaced by something else in a real message and in a test: `[real, test]`.
    pub mode: BTreeMap<String, [String; 2]>,
    pub case: Vec<Case>,
}

/// How a sample differs for a status.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Case {
    pub status: OrderStatus,
    /// Instead of the sample's own.
    #[serde(default)]
    pub body: Option<String>,
    #[serde(default)]
    pub answer: Option<String>,
    /// What else is replaced.
    #[serde(flatten)]
    pub values: BTreeMap<String, String>,
}
