//! What is sent: a full-size order as a real account sends it.

use hmac::{Hmac, KeyInit, Mac};
use quittance::server::{clock::Clock, listener::receipt_date};

/// The key that every listener of the benchmarks checks with, and every merchant's.
pub const KEY: &str = "AABBCCDDEEFF";

/// The request that posts the notification of an order, about 100 fields and 2.5 kB.
pub fn request(path: &str, number: u64) -> Vec<u8> {
    let body = body(number);
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Its form, signed with HMAC-MD5.
pub fn body(number: u64) -> String {
    let mut body = String::with_capacity(3_000);
    let mut source = Vec::with_capacity(2_000);
    for (name, value) in FIELDS {
        let own;
        let value = match *value {
            "#" => {
                own = number.to_string();
                &own
            }
            "@" => {
                own = format!("buyer{number}@example.com");
                &own
            }
            "now" => {
                own = receipt_date(Clock::system().now());
                &own
            }
            value => value,
        };
        source.extend_from_slice(value.len().to_string().as_bytes());
        source.extend_from_slice(value.as_bytes());
        body.push_str(name);
        body.push('=');
        body.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        body.push('&');
    }
    let mac = Hmac::<md5::Md5>::new_from_slice(KEY.as_bytes()).expect("any key").chain_update(&source).finalize().into_bytes();
    body.push_str("HASH=");
    body.push_str(&hex::encode(mac));
    body
}

const FIELDS: &[(&str, &str)] = &[
    ("GIFT_ORDER", "0"),
    ("SALEDATE", "2026-03-01 12:00:01"),
    ("PAYMENTDATE", "2026-03-01 12:00:05"),
    ("REFNO", "#"),
    ("REFNOEXT", "#"),
    ("SHOPPER_REFERENCE_NUMBER", ""),
    ("ORDERNO", "#"),
    ("ORDERSTATUS", "COMPLETE"),
    ("PAYMETHOD", "Visa/MasterCard"),
    ("PAYMETHOD_CODE", "CCVISAMC"),
    ("FIRSTNAME", "John"),
    ("LASTNAME", "Smith"),
    ("COMPANY", ""),
    ("REGISTRATIONNUMBER", ""),
    ("FISCALCODE", ""),
    ("TAX_OFFICE", ""),
    ("CBANKNAME", ""),
    ("CBANKACCOUNT", ""),
    ("ADDRESS1", "101 Main Street"),
    ("ADDRESS2", ""),
    ("CITY", "New York"),
    ("STATE", "New York"),
    ("ZIPCODE", "500365"),
    ("COUNTRY", "United States of America"),
    ("COUNTRY_CODE", "us"),
    ("PHONE", "951-121-2121"),
    ("FAX", ""),
    ("CUSTOMEREMAIL", "@"),
    ("FIRSTNAME_D", "John"),
    ("LASTNAME_D", "Smith"),
    ("COMPANY_D", ""),
    ("ADDRESS1_D", "101 Main Street"),
    ("ADDRESS2_D", ""),
    ("CITY_D", "New York"),
    ("STATE_D", "New York"),
    ("ZIPCODE_D", "500365"),
    ("COUNTRY_D", "United States of America"),
    ("COUNTRY_D_CODE", "us"),
    ("PHONE_D", "951-121-2121"),
    ("EMAIL_D", "@"),
    ("IPADDRESS", "213.233.121.50"),
    ("IPCOUNTRY", "United States of America"),
    ("COMPLETE_DATE", "2026-03-01 12:00:09"),
    ("TIMEZONE_OFFSET", "GMT+02:00"),
    ("CURRENCY", "USD"),
    ("LANGUAGE", "en"),
    ("ORDERFLOW", "REGULAR"),
    ("IPN_PID%5B%5D", "1"),
    ("IPN_PNAME%5B%5D", "Software program"),
    ("IPN_PCODE%5B%5D", "PM_1"),
    ("IPN_EXTERNAL_REFERENCE%5B%5D", ""),
    ("IPN_INFO%5B%5D", ""),
    ("IPN_QTY%5B%5D", "1"),
    ("IPN_PRICE%5B%5D", "529.00"),
    ("IPN_VAT%5B%5D", "0.00"),
    ("IPN_VAT_RATE%5B%5D", "0.0000"),
    ("IPN_VER%5B%5D", "1"),
    ("IPN_DISCOUNT%5B%5D", "0.00"),
    ("IPN_PROMONAME%5B%5D", ""),
    ("IPN_PROMOCODE%5B%5D", ""),
    ("IPN_ORDER_COSTS%5B%5D", "0"),
    ("IPN_SKU%5B%5D", ""),
    ("IPN_PARTNER_CODE", ""),
    ("IPN_PGROUP%5B%5D", "0"),
    ("IPN_PGROUP_NAME%5B%5D", "General"),
    ("MESSAGE_ID", "#"),
    ("MESSAGE_TYPE", "COMPLETE"),
    ("IPN_LICENSE_PROD%5B%5D", "1"),
    ("IPN_LICENSE_TYPE%5B%5D", "REGULAR"),
    ("IPN_LICENSE_REF%5B%5D", "3C343D0FAF"),
    ("IPN_LICENSE_EXP%5B%5D", "9999-12-31 23:59:59"),
    ("IPN_LICENSE_START%5B%5D", "2026-03-01 12:00:09"),
    ("IPN_LICENSE_LIFETIME%5B%5D", "YES"),
    ("IPN_DELIVEREDCODES%5B%5D", ""),
    ("IPN_DOWNLOAD_LINK", ""),
    ("IPN_TOTAL%5B%5D", "529.00"),
    ("IPN_TOTALGENERAL", "529.00"),
    ("IPN_SHIPPING", "0.00"),
    ("IPN_SHIPPING_TAX", "0.00"),
    ("AVANGATE_CUSTOMER_REFERENCE", "#"),
    ("EXTERNAL_CUSTOMER_REFERENCE", "#"),
    ("IPN_PARTNER_MARGIN_PERCENT", "0.00"),
    ("IPN_PARTNER_MARGIN", "0.00"),
    ("IPN_EXTRA_MARGIN", "0.00"),
    ("IPN_EXTRA_DISCOUNT", "0.00"),
    ("IPN_COUPON_DISCOUNT", "0.00"),
    ("IPN_LINK_SOURCE", "test"),
    ("IPN_COMMISSION", "2.7678"),
    ("REFUND_TYPE", ""),
    ("CHARGEBACK_RESOLUTION", "NONE"),
    ("CHARGEBACK_REASON_CODE", ""),
    ("TEST_ORDER", "0"),
    ("IPN_ORDER_ORIGIN", "Web"),
    ("FRAUD_STATUS", "APPROVED"),
    ("CARD_TYPE", "visa"),
    ("CARD_LAST_DIGITS", "1111"),
    ("CARD_EXPIRATION_DATE", "12/27"),
    ("GATEWAY_RESPONSE", "Approved"),
    ("IPN_DATE", "now"),
    ("FX_RATE", "1"),
    ("FX_MARKUP", "0"),
    ("PAYABLE_AMOUNT", "56.23"),
    ("PAYOUT_CURRENCY", "USD"),
    ("VENDOR_CODE", "250111206876"),
    ("PROPOSAL_ID", ""),
];
