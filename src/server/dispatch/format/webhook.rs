//! Signatures of Standard Webhooks, version 1 (<https://www.standardwebhooks.com>): HMAC-SHA256 over `id.timestamp.body`.
//!
//! Each URL has a secret of its own, made of the merchant's key: whoever knows the secret of one URL can sign for no other,
//! there is nothing more to keep, and changing the key changes the secrets. While two keys are valid every message carries
//! two signatures, and a receiver takes it if one of them is right, so that its secret can be changed at any moment.

use super::{Keys, Letter, Proof};
use crate::domain::{
    Format, Timestamp,
    id::{NotificationId, UrlId},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac as _};
use http::{HeaderName, HeaderValue, Method, header};
use sha2::Sha256;

/// Names the purpose of the secrets, so that no other use of a merchant's key gives the same bytes.
const PURPOSE: &str = "quittance standard-webhooks v1";

/// The headers of the specification.
pub const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// The secret that the messages to one URL are signed with: 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The secret of a URL under a merchant's key.
    pub fn of(key: &[u8], url_id: UrlId) -> Self {
        Self(mac(key, format!("{PURPOSE} {url_id}").as_bytes()))
    }

    /// As it is entered at the receiver: `whsec_` and Base64.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// The bytes of the signature of a text.
    pub fn mac(&self, text: &[u8]) -> Vec<u8> {
        mac(&self.0, text)
    }

    /// The same with any key, as a script may make it by mistake.
    pub fn mac_with(key: &[u8], text: &[u8]) -> Vec<u8> {
        mac(key, text)
    }

    /// The signature of a message, as it stands in the header: `v1,` and Base64.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        format!("v1,{}", STANDARD.encode(mac(&self.0, &signed)))
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec()).unwrap_or_default()
}

/// The number of a message for its receiver: the same for every attempt and resend, so that it can tell a repeat.
pub fn message_id(id: NotificationId) -> String {
    format!("msg_{id}")
}

/// A signed message. The time stamp is that of the attempt, because receivers refuse what is old.
pub(super) fn letter(body: Vec<u8>, url_id: UrlId, keys: Keys<'_>, id: NotificationId, now: Timestamp) -> Letter {
    let (id, seconds) = (message_id(id), now.micros().div_euclid(1_000_000));
    let secrets = [Some(keys.new), keys.old].into_iter().flatten().map(|key| Secret::of(key, url_id));
    let signatures: Vec<_> = secrets.map(|secret| secret.sign(&id, seconds, &body)).collect();
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let [id_header, time_header, signature_header] = HEADERS.map(HeaderName::from_static);
    Letter {
        method: Method::POST,
        query: None,
        headers: vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (id_header, value(&id)),
            (time_header, value(&seconds.to_string())),
            (signature_header, value(&signatures.join(" "))),
        ],
        body: Bytes::from(body),
        proof: Proof::Status(None),
        format: Format::Json,
        note: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of the libraries of the specification.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = Secret(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(secret.reveal(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_are_of_one_url_and_one_key() {
        let secret = Secret::of(b"key", UrlId(7));
        assert_eq!(secret.0.len(), 32, "24 to 64 bytes");
        assert!(secret == Secret::of(b"key", UrlId(7)), "the same after a restart");
        assert!(secret != Secret::of(b"key", UrlId(8)) && secret != Secret::of(b"other", UrlId(7)));
        // Pinned: another value would make every receiver refuse.
        assert_eq!(secret.reveal(), "whsec_q/FRsG2JCG76bjNzli8Xlm8dQwrvFKCa7CBniXBW380=");
    }

    #[test]
    fn while_a_key_is_changed_a_message_carries_two_signatures() {
        let now = Timestamp::from_seconds(1_614_265_330);
        let made = |old| letter(b"{}".to_vec(), UrlId(7), Keys { chosen: b"old", new: b"new", old }, NotificationId(5), now);
        let header = |letter: &Letter, name: &str| {
            let found = letter.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.to_str().unwrap().to_owned()).unwrap()
        };
        let one = |key: &[u8]| Secret::of(key, UrlId(7)).sign("msg_5", 1_614_265_330, b"{}");
        assert_eq!(header(&made(None), "webhook-signature"), one(b"new"));
        let both = made(Some(b"old"));
        assert_eq!(header(&both, "webhook-signature"), format!("{} {}", one(b"new"), one(b"old")));
        assert_eq!((header(&both, "webhook-id").as_str(), header(&both, "webhook-timestamp").as_str()), ("msg_5", "1614265330"));
    }
}
