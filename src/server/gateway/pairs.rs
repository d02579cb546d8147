//! Names and values in a row, as some gateways sign them: which of a message's, in which spelling, with what between them.

use super::{
    fields::{Fields, Path, Step},
    json::Json,
    template::{Source, percent},
};
use std::borrow::Cow;

/// Names and values in a row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pairs {
    /// The object of a JSON message that they are in; else the whole message.
    #[serde(default, rename = "in")]
    within: Option<Path>,
    /// Only names that begin so.
    #[serde(default)]
    only: Vec<String>,
    /// Not these names.
    #[serde(default)]
    without: Vec<String>,
    /// Pairs without a value count, too.
    #[serde(default)]
    keep_empty: bool,
    #[serde(default)]
    encode: PairEncoding,
    /// Between name and value.
    #[serde(default = "equals")]
    equals: String,
    /// Between pairs.
    #[serde(default = "ampersand")]
    joiner: String,
    /// The secret follows each value.
    #[serde(default)]
    secret_after_each: bool,
}

fn equals() -> String {
    "=".to_owned()
}

fn ampersand() -> String {
    "&".to_owned()
}

/// How names and values are written in pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PairEncoding {
    /// Decoded.
    #[default]
    None,
    /// As they came in the query or the form: encoders differ in a few characters.
    Received,
    /// Everything but letters, digits and `-._~` with percent signs.
    Rfc3986,
}

/// One of them.
struct Pair<'p> {
    /// Its decoded name.
    called: Cow<'p, [u8]>,
    /// The name as it is signed.
    name: Cow<'p, [u8]>,
    /// The value as it is signed.
    value: Cow<'p, [u8]>,
}

impl<'p> Pair<'p> {
    fn of(name: &'p [u8], value: Cow<'p, [u8]>) -> Self {
        Self { called: Cow::Borrowed(name), name: Cow::Borrowed(name), value }
    }
}

impl Pairs {
    /// Whether what stands at a path is among them; of a form, or of JSON.
    pub fn has(&self, path: &Path, is_form: bool) -> bool {
        if is_form {
            return self.is_wanted(&path.to_string());
        }
        let below = match &self.within {
            Some(within) => path.below(within),
            None => path.steps(),
        };
        below.and_then(|steps| steps.first()).is_some_and(|step| matches!(step, Step::Member(name) if self.is_wanted(name)))
    }

    fn is_wanted(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str())))
            && !self.without.iter().any(|without| name == without)
    }

    /// Pairs sorted by name, those with the same name in received order. What a pair is called is its decoded name, whatever
    /// it is written as: by that name its value is read, so by that name it must be chosen.
    pub fn write(&self, source: &Source<'_, '_>, out: &mut Vec<u8>) {
        let mut pairs: Vec<Pair<'_>> = match (source.scope.fields, self.encode) {
            (Fields::Form(form), PairEncoding::Received) => {
                let raw = source.raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
                let split = |pair: &'_ [u8]| match pair.iter().position(|byte| *byte == b'=') {
                    Some(at) => (Cow::Owned(pair[..at].to_vec()), Cow::Owned(pair[at + 1..].to_vec())),
                    None => (Cow::Owned(pair.to_vec()), Cow::Owned(Vec::new())),
                };
                let called = form.fields.iter().map(|field| Cow::Borrowed(&*field.name));
                called.zip(raw.map(split)).map(|(called, (name, value))| Pair { called, name, value }).collect()
            }
            (Fields::Form(form), _) => {
                form.fields.iter().map(|field| Pair::of(&field.name, Cow::Borrowed(&*field.value))).collect()
            }
            (Fields::Json { root, .. }, _) => {
                let object = match &self.within {
                    Some(path) => source.scope.json(path),
                    None => Some(source.scope.item.unwrap_or(root)),
                };
                let Some(Json::Object(members)) = object else { return };
                members.iter().map(|(name, value)| Pair::of(name.as_bytes(), Cow::Owned(plain(value)))).collect()
            }
            (Fields::None, _) => return,
        };
        pairs
            .retain(|pair| self.is_wanted(&String::from_utf8_lossy(&pair.called)) && (self.keep_empty || !pair.value.is_empty()));
        pairs.sort_by(|a, b| a.called.cmp(&b.called));
        let encoded = |text: &[u8], out: &mut Vec<u8>| match self.encode {
            PairEncoding::Rfc3986 => percent(text, out),
            PairEncoding::None | PairEncoding::Received => out.extend_from_slice(text),
        };
        for (at, Pair { name, value, .. }) in pairs.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(self.joiner.as_bytes());
            }
            encoded(name, out);
            out.extend_from_slice(self.equals.as_bytes());
            encoded(value, out);
            if self.secret_after_each {
                out.extend_from_slice(source.secret);
            }
        }
    }
}

/// A value as PayOS writes it between its pairs: nothing for `null`, lists and objects as JSON with their names in order.
fn plain(value: &Json<'_>) -> Vec<u8> {
    match value {
        Json::Text(text) if *text == "null" || *text == "undefined" => Vec::new(),
        Json::List(_) | Json::Object(_) => {
            let mut out = Vec::new();
            value.write(&mut out, true);
            out
        }
        value => value.text().unwrap_or_default().as_bytes().to_vec(),
    }
}
