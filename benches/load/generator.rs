//! The sender: keep-alive connections that post full-size, signed messages one after another.

use super::server::Process;
use hmac::{Hmac, KeyInit, Mac};
use quittance::server::{clock::Clock, listener::receipt_date};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The key that the benchmark's listener checks with.
pub const KEY: &str = "AABBCCDDEEFF";

/// What a run saw.
pub struct Outcome {
    acknowledged: u64,
    span: Duration,
    latencies: Vec<u32>,
}

impl Outcome {
    /// Acknowledged messages.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Acknowledged messages a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.span.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> f64 {
        let at = self.latencies.len() * percent / 100;
        f64::from(self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)) / 1_000.0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s (p50 {:.1} ms, p99 {:.1} ms)", self.rate(), self.percentile(50), self.percentile(99))
    }
}

/// Posts for a span over a number of connections; every answer must be a receipt.
pub async fn run(process: &Process, connections: usize, span: Duration) -> Outcome {
    let port = process.port;
    let number = Arc::new(AtomicU64::new(200_000_000));
    let begin = Instant::now();
    let end = begin + span;
    let senders: Vec<_> = (0..connections).map(|_| tokio::spawn(send(port, number.clone(), end))).collect();
    let mut latencies = Vec::new();
    for sender in senders {
        latencies.extend(sender.await.expect("a sender"));
    }
    let span = begin.elapsed();
    latencies.sort_unstable();
    Outcome { acknowledged: latencies.len() as u64, span, latencies }
}

async fn send(port: u16, number: Arc<AtomicU64>, end: Instant) -> Vec<u32> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    let mut latencies = Vec::new();
    let mut buffer = vec![0u8; 4096];
    while Instant::now() < end {
        let body = message(number.fetch_add(1, Ordering::Relaxed));
        let request = format!(
            "POST /ipn/bench HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await.expect("a request sent");
        let mut read = 0;
        loop {
            let count = stream.read(&mut buffer[read..]).await.expect("an answer");
            assert!(count > 0, "the server closed the connection");
            read += count;
            if buffer[..read].ends_with(b"</EPAYMENT>") {
                break;
            }
            assert!(read < 2_000, "no receipt: {}", String::from_utf8_lossy(&buffer[..read]));
        }
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    latencies
}

/// A full-size order (about 100 fields, 2.5 kB) as a real account sends it, signed with HMAC-MD5.
pub fn message(number: u64) -> String {
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
