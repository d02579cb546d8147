//! The one place where what crossed the wire leaves for a page: bodies as text, forms as fields.

use crate::server::{gateway, ipn::Form};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt::Write as _;

/// Bytes as text. What is not UTF-8 shows as `\xNN`, so that nothing of it is lost.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
    }
    text
}

/// Bytes as Base64, where they are not all text that a shell can be given.
pub fn base64(bytes: &[u8]) -> Option<String> {
    let is_text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0'));
    (!is_text).then(|| STANDARD.encode(bytes))
}

/// A message's fields for people, of JSON with the paths that lead to them; nothing where it is neither that nor a form.
pub fn fields(body: &[u8]) -> Vec<(String, String)> {
    if is_json(body) {
        return json_fields(body);
    }
    let Ok(form) = Form::parse(body) else { return Vec::new() };
    form.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect()
}

fn is_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The fields of JSON, with the paths that lead to them; nothing where it is none, or was cut off.
pub fn json_fields(body: &[u8]) -> Vec<(String, String)> {
    if is_json(body) { gateway::json_fields(body).unwrap_or_default() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_show_as_they_are() {
        assert_eq!(text("Ána\r\n<b>\u{202e}".as_bytes()), "Ána\r\n<b>\u{202e}");
        assert_eq!(text(b"caf\xe9 \xff\xfe!"), "caf\\xE9 \\xFF\\xFE!");
        assert_eq!(fields(b"A[]=%C3%81&B=%E9"), [("A[]".to_owned(), "Á".to_owned()), ("B".to_owned(), "\\xE9".to_owned())]);
        assert_eq!(fields(b""), []);
        assert_eq!((base64("Ána".as_bytes()), base64(b"")), (None, None));
        assert_eq!((base64(b"\xff\xfe").as_deref(), base64(b"a\0").as_deref()), (Some("//4="), Some("YQA=")));
    }
}
