//! Messages as a 2Checkout account sends them, made independently of the product's own encoder.

use hmac::{Hmac, KeyInit, Mac, SimpleHmac};
use std::fmt::Write as _;

/// A notification under construction: names and values in wire order.
#[derive(Clone)]
pub struct Message {
    pub fields: Vec<(String, String)>,
}

impl Message {
    /// A complete order with about a hundred fields, as captured from a real account's shape.
    pub fn full(reference: &str, status: &str) -> Self {
        let text = "GIFT_ORDER=0|SALEDATE=2026-03-01 12:00:01|PAYMENTDATE=2026-03-01 12:00:05|REFNO=@|REFNOEXT=web-@|\
            SHOPPER_REFERENCE_NUMBER=|ORDERNO=4711|ORDERSTATUS=#|PAYMETHOD=Visa/MasterCard|PAYMETHOD_CODE=CCVISAMC|FIRSTNAME=Ána|\
            LASTNAME=Nguyễn|COMPANY=|REGISTRATIONNUMBER=|FISCALCODE=|TAX_OFFICE=|CBANKNAME=|CBANKACCOUNT=|ADDRESS1=101 Main Street|\
            ADDRESS2=|CITY=New York|STATE=New York|ZIPCODE=500365|COUNTRY=United States of America|COUNTRY_CODE=us|PHONE=951-121-2121|\
            FAX=|CUSTOMEREMAIL=buyer-@@example.com|FIRSTNAME_D=Ána|LASTNAME_D=Nguyễn|COMPANY_D=|ADDRESS1_D=101 Main Street|ADDRESS2_D=|\
            CITY_D=New York|STATE_D=New York|ZIPCODE_D=500365|COUNTRY_D=United States of America|COUNTRY_D_CODE=us|PHONE_D=|EMAIL_D=|\
            IPADDRESS=213.233.121.50|IPCOUNTRY=Romania|COMPLETE_DATE=2026-03-01 12:00:09|TIMEZONE_OFFSET=GMT+02:00|CURRENCY=USD|\
            LANGUAGE=en|ORDERFLOW=REGULAR|IPN_PID[]=1|IPN_PID[]=2|IPN_PNAME[]=Software program|IPN_PNAME[]=Täst & Co + \"quotes\"|\
            IPN_PCODE[]=PM_1|IPN_PCODE[]=|IPN_EXTERNAL_REFERENCE[]=|IPN_EXTERNAL_REFERENCE[]=|IPN_INFO[]=|IPN_INFO[]=|IPN_QTY[]=1|\
            IPN_QTY[]=3|IPN_PRICE[]=29.00|IPN_PRICE[]=10.00|IPN_VAT[]=0.00|IPN_VAT[]=0.00|IPN_VAT_RATE[]=0.0000|IPN_VAT_RATE[]=0.0000|\
            IPN_VER[]=1|IPN_VER[]=|IPN_DISCOUNT[]=0.00|IPN_DISCOUNT[]=0.00|IPN_PROMONAME[]=|IPN_PROMONAME[]=|IPN_PROMOCODE[]=|\
            IPN_PROMOCODE[]=|IPN_ORDER_COSTS[]=0|IPN_ORDER_COSTS[]=0|IPN_SKU[]=|IPN_SKU[]=|IPN_PARTNER_CODE=|IPN_PGROUP[]=0|IPN_PGROUP[]=0|\
            IPN_PGROUP_NAME[]=General|IPN_PGROUP_NAME[]=General|MESSAGE_ID=254498854202|MESSAGE_TYPE=#|IPN_LICENSE_PROD[]=1|\
            IPN_LICENSE_TYPE[]=REGULAR|IPN_LICENSE_REF[]=3C343D0FAF|IPN_LICENSE_EXP[]=9999-12-31 23:59:59|IPN_DELIVEREDCODES[]=|\
            IPN_DOWNLOAD_LINK=|IPN_TOTAL[]=29.00|IPN_TOTAL[]=30.00|IPN_TOTALGENERAL=59.00|IPN_SHIPPING=0.00|IPN_COMMISSION=2.7678|\
            REFUND_TYPE=|CHARGEBACK_RESOLUTION=NONE|CHARGEBACK_REASON_CODE=|TEST_ORDER=0|IPN_ORDER_ORIGIN=Web|FRAUD_STATUS=APPROVED|\
            CARD_TYPE=visa|CARD_LAST_DIGITS=1111|CARD_EXPIRATION_DATE=12/27|GATEWAY_RESPONSE=Approved|IPN_DATE=20260301120009|FX_RATE=1|\
            FX_MARKUP=0|PAYABLE_AMOUNT=56.23|PAYOUT_CURRENCY=USD|VENDOR_CODE=250111206876|PROPOSAL_ID=";
        let fields = text.split('|').map(|field| {
            let (name, value) = field.trim_start().split_once('=').unwrap();
            (name.to_owned(), value.replace("@@", &format!("{reference}@")).replace('@', reference).replace('#', status))
        });
        let mut message = Self { fields: fields.collect() };
        message.set("CUSTOMEREMAIL", &format!("buyer-{reference}@example.com"));
        message
    }

    /// A few fields, as an account with little ticked sends them.
    pub fn small(reference: &str, status: &str, date: &str) -> Self {
        let fields = [
            ("REFNO", reference),
            ("REFNOEXT", ""),
            ("ORDERSTATUS", status),
            ("IPN_PID[]", "1"),
            ("IPN_PNAME[]", "Software program"),
            ("IPN_TOTALGENERAL", "0.01"),
            ("CURRENCY", "USD"),
            ("IPN_DATE", date),
        ];
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
    }

    /// Sets a field, or adds it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value.to_owned(),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    fn source(&self) -> String {
        self.fields.iter().fold(String::new(), |mut source, (_, value)| {
            write!(source, "{}{value}", value.len()).unwrap();
            source
        })
    }

    /// The body, signed with each of the algorithms (`md5`, `sha2`, `sha3`).
    pub fn body(&self, key: &str, algorithms: &[&str]) -> String {
        let source = self.source();
        let mut fields = self.fields.clone();
        for algorithm in algorithms {
            fields.push((field_of(algorithm).to_owned(), mac(algorithm, key, &source)));
        }
        fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
    }
}

/// The field that carries a signature.
pub fn field_of(algorithm: &str) -> &'static str {
    match algorithm {
        "md5" => "HASH",
        "sha2" => "SIGNATURE_SHA2_256",
        _ => "SIGNATURE_SHA3_256",
    }
}

/// A keyed hash as hexadecimal digits.
pub fn mac(algorithm: &str, key: &str, data: impl AsRef<[u8]>) -> String {
    let (key, data) = (key.as_bytes(), data.as_ref());
    match algorithm {
        "md5" => hex::encode(Hmac::<md5::Md5>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes()),
        "sha2" => hex::encode(Hmac::<sha2::Sha256>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes()),
        _ => hex::encode(SimpleHmac::<sha3::Sha3_256>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes()),
    }
}

/// A value with its length in bytes before it.
pub fn prefixed(value: &str) -> String {
    format!("{}{value}", value.len())
}

fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
