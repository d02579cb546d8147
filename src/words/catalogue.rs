//! The catalogues: `locales/*.po`, part of the program, read once.

use super::Language;
use std::{
    collections::HashMap,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Keys with what is said instead: one text, or one for each form of the plural.
type Catalogue = HashMap<&'static str, Vec<&'static str>>;

static VIETNAMESE: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../../locales/vi.po")));
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
    let Ok(catalogue) = polib::po_file::parse_from_reader(include_str!("../../locales/vi.po").as_bytes()) else {
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
