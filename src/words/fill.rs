//! Templates: sentences with named gaps, `{count} of {all}`.

use leptos::prelude::{AnyView, IntoAny as _};
use std::fmt::{Display, Write as _};

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a str),
    /// The name of a gap.
    Gap(&'a str),
}

/// The parts of a template. A brace that begins no gap stands for itself.
pub fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = template;
    let mut from = 0;
    while let Some(open) = rest[from..].find('{').map(|at| at + from) {
        let inner = &rest[open + 1..];
        let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(inner.len());
        if end == 0 || !inner[end..].starts_with('}') {
            from = open + 1;
            continue;
        }
        if open > 0 {
            found.push(Piece::Text(&rest[..open]));
        }
        found.push(Piece::Gap(&inner[..end]));
        rest = &inner[end + 1..];
        from = 0;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

/// A template with its gaps filled. What is put in is never looked at for gaps; a gap that has no value stays visible.
pub fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut text = String::with_capacity(template.len() + 16 * values.len());
    for piece in pieces(template) {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Gap(name) => {
                let _ = match values.iter().find(|(known, _)| *known == name) {
                    Some((_, value)) => write!(text, "{value}"),
                    None => write!(text, "{{{name}}}"),
                };
            }
        }
    }
    text
}

/// What stands in the gaps of a template whose other parts a text has; `None` where the text has another form.
#[cfg(feature = "ssr")]
pub(super) fn gaps<'a>(template: &'a str, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut rest = text;
    let mut open: Option<&str> = None;
    let mut found = Vec::new();
    for piece in pieces(template) {
        match (piece, open) {
            (Piece::Gap(name), None) => open = Some(name),
            // Where two gaps touch each other nobody can tell where one ends.
            (Piece::Gap(_), Some(_)) => return None,
            (Piece::Text(part), None) => rest = rest.strip_prefix(part)?,
            (Piece::Text(part), Some(name)) => {
                let end = rest.find(part)?;
                found.push((name, &rest[..end]));
                rest = &rest[end + part.len()..];
                open = None;
            }
        }
    }
    match open {
        Some(name) => found.push((name, rest)),
        None if !rest.is_empty() => return None,
        None => {}
    }
    found.iter().all(|(_, value)| !value.is_empty()).then_some(found)
}

/// A template with views in its gaps, and texts in others.
pub fn said(template: &str, views: Vec<(&'static str, AnyView)>, texts: &[(&str, &dyn Display)]) -> Vec<AnyView> {
    let mut views: Vec<_> = views.into_iter().map(|(name, view)| (name, Some(view))).collect();
    let mut said = Vec::new();
    // What stands between two views is one text.
    let mut text = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Gap(name) => match views.iter_mut().find(|(known, _)| *known == name).and_then(|(_, view)| view.take()) {
                Some(view) => {
                    if !text.is_empty() {
                        said.push(std::mem::take(&mut text).into_any());
                    }
                    said.push(view);
                }
                None => {
                    let _ = match texts.iter().find(|(known, _)| *known == name) {
                        Some((_, value)) => write!(text, "{value}"),
                        None => write!(text, "{{{name}}}"),
                    };
                }
            },
        }
    }
    if !text.is_empty() {
        said.push(text.into_any());
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_wherever_they_stand() {
        assert_eq!(fill("{a} of {b}", &[("b", &"{a}"), ("a", &1)]), "1 of {a}");
        assert_eq!(fill("{a}{a}", &[("a", &"x")]), "xx");
        assert_eq!(fill("no gap", &[("a", &1)]), "no gap");
        assert_eq!(fill("{ {} {b} {a", &[("a", &1)]), "{ {} {b} {a");
        assert_eq!(fill("đã {a}", &[("a", &"gửi")]), "đã gửi");
        assert_eq!(pieces(""), []);
    }

    #[cfg(feature = "ssr")]
    #[test]
    fn a_text_is_recognised_by_what_stands_around_the_gaps() {
        assert_eq!(gaps("It leads to {to}", "It leads to https://a.example/"), Some(vec![("to", "https://a.example/")]));
        assert_eq!(gaps("{a} of {b}.", "1 of 2."), Some(vec![("a", "1"), ("b", "2")]));
        assert_eq!(gaps("{a} of {b}.", "1 of 2"), None);
        assert_eq!(gaps("{a} of {b}.", " of 2."), None, "a gap is never empty");
        assert_eq!(gaps("Saved.", "Saved. And more"), None);
        assert_eq!(gaps("{a}{b}", "12"), None);
    }
}
