//! Passing a message on as it came: method, query, body and headers of the gateway's request, byte for byte.
//!
//! Left out are headers that belong to one connection (RFC 9110 §7.6.1, and those that `Connection` names), that say where
//! the request went or how it came to us, that authorise somebody at our address, and names that we set ourselves.

use super::{Letter, Proof, receipt_of};
use crate::domain::Format;
use crate::server::store::Original;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

/// Never passed on.
const LEFT_OUT: [&str; 20] = [
    // Of one connection.
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    // Of one request to one address.
    "host",
    "content-length",
    "expect",
    "accept-encoding",
    // Of whoever is known at our address.
    "authorization",
    "cookie",
    "cookie2",
    // Set by proxies on the way to us.
    "forwarded",
    "via",
    "x-real-ip",
];

/// The message as it came; `None` where no gateway sent it.
pub(super) fn letter(original: &Original) -> Option<Letter> {
    let mut lines = original.head.lines();
    let mut words = lines.next()?.split(' ');
    let method = match words.next()? {
        "GET" => Method::GET,
        "POST" => Method::POST,
        _ => return None,
    };
    // "TEST order placed by …" is no request line.
    words.next().filter(|target| target.starts_with('/') || target.contains("://"))?;
    let received: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let named: Vec<String> = received
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, names)| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut headers: Vec<(HeaderName, HeaderValue)> = received
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let is_ours_or_a_proxys = name.starts_with("quittance-") || name.starts_with("x-forwarded-");
            if LEFT_OUT.contains(&name.as_str()) || is_ours_or_a_proxys || named.contains(&name) {
                return None;
            }
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect();
    let is_get = method == Method::GET;
    if !is_get && headers.iter().all(|(name, _)| name != header::CONTENT_TYPE) && is_form(&original.body) {
        headers.insert(0, (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")));
    }
    Some(Letter {
        // Of a GET what came as its query lies where a body would.
        query: is_get.then(|| String::from_utf8_lossy(&original.body).into_owned()),
        body: if is_get { Bytes::new() } else { original.body.clone() },
        method,
        headers,
        proof: Proof::Status(receipt_of(&original.body)),
        format: Format::PassThrough,
        note: "",
    })
}

fn is_form(body: &[u8]) -> bool {
    !matches!(body.trim_ascii_start().first(), None | Some(b'{' | b'[' | b'<'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Gateway, OrderStatus, Timestamp};
    use proptest::prelude::*;

    fn original(head: &str, body: &[u8]) -> Original {
        Original {
            gateway: Gateway::TwoCheckout,
            reference: "77".to_owned(),
            status: OrderStatus::Paid,
            vendor_status: "COMPLETE".to_owned(),
            test: false,
            received_at: Timestamp::from_seconds(1),
            event_at: None,
            head: head.to_owned(),
            body: Bytes::copy_from_slice(body),
            leaves: Bytes::copy_from_slice(body),
        }
    }

    fn shown(letter: &Letter) -> Vec<String> {
        letter.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?"))).collect()
    }

    #[test]
    fn what_is_the_gateways_is_passed_on_and_nothing_else() {
        let head = "POST /ipn/abc?x=1 HTTP/1.1\r\nhost: ipn.example\r\nContent-Type: application/json; charset=utf-8\r\n\
            stripe-signature: t=1,v1=00\r\nuser-agent: Stripe/1.0\r\nconnection: close, X-Hop\r\nx-hop: 1\r\n\
            content-length: 2\r\ncookie: (not kept)\r\nauthorization: (not kept)\r\ntransfer-encoding: chunked\r\n\
            x-forwarded-for: 203.0.113.7\r\nX-Forwarded-Server: proxy\r\nQuittance-Attempt: 9\r\nte: trailers\r\naccept-encoding: br\r\nx-two: a: b\r\n\u{2026}\r\n";
        let letter = letter(&original(head, b"{}\xff")).unwrap();
        assert_eq!((letter.method.as_str(), letter.query.as_deref(), &letter.body[..]), ("POST", None, &b"{}\xff"[..]));
        assert_eq!(
            shown(&letter),
            [
                "content-type: application/json; charset=utf-8",
                "stripe-signature: t=1,v1=00",
                "user-agent: Stripe/1.0",
                "x-two: a: b"
            ]
        );
    }

    #[test]
    fn a_get_is_passed_on_as_a_get() {
        let letter = letter(&original("GET /ipn/abc?vnp_TxnRef=1&a=%20+ HTTP/1.1\r\n", b"vnp_TxnRef=1&a=%20+")).unwrap();
        assert_eq!((letter.method.as_str(), letter.query.as_deref()), ("GET", Some("vnp_TxnRef=1&a=%20+")));
        assert!(letter.body.is_empty() && letter.headers.is_empty());
    }

    #[test]
    fn an_order_that_a_person_placed_is_no_request_of_a_gateway() {
        assert!(letter(&original("TEST order placed by ana@shop.example\r\n", b"REFNO=1")).is_none());
        assert!(letter(&original("", b"REFNO=1")).is_none());
        let through_a_listener =
            letter(&original("POST /ipn/abc as a gateway would, by ana@shop.example\r\n", b"REFNO=1")).unwrap();
        assert_eq!(shown(&through_a_listener), ["content-type: application/x-www-form-urlencoded"]);
    }

    #[test]
    fn a_form_can_be_confirmed_by_a_receipt() {
        let proof = |body: &[u8]| match letter(&original("POST / HTTP/1.1\r\n", body)).unwrap().proof {
            Proof::Status(receipt) => receipt.is_some(),
            Proof::Receipt(_) => panic!(),
        };
        assert!(proof(b"IPN_PID[]=1&IPN_PNAME[]=x"));
        assert!(!proof(b"{\"a\":1}") && !proof(b""));
    }

    proptest! {
        #[test]
        fn any_head_is_taken_without_a_panic_and_leaves_nothing_of_the_connection(head in "(POST|GET|X) (/|a)\\PC{0,20}\r\n([A-Za-z-]{1,20}: \\PC{0,20}\r\n){0,5}") {
            if let Some(letter) = letter(&original(&head, b"A=1")) {
                prop_assert!(letter.headers.iter().all(|(name, _)| !LEFT_OUT.contains(&name.as_str())));
            }
        }
    }
}
