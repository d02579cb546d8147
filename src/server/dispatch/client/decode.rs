//! Takes the compression off an answer, within limits. Pure: bytes in, bytes out.

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::Read;

/// What is asked for.
pub const ACCEPTED: &str = "gzip, deflate, br";
/// Compressions on top of each other that are taken off.
const MAX_LAYERS: usize = 2;
const BROTLI_BUFFER: usize = 4 << 10;

/// An answer without its compression.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub body: Vec<u8>,
    /// There was more than the limit.
    pub truncated: bool,
    /// One sentence about it, for the page.
    pub note: String,
}

/// Takes off what `Content-Encoding` names, up to so many bytes. `None` where it names nothing.
pub fn decoded(encoding: &str, body: &[u8], limit: usize) -> Option<Decoded> {
    let names: Vec<String> = encoding
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    if names.is_empty() {
        return None;
    }
    let (arrived, named) = (body.len(), names.join(", "));
    let as_it_is = |why: String| Decoded { body: body.to_vec(), truncated: false, note: why };
    if names.len() > MAX_LAYERS {
        return Some(as_it_is(format!("It says that it is compressed {} times; it is shown as it came.", names.len())));
    }
    let mut bytes = body.to_vec();
    let mut truncated = false;
    let mut whole = true;
    // What was put on last comes off first.
    for name in names.iter().rev() {
        let Some(layer) = taken_off(name, &bytes, limit) else {
            return Some(as_it_is(format!("It says that it is compressed with {name:?}, which is not known here.")));
        };
        if layer.body.is_empty() && !layer.whole && !bytes.is_empty() {
            return Some(as_it_is(format!("It says that it is compressed ({named}), but it is not; it is shown as it came.")));
        }
        bytes = layer.body;
        truncated |= layer.truncated;
        whole &= layer.whole;
    }
    let damaged = if whole { "" } else { " It breaks off or is damaged." };
    let note = format!("It came compressed ({named}, {arrived} bytes) and is shown decompressed.{damaged}");
    Some(Decoded { body: bytes, truncated, note })
}

struct Layer {
    body: Vec<u8>,
    truncated: bool,
    whole: bool,
}

fn taken_off(name: &str, bytes: &[u8], limit: usize) -> Option<Layer> {
    Some(match name {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(bytes), limit),
        // The standard means zlib; some servers send the bare stream.
        "deflate" => match read(ZlibDecoder::new(bytes), limit) {
            layer if layer.body.is_empty() && !layer.whole => read(DeflateDecoder::new(bytes), limit),
            layer => layer,
        },
        "br" => read(Decompressor::new(bytes, BROTLI_BUFFER), limit),
        _ => return None,
    })
}

/// Reads up to a limit, and as far as it goes.
fn read(mut from: impl Read, limit: usize) -> Layer {
    let mut body = Vec::new();
    let mut buffer = [0; 8 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Layer { body, truncated: false, whole: true },
            Ok(count) => {
                let room = limit - body.len();
                body.extend_from_slice(&buffer[..count.min(room)]);
                if count > room {
                    return Layer { body, truncated: true, whole: true };
                }
            }
            Err(_) => return Layer { body, truncated: false, whole: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;
    use std::io::Write as _;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        brotli::CompressorReader::new(bytes, 4_096, 5, 20).read_to_end(&mut packed).unwrap();
        packed
    }

    #[test]
    fn every_compression_that_is_asked_for_is_taken_off() {
        let text = b"<EPAYMENT>20260301120010|abc</EPAYMENT>";
        for (name, packed) in [
            ("gzip", gzip(text)),
            (" X-GZIP ", gzip(text)),
            ("deflate", zlib(text)),
            ("deflate", deflate(text)),
            ("br", brotli(text)),
            ("identity, gzip", gzip(text)),
            ("deflate, gzip", gzip(&zlib(text))),
        ] {
            let decoded = decoded(name, &packed, LIMIT).unwrap();
            assert_eq!((decoded.body.as_slice(), decoded.truncated), (&text[..], false), "{name}");
            assert!(decoded.note.contains(&format!("{} bytes", packed.len())), "{}", decoded.note);
        }
        assert_eq!(decoded("", text, LIMIT), None);
        assert_eq!(decoded("identity", text, LIMIT), None);
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let bomb = gzip(&vec![b'x'; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let decoded = decoded("gzip", &bomb, LIMIT).unwrap();
        assert_eq!((decoded.body.len(), decoded.truncated), (LIMIT, true));
        let twice = gzip(&gzip(&vec![b'x'; 64 << 20]));
        assert_eq!(super::decoded("gzip, gzip", &twice, LIMIT).unwrap().body.len(), LIMIT);
        let thrice = super::decoded("gzip, gzip, gzip", &twice, LIMIT).unwrap();
        assert_eq!((thrice.body, thrice.truncated), (twice, false));
    }

    #[test]
    fn what_is_not_compressed_as_it_says_is_shown_as_it_came() {
        for name in ["gzip", "deflate", "br", "zstd", "nonsense"] {
            let decoded = decoded(name, b"\xff\xff plain text", LIMIT).unwrap();
            assert_eq!(decoded.body, b"\xff\xff plain text", "{name}");
            assert!(decoded.note.starts_with("It says"), "{}", decoded.note);
        }
        let packed = gzip("a receipt, and more ".repeat(2_000).as_bytes());
        let cut = decoded("gzip", &packed[..packed.len() - 20], LIMIT).unwrap();
        assert!(cut.body.starts_with(b"a receipt") && cut.note.ends_with("It breaks off or is damaged."), "{}", cut.note);
    }

    proptest! {
        #[test]
        fn anything_is_decoded_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), limit in 0_usize..500) {
            for name in ["gzip", "deflate", "br", "br, gzip"] {
                let decoded = decoded(name, &bytes, limit).unwrap();
                prop_assert!(decoded.body.len() <= limit.max(bytes.len()));
            }
        }

        #[test]
        fn what_was_packed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            prop_assert_eq!(&decoded("gzip", &gzip(&bytes), LIMIT).unwrap().body, &bytes);
            prop_assert_eq!(&decoded("br", &brotli(&bytes), LIMIT).unwrap().body, &bytes);
        }
    }
}
