//! What a listener's options say of the merchant, and what his files suggest to him.

use super::*;

/// What becomes of a gateway's first sample, with something in it replaced, at a listener with an option.
fn told(name: &str, option: (&str, &str), [from, to]: [&str; 2]) -> Result<Verified, Refused> {
    let mut preset = (*preset(name)).clone();
    let options = options(&[option]);
    let secret = simulate::trial_secret(&preset);
    assert!(from.is_empty() || preset.sample.body.contains(from), "{name}: {from}");
    preset.sample.body = preset.sample.body.replacen(from, to, 1);
    let case = preset.sample.case[0].clone();
    let posted = simulate::sign_case(&preset, &case, secret.as_bytes(), &options, &wish(&preset, case.status)).unwrap();
    take(&preset, &secret, &options, &posted)
}

/// Whoever has several shops at a gateway gives each a listener: what belongs to another one is refused, where the gateway tells.
#[test]
fn what_is_about_somebody_else_is_refused() {
    for (name, option, mine, others) in [
        ("paytabs", "profile", r#""profile_id":1001"#, r#""profile_id":"1002""#),
        ("xsolla", "project", r#""settings":{"project_id":1001,"merchant_id":1}"#, r#""settings":{"project_id":1002}"#),
        ("xsolla", "project", r#""billing":{"settings":{"project_id":1001}}"#, r#""billing":{"settings":{"project_id":1002}}"#),
        ("stripe", "account", r#""account":"1001""#, r#""account":"acct_1002""#),
    ] {
        let place = match name {
            "paytabs" => r#""profile_id":"%option.profile%""#,
            "xsolla" => r#""settings":{"project_id":"%option.project%"}"#,
            _ => r#""object":"event""#,
        };
        let sent =
            |what: &str| told(name, (option, "1001"), [place, what]).map(|taken| taken.events.len()).map_err(|it| it.reason);
        assert_eq!(sent(mine), Ok(1), "{name} {mine}");
        assert_eq!(sent(others), Err(RefusalReason::WrongMerchant), "{name} {others}");
        assert_eq!(sent(r#""other":1"#), Ok(1), "{name}: where it is not told");
        assert_eq!(
            told(name, ("unused", ""), [place, others]).map(|taken| taken.events.len()),
            Ok(1),
            "{name}: where nobody asks"
        );
    }
}

/// Authorize.Net does not say whether what was approved after a review is captured, too; the listener does.
#[test]
fn what_authorize_net_approves_is_paid_where_it_is_captured_at_once() {
    let status = |capture: &str| {
        let approved = ["\"eventType\":\"%type%\"", "\"eventType\":\"net.authorize.payment.fraud.approved\""];
        told("authorize-net", ("capture", capture), approved).unwrap().events.remove(0).facts.status
    };
    assert_eq!((status(""), status("manual")), (OrderStatus::Authorized, OrderStatus::Authorized));
    assert_eq!((status("automatic"), status("Automatic")), (OrderStatus::Paid, OrderStatus::Paid));
}

/// secure.payu.ro/docs/old/ipn: "order reversed, money unlocked in the customer account". It is what reversed means here.
#[test]
fn payu_frees_what_was_held() {
    let preset = preset("payu-liveupdate");
    let posted = simulate::sign(&preset, b"k", &GatewayOptions::default(), &wish(&preset, OrderStatus::Reversed)).unwrap();
    assert!(String::from_utf8_lossy(&posted.body).contains("ORDERSTATUS=REVERSED"));
    let facts = take(&preset, "k", &GatewayOptions::default(), &posted).unwrap().events.remove(0).facts;
    assert_eq!((facts.status, facts.vendor_status.as_str()), (OrderStatus::Reversed, "REVERSED"));
}

/// They are offered as they stand to whoever narrows a listener, which is one for real payments unless it says otherwise.
#[test]
fn suggested_addresses_are_those_of_real_messages() {
    let sandboxes = [
        "113.160.92.202",
        "34.194.127.46",
        "54.234.237.108",
        "3.208.120.145",
        "44.226.236.210",
        "44.241.183.62",
        "100.20.172.113",
        "54.212.177.79",
        "107.20.218.8",
    ];
    let mut suggested = 0;
    for preset in Gateways::shared().all() {
        let addresses = &preset.guide.addresses;
        let networks = access::networks(&addresses.join(", ")).unwrap_or_else(|wrong| panic!("{}: {wrong}", preset.id));
        assert_eq!(networks.len(), addresses.len(), "{}", preset.id);
        assert!(!sandboxes.iter().any(|sandbox| addresses.iter().any(|one| one == sandbox)), "{}", preset.id);
        suggested += usize::from(!addresses.is_empty());
    }
    assert!(suggested >= 4, "{suggested}");
}
