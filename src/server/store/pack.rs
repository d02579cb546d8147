//! Big bytes on their way into a row: several parts in one compressed blob.
//!
//! Notifications resemble each other (a hundred field names, the same heads), so a fixed dictionary of those words
//! makes even a single message of 2.5 kB shrink to a fraction. The first byte names the form; forms and dictionaries
//! are never changed, only added, because old rows stay.

use super::StoreError;
use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

/// Form 1: Zstandard with the dictionary of the same number.
const WITH_DICTIONARY: u8 = 1;
/// Form 2: Zstandard by itself, for what is long enough to be its own dictionary; that is quicker.
const PLAIN: u8 = 2;
/// Unpacked bytes from which on form 2 is taken.
const LONG: usize = 32 << 10;
/// The buffers of a thread keep at most this much memory between calls.
const KEPT: usize = 1 << 20;
const DICTIONARY: &[u8] = include_bytes!("pack-1.dict");
/// Fast enough for the way of every message; higher levels gain little on texts this short.
const LEVEL: i32 = 1;
/// No blob in a row unpacks to more: an answer of 64 KiB and a body of 256 KiB with their heads.
const MAX_UNPACKED: usize = 4 << 20;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

/// What a thread packs with.
#[derive(Default)]
struct Packer {
    with_dictionary: Option<Compressor<'static>>,
    plain: Option<Compressor<'static>>,
    out: Vec<u8>,
}

thread_local! {
    static PACKER: RefCell<Packer> = RefCell::default();
}

/// Packs parts into one blob.
pub fn pack(parts: &[&[u8]]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        add_part(&mut plain, part);
    }
    pack_added(&plain)
}

/// Appends a part to what [`pack_added`] packs.
pub fn add_part(plain: &mut Vec<u8>, part: &[u8]) {
    plain.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    plain.extend_from_slice(part);
}

/// Packs what [`add_part`] put together.
pub fn pack_added(plain: &[u8]) -> Vec<u8> {
    PACKER.with_borrow_mut(|packer| {
        let Packer { with_dictionary, plain: by_itself, out } = packer;
        let (form, packed) = if plain.len() < LONG {
            let made = || Compressor::with_prepared_dictionary(&ENCODER);
            (WITH_DICTIONARY, compress(with_dictionary, made, plain, out))
        } else {
            (PLAIN, compress(by_itself, || Compressor::new(LEVEL), plain, out))
        };
        #[expect(clippy::expect_used, reason = "compression into a buffer of the bound's size fails only without memory")]
        let size = packed.expect("compressing in memory");
        let mut blob = Vec::with_capacity(size + 1);
        blob.push(form);
        blob.extend_from_slice(&out[..size]);
        if out.capacity() > KEPT {
            *out = Vec::new();
        }
        blob
    })
}

fn compress(
    slot: &mut Option<Compressor<'static>>,
    make: impl FnOnce() -> std::io::Result<Compressor<'static>>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let compressor = match slot {
        Some(compressor) => compressor,
        None => slot.insert(make()?),
    };
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(plain.len()));
    compressor.compress_to_buffer(plain, out)
}

/// Unpacks a blob into its parts.
pub fn unpack(blob: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    unpack_up_to(blob, MAX_UNPACKED)
}

/// Unpacks a blob whose parts together may be as large as this.
pub fn unpack_up_to(blob: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("packed bytes: {what}"));
    let Some((&form @ (WITH_DICTIONARY | PLAIN), packed)) = blob.split_first() else {
        return Err(corrupt("unknown form"));
    };
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().unwrap_or(0);
    let size = usize::try_from(size).ok().filter(|size| *size <= limit).ok_or_else(|| corrupt("too large"))?;
    let decompressor = if form == PLAIN { Decompressor::new() } else { Decompressor::with_prepared_dictionary(&DECODER) };
    let plain =
        decompressor.and_then(|mut decompressor| decompressor.decompress(packed, size)).map_err(|_| corrupt("damaged"))?;
    let mut parts = Vec::new();
    let mut rest = &plain[..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        let (part, after) = after.split_at_checked(length).ok_or_else(|| corrupt("cut off"))?;
        parts.push(part.to_vec());
        rest = after;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_usual_message_shrinks_to_less_than_half() {
        let body = "GIFT_ORDER=0&SALEDATE=2026-03-01+12%3A00%3A01&REFNO=211153389&REFNOEXT=web-88121&ORDERSTATUS=COMPLETE\
            &PAYMETHOD=Visa%2FMasterCard&PAYMETHOD_CODE=CCVISAMC&FIRSTNAME=John&LASTNAME=Smith&COUNTRY=United+States+of+America\
            &CUSTOMEREMAIL=john%40example.com&CURRENCY=USD&IPN_PID%5B%5D=1&IPN_PNAME%5B%5D=Software+program&IPN_QTY%5B%5D=1\
            &IPN_TOTALGENERAL=529.00&IPN_DATE=20260301120002&HASH=b6077d5d2b5aef43ad6a448a737e1277";
        let packed = pack(&[b"content-type: application/x-www-form-urlencoded\r\n", body.as_bytes()]);
        assert!(packed.len() * 2 < body.len(), "{} of {}", packed.len(), body.len());
    }

    #[test]
    fn damaged_blobs_are_refused() {
        let packed = pack(&[b"hello hello hello hello", b""]);
        assert!(unpack(&[]).is_err() && unpack(&[9, 9]).is_err());
        assert!(unpack(&packed[..packed.len() - 3]).is_err());
    }

    #[test]
    fn long_and_short_round_trip_one_after_the_other() {
        for size in [10, LONG - 4, LONG, 3 * KEPT, 100, LONG * 2] {
            let part: Vec<u8> = (0..size).map(|at| ((at * at) >> 7) as u8).collect();
            assert_eq!(unpack(&pack(&[&part])).unwrap(), [part], "{size}");
        }
    }

    proptest! {
        #[test]
        fn parts_round_trip(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..5)) {
            let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(unpack(&pack(&borrowed)).unwrap(), parts);
        }
    }
}
