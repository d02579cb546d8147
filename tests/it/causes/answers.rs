//! The status and the body: each wrong answer is told apart.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, TestApp},
    merchant::{Answer, FakeMerchant, RECEIPT_DATE, Visit, receipt, receipt_form, receipt_source},
    message::{Message, mac, prefixed},
};
use quittance::domain::{Algorithms, Cause};

/// The product that most ways to get a receipt wrong stumble over.
const PRODUCT: &str = " Täst & \"Co\" 🎈\\";

fn puzzle(reference: &str) -> Message {
    let mut message = Message::full(reference, "COMPLETE");
    message.set("IPN_PNAME[]", PRODUCT);
    message
}

/// A well-formed MD5 receipt over some text.
fn receipt_over(source: &str) -> Answer {
    receipt_with(MERCHANT_KEY, source)
}

fn receipt_with(key: &str, source: &str) -> Answer {
    Answer::text(receipt_form("md5", RECEIPT_DATE, &mac("md5", key, source)))
}

fn measured(values: &[&str], length: impl Fn(&str) -> usize) -> String {
    values.iter().map(|value| format!("{}{value}", length(value))).collect()
}

fn over_product(visit: &Visit, product: &str) -> Answer {
    receipt_over(&["1", product, &visit.field("IPN_DATE"), RECEIPT_DATE].map(prefixed).concat())
}

type Case = (&'static str, Cause, fn(&Visit) -> Answer);

/// Answers that come whole, and what is wrong with each.
const ANSWERS: &[Case] = &[
    ("moved", Cause::Redirect, |_| Answer::status(301, "")),
    ("posted elsewhere", Cause::Redirect, |_| Answer::status(307, "")),
    ("password wanted", Cause::Denied, |_| Answer::status(401, "")),
    ("forbidden", Cause::Denied, |_| Answer::status(403, "")),
    ("no such page", Cause::NotFound, |_| Answer::status(404, "<html>Not found</html>")),
    ("GET only", Cause::MethodRefused, |_| Answer::status(405, "")),
    ("too large for it", Cause::PayloadRefused, |_| Answer::status(413, "")),
    ("too often", Cause::RateLimited, |_| Answer::status(429, "")),
    ("bad signature", Cause::ClientError, |_| Answer::status(400, "invalid hash")),
    ("crashed", Cause::ServerError, |_| Answer::status(500, "")),
    ("overloaded", Cause::ServerError, |_| Answer::status(503, "")),
    ("made up", Cause::OtherStatus, |_| Answer::status(600, "")),
    ("nothing", Cause::EmptyAnswer, |_| Answer::text("")),
    ("no content", Cause::EmptyAnswer, |_| Answer::Page(204, Vec::new(), Vec::new())),
    ("OK", Cause::PlainText, |_| Answer::text("OK")),
    ("log-in page", Cause::HtmlPage, |_| Answer::text("<!DOCTYPE html><title>Sign in</title>")),
    ("firewall", Cause::Challenge, |_| Answer::text("<html><title>Just a moment...</title>")),
    ("firewall with 403", Cause::Challenge, |_| Answer::status(403, "<script src=\"https://challenges.cloudflare.com/\">")),
    ("PHP error", Cause::ScriptError, |_| Answer::text("<b>Fatal error</b>: Uncaught Error in /srv/ipn.php on line 3")),
    ("cut off", Cause::MalformedReceipt, |_| Answer::text("<EPAYMENT>20260301120010|7bf9")),
    ("escaped", Cause::MalformedReceipt, |visit| {
        Answer::text(receipt("md5", MERCHANT_KEY, &visit.body).replace('<', "&lt;").replace('>', "&gt;"))
    }),
    ("its error", Cause::ErrorInReceipt, |_| Answer::text("<EPAYMENT>Error. Cannot verify signature.</EPAYMENT>")),
    ("the gateway's key", Cause::WrongKey, |visit| receipt_with(GATEWAY_KEY, &receipt_source(&visit.body, RECEIPT_DATE))),
    ("other hash in the tag", Cause::WrongAlgorithm, |visit| {
        let hash = mac("sha2", MERCHANT_KEY, receipt_source(&visit.body, RECEIPT_DATE));
        Answer::text(receipt_form("sha3", RECEIPT_DATE, &hash))
    }),
    ("characters", Cause::CharacterLengths, |visit| {
        receipt_over(&measured(&["1", PRODUCT, &visit.field("IPN_DATE"), RECEIPT_DATE], |value| value.chars().count()))
    }),
    ("UTF-16 units", Cause::CharacterLengths, |visit| {
        receipt_over(&measured(&["1", PRODUCT, &visit.field("IPN_DATE"), RECEIPT_DATE], |value| value.encode_utf16().count()))
    }),
    ("all products", Cause::AllProducts, |visit| {
        let all =
            |name: &str| visit.fields().into_iter().filter(|field| field.0 == name).map(|field| field.1).collect::<Vec<_>>();
        let values = [all("IPN_PID[]"), all("IPN_PNAME[]"), vec![visit.field("IPN_DATE"), RECEIPT_DATE.to_owned()]].concat();
        receipt_over(&values.iter().map(|value| prefixed(value)).collect::<String>())
    }),
    ("another date", Cause::OtherDate, |visit| receipt_over(&receipt_source(&visit.body, &visit.field("IPN_DATE")))),
    ("trimmed", Cause::EditedValues, |visit| over_product(visit, PRODUCT.trim())),
    ("without slashes", Cause::EditedValues, |visit| over_product(visit, &PRODUCT.replace('\\', ""))),
    ("HTML-escaped", Cause::EditedValues, |visit| over_product(visit, &PRODUCT.replace('&', "&amp;").replace('"', "&quot;"))),
    ("our own signature", Cause::CopiedSignature, |visit| Answer::text(receipt_form("md5", RECEIPT_DATE, &visit.field("HASH")))),
    ("something else", Cause::WrongReceipt, |_| receipt_over("something else")),
    // At the end, because it puts the URL on hold.
    ("gone", Cause::Gone, |_| Answer::status(410, "")),
];

#[tokio::test]
async fn each_wrong_answer_is_told_apart() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| {
        let reference = visit.field("REFNO");
        ANSWERS.iter().find(|(name, ..)| *name == reference).unwrap().2(visit)
    })
    .await;
    let url = shop
        .url_as(&merchant.url(), |url| {
            url.concurrent = true;
            url.algorithms = Algorithms::ALL;
        })
        .await;
    for (name, expected, _) in ANSWERS {
        let order = shop.accepted(&puzzle(name)).await;
        let attempt = shop.first_attempt(order, url).await;
        assert_eq!(attempt.attempt.cause, Some(*expected), "{name}: {:?}", attempt.detail);
    }
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_weaker_receipt_than_the_url_wants() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.algorithms = "sha3-256".parse().unwrap()).await;
    let order = shop.order("1").await;
    let attempt = shop.first_attempt(order, url).await;
    assert_eq!(attempt.attempt.cause, Some(Cause::WrongAlgorithm), "{:?}", attempt.detail);
}

#[tokio::test]
async fn a_wrong_receipt_is_shown_beside_the_right_one() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| receipt_over("something else")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let detail = shop.first_attempt(order, url).await.detail;
    let source = receipt_source(&merchant.visits()[0].body, RECEIPT_DATE);
    assert_eq!((&detail.source, &detail.expected), (&source, &mac("md5", MERCHANT_KEY, &source)));
    assert!(detail.found.contains(&mac("md5", MERCHANT_KEY, "something else")), "{}", detail.found);
}
