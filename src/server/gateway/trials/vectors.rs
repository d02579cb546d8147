//! Signatures that vendors or their libraries publish, and such as were computed from what they describe.

use super::*;

// stripe-python signs as it goes; this one was computed from its algorithm.
#[test]
fn stripe() {
    let header = "t=1614265330,v1=56a3574edaeaa0e05a50bc6232292494b6abdc2d23569a23a3fc8376843a395d";
    let at = Timestamp::from_seconds(1_614_265_330);
    fn one<'a>(headers: &'a [(&'a str, &'a str)], now: Timestamp) -> Try<'a> {
        let body = r#"{"id":"evt_demo_0001","object":"event"}"#;
        Try { secret: "whsec_demo_hub_secret", headers, body, now, ..Try::default() }
    }
    assert!(is_proved("stripe", &one(&[("Stripe-Signature", header)], at)));
    let rotated = format!("t=1614265330,v1={},{}", "0".repeat(64), header.split_once(',').unwrap().1);
    assert!(is_proved("stripe", &one(&[("Stripe-Signature", &rotated)], at)), "one of several");
    for off in [-301i64, 301] {
        let refused = attempt("stripe", &one(&[("Stripe-Signature", header)], Timestamp::from_seconds(1_614_265_330 + off)));
        assert_eq!(refused.unwrap_err().reason, RefusalReason::Stale, "replayed, or from the future");
    }
    let other_time = header.replace("t=1614265330", "t=1614265331");
    assert!(is_wrong("stripe", &one(&[("Stripe-Signature", &other_time)], at)), "the time stamp is part of it");
    for broken in ["v1=", "t=1614265330", "t=,v1=00", "v1=zz,t=1", "0", ",,,=,"] {
        assert!(!is_proved("stripe", &one(&[("Stripe-Signature", broken)], at)), "{broken}");
    }
}

// The specification's own examples; Ed25519 with the key of RFC 8032 (test 2).
#[test]
fn standard_webhooks() {
    let headers = |signature| {
        [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330"), ("webhook-signature", signature)]
    };
    let body = r#"{"test": 2432232314}"#;
    let now = Timestamp::from_seconds(1_614_265_330);
    let right = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(is_proved("standard-webhooks", &Try { secret, headers: &right, body, now, ..Try::default() }));
    let bare = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(is_proved("standard-webhooks", &Try { secret: bare, headers: &right, body, now, ..Try::default() }));
    let several = headers("v1a,xxxx v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert!(is_proved("standard-webhooks", &Try { secret, headers: &several, body, now, ..Try::default() }));

    let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
    let public = hex::decode("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let message = format!("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{body}");
    let signature = crypto::Method::Ed25519.sign(&seed, message.as_bytes()).unwrap();
    let signature = format!("v1a,{}", crypto::Encoding::Base64.write(&signature));
    let secret = format!("whpk_{}", crypto::Encoding::Base64.write(&public));
    assert!(is_proved("standard-webhooks", &Try { secret: &secret, headers: &headers(&signature), body, now, ..Try::default() }));
    let other = &Try { secret: &secret, headers: &headers(&signature), body: r#"{"test": 1}"#, now, ..Try::default() };
    assert!(is_wrong("standard-webhooks", other));
}

// lehuygiang28/vnpay, its own tests.
#[test]
fn vnpay() {
    let query = "vnp_Amount=1000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+2024-05-21T02%3A17%3A31.249Z&vnp_PayDate=20240521091806&vnp_ResponseCode=00&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=14422574&vnp_TransactionStatus=00&vnp_TxnRef=1716257871703";
    let signature = crypto::Method::HmacSha512.sign(b"test_secret", query.as_bytes()).unwrap();
    assert!(hex::encode(&signature).starts_with("649982421beb42") && hex::encode(&signature).ends_with("72895"));
    let signed = format!("{query}&vnp_SecureHash={}", hex::encode(&signature));
    let verified = attempt("vnpay", &Try { secret: "test_secret", query: &signed, ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("1716257871703", OrderStatus::Paid));
    assert_eq!(facts.amount.unwrap().minor, 10_000, "a hundred times too many, also of dong");
    assert_eq!(facts.event_at, Some(Timestamp::from_seconds(1_716_257_886)), "on Vietnam's clock");

    let shuffled: Vec<_> = signed.split('&').rev().collect();
    let shuffled = format!("{}&vnp_SecureHashType=SHA512&vnp_Empty=", shuffled.join("&"));
    assert!(attempt("vnpay", &Try { secret: "test_secret", query: &shuffled, ..Try::default() }).is_ok(), "in any order");
    let mixed = signed.replace("vnp_TransactionStatus=00", "vnp_TransactionStatus=02");
    assert!(is_wrong("vnpay", &Try { secret: "test_secret", query: &mixed, ..Try::default() }));
    let posted = attempt("vnpay", &Try { secret: "test_secret", body: &signed, ..Try::default() }).unwrap_err();
    assert_eq!(posted.reason, RefusalReason::WrongMethod);
    let other = Try { secret: "test_secret", query: &signed, options: options(&[("terminal", "OTHER")]), ..Try::default() };
    assert_eq!(attempt("vnpay", &other).unwrap_err().reason, RefusalReason::WrongMerchant);
}

// Computed from the documented list of fields; the same construction as an example of the first version.
#[test]
fn momo() {
    let body = r#"{"partnerCode":"DEMOPARTNER","orderId":"ORDER-1","requestId":"REQ-1","amount":1000,"orderInfo":"Pay with MoMo","orderType":"momo_wallet","transId":1000000001,"resultCode":0,"message":"Successful.","payType":"qr","responseTime":1700000000000,"extraData":"","signature":"9c5f8524c48a382201f3bf4da9ceb63bdd3552215a558f7bf1f477a833532233"}"#;
    fn one(body: &str) -> Try<'_> {
        Try { secret: "demo_momo_secret", options: options(&[("access-key", "DEMOACCESSKEY")]), body, ..Try::default() }
    }
    let verified = attempt("momo", &one(body)).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.status, facts.amount.unwrap().minor), (OrderStatus::Paid, 1_000));
    assert!(is_wrong("momo", &one(&body.replace("\"amount\":1000", "\"amount\":1000.0"))), "numbers are compared as written");
    assert!(is_wrong("momo", &one(&body.replace("\"resultCode\":0", "\"resultCode\":9000"))));
    let twice = body.replace("\"amount\":1000,", "\"amount\":1000,\"amount\":1,");
    assert_eq!(attempt("momo", &one(&twice)).unwrap_err().reason, RefusalReason::Malformed);
    assert!(is_wrong("momo", &Try { secret: "demo_momo_secret", body, ..Try::default() }), "without the access key");
}

// payos.vn, the webhook page's example.
#[test]
fn payos() {
    let body = r#"{"code":"00","desc":"success","success":true,"data":{"orderCode":123,"amount":3000,"description":"VQRIO123","accountNumber":"12345678","reference":"TF230204212323","transactionDateTime":"2023-02-04 18:25:00","currency":"VND","paymentLinkId":"124c33293c43417ab7879e14c8d9eb18","code":"00","desc":"Thành công","counterAccountBankId":"","counterAccountBankName":"","counterAccountName":"","counterAccountNumber":"","virtualAccountName":"","virtualAccountNumber":""},"signature":"412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"}"#;
    let secret = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
    let verified = attempt("payos", &Try { secret, body, ..Try::default() }).unwrap();
    assert_eq!(verified.events[0].facts.status, OrderStatus::Paid);
    assert_eq!(verified.events[0].facts.reference, "123");
    let with_null = body.replace("\"counterAccountName\":\"\"", "\"counterAccountName\":null");
    assert!(attempt("payos", &Try { secret, body: &with_null, ..Try::default() }).is_ok(), "null is signed as nothing");
    assert!(is_wrong("payos", &Try { secret, body: &body.replace("3000", "30000"), ..Try::default() }));
}

// docs.zalopay.vn, the callback of the public sandbox application 2553.
#[test]
fn zalopay() {
    let sample = r#"{"data":"{\"app_id\":2553,\"app_trans_id\":\"200904_1\",\"amount\":1000,\"server_time\":1599189392817,\"zp_trans_id\":200904000000389}","mac":"MAC","type":1}"#;
    let secret = "kLtgPl8HHhfvMuDHPwKfgfsY4Ydm9eIz";
    let data =
        r#"{"app_id":2553,"app_trans_id":"200904_1","amount":1000,"server_time":1599189392817,"zp_trans_id":200904000000389}"#;
    let mac = hex::encode(crypto::Method::HmacSha256.sign(secret.as_bytes(), data.as_bytes()).unwrap());
    let body = sample.replace("MAC", &mac);
    let verified = attempt("zalopay", &Try { secret, body: &body, ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.reference.as_str(), facts.status, facts.amount.unwrap().minor), ("200904_1", OrderStatus::Paid, 1_000));
    assert!(is_wrong("zalopay", &Try { secret, body: &body.replace("1000", "1"), ..Try::default() }));
    let broken = body.replace(r#"{\"app_id\""#, r#"[\"app_id\""#);
    assert_eq!(
        attempt("zalopay", &Try { secret, body: &broken, ..Try::default() }).unwrap_err().reason,
        RefusalReason::Malformed
    );
}

// Adyen's library, its own tests: what is between colons is taken as it is.
#[test]
fn adyen() {
    let secret = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let item = |signature: &str, event: &str| {
        format!(
            r#"{{"NotificationRequestItem":{{"additionalData":{{"hmacSignature":"{signature}"}},"amount":{{"value":1130,"currency":"EUR"}},"pspReference":"7914073381342284","eventCode":"{event}","eventDate":"2019-06-28T18:03:50+01:00","merchantAccountCode":"TestMerchant","merchantReference":"TestPayment-1407325143704","paymentMethod":"visa","success":"true"}}}}"#
        )
    };
    let right = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=";
    let post = |items: &[String]| format!(r#"{{"live":"false","notificationItems":[{}]}}"#, items.join(","));
    let authorised = item(right, "AUTHORISATION");
    let verified = attempt("adyen", &Try { secret, body: &post(std::slice::from_ref(&authorised)), ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!((facts.status, facts.test, facts.amount.unwrap().minor), (OrderStatus::Authorized, true, 1_130));
    let automatic = Try {
        secret,
        body: &post(std::slice::from_ref(&authorised)),
        options: options(&[("capture", "automatic")]),
        ..Try::default()
    };
    assert_eq!(attempt("adyen", &automatic).unwrap().events[0].facts.status, OrderStatus::Paid);
    let two = post(&[authorised.clone(), authorised.clone()]);
    assert_eq!(attempt("adyen", &Try { secret, body: &two, ..Try::default() }).unwrap().events.len(), 2);
    let one_forged = post(&[authorised, item(right, "CAPTURE")]);
    assert!(is_wrong("adyen", &Try { secret, body: &one_forged, ..Try::default() }), "all or nothing");
    for body in [post(&[]), r#"{"live":"true"}"#.to_owned(), r#"{"notificationItems":[1]}"#.to_owned()] {
        assert!(attempt("adyen", &Try { secret, body: &body, ..Try::default() }).is_err(), "{body}");
    }
}

/// Computed from the described algorithms, with invented keys.
#[test]
fn presets_with_computed_values() {
    let form = "ipn_version=1.0&ipn_type=simple&ipn_mode=hmac&ipn_id=abc123&merchant=M1&status=100&txn_id=CPX1&amount1=10.00&currency1=USD&invoice=ORDER-1";
    let hmac = "42379e5d8cd20185d39750edf804d53e164574e614f9d57e67cae8c4f6e48e2ecdd7a2ab0079ccd4cfc744ae06d577343c9742dd3888e18c0daad3e1c05727ae";
    for (name, secret, header, value, body) in [
        ("coinpayments", "ipn_secret", "HMAC", hmac, form),
        (
            "mollie",
            "demo_mollie_secret",
            "X-Mollie-Signature",
            "sha256=6462b71812f05622e37417a70612e2205e2b5a2e4e2166ae69ddc3daab4f7eb8",
            r#"{"id":"event_demo","type":"payment.paid","entityId":"tr_demo"}"#,
        ),
        (
            "xsolla",
            "demo_xsolla_key",
            "Authorization",
            "Signature 4f585d059877da4a6ad36b92ead38f10db47efa7",
            r#"{"notification_type":"payment","transaction":{"id":1}}"#,
        ),
        (
            "fastspring",
            "fs_secret",
            "X-FS-Signature",
            "pArL2rFR9unRK1Ul6+zS+Gxp7OifDtFStJu4rShjDAU=",
            r#"{"events":[{"id":"e1","live":false,"type":"order.completed"}]}"#,
        ),
        (
            "paytabs",
            "SKEY",
            "Signature",
            "38b9098416b9c2be62cc83318277fd4393d69c71400a69fcf0c63c8669d21c2d",
            r#"{"tran_ref":"TST1","cart_id":"ORDER-1","payment_result":{"response_status":"A"}}"#,
        ),
    ] {
        let headers = [(header, value)];
        assert!(is_proved(name, &Try { secret, headers: &headers, body, ..Try::default() }), "{name}");
        let spoilt = body.replacen('1', "2", 1).replacen("event_demo", "event_domo", 1);
        assert!(is_wrong(name, &Try { secret, headers: &headers, body: &spoilt, ..Try::default() }), "{name}");
    }
    let signature = "1C3FC10745F8CCE3D62F9A89719DD5D32EC682F94F33FD4E0EC72E887E4DCE9DD46C09DCB588005E5B3EE7C8443441DE97482A31C6F9C82EC53F6E1240672439";
    let body = format!("order_id=12345&amount=99.99&event=on_payment&empty=&sha_sign={signature}");
    assert!(is_proved("digistore24", &Try { secret: "demo_passphrase", body: &body, ..Try::default() }));
    let lower = body.replace(signature, &signature.to_lowercase());
    assert!(is_proved("digistore24", &Try { secret: "demo_passphrase", body: &lower, ..Try::default() }), "either case");
}

/// yoomoney.ru, the example of the notification's page.
#[test]
fn yoomoney() {
    let body = "notification_type=p2p-incoming&operation_id=1234567&amount=300.00&currency=643&datetime=2011-07-01T09%3A00%3A00.000%2B04%3A00&sender=41001XXXXXXXX&codepro=false&label=YM.label.12345&sha1_hash=a2ee4a9195f4a90e893cff4f62eeba0b662321f9";
    let secret = "01234567890ABCDEF01234567890";
    let verified = attempt("yoomoney", &Try { secret, body, ..Try::default() }).unwrap();
    let facts = &verified.events[0].facts;
    assert_eq!(
        (facts.external.as_str(), facts.status, facts.amount.unwrap().minor),
        ("YM.label.12345", OrderStatus::Paid, 30_000)
    );
    let protected = body.replace("codepro=false", "codepro=true");
    assert!(is_wrong("yoomoney", &Try { secret, body: &protected, ..Try::default() }));
}
