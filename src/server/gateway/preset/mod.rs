//! A gateway as data: where its signature stands and what it runs over, where order, amount and status stand, which word
//! means which status, what each outcome is answered with, and what people must enter where. The built-in ones lie in
//! `presets/`; whoever runs the server may add files of the same form. `docs/GATEWAYS.md` explains the form.
//!
//! `check` proves a file before it is used, `signed` that it reads what is signed; `verify` checks messages, `order` reads them. Must not live here: anything
//! that is true of one gateway only.

mod chain;
mod check;
mod confirm;
mod order;
mod signed;
mod verify;

pub use chain::{CERTIFICATE_HOSTS, Chain, Signed};
pub use check::offset;
pub use confirm::{Asking, CONFIRM_AUTHORITY, CONFIRM_BASE, Confirm, Reply, Step, Word};
pub use order::Reading;
pub use verify::now_text;

use super::{
    crypto::{Encoding, KeyForm, Method},
    fields::Path,
    pairs::Pairs,
    template::Template,
};
use crate::domain::{Gateway, OrderStatus};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IntoDeserializer as _, SeqAccess, Visitor},
};
use std::{collections::BTreeMap, fmt, marker::PhantomData, str::FromStr};

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

/// Where things about the order stand; of several places the first that holds something counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Order {
    /// The gateway's number, by which messages of one order are told.
    pub reference: Vec<Path>,
    /// The merchant's number.
    pub external: Vec<Path>,
    pub email: Vec<Path>,
    pub customer: Option<Template>,
    pub product: Vec<Path>,
    pub product_id: Vec<Path>,
    pub payment_method: Vec<Path>,
    pub amount: Option<Amount>,
    /// Messages whose amount is not that of the order, such as of a dispute: it leaves, and the order keeps its own.
    pub apart: Vec<Condition>,
    /// Money given back by this message alone.
    pub refund: Vec<Path>,
    /// Messages that take such a refund back: it failed after it had been told.
    pub undone: Vec<Condition>,
    /// Money given back so far.
    pub refunded: Vec<Path>,
    pub at: Option<At>,
    /// Such as `livemode=false`; one of them suffices.
    pub test: Vec<Condition>,
    /// What makes a message unique; what comes again with the same is a repeat. Of several the first whose leading field is
    /// there counts; where none is, the bytes tell.
    #[serde(deserialize_with = "one_or_more")]
    pub message: Vec<Template>,
}

/// Where an amount stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Amount {
    pub value: Vec<Path>,
    /// A code of three letters.
    #[serde(default)]
    pub currency: Vec<Path>,
    /// The currency of a message that does not say.
    #[serde(default)]
    pub always: Option<String>,
    /// The listener's option that names another.
    #[serde(default)]
    pub option: Option<String>,
    pub scale: Scale,
    /// For `minor`: digits after the point of currencies that the gateway counts otherwise than ISO 4217.
    #[serde(default)]
    pub digits: BTreeMap<String, u32>,
}

/// What an amount counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Smallest units of the currency: cents, dong.
    Minor,
    /// As people write it: `10.50`.
    Decimal,
    /// Hundredths in every currency, also in those without.
    Hundredths,
}

/// When something happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct At {
    #[serde(default)]
    pub from: Vec<Path>,
    pub form: Clock,
    /// The offset of a civil time, such as `+07:00`; else UTC.
    #[serde(default)]
    pub offset: Option<String>,
}

/// How a moment is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    /// `2026-03-01T12:00:09Z` and its kin.
    Iso,
    /// A form of `strptime`.
    Civil(String),
    /// When the gateway was asked: what it answers is how things stand then.
    Asked,
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "unix" => Self::Unix,
            "unix-millis" => Self::UnixMillis,
            "iso" => Self::Iso,
            "asked" => Self::Asked,
            form if form.contains('%') => Self::Civil(text),
            _ => {
                return Err(D::Error::custom(format!(
                    "{text:?} is no form of a time: unix, unix-millis, iso, asked, or such as %Y%m%d%H%M%S"
                )));
            }
        })
    }
}

/// `path=value` or `@header.name=value`, compared without regard to case.
#[derive(Debug, Clone)]
pub struct Condition {
    pub origin: Origin,
    pub value: String,
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (path, value) =
            text.split_once('=').ok_or_else(|| D::Error::custom(format!("{text:?} is no condition: write path=value")))?;
        Ok(Self { origin: path.parse().map_err(D::Error::custom)?, value: value.to_owned() })
    }
}

/// Words and what they mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StatusTable {
    pub word: Template,
    /// Words of any case; `*` is every other word.
    #[serde(deserialize_with = "words")]
    pub map: BTreeMap<String, OrderStatus>,
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, OrderStatus>, D::Error> {
    let map = BTreeMap::<String, OrderStatus>::deserialize(deserializer)?;
    Ok(map.into_iter().map(|(word, status)| (word.trim().to_lowercase(), status)).collect())
}

fn lowered<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<String>::deserialize(deserializer)?.into_iter().map(|word| word.to_lowercase()).collect())
}

/// Messages that are acknowledged and about no payment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ignore {
    pub word: Template,
    /// These, in lower case.
    #[serde(default, deserialize_with = "lowered")]
    pub words: Vec<String>,
    /// All but those that begin so, in lower case.
    #[serde(default, deserialize_with = "lowered")]
    pub unless: Vec<String>,
    /// They are not signed.
    #[serde(default)]
    pub unsigned: bool,
}

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
