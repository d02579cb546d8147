//! What is signed and what is read must be the same value, however a request is spelt.

use super::*;
use crate::server::gateway::crypto::Method as Mac;

const VNPAY: &str = "vnp_Amount=1000000&vnp_PayDate=20240521091806&vnp_ResponseCode=24&vnp_TmnCode=T&vnp_TransactionNo=14422574&vnp_TransactionStatus=02&vnp_TxnRef=REF-1";

fn vnpay(query: &str) -> Result<Verified, Refused> {
    attempt("vnpay", &Try { secret: "s", query, ..Try::default() })
}

/// Every spelling in which a name may come a second time.
fn spellings(name: &str) -> [String; 4] {
    let escaped = |letter: char| format!("%{:02x}", u32::from(letter));
    let first = name.chars().next().unwrap();
    let last = name.chars().last().unwrap();
    [
        name.to_owned(),
        format!("{}{}", escaped(first), &name[1..]),
        format!("{}{}", &name[..name.len() - 1], escaped(last)),
        name.chars().map(escaped).collect(),
    ]
}

#[test]
fn a_name_spelt_otherwise_is_signed_like_any_other() {
    let hash = hex::encode(Mac::HmacSha512.sign(b"s", VNPAY.as_bytes()).unwrap());
    let genuine = format!("{VNPAY}&vnp_SecureHash={hash}");
    assert_eq!(vnpay(&genuine).unwrap().events[0].facts.status, OrderStatus::Cancelled);
    let forged = format!("%76np_ResponseCode=00&%76np_TransactionStatus=00&%76np_Amount=999999900&%76np_TxnRef=REF-2&{genuine}");
    assert!(vnpay(&forged).is_err(), "an override of what is signed");
    // Of a name that the gateway did not send there is no second one, and it must be signed all the same.
    assert_eq!(vnpay(&format!("%76np_CardType=ATM&{genuine}")).unwrap_err().reason, RefusalReason::WrongSignature);
    // A proxy that writes a name of the gateway's otherwise changes what is signed, not what is read.
    assert!(vnpay(&genuine.replace("vnp_Amount", "%76np_Amount")).is_err());
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let refused = |name: &str, one: &Try<'_>| {
        let refused = attempt(name, one).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::Malformed, "{name} {refused:?}");
        assert!(refused.detail.contains("twice"), "{}", refused.detail);
    };
    let hash = hex::encode(Mac::HmacSha512.sign(b"s", VNPAY.as_bytes()).unwrap());
    for name in ["vnp_TxnRef", "vnp_Amount", "vnp_ResponseCode", "vnp_SecureHash", "vnp_BankCode"] {
        for (first, second) in
            spellings(name).into_iter().flat_map(|one| [(one.clone(), name.to_owned()), (name.to_owned(), one)])
        {
            let query = format!("{first}=&{VNPAY}&vnp_BankCode=NCB&vnp_SecureHash={hash}&{second}=");
            refused("vnpay", &Try { secret: "s", query: &query, ..Try::default() });
        }
    }
    for (name, status, field) in [
        ("onepay", OrderStatus::Paid, "vpc_MerchTxnRef"),
        ("onepay", OrderStatus::Paid, "vpc_Amount"),
        ("digistore24", OrderStatus::Paid, "order_id"),
        ("digistore24", OrderStatus::Paid, "transaction_amount"),
        ("skrill", OrderStatus::Paid, "transaction_id"),
        ("yoomoney", OrderStatus::Paid, "label"),
        ("webmoney", OrderStatus::Paid, "LMI_PAYMENT_NO"),
        ("coinpayments", OrderStatus::Paid, "status"),
        ("paypal", OrderStatus::Paid, "mc_gross"),
    ] {
        let preset = preset(name);
        let (secret, options) = (simulate::trial_secret(&preset), simulate::trial_options(&preset));
        let posted = simulate::sign(&preset, secret.as_bytes(), &options, &wish(&preset, status)).unwrap();
        for spelt in spellings(field) {
            for value in ["", "1"] {
                let mut spoilt = posted.clone();
                match spoilt.query.is_empty() {
                    true => spoilt.body = [format!("{spelt}={value}&").as_bytes(), &posted.body].concat(),
                    false => spoilt.query = format!("{spelt}={value}&{}", posted.query),
                }
                let refused = take(&preset, &secret, &options, &spoilt).unwrap_err();
                let told = matches!(refused.reason, RefusalReason::Malformed | RefusalReason::WrongSignature);
                assert!(told, "{name} {spelt}={value}: {refused:?}");
            }
        }
    }
}

/// A file of an operator's with the pairs as received, its fields by POST or GET.
const FILE: &str = r#"
    id = "received"
    label = "Received"
    group = "Test"
    body = "form"
    method = "either"
    [secret]
    label = "Key"
    [[signature]]
    from = "sign"
    method = "hmac-sha256"
    message = "MESSAGE"
    [order]
    reference = ["order"]
    [[status]]
    word = "{state}"
    map = { done = "paid", open = "pending" }
    [guide]
    steps = ["Enter {address}."]
"#;

fn by_file(message: &str, pairs: &str, method: &Method, query: &str, body: &str) -> Result<Verified, Refused> {
    let file = FILE.replace("message = \"MESSAGE\"", &format!("message = \"{message}\"\n{pairs}"));
    let preset = Preset::read(&file).unwrap();
    let options = GatewayOptions::default();
    let credentials = Credentials { secret: b"k", required: Algorithms::NONE, options: &options };
    let headers = HeaderMap::new();
    let request = Request { method, query, headers: &headers, body: body.as_bytes(), url: ["", ""], now: NOW, date: "" };
    verify(&preset, credentials, &request)
}

#[test]
fn lists_may_repeat_their_name_because_nothing_is_read_of_them() {
    let signed = "item[]=1&item[]=2&order=A&state=done";
    let sign = hex::encode(Mac::HmacSha256.sign(b"k", signed.as_bytes()).unwrap());
    let pairs = "pairs = { without = [\"sign\"], encode = \"received\" }";
    let body = format!("{signed}&sign={sign}");
    assert_eq!(by_file("{@pairs}", pairs, &Method::POST, "", &body).unwrap().events[0].facts.reference, "A");
    let longer = format!("item%5B%5D=3&{body}");
    assert_eq!(by_file("{@pairs}", pairs, &Method::POST, "", &longer).unwrap_err().reason, RefusalReason::WrongSignature);
}

#[test]
fn what_comes_in_the_query_is_not_proved_by_a_signed_body() {
    let body = "order=A&state=open&sign=";
    let file = FILE.replace("from = \"sign\"", "from = \"@header.X-Sign\"").replace("MESSAGE", "{@body}");
    let preset = Preset::read(&file).unwrap();
    let sign = hex::encode(Mac::HmacSha256.sign(b"k", body.as_bytes()).unwrap());
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-sign"), HeaderValue::from_str(&sign).unwrap())]);
    let take = |method, query| {
        let options = GatewayOptions::default();
        let credentials = Credentials { secret: b"k", required: Algorithms::NONE, options: &options };
        let request = Request { method, query, headers: &headers, body: body.as_bytes(), url: ["", ""], now: NOW, date: "" };
        verify(&preset, credentials, &request)
    };
    assert_eq!(take(&Method::POST, "order=B&state=done").unwrap().events[0].facts.reference, "A");
    assert_eq!(take(&Method::GET, "order=B&state=done").unwrap_err().reason, RefusalReason::WrongSignature);
}
