//! The fields of a message, whatever it was written in, and paths to them.

use super::json::Json;
use crate::server::ipn::Form;
use std::{borrow::Cow, fmt, str::FromStr};

/// What a message holds.
#[derive(Debug)]
pub enum Fields<'a> {
    Form(Form<'a>),
    Json {
        root: Json<'a>,
        /// The JSON in a text of the JSON, where the gateway wraps it so.
        inner: Option<Json<'static>>,
    },
    /// Nothing but the body is looked at.
    None,
}

/// One message of a request: the fields, and in which part of them it stands.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'f, 'a> {
    pub fields: &'f Fields<'a>,
    /// The item of a list, where several come at once.
    pub item: Option<&'f Json<'a>>,
}

/// Where a value stands: `data.object.id`, `items[0].id`, `data.'object.id'` for a name with points in it, `links[rel=up].href` for the first item whose member is so; with
/// `.@after(/orders/)` behind it what follows such a text in the value, and nothing where it has none; with `$.` before it from the root even within an item of a list,
/// with `!` before it in the inner JSON. For forms the name of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    from: From,
    steps: Vec<Step>,
    /// Only what follows the last such text.
    after: Option<String>,
    /// As it was written; the name of a form's field.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Item,
    Root,
    Inner,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Member(String),
    Item(usize),
    /// The first item of a list whose member has this value.
    Where(String, String),
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no path; write names with points between them, such as data.object.id or items[0].id");
        let (from, rest) = if let Some(rest) = text.strip_prefix("$.") {
            (From::Root, rest)
        } else if let Some(rest) = text.strip_prefix('!') {
            (From::Inner, rest)
        } else {
            (From::Item, text)
        };
        let mut steps = Vec::new();
        let (way, after) = match rest.split_once(".@after(") {
            Some((way, after)) => {
                let after = after.strip_suffix(')').filter(|after| !after.is_empty()).ok_or_else(wrong)?;
                (way, Some(after.to_owned()))
            }
            None => (rest, None),
        };
        for part in parts(way).ok_or_else(wrong)? {
            let quoted = part.strip_prefix('\'').and_then(|part| part.strip_suffix('\''));
            let (name, indices) = match quoted {
                Some(name) => (name, None),
                None => part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest))),
            };
            if name.is_empty() || name.chars().any(|letter| letter.is_control() || matches!(letter, ']' | '{' | '}')) {
                return Err(wrong());
            }
            steps.push(Step::Member(name.to_owned()));
            for index in indices.into_iter().flat_map(|indices| indices.split('[')) {
                let index = index.strip_suffix(']').ok_or_else(wrong)?;
                steps.push(match index.split_once('=') {
                    Some((name, value)) if !name.is_empty() => Step::Where(name.to_owned(), value.to_owned()),
                    _ => Step::Item(index.parse().map_err(|_| wrong())?),
                });
            }
        }
        Ok(Self { from, steps, after, text: rest.to_owned() })
    }
}

/// What stands between the points of a path, but for those between quotes; `None` where a quote has no partner.
fn parts(way: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut is_quoted) = (Vec::new(), 0, false);
    for (at, letter) in way.char_indices() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            '.' if !is_quoted => {
                parts.push(&way[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&way[from..]);
    (!is_quoted).then_some(parts)
}

impl Path {
    /// Whether it leads into the inner JSON.
    pub fn is_inner(&self) -> bool {
        self.from == From::Inner
    }

    /// The steps of a path that begins where the message does; `None` for others.
    pub fn steps(&self) -> Option<&[Step]> {
        (self.from == From::Item).then_some(&self.steps[..])
    }

    /// The steps that lead on from another path; `None` where it leads elsewhere.
    pub fn below(&self, above: &Self) -> Option<&[Step]> {
        if self.from == above.from { self.steps.strip_prefix(&above.steps[..]) } else { None }
    }

    /// What it takes of a value.
    fn cut<'t>(&self, text: &'t str) -> Option<&'t str> {
        match &self.after {
            Some(after) => text.rsplit_once(after.as_str()).map(|(_, rest)| rest),
            None => Some(text),
        }
    }

    /// As it is written in a file.
    pub fn written(&self) -> String {
        let begin = match self.from {
            From::Item => "",
            From::Root => "$.",
            From::Inner => "!",
        };
        format!("{begin}{}", self.text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'f, 'a> Scope<'f, 'a> {
    /// The value of JSON at a path.
    pub fn json(&self, path: &Path) -> Option<&'f Json<'a>> {
        let Fields::Json { root, inner } = self.fields else { return None };
        let start: &'f Json<'a> = match path.from {
            From::Item => self.item.unwrap_or(root),
            From::Root => root,
            From::Inner => inner.as_ref()?,
        };
        path.steps.iter().try_fold(start, |value, step| match (step, value) {
            (Step::Member(name), value) => value.member(name),
            (Step::Item(index), Json::List(items)) => items.get(*index),
            (Step::Where(name, wanted), Json::List(items)) => {
                items.iter().find(|item| item.member(name).and_then(Json::text) == Some(wanted))
            }
            (Step::Item(_) | Step::Where(..), _) => None,
        })
    }

    /// What stands at a path as text; invalid UTF-8 is replaced.
    pub fn text(&self, path: &Path) -> Option<Cow<'f, str>> {
        match self.fields {
            Fields::Form(form) => {
                let field = form.fields.iter().find(|field| *field.name == *path.text.as_bytes())?;
                Some(field.text())
            }
            Fields::Json { .. } => path.cut(self.json(path)?.text()?).map(Cow::Borrowed),
            Fields::None => None,
        }
    }

    /// The bytes that stand at a path.
    pub fn bytes(&self, path: &Path) -> Option<Cow<'f, [u8]>> {
        match self.fields {
            Fields::Form(form) => {
                let field = form.fields.iter().find(|field| *field.name == *path.text.as_bytes())?;
                Some(Cow::Borrowed(&field.value))
            }
            _ => path.cut(self.json(path)?.text()?).map(|text| Cow::Borrowed(text.as_bytes())),
        }
    }

    /// The first of several places where there is something.
    pub fn first(&self, paths: &[Path]) -> Cow<'f, str> {
        let found = paths.iter().find_map(|path| self.text(path).filter(|text| !text.trim().is_empty()));
        found.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(json: &str, path: &str) -> Option<String> {
        let fields = Fields::Json { root: Json::parse(json.as_bytes()).unwrap(), inner: None };
        let scope = Scope { fields: &fields, item: None };
        scope.text(&path.parse().unwrap()).map(Cow::into_owned)
    }

    #[test]
    fn paths_lead_to_values() {
        let json = r#"{"a":{"b":[{"c":1.50},{"c":"x"}]},"n":null,"o":{}}"#;
        assert_eq!(text(json, "a.b[0].c").as_deref(), Some("1.50"));
        assert_eq!(text(json, "$.a.b[1].c").as_deref(), Some("x"));
        for nothing in ["a", "n", "o", "a.b[2].c", "a.b.c", "x.y", "!a"] {
            assert_eq!(text(json, nothing), None, "{nothing}");
        }
        let links = r#"{"l":[{"rel":"self","href":"/v2/refunds/1"},{"rel":"up","href":"/v2/captures/C1"}]}"#;
        assert_eq!(text(links, "l[rel=up].href").as_deref(), Some("/v2/captures/C1"));
        assert_eq!(text(links, "l[rel=up].href.@after(/captures/)").as_deref(), Some("C1"));
        for nothing in ["l[rel=up].href.@after(/orders/)", "l[rel=down].href", "l[x=up].href", "l.href"] {
            assert_eq!(text(links, nothing), None, "{nothing}");
        }
        let pointed = r#"{"a":{"b.c":"x","b":{"c":"y"}}}"#;
        assert_eq!((text(pointed, "a.'b.c'").as_deref(), text(pointed, "a.b.c").as_deref()), (Some("x"), Some("y")));
        assert_eq!((text(pointed, "$.a.'b.c'").as_deref(), text(pointed, "a.'b'.c").as_deref()), (Some("x"), Some("y")));
        for wrong in ["a.'b", "a.''", "'", "", "a[=x]", "a.@after()", "a.@after(x", "a..b", "a[x]", "a[0", ".a", "a.", "a{b"] {
            assert!(wrong.parse::<Path>().unwrap_err().contains("path"), "{wrong}");
        }
    }

    #[test]
    fn names_of_forms_are_exact() {
        let fields = Fields::Form(Form::parse(b"a.b=1&vpc_Amount=2&a=%ff").unwrap());
        let scope = Scope { fields: &fields, item: None };
        let text = |name: &str| scope.text(&name.parse().unwrap()).map(Cow::into_owned);
        assert_eq!(text("a.b").as_deref(), Some("1"));
        assert_eq!(text("vpc_amount"), None);
        assert_eq!(text("a").as_deref(), Some("\u{fffd}"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_not(text in "\\PC{0,20}") {
            let _ = text.parse::<Path>();
        }
    }
}
