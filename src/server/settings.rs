//! What an operator decides when the server starts.

use crate::server::{clock::Clock, dispatch::Places, mail::MailServer, store::Address};
use ipnet::IpNet;
use std::path::PathBuf;
use url::Url;

/// The settings of a server.
pub struct Settings {
    pub database: Address,
    /// Where the key lies that seals secrets; beside the database by default.
    pub key_file: Option<PathBuf>,
    /// Networks that deliveries may go to although they are private, local or reserved.
    pub networks: Vec<IpNet>,
    /// Proxies whose word about a sender's address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How the outside reaches this server; the address that it listens on by default.
    pub public_url: Option<PublicUrl>,
    pub keep: Keep,
    /// How many deliveries may be on their way at a time.
    pub places: Places,
    /// Where mail is given to; without it none is sent.
    pub mail: Option<MailServer>,
    /// A folder with descriptions of further gateways.
    pub gateways: Option<PathBuf>,
    pub clock: Clock,
}

/// For how many days things are kept; 0 for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// The bytes of messages and attempts.
    pub bytes: u32,
    /// Everything else about a notification.
    pub ledger: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { bytes: 90, ledger: 400 }
    }
}

/// The address that gateways and browsers use: scheme, host and port, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// `https://ipn.example.com`
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("{reason}; expected something like https://ipn.example.com");
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("the scheme must be http or https"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(wrong("only scheme, host and port belong here, no path"));
        }
        Ok(Self(url.origin().ascii_serialization()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        assert_eq!("https://ipn.example.com/".parse::<PublicUrl>().unwrap().as_str(), "https://ipn.example.com");
        assert_eq!("http://127.0.0.1:3000".parse::<PublicUrl>().unwrap().as_str(), "http://127.0.0.1:3000");
        for wrong in ["ipn.example.com", "ftp://a", "https://a/b", "https://u@a", "https://a?b", ""] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }
}
