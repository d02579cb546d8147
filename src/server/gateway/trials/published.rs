//! Signatures that vendors or those who know them publish, held against the gateways' own checks.

use super::*;

// razorpay-python, tests/test_client_utility.py with mocks/fake_payment_authorized_webhook.json.
#[test]
fn razorpay() {
    let body = r#"{
  "event": "payment.authorized",
  "entity": "event",
  "contains": [
    "payment"
  ],
  "payload": {
    "payment": {
      "entity": {
        "id": "pay_6koWN7bvxujzxM",
        "entity": "payment",
        "amount": 1000000,
        "currency": "INR",
        "status": "captured",
        "order_id": "order_100000000order",
        "international": false,
        "method": "card",
        "amount_refunded": 0,
        "refund_status": null,
        "captured": true,
        "description": "random description",
        "card_id": "card_6koWNAT6LASUqy",
        "bank": null,
        "wallet": null,
        "vpa": null,
        "email": "a@b.com",
        "contact": "+919999999999",
        "notes": {
          "merchant_order_id": "random order id"
        },
        "fee": 23000,
        "service_tax": 3000,
        "error_code": null,
        "error_description": null,
        "created_at": 1479978483
      }
    }
  },
  "created_at": 1400826760
}
"#;
    let header = [("X-Razorpay-Signature", "d60e67fd884556c045e9be7dad57903e33efc7172c17c6e3ef77db42d2b366e9")];
    let one = |body| Try { secret: "key_secret", headers: &header, body, ..Try::default() };
    let facts = attempt("razorpay", &one(body)).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.external.as_str()), ("pay_6koWN7bvxujzxM", "order_100000000order"));
    assert_eq!(facts.status, OrderStatus::Paid, "the payment is captured");
    assert!(is_wrong("razorpay", &one(&body.replace("1000000", "1000001"))));
}

// lemonsqueezy-go, webhooks_service_test.go with its stub of an order, the line break at its beginning included.
#[test]
fn lemon_squeezy() {
    let body = "\n{\n  \"meta\": {\n    \"event_name\": \"order_created\",\n\t\"custom_data\": {\n      \"customer_id\": 25\n    }\n  },\n  \"data\": {\n    \"type\": \"orders\",\n    \"id\": \"1\",\n    \"attributes\": {\n      \"store_id\": 1,\n      \"customer_id\": 1,\n      \"identifier\": \"89b36d62-4f5c-4353-853f-0c769d0535c8\",\n      \"order_number\": 1,\n      \"user_name\": \"Dan R\",\n      \"user_email\": \"dan@lemonsqueezy.com\",\n      \"currency\": \"EUR\",\n      \"currency_rate\": \"1.08405\",\n      \"subtotal\": 1499,\n      \"discount_total\": 0,\n      \"tax\": 359,\n      \"total\": 1859,\n      \"subtotal_usd\": 1626,\n      \"discount_total_usd\": 0,\n      \"tax_usd\": 390,\n      \"total_usd\": 2016,\n      \"tax_name\": \"ALV\",\n      \"tax_rate\": \"24.00\",\n      \"status\": \"paid\",\n      \"status_formatted\": \"Paid\",\n      \"refunded\": null,\n      \"refunded_at\": null,\n      \"subtotal_formatted\": \"€14.99\",\n      \"discount_total_formatted\": \"€0.00\",\n      \"tax_formatted\": \"€3.59\",\n      \"total_formatted\": \"€18.59\",\n      \"first_order_item\": {\n        \"order_id\": 1,\n        \"product_id\": 1,\n        \"variant_id\": 1,\n        \"product_name\": \"Product One\",\n        \"variant_name\": \"Default\",\n        \"price\": 1500,\n        \"created_at\": \"2023-01-17T12:26:23.000000Z\",\n        \"updated_at\": \"2023-01-17T12:26:23.000000Z\",\n        \"test_mode\": false\n      },\n      \"urls\": {\n        \"receipt\": \"https://app.lemonsqueezy.com/my-orders/89b36d62-4f5c-4353-853f-0c769d0535c8?signature=8847fff02e1bfb0c7c43ff1cdf1b1657a8eed2029413692663b86859208c9f42\"\n      },\n      \"created_at\": \"2023-01-17T12:26:23.000000Z\",\n      \"updated_at\": \"2023-01-17T12:26:23.000000Z\",\n      \"test_mode\": false\n    },\n    \"relationships\": {\n      \"store\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/store\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/store\"\n        }\n      },\n      \"customer\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/customer\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/customer\"\n        }\n      },\n      \"order-items\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/order-items\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/order-items\"\n        }\n      },\n      \"subscriptions\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/subscriptions\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/subscriptions\"\n        }\n      },\n      \"license-keys\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/license-keys\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/license-keys\"\n        }\n      },\n      \"discount-redemptions\": {\n        \"links\": {\n          \"related\": \"https://api.lemonsqueezy.com/v1/orders/1/discount-redemptions\",\n          \"self\": \"https://api.lemonsqueezy.com/v1/orders/1/relationships/discount-redemptions\"\n        }\n      }\n    },\n    \"links\": {\n      \"self\": \"https://api.lemonsqueezy.com/v1/orders/1\"\n    }\n  }\n}\n";
    let header = [("X-Signature", "743c0dcfaab3a3d06198183501fb92cc82e548febc80937f3fb236a4932f748f")];
    let one = |body| Try { secret: "signing-secret", headers: &header, body, ..Try::default() };
    let facts = attempt("lemon-squeezy", &one(body)).unwrap().events.remove(0).facts;
    assert_eq!((facts.status, facts.amount.unwrap().decimal().as_str()), (OrderStatus::Paid, "18.59"));
    assert!(is_wrong("lemon-squeezy", &one(body.trim_start())), "the line break is signed");
}

// coinbase-commerce-python, tests/test_webhook.py.
#[test]
fn coinbase_commerce() {
    let body = r#"{"id":1,"scheduled_for":"2017-01-31T20:50:02Z","attempt_number":1,"event":{"id":"24934862-d980-46cb-9402-43c81b0cdba6","type":"charge:created","api_version":"2018-03-22","created_at":"2017-01-31T20:49:02Z","data":{"code":"66BEOV2A","name":"The Sovereign Individual","description":"Mastering the Transition to the Information Age","hosted_url":"https://commerce.coinbase.com/charges/66BEOV2A","created_at":"2017-01-31T20:49:02Z","expires_at":"2017-01-31T21:04:02Z","timeline":[{"time":"2017-01-31T20:49:02Z","status":"NEW"}],"metadata":{},"pricing_type":"no_price","payments":[],"addresses":{"bitcoin":"0000000000000000000000000000000000","ethereum":"0x0000000000000000000000000000000000000000","litecoin":"3000000000000000000000000000000000","bitcoincash":"bitcoincash:000000000000000000000000000000000000000000"}}}}"#;
    let header = [("X-CC-Webhook-Signature", "8be7742c7d372f08a6a3224edadf18a22b65fa9e28f3f2de97376cdaa092590d")];
    let one = |body| Try { secret: "30291a20-0bd1-4267-9b0f-e6e7b123c0bf", headers: &header, body, ..Try::default() };
    let facts = attempt("coinbase-commerce", &one(body)).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("66BEOV2A", OrderStatus::Created));
    assert!(is_wrong("coinbase-commerce", &one(&body.replace("charge:created", "charge:confirmed"))));
}

// square-python-sdk, tests of the webhooks helper: the address is part of what is signed, and signs like < stay as they are.
#[test]
fn square() {
    let body = r#"{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}"#;
    let escaped = r#"{"data":{"type":"webhooks","id":">id<"}}"#;
    for (address, secret, signature, body) in [
        (
            "https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9",
            "Ibxx_5AKakO-3qeNVR61Dw",
            "GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=",
            body,
        ),
        ("https://webhook.site/webhooks", "signature-key", "Cxt7+aTi4rKgcA0bC4g9EHdVtLSDWdqccmL5MvihU4U=", escaped),
    ] {
        let header = [("x-square-hmacsha256-signature", signature)];
        let one = |address: &str, body| Try {
            secret,
            headers: &header,
            options: options(&[(ADDRESS, address)]),
            body,
            ..Try::default()
        };
        assert!(is_proved("square", &one(address, body)));
        assert!(is_wrong("square", &one("https://webhook.site/other", body)), "another address");
    }
}

// stymiee/authnetjson, its own tests: the key's digits themselves are the key.
#[test]
fn authorize_net() {
    let body = r#"{"notificationId":"182cbbff-cab2-4080-931d-80e5d818f23a","eventType":"net.authorize.payment.authcapture.created","eventDate":"2017-08-18T20:40:52.7722007Z","webhookId":"849eb87e-078a-4169-a34b-c0bded5019a8","payload":{"responseCode":0,"authCode":"Z3PV5H","avsResponse":"Y","authAmount":0.0,"entityName":"transaction","id":"40005915599"}}"#;
    let secret = "52CB4A002C634B84E397DC8A218E1A160BA7CAB7CBE4C05B35E9CBB05E14FE4A2385812E980CCF97D177F17863CE214D1BE6CE8E1E894487AACF3609C1A5FE17";
    let signature = "sha512=A1E0CC0F8A7B6274E0951CAC5EB63579F70FC6B7B15384B146DCE02B98DEE3954A5A8E331661B51DE953E141E88994DFA7D267FFB8428BE0660511B6EFB94960";
    for value in [signature.to_owned(), signature.to_lowercase()] {
        let header = [("X-ANET-Signature", value.as_str())];
        let facts =
            attempt("authorize-net", &Try { secret, headers: &header, body, ..Try::default() }).unwrap().events.remove(0).facts;
        assert_eq!(
            (facts.reference.as_str(), facts.status),
            ("40005915599", OrderStatus::Unmapped),
            "a response code of 0 is none"
        );
    }
    let header = [("X-ANET-Signature", signature)];
    assert!(is_wrong("authorize-net", &Try { secret, headers: &header, body: &body.replace("0.0", "9.0"), ..Try::default() }));
}

// phpviet/omnipay-onepay, its own tests, and those of the library before it.
#[test]
fn onepay() {
    let query = "vpc_AdditionData=970436&vpc_Amount=100&vpc_Command=pay&vpc_CurrencyCode=VND&vpc_Locale=vn&vpc_MerchTxnRef=201803210919102006754784&vpc_Merchant=ONEPAY&vpc_OrderInfo=JSECURETEST01&vpc_TransactionNo=1625746&vpc_TxnResponseCode=0&vpc_Version=2&vpc_SecureHash=0331F9D8E0CD9A6BC581B74721658DFD9A5A219145F92DED700C13E4843BB3B0";
    let secret = "A3EFDFABA8653DF2342E8DAC29B51AF0";
    let facts = attempt("onepay", &Try { secret, query, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("201803210919102006754784", OrderStatus::Paid));
    let amount = facts.amount.unwrap();
    assert_eq!((amount.minor, amount.currency.code()), (1, "VND"), "a hundred times too many, also of dong");
    assert!(attempt("onepay", &Try { secret, body: query, ..Try::default() }).is_ok(), "posted as well");
    let spoilt = query.replace("vpc_TxnResponseCode=0", "vpc_TxnResponseCode=F");
    assert!(is_wrong("onepay", &Try { secret, query: &spoilt, ..Try::default() }));
}

// activemerchant/offsite_payments, its tests of Moneybookers.
#[test]
fn skrill() {
    let body = "md5sig=CDEA3910DDD4090DF89034CA82C46D34&transaction_id=54910248&amount=1.03&id=968&pay_to_email=dennis%40shopify.com&mb_currency=EUR&currency=USD&mb_transaction_id=403117232&mb_amount=0.735741&merchant_id=21235995&status=2&pay_from_email=dennis%40shopify.com&payment_type=MBD";
    let facts = attempt("skrill", &Try { secret: "t3stt3st", body, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.external.as_str(), facts.status), ("54910248", OrderStatus::Paid));
    assert_eq!(facts.amount, None, "a fraction of a cent is no amount");
    assert!(is_wrong("skrill", &Try { secret: "t3stt3st", body: &body.replace("status=2", "status=0"), ..Try::default() }));
    let mine = options(&[("merchant-id", "21235995")]);
    assert!(attempt("skrill", &Try { secret: "t3stt3st", options: mine, body, ..Try::default() }).is_ok());
    let moved = body
        .replace("merchant_id=21235995", "merchant_id=2123599")
        .replace("transaction_id=54910248", "transaction_id=554910248");
    let mine = options(&[("merchant-id", "21235995")]);
    let refused = attempt("skrill", &Try { secret: "t3stt3st", options: mine, body: &moved, ..Try::default() }).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::WrongMerchant, "a digit moved from one field to the next");
}

// activemerchant/offsite_payments, its tests of WebMoney.
#[test]
fn webmoney() {
    let body = "LMI_MODE=1&LMI_PAYMENT_AMOUNT=1.00&LMI_PAYEE_PURSE=Z133417776395&LMI_PAYMENT_NO=123&LMI_PAYER_WM=273350110703&LMI_PAYER_PURSE=Z133417776395&LMI_SYS_INVS_NO=8&LMI_SYS_TRANS_NO=708&LMI_SYS_TRANS_DATE=20120823+15%3A54%3A01&LMI_HASH=F5E7A18237B73D4A7E620CCFC065D8FC&LMI_PAYMENT_DESC=Request+to+webmoney+%23123&LMI_LANG=ru-RU&LMI_DBLCHK=SMS";
    let facts = attempt("webmoney", &Try { secret: "qert1234qee", body, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.external.as_str(), facts.test), ("708", "123", true));
    assert_eq!(facts.amount.unwrap().decimal(), "1.00");
    assert!(is_wrong(
        "webmoney",
        &Try { secret: "qert1234qee", body: &body.replace("LMI_MODE=1", "LMI_MODE=0"), ..Try::default() }
    ));
}

// PayU-EMEA/openpayu_php, its tests: the signature is over a text that is no message.
#[test]
fn payu() {
    for signature in ["8375034eb737d520c829fad4026a38aa", "8b2fd55b48f150347df56ce18d787335f32ced1d67f214016476f7c0a8f09981"] {
        let header = format!("sender=checkout;signature={signature};algorithm=any;content=DOCUMENT");
        let headers = [("OpenPayu-Signature", header.as_str())];
        assert!(proves("payu", "SignatureKey", &headers, "OpenPayUData"), "{signature}");
        assert!(
            !proves("payu", "SignatureKez", &headers, "OpenPayUData")
                && !proves("payu", "SignatureKey", &headers, "OpenPayUDatb")
        );
    }
}

// docs.zalopay.vn, the callback of the public sandbox application 2553, as its page prints it.
#[test]
fn zalopay() {
    let body = r#"{"data":"{\"app_id\":2553,\"app_trans_id\":\"200904_2553_1598435687208\",\"app_time\":1599189392817,\"app_user\":\"demo\",\"amount\":10000,\"embed_data\":\"{\\\"merchantinfo\\\":\\\"embeddata123\\\",\\\"promotioninfo\\\":\\\"\\\"}\",\"item\":\"[{\\\"itemid\\\":\\\"knb\\\",\\\"itemname\\\":\\\"kim nguyen bao\\\",\\\"itemprice\\\":198400,\\\"itemquantity\\\":1}]\",\"zp_trans_id\":200904000000389,\"server_time\":1599189413498,\"channel\":38,\"merchant_user_id\":\"7ZMSl3nEg5sOUJzOLSoUFT8xKNQVaLOLXHB--8Eytqc\",\"user_fee_amount\":0,\"discount_amount\":0}","mac":"d8d33baf449b31d7f9b94fa50d7c942c08cd4d83f28fa185557da21acb104f67","type":1}"#;
    let secret = "kLtgPl8HHhfvMuDHPwKfgfsY4Ydm9eIz";
    let facts = attempt("zalopay", &Try { secret, body, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("200904_2553_1598435687208", OrderStatus::Paid));
    assert_eq!(facts.amount.unwrap().minor, 10_000);
    assert!(is_wrong("zalopay", &Try { secret, body: &body.replace("10000", "10001"), ..Try::default() }));
}

// paddle-python-sdk, its own tests, with the header that Paddle sends.
#[test]
fn paddle() {
    let secret = "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh";
    let h1 = "d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02";
    let with = |header: &str, body: &str| proves("paddle", secret, &[("Paddle-Signature", header)], body);
    assert!(with(&format!("ts=1696195954;h1={h1}"), "hello-world"));
    assert!(with(&format!("ts=1696195954;h1={};h1={h1}", "0".repeat(64)), "hello-world"), "while the secret is changed");
    assert!(!with(&format!("ts=1696195955;h1={h1}"), "hello-world") && !with(&format!("ts=1696195954;h1={h1}"), "hello-world2"));
}

// lehuygiang28/vnpay, its own tests: the second of its signed queries.
#[test]
fn vnpay_refused_by_the_bank() {
    let query = "vnp_Amount=1000000&vnp_BankCode=NCB&vnp_BankTranNo=VNP14422574&vnp_CardType=ATM&vnp_OrderInfo=Thanh+toan+don+hang+2024-05-21T02%3A17%3A31.249Z&vnp_PayDate=20240521091806&vnp_ResponseCode=99&vnp_TmnCode=TEST_TMN_CODE&vnp_TransactionNo=14422574&vnp_TransactionStatus=00&vnp_TxnRef=1716257871703&vnp_SecureHash=503194f6d93b57b357b2d1d09742565e67e86d771352c5dca4fc8d39df3d392c6b3809add9405f97cfb9631f445e36c80656cfbf47eac67d97fa165865c13e1b";
    let facts = attempt("vnpay", &Try { secret: "test_secret", query, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("1716257871703", OrderStatus::Failed));
}

// phpviet/omnipay-momo, its tests of the first version's notifications: the same construction over other names, sorted, with the
// letters as they are.
#[test]
fn momo_of_the_first_version() {
    let file = include_str!("../presets/momo.toml");
    let (from, to) = (file.find("message = \"accessKey=").unwrap(), file.find("[[check]]").unwrap());
    let message = "message = \"accessKey={@option.access-key}&amount={amount}&message={message}&momoTransId={momoTransId}&partnerCode={partnerCode}&partnerRefId={partnerRefId}&partnerTransId={partnerTransId}&responseTime={responseTime}&status={status}&storeId={storeId}&transType={transType}\"\n\n";
    let file = format!("{}{message}{}", &file[..from], &file[to..])
        .replace("[\"orderId\"]", "[\"partnerRefId\"]")
        .replace("product = [\"orderInfo\"]\npayment-method = [\"payType\"]\n", "payment-method = [\"transType\"]\n")
        .replace("\"{orderId} {transId} {resultCode}\"", "\"{momoTransId}\"")
        .replace("{resultCode}", "{status}");
    let preset = Preset::read(&file).unwrap();
    let body = r#"{"partnerCode":"MOMO0HGO20180417","accessKey":"E8HZuQRy2RsjVtZp","amount":10000,"partnerRefId":"B001221","partnerTransId":"","transType":"momo_wallet","momoTransId":"43121679","status":0,"message":"Th\u00e0nh C\u00f4ng","responseTime":1555472829549,"storeId":"store001","signature":"f25c699ee9c961eaca8f91227413877d4c7ce6818342abdcf014d5f799a953d3"}"#;
    let posted = simulate::Posted {
        method: Method::POST,
        query: String::new(),
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    };
    let options = options(&[("access-key", "E8HZuQRy2RsjVtZp")]);
    let facts = take(&preset, "fj00YKnJhmYqahaFWUgkg75saNTzMrbO", &options, &posted).unwrap().events.remove(0).facts;
    assert_eq!((facts.reference.as_str(), facts.status), ("B001221", OrderStatus::Paid));
    let spoilt = simulate::Posted { body: body.replace("10000", "10001").into_bytes(), ..posted };
    assert!(take(&preset, "fj00YKnJhmYqahaFWUgkg75saNTzMrbO", &options, &spoilt).is_err());
}

// A value that others computed with OpenSSL for YooMoney's newer signature, over the example of its page.
#[test]
fn yoomoney_by_the_newer_signature() {
    let body = "notification_type=p2p-incoming&operation_id=1234567&amount=300.00&withdraw_amount=301.50&currency=643&datetime=2011-07-01T09%3A00%3A00.000%2B04%3A00&sender=41001XXXXXXXX&codepro=false&label=YM.label.12345&unaccepted=false&sign=1e5dbeaf47938c42ceed1e4d07569cb5a718392eb0d33ddd07b5c18f36974360";
    let secret = "01234567890ABCDEF01234567890";
    let facts = attempt("yoomoney", &Try { secret, body, ..Try::default() }).unwrap().events.remove(0).facts;
    assert_eq!((facts.external.as_str(), facts.status), ("YM.label.12345", OrderStatus::Paid));
    assert!(is_wrong("yoomoney", &Try { secret, body: &body.replace("unaccepted=false", "unaccepted=true"), ..Try::default() }));
}

// standard-webhooks, libraries/rust/src/lib.rs.
#[test]
fn standard_webhooks() {
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let headers = [
        ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk"),
        ("webhook-timestamp", "1649367553"),
        ("webhook-signature", "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="),
    ];
    let now = Timestamp::from_seconds(1_649_367_553);
    let one = |secret, body| Try { secret, headers: &headers, body, now, ..Try::default() };
    assert!(is_proved("standard-webhooks", &one("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", body)));
    assert!(is_proved("standard-webhooks", &one("C2FVsBQIhrscChlQIMV+b5sSYspob7oD", body)), "without its prefix");
    assert!(is_wrong("standard-webhooks", &one("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body)));
}

// docs.svix.com, Verifying Webhooks Manually: the same scheme under names of its own, and the same published values.
#[test]
fn svix() {
    const NAMES: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];
    fn posted(names: [&str; 3], body: &str, now: i64) -> Result<Verified, Refused> {
        let values = ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="];
        let headers: Vec<(&str, &str)> = names.into_iter().zip(values).collect();
        let (secret, now) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Timestamp::from_seconds(now));
        attempt("standard-webhooks", &Try { secret, headers: &headers, body, now, ..Try::default() })
    }
    let reason = |names, body, now| posted(names, body, now).unwrap_err().reason;
    let (body, now) = (r#"{"test": 2432232314}"#, 1_614_265_330);
    assert_eq!(reason(NAMES, body, now), RefusalReason::FieldMissing, "it is proved, and names no order");
    assert_eq!(reason(NAMES, "{}", now), RefusalReason::WrongSignature);
    assert_eq!(reason(NAMES, body, now + 301), RefusalReason::Stale);
    // A set is whole, or it is none: what is missing of it is not taken from the other.
    for (mixed, expected) in [
        (["webhook-id", NAMES[1], NAMES[2]], RefusalReason::WrongSignature),
        ([NAMES[0], "webhook-timestamp", NAMES[2]], RefusalReason::WrongSignature),
        ([NAMES[0], NAMES[1], "webhook-signature"], RefusalReason::WrongSignature),
        (["webhook-id", "webhook-timestamp", "webhook-signature"], RefusalReason::FieldMissing),
    ] {
        assert_eq!(reason(mixed, body, now), expected, "{mixed:?}");
    }
}

// Adyen's libraries (adyen-python-api-library, test/mocks/util; the last of adyen-dotnet-api-library): what is between the colons is
// signed as it is read, colons and both kinds of slashes included.
#[test]
fn adyen_between_colons_and_slashes() {
    let secret = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174";
    let body = |psp: &str, merchant_reference: &str, signature: &str| {
        format!(
            r#"{{"live":"false","notificationItems":[{{"NotificationRequestItem":{{"additionalData":{{"authCode":"076181","hmacSignature":"{signature}","paymentMethod":"visa"}},"amount":{{"currency":"EUR","value":1000}},"eventCode":"AUTHORISATION","eventDate":"2023-01-09T16:27:29+01:00","merchantAccountCode":"AntoniStroinski","merchantReference":"{merchant_reference}","operations":["CANCEL","CAPTURE","REFUND"],"paymentMethod":"visa","pspReference":"{psp}","reason":"076181:1111:03/2030","success":"true"}}}}]}}"#
        )
    };
    for (psp, written, read, signature) in [
        ("T7FD4VM4D3RZNN82", r"\\\\slashes are fun", r"\\slashes are fun", "nIgT81gaB5oJpn2jPXupDq68iRo2wUlBsuYjtYfwKqo="),
        ("M8NB66SBZSGLNK82", ":slashes are fun", ":slashes are fun", "2EQYm7YJpKO4EtHSPu55SQTyWf8dkW5u2nD1tJFpViA="),
        ("X3GWNS6KJ8NKGK82", "//slashes are fun", "//slashes are fun", "9Z0xdpG9Xi3zcmXv14t/BvMBut77O/Xq9D4CQXSDUi4="),
        ("X3GWNS6KJ8NKGK82", r"\/\/slashes are fun", "//slashes are fun", "9Z0xdpG9Xi3zcmXv14t/BvMBut77O/Xq9D4CQXSDUi4="),
        ("ZVWN7D3WSMK2WN82", r"\\:/\\/slashes are fun", r"\:/\/slashes are fun", "CZErGCNQaSsxbaQfZaJlakqo7KPP+mIa8a+wx3yNs9A="),
    ] {
        let right = body(psp, written, signature);
        let facts = attempt("adyen", &Try { secret, body: &right, ..Try::default() }).unwrap().events.remove(0).facts;
        assert_eq!((facts.external.as_str(), facts.status, facts.test), (read, OrderStatus::Authorized, true));
        let other = body(psp, &written.replacen("slashes", "Slashes", 1), signature);
        assert!(is_wrong("adyen", &Try { secret, body: &other, ..Try::default() }), "{written}");
    }
}

// adyen-python-api-library, test/UtilTest.py: the signature of Adyen's platform webhooks, over the whole body. They tell of accounts and
// not of orders, so that the description of Adyen does not take them; a file of somebody's own can.
#[test]
fn adyen_over_the_whole_body() {
    let body = "\n        {\n            \"type\": \"merchant.created\",\n            \"environment\": \"test\",\n            \"createdAt\": \"01-01-2024\",\n            \"data\": {\n                \"capabilities\": {\n                    \"sendToTransferInstrument\": {\n                        \"requested\": true,\n                        \"requestedLevel\": \"notApplicable\"\n                    }\n                },\n                \"companyId\": \"YOUR_COMPANY_ID\",\n                \"merchantId\": \"YOUR_MERCHANT_ACCOUNT\",\n                \"status\": \"PreActive\"\n            }\n        }\n        ";
    let file = r#"
        id = "platform"
        label = "Platform"
        group = "Mine"
        [secret]
        label = "HMAC key"
        [[signature]]
        from = "@header.HmacSignature"
        method = "hmac-sha256"
        encoding = "base64"
        key = "hex"
        message = "{@body}"
        [order]
        reference = ["data.merchantId"]
        [[status]]
        word = "{type}"
        map = {}
        [guide]
        steps = ["Enter {address}."]
    "#;
    let preset = Preset::read(file).unwrap();
    let secret = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";
    let posted = |body: &str| simulate::Posted {
        method: Method::POST,
        query: String::new(),
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("hmacsignature"),
            HeaderValue::from_static("fX74xUdztFmaXAn3IusMFFUBUSkLmDQUK0tm8xL6ZTU="),
        )]),
        body: body.as_bytes().to_vec(),
    };
    let taken = take(&preset, secret, &GatewayOptions::default(), &posted(body)).unwrap();
    assert_eq!(taken.events[0].facts.reference, "YOUR_MERCHANT_ACCOUNT");
    let refused = take(&preset, secret, &GatewayOptions::default(), &posted(body.trim_end())).unwrap_err();
    assert_eq!(refused.reason, RefusalReason::WrongSignature, "every byte counts");
}

// alu-client-php of PayU, tests/HashServiceTest.php: answers of another interface, with the same hash over the values in their order.
#[test]
fn payu_in_the_order_of_values() {
    const WIRE: [[&str; 8]; 3] = [
        ["BANCA AGRICOLA-RAIFFEISEN S.A.", "a12c8c196b11afb9beb8fe6221540a4f", "", "", "BANK7", "Romania", "", ""],
        ["BRD Groupe Societe Generale", "a82d196141b7a58b60c49c40afe9b90f", "", "", "BRDEURBU", "Romania", "", ""],
        ["BCR", "d14cd64064813aacaac1ce9d55731af9", "", "", "BANK7", "Romania", "", ""],
    ];
    let first = [
        ("REFNO", "11844987"),
        ("ALIAS", ""),
        ("STATUS", "SUCCESS"),
        ("RETURN_CODE", "AUTHORIZED"),
        ("RETURN_MESSAGE", "The payment for your order authorized."),
    ];
    let authorized = [&first[..], &[("DATE", "2015-11-15 09:32:50")]].concat();
    let in_parts = [
        &first[..],
        &[
            ("DATE", "2015-11-15 09:39:24"),
            ("AMOUNT", "199.8"),
            ("CURRENCY", "TRY"),
            ("INSTALLMENTS_NO", "6"),
            ("CARD_PROGRAM_NAME", "Advantage"),
        ],
    ]
    .concat();
    let failed = vec![
        ("REFNO", "11844987"),
        ("ALIAS", ""),
        ("STATUS", "FAILED"),
        ("RETURN_CODE", "ALREADY_AUTHORIZED"),
        ("RETURN_MESSAGE", "The payment for your order is already authorized."),
        ("DATE", "2014-09-19 11:14:50"),
        ("ORDER_REF", "90000"),
        ("AUTH_CODE", ""),
        ("RRN", ""),
    ];
    let mut by_wire = vec![
        ("REFNO", "11867687"),
        ("ALIAS", "0d4a0b58e9caeb07d1d43bf1ba8f4401"),
        ("STATUS", "SUCCESS"),
        ("RETURN_CODE", "PENDING_AUTHORIZATION"),
        ("RETURN_MESSAGE", "Order saved and pending authorization."),
        ("DATE", "2015-04-06 15:42:43"),
        ("ORDER_REF", "EXT_2301428323957"),
        ("AUTH_CODE", ""),
        ("RRN", ""),
    ];
    for mut account in WIRE {
        (account[6], account[7]) = ("GECAD ePayment International SA SRL", "RO16490162");
        by_wire.extend(account.map(|value| ("WIRE_ACCOUNTS[]", value)));
    }
    for (fields, hash) in [
        (authorized, "3f112ab43ff5114957d086134d94ec60"),
        (in_parts, "ece32d1ab3d0e2c2218131c80d0b0ba9"),
        (failed, "c532e4077e20582afcc02d7c7c1fb316"),
        (by_wire, "42489dd903731b8ff8c0cd50a4b2939c"),
    ] {
        let form = |fields: &[(&str, &str)]| {
            let all = fields.iter().copied().chain([("HASH", hash)]);
            let written = |text: &str| text.replace(' ', "+").replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
            all.map(|(name, value)| format!("{}={}", written(name), written(value))).collect::<Vec<_>>().join("&")
        };
        let body = form(&fields);
        let one = |body| Try { secret: "SECRET_KEY", body, ..Try::default() };
        let facts = attempt("payu-liveupdate", &one(&body)).unwrap().events.remove(0).facts;
        assert_eq!(
            (facts.reference.as_str(), facts.status),
            (fields[0].1, OrderStatus::Unmapped),
            "it names no status of an order"
        );
        let mut turned = fields.clone();
        turned.swap(0, 2);
        assert!(is_wrong("payu-liveupdate", &one(&form(&turned))), "in another order");
    }
}
