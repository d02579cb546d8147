//! Masked values inside JSON: each has its own button, and its own line in the audit log.

use crate::support::{
    app::TestApp,
    browser::Browser,
    merchant::{Answer, FakeMerchant},
};
use quittance::domain::Role;

const ANSWER: &str = r#"{"error":"no such customer","customer":{"email":"zacharias.quill@mail.example","tags":["vip","write to quill@mail.example"]},"order":1}"#;
const WAITING: &str =
    r#"{"resource":{"payer":{"email_address":"zacharias.quill@mail.example"},"custom_id":"call 4242 4242 4242 4242"}}"#;

/// Which fields of a thing a page has buttons for.
fn buttons(html: &str, of: &str) -> Vec<String> {
    let forms = html.split("<form").filter(|form| form.contains("/rpc/reveal") && form.contains(&format!("value=\"{of}\"")));
    let field = |form: &str| {
        let input = form.split("<input").find(|input| input.contains("name=\"field\"")).unwrap();
        input.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    forms.map(field).collect()
}

#[tokio::test]
async fn each_masked_value_inside_json_is_revealed_by_itself() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    app.user("support@example.com", Role::Support, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let merchant =
        FakeMerchant::start(|_| Answer::Page(404, vec![("Content-Type", "application/json".to_owned())], ANSWER.into())).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_attempts(order, url, 1).await.id.to_string();
    let waiting = shop.wait_at(&*shop.asking().await, "1", "POST / HTTP/1.1", WAITING).await;
    let mut support = Browser::signed_in(app.address, "support@example.com").await;
    let attempt = format!("/m/shop/deliveries/{delivery}/1");
    let verifying = format!("/m/shop/verifying/{waiting}");
    let plain = ["zacharias", "quill@", "4242 4242 4242"];
    for (page, of, expected) in [
        (&attempt, "answer", ["customer.email", "customer.tags[1]"]),
        (&verifying, "verifying", ["resource.payer.email_address", "resource.custom_id"]),
    ] {
        let html = support.get(page).await.text();
        assert_eq!(buttons(&html, of), expected, "{html}");
        assert!(!plain.iter().any(|value| html.contains(value)), "{html}");
    }
    for (of, thing, field, value, page) in [
        ("answer", &delivery, "customer.tags[1]", "write to quill@mail.example", &attempt),
        ("verifying", &waiting, "resource.custom_id", "call 4242 4242 4242 4242", &verifying),
    ] {
        let wish = [("merchant", "shop"), ("of", of), ("thing", thing), ("number", "1"), ("field", field), ("nth", "0")];
        let reply = support.form("/rpc/reveal", &wish).await;
        assert_eq!(reply.header("location"), page);
        let html = support.get(page).await.text();
        assert!(html.contains(&format!("Revealed: {field}")) && html.contains(value), "{html}");
        assert_eq!(html.matches("zacharias").count(), 0, "the others stay masked: {html}");
        let html = support.get(page).await.text();
        assert!(!plain.iter().any(|value| html.contains(value)), "once: {html}");
    }
    let mut owner = Browser::signed_in(app.address, "owner@example.com").await;
    let log = owner.get("/m/shop/audit?action=personal.reveal").await.text();
    for part in ["answer to attempt 1 of order 1", "customer.tags[1]", "message being verified", "resource.custom_id"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let html = owner.get(&attempt).await.text();
    assert!(html.contains("zacharias.quill@mail.example") && buttons(&html, "answer").is_empty(), "nothing is masked for him");
}
