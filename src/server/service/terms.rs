//! The terms of a notification URL as somebody enters them.

use super::fields::Mistakes;
use crate::domain::{
    Format, RetrySchedule, Terms,
    terms::{DEFAULT_IN_FLIGHT, MAX_IN_FLIGHT, MAX_RATE, MAX_TIMEOUT, OWN},
};
use crate::server::dispatch::client::{certificates, to_pem};

/// What was entered, as text. What is empty is as it is without being said.
#[derive(Debug, Clone, Default)]
pub struct TermsForm {
    pub max_in_flight: String,
    pub rate_per_second: String,
    /// A preset's name, [`OWN`], or a list itself.
    pub retries: String,
    /// The list, where the choice is [`OWN`].
    pub own_delays: String,
    pub shadow: bool,
    /// Certificates as PEM.
    pub authority: String,
    /// Seconds.
    pub timeout: String,
    /// It has triggers of its own: these statuses, with commas between.
    pub triggers: Option<String>,
    /// A format's name; empty for the usual.
    pub format: String,
}

impl TermsForm {
    /// Checks what was entered; what is wrong is noted under the name of its field.
    pub fn read(&self, mistakes: &mut Mistakes) -> Terms {
        let at_a_time = "how many requests the URL gets at a time";
        let a_second = "how many requests the URL gets a second";
        // In the order of the form, whose first wrong field gets the focus.
        let format = match self.format.trim() {
            "" => Some(Format::default()),
            text => mistakes.take("format", text.parse::<Format>().map_err(|error| error.to_string())),
        };
        let triggers = self.triggers.as_ref().and_then(|text| mistakes.take("triggers", super::content::triggers(text)));
        let retries = match self.retries.trim() {
            "" => Some(RetrySchedule::default()),
            OWN => mistakes.take("own_delays", RetrySchedule::own(&self.own_delays).map_err(|error| error.to_string())),
            text => mistakes.take("retries", text.parse::<RetrySchedule>().map_err(|error| error.to_string())),
        };
        if self.retries.trim() != OWN && !self.own_delays.trim().is_empty() {
            mistakes.add("own_delays", "Choose “An own list” above to have this list used, or empty it.");
        }
        let max_in_flight = mistakes.take("max_in_flight", number(at_a_time, &self.max_in_flight, MAX_IN_FLIGHT)).flatten();
        let rate_per_second = mistakes.take("rate_per_second", number(a_second, &self.rate_per_second, MAX_RATE)).flatten();
        let to_answer = "how many seconds the URL has to answer";
        let timeout = mistakes.take("timeout", number(to_answer, &self.timeout, MAX_TIMEOUT)).flatten();
        let authority = if self.authority.trim().is_empty() {
            None
        } else {
            mistakes.take("authority", certificates(&self.authority).map_err(|error| error.to_string()))
        };
        Terms {
            max_in_flight: max_in_flight.unwrap_or(DEFAULT_IN_FLIGHT),
            rate_per_second,
            retries: retries.unwrap_or_default(),
            shadow: self.shadow,
            authority: authority.map(|found| to_pem(&found)).unwrap_or_default(),
            timeout,
            triggers,
            format: format.unwrap_or_default(),
        }
    }
}

/// A number from 1 to a limit, or nothing.
fn number(what: &str, text: &str, most: u16) -> Result<Option<u16>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
        _ => Err(format!("Enter {what} as a number from 1 to {most}, or leave it empty.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AppError, FieldError};

    fn read(form: &TermsForm) -> Result<Terms, Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let terms = form.read(&mut mistakes);
        match mistakes.end() {
            Ok(()) => Ok(terms),
            Err(AppError::Invalid(errors)) => Err(errors),
            Err(_) => panic!(),
        }
    }

    #[test]
    fn nothing_entered_is_the_usual() {
        assert_eq!(read(&TermsForm::default()), Ok(Terms::default()));
        let spaces = TermsForm { max_in_flight: " ".to_owned(), authority: "\n".to_owned(), ..TermsForm::default() };
        assert_eq!(read(&spaces), Ok(Terms::default()));
    }

    #[test]
    fn what_is_entered_is_taken() {
        let form = TermsForm {
            max_in_flight: " 8 ".to_owned(),
            rate_per_second: "1000".to_owned(),
            retries: OWN.to_owned(),
            own_delays: "1m, 5m".to_owned(),
            shadow: true,
            authority: String::new(),
            timeout: "7".to_owned(),
            triggers: Some("COMPLETE".to_owned()),
            format: "json".to_owned(),
        };
        let retries = RetrySchedule::Own([60, 300].into());
        let terms = Terms {
            max_in_flight: 8,
            rate_per_second: Some(1_000),
            retries,
            shadow: true,
            authority: String::new(),
            timeout: Some(7),
            triggers: Some("COMPLETE".parse().unwrap()),
            format: Format::Json,
        };
        assert_eq!(read(&form), Ok(terms.clone()));
        assert_eq!(read(&TermsForm { retries: "1m,5m".to_owned(), own_delays: String::new(), ..form }), Ok(terms));
    }

    #[test]
    fn a_list_that_would_not_be_used_is_a_mistake() {
        let form = TermsForm { own_delays: "1m,5m".to_owned(), ..TermsForm::default() };
        let errors = read(&form).unwrap_err();
        assert_eq!((errors.len(), errors[0].field.as_str()), (1, "own_delays"));
    }

    #[test]
    fn every_mistake_names_its_field_and_the_cure() {
        let form = TermsForm {
            max_in_flight: "257".to_owned(),
            rate_per_second: "0".to_owned(),
            retries: OWN.to_owned(),
            own_delays: "4s".to_owned(),
            shadow: false,
            authority: "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
            timeout: "41".to_owned(),
            triggers: Some(String::new()),
            format: "xml".to_owned(),
        };
        let errors = read(&form).unwrap_err();
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["format", "triggers", "own_delays", "max_in_flight", "rate_per_second", "timeout", "authority"]);
        for (error, cure) in errors.iter().zip([
            "ipn, json or pass-through",
            "at least one",
            "at least 5 seconds",
            "1 to 256",
            "1 to 1000",
            "1 to 40",
            "certificate alone",
        ]) {
            assert!(error.message.contains(cure), "{}", error.message);
        }
        let unknown = read(&TermsForm { retries: "weekly".to_owned(), ..TermsForm::default() }).unwrap_err();
        assert_eq!(unknown[0].field, "retries");
    }
}
