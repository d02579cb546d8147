//! Texts put together from parts of a message: what a signature runs over, what an order is called.
//!
//! `{path}` stands for a field, `{@body}`, `{@timestamp}`, `{@id}`, `{@url}`, `{@secret}`, `{@option.NAME}`,
//! `{@header.NAME}` and `{@pairs}` for the rest, `{@token}` and `{@digest}` where a gateway is asked back; `{{` and `}}` for braces. Behind bars stand changes: `{@secret|md5|upper}`,
//! `{merchantId|json}`.

use super::{
    fields::{Path, Scope},
    json::write_text,
    pairs::Pairs,
};
use crate::domain::GatewayOptions;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::{borrow::Cow, str::FromStr};

/// A text with places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Place(Place, Vec<Change>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Field(Path),
    Body,
    Timestamp,
    Id,
    Url,
    Secret,
    Option(String),
    Header(String),
    Pairs,
    Token,
    Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Upper,
    Lower,
    Md5,
    Sha256,
    /// As JSON: numbers as they came, texts with quotes.
    Json,
    /// As a part of an address's path: one step of it, whatever it holds.
    Url,
    /// `yes` where there is something.
    Known,
    /// `yes` where it is a number above zero.
    Positive,
}

/// What places are filled from.
#[derive(Clone, Copy)]
pub struct Source<'s, 'a> {
    pub scope: Scope<'s, 'a>,
    pub body: &'s [u8],
    /// Of the signature, as it was written.
    pub timestamp: &'s [u8],
    /// Of the message, as a header says.
    pub id: &'s [u8],
    pub secret: &'s [u8],
    pub options: &'s GatewayOptions,
    pub headers: &'s http::HeaderMap,
    /// Where the gateway posts to, as it knows the address.
    pub url: [&'s str; 2],
    pub pairs: Option<&'s Pairs>,
    /// The query or the form as it came.
    pub raw: &'s [u8],
    /// What a gateway gave so that it can be asked.
    pub token: &'s [u8],
    /// The digest that a question is signed with.
    pub digest: &'s [u8],
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let after = &rest[at..];
            if let Some(escaped) = after.strip_prefix("{{").or_else(|| after.strip_prefix("}}")) {
                literal.push_str(&after[..1]);
                rest = escaped;
                continue;
            }
            let inner = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((inner, behind)) = inner else {
                return Err(format!("{text:?} has a brace without its partner; write {{{{ or }}}} for a brace itself"));
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            let mut words = inner.split('|');
            let place = place(words.next().unwrap_or_default())?;
            parts.push(Part::Place(place, words.map(change).collect::<Result<_, _>>()?));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
}

fn place(word: &str) -> Result<Place, String> {
    let Some(special) = word.strip_prefix('@') else { return Ok(Place::Field(word.parse()?)) };
    Ok(match special.split_once('.') {
        Some(("option", name)) => Place::Option(name.to_owned()),
        Some(("header", name)) => Place::Header(name.to_ascii_lowercase()),
        None if special == "body" => Place::Body,
        None if special == "timestamp" => Place::Timestamp,
        None if special == "id" => Place::Id,
        None if special == "url" => Place::Url,
        None if special == "secret" => Place::Secret,
        None if special == "pairs" => Place::Pairs,
        None if special == "token" => Place::Token,
        None if special == "digest" => Place::Digest,
        _ => {
            return Err(format!(
                "there is no {{@{special}}}; there are @body, @timestamp, @id, @url, @secret, @pairs, @token, @digest, @option.NAME and @header.NAME"
            ));
        }
    })
}

fn change(word: &str) -> Result<Change, String> {
    Ok(match word.trim() {
        "upper" => Change::Upper,
        "lower" => Change::Lower,
        "md5" => Change::Md5,
        "sha256" => Change::Sha256,
        "json" => Change::Json,
        "url" => Change::Url,
        "known" => Change::Known,
        "positive" => Change::Positive,
        other => {
            return Err(format!("{other:?} is no change; there are upper, lower, md5, sha256, json, url, known and positive"));
        }
    })
}

impl<'de> serde::Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Template {
    /// The options that it names.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(Place::Option(name), _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the sender's address for us is part of it.
    pub fn has_url(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(Place::Url, _)))
    }

    /// Whether all of the body is part of it.
    pub fn has_body(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(Place::Body, _)))
    }

    /// Whether the number of the message that a header carries is part of it.
    pub fn has_id(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(Place::Id, _)))
    }

    /// The headers that it takes.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(Place::Header(name), _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it takes pairs.
    pub fn has_pairs(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(Place::Pairs, _)))
    }

    /// The first field that it takes and that is not there; `None` where all are.
    pub fn missing(&self, source: &Source<'_, '_>) -> Option<&Path> {
        self.fields().find(|path| is_empty(path, source))
    }

    /// Whether the field that it begins with is there, as far as it begins with one.
    pub fn is_led(&self, source: &Source<'_, '_>) -> bool {
        match self.0.iter().find(|part| matches!(part, Part::Place(..))) {
            Some(Part::Place(Place::Field(path), _)) => !is_empty(path, source),
            _ => true,
        }
    }

    /// The fields that it takes.
    pub fn fields(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(Place::Field(path), _) => Some(path),
            _ => None,
        })
    }

    /// Whether every field in it is made a step of an address.
    pub fn is_path(&self) -> bool {
        self.0.iter().all(|part| !matches!(part, Part::Place(_, changes) if changes.last() != Some(&Change::Url)))
    }

    /// The text; what is not there is empty.
    pub fn fill(&self, source: &Source<'_, '_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(if self.has_body() { source.body.len() + 64 } else { 64 });
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Place(place, changes) => put(place, changes, source, &mut out),
            }
        }
        out
    }

    /// The text for people.
    pub fn text<'s>(&self, source: &Source<'s, '_>) -> Cow<'s, str> {
        match &self.0[..] {
            [Part::Place(Place::Field(path), changes)] if changes.is_empty() => source.scope.text(path).unwrap_or_default(),
            _ => match String::from_utf8(self.fill(source)) {
                Ok(text) => text.into(),
                Err(bytes) => String::from_utf8_lossy(bytes.as_bytes()).into_owned().into(),
            },
        }
    }
}

fn is_empty(path: &Path, source: &Source<'_, '_>) -> bool {
    source.scope.text(path).is_none_or(|text| text.trim().is_empty())
}

fn put(place: &Place, changes: &[Change], source: &Source<'_, '_>, out: &mut Vec<u8>) {
    let from = out.len();
    match place {
        Place::Field(path) => {
            if changes.first() == Some(&Change::Json)
                && let Some(value) = source.scope.json(path)
            {
                return value.write(out, false);
            }
            out.extend_from_slice(&source.scope.bytes(path).unwrap_or_default());
        }
        Place::Body => out.extend_from_slice(source.body),
        Place::Timestamp => out.extend_from_slice(source.timestamp),
        Place::Id => out.extend_from_slice(source.id),
        Place::Url => out.extend_from_slice(source.url.concat().as_bytes()),
        Place::Secret => out.extend_from_slice(source.secret),
        Place::Option(name) => out.extend_from_slice(source.options.get(name).unwrap_or_default().as_bytes()),
        Place::Header(name) => {
            out.extend_from_slice(source.headers.get(name.as_str()).map_or(&[][..], |value| value.as_bytes()));
        }
        Place::Token => out.extend_from_slice(source.token),
        Place::Digest => out.extend_from_slice(source.digest),
        Place::Pairs => {
            if let Some(pairs) = source.pairs {
                pairs.write(source, out);
            }
        }
    }
    for change in changes {
        let text = out.split_off(from);
        match change {
            Change::Upper => out.extend(text.to_ascii_uppercase()),
            Change::Lower => out.extend(text.to_ascii_lowercase()),
            Change::Md5 => out.extend(hex::encode(Md5::digest(&text)).into_bytes()),
            Change::Sha256 => out.extend(hex::encode(Sha256::digest(&text)).into_bytes()),
            Change::Json => write_text(&String::from_utf8_lossy(&text), out),
            // A step of points alone would lead up the path.
            Change::Url if text.iter().all(|byte| *byte == b'.') => out.extend(b"%2E".repeat(text.len())),
            Change::Url => percent(&text, out),
            Change::Known if text.trim_ascii().is_empty() => {}
            Change::Positive if !is_positive(&text) => {}
            Change::Known | Change::Positive => out.extend_from_slice(b"yes"),
        }
    }
}

/// Whether a text is a decimal number above zero.
fn is_positive(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && text.iter().any(|byte| matches!(byte, b'1'..=b'9'))
}

pub(super) fn percent(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{fields::Fields, json::Json};
    use super::*;
    use crate::server::ipn::Form;
    use proptest::prelude::*;

    fn fill(template: &str, pairs: &str, body: &[u8], fields: &Fields<'_>) -> String {
        let template: Template = template.parse().unwrap();
        let pairs: Pairs = toml::from_str(pairs).unwrap();
        let options = GatewayOptions([("access-key".to_owned(), "AK".to_owned())].into());
        let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-a"), http::HeaderValue::from_static("h"))]);
        let text = template.text(&Source {
            scope: Scope { fields, item: None },
            body,
            timestamp: b"17",
            id: b"m1",
            secret: b"hush",
            options: &options,
            headers: &headers,
            url: ["https://a.example", "/ipn/1"],
            pairs: Some(&pairs),
            raw: body,
            token: b"T",
            digest: b"D",
        });
        text.into_owned()
    }

    #[test]
    fn places_are_filled() {
        let body = br#"{"a":{"n":1.50,"t":"x/y"},"z":null}"#;
        let fields = Fields::Json { root: Json::parse(body).unwrap(), inner: None };
        let fill = |template| fill(template, "", body, &fields);
        assert_eq!(fill("{@id}.{@timestamp}.{@url}"), "m1.17.https://a.example/ipn/1");
        assert_eq!(fill("{@body}"), String::from_utf8_lossy(body));
        assert_eq!(fill(r#"{{"n":{a.n|json},"t":{a.t|json},"crc":{@secret|json}}}"#), r#"{"n":1.50,"t":"x/y","crc":"hush"}"#);
        assert_eq!(fill("{@secret|md5|upper}"), "588D39BCE7C5FCAE6A8529C3997387EA".to_owned());
        assert_eq!(fill("{@option.access-key}{@header.X-A}{nothing}{@token}{@digest}"), "AKhTD");
        assert_eq!(fill("/v2/{a.t|url}/{nothing|url}"), "/v2/x%2Fy/");
        assert_eq!(fill("{a.n|positive}{a.t|positive}{nothing|positive}-{a.t|known}{nothing|known}"), "yes-yes");
    }

    #[test]
    fn no_field_leads_out_of_its_step_of_a_path() {
        for (id, step) in
            [("..", "%2E%2E"), (".", "%2E"), ("../x", "..%2Fx"), ("a?b#c", "a%3Fb%23c"), ("tr_1.2", "tr_1.2"), ("%2e", "%252e")]
        {
            let body = format!("id={}", id.replace('%', "%25").replace('#', "%23"));
            let fields = Fields::Form(Form::parse(body.as_bytes()).unwrap());
            assert_eq!(fill("{id|url}", "", body.as_bytes(), &fields), step);
        }
    }

    #[test]
    fn pairs_are_sorted_and_filtered() {
        let body = b"b=2+3&a=%C3%A9&sig=x&empty=&B=4";
        let fields = Fields::Form(Form::parse(body).unwrap());
        let fill = |pairs| fill("{@pairs}", pairs, body, &fields);
        assert_eq!(fill("without = ['sig']"), "B=4&a=é&b=2 3");
        assert_eq!(fill("without = ['sig']\nencode = 'received'"), "B=4&a=%C3%A9&b=2+3");
        assert_eq!(fill("without = ['sig']\nencode = 'rfc3986'\nkeep-empty = true"), "B=4&a=%C3%A9&b=2%203&empty=");
        assert_eq!(fill("only = ['b']\nsecret-after-each = true\njoiner = ''"), "b=2 3hush");
    }

    #[test]
    fn mistakes_say_what_there_is() {
        assert!("{a".parse::<Template>().unwrap_err().contains("partner"));
        assert!("a}".parse::<Template>().unwrap_err().contains("partner"));
        assert!("{@bodi}".parse::<Template>().unwrap_err().contains("@body"));
        assert!("{a|rot13}".parse::<Template>().unwrap_err().contains("upper"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_not(text in "[{}@a-c.|!$\\[0\\]]{0,16}") {
            let _ = text.parse::<Template>();
        }
    }
}
