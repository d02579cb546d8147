//! Finding a value in a text, in whichever case and however scripts write letters: as they are, percent-encoded as in a form,
//! escaped as in JSON, or as entities of HTML.

/// Values that are shorter are found only as they are written, or in capitals: `li` and `le` are words of many pages.
pub const SHORT: usize = 3;
/// The longest escape of a letter, in bytes.
const LONGEST: usize = 12;

/// The names of HTML's entities from U+00C0 on.
const LATIN: [&str; 64] = [
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave",
    "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave",
    "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig",
    "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute",
    "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];
/// Those of other letters that names and addresses have.
const OTHERS: [(&str, char); 12] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("OElig", '\u{152}'),
    ("oelig", '\u{153}'),
    ("Scaron", '\u{160}'),
    ("scaron", '\u{161}'),
    ("Yuml", '\u{178}'),
    ("rsquo", '\u{2019}'),
];

/// A letter, and where it stands in the text.
#[derive(Clone, Copy)]
struct Letter {
    letter: char,
    from: usize,
    to: usize,
}

/// Replaces a value where it stands as words of its own.
pub fn replaced(text: &str, value: &str, by: &str) -> String {
    let letters = letters(text);
    let wanted: Vec<char> = value.chars().flat_map(char::to_lowercase).collect();
    let is_word = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|one| one.letter.is_alphanumeric());
    // Where words have no spaces between them, any place may begin one.
    let joined = value.chars().any(is_joined);
    let (is_short, upper) = (value.chars().count() < SHORT, value.to_uppercase());
    let (mut shown, mut from, mut at) = (String::with_capacity(text.len()), 0, 0);
    while at < letters.len() {
        let Some(count) = same_until(&letters[at..], &wanted) else {
            at += 1;
            continue;
        };
        let stands_alone = joined || !is_word(at.checked_sub(1)) && !is_word(Some(at + count));
        let found = || letters[at..at + count].iter().map(|one| one.letter).collect::<String>();
        if stands_alone && (!is_short || found() == value || found() == upper) {
            shown.push_str(&text[from..letters[at].from]);
            shown.push_str(by);
            from = letters[at + count - 1].to;
            at += count;
        } else {
            at += 1;
        }
    }
    shown.push_str(&text[from..]);
    shown
}

/// How many letters of a text are a value, whatever the case of either.
fn same_until(letters: &[Letter], wanted: &[char]) -> Option<usize> {
    let (mut rest, mut count) = (wanted, 0);
    for one in letters {
        if rest.is_empty() {
            break;
        }
        for lower in one.letter.to_lowercase() {
            rest = rest.strip_prefix(&[lower])?;
        }
        count += 1;
    }
    (rest.is_empty() && count > 0).then_some(count)
}

/// Letters of scripts that put no spaces between words, or endings behind names: Thai, Kana, Han, Hangul.
fn is_joined(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// The letters that a text says.
fn letters(text: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let escaped = match letter {
            '%' => percent(&text[at..]),
            '\\' => json(&text[at..]),
            '&' => entity(&text[at..]),
            // A space of a form.
            '+' => Some((' ', 1)),
            _ => None,
        };
        let (letter, length) = escaped.unwrap_or((letter, letter.len_utf8()));
        letters.push(Letter { letter, from: at, to: at + length });
        at += length;
    }
    letters
}

/// `%C3%89`: the bytes of a letter.
fn percent(text: &str) -> Option<(char, usize)> {
    let mut bytes = Vec::new();
    let raw = text.as_bytes();
    while bytes.len() < 4 {
        let at = bytes.len() * 3;
        let pair = raw.get(at..at + 3).filter(|pair| pair[0] == b'%')?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(&pair[1..]).ok()?, 16).ok()?);
        if let Ok(letter) = std::str::from_utf8(&bytes) {
            return Some((letter.chars().next()?, bytes.len() * 3));
        }
    }
    None
}

/// `\u00c9`, or two of them for one letter; `\/`.
fn json(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    if let Some(escaped) = text[1..].chars().next().filter(|letter| "/\"\\".contains(*letter)) {
        return Some((escaped, 2));
    }
    let first = unit(text)?;
    match char::from_u32(first) {
        Some(letter) => Some((letter, 6)),
        None => {
            let second = unit(&text[6..])?.checked_sub(0xdc00)?;
            Some((char::from_u32(0x1_0000 + (first.checked_sub(0xd800)? << 10) + second)?, 12))
        }
    }
}

/// `&eacute;`, `&#233;`, `&#xe9;`
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let letter = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
        None => match LATIN.iter().position(|known| *known == name) {
            Some(place) => char::from_u32(0xc0 + u32::try_from(place).ok()?)?,
            None => OTHERS.iter().find(|(known, _)| *known == name)?.1,
        },
    };
    Some((letter, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_found_however_it_is_written() {
        for text in [
            "Élodie",
            "ÉLODIE",
            "élodie",
            "%C3%89lodie",
            "%c3%a9LODIE",
            "\\u00c9LODIE",
            "&Eacute;lodie",
            "&#201;lodie",
            "&#xC9;lodie",
        ] {
            assert_eq!(replaced(&format!("Dear {text}, hello"), "Élodie", "É••"), "Dear É••, hello", "{text}");
        }
        assert_eq!(replaced("Stra&szlig;e+der+Einheit+5.", "Straße der Einheit 5", "S••"), "S••.");
        assert_eq!(replaced(r"a \ud83d\ude00b c", "😀b", "•"), "a • c");
        assert_eq!(replaced("Annapolis, anna", "Anna", "A••"), "Annapolis, A••");
        for broken in ["%", "%C3", "%zz", "\\u00", "\\", "\\ud83dx", "&", "&eacute", "&#99999999;", "&#x;", "%C3é"] {
            assert_eq!(replaced(broken, "Anna", "A••"), broken);
        }
    }

    proptest! {
        #[test]
        fn what_does_not_hold_it_stays_as_it_is(text in "[%\\\\&#;u0-9a-fé ]{0,40}") {
            prop_assert_eq!(replaced(&text, "Zacharias", "Z••"), text);
        }
    }
}
