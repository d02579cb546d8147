//! Messages that wait for their gateway's word: what is the same on both engines.

use super::{
    NewVerifying, StoreError, Verifying,
    identity::{Digest, of},
    pack::{pack, unpack},
};
use crate::domain::{
    Timestamp,
    id::{ListenerId, MerchantId, VerifyingId},
};

/// Most messages that wait at one listener. Beyond that its gateway is told to come again: whoever knows an address can post to
/// it, and each message is a question of ours.
pub(super) const MOST_OF_LISTENER: i64 = 10_000;
/// Of so many that are due the next are chosen; a listener with more than that before others is passed over while it is busy.
pub(super) const CHOICE: i64 = 500;

pub(super) fn full() -> StoreError {
    StoreError::Unavailable("too many messages of this listener wait for their gateway's word".to_owned())
}

pub(super) fn packed(new: &NewVerifying) -> (Digest, Vec<u8>) {
    (of(&new.body), pack(&[new.head.as_bytes(), &new.body]))
}

/// Head and body.
pub(super) fn unpacked(bytes: &[u8]) -> Result<(String, Vec<u8>), StoreError> {
    let mut parts = unpack(bytes)?.into_iter();
    let head = parts.next().unwrap_or_default();
    Ok((String::from_utf8_lossy(&head).into_owned(), parts.next().unwrap_or_default()))
}

/// Whether what is stored can be read and is what came.
pub(super) fn is_unaltered(digest: &[u8], bytes: &[u8]) -> bool {
    unpacked(bytes).is_ok_and(|(_, body)| digest == of(&body))
}

/// A row as it was taken.
pub(super) struct Row {
    pub ids: [i64; 3],
    pub received_at: i64,
    pub reference: String,
    pub peer: String,
    pub bytes: Vec<u8>,
    pub repeats: i64,
    pub attempts: i64,
}

impl Row {
    pub fn read(self) -> Result<Verifying, StoreError> {
        let (head, body) = unpacked(&self.bytes)?;
        let [id, merchant_id, listener_id] = self.ids;
        Ok(Verifying {
            id: VerifyingId(id),
            merchant_id: MerchantId(merchant_id),
            listener_id: ListenerId(listener_id),
            received_at: Timestamp(self.received_at),
            reference: self.reference,
            peer: self.peer,
            head,
            body: body.into(),
            repeats: u32::try_from(self.repeats).unwrap_or(u32::MAX),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
        })
    }
}
