//! Signatures by certificate, as far as a message and its listener tell them. Whether they are right is tried in tests/it/chain.rs.

use super::*;

const BODY: &str = r#"{"id":"WH-2MW4820926242972J-6SG447389E205703U","event_version":"1.0","create_time":"2017-03-30T20:04:05.613Z","resource_type":"plan","event_type":"BILLING.PLAN.CREATED","summary":"A billing plan was created","resource":{"merchant_preferences":{"setup_fee":{"currency":"USD","value":"1"},"return_url":"https://www.mta.org/wp-content/plugins/AMS/api/Paypal/paypal/rest-api-sdk-php/sample/billing/ExecuteAgreement.php?success=true","cancel_url":"https://www.mta.org/wp-content/plugins/AMS/api/Paypal/paypal/rest-api-sdk-php/sample/billing/ExecuteAgreement.php?success=false","auto_bill_amount":"YES","initial_fail_amount_action":"CONTINUE","max_fail_attempts":"0"},"update_time":"2017-03-30T20:04:05.587Z","create_time":"2017-03-30T20:04:05.587Z","name":"T-Shirt of the Month Club Plan","description":"Template creation.","links":[{"href":"api.sandbox.paypal.com/v1/payments/billing-plans/P-2U911356NH683973BEDIWKUY","rel":"self","method":"GET"}],"payment_definitions":[{"name":"Regular Payments","type":"REGULAR","frequency":"Month","frequency_interval":"2","amount":{"currency":"USD","value":"100"},"cycles":"12","charge_models":[{"type":"SHIPPING","amount":{"currency":"USD","value":"10"},"id":"CHM-6H655806YS685182XEDIWKUY"}],"id":"PD-5N450756VM995270VEDIWKUY"}],"id":"P-2U911356NH683973BEDIWKUY","state":"CREATED","type":"FIXED"},"links":[{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-2MW4820926242972J-6SG447389E205703U","rel":"self","method":"GET"},{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-2MW4820926242972J-6SG447389E205703U/resend","rel":"resend","method":"POST"}]}"#;
const SIGNATURE: &str = "aBjgm5/xljRYu3G64Q0axISrP2xcy7WbW1u4UTCKnQvyprOZ1a1BBmqn2Jdr6ce8E76I3Ti/AL9y4VYSHyGSEaoE6dVQcCDebLbOXLH0fjTAbTc1/rmfdWmsk0DPltW84Y8W8jOHe3CLWDOwg5zmozyt+AceG2x5eOiw7mLSycaEoj/5RG+dOIWXnmWcLEArbG3VFshy0wuhZrKuGa9C/bD4Ku+Y9gK7Bv5I5IuGRVnTGpcFnVG0KxOyJxccLGyBVCIUMY5IZS7LkmJszQ3HZZFDTNihvgJHECSLwLhzUaysIye5G6CbbLdtAmeeb6wiDciEAvr2dFf+SplOR4Lrng==";

fn signed(url: &str, more: &[(&str, &str)]) -> Result<Option<Signed>, Refused> {
    let mut options = options(&[("client-id", "me"), ("webhook-id", "96605875FF6516633")]);
    options.0.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    options.0.retain(|_, value| !value.is_empty());
    let headers = HeaderMap::from_iter(
        [
            ("paypal-transmission-id", "071f7d20-1584-11e7-abf0-6b62a8a99ac4"),
            ("paypal-transmission-time", "2017-03-30T20:04:05Z"),
            ("paypal-auth-algo", "SHA256withRSA"),
            ("paypal-transmission-sig", SIGNATURE),
            ("paypal-cert-url", url),
        ]
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())),
    );
    let request = Request {
        method: &Method::POST,
        query: "",
        headers: &headers,
        body: BODY.as_bytes(),
        url: ["https://a.example", "/ipn/1"],
        now: NOW,
        date: "",
    };
    let credentials = Credentials { secret: b"S", required: Algorithms::ALL, options: &options };
    preset("paypal-webhooks").signed(credentials, &request)
}

/// PayPal's library for Java, its own test: what is signed, with the checksum of the body. The certificate of then is not published.
#[test]
fn what_paypal_signs() {
    let url = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-aecacc47";
    let found = signed(url, &[(MODE, "test")]).unwrap().unwrap();
    let message = "071f7d20-1584-11e7-abf0-6b62a8a99ac4|2017-03-30T20:04:05Z|96605875FF6516633|3494065244";
    assert_eq!((std::str::from_utf8(&found.message).unwrap(), found.url.as_str()), (message, url));
    assert_eq!((found.signature.len(), found.name.as_str()), (256, ".paypal.com"));
    assert_eq!(
        signed(url, &[("webhook-id", "")]),
        Ok(None),
        "a listener from before it was asked for: PayPal's word alone counts"
    );
}

#[test]
fn certificates_lie_at_the_gateways_own_hosts_or_at_those_that_are_named_instead() {
    let live = "https://api.paypal.com/v1/notifications/certs/CERT-1";
    let sandbox = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1";
    let own = "https://certs.example:8443/v1/notifications/certs/CERT-1";
    let hosts = [(CERTIFICATE_HOSTS, "other.example, certs.example:8443")];
    assert!(signed(live, &[]).is_ok() && signed(live, &[(MODE, "live")]).is_ok() && signed(sandbox, &[(MODE, "test")]).is_ok());
    assert!(signed(own, &hosts).is_ok());
    for (url, more) in [
        (sandbox, &[][..]),
        (live, &[(MODE, "test")]),
        (live, &hosts),
        (own, &[]),
        ("http://api.paypal.com/v1/notifications/certs/CERT-1", &[]),
        ("HTTPS://api.paypal.com/v1/notifications/certs/CERT-1", &[]),
        ("https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1", &[]),
        ("https://api.paypal.com:443@evil.example/v1/notifications/certs/CERT-1", &[]),
        ("https://evil.example/https://api.paypal.com/v1/notifications/certs/CERT-1", &[]),
        ("https://api.paypal.com/v1/notifications/certs/", &[]),
        ("https://api.paypal.com/v1/notifications/certs/../../../x", &[]),
        ("https://api.paypal.com/v1/notifications/certs/%2e%2e", &[]),
        ("https://api.paypal.com/v1/notifications/certs/a?b", &[]),
        ("https://api.paypal.com/v1/notifications/certs/a#b", &[]),
        ("https://api.paypal.com/v1/oauth2/token", &[]),
        ("//api.paypal.com/v1/notifications/certs/CERT-1", &[]),
    ] {
        let refused = signed(url, more).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::WrongSignature, "{url}");
        assert!(refused.detail.contains(url), "{}", refused.detail);
    }
}

#[test]
fn a_description_of_certificates_that_is_wrong_says_where_and_what() {
    let text = include_str!("../presets/paypal-webhooks.toml");
    let told = |from: &str, to: &str| Preset::read(&text.replacen(from, to, 1)).unwrap_err();
    for (from, to, expected) in [
        ("certificate = \"@header.paypal-cert-url\"", "certificate = \"url\"", "chain.certificate"),
        ("\"@header.paypal-transmission-sig\"", "\"sig\"", "chain.signature"),
        ("hosts = [\"api.paypal.com\", \"api-m.paypal.com\"]", "hosts = []", "chain.hosts"),
        ("\"api-m.paypal.com\"]", "\"https://api-m.paypal.com/x\"]", "chain.hosts"),
        ("path = \"/v1/notifications/certs/\"", "path = \"v1\"", "chain.path"),
        ("name = \".paypal.com\"", "name = \".\"", "chain.name"),
        ("{@option.webhook-id}", "{@option.hook}", "[[option]]"),
        ("{@option.webhook-id}", "{id}", "chain.message"),
        ("name = \"webhook-id\"", "name = \"certificate-hosts\"", "taken"),
    ] {
        assert!(told(from, to).contains(expected), "{from}: {}", told(from, to));
    }
    let chain = text.split("[chain]").nth(1).unwrap().split("\n\n").next().unwrap().replace("{@option.webhook-id}", "1");
    let unasked = format!("{}\n[chain]{chain}\n", include_str!("../presets/razorpay.toml"));
    assert!(Preset::read(&unasked).unwrap_err().contains("add a [confirm]"));
}
