//! Signatures by certificate: a message names the address of the certificate that its signature is checked with.
//!
//! Lives here: which addresses may be asked, what of the headers is what, what the signature runs over. Must not live here: the
//! download, and whether certificate and signature are right (`server/confirm`).

use super::{Condition, Origin, Preset};
use crate::domain::{GatewayOptions, RefusalReason};
use crate::server::gateway::{
    Credentials, Refused, Request,
    crypto::Encoding,
    fields::{Fields, Scope},
    shown,
    template::{Source, Template},
};
use serde::Deserialize;
use std::fmt::Write as _;

/// Hosts that certificates are fetched from instead of the gateway's own, with commas between them.
pub const CERTIFICATE_HOSTS: &str = "certificate-hosts";

/// How the certificate is found, and what it signs. The signature is Base64 of RSA (PKCS #1 v1.5) with SHA-256.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Chain {
    /// The header that says where the certificate lies, with those that issued it behind it, as PEM.
    pub certificate: Origin,
    /// Hosts that certificates are fetched from, by https; no other is ever asked. `host:port` where it is not 443.
    pub hosts: Vec<String>,
    /// The same of the gateway's sandbox, for listeners whose mode is `test`.
    #[serde(default)]
    pub test_hosts: Vec<String>,
    /// What an address there begins with, behind the host.
    pub path: String,
    /// Whom the certificate must name; where it begins with a dot, any name that ends so.
    pub name: String,
    /// The header with the signature.
    pub signature: Origin,
    /// The header that says how it is signed, and the only word that is taken.
    pub algorithm: Condition,
    /// What is signed; `{@digest}` is the CRC-32 of the body in decimal digits.
    pub message: Template,
}

/// What a message says of its signature, read and not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Where the certificate lies: at one of the hosts that may be asked.
    pub url: String,
    /// Whom it must name.
    pub name: String,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    /// The header that the signature stands in.
    pub place: String,
}

impl Chain {
    /// Hosts that certificates are fetched from, by the options of a listener.
    pub fn hosts<'o>(&'o self, options: &'o GatewayOptions) -> Vec<&'o str> {
        if let Some(own) = options.get(CERTIFICATE_HOSTS) {
            return own.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
        }
        let is_test = !self.test_hosts.is_empty() && options.get(super::MODE) == Some("test");
        let hosts = if is_test { &self.test_hosts } else { &self.hosts };
        hosts.iter().map(String::as_str).collect()
    }

    /// Whether an address is one that may be asked: `https`, one of the hosts, the path, and then nothing but letters, digits and
    /// hyphens. Compared as it stands, so that nothing is left that two readers could take apart in two ways.
    fn permits(&self, url: &str, hosts: &[&str]) -> bool {
        let Some(rest) = url.strip_prefix("https://") else { return false };
        let behind = hosts.iter().find_map(|host| rest.strip_prefix(host)?.strip_prefix(self.path.as_str()));
        behind.is_some_and(|name| {
            !name.is_empty()
                && name.len() <= 200
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
    }
}

impl Preset {
    /// What a message says of its signature by certificate; nothing where this gateway signs otherwise, or where the listener lacks an
    /// option that is part of what is signed.
    pub fn signed(&self, credentials: Credentials<'_>, request: &Request<'_>) -> Result<Option<Signed>, Refused> {
        let Some(chain) = &self.chain else { return Ok(None) };
        if chain.message.options().any(|name| credentials.options.get(name).is_none()) {
            return Ok(None);
        }
        let refused = |reason, detail| Refused { reason, detail };
        let header = |name: &str| {
            let found = request.headers.get(name).map(|value| value.as_bytes().trim_ascii()).filter(|value| !value.is_empty());
            found.ok_or_else(|| refused(RefusalReason::NoSignature, format!("Expected in the header {name}.")))
        };
        let of = |origin: &Origin| match origin {
            Origin::Header(name) => header(name),
            // `check` takes no other.
            Origin::Field(path) => Err(refused(RefusalReason::Malformed, format!("{path} is missing."))),
        };
        for name in chain.message.headers() {
            header(name)?;
        }
        let given = of(&chain.signature)?;
        let algorithm = of(&chain.algorithm.origin)?;
        if !algorithm.eq_ignore_ascii_case(chain.algorithm.value.as_bytes()) {
            let said = shown(&String::from_utf8_lossy(algorithm));
            let detail = format!("It says that it is signed with {said}; only {} is taken.", chain.algorithm.value);
            return Err(refused(RefusalReason::WrongSignature, detail));
        }
        let url = of(&chain.certificate)?;
        let hosts = chain.hosts(credentials.options);
        let url = match std::str::from_utf8(url) {
            Ok(url) if chain.permits(url, &hosts) => url.to_owned(),
            _ => {
                let said = shown(&String::from_utf8_lossy(url));
                let mut known = String::new();
                for host in &hosts {
                    let _ = write!(known, "{}https://{host}{}", if known.is_empty() { "" } else { ", " }, chain.path);
                }
                let detail = format!("Its certificate is said to lie at {said}; certificates are only fetched from {known}.");
                return Err(refused(RefusalReason::WrongSignature, detail));
            }
        };
        let signature = Encoding::Base64.read(given).ok_or_else(|| {
            refused(RefusalReason::Malformed, "The signature has not the form that this gateway uses.".to_owned())
        })?;
        let digest = crc32fast::hash(request.body).to_string();
        let message = chain.message.fill(&Source {
            scope: Scope { fields: &Fields::None, item: None },
            body: request.body,
            timestamp: &[],
            id: &[],
            secret: &[],
            options: credentials.options,
            headers: request.headers,
            url: request.url,
            pairs: None,
            raw: request.body,
            token: &[],
            digest: digest.as_bytes(),
        });
        let place = match &chain.signature {
            Origin::Header(name) => name.clone(),
            Origin::Field(path) => path.to_string(),
        };
        Ok(Some(Signed { url, name: chain.name.clone(), message, signature, place }))
    }
}

/// What a description can have wrong here.
pub(super) fn check(preset: &Preset, known: impl Fn(&str) -> bool) -> Result<(), String> {
    let Some(chain) = &preset.chain else { return Ok(()) };
    if preset.confirm.is_none() {
        return Err("chain: a certificate is fetched while the gateway is asked; add a [confirm]".to_owned());
    }
    for (field, origin) in
        [("certificate", &chain.certificate), ("signature", &chain.signature), ("algorithm", &chain.algorithm.origin)]
    {
        if matches!(origin, Origin::Field(_)) {
            return Err(format!("chain.{field}: write the header that it stands in, such as @header.X-Name"));
        }
    }
    let is_host = |host: &String| super::confirm::is_base(&format!("https://{host}")) && !host.ends_with('/');
    if chain.hosts.is_empty() || !chain.hosts.iter().chain(&chain.test_hosts).all(is_host) {
        return Err("chain.hosts: name the hosts that certificates are fetched from, such as api.example.com".to_owned());
    }
    if !chain.path.starts_with('/') || !chain.path.ends_with('/') {
        return Err("chain.path: say what addresses begin with behind the host, such as /certificates/".to_owned());
    }
    if chain.name.trim_start_matches('.').is_empty() {
        return Err("chain.name: say whom the certificate must name, such as .example.com".to_owned());
    }
    if let Some(name) = chain.message.options().find(|name| !known(name)) {
        return Err(format!("chain.message: there is no option {name:?}; add an [[option]] of this name"));
    }
    if chain.message.fields().next().is_some() {
        return Err("chain.message: it is made of headers, options and {@digest}; fields of the body are not read".to_owned());
    }
    Ok(())
}
