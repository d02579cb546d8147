//! Keyed hashes, plain hashes over a secret, and Ed25519: what gateways prove their messages with. Comparisons take the same
//! time wherever a difference lies.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::borrow::Cow;
use subtle::ConstantTimeEq as _;

/// Base64 as gateways write it, with or without the signs at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a message is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    HmacMd5,
    HmacSha1,
    HmacSha256,
    HmacSha384,
    HmacSha512,
    /// A plain hash; the secret is part of the message.
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    /// A signature; the secret is the sender's public key.
    Ed25519,
}

impl Method {
    /// Bytes of a signature.
    pub const fn size(self) -> usize {
        match self {
            Self::HmacMd5 | Self::Md5 => 16,
            Self::HmacSha1 | Self::Sha1 => 20,
            Self::HmacSha256 | Self::Sha256 => 32,
            Self::HmacSha384 | Self::Sha384 => 48,
            Self::HmacSha512 | Self::Sha512 | Self::Ed25519 => 64,
        }
    }

    /// The name for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::HmacMd5 => "HMAC-MD5",
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
            Self::HmacSha384 => "HMAC-SHA384",
            Self::HmacSha512 => "HMAC-SHA512",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// The hash of a message; `None` for Ed25519, whose signatures are made with a key that is not here.
    fn hash(self, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        fn keyed<M: KeyInit + hmac::Mac>(key: &[u8], message: &[u8]) -> Vec<u8> {
            #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
            let mac = <M as KeyInit>::new_from_slice(key).expect("an HMAC takes a key of any length");
            mac.chain_update(message).finalize().into_bytes().to_vec()
        }
        Some(match self {
            Self::HmacMd5 => keyed::<Hmac<Md5>>(key, message),
            Self::HmacSha1 => keyed::<Hmac<Sha1>>(key, message),
            Self::HmacSha256 => keyed::<Hmac<Sha256>>(key, message),
            Self::HmacSha384 => keyed::<Hmac<Sha384>>(key, message),
            Self::HmacSha512 => keyed::<Hmac<Sha512>>(key, message),
            Self::Md5 => Md5::digest(message).to_vec(),
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
            Self::Ed25519 => return None,
        })
    }

    /// Whether a signature is right.
    pub fn verify(self, key: &[u8], message: &[u8], given: &[u8]) -> bool {
        match self.hash(key, message) {
            Some(hash) => bool::from(hash.ct_eq(given)),
            None => ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key).verify(message, given).is_ok(),
        }
    }

    /// The signature of a message. For Ed25519 the key is the seed of a private key.
    pub fn sign(self, key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
        self.hash(key, message).or_else(|| {
            let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(key).ok()?;
            Some(pair.sign(message).as_ref().to_vec())
        })
    }
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Hexadecimal digits of either case.
    #[default]
    Hex,
    Base64,
}

impl Encoding {
    /// The bytes that a text stands for.
    pub fn read(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Hex => hex::decode(text).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
        }
    }

    /// The text for bytes.
    pub fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
        }
    }
}

/// How the secret that people enter becomes the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// Its characters.
    #[default]
    Text,
    Hex,
    Base64,
}

impl KeyForm {
    /// The key, or what is wrong with what was entered.
    pub fn read(self, secret: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
        match self {
            Self::Text => Ok(secret.into()),
            Self::Hex => hex::decode(secret)
                .map(Cow::Owned)
                .map_err(|_| "it must be hexadecimal digits (0-9, a-f), an even number of them"),
            Self::Base64 => BASE64.decode(secret).map(Cow::Owned).map_err(|_| "it must be Base64 (letters, digits, + and /)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, RFC 4231 and RFC 8032 (test 2).
    #[test]
    fn published_values() {
        let message = b"what do ya want for nothing?";
        for (method, expected) in [
            (Method::HmacMd5, "750c783e6ab0b503eaa86e310a5db738"),
            (Method::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Method::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Method::HmacSha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
        ] {
            let given = hex::decode(expected).unwrap();
            assert_eq!(given.len(), method.size());
            assert!(method.verify(b"Jefe", message, &given), "{method:?}");
            for at in 0..given.len() {
                let mut altered = given.clone();
                altered[at] ^= 1;
                assert!(!method.verify(b"Jefe", message, &altered), "right length, wrong at {at}");
            }
            assert!(!method.verify(b"Jefe", message, &given[..given.len() - 1]) && !method.verify(b"Jefe", message, b""));
        }
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let public = hex::decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
        let signature = Method::Ed25519.sign(&seed, b"\x72").unwrap();
        assert!(hex::encode(&signature).starts_with("92a009a9f0d4cab8720e820b5f642540"));
        assert!(Method::Ed25519.verify(&public, b"\x72", &signature));
        assert!(!Method::Ed25519.verify(&public, b"\x73", &signature));
        assert!(!Method::Ed25519.verify(b"short", b"\x72", &signature));
    }

    #[test]
    fn texts_of_signatures_and_keys() {
        assert_eq!(Encoding::Hex.read(b"0aFF"), Some(vec![10, 255]));
        assert_eq!(Encoding::Hex.read(b"0aF"), None);
        assert_eq!(Encoding::Base64.read(b"/+8="), Encoding::Base64.read(b"/+8"));
        assert_eq!(Encoding::Base64.read(b"/+8 "), None);
        assert!(KeyForm::Hex.read(b"xyz").unwrap_err().contains("hexadecimal"));
        assert_eq!(KeyForm::Base64.read(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().len(), 24);
    }
}
