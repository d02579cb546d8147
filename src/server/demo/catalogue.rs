//! Who buys and what is sold. Nobody and nothing of it exists; names are first names from many scripts beside a word for
//! "customer", because encodings are where receivers go wrong.

use crate::domain::{Money, money::Currency};

/// A buyer, told apart from the next of the same name by a number.
pub struct Person {
    pub first_name: &'static str,
    pub last_name: &'static str,
    /// The first part of the e-mail address.
    pub local_part: &'static str,
    pub city: &'static str,
    pub state: &'static str,
    pub zip: &'static str,
    pub country: &'static str,
    pub country_code: &'static str,
    pub language: &'static str,
    pub currency: &'static str,
}

macro_rules! people {
    ($($first:literal $last:literal, $local:literal, $city:literal $state:literal $zip:literal,
        $country:literal $code:literal, $language:literal $currency:literal;)+) => {
        /// Everybody who buys.
        pub const PEOPLE: &[Person] = &[$(Person {
            first_name: $first, last_name: $last, local_part: $local, city: $city, state: $state, zip: $zip, country: $country,
            country_code: $code, language: $language, currency: $currency,
        }),+];
    };
}

people! {
    "Ana" "Customer", "ana", "Portland" "Oregon" "97201", "United States of America" "us", "en" "USD";
    "Sam" "Customer", "sam", "Leeds" "West Yorkshire" "LS1 1AA", "United Kingdom" "gb", "en" "GBP";
    "Jürgen" "Kunde", "juergen", "Köln" "" "50667", "Germany" "de", "de" "EUR";
    "Zoë" "Klant", "zoe", "Utrecht" "" "3511 AA", "Netherlands" "nl", "nl" "EUR";
    "Élodie" "Cliente", "elodie", "Besançon" "" "25000", "France" "fr", "fr" "EUR";
    "Łucja" "Klientka", "lucja", "Łódź" "" "90-001", "Poland" "pl", "pl" "PLN";
    "Søren" "Kunde", "soren", "Aarhus" "" "8000", "Denmark" "dk", "da" "DKK";
    "Ștefan" "Client", "stefan", "Iași" "" "700001", "Romania" "ro", "ro" "RON";
    "João" "Cliente", "joao", "São Luís" "Maranhão" "65010-000", "Brazil" "br", "pt" "BRL";
    "Çağla" "Müşteri", "cagla", "İzmir" "" "35000", "Turkey" "tr", "tr" "TRY";
    "Αλίκη" "Πελάτη", "aliki", "Βόλος" "" "382 21", "Greece" "gr", "el" "EUR";
    "Нина" "Клиент", "nina", "Варна" "" "9000", "Bulgaria" "bg", "bg" "EUR";
    "Thảo" "Khách", "thao", "Đà Nẵng" "" "550000", "Vietnam" "vn", "vi" "VND";
    "美咲" "顧客", "misaki", "札幌市" "北海道" "060-0001", "Japan" "jp", "ja" "JPY";
    "नीला" "ग्राहक", "neela", "पुणे" "Maharashtra" "411001", "India" "in", "en" "USD";
    "Noor" "Customer", "noor", "Windsor" "Ontario" "N9A 1A1", "Canada" "ca", "en" "CAD";
}

/// Something sold; the price is in euro cents.
pub struct Product {
    pub id: &'static str,
    pub name: &'static str,
    pub code: &'static str,
    pub cents: i64,
}

/// Everything sold.
pub const PRODUCTS: &[Product] = &[
    Product { id: "4501101", name: "Demo Photo Studio, licence for one computer", code: "PHOTO-1", cents: 5_900 },
    Product { id: "4501102", name: "Demo Backup 2 TB, one year", code: "BACKUP-2T", cents: 4_990 },
    Product { id: "4501103", name: "Spell checker – 5 seats", code: "SPELL-5", cents: 12_500 },
    Product { id: "4501104", name: "E-book \"Sauces & Dips\"", code: "EBOOK-7", cents: 990 },
    Product { id: "4501105", name: "Übersetzer Pro (Größe L)", code: "UEB-L", cents: 8_900 },
    Product { id: "4501106", name: "帳票デモツール", code: "FORMS-JP", cents: 15_000 },
    Product { id: "4501107", name: "Font pack <Grotesk> 100% + italics", code: "FONT-G", cents: 2_450 },
];

/// A price in another currency, roughly; nothing here needs to be exact but its form.
pub fn price(cents: i64, currency: Currency) -> Money {
    let thousandths = match currency.code() {
        "USD" => 1_100,
        "GBP" => 850,
        "CAD" => 1_500,
        "PLN" => 4_300,
        "RON" => 5_000,
        "BRL" => 6_000,
        "DKK" => 7_450,
        "TRY" => 45_000,
        "JPY" => 160_000,
        "VND" => 28_000_000,
        _ => 1_000,
    };
    let hundredths = cents * thousandths / 1_000;
    let minor = match currency.exponent() {
        0 => hundredths / 100,
        _ => hundredths,
    };
    // Nobody sells for 1,397,200 dong.
    let minor = if minor > 100_000 && currency.exponent() == 0 { minor / 1_000 * 1_000 } else { minor };
    Money { minor, currency }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buyer_has_a_known_form_of_money_and_a_plain_address() {
        for person in PEOPLE {
            let currency = Currency::parse(person.currency).unwrap();
            assert!(price(990, currency).minor > 0, "{}", person.currency);
            assert!(person.local_part.bytes().all(|byte| byte.is_ascii_lowercase()), "{}", person.local_part);
        }
        let decimal = |code: &str| price(5_900, Currency::parse(code).unwrap()).decimal();
        assert_eq!((decimal("EUR"), decimal("JPY"), decimal("VND")), ("59.00".into(), "9440".into(), "1652000".into()));
    }
}
