//! Checking what people enter. Each check names the field and the cure; all mistakes of a form are told at once.

use crate::{
    domain::{AppError, FieldError},
    words::{reworded, t},
};

/// Longest name or label, in characters.
pub const MAX_NAME: usize = 80;
/// Longest secret key, in bytes.
pub const MAX_SECRET: usize = 200;

/// Collects the mistakes of one form.
#[derive(Default)]
pub struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// Notes a mistake.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// Takes a value, or notes why not.
    pub fn take<T>(&mut self, field: &str, value: Result<T, String>) -> Option<T> {
        // What is wrong may have been said where nobody knows who reads it.
        value.map_err(|message| self.add(field, reworded(&message))).ok()
    }

    /// The same, with what is wrong in the order of the form's fields: the first has the focus.
    pub fn end_in(mut self, fields: &[&str]) -> Result<(), AppError> {
        self.0.sort_by_key(|error| fields.iter().position(|field| *field == error.field).unwrap_or(fields.len()));
        self.end()
    }

    /// The form is right, or this is wrong with it.
    pub fn end(self) -> Result<(), AppError> {
        if self.0.is_empty() { Ok(()) } else { Err(AppError::Invalid(self.0)) }
    }
}

/// A name: something, not too long, without control characters; spaces at the ends are dropped.
pub fn name(what: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err(t!("Enter {what}.", what))
    } else if text.chars().count() > MAX_NAME {
        Err(t!("Shorten {what} to {most} characters.", what, most = MAX_NAME))
    } else if text.chars().any(char::is_control) {
        Err(t!("Take line breaks and control characters out of {what}.", what))
    } else {
        Ok(text.to_owned())
    }
}

/// As much of a text as a name may have.
pub fn cut_name(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

/// A secret key as people paste it: spaces and line breaks at the ends are dropped.
pub fn secret(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        Err(t!("Enter the secret key.").to_owned())
    } else if text.len() > MAX_SECRET {
        Err(t!("A secret key has at most {most} characters.", most = MAX_SECRET))
    } else if text.chars().any(char::is_control) {
        Err(t!("The secret key contains a line break or control character; copy it again.").to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// An e-mail address, as far as it can be told without writing to it; lower case.
pub fn email(text: &str) -> Result<String, String> {
    let text = text.trim().to_lowercase();
    let whole = |part: &str| !part.is_empty() && !part.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    match text.split_once('@') {
        Some((local, domain))
            if whole(local) && whole(domain) && domain.contains('.') && !domain.contains('@') && text.len() <= 254 =>
        {
            Ok(text)
        }
        _ if text.is_empty() => Err(t!("Enter an e-mail address.").to_owned()),
        _ => Err(t!("This is not an e-mail address; it looks like name@example.com.").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_cure() {
        assert_eq!(name("a name", "  Shop "), Ok("Shop".to_owned()));
        assert!(name("a name", " ").unwrap_err().contains("Enter a name"));
        assert!(name("a name", &"x".repeat(81)).unwrap_err().contains("80"));
        assert!(name("a name", "a\nb").is_err());
        assert_eq!(secret(" #test_Secret-keY\n"), Ok("#test_Secret-keY".to_owned()));
        assert!(secret("").is_err() && secret("a\tb").is_err());
        assert_eq!(email(" Ana@Example.COM "), Ok("ana@example.com".to_owned()));
        for wrong in ["", "ana", "ana@", "@example.com", "a b@example.com", "a@b@example.com", "a@localhost"] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
