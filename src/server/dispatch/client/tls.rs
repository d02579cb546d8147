//! TLS towards merchants, and what its errors mean to them.

use super::Failure;
use crate::domain::Cause;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, pki_types::CertificateDer};
use std::{io, sync::Arc};
use tokio_rustls::TlsConnector;

/// A connector that trusts the machine's certificates, and some more.
pub fn connector(more: Vec<CertificateDer<'static>>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs.into_iter().chain(more));
    if added == 0 {
        tracing::warn!("this machine trusts no certificates: https URLs cannot be delivered to; install ca-certificates");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    #[expect(clippy::expect_used, reason = "the provider supports the default versions by construction")]
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
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
            _ => (Cause::TlsHandshake, certificate.to_string()),
        },
        Error::InvalidMessage(_) => (Cause::TlsHandshake, "The server does not speak TLS on this port.".to_owned()),
        other => (Cause::TlsHandshake, other.to_string()),
    };
    Failure::of(cause, note)
}
