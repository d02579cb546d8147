//! The certificates that gateways sign messages with: fetched from where a message says, as far as its gateway allows that, kept until
//! they end, and checked like those of a TLS server: issued by an authority that is trusted, for the gateway's name, and valid when the
//! message came.
//!
//! What of a message names the certificate and what is signed is the gateway's description (`gateway`).

use super::Confirmer;
use crate::domain::{RefusalReason, Timestamp};
use crate::server::{
    dispatch::client::{Client, Outbound, Target},
    gateway::{Credentials, Preset, Refused, Request, Signed},
};
use bytes::Bytes;
use http::{Method, header};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

/// Certificates kept; a gateway signs with one or two at a time. Beyond that whichever ends first is fetched again.
const KEPT: usize = 64;
/// Largest file of certificates, in bytes: a chain of four has about 8 kB.
const MAX_FILE: usize = 64 << 10;
/// Most certificates in it.
const MAX_CERTIFICATES: usize = 10;
/// Seconds that fetching one may take.
const FETCHED_WITHIN: u16 = 10;

/// Why a signature is not right.
#[derive(Debug)]
pub enum Unproved {
    /// It never will be.
    Refused(Refused),
    /// The certificate could not be fetched; why, as a sentence.
    Unclear(String),
}

/// Where a certificate lies, whom it must name, and who is trusted beside the public authorities.
type Key = (String, String, String);

/// A certificate that was found right.
#[derive(Debug, Clone)]
struct Signer {
    /// The key of RSA that signs.
    key: Arc<[u8]>,
    from: Timestamp,
    /// When the first certificate of its chain ends.
    until: Timestamp,
}

/// Certificates that were found right.
#[derive(Debug, Default)]
pub struct Certificates(Mutex<HashMap<Key, Signer>>);

impl Certificates {
    fn get(&self, key: &Key, at: Timestamp) -> Option<Signer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|signer| signer.from <= at && at < signer.until).cloned()
    }

    fn keep(&self, key: Key, signer: Signer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(&key) {
            let first = kept.iter().min_by_key(|(_, signer)| signer.until).map(|(key, _)| key.clone());
            first.and_then(|first| kept.remove(&first));
        }
        kept.insert(key, signer);
    }
}

impl Confirmer {
    /// Whether the certificate that a message names signed it; yes where its gateway signs otherwise. `at` is when it came.
    pub(super) async fn prove(
        &self,
        preset: &Preset,
        credentials: Credentials<'_>,
        request: &Request<'_>,
        at: Timestamp,
    ) -> Result<(), Unproved> {
        let Some(signed) = preset.signed(credentials, request).map_err(Unproved::Refused)? else { return Ok(()) };
        let authority = credentials.options.get(crate::server::gateway::CONFIRM_AUTHORITY).unwrap_or_default();
        let key = (signed.url.clone(), signed.name.clone(), authority.to_owned());
        let signer = match self.certificates.get(&key, at) {
            Some(signer) => signer,
            None => {
                let file = fetched(&self.client, &signed.url, authority).await?;
                let roots = self.client.roots(authority).map_err(|failure| Unproved::Unclear(failure.note))?;
                let signer = checked(&file, &signed, &roots, at).map_err(Unproved::Refused)?;
                self.certificates.keep(key, signer.clone());
                signer
            }
        };
        signer.check(&signed).map_err(Unproved::Refused)
    }
}

impl Signer {
    fn check(&self, signed: &Signed) -> Result<(), Refused> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.key);
        key.verify(&signed.message, &signed.signature).map_err(|_| {
            wrong(format!(
                "The header {} is no signature of this message by its certificate: the message was changed, or it was signed for another webhook.",
                signed.place
            ))
        })
    }
}

fn wrong(detail: impl Into<String>) -> Refused {
    Refused { reason: RefusalReason::WrongSignature, detail: detail.into() }
}

/// Fetches a file of certificates.
async fn fetched(client: &Client, url: &str, authority: &str) -> Result<Bytes, Unproved> {
    let target = Target::parse(url).map_err(Unproved::Unclear)?;
    let host = &target.host;
    let outbound = Outbound {
        target: &target,
        authority,
        method: Method::GET,
        headers: vec![(header::USER_AGENT, super::ask::AGENT)],
        body: Bytes::new(),
        timeout: Some(FETCHED_WITHIN),
    };
    let exchange = client.send(&outbound).await;
    if let Some(failure) = exchange.failure {
        return Err(Unproved::Unclear(format!("{host}: {} {}", failure.cause.sentence(), failure.note).trim_end().to_owned()));
    }
    let answer = exchange.answer;
    match answer.status {
        200 if answer.truncated || answer.body.len() > MAX_FILE => {
            Err(Unproved::Unclear(format!("{host} answered more than can be read.")))
        }
        200 => Ok(answer.body),
        status @ (404 | 410) => Err(Unproved::Refused(wrong(format!("{host} has no such certificate ({status}).")))),
        // A redirect, too: it leads where nobody has allowed to ask.
        status => Err(Unproved::Unclear(format!("{host} answered {status} where a certificate was expected."))),
    }
}

/// Checks a file of certificates, the signer's first: who issued them, whom they name, and when they are valid.
fn checked(file: &[u8], signed: &Signed, roots: &RootCertStore, at: Timestamp) -> Result<Signer, Refused> {
    let none = || wrong("There is no certificate where its certificate is said to lie.");
    let chain: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(file).take(MAX_CERTIFICATES + 1).collect::<Result<_, _>>().map_err(|_| none())?;
    if chain.len() > MAX_CERTIFICATES {
        return Err(wrong(format!("Its certificate comes with more than {MAX_CERTIFICATES} others.")));
    }
    let (first, issuers) = chain.split_first().ok_or_else(none)?;
    let read = |certificate| parse_x509_certificate(certificate).map(|(_, read)| read).map_err(|_| none());
    let leaf = read(first)?;
    let names = names(&leaf);
    if !names.iter().any(|name| is_named(name, &signed.name)) {
        let names = names.join(", ");
        return Err(wrong(format!("Its certificate is that of {names}, and not of {}.", signed.name)));
    }
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let moment = UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default()));
    let parsed = ParsedCertificate::try_from(first).map_err(|error| unusable(&error))?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, issuers, moment, algorithms.all)
        .map_err(|error| unusable(&error))?;
    let (mut from, mut until) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    for certificate in &chain {
        let validity = read(certificate)?.validity().clone();
        from = from.max(Timestamp::from_seconds(validity.not_before.timestamp()));
        until = until.min(Timestamp::from_seconds(validity.not_after.timestamp()));
    }
    Ok(Signer { key: leaf.public_key().subject_public_key.data.as_ref().into(), from, until })
}

fn unusable(error: &Error) -> Refused {
    let Error::InvalidCertificate(certificate) = error else { return wrong(format!("Its certificate cannot be used: {error}.")) };
    wrong(match certificate {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "Its certificate was issued by nobody who is trusted here.".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "Its certificate, or one that issued it, had ended when the message came.".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "Its certificate, or one that issued it, was not yet valid when the message came.".to_owned()
        }
        other => format!("Its certificate cannot be used: {other}."),
    })
}

/// Whom a certificate names: its alternative names, and only where it has none the common name.
fn names<'c>(certificate: &'c X509Certificate<'_>) -> Vec<&'c str> {
    let alternative = certificate.subject_alternative_name().ok().flatten().map(|extension| &extension.value.general_names);
    let named: Vec<_> = alternative
        .into_iter()
        .flatten()
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None })
        .collect();
    if named.is_empty() {
        certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).collect()
    } else {
        named
    }
}

fn is_named(name: &str, wanted: &str) -> bool {
    let (name, wanted) = (name.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    if wanted.starts_with('.') { name.len() > wanted.len() && name.ends_with(&wanted) } else { name == wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_certificates_are_kept_and_no_more() {
        let certificates = Certificates::default();
        let key = |number: usize| (format!("https://a.example/{number}"), ".a.example".to_owned(), String::new());
        let signer = |until: usize| Signer {
            key: Arc::from([1u8]),
            from: Timestamp::from_seconds(10),
            until: Timestamp::from_seconds(i64::try_from(until).unwrap()),
        };
        for number in 0..=KEPT {
            certificates.keep(key(number), signer(1_000 + number));
        }
        let at = Timestamp::from_seconds(500);
        assert!(certificates.get(&key(0), at).is_none(), "the first that ends makes room");
        assert!((1..=KEPT).all(|number| certificates.get(&key(number), at).is_some()));
        certificates.keep(key(1), signer(5_000));
        assert!(certificates.get(&key(2), at).is_some(), "one that is there already takes nobody's place");
        for (at, expected) in [(9, false), (10, true), (4_999, true), (5_000, false)] {
            assert_eq!(certificates.get(&key(1), Timestamp::from_seconds(at)).is_some(), expected, "{at}");
        }
        let other = ("https://a.example/1".to_owned(), ".a.example".to_owned(), "another authority".to_owned());
        assert!(certificates.get(&other, at).is_none());
    }

    #[test]
    fn names_end_as_wanted_or_are_it() {
        for (name, wanted, expected) in [
            ("messageverificationcerts.paypal.com", ".paypal.com", true),
            ("A.PayPal.Com", ".paypal.com", true),
            ("paypal.com", ".paypal.com", false),
            (".paypal.com", ".paypal.com", false),
            ("evilpaypal.com", ".paypal.com", false),
            ("a.paypal.com.evil.example", ".paypal.com", false),
            ("a.example", "a.example", true),
            ("b.a.example", "a.example", false),
        ] {
            assert_eq!(is_named(name, wanted), expected, "{name} {wanted}");
        }
    }
}
