//! Identifiers: 63-bit numbers that grow with time, written as short lower-case words.
//!
//! A number keeps database rows and indexes small and in order of arrival; the word (Crockford's base 32,
//! no `i l o u`) is what addresses, pages and the command line show, because people read it aloud.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};
use std::{fmt, str::FromStr};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 63 bits need thirteen digits of five bits each.
const MAX_DIGITS: usize = 13;

/// The text was not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an identifier: expected up to 13 of the letters and digits 0-9 a-z without i, l, o, u")]
pub struct InvalidId;

fn print(value: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut digits = [0u8; MAX_DIGITS];
    let mut rest = value as u64;
    let mut at = MAX_DIGITS;
    loop {
        at -= 1;
        digits[at] = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
        if rest == 0 || at == 0 {
            break;
        }
    }
    f.write_str(std::str::from_utf8(&digits[at..]).unwrap_or_default())
}

fn parse(text: &str) -> Result<i64, InvalidId> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return Err(InvalidId);
    }
    let mut value: u64 = 0;
    for byte in text.bytes() {
        let digit = match byte.to_ascii_lowercase() {
            // What people write for a digit when they read an id aloud.
            b'o' => 0,
            b'i' | b'l' => 1,
            letter => ALPHABET.iter().position(|known| *known == letter).ok_or(InvalidId)? as u64,
        };
        value = value.checked_mul(32).and_then(|shifted| shifted.checked_add(digit)).ok_or(InvalidId)?;
    }
    i64::try_from(value).map_err(|_| InvalidId)
}

/// Reads the word of an identifier.
struct Word;

impl Visitor<'_> for Word {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identifier")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i64, E> {
        parse(text).map_err(E::custom)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub i64);

        impl $name {
            /// The number as it lies in the database.
            pub const fn get(self) -> i64 {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                print(self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }
        /// A word where people may read it, else the number.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Word).map(Self)
                } else {
                    i64::deserialize(deserializer).map(Self)
                }
            }
        }
    )+};
}

ids! {
    /// A merchant: the tenant that owns everything else.
    MerchantId;
    /// An inbound page for one gateway connection.
    ListenerId;
    /// One accepted message.
    NotificationId;
    /// What notifications are about.
    OrderId;
    /// A notification URL, the outbound target.
    UrlId;
    /// One notification to one URL.
    DeliveryId;
    /// A person's wish that old notifications be delivered again.
    ResendId;
    /// A person's wish that all deliveries of a list be made again.
    BulkId;
    /// A message that was not accepted.
    RefusalId;
    /// A message that waits for its gateway's word.
    VerifyingId;
    /// Somebody who signs in.
    UserId;
    /// A mail to a customer.
    MailId;
    /// A filter of a list that somebody keeps.
    ViewId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_round_trip() {
        for number in [0, 1, 31, 32, 1_700_000_000_000 << 20, i64::MAX] {
            let word = OrderId(number).to_string();
            assert_eq!(word.parse(), Ok(OrderId(number)), "{word}");
        }
        assert_eq!(OrderId(i64::MAX).to_string().len(), 13);
    }

    #[test]
    fn words_sort_like_numbers_while_they_are_equally_long() {
        assert!(OrderId(1 << 58).to_string() < OrderId((1 << 58) + 77).to_string());
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "u", "-1", "ää", "zzzzzzzzzzzzz", "00000000000000"] {
            assert_eq!(text.parse::<OrderId>(), Err(InvalidId), "{text}");
        }
        assert_eq!("O1L".parse::<OrderId>(), "011".parse(), "read aloud");
    }
}
