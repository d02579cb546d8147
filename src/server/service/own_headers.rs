//! Headers that a URL's requests carry beside ours, as somebody enters them: a line each, `Name: value`.

use crate::domain::pages::settings::HIDDEN;
use crate::server::{
    dispatch::attempt::is_secret_header,
    store::{OwnHeader, Secret},
};
use http::{HeaderName, HeaderValue};

/// Most headers of one URL.
pub const MAX_HEADERS: usize = 20;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = 1_000;

/// Headers that belong to the connection or to the message itself, and that we set.
const OURS: [&str; 19] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "http2-settings",
    "content-md5",
    "date",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// Reads what was entered. A value that stands there hidden is the one that is known.
pub fn read(text: &str, known: &[OwnHeader]) -> Result<Vec<OwnHeader>, String> {
    let mut headers: Vec<OwnHeader> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let shown: String = line.split(':').next().unwrap_or_default().chars().take(60).collect();
        let Some((name, value)) = line.split_once(':') else {
            return Err(format!("Write each header as “Name: value”; “{shown}” has no colon."));
        };
        let (name, value) = (name.trim(), value.trim());
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() || name.len() > 100 {
            return Err(format!("“{shown}” cannot be the name of a header; use letters, digits and hyphens."));
        }
        if OURS.contains(&lower.as_str()) || lower.starts_with("quittance-") || lower.starts_with("proxy-") {
            return Err(format!("{name} is set by the delivery itself; take it out."));
        }
        if headers.iter().any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Err(format!("{name} stands here twice; leave it once."));
        }
        let value = match value {
            "" => return Err(format!("Enter the value of {name}; a secret one has to be entered again.")),
            HIDDEN => match known.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
                Some(known) => known.value.clone(),
                None => return Err(format!("Enter the value of {name}: none is known that could be kept.")),
            },
            value if value.len() > MAX_VALUE => return Err(format!("Shorten the value of {name} to {MAX_VALUE} bytes.")),
            value if HeaderValue::from_str(value).is_err() || !value.is_ascii() => {
                return Err(format!("The value of {name} may have visible ASCII characters and spaces only."));
            }
            value => Secret::new(value),
        };
        headers.push(OwnHeader { name: name.to_owned(), value });
        if headers.len() > MAX_HEADERS {
            return Err(format!("A URL can have {MAX_HEADERS} headers of its own; take some out."));
        }
    }
    Ok(headers)
}

/// What was entered without the values that are secrets, to come back to the form.
pub fn carried(text: &str) -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((name, value)) if is_secret_header(name) && value.trim() != HIDDEN => format!("{name}:"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Headers for pages: a secret value is `None`.
pub fn shown(headers: &[OwnHeader]) -> Vec<(String, Option<String>)> {
    let value = |header: &OwnHeader| {
        (!is_secret_header(&header.name)).then(|| String::from_utf8_lossy(header.value.reveal()).into_owned())
    };
    headers.iter().map(|header| (header.name.clone(), value(header))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_entered_is_taken_and_a_hidden_value_stays() {
        let headers = read("X-Shop: 7\n\n Authorization : Bearer a:b \n", &[]).unwrap();
        assert_eq!(shown(&headers), [("X-Shop".to_owned(), Some("7".to_owned())), ("Authorization".to_owned(), None)]);
        let again = read(&format!("authorization: {HIDDEN}"), &headers).unwrap();
        assert_eq!(again[0].value.reveal(), b"Bearer a:b");
        assert_eq!(carried("X-Api-Key: 12\nX-Shop: 7\nnonsense"), "X-Api-Key:\nX-Shop: 7\nnonsense");
    }

    #[test]
    fn every_mistake_names_the_header_and_the_cure() {
        let many = (0..21).map(|at| format!("X-{at}: 1\n")).collect::<String>();
        for (text, cure) in [
            ("X-Shop", "has no colon"),
            ("X Shop: 1", "cannot be the name"),
            ("Host: example.com", "take it out"),
            ("Quittance-Delivery: 1", "take it out"),
            ("X-Shop: 1\nx-shop: 2", "leave it once"),
            ("X-Shop:", "Enter the value"),
            ("X-Shop: \u{e1}", "visible ASCII"),
            (&format!("X-Shop: {}", "x".repeat(1_001)), "Shorten"),
            (&format!("Authorization: {HIDDEN}"), "none is known"),
            (&many, "take some out"),
        ] {
            let error = read(text, &[]).unwrap_err();
            assert!(error.contains(cure), "{text}: {error}");
        }
    }
}
