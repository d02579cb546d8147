//! Every server function, one file for each part of the panel: check who asks and whether his role allows it, then call
//! the service.
//!
//! Functions that read are called by pages while they are rendered, and by scripts; their path is `/rpc/…`.
//! Functions that change something are the targets of plain forms: they answer with a redirect to the page after the
//! form, and what that page has to say travels in a sealed cookie, so they work with and without JavaScript.

pub mod audit;
pub mod bulk;
pub mod dashboard;
pub mod listeners;
pub mod lists;
pub mod mail;
pub mod merchants;
pub mod orders;
pub mod people;
pub mod settings;
pub mod simulator;
pub mod urls;
pub mod users;

#[cfg(feature = "ssr")]
mod caller;
#[cfg(feature = "ssr")]
pub mod form;
#[cfg(feature = "ssr")]
mod once;

#[cfg(feature = "ssr")]
pub use caller::{Caller, ClientAddress, CurrentUser, app_error, place};
#[cfg(feature = "ssr")]
pub use form::Told;
#[cfg(feature = "ssr")]
use once::once;

use crate::{domain::AppError, words::t};
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};

impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    /// Errors of the transport. Their text stays where they happened.
    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) | ServerFnErrorErr::Deserialization(_) => {
                Self::field("", t!("The request could not be understood; please reload the page."))
            }
            _ => Self::Connection,
        }
    }
}
