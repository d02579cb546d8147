//! A notification URL, taken apart for dialling.

use std::net::IpAddr;
use url::{Host, Url};

/// Longest URL taken.
const MAX_URL: usize = 2_000;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub tls: bool,
    /// Name or address, as for the certificate.
    pub host: String,
    /// Where the host is an address.
    pub address: Option<IpAddr>,
    pub port: u16,
    /// As in the request line.
    pub path: String,
    /// As in the `Host` header: with the port where it is not the scheme's own.
    pub authority: String,
}

impl Target {
    /// Takes a URL apart; the error names what to change.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() > MAX_URL {
            return Err(format!("The URL is longer than {MAX_URL} characters."));
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => "Begin the URL with https:// or http://.".to_owned(),
            error => format!("This is not a URL: {error}."),
        })?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(format!("{other}: cannot be delivered to; begin the URL with https:// or http://.")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("Take the user name and password out of the URL; the signature of each message is its proof.".to_owned());
        }
        if url.fragment().is_some() {
            return Err("Take the part from # on out of the URL; it never reaches a server.".to_owned());
        }
        let (host, address) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(address.into())),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(address.into())),
            None => return Err("The URL names no host.".to_owned()),
        };
        let port = url.port_or_known_default().unwrap_or(if tls { 443 } else { 80 });
        let shown = url.host_str().unwrap_or(&host);
        let authority = url.port().map_or_else(|| shown.to_owned(), |port| format!("{shown}:{port}"));
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self { tls, host, address, port, path, authority })
    }

    /// Whether both lead to the same page; with and without encryption they do as a rule.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let usual = |target: &Self| target.port == if target.tls { 443 } else { 80 };
        let ports = self.port == other.port || (usual(self) && usual(other));
        ports && self.host == other.host && self.path == other.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse(" https://Shop.Example.com/ipn.php?a=1&b=%20 ").unwrap();
        assert_eq!((target.tls, target.host.as_str(), target.port), (true, "shop.example.com", 443));
        assert_eq!((target.path.as_str(), target.authority.as_str()), ("/ipn.php?a=1&b=%20", "shop.example.com"));
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!((target.address, target.path.as_str()), (Some([127, 0, 0, 1].into()), "/"));
        assert_eq!(target.authority, "127.0.0.1:8080");
        let target = Target::parse("http://[::1]:81/x").unwrap();
        assert_eq!((target.host.as_str(), target.authority.as_str()), ("::1", "[::1]:81"));
        assert_eq!(Target::parse("https://b\u{fc}cher.example/").unwrap().host, "xn--bcher-kva.example");
        // What browsers and resolvers take for addresses is seen as such before it is vetted.
        for disguised in ["http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://017700000001/"] {
            assert_eq!(Target::parse(disguised).unwrap().address, Some([127, 0, 0, 1].into()), "{disguised}");
        }
    }

    #[test]
    fn what_cannot_be_delivered_to_says_what_to_change() {
        for (url, hint) in [
            ("shop.example.com/ipn", "Begin the URL with https://"),
            ("ftp://shop.example.com/", "begin the URL with https://"),
            ("https://user:pw@shop.example.com/", "user name and password"),
            ("https://shop.example.com/#ipn", "from # on"),
            ("https:///", "not a URL"),
            ("https://exa mple.com/", "not a URL"),
            ("", "Begin the URL"),
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(error.contains(hint), "{url}: {error}");
        }
        assert!(Target::parse(&format!("https://a.example/{}", "x".repeat(3_000))).is_err());
    }
}
