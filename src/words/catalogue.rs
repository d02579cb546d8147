//! The catalogues: `locales/*.po` beside this file, part of the program, read once.

use super::{Language, Piece, STORED, fill, fill::gaps, pieces};
use std::{
    collections::HashMap,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Keys with what is said instead: one text, or one for each form of the plural.
type Catalogue = HashMap<&'static str, Vec<&'static str>>;

static VIETNAMESE: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("locales/vi.po")));
static MARKED: LazyLock<Catalogue> = LazyLock::new(marked);
static MARKED_ALLOWED: AtomicBool = AtomicBool::new(false);

/// The catalogue of a language; texts live as long as the program. A test reads each catalogue, so that none is broken.
fn read(file: &str) -> Catalogue {
    let Ok(catalogue) = polib::po_file::parse_from_reader(file.as_bytes()) else { return Catalogue::new() };
    let keep = |text: &str| &*text.to_owned().leak();
    let entries = catalogue.messages().filter_map(|message| {
        let said: Vec<_> = match message.msgstr_plural() {
            Ok(forms) => forms.iter().map(|form| keep(form)).collect(),
            Err(_) => vec![keep(message.msgstr().unwrap_or_default())],
        };
        (!said.iter().any(|text| text.is_empty())).then(|| (keep(message.msgid()), said))
    });
    entries.collect()
}

/// Every English text of the catalogue between marks.
fn marked() -> Catalogue {
    let Ok(catalogue) = polib::po_file::parse_from_reader(include_str!("locales/vi.po").as_bytes()) else {
        return Catalogue::new();
    };
    let mark = |text: &str| &*format!("⟦{text}⟧").leak();
    let entries = catalogue.messages().map(|message| {
        let key = message.msgid();
        let many = message.msgid_plural().map(mark);
        (&*key.to_owned().leak(), [mark(key)].into_iter().chain(many).collect())
    });
    entries.collect()
}

fn of(language: Language) -> Option<&'static Catalogue> {
    match language {
        Language::English => None,
        Language::Vietnamese => Some(&VIETNAMESE),
        Language::Marked => Some(&MARKED),
    }
}

/// What is said instead of a key.
pub(super) fn told(language: Language, key: &str) -> Option<&'static str> {
    of(language)?.get(key)?.first().copied()
}

/// What is said instead of a key, for a number.
pub(super) fn told_number(language: Language, key: &str, number: u64) -> Option<&'static str> {
    of(language)?.get(key)?.get(language.form(number)).copied()
}

/// Templates by which kept sentences are recognised, those with most words of their own first.
static TEMPLATES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let own = |template: &str| -> usize {
        pieces(template).iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum()
    };
    let keys = VIETNAMESE.keys().copied().filter(|key| pieces(key).iter().any(|piece| matches!(piece, Piece::Gap(_))));
    let kept = STORED.iter().copied().filter(|key| key.contains('{'));
    // Of the others only those that nobody takes for something else.
    let mut all: Vec<_> = keys.filter(|key| own(key) >= CERTAIN).chain(kept).collect();
    all.sort_by_key(|template| (std::cmp::Reverse(own(template)), *template));
    all.dedup();
    all
});
/// So many letters of its own make a template certain.
const CERTAIN: usize = 16;

/// Kept sentences in a language; what is not known of them stays as it is.
pub(super) fn reworded(language: Language, stored: &str) -> String {
    if let Some(whole) = one_reworded(language, stored) {
        return whole;
    }
    // Several sentences, one after the other.
    for (end, _) in stored.match_indices(". ") {
        let (first, rest) = (&stored[..=end], &stored[end + 2..]);
        if let Some(first) = one_reworded(language, first) {
            return format!("{first} {}", reworded(language, rest));
        }
    }
    stored.to_owned()
}

fn one_reworded(language: Language, stored: &str) -> Option<String> {
    if let Some(said) = told(language, stored) {
        return Some(said.to_owned());
    }
    TEMPLATES.iter().find_map(|template| {
        let values = gaps(template, stored)?;
        let said = told(language, template)?;
        // What stands in a gap may be of the catalogue itself: the name of a key, the reason of a refusal.
        let values: Vec<(&str, String)> = values
            .into_iter()
            .map(|(name, value)| (name, one_of_them(language, value).unwrap_or_else(|| value.to_owned())))
            .collect();
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value as &dyn std::fmt::Display)).collect();
        Some(fill(said, &values))
    })
}

/// A kept phrase, as it stands in a gap.
fn one_of_them(language: Language, phrase: &str) -> Option<String> {
    let known = STORED.iter().find_map(|template| Some((template, gaps(template, phrase)?)))?;
    let values: Vec<_> = known.1.iter().map(|(name, value)| (*name, value as &dyn std::fmt::Display)).collect();
    // A name may be anything; a phrase has words of its own.
    (known.0.len() > 8).then(|| told(language, known.0).map(|said| fill(said, &values))).flatten()
}

/// The keys of a language's catalogue, with what is said instead of each.
pub fn keys(language: Language) -> Vec<(&'static str, Vec<&'static str>)> {
    of(language).into_iter().flatten().map(|(key, said)| (*key, said.clone())).collect()
}

/// From now on the marked language can be chosen, as tests do.
#[doc(hidden)]
pub fn allow_marked() {
    MARKED_ALLOWED.store(true, Ordering::Relaxed);
}

pub(super) fn is_marked_allowed() -> bool {
    MARKED_ALLOWED.load(Ordering::Relaxed)
}
