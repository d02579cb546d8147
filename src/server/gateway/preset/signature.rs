//! How messages are signed: where the signature stands, what it is made of, what it runs over.

use super::{Origin, one_or_more};
use crate::server::gateway::{
    crypto::{Encoding, KeyForm, Method},
    pairs::Pairs,
    template::Template,
};
use serde::Deserialize;

/// A way in which messages are signed. The first whose signature is there decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    pub from: Origin,
    /// What stands before it.
    #[serde(default)]
    pub prefix: String,
    /// Several of them, or it and other things, in one text.
    #[serde(default)]
    pub list: Option<List>,
    /// Where there are several, the length of the signature tells.
    #[serde(deserialize_with = "one_or_more")]
    pub method: Vec<Method>,
    #[serde(default)]
    pub encoding: Encoding,
    /// It is printed in upper-case digits; either case is taken.
    #[serde(default)]
    pub upper: bool,
    /// What it runs over.
    pub message: Template,
    #[serde(default)]
    pub pairs: Option<Pairs>,
    #[serde(default)]
    pub key: KeyForm,
    /// Left out of the secret where it begins so.
    #[serde(default)]
    pub key_prefix: String,
    /// Only with secrets that begin so.
    #[serde(default)]
    pub only_with: Option<String>,
    #[serde(default)]
    pub timestamp: Option<Origin>,
    #[serde(default)]
    pub id: Option<Origin>,
    /// How many seconds the time stamp may be off, either way.
    #[serde(default)]
    pub tolerance: Option<u32>,
}

/// A text with several things in it, as `t=1,v1=ab,v1=cd`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct List {
    pub separator: char,
    #[serde(default = "equals_sign")]
    pub assign: char,
    /// What signatures are called in it.
    pub name: String,
    /// What the time stamp is called in it.
    #[serde(default)]
    pub time: Option<String>,
}

const fn equals_sign() -> char {
    '='
}
