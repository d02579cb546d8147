//! The words that people read, in their language.
//!
//! The English sentence in the source is the key: `t!("Save")`. What is said instead stands in `locales/<code>.po`. Templates
//! have named gaps, `t!("{count} fields, decoded", count)`; numbers decide between two of them with `tn!`; where a link or a
//! badge stands in the middle of a sentence, `rich!` puts views into the gaps. What has its words in a table (the label of a
//! state, the sentence of a cause) is told with `tell`.
//!
//! The language is that of the request, from its context; where there is no request (command line, log, deliveries) it is
//! English. The browser's half has no catalogue: islands are handed their few words by the page.
//!
//! Must not live here: the words themselves, and anything that knows what they are about.

#[cfg(feature = "ssr")]
mod catalogue;
mod fill;
mod language;
#[cfg(feature = "ssr")]
mod stored;

#[cfg(feature = "ssr")]
pub use catalogue::{allow_marked, keys};
pub use fill::{Piece, fill, pieces, said};
#[cfg(feature = "ssr")]
pub use language::speaking;
pub use language::{Language, language};
#[cfg(feature = "ssr")]
pub use stored::STORED;

/// A sentence in the language of the request; as it is where nobody has translated it.
#[cfg(feature = "ssr")]
pub fn tell(english: &str) -> &str {
    match language() {
        Language::English => english,
        other => catalogue::told(other, english).unwrap_or(english),
    }
}

/// A sentence in the language of the request; as it is where nobody has translated it.
#[cfg(not(feature = "ssr"))]
pub const fn tell(english: &str) -> &str {
    english
}

/// Sentences that were kept in English, in the language of the request. What is not known among them stays as it is.
#[cfg(feature = "ssr")]
pub fn reworded(stored: &str) -> String {
    match language() {
        Language::English => stored.to_owned(),
        other => catalogue::reworded(other, stored),
    }
}

/// Sentences that were kept in English, in the language of the request.
#[cfg(not(feature = "ssr"))]
pub fn reworded(stored: &str) -> String {
    stored.to_owned()
}

/// Of two templates the one that a number asks for, in the language of the request.
#[cfg(feature = "ssr")]
pub fn tell_number(one: &'static str, many: &'static str, number: u64) -> &'static str {
    let english = if number == 1 { one } else { many };
    match language() {
        Language::English => english,
        other => catalogue::told_number(other, one, number).unwrap_or(english),
    }
}

/// Of two templates the one that a number asks for, in the language of the request.
#[cfg(not(feature = "ssr"))]
pub const fn tell_number(one: &'static str, many: &'static str, number: u64) -> &'static str {
    if number == 1 { one } else { many }
}

/// A number with its digits in groups: `12,345`.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// Digits in groups of three, with what stands between them in the language of the request.
pub fn grouped(digits: &str) -> String {
    let (mark, _) = language().number_marks();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(mark);
        }
        text.push(digit);
    }
    text
}

/// A text in the language of the request. With gaps it is a `String`, and each gap has its value: `name` or `name = value`.
macro_rules! t {
    ($key:literal) => { $crate::words::tell($key) };
    ($key:literal, $($name:ident $(= $value:expr)?),+ $(,)?) => {
        $crate::words::fill(
            $crate::words::tell($key),
            &[$((stringify!($name), &$crate::words::gap!($name $(= $value)?) as &dyn ::std::fmt::Display)),+],
        )
    };
}

/// A text with a number that decides between singular and plural; `{count}` is the number as it is written.
#[cfg(feature = "ssr")]
macro_rules! tn {
    ($one:literal, $many:literal, $number:expr $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        let number: u64 = $number;
        $crate::words::fill(
            $crate::words::tell_number($one, $many, number),
            &[
                ("count", &$crate::words::count(number) as &dyn ::std::fmt::Display),
                $((stringify!($name), &$crate::words::gap!($name $(= $value)?) as &dyn ::std::fmt::Display)),*
            ],
        )
    }};
}

/// A text with views in its gaps, and behind a semicolon texts in others.
macro_rules! rich {
    ($key:literal, $($name:ident $(= $value:expr)?),+ $(; $($text:ident $(= $words:expr)?),+)? $(,)?) => {
        $crate::words::said(
            $crate::words::tell($key),
            vec![$((stringify!($name), ::leptos::prelude::IntoAny::into_any($crate::words::gap!($name $(= $value)?)))),+],
            &[$($((stringify!($text), &$crate::words::gap!($text $(= $words)?) as &dyn ::std::fmt::Display)),+)?],
        )
    };
}

/// A text that is told later: in a table, by [`tell`].
macro_rules! n {
    ($key:literal) => {
        $key
    };
}

/// The value of a gap.
macro_rules! gap {
    ($name:ident) => {
        $name
    };
    ($name:ident = $value:expr) => {
        $value
    };
}

#[cfg(feature = "ssr")]
pub(crate) use tn;
pub(crate) use {gap, n, rich, t};
