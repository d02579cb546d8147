//! Personal and card data: in which fields of messages they are, and how they look to somebody whose role does not show them.
//!
//! `fields` is the table of names, `text` masks whole bodies and texts, `words` finds values in them. Masking happens on
//! the server, before anything is rendered or sent, so that a masked value never reaches a browser. Pure.

mod fields;
mod text;
mod words;

pub use fields::{Kind, kind_of};
pub use text::{Known, form, is_form, is_json, json, received_body, text};

/// What takes the place of what is not shown.
const DOTS: &str = "••";

/// Whether a value, or a part of it, is masked.
pub fn is_masked(shown: &str) -> bool {
    shown.contains(DOTS) || shown.contains(".•")
}

/// Something that pages show and that may hold data of a customer.
pub trait Personal {
    /// Masks them.
    fn mask(&mut self);
}

/// A value as somebody sees it who may not see it: of the same shape, and never whole. What is empty stays so.
pub fn masked(kind: Kind, value: &str) -> String {
    let value = value.trim();
    if value.is_empty() {
        return String::new();
    }
    match kind {
        Kind::Email => email(value),
        Kind::Name => words(value),
        Kind::Address => initial(value),
        Kind::Phone => ending(value, 6, "•••• "),
        Kind::Card => card(value),
        Kind::Account => ending(value, 6, DOTS),
        Kind::Ip => address(value),
    }
}

/// `a••@example.com`
fn email(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => format!("{}@{domain}", initial(local)),
        _ => words(value),
    }
}

/// `A•• E••`
fn words(value: &str) -> String {
    const MOST: usize = 4;
    value.split_whitespace().take(MOST).map(initial).collect::<Vec<_>>().join(" ")
}

/// `1••`; of a single letter nothing.
fn initial(value: &str) -> String {
    let mut letters = value.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(_)) if !first.is_control() => format!("{first}{DOTS}"),
        _ => DOTS.to_owned(),
    }
}

/// The last two letters or digits where there are enough in all.
fn ending(value: &str, enough: usize, before: &str) -> String {
    let letters: Vec<char> = value.chars().filter(|letter| letter.is_alphanumeric()).collect();
    match letters.len() {
        count if count >= enough => before.chars().chain(letters[count - 2..].iter().copied()).collect(),
        _ => DOTS.to_owned(),
    }
}

/// `•••• 4242` of a whole number; of the last digits alone only two, because they are all there is.
fn card(value: &str) -> String {
    const WHOLE: usize = 12;
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let is_number = value.chars().all(|letter| letter.is_ascii_digit() || " -*xX•.".contains(letter));
    match digits.len() {
        count if count >= WHOLE && is_number => format!("•••• {}", digits[count - 4..].iter().collect::<String>()),
        count @ 4.. if is_number => format!("{DOTS}{}", digits[count - 2..].iter().collect::<String>()),
        _ => DOTS.to_owned(),
    }
}

/// `203.•.•.•`, `2001:••`
fn address(value: &str) -> String {
    match (value.split_once('.'), value.split_once(':')) {
        (Some((first, rest)), None) if first.parse::<u8>().is_ok() && !rest.is_empty() => format!("{first}.•.•.•"),
        (None, Some((first, rest))) if u16::from_str_radix(first, 16).is_ok() && !rest.is_empty() => format!("{first}:{DOTS}"),
        _ => DOTS.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_masked_value_keeps_its_shape() {
        for (kind, value, shown) in [
            (Kind::Email, "anna.example@shop.example.com", "a••@shop.example.com"),
            (Kind::Email, "a@example.com", "••@example.com"),
            (Kind::Email, "not an address", "n•• a•• a••"),
            (Kind::Name, "Anna  Example", "A•• E••"),
            (Kind::Name, "李 小龍", "•• 小••"),
            (Kind::Address, "12 Main Street", "1••"),
            (Kind::Phone, "+49 (30) 901820-17", "•••• 17"),
            (Kind::Phone, "110", "••"),
            (Kind::Card, "4242 4242 4242 4242", "•••• 4242"),
            (Kind::Card, "411111******1111", "••11"),
            (Kind::Card, "4242", "••42"),
            (Kind::Card, "12/29", "••"),
            (Kind::Account, "DE02120300000000202051", "••51"),
            (Kind::Ip, "203.0.113.7", "203.•.•.•"),
            (Kind::Ip, "2001:db8::7", "2001:••"),
            (Kind::Ip, "::1", "••"),
            (Kind::Ip, "nonsense", "••"),
            (Kind::Ip, "ab:", "••"),
            (Kind::Ip, "x:y", "••"),
            (Kind::Ip, "203.", "••"),
            (Kind::Name, "  ", ""),
        ] {
            assert_eq!(masked(kind, value), shown, "{kind:?} {value:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_ever_shown_whole(value in "\\PC{1,40}") {
            for kind in Kind::ALL {
                let shown = masked(kind, &value);
                let whole = value.trim();
                prop_assert!(whole.is_empty() || is_masked(&shown), "{kind:?} {value:?} {shown:?}");
                prop_assert!(whole.chars().count() < 2 || !shown.contains(whole) || whole.contains('•'), "{kind:?} {value:?} {shown:?}");
            }
        }
    }
}
