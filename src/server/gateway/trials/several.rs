//! Several messages in one request: what one of them may not do for the others.

use super::*;
use crate::server::gateway::crypto::Method as Mac;

/// A gateway that signs the whole request in a header, and sends pings unsigned.
const FILE: &str = r#"
    id = "batches"
    label = "Batches"
    group = "Test"
    items = { in = "events" }
    [secret]
    label = "Key"
    [[signature]]
    from = "@header.X-Sign"
    method = "hmac-sha256"
    message = "{@body}"
    [ignore]
    word = "{kind}"
    words = ["ping"]
    unsigned = true
    [order]
    reference = ["order"]
    message = "{id}"
    [[status]]
    word = "{state}"
    map = { done = "paid" }
    [guide]
    steps = ["Enter {address}."]
"#;

fn take(body: &str, sign: Option<&str>) -> Result<Verified, Refused> {
    let preset = Preset::read(FILE).unwrap();
    let headers =
        HeaderMap::from_iter(sign.map(|sign| (HeaderName::from_static("x-sign"), HeaderValue::from_str(sign).unwrap())));
    let options = GatewayOptions::default();
    let credentials = Credentials { secret: b"k", required: Algorithms::NONE, options: &options };
    let request =
        Request { method: &Method::POST, query: "", headers: &headers, body: body.as_bytes(), url: ["", ""], now: NOW, date: "" };
    verify(&preset, credentials, &request)
}

fn signed(body: &str) -> Verified {
    take(body, Some(&hex::encode(Mac::HmacSha256.sign(b"k", body.as_bytes()).unwrap()))).unwrap()
}

#[test]
fn what_may_come_unsigned_opens_no_door_for_what_follows() {
    let ping = r#"{"kind":"ping"}"#;
    let paid = r#"{"kind":"payment","id":"1","order":"A","state":"done"}"#;
    for body in [format!(r#"{{"events":[{ping},{paid}]}}"#), format!(r#"{{"events":[{ping},{ping},{paid},{ping}]}}"#)] {
        assert_eq!(take(&body, None).unwrap_err().reason, RefusalReason::NoSignature, "{body}");
        let wrong = "0".repeat(64);
        assert_eq!(take(&body, Some(&wrong)).unwrap_err().reason, RefusalReason::WrongSignature, "{body}");
        assert_eq!(signed(&body).events.len(), 1);
    }
    assert!(take(&format!(r#"{{"events":[{ping},{ping}]}}"#), None).unwrap().events.is_empty(), "pings alone are answered");
}

#[test]
fn messages_without_a_number_are_told_apart_by_request_and_place() {
    let part = r#"{"kind":"payment","order":"A","state":"done"}"#;
    let body = format!(r#"{{"events":[{part},{part},{{"kind":"payment","order":"B","id":"7","state":"done"}}]}}"#);
    let ids = |body: &str| signed(body).events.into_iter().map(|event| event.facts.message_id).collect::<Vec<_>>();
    let first = ids(&body);
    assert_ne!(first[0], first[1]);
    assert!(first[0].ends_with("-1") && first[1].ends_with("-2") && first[2] == "7", "{first:?}");
    assert_eq!(ids(&body), first, "the same request again is a repeat");
    let later = format!(r#"{{"batch":2,"events":[{part},{part}]}}"#);
    assert!(ids(&later).iter().all(|id| !first.contains(id)), "another request tells something new");
    assert_eq!(ids(&format!(r#"{{"events":[{part}]}}"#)), [""], "alone in its request, the bytes tell");
}
