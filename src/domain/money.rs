//! Money: integers of the currency's smallest unit. No floating point ever touches an amount.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A three-letter currency code (ISO 4217), upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code; letters of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 3] = text.trim().as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_alphabetic).then(|| Self(bytes.map(|b| b.to_ascii_uppercase())))
    }

    /// The code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Digits after the point (ISO 4217 "minor unit"); two where the code is unknown to us.
    pub fn exponent(&self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF" | b"UGX" | b"UYI"
            | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("not a currency code: {text:?}"))
    }
}

/// An amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Smallest units (cents, dong); negative for refunds.
    pub minor: i64,
    /// Which currency.
    pub currency: Currency,
}

impl Money {
    /// Reads a decimal with a point (`529.00`, `-0.57`, `12`), as gateways print amounts. Digits beyond the
    /// currency's exponent must be zero: rounding money silently would be a lie. `None` where it is not a number
    /// of that form or does not fit.
    pub fn parse(decimal: &str, currency: Currency) -> Option<Self> {
        let text = decimal.trim();
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let exponent = currency.exponent() as usize;
        let (kept, dropped) = fraction.split_at(fraction.len().min(exponent));
        if dropped.bytes().any(|b| b != b'0') {
            return None;
        }
        let mut minor: i64 = 0;
        let padding = std::iter::repeat_n(b'0', exponent - kept.len());
        for digit in whole.bytes().chain(kept.bytes()).chain(padding) {
            minor = minor.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
        Some(Self { minor: if negative { -minor } else { minor }, currency })
    }

    /// The amount as gateways print it: `1234.50`.
    pub fn decimal(&self) -> String {
        let exponent = self.currency.exponent();
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        if exponent == 0 {
            return format!("{sign}{minor}");
        }
        let unit = 10u64.pow(exponent);
        format!("{sign}{}.{:0width$}", minor / unit, minor % unit, width = exponent as usize)
    }
}

impl fmt::Display for Money {
    /// For people: thousands apart, the code behind, a real minus sign: `1,234.50 USD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.decimal();
        let unsigned = plain.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(w, rest)| (w, Some(rest)));
        if self.minor < 0 {
            f.write_str("\u{2212}")?;
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        if let Some(fraction) = fraction {
            write!(f, ".{fraction}")?;
        }
        write!(f, "\u{a0}{}", self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Option<Money> {
        Money::parse(text, Currency::parse(code).unwrap())
    }

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(money("529.00", "USD").unwrap().minor, 52_900);
        assert_eq!(money("-0.57", "EUR").unwrap().minor, -57);
        assert_eq!(money("12", "usd").unwrap().minor, 1_200);
        assert_eq!(money("250000.00", "VND").unwrap().minor, 250_000);
        assert_eq!(money("1.5", "KWD").unwrap().minor, 1_500);
        assert_eq!(money("2.7600", "USD").unwrap().minor, 276);
    }

    #[test]
    fn what_would_need_rounding_or_is_no_number_is_refused() {
        for text in ["2.7678", "", ".", "1,5", "1e3", "NaN", "99999999999999999999", "--1", "1.2.3"] {
            assert_eq!(money(text, "USD"), None, "{text}");
        }
    }

    #[test]
    fn people_see_thousands_and_a_minus_sign() {
        assert_eq!(money("1234567.5", "USD").unwrap().to_string(), "1,234,567.50\u{a0}USD");
        assert_eq!(money("-100", "JPY").unwrap().to_string(), "\u{2212}100\u{a0}JPY");
        assert_eq!(money("0.05", "USD").unwrap().decimal(), "0.05");
    }
}
