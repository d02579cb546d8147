//! The read receipt: the signed confirmation in the body of a listener's answer.
//!
//! | algorithm | form |
//! |---|---|
//! | MD5 | `<EPAYMENT>DATE\|HASH</EPAYMENT>` |
//! | SHA2 | `<sig algo="sha256" date="DATE">HASH</sig>` |
//! | SHA3 | `<sig algo="sha3-256" date="DATE">HASH</sig>` |
//!
//! HASH runs over the first product's id and name, `IPN_DATE` and DATE, each with its length in bytes before it.
//! Source: 2Checkout documentation, *IPN read receipt response*: the receipt may stand anywhere in the body, and the
//! hash is compared without regard to case. DATE is whatever the listener prints: forms in the wild range from
//! `20050303123434` to `2005-03-03 12:34:34`, so it is hashed as it stands and never judged.

use super::{form::Form, signature};
use crate::domain::Algorithm;
use std::borrow::Cow;

/// A body may hold several things that look like receipts; more than this many are not worth checking.
const MAX_FOUND: usize = 8;
/// Longest text between the tags, and longest DATE.
const MAX_RECEIPT: usize = 512;

/// What a receipt runs over, apart from its date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFacts {
    pub product_id: Vec<u8>,
    pub product_name: Vec<u8>,
    pub ipn_date: Vec<u8>,
    /// The notice is about a licence (LCN): in place of product and name stand its code and when it expires, and no date.
    pub is_licence: bool,
}

impl ReceiptFacts {
    /// Takes them from a notification. A field that is missing counts as empty, as it does in every listener
    /// written in PHP.
    pub fn of(form: &Form<'_>) -> Self {
        let value = |name| form.first(name).map(|field| field.value.to_vec()).unwrap_or_default();
        if form.first("IPN_DATE").is_none() && form.first("IPN_PID").is_none() && form.first("LICENSE_CODE").is_some() {
            let (product_id, product_name) = (value("LICENSE_CODE"), value("EXPIRATION_DATE"));
            return Self { product_id, product_name, ipn_date: Vec::new(), is_licence: true };
        }
        Self { is_licence: false, product_id: value("IPN_PID"), product_name: value("IPN_PNAME"), ipn_date: value("IPN_DATE") }
    }

    /// The text that is hashed for a receipt of this date.
    pub fn source(&self, date: &[u8]) -> Vec<u8> {
        let mut source = Vec::with_capacity(64 + self.product_name.len());
        let ipn_date = (!self.is_licence).then_some(&*self.ipn_date);
        for value in [Some(&*self.product_id), Some(&*self.product_name), ipn_date, Some(date)].into_iter().flatten() {
            signature::push_prefixed(&mut source, value);
        }
        source
    }

    /// A receipt in the form of an algorithm.
    pub fn receipt(&self, algorithm: Algorithm, key: &[u8], date: &str) -> String {
        let hash = signature::sign(algorithm, key, &self.source(date.as_bytes()));
        match algorithm {
            Algorithm::Md5 => format!("<EPAYMENT>{date}|{hash}</EPAYMENT>"),
            Algorithm::Sha2 => format!(r#"<sig algo="sha256" date="{date}">{hash}</sig>"#),
            Algorithm::Sha3 => format!(r#"<sig algo="sha3-256" date="{date}">{hash}</sig>"#),
        }
    }

    /// Whether a found receipt is right under a key.
    pub fn is_confirmed_by(&self, found: &FoundReceipt, key: &[u8]) -> bool {
        let right = |date: &[u8]| signature::verify(found.algorithm, key, &self.source(date), &found.hash);
        right(&found.date) || right(found.date.trim_ascii())
    }
}

/// A well-formed receipt in an answer; whether it is right is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundReceipt {
    /// As the form of the receipt says.
    pub algorithm: Algorithm,
    /// As printed.
    pub date: Vec<u8>,
    /// Hexadecimal digits, as printed, without surrounding space.
    pub hash: Vec<u8>,
}

/// Something in an answer that is, or was meant to be, a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A receipt of the right form.
    Receipt(FoundReceipt),
    /// A receipt that is cut off or of a wrong form: what is there.
    Malformed(String),
    /// The tag holds a sentence instead of a receipt, such as `Error. Cannot verify signature.`
    ErrorText(String),
}

/// Finds everything in an answer that is meant to be a receipt.
pub fn find(body: &[u8]) -> Vec<Finding> {
    let body = unescape_json(body);
    let lower = body.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut at = 0;
    while found.len() < MAX_FOUND {
        let epayment = position(&lower, b"<epayment>", at);
        let sig = sig_tag(&lower, at);
        let (start, finding, end) = match (epayment, sig) {
            (Some(epayment), sig) if sig.is_none_or(|sig| epayment < sig) => {
                let (finding, end) = read_epayment(&body, &lower, epayment + b"<epayment>".len());
                (epayment, finding, end)
            }
            (_, Some(sig)) => {
                let (finding, end) = read_sig(&body, &lower, sig + b"<sig".len());
                (sig, finding, end)
            }
            _ => break,
        };
        found.push(finding);
        at = end.max(start + 1);
    }
    if found.is_empty() {
        for escaped in [&b"&lt;epayment&gt;"[..], b"&lt;sig "] {
            if let Some(start) = position(&lower, escaped, 0) {
                found.push(Finding::Malformed(excerpt(&body[start..])));
            }
        }
    }
    found
}

/// The next `<sig …`; other tags begin with the same letters.
fn sig_tag(lower: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let start = position(lower, b"<sig", at)?;
        if lower.get(start + 4).is_some_and(u8::is_ascii_whitespace) {
            return Some(start);
        }
        at = start + 4;
    }
}

/// `<EPAYMENT>` has been read; gives what follows and where to go on.
fn read_epayment(body: &[u8], lower: &[u8], start: usize) -> (Finding, usize) {
    let Some(end) = position(lower, b"</epayment>", start).filter(|end| end - start <= MAX_RECEIPT) else {
        return (Finding::Malformed(excerpt(&body[start - b"<epayment>".len()..])), start);
    };
    // One that was never closed must not swallow the next.
    if position(lower, b"<epayment>", start).is_some_and(|next| next < end) {
        return (Finding::Malformed(excerpt(&body[start - b"<epayment>".len()..])), start);
    }
    let inner = &body[start..end];
    let finding = match inner.iter().rposition(|byte| *byte == b'|') {
        Some(bar) if is_hash(inner[bar + 1..].trim_ascii()) => {
            let hash = inner[bar + 1..].trim_ascii().to_vec();
            // A hash of SHA length in the MD5 form never verifies as MD5; the verdict tells it by its length.
            Finding::Receipt(FoundReceipt { algorithm: Algorithm::Md5, date: inner[..bar].to_vec(), hash })
        }
        Some(_) => Finding::Malformed(excerpt(inner)),
        None => Finding::ErrorText(excerpt(inner)),
    };
    (finding, end)
}

/// `<sig` has been read; gives what follows and where to go on.
fn read_sig(body: &[u8], lower: &[u8], start: usize) -> (Finding, usize) {
    let malformed = || (Finding::Malformed(excerpt(&body[start - b"<sig".len()..])), start);
    let Some(close) = position(lower, b">", start).filter(|close| close - start <= MAX_RECEIPT) else {
        return malformed();
    };
    let Some(end) = position(lower, b"</sig>", close).filter(|end| end - close <= MAX_RECEIPT) else {
        return malformed();
    };
    if sig_tag(lower, start).is_some_and(|next| next < end) {
        return malformed();
    }
    let attributes = &body[start..close];
    let algorithm = attribute(attributes, b"algo").and_then(|name| match &*name.to_ascii_lowercase() {
        b"sha256" | b"sha-256" | b"sha2-256" | b"sha2_256" => Some(Algorithm::Sha2),
        // The official Python SDK prints the underscore.
        b"sha3-256" | b"sha3_256" | b"sha3256" => Some(Algorithm::Sha3),
        b"md5" => Some(Algorithm::Md5),
        _ => None,
    });
    let hash = body[close + 1..end].trim_ascii();
    match (algorithm, attribute(attributes, b"date")) {
        (Some(algorithm), Some(date)) if is_hash(hash) => {
            (Finding::Receipt(FoundReceipt { algorithm, date: date.to_vec(), hash: hash.to_vec() }), end)
        }
        (_, None) | (None, _) => malformed(),
        _ if hash.contains(&b' ') => (Finding::ErrorText(excerpt(hash)), end),
        _ => malformed(),
    }
}

/// The value of an attribute: spaces around `=` and either kind of quote, or none, are fine.
fn attribute<'a>(attributes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = attributes.trim_ascii();
    while !rest.is_empty() {
        let name_end = rest.iter().position(|byte| *byte == b'=' || byte.is_ascii_whitespace()).unwrap_or(rest.len());
        let this = &rest[..name_end];
        rest = rest[name_end..].trim_ascii_start();
        let Some(after) = rest.strip_prefix(b"=") else {
            if name_end == 0 {
                return None;
            }
            continue;
        };
        rest = after.trim_ascii_start();
        let value = match rest.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let end = rest[1..].iter().position(|byte| byte == quote)? + 1;
                let value = &rest[1..end];
                rest = &rest[end + 1..];
                value
            }
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                let value = &rest[..end];
                rest = &rest[end..];
                value
            }
        };
        if this.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = rest.trim_ascii_start();
    }
    None
}

fn is_hash(text: &[u8]) -> bool {
    matches!(text.len(), 32 | 40 | 64 | 96 | 128) && text.iter().all(u8::is_ascii_hexdigit)
}

/// Some listeners wrap their answer in a JSON string; this undoes the escapes that would hide a receipt.
fn unescape_json(body: &[u8]) -> Cow<'_, [u8]> {
    const ESCAPES: [(&[u8], u8); 7] = [
        (br"\/", b'/'),
        (br#"\""#, b'"'),
        (br"\u003c", b'<'),
        (br"\u003e", b'>'),
        (br"\u003d", b'='),
        (br"\u0022", b'"'),
        (br"\u0027", b'\''),
    ];
    if !body.contains(&b'\\') {
        return Cow::Borrowed(body);
    }
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let escape = ESCAPES.iter().find(|(text, _)| rest.len() >= text.len() && rest[..text.len()].eq_ignore_ascii_case(text));
        match escape {
            Some((text, byte)) => {
                out.push(*byte);
                at += text.len();
            }
            None => {
                out.push(body[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}

fn position(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    haystack.get(from..)?.windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}

fn excerpt(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(200)];
    String::from_utf8_lossy(cut).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &[u8] = b"AABBCCDDEEFF";
    const DATE: &str = "20050303123434";

    fn facts() -> ReceiptFacts {
        ReceiptFacts {
            product_id: b"1".to_vec(),
            product_name: b"Software program".to_vec(),
            ipn_date: DATE.into(),
            is_licence: false,
        }
    }

    fn confirmed(body: &str) -> bool {
        find(body.as_bytes()).iter().any(|finding| match finding {
            Finding::Receipt(found) => facts().is_confirmed_by(found, KEY),
            _ => false,
        })
    }

    const MD5: &str = "<EPAYMENT>20050303123434|7bf97ed39681027d0c45aa45e3ea98f0</EPAYMENT>";
    const SHA2: &str =
        r#"<sig algo="sha256" date="20050303123434">ea6f44c39b3d204b59500998fcb9221c92744d9721a94b45fc6d5cda99980176</sig>"#;
    const SHA3: &str =
        r#"<sig algo="sha3-256" date="20050303123434">85180497aaaa4844a278b52b1ce257d2820dbf5857470a5f678fef2266d0d4a8</sig>"#;

    #[test]
    fn a_receipt_that_was_never_closed_swallows_no_other() {
        let md5 = "<EPAYMENT>20260301120010|0123456789abcdef0123456789abcdef</EPAYMENT>";
        let sha = format!("<sig algo=\"sha256\" date=\"20260301120010\">{}</sig>", "ab".repeat(32));
        for (begun, whole) in
            [("<EPAYMENT>", md5), ("<EPAYMENT>2026|", md5), ("<sig algo=\"sha256\" date=\"1\">ab", sha.as_str())]
        {
            let found = find(format!("{begun}\n{whole}").as_bytes());
            assert!(matches!(found[0], Finding::Malformed(_)), "{found:?}");
            assert_eq!(found[1..], find(whole.as_bytes()), "{begun}");
        }
    }

    #[test]
    fn the_documented_receipts() {
        assert_eq!(facts().source(DATE.as_bytes()), b"1116Software program14200503031234341420050303123434");
        assert_eq!(facts().receipt(Algorithm::Md5, KEY, DATE), MD5);
        assert_eq!(facts().receipt(Algorithm::Sha2, KEY, DATE), SHA2);
        assert_eq!(facts().receipt(Algorithm::Sha3, KEY, DATE), SHA3);
    }

    /// License change notifications hash other fields by the same rule; the official page prints this one.
    #[test]
    fn the_documented_receipt_of_a_license_change() {
        let form = Form::parse(b"LICENSE_CODE=3C343D0FAF&EXPIRATION_DATE=2005-03-03&STATUS=ACTIVE").unwrap();
        let source = ReceiptFacts::of(&form).source(b"20081117145935");
        assert_eq!(source, b"103C343D0FAF102005-03-031420081117145935");
        for (algorithm, hash) in [
            (Algorithm::Md5, "cb34fe2991668eb82364edf62f845a34"),
            (Algorithm::Sha2, "cdd64ce75e6cf013a60291229c83063a5d903eae3bfa216e99aae8af65a055e8"),
            (Algorithm::Sha3, "7fc19d21103ea56f1b413315fb3feb5fbdd137758623a73c7ed12d9bb84f21db"),
        ] {
            assert_eq!(signature::sign(algorithm, KEY, &source), hash);
        }
    }

    #[test]
    fn receipts_are_found_in_whatever_surrounds_them() {
        for receipt in [MD5, SHA2, SHA3] {
            assert!(confirmed(receipt));
            assert!(confirmed(&format!("<html>Verified OK!\n{receipt}\n</html>")));
            assert!(confirmed(&format!("{{\"receipt\":\"{}\"}}", receipt.replace('"', "\\\"").replace('/', "\\/"))));
            assert!(confirmed(&receipt.replace('<', r"\u003C").replace('>', r"\u003e")));
            assert!(confirmed(&format!("<EPAYMENT>Error.</EPAYMENT> {receipt}")), "after something that is none");
            assert!(confirmed(&format!("<signature>none</signature> <sigma/> {receipt}")), "after tags that begin like one");
        }
        assert!(confirmed(&MD5.to_uppercase()) && confirmed(&MD5.to_lowercase()));
        assert!(confirmed(&MD5.replace('|', "|\n ")));
    }

    #[test]
    fn attributes_are_read_as_listeners_print_them() {
        assert!(confirmed(&SHA3.replace("sha3-256", "sha3_256")));
        assert!(confirmed(&SHA2.replace("algo=", "ALGO = ").replace("date=", "Date= ")));
        assert!(confirmed(&SHA2.replace('"', "'")));
        assert!(confirmed(&SHA2.replace('"', "")));
        assert!(confirmed(&SHA2.replace("<sig algo", "<sig\n\tid=\"x\" checked algo")));
        assert!(confirmed(&SHA2.replace("date=\"", "date=\" ")), "a space before the date that was not hashed");
        assert!(!confirmed(&SHA2.replace("sha256", "sha1")));
    }

    #[test]
    fn the_date_is_opaque() {
        for date in ["2005-03-03 12:34:34", "9:5", "", "Thu, 03 Mar 2005", "|||"] {
            for algorithm in Algorithm::ALL {
                assert!(confirmed(&facts().receipt(algorithm, KEY, date)), "{algorithm} {date:?}");
            }
        }
    }

    #[test]
    fn what_is_no_receipt_is_named() {
        assert_eq!(find(b"OK"), vec![]);
        assert_eq!(find(b"<signature>x</signature>"), vec![]);
        assert_eq!(
            find(b"<EPAYMENT>Error. Cannot verify signature.</EPAYMENT>"),
            vec![Finding::ErrorText("Error. Cannot verify signature.".into())]
        );
        assert!(matches!(&find(&MD5.as_bytes()[..60])[..], [Finding::Malformed(_)]), "cut off");
        assert!(matches!(&find(&SHA2.as_bytes()[..60])[..], [Finding::Malformed(_)]), "cut off");
        assert!(matches!(&find(b"<EPAYMENT>2005|zz</EPAYMENT>")[..], [Finding::Malformed(_)]));
        assert!(matches!(&find(MD5.replace('<', "&lt;").replace('>', "&gt;").as_bytes())[..], [Finding::Malformed(_)]));
    }

    #[test]
    fn a_sha_hash_in_the_md5_form_does_not_confirm() {
        let sha = facts().receipt(Algorithm::Sha2, KEY, DATE);
        let hash = sha.split(['>', '<']).nth(2).unwrap();
        assert!(!confirmed(&format!("<EPAYMENT>{DATE}|{hash}</EPAYMENT>")));
    }

    proptest! {
        #[test]
        fn any_answer_is_searched_without_a_panic(
            body in proptest::collection::vec(prop_oneof![
                Just(b"<EPAYMENT>".to_vec()), Just(b"</EPAYMENT>".to_vec()), Just(b"<sig ".to_vec()), Just(b"</sig>".to_vec()),
                Just(b"date=\"".to_vec()), Just(b"algo='sha256'".to_vec()), Just(b"\\u003c".to_vec()), Just(MD5.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..10)], 0..30)
        ) {
            prop_assert!(find(&body.concat()).len() <= MAX_FOUND);
        }
    }
}
