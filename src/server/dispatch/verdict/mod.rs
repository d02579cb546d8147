//! Reads an answer: confirmed, or why not. Pure: bytes and keys in, a cause with its evidence out.
//!
//! The only proof is a right read receipt, wherever it stands in the body and whatever the status says: the
//! documentation names no other test, and listeners in the wild answer 200 without having understood anything.

use crate::domain::{Algorithm, Algorithms, Cause, attempt::VerdictDetail};
use crate::server::ipn::{
    Form, ReceiptFacts,
    receipt::{Finding, FoundReceipt, find},
    signature,
};

/// What an answer is measured against.
pub struct Expectation<'a> {
    pub receipt: &'a ReceiptFacts,
    /// The merchant's secret key.
    pub key: &'a [u8],
    /// The merchant's key before, while it is still valid: a receipt made with it counts.
    pub old_key: Option<&'a [u8]>,
    /// The algorithms chosen for the URL.
    pub algorithms: Algorithms,
    /// The signatures in the message that was sent.
    pub signatures: &'a [String],
    /// The message that was sent.
    pub body: &'a [u8],
    /// Other keys of the merchant's, named: a script often has the gateway's.
    pub other_keys: &'a [(String, Vec<u8>)],
}

/// An answer as it was read.
pub struct AnswerView<'a> {
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<&'a str>,
    pub body: &'a [u8],
    /// There was more than was read.
    pub truncated: bool,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `None`: confirmed.
    pub cause: Option<Cause>,
    pub detail: VerdictDetail,
    /// With which key the receipt was made that confirmed.
    pub made_with: Option<MadeWith>,
}

/// One of the two keys that are valid while a key is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MadeWith {
    /// The merchant's key, which is the only one as a rule.
    New,
    /// The one before.
    Old,
}

impl Verdict {
    /// A failure with one more sentence about it.
    pub fn failed(cause: Cause, note: impl Into<String>) -> Self {
        Self { cause: Some(cause), detail: VerdictDetail { note: note.into(), ..VerdictDetail::default() }, made_with: None }
    }
}

/// Judges an answer.
pub fn judge(answer: &AnswerView<'_>, expected: &Expectation<'_>) -> Verdict {
    let findings = find(answer.body);
    let receipts = || {
        findings.iter().filter_map(|finding| match finding {
            Finding::Receipt(found) => Some(found),
            Finding::Malformed(_) | Finding::ErrorText(_) => None,
        })
    };
    let right = |found: &FoundReceipt| {
        if is_strong_enough(found.algorithm, expected) { key_of(found, expected) } else { None }
    };
    if let Some((found, made_with)) = receipts().find_map(|found| Some((found, right(found)?))) {
        let key = match (made_with, expected.old_key) {
            (_, None) => "",
            (MadeWith::New, Some(_)) => " It was made with the new key.",
            (MadeWith::Old, Some(_)) => " It was made with the old key, which is still valid.",
        };
        let note = format!("Confirmed by a {} receipt.{key}", found.algorithm.label());
        let detail = VerdictDetail { note, found: shown(found), ..VerdictDetail::default() };
        return Verdict { cause: None, detail, made_with: Some(made_with) };
    }
    let is_success = (200..300).contains(&answer.status);
    if is_success {
        if let Some(found) = receipts().next() {
            return wrong(found, expected);
        }
        for finding in &findings {
            match finding {
                Finding::ErrorText(text) => {
                    return Verdict {
                        detail: VerdictDetail { found: text.clone(), ..VerdictDetail::default() },
                        ..Verdict::failed(Cause::ErrorInReceipt, "")
                    };
                }
                Finding::Malformed(text) => {
                    return Verdict {
                        detail: VerdictDetail { found: text.clone(), ..VerdictDetail::default() },
                        ..Verdict::failed(Cause::MalformedReceipt, "")
                    };
                }
                Finding::Receipt(_) => {}
            }
        }
        if answer.truncated {
            return Verdict::failed(Cause::AnswerTooLarge, "");
        }
    }
    let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(SEARCHED)]);
    by_status(answer, &body).unwrap_or_else(|| by_body(&body))
}

/// Of a body without a receipt, as much is looked at to tell what it is.
pub(super) const SEARCHED: usize = 64 << 10;

/// The key that a receipt was made with, where that is one of ours.
fn key_of(found: &FoundReceipt, expected: &Expectation<'_>) -> Option<MadeWith> {
    let old = || expected.old_key.is_some_and(|old| expected.receipt.is_confirmed_by(found, old));
    if expected.receipt.is_confirmed_by(found, expected.key) { Some(MadeWith::New) } else { old().then_some(MadeWith::Old) }
}

/// A receipt must be at least as strong as the weakest algorithm chosen for the URL: who chose SHA3 alone does not
/// want to be confirmed by MD5.
fn is_strong_enough(algorithm: Algorithm, expected: &Expectation<'_>) -> bool {
    expected.algorithms.weakest().is_none_or(|weakest| algorithm >= weakest)
}

fn shown(found: &FoundReceipt) -> String {
    let (date, hash) = (String::from_utf8_lossy(&found.date), String::from_utf8_lossy(&found.hash));
    format!("{} {hash}, dated {date:?}", found.algorithm.label())
}

/// Finds out why a receipt is wrong by making it the ways that scripts get it wrong.
fn wrong(found: &FoundReceipt, expected: &Expectation<'_>) -> Verdict {
    let facts = expected.receipt;
    let source = facts.source(&found.date);
    let detail = VerdictDetail {
        note: String::new(),
        found: shown(found),
        source: String::from_utf8_lossy(&source).into_owned(),
        expected: signature::sign(found.algorithm, expected.key, &source),
        ..VerdictDetail::default()
    };
    let verdict =
        |cause, note: String| Verdict { cause: Some(cause), detail: VerdictDetail { note, ..detail.clone() }, made_with: None };
    let is = |algorithm, key: &[u8], source: &[u8]| signature::verify(algorithm, key, source, &found.hash);
    let is_source = |source: &[u8]| {
        is(found.algorithm, expected.key, source) || expected.old_key.is_some_and(|old| is(found.algorithm, old, source))
    };

    if key_of(found, expected).is_some() {
        let chosen = expected.algorithms.labels();
        return verdict(
            Cause::WrongAlgorithm,
            format!("It was made with {}; chosen for this URL: {chosen}.", found.algorithm.label()),
        );
    }
    let other =
        Algorithm::ALL.into_iter().find(|algorithm| *algorithm != found.algorithm && is(*algorithm, expected.key, &source));
    if let Some(other) = other {
        let (form, made) = (found.algorithm.label(), other.label());
        return verdict(Cause::WrongAlgorithm, format!("It has the form of a {form} receipt, but its hash is {made}."));
    }
    for (name, key) in expected.other_keys {
        if is(found.algorithm, key, &source) {
            return verdict(Cause::WrongKey, format!("It was made with {name}."));
        }
    }
    if expected.signatures.iter().any(|signature| signature.as_bytes().eq_ignore_ascii_case(&found.hash)) {
        return verdict(Cause::CopiedSignature, String::new());
    }
    let values = [&*facts.product_id, &*facts.product_name, &*facts.ipn_date, &*found.date];
    for (length, unit) in [(characters as fn(&[u8]) -> usize, "characters"), (utf16_units, "UTF-16 units")] {
        if is_source(&measured(&values, length)) {
            return verdict(Cause::CharacterLengths, format!("The lengths are counted in {unit}."));
        }
    }
    for source in all_products(expected.body, &facts.ipn_date, &found.date) {
        if is_source(&source) {
            return verdict(Cause::AllProducts, String::new());
        }
    }
    for (date, what) in [(&*facts.ipn_date, "IPN_DATE"), (&b""[..], "no date at all")] {
        if is_source(&facts.source(date)) {
            return verdict(Cause::OtherDate, format!("The hash runs over {what}; the receipt prints another date."));
        }
    }
    for (edit, what) in EDITS {
        let edited = ReceiptFacts {
            product_id: edit(&facts.product_id),
            product_name: edit(&facts.product_name),
            ipn_date: edit(&facts.ipn_date),
            is_licence: facts.is_licence,
        };
        if edited != *facts && is_source(&edited.source(&found.date)) {
            return verdict(Cause::EditedValues, format!("The values were {what} before they were hashed."));
        }
    }
    verdict(Cause::WrongReceipt, String::new())
}

/// Something done to a value, and how that is called.
pub type Edit = (fn(&[u8]) -> Vec<u8>, &'static str);

/// What frameworks do to values before a script sees them.
pub const EDITS: [Edit; 5] = [
    (|value| value.trim_ascii().to_vec(), "trimmed"),
    (|value| replaced(value, &[("\\", "")]), "stripped of slashes"),
    (|value| replaced(value, &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;")]), "HTML-escaped"),
    (
        |value| replaced(value, &[("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#039;")]),
        "HTML-escaped with quotes",
    ),
    (|value| replaced(value, &[("\\", "\\\\"), ("'", "\\'"), ("\"", "\\\"")]), "given slashes"),
];

fn replaced(value: &[u8], pairs: &[(&str, &str)]) -> Vec<u8> {
    let text = String::from_utf8_lossy(value).into_owned();
    pairs.iter().fold(text, |text, (from, to)| text.replace(from, to)).into_bytes()
}

/// Characters of a text.
pub fn characters(value: &[u8]) -> usize {
    String::from_utf8_lossy(value).chars().count()
}

/// Units of a text in UTF-16, as Java, C# and JavaScript count them.
pub fn utf16_units(value: &[u8]) -> usize {
    String::from_utf8_lossy(value).encode_utf16().count()
}

fn measured(values: &[&[u8]], length: fn(&[u8]) -> usize) -> Vec<u8> {
    let mut source = Vec::new();
    for value in values {
        source.extend_from_slice(length(value).to_string().as_bytes());
        source.extend_from_slice(value);
    }
    source
}

/// The ways to take all products: all ids then all names, or product by product.
fn all_products(body: &[u8], ipn_date: &[u8], date: &[u8]) -> Vec<Vec<u8>> {
    let Ok(form) = Form::parse(body) else { return Vec::new() };
    let values = |name: &str| {
        let fields = form.fields.iter().filter(|field| field.base_name() == name.as_bytes());
        fields.map(|field| &*field.value).collect::<Vec<&[u8]>>()
    };
    let (ids, names) = (values("IPN_PID"), values("IPN_PNAME"));
    let apart = ids.iter().chain(&names).copied().collect::<Vec<_>>();
    let paired = ids.iter().zip(&names).flat_map(|(id, name)| [*id, *name]).collect::<Vec<_>>();
    [apart, paired]
        .into_iter()
        .map(|mut values| {
            values.extend([ipn_date, date]);
            measured(&values, |value| value.len())
        })
        .collect()
}

/// What a status tells by itself; `None` where the body has to tell.
pub(super) fn by_status(answer: &AnswerView<'_>, body: &str) -> Option<Verdict> {
    let status = answer.status;
    let note = format!("It answered with status {status}.");
    if matches!(status, 403 | 429 | 503) && (is_challenge(body) || asks_for_a_person(body)) {
        return Some(Verdict::failed(Cause::Challenge, note));
    }
    let cause = match status {
        200..=299 => return None,
        300..=399 => {
            let to = answer.location.map_or_else(String::new, |to| format!(" It leads to {to}"));
            return Some(Verdict::failed(Cause::Redirect, format!("{note}{to}")));
        }
        401 | 403 => Cause::Denied,
        404 => Cause::NotFound,
        405 => Cause::MethodRefused,
        410 => Cause::Gone,
        413 => Cause::PayloadRefused,
        429 => Cause::RateLimited,
        400..=499 => Cause::ClientError,
        500..=599 => Cause::ServerError,
        _ => Cause::OtherStatus,
    };
    Some(Verdict::failed(cause, note))
}

/// What a body without a receipt is.
fn by_body(body: &str) -> Verdict {
    let text = body.trim();
    if text.is_empty() {
        return Verdict::failed(Cause::EmptyAnswer, "");
    }
    if is_challenge(text) {
        return Verdict::failed(Cause::Challenge, "");
    }
    if let Some(line) = script_error(text) {
        return Verdict {
            detail: VerdictDetail { found: line, ..VerdictDetail::default() },
            ..Verdict::failed(Cause::ScriptError, "")
        };
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("<html") || lower.contains("<!doctype html") || lower.contains("<body") {
        let title = lower.find("<title>").and_then(|start| text.get(start + 7..)).and_then(|rest| rest.split('<').next());
        let note = title.map(|title| format!("Its title is {:?}.", title.trim())).unwrap_or_default();
        return Verdict::failed(Cause::HtmlPage, note);
    }
    let start: String = text.chars().take(200).collect();
    Verdict { detail: VerdictDetail { found: start, ..VerdictDetail::default() }, ..Verdict::failed(Cause::PlainText, "") }
}

fn is_challenge(body: &str) -> bool {
    const MARKS: [&str; 6] = [
        "cf-chl-",
        "cf-browser-verification",
        "attention required! | cloudflare",
        "<title>just a moment...",
        "_incapsula_resource",
        "sucuri website firewall",
    ];
    let lower = body.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.contains(mark))
}

/// What also stands on pages with a form that nobody is kept from.
fn asks_for_a_person(body: &str) -> bool {
    const MARKS: [&str; 2] = ["challenges.cloudflare.com", "g-recaptcha"];
    let lower = body.to_ascii_lowercase();
    MARKS.iter().any(|mark| lower.contains(mark))
}

/// The line in which a programming language tells of an error.
fn script_error(body: &str) -> Option<String> {
    const MARKS: [&str; 10] = [
        "Fatal error:",
        "Parse error:",
        "Uncaught ",
        "Traceback (most recent call last)",
        "Stack trace:",
        "Unhandled exception",
        "Unhandled Exception",
        "Server Error in '",
        "Internal Server Error",
        "SQLSTATE[",
    ];
    let is_warning = |line: &str| {
        (line.contains("Warning:") || line.contains("Notice:") || line.contains("Deprecated:")) && line.contains(" on line ")
    };
    // PHP prints its errors with bold tags in between.
    let plain = body.replace("<b>", "").replace("</b>", "");
    let line = plain.lines().find(|line| MARKS.iter().any(|mark| line.contains(mark)) || is_warning(line))?;
    Some(line.trim().chars().take(300).collect())
}

#[cfg(test)]
mod tests;
