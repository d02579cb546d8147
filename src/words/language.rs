//! The languages of the panel, and which one a request wants.

use serde::{Deserialize, Serialize};

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    #[default]
    English,
    Vietnamese,
    /// English between marks, so that a test sees what does not go through the catalogue. Nobody can choose it.
    #[doc(hidden)]
    Marked,
}

impl Language {
    /// Those that can be chosen.
    pub const ALL: [Self; 2] = [Self::English, Self::Vietnamese];

    /// The tag of BCP 47: in the page, in cookies and in the database.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Vietnamese => "vi",
            Self::Marked => "en-x-marked",
        }
    }

    /// What it is called in itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Vietnamese => "Tiếng Việt",
            Self::Marked => "Marked",
        }
    }

    /// The language of a tag.
    pub fn from_code(code: &str) -> Option<Self> {
        #[cfg(feature = "ssr")]
        if code == Self::Marked.code() && super::catalogue::is_marked_allowed() {
            return Some(Self::Marked);
        }
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// The one that a browser likes best (RFC 9110, 12.5.4): `vi-VN,vi;q=0.9,en;q=0.8`. `None` where it likes none of ours.
    pub fn liked(header: &str) -> Option<Self> {
        let ranges = header.split(',').filter_map(|range| {
            let mut parts = range.split(';');
            let tag = parts.next()?.trim();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())?;
            let main = tag.split('-').next().unwrap_or_default();
            let found = Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(main));
            let found = found.or((tag == "*").then_some(Self::English))?;
            (weight > 0.0).then_some((found, weight))
        });
        // Of those liked alike the first.
        let best: Option<(Self, f32)> = ranges.reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.map(|(language, _)| language)
    }

    /// What stands between groups of digits, and before the fraction.
    pub const fn number_marks(self) -> (char, char) {
        match self {
            Self::Vietnamese => ('.', ','),
            Self::English | Self::Marked => (',', '.'),
        }
    }

    /// Which of a language's forms a number asks for: the rule in the head of its catalogue.
    #[cfg(feature = "ssr")]
    pub(super) const fn form(self, number: u64) -> usize {
        match self {
            // Nouns have one form.
            Self::Vietnamese => 0,
            Self::English | Self::Marked => (number != 1) as usize,
        }
    }
}

#[cfg(feature = "ssr")]
thread_local! {
    static SPOKEN: std::cell::Cell<Option<Language>> = const { std::cell::Cell::new(None) };
}

/// The language of the request.
#[cfg(feature = "ssr")]
pub fn language() -> Language {
    SPOKEN.get().or_else(leptos::prelude::use_context::<Language>).unwrap_or_default()
}

/// The language of the request; in the browser's half nothing is translated.
#[cfg(not(feature = "ssr"))]
pub const fn language() -> Language {
    Language::English
}

/// Says something in a language, where no page is rendered.
#[cfg(feature = "ssr")]
pub fn speaking<T>(language: Language, say: impl FnOnce() -> T) -> T {
    let before = SPOKEN.replace(Some(language));
    let said = say();
    SPOKEN.set(before);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_answered_in_what_they_like_best() {
        let liked = Language::liked;
        assert_eq!(liked("vi-VN,vi;q=0.9,en-US;q=0.8"), Some(Language::Vietnamese));
        assert_eq!(liked("fr, en;q=0.5, vi;q=0.7"), Some(Language::Vietnamese));
        assert_eq!(liked("en, vi"), Some(Language::English));
        assert_eq!(liked("VI"), Some(Language::Vietnamese));
        assert_eq!(liked("vi;q=0, *"), Some(Language::English));
        assert_eq!(liked("de, fr;q=0.5"), None);
        assert_eq!(liked("vi;q=much"), None);
        assert_eq!(liked(""), None);
        assert_eq!(liked("vietnamese"), None);
        assert_eq!(Language::from_code("en-x-marked"), None, "nobody can choose it");
    }
}
