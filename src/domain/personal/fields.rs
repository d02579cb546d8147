//! The table: which fields of a message hold what.
//!
//! The fields of 2Checkout are those of its IPN documentation. Other gateways name theirs in many ways (`payer_email`,
//! `billing_details.address.line1`, `shopperEmail`), so beside the table of names there is one of words that names are made of.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Email,
    /// Of a person or a company.
    Name,
    Phone,
    /// Street, town, postal code.
    Address,
    /// A card's number or a part of it, its expiry, its check digits.
    Card,
    /// Numbers that somebody has from a bank or an authority.
    Account,
    /// An address on the internet.
    Ip,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Email, Self::Name, Self::Phone, Self::Address, Self::Card, Self::Account, Self::Ip];
}

/// Names of 2Checkout's IPN and of its licence notifications, and those of others that no rule below would find: in lower case,
/// letters and digits only. Country, language and the kind of card stay visible: they tell what an order is about, not who.
const NAMES: [(&str, Kind); 66] = [
    ("firstname", Kind::Name),
    ("lastname", Kind::Name),
    ("company", Kind::Name),
    ("registrationnumber", Kind::Account),
    ("fiscalcode", Kind::Account),
    ("identitynumber", Kind::Account),
    ("taxoffice", Kind::Account),
    ("cbankname", Kind::Account),
    ("cbankaccount", Kind::Account),
    ("address1", Kind::Address),
    ("address2", Kind::Address),
    ("city", Kind::Address),
    ("state", Kind::Address),
    ("zipcode", Kind::Address),
    ("phone", Kind::Phone),
    ("fax", Kind::Phone),
    ("customeremail", Kind::Email),
    ("firstnamed", Kind::Name),
    ("lastnamed", Kind::Name),
    ("companyd", Kind::Name),
    ("address1d", Kind::Address),
    ("address2d", Kind::Address),
    ("cityd", Kind::Address),
    ("stated", Kind::Address),
    ("zipcoded", Kind::Address),
    ("phoned", Kind::Phone),
    ("emaild", Kind::Email),
    ("ipaddress", Kind::Ip),
    ("cardlastdigits", Kind::Card),
    ("cardexpirationdate", Kind::Card),
    ("customername", Kind::Name),
    ("surname", Kind::Name),
    ("fullname", Kind::Name),
    ("givenname", Kind::Name),
    ("familyname", Kind::Name),
    ("middlename", Kind::Name),
    ("cardholder", Kind::Name),
    ("cardholdername", Kind::Name),
    ("holdername", Kind::Name),
    ("companyname", Kind::Name),
    ("businessname", Kind::Name),
    ("username", Kind::Name),
    ("msisdn", Kind::Phone),
    ("contact", Kind::Phone),
    ("line1", Kind::Address),
    ("line2", Kind::Address),
    ("adminarea1", Kind::Address),
    ("adminarea2", Kind::Address),
    ("housenumberorname", Kind::Address),
    ("remoteaddr", Kind::Ip),
    ("last4", Kind::Card),
    ("lastfour", Kind::Card),
    ("pan", Kind::Card),
    ("cvv", Kind::Card),
    ("cvv2", Kind::Card),
    ("cvc", Kind::Card),
    ("ccnumber", Kind::Card),
    ("dob", Kind::Account),
    ("ssn", Kind::Account),
    ("cpf", Kind::Account),
    ("cnpj", Kind::Account),
    ("nin", Kind::Account),
    ("bic", Kind::Account),
    ("payer", Kind::Name),
    ("shopper", Kind::Name),
    ("buyer", Kind::Name),
];

/// Words that say what a name holds, wherever they stand in it. The first that fits counts.
const WORDS: [(&[&str], Kind); 6] = [
    (&["ip", "ipaddr", "ipaddress"], Kind::Ip),
    (&["email", "mail", "emailaddress"], Kind::Email),
    (&["phone", "telephone", "tel", "mobile", "fax", "phonenumber", "cellphone"], Kind::Phone),
    (
        &[
            "address",
            "addr",
            "street",
            "zip",
            "zipcode",
            "postcode",
            "postal",
            "postalcode",
            "city",
            "town",
            "suburb",
            "locality",
        ],
        Kind::Address,
    ),
    (&["card", "creditcard", "cc", "pan", "cvv", "cvc", "cardnumber"], Kind::Card),
    (
        &["iban", "swift", "bankaccount", "accountnumber", "routing", "birth", "birthday", "birthdate", "passport", "vatid"],
        Kind::Account,
    ),
];

/// With one of these a name with `name` in it is that of a person.
const PERSONS: [&str; 20] = [
    "first",
    "last",
    "given",
    "family",
    "middle",
    "full",
    "sur",
    "holder",
    "payer",
    "buyer",
    "customer",
    "shopper",
    "client",
    "recipient",
    "contact",
    "billing",
    "shipping",
    "cardholder",
    "owner",
    "subscriber",
];

/// With one of these a name with `state`, `region` or `province` in it is an address.
const PLACES: [&str; 7] = ["address", "billing", "shipping", "bill", "ship", "delivery", "postal"];

/// Names that end so hold nothing of a person, whatever else is in them.
const HARMLESS: [&str; 19] = [
    "type", "brand", "scheme", "network", "country", "currency", "status", "code", "verified", "amount", "total", "rate", "id",
    "product", "method", "url", "funding", "check", "vat",
];

/// Names of which the code is the thing itself.
const CODES: [&str; 5] = ["zip", "postal", "post", "security", "fiscal"];

/// What a field holds, from its name: `FIRSTNAME_D`, `customer[address][line1]`, `billing_details.email`.
pub fn kind_of(name: &str) -> Option<Kind> {
    let parts: Vec<&str> = name
        .split(['.', '[', ']', '/'])
        .filter(|part| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let (own, around) = parts.split_last()?;
    let plain: String = own.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let around: Vec<String> = around.iter().flat_map(|part| words(part)).collect();
    // `state` of an intent, and so on, is none of a place.
    let is_alone = |name: &str| around.is_empty() || !["state", "city", "contact", "pan"].contains(&name);
    if let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == plain).filter(|(known, _)| is_alone(known)) {
        return Some(*kind);
    }
    let own = words(own);
    let has = |words: &[String], among: &[&str]| words.iter().any(|word| among.contains(&word.as_str()));
    let ending = own.last()?.as_str();
    // The number of somebody at his tax office, and not the tax on a product.
    if has(&own, &["tax", "vat"]) && ["id", "number", "office"].contains(&ending) {
        return Some(Kind::Account);
    }
    let is_harmless = HARMLESS.contains(&ending) && !(ending == "code" && has(&own, &CODES));
    if is_harmless {
        return None;
    }
    if let Some((_, kind)) = WORDS.iter().find(|(words, _)| has(&own, words)) {
        return Some(*kind);
    }
    if has(&own, &["name"]) && (has(&own, &PERSONS) || has(&around, &PERSONS)) {
        return Some(Kind::Name);
    }
    if has(&own, &["state", "region", "province", "county"]) && (has(&own, &PLACES) || has(&around, &PLACES)) {
        return Some(Kind::Address);
    }
    let of_card = has(&around, &["card", "creditcard"])
        && has(&own, &["number", "last", "last4", "exp", "expiry", "month", "year", "bin", "fingerprint"]);
    of_card.then_some(Kind::Card)
}

/// The words of a name in lower case: at underscores and hyphens, and where small letters become capitals.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_personal_field_of_a_2checkout_message_is_known() {
        for name in [
            "FIRSTNAME",
            "LASTNAME",
            "COMPANY",
            "REGISTRATIONNUMBER",
            "FISCALCODE",
            "TAX_OFFICE",
            "CBANKNAME",
            "CBANKACCOUNT",
            "ADDRESS1",
            "ADDRESS2",
            "CITY",
            "STATE",
            "ZIPCODE",
            "PHONE",
            "FAX",
            "CUSTOMEREMAIL",
            "FIRSTNAME_D",
            "LASTNAME_D",
            "COMPANY_D",
            "ADDRESS1_D",
            "ADDRESS2_D",
            "CITY_D",
            "STATE_D",
            "ZIPCODE_D",
            "PHONE_D",
            "EMAIL_D",
            "IPADDRESS",
            "CARD_LAST_DIGITS",
            "CARD_EXPIRATION_DATE",
            "FIRST_NAME",
            "LAST_NAME",
            "EMAIL",
            "ZIP",
            "ADDRESS",
        ] {
            assert!(kind_of(name).is_some(), "{name}");
        }
    }

    #[test]
    fn so_are_those_of_other_gateways() {
        for (name, kind) in [
            ("payer_email", Kind::Email),
            ("first_name", Kind::Name),
            ("payer_business_name", Kind::Name),
            ("address_street", Kind::Address),
            ("address_zip", Kind::Address),
            ("address_state", Kind::Address),
            ("contact_phone", Kind::Phone),
            ("data.object.billing_details.name", Kind::Name),
            ("data.object.billing_details.address.line1", Kind::Address),
            ("data.object.billing_details.address.state", Kind::Address),
            ("data.object.billing_details.address.postal_code", Kind::Address),
            ("data.object.payment_method_details.card.last4", Kind::Card),
            ("data.object.payment_method_details.card.exp_month", Kind::Card),
            ("data.object.customer_details.email", Kind::Email),
            ("receipt_email", Kind::Email),
            ("additionalData.shopperEmail", Kind::Email),
            ("additionalData.cardSummary", Kind::Card),
            ("additionalData.shopperIP", Kind::Ip),
            ("shopper.shopperName.lastName", Kind::Name),
            ("customer[address][line1]", Kind::Address),
            ("vnp_Bill_Mobile", Kind::Phone),
            ("vnp_Bill_Email", Kind::Email),
            ("vnp_IpAddr", Kind::Ip),
            ("card_number", Kind::Card),
            ("pay_from_email", Kind::Email),
            ("payload.payment.entity.email", Kind::Email),
            ("data.attributes.user_name", Kind::Name),
            ("customer_ip", Kind::Ip),
            ("tax_id", Kind::Account),
        ] {
            assert_eq!(kind_of(name), Some(kind), "{name}");
        }
    }

    #[test]
    fn what_an_order_is_about_stays_visible() {
        for name in [
            "REFNO",
            "REFNOEXT",
            "ORDERSTATUS",
            "PAYMETHOD",
            "IPN_PNAME[]",
            "IPN_PID[0]",
            "IPN_DATE",
            "IPN_TOTALGENERAL",
            "CURRENCY",
            "COUNTRY",
            "COUNTRY_CODE",
            "IPCOUNTRY",
            "LANGUAGE",
            "CARD_TYPE",
            "HASH",
            "MESSAGE_ID",
            "TEST_ORDER",
            "item_name",
            "mc_gross",
            "txn_id",
            "payment_status",
            "data.object.status",
            "data.object.state",
            "data.object.id",
            "product_name",
            "vnp_TxnRef",
            "vnp_Amount",
            "vnp_BankCode",
            "vnp_CardType",
            "event_name",
            "IPN_LICENSE_EXP[]",
            "IPN_INFO[]",
            "name",
            "payment_method_details.card.brand",
            "address_status",
            "payer_status",
            "payer_id",
            "tax_rate",
            "IPN_VAT[]",
            "IPN_DISCOUNT[]",
            "total_tax",
            "tax",
            "",
        ] {
            let known = kind_of(name);
            assert!(known.is_none(), "{name}: {known:?}");
        }
    }
}
