//! Answers of all kinds, and what is made of each.

use super::*;
use crate::domain::Tags;
use crate::server::dispatch::sign::{Outgoing, sign};
use proptest::prelude::*;

const KEY: &[u8] = b"merchant-key";
const DATE: &str = "20260301120010";

fn outgoing(algorithms: Algorithms) -> Outgoing {
    let received =
        "REFNO=1&IPN_PID[]=7&IPN_PID[]=8&IPN_PNAME[]=+%C3%81lvaro+%22%5C%22+%26+co&IPN_PNAME[]=Other&IPN_DATE=20260301120000";
    sign(received.as_bytes(), &Tags::All, algorithms, KEY).unwrap()
}

fn judged(body: &str, status: u16, algorithms: Algorithms) -> Verdict {
    let outgoing = outgoing(algorithms);
    let other_keys = [("the secret key of the listener Shop".to_owned(), b"gateway-key".to_vec())];
    let expected = Expectation {
        receipt: &outgoing.receipt,
        key: KEY,
        old_key: Some(b"old-key"),
        algorithms,
        signatures: &outgoing.signatures,
        body: &outgoing.body,
        other_keys: &other_keys,
    };
    judge(&AnswerView { status, location: Some("https://www.example.com/"), body: body.as_bytes(), truncated: false }, &expected)
}

fn cause(body: &str) -> Option<Cause> {
    judged(body, 200, Algorithms::MD5).cause
}

fn md5_over(source: &[u8], key: &[u8]) -> String {
    format!("<EPAYMENT>{DATE}|{}</EPAYMENT>", signature::sign(Algorithm::Md5, key, source))
}

#[test]
fn a_right_receipt_confirms_whatever_surrounds_it() {
    let receipt = outgoing(Algorithms::MD5).receipt.receipt(Algorithm::Md5, KEY, DATE);
    assert_eq!(cause(&receipt), None);
    assert_eq!(cause(&format!("<html>Fatal error: x\n{receipt}")), None);
    assert_eq!(judged(&receipt, 500, Algorithms::MD5).cause, None, "the receipt is the proof, not the status");
}

#[test]
fn while_a_key_is_changed_either_confirms_and_the_verdict_says_which() {
    let facts = outgoing(Algorithms::MD5).receipt;
    for (key, made_with, word) in [(KEY, MadeWith::New, "new key"), (b"old-key", MadeWith::Old, "old key")] {
        let verdict = judged(&facts.receipt(Algorithm::Sha2, key, DATE), 200, Algorithms::MD5);
        assert_eq!((verdict.cause, verdict.made_with), (None, Some(made_with)));
        assert!(verdict.detail.note.contains(word), "{}", verdict.detail.note);
    }
    let values: [&[u8]; 4] = [b"7", &facts.product_name, b"20260301120000", DATE.as_bytes()];
    let slip = md5_over(&measured(&values, characters), b"old-key");
    assert_eq!(cause(&slip), Some(Cause::CharacterLengths), "the reason is found whichever key it was");
}

#[test]
fn a_receipt_must_not_be_weaker_than_asked() {
    let facts = outgoing(Algorithms::ALL).receipt;
    for algorithm in Algorithm::ALL {
        let receipt = facts.receipt(algorithm, KEY, DATE);
        assert_eq!(judged(&receipt, 200, Algorithms::MD5).cause, None, "stronger than asked is welcome");
        let only_sha3 = judged(&receipt, 200, Algorithms::NONE.with(Algorithm::Sha3)).cause;
        assert_eq!(only_sha3, (algorithm != Algorithm::Sha3).then_some(Cause::WrongAlgorithm));
    }
    let sha2 = signature::sign(Algorithm::Sha2, KEY, &facts.source(DATE.as_bytes()));
    assert_eq!(cause(&format!("<EPAYMENT>{DATE}|{sha2}</EPAYMENT>")), Some(Cause::WrongAlgorithm));
}

#[test]
fn wrong_receipts_are_explained() {
    let sent = outgoing(Algorithms::MD5);
    let facts = &sent.receipt;
    let source = facts.source(DATE.as_bytes());
    assert_eq!(cause(&md5_over(&source, b"gateway-key")), Some(Cause::WrongKey));
    assert_eq!(cause(&md5_over(&source, b"nobody's")), Some(Cause::WrongReceipt));
    let name = facts.product_name.clone();
    let date = DATE.as_bytes();
    let values: [&[u8]; 4] = [b"7", &name, b"20260301120000", date];
    assert_eq!(cause(&md5_over(&measured(&values, characters), KEY)), Some(Cause::CharacterLengths));
    let all: [&[u8]; 6] = [b"7", b"8", &name, b"Other", b"20260301120000", date];
    assert_eq!(cause(&md5_over(&measured(&all, |value| value.len()), KEY)), Some(Cause::AllProducts));
    let all: [&[u8]; 6] = [b"7", &name, b"8", b"Other", b"20260301120000", date];
    assert_eq!(cause(&md5_over(&measured(&all, |value| value.len()), KEY)), Some(Cause::AllProducts));
    assert_eq!(cause(&md5_over(&facts.source(b"20260301120000"), KEY)), Some(Cause::OtherDate));
    for (edit, _) in EDITS {
        let edited = ReceiptFacts { product_name: edit(&name), ..facts.clone() };
        assert_eq!(cause(&md5_over(&edited.source(date), KEY)), Some(Cause::EditedValues));
    }
    assert_eq!(cause(&format!("<EPAYMENT>{DATE}|{}</EPAYMENT>", sent.signatures[0])), Some(Cause::CopiedSignature));
    let verdict = judged(&md5_over(&source, b"nobody's"), 200, Algorithms::MD5);
    assert_eq!(verdict.detail.source.as_bytes(), source);
    assert_eq!(verdict.detail.expected, signature::sign(Algorithm::Md5, KEY, &source));
    assert!(verdict.detail.found.contains(DATE));
}

#[test]
fn answers_without_a_receipt_are_told_apart() {
    for (body, expected) in [
        ("", Cause::EmptyAnswer),
        (" \r\n ", Cause::EmptyAnswer),
        ("OK", Cause::PlainText),
        ("No IPN Receipt Generated.", Cause::PlainText),
        ("<!DOCTYPE html><html><head><title>Sign in</title>", Cause::HtmlPage),
        ("<html><title>Just a moment...</title> cf-chl-opt", Cause::Challenge),
        ("<br />\n<b>Fatal error</b>:  Call to undefined function in <b>/srv/ipn.php</b> on line <b>3</b>", Cause::ScriptError),
        ("PHP Fatal error: Uncaught Error: Call to undefined function", Cause::ScriptError),
        ("Warning: Undefined array key \"IPN_PID\" in ipn.php on line 12", Cause::ScriptError),
        ("<EPAYMENT>Error. Cannot verify signature.</EPAYMENT>", Cause::ErrorInReceipt),
        ("<EPAYMENT>2026|xyz</EPAYMENT>", Cause::MalformedReceipt),
        ("<sig algo=\"sha256\" date=\"1\">abc", Cause::MalformedReceipt),
    ] {
        assert_eq!(cause(body), Some(expected), "{body}");
    }
    let sign_in = judged("<html><title> Sign in </title>", 200, Algorithms::MD5);
    assert_eq!(sign_in.detail.note, "Its title is \"Sign in\".");
}

#[test]
fn statuses_are_told_apart() {
    for (status, expected) in [
        (301, Cause::Redirect),
        (307, Cause::Redirect),
        (400, Cause::ClientError),
        (401, Cause::Denied),
        (403, Cause::Denied),
        (404, Cause::NotFound),
        (405, Cause::MethodRefused),
        (410, Cause::Gone),
        (413, Cause::PayloadRefused),
        (429, Cause::RateLimited),
        (500, Cause::ServerError),
        (503, Cause::ServerError),
        (102, Cause::OtherStatus),
    ] {
        assert_eq!(judged("<html>whatever", status, Algorithms::MD5).cause, Some(expected), "{status}");
    }
    assert!(judged("", 301, Algorithms::MD5).detail.note.contains("https://www.example.com/"));
    assert_eq!(judged("<title>Just a moment...</title>", 403, Algorithms::MD5).cause, Some(Cause::Challenge));
    let contact = "<html><title>Our shop</title><form><div class=\"g-recaptcha\"></div></form>";
    assert_eq!(judged(contact, 403, Algorithms::MD5).cause, Some(Cause::Challenge));
    assert_eq!(cause(contact), Some(Cause::HtmlPage), "a form that anybody may fill in");
}

proptest! {
    #[test]
    fn any_answer_is_judged_without_a_panic(body in "\\PC{0,300}", status in 100u16..600) {
        prop_assert!(judged(&body, status, Algorithms::ALL).cause.is_some());
    }
}
