//! A gateway as data: where its signature stands and what it runs over, where order, amount and status stand, which word
//! means which status, what each outcome is answered with, and what people must enter where. The built-in ones lie in
//! `presets/`; whoever runs the server may add files of the same form. `docs/GATEWAYS.md` explains the form.
//!
//! The form is spread over `signature`, `places`, `guide`, `chain` and `confirm`. `check` proves a file before it is used,
//! `signed` that it reads what is signed; `verify` checks messages, `order` reads them. Must not live here: anything that is
//! true of one gateway only.

mod chain;
mod check;
mod confirm;
mod guide;
mod order;
mod places;
mod signature;
mod signed;
mod verify;

pub use chain::{CERTIFICATE_HOSTS, Chain, Signed};
pub use check::offset;
pub use confirm::{Asking, CONFIRM_AUTHORITY, CONFIRM_BASE, Confirm, Reply, Step, Word};
pub use guide::{Answer, Answers, Case, Guide, Sample};
pub use order::Reading;
pub use places::{Amount, Clock, Condition, Ignore, Order, Scale, StatusTable};
pub use signature::{List, Signature};
pub use verify::now_text;

use super::fields::Path;
use crate::domain::Gateway;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IntoDeserializer as _, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData, str::FromStr};

/// A description of a gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Preset {
    pub id: Gateway,
    /// The name on pages.
    pub label: String,
    /// What it stands under in the list of gateways.
    pub group: String,
    /// Other names that people look for.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Code that takes the messages, where data does not suffice.
    #[serde(default)]
    pub adapter: Option<Adapter>,
    #[serde(default)]
    pub method: Verb,
    #[serde(default)]
    pub body: BodyForm,
    /// Where a text of the JSON is JSON itself.
    #[serde(default)]
    pub inner: Option<Path>,
    /// Where several messages stand, when they come in one request.
    #[serde(default)]
    pub items: Option<Items>,
    pub secret: Ask,
    #[serde(default, rename = "option")]
    pub options: Vec<Ask>,
    #[serde(default, rename = "signature")]
    pub signatures: Vec<Signature>,
    /// What is read although it is not signed: a forger can change it in a message that is genuine otherwise. Fields, or
    /// `@header.NAME`.
    #[serde(default)]
    pub unsigned: Vec<Origin>,
    /// The gateway is asked back before a message counts.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// Messages are signed with a key whose certificate the gateway keeps; it is checked before the gateway is asked.
    #[serde(default)]
    pub chain: Option<Chain>,
    /// The field of a form that names the character set of all others.
    #[serde(default)]
    pub charset: Option<Path>,
    /// Fields that must be what an option says.
    #[serde(default, rename = "check")]
    pub checks: Vec<Check>,
    #[serde(default)]
    pub order: Order,
    /// Tables of words, the first that knows a message's word decides.
    #[serde(default, rename = "status")]
    pub statuses: Vec<StatusTable>,
    /// Messages that are about no payment.
    #[serde(default)]
    pub ignore: Option<Ignore>,
    #[serde(default)]
    pub answers: Answers,
    pub guide: Guide,
    #[serde(default)]
    pub sample: Sample,
}

/// Gateways that need code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapter {
    #[serde(rename = "2checkout")]
    TwoCheckout,
    #[serde(rename = "2checkout-lcn")]
    TwoCheckoutLicence,
}

/// How it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    #[default]
    Post,
    Get,
    Either,
}

/// What the fields are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyForm {
    #[default]
    Json,
    /// A form in the body; in the query where it comes by GET.
    Form,
}

/// A list of messages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Items {
    #[serde(rename = "in")]
    pub within: Path,
    /// The member of each item that is the message.
    #[serde(default)]
    pub member: Option<String>,
}

/// Something to ask whoever adds a listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ask {
    /// How the command line and files call it; the secret needs none.
    #[serde(default)]
    pub name: String,
    pub label: String,
    #[serde(default)]
    pub hint: String,
    /// Not shown again.
    #[serde(default)]
    pub secret: bool,
    #[serde(default)]
    pub required: bool,
    /// Of a secret: this gateway has none, and nobody is asked for it.
    #[serde(default)]
    pub unused: bool,
}

/// Where a text of a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Header(String),
    Field(Path),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("@header.") {
            Some(name) => match http::HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()) {
                Ok(name) => Ok(Self::Header(name.as_str().to_owned())),
                Err(_) => Err(format!("{name:?} cannot be the name of a header")),
            },
            None => Ok(Self::Field(text.parse()?)),
        }
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// One thing or a list of them; what is wrong is told of the word itself.
fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Several<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Several<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a word such as hmac-sha256, or a list of them")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(text.into_deserializer()).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut several = Vec::new();
            while let Some(one) = items.next_element()? {
                several.push(one);
            }
            Ok(several)
        }
    }
    deserializer.deserialize_any(Several(PhantomData))
}

/// A field that must be what an option of the listener says, where that is set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Check {
    pub field: Path,
    pub option: String,
    /// Only of messages that have the field.
    #[serde(default)]
    pub where_told: bool,
}

impl Preset {
    /// Reads and proves a file; what is wrong is told with the field and the cure.
    pub fn read(text: &str) -> Result<Self, String> {
        let preset: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        check::check(&preset)?;
        Ok(preset)
    }

    /// Whether its messages are states as they stood when it was asked, and not things that happened.
    pub fn tells_states(&self) -> bool {
        self.order.at.as_ref().is_some_and(|at| at.form == Clock::Asked)
    }

    /// Names of the ways it signs.
    pub fn methods(&self) -> String {
        let mut names = Vec::new();
        for name in self.signatures.iter().flat_map(|one| &one.method).map(|method| method.label()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if self.chain.is_some() {
            names.push("RSA-SHA256 with a certificate");
        }
        if self.confirm.is_some() {
            names.push("asking the gateway back");
        }
        names.join(", ")
    }

    /// Whether messages come by GET.
    pub fn takes_get(&self) -> bool {
        self.method != Verb::Post
    }
}

/// What a listener may have beside what its gateway asks for.
pub const PREVIOUS_SECRET: &str = "previous-secret";
/// Which messages are taken, where the gateway tells tests from real ones: `live`, `test`, or both where it is empty.
pub const MODE: &str = "mode";
/// The address that the gateway knows, where it is part of what is signed.
pub const ADDRESS: &str = "address";
