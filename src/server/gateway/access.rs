//! Who may post to a listener, before its message is looked at: where it comes from, and a user name with a password.
//!
//! What a proxy says about the sender is believed of proxies alone that whoever runs the server has named.

use super::Refused;
use crate::domain::{GatewayOptions, RefusalReason};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};
use std::net::{IpAddr, SocketAddr};
use subtle::ConstantTimeEq as _;

/// The options that every listener may have for this.
pub const ALLOW_FROM: &str = "allow-from";
pub const BASIC_USER: &str = "basic-user";
pub const BASIC_PASSWORD: &str = "basic-password";

/// Most networks of a listener.
const MAX_NETWORKS: usize = 200;
/// Most hops that are looked at.
const MAX_HOPS: usize = 32;

/// Reads networks, with commas or spaces between them; an address alone is a network of one. What is wrong is named.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let words = text.split(|letter: char| letter == ',' || letter == ';' || letter.is_whitespace());
    let mut networks = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        let network = word.parse::<IpNet>().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| {
            format!("{word:?} is no network: write addresses such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32, with commas between them.")
        })?;
        networks.push(network.trunc());
        if networks.len() > MAX_NETWORKS {
            return Err(format!("These are more than {MAX_NETWORKS} networks; write larger ones."));
        }
    }
    Ok(networks)
}

/// Where a request comes from: the peer, or, where that is a trusted proxy, the nearest hop that is none.
pub fn client(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.ip().to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let nearest = |hops: &[Option<IpAddr>]| {
        let mut last = peer;
        // From the right: what stands further left was said by whoever came before, and may be anything.
        for hop in hops.iter().rev().take(MAX_HOPS) {
            // Nobody knows what lies behind a hop that cannot be read.
            let Some(hop) = hop else { return last };
            last = *hop;
            if !is_trusted(hop) {
                return last;
            }
        }
        last
    };
    let (plain, standard) = (x_forwarded_for(headers), forwarded(headers));
    match (plain.is_empty(), standard.is_empty()) {
        (true, true) => peer,
        (false, true) => nearest(&plain),
        (true, false) => nearest(&standard),
        // A proxy writes one of them and may pass the other on as the sender wrote it.
        (false, false) => {
            let (one, other) = (nearest(&plain), nearest(&standard));
            if one == other { one } else { peer }
        }
    }
}

fn values<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.to_str().unwrap_or("?").split(','))
}

fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    values(headers, "x-forwarded-for").map(hop).collect()
}

/// RFC 7239: `for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let named = |element: &str| {
        let found =
            element.split(';').filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        found.and_then(|(_, value)| hop(value))
    };
    values(headers, "forwarded").map(named).collect()
}

/// An address as proxies write it: bare, with a port, in brackets, in quotes.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"').trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let address = bare.and_then(|address| address.parse().ok());
    let address = address.or_else(|| text.parse().ok()).or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whether a listener with these options takes a request from there with these headers.
pub fn check(options: &GatewayOptions, client: IpAddr, headers: &HeaderMap) -> Result<(), Refused> {
    if let Some(allowed) = options.get(ALLOW_FROM) {
        // What cannot be read opens nothing.
        let allowed = networks(allowed).unwrap_or_default();
        if !allowed.iter().any(|network| network.contains(&client)) {
            let detail = format!("It came from {client}; this listener takes messages from {} networks.", allowed.len());
            return Err(Refused { reason: RefusalReason::AddressNotAllowed, detail });
        }
    }
    let (Some(user), Some(password)) = (options.get(BASIC_USER), options.get(BASIC_PASSWORD)) else { return Ok(()) };
    let wrong = |detail: &str| Refused { reason: RefusalReason::WrongPassword, detail: detail.to_owned() };
    let Some(given) = headers.get(header::AUTHORIZATION) else { return Err(wrong("No user name and password were sent.")) };
    let Some(given) = pair(given.as_bytes()) else { return Err(wrong("What was sent is no user name and password.")) };
    // Digests are of one length, so that the time taken tells nothing; both halves are always compared.
    let same = |one: &[u8], other: &[u8]| Sha256::digest(one).ct_eq(&Sha256::digest(other));
    let (given_user, given_password) = match given.iter().position(|byte| *byte == b':') {
        Some(at) => (&given[..at], &given[at + 1..]),
        None => (&given[..], &[][..]),
    };
    let (user_fits, password_fits) = (same(given_user, user.as_bytes()), same(given_password, password.as_bytes()));
    if bool::from(user_fits & password_fits) {
        return Ok(());
    }
    Err(wrong(if bool::from(user_fits) { "The password is wrong." } else { "The user name is wrong." }))
}

/// The name and password of a header (RFC 7617).
fn pair(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let (scheme, rest) = value.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| STANDARD.decode(rest.trim_ascii()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    fn from(peer: &str, lines: &[(&str, &str)]) -> String {
        let trusted = networks("10.0.0.0/8, fd00::/8").unwrap();
        client(SocketAddr::new(peer.parse().unwrap(), 1), &headers(lines), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(from("203.0.113.9", &[("x-forwarded-for", "198.51.100.1")]), "203.0.113.9", "said by anybody");
        assert_eq!(from("203.0.113.9", &[("forwarded", "for=10.0.0.1")]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[("x-forwarded-for", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(from("::ffff:10.0.0.1", &[("x-forwarded-for", "::ffff:198.51.100.1")]), "198.51.100.1");
    }

    #[test]
    fn the_nearest_hop_that_is_not_trusted_counts() {
        let of = |hops: &str| from("10.0.0.1", &[("x-forwarded-for", hops)]);
        assert_eq!(of("1.1.1.1, 198.51.100.1, 10.0.0.2"), "198.51.100.1", "what stands further left is hearsay");
        assert_eq!(of("198.51.100.1,10.9.9.9 , 10.0.0.2"), "198.51.100.1");
        assert_eq!(of("10.0.0.3, 10.0.0.2"), "10.0.0.3");
        assert_eq!(of("198.51.100.1, unknown"), "10.0.0.1", "behind what cannot be read is nobody");
        assert_eq!(of("198.51.100.1, "), "10.0.0.1");
        assert_eq!(of("198.51.100.1:4711"), "198.51.100.1");
        assert_eq!(of("[2001:db8::1]:443"), "2001:db8::1");
        let two = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(from("10.0.0.1", &two), "198.51.100.1", "several lines are one list");
        let long = vec!["10.0.0.2"; 1_000].join(",");
        assert_eq!(of(&format!("198.51.100.1,{long}")), "10.0.0.2");
    }

    #[test]
    fn both_headers_must_agree() {
        let standard = ("forwarded", "for=1.1.1.1, for=\"[2001:db8::9]:80\";proto=https;by=10.0.0.1");
        assert_eq!(from("fd00::1", &[standard]), "2001:db8::9");
        assert_eq!(from("fd00::1", &[standard, ("x-forwarded-for", "2001:db8::9")]), "2001:db8::9");
        assert_eq!(from("fd00::1", &[standard, ("x-forwarded-for", "198.51.100.1")]), "fd00::1");
        assert_eq!(from("fd00::1", &[("forwarded", "proto=https")]), "fd00::1");
    }

    #[test]
    fn networks_are_read_and_mistakes_named() {
        let read = networks("203.0.113.7, 198.51.100.9/24\n2001:db8::/32").unwrap();
        assert_eq!(
            read.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["203.0.113.7/32", "198.51.100.0/24", "2001:db8::/32"]
        );
        assert!(networks("").unwrap().is_empty());
        for wrong in ["203.0.113", "203.0.113.0/33", "shop.example.com", "::/129"] {
            assert!(networks(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
        assert!(networks(&vec!["::1"; 201].join(" ")).is_err());
    }

    fn options(pairs: &[(&str, &str)]) -> GatewayOptions {
        GatewayOptions(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn addresses_outside_are_refused() {
        let of = |allowed: &str, address: &str| {
            check(&options(&[(ALLOW_FROM, allowed)]), address.parse().unwrap(), &HeaderMap::new())
                .map_err(|refused| refused.reason)
        };
        assert_eq!(of("203.0.113.0/24, 2001:db8::/32", "203.0.113.200"), Ok(()));
        assert_eq!(of("203.0.113.0/24, 2001:db8::/32", "2001:db8:1::1"), Ok(()));
        assert_eq!(of("203.0.113.0/24", "203.0.114.1"), Err(RefusalReason::AddressNotAllowed));
        assert_eq!(of("203.0.113.0/24", "2001:db8::1"), Err(RefusalReason::AddressNotAllowed));
        assert_eq!(of("nonsense", "203.0.113.1"), Err(RefusalReason::AddressNotAllowed), "what cannot be read opens nothing");
        assert_eq!(of("", "203.0.113.1"), Ok(()));
    }

    #[test]
    fn name_and_password_must_both_fit() {
        let options = options(&[(BASIC_USER, "ipn"), (BASIC_PASSWORD, "pa:ss\u{e9}")]);
        let of = |value: Option<String>| {
            let lines: Vec<_> = value.iter().map(|value| ("authorization", value.as_str())).collect();
            check(&options, "::1".parse().unwrap(), &headers(&lines)).map_err(|refused| (refused.reason, refused.detail))
        };
        let basic = |text: &str| Some(format!("Basic {}", STANDARD.encode(text)));
        assert_eq!(of(basic("ipn:pa:ss\u{e9}")), Ok(()));
        assert_eq!(of(Some(format!("bAsIc  {}", STANDARD.encode("ipn:pa:ss\u{e9}")))), Ok(()));
        for wrong in [
            None,
            basic("ipn:pa:ss"),
            basic("ipm:pa:ss\u{e9}"),
            basic("ipn"),
            basic(""),
            Some("Basic ???".to_owned()),
            Some("Bearer x".to_owned()),
            Some("B".to_owned()),
        ] {
            assert_eq!(of(wrong.clone()).unwrap_err().0, RefusalReason::WrongPassword, "{wrong:?}");
        }
        assert!(of(basic("ipn:x")).unwrap_err().1.contains("password") && of(basic("x:x")).unwrap_err().1.contains("user name"));
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,60}", peer in any::<u32>()) {
            let lines = [("x-forwarded-for", text.as_str()), ("forwarded", &text), ("authorization", &text)];
            let headers = headers(&lines);
            client(SocketAddr::new(IpAddr::V4(peer.into()), 1), &headers, &networks("0.0.0.0/0").unwrap());
            let options = options(&[(BASIC_USER, "a"), (BASIC_PASSWORD, "b")]);
            prop_assert!(check(&options, "::1".parse().unwrap(), &headers).is_err());
        }
    }
}
