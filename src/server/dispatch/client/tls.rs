//! TLS towards merchants: whom we trust, and what its errors mean to them.

use super::Failure;
use crate::domain::{Cause, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_rustls::TlsConnector;

/// Most certificates that one URL may bring along.
const MAX_CERTIFICATES: usize = 20;
/// Longest text they may be pasted in, in bytes.
const MAX_PEM: usize = 64 << 10;
/// Connectors kept for URLs with certificates of their own; beyond that they are made anew.
const MAX_CONNECTORS: usize = 256;

/// What a connector is known by: nothing for the public certificates alone, else the digest of the others.
pub type TrustKey = Option<[u8; 32]>;

/// Whom we trust.
pub struct Trust {
    roots: RootCertStore,
    public: TlsConnector,
    private: Mutex<HashMap<[u8; 32], TlsConnector>>,
}

impl Trust {
    /// Trusts the machine's certificates, and some more.
    pub fn new(more: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs.into_iter().chain(more));
        if added == 0 {
            tracing::warn!("this machine trusts no certificates: https URLs cannot be delivered to; install ca-certificates");
        }
        Self { public: connector(roots.clone()), roots, private: Mutex::default() }
    }

    /// What tells the certificates that a URL brings along from those of others.
    pub fn key(authority: &str) -> TrustKey {
        (!authority.is_empty()).then(|| Sha256::digest(authority.as_bytes()).into())
    }

    /// Everybody who is trusted with what a URL brings along.
    pub fn roots(&self, authority: &str) -> Result<RootCertStore, Failure> {
        let mut roots = self.roots.clone();
        if authority.is_empty() {
            return Ok(roots);
        }
        for certificate in certificates(authority).map_err(|error| Failure::of(Cause::TlsUnknownIssuer, error.to_string()))? {
            roots.add(certificate).map_err(|error| Failure::of(Cause::TlsUnknownIssuer, error.to_string()))?;
        }
        Ok(roots)
    }

    /// A connector that also trusts what a URL brings along.
    pub fn connector(&self, authority: &str) -> Result<TlsConnector, Failure> {
        let Some(key) = Self::key(authority) else { return Ok(self.public.clone()) };
        let known = |private: &HashMap<_, TlsConnector>| private.get(&key).cloned();
        if let Some(connector) = known(&self.private.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(connector);
        }
        let made = connector(self.roots(authority)?);
        let mut private = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        if private.len() >= MAX_CONNECTORS {
            private.clear();
        }
        private.insert(key, made.clone());
        Ok(made)
    }
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    #[expect(clippy::expect_used, reason = "the provider supports the default versions by construction")]
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// When the first of some certificates ends: the server's own, or one that it shows for its issuer.
pub fn ends_at(certificates: Option<&[CertificateDer<'_>]>) -> Option<Timestamp> {
    let ends = certificates?.iter().filter_map(|certificate| {
        let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some(Timestamp::from_seconds(read.validity().not_after.timestamp()))
    });
    ends.min()
}

/// Why a text is not taken for certificates: what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthority {
    #[error("This contains a private key. Paste the certificate alone; the key must stay where it is.")]
    PrivateKey,
    #[error("There is no certificate in this. Paste the text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.")]
    None,
    #[error("Certificate {0} is damaged: it was probably not copied to its end. Copy it again.")]
    Damaged(usize),
    #[error("Text {0} between BEGIN CERTIFICATE and END CERTIFICATE is no certificate: {1}.")]
    Unusable(usize, String),
    #[error("These are more than {MAX_CERTIFICATES} certificates. Paste the root of the private authority alone.")]
    TooMany,
    #[error("This is longer than 64 KiB. Paste the root certificate of the private authority alone.")]
    TooLarge,
}

/// Reads the certificates that somebody has pasted; each is one that can be trusted.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, InvalidAuthority> {
    if pem.len() > MAX_PEM {
        return Err(InvalidAuthority::TooLarge);
    }
    if pem.contains("PRIVATE KEY-----") {
        return Err(InvalidAuthority::PrivateKey);
    }
    let mut certificates = Vec::new();
    for (place, certificate) in CertificateDer::pem_slice_iter(pem.as_bytes()).enumerate() {
        if place == MAX_CERTIFICATES {
            return Err(InvalidAuthority::TooMany);
        }
        let certificate = certificate.map_err(|_| InvalidAuthority::Damaged(place + 1))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| InvalidAuthority::Unusable(place + 1, error.to_string()))?;
        certificates.push(certificate.into_owned());
    }
    if certificates.is_empty() {
        let is_cut = pem.contains("-----BEGIN CERTIFICATE");
        return Err(if is_cut { InvalidAuthority::Damaged(1) } else { InvalidAuthority::None });
    }
    Ok(certificates)
}

/// Certificates as text: nothing but them, one after another.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> String {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// What is told of a certificate that is an authority's.
const AUTHORITYS_OWN: &str = "The server shows the certificate of an authority (CA:TRUE) as its own, which is not accepted even where that \
    authority is trusted: it needs one that the authority has signed for the server.";

fn is_authoritys_own(error: &rustls::OtherError) -> bool {
    // The library that says so is rustls' own, and no part of what it promises.
    error.to_string() == "CaUsedAsEndEntity"
}

/// What a failed handshake means.
pub fn failure(error: &io::Error) -> Failure {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                Failure::of(Cause::TlsHandshake, "The server closed the connection during the handshake.")
            }
            _ => Failure::of(Cause::TlsHandshake, error.to_string()),
        };
    };
    let (cause, note) = match inner {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => (Cause::TlsExpired, certificate.to_string()),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (Cause::TlsWrongHost, certificate.to_string())
            }
            CertificateError::UnknownIssuer => (Cause::TlsUnknownIssuer, String::new()),
            // What `openssl req -x509` makes: self-signed, and marked as an authority's.
            CertificateError::Other(other) if is_authoritys_own(other) => (Cause::TlsUnknownIssuer, AUTHORITYS_OWN.to_owned()),
            _ => (Cause::TlsHandshake, certificate.to_string()),
        },
        Error::InvalidMessage(_) => (Cause::TlsHandshake, "The server does not speak TLS on this port.".to_owned()),
        other => (Cause::TlsHandshake, other.to_string()),
    };
    Failure::of(cause, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(["ca.example".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn certificates_are_taken_out_of_what_stands_around_them() {
        let (first, second) = (pem(), pem());
        let found = certificates(&format!("subject=CN = ca\n{first}\nsome words\r\n{second}")).unwrap();
        assert_eq!(found.len(), 2);
        let text = to_pem(&found);
        assert_eq!(certificates(&text).unwrap(), found);
        assert!(!text.contains("words") && text.lines().all(|line| line.len() <= 64));
        assert_ne!(Trust::key(&first), Trust::key(&second));
        assert_eq!(Trust::key(""), None);
    }

    #[test]
    fn what_is_no_certificate_says_what_to_do() {
        let good = pem();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let half = &good[..good.len() / 2];
        for (text, expected) in [
            (String::new(), "There is no certificate"),
            ("hello".to_owned(), "There is no certificate"),
            (format!("{good}{key}"), "private key"),
            (nonsense.to_owned(), "Text 1 between"),
            (format!("{good}{nonsense}"), "Text 2 between"),
            (half.to_owned(), "damaged"),
            (good.repeat(21), "more than 20"),
            ("x".repeat(70_000), "64 KiB"),
        ] {
            let error = certificates(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
