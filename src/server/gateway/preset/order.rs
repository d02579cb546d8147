//! What a proved message says.

use super::{Amount, Clock, Condition, Origin, Preset, Scale, check::offset};
use crate::domain::{
    Money, OrderStatus, Timestamp,
    money::Currency,
    order::{OrderFacts, Refund, Refunds},
};
use crate::server::gateway::{fields::Path, lower, reference, shown, template::Source};
use jiff::{
    civil::DateTime,
    fmt::temporal::DateTimeParser,
    tz::{Offset, TimeZone},
};
use std::borrow::Cow;

/// What was read of a message.
pub struct Reading {
    pub facts: OrderFacts,
    pub product: String,
    pub product_id: String,
    pub payment_method: String,
    /// The amount that it names: of the order, or of a refund.
    pub told: Option<Money>,
}

impl Preset {
    /// Whether a message is about no payment and only wants an answer.
    pub fn is_ignored(&self, source: &Source<'_, '_>) -> bool {
        self.ignore.as_ref().is_some_and(|ignore| {
            let word = ignore.word.text(source);
            let word = lower(word.trim());
            ignore.words.iter().any(|known| *known == word)
                || !ignore.unless.is_empty() && !ignore.unless.iter().any(|begin| word.starts_with(begin.as_str()))
        })
    }

    /// Reads a message; `None` where it names no order. What was fetched says how things stood at `asked_at`.
    pub fn read_order(&self, source: &Source<'_, '_>, asked_at: Timestamp) -> Option<Reading> {
        let scope = source.scope;
        let order = &self.order;
        let first = |paths: &[Path]| scope.first(paths);
        let external = reference(&first(&order.external));
        let named = reference(&first(&order.reference));
        let named = if named.is_empty() { external.clone() } else { named };
        if named.is_empty() {
            return None;
        }
        let (status, vendor_status) = self.status(source);
        let told = order.amount.as_ref().and_then(|amount| read_amount(amount, &amount.value, source));
        let is_refund = matches!(status, OrderStatus::Refunded | OrderStatus::PartiallyRefunded);
        let is_undone = status == OrderStatus::Paid && holds_any(&order.undone, source);
        let read = |paths: &[Path]| order.amount.as_ref().and_then(|amount| read_amount(amount, paths, source));
        let given_back = read(&order.refund).filter(|_| is_refund || is_undone);
        let size = |money: Money| money.minor.saturating_abs();
        let part = given_back.map(|money| Refund::Part(if is_undone { -size(money) } else { size(money) }));
        let refund = read(&order.refunded).map(|money| Refund::Total(size(money))).or(part);
        // The amount of a refund, of a dispute, or below zero is not that of the order.
        let is_apart = matches!(refund, Some(Refund::Part(_))) || holds_any(&order.apart, source);
        let amount = told.filter(|money| !is_apart && money.minor >= 0);
        // Where a message tells what was given back in all and what was paid, it leaves as what it is.
        let status = match refund {
            Some(Refund::Total(_)) => Refunds::default().and(refund).settle(status, amount.map(|money| money.minor)),
            _ => status,
        };
        // Without the number that it begins with it would be the same for many messages; then the bytes tell.
        let numbered = order.message.iter().find(|template| template.is_led(source));
        let message_id = numbered.map(|template| reference(&template.text(source))).unwrap_or_default();
        let customer = order.customer.as_ref().map(|template| shown(&template.text(source))).unwrap_or_default();
        Some(Reading {
            product: shown(&first(&order.product)).into(),
            product_id: shown(&first(&order.product_id)).into(),
            payment_method: shown(&first(&order.payment_method)).into(),
            told: told.or(given_back),
            facts: OrderFacts {
                reference: named,
                external,
                email: lower(&shown(&first(&order.email))).into(),
                customer,
                status,
                vendor_status,
                amount,
                test: holds_any(&order.test, source),
                event_at: order.at.as_ref().and_then(|at| match at.form {
                    Clock::Asked => Some(asked_at),
                    _ => moment(&first(&at.from), &at.form, at.offset.as_deref()),
                }),
                message_id,
                refund,
            },
        })
    }

    /// Our word, and the gateway's.
    fn status(&self, source: &Source<'_, '_>) -> (OrderStatus, compact_str::CompactString) {
        let mut told = Cow::Borrowed("");
        for table in &self.statuses {
            told = table.word.text(source);
            let word = lower(told.trim());
            let found = table.map.get(&*word).or_else(|| table.map.get("*").filter(|_| !word.is_empty()));
            if let Some(status) = found {
                return (*status, shown(&told));
            }
        }
        (OrderStatus::Unmapped, shown(&told))
    }
}

/// Whether one of several conditions is met.
fn holds_any(conditions: &[Condition], source: &Source<'_, '_>) -> bool {
    conditions.iter().any(|condition| {
        let told = match &condition.origin {
            Origin::Header(name) => source.headers.get(name.as_str()).map(|value| String::from_utf8_lossy(value.as_bytes())),
            Origin::Field(path) => source.scope.text(path),
        };
        told.is_some_and(|text| text.trim().eq_ignore_ascii_case(&condition.value))
    })
}

fn read_amount(amount: &Amount, paths: &[Path], source: &Source<'_, '_>) -> Option<Money> {
    let text = source.scope.first(paths);
    if text.is_empty() {
        return None;
    }
    let told = source.scope.first(&amount.currency);
    let told = Some(&*told).filter(|code| !code.is_empty());
    let chosen = amount.option.as_ref().and_then(|name| source.options.get(name));
    let currency = Currency::parse(chosen.or(told).or(amount.always.as_deref())?)?;
    amount_of(&text, currency, amount.scale, amount.digits.get(currency.code()).copied())
}

/// An amount as a gateway counts it; `digits` where it counts this currency otherwise than ISO 4217.
fn amount_of(text: &str, currency: Currency, scale: Scale, digits: Option<u32>) -> Option<Money> {
    let text = text.trim();
    // Of so many digits after the point as many as the currency has; what would need rounding is no amount.
    let from = |digits: u32| {
        let scaled = text.parse::<i64>().ok()?.checked_mul(10i64.pow(currency.exponent()))?;
        let unit = 10i64.pow(digits);
        (scaled % unit == 0).then_some(Money { minor: scaled / unit, currency })
    };
    match scale {
        Scale::Decimal => Money::parse(text, currency),
        Scale::Minor => from(digits.unwrap_or_else(|| currency.exponent())),
        Scale::Hundredths => from(2),
    }
}

/// The moment of an event. None lies before 1970 or after the year 9999, which nothing that leaves could tell.
fn moment(text: &str, form: &Clock, told_offset: Option<&str>) -> Option<Timestamp> {
    const END: i64 = 253_402_300_800;
    any_moment(text, form, told_offset).filter(|at| (0..END).contains(&at.micros().div_euclid(1_000_000)))
}

fn any_moment(text: &str, form: &Clock, told_offset: Option<&str>) -> Option<Timestamp> {
    let text = text.trim();
    let civil_offset = || told_offset.and_then(offset).unwrap_or(Offset::UTC);
    let civil = |moment: DateTime| {
        let zoned = moment.to_zoned(TimeZone::fixed(civil_offset())).ok()?;
        Some(Timestamp(zoned.timestamp().as_microsecond()))
    };
    match form {
        Clock::Asked => None,
        Clock::Unix => text.parse::<i64>().ok()?.checked_mul(1_000_000).map(Timestamp),
        Clock::UnixMillis => text.parse::<i64>().ok()?.checked_mul(1_000).map(Timestamp),
        Clock::Iso => {
            let parser = DateTimeParser::new();
            match parser.parse_timestamp(text) {
                Ok(moment) => Some(Timestamp(moment.as_microsecond())),
                // Without an offset.
                Err(_) => parser.parse_datetime(text).ok().and_then(civil),
            }
        }
        Clock::Civil(form) => match form.strip_suffix(" %Z") {
            Some(form) => {
                let (text, zone) = text.rsplit_once(' ')?;
                let moment = DateTime::strptime(form, text).ok()?.to_zoned(TimeZone::fixed(abbreviated(zone)?)).ok()?;
                Some(Timestamp(moment.timestamp().as_microsecond()))
            }
            None => DateTime::strptime(form, text).ok().and_then(civil),
        },
    }
}

/// The offset of a zone's abbreviation, as far as gateways use them: PayPal writes its own time, with or without summer time.
fn abbreviated(zone: &str) -> Option<Offset> {
    Some(match zone {
        "UTC" | "GMT" => Offset::UTC,
        "PST" => Offset::constant(-8),
        "PDT" => Offset::constant(-7),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        Currency::parse("USD").unwrap()
    }

    #[test]
    fn amounts_by_scale() {
        let vnd = Currency::parse("VND").unwrap();
        let minor = |text: &str, currency, scale| amount_of(text, currency, scale, None).map(|money| money.minor);
        assert_eq!(minor("1000000", vnd, Scale::Hundredths), Some(10_000));
        assert_eq!(minor("1000050", vnd, Scale::Hundredths), None, "half a dong");
        assert_eq!(minor("1050", usd(), Scale::Hundredths), Some(1_050));
        assert_eq!(minor("10000", vnd, Scale::Minor), Some(10_000));
        assert_eq!(minor("49.95", usd(), Scale::Decimal), Some(4_995));
        let counted = |text: &str, code: &str, digits| {
            let currency = Currency::parse(code).unwrap();
            amount_of(text, currency, Scale::Minor, Some(digits)).map(|money| (money.minor, money.decimal()))
        };
        assert_eq!(counted("100000", "CLP", 2), Some((1_000, "1000".to_owned())));
        assert_eq!(counted("100050", "CLP", 2), None, "half a peso");
        assert_eq!(counted("1000", "CVE", 0), Some((100_000, "1000.00".to_owned())));
        assert_eq!(counted("9223372036854775807", "CVE", 0), None);
        for wrong in ["", "NaN", "1e9", "9223372036854775808", "12.345", "0x1", "true"] {
            for scale in [Scale::Minor, Scale::Decimal, Scale::Hundredths] {
                assert_eq!(minor(wrong, usd(), scale), None, "{wrong} {scale:?}");
            }
        }
    }

    #[test]
    fn moments_by_form() {
        let at = |text: &str, form, offset| moment(text, &form, offset).map(|at| at.micros());
        assert_eq!(at("1700000000", Clock::Unix, None), Some(1_700_000_000_000_000));
        assert_eq!(at("1700000000123", Clock::UnixMillis, None), Some(1_700_000_000_123_000));
        assert_eq!(at("2023-11-14T22:13:20Z", Clock::Iso, None), Some(1_700_000_000_000_000));
        assert_eq!(at("2023-11-14T23:13:20+01:00", Clock::Iso, None), Some(1_700_000_000_000_000));
        assert_eq!(at("2023-11-14T22:13:20.5", Clock::Iso, None), Some(1_700_000_000_500_000));
        let civil = || Clock::Civil("%Y%m%d%H%M%S".to_owned());
        assert_eq!(at("20231115051320", civil(), Some("+07:00")), Some(1_700_000_000_000_000));
        let zoned = || Clock::Civil("%H:%M:%S %b %d, %Y %Z".to_owned());
        assert_eq!(at("14:13:20 Nov 14, 2023 PST", zoned(), None), Some(1_700_000_000_000_000));
        assert_eq!(at("15:13:20 Nov 14, 2023 PDT", zoned(), None), Some(1_700_000_000_000_000));
        assert_eq!(at("14:13:20 Nov 14, 2023 XYZ", zoned(), None), None);
        // What no date of fourteen digits can tell.
        assert_eq!(at("-02620301120000", civil(), Some("+07:00")), None);
        assert_eq!((at("-1", Clock::Unix, None), at("253402300800", Clock::Unix, None)), (None, None));
        assert_eq!(at("253402300799", Clock::Unix, None), Some(253_402_300_799_000_000));
        assert_eq!((at("0", Clock::Unix, None), at("-1000", Clock::UnixMillis, None)), (Some(0), None));
        for wrong in ["", "yesterday", "99999999999999999999", "20231315051320"] {
            assert_eq!(
                at(wrong, Clock::Unix, None).or(at(wrong, Clock::Iso, None)).or(at(wrong, civil(), None)),
                None,
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_an_amount_or_a_moment_panic(text in "\\PC{0,24}") {
            for scale in [Scale::Minor, Scale::Decimal, Scale::Hundredths] {
                let _ = amount_of(&text, usd(), scale, None);
            }
            for form in [Clock::Unix, Clock::UnixMillis, Clock::Iso, Clock::Civil("%Y-%m-%d %H:%M:%S".to_owned())] {
                let _ = moment(&text, &form, Some("+07:00"));
            }
        }
    }
}
