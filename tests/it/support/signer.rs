//! A stand-in for a gateway that signs with a certificate: it keeps the certificate at an address of its own, and signs.

use super::merchant::{Answer, FakeMerchant};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use ring::{rand::SystemRandom, signature};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use std::{collections::HashMap, net::IpAddr};

/// The key that signs; made for these tests, and of use nowhere else.
const KEY: &str = include_str!("signer.pem");
/// Where the certificates lie, as a name that leads to loopback.
const HOST: &str = "certificates.test";
/// The webhook that is signed for.
pub const WEBHOOK: &str = "96605875FF6516633";
/// Whom the certificate names.
pub const NAME: &str = "messageverificationcerts.paypal.com";

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = Self::parameters(name);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// One whom another trusts.
    fn below(above: &Self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let parameters = Self::parameters(name);
        let pem = parameters.signed_by(&key, &above.issuer).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
    }
}

/// The stand-in.
pub struct Signer {
    pub server: FakeMerchant,
    pub root: Authority,
    pub between: Authority,
}

impl Signer {
    /// Keeps a certificate that is right.
    pub async fn start() -> Self {
        let root = Authority::new("Root");
        let between = Authority::below(&root, "Between");
        let key = KeyPair::generate().unwrap();
        let shown = CertificateParams::new([HOST.to_owned()]).unwrap().signed_by(&key, &root.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signer = Self { server: FakeMerchant::start_tls(shown.der().clone(), key).await, root, between };
        signer.keep(signer.chain(NAME, |_| {}));
        signer
    }

    /// What leads to it, for the server's resolver.
    pub fn names() -> HashMap<String, Vec<IpAddr>> {
        [(HOST.to_owned(), vec![[127, 0, 0, 1].into()])].into()
    }

    /// What a listener must know to ask it.
    pub fn options(&self) -> [(String, String); 3] {
        [
            ("webhook-id".to_owned(), WEBHOOK.to_owned()),
            ("certificate-hosts".to_owned(), self.host()),
            ("confirm-authority".to_owned(), self.root.pem.clone()),
        ]
    }

    pub fn host(&self) -> String {
        format!("{HOST}:{}", self.server.address.port())
    }

    /// A certificate for the key that signs, with the one that issued it behind it.
    pub fn chain(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        Self::issued(name, &self.between, change) + &self.between.pem
    }

    /// A certificate for the key that signs, issued by somebody.
    pub fn issued(name: &str, by: &Authority, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        change(&mut parameters);
        parameters.signed_by(&KeyPair::from_pem(KEY).unwrap(), &by.issuer).unwrap().pem()
    }

    /// From now on it shows this.
    pub fn keep(&self, pem: String) {
        self.server.answer(move |visit| match visit.path.as_str() {
            path if path.starts_with("/v1/notifications/certs/CERT-1") => Answer::text(pem.clone()),
            _ => Answer::status(404, "no such certificate"),
        });
    }

    /// The headers of a message that it has signed.
    pub fn sign(&self, body: &[u8], webhook: &str) -> Vec<(&'static str, String)> {
        let (id, time) = ("071f7d20-1584-11e7-abf0-6b62a8a99ac4", "2026-03-01T12:00:00Z");
        let message = format!("{id}|{time}|{webhook}|{}", crc32fast::hash(body));
        let der = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let pair = signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let mut made = vec![0; pair.public().modulus_len()];
        pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut made).unwrap();
        vec![
            ("paypal-transmission-id", id.to_owned()),
            ("paypal-transmission-time", time.to_owned()),
            ("paypal-transmission-sig", STANDARD.encode(made)),
            ("paypal-auth-algo", "SHA256withRSA".to_owned()),
            ("paypal-cert-url", format!("https://{}/v1/notifications/certs/CERT-1", self.host())),
        ]
    }
}
