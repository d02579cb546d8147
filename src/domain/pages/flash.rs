//! What the next page has to say about the form that was just sent: it was saved, or this is wrong with it.

use super::audit::Conflict;
use crate::domain::{FieldError, attempt::UrlCheck};
use serde::{Deserialize, Serialize};

/// Travels from the answer to a form to the page after it, once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flash {
    /// Which form it was; other forms on the page are not concerned.
    pub form: String,
    /// What was entered, so that nobody types twice. Passwords and secrets are never in here.
    #[serde(default)]
    pub values: Vec<(String, String)>,
    /// More was entered than can be carried: some of `values` are missing.
    #[serde(default)]
    pub shortened: bool,
    #[serde(default)]
    pub errors: Vec<FieldError>,
    /// It worked.
    #[serde(default)]
    pub notice: Option<String>,
    /// It did not work, and no field is to blame.
    #[serde(default)]
    pub problem: Option<String>,
    /// A secret key that is shown this once.
    #[serde(default)]
    pub secret: Option<String>,
    /// How the URL check went.
    #[serde(default)]
    pub check: Option<UrlCheck>,
    /// A link that is shown this once, and whom it is for.
    #[serde(default)]
    pub link: Option<(String, String)>,
    /// A masked value that is shown this once, by its name.
    #[serde(default)]
    pub revealed: Option<(String, String)>,
    /// Somebody else changed the same meanwhile.
    #[serde(default)]
    pub conflict: Option<Conflict>,
}

/// What was posted to a page itself: to one that shows something about it, and keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Posted(pub Vec<(String, String)>);

impl Posted {
    /// The value of a field; empty where it is missing.
    pub fn value(&self, field: &str) -> String {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

impl Flash {
    /// The message about a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// What was entered into a field.
    pub fn value(&self, field: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }
}
