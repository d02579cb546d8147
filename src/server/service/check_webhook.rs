//! The same look at a message that left as JSON: its body, the headers of Standard Webhooks that came with it, and a signature
//! that a script computed.

use super::{Services, check::wrong, fields::Mistakes, shown};
use crate::server::{
    dispatch::format::webhook::{HEADERS, Secret},
    gateway,
    store::{Merchant, NotificationUrl},
};
use crate::{
    domain::{
        AppError, Format, Timestamp,
        pages::simulate::{CheckForm, CheckResult, Judgement},
    },
    words::t,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Seconds after which libraries of Standard Webhooks take a message for a replayed one.
const FRESH: i64 = 300;

/// What was pasted of a message.
struct Pasted<'a> {
    id: String,
    seconds: i64,
    signatures: Vec<String>,
    body: &'a [u8],
}

/// A secret, and whose it is.
struct Candidate {
    name: String,
    secret: Secret,
    /// It is of the URL that was chosen, or none was.
    meant: bool,
}

impl Services {
    /// Looks at what was pasted; `url` is the chosen one.
    pub(super) fn check_webhook(
        &self,
        merchant: &Merchant,
        url: Option<&NotificationUrl>,
        form: &CheckForm,
    ) -> Result<CheckResult, AppError> {
        let now = self.clock.now();
        let body = form.body.trim().as_bytes();
        let mut mistakes = Mistakes::default();
        let fields = shown::json_fields(body);
        if fields.is_empty() {
            mistakes.add("body", t!("This is no message: it begins like JSON, and is none. Paste all of it, as it came."));
        }
        let pasted = mistakes.take("headers", read(&form.headers, body));
        mistakes.end()?;
        let Some(pasted) = pasted else { return Err(AppError::NotFound) };
        let secrets = self.secrets(merchant, url, now);
        Ok(CheckResult {
            fields,
            source: String::from_utf8_lossy(&signed(&pasted, body)).into_owned(),
            signatures: vec![signature(&pasted, &secrets, now)],
            computed: (!form.computed.trim().is_empty()).then(|| computed(form.computed.trim(), &pasted, &secrets)),
            receipt: (!form.receipt.trim().is_empty()).then(|| Judgement {
                right: true,
                title: t!("No receipt is needed").to_owned(),
                sentences: vec![
                    t!("Whatever your script answers, a status from 200 to 299 confirms a message that left as JSON.").to_owned(),
                ],
                ..Judgement::default()
            }),
            receipts: Vec::new(),
        })
    }

    /// The signing secrets of the merchant's URLs, the chosen one's first.
    fn secrets(&self, merchant: &Merchant, chosen: Option<&NotificationUrl>, now: Timestamp) -> Vec<Candidate> {
        let settings = self.store.settings();
        let mut urls: Vec<_> = settings.urls_of(merchant.id).iter().filter(|url| url.terms.format == Format::Json).collect();
        urls.sort_by_key(|url| chosen.is_none_or(|chosen| chosen.id != url.id));
        let old = merchant.valid_old_key(now);
        let of = |url: &NotificationUrl| {
            let meant = chosen.is_none_or(|chosen| chosen.id == url.id);
            let new = Candidate {
                name: t!("the signing secret of {url}", url = url.label),
                secret: Secret::of(merchant.secret_key.reveal(), url.id),
                meant,
            };
            let old = old.as_ref().map(|old| Candidate {
                name: t!("the old signing secret of {url}, which is still valid", url = url.label),
                secret: Secret::of(old.key.reveal(), url.id),
                meant,
            });
            [Some(new), old]
        };
        urls.into_iter().flat_map(|url| of(url)).flatten().collect()
    }
}

/// Reads the headers, whatever else stands between them.
fn read<'a>(text: &str, body: &'a [u8]) -> Result<Pasted<'a>, String> {
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.map(|(known, value)| (known.trim(), value.trim())).find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty())
    };
    let [id, time, signatures] = HEADERS.map(value);
    let (Some(id), Some(time), Some(signatures)) = (id, time, signatures) else {
        let missing = t!(
            "Paste the lines webhook-id, webhook-timestamp and webhook-signature of the request's head: they are signed, too."
        );
        return Err(missing.to_owned());
    };
    let seconds = time.parse().map_err(|_| t!("webhook-timestamp is a number of seconds, such as 1772366400.").to_owned())?;
    Ok(Pasted { id, seconds, signatures: signatures.split_whitespace().map(str::to_owned).collect(), body })
}

/// The text that is signed.
fn signed(pasted: &Pasted<'_>, body: &[u8]) -> Vec<u8> {
    [format!("{}.{}.", pasted.id, pasted.seconds).as_bytes(), body].concat()
}

/// Judges the header.
fn signature(pasted: &Pasted<'_>, secrets: &[Candidate], now: Timestamp) -> Judgement {
    let found = pasted.signatures.join(" ");
    let by =
        |body: &[u8]| secrets.iter().find(|one| pasted.signatures.contains(&one.secret.sign(&pasted.id, pasted.seconds, body)));
    if let Some(candidate) = by(pasted.body) {
        let made = t!("It was made with {key} over exactly this body.", key = candidate.name);
        if !candidate.meant {
            let cure = t!("Every URL has a secret of its own: enter the one of the URL that this script is behind.").to_owned();
            return Judgement { found, ..wrong(t!("webhook-signature was made for another URL").to_owned(), [made, cure]) };
        }
        let age = now.micros().div_euclid(1_000_000).saturating_sub(pasted.seconds);
        let late = (age.abs() > FRESH).then(|| {
            t!("By now it is too old: libraries refuse what was signed more than five minutes ago. A resend is signed anew.")
                .to_owned()
        });
        return Judgement {
            right: true,
            title: t!("webhook-signature is right").to_owned(),
            sentences: [made].into_iter().chain(late).collect(),
            found,
            ..Judgement::default()
        };
    }
    for (what, body) in changes(pasted.body) {
        if by(&body).is_some() {
            let reason =
                t!("It would fit if the body were not {what}. Something between the server and your log changed it.", what);
            let cure = t!("Log the body byte for byte before anything reads it.").to_owned();
            return Judgement { found, ..wrong(t!("webhook-signature does not fit this body").to_owned(), [reason, cure]) };
        }
    }
    let reason = if secrets.is_empty() {
        t!("No URL of this merchant gets JSON, so nothing that is sent from here is signed so.")
    } else {
        t!(
            "It fits none of the signing secrets over this body. Either something was changed or left out on the way, or the message was not sent from here."
        )
    };
    Judgement {
        found,
        expected: expected(pasted, secrets),
        ..wrong(t!("webhook-signature is wrong").to_owned(), [reason.to_owned()])
    }
}

/// What may have been done to a body between the wire and the log, undone.
fn changes(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let text = String::from_utf8_lossy(body);
    let compact = gateway::compact_json(body);
    let with = |change: &dyn Fn(&str) -> String| gateway::compact_json(change(&text).as_bytes());
    let mut changes = Vec::new();
    changes.extend(compact.map(|body| (t!("written anew with white space"), body)));
    changes.extend(with(&|text| text.replace("&quot;", "\"").replace("&amp;", "&")).map(|body| (t!("HTML-escaped"), body)));
    changes
}

fn expected(pasted: &Pasted<'_>, secrets: &[Candidate]) -> String {
    let meant = secrets.iter().find(|one| one.meant);
    meant.map(|one| one.secret.sign(&pasted.id, pasted.seconds, pasted.body)).unwrap_or_default()
}

/// Finds out how a signature was computed that a script does not agree with.
fn computed(text: &str, pasted: &Pasted<'_>, secrets: &[Candidate]) -> Judgement {
    let found = text.to_owned();
    let plain = text.strip_prefix("v1,").unwrap_or(text).trim();
    // In whichever way it is written.
    let read = [STANDARD.decode(plain).ok(), hex::decode(plain).ok()];
    let is_hex = plain.len() == 64;
    let bytes = read.into_iter().flatten().find(|bytes| bytes.len() == 32);
    let Some(bytes) = bytes else {
        let sentence = t!("A signature is v1, and 44 characters of Base64.").to_owned();
        return Judgement { found, ..wrong(t!("This is no signature").to_owned(), [sentence]) };
    };
    let expected = expected(pasted, secrets);
    let is = |made: &[u8]| made == bytes.as_slice();
    let source = signed(pasted, pasted.body);
    let Some(right) = secrets.iter().find(|one| is(&one.secret.mac(&source))) else {
        for one in secrets {
            if let Some((what, cure)) = slip(one, pasted, &source, &is) {
                let sentence = t!("It is HMAC-SHA256 with {key}, but {what}.", key = one.name, what);
                return Judgement {
                    found,
                    expected,
                    ..wrong(t!("Your script signs something else").to_owned(), [sentence, cure.to_owned()])
                };
            }
        }
        let title = t!("Your signature is wrong, and none of the usual reasons explains it").to_owned();
        let cure = t!("Compare what your script hashes with the text below, byte for byte: the first difference is the fault.");
        let source = String::from_utf8_lossy(&source).into_owned();
        return Judgement { found, expected, source, ..wrong(title, [cure.to_owned()]) };
    };
    let sentence = t!("HMAC-SHA256 with {key}, over exactly this text.", key = right.name);
    if !right.meant {
        let cure = t!("Every URL has a secret of its own: enter the one of the URL that this script is behind.").to_owned();
        return Judgement {
            found,
            expected,
            ..wrong(t!("Your script has the secret of another URL").to_owned(), [sentence, cure])
        };
    }
    if is_hex {
        let cure = t!("The header has it as Base64, not as hexadecimal digits.").to_owned();
        return Judgement {
            found,
            expected,
            ..wrong(t!("Your signature is right, and written otherwise").to_owned(), [sentence, cure])
        };
    }
    Judgement {
        right: true,
        title: t!("Your signature is right").to_owned(),
        sentences: vec![sentence],
        found,
        ..Judgement::default()
    }
}

/// What scripts do by mistake, and the cure.
fn slip(one: &Candidate, pasted: &Pasted<'_>, source: &[u8], is: &dyn Fn(&[u8]) -> bool) -> Option<(&'static str, &'static str)> {
    let whole = one.secret.reveal();
    let base64 = whole.strip_prefix("whsec_").unwrap_or(&whole);
    let texts = [
        (
            pasted.body.to_vec(),
            t!("over the body alone"),
            t!("Sign webhook-id, webhook-timestamp and the body, with points between them."),
        ),
        (
            [format!("{}.", pasted.seconds).as_bytes(), pasted.body].concat(),
            t!("without webhook-id"),
            t!("Sign webhook-id, webhook-timestamp and the body, with points between them."),
        ),
        (
            [source, b"\n"].concat(),
            t!("with a line break at the end of the body"),
            t!("Hash the body exactly as it came, before any framework or filter touches it."),
        ),
    ];
    let keys = [
        (
            whole.as_bytes(),
            t!("with the secret as text, whsec_ included"),
            t!("Take whsec_ off and decode the rest from Base64: those bytes are the key."),
        ),
        (
            base64.as_bytes(),
            t!("with the secret as text, not decoded"),
            t!("Take whsec_ off and decode the rest from Base64: those bytes are the key."),
        ),
    ];
    let by_text = texts.into_iter().find(|(text, ..)| is(&one.secret.mac(text))).map(|(_, what, cure)| (what, cure));
    by_text.or_else(|| keys.into_iter().find(|(key, ..)| is(&Secret::mac_with(key, source))).map(|(_, what, cure)| (what, cure)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::UrlId;

    const BODY: &[u8] = r#"{"type":"order.paid","data":{"order":"1","customer":"Ána"}}"#.as_bytes();
    const SECONDS: i64 = 1_772_366_400;

    fn candidates() -> Vec<Candidate> {
        let of = |id: i64, meant| Candidate { name: format!("secret {id}"), secret: Secret::of(b"key", UrlId(id)), meant };
        vec![of(7, true), of(8, false)]
    }

    fn head(signature: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nHost: a.example\r\nWebhook-Id: msg_1\r\nwebhook-timestamp: {SECONDS}\r\nwebhook-signature: {signature}\r\n"
        )
    }

    fn pasted(signature: &str, body: &'static [u8]) -> Pasted<'static> {
        read(&head(signature), body).unwrap()
    }

    fn now(after: i64) -> Timestamp {
        Timestamp::from_seconds(SECONDS + after)
    }

    #[test]
    fn a_message_is_right_or_the_reason_is_found() {
        let secrets = candidates();
        let right = secrets[0].secret.sign("msg_1", SECONDS, BODY);
        let told = |signature: &str, body, after| self::signature(&pasted(signature, body), &secrets, now(after));
        let judged = told(&format!("v1,AAAA {right}"), BODY, 10);
        assert!(judged.right && judged.sentences.len() == 1, "one of several is enough: {judged:?}");
        let late = told(&right, BODY, 600);
        assert!(late.right && late.sentences[1].contains("too old"), "{late:?}");
        let other = told(&secrets[1].secret.sign("msg_1", SECONDS, BODY), BODY, 0);
        assert!(!other.right && other.title.contains("another URL"), "{other:?}");
        let spaced = told(&right, r#"{ "type": "order.paid", "data": {"order": "1", "customer": "Ána"} }"#.as_bytes(), 0);
        assert!(spaced.sentences[0].contains("white space"), "{spaced:?}");
        let changed = told(&right, br#"{"type":"order.paid","data":{"order":"2"}}"#, 0);
        assert!(!changed.right && !changed.expected.is_empty(), "{changed:?}");
        assert!(!self::signature(&pasted(&right, BODY), &[], now(0)).right);
        for head in ["", "webhook-id: 1\nwebhook-timestamp: 2", "webhook-id: 1\nwebhook-timestamp: soon\nwebhook-signature: v1,x"]
        {
            assert!(read(head, BODY).is_err_and(|told| told.contains("webhook-timestamp")), "{head}");
        }
    }

    #[test]
    fn how_a_script_computed_its_signature_is_found() {
        let secrets = candidates();
        let pasted = pasted("v1,x", BODY);
        let source = signed(&pasted, BODY);
        let secret = &secrets[0].secret;
        let of = |bytes: &[u8]| computed(&format!("v1,{}", STANDARD.encode(bytes)), &pasted, &secrets);
        assert!(of(&secret.mac(&source)).right);
        let hex = computed(&hex::encode(secret.mac(&source)), &pasted, &secrets);
        assert!(!hex.right && hex.sentences[1].contains("Base64"), "{hex:?}");
        assert!(of(&secrets[1].secret.mac(&source)).title.contains("another URL"));
        for (made, reason) in [
            (secret.mac(BODY), "body alone"),
            (secret.mac(&[b"1772366400.", BODY].concat()), "without webhook-id"),
            (secret.mac(&[&source[..], b"\n"].concat()), "line break"),
            (Secret::mac_with(secret.reveal().as_bytes(), &source), "whsec_ included"),
            (Secret::mac_with(&secret.reveal().as_bytes()[6..], &source), "not decoded"),
        ] {
            let judged = of(&made);
            assert!(!judged.right && judged.sentences[0].contains(reason), "{reason}: {judged:?}");
        }
        assert!(of(&[1; 32]).title.contains("none of the usual reasons"));
        assert!(computed("xyz", &pasted, &secrets).title.contains("no signature"));
    }
}
