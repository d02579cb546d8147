//! What is signed and what is read must be the same value, however a request is spelt.

use super::*;
use crate::server::gateway::crypto::Method as Mac;

const VNPAY: &str = "vnp_Amount=1000000&vnp_PayDate=20240521091806&vnp_ResponseCode=24&vnp_TmnCode=T&vnp_TransactionNo=14422574&vnp_TransactionStatus=02&vnp_TxnRef=REF-1";

fn vnpay(query: &str) -> Result<Verified, Refused> {
    attempt("vnpay", &Try { secret: "s", query, ..Try::default() })
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
