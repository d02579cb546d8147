//! `application/x-www-form-urlencoded` bodies, byte for byte and in received order.
//!
//! The usual form libraries will not do: the signature runs over the decoded *bytes* of every value in the order
//! received, with repeated and empty array items counted, and values need not be UTF-8.

use std::borrow::Cow;

/// Most fields a message may have. A real order with a hundred products has about 2,600.
pub const MAX_FIELDS: usize = 5_000;

/// One decoded field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Decoded name, brackets included: `IPN_PID[]`.
    pub name: Cow<'a, [u8]>,
    /// Decoded value.
    pub value: Cow<'a, [u8]>,
}

impl Field<'_> {
    /// The value for people: invalid UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }

    /// The name without an index or brackets: `IPN_PID` of `IPN_PID[0]`.
    pub fn base_name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == b'[').unwrap_or(self.name.len());
        &self.name[..end]
    }
}

/// The body is not a form that we take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("the body is empty")]
    Empty,
    #[error("more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// A parsed form: fields in received order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form<'a> {
    /// The fields.
    pub fields: Vec<Field<'a>>,
}

impl<'a> Form<'a> {
    /// Parses a body. Never fails on bytes, only on emptiness and size: like PHP's decoder, a `%` that is not
    /// followed by two hexadecimal digits stands for itself.
    pub fn parse(body: &'a [u8]) -> Result<Self, FormError> {
        Self::split(body, |raw| match first_escape(raw) {
            None => Cow::Borrowed(raw),
            Some(at) => {
                let mut decoded = vec![0; raw.len()];
                let size = decode(raw, at, &mut decoded);
                decoded.truncate(size);
                Cow::Owned(decoded)
            }
        })
    }

    /// The same, with what is decoded in one piece of memory instead of one for each name and value: on the way of every
    /// message that counts.
    pub fn parse_in(body: &'a [u8], room: &'a mut Vec<u8>) -> Result<Self, FormError> {
        // What is decoded is never longer than it was.
        room.clear();
        room.resize(body.len(), 0);
        let mut free = room.as_mut_slice();
        Self::split(body, |raw| match first_escape(raw) {
            None => Cow::Borrowed(raw),
            Some(at) => {
                let size = decode(raw, at, free);
                let (decoded, rest) = std::mem::take(&mut free).split_at_mut(size);
                free = rest;
                Cow::Borrowed(decoded)
            }
        })
    }

    fn split(body: &'a [u8], mut decoded: impl FnMut(&'a [u8]) -> Cow<'a, [u8]>) -> Result<Self, FormError> {
        let mut fields = Vec::with_capacity(128.min(body.len() / 8 + 1));
        for segment in body.split(|byte| *byte == b'&').filter(|segment| !segment.is_empty()) {
            if fields.len() == MAX_FIELDS {
                return Err(FormError::TooManyFields);
            }
            let (name, value) = match segment.iter().position(|byte| *byte == b'=') {
                Some(at) => (&segment[..at], &segment[at + 1..]),
                None => (segment, &[][..]),
            };
            fields.push(Field { name: decoded(name), value: decoded(value) });
        }
        if fields.is_empty() { Err(FormError::Empty) } else { Ok(Self { fields }) }
    }

    /// The first value of a field, given its name without brackets: `IPN_PID` finds `IPN_PID[]` and `IPN_PID[0]`.
    pub fn first(&self, base_name: &str) -> Option<&Field<'a>> {
        // The same as comparing base names, and quicker: nearly all names differ in how they begin.
        let is_so = |field: &&Field<'_>| {
            field.name.strip_prefix(base_name.as_bytes()).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'['))
        };
        self.fields.iter().find(is_so)
    }

    /// The first value of a field as text; empty where the field is missing.
    pub fn text(&self, base_name: &str) -> Cow<'_, str> {
        self.first(base_name).map_or(Cow::Borrowed(""), Field::text)
    }

    /// Appends a field.
    pub fn push(&mut self, name: impl Into<Cow<'a, [u8]>>, value: impl Into<Cow<'a, [u8]>>) {
        self.fields.push(Field { name: name.into(), value: value.into() });
    }

    /// The body that a sender posts: the way PHP encodes, as the gateway itself does (`IPN_PID%5B%5D=a+b`).
    pub fn encode(&self) -> Vec<u8> {
        let size: usize = self.fields.iter().map(|field| field.name.len() + field.value.len() * 5 / 4 + 8).sum();
        let mut body = Vec::with_capacity(size);
        for field in &self.fields {
            if !body.is_empty() {
                body.push(b'&');
            }
            encode(&field.name, &mut body);
            body.push(b'=');
            encode(&field.value, &mut body);
        }
        body
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

fn first_escape(raw: &[u8]) -> Option<usize> {
    raw.iter().position(|byte| matches!(byte, b'%' | b'+'))
}

/// Decodes into a place that is at least as long; gives the length. Before the first escape everything stands for itself.
fn decode(raw: &[u8], first_escape: usize, out: &mut [u8]) -> usize {
    out[..first_escape].copy_from_slice(&raw[..first_escape]);
    let (mut at, mut size) = (first_escape, first_escape);
    while at < raw.len() {
        let escaped = match raw[at..] {
            [b'%', high, low, ..] => hex_digit(high).zip(hex_digit(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out[size] = match (escaped, raw[at]) {
            (Some(byte), _) => {
                at += 2;
                byte
            }
            (None, b'+') => b' ',
            (None, byte) => byte,
        };
        at += 1;
        size += 1;
    }
    size
}

fn encode(raw: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let stands_for_itself = |byte: &u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let mut rest = raw;
    while !rest.is_empty() {
        let plain = rest.iter().position(|byte| !stands_for_itself(byte)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        match rest.get(plain) {
            Some(b' ') => out.push(b'+'),
            Some(byte) => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
            None => return,
        }
        rest = &rest[plain + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs<'a>(form: &'a Form<'_>) -> Vec<(&'a [u8], &'a [u8])> {
        form.fields.iter().map(|field| (&*field.name, &*field.value)).collect()
    }

    #[test]
    fn order_repeats_and_empty_items_are_kept() {
        let form = Form::parse(b"A%5B%5D=1&B=x&A[]=&A%5B%5D=3&C&D=").unwrap();
        let expected: Vec<(&[u8], &[u8])> =
            vec![(b"A[]", b"1"), (b"B", b"x"), (b"A[]", b""), (b"A[]", b"3"), (b"C", b""), (b"D", b"")];
        assert_eq!(pairs(&form), expected);
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_stand_for_themselves() {
        let form = Form::parse(b"a=GMT%2B03%3A00+x&b=%&c=%4&d=%zz&e=100%25&f=%C3%81&g=1=2").unwrap();
        let values: Vec<&[u8]> = form.fields.iter().map(|field| &*field.value).collect();
        let expected: [&[u8]; 7] = [b"GMT+03:00 x", b"%", b"%4", b"%zz", b"100%", "\u{c1}".as_bytes(), b"1=2"];
        assert_eq!(values, expected);
    }

    #[test]
    fn a_value_is_found_whether_its_name_has_an_index_or_not() {
        for body in ["IPN_PID%5B%5D=7", "IPN_PID[0]=7&IPN_PID[1]=8", "IPN_PID=7"] {
            assert_eq!(Form::parse(body.as_bytes()).unwrap().text("IPN_PID"), "7", "{body}");
        }
        assert_eq!(Form::parse(b"IPN_PIDX=7").unwrap().text("IPN_PID"), "");
    }

    #[test]
    fn nothing_and_far_too_much_are_refused() {
        assert_eq!(Form::parse(b""), Err(FormError::Empty));
        assert_eq!(Form::parse(b"&&&"), Err(FormError::Empty));
        assert_eq!(Form::parse(&b"a&".repeat(MAX_FIELDS + 1)), Err(FormError::TooManyFields));
        assert_eq!(Form::parse(&b"a&".repeat(MAX_FIELDS)).unwrap().fields.len(), MAX_FIELDS);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused_but_never_panic(body in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let mut room = Vec::new();
            prop_assert_eq!(Form::parse(&body), Form::parse_in(&body, &mut room));
        }

        #[test]
        fn in_a_room_the_same_is_decoded(body in "([A%+=&]|%[0-9A-Fa-f]{2}){0,200}") {
            let mut room = vec![7; 3];
            prop_assert_eq!(Form::parse(body.as_bytes()), Form::parse_in(body.as_bytes(), &mut room));
        }

        #[test]
        fn a_field_is_found_by_its_base_name(names in proptest::collection::vec("[AB\\[\\]]{0,4}", 1..8), wanted in "[AB]{1,3}") {
            let mut form = Form::default();
            for name in &names {
                form.push(name.as_bytes(), &b""[..]);
            }
            let place = |field: Option<&Field<'_>>| field.map(|field| form.fields.iter().position(|other| std::ptr::eq(other, field)));
            let by_base = form.fields.iter().find(|field| field.base_name() == wanted.as_bytes());
            prop_assert_eq!(place(form.first(&wanted)), place(by_base));
        }

        #[test]
        fn what_is_encoded_parses_to_the_same_fields(
            fields in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 1..20), proptest::collection::vec(any::<u8>(), 0..50)), 1..40)
        ) {
            let mut form = Form::default();
            for (name, value) in &fields {
                form.push(name.clone(), value.clone());
            }
            let body = form.encode();
            prop_assert_eq!(Form::parse(&body).unwrap(), form);
        }
    }
}
