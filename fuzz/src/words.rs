//! The words of the rooms in English alone: as much of `src/words` as they call, without what pages are made of.

use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    #[default]
    English,
}

/// A sentence.
pub const fn tell(english: &str) -> &str {
    english
}

/// A template with its gaps filled.
pub fn fill(template: &str, gaps: &[(&str, &dyn Display)]) -> String {
    gaps.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), &value.to_string()))
}

/// A text. With gaps it is a `String`, and each gap has its value: `name` or `name = value`.
macro_rules! t {
    ($key:literal) => { $crate::words::tell($key) };
    ($key:literal, $($name:ident $(= $value:expr)?),+ $(,)?) => {
        $crate::words::fill(
            $crate::words::tell($key),
            &[$((stringify!($name), &$crate::words::gap!($name $(= $value)?) as &dyn ::std::fmt::Display)),+],
        )
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

pub(crate) use {gap, t};
