//! What makes a message the same as an earlier one: its bytes, or the number that its gateway gives it. Gateways which
//! number their messages write them anew for each try, or put several into one request.

use super::NewNotification;
use sha2::{Digest as _, Sha256};

/// Bytes of a digest.
pub(super) const DIGEST_BYTES: usize = 16;
pub(super) type Digest = [u8; DIGEST_BYTES];

/// What the doctor reads of a notification: segment, part, id, digest, whether it was translated, its number, its size.
pub(super) type Proof<Part> = (i64, Part, i64, Vec<u8>, bool, String, i64);

/// The digest of a message on its way in.
pub(super) fn digest(new: &NewNotification) -> Digest {
    of(identifying(new.outgoing.is_some(), &new.facts.message_id, &new.body))
}

/// Whether what is stored is what was accepted, as far as its digest tells; of a numbered message the size, too.
pub(super) fn is_unaltered(digest: &[u8], translated: bool, message_id: &str, size: i64, body: &[u8]) -> bool {
    body.len() as i64 == size && digest == of(identifying(translated, message_id, body))
}

fn identifying<'a>(translated: bool, message_id: &'a str, body: &'a [u8]) -> &'a [u8] {
    if translated && !message_id.is_empty() { message_id.as_bytes() } else { body }
}

pub(super) fn of(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&Sha256::digest(bytes)[..DIGEST_BYTES]);
    digest
}
