//! The confirm step: what a gateway is asked before a message of it counts, and what its answer means.
//!
//! Three shapes over one form: the message is sent back and answered with a word (PayPal's IPN), the object that it names is
//! fetched and read instead of it (Mollie), the payment is confirmed by a call of ours (Przelewy24). Must not live here: who asks
//! and when (`server/confirm`), what is refused before (`verify`).

use super::{BodyForm, Condition, Origin, Preset, one_or_more};
use crate::domain::{GatewayOptions, RefusalReason};
use crate::server::gateway::{
    Credentials, Refused, Request,
    crypto::Method,
    fields::{Fields, Scope},
    json::Json,
    template::{Source, Template},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where to ask instead of at the gateway itself: a sandbox, a stand-in, a proxy.
pub const CONFIRM_BASE: &str = "confirm-base";
/// Certificates to trust there beside the public ones, as PEM.
pub const CONFIRM_AUTHORITY: &str = "confirm-authority";

/// How the gateway is asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Confirm {
    /// `https://api.example.com`, without a path.
    pub base: String,
    /// The same of the gateway's sandbox, asked by listeners whose mode is `test`. Anybody can make true messages there: no
    /// other listener takes tests.
    #[serde(default)]
    pub test_base: Option<String>,
    /// Fields in it must end with `|url`.
    pub path: Template,
    #[serde(default)]
    pub method: Verb,
    #[serde(default)]
    pub body: Option<Template>,
    /// The content type of the body.
    #[serde(default = "form_type", rename = "type")]
    pub content_type: String,
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// `name:password`, for the usual header.
    #[serde(default)]
    pub basic: Option<Template>,
    #[serde(default)]
    pub bearer: Option<Template>,
    /// What `{@digest}` stands for.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// A first question that gives `{@token}`.
    #[serde(default)]
    pub token: Option<Token>,
    /// The message only rings: it is written so, and what it says is read from the gateway's answer, which is JSON.
    #[serde(default)]
    pub ring: Option<BodyForm>,
    /// The answer that means yes: the whole text, or a field such as `data.status=success`. Where none stands, any answer with a
    /// status of success that can be read.
    #[serde(default, deserialize_with = "one_or_more")]
    pub yes: Vec<Reply>,
    /// The answer that means no.
    #[serde(default, deserialize_with = "one_or_more")]
    pub no: Vec<Reply>,
    /// Statuses that mean no: there is no such thing.
    #[serde(default)]
    pub no_status: Vec<u16>,
}

fn form_type() -> String {
    "application/x-www-form-urlencoded".to_owned()
}

/// How the question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    #[default]
    Get,
    Post,
    Put,
}

/// The digest of a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Digest {
    pub method: Method,
    pub message: Template,
}

/// A question that comes first (OAuth 2.0, client credentials: RFC 6749, 4.4).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    pub path: Template,
    pub basic: Template,
    pub body: Template,
    /// Where it stands in the answer.
    pub field: crate::server::gateway::fields::Path,
}

/// What an answer is held against.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The whole text, without spaces around it.
    Text(String),
    Field(Condition),
}

impl<'de> Deserialize<'de> for Reply {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::{Error as _, IntoDeserializer as _};
        let text = String::deserialize(deserializer)?;
        if !text.contains('=') {
            return Ok(Self::Text(text));
        }
        let read: Result<Condition, serde::de::value::Error> = Condition::deserialize(text.as_str().into_deserializer());
        read.map(Self::Field).map_err(D::Error::custom)
    }
}

/// A question, ready to be sent.
#[derive(Debug, Clone)]
pub struct Asking {
    pub method: http::Method,
    pub url: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
    /// Certificates to trust beside the public ones, as PEM; usually empty.
    pub authority: String,
}

/// What to ask next.
#[derive(Debug, Clone)]
pub enum Step {
    /// For the token.
    Token(Asking),
    /// For the word.
    Word(Asking),
}

/// What the gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Yes,
    /// It does not know the message, and will not.
    No(String),
    /// Neither; it must be asked again. Why, as a sentence.
    Unclear(String),
}

impl Confirm {
    /// Where it is asked, by the options of a listener.
    pub fn base<'o>(&'o self, options: &'o GatewayOptions) -> &'o str {
        let own = self.test_base.as_deref().filter(|_| options.get(super::MODE) == Some("test"));
        options.get(CONFIRM_BASE).unwrap_or(own.unwrap_or(&self.base)).trim_end_matches('/')
    }

    /// Whether what is said is only in the answer.
    pub const fn is_fetched(&self) -> bool {
        self.ring.is_some()
    }
}

impl Preset {
    /// Whether a listener with these options takes messages of the gateway's sandbox, and asks there.
    pub fn asks_sandbox(&self, options: &GatewayOptions) -> bool {
        let has_sandbox = self.confirm.as_ref().is_some_and(|confirm| confirm.test_base.is_some());
        has_sandbox && options.get(super::MODE) == Some("test")
    }

    /// What the gateway is asked about a message; `token` is what it gave for the first question.
    pub fn asking(&self, credentials: Credentials<'_>, request: &Request<'_>, token: Option<&str>) -> Result<Step, Refused> {
        let malformed = |detail: String| Refused { reason: RefusalReason::Malformed, detail };
        let Some(confirm) = &self.confirm else { return Err(malformed("This gateway is not asked back.".to_owned())) };
        let parsed = self.parse_as(confirm.ring.unwrap_or(self.body), request)?;
        let scope = Scope { fields: &parsed.fields, item: None };
        let mut source = Source {
            scope,
            body: parsed.raw,
            timestamp: &[],
            id: &[],
            secret: credentials.secret,
            options: credentials.options,
            headers: request.headers,
            url: request.url,
            pairs: None,
            raw: parsed.raw,
            token: token.unwrap_or_default().as_bytes(),
            digest: &[],
        };
        if let Some(path) = confirm.path.missing(&source) {
            return Err(malformed(format!("{path} is missing; without it there is nothing to ask for.")));
        }
        let base = confirm.base(credentials.options);
        let authority = credentials.options.get(CONFIRM_AUTHORITY).unwrap_or_default().to_owned();
        if let (Some(first), None) = (&confirm.token, token) {
            let headers = vec![
                basic(&first.basic, &source)?,
                (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            ];
            return Ok(Step::Token(Asking {
                method: http::Method::POST,
                url: format!("{base}{}", first.path.text(&source)),
                headers,
                body: first.body.fill(&source),
                authority,
            }));
        }
        let digest = confirm.digest.as_ref().and_then(|digest| digest.method.sign(&[], &digest.message.fill(&source)));
        let digest = digest.map(hex::encode).unwrap_or_default();
        source.digest = digest.as_bytes();
        let mut headers = Vec::new();
        for (name, value) in &confirm.headers {
            if let Ok(name) = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()) {
                headers.push((name, header_value(value.fill(&source))?));
            }
        }
        if let Some(pair) = &confirm.basic {
            headers.push(basic(pair, &source)?);
        }
        if let Some(bearer) = &confirm.bearer {
            let value = [b"Bearer ", &bearer.fill(&source)[..]].concat();
            headers.push((header::AUTHORIZATION, header_value(value)?));
        }
        let body = confirm.body.as_ref().map(|body| body.fill(&source)).unwrap_or_default();
        if !body.is_empty() {
            headers.push((header::CONTENT_TYPE, header_value(confirm.content_type.clone().into_bytes())?));
        }
        Ok(Step::Word(Asking {
            method: match confirm.method {
                Verb::Get => http::Method::GET,
                Verb::Post => http::Method::POST,
                Verb::Put => http::Method::PUT,
            },
            url: format!("{base}{}", confirm.path.text(&source)),
            headers,
            body,
            authority,
        }))
    }

    /// The token in an answer; why there is none, as a sentence.
    pub fn token(&self, status: u16, body: &[u8]) -> Result<String, String> {
        let field = self.confirm.as_ref().and_then(|confirm| confirm.token.as_ref()).map(|token| &token.field);
        let fields = Json::parse(body).ok().map(|root| Fields::Json { root, inner: None });
        let text = fields.as_ref().zip(field).and_then(|(fields, field)| Scope { fields, item: None }.text(field));
        match text.filter(|text| (200..300).contains(&status) && !text.is_empty()) {
            Some(text) => Ok(text.into_owned()),
            None if matches!(status, 400 | 401 | 403) => {
                Err(format!("{} does not take the credentials of this listener ({status}).", self.label))
            }
            None => Err(format!("{} gave no token ({status}).", self.label)),
        }
    }

    /// What an answer means.
    pub fn word(&self, status: u16, body: &[u8]) -> Word {
        let Some(confirm) = &self.confirm else { return Word::Unclear("This gateway is not asked back.".to_owned()) };
        if confirm.no_status.contains(&status) {
            return Word::No(format!("{} answered {status}: it knows nothing of it.", self.label));
        }
        let json = Json::parse(body).ok().map(|root| Fields::Json { root, inner: None });
        let is = |reply: &Reply| match reply {
            Reply::Text(text) => body.trim_ascii() == text.as_bytes(),
            Reply::Field(Condition { origin: Origin::Field(path), value }) => json
                .as_ref()
                .and_then(|fields| Scope { fields, item: None }.text(path))
                .is_some_and(|text| text.eq_ignore_ascii_case(value)),
            Reply::Field(_) => false,
        };
        if (200..300).contains(&status) {
            let plain_yes = confirm.yes.is_empty() && (!confirm.is_fetched() || json.is_some());
            if plain_yes || confirm.yes.iter().any(is) {
                return Word::Yes;
            }
        }
        if confirm.no.iter().any(is) {
            let text: String = String::from_utf8_lossy(body.trim_ascii()).chars().take(100).collect();
            return Word::No(format!("{} answered {text}.", self.label));
        }
        Word::Unclear(match status {
            401 | 403 => format!("{} does not take the credentials of this listener ({status}).", self.label),
            200..300 => format!("{} answered {status}, and neither yes nor no.", self.label),
            status => format!("{} answered {status}.", self.label),
        })
    }
}

fn basic(pair: &Template, source: &Source<'_, '_>) -> Result<(HeaderName, HeaderValue), Refused> {
    let value = format!("Basic {}", STANDARD.encode(pair.fill(source)));
    Ok((header::AUTHORIZATION, header_value(value.into_bytes())?))
}

fn header_value(value: Vec<u8>) -> Result<HeaderValue, Refused> {
    HeaderValue::from_bytes(&value).map_err(|_| Refused {
        reason: RefusalReason::Malformed,
        detail: "What the question to the gateway is made of cannot stand in a header.".to_owned(),
    })
}

/// What a description can have wrong here.
pub(super) fn check(preset: &Preset, known: impl Fn(&str) -> bool) -> Result<(), String> {
    let Some(confirm) = &preset.confirm else { return Ok(()) };
    for base in [Some(&confirm.base), confirm.test_base.as_ref()].into_iter().flatten() {
        if !is_base(base) {
            return Err(format!("confirm.base: {base:?} must be such as https://api.example.com, without a path"));
        }
    }
    if !confirm.path.is_path() {
        return Err("confirm.path: write |url behind each place, such as /payments/{id|url}".to_owned());
    }
    let token = confirm.token.iter().flat_map(|token| [&token.path, &token.basic, &token.body]);
    let digest = confirm.digest.iter().map(|digest| &digest.message);
    let own = [&confirm.path].into_iter().chain(&confirm.body).chain(&confirm.basic).chain(&confirm.bearer);
    let mut names = own.chain(confirm.headers.values()).chain(token).chain(digest).flat_map(Template::options);
    if let Some(name) = names.find(|name| !known(name)) {
        return Err(format!("confirm: there is no option {name:?}; add an [[option]] of this name"));
    }
    if preset.items.is_some() {
        return Err("confirm: a message that is asked for cannot be one of several; leave items out".to_owned());
    }
    if confirm.is_fetched() && (preset.body != BodyForm::Json || !preset.signatures.is_empty()) {
        return Err("confirm.ring: what is read from the answer is JSON, and not signed".to_owned());
    }
    if !confirm.is_fetched() && confirm.yes.is_empty() {
        return Err("confirm.yes: say which answer means that the message is true".to_owned());
    }
    Ok(())
}

/// Whether a text is where a gateway can be asked.
pub(super) fn is_base(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.trim_end_matches('/');
        !host.is_empty()
            && !host.contains(['/', '?', '#', '@'])
            && !host.chars().any(|letter| letter.is_whitespace() || letter.is_control())
    })
}
