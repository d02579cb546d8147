//! JSON as gateways post it, read strictly and kept as it was written.
//!
//! The usual libraries will not do: signatures run over the text of a number, which `1.0` loses on its way through a
//! floating-point value; and of a name that comes twice two readers see two values, so that one checks what the other
//! does not act upon. Here numbers stay text, and a name that comes twice is refused.

use std::{borrow::Cow, collections::HashSet};

/// Most values a message may hold, names of objects not counted.
const MAX_VALUES: usize = 20_000;
/// How deep values may lie within each other.
const MAX_DEPTH: usize = 32;
/// So many names an object has as a rule.
const USUAL_NAMES: usize = 12;
/// From so many names on they are compared by their hashes.
const MANY_NAMES: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(Cow<'a, str>),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    /// In received order.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not taken as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("it is not JSON (at byte {0})")]
    Malformed(usize),
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("a name comes twice in one object (at byte {0})")]
    NameTwice(usize),
    #[error("values lie more than {MAX_DEPTH} deep in each other")]
    TooDeep,
    #[error("it holds more than {MAX_VALUES} values")]
    TooMany,
}

impl<'a> Json<'a> {
    /// Reads a text that is one value.
    pub fn parse(body: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)?;
        let mut reader = Reader { text, at: 0, values: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == text.len() { Ok(value) } else { Err(JsonError::Malformed(reader.at)) }
    }

    /// A member of an object.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| is_same(known, name)).map(|(_, value)| value),
            _ => None,
        }
    }

    /// What stands there as text; nothing for `null`, lists and objects.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The same, holding its text itself.
    pub fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(text) => Json::Number(owned(text)),
            Self::Text(text) => Json::Text(owned(text)),
            Self::List(items) => Json::List(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => {
                Json::Object(members.into_iter().map(|(name, value)| (owned(name), value.into_owned())).collect())
            }
        }
    }

    /// Writes it without white space; with the names of each object in order, where that is asked for.
    pub fn write(&self, out: &mut Vec<u8>, sorted: bool) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out, sorted);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                if sorted {
                    members.sort_by(|a, b| a.0.cmp(&b.0));
                }
                out.push(b'{');
                for (at, (name, value)) in members.into_iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_text(name, out);
                    out.push(b':');
                    value.write(out, sorted);
                }
                out.push(b'}');
            }
        }
    }
}

/// Whether two names are the same. Most differ in what is looked at first, which is quicker than a whole comparison.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().first() == b.as_bytes().first() && a == b
}

/// Writes a text as JSON, with slashes and letters of all scripts as they are.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for letter in text.chars() {
        match letter {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            letter if letter < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(letter)).as_bytes()),
            letter => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Malformed(self.at))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(JsonError::TooMany);
        }
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') if self.take("true") => Ok(Json::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Json::Bool(false)),
            Some(b'n') if self.take("null") => Ok(Json::Null),
            _ => self.wrong(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take("]") {
                return Ok(Json::List(items));
            }
            if !self.take(",") {
                return self.wrong();
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        self.space();
        if self.take("}") {
            return Ok(Json::Object(Vec::new()));
        }
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::with_capacity(USUAL_NAMES);
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return self.wrong();
            }
            let name = self.string()?;
            if members.len() < MANY_NAMES && members.iter().any(|(known, _)| is_same(known, &name)) {
                return Err(JsonError::NameTwice(self.at));
            }
            self.space();
            if !self.take(":") {
                return self.wrong();
            }
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take("}") {
                break;
            }
            if !self.take(",") {
                return self.wrong();
            }
        }
        if members.len() > MANY_NAMES {
            let mut seen = HashSet::with_capacity(members.len());
            if !members.iter().all(|(name, _)| seen.insert(&**name)) {
                return Err(JsonError::NameTwice(self.at));
            }
        }
        Ok(Json::Object(members))
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let from = self.at;
        self.take("-");
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || leading_zero && whole > 1 {
            return self.wrong();
        }
        if self.take(".") && self.digits() == 0 {
            return self.wrong();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.wrong();
            }
        }
        Ok(Json::Number(Cow::Borrowed(&self.text[from..self.at])))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let from = self.at;
        let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        self.at += self.text.as_bytes()[from..].iter().position(ends).unwrap_or(self.text.len() - from);
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                return Ok(Cow::Borrowed(&self.text[from..self.at - 1]));
            }
            Some(b'\\') => {}
            _ => return self.wrong(),
        }
        let mut out = String::with_capacity(self.at - from + 32);
        out.push_str(&self.text[from..self.at]);
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escaped()?);
                }
                Some(0..=0x1f) | None => return self.wrong(),
                Some(_) => {
                    let rest = &self.text[self.at..];
                    let end = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
                    out.push_str(&rest[..end]);
                    self.at += end;
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek() else { return self.wrong() };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                match char::from_u32(first) {
                    Some(letter) => letter,
                    // The first half of a pair; the second must follow.
                    None if (0xd800..0xdc00).contains(&first) && self.take("\\u") => {
                        let second = self.unit()?;
                        if !(0xdc00..0xe000).contains(&second) {
                            return self.wrong();
                        }
                        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        match char::from_u32(code) {
                            Some(letter) => letter,
                            None => return self.wrong(),
                        }
                    }
                    None => return self.wrong(),
                }
            }
            _ => return self.wrong(),
        })
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return self.wrong() };
        self.at += 4;
        Ok(digits.iter().fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Json<'_>, JsonError> {
        Json::parse(text.as_bytes())
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        for number in ["0", "-1.50", "1.0", "1e-7", "123456789012345678901234567890.10", "1E+400"] {
            assert_eq!(parse(number).unwrap().text(), Some(number));
        }
        for wrong in ["01", "1.", ".5", "+1", "NaN", "Infinity", "-", "0x1", "1e"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        assert!(matches!(parse(r#"{"a":1,"b":2,"\u0061":3}"#), Err(JsonError::NameTwice(_))), "also where it is escaped");
        let many = |last: &str| {
            let members: Vec<_> = (0..1_000).map(|number| format!("\"n{number}\":0")).collect();
            format!("{{{},\"{last}\":1}}", members.join(","))
        };
        assert!(matches!(parse(&many("n998")), Err(JsonError::NameTwice(_))));
        assert!(parse(&many("other")).is_ok());
        assert!(parse(r#"[{"a":1},{"a":1}]"#).is_ok(), "in two objects");
    }

    #[test]
    fn depth_and_number_are_limited() {
        assert_eq!(parse(&"[".repeat(100_000)), Err(JsonError::TooDeep));
        assert_eq!(parse(&format!("[{}0]", "0,".repeat(MAX_VALUES))), Err(JsonError::TooMany));
        assert_eq!(Json::parse(b"\"\xff\""), Err(JsonError::NotUtf8));
    }

    #[test]
    fn texts_are_unescaped_and_written_again() {
        let json = parse(r#""\u00e9\ud83d\ude00\/\n\"""#).unwrap();
        assert_eq!(json.text(), Some("é😀/\n\""));
        let mut out = Vec::new();
        json.write(&mut out, false);
        assert_eq!(String::from_utf8(out).unwrap(), r#""é😀/\n\"""#);
        for wrong in [r#""\ud800""#, r#""\ud800\u0041""#, r#""\x""#, "\"\n\"", "\"", r#""\u12"#] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    fn same(ours: &Json<'_>, theirs: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (ours, theirs) {
            (Json::Null, Value::Null) => true,
            (Json::Bool(a), Value::Bool(b)) => a == b,
            (Json::Number(a), Value::Number(b)) => a.parse::<f64>().ok() == b.as_f64(),
            (Json::Text(a), Value::String(b)) => a == b,
            (Json::List(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            (Json::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, value)| b.get(&**name).is_some_and(|other| same(value, other)))
            }
            _ => false,
        }
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f32>().prop_map(|number| serde_json::json!(number)),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map(".{0,4}", inner, 0..6)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_others_write_is_read_alike(value in any_value()) {
            let text = value.to_string();
            let ours = parse(&text).unwrap();
            prop_assert!(same(&ours, &value), "{text}");
            let mut written = Vec::new();
            ours.write(&mut written, true);
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&written).unwrap(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }

        #[test]
        fn what_others_refuse_is_refused(text in "[\\[\\]{}:,\"\\\\u0-9eE.+\\-tfnrulasx ]{0,24}") {
            let ours = parse(&text);
            if serde_json::from_str::<serde_json::Value>(&text).is_err() {
                // They also refuse numbers beyond the range of a floating-point value, which stay text here.
                prop_assert!(ours.is_err() || text.contains(['e', 'E']), "{text:?}");
            } else {
                prop_assert!(ours.is_ok() || matches!(ours, Err(JsonError::NameTwice(_))), "{text:?}");
            }
        }
    }
}
