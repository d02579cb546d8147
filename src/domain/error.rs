//! What can go wrong between a page and the server, in the form that crosses the wire.
//!
//! Nothing of an inner error's text ever gets in here: a page needs to know what kind of thing happened and, for a
//! person's mistake, which field and what to do.

use super::pages::audit::Conflict;
use crate::words::{t, tell};
use serde::{Deserialize, Serialize};

/// A mistake in one field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's name in the form; empty where the mistake is not in one field.
    pub field: String,
    /// What is wrong and how to cure it.
    pub message: String,
}

/// An error that a page can show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum AppError {
    #[error("Please sign in.")]
    SignIn,
    #[error("Your role does not allow this.")]
    Forbidden,
    #[error("There is nothing here. It may have been removed, or it belongs to another merchant.")]
    NotFound,
    /// It was here, and is not kept any more; the text says why.
    #[error("{0}")]
    Gone(String),
    #[error("Please correct what is marked.")]
    Invalid(Vec<FieldError>),
    /// Somebody else changed the same after the form was made.
    #[error("Somebody else has changed this meanwhile. Nothing was saved.")]
    Changed(Box<Conflict>),
    #[error("The database is busy or cannot be written at the moment. Nothing was changed; please try again.")]
    Unavailable,
    #[error("Something went wrong on our side. It was logged under {0}.")]
    Internal(String),
    /// The request did not reach the server or the answer could not be read.
    #[error("The server could not be reached. Please try again.")]
    Connection,
}

impl AppError {
    /// What it says on a page.
    pub fn sentence(&self) -> String {
        match self {
            Self::Gone(why) => why.clone(),
            Self::Internal(number) => t!("Something went wrong on our side. It was logged under {number}.", number),
            other => tell(&other.to_string()).to_owned(),
        }
    }

    /// The HTTP status of an answer that says so.
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignIn => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Gone(_) => 410,
            Self::Invalid(_) => 400,
            Self::Changed(_) => 409,
            Self::Unavailable | Self::Connection => 503,
            Self::Internal(_) => 500,
        }
    }

    /// A mistake in one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.to_owned(), message: message.into() }])
    }
}
