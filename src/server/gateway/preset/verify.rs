//! Whether a request is what it claims to be.

use super::{ADDRESS, BodyForm, Confirm, List, MODE, Origin, PREVIOUS_SECRET, Preset, Signature, Verb};
use crate::domain::{RefusalReason, Timestamp, order::OrderFacts};
use crate::server::gateway::{
    Credentials, Refused, Request,
    crypto::Method,
    fields::{Fields, Scope},
    json::{Json, JsonError},
    shown,
    template::Source,
};
use crate::server::ipn::{Form, FormError};
use encoding_rs::Encoding;
use std::{borrow::Cow, collections::HashSet};

/// Most secrets or signatures that are tried with each other.
const MAX_CANDIDATES: usize = 8;
/// Most messages in one request.
const MAX_ITEMS: usize = 200;

/// A request whose fields were read.
pub struct Parsed<'a> {
    pub fields: Fields<'a>,
    pub raw: &'a [u8],
}

impl Preset {
    /// Reads the fields.
    pub fn parse<'a>(&self, request: &Request<'a>) -> Result<Parsed<'a>, Refused> {
        self.parse_as(self.body, request)
    }

    /// Reads the fields of what is written so.
    pub(super) fn parse_as<'a>(&self, form: BodyForm, request: &Request<'a>) -> Result<Parsed<'a>, Refused> {
        let is_get = request.method == http::Method::GET;
        let fits = match self.method {
            Verb::Post => !is_get,
            Verb::Get => is_get,
            Verb::Either => true,
        };
        if !fits {
            return Err(Refused::because(RefusalReason::WrongMethod));
        }
        let raw = if is_get { request.query.as_bytes() } else { request.body };
        let malformed = |detail: String| Refused { reason: RefusalReason::Malformed, detail };
        let fields = match form {
            BodyForm::Form => {
                let form = Form::parse(raw).map_err(|error| match error {
                    FormError::Empty => malformed("It is empty; a form was expected.".to_owned()),
                    FormError::TooManyFields => Refused::because(RefusalReason::TooManyFields),
                })?;
                if let Some(name) = twice(&form) {
                    let name = shown(&String::from_utf8_lossy(name));
                    return Err(malformed(format!("{name} comes twice.")));
                }
                Fields::Form(self.decoded(form))
            }
            BodyForm::Json => {
                let refused = |error| match error {
                    JsonError::TooMany => Refused::because(RefusalReason::TooManyFields),
                    error => malformed(format!("JSON was expected: {error}.")),
                };
                let root = Json::parse(raw).map_err(refused)?;
                let mut fields = Fields::Json { root, inner: None };
                if let Some(path) = &self.inner {
                    let text = Scope { fields: &fields, item: None }.text(path).map(Cow::into_owned);
                    let text = text.ok_or_else(|| malformed(format!("{path} is missing.")))?;
                    let wrapped = Json::parse(text.as_bytes()).map_err(refused)?.into_owned();
                    if let Fields::Json { inner, .. } = &mut fields {
                        *inner = Some(wrapped);
                    }
                }
                fields
            }
        };
        Ok(Parsed { fields, raw })
    }

    /// A form with its texts in UTF-8, where it names another character set that is known.
    fn decoded<'a>(&self, mut form: Form<'a>) -> Form<'a> {
        let Some(path) = &self.charset else { return form };
        let name = path.to_string();
        let label = form.fields.iter().find(|field| *field.name == *name.as_bytes()).map(|field| field.value.clone());
        let Some(encoding) = label.and_then(|label| Encoding::for_label(&label)) else { return form };
        if encoding != encoding_rs::UTF_8 {
            for field in form.fields.iter_mut().filter(|field| !field.value.is_ascii()) {
                let text = encoding.decode_without_bom_handling(&field.value).0.into_owned();
                field.value = Cow::Owned(text.into_bytes());
            }
        }
        form
    }

    /// The order that a message names, in the first of several. What only rings names none.
    pub fn named(&self, message: &[u8]) -> Option<String> {
        if self.confirm.as_ref().is_some_and(Confirm::is_fetched) {
            return None;
        }
        let fields = match self.body {
            BodyForm::Form => Fields::Form(self.decoded(Form::parse(message).ok()?)),
            BodyForm::Json => {
                let root = Json::parse(message).ok()?;
                let mut fields = Fields::Json { root, inner: None };
                let text =
                    self.inner.as_ref().and_then(|path| Scope { fields: &fields, item: None }.text(path).map(Cow::into_owned));
                if let (Some(text), Fields::Json { inner, .. }) = (text, &mut fields) {
                    *inner = Json::parse(text.as_bytes()).ok().map(Json::into_owned);
                }
                fields
            }
        };
        let scope = self.scopes(&fields).ok()?.into_iter().next()?;
        Some(scope.first(&self.order.reference).into_owned())
    }

    /// The messages of a request.
    pub fn scopes<'f, 'a>(&self, fields: &'f Fields<'a>) -> Result<Vec<Scope<'f, 'a>>, Refused> {
        let whole = Scope { fields, item: None };
        let Some(items) = &self.items else { return Ok(vec![whole]) };
        let missing = || Refused { reason: RefusalReason::Malformed, detail: format!("There is no list {}.", items.within) };
        let Some(Json::List(list)) = whole.json(&items.within) else { return Err(missing()) };
        if list.is_empty() {
            return Err(missing());
        }
        if list.len() > MAX_ITEMS {
            return Err(Refused::because(RefusalReason::TooManyFields));
        }
        let message = |item: &'f Json<'a>| match &items.member {
            Some(member) => item.member(member),
            None => Some(item),
        };
        list.iter().map(|item| Ok(Scope { fields, item: Some(message(item).ok_or_else(missing)?) })).collect()
    }

    /// Checks signature and time stamp of one message; which way of signing it decided.
    pub fn prove(
        &self,
        scope: Scope<'_, '_>,
        raw: &[u8],
        credentials: Credentials<'_>,
        request: &Request<'_>,
    ) -> Result<&Signature, Refused> {
        let secrets = secrets(&credentials);
        let mut is_there = false;
        for signature in &self.signatures {
            let allowed =
                |secret: &&[u8]| signature.only_with.as_ref().is_none_or(|prefix| secret.starts_with(prefix.as_bytes()));
            let secrets = secrets.iter().flatten().copied().filter(allowed);
            let tried = secrets.clone().count();
            if tried == 0 {
                continue;
            }
            let Some(text) = find(&signature.from, scope, request) else { continue };
            is_there = true;
            let Found { candidates, time } = pick(signature, &text);
            if candidates.is_empty() {
                continue;
            }
            let time = match &signature.timestamp {
                Some(origin) => find(origin, scope, request),
                None => time.map(Cow::Borrowed),
            };
            let id = signature.id.as_ref().and_then(|origin| find(origin, scope, request)).unwrap_or_default();
            let source = Source {
                scope,
                // Where the fields are read from: a GET may carry a signed body beside its query.
                body: raw,
                timestamp: time.as_deref().unwrap_or_default(),
                id: &id,
                secret: &[],
                options: credentials.options,
                headers: request.headers,
                url: credentials.options.get(ADDRESS).map_or(request.url, |address| [address, ""]),
                pairs: signature.pairs.as_ref(),
                raw,
                token: &[],
                digest: &[],
            };
            // No early end: the time taken tells nothing about which of several was right.
            let mut right = false;
            for secret in secrets {
                let message = signature.message.fill(&Source { secret, ..source });
                for given in &candidates {
                    right |= signature.is_right(secret, &message, given);
                }
            }
            if !right {
                return Err(Refused { reason: RefusalReason::WrongSignature, detail: signature.told(tried) });
            }
            if let Some(tolerance) = signature.tolerance {
                fresh(time.as_deref(), tolerance, request.now)?;
            }
            return Ok(signature);
        }
        Err(if is_there {
            // Its sender is told no more than that it is wrong.
            Refused {
                reason: RefusalReason::WrongSignature,
                detail: "The signature has not the form that this gateway uses.".to_owned(),
            }
        } else {
            let mut places: Vec<_> = self.signatures.iter().map(|signature| signature.place()).collect();
            places.dedup();
            Refused { reason: RefusalReason::NoSignature, detail: format!("Expected in {}.", places.join(" or ")) }
        })
    }

    /// Whether a secret without a prefix is as long as a public key, of a gateway that takes either: used as a secret, the
    /// sender's public key, which everybody may know, would let everybody sign.
    pub fn is_ambiguous(&self, secret: &str) -> bool {
        let takes_public = self.signatures.iter().any(|one| one.only_with.is_some() && one.method.contains(&Method::Ed25519));
        let known = self.signatures.iter().map(|one| one.key_prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let is_named = known.into_iter().any(|prefix| secret.starts_with(prefix));
        let is_long = self.signatures.iter().any(|one| one.key.read(secret.as_bytes()).is_ok_and(|key| key.len() == 32));
        takes_public && !is_named && is_long
    }

    /// Whether each message of a request is signed by itself.
    pub fn signs_each_item(&self) -> bool {
        self.signatures.iter().any(|signature| matches!(signature.from, Origin::Field(_)))
    }

    /// Whether a test message came to a listener for real ones, or the other way round.
    pub fn fits_mode(&self, facts: &OrderFacts, credentials: Credentials<'_>) -> Result<(), Refused> {
        let has_sandbox = self.confirm.as_ref().is_some_and(|confirm| confirm.test_base.is_some());
        let wanted = match credentials.options.get(MODE) {
            Some("live") => false,
            Some("test") => true,
            // In a sandbox anybody can make messages that are true there.
            _ if has_sandbox => false,
            _ => return Ok(()),
        };
        if facts.test == wanted {
            return Ok(());
        }
        let detail =
            if facts.test { "It is a test; this listener takes real ones." } else { "It is real; this listener takes tests." };
        Err(Refused { reason: RefusalReason::WrongMode, detail: detail.to_owned() })
    }

    /// Whether fields are what the listener's options say.
    pub fn settled(&self, scope: Scope<'_, '_>, credentials: Credentials<'_>) -> Result<(), Refused> {
        for check in &self.checks {
            let Some(expected) = credentials.options.get(&check.option) else { continue };
            let found = scope.text(&check.field).unwrap_or_default();
            if check.where_told && found.trim().is_empty() {
                continue;
            }
            if !found.trim().eq_ignore_ascii_case(expected.trim()) {
                let detail = format!("{} is not what this listener expects ({}).", check.field, check.option);
                return Err(Refused { reason: RefusalReason::WrongMerchant, detail });
            }
        }
        Ok(())
    }
}

impl Signature {
    fn is_right(&self, secret: &[u8], message: &[u8], given: &[u8]) -> bool {
        let Some(given) = self.encoding.read(given) else { return false };
        let Ok(key) = self.key_of(secret) else { return false };
        let method = self.method.iter().find(|method| method.size() == given.len());
        method.is_some_and(|method| method.verify(&key, message, &given))
    }

    /// The key that a secret stands for.
    pub fn key_of<'s>(&self, secret: &'s [u8]) -> Result<Cow<'s, [u8]>, &'static str> {
        self.key.read(secret.strip_prefix(self.key_prefix.as_bytes()).unwrap_or(secret))
    }

    fn place(&self) -> String {
        match &self.from {
            Origin::Header(name) => format!("the header {name}"),
            Origin::Field(path) => format!("the field {path}"),
        }
    }

    fn told(&self, secrets: usize) -> String {
        let methods: Vec<_> = self.method.iter().map(|method| method.label()).collect();
        let tried = if secrets > 1 { "; neither the secret nor the previous one fits" } else { "" };
        format!("{} ({}) is wrong{tried}.", self.place(), methods.join(" or "))
    }
}

/// The secret, and the one before it while it is being replaced.
fn secrets<'a>(credentials: &Credentials<'a>) -> [Option<&'a [u8]>; 2] {
    [Some(credentials.secret), credentials.options.get(PREVIOUS_SECRET).map(str::as_bytes)]
}

/// A field's name that comes twice: a signature may run over one of the two, and the other be read. Items of a list
/// (`name[]`) share theirs, and nothing is ever read of them.
fn twice<'f>(form: &'f Form<'_>) -> Option<&'f [u8]> {
    let mut seen = HashSet::with_capacity(form.fields.len());
    let mut names = form.fields.iter().map(|field| &*field.name).filter(|name| !name.ends_with(b"[]"));
    names.find(|name| !seen.insert(*name))
}

fn find<'s>(origin: &Origin, scope: Scope<'s, '_>, request: &Request<'s>) -> Option<Cow<'s, [u8]>> {
    let found = match origin {
        Origin::Header(name) => request.headers.get(name.as_str()).map(|value| Cow::Borrowed(value.as_bytes())),
        Origin::Field(path) => scope.bytes(path),
    };
    found.filter(|text| !text.is_empty())
}

struct Found<'t> {
    candidates: Vec<&'t [u8]>,
    time: Option<&'t [u8]>,
}

fn pick<'t>(signature: &Signature, text: &'t [u8]) -> Found<'t> {
    let unprefixed = |text: &'t [u8]| {
        let prefix = signature.prefix.as_bytes();
        let begins = text.len() >= prefix.len() && text[..prefix.len()].eq_ignore_ascii_case(prefix);
        begins.then(|| &text[prefix.len()..])
    };
    let Some(List { separator, assign, name, time }) = &signature.list else {
        return Found { candidates: unprefixed(text.trim_ascii()).into_iter().collect(), time: None };
    };
    let mut found = Found { candidates: Vec::new(), time: None };
    for part in text.split(|byte| char::from(*byte) == *separator) {
        let part = part.trim_ascii();
        let Some(at) = part.iter().position(|byte| char::from(*byte) == *assign) else { continue };
        let (key, value) = (&part[..at], &part[at + 1..]);
        if key == name.as_bytes() && found.candidates.len() < MAX_CANDIDATES {
            found.candidates.extend(unprefixed(value));
        } else if time.as_ref().is_some_and(|time| key == time.as_bytes()) {
            found.time = Some(value);
        }
    }
    found
}

fn fresh(time: Option<&[u8]>, tolerance: u32, now: Timestamp) -> Result<(), Refused> {
    let stale = |detail: String| Refused { reason: RefusalReason::Stale, detail };
    let told = time.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse::<i64>().ok());
    let Some(told) = told else { return Err(stale("The time stamp is missing or no number.".to_owned())) };
    // Thirteen digits are milliseconds, in any year that matters.
    let told = if told >= 100_000_000_000 { told / 1_000 } else { told };
    let off = (now.micros().div_euclid(1_000_000)).saturating_sub(told);
    if off.unsigned_abs() > u64::from(tolerance) {
        let side = if off > 0 { "old" } else { "ahead of this server's clock" };
        return Err(stale(format!("The time stamp is {} seconds {side}; {tolerance} are allowed.", off.unsigned_abs())));
    }
    Ok(())
}

/// A moment in seconds since 1970, as time stamps of signatures are written.
pub fn now_text(now: Timestamp) -> String {
    now.micros().div_euclid(1_000_000).to_string()
}

impl Signature {
    /// The number of the message that a header carries.
    pub fn id_of<'a>(&self, request: &Request<'a>) -> Option<&'a [u8]> {
        match self.id.as_ref()? {
            Origin::Header(name) => request.headers.get(name.as_str()).map(http::HeaderValue::as_bytes),
            Origin::Field(_) => None,
        }
    }
}
