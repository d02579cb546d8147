//! Why a command failed, worded for whoever typed it: what is wrong and how to cure it.

use crate::domain::{AppError, FieldError};
use crate::server::{app::StartError, demo::DemoError, gateway::PresetError, service::ServiceError, store::StoreError};
use std::{io, net::SocketAddr, path::PathBuf};

/// A command's failure.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("--smtp-url: {0}")]
    SmtpUrl(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Copy(String),
    /// Mistakes in what was entered, each with the flag it stands in.
    #[error("{0}")]
    Mistakes(String),
    #[error("there is no merchant {name:?}; {cure}")]
    NoMerchant { name: String, cure: String },
    #[error("merchant {merchant:?} has no notification URL {url:?}; `quittance url list` shows their names and ids")]
    NoUrl { merchant: String, url: String },
    #[error("merchant {merchant:?} has several notification URLs {url:?}; name the id that `quittance url list` shows")]
    ManyUrls { merchant: String, url: String },
    #[error("there is no listener {0:?}; `quittance listener list` shows their paths and ids")]
    NoListener(String),
    #[error("{0}")]
    Simulate(String),
    #[error("there is no bulk resend {0}; `quittance bulk list` shows their ids")]
    NoBulk(String),
    #[error("no password came on standard input; write it there in one line, for example: quittance user add … < password-file")]
    NoPassword,
    #[error("the password on standard input cannot be read: {0}")]
    Password(io::Error),
    #[error("the URL did not answer a GET with status 200. {0} Or leave out --check to add it all the same")]
    CheckFailed(String),
    #[error(
        "no server runs on the database {0}, so nobody would send it; start one with `quittance serve`, or leave out --debug \
         to have it sent when the server starts. Nothing was stored"
    )]
    NotServed(String),
    #[error("--to then: order {0:?} went to no other address than the URLs have now; leave --to out. Nothing was stored")]
    NoOtherAddress(String),
    #[error(
        "the delivery {0} was stored but not tried in time; the server is busy with it or was stopped. Look at it in the panel"
    )]
    NotTried(String),
    #[error("{0} has ended by itself; the log above tells why. Start the server again: it goes on where it was")]
    PartEnded(&'static str),
    #[error("{address} is already in use; stop what listens there or choose another with {flag}")]
    InUse { address: SocketAddr, flag: &'static str },
    #[error("cannot listen on {address}: {reason}; choose another with {flag}")]
    Listen { address: SocketAddr, flag: &'static str, reason: io::Error },
    #[error(transparent)]
    Gateway(#[from] PresetError),
    #[error(transparent)]
    Start(StartError),
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("the program cannot start: {0}")]
    Runtime(io::Error),
    #[error("{} cannot be read: {error}; name a file with certificates with --ca-file", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("the output cannot be written: {0}")]
    Output(io::Error),
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::App(AppError::Invalid(mistakes)) => {
                Self::Mistakes(mistakes.iter().map(mistake).collect::<Vec<_>>().join("\nerror: "))
            }
            ServiceError::App(error) => Self::Mistakes(error.to_string()),
            ServiceError::Store(error) => Self::Store(error),
        }
    }
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        ServiceError::App(error).into()
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => Self::Store(error),
            error => Self::Start(error),
        }
    }
}

/// A mistake with the argument in place of the form's field.
fn mistake(mistake: &FieldError) -> String {
    let argument = match mistake.field.as_str() {
        "name" => "NAME",
        "secret_key" => "--secret-key",
        "secret" => "--secret",
        "required" | "algorithms" => "--algorithms",
        "label" => "--label",
        "email" => "EMAIL",
        "password" => "--password-stdin",
        "merchant" => "--merchant",
        "gateway" => "--gateway",
        "option" => "--option",
        field if field.starts_with("options[") => {
            return format!("--option {}: {}", field[8..].trim_end_matches(']'), mistake.message);
        }
        "order" => "--order",
        "url" => "URL",
        "max_in_flight" => "--max-in-flight",
        "timeout" => "--timeout",
        "triggers" => "--triggers",
        "rate_per_second" => "--rate",
        "retries" | "own_delays" => "--retries",
        "authority" => "--ca-file",
        "shadow" => "--shadow",
        _ => return mistake.message.clone(),
    };
    format!("{argument}: {}", mistake.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_the_argument() {
        let mistakes = vec![
            FieldError { field: "secret_key".to_owned(), message: "Enter the secret key.".to_owned() },
            FieldError { field: String::new(), message: "Sign in.".to_owned() },
        ];
        let error = CliError::from(AppError::Invalid(mistakes));
        assert_eq!(error.to_string(), "--secret-key: Enter the secret key.\nerror: Sign in.");
    }
}
