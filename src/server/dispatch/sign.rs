//! The message that goes out: the received fields in received order, signed anew for one URL.

use crate::domain::{Algorithms, Tags};
use crate::server::ipn::{Form, FormError, ReceiptFacts, signature};
use bytes::Bytes;

/// A signed message.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub body: Bytes,
    /// What its read receipt runs over.
    pub receipt: ReceiptFacts,
    /// The signatures in it, to recognise them should the listener send one back.
    pub signatures: Vec<String>,
}

/// Signs what leaves of a received message with the merchant's key, once for each algorithm. The gateway's own signatures
/// are left out: they were made with a key that the merchant's script need not know.
pub fn sign(received: &[u8], tags: &Tags, algorithms: Algorithms, key: &[u8]) -> Result<Outgoing, FormError> {
    let mut form = Form::parse(received)?;
    form.fields.retain(|field| {
        signature::algorithm_of(&field.name).is_none()
            && (*tags == Tags::All || tags.takes(&String::from_utf8_lossy(field.base_name())))
    });
    let source = signature::source(&form.fields);
    let receipt = ReceiptFacts::of(&form);
    let mut signatures = Vec::new();
    for algorithm in algorithms.iter() {
        let signature = signature::sign(algorithm, key, &source);
        form.push(algorithm.field().as_bytes(), signature.clone().into_bytes());
        signatures.push(signature);
    }
    Ok(Outgoing { body: form.encode().into(), receipt, signatures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Algorithm;
    use signature::SignatureCheck;

    const RECEIVED: &[u8] = b"REFNO=1&A[]=%C3%81&A%5B%5D=&HASH=00&B=x+y&SIGNATURE_SHA3_256=11";

    #[test]
    fn fields_keep_their_order_and_only_the_signatures_change() {
        let outgoing = sign(RECEIVED, &Tags::All, Algorithms::MD5, b"merchant").unwrap();
        let text = String::from_utf8(outgoing.body.to_vec()).unwrap();
        assert!(text.starts_with("REFNO=1&A%5B%5D=%C3%81&A%5B%5D=&B=x+y&HASH="), "{text}");
        assert!(!text.contains("SHA3"));
        let form = Form::parse(&outgoing.body).unwrap();
        assert_eq!(signature::check(&form.fields, b"merchant"), SignatureCheck::Right(Algorithms::MD5));
    }

    #[test]
    fn the_signature_is_made_over_what_leaves() {
        let outgoing = sign(RECEIVED, &Tags::only("B"), Algorithms::ALL, b"merchant").unwrap();
        let form = Form::parse(&outgoing.body).unwrap();
        let names: Vec<_> = form.fields.iter().map(|field| String::from_utf8_lossy(&field.name).into_owned()).collect();
        assert_eq!(names, ["REFNO", "B", "HASH", "SIGNATURE_SHA2_256", "SIGNATURE_SHA3_256"]);
        assert_eq!(signature::check(&form.fields, b"merchant"), SignatureCheck::Right(Algorithms::ALL));
    }

    #[test]
    fn each_chosen_algorithm_signs_the_same_values() {
        let outgoing = sign(RECEIVED, &Tags::All, Algorithms::ALL, b"merchant").unwrap();
        let form = Form::parse(&outgoing.body).unwrap();
        assert_eq!(signature::check(&form.fields, b"merchant"), SignatureCheck::Right(Algorithms::ALL));
        let order: Vec<_> = form.fields.iter().filter_map(|field| signature::algorithm_of(&field.name)).collect();
        assert_eq!(order, Algorithm::ALL, "last, weakest first, as the gateway sends them");
    }
}
