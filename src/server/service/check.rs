//! Looks at what a developer pastes: a received message, a signature that his script computed, an answer of his script. Says
//! whether it is right and, if not, what was done to it. Nothing of it is stored or logged.

use super::{Services, fields::Mistakes, shown};
use crate::server::{
    dispatch::{
        attempt::other_keys,
        verdict::{AnswerView, EDITS, Expectation, MadeWith, characters, judge, utf16_units},
    },
    ipn::{Field, Form, ReceiptFacts, signature},
    listener::receipt_date,
    store::{Directory, Merchant},
};
use crate::{
    domain::{
        Algorithm, Algorithms, AppError, Format,
        id::UrlId,
        pages::simulate::{CheckForm, CheckResult, Judgement},
    },
    words::{reworded, t, tell},
};

/// A key with what it is.
struct Key<'a> {
    name: String,
    key: &'a [u8],
    /// Messages to scripts are signed with it.
    ours: bool,
}

impl Services {
    /// Looks at what was pasted.
    pub fn check_message(&self, merchant: &Merchant, form: &CheckForm) -> Result<CheckResult, AppError> {
        let settings = self.store.settings();
        let mut mistakes = Mistakes::default();
        let url = match form.url.trim() {
            "" => None,
            text => {
                let url = text.parse::<UrlId>().ok().and_then(|id| settings.url(id)).filter(|url| url.merchant_id == merchant.id);
                if url.is_none() {
                    mistakes.add("url", t!("This URL is not in use any more; choose another."));
                }
                url
            }
        };
        // What browsers and editors add at the ends is no part of it. A line break within stays.
        let body = form.body.trim().as_bytes();
        if matches!(body.first(), Some(b'{' | b'[')) {
            mistakes.end()?;
            return self.check_webhook(merchant, url.map(|url| &**url), form);
        }
        if url.is_some_and(|url| url.terms.format == Format::Json) {
            mistakes.add("body", t!("Messages to this URL are JSON: paste the body from its first brace to its last."));
        }
        let parsed = Form::parse(body);
        if let Err(error) = &parsed
            && (!body.is_empty() || !form.computed.trim().is_empty() || !form.receipt.trim().is_empty())
        {
            let needed = t!("Paste the body of the message that this is about, as your script received it: IPN_PID%5B%5D=1&….");
            mistakes.add(
                "body",
                if body.is_empty() {
                    needed.to_owned()
                } else {
                    t!("This is no message: {error}.", error = reworded(&error.to_string()))
                },
            );
        } else if body.is_empty() {
            mistakes.add("body", t!("Paste the body of a message, as your script received it: IPN_PID%5B%5D=1&…."));
        }
        mistakes.end()?;
        let Ok(parsed) = parsed else { return Err(AppError::NotFound) };
        let old = merchant.valid_old_key(self.clock.now()).map(|old| old.key.reveal());
        let others = other_keys(merchant, &settings);
        let keys = keys(merchant, old, &others);
        let algorithms = url.map_or(Algorithms::ALL, |url| url.algorithms);
        let facts = ReceiptFacts::of(&parsed);
        let date = receipt_date(self.clock.now());
        let offered = if url.is_some() { algorithms } else { present(&parsed) };
        let receipts = offered.iter().map(|algorithm| facts.receipt(algorithm, merchant.secret_key.reveal(), &date));
        Ok(CheckResult {
            fields: shown::fields(body),
            source: String::from_utf8_lossy(&signature::source(&parsed.fields)).into_owned(),
            signatures: signatures(&parsed, &keys, url.map(|url| url.algorithms)),
            computed: (!form.computed.trim().is_empty()).then(|| computed(form.computed.trim(), &parsed, &keys)),
            receipt: (!form.receipt.trim().is_empty())
                .then(|| receipt(&form.receipt, &parsed, body, (merchant, old), &settings, url.map(|url| url.algorithms))),
            receipts: receipts.collect(),
        })
    }
}

fn keys<'a>(merchant: &'a Merchant, old: Option<&'a [u8]>, others: &'a [(String, Vec<u8>)]) -> Vec<Key<'a>> {
    let new = Key { name: t!("your secret key").to_owned(), key: merchant.secret_key.reveal(), ours: true };
    let old = old.map(|key| Key { name: t!("your old secret key, which is still valid").to_owned(), key, ours: true });
    let others = others.iter().map(|(name, key)| Key { name: name.clone(), key, ours: false });
    [new].into_iter().chain(old).chain(others).collect()
}

/// The algorithms whose signatures are in a message; all of them where none is.
fn present(form: &Form<'_>) -> Algorithms {
    let found: Algorithms = form.fields.iter().filter_map(|field| signature::algorithm_of(&field.name)).collect();
    if found.is_empty() { Algorithms::ALL } else { found }
}

/// Judges the signatures in a message.
fn signatures(form: &Form<'_>, keys: &[Key<'_>], chosen: Option<Algorithms>) -> Vec<Judgement> {
    let signed: Vec<_> = form.fields.iter().filter_map(|field| Some((signature::algorithm_of(&field.name)?, field))).collect();
    let mut judged: Vec<_> = signed.iter().map(|(algorithm, field)| one_signature(*algorithm, field, form, keys)).collect();
    let missing = chosen.into_iter().flat_map(|chosen| chosen.iter().collect::<Vec<_>>());
    for algorithm in missing.filter(|algorithm| signed.iter().all(|(other, _)| other != algorithm)) {
        judged.push(wrong(
            t!("{field} is missing", field = algorithm.field()),
            [t!(
                "Messages to this URL are signed with {algorithm}. Paste the whole body, up to its last field.",
                algorithm = algorithm.label()
            )],
        ));
    }
    if judged.is_empty() {
        judged.push(wrong(
            t!("No signature").to_owned(),
            [t!("HASH, SIGNATURE_SHA2_256 and SIGNATURE_SHA3_256 are all missing. Paste the whole body, up to its last field.")
                .to_owned()],
        ));
    }
    judged
}

fn one_signature(algorithm: Algorithm, field: &Field<'_>, form: &Form<'_>, keys: &[Key<'_>]) -> Judgement {
    let source = signature::source(&form.fields);
    let is = |key: &[u8], source: &[u8]| signature::verify(algorithm, key, source, &field.value);
    let title = |word: &str| format!("{} ({}) {word}", algorithm.field(), algorithm.label());
    if let Some(key) = keys.iter().find(|key| is(key.key, &source)) {
        return if key.ours {
            Judgement {
                right: true,
                title: title(t!("is right")),
                sentences: vec![t!("It was made with {key} over exactly these values.", key = key.name)],
                ..Judgement::default()
            }
        } else {
            wrong(title(t!("was made with another key")), [
                t!("It was made with {key}.", key = key.name),
                t!("If your script checks with that key it accepts this message; what is sent from here is signed with your own.").to_owned(),
            ])
        };
    }
    for (what, changed) in changes(form) {
        let source = signature::source(&changed);
        if keys.iter().any(|key| is(key.key, &source)) {
            return wrong(
                title(t!("does not fit these values")),
                [
                    t!(
                        "It would fit if the values were not {what}. Something between the server and your log changed them.",
                        what
                    ),
                    t!("Log the body byte for byte before anything reads it.").to_owned(),
                ],
            );
        }
    }
    wrong(title(t!("is wrong")), [
        t!("It fits none of the merchant's keys over these values. Either a value was changed or left out on the way, or the message was not sent from here.").to_owned(),
        t!("Compare the text that is signed, below, with what your script hashes: every value once, in the order of the body, each with its length in bytes before it.").to_owned(),
    ])
}

/// What may have been done to the values between the wire and the log, undone: what is wrong, and the fields without it.
fn changes<'a>(form: &Form<'a>) -> Vec<(&'static str, Vec<Field<'a>>)> {
    let with = |change: fn(&str) -> String| -> Vec<Field<'a>> {
        let fields = form.fields.iter();
        fields.map(|field| Field { name: field.name.clone(), value: change(&field.text()).into_bytes().into() }).collect()
    };
    vec![
        (
            t!("HTML-escaped"),
            with(|text| {
                let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#039;", "'"), ("&#39;", "'"), ("&amp;", "&")];
                pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
            }),
        ),
        (t!("given slashes"), with(|text| text.replace("\\'", "'").replace("\\\"", "\"").replace("\\\\", "\\"))),
        (t!("decoded once too often (a plus became a space)"), with(|text| text.replace(' ', "+"))),
        (
            t!("decoded as Latin-1"),
            with(|text| {
                let bytes: Option<Vec<u8>> = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
            }),
        ),
        (
            t!("encoded a second time"),
            with(|text| {
                let once = Form::parse(text.as_bytes())
                    .ok()
                    .and_then(|form| form.fields.first().map(|field| String::from_utf8_lossy(&field.name).into_owned()));
                once.filter(|_| !text.contains(['&', '='])).unwrap_or_else(|| text.to_owned())
            }),
        ),
    ]
}

/// Finds out how a signature was computed that a script does not agree with.
fn computed(text: &str, form: &Form<'_>, keys: &[Key<'_>]) -> Judgement {
    let found = text.to_owned();
    let digits = text.as_bytes();
    let of_length: Vec<_> = Algorithm::ALL.into_iter().filter(|algorithm| algorithm.hex_len() == digits.len()).collect();
    if of_length.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        let sentence = t!("A signature is 32 hexadecimal digits (MD5) or 64 (SHA2, SHA3), and nothing else.").to_owned();
        return Judgement { found, ..wrong(t!("This is no signature").to_owned(), [sentence]) };
    }
    let made = |source: &[u8]| {
        let pairs = of_length.iter().flat_map(|algorithm| keys.iter().map(move |key| (*algorithm, key)));
        pairs
            .into_iter()
            .find(|(algorithm, key)| signature::verify(*algorithm, key.key, source, digits))
            .map(|(algorithm, key)| (algorithm, key.name.clone(), key.ours))
    };
    if let Some((algorithm, key, ours)) = made(&signature::source(&form.fields)) {
        let sentence = t!("{algorithm} with {key}, over exactly these values.", algorithm = algorithm.label(), key);
        return if ours {
            Judgement {
                right: true,
                title: t!("Your signature is right").to_owned(),
                sentences: vec![sentence],
                found,
                ..Judgement::default()
            }
        } else {
            let cure = t!("Use your own secret key: what is sent from here is signed with it.").to_owned();
            Judgement { found, ..wrong(t!("Your script has another key").to_owned(), [sentence, cure]) }
        };
    }
    for (source, what, cure) in slips(form) {
        if let Some((algorithm, key, _)) = made(&source) {
            let sentence = t!("{algorithm} with {key}, but {what}.", algorithm = algorithm.label(), key, what);
            return Judgement { found, ..wrong(t!("Your script hashes another text").to_owned(), [sentence, cure.to_owned()]) };
        }
    }
    let ours = keys.iter().find(|key| key.ours);
    let expected = ours.map(|key| signature::sign(of_length[0], key.key, &signature::source(&form.fields))).unwrap_or_default();
    Judgement {
        found,
        expected,
        source: String::from_utf8_lossy(&signature::source(&form.fields)).into_owned(),
        ..wrong(
            t!("Your signature is wrong, and none of the usual reasons explains it").to_owned(),
            [t!("Compare what your script hashes with the text below, byte for byte: the first difference is the fault.")
                .to_owned()],
        )
    }
}

/// Texts that scripts hash by mistake: the text, what is wrong with it, what to do.
fn slips(form: &Form<'_>) -> Vec<(Vec<u8>, String, &'static str)> {
    let fields: Vec<_> = form.fields.iter().filter(|field| signature::algorithm_of(&field.name).is_none()).collect();
    let over = |fields: &[&Field<'_>], length: fn(&[u8]) -> usize| -> Vec<u8> {
        fields.iter().fold(Vec::new(), |mut source, field| {
            source.extend_from_slice(length(&field.value).to_string().as_bytes());
            source.extend_from_slice(&field.value);
            source
        })
    };
    let bytes: fn(&[u8]) -> usize = |value| value.len();
    let full: Vec<_> = fields.iter().copied().filter(|field| !field.value.is_empty()).collect();
    let mut sorted = fields.clone();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let all: Vec<_> = form.fields.iter().collect();
    let mut first: Vec<&Field<'_>> = Vec::new();
    for field in &fields {
        if first.iter().all(|known| known.name != field.name) {
            first.push(field);
        }
    }
    let plain = fields.iter().fold(Vec::new(), |mut source, field| {
        source.extend_from_slice(&field.value);
        source
    });
    let named = fields.iter().fold(Vec::new(), |mut source, field| {
        for part in [&field.name, &field.value] {
            source.extend_from_slice(part.len().to_string().as_bytes());
            source.extend_from_slice(part);
        }
        source
    });
    let mut slips = vec![
        (
            over(&fields, characters),
            t!("the lengths are counted in characters instead of bytes").to_owned(),
            t!("Count the bytes of the UTF-8 text, for instance strlen in PHP, Buffer.byteLength in Node.js."),
        ),
        (
            over(&fields, utf16_units),
            t!("the lengths are counted in UTF-16 units instead of bytes").to_owned(),
            t!("Count the bytes of the UTF-8 text before it becomes a string."),
        ),
        (over(&full, bytes), t!("empty values are left out").to_owned(), t!("An empty value counts, too: it is the digit 0.")),
        (
            over(&sorted, bytes),
            t!("the fields are sorted by name").to_owned(),
            t!("Take the fields in the order in which they stand in the body."),
        ),
        (
            over(&all, bytes),
            t!("the signature fields themselves are in it").to_owned(),
            t!("Leave out HASH, SIGNATURE_SHA2_256 and SIGNATURE_SHA3_256, all three."),
        ),
        (
            over(&first, bytes),
            t!("of each array only the first value is in it").to_owned(),
            t!("Every value of an array counts, one after the other."),
        ),
        (plain, t!("the lengths are missing").to_owned(), t!("Put the length in bytes before each value.")),
        (named, t!("the names of the fields are in it").to_owned(), t!("Only values are hashed, never names.")),
    ];
    for (edit, what) in EDITS {
        let edited = fields.iter().fold(Vec::new(), |mut source, field| {
            signature::push_prefixed(&mut source, &edit(&field.value));
            source
        });
        slips.push((
            edited,
            t!("the values were {what} first", what),
            t!("Hash the values exactly as they came, before any framework or filter touches them."),
        ));
    }
    slips
}

/// Judges an answer.
fn receipt(
    answer: &str,
    form: &Form<'_>,
    body: &[u8],
    (merchant, old_key): (&Merchant, Option<&[u8]>),
    settings: &Directory,
    chosen: Option<Algorithms>,
) -> Judgement {
    let facts = ReceiptFacts::of(form);
    let sent: Vec<String> = form
        .fields
        .iter()
        .filter(|field| signature::algorithm_of(&field.name).is_some())
        .map(|field| field.text().into_owned())
        .collect();
    let other_keys = other_keys(merchant, settings);
    let expected = Expectation {
        receipt: &facts,
        key: merchant.secret_key.reveal(),
        old_key,
        algorithms: chosen.unwrap_or(Algorithms::NONE),
        signatures: &sent,
        body,
        other_keys: &other_keys,
    };
    let verdict = judge(&AnswerView { status: 200, location: None, body: answer.as_bytes(), truncated: false }, &expected);
    let detail = verdict.detail;
    let judgement = Judgement { found: detail.found, source: detail.source, expected: detail.expected, ..Judgement::default() };
    match verdict.cause {
        None => {
            let with_old = verdict.made_with == Some(MadeWith::Old);
            let hurry = with_old.then(|| t!("Enter the new key in your script before the old one ends.").to_owned());
            Judgement {
                right: true,
                title: t!("The receipt is right").to_owned(),
                sentences: [reworded(&detail.note)].into_iter().chain(hurry).collect(),
                ..judgement
            }
        }
        Some(cause) => {
            let parts = [tell(cause.sentence()).to_owned(), reworded(&detail.note), tell(cause.cure()).to_owned()];
            let sentences = parts.into_iter().filter(|part| !part.is_empty()).collect();
            Judgement { title: tell(cause.label()).to_owned(), sentences, cause: Some(cause), ..judgement }
        }
    }
}

pub(super) fn wrong(title: String, sentences: impl IntoIterator<Item = String>) -> Judgement {
    Judgement { title, sentences: sentences.into_iter().collect(), ..Judgement::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Tags, id::MerchantId};
    use crate::server::{dispatch::sign::sign, store::Secret};

    const RECEIVED: &[u8] =
        b"REFNO=1&EMPTY=&IPN_PID[]=7&IPN_PID[]=8&IPN_PNAME[]=+%C3%81lv%22+%26&IPN_PNAME[]=Other&IPN_DATE=20260301120000";

    fn merchant() -> Merchant {
        Merchant::new(MerchantId(1), String::new(), String::new(), Secret::new("key"))
    }

    fn sent(key: &[u8]) -> Vec<u8> {
        sign(RECEIVED, &Tags::All, Algorithms::ALL, key).unwrap().body.to_vec()
    }

    fn judged(body: &[u8]) -> Vec<Judgement> {
        let (merchant, others) = (merchant(), [("the gateway's key".to_owned(), b"gateway".to_vec())]);
        signatures(&Form::parse(body).unwrap(), &keys(&merchant, None, &others), None)
    }

    #[test]
    fn a_message_is_right_or_the_reason_is_found() {
        let right = judged(&sent(b"key"));
        assert_eq!((right.len(), right.iter().all(|one| one.right)), (3, true), "{right:?}");
        assert!(judged(&sent(b"gateway")).iter().all(|one| !one.right && one.title.contains("another key")));
        assert!(judged(RECEIVED)[0].title.contains("No signature"));
        let escaped = String::from_utf8(sent(b"key")).unwrap().replace("%22", "%26quot%3B").replace("+%26&", "+%26amp%3B&");
        assert!(judged(escaped.as_bytes())[0].sentences[0].contains("HTML-escaped"), "{:?}", judged(escaped.as_bytes()));
        let cut = String::from_utf8(sent(b"key")).unwrap().replace("EMPTY=&", "");
        assert!(judged(cut.as_bytes())[0].title.contains("is wrong"));
    }

    #[test]
    fn how_a_script_computed_its_signature_is_found() {
        let merchant = merchant();
        // With something in it that each slip would change.
        let received = [RECEIVED, b"&NOTE=a%5Cb"].concat();
        let body = sign(&received, &Tags::All, Algorithms::ALL, b"key").unwrap().body;
        let form = Form::parse(&body).unwrap();
        let keys = keys(&merchant, None, &[]);
        let of = |text: &str| computed(text, &form, &keys);
        let source = signature::source(&form.fields);
        for algorithm in Algorithm::ALL {
            assert!(of(&signature::sign(algorithm, b"key", &source).to_uppercase()).right, "{algorithm}");
        }
        for (source, what, _) in slips(&form) {
            let judgement = of(&signature::sign(Algorithm::Sha3, b"key", &source));
            assert!(!judgement.right, "{what}");
            assert!(judgement.title.contains("another text"), "{what}: {judgement:?}");
        }
        let unknown = of(&signature::sign(Algorithm::Md5, b"key", b"something else"));
        assert_eq!(unknown.expected, signature::sign(Algorithm::Md5, b"key", &source));
        assert!(of("xyz").title.contains("no signature"));
    }
}
