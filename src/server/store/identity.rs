//! What makes a message the same as an earlier one: its bytes, or the number that its gateway gives it. Gateways which
//! number their messages write them anew for each try, or put several into one request. Of a form that 2Checkout signed it is
//! the values in their order: it signs neither the names of fields nor how a value is written, so that the bytes could be
//! changed, and what was there already would come as new.

use super::NewNotification;
pub(super) use crate::server::ipn::signature::{Digest, digest as of};
use crate::server::ipn::{Form, signature};
use std::borrow::Cow;

/// What the doctor reads of a notification: segment, part, id, digest, whether it was translated, its number, its size.
pub(super) type Proof<Part> = (i64, Part, i64, Vec<u8>, bool, String, i64);

/// The digest of a message on its way in.
pub(super) fn digest(new: &NewNotification) -> Digest {
    new.digest.unwrap_or_else(|| of(&identifying(new.outgoing.is_some(), &new.facts.message_id, &new.body)))
}

/// Whether what is stored is what was accepted, as far as its digest tells; of a numbered message the size, too. Messages of
/// 2Checkout that were stored before they were told by their values are known by their bytes.
pub(super) fn is_unaltered(digest: &[u8], translated: bool, message_id: &str, size: i64, body: &[u8]) -> bool {
    body.len() as i64 == size && (digest == of(&identifying(translated, message_id, body)) || !translated && digest == of(body))
}

fn identifying<'a>(translated: bool, message_id: &'a str, body: &'a [u8]) -> Cow<'a, [u8]> {
    if translated {
        return if message_id.is_empty() { body } else { message_id.as_bytes() }.into();
    }
    Form::parse(body).map_or(body.into(), |form| signature::source(&form.fields).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(a: &str, b: &str) -> bool {
        of(&identifying(false, "", a.as_bytes())) == of(&identifying(false, "", b.as_bytes()))
    }

    #[test]
    fn another_spelling_of_what_was_signed_is_the_same_message() {
        let genuine = "REFNO=1&IPN_PID%5B%5D=7&IPN_PNAME%5B%5D=a+b&HASH=aa&SIGNATURE_SHA2_256=bb";
        for replayed in [
            "REFNO=%31&IPN_PID[]=7&IPN_PNAME[]=a%20b&HASH=aa&SIGNATURE_SHA2_256=bb",
            "REFNO=1&IPN_PID%5B%5D=7&IPN_PNAME%5B%5D=a+b&SIGNATURE_SHA2_256=bb",
            "&REFNO=1&&IPN_PID%5B0%5D=7&IPN_PNAME%5B0%5D=a+b&HASH=AA&SIGNATURE_SHA2_256=bb&",
            "REFNO=1&IPN_PID%5B%5D=7&ANOTHER=a+b&HASH=aa",
        ] {
            assert!(is_same(genuine, replayed), "{replayed}");
        }
        for other in
            ["REFNO=2&IPN_PID%5B%5D=7&IPN_PNAME%5B%5D=a+b", "IPN_PID%5B%5D=7&REFNO=1&IPN_PNAME%5B%5D=a+b", "REFNO=1&IPN_PID=7"]
        {
            assert!(!is_same(genuine, other), "{other}");
        }
    }

    #[test]
    fn what_was_stored_before_is_unaltered_still() {
        let body = b"REFNO=1&HASH=aa";
        for digest in [of(body), of(&identifying(false, "", body))] {
            assert!(is_unaltered(&digest, false, "", body.len() as i64, body));
            assert!(!is_unaltered(&digest, false, "", 3, body));
            assert!(!is_unaltered(&digest, false, "", body.len() as i64, b"REFNO=2&HASH=aa"));
        }
        assert!(!is_unaltered(&of(b"REFNO=1"), true, "", 9, b"REFNO=%31"), "of others it is the bytes");
    }
}
