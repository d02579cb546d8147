//! The signature over a notification: a keyed hash over every value in received order, each preceded by its length
//! in bytes. Names are not part of it; the signature fields leave themselves out.
//!
//! Source: 2Checkout documentation, *Calculate the IPN HASH signature*.

use super::form::Field;
use crate::domain::{Algorithm, Algorithms};
use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use sha3::Sha3_256;

/// Which signature a field carries, if any. Names are compared exactly, as the gateway's own samples do.
pub fn algorithm_of(name: &[u8]) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.field().as_bytes() == name)
}

/// Appends a value with its length in bytes before it. An empty value is a lone `0`.
pub fn push_prefixed(source: &mut Vec<u8>, value: &[u8]) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    source.extend_from_slice(&digits[at..]);
    source.extend_from_slice(value);
}

/// The text that is hashed: every value but the signatures, prefixed, in received order.
pub fn source(fields: &[Field<'_>]) -> Vec<u8> {
    let size: usize = fields.iter().map(|field| field.value.len() + 3).sum();
    let mut source = Vec::with_capacity(size);
    for field in fields.iter().filter(|field| algorithm_of(&field.name).is_none()) {
        push_prefixed(&mut source, &field.value);
    }
    source
}

/// By which a message is known again.
pub type Digest = [u8; 16];

/// The digest of the text that is hashed: however its values are written, the same message has the same one.
pub fn digest(source: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&Sha256::digest(source)[..size_of::<Digest>()]);
    digest
}

macro_rules! with_mac {
    ($algorithm:expr, $key:expr, $data:expr, $mac:ident => $then:expr) => {
        match $algorithm {
            Algorithm::Md5 => {
                let $mac = keyed::<Hmac<Md5>>($key).chain_update($data);
                $then
            }
            Algorithm::Sha2 => {
                let $mac = keyed::<Hmac<Sha256>>($key).chain_update($data);
                $then
            }
            Algorithm::Sha3 => {
                // SHA-3 is a sponge without the block buffer that `Hmac` builds upon.
                let $mac = keyed::<SimpleHmac<Sha3_256>>($key).chain_update($data);
                $then
            }
        }
    };
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    #[expect(clippy::expect_used, reason = "an HMAC takes a key of any length")]
    M::new_from_slice(key).expect("an HMAC takes a key of any length")
}

/// The signature as lower-case hexadecimal digits.
pub fn sign(algorithm: Algorithm, key: &[u8], data: &[u8]) -> String {
    with_mac!(algorithm, key, data, mac => hex::encode(mac.finalize().into_bytes()))
}

/// Whether a signature in hexadecimal digits of either case is right; compared in constant time.
pub fn verify(algorithm: Algorithm, key: &[u8], data: &[u8], given: &[u8]) -> bool {
    let mut digest = [0u8; 32];
    let size = algorithm.hex_len() / 2;
    if given.len() != algorithm.hex_len() || hex::decode_to_slice(given, &mut digest[..size]).is_err() {
        return false;
    }
    with_mac!(algorithm, key, data, mac => mac.verify_slice(&digest[..size]).is_ok())
}

/// What the signatures of a message are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    /// Every signature that is there is right.
    Right(Algorithms),
    /// No signature field is there.
    Missing,
    /// At least this one is wrong.
    Wrong(Algorithm),
}

/// Checks every signature in the message: whichever are present must all be right.
pub fn check(fields: &[Field<'_>], key: &[u8]) -> SignatureCheck {
    check_over(&source(fields), fields, key)
}

/// The same, of fields whose text to hash is known.
pub fn check_over(source: &[u8], fields: &[Field<'_>], key: &[u8]) -> SignatureCheck {
    let mut present = Algorithms::NONE;
    let mut wrong = None;
    // No early end: the time taken tells nothing about which of several signatures is wrong.
    for field in fields {
        if let Some(algorithm) = algorithm_of(&field.name) {
            present = present.with(algorithm);
            if !verify(algorithm, key, source, &field.value) {
                wrong = wrong.or(Some(algorithm));
            }
        }
    }
    match wrong {
        Some(algorithm) => SignatureCheck::Wrong(algorithm),
        None if present.is_empty() => SignatureCheck::Missing,
        None => SignatureCheck::Right(present),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;
    use proptest::prelude::*;

    const KEY: &[u8] = b"AABBCCDDEEFF";

    /// Published examples: the receipt of the official documentation, the unit test of the official C# sample, and
    /// two from the official plugins' tests.
    #[test]
    fn published_vectors() {
        let receipt: &[u8] = b"1116Software program14200503031234341420050303123434";
        assert_eq!(sign(Algorithm::Md5, KEY, receipt), "7bf97ed39681027d0c45aa45e3ea98f0");
        assert_eq!(sign(Algorithm::Md5, b"test", receipt), "3d7a5eb5557b70a80e5141c4fee0ed0d");
        assert_eq!(sign(Algorithm::Md5, b"test", b"TestString"), "a299fb35e2c113b7d72e8f7afa7ae1f7");
        assert_eq!(
            sign(Algorithm::Md5, b"#test_Secret-keY", b"6value16value26value36value4"),
            "f0e3cdda89e0886b412f90dcfac51a0f"
        );
    }

    /// The long example of the documentation, over its printed source text.
    #[test]
    fn the_documented_order() {
        let source = b"192016-06-01 12:22:097100003702138COMPLETE13Wire transfer4John5Smith9BV-66778800000015101 Main \
            Street08New York8New York650036524United States of America12951-121-2121019johnsmith@email.com4John5Smith015101 \
            Main Street08New York8New York650036524United States of America12951-121-212114213.233.121.503USD1116Software \
            program5PM_11011529.0040.00040.0000529.00534.0045.0043.381420050303123434";
        assert_eq!(sign(Algorithm::Md5, KEY, source), "b6077d5d2b5aef43ad6a448a737e1277");
        assert_eq!(sign(Algorithm::Sha2, KEY, source), "446e9136d319caf9e9efc1f1aa3dd69e15b9670bef391b901eea2c905e1cb3fb");
        assert_eq!(sign(Algorithm::Sha3, KEY, source), "51cbe7f593a248a9dece415d5f2ccb81da2777327aa5138f54d4fd1a6867e75c");
    }

    /// Computed with independent implementations in three languages.
    const A_ASCII: &str = "REFNO=1000037&REFNOEXT=&ORDERSTATUS=COMPLETE&IPN_PID%5B%5D=1&IPN_PNAME%5B%5D=Software+program\
        &IPN_TOTALGENERAL=0.01&TEST_ORDER=0&IPN_DATE=20050303123434\
        &HASH=36dffbb88d31d0f1ae3f13bed6368e6b\
        &SIGNATURE_SHA2_256=de35c8384241e740427ad712bb1f3566b696591fb14ec9575d9d60be5c18cac4\
        &SIGNATURE_SHA3_256=fe0e7820123ffd7173d92379767a89ea0a00f9fa41d1055319f3779035c51bd4";

    #[test]
    fn a_message_with_all_three_signatures() {
        let form = Form::parse(A_ASCII.as_bytes()).unwrap();
        assert_eq!(source(&form.fields), b"7100003708COMPLETE1116Software program40.01101420050303123434");
        assert_eq!(check(&form.fields, KEY), SignatureCheck::Right(Algorithms::ALL));
        assert_eq!(check(&form.fields, b"another"), SignatureCheck::Wrong(Algorithm::Md5));
    }

    #[test]
    fn one_wrong_signature_spoils_the_others() {
        let body = A_ASCII.replace("fe0e78", "fe0e79");
        let form = Form::parse(body.as_bytes()).unwrap();
        assert_eq!(check(&form.fields, KEY), SignatureCheck::Wrong(Algorithm::Sha3));
        let body = A_ASCII.replace("HASH=36dffbb88d31d0f1ae3f13bed6368e6b", "HASH=");
        assert_eq!(check(&Form::parse(body.as_bytes()).unwrap().fields, KEY), SignatureCheck::Wrong(Algorithm::Md5));
    }

    #[test]
    fn lengths_count_bytes_and_upper_case_digits_are_taken() {
        let mut form = Form::default();
        form.push(&b"IPN_PNAME[]"[..], "R. \u{c1}lvaro".as_bytes());
        form.push(&b"IPN_PNAME[]"[..], &b""[..]);
        assert_eq!(source(&form.fields), "10R. \u{c1}lvaro0".as_bytes());
        let signature = sign(Algorithm::Sha2, KEY, &source(&form.fields)).to_uppercase();
        form.push(&b"SIGNATURE_SHA2_256"[..], signature.into_bytes());
        assert_eq!(check(&form.fields, KEY), SignatureCheck::Right(Algorithms::NONE.with(Algorithm::Sha2)));
    }

    #[test]
    fn only_the_exact_names_are_left_out() {
        let form = Form::parse(b"hash=a&HASH[]=b&HASH=c&SIGNATURE_SHA2_256X=d").unwrap();
        assert_eq!(source(&form.fields), b"1a1b1d");
    }

    proptest! {
        #[test]
        fn signed_forms_verify_and_changed_ones_do_not(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..20),
            key in proptest::collection::vec(any::<u8>(), 0..40),
            which in 0usize..3, position in any::<prop::sample::Index>(),
        ) {
            let algorithm = Algorithm::ALL[which];
            let mut form = Form::default();
            for value in &values {
                form.push(&b"A[]"[..], value.clone());
            }
            let signature = sign(algorithm, &key, &source(&form.fields));
            form.push(algorithm.field().as_bytes(), signature.into_bytes());
            let body = form.encode();
            let received = Form::parse(&body).unwrap();
            prop_assert_eq!(check(&received.fields, &key), SignatureCheck::Right(Algorithms::NONE.with(algorithm)));
            let mut changed = received.clone();
            changed.fields[position.index(values.len())].value.to_mut().push(b'x');
            prop_assert_eq!(check(&changed.fields, &key), SignatureCheck::Wrong(algorithm));
        }

        #[test]
        fn any_signature_text_is_judged_without_a_panic(given in proptest::collection::vec(any::<u8>(), 0..80)) {
            for algorithm in Algorithm::ALL {
                prop_assert!(!verify(algorithm, b"key", b"data", &given));
            }
        }
    }
}
