//! Answering forms: redirect to the page after the form, and tell it what happened.

use crate::{
    domain::{AppError, attempt::UrlCheck, pages::flash::Flash},
    words::t,
};
use http::{HeaderValue, header, request::Parts};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// What a form has to say on the next page. The HTTP layer puts it into the request's context, and carries it there.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Option<Flash>>>);

impl Told {
    /// What was told, once.
    pub fn take(&self) -> Option<Flash> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A form that was sent.
pub struct Sent {
    /// The form's name on its page.
    pub form: &'static str,
    /// The page that the form stands on.
    pub page: String,
    /// What was entered, as far as it may be shown again.
    pub values: Vec<(&'static str, String)>,
}

/// Where to go after a form that worked, and what to say there.
#[derive(Default, Serialize, Deserialize)]
pub struct Done {
    pub page: String,
    pub notice: Option<String>,
    /// A secret key that is shown this once.
    pub secret: Option<String>,
    /// A link that is shown this once, and whom it is for.
    pub link: Option<(String, String)>,
    /// A masked value that is shown this once, by its name.
    pub revealed: Option<(String, String)>,
    /// It was not done, because the URL does not answer as it should.
    pub check: Option<UrlCheck>,
    /// It was not done, because another URL leads to the same address: its name.
    pub twin: Option<String>,
}

impl Done {
    /// Whether it was not done, and whoever asked has to decide.
    pub const fn is_question(&self) -> bool {
        self.check.is_some() || self.twin.is_some()
    }

    /// Go there and say this.
    pub fn at(page: impl Into<String>, notice: impl Into<String>) -> Self {
        Self { page: page.into(), notice: Some(notice.into()), ..Self::default() }
    }
}

impl Sent {
    /// Ends the function that a form was sent to. A browser is sent to the next page; a script gets the error itself.
    pub fn end(self, result: Result<Done, AppError>) -> Result<(), AppError> {
        self.end_with(Vec::new(), result)
    }

    /// The same for a form that also has fields of which only this moment knows the names.
    pub fn end_with(self, more: Vec<(String, String)>, result: Result<Done, AppError>) -> Result<(), AppError> {
        let values = self.values.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(more).collect();
        let mut flash = Flash { form: self.form.to_owned(), values, ..Flash::default() };
        match result {
            Ok(done) if done.is_question() => {
                flash.values.extend(done.twin.map(|label| ("twin".to_owned(), label)));
                self_page(&self.page, Flash { check: done.check, ..flash })
            }
            Ok(done) => {
                let Done { notice, secret, link, revealed, .. } = done;
                if notice.is_some() || secret.is_some() || link.is_some() || revealed.is_some() {
                    tell(Flash { values: Vec::new(), notice, secret, link, revealed, ..flash });
                }
                go(&done.page);
                Ok(())
            }
            Err(error) if !is_browser() => Err(error),
            Err(AppError::SignIn) => {
                let problem = t!("You were signed out meanwhile, and nothing was saved. Sign in, and do it again.").to_owned();
                tell(Flash { form: "sign-in".to_owned(), problem: Some(problem), ..Flash::default() });
                let next: String = url::form_urlencoded::byte_serialize(self.page.as_bytes()).collect();
                go(&format!("/sign-in?next={next}"));
                Ok(())
            }
            Err(AppError::Changed(conflict)) => self_page(&self.page, Flash { conflict: Some(*conflict), ..flash }),
            Err(AppError::Invalid(errors)) => self_page(&self.page, Flash { errors, ..flash }),
            Err(error) => self_page(&self.page, Flash { problem: Some(error.sentence()), ..flash }),
        }
    }
}

fn self_page(page: &str, flash: Flash) -> Result<(), AppError> {
    tell(flash);
    go(page);
    Ok(())
}

/// Sends the browser to a page of this site. The page's address is made of what was sent: what cannot stand in an
/// address leads to the start page.
fn go(page: &str) {
    let is_address = page.bytes().all(|byte| byte.is_ascii_graphic());
    leptos_axum::redirect(if is_address { page } else { "/" });
}

/// Whether the caller is a browser that sent a form, and not a script.
fn is_browser() -> bool {
    let parts = use_context::<Parts>();
    let accept = parts.as_ref().and_then(|parts| parts.headers.get(header::ACCEPT)).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn tell(flash: Flash) {
    if let Some(told) = use_context::<Told>() {
        *told.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(flash);
    }
}

/// Adds a cookie to the answer.
pub fn set_cookie(cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        expect_context::<ResponseOptions>().append_header(header::SET_COOKIE, value);
    }
}
