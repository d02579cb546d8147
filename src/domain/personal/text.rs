//! Masking in whole bodies and texts: forms and JSON field by field, anything else by what it looks like and by what is known.

use super::{
    Kind, kind_of, masked,
    words::{SHORT, replaced},
};

/// Values that are known to be personal, because they stood in a field of the same message. Whoever repeats them, a script in its
/// answer for instance, repeats them masked.
#[derive(Debug, Default)]
pub struct Known(Vec<(Kind, String)>);

impl Known {
    /// The values of decoded fields.
    pub fn of(fields: &[(String, String)]) -> Self {
        let mut known = Self::default();
        for (name, value) in fields {
            if let Some(kind) = kind_of(name) {
                known.add(kind, value);
            }
        }
        known
    }

    /// The values of a body as it was sent, a form or JSON.
    pub fn of_body(body: &str) -> Self {
        if !is_json(body) {
            let fields = body.split('&').filter_map(|part| part.split_once('='));
            return Self::of(&fields.map(|(name, value)| (decoded(name), decoded(value))).collect::<Vec<_>>());
        }
        let mut known = Self::default();
        walk(body, |path, part| match (kind_of(path), part) {
            (Some(kind), Part::Text(inner)) => known.add(kind, &unescaped(inner)),
            (Some(kind), Part::Bare(piece)) if is_number(piece.trim()) => known.add(kind, piece.trim()),
            _ => {}
        });
        known
    }

    /// One more.
    pub fn add(&mut self, kind: Kind, value: &str) {
        let value = value.trim();
        // Small numbers stand everywhere.
        let is_telling = value.contains(char::is_alphabetic) || value.chars().filter(char::is_ascii_digit).count() > SHORT;
        let is_short_name = kind == Kind::Name && value.chars().count() + 1 == SHORT && value.chars().all(char::is_alphabetic);
        // Shorter ones would be found in many words. Names may be shorter by one letter.
        let is_long = value.chars().count() >= SHORT || is_short_name;
        if is_long && is_telling && !self.0.iter().any(|(_, known)| known == value) {
            self.0.push((kind, value.to_owned()));
            // The longest first, because it may contain others.
            self.0.sort_by_key(|(_, known)| std::cmp::Reverse(known.len()));
        }
    }
}

/// Whether a body may be JSON.
pub fn is_json(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

/// Whether a body is a form: names with values, and no space that is not encoded.
pub fn is_form(body: &str) -> bool {
    let body = body.trim();
    body.contains('=')
        && !body.starts_with(['<', '{', '['])
        && !body.contains(|letter: char| letter.is_whitespace() || letter == '<')
}

/// A body as it was received or sent: a form or JSON. Of anything else nobody knows what is in it, and it is not shown.
pub fn received_body(body: &str, known: &Known) -> String {
    if body.trim().is_empty() {
        String::new()
    } else if is_json(body) {
        json(body, known)
    } else if is_form(body) {
        form(body, known)
    } else {
        "[hidden: this body is neither a form nor JSON, and your role does not show personal data]".to_owned()
    }
}

/// The body of a form with its values masked. What is not personal stays byte for byte.
pub fn form(body: &str, known: &Known) -> String {
    let parts = body.split('&').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (plain_name, plain) = (decoded(name), decoded(value));
        let shown = match kind_of(&plain_name) {
            Some(kind) => masked(kind, &plain),
            None => text(&plain, known),
        };
        let shown_name = text(&plain_name, known);
        if shown == plain && shown_name == plain_name {
            return part.to_owned();
        }
        let name = if shown_name == plain_name { name } else { &shown_name };
        // As people read it: a masked body is not sent to anybody.
        format!("{name}={}", shown.replace('&', "%26"))
    });
    parts.collect::<Vec<_>>().join("&")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let raw = text.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        let digit = |at: usize| raw.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (raw[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'+', ..) => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A piece of JSON as it is written.
enum Part<'b> {
    /// A name, quotes included.
    Name(&'b str),
    /// The inside of a text.
    Text(&'b str),
    /// A number, a word, or what should not stand there.
    Bare(&'b str),
    /// A sign between them.
    Sign(char),
}

/// Goes through JSON, also where it is cut off or malformed, with the names that lead to each value.
fn walk<'b>(body: &'b str, mut visit: impl FnMut(&str, Part<'b>)) {
    // The names around the place, and the name of the value that comes next.
    let mut around: Vec<String> = Vec::new();
    let mut name = String::new();
    let mut rest = body;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' => {
                let (inner, length) = string(rest);
                if rest[length..].trim_start().starts_with(':') {
                    name = inner.to_owned();
                    visit("", Part::Name(&rest[..length]));
                } else {
                    visit(&path(&around, &name), Part::Text(inner));
                }
                length
            }
            '{' | '[' => {
                around.push(std::mem::take(&mut name));
                visit("", Part::Sign(letter));
                1
            }
            '}' | ']' => {
                name = around.pop().unwrap_or_default();
                visit("", Part::Sign(letter));
                1
            }
            ',' | ':' => {
                visit("", Part::Sign(letter));
                1
            }
            _ => {
                let end = rest.find(['"', '{', '}', '[', ']', ',', ':']).unwrap_or(rest.len());
                visit(&path(&around, &name), Part::Bare(&rest[..end]));
                end
            }
        };
        rest = &rest[length..];
    }
}

fn is_number(bare: &str) -> bool {
    bare.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit())
}

/// JSON with its values masked, by the names that lead to them. What is cut off or malformed is masked as far as it goes.
pub fn json(body: &str, known: &Known) -> String {
    let mut shown = String::with_capacity(body.len());
    walk(body, |path, part| match part {
        Part::Name(name) => shown.push_str(&text(name, known)),
        Part::Text(inner) => {
            shown.push('"');
            shown.push_str(&value(path, &unescaped(inner), inner, known));
            shown.push('"');
        }
        Part::Sign(sign) => shown.push(sign),
        Part::Bare(piece) => {
            let (bare, before) = (piece.trim(), piece.len() - piece.trim_start().len());
            match kind_of(path).filter(|_| is_number(bare)) {
                Some(kind) => {
                    let after = &piece[before + bare.len()..];
                    shown.push_str(&format!("{}\"{}\"{after}", &piece[..before], masked(kind, bare)));
                }
                None => shown.push_str(&text(piece, known)),
            }
        }
    });
    shown
}

fn path(around: &[String], name: &str) -> String {
    let parts: Vec<&str> = around.iter().map(String::as_str).chain([name]).filter(|part| !part.is_empty()).collect();
    parts.join(".")
}

fn value(name: &str, plain: &str, raw: &str, known: &Known) -> String {
    let shown = match kind_of(name) {
        Some(kind) => masked(kind, plain),
        None => text(plain, known),
    };
    if shown == plain { raw.to_owned() } else { shown.replace('\\', "\\\\").replace('"', "\\\"") }
}

/// The inside of the string at the start, and the length of all of it; a string without an end goes to the end.
fn string(text: &str) -> (&str, usize) {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (&text[1..at], at + 1),
            _ => {}
        }
    }
    (&text[1..], text.len())
}

fn unescaped(inner: &str) -> String {
    let mut plain = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => match letters.next() {
                Some('u') => {
                    let digits: String = letters.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    plain.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Some('n') => plain.push('\n'),
                Some('t') => plain.push('\t'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => {}
            },
            (letter, false) => plain.push(letter),
        }
    }
    plain
}

/// Any text: what is known, what looks like an e-mail address, and what is the number of a card is masked.
pub fn text(text: &str, known: &Known) -> String {
    // Addresses first: a name that is known may be a part of one.
    let mut shown = emails(text);
    for (kind, value) in &known.0 {
        shown = replaced(&shown, value, &masked(*kind, value));
        if *kind == Kind::Phone {
            shown = phones(&shown, value);
        }
    }
    cards(&shown)
}

/// Replaces a number of a telephone, however it is grouped, with or without what stands before a country's code.
fn phones(text: &str, value: &str) -> String {
    const SHORTEST: usize = 7;
    let digits_of = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let wanted = digits_of(value);
    let wanted = wanted.trim_start_matches('0');
    if wanted.len() < SHORTEST {
        return text.to_owned();
    }
    let is_part = |letter: char| letter.is_ascii_digit() || " -./()".contains(letter);
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let run = &rest[start..];
        let run = &run[..run.find(|letter: char| !is_part(letter)).unwrap_or(run.len())];
        let run = run.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        shown.push_str(&rest[..start]);
        if digits_of(run).trim_start_matches('0') == wanted {
            shown.push_str(&masked(Kind::Phone, value));
        } else {
            shown.push_str(run);
        }
        rest = &rest[start + run.len()..];
    }
    shown.push_str(rest);
    shown
}

fn emails(text: &str) -> String {
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    let is_local = |letter: char| letter.is_alphanumeric() || "._+-'".contains(letter);
    let is_domain = |letter: char| letter.is_alphanumeric() || ".-".contains(letter);
    let mut ats: Vec<(usize, usize)> = text.match_indices('@').map(|(at, sign)| (at, sign.len())).collect();
    ats.extend(text.match_indices("%40").map(|(at, sign)| (at, sign.len())));
    ats.sort_unstable();
    for (at, length) in ats {
        if at < from {
            continue;
        }
        let start = text[from..at].char_indices().rev().take_while(|(_, letter)| is_local(*letter)).last();
        let domain: &str = &text[at + length..];
        let end = domain.find(|letter: char| !is_domain(letter)).unwrap_or(domain.len());
        let domain = domain[..end].trim_end_matches(['.', '-']);
        if let Some((start, _)) = start
            && domain.contains('.')
        {
            shown.push_str(&text[from..from + start]);
            shown.push_str(&masked(Kind::Email, &format!("{}@{domain}", &text[from + start..at])));
            from = at + length + domain.len();
        }
    }
    shown.push_str(&text[from..]);
    shown
}

/// Numbers of cards: 13 to 19 digits, also in groups, of a range that cards have, with the right check digit.
fn cards(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        shown.push_str(&rest[..start]);
        rest = &rest[start..];
        let bytes = rest.as_bytes();
        let mut end = 0;
        while end < bytes.len() {
            let is_gap = matches!(bytes[end], b' ' | b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !bytes[end].is_ascii_digit() && !is_gap {
                break;
            }
            end += 1;
        }
        let digits: Vec<u32> = rest[..end].chars().filter_map(|letter| letter.to_digit(10)).collect();
        if is_card(&digits) {
            shown.push_str(&masked(Kind::Card, &rest[..end]));
        } else {
            shown.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    shown.push_str(rest);
    shown
}

fn is_card(digits: &[u32]) -> bool {
    let begins = digits.iter().take(4).fold(0, |number, digit| number * 10 + digit);
    let in_range = matches!(digits.first(), Some(3..=6)) || (2_221..=2_720).contains(&begins) && digits.len() == 16;
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    (13..=19).contains(&digits.len()) && in_range && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_form_keeps_everything_but_what_is_personal() {
        let body =
            "REFNO=1&FIRSTNAME=Anna&CUSTOMEREMAIL=anna%40example.com&IPN_PNAME%5B%5D=A+%26+B&ADDRESS1=Main+St.+1&FAX=&HASH=ab";
        assert_eq!(
            form(body, &Known::default()),
            "REFNO=1&FIRSTNAME=A••&CUSTOMEREMAIL=a••@example.com&IPN_PNAME%5B%5D=A+%26+B&ADDRESS1=M••&FAX=&HASH=ab"
        );
        assert_eq!(form("CUSTOM=write+to+anna%40example.com", &Known::default()), "CUSTOM=write to a••@example.com");
    }

    #[test]
    fn json_is_masked_by_the_names_that_lead_to_a_value() {
        let body = r#"{"id":"evt_1","data":{"object":{"amount":100,"billing_details":{"name":"Anna \"Ann\" Example","address":{"line1":"Main St. 1","country":"DE"},"email":"anna@example.com"},"card":{"last4":4242,"brand":"visa"}}},"note":"call anna@example.com"}"#;
        let shown = json(body, &Known::default());
        assert_eq!(
            shown,
            r#"{"id":"evt_1","data":{"object":{"amount":100,"billing_details":{"name":"A•• \"•• E••","address":{"line1":"M••","country":"DE"},"email":"a••@example.com"},"card":{"last4":"••42","brand":"visa"}}},"note":"call a••@example.com"}"#
        );
        assert!(!json(r#"{"email":"anna@exam"#, &Known::default()).contains("anna"), "also where it is cut off");
        assert!(!json(r#"{"first_name":"\u0041nna"}"#, &Known::default()).contains("0041nna"));
    }

    #[test]
    fn who_repeats_a_value_repeats_it_masked() {
        let known = Known::of(&[("FIRSTNAME".to_owned(), "Anna".to_owned()), ("ADDRESS1".to_owned(), "Main St. 1".to_owned())]);
        assert_eq!(text("Dear ANNA, of Main+St.+1: Annapolis is far", &known), "Dear A••, of M••: Annapolis is far");
        let named = |name: &str| Known::of(&[("LASTNAME".to_owned(), name.to_owned())]);
        assert_eq!(text("Kính gửi NGUYỄN, nguyễn!", &named("Nguyễn")), "Kính gửi N••, N••!");
        assert_eq!(text("MÜLLER (müller) Müllerin", &named("Müller")), "M•• (M••) Müllerin");
        assert_eq!(text("<li>Dear Li, LI, Lisa</li>", &named("Li")), "<li>Dear L••, L••, Lisa</li>");
        assert_eq!(text("李娜您好", &named("李娜")), "李••您好");
        assert_eq!(text("a 1 ab", &named("a")), "a 1 ab", "one letter is everywhere");
        let phone = Known::of(&[("PHONE".to_owned(), "+49 170 5551234".to_owned())]);
        assert_eq!(
            text("call 491705551234, 0049 (170) 555-1234 or 4917055512345", &phone),
            "call •••• 34, •••• 34 or 4917055512345"
        );
        assert_eq!(text("Card 4242 4242-4242 4242.", &known), "Card •••• 4242.");
        assert_eq!(text("20260301120009 1772366400000 1234567890123", &known), "20260301120009 1772366400000 1234567890123");
        assert_eq!(text("to=anna.b%40example.com;x@y @", &known), "to=a••@example.com;x@y @");
    }

    #[test]
    fn what_a_body_tells_is_known_whatever_it_is_written_in() {
        let json =
            r#"{"event":"payment.paid","data":{"customer":{"first_name":"Zach\u0061rias","email":"z@example.com"},"total":1"#;
        for body in [json, "REFNO=1&FIRSTNAME=Zacharias&CUSTOMEREMAIL=z%40example.com"] {
            assert_eq!(text("Dear ZACHARIAS", &Known::of_body(body)), "Dear Z••", "{body}");
        }
        let number = Known::of_body(r#"{"customer":{"phone":491705551234,"vip":true}}"#);
        assert_eq!(text("+49 170 5551234 is true", &number), "+•••• 34 is true");
    }

    #[test]
    fn a_body_that_nobody_understands_is_not_shown() {
        for body in ["<xml><name>Anna</name></xml>", "Anna Example", "<a href='?x=1'>", "Anna Example = x", "x=1\r\nAnna"] {
            assert!(received_body(body, &Known::default()).starts_with("[hidden"), "{body}");
        }
        assert_eq!(received_body("", &Known::default()), "");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_address_stays(before in "\\PC{0,20}", local in "[a-z]{2,10}", after in "\\PC{0,20}") {
            let address = format!("{local}@example.org");
            for body in [format!("{before} {address} {after}"), format!("{{\"a\":\"{before} {address} {after}"), format!("x={address}&{after}={before}")] {
                for shown in [text(&body, &Known::default()), json(&body, &Known::default()), form(&body, &Known::default())] {
                    prop_assert!(!shown.contains(&address), "{shown}");
                }
            }
        }
    }
}
