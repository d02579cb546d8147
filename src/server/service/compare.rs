//! What was sent then beside what a resend would send now. Pure.

use super::shown::fields;
use crate::domain::{Algorithms, Format, pages::story::Compared};
use crate::server::ipn::{
    Form,
    signature::{self, SignatureCheck, algorithm_of},
};

/// Headers that are another delivery's, or follow from the body.
const OF_THE_DELIVERY: [&str; 6] =
    ["quittance-delivery", "quittance-attempt", "content-length", "host", "webhook-timestamp", "webhook-signature"];

/// A request.
pub struct Sent<'a> {
    /// Empty where it was not kept.
    pub url: &'a str,
    pub head: &'a str,
    pub body: &'a [u8],
    /// The fingerprint of the key that signed; empty where it was not kept.
    pub key: String,
    pub format: Format,
}

/// Compares two requests; `key` is the one of now. What differs comes first.
pub fn compare(then: &Sent<'_>, now: &Sent<'_>, key: &[u8]) -> Vec<Compared> {
    let mut lines = vec![
        line("URL", url_of(then, now), now.url.to_owned()),
        line("Format", then.format.short().to_owned(), now.format.short().to_owned()),
    ];
    if [then.format, now.format] == [Format::Ipn; 2] {
        lines.push(line("Signature algorithms", algorithms(then.body).labels(), algorithms(now.body).labels()));
    }
    // What is passed through carries the gateway's signature alone.
    if [then.format, now.format] != [Format::PassThrough; 2] {
        lines.push(line("Fingerprint of the secret key", key_of(then, now, key), now.key.clone()));
    }
    let (headers_then, headers_now) = (headers(then.head), headers(now.head));
    lines.extend(pairs("Header", "Headers", &headers_then, &headers_now));
    let unsigned = |body: &[u8]| {
        let all = fields(body).into_iter();
        all.filter(|(name, _)| algorithm_of(name.as_bytes()).is_none()).collect::<Vec<_>>()
    };
    lines.extend(pairs("Field", "Fields", &unsigned(then.body), &unsigned(now.body)));
    lines.sort_by_key(|line| !line.differs);
    lines
}

fn line(what: &str, then: String, now: String) -> Compared {
    Compared { what: what.to_owned(), differs: then != now, then, now }
}

/// The URL of then. Where only the request tells of it, its scheme is not known.
fn url_of(then: &Sent<'_>, now: &Sent<'_>) -> String {
    if !then.url.is_empty() {
        return then.url.to_owned();
    }
    let place = |head: &str| {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let host = head.lines().filter_map(|line| line.split_once(": ")).find(|(name, _)| name.eq_ignore_ascii_case("host"));
        format!("{}{path}", host.map(|(_, value)| value).unwrap_or_default())
    };
    let (then, was) = (place(then.head), place(now.head));
    if then == was { now.url.to_owned() } else { then }
}

fn algorithms(body: &[u8]) -> Algorithms {
    let form = Form::parse(body);
    form.iter().flat_map(|form| &form.fields).filter_map(|field| algorithm_of(&field.name)).collect()
}

/// The fingerprint of then. Where it was not kept, the signatures tell whether it was the key of now.
fn key_of(then: &Sent<'_>, now: &Sent<'_>, key: &[u8]) -> String {
    if !then.key.is_empty() {
        return then.key.clone();
    }
    let is_same =
        Form::parse(then.body).is_ok_and(|form| matches!(signature::check(&form.fields, key), SignatureCheck::Right(_)));
    if is_same { now.key.clone() } else { "another key; its fingerprint was not kept".to_owned() }
}

/// Headers that say something of the URL or of this server.
fn headers(head: &str) -> Vec<(String, String)> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .filter(|(name, _)| !OF_THE_DELIVERY.contains(&name.as_str()))
        .collect()
}

/// Names with values, compared name by name; names that come several times are compared in their order. Where nothing
/// differs, one line says so.
fn pairs(one: &str, many: &str, then: &[(String, String)], now: &[(String, String)]) -> Vec<Compared> {
    let mut lines = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (name, _) in then.iter().chain(now) {
        if done.contains(&name.as_str()) {
            continue;
        }
        done.push(name);
        let of = |pairs: &[(String, String)]| {
            let values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
            values.collect::<Vec<_>>().join("\n")
        };
        let has = |pairs: &[(String, String)]| pairs.iter().any(|(known, _)| known == name);
        let (before, after) = (of(then), of(now));
        if before != after || has(then) != has(now) {
            let told = |has: bool, value: String| if has { value } else { "not there".to_owned() };
            lines.push(Compared {
                what: format!("{one} {name}"),
                then: told(has(then), before),
                now: told(has(now), after),
                differs: true,
            });
        }
    }
    if lines.is_empty() {
        let order = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        lines.push(if order(then) == order(now) {
            line(many, format!("{}, all the same", then.len()), format!("{}, all the same", now.len()))
        } else {
            line(many, format!("{} in another order", then.len()), format!("{}, the values are the same", now.len()))
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Tags;
    use crate::server::{dispatch::sign::sign, store::Secret};

    const HEAD: &str = "POST /ipn?a=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: A\r\nQuittance-Attempt: 1\r\n";

    fn sent<'a>(url: &'a str, head: &'a str, body: &'a [u8], key: &str) -> Sent<'a> {
        Sent { url, head, body, key: key.to_owned(), format: Format::Ipn }
    }

    fn differing(lines: &[Compared]) -> Vec<(&str, &str, &str)> {
        lines.iter().filter(|line| line.differs).map(|line| (&*line.what, &*line.then, &*line.now)).collect()
    }

    #[test]
    fn nothing_differs_where_nothing_was_changed() {
        let body = sign(b"REFNO=1&A[]=x&A[]=y", &Tags::All, Algorithms::ALL, b"key").unwrap().body;
        let print = Secret::new("key").fingerprint();
        let now = sent("https://shop.example/ipn?a=1", HEAD, &body, &print);
        let later = HEAD.replace("Attempt: 1", "Attempt: 7");
        for then in [sent("https://shop.example/ipn?a=1", &later, &body, &print), sent("", &later, &body, "")] {
            let lines = compare(&then, &now, b"key");
            assert_eq!(differing(&lines), []);
            assert_eq!(
                lines.iter().map(|line| line.then.as_str()).collect::<Vec<_>>(),
                [
                    "https://shop.example/ipn?a=1",
                    "2Checkout form",
                    "MD5, SHA2, SHA3",
                    print.as_str(),
                    "1, all the same",
                    "3, all the same",
                ]
            );
        }
    }

    #[test]
    fn each_difference_has_its_line() {
        let before = sign(b"REFNO=1&A=x&B=1", &Tags::All, Algorithms::MD5, b"old").unwrap().body;
        let after = sign(b"REFNO=1&A=y&C=", &Tags::All, Algorithms::ALL, b"key").unwrap().body;
        let print = Secret::new("key").fingerprint();
        let now = sent("https://new.example/", "POST / HTTP/1.1\r\nHost: new.example\r\nX-Shop: 1\r\n", &after, &print);
        let lines = compare(&sent("", HEAD, &before, ""), &now, b"key");
        assert_eq!(
            differing(&lines),
            [
                ("URL", "shop.example/ipn?a=1", "https://new.example/"),
                ("Signature algorithms", "MD5", "MD5, SHA2, SHA3"),
                ("Fingerprint of the secret key", "another key; its fingerprint was not kept", print.as_str()),
                ("Header user-agent", "A", "not there"),
                ("Header x-shop", "not there", "1"),
                ("Field A", "x", "y"),
                ("Field B", "1", "not there"),
                ("Field C", "not there", ""),
            ]
        );
        let other = compare(&sent("https://a.example/", HEAD, &before, "00"), &now, b"key");
        assert!(differing(&other).contains(&("Fingerprint of the secret key", "00", print.as_str())));
        assert!(!lines.iter().any(|line| line.then.contains("old") || line.now.contains("key")), "no key shows");
    }
}
